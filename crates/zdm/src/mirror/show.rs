//! What `zdm mirror` says: lines for people, line-delimited JSON for programs.
//!
//! Every JSON line has `"version": 1` and `"event"`; versions grow only by added keys.

use serde_json::{Value, json};
use zdm_mirror::inspect::Difference;
use zdm_mirror::install::{Attempt, Installed, Removed};
use zdm_mirror::migration::MigrationFile;
use zdm_mirror::swap::Swap;
use zdm_mirror::values::{Comparison, Example};
use zdm_mirror::{Error, Mirror, Planned};

use crate::exit::Exit;
use crate::output;

pub(super) struct Show {
    json: bool,
}

impl Show {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    fn event(&self, event: &str, mut value: Value) {
        debug_assert!(self.json, "events are JSON");
        if let Some(object) = value.as_object_mut() {
            object.insert("version".to_owned(), json!(1));
            object.insert("event".to_owned(), json!(event));
        }
        output::line(&value.to_string());
    }

    pub(super) fn error(&self, error: &Error, exit: Exit) {
        if self.json {
            self.event("error", json!({"message": error.to_string(), "exit": exit.code()}));
        } else {
            output::error(&error.to_string());
        }
    }

    fn warnings(&self, planned: &Planned) {
        if !self.json {
            for warning in &planned.warnings {
                output::note(&format!("warning: {warning}"));
            }
        }
    }

    pub(super) fn sql(&self, planned: &Planned) {
        self.warnings(planned);
        let statements = planned.mirror.statements();
        let forward: Vec<&String> = statements
            .add_columns
            .iter()
            .chain([&statements.create_function])
            .chain(&statements.create_triggers)
            .chain(&statements.enable_always)
            .collect();
        let backward: Vec<&String> = statements
            .drop_triggers
            .iter()
            .chain([&statements.drop_function])
            .chain(&statements.drop_columns)
            .collect();
        if self.json {
            let mut value = identity(planned);
            merge(&mut value, json!({"statements": forward, "reverse": backward}));
            self.event("sql", value);
            return;
        }
        output::line(&format!("-- {}", planned.mirror.describe()));
        for statement in forward {
            output::line(&format!("{statement};"));
        }
        output::line("-- Reverse:");
        for statement in backward {
            output::line(&format!("-- {statement};"));
        }
    }

    pub(super) fn attempt(&self, attempt: &Attempt) {
        if self.json {
            self.event(
                "retry",
                json!({"attempt": attempt.number, "message": attempt.message, "holders": attempt.holders,
                       "delay_seconds": attempt.delay.as_secs_f64()}),
            );
            return;
        }
        let holders =
            if attempt.holders.is_empty() { String::new() } else { format!(" ({})", attempt.holders.join("; ")) };
        output::note(&format!(
            "{}{holders}; attempt {} in {:.1} s",
            attempt.message,
            attempt.number + 1,
            attempt.delay.as_secs_f64()
        ));
    }

    pub(super) fn would_install(&self, planned: &Planned, differences: &[Difference]) {
        self.warnings(planned);
        if self.json {
            let mut value = identity(planned);
            merge(&mut value, json!({"differences": differences_json(differences)}));
            self.event("plan", value);
            return;
        }
        if differences.is_empty() {
            output::line(&format!("{}: installed as declared", planned.mirror.describe()));
            return;
        }
        output::line(&format!("{}: would be installed, since", planned.mirror.describe()));
        for difference in differences {
            output::line(&format!("  {difference}"));
        }
        self.sql(planned);
    }

    pub(super) fn installed(&self, installed: &Installed) {
        self.warnings(&installed.planned);
        if self.json {
            let mut value = identity(&installed.planned);
            merge(
                &mut value,
                json!({"changed": !installed.statements.is_empty(), "statements": installed.statements,
                       "repaired": differences_json(&installed.repaired)}),
            );
            self.event("installed", value);
            return;
        }
        let what = installed.planned.mirror.describe();
        if installed.statements.is_empty() {
            output::line(&format!("{what}: installed already"));
        } else {
            output::line(&format!("{what}: installed"));
            output::note(&next_step(&installed.planned.mirror));
        }
    }

    pub(super) fn removed(&self, removed: &Removed) {
        if self.json {
            self.event(
                "removed",
                json!({"table": removed.table.plain(), "trigger": removed.name.as_str(),
                       "changed": !removed.statements.is_empty(), "statements": removed.statements}),
            );
        } else if removed.statements.is_empty() {
            output::line(&format!("{}: no mirror `{}` is there", removed.table.plain(), removed.name.as_str()));
        } else {
            output::line(&format!("{}: mirror `{}` removed", removed.table.plain(), removed.name.as_str()));
        }
    }

    pub(super) fn checked(&self, planned: &Planned, differences: &[Difference], comparison: Option<&Comparison>) {
        if self.json {
            let mut value = identity(planned);
            merge(
                &mut value,
                json!({"differences": differences_json(differences), "values": comparison.map(comparison_json)}),
            );
            self.event("checked", value);
            return;
        }
        self.warnings(planned);
        let what = planned.mirror.describe();
        if differences.is_empty() {
            output::line(&format!("{what}: installed as declared"));
        }
        for difference in differences {
            output::line(&format!("{what}: {difference}"));
        }
        let Some(comparison) = comparison else { return };
        output::line(&format!("{what}: {} of {} rows differ", count(comparison.differing), count(comparison.rows)));
        for example in &comparison.examples {
            output::line(&format!("  {}", example_line(example)));
        }
        if comparison.differing > 0 {
            output::note(&next_step(&planned.mirror));
        }
    }

    pub(super) fn strays(&self, strays: &[Difference]) {
        if self.json {
            if !strays.is_empty() {
                self.event("strays", json!({"differences": differences_json(strays)}));
            }
            return;
        }
        for stray in strays {
            output::line(&stray.to_string());
        }
    }

    pub(super) fn end(&self, clean: bool) {
        if self.json {
            self.event("end", json!({"clean": clean}));
        }
    }

    pub(super) fn there_already(&self, planned: &Planned) {
        if self.json {
            let mut value = identity(planned);
            merge(&mut value, json!({"path": null}));
            self.event("migration", value);
        } else {
            output::line(&format!("{}: a migration makes it already", planned.mirror.describe()));
        }
    }

    pub(super) fn swap(&self, planned: &[Planned], swap: &Swap, dry_run: bool) {
        if self.json {
            let files: Vec<Value> = swap
                .files
                .iter()
                .map(|file| json!({"path": file.path, "app": &*file.key.app, "name": &*file.key.name, "text": file.text}))
                .collect();
            let mut value = planned.first().map_or_else(|| json!({}), identity);
            let mirrors: Vec<Value> = planned.iter().map(identity).collect();
            merge(&mut value, json!({"mirrors": mirrors, "files": files, "notes": swap.notes, "written": !dry_run}));
            self.event("swap", value);
            return;
        }
        let described: Vec<String> = planned.iter().map(|planned| planned.mirror.describe()).collect();
        for planned in planned {
            self.warnings(planned);
        }
        for with_it in described.iter().skip(1).filter(|_| !dry_run) {
            output::line(&format!("{with_it}: swapped with it"));
        }
        for file in &swap.files {
            if dry_run {
                output::line(&format!("# {}", file.path));
                output::line(&file.text);
            } else {
                output::line(&format!("{}: {}", described.first().map_or("", String::as_str), file.path));
            }
        }
        for note in &swap.notes {
            output::note(note);
        }
    }

    pub(super) fn migration(&self, planned: &Planned, file: &MigrationFile, as_field: bool, dry_run: bool) {
        if self.json {
            let mut value = identity(planned);
            merge(
                &mut value,
                json!({"path": file.path, "app": &*file.key.app, "name": &*file.key.name, "text": file.text,
                       "written": !dry_run}),
            );
            self.event("migration", value);
            return;
        }
        self.warnings(planned);
        if as_field {
            output::note(
                "warning: as a field of the model the shadow is named in every query of a release that has it: take the \
                 field out of the models (in the state only) one release before the swap",
            );
        }
        if dry_run {
            output::line(&format!("# {}", file.path));
            output::line(file.text.trim_end());
        } else {
            output::line(&format!("{}: {}", planned.mirror.describe(), file.path));
            output::note(&next_step(&planned.mirror));
        }
    }
}

/// How the rows that are there already get their values.
fn next_step(mirror: &Mirror) -> String {
    let sets: Vec<String> = mirror
        .pairs
        .iter()
        .map(|pair| {
            let value = pair.forward.as_ref().map_or_else(|| pair.source.to_string(), zdm_mirror::Expression::plain);
            format!("--set '{} = {value}'", pair.target)
        })
        .collect();
    format!("fill existing rows: zdm backfill run --table '{}' {}", mirror.table, sets.join(" "))
}

fn identity(planned: &Planned) -> Value {
    let mirror = &planned.mirror;
    let columns: Vec<Value> = mirror
        .pairs
        .iter()
        .map(|pair| {
            json!({"source": pair.source.as_str(), "target": pair.target.as_str(), "type": pair.target_type,
                   "using": pair.forward.as_ref().map(zdm_mirror::Expression::plain)})
        })
        .collect();
    json!({"table": mirror.table.plain(), "trigger": mirror.object_name().as_str(), "columns": columns,
           "both_ways": mirror.both_ways, "always": mirror.always, "warnings": planned.warnings})
}

fn merge(into: &mut Value, from: Value) {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}

fn differences_json(differences: &[Difference]) -> Vec<Value> {
    differences
        .iter()
        .map(|difference| {
            json!({"kind": difference.kind(), "table": difference.table(), "object": difference.object(),
                   "message": difference.to_string()})
        })
        .collect()
}

fn comparison_json(comparison: &Comparison) -> Value {
    let examples: Vec<Value> = comparison
        .examples
        .iter()
        .map(|example| {
            let columns: Vec<Value> = example
                .columns
                .iter()
                .map(|column| {
                    json!({"source": column.source, "source_value": column.source_value, "target": column.target,
                           "target_value": column.target_value, "expected": column.expected})
                })
                .collect();
            json!({"table": example.table, "key": example.key, "columns": columns, "error": example.error})
        })
        .collect();
    json!({"rows": comparison.rows, "differing": comparison.differing, "examples": examples})
}

fn example_line(example: &Example) -> String {
    let value = |value: &Option<String>| value.as_ref().map_or_else(|| "NULL".to_owned(), |text| shortened(text));
    let columns: Vec<String> = example
        .columns
        .iter()
        .map(|column| {
            let shown = format!(
                "{} = {}, {} = {}",
                column.source,
                value(&column.source_value),
                column.target,
                value(&column.target_value)
            );
            match (&example.error, &column.expected) {
                (None, expected) if *expected != column.source_value => {
                    format!("{shown}, should be {}", value(expected))
                }
                _ => shown,
            }
        })
        .collect();
    let error = example.error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
    format!("row {} of {}: {}{error}", example.key, example.table, columns.join(", "))
}

/// A value on one line, cut at 60 characters.
fn shortened(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(61).collect();
    if line.chars().count() > 60 { format!("{}…", line.chars().take(59).collect::<String>()) } else { line }
}

/// `12,345`.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

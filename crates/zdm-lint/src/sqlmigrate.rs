//! `zdm-lint sqlmigrate`: the SQL that Django will send, per operation, with its effects.

use std::fmt::Write as _;
use std::mem::ManuallyDrop;
use std::ops::ControlFlow;
use std::process::ExitCode;

use serde::Serialize;
use zdm_django::Operation;
use zdm_postgres::Effects;
use zdm_replay::{MigrationTrace, Step, Trace};
use zdm_workspace::Workspace;

use crate::args::{ListFormat, SqlmigrateArgs};
use crate::check::{nothing_found, project_request};
use crate::terminal::{Failure, print, print_part, written};
use crate::wire::{WireEffects, in_words};

pub(crate) fn run(args: &SqlmigrateArgs) -> Result<ExitCode, Failure> {
    let request = project_request(&args.project, args.root.iter().cloned().collect())?;
    // The process ends with the command: giving back what it learned piece by piece would only take time.
    let workspace = ManuallyDrop::new(Workspace::load(&request)?);
    if workspace.project.migrations.is_empty() {
        return Err(nothing_found(&workspace.place, &workspace.walk));
    }
    let one = args.app.as_ref().zip(args.name.as_ref());
    if args.all && args.format == ListFormat::Text {
        return Ok(written(print_all(&workspace)));
    }
    let trace = ManuallyDrop::new(workspace.replay());
    let chosen: Vec<&MigrationTrace> = match one {
        Some((app, name)) => vec![find(&trace, app, name)?],
        None => trace.migrations.iter().filter(|trace| of_project(trace)).collect(),
    };
    Ok(print(&match args.format {
        ListFormat::Text => {
            let mut text = String::new();
            for trace in &chosen {
                write_migration(&mut text, trace);
            }
            text
        }
        ListFormat::Json => as_json(&chosen, &workspace)?,
    }))
}

fn of_project(trace: &MigrationTrace) -> bool {
    trace.migration.origin == zdm_django::migration::MigrationOrigin::Project
}

/// The migration of that app and name, or the only one whose name begins so, as Django's own command takes it.
pub(crate) fn find<'a>(trace: &'a Trace, app: &str, name: &str) -> Result<&'a MigrationTrace, Failure> {
    let of_app: Vec<&MigrationTrace> =
        trace.migrations.iter().filter(|trace| *trace.migration.key.app == *app).collect();
    if of_app.is_empty() {
        let labels = trace.migrations.iter().map(|trace| &*trace.migration.key.app);
        let failure = Failure::new(format!("no app `{app}` with migrations was found"));
        return Err(match zdm_workspace::config::nearest(app, labels) {
            Some(near) => failure.with_help(format!("did you mean `{near}`?")),
            None => failure,
        });
    }
    if let Some(exact) = of_app.iter().find(|trace| *trace.migration.key.name == *name) {
        return Ok(exact);
    }
    let matching: Vec<&&MigrationTrace> =
        of_app.iter().filter(|trace| trace.migration.key.name.starts_with(name)).collect();
    match matching.as_slice() {
        [one] => Ok(one),
        [] => {
            let failure = Failure::new(format!("app `{app}` has no migration `{name}`"));
            let names = of_app.iter().map(|trace| &*trace.migration.key.name);
            Err(match zdm_workspace::config::nearest(name, names) {
                Some(near) => failure.with_help(format!("did you mean `{near}`?")),
                None => failure,
            })
        }
        several => {
            let names: Vec<&str> = several.iter().map(|trace| &*trace.migration.key.name).collect();
            Err(Failure::new(format!("`{name}` means several migrations of `{app}`"))
                .with_help(format!("write more of the name: {}", names.join(", "))))
        }
    }
}

/// Every migration of the project, each as soon as it is replayed.
fn print_all(workspace: &Workspace) -> std::io::Result<()> {
    /// Bytes that are written at once.
    const PART: usize = 64 * 1024;
    let mut text = String::new();
    let mut result = Ok(());
    let mut first = true;
    workspace.replay_each(|trace| {
        if of_project(&trace) {
            if !std::mem::take(&mut first) {
                text.push('\n');
            }
            write_migration(&mut text, &trace);
        }
        if text.len() < PART {
            return ControlFlow::Continue(());
        }
        result = print_part(&text);
        text.clear();
        if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    result.and_then(|()| print_part(&text))
}

fn write_migration(text: &mut String, trace: &MigrationTrace) {
    let migration = &trace.migration;
    let atomic = if migration.atomic { "" } else { ", not atomic" };
    let _ = writeln!(text, "-- {} ({}{atomic})", migration.key, migration.file.path());
    if migration.atomic {
        text.push_str("BEGIN;\n");
    }
    for (operation, part) in migration.operations.iter().zip(&trace.operations) {
        let _ = writeln!(text, "--\n-- {}", describe(operation));
        for (_, reason) in &part.not_analysed {
            let _ = writeln!(text, "-- not analysed: {reason}");
        }
        if part.python {
            text.push_str("-- runs Python, which is not shown\n");
        }
        let mut steps = trace.steps_of(part.index).filter(|step| !step.deferred).peekable();
        if steps.peek().is_none() && part.not_analysed.is_empty() && !part.python {
            text.push_str("-- (no SQL)\n");
        }
        for step in steps {
            write_step(text, step);
        }
    }
    let deferred: Vec<&Step> = trace.steps.iter().filter(|step| step.deferred).collect();
    if !deferred.is_empty() {
        text.push_str("--\n-- sent at the end\n");
        for step in deferred {
            write_step(text, step);
        }
    }
    if migration.atomic {
        text.push_str("COMMIT;\n");
    }
}

fn write_step(text: &mut String, step: &Step) {
    let _ = writeln!(text, "{};", step.sql.trim_end().trim_end_matches(';'));
    match &step.outcome.error {
        Some(error) => {
            let _ = writeln!(text, "--   refused: {} ({})", error.message, error.sqlstate);
        }
        None => {
            let _ = writeln!(text, "--   {}", in_words(&step.outcome.effects));
        }
    }
}

/// `AddIndex on order`: the class with the first name it was given.
pub(crate) fn describe(operation: &Operation) -> String {
    use zdm_django::OperationKind as Kind;
    let name = operation.title();
    match &operation.kind {
        Kind::CreateModel { name: model, .. }
        | Kind::DeleteModel { name: model }
        | Kind::AlterModelTable { name: model, .. }
        | Kind::AlterModelTableComment { name: model, .. }
        | Kind::AlterUniqueTogether { name: model, .. }
        | Kind::AlterIndexTogether { name: model, .. }
        | Kind::AlterOrderWithRespectTo { name: model, .. }
        | Kind::AlterModelOptions { name: model, .. }
        | Kind::AlterModelManagers { name: model } => format!("{name} {model}"),
        Kind::RenameModel { old_name, new_name } => format!("{name} {old_name} to {new_name}"),
        Kind::AddField { model_name, field, .. } | Kind::AlterField { model_name, field, .. } => {
            format!("{name} {model_name}.{}", field.name)
        }
        Kind::RemoveField { model_name, name: field } => format!("{name} {model_name}.{field}"),
        Kind::RenameField { model_name, old_name, new_name } => {
            format!("{name} {model_name}.{old_name} to {new_name}")
        }
        Kind::AddIndex { model_name, .. }
        | Kind::RemoveIndex { model_name, .. }
        | Kind::RenameIndex { model_name, .. }
        | Kind::AddConstraint { model_name, .. }
        | Kind::RemoveConstraint { model_name, .. }
        | Kind::AlterConstraint { model_name, .. }
        | Kind::ValidateConstraint { model_name, .. } => format!("{name} on {model_name}"),
        _ => name.to_owned(),
    }
}

#[derive(Debug, Serialize)]
struct WireDocument<'a> {
    version: u32,
    django: String,
    postgres: String,
    migrations: Vec<WireMigration<'a>>,
}

#[derive(Debug, Serialize)]
struct WireMigration<'a> {
    app: &'a str,
    name: &'a str,
    path: &'a str,
    atomic: bool,
    operations: Vec<WireOperation<'a>>,
}

#[derive(Debug, Serialize)]
struct WireOperation<'a> {
    index: usize,
    operation: &'a str,
    line: u32,
    analysed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_analysed: Vec<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    python: bool,
    statements: Vec<WireStatement<'a>>,
    deferred: Vec<WireStatement<'a>>,
}

#[derive(Debug, Serialize)]
struct WireStatement<'a> {
    sql: &'a str,
    effects: WireEffects,
    in_transaction: bool,
    /// A Python value in it could not be evaluated and is replaced by a placeholder.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    placeholder: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<WireError<'a>>,
    /// The single statements, where several are sent together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<WireStatement<'a>>,
}

#[derive(Debug, Serialize)]
struct WireError<'a> {
    sqlstate: &'static str,
    message: &'a str,
}

fn as_json(chosen: &[&MigrationTrace], workspace: &Workspace) -> Result<String, Failure> {
    let migrations = chosen
        .iter()
        .map(|trace| {
            let migration = &trace.migration;
            let operations = migration
                .operations
                .iter()
                .zip(&trace.operations)
                .map(|(operation, part)| WireOperation {
                    index: part.index,
                    operation: operation.name(),
                    line: migration.file.line_column(operation.span.start).line,
                    analysed: part.not_analysed.is_empty(),
                    not_analysed: part.not_analysed.iter().map(|(_, reason)| reason.as_str()).collect(),
                    python: part.python,
                    statements: wire_calls(trace.steps_of(part.index).filter(|step| !step.deferred)),
                    deferred: wire_calls(trace.steps_of(part.index).filter(|step| step.deferred)),
                })
                .collect();
            WireMigration {
                app: &migration.key.app,
                name: &migration.key.name,
                path: migration.file.path(),
                atomic: migration.atomic,
                operations,
            }
        })
        .collect();
    let document = WireDocument {
        version: 1,
        django: workspace.django.version.to_string(),
        postgres: workspace.postgres.version.to_string(),
        migrations,
    };
    serde_json::to_string_pretty(&document)
        .map_err(|error| Failure::new(format!("the SQL cannot be written as JSON: {error}")))
}

/// One entry per message that Django sends; where it holds several statements, its effects are those of all of them,
/// and each stands in `parts`.
fn wire_calls<'a>(steps: impl Iterator<Item = &'a Step>) -> Vec<WireStatement<'a>> {
    let steps: Vec<&Step> = steps.collect();
    steps
        .chunk_by(|one, other| one.call == other.call)
        .filter_map(|call| match call {
            [] => None,
            [one] => Some(wire_step(one, &one.sent)),
            [first, ..] => {
                let mut entry = wire_step(first, &first.sent);
                let mut effects = Effects::default();
                for step in call {
                    effects.add(&step.outcome.effects);
                }
                entry.effects = WireEffects::from(&effects);
                entry.placeholder = call.iter().any(|step| step.placeholder);
                entry.error = call.iter().find_map(|step| wire_error(step));
                entry.parts = call.iter().map(|step| wire_step(step, &step.sql)).collect();
                Some(entry)
            }
        })
        .collect()
}

fn wire_step<'a>(step: &'a Step, sql: &'a str) -> WireStatement<'a> {
    WireStatement {
        sql,
        effects: WireEffects::from(&step.outcome.effects),
        in_transaction: step.transaction.is_some() && !step.implicit,
        placeholder: step.placeholder,
        error: wire_error(step),
        parts: Vec::new(),
    }
}

fn wire_error(step: &Step) -> Option<WireError<'_>> {
    step.outcome.error.as_ref().map(|error| WireError { sqlstate: error.sqlstate, message: &error.message })
}

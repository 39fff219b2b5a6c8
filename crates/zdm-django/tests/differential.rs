//! The plan, and every operation, against real Django.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};
use zdm_django::field::FieldKind;
use zdm_django::operation::{Constraint, ConstraintKind, Index, Operation, OperationKind, Options, SqlSource};
use zdm_django::project::sources::{Folder, Sources};
use zdm_django::{DjangoVersion, Field, Project, ProjectConfig, ProjectInput, Value};
use zdm_source::SourceFile;

/// A folder of the disk.
#[derive(Debug)]
struct Disk(PathBuf);

impl Folder for Disk {
    fn read(&self, path: &str) -> Option<SourceFile> {
        let text = std::fs::read_to_string(self.0.join(path)).ok()?;
        Some(SourceFile::new(format!("site-packages/{path}"), text))
    }

    fn modules_in(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.join(folder)).into_iter().flatten().filter_map(Result::ok);
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "py")).collect()
    }

    fn names_in(&self, folder: &str) -> Option<Vec<String>> {
        let entries = std::fs::read_dir(self.0.join(folder)).ok()?.filter_map(Result::ok);
        Some(entries.filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }
}

fn read(root: &Path) -> Vec<SourceFile> {
    let mut files = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "py" || extension == "sql")
                && let Ok(text) = std::fs::read_to_string(&path)
                && let Ok(relative) = path.strip_prefix(root)
            {
                files.push(SourceFile::new(relative.to_string_lossy().replace('\\', "/"), text));
            }
        }
    }
    files
}

fn site_packages(environment: &Path) -> Option<PathBuf> {
    let lib = std::fs::read_dir(environment.join("lib")).ok()?.filter_map(Result::ok);
    lib.map(|entry| entry.path().join("site-packages")).find(|path| path.is_dir())
}

/// What was compared, and where both differ.
#[derive(Default)]
struct Report {
    operations: usize,
    equal: usize,
    not_analysed: usize,
    /// Values that are known to be unknown.
    unknown_values: usize,
    differences: Vec<String>,
}

/// A project of the tests with one of the environments it is replayed in.
struct Place {
    found: zdm_testkit::Project,
    environment: zdm_testkit::Django,
}

#[test]
fn plan_and_operations_are_django_s() {
    let mut places = Vec::new();
    for found in zdm_testkit::projects().into_iter().filter(|found| found.settings().is_some()) {
        places.extend(found.environments().into_iter().map(|environment| Place { found: found.clone(), environment }));
    }
    let next = AtomicUsize::new(0);
    let compared = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(place) = places.get(index) else { break };
                    let report = compare_place(place);
                    compared.lock().expect("no thread has panicked").insert(index, report);
                }
            });
        }
    });
    let compared = compared.into_inner().expect("no thread has panicked");
    if compared.values().all(|(_, report)| report.operations == 0) {
        zdm_testkit::skip::record("plans and operations", "no project can be replayed; run `cargo xtask setup`");
        return;
    }
    let mut table = String::from(
        "project                  Django migrations  plan  operations  equal  not analysed  unknown values\n",
    );
    for (line, _) in compared.values() {
        table.push_str(line);
    }
    let differences: Vec<&String> = compared.values().flat_map(|(_, report)| &report.differences).collect();
    for difference in &differences {
        let _ = writeln!(table, "    {difference}");
    }
    {
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), "{table}");
    }
    assert!(differences.is_empty(), "{} differences", differences.len());
}

/// One line of the table, and what it is made from.
fn compare_place(Place { found, environment }: &Place) -> (String, Report) {
    let settings = found.settings().expect("only those with settings are here");
    let dump = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dump.py");
    let output = environment.command().arg(dump).arg(found.root()).arg(settings).output();
    let output = output.expect("the environment's Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: Json = serde_json::from_slice(&output.stdout).expect("the script prints JSON");
    let version: DjangoVersion = environment.version().parse().expect("a series of Django");
    let config =
        ProjectConfig { settings_module: Some(settings.to_owned()), django: version, ..ProjectConfig::default() };
    let packages = site_packages(environment.dir()).map(|path| Arc::new(Disk(path)) as Arc<dyn Folder>);
    let project = Project::build(&ProjectInput {
        sources: Sources::in_memory(read(found.root()), &[]),
        environment: packages.into_iter().collect(),
        texts: Vec::new(),
        config,
    });
    let mut differences = Vec::new();
    let plan_equal = plans(&project, &theirs, found.name(), &mut differences);
    let mut report = operations(&project, &theirs);
    let place = |line: String| format!("{} on {}: {line}", found.name(), environment.version());
    differences.extend(report.differences.into_iter().map(place));
    report.differences = differences;
    let line = format!(
        "{:<24} {:>6} {:>10} {:>5} {:>11} {:>6} {:>13} {:>15}\n",
        found.name(),
        environment.version(),
        project.graph.order().len(),
        if plan_equal { "equal" } else { "NOT" },
        report.operations,
        report.equal,
        report.not_analysed,
        report.unknown_values,
    );
    (line, report)
}

fn plans(project: &Project, theirs: &Json, name: &str, differences: &mut Vec<String>) -> bool {
    let theirs: Vec<&str> = theirs["plan"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let installed: std::collections::BTreeSet<&str> =
        theirs.iter().filter_map(|key| key.split_once('.').map(|(app, _)| app)).collect();
    // Apps of the project that these settings do not install.
    let ours: Vec<String> = project
        .in_order()
        .filter(|migration| installed.contains(&*migration.key.app))
        .map(|migration| migration.key.to_string())
        .collect();
    let difference = ours.iter().zip(&theirs).position(|(one, other)| one != other);
    if ours.len() == theirs.len() && difference.is_none() {
        return true;
    }
    let index = difference.unwrap_or(ours.len().min(theirs.len()));
    differences.push(format!(
        "{name}: plans differ at {index}: {:?}, Django {:?} ({} and {})",
        ours.get(index),
        theirs.get(index),
        ours.len(),
        theirs.len()
    ));
    false
}

fn operations(project: &Project, theirs: &Json) -> Report {
    let mut report = Report::default();
    let known: BTreeMap<String, &zdm_django::Migration> =
        project.migrations.iter().map(|migration| (migration.key.to_string(), migration)).collect();
    for (key, theirs) in theirs["migrations"].as_object().into_iter().flatten() {
        let Some(ours) = known.get(key) else {
            report.differences.push(format!("{key} is missing"));
            continue;
        };
        let mut check = |what: &str, ours: Json, theirs: &Json| {
            if ours != *theirs {
                report.differences.push(format!("{key}: {what}: {ours}, Django {theirs}"));
            }
        };
        check("atomic", json!(ours.atomic), &theirs["atomic"]);
        check("initial", json!(ours.initial), &theirs["initial"]);
        check("replaces", ours.replaces.iter().map(ToString::to_string).collect(), &theirs["replaces"]);
        let builtin = ours.origin == zdm_django::MigrationOrigin::Builtin;
        let list = theirs["operations"].as_array().map_or(&[][..], Vec::as_slice);
        compare_lists(key, &ours.operations, list, builtin, &mut report);
    }
    report
}

fn compare_lists(place: &str, ours: &[Operation], theirs: &[Json], builtin: bool, report: &mut Report) {
    if ours.len() != theirs.len() && !ours.iter().any(|operation| operation.conditional) {
        report.differences.push(format!("{place}: {} operations, Django {}", ours.len(), theirs.len()));
    }
    let mut theirs = theirs.iter();
    for (index, operation) in ours.iter().enumerate() {
        let place = format!("{place}[{index}] {}", operation.name());
        // An operation under a condition may not be there.
        let class = operation.class.rsplit('.').next().unwrap_or("");
        let Some(other) = theirs.as_slice().first() else { continue };
        let same_class = other["class"].as_str().is_some_and(|name| name.rsplit('.').next() == Some(class));
        if operation.conditional && !same_class {
            continue;
        }
        theirs.next();
        report.operations += 1;
        if let OperationKind::Unknown { .. } = &operation.kind {
            report.not_analysed += 1;
            continue;
        }
        let before = report.differences.len();
        compare(&place, operation, other, builtin, report);
        if report.differences.len() == before {
            report.equal += 1;
        }
    }
}

/// Compares what both know; Django leaves out arguments that have their default.
struct Comparison<'a> {
    place: &'a str,
    builtin: bool,
    report: &'a mut Report,
}

impl Comparison<'_> {
    fn differ(&mut self, what: &str, ours: &impl std::fmt::Debug, theirs: &Json) {
        let mut ours = format!("{ours:?}");
        let mut theirs = theirs.to_string();
        for text in [&mut ours, &mut theirs] {
            if let Some((index, _)) = text.char_indices().nth(160) {
                text.truncate(index);
            }
        }
        self.report.differences.push(format!("{}: {what}: {ours}, Django {theirs}", self.place));
    }

    fn value(&mut self, what: &str, ours: &Value, theirs: &Json) {
        if ours.has_unknown() {
            self.report.unknown_values += 1;
        } else if !same(ours, theirs) {
            self.differ(what, ours, theirs);
        }
    }

    fn text(&mut self, what: &str, ours: &str, theirs: &Json) {
        if theirs.as_str() != Some(ours) {
            self.differ(what, &ours, theirs);
        }
    }

    fn field(&mut self, ours: &Field, theirs: &Json) {
        let what = format!("field {}", ours.name);
        let internal = theirs["internal"].as_str().unwrap_or("");
        let db_type = &theirs["db_type"];
        match &ours.class.kind {
            FieldKind::Unknown { .. } => {
                self.report.unknown_values += 1;
                return;
            }
            FieldKind::Django(class) => {
                // A relation's column has the type of what it points to.
                let relation = matches!(&**class, "ForeignKey" | "OneToOneField" | "ManyToManyField");
                if !relation && internal_type(class) != internal {
                    self.differ(&format!("{what}: internal type"), class, &theirs["internal"]);
                }
            }
            FieldKind::Custom { db_type: ours, .. } => {
                if db_type.as_str() != Some(ours) {
                    self.differ(&format!("{what}: column type"), ours, db_type);
                }
            }
            FieldKind::NoColumn => {
                if !db_type.is_null() {
                    self.differ(&format!("{what}: no column"), &(), db_type);
                }
            }
        }
        let written = theirs["class"].as_str().unwrap_or("");
        if !same_name(&ours.class.written, written) && !self.builtin {
            self.differ(&format!("{what}: class"), &ours.class.written, &theirs["class"]);
        }
        for (name, theirs) in theirs["kwargs"].as_object().into_iter().flatten() {
            match ours.kwarg(name) {
                Some(value) => self.value(&format!("{what}: {name}"), value, theirs),
                None if self.builtin || computed(ours, name) => {}
                None => self.differ(&format!("{what}: {name} is missing"), &(), theirs),
            }
        }
    }

    fn options(&mut self, ours: &Options, theirs: &Json) {
        let empty = Vec::new();
        let entries = theirs["dict"].as_array().unwrap_or(&empty);
        for entry in entries {
            let name = entry[0].as_str().unwrap_or("");
            let value = &entry[1];
            match name {
                "indexes" => {
                    let list = value["list"].as_array().map_or(&[][..], Vec::as_slice);
                    if list.len() != ours.indexes.len() {
                        self.differ("indexes", &ours.indexes.len(), value);
                    }
                    for (index, theirs) in ours.indexes.iter().zip(list) {
                        self.index(index, theirs);
                    }
                }
                "constraints" => {
                    let list = value["list"].as_array().map_or(&[][..], Vec::as_slice);
                    if list.len() != ours.constraints.len() {
                        self.differ("constraints", &ours.constraints.len(), value);
                    }
                    for (constraint, theirs) in ours.constraints.iter().zip(list) {
                        self.constraint(constraint, theirs);
                    }
                }
                _ => match ours.get(name) {
                    Some(known) if matches!(name, "unique_together" | "index_together") => {
                        self.together(name, known, value);
                    }
                    Some(known) => self.value(name, known, value),
                    None if self.builtin => {}
                    None => self.differ(name, &(), value),
                },
            }
        }
    }

    /// Sets of tuples, or one tuple.
    fn together(&mut self, what: &str, ours: &Value, theirs: &Json) {
        if ours.has_unknown() {
            self.report.unknown_values += 1;
            return;
        }
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        let mut groups: Vec<Vec<String>> = match ours.items() {
            Some(items) if items.iter().any(|item| item.as_str().is_some()) => vec![items.iter().map(text).collect()],
            Some(items) => items.iter().map(|item| item.items().unwrap_or(&[]).iter().map(text).collect()).collect(),
            None => Vec::new(),
        };
        let json_text = |value: &Json| value.as_str().unwrap_or("").to_owned();
        let group = |value: &Json| value["list"].as_array().into_iter().flatten().map(json_text).collect::<Vec<_>>();
        let mut expected: Vec<Vec<String>> = theirs["list"].as_array().into_iter().flatten().map(group).collect();
        groups.sort();
        expected.sort();
        if groups != expected {
            self.differ(what, &groups, theirs);
        }
    }

    fn index(&mut self, ours: &Index, theirs: &Json) {
        if ours.unknown.is_some() {
            self.report.unknown_values += 1;
            return;
        }
        if !theirs["call"].as_str().is_some_and(|name| name.ends_with(&*ours.class)) {
            self.differ("index class", &ours.class, &theirs["call"]);
        }
        let arguments = theirs["args"].as_array().map_or(&[][..], Vec::as_slice);
        if arguments.len() != ours.expressions.len() {
            self.differ("expressions", &ours.expressions, &theirs["args"]);
        }
        for (expression, theirs) in ours.expressions.iter().zip(arguments) {
            self.value("expression", expression, theirs);
        }
        for (name, value) in theirs["kwargs"].as_object().into_iter().flatten() {
            match name.as_str() {
                "name" => self.text("index name", ours.name.as_deref().unwrap_or(""), value),
                "fields" => {
                    let list = Value::List(ours.fields.iter().map(|field| Value::Str(Arc::clone(field))).collect());
                    self.value("index fields", &list, value);
                }
                "condition" => self.value("condition", ours.condition.as_ref().unwrap_or(&Value::None), value),
                _ => self.value(name, ours.kwarg(name).unwrap_or(&Value::None), value),
            }
        }
    }

    fn constraint(&mut self, ours: &Constraint, theirs: &Json) {
        let kwargs = &theirs["kwargs"];
        self.text("constraint name", &ours.name, &kwargs["name"]);
        match &ours.kind {
            ConstraintKind::Check { condition } => {
                let theirs = if kwargs["condition"].is_null() { &kwargs["check"] } else { &kwargs["condition"] };
                self.value("check", condition, theirs);
            }
            ConstraintKind::Unique { fields, expressions, condition } => {
                if !kwargs["fields"].is_null() {
                    let list = Value::List(fields.iter().map(|field| Value::Str(Arc::clone(field))).collect());
                    self.value("constraint fields", &list, &kwargs["fields"]);
                }
                for (expression, theirs) in expressions.iter().zip(theirs["args"].as_array().into_iter().flatten()) {
                    self.value("expression", expression, theirs);
                }
                if let Some(condition) = condition {
                    self.value("condition", condition, &kwargs["condition"]);
                }
            }
            ConstraintKind::Exclusion { .. } => {}
            ConstraintKind::Unknown { .. } => self.report.unknown_values += 1,
        }
    }
}

fn compare(place: &str, ours: &Operation, theirs: &Json, builtin: bool, report: &mut Report) {
    let class = theirs["class"].as_str().unwrap_or("");
    let base = theirs["base"].as_str().unwrap_or("");
    let kwargs = &theirs["kwargs"];
    if !same_name(&ours.class, class) {
        report.differences.push(format!("{place}: class {}, Django {class}", ours.class));
        return;
    }
    let mut at = Comparison { place, builtin, report };
    match &ours.kind {
        OperationKind::CreateModel { name, fields, options, .. } => {
            at.text("name", name, &kwargs["name"]);
            let list = kwargs["fields"]["list"].as_array().map_or(&[][..], Vec::as_slice);
            if list.len() != fields.len() {
                at.differ("fields", &fields.len(), &json!(list.len()));
            }
            for (field, pair) in fields.iter().zip(list) {
                at.text("field name", &field.name, &pair["list"][0]);
                at.field(field, &pair["list"][1]);
            }
            at.options(options, &kwargs["options"]);
        }
        OperationKind::DeleteModel { name } => at.text("name", name, &kwargs["name"]),
        OperationKind::RenameModel { old_name, new_name } => {
            at.text("old_name", old_name, &kwargs["old_name"]);
            at.text("new_name", new_name, &kwargs["new_name"]);
        }
        OperationKind::AddField { model_name, field, preserve_default }
        | OperationKind::AlterField { model_name, field, preserve_default } => {
            at.text("model_name", model_name, &kwargs["model_name"]);
            at.text("name", &field.name, &kwargs["name"]);
            at.field(field, &kwargs["field"]);
            if kwargs["preserve_default"].as_bool().unwrap_or(true) != *preserve_default {
                at.differ("preserve_default", preserve_default, &kwargs["preserve_default"]);
            }
        }
        OperationKind::RemoveField { model_name, name } => {
            at.text("model_name", model_name, &kwargs["model_name"]);
            at.text("name", name, &kwargs["name"]);
        }
        OperationKind::RenameField { model_name, old_name, new_name } => {
            at.text("model_name", model_name, &kwargs["model_name"]);
            at.text("old_name", old_name, &kwargs["old_name"]);
            at.text("new_name", new_name, &kwargs["new_name"]);
        }
        OperationKind::AlterModelTable { name, table } => {
            at.text("name", name, &kwargs["name"]);
            let table = table.as_ref().map_or(Value::None, |table| Value::Str(Arc::clone(table)));
            at.value("table", &table, &kwargs["table"]);
        }
        OperationKind::AlterUniqueTogether { name, unique_together } => {
            at.text("name", name, &kwargs["name"]);
            at.together("unique_together", unique_together, &kwargs["unique_together"]);
        }
        OperationKind::AlterIndexTogether { name, index_together } => {
            at.text("name", name, &kwargs["name"]);
            at.together("index_together", index_together, &kwargs["index_together"]);
        }
        OperationKind::AlterModelOptions { name, options } => {
            at.text("name", name, &kwargs["name"]);
            at.options(options, &kwargs["options"]);
        }
        OperationKind::AddIndex { model_name, index, .. } => {
            at.text("model_name", model_name, &kwargs["model_name"]);
            at.index(index, &kwargs["index"]);
        }
        OperationKind::RemoveIndex { model_name, name, .. } | OperationKind::RemoveConstraint { model_name, name } => {
            at.text("model_name", model_name, &kwargs["model_name"]);
            at.text("name", name, &kwargs["name"]);
        }
        OperationKind::RenameIndex { model_name, new_name, old_name, old_fields } => {
            at.text("model_name", model_name, &kwargs["model_name"]);
            at.text("new_name", new_name, &kwargs["new_name"]);
            if let Some(old_name) = old_name {
                at.text("old_name", old_name, &kwargs["old_name"]);
            }
            if let Some(fields) = old_fields {
                let list = Value::List(fields.iter().map(|field| Value::Str(Arc::clone(field))).collect());
                at.value("old_fields", &list, &kwargs["old_fields"]);
            }
        }
        OperationKind::AddConstraint { model_name, constraint, .. } => {
            at.text("model_name", model_name, &kwargs["model_name"]);
            at.constraint(constraint, &kwargs["constraint"]);
        }
        OperationKind::RunSql(sql) => {
            match &sql.sql {
                SqlSource::Texts(texts) => match &kwargs["sql"] {
                    Json::String(text) => {
                        let ours: Vec<&str> = texts.iter().map(|text| &*text.text).collect();
                        let expected: Vec<&str> = if text.is_empty() { Vec::new() } else { vec![text] };
                        if ours != expected {
                            at.differ("sql", &ours, &kwargs["sql"]);
                        }
                    }
                    list => {
                        if list["list"].as_array().map_or(0, Vec::len) != texts.len() {
                            at.differ("sql", &texts.len(), list);
                        }
                    }
                },
                SqlSource::Unknown { .. } => at.report.unknown_values += 1,
            }
            if sql.reverse_sql.is_none() != kwargs["reverse_sql"].is_null() {
                at.differ("reverse_sql", &sql.reverse_sql.is_some(), &kwargs["reverse_sql"]);
            }
        }
        OperationKind::RunPython(python) => {
            let code = |value: &Value| match value {
                Value::Symbol(name) => name.rsplit('.').next().unwrap_or("").to_owned(),
                _ => String::new(),
            };
            let theirs = kwargs["code"]["symbol"].as_str().unwrap_or("");
            if theirs.rsplit('.').next() != Some(code(&python.code).as_str()) && !theirs.ends_with("<lambda>") {
                at.differ("code", &python.code, &kwargs["code"]);
            }
            if python.reverse_code.is_none() != kwargs["reverse_code"].is_null() {
                at.differ("reverse_code", &python.reverse_code, &kwargs["reverse_code"]);
            }
        }
        // A subclass that does one half of its base has none of these arguments.
        OperationKind::SeparateDatabaseAndState { database_operations, state_operations }
            if base == "SeparateDatabaseAndState" =>
        {
            for (name, ours) in [("database_operations", database_operations), ("state_operations", state_operations)] {
                let list = kwargs[name]["list"].as_array().map_or(&[][..], Vec::as_slice);
                compare_lists(&format!("{place} {name}"), ours, list, builtin, at.report);
            }
        }
        _ => {}
    }
}

/// Arguments that a field's `deconstruct` adds of its own.
fn computed(field: &Field, name: &str) -> bool {
    match name {
        // CharField subclasses with a fixed length, and Django's defaults that it always writes.
        "max_length" => !field.is("CharField") || !field.class.written.starts_with("django."),
        "to" | "verbose_name" | "null" | "editable" | "unique" | "db_index" | "blank" | "default" => {
            !field.class.written.starts_with("django.")
        }
        _ => !field.class.written.starts_with("django."),
    }
}

fn internal_type(class: &str) -> &str {
    match class {
        "EmailField" | "URLField" | "CommaSeparatedIntegerField" => "CharField",
        "ImageField" => "FileField",
        class => class,
    }
}

/// Names of one thing: Django's inner modules are not part of what is written.
fn same_name(ours: &str, theirs: &str) -> bool {
    let parts = |name: &str| {
        let first = name.split('.').next().unwrap_or("").to_owned();
        let last = name.rsplit('.').next().unwrap_or("").to_owned();
        (first, last)
    };
    ours == theirs || parts(ours) == parts(theirs)
}

fn same(ours: &Value, theirs: &Json) -> bool {
    match ours {
        Value::None => theirs.is_null(),
        Value::Bool(value) => theirs.as_bool() == Some(*value),
        Value::Int(value) => theirs.as_i64().map(i128::from) == Some(*value) || theirs.as_f64() == Some(float(*value)),
        Value::Float(value) => theirs.as_f64() == Some(*value),
        // Django writes the references to models in lower case.
        Value::Str(text) => theirs.as_str().is_some_and(|other| other == &**text || other == text.to_lowercase()),
        Value::Bytes(bytes) => theirs["bytes"].as_array().is_some_and(|other| other.len() == bytes.len()),
        Value::List(items) | Value::Tuple(items) => theirs["list"].as_array().is_some_and(|other| {
            other.len() == items.len() && items.iter().zip(other).all(|(one, other)| same(one, other))
        }),
        Value::Set(items) => theirs["list"].as_array().is_some_and(|other| {
            other.len() == items.len() && items.iter().all(|one| other.iter().any(|other| same(one, other)))
        }),
        Value::Dict(entries) => theirs["dict"].as_array().is_some_and(|other| {
            other.len() == entries.len()
                && entries.iter().zip(other).all(|((key, value), pair)| same(key, &pair[0]) && same(value, &pair[1]))
        }),
        Value::Symbol(name) => match &theirs["symbol"] {
            Json::String(other) => same_name(name, other),
            _ => !theirs["other"].is_null() || !theirs["call"].is_null(),
        },
        // Objects are compared as far as their class goes; `Q(…)` and `F(…)` with their operators are not data here.
        Value::Call(call) => {
            let class = theirs["call"].as_str().or_else(|| theirs["field"].as_str());
            class.is_none_or(|class| same_name(&call.callee, class) || call.callee.starts_with("operator."))
        }
        Value::Setting(_) | Value::Unknown(_) => true,
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers in migrations are small")]
fn float(value: i128) -> f64 {
    value as f64
}

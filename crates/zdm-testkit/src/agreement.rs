//! What `zdm-lint` predicts against what Django did, as one row of a table and a list of differences.
//!
//! The prediction comes in as the JSON that `zdm-lint sqlmigrate --all` and `zdm-lint state` print, so the same
//! comparison holds the library and the program to the truth. Statements of an operation are compared in order, except
//! where Django's own order is not stable (sets of field groups); deferred statements are compared as a set. Of both
//! worlds the keys of the contract are compared, and of many-to-many fields, which have no column, nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::compare;
use crate::oracle::{self, OracleReport};

/// How far a prediction and a replay agree.
#[derive(Debug, Clone, Default)]
pub struct Agreement {
    /// The project's name.
    pub project: String,
    /// Django's full version.
    pub django: String,
    /// Top-level operations that Django executed.
    pub operations: usize,
    /// Those that the prediction says it has analysed.
    pub analysed: usize,
    /// Statements that Django executed in analysed operations.
    pub statements: usize,
    /// Those that were predicted, at their place.
    pub statements_equal: usize,
    /// Statements that were predicted in analysed operations and never executed.
    pub statements_wrong: usize,
    /// Models that either side has in the end.
    pub models: usize,
    /// Those that are equal.
    pub models_equal: usize,
    /// Tables that either side has in the end.
    pub tables: usize,
    /// Those that are equal.
    pub tables_equal: usize,
    /// Everything that is not equal, for a person to read.
    pub differences: Vec<String>,
}

/// The JSON of `zdm-lint`.
#[derive(Debug, Clone, Copy)]
pub struct Prediction<'a> {
    /// `zdm-lint sqlmigrate --all --format json`.
    pub sqlmigrate: &'a Value,
    /// `zdm-lint state --format json`.
    pub state: &'a Value,
}

/// Compares a whole history. Apps that either side has no migration of are left out.
pub fn agreement(project: &str, report: &OracleReport, prediction: Prediction<'_>) -> Agreement {
    let mut result = Agreement { project: project.to_owned(), django: report.django.clone(), ..Agreement::default() };
    let predicted: BTreeMap<(&str, &str), &Value> = list(prediction.sqlmigrate, "migrations")
        .iter()
        .map(|migration| ((text(migration, "app"), text(migration, "name")), migration))
        .collect();
    let replayed: BTreeSet<&str> = report.migrations.iter().map(|migration| migration.app.as_str()).collect();
    let apps: BTreeSet<&str> = predicted.keys().map(|(app, _)| *app).filter(|app| replayed.contains(app)).collect();

    for migration in report.migrations.iter().filter(|migration| apps.contains(migration.app.as_str())) {
        let place = format!("{}.{}", migration.app, migration.name);
        let Some(other) = predicted.get(&(migration.app.as_str(), migration.name.as_str())) else {
            result.operations += migration.operations.len();
            result.differences.push(format!("{place} is not predicted"));
            continue;
        };
        for operation in &migration.operations {
            result.operations += 1;
            let other = list(other, "operations").iter().find(|other| other["index"] == operation.index);
            compare_operation(&mut result, &place, operation, other);
        }
    }

    let in_apps = |label: &str| label.split('.').next().is_some_and(|app| apps.contains(app));
    let real = report.models.iter().map(|(label, model)| (label.clone(), model_shape(model)));
    let real: BTreeMap<String, Value> = real.filter(|(label, _)| in_apps(label)).collect();
    let ours = map(prediction.state, "models").filter(|(label, _)| in_apps(label));
    let ours: BTreeMap<String, Value> = ours.map(|(label, model)| (label, contract_model(&model))).collect();
    (result.models, result.models_equal) = compare_maps(&mut result.differences, "model", &real, &ours);

    let foreign = foreign_tables(report, &in_apps);
    let real = report.tables.iter().filter(|(name, _)| !foreign.contains(name.as_str()));
    let real: BTreeMap<String, Value> = real.map(|(name, table)| (name.clone(), table_shape(table))).collect();
    // Apps that only the prediction has: their tables, and those of their many-to-many fields.
    let unplayed: Vec<String> = map(prediction.state, "models")
        .filter(|(label, _)| !in_apps(label))
        .filter_map(|(_, model)| model["db_table"].as_str().map(str::to_owned))
        .collect();
    let is_unplayed = |name: &str| {
        unplayed
            .iter()
            .any(|table| name.strip_prefix(table.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')))
    };
    let ours = map(prediction.state, "tables")
        .filter(|(name, _)| !foreign.contains(name.as_str()))
        .filter(|(name, _)| report.tables.contains_key(name) || !is_unplayed(name));
    let ours: BTreeMap<String, Value> = ours.map(|(name, table)| (name, contract_table(&table))).collect();
    (result.tables, result.tables_equal) = compare_maps(&mut result.differences, "table", &real, &ours);
    result
}

/// The rows as a table with a heading.
pub fn table(rows: &[Agreement]) -> String {
    let mut text = format!(
        "{:<24} {:<8} {:>10} {:>9} {:>18} {:>6} {:>12} {:>14}\n",
        "project", "Django", "operations", "analysed", "statements equal", "wrong", "state equal", "catalog equal"
    );
    for row in rows {
        let _ = writeln!(text, "{row}");
    }
    text
}

impl Agreement {
    /// Whether everything was analysed and everything is equal.
    pub fn is_complete(&self) -> bool {
        self.differences.is_empty() && self.analysed == self.operations
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |equal: usize, all: usize| format!("{equal}/{all}");
        write!(
            f,
            "{:<24} {:<8} {:>10} {:>9} {:>18} {:>6} {:>12} {:>14}",
            self.project,
            self.django,
            self.operations,
            self.analysed,
            of(self.statements_equal, self.statements),
            self.statements_wrong,
            of(self.models_equal, self.models),
            of(self.tables_equal, self.tables),
        )
    }
}

/// The SQL of a predicted statement; a Python value that could not be told matches any.
fn predicted_sql(statement: &Value) -> String {
    let sql = text(statement, "sql");
    if statement["placeholder"] == Value::Bool(true) {
        sql.replace("'<python value>'", compare::WILDCARD)
    } else {
        sql.to_owned()
    }
}

fn compare_operation(result: &mut Agreement, place: &str, operation: &oracle::Operation, other: Option<&Value>) {
    let Some(other) = other else {
        result.differences.push(format!("{place}, operation {} is not predicted", operation.index));
        return;
    };
    let class = text(other, "operation");
    let place = format!("{place}, operation {} ({})", operation.index, operation.operation);
    if other["analysed"] == Value::Bool(false) {
        result.differences.push(format!("{place} is not analysed"));
        return;
    }
    result.analysed += 1;
    if class != operation.operation {
        result.differences.push(format!("{place} is taken for a {class}"));
    }
    // Django keeps groups of fields, and the models that point at a renamed one, in sets, so that its order may differ
    // from run to run.
    let ordered = !matches!(class, "AlterUniqueTogether" | "AlterIndexTogether" | "RenameModel");
    for (kind, real, ordered) in
        [("statements", &operation.statements, ordered), ("deferred", &operation.deferred, false)]
    {
        let real: Vec<&str> = real.iter().map(|statement| statement.sql.as_str()).collect();
        let ours: Vec<String> = list(other, kind).iter().map(predicted_sql).collect();
        let ours: Vec<&str> = ours.iter().map(String::as_str).collect();
        result.statements += real.len();
        let (equal, wrong) = matched(&real, &ours);
        result.statements_wrong += wrong;
        let compared = if ordered { compare::lists(&real, &ours) } else { compare::sets(&real, &ours) };
        match compared {
            Ok(()) => result.statements_equal += real.len(),
            Err(difference) => {
                // The right statements in the wrong order are one statement wrong.
                result.statements_equal +=
                    if equal == real.len() && wrong == 0 { equal.saturating_sub(1) } else { equal };
                result.differences.push(format!("{place}, {kind}:\n{difference}"));
            }
        }
    }
}

/// How many of the real statements were predicted, and how many predictions are left over.
fn matched(real: &[&str], ours: &[&str]) -> (usize, usize) {
    let mut left: Vec<&str> = ours.to_vec();
    let mut equal = 0;
    for statement in real {
        if let Some(at) = left.iter().position(|other| compare::lists(&[*statement], &[*other]).is_ok()) {
            left.swap_remove(at);
            equal += 1;
        }
    }
    (equal, left.len())
}

fn compare_maps(
    differences: &mut Vec<String>,
    what: &str,
    real: &BTreeMap<String, Value>,
    ours: &BTreeMap<String, Value>,
) -> (usize, usize) {
    let names: BTreeSet<&String> = real.keys().chain(ours.keys()).collect();
    let mut equal = 0;
    for name in &names {
        match (real.get(*name), ours.get(*name)) {
            (Some(real), Some(ours)) if real == ours => equal += 1,
            (Some(real), Some(ours)) => {
                let lines = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default() + "\n";
                let (real, ours) = (lines(real), lines(ours));
                let diff = similar::TextDiff::from_lines(real.as_str(), ours.as_str());
                let mut unified = diff.unified_diff();
                let diff = unified.context_radius(4).header("Django", "zdm-lint").to_string();
                differences.push(format!("{what} {name}:\n{diff}"));
            }
            (Some(_), None) => differences.push(format!("{what} {name} is missing")),
            _ => differences.push(format!("{what} {name} does not exist")),
        }
    }
    (names.len(), equal)
}

/// Tables of models whose app is not compared.
fn foreign_tables<'r>(report: &'r OracleReport, in_apps: &dyn Fn(&str) -> bool) -> BTreeSet<&'r str> {
    let mut tables = BTreeSet::new();
    for (_, model) in report.models.iter().filter(|(label, _)| !in_apps(label)) {
        tables.insert(model.db_table.as_str());
        tables.extend(model.fields.iter().filter_map(|field| field.through.as_ref()).map(|t| t.table.as_str()));
    }
    tables
}

fn model_shape(model: &oracle::Model) -> Value {
    let fields: Vec<Value> = model
        .fields
        .iter()
        .filter(|field| field.column.is_some())
        .map(|field| {
            json!({
                "name": field.name, "column": field.column, "db_type": field.db_type, "null": field.null,
                "primary_key": field.primary_key, "unique": field.unique, "db_index": field.db_index,
                "has_db_default": field.has_db_default,
                "references": field.references.as_ref().map(|to| json!({"table": to.table, "column": to.column})),
            })
        })
        .collect();
    json!({
        "db_table": model.db_table, "managed": model.managed, "proxy": model.proxy, "fields": fields,
        "indexes": names(&model.indexes), "constraints": names(&model.constraints),
        "unique_together": model.unique_together,
    })
}

fn table_shape(table: &oracle::Table) -> Value {
    let columns = table.columns.iter().map(
        |column| json!({"name": column.name, "type": column.data_type, "null": column.null, "default": column.default}),
    );
    let constraints = table.constraints.iter().map(|constraint| {
        json!({
            "name": constraint.name, "kind": constraint.kind, "definition": constraint.definition,
            "valid": constraint.valid,
        })
    });
    let indexes = table.indexes.iter().map(|index| {
        json!({"name": index.name, "definition": index.definition, "unique": index.unique, "valid": index.valid})
    });
    json!({
        "columns": columns.collect::<Vec<_>>(), "constraints": constraints.collect::<Vec<_>>(),
        "indexes": indexes.collect::<Vec<_>>(),
        "triggers": table.triggers.iter().map(|trigger| trigger.name.as_str()).collect::<Vec<_>>(),
    })
}

/// The same shapes from our JSON: the contract's keys alone, lists of names sorted as the oracle has them.
fn contract_model(model: &Value) -> Value {
    let fields: Vec<Value> = list(model, "fields")
        .iter()
        .filter(|field| !field["column"].is_null())
        .map(|field| {
            let mut shape = pick(
                field,
                &["name", "column", "db_type", "null", "primary_key", "unique", "db_index", "has_db_default"],
            );
            shape["references"] = match &field["references"] {
                Value::Null => Value::Null,
                to => pick(to, &["table", "column"]),
            };
            shape
        })
        .collect();
    let mut shape = pick(model, &["db_table", "managed", "proxy"]);
    shape["fields"] = fields.into();
    shape["indexes"] = names(list(model, "indexes"));
    shape["constraints"] = names(list(model, "constraints"));
    let mut together: Vec<Value> = list(model, "unique_together").to_vec();
    together.sort_by_key(Value::to_string);
    shape["unique_together"] = together.into();
    shape
}

fn contract_table(table: &Value) -> Value {
    let picked = |key: &str, keys: &[&str], sorted: bool| -> Value {
        let mut entries: Vec<Value> = list(table, key).iter().map(|entry| pick(entry, keys)).collect();
        if sorted {
            entries.sort_by(|one, other| text(one, "name").cmp(text(other, "name")));
        }
        entries.into()
    };
    json!({
        "columns": picked("columns", &["name", "type", "null", "default"], false),
        "constraints": picked("constraints", &["name", "kind", "definition", "valid"], true),
        "indexes": picked("indexes", &["name", "definition", "unique", "valid"], true),
        "triggers": names(list(table, "triggers")),
    })
}

/// The names of a list of objects or of strings, in the list's order.
fn names(entries: &[Value]) -> Value {
    entries.iter().map(|entry| entry.get("name").unwrap_or(entry).clone()).collect()
}

fn pick(value: &Value, keys: &[&str]) -> Value {
    keys.iter().map(|key| ((*key).to_owned(), value[*key].clone())).collect()
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn map(value: &Value, key: &str) -> impl Iterator<Item = (String, Value)> {
    value[key].as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone()))
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

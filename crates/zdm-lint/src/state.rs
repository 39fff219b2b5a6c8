//! `zdm-lint state`: both worlds, Django's state and PostgreSQL's catalog, after everything or after one migration.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::mem::ManuallyDrop;
use std::process::ExitCode;

use serde::Serialize;
use zdm_django::ProjectState;
use zdm_django::resolve::{Context, ResolvedField, Resolver};
use zdm_postgres::Catalog;
use zdm_postgres::catalog::{ConstraintKind, Index, Table};
use zdm_postgres::deparse;
use zdm_workspace::Workspace;

use crate::args::{ListFormat, StateArgs};
use crate::check::{nothing_found, project_request};
use crate::sqlmigrate::find;
use crate::terminal::{Failure, print};

pub(crate) fn run(args: &StateArgs) -> Result<ExitCode, Failure> {
    let request = project_request(&args.project, args.root.iter().cloned().collect())?;
    // The process ends with the command: giving back what it learned piece by piece would only take time.
    let workspace = ManuallyDrop::new(Workspace::load(&request)?);
    if workspace.project.migrations.is_empty() {
        return Err(nothing_found(&workspace.place, &workspace.walk));
    }
    let trace = ManuallyDrop::new(workspace.replay());
    let chosen = match &args.at {
        None => trace.migrations.last(),
        Some(at) => {
            let (app, name) = at.split_once('.').ok_or_else(|| {
                Failure::new(format!("`{at}` is not of the form APP.NAME"))
                    .with_help("for example --at shop.0003_add_index")
            })?;
            Some(find(&trace, app, name)?)
        }
    };
    let empty = (ProjectState::new(), Catalog::new());
    let (state, catalog) = chosen.map_or((&empty.0, &empty.1), |trace| (&trace.state_after, &trace.catalog_after));
    let document = document(state, catalog, &trace.options.context);
    Ok(print(&match args.format {
        ListFormat::Json => serde_json::to_string_pretty(&document)
            .map_err(|error| Failure::new(format!("the state cannot be written as JSON: {error}")))?,
        ListFormat::Text => as_text(&document),
    }))
}

#[derive(Debug, Serialize)]
struct WireState {
    version: u32,
    models: BTreeMap<String, WireModel>,
    tables: BTreeMap<String, WireTable>,
}

#[derive(Debug, Serialize)]
struct WireModel {
    db_table: Option<String>,
    managed: bool,
    proxy: bool,
    fields: Vec<WireField>,
    indexes: Vec<String>,
    constraints: Vec<String>,
    unique_together: Vec<Vec<String>>,
    /// What could not be told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_analysed: Vec<String>,
    /// Whether the model is there, or what its table is, depends on a condition that is not known.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    uncertain: bool,
    /// The fields, indexes, constraints and options of which that holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    uncertain_names: Vec<String>,
}

#[derive(Debug, Serialize)]
struct WireField {
    name: String,
    column: Option<String>,
    db_type: Option<String>,
    null: bool,
    primary_key: bool,
    unique: bool,
    db_index: bool,
    has_db_default: bool,
    references: Option<WireReference>,
}

#[derive(Debug, Serialize)]
struct WireReference {
    table: String,
    column: Option<String>,
}

#[derive(Debug, Serialize)]
struct WireTable {
    columns: Vec<WireColumn>,
    constraints: Vec<WireConstraint>,
    indexes: Vec<WireIndex>,
    triggers: Vec<String>,
    /// Only its existence is known.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    assumed: bool,
    /// Something happened to it that is not known: a statement that the server refuses, an operation that may not run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    uncertain: bool,
}

#[derive(Debug, Serialize)]
struct WireColumn {
    name: String,
    r#type: String,
    null: bool,
    default: Option<String>,
}

#[derive(Debug, Serialize)]
struct WireConstraint {
    name: String,
    kind: &'static str,
    definition: String,
    valid: bool,
}

#[derive(Debug, Serialize)]
struct WireIndex {
    name: String,
    definition: String,
    unique: bool,
    valid: bool,
}

fn document(state: &ProjectState, catalog: &Catalog, context: &Context) -> WireState {
    let resolver = Resolver::new(state, context);
    let models = state
        .models()
        .filter(|model| !model.assumed)
        .map(|model| {
            let mut not_analysed = Vec::new();
            let (db_table, fields) = match resolver.model(&model.key()) {
                Ok(resolved) => {
                    let mut fields = Vec::new();
                    for field in &resolved.fields {
                        match field {
                            Ok(field) => fields.push(wire_field(field)),
                            Err((name, reason)) => not_analysed.push(format!("{name}: {reason}")),
                        }
                    }
                    (Some(resolved.table.to_string()), fields)
                }
                Err(reason) => {
                    not_analysed.push(reason);
                    (None, Vec::new())
                }
            };
            let wire = WireModel {
                db_table,
                managed: model.is_managed(),
                proxy: model.is_proxy(),
                fields,
                indexes: model
                    .options
                    .indexes
                    .iter()
                    .filter_map(|index| index.name.as_deref().map(str::to_owned))
                    .collect(),
                constraints: model.options.constraints.iter().map(|constraint| constraint.name.to_string()).collect(),
                unique_together: model
                    .together("unique_together")
                    .iter()
                    .map(|fields| fields.iter().map(ToString::to_string).collect())
                    .collect(),
                not_analysed,
                uncertain: state.is_uncertain(&model.key()),
                uncertain_names: state.uncertain_names(&model.key()).map(str::to_owned).collect(),
            };
            (format!("{}.{}", model.app, model.name), wire)
        })
        .collect();
    let tables = catalog.tables().map(|table| (table.name.to_string(), wire_table(table, catalog))).collect();
    WireState { version: 1, models, tables }
}

fn wire_field(field: &ResolvedField) -> WireField {
    WireField {
        name: field.field.name.to_string(),
        column: field.column.as_ref().map(ToString::to_string),
        db_type: field.db_type.as_ref().map(ToString::to_string),
        null: field.null,
        primary_key: field.primary_key,
        unique: field.unique,
        db_index: field.db_index,
        has_db_default: field.db_default().is_some(),
        references: field.foreign_key().map(|relation| WireReference {
            table: relation.table.to_string(),
            column: relation.column.as_ref().map(ToString::to_string),
        }),
    }
}

fn wire_table(table: &Table, catalog: &Catalog) -> WireTable {
    WireTable {
        columns: table
            .columns
            .iter()
            .map(|column| WireColumn {
                name: column.name.to_string(),
                r#type: column.data_type.to_string(),
                null: !column.not_null,
                // A generated column's expression is no default.
                default: if column.generated.is_some() { None } else { deparse::default(catalog, table, column) },
            })
            .collect(),
        constraints: table
            .constraints
            .iter()
            // A valid one says no more than the column's own `null` (18).
            .filter(|constraint| !(matches!(constraint.kind, ConstraintKind::NotNull { .. }) && constraint.valid))
            .map(|constraint| WireConstraint {
                name: constraint.name.to_string(),
                kind: constraint.kind.label(),
                definition: deparse::constraint(catalog, table, constraint),
                valid: constraint.valid,
            })
            .collect(),
        indexes: table.indexes.iter().map(|index| wire_index(table, index, catalog)).collect(),
        triggers: table.triggers.iter().map(|trigger| trigger.name.to_string()).collect(),
        assumed: table.assumed,
        uncertain: table.uncertain && !table.assumed,
    }
}

fn wire_index(table: &Table, index: &Index, catalog: &Catalog) -> WireIndex {
    WireIndex {
        name: index.name.to_string(),
        definition: deparse::index(catalog, table, index),
        unique: index.unique,
        valid: index.valid,
    }
}

fn as_text(document: &WireState) -> String {
    let mut text = String::new();
    for (label, model) in &document.models {
        let marks = match (model.proxy, model.managed) {
            (true, _) => ", proxy",
            (false, false) => ", not managed",
            _ => "",
        };
        let _ = writeln!(text, "model {label} ({}{marks})", model.db_table.as_deref().unwrap_or("table unknown"));
        for field in &model.fields {
            let Some(db_type) = &field.db_type else {
                let _ = writeln!(text, "    {}: no column", field.name);
                continue;
            };
            let mut marks = String::new();
            for (holds, mark) in [
                (field.primary_key, " primary key"),
                (field.null, " null"),
                (field.unique && !field.primary_key, " unique"),
                (field.db_index, " indexed"),
                (field.has_db_default, " database default"),
            ] {
                if holds {
                    marks.push_str(mark);
                }
            }
            if let Some(references) = &field.references {
                let _ = write!(marks, " -> {}.{}", references.table, references.column.as_deref().unwrap_or("?"));
            }
            let _ = writeln!(text, "    {}: {} {db_type}{marks}", field.name, field.column.as_deref().unwrap_or("?"));
        }
        if model.uncertain {
            let _ = writeln!(text, "    uncertain: the model as a whole");
        }
        if !model.uncertain_names.is_empty() {
            let _ = writeln!(text, "    uncertain: {}", model.uncertain_names.join(", "));
        }
        for reason in &model.not_analysed {
            let _ = writeln!(text, "    not analysed: {reason}");
        }
    }
    for (name, table) in &document.tables {
        let mark = match (table.assumed, table.uncertain) {
            (true, _) => " (assumed)",
            (false, true) => " (uncertain)",
            (false, false) => "",
        };
        let _ = writeln!(text, "table {name}{mark}");
        for column in &table.columns {
            let null = if column.null { "" } else { " NOT NULL" };
            let default = column.default.as_ref().map(|default| format!(" DEFAULT {default}")).unwrap_or_default();
            let _ = writeln!(text, "    {} {}{null}{default}", column.name, column.r#type);
        }
        for constraint in &table.constraints {
            let _ = writeln!(text, "    constraint {}: {}", constraint.name, constraint.definition);
        }
        for index in &table.indexes {
            let valid = if index.valid { "" } else { " INVALID" };
            let _ = writeln!(text, "    index {}: {}{valid}", index.name, index.definition);
        }
        for trigger in &table.triggers {
            let _ = writeln!(text, "    trigger {trigger}");
        }
    }
    text
}

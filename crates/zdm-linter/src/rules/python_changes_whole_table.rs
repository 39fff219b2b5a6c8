//! ZDM305: Python code changes all rows of a table at once.

use std::sync::Arc;

use zdm_django::operation::{CodeFactKind, Rows};
use zdm_django::state::ModelState;
use zdm_django::{Resolver, Value};
use zdm_postgres::{Ident, QualifiedName};
use zdm_source::{Diagnostic, Severity};

use super::whole_table_in_one_statement::is_unique;
use crate::context::Cx;
use crate::words::{
    Kept, kept_by, method_as_written, old_table_of, python_operations, rows_of, set_option, weigh_rows,
};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for (index, run) in python_operations(cx) {
        for fact in &run.body.facts {
            let (call, verb, model, rows) = match &fact.kind {
                CodeFactKind::Updates { model, rows, .. } => ("update", "updates", model, rows),
                CodeFactKind::BulkUpdates { model, rows } => ("bulk_update", "updates", model, rows),
                CodeFactKind::Deletes { model, rows } => ("delete", "deletes", model, rows),
                _ => continue,
            };
            if *rows == Rows::Few {
                continue;
            }
            let Some((state, table)) = old_table_of(cx, index, model) else { continue };
            // One row after the other is ZDM306's matter.
            if chooses_one(cx, index, &state, &table, rows) && (!fact.perhaps || is_each(rows)) {
                continue;
            }
            let call = method_as_written(
                cx,
                fact.span,
                call,
                match call {
                    "update" => &["aupdate"],
                    "bulk_update" => &["abulk_update"],
                    _ => &["adelete", "_raw_delete"],
                },
            );
            let chosen = matches!(rows, Rows::Some(_));
            let which = rows;
            let rows = rows_of(rows, &table);
            let end = match kept_by(cx, run, fact) {
                Some(Kept::ByTheMigration) => "the migration commits",
                Some(Kept::ByTheCode) => "the code's transaction commits",
                None => "it is done",
            };
            let mut diagnostic = cx
                .at_span(
                    fact.span,
                    if chosen {
                        format!("`{call}()` {verb} {rows} at once, however many they are, and keeps them locked until {end}: their writers wait")
                    } else {
                        format!("`{call}()` {verb} {rows} and keeps them locked until {end}: writers of these rows wait for all of it")
                    },
                )
                .with_fact(if verb == "deletes" {
                    "the deleted rows stay in the table and its indexes until a vacuum after it: replicas lag, and vacuum cannot clean up before the end"
                } else {
                    "the dead versions of all these rows stay until the end: the table and its indexes grow, replicas lag, and vacuum cannot clean up"
                });
            if chosen && cx.config.own_severity(cx.page, cx.migration.migration.file.path()).is_none() {
                diagnostic.severity = Severity::Info;
            }
            diagnostic.primary.message = format!("{verb} {rows}");
            diagnostic.subject.operation = Some(index);
            let backfill = match &fact.kind {
                CodeFactKind::Updates { set: Some(set), rows, .. } => assignments(cx, index, &state, set, rows),
                _ => None,
            };
            let backfill = backfill.map(|options| {
                format!("fill it in batches outside of the migration: `zdm backfill run --table {table} {options}`")
            });
            diagnostic = diagnostic.with_help(backfill.unwrap_or_else(|| IN_BATCHES.to_owned()));
            weigh_rows(cx, which, &table, &mut diagnostic);
            out.push(diagnostic);
        }
    }
}

const IN_BATCHES: &str =
    "work in batches by primary key ranges, each in a transaction of its own, in a migration with `atomic = False`";

/// Each round of a loop chooses other rows.
pub(super) fn is_each(rows: &Rows) -> bool {
    matches!(rows, Rows::Some(Some(condition)) if condition.each)
}

/// The condition gives a value to each column of a unique index.
pub(super) fn chooses_one(cx: &Cx<'_>, index: usize, model: &ModelState, table: &QualifiedName, rows: &Rows) -> bool {
    let Rows::Some(Some(condition)) = rows else { return false };
    let Some(operation) = cx.migration.operations.get(index) else { return false };
    let resolver = Resolver::new(&operation.state_before, &cx.options.context);
    let columns: Vec<Arc<str>> = condition.equal.iter().filter_map(|name| column_of(resolver, model, name)).collect();
    let given = |column: &Ident| columns.iter().any(|own| **own == *column.as_str());
    cx.migration.catalog_before.table(table).is_some_and(|table| is_unique(table, given))
}

/// `--set "total = 0" --where "total IS NULL"`; None where an assignment is not a constant or a column.
fn assignments(
    cx: &Cx<'_>,
    index: usize,
    model: &Arc<ModelState>,
    set: &[(Arc<str>, Value)],
    rows: &Rows,
) -> Option<String> {
    let resolver = Resolver::new(&cx.migration.operations.get(index)?.state_before, &cx.options.context);
    let column = |name: &str| {
        model.field(name).or_else(|| model.field(name.strip_suffix("_id")?))?;
        column_of(resolver, model, name)
    };
    let mut options = Vec::new();
    for (name, value) in set {
        let value = match value {
            Value::None => "NULL".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Str(text) if !text.contains(['"', '\\', '$', '`', '\n']) => {
                format!("'{}'", text.replace('\'', "''"))
            }
            Value::Call(call) if call.name() == "F" => match call.args.as_slice() {
                [Value::Str(other)] => column(other)?.to_string(),
                _ => return None,
            },
            _ => return None,
        };
        options.push(format!("--set {}", set_option(&Ident::new(column(name)?), &value)));
    }
    if options.is_empty() {
        return None;
    }
    match rows {
        Rows::All => {}
        Rows::WhereNull(field) => options.push(format!("--where \"{} IS NULL\"", column(field)?)),
        Rows::Some(_) | Rows::Few => return None,
    }
    Some(options.join(" "))
}

/// The column that code means by the name of a field, or by that of a foreign key with `_id` behind it.
fn column_of(resolver: Resolver<'_>, model: &ModelState, name: &str) -> Option<Arc<str>> {
    let field = resolver.field(model, name);
    field.or_else(|_| resolver.field(model, name.strip_suffix("_id").unwrap_or(name))).ok()?.column
}

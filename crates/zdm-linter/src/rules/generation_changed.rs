//! ZDM220: a column is no longer generated or numbered as running code expects.

use zdm_postgres::statement::AlterTableAction;
use zdm_postgres::{Ident, QualifiedName};
use zdm_replay::Step;
use zdm_source::{Diagnostic, Severity};

use super::{alter_actions, column_name};
use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        for (alter, action) in alter_actions(step) {
            let table = &alter.name;
            if !cx.existed(step, table) {
                continue;
            }
            let (column, what) = match action {
                AlterTableAction::DropExpression { column, .. } => (
                    column,
                    "is no longer computed: INSERTs of the code that is still running leave it out, and new rows get NULL or its default",
                ),
                AlterTableAction::SetExpression { column, .. } => (
                    column,
                    "computes something else from here on, while the code that is still running reads it as before",
                ),
                AlterTableAction::DropIdentity { column, .. } => (
                    column,
                    "gets no number any more: INSERTs of the code that is still running leave it to the database and fail with a not-null violation",
                ),
                AlterTableAction::SetIdentity { column, always: Some(true), .. }
                    if is_by_default(step, table, column) =>
                {
                    let mut diagnostic = cx
                        .at_step(
                            step,
                            format!(
                                "{} takes numbers from its sequence only: INSERTs of the code that is still running fail where they give it a value, as `save()` and `bulk_create()` of objects with a key do",
                                column_name(table, column)
                            ),
                        )
                        .with_help("release code that leaves the column to the database first");
                    if cx.config.own_severity(cx.page, cx.migration.migration.file.path()).is_none() {
                        diagnostic.severity = Severity::Warning;
                    }
                    out.push(diagnostic);
                    continue;
                }
                _ => continue,
            };
            let there = |column: &zdm_postgres::Ident| {
                step.catalog_before
                    .table(table)
                    .and_then(|table| table.column(column.as_str()))
                    .is_some_and(|column| column.identity.is_some() || column.generated.is_some())
            };
            if !there(column) {
                continue;
            }
            // Another column has its name and draws numbers when the transaction ends.
            let numbered_again = step.transaction.is_some()
                && cx
                    .migration
                    .catalog_after
                    .table(table)
                    .and_then(|table| table.column(column.as_str()))
                    .is_some_and(|column| column.identity.is_some());
            if matches!(action, AlterTableAction::DropIdentity { .. }) && numbered_again {
                continue;
            }
            out.push(cx.at_step(step, format!("{} {what}", column_name(table, column))).with_help(
                "release code that writes the column itself first; or add a second column and switch to it",
            ));
        }
    }
}

fn is_by_default(step: &Step, table: &QualifiedName, column: &Ident) -> bool {
    let known = step.catalog_before.table(table).and_then(|table| table.column(column.as_str()));
    known.and_then(|column| column.identity.as_ref()).is_some_and(|identity| !identity.always)
}

//! ZDM703: ADD COLUMN … NOT NULL without a default fails on a table with rows.

use zdm_django::operation::{CodeFactKind, CodeModel, Rows};
use zdm_postgres::statement::{AlterTableAction, ColumnConstraintKind};
use zdm_postgres::{QualifiedName, Statement};
use zdm_replay::Step;
use zdm_source::Diagnostic;

use super::{alter_actions, column_name, gives_value};
use crate::context::Cx;
use crate::words::{named_model, python_operations};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        for (alter, action) in alter_actions(step) {
            let AlterTableAction::AddColumn { column, .. } = action else { continue };
            let filled = gives_value(column.default_expr())
                || column.data_type.as_ref().is_some_and(zdm_postgres::DataType::is_serial)
                || column.constraints.iter().any(|constraint| {
                    matches!(
                        constraint.kind,
                        ColumnConstraintKind::Generated { .. } | ColumnConstraintKind::Identity { .. }
                    )
                });
            if !column.is_not_null() || filled || !cx.existed(step, &alter.name) {
                continue;
            }
            if is_emptied(cx, step, &alter.name) {
                continue;
            }
            // IF NOT EXISTS on a column that is there adds nothing.
            if step.catalog_before.table(&alter.name).is_some_and(|table| table.column(column.name.as_str()).is_some())
            {
                continue;
            }
            out.push(
                cx.at_step(
                    step,
                    format!("adding {} as NOT NULL without a default fails as soon as `{}` has a row", column_name(&alter.name, &column.name), alter.name),
                )
                .with_help("give it a default that stays in the database, or add it as nullable and make it NOT NULL once it is filled"),
            );
        }
    }
}

/// The migration takes all rows out of the table before `step`, in the same transaction, and puts none in.
fn is_emptied(cx: &Cx<'_>, step: &Step, table: &QualifiedName) -> bool {
    let mut emptied = false;
    for earlier in cx.accepted().take_while(|earlier| earlier.number < step.number) {
        if earlier.transaction.is_none() || earlier.transaction != step.transaction {
            continue;
        }
        match &earlier.statement {
            Statement::Truncate { tables, .. } if tables.contains(table) => emptied = true,
            Statement::Delete(delete) if delete.table == *table && delete.predicate.is_none() => emptied = true,
            Statement::Insert(insert) if insert.table == *table => return false,
            _ => {}
        }
    }
    let table_of = |index: usize, model: &CodeModel| named_model(cx, index, model).map(|found| found.table);
    for (index, run) in python_operations(cx) {
        if index >= step.operation || !cx.migration.migration.atomic || step.transaction.is_none() {
            continue;
        }
        for fact in &run.body.facts {
            match &fact.kind {
                CodeFactKind::Deletes { model, rows: Rows::All }
                    if !fact.perhaps && table_of(index, model).as_ref() == Some(table) =>
                {
                    emptied = true;
                }
                CodeFactKind::Creates { model }
                | CodeFactKind::CreatesAtOnce { model }
                | CodeFactKind::CreatesEach { model, .. }
                    if table_of(index, model).is_none_or(|made| made == *table) =>
                {
                    return false;
                }
                CodeFactKind::NotRead { .. } | CodeFactKind::RowsNotRead { .. } => return false,
                _ => {}
            }
        }
    }
    emptied
}

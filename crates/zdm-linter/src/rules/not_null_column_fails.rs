//! ZDM703: ADD COLUMN … NOT NULL without a default fails on a table with rows.

use zdm_postgres::statement::{AlterTableAction, ColumnConstraintKind};
use zdm_source::Diagnostic;

use super::{alter_actions, column_name, gives_value};
use crate::context::Cx;

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

//! ZDM113: ADD COLUMN rewrites the table for a reason other than a volatile default.

use zdm_postgres::catalog::UserTypeKind;
use zdm_postgres::statement::{AlterTableAction, ColumnConstraintKind, ColumnDef};
use zdm_replay::Step;
use zdm_source::Diagnostic;

use super::{alter_actions, column_name, rewrites_for};
use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        for (alter, action) in alter_actions(step) {
            let AlterTableAction::AddColumn { column, .. } = action else { continue };
            let table = &alter.name;
            if column.default_expr().is_some()
                || !cx.existed(step, table)
                || !step.outcome.effects.rewrites.contains(table)
                || !rewrites_for(cx, step, alter, action)
            {
                continue;
            }
            let generated = column
                .constraints
                .iter()
                .any(|constraint| matches!(constraint.kind, ColumnConstraintKind::Generated { stored: true, .. }));
            let numbered = column.data_type.as_ref().is_some_and(zdm_postgres::DataType::is_serial)
                || column.constraints.iter().any(|c| matches!(c.kind, ColumnConstraintKind::Identity { .. }));
            let (what, help) = if generated {
                (
                    "a stored generated column: its value is computed for each existing row",
                    "add an ordinary column, keep it filled by a trigger (`zdm mirror`) and backfill it; or, from PostgreSQL 18 on, use a virtual generated column (`db_persist=False`)",
                )
            } else if numbered {
                (
                    "a serial or identity column: each existing row gets a number",
                    "add a nullable column, create the sequence and set the default in a second statement, backfill in batches, then build the unique index concurrently",
                )
            } else if is_domain(step, column) {
                (
                    "its type is a domain with constraints: each existing row is checked",
                    "use the domain's base type and add the constraint with NOT VALID",
                )
            } else {
                // Another action of the statement rewrites the table.
                continue;
            };
            let mut diagnostic = cx
                .at_step(
                    step,
                    format!(
                        "adding {} rewrites the table and blocks every query on it, SELECT included, until it is done",
                        column_name(table, &column.name)
                    ),
                )
                .with_fact(what)
                .with_help(help);
            cx.weigh(table, &mut diagnostic);
            out.push(diagnostic);
        }
    }
}

fn is_domain(step: &Step, column: &ColumnDef) -> bool {
    let named = column.data_type.as_ref().and_then(|data_type| step.catalog_before.user_type(&data_type.name));
    named.is_some_and(|named| matches!(named.kind, UserTypeKind::Domain(_)))
}

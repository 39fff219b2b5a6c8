//! ZDM127: PRIMARY KEY USING INDEX over a nullable column sets NOT NULL and reads the table.

use zdm_postgres::statement::{AlterTableAction, TableConstraintKind};
use zdm_source::Diagnostic;

use super::alter_actions;
use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        for (alter, action) in alter_actions(step) {
            let AlterTableAction::AddConstraint(constraint) = action else { continue };
            let TableConstraintKind::PrimaryKey(key) = &constraint.kind else { continue };
            let Some(index) = &key.using_index else { continue };
            let table = &alter.name;
            if !cx.existed(step, table) || !step.outcome.effects.scans.contains(table) {
                continue;
            }
            let mut diagnostic = cx
                .at_step(
                    step,
                    format!("making `{index}` the primary key of `{table}` also sets its columns NOT NULL, and every query waits while PostgreSQL reads the whole table to look for NULLs"),
                )
                .with_help("make the columns NOT NULL first, behind a validated CHECK (… IS NOT NULL)");
            cx.weigh(table, &mut diagnostic);
            out.push(diagnostic);
        }
    }
}

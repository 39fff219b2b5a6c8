//! ZDM129: a constraint is enforced from now on, and every row is checked (18).

use zdm_postgres::statement::AlterTableAction;
use zdm_source::Diagnostic;

use super::alter_actions;
use crate::context::{Cx, blocked_by};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        for (alter, action) in alter_actions(step) {
            let AlterTableAction::AlterConstraint { name, enforced: Some(true), .. } = action else { continue };
            let table = &alter.name;
            if !cx.existed(step, table) || !step.outcome.effects.scans.contains(table) {
                continue;
            }
            let Some(mode) = step.outcome.effects.locks.get(table).copied() else { continue };
            let mut diagnostic = cx
                .at_step(
                    step,
                    format!(
                        "enforcing constraint `{name}` blocks {} on `{table}` while PostgreSQL checks every row",
                        blocked_by(mode)
                    ),
                )
                .with_fact(format!("{mode} is held on `{table}` meanwhile"))
                .with_help("drop the constraint, add it again with NOT VALID, and validate it in the next migration");
            cx.weigh(table, &mut diagnostic);
            out.push(diagnostic);
        }
    }
}

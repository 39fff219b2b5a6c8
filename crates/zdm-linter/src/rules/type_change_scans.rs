//! ZDM124: ALTER COLUMN … TYPE keeps the rows but reads them, or rebuilds indexes, under ACCESS EXCLUSIVE.

use zdm_postgres::statement::AlterTableAction;
use zdm_source::Diagnostic;

use super::{alter_actions, column_name};
use crate::context::{Cx, name_list};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let effects = &step.outcome.effects;
        for (alter, action) in alter_actions(step) {
            let AlterTableAction::AlterColumnType { column, data_type, .. } = action else { continue };
            let table = &alter.name;
            if !cx.existed(step, table) || effects.rewrites.contains(table) {
                continue;
            }
            let what = format!("changing the type of {} to `{data_type}`", column_name(table, column));
            let mut diagnostic = if !effects.index_builds.is_empty() {
                cx.at_step(
                    step,
                    format!(
                        "{what} rebuilds {} while every query on `{table}` is blocked, SELECT included",
                        name_list(&effects.index_builds)
                    ),
                )
                .with_fact("the rows stay as they are, but these indexes are built anew under ACCESS EXCLUSIVE")
                .with_help("drop the index concurrently before and build it concurrently after the change, if queries can do without it meanwhile; else change the type through a second column (`zdm mirror`)")
            } else if effects.scans.contains(table) {
                cx.at_step(
                    step,
                    format!("{what} checks every row of `{table}` again while every query on it is blocked, SELECT included"),
                )
                .with_fact("a CHECK or FOREIGN KEY constraint uses the column, and PostgreSQL verifies it again after a type change, even to the same type")
                .with_help("drop the constraint first, change the type, add the constraint with NOT VALID, and VALIDATE it in a later transaction")
            } else {
                continue;
            };
            cx.weigh(table, &mut diagnostic);
            out.push(diagnostic);
        }
    }
}

//! ZDM112: ALTER COLUMN … TYPE rewrites the table.

use zdm_postgres::effects::UncertainEffect;
use zdm_postgres::statement::AlterTableAction;
use zdm_source::Diagnostic;

use super::{alter_actions, column_name, rewrites_for};
use crate::context::Cx;
use crate::words;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        for (alter, action) in alter_actions(step) {
            let AlterTableAction::AlterColumnType { column, data_type, .. } = action else { continue };
            let table = &alter.name;
            if !cx.existed(step, table) {
                continue;
            }
            if !rewrites_for(cx, step, alter, action) {
                continue;
            }
            let rewritten = step.outcome.effects.rewrites.contains(table);
            let condition = step
                .outcome
                .effects
                .uncertain
                .iter()
                .find(|uncertain| uncertain.effect == UncertainEffect::Rewrite && uncertain.relation == *table);
            let old = step.catalog_before.table(table).and_then(|table| table.column(column.as_str()));
            let from = old.map(|old| format!("from `{}` ", old.data_type)).unwrap_or_default();
            let what = format!("changing the type of {} {from}to `{data_type}`", column_name(table, column));
            let mut diagnostic = if rewritten {
                cx.at_step(
                    step,
                    format!(
                        "{what} rewrites the table and blocks every query on it, SELECT included, until it is done"
                    ),
                )
                .with_fact(format!("every row and every index of `{table}` is written anew under ACCESS EXCLUSIVE"))
            } else if let Some(condition) = condition {
                let mut found = cx.at_step(
                    step,
                    format!(
                        "{what} may rewrite the table under ACCESS EXCLUSIVE, while every query waits: it does if {}",
                        condition.condition
                    ),
                );
                if old.is_none() {
                    found = found.with_fact(
                        "the type before is not known, because the operation that made the column was not analysed",
                    );
                }
                found
            } else {
                continue;
            };
            diagnostic = diagnostic.with_help(words::mirror_help(cx, step).unwrap_or_else(|| format!(
                "add a second column of the new type, keep it equal by a trigger (`zdm mirror`), backfill it (`zdm backfill run --table {table} --source {column} --target {column}_new`), then swap the two names"
            )));
            cx.weigh(table, &mut diagnostic);
            out.push(diagnostic);
        }
    }
}

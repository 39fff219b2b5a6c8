//! ZDM143: one transaction takes ACCESS EXCLUSIVE on several tables that are in use.

use std::collections::BTreeMap;

use zdm_postgres::{LockMode, QualifiedName};
use zdm_replay::Step;
use zdm_source::Diagnostic;

use crate::context::{Cx, name_list, shortened};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    let mut by_transaction: BTreeMap<u32, Vec<(&QualifiedName, &Step)>> = BTreeMap::new();
    for step in cx.accepted() {
        let Some(transaction) = step.transaction else { continue };
        for (table, mode) in &step.outcome.effects.locks {
            if *mode != LockMode::AccessExclusive
                || step.catalog_before.table(table).is_none()
                || !cx.existed(step, table)
            {
                continue;
            }
            let tables = by_transaction.entry(transaction).or_default();
            if !tables.iter().any(|(name, _)| *name == table) {
                tables.push((table, step));
            }
        }
    }
    for tables in by_transaction.into_values() {
        let [(first, first_step), .., (_, last_step)] = tables.as_slice() else { continue };
        // One statement that needs several tables cannot be split; where it stands alone, ZDM131 says what it locks.
        if std::ptr::eq(*first_step, *last_step) {
            continue;
        }
        out.push(
            cx.at_step(
                last_step,
                format!(
                    "one transaction takes ACCESS EXCLUSIVE on {}: a deadlock with any query that uses them in another order, and each waits for the others' readers",
                    name_list(tables.iter().map(|(name, _)| *name))
                ),
            )
            .with_related(cx.label_step(first_step, format!("`{first}` is locked here first, by `{}`", shortened(&first_step.sql, 70))))
            .with_help("split it into one migration per table"),
        );
    }
}

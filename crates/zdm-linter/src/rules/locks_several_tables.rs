//! ZDM143: one transaction takes ACCESS EXCLUSIVE on several tables that are in use.

use std::collections::BTreeMap;

use zdm_postgres::statement::AlterTableAction;
use zdm_postgres::{LockMode, QualifiedName};
use zdm_replay::Step;
use zdm_source::Diagnostic;

use super::alter_actions;
use crate::context::{Cx, name_list, shortened};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    let mut by_transaction: BTreeMap<u32, Vec<(QualifiedName, &Step)>> = BTreeMap::new();
    // A table that the migration renames is one table under two names: here by its first one.
    let mut first_names: BTreeMap<QualifiedName, QualifiedName> = BTreeMap::new();
    for step in cx.accepted() {
        for (table, mode) in &step.outcome.effects.locks {
            let Some(transaction) = step.transaction else { break };
            if *mode != LockMode::AccessExclusive
                || step.catalog_before.table(table).is_none()
                || !cx.existed(step, table)
            {
                continue;
            }
            let tables = by_transaction.entry(transaction).or_default();
            let table = first_names.get(table).unwrap_or(table);
            if !tables.iter().any(|(name, _)| name == table) {
                tables.push((table.clone(), step));
            }
        }
        for (alter, action) in alter_actions(step) {
            let to = match action {
                AlterTableAction::RenameTo { name } => alter.name.sibling(name.clone()),
                AlterTableAction::SetSchema { schema } => {
                    QualifiedName::with_schema(schema.clone(), alter.name.name.clone())
                }
                _ => continue,
            };
            let first = first_names.remove(&alter.name).unwrap_or_else(|| alter.name.clone());
            first_names.insert(to, first);
        }
    }
    for tables in by_transaction.into_values() {
        let [(first, first_step), .., (_, last_step)] = tables.as_slice() else { continue };
        // One statement that needs several tables cannot be split; where it stands alone, ZDM131 says what it locks.
        if std::ptr::eq(*first_step, *last_step) {
            continue;
        }
        let named = cx.named(tables.iter().map(|(name, _)| name));
        out.push(
            cx.at_step(
                last_step,
                format!(
                    "one transaction takes ACCESS EXCLUSIVE on {}: a transaction that uses them in another order can deadlock with it, and each stays locked until it is done with all of them",
                    name_list(&named)
                ),
            )
            .about(&named)
            .with_related(cx.label_step(first_step, format!("`{first}` is locked here first, by `{}`", shortened(&first_step.sql, 70))))
            .with_help(if tables.iter().all(|(_, step)| !step.raw && step.operation == last_step.operation) {
                "one operation needs all of them: keep it in a migration of its own, and run it with a short lock_timeout and retries (`zdm migrate`)"
            } else {
                "split it into one migration per table"
            }),
        );
    }
}

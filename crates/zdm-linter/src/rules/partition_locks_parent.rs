//! ZDM132: CREATE TABLE … PARTITION OF takes ACCESS EXCLUSIVE on the parent.

use zdm_postgres::{LockMode, Statement};
use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let Statement::CreateTable(create) = &step.statement else { continue };
        let Some((parent, _)) = &create.partition_of else { continue };
        let locked = step.outcome.effects.locks.get(parent) == Some(&LockMode::AccessExclusive);
        if !locked || !cx.existed(step, parent) {
            continue;
        }
        let mut diagnostic = cx.at_step(
            step,
            format!(
                "creating partition `{}` takes ACCESS EXCLUSIVE on `{parent}`: every query on the table waits until the transaction ends",
                create.name
            ),
        );
        if let Some(default) = step.outcome.effects.scans.iter().find(|table| cx.existed(step, table)) {
            diagnostic = diagnostic.with_fact(format!(
                "the default partition `{default}` is read meanwhile, for rows that now belong to the new one"
            ));
        }
        diagnostic = diagnostic.with_help(format!(
            "create the table by itself (`CREATE TABLE {} (LIKE {parent} INCLUDING ALL)`), then ALTER TABLE … ATTACH PARTITION, which takes SHARE UPDATE EXCLUSIVE on `{parent}`",
            create.name
        ));
        cx.weigh(parent, &mut diagnostic);
        out.push(diagnostic);
    }
}

//! ZDM144: LOCK TABLE.

use zdm_postgres::{LockMode, Statement};
use zdm_source::Diagnostic;

use crate::context::{Cx, name_list};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let Statement::Lock { tables, mode, .. } = &step.statement else { continue };
        let tables = cx.named(tables.iter().map(|(name, _)| name).filter(|name| cx.existed(step, name)));
        if tables.is_empty() || *mode < LockMode::Share {
            continue;
        }
        out.push(
            cx.at_step(
                step,
                format!(
                    "LOCK TABLE takes {mode} on {}: {} until the transaction ends",
                    name_list(&tables),
                    if mode.blocks_select() { "every query waits" } else { "INSERT, UPDATE and DELETE wait" }
                ),
            )
            .about(&tables)
            .with_help(
                "keep the transaction behind the lock as short as possible, and set a short lock_timeout before it",
            ),
        );
    }
}

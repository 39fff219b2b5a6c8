//! ZDM304: TRUNCATE.

use zdm_postgres::Statement;
use zdm_postgres::statement::DropBehavior;
use zdm_source::Diagnostic;

use crate::context::{Cx, name_list};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let Statement::Truncate { tables, behavior, .. } = &step.statement else { continue };
        let old = cx.named(tables.iter().filter(|table| cx.existed(step, table)));
        if old.is_empty() {
            continue;
        }
        let more: Vec<_> = step
            .outcome
            .effects
            .locks
            .keys()
            .filter(|name| !tables.contains(name) && step.catalog_before.table(name).is_some())
            .collect();
        let it = if old.len() == 1 { "it" } else { "them" };
        let mut diagnostic = cx
            .at_step(
                step,
                format!("TRUNCATE removes every row of {} and blocks every query on {it}, SELECT included, until the transaction ends", name_list(&old)),
            )
            .about(&old)
            .with_help("rows cannot be brought back; if that is meant, run it in a chosen moment, with a short lock_timeout");
        if *behavior == DropBehavior::Cascade && !more.is_empty() {
            diagnostic = diagnostic.with_fact(format!("CASCADE also empties {}", name_list(more)));
        }
        out.push(diagnostic);
    }
}

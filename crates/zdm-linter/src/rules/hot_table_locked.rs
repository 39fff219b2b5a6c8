//! ZDM145: a table that is known to be busy is locked, however shortly.

use std::collections::BTreeMap;

use zdm_postgres::{LockMode, QualifiedName};
use zdm_replay::Step;
use zdm_source::Diagnostic;

use crate::context::{Cx, shortened};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    let mut strongest: BTreeMap<&QualifiedName, (LockMode, &Step)> = BTreeMap::new();
    for step in cx.accepted() {
        for (table, mode) in &step.outcome.effects.locks {
            if *mode < LockMode::Share
                || step.catalog_before.table(table).is_none()
                || !cx.existed(step, table)
                || cx.facts(table).hot != Some(true)
            {
                continue;
            }
            let entry = strongest.entry(table).or_insert((*mode, step));
            if *mode > entry.0 {
                *entry = (*mode, step);
            }
        }
    }
    for (table, (mode, step)) in strongest {
        out.push(
            cx.at_step(
                step,
                format!(
                    "`{}` takes {mode} on the busy table `{table}`: it waits for the queries that run, and behind it {}",
                    shortened(&step.sql, 60),
                    if mode.blocks_select() { "every query waits, SELECT included" } else { "INSERT, UPDATE and DELETE wait" }
                ),
            )
            .with_fact("even a change that takes a millisecond queues behind the longest transaction on the table, and all others queue behind the change")
            .with_help("let it stand alone in its migration, and run it with a short lock_timeout and retries (`zdm migrate`)"),
        );
    }
}

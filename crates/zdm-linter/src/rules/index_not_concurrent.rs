//! ZDM101: an index is built under a SHARE lock.

use zdm_postgres::Statement;
use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::{fixes, words};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let Statement::CreateIndex(create) = &step.statement else { continue };
        let builds = !step.outcome.effects.index_builds.is_empty();
        if create.concurrently || !builds || !cx.existed(step, &create.table) {
            continue;
        }
        let index = words::index_name(create);
        let mut diagnostic = cx
            .at_step(
                step,
                format!("building {index} blocks INSERT, UPDATE and DELETE on `{}` until it is finished", create.table),
            )
            .with_fact(format!(
                "CREATE INDEX holds a SHARE lock on `{}` while it reads the whole table; writers queue behind it",
                create.table
            ));
        diagnostic = if words::is_partitioned(step, &create.table) {
            diagnostic.with_help(format!(
                "PostgreSQL cannot build an index on a partitioned table concurrently: create it with `ON ONLY {}`, build one on each partition concurrently, and attach them",
                words::quoted_table(&create.table)
            ))
        } else {
            let diagnostic = words::concurrent_index_help(cx, step, diagnostic);
            Cx::fixed(diagnostic, fixes::concurrent_index(cx, step))
        };
        cx.weigh(&create.table, &mut diagnostic);
        out.push(diagnostic);
    }
}

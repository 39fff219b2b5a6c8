//! ZDM406: CONCURRENTLY on PostgreSQL 14.0 to 14.3 may corrupt the index.
//!
//! Source: PostgreSQL 14.4 release notes, "Prevent possible corruption of indexes created or rebuilt with the
//! CONCURRENTLY option".

use zdm_postgres::Statement;
use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    let version = cx.version();
    if !version.corrupts_concurrent_builds() {
        return;
    }
    for step in cx.accepted() {
        let concurrent = match &step.statement {
            Statement::CreateIndex(create) => create.concurrently,
            Statement::Reindex(reindex) => reindex.concurrently,
            _ => false,
        };
        if concurrent {
            out.push(
                cx.at_step(step, format!("an index that PostgreSQL {version} builds concurrently may miss rows that are updated meanwhile"))
                    .with_help("update the server to 14.4 or later before this migration, and check existing indexes with amcheck"),
            );
        }
    }
}

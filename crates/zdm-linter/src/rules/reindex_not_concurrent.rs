//! ZDM104: REINDEX without CONCURRENTLY.

use zdm_postgres::Statement;
use zdm_postgres::statement::ReindexTarget;
use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::fixes;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let Statement::Reindex(reindex) = &step.statement else { continue };
        if reindex.concurrently {
            continue;
        }
        let target = match &reindex.target {
            ReindexTarget::Index(name) => format!("index `{name}`"),
            ReindexTarget::Table(name) => format!("the indexes of `{name}`"),
            ReindexTarget::Schema(name) => format!("the indexes of schema `{name}`"),
            ReindexTarget::Database(_) | ReindexTarget::System(_) => "the indexes of the database".to_owned(),
        };
        let found =
            cx.at_step(step, format!("rebuilding {target} blocks writes to the table, and every query that would use the index, until it is finished"))
                .with_fact("REINDEX holds SHARE on the table and ACCESS EXCLUSIVE on the index; planning any query of the table needs the index")
                .with_help("use REINDEX … CONCURRENTLY (12 and later) in a migration with `atomic = False`");
        out.push(Cx::fixed(found, fixes::concurrent_reindex(cx, step)));
    }
}

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
        let (target, table) = match &reindex.target {
            ReindexTarget::Index(name) => {
                (format!("index `{name}`"), step.catalog_before.index(name).map(|(table, _)| &table.name))
            }
            ReindexTarget::Table(name) => (format!("the indexes of `{name}`"), Some(name)),
            ReindexTarget::Schema(name) => (format!("the indexes of schema `{name}`"), None),
            ReindexTarget::Database(_) | ReindexTarget::System(_) => ("the indexes of the database".to_owned(), None),
        };
        if table.is_some_and(|table| !cx.existed(step, table)) {
            continue;
        }
        let on = table.map_or_else(|| "each table".to_owned(), |table| format!("`{table}`"));
        let mut found = cx
            .at_step(
                step,
                format!("rebuilding {target} blocks every query on {on}, SELECT included, until it is finished"),
            )
            .with_fact("REINDEX holds SHARE on the table and ACCESS EXCLUSIVE on the index, and planning any query of the table needs its indexes")
            .with_help("use REINDEX … CONCURRENTLY (12 and later) in a migration with `atomic = False`");
        if let Some(table) = table {
            cx.weigh(table, &mut found);
        }
        out.push(Cx::fixed(found, fixes::concurrent_reindex(cx, step)));
    }
}

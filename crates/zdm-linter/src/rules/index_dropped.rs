//! ZDM219: an index is gone that queries of running code may need.

use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for old in cx.old {
        let Some(after) = old.after(cx.migration) else { continue };
        let table = old.name();
        for index in old.before.indexes.iter().filter(|index| !index.constraint && index.valid) {
            let name = index.name.as_str();
            // An index that begins with the same keys answers the same queries.
            let replaced = after.indexes.iter().any(|other| {
                other.valid
                    && other.method == index.method
                    && other.elements.starts_with(&index.elements)
                    && (other.predicate.is_none() || other.predicate == index.predicate)
            });
            let columns_stay = index.elements.iter().all(|element| match &element.key {
                zdm_postgres::statement::IndexKey::Column(column) => after.column(column.as_str()).is_some(),
                zdm_postgres::statement::IndexKey::Expr(_) => true,
            });
            if replaced || !columns_stay {
                continue;
            }
            let Some(step) =
                cx.step_where(|catalog| catalog.table(table).is_some_and(|table| table.index(name).is_none()))
            else {
                continue;
            };
            let mut diagnostic = cx
                .at_step(
                    step,
                    format!("index `{name}` is gone: a query of the code that is still running that used it now reads all of `{table}`"),
                )
                .with_help("look at pg_stat_user_indexes.idx_scan on every server, replicas included, before dropping an index");
            cx.weigh(table, &mut diagnostic);
            out.push(diagnostic);
        }
    }
}

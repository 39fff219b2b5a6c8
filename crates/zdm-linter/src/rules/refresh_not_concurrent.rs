//! ZDM105: REFRESH MATERIALIZED VIEW without CONCURRENTLY, and WITH NO DATA.

use zdm_postgres::Statement;
use zdm_source::{Diagnostic, Severity};

use crate::context::Cx;
use crate::fixes;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let Statement::RefreshMaterializedView { name, concurrently: false, with_data } = &step.statement else {
            continue;
        };
        if cx.migration.catalog_before.relation(name).is_none() && !cx.migration.catalog_before.is_incomplete() {
            continue;
        }
        if !with_data {
            // A later statement of the migration may fill it again.
            let filled = cx.accepted().any(|other| {
                other.number > step.number
                    && matches!(&other.statement, Statement::RefreshMaterializedView { name: other, with_data: true, .. } if other == name)
            });
            if !filled {
                let own = cx.config.own_severity(cx.page, cx.migration.migration.file.path()).is_some();
                let mut diagnostic = cx
                    .at_step(
                        step,
                        format!("WITH NO DATA empties materialized view `{name}`: every query that reads it fails with \"has not been populated\" until it is refreshed"),
                    )
                    .with_help("leave WITH NO DATA out; where the data has to go, drop the view one release after the last code that reads it");
                if !own {
                    diagnostic.severity = Severity::Error;
                }
                out.push(diagnostic);
            }
            continue;
        }
        let found = cx
            .at_step(
                step,
                format!("refreshing materialized view `{name}` blocks every query that reads it until it is finished"),
            )
            .with_fact("REFRESH MATERIALIZED VIEW holds ACCESS EXCLUSIVE on the view while the query runs")
            .with_help("give the view a unique index over all rows and use REFRESH MATERIALIZED VIEW CONCURRENTLY");
        // It goes by a unique index over all rows.
        let indexes = step.catalog_before.indexes_of(name);
        let unique = indexes.iter().any(|index| index.unique && index.valid && index.predicate.is_none());
        let fix = if unique { fixes::concurrent_refresh(cx, step) } else { None };
        out.push(Cx::fixed(found, fix));
    }
}

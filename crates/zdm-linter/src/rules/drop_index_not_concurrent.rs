//! ZDM102: an index is dropped under ACCESS EXCLUSIVE.

use zdm_django::OperationKind;
use zdm_postgres::Statement;
use zdm_postgres::statement::ObjectKind;
use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::{fixes, words};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let Statement::Drop(drop) = &step.statement else { continue };
        if drop.kind != ObjectKind::Index || drop.concurrently {
            continue;
        }
        for name in &drop.names {
            let Some(table) = cx.table_in_use_of_index(step, name) else { continue };
            let mut diagnostic = cx
                .at_step(
                    step,
                    format!(
                        "dropping index `{name}` takes ACCESS EXCLUSIVE on `{}`: it waits for every running query, and every new query waits behind it",
                        table.name
                    ),
                )
                .with_fact("the drop itself is quick; the wait for a long-running query is not, and new queries queue during it");
            diagnostic = if words::is_partitioned(step, &table.name) {
                diagnostic.with_help("PostgreSQL cannot drop an index of a partitioned table concurrently: run it with a short lock_timeout and retries (`zdm migrate`)")
            } else {
                let help = match cx.operation(step.operation).map(|operation| &operation.kind) {
                    Some(OperationKind::RemoveIndex { .. }) => {
                        "use `RemoveIndexConcurrently` in a migration of its own with `atomic = False`".to_owned()
                    }
                    _ if step.raw => {
                        "write DROP INDEX CONCURRENTLY, alone in a migration with `atomic = False`".to_owned()
                    }
                    _ => format!(
                        "drop it with DROP INDEX CONCURRENTLY in a migration of its own with `atomic = False`, as the database operation of SeparateDatabaseAndState, and keep this operation as its state operation{}",
                        words::and_what_else(cx, step)
                    ),
                };
                Cx::fixed(diagnostic.with_help(help), fixes::concurrent_index(cx, step))
            };
            cx.weigh(&table.name, &mut diagnostic);
            out.push(diagnostic);
        }
    }
}

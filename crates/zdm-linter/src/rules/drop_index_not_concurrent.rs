//! ZDM102: an index is dropped under ACCESS EXCLUSIVE.

use zdm_postgres::Statement;
use zdm_postgres::statement::ObjectKind;
use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::fixes;

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
                .with_fact("the drop itself is quick; the wait for a long-running query is not, and new queries queue during it")
                .with_help("use `RemoveIndexConcurrently` in a migration of its own with `atomic = False`");
            diagnostic = Cx::fixed(diagnostic, fixes::concurrent_index(cx, step));
            cx.weigh(&table.name, &mut diagnostic);
            out.push(diagnostic);
        }
    }
}

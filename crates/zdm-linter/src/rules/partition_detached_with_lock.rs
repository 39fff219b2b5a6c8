//! ZDM106: DETACH PARTITION without CONCURRENTLY.

use zdm_postgres::statement::AlterTableAction;
use zdm_source::Diagnostic;

use super::alter_actions;
use crate::context::Cx;
use crate::fixes;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    if !cx.version().at_least(14) {
        return;
    }
    for step in cx.accepted() {
        for (alter, action) in alter_actions(step) {
            let AlterTableAction::DetachPartition { partition, concurrently: false, finalize: false } = action else {
                continue;
            };
            if !cx.existed(step, &alter.name) {
                continue;
            }
            let found = cx
                .at_step(
                    step,
                    format!("detaching `{partition}` takes ACCESS EXCLUSIVE on `{}`: every query on all its partitions waits until the transaction ends", alter.name),
                )
                .with_help("use DETACH PARTITION … CONCURRENTLY (14 and later) in a migration with `atomic = False`; the partition keeps its bounds as a CHECK constraint");
            out.push(Cx::fixed(found, fixes::concurrent_detach(cx, step)));
        }
    }
}

//! ZDM126: ATTACH PARTITION reads the partition, or the default partition, to check the bound.

use zdm_postgres::statement::AlterTableAction;
use zdm_source::Diagnostic;

use super::alter_actions;
use crate::context::{Cx, name_list};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        for (alter, action) in alter_actions(step) {
            let AlterTableAction::AttachPartition { partition, bound: Some(_) } = action else { continue };
            let scans = step.outcome.effects.scans.iter();
            let scanned = cx.named(scans.filter(|name| cx.existed(step, name) && **name != alter.name));
            if scanned.is_empty() {
                continue;
            }
            out.push(
                cx.at_step(
                    step,
                    format!(
                        "attaching `{partition}` to `{}` reads {} under ACCESS EXCLUSIVE to see that every row fits",
                        alter.name,
                        name_list(&scanned)
                    ),
                )
                .about(scanned.iter().copied().chain([partition, &alter.name]))
                .with_help("add a CHECK that repeats the bound with NOT VALID, validate it, then attach: the check proves the bound and nothing is read (for a default partition, a CHECK that excludes it)"),
            );
        }
    }
}

//! ZDM217: triggers or rules of a table are switched off.

use zdm_postgres::statement::{AlterTableAction, TriggerSelection};
use zdm_source::Diagnostic;

use super::alter_actions;
use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        for (alter, action) in alter_actions(step) {
            let table = &alter.name;
            if !cx.existed(step, table) {
                continue;
            }
            let (what, which) = match action {
                AlterTableAction::Trigger { which, mode } if is_off(mode) => match which {
                    TriggerSelection::Named(name) => {
                        (format!("trigger `{name}` of `{table}` no longer fires"), Some(which))
                    }
                    TriggerSelection::All => (
                        format!("all triggers of `{table}`, those of foreign keys included, no longer fire"),
                        Some(which),
                    ),
                    TriggerSelection::User => {
                        (format!("all triggers of `{table}` but those of constraints no longer fire"), Some(which))
                    }
                },
                AlterTableAction::Rule { name, mode } if is_off(mode) => {
                    (format!("rule `{name}` of `{table}` no longer fires"), None)
                }
                _ => continue,
            };
            // On again in the same transaction, nobody else ever sees it off.
            let restored = cx.accepted().any(|other| {
                other.number > step.number
                    && other.transaction.is_some()
                    && other.transaction == step.transaction
                    && alter_actions(other).any(|(other, action)| {
                        other.name == *table
                            && matches!(action, AlterTableAction::Trigger { which: again, mode }
                                if !is_off(mode) && Some(again) == which)
                    })
            });
            if restored {
                continue;
            }
            out.push(
                cx.at_step(step, format!("{what} for the code that is still running: what was kept true by it is kept no more"))
                    .with_help("release code that does without it first; for a change of data alone, SET LOCAL session_replication_role = replica affects only this transaction"),
            );
        }
    }
}

/// What is enabled for replicas fires for nobody else.
fn is_off(mode: &str) -> bool {
    matches!(mode, "DISABLE" | "ENABLE REPLICA")
}

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
                AlterTableAction::Trigger { which, mode } if mode == "DISABLE" => match which {
                    TriggerSelection::Named(name) => (format!("trigger `{name}`"), Some(which)),
                    TriggerSelection::All => ("all triggers, those of foreign keys included,".to_owned(), Some(which)),
                    TriggerSelection::User => ("all triggers but those of constraints".to_owned(), Some(which)),
                },
                AlterTableAction::Rule { name, mode } if mode == "DISABLE" => (format!("rule `{name}`"), None),
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
                                if mode.starts_with("ENABLE") && Some(again) == which)
                    })
            });
            if restored {
                continue;
            }
            out.push(
                cx.at_step(step, format!("{what} of `{table}` no longer fire for the code that is still running: what they keep true is kept no more"))
                    .with_help("release code that does without it first; for a change of data alone, SET LOCAL session_replication_role = replica affects only this transaction"),
            );
        }
    }
}

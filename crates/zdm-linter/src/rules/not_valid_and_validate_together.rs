//! ZDM142: a constraint is added NOT VALID and validated in one transaction.

use zdm_postgres::statement::AlterTableAction;
use zdm_postgres::{Ident, QualifiedName};
use zdm_replay::Step;
use zdm_source::Diagnostic;

use super::alter_actions;
use crate::context::Cx;
use crate::fixes;

/// The step of the same transaction that added, NOT VALID, what this one validates.
pub(crate) fn added_before<'a>(cx: &Cx<'a>, step: &Step) -> Option<&'a Step> {
    alter_actions(step).find_map(|(alter, action)| match action {
        AlterTableAction::ValidateConstraint { name } if cx.existed(step, &alter.name) => {
            adding(cx, step, &alter.name, name)
        }
        _ => None,
    })
}

fn adding<'a>(cx: &Cx<'a>, step: &Step, table: &QualifiedName, name: &Ident) -> Option<&'a Step> {
    cx.steps().find(|other| {
        other.number <= step.number
            && (other.number == step.number || (other.transaction.is_some() && other.transaction == step.transaction))
            && alter_actions(other).any(|(alter, action)| {
                alter.name == *table
                    && matches!(action, AlterTableAction::AddConstraint(constraint)
                        if constraint.attributes.not_valid && constraint.name.as_ref() == Some(name))
            })
    })
}

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        for (alter, action) in alter_actions(step) {
            let AlterTableAction::ValidateConstraint { name } = action else { continue };
            if !cx.existed(step, &alter.name) {
                continue;
            }
            let Some(added) = adding(cx, step, &alter.name, name) else { continue };
            let mut diagnostic = cx
                .at_step(
                    step,
                    format!(
                        "validating `{name}` in the transaction that added it reads `{}` under the strong lock of the ADD, so NOT VALID gains nothing",
                        alter.name
                    ),
                )
                .with_related(cx.label_step(added, format!("`{name}` is added here, and its lock is held to the end of the transaction")))
                .with_help("validate it in the next migration");
            diagnostic = Cx::fixed(diagnostic, fixes::validate_behind(cx, step));
            cx.weigh(&alter.name, &mut diagnostic);
            out.push(diagnostic);
        }
    }
}

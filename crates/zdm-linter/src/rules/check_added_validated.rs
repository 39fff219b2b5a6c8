//! ZDM122: ADD CONSTRAINT … CHECK without NOT VALID.

use zdm_django::OperationKind;
use zdm_postgres::statement::{AlterTableAction, TableConstraintKind};
use zdm_source::Diagnostic;

use super::alter_actions;
use crate::context::Cx;
use crate::{fixes, words};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        for (alter, action) in alter_actions(step) {
            let AlterTableAction::AddConstraint(constraint) = action else { continue };
            let table = &alter.name;
            if !matches!(constraint.kind, TableConstraintKind::Check { .. })
                || !cx.existed(step, table)
                || !step.outcome.effects.scans.contains(table)
            {
                continue;
            }
            let name = constraint.name.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default();
            let mut diagnostic = cx
                .at_step(
                    step,
                    format!(
                        "adding check constraint{name} blocks every query on `{table}`, SELECT included, while PostgreSQL checks every row"
                    ),
                )
                .with_fact(format!("the table is read under ACCESS EXCLUSIVE on `{table}`"))
                .with_help(match cx.operation(step.operation).map(|operation| &operation.kind) {
                    Some(OperationKind::AddConstraint { .. }) => {
                        "use `AddConstraintNotValid` here and `ValidateConstraint` in the next migration: validating takes SHARE UPDATE EXCLUSIVE, and reads and writes go on (both are in django.contrib.postgres.operations)".to_owned()
                    }
                    _ if step.raw => {
                        "write NOT VALID behind it, and send VALIDATE CONSTRAINT in the next migration: validating takes SHARE UPDATE EXCLUSIVE, and reads and writes go on".to_owned()
                    }
                    _ => format!(
                        "send it as SQL with NOT VALID, as the database operation of SeparateDatabaseAndState with this operation as its state operation, and VALIDATE CONSTRAINT in the next migration: validating takes SHARE UPDATE EXCLUSIVE, and reads and writes go on{}",
                        words::and_what_else(cx, step)
                    ),
                });
            diagnostic = Cx::fixed(diagnostic, fixes::not_valid_and_validate(cx, step));
            cx.weigh(table, &mut diagnostic);
            out.push(diagnostic);
        }
    }
}

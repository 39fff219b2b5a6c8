//! ZDM202: a column that running code still names has another name.

use zdm_django::OperationKind;
use zdm_postgres::statement::AlterTableAction;
use zdm_postgres::{Ident, QualifiedName};
use zdm_replay::Step;
use zdm_source::Diagnostic;

use super::alter_actions;
use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for old in cx.old {
        let Some(after) = old.after(cx.migration) else { continue };
        let Some(model) = &old.model else { continue };
        for column in &model.columns {
            if old.before.column(column.column.as_str()).is_none() || after.column(column.column.as_str()).is_some() {
                continue;
            }
            let Some((step, to)) = renamed_to(cx, old.name(), &column.column) else { continue };
            out.push(
                cx.at_step(
                    step,
                    format!(
                        "renaming `{}.{}` to `{to}` breaks the code that is still running: every query of model `{}` names the old column and fails with \"column does not exist\"",
                        old.name(),
                        column.column,
                        model.label
                    ),
                )
                .with_help(match cx.operation(step.operation).map(|operation| &operation.kind) {
                    Some(OperationKind::RenameField { old_name, new_name, .. }) => format!(
                        "keep the column's name and rename only the field: AlterField of `{old_name}` with `db_column=\"{0}\"` first, which sends nothing, then this RenameField; in the model `{new_name} = models.…(db_column=\"{0}\")`",
                        column.column
                    ),
                    Some(OperationKind::AlterField { field, .. }) => format!(
                        "keep the column's name: `{} = models.…(db_column=\"{}\")`",
                        field.name, column.column
                    ),
                    _ => format!(
                        "keep the column's name, and let the field go by it: `db_column=\"{}\"`",
                        column.column
                    ),
                }),
            );
        }
    }
}

/// The step that renames a column, with the new name.
pub(crate) fn renamed_to<'a>(cx: &Cx<'a>, table: &QualifiedName, column: &Ident) -> Option<(&'a Step, &'a Ident)> {
    cx.migration.steps.iter().filter(|step| !step.is_refused()).find_map(|step| {
        alter_actions(step).find_map(|(alter, action)| match action {
            AlterTableAction::RenameColumn { from, to } if alter.name == *table && from == column => Some((step, to)),
            _ => None,
        })
    })
}

/// The name that a column had before this migration renamed it.
pub(crate) fn renamed_from<'a>(cx: &Cx<'a>, table: &QualifiedName, column: &Ident) -> Option<&'a Ident> {
    cx.migration.steps.iter().filter(|step| !step.is_refused()).find_map(|step| {
        alter_actions(step).find_map(|(alter, action)| match action {
            AlterTableAction::RenameColumn { from, to } if alter.name == *table && to == column => Some(from),
            _ => None,
        })
    })
}

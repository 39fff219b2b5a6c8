//! ZDM204: a table that running code still uses has another name.

use zdm_postgres::QualifiedName;
use zdm_postgres::statement::AlterTableAction;
use zdm_replay::Step;
use zdm_source::Diagnostic;

use super::alter_actions;
use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for old in cx.old {
        let Some(model) = &old.model else { continue };
        let name = old.name();
        // A view, or another table, under the old name serves the old code.
        if cx.migration.catalog_after.relation(name).is_some() {
            continue;
        }
        let Some((step, to)) = renamed_to(cx, name) else { continue };
        out.push(
            cx.at_step(
                step,
                format!(
                    "renaming table `{name}` to `{to}` breaks the code that is still running: every query of model `{}` names the old table and fails with \"relation does not exist\"",
                    model.label
                ),
            )
            .with_help(if model.is_of_a_field() {
                format!("keep the table's name: `db_table=\"{name}\"` on the field, by an AlterField first; or leave a view named `{name}` behind until the old code is gone")
            } else {
                format!("keep the table's name: `db_table = \"{name}\"` in the model's Meta (AlterModelTable first, then rename the model; nothing is sent); or leave a view named `{name}` behind until the old code is gone")
            }),
        );
    }
}

/// The step that renames a table or moves it to another schema, with its new name.
pub(crate) fn renamed_to<'a>(cx: &Cx<'a>, table: &QualifiedName) -> Option<(&'a Step, QualifiedName)> {
    cx.migration.steps.iter().filter(|step| !step.is_refused()).find_map(|step| {
        alter_actions(step).find_map(|(alter, action)| match action {
            AlterTableAction::RenameTo { name } if alter.name == *table => Some((step, table.sibling(name.clone()))),
            AlterTableAction::SetSchema { schema } if alter.name == *table => {
                Some((step, QualifiedName::with_schema(schema.clone(), table.name.clone())))
            }
            _ => None,
        })
    })
}

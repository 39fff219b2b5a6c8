//! ZDM204: a table that running code still uses has another name.

use zdm_postgres::statement::AlterTableAction;
use zdm_postgres::{QualifiedName, Statement};
use zdm_replay::Step;
use zdm_source::Diagnostic;

use super::alter_actions;
use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for old in cx.old {
        let Some(model) = &old.model else { continue };
        let name = old.name();
        let Some((step, to)) = renamed_to(cx, name) else { continue };
        let what = if cx.migration.catalog_after.relation(name).is_none() {
            format!(
                "breaks the code that is still running: every query of model `{}` names the old table and fails with \"relation does not exist\"",
                model.label
            )
        } else if stays_empty(cx, name) {
            format!(
                "and creating another `{name}` leaves an empty table to the code that is still running: model `{}` finds none of its rows there, and what it writes does not reach `{to}`",
                model.label
            )
        } else {
            // A view, or a table with rows, under the old name serves the old code.
            continue;
        };
        out.push(
            cx.at_step(step, format!("renaming table `{name}` to `{to}` {what}"))
            .with_help(if model.is_of_a_field() {
                format!("keep the table's name: `db_table=\"{name}\"` on the field, by an AlterField first; or leave a view named `{name}` behind until the old code is gone")
            } else {
                format!("keep the table's name: `db_table = \"{name}\"` in the model's Meta (AlterModelTable first, then rename the model; nothing is sent); or leave a view named `{name}` behind until the old code is gone")
            }),
        );
    }
}

/// Whether the migration creates a table of that name and puts nothing into it.
fn stays_empty(cx: &Cx<'_>, table: &QualifiedName) -> bool {
    let created =
        cx.accepted().any(|step| matches!(&step.statement, Statement::CreateTable(create) if create.name == *table));
    let filled =
        cx.accepted().any(|step| matches!(&step.statement, Statement::Insert(insert) if insert.table == *table));
    created && !filled && cx.migration.catalog_after.table(table).is_some_and(|table| table.children.is_empty())
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

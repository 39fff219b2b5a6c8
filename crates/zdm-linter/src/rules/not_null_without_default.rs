//! ZDM205: a new NOT NULL column that old code does not fill.

use zdm_django::OperationKind;
use zdm_postgres::Catalog;
use zdm_postgres::catalog::{Column, Table};
use zdm_postgres::statement::AlterTableAction;
use zdm_source::Diagnostic;

use super::{alter_actions, gives_value};
use crate::context::Cx;
use crate::fixes;
use crate::mirror;
use crate::rules::column_renamed::renamed_from;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for old in cx.old {
        let Some(after) = old.after(cx.migration) else { continue };
        for column in &after.columns {
            let required = column.generated.is_none() && wants_value(&cx.migration.catalog_after, after, column);
            let named = old.model.as_ref().is_some_and(|model| model.names_column(&column.name));
            // Under another name it was there before, which is a matter of the rename.
            let renamed = renamed_from(cx, old.name(), &column.name);
            let before = old.before.column(renamed.unwrap_or(&column.name).as_str());
            // A NOT NULL column that loses its default is a matter of that (ZDM209).
            let was_required = before.is_some_and(|before| before.not_null && before.identity.is_none())
                && !mirror::fills(&cx.migration.catalog_before, &old.before, &column.name);
            if !required || named || was_required || (before.is_some() && old.model.is_none()) {
                continue;
            }
            let table = old.name();
            let is_required = |catalog: &Catalog| {
                catalog
                    .table(table)
                    .and_then(|table| Some((table, table.column(column.name.as_str())?)))
                    .is_some_and(|(table, column)| wants_value(catalog, table, column))
            };
            let Some(step) = cx.step_where(is_required) else { continue };
            let drops = |action: &AlterTableAction| matches!(action, AlterTableAction::DropDefault { column: other } if *other == column.name);
            let dropped = cx.steps().find(|other| {
                other.operation == step.operation
                    && !other.raw
                    && alter_actions(other).any(|(alter, action)| alter.name == *table && drops(action))
            });
            let mut diagnostic = cx.at_step(
                step,
                format!(
                    "`{table}.{}` is NOT NULL without a database default: every INSERT of the code that is still running fails, because it does not name the column",
                    column.name
                ),
            );
            if dropped.is_some() {
                diagnostic = diagnostic.with_fact(
                    "Django sends the field's Python `default` only to fill the existing rows, and drops it in the next statement",
                );
            }
            let relation = matches!(cx.operation(step.operation).map(|operation| &operation.kind),
                Some(OperationKind::AddField { field, .. } | OperationKind::AlterField { field, .. })
                    if matches!(field.django_class(), Some("ForeignKey" | "OneToOneField")));
            diagnostic = diagnostic.with_help(if step.raw {
                "give the column a DEFAULT that stays; or add it without NOT NULL now, and make it NOT NULL once no old code runs"
            } else if relation {
                "add it with `null=True` now, fill it, and make it NOT NULL once no old code runs"
            } else if cx.options.context.version.at_least(5, 0) {
                "give the field a `db_default`, which stays in the database; or add it with `null=True` now and make it NOT NULL once no old code runs"
            } else {
                "add it with `null=True` now and make it NOT NULL once no old code runs; or set a default that stays behind it with RunSQL (ALTER COLUMN … SET DEFAULT)"
            });
            out.push(Cx::fixed(diagnostic, fixes::db_default(cx, step.operation)));
        }
    }
}

/// An INSERT that does not name the column fails.
fn wants_value(catalog: &Catalog, table: &Table, column: &Column) -> bool {
    column.not_null
        && !gives_value(column.default.as_ref())
        && column.identity.is_none()
        && !mirror::fills(catalog, table, &column.name)
}

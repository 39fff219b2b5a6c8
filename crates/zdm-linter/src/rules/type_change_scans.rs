//! ZDM124: ALTER COLUMN … TYPE keeps the rows but reads them, or rebuilds indexes, under ACCESS EXCLUSIVE.

use zdm_postgres::catalog::{ConstraintKind, UserTypeKind};
use zdm_postgres::statement::{AlterTable, AlterTableAction};
use zdm_postgres::{DataType, Ident, QualifiedName};
use zdm_replay::Step;
use zdm_source::Diagnostic;

use super::{alter_actions, column_name};
use crate::context::{Cx, name_list};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let effects = &step.outcome.effects;
        for (alter, action) in alter_actions(step) {
            let AlterTableAction::AlterColumnType { column, data_type, collation, .. } = action else { continue };
            let table = &alter.name;
            if !cx.existed(step, table) || effects.rewrites.contains(table) {
                continue;
            }
            let old = step.catalog_before.table(table).and_then(|table| table.column(column.as_str()));
            let from = old.map(|old| format!("from `{}` ", old.data_type)).unwrap_or_default();
            let what = match (old, collation) {
                (Some(old), Some(collation)) if old.data_type == *data_type => {
                    format!("changing the collation of {} to `{collation}`", column_name(table, column))
                }
                (Some(old), _) if old.data_type == *data_type => {
                    format!("setting the type of {} to `{data_type}` again", column_name(table, column))
                }
                _ => format!("changing the type of {} {from}to `{data_type}`", column_name(table, column)),
            };
            // What another action of the statement builds is not rebuilt.
            let rebuilt: Vec<&QualifiedName> =
                effects.index_builds.iter().filter(|index| step.catalog_before.index(index).is_some()).collect();
            let work = if rebuilt.is_empty() { "scan" } else { "index build" };
            let mut diagnostic = if !rebuilt.is_empty() {
                let (these, it) = match rebuilt.as_slice() {
                    [_] => ("this index is", "it"),
                    _ => ("these indexes are", "them"),
                };
                cx.at_step(
                    step,
                    format!(
                        "{what} rebuilds {} while every query on `{table}` is blocked, SELECT included",
                        name_list(rebuilt)
                    ),
                )
                .with_fact(format!("the rows stay as they are, but {these} built anew under ACCESS EXCLUSIVE"))
                .with_help(format!("drop {it} concurrently before and build {it} concurrently after the change, if queries can do without {it} meanwhile; else change the type through a second column (`zdm mirror`)"))
            } else if effects.scans.contains(table) && is_checked(step, alter, column, data_type) {
                cx.at_step(
                    step,
                    format!("{what} checks every row of `{table}` again while every query on it is blocked, SELECT included"),
                )
                .with_fact("a CHECK or FOREIGN KEY constraint uses the column, and PostgreSQL verifies it again after a type change, even to the same type")
                .with_help("drop the constraint first, change the type, add the constraint with NOT VALID, and VALIDATE it in a later transaction")
            } else {
                continue;
            };
            cx.weigh_work(table, Some(work), &mut diagnostic);
            out.push(diagnostic);
        }
    }
}

/// Whether it is for the column that the rows are read: a constraint uses it, its type is a domain, or nothing else is done
/// to the table.
fn is_checked(step: &Step, alter: &AlterTable, column: &Ident, data_type: &DataType) -> bool {
    if alter.actions.iter().all(|action| matches!(action, AlterTableAction::AlterColumnType { .. })) {
        return true;
    }
    let domain = step.catalog_before.user_type(&data_type.name);
    let constrained = step.catalog_before.tables().any(|table| {
        let own = table.name == alter.name;
        table.constraints.iter().any(|constraint| match &constraint.kind {
            ConstraintKind::Check { expr, .. } => own && expr.node.columns().contains(column),
            ConstraintKind::ForeignKey(key) => {
                (own && key.columns.contains(column)) || (key.table == alter.name && key.references.contains(column))
            }
            _ => false,
        })
    });
    constrained || domain.is_some_and(|domain| matches!(domain.kind, UserTypeKind::Domain(_)))
}

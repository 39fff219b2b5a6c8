//! ZDM103: a UNIQUE, PRIMARY KEY or EXCLUDE constraint builds its index under ACCESS EXCLUSIVE.

use zdm_postgres::statement::{AlterTableAction, ColumnConstraintKind, TableConstraintKind};
use zdm_source::Diagnostic;

use super::alter_actions;
use crate::context::Cx;
use crate::{fixes, words};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        if step.outcome.effects.index_builds.is_empty() {
            continue;
        }
        for (alter, action) in alter_actions(step) {
            if !cx.existed(step, &alter.name) {
                continue;
            }
            let table = &alter.name;
            let (what, exclusion) = match action {
                AlterTableAction::AddConstraint(constraint) => {
                    let name = constraint.name.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default();
                    match &constraint.kind {
                        TableConstraintKind::Unique(key) if key.using_index.is_none() => {
                            (format!("unique constraint{name}"), false)
                        }
                        TableConstraintKind::PrimaryKey(key) if key.using_index.is_none() => {
                            (format!("primary key{name}"), false)
                        }
                        TableConstraintKind::Exclude { .. } => (format!("exclusion constraint{name}"), true),
                        _ => continue,
                    }
                }
                AlterTableAction::AddColumn { column, .. } => {
                    let inline = column.constraints.iter().find_map(|constraint| match constraint.kind {
                        ColumnConstraintKind::Unique { .. } => Some("UNIQUE"),
                        ColumnConstraintKind::PrimaryKey => Some("PRIMARY KEY"),
                        _ => None,
                    });
                    let Some(inline) = inline else { continue };
                    (format!("column `{}` with {inline}", column.name), false)
                }
                _ => continue,
            };
            let mut diagnostic = cx
                .at_step(
                    step,
                    format!("adding {what} blocks every query on `{table}`, SELECT included, while its index is built"),
                )
                .with_fact(format!(
                    "the index is built while ACCESS EXCLUSIVE is held on `{table}`; the build reads the whole table"
                ));
            let state = if step.raw {
                String::new()
            } else {
                format!(
                    "; both as database operations of SeparateDatabaseAndState, with this operation as its state operation{}",
                    words::and_what_else(cx, step)
                )
            };
            diagnostic = if exclusion {
                diagnostic.with_help(
                    "PostgreSQL cannot add an exclusion constraint in steps: add it while the table is small, or choose the moment",
                )
            } else if words::is_partitioned(step, table) {
                diagnostic.with_help(format!(
                    "PostgreSQL cannot build the index of a partitioned table concurrently: create a unique index with `ON ONLY {}`, build one on each partition concurrently, and attach them",
                    words::quoted_table(table)
                ))
            } else if matches!(action, AlterTableAction::AddColumn { .. }) {
                diagnostic.with_help(format!(
                    "add the column without the constraint and fill it; then build a unique index on `{table}` with CREATE UNIQUE INDEX CONCURRENTLY (in a migration with `atomic = False`), and make it the constraint with ADD CONSTRAINT … USING INDEX, which is quick"
                ))
            } else {
                diagnostic.with_help(format!(
                    "build a unique index on `{table}` with CREATE UNIQUE INDEX CONCURRENTLY first (in a migration with `atomic = False`), then ADD CONSTRAINT … USING INDEX, which is quick{state}"
                ))
            };
            diagnostic = Cx::fixed(diagnostic, fixes::unique_using_index(cx, step));
            cx.weigh(table, &mut diagnostic);
            out.push(diagnostic);
        }
    }
}

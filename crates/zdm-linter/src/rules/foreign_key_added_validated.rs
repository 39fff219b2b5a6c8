//! ZDM123: a foreign key is added and validated at once, also where Django drops and re-adds it.

use zdm_postgres::Ident;
use zdm_postgres::statement::{AlterTableAction, TableConstraintKind};
use zdm_source::Diagnostic;

use super::alter_actions;
use crate::context::Cx;
use crate::{fixes, words};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        for (alter, action) in alter_actions(step) {
            let AlterTableAction::AddConstraint(constraint) = action else { continue };
            let TableConstraintKind::ForeignKey { columns, references, .. } = &constraint.kind else { continue };
            let table = &alter.name;
            if !cx.existed(step, table) || !step.outcome.effects.scans.contains(table) {
                continue;
            }
            let columns: Vec<&str> = columns.iter().map(Ident::as_str).collect();
            let column = columns.join(", ");
            // Nobody writes to a table that is new, and a table that points at itself is one.
            let other = Some(&references.table).filter(|other| *other != table && cx.existed(step, other));
            let readded = cx.migration.steps.iter().take_while(|other| !std::ptr::eq(*other, step)).any(|other| {
                other.operation == step.operation
                    && alter_actions(other).any(|(_, action)| matches!(action, AlterTableAction::DropConstraint { .. }))
            });
            let verb = if readded { "dropping and re-adding" } else { "adding" };
            let mut diagnostic = cx
                .at_step(
                    step,
                    format!(
                        "{verb} the foreign key on `{table}.{column}` blocks writes to `{table}`{} while PostgreSQL checks every row",
                        other.map(|other| format!(" and `{other}`")).unwrap_or_default()
                    ),
                )
                .with_fact(match other {
                    Some(other) => format!("SHARE ROW EXCLUSIVE is held on both tables during the check: INSERT, UPDATE and DELETE wait on `{table}` and on `{other}`"),
                    None => format!("SHARE ROW EXCLUSIVE is held on `{table}` during the check: INSERT, UPDATE and DELETE wait"),
                });
            if readded && !step.raw {
                diagnostic = diagnostic.with_fact(
                    "Django drops the constraint and adds it again whenever the column's nullability, type, name or index changes",
                );
            }
            diagnostic = if step.raw {
                diagnostic.with_help("write NOT VALID behind it, and send VALIDATE CONSTRAINT in the next migration: validating lets reads and writes go on")
            } else if let Some(help) = words::mirror_help(cx, step) {
                diagnostic.with_help(help)
            } else {
                let keys: Vec<String> = columns.iter().map(|name| zdm_postgres::quote_identifier(name)).collect();
                diagnostic.with_help(format!(
                    "send it as SQL with NOT VALID (`ALTER TABLE {} ADD CONSTRAINT … FOREIGN KEY ({}) REFERENCES {} NOT VALID`) inside SeparateDatabaseAndState, and VALIDATE CONSTRAINT in the next migration",
                    words::quoted_table(table),
                    keys.join(", "),
                    words::quoted_table(&references.table)
                ))
            };
            cx.weigh(table, &mut diagnostic);
            let name = constraint.name.as_ref().filter(|_| alter.actions.len() == 1);
            let fix = name.and_then(|name| fixes::foreign_key_not_valid(cx, step, table, name));
            out.push(Cx::fixed(diagnostic, fix));
        }
    }
}

//! ZDM125: ADD COLUMN with an inline CHECK, or with REFERENCES and a default, reads the table under ACCESS EXCLUSIVE.

use zdm_postgres::statement::{AlterTableAction, ColumnConstraintKind};
use zdm_source::Diagnostic;

use super::{alter_actions, column_name, gives_value};
use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        for (alter, action) in alter_actions(step) {
            let AlterTableAction::AddColumn { column, .. } = action else { continue };
            let table = &alter.name;
            let effects = &step.outcome.effects;
            if !cx.existed(step, table) || !effects.scans.contains(table) || effects.rewrites.contains(table) {
                continue;
            }
            // An inline UNIQUE or PRIMARY KEY reads the table to build its index, which ZDM103 says.
            let has = |wanted: fn(&ColumnConstraintKind) -> bool| column.constraints.iter().any(|c| wanted(&c.kind));
            let (why, help) = if has(|kind| matches!(kind, ColumnConstraintKind::Check { .. })) {
                (
                    "the column has an inline CHECK, and PostgreSQL checks every row, although they all hold the same value (Django writes one for PositiveIntegerField and its kin)",
                    "add the column as a field without a check (IntegerField), then add the constraint with `AddConstraintNotValid` and validate it in the next migration",
                )
            } else if has(|kind| matches!(kind, ColumnConstraintKind::References(_)))
                && gives_value(column.default_expr())
            {
                (
                    "the column has REFERENCES and a default, and PostgreSQL looks up every row in the referenced table",
                    "add the column without a default (nullable), and fill it in batches",
                )
            } else if has(|kind| matches!(kind, ColumnConstraintKind::Generated { stored: false, .. })) {
                (
                    "a virtual generated column with NOT NULL or CHECK is verified on every row",
                    "add the constraint with NOT VALID and validate it in the next migration",
                )
            } else {
                continue;
            };
            let mut diagnostic = cx
                .at_step(
                    step,
                    format!(
                        "adding {} blocks every query on `{table}`, SELECT included, while PostgreSQL checks every row",
                        column_name(table, &column.name)
                    ),
                )
                .with_fact(why)
                .with_help(help);
            cx.weigh(table, &mut diagnostic);
            out.push(diagnostic);
        }
    }
}

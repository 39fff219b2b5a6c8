//! ZDM121: SET NOT NULL reads the whole table under ACCESS EXCLUSIVE.

use zdm_postgres::statement::AlterTableAction;
use zdm_source::Diagnostic;

use super::{alter_actions, column_name};
use crate::context::Cx;
use crate::fixes;
use crate::words::quoted_table;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        for (alter, action) in alter_actions(step) {
            let AlterTableAction::SetNotNull { column } = action else { continue };
            let table = &alter.name;
            let effects = &step.outcome.effects;
            if !cx.existed(step, table) || !effects.scans.contains(table) || effects.rewrites.contains(table) {
                continue;
            }
            let quoted = quoted_table(table);
            let mut diagnostic = cx
                .at_step(
                    step,
                    format!(
                        "setting {} NOT NULL blocks every query on `{table}`, SELECT included, while PostgreSQL reads the whole table to look for NULLs",
                        column_name(table, column)
                    ),
                )
                .with_fact(format!(
                    "a validated CHECK ({column} IS NOT NULL) would prove it, and the scan would be skipped (12 and later)"
                ))
                .with_help("in three migrations: add the CHECK with NOT VALID; validate it (reads and writes go on); SET NOT NULL and drop the CHECK")
                .with_code(
                    "1. a migration that only adds the constraint",
                    "python",
                    format!(
                        "migrations.RunSQL(\n    'ALTER TABLE {quoted} ADD CONSTRAINT \"{column}_not_null\" CHECK (\"{column}\" IS NOT NULL) NOT VALID',\n    'ALTER TABLE {quoted} DROP CONSTRAINT \"{column}_not_null\"',\n)"
                    ),
                )
                .with_code(
                    "2. the next migration validates it",
                    "python",
                    format!(
                        "migrations.RunSQL(\n    'ALTER TABLE {quoted} VALIDATE CONSTRAINT \"{column}_not_null\"',\n    migrations.RunSQL.noop,\n)"
                    ),
                )
                .with_code(
                    "3. the last one sets NOT NULL, then drops the constraint",
                    "python",
                    format!(
                        "# this operation, then:\nmigrations.RunSQL(\n    'ALTER TABLE {quoted} DROP CONSTRAINT \"{column}_not_null\"',\n    'ALTER TABLE {quoted} ADD CONSTRAINT \"{column}_not_null\" CHECK (\"{column}\" IS NOT NULL) NOT VALID',\n)"
                    ),
                );
            cx.weigh(table, &mut diagnostic);
            out.push(Cx::fixed(diagnostic, fixes::not_null_by_check(cx, step, table, column)));
        }
    }
}

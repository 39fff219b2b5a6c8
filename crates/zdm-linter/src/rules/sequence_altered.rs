//! ZDM133: ALTER SEQUENCE keeps `nextval()` waiting, and with it every INSERT that draws from the sequence.

use zdm_postgres::{LockMode, Statement};
use zdm_source::Diagnostic;

use crate::context::{Cx, name_list};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let Statement::AlterSequence { name, .. } = &step.statement else { continue };
        let Some(mode) = step.outcome.effects.locks.get(name) else { continue };
        if *mode < LockMode::ShareRowExclusive || cx.migration.catalog_before.sequence(name).is_none() {
            continue;
        }
        // Where the table itself is locked against writers, the sequence adds nothing.
        let waits_already = |table: &zdm_postgres::QualifiedName| {
            step.outcome.held.get(table).is_some_and(|held| held.mode >= LockMode::Share)
        };
        let drawing: Vec<_> = cx
            .migration
            .catalog_before
            .tables()
            .filter(|table| !waits_already(&table.name))
            .flat_map(|table| {
                table
                    .columns
                    .iter()
                    .filter(|column| column.draws_from(name))
                    .map(move |column| (&table.name, format!("{}.{}", table.name, column.name)))
            })
            .collect();
        if drawing.is_empty() {
            continue;
        }
        let message = format!(
            "altering sequence `{name}` takes {mode} on it: INSERTs that need a number for {} wait until the transaction ends",
            name_list(drawing.iter().map(|(_, column)| column))
        );
        out.push(
            cx.at_step(step, message).about(drawing.iter().map(|(table, _)| table)).with_help(
                "keep it alone in a migration, or use setval(), which takes no lock that an INSERT waits for",
            ),
        );
    }
}

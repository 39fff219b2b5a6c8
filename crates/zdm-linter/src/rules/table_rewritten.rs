//! ZDM114: VACUUM FULL, CLUSTER, SET LOGGED/UNLOGGED, SET TABLESPACE, SET ACCESS METHOD.

use zdm_postgres::Statement;
use zdm_postgres::effects::UncertainEffect;
use zdm_postgres::statement::{AlterTableAction, ObjectKind};
use zdm_replay::Step;
use zdm_source::Diagnostic;

use super::rewrites_for;
use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        moved_index(cx, step, out);
        moved_together(cx, step, out);
        let what = match &step.statement {
            Statement::Vacuum { full: true, .. } => "VACUUM FULL",
            Statement::Cluster { .. } => "CLUSTER",
            Statement::AlterTable(alter) => {
                let mut blamed = alter.actions.iter().filter(|action| rewrites_for(cx, step, alter, action));
                let named = blamed.find_map(|action| match action {
                    AlterTableAction::SetLogged => Some("SET LOGGED"),
                    AlterTableAction::SetUnlogged => Some("SET UNLOGGED"),
                    AlterTableAction::SetTablespace { .. } => Some("SET TABLESPACE"),
                    AlterTableAction::SetAccessMethod { .. } => Some("SET ACCESS METHOD"),
                    AlterTableAction::SetExpression { .. } => Some("SET EXPRESSION"),
                    _ => None,
                });
                match named {
                    Some(named) => named,
                    None => continue,
                }
            }
            _ => continue,
        };
        for table in &step.outcome.effects.rewrites {
            if !cx.existed(step, table) {
                continue;
            }
            let mut diagnostic = cx
                .at_step(
                    step,
                    format!(
                        "{what} writes `{table}` anew and blocks every query on it, SELECT included, until it is done"
                    ),
                )
                .with_help(match what {
                    "VACUUM FULL" | "CLUSTER" | "SET TABLESPACE" => {
                        "do it in a chosen window, or use pg_repack, which holds the lock only for moments"
                    }
                    "SET EXPRESSION" => {
                        "add a second generated column with the new expression in a chosen window, or an ordinary one that a trigger keeps (`zdm mirror`), and switch to it"
                    }
                    _ => "do it in a chosen window, or copy the rows in batches to a new table and swap the two",
                });
            cx.weigh(table, &mut diagnostic);
            out.push(diagnostic);
        }
    }
}

/// `ALTER INDEX … SET TABLESPACE` copies the index alone, and queries of its table wait, because planning one locks every
/// index of the table.
fn moved_index(cx: &Cx<'_>, step: &Step, out: &mut Vec<Diagnostic>) {
    let Statement::AlterTable(alter) = &step.statement else { return };
    let moves = alter.actions.iter().any(|action| matches!(action, AlterTableAction::SetTablespace { .. }));
    // The indexes of a table stay where they are.
    if !moves || step.catalog_before.table(&alter.name).is_some() {
        return;
    }
    for index in &step.outcome.effects.index_builds {
        let Some(table) = cx.table_in_use_of_index(step, index) else { continue };
        let mut diagnostic = cx
            .at_step(
                step,
                format!(
                    "SET TABLESPACE copies index `{index}` and blocks every query on `{}`, SELECT included, until it is done",
                    table.name
                ),
            )
            .with_help(format!(
                "send `REINDEX (TABLESPACE …) INDEX CONCURRENTLY {index}` in a migration with `atomic = False`"
            ));
        cx.weigh(&table.name, &mut diagnostic);
        out.push(diagnostic);
    }
}

/// `ALTER TABLE ALL IN TABLESPACE … SET TABLESPACE`: which tables lie there, only the server knows.
fn moved_together(cx: &Cx<'_>, step: &Step, out: &mut Vec<Diagnostic>) {
    let Statement::MoveAll { kind, from, .. } = &step.statement else { return };
    let rewrites = step
        .outcome
        .effects
        .uncertain
        .iter()
        .any(|uncertain| uncertain.effect == UncertainEffect::Rewrite && cx.existed(step, &uncertain.relation));
    if !rewrites {
        return;
    }
    let what = match kind {
        ObjectKind::Index => "index",
        ObjectKind::MaterializedView => "materialized view",
        _ => "table",
    };
    out.push(
        cx.at_step(
            step,
            format!(
                "every {what} of tablespace `{from}` is written anew, one after the other, and all of them stay blocked for every query, SELECT included, until the transaction ends"
            ),
        )
        .with_help("move one after the other, each in a transaction of its own, in a chosen window"),
    );
}

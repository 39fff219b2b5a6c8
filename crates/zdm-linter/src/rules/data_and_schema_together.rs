//! ZDM302: one transaction changes rows, by Python or SQL, and then the schema of tables in use.

use zdm_django::OperationKind;
use zdm_django::operation::{CodeFactKind, RunPython};
use zdm_postgres::{LockMode, Statement};
use zdm_replay::Step;
use zdm_source::Diagnostic;

use crate::context::{Cx, shortened};
use crate::{fixes, words};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    rows_then_schema(cx, out);
    if !cx.migration.migration.atomic {
        return;
    }
    for (index, operation) in cx.migration.migration.operations.iter().enumerate() {
        let OperationKind::RunPython(run) = &operation.kind else { continue };
        if words::is_noop(&run.code) || (run.body.unread.is_none() && !run.body.may_change && !sends_changes(cx, run)) {
            continue;
        }
        let changes = if run.body.unread.is_some() { "may change" } else { "changes" };
        // A lock that is already held is ZDM141's matter; here the rows come first and the schema change waits behind them.
        let schema = cx.accepted().find(|step| {
            (step.operation > index || (step.deferred && !on_new_table(cx, step))) && changes_schema(cx, step)
        });
        let Some(schema) = schema else { continue };
        let fix = fixes::split_before(cx, schema.operation).filter(|_| schema.operation > index);
        out.push(Cx::fixed(
            cx.at_operation(
                index,
                format!("Python code {changes} rows and a later operation changes the schema in one transaction: the rows stay locked until both are done"),
            )
            .with_related(cx.label_step(schema, format!("the schema changes here: `{}`", shortened(&schema.sql, 70))))
            .with_fact("if the code changes rows of a table with deferred foreign keys, PostgreSQL refuses to alter that table in the same transaction (55006, pending trigger events)")
            .with_help("split the migration: data in one, schema in another"),
            fix,
        ));
    }
}

/// SQL of the code changes rows of the project; what is not understood may.
fn sends_changes(cx: &Cx<'_>, run: &RunPython) -> bool {
    let changes = |step: &Step| match &step.statement {
        Statement::Insert(dml) | Statement::Update(dml) | Statement::Delete(dml) | Statement::Merge(dml) => {
            dml.table.name.as_str() != zdm_replay::RECORDER_TABLE
        }
        Statement::Select(query) => {
            !query.modifies.is_empty()
                || query.functions.iter().any(|function| !step.catalog_before.functions(function).is_empty())
        }
        // A schema change is told by itself.
        _ => true,
    };
    run.body.facts.iter().filter(|fact| matches!(fact.kind, CodeFactKind::SendsSql { .. })).any(|fact| {
        let mut sent = cx.steps().filter(|step| step.python && step.span == fact.span).peekable();
        sent.peek().is_none() || sent.any(changes)
    })
}

/// A statement of `RunSQL` that changes rows of a table in use, and the first one behind it that waits for a strong lock.
fn rows_then_schema(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    let mut told = Vec::new();
    for step in cx.accepted().filter(|step| step.raw && !step.python && step.transaction.is_some()) {
        let (Statement::Update(dml) | Statement::Delete(dml)) = &step.statement else { continue };
        if !cx.existed(step, &dml.table) || told.contains(&step.transaction) {
            continue;
        }
        // Where the strong lock is held already, the slow work behind it is what matters (ZDM141).
        let schema = cx.accepted().find(|other| {
            other.number > step.number
                && other.transaction == step.transaction
                && changes_schema(cx, other)
                // What the server then refuses is ZDM303's matter.
                && super::pending_trigger_events::refusal(other).is_none()
        });
        let Some(schema) = schema else { continue };
        told.push(step.transaction);
        let fix = fixes::split_before(cx, schema.operation).filter(|_| schema.operation > step.operation);
        out.push(Cx::fixed(
            cx.at_step(
                step,
                format!(
                    "rows of `{}` are changed and a later statement changes the schema in one transaction: the rows stay locked until both are done",
                    dml.table
                ),
            )
            .with_related(cx.label_step(schema, format!("the schema changes here: `{}`", shortened(&schema.sql, 70))))
            .with_help("split the migration: data in one, schema in another"),
            fix,
        ));
    }
}

/// It waits for a strong lock on a table that running code may use.
fn changes_schema(cx: &Cx<'_>, step: &Step) -> bool {
    !matches!(step.statement, Statement::Update(_) | Statement::Insert(_) | Statement::Delete(_))
        && step.outcome.effects.locks.iter().any(|(table, mode)| {
            *mode >= LockMode::ShareRowExclusive
                && step.catalog_before.table(table).is_some()
                && cx.existed(step, table)
        })
}

/// A key or an index of a table that the migration makes: what belongs to it was sent before the rows changed.
fn on_new_table(cx: &Cx<'_>, step: &Step) -> bool {
    match &step.statement {
        Statement::AlterTable(alter) => !cx.existed(step, &alter.name),
        Statement::CreateIndex(create) => !cx.existed(step, &create.table),
        _ => false,
    }
}

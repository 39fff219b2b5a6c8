//! ZDM302: an atomic migration changes data with Python and the schema of tables in use.

use zdm_django::OperationKind;
use zdm_postgres::{LockMode, Statement};
use zdm_source::Diagnostic;

use crate::context::{Cx, shortened};
use crate::words;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    if !cx.migration.migration.atomic {
        return;
    }
    for (index, operation) in cx.migration.migration.operations.iter().enumerate() {
        let OperationKind::RunPython(run) = &operation.kind else { continue };
        if words::is_noop(&run.code) {
            continue;
        }
        // A lock that is already held is ZDM141's matter; here the rows come first and the schema change waits behind them.
        let schema = cx.accepted().find(|step| {
            (step.operation > index || step.deferred)
                && !matches!(step.statement, Statement::Update(_) | Statement::Insert(_) | Statement::Delete(_))
                && step.outcome.effects.locks.iter().any(|(table, mode)| {
                    *mode >= LockMode::ShareRowExclusive
                        && step.catalog_before.table(table).is_some()
                        && cx.existed(step, table)
                })
        });
        let Some(schema) = schema else { continue };
        out.push(
            cx.at_operation(
                index,
                "Python code changes rows and a later operation changes the schema in one transaction: the rows stay locked until both are done",
            )
            .with_related(cx.label_step(schema, format!("the schema changes here: `{}`", shortened(&schema.sql, 70))))
            .with_fact("if the code changes rows of a table with deferred foreign keys, PostgreSQL refuses to alter that table in the same transaction (55006, pending trigger events)")
            .with_help("split the migration: data in one, schema in another"),
        );
    }
}

//! ZDM401: CONCURRENTLY inside a transaction.

use zdm_django::OperationKind;
use zdm_postgres::effects::TransactionUse;
use zdm_source::Diagnostic;

use crate::context::{Cx, shortened};
use crate::fixes;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.steps() {
        let refused = step.outcome.error.as_ref().is_some_and(|error| error.sqlstate == "25001");
        if !refused || step.outcome.transaction != TransactionUse::Forbidden {
            continue;
        }
        let command = shortened(&step.sql, 60);
        let mut diagnostic =
            cx.at_step(step, format!("`{command}` cannot run inside a transaction, so the migration fails"));
        diagnostic = if cx.migration.migration.atomic {
            diagnostic
                .with_fact("the migration is atomic: Django runs it in one transaction")
                .with_help("set `atomic = False` on the migration class, and keep other operations out of it")
        } else {
            diagnostic
                .with_fact("several statements in one RunSQL string are sent together, and PostgreSQL runs them as one transaction")
                .with_help("give each statement its own string: `RunSQL([\"…\", \"…\"])`, or its own RunSQL")
        };
        if cx.migration.migration.atomic {
            diagnostic = Cx::fixed(diagnostic, fixes::atomic_false(cx));
        }
        out.push(diagnostic);
    }
    // Django refuses by itself, whatever the rest of the operation is.
    for (operation, trace) in cx.operations().filter(|_| cx.migration.migration.atomic) {
        let concurrently = matches!(
            operation.kind,
            OperationKind::AddIndex { concurrently: true, .. } | OperationKind::RemoveIndex { concurrently: true, .. }
        );
        if concurrently && !cx.steps().any(|step| step.operation == trace.index) {
            let message = format!("{} cannot run inside a transaction, so the migration fails", operation.name());
            out.push(
                cx.at_operation(trace.index, message)
                    .with_fact("the migration is atomic: Django runs it in one transaction")
                    .with_help("set `atomic = False` on the migration class, and keep other operations out of it"),
            );
        }
    }
}

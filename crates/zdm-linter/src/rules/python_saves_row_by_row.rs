//! ZDM306: Python code saves each row of a table in one transaction.

use zdm_django::operation::{CodeFactKind, Rows};
use zdm_source::{Diagnostic, Severity};

use crate::context::Cx;
use crate::words::{in_transaction, old_table_of, python_operations, rows_of, weigh_rows};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for (index, run) in python_operations(cx) {
        if !in_transaction(cx, run) {
            continue;
        }
        for fact in &run.body.facts {
            let (verb, done, model, rows) = match &fact.kind {
                CodeFactKind::SavesEach { model, rows } => ("saves", "saved", model, rows),
                CodeFactKind::DeletesEach { model, rows } => ("deletes", "deleted", model, rows),
                CodeFactKind::UpdatesInBatches { model, rows } => ("updates", "updated", model, rows),
                _ => continue,
            };
            let Some((_, table)) = old_table_of(cx, index, model) else { continue };
            let batches = verb == "updates";
            let how = if batches { "in batches" } else { "one by one" };
            let mut diagnostic = cx
                .at_span(
                    fact.span,
                    format!("the loop {verb} {} {how} in one transaction: each row stays locked until the last one is {done}, and its writers wait", rows_of(rows, &table)),
                )
                .with_fact(if batches {
                    "nothing is kept if the migration is interrupted"
                } else {
                    "each row costs a round trip to the server, and nothing is kept if the migration is interrupted"
                })
                .with_help(if batches {
                    "put `atomic = False` on the migration: each `bulk_update()` is a transaction of its own then"
                } else if verb == "saves" {
                    "fill the rows in batches outside of the migration with `zdm backfill`; where the value needs Python, put `atomic = False` on the migration and commit each batch of primary keys by itself"
                } else {
                    "put `atomic = False` on the migration, and delete the rows of one range of primary keys after the other, each in a transaction of its own"
                });
            // How many rows a filter leaves is not known; a condition in the loop still goes through the whole table.
            if matches!(rows, Rows::Some(Some(_)))
                && cx.config.own_severity(cx.page, cx.migration.migration.file.path()).is_none()
            {
                diagnostic.severity = Severity::Info;
            }
            diagnostic.primary.message = format!("{done} in a loop");
            diagnostic.subject.operation = Some(index);
            weigh_rows(cx, rows, &table, &mut diagnostic);
            out.push(diagnostic);
        }
    }
}

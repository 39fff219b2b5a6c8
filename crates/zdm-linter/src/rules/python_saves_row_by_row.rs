//! ZDM306: Python code saves each row of a table in one transaction.

use zdm_django::operation::{CodeFact, CodeFactKind, Rows};
use zdm_postgres::{QualifiedName, Statement};
use zdm_source::{Diagnostic, Severity};

use super::python_changes_whole_table::{chooses_one, is_each};
use super::whole_table_in_one_statement::changes_few;
use crate::context::Cx;
use crate::words::{Kept, Link, kept_by, named_model, old_table_of, python_operations, rows_of, weigh_rows};

const OWN_TRANSACTION: &str =
    "put `transaction.atomic()` into the loop, around each batch of primary keys, not around all of them";

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for (index, run) in python_operations(cx) {
        for fact in &run.body.facts {
            let Some(kept) = kept_by(cx, run, fact) else { continue };
            let (verb, done, model, rows) = match &fact.kind {
                CodeFactKind::Updates { model, rows, .. } if is_each(rows) => ("updates", "updated", model, rows),
                CodeFactKind::Deletes { model, rows } if is_each(rows) => ("deletes", "deleted", model, rows),
                CodeFactKind::SavesEach { model, rows } => ("saves", "saved", model, rows),
                CodeFactKind::DeletesEach { model, rows } => ("deletes", "deleted", model, rows),
                CodeFactKind::UpdatesInBatches { model, rows } => ("updates", "updated", model, rows),
                CodeFactKind::DeletesInBatches { model, rows } => ("deletes", "deleted", model, rows),
                CodeFactKind::Relates { model, rows, removes, .. } if *rows != Rows::Few => {
                    match named_model(cx, index, model).map(|found| (found.link, found.table)) {
                        Some((Link::ManyToMany(through), _)) if *removes => {
                            relates(cx, (index, fact, kept), (rows, through), "deletes", out);
                        }
                        Some((Link::Referring(_), table)) => {
                            relates(cx, (index, fact, kept), (rows, table), "saves", out);
                        }
                        _ => {}
                    }
                    continue;
                }
                CodeFactKind::SendsSql { each: true, .. } => {
                    sends_each(cx, (index, fact, kept), out);
                    continue;
                }
                _ => continue,
            };
            let Some((state, table)) = old_table_of(cx, index, model) else { continue };
            // The condition is of one row, not of those that the loop goes through.
            let rows =
                if is_each(rows) && matches!(fact.kind, CodeFactKind::Updates { .. } | CodeFactKind::Deletes { .. }) {
                    if !chooses_one(cx, index, &state, &table, rows) {
                        continue;
                    }
                    &Rows::Few
                } else {
                    rows
                };
            let batches =
                matches!(fact.kind, CodeFactKind::UpdatesInBatches { .. } | CodeFactKind::DeletesInBatches { .. });
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
                });
            let help = if kept == Kept::ByTheCode {
                OWN_TRANSACTION
            } else if batches {
                "put `atomic = False` on the migration: each batch is a transaction of its own then"
            } else if verb != "deletes" {
                "fill the rows in batches outside of the migration with `zdm backfill`; where the value needs Python, put `atomic = False` on the migration and commit each batch of primary keys by itself"
            } else {
                "put `atomic = False` on the migration, and delete the rows of one range of primary keys after the other, each in a transaction of its own"
            };
            // How many rows a filter leaves is not known; a condition in the loop still goes through the whole table.
            if matches!(rows, Rows::Some(Some(_)) | Rows::Few)
                && cx.config.own_severity(cx.page, cx.migration.migration.file.path()).is_none()
            {
                diagnostic.severity = Severity::Info;
            }
            diagnostic.primary.message = format!("{done} in a loop");
            diagnostic.subject.operation = Some(index);
            diagnostic = diagnostic.with_help(help);
            weigh_rows(cx, rows, &table, &mut diagnostic);
            out.push(diagnostic);
        }
    }
}

/// SQL that changes rows by their keys, in each round of a loop.
fn sends_each(cx: &Cx<'_>, (index, fact, kept): (usize, &CodeFact, Kept), out: &mut Vec<Diagnostic>) {
    let sent = cx.accepted().filter(|step| step.python && step.operation == index && step.span == fact.span);
    for step in sent.filter(|step| changes_few(step)) {
        let (table, verb) = match &step.statement {
            Statement::Update(dml) => (&dml.table, "updates"),
            Statement::Delete(dml) => (&dml.table, "deletes"),
            _ => continue,
        };
        if !cx.existed(step, table) {
            continue;
        }
        let mut diagnostic = cx
            .at_span(
                fact.span,
                format!("the loop {verb} rows of `{table}` by one statement after the other in one transaction: each row stays locked until the last one is done, and its writers wait"),
            )
            .with_fact("each statement costs a round trip to the server, and nothing is kept if the migration is interrupted");
        let help = match kept {
            Kept::ByTheCode => OWN_TRANSACTION,
            Kept::ByTheMigration => {
                "put `atomic = False` on the migration, and commit each batch of primary keys by itself"
            }
        };
        diagnostic.primary.message = String::from("in a loop");
        diagnostic.subject.operation = Some(index);
        diagnostic = diagnostic.with_help(help);
        cx.weigh(table, &mut diagnostic);
        out.push(diagnostic);
    }
}

/// A related manager changes the rows behind it, for one object after the other.
fn relates(
    cx: &Cx<'_>,
    (index, fact, kept): (usize, &CodeFact, Kept),
    (rows, table): (&Rows, QualifiedName),
    verb: &str,
    out: &mut Vec<Diagnostic>,
) {
    if cx.migration.catalog_before.table(&table).is_none() {
        return;
    }
    let mut diagnostic = cx
        .at_span(
            fact.span,
            format!("the loop {verb} rows of `{table}` for one object after the other in one transaction: each row stays locked until the last one is done, and its writers wait"),
        )
        .with_fact("each object costs a round trip to the server, and nothing is kept if the migration is interrupted");
    let help = match kept {
        Kept::ByTheCode => OWN_TRANSACTION,
        Kept::ByTheMigration => {
            "put `atomic = False` on the migration, and commit each batch of primary keys by itself"
        }
    };
    diagnostic.primary.message = String::from("in a loop");
    diagnostic.subject.operation = Some(index);
    if matches!(rows, Rows::Some(Some(_)))
        && cx.config.own_severity(cx.page, cx.migration.migration.file.path()).is_none()
    {
        diagnostic.severity = Severity::Info;
    }
    diagnostic = diagnostic.with_help(help);
    weigh_rows(cx, rows, &table, &mut diagnostic);
    out.push(diagnostic);
}

//! ZDM908: a part of the code of a `RunPython` is not read.

use zdm_django::operation::CodeFactKind;
use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::words::{is_noop, python_operations};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for (index, run) in python_operations(cx) {
        let mut report = |span, what: &str| {
            let mut diagnostic = cx
                .at_span(span, format!("this code is not read: {what}"))
                .with_fact("what it does to rows and tables is unknown here, and later findings may be missing")
                .with_help("look at it by hand: whole tables changed at once, loops with save(), SQL of its own");
            diagnostic.subject.operation = Some(index);
            out.push(diagnostic);
        };
        if let Some(reason) = run.body.unread.as_ref().filter(|_| !is_noop(&run.code)) {
            let operation = cx.operation(index);
            let span = operation.map_or(cx.migration.migration.span, |operation| {
                operation.argument_span("code").unwrap_or(operation.span)
            });
            report(span, reason);
        }
        for fact in &run.body.facts {
            match &fact.kind {
                CodeFactKind::NotRead { what } | CodeFactKind::RowsNotRead { what } => report(fact.span, what),
                // The model that a name is taken from is not in the state.
                CodeFactKind::SendsSql { sql: Some(sql) }
                    if sql.contains('\u{1}') && !cx.migration.python.iter().any(|step| step.span == fact.span) =>
                {
                    report(fact.span, "it sends SQL that is put together while it runs");
                }
                CodeFactKind::SendsSql { sql: None } => {
                    report(fact.span, "it sends SQL that is put together while it runs");
                }
                CodeFactKind::ChangesSchema { method } => {
                    report(fact.span, &format!("it changes the schema itself, by `schema_editor.{method}()`"));
                }
                _ => {}
            }
        }
    }
}

//! ZDM901: an operation, or a part of it, is not analysed.

use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for (operation, trace) in cx.operations() {
        for (span, reason) in &trace.not_analysed {
            let mut diagnostic = cx
                .at_operation(trace.index, format!("{} is not analysed: {reason}", operation.name()))
                .with_fact(
                    "its locks and its effect on running code are unknown, and so is what later migrations build on it",
                )
                .with_help("check its SQL by hand with `python manage.py sqlmigrate`");
            diagnostic.primary.span = *span;
            diagnostic.primary.message = String::new();
            out.push(diagnostic);
        }
    }
    for (span, message) in &cx.migration.migration.problems {
        // What is not Python is ZDM905's matter.
        if message.starts_with("syntax error") {
            continue;
        }
        out.push(cx.at_span(*span, message.clone()));
    }
}

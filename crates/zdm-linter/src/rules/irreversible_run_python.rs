//! ZDM501: RunPython without `reverse_code`.

use zdm_django::{Operation, OperationKind, Value};
use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::fixes;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for (index, operation) in cx.migration.migration.operations.iter().enumerate() {
        check_operation(cx, index, operation, out);
    }
}

fn check_operation(cx: &Cx<'_>, index: usize, operation: &Operation, out: &mut Vec<Diagnostic>) {
    match &operation.kind {
        OperationKind::SeparateDatabaseAndState { database_operations, .. } => {
            for nested in database_operations {
                check_operation(cx, index, nested, out);
            }
        }
        OperationKind::RunPython(run) if run.reverse_code.is_none() => {
            // Code of an operation of the project's own.
            let own = matches!(&run.code, Value::Symbol(class) if *class == operation.class);
            let mut diagnostic = if own {
                cx.at_operation(
                    index,
                    format!(
                        "{} has no way back and cannot be unapplied, so neither can any migration before it",
                        operation.name()
                    ),
                )
                .with_help("write its `database_backwards`; where nothing has to be undone, with `pass`")
            } else {
                cx.at_operation(
                    index,
                    "RunPython without `reverse_code` cannot be unapplied, so neither can any migration before it",
                )
                .with_help("write the reverse; where nothing has to be undone, say so with `migrations.RunPython.noop`")
            };
            diagnostic.primary.span = operation.span;
            let diagnostic = Cx::fixed(diagnostic, fixes::noop(cx, operation, "reverse_code"));
            out.push(diagnostic);
        }
        _ => {}
    }
}

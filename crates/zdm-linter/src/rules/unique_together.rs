//! ZDM806: `unique_together` or `index_together`.

use zdm_django::{Operation, OperationKind, Value};
use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for (index, operation) in cx.migration.migration.operations.iter().enumerate() {
        check_operation(cx, index, operation, out);
    }
}

fn check_operation(cx: &Cx<'_>, index: usize, operation: &Operation, out: &mut Vec<Diagnostic>) {
    let set = |value: Option<&Value>| value.and_then(Value::items).is_some_and(|items| !items.is_empty());
    let (name, instead) = match &operation.kind {
        OperationKind::AlterUniqueTogether { unique_together, .. } if set(Some(unique_together)) => {
            ("unique_together", "UniqueConstraint")
        }
        OperationKind::AlterIndexTogether { index_together, .. } if set(Some(index_together)) => {
            ("index_together", "Index")
        }
        OperationKind::CreateModel { options, .. } if set(options.get("unique_together")) => {
            ("unique_together", "UniqueConstraint")
        }
        OperationKind::CreateModel { options, .. } if set(options.get("index_together")) => ("index_together", "Index"),
        OperationKind::SeparateDatabaseAndState { state_operations, .. } => {
            for nested in state_operations {
                check_operation(cx, index, nested, out);
            }
            return;
        }
        _ => return,
    };
    let mut diagnostic = cx
        .at_operation(index, format!("`{name}` has no name of its own, so that later changes have to look for it in the database, and it cannot be built concurrently"))
        .with_help(format!("use a named `{instead}` in Meta (Django's documentation of `{name}` says the same)"));
    diagnostic.primary.span = operation.span;
    out.push(diagnostic);
}

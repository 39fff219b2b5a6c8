//! ZDM501: RunPython without `reverse_code`.

use zdm_django::{Operation, OperationKind};
use zdm_source::{Applicability, Diagnostic, Edit, Fix, FixFile};

use crate::context::Cx;

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
            let file = &cx.migration.migration.file;
            let mut diagnostic = cx
                .at_operation(
                    index,
                    "RunPython without `reverse_code` cannot be unapplied, so neither can any migration before it",
                )
                .with_help(
                    "write the reverse; where nothing has to be undone, say so with `migrations.RunPython.noop`",
                );
            diagnostic.primary.span = operation.span;
            let text = file.slice(operation.span);
            if let Some(end) = text.rfind(')') {
                let before = text[..end].trim_end();
                let comma = if before.ends_with(',') { " " } else { ", " };
                let offset = operation.span.start.saturating_add(u32::try_from(before.len()).unwrap_or(0));
                let prefix = text.split('(').next().unwrap_or("migrations.RunPython").trim();
                diagnostic = diagnostic.with_fix(Fix {
                    title: format!("add `reverse_code={prefix}.noop`"),
                    applicability: Applicability::Unsafe,
                    files: vec![FixFile::Change {
                        file: file.clone(),
                        edits: vec![Edit::insert(offset, format!("{comma}reverse_code={prefix}.noop"))],
                    }],
                });
            }
            out.push(diagnostic);
        }
        _ => {}
    }
}

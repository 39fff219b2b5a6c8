//! ZDM705: a primary key of several columns is introduced or taken away on an existing table.

use zdm_django::state::ModelKey;
use zdm_django::{Operation, OperationKind};
use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for (index, operation) in cx.migration.migration.operations.iter().enumerate() {
        check_operation(cx, index, operation, out);
    }
}

fn check_operation(cx: &Cx<'_>, index: usize, operation: &Operation, out: &mut Vec<Diagnostic>) {
    let (model_name, field_name) = match &operation.kind {
        OperationKind::SeparateDatabaseAndState { database_operations, .. } => {
            for nested in database_operations {
                check_operation(cx, index, nested, out);
            }
            return;
        }
        OperationKind::AddField { model_name, field, .. } | OperationKind::AlterField { model_name, field, .. } => {
            (model_name, &field.name)
        }
        OperationKind::RemoveField { model_name, name } => (model_name, name),
        _ => return,
    };
    let key = ModelKey::new(&cx.migration.migration.key.app, model_name);
    let Some(trace) = cx.migration.operations.get(index) else { return };
    let composite = |state: &zdm_django::ProjectState| {
        state.model(&key).and_then(|model| model.field(field_name)).is_some_and(|field| field.is("CompositePrimaryKey"))
    };
    let written = matches!(&operation.kind,
        OperationKind::AddField { field, .. } | OperationKind::AlterField { field, .. } if field.is("CompositePrimaryKey"));
    if cx.migration.state_before.model(&key).is_none() || !(composite(&trace.state_before) || written) {
        return;
    }
    let mut diagnostic = cx
        .at_operation(
            index,
            format!("Django cannot change the primary key of `{model_name}` to or from several columns once the table exists: the constraint in the database stays as it is"),
        )
        .with_fact("the model then counts columns as unique together that the table does not, or the other way round")
        .with_help("send the change as SQL: build the unique index concurrently, then DROP CONSTRAINT and ADD PRIMARY KEY USING INDEX in one ALTER TABLE, with this operation as the state operation of SeparateDatabaseAndState");
    diagnostic.primary.span = operation.span;
    out.push(diagnostic);
}

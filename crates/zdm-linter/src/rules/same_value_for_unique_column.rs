//! ZDM308: a unique column is added, and every row gets the same value.

use zdm_django::state::ModelKey;
use zdm_django::{Operation, OperationKind, Resolver, Value};
use zdm_source::Diagnostic;

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
        OperationKind::AddField { model_name, field, .. } => {
            let Some(trace) = cx.migration.operations.get(index) else { return };
            let resolver = Resolver::new(&trace.state_before, &cx.options.context);
            let key = ModelKey::new(&cx.migration.migration.key.app, model_name);
            let Some(model) = trace.state_before.model(&key) else { return };
            let Ok(resolved) = resolver.field_of(model, field) else { return };
            let Some(column) = resolved.column.as_ref().filter(|_| resolved.unique && resolved.db_default().is_none())
            else {
                return;
            };
            let (what, why) = match resolved.default() {
                None | Some(Value::None | Value::Unknown(_) | Value::Setting(_)) => return,
                Some(Value::Symbol(name)) => (
                    format!("what one call of `{}` returns", name.rsplit('.').next().unwrap_or(name)),
                    "Django calls the default once and sends the result as the column's DEFAULT",
                ),
                Some(_) => ("the same default".to_owned(), "Django sends the default as the column's DEFAULT"),
            };
            let Ok(table) = resolver.table(model) else { return };
            let table = zdm_replay::table_name(&table);
            if cx.migration.catalog_before.table(&table).is_none() {
                return;
            }
            let mut diagnostic = cx
                .at_operation(
                    index,
                    format!("every existing row of `{table}` gets {what} in the unique column `{column}`: with two rows in the table the migration fails"),
                )
                .with_fact(why)
                .with_help(format!(
                    "add `{}` with `null=True` and without `unique`, fill it row by row, and then alter it to `unique=True`; or give it a volatile `db_default` (Django 5.0 and later), which the server evaluates for each row",
                    field.name
                ));
            diagnostic.primary.span = operation.span;
            out.push(diagnostic);
        }
        _ => {}
    }
}

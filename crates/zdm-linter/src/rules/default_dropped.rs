//! ZDM209: a database default is dropped that INSERTs of running code rely on.

use zdm_postgres::Catalog;
use zdm_source::Diagnostic;

use super::gives_value;
use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for old in cx.old {
        let (Some(after), Some(model)) = (old.after(cx.migration), &old.model) else { continue };
        for column in &after.columns {
            let name = column.name.as_str();
            let Some(before) = old.before.column(name) else { continue };
            let dropped = gives_value(before.default.as_ref())
                && !gives_value(column.default.as_ref())
                && column.identity.is_none();
            // Django leaves a column to the database where its field has a database default, or where it has no field.
            let relies = model.column(&column.name).is_none_or(|own| own.db_default);
            if !dropped || !column.not_null || !relies || column.generated.is_some() {
                continue;
            }
            let table = old.name();
            let without = |catalog: &Catalog| {
                catalog
                    .table(table)
                    .and_then(|table| table.column(name))
                    .is_some_and(|column| !gives_value(column.default.as_ref()))
            };
            let Some(step) = cx.step_where(without) else { continue };
            out.push(
                cx.at_step(
                    step,
                    format!("dropping the default of `{table}.{name}` breaks INSERTs of the code that is still running: model `{}` leaves the column to the database, and it is NOT NULL", model.label),
                )
                .with_help("release code that writes the column first, and drop the default in the release after"),
            );
        }
    }
}

//! ZDM206: a column becomes NOT NULL while running code may still write NULL.

use zdm_postgres::{Catalog, refuses_null};
use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for old in cx.old {
        let (Some(after), Some(model)) = (old.after(cx.migration), &old.model) else { continue };
        for own in model.columns.iter().filter(|own| own.null) {
            let name = own.column.as_str();
            let was_nullable = old.before.column(name).is_some_and(|column| !column.not_null);
            let is_not_null = after.column(name).is_some_and(|column| column.not_null);
            // Where a CHECK refused NULL before, nothing changes for those who write.
            if !(was_nullable && is_not_null) || refuses_null(&old.before, &own.column) {
                continue;
            }
            let table = old.name();
            let not_null = |catalog: &Catalog| {
                catalog.table(table).and_then(|table| table.column(name)).is_some_and(|column| column.not_null)
            };
            let Some(step) = cx.step_where(not_null) else { continue };
            out.push(
                cx.at_step(
                    step,
                    format!(
                        "`{table}.{name}` becomes NOT NULL while running code may still write NULL: model `{}` says null=True, and such an INSERT or UPDATE fails",
                        model.label
                    ),
                )
                .with_help("release code that always writes a value first, fill the old rows, and make the column NOT NULL in the release after"),
            );
        }
    }
}

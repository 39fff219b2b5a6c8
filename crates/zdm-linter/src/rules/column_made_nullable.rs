//! ZDM211: a column becomes nullable while running code does not expect NULL.

use zdm_postgres::Catalog;
use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for old in cx.old {
        let (Some(after), Some(model)) = (old.after(cx.migration), &old.model) else { continue };
        for own in model.columns.iter().filter(|own| !own.null) {
            let name = own.column.as_str();
            let was = old.before.column(name).is_some_and(|column| column.not_null);
            // A field that leaves the state with it is a step of a drop: the new code does not write it.
            let still_written =
                cx.migration.state_after.model(&model.key).is_some_and(|model| model.field(&own.field).is_some());
            if !was || !still_written || after.column(name).is_none_or(|column| column.not_null) {
                continue;
            }
            let table = old.name();
            let nullable = |catalog: &Catalog| {
                catalog.table(table).and_then(|table| table.column(name)).is_some_and(|column| !column.not_null)
            };
            let Some(step) = cx.step_where(nullable) else { continue };
            out.push(
                cx.at_step(
                    step,
                    format!("`{table}.{name}` becomes nullable: as soon as the new code writes NULL, the code that is still running reads it from model `{}`, which says null=False", model.label),
                )
                .with_help("release code that can read NULL before code that writes it"),
            );
        }
    }
}

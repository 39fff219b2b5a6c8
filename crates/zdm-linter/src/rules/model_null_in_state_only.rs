//! ZDM614: a model says null=True, its column is NOT NULL.

use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::new_code::Drift;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for drifted in cx.new {
        for drift in &drifted.drifts {
            let Drift::NotNullInDatabase { field, column } = drift else { continue };
            let index = cx.operation_on(&drifted.key, Some(field));
            out.push(cx.at_operation(
                index,
                format!(
                    "after this migration `{}.{field}` says null=True, but `{}.{column}` is NOT NULL: an INSERT or UPDATE of the new code that writes NULL fails",
                    drifted.label, drifted.table.name
                ),
            )
            .with_help("drop NOT NULL in the database in the same migration"));
        }
    }
}

//! ZDM617: a field says null=False, and its column takes NULL.

use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::new_code::Drift;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for drifted in cx.new {
        for drift in &drifted.drifts {
            let Drift::NullInDatabase { field, column } = drift else { continue };
            let index = cx.operation_on(&drifted.key, Some(field));
            let table = &drifted.table.name;
            out.push(
                cx.at_operation(
                    index,
                    format!("after this migration `{}.{field}` says null=False, but `{table}.{column}` takes NULL: the new code may read what it does not expect", drifted.label),
                )
                .with_help("set the column NOT NULL behind a validated CHECK, in this migration or the next"),
            );
        }
    }
}

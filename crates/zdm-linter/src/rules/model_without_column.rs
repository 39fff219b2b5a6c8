//! ZDM611: a model names a column that its table lacks.

use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::new_code::Drift;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for drifted in cx.new {
        for drift in &drifted.drifts {
            let Drift::MissingColumn { field, column } = drift else { continue };
            let index = cx.operation_on(&drifted.key, Some(field));
            out.push(
                cx.at_operation(
                    index,
                    format!(
                        "after this migration model `{}` has the field `{field}`, but `{}` has no column `{column}`: every query of the new code fails",
                        drifted.label, drifted.table.name
                    ),
                )
                .with_fact("the state was changed and the database was not, or the other way round (SeparateDatabaseAndState, RunSQL)")
                .with_help("let both meet in the same migration"),
            );
        }
    }
}

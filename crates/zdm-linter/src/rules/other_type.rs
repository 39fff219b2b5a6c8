//! ZDM616: a field and its column have different types.

use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::new_code::Drift;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for drifted in cx.new {
        for drift in &drifted.drifts {
            let Drift::OtherType { field, column, expected, found } = drift else { continue };
            let index = cx.operation_on(&drifted.key, Some(field));
            let table = &drifted.table.name;
            out.push(
                cx.at_operation(
                    index,
                    format!(
                        "after this migration `{}.{field}` is `{expected}` for Django and `{table}.{column}` is `{found}` in the database",
                        drifted.label
                    ),
                )
                .with_fact("values that one of them holds the other refuses or changes, and the next AlterField compares with a column that is not there")
                .with_help("let both meet in the same migration"),
            );
        }
    }
}

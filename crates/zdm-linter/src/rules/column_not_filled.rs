//! ZDM612: a table wants a value for a column that its model does not name.

use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::new_code::Drift;
use crate::words::quoted_table;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for drifted in cx.new {
        for drift in &drifted.drifts {
            let Drift::UnfilledColumn { column } = drift else { continue };
            let index = cx.operation_on(&drifted.key, Some(column.as_str()));
            let table = &drifted.table.name;
            out.push(
                cx.at_operation(
                    index,
                    format!(
                        "after this migration model `{}` no longer names `{table}.{column}`, which is NOT NULL without a default: every INSERT of the new code fails",
                        drifted.label
                    ),
                )
                .with_help("before the field leaves the state, make the column nullable or give it a default in the database")
                .with_code(
                    "in front of this operation",
                    "python",
                    format!("migrations.RunSQL(\n    'ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL',\n    migrations.RunSQL.noop,\n)", quoted_table(table), zdm_postgres::quote_identifier(column.as_str())),
                ),
            );
        }
    }
}

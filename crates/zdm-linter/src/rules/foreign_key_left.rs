//! ZDM613: a foreign key stays in the database although its field left the state.

use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::new_code::Drift;
use crate::words::quoted_table;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for drifted in cx.new {
        for drift in &drifted.drifts {
            let Drift::ForeignKeyLeft { constraint, column } = drift else { continue };
            let index = cx.operation_on(&drifted.key, Some(column.as_str()));
            let table = &drifted.table.name;
            out.push(
                cx.at_operation(
                    index,
                    format!(
                        "the foreign key `{constraint}` of `{table}.{column}` stays in the database although model `{}` no longer has the field: deleting a referenced row fails, because Django no longer deletes or clears the rows that point to it",
                        drifted.label
                    ),
                )
                .with_help(format!(
                    "drop the constraint together with the state change: RunSQL('ALTER TABLE {} DROP CONSTRAINT {}', …) as a database operation",
                    quoted_table(table),
                    zdm_postgres::quote_identifier(constraint.as_str())
                )),
            );
        }
    }
}

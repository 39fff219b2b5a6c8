//! ZDM612: a table wants a value for a column that its model does not name, or leaves to the database.

use zdm_postgres::Ident;
use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::new_code::Drift;
use crate::words::quoted_table;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for drifted in cx.new {
        for drift in &drifted.drifts {
            let table = &drifted.table.name;
            let alter = |column: &Ident, what: &str| {
                let column = zdm_postgres::quote_identifier(column.as_str());
                format!(
                    "migrations.RunSQL(\n    'ALTER TABLE {} ALTER COLUMN {column} {what}',\n    migrations.RunSQL.noop,\n)",
                    quoted_table(table)
                )
            };
            let (name, message, help, code) = match drift {
                Drift::UnfilledColumn { column } => (
                    column.as_str(),
                    format!(
                        "model `{}` no longer names `{table}.{column}`, which is NOT NULL without a default",
                        drifted.label
                    ),
                    "before the field leaves the state, make the column nullable or give it a default in the database",
                    Some(alter(column, "DROP NOT NULL")),
                ),
                Drift::NoDefault { field, column } => (
                    &**field,
                    format!(
                        "`{}.{field}` is left to a default of the database's (db_default), but `{table}.{column}` is NOT NULL without one",
                        drifted.label
                    ),
                    "give the column its default in the database in the same migration: an AlterField outside of state_operations does both",
                    None,
                ),
                _ => continue,
            };
            let index = cx.operation_on(&drifted.key, Some(name));
            let text = format!("after this migration {message}: every INSERT of the new code fails");
            let mut diagnostic = cx.at_operation(index, text).with_help(help);
            if let Some(code) = code {
                diagnostic = diagnostic.with_code("in front of this operation", "python", code);
            }
            out.push(diagnostic);
        }
    }
}

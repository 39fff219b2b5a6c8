//! ZDM615: an index or a constraint is in the state or in the database, and not in both.

use zdm_source::Diagnostic;

use crate::context::{Cx, name_list};
use crate::new_code::{Drift, Keys};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for drifted in cx.new {
        for drift in &drifted.drifts {
            let table = &drifted.table.name;
            let label = &drifted.label;
            let (message, help) = match drift {
                Drift::MissingObject { kind, name } => (
                    format!(
                        "after this migration model `{label}` has the {kind} `{name}`, but `{table}` does not: queries and checks that rely on it do without"
                    ),
                    format!(
                        "make it in the same migration (for an index, CREATE INDEX CONCURRENTLY as the database operation), or a later migration that changes `{name}` fails"
                    ),
                ),
                Drift::ObjectLeft { kind, name } => (
                    format!(
                        "after this migration model `{label}` no longer has the {kind} `{name}`, but `{table}` keeps it: what it refuses, the new code may write"
                    ),
                    format!(
                        "drop `{name}` in the database in the same migration, or say in a suppression which migration does"
                    ),
                ),
                Drift::OtherObject { kind, name, expected, found } => (
                    format!(
                        "after this migration the {kind} `{name}` of model `{label}` is on {}, and in `{table}` it is on {}",
                        words(expected),
                        words(found)
                    ),
                    format!("make `{name}` anew, as the model says it"),
                ),
                Drift::NotUnique { field, column } => (
                    format!(
                        "after this migration `{label}.{field}` says unique=True, but nothing makes `{table}.{column}` unique: the new code may write a value twice"
                    ),
                    format!(
                        "make it unique in the same migration: CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … UNIQUE USING INDEX on `{table}`"
                    ),
                ),
                _ => continue,
            };
            let field = match drift {
                Drift::NotUnique { field, .. } => Some(&**field),
                _ => None,
            };
            out.push(cx.at_operation(cx.operation_on(&drifted.key, field), message).with_help(help));
        }
    }
}

/// `` `state` and `number` ``, perhaps of some rows alone.
fn words(keys: &Keys) -> String {
    format!("{}{}", name_list(&keys.columns), if keys.partial { " under a condition" } else { "" })
}

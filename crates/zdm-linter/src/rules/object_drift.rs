//! ZDM615: an index or a constraint is in the state or in the database, and not in both.

use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::new_code::Drift;

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
                _ => continue,
            };
            out.push(cx.at_operation(cx.operation_on(&drifted.key, None), message).with_help(help));
        }
    }
}

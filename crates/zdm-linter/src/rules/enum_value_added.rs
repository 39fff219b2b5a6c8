//! ZDM213: an enum gets a value that running code does not know.

use zdm_postgres::Statement;
use zdm_postgres::statement::AlterTypeAction;
use zdm_source::Diagnostic;

use super::enum_columns;
use crate::context::{Cx, name_list};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let Statement::AlterType { name, action: AlterTypeAction::AddValue { value, .. } } = &step.statement else {
            continue;
        };
        let columns = enum_columns(cx, name);
        if columns.is_empty() {
            continue;
        }
        out.push(
            cx.at_step(
                step,
                format!(
                    "enum `{name}` gets the value `{value}`: as soon as new code writes it, the code that is still running reads it from {}",
                    name_list(columns.iter().map(|(_, column)| column))
                ),
            )
            .about(columns.iter().map(|(table, _)| table))
            .with_help("release code that can read the value before code that writes it"),
        );
    }
}

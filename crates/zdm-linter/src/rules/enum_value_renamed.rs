//! ZDM212: a value of an enum gets another name under running code.

use zdm_postgres::Statement;
use zdm_postgres::statement::AlterTypeAction;
use zdm_source::Diagnostic;

use super::enum_columns;
use crate::context::{Cx, name_list};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let Statement::AlterType { name, action: AlterTypeAction::RenameValue { from, to } } = &step.statement else {
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
                    "renaming `{from}` to `{to}` in enum `{name}` breaks the code that is still running: what it writes to {} is refused, and what it reads it does not know",
                    name_list(columns.iter().map(|(_, column)| column))
                ),
            )
            .about(columns.iter().map(|(table, _)| table))
            .with_help("add the new value, write it from new code on, change the old rows in batches, and leave the old value unused"),
        );
    }
}

//! ZDM811: a `varchar(n)` column.

use zdm_source::Diagnostic;

use super::{column_name, new_types};
use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        for (table, column, data_type) in new_types(step) {
            if data_type.is("varchar") && !data_type.modifiers.is_empty() {
                out.push(
                    cx.at_step(step, format!("{} is `{data_type}`: a shorter limit later rewrites the table, and the limit gains no space", column_name(table, column)))
                        .with_help("use TextField, with a CheckConstraint on Length() where a limit matters"),
                );
            }
        }
    }
}

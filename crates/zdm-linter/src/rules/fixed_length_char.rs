//! ZDM802: a `char(n)` column.

use zdm_source::Diagnostic;

use super::{column_name, new_types};
use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        for (table, column, data_type) in new_types(step) {
            if data_type.name.schema.is_none() && data_type.name.name == "bpchar" {
                out.push(
                    cx.at_step(step, format!("{} is `{data_type}`: it pads every value with blanks to its length, takes no less space than varchar, and a longer one rewrites the table", column_name(table, column)))
                        .with_help("use CharField (varchar) or TextField"),
                );
            }
        }
    }
}

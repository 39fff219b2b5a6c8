//! ZDM803: a `timestamp` column without time zone.

use zdm_source::Diagnostic;

use super::{column_name, new_types};
use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        for (table, column, data_type) in new_types(step) {
            if data_type.is("timestamp") {
                out.push(
                    cx.at_step(step, format!("{} is `{data_type}`: it does not say which moment it is; the same value means another one in each time zone", column_name(table, column)))
                        .with_help("use timestamptz: DateTimeField with USE_TZ = True, or `timestamp with time zone` in SQL"),
                );
            }
        }
    }
}

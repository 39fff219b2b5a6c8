//! ZDM804: a `json` column.

use zdm_postgres::DataType;
use zdm_source::Diagnostic;

use super::{column_name, new_types};
use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        for (table, column, data_type) in new_types(step) {
            if (DataType { array_dimensions: 0, ..data_type.clone() }).is("json") {
                out.push(
                    cx.at_step(step, format!("{} is `{data_type}`: it has no equality, so that SELECT DISTINCT, GROUP BY and UNION over the row fail, and no index", column_name(table, column)))
                        .with_help("use jsonb, as JSONField does"),
                );
            }
        }
    }
}

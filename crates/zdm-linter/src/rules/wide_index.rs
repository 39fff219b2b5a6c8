//! ZDM807: an index over many columns.

use zdm_postgres::Statement;
use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::words;

/// From this number of keys on the last ones hardly narrow a search.
const MANY: usize = 4;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let Statement::CreateIndex(create) = &step.statement else { continue };
        let keys = create.elements.len();
        if create.unique || keys < MANY {
            continue;
        }
        out.push(
            cx.at_step(
                step,
                format!("{} on `{}` has {keys} keys: each of them costs space and time on every write, and only the first ones narrow a search", words::index_name(create), create.table),
            )
            .with_help("keep the first two or three, and put columns that are only read into `include`"),
        );
    }
}

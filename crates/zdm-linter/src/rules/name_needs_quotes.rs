//! ZDM810: a table or column whose name works only in quotes.

use zdm_postgres::{Ident, Statement};
use zdm_source::Diagnostic;

use super::new_columns;
use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let mut names: Vec<(&'static str, &Ident)> = Vec::new();
        if let Statement::CreateTable(create) = &step.statement {
            names.push(("table", &create.name.name));
        }
        names.extend(new_columns(step).into_iter().map(|(_, column)| ("column", &column.name)));
        for (kind, name) in names {
            if zdm_postgres::needs_quotes(name) {
                out.push(
                    cx.at_step(step, format!("{kind} `{name}` must be in quotes wherever SQL is written by hand, as in reports and in psql: it is a key word, or not lower case"))
                        .with_help("choose a name of lower-case letters, digits and underscores that is no key word (`db_table`, `db_column`)"),
                );
            }
        }
    }
}

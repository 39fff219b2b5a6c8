//! ZDM309: Python code reads every row of a table into memory.

use zdm_django::operation::{CodeFactKind, Rows};
use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::fixes;
use crate::words::{old_table_of, python_operations, rows_of};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for (index, run) in python_operations(cx) {
        for fact in &run.body.facts {
            let CodeFactKind::LoadsAll { model, rows } = &fact.kind else { continue };
            let Some((_, table)) = old_table_of(cx, index, model) else { continue };
            let is = if matches!(rows, Rows::Some(_) | Rows::Few) {
                "are read into memory at once, as model objects"
            } else {
                "is read into memory at once, as a model object"
            };
            let mut diagnostic = cx.at_span(
                fact.span,
                format!(
                    "{} {is}: on a large table the migration is killed for the memory it takes",
                    rows_of(rows, &table)
                ),
            );
            diagnostic.primary.message = String::from("read as a whole");
            diagnostic.subject.operation = Some(index);
            diagnostic = diagnostic.with_help(
                "put `.iterator(chunk_size=2000)` behind the queryset, or go through the table by ranges of the primary key",
            );
            cx.weigh(&table, &mut diagnostic);
            out.push(Cx::fixed(diagnostic, fixes::iterator(cx, fact.span)));
        }
    }
}

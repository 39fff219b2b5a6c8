//! ZDM310: Python code inserts rows without batches, or one by one for each row of another table.

use zdm_django::operation::{CodeFactKind, CodeModel, Rows};
use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::fixes;
use crate::words::{
    Link, kept_by, method_as_written, named_model, old_table_of, python_operations, rows_of, weigh_rows,
};

const BETWEEN_IN_BATCHES: &str = "make the objects of the table between the two, and send them by `bulk_create` in batches, in a migration with `atomic = False`";

/// Methods that ask for a row before they make one.
const LOOKS_FIRST: [&str; 4] = ["get_or_create", "update_or_create", "aget_or_create", "aupdate_or_create"];

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for (index, run) in python_operations(cx) {
        for fact in &run.body.facts {
            let (message, help, weight) = match &fact.kind {
                CodeFactKind::CreatesAtOnce { model } => (
                    format!(
                        "`{}()` without `batch_size` sends all new rows of `{}` in one INSERT: server and client hold the whole statement in memory",
                        method_as_written(cx, fact.span, "bulk_create", &["abulk_create"]),
                        label(cx, index, model)
                    ),
                    "give it `batch_size=1000`, and make the objects in batches too",
                    old_table_of(cx, index, model).map(|(_, table)| (&Rows::All, table)),
                ),
                CodeFactKind::CreatesEach { model, source, rows } if kept_by(cx, run, fact).is_some() => {
                    let Some((_, source)) = old_table_of(cx, index, source) else { continue };
                    let method = method_as_written(cx, fact.span, "create", &LOOKS_FIRST);
                    let (model, which) = (label(cx, index, model), rows_of(rows, &source));
                    (
                        if LOOKS_FIRST.contains(&method) {
                            format!(
                                "`{method}()` of `{model}` for {which}, all in one transaction: a query and a write for each row, and nothing is kept if the migration is interrupted"
                            )
                        } else {
                            format!(
                                "one INSERT into `{model}` for {which}, all in one transaction: a round trip for each row, and nothing is kept if the migration is interrupted"
                            )
                        },
                        "send one INSERT … SELECT by ranges of the primary key, or `bulk_create` in batches, in a migration with `atomic = False`",
                        Some((rows, source)),
                    )
                }
                CodeFactKind::Relates { model, source, rows, removes: false }
                    if !chooses_few(rows) && kept_by(cx, run, fact).is_some() =>
                {
                    let Some(Link::ManyToMany(through)) = named_model(cx, index, model).map(|found| found.link) else {
                        continue;
                    };
                    let Some((_, source)) = old_table_of(cx, index, source) else { continue };
                    (
                        format!(
                            "one INSERT into `{through}` for {}, all in one transaction: a round trip for each row, and nothing is kept if the migration is interrupted",
                            rows_of(rows, &source)
                        ),
                        BETWEEN_IN_BATCHES,
                        Some((rows, source)),
                    )
                }
                CodeFactKind::RelatesAtOnce { model, source, rows } if !chooses_few(rows) => {
                    let Some(Link::ManyToMany(through)) = named_model(cx, index, model).map(|found| found.link) else {
                        continue;
                    };
                    let Some((_, source)) = old_table_of(cx, index, source) else { continue };
                    (
                        format!(
                            "`{}()` sends one INSERT into `{through}` for {} together: server and client hold the whole statement in memory",
                            method_as_written(cx, fact.span, "add", &["aadd", "set", "aset"]),
                            rows_of(rows, &source)
                        ),
                        BETWEEN_IN_BATCHES,
                        Some((rows, source)),
                    )
                }
                _ => continue,
            };
            let mut diagnostic = cx.at_span(fact.span, message).with_help(help);
            diagnostic.primary.message = String::from("inserted here");
            diagnostic.subject.operation = Some(index);
            if let Some((rows, table)) = weight {
                weigh_rows(cx, rows, &table, &mut diagnostic);
            }
            let fix = match &fact.kind {
                CodeFactKind::CreatesAtOnce { .. } => fixes::batch_size(cx, fact.span),
                _ => None,
            };
            out.push(Cx::fixed(diagnostic, fix));
        }
    }
}

/// What a filter chooses to be related to others is mostly a handful: groups that get a permission.
const fn chooses_few(rows: &Rows) -> bool {
    matches!(rows, Rows::Few | Rows::Some(Some(_)))
}

/// `shop.Order`; of a related manager, the model of the objects that it makes.
fn label(cx: &Cx<'_>, index: usize, model: &CodeModel) -> String {
    match named_model(cx, index, model).filter(|_| model.name.contains('.')) {
        Some(found) => format!("{}.{}", found.model.app, found.model.name),
        None => format!("{}.{}", model.app, model.name),
    }
}

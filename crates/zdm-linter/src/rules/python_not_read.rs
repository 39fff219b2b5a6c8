//! ZDM908: a part of the code of a `RunPython` is not read.

use zdm_django::Resolver;
use zdm_django::operation::{CodeFactKind, CodeModel};
use zdm_django::state::ModelKey;
use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::words::{is_noop, named_model, python_operations};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for (index, run) in python_operations(cx) {
        let mut report = |span, what: &str| {
            let mut diagnostic = cx
                .at_span(span, format!("this code is not read: {what}"))
                .with_fact("what it does to rows and tables is unknown here, and later findings may be missing")
                .with_help("look at it by hand: whole tables changed at once, loops with save(), SQL of its own");
            diagnostic.subject.operation = Some(index);
            out.push(diagnostic);
        };
        if let Some(reason) = run.body.unread.as_ref().filter(|_| !is_noop(&run.code)) {
            let operation = cx.operation(index);
            let span = operation.map_or(cx.migration.migration.span, |operation| {
                operation.argument_span("code").unwrap_or(operation.span)
            });
            report(span, reason);
        }
        for fact in &run.body.facts {
            match &fact.kind {
                CodeFactKind::SavesEach { model, .. }
                | CodeFactKind::DeletesEach { model, .. }
                | CodeFactKind::Updates { model, .. }
                | CodeFactKind::Deletes { model, .. }
                | CodeFactKind::Relates { model, .. }
                | CodeFactKind::RelatesAtOnce { model, .. }
                | CodeFactKind::CreatesEach { model, .. }
                | CodeFactKind::Creates { model }
                    if is_lost(cx, index, model) =>
                {
                    report(fact.span, &format!("what `{}` leads to is decided while it runs", model.name));
                }
                CodeFactKind::NotRead { what } | CodeFactKind::RowsNotRead { what } => report(fact.span, what),
                // The model that a name is taken from is not in the state.
                CodeFactKind::SendsSql { sql: Some(sql), .. }
                    if sql.contains('\u{1}') && !cx.migration.python.iter().any(|step| step.span == fact.span) =>
                {
                    report(fact.span, "it sends SQL that is put together while it runs");
                }
                CodeFactKind::SendsSql { sql: None, .. } => {
                    report(fact.span, "it sends SQL that is put together while it runs");
                }
                CodeFactKind::ChangesSchema { method } => {
                    report(fact.span, &format!("it changes the schema itself, by `schema_editor.{method}()`"));
                }
                _ => {}
            }
        }
    }
}

/// The attributes of an object lead to rows, and the state does not say to which: a field of a package, a model that is
/// not known. A field with a column is a value, and what is no field was made by the code itself.
fn is_lost(cx: &Cx<'_>, index: usize, model: &CodeModel) -> bool {
    let Some((name, attributes)) = model.name.split_once('.') else { return false };
    if named_model(cx, index, model).is_some() {
        return false;
    }
    let Some(state) = cx.migration.operations.get(index).map(|operation| &operation.state_before) else { return true };
    let Some(known) = state.model(&ModelKey::new(&model.app, name)) else { return true };
    let first = attributes.split('.').next().unwrap_or(attributes);
    let resolved = Resolver::new(state, &cx.options.context).field(known, first);
    match known.field(first) {
        Some(_) => resolved.is_ok_and(|field| field.column.is_none() || field.relation.is_some()),
        None => false,
    }
}

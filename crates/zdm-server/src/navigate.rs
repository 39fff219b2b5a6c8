//! From a name in an operation to the operation that created what it names, and to all others that name it.
//!
//! Names are followed through renames in both directions: what is looked for is the thing, not its name.

use std::sync::Arc;

use zdm_django::migration::DependencyTarget;
use zdm_django::operation::ConstraintKind;
use zdm_django::{Field, Operation, OperationKind, Value};
use zdm_replay::MigrationTrace;
use zdm_source::{SourceFile, Span};
use zdm_workspace::Live;

use crate::names;

/// A place in a file of the project, by path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) file: SourceFile,
    pub(crate) span: Span,
}

/// A model, or a field of one, by the names that it has at some point of the history; names in lower case, as Django
/// compares those of models.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Subject {
    app: Arc<str>,
    model: String,
    field: Option<String>,
}

/// An operation by its migration's place in the order of execution, and its own in the migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct At {
    migration: usize,
    operation: usize,
}

/// Where what is named at an offset was created; for a dependency the migration that it names.
pub(crate) fn definition(live: &Live, path: &str, offset: u32) -> Option<Found> {
    let trace = live.trace(path)?;
    if let Some(found) = dependency(live, trace, offset) {
        return Some(found);
    }
    let (at, subject) = subject_at(live, path, offset)?;
    created(live, at, &subject).map(|(_, _, found)| found)
}

/// Every operation that names the same thing, its creation included.
pub(crate) fn references(live: &Live, path: &str, offset: u32, with_creation: bool) -> Vec<Found> {
    let Some((at, subject)) = subject_at(live, path, offset) else { return Vec::new() };
    let Some((first, mut subject, creation)) = created(live, at, &subject) else { return Vec::new() };
    let mut found = Vec::new();
    if with_creation {
        found.push(creation);
    }
    for migration in first.migration..live.history().len() {
        let Some(own) = live.history().migration(migration) else { continue };
        for (index, operation) in own.operations.iter().enumerate() {
            if (At { migration, operation: index }) <= first {
                continue;
            }
            let mut ended = false;
            for part in flat(operation) {
                if let Some(span) = names_it(&own.key.app, part, &subject) {
                    let place = Found { file: own.file.clone(), span };
                    if !found.contains(&place) {
                        found.push(place);
                    }
                }
                ended |= !step_forward(&own.key.app, part, &mut subject);
            }
            if ended {
                return found;
            }
        }
    }
    found
}

/// The migration behind an entry of `dependencies`, `run_before` or `replaces`.
fn dependency(live: &Live, trace: &MigrationTrace, offset: u32) -> Option<Found> {
    let migration = &trace.migration;
    let all = migration.dependencies.iter().chain(&migration.run_before);
    let entry = all.into_iter().find(|entry| entry.span.start <= offset && offset <= entry.span.end)?;
    let DependencyTarget::Migration(key) = &entry.target else { return None };
    let found = live.workspace().project.migration(key)?;
    Some(Found { file: found.file.clone(), span: found.span })
}

fn subject_at(live: &Live, path: &str, offset: u32) -> Option<(At, Subject)> {
    let trace = live.trace(path)?;
    let migration = &trace.migration;
    let (index, operation) = names::operation_at(&migration.operations, offset)?;
    let at = At { migration: live.place(path)?, operation: index };
    let text = names::literal_at(&migration.file, offset)?;
    let app = &migration.key.app;
    let model = names::model(operation).map(|name| name.to_lowercase());
    let subject =
        |model: String, field: Option<&str>| Subject { app: Arc::clone(app), model, field: field.map(str::to_owned) };
    let covers =
        |name: &str| operation.argument_span(name).is_some_and(|span| span.start <= offset && offset <= span.end);
    let plain = text.trim_start_matches('-');
    if let Some(model) = &model {
        let is_field = !covers("model_name")
            && (names::field(operation).is_some_and(|field| **field == *plain)
                || matches!(&operation.kind, OperationKind::RenameField { new_name, .. } if **new_name == *plain)
                || has_field(trace, index, app, model, plain));
        if is_field {
            return Some((at, subject(model.clone(), Some(plain))));
        }
        if plain.to_lowercase() == *model {
            return Some((at, subject(model.clone(), None)));
        }
    }
    // `"app.Model"`, or a model of the same app.
    let (other_app, name) = text.split_once('.').unwrap_or((app, text));
    let state = &trace.operations.get(index)?.state_after;
    let key = zdm_django::state::ModelKey::new(other_app, name);
    let exists = state.model(&key).is_some() || trace.state_before.model(&key).is_some();
    exists.then(|| (at, Subject { app: Arc::from(other_app), model: name.to_lowercase(), field: None }))
}

/// Whether the model has that field before or after an operation.
fn has_field(trace: &MigrationTrace, index: usize, app: &str, model: &str, field: &str) -> bool {
    let key = zdm_django::state::ModelKey::new(app, model);
    trace.operations.get(index).is_some_and(|part| {
        [&part.state_before, &part.state_after]
            .into_iter()
            .any(|state| state.model(&key).is_some_and(|model| model.field(field).is_some()))
    })
}

/// The creation of what `subject` is at an operation: its place, the names that it had then, where it is written.
fn created(live: &Live, at: At, subject: &Subject) -> Option<(At, Subject, Found)> {
    let mut subject = subject.clone();
    for migration in (0..=at.migration).rev() {
        let Some(own) = live.history().migration(migration) else { continue };
        let last = if migration == at.migration { at.operation + 1 } else { own.operations.len() };
        for (index, operation) in own.operations.iter().enumerate().take(last).rev() {
            for part in flat(operation).into_iter().rev() {
                let place = At { migration, operation: index };
                match step_back(&own.key.app, part, &mut subject) {
                    Back::Created(span) => return Some((place, subject, Found { file: own.file.clone(), span })),
                    Back::Goes => {}
                }
            }
        }
    }
    None
}

enum Back {
    Goes,
    /// By this operation; what is written there.
    Created(Span),
}

/// Undoes an operation on the names of `subject`.
fn step_back(app: &Arc<str>, operation: &Operation, subject: &mut Subject) -> Back {
    if *app != subject.app {
        return Back::Goes;
    }
    match &operation.kind {
        OperationKind::CreateModel { name, fields, .. } if name.to_lowercase() == subject.model => match &subject.field
        {
            None => return Back::Created(operation.argument_span("name").unwrap_or(operation.span)),
            Some(field) => {
                // A key that nobody wrote comes with the model.
                let own = fields.iter().find(|own| *own.name == **field);
                return Back::Created(own.map_or(operation.span, |own| own.span));
            }
        },
        OperationKind::AddField { model_name, field, .. }
            if model_name.to_lowercase() == subject.model && subject.field.as_deref() == Some(&*field.name) =>
        {
            return Back::Created(operation.argument_span("name").unwrap_or(operation.span));
        }
        OperationKind::RenameModel { old_name, new_name } if new_name.to_lowercase() == subject.model => {
            subject.model = old_name.to_lowercase();
        }
        OperationKind::RenameField { model_name, old_name, new_name }
            if model_name.to_lowercase() == subject.model && subject.field.as_deref() == Some(&**new_name) =>
        {
            subject.field = Some(old_name.to_string());
        }
        _ => {}
    }
    Back::Goes
}

/// Follows an operation with the names of `subject`; false where the thing is gone behind it.
fn step_forward(app: &Arc<str>, operation: &Operation, subject: &mut Subject) -> bool {
    if *app != subject.app {
        return true;
    }
    match &operation.kind {
        OperationKind::RenameModel { old_name, new_name } if old_name.to_lowercase() == subject.model => {
            subject.model = new_name.to_lowercase();
        }
        OperationKind::RenameField { model_name, old_name, new_name }
            if model_name.to_lowercase() == subject.model && subject.field.as_deref() == Some(&**old_name) =>
        {
            subject.field = Some(new_name.to_string());
        }
        OperationKind::DeleteModel { name } => return name.to_lowercase() != subject.model,
        OperationKind::RemoveField { model_name, name } => {
            return model_name.to_lowercase() != subject.model || subject.field.as_deref() != Some(&**name);
        }
        _ => {}
    }
    true
}

/// An operation and what is inside of it.
fn flat(operation: &Operation) -> Vec<&Operation> {
    let mut all = vec![operation];
    let mut next = 0;
    while let Some(operation) = all.get(next).copied() {
        all.extend(names::nested(operation));
        next += 1;
    }
    all
}

/// Where an operation names `subject`, if it does.
fn names_it(app: &Arc<str>, operation: &Operation, subject: &Subject) -> Option<Span> {
    let argument = |name: &str| operation.argument_span(name).unwrap_or(operation.span);
    let own = *app == subject.app && names::model(operation).is_some_and(|model| model.to_lowercase() == subject.model);
    let Some(field) = &subject.field else {
        if own {
            let names = ["model_name", "old_name", "name"];
            return Some(names.iter().find_map(|name| operation.argument_span(name)).unwrap_or(operation.span));
        }
        return fields(operation).find(|field| refers_to(field, app, subject)).map(|field| field.span);
    };
    if !own {
        return fields(operation)
            .find(|other| {
                refers_to(other, app, subject)
                    && other.kwarg("to_field").and_then(Value::as_str).is_some_and(|name| name == field)
            })
            .map(|field| field.span);
    }
    let is = |name: &str| name.trim_start_matches('-') == field;
    let span = match &operation.kind {
        OperationKind::AddField { field, .. } | OperationKind::AlterField { field, .. } if is(&field.name) => {
            argument("name")
        }
        OperationKind::RemoveField { name, .. } if is(name) => argument("name"),
        OperationKind::RenameField { old_name, .. } if is(old_name) => argument("old_name"),
        OperationKind::AlterOrderWithRespectTo { order_with_respect_to: Some(name), .. } if is(name) => operation.span,
        OperationKind::AlterUniqueTogether { unique_together: value, .. }
        | OperationKind::AlterIndexTogether { index_together: value, .. }
            if mentions(value, field) =>
        {
            operation.span
        }
        OperationKind::AddIndex { index, .. }
            if index.fields.iter().any(|name| is(name))
                || index.expressions.iter().chain(&index.condition).any(|value| mentions(value, field)) =>
        {
            index.span
        }
        OperationKind::AddConstraint { constraint, .. } => {
            let named = match &constraint.kind {
                ConstraintKind::Check { condition } => mentions(condition, field),
                ConstraintKind::Unique { fields, expressions, condition } => {
                    fields.iter().any(|name| is(name))
                        || expressions.iter().chain(condition).any(|value| mentions(value, field))
                }
                ConstraintKind::Exclusion { expressions, condition, .. } => {
                    expressions.iter().any(|(value, _)| mentions(value, field))
                        || condition.as_ref().is_some_and(|value| mentions(value, field))
                }
                ConstraintKind::Unknown { .. } => false,
            };
            if !named {
                return None;
            }
            constraint.span
        }
        _ => return None,
    };
    Some(span)
}

fn fields(operation: &Operation) -> impl Iterator<Item = &Field> {
    let (one, many): (Option<&Field>, &[Field]) = match &operation.kind {
        OperationKind::AddField { field, .. } | OperationKind::AlterField { field, .. } => (Some(field), &[]),
        OperationKind::CreateModel { fields, .. } => (None, fields),
        _ => (None, &[]),
    };
    one.into_iter().chain(many)
}

fn refers_to(field: &Field, app: &str, subject: &Subject) -> bool {
    let Some(to) = field.kwarg("to").and_then(Value::as_str) else { return false };
    let (to_app, model) = to.split_once('.').unwrap_or((app, to));
    *to_app == *subject.app && model.to_lowercase() == subject.model
}

/// Whether a field's name stands in a value: as a text, or at the beginning of a lookup.
fn mentions(value: &Value, field: &str) -> bool {
    let is = |name: &str| {
        name.trim_start_matches('-').strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with("__"))
    };
    match value {
        Value::Str(text) => is(text),
        Value::List(items) | Value::Tuple(items) | Value::Set(items) => items.iter().any(|item| mentions(item, field)),
        Value::Dict(entries) => entries.iter().any(|(key, value)| mentions(key, field) || mentions(value, field)),
        Value::Call(call) => {
            call.args.iter().any(|value| mentions(value, field))
                || call.kwargs.iter().any(|(name, value)| is(name) || mentions(value, field))
        }
        _ => false,
    }
}

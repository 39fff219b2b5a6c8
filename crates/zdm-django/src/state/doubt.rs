//! What an operation leaves uncertain of which nobody can tell whether it runs.
//!
//! The doubt is about names: a model as a whole, or a field, index, constraint or option of one. Whatever later speaks of
//! such a name is not analysed either and hands the doubt on to what it names itself; everything else is as certain as
//! before. What is removed for certain is doubtful no more.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::relations::{RelationTarget, is_relation, model_reference};
use super::{ModelKey, ProjectState, together_groups};
use crate::field::Field;
use crate::operation::{Constraint, ConstraintKind, Index, KnownOperation, Operation, OperationKind};
use crate::value::Value;

/// What is uncertain about one model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Doubt {
    /// Whether it exists, or how its table is called.
    whole: bool,
    /// Fields, indexes, constraints, and the options `unique_together` and `index_together`.
    names: BTreeSet<Arc<str>>,
}

/// Why what speaks of it is not analysed.
fn in_doubt(what: &str) -> String {
    format!("whether and how {what} is there depends on an operation that is not analysed")
}

/// What an operation speaks of.
enum Part {
    Model(Arc<str>),
    Name(Arc<str>, Arc<str>),
}

impl ProjectState {
    /// Whether a model, as a whole, may not be there or may have another table: an operation that is not analysed may have
    /// made, renamed, changed or removed it.
    pub fn is_uncertain(&self, key: &ModelKey) -> bool {
        self.doubts.get(key).is_some_and(|doubt| doubt.whole)
    }

    /// The fields, indexes, constraints and options of a model of which that holds, sorted.
    pub fn uncertain_names(&self, key: &ModelKey) -> impl Iterator<Item = &str> {
        self.doubts.get(key).into_iter().flat_map(|doubt| doubt.names.iter().map(|name| &**name))
    }

    /// Why an operation cannot be told to do what it does for certain; none where it can.
    pub(crate) fn doubt_about(&self, app: &str, kind: &OperationKind) -> Option<String> {
        if self.doubts.is_empty() {
            return None;
        }
        let whole = |name: &str| {
            let key = ModelKey::new(app, name);
            self.is_uncertain(&key).then(|| in_doubt(&format!("`{key}`")))
        };
        let named = |model: &str, name: &str| {
            let key = ModelKey::new(app, model);
            self.doubts.get(&key)?.names.contains(name).then(|| in_doubt(&format!("`{name}` of `{key}`")))
        };
        match kind {
            OperationKind::CreateModel { name, fields, bases, .. } => {
                let pointed = fields.iter().find_map(|field| self.target_in_doubt(app, name, field));
                let based = bases.iter().find_map(|base| self.reference_in_doubt(app, name, base));
                pointed.or(based)
            }
            OperationKind::DeleteModel { name } | OperationKind::AlterModelTable { name, .. } => {
                whole(name).or_else(|| self.many_to_many_in_doubt(&ModelKey::new(app, name)))
            }
            OperationKind::RenameModel { old_name, .. } => {
                let key = ModelKey::new(app, old_name);
                let any = |key: &ModelKey| {
                    self.doubts.contains_key(key).then(|| {
                        format!("not all of `{key}` is certain: it depends on an operation that is not analysed")
                    })
                };
                whole(old_name).or_else(|| any(&key)).or_else(|| self.referrers(&key).find_map(any))
            }
            OperationKind::AddField { model_name, field, .. } | OperationKind::AlterField { model_name, field, .. } => {
                whole(model_name)
                    .or_else(|| named(model_name, &field.name))
                    .or_else(|| self.target_in_doubt(app, model_name, field))
            }
            OperationKind::RemoveField { model_name, name } => whole(model_name).or_else(|| named(model_name, name)),
            OperationKind::RenameField { model_name, old_name, new_name } => {
                whole(model_name).or_else(|| named(model_name, old_name)).or_else(|| named(model_name, new_name))
            }
            OperationKind::AlterUniqueTogether { name, unique_together: value } => whole(name)
                .or_else(|| named(name, "unique_together"))
                .or_else(|| together_groups(value).iter().flatten().find_map(|field| named(name, field))),
            OperationKind::AlterIndexTogether { name, index_together: value } => whole(name)
                .or_else(|| named(name, "index_together"))
                .or_else(|| together_groups(value).iter().flatten().find_map(|field| named(name, field))),
            OperationKind::AlterOrderWithRespectTo { name, .. } => whole(name).or_else(|| named(name, "_order")),
            OperationKind::AlterModelTableComment { name, .. } | OperationKind::AlterModelOptions { name, .. } => {
                whole(name)
            }
            OperationKind::AddIndex { model_name, index, .. } => whole(model_name).or_else(|| {
                let mut used = BTreeSet::new();
                names_in_index(index, &mut used);
                used.iter().find_map(|name| named(model_name, name))
            }),
            OperationKind::RemoveIndex { model_name, name, .. }
            | OperationKind::RemoveConstraint { model_name, name }
            | OperationKind::ValidateConstraint { model_name, name } => {
                whole(model_name).or_else(|| named(model_name, name))
            }
            OperationKind::RenameIndex { model_name, new_name, old_name, old_fields } => whole(model_name)
                .or_else(|| named(model_name, new_name))
                .or_else(|| old_name.as_ref().and_then(|name| named(model_name, name)))
                .or_else(|| old_fields.as_ref().and_then(|_| named(model_name, "index_together")))
                .or_else(|| old_fields.iter().flatten().find_map(|field| named(model_name, field))),
            OperationKind::AddConstraint { model_name, constraint, .. }
            | OperationKind::AlterConstraint { model_name, constraint, .. } => whole(model_name).or_else(|| {
                let mut used = BTreeSet::new();
                names_in_constraint(constraint, &mut used);
                used.iter().find_map(|name| named(model_name, name))
            }),
            _ => None,
        }
    }

    /// A relation to a model that may not be there, or whose key is uncertain.
    fn target_in_doubt(&self, app: &str, model: &str, field: &Field) -> Option<String> {
        if !is_relation(field) {
            return None;
        }
        ["to", "through"].iter().find_map(|name| self.reference_in_doubt(app, model, field.kwarg(name)?))
    }

    fn reference_in_doubt(&self, app: &str, model: &str, reference: &Value) -> Option<String> {
        let RelationTarget::Model(key) = model_reference(reference, app, model) else { return None };
        let own = key == ModelKey::new(app, model);
        (!own && self.is_uncertain(&key)).then(|| in_doubt(&format!("`{key}`")))
    }

    /// Many-to-many fields have tables that go with the model's.
    fn many_to_many_in_doubt(&self, key: &ModelKey) -> Option<String> {
        let doubt = self.doubts.get(key)?;
        let model = self.model(key)?;
        let field =
            model.fields.iter().find(|field| field.is("ManyToManyField") && doubt.names.contains(&field.name))?;
        Some(in_doubt(&format!("`{}` of `{key}`", field.name)))
    }

    /// Marks what an operation speaks of.
    pub(super) fn doubt(&mut self, app: &str, operation: &Operation) {
        let mut parts = Vec::new();
        parts_of(&operation.kind, &mut parts, 0);
        for part in parts {
            let (model, name) = match part {
                Part::Model(model) => (model, None),
                Part::Name(model, name) => (model, Some(name)),
            };
            let key = ModelKey::new(app, &model);
            let mut doubt = self.doubts.get(&key).cloned().unwrap_or_default();
            match name {
                Some(name) => {
                    doubt.names.insert(name);
                }
                None => doubt.whole = true,
            }
            self.doubts.insert_mut(key, doubt);
        }
    }

    /// Forgets the doubt about what an operation, which runs for certain, removes.
    pub(super) fn settle(&mut self, app: &str, kind: &OperationKind) {
        match kind {
            OperationKind::DeleteModel { name } => {
                self.doubts.remove_mut(&ModelKey::new(app, name));
            }
            OperationKind::RemoveField { model_name, name }
            | OperationKind::RemoveIndex { model_name, name, .. }
            | OperationKind::RemoveConstraint { model_name, name } => {
                let key = ModelKey::new(app, model_name);
                let Some(mut doubt) = self.doubts.get(&key).cloned() else { return };
                if doubt.names.remove(name) {
                    if doubt == Doubt::default() {
                        self.doubts.remove_mut(&key);
                    } else {
                        self.doubts.insert_mut(key, doubt);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The models that an operation speaks of, those inside of it included.
pub fn models_named(kind: &OperationKind) -> Vec<Arc<str>> {
    let mut parts = Vec::new();
    parts_of(kind, &mut parts, 0);
    let mut models: Vec<Arc<str>> = Vec::new();
    for part in parts {
        let (Part::Model(model) | Part::Name(model, _)) = part;
        if !models.contains(&model) {
            models.push(model);
        }
    }
    models
}

fn parts_of(kind: &OperationKind, parts: &mut Vec<Part>, depth: u8) {
    const MAX_DEPTH: u8 = 16;
    if depth > MAX_DEPTH {
        return;
    }
    let mut name = |model: &Arc<str>, name: &Arc<str>| parts.push(Part::Name(model.clone(), name.clone()));
    match kind {
        OperationKind::CreateModel { name, .. }
        | OperationKind::DeleteModel { name }
        | OperationKind::AlterModelTable { name, .. } => parts.push(Part::Model(name.clone())),
        OperationKind::RenameModel { old_name, new_name } => {
            parts.extend([Part::Model(old_name.clone()), Part::Model(new_name.clone())]);
        }
        // Nothing else of the options reaches the database.
        OperationKind::AlterModelOptions { name, options } if options.get("managed").is_some() => {
            parts.push(Part::Model(name.clone()));
        }
        OperationKind::AlterUniqueTogether { name: model, .. } => name(model, &Arc::from("unique_together")),
        OperationKind::AlterIndexTogether { name: model, .. } => name(model, &Arc::from("index_together")),
        OperationKind::AlterOrderWithRespectTo { name: model, .. } => name(model, &Arc::from("_order")),
        OperationKind::AddField { model_name, field, .. } | OperationKind::AlterField { model_name, field, .. } => {
            name(model_name, &field.name);
        }
        OperationKind::RemoveField { model_name, name: field } => name(model_name, field),
        OperationKind::RenameField { model_name, old_name, new_name } => {
            name(model_name, old_name);
            name(model_name, new_name);
        }
        OperationKind::AddIndex { model_name, index, .. } => {
            if let Some(index) = &index.name {
                name(model_name, index);
            }
        }
        OperationKind::RemoveIndex { model_name, name: index, .. } => name(model_name, index),
        OperationKind::RenameIndex { model_name, new_name, old_name, .. } => {
            name(model_name, new_name);
            match old_name {
                Some(old) => name(model_name, old),
                None => name(model_name, &Arc::from("index_together")),
            }
        }
        OperationKind::AddConstraint { model_name, constraint, .. } => name(model_name, &constraint.name),
        OperationKind::RemoveConstraint { model_name, name: constraint }
        | OperationKind::ValidateConstraint { model_name, name: constraint }
        | OperationKind::AlterConstraint { model_name, name: constraint, .. } => name(model_name, constraint),
        OperationKind::SeparateDatabaseAndState { database_operations, state_operations } => {
            for inner in database_operations.iter().chain(state_operations) {
                parts_of(&inner.kind, parts, depth + 1);
            }
        }
        OperationKind::RunSql(run_sql) => {
            for inner in &run_sql.state_operations {
                parts_of(&inner.kind, parts, depth + 1);
            }
        }
        OperationKind::Known(KnownOperation { state_operations, .. }) => {
            for inner in state_operations {
                parts_of(&inner.kind, parts, depth + 1);
            }
        }
        OperationKind::Unknown { possible, models, .. } => {
            parts.extend(models.iter().cloned().map(Part::Model));
            for inner in possible {
                parts_of(&inner.kind, parts, depth + 1);
            }
        }
        OperationKind::Where { operations, .. } => {
            for inner in operations {
                parts_of(&inner.kind, parts, depth + 1);
            }
        }
        _ => {}
    }
}

fn names_in_index(index: &Index, found: &mut BTreeSet<Arc<str>>) {
    found.extend(index.name.iter().cloned());
    found.extend(index.fields.iter().map(|field| Arc::<str>::from(field.trim_start_matches('-'))));
    for value in index.expressions.iter().chain(&index.condition) {
        names_in(value, found, 0);
    }
    for (_, value) in &index.kwargs {
        names_in(value, found, 0);
    }
}

fn names_in_constraint(constraint: &Constraint, found: &mut BTreeSet<Arc<str>>) {
    found.insert(constraint.name.clone());
    match &constraint.kind {
        ConstraintKind::Check { condition } => names_in(condition, found, 0),
        ConstraintKind::Unique { fields, expressions, condition } => {
            found.extend(fields.iter().cloned());
            for value in expressions.iter().chain(condition) {
                names_in(value, found, 0);
            }
        }
        ConstraintKind::Exclusion { expressions, condition, .. } => {
            for value in expressions.iter().map(|(value, _)| value).chain(condition) {
                names_in(value, found, 0);
            }
        }
        ConstraintKind::Unknown { .. } => {}
    }
    for (_, value) in &constraint.kwargs {
        names_in(value, found, 0);
    }
}

/// Every string that may name a field: `F("a")`, `Q(a__gt=1)`, `Q(("a__gt", 1))`.
fn names_in(value: &Value, found: &mut BTreeSet<Arc<str>>, depth: u8) {
    const MAX_DEPTH: u8 = 64;
    if depth > MAX_DEPTH {
        return;
    }
    let mut name = |text: &str| {
        let text = text.trim_start_matches('-');
        found.insert(Arc::from(text.split("__").next().unwrap_or(text)));
    };
    match value {
        Value::Str(text) => name(text),
        Value::List(items) | Value::Tuple(items) | Value::Set(items) => {
            for item in items.iter() {
                names_in(item, found, depth + 1);
            }
        }
        Value::Dict(entries) => {
            for (key, value) in entries.iter() {
                names_in(key, found, depth + 1);
                names_in(value, found, depth + 1);
            }
        }
        Value::Call(call) => {
            for (key, _) in &call.kwargs {
                name(key);
            }
            for value in call.args.iter().chain(call.kwargs.iter().map(|(_, value)| value)) {
                names_in(value, found, depth + 1);
            }
        }
        _ => {}
    }
}

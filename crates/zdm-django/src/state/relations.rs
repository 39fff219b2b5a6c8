//! Which models a model names: in its fields' `to` and `through`, and as its bases.

use std::sync::Arc;

use super::{ModelKey, ModelState};
use crate::field::{Field, FieldKind};
use crate::value::Value;

/// What a relational field's `to`, `through` or a base names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelationTarget {
    Model(ModelKey),
    /// `settings.X`, not resolved here.
    Setting(Arc<str>),
    /// It names no model that can be told.
    Unknown,
}

/// The Django class is one with a `to`.
pub(crate) fn is_relation(field: &Field) -> bool {
    match &field.class.kind {
        FieldKind::Django(name) => is_relation_class(name),
        FieldKind::Custom { .. } | FieldKind::NoColumn | FieldKind::Unknown { .. } => false,
    }
}

pub(crate) fn is_relation_class(name: &str) -> bool {
    matches!(name, "ForeignKey" | "OneToOneField" | "ManyToManyField")
}

/// Reads a reference to a model as Django resolves it: `"app.Model"`, `"Model"` in the same app, `"self"`,
/// or a class of a `models` module.
pub fn model_reference(value: &Value, app: &str, model: &str) -> RelationTarget {
    match value {
        Value::Str(text) if &**text == "self" => RelationTarget::Model(ModelKey::new(app, model)),
        Value::Str(text) => match text.split_once('.') {
            Some((app, model)) => RelationTarget::Model(ModelKey::new(app, model)),
            None => RelationTarget::Model(ModelKey::new(app, text)),
        },
        Value::Setting(name) => RelationTarget::Setting(name.clone()),
        Value::Symbol(path) => {
            let mut parts = path.rsplit('.');
            let name = parts.next().unwrap_or_default();
            let package = parts.find(|part| *part != "models");
            match package {
                Some("django" | "db") | None => RelationTarget::Unknown,
                Some(package) => RelationTarget::Model(ModelKey::new(package, name)),
            }
        }
        _ => RelationTarget::Unknown,
    }
}

/// Every model that this one names, each once, in order of appearance. Settings stand under their own name, with the
/// app `settings.`, which no app label can be.
pub(super) fn targets(model: &ModelState) -> Vec<ModelKey> {
    let mut targets: Vec<ModelKey> = Vec::new();
    let mut add = |value: &Value| {
        let key = match model_reference(value, &model.app, &model.name) {
            RelationTarget::Model(key) => key,
            RelationTarget::Setting(name) => setting_key(&name),
            RelationTarget::Unknown => return,
        };
        if !targets.contains(&key) {
            targets.push(key);
        }
    };
    for field in &model.fields {
        if is_relation(field) {
            for name in ["to", "through"] {
                if let Some(value) = field.kwarg(name) {
                    add(value);
                }
            }
        }
    }
    for base in &model.bases {
        add(base);
    }
    targets
}

/// The key under which models that point at `settings.NAME` are found.
pub(crate) fn setting_key(name: &str) -> ModelKey {
    ModelKey { app: Arc::from("settings."), model: Arc::from(name) }
}

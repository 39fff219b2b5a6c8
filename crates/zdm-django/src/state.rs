//! The state: what Django believes the models are.
//!
//! A [`ProjectState`] is a persistent value: a clone costs a pointer and shares everything that did not change.

use std::sync::Arc;

use rpds::RedBlackTreeMapSync;

use crate::field::Field;
use crate::operation::Options;
use crate::value::Value;

/// An app label and a model name in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelKey {
    pub app: Arc<str>,
    pub model: Arc<str>,
}

impl ModelKey {
    pub fn new(app: &str, model: &str) -> Self {
        Self { app: Arc::from(app), model: Arc::from(model.to_lowercase()) }
    }
}

/// All models after some migration.
#[derive(Clone, Debug, Default)]
pub struct ProjectState {
    pub(crate) models: RedBlackTreeMapSync<ModelKey, Arc<ModelState>>,
}

impl ProjectState {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn model(&self, key: &ModelKey) -> Option<&Arc<ModelState>> {
        self.models.get(key)
    }

    /// All models, sorted by app and name.
    pub fn models(&self) -> impl Iterator<Item = &Arc<ModelState>> {
        self.models.values()
    }
}

/// One model. Indexes and constraints are in `options`.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelState {
    pub app: Arc<str>,
    /// In the case written.
    pub name: Arc<str>,
    pub fields: Vec<Field>,
    pub options: Options,
    pub bases: Vec<Value>,
    /// Only its existence is assumed: its app was not read.
    pub assumed: bool,
}

impl ModelState {
    pub fn key(&self) -> ModelKey {
        ModelKey::new(&self.app, &self.name)
    }

    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| &*field.name == name)
    }
}

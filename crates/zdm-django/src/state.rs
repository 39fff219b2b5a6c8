//! The state: what Django believes the models are.
//!
//! A [`ProjectState`] is a persistent value: a clone costs a few pointers and shares everything that did not change.
//! [`ProjectState::apply`] is an operation's `state_forwards`. An operation that cannot be applied leaves the state as
//! it was and says why; the history goes on.
//!
//! Source: Django's `ProjectState`, and "Migration Operations" of its documentation.

mod doubt;
mod relations;
pub(crate) mod same;
mod transition;

use std::sync::Arc;

use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use crate::editor::naming;
use crate::field::Field;
use crate::operation::Options;
use crate::value::Value;

pub use doubt::models_named;
pub(crate) use relations::setting_key;
pub use relations::{RelationTarget, model_reference};

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

/// `app.model`, both as they are compared: Django's `label_lower`.
impl std::fmt::Display for ModelKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.app, self.model)
    }
}

/// All models after some migration.
#[derive(Clone, Debug, Default)]
pub struct ProjectState {
    pub(crate) models: RedBlackTreeMapSync<ModelKey, Arc<ModelState>>,
    /// Which models name this one in a field or as a base. Kept with `models`, so that nothing has to look at every
    /// model to find who points at one.
    referrers: RedBlackTreeMapSync<ModelKey, RedBlackTreeSetSync<ModelKey>>,
    /// The models whose table, or whose many-to-many fields' tables, may bear a name, quotes and schema left out. Kept
    /// with `models`.
    tables: RedBlackTreeMapSync<Arc<str>, RedBlackTreeSetSync<ModelKey>>,
    /// The place of each model among those of its app, by when it was added or got its name: Django goes through models in
    /// this order. Kept with `models`.
    places: RedBlackTreeMapSync<ModelKey, u32>,
    /// Models that were added, changed or removed since [`ProjectState::forget_touched`].
    touched: RedBlackTreeSetSync<ModelKey>,
    /// Collations that migrations created, and whether they are deterministic: the schema editor asks the database.
    pub(crate) collations: RedBlackTreeMapSync<Arc<str>, bool>,
    /// What depends on conditions that are not known.
    doubts: RedBlackTreeMapSync<ModelKey, doubt::Doubt>,
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

    /// The models with a field or a base that names `key`, sorted; `key` itself among them if it refers to itself.
    pub fn referrers(&self, key: &ModelKey) -> impl Iterator<Item = &ModelKey> {
        self.referrers.get(key).into_iter().flat_map(RedBlackTreeSetSync::iter)
    }

    /// The models that a table of this name may belong to, sorted: by `db_table`, by the name that Django makes, or by a
    /// many-to-many field. `name` is without schema, cut at 63 bytes as the server cuts it.
    pub fn models_of_table(&self, name: &str) -> impl Iterator<Item = &ModelKey> {
        self.tables.get(name).into_iter().flat_map(RedBlackTreeSetSync::iter)
    }

    /// The models that were added, changed or removed since the migration began, sorted; also those that are back as
    /// they were.
    pub fn touched(&self) -> impl Iterator<Item = &ModelKey> {
        self.touched.iter()
    }

    /// Where a model stands among those of its app.
    pub(crate) fn place(&self, key: &ModelKey) -> u32 {
        self.places.get(key).copied().unwrap_or(u32::MAX)
    }

    /// From now on [`ProjectState::touched`] counts anew.
    pub(crate) fn forget_touched(&mut self) {
        self.touched = RedBlackTreeSetSync::default();
    }

    /// Adds or replaces a model as a whole: for apps whose migrations are not read.
    pub fn insert(&mut self, model: ModelState) {
        let key = model.key();
        self.put(key, Arc::new(model));
    }

    fn put(&mut self, key: ModelKey, model: Arc<ModelState>) {
        let old = self.models.get(&key).map(|old| relations::targets(old)).unwrap_or_default();
        let new = relations::targets(&model);
        for target in old.iter().filter(|target| !new.contains(target)) {
            self.forget_referrer(target, &key);
        }
        for target in new.into_iter().filter(|target| !old.contains(target)) {
            let set = self.referrers.get(&target).cloned().unwrap_or_default().insert(key.clone());
            self.referrers.insert_mut(target, set);
        }
        let same = self.models.get(&key).is_some_and(|old| same_tables(old, &model));
        let old = self.models.get(&key).filter(|_| !same).map(|old| table_names(old)).unwrap_or_default();
        let new = if same { Vec::new() } else { table_names(&model) };
        for name in old.iter().filter(|name| !new.contains(*name)) {
            self.forget_table(name, &key);
        }
        for name in new.into_iter().filter(|name| !old.contains(name)) {
            let set = self.tables.get(&name).cloned().unwrap_or_default().insert(key.clone());
            self.tables.insert_mut(name, set);
        }
        if !self.places.contains_key(&key) {
            let first = ModelKey { app: Arc::clone(&key.app), model: Arc::from("") };
            let of_app = self.places.range(first..).take_while(|(other, _)| other.app == key.app);
            let next = of_app.map(|(_, place)| place.saturating_add(1)).max().unwrap_or(0);
            self.places.insert_mut(key.clone(), next);
        }
        self.touched.insert_mut(key.clone());
        self.models.insert_mut(key, model);
    }

    fn remove(&mut self, key: &ModelKey) {
        let Some(old) = self.models.get(key).cloned() else { return };
        for target in relations::targets(&old) {
            self.forget_referrer(&target, key);
        }
        for name in table_names(&old) {
            self.forget_table(&name, key);
        }
        self.touched.insert_mut(key.clone());
        self.places.remove_mut(key);
        self.models.remove_mut(key);
    }

    fn forget_table(&mut self, name: &Arc<str>, key: &ModelKey) {
        if let Some(set) = self.tables.get(name) {
            let set = set.remove(key);
            if set.is_empty() {
                self.tables.remove_mut(name);
            } else {
                self.tables.insert_mut(Arc::clone(name), set);
            }
        }
    }

    fn forget_referrer(&mut self, target: &ModelKey, key: &ModelKey) {
        if let Some(set) = self.referrers.get(target) {
            let set = set.remove(key);
            if set.is_empty() {
                self.referrers.remove_mut(target);
            } else {
                self.referrers.insert_mut(target.clone(), set);
            }
        }
    }
}

/// Whether two versions of a model use the same tables; no, where that takes more than a look.
fn same_tables(one: &ModelState, other: &ModelState) -> bool {
    let plain = |model: &ModelState| !model.fields.iter().any(|field| field.is("ManyToManyField"));
    one.name == other.name
        && one.app == other.app
        && one.options.get("db_table") == other.options.get("db_table")
        && plain(one)
        && plain(other)
}

/// The names of the tables that a model may use, as [`ProjectState::models_of_table`] asks for them.
fn table_names(model: &ModelState) -> Vec<Arc<str>> {
    let plain = |name: &str| -> Arc<str> {
        let name = name.rsplit("\".\"").next().unwrap_or(name).trim_matches('"');
        Arc::from(zdm_postgres::Ident::from(name).truncated().as_str())
    };
    let own = match model.options.get("db_table").and_then(Value::as_str) {
        Some(table) if !table.is_empty() => table.to_owned(),
        _ => naming::truncate_table_name(&format!("{}_{}", model.app, model.name.to_lowercase())),
    };
    let mut names = vec![plain(&own)];
    for field in model.fields.iter().filter(|field| field.django_class() == Some("ManyToManyField")) {
        names.push(match field.kwarg("db_table").and_then(Value::as_str) {
            Some(table) if !table.is_empty() => plain(table),
            _ => plain(&naming::truncate_table_name(&format!("{}_{}", naming::strip_quotes(&own), field.name))),
        });
    }
    names
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

    /// An option that is absent when `False`, as `proxy`.
    pub fn option_flag(&self, name: &str) -> bool {
        self.options.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// An option whose value is a non-empty string.
    pub fn option_str(&self, name: &str) -> Option<&str> {
        self.options.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    pub fn is_proxy(&self) -> bool {
        self.option_flag("proxy")
    }

    /// `Meta.managed`, which defaults to true.
    pub fn is_managed(&self) -> bool {
        self.options.get("managed").and_then(Value::as_bool).unwrap_or(true)
    }

    /// `unique_together` or `index_together` as lists of field names, normalized as Django does: one flat tuple is one
    /// group.
    pub fn together(&self, option: &str) -> Vec<Vec<Arc<str>>> {
        self.options.get(option).map(together_groups).unwrap_or_default()
    }
}

/// Groups of field names in the value of `unique_together` or `index_together`.
pub(crate) fn together_groups(value: &Value) -> Vec<Vec<Arc<str>>> {
    let Some(items) = value.items() else { return Vec::new() };
    let names = |items: &[Value]| -> Vec<Arc<str>> {
        items
            .iter()
            .filter_map(|item| match item {
                Value::Str(name) => Some(name.clone()),
                _ => None,
            })
            .collect()
    };
    match items.first() {
        None => Vec::new(),
        Some(Value::Str(_)) => vec![names(items)],
        Some(_) => items.iter().filter_map(Value::items).map(names).filter(|group| !group.is_empty()).collect(),
    }
}

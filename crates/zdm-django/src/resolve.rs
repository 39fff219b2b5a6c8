//! From the state to the database: a model's table, a field's column, type and relation, as Django renders them.
//!
//! A [`Resolver`] answers for one state under one [`Context`]. Nothing is guessed: what cannot be told is an error with
//! the reason.
//!
//! Source: `django.db.models.fields`, `Options` and the PostgreSQL backend's `data_types` of each release.

use std::collections::BTreeMap;
use std::sync::Arc;

use zdm_postgres::PgVersion;
use zdm_source::Span;

use crate::editor::naming;
use crate::field::{Field, FieldClass, FieldKind};
use crate::operation::Options;
use crate::project::settings::Settings;
use crate::state::{ModelKey, ModelState, ProjectState, RelationTarget, model_reference};
use crate::value::{Call, Value};
use crate::version::DjangoVersion;

/// Why something could not be told: lower case, no final period, the user's names in backticks.
pub type Reason = String;

/// A chain of foreign keys to foreign keys, or of bases, is not followed further.
const MAX_DEPTH: u8 = 16;

/// What Django's settings and environment say, as far as it reaches the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    pub version: DjangoVersion,
    pub driver: Driver,
    /// `DEFAULT_AUTO_FIELD`: a dotted path. Migrations use it for every app.
    pub default_auto_field: Arc<str>,
    /// Settings that name models: `AUTH_USER_MODEL` → `accounts.User`.
    pub model_settings: BTreeMap<Arc<str>, Arc<str>>,
    pub default_tablespace: Option<Arc<str>>,
    pub default_index_tablespace: Option<Arc<str>>,
    pub use_tz: bool,
    pub time_zone: Arc<str>,
    /// The server's release, where it is known: Django asks for it in a few places.
    pub postgres: Option<PgVersion>,
    /// Whether django-pgtrigger, where it is installed, changes the schema editor (`PGTRIGGER_SCHEMA_EDITOR`).
    pub pgtrigger_editor: bool,
}

impl Context {
    /// Django's own defaults for that release.
    pub fn new(version: DjangoVersion) -> Self {
        let auto = if version.at_least(6, 0) { "django.db.models.BigAutoField" } else { "django.db.models.AutoField" };
        Self {
            version,
            driver: if version.at_least(4, 2) { Driver::Psycopg3 } else { Driver::Psycopg2 },
            default_auto_field: Arc::from(auto),
            model_settings: [(Arc::from("AUTH_USER_MODEL"), Arc::from("auth.User"))].into(),
            default_tablespace: None,
            default_index_tablespace: None,
            use_tz: version.at_least(5, 0),
            time_zone: Arc::from("America/Chicago"),
            postgres: None,
            pgtrigger_editor: true,
        }
    }

    /// As a project's settings say, Django's defaults where they are silent.
    pub fn from_settings(settings: &Settings, version: DjangoVersion) -> Self {
        let mut context = Self::new(version);
        if let Some(path) = settings.default_auto_field() {
            context.default_auto_field = path;
        }
        if let Some(use_tz) = settings.use_tz() {
            context.use_tz = use_tz;
        }
        if let Some(zone) = settings.string("TIME_ZONE") {
            context.time_zone = zone;
        }
        context.pgtrigger_editor = settings.get("PGTRIGGER_SCHEMA_EDITOR") != Some(Value::Bool(false));
        context.default_tablespace = settings.string("DEFAULT_TABLESPACE").filter(|name| !name.is_empty());
        context.default_index_tablespace = settings.string("DEFAULT_INDEX_TABLESPACE").filter(|name| !name.is_empty());
        for (name, value) in settings.values() {
            // `app.Model`: any setting may stand for a swappable model.
            if let Value::Str(label) = value
                && label.split_once('.').is_some_and(|(app, model)| !app.is_empty() && !model.contains('.'))
            {
                context.model_settings.insert(name.clone(), label.clone());
            }
        }
        if let Some(label) = settings.auth_user_model() {
            context.model_settings.insert(Arc::from("AUTH_USER_MODEL"), label);
        }
        context
    }
}

/// The database driver: it writes the literals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    Psycopg2,
    /// Used by Django 4.2 and later where it is installed.
    Psycopg3,
}

/// Answers about one state.
#[derive(Clone, Copy, Debug)]
pub struct Resolver<'a> {
    pub state: &'a ProjectState,
    pub context: &'a Context,
}

/// A model with its table and its own fields.
#[derive(Clone, Debug)]
pub struct ResolvedModel {
    pub key: ModelKey,
    /// In the case written.
    pub name: Arc<str>,
    /// `db_table` as Django has it: `schema"."table` names a schema. A proxy has its concrete model's.
    pub table: Arc<str>,
    pub managed: bool,
    pub proxy: bool,
    /// Another model takes its place (`swappable`), so that it has no table.
    pub swapped: bool,
    /// With a column or without, many-to-many fields included, in Django's order; those that could not be resolved
    /// with the reason.
    pub fields: Vec<Result<ResolvedField, (Arc<str>, Reason)>>,
}

/// A field as the database sees it.
#[derive(Clone, Debug)]
pub struct ResolvedField {
    pub field: Field,
    /// Django's `get_internal_type()`.
    pub internal_type: Arc<str>,
    /// `None`: no column, as many-to-many fields.
    pub column: Option<Arc<str>>,
    /// `db_type(connection)`: `varchar(20)`.
    pub db_type: Option<Arc<str>>,
    /// The condition of the column's CHECK: `"n" >= 0`.
    pub check: Option<Arc<str>>,
    pub collation: Option<Arc<str>>,
    /// `GENERATED BY DEFAULT AS IDENTITY`.
    pub suffix: Option<&'static str>,
    pub null: bool,
    pub primary_key: bool,
    /// True for a primary key as well.
    pub unique: bool,
    pub db_index: bool,
    /// Whose values it holds: the internal type of the field at the end of a chain of foreign keys.
    pub value_type: Arc<str>,
    /// Of decimal values.
    pub max_digits: Option<u32>,
    pub relation: Option<Box<ResolvedRelation>>,
    pub(crate) spatial: Option<Spatial>,
    pub(crate) base: Option<Box<ResolvedField>>,
    pub(crate) comment: Option<Arc<str>>,
}

/// What a column of PostGIS is beyond its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spatial {
    pub(crate) dimensions: u8,
    pub(crate) geography: bool,
    pub(crate) raster: bool,
    /// `spatial_index`.
    pub(crate) indexed: bool,
}

/// Where a relation leads.
#[derive(Clone, Debug)]
pub struct ResolvedRelation {
    pub model: ModelKey,
    pub table: Arc<str>,
    /// The referenced field's name and column; none for many-to-many fields.
    pub field: Option<Arc<str>>,
    pub column: Option<Arc<str>>,
    pub db_constraint: bool,
    /// ` ON DELETE CASCADE`, for `DB_CASCADE` and its kin (6.1).
    pub on_delete_sql: &'static str,
    /// The table of a many-to-many field.
    pub through: Option<Through>,
}

/// The model between the two ends of a many-to-many field.
#[derive(Clone, Debug)]
pub enum Through {
    /// Made by Django; it is not in the state.
    Auto(Arc<ModelState>),
    Model(ModelKey),
}

impl ResolvedField {
    pub fn name(&self) -> &Arc<str> {
        &self.field.name
    }

    pub fn is_many_to_many(&self) -> bool {
        self.relation.as_ref().is_some_and(|relation| relation.through.is_some())
    }

    /// A foreign key with a column.
    pub fn foreign_key(&self) -> Option<&ResolvedRelation> {
        self.relation.as_deref().filter(|relation| relation.through.is_none())
    }

    /// The table that Django makes for a many-to-many field.
    pub fn auto_through(&self) -> Option<&Arc<ModelState>> {
        match self.relation.as_deref().and_then(|relation| relation.through.as_ref()) {
            Some(Through::Auto(model)) => Some(model),
            _ => None,
        }
    }

    pub fn is_generated(&self) -> bool {
        self.field.is("GeneratedField")
    }

    pub fn db_default(&self) -> Option<&Value> {
        self.field.kwarg("db_default").filter(|value| !is_not_provided(value))
    }

    pub fn default(&self) -> Option<&Value> {
        self.field.kwarg("default").filter(|value| !is_not_provided(value))
    }

    /// What the field's own class stores where there is no default.
    pub(crate) fn stored_default(&self) -> Option<&Value> {
        self.field.kwarg(crate::field::STORED_DEFAULT)
    }

    /// The column, which every caller that asks knows to exist.
    pub(crate) fn column_name(&self) -> Arc<str> {
        self.column.clone().unwrap_or_else(|| self.field.name.clone())
    }
}

fn is_not_provided(value: &Value) -> bool {
    matches!(value, Value::Symbol(path) if path.rsplit('.').next() == Some("NOT_PROVIDED"))
}

impl<'a> Resolver<'a> {
    pub fn new(state: &'a ProjectState, context: &'a Context) -> Self {
        Self { state, context }
    }

    pub fn model_state(&self, key: &ModelKey) -> Result<&'a Arc<ModelState>, Reason> {
        let model = self.state.model(key).ok_or_else(|| format!("the model `{key}` is not in the state"))?;
        if model.assumed { Err(format!("the fields of `{key}` are not known")) } else { Ok(model) }
    }

    /// Everything about a model.
    pub fn model(&self, key: &ModelKey) -> Result<ResolvedModel, Reason> {
        let model = self.model_state(key)?;
        let fields = self
            .all_fields(model)
            .into_iter()
            .map(|field| self.field_of(model, &field).map_err(|reason| (field.name.clone(), reason)))
            .collect();
        Ok(ResolvedModel {
            key: key.clone(),
            name: model.name.clone(),
            table: self.table(model)?,
            managed: model.is_managed(),
            proxy: model.is_proxy(),
            swapped: self.is_swapped(model),
            fields,
        })
    }

    /// The model's table as `db_table` has it.
    pub fn table(&self, model: &ModelState) -> Result<Arc<str>, Reason> {
        let model = self.concrete(model)?;
        match model.options.get("db_table") {
            Some(Value::Str(table)) if !table.is_empty() => Ok(table.clone()),
            None | Some(Value::None | Value::Str(_)) => {
                let name = format!("{}_{}", model.app, model.name.to_lowercase());
                Ok(Arc::from(naming::truncate_table_name(&name)))
            }
            Some(_) => Err(format!("`db_table` of `{}` is not known", model.key())),
        }
    }

    /// A proxy's concrete model; any other model itself.
    fn concrete<'m>(&self, model: &'m ModelState) -> Result<&'m ModelState, Reason>
    where
        'a: 'm,
    {
        let mut current = model;
        for _ in 0..MAX_DEPTH {
            if !current.is_proxy() {
                return Ok(current);
            }
            let base = current.bases.iter().find_map(|base| self.base_key(current, base));
            let base = base.ok_or_else(|| format!("the base of the proxy `{}` is not known", current.key()))?;
            current = self.model_state(&base)?;
        }
        Err(format!("the bases of `{}` go around in a circle", model.key()))
    }

    /// The key of a concrete model's concrete model: a proxy's base.
    pub fn concrete_key(&self, key: &ModelKey) -> Option<ModelKey> {
        self.concrete(self.state.model(key)?).ok().map(ModelState::key)
    }

    fn base_key(&self, model: &ModelState, base: &Value) -> Option<ModelKey> {
        match model_reference(base, &model.app, &model.name) {
            RelationTarget::Model(key) => {
                // A class that is not in the state is an abstract base or a mixin.
                (matches!(base, Value::Str(_)) || self.state.model(&key).is_some()).then_some(key)
            }
            RelationTarget::Setting(name) => self.setting_model(&name),
            RelationTarget::Unknown => None,
        }
    }

    /// The model that a setting like `AUTH_USER_MODEL` names.
    pub fn setting_model(&self, name: &str) -> Option<ModelKey> {
        let label = self.context.model_settings.get(name)?;
        let (app, model) = label.split_once('.')?;
        Some(ModelKey::new(app, model))
    }

    pub fn is_swapped(&self, model: &ModelState) -> bool {
        let Some(setting) = model.option_str("swappable") else { return false };
        self.setting_model(setting).is_some_and(|target| target != model.key())
    }

    /// Whether operations on this model reach the database (`Options.can_migrate`).
    pub fn can_migrate(&self, model: &ModelState) -> bool {
        !model.is_proxy() && !self.is_swapped(model) && model.is_managed()
    }

    /// The model that a value of `to` or `through` names.
    pub fn target(&self, value: &Value, model: &ModelState) -> Result<ModelKey, Reason> {
        match model_reference(value, &model.app, &model.name) {
            RelationTarget::Model(key) => Ok(key),
            RelationTarget::Setting(name) => {
                self.setting_model(&name).ok_or_else(|| format!("the setting `{name}` is not known"))
            }
            RelationTarget::Unknown => Err(format!("a relation of `{}` has a target that is not known", model.key())),
        }
    }

    /// The models that point at `key` in a field, sorted: as written, and through settings.
    pub fn referrers(&self, key: &ModelKey) -> Vec<ModelKey> {
        let mut keys: Vec<ModelKey> = self.state.referrers(key).cloned().collect();
        for (setting, label) in &self.context.model_settings {
            if label.split_once('.').is_some_and(|(app, model)| ModelKey::new(app, model) == *key) {
                keys.extend(self.state.referrers(&crate::state::setting_key(setting)).cloned());
            }
        }
        keys.sort();
        keys.dedup();
        keys
    }

    /// The model's own fields in Django's order: an implicit key first, `_order` last.
    pub(crate) fn all_fields(&self, model: &ModelState) -> Vec<Field> {
        if model.is_proxy() {
            return Vec::new();
        }
        let mut fields = Vec::with_capacity(model.fields.len() + 1);
        let parents = self.parents(model);
        // What nothing is known of may be the key; Django accepts no other field of the name `id`.
        let may_be_key = |field: &Field| {
            matches!(field.class.kind, FieldKind::Unknown { .. }) && (&*field.name == "id" || field.kwargs.is_empty())
        };
        let mut has_key = model
            .fields
            .iter()
            .any(|field| field.flag("primary_key") || field.is("CompositePrimaryKey") || may_be_key(field));
        for parent in &parents {
            if let Some(link) = self.parent_link(model, parent) {
                has_key = has_key || link.flag("primary_key");
                continue;
            }
            let parent_model = self.state.model(parent);
            let name = format!("{}_ptr", parent.model);
            let label = format!("{}.{}", parent.app, parent_model.map_or(&*parent.model, |model| &*model.name));
            let mut kwargs = vec![
                ("to", Value::str(&label)),
                ("parent_link", Value::Bool(true)),
                ("on_delete", Value::Symbol(Arc::from("django.db.models.CASCADE"))),
            ];
            if !has_key {
                kwargs.push(("primary_key", Value::Bool(true)));
                has_key = true;
            }
            fields.push(made_field(&name, "OneToOneField", kwargs));
        }
        if !has_key && parents.is_empty() {
            let class = self.context.default_auto_field.rsplit('.').next().unwrap_or_default();
            let mut field = made_field("id", class, vec![("primary_key", Value::Bool(true))]);
            if !matches!(class, "AutoField" | "BigAutoField" | "SmallAutoField" | "UUIDAutoField") {
                field.class.kind = FieldKind::Unknown {
                    reason: Arc::from(format!("`DEFAULT_AUTO_FIELD` is `{}`", self.context.default_auto_field)),
                };
            }
            fields.push(field);
        }
        let mut declared = Vec::new();
        let mut promoted = has_key;
        let mut made_by_django: Vec<Field> = Vec::new();
        let mut place = |field: Field| {
            let list = if field.flag("auto_created") { &mut made_by_django } else { &mut declared };
            list.push(field);
        };
        for field in &model.fields {
            // The first parent link becomes the key where none is declared.
            let is_link = !promoted
                && parents
                    .iter()
                    .any(|parent| self.parent_link(model, parent).is_some_and(|link| link.name == field.name));
            if is_link {
                promoted = true;
                let mut field = field.clone();
                Arc::make_mut(&mut field.kwargs).insert(Arc::from("primary_key"), Value::Bool(true));
                place(field);
            } else {
                place(field.clone());
            }
        }
        // Each field that is said to be made by Django goes before all that are there; those that are not written come
        // last, which is first. Source: `Field.auto_creation_counter`.
        made_by_django.append(&mut fields);
        let mut fields: Vec<Field> = made_by_django.into_iter().rev().chain(declared).collect();
        if model.options.get("order_with_respect_to").is_some_and(|value| *value != Value::None) {
            fields.push(made_field("_order", "OrderWrt", vec![("editable", Value::Bool(false))]));
        }
        fields
    }

    /// Concrete models among the bases, proxies resolved.
    fn parents(&self, model: &ModelState) -> Vec<ModelKey> {
        let mut parents = Vec::new();
        for base in &model.bases {
            if let Some(key) = self.base_key(model, base) {
                let key = self.concrete_key(&key).unwrap_or(key);
                if !parents.contains(&key) {
                    parents.push(key);
                }
            }
        }
        parents
    }

    /// Of the one-to-one fields to a parent, only one that says so is the link.
    fn parent_link<'m>(&self, model: &'m ModelState, parent: &ModelKey) -> Option<&'m Field> {
        model.fields.iter().find(|field| {
            field.django_class() == Some("OneToOneField")
                && field.flag("parent_link")
                && field.kwarg("to").and_then(|to| self.target(to, model).ok()).is_some_and(|target| {
                    target == *parent || self.concrete_key(&target).is_some_and(|target| target == *parent)
                })
        })
    }

    /// The model's field of that name or column attribute (`customer_id`), inherited ones included, with the model
    /// that has it.
    pub(crate) fn find_field(&self, model: &ModelState, name: &str) -> Result<(Field, Option<ModelKey>), Reason> {
        self.find_field_at(model, name, 0)
    }

    fn find_field_at(&self, model: &ModelState, name: &str, depth: u8) -> Result<(Field, Option<ModelKey>), Reason> {
        if depth > MAX_DEPTH {
            return Err(format!("the bases of `{}` go around in a circle", model.key()));
        }
        // A one-to-one field may be a parent link, which becomes the key where no other is declared.
        if !model.is_proxy()
            && let Some(field) = model.field(name)
            && !field.is("OneToOneField")
        {
            return Ok((field.clone(), None));
        }
        let fields = self.all_fields(model);
        if name == "pk"
            && let Some(field) = fields.iter().find(|field| field.flag("primary_key"))
        {
            return Ok((field.clone(), None));
        }
        if let Some(field) = fields.iter().find(|field| &*field.name == name) {
            return Ok((field.clone(), None));
        }
        let by_attribute = name.strip_suffix("_id").and_then(|stem| {
            fields.iter().find(|field| {
                &*field.name == stem && matches!(field.django_class(), Some("ForeignKey" | "OneToOneField"))
            })
        });
        if let Some(field) = by_attribute {
            return Ok((field.clone(), None));
        }
        for base in &model.bases {
            if let Some(key) = self.base_key(model, base)
                && let Some(parent) = self.state.model(&key)
                && let Ok((field, owner)) = self.find_field_at(parent, name, depth + 1)
            {
                return Ok((field, Some(owner.unwrap_or(key))));
            }
        }
        Err(format!("the model `{}` has no field `{name}` in the state", model.key()))
    }

    /// A field of the model by name, resolved.
    pub fn field(&self, model: &ModelState, name: &str) -> Result<ResolvedField, Reason> {
        let (field, owner) = self.find_field(model, name)?;
        match owner {
            Some(key) => self.field_of(self.model_state(&key)?, &field),
            None => self.field_of(model, &field),
        }
    }

    /// The field of the primary key.
    pub fn primary_key(&self, model: &ModelState) -> Result<ResolvedField, Reason> {
        self.primary_key_at(model, 0)
    }

    fn primary_key_at(&self, model: &ModelState, depth: u8) -> Result<ResolvedField, Reason> {
        let concrete = self.concrete(model)?;
        if let Some(field) =
            concrete.fields.iter().find(|field| field.flag("primary_key") && !field.is("CompositePrimaryKey"))
        {
            return self.resolve(concrete, field, depth);
        }
        let fields = self.all_fields(concrete);
        let field = fields
            .iter()
            .find(|field| field.flag("primary_key"))
            .ok_or_else(|| format!("the primary key of `{}` is not known", model.key()))?;
        self.resolve(concrete, field, depth)
    }

    /// Resolves a field that `model` has or had.
    pub fn field_of(&self, model: &ModelState, field: &Field) -> Result<ResolvedField, Reason> {
        self.resolve(model, field, 0)
    }

    fn resolve(&self, model: &ModelState, field: &Field, depth: u8) -> Result<ResolvedField, Reason> {
        if depth > MAX_DEPTH {
            return Err(format!("the keys of `{}` go around in a circle", model.key()));
        }
        let version = self.context.version;
        let mut resolved = ResolvedField {
            field: field.clone(),
            internal_type: Arc::from(""),
            column: None,
            db_type: None,
            check: None,
            collation: None,
            suffix: None,
            null: flag(field, "null", false)?,
            primary_key: flag(field, "primary_key", false)?,
            unique: false,
            db_index: false,
            value_type: Arc::from(""),
            max_digits: None,
            relation: None,
            spatial: None,
            base: None,
            comment: text(field, "db_comment")?.filter(|comment| !comment.is_empty()),
        };
        let class: &str = match &field.class.kind {
            FieldKind::Django(name) => name,
            FieldKind::Custom { behaves_as, .. } => behaves_as.as_deref().unwrap_or(&field.class.written),
            FieldKind::NoColumn => return Ok(resolved),
            FieldKind::Unknown { reason } => {
                return Err(format!("the class of `{}` is not known: {reason}", field.name));
            }
        };
        if matches!(class, "CompositePrimaryKey" | "ForeignObject" | "GenericForeignKey" | "GenericRelation") {
            resolved.internal_type = Arc::from(class);
            resolved.primary_key = class == "CompositePrimaryKey";
            resolved.unique = resolved.primary_key;
            return Ok(resolved);
        }
        if class == "NullBooleanField" {
            resolved.null = true;
        }
        resolved.unique = flag(field, "unique", class == "OneToOneField")? || resolved.primary_key;
        let indexed = matches!(class, "ForeignKey" | "OneToOneField" | "SlugField");
        resolved.db_index = flag(field, "db_index", indexed)?;
        if class == "ManyToManyField" {
            return self.resolve_many_to_many(model, resolved);
        }
        let column = match field.kwarg("db_column") {
            Some(Value::Str(column)) if !column.is_empty() => column.clone(),
            None | Some(Value::None | Value::Str(_)) if matches!(class, "ForeignKey" | "OneToOneField") => {
                Arc::from(format!("{}_id", field.name))
            }
            None | Some(Value::None | Value::Str(_)) => field.name.clone(),
            Some(_) => return Err(format!("`db_column` of `{}` is not known", field.name)),
        };
        resolved.column = Some(column.clone());
        if matches!(class, "ForeignKey" | "OneToOneField") {
            return self.resolve_foreign_key(model, resolved, class, depth);
        }
        if class == "GeneratedField" {
            let Some(output) = field.kwarg("output_field").and_then(|value| field_from_value(&field.name, value))
            else {
                return Err(format!("`output_field` of `{}` is not known", field.name));
            };
            let output = self.resolve(model, &output, depth + 1)?;
            resolved.internal_type = output.internal_type;
            resolved.value_type = output.value_type;
            resolved.db_type = output.db_type;
            resolved.collation = output.collation;
            resolved.check = output.check.map(|_| Arc::from(format!("\"{column}\" >= 0")));
            return Ok(resolved);
        }
        let internal = internal_type(class, version);
        resolved.internal_type = Arc::from(internal);
        resolved.value_type = resolved.internal_type.clone();
        if matches!(class, "CharField" | "TextField" | "EmailField" | "URLField" | "SlugField")
            || matches!(internal, "CharField" | "TextField")
        {
            resolved.collation = text(field, "db_collation")?.filter(|collation| !collation.is_empty());
        }
        if let FieldKind::Custom { db_type, .. } = &field.class.kind {
            resolved.db_type = Some(db_type.clone());
            return Ok(resolved);
        }
        if class == "ArrayField" {
            let Some(base) = field.kwarg("base_field").and_then(|value| field_from_value(&field.name, value)) else {
                return Err(format!("`base_field` of `{}` is not known", field.name));
            };
            let base = self.resolve(model, &base, depth + 1)?;
            let Some(base_type) = &base.db_type else {
                return Err(format!("`base_field` of `{}` has no type", field.name));
            };
            let size =
                number(field, "size")?.filter(|size| *size != 0).map(|size| size.to_string()).unwrap_or_default();
            resolved.db_type = Some(Arc::from(format!("{base_type}[{size}]")));
            if version.at_least(4, 2) {
                resolved.collation.clone_from(&base.collation);
            }
            resolved.base = Some(Box::new(base));
            return Ok(resolved);
        }
        resolved.db_type = Some(Arc::from(self.plain_type(field, class, internal)?));
        resolved.suffix = match internal {
            "AutoField" | "BigAutoField" | "SmallAutoField" if version.at_least(4, 1) => {
                Some("GENERATED BY DEFAULT AS IDENTITY")
            }
            _ => None,
        };
        if matches!(internal, "PositiveIntegerField" | "PositiveSmallIntegerField" | "PositiveBigIntegerField") {
            resolved.check = Some(Arc::from(format!("\"{column}\" >= 0")));
        }
        if geometry_type(internal).is_some() {
            resolved.spatial = Some(Spatial {
                dimensions: number(field, "dim")?.and_then(|dim| u8::try_from(dim).ok()).unwrap_or(2),
                geography: flag(field, "geography", false)?,
                raster: internal == "RasterField",
                indexed: flag(field, "spatial_index", true)?,
            });
        }
        if internal == "DecimalField" {
            resolved.max_digits = number(field, "max_digits")?.and_then(|digits| u32::try_from(digits).ok());
        }
        Ok(resolved)
    }

    fn plain_type(&self, field: &Field, class: &str, internal: &str) -> Result<String, Reason> {
        let version = self.context.version;
        let known = match internal {
            "AutoField" if !version.at_least(4, 1) => "serial",
            "BigAutoField" if !version.at_least(4, 1) => "bigserial",
            "SmallAutoField" if !version.at_least(4, 1) => "smallserial",
            "AutoField" | "IntegerField" | "PositiveIntegerField" => "integer",
            "BigAutoField" | "BigIntegerField" | "PositiveBigIntegerField" => "bigint",
            "SmallAutoField" | "SmallIntegerField" | "PositiveSmallIntegerField" => "smallint",
            "BinaryField" => "bytea",
            "BooleanField" | "NullBooleanField" => "boolean",
            "DateField" => "date",
            "DateTimeField" => "timestamp with time zone",
            "DurationField" => "interval",
            "FloatField" => "double precision",
            "IPAddressField" | "GenericIPAddressField" => "inet",
            "JSONField" => "jsonb",
            "TextField" => "text",
            "TimeField" => "time",
            "UUIDField" | "UUIDAutoField" => "uuid",
            "CICharField" | "CIEmailField" | "CITextField" => "citext",
            "HStoreField" => "hstore",
            "IntegerRangeField" => "int4range",
            "BigIntegerRangeField" => "int8range",
            "DecimalRangeField" | "FloatRangeField" => "numrange",
            "DateTimeRangeField" => "tstzrange",
            "DateRangeField" => "daterange",
            "SearchVectorField" => "tsvector",
            "SearchQueryField" => "tsquery",
            "CharField" | "SlugField" | "FileField" | "FilePathField" => {
                let default = match class {
                    "EmailField" | "CIEmailField" => Some(254),
                    "URLField" => Some(200),
                    "SlugField" => Some(50),
                    "FileField" | "ImageField" | "FilePathField" => Some(100),
                    _ => None,
                };
                let length = match field.kwarg("max_length") {
                    // `None` given to a class with a default is taken as given.
                    Some(Value::None) => None,
                    _ => number(field, "max_length")?.or(default),
                };
                return match length {
                    Some(length) => Ok(format!("varchar({length})")),
                    None if version.at_least(4, 2) && internal == "CharField" => Ok("varchar".to_owned()),
                    None => Err(format!("`{}` has no `max_length`", field.name)),
                };
            }
            "DecimalField" => {
                return match (number(field, "max_digits")?, number(field, "decimal_places")?) {
                    (Some(digits), Some(places)) => Ok(format!("numeric({digits}, {places})")),
                    (None, None) if version.at_least(6, 1) => Ok("numeric".to_owned()),
                    _ => Err(format!("`{}` lacks `max_digits` or `decimal_places`", field.name)),
                };
            }
            "RasterField" => "raster",
            _ => {
                let Some(geometry) = geometry_type(internal) else {
                    return Err(format!("the type of `{}`, a `{}`, is not known", field.name, field.class.written));
                };
                let kind = if flag(field, "geography", false)? { "geography" } else { "geometry" };
                let third = if number(field, "dim")? == Some(3) { "Z" } else { "" };
                let srid = number(field, "srid")?.unwrap_or(4326);
                return Ok(format!("{kind}({geometry}{third},{srid})"));
            }
        };
        Ok(known.to_owned())
    }

    fn resolve_foreign_key(
        &self,
        model: &ModelState,
        mut resolved: ResolvedField,
        class: &str,
        depth: u8,
    ) -> Result<ResolvedField, Reason> {
        let field = &resolved.field;
        let to = field.kwarg("to").ok_or_else(|| format!("`{}` has no `to`", field.name))?;
        let key = self.target(to, model)?;
        let target_model: &ModelState =
            if key == model.key() && self.state.model(&key).is_none() { model } else { self.model_state(&key)? };
        let target = match field.kwarg("to_field") {
            Some(Value::Str(name)) if !name.is_empty() => {
                let (target, owner) = self.find_field(target_model, name)?;
                let owner = owner.map(|key| self.model_state(&key)).transpose()?;
                self.resolve(owner.map_or(target_model, |owner| owner), &target, depth + 1)?
            }
            None | Some(Value::None | Value::Str(_)) => self.primary_key_at(target_model, depth + 1)?,
            Some(Value::Setting(name)) => return Err(format!("the setting `{name}` is not known")),
            Some(_) => return Err(format!("`to_field` of `{}` is not known", field.name)),
        };
        let on_delete_sql = match field.kwarg("on_delete") {
            Some(Value::Symbol(path)) => match path.rsplit('.').next() {
                Some("DB_CASCADE") => " ON DELETE CASCADE",
                Some("DB_SET_NULL") => " ON DELETE SET NULL",
                Some("DB_SET_DEFAULT") => " ON DELETE SET DEFAULT",
                _ => "",
            },
            _ => "",
        };
        let db_constraint = flag(field, "db_constraint", true)?;
        resolved.internal_type = Arc::from(class);
        resolved.db_type = rel_db_type(&target);
        if self.context.version.at_least(4, 1) {
            resolved.collation.clone_from(&target.collation);
        }
        resolved.value_type = target.value_type.clone();
        resolved.max_digits = target.max_digits;
        resolved.relation = Some(Box::new(ResolvedRelation {
            model: key,
            table: self.table(target_model)?,
            field: Some(target.field.name.clone()),
            column: target.column.clone(),
            db_constraint,
            on_delete_sql,
            through: None,
        }));
        Ok(resolved)
    }

    fn resolve_many_to_many(&self, model: &ModelState, mut resolved: ResolvedField) -> Result<ResolvedField, Reason> {
        let field = &resolved.field;
        let to = field.kwarg("to").ok_or_else(|| format!("`{}` has no `to`", field.name))?;
        let key = self.target(to, model)?;
        let db_constraint = flag(field, "db_constraint", true)?;
        let through = match field.kwarg("through") {
            None | Some(Value::None) => Through::Auto(Arc::new(self.auto_through(model, field, &key)?)),
            Some(value) => Through::Model(self.target(value, model)?),
        };
        let table = match &through {
            Through::Auto(through) => self.table(through)?,
            Through::Model(key) => self.table(self.model_state(key)?)?,
        };
        resolved.internal_type = Arc::from("ManyToManyField");
        resolved.unique = false;
        resolved.relation = Some(Box::new(ResolvedRelation {
            model: key,
            table,
            field: None,
            column: None,
            db_constraint,
            on_delete_sql: "",
            through: Some(through),
        }));
        Ok(resolved)
    }

    /// The model that Django makes for a many-to-many field without `through`.
    fn auto_through(&self, model: &ModelState, field: &Field, target: &ModelKey) -> Result<ModelState, Reason> {
        let own = model.name.to_lowercase();
        let name = format!("{}_{}", model.name, field.name);
        let (from, to) = through_field_names(&own, &target.model);
        let table = match field.kwarg("db_table") {
            Some(Value::Str(table)) if !table.is_empty() => table.to_string(),
            None | Some(Value::None | Value::Str(_)) => {
                let table = self.table(model)?;
                naming::truncate_table_name(&format!("{}_{}", naming::strip_quotes(&table), field.name))
            }
            Some(_) => return Err(format!("`db_table` of `{}` is not known", field.name)),
        };
        let target_name = self.state.model(target).map_or_else(|| target.model.clone(), |model| model.name.clone());
        let key = |name: &str, to: String| {
            let mut kwargs = vec![
                ("to", Value::Str(Arc::from(to))),
                ("on_delete", Value::Symbol(Arc::from("django.db.models.CASCADE"))),
                ("related_name", Value::Str(Arc::from(format!("{}_{}+", model.name, field.name)))),
            ];
            for option in ["db_constraint", "db_tablespace"] {
                if let Some(value) = field.kwarg(option) {
                    kwargs.push((option, value.clone()));
                }
            }
            made_field(name, "ForeignKey", kwargs)
        };
        let together = Value::Set([Value::Tuple([Value::str(&from), Value::str(&to)].into())].into());
        let mut entries: Vec<(Arc<str>, Value)> =
            vec![(Arc::from("db_table"), Value::Str(Arc::from(table))), (Arc::from("unique_together"), together)];
        if let Some(tablespace) = model.options.get("db_tablespace") {
            entries.push((Arc::from("db_tablespace"), tablespace.clone()));
        }
        let mut fields = vec![
            key(&from, format!("{}.{}", model.app, model.name)),
            key(&to, format!("{}.{target_name}", target.app)),
        ];
        // django-sortedm2m makes the column of the order before the keys.
        if let Some(Value::Str(column)) = field.kwarg("sort_value_field_name")
            && flag(field, "sorted", true)?
        {
            fields.insert(0, made_field(column, "IntegerField", vec![("default", Value::Int(0))]));
        }
        Ok(ModelState {
            app: model.app.clone(),
            name: Arc::from(name),
            fields,
            options: Options { entries, ..Options::default() },
            bases: Vec::new(),
            assumed: false,
        })
    }
}

/// The names of the two keys of a through model that Django makes: the source's, then the target's.
pub(crate) fn through_field_names(own: &str, target: &str) -> (String, String) {
    if own == target { (format!("from_{own}"), format!("to_{target}")) } else { (own.to_owned(), target.to_owned()) }
}

/// `rel_db_type()`: the type of a column that refers to this one.
fn rel_db_type(target: &ResolvedField) -> Option<Arc<str>> {
    if target.relation.is_some() || matches!(target.field.class.kind, FieldKind::Custom { .. }) {
        return target.db_type.clone();
    }
    match &*target.internal_type {
        "AutoField" | "PositiveIntegerField" => Some(Arc::from("integer")),
        "BigAutoField" | "PositiveBigIntegerField" => Some(Arc::from("bigint")),
        "SmallAutoField" | "PositiveSmallIntegerField" => Some(Arc::from("smallint")),
        _ => target.db_type.clone(),
    }
}

/// `get_internal_type()` of Django's classes.
fn internal_type(class: &str, version: DjangoVersion) -> &str {
    match class {
        "EmailField" | "URLField" | "CommaSeparatedIntegerField" => "CharField",
        "ImageField" => "FileField",
        "OrderWrt" => "IntegerField",
        "NullBooleanField" if version.at_least(4, 0) => "BooleanField",
        "CICharField" | "CIEmailField" if version.at_least(5, 1) => "CharField",
        "CITextField" if version.at_least(5, 1) => "TextField",
        "CIEmailField" => "CICharField",
        class => class,
    }
}

/// The OpenGIS name of a field class of `django.contrib.gis`.
pub(crate) fn geometry_type(class: &str) -> Option<&'static str> {
    Some(match class {
        "GeometryField" => "GEOMETRY",
        "PointField" => "POINT",
        "LineStringField" => "LINESTRING",
        "PolygonField" => "POLYGON",
        "MultiPointField" => "MULTIPOINT",
        "MultiLineStringField" => "MULTILINESTRING",
        "MultiPolygonField" => "MULTIPOLYGON",
        "GeometryCollectionField" => "GEOMETRYCOLLECTION",
        "RasterField" => "RASTER",
        _ => return None,
    })
}

/// `Field.empty_strings_allowed`.
pub(crate) fn empty_strings_allowed(field: &ResolvedField) -> bool {
    field.relation.is_none()
        && matches!(
            &*field.internal_type,
            "CharField"
                | "TextField"
                | "SlugField"
                | "FileField"
                | "FilePathField"
                | "BinaryField"
                | "CICharField"
                | "CITextField"
                | "SearchVectorField"
        )
}

/// A field that is not written anywhere.
pub(crate) fn made_field(name: &str, class: &str, kwargs: Vec<(&str, Value)>) -> Field {
    Field {
        name: Arc::from(name),
        class: FieldClass {
            written: Arc::from(format!("django.db.models.{class}")),
            kind: FieldKind::Django(Arc::from(class)),
        },
        kwargs: Arc::new(kwargs.into_iter().map(|(name, value)| (Arc::from(name), value)).collect()),
        span: Span::default(),
    }
}

/// The field that a call inside of another field's arguments makes: `base_field`, `output_field`.
pub(crate) fn field_from_value(name: &str, value: &Value) -> Option<Field> {
    let Value::Call(call) = value else { return None };
    let call: &Call = call;
    if !call.callee.starts_with("django.") {
        return None;
    }
    let class = call.name();
    let mut kwargs: BTreeMap<Arc<str>, Value> = call.kwargs.iter().cloned().collect();
    let positional: &[&str] = match class {
        "ArrayField" => &["base_field", "size"],
        "DecimalField" => &["verbose_name", "name", "max_digits", "decimal_places"],
        _ => &["verbose_name", "name", "primary_key", "max_length", "unique", "blank", "null", "db_index"],
    };
    for (name, value) in positional.iter().zip(&call.args) {
        kwargs.insert(Arc::from(*name), value.clone());
    }
    Some(Field {
        name: Arc::from(name),
        class: FieldClass { written: call.callee.clone(), kind: FieldKind::Django(Arc::from(class)) },
        kwargs: Arc::new(kwargs),
        span: call.span,
    })
}

/// A boolean argument.
pub(crate) fn flag(field: &Field, name: &str, default: bool) -> Result<bool, Reason> {
    match field.kwarg(name) {
        None => Ok(default),
        Some(Value::Bool(value)) => Ok(*value),
        Some(Value::None) => Ok(false),
        Some(Value::Int(value)) => Ok(*value != 0),
        Some(_) => Err(format!("`{name}` of `{}` is not known", field.name)),
    }
}

fn text(field: &Field, name: &str) -> Result<Option<Arc<str>>, Reason> {
    match field.kwarg(name) {
        None | Some(Value::None) => Ok(None),
        Some(Value::Str(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("`{name}` of `{}` is not known", field.name)),
    }
}

fn number(field: &Field, name: &str) -> Result<Option<i128>, Reason> {
    match field.kwarg(name) {
        None | Some(Value::None) => Ok(None),
        Some(Value::Int(value)) => Ok(Some(*value)),
        // Django puts what it is given into the type.
        Some(Value::Str(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().map(Some).map_err(|_| format!("`{name}` of `{}` is not known", field.name))
        }
        Some(_) => Err(format!("`{name}` of `{}` is not known", field.name)),
    }
}

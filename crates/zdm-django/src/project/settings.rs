//! Django's settings, as far as they can be read without running them.

use std::collections::BTreeMap;
use std::sync::Arc;

use zdm_python as python;
use zdm_python::{Evaluator, Module, ValueKind};

use crate::extract::convert;
use crate::value::Value;
use crate::version::DjangoVersion;

/// Settings whose default may stand in a migration or matters to what migrations do.
const DEFAULTS: &[&str] = &[
    "AUTH_USER_MODEL",
    "DEFAULT_AUTO_FIELD",
    "DEFAULT_INDEX_TABLESPACE",
    "DEFAULT_TABLESPACE",
    "LANGUAGE_CODE",
    "TIME_ZONE",
    "USE_TZ",
];

/// The settings of a project: from the configuration, else from the settings module, else Django's defaults.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The dotted name of the module they were read from.
    module: Option<Arc<str>>,
    values: BTreeMap<Arc<str>, Value>,
    kinds: BTreeMap<Arc<str>, ValueKind>,
    complete: bool,
    django: Option<DjangoVersion>,
}

impl Settings {
    /// Without a settings module: the configuration and Django's defaults.
    pub(crate) fn new(overrides: &BTreeMap<String, Value>, django: DjangoVersion) -> Self {
        let mut settings = Self { django: Some(django), ..Self::default() };
        settings.override_with(overrides);
        settings
    }

    /// From the names that a settings module binds. What the evaluator cannot tell is an unknown value under its name.
    pub(crate) fn read(
        evaluator: &Evaluator<'_>,
        module: &Module,
        overrides: &BTreeMap<String, Value>,
        django: DjangoVersion,
    ) -> (Self, BTreeMap<Arc<str>, python::Value>) {
        let mut settings =
            Self { module: Some(Arc::from(module.name())), complete: true, django: Some(django), ..Self::default() };
        let mut found = BTreeMap::new();
        for (name, value) in evaluator.globals(module) {
            if !name.starts_with(|first: char| first.is_ascii_uppercase()) || name.chars().any(char::is_lowercase) {
                continue;
            }
            let name: Arc<str> = Arc::from(name.as_str());
            settings.values.insert(Arc::clone(&name), convert::value(&value));
            // `BASE_DIR` is what paths of files start with.
            // A dict may hold what is not known beside what is asked for.
            let named = |entries: &[python::DictEntry]| entries.iter().all(|entry| entry.key.is_some());
            if value.is_constant() || matches!(value.kind, ValueKind::Path(_)) || value.as_dict().is_some_and(named) {
                settings.kinds.insert(Arc::clone(&name), value.kind.clone());
            }
            found.insert(name, value);
        }
        settings.override_with(overrides);
        (settings, found)
    }

    /// A default that a package gives to one of its settings when it is imported; what is set stays as it is.
    pub(super) fn add_default(&mut self, name: &str, value: &python::Value) {
        let name: Arc<str> = Arc::from(name);
        if self.values.contains_key(&name) {
            return;
        }
        if value.is_constant() {
            self.kinds.insert(Arc::clone(&name), value.kind.clone());
        }
        self.values.insert(name, convert::value(value));
    }

    fn override_with(&mut self, overrides: &BTreeMap<String, Value>) {
        for (name, value) in overrides {
            let name: Arc<str> = Arc::from(name.as_str());
            match kind_of(value) {
                Some(kind) => self.kinds.insert(Arc::clone(&name), kind),
                None => self.kinds.remove(&name),
            };
            self.values.insert(name, value.clone());
        }
        for name in DEFAULTS {
            if !self.values.contains_key(*name)
                && let Some(kind) = self.default_value(name).as_ref().and_then(kind_of)
            {
                self.kinds.insert(Arc::from(*name), kind);
            }
        }
    }

    /// The dotted name of the settings module, if one was found.
    pub fn module(&self) -> Option<&str> {
        self.module.as_deref()
    }

    /// Whether a setting that is not among [`Settings::values`] is known to have Django's default.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// What the settings module and the configuration set.
    pub fn values(&self) -> &BTreeMap<Arc<str>, Value> {
        &self.values
    }

    /// A setting's value: as set, else Django's default. None where neither is known.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.values.get(name).cloned().or_else(|| self.default_value(name))
    }

    /// A setting that is a string and known.
    pub fn string(&self, name: &str) -> Option<Arc<str>> {
        match self.get(name)? {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// `AUTH_USER_MODEL`, as `app.Model`.
    pub fn auth_user_model(&self) -> Option<Arc<str>> {
        self.string("AUTH_USER_MODEL")
    }

    /// `DEFAULT_AUTO_FIELD`, as a dotted name.
    pub fn default_auto_field(&self) -> Option<Arc<str>> {
        self.string("DEFAULT_AUTO_FIELD")
    }

    pub fn use_tz(&self) -> Option<bool> {
        self.get("USE_TZ")?.as_bool()
    }

    /// The `ENGINE` of `DATABASES["default"]`.
    pub fn database_engine(&self) -> Option<Arc<str>> {
        let databases = self.get("DATABASES")?;
        match entry(entry(&databases, "default")?, "ENGINE")? {
            Value::Str(engine) => Some(Arc::clone(engine)),
            _ => None,
        }
    }

    fn default_value(&self, name: &str) -> Option<Value> {
        let at_least = |major, minor| self.django.is_none_or(|django| django.at_least(major, minor));
        Some(match name {
            "AUTH_USER_MODEL" => Value::str("auth.User"),
            "DEFAULT_AUTO_FIELD" if at_least(6, 0) => Value::str("django.db.models.BigAutoField"),
            "DEFAULT_AUTO_FIELD" => Value::str("django.db.models.AutoField"),
            "USE_TZ" => Value::Bool(at_least(5, 0)),
            "DEFAULT_TABLESPACE" | "DEFAULT_INDEX_TABLESPACE" => Value::str(""),
            "LANGUAGE_CODE" => Value::str("en-us"),
            "TIME_ZONE" => Value::str("America/Chicago"),
            _ => return None,
        })
    }

    /// The value for the evaluator.
    pub(crate) fn kind(&self, name: &str) -> Option<ValueKind> {
        self.kinds.get(name).cloned()
    }
}

fn entry<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    let Value::Dict(entries) = value else { return None };
    entries.iter().find(|(found, _)| found.as_str() == Some(key)).map(|(_, value)| value)
}

/// A constant as the evaluator's value. It has no place in a file of the project.
fn kind_of(value: &Value) -> Option<ValueKind> {
    let nowhere = || {
        let module =
            python::parse(&zdm_source::SourceFile::new("django/conf/settings.py", "..."), "django.conf.settings");
        python::Origin::new(&module, zdm_source::Span::new(0, 3))
    };
    let list = |items: &[Value]| -> Option<Vec<python::Value>> {
        items.iter().map(|item| Some(python::Value::new(kind_of(item)?, nowhere()))).collect()
    };
    Some(match value {
        Value::None => ValueKind::None,
        Value::Bool(value) => ValueKind::Bool(*value),
        Value::Int(value) => ValueKind::Int(python::Int::Small(i64::try_from(*value).ok()?)),
        Value::Str(text) => ValueKind::Str(python::Str::made(&**text, nowhere())),
        Value::List(items) => ValueKind::List(Arc::new(list(items)?)),
        Value::Tuple(items) => ValueKind::Tuple(Arc::new(list(items)?)),
        _ => return None,
    })
}

//! Model fields: a class and its keyword arguments.

use std::collections::BTreeMap;
use std::sync::Arc;

use zdm_source::Span;

use crate::value::Value;

/// The key in [`Field::kwargs`] of what the field's own class stores where it has no default; no argument is named so.
pub const STORED_DEFAULT: &str = "stored default";

/// A field of a model. Cloning is cheap.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: Arc<str>,
    pub class: FieldClass,
    /// Positional arguments are already named (`verbose_name`, `to`, `on_delete`); what a subclass' `__init__` sets is included.
    pub kwargs: Arc<BTreeMap<Arc<str>, Value>>,
    /// Where it is written, in the file of the operation that made it.
    pub span: Span,
}

/// What a field is to the schema editor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldClass {
    /// As written, resolved through imports: `django.db.models.CharField`, `shop.fields.MoneyField`.
    pub written: Arc<str>,
    pub kind: FieldKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// A class of Django by its own name, or a subclass that behaves as that one: `CharField`, `ForeignKey`,
    /// `ArrayField`, `django.contrib.postgres` and GIS classes included.
    Django(Arc<str>),
    /// A class whose `db_type()` is a constant: `citext`, `varchar(255)`; the Django class whose other behaviour it has, if known.
    Custom { db_type: Arc<str>, behaves_as: Option<Arc<str>> },
    /// A class without a column: a tags manager, a generic relation.
    NoColumn,
    /// Nothing is known of it.
    Unknown { reason: Arc<str> },
}

impl Field {
    pub fn kwarg(&self, name: &str) -> Option<&Value> {
        self.kwargs.get(name)
    }

    /// A keyword argument that defaults to `False`.
    pub fn flag(&self, name: &str) -> bool {
        self.kwarg(name).and_then(Value::as_bool).unwrap_or(false)
    }

    pub fn is(&self, class: &str) -> bool {
        matches!(&self.class.kind, FieldKind::Django(name) if &**name == class)
    }

    /// The Django class that it is or behaves as.
    pub fn django_class(&self) -> Option<&str> {
        match &self.class.kind {
            FieldKind::Django(name) => Some(name),
            FieldKind::Custom { behaves_as, .. } => behaves_as.as_deref(),
            FieldKind::NoColumn | FieldKind::Unknown { .. } => None,
        }
    }
}

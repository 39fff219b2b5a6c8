//! A migration file: its place in the graph and its operations.

use std::fmt;
use std::sync::Arc;

use zdm_source::{SourceFile, Span};

use crate::field::Field;
use crate::operation::{CatalogTest, Operation, OperationKind};
use crate::resolve::geometry_type;

/// `app_label.name`; ordered by app, then name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MigrationKey {
    pub app: Arc<str>,
    pub name: Arc<str>,
}

impl MigrationKey {
    pub fn new(app: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { app: app.into(), name: name.into() }
    }
}

impl fmt::Display for MigrationKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.app, self.name)
    }
}

/// Where a migration comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MigrationOrigin {
    /// A file of the project.
    Project,
    /// A package outside of the project, whose files are at hand.
    Environment,
    /// What zdm knows of Django's own apps; its file exists in no folder.
    Builtin,
}

/// One migration, as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Migration {
    pub key: MigrationKey,
    pub file: SourceFile,
    /// The name of the class, or the whole file where there is none.
    pub span: Span,
    pub origin: MigrationOrigin,
    /// `atomic` of the class; the default is `true`.
    pub atomic: bool,
    pub initial: Option<bool>,
    pub dependencies: Vec<Dependency>,
    pub run_before: Vec<Dependency>,
    pub replaces: Vec<MigrationKey>,
    pub operations: Vec<Operation>,
    /// Class attributes that declare a deploy phase: `zdm_phase`, django-safemigrate's `safe`; name, value's text, place.
    pub declared_phases: Vec<(Arc<str>, Arc<str>, Span)>,
    /// The class has an `unapply` of its own: what it does backwards is not known.
    pub unapplies_itself: bool,
    /// What its `apply` asks the database before it runs the operations; where it does not hold, they change the state
    /// alone.
    pub applies_where: Option<CatalogTest>,
    /// What could not be read, with its place: syntax errors, dynamic lists.
    pub problems: Vec<(Span, String)>,
}

/// An edge of the graph, with its place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    pub target: DependencyTarget,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DependencyTarget {
    Migration(MigrationKey),
    /// `(app, "__first__")`: the app's first migration.
    First(Arc<str>),
    /// `(app, "__latest__")`: the app's leaf.
    Latest(Arc<str>),
    /// `swappable_dependency(settings.X)` where the setting is known resolves to `First`; this is where it is not.
    Swappable(Arc<str>),
    Unknown(String),
}

impl Migration {
    /// Whether it makes columns of `django.contrib.gis`, which only a backend with PostGIS can: that backend has created
    /// the extension before the first migration.
    pub fn needs_postgis(&self) -> bool {
        any_field(&self.operations, 0, &|field| {
            field.django_class().is_some_and(|class| geometry_type(class).is_some())
        })
    }
}

fn any_field(operations: &[Operation], depth: u8, holds: &dyn Fn(&Field) -> bool) -> bool {
    const MAX_DEPTH: u8 = 16;
    depth < MAX_DEPTH
        && operations.iter().any(|operation| match &operation.kind {
            OperationKind::CreateModel { fields, .. } => fields.iter().any(holds),
            OperationKind::AddField { field, .. } | OperationKind::AlterField { field, .. } => holds(field),
            OperationKind::SeparateDatabaseAndState { database_operations, .. } => {
                any_field(database_operations, depth + 1, holds)
            }
            _ => false,
        })
}

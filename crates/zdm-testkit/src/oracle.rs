//! The oracle: what Django really does with a project's migrations.
//!
//! `oracle/django_oracle.py` replays a whole history in a real Django on a real server and reports the statements that
//! were executed, the state, and the catalog. Its header has the JSON; this module runs it and gives the JSON types.
//! Maps are ordered by name, lists are in the order of the source unless said otherwise.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::django::Django;
use crate::server::{Database, USER};
use crate::{Error, cache};

/// A replay to be run: a project, and what to report of it.
#[derive(Debug, Clone)]
pub struct Oracle {
    source: Source,
    paths: Vec<PathBuf>,
    settings: BTreeMap<String, Value>,
    only: Vec<String>,
    models: Detail,
    tables: Detail,
    run_python: bool,
    keep_going: bool,
}

/// How often the state or the catalog is taken down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Never.
    None,
    /// After the last migration.
    End,
    /// After each migration, as differences.
    Each,
}

#[derive(Debug, Clone)]
enum Source {
    Settings(String),
    Apps(Vec<String>),
}

/// What a replay did.
#[derive(Debug, Clone, Deserialize)]
pub struct OracleReport {
    /// Django's full version.
    pub django: String,
    /// The driver's version: `2.…` is psycopg2.
    pub psycopg: String,
    /// The server's full version.
    pub postgres: String,
    /// The migrations in the order of execution. After a failure the rest is missing, unless the replay kept going.
    pub migrations: Vec<Migration>,
    /// The state in the end, by `app.Model`.
    pub models: BTreeMap<String, Model>,
    /// The catalog in the end, by table name; with its schema where that is not `public`.
    pub tables: BTreeMap<String, Table>,
    /// The names of all sequences, sorted.
    pub sequences: Vec<String>,
    /// The names of all views, sorted.
    pub views: Vec<String>,
}

/// One migration as it was executed.
#[derive(Debug, Clone, Deserialize)]
pub struct Migration {
    /// The app's label.
    pub app: String,
    /// The file's name without its extension.
    pub name: String,
    /// The file.
    pub path: Option<PathBuf>,
    /// Whether the schema editor held one transaction around it.
    pub atomic: bool,
    /// The migrations that a squash stands for.
    pub replaces: Vec<(String, String)>,
    /// The top-level operations.
    pub operations: Vec<Operation>,
    /// Statements that belong to no operation, such as those of a third-party schema editor.
    pub unattributed: Vec<Statement>,
    /// With [`Detail::Each`]: the models that differ from those after the migration before.
    pub models: Difference<Model>,
    /// With [`Detail::Each`]: the tables that differ from those after the migration before.
    pub tables: Difference<Table>,
    /// Why it failed.
    pub error: Option<Failure>,
    /// Why it was not tried.
    pub skipped: Option<String>,
}

/// One top-level operation; what it contains is part of it.
#[derive(Debug, Clone, Deserialize)]
pub struct Operation {
    /// Its place in the migration's list, from 0.
    pub index: usize,
    /// The name of its class.
    pub operation: String,
    /// Whether it is a `RunPython`, or contains one.
    pub python: bool,
    /// What it executed itself, in order.
    pub statements: Vec<Statement>,
    /// What it left to the end of the migration, in order of execution.
    pub deferred: Vec<Statement>,
    /// What its Python code sent, if it was executed.
    pub python_statements: Vec<Statement>,
}

/// A statement that the server got. A `RunSQL` string is one, whatever it holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Statement {
    /// The text, parameters inlined as `sqlmigrate` does, without a semicolon of Django's.
    pub sql: String,
    /// Whether a transaction was open.
    pub in_transaction: bool,
    /// Its place among all statements of the migration, from 0.
    pub order: usize,
    /// Whether it went through the schema editor, and not through a cursor of the operation's own.
    pub editor: bool,
}

/// The exception that ended a migration.
#[derive(Debug, Clone, Deserialize)]
pub struct Failure {
    /// The operation it came from; `None` at the end of the migration.
    pub operation: Option<usize>,
    /// The class of the exception.
    #[serde(rename = "type")]
    pub class: String,
    /// Its text.
    pub message: String,
    /// PostgreSQL's code, if the server refused.
    pub sqlstate: Option<String>,
    /// The statement that the server refused.
    pub sql: Option<String>,
}

/// What changed from one migration to the next.
#[derive(Debug, Clone, Deserialize)]
pub struct Difference<T> {
    /// New or different, as they are now.
    pub changed: BTreeMap<String, T>,
    /// Gone, sorted.
    pub removed: Vec<String>,
}

/// A model of the state.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Model {
    /// Its table.
    pub db_table: String,
    /// Whether migrations care for its table.
    pub managed: bool,
    /// Whether it is a proxy, without a table of its own.
    pub proxy: bool,
    /// Its own fields, not those of its parents, as Django orders them.
    pub fields: Vec<Field>,
    /// `Meta.indexes`, as `{"name", "class", "fields", …}`.
    pub indexes: Vec<Value>,
    /// `Meta.constraints`, as `{"name", "class", "fields", …}`.
    pub constraints: Vec<Value>,
    /// Groups of field names, sorted: Django keeps a set.
    pub unique_together: Vec<Vec<String>>,
    /// The same of the option that Django had up to 5.0.
    #[serde(default)]
    pub index_together: Vec<Vec<String>>,
}

/// A field of the state.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its column; `None` for many-to-many fields.
    pub column: Option<String>,
    /// `field.db_type(connection)`.
    pub db_type: Option<String>,
    /// As in Django.
    pub null: bool,
    /// As in Django.
    pub primary_key: bool,
    /// As in Django: also of primary keys and one-to-one fields.
    pub unique: bool,
    /// As in Django: also of foreign keys, not of primary keys.
    pub db_index: bool,
    /// Whether it has a `db_default`.
    pub has_db_default: bool,
    /// What a relation with a column points to, whether or not there is a constraint.
    pub references: Option<Reference>,
    /// The name of its class.
    pub class: String,
    /// `db_constraint` of a relation.
    #[serde(default)]
    pub db_constraint: Option<bool>,
    /// The table of a many-to-many field.
    #[serde(default)]
    pub through: Option<Through>,
}

/// The column that a relation points to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Reference {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
}

/// The table of a many-to-many field.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Through {
    /// Its name.
    pub table: String,
    /// Whether Django made it for this field.
    pub auto_created: bool,
}

/// A table of the catalog.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Table {
    /// In the order of the table.
    pub columns: Vec<Column>,
    /// By name. Not-null constraints are left to the columns.
    pub constraints: Vec<Constraint>,
    /// By name, those of constraints too.
    pub indexes: Vec<Index>,
    /// By name, without those that enforce foreign keys.
    pub triggers: Vec<Trigger>,
}

/// A column of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// `format_type`.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether it takes NULL.
    pub null: bool,
    /// `pg_get_expr` of its default.
    pub default: Option<String>,
    /// `always` or `by default`.
    #[serde(default)]
    pub identity: Option<String>,
    /// `stored` or `virtual`.
    #[serde(default)]
    pub generated: Option<String>,
    /// What a generated column computes.
    #[serde(default)]
    pub expression: Option<String>,
    /// Its collation where it is not its type's.
    #[serde(default)]
    pub collation: Option<String>,
}

/// A constraint of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Constraint {
    /// Its name.
    pub name: String,
    /// `primary key`, `unique`, `check`, `foreign key`, `exclude`, `trigger`.
    pub kind: String,
    /// `pg_get_constraintdef`.
    pub definition: String,
    /// Whether it is validated.
    pub valid: bool,
}

/// An index of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// `pg_get_indexdef`.
    pub definition: String,
    /// Whether it is unique.
    pub unique: bool,
    /// Whether it is valid.
    pub valid: bool,
}

/// A trigger of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// `pg_get_triggerdef`.
    pub definition: String,
    /// Whether it fires.
    pub enabled: bool,
}

impl Oracle {
    /// A project with a settings module: `dir` goes to the front of `sys.path`, DATABASES is replaced.
    pub fn settings(dir: &Path, module: &str) -> Self {
        Self::new(Source::Settings(module.to_owned())).path(dir)
    }

    /// Apps without a project, under generated settings with these INSTALLED_APPS. Apps that the environment has
    /// installed need no path.
    pub fn apps<S: AsRef<str>>(apps: &[S]) -> Self {
        Self::new(Source::Apps(apps.iter().map(|app| app.as_ref().to_owned()).collect()))
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            paths: Vec::new(),
            settings: BTreeMap::new(),
            only: Vec::new(),
            models: Detail::End,
            tables: Detail::End,
            run_python: false,
            keep_going: false,
        }
    }

    /// Puts a directory on `sys.path`, after those given before.
    pub fn path(mut self, dir: &Path) -> Self {
        self.paths.push(dir.to_path_buf());
        self
    }

    /// Sets or replaces a setting; the value is JSON.
    pub fn setting(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.settings.insert(name.to_owned(), value.into());
        self
    }

    /// Reports only the migrations of these apps; all are applied.
    pub fn only<S: AsRef<str>>(mut self, labels: &[S]) -> Self {
        self.only = labels.iter().map(|label| label.as_ref().to_owned()).collect();
        self
    }

    /// How often the state is taken down; default: [`Detail::End`].
    pub fn models(mut self, detail: Detail) -> Self {
        self.models = detail;
        self
    }

    /// How often the catalog is taken down; default: [`Detail::End`].
    pub fn tables(mut self, detail: Detail) -> Self {
        self.tables = detail;
        self
    }

    /// Executes `RunPython` operations; by default they are only marked.
    pub fn run_python(mut self) -> Self {
        self.run_python = true;
        self
    }

    /// After a failure, goes on with the migrations that do not depend on the one that failed: many small cases can
    /// share one replay, each in an app of its own.
    pub fn keep_going(mut self) -> Self {
        self.keep_going = true;
        self
    }

    /// Replays the whole history on an empty database. A migration that fails is part of the report.
    pub fn try_replay(&self, django: &Django, database: &Database) -> Result<OracleReport, Error> {
        let mut command = django.command();
        command.arg(cache::workspace().join("oracle/django_oracle.py"));
        match &self.source {
            Source::Settings(module) => command.arg("--settings").arg(module),
            Source::Apps(apps) => command.arg("--apps").arg(apps.join(",")),
        };
        for path in &self.paths {
            command.arg("--path").arg(path);
        }
        for (name, value) in &self.settings {
            command.arg("--setting").arg(format!("{name}={value}"));
        }
        if !self.only.is_empty() {
            command.arg("--only").arg(self.only.join(","));
        }
        command.args(["--models", self.models.word(), "--tables", self.tables.word()]);
        if self.run_python {
            command.arg("--run-python");
        }
        if self.keep_going {
            command.arg("--keep-going");
        }
        if django.prefers_psycopg2() {
            command.arg("--without-psycopg3");
        }
        command.arg("--database").arg(database.name()).arg("--host").arg(database.server().socket_dir());
        command.args(["--port", &database.server().port().to_string(), "--user", USER]);
        // A project may print; the report has a file of its own.
        let file = tempfile::NamedTempFile::new().map_err(Error::io("make a file in", &std::env::temp_dir()))?;
        command.arg("--output").arg(file.path());
        let output = command.output().map_err(Error::io("run", &django.python()))?;
        if !output.status.success() {
            return Err(Error::Oracle { message: String::from_utf8_lossy(&output.stderr).into_owned() });
        }
        let text = std::fs::read(file.path()).map_err(Error::io("read", file.path()))?;
        serde_json::from_slice(&text).map_err(|error| Error::Oracle { message: error.to_string() })
    }

    /// Replays the whole history on an empty database.
    ///
    /// # Panics
    /// If the replay itself cannot run; not if a migration fails.
    pub fn replay(&self, django: &Django, database: &Database) -> OracleReport {
        self.try_replay(django, database).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl OracleReport {
    /// The migration `app.name`.
    pub fn migration(&self, app: &str, name: &str) -> Option<&Migration> {
        self.migrations.iter().find(|migration| migration.app == app && migration.name == name)
    }

    /// The failures, with the migrations they happened in.
    pub fn failures(&self) -> Vec<String> {
        let failures = self.migrations.iter().filter_map(|migration| {
            let Failure { class, message, sql, .. } = migration.error.as_ref()?;
            let sql = sql.as_deref().unwrap_or_default();
            Some(format!("{}.{}: {class}: {message}\n  {sql}", migration.app, migration.name))
        });
        failures.collect()
    }

    /// The number of top-level operations and of statements.
    pub fn counts(&self) -> (usize, usize) {
        let operations = self.migrations.iter().map(|migration| migration.operations.len()).sum();
        (operations, self.migrations.iter().map(|migration| migration.statements().len()).sum())
    }

    /// The state after the migration at this place; needs [`Detail::Each`] and a report of all apps.
    pub fn models_after(&self, place: usize) -> BTreeMap<String, &Model> {
        after(self.migrations.iter().take(place.saturating_add(1)).map(|migration| &migration.models))
    }

    /// The catalog after the migration at this place; needs [`Detail::Each`] and a report of all apps.
    pub fn tables_after(&self, place: usize) -> BTreeMap<String, &Table> {
        after(self.migrations.iter().take(place.saturating_add(1)).map(|migration| &migration.tables))
    }
}

impl Migration {
    /// All its statements in the order of execution, without those of Python code.
    pub fn statements(&self) -> Vec<&Statement> {
        let own = self.operations.iter().flat_map(|operation| operation.statements.iter().chain(&operation.deferred));
        let mut all: Vec<&Statement> = own.chain(&self.unattributed).collect();
        all.sort_by_key(|statement| statement.order);
        all
    }
}

impl Detail {
    fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::End => "end",
            Self::Each => "each",
        }
    }
}

fn after<'a, T: 'a>(differences: impl Iterator<Item = &'a Difference<T>>) -> BTreeMap<String, &'a T> {
    let mut all = BTreeMap::new();
    for difference in differences {
        for name in &difference.removed {
            all.remove(name);
        }
        all.extend(difference.changed.iter().map(|(name, value)| (name.clone(), value)));
    }
    all
}

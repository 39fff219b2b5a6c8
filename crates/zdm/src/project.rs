//! The Django project around the current directory: which table and columns a model's names mean, and which database
//! its settings name.
//!
//! Reading a project takes memory in proportion to its size, which a run of hours must not keep. So a second process of
//! this program reads it ([`answer`], a hidden subcommand), answers in JSON through a pipe, and ends; a password in the
//! settings passes through the pipe and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zdm_django::state::{ModelKey, RelationTarget, model_reference};
use zdm_django::{Migration, MigrationKey, ProjectState, ResolvedModel, Resolver, Value};
use zdm_postgres::name::quote_identifier;
use zdm_workspace::config::nearest;
use zdm_workspace::{Request, Workspace};

use crate::exit::Exit;
use crate::output;

/// The name of the hidden subcommand.
pub(crate) const SUBCOMMAND: &str = "read-project";

/// What is asked of the project.
#[derive(Debug, Serialize, Deserialize)]
enum Question {
    /// An entry of `DATABASES`.
    Database { alias: String },
    Model {
        /// `app.Model`.
        label: String,
        /// Fields or columns.
        names: Vec<String>,
        /// App and name of each migration that the database has; nothing when it keeps no record.
        applied: Option<Vec<(String, String)>>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    root: Option<PathBuf>,
    question: Question,
}

#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    /// libpq's parameters.
    Database(BTreeMap<String, String>),
    /// There is no project here, or it has no settings.
    NoProject,
    Model(Names),
    Problem(String),
}

/// A model's names in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Names {
    /// Quoted, with its schema where `db_table` names one.
    pub(crate) table: String,
    /// One for each name that was asked for, in that order.
    pub(crate) columns: Vec<String>,
}

/// libpq's parameters from the settings of the project around the current directory, or at `root`. Nothing when there
/// is no project.
///
/// # Errors
/// When the project's settings name a database, but not literally.
pub(crate) fn database(root: Option<&Path>, alias: &str) -> Result<Option<BTreeMap<String, String>>, String> {
    ask(root, Question::Database { alias: alias.to_owned() })?.database(root.is_none())
}

/// The same of a project that is in memory already.
///
/// # Errors
/// When the project's settings name a database, but not literally.
#[cfg(unix)]
pub(crate) fn database_of(workspace: &Workspace, alias: &str) -> Result<Option<BTreeMap<String, String>>, String> {
    read_database(workspace, alias).database(true)
}

/// Table and columns of a model, by the migrations that the database has.
///
/// # Errors
/// When the project cannot be read, or has no such model.
pub(crate) fn names(
    root: Option<&Path>,
    label: &str,
    names: Vec<String>,
    applied: Option<Vec<(String, String)>>,
) -> Result<Names, String> {
    match ask(root, Question::Model { label: label.to_owned(), names, applied })? {
        Answer::Model(names) => Ok(names),
        other => Err(other.problem()),
    }
}

impl Answer {
    fn database(self, may_be_absent: bool) -> Result<Option<BTreeMap<String, String>>, String> {
        match self {
            Self::Database(parameters) => Ok(Some(parameters)),
            Self::NoProject if may_be_absent => Ok(None),
            other => Err(other.problem()),
        }
    }

    fn problem(self) -> String {
        match self {
            Self::Problem(problem) => problem,
            Self::NoProject => "no Django project is here: run in its folder, or name it with --project".to_owned(),
            Self::Database(_) | Self::Model(_) => "the project's reader gave another answer than asked for".to_owned(),
        }
    }
}

fn ask(root: Option<&Path>, question: Question) -> Result<Answer, String> {
    let failed = |what: &dyn std::fmt::Display| format!("the project cannot be read: {what}");
    let asked = Asked { root: root.map(Path::to_owned), question };
    let asked = serde_json::to_vec(&asked).map_err(|error| failed(&error))?;
    let program = std::env::current_exe().map_err(|error| failed(&error))?;
    let mut child = Command::new(program)
        .arg(SUBCOMMAND)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error))?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(&asked).map_err(|error| failed(&error))?;
    }
    let output = child.wait_with_output().map_err(|error| failed(&error))?;
    serde_json::from_slice(&output.stdout).map_err(|_| failed(&"its reader ended without an answer"))
}

/// The hidden subcommand: one question on standard input, one answer on standard output.
pub(crate) fn answer() -> Exit {
    let mut text = String::new();
    let asked: Option<Asked> =
        std::io::stdin().read_to_string(&mut text).ok().and_then(|_| serde_json::from_str(&text).ok());
    let Some(Asked { root, question }) = asked else {
        output::error("this subcommand is the program's own");
        return Exit::Usage;
    };
    let answer = load(root.as_deref()).map_or_else(Answer::Problem, |workspace| match (workspace, question) {
        (None, _) => Answer::NoProject,
        (Some(workspace), Question::Database { alias }) => read_database(&workspace, &alias),
        (Some(workspace), Question::Model { label, names, applied }) => {
            let applied = applied.map(|applied| applied.into_iter().collect());
            model_of(&workspace, &label, &names, applied.as_ref()).map_or_else(Answer::Problem, Answer::Model)
        }
    });
    match serde_json::to_string(&answer) {
        Ok(text) => {
            output::line(&text);
            Exit::Done
        }
        Err(_) => Exit::Failed,
    }
}

/// The project at `root`, or around the current directory where a `manage.py` or a configuration says that there is one.
fn load(root: Option<&Path>) -> Result<Option<Workspace>, String> {
    let current = std::env::current_dir().map_err(|error| format!("the current directory cannot be read: {error}"))?;
    let request = Request {
        current: root.map_or_else(|| current.clone(), |root| current.join(root)),
        variables: std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
            .collect(),
        ..Request::default()
    };
    if root.is_none() {
        let place = zdm_workspace::discover::discover(&request.current, &[], &request.config)
            .map_err(|error| error.to_string())?;
        if place.config.is_none() && !place.root.join("manage.py").is_file() {
            return Ok(None);
        }
    }
    Workspace::load(&request).map(Some).map_err(|error| error.to_string())
}

/// Names of `DATABASES` entries and libpq's for them.
const KEYS: [(&str, &str); 5] =
    [("NAME", "dbname"), ("USER", "user"), ("PASSWORD", "password"), ("HOST", "host"), ("PORT", "port")];

fn read_database(workspace: &Workspace, alias: &str) -> Answer {
    let settings = &workspace.project.settings;
    let Some(module) = settings.module() else { return Answer::NoProject };
    let problem = |what: &str| Answer::Problem(format!("{what} in `{module}`: name the database with --dsn"));
    let Some(databases) = settings.get("DATABASES") else { return problem("there is no DATABASES") };
    let Value::Dict(databases) = &databases else { return problem("DATABASES is not literal") };
    let entry = format!("DATABASES[\"{alias}\"]");
    let default = match find(databases, alias) {
        Some(Value::Dict(default)) => default,
        Some(_) => return problem(&format!("{entry} is not literal")),
        None => {
            let known: Vec<&str> = databases.iter().filter_map(|(alias, _)| alias.as_str()).collect();
            return problem(&format!("there is no {entry}, only {}", known.join(", ")));
        }
    };
    match find(default, "ENGINE") {
        Some(Value::Str(engine)) if ["postgres", "postgis"].iter().any(|name| engine.contains(name)) => {}
        Some(Value::Str(engine)) => return problem(&format!("the database is of `{engine}`")),
        _ => return problem(&format!("{entry}[\"ENGINE\"] is not literal")),
    }
    let mut parameters = BTreeMap::new();
    for (key, parameter) in KEYS {
        match find(default, key).map(text_of) {
            None | Some(Ok(None)) => {}
            Some(Ok(Some(text))) => drop(parameters.insert(parameter.to_owned(), text)),
            Some(Err(NotLiteral)) => return problem(&format!("{entry}[\"{key}\"] is not literal")),
        }
    }
    match find(default, "OPTIONS") {
        None | Some(Value::None) => {}
        Some(Value::Dict(options)) => {
            for (name, value) in options.iter() {
                // Options of Django and of the driver are not libpq's.
                let Some(name) = name.as_str().filter(|name| zdm_conn::Settings::is_parameter(name)) else { continue };
                match text_of(value) {
                    Ok(Some(text)) => drop(parameters.entry(name.to_owned()).or_insert(text)),
                    Ok(None) => {}
                    Err(NotLiteral) => {
                        return problem(&format!("{entry}[\"OPTIONS\"][\"{name}\"] is not literal"));
                    }
                }
            }
        }
        Some(_) => return problem(&format!("{entry}[\"OPTIONS\"] is not literal")),
    }
    if !parameters.contains_key("dbname") && !parameters.contains_key("service") {
        return problem(&format!("{entry} names no database"));
    }
    Answer::Database(parameters)
}

fn find<'v>(entries: &'v [(Value, Value)], key: &str) -> Option<&'v Value> {
    entries.iter().find(|(found, _)| found.as_str() == Some(key)).map(|(_, value)| value)
}

/// A value that is computed where the settings are loaded.
struct NotLiteral;

/// A literal as libpq takes it; nothing for `None` and the empty text.
fn text_of(value: &Value) -> Result<Option<String>, NotLiteral> {
    match value {
        Value::Str(text) if text.is_empty() => Ok(None),
        Value::Str(text) => Ok(Some(text.to_string())),
        Value::Int(number) => Ok(Some(number.to_string())),
        Value::Bool(flag) => Ok(Some(u8::from(*flag).to_string())),
        Value::None => Ok(None),
        _ => Err(NotLiteral),
    }
}

fn model_of(
    workspace: &Workspace,
    label: &str,
    names: &[String],
    applied: Option<&BTreeSet<(String, String)>>,
) -> Result<Names, String> {
    let (app, model) = label
        .split_once('.')
        .filter(|(_, model)| !model.contains('.'))
        .ok_or_else(|| format!("`{label}` is not of the form app.Model, as in --model shop.Order"))?;
    let is_applied = |migration: &Migration| {
        applied.is_none_or(|applied| {
            let has = |key: &MigrationKey| applied.contains(&(key.app.to_string(), key.name.to_string()));
            has(&migration.key) || !migration.replaces.is_empty() && migration.replaces.iter().all(has)
        })
    };
    let migrations: Vec<Arc<Migration>> =
        workspace.project.in_order().filter(|migration| is_applied(migration)).cloned().map(Arc::new).collect();
    let trace = zdm_replay::replay(&migrations, &workspace.options());
    let empty = ProjectState::new();
    let state = trace.migrations.last().map_or(&empty, |last| &last.state_after);
    let resolver = Resolver::new(state, &trace.options.context);
    let key = ModelKey::new(app, model);
    if state.model(&key).is_none() {
        let labels: Vec<String> = state
            .models()
            .filter(|model| !model.assumed)
            .map(|model| format!("{}.{}", model.app, model.name))
            .collect();
        let near = nearest(label, labels.iter().map(String::as_str));
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let which = if applied.is_some() { " that are applied" } else { "" };
        return Err(format!("no model `{label}` is made by the migrations{which}{hint}"));
    }
    // A proxy has the fields of its concrete model.
    let key = resolver.concrete_key(&key).unwrap_or(key);
    let resolved = resolver.model(&key)?;
    if resolved.swapped {
        return Err(format!("`{label}` is swapped for another model: it has no table"));
    }
    let columns = names.iter().map(|name| column_of(&resolver, &resolved, name)).collect::<Result<_, _>>()?;
    let table = zdm_replay::table_name(&resolved.table);
    let schema = table.schema.as_ref().map(|schema| format!("{}.", quote_identifier(schema.as_str())));
    Ok(Names { table: schema.unwrap_or_default() + &quote_identifier(table.name.as_str()), columns })
}

/// The column of a field, by its name or by the one with `_id`. A name that is no field is a column's own, as a shadow
/// column's that no model has: the database knows whether it is there.
fn column_of(resolver: &Resolver<'_>, model: &ResolvedModel, name: &str) -> Result<String, String> {
    for field in &model.fields {
        match field {
            Ok(field) if **field.name() == *name => {
                return field.column.as_ref().map(ToString::to_string).ok_or_else(|| {
                    format!("`{name}` of `{}` has no column: its values are in a table of their own", model.key)
                });
            }
            Ok(field) if field.foreign_key().is_some() && name.strip_suffix("_id") == Some(&**field.name()) => {
                return Ok(field.column.as_deref().unwrap_or(name).to_owned());
            }
            Err((unknown, reason)) if **unknown == *name => {
                return Err(format!("the column of `{name}` is not known: {reason}"));
            }
            _ => {}
        }
    }
    let is_column = model.fields.iter().flatten().any(|field| field.column.as_deref() == Some(name));
    if !is_column && let Some((parent, table)) = inherited(resolver, &model.key, name, 0) {
        return Err(format!("`{name}` is a field of `{parent}`, whose table is `{table}`: give --model {parent}"));
    }
    Ok(name.to_owned())
}

/// The model with a table of its own that a model inherits this field from.
fn inherited(resolver: &Resolver<'_>, key: &ModelKey, name: &str, depth: u8) -> Option<(String, Arc<str>)> {
    let model = resolver.model_state(key).ok()?;
    let parents = model.bases.iter().filter_map(|base| match model_reference(base, &model.app, &model.name) {
        RelationTarget::Model(parent) if parent != *key => Some(parent),
        _ => None,
    });
    parents.into_iter().find_map(|parent| {
        let resolved = resolver.model(&parent).ok()?;
        if resolved.fields.iter().flatten().any(|field| **field.name() == *name) {
            return Some((format!("{}.{}", parent.app, resolved.name), resolved.table));
        }
        if depth < 16 { inherited(resolver, &parent, name, depth + 1) } else { None }
    })
}

//! Where the project's database is: what the operator says, else the environment, else the project's settings where
//! they are literal.

use zdm_conn::{ConfigError, Environment, Settings};
use zdm_django::Value;
use zdm_guard::Error;
use zdm_workspace::Workspace;

use crate::connection::ConnectionArguments;

/// Variables that say where a server is.
const PLACES: [&str; 6] = ["DATABASE_URL", "PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE", "PGDATABASE"];

pub(super) fn connection(arguments: &ConnectionArguments, workspace: Option<&Workspace>) -> Result<Settings, Error> {
    let wrong = |error: ConfigError| Error::Usage(error.to_string());
    let environment = Environment::from_process();
    let is_said = arguments.is_given()
        || PLACES.iter().any(|name| environment.variables.get(*name).is_some_and(|value| !value.is_empty()));
    if is_said {
        return arguments.settings().map_err(wrong);
    }
    match workspace.and_then(of_django) {
        Some(dsn) => Settings::resolve(Some(&dsn), &environment).map_err(wrong),
        None => arguments.settings().map_err(wrong),
    }
}

/// `DATABASES["default"]` as a connection string, where it is PostgreSQL's and literal as far as it matters.
fn of_django(workspace: &Workspace) -> Option<String> {
    let databases = workspace.project.settings.get("DATABASES")?;
    let default = entry(&databases, "default")?;
    let engine = entry(default, "ENGINE")?.as_str()?.to_owned();
    if !engine.contains("postg") {
        return None;
    }
    let mut dsn = String::new();
    let options = entry(default, "OPTIONS");
    let option = |name: &str| options.and_then(|options| entry(options, name));
    let parts = [
        ("host", entry(default, "HOST")),
        ("port", entry(default, "PORT")),
        ("user", entry(default, "USER")),
        ("dbname", entry(default, "NAME")),
        ("password", entry(default, "PASSWORD")),
        ("service", option("service")),
        ("passfile", option("passfile")),
        ("sslmode", option("sslmode")),
        ("sslrootcert", option("sslrootcert")),
        ("sslcert", option("sslcert")),
        ("sslkey", option("sslkey")),
    ];
    for (name, value) in parts {
        let Some(value) = value else { continue };
        let text = match value {
            Value::Str(text) => text.to_string(),
            Value::Int(number) => number.to_string(),
            Value::None => continue,
            // Computed: a guess would connect to another server.
            _ => return None,
        };
        if text.is_empty() {
            continue;
        }
        dsn.push_str(name);
        dsn.push_str("='");
        dsn.push_str(&text.replace('\\', "\\\\").replace('\'', "\\'"));
        dsn.push_str("' ");
    }
    Some(dsn)
}

fn entry<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    let Value::Dict(entries) = value else { return None };
    entries.iter().find(|(found, _)| found.as_str() == Some(key)).map(|(_, value)| value)
}

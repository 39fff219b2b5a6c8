//! Where the database is, for all subcommands.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;
use zdm_conn::{ConfigError, Environment, Settings};

use crate::{output, project};

/// Options of every command that talks to the database.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConnectionArguments {
    /// Connection string: a URL or libpq's `key=value` pairs. Default: DATABASE_URL, else libpq's environment
    /// (PGHOST, PGSERVICE …), else `DATABASES["default"]` of the project's Django settings where it is literal. It is
    /// taken off the command line at once; a password is better kept in the environment or in a password file all the
    /// same.
    #[arg(long, value_name = "DSN", global = true)]
    dsn: Option<String>,
    /// The database of this entry of `DATABASES` in the project's Django settings, whatever the environment says.
    #[arg(long, value_name = "ALIAS", global = true)]
    database: Option<String>,
}

/// The entry of `DATABASES` that Django takes where none is named.
const DEFAULT_ALIAS: &str = "default";

impl ConnectionArguments {
    /// Whether `--dsn` was there.
    fn is_given(&self) -> bool {
        self.dsn.is_some() || std::env::var_os(MOVED_DSN).is_some()
    }

    /// Whether somebody said where the database is, beyond libpq's defaults.
    pub(crate) fn is_named(&self) -> bool {
        self.is_given()
            || self.database.is_some()
            || std::env::var_os("DATABASE_URL").is_some_and(|value| !value.is_empty())
    }

    fn settings(&self) -> Result<Settings, ConfigError> {
        let environment = Environment::from_process();
        let moved = environment.variables.get(MOVED_DSN).cloned();
        Settings::resolve(self.dsn.as_deref().or(moved.as_deref()), &environment)
    }

    /// Where the database is: as said, else as the environment says, else as the settings of the project at `root`, or
    /// around the current directory.
    ///
    /// # Errors
    /// What is wrong, as a sentence without secrets.
    pub(crate) fn settings_or_project(&self, root: Option<&Path>) -> Result<Settings, String> {
        self.settings_or(DEFAULT_ALIAS, |alias| project::database(root, alias))
    }

    /// The same with a project that somebody has read: `ask` is given an alias of its `DATABASES`, which is `usual`
    /// unless one is named, and answers with libpq's parameters, or with nothing where there is no project.
    ///
    /// # Errors
    /// What is wrong, as a sentence without secrets.
    pub(crate) fn settings_or(
        &self,
        usual: &str,
        ask: impl FnOnce(&str) -> Result<Option<BTreeMap<String, String>>, String>,
    ) -> Result<Settings, String> {
        let environment = Environment::from_process();
        if self.is_given() && self.database.is_some() {
            return Err("--dsn and --database both say where the database is: give one of them".to_owned());
        }
        if !self.is_given() && (self.database.is_some() || !Settings::is_in_environment(&environment)) {
            match ask(self.database.as_deref().unwrap_or(usual))? {
                Some(parameters) => {
                    return Settings::from_pairs(parameters, &environment, "the project's settings")
                        .map_err(|error| format!("the project's settings: {error}"));
                }
                None if self.database.is_some() => {
                    return Err(
                        "--database names an entry of DATABASES, and no Django settings were found: run in the \
                                project's folder, or name it with --project"
                            .to_owned(),
                    );
                }
                None if self.is_given() => {}
                None => output::note(
                    "zdm: nothing names a database (--dsn, DATABASE_URL, PGHOST, the settings of a Django project): libpq's \
                     defaults are taken",
                ),
            }
        }
        self.settings().map_err(|error| error.to_string())
    }
}

/// Where `--dsn` is kept after [`hide_dsn`].
const MOVED_DSN: &str = "ZDM_DSN";

/// Starts this program anew in the same process, with `--dsn` moved to the environment, which only the same user may
/// read: a process's title shows its arguments to everyone. Returns when there is no `--dsn`, or when that fails; then
/// the argument is used where it is.
#[cfg(unix)]
pub(crate) fn hide_dsn() {
    use std::ffi::OsString;
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    let mut kept = Vec::new();
    let mut found = None;
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            // What follows belongs to another command.
            Some("--") => {
                kept.push(argument);
                kept.extend(arguments.by_ref());
            }
            Some("--dsn") => found = arguments.next(),
            Some(text) if text.starts_with("--dsn=") => found = text.strip_prefix("--dsn=").map(OsString::from),
            _ => kept.push(argument),
        }
    }
    if let (Some(dsn), Ok(program)) = (found, std::env::current_exe()) {
        // Only returns when the program cannot be started.
        drop(Command::new(program).args(kept).env(MOVED_DSN, dsn).exec());
    }
}

/// Windows shows the arguments of a process to its own user and to administrators only.
#[cfg(not(unix))]
pub(crate) fn hide_dsn() {}

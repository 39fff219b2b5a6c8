//! `zdm`, the runtime: argv, progress and exit codes. What it does is in the crates that it calls.
//!
//! One module per subcommand: [`migrate`], [`mirror`], [`backfill`], [`stats`]. Shared: [`connection`] (where the database
//! is), [`project`] (names of the Django project), [`shell`] (how they run), [`exit`] (what the process's exit code says), [`output`] (standard
//! output and standard error, the only place that prints).

#[cfg(unix)]
mod migrate;

#[cfg(not(unix))]
#[path = "migrate_elsewhere.rs"]
mod migrate;

mod backfill;

mod mirror;

mod stats;

mod connection;

mod project;

mod shell;

mod exit;

mod output;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::exit::Exit;

/// Zero-downtime migrations for Django on PostgreSQL: the runtime.
#[derive(Debug, Parser)]
#[command(
    name = "zdm",
    version,
    after_help = "Exit codes: 0 done; 1 refused or incomplete; 2 wrong usage; 3 gave up on a lock; 4 the database failed; \
                  130 interrupted, resumable."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run migrations under timeouts, behind a gate, watched: `zdm migrate -- python manage.py migrate`.
    Migrate(Box<migrate::Arguments>),
    /// Fill columns of a table of any size while the application runs.
    Backfill(Box<backfill::Arguments>),
    /// Keep a second column equal to a function of the first by a trigger, while old and new code run.
    Mirror(Box<mirror::Arguments>),
    /// Measure table sizes and traffic for the linter's `--stats`.
    Stats(stats::Arguments),
    /// Print completions for a shell.
    Completions { shell: clap_complete::Shell },
    /// Answer a question about the Django project.
    #[command(hide = true, name = project::SUBCOMMAND)]
    ReadProject,
}

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    if let Some(exit) = migrate::launch() {
        return exit.into();
    }
    connection::hide_dsn();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are answers, everything else is wrong usage; clap's own codes agree with ours.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            drop(error.print());
            return exit.into();
        }
    };
    match arguments.command {
        Command::Migrate(arguments) => migrate::main(&arguments).into(),
        Command::Backfill(arguments) => backfill::main(&arguments).into(),
        Command::Mirror(arguments) => mirror::main(&arguments).into(),
        Command::Stats(arguments) => stats::main(&arguments).into(),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "zdm", &mut text);
            output::line(String::from_utf8_lossy(&text).trim_end());
            Exit::Done.into()
        }
        Command::ReadProject => project::answer().into(),
    }
}

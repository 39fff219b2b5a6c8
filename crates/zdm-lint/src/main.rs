//! The command line of the linter: arguments, terminal, exit codes.

mod adopt;
mod args;
mod base;
mod check;
mod explain;
mod init;
mod lsp;
mod progress;
mod sqlmigrate;
mod state;
mod terminal;
mod trace_command;
mod wire;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use terminal::{Failure, print};

/// The replay makes and leaves many small pieces, on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        None => check::run(&cli.check),
        Some(Command::Check(args)) => check::run(&args),
        Some(Command::Explain { rule }) => explain::explain(&rule).map(|page| print(&page)),
        Some(Command::Rules { format }) => explain::rules(format).map(|list| print(&list)),
        Some(Command::Sqlmigrate(args)) => sqlmigrate::run(&args),
        Some(Command::Init(args)) => init::run(&args),
        Some(Command::Base { root, format }) => base::run(root, format),
        Some(Command::Completions { shell }) => Ok(completions(shell)),
        Some(Command::State(args)) => state::run(&args),
        Some(Command::Trace(args)) => trace_command::run(&args),
        Some(Command::Lsp { stdio: _ }) => Ok(lsp::run()),
    };
    match result {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn completions(shell: clap_complete::Shell) -> ExitCode {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "zdm-lint", &mut text);
    print(&String::from_utf8_lossy(&text))
}

/// Nothing was found, or nothing was asked.
pub(crate) const CLEAN: u8 = 0;
/// There are findings at or above the level that fails.
pub(crate) const FINDINGS: u8 = 1;
/// Wrong usage, bad configuration, an unreadable project, a git failure.
pub(crate) const FAILED: u8 = 2;

impl From<Failure> for ExitCode {
    fn from(failure: Failure) -> Self {
        failure.report()
    }
}

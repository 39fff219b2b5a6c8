//! Django as zdm knows it: apps, settings, the migration graph, operations, the state, and the schema editor.
//!
//! This crate does no I/O and never runs Python: files come in as text, values come out of `zdm-python`.
//! Reading order: [`version`], [`value`], [`field`], [`operation`], [`migration`] (what is written), `extract` (how it
//! is read), [`project`] and [`graph`] (all of it, in order), [`state`] (what Django believes), [`resolve`] (its tables
//! and columns), [`editor`] (the statements it sends).

pub mod version;

pub mod value;

pub mod field;

pub mod operation;

pub mod migration;

mod extract;

mod third_party;

mod builtin;

pub mod problem;

pub mod project;

pub mod graph;

pub mod state;

pub mod resolve;

pub mod editor;

pub use editor::{Database, NotAnalysed, Origin, Outcome, Sql, run_migration};
pub use field::Field;
pub use graph::Graph;
pub use migration::{Migration, MigrationKey, MigrationOrigin};
pub use operation::{Operation, OperationKind};
pub use problem::{Problem, ProblemKind};
pub use project::{App, Project, ProjectConfig, ProjectInput};
pub use resolve::{Context, Driver, ResolvedField, ResolvedModel, Resolver};
pub use state::ProjectState;
pub use value::Value;
pub use version::DjangoVersion;

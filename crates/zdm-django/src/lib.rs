//! Django as zdm knows it: apps, settings, the migration graph, operations, the state, and the schema editor.
//!
//! This crate does no I/O and never runs Python: files come in as text, values come out of `zdm-python`.
//! Reading order: [`version`], [`value`], [`field`], [`operation`], [`migration`] (what is written),
//! [`state`] (what Django believes), [`resolve`] (its tables and columns), [`editor`] (the statements it sends).

pub mod version;

pub mod value;

pub mod field;

pub mod operation;

pub mod migration;

pub mod state;

pub mod resolve;

pub mod editor;

pub use editor::{Database, NotAnalysed, Origin, Outcome, Sql, run_migration};
pub use field::Field;
pub use migration::{Migration, MigrationKey};
pub use operation::{Operation, OperationKind};
pub use resolve::{Context, Driver, ResolvedField, ResolvedModel, Resolver};
pub use state::ProjectState;
pub use value::Value;
pub use version::DjangoVersion;

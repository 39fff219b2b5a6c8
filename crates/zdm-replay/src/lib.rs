//! Replays a project's migrations on both worlds and keeps what happened: the trace.
//!
//! The schema editor of `zdm-django` says what Django sends, `zdm-sql` reads it, a session of `zdm-postgres` executes it.
//! This crate puts the three together and writes down every step. Rules stand on the [`Trace`] and nothing else.

pub mod halves;
pub mod trace;

pub mod replay;

pub mod history;

pub use history::{History, Settled};
pub use replay::{Options, RECORDER_TABLE, Replayer, data_type, replay, table_name, targets, unapply};
pub use trace::{MigrationTrace, OperationTrace, Step, Trace};
pub use {zdm_django as django, zdm_postgres as postgres};

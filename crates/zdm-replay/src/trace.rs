//! The trace: for every migration what it sent, what that did, and both worlds before and after.
//!
//! Rules see this and nothing else. Keeping all of it is cheap, because states and catalogs share what did not change.

use std::sync::Arc;

use zdm_django::{Migration, MigrationKey, ProjectState};
use zdm_postgres::effects::Outcome;
use zdm_postgres::{Catalog, Statement};
use zdm_source::Span;

use crate::replay::Options;

/// A whole replay, migrations in the order in which Django would run them on an empty database.
#[derive(Clone, Debug)]
pub struct Trace {
    /// What it was replayed on.
    pub options: Options,
    pub migrations: Vec<MigrationTrace>,
}

impl Trace {
    pub fn migration(&self, key: &MigrationKey) -> Option<&MigrationTrace> {
        self.migrations.iter().find(|trace| trace.migration.key == *key)
    }

    /// The migrations as they were read, in the same order.
    pub fn order(&self) -> Vec<Arc<Migration>> {
        self.migrations.iter().map(|trace| Arc::clone(&trace.migration)).collect()
    }
}

/// One migration's part of the trace.
#[derive(Clone, Debug)]
pub struct MigrationTrace {
    pub migration: Arc<Migration>,
    pub state_before: ProjectState,
    pub state_after: ProjectState,
    pub catalog_before: Catalog,
    pub catalog_after: Catalog,
    /// One per top-level operation, in order.
    pub operations: Vec<OperationTrace>,
    /// Every statement in the order of execution: deferred ones stand at the end and name the operation that made them.
    pub steps: Vec<Step>,
    /// The SQL in the code of `RunPython`, as far as it is known: each statement on the catalog that its operation meets.
    /// Whether it is sent at all the code decides, so that it changes neither catalog nor transaction here.
    pub python: Vec<Step>,
}

impl MigrationTrace {
    /// The steps of one operation, deferred ones included, in the order of execution.
    pub fn steps_of(&self, operation: usize) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |step| step.operation == operation)
    }
}

/// One top-level operation's part of the trace. Nested operations belong to it.
#[derive(Clone, Debug)]
pub struct OperationTrace {
    pub index: usize,
    pub span: Span,
    /// Why it, or a part of it, was not analysed, with the place; empty where all of it was.
    pub not_analysed: Vec<(Span, String)>,
    /// Runs Python that is not replayed.
    pub python: bool,
    pub state_before: ProjectState,
    pub state_after: ProjectState,
}

/// One statement that the server receives.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its number among all statements of the replay's session; [`zdm_postgres::effects::Held::by`] names it.
    pub number: usize,
    /// The index of the top-level operation.
    pub operation: usize,
    /// Runs after all operations of the migration.
    pub deferred: bool,
    /// Numbers the messages that Django sends in a migration: several statements of one string go together.
    pub call: u32,
    /// The whole message.
    pub sent: Arc<str>,
    pub sql: Arc<str>,
    /// Where it comes from in the migration's file: the statement inside a SQL literal, else the operation.
    pub span: Span,
    /// Written by the project as SQL, not made by the schema editor.
    pub raw: bool,
    /// Stands in the code of a `RunPython`; see [`MigrationTrace::python`].
    pub python: bool,
    /// A value in it could not be evaluated and is replaced by a placeholder.
    pub placeholder: bool,
    pub statement: Statement,
    pub outcome: Outcome,
    pub catalog_before: Catalog,
    pub catalog_after: Catalog,
    /// Numbers the transactions of a migration; `None` where the statement runs in autocommit.
    pub transaction: Option<u32>,
    /// The transaction is the server's own, around several statements that were sent together.
    pub implicit: bool,
}

impl Step {
    /// The server would refuse it, as far as the catalog tells.
    pub const fn is_refused(&self) -> bool {
        self.outcome.error.is_some()
    }
}

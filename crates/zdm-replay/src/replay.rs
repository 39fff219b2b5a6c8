//! The replay: one pass over the migrations in the order of the graph.

use std::sync::Arc;

use zdm_django::editor::{Database, Origin, Sql, run_migration};
use zdm_django::resolve::Context;
use zdm_django::{Migration, Operation, OperationKind, ProjectState};
use zdm_postgres::session::Session;
use zdm_postgres::{Catalog, PgVersion, Statement};
use zdm_source::Span;

use crate::trace::{MigrationTrace, OperationTrace, Step, Trace};

/// What the replay is told besides the migrations.
#[derive(Clone, Debug)]
pub struct Options {
    pub postgres: PgVersion,
    pub context: Context,
}

/// Replays `migrations`, which stand in the order of execution, from an empty database.
pub fn replay(migrations: &[Arc<Migration>], options: &Options) -> Trace {
    let mut state = ProjectState::new();
    let mut recorder = Recorder {
        session: Session::new(Catalog::new(), options.postgres),
        number: 0,
        transactions: 0,
        transaction: None,
        steps: Vec::new(),
        operations: Vec::new(),
        state: ProjectState::new(),
    };
    let mut traces = Vec::with_capacity(migrations.len());
    for migration in migrations {
        traces.push(replay_one(migration, &mut state, &mut recorder, &options.context));
    }
    Trace { context: options.context.clone(), postgres: options.postgres, migrations: traces }
}

fn replay_one(
    migration: &Arc<Migration>,
    state: &mut ProjectState,
    recorder: &mut Recorder,
    context: &Context,
) -> MigrationTrace {
    let state_before = state.clone();
    let catalog_before = recorder.session.catalog().clone();
    recorder.transactions = 0;
    recorder.state = state.clone();
    if migration.atomic {
        recorder.control(&Statement::Begin);
    }
    let run = run_migration(migration, state, context, recorder);
    // A migration that opened a transaction itself ends here in any case.
    if recorder.transaction.is_some() {
        recorder.control(&Statement::Commit { and_chain: false });
    }
    let steps = std::mem::take(&mut recorder.steps);
    let mut operations = std::mem::take(&mut recorder.operations);
    *state = run.state;
    for part in run.not_analysed {
        if let Some(operation) = operations.get_mut(part.operation) {
            operation.not_analysed.push((part.span, part.reason));
        }
    }
    MigrationTrace {
        migration: Arc::clone(migration),
        state_before,
        state_after: state.clone(),
        catalog_before,
        catalog_after: recorder.session.catalog().clone(),
        operations,
        steps,
    }
}

/// Executes what the schema editor sends, and writes it down.
struct Recorder {
    session: Session,
    number: usize,
    /// How many transactions this migration has opened.
    transactions: u32,
    transaction: Option<u32>,
    steps: Vec<Step>,
    /// Of this migration, finished or under way.
    operations: Vec<OperationTrace>,
    /// After the last finished operation.
    state: ProjectState,
}

impl Recorder {
    /// A transaction command of Django's own, which is no step.
    fn control(&mut self, statement: &Statement) {
        self.session.execute(statement);
        self.number += 1;
        self.note_transaction();
    }

    fn note_transaction(&mut self) {
        match (self.session.in_transaction(), self.transaction) {
            (true, None) => {
                self.transaction = Some(self.transactions);
                self.transactions += 1;
            }
            (false, Some(_)) => self.transaction = None,
            _ => {}
        }
    }
}

impl Database for Recorder {
    fn catalog(&self) -> &Catalog {
        self.session.catalog()
    }

    fn operation_started(&mut self, index: usize, operation: &Operation) {
        self.operations.push(OperationTrace {
            index,
            span: operation.span,
            not_analysed: Vec::new(),
            python: runs_python(operation),
            state_before: self.state.clone(),
            state_after: self.state.clone(),
        });
    }

    fn operation_finished(&mut self, index: usize, state: &ProjectState) {
        self.state = state.clone();
        if let Some(operation) = self.operations.get_mut(index) {
            operation.state_after = state.clone();
        }
    }

    fn execute(&mut self, sql: Sql) {
        let parsed = zdm_sql::parse(&sql.text);
        // Several statements in one string are one message of the simple query protocol: without a transaction of its own
        // the server runs them as one (PostgreSQL manual, "Multiple Statements in a Simple Query").
        let implicit = parsed.len() > 1
            && !self.session.in_transaction()
            && !parsed.iter().any(|parsed| {
                matches!(parsed.statement, Statement::Begin | Statement::Commit { .. } | Statement::Rollback { .. })
            });
        if implicit {
            self.control(&Statement::Begin);
        }
        let operation_span = self.operations.get(sql.operation).map_or_else(Span::default, |operation| operation.span);
        let several = parsed.len() > 1;
        for parsed in parsed {
            let catalog_before = self.session.catalog().clone();
            let transaction_before = self.transaction;
            let outcome = self.session.execute(&parsed.statement);
            let number = self.number;
            self.number += 1;
            self.note_transaction();
            let (span, raw) = match &sql.origin {
                Origin::SchemaEditor => (operation_span, false),
                Origin::Known { .. } => (operation_span, false),
                Origin::RunSql { map, .. } => (map.source_span(parsed.span), true),
            };
            let text = if several {
                sql.text.get(parsed.span.range()).map_or_else(|| Arc::clone(&sql.text), Arc::from)
            } else {
                Arc::clone(&sql.text)
            };
            self.steps.push(Step {
                number,
                operation: sql.operation,
                deferred: sql.deferred,
                sql: text,
                span,
                raw,
                placeholder: sql.wildcard,
                statement: parsed.statement,
                outcome,
                catalog_before,
                catalog_after: self.session.catalog().clone(),
                transaction: transaction_before.or(self.transaction),
            });
        }
        if implicit {
            self.control(&Statement::Commit { and_chain: false });
        }
    }
}

/// Whether it is, or holds, a `RunPython`.
fn runs_python(operation: &Operation) -> bool {
    match &operation.kind {
        OperationKind::RunPython(_) => true,
        OperationKind::SeparateDatabaseAndState { database_operations, .. } => {
            database_operations.iter().any(runs_python)
        }
        _ => false,
    }
}

//! The replay: one pass over the migrations in the order of the graph.

use std::sync::Arc;

use zdm_django::editor::backwards::way_back;
use zdm_django::editor::{Database, NotAnalysed, Origin, Outcome, Sql, run_back, run_migration};
use zdm_django::operation::{CodeFactKind, CodeModel, RunPython, fill_places};
use zdm_django::resolve::{Context, Resolver};
use zdm_django::state::{ModelKey, models_named};
use zdm_django::{Migration, Operation, OperationKind, ProjectState};
use zdm_postgres::effects::Outcome as Executed;
use zdm_postgres::session::Session;
use zdm_postgres::statement::AlterTableAction;
use zdm_postgres::{Catalog, DataType, Ident, PgVersion, QualifiedName, Statement};
use zdm_source::Span;
use zdm_sql::ParsedStatement;

use crate::halves::Message;
use crate::trace::{MigrationTrace, OperationTrace, Step, Trace};

/// The table of the migrations that are applied, which Django makes by itself before it runs the first one
/// (`MigrationRecorder.ensure_schema`).
pub const RECORDER_TABLE: &str = "django_migrations";

/// What the replay is told besides the migrations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub postgres: PgVersion,
    pub context: Context,
    /// Apps that migrations depend on were not read, so that tables may exist which no statement made.
    pub incomplete: bool,
}

/// Replays `migrations`, which stand in the order of execution, from an empty database.
pub fn replay(migrations: &[Arc<Migration>], options: &Options) -> Trace {
    let mut replayer = Replayer::new(options);
    let traces = migrations.iter().map(|migration| replayer.run(migration)).collect();
    Trace { options: options.clone(), migrations: traces }
}

/// Unapplies a migration on the worlds that it leaves, as far as there is a way back.
pub fn unapply(migration: &MigrationTrace, options: &Options) -> MigrationTrace {
    let states: Vec<_> = migration
        .operations
        .iter()
        .map(|operation| (operation.state_before.clone(), operation.state_after.clone()))
        .collect();
    let back = way_back(&migration.migration, &states);
    let mut replayer = Replayer {
        state: migration.state_after.clone(),
        session: Session::new(migration.catalog_after.clone(), options.postgres),
        context: Arc::new(options.context.clone()),
    };
    let reversed = Arc::new(back.migration.clone());
    replayer.record(&reversed, &mut |state, context, recorder| run_back(&back, state, context, recorder))
}

/// What the schema editor does for a migration.
type Run<'r> = dyn FnMut(&ProjectState, &Context, &mut Recorder) -> Outcome + 'r;

/// A replay that stands between two migrations. A clone costs a few pointers, so that any point of the history can be kept
/// and gone on from.
#[derive(Clone, Debug)]
pub struct Replayer {
    state: ProjectState,
    session: Session,
    context: Arc<Context>,
}

impl Replayer {
    /// Before the first migration, on an empty database.
    pub fn new(options: &Options) -> Self {
        let mut session = Session::new(Catalog::new(), options.postgres);
        if options.incomplete {
            session.catalog_mut().mark_incomplete();
        }
        Self { state: ProjectState::new(), session, context: Arc::new(context(options)) }
    }

    /// Runs the next migration.
    pub fn run(&mut self, migration: &Arc<Migration>) -> MigrationTrace {
        self.prepare(migration);
        self.record(migration, &mut |state, context, recorder| run_migration(migration, state, context, recorder))
    }

    /// Runs the next migration as the schema editor elsewhere tells it (see [`crate::halves`]). Where that falls silent the
    /// migration ends.
    pub fn follow(
        &mut self,
        migration: &Arc<Migration>,
        told: &mut dyn Iterator<Item = Message>,
        answer: &mut dyn FnMut(Catalog),
    ) -> MigrationTrace {
        self.prepare(migration);
        self.record(migration, &mut |state, _, recorder| {
            for message in &mut *told {
                match message {
                    Message::Started(index) => {
                        if let Some(operation) = migration.operations.get(index) {
                            recorder.operation_started(index, operation);
                        }
                    }
                    Message::NotAnalysed(reason) => recorder.not_analysed(&reason),
                    Message::Finished(index, state) => recorder.operation_finished(index, &state),
                    Message::Execute(sql, parsed) => recorder.send(&sql, parsed),
                    Message::Asks => answer(recorder.catalog().clone()),
                    Message::Ended(outcome) => return outcome,
                }
            }
            Outcome { state: state.clone(), not_analysed: Vec::new() }
        })
    }

    /// What a migration needs and does not make.
    fn prepare(&mut self, migration: &Migration) {
        if migration.needs_postgis() && !self.session.catalog().has_extension("postgis") {
            for parsed in zdm_sql::parse("CREATE EXTENSION postgis; CREATE EXTENSION postgis_raster") {
                self.session.execute(&parsed.statement);
            }
        }
    }

    fn record(&mut self, migration: &Arc<Migration>, run: &mut Run<'_>) -> MigrationTrace {
        let state_before = self.state.clone();
        let catalog_before = self.session.catalog().clone();
        let mut recorder = Recorder {
            session: self.session.clone(),
            transactions: 0,
            transaction: None,
            calls: 0,
            steps: Vec::new(),
            python: Vec::new(),
            operations: Vec::new(),
            state: state_before.clone(),
            context: Arc::clone(&self.context),
            app: Arc::clone(&migration.key.app),
            created: Vec::new(),
            named: Vec::new(),
            no_tables: false,
            unknown: false,
        };
        if migration.atomic {
            recorder.control(&Statement::BEGIN);
        }
        let run = run(&self.state, &self.context, &mut recorder);
        // A migration that opened a transaction itself ends here in any case.
        if recorder.transaction.is_some() {
            recorder.control(&Statement::Commit { and_chain: false });
        }
        let Recorder { session, mut steps, python, mut operations, .. } = recorder;
        // The trace is kept as it is from here on.
        steps.shrink_to_fit();
        for part in run.not_analysed {
            if let Some(operation) = operations.get_mut(part.operation) {
                operation.not_analysed.push((part.span, part.reason));
            }
        }
        self.state = run.state;
        self.session = session;
        MigrationTrace {
            migration: Arc::clone(migration),
            state_before,
            state_after: self.state.clone(),
            catalog_before,
            catalog_after: self.session.catalog().clone(),
            operations,
            steps,
            python,
        }
    }

    /// Whether everything that comes after would be the same from here as from there: equal worlds and an equal session.
    ///
    /// Cheap where the two share their parts. Places in files do not count, nor does the count of steps.
    pub fn meets(&self, other: &Self) -> bool {
        self.session.is_same(&other.session) && self.state.is_same(&other.state)
    }
}

/// Executes what the schema editor sends, and writes it down.
struct Recorder {
    session: Session,
    /// How many transactions this migration has opened.
    transactions: u32,
    transaction: Option<u32>,
    /// How many messages this migration has sent.
    calls: u32,
    steps: Vec<Step>,
    python: Vec<Step>,
    /// Of this migration, finished or under way.
    operations: Vec<OperationTrace>,
    /// After the last finished operation.
    state: ProjectState,
    context: Arc<Context>,
    /// Of the migration under way.
    app: Arc<str>,
    /// The models that the operation under way creates, or may create.
    created: Vec<Arc<str>>,
    /// The models that the operation under way speaks of, where it names any.
    named: Vec<Arc<str>>,
    /// Whatever the operation under way does, it leaves tables alone.
    no_tables: bool,
    /// The operation under way, or a part of it, is not analysed.
    unknown: bool,
}

/// What the schema editor is told of the settings and the server.
pub(crate) fn context(options: &Options) -> Context {
    Context { postgres: Some(options.postgres), ..options.context.clone() }
}

impl Recorder {
    /// A transaction command of Django's own, which is no step.
    fn control(&mut self, statement: &Statement) {
        self.session.execute(statement);
        self.note_transaction();
    }

    /// Something happened that was not understood: absence proves nothing from here on, and a model's table that was not
    /// created by a known statement is taken to exist.
    fn assume(&mut self, state: &ProjectState) {
        let catalog = self.session.catalog_mut();
        catalog.mark_incomplete();
        if self.no_tables {
            return;
        }
        let resolver = Resolver::new(state, &self.context);
        // An operation speaks of the models of its app, if not of the one that it names.
        for model in state.models().filter(|model| model.app == self.app) {
            let named = self.named.is_empty() || self.named.iter().any(|name| model.name.eq_ignore_ascii_case(name));
            if let Some(table) = resolver.table(model).ok().filter(|_| named) {
                catalog.mark_uncertain(&table_name(&table));
            }
        }
        for name in &self.created {
            if let Some(model) = state.model(&ModelKey::new(&self.app, name))
                && resolver.can_migrate(model)
                && let Ok(table) = resolver.table(model)
            {
                catalog.assume_table(table_name(&table));
            }
        }
    }

    /// SQL with the names that the code takes from models; None where one is not known.
    fn named(&self, sql: &Arc<str>) -> Option<Arc<str>> {
        if !sql.contains('\u{1}') {
            return Some(Arc::clone(sql));
        }
        let resolver = Resolver::new(&self.state, &self.context);
        let name = |model: &CodeModel, field: Option<&str>| {
            let model = self.state.model(&ModelKey::new(&model.app, &model.name))?;
            match field {
                Some(field) => resolver.field(model, field).ok()?.column.map(|column| column.to_string()),
                None => resolver.table(model).ok().map(|table| table.to_string()),
            }
        };
        fill_places(sql, &name).map(Arc::from)
    }

    /// What the SQL in the code of a `RunPython` would do here.
    fn read_python(&mut self, operation: usize, run: &RunPython) {
        for fact in &run.body.facts {
            let sql = match &fact.kind {
                CodeFactKind::SendsSql { sql: Some(sql), .. } => self.named(sql),
                CodeFactKind::SendsSql { sql: None, .. }
                | CodeFactKind::ChangesSchema { .. }
                | CodeFactKind::NotRead { .. } => None,
                _ => continue,
            };
            let Some(sql) = &sql else {
                // It may have changed any table of its app.
                let state = self.state.clone();
                self.assume(&state);
                continue;
            };
            let mut session = self.session.clone();
            let atomic = run.atomic == Some(true) && !session.in_transaction();
            if atomic {
                session.execute(&Statement::BEGIN);
            }
            for parsed in zdm_sql::parse(sql) {
                let catalog_before = session.catalog().clone();
                let text = sql.get(parsed.span.range()).map_or_else(|| Arc::clone(sql), Arc::from);
                let number = session.next_number();
                let outcome = execute(&mut session, &parsed.statement, &text);
                // Its doing is not entered into the history, so that the history does not know its tables from here on.
                let changed = targets(&parsed.statement);
                if !changed.is_empty() || matches!(parsed.statement, Statement::Opaque(_) | Statement::Do { .. }) {
                    let catalog = self.session.catalog_mut();
                    catalog.mark_incomplete();
                    for table in changed {
                        catalog.mark_uncertain(table);
                    }
                }
                self.python.push(Step {
                    number,
                    operation,
                    deferred: false,
                    call: self.calls,
                    sent: Arc::clone(sql),
                    sql: text,
                    span: fact.span,
                    raw: true,
                    python: true,
                    placeholder: false,
                    statement: parsed.statement,
                    outcome,
                    catalog_before,
                    catalog_after: session.catalog().clone(),
                    transaction: self.transaction.or(atomic.then_some(self.transactions)),
                    implicit: false,
                });
            }
            self.session.count_on(&session);
        }
    }

    /// What one call of `execute()` does.
    fn send(&mut self, sql: &Sql, parsed: Vec<ParsedStatement>) {
        // Several statements in one string are one message of the simple query protocol: outside of a transaction block
        // the server runs them as one, up to a COMMIT or ROLLBACK, and BEGIN makes a block of what is under way
        // (PostgreSQL manual, "Multiple Statements in a Simple Query").
        let mut implicit = false;
        let operation_span = self.operations.get(sql.operation).map_or_else(Span::default, |operation| operation.span);
        let several = parsed.len() > 1;
        let call = self.calls;
        self.calls += 1;
        for parsed in parsed {
            match &parsed.statement {
                Statement::Begin { .. } | Statement::Commit { .. } | Statement::Rollback { .. } => implicit = false,
                _ if several && !self.session.in_transaction() => {
                    self.control(&Statement::BEGIN);
                    implicit = true;
                }
                _ => {}
            }
            let catalog_before = self.session.catalog().clone();
            let transaction_before = self.transaction;
            let text = if several {
                sql.text.get(parsed.span.range()).map_or_else(|| Arc::clone(&sql.text), Arc::from)
            } else {
                Arc::clone(&sql.text)
            };
            let number = self.session.next_number();
            let outcome = execute(&mut self.session, &parsed.statement, &text);
            if outcome.error.is_some() {
                // The server would end the migration here. The rest is judged as if the statement were mended: the
                // transaction goes on, and what the statement should have made may exist.
                self.session.forgive();
                let catalog = self.session.catalog_mut();
                catalog.mark_incomplete();
                for table in targets(&parsed.statement) {
                    catalog.mark_uncertain(table);
                }
            }
            self.note_transaction();
            let (span, raw) = match &sql.origin {
                Origin::SchemaEditor => (operation_span, false),
                Origin::Known { .. } => (operation_span, false),
                Origin::RunSql { map, .. } => (map.source_span(parsed.span), true),
            };
            self.steps.push(Step {
                number,
                operation: sql.operation,
                deferred: sql.deferred,
                call,
                sent: Arc::clone(&sql.text),
                sql: text,
                span,
                raw,
                python: false,
                placeholder: sql.wildcard,
                statement: parsed.statement,
                outcome,
                catalog_before,
                catalog_after: self.session.catalog().clone(),
                transaction: transaction_before.or(self.transaction),
                implicit,
            });
        }
        if implicit {
            self.control(&Statement::Commit { and_chain: false });
        }
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
        self.unknown = false;
        if runs_python_of_its_own(operation) {
            let state = self.state.clone();
            self.named.clear();
            self.created.clear();
            self.no_tables = false;
            self.assume(&state);
        }
        self.named = match &operation.kind {
            OperationKind::SeparateDatabaseAndState { .. } => Vec::new(),
            // What it executes may be about any table.
            OperationKind::Unknown { possible, .. } if possible.is_empty() => Vec::new(),
            _ => models_named(&operation.kind),
        };
        self.created = created_by(operation);
        self.no_tables = leaves_tables(operation);
        for run in python_of(operation) {
            self.read_python(index, run);
        }
        self.operations.push(OperationTrace {
            index,
            span: operation.span,
            not_analysed: Vec::new(),
            python: runs_python(operation),
            state_before: self.state.clone(),
            state_after: self.state.clone(),
        });
    }

    fn not_analysed(&mut self, _reason: &NotAnalysed) {
        self.unknown = true;
    }

    fn operation_finished(&mut self, index: usize, state: &ProjectState) {
        if std::mem::take(&mut self.unknown) {
            self.assume(state);
        }
        self.state = state.clone();
        if let Some(operation) = self.operations.get_mut(index) {
            operation.state_after = state.clone();
        }
    }

    fn execute(&mut self, sql: Sql) {
        let parsed = zdm_sql::parse(&sql.text);
        self.send(&sql, parsed);
    }
}

/// Executes one statement of a migration, on a database that has [`RECORDER_TABLE`]. Nothing is known of that table but
/// that it exists, and the catalog has it only where a statement does more than read or change its rows.
fn execute(session: &mut Session, statement: &Statement, text: &str) -> Executed {
    let recorder = QualifiedName::new(RECORDER_TABLE);
    if !text.contains(RECORDER_TABLE) || session.catalog().relation(&recorder).is_some() {
        return session.execute(statement);
    }
    let before = session.catalog().clone();
    session.catalog_mut().assume_table(recorder);
    let outcome = session.execute(statement);
    let changes_rows = matches!(
        statement,
        Statement::Select(_) | Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) | Statement::Merge(_)
    );
    // A function that is not known may have changed anything.
    if changes_rows && session.catalog().is_incomplete() == before.is_incomplete() {
        *session.catalog_mut() = before;
    }
    outcome
}

/// Each `RunPython` that it is or holds.
fn python_of(operation: &Operation) -> Vec<&RunPython> {
    match &operation.kind {
        OperationKind::RunPython(run) => vec![run],
        OperationKind::SeparateDatabaseAndState { database_operations, .. } => {
            database_operations.iter().flat_map(python_of).collect()
        }
        _ => Vec::new(),
    }
}

/// The tables that a statement is about: what it would have changed had it not been refused.
pub fn targets(statement: &Statement) -> Vec<&QualifiedName> {
    match statement {
        Statement::AlterTable(alter) => vec![&alter.name],
        Statement::CreateTable(create) => vec![&create.name],
        Statement::CreateIndex(create) => vec![&create.table],
        Statement::CreateTrigger(trigger) => vec![&trigger.table],
        Statement::Drop(drop) => drop.names.iter().chain(&drop.on).collect(),
        _ => Vec::new(),
    }
}

/// The models that an operation creates, or may create.
fn created_by(operation: &Operation) -> Vec<Arc<str>> {
    match &operation.kind {
        OperationKind::CreateModel { name, .. } => vec![Arc::clone(name)],
        OperationKind::Unknown { possible, .. } => possible.iter().flat_map(created_by).collect(),
        _ => Vec::new(),
    }
}

/// Whether the operation, which may or may not be there, changes no table in either case.
fn leaves_tables(operation: &Operation) -> bool {
    let OperationKind::Unknown { possible, .. } = &operation.kind else { return false };
    !possible.is_empty()
        && possible.iter().all(|operation| match &operation.kind {
            OperationKind::CreateExtension { .. }
            | OperationKind::CreateCollation { .. }
            | OperationKind::RemoveCollation { .. }
            | OperationKind::NoOp => true,
            OperationKind::RunPython(run) => !run.body.facts.iter().any(|fact| {
                matches!(
                    fact.kind,
                    CodeFactKind::SendsSql { .. } | CodeFactKind::ChangesSchema { .. } | CodeFactKind::NotRead { .. }
                )
            }),
            _ => false,
        })
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

/// A model's `db_table` as the catalog has it: Django passes a name in quotes through as it is, so `"schema"."table"`
/// names both.
pub fn table_name(db_table: &str) -> QualifiedName {
    let inner = db_table.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match inner.map(|inner| inner.split_once("\".\"")) {
        Some(Some((schema, name))) => QualifiedName::with_schema(schema, Ident::from(name).truncated()),
        Some(None) => QualifiedName::new(Ident::from(inner.unwrap_or(db_table)).truncated()),
        None => QualifiedName::new(Ident::from(db_table).truncated()),
    }
}

/// A field's `db_type` as the catalog has it.
pub fn data_type(db_type: &str) -> Option<DataType> {
    // Nearly all fields are of these; the rest is read as SQL.
    const PLAIN: [&str; 9] =
        ["bigint", "boolean", "date", "integer", "jsonb", "smallint", "text", "timestamp with time zone", "uuid"];
    if PLAIN.contains(&db_type) {
        return Some(DataType::named(db_type));
    }
    let length = db_type.strip_prefix("varchar(").and_then(|rest| rest.strip_suffix(')')?.parse::<i32>().ok());
    if let Some(length) = length {
        return Some(DataType::named("varchar").with_modifiers([length]));
    }
    let parsed = zdm_sql::parse(&format!("ALTER TABLE t ADD COLUMN c {db_type}")).into_iter().next()?;
    let Statement::AlterTable(alter) = parsed.statement else { return None };
    match alter.actions.into_iter().next()? {
        AlterTableAction::AddColumn { column, .. } => column.data_type,
        _ => None,
    }
}

/// A subclass of `RunPython`, which may do anything around the code: one that chooses the code by what it finds in the
/// database, say.
fn runs_python_of_its_own(operation: &Operation) -> bool {
    matches!(operation.kind, OperationKind::RunPython(_)) && !operation.class.starts_with("django.")
}

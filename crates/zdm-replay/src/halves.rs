//! The replay in two halves that can run beside each other: what Django sends, and what the server does with it.
//!
//! The schema editor needs the state, which it carries along itself, and the catalog only where Django asks the database
//! (for the name of a constraint, say). So it can be several statements ahead of the session. The first half tells
//! [`Message`]s, [`crate::Replayer::follow`] is the second one; whoever has threads puts something between them.

use std::cell::OnceCell;

use zdm_django::editor::{Database, NotAnalysed, Outcome, Sql, run_migration};
use zdm_django::resolve::Context;
use zdm_django::{Migration, Operation, ProjectState};
use zdm_postgres::Catalog;
use zdm_sql::ParsedStatement;

use crate::replay::{Options, context};

/// What the schema editor does next.
#[derive(Debug)]
pub enum Message {
    /// A top-level operation begins, by index.
    Started(usize),
    NotAnalysed(NotAnalysed),
    /// A top-level operation is done, with the state behind it.
    Finished(usize, ProjectState),
    Execute(Sql, Vec<ParsedStatement>),
    /// It asks for the catalog as it is behind everything that was told.
    Asks,
    /// The migration is through.
    Ended(Outcome),
}

/// The other half, as the schema editor sees it.
pub trait Listener {
    fn tell(&self, message: Message);

    /// Answers [`Message::Asks`], which it is for the listener to tell.
    fn ask(&self) -> Catalog;
}

/// The half that knows the state.
#[derive(Debug)]
pub struct Editing {
    state: ProjectState,
    context: Context,
}

impl Editing {
    /// Before the first migration.
    pub fn new(options: &Options) -> Self {
        Self { state: ProjectState::new(), context: context(options) }
    }

    /// Tells the listener what the next migration does, up to [`Message::Ended`].
    pub fn run(&mut self, migration: &Migration, listener: &dyn Listener) {
        let mut told = Told { listener, catalog: OnceCell::new() };
        let outcome = run_migration(migration, &self.state, &self.context, &mut told);
        self.state = outcome.state.clone();
        listener.tell(Message::Ended(outcome));
    }
}

/// A database that is elsewhere.
struct Told<'a> {
    listener: &'a dyn Listener,
    /// What was answered, until something is sent.
    catalog: OnceCell<Catalog>,
}

impl Database for Told<'_> {
    fn catalog(&self) -> &Catalog {
        self.catalog.get_or_init(|| self.listener.ask())
    }

    fn execute(&mut self, sql: Sql) {
        self.catalog.take();
        let parsed = zdm_sql::parse(&sql.text);
        self.listener.tell(Message::Execute(sql, parsed));
    }

    fn operation_started(&mut self, index: usize, _: &Operation) {
        // It may make tables uncertain.
        self.catalog.take();
        self.listener.tell(Message::Started(index));
    }

    fn operation_finished(&mut self, index: usize, state: &ProjectState) {
        self.catalog.take();
        self.listener.tell(Message::Finished(index, state.clone()));
    }

    fn not_analysed(&mut self, reason: &NotAnalysed) {
        self.listener.tell(Message::NotAnalysed(reason.clone()));
    }
}

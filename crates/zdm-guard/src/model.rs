//! What a statement of the command does to others, judged while it is on its way: the linter's lock model, fed with the
//! statements that really are sent.
//!
//! One [`Model`] stands for one database session. Its catalog is what the replay of the project says is there before the
//! migration under way, or nothing at all; either way it is marked incomplete, so that a table it has never heard of is
//! a table that others use.

use std::time::Duration;

use zdm_conn::Timeouts;
use zdm_postgres::effects::{Blocks, Effects, Outcome, UncertainEffect};
use zdm_postgres::session::Session;
use zdm_postgres::{Catalog, PgVersion, QualifiedName, Statement};

/// Which timeouts a statement gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// It stops nobody's writes, nor does its transaction: neither its waits nor its work are cut short.
    Weak,
    /// It waits for other transactions on purpose (`CREATE INDEX CONCURRENTLY`): cut short it leaves a wreck behind.
    Concurrent,
    /// What it locks is not known (`DO`, `CALL`, SQL that is not understood): its waits are short, its work is not.
    Unknown,
    /// It, or its transaction, holds a lock on an existing table that stops writers or more: both are short.
    Strong,
}

impl Class {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Weak => "weak",
            Self::Concurrent => "concurrent",
            Self::Unknown => "unknown",
            Self::Strong => "strong",
        }
    }
}

/// What PostgreSQL is told before a statement; zero is "no limit".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementTimeouts {
    pub lock: Duration,
    pub statement: Duration,
    /// `None`: what the session had.
    pub idle_in_transaction: Option<Duration>,
}

impl StatementTimeouts {
    pub fn of(class: Class, limits: Timeouts) -> Self {
        match class {
            Class::Weak | Class::Concurrent => {
                Self { lock: Duration::ZERO, statement: Duration::ZERO, idle_in_transaction: None }
            }
            Class::Unknown => Self { lock: limits.lock, statement: Duration::ZERO, idle_in_transaction: None },
            Class::Strong => Self {
                lock: limits.lock,
                statement: limits.statement,
                idle_in_transaction: Some(limits.idle_in_transaction),
            },
        }
    }
}

/// What is known of one message to the server before it is sent.
#[derive(Clone, Debug)]
pub struct Judgement {
    pub class: Class,
    /// The strongest locks on tables that others use, with the mode's name.
    pub locks: Vec<(QualifiedName, &'static str)>,
    /// Only reads or changes rows: the same text has the same class until the transaction ends or something else runs.
    pub rows_only: bool,
    /// Changes nothing: no row, no object.
    pub reads_only: bool,
    /// Takes settings back to what they were before.
    pub resets_settings: bool,
    /// Ends or begins transactions itself.
    pub controls_transaction: bool,
    /// Sets one of the timeouts that the guard sets.
    pub sets_timeout: bool,
    /// The index that it builds concurrently, as written.
    pub builds: Option<ConcurrentBuild>,
    pub statements: usize,
}

/// `CREATE INDEX CONCURRENTLY` with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConcurrentBuild {
    pub index: QualifiedName,
    pub table: QualifiedName,
    pub if_not_exists: bool,
    /// As `pg_get_indexdef` would print it, where the catalog suffices for that.
    pub definition: Option<String>,
}

/// One session of the command. See the module's description.
#[derive(Clone, Debug)]
pub struct Model {
    session: Session,
    version: PgVersion,
    /// `session` before the statement under way.
    before: Option<Session>,
}

impl Model {
    pub fn new(version: PgVersion) -> Self {
        Self { session: empty(version), version, before: None }
    }

    /// Takes the catalog that a migration meets; outside of a transaction only.
    pub fn meet(&mut self, catalog: Option<&Catalog>) {
        let mut catalog = catalog.cloned().unwrap_or_default();
        catalog.mark_incomplete();
        self.session = Session::new(catalog, self.version);
        self.before = None;
    }

    /// Judges a message and takes it as executed; [`failed`](Self::failed) takes that back.
    /// `in_transaction`: a transaction block is open, or this message opens one.
    pub fn judge(&mut self, sql: &str, in_transaction: bool) -> Judgement {
        match (in_transaction, self.session.in_transaction()) {
            (true, false) => drop(self.session.execute(&Statement::BEGIN)),
            // It ended where nobody saw it.
            (false, true) => drop(self.session.execute(&Statement::Rollback { and_chain: false })),
            _ => {}
        }
        self.before = Some(self.session.clone());
        let parsed = zdm_sql::parse(sql);
        let controls_transaction = parsed.iter().any(|parsed| is_transaction_control(&parsed.statement));
        let implicit = parsed.len() > 1 && !in_transaction && !controls_transaction;
        if implicit {
            self.session.execute(&Statement::BEGIN);
        }
        let mut judgement = Judgement {
            class: Class::Weak,
            locks: Vec::new(),
            rows_only: !parsed.is_empty(),
            reads_only: true,
            resets_settings: false,
            controls_transaction,
            sets_timeout: false,
            builds: None,
            statements: parsed.len(),
        };
        for parsed in &parsed {
            self.one(&parsed.statement, &mut judgement);
        }
        if implicit {
            self.session.execute(&Statement::Commit { and_chain: false });
        }
        judgement
    }

    /// The message that was judged last had no effect.
    pub fn failed(&mut self) {
        if let Some(before) = self.before.take() {
            self.session = before;
        }
    }

    /// The open transaction has ended.
    pub fn end(&mut self, commit: bool) {
        if self.session.in_transaction() {
            let end =
                if commit { Statement::Commit { and_chain: false } } else { Statement::Rollback { and_chain: false } };
            self.session.execute(&end);
        }
        self.before = None;
    }

    fn one(&mut self, statement: &Statement, judgement: &mut Judgement) {
        let copy = self.session.clone();
        let outcome = self.session.execute(statement);
        let class = if outcome.error.is_some() {
            // The catalog may be wrong and the server is not asked yet: judge by the text alone.
            self.session = copy;
            let mut blank = empty(self.version);
            if self.session.in_transaction() {
                blank.execute(&Statement::BEGIN);
            }
            let outcome = blank.execute(statement);
            let class =
                if outcome.error.is_some() { Class::Unknown } else { class(statement, &outcome, &blank, judgement) };
            class.max(class_of_held(&self.session))
        } else {
            class(statement, &outcome, &self.session, judgement)
        };
        // A string of several statements is as strong as its strongest.
        judgement.class = judgement.class.max(class);
        judgement.rows_only &= is_rows_only(statement);
        judgement.reads_only &= is_reads_only(statement);
        match statement {
            Statement::RollbackToSavepoint(_) | Statement::Rollback { .. } | Statement::Reset { .. } => {
                judgement.resets_settings = true;
            }
            Statement::Session { command, .. } if command.eq_ignore_ascii_case("DISCARD") => {
                judgement.resets_settings = true;
            }
            Statement::Set(set) => {
                let name = set.name.to_ascii_lowercase();
                if ["lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"].contains(&name.as_str())
                {
                    judgement.sets_timeout = true;
                    judgement.resets_settings = true;
                }
            }
            Statement::CreateIndex(create) if create.concurrently => {
                if let Some(index) = &create.name {
                    // An index lies in the schema of its table.
                    let index = create.table.sibling(index.name.clone());
                    let definition = self
                        .session
                        .catalog()
                        .index(&index)
                        .map(|(table, index)| zdm_postgres::deparse::index(self.session.catalog(), table, index));
                    judgement.builds = Some(ConcurrentBuild {
                        index,
                        table: create.table.clone(),
                        if_not_exists: create.if_not_exists,
                        definition,
                    });
                }
            }
            _ => {}
        }
    }
}

fn empty(version: PgVersion) -> Session {
    let mut catalog = Catalog::new();
    catalog.mark_incomplete();
    Session::new(catalog, version)
}

fn class(statement: &Statement, outcome: &Outcome, session: &Session, judgement: &mut Judgement) -> Class {
    let effects = &outcome.effects;
    for (relation, mode) in &effects.locks {
        if mode.blocks_writes() && !session.is_new(relation) {
            judgement.locks.push((session.committed_name(relation).clone(), mode.as_str()));
        }
    }
    let waits = effects.waits_for.is_some() || matches!(statement, Statement::Reindex(reindex) if reindex.concurrently);
    if waits {
        return Class::Concurrent.max(class_of_held(session));
    }
    if matches!(statement, Statement::Opaque(_) | Statement::Do { .. } | Statement::Call { .. }) {
        return Class::Unknown.max(class_of_held(session));
    }
    if class_of_held(session) == Class::Strong || blocks_by_locks(effects) {
        return Class::Strong;
    }
    // The catalog does not know the object, so neither do we know its table.
    if effects.locks.is_empty() && locks_something(statement) { Class::Unknown } else { Class::Weak }
}

/// Statements that lock tables of others whenever there is something to do.
fn locks_something(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::AlterTable(_)
            | Statement::Drop(_)
            | Statement::Reindex(_)
            | Statement::Cluster { .. }
            | Statement::RefreshMaterializedView { .. }
            | Statement::Truncate { .. }
            | Statement::AlterOnTable { .. }
            | Statement::AlterDomain { .. }
            | Statement::Vacuum { full: true, .. }
    )
}

/// What the open transaction does to others already.
fn class_of_held(session: &Session) -> Class {
    let strong = session.held().iter().any(|(relation, held)| held.mode.blocks_writes() && !session.is_new(relation));
    if strong { Class::Strong } else { Class::Weak }
}

/// Whether locks, not changed rows, keep others waiting.
fn blocks_by_locks(effects: &Effects) -> bool {
    let by_lock = effects.blocks.iter().any(|(relation, blocks)| {
        let rows = effects.row_locks.get(relation).copied().unwrap_or_default();
        let rest = Blocks {
            select: blocks.select && !rows.select,
            insert: blocks.insert && !rows.insert,
            update: blocks.update && !rows.update,
            select_for_update: blocks.select_for_update && !rows.select_for_update,
            nextval: blocks.nextval && !rows.nextval,
        };
        !rest.is_empty()
    });
    let maybe = effects
        .uncertain
        .iter()
        .any(|uncertain| matches!(uncertain.effect, UncertainEffect::Lock(mode) if mode.blocks_writes()));
    by_lock || maybe
}

fn is_transaction_control(statement: &Statement) -> bool {
    matches!(statement, Statement::Begin { .. } | Statement::Commit { .. } | Statement::Rollback { .. })
}

fn is_rows_only(statement: &Statement) -> bool {
    match statement {
        Statement::Select(query) => query.functions.is_empty() || is_reads_only(statement),
        Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) | Statement::Merge(_) => true,
        _ => false,
    }
}

/// Functions of SELECTs that migrations read with. Another one may change anything.
const READING_FUNCTIONS: [&str; 22] = [
    "count",
    "max",
    "min",
    "sum",
    "avg",
    "coalesce",
    "lower",
    "upper",
    "length",
    "concat",
    "now",
    "exists",
    "format",
    "format_type",
    "current_setting",
    "to_regclass",
    "array_agg",
    "string_agg",
    "row_number",
    "unnest",
    "version",
    "cast",
];

fn is_reads_only(statement: &Statement) -> bool {
    match statement {
        Statement::Select(query) => {
            query.modifies.is_empty()
                && query.locked.is_empty()
                && query.functions.iter().all(|function| {
                    let name = function.name.as_str();
                    (name.starts_with("pg_") && !name.contains("lock") && !name.contains("import"))
                        || READING_FUNCTIONS.contains(&name)
                })
        }
        Statement::Set(_)
        | Statement::Reset { .. }
        | Statement::Session { .. }
        | Statement::Savepoint(_)
        | Statement::ReleaseSavepoint(_)
        | Statement::RollbackToSavepoint(_)
        | Statement::SetConstraints { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: PgVersion = PgVersion::major(16);

    /// Each message with the class it must get, in one transaction or in none.
    #[track_caller]
    fn check(in_transaction: bool, messages: &[(&str, Class)]) {
        let mut model = Model::new(VERSION);
        for (sql, expect) in messages {
            assert_eq!(model.judge(sql, in_transaction).class, *expect, "{sql}");
        }
    }

    #[test]
    fn tables_that_nobody_described_are_others_tables() {
        use Class::*;
        check(
            false,
            &[
                ("ALTER TABLE a ADD COLUMN b int", Strong),
                ("CREATE INDEX i ON a (b)", Strong),
                ("CREATE INDEX CONCURRENTLY i ON a (b)", Concurrent),
                ("CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON s.a (b)", Concurrent),
                ("DROP INDEX CONCURRENTLY i", Concurrent),
                ("REINDEX INDEX CONCURRENTLY i", Concurrent),
                ("REINDEX INDEX i", Unknown),
                ("REINDEX TABLE a", Strong),
                ("VACUUM FULL a", Strong),
                ("REFRESH MATERIALIZED VIEW v", Strong),
                ("DROP INDEX i", Strong),
                ("ALTER TABLE a VALIDATE CONSTRAINT c", Weak),
                ("ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0) NOT VALID", Strong),
                ("ALTER TABLE a DROP CONSTRAINT c", Strong),
                ("ALTER TABLE a ALTER COLUMN b TYPE bigint", Strong),
                ("DROP TABLE a", Strong),
                ("TRUNCATE a", Strong),
                // The server refuses it outside of a transaction.
                ("LOCK TABLE a IN SHARE MODE", Unknown),
                ("UPDATE a SET b = 1", Weak),
                ("SELECT count(*) FROM a", Weak),
                ("SELECT * FROM a FOR UPDATE", Weak),
                ("CREATE TABLE n (id int)", Weak),
                ("CREATE TABLE m (id int REFERENCES a)", Strong),
                ("COMMENT ON TABLE a IS 'x'", Weak),
                ("VACUUM a", Weak),
                ("DO $$ BEGIN EXECUTE 'DROP TABLE a'; END $$", Unknown),
                ("CALL p()", Unknown),
                ("FROBNICATE a", Unknown),
                ("SET lock_timeout = '5s'; ALTER TABLE a ADD COLUMN c int", Strong),
                ("", Weak),
            ],
        );
    }

    #[test]
    fn a_transaction_stays_as_strong_as_its_locks() {
        use Class::*;
        check(
            true,
            &[
                ("UPDATE a SET b = 1", Weak),
                ("CREATE TABLE n (id int)", Weak),
                ("CREATE INDEX i ON n (id)", Weak),
                ("ALTER TABLE n ADD COLUMN b int", Weak),
                ("ALTER TABLE a VALIDATE CONSTRAINT c", Weak),
                ("SAVEPOINT s", Weak),
                ("ALTER TABLE a ADD COLUMN c int", Strong),
                ("UPDATE b SET c = 1", Strong),
                ("ROLLBACK TO SAVEPOINT s", Weak),
                ("UPDATE b SET c = 1", Weak),
            ],
        );
    }

    #[test]
    fn a_message_that_failed_leaves_no_lock() {
        let mut model = Model::new(VERSION);
        assert_eq!(model.judge("ALTER TABLE a ADD COLUMN b int", true).class, Class::Strong);
        model.end(false);
        assert_eq!(model.judge("UPDATE b SET c = 1", true).class, Class::Weak);
        model.end(true);
        model.judge("CREATE TABLE n (id int)", false);
        model.failed();
        model.judge("CREATE TABLE n (id int)", false);
        // Committed, so others may use it.
        assert_eq!(model.judge("ALTER TABLE n ADD COLUMN b int", false).class, Class::Strong);
    }

    #[test]
    fn what_a_retry_must_know() {
        let mut model = Model::new(VERSION);
        let mut judge = |sql: &str| model.judge(sql, false);
        assert!(judge("SELECT pg_catalog.pg_get_indexdef(1)").reads_only);
        assert!(!judge("SELECT setval('s', 1)").reads_only);
        assert!(!judge("SELECT my_function()").reads_only);
        assert!(!judge("WITH x AS (DELETE FROM a RETURNING 1) SELECT * FROM x").reads_only);
        assert!(judge("INSERT INTO a VALUES (1)").rows_only);
        assert!(judge("BEGIN; ALTER TABLE a ADD COLUMN b int; COMMIT").controls_transaction);
        assert!(judge("SET statement_timeout = 0").sets_timeout);
        let build = judge("CREATE INDEX CONCURRENTLY i ON s.a (b)").builds.expect("an index is built");
        assert_eq!((build.index, build.if_not_exists), (QualifiedName::with_schema("s", "i"), false));
    }
}

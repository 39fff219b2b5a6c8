//! A session executes statements: each one changes the catalog and answers with its effects.
//!
//! One walk does both, because both need the same resolution of names. Inside a transaction every lock is held to the
//! end, and the session knows which statement took it; outside, each statement is a transaction of its own.
//! A refused statement changes nothing, and inside a transaction block makes the server refuse the rest (25P02).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::{Catalog, ConstraintKind, Relation, View};
use crate::effects::{Blocks, Effects, Held, MayFail, Outcome, Refusal, TransactionUse};
use crate::execute::Run;
use crate::expr::ExprNode;
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{DropBehavior, ObjectKind, Persistence, SetParameter, Statement};
use crate::version::PgVersion;

/// One connection to one database of one server version. See the module's description.
#[derive(Clone, Debug)]
pub struct Session {
    version: PgVersion,
    state: State,
    transaction: Option<Transaction>,
    /// The number of the next statement.
    number: usize,
}

/// What a rollback restores. Cloning is cheap: the catalog is persistent, the rest is small.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) catalog: Catalog,
    /// In force now, SET LOCAL included.
    pub(crate) settings: Settings,
    /// What the end of the transaction leaves in force.
    lasting: Settings,
    /// Tables that hold no row as far as the caller knows, until something is written to them.
    pub(crate) assumed_empty: BTreeSet<QualifiedName>,
    /// Columns that are NULL in every row as far as the caller knows, until something is written to their tables.
    pub(crate) assumed_null: BTreeSet<(QualifiedName, Ident)>,
    /// What PREPARE keeps, by name.
    pub(crate) prepared: BTreeMap<Ident, Arc<Statement>>,
    pub(crate) facts: TransactionFacts,
}

/// What is known of the open transaction, under the relations' current names.
#[derive(Clone, Debug, Default)]
pub(crate) struct TransactionFacts {
    /// Relations that no other session sees yet.
    pub(crate) created: BTreeSet<QualifiedName>,
    /// There are tables among them that COMMIT drops.
    pub(crate) drops_on_commit: bool,
    /// Of those, tables that nothing was written to.
    pub(crate) empty: BTreeSet<QualifiedName>,
    /// Columns added without a default, on tables that nothing was written to since.
    pub(crate) null_columns: BTreeSet<(QualifiedName, Ident)>,
    /// The committed name of relations that were renamed: what other sessions call them.
    pub(crate) committed_name: BTreeMap<QualifiedName, QualifiedName>,
    /// Tables whose rows have deferred trigger events, with the constraints that wait: (table of the event, constraint),
    /// and whether there is such a row for certain.
    pub(crate) pending: BTreeMap<(QualifiedName, PendingConstraint), bool>,
    /// SET CONSTRAINTS ALL.
    pub(crate) all_deferred: Option<bool>,
    /// SET CONSTRAINTS name: by constraint.
    pub(crate) deferred: BTreeMap<(QualifiedName, Ident), bool>,
    /// Tables all of whose rows this transaction has written.
    pub(crate) written_anew: BTreeSet<QualifiedName>,
    /// A statement has looked at data: the isolation level stands.
    pub(crate) has_snapshot: bool,
    /// Open cursors with the relations that they read.
    pub(crate) cursors: BTreeMap<Ident, Vec<QualifiedName>>,
    pub(crate) created_types: BTreeSet<QualifiedName>,
    /// Enum values that were added: (type, value). They cannot be used before the commit.
    pub(crate) new_enum_values: BTreeSet<(QualifiedName, String)>,
    /// Committed relations that were dropped: their locks stay, whatever takes their names.
    pub(crate) dropped: BTreeSet<QualifiedName>,
    /// Whom changed or locked rows keep waiting.
    pub(crate) row_locks: BTreeMap<QualifiedName, Blocks>,
    held: Arc<BTreeMap<QualifiedName, Held>>,
}

/// A deferred constraint: the table it is on and its name.
pub(crate) type PendingConstraint = (QualifiedName, Ident);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `None`: unknown, the server's default.
    pub(crate) time_zone: Option<String>,
    /// `None`: the default, where unqualified names are in `public`.
    pub(crate) search_path: Option<Vec<Ident>>,
    /// The other parameters by lower-case name.
    pub(crate) other: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
struct Transaction {
    before: State,
    /// After an error every statement but the end of the transaction is refused.
    failed: bool,
    savepoints: Vec<(Ident, State)>,
}

impl Session {
    pub fn new(mut catalog: Catalog, version: PgVersion) -> Self {
        catalog.version = version;
        Self { version, state: State { catalog, ..State::default() }, transaction: None, number: 0 }
    }

    pub const fn catalog(&self) -> &Catalog {
        &self.state.catalog
    }

    /// For changes of the catalog that no statement makes, such as a table that is only assumed.
    pub const fn catalog_mut(&mut self) -> &mut Catalog {
        &mut self.state.catalog
    }

    pub const fn version(&self) -> PgVersion {
        self.version
    }

    /// Whether a transaction block is open.
    pub const fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// What the open transaction holds, the strongest mode per relation; empty outside a transaction block.
    pub fn held(&self) -> &BTreeMap<QualifiedName, Held> {
        &self.state.facts.held
    }

    /// Whom everything that the open transaction holds keeps waiting.
    pub fn blocked(&self) -> BTreeMap<QualifiedName, Blocks> {
        let Some(transaction) = &self.transaction else { return BTreeMap::new() };
        let locks = self.state.facts.held.iter().map(|(name, held)| (name.clone(), held.mode)).collect();
        blocks(&locks, &self.state.facts.row_locks, &transaction.before.catalog, &self.state.facts, self.version)
    }

    /// Whether the open transaction made the relation, so that no other session can wait for it.
    pub fn is_new(&self, relation: &QualifiedName) -> bool {
        self.state.facts.created.contains(relation)
    }

    /// What other sessions call the relation: its name before the open transaction renamed it.
    pub fn committed_name<'a>(&'a self, relation: &'a QualifiedName) -> &'a QualifiedName {
        self.state.facts.committed_name.get(relation).unwrap_or(relation)
    }

    /// The value that SET or SET LOCAL gave a parameter (`lock_timeout`), as far as the session has seen one.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.state.settings.get(name)
    }

    /// Whether every statement would have the same outcome here and there. Two sessions with open transactions never are
    /// the same; the count of statements does not matter.
    pub fn is_same(&self, other: &Self) -> bool {
        self.version == other.version
            && self.transaction.is_none()
            && other.transaction.is_none()
            && self.state.settings == other.state.settings
            && self.state.lasting == other.state.lasting
            && self.state.assumed_empty == other.state.assumed_empty
            && self.state.assumed_null == other.state.assumed_null
            && self.state.prepared == other.state.prepared
            && self.state.catalog.is_same(&other.state.catalog)
    }

    /// Goes on as if the last statement, which was refused and so changed nothing, had not failed the open transaction.
    pub const fn forgive(&mut self) {
        if let Some(open) = &mut self.transaction {
            open.failed = false;
        }
    }

    /// The number that the next statement gets; [`Held::by`] names a statement by it.
    pub const fn next_number(&self) -> usize {
        self.number
    }

    /// Goes on counting behind `other`, in which what is not to be kept was tried.
    pub const fn count_on(&mut self, other: &Self) {
        self.number = other.number;
    }

    /// Says that the table holds no row now; until something is written to it, nothing is read there.
    pub fn assume_empty(&mut self, table: QualifiedName) {
        self.state.assumed_empty.insert(table);
    }

    /// Says that the column is NULL in every row of the table now; until something is written to it, nothing is looked up
    /// for a foreign key of that column.
    pub fn assume_null(&mut self, table: QualifiedName, column: Ident) {
        self.state.assumed_null.insert((table, column));
    }

    /// Executes one statement. Its number is the count of statements before it.
    pub fn execute(&mut self, statement: &Statement) -> Outcome {
        let number = self.number;
        self.number += 1;
        match statement {
            Statement::Begin { modes } => return self.begin(modes),
            Statement::Commit { and_chain } => return self.end(true, *and_chain),
            Statement::Rollback { and_chain } => return self.end(false, *and_chain),
            _ => {}
        }
        if let Statement::RollbackToSavepoint(name) = statement {
            return self.rollback_to(name);
        }
        if self.transaction.as_ref().is_some_and(|transaction| transaction.failed) {
            return self.refused(
                Refusal {
                    sqlstate: "25P02",
                    message: "current transaction is aborted, commands ignored until end of transaction block"
                        .to_owned(),
                },
                TransactionUse::Inside,
            );
        }
        match statement {
            Statement::Savepoint(name) => return self.savepoint(name),
            Statement::ReleaseSavepoint(name) => return self.release(name),
            _ => {}
        }
        let forbidden = Run::transaction_forbidden(statement, &self.state.catalog, &self.state.settings, self.version);
        if let Some(command) = &forbidden
            && self.transaction.is_some()
        {
            return self.refused(
                Refusal { sqlstate: "25001", message: format!("{command} cannot run inside a transaction block") },
                TransactionUse::Forbidden,
            );
        }
        if matches!(statement, Statement::Lock { .. }) && self.transaction.is_none() {
            return self.outside_block("LOCK TABLE");
        }
        let transaction_use = match (forbidden, &self.transaction) {
            (Some(_), _) => TransactionUse::Forbidden,
            (None, Some(_)) => TransactionUse::Inside,
            (None, None) => TransactionUse::Outside,
        };
        let read_only = match &self.transaction {
            Some(_) => self.state.settings.is_read_only(),
            None => self.state.settings.begins_read_only(),
        };
        if read_only && let Some(command) = changing_command(statement) {
            return self.refused(
                Refusal { sqlstate: "25006", message: format!("cannot execute {command} in a read-only transaction") },
                transaction_use,
            );
        }
        let before = match &self.transaction {
            Some(transaction) => transaction.before.catalog.clone(),
            None => self.state.catalog.clone(),
        };
        let mut run = Run::new(self.state.clone(), self.version, self.transaction.is_some());
        let executed = match run.execute(statement) {
            Ok(()) if read_only && !writes_temporary(statement, &run) => match command_on_rows(statement) {
                Some(command) => Err(Refusal {
                    sqlstate: "25006",
                    message: format!("cannot execute {command} in a read-only transaction"),
                }),
                None => Ok(()),
            },
            executed => executed,
        };
        match executed {
            Ok(()) => {
                run.state.facts.has_snapshot |= takes_snapshot(statement);
                let Run { state, mut effects, renames, detached, .. } = run;
                let facts_before = std::mem::replace(&mut self.state, state).facts;
                // Names in the effects are those before the statement; what it made is in the facts after it.
                let mut facts = facts_before;
                facts.created.extend(self.state.facts.created.iter().cloned());
                facts.dropped.extend(self.state.facts.dropped.iter().cloned());
                let mut seen = before;
                for partition in detached {
                    seen.edit_table(&partition, |table| table.partition_of = None);
                }
                effects.blocks = blocks(&effects.locks, &effects.row_locks, &seen, &facts, self.version);
                for (table, more) in &effects.row_locks {
                    let known = self.state.facts.row_locks.entry(table.clone()).or_default();
                    *known = known.union(*more);
                }
                let held = self.hold(&effects, number);
                self.rename_held(&renames);
                if self.transaction.is_none() {
                    self.drop_on_commit();
                    self.state.end_of_transaction();
                }
                Outcome { effects, error: None, transaction: transaction_use, held }
            }
            Err(refusal) => {
                let mut outcome = self.refused(refusal, transaction_use);
                outcome.effects.may_fail = run.effects.may_fail;
                outcome
            }
        }
    }

    fn hold(&mut self, effects: &Effects, number: usize) -> Arc<BTreeMap<QualifiedName, Held>> {
        if self.transaction.is_none() {
            return Arc::default();
        }
        let held = &mut self.state.facts.held;
        for (relation, mode) in &effects.locks {
            if held.get(relation).is_none_or(|held| held.mode < *mode) {
                Arc::make_mut(held).insert(relation.clone(), Held { mode: *mode, by: number });
            }
        }
        Arc::clone(held)
    }

    /// From the next statement on the relations have their new names.
    fn rename_held(&mut self, renames: &[(QualifiedName, QualifiedName)]) {
        for (from, to) in renames {
            let all = Arc::make_mut(&mut self.state.facts.held);
            if let Some(held) = all.remove(from) {
                let kept = all.entry(to.clone()).or_insert(held);
                if kept.mode < held.mode {
                    *kept = held;
                }
            }
        }
    }

    fn refused(&mut self, refusal: Refusal, transaction: TransactionUse) -> Outcome {
        if let Some(open) = &mut self.transaction {
            open.failed = true;
        }
        Outcome { effects: Effects::default(), error: Some(refusal), transaction, held: self.state.facts.held.clone() }
    }

    fn done(&self, transaction: TransactionUse) -> Outcome {
        Outcome { effects: Effects::default(), error: None, transaction, held: self.state.facts.held.clone() }
    }

    fn begin(&mut self, modes: &str) -> Outcome {
        // BEGIN inside a transaction block is only a warning, unless the block has failed.
        match &self.transaction {
            Some(open) if open.failed => {
                return self.refused(
                    Refusal {
                        sqlstate: "25P02",
                        message: "current transaction is aborted, commands ignored until end of transaction block"
                            .to_owned(),
                    },
                    TransactionUse::Inside,
                );
            }
            Some(_) => {}
            None => self.open(),
        }
        if modes.is_empty() {
            return self.done(TransactionUse::Inside);
        }
        let next = self.number;
        let modes = SetParameter { name: "transaction".to_owned(), value: Some(modes.to_owned()), local: true };
        let outcome = self.execute(&Statement::Set(modes));
        self.number = next;
        outcome
    }

    fn open(&mut self) {
        if self.state.settings.begins_read_only() {
            self.state.settings.set("transaction_read_only", Some("on"));
        }
        self.transaction = Some(Transaction { before: self.state.clone(), failed: false, savepoints: Vec::new() });
    }

    fn end(&mut self, commit: bool, and_chain: bool) -> Outcome {
        let Some(open) = self.transaction.take() else {
            if and_chain {
                let command = if commit { "COMMIT AND CHAIN" } else { "ROLLBACK AND CHAIN" };
                return self.refused(
                    Refusal { sqlstate: "25P01", message: format!("{command} can only be used in transaction blocks") },
                    TransactionUse::Outside,
                );
            }
            return self.done(TransactionUse::Outside);
        };
        let mut put_off = Vec::new();
        if commit && !open.failed {
            put_off = self.state.put_off();
            self.drop_on_commit();
            self.state.end_of_transaction();
        } else {
            self.state = open.before;
        }
        if and_chain {
            self.open();
        }
        let mut outcome = self.done(TransactionUse::Inside);
        outcome.effects.may_fail = put_off;
        outcome
    }

    /// Temporary tables that last as long as the transaction.
    fn drop_on_commit(&mut self) {
        if !self.state.facts.drops_on_commit {
            return;
        }
        let tables = self.state.catalog.tables().filter(|table| table.dropped_on_commit);
        let doomed: Vec<QualifiedName> = tables.map(|table| table.name.clone()).collect();
        let mut run = Run::new(self.state.clone(), self.version, true);
        if run.remove_relations(&doomed, DropBehavior::Cascade, "table").is_ok() {
            self.state = run.state;
        }
    }

    fn savepoint(&mut self, name: &Ident) -> Outcome {
        match &mut self.transaction {
            Some(open) => {
                open.savepoints.push((name.clone(), self.state.clone()));
                self.done(TransactionUse::Inside)
            }
            None => self.outside_block("SAVEPOINT"),
        }
    }

    fn release(&mut self, name: &Ident) -> Outcome {
        let Some(open) = &mut self.transaction else { return self.outside_block("RELEASE SAVEPOINT") };
        match open.savepoints.iter().rposition(|(known, _)| known == name) {
            Some(position) => {
                open.savepoints.truncate(position);
                self.done(TransactionUse::Inside)
            }
            None => self.no_savepoint(name),
        }
    }

    fn rollback_to(&mut self, name: &Ident) -> Outcome {
        let Some(open) = &mut self.transaction else { return self.outside_block("ROLLBACK TO SAVEPOINT") };
        match open.savepoints.iter().rposition(|(known, _)| known == name) {
            Some(position) => {
                open.savepoints.truncate(position + 1);
                self.state = open.savepoints[position].1.clone();
                open.failed = false;
                self.done(TransactionUse::Inside)
            }
            None => self.no_savepoint(name),
        }
    }

    fn outside_block(&mut self, command: &str) -> Outcome {
        self.refused(
            Refusal { sqlstate: "25P01", message: format!("{command} can only be used in transaction blocks") },
            TransactionUse::Outside,
        )
    }

    fn no_savepoint(&mut self, name: &Ident) -> Outcome {
        self.refused(
            Refusal { sqlstate: "3B001", message: format!("savepoint \"{name}\" does not exist") },
            TransactionUse::Inside,
        )
    }
}

/// The command's tag, where it is refused in a read-only transaction before anything is looked up
/// (`ClassifyUtilityCommandAsReadOnly`).
fn changing_command(statement: &Statement) -> Option<&str> {
    let changes = match statement {
        Statement::AlterOther { kind, .. } => *kind != ObjectKind::System,
        Statement::CreateTable(_)
        | Statement::CreateTableAs(_)
        | Statement::AlterTable(_)
        | Statement::CreateIndex(_)
        | Statement::Drop(_)
        | Statement::CreateView(_)
        | Statement::RefreshMaterializedView { .. }
        | Statement::CreateSequence(_)
        | Statement::AlterSequence { .. }
        | Statement::CreateType { .. }
        | Statement::AlterType { .. }
        | Statement::CreateDomain(_)
        | Statement::AlterDomain { .. }
        | Statement::CreateFunction(_)
        | Statement::CreateTrigger(_)
        | Statement::CreateRule { .. }
        | Statement::CreatePolicy { .. }
        | Statement::AlterPolicy { .. }
        | Statement::AlterOnTable { .. }
        | Statement::CreateSchema { .. }
        | Statement::CreateExtension { .. }
        | Statement::AlterExtensionMember { .. }
        | Statement::CreateStatistics { .. }
        | Statement::AlterStatisticsTarget { .. }
        | Statement::CreatePublication { .. }
        | Statement::AlterPublication { .. }
        | Statement::CreateOther { .. }
        | Statement::Comment { .. }
        | Statement::SecurityLabel { .. }
        | Statement::Grant { .. }
        | Statement::Truncate { .. }
        | Statement::ImportForeignSchema { .. }
        | Statement::MoveAll { .. }
        | Statement::DropOwned { .. }
        | Statement::ReassignOwned { .. } => true,
        _ => false,
    };
    changes.then(|| match statement.command() {
        "TRUNCATE" => "TRUNCATE TABLE",
        // A foreign table is made by a command of its own.
        "CREATE TABLE" if matches!(statement, Statement::CreateTable(create) if create.foreign) => {
            "CREATE FOREIGN TABLE"
        }
        command => command,
    })
}

/// `PlannedStmtRequiresSnapshot`.
const fn takes_snapshot(statement: &Statement) -> bool {
    !matches!(
        statement,
        Statement::Set(_)
            | Statement::Reset { .. }
            | Statement::SetConstraints { .. }
            | Statement::Lock { .. }
            | Statement::Checkpoint
            | Statement::Session { statement: None, .. }
    )
}

/// Rows of temporary tables may change in a read-only transaction.
fn writes_temporary(statement: &Statement, run: &Run) -> bool {
    let table = match statement {
        Statement::Insert(dml) | Statement::Update(dml) | Statement::Delete(dml) | Statement::Merge(dml) => &dml.table,
        Statement::Copy { from: true, table: Some(table), .. } => table,
        _ => return false,
    };
    let table = run.find(table).and_then(|table| run.state.catalog.table(&table));
    table.is_some_and(|table| table.persistence == Persistence::Temporary)
}

/// The command on rows that a read-only transaction refuses, once it is known to be right otherwise.
fn command_on_rows(statement: &Statement) -> Option<&'static str> {
    match statement {
        Statement::Insert(_) => Some("INSERT"),
        Statement::Update(_) => Some("UPDATE"),
        Statement::Delete(_) => Some("DELETE"),
        Statement::Merge(_) => Some("MERGE"),
        Statement::Copy { from: true, .. } => Some("COPY FROM"),
        Statement::Select(query) => {
            let calls = |name: &str| {
                query.output.iter().any(|output| {
                    let mut found = false;
                    output.expr.node.walk(&mut |node| {
                        found |= matches!(node, ExprNode::Call { function, .. } if function.name == name);
                    });
                    found
                })
            };
            if calls("nextval") {
                Some("nextval()")
            } else if calls("setval") {
                Some("setval()")
            } else {
                query.lock_strength().filter(|_| !query.locked.is_empty()).map(|strength| match strength {
                    "FOR UPDATE" => "SELECT FOR UPDATE",
                    "FOR NO KEY UPDATE" => "SELECT FOR NO KEY UPDATE",
                    "FOR SHARE" => "SELECT FOR SHARE",
                    _ => "SELECT FOR KEY SHARE",
                })
            }
        }
        _ => None,
    }
}

impl State {
    /// What the checks that wait for the end may find.
    fn put_off(&self) -> Vec<MayFail> {
        let owners = self.facts.pending.keys().filter_map(|(_, (owner, constraint))| {
            let kind = &self.catalog.table(owner)?.constraint(constraint.as_str())?.kind;
            Some(match kind {
                ConstraintKind::ForeignKey(key) => {
                    ("23503", format!("a row of {owner} references none of {}", key.table))
                }
                ConstraintKind::Exclude { .. } => ("23P01", format!("rows of {owner} exclude each other")),
                _ => ("23505", format!("a key of {owner} is there twice")),
            })
        });
        let mut found: Vec<MayFail> = Vec::new();
        for (sqlstate, condition) in owners {
            let may_fail = MayFail { sqlstate, condition };
            if !found.contains(&may_fail) {
                found.push(may_fail);
            }
        }
        found
    }

    fn end_of_transaction(&mut self) {
        self.facts = TransactionFacts::default();
        self.settings = self.lasting.clone();
    }

    /// SET. Outside a transaction block SET LOCAL has no effect, which the end of the statement brings about.
    pub(crate) fn set(&mut self, parameter: &SetParameter) {
        self.settings.set(&parameter.name, parameter.value.as_deref());
        let of_transaction = matches!(parameter.name.as_str(), "transaction" | "transaction_read_only");
        if !parameter.local && !of_transaction {
            self.lasting.set(&parameter.name, parameter.value.as_deref());
        }
    }

    pub(crate) fn reset(&mut self, parameter: Option<&str>) {
        if let Some(name) = parameter {
            self.settings.set(name, None);
            self.lasting.set(name, None);
        } else {
            self.settings = Settings::default();
            self.lasting = Settings::default();
        }
    }
}

impl Settings {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        if name == "timezone" { self.time_zone.as_deref() } else { self.other.get(&name).map(String::as_str) }
    }

    /// SET TRANSACTION READ ONLY, or the parameter by its name.
    pub(crate) fn is_read_only(&self) -> bool {
        self.get("transaction_read_only").is_some_and(crate::execute::is_on)
    }

    /// What a new transaction is, by `default_transaction_read_only`.
    fn begins_read_only(&self) -> bool {
        self.get("default_transaction_read_only").is_some_and(crate::execute::is_on)
    }

    fn set(&mut self, name: &str, value: Option<&str>) {
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "transaction" | "session characteristics" => {
                let parameter =
                    if name == "transaction" { "transaction_read_only" } else { "default_transaction_read_only" };
                let words = value.unwrap_or_default().to_ascii_uppercase();
                let words: Vec<&str> = words.split_whitespace().collect();
                let says =
                    |word: &str| words.windows(2).any(|pair| pair[0] == "READ" && pair[1].trim_matches(',') == word);
                if says("ONLY") {
                    self.other.insert(parameter.to_owned(), "on".to_owned());
                } else if says("WRITE") {
                    self.other.insert(parameter.to_owned(), "off".to_owned());
                }
            }
            "timezone" | "time zone" => {
                self.time_zone = value.map(|value| unquoted(value).to_owned());
            }
            "search_path" => {
                self.search_path = value.map(|value| {
                    value
                        .split(',')
                        .map(|part| Ident::new(unquoted(part.trim())))
                        .filter(|schema| *schema != "$user" && *schema != "")
                        .collect()
                });
            }
            _ => {}
        }
        match value {
            Some(value) => {
                self.other.insert(name, unquoted(value).to_owned());
            }
            None => {
                self.other.remove(&name);
            }
        }
    }
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    for quote in ['\'', '"'] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    text
}

/// Whether a plan of the view opens none of the partitions that are `locked`, because its condition excludes them.
fn leaves_out(catalog: &Catalog, view: &View, table: &QualifiedName, locked: &BTreeSet<QualifiedName>) -> bool {
    let Some(predicate) = &view.condition else { return false };
    let mut facts = Vec::new();
    crate::proof::conjuncts(&predicate.node, &mut facts);
    let Some(known) = catalog.table(table).filter(|known| known.partition_by.is_some()) else { return false };
    let mut opened: Vec<QualifiedName> = known.children.clone();
    while let Some(child) = opened.pop() {
        let Some(partition) = catalog.table(&child) else { return false };
        if crate::execute::is_pruned(catalog, &facts, partition) {
            continue;
        }
        if locked.contains(&child) {
            return false;
        }
        opened.extend(partition.children.iter().cloned());
    }
    true
}

/// Whom locks keep waiting. `before` is the catalog as other sessions see it.
///
/// A statement on a table opens more than the table: its indexes, the tables under a view, the partitions of a
/// partitioned table, the sequences of its defaults, and for a change of a partition its parent.
fn blocks(
    locks: &BTreeMap<QualifiedName, LockMode>,
    row_locks: &BTreeMap<QualifiedName, Blocks>,
    before: &Catalog,
    facts: &TransactionFacts,
    version: PgVersion,
) -> BTreeMap<QualifiedName, Blocks> {
    let mut blocked: BTreeMap<QualifiedName, Blocks> = BTreeMap::new();
    let mut add = |name: &QualifiedName, more: Blocks| {
        if !more.is_empty() {
            let entry = blocked.entry(name.clone()).or_default();
            *entry = entry.union(more);
        }
    };
    // The check of a new row's foreign key opens the referenced table, unless it is put off to the commit.
    let referencing = |name: &QualifiedName, mode: LockMode, add: &mut dyn FnMut(&QualifiedName, Blocks)| {
        if mode.blocks_select_for_update() {
            for (referencing, constraint, _) in before.foreign_keys_to(name) {
                if constraint.attributes.enforced && !constraint.attributes.initially_deferred {
                    add(&referencing, Blocks { insert: true, ..Blocks::default() });
                }
            }
        }
    };
    for (name, more) in row_locks {
        if !facts.created.contains(name) {
            add(facts.committed_name.get(name).unwrap_or(name), *more);
        }
    }
    for (name, mode) in locks {
        let dropped = facts.dropped.contains(name);
        if facts.created.contains(name) && !dropped {
            continue;
        }
        let name = if dropped { name } else { facts.committed_name.get(name).unwrap_or(name) };
        match before.relation(name) {
            Some(Relation::Table(_)) => {
                add(name, Blocks::by_lock(*mode));
                referencing(name, *mode, &mut add);
            }
            // Before 16 nobody opens the index of a partitioned table.
            Some(Relation::Index { table })
                if !version.at_least(16) && before.table(table).is_some_and(|table| table.partition_by.is_some()) => {}
            Some(Relation::Index { table }) => {
                if let Some(Relation::View(_)) = before.relation(table) {
                    add(table, Blocks { select: mode.blocks_select(), ..Blocks::default() });
                } else {
                    add(table, Blocks::by_lock(*mode));
                    referencing(table, *mode, &mut add);
                }
            }
            Some(Relation::View(_)) => add(name, Blocks { select: mode.blocks_select(), ..Blocks::default() }),
            Some(Relation::Sequence(sequence)) => {
                let nextval = mode.blocks_writes();
                add(name, Blocks { nextval, ..Blocks::default() });
                if nextval {
                    for table in before.tables_drawing_from(&sequence.name) {
                        add(&table.name, Blocks { insert: true, ..Blocks::default() });
                    }
                }
            }
            // An assumed relation: a table, as far as anyone can tell.
            None => add(name, Blocks::by_lock(*mode)),
        }
    }
    let opened: BTreeSet<QualifiedName> =
        blocked.iter().filter(|(_, blocks)| blocks.select).map(|(name, _)| name.clone()).collect();
    // A statement on a parent opens its children; an INSERT only the partition it goes to.
    let mut pending: Vec<QualifiedName> = blocked.keys().cloned().collect();
    while let Some(child) = pending.pop() {
        let Some(by_child) = blocked.get(&child).copied() else { continue };
        let Some(table) = before.table(&child) else { continue };
        let default_partition = matches!(&table.partition_of, Some((_, crate::statement::PartitionBound::Default)));
        let more = Blocks { insert: by_child.insert && default_partition, nextval: false, ..by_child };
        for parent in table.partition_of.iter().map(|(parent, _)| parent).chain(&table.inherits) {
            let entry = blocked.entry(parent.clone()).or_default();
            let union = entry.union(more);
            if union != *entry {
                *entry = union;
                pending.push(parent.clone());
            }
        }
    }
    // Direct changes of a partition read the parent's partition key.
    for (name, mode) in locks {
        let dropped = facts.dropped.contains(name);
        if *mode != LockMode::AccessExclusive || (facts.created.contains(name) && !dropped) {
            continue;
        }
        let name = if dropped { name } else { facts.committed_name.get(name).unwrap_or(name) };
        if let Some(partition_by) = before.table(name).and_then(|table| table.partition_by.clone()) {
            for child in before.descendants(name) {
                let Some(table) = before.table(&child) else { continue };
                // The bound of a partition that is partitioned itself is read for every plan over it.
                let divided = table.partition_by.is_some();
                // Since 14 the bound is read last for a new row, behind the columns that must have a value.
                let complete = partition_by.columns.iter().all(|key| {
                    table.column(key.as_str()).is_some_and(|column| !column.not_null || column.default.is_some())
                });
                let insert = !version.at_least(14) || complete;
                let more = Blocks {
                    select: divided,
                    insert: insert || divided,
                    update: true,
                    select_for_update: divided,
                    ..Blocks::default()
                };
                let entry = blocked.entry(child).or_default();
                *entry = entry.union(more);
            }
        }
    }
    // A view opens the tables under it.
    let mut pending: Vec<QualifiedName> =
        blocked.iter().filter(|(_, blocks)| blocks.select).map(|(name, _)| name.clone()).collect();
    while let Some(name) = pending.pop() {
        for (view, _) in before.views_on(&name) {
            let Some(known) = before.view(&view).filter(|view| !view.materialized) else { continue };
            if !opened.contains(&name) && leaves_out(before, known, &name, &opened) {
                continue;
            }
            let entry = blocked.entry(view.clone()).or_default();
            if !entry.select {
                entry.select = true;
                pending.push(view);
            }
        }
    }
    // A change opens what the rules for it read and write.
    for name in before.secured_tables() {
        let rules = before.table(&name).into_iter().flat_map(|table| table.rules.iter());
        for rule in rules.filter(|rule| rule.enabled) {
            let kept_waiting = rule.dependencies.iter().any(|(relation, _)| {
                let by = blocked.get(relation).copied().unwrap_or_default();
                by.select || (by.insert && by.update && rule.writes.contains(relation))
            });
            if kept_waiting {
                let (insert, update) = (rule.event == "INSERT", rule.event == "UPDATE");
                let entry = blocked.entry(name.clone()).or_default();
                *entry = entry.union(Blocks { insert, update, ..Blocks::default() });
            }
        }
    }
    blocked.retain(|_, blocks| !blocks.is_empty());
    blocked
}

/// The outcome of one statement on a catalog, outside a transaction block.
pub fn effects(statement: &Statement, catalog: &Catalog, version: PgVersion) -> Outcome {
    Session::new(catalog.clone(), version).execute(statement)
}

//! What a statement does to others: locks, rewrites, scans, index builds, and whom it blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::lock::LockMode;
use crate::name::QualifiedName;

/// The effects of one statement.
///
/// Relations are tables, indexes, sequences and views that existed before the statement or are made by it,
/// under the name they had before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// The strongest mode that the statement takes on each relation.
    pub locks: BTreeMap<QualifiedName, LockMode>,
    /// Relations whose storage is written anew.
    pub rewrites: BTreeSet<QualifiedName>,
    /// Tables that are read whole, for whatever reason.
    pub scans: BTreeSet<QualifiedName>,
    /// Indexes that are built or rebuilt.
    pub index_builds: BTreeSet<QualifiedName>,
    /// What waits on relations that existed before the statement's transaction.
    pub blocks: BTreeMap<QualifiedName, Blocks>,
    /// The transactions it waits for besides those that hold conflicting locks.
    pub waits_for: Option<Waits>,
    /// Tables all of whose rows are changed or locked, and whom the rows keep waiting until the transaction ends.
    pub row_locks: BTreeMap<QualifiedName, Blocks>,
    /// Effects that depend on what cannot be known here.
    pub uncertain: Vec<Uncertain>,
    /// Errors that only the rows decide.
    pub may_fail: Vec<MayFail>,
    /// Code that runs with the statement and is not read here, so that it may do more than is said:
    /// `the body of function f()`, `the DO block`.
    pub unread: BTreeSet<String>,
}

/// Which commands of other sessions wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blocks {
    pub select: bool,
    pub insert: bool,
    pub update: bool,
    pub select_for_update: bool,
    /// `nextval()` and `setval()`; of sequences only.
    pub nextval: bool,
}

impl Blocks {
    /// What a lock of that mode on a table keeps waiting.
    pub const fn by_lock(mode: LockMode) -> Self {
        Self {
            select: mode.blocks_select(),
            insert: mode.blocks_writes(),
            update: mode.blocks_writes(),
            select_for_update: mode.blocks_select_for_update(),
            nextval: false,
        }
    }

    pub const fn is_empty(self) -> bool {
        !(self.select || self.insert || self.update || self.select_for_update || self.nextval)
    }

    pub const fn union(self, other: Self) -> Self {
        Self {
            select: self.select || other.select,
            insert: self.insert || other.insert,
            update: self.update || other.update,
            select_for_update: self.select_for_update || other.select_for_update,
            nextval: self.nextval || other.nextval,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY: every transaction of the database with an older snapshot.
    OldSnapshots,
    /// DROP INDEX CONCURRENTLY, DETACH PARTITION CONCURRENTLY: every transaction that uses the table.
    UsersOfTable,
}

/// An effect that happens only under a condition that is not known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncertain {
    pub relation: QualifiedName,
    pub effect: UncertainEffect,
    /// `the session's TimeZone is not UTC`, `my_function() is volatile`.
    pub condition: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UncertainEffect {
    Rewrite,
    Scan,
    IndexBuild,
    Lock(LockMode),
    /// A lock that is taken only where nobody is in its way: the statement never waits for it longer than five seconds,
    /// holds it for a moment, and gives it back when somebody waits for it.
    PassingLock(LockMode),
    /// An index lacks entries of rows that are there: a bug of the server's version.
    MissingEntries,
    /// Some rows are changed or locked, and whoever wants the same rows waits until the transaction ends.
    RowLocks,
}

/// An error that depends on the rows, which are not known here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MayFail {
    /// Five characters; `22000` and `23000` stand for any error of their class.
    pub sqlstate: &'static str,
    /// `a row of t has NULL in c`.
    pub condition: String,
}

impl MayFail {
    /// Whether that error was announced by this.
    pub fn covers(&self, sqlstate: &str) -> bool {
        self.sqlstate == sqlstate
            || (matches!(self.sqlstate, "22000" | "23000") && sqlstate.get(..2) == self.sqlstate.get(..2))
    }
}

impl Effects {
    /// Keeps the stronger of the two modes.
    pub fn lock(&mut self, relation: QualifiedName, mode: LockMode) {
        let held = self.locks.entry(relation).or_insert(mode);
        *held = mode.max(*held);
    }

    /// Adds the effects of a statement that is sent together with this one.
    pub fn add(&mut self, other: &Self) {
        for (relation, mode) in &other.locks {
            self.lock(relation.clone(), *mode);
        }
        self.rewrites.extend(other.rewrites.iter().cloned());
        self.scans.extend(other.scans.iter().cloned());
        self.index_builds.extend(other.index_builds.iter().cloned());
        for (relation, blocks) in &other.blocks {
            let entry = self.blocks.entry(relation.clone()).or_default();
            *entry = entry.union(*blocks);
        }
        for (relation, blocks) in &other.row_locks {
            let entry = self.row_locks.entry(relation.clone()).or_default();
            *entry = entry.union(*blocks);
        }
        self.waits_for = self.waits_for.or(other.waits_for);
        self.uncertain.extend(other.uncertain.iter().cloned());
        for more in &other.may_fail {
            if !self.may_fail.contains(more) {
                self.may_fail.push(more.clone());
            }
        }
        self.unread.extend(other.unread.iter().cloned());
    }

    pub fn is_empty(&self) -> bool {
        self.locks.is_empty()
            && self.rewrites.is_empty()
            && self.scans.is_empty()
            && self.index_builds.is_empty()
            && self.uncertain.is_empty()
            && self.unread.is_empty()
    }

    /// Work whose duration grows with the size of a table.
    pub fn is_slow(&self) -> bool {
        !(self.rewrites.is_empty() && self.scans.is_empty() && self.index_builds.is_empty())
    }
}

/// What the server answers to one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Where the statement is refused, nothing but the errors that may come before the refusal.
    pub effects: Effects,
    pub error: Option<Refusal>,
    pub transaction: TransactionUse,
    /// What the transaction holds after the statement, the strongest mode per relation; empty outside a transaction.
    /// Statements that lock nothing more share it.
    pub held: Arc<BTreeMap<QualifiedName, Held>>,
}

/// A lock that a transaction holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub mode: LockMode,
    /// The statement that took this mode: its number in the session, counted from 0.
    pub by: usize,
}

/// The server refuses the statement, as far as the catalog tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Five characters, as in the manual's appendix "PostgreSQL Error Codes".
    pub sqlstate: &'static str,
    pub message: String,
}

/// How the statement stands to transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionUse {
    /// Runs inside the transaction that is open.
    Inside,
    /// Runs in a transaction of its own.
    Outside,
    /// Cannot run inside a transaction block.
    Forbidden,
}

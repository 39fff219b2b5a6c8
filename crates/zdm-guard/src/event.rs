//! What a run says while it lasts. Showing it is the program's business.

use std::time::Duration;

use crate::record::{Action, Blocker};

#[derive(Debug, Clone)]
pub enum Event {
    /// A connection of the child is under guard.
    Connected {
        alias: String,
        backend: i32,
        driver: String,
        django: String,
    },
    /// Its settings put `PGOPTIONS` or `PGAPPNAME` out of action; the shim sets what they would have set.
    Shadowed {
        alias: String,
        names: Vec<String>,
    },
    MigrationStarted {
        name: String,
        backwards: bool,
        attempt: u32,
    },
    MigrationDone {
        name: String,
        duration: Duration,
        attempts: u32,
    },
    /// Our statement waits.
    Waiting {
        sql: String,
        blockers: Vec<Blocker>,
    },
    /// We kept others waiting too long.
    Intervened {
        backend: i32,
        waiters: Vec<i32>,
        blocked_for: Duration,
        action: Action,
    },
    /// A session that `--cancel-blockers` names was cancelled or ended.
    BlockerCancelled {
        blocker: Blocker,
        terminated: bool,
    },
    Retrying {
        what: String,
        cause: String,
        attempt: u32,
        delay: Duration,
    },
    GaveUp {
        what: String,
        cause: String,
        attempts: u32,
    },
    /// An INVALID index of an earlier build is dropped before it is built again.
    InvalidIndex {
        index: String,
        table: String,
    },
    /// A concurrent build, while it lasts.
    Progress {
        index: String,
        phase: String,
        fraction: Option<f64>,
        elapsed: Duration,
    },
    /// Another run holds the lock, or old transactions are in the way.
    Holding {
        reason: String,
    },
    Note {
        message: String,
    },
    Warning {
        message: String,
    },
}

//! What the shell is told while a run goes on.

use std::time::Duration;

use crate::plan::Plan;

/// In the order in which things happen.
#[derive(Debug, Clone)]
pub enum Event {
    /// Before the first row.
    Planned {
        job: String,
        resumed: bool,
        plan: Plan,
    },
    Progress(Progress),
    /// The run holds, with the reason.
    Holding {
        kind: &'static str,
        reason: String,
    },
    /// It goes on.
    Released,
    /// A row that cannot be filled.
    BadRow {
        table: String,
        key: String,
        sqlstate: String,
        message: String,
    },
    Warning {
        kind: &'static str,
        message: String,
    },
    Reconnecting {
        message: String,
        attempt: u32,
        delay: Duration,
    },
    Vacuumed {
        table: String,
        duration: Duration,
    },
}

/// Of the whole job, all workers on all machines.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    pub rows_updated: u64,
    /// Rows that windows passed over, whether they needed a change or not.
    pub rows_scanned: u64,
    /// 0 to 1.
    pub fraction: f64,
    /// Rows updated per second over the last seconds.
    pub rate: f64,
    /// At the pace so far.
    pub time_left: Option<Duration>,
    /// Rows of a step, of this process.
    pub step_rows: usize,
    pub workers: u32,
    pub bad_rows: u64,
    /// Bytes that the worst standby has yet to replay, when there is one that may be seen.
    pub lag_bytes: Option<u64>,
    /// Writing transactions per second of everybody else on the server; while there are some, steps are shorter.
    pub others_per_second: Option<f64>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done {
        rows_updated: u64,
    },
    /// Everything else is filled.
    Incomplete {
        rows_updated: u64,
        bad_rows: u64,
        deferred_rows: u64,
    },
    /// By a signal; resumable.
    Interrupted {
        rows_updated: u64,
    },
    Cancelled {
        rows_updated: u64,
    },
}

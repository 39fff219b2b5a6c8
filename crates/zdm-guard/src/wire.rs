//! What the shim in the child and the guard say to each other: one JSON object per line over a unix socket.
//!
//! The child has two connections: on one it asks and reports, and only what it asks is answered; on the other it
//! listens for the order to stop, and for the end of the guard, which is the end of that connection.

use serde::{Deserialize, Serialize};

/// The first line of a connection.
#[derive(Debug, Deserialize)]
pub(crate) struct Hello {
    pub(crate) role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    Questions,
    Orders,
}

/// Every other line of the child. The comments say what is answered.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Message {
    /// The probe: Python has imported the shim. [`Answer`]
    Loaded { version: String },
    /// A connection could not be opened. [`Answer`]
    NoConnection { alias: String, message: String },
    /// A new connection. [`Answer`] with `connection` and the floor.
    Connect {
        alias: String,
        /// `pg_backend_pid()`.
        backend: i32,
        /// The process id that the server, or whoever stands in front of it, gave for cancelling; 0: the driver does
        /// not say.
        key: i32,
        database: String,
        application: String,
        /// In milliseconds, as `PGOPTIONS` left it.
        lock_timeout: String,
        /// Which of libpq's environment variables the settings put out of action.
        shadowed: Vec<String>,
        django: String,
        driver: String,
    },
    /// Whether the connection keeps its server process. [`Answer`]
    Proved { connection: u64, direct: bool },
    /// The floor as read back. [`Answer`]
    Checked { connection: u64, lock_timeout: String, backend: i32 },
    /// A statement is about to be sent. [`Answer`] with timeouts.
    Statement {
        connection: u64,
        sql: String,
        /// With the parameters' values put in; for the judgement alone, recorded nowhere.
        values: Option<String>,
        many: bool,
        /// A transaction block is open.
        open: bool,
        autocommit: bool,
        attempt: u32,
    },
    /// It succeeded. No answer.
    Done { connection: u64, seconds: f64 },
    /// Statements that were not asked about, because the answer was known. No answer.
    Seen { connection: u64, count: u64, seconds: f64, writes: bool },
    /// It failed. [`Answer`] with `retry` and `delay`.
    Failed {
        connection: u64,
        seconds: f64,
        sqlstate: Option<String>,
        message: String,
        closed: bool,
        /// It was a transaction of its own.
        alone: bool,
        /// A signal, not the server.
        interrupt: bool,
    },
    /// A transaction has ended. No answer.
    End { connection: u64, end: End },
    /// What Django is about to run. [`Answer`] with `run`.
    Plan { fake: bool, migrations: Vec<Planned> },
    /// An attempt of a migration begins. [`Answer`]
    Migration { connection: u64, app: String, name: String, backwards: bool, atomic: bool, attempt: u32 },
    /// It is applied and recorded. [`Answer`]
    MigrationDone { connection: u64 },
    /// It failed. [`Answer`] with `retry`, `delay`, `reconnect`.
    MigrationFailed {
        connection: u64,
        sqlstate: Option<String>,
        message: String,
        interrupt: bool,
        /// Somebody's transaction block is still open around it.
        nested: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    Commit,
    Rollback,
    /// The connection was lost in the middle of it.
    Unknown,
}

/// One step of Django's plan.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Planned {
    pub(crate) app: String,
    pub(crate) name: String,
    pub(crate) backwards: bool,
    /// The file that Python has loaded it from.
    pub(crate) path: Option<String>,
    pub(crate) depends: Vec<(String, String)>,
}

/// An answer; what does not apply is left out.
#[derive(Debug, Default, Serialize)]
#[serde(default)]
pub(crate) struct Answer {
    /// The child must end; the guard says why.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) refuse: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) connection: Option<u64>,
    /// Prove that there is no transaction pooler in between.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) prove: bool,
    /// The server knows `client_connection_check_interval`.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) check_interval: bool,
    /// In milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lock_timeout: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) statement_timeout: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) idle_timeout: Option<u64>,
    /// Statements to run before it, without timeouts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) first: Vec<String>,
    /// What it would do is done already.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) skip: bool,
    /// The same text needs no question until something else runs.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) keep: bool,
    /// It changes nothing.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) reads: bool,
    /// Answers that were kept no longer hold.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) forget: bool,
    /// It takes settings back, so they are to be set again.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) resets: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) retry: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) reconnect: bool,
    /// Seconds to wait before the retry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delay: Option<f64>,
    /// For each step of the plan whether it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<Vec<bool>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl Answer {
    pub(crate) fn refuse() -> Self {
        Self { refuse: true, ..Self::default() }
    }
}

/// What the guard says unasked.
#[derive(Debug, Serialize)]
pub(crate) struct Order {
    pub(crate) order: &'static str,
}

//! A connection whose timeouts are in force, proved by reading them back.

use std::fmt::Write as _;
use std::time::Duration;

use thiserror::Error;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::connect::{ConnectError, Connection, connect, describe};
use crate::name::Literal;
use crate::settings::Settings;

/// Limits that PostgreSQL enforces on every statement of a session. All are above zero: zero would mean "no limit".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Waiting for one lock. Below `deadlock_timeout` (1 s), so that in a lock cycle it is us who give way.
    pub lock: Duration,
    pub statement: Duration,
    /// Ends a transaction whose client went away in the middle.
    pub idle_in_transaction: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            lock: Duration::from_millis(400),
            statement: Duration::from_secs(10),
            idle_in_transaction: Duration::from_secs(10),
        }
    }
}

/// Why a session could not be opened.
#[derive(Debug, Error)]
pub enum SessionError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("setting up the session: {}", describe(.0))]
    Setup(#[from] tokio_postgres::Error),
    #[error("`{setting}` is not in force: `{wanted}` was set, the server says `{found}`")]
    NotInForce { setting: &'static str, wanted: String, found: String },
}

impl SessionError {
    /// Whether a later attempt may succeed without a change of configuration.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect(error) => error.is_transient(),
            Self::Setup(error) => crate::retry::classify(error).needs_reconnect(),
            Self::NotInForce { .. } => false,
        }
    }
}

/// A connection with timeouts in force.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
    timeouts: Timeouts,
    /// `pg_backend_pid()`.
    pub backend_pid: i32,
    /// `server_version_num`.
    pub server_version: u32,
}

impl Session {
    /// Connects and sets the timeouts. A `statement_timeout` that the server's configuration, the database or the role
    /// sets lower than asked stays in force: see [`timeouts`](Self::timeouts) for what holds.
    ///
    /// # Errors
    /// When no connection is to be had or a setting did not take effect.
    pub async fn open(settings: &Settings, application_name: &str, wanted: Timeouts) -> Result<Self, SessionError> {
        let connection = connect(settings, application_name).await?;
        let mut session = Self { connection, timeouts: wanted, backend_pid: 0, server_version: 0 };
        session.set_up(wanted).await?;
        Ok(session)
    }

    pub fn client(&self) -> &Client {
        &self.connection.client
    }

    pub fn client_mut(&mut self) -> &mut Client {
        &mut self.connection.client
    }

    /// The limits that hold in this session.
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    pub fn is_closed(&self) -> bool {
        self.connection.client.is_closed()
    }

    /// Major version, as 15.
    pub fn major(&self) -> u32 {
        self.server_version / 10_000
    }

    async fn set_up(&mut self, wanted: Timeouts) -> Result<(), SessionError> {
        let configured = self
            .simple_row(
                "SELECT setting, current_setting('server_version_num'), pg_catalog.pg_backend_pid() \
                 FROM pg_catalog.pg_settings WHERE name = 'statement_timeout'",
            )
            .await?;
        let number = |at: usize| configured.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let server_limit = number(0);
        self.server_version = u32::try_from(number(1)).unwrap_or(0);
        self.backend_pid = i32::try_from(number(2)).unwrap_or(0);
        let mut statement = milliseconds(wanted.statement);
        if server_limit > 0 {
            statement = statement.min(server_limit);
        }
        self.timeouts = Timeouts { statement: Duration::from_millis(statement), ..wanted };
        let settings: [(&'static str, String); 8] = [
            ("lock_timeout", format!("{}ms", milliseconds(wanted.lock))),
            ("statement_timeout", format!("{statement}ms")),
            ("idle_in_transaction_session_timeout", format!("{}ms", milliseconds(wanted.idle_in_transaction))),
            // Values travel as text: the same text must come back as the same value, whatever the role's taste.
            ("datestyle", "ISO, YMD".to_owned()),
            ("intervalstyle", "postgres".to_owned()),
            ("extra_float_digits", "3".to_owned()),
            ("bytea_output", "hex".to_owned()),
            // A policy that would hide rows from us is an error, not a silent filter.
            ("row_security", "off".to_owned()),
        ];
        let mut set = String::new();
        for (name, value) in &settings {
            if let Ok(value) = Literal::new(value.clone()) {
                // Writing to a String cannot fail.
                let _ = write!(set, "SET {name} = {value};");
            }
        }
        self.client().batch_execute(&set).await?;
        let found = self
            .simple_row(
                "SELECT (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'lock_timeout'), \
                        (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'statement_timeout'), \
                        (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'idle_in_transaction_session_timeout')",
            )
            .await?;
        let in_force = [
            ("lock_timeout", milliseconds(wanted.lock)),
            ("statement_timeout", statement),
            ("idle_in_transaction_session_timeout", milliseconds(wanted.idle_in_transaction)),
        ];
        for (i, (setting, wanted)) in in_force.into_iter().enumerate() {
            let found = found.get(i).cloned().unwrap_or_default();
            if found != wanted.to_string() {
                return Err(SessionError::NotInForce { setting, wanted: wanted.to_string(), found });
            }
        }
        Ok(())
    }

    /// The first row of a statement in the simple protocol, NULL as the empty text.
    pub async fn simple_row(&self, sql: &str) -> Result<Vec<String>, tokio_postgres::Error> {
        let messages = self.client().simple_query(sql).await?;
        Ok(messages
            .iter()
            .find_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|i| row.get(i).unwrap_or_default().to_owned()).collect())
                }
                _ => None,
            })
            .unwrap_or_default())
    }
}

/// At least one: zero would switch the limit off.
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).clamp(1, 2_147_483_647)
}

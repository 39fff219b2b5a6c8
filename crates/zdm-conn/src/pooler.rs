//! Whether a proxy shares server sessions between clients per transaction.
//!
//! Behind such a proxy a `SET` reaches other clients and timeouts are not in force on our own statements. It is told
//! by what it does, not by its name: two connections of ours and one question, which server process answers?

use std::time::Duration;

use crate::connect::ConnectError;
use crate::session::{Session, SessionError, Timeouts};
use crate::settings::Settings;

/// What the proof found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// One connection is one server session.
    Direct,
    /// Transactions of one connection run in different server sessions.
    PerTransaction,
}

/// The other connection takes the server session that a transaction pooler believes to be free.
const PATIENCE: Duration = Duration::from_secs(5);

/// Proves that `session` keeps its server process while another connection of ours is inside a transaction.
///
/// # Errors
/// When the second connection cannot be opened or a statement fails.
pub async fn detect(session: &Session, settings: &Settings) -> Result<Pooling, SessionError> {
    let before = session.simple_row("SELECT pg_catalog.pg_backend_pid()").await?;
    let other = match tokio::time::timeout(PATIENCE, Session::open(settings, "zdm probe", Timeouts::default())).await {
        Ok(other) => other?,
        Err(_) => {
            return Err(SessionError::Connect(ConnectError::Timeout {
                endpoint: "a second connection".to_owned(),
                timeout: PATIENCE,
            }));
        }
    };
    other.client().batch_execute("BEGIN").await?;
    let others = other.simple_row("SELECT pg_catalog.pg_backend_pid()").await?;
    let after = tokio::time::timeout(PATIENCE, session.simple_row("SELECT pg_catalog.pg_backend_pid()")).await;
    other.client().batch_execute("ROLLBACK").await?;
    Ok(match after {
        // Every server session of the pool is taken by our own open transaction.
        Err(_) => Pooling::PerTransaction,
        Ok(after) => {
            let after = after?;
            if after == before && others != before { Pooling::Direct } else { Pooling::PerTransaction }
        }
    })
}

//! Why a run did not do what it was asked.

use thiserror::Error;
use zdm_conn::{SessionError, StatementError};

#[derive(Debug, Error)]
pub enum Error {
    /// Wrong usage or configuration.
    #[error("{0}")]
    Usage(String),
    /// Refused before or while it ran; what ran before is whole.
    #[error("{0}")]
    Refused(String),
    /// Gave up on a lock; nothing is half-done.
    #[error("{0}")]
    GaveUp(String),
    /// By a signal, before the command was started.
    #[error("interrupted")]
    Interrupted,
    /// The command failed, or could not be watched any more.
    #[error("{0}")]
    Failed(String),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Sql(#[from] StatementError),
    #[error("{what}: {error}")]
    Io { what: &'static str, error: std::io::Error },
}

impl Error {
    pub(crate) fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Io { what, error }
    }
}

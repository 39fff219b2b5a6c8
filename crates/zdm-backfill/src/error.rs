//! Why a command ends without having done its work.

use thiserror::Error;
use zdm_conn::{NameError, SessionError, StatementError};

use crate::plan::Refusal;
use crate::throttle::LimitError;

/// Errors of the driver, by what the operator can do about them.
#[derive(Debug, Error)]
pub enum Error {
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The table cannot be filled as asked.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The state of the job or of the database forbids it.
    #[error("{0}")]
    Forbidden(String),
    /// The table is not what it was when the job began.
    #[error("{0}")]
    Changed(String),
    /// Retries are used up.
    #[error("gave up after {attempts} attempts: {message}")]
    GaveUp { attempts: u32, message: String },
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Sql(#[from] StatementError),
}

impl Error {
    /// Whether a new session may succeed where this one failed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Session(error) => error.is_transient(),
            Self::Sql(StatementError { error, .. }) => {
                let class = zdm_conn::classify(error);
                class.needs_reconnect() || class.is_transient()
            }
            _ => false,
        }
    }
}

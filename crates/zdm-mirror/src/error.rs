//! Why a command ends without having done its work.

use thiserror::Error;
use zdm_conn::{NameError, SessionError, StatementError};

use crate::refusal::Refusal;

/// Errors by what the operator can do about them.
#[derive(Debug, Error)]
pub enum Error {
    /// The command line or the configuration is wrong.
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Name(#[from] NameError),
    /// The mirror cannot be made as asked.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The state of the database or of the project forbids it.
    #[error("{0}")]
    Forbidden(String),
    /// Retries are used up; nothing has changed.
    #[error("gave up after {attempts} attempts, nothing has changed: {message}")]
    GaveUp { attempts: u32, message: String },
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Sql(#[from] StatementError),
}

//! A statement of our own that failed, with what it was for.

use tokio_postgres::Error;

use crate::connect::describe;

/// What every error of a crate that sends statements has for them.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {}", describe(.error))]
pub struct StatementError {
    /// Such as `reading the job's tables`.
    pub doing: &'static str,
    pub error: Error,
}

/// Says what was being done when the server refused.
pub trait Doing<T> {
    /// # Errors
    /// The same failure, with the words.
    fn doing(self, what: &'static str) -> Result<T, StatementError>;
}

impl<T> Doing<T> for Result<T, Error> {
    fn doing(self, what: &'static str) -> Result<T, StatementError> {
        self.map_err(|error| StatementError { doing: what, error })
    }
}

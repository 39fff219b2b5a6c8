//! What the process's exit code says, for all subcommands.

use std::process::ExitCode;

/// The contract with scripts and CI systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    /// Refused, or something is left: a closed gate, pending rows, a mismatch.
    Incomplete,
    /// Wrong usage or configuration.
    Usage,
    /// Gave up on a lock after its retries; nothing is half-done.
    GaveUp,
    /// The command or the database failed.
    Failed,
    /// By a signal; resumable.
    Interrupted,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Incomplete => 1,
            Self::Usage => 2,
            Self::GaveUp => 3,
            Self::Failed => 4,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

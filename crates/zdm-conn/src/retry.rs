//! Which failures pass by themselves, and how long to wait before the next attempt.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// What a failure means for the next attempt. SQLSTATEs are those of PostgreSQL's manual, appendix A.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// `lock_not_available` (55P03): `lock_timeout` passed or NOWAIT met a lock.
    LockNotAvailable,
    /// `query_canceled` (57014): `statement_timeout` passed, or somebody canceled the statement.
    QueryCanceled,
    /// `deadlock_detected` (40P01).
    Deadlock,
    /// `serialization_failure` and the rest of class 40.
    Serialization,
    /// The connection is gone (class 08, 57P0x, a closed or broken socket, 25P03 and 57P05: a session timeout).
    ConnectionLost,
    /// No connection to be had at the moment: 53300 `too_many_connections`, 57P03 `cannot_connect_now`.
    Unavailable,
    /// `read_only_sql_transaction` (25006): the server is a standby, as in the middle of a failover.
    ReadOnly,
    /// The values do not fit: classes 22 (data), 23 (constraints), 44 (`WITH CHECK OPTION`) and P0 (raised in PL/pgSQL).
    Row,
    /// The relation, column or function is not (or no longer) as expected: class 42 without the privilege, 0A000.
    Schema,
    /// `insufficient_privilege` (42501).
    Privilege,
    /// Anything else: disk full, out of memory, internal errors.
    Other,
}

impl FailureClass {
    /// Whether the same work may be tried again on the same session.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::LockNotAvailable | Self::QueryCanceled | Self::Deadlock | Self::Serialization)
    }

    /// Whether the same work may be tried again on a new session.
    pub fn needs_reconnect(self) -> bool {
        matches!(self, Self::ConnectionLost | Self::Unavailable | Self::ReadOnly)
    }
}

/// The class of a driver's error.
pub fn classify(error: &Error) -> FailureClass {
    match error.code() {
        Some(state) => classify_sqlstate(state),
        None if error.is_closed() || has_io_source(error) => FailureClass::ConnectionLost,
        None => FailureClass::Other,
    }
}

/// The class of a SQLSTATE.
pub fn classify_sqlstate(state: &SqlState) -> FailureClass {
    let code = state.code();
    match code {
        "55P03" => FailureClass::LockNotAvailable,
        "57014" => FailureClass::QueryCanceled,
        "40P01" => FailureClass::Deadlock,
        "25006" => FailureClass::ReadOnly,
        "53300" | "57P03" => FailureClass::Unavailable,
        "42501" => FailureClass::Privilege,
        "25P03" | "57P01" | "57P02" | "57P04" | "57P05" => FailureClass::ConnectionLost,
        _ => match code.get(..2) {
            Some("08") => FailureClass::ConnectionLost,
            Some("40") => FailureClass::Serialization,
            Some("22" | "23" | "44" | "P0") => FailureClass::Row,
            Some("42" | "0A" | "3F") => FailureClass::Schema,
            _ => FailureClass::Other,
        },
    }
}

fn has_io_source(error: &Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if inner.is::<std::io::Error>() {
            return true;
        }
        source = inner.source();
    }
    false
}

/// Exponential backoff with full jitter: attempt *n* waits a random time between half and the whole of
/// `first · 2ⁿ`, never more than `most`.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    attempt: u32,
    random: u64,
}

impl Backoff {
    /// Seeded by the clock, so that two processes that failed together do not return together.
    pub fn new(first: Duration, most: Duration) -> Self {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_nanos());
        let seed = u64::try_from(nanos & u128::from(u64::MAX)).unwrap_or(1) ^ (u64::from(std::process::id()) << 32);
        Self::with_seed(first, most, seed)
    }

    pub fn with_seed(first: Duration, most: Duration, seed: u64) -> Self {
        Self { first, most, attempt: 0, random: seed | 1 }
    }

    /// Attempts counted since the start or the last [`reset`](Self::reset).
    pub fn attempts(&self) -> u32 {
        self.attempt
    }

    /// After a success.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }

    /// How long to wait before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        let whole = self.first.saturating_mul(2_u32.saturating_pow(self.attempt.min(30))).min(self.most);
        self.attempt = self.attempt.saturating_add(1);
        // xorshift64: enough to spread processes, and no dependency.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let half = whole / 2;
        let span = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).max(1);
        half + Duration::from_nanos(self.random % span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_fall_into_classes() {
        fn check(code: &str, expect: FailureClass) {
            assert_eq!(classify_sqlstate(&SqlState::from_code(code)), expect, "{code}");
        }
        check("55P03", FailureClass::LockNotAvailable);
        check("57014", FailureClass::QueryCanceled);
        check("40P01", FailureClass::Deadlock);
        check("40001", FailureClass::Serialization);
        check("08006", FailureClass::ConnectionLost);
        check("57P01", FailureClass::ConnectionLost);
        check("57P03", FailureClass::Unavailable);
        check("53300", FailureClass::Unavailable);
        check("25006", FailureClass::ReadOnly);
        check("22003", FailureClass::Row);
        check("23514", FailureClass::Row);
        check("P0001", FailureClass::Row);
        check("42P01", FailureClass::Schema);
        check("42501", FailureClass::Privilege);
        check("53100", FailureClass::Other);
        check("XX000", FailureClass::Other);
    }

    #[test]
    fn backoff_grows_to_its_bound_and_jitters() {
        let mut backoff = Backoff::with_seed(Duration::from_millis(100), Duration::from_secs(2), 7);
        let delays: Vec<_> = (0..40).map(|_| backoff.next_delay()).collect();
        assert!(delays[0] >= Duration::from_millis(50) && delays[0] <= Duration::from_millis(100));
        assert!(delays[1] >= Duration::from_millis(100) && delays[1] <= Duration::from_millis(200));
        assert!(delays[6..].iter().all(|d| *d >= Duration::from_secs(1) && *d <= Duration::from_secs(2)));
        assert!(delays[10..].windows(2).any(|w| w[0] != w[1]));
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_millis(100));
    }
}

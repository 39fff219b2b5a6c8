//! Why a statement failed, as far as it matters for trying again, and how often that is done.

use std::fmt;
use std::time::{Duration, Instant};

use zdm_conn::Backoff;

/// Limits of the retries of one migration, or of one statement that stands alone.
#[derive(Debug, Clone, Copy)]
pub struct RetryLimits {
    pub count: u32,
    pub time: Duration,
}

impl Default for RetryLimits {
    fn default() -> Self {
        Self { count: 20, time: Duration::from_mins(10) }
    }
}

/// After so many cancellations for blocking others the work itself is too long for the moment.
const MOST_INTERVENTIONS: u32 = 3;

const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    Lock,
    Deadlock,
    Serialization,
    /// The watcher cancelled it, because others waited for it.
    Blocking,
    /// The watcher cancelled it, because it and others waited for each other.
    Cycle,
    /// `statement_timeout` under a strong lock.
    StatementTimeout,
    /// A signal, or somebody else's cancellation.
    Interrupt,
    ConnectionLost,
    /// The migration's own failure.
    Own,
}

impl Cause {
    pub(crate) fn of(sqlstate: Option<&str>, closed: bool, intervened: Option<Self>, timed_out: bool) -> Self {
        let cancelled = closed || matches!(sqlstate, Some("57014" | "57P01" | "25P02"));
        if let Some(intervened) = intervened.filter(|_| cancelled) {
            return intervened;
        }
        match sqlstate {
            Some("55P03") => Self::Lock,
            Some("40P01") => Self::Deadlock,
            Some("40001") => Self::Serialization,
            Some("57014") if timed_out => Self::StatementTimeout,
            Some("57014") => Self::Interrupt,
            _ if closed => Self::ConnectionLost,
            _ => Self::Own,
        }
    }

    pub(crate) const fn passes_by_itself(self) -> bool {
        matches!(self, Self::Lock | Self::Deadlock | Self::Serialization | Self::Blocking | Self::Cycle)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lock => "the lock was not to be had within lock_timeout",
            Self::Deadlock => "a deadlock",
            Self::Serialization => "a serialization failure",
            Self::Blocking => "it kept other sessions waiting longer than --max-block",
            Self::Cycle => "it and other sessions waited for each other",
            Self::StatementTimeout => "it ran longer than --statement-timeout under a strong lock",
            Self::Interrupt => "it was cancelled",
            Self::ConnectionLost => "the connection was lost",
            Self::Own => "an error of its own",
        })
    }
}

/// The retries of one thing.
#[derive(Debug)]
pub(crate) struct Retry {
    limits: RetryLimits,
    backoff: Backoff,
    since: Option<Instant>,
    interventions: u32,
}

impl Retry {
    pub(crate) fn new(limits: RetryLimits) -> Self {
        Self { limits, backoff: Backoff::new(FIRST_DELAY, LONGEST_DELAY), since: None, interventions: 0 }
    }

    /// Retries so far.
    pub(crate) fn count(&self) -> u32 {
        self.backoff.attempts()
    }

    /// How long to wait before the next attempt; nothing when it is time to give up.
    pub(crate) fn again(&mut self, cause: Cause, now: Instant) -> Option<Duration> {
        let since = *self.since.get_or_insert(now);
        if cause == Cause::Blocking {
            self.interventions += 1;
        }
        let spent = now.duration_since(since) >= self.limits.time || self.count() >= self.limits.count;
        if !cause.passes_by_itself() || spent || self.interventions > MOST_INTERVENTIONS {
            return None;
        }
        Some(self.backoff.next_delay())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_have_causes() {
        fn check(sqlstate: Option<&str>, closed: bool, intervened: Option<Cause>, timed_out: bool, expect: Cause) {
            assert_eq!(Cause::of(sqlstate, closed, intervened, timed_out), expect, "{sqlstate:?}");
        }
        check(Some("55P03"), false, None, false, Cause::Lock);
        check(Some("40P01"), false, None, false, Cause::Deadlock);
        check(Some("57014"), false, Some(Cause::Blocking), true, Cause::Blocking);
        check(Some("57014"), false, None, true, Cause::StatementTimeout);
        check(Some("57014"), false, None, false, Cause::Interrupt);
        check(None, true, Some(Cause::Blocking), false, Cause::Blocking);
        check(None, true, None, false, Cause::ConnectionLost);
        check(Some("57014"), false, Some(Cause::Cycle), false, Cause::Cycle);
        check(Some("23505"), false, Some(Cause::Blocking), false, Cause::Own);
    }

    #[test]
    fn retries_end() {
        let now = Instant::now();
        let mut retry = Retry::new(RetryLimits { count: 2, time: Duration::from_mins(1) });
        assert!(retry.again(Cause::Own, now).is_none());
        assert!(retry.again(Cause::Lock, now).is_some());
        assert!(retry.again(Cause::Deadlock, now).is_some());
        assert!(retry.again(Cause::Lock, now).is_none());
        let mut retry = Retry::new(RetryLimits { count: 100, time: Duration::from_mins(1) });
        assert!(retry.again(Cause::Lock, now).is_some());
        assert!(retry.again(Cause::Lock, now + Duration::from_secs(61)).is_none());
        let mut retry = Retry::new(RetryLimits::default());
        assert_eq!((0..5).filter(|_| retry.again(Cause::Blocking, now).is_some()).count(), 3);
        // A cycle says nothing of the work: it comes of the order of locks, and is another one each time.
        let mut retry = Retry::new(RetryLimits { count: 10, ..RetryLimits::default() });
        assert_eq!((0..12).filter(|_| retry.again(Cause::Cycle, now).is_some()).count(), 10);
    }
}

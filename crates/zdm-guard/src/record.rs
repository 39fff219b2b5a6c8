//! What happened, statement by statement: the summary at the end and the report are made from this.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::model::Class;

/// One run of the command.
#[derive(Debug, Clone, Default)]
pub struct Record {
    pub migrations: Vec<MigrationRecord>,
    pub statements: Vec<StatementRecord>,
    /// Others that waited for us longer than allowed, and what was done.
    pub interventions: Vec<Intervention>,
    pub invalid_indexes: Vec<InvalidIndex>,
    pub notes: Vec<String>,
    /// How often the command ran.
    pub command_attempts: u32,
}

#[derive(Debug, Clone)]
pub struct MigrationRecord {
    pub app: String,
    pub name: String,
    pub backwards: bool,
    pub atomic: bool,
    pub started: SystemTime,
    pub duration: Duration,
    pub attempts: u32,
    /// `None`: under way when the run ended.
    pub outcome: Option<Finished>,
}

/// How something ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    Done,
    /// What it would have done was done already.
    Skipped,
    Failed {
        sqlstate: Option<String>,
        message: String,
    },
}

#[derive(Debug, Clone)]
pub struct StatementRecord {
    /// `app.name` of the migration under way.
    pub migration: Option<String>,
    /// As sent, without parameters, cut at 2,000 characters.
    pub sql: String,
    pub class: Class,
    pub lock_timeout: Duration,
    pub statement_timeout: Duration,
    /// The locks on tables of others that stop writers or more.
    pub locks: Vec<(String, &'static str)>,
    pub started: SystemTime,
    pub duration: Duration,
    /// Attempts of this statement; a migration that is run again sends its statements again.
    pub attempt: u32,
    /// How long it was seen waiting for locks, to the tenth of a second.
    pub waited: Duration,
    pub blockers: Vec<Blocker>,
    pub outcome: Option<Finished>,
    /// More statements of the same text that were not asked about one by one.
    pub repeated: u64,
}

/// A session that we waited for.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocker {
    pub pid: i32,
    pub application: String,
    pub user: String,
    pub state: String,
    /// Of its transaction.
    pub age: Option<Duration>,
    /// With `--show-queries`.
    pub query: Option<String>,
}

/// `process 123 (celery, user app, idle in transaction, 12.3 s old)`, and the query where it is known.
impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let age = self.age.map(|age| format!("{:.1} s old", age.as_secs_f64()));
        let parts = [
            Some(self.application.clone()).filter(|text| !text.is_empty()),
            Some(self.user.clone()).filter(|text| !text.is_empty()).map(|user| format!("user {user}")),
            Some(self.state.clone()).filter(|text| !text.is_empty()),
            age,
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        write!(f, "process {}", self.pid)?;
        if !parts.is_empty() {
            write!(f, " ({})", parts.join(", "))?;
        }
        if let Some(query) = &self.query {
            write!(f, ": {}", query.split_whitespace().collect::<Vec<_>>().join(" "))?;
        }
        Ok(())
    }
}

/// The watcher stepped in.
#[derive(Debug, Clone)]
pub struct Intervention {
    pub at: SystemTime,
    /// Our own backend.
    pub backend: i32,
    pub waiters: Vec<i32>,
    pub blocked_for: Duration,
    pub action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Our statement was cancelled.
    Cancelled,
    /// Our session was ended: it blocked others without a statement under way.
    Terminated,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidIndex {
    pub index: String,
    pub table: String,
    pub dropped: bool,
}

/// RFC 3339 in UTC, to the millisecond.
pub fn timestamp(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        since.subsec_millis()
    )
}

/// Year, month and day of a day counted from 1970-01-01, after Howard Hinnant's "chrono-Compatible Low-Level Date
/// Algorithms".
pub fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days.saturating_add(719_468);
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        fn check(days: u64, expect: (u64, u64, u64)) {
            assert_eq!(civil(days), expect);
        }
        check(0, (1970, 1, 1));
        check(59, (1970, 3, 1));
        check(11_016, (2000, 2, 29));
        check(20_454, (2026, 1, 1));
        assert_eq!(timestamp(UNIX_EPOCH + Duration::from_millis(86_400_000 + 3_661_005)), "1970-01-02T01:01:01.005Z");
    }
}

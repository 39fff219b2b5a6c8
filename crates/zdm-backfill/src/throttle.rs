//! When a run holds, and why. Pure: samples come in, reasons go out.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

/// What the operator allows. Everything that is `None` is not looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Length of a step.
    pub target_time: Duration,
    /// Rows per second of the whole job.
    pub max_rate: Option<u64>,
    /// Replay lag of any standby.
    pub max_lag: Option<Duration>,
    /// Bytes that any standby has yet to replay.
    pub max_lag_bytes: Option<u64>,
    /// WAL bytes per second of the whole server.
    pub max_wal_rate: Option<u64>,
    /// Client sessions that are active, ours not counted.
    pub max_active: Option<u32>,
    pub on_vacuum: OnVacuum,
    /// A query of one row and column: NULL, false, 0, the empty text or no row let the run go on.
    pub probe: Option<String>,
    /// `VACUUM` after so many updated rows. Zero: at the end only.
    pub vacuum_every: Option<u64>,
}

/// Which vacuum of the table makes the run hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnVacuum {
    Never,
    /// Only one that prevents wraparound.
    Wraparound,
    /// Any.
    Any,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            target_time: Duration::from_millis(50),
            max_rate: None,
            max_lag: Some(Duration::from_secs(10)),
            max_lag_bytes: Some(1 << 30),
            max_wal_rate: None,
            max_active: None,
            on_vacuum: OnVacuum::Any,
            probe: None,
            vacuum_every: None,
        }
    }
}

/// A `KEY=VALUE` that sets no limit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LimitError {
    #[error("`{0}` is not a limit; known are {known}", known = Limits::NAMES.join(", "))]
    Unknown(String),
    #[error("`{value}` is not a value for `{name}`: {expected}")]
    Value { name: String, value: String, expected: &'static str },
}

impl Limits {
    /// Names that [`set`](Self::set) takes.
    pub const NAMES: [&'static str; 9] = [
        "target-time",
        "max-rate",
        "max-lag",
        "max-lag-bytes",
        "max-wal-rate",
        "max-active",
        "on-vacuum",
        "probe",
        "vacuum-every",
    ];

    /// Sets one limit by name. `none` (or `off`) lifts it.
    ///
    /// # Errors
    /// When the name or the value is not known.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), LimitError> {
        let value = value.trim();
        let off = matches!(value, "none" | "off" | "");
        let bad = |expected| LimitError::Value { name: name.to_owned(), value: value.to_owned(), expected };
        let duration = || parse_duration(value).ok_or_else(|| bad("a duration such as 50ms, 2s or 1min"));
        let bytes = || parse_bytes(value).ok_or_else(|| bad("bytes such as 500kB, 16MB or 1GB"));
        let count = || value.replace('_', "").parse::<u64>().map_err(|_| bad("a whole number"));
        match name {
            "target-time" => {
                let time = duration()?;
                if time < Duration::from_millis(1) || time > Duration::from_secs(10) {
                    return Err(bad("between 1ms and 10s"));
                }
                self.target_time = time;
            }
            "max-rate" => self.max_rate = if off { None } else { Some(count()?.max(1)) },
            "max-lag" => self.max_lag = if off { None } else { Some(duration()?) },
            "max-lag-bytes" => self.max_lag_bytes = if off { None } else { Some(bytes()?) },
            "max-wal-rate" => self.max_wal_rate = if off { None } else { Some(bytes()?.max(1)) },
            "max-active" => {
                self.max_active =
                    if off { None } else { Some(u32::try_from(count()?).map_err(|_| bad("a whole number"))?) };
            }
            "on-vacuum" => {
                self.on_vacuum = match value {
                    "never" | "none" | "off" => OnVacuum::Never,
                    "wraparound" => OnVacuum::Wraparound,
                    "any" => OnVacuum::Any,
                    _ => return Err(bad("any, wraparound or never")),
                };
            }
            "probe" => self.probe = if off { None } else { Some(value.to_owned()) },
            "vacuum-every" => self.vacuum_every = if off { None } else { Some(count()?) },
            _ => return Err(LimitError::Unknown(name.to_owned())),
        }
        Ok(())
    }

    /// Name and value of each limit in the spelling that [`set`](Self::set) reads.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let none = || "none".to_owned();
        let time = |d: Duration| format!("{}ms", d.as_millis());
        vec![
            ("target-time", time(self.target_time)),
            ("max-rate", self.max_rate.map_or_else(none, |n| n.to_string())),
            ("max-lag", self.max_lag.map_or_else(none, time)),
            ("max-lag-bytes", self.max_lag_bytes.map_or_else(none, |n| n.to_string())),
            ("max-wal-rate", self.max_wal_rate.map_or_else(none, |n| n.to_string())),
            ("max-active", self.max_active.map_or_else(none, |n| n.to_string())),
            (
                "on-vacuum",
                match self.on_vacuum {
                    OnVacuum::Never => "never",
                    OnVacuum::Wraparound => "wraparound",
                    OnVacuum::Any => "any",
                }
                .to_owned(),
            ),
            ("probe", self.probe.clone().unwrap_or_else(none)),
            ("vacuum-every", self.vacuum_every.map_or_else(none, |n| n.to_string())),
        ]
    }
}

/// `50ms`, `2s`, `1.5 s`, `5min`, `1h`; a bare number is milliseconds, as in PostgreSQL's settings.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let milliseconds = match unit {
        "" | "ms" => number,
        "s" => number * 1000.0,
        "min" | "m" => number * 60_000.0,
        "h" => number * 3_600_000.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(milliseconds / 1000.0).ok()
}

/// `1024`, `500kB`, `16MB`, `1GB`, `1TB`, in powers of 1024, as in PostgreSQL's settings.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1024.0,
        "m" | "mb" => 1_048_576.0,
        "g" | "gb" => 1_073_741_824.0,
        "t" | "tb" => 1_099_511_627_776.0,
        _ => return None,
    };
    let bytes = number * factor;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    (0.0..9e18).contains(&bytes).then_some(bytes as u64)
}

fn split_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    number.is_finite().then_some((number, unit.trim()))
}

/// How long a step's work may take, and how much it may log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepBounds {
    /// A step aims at this, or at what it costs beside its work where that is more, up to `longest`.
    pub shortest: Duration,
    pub longest: Duration,
    /// Its statements work no longer than this, or than their way to the server takes; `None`: it is one statement.
    pub burst: Option<Duration>,
    /// Bytes of WAL.
    pub most_wal: Option<f64>,
}

impl StepBounds {
    /// While nobody else writes.
    pub fn alone(target: Duration) -> Self {
        Self { shortest: target, longest: target, burst: None, most_wal: None }
    }

    /// While others write: a twenty-fifth to a tenth of the target, and a megabyte. A writer that commits waits until
    /// everything that was logged before it is flushed, what our step has logged so far included. And where processors are
    /// few, a session that wakes may wait for one until ours waits for something; between two statements it does. (On two
    /// processors a session that only computes made p99 of writes 1.6 to 7 times as long: the benchmark's `computing`.)
    pub fn beside_writers(target: Duration) -> Self {
        const BURST: Duration = Duration::from_micros(300);
        const LEAST: Duration = Duration::from_millis(1);
        const WAL: f64 = 1_048_576.0;
        let part = |of: u32| (target / of).max(LEAST).min(target);
        Self { shortest: part(25), longest: part(10), burst: Some(BURST), most_wal: Some(WAL) }
    }
}

/// What was seen at one moment. `None`: not asked for, or hidden from this role.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    pub lag: Option<Duration>,
    pub lag_bytes: Option<u64>,
    /// Since the sample before.
    pub wal_rate: Option<u64>,
    pub active: Option<u32>,
    /// Vacuums (or other maintenance) of the table.
    pub vacuums: Vec<Vacuum>,
    /// Sessions that wait for a lock of ours.
    pub blocked: u32,
    /// What the probe said, when it asked to hold.
    pub probe: Option<String>,
}

/// A holder of SHARE UPDATE EXCLUSIVE on the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vacuum {
    pub pid: i32,
    pub automatic: bool,
    pub wraparound: bool,
}

/// Why the run holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    PausedByOperator,
    Lag(Duration, Duration),
    LagBytes(u64, u64),
    WalRate(u64, u64),
    Active(u32, u32),
    Vacuum(Vacuum),
    Probe(String),
    /// The monitor has had no answer: nothing is known, so nothing is done.
    Blind,
}

impl Reason {
    /// A stable word for JSON and for the job's tables.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::PausedByOperator => "paused",
            Self::Lag(..) => "replication_lag",
            Self::LagBytes(..) => "replication_lag_bytes",
            Self::WalRate(..) => "wal_rate",
            Self::Active(..) => "active_sessions",
            Self::Vacuum(vacuum) if vacuum.wraparound => "wraparound_vacuum",
            Self::Vacuum(..) => "vacuum",
            Self::Probe(..) => "probe",
            Self::Blind => "monitor",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PausedByOperator => f.write_str("paused by the operator"),
            Self::Lag(is, max) => {
                write!(f, "replication lag is {:.1} s (limit {:.1} s)", is.as_secs_f64(), max.as_secs_f64())
            }
            Self::LagBytes(is, max) => {
                write!(f, "a standby is {} behind (limit {})", show_bytes(*is), show_bytes(*max))
            }
            Self::WalRate(is, max) => {
                write!(f, "WAL is written at {}/s (limit {}/s)", show_bytes(*is), show_bytes(*max))
            }
            Self::Active(is, max) => write!(f, "{is} sessions are active (limit {max})"),
            Self::Vacuum(Vacuum { pid, automatic, wraparound }) => {
                // Without the right to see it, it may be any holder of the lock: ANALYZE, CREATE INDEX CONCURRENTLY …
                let kind = if *automatic { "autovacuum" } else { "VACUUM or other maintenance" };
                let purpose = if *wraparound { " to prevent wraparound" } else { "" };
                write!(f, "{kind}{purpose} works on the table (pid {pid})")
            }
            Self::Probe(text) => write!(f, "the probe says `{text}`"),
            Self::Blind => f.write_str("the monitor's connection does not answer"),
        }
    }
}

/// `1.5 GB`.
pub fn show_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or("B");
    if unit == 0 { format!("{bytes} {name}") } else { format!("{value:.1} {name}") }
}

/// The first reason to hold, or none.
pub fn decide(sample: &Sample, limits: &Limits) -> Option<Reason> {
    let over = |is: Option<u64>, max: Option<u64>| is.zip(max).filter(|(is, max)| is > max);
    let holds = |vacuum: &&Vacuum| match limits.on_vacuum {
        OnVacuum::Never => false,
        OnVacuum::Wraparound => vacuum.wraparound,
        OnVacuum::Any => true,
    };
    if let Some(vacuum) = sample.vacuums.iter().find(holds) {
        return Some(Reason::Vacuum(vacuum.clone()));
    }
    if let Some((is, max)) = sample.lag.zip(limits.max_lag).filter(|(is, max)| is > max) {
        return Some(Reason::Lag(is, max));
    }
    if let Some((is, max)) = over(sample.lag_bytes, limits.max_lag_bytes) {
        return Some(Reason::LagBytes(is, max));
    }
    if let Some((is, max)) = over(sample.wal_rate, limits.max_wal_rate) {
        return Some(Reason::WalRate(is, max));
    }
    if let Some((is, max)) = sample.active.zip(limits.max_active).filter(|(is, max)| is > max) {
        return Some(Reason::Active(is, max));
    }
    sample.probe.clone().map(Reason::Probe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_round_trip() {
        let mut limits = Limits::default();
        for (name, value) in [
            ("target-time", "20ms"),
            ("max-rate", "5_000"),
            ("max-lag", "2s"),
            ("max-lag-bytes", "16MB"),
            ("max-wal-rate", "50 MB"),
            ("max-active", "12"),
            ("on-vacuum", "wraparound"),
            ("probe", "SELECT count(*) FROM q"),
            ("vacuum-every", "1000000"),
        ] {
            limits.set(name, value).unwrap();
        }
        let mut copy = Limits::default();
        for (name, value) in limits.pairs() {
            copy.set(name, &value).unwrap();
        }
        assert_eq!(copy, limits);
        copy.set("max-rate", "none").unwrap();
        assert_eq!(copy.max_rate, None);
        assert!(matches!(limits.set("max-rat", "1"), Err(LimitError::Unknown(_))));
        assert!(limits.set("max-rate", "fast").is_err());
        assert!(limits.set("target-time", "0").is_err());
        assert!(limits.set("max-lag", "1e400s").is_err());
    }

    #[test]
    fn steps_are_shorter_while_others_write() {
        let ms = Duration::from_millis;
        let bounds = |target| {
            let StepBounds { shortest, longest, .. } = StepBounds::beside_writers(ms(target));
            (shortest, longest)
        };
        assert_eq!(bounds(50), (ms(2), ms(5)));
        assert_eq!(bounds(500), (ms(20), ms(50)));
        assert_eq!(bounds(1), (ms(1), ms(1)));
        assert_eq!(StepBounds::beside_writers(ms(50)).most_wal, Some(1_048_576.0));
        assert!(StepBounds::beside_writers(ms(50)).burst.is_some() && StepBounds::alone(ms(50)).burst.is_none());
    }

    #[test]
    fn reasons() {
        fn check(sample: &Sample, limits: &[(&str, &str)], expect: Option<&str>) {
            let mut all = Limits::default();
            for (name, value) in limits {
                all.set(name, value).unwrap();
            }
            assert_eq!(decide(sample, &all).map(|r| format!("{}: {r}", r.kind())).as_deref(), expect);
        }
        let vacuum = |wraparound| Vacuum { pid: 7, automatic: true, wraparound };
        check(&Sample::default(), &[], None);
        check(
            &Sample { lag: Some(Duration::from_secs(12)), ..Sample::default() },
            &[],
            Some("replication_lag: replication lag is 12.0 s (limit 10.0 s)"),
        );
        check(&Sample { lag: Some(Duration::from_secs(12)), ..Sample::default() }, &[("max-lag", "none")], None);
        check(
            &Sample { lag_bytes: Some(2 << 30), ..Sample::default() },
            &[],
            Some("replication_lag_bytes: a standby is 2.0 GB behind (limit 1.0 GB)"),
        );
        check(
            &Sample { wal_rate: Some(20 << 20), ..Sample::default() },
            &[("max-wal-rate", "10MB")],
            Some("wal_rate: WAL is written at 20.0 MB/s (limit 10.0 MB/s)"),
        );
        check(&Sample { wal_rate: Some(20 << 20), ..Sample::default() }, &[], None);
        check(
            &Sample { active: Some(9), ..Sample::default() },
            &[("max-active", "8")],
            Some("active_sessions: 9 sessions are active (limit 8)"),
        );
        check(
            &Sample { vacuums: vec![vacuum(true)], ..Sample::default() },
            &[("on-vacuum", "wraparound")],
            Some("wraparound_vacuum: autovacuum to prevent wraparound works on the table (pid 7)"),
        );
        check(&Sample { vacuums: vec![vacuum(false)], ..Sample::default() }, &[("on-vacuum", "wraparound")], None);
        check(
            &Sample { vacuums: vec![vacuum(false)], ..Sample::default() },
            &[],
            Some("vacuum: autovacuum works on the table (pid 7)"),
        );
        check(
            &Sample { probe: Some("queue is long".to_owned()), ..Sample::default() },
            &[],
            Some("probe: the probe says `queue is long`"),
        );
    }
}

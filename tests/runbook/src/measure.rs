//! What the application's requests met.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// One request of the application.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// When it began, in Unix milliseconds.
    pub start: f64,
    /// How long it took, in milliseconds.
    pub took: f64,
    /// Why it failed.
    pub error: Option<String>,
    /// What it was.
    pub name: String,
}

/// The requests in a log of `traffic.py`; a last line that is not written to its end does not count.
///
/// # Errors
/// The log cannot be read, or is no such log.
pub fn read(log: &Path) -> Result<Vec<Request>, String> {
    let text = std::fs::read_to_string(log).map_err(|error| format!("{}: {error}", log.display()))?;
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| request(line).ok_or_else(|| format!("{}: {line:?}", log.display()))).collect()
}

/// A log that is still written, followed from where it was read last.
#[derive(Debug, Clone, PartialEq)]
pub struct Followed {
    path: PathBuf,
    /// The bytes that were read, whole lines.
    offset: u64,
    /// How many requests it holds so far.
    pub count: usize,
    /// The first that failed.
    pub failed: Option<Request>,
}

impl Followed {
    /// From the log's beginning.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), offset: 0, count: 0, failed: None }
    }

    /// Reads what was written since.
    ///
    /// # Errors
    /// As for [`read`].
    pub fn follow(&mut self) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.path.display());
        let mut file = File::open(&self.path).map_err(failed)?;
        file.seek(SeekFrom::Start(self.offset)).map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        // A part of a character at the end belongs to a line that is not whole.
        let text = String::from_utf8_lossy(&bytes);
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let request = request(line).ok_or_else(|| format!("{}: {line:?}", self.path.display()))?;
            self.count += 1;
            if request.error.is_some() && self.failed.is_none() {
                self.failed = Some(request);
            }
        }
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        self.offset += u64::try_from(whole).unwrap_or(u64::MAX);
        Ok(())
    }
}

fn request(line: &str) -> Option<Request> {
    let mut fields = line.splitn(5, '\t');
    let start = fields.next()?.parse().ok()?;
    let took = fields.next()?.parse().ok()?;
    let failed = fields.next()? == "failed";
    let name = fields.next()?.to_owned();
    let error = fields.next()?.to_owned();
    Some(Request { start, took, error: failed.then_some(error), name })
}

/// The longest request, in milliseconds.
pub fn longest(requests: &[Request]) -> f64 {
    requests.iter().map(|request| request.took).fold(0.0, f64::max)
}

/// Those that failed.
pub fn failed(requests: &[Request]) -> Vec<&Request> {
    requests.iter().filter(|request| request.error.is_some()).collect()
}

/// A session's wait for a lock that lasted for longer than `deadlock_timeout`, as the server logged it.
#[derive(Debug, Clone, PartialEq)]
pub struct LockWait {
    /// How long it lasted, in milliseconds; of a wait that was given up, how long it had lasted when it was logged.
    pub took: f64,
    /// When it was logged, in Unix milliseconds.
    pub at: f64,
    /// The lock, as in `AccessShareLock on relation 16384 of database 5`.
    pub lock: String,
}

/// The waits in a server's log of the sessions `APPLICATION@DATABASE`, where the log's lines begin with the time and say
/// whose they are, as the test servers' do.
pub fn waits(log: &str, sessions: &str) -> Vec<LockWait> {
    let prefix = format!("] {sessions} LOG:  process ");
    let mut waits = Vec::new();
    // By process: a wait is logged when it has become long, and again when the lock is had.
    let mut open: BTreeMap<&str, LockWait> = BTreeMap::new();
    for line in log.lines() {
        let Some((before, rest)) = line.split_once(&prefix) else { continue };
        let at = before.split_once(' ').and_then(|(time, _)| time.parse::<f64>().ok());
        let (Some(at), Some((process, what))) = (at, rest.split_once(' ')) else { continue };
        let still = what.strip_prefix("still waiting for ");
        let Some(rest) = still.or_else(|| what.strip_prefix("acquired ")) else { continue };
        let Some((lock, took)) = rest.split_once(" after ") else { continue };
        let Ok(took) = took.trim_end_matches(" ms").parse() else { continue };
        let wait = LockWait { took, at: at * 1000.0, lock: lock.to_owned() };
        if still.is_some() {
            waits.extend(open.insert(process, wait));
        } else {
            open.remove(process);
            waits.push(wait);
        }
    }
    waits.extend(open.into_values());
    waits
}

/// A command of the page and when it ran, in Unix milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// When it began.
    pub start: f64,
    /// When it ended.
    pub end: f64,
    /// What kind of command, in a word: `migrate`, `backfill`, `roll-out`.
    pub kind: &'static str,
}

/// Milliseconds for people.
pub fn duration(milliseconds: f64) -> String {
    if milliseconds < 0.95 {
        format!("{milliseconds:.1} ms")
    } else if milliseconds < 999.5 {
        format!("{milliseconds:.0} ms")
    } else {
        format!("{:.1} s", milliseconds / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_followed_from_where_it_was_left() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut log = Followed::new(file.path());
        let mut text = String::new();
        for (more, count, failed) in [
            ("1000\t2.5\tok\tread a.B\t\n1010\t7.0", 1, false),
            ("\tok\tread a.B\t\n", 2, false),
            ("", 2, false),
            ("1020\t1.0\tfailed\tsave a.B\tError: \u{e9}\n1030\t1.0\tfailed\tsave a.B\tlater\n", 4, true),
        ] {
            text.push_str(more);
            std::fs::write(file.path(), &text).expect("written");
            log.follow().expect("a log");
            assert_eq!((log.count, log.failed.is_some()), (count, failed), "{text:?}");
        }
        assert_eq!(log.failed.and_then(|request| request.error).as_deref(), Some("Error: \u{e9}"));
    }

    #[test]
    fn waits_are_those_of_the_sessions() {
        let log = "\
1000.000 [7] LOG:  checkpoint starting: time
1001.000 [8] traffic@test_1 LOG:  process 8 still waiting for AccessShareLock on relation 16 of database 5 after 1000.1 ms
1001.000 [8] traffic@test_1 DETAIL:  Process holding the lock: 9. Wait queue: 8.
1001.000 [10] traffic@test_11 LOG:  process 10 acquired AccessShareLock on relation 16 of database 6 after 9000.0 ms
1001.500 [9] zdm@test_1 LOG:  process 9 acquired AccessExclusiveLock on relation 16 of database 5 after 8000.0 ms
1001.500 [8] traffic@test_1 LOG:  process 8 acquired AccessShareLock on relation 16 of database 5 after 1500.5 ms
1003.000 [8] traffic@test_1 LOG:  process 8 still waiting for ShareLock on transaction 77 after 1000.4 ms
";
        let found: Vec<(f64, f64, String)> =
            waits(log, "traffic@test_1").into_iter().map(|wait| (wait.took, wait.at / 1000.0, wait.lock)).collect();
        let wait = |took: f64, at: f64, lock: &str| (took, at, lock.to_owned());
        assert_eq!(
            found,
            [
                wait(1500.5, 1001.5, "AccessShareLock on relation 16 of database 5"),
                wait(1000.4, 1003.0, "ShareLock on transaction 77")
            ]
        );
    }

    #[test]
    fn a_log_is_read_up_to_its_last_whole_line() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "1000\t2.5\tok\tread a.B\t\n1010\t7.0\tfailed\tsave a.B\tError: x\n10")
            .expect("written");
        let requests = read(file.path()).expect("a log");
        assert_eq!(requests.len(), 2);
        assert!((longest(&requests) - 7.0).abs() < 1e-9);
        assert_eq!(failed(&requests)[0].error.as_deref(), Some("Error: x"));
    }
}

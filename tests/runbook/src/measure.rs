//! What the application's requests met.

use std::path::Path;

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

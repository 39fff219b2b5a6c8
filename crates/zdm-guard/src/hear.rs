//! What a command that is not Django's says of its failure, on its way to standard error.
//!
//! Nothing else tells why such a command failed: it prints the server's message, which has one wording in English, or the
//! SQLSTATE where the client shows it. The bytes are passed on as they come.

use std::io::Write as _;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::ChildStderr;
use tokio::task::JoinHandle;

use crate::retry::Cause;

/// A line that is longer is no message of a server.
const LONGEST_LINE: usize = 16 * 1024;

/// A process that the command has left behind may keep its standard error open.
const PATIENCE: Duration = Duration::from_secs(1);

/// The last failure that was reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// None: another error than a lock's, or none at all.
    pub(crate) cause: Option<Cause>,
}

/// Passes standard error on, and listens.
#[derive(Debug)]
pub(crate) struct Hearing {
    task: JoinHandle<Heard>,
}

impl Hearing {
    pub(crate) fn begin(stderr: ChildStderr) -> Self {
        Self { task: tokio::spawn(pass_on(stderr)) }
    }

    /// What was heard until the command ended.
    pub(crate) async fn end(self) -> Heard {
        match tokio::time::timeout(PATIENCE, self.task).await {
            Ok(Ok(heard)) => heard,
            Ok(Err(_)) | Err(_) => Heard::default(),
        }
    }
}

async fn pass_on(mut stderr: ChildStderr) -> Heard {
    let mut heard = Heard::default();
    let mut line = Vec::new();
    let mut bytes = [0; 8192];
    while let Ok(count) = stderr.read(&mut bytes).await {
        let Some(read) = bytes.get(..count).filter(|read| !read.is_empty()) else { break };
        // A closed standard error ends the output, not the work.
        drop(std::io::stderr().write_all(read));
        for byte in read {
            if *byte == b'\n' {
                heard.line(&String::from_utf8_lossy(&line));
                line.clear();
            } else if line.len() < LONGEST_LINE {
                line.push(*byte);
            }
        }
    }
    heard.line(&String::from_utf8_lossy(&line));
    heard
}

impl Heard {
    fn line(&mut self, line: &str) {
        let says = |texts: &[&str]| texts.iter().any(|text| line.contains(text));
        if says(&["55P03", "canceling statement due to lock timeout", "could not obtain lock on "]) {
            self.cause = Some(Cause::Lock);
        } else if says(&["40P01", "deadlock detected"]) {
            self.cause = Some(Cause::Deadlock);
        } else if says(&["could not serialize access"]) {
            self.cause = Some(Cause::Serialization);
        } else if says(&["ERROR:", "FATAL:"]) && !says(&["25P02", "current transaction is aborted"]) {
            // It went on after the lock, and failed for another reason.
            self.cause = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_counts() {
        #[track_caller]
        fn check(lines: &[&str], expect: Option<Cause>) {
            let mut heard = Heard::default();
            for line in lines {
                heard.line(line);
            }
            assert_eq!(heard.cause, expect, "{lines:?}");
        }
        check(&[], None);
        check(&["NOTICE:  nothing"], None);
        check(&["psql:a.sql:3: ERROR:  canceling statement due to lock timeout", "CONTEXT:  x"], Some(Cause::Lock));
        check(&["ERROR:  55P03"], Some(Cause::Lock));
        check(&["PG::LockNotAvailable: ERROR:  could not obtain lock on row in relation \"t\""], Some(Cause::Lock));
        check(&["ERROR:  deadlock detected", "DETAIL:  Process 1"], Some(Cause::Deadlock));
        check(&["ERROR:  could not serialize access due to concurrent update"], Some(Cause::Serialization));
        check(
            &[
                "ERROR:  canceling statement due to lock timeout",
                "ERROR:  current transaction is aborted, commands ignored",
            ],
            Some(Cause::Lock),
        );
        check(&["ERROR:  canceling statement due to lock timeout", "ERROR:  relation \"t\" does not exist"], None);
    }
}

//! Standard output and standard error. A closed pipe ends the output, not the work.

use std::io::{self, Write as _};

/// A line of the answer.
pub(crate) fn line(text: &str) {
    let mut out = io::stdout().lock();
    drop(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// The answer in one piece, with its own line ends.
pub(crate) fn text(text: &str) {
    let mut out = io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// A line about the work: progress, notes, errors.
pub(crate) fn note(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// An error as all subcommands show it.
pub(crate) fn error(message: &str) {
    note(&format!("zdm: {message}"));
}

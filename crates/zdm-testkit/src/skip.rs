//! What tests could not test, and why: a line per gap, which `cargo xtask test` prints at its end.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use crate::cache;

/// Records that a layer of tests leaves something out on this machine. The rest of the layer must still run.
pub fn record(layer: &str, reason: &str) {
    let path = file();
    let Ok(mut file) = fs::File::options().create(true).append(true).open(path) else { return };
    // One write per line keeps lines of parallel test processes whole.
    let _ = file.write_all(format!("{layer}: {reason}\n").as_bytes());
}

/// Forgets what was recorded.
pub fn clear() {
    let _ = fs::remove_file(file());
}

/// What was recorded since the last [`clear`], sorted, each once.
pub fn recorded() -> Vec<String> {
    let mut lines: Vec<String> = fs::read_to_string(file()).unwrap_or_default().lines().map(str::to_owned).collect();
    lines.sort();
    lines.dedup();
    lines
}

fn file() -> PathBuf {
    cache::root().join("skipped-by-tests")
}

//! The tests of the workspace without cargo-nextest: the programs that cargo builds, several at a time.
//!
//! `cargo test` runs one program after the other, and one that waits for its servers leaves the machine idle meanwhile.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, available_parallelism};
use std::time::Instant;

use serde_json::Value;
use zdm_testkit::cargo;

/// The programs that take longest. They begin first, so that none of them is left alone at the end.
const LONG: [&str; 8] = ["own", "mirror_django", "schema_editor", "live", "migrate", "pages", "differential", "random"];

/// One program of tests.
struct Program {
    /// Package and target.
    name: String,
    executable: PathBuf,
    /// Where cargo would run it: the package's folder.
    folder: PathBuf,
    /// Its place in [`LONG`].
    rank: usize,
}

/// Builds all programs of tests and runs them; those that failed are the error.
pub(crate) fn run() -> Result<(), String> {
    println!("── building the tests");
    let programs = build()?;
    let count = programs.len();
    if count == 0 {
        return Err("cargo has built no tests".to_owned());
    }
    println!("── tests: {count} programs");
    let queue = Mutex::new(VecDeque::from(programs));
    let failed = Mutex::new(Vec::new());
    let workers = available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(program) = next else { break };
                    if let Err(error) = run_one(&program) {
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(error);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!("tests failed: {}", failed.join(", ")))
}

fn build() -> Result<Vec<Program>, String> {
    let mut command = cargo();
    command.args(["test", "--workspace", "--no-run", "--message-format", "json-render-diagnostics"]);
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !output.status.success() {
        return Err("the tests do not build".to_owned());
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut programs: Vec<Program> = messages.lines().filter_map(program).collect();
    programs.sort_by(|one, other| (one.rank, &one.name).cmp(&(other.rank, &other.name)));
    Ok(programs)
}

/// A program that a line of cargo's messages tells of (The Cargo Book, "External tools", JSON messages).
fn program(line: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let folder = Path::new(message["manifest_path"].as_str()?).parent()?.to_path_buf();
    let target = message["target"]["name"].as_str()?;
    let package = folder.file_name()?.to_string_lossy().into_owned();
    Some(Program {
        name: format!("{package}::{target}"),
        executable: PathBuf::from(message["executable"].as_str()?),
        folder,
        rank: LONG.iter().position(|long| *long == target).unwrap_or(LONG.len()),
    })
}

/// Runs a program and shows all it has printed in one piece.
fn run_one(program: &Program) -> Result<(), String> {
    let name = &program.name;
    let begun = Instant::now();
    let ended = output(program).map_err(|error| format!("{name} ({error})"))?;
    let seconds = begun.elapsed().as_secs_f64();
    let mut out = io::stdout().lock();
    // Nobody may read what is printed.
    let _ = write!(out, "── {name}, {seconds:.1} s\n{}", ended.text);
    let _ = out.flush();
    if ended.success { Ok(()) } else { Err(name.clone()) }
}

struct Ended {
    text: String,
    success: bool,
}

fn output(program: &Program) -> io::Result<Ended> {
    let mut file: File = tempfile::tempfile()?;
    let status = Command::new(&program.executable)
        .current_dir(&program.folder)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file.try_clone()?)
        .status()?;
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Ended { text: String::from_utf8_lossy(&bytes).into_owned(), success: status.success() })
}

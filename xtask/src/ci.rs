//! `cargo xtask test` and `cargo xtask ci`.

use std::env;
use std::process::{Command, Stdio};

use zdm_testkit::{available_majors, cache, skip};

use crate::setup;

/// Provides what the tests need, runs them all, and says what could not be tested.
pub(crate) fn test(arguments: &[String]) -> Result<(), String> {
    let outcome = setup::run(&setup::Options::default())?;
    outcome.report();
    // A suite that has lost a whole layer must not pass.
    if available_majors().is_empty() {
        return Err("no PostgreSQL at all: install npm or a PostgreSQL server of major 14 to 18".to_owned());
    }
    if zdm_testkit::Django::available().is_empty() {
        return Err("no Django at all: install Python 3.10 or later with venv and pip".to_owned());
    }
    skip::clear();
    let nextest = cargo().args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let tests = if nextest.is_ok_and(|status| status.success()) {
        // nextest does not run the examples of the documentation; its summary stands last.
        let examples = if arguments.is_empty() {
            step("documentation examples", cargo().args(["test", "--workspace", "--doc", "--quiet"]))
        } else {
            Ok(())
        };
        let mut command = cargo();
        command.args(["nextest", "run", "--workspace", "--no-fail-fast"]).args(arguments);
        step("tests", &mut command).and(examples)
    } else {
        step("tests", cargo().args(["test", "--workspace", "--no-fail-fast"]).args(arguments))
    };
    let gaps: Vec<String> = outcome.missing.iter().cloned().chain(skip::recorded()).collect();
    if gaps.is_empty() {
        println!("nothing was skipped");
    } else {
        println!("not tested on this machine:");
        for gap in gaps {
            println!("  {gap}");
        }
    }
    tests
}

/// Everything that must hold before a change is merged. All steps run; the first failure is the result.
pub(crate) fn run() -> Result<(), String> {
    let results = [
        step("formatting", cargo().args(["fmt", "--all", "--check"])),
        step("clippy", cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
        docs_in_sync(),
        test(&[]),
    ];
    let failed: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    if failed.is_empty() {
        println!("ci: all steps passed");
        Ok(())
    } else {
        Err(failed.join("; "))
    }
}

/// Documents that are generated, or that list what the code has, against the code.
fn docs_in_sync() -> Result<(), String> {
    let mut missing = Vec::new();
    // The README promises these commands.
    let readme = std::fs::read_to_string(cache::workspace().join("README.md")).map_err(|error| error.to_string())?;
    for command in ["cargo xtask test"] {
        if !readme.contains(command) {
            missing.push(format!("README.md does not mention `{command}`"));
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(missing.join("; ")) }
}

fn step(name: &str, command: &mut Command) -> Result<(), String> {
    println!("── {name}");
    let status = command.status().map_err(|error| format!("{name}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name} failed")) }
}

/// Cargo as it runs this program, at the workspace's root.
fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(cache::workspace());
    command
}

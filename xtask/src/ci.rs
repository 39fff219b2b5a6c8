//! `cargo xtask test` and `cargo xtask ci`.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use zdm_testkit::{available_majors, cache, cargo, skip};

use crate::{packages, setup};

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
        command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
        if env::var_os("CI").is_some() {
            command.args(["--profile", "ci"]);
        }
        command.args(arguments);
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
        core_is_pure(),
        docs_in_sync(),
        crate::extension::check(),
        test(&[]),
        packages::run(),
    ];
    let failed: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    if failed.is_empty() {
        println!("ci: all steps passed");
        Ok(())
    } else {
        Err(failed.join("; "))
    }
}

/// The crates whose libraries do no I/O.
const CORE: [&str; 8] =
    ["zdm-source", "zdm-python", "zdm-sql", "zdm-postgres", "zdm-django", "zdm-replay", "zdm-linter", "zdm-report"];

/// Clippy over the core's libraries with the methods that they must not call.
fn core_is_pure() -> Result<(), String> {
    let mut command = cargo();
    command.env("CLIPPY_CONF_DIR", cache::workspace().join(".clippy/core")).args(["clippy", "--lib"]);
    for package in CORE {
        command.args(["--package", package]);
    }
    step("the core does no I/O", command.args(["--", "-D", "clippy::disallowed_methods"]))
}

/// Documents that list what the repository has, against the repository. Each check adds what it misses.
fn docs_in_sync() -> Result<(), String> {
    println!("── docs in sync");
    let root = cache::workspace();
    let read = |path: &str| fs::read_to_string(root.join(path)).map_err(|error| format!("cannot read {path}: {error}"));
    let mut missing = Vec::new();
    let readme = read("README.md")?;
    if !readme.contains("cargo xtask test") {
        missing.push("README.md does not mention `cargo xtask test`".to_owned());
    }
    let architecture = read("ARCHITECTURE.md")?;
    let names = |text: &str| architecture.contains(&format!("`{text}`"));
    let mut used = BTreeSet::new();
    for package in packages(&root)? {
        if !names(&package) {
            missing.push(format!("ARCHITECTURE.md does not say what `{package}` is for"));
        }
        let manifest = read(&format!("crates/{package}/Cargo.toml"))?;
        // A dependency's line begins with its name and takes its version from the workspace.
        used.extend(manifest.lines().filter_map(|line| {
            let (name, rest) = line.split_once([' ', '.', '='])?;
            (rest.contains("workspace = true") && !name.starts_with("zdm-")).then(|| name.to_owned())
        }));
    }
    for key in ["version", "edition", "rust-version", "license", "publish", "repository", "workspace"] {
        used.remove(key);
    }
    for library in used.iter().filter(|library| !names(library)) {
        missing.push(format!("ARCHITECTURE.md gives no reason for `{library}`"));
    }
    missing.extend(other_addresses(&root)?);
    if missing.is_empty() { Ok(()) } else { Err(format!("docs: {}", missing.join("; "))) }
}

/// The project's address stands in many files and is one: `repository` of the workspace's manifest. Whoever publishes
/// it elsewhere changes that line, and this names every other place.
fn other_addresses(root: &Path) -> Result<Vec<String>, String> {
    let read = |path: &str| fs::read_to_string(root.join(path)).map_err(|error| format!("cannot read {path}: {error}"));
    let manifest = read("Cargo.toml")?;
    let address = manifest
        .lines()
        .find_map(|line| line.strip_prefix("repository = \"")?.strip_suffix('"'))
        .ok_or("Cargo.toml names no repository")?;
    let (_, own) =
        address.split_once("://github.com/").ok_or("the repository is not where its files say that it is")?;
    let (_, name) = own.rsplit_once('/').ok_or("the repository has no owner")?;
    let mut wrong = Vec::new();
    // Files that name it in any case.
    for path in [
        "README.md",
        "pyproject.toml",
        "docs/ci.md",
        "docs/ci/github.yml",
        "docs/ci/pre-commit.yaml",
        "editors/vscode/package.json",
    ] {
        if !read(path)?.contains(own) {
            wrong.push(format!("{path} does not name {address}"));
        }
    }
    let listed = Command::new("git").args(["ls-files"]).current_dir(root).output();
    let listed = listed.map_err(|error| format!("cannot list the files: {error}"))?;
    for path in String::from_utf8_lossy(&listed.stdout).lines() {
        let Ok(text) = fs::read_to_string(root.join(path)) else { continue };
        for (at, found) in text.match_indices(&format!("/{name}")) {
            // `github.com/OWNER/NAME` and `uses: OWNER/NAME@`.
            let rest = text.get(at + found.len()..).unwrap_or("");
            let before = text.get(..at).unwrap_or("");
            let owner = before.chars().rev().take_while(|part| part.is_alphanumeric() || "-_.".contains(*part));
            let (head, owner) = before.split_at(before.len() - owner.map(char::len_utf8).sum::<usize>());
            let is_address = head.ends_with("github.com/") || (head.ends_with("uses: ") && rest.starts_with('@'));
            if is_address
                && !rest.starts_with(|part: char| part.is_alphanumeric() || part == '-')
                && format!("{owner}/{name}") != own
            {
                wrong.push(format!("{path} names {owner}/{name}, the project is at {address}"));
            }
        }
    }
    Ok(wrong)
}

/// The names of the packages below `crates`, sorted.
fn packages(root: &Path) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(root.join("crates")).map_err(|error| format!("cannot read crates: {error}"))?;
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

fn step(name: &str, command: &mut Command) -> Result<(), String> {
    println!("── {name}");
    let status = command.status().map_err(|error| format!("{name}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name} failed")) }
}

//! The workspace's own programs, as tests of other packages run them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::cache;

/// The programs that are run.
const PROGRAMS: [&str; 2] = ["zdm", "zdm-lint"];

/// The folder with `zdm` and `zdm-lint` as they are now, beside this program: cargo builds them, where what a run of the
/// workspace's tests has built is older than a file that it was made from.
///
/// # Errors
/// What cargo says.
pub fn programs() -> Result<PathBuf, String> {
    let own = env::current_exe().map_err(|error| format!("this program's path: {error}"))?;
    let beside = own.parent().ok_or("this program has no folder")?;
    // A test's program is in `deps` of the folder that holds the others.
    let folder = if beside.ends_with("deps") { beside.parent().unwrap_or(beside) } else { beside };
    if PROGRAMS.iter().all(|name| is_current(folder, name)) {
        return Ok(folder.to_path_buf());
    }
    let mut build = cargo();
    build.args(["build", "--quiet", "--message-format", "short"]);
    for name in PROGRAMS {
        build.args(["-p", name]);
    }
    let output = build.output().map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    match PROGRAMS.iter().find(|name| !folder.join(name).is_file()) {
        None => Ok(folder.to_path_buf()),
        Some(name) => Err(format!("no {name} in {}", folder.display())),
    }
}

/// Whether no file that cargo names as part of the program is newer.
fn is_current(folder: &Path, name: &str) -> bool {
    let written = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let Some(built) = written(&folder.join(name)) else { return false };
    let Ok(rules) = fs::read_to_string(folder.join(name).with_extension("d")) else { return false };
    let files = dependencies(&rules);
    let older = |file: &PathBuf| written(file).is_some_and(|time: SystemTime| time <= built);
    !files.is_empty() && files.iter().all(older) && written(&cache::workspace().join("Cargo.lock")) <= Some(built)
}

/// The files behind the first colon of a makefile's rule; a blank within a name stands behind a backslash.
fn dependencies(rule: &str) -> Vec<PathBuf> {
    let Some((_, list)) = rule.lines().next().and_then(|line| line.split_once(": ")) else { return Vec::new() };
    let list = list.replace("\\ ", "\0");
    list.split_whitespace().map(|name| PathBuf::from(name.replace('\0', " "))).collect()
}

/// Cargo at the workspace's root, as a person would call it.
///
/// What cargo tells a program that it runs about its package does not go along: build scripts that ask for it are run
/// again, and all that depends on them is built again, whenever it is another package than the last time.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(cache::workspace());
    without_package(&mut command);
    command
}

/// Takes from a command's environment what cargo told this program about its package; see [`cargo`].
pub fn without_package(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"];
        if name.to_str().is_some_and(|name| package.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_its_files() {
        let rule = "/t/zdm: /w/a.rs /w/with\\ blank/b.rs\n\n/w/a.rs:\n";
        assert_eq!(dependencies(rule), [PathBuf::from("/w/a.rs"), PathBuf::from("/w/with blank/b.rs")]);
        assert!(dependencies("").is_empty());
    }

    #[test]
    fn nothing_of_this_package_reaches_another_cargo() {
        assert!(env::var_os("CARGO_PKG_NAME").is_some(), "cargo runs the tests");
        let command = cargo();
        let removed: Vec<_> = command.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        assert!(removed.contains(&"CARGO_PKG_NAME".as_ref()) && removed.contains(&"CARGO_MANIFEST_DIR".as_ref()));
        assert!(!removed.contains(&"CARGO_TARGET_DIR".as_ref()));
    }

    #[test]
    fn a_program_is_as_old_as_its_newest_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let source = dir.path().join("a.rs");
        fs::write(&source, "").expect("written");
        assert!(!is_current(dir.path(), "zdm"));
        fs::write(dir.path().join("zdm"), "").expect("written");
        fs::write(dir.path().join("zdm.d"), format!("zdm: {}\n", source.display())).expect("written");
        assert!(is_current(dir.path(), "zdm"));
        let later = SystemTime::now() + std::time::Duration::from_mins(1);
        fs::File::options().write(true).open(&source).and_then(|file| file.set_modified(later)).expect("touched");
        assert!(!is_current(dir.path(), "zdm"));
        fs::remove_file(&source).expect("removed");
        assert!(!is_current(dir.path(), "zdm"));
    }
}

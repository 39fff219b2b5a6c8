//! The VS Code extension: compiled, linted, unit-tested, packaged, and its package's content checked.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use zdm_testkit::{cache, skip};

use crate::setup;

/// What the package must hold, in this order, and nothing else. The first two are the format's own.
const CONTENT: [&str; 7] = [
    "[Content_Types].xml",
    "extension.vsixmanifest",
    "extension/LICENSE.txt",
    "extension/changelog.md",
    "extension/dist/extension.js",
    "extension/package.json",
    "extension/readme.md",
];

pub(crate) fn check() -> Result<(), String> {
    println!("── VS Code extension");
    let npm = Command::new("npm").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !npm.is_ok_and(|status| status.success()) {
        skip::record("VS Code extension", "npm is not installed");
        return Ok(());
    }
    let folder = cache::workspace().join("editors/vscode");
    run(&folder, &["ci", "--no-audit", "--no-fund", "--loglevel=error"])?;
    for script in ["check", "lint", "test"] {
        run(&folder, &["run", "--silent", script])?;
    }
    let license = cache::workspace().join("LICENSE-MIT");
    fs::copy(license, folder.join("LICENSE.txt")).map_err(|error| format!("cannot copy the license: {error}"))?;
    run(&folder, &["run", "--silent", "package"])?;
    let found = content(&folder.join("zdm.vsix"))?;
    if found != CONTENT {
        return Err(format!("the extension's package holds {}", found.join(", ")));
    }
    println!("zdm.vsix holds what it should");
    Ok(())
}

fn run(folder: &Path, arguments: &[&str]) -> Result<(), String> {
    let mut npm = Command::new("npm");
    setup::output(npm.args(arguments).current_dir(folder))
        .map(drop)
        .map_err(|reason| format!("extension: npm {}: {reason}", arguments.join(" ")))
}

/// The files of an archive, sorted.
fn content(archive: &Path) -> Result<Vec<String>, String> {
    const LIST: &str = "import sys, zipfile\nfor name in zipfile.ZipFile(sys.argv[1]).namelist(): print(name)";
    let listed = setup::output(Command::new("python3").args(["-c", LIST]).arg(archive))?;
    let mut names: Vec<String> = listed.lines().map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

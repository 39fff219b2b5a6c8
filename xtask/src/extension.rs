//! The VS Code extension: compiled, linted, tested, packaged, and its package's content checked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use zdm_testkit::{cache, skip};

use crate::setup;

/// Without options, everything but a package with a server in it.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Pack this `zdm-lint` into the package, for one platform
    #[arg(long, value_name = "FILE", requires = "target")]
    program: Option<PathBuf>,
    /// VS Code's name of the program's platform, such as `linux-x64` or `win32-x64`
    #[arg(long, value_name = "NAME", requires = "program")]
    target: Option<String>,
}

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

pub(crate) fn run(options: &Options) -> Result<(), String> {
    match (&options.program, &options.target) {
        (Some(program), Some(target)) => {
            let folder = prepared()?;
            bundled(&folder, program, target).map(|package| println!("{}", package.display()))
        }
        _ => check(),
    }
}

/// Everything but a package with a server in it.
pub(crate) fn check() -> Result<(), String> {
    println!("── VS Code extension");
    let npm = Command::new("npm").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !npm.is_ok_and(|status| status.success()) {
        skip::record("VS Code extension", "npm is not installed");
        return Ok(());
    }
    let folder = prepared()?;
    for script in ["check", "lint", "test"] {
        npm_in(&folder, &["run", "--silent", script])?;
    }
    npm_in(&folder, &["run", "--silent", "package"])?;
    let found = content(&folder.join("zdm.vsix"))?;
    if found != CONTENT {
        return Err(format!("the extension's package holds {}", found.join(", ")));
    }
    println!("zdm.vsix holds what it should");
    Ok(())
}

/// The extension's folder with what it is built from.
fn prepared() -> Result<PathBuf, String> {
    let folder = cache::workspace().join("editors/vscode");
    npm_in(&folder, &["ci", "--no-audit", "--no-fund", "--loglevel=error"])?;
    let license = cache::workspace().join("LICENSE-MIT");
    fs::copy(license, folder.join("LICENSE.txt")).map_err(|error| format!("cannot copy the license: {error}"))?;
    Ok(folder)
}

/// The package without a server, nothing checked.
pub(crate) fn plain() -> Result<PathBuf, String> {
    let folder = prepared()?;
    npm_in(&folder, &["run", "--silent", "package"])?;
    Ok(folder.join("zdm.vsix"))
}

/// A package for one platform, with the server in it, beside the one without; the extension's folder is prepared.
pub(crate) fn bundled(folder: &Path, program: &Path, target: &str) -> Result<PathBuf, String> {
    let name = if target.starts_with("win32") { "zdm-lint.exe" } else { "zdm-lint" };
    let place = folder.join("bundled");
    let failed = |what: &str, error: std::io::Error| format!("extension: cannot {what}: {error}");
    fs::create_dir_all(&place).map_err(|error| failed("make the folder `bundled`", error))?;
    fs::copy(program, place.join(name)).map_err(|error| failed(&format!("copy {}", program.display()), error))?;
    let package = format!("zdm-{target}.vsix");
    let packed = npm_in(folder, &["run", "--silent", "package", "--", "--target", target, "--out", &package]);
    // Packages without a server are made of the same folder.
    fs::remove_dir_all(&place).map_err(|error| failed("remove the folder `bundled`", error))?;
    packed?;
    let found = content(&folder.join(&package))?;
    let mut expected: Vec<String> = CONTENT.iter().map(|name| (*name).to_owned()).collect();
    expected.push(format!("extension/bundled/{name} to run"));
    expected.sort();
    if found != expected {
        return Err(format!("the extension's package for {target} holds {}", found.join(", ")));
    }
    Ok(folder.join(package))
}

/// VS Code's name of the platform that this program was built for, where there is one.
pub(crate) fn own_target() -> Option<&'static str> {
    Some(match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "linux-x64",
        ("linux", "aarch64") => "linux-arm64",
        ("macos", "x86_64") => "darwin-x64",
        ("macos", "aarch64") => "darwin-arm64",
        _ => return None,
    })
}

fn npm_in(folder: &Path, arguments: &[&str]) -> Result<(), String> {
    let mut npm = Command::new("npm");
    setup::output(npm.args(arguments).current_dir(folder))
        .map(drop)
        .map_err(|reason| format!("extension: npm {}: {reason}", arguments.join(" ")))
}

/// The files of an archive, sorted; those that can be run say so.
fn content(archive: &Path) -> Result<Vec<String>, String> {
    const LIST: &str = "import sys, zipfile\n\
        for file in zipfile.ZipFile(sys.argv[1]).infolist():\n    \
        print(file.filename + (' to run' if file.external_attr >> 16 & 0o111 and 'bundled' in file.filename else ''))";
    let listed = setup::output(Command::new("python3").args(["-c", LIST]).arg(archive))?;
    let mut names: Vec<String> = listed.lines().map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

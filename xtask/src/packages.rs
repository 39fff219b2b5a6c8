//! `cargo xtask packages`: the wheel, built and installed, and everything that people meet through it: the action, the
//! hook, the CI systems' snippets. The tests themselves are `packaging/tests`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use zdm_testkit::{cache, cargo, without_package};

use crate::{extension, setup};

/// Builds the wheel as fast as it can be built, and runs the tests of the packages with it.
///
/// What is not there is the answer's first part: then nothing was tested.
pub(crate) fn run() -> Result<(), String> {
    println!("── packages");
    let root = cache::workspace();
    let environment = cache::root().join("consumers");
    if cache::stamp(&environment).is_none() {
        return Err("packages: run `cargo xtask setup` first, it provides maturin and pre-commit".to_owned());
    }
    let python = environment.join("bin/python");
    installed_by_cargo(&root)?;
    run_as_the_readme_says(&root)?;
    let wheels = wheels(&root, &python)?;
    let mut tests = Command::new(&python);
    tests.args(["-B", "-W", "ignore::ResourceWarning", "-m", "unittest", "discover", "--start-directory"]);
    tests.arg(root.join("packaging/tests")).env("ZDM_WHEELS", &wheels).current_dir(&root);
    tests.env("CARGO_TARGET_DIR", cache::target());
    let status = tests.status().map_err(|error| format!("cannot run {}: {error}", python.display()))?;
    if !status.success() {
        return Err("packages: the tests failed".to_owned());
    }
    extension_with_a_server(&python, &wheels)
}

/// The editor's package for this platform, with the wheel's program in it.
fn extension_with_a_server(python: &Path, wheels: &Path) -> Result<(), String> {
    let folder = cache::workspace().join("editors/vscode");
    let Some(target) = extension::own_target().filter(|_| folder.join("node_modules").is_dir()) else {
        zdm_testkit::skip::record("VS Code extension with a server", "npm is not installed");
        return Ok(());
    };
    let take = "import glob, sys, zipfile\n\
        (wheel,) = glob.glob(sys.argv[1] + '/*.whl')\n\
        archive = zipfile.ZipFile(wheel)\n\
        (name,) = [name for name in archive.namelist() if name.endswith('.data/scripts/zdm-lint')]\n\
        open(sys.argv[2], 'wb').write(archive.read(name))";
    let program = wheels.join("zdm-lint");
    setup::output(Command::new(python).args(["-c", take]).arg(wheels).arg(&program))?;
    executable(&program).map_err(|error| format!("cannot make {} a program: {error}", program.display()))?;
    let package = extension::bundled(&folder, &program, target)?;
    println!("{} holds what it should", package.display());
    Ok(())
}

#[cfg(unix)]
fn executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn executable(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// `cargo install` works, and what it installs runs.
fn installed_by_cargo(root: &Path) -> Result<(), String> {
    let folder = cache::target().join("installed");
    let mut install = cargo();
    install.args(["install", "--quiet", "--debug", "--locked", "--force", "--no-track", "--path", "crates/zdm-lint"]);
    install.arg("--root").arg(&folder).env("CARGO_TARGET_DIR", cache::target()).current_dir(root);
    let status = install.status().map_err(|error| format!("cannot run cargo install: {error}"))?;
    let version = Command::new(folder.join("bin/zdm-lint")).arg("--version").status();
    if status.success() && version.is_ok_and(|status| status.success()) {
        Ok(())
    } else {
        Err("packages: cargo install does not give a program that runs".to_owned())
    }
}

/// The README's own command on the fixture, in the profile of the tests: it ends with 1, for it finds something.
fn run_as_the_readme_says(root: &Path) -> Result<(), String> {
    let readme =
        fs::read_to_string(root.join("README.md")).map_err(|error| format!("cannot read README.md: {error}"))?;
    let command = readme
        .lines()
        .find_map(|line| line.strip_prefix("    cargo run --release "))
        .ok_or("packages: README.md does not say how to run from a checkout")?;
    let mut run = cargo();
    run.args(["run", "--quiet"]).args(command.split_whitespace()).env("CARGO_TARGET_DIR", cache::target());
    let done = run.current_dir(root).output().map_err(|error| format!("cannot run cargo: {error}"))?;
    let shown = String::from_utf8_lossy(&done.stdout);
    if done.status.code() == Some(1) && shown.contains("ZDM101") {
        Ok(())
    } else {
        let error = String::from_utf8_lossy(&done.stderr);
        Err(format!("packages: `cargo run {command}` ended with {}: {error}", done.status))
    }
}

/// The wheel of this checkout, without optimisation; its folder holds nothing else.
fn wheels(root: &Path, python: &Path) -> Result<PathBuf, String> {
    let folder = cache::target().join("wheels");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("cannot remove {}: {error}", folder.display()));
        }
        _ => {}
    }
    let mut maturin = Command::new(python);
    // The profile of the tests, so that what they have built is used again; any Linux of this machine's kind will do.
    maturin.args(["-m", "maturin", "build", "--quiet", "--locked", "--profile", "dev", "--auditwheel", "skip"]);
    maturin.arg("--out").arg(&folder).current_dir(root);
    maturin.env("CARGO_TARGET_DIR", cache::target());
    without_package(&mut maturin);
    let status = maturin.status().map_err(|error| format!("cannot run maturin: {error}"))?;
    if status.success() { Ok(folder) } else { Err("packages: the wheel was not built".to_owned()) }
}

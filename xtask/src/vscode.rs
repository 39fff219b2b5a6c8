//! `cargo xtask vscode`: the packaged extension in the real VS Code, with the server of this checkout.
//!
//! Microsoft's own builds are in no package registry; code-server is, and carries VS Code's server and workbench. The
//! window is a browser's without a screen. It is not a part of `ci`: it fetches some 300 MB.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use zdm_testkit::{cache, cargo};

use crate::{extension, setup};

/// The packages of npm's registry: VS Code 1.99, and what drives a browser.
const PACKAGES: [&str; 2] = ["code-server@4.99.4", "puppeteer-core@24.43.1"];

/// The migration that is opened.
const MIGRATION: &str = "from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [(\"orders\", \"0015_drop_note\")]

    operations = [
        migrations.RunPython(print),
    ]
";

pub(crate) fn run() -> Result<(), String> {
    let root = cache::workspace();
    let editor = editor()?;
    let browser = program(&["chromium", "chromium-browser", "google-chrome"], "chromium")?;
    let search = program(&["rg"], "ripgrep")?;
    link(&search, &editor.join("node_modules/code-server/lib/vscode/node_modules/@vscode/ripgrep/bin/rg"))?;

    setup::output(cargo().args(["build", "--quiet", "--package", "zdm-lint"]))?;
    let package = extension::plain()?;

    let scratch = tempfile::tempdir().map_err(|error| format!("cannot make a folder: {error}"))?;
    let project = scratch.path().join("shop");
    zdm_testkit::copy_folder(&root.join("fixtures/shop"), &project)
        .map_err(|error| format!("cannot copy the fixture: {error}"))?;
    fs::write(project.join("orders/migrations/0016_new.py"), MIGRATION)
        .map_err(|error| format!("cannot write a migration: {error}"))?;
    link(&cache::target().join("debug/zdm-lint"), &project.join(".venv/bin/zdm-lint"))?;

    let main = editor.join("node_modules/code-server/lib/vscode/out/server-main.js");
    let mut install = Command::new("node");
    install.arg(main).args(["--accept-server-license-terms", "--install-extension"]).arg(package);
    install.arg("--server-data-dir").arg(scratch.path().join("data"));
    install.arg("--extensions-dir").arg(scratch.path().join("extensions"));
    setup::output(&mut install)?;

    let mut session = Command::new("node");
    session.arg(root.join("editors/vscode/real/session.mjs"));
    session.env("ZDM_VSCODE", &editor).env("ZDM_CHROMIUM", browser);
    session.env("ZDM_PROJECT", &project).env("ZDM_SCRATCH", scratch.path());
    let status = session.status().map_err(|error| format!("cannot run node: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let kept = scratch.keep();
    Err(format!("vscode: the session failed; what it left is in {}", kept.display()))
}

/// VS Code's server and workbench, and the driver, as npm has them; what they would compile is not needed.
fn editor() -> Result<PathBuf, String> {
    let place = cache::root().join("vscode");
    let stamp = PACKAGES.join(" ");
    if cache::stamp(&place).as_deref() == Some(&stamp) {
        return Ok(place);
    }
    setup::announce(&format!("fetching {stamp} …"));
    setup::remove(&place)?;
    setup::create(&place)?;
    fs::write(place.join("package.json"), "{\"private\": true}\n").map_err(|error| format!("cannot write: {error}"))?;
    let npm = |folder: &Path, arguments: &[&str]| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
        setup::output(npm.args(arguments).current_dir(folder))
    };
    npm(&place, &PACKAGES)?;
    npm(&place.join("node_modules/code-server/lib/vscode"), &["--omit=dev"])?;
    setup::finish(&place, &stamp)?;
    Ok(place)
}

/// The first of these programs on `PATH`, else the distribution's package.
fn program(names: &[&str], package: &str) -> Result<PathBuf, String> {
    let find = || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
    };
    if let Some(found) = find() {
        return Ok(found);
    }
    setup::announce(&format!("installing {package} …"));
    let mut apt = Command::new("apt-get");
    apt.args(["install", "--yes", "--quiet", "--no-install-recommends", package]).stdin(Stdio::null());
    setup::output(apt.env("DEBIAN_FRONTEND", "noninteractive"))?;
    find().ok_or_else(|| format!("`{package}` was installed and is not on PATH"))
}

fn link(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot link {}: {error}", to.display());
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    match fs::remove_file(to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    std::os::unix::fs::symlink(from, to).map_err(failed)
}

//! Public projects for the tests: their sources to read, and environments to replay them in.
//!
//! A project's piece holds its Python and SQL files only, in the places where an installation has them, and its
//! settings module. Its stamp is a JSON object, which [`zdm_testkit::projects`] reads.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use zdm_testkit::cache;

use crate::pins::{self, Source};
use crate::python::Python;
use crate::setup::{self, Piece};

/// What tells the files to keep: all that can hold a migration.
const EXTENSIONS: [&str; 2] = ["py", "sql"];

/// Unpacks from a wheel what can hold a migration: a tenth of the whole.
const UNPACK: &str = "\
import glob, sys, zipfile
source, target, *extensions = sys.argv[1:]
[wheel] = glob.glob(source + '/*.whl')
with zipfile.ZipFile(wheel) as archive:
    archive.extractall(target, [n for n in archive.namelist() if n.rsplit('.', 1)[-1] in extensions])
";

/// The environments, as pieces to make first.
pub(crate) fn environments<'a>(root: &'a Path, pythons: &'a [&'a Python]) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    for pin in &pins::ENVIRONMENTS {
        for series in pin.djangos {
            pieces.push(Piece::new(format!("{} with Django {series}", pin.name), move || {
                let django = pins::DJANGO.iter().find(|django| django.series == *series);
                let django = django.ok_or_else(|| format!("Django {series} is not pinned"))?;
                let python = setup::newest(pythons, django.python)?;
                let packages: Vec<&str> = pin.packages.iter().chain(django.packages).copied().collect();
                setup::environment(&root.join("environments").join(place(pin.name, series)), python, &packages)?;
                Ok(format!("{} packages, Python {}", pin.packages.len(), python.spelled()))
            }));
        }
    }
    pieces
}

/// The projects themselves, once the environments are there.
pub(crate) fn projects<'a>(root: &'a Path, pythons: &'a [&'a Python]) -> Vec<Piece<'a>> {
    let piece = |pin: &'a pins::Project| {
        Piece::new(format!("{} {}", pin.name, pin.version), move || {
            let piece = root.join("projects").join(pin.name);
            match pin.source {
                Source::Installed { environment, packages, settings, run_python } => {
                    installed(root, &piece, pin, environment, packages, settings, run_python)
                }
                Source::Wheel => wheel(&piece, pin, pythons),
            }
        })
    };
    pins::PROJECTS.iter().map(piece).collect()
}

fn installed(
    root: &Path,
    piece: &Path,
    pin: &pins::Project,
    environment: &str,
    packages: &[&str],
    settings: &str,
    run_python: bool,
) -> Result<String, String> {
    let djangos = pins::ENVIRONMENTS.iter().find(|pin| pin.name == environment).map_or(&[][..], |pin| pin.djangos);
    let environments: Vec<(&str, String)> = djangos
        .iter()
        .map(|series| (*series, place(environment, series)))
        .filter(|(_, name)| cache::stamp(&root.join("environments").join(name)).is_some())
        .collect();
    let Some((_, first)) = environments.first() else { return Err("its environment could not be made".to_owned()) };
    let home = root.join("environments").join(first);
    let stamp = json!({
        "version": pin.version,
        "settings": settings,
        "run_python": run_python,
        "environments": environments.iter().map(|(series, name)| json!([series, name])).collect::<Vec<_>>(),
        "made_from": cache::stamp(&home),
        "packages": packages,
    })
    .to_string();
    if cache::stamp(piece).as_deref() != Some(&stamp) {
        setup::remove(piece)?;
        setup::create(piece)?;
        let site = site_packages(&home)?;
        for package in packages {
            copy(&site.join(package), &piece.join(package))?;
        }
    }
    let module = format!("{settings}.py");
    let from = cache::workspace().join("oracle/projects").join(&module);
    fs::copy(&from, piece.join(&module)).map_err(|error| format!("cannot copy {}: {error}", from.display()))?;
    setup::finish(piece, &stamp)?;
    Ok(format!("Django {}", environments.iter().map(|(series, _)| *series).collect::<Vec<_>>().join(", ")))
}

fn wheel(piece: &Path, pin: &pins::Project, pythons: &[&Python]) -> Result<String, String> {
    let stamp = json!({ "version": pin.version }).to_string();
    if cache::stamp(piece).as_deref() != Some(&stamp) {
        let python = pythons.last().ok_or("no Python is installed")?;
        setup::announce(&format!("fetching {} {} …", pin.name, pin.version));
        let new = piece.with_extension("new");
        setup::remove(&new)?;
        let download = new.join("download");
        setup::create(&download)?;
        let requirement = format!("{}=={}", pin.name, pin.version);
        let mut pip = Command::new(&python.program);
        pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"])
            .args(["--only-binary", ":all:", "--ignore-requires-python", "--dest"])
            .arg(&download)
            .arg(requirement);
        setup::output(&mut pip)?;
        let mut unpack = Command::new(&python.program);
        unpack.args(["-c", UNPACK]).arg(&download).arg(new.join("tree")).args(EXTENSIONS);
        setup::output(&mut unpack)?;
        setup::finish(&new.join("tree"), &stamp)?;
        setup::remove(piece)?;
        setup::rename(&new.join("tree"), piece)?;
        setup::remove(&new)?;
    }
    Ok("sources only".to_owned())
}

fn place(environment: &str, series: &str) -> String {
    format!("{environment}-{series}")
}

fn site_packages(environment: &Path) -> Result<std::path::PathBuf, String> {
    let lib = environment.join("lib");
    fs::read_dir(&lib)
        .map_err(|error| format!("cannot read {}: {error}", lib.display()))?
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("site-packages"))
        .find(|path| path.is_dir())
        .ok_or_else(|| format!("{} has no site-packages", environment.display()))
}

/// Copies the files worth keeping, and the directories that have any.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let unreadable = |error| format!("cannot copy {}: {error}", from.display());
    for entry in fs::read_dir(from).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().map_err(unreadable)?.is_dir() {
            copy(&source, &target)?;
        } else if source.extension().is_some_and(|found| EXTENSIONS.iter().any(|wanted| found == *wanted)) {
            setup::create(to)?;
            fs::copy(&source, &target).map_err(unreadable)?;
        }
    }
    Ok(())
}

//! What reads the reports in the tests: validators and parsers of the formats, and SARIF's schema; what knows the schemas of
//! the deploy recipes; and PostgreSQL's grammar, with SQL for it to read.

use std::fs;
use std::path::Path;
use std::process::Command;

use zdm_testkit::cache;

use crate::pins;
use crate::python::Python;
use crate::setup::{self, Piece};

pub(crate) fn pieces<'a>(root: &'a Path, pythons: &'a [&'a Python], npm: bool) -> Vec<Piece<'a>> {
    let readers = Piece::new("readers of reports".to_owned(), move || {
        let python = setup::newest(pythons, (9, 14))?;
        setup::environment(&root.join("consumers"), python, &pins::CONSUMERS)?;
        Ok(format!("{} packages, Python {}", pins::CONSUMERS.len(), python.spelled()))
    });
    let schema = Piece::new("SARIF schema".to_owned(), move || {
        let piece = root.join("schemas");
        let (package, member) = pins::SARIF_SCHEMA;
        if cache::stamp(&piece).as_deref() == Some(package) {
            return Ok(package.to_owned());
        }
        if !npm {
            return Err("npm is not installed".to_owned());
        }
        setup::announce(&format!("fetching {package} …"));
        fetch(&piece, package, member)?;
        Ok(package.to_owned())
    });
    let deploy = Piece::new("schemas of deploy recipes".to_owned(), move || {
        let python = setup::newest(pythons, (10, 14))?;
        setup::environment(&root.join("deploy"), python, &pins::DEPLOY)?;
        Ok(format!("{} packages, Python {}", pins::DEPLOY.len(), python.spelled()))
    });
    let grammar = Piece::new("PostgreSQL's grammar".to_owned(), move || {
        let python = setup::newest(pythons, (10, 14))?;
        let (package, _) = pins::GRAMMAR;
        let piece = root.join("grammar");
        setup::environment(&piece, python, &[package])?;
        regression(&root.join("regression"), &piece.join("bin/python"))?;
        Ok(format!("{package}, with the server's regression tests"))
    });
    vec![readers, schema, deploy, grammar]
}

/// The SQL of PostgreSQL's regression tests.
fn regression(piece: &Path, python: &Path) -> Result<(), String> {
    let (package, member) = pins::GRAMMAR;
    if cache::stamp(piece).as_deref() == Some(package) {
        return Ok(());
    }
    let (name, _) = package.split_once("==").unwrap_or((package, ""));
    setup::announce("fetching PostgreSQL's regression tests …");
    let new = piece.with_extension("new");
    setup::remove(&new)?;
    setup::create(&new)?;
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"])
        .args(["--no-binary", name, "--dest"])
        .arg(&new)
        .arg(package);
    setup::output(&mut pip)?;
    let folder = package.replace("==", "-");
    let member = format!("{folder}/{member}");
    let mut tar = Command::new("tar");
    setup::output(tar.args(["--no-same-owner", "-xzf", &format!("{folder}.tar.gz"), &member]).current_dir(&new))?;
    setup::remove(piece)?;
    setup::rename(&new.join(&member), piece)?;
    setup::remove(&new)?;
    setup::finish(piece, package)
}

/// One file of a package of the npm registry, as `sarif.json`.
fn fetch(piece: &Path, package: &str, member: &str) -> Result<(), String> {
    setup::remove(piece)?;
    setup::create(piece)?;
    let mut npm = Command::new("npm");
    npm.args(["pack", "--silent", "--loglevel=error", package]).current_dir(piece);
    let archive = setup::output(&mut npm)?;
    let archive = archive.lines().last().map(str::trim).unwrap_or_default().to_owned();
    let mut tar = Command::new("tar");
    setup::output(tar.args(["--no-same-owner", "-xzf", &archive, member]).current_dir(piece))?;
    setup::rename(&piece.join(member), &piece.join("sarif.json"))?;
    setup::remove(&piece.join("package"))?;
    fs::remove_file(piece.join(&archive)).map_err(|error| format!("cannot remove {archive}: {error}"))?;
    setup::finish(piece, package)
}

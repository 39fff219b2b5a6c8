//! The program's own answers against real Django on a real server: SQL, state and catalog of the fixtures.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the table is what the test measures")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use zdm_testkit::agreement::{Prediction, agreement, table};
use zdm_testkit::{DJANGOS, Django, Oracle, Server, cache, generate};

fn zdm_lint(arguments: &[&str], environment: Option<&Path>) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_zdm-lint"))
        .args(arguments)
        .args(["--format", "json"])
        .current_dir(cache::workspace())
        .env_clear()
        .envs(environment.map(|folder| ("VIRTUAL_ENV", folder)))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Compares a fixture on every Django at hand that it runs on, and prints the table.
fn check(project: &str, settings: &str, runs_on: impl Fn(&str) -> bool) {
    let server = Server::newest();
    let major = server.major();
    let mut rows = Vec::new();
    for django in Django::available_for("the program against Django", &DJANGOS) {
        if !runs_on(django.version()) || !django.supports(major) {
            continue;
        }
        let folder = format!("fixtures/{project}");
        let root: &Path = Path::new(&folder);
        let oracle = Oracle::settings(&cache::workspace().join(root), settings);
        let report = oracle.replay(&django, &server.database());
        let version = major.to_string();
        let common = ["--root", &folder, "--postgres", &version, "--django", django.version()];
        let sqlmigrate = zdm_lint(&[&["sqlmigrate", "--all"], &common[..]].concat(), None);
        let state = zdm_lint(&[&["state"], &common[..]].concat(), None);
        rows.push(agreement(project, &report, Prediction { sqlmigrate: &sqlmigrate, state: &state }));
    }
    println!("{}", table(&rows));
    assert!(!rows.is_empty());
    for row in &rows {
        assert!(row.is_complete(), "Django {}:\n{}", row.django, row.differences.join("\n"));
    }
}

#[test]
fn the_shop_is_what_django_makes_of_it() {
    check("shop", "shop.settings", |_| true);
}

#[test]
fn the_next_shop_is_what_django_makes_of_it() {
    check("shop-next", "depot.settings", |version| !matches!(version, "3.2" | "4.2"));
}

/// Whole histories of projects that nobody here wrote, each in its newest environment.
#[test]
fn public_projects_are_what_django_makes_of_them() {
    let server = Server::newest();
    let major = server.major().to_string();
    let mut rows = Vec::new();
    for project in zdm_testkit::projects() {
        let Some(settings) = project.settings() else { continue };
        let Some(django) = project.environments().pop() else { continue };
        let report = project.oracle().replay(&django, &server.database());
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("zdm.toml");
        std::fs::write(&config, format!("settings = \"{settings}\"\n")).unwrap();
        let (root, config) = (project.root().to_str().unwrap(), config.to_str().unwrap());
        let common = ["--root", root, "--config", config, "--postgres", &major, "--django", django.version()];
        let sqlmigrate = zdm_lint(&[&["sqlmigrate", "--all"], &common[..]].concat(), Some(django.dir()));
        let state = zdm_lint(&[&["state"], &common[..]].concat(), Some(django.dir()));
        rows.push(agreement(project.name(), &report, Prediction { sqlmigrate: &sqlmigrate, state: &state }));
    }
    println!("{}", table(&rows));
    for row in &rows {
        let statements = row.statements_equal == row.statements && row.statements_wrong == 0;
        // Behind an operation that is not analysed, the worlds are known to be known less well.
        let worlds = row.analysed < row.operations || row.is_complete();
        assert!(statements && worlds, "{}, Django {}:\n{}", row.project, row.django, row.differences.join("\n"));
    }
}

/// A history as long as that of a large app, of what real ones are made of.
#[test]
fn a_generated_project_is_what_django_makes_of_it() {
    let folder = tempfile::tempdir().unwrap();
    generate::write(150, folder.path()).unwrap();
    let server = Server::newest();
    let django = Django::available_for("a generated project", &["5.2"]).remove(0);
    let report = Oracle::settings(folder.path(), generate::SETTINGS).replay(&django, &server.database());
    let version = server.major().to_string();
    let root = folder.path().to_str().unwrap();
    let common = ["--root", root, "--postgres", &version, "--django", django.version()];
    let sqlmigrate = zdm_lint(&[&["sqlmigrate", "--all"], &common[..]].concat(), None);
    let state = zdm_lint(&[&["state"], &common[..]].concat(), None);
    let row = agreement("generated", &report, Prediction { sqlmigrate: &sqlmigrate, state: &state });
    println!("{}", table(std::slice::from_ref(&row)));
    assert!(row.is_complete(), "{}", row.differences.join("\n"));
}

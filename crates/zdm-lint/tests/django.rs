//! The program's own answers against real Django on a real server: SQL, state and catalog of the fixtures.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the table is what the test measures")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use zdm_testkit::agreement::{Prediction, agreement, table};
use zdm_testkit::{DJANGOS, Django, Oracle, Server, cache};

fn zdm_lint(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_zdm-lint"))
        .args(arguments)
        .args(["--format", "json"])
        .current_dir(cache::workspace())
        .env_clear()
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
        let sqlmigrate = zdm_lint(&[&["sqlmigrate", "--all"], &common[..]].concat());
        let state = zdm_lint(&[&["state"], &common[..]].concat());
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

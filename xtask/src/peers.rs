//! `cargo xtask peers`: asks other linters about the cases of docs/comparison.md.

use std::process::Command;

use zdm_testkit::{Server, USER, cache};

use crate::python::{self, Python};
use crate::{pins, setup};

/// Writes the peers' answers into `fixtures/comparison/cases.md`.
pub(crate) fn run() -> Result<(), String> {
    let pythons = python::find();
    let pythons: Vec<&Python> = pythons.values().collect();
    let series = pins::PEERS.django;
    let django = pins::DJANGO.iter().find(|pin| pin.series == series).ok_or("the peers' Django is not pinned")?;
    let home = cache::root().join("environments").join("peers");
    let packages: Vec<&str> = pins::PEERS.packages.iter().chain(django.packages).copied().collect();
    setup::environment(&home, setup::newest(&pythons, django.python)?, &packages)?;
    let database = Server::shared(16).database();
    let root = cache::workspace();
    let status = Command::new(home.join("bin/python"))
        .arg(root.join("oracle/peers.py"))
        .arg(root.join("fixtures/comparison/cases.md"))
        .env("PGHOST", database.server().socket_dir())
        .env("PGPORT", database.server().port().to_string())
        .env("PGUSER", USER)
        .env("PGDATABASE", database.name())
        .status()
        .map_err(|error| format!("cannot run Python: {error}"))?;
    if status.success() { Ok(()) } else { Err("the other linters did not answer".to_owned()) }
}

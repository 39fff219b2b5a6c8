//! A connection pooler for the tests: pgbouncer, from the machine or its distribution.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::setup::{self, Piece};

/// Places of the program that are not on every user's `PATH`.
const PLACES: [&str; 3] = ["/usr/sbin/pgbouncer", "/usr/local/sbin/pgbouncer", "/opt/homebrew/bin/pgbouncer"];

pub(crate) fn piece<'a>() -> Piece<'a> {
    Piece::new("pgbouncer".to_owned(), || {
        if let Some(path) = installed() {
            return Ok(format!("installed, {}", path.display()));
        }
        setup::announce("installing pgbouncer with apt-get …");
        install()?;
        installed().map_or_else(
            || Err("apt-get installed it, but it is not to be found".to_owned()),
            |path| Ok(format!("installed by apt-get, {}", path.display())),
        )
    })
}

fn installed() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&folders).map(|folder| folder.join("pgbouncer")).find(|path| path.is_file());
    on_path.or_else(|| PLACES.iter().map(PathBuf::from).find(|path| path.is_file()))
}

/// As root, or with a `sudo` that asks nothing. The package's own service is not started.
fn install() -> Result<(), String> {
    let mut reasons = Vec::new();
    for prefix in [&[][..], &["sudo", "-n"][..]] {
        for words in [
            &["apt-get", "update", "-qq"][..],
            &["apt-get", "install", "-y", "-qq", "--no-install-recommends", "pgbouncer"][..],
        ] {
            let mut command = words_of(prefix, words);
            command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1").stdin(Stdio::null());
            if let Err(reason) = setup::output(&mut command) {
                reasons.push(reason);
            }
        }
        if installed().is_some() {
            return Ok(());
        }
    }
    Err(reasons.pop().unwrap_or_else(|| "apt-get is not to be had".to_owned()))
}

fn words_of(prefix: &[&str], words: &[&str]) -> Command {
    let mut all = prefix.iter().chain(words);
    let mut command = Command::new(all.next().copied().unwrap_or("apt-get"));
    command.args(all);
    command
}

//! The Python interpreters of the machine.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// An interpreter that can make virtual environments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Python {
    pub(crate) program: PathBuf,
    /// `(3, 12, 1)`.
    pub(crate) version: (u32, u32, u32),
}

/// The interpreters found in pyenv's versions and on `PATH`, the newest patch of each minor, by minor.
pub(crate) fn find() -> BTreeMap<u32, Python> {
    let mut programs: Vec<PathBuf> = Vec::new();
    let pyenv = env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".pyenv")));
    if let Some(versions) = pyenv.and_then(|root| fs::read_dir(root.join("versions")).ok()) {
        programs.extend(versions.filter_map(Result::ok).map(|entry| entry.path().join("bin/python3")));
    }
    programs.sort();
    programs.push(PathBuf::from("python3"));
    programs.extend((8..=15).map(|minor| PathBuf::from(format!("python3.{minor}"))));

    let mut found: BTreeMap<u32, Python> = BTreeMap::new();
    for program in programs {
        if let Some(python) = probe(program)
            && found.get(&python.version.1).is_none_or(|known| known.version < python.version)
        {
            found.insert(python.version.1, python);
        }
    }
    found
}

impl Python {
    pub(crate) fn spelled(&self) -> String {
        let (major, minor, patch) = self.version;
        format!("{major}.{minor}.{patch}")
    }
}

fn probe(program: PathBuf) -> Option<Python> {
    // The executable is asked for its own path: a shim on PATH may answer differently in another directory.
    const QUESTION: &str = "import sys, venv, ensurepip; print(*sys.version_info[:3], sys.executable)";
    let output = Command::new(program).args(["-c", QUESTION]).stderr(Stdio::null()).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8(output.stdout).ok()?;
    let mut words = text.trim_end().splitn(4, ' ');
    let mut number = || words.next()?.parse().ok();
    let version = (number()?, number()?, number()?);
    let program = PathBuf::from(words.next()?);
    (version.0 == 3).then_some(Python { program, version })
}

//! Real Django, in the virtual environments that `cargo xtask setup` makes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, cache, skip};

/// The Django versions that the project answers for, oldest first. The last is the newest release.
pub const DJANGOS: [&str; 5] = ["3.2", "4.2", "5.2", "6.0", "6.1"];

/// A virtual environment with a Django.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Django {
    version: String,
    dir: PathBuf,
    psycopg2: bool,
}

/// The Djangos whose environment holds psycopg2 beside psycopg 3, which they prefer.
const WITH_BOTH_DRIVERS: [&str; 2] = ["4.2", "5.2"];

impl Django {
    /// The environment of a version as it is written in [`DJANGOS`]; `None` if it is not provisioned.
    pub fn env(version: &str) -> Option<Self> {
        let dir = cache::root().join("django").join(version);
        cache::stamp(&dir)?;
        Some(Self { version: version.to_owned(), dir, psycopg2: false })
    }

    /// The environment of a version.
    ///
    /// # Panics
    /// If it is not provisioned.
    pub fn get(version: &str) -> Self {
        Self::env(version).unwrap_or_else(|| panic!("{}", Error::NoDjango { version: version.to_owned() }))
    }

    /// An environment elsewhere, such as that of a public project (see [`crate::projects`]). `version` is its Django's.
    pub fn at(dir: &Path, version: &str) -> Self {
        Self { version: version.to_owned(), dir: dir.to_path_buf(), psycopg2: false }
    }

    /// The environments that are provisioned, oldest Django first.
    pub fn available() -> Vec<Self> {
        DJANGOS.into_iter().filter_map(Self::env).collect()
    }

    /// The environments among `versions` that can be tested here. Those that are missing are recorded as skipped,
    /// under `layer`, and `cargo xtask test` reports them.
    ///
    /// # Panics
    /// If none of them is provisioned: a layer of tests never passes by skipping everything.
    pub fn available_for(layer: &str, versions: &[&str]) -> Vec<Self> {
        let mut found = Vec::new();
        for version in versions {
            match Self::env(version) {
                Some(django) => found.push(django),
                None => skip::record(layer, &format!("Django {version} is not provisioned")),
            }
        }
        assert!(!found.is_empty(), "{}", Error::NoDjango { version: versions.join(", ") });
        found
    }

    /// The same environments, and once more those that have psycopg2 too, with it as their driver.
    ///
    /// # Panics
    /// As [`Self::available_for`].
    pub fn with_each_driver(layer: &str, versions: &[&str]) -> Vec<Self> {
        let mut found = Self::available_for(layer, versions);
        let both = found.iter().filter(|django| WITH_BOTH_DRIVERS.contains(&&*django.version));
        let with_psycopg2: Vec<Self> = both.map(|django| Self { psycopg2: true, ..django.clone() }).collect();
        found.extend(with_psycopg2);
        found
    }

    /// The version, and the driver where it is not the one that this Django prefers: `"5.2"`, `"5.2 psycopg2"`.
    pub fn name(&self) -> String {
        format!("{}{}", self.version, if self.psycopg2 { " psycopg2" } else { "" })
    }

    /// Whether it is to use psycopg2 though psycopg 3 is there.
    pub(crate) fn prefers_psycopg2(&self) -> bool {
        self.psycopg2
    }

    /// The version as it is written in [`DJANGOS`]: `"5.2"`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether this Django accepts a server of this major (`minimum_database_version` of its backend).
    pub fn supports(&self, major: u32) -> bool {
        let oldest = match self.version.as_str() {
            "3.2" | "4.0" | "4.1" => 10,
            "4.2" => 12,
            "5.0" | "5.1" => 13,
            "5.2" | "6.0" => 14,
            _ => 15,
        };
        major >= oldest
    }

    /// The directory of the virtual environment.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its interpreter.
    pub fn python(&self) -> PathBuf {
        self.dir.join("bin/python")
    }

    /// Where its packages lie, Django's own sources among them; `None` if it has no such directory.
    pub fn site_packages(&self) -> Option<PathBuf> {
        let libraries = std::fs::read_dir(self.dir.join("lib")).ok()?.filter_map(Result::ok);
        libraries.map(|entry| entry.path().join("site-packages")).find(|path| path.is_dir())
    }

    /// A command that runs its interpreter, without the settings that the environment may carry.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.python());
        command
            .env_remove("DJANGO_SETTINGS_MODULE")
            .env_remove("DATABASE_URL")
            .env_remove("PYTHONPATH")
            .env_remove("PYTHONHOME")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONHASHSEED", "0");
        for name in ["PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGSERVICE", "PGOPTIONS"] {
            command.env_remove(name);
        }
        command
    }
}

//! The private directory of one run: the socket, and the shim that Python finds on `PYTHONPATH`.
//!
//! It is removed with this value; by the shim where the guard was killed; and by the next run where both were. A run
//! holds a lock on a file in it as long as it lives, so that nobody takes a living one for a left one.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

const SHIM: &str = include_str!("shim/sitecustomize.py");

const PREFIX: &str = "zdm-guard-";

/// The longest path that a unix socket may have on every system: 104 bytes on macOS, with the final zero.
const LONGEST_SOCKET: usize = 103;

#[derive(Debug)]
pub(crate) struct Place {
    directory: TempDir,
    /// Holds the lock.
    _alive: File,
}

impl Place {
    pub(crate) fn make() -> io::Result<Self> {
        let usual = std::env::temp_dir();
        let short = usual.as_os_str().len() + PREFIX.len() + 16 < LONGEST_SOCKET;
        let parent = if short { usual } else { PathBuf::from("/tmp") };
        sweep(&parent);
        let directory = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(parent)?;
        let alive = File::create(directory.path().join("alive"))?;
        alive.lock()?;
        let python = directory.path().join("python");
        fs::create_dir(&python)?;
        fs::write(python.join("sitecustomize.py"), SHIM)?;
        Ok(Self { directory, _alive: alive })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// `PYTHONPATH` with the shim in front of what was there.
    pub(crate) fn python_path(&self) -> OsString {
        let mut path = self.directory.path().join("python").into_os_string();
        if let Some(before) = std::env::var_os("PYTHONPATH").filter(|before| !before.is_empty()) {
            path.push(":");
            path.push(before);
        }
        path
    }
}

/// Removes what killed runs of this user left.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    let own = fs::metadata("/proc/self").ok().map(|meta| meta.uid());
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let is_ours = fs::symlink_metadata(entry.path())
            .is_ok_and(|meta| meta.is_dir() && own.is_some_and(|own| own == meta.uid()));
        let Ok(alive) = File::open(entry.path().join("alive")) else { continue };
        if is_ours && alive.try_lock().is_ok() {
            // What cannot be removed stays for the next run.
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

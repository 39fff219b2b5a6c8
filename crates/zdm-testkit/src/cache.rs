//! Where provisioned things lie: one directory that `cargo xtask setup` fills and the tests read.
//!
//! ```text
//! zdm-test/
//!   lock                     held while something is provisioned
//!   postgres/16/             bin/, lib/, share/ of one server (or a link to the machine's own)
//!   django/5.2/              a virtual environment
//!   projects/wagtail/        the source tree of a public project
//!   environments/wagtail/    a virtual environment in which that project runs
//!   consumers/               a virtual environment with readers of the report formats
//!   deploy/                  a virtual environment with the schemas of Kubernetes and GitHub Actions
//!   schemas/sarif.json       SARIF's published schema
//!   grammar/                 a virtual environment with PostgreSQL's own grammar
//!   regression/              the SQL of PostgreSQL's regression tests
//!   skipped/NAME             why a piece is missing, one line
//! ```
//! A piece is complete when it has a stamp: a file named `.stamp` that holds the pins it was made from. Whatever has
//! no stamp is the rest of an interrupted run, and is made anew.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The name of the file that marks a complete piece.
pub const STAMP: &str = ".stamp";

/// The directory of provisioned things.
///
/// `ZDM_TEST_CACHE` if it is set (several target directories may share one), else `zdm-test` in cargo's target
/// directory: `CARGO_TARGET_DIR`, else the target directory that the running program was built in, else `target` in
/// the workspace.
pub fn root() -> PathBuf {
    if let Some(dir) = env::var_os("ZDM_TEST_CACHE").filter(|dir| !dir.is_empty()) {
        return absolute(Path::new(&dir));
    }
    target().join("zdm-test")
}

/// The workspace's root directory, as it was when this crate was compiled.
pub fn workspace() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_path_buf()
}

/// The pins that a complete piece was made from; `None` if the piece is missing or was never finished.
pub fn stamp(piece: &Path) -> Option<String> {
    fs::read_to_string(piece.join(STAMP)).ok()
}

/// The names of the complete pieces below `root()/kind`, sorted as text.
pub fn pieces(kind: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root().join(kind)) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| stamp(&entry.path()).is_some())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// Cargo's target directory.
pub fn target() -> PathBuf {
    if let Some(dir) = env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty()) {
        return absolute(Path::new(&dir));
    }
    // Cargo marks its target directory with a cache tag.
    env::current_exe()
        .ok()
        .and_then(|exe| exe.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file()).map(Path::to_path_buf))
        .unwrap_or_else(|| workspace().join("target"))
}

/// Cargo reads a relative target directory from the directory it is started in, tests run in their package's: the
/// workspace's root is what both mean.
fn absolute(dir: &Path) -> PathBuf {
    if dir.is_absolute() { dir.to_path_buf() } else { workspace().join(dir) }
}

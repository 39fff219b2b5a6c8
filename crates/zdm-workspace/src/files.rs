//! The text of a project's files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use zdm_source::SourceFile;

use crate::analysis::names_in;
use crate::decode::{DecodeProblem, decode};

/// A larger file is not read: no person wrote it as a migration. 16 MiB.
pub const LARGEST: u64 = 16 * 1024 * 1024;

/// A file as far as it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Empty where nothing could be read.
    pub file: SourceFile,
    pub problem: Option<FileProblem>,
}

/// What is wrong with a file, short of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileProblem {
    Missing,
    Unreadable(String),
    /// Bytes.
    TooLarge(u64),
    Encoding(DecodeProblem),
    /// A pipe, a device, a socket.
    NotAFile,
}

impl std::fmt::Display for FileProblem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => formatter.write_str("does not exist"),
            Self::Unreadable(reason) => write!(formatter, "cannot be read: {reason}"),
            Self::TooLarge(bytes) => {
                write!(formatter, "is {} MiB large; files above {} MiB are not read", bytes >> 20, LARGEST >> 20)
            }
            Self::Encoding(problem) => problem.fmt(formatter),
            Self::NotAFile => formatter.write_str("is not a regular file"),
        }
    }
}

/// Read `path`, which is relative to `root`.
pub fn read(root: &Path, path: &str) -> Text {
    let shared: Arc<str> = Arc::from(path);
    let (text, problem) = match bytes(&root.join(path)) {
        Ok(bytes) => {
            let (text, problem) = decode(&bytes);
            (text, problem.map(FileProblem::Encoding))
        }
        Err(problem) => (String::new(), Some(problem)),
    };
    Text { file: SourceFile::new(shared, text), problem }
}

fn bytes(path: &Path) -> Result<Vec<u8>, FileProblem> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => FileProblem::Missing,
        _ => FileProblem::Unreadable(error.to_string()),
    };
    // Opening a pipe would wait for its writer, so look first.
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(FileProblem::NotAFile);
    }
    if metadata.len() > LARGEST {
        return Err(FileProblem::TooLarge(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    // A file may grow while it is read.
    let mut limited = File::open(path).map_err(failed)?.take(LARGEST + 1);
    limited.read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(FileProblem::TooLarge(bytes.len() as u64));
    }
    Ok(bytes)
}

/// Files by path, each read once, from any thread. Unsaved texts of an editor go before those on disk.
#[derive(Debug)]
pub struct Files {
    root: PathBuf,
    paths: Vec<Arc<str>>,
    texts: Mutex<BTreeMap<Arc<str>, Text>>,
    listed: Mutex<BTreeMap<String, Vec<String>>>,
}

impl Files {
    /// `paths` are relative to `root` and sorted.
    pub fn new(root: PathBuf, paths: Vec<Arc<str>>) -> Self {
        Self { root, paths, texts: Mutex::default(), listed: Mutex::default() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All Python files, sorted; few of them are ever read.
    pub fn paths(&self) -> &[Arc<str>] {
        &self.paths
    }

    /// The file, read when it is first asked for.
    pub fn text(&self, path: &str) -> Text {
        if let Some(text) = self.lock().get(path) {
            return text.clone();
        }
        let text = read(&self.root, path);
        self.lock().entry(text.file.path_arc()).or_insert(text).clone()
    }

    /// Read many files in parallel; the result is in the order of `paths`.
    pub fn texts(&self, paths: &[Arc<str>]) -> Vec<Text> {
        paths.par_iter().map(|path| self.text(path)).collect()
    }

    /// Take `text` for the file instead of what is on disk.
    pub fn overlay(&self, path: &str, text: &str) {
        let file = SourceFile::new(path, text);
        self.lock().insert(file.path_arc(), Text { file, problem: None });
    }

    /// Forget the file, so that it is read again.
    pub fn forget(&self, path: &str) {
        self.lock().remove(path);
    }

    /// The names in a folder, sorted, as they were when they were first asked for.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let names = names_in(&self.root.join(folder));
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        listed.entry(folder.to_owned()).or_insert(names).clone()
    }

    /// The folders whose names were asked for so far, with those names.
    pub(crate) fn listings(&self) -> BTreeMap<String, Vec<String>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The files that were read so far, by path.
    pub(crate) fn read_so_far(&self) -> BTreeMap<Arc<str>, Text> {
        self.lock().clone()
    }

    /// What is wrong with the files that were read so far, by path.
    pub fn problems(&self) -> Vec<(Arc<str>, FileProblem)> {
        self.lock().iter().filter_map(|(path, text)| Some((Arc::clone(path), text.problem.clone()?))).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, Text>> {
        // A thread that panicked left a map in which every entry is whole.
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

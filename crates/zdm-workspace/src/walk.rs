//! Which Python files a project has.
//!
//! Folders that hold no code of the project are left out: virtual environments (a `pyvenv.cfg` marks them), version
//! control, caches, `node_modules`, installed packages, hidden folders, and the `build` and `dist` that packaging
//! leaves beside a `pyproject.toml` or `setup.py`. A folder that git ignores is left out too, unless git tracks files
//! in it or it is named `migrations`: projects exist that ignore their migrations, and those run in production all the
//! same. Whatever is left out for a reason that a user may want to know is listed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use git2::Repository;

use crate::discover::real_path;
use crate::pattern::PathPattern;

/// The Python files below a root and what was not entered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// Relative to the root with `/` between the parts, sorted.
    pub paths: Vec<Arc<str>>,
    pub skipped: Vec<(String, Skipped)>,
    /// Virtual environments below the root, sorted.
    pub environments: Vec<PathBuf>,
}

/// Why a folder was not entered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skipped {
    IgnoredByGit,
    Excluded,
    Unreadable(String),
    /// A symbolic link to a folder that is walked anyway, or that leads back to itself.
    Link,
    /// A name that is not Unicode: Python could not import from it.
    NotUnicode,
    TooDeep,
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::IgnoredByGit => formatter.write_str("ignored by git"),
            Self::Excluded => formatter.write_str("excluded by the configuration"),
            Self::Unreadable(reason) => write!(formatter, "not readable: {reason}"),
            Self::Link => formatter.write_str("a symbolic link to a folder that is read anyway"),
            Self::NotUnicode => formatter.write_str("its name is not Unicode"),
            Self::TooDeep => write!(formatter, "more than {DEEPEST} folders deep"),
        }
    }
}

const DEEPEST: usize = 64;

const NEVER: [&str; 5] = ["node_modules", "__pycache__", "site-packages", "bower_components", "htmlcov"];

/// All Python files below `root`, in the order of their paths.
pub fn walk(root: &Path, exclude: &[PathPattern], repository: Option<&Repository>) -> Walk {
    let real_root = real_path(root).unwrap_or_else(|_| root.to_owned());
    let mut walker = Walker {
        exclude,
        git: repository.and_then(|repository| Git::new(repository, &real_root)),
        real_root: real_root.clone(),
        linked: BTreeSet::new(),
        result: Walk::default(),
    };
    walker.folder(&real_root, "", 0);
    walker.result.paths.sort();
    walker.result.skipped.sort();
    walker.result.environments.sort();
    walker.result
}

struct Walker<'a> {
    exclude: &'a [PathPattern],
    git: Option<Git<'a>>,
    real_root: PathBuf,
    /// Real paths of the folders that were entered through links.
    linked: BTreeSet<PathBuf>,
    result: Walk,
}

impl Walker<'_> {
    fn folder(&mut self, folder: &Path, relative: &str, depth: usize) {
        if depth > DEEPEST {
            self.skip(relative, Skipped::TooDeep);
            return;
        }
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.skip(relative, Skipped::Unreadable(error.to_string()));
                return;
            }
        };
        let mut names = Vec::new();
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            match entry.file_name().into_string() {
                Ok(name) => names.push((name, kind)),
                Err(name) => {
                    let path = join(relative, &name.to_string_lossy());
                    // Only what could have held Python code is worth a word.
                    if kind.is_dir() || is_python(&path) {
                        self.skip(&path, Skipped::NotUnicode);
                    }
                }
            }
        }
        names.sort_by(|(a, _), (b, _)| a.cmp(b));
        if names.iter().any(|(name, _)| name == "pyvenv.cfg") {
            self.result.environments.push(folder.to_owned());
            return;
        }
        let packaged =
            names.iter().any(|(name, _)| matches!(name.as_str(), "pyproject.toml" | "setup.py" | "setup.cfg"));
        for (name, kind) in &names {
            let path = join(relative, name);
            let below = folder.join(name);
            if kind.is_dir() {
                if self.enters(&below, &path, name, packaged) {
                    self.folder(&below, &path, depth + 1);
                }
            } else if kind.is_symlink() {
                self.link(&below, &path, name, packaged, depth);
            } else if is_python(name) && !self.excluded(&path) {
                self.result.paths.push(Arc::from(path));
            }
        }
    }

    fn enters(&mut self, folder: &Path, path: &str, name: &str, packaged: bool) -> bool {
        if name.starts_with('.') || NEVER.contains(&name) {
            // A hidden virtual environment is not code of the project, but the place of the apps from outside.
            if folder.join("pyvenv.cfg").is_file() {
                self.result.environments.push(folder.to_owned());
            }
            return false;
        }
        if packaged && matches!(name, "build" | "dist") && !folder.join("__init__.py").is_file() {
            return false;
        }
        if self.excluded(path) {
            self.skip(path, Skipped::Excluded);
            return false;
        }
        if name != "migrations" && self.git.as_ref().is_some_and(|git| git.ignores(path)) {
            if folder.join("pyvenv.cfg").is_file() {
                self.result.environments.push(folder.to_owned());
            } else {
                self.skip(path, Skipped::IgnoredByGit);
            }
            return false;
        }
        true
    }

    fn link(&mut self, link: &Path, path: &str, name: &str, packaged: bool, depth: usize) {
        let Ok(target) = real_path(link) else {
            if is_python(name) {
                // The reader of the file says what is wrong with it.
                self.result.paths.push(Arc::from(path));
            }
            return;
        };
        if target.is_dir() {
            if !self.enters(link, path, name, packaged) {
                return;
            }
            let walked = target.starts_with(&self.real_root) || self.real_root.starts_with(&target);
            if walked || !self.linked.insert(target) {
                self.skip(path, Skipped::Link);
                return;
            }
            self.folder(link, path, depth + 1);
        } else if is_python(name) && !self.excluded(path) {
            self.result.paths.push(Arc::from(path));
        }
    }

    fn excluded(&self, path: &str) -> bool {
        self.exclude.iter().any(|pattern| pattern.matches(path))
    }

    fn skip(&mut self, path: &str, why: Skipped) {
        self.result.skipped.push((path.to_owned(), why));
    }
}

/// What git ignores, for folders.
struct Git<'a> {
    repository: &'a Repository,
    index: Option<git2::Index>,
    /// From the working tree's root to the project root, with a final `/`, or empty.
    prefix: String,
}

impl<'a> Git<'a> {
    fn new(repository: &'a Repository, root: &Path) -> Option<Self> {
        let prefix = prefix_in(repository, root)?;
        let git = Self { repository, index: repository.index().ok(), prefix };
        // Whoever names an ignored folder as the project means it: git says nothing about what lies below.
        let means_nothing = git.ignores("");
        (!means_nothing).then_some(git)
    }

    /// Whether git ignores a folder and tracks nothing in it. The index is asked first: it is sorted and in memory,
    /// while the other answer reads the ignore files on the way.
    fn ignores(&self, path: &str) -> bool {
        let full = if path.is_empty() { self.prefix.clone() } else { format!("{}{path}/", self.prefix) };
        if full.is_empty() {
            return false;
        }
        let tracked = self.index.as_ref().is_some_and(|index| index.find_prefix(&full).is_ok());
        !tracked && self.repository.is_path_ignored(&full).unwrap_or(false)
    }
}

/// The path from a repository's working tree to `root`, with a final `/`, or empty; `None` where it is not inside.
pub(crate) fn prefix_in(repository: &Repository, root: &Path) -> Option<String> {
    let tree = real_path(repository.workdir()?).ok()?;
    let root = real_path(root).ok()?;
    relative_text(root.strip_prefix(&tree).ok()?).map(|path| if path.is_empty() { path } else { format!("{path}/") })
}

/// The path with `/` between its parts; `None` where it is not Unicode.
pub(crate) fn relative_text(path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path.components().map(|part| part.as_os_str().to_str()).collect();
    Some(parts?.join("/"))
}

/// Python imports `.py` in small letters only, on every file system.
pub(crate) fn is_python(name: &str) -> bool {
    name.strip_suffix(".py").is_some_and(|stem| !stem.is_empty())
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

//! Which project a command is about.
//!
//! From each path upward, the nearest folder with a configuration (`zdm.toml`, or `pyproject.toml` with `[tool.zdm]`)
//! is the project root; else the nearest with a `manage.py`; else, for a path that was named, the first folder above
//! it that is not a Python package; else the root of the git repository, else the folder itself. The search upward
//! ends at the repository's root. A path that is not the root narrows what is reported, never what is replayed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::config::{PYPROJECT, ZDM_TOML, has_section};
use crate::error::Error;
use crate::walk::relative_text;

/// A project's folder and what of it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Absolute, without symbolic links.
    pub root: PathBuf,
    pub config: Option<PathBuf>,
    /// Paths below the root that were named, relative to it with `/`; empty: all of it.
    pub only: Vec<String>,
    /// From the current directory to the root, with a final `/`, or empty: `../`, `fixtures/shop/`.
    pub display_prefix: String,
    /// From the root of the git working tree to the project root, with a final `/`, or empty.
    pub repository_prefix: String,
    /// The root of the git working tree, where there is one.
    pub repository: Option<PathBuf>,
}

impl Place {
    /// A path for people: from the current directory if it lies below the root, else as it is.
    pub fn shown(&self, path: &Path) -> String {
        match path.strip_prefix(&self.root).ok().and_then(relative_text) {
            Some(relative) => format!("{}{relative}", self.display_prefix),
            None => path.display().to_string(),
        }
    }

    /// Whether a file, relative to the root, is among those asked for.
    pub fn covers(&self, path: &str) -> bool {
        self.only.is_empty()
            || self.only.iter().any(|only| {
                path.strip_prefix(only.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
    }
}

/// Where the configuration comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ConfigChoice {
    #[default]
    Search,
    /// `--config FILE`, relative to the current directory; the project root is found without regard to other
    /// configurations.
    File(PathBuf),
    /// `--isolated`: none.
    Isolated,
}

/// The project that `paths` belong to; without paths, the one around `current`.
pub fn discover(current: &Path, paths: &[PathBuf], choice: &ConfigChoice) -> Result<Place, Error> {
    let current = real(current, Path::new("."))?;
    let config = match choice {
        ConfigChoice::File(path) => Some(real(&current, path)?),
        ConfigChoice::Search | ConfigChoice::Isolated => None,
    };
    let search = *choice == ConfigChoice::Search;
    let mut found: Option<(Root, PathBuf)> = None;
    let mut named = Vec::new();
    for path in paths {
        let path = real(&current, path)?;
        let root = root_of(&path, true, search);
        if let Some((other, first)) = &found
            && other.folder != root.folder
        {
            return Err(Error::TwoProjects(first.clone(), path));
        }
        named.push(path.clone());
        found.get_or_insert((root, path));
    }
    let root = found.map_or_else(|| root_of(&current, false, search), |(root, _)| root);
    let only: Option<Vec<String>> = named
        .iter()
        .map(|path| path.strip_prefix(&root.folder).ok().and_then(relative_text).filter(|path| !path.is_empty()))
        .collect();
    let repository = repository_root(&root.folder);
    let repository_prefix = repository
        .as_ref()
        .and_then(|repository| root.folder.strip_prefix(repository).ok())
        .and_then(relative_text)
        .map(|path| if path.is_empty() { path } else { format!("{path}/") })
        .unwrap_or_default();
    Ok(Place {
        display_prefix: between(&current, &root.folder),
        config: config.or(root.config),
        root: root.folder,
        // One named path that is the root itself asks for everything.
        only: only.unwrap_or_default(),
        repository_prefix,
        repository,
    })
}

struct Root {
    folder: PathBuf,
    config: Option<PathBuf>,
}

fn root_of(path: &Path, named: bool, search: bool) -> Root {
    let start = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let limit = repository_root(start);
    let inside = |folder: &&Path| limit.as_ref().is_none_or(|limit| folder.starts_with(limit));
    let above: Vec<&Path> = start.ancestors().take_while(inside).collect();
    let configured = above.iter().filter(|_| search).find_map(|folder| Some((*folder, config_in(folder)?)));
    if let Some((folder, config)) = configured {
        return Root { folder: folder.to_owned(), config: Some(config) };
    }
    let managed = above.iter().find(|folder| folder.join("manage.py").is_file());
    let folder = match managed {
        Some(folder) => folder,
        None if named => out_of_packages(start, limit.as_deref()),
        None => limit.as_deref().unwrap_or(start),
    };
    Root { folder: folder.to_owned(), config: None }
}

/// The first folder from `start` upward that is neither a package nor holds a `migrations` folder of its own.
fn out_of_packages<'a>(start: &'a Path, limit: Option<&Path>) -> &'a Path {
    let package = |folder: &Path| {
        folder.join("__init__.py").is_file()
            || folder.file_name().is_some_and(|name| name == "migrations")
            || folder.join("migrations").is_dir()
    };
    let mut current = start;
    while package(current) && Some(current) != limit {
        match current.parent() {
            Some(parent) if parent.parent().is_some() => current = parent,
            _ => break,
        }
    }
    current
}

fn config_in(folder: &Path) -> Option<PathBuf> {
    let own = folder.join(ZDM_TOML);
    if own.is_file() {
        return Some(own);
    }
    let project = folder.join(PYPROJECT);
    let text = fs::read_to_string(&project).ok()?;
    has_section(&text).then_some(project)
}

/// The nearest folder with a `.git` (a folder, or the file of a worktree or submodule).
pub(crate) fn repository_root(start: &Path) -> Option<PathBuf> {
    start.ancestors().find(|folder| folder.join(".git").exists()).map(Path::to_owned)
}

fn real(current: &Path, path: &Path) -> Result<PathBuf, Error> {
    let full = current.join(path);
    real_path(&full).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::NoSuchPath(path.to_owned()),
        _ => Error::Unreadable { path: path.to_owned(), reason: error.to_string() },
    })
}

/// The way from one folder to another, both absolute, with a final `/`, or empty.
fn between(from: &Path, to: &Path) -> String {
    let from: Vec<Component<'_>> = from.components().collect();
    let to: Vec<Component<'_>> = to.components().collect();
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let mut way = "../".repeat(from.len() - common);
    for part in to.get(common..).unwrap_or_default() {
        way.push_str(&part.as_os_str().to_string_lossy());
        way.push('/');
    }
    way
}

/// Where packages from outside of the project are: the `site-packages` of `VIRTUAL_ENV`, of the environments that the
/// walk met, or of `.venv`, `venv` and `env` beside the root or the repository's root; the first that exists.
pub fn site_packages(place: &Place, environments: &[PathBuf], variables: &BTreeMap<String, String>) -> Option<PathBuf> {
    let mut candidates: Vec<PathBuf> = Vec::new();
    candidates.extend(variables.get("VIRTUAL_ENV").filter(|path| !path.is_empty()).map(PathBuf::from));
    candidates.extend(variables.get("UV_PROJECT_ENVIRONMENT").map(|path| place.root.join(path)));
    for folder in [Some(&place.root), place.repository.as_ref()].into_iter().flatten() {
        candidates.extend([".venv", "venv", "env"].map(|name| folder.join(name)));
    }
    candidates.extend(environments.iter().cloned());
    candidates.iter().find_map(|environment| packages_of(environment))
}

fn packages_of(environment: &Path) -> Option<PathBuf> {
    if !environment.join("pyvenv.cfg").is_file() {
        return None;
    }
    let windows = environment.join("Lib").join("site-packages");
    if windows.is_dir() {
        return Some(windows);
    }
    let mut found: Vec<PathBuf> = fs::read_dir(environment.join("lib"))
        .ok()?
        .flatten()
        .map(|entry| entry.path().join("site-packages"))
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found.pop()
}

/// A path without symbolic links. Windows answers with `\\?\` in front, which neither git nor an editor writes.
pub fn real_path(path: &Path) -> std::io::Result<PathBuf> {
    let real = fs::canonicalize(path)?;
    if !cfg!(windows) {
        return Ok(real);
    }
    let plain = real.to_str().and_then(|text| text.strip_prefix(r"\\?\"));
    // Behind it a share on another machine has another form, which stays as it is.
    let on_a_drive = plain.filter(|text| text.as_bytes().get(1) == Some(&b':'));
    Ok(on_a_drive.map_or_else(|| real.clone(), PathBuf::from))
}

//! Public projects that nobody here wrote, pinned: to lint, and to replay in a real Django.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::django::Django;
use crate::oracle::Oracle;
use crate::{Error, cache};

/// The names of the projects that `cargo xtask setup` provides.
pub const PROJECTS: [&str; 16] = [
    "community-apps",
    "django-allauth",
    "django-celery",
    "django-cms",
    "django-guardian",
    "django-helpdesk",
    "django-machina",
    "django-oauth-toolkit",
    "django-oscar",
    "django-wiki",
    "label-studio",
    "mayan-edms",
    "reusable-apps",
    "social-auth-app-django",
    "wagtail",
    "weblate",
];

/// A project: a directory of its Python and SQL files, as they lie in an installation.
#[derive(Debug, Clone)]
pub struct Project {
    name: String,
    root: PathBuf,
    pin: Pin,
}

/// What the stamp of a project says.
#[derive(Debug, Clone, Deserialize)]
struct Pin {
    version: String,
    settings: Option<String>,
    #[serde(default)]
    run_python: bool,
    #[serde(default)]
    environments: Vec<(String, String)>,
}

/// The projects that are provisioned, by name. Those that are missing are for the caller to report with
/// [`crate::skip::record`].
pub fn projects() -> Vec<Project> {
    PROJECTS.into_iter().filter_map(project).collect()
}

/// One project by name; `None` if it is not provisioned.
pub fn project(name: &str) -> Option<Project> {
    let root = cache::root().join("projects").join(name);
    let pin = serde_json::from_str(&cache::stamp(&root)?).ok()?;
    Some(Project { name: name.to_owned(), root, pin })
}

impl Project {
    /// The name in the registry.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The pinned version.
    pub fn version(&self) -> &str {
        &self.pin.version
    }

    /// The directory with its files: what a linter is pointed at, and what its modules are relative to.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The settings module in [`Project::root`], for the projects that can be replayed.
    pub fn settings(&self) -> Option<&str> {
        self.pin.settings.as_deref()
    }

    /// The directories of its apps that have migrations, relative to [`Project::root`], sorted.
    pub fn apps(&self) -> Vec<PathBuf> {
        let mut apps = Vec::new();
        let mut open = vec![self.root.clone()];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(&dir).into_iter().flatten().filter_map(Result::ok) {
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                let path = entry.path();
                if entry.file_name() == "migrations" && path.join("__init__.py").exists() {
                    apps.extend(dir.strip_prefix(&self.root).map(Path::to_path_buf));
                }
                open.push(path);
            }
        }
        apps.sort();
        apps
    }

    /// The environments in which it can be replayed, oldest Django first; none for a project that is only read.
    pub fn environments(&self) -> Vec<Django> {
        let root = cache::root().join("environments");
        let environments = self.pin.environments.iter();
        environments
            .filter(|(_, name)| cache::stamp(&root.join(name)).is_some())
            .map(|(series, name)| Django::at(&root.join(name), series))
            .collect()
    }

    /// The replay of its whole history, to be run in one of [`Project::environments`].
    ///
    /// # Panics
    /// If the project is only read.
    pub fn oracle(&self) -> Oracle {
        let Some(settings) = self.settings() else { panic!("{}", Error::NotReplayed { name: self.name.clone() }) };
        let oracle = Oracle::settings(&cache::workspace().join("oracle/projects"), settings);
        if self.pin.run_python { oracle.run_python() } else { oracle }
    }
}

//! The projects that open documents belong to: each found as the command line finds it, and read when it is first needed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use zdm_django::DjangoVersion;
use zdm_postgres::PgVersion;
use zdm_report::baseline::Baseline;
use zdm_source::{Diagnostic, SourceFile};
use zdm_workspace::analysis::selectors;
use zdm_workspace::config::{ConfigError, RuleSettings};
use zdm_workspace::discover::{ConfigChoice, discover, real_path};
use zdm_workspace::{Error, Live, Request};

use crate::uri;

/// What the editor's user has set.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Settings {
    pub(crate) postgres: Option<PgVersion>,
    pub(crate) django: Option<DjangoVersion>,
    /// A configuration file instead of the one that would be found.
    pub(crate) config: Option<PathBuf>,
    pub(crate) rules: RuleSettings,
    /// Report only what differs from the merge-base with this reference; `auto` finds one.
    pub(crate) base: Option<String>,
    /// Push the findings of all files, not only of open ones.
    pub(crate) whole_workspace: bool,
    pub(crate) no_code_lens: bool,
    pub(crate) no_inlay_hints: bool,
    /// Commands that the client carries out itself.
    pub(crate) client_commands: Vec<String>,
}

impl Settings {
    /// From the client's options; the second part says what of them is wrong.
    pub(crate) fn read(options: &Value) -> (Self, Vec<String>) {
        let options = options.get("zdm").unwrap_or(options);
        let mut settings = Self::default();
        let mut wrong = Vec::new();
        let text = |name: &str| options.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(version) = text("postgres") {
            settings.postgres = version.parse::<PgVersion>().ok().filter(|version| version.is_supported());
            if settings.postgres.is_none() {
                wrong.push(format!("`{version}` is not a supported PostgreSQL version"));
            }
        }
        if let Some(version) = text("django") {
            let supported = DjangoVersion::OLDEST..=DjangoVersion::NEWEST;
            settings.django = version.parse::<DjangoVersion>().ok().filter(|version| supported.contains(version));
            if settings.django.is_none() {
                wrong.push(format!("`{version}` is not a supported Django version"));
            }
        }
        settings.config = text("config").map(PathBuf::from);
        settings.base = text("base").filter(|base| *base != "none").map(str::to_owned);
        settings.whole_workspace = text("diagnosticScope") == Some("workspace");
        let off = |name: &str| options.get(name).and_then(Value::as_bool) == Some(false);
        settings.no_code_lens = off("codeLens");
        settings.no_inlay_hints = off("inlayHints");
        let list = |name: &str| -> Vec<String> {
            let items = options.get(name).and_then(Value::as_array).into_iter().flatten();
            items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
        };
        settings.client_commands = list("clientCommands");
        let (select, ignore) = (list("select"), list("ignore"));
        let mut rules = |texts: &[String]| {
            selectors(texts).unwrap_or_else(|(text, _)| {
                wrong.push(format!("there is no rule `{text}`"));
                Vec::new()
            })
        };
        if !select.is_empty() {
            settings.rules.select = Some(rules(&select));
        }
        settings.rules.ignore = rules(&ignore);
        (settings, wrong)
    }
}

/// Why a project cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) message: String,
    pub(crate) config: Option<ConfigError>,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let help = error.help().map(|help| format!(" ({})", help.replace('\n', "; "))).unwrap_or_default();
        let message = format!("{error}{help}");
        match error {
            Error::Config(config) => Self { message, config: Some(*config) },
            _ => Self { message, config: None },
        }
    }
}

/// One project.
#[derive(Debug)]
pub(crate) struct Project {
    /// Absolute, without symbolic links.
    pub(crate) root: PathBuf,
    pub(crate) live: Option<Live>,
    pub(crate) trouble: Option<Trouble>,
    baseline: Option<Baseline>,
}

/// A file of a project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) project: usize,
    /// Relative to the project's root, with `/`.
    pub(crate) path: Arc<str>,
}

/// All projects of a session.
#[derive(Debug, Default)]
pub(crate) struct Projects {
    pub(crate) list: Vec<Project>,
    environment: BTreeMap<String, String>,
    pub(crate) settings: Settings,
    /// Workspace folders as the client names them, with what they really are.
    folders: Vec<(PathBuf, PathBuf)>,
    /// The project of each folder that was asked for.
    known: BTreeMap<PathBuf, Option<usize>>,
}

impl Projects {
    pub(crate) fn new(environment: BTreeMap<String, String>) -> Self {
        Self { environment, ..Self::default() }
    }

    /// One variable of the environment.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    pub(crate) fn add_folder(&mut self, path: &Path) {
        if let Ok(real) = real_path(path)
            && !self.folders.iter().any(|(named, _)| named == path)
        {
            self.folders.push((path.to_owned(), real));
        }
    }

    pub(crate) fn remove_folder(&mut self, path: &Path) {
        self.folders.retain(|(named, _)| named != path);
    }

    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        self.folders.iter().map(|(_, real)| real.clone()).collect()
    }

    /// Everything is found and read again when it is next asked for.
    pub(crate) fn forget(&mut self) {
        self.list.clear();
        self.known.clear();
    }

    fn choice(&self) -> ConfigChoice {
        match &self.settings.config {
            Some(path) => {
                let base = self.folders.first().map(|(_, real)| real.join(path));
                ConfigChoice::File(base.unwrap_or_else(|| path.clone()))
            }
            None => ConfigChoice::Search,
        }
    }

    /// The project that a path belongs to, whether or not the file exists.
    pub(crate) fn find(&mut self, path: &Path) -> Option<Place> {
        let parent = path.parent()?;
        let existing = parent.ancestors().find(|folder| folder.is_dir())?;
        let real = real_path(existing).ok()?;
        let below = path.strip_prefix(existing).ok()?;
        let project = if let Some(known) = self.known.get(&real) {
            (*known)?
        } else {
            let named = if path.exists() { path.to_owned() } else { real.clone() };
            let found = discover(&real, &[named], &self.choice()).ok().map(|place| place.root);
            let index = found.map(|root| self.project_at(root));
            self.known.insert(real.clone(), index);
            index?
        };
        let root = &self.list.get(project)?.root;
        // The file itself may be a link to somewhere else; the project has it where the link is.
        let relative = real.join(below).strip_prefix(root).ok()?.to_owned();
        let parts: Option<Vec<&str>> = relative.components().map(|part| part.as_os_str().to_str()).collect();
        Some(Place { project, path: Arc::from(parts?.join("/")) })
    }

    /// The projects of the workspace's folders.
    pub(crate) fn of_folders(&mut self) -> Vec<usize> {
        let mut found = Vec::new();
        for folder in self.folders() {
            if let Ok(place) = discover(&folder, &[], &self.choice()) {
                found.push(self.project_at(place.root));
            }
        }
        found
    }

    fn project_at(&mut self, root: PathBuf) -> usize {
        self.list.iter().position(|project| project.root == root).unwrap_or_else(|| {
            self.list.push(Project { root, live: None, trouble: None, baseline: None });
            self.list.len() - 1
        })
    }

    /// Reads a project unless it is there, with the unsaved texts; false where it cannot be read.
    pub(crate) fn load(&mut self, index: usize, unsaved: impl FnOnce() -> BTreeMap<Arc<str>, Arc<str>>) -> bool {
        let config = self.choice();
        let Some(project) = self.list.get_mut(index) else { return false };
        if project.live.is_some() {
            return true;
        }
        if project.trouble.is_some() {
            return false;
        }
        let request = Request {
            current: project.root.clone(),
            paths: vec![project.root.clone()],
            config,
            postgres: self.settings.postgres,
            django: self.settings.django,
            rules: self.settings.rules.clone(),
            base: self.settings.base.clone(),
            variables: self.environment.clone(),
            ..Request::default()
        };
        match Live::load(request, unsaved()) {
            Ok(live) => {
                project.baseline = baseline(&live);
                project.live = Some(live);
                true
            }
            Err(error) => {
                project.trouble = Some(error.into());
                false
            }
        }
    }

    /// Reads a project as a whole again where an edit asks for it.
    pub(crate) fn update(&mut self, index: usize) {
        let Some(project) = self.list.get_mut(index) else { return };
        let Some(live) = &mut project.live else { return };
        if live.is_stale() {
            project.trouble = live.update().err().map(Trouble::from);
            project.baseline = baseline(live);
        }
    }

    /// Why the base that the user has set is not taken for a project.
    pub(crate) fn base_trouble(&self, index: usize) -> Option<String> {
        let error = self.live(index)?.base_trouble()?;
        let help = error.help().map(|help| format!(" ({})", help.replace('\n', "; "))).unwrap_or_default();
        Some(format!("everything is reported, because there is no base: {error}{help}"))
    }

    pub(crate) fn live(&self, index: usize) -> Option<&Live> {
        self.list.get(index)?.live.as_ref()
    }

    pub(crate) fn live_mut(&mut self, index: usize) -> Option<&mut Live> {
        self.list.get_mut(index)?.live.as_mut()
    }

    /// The findings of a file that count: neither suppressed nor recorded in the baseline, and new since the base where
    /// one is set.
    pub(crate) fn findings(&mut self, place: &Place) -> Vec<Diagnostic> {
        self.counting(place, Live::findings)
    }

    /// The same of any migration, whether or not it is new: what its phase and its operations are judged to be.
    pub(crate) fn judgements(&mut self, place: &Place) -> Vec<Diagnostic> {
        self.counting(place, Live::judgements)
    }

    fn counting(
        &mut self,
        place: &Place,
        of: for<'l> fn(&'l mut Live, &str) -> Vec<&'l Diagnostic>,
    ) -> Vec<Diagnostic> {
        let Some(Project { live: Some(live), baseline, .. }) = self.list.get_mut(place.project) else {
            return Vec::new();
        };
        let mut found: Vec<Diagnostic> = of(live, &place.path).into_iter().cloned().collect();
        if let Some(baseline) = baseline {
            baseline.apply(&mut found);
        }
        found.retain(|diagnostic| diagnostic.suppressed.is_none());
        found
    }

    /// The URI of a file of a project, as the client would name it; none for files that exist on no disk.
    pub(crate) fn uri(&self, index: usize, path: &str) -> Option<String> {
        let project = self.list.get(index)?;
        let full = match path.strip_prefix("site-packages/") {
            Some(rest) => project.live.as_ref()?.workspace().packages.as_ref()?.join(rest),
            None => project.root.join(path),
        };
        if path.starts_with("django/contrib/") && !full.exists() {
            return None;
        }
        Some(uri::from_path(&self.named(&full)))
    }

    fn named(&self, real: &Path) -> PathBuf {
        let inside = self.folders.iter().find_map(|(named, folder)| Some(named.join(real.strip_prefix(folder).ok()?)));
        inside.unwrap_or_else(|| real.to_owned())
    }
}

/// The recorded findings. A file that cannot be read records nothing; the command line says what is wrong with it.
fn baseline(live: &Live) -> Option<Baseline> {
    let workspace = live.workspace();
    let path = workspace.place.root.join(workspace.config.baseline.as_ref()?);
    Baseline::parse(&std::fs::read_to_string(path).ok()?).ok()
}

/// A file for reports on a configuration: its text and spans are the configuration's.
pub(crate) fn config_file(root: &Path, error: &ConfigError) -> (PathBuf, SourceFile) {
    let name = error.file.path().rsplit('/').next().unwrap_or("zdm.toml").to_owned();
    (root.join(name), error.file.clone())
}

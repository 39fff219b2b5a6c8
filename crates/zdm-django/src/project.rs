//! A whole project: its settings, its apps, its migrations, their order, and what is wrong with them.
//!
//! [`Project::build`] is pure: the files come from [`Sources`], which the caller fills from disk, in parallel if it
//! likes. Steps: [`layout`] (which file is which module), [`sources`] (parsed files), settings, apps, extraction of
//! every migration, the migrations of apps outside of the project, the graph.

pub mod layout;

pub mod sources;
mod surroundings;

pub mod settings;

pub mod revise;

mod apps;

mod find_settings;

mod known;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use zdm_python::{Evaluator, Module, ValueKind};
use zdm_source::{SourceFile, Span};

use self::find_settings::Installed;
use self::layout::file_name;
use self::settings::Settings;
use self::sources::{Environment, Folder, Loader, Sources};
use crate::builtin;
use crate::extract::Extractor;
use crate::graph::{Graph, Labels};
use crate::migration::{DependencyTarget, Migration, MigrationKey, MigrationOrigin};
use crate::problem::{Problem, ProblemKind};
use crate::value::Value;
use crate::version::DjangoVersion;

/// What a project is built from.
#[derive(Debug)]
pub struct ProjectInput {
    pub sources: Sources,
    /// Folders of packages outside of the project, in the order of Python's path.
    pub environment: Vec<Arc<dyn Folder>>,
    /// Files other than Python's that may name the settings module: `pyproject.toml`, `pytest.ini`, `setup.cfg`,
    /// `tox.ini`.
    pub texts: Vec<SourceFile>,
    pub config: ProjectConfig,
}

/// What the user's configuration says instead of what would be found.
#[derive(Clone, Debug)]
pub struct ProjectConfig {
    /// The dotted name of the settings module, or its path.
    pub settings_module: Option<String>,
    /// Settings by name; they go before those of the settings module.
    pub settings: BTreeMap<String, Value>,
    /// App labels by the app's dotted name or its folder.
    pub labels: BTreeMap<String, String>,
    /// Instead of the setting `INSTALLED_APPS`.
    pub installed_apps: Option<Vec<String>>,
    /// The release of Django that the project runs, where releases differ.
    pub django: DjangoVersion,
}

impl Default for ProjectConfig {
    fn default() -> Self {
        Self {
            settings_module: None,
            settings: BTreeMap::new(),
            labels: BTreeMap::new(),
            installed_apps: None,
            django: DjangoVersion::NEWEST,
        }
    }
}

/// An app with or without migrations.
#[derive(Clone, Debug)]
pub struct App {
    pub label: Arc<str>,
    /// The dotted name of its package.
    pub name: Arc<str>,
    /// The folder of its package in the project, or in the folder outside that it was found in.
    pub folder: Arc<str>,
    pub origin: MigrationOrigin,
    /// Where the label stands, if an `AppConfig` says it.
    pub config: Option<(SourceFile, Span)>,
    /// `AppConfig.default_auto_field`, as a dotted name.
    pub default_auto_field: Option<Arc<str>>,
    /// The folder of its migrations; none where it has none, or `MIGRATION_MODULES` switches them off.
    pub migrations: Option<Arc<str>>,
    /// Whether it is in `INSTALLED_APPS`; none where that is not known.
    pub installed: Option<bool>,
}

/// Everything that the later stages need to know of a project.
#[derive(Debug)]
pub struct Project {
    pub settings: Settings,
    /// Sorted by label.
    pub apps: Vec<App>,
    /// Sorted by app label and name; those of apps outside of the project included, as
    /// [`Migration::origin`](crate::Migration) says.
    pub migrations: Vec<Migration>,
    pub graph: Graph,
    /// Sorted by place; those of the graph and of the single migrations included.
    pub problems: Vec<Problem>,
    /// Of settings, apps and files: those that neither the graph nor a single migration has.
    own_problems: Vec<Problem>,
    labels: Labels,
    installed: Installed,
    environment: Vec<Environment>,
    /// Migrations as they were read, by index, where what they send depends on the history before them.
    unfinished: BTreeMap<usize, Migration>,
}

/// Does the work of each number below the count, in any order, on any threads, and returns when all is done.
pub type ForEach<'f> = dyn Fn(usize, &(dyn Fn(usize) + Sync)) + 'f;

/// How many migrations of an app one evaluator reads. What it learns of the modules that they share serves all of them;
/// the next evaluator starts anew, so that the result does not depend on who works on what.
const MIGRATIONS_PER_EVALUATOR: usize = 16;

impl Project {
    /// On one thread.
    pub fn build(input: &ProjectInput) -> Self {
        Self::build_with(input, &|count, work| (0..count).for_each(work))
    }

    /// Migrations are read through `for_each`, which may use several threads; the result is the same.
    pub fn build_with(input: &ProjectInput, for_each: &ForEach<'_>) -> Self {
        let environment: Vec<Environment> =
            input.environment.iter().map(|folder| Environment::new(Arc::clone(folder))).collect();
        let mut problems = Vec::new();
        let (settings, installed) = find_settings::find(input, &environment, &mut problems);
        let loader = Loader {
            sources: &input.sources,
            environment: &environment,
            settings: Some(&settings),
            installed: installed.complete.then_some(&installed.entries),
            django: input.config.django,
        };
        let extractor = Extractor::new(Evaluator::new(&loader), &settings);
        let apps = apps::find(input, &environment, &extractor, &installed, &mut problems);
        let settings = package_defaults(&settings, &apps, input, &environment, extractor.evaluator());
        let loader = Loader { settings: Some(&settings), ..loader };
        let extractor = Extractor::new(Evaluator::new(&loader), &settings).with_apps(&apps);
        let files = migration_files(input, &environment, &apps);
        let chunks: Vec<&[MigrationFile<'_>]> = files
            .chunk_by(|one, other| Arc::ptr_eq(&one.app.label, &other.app.label))
            .flat_map(|of_app| of_app.chunks(MIGRATIONS_PER_EVALUATOR))
            .collect();
        let read: Vec<OnceLock<Vec<Read>>> = chunks.iter().map(|_| OnceLock::new()).collect();
        for_each(chunks.len(), &|index| {
            if let (Some(chunk), Some(place)) = (chunks.get(index), read.get(index)) {
                let extractor = Extractor::new(Evaluator::new(&loader), &settings).with_apps(&apps);
                let _ = place.set(chunk.iter().map(|file| file.read(&extractor)).collect());
            }
        });
        let mut by_app: BTreeMap<Arc<str>, Vec<Read>> = BTreeMap::new();
        for (chunk, read) in chunks.iter().zip(read) {
            if let Some(file) = chunk.first() {
                by_app.entry(Arc::clone(&file.app.label)).or_default().extend(read.into_inner().unwrap_or_default());
            }
        }
        let mut building = Building { input, extractor: &extractor, migrations: Vec::new(), problems };
        let apps: Vec<App> = apps
            .iter()
            .filter(|app| building.add_app(app, by_app.remove(&app.label).unwrap_or_default()))
            .cloned()
            .collect();
        building.add_builtin(&apps, &installed.entries);
        let Building { mut migrations, problems: own_problems, .. } = building;
        migrations.sort_by(|one, other| one.key.cmp(&other.key));
        let not_installed = apps.iter().filter(|app| app.installed == Some(false)).map(|app| Arc::clone(&app.label));
        let labels = Labels {
            unmigrated: unmigrated(&apps, &migrations),
            not_installed: not_installed.collect(),
            settings_assumed: settings.module().is_none(),
        };
        let graph = Graph::build(&migrations, &labels);
        let unfinished = known::unfinished(&migrations);
        known::complete(&mut migrations, graph.order());
        let problems = assemble(&own_problems, &graph, &migrations);
        Self { settings, apps, migrations, graph, problems, own_problems, labels, installed, environment, unfinished }
    }

    pub fn migration(&self, key: &MigrationKey) -> Option<&Migration> {
        self.migrations.get(self.graph.index_of(key)?)
    }

    /// The migrations in the order of execution.
    pub fn in_order(&self) -> impl Iterator<Item = &Migration> {
        self.graph.order().iter().filter_map(|index| self.migrations.get(*index))
    }

    pub fn app(&self, label: &str) -> Option<&App> {
        self.apps.binary_search_by(|app| (*app.label).cmp(label)).ok().and_then(|index| self.apps.get(index))
    }

    /// The migration that a file of the project holds.
    pub fn migration_at(&self, path: &str) -> Option<&Migration> {
        self.migrations.iter().find(|migration| migration.file.path() == path)
    }
}

/// All problems of a project, sorted by place.
fn assemble(own: &[Problem], graph: &Graph, migrations: &[Migration]) -> Vec<Problem> {
    let mut problems = own.to_vec();
    problems.extend_from_slice(graph.problems());
    for migration in migrations {
        problems.extend(migration.problems.iter().map(|(span, message)| {
            let syntax = message.starts_with("syntax error");
            let (kind, help) = if syntax {
                (ProblemKind::SyntaxError, "correct the file; Python cannot import it")
            } else {
                (ProblemKind::NotAnalysed, "write it as literal values")
            };
            Problem::new(kind, message.clone(), help).at(&migration.file, *span)
        }));
    }
    problems.sort_by(|one, other| one.sort_key().cmp(&other.sort_key()));
    problems.dedup();
    problems
}

/// Apps that exist and have no migrations.
fn unmigrated(apps: &[App], migrations: &[Migration]) -> BTreeSet<Arc<str>> {
    let migrated: BTreeSet<&str> = migrations.iter().map(|migration| &*migration.key.app).collect();
    let without = apps.iter().map(|app| &app.label).filter(|label| !migrated.contains(&***label)).cloned();
    without.chain(builtin::UNMIGRATED.iter().map(|label| Arc::from(*label))).collect()
}

/// The settings with the defaults that apps give to their own: `settings.SHOP_CURRENCY = getattr(settings, …, "EUR")` in
/// a module of theirs that exists for that.
fn package_defaults(
    settings: &Settings,
    apps: &[App],
    input: &ProjectInput,
    environment: &[Environment],
    evaluator: &Evaluator<'_>,
) -> Settings {
    const MODULES: [&str; 5] = ["conf.py", "conf/__init__.py", "app_settings.py", "defaults.py", "settings.py"];
    const ASSIGNED: &str = "django.conf.settings.";
    let mut settings = settings.clone();
    let swapper = environment.iter().any(|environment| environment.module("swapper/__init__.py").is_some());
    for app in apps {
        for module in MODULES {
            let path = layout::join(&app.folder, module);
            let module = match app.origin {
                // A project's own `settings.py` is read as such.
                MigrationOrigin::Project if module != "settings.py" && input.sources.layout().contains(&path) => {
                    input.sources.module(&path).cloned()
                }
                MigrationOrigin::Environment => environment.iter().find_map(|environment| environment.module(&path)),
                MigrationOrigin::Project | MigrationOrigin::Builtin => None,
            };
            let speaks_of_them = |module: &Module| {
                let text = module.file().text();
                text.contains("settings.") || text.contains("setattr(settings") || text.contains("AppConf")
            };
            let Some(module) = module.filter(speaks_of_them) else { continue };
            for (name, value) in evaluator.assigned(&module) {
                if let Some(name) = name.strip_prefix(ASSIGNED).filter(|name| !name.contains('.')) {
                    settings.add_default(name, &value);
                }
            }
            for (name, value) in surroundings::appconf(evaluator, &module) {
                settings.add_default(&name, &value);
            }
        }
        // Models are read where swapper is there alone: whatever was read is an input of the analysis.
        if !swapper {
            continue;
        }
        for models in ["models.py", "models/__init__.py", "base/models.py", "swapper.py"] {
            let path = layout::join(&app.folder, models);
            let module = match app.origin {
                MigrationOrigin::Project if input.sources.layout().contains(&path) => {
                    input.sources.module(&path).cloned()
                }
                MigrationOrigin::Environment => environment.iter().find_map(|environment| environment.module(&path)),
                MigrationOrigin::Project | MigrationOrigin::Builtin => None,
            };
            let Some(module) = module.filter(|module| module.file().text().contains("swapper")) else { continue };
            for (setting, model) in sources::swapper_defaults(module.file().text()) {
                let place = zdm_python::Origin::new(&module, Span::new(0, 0));
                let model = ValueKind::Str(zdm_python::Str::made(model, place.clone()));
                settings.add_default(&setting, &zdm_python::Value::new(model, place));
            }
        }
    }
    settings
}

/// A module of a migrations folder.
struct MigrationFile<'a> {
    app: &'a App,
    name: String,
    source: FileSource<'a>,
}

enum FileSource<'a> {
    Project { sources: &'a Sources, path: &'a Arc<str> },
    Environment { environment: &'a Environment, path: String },
}

/// What became of a [`MigrationFile`].
enum Read {
    Migration(Box<Migration>),
    /// There is no `Migration` in it.
    Without(Module),
    /// The file cannot be read: its path and why.
    Unreadable(Arc<str>, String),
}

/// The modules of all migrations folders, app by app in the order of `apps`.
fn migration_files<'a>(
    input: &'a ProjectInput,
    environment: &'a [Environment],
    apps: &'a [App],
) -> Vec<MigrationFile<'a>> {
    let mut files = Vec::new();
    for app in apps {
        let Some(folder) = &app.migrations else { continue };
        match app.origin {
            MigrationOrigin::Project => {
                let sources = &input.sources;
                for path in sources.layout().modules_in(folder) {
                    let Some(name) = migration_name(path) else { continue };
                    let source = FileSource::Project { sources, path };
                    files.push(MigrationFile { app, name: name.to_owned(), source });
                }
            }
            MigrationOrigin::Environment => {
                let mut found = environment.iter().map(|environment| (environment, environment.modules_in(folder)));
                let Some((environment, paths)) = found.find(|(_, paths)| !paths.is_empty()) else {
                    continue;
                };
                for path in paths {
                    let Some(name) = migration_name(&path).map(str::to_owned) else { continue };
                    files.push(MigrationFile { app, name, source: FileSource::Environment { environment, path } });
                }
            }
            MigrationOrigin::Builtin => {}
        }
    }
    files
}

impl MigrationFile<'_> {
    fn read(&self, extractor: &Extractor<'_>) -> Read {
        let found = match &self.source {
            FileSource::Environment { environment, path } => environment.module(path),
            FileSource::Project { sources, path } => sources.module(path).cloned(),
        };
        let Some(module) = found else {
            return match &self.source {
                FileSource::Project { sources, path } => {
                    Read::Unreadable(Arc::clone(path), sources.error(path).unwrap_or("no such file").to_owned())
                }
                FileSource::Environment { path, .. } => Read::Unreadable(Arc::from(path.as_str()), String::new()),
            };
        };
        let key = MigrationKey::new(Arc::clone(&self.app.label), self.name.as_str());
        match extractor.migration(&module, &key, self.app.origin) {
            Some(migration) => Read::Migration(Box::new(migration)),
            None => Read::Without(module),
        }
    }
}

struct Building<'a> {
    input: &'a ProjectInput,
    extractor: &'a Extractor<'a>,
    migrations: Vec<Migration>,
    problems: Vec<Problem>,
}

impl Building<'_> {
    /// Add what was read of an app; false for a folder that turns out to hold no migrations and is not known to be an app.
    fn add_app(&mut self, app: &App, read: Vec<Read>) -> bool {
        let Some(folder) = &app.migrations else { return true };
        match app.origin {
            MigrationOrigin::Project => self.add_project_app(app, folder, read),
            MigrationOrigin::Environment | MigrationOrigin::Builtin => {
                self.migrations.extend(read.into_iter().filter_map(|read| match read {
                    Read::Migration(migration) => Some(*migration),
                    Read::Without(_) | Read::Unreadable(..) => None,
                }));
                true
            }
        }
    }

    fn add_project_app(&mut self, app: &App, folder: &str, read: Vec<Read>) -> bool {
        let sources = &self.input.sources;
        let before = self.migrations.len();
        let mut without = Vec::new();
        for read in read {
            match read {
                Read::Migration(migration) => self.migrations.push(*migration),
                Read::Without(module) => without.push(module),
                Read::Unreadable(path, error) => self.problems.push(
                    Problem::new(
                        ProblemKind::UnreadableFile,
                        format!("`{path}` cannot be read: {error}"),
                        "save the file as UTF-8 text",
                    )
                    .at(&SourceFile::new(path, ""), Span::default()),
                ),
            }
        }
        let numbered =
            |module: &Module| file_name(module.file().path()).starts_with(|first: char| first.is_ascii_digit());
        if self.migrations.len() == before && !without.iter().any(numbered) {
            return app.installed == Some(true) || app.config.is_some();
        }
        let package = layout::join(folder, "__init__.py");
        if !sources.layout().contains(&package)
            && let Some(migration) = self.migrations.get(before)
        {
            self.problems.push(
                Problem::new(
                    ProblemKind::NotAPackage,
                    format!("`{folder}` has no `__init__.py`; Django does not see its migrations, which are read all the same"),
                    format!("add an empty file `{package}`"),
                )
                .at(&migration.file, Span::default()),
            );
        }
        for module in without {
            let name = file_name(module.file().path()).trim_end_matches(".py").to_owned();
            let (message, help) = if module.syntax_errors().is_empty() {
                (
                    format!("`{name}` has no `Migration` class; Django refuses to load app `{}`", app.label),
                    format!("add the class, or rename the module to `_{name}` if it only helps others"),
                )
            } else {
                (
                    format!("`{name}` has no `Migration` class that could be read"),
                    "correct the syntax of the file".to_owned(),
                )
            };
            let span = module.syntax_errors().first().copied().unwrap_or_default();
            self.problems.push(Problem::new(ProblemKind::NoMigrationClass, message, help).at(module.file(), span));
        }
        true
    }

    /// Django's own apps, where they are installed or needed and not read from files.
    fn add_builtin(&mut self, apps: &[App], installed: &[Arc<str>]) {
        let present: BTreeSet<Arc<str>> =
            self.migrations.iter().map(|migration| Arc::clone(&migration.key.app)).collect();
        let disabled: BTreeSet<&str> =
            apps.iter().filter(|app| app.migrations.is_none()).map(|app| &*app.label).collect();
        let mut wanted: BTreeSet<Arc<str>> = BTreeSet::new();
        for entry in installed {
            let mut names = vec![Arc::clone(entry)];
            if !entry.starts_with("django.") && entry.contains('.') {
                // A class of the project that only changes something of one of Django's apps.
                let evaluator = self.extractor.evaluator();
                let found = evaluator.resolve(entry, &sources::in_django());
                let outside = found.as_class().map(|class| evaluator.ancestors(class).1).unwrap_or_default();
                names.extend(outside.iter().filter_map(zdm_python::Value::name));
            }
            for rest in names.iter().filter_map(|name| name.strip_prefix("django.contrib.")) {
                wanted.insert(Arc::from(rest.split('.').next().unwrap_or(rest)));
            }
        }
        let mut todo: Vec<Arc<str>> = wanted.into_iter().collect();
        for migration in &self.migrations {
            needed_apps(migration, &mut todo);
        }
        let mut done: BTreeSet<Arc<str>> = BTreeSet::new();
        while let Some(label) = todo.pop() {
            if present.contains(&label) || disabled.contains(&*label) || !done.insert(Arc::clone(&label)) {
                continue;
            }
            let added = builtin::migrations(&label, self.input.config.django, self.extractor);
            for migration in &added {
                needed_apps(migration, &mut todo);
            }
            self.migrations.extend(added);
        }
    }
}

/// The apps that a migration depends on.
fn needed_apps(migration: &Migration, found: &mut Vec<Arc<str>>) {
    for dependency in migration.dependencies.iter().chain(&migration.run_before) {
        match &dependency.target {
            DependencyTarget::Migration(MigrationKey { app, .. })
            | DependencyTarget::First(app)
            | DependencyTarget::Latest(app) => {
                if *app != migration.key.app {
                    found.push(Arc::clone(app));
                }
            }
            DependencyTarget::Swappable(_) | DependencyTarget::Unknown(_) => {}
        }
    }
}

/// The name of the migration that a module of a migrations folder may hold: Django passes over `_private` and `~backup`
/// modules, and Python's import machinery over names that are not modules'.
fn migration_name(path: &str) -> Option<&str> {
    let name = file_name(path).strip_suffix(".py")?;
    (!name.is_empty() && !name.starts_with(['_', '~']) && !name.contains('.')).then_some(name)
}

//! Finding the apps of a project and their labels.
//!
//! Every package with a folder `migrations` is an app, whether or not the settings install it; entries of
//! `INSTALLED_APPS` add apps without migrations, and apps outside of the project. Source of the rules: Django's
//! documentation, "Applications" and the setting `MIGRATION_MODULES`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zdm_python as python;
use zdm_python::{ClassRef, Module};
use zdm_source::{SourceFile, Span};

use super::find_settings::Installed;
use super::layout::{file_name, folder, join};
use super::sources::Environment;
use super::{App, ProjectInput};
use crate::extract::{Extractor, convert};
use crate::migration::MigrationOrigin;
use crate::problem::{Problem, ProblemKind};
use crate::value::Value;

/// Files in which an `AppConfig` is looked for, in this order.
const CONFIG_FILES: &[&str] = &["apps.py", "__init__.py", "app.py"];

/// An `AppConfig` class.
struct Config {
    name: Option<Arc<str>>,
    label: Option<Arc<str>>,
    default: Option<bool>,
    default_auto_field: Option<Arc<str>>,
    place: (SourceFile, Span),
}

pub(super) fn find(
    input: &ProjectInput,
    environment: &[Environment],
    extractor: &Extractor<'_>,
    installed: &Installed,
    problems: &mut Vec<Problem>,
) -> Vec<App> {
    let mut finder = Finder { input, environment, extractor, found: Vec::new() };
    finder.installed_apps(&installed.entries, problems);
    finder.folders(installed.complete);
    let mut apps = finder.found;
    move_migrations(input, extractor, &mut apps);
    keep_one_per_label(&mut apps, problems);
    apps.sort_by(|one, other| one.label.cmp(&other.label));
    apps
}

struct Finder<'a> {
    input: &'a ProjectInput,
    environment: &'a [Environment],
    extractor: &'a Extractor<'a>,
    found: Vec<App>,
}

impl Finder<'_> {
    fn installed_apps(&mut self, entries: &[Arc<str>], problems: &mut Vec<Problem>) {
        let layout = self.input.sources.layout();
        for entry in entries {
            if entry.starts_with("django.") {
                continue;
            }
            // An app's package, or the dotted name of an `AppConfig`.
            if let Some(package) = layout.package_folder(entry) {
                let config = self.config_of(&package, entry);
                self.add(&package, entry, config, Some(true));
                continue;
            }
            if let Some(config) = self.config_class(entry) {
                let name = config.name.clone().unwrap_or_else(|| Arc::from(parent_name(parent_name(entry))));
                if let Some(package) = layout.package_folder(&name) {
                    self.add(&package, &name, Some(config), Some(true));
                } else {
                    self.add_environment(&name, Some(config));
                }
                continue;
            }
            if self.environment_app(entry) || self.is_class(entry) {
                continue;
            }
            let first = entry.split('.').next().unwrap_or(entry);
            if layout.package_folder(first).is_some_and(|folder| layout.contains(&join(&folder, "__init__.py"))) {
                problems.push(Problem::new(
                    ProblemKind::AppNotFound,
                    format!("`{entry}` of `INSTALLED_APPS` is not in the project"),
                    "correct the entry, or add the folder that holds it to `import-roots` in the configuration",
                ));
            }
        }
    }

    /// Every folder of the project that holds migrations.
    fn folders(&mut self, installed_known: bool) {
        let layout = self.input.sources.layout();
        let mut packages: BTreeSet<&str> = BTreeSet::new();
        for path in layout.paths() {
            let parent = folder(path);
            if file_name(parent) == "migrations" && file_name(path) != "__init__.py" {
                packages.insert(folder(parent));
            }
        }
        for package in packages {
            if self.found.iter().any(|app| app.origin == MigrationOrigin::Project && *app.folder == *package) {
                continue;
            }
            // Django itself, shipped with the project: this package makes migrations and holds none.
            if package == "django/db" || package.ends_with("/django/db") {
                continue;
            }
            let name = match layout.name(&join(package, "__init__.py")) {
                Some(name) => name.name,
                None => self.name_of_folder(package),
            };
            let config = self.config_of(package, &name);
            self.add(package, &name, config, installed_known.then_some(false));
        }
    }

    /// The dotted name of a package without `__init__.py`, from a module in its migrations.
    fn name_of_folder(&self, package: &str) -> Arc<str> {
        let layout = self.input.sources.layout();
        let inside = layout.under(package).next().and_then(|path| {
            let name = layout.name(path)?.name;
            let depth = path.strip_prefix(package)?.trim_start_matches('/').split('/').count();
            let keep = name.split('.').count().checked_sub(depth)?;
            Some(name.split('.').take(keep).collect::<Vec<_>>().join("."))
        });
        inside.map_or_else(|| Arc::from(file_name(package)), Arc::from)
    }

    fn add(&mut self, package: &str, name: &str, config: Option<Config>, installed: Option<bool>) {
        if self.found.iter().any(|app| app.origin == MigrationOrigin::Project && *app.folder == *package) {
            return;
        }
        let migrations = join(package, "migrations");
        let has_migrations = self.input.sources.layout().under(&migrations).next().is_some();
        let Some(label) = self.label(package, name, config.as_ref()) else { return };
        self.found.push(App {
            label,
            name: Arc::from(name),
            folder: Arc::from(package),
            origin: MigrationOrigin::Project,
            default_auto_field: config.as_ref().and_then(|config| config.default_auto_field.clone()),
            config: config.map(|config| config.place),
            migrations: has_migrations.then(|| Arc::from(migrations)),
            installed,
        });
    }

    fn label(&self, package: &str, name: &str, config: Option<&Config>) -> Option<Arc<str>> {
        let labels = &self.input.config.labels;
        let configured = labels.get(name).or_else(|| labels.get(package));
        if let Some(label) = configured {
            return Some(Arc::from(label.as_str()));
        }
        let last = |name: &str| name.rsplit('.').next().filter(|last| !last.is_empty()).map(Arc::from);
        config
            .and_then(|config| config.label.clone().or_else(|| last(config.name.as_deref()?)))
            .or_else(|| last(name))
            .or_else(|| Some(file_name(package)).filter(|name| !name.is_empty()).map(Arc::from))
    }

    /// The `AppConfig` that Django would choose for an app given by its package.
    fn config_of(&self, package: &str, name: &str) -> Option<Config> {
        let modules = CONFIG_FILES.iter().filter_map(|file| self.input.sources.module(&join(package, file)));
        choose(modules.map(|module| self.configs(module)), name)
    }

    /// The `AppConfig` classes that a module defines.
    fn configs(&self, module: &Module) -> Vec<Config> {
        if !module.file().text().contains("Config") {
            return Vec::new();
        }
        let evaluator = self.extractor.evaluator();
        let mut found = Vec::new();
        for (id, class) in module.classes() {
            let name = module.text(class.name);
            if class.parent.is_some() {
                continue;
            }
            let class_ref = ClassRef { module: module.clone(), id };
            let (_, outside) = evaluator.ancestors(&class_ref);
            let is_config = |base: &python::Value| {
                base.name().is_some_and(|name| name.ends_with("AppConfig") || name.ends_with("Config"))
            };
            if name.ends_with("Config") || outside.iter().any(is_config) {
                found.extend(self.config(&class_ref));
            }
        }
        found
    }

    fn config(&self, class: &ClassRef) -> Option<Config> {
        let evaluator = self.extractor.evaluator();
        let attribute = |name: &str| evaluator.class_attribute(class, name);
        let text = |name: &str| {
            let value = attribute(name)?;
            value.as_str().map(|text| (Arc::<str>::from(text.as_str()), value.origin.clone()))
        };
        let (name, label) = (text("name"), text("label"));
        if name.is_none() && label.is_none() {
            return None;
        }
        let place = label.as_ref().or(name.as_ref()).map(|(_, origin)| (origin.file().clone(), origin.span));
        Some(Config {
            name: name.map(|(name, _)| name),
            label: label.map(|(label, _)| label),
            default: attribute("default").and_then(|value| value.as_bool()),
            default_auto_field: text("default_auto_field").map(|(field, _)| convert::public(&field)),
            place: place.unwrap_or_else(|| (class.module.file().clone(), class.class().name)),
        })
    }

    /// `INSTALLED_APPS` names an `AppConfig` class of the project.
    fn config_class(&self, entry: &str) -> Option<Config> {
        let layout = self.input.sources.layout();
        let module = self.input.sources.module(layout.resolve(parent_name(entry))?)?;
        let name = entry.rsplit('.').next()?;
        let class = self.extractor.evaluator().class(module, name)?;
        self.config(&class)
    }

    /// A class of the project that says of itself neither name nor label: its base outside of the project does.
    fn is_class(&self, entry: &str) -> bool {
        let module =
            self.input.sources.layout().resolve(parent_name(entry)).and_then(|path| self.input.sources.module(path));
        module.is_some_and(|module| self.extractor.evaluator().class(module, last_part(entry)).is_some())
    }

    /// An app of a package outside of the project; false where its package is not at hand.
    fn environment_app(&mut self, entry: &str) -> bool {
        for environment in self.environment {
            let folder = entry.replace('.', "/");
            if environment.module(&join(&folder, "__init__.py")).is_some() {
                let modules: Vec<Module> =
                    CONFIG_FILES.iter().filter_map(|file| environment.module(&join(&folder, file))).collect();
                let config = choose(modules.iter().map(|module| self.configs(module)), entry);
                self.add_environment(entry, config);
                return true;
            }
            let module_path = parent_name(entry).replace('.', "/");
            let module = environment
                .module(&format!("{module_path}.py"))
                .or_else(|| environment.module(&join(&module_path, "__init__.py")));
            if let Some(module) = module
                && let Some(class) = entry.rsplit('.').next()
                && let Some(class) = self.extractor.evaluator().class(&module, class)
                && let Some(config) = self.config(&class)
            {
                let name = config.name.clone().unwrap_or_else(|| Arc::from(parent_name(parent_name(entry))));
                self.add_environment(&name, Some(config));
                return true;
            }
        }
        false
    }

    fn add_environment(&mut self, name: &str, config: Option<Config>) {
        let folder = name.replace('.', "/");
        let migrations = join(&folder, "migrations");
        let has_migrations = self.environment.iter().any(|environment| !environment.modules_in(&migrations).is_empty());
        let Some(label) = self.label(&folder, name, config.as_ref()) else { return };
        self.found.push(App {
            label,
            name: Arc::from(name),
            folder: Arc::from(folder),
            origin: MigrationOrigin::Environment,
            default_auto_field: config.as_ref().and_then(|config| config.default_auto_field.clone()),
            config: config.map(|config| config.place),
            migrations: has_migrations.then(|| Arc::from(migrations)),
            installed: Some(true),
        });
    }
}

/// Django takes the only `AppConfig` of an app that is not marked as no default, or the one marked as default.
fn choose(files: impl Iterator<Item = Vec<Config>>, name: &str) -> Option<Config> {
    for mut configs in files {
        // A class for another package, as those of tests, says nothing about this one.
        configs
            .retain(|config| config.name.as_deref().is_none_or(|own| own == name || last_part(own) == last_part(name)));
        if let Some(index) = configs.iter().position(|config| config.default == Some(true)) {
            return Some(configs.swap_remove(index));
        }
        if let Some(index) = configs.iter().position(|config| config.default != Some(false)) {
            return Some(configs.swap_remove(index));
        }
    }
    None
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn parent_name(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(parent, _)| parent)
}

/// `MIGRATION_MODULES` gives an app another package for its migrations, or none.
fn move_migrations(input: &ProjectInput, extractor: &Extractor<'_>, apps: &mut [App]) {
    let Some(Value::Dict(entries)) = extractor.settings().get("MIGRATION_MODULES") else { return };
    let layout = input.sources.layout();
    for (label, module) in entries.iter() {
        let Some(label) = label.as_str() else { continue };
        for app in apps.iter_mut().filter(|app| *app.label == *label) {
            match module {
                Value::None => app.migrations = None,
                Value::Str(name) => match layout.package_folder(name) {
                    Some(folder) => {
                        app.migrations = Some(Arc::from(folder));
                        app.origin = MigrationOrigin::Project;
                    }
                    None => app.migrations = Some(Arc::from(name.replace('.', "/"))),
                },
                _ => {}
            }
        }
    }
}

/// Labels are unique: an installed app goes before one that is not, then the one found first.
fn keep_one_per_label(apps: &mut Vec<App>, problems: &mut Vec<Problem>) {
    let mut order: Vec<usize> = (0..apps.len()).collect();
    order.sort_by_key(|index| (apps[*index].installed != Some(true), *index));
    let mut first: BTreeMap<Arc<str>, usize> = BTreeMap::new();
    let mut dropped = BTreeSet::new();
    for index in order {
        let app = &apps[index];
        let Some(other) = first.get(&app.label).copied() else {
            first.insert(Arc::clone(&app.label), index);
            continue;
        };
        dropped.insert(index);
        let other = &apps[other];
        let mut problem = Problem::new(
            ProblemKind::DuplicateLabel,
            format!(
                "`{}` and `{}` have the same app label `{}`; the migrations of `{}` are left out",
                other.folder, app.folder, app.label, app.folder
            ),
            "give one of them a `label` in its `AppConfig`, or run on the folder of one project",
        );
        problem.place = app.config.clone().or_else(|| other.config.clone());
        if let (Some((file, span)), true) = (&other.config, app.config.is_some()) {
            problem = problem.related(file, *span, "the other label");
        }
        problems.push(problem);
    }
    let mut index = 0;
    apps.retain(|_| {
        index += 1;
        !dropped.contains(&(index - 1))
    });
}

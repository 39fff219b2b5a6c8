//! Finding the settings module and what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zdm_python::{Evaluator, Module, ModuleLoader, ValueKind};
use zdm_source::{SourceFile, Span};

use super::ProjectInput;
use super::layout::{file_name, folder};
use super::settings::Settings;
use super::sources::{Environment, Loader, Sources};
use crate::extract::{convert, flat_items};
use crate::problem::{Problem, ProblemKind};

/// `INSTALLED_APPS`, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Installed {
    pub(super) entries: Vec<Arc<str>>,
    /// There are no others.
    pub(super) complete: bool,
}

/// The settings, and `INSTALLED_APPS`.
pub(super) fn find(
    input: &ProjectInput,
    environment: &[Environment],
    problems: &mut Vec<Problem>,
) -> (Settings, Installed) {
    let config = &input.config;
    let loader =
        Loader { sources: &input.sources, environment, settings: None, installed: None, django: config.django };
    let evaluator = Evaluator::new(&loader);
    let mut installed = Installed::default();
    if let Some(apps) = &config.installed_apps {
        installed = Installed { entries: apps.iter().map(|app| Arc::from(app.as_str())).collect(), complete: true };
    }
    let Some(module) = settings_module(input, &loader, &evaluator, problems) else {
        return (Settings::new(&config.settings, config.django), installed);
    };
    let (settings, found) = Settings::read(&evaluator, &module, &config.settings, config.django);
    for (name, value) in &found {
        let matters = matches!(&**name, "AUTH_USER_MODEL" | "DEFAULT_AUTO_FIELD" | "MIGRATION_MODULES");
        if matters && !config.settings.contains_key(&**name) && value.first_unknown().is_some() {
            problems.push(
                Problem::new(
                    ProblemKind::SettingNotRead,
                    format!("`{name}` cannot be told without running the settings: {}", convert::reason(value)),
                    format!("set `{name}` under `[tool.zdm.settings]`"),
                )
                .at(value.file(), value.span()),
            );
        }
    }
    if config.installed_apps.is_none()
        && let Some(value) = found.get("INSTALLED_APPS")
    {
        installed.complete = true;
        for (item, condition) in flat_items(value) {
            // Apps under a condition are in some installations.
            installed.complete &= condition.is_none();
            if let ValueKind::Str(text) = &item.kind {
                installed.entries.push(Arc::from(text.as_str()));
                continue;
            }
            installed.complete = false;
            problems.push(
                Problem::new(
                    ProblemKind::SettingNotRead,
                    format!("an entry of `INSTALLED_APPS` is not known: {}", convert::reason(item)),
                    "write the app's name, or list the apps as `installed-apps` in the configuration",
                )
                .at(item.file(), item.span()),
            );
        }
    }
    (settings, installed)
}

/// The settings module: as configured, else as `manage.py`, `wsgi.py`, `asgi.py` or a test configuration names it,
/// else the file that looks most like it. A module that is named may be one of the packages around the project.
fn settings_module(
    input: &ProjectInput,
    loader: &Loader<'_>,
    evaluator: &Evaluator<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Module> {
    let sources = &input.sources;
    if let Some(configured) = &input.config.settings_module {
        let path = sources.layout().resolve(configured).or_else(|| sources.layout().path(configured));
        if let Some(module) = path.and_then(|path| sources.module(path)) {
            return Some(module.clone());
        }
        if let Some(module) = loader.load(configured) {
            return Some(module);
        }
        problems.push(Problem::new(
            ProblemKind::SettingsNotFound,
            format!("the settings module `{configured}` of the configuration is not in the project"),
            "give its dotted name or its path relative to the project root",
        ));
    }
    let mut named: Vec<(String, SourceFile, Span)> = Vec::new();
    for kind in ["manage.py", "wsgi.py", "asgi.py"] {
        let mut paths: Vec<&Arc<str>> =
            sources.layout().paths().iter().filter(|path| file_name(path) == kind).collect();
        paths.sort_by_key(|path| (path.matches('/').count(), Arc::clone(path)));
        for path in paths {
            if let Some(module) = sources.module(path) {
                named.extend(settings_names(module.file()));
            }
        }
    }
    for text in &input.texts {
        named.extend(settings_names(text));
    }
    for (name, ..) in &named {
        if let Some(module) = sources.layout().resolve(name).and_then(|path| sources.module(path)) {
            return Some(module.clone());
        }
    }
    if let Some(module) = named.iter().find_map(|(name, ..)| loader.load(name)) {
        return Some(module);
    }
    if let Some(module) = likeliest(sources, evaluator) {
        return Some(module);
    }
    let (message, place) = match named.first() {
        Some((name, file, span)) => (
            format!("the settings module `{name}` is not in the project; Django's defaults are assumed"),
            Some((file.clone(), *span)),
        ),
        None => ("no settings module was found; Django's defaults are assumed".to_owned(), None),
    };
    let mut problem =
        Problem::new(ProblemKind::SettingsNotFound, message, "name it as `settings` in the configuration");
    problem.place = place;
    problems.push(problem);
    None
}

/// The module names that a file gives to `DJANGO_SETTINGS_MODULE`, as a call's argument, an assignment, or an entry
/// of an ini or TOML file.
fn settings_names(file: &SourceFile) -> Vec<(String, SourceFile, Span)> {
    const VARIABLE: &str = "DJANGO_SETTINGS_MODULE";
    let text = file.text();
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(index) = text.get(from..).and_then(|rest| rest.find(VARIABLE)) {
        from = from + index + VARIABLE.len();
        let Some(rest) = text.get(from..) else { break };
        let skipped =
            rest.len() - rest.trim_start_matches(['"', '\'', ']', ')', ',', '=', ':', ' ', '\t', '\n', '\r']).len();
        let name: String = rest
            .get(skipped..)
            .unwrap_or("")
            .chars()
            .take_while(|character| character.is_alphanumeric() || matches!(character, '_' | '.'))
            .collect();
        if !name.is_empty() && !name.ends_with('.') {
            let start = from + skipped;
            found.push((name.clone(), file.clone(), Span::from_usize(start, start + name.len())));
        }
    }
    found
}

/// Among the modules named like settings that bind `INSTALLED_APPS`, the one with the most usual name, the nearest to
/// the root. Settings of tests, examples and documentation are no project's.
fn likeliest(sources: &Sources, evaluator: &Evaluator<'_>) -> Option<Module> {
    let rank = |path: &str| -> Option<u32> {
        let name = file_name(path);
        let parent = file_name(folder(path));
        Some(match (parent, name) {
            (_, "settings.py") => 0,
            ("settings", "__init__.py") => 1,
            ("settings", "production.py" | "prod.py") => 2,
            ("settings", "base.py" | "common.py" | "defaults.py") => 3,
            ("settings", _) => 4,
            (_, name) if name.starts_with("settings") || name.ends_with("settings.py") => 5,
            _ => return None,
        })
    };
    let mut candidates: BTreeSet<(usize, u32, &Arc<str>)> = BTreeSet::new();
    for path in sources.layout().paths() {
        let tests =
            path.split('/').any(|part| part.starts_with("test") || matches!(part, "example" | "examples" | "docs"));
        if !tests && let Some(rank) = rank(path) {
            candidates.insert((path.matches('/').count(), rank, path));
        }
    }
    let mut best: BTreeMap<u32, Module> = BTreeMap::new();
    for (_, rank, path) in candidates {
        if let Some(module) = sources.module(path)
            && module.file().text().contains("INSTALLED_APPS")
            && evaluator.global(module, "INSTALLED_APPS").is_some()
        {
            best.entry(rank).or_insert_with(|| module.clone());
        }
    }
    best.into_values().next()
}

//! What needs the project's files: its configuration, its models, its migrations.

use std::collections::BTreeMap;
use std::path::PathBuf;

use zdm_mirror::declared::{self, Declaration};
use zdm_mirror::facts::TableFacts;
use zdm_mirror::migration::{self, MigrationFile};
use zdm_mirror::project::{self, ModelTable, Place};
use zdm_mirror::swap::{self, Old, Options};
use zdm_mirror::{Error, TableName, plan};
use zdm_replay::Trace;
use zdm_workspace::analysis::known_rules;
use zdm_workspace::config::Config;
use zdm_workspace::discover::{ConfigChoice, discover};
use zdm_workspace::write::{NewText, write};
use zdm_workspace::{Request, Workspace};

use super::{CommonArguments, MigrationArguments, On, SwapArguments, Wanted};
use crate::exit::Exit;
use crate::mirror::show::Show;

/// A project with its replay.
pub(super) struct Loaded {
    pub(super) workspace: Workspace,
    pub(super) trace: Trace,
}

impl Loaded {
    pub(super) fn load(common: &CommonArguments) -> Result<Self, Error> {
        let request = Request {
            current: current()?,
            paths: common.project.iter().cloned().collect(),
            config: choice(common),
            variables: std::env::vars().collect(),
            ..Request::default()
        };
        let workspace = Workspace::load(&request).map_err(|error| usage(&error))?;
        let trace = workspace.replay();
        if trace.migrations.is_empty() {
            return Err(Error::Usage(format!(
                "no migrations were found below {}; name the project with --project",
                workspace.place.root.display()
            )));
        }
        Ok(Self { workspace, trace })
    }
}

fn current() -> Result<PathBuf, Error> {
    std::env::current_dir().map_err(|error| Error::Usage(format!("the current directory: {error}")))
}

fn choice(common: &CommonArguments) -> ConfigChoice {
    common.config.clone().map_or(ConfigChoice::Search, ConfigChoice::File)
}

fn usage(error: &zdm_workspace::Error) -> Error {
    let help = error.help().map(|help| format!(" ({help})")).unwrap_or_default();
    Error::Usage(format!("{error}{help}"))
}

/// The entries of the configuration.
pub(super) fn declarations(common: &CommonArguments) -> Result<Vec<Declaration>, Error> {
    let paths: Vec<PathBuf> = common.project.iter().cloned().collect();
    let place = discover(&current()?, &paths, &choice(common)).map_err(|error| usage(&error))?;
    let nothing = || {
        Error::Usage(
            "give --model or --table, or declare mirrors as [[tool.zdm.mirror]] in the configuration".to_owned(),
        )
    };
    let path = place.config.as_ref().ok_or_else(nothing)?;
    let config = Config::load(path, &place.shown(path), &known_rules()).map_err(|error| usage(&error))?;
    let declarations = declared::read(config.runtime.get("mirror").ok_or_else(nothing)?)?;
    if declarations.is_empty() { Err(nothing()) } else { Ok(declarations) }
}

/// What the project around here says of a table, if there is one that knows it; else nothing but its name.
pub(super) fn offline_facts(common: &CommonArguments, text: &str) -> Result<TableFacts, Error> {
    if let Ok(loaded) = Loaded::load(common)
        && let Some((facts, _)) = project::table(&loaded.trace, text)
    {
        return Ok(facts);
    }
    let names = zdm_mirror::project::table_name_text(text)
        .ok_or_else(|| Error::Usage(format!("`{text}` is not a table name")))?;
    let name = match names {
        (Some(schema), name) => TableName::new(Some(&schema), &name)?,
        (None, name) => TableName::new(None, &name)?,
    };
    Ok(TableFacts::unknown(name))
}

pub(super) fn migration(common: &CommonArguments, arguments: &MigrationArguments, show: &Show) -> Result<Exit, Error> {
    let (wanted, loaded) = super::wanted(common, Some(&arguments.what))?;
    let loaded = match loaded {
        Some(loaded) => loaded,
        None => Loaded::load(common)?,
    };
    let explicit = arguments.what.model.is_some() || arguments.what.table.is_some();
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    let mut files: Vec<MigrationFile> = Vec::new();
    for wanted in &wanted {
        let model = of_model(&loaded, wanted)?;
        let request = model.in_columns(&wanted.declaration.request);
        let planned = plan(&request, &model.facts)?;
        let name = planned.mirror.object_name();
        if installed(&loaded.trace, &model, name.as_str()) {
            if explicit {
                return Err(Error::Forbidden(format!(
                    "the trigger `{}` is made by a migration already",
                    name.as_str()
                )));
            }
            show.there_already(&planned);
            continue;
        }
        let as_field = arguments.as_field || wanted.declaration.as_field;
        let place = next_place(&loaded, &mut places, &model)?;
        let file = migration::install(&planned.mirror, &model, &place, as_field)?;
        places.insert(place.app.to_string(), following(&place, &file));
        show.migration(&planned, &file, as_field, arguments.dry_run);
        files.push(file);
    }
    if !arguments.dry_run {
        write_files(&loaded, &files)?;
    }
    Ok(Exit::Done)
}

pub(super) fn swap(common: &CommonArguments, arguments: &SwapArguments, show: &Show) -> Result<Exit, Error> {
    if arguments.what.model.is_none() && arguments.what.table.is_none() {
        return Err(Error::Usage("give --model or --table: one mirror is swapped at a time".to_owned()));
    }
    let (wanted, loaded) = super::wanted(common, Some(&arguments.what))?;
    let loaded = match loaded {
        Some(loaded) => loaded,
        None => Loaded::load(common)?,
    };
    let old = if arguments.drop_old { Old::Dropped } else { Old::Keep(arguments.old_name.clone()) };
    let options = Options { old, field: arguments.field.clone() };
    for wanted in &wanted {
        let model = of_model(&loaded, wanted)?;
        let request = model.in_columns(&wanted.declaration.request);
        let planned = plan(&request, &model.facts)?;
        let place = project::place(&loaded.workspace.project, &model.model.app)?;
        let swap = swap::generate(&loaded.trace, &model, &planned.mirror, &place, &options)?;
        show.swap(&planned, &swap, arguments.dry_run);
        if !arguments.dry_run {
            write_files(&loaded, &swap.files)?;
        }
    }
    Ok(Exit::Done)
}

pub(super) fn write_files(loaded: &Loaded, files: &[MigrationFile]) -> Result<(), Error> {
    let texts: Vec<NewText<'_>> =
        files.iter().map(|file| NewText { path: &file.path, before: None, after: &file.text }).collect();
    write(&loaded.workspace.place.root, &texts).map_err(|error| usage(&error))
}

/// The place behind a migration that is about to be written.
pub(super) fn following(place: &Place, file: &MigrationFile) -> Place {
    Place { number: place.number.saturating_add(1), dependency: file.key.clone(), ..place.clone() }
}

pub(super) fn next_place(
    loaded: &Loaded,
    places: &mut BTreeMap<String, Place>,
    model: &ModelTable,
) -> Result<Place, Error> {
    match places.get(&*model.model.app) {
        Some(place) => Ok(place.clone()),
        None => Ok(project::place(&loaded.workspace.project, &model.model.app)?),
    }
}

/// The model behind a declaration, also where it names the table.
pub(super) fn of_model(loaded: &Loaded, wanted: &Wanted) -> Result<ModelTable, Error> {
    if let Some(model) = &wanted.model {
        return Ok(model.clone());
    }
    let (On::Table(text) | On::Model(text)) = &wanted.declaration.on;
    match project::table(&loaded.trace, text) {
        Some((_, Some(model))) => Ok(model),
        Some((_, None)) => Err(Error::Usage(format!(
            "no model has the table `{text}`: a migration belongs to an app; use `zdm mirror sql` and write it by hand"
        ))),
        None => Err(Error::Usage(format!("the project's migrations make no table `{text}`"))),
    }
}

fn installed(trace: &Trace, model: &ModelTable, name: &str) -> bool {
    trace
        .migrations
        .last()
        .and_then(|last| last.catalog_after.table(&model.table))
        .is_some_and(|table| table.triggers.iter().any(|trigger| trigger.name == name))
}

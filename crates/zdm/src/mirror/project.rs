//! What needs the project's files: its configuration, its models, its migrations.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use zdm_conn::{Session, Timeouts};
use zdm_mirror::declared::{self, Declaration};
use zdm_mirror::facts::TableFacts;
use zdm_mirror::migration::{self, MigrationFile};
use zdm_mirror::project::{self, ModelTable, Place, Released};
use zdm_mirror::swap::{self, ColumnExtras, Member, Old, Options};
use zdm_mirror::{Error, TableName, live, plan, references};
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
    let declarations = declarations_if_any(common)?;
    if declarations.is_empty() {
        return Err(Error::Usage(
            "give --model or --table, or declare mirrors as [[tool.zdm.mirror]] in the configuration".to_owned(),
        ));
    }
    Ok(declarations)
}

/// The same where there may be none.
pub(super) fn declarations_if_any(common: &CommonArguments) -> Result<Vec<Declaration>, Error> {
    let paths: Vec<PathBuf> = common.project.iter().cloned().collect();
    let place = discover(&current()?, &paths, &choice(common)).map_err(|error| usage(&error))?;
    let Some(path) = place.config.as_ref() else { return Ok(Vec::new()) };
    let config = Config::load(path, &place.shown(path), &known_rules()).map_err(|error| usage(&error))?;
    config.runtime.get("mirror").map_or_else(|| Ok(Vec::new()), declared::read)
}

/// The model of a table that a declaration names.
pub(super) fn model_of_table(loaded: &Loaded, text: &str) -> Result<ModelTable, Error> {
    match project::table(&loaded.trace, text) {
        Some((_, Some(model))) => Ok(model),
        Some((_, None)) => Err(Error::Usage(format!(
            "no model has the table `{text}`: a migration belongs to an app; use `zdm mirror sql` and write it by hand"
        ))),
        None => Err(Error::Usage(format!("the project's migrations make no table `{text}`"))),
    }
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
        let request = model.in_columns(&wanted.request);
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

pub(super) async fn swap(common: &CommonArguments, arguments: &SwapArguments, show: &Show) -> Result<Exit, Error> {
    let (mut wanted, loaded) = super::wanted(common, Some(&arguments.what))?;
    let loaded = match loaded {
        Some(loaded) => loaded,
        None => Loaded::load(common)?,
    };
    with_declared_references(common, &loaded, &mut wanted)?;
    let mut members = Vec::new();
    let mut planned = Vec::new();
    for wanted in &wanted {
        let model = of_model(&loaded, wanted)?;
        let request = model.in_columns(&wanted.request);
        let plan = plan(&request, &model.facts)?;
        members.push(Member { mirror: plan.mirror.clone(), model });
        planned.push(plan);
    }
    let columns = members.iter().map(|member| member.mirror.pairs.len()).sum::<usize>();
    let one_only = [("--old-name", arguments.old_name.is_some()), ("--field", arguments.field.is_some())];
    if columns > 1
        && let Some((option, _)) = one_only.iter().find(|(_, given)| *given)
        && (*option == "--old-name" || columns_with_fields(&members) > 1)
    {
        return Err(Error::Usage(format!("{option} is for one column, and {columns} are swapped")));
    }
    let old = if arguments.drop_old { Old::Dropped } else { Old::Keep(arguments.old_name.clone()) };
    let (extras, left_behind) = extras(common, &members).await?;
    let (released, unknown) = released(&loaded, arguments)?;
    let options = Options { old, field: arguments.field.clone(), released, extras };
    let mut places: BTreeMap<Arc<str>, Place> = BTreeMap::new();
    for member in &members {
        let app = &member.model.model.app;
        if !places.contains_key(app) {
            places.insert(Arc::clone(app), project::place(&loaded.workspace.project, app)?);
        }
    }
    let mut swap = swap::generate(&loaded.trace, &members, &places, &options)?;
    // What the models need comes last.
    swap.notes.splice(0..0, left_behind.into_iter().chain(unknown));
    show.swap(&planned, &swap, arguments.dry_run);
    if !arguments.dry_run {
        write_files(&loaded, &swap.files)?;
    }
    Ok(Exit::Done)
}

/// Columns whose fields change by themselves, and not after the key that they point to.
fn columns_with_fields(members: &[Member]) -> usize {
    members
        .iter()
        .flat_map(|member| member.mirror.pairs.iter().map(move |pair| (member, pair)))
        .filter(|(member, pair)| {
            member.model.field_of(pair.source.as_str()).and_then(|name| member.model.model.field(name)).is_none_or(
                |field| {
                    let class = field.django_class().unwrap_or_default();
                    !class.ends_with("ForeignKey") && !class.ends_with("OneToOneField")
                },
            )
        })
        .count()
}

/// Adds the configuration's mirrors of columns that reference those that are swapped.
fn with_declared_references(common: &CommonArguments, loaded: &Loaded, wanted: &mut Vec<Wanted>) -> Result<(), Error> {
    let mut declared = Vec::new();
    for declaration in declarations_if_any(common)? {
        super::expand(declaration, Some(loaded), &mut declared)?;
    }
    let mut at = 0;
    while let Some(next) = wanted.get(at) {
        at += 1;
        let model = of_model(loaded, next)?;
        for pair in model.in_columns(&next.request).pairs {
            for found in references::referencing(&loaded.trace, &model.table, &pair.source) {
                let covers = |wanted: &Wanted| {
                    of_model(loaded, wanted).is_ok_and(|model| {
                        model.table == found.table
                            && model.in_columns(&wanted.request).pairs.iter().any(|pair| pair.source == found.column)
                    })
                };
                if !wanted.iter().any(covers)
                    && let Some(place) = declared.iter().position(covers)
                {
                    wanted.push(declared.swap_remove(place));
                }
            }
        }
    }
    Ok(())
}

/// What the database says of the old columns, where one is named: settings to carry over, and what stays behind.
async fn extras(common: &CommonArguments, members: &[Member]) -> Result<(Vec<ColumnExtras>, Vec<String>), Error> {
    if !common.connection.is_named() {
        return Ok((Vec::new(), Vec::new()));
    }
    let session = Session::open(&common.settings()?, "zdm mirror", Timeouts::default()).await?;
    let (mut extras, mut notes) = (Vec::new(), Vec::new());
    for member in members {
        for pair in &member.mirror.pairs {
            extras.extend(live::extras(&session, &member.model.table, pair.source.as_str()).await?);
            notes.extend(live::left_behind(&session, &member.model.table, pair.source.as_str()).await?);
        }
    }
    Ok((extras, notes))
}

/// What runs now, as git tells; else why that is not known.
fn released(loaded: &Loaded, arguments: &SwapArguments) -> Result<(Option<Released>, Option<String>), Error> {
    let base = arguments.base.as_deref().unwrap_or("auto");
    let request = Request { base: Some(base.to_owned()), variables: std::env::vars().collect(), ..Request::default() };
    match loaded.workspace.new_migrations(&request) {
        Ok((reference, new)) => Ok((Some(Released::without(&loaded.trace, new, &reference)), None)),
        Err(error) if arguments.base.is_some() => Err(usage(&error)),
        Err(_) => Ok((
            None,
            Some(
                "which release runs is not known here: name its branch with --base, and a swap that comes too early is refused"
                    .to_owned(),
            ),
        )),
    }
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
    model_of_table(loaded, text)
}

fn installed(trace: &Trace, model: &ModelTable, name: &str) -> bool {
    trace
        .migrations
        .last()
        .and_then(|last| last.catalog_after.table(&model.table))
        .is_some_and(|table| table.triggers.iter().any(|trigger| trigger.name == name))
}

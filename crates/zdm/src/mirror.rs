//! `zdm mirror`.

mod project;
mod show;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use zdm_conn::{Session, Settings, Timeouts};
use zdm_mirror::declared::{Declaration, On};
use zdm_mirror::facts::TableFacts;
use zdm_mirror::inspect::{Difference, inspect};
use zdm_mirror::install::{self, Patience};
use zdm_mirror::live::{self, TableReference};
use zdm_mirror::project::ModelTable;
use zdm_mirror::{Error, PairRequest, Planned, Request, TableName, plan, values};

use crate::backfill::StopSignals;
use crate::connection::ConnectionArguments;
use crate::exit::Exit;
use crate::output;
use crate::shell::{Format, block_on};

use project::Loaded;
use show::Show;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: MirrorCommand,
    #[command(flatten)]
    common: CommonArguments,
}

#[derive(Debug, Clone, Args)]
struct CommonArguments {
    #[command(flatten)]
    connection: ConnectionArguments,
    /// The project's folder. Default: found from the current directory upward.
    #[arg(long, value_name = "DIR", global = true)]
    project: Option<PathBuf>,
    /// The configuration file instead of the one that is found.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// `json`: line-delimited events on standard output.
    #[arg(long, value_enum, default_value_t = Format::Text, global = true)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum MirrorCommand {
    /// Print the SQL, with its reverse. With --table and without a connection give --type: nothing is looked up then.
    Sql(WhatArguments),
    /// Write a Django migration that makes the shadow column, the function and the trigger.
    Migration(MigrationArguments),
    /// Install the mirror on a database, or put right what is not as declared.
    Install(InstallArguments),
    /// Compare what is installed with what is declared, and the columns with each other. Exit code 1 when they differ.
    Check(CheckArguments),
    /// Remove the trigger and its function from a database.
    Remove(RemoveArguments),
    /// Write the Django migrations that make the shadow the column, to be released after backfill and check. Columns that
    /// reference the source must have their mirrors, and are swapped with it.
    Swap(SwapArguments),
}

/// What is mirrored. Without --source and --target: what `[[tool.zdm.mirror]]` of the configuration declares, for the model or
/// table that is named or for all.
#[derive(Debug, Clone, Args)]
struct WhatArguments {
    /// The model, as `app.Model`; the project is read, Django is not needed.
    #[arg(long, value_name = "APP.MODEL", conflicts_with = "table")]
    model: Option<String>,
    /// The table as written in SQL: `shop_order`, `schema.table`, `"Mixed Case"`.
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// The column to copy: a field of the model, or a column as in the catalog. Repeatable, in pairs with --target.
    #[arg(long, value_name = "COLUMN")]
    source: Vec<String>,
    /// The shadow column.
    #[arg(long, value_name = "COLUMN")]
    target: Vec<String>,
    /// The shadow column's type, where it is to be made [default: the source's]. With several columns: TARGET=TYPE.
    #[arg(long = "type", value_name = "TYPE")]
    data_type: Vec<String>,
    /// The shadow's value as an SQL expression over the row [default: the source]. With several columns: TARGET=EXPR.
    #[arg(long, value_name = "EXPR")]
    using: Vec<String>,
    /// The way back, for --both-ways and for the reverse of a swap. With several columns: TARGET=EXPR.
    #[arg(long, value_name = "EXPR")]
    reverse_using: Vec<String>,
    /// Keep both columns equal whichever is written.
    #[arg(long)]
    both_ways: bool,
    /// Fire under `session_replication_role = replica` and for rows of logical replication, too.
    #[arg(long)]
    always: bool,
    /// Allow a shadow that cannot hold every value of its source: the application's write of such a value fails.
    #[arg(long)]
    allow_narrowing: bool,
    /// The same mirror for every column that references the source by a foreign key, at every level.
    #[arg(long)]
    references: bool,
}

#[derive(Debug, Args)]
struct MigrationArguments {
    #[command(flatten)]
    what: WhatArguments,
    /// Make the shadow a field of the model. Every process of a release that has the field names it in each query, so
    /// that the field must be gone from the models one release before a swap.
    #[arg(long)]
    as_field: bool,
    /// Print the migration instead of writing it.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Clone, Args)]
struct TimeoutArguments {
    /// Longest wait for a lock.
    #[arg(long, value_name = "TIME", default_value = "400ms")]
    lock_timeout: String,
    /// Longest statement.
    #[arg(long, value_name = "TIME", default_value = "10s")]
    statement_timeout: String,
    /// Try again for so long without success before giving up.
    #[arg(long, value_name = "TIME", default_value = "1min")]
    retry_for: String,
}

#[derive(Debug, Args)]
struct InstallArguments {
    #[command(flatten)]
    what: WhatArguments,
    /// Show what would be executed; change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    timeouts: TimeoutArguments,
}

#[derive(Debug, Args)]
struct CheckArguments {
    #[command(flatten)]
    what: WhatArguments,
    /// Compare what is installed, not the rows.
    #[arg(long)]
    no_values: bool,
    /// Rows that differ to show.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=1000))]
    examples: u16,
    #[command(flatten)]
    timeouts: TimeoutArguments,
}

#[derive(Debug, Args)]
struct SwapArguments {
    #[command(flatten)]
    what: WhatArguments,
    /// Drop the old column with the swap; the reverse then makes it anew and fills every row.
    #[arg(long, conflicts_with = "old_name")]
    drop_old: bool,
    /// The name under which the old column is kept [default: COLUMN_old].
    #[arg(long, value_name = "COLUMN")]
    old_name: Option<String>,
    /// The new field as Python text, as `models.BigIntegerField()`, where it cannot be told from the old one.
    #[arg(long, value_name = "FIELD")]
    field: Option<String>,
    /// The branch or commit whose code runs now: the merge-base with it says what is released. `auto`: what the CI
    /// compares with, or the remote's default branch. Default: `auto` where that is known.
    #[arg(long, value_name = "REF")]
    base: Option<String>,
    /// Print the migrations instead of writing them.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct RemoveArguments {
    /// The model, as `app.Model`.
    #[arg(long, value_name = "APP.MODEL", conflicts_with = "table")]
    model: Option<String>,
    /// The table as written in SQL.
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// The shadow columns of the mirror. Without --model and --table: every mirror of the configuration.
    #[arg(long, value_name = "COLUMN")]
    target: Vec<String>,
    /// Drop the shadow columns, too.
    #[arg(long)]
    drop_columns: bool,
    #[command(flatten)]
    timeouts: TimeoutArguments,
}

/// Runs the subcommand.
pub(crate) fn main(arguments: &Arguments) -> Exit {
    let show = Show::new(arguments.common.format == Format::Json);
    let finished = block_on(async {
        tokio::select! {
            finished = command(arguments, &show) => Some(finished),
            // Nothing is half-done: the server rolls back what is not committed.
            () = interrupted() => None,
        }
    });
    match finished {
        Err(exit) | Ok(Some(Ok(exit))) => exit,
        Ok(Some(Err(error))) => {
            let exit = exit_of(&error);
            show.error(&error, exit);
            exit
        }
        Ok(None) => {
            output::note("zdm: interrupted");
            Exit::Interrupted
        }
    }
}

/// Returns when somebody asks to stop.
async fn interrupted() {
    match StopSignals::listen() {
        Ok(mut signals) => signals.next().await,
        Err(_) => std::future::pending().await,
    }
}

fn exit_of(error: &Error) -> Exit {
    match error {
        Error::Usage(_) | Error::Name(_) => Exit::Usage,
        Error::Refused(_) | Error::Forbidden(_) => Exit::Incomplete,
        Error::GaveUp { .. } => Exit::GaveUp,
        Error::Session(_) | Error::Sql(_) => Exit::Failed,
    }
}

async fn command(arguments: &Arguments, show: &Show) -> Result<Exit, Error> {
    let common = &arguments.common;
    match &arguments.command {
        MirrorCommand::Sql(what) => sql(common, what, show).await,
        MirrorCommand::Migration(migration) => project::migration(common, migration, show),
        MirrorCommand::Install(install) => self::install(common, install, show).await,
        MirrorCommand::Check(check) => self::check(common, check, show).await,
        MirrorCommand::Remove(remove) => self::remove(common, remove, show).await,
        MirrorCommand::Swap(swap) => project::swap(common, swap, show).await,
    }
}

impl CommonArguments {
    fn settings(&self) -> Result<Settings, Error> {
        self.connection.settings_or_project(self.project.as_deref()).map_err(Error::Usage)
    }
}

impl TimeoutArguments {
    fn patience(&self, common: &CommonArguments) -> Result<Patience, Error> {
        Ok(Patience {
            settings: common.settings()?,
            timeouts: Timeouts {
                lock: duration("--lock-timeout", &self.lock_timeout)?,
                statement: duration("--statement-timeout", &self.statement_timeout)?,
                ..Timeouts::default()
            },
            retry_for: duration("--retry-for", &self.retry_for)?,
        })
    }
}

fn duration(option: &str, text: &str) -> Result<Duration, Error> {
    zdm_backfill::throttle::parse_duration(text)
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| Error::Usage(format!("{option}: `{text}` is not a duration such as 50ms, 2s or 1min")))
}

/// What the command line asks for.
enum Asked {
    Declared(Declaration),
    /// Entries of the configuration: those on one model or table, or all.
    Configured(Option<On>),
}

impl WhatArguments {
    fn asked(&self) -> Result<Asked, Error> {
        let usage = |text: &str| Err(Error::Usage(text.to_owned()));
        let on = match (&self.model, &self.table) {
            (Some(model), _) => Some(On::Model(model.clone())),
            (None, Some(table)) => Some(On::Table(table.clone())),
            (None, None) => None,
        };
        let nothing = self.source.is_empty()
            && self.target.is_empty()
            && self.data_type.is_empty()
            && self.using.is_empty()
            && self.reverse_using.is_empty()
            && !(self.both_ways || self.always || self.allow_narrowing || self.references);
        if nothing {
            return Ok(Asked::Configured(on));
        }
        let Some(on) = on else { return usage("give --model or --table") };
        if self.source.is_empty() || self.source.len() != self.target.len() {
            return usage("give --source and --target, in pairs");
        }
        let mut pairs: Vec<PairRequest> = self
            .source
            .iter()
            .zip(&self.target)
            .map(|(source, target)| PairRequest {
                source: source.clone(),
                target: target.clone(),
                ..PairRequest::default()
            })
            .collect();
        assign("--type", &self.data_type, &mut pairs, |pair| &mut pair.data_type)?;
        assign("--using", &self.using, &mut pairs, |pair| &mut pair.using)?;
        assign("--reverse-using", &self.reverse_using, &mut pairs, |pair| &mut pair.reverse_using)?;
        let request =
            Request { pairs, both_ways: self.both_ways, always: self.always, allow_narrowing: self.allow_narrowing };
        Ok(Asked::Declared(Declaration { on, request, as_field: false, references: self.references }))
    }
}

/// Gives each pair its value: the only one, or by the target's name.
fn assign(
    option: &str,
    values: &[String],
    pairs: &mut [PairRequest],
    place: impl Fn(&mut PairRequest) -> &mut Option<String>,
) -> Result<(), Error> {
    for value in values {
        let named = value.split_once('=').and_then(|(name, rest)| {
            let index = pairs.iter().position(|pair| pair.target == name.trim())?;
            Some((index, rest.trim().to_owned()))
        });
        let (index, text) = match (named, pairs.len()) {
            (Some(found), _) => found,
            (None, 1) => (0, value.clone()),
            (None, _) => {
                return Err(Error::Usage(format!("{option} `{value}`: with several columns write TARGET=VALUE")));
            }
        };
        let slot = place(&mut pairs[index]);
        if slot.replace(text).is_some() {
            return Err(Error::Usage(format!("{option} is given twice for `{}`", pairs[index].target)));
        }
    }
    Ok(())
}

/// A declaration with its columns, and where the table is.
struct Wanted {
    declaration: Declaration,
    reference: TableReference,
    /// In columns.
    request: Request,
    model: Option<ModelTable>,
}

/// What is declared, on the command line or in the configuration; with the project where it had to be read.
fn wanted(common: &CommonArguments, what: Option<&WhatArguments>) -> Result<(Vec<Wanted>, Option<Loaded>), Error> {
    let declarations = match what.map_or(Ok(Asked::Configured(None)), WhatArguments::asked)? {
        Asked::Declared(declaration) => vec![declaration],
        Asked::Configured(None) => project::declarations(common)?,
        Asked::Configured(Some(on)) => {
            let (On::Model(name) | On::Table(name)) = &on;
            let found: Vec<Declaration> =
                project::declarations_if_any(common)?.into_iter().filter(|declaration| declaration.on == on).collect();
            if found.is_empty() {
                return Err(Error::Usage(format!(
                    "give --source and --target, in pairs: the configuration declares no mirror on `{name}`"
                )));
            }
            found
        }
    };
    let needs_project = |declaration: &Declaration| matches!(declaration.on, On::Model(_)) || declaration.references;
    let loaded = if declarations.iter().any(needs_project) { Some(Loaded::load(common)?) } else { None };
    let mut wanted = Vec::new();
    for declaration in declarations {
        expand(declaration, loaded.as_ref(), &mut wanted)?;
    }
    Ok((wanted, loaded))
}

/// A declaration in columns, and one for each table that references its own where that is asked for.
fn expand(declaration: Declaration, loaded: Option<&Loaded>, wanted: &mut Vec<Wanted>) -> Result<(), Error> {
    let model = match (&declaration.on, loaded) {
        (On::Model(label), Some(loaded)) => Some(zdm_mirror::project::model(&loaded.trace, label)?),
        (On::Table(text), Some(loaded)) if declaration.references => Some(project::model_of_table(loaded, text)?),
        _ => None,
    };
    let Some(model) = model else {
        let (On::Model(label) | On::Table(label)) = &declaration.on;
        wanted.push(Wanted {
            request: declaration.request.clone(),
            reference: TableReference::Text(label.clone()),
            model: None,
            declaration,
        });
        return Ok(());
    };
    let request = model.in_columns(&declaration.request);
    let all = match loaded {
        Some(loaded) if declaration.references => {
            zdm_mirror::references::with_references(&loaded.trace, &model, &request)?
        }
        _ => vec![(model, request)],
    };
    for (model, request) in all {
        // What is declared by itself goes before what follows from another.
        let known = |other: &Wanted| {
            other.model.as_ref().is_some_and(|own| own.table == model.table)
                && other.request.pairs.iter().any(|pair| request.pairs.iter().any(|own| own.source == pair.source))
        };
        if !wanted.iter().any(known) {
            wanted.push(Wanted {
                reference: TableReference::Name(model.facts.name.clone()),
                request,
                model: Some(model),
                declaration: declaration.clone(),
            });
        }
    }
    Ok(())
}

async fn sql(common: &CommonArguments, what: &WhatArguments, show: &Show) -> Result<Exit, Error> {
    let (wanted, _) = wanted(common, Some(what))?;
    for wanted in &wanted {
        let facts = match (&wanted.model, &wanted.reference) {
            (Some(model), _) => model.facts.clone(),
            (None, reference) if common.connection.is_named() => {
                let session = Session::open(&common.settings()?, "zdm mirror", Timeouts::default()).await?;
                live::read(&session, reference).await?.facts
            }
            (None, TableReference::Text(text)) => project::offline_facts(common, text)?,
            (None, TableReference::Name(name)) => TableFacts::unknown(name.clone()),
        };
        let planned = plan(&wanted.request, &facts)?;
        show.sql(&planned);
    }
    Ok(Exit::Done)
}

async fn install(common: &CommonArguments, arguments: &InstallArguments, show: &Show) -> Result<Exit, Error> {
    let (wanted, _) = wanted(common, Some(&arguments.what))?;
    let patience = arguments.timeouts.patience(common)?;
    for wanted in &wanted {
        if arguments.dry_run {
            let (planned, differences) = compared(&patience, wanted).await?;
            show.would_install(&planned, &differences);
            continue;
        }
        let mut report = |attempt: &install::Attempt| show.attempt(attempt);
        let installed = install::install(&patience, &wanted.reference, &wanted.request, &mut report).await?;
        show.installed(&installed);
    }
    Ok(Exit::Done)
}

async fn compared(patience: &Patience, wanted: &Wanted) -> Result<(Planned, Vec<Difference>), Error> {
    let mut session = Session::open(&patience.settings, "zdm mirror", patience.timeouts).await?;
    let live = live::read(&session, &wanted.reference).await?;
    let planned = plan(&wanted.request, &live.facts)?;
    let differences = inspect(&mut session, &live, &planned.mirror).await?;
    Ok((planned, differences))
}

async fn check(common: &CommonArguments, arguments: &CheckArguments, show: &Show) -> Result<Exit, Error> {
    let from_configuration = matches!(arguments.what.asked()?, Asked::Configured(None));
    let (wanted, _) = wanted(common, Some(&arguments.what))?;
    let patience = arguments.timeouts.patience(common)?;
    let mut session = Session::open(&patience.settings, "zdm mirror", patience.timeouts).await?;
    let mut clean = true;
    let mut functions: BTreeSet<String> = BTreeSet::new();
    let mut known: BTreeSet<(u32, String)> = BTreeSet::new();
    for wanted in &wanted {
        let live = live::read(&session, &wanted.reference).await?;
        let planned = plan(&wanted.request, &live.facts)?;
        let mirror = &planned.mirror;
        let differences = inspect(&mut session, &live, mirror).await?;
        let name = mirror.object_name();
        functions.insert(live.facts.name.sibling(name.clone()).plain());
        for part in &live.tree {
            known.insert((part.relation, name.as_str().to_owned()));
        }
        let columns_there = mirror.pairs.iter().all(|pair| !pair.adds_column);
        let comparison = if arguments.no_values || !columns_there {
            None
        } else {
            Some(values::compare(&session, &live, mirror, usize::from(arguments.examples)).await?)
        };
        clean &= differences.is_empty() && comparison.as_ref().is_none_or(|comparison| comparison.differing == 0);
        show.checked(&planned, &differences, comparison.as_ref());
    }
    let mut strays = zdm_mirror::inspect::orphans(&live::orphans(&session).await?, &functions);
    if from_configuration {
        for (table, relation, trigger) in live::all_triggers(&session).await? {
            if !known.contains(&(relation, trigger.clone())) {
                strays.push(Difference::Undeclared { table: TableName::plain(&table), trigger });
            }
        }
    }
    clean &= strays.is_empty();
    show.strays(&strays);
    show.end(clean);
    Ok(if clean { Exit::Done } else { Exit::Incomplete })
}

async fn remove(common: &CommonArguments, arguments: &RemoveArguments, show: &Show) -> Result<Exit, Error> {
    let patience = arguments.timeouts.patience(common)?;
    let mirrors: Vec<(TableReference, Vec<String>)> = match (&arguments.model, &arguments.table) {
        (None, None) if !arguments.target.is_empty() => {
            return Err(Error::Usage("give --model or --table".to_owned()));
        }
        (None, None) => {
            let (wanted, _) = wanted(common, None)?;
            wanted
                .into_iter()
                .map(|wanted| (wanted.reference, wanted.request.pairs.into_iter().map(|pair| pair.target).collect()))
                .collect()
        }
        _ if arguments.target.is_empty() => {
            return Err(Error::Usage("give the mirror's --target, every one of them".to_owned()));
        }
        (Some(label), _) => {
            let loaded = Loaded::load(common)?;
            let model = zdm_mirror::project::model(&loaded.trace, label)?;
            let targets = arguments.target.iter().map(|target| model.column(target)).collect();
            vec![(TableReference::Name(model.facts.name), targets)]
        }
        (None, Some(table)) => vec![(TableReference::Text(table.clone()), arguments.target.clone())],
    };
    for (reference, targets) in &mirrors {
        let mut report = |attempt: &install::Attempt| show.attempt(attempt);
        let removed = install::remove(&patience, reference, targets, arguments.drop_columns, &mut report).await?;
        show.removed(&removed);
    }
    Ok(Exit::Done)
}

//! `zdm backfill`.

mod show;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use tokio::sync::{mpsc, watch};
use zdm_backfill::driver::{self, RunOptions};
use zdm_backfill::plan::{Choice, Strategy};
use zdm_backfill::store::{DEFAULT_SCHEMA, Job, Kind, State, Store};
use zdm_backfill::throttle::{Limits, parse_duration};
use zdm_backfill::verify::{self, VerifyOptions};
use zdm_backfill::{Assignment, Definition, Error, Event, Outcome};
use zdm_conn::{Ident, Session, SqlExpression, StatementError, Timeouts};

use crate::connection::ConnectionArguments;
use crate::exit::Exit;
use crate::output;
use crate::project;
use crate::shell::{Format, block_on};

use show::Show;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: BackfillCommand,
    #[command(flatten)]
    common: CommonArguments,
}

#[derive(Debug, Clone, Args)]
struct CommonArguments {
    #[command(flatten)]
    connection: ConnectionArguments,
    /// The Django project, if it is not around the current directory.
    #[arg(long, value_name = "DIR", global = true)]
    project: Option<PathBuf>,
    /// Schema of the job's tables; made when it is missing.
    #[arg(long, value_name = "SCHEMA", default_value = DEFAULT_SCHEMA, global = true)]
    state_schema: String,
    /// `json`: line-delimited events on standard output.
    #[arg(long, value_enum, default_value_t = Format::Text, global = true)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum BackfillCommand {
    /// Begin a job, join it as further workers, or go on where it stands.
    Run(Box<RunArguments>),
    /// All jobs: progress, rate, time left, and why they hold.
    Status(StatusArguments),
    /// Is anything left? Looks for one pending row, newest pages first. Exit code 1 when there is one.
    Check(CheckArguments),
    /// Compare every row by value, in windows; resumable. Exit code 1 when rows differ.
    Verify(VerifyArguments),
    /// Hold all workers of a job after their step.
    Pause(ControlArguments),
    /// Let the workers of a paused job go on, and change limits of a running one.
    Resume(ControlArguments),
    /// End a job; its rows stay filled. A later `run` begins anew.
    Cancel(ControlArguments),
}

/// What to fill.
#[derive(Debug, Clone, Args)]
struct WhatArguments {
    /// The model whose table is filled: `shop.Order`. Its names are resolved from the project's migrations, by those
    /// that the database has.
    #[arg(long, value_name = "APP.MODEL", conflicts_with = "table")]
    model: Option<String>,
    /// The table as written in SQL: `shop_order`, `schema.table`, `"Mixed Case"`.
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// `target = EXPR`, in SQL. Repeatable: several columns are filled in one pass.
    #[arg(long, value_name = "TARGET = EXPR")]
    set: Vec<String>,
    /// Copy this column (as in the catalog), or this field of the model, to `--target`. Repeatable, in pairs.
    #[arg(long, value_name = "COLUMN")]
    source: Vec<String>,
    /// The column, or the field of the model, that `--source` is copied to.
    #[arg(long, value_name = "COLUMN")]
    target: Vec<String>,
    /// Only rows for which this predicate holds, in SQL.
    #[arg(long = "where", value_name = "PREDICATE")]
    predicate: Option<String>,
    /// The job's name. Default: table and targets. Alone, it names a job that exists.
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
}

#[derive(Debug, Args)]
struct RunArguments {
    #[command(flatten)]
    what: WhatArguments,
    /// Show the plan, the SQL and an estimate; change nothing.
    #[arg(long)]
    dry_run: bool,
    /// How rows are found: by default picked from the catalog.
    #[arg(long, value_enum)]
    strategy: Option<StrategyArgument>,
    /// Sub-passes per window.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    passes: Option<u16>,
    /// Connections that work at the same time. Further `run`s of the job, also on other machines, add theirs.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// Length of one step's transaction [default: 50ms].
    #[arg(long, value_name = "TIME")]
    target_time: Option<String>,
    /// Rows per second at the most.
    #[arg(long, value_name = "ROWS")]
    max_rate: Option<String>,
    /// Hold while a standby lags longer than this [default: 10s].
    #[arg(long, value_name = "TIME")]
    max_lag: Option<String>,
    /// Hold while a standby has more than this to replay [default: 1GB].
    #[arg(long, value_name = "BYTES")]
    max_lag_bytes: Option<String>,
    /// Hold while the server writes more WAL per second than this.
    #[arg(long, value_name = "BYTES")]
    max_wal_rate: Option<String>,
    /// Hold while more client sessions than this are active.
    #[arg(long, value_name = "N")]
    max_active: Option<String>,
    /// Which vacuum of the table to hold for: any, wraparound or never [default: any].
    #[arg(long, value_name = "WHICH")]
    on_vacuum: Option<String>,
    /// A query; hold while its value is neither NULL, false, 0 nor empty.
    #[arg(long, value_name = "SQL")]
    probe: Option<String>,
    /// VACUUM the table at the end.
    #[arg(long)]
    vacuum: bool,
    /// VACUUM after so many rows, too.
    #[arg(long, value_name = "ROWS")]
    vacuum_every: Option<String>,
    /// End at the first row that cannot be filled.
    #[arg(long)]
    stop_on_error: bool,
    /// Rows that cannot be filled before the run ends.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    max_bad_rows: u64,
    /// Forget an unfinished job of the same name.
    #[arg(long)]
    restart: bool,
    #[command(flatten)]
    timeouts: TimeoutArguments,
    /// Try again for so long without success before giving up.
    #[arg(long, value_name = "TIME", default_value = "10min")]
    retry_for: String,
}

#[derive(Debug, Clone, Args)]
struct TimeoutArguments {
    /// Longest wait for a lock.
    #[arg(long, value_name = "TIME", default_value = "400ms")]
    lock_timeout: String,
    /// Longest statement.
    #[arg(long, value_name = "TIME", default_value = "10s")]
    statement_timeout: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum StrategyArgument {
    Windows,
    Keyset,
    Tid,
}

#[derive(Debug, Args)]
struct StatusArguments {
    /// One job alone.
    job: Option<String>,
}

#[derive(Debug, Args)]
struct CheckArguments {
    #[command(flatten)]
    what: WhatArguments,
    /// Longest time to look.
    #[arg(long, value_name = "TIME", default_value = "10s")]
    time: String,
    #[command(flatten)]
    timeouts: TimeoutArguments,
}

#[derive(Debug, Args)]
struct VerifyArguments {
    #[command(flatten)]
    what: WhatArguments,
    /// Mismatches to show.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(0..=1000))]
    examples: u16,
    /// Begin again instead of resuming.
    #[arg(long)]
    restart: bool,
    #[command(flatten)]
    timeouts: TimeoutArguments,
}

#[derive(Debug, Args)]
struct ControlArguments {
    /// The job; may be left out when there is only one that is not at its end.
    job: Option<String>,
    /// Change a limit of the job, as `max-rate=5000`; `none` lifts it. Repeatable.
    #[arg(long, value_name = "LIMIT=VALUE")]
    set: Vec<String>,
}

/// Runs the subcommand.
pub(crate) fn main(arguments: &Arguments) -> Exit {
    match block_on(command(arguments)) {
        Ok(Ok(exit)) | Err(exit) => exit,
        Ok(Err(error)) => {
            let exit = exit_of(&error);
            match arguments.common.format {
                Format::Text => output::error(&error.to_string()),
                Format::Json => show::json_error(&error, exit),
            }
            exit
        }
    }
}

fn exit_of(error: &Error) -> Exit {
    match error {
        Error::Usage(_) | Error::Name(_) | Error::Limit(_) => Exit::Usage,
        Error::Refused(_) | Error::Forbidden(_) => Exit::Incomplete,
        Error::GaveUp { .. } => Exit::GaveUp,
        Error::Changed(_) | Error::Session(_) | Error::Sql(_) => Exit::Failed,
    }
}

async fn command(arguments: &Arguments) -> Result<Exit, Error> {
    let common = &arguments.common;
    match &arguments.command {
        BackfillCommand::Run(run) if run.dry_run => dry_run(common, run).await,
        BackfillCommand::Run(run) => self::run(common, run).await,
        BackfillCommand::Status(status) => self::status(common, status).await,
        BackfillCommand::Check(check) => self::check(common, check).await,
        BackfillCommand::Verify(verify) => self::verify(common, verify).await,
        BackfillCommand::Pause(control) => self::control(common, control, Control::Pause).await,
        BackfillCommand::Resume(control) => self::control(common, control, Control::Resume).await,
        BackfillCommand::Cancel(control) => self::control(common, control, Control::Cancel).await,
    }
}

impl CommonArguments {
    fn settings(&self) -> Result<zdm_conn::Settings, Error> {
        self.connection.settings_or_project(self.project.as_deref()).map_err(Error::Usage)
    }

    fn schema(&self) -> Result<Ident, Error> {
        Ok(Ident::new(&*self.state_schema)?)
    }
}

impl TimeoutArguments {
    fn timeouts(&self) -> Result<Timeouts, Error> {
        Ok(Timeouts {
            lock: duration("--lock-timeout", &self.lock_timeout)?,
            statement: duration("--statement-timeout", &self.statement_timeout)?,
            ..Timeouts::default()
        })
    }
}

fn duration(option: &str, text: &str) -> Result<Duration, Error> {
    parse_duration(text)
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| Error::Usage(format!("{option}: `{text}` is not a duration such as 50ms, 2s or 1min")))
}

impl WhatArguments {
    /// Table and definition, names of a model resolved; nothing when a job is named alone.
    async fn what(&self, common: &CommonArguments) -> Result<Option<(String, Definition)>, Error> {
        let sets_something = !(self.set.is_empty() && self.source.is_empty() && self.target.is_empty());
        if self.table.is_none() && self.model.is_none() {
            return if self.job.is_some() && !sets_something && self.predicate.is_none() {
                Ok(None)
            } else {
                let how = "give --model or --table, with --set or --source and --target, or --job alone";
                Err(Error::Usage(how.to_owned()))
            };
        }
        if self.source.len() != self.target.len() {
            return Err(Error::Usage("--source and --target come in pairs".to_owned()));
        }
        let mut assignments = self.set.iter().map(|text| Assignment::parse(text)).collect::<Result<Vec<_>, _>>()?;
        let predicate = self.predicate.as_deref().map(SqlExpression::new).transpose()?;
        let mut sources = self.source.clone();
        let mut targets = self.target.clone();
        let table = if let Some(model) = &self.model {
            let set: Vec<String> = assignments.iter().map(|a| a.target.as_str().to_owned()).collect();
            let names = [set.as_slice(), &sources, &targets].concat();
            let names = project::names(common.project.as_deref(), model, names, applied(common).await?);
            let mut names = names.map_err(Error::Usage)?;
            targets = names.columns.split_off(assignments.len() + sources.len());
            sources = names.columns.split_off(assignments.len());
            for (assignment, column) in assignments.iter_mut().zip(names.columns) {
                assignment.target = Ident::new(column)?;
            }
            names.table
        } else {
            self.table.clone().unwrap_or_default()
        };
        for (source, target) in sources.iter().zip(&targets) {
            assignments.push(Assignment::copy(source, target)?);
        }
        if assignments.is_empty() {
            return Err(Error::Usage("nothing to set: give --set, or --source and --target".to_owned()));
        }
        Ok(Some((table, Definition::new(assignments, predicate)?)))
    }
}

/// The migrations that the database has, as Django records them: the models are those of the release that runs, not of
/// files that wait for their deploy. Nothing when there is no such record.
async fn applied(common: &CommonArguments) -> Result<Option<Vec<(String, String)>>, Error> {
    let session = Session::open(&common.settings()?, "zdm backfill", Timeouts::default()).await?;
    let doing = "reading the applied migrations";
    let failed = |error| Error::Sql(StatementError { doing, error });
    let found = session
        .client()
        .query_one("SELECT pg_catalog.to_regclass('django_migrations') IS NOT NULL", &[])
        .await
        .map_err(failed)?;
    if !found.get::<_, bool>(0) {
        return Ok(None);
    }
    let rows = session.client().query("SELECT app::text, name::text FROM django_migrations", &[]).await;
    Ok(Some(rows.map_err(failed)?.iter().map(|row| (row.get(0), row.get(1))).collect()))
}

impl RunArguments {
    async fn options(&self, common: &CommonArguments) -> Result<RunOptions, Error> {
        let mut limits = Limits::default();
        let given = [
            ("target-time", &self.target_time),
            ("max-rate", &self.max_rate),
            ("max-lag", &self.max_lag),
            ("max-lag-bytes", &self.max_lag_bytes),
            ("max-wal-rate", &self.max_wal_rate),
            ("max-active", &self.max_active),
            ("on-vacuum", &self.on_vacuum),
            ("probe", &self.probe),
            ("vacuum-every", &self.vacuum_every),
        ];
        let mut limits_given = false;
        for (name, value) in given.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))) {
            limits.set(name, value)?;
            limits_given = true;
        }
        let strategy = self.strategy.map(|strategy| match strategy {
            StrategyArgument::Windows => Strategy::Windows,
            StrategyArgument::Keyset => Strategy::Keyset,
            StrategyArgument::Tid => Strategy::Tid,
        });
        Ok(RunOptions {
            settings: common.settings()?,
            what: self.what.what(common).await?,
            job: self.what.job.clone(),
            choice: Choice { strategy, passes: self.passes },
            limits,
            limits_given,
            workers: usize::from(self.workers),
            stop_on_error: self.stop_on_error,
            most_bad_rows: self.max_bad_rows,
            restart: self.restart,
            vacuum: self.vacuum || self.vacuum_every.is_some(),
            state_schema: common.schema()?,
            timeouts: self.timeouts.timeouts()?,
            retry_for: duration("--retry-for", &self.retry_for)?,
        })
    }
}

/// What asks a run to stop: SIGINT and SIGTERM.
#[cfg(unix)]
pub(crate) struct StopSignals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl StopSignals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// What asks a run to stop: the console's Ctrl-C, its window that is closed.
#[cfg(windows)]
pub(crate) struct StopSignals {
    typed: tokio::signal::windows::CtrlC,
    closed: tokio::signal::windows::CtrlClose,
}

#[cfg(windows)]
impl StopSignals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        use tokio::signal::windows::{ctrl_c, ctrl_close};
        Ok(Self { typed: ctrl_c()?, closed: ctrl_close()? })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.typed.recv() => {}
            _ = self.closed.recv() => {}
        }
    }
}

/// Set by what asks to stop; a second one ends the process at once.
fn stop_on_signals() -> Result<watch::Receiver<bool>, Error> {
    let (sender, receiver) = watch::channel(false);
    let mut signals =
        StopSignals::listen().map_err(|error| Error::Usage(format!("signals cannot be listened to: {error}")))?;
    tokio::spawn(async move {
        loop {
            signals.next().await;
            if sender.send_replace(true) {
                output::note("zdm: ended at once; the job is resumable");
                #[expect(
                    clippy::exit,
                    reason = "the operator asked twice; a step under way is rolled back by the server"
                )]
                std::process::exit(i32::from(Exit::Interrupted.code()));
            }
        }
    });
    Ok(receiver)
}

async fn run(common: &CommonArguments, arguments: &RunArguments) -> Result<Exit, Error> {
    let options = arguments.options(common).await?;
    let (sender, mut events) = mpsc::unbounded_channel();
    let stop = stop_on_signals()?;
    let mut show = Show::new(common.format == Format::Json, std::io::stderr().is_terminal());
    let listener = tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            show.event(&event);
        }
        show
    });
    let outcome = driver::run(options, sender, stop).await;
    if let Ok(show) = listener.await {
        show.end(outcome.as_ref().ok());
    }
    Ok(match outcome? {
        Outcome::Done { .. } => Exit::Done,
        Outcome::Incomplete { .. } | Outcome::Cancelled { .. } => Exit::Incomplete,
        Outcome::Interrupted { .. } => Exit::Interrupted,
    })
}

async fn dry_run(common: &CommonArguments, arguments: &RunArguments) -> Result<Exit, Error> {
    let preview = driver::preview(&arguments.options(common).await?).await?;
    show::preview(&preview, common.format == Format::Json);
    Ok(Exit::Done)
}

async fn open(common: &CommonArguments) -> Result<(Session, Store), Error> {
    let session = Session::open(&common.settings()?, "zdm backfill", Timeouts::default()).await?;
    Ok((session, Store::new(common.schema()?)))
}

async fn status(common: &CommonArguments, arguments: &StatusArguments) -> Result<Exit, Error> {
    let (session, store) = open(common).await?;
    let mut jobs = Vec::new();
    if store.exists(&session).await? {
        for status in store.statuses(&session, arguments.job.as_deref()).await? {
            let bad_rows = store.bad_rows(&session, status.job.id, 20).await?;
            jobs.push((status, bad_rows));
        }
    }
    if let (Some(name), true) = (&arguments.job, jobs.is_empty()) {
        return Err(Error::Usage(format!("there is no job `{name}`")));
    }
    show::statuses(&jobs, common.format == Format::Json);
    Ok(Exit::Done)
}

async fn check(common: &CommonArguments, arguments: &CheckArguments) -> Result<Exit, Error> {
    let options = VerifyOptions {
        settings: common.settings()?,
        what: arguments.what.what(common).await?,
        job: arguments.what.job.clone(),
        state_schema: common.schema()?,
        timeouts: arguments.timeouts.timeouts()?,
        restart: false,
        examples: 1,
    };
    let check = verify::check(&options, duration("--time", &arguments.time)?).await?;
    show::check(&check, common.format == Format::Json);
    let finished = check.state.is_none_or(|state| state == State::Done);
    let clean = check.pending.is_none() && check.bad_rows == 0 && finished;
    Ok(if clean { Exit::Done } else { Exit::Incomplete })
}

async fn verify(common: &CommonArguments, arguments: &VerifyArguments) -> Result<Exit, Error> {
    let options = VerifyOptions {
        settings: common.settings()?,
        what: arguments.what.what(common).await?,
        job: arguments.what.job.clone(),
        state_schema: common.schema()?,
        timeouts: arguments.timeouts.timeouts()?,
        restart: arguments.restart,
        examples: i64::from(arguments.examples),
    };
    let (sender, mut events) = mpsc::unbounded_channel();
    let stop = stop_on_signals()?;
    let mut show = Show::new(common.format == Format::Json, std::io::stderr().is_terminal());
    let listener = tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let Event::Progress(_) = event {
                show.event(&event);
            }
        }
        show
    });
    let verification = verify::verify(&options, &sender, &stop).await;
    drop(sender);
    if let Ok(show) = listener.await {
        show.end(None);
    }
    let verification = verification?;
    show::verification(&verification, common.format == Format::Json);
    Ok(if verification.interrupted {
        Exit::Interrupted
    } else if verification.mismatches == 0 {
        Exit::Done
    } else {
        Exit::Incomplete
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Control {
    Pause,
    Resume,
    Cancel,
}

async fn control(common: &CommonArguments, arguments: &ControlArguments, control: Control) -> Result<Exit, Error> {
    let (session, store) = open(common).await?;
    let job = find_job(&session, &store, arguments.job.as_deref()).await?;
    if !arguments.set.is_empty() {
        let mut limits = job.limits.clone();
        for pair in &arguments.set {
            let (name, value) =
                pair.split_once('=').ok_or_else(|| Error::Usage(format!("`{pair}` is not LIMIT=VALUE")))?;
            limits.set(name.trim(), value)?;
        }
        store.set_limits(&session, job.id, &limits).await?;
    }
    let refused = |what: &str| Err(Error::Forbidden(format!("the job `{}` is {}: {what}", job.name, job.state.name())));
    let state = match (control, job.state) {
        (Control::Pause, State::Running | State::Paused) => State::Paused,
        (Control::Resume, State::Running | State::Paused) => State::Running,
        (Control::Cancel, State::Running | State::Paused | State::Failed) => State::Cancelled,
        (Control::Pause | Control::Cancel, _) => return refused("there is nothing to hold"),
        (Control::Resume, _) => return refused("`zdm backfill run` begins it again"),
    };
    if state != job.state {
        store.set_state(&session, job.id, state, None).await?;
    }
    let workers = store.progress(&session, job.id).await?.workers;
    show::controlled(&job.name, state, workers, common.format == Format::Json);
    Ok(Exit::Done)
}

async fn find_job(session: &Session, store: &Store, name: Option<&str>) -> Result<Job, Error> {
    if !store.exists(session).await? {
        return Err(Error::Usage("there is no job in this database".to_owned()));
    }
    if let Some(name) = name {
        let job = store.find_job(session.client(), name, Kind::Run).await?;
        return job.ok_or_else(|| Error::Usage(format!("there is no job `{name}`")));
    }
    let mut open: Vec<Job> = store
        .statuses(session, None)
        .await?
        .into_iter()
        .map(|status| status.job)
        .filter(|job| job.kind == Kind::Run && job.state.is_resumable())
        .collect();
    match (open.pop(), open.is_empty()) {
        (Some(job), true) => Ok(job),
        (Some(_), false) => Err(Error::Usage("there are several jobs: name one".to_owned())),
        (None, _) => Err(Error::Usage("there is no unfinished job".to_owned())),
    }
}

//! `zdm migrate`.

mod launch;

mod report;

mod show;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use zdm_backfill::throttle::parse_duration;
use zdm_conn::{Environment, Timeouts};
use zdm_guard::gate::{self, read_consents};
use zdm_guard::run::{Signal, open, pending_now};
use zdm_guard::{BlockerPattern, Ended, Error, Gate, Knowledge, Options, PhaseChoice, RetryLimits};
use zdm_workspace::Request;

use crate::connection::ConnectionArguments;
use crate::exit::Exit;
use crate::output;
use crate::project;
use crate::shell::{Format, block_on};

pub(crate) use launch::launch;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    common: CommonArguments,
    #[command(flatten)]
    gate: GateArguments,
    /// Show what is pending, its phase and what the gate says of it; run nothing.
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    guard: GuardArguments,
    /// Write what happened, statement by statement, as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The command that migrates, behind `--`.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Action {
    /// What is pending, with its phase.
    Status,
}

#[derive(Debug, Args)]
struct CommonArguments {
    #[command(flatten)]
    connection: ConnectionArguments,
    /// The Django project, if it is not around the current directory.
    #[arg(long, value_name = "DIR", global = true)]
    project: Option<PathBuf>,
    /// `json`: line-delimited events on standard output; the command's own output goes to standard error.
    #[arg(long, value_enum, default_value_t = Format::Text, global = true)]
    format: Format,
}

#[derive(Debug, Args)]
struct GateArguments {
    /// Run only what may run in this phase of a deploy.
    #[arg(long, value_enum)]
    phase: Option<Phase>,
    /// Let this `window` migration run, this once: `app.0042`. Repeatable.
    #[arg(long, value_name = "MIGRATION")]
    allow: Vec<String>,
    /// A file of consents: migration, hash of its file, author, expiry. Repeatable.
    #[arg(long, value_name = "FILE")]
    consent: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Phase {
    /// The old code runs.
    Before,
    /// None of the old code runs any more.
    After,
}

#[derive(Debug, Args)]
struct GuardArguments {
    /// Longest wait for a strong lock. Keep it below deadlock_timeout (1 s), so that in a lock cycle the application wins.
    #[arg(long, value_name = "TIME", default_value = "400ms")]
    lock_timeout: String,
    /// Longest statement while a strong lock is held.
    #[arg(long, value_name = "TIME", default_value = "10s")]
    statement_timeout: String,
    /// Cancel our own session when it keeps others waiting longer than this.
    #[arg(long, value_name = "TIME", default_value = "1s")]
    max_block: String,
    /// How long to wait for old transactions that hold locks which pending migrations need; without TIME as long as it
    /// takes [default: 30s].
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "forever")]
    wait: Option<String>,
    /// Retries of a migration (or, with --retry-command, of the command) that did not get its lock.
    #[arg(long, value_name = "N", default_value_t = 20)]
    retries: u32,
    /// Longest time to retry a migration for.
    #[arg(long, value_name = "TIME", default_value = "10min")]
    retry_for: String,
    /// Run another command than Django's again, whole, when its standard error says that it failed for want of a lock.
    /// Only for what may run twice: one transaction (`psql -1 -v ON_ERROR_STOP=1`), or statements that can be repeated.
    #[arg(long)]
    retry_command: bool,
    /// What to do while another `zdm migrate` runs on the database.
    #[arg(long, value_enum, default_value_t = IfRunning::Wait)]
    if_running: IfRunning,
    /// Sessions of others that may be cancelled when we wait for them: `application=celery*`, `user=report`, `pid=123`,
    /// `autovacuum`. Repeatable.
    #[arg(long, value_name = "WHICH")]
    cancel_blockers: Vec<String>,
    /// Show what the sessions that we wait for are executing.
    #[arg(long)]
    show_queries: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum IfRunning {
    /// Wait for its end.
    Wait,
    /// Exit with code 1.
    Exit,
}

const DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// Runs the subcommand.
pub(crate) fn main(arguments: &Arguments) -> Exit {
    match block_on(command(arguments)) {
        Ok(Ok(exit)) | Err(exit) => exit,
        Ok(Err(error)) => {
            let exit = match &error {
                Error::Usage(_) => Exit::Usage,
                Error::Refused(_) => Exit::Incomplete,
                Error::GaveUp(_) => Exit::GaveUp,
                Error::Interrupted => Exit::Interrupted,
                Error::Failed(_) | Error::Session(_) | Error::Sql(_) | Error::Io { .. } => Exit::Failed,
            };
            match arguments.common.format {
                Format::Text => output::error(&error.to_string()),
                Format::Json => output::line(&show::error_json(&error.to_string(), exit).to_string()),
            }
            exit
        }
    }
}

async fn command(arguments: &Arguments) -> Result<Exit, Error> {
    match arguments.action {
        Some(Action::Status) => status(arguments).await,
        None if arguments.plan => plan(arguments).await,
        None if arguments.command.is_empty() => {
            Err(Error::Usage("no command is given: zdm migrate [options] -- python manage.py migrate".to_owned()))
        }
        None => run(arguments).await,
    }
}

impl CommonArguments {
    fn request(&self) -> Result<Request, Error> {
        let current = std::env::current_dir()
            .map_err(|error| Error::Usage(format!("the current directory cannot be read: {error}")))?;
        Ok(Request {
            current,
            paths: self.project.iter().cloned().collect(),
            variables: Environment::from_process().variables,
            ..Request::default()
        })
    }
}

impl GateArguments {
    /// None: nobody asked for a gate.
    fn gate(&self) -> Result<Option<Gate>, Error> {
        if self.phase.is_none() && self.allow.is_empty() && self.consent.is_empty() {
            return Ok(None);
        }
        self.always().map(Some)
    }

    fn always(&self) -> Result<Gate, Error> {
        for name in &self.allow {
            if !name.split_once('.').is_some_and(|(app, name)| !app.is_empty() && !name.is_empty()) {
                return Err(Error::Usage(format!("--allow names a migration as app.0042, not `{name}`")));
            }
        }
        let mut consents = Vec::new();
        for path in &self.consent {
            consents.extend(read_consents(path).map_err(|error| Error::Usage(error.to_string()))?);
        }
        let days = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400;
        let (year, month, day) = zdm_guard::record::civil(days);
        Ok(Gate {
            phase: self.phase.map(|phase| match phase {
                Phase::Before => PhaseChoice::Before,
                Phase::After => PhaseChoice::After,
            }),
            allowed: self.allow.clone(),
            consents,
            today: format!("{year:04}-{month:02}-{day:02}"),
        })
    }
}

fn duration(option: &str, text: &str) -> Result<Duration, Error> {
    parse_duration(text)
        .filter(|time| !time.is_zero())
        .ok_or_else(|| Error::Usage(format!("{option}: `{text}` is not a time above zero, such as 400ms, 10s, 5min")))
}

async fn run(arguments: &Arguments) -> Result<Exit, Error> {
    let common = &arguments.common;
    let guard = &arguments.guard;
    let gate = arguments.gate.gate()?;
    let statement = duration("--statement-timeout", &guard.statement_timeout)?;
    let limits =
        Timeouts { lock: duration("--lock-timeout", &guard.lock_timeout)?, statement, idle_in_transaction: statement };
    let wait = match guard.wait.as_deref() {
        None => Some(DEFAULT_WAIT),
        Some("forever") => None,
        Some(text) => Some(
            parse_duration(text).ok_or_else(|| Error::Usage(format!("--wait: `{text}` is not a time, such as 30s")))?,
        ),
    };
    let cancel_blockers = guard
        .cancel_blockers
        .iter()
        .map(|text| {
            BlockerPattern::parse(text).ok_or_else(|| {
                Error::Usage(format!(
                    "--cancel-blockers: `{text}` names nobody; write application=NAME, user=NAME, pid=NUMBER or autovacuum"
                ))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let project = Project::load(common, &arguments.command, gate.is_some());
    let json = common.format == Format::Json;
    let (knowledge, connection) = project?;
    // Found out now, not when everything is done.
    if let Some(path) = &arguments.report {
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|error| Error::Usage(format!("--report: {} cannot be written: {error}", path.display())))?;
    }
    if let (Some(gate), Some(knowledge)) = (&gate, &knowledge) {
        check_allowed(gate, knowledge)?;
    }
    let options = Options {
        settings: connection,
        command: arguments.command.clone(),
        launcher: launch::launcher(&arguments.command),
        limits,
        max_block: duration("--max-block", &guard.max_block)?,
        wait,
        retries: RetryLimits { count: guard.retries, time: duration("--retry-for", &guard.retry_for)? },
        retry_command: guard.retry_command,
        queue: guard.if_running == IfRunning::Wait,
        cancel_blockers,
        show_queries: guard.show_queries,
        gate,
        knowledge,
        keep_stdout: json,
    };
    let (sender, mut events) = mpsc::unbounded_channel();
    let signals = signals()?;
    let listener = tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            show::event(&event, json);
        }
    });
    let lock_timeout = limits.lock;
    if lock_timeout >= Duration::from_secs(1) && !json {
        output::note(
            "zdm: --lock-timeout is not below PostgreSQL's deadlock_timeout (1 s by default): in a lock cycle the \
             application may lose",
        );
    }
    let outcome = zdm_guard::run(options, sender, signals).await;
    // What was said is shown before what follows from it.
    drop(tokio::time::timeout(Duration::from_secs(2), listener).await);
    let report = outcome?;
    let exit = match &report.ended {
        Ended::Done => Exit::Done,
        Ended::Refused(_) => Exit::Incomplete,
        Ended::GaveUp(_) => Exit::GaveUp,
        Ended::Failed(_) => Exit::Failed,
        Ended::Interrupted => Exit::Interrupted,
    };
    let written = report::json(&report, &arguments.command, exit);
    if let Some(path) = &arguments.report {
        let text = serde_json::to_string_pretty(&written).unwrap_or_default();
        if let Err(error) = std::fs::write(path, text + "\n") {
            output::error(&format!("the report {} cannot be written: {error}", path.display()));
        }
    }
    if json {
        output::line(&report::end_event(&written).to_string());
    } else {
        show::summary(&report, exit);
    }
    Ok(exit)
}

/// What is known of the project, and where its database is.
struct Project;

impl Project {
    fn load(
        common: &CommonArguments,
        command: &[OsString],
        needed: bool,
    ) -> Result<(Option<Arc<Knowledge>>, zdm_conn::Settings), Error> {
        let request = common.request()?;
        let workspace = zdm_workspace::Workspace::load(&request);
        let usual = alias_of(command).unwrap_or_else(|| "default".to_owned());
        let connection = common
            .connection
            .settings_or(&usual, |alias| match &workspace {
                Ok(workspace) => project::database_of(workspace, alias),
                Err(_) => Ok(None),
            })
            .map_err(Error::Usage)?;
        let knowledge = match workspace {
            Ok(workspace) if !workspace.project.migrations.is_empty() => {
                Some(Arc::new(Knowledge::of(&workspace, &request)))
            }
            Ok(workspace) if needed => {
                return Err(Error::Usage(format!(
                    "no migrations were found below {}: name the project with --project",
                    workspace.place.root.display()
                )));
            }
            Err(error) if needed => return Err(Error::Usage(error.to_string())),
            Ok(_) | Err(_) => None,
        };
        Ok((knowledge, connection))
    }
}

/// The entry of `DATABASES` that a command of Django's migrates: its own `--database`.
fn alias_of(command: &[OsString]) -> Option<String> {
    if !zdm_guard::is_django(command) {
        return None;
    }
    let mut words = command.iter().filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        if word == "--database" {
            return words.next().map(str::to_owned);
        }
        if let Some(alias) = word.strip_prefix("--database=") {
            return Some(alias.to_owned());
        }
    }
    None
}

async fn pending(arguments: &Arguments) -> Result<(Arc<Knowledge>, gate::Decision), Error> {
    let (knowledge, connection) = Project::load(&arguments.common, &arguments.command, true)?;
    let Some(knowledge) = knowledge else { return Err(Error::Usage("no migrations were found".to_owned())) };
    let gate = arguments.gate.always()?;
    check_allowed(&gate, &knowledge)?;
    let session = open(&connection).await?;
    let pending = pending_now(&session, &knowledge).await?;
    for note in gate.allowed_in_vain(&pending) {
        output::note(&format!("zdm: {note}"));
    }
    Ok((knowledge, gate.decide(&pending)))
}

/// Each `--allow` names one migration of the project: a slip of the pen must not look like consent.
fn check_allowed(gate: &Gate, knowledge: &Knowledge) -> Result<(), Error> {
    for text in &gate.allowed {
        match knowledge.named(text).as_slice() {
            [_] => {}
            [] => return Err(Error::Usage(format!("--allow {text}: the project has no such migration"))),
            several => {
                let names: Vec<String> = several.iter().map(|key| gate::dotted(key)).collect();
                return Err(Error::Usage(format!(
                    "--allow {text} names several migrations ({}): give the whole name of one",
                    names.join(", ")
                )));
            }
        }
    }
    Ok(())
}

async fn status(arguments: &Arguments) -> Result<Exit, Error> {
    let (_, decision) = pending(arguments).await?;
    show::status(&decision, arguments.common.format == Format::Json, None);
    Ok(Exit::Done)
}

async fn plan(arguments: &Arguments) -> Result<Exit, Error> {
    let (_, decision) = pending(arguments).await?;
    let gated = arguments.gate.gate()?.is_some();
    show::status(&decision, arguments.common.format == Format::Json, Some(gated));
    let closed = gated && (decision.refusal().is_some() || decision.closed().next().is_some());
    Ok(if closed { Exit::Incomplete } else { Exit::Done })
}

/// What the operator's signals ask for. One that is typed goes from the terminal to the child directly.
fn signals() -> Result<watch::Receiver<Signal>, Error> {
    let (sender, receiver) = watch::channel(Signal::None);
    let listen = |kind| signal(kind).map_err(|error| Error::Usage(format!("signals cannot be listened to: {error}")));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hang_up = listen(SignalKind::hangup())?;
    let mut quit = listen(SignalKind::quit())?;
    tokio::spawn(async move {
        let mut count = 0;
        loop {
            let number = tokio::select! {
                _ = interrupt.recv() => 2,
                _ = terminate.recv() => 15,
                _ = hang_up.recv() => 1,
                _ = quit.recv() => 3,
            };
            count += 1;
            let typed = count == 1 && matches!(number, 2 | 3) && launch::in_foreground();
            sender.send_replace(if typed { Signal::Typed(number) } else { Signal::Sent(number) });
        }
    });
    Ok(receiver)
}

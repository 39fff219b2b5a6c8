//! One run from start to end.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::net::UnixListener;
use tokio::process::{Child, Command};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio_postgres::SimpleQueryMessage;
use zdm_conn::pooler::{Pooling, detect};
use zdm_conn::{Doing as _, Literal, Session, Settings, Timeouts};
use zdm_postgres::PgVersion;

use crate::APPLICATION;
use crate::command::{Nature, nature};
use crate::core::{Core, Found, milliseconds};
use crate::error::Error;
use crate::event::Event;
use crate::gate::{Decision, Gate, Pending, pending};
use crate::hear::{Heard, Hearing};
use crate::knowledge::Knowledge;
use crate::leap::{InTheWay, Look};
use crate::place::Place;
use crate::record::{InvalidIndex, Record};
use crate::retry::{Cause, Retry, RetryLimits};
use crate::serve::{Shared, find_index, lock, serve};
use crate::watch::{BlockerPattern, PERIOD, Watcher};

/// What a run is told.
#[derive(Debug, Clone)]
pub struct Options {
    pub settings: Settings,
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// What the command is started through, so that it ends with us; may be empty.
    pub launcher: Vec<OsString>,
    pub limits: Timeouts,
    /// How long we may keep others waiting.
    pub max_block: Duration,
    /// How long to wait for old transactions that are in the way; `None`: as long as it takes.
    pub wait: Option<Duration>,
    pub retries: RetryLimits,
    /// Another command than Django's runs again, whole, where it says that it failed for want of a lock.
    pub retry_command: bool,
    /// Wait for another run, instead of leaving it alone.
    pub queue: bool,
    pub cancel_blockers: Vec<BlockerPattern>,
    pub show_queries: bool,
    pub gate: Option<Gate>,
    /// The project, where there is one.
    pub knowledge: Option<Arc<Knowledge>>,
    /// Standard output is ours; the command's goes to standard error.
    pub keep_stdout: bool,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Done,
    /// Refused, with the reason; or the gate keeps migrations back that wait for somebody's consent.
    Refused(String),
    /// Gave up on a lock.
    GaveUp(String),
    /// The command failed or could not be watched.
    Failed(String),
    Interrupted,
}

/// A run that came as far as starting the command.
#[derive(Debug)]
pub struct Report {
    pub ended: Ended,
    pub started: SystemTime,
    pub duration: Duration,
    pub server: PgVersion,
    /// Of the command; a signal counts as 128 and its number, as in a shell.
    pub command_exit: Option<i32>,
    pub record: Record,
    pub decision: Option<Decision>,
}

/// What the operator's signals ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    None,
    /// The terminal has sent it to the child too.
    Typed(i32),
    /// To be passed on.
    Sent(i32),
}

/// Runs the command. Says what happens through `events`; stops when `signals` says so.
///
/// # Errors
/// Only what keeps the command from being started.
pub async fn run(
    options: Options,
    events: UnboundedSender<Event>,
    signals: watch::Receiver<Signal>,
) -> Result<Report, Error> {
    let started = SystemTime::now();
    let nature = nature(&options.command);
    if options.gate.is_some() && !nature.django {
        return Err(Error::Usage(
            "--phase, --allow and --consent are for Django's migrations, and the command is not Django's: it names \
             neither manage.py nor django-admin nor -m django"
                .to_owned(),
        ));
    }
    if options.retry_command && nature.django {
        return Err(Error::Usage(
            "--retry-command is for other commands than Django's, whose migrations are tried again one by one"
                .to_owned(),
        ));
    }
    let mut interrupted = signals.clone();
    // A server that does not answer holds nobody up who wants to go.
    let session = tokio::select! {
        session = open(&options.settings) => Arc::new(session?),
        Ok(_) = interrupted.wait_for(|signal| *signal != Signal::None) => return Err(Error::Interrupted),
    };
    let version = PgVersion::major(u16::try_from(session.major()).unwrap_or_default());
    let core: Shared = Arc::new(std::sync::Mutex::new(Core::new(options.limits, options.retries, version, events)));
    {
        let mut core = lock(&core);
        core.knowledge.clone_from(&options.knowledge);
        core.gate.clone_from(&options.gate);
    }
    if !hold_lock(&session, options.queue, &core, &signals).await? {
        return Err(Error::Refused("another `zdm migrate` runs on this database".to_owned()));
    }
    end_orphans(&session, &core).await?;
    if let Some(knowledge) = &options.knowledge
        && nature.django
    {
        let pending = pending_now(&session, knowledge).await?;
        let mut to_run: Vec<_> = pending.iter().map(|pending| pending.key.clone()).collect();
        if let Some(gate) = &options.gate {
            for note in gate.allowed_in_vain(&pending) {
                lock(&core).note(note);
            }
            let decision = gate.decide(&pending);
            if let Some(reason) = decision.refusal() {
                return Err(Error::Refused(reason));
            }
            to_run = decision.verdicts.iter().filter(|one| one.runs).map(|one| one.pending.key.clone()).collect();
        }
        look_before(&session, &core, &options, &knowledge.strong_locks(&to_run), &signals).await?;
    }

    let place = Place::make().map_err(Error::io("making a private directory for the shim"))?;
    let listener = UnixListener::bind(place.socket()).map_err(Error::io("listening for the command"))?;
    let server = tokio::spawn(serve(listener, Arc::clone(&core), Arc::clone(&session)));
    let name = format!("{APPLICATION} {:08x}", token());
    if let Some(python) = &nature.python {
        probe(python, &place, &core, &nature).await?;
    }
    let application = Literal::new(&name).map_err(|error| Error::Usage(error.to_string()))?;
    let mut watcher = Watcher::new(
        Arc::clone(&session),
        Arc::clone(&core),
        application,
        options.max_block,
        options.show_queries,
        options.cancel_blockers.clone(),
    );
    let mut retry = Retry::new(options.retries);
    let (status, lost) = loop {
        lock(&core).record.command_attempts += 1;
        let interventions = lock(&core).record.interventions.len();
        let (child, heard) = spawn(&options, &place, &name, version)?;
        let (status, lost) = attend(child, &mut watcher, &core, nature.django, signals.clone()).await?;
        let heard = match heard {
            Some(heard) => heard.end().await,
            None => Heard::default(),
        };
        if lost {
            break (status, lost);
        }
        // A session that outlives its process would go on holding locks until the server notices.
        settle(&watcher).await;
        clean_up(&session, &core).await;
        let intervened = lock(&core).record.interventions.len() > interventions;
        let cause = if intervened { Some(Cause::Blocking) } else { heard.cause };
        let Some(cause) = cause.filter(|_| options.retry_command && *signals.borrow() == Signal::None) else {
            break (status, lost);
        };
        if status.is_some_and(|status| status.success()) {
            let mut core = lock(&core);
            core.warn(format!(
                "the command ended with exit code 0 though it reported a failure ({cause}), so it is not run again; with psql, \
                 give -v ON_ERROR_STOP=1"
            ));
            break (status, lost);
        }
        if !run_again(&core, &mut retry, cause, &signals).await {
            break (status, lost);
        }
    };
    server.abort();
    drop(place);

    let mut core = lock(&core);
    let decision = core.decision.take();
    let ended = ended(&core, status, lost, &nature, decision.as_ref(), *signals.borrow());
    Ok(Report {
        ended,
        started,
        duration: started.elapsed().unwrap_or_default(),
        server: version,
        command_exit: status.map(exit_code),
        record: std::mem::take(&mut core.record),
        decision,
    })
}

/// Connects for the watcher, and makes sure that nobody shares the session with us.
pub async fn open(settings: &Settings) -> Result<Session, Error> {
    let session = Session::open(settings, "zdm watcher", Timeouts::default()).await?;
    if detect(&session, settings).await? == Pooling::PerTransaction {
        return Err(Error::Refused(
            "the connection goes through a pooler in transaction mode (such as pgbouncer): timeouts and advisory locks \
             are not in force there. Give a direct connection to the server with --dsn or DATABASE_URL"
                .to_owned(),
        ));
    }
    Ok(session)
}

/// What is not applied, with what the analysis says of it, in the order of execution.
pub async fn pending_now(session: &Session, knowledge: &Knowledge) -> Result<Vec<Pending>, Error> {
    let applied = applied(session).await?;
    Ok(pending(knowledge, &knowledge.pending(&applied)))
}

async fn applied(session: &Session) -> Result<BTreeSet<(String, String)>, Error> {
    let there = session
        .simple_row("SELECT pg_catalog.to_regclass('django_migrations') IS NOT NULL")
        .await
        .doing("looking for django_migrations")?;
    if there.first().is_none_or(|there| there != "t") {
        return Ok(BTreeSet::new());
    }
    let messages = session
        .client()
        .simple_query("SELECT app, name FROM django_migrations")
        .await
        .doing("reading django_migrations")?;
    Ok(messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((row.get(0).unwrap_or_default().to_owned(), row.get(1).unwrap_or_default().to_owned()))
            }
            _ => None,
        })
        .collect())
}

/// The key of the advisory lock, which is per database: `zdm migr` in ASCII.
const LOCK: i64 = 0x7a64_6d20_6d69_6772;

/// Between two tries. Waiting in `pg_advisory_lock` would hold a snapshot, which the other run's builds wait for.
const LOCK_PERIOD: Duration = Duration::from_millis(500);

/// Whether we have it. It ends with the session.
async fn hold_lock(
    session: &Session,
    queue: bool,
    core: &Shared,
    signals: &watch::Receiver<Signal>,
) -> Result<bool, Error> {
    let mut said = false;
    loop {
        let row = session
            .simple_row(&format!("SELECT pg_catalog.pg_try_advisory_lock({LOCK})"))
            .await
            .doing("taking the advisory lock")?;
        if row.first().is_some_and(|taken| taken == "t") {
            return Ok(true);
        }
        if !queue {
            return Ok(false);
        }
        if !said {
            said = true;
            lock(core).say(Event::Holding { reason: "another `zdm migrate` runs on this database".to_owned() });
        }
        if *signals.borrow() != Signal::None {
            return Err(Error::Interrupted);
        }
        tokio::time::sleep(LOCK_PERIOD).await;
    }
}

/// Sessions of a run that was killed. We hold the lock that every run holds, so no living run has any.
async fn end_orphans(session: &Session, core: &Shared) -> Result<(), Error> {
    let sql = format!(
        "SELECT count(*) FILTER (WHERE pg_catalog.pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity \
         WHERE application_name ~ '^{APPLICATION} [0-9a-f]{{8}}$' AND datname = pg_catalog.current_database() \
         AND usename = current_user"
    );
    let row = session.simple_row(&sql).await.doing("looking for sessions of a killed run")?;
    if let Some(count) = row.first().filter(|count| *count != "0") {
        lock(core).note(format!("{count} sessions of a run that was killed were ended"));
    }
    Ok(())
}

async fn look_before(
    session: &Session,
    core: &Shared,
    options: &Options,
    needed: &std::collections::BTreeMap<zdm_postgres::QualifiedName, zdm_postgres::LockMode>,
    signals: &watch::Receiver<Signal>,
) -> Result<(), Error> {
    let begun = Instant::now();
    let mut look = Look::default();
    let mut said: Option<BTreeSet<i32>> = None;
    loop {
        let found = look.look(session, needed, options.limits.lock, options.show_queries).await?;
        if found.is_empty() {
            return Ok(());
        }
        if options.wait.is_some_and(|wait| begun.elapsed() >= wait) {
            return Err(Error::GaveUp(format!(
                "old transactions hold locks that the pending migrations need; nothing was changed\n{}",
                listed(&found)
            )));
        }
        let pids = found.iter().map(|one| one.blocker.pid).collect();
        if said.as_ref() != Some(&pids) {
            said = Some(pids);
            let reason = format!("old transactions hold locks that the pending migrations need\n{}", listed(&found));
            lock(core).say(Event::Holding { reason });
        }
        if *signals.borrow() != Signal::None {
            return Err(Error::Interrupted);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn listed(found: &[InTheWay]) -> String {
    let lines: Vec<String> = found
        .iter()
        .map(|one| {
            let holds: Vec<String> = one.holds.iter().map(|(name, mode)| format!("{name} ({mode})")).collect();
            format!("  {} holds {}", one.blocker, holds.join(", "))
        })
        .collect();
    lines.join("\n")
}

/// Python must import the shim: asks the interpreter that will run.
async fn probe(python: &[OsString], place: &Place, core: &Shared, nature: &Nature) -> Result<(), Error> {
    let Some((program, flags)) = python.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    command
        .args(flags)
        .args(["-c", ""])
        .env("PYTHONPATH", place.python_path())
        .env("ZDM_GUARD_SOCKET", place.socket())
        .env("ZDM_GUARD_PROBE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let output = command
        .output()
        .await
        .map_err(|error| Error::Usage(format!("{} cannot be run: {error}", program.to_string_lossy())))?;
    if lock(core).loaded || !nature.django {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let shown: Vec<_> = python.iter().map(|word| word.to_string_lossy()).collect();
    let reason = if flags.is_empty() {
        format!("`{}` does not import zdm's module from PYTHONPATH", shown.join(" "))
    } else {
        format!(
            "`{}` does not import zdm's module from PYTHONPATH: the options -I, -E and -S of Python switch that off",
            shown.join(" ")
        )
    };
    Err(Error::Refused(format!("{reason}, so timeouts would not be in force. {}", said.trim()).trim_end().to_owned()))
}

fn spawn(options: &Options, place: &Place, name: &str, version: PgVersion) -> Result<(Child, Option<Hearing>), Error> {
    let mut words = options.launcher.iter().chain(&options.command);
    let program = words.next().ok_or_else(|| Error::Usage("no command is given".to_owned()))?;
    let mut floor = format!("-c lock_timeout={}", milliseconds(options.limits.lock));
    if version.at_least(14) {
        // The server notices within a second that its client is gone, also in the middle of a statement.
        floor.push_str(" -c client_connection_check_interval=1000");
    }
    let pgoptions = match std::env::var("PGOPTIONS") {
        Ok(before) if !before.trim().is_empty() => format!("{before} {floor}"),
        _ => floor,
    };
    let mut command = Command::new(program);
    command
        .args(words)
        .env("PGAPPNAME", name)
        .env("PGOPTIONS", pgoptions)
        .env("PYTHONPATH", place.python_path())
        .env("ZDM_GUARD_SOCKET", place.socket())
        .env_remove("ZDM_DSN");
    if options.keep_stdout {
        command.stdout(std::io::stderr());
    }
    if options.retry_command {
        command.stderr(Stdio::piped());
    }
    let mut child = command
        .spawn()
        .map_err(|error| Error::Usage(format!("`{}` cannot be run: {error}", options.command[0].to_string_lossy())))?;
    let hearing = child.stderr.take().map(Hearing::begin);
    Ok((child, hearing))
}

/// Waits before the command's next attempt. False: there is none.
async fn run_again(core: &Shared, retry: &mut Retry, cause: Cause, signals: &watch::Receiver<Signal>) -> bool {
    let attempts = retry.count() + 1;
    let what = "the command".to_owned();
    let Some(delay) = retry.again(cause, Instant::now()) else {
        let mut core = lock(core);
        core.say(Event::GaveUp { what, cause: cause.to_string(), attempts });
        core.gave_up = Some(format!(
            "gave up on the command after {attempts} attempts: {cause}; what it had committed by itself stays"
        ));
        return false;
    };
    lock(core).say(Event::Retrying { what, cause: cause.to_string(), attempt: attempts + 1, delay });
    let mut signals = signals.clone();
    tokio::select! {
        () = tokio::time::sleep(delay) => true,
        _ = signals.wait_for(|signal| *signal != Signal::None) => false,
    }
}

/// How long the child may take to end after it was told to.
const PATIENCE: Duration = Duration::from_secs(10);

/// Watches until the child ends. Whether the watcher was lost.
async fn attend(
    mut child: Child,
    watcher: &mut Watcher,
    core: &Shared,
    django: bool,
    mut signals: watch::Receiver<Signal>,
) -> Result<(Option<ExitStatus>, bool), Error> {
    let mut lost = false;
    let mut deadline: Option<(Instant, i32)> = None;
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut listening = true;
    loop {
        tokio::select! {
            status = child.wait() => {
                return Ok((Some(status.map_err(Error::io("waiting for the command"))?), lost));
            }
            changed = signals.changed(), if listening => {
                listening = changed.is_ok();
                let signal = *signals.borrow_and_update();
                if let Signal::Sent(number) = signal {
                    kill(&child, number);
                }
                if signal != Signal::None {
                    // A driver that waits in C does not see the signal before its statement ends.
                    lock(core).stopping = true;
                    if !lost {
                        drop(watcher.end_ours(false).await);
                    }
                    deadline.get_or_insert((Instant::now() + PATIENCE, TERM));
                }
            }
            _ = ticks.tick() => {
                if !lost && let Some(error) = look(watcher).await {
                    lost = true;
                    let mut core = lock(core);
                    core.warn(format!("the watcher lost its connection ({error}): the command is stopped"));
                    core.stop();
                    deadline = Some((Instant::now() + PATIENCE, TERM));
                }
                if django && lock(core).checked == 0 && watcher.longest_unreported() >= UNREPORTED {
                    lock(core).refuse(UNGUARDED.to_owned());
                    if !lost {
                        drop(watcher.end_ours(true).await);
                    }
                }
                if lock(core).refusal.is_some() && deadline.is_none() {
                    lock(core).stop();
                    deadline = Some((Instant::now() + PATIENCE, TERM));
                }
                if let Some((at, number)) = deadline
                    && Instant::now() >= at
                {
                    kill(&child, number);
                    deadline = Some((Instant::now() + PATIENCE, KILL));
                }
            }
        }
    }
}

/// A look that takes longer than this is as good as none.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the watcher cannot see any more.
async fn look(watcher: &mut Watcher) -> Option<String> {
    match tokio::time::timeout(LOOK_TIMEOUT, watcher.look()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(zdm_conn::connect::describe(&error)),
        Err(_) => Some(format!("no answer within {} s", LOOK_TIMEOUT.as_secs())),
    }
}

/// A Django process reports a connection within milliseconds of opening it; on a machine that is busy with other things it
/// may be seconds.
const UNREPORTED: Duration = Duration::from_secs(5);

const UNGUARDED: &str = "the command is Django's but does not report to zdm, so it does not run under guard: something on \
                         the way to Python drops PYTHONPATH. Start zdm where Python runs, such as inside the container";

const TERM: i32 = 15;
const KILL: i32 = 9;

fn kill(child: &Child, number: i32) {
    let pid = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
    if let (Some(pid), Some(signal)) = (pid, rustix::process::Signal::from_named_raw(number)) {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Waits until the child's sessions have ended, and ends those that do not.
async fn settle(watcher: &Watcher) {
    for attempt in 0..30_u32 {
        let count = if attempt == 5 { watcher.end_ours(false).await } else { watcher.count().await };
        match count {
            Ok(0) | Err(_) => return,
            Ok(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        if attempt == 15 {
            drop(watcher.end_ours(true).await);
        }
    }
}

/// Drops what concurrent builds that did not come to their end left behind.
async fn clean_up(session: &Session, core: &Shared) {
    let builds = lock(core).unfinished_builds();
    for build in builds {
        let Ok(Found::Invalid { drop: sql }) = find_index(session, &build).await else { continue };
        let dropped = session.client().batch_execute(&sql).await;
        let (index, table) = (build.index.to_string(), build.table.to_string());
        let mut core = lock(core);
        match &dropped {
            Ok(()) => core.note(format!("the index `{index}` was not finished; what was left of it is dropped")),
            Err(error) => {
                let error = zdm_conn::connect::describe(error);
                core.warn(format!(
                    "the index `{index}` of `{table}` is left INVALID ({error}); the next run drops it, or: {sql}"
                ));
            }
        }
        core.record.invalid_indexes.push(InvalidIndex { index, table, dropped: dropped.is_ok() });
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

fn ended(
    core: &Core,
    status: Option<ExitStatus>,
    lost: bool,
    nature: &Nature,
    decision: Option<&Decision>,
    signal: Signal,
) -> Ended {
    if let Some(reason) = &core.refusal {
        return Ended::Refused(reason.clone());
    }
    if lost {
        return Ended::Failed("the watcher lost its connection, and the command was stopped".to_owned());
    }
    if signal != Signal::None {
        return Ended::Interrupted;
    }
    let code = status.map_or(1, exit_code);
    if code != 0 {
        if let Some(reason) = &core.gave_up {
            return Ended::GaveUp(reason.clone());
        }
        let by = status.and_then(|status| status.signal());
        return Ended::Failed(by.map_or_else(
            || format!("the command ended with exit code {code}"),
            |signal| format!("the command was ended by signal {signal}"),
        ));
    }
    if nature.django && !core.loaded && core.checked == 0 {
        return Ended::Refused(UNGUARDED.to_owned());
    }
    let closed: Vec<String> =
        decision.into_iter().flat_map(Decision::closed).map(|one| crate::gate::dotted(&one.pending.key)).collect();
    if !closed.is_empty() {
        return Ended::Refused(format!("the gate is closed for {}", closed.join(", ")));
    }
    Ended::Done
}

/// Tells one run from another.
fn token() -> u32 {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    nanos ^ std::process::id().rotate_left(16)
}

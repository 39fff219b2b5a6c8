//! The run: prepares the job, starts the monitor and the workers, and says how it ended.

pub(crate) mod prepare;
mod worker;

use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use zdm_conn::{Doing as _, Ident, Session, SessionError, Settings, Timeouts};

use crate::definition::Definition;
use crate::error::Error;
use crate::event::{Event, Outcome};
use crate::monitor::{Monitor, OwnBackends, Signal};
use crate::plan::{Choice, PartPlan, Plan};
use crate::store::{Job, State, Store};
use crate::throttle::Limits;

pub use prepare::{Estimate, Preview, preview};

/// What a run is asked to do.
#[derive(Debug, Clone)]
pub struct RunOptions {
    pub settings: Settings,
    /// The table and what to fill; nothing to go on with a job by its name.
    pub what: Option<(String, Definition)>,
    /// The job's name; by default made of table and targets.
    pub job: Option<String>,
    pub choice: Choice,
    pub limits: Limits,
    /// Whether `limits` replace those of a job that is resumed.
    pub limits_given: bool,
    pub workers: usize,
    pub stop_on_error: bool,
    /// Bad rows after which the run ends.
    pub most_bad_rows: u64,
    /// Forget an unfinished job of the same name.
    pub restart: bool,
    /// `VACUUM` at the end, and at intervals when the limits say so.
    pub vacuum: bool,
    pub state_schema: Ident,
    pub timeouts: Timeouts,
    /// How long to try again without success before giving up.
    pub retry_for: Duration,
}

/// Rows can move behind the frontier; parts are walked again at most so often.
const MOST_ROUNDS: i32 = 4;

/// What workers share.
#[derive(Debug)]
struct Shared {
    options: RunOptions,
    store: Store,
    job: Job,
    /// By part number.
    plans: Vec<PartPlan>,
    events: mpsc::UnboundedSender<Event>,
    signal: watch::Receiver<Signal>,
    stop: watch::Receiver<bool>,
    own: OwnBackends,
    worker_numbers: Arc<Mutex<Vec<i32>>>,
    step_rows: Arc<AtomicUsize>,
    /// Writing transactions of all workers so far.
    transactions: Arc<AtomicU64>,
    bad_rows: AtomicU64,
    /// When a worker last got something done.
    last_success: Mutex<Instant>,
}

impl Shared {
    fn send(&self, event: Event) {
        // Nobody listens any more when the run is ending.
        drop(self.events.send(event));
    }

    fn succeeded(&self) {
        *self.last_success.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Instant::now();
    }

    fn since_success(&self) -> Duration {
        self.last_success.lock().unwrap_or_else(std::sync::PoisonError::into_inner).elapsed()
    }
}

/// Runs a job to its end. `stop` asks to finish the step and leave a resumable job.
///
/// # Errors
/// See [`Error`]. The job stays resumable.
pub async fn run(
    mut options: RunOptions,
    events: mpsc::UnboundedSender<Event>,
    stop: watch::Receiver<bool>,
) -> Result<Outcome, Error> {
    // After a failover the old primary may be back as a standby: among several hosts, the writable one is meant.
    options.settings.needs_writable = true;
    let Some((session, prepared)) = begin(&options, &events, &stop).await? else {
        return Ok(Outcome::Interrupted { rows_updated: 0 });
    };
    let store = Store::new(options.state_schema.clone());
    let job = prepared.job;
    let shown = Plan { parts: prepared.plans.clone(), by_predicate: prepared.by_predicate };
    // Nobody may be listening: the run does not depend on it.
    drop(events.send(Event::Planned { job: job.name.clone(), resumed: prepared.resumed, plan: shown }));
    let own = OwnBackends::default();
    let worker_numbers = Arc::new(Mutex::new(Vec::new()));
    let step_rows = Arc::new(AtomicUsize::new(0));
    let transactions = Arc::new(AtomicU64::new(0));
    let monitor = Monitor {
        settings: options.settings.clone(),
        application_name: format!("zdm backfill {} monitor", job.name),
        timeouts: options.timeouts,
        store: store.clone(),
        job: job.clone(),
        relations: prepared.plans.iter().map(|plan| plan.relation).collect(),
        own: own.clone(),
        events: events.clone(),
        workers: Arc::clone(&worker_numbers),
        step_rows: Arc::clone(&step_rows),
        transactions: Arc::clone(&transactions),
    };
    own.add(session.backend_pid);
    // A server that goes away just here is met again by the monitor and the workers.
    let first = monitor.first(&session).await.unwrap_or_else(|_| Signal::unknown(&job));
    let (signal_sender, signal) = watch::channel(first);
    let monitor = tokio::spawn(monitor.run(signal_sender));
    let shared = Arc::new(Shared {
        store,
        job,
        plans: prepared.plans,
        events,
        signal,
        stop,
        own,
        worker_numbers,
        step_rows,
        transactions,
        bad_rows: AtomicU64::new(0),
        last_success: Mutex::new(Instant::now()),
        options,
    });
    let vacuum = shared.options.vacuum.then(|| tokio::spawn(vacuum_at_intervals(Arc::clone(&shared))));
    let ended = run_workers(&shared).await;
    monitor.abort();
    if let Some(vacuum) = vacuum {
        vacuum.abort();
    }
    drop(session);
    finish(&shared, ended).await
}

/// A server that has never been reached is more often a wrong address than one that is coming back.
const PATIENCE_AT_START: Duration = Duration::from_secs(15);

/// The first session and the job, through lost connections. Nothing when `stop` came first.
async fn begin(
    options: &RunOptions,
    events: &mpsc::UnboundedSender<Event>,
    stop: &watch::Receiver<bool>,
) -> Result<Option<(Session, prepare::Prepared)>, Error> {
    let mut stop = stop.clone();
    let started = Instant::now();
    let mut backoff = zdm_conn::Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let mut reached = false;
    loop {
        let attempt = async {
            let mut session = open(&options.settings, "zdm backfill", options.timeouts).await?;
            let prepared = prepare::prepare(&mut session, options).await?;
            Ok::<_, Error>((session, prepared))
        };
        let attempt = tokio::select! {
            attempt = attempt => attempt,
            Ok(_) = stop.wait_for(|stop| *stop) => return Ok(None),
        };
        match attempt {
            Err(error) if error.is_transient() => {
                reached |= !matches!(error, Error::Session(SessionError::Connect(_)));
                let patience = if reached { options.retry_for } else { options.retry_for.min(PATIENCE_AT_START) };
                if started.elapsed() >= patience {
                    return Err(error);
                }
                let delay = backoff.next_delay();
                let message = error.to_string();
                // Nobody may be listening: the run does not depend on it.
                drop(events.send(Event::Reconnecting { message, attempt: backoff.attempts(), delay }));
                tokio::select! {
                    () = tokio::time::sleep(delay) => {}
                    Ok(_) = stop.wait_for(|stop| *stop) => return Ok(None),
                }
            }
            other => return other.map(Some),
        }
    }
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The job has reached this state.
    State(State),
    Interrupted,
}

async fn run_workers(shared: &Arc<Shared>) -> Result<End, Error> {
    let mut workers = JoinSet::new();
    for _ in 0..shared.options.workers.max(1) {
        workers.spawn(worker::run(Arc::clone(shared)));
    }
    let mut end = None;
    while let Some(finished) = workers.join_next().await {
        match finished {
            Ok(Ok(worker_end)) => end = Some(worker_end),
            // The others are stopped by dropping the set: their steps are whole or rolled back.
            Ok(Err(error)) => return Err(error),
            Err(panic) => return Err(Error::Forbidden(format!("a worker ended unexpectedly: {panic}"))),
        }
    }
    Ok(end.unwrap_or(End::Interrupted))
}

/// What happened, as an outcome. The counters are asked for until the server answers or the patience ends.
async fn finish(shared: &Shared, ended: Result<End, Error>) -> Result<Outcome, Error> {
    let started = Instant::now();
    let mut ended = ended;
    loop {
        let end = ended.as_ref().ok().copied();
        match (report(shared, ended).await, end) {
            (Err(error), Some(end)) if error.is_transient() && started.elapsed() < shared.options.retry_for => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                ended = Ok(end);
            }
            (other, _) => return other,
        }
    }
}

async fn report(shared: &Shared, ended: Result<End, Error>) -> Result<Outcome, Error> {
    let options = &shared.options;
    let session = open_patiently(&options.settings, options.timeouts, options.retry_for).await;
    let end = match (ended, &session) {
        (Ok(end), _) => end,
        (Err(error), Ok(session)) => {
            let needs_operator =
                matches!(error, Error::Changed(_) | Error::Forbidden(_) | Error::Usage(_) | Error::Refused(_));
            if needs_operator {
                // The error itself matters more than whether it could be recorded.
                let reason = error.to_string();
                drop(shared.store.set_state(session, shared.job.id, State::Failed, Some(&reason)).await);
            }
            return Err(error);
        }
        (Err(error), Err(_)) => return Err(error),
    };
    let session = session?;
    let progress = shared.store.progress(&session, shared.job.id).await?;
    shared.send(Event::Progress(progress.clone()));
    if options.vacuum && matches!(end, End::State(State::Done | State::Incomplete)) {
        vacuum_parts(shared).await?;
    }
    let rows_updated = progress.rows_updated;
    Ok(match end {
        End::Interrupted => Outcome::Interrupted { rows_updated },
        End::State(State::Done) => Outcome::Done { rows_updated },
        End::State(State::Incomplete) => Outcome::Incomplete {
            rows_updated,
            bad_rows: progress.bad_rows,
            deferred_rows: shared.store.deferred_rows(&session, shared.job.id).await?,
        },
        End::State(State::Cancelled) => Outcome::Cancelled { rows_updated },
        End::State(State::Failed) => {
            let job = shared.store.find_job(session.client(), &shared.job.name, crate::store::Kind::Run).await?;
            let reason = job.and_then(|job| job.reason).unwrap_or_else(|| "another worker failed".to_owned());
            return Err(Error::Forbidden(reason));
        }
        End::State(State::Running | State::Paused) => Outcome::Interrupted { rows_updated },
    })
}

/// A session on a server that is proved to keep its timeouts.
pub(crate) async fn open(settings: &Settings, name: &str, timeouts: Timeouts) -> Result<Session, Error> {
    let session = Session::open(settings, name, timeouts).await?;
    if zdm_conn::pooler::detect(&session, settings).await? == zdm_conn::pooler::Pooling::PerTransaction {
        return Err(Error::Forbidden(
            "the connection goes through a proxy that pools transactions: timeouts would not be in force on our own \
             statements and would reach other clients; give a direct connection with --dsn"
                .to_owned(),
        ));
    }
    Ok(session)
}

async fn open_patiently(settings: &Settings, timeouts: Timeouts, patience: Duration) -> Result<Session, SessionError> {
    let started = Instant::now();
    let mut backoff = zdm_conn::Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    loop {
        match Session::open(settings, "zdm backfill", timeouts).await {
            Err(error) if error.is_transient() && started.elapsed() < patience.min(Duration::from_secs(30)) => {
                tokio::time::sleep(backoff.next_delay()).await;
            }
            other => return other,
        }
    }
}

async fn vacuum_at_intervals(shared: Arc<Shared>) {
    let mut signal = shared.signal.clone();
    let mut last = signal.borrow().rows_updated;
    while signal.changed().await.is_ok() {
        let (rows, every) = {
            let now = signal.borrow_and_update();
            (now.rows_updated, now.limits.vacuum_every)
        };
        if every.is_some_and(|every| every > 0 && rows.saturating_sub(last) >= every) {
            last = rows;
            if let Err(error) = vacuum_parts(&shared).await {
                shared.send(Event::Warning { kind: "vacuum", message: error.to_string() });
            }
        }
    }
}

/// `VACUUM` of every part. It may take hours: its limit is a day, and its lock wait is short.
async fn vacuum_parts(shared: &Shared) -> Result<(), Error> {
    let timeouts = Timeouts { statement: Duration::from_hours(24), ..shared.options.timeouts };
    let session = Session::open(&shared.options.settings, "zdm backfill vacuum", timeouts).await?;
    shared.own.add(session.backend_pid);
    for plan in &shared.plans {
        let started = Instant::now();
        let sql = format!("VACUUM (TRUNCATE false) {}", plan.name);
        session.client().batch_execute(&sql).await.doing("vacuuming")?;
        shared.send(Event::Vacuumed { table: plan.name.plain(), duration: started.elapsed() });
    }
    shared.own.remove(session.backend_pid);
    Ok(())
}

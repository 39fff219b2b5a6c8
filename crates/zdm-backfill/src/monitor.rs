//! Watches the server on a connection of its own, once per step or so, and tells the workers whether to hold.
//!
//! It also counts the job's progress, and reports snapshots that keep dead rows from being pruned.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use zdm_conn::{Doing as _, Session, Settings, Timeouts};

use crate::error::Error;
use crate::event::{Event, Progress};
use crate::store::{Job, Kind, State, Store};
use crate::throttle::{Limits, Reason, Sample, Vacuum, decide};

/// What the workers are told.
#[derive(Debug, Clone)]
pub struct Signal {
    pub state: State,
    pub limits: Limits,
    /// Why to hold.
    pub hold: Option<Reason>,
    /// Sessions that wait for a lock of ours.
    pub blocked: u32,
    /// Others write to the server: steps are shorter.
    pub others_write: bool,
    /// Workers of the job, everywhere.
    pub workers: u32,
    pub rows_updated: u64,
    /// The sample's number.
    pub number: u64,
}

impl Signal {
    /// Before the first sample: the workers hold until there is one.
    pub(crate) fn unknown(job: &Job) -> Self {
        Self {
            state: State::Running,
            limits: job.limits.clone(),
            hold: Some(Reason::Blind),
            blocked: 0,
            others_write: true,
            workers: 1,
            rows_updated: 0,
            number: 0,
        }
    }
}

/// Process ids of our own backends: what they do is no signal.
#[derive(Debug, Clone, Default)]
pub struct OwnBackends(Arc<Mutex<BTreeSet<i32>>>);

impl OwnBackends {
    pub fn add(&self, pid: i32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(pid);
    }

    pub fn remove(&self, pid: i32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
    }

    fn list(&self) -> Vec<i32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}

/// Everything the monitor needs.
#[derive(Debug)]
pub(crate) struct Monitor {
    pub(crate) settings: Settings,
    pub(crate) application_name: String,
    pub(crate) timeouts: Timeouts,
    pub(crate) store: Store,
    pub(crate) job: Job,
    pub(crate) relations: Vec<u32>,
    pub(crate) own: OwnBackends,
    pub(crate) events: mpsc::UnboundedSender<Event>,
    /// Worker numbers of this process, for their `holding` column.
    pub(crate) workers: Arc<Mutex<Vec<i32>>>,
    pub(crate) step_rows: Arc<std::sync::atomic::AtomicUsize>,
    /// Writing transactions of this process.
    pub(crate) transactions: Arc<AtomicU64>,
}

/// Between two samples at the least.
const PERIOD: Duration = Duration::from_millis(50);
/// Between two looks at the job's counters.
const PROGRESS_PERIOD: Duration = Duration::from_secs(1);
/// Between two looks for old snapshots.
const SNAPSHOT_PERIOD: Duration = Duration::from_secs(5);
/// Silence after which the workers hold.
const BLIND_AFTER: Duration = Duration::from_secs(5);
/// Writing transactions of others per second from which on steps are short. Counting ours is off by a few.
const OTHERS_WRITE: f64 = 10.0;
/// Short steps stay for so long after the last sign of others.
const OTHERS_MEMORY: Duration = Duration::from_secs(3);

/// State between samples.
#[derive(Default)]
struct Running {
    last_wal: Option<(Instant, f64)>,
    wal_rate: Option<u64>,
    /// When, the server's next transaction id, and ours so far.
    last_transactions: Option<(Instant, f64, u64)>,
    others_per_second: Option<f64>,
    others_seen: Option<Instant>,
    reported: BTreeSet<i32>,
    progress: Progress,
    last_progress: Option<Instant>,
    last_snapshots: Option<Instant>,
    rates: Vec<(Instant, u64, f64)>,
    holding: Option<Reason>,
    hidden_reported: bool,
    number: u64,
}

impl Monitor {
    /// Runs until the receiver is gone. Lost connections are made anew; meanwhile the workers hold.
    pub(crate) async fn run(self, signal: watch::Sender<Signal>) {
        let mut running = Running::default();
        let mut silent_since: Option<Instant> = None;
        while !signal.is_closed() {
            if let Ok(session) = Session::open(&self.settings, &self.application_name, self.timeouts).await {
                self.own.add(session.backend_pid);
                loop {
                    if signal.is_closed() {
                        return;
                    }
                    let started = Instant::now();
                    match self.sample(&session, &mut running).await {
                        Ok(next) => {
                            silent_since = None;
                            self.tell(&session, &mut running, next.hold.as_ref()).await;
                            signal.send_replace(next);
                        }
                        Err(_) => break,
                    }
                    // A slow server is asked less often: one tenth of the time at most goes into asking.
                    tokio::time::sleep(PERIOD.max(started.elapsed() * 9)).await;
                }
                self.own.remove(session.backend_pid);
            }
            let since = *silent_since.get_or_insert_with(Instant::now);
            if since.elapsed() > BLIND_AFTER {
                signal.send_modify(|signal| signal.hold = Some(Reason::Blind));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// One look at everything.
    pub(crate) async fn first(&self, session: &Session) -> Result<Signal, Error> {
        // Warnings and progress are told by the samples that follow.
        let now = Some(Instant::now());
        let mut running =
            Running { last_progress: now, last_snapshots: now, hidden_reported: true, ..Running::default() };
        self.sample(session, &mut running).await
    }

    async fn sample(&self, session: &Session, running: &mut Running) -> Result<Signal, Error> {
        let found = self.store.find_job(session.client(), &self.job.name, Kind::Run).await?;
        let (state, limits) = match found.filter(|job| job.id == self.job.id) {
            Some(job) => (job.state, job.limits),
            // Replaced by another run with --restart: this one ends.
            None => (State::Cancelled, self.job.limits.clone()),
        };
        let sample = self.signals(session, running, &limits).await?;
        let hold = if state == State::Paused { Some(Reason::PausedByOperator) } else { decide(&sample, &limits) };
        if running.last_progress.is_none_or(|at| at.elapsed() >= PROGRESS_PERIOD) {
            running.last_progress = Some(Instant::now());
            self.progress(session, running, &sample).await?;
        }
        if running.last_snapshots.is_none_or(|at| at.elapsed() >= SNAPSHOT_PERIOD) {
            running.last_snapshots = Some(Instant::now());
            self.snapshots(session, running).await?;
        }
        running.number += 1;
        Ok(Signal {
            state,
            limits,
            hold,
            blocked: sample.blocked,
            // Taken for granted until it is known.
            others_write: running.others_per_second.is_none()
                || running.others_seen.is_some_and(|at| at.elapsed() < OTHERS_MEMORY),
            workers: running.progress.workers.max(1),
            rows_updated: running.progress.rows_updated,
            number: running.number,
        })
    }

    async fn signals(&self, session: &Session, running: &mut Running, limits: &Limits) -> Result<Sample, Error> {
        let own = self.own.list();
        let row = session
            .client()
            .query_one(
                "WITH l AS MATERIALIZED (SELECT l.pid, l.granted FROM pg_catalog.pg_locks AS l WHERE NOT l.granted \
                     OR l.locktype = 'relation' AND l.relation = ANY($1::oid[]) AND l.mode = 'ShareUpdateExclusiveLock' \
                     AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())) \
                 SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::float8, \
                 (SELECT max(extract(epoch FROM r.replay_lag))::float8 FROM pg_catalog.pg_stat_replication AS r), \
                 (SELECT max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), r.replay_lsn))::float8 \
                  FROM pg_catalog.pg_stat_replication AS r), \
                 (SELECT count(*) FROM pg_catalog.pg_stat_replication AS r WHERE r.state IS NULL), \
                 ARRAY(SELECT l.pid FROM l WHERE l.granted AND l.pid <> ALL($2::int[])), \
                 (SELECT count(*) FROM l WHERE NOT l.granted AND l.pid <> ALL($2::int[]) \
                  AND pg_catalog.pg_blocking_pids(l.pid) && $2::int[]), \
                 pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::float8",
                &[&self.relations, &own],
            )
            .await
            .doing("watching the server")?;
        let wal: f64 = row.get(0);
        Self::wal_rate(running, wal);
        self.others(running, row.get(6));
        let mut sample = Sample {
            lag: row.get::<_, Option<f64>>(1).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            lag_bytes: row.get::<_, Option<f64>>(2).map(to_bytes),
            wal_rate: running.wal_rate,
            blocked: u32::try_from(row.get::<_, i64>(5)).unwrap_or(u32::MAX),
            ..Sample::default()
        };
        if row.get::<_, i64>(3) > 0 && !running.hidden_reported {
            running.hidden_reported = true;
            self.warn("hidden_standbys", "standbys are connected whose lag this role may not see; grant it pg_monitor");
        }
        let holders: Vec<i32> = row.get(4);
        if !holders.is_empty() {
            sample.vacuums = vacuums(session, &holders).await?;
        }
        if limits.max_active.is_some() {
            let row = session
                .client()
                .query_one(
                    "SELECT count(*) FILTER (WHERE a.state = 'active') FROM pg_catalog.pg_stat_activity AS a \
                     WHERE a.backend_type = 'client backend' AND a.pid <> ALL($1::int[])",
                    &[&own],
                )
                .await
                .doing("counting active sessions")?;
            sample.active = u32::try_from(row.get::<_, i64>(0)).ok();
        }
        if let Some(probe) = &limits.probe {
            sample.probe = ask_probe(session, probe).await;
        }
        Ok(sample)
    }

    fn wal_rate(running: &mut Running, wal: f64) {
        let now = Instant::now();
        match running.last_wal {
            // Over a fifth of a second at least: shorter spans measure bursts.
            Some((at, before)) if now.duration_since(at) >= Duration::from_millis(200) => {
                let seconds = now.duration_since(at).as_secs_f64();
                running.wal_rate = Some(to_bytes((wal - before).max(0.0) / seconds));
                running.last_wal = Some((now, wal));
            }
            Some(_) => {}
            None => running.last_wal = Some((now, wal)),
        }
    }

    /// Every transaction that writes takes one number (and one per savepoint): what is not ours is others'.
    fn others(&self, running: &mut Running, next_id: f64) {
        let (now, ours) = (Instant::now(), self.transactions.load(Ordering::Relaxed));
        match running.last_transactions {
            Some((at, id_before, ours_before)) if now.duration_since(at) >= Duration::from_millis(500) => {
                #[expect(clippy::cast_precision_loss, reason = "a rate")]
                let others = next_id - id_before - ours.saturating_sub(ours_before) as f64;
                let rate = others.max(0.0) / now.duration_since(at).as_secs_f64();
                running.others_per_second = Some(rate);
                if rate >= OTHERS_WRITE {
                    running.others_seen = Some(now);
                }
                running.last_transactions = Some((now, next_id, ours));
            }
            Some(_) => {}
            None => running.last_transactions = Some((now, next_id, ours)),
        }
    }

    async fn progress(&self, session: &Session, running: &mut Running, sample: &Sample) -> Result<(), Error> {
        const WINDOW: Duration = Duration::from_secs(10);
        let mut progress = self.store.progress(session, self.job.id).await?;
        let now = Instant::now();
        running.rates.push((now, progress.rows_updated, progress.fraction));
        running.rates.retain(|(at, _, _)| now.duration_since(*at) <= WINDOW);
        if let Some((at, rows, fraction)) = running.rates.first() {
            let seconds = now.duration_since(*at).as_secs_f64();
            #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
            let updated = progress.rows_updated.saturating_sub(*rows) as f64;
            if seconds > 0.1 {
                progress.rate = updated / seconds;
                let speed = (progress.fraction - fraction) / seconds;
                if speed > 0.0 {
                    progress.time_left = Duration::try_from_secs_f64((1.0 - progress.fraction).max(0.0) / speed).ok();
                }
            }
        }
        progress.step_rows = self.step_rows.load(Ordering::Relaxed);
        progress.lag_bytes = sample.lag_bytes;
        progress.others_per_second = running.others_per_second;
        running.progress = progress.clone();
        self.send(Event::Progress(progress));
        Ok(())
    }

    /// Transactions whose snapshot is older than a few windows keep dead rows from being pruned: updates stop being HOT.
    async fn snapshots(&self, session: &Session, running: &mut Running) -> Result<(), Error> {
        let rows = session
            .client()
            .query(
                "SELECT a.pid, extract(epoch FROM now() - a.xact_start)::float8, COALESCE(a.application_name, '') \
                 FROM pg_catalog.pg_stat_activity AS a WHERE a.backend_xmin IS NOT NULL AND a.pid <> ALL($1::int[]) \
                 AND a.xact_start < now() - interval '5 s' AND a.backend_type <> 'autovacuum worker' \
                 UNION ALL SELECT 0, extract(epoch FROM now() - p.prepared)::float8, p.gid FROM pg_catalog.pg_prepared_xacts AS p \
                 WHERE p.prepared < now() - interval '5 s' ORDER BY 2 DESC LIMIT 3",
                &[&self.own.list()],
            )
            .await
            .doing("looking for old snapshots")?;
        for row in rows {
            let (pid, age, name): (i32, f64, String) = (row.get(0), row.get(1), row.get(2));
            if running.reported.insert(pid) {
                let who =
                    if pid == 0 { format!("the prepared transaction `{name}`") } else { format!("pid {pid} ({name})") };
                self.warn(
                    "old_snapshot",
                    &format!("{who} holds a snapshot {age:.0} s old: dead rows cannot be pruned, the table grows and updates are slower"),
                );
            }
        }
        Ok(())
    }

    /// Reports a change between holding and going on.
    async fn tell(&self, session: &Session, running: &mut Running, hold: Option<&Reason>) {
        let kind = |reason: Option<&Reason>| reason.map(Reason::kind);
        if kind(running.holding.as_ref()) == kind(hold) {
            return;
        }
        running.holding = hold.cloned();
        let text = hold.map(ToString::to_string);
        match hold {
            Some(reason) => self.send(Event::Holding { kind: reason.kind(), reason: reason.to_string() }),
            None => self.send(Event::Released),
        }
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // For `status` alone: the run does not depend on it.
        drop(self.store.set_holding(session, &workers, text.as_deref()).await);
    }

    fn warn(&self, kind: &'static str, message: &str) {
        self.send(Event::Warning { kind, message: message.to_owned() });
    }

    fn send(&self, event: Event) {
        // Nobody listens any more when the run is ending.
        drop(self.events.send(event));
    }
}

async fn vacuums(session: &Session, pids: &[i32]) -> Result<Vec<Vacuum>, Error> {
    let rows = session
        .client()
        .query(
            "SELECT a.pid, COALESCE(a.backend_type = 'autovacuum worker' OR a.query LIKE 'autovacuum: %', false), \
             COALESCE(a.query LIKE '%(to prevent wraparound)', false) \
             FROM pg_catalog.pg_stat_activity AS a WHERE a.pid = ANY($1) ORDER BY a.pid",
            &[&pids],
        )
        .await
        .doing("looking at vacuums")?;
    Ok(rows.iter().map(|row| Vacuum { pid: row.get(0), automatic: row.get(1), wraparound: row.get(2) }).collect())
}

/// A probe that fails holds the run: its author wanted to be asked.
async fn ask_probe(session: &Session, probe: &str) -> Option<String> {
    let messages = match session.client().simple_query(probe).await {
        Ok(messages) => messages,
        Err(error) => return Some(zdm_conn::connect::describe(&error)),
    };
    let answer = messages.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    answer.filter(|text| !matches!(text.as_str(), "" | "f" | "0" | "false"))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
fn to_bytes(value: f64) -> u64 {
    value.clamp(0.0, 9e18) as u64
}

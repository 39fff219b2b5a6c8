//! One worker: claims a window, collects its rows, updates them step by step, until nothing is left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio_postgres::{Error as DriverError, Statement};
use zdm_conn::connect::describe;
use zdm_conn::{Backoff, Doing as _, FailureClass, Session, StatementError, Timeouts, classify};

use super::prepare::range_sql;
use super::{End, MOST_ROUNDS, Shared};
use crate::catalog;
use crate::error::Error;
use crate::event::Event;
use crate::pace::{Pace, Took, least};
use crate::plan::{PartPlan, Strategy, order_passes, page_runs};
use crate::store::{BadRow, State, Window};
use crate::throttle::StepBounds;
use crate::tid::Tid;

/// Rows of a window: the addresses of so many are held in memory, a few dozen bytes each while they are ordered.
const FEWEST_WINDOW_ROWS: usize = 2_000;
const MOST_WINDOW_ROWS: usize = 262_144;
/// Length of one pass, as far as the rows of a window allow. Between a row's update and the visit that prunes its dead
/// version about so much time goes by: a snapshot that is held for less (the monitor's, a short query of the
/// application) does not keep the version from being pruned.
const PASS_TIME: Duration = Duration::from_millis(250);
/// Windows with nothing to do may grow to this.
const MOST_IDLE_ROWS: usize = 500_000;
/// Collecting is a read; it should not hold its snapshot longer.
const COLLECT_TIME: Duration = Duration::from_millis(500);
/// Addresses that are fetched at once while others write, who can have the processor in between; far from the server more,
/// so that it is not waited for longer than it works.
const FEWEST_COLLECTED: i32 = 1_000;
/// And while nobody does.
const MOST_COLLECTED: i32 = 20_000;
/// A worker that does not come back to its transaction for so long, since its machine stands still or the network is gone,
/// loses it: others may wait for its rows.
const MOST_IDLE: Duration = Duration::from_secs(2);
/// No rate makes a worker wait longer between two steps.
const MOST_PAUSE: Duration = Duration::from_mins(1);
/// How often a window's leftovers (rows that moved or were locked) are looked for.
const MOST_SWEEPS: u32 = 4;
/// Between two looks for ranges that dead workers left behind.
const ABANDONED_PERIOD: Duration = Duration::from_secs(10);

/// One worker, through lost connections, until the job or the patience ends.
pub(super) async fn run(shared: Arc<Shared>) -> Result<End, Error> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
    let mut pace = Pace::new(shared.signal.borrow().limits.target_time);
    loop {
        let started = Instant::now();
        let error = match Worker::open(&shared, pace.clone()).await {
            Ok(mut worker) => {
                let ended = worker.work().await;
                pace.clone_from(&worker.pace);
                worker.leave().await;
                match ended {
                    Ok(end) => return Ok(end),
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        if *shared.stop.borrow() && (error.is_transient() || matches!(error, Error::GaveUp { .. })) {
            return Ok(End::Interrupted);
        }
        if !error.is_transient() {
            return Err(error);
        }
        if started.elapsed() > Duration::from_mins(1) {
            backoff.reset();
        }
        if shared.since_success() > shared.options.retry_for {
            return Err(Error::GaveUp { attempts: backoff.attempts(), message: error.to_string() });
        }
        let delay = backoff.next_delay();
        shared.send(Event::Reconnecting { message: error.to_string(), attempt: backoff.attempts(), delay });
        let mut stop = shared.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            _ = stop.wait_for(|stop| *stop) => return Ok(End::Interrupted),
        }
    }
}

struct Worker<'a> {
    shared: &'a Shared,
    session: Session,
    number: i32,
    statements: BTreeMap<String, Statement>,
    pace: Pace,
    /// Of a window's first pass: its updates go to other pages and to every index, and log many times as much.
    first_pace: Pace,
    /// The least that a statement took lately beside the server's work: its way there and back.
    way: Option<Duration>,
    /// What the server had logged after the last step.
    logged: Option<f64>,
    /// Rows of the next window, where it grew because nothing was pending.
    idle_rows: usize,
    /// A bound that a timeout set on windows.
    most_window_rows: usize,
    /// The part in which a range is looked for.
    claiming: Option<i32>,
    looked_for_abandoned: Option<Instant>,
    /// The job's state as the last step saw it, when it was not `running`.
    told_to_hold: bool,
    /// The last step's begin and its rows: with a rate in force, the next one waits for as long as they may take.
    last_step: (Instant, u64),
}

/// A range to fill.
type Range = (Option<Vec<String>>, Vec<String>);

/// What became of some rows.
#[derive(Debug, Default, Clone, Copy)]
struct Filled {
    updated: u64,
    bad: u64,
}

/// What one transaction did.
#[derive(Debug, Default)]
struct Updated {
    rows: u64,
    /// What its statements took by the server's clock.
    server: Duration,
    /// Bytes of WAL that the server has logged meanwhile.
    wal: f64,
}

impl<'a> Worker<'a> {
    async fn open(shared: &'a Shared, pace: Pace) -> Result<Self, Error> {
        let name = format!("zdm backfill {}", shared.job.name);
        let timeouts = shared.options.timeouts;
        let timeouts = Timeouts { idle_in_transaction: timeouts.idle_in_transaction.min(MOST_IDLE), ..timeouts };
        let session = Session::open(&shared.options.settings, &name, timeouts).await?;
        shared.own.add(session.backend_pid);
        session
            .client()
            .batch_execute(
                "SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off; \
                 SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3; SET jit = off; \
                 SET max_parallel_workers_per_gather = 0",
            )
            .await
            .doing("setting up the worker")?;
        let number = shared.store.register_worker(&session, shared.job.id).await?;
        shared.worker_numbers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(number);
        Ok(Self {
            shared,
            session,
            number,
            statements: BTreeMap::new(),
            first_pace: pace.clone(),
            pace,
            way: None,
            logged: None,
            idle_rows: 0,
            most_window_rows: MOST_WINDOW_ROWS,
            claiming: None,
            looked_for_abandoned: None,
            told_to_hold: false,
            last_step: (Instant::now(), 0),
        })
    }

    /// Frees what this worker holds, if the connection still lives.
    async fn leave(self) {
        self.shared.own.remove(self.session.backend_pid);
        self.shared
            .worker_numbers
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .retain(|number| *number != self.number);
        if !self.session.is_closed() {
            // A dead worker's ranges are taken over by others all the same.
            drop(self.shared.store.unregister_worker(&self.session, self.number).await);
        }
    }

    async fn work(&mut self) -> Result<End, Error> {
        let mut wait = Duration::from_millis(50);
        loop {
            if let Some(end) = self.hold().await {
                return Ok(end);
            }
            if let Some(window) = self.claim().await? {
                wait = Duration::from_millis(50);
                if let Some(end) = self.fill(&window).await? {
                    return Ok(end);
                }
                continue;
            }
            match self.shared.store.settle(&mut self.session, self.shared.job.id, MOST_ROUNDS).await? {
                Some(State::Paused) => self.told_to_hold = true,
                Some(State::Running) | None => {
                    // Others hold the last ranges, or a new round has begun.
                    self.looked_for_abandoned = None;
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(1));
                }
                Some(state) => return Ok(End::State(state)),
            }
        }
    }

    /// Waits while there is a reason to. `Some` when the run ends here.
    async fn hold(&mut self) -> Option<End> {
        let mut signal = self.shared.signal.clone();
        let mut stop = self.shared.stop.clone();
        // A sample that was under way when the step saw the state change may not know it yet: take the one after.
        let fresh_from = if std::mem::take(&mut self.told_to_hold) { signal.borrow().number + 2 } else { 0 };
        loop {
            if *stop.borrow() {
                return Some(End::Interrupted);
            }
            let now = Instant::now();
            let mut may_continue_at = now;
            {
                let current = signal.borrow_and_update();
                if current.number >= fresh_from {
                    match current.state {
                        State::Running | State::Paused => {}
                        state => return Some(End::State(state)),
                    }
                    let target = current.limits.target_time;
                    let bounds = if current.others_write {
                        StepBounds::beside_writers(target)
                    } else {
                        StepBounds::alone(target)
                    };
                    self.pace.set_bounds(bounds);
                    self.first_pace.set_bounds(bounds);
                    let (begun, rows) = self.last_step;
                    may_continue_at = begun + allowed_time(rows, current.workers, current.limits.max_rate);
                    if current.hold.is_none() && now >= may_continue_at {
                        return None;
                    }
                }
            }
            let pause = may_continue_at.saturating_duration_since(now).max(Duration::from_millis(1));
            let rate_limited = now < may_continue_at;
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return Some(End::Interrupted),
                changed = signal.changed() => {
                    if changed.is_err() {
                        return Some(End::Interrupted);
                    }
                }
                () = tokio::time::sleep(pause), if rate_limited => {}
            }
        }
    }

    async fn prepare(&mut self, sql: &str) -> Result<Statement, DriverError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.session.client().prepare(sql).await?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    fn plan(&self, part: i32) -> Result<&'a PartPlan, Error> {
        let shared: &'a Shared = self.shared;
        usize::try_from(part)
            .ok()
            .and_then(|part| shared.plans.get(part))
            .ok_or_else(|| Error::Changed(format!("the job has a part {part} that this run does not know")))
    }

    /// The next range: one left behind, else one at the frontier.
    async fn claim(&mut self) -> Result<Option<Window>, Error> {
        let job = self.shared.job.id;
        if self.looked_for_abandoned.is_none_or(|at| at.elapsed() > ABANDONED_PERIOD) {
            if let Some(window) = self.shared.store.claim_abandoned(&self.session, job, self.number).await? {
                return Ok(Some(window));
            }
            self.looked_for_abandoned = Some(Instant::now());
        }
        loop {
            match self.claim_at_frontier().await {
                Err(Error::Sql(StatementError { error, .. }))
                    if classify(&error) == FailureClass::QueryCanceled && self.most_window_rows > 1 =>
                {
                    self.most_window_rows = (self.window_rows(1) / 2).max(1);
                    self.idle_rows = 0;
                }
                // A partition that was dropped before its turn came.
                Err(Error::Sql(StatementError { error, doing })) if classify(&error) == FailureClass::Schema => {
                    let Some(part) = self.claiming.take() else {
                        return Err(Error::Sql(StatementError { doing, error }));
                    };
                    self.explain_schema_error(part, &error).await?;
                }
                other => return other,
            }
        }
    }

    fn window_rows(&self, passes: u16) -> usize {
        let pace = if passes > 1 { &self.pace } else { &self.first_pace };
        let rows = pace.rows_in(PASS_TIME).saturating_mul(usize::from(passes.max(2)));
        let rows = rows.clamp(FEWEST_WINDOW_ROWS, MOST_WINDOW_ROWS);
        rows.min(self.most_window_rows).max(self.idle_rows).max(1)
    }

    async fn claim_at_frontier(&mut self) -> Result<Option<Window>, Error> {
        let shared = self.shared;
        let job = shared.job.id;
        let number = self.number;
        // Sizes are the pace's and the part's; the part is known only inside.
        let rows_by_passes = |passes: u16| self.window_rows(passes);
        let sizes: BTreeMap<u16, usize> =
            shared.plans.iter().map(|plan| (plan.passes, rows_by_passes(plan.passes))).collect();
        let transaction = self.session.client_mut().transaction().await.doing("claiming a range")?;
        let Some(part) = shared.store.lock_open_part(&transaction, job).await? else {
            transaction.rollback().await.doing("claiming a range")?;
            return Ok(None);
        };
        self.claiming = Some(part.number);
        let plan = usize::try_from(part.number)
            .ok()
            .and_then(|number| shared.plans.get(number))
            .ok_or_else(|| Error::Changed("the job has a part that this run does not know".to_owned()))?;
        let rows = sizes.get(&plan.passes).copied().unwrap_or(FEWEST_WINDOW_ROWS);
        let end = part.upper.clone().unwrap_or_default();
        let (upper, last) = if let Some(sql) = &plan.sql.key_bound {
            let sql = range_sql(sql, part.cursor.as_deref());
            let skip = i64::try_from(rows.saturating_sub(1)).unwrap_or(i64::MAX);
            let found = transaction.query_opt(&sql, &[&part.cursor, &end, &skip]).await.doing("finding a range")?;
            let bound: Vec<String> = found.map_or_else(|| end.clone(), |row| row.get(0));
            let last = bound == end;
            (bound, last)
        } else {
            let from = page(part.cursor.as_deref());
            let to = page(Some(&end));
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "bounded by the rows of a window"
            )]
            let pages = ((rows as f64 / plan.density) as u32).max(1);
            let next = from.saturating_add(pages).min(to);
            (vec![next.to_string()], next >= to)
        };
        let window = shared.store.advance(&transaction, job, number, &part, &upper, last).await?;
        transaction.commit().await.doing("claiming a range")?;
        // This one, and the one that will finish the range.
        shared.transactions.fetch_add(2, Ordering::Relaxed);
        Ok(Some(window))
    }

    /// Fills a window. `Some` when the run ends in the middle; the window is left to be claimed again.
    async fn fill(&mut self, window: &Window) -> Result<Option<End>, Error> {
        match self.fill_window(window).await {
            Ok(end) => Ok(end),
            Err(Error::Sql(StatementError { error, .. })) if classify(&error) == FailureClass::Schema => {
                self.explain_schema_error(window.part, &error).await.map(|()| None)
            }
            Err(error) => Err(error),
        }
    }

    async fn fill_window(&mut self, window: &Window) -> Result<Option<End>, Error> {
        let plan = self.plan(window.part)?;
        if plan.strategy == Strategy::Tid && self.was_rewritten(window.part, plan).await? {
            return Ok(None);
        }
        let mut ranges: Vec<Range> = vec![(window.lower.clone(), window.upper.clone())];
        let mut scanned = 0;
        let mut deferred = 0;
        let mut found_any = false;
        while let Some((lower, upper)) = ranges.pop() {
            let started = Instant::now();
            let rows = match self.collect(plan, lower.as_deref(), &upper).await {
                Ok(rows) => rows,
                Err(Error::Sql(StatementError { error, .. })) if classify(&error) == FailureClass::QueryCanceled => {
                    let halves = self.halve(plan, lower.as_ref(), &upper).await?;
                    ranges.extend(halves);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let elapsed = started.elapsed();
            let size = self.range_rows(plan, lower.as_deref(), &upper, rows.len());
            scanned += i64::try_from(size).unwrap_or(0);
            found_any |= !rows.is_empty();
            if rows.is_empty() && elapsed < COLLECT_TIME / 2 {
                self.idle_rows = (size * 2).min(MOST_IDLE_ROWS).min(self.most_window_rows.max(MOST_WINDOW_ROWS) * 8);
            } else if elapsed > COLLECT_TIME {
                self.idle_rows = size / 2;
            }
            let outcome = self.fill_rows(plan, window, lower.as_deref(), &upper, rows).await?;
            match outcome {
                Ok(left) => deferred += i64::try_from(left).unwrap_or(i64::MAX),
                Err(end) => return Ok(Some(end)),
            }
        }
        if found_any {
            self.idle_rows = 0;
        }
        self.shared.store.finish_window(&self.session, self.number, window, scanned, deferred).await?;
        self.shared.succeeded();
        Ok(None)
    }

    /// Rows of a range, as far as it is known without counting.
    fn range_rows(&self, plan: &PartPlan, lower: Option<&[String]>, upper: &[String], pending: usize) -> usize {
        match plan.strategy {
            Strategy::Tid => {
                let pages = page(Some(upper)).saturating_sub(page(lower));
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate")]
                let rows = (f64::from(pages) * plan.density) as usize;
                rows
            }
            Strategy::Windows | Strategy::Keyset => self.window_rows(plan.passes).max(pending),
        }
    }

    /// Addresses of a range's pending rows.
    async fn collect(
        &mut self,
        plan: &PartPlan,
        lower: Option<&[String]>,
        upper: &[String],
    ) -> Result<Vec<Tid>, Error> {
        match self.collect_with(&plan.sql.collect, plan, lower, upper).await {
            // The expression fails on some row of the range: take all, and let the steps find which.
            Err(Error::Sql(StatementError { error, .. })) if classify(&error) == FailureClass::Row => {
                self.collect_with(&plan.sql.collect_all, plan, lower, upper).await
            }
            other => other,
        }
    }

    async fn collect_with(
        &mut self,
        sql: &str,
        plan: &PartPlan,
        lower: Option<&[String]>,
        upper: &[String],
    ) -> Result<Vec<Tid>, Error> {
        let doing = "collecting rows";
        let sql = if plan.strategy == Strategy::Tid { sql.to_owned() } else { range_sql(sql, lower) };
        let statement = self.prepare(&sql).await.doing(doing)?;
        let way = self.way.unwrap_or_default();
        let mut at_once = if self.shared.signal.borrow().others_write { FEWEST_COLLECTED } else { MOST_COLLECTED };
        let transaction = self.session.client_mut().transaction().await.doing(doing)?;
        let portal = if plan.strategy == Strategy::Tid {
            let (from, before) = (Tid::start_of(page(lower)), Tid::start_of(page(Some(upper))));
            transaction.bind(&statement, &[&from, &before]).await
        } else {
            transaction.bind(&statement, &[&lower, &upper]).await
        };
        let portal = portal.doing(doing)?;
        let mut found = Vec::new();
        loop {
            let started = Instant::now();
            let rows = transaction.query_portal(&portal, at_once).await.doing(doing)?;
            found.extend(rows.iter().map(|row| row.get::<_, Tid>(0)));
            if rows.len() < usize::try_from(at_once).unwrap_or(usize::MAX) {
                break;
            }
            if started.elapsed() < way * 2 {
                at_once = (at_once * 2).min(MOST_COLLECTED);
            }
        }
        transaction.commit().await.doing(doing)?;
        Ok(found)
    }

    /// Two ranges in place of one that took too long.
    async fn halve(
        &mut self,
        plan: &PartPlan,
        lower: Option<&Vec<String>>,
        upper: &[String],
    ) -> Result<Vec<Range>, Error> {
        let too_long = || Error::GaveUp {
            attempts: 1,
            message: "reading a single page or row takes longer than statement_timeout".to_owned(),
        };
        if plan.strategy == Strategy::Tid {
            let (from, to) = (page(lower.map(Vec::as_slice)), page(Some(upper)));
            let middle = from + to.saturating_sub(from) / 2;
            if middle == from {
                return Err(too_long());
            }
            self.most_window_rows = (self.range_rows(plan, lower.map(Vec::as_slice), upper, 0) / 2).max(1);
            let middle = vec![middle.to_string()];
            return Ok(vec![(Some(middle.clone()), upper.to_vec()), (lower.cloned(), middle)]);
        }
        self.most_window_rows = (self.window_rows(plan.passes) / 2).max(1);
        let sql = range_sql(plan.sql.key_bound.as_deref().unwrap_or_default(), lower.map(Vec::as_slice));
        let skip = i64::try_from(self.most_window_rows).unwrap_or(i64::MAX) - 1;
        let found =
            self.session.client().query_opt(&sql, &[&lower, &upper, &skip]).await.doing("finding a smaller range")?;
        match found.map(|row| row.get::<_, Vec<String>>(0)) {
            Some(middle) if middle != upper => {
                Ok(vec![(Some(middle.clone()), upper.to_vec()), (lower.cloned(), middle)])
            }
            _ if self.most_window_rows > 1 => Ok(vec![(lower.cloned(), upper.to_vec())]),
            _ => Err(too_long()),
        }
    }

    /// Updates the rows in passes, then looks for those that moved or were locked. `Ok` with the rows that stayed locked;
    /// `Err` when the run ends here.
    async fn fill_rows(
        &mut self,
        plan: &PartPlan,
        window: &Window,
        lower: Option<&[String]>,
        upper: &[String],
        rows: Vec<Tid>,
    ) -> Result<Result<u64, End>, Error> {
        let mut rows = rows;
        let mut sweeps = 0;
        loop {
            if rows.is_empty() {
                return Ok(Ok(0));
            }
            let expected = rows.len() as u64;
            let share = (sweeps == 0 && plan.passes > 1).then(|| plan.share());
            let ordered = order_passes(rows, share);
            let first_pass = ordered.windows(2).position(|pair| pair[1] < pair[0]).map_or(ordered.len(), |at| at + 1);
            let mut filled = Filled::default();
            let mut at = 0;
            while at < ordered.len() {
                // The range stays this worker's until it leaves; then it is free for whoever comes next.
                if let Some(end) = self.hold().await {
                    return Ok(Err(end));
                }
                let first = at < first_pass;
                let step = self.pace_of(first).rows().min(if first { first_pass } else { ordered.len() } - at);
                let Some(chunk) = ordered.get(at..at + step) else { break };
                let done = self.step(plan, window, chunk, first).await?;
                filled.updated += done.updated;
                filled.bad += done.bad;
                at += step;
            }
            let missed = expected.saturating_sub(filled.updated + filled.bad);
            if missed == 0 {
                return Ok(Ok(0));
            }
            sweeps += 1;
            rows = self.collect(plan, lower, upper).await?;
            if filled.bad > 0 {
                rows = self.without_bad(plan, rows).await?;
            }
            if sweeps > MOST_SWEEPS {
                return Ok(Ok(rows.len() as u64));
            }
            if !rows.is_empty() && sweeps > 1 {
                tokio::time::sleep(Duration::from_millis(100 << sweeps)).await;
            }
        }
    }

    /// Rows of which it is not known that they are bad: a sweep need not meet those again.
    async fn without_bad(&mut self, plan: &PartPlan, rows: Vec<Tid>) -> Result<Vec<Tid>, Error> {
        let statement = self.prepare(&plan.sql.row_pending).await.doing("looking at a row")?;
        let mut good = Vec::new();
        for tid in rows {
            match self.session.client().query_opt(&statement, &[&tid]).await {
                Ok(Some(row)) if row.get::<_, Option<bool>>(0) == Some(true) => good.push(tid),
                Ok(_) => {}
                Err(error) if classify(&error) == FailureClass::Row => {}
                Err(error) => return Err(Error::Sql(StatementError { doing: "looking at a row", error })),
            }
        }
        // Rows whose update fails, as on a constraint, look pending here and are met once more: they fail alike.
        Ok(good)
    }

    /// One step: at most a few transactions when something stands in the way, else exactly one.
    async fn step(&mut self, plan: &PartPlan, window: &Window, rows: &[Tid], first: bool) -> Result<Filled, Error> {
        let mut filled = Filled::default();
        let mut pieces: Vec<&[Tid]> = vec![rows];
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));
        let mut skip_locked = false;
        while let Some(piece) = pieces.pop() {
            if *self.shared.stop.borrow() && !std::ptr::eq(piece, rows) {
                // What is not updated here is pending still.
                return Ok(filled);
            }
            let started = Instant::now();
            let error = match self.update(plan, window, piece, first, skip_locked).await {
                Ok(Updated { rows: updated, server, wal }) => {
                    self.pace_of(first).finished(piece.len(), Took { elapsed: started.elapsed(), server, wal });
                    self.after(first, updated, started.elapsed());
                    filled.updated += updated;
                    skip_locked = false;
                    continue;
                }
                Err(error) => error,
            };
            let class = classify(&error);
            if class == FailureClass::QueryCanceled {
                self.pace_of(first).timed_out(piece.len());
            }
            match (class, halves(piece)) {
                (FailureClass::Row | FailureClass::QueryCanceled, Some((first, second))) => {
                    pieces.extend([second, first]);
                }
                (FailureClass::Row, None) => {
                    self.bad_row(plan, window, piece, &error).await?;
                    filled.bad += piece.len() as u64;
                }
                (FailureClass::LockNotAvailable | FailureClass::Deadlock, _) if !skip_locked => {
                    // Others hold some of the rows: take the rest now, those at the end of the window.
                    skip_locked = true;
                    pieces.push(piece);
                }
                (
                    FailureClass::QueryCanceled
                    | FailureClass::LockNotAvailable
                    | FailureClass::Deadlock
                    | FailureClass::Serialization,
                    _,
                ) => {
                    // One row takes too long, or somebody holds the table itself.
                    self.wait_or_give_up(&mut backoff, &error).await?;
                    pieces.push(piece);
                }
                _ => return Err(Error::Sql(StatementError { doing: "updating rows", error })),
            }
        }
        Ok(filled)
    }

    async fn wait_or_give_up(&self, backoff: &mut Backoff, error: &DriverError) -> Result<(), Error> {
        if self.shared.since_success() > self.shared.options.retry_for {
            return Err(Error::GaveUp { attempts: backoff.attempts(), message: describe(error) });
        }
        let delay = backoff.next_delay();
        if backoff.attempts() == 3 {
            self.shared.send(Event::Warning { kind: "lock", message: format!("waiting: {}", describe(error)) });
        }
        let mut stop = self.shared.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(delay) => Ok(()),
            _ = stop.wait_for(|stop| *stop) => Err(Error::GaveUp { attempts: backoff.attempts(), message: describe(error) }),
        }
    }

    /// One transaction: the rows and their count, in one statement or, beside others who write, in several short ones.
    async fn update(
        &mut self,
        plan: &PartPlan,
        window: &Window,
        rows: &[Tid],
        first: bool,
        skip_locked: bool,
    ) -> Result<Updated, DriverError> {
        let way = self.way.unwrap_or_default();
        let at_once = self.pace_of(first).rows_at_once(way).filter(|at_once| *at_once < rows.len());
        let Some(at_once) = at_once else { return self.update_at_once(plan, window, rows, !first, skip_locked).await };
        self.session.client().batch_execute("BEGIN").await?;
        let mut all = Updated::default();
        for piece in rows.chunks(at_once) {
            match self.update_at_once(plan, window, piece, !first, skip_locked).await {
                Ok(some) => {
                    all.rows += some.rows;
                    all.server += some.server;
                    all.wal += some.wal;
                }
                Err(error) => {
                    // The error says what is to be done next; a connection that is gone has rolled back by itself.
                    drop(self.session.client().batch_execute("ROLLBACK").await);
                    return Err(error);
                }
            }
        }
        self.session.client().batch_execute("COMMIT").await?;
        Ok(all)
    }

    async fn update_at_once(
        &mut self,
        plan: &PartPlan,
        window: &Window,
        rows: &[Tid],
        prune: bool,
        skip_locked: bool,
    ) -> Result<Updated, DriverError> {
        let mut server = Duration::ZERO;
        if prune {
            let statement = self.prepare(&plan.sql.prune).await?;
            for (from, before) in page_runs(rows) {
                let (from, before) = (Tid::start_of(from), Tid::start_of(before));
                let row = self.session.client().query_one(&statement, &[&from, &before]).await?;
                server += seconds(row.get(1));
            }
        }
        let sql = if skip_locked { &plan.sql.update_unlocked } else { &plan.sql.update };
        let statement = self.prepare(sql).await?;
        let sent = Instant::now();
        let row = self.session.client().query_opt(&statement, &[&rows, &window.id, &self.number]).await?;
        let elapsed = sent.elapsed();
        let Some(row) = row else {
            // The range was taken over, since this worker was believed dead: the rows are updated all the same, and the
            // new owner finds nothing left in them.
            self.told_to_hold = true;
            return Ok(Updated { rows: rows.len() as u64, server, wal: 0.0 });
        };
        let updated: i64 = row.get(0);
        self.told_to_hold = row.get::<_, Option<&str>>(1) != Some(State::Running.name());
        // What others logged meanwhile counts: it is flushed with ours.
        let logged: f64 = row.get(2);
        let wal = self.logged.replace(logged).map_or(0.0, |before| (logged - before).max(0.0));
        let took = seconds(row.get(3));
        self.way = Some(least(self.way, elapsed.saturating_sub(took)));
        server += took;
        Ok(Updated { rows: u64::try_from(updated).unwrap_or(0), server, wal })
    }

    fn pace_of(&mut self, first: bool) -> &mut Pace {
        if first { &mut self.first_pace } else { &mut self.pace }
    }

    fn after(&mut self, first: bool, updated: u64, elapsed: Duration) {
        self.shared.succeeded();
        self.shared.transactions.fetch_add(1, Ordering::Relaxed);
        if self.shared.signal.borrow().blocked > 0 {
            self.pace_of(first).make_way();
        }
        let rows = self.pace_of(first).rows();
        self.shared.step_rows.store(rows, Ordering::Relaxed);
        let now = Instant::now();
        self.last_step = (now.checked_sub(elapsed).unwrap_or(now), updated);
    }

    async fn bad_row(
        &mut self,
        plan: &PartPlan,
        window: &Window,
        piece: &[Tid],
        error: &DriverError,
    ) -> Result<(), Error> {
        let Some(tid) = piece.first() else { return Ok(()) };
        let statement = self.prepare(&plan.sql.row_key).await.doing("reading a bad row's key")?;
        let Some(row) = self.session.client().query_opt(&statement, &[tid]).await.doing("reading a bad row's key")?
        else {
            return Ok(());
        };
        let bad = BadRow {
            table: plan.name.plain(),
            key: row.get::<_, Option<String>>(0).unwrap_or_default(),
            sqlstate: error.code().map(|state| state.code().to_owned()).unwrap_or_default(),
            message: error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned()),
        };
        self.shared.store.add_bad_row(&self.session, self.shared.job.id, window.part, &bad).await?;
        let count = self.shared.bad_rows.fetch_add(1, Ordering::Relaxed) + 1;
        self.shared.send(Event::BadRow {
            table: bad.table.clone(),
            key: bad.key.clone(),
            sqlstate: bad.sqlstate.clone(),
            message: bad.message.clone(),
        });
        if self.shared.options.stop_on_error {
            return Err(Error::Forbidden(format!("row {} of {}: {}", bad.key, bad.table, bad.message)));
        }
        if count > self.shared.options.most_bad_rows {
            return Err(Error::Forbidden(format!(
                "more than {} rows cannot be filled; the last: {}",
                count - 1,
                bad.message
            )));
        }
        Ok(())
    }

    /// A table that was rewritten has new addresses: its part begins anew.
    async fn was_rewritten(&mut self, part: i32, plan: &PartPlan) -> Result<bool, Error> {
        let parts = self.shared.store.parts(&self.session, self.shared.job.id).await?;
        let Some(known) = parts.iter().find(|known| known.number == part) else { return Ok(false) };
        match catalog::physical(&self.session, plan.relation).await? {
            Some((pages, filenode)) if filenode != known.filenode => {
                let upper = (pages > 0).then(|| vec![pages.to_string()]);
                self.shared
                    .store
                    .restart_part(&self.session, self.shared.job.id, part, filenode, upper.as_deref())
                    .await?;
                self.shared.send(Event::Warning {
                    kind: "rewritten",
                    message: format!("{} was rewritten meanwhile: its pages are walked anew", plan.name.plain()),
                });
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// The table is not as planned: dropped, renamed, altered. A dropped partition is passed over; the rest ends the run.
    async fn explain_schema_error(&mut self, part: i32, error: &DriverError) -> Result<(), Error> {
        let plan = self.plan(part)?;
        let exists = |relation: u32| catalog::physical(&self.session, relation);
        if exists(plan.relation).await?.is_none() {
            let root = self
                .session
                .client()
                .query_one(
                    "SELECT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = $1)",
                    &[&self.shared.job.relation],
                )
                .await
                .doing("looking at the table")?;
            if root.get(0) {
                self.shared.store.close_part(&self.session, self.shared.job.id, part).await?;
                self.shared.send(Event::Warning {
                    kind: "dropped",
                    message: format!("{} was dropped meanwhile", plan.name.plain()),
                });
                return Ok(());
            }
            return Err(Error::Changed(format!("{} was dropped meanwhile", plan.name.plain())));
        }
        // The server plans cached statements anew by itself, unless a type changed under them.
        self.statements.clear();
        Err(Error::Changed(format!("{} was altered meanwhile: {}", plan.name.plain(), describe(error))))
    }
}

fn halves(rows: &[Tid]) -> Option<(&[Tid], &[Tid])> {
    (rows.len() > 1).then(|| rows.split_at(rows.len() / 2))
}

/// A clock that was set back says nothing.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// How long `rows` may take at the least, when so many workers share the rate in rows per second.
fn allowed_time(rows: u64, workers: u32, rate: Option<u64>) -> Duration {
    let Some(rate) = rate else { return Duration::ZERO };
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let seconds = rows as f64 * f64::from(workers.max(1)) / rate.max(1) as f64;
    Duration::try_from_secs_f64(seconds).map_or(MOST_PAUSE, |time| time.min(MOST_PAUSE))
}

/// The page number in a bound; the start without one.
fn page(bound: Option<&[String]>) -> u32 {
    bound.and_then(|bound| bound.first()).and_then(|text| text.parse().ok()).unwrap_or(0)
}

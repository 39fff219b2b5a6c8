//! Runs the driver against a test database.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use zdm_backfill::driver::{RunOptions, run};
use zdm_backfill::plan::Choice;
use zdm_backfill::throttle::Limits;
use zdm_backfill::{Assignment, Definition, Error, Event, Outcome};
use zdm_conn::{Environment, Ident, Settings, SqlExpression, Timeouts};
use zdm_testkit::{Client, Database};

/// Options for `UPDATE table SET set`, connected to the database.
pub(crate) fn options(database: &Database, table: &str, set: &[&str], predicate: Option<&str>) -> RunOptions {
    options_for(&database.conninfo(), table, set, predicate)
}

/// The same by connection string.
pub(crate) fn options_for(conninfo: &str, table: &str, set: &[&str], predicate: Option<&str>) -> RunOptions {
    let assignments = set.iter().map(|text| Assignment::parse(text).unwrap()).collect();
    let predicate = predicate.map(|text| SqlExpression::new(text).unwrap());
    RunOptions {
        settings: Settings::resolve(Some(conninfo), &Environment::default()).unwrap(),
        what: Some((table.to_owned(), Definition::new(assignments, predicate).unwrap())),
        job: None,
        choice: Choice::default(),
        limits: Limits::default(),
        limits_given: false,
        workers: 1,
        stop_on_error: false,
        most_bad_rows: 1000,
        restart: false,
        vacuum: false,
        state_schema: Ident::new("zdm").unwrap(),
        timeouts: Timeouts { lock: Duration::from_millis(200), ..Timeouts::default() },
        retry_for: LONG,
    }
}

/// Nothing takes so long unless it never comes.
pub(crate) const LONG: Duration = Duration::from_mins(3);

/// Short steps at a rate at which the tables of these tests take a minute: what is to happen in the middle of a run does,
/// on any machine. [`hurry`] ends it.
pub(crate) fn slow(options: &mut RunOptions) {
    options.limits.set("target-time", "5ms").unwrap();
    options.limits.set("max-rate", "400").unwrap();
    options.limits_given = true;
}

/// The job goes on without a rate.
pub(crate) fn hurry(client: &Client) {
    set_limits(client, &["max-rate=none"]);
}

/// Limits of the only job, once it is there, set from elsewhere while it runs: the last word on each counts.
pub(crate) fn set_limits(client: &Client, limits: &[&str]) {
    let sql = format!(
        "WITH one AS (UPDATE zdm.backfill_job SET limits = limits || ARRAY['{}'], limits_version = limits_version + 1 \
         RETURNING 1) SELECT 1 / count(*) FROM one",
        limits.join("', '")
    );
    until("job", || client.try_sql(&sql).is_ok());
}

pub(crate) fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + LONG;
    while !reached() {
        assert!(std::time::Instant::now() < deadline, "no {what} within {LONG:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Some rows are filled.
pub(crate) fn has_progress(event: &Event) -> bool {
    matches!(event, Event::Progress(progress) if progress.rows_updated > 0)
}

/// A run in the background.
pub(crate) struct Background {
    thread: std::thread::JoinHandle<Result<Outcome, Error>>,
    pub(crate) stop: watch::Sender<bool>,
    events: mpsc::UnboundedReceiver<Event>,
    seen: Vec<Event>,
}

impl Background {
    pub(crate) fn start(options: RunOptions) -> Self {
        let (events_sender, events) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(run(options, events_sender, stopped))
        });
        Self { thread, stop, events, seen: Vec::new() }
    }

    /// Waits for an event.
    pub(crate) fn wait_for(&mut self, what: &str, mut wanted: impl FnMut(&Event) -> bool) -> Event {
        let deadline = std::time::Instant::now() + LONG;
        loop {
            while let Ok(event) = self.events.try_recv() {
                self.seen.push(event.clone());
                if wanted(&event) {
                    return event;
                }
            }
            assert!(!self.thread.is_finished(), "the run ended before {what}: {:?}", self.seen);
            assert!(std::time::Instant::now() < deadline, "no {what} within {LONG:?}: {:?}", self.seen);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The reason, where the newest word about holding is that the run holds for `kind`.
    pub(crate) fn holding(&mut self, kind: &str) -> Option<String> {
        while let Ok(event) = self.events.try_recv() {
            self.seen.push(event);
        }
        let newest = self.seen.iter().rev().find(|event| matches!(event, Event::Holding { .. } | Event::Released));
        match newest {
            Some(Event::Holding { kind: found, reason }) if *found == kind => Some(reason.clone()),
            _ => None,
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    pub(crate) fn finish(mut self) -> (Result<Outcome, Error>, Vec<Event>) {
        let result = self.thread.join().unwrap();
        while let Ok(event) = self.events.try_recv() {
            self.seen.push(event);
        }
        (result, self.seen)
    }
}

/// Keeps the steps on `t`: every one is one transaction, of one statement or of several.
pub(crate) fn count_steps(client: &Client) {
    client.sql(
        "CREATE TABLE steps (at timestamptz DEFAULT clock_timestamp(), tx bigint DEFAULT txid_current()); \
         CREATE FUNCTION count_step() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN INSERT INTO steps DEFAULT VALUES; RETURN NULL; END'; \
         CREATE TRIGGER counting_steps AFTER UPDATE ON t FOR EACH STATEMENT EXECUTE FUNCTION count_step()",
    );
}

/// Waits until the run holds for `kind`, and goes on to: from then on at most the step that was under way is done.
pub(crate) fn holds_within_a_step(run: &mut Background, client: &Client, kind: &str) -> String {
    let steps = || client.value("SELECT count(DISTINCT tx) FROM steps").parse::<u64>().unwrap();
    loop {
        // It may hold already, for what it had seen before the test gave it a lasting reason.
        let reason = run.holding(kind).unwrap_or_else(|| {
            let held =
                run.wait_for(kind, |event| matches!(event, Event::Holding { kind: found, .. } if *found == kind));
            let Event::Holding { reason, .. } = held else { unreachable!() };
            reason
        });
        let before = steps();
        std::thread::sleep(Duration::from_millis(400));
        let after = steps();
        if run.holding(kind).is_some() {
            assert!(after <= before + 1, "{} steps after it held for {kind}", after - before);
            return reason;
        }
    }
}

/// A run to its end.
pub(crate) fn run_to_end(options: RunOptions) -> (Result<Outcome, Error>, Vec<Event>) {
    Background::start(options).finish()
}

/// A run that must be done.
pub(crate) fn done(options: RunOptions) -> u64 {
    match run_to_end(options) {
        (Ok(Outcome::Done { rows_updated }), _) => rows_updated,
        other => panic!("{other:?}"),
    }
}

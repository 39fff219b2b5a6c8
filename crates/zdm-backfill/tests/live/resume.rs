//! Kills at random points of the runner, its backends and the server: the result is the same, and nothing is lost.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::{Background, done, has_progress, hurry, options, run_to_end, slow, until};
use zdm_backfill::{Error, Event, Outcome};
use zdm_testkit::{Client, Database, Server, ServerOptions, available_majors};

/// A table whose updates are counted by a trigger, row by row.
fn counted_table(client: &Client, rows: u32) {
    client.sql(&format!(
        "DROP TABLE IF EXISTS t, counts; CREATE TABLE t (id int PRIMARY KEY, src int, dst bigint); \
         INSERT INTO t SELECT i, i * 7 FROM generate_series(1, {rows}) AS i; \
         CREATE TABLE counts (id int); \
         CREATE OR REPLACE FUNCTION count_update() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN INSERT INTO counts VALUES (NEW.id); RETURN NEW; END'; \
         CREATE TRIGGER counting AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION count_update(); ANALYZE t"
    ));
}

fn assert_filled_once(client: &Client, rows: u32) {
    assert_eq!(client.value("SELECT count(*) FROM t WHERE dst IS DISTINCT FROM src"), "0");
    // A committed row is never updated again: its counter and its value are one transaction.
    assert_eq!(client.value("SELECT count(*) || ' ' || count(DISTINCT id) FROM counts"), format!("{rows} {rows}"));
}

/// The sessions of runs on this database.
const SESSIONS: &str =
    "FROM pg_stat_activity WHERE application_name LIKE 'zdm backfill%' AND datname = current_database()";

/// The test program itself runs the backfill, as a child that can be killed.
fn child(conninfo: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["resume::run_as_child", "--exact", "--ignored", "--nocapture"])
        .env("ZDM_TEST_CHILD", conninfo)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Not a test: the body of [`child`].
#[test]
#[ignore = "the body of a child process"]
fn run_as_child() {
    let Ok(conninfo) = std::env::var("ZDM_TEST_CHILD") else { return };
    let mut options = crate::common::options_for(&conninfo, "t", &["dst = src"], None);
    slow(&mut options);
    options.limits.set("target-time", "2ms").unwrap();
    options.limits.set("max-rate", "1500").unwrap();
    options.workers = 2;
    let (outcome, _) = run_to_end(options);
    assert!(matches!(outcome, Ok(Outcome::Done { .. })), "{outcome:?}");
}

/// Milliseconds that differ from kill to kill and are the same in every run of the test.
fn moments(count: u64) -> impl Iterator<Item = Duration> {
    (0..count).map(|i| Duration::from_millis(20 + (i * 7919 + i * i * 104_729) % 230))
}

#[test]
fn the_runner_is_killed() {
    const ROWS: u32 = 30_000;
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    counted_table(&client, ROWS);
    let mut killed = 0;
    for (number, moment) in moments(25).enumerate() {
        let mut child = child(&database.conninfo());
        // One in five dies before it has come to the database.
        let sessions = format!("SELECT count(*) {SESSIONS}");
        until("session", || number % 5 == 4 || client.value(&sessions) != "0" || child.try_wait().unwrap().is_some());
        std::thread::sleep(moment);
        if child.try_wait().unwrap().is_none() {
            killed += 1;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(killed >= 10, "only {killed} of 25 kills met a running backfill");
    let mut last = options(&database, "t", &["dst = src"], None);
    last.limits_given = true;
    done(last);
    assert_filled_once(&client, ROWS);
}

#[test]
fn its_backends_are_killed() {
    const ROWS: u32 = 40_000;
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    counted_table(&client, ROWS);
    let mut options = options(&database, "t", &["dst = src"], None);
    slow(&mut options);
    options.workers = 2;
    let run = Background::start(options);
    let mut killed = 0;
    // Until some have met it; a slow machine needs longer to open its connections.
    for moment in moments(300) {
        std::thread::sleep(moment);
        let ended: u32 = client.value(&format!("SELECT count(pg_terminate_backend(pid)) {SESSIONS}")).parse().unwrap();
        killed += ended;
        if run.is_finished() || killed >= 40 {
            break;
        }
    }
    hurry(&client);
    let (outcome, events) = run.finish();
    assert_eq!(outcome.unwrap(), Outcome::Done { rows_updated: u64::from(ROWS) });
    assert!(killed > 10, "only {killed} backends were killed");
    assert!(events.iter().any(|event| matches!(event, Event::Reconnecting { .. })));
    assert_filled_once(&client, ROWS);
}

#[test]
fn the_server_crashes() {
    const ROWS: u32 = 30_000;
    let major = *available_majors().last().unwrap();
    let server = ServerOptions::default().quiet().set("synchronous_commit", "on").start(major);
    counted_table(&server.connect("postgres"), ROWS);
    let mut options = crate::common::options_for(&server.conninfo("postgres"), "t", &["dst = src"], None);
    slow(&mut options);
    let run = Background::start(options);
    for moment in moments(5) {
        // A backend that dies of SIGKILL makes the postmaster end all others and recover from the WAL.
        until("worker to kill", || {
            let pid = server.try_connect("postgres").ok().and_then(|client| {
                let rows = client
                    .try_sql(&format!("SELECT pid {SESSIONS} AND application_name NOT LIKE '%monitor' LIMIT 1"))
                    .ok()?;
                rows.first()?.first().cloned().flatten()
            });
            let Some(pid) = pid else { return false };
            std::thread::sleep(moment);
            Command::new("kill").args(["-9", &pid]).status().unwrap().success()
        });
    }
    // The server may not have noticed the last kill yet, and restart once more.
    let faster = "UPDATE zdm.backfill_job SET limits = '{}', limits_version = limits_version + 1";
    until("recovery", || server.try_connect("postgres").is_ok_and(|client| client.try_sql(faster).is_ok()));
    let (outcome, events) = run.finish();
    assert_eq!(outcome.unwrap(), Outcome::Done { rows_updated: u64::from(ROWS) });
    let lost = events.iter().filter(|event| matches!(event, Event::Reconnecting { .. })).count();
    assert!(lost >= 5, "{lost} connections were lost");
    let client = server.connect("postgres");
    assert_filled_once(&client, ROWS);
}

#[test]
fn a_signal_leaves_a_resumable_job() {
    const ROWS: u32 = 20_000;
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    counted_table(&client, ROWS);
    let mut first = options(&database, "t", &["dst = src"], None);
    slow(&mut first);
    let mut run = Background::start(first);
    run.wait_for("progress", has_progress);
    run.stop.send(true).unwrap();
    let (outcome, events) = run.finish();
    let Ok(Outcome::Interrupted { rows_updated }) = outcome else { panic!("{outcome:?}") };
    assert!(rows_updated > 0 && rows_updated < u64::from(ROWS));
    // The whole table is one range, and claimed: that is no progress.
    let shown = events.iter().rev().find_map(|event| match event {
        Event::Progress(progress) => Some((progress.rows_updated, progress.fraction)),
        _ => None,
    });
    let share = f64::from(u32::try_from(rows_updated).unwrap()) / f64::from(ROWS);
    assert!(shown.is_some_and(|(rows, fraction)| rows == rows_updated && (fraction - share).abs() < 0.01), "{shown:?}");
    assert_eq!(client.value("SELECT state FROM zdm.backfill_job"), "running");
    assert_eq!(client.value("SELECT count(*) FROM zdm.backfill_worker"), "0");
    let mut second = options(&database, "t", &["dst = src"], None);
    second.limits_given = true;
    let (outcome, events) = run_to_end(second);
    assert!(matches!(events.first(), Some(Event::Planned { resumed: true, .. })), "{events:?}");
    assert_eq!(outcome.unwrap(), Outcome::Done { rows_updated: u64::from(ROWS) }, "counters go on");
    assert_filled_once(&client, ROWS);
}

#[test]
fn another_definition_is_not_resumed() {
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    counted_table(&client, 20_000);
    let mut first = options(&database, "t", &["dst = src"], None);
    slow(&mut first);
    let mut run = Background::start(first);
    run.wait_for("progress", has_progress);
    run.stop.send(true).unwrap();
    drop(run.finish());
    let (outcome, _) = run_to_end(options(&database, "t", &["dst = src + 1"], None));
    let Err(Error::Forbidden(message)) = outcome else { panic!("{outcome:?}") };
    assert!(message.contains("has another definition") && message.contains("SET \"dst\" = src\n"), "{message}");
    client.sql("CREATE TABLE fresh (LIKE t INCLUDING ALL); DROP TABLE t; ALTER TABLE fresh RENAME TO t; INSERT INTO t VALUES (1, 1)");
    let (outcome, _) = run_to_end(options(&database, "t", &["dst = src"], None));
    assert!(matches!(outcome, Err(Error::Changed(_))), "{outcome:?}");
    let mut again = options(&database, "t", &["dst = src"], None);
    again.restart = true;
    assert_eq!(done(again), 1);
}

fn two_runs(database: &Database, workers: [usize; 2]) -> (u64, Vec<Vec<Event>>) {
    let start = |workers| {
        let mut options = options(database, "t", &["dst = src"], None);
        options.workers = workers;
        options.limits.set("target-time", "3ms").unwrap();
        options.limits.set("max-rate", "30000").unwrap();
        options.limits_given = true;
        Background::start(options)
    };
    let [first, second] = workers.map(start);
    let mut updated = 0;
    let mut events = Vec::new();
    for run in [first, second] {
        let (outcome, seen) = run.finish();
        let Ok(Outcome::Done { rows_updated }) = outcome else { panic!("{outcome:?}") };
        updated = rows_updated;
        events.push(seen);
    }
    (updated, events)
}

/// Processes that share nothing but the database, as on several machines.
#[test]
fn workers_of_several_processes_share_one_job() {
    const ROWS: u32 = 60_000;
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    counted_table(&client, ROWS);
    let children: Vec<Child> = (0..3).map(|_| child(&database.conninfo())).collect();
    until("six workers at once", || client.try_sql("SELECT 1 / (count(*) / 6) FROM zdm.backfill_worker").is_ok());
    hurry(&client);
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_filled_once(&client, ROWS);
    assert_eq!(client.value("SELECT state FROM zdm.backfill_job"), "done");
}

#[test]
fn two_runs_share_one_job() {
    const ROWS: u32 = 40_000;
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    counted_table(&client, ROWS);
    let (updated, _) = two_runs(&database, [1, 2]);
    assert_eq!(updated, u64::from(ROWS));
    assert_filled_once(&client, ROWS);
    assert_eq!(client.value("SELECT count(*) FROM zdm.backfill_job"), "1");
}

#[test]
fn a_third_worker_dies() {
    const ROWS: u32 = 40_000;
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    counted_table(&client, ROWS);
    let mut third = child(&database.conninfo());
    let has_updated = "SELECT count(*) FROM zdm.backfill_window WHERE rows_updated > 0";
    until("begin of the third worker", || {
        client.try_sql(has_updated).is_ok_and(|rows| rows[0][0].as_deref() != Some("0"))
    });
    third.kill().unwrap();
    third.wait().unwrap();
    let left: i64 = client.value("SELECT count(*) FROM zdm.backfill_window").parse().unwrap();
    assert!(left > 0, "the dead worker left a range behind");
    let (updated, _) = two_runs(&database, [1, 1]);
    assert_eq!(updated, u64::from(ROWS));
    assert_filled_once(&client, ROWS);
    assert_eq!(client.value("SELECT count(*) FROM zdm.backfill_window"), "0");
}

//! What goes on around a run: active sessions, vacuums against wraparound, other writers, servers that come and go, and
//! every supported major.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use zdm_backfill::plan::Strategy;
use zdm_backfill::{Error, Event, Outcome};
use zdm_testkit::{Client, Server, ServerOptions, available_majors, majors_for};

use crate::common::{
    Background, count_steps, done, has_progress, holds_within_a_step, hurry, options, options_for, run_to_end,
    set_limits, slow, until,
};

fn table(client: &Client, rows: u32) {
    client.sql(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, src int, dst bigint, other int); \
         INSERT INTO t SELECT i, i FROM generate_series(1, {rows}) AS i; ANALYZE t"
    ));
}

fn newest() -> u32 {
    *available_majors().last().unwrap()
}

#[test]
fn active_sessions_make_it_hold() {
    // A server of its own: sessions of all databases count.
    let server = ServerOptions::default().quiet().start(newest());
    let client = server.connect("postgres");
    table(&client, 30_000);
    count_steps(&client);
    let mut options = options_for(&server.conninfo("postgres"), "t", &["dst = src"], None);
    slow(&mut options);
    options.limits.set("max-active", "2").unwrap();
    let mut run = Background::start(options);
    run.wait_for("progress", has_progress);
    let sleepers: Vec<_> = (0..3)
        .map(|_| {
            let client = server.connect("postgres");
            std::thread::spawn(move || client.fails("SELECT pg_sleep(600)"))
        })
        .collect();
    let reason = holds_within_a_step(&mut run, &client, "active_sessions");
    assert!(reason.ends_with("sessions are active (limit 2)"), "{reason}");
    client.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'");
    run.wait_for("release", |event| matches!(event, Event::Released));
    for sleeper in sleepers {
        assert_eq!(sleeper.join().unwrap(), "57014");
    }
    hurry(&client);
    let (outcome, _) = run.finish();
    assert_eq!(outcome.unwrap(), Outcome::Done { rows_updated: 30_000 });
}

/// A real one: the table is older than its own limit, and its vacuum is made to last.
#[test]
fn a_vacuum_against_wraparound_makes_it_hold() {
    let server = ServerOptions::default()
        .set("autovacuum", "on")
        .set("autovacuum_naptime", "1s")
        .set("autovacuum_max_workers", "1")
        .start(newest());
    let client = server.connect("postgres");
    table(&client, 30_000);
    count_steps(&client);
    // A vacuum against wraparound comes all the same, and no other.
    client.sql(
        "ALTER TABLE t SET (autovacuum_enabled = off, autovacuum_freeze_max_age = 100000, autovacuum_vacuum_cost_delay = 100, \
         autovacuum_vacuum_cost_limit = 1)",
    );
    let mut options = options_for(&server.conninfo("postgres"), "t", &["dst = src"], None);
    options.limits.set("on-vacuum", "wraparound").unwrap();
    options.limits.set("max-rate", "200").unwrap();
    let mut run = Background::start(options);
    run.wait_for("progress", has_progress);
    // Other maintenance of the table is no reason with this limit.
    client.sql("BEGIN; LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE; SELECT pg_sleep(0.3); COMMIT");
    client.sql("DO 'BEGIN FOR i IN 1..110000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END'");
    let reason = holds_within_a_step(&mut run, &client, "wraparound_vacuum");
    assert!(reason.starts_with("autovacuum to prevent wraparound works on the table (pid "), "{reason}");
    set_limits(&client, &["on-vacuum=never", "max-rate=none"]);
    run.wait_for("release", |event| matches!(event, Event::Released));
    let (outcome, _) = run.finish();
    assert_eq!(outcome.unwrap(), Outcome::Done { rows_updated: 30_000 });
}

/// While others write, steps are short.
#[test]
fn steps_are_short_while_others_write() {
    let server = ServerOptions::default().quiet().start(newest());
    let client = server.connect("postgres");
    table(&client, 200_000);
    client.sql("CREATE TABLE elsewhere (n int); INSERT INTO elsewhere VALUES (0)");
    let mut options = options_for(&server.conninfo("postgres"), "t", &["dst = src"], None);
    options.limits.set("max-rate", "2000").unwrap();
    let mut run = Background::start(options);
    let alone = run.wait_for("a look at others", |event| {
        matches!(event, Event::Progress(progress) if progress.others_per_second.is_some_and(|rate| rate < 10.0))
    });
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (client, stop) = (server.connect("postgres"), Arc::clone(&stop));
        move || {
            while !stop.load(Ordering::Relaxed) {
                client.sql("UPDATE elsewhere SET n = n + 1");
            }
        }
    });
    let beside = run.wait_for("others", |event| {
        matches!(event, Event::Progress(progress) if progress.others_per_second.is_some_and(|rate| rate > 10.0))
    });
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    let (Event::Progress(alone), Event::Progress(beside)) = (alone, beside) else { unreachable!() };
    println!("rows of a step: {} alone, {} beside writers", alone.step_rows, beside.step_rows);
    run.stop.send(true).unwrap();
    drop(run.finish());
}

#[test]
fn a_statement_timeout_of_the_whole_server_makes_it_shrink() {
    let server = ServerOptions::default().quiet().set("statement_timeout", "1s").start(newest());
    let client = server.connect("postgres");
    table(&client, 200);
    // A first step of 400 rows takes longer than is allowed, and so does its first statement where it is several.
    client.sql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.03); RETURN NEW; END'; \
         CREATE TRIGGER slow BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    let (outcome, _) = run_to_end(options_for(&server.conninfo("postgres"), "t", &["dst = src"], None));
    assert_eq!(outcome.unwrap(), Outcome::Done { rows_updated: 200 });
    assert!(server.log().contains("canceling statement due to statement timeout"), "it was met");
}

/// As in a failover: the sessions are ended, the first host is gone, and the next one takes no writes for a while.
#[test]
fn a_failover_is_waited_for() {
    let server = ServerOptions::default().quiet().start(newest());
    let client = server.connect("postgres");
    table(&client, 40_000);
    let directory = server.socket_dir().display();
    let conninfo =
        format!("host=/nowhere,{directory} port={},{} user=postgres dbname=postgres", server.port(), server.port());
    let mut options = options_for(&conninfo, "t", &["dst = src"], None);
    slow(&mut options);
    options.workers = 2;
    let mut run = Background::start(options);
    run.wait_for("progress", has_progress);
    client.sql("ALTER SYSTEM SET default_transaction_read_only = on");
    client.sql("SELECT pg_reload_conf()");
    until("reload", || server.connect("postgres").value("SHOW default_transaction_read_only") == "on");
    client.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'zdm backfill%'");
    run.wait_for("reconnecting", |event| matches!(event, Event::Reconnecting { .. }));
    std::thread::sleep(Duration::from_millis(200));
    let filled = client.value("SELECT count(*) FROM t WHERE dst = src");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(
        client.value("SELECT count(*) FROM t WHERE dst = src"),
        filled,
        "a server that takes no writes gets none"
    );
    client.sql("SET default_transaction_read_only = off");
    client.sql("ALTER SYSTEM RESET default_transaction_read_only");
    client.sql("SELECT pg_reload_conf()");
    hurry(&client);
    let (outcome, _) = run.finish();
    assert_eq!(outcome.unwrap(), Outcome::Done { rows_updated: 40_000 });
    assert_eq!(client.value("SELECT count(*) FROM t WHERE dst IS DISTINCT FROM src"), "0");
}

/// Every strategy, sub-passes, bad rows, resuming and several workers on each server that is supported.
#[test]
fn every_major() {
    for major in majors_for("backfill") {
        let database = Server::shared(major).database();
        let client = database.connect();
        client.sql(
            "CREATE TABLE p (id bigint, day date, src text, dst int CHECK (dst <> 77), PRIMARY KEY (id, day)) \
                 PARTITION BY RANGE (day); \
             CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM ('2020-01-01') TO ('2020-02-01'); \
             CREATE TABLE p_2 PARTITION OF p DEFAULT; CREATE INDEX ON p_2 (dst); \
             CREATE TABLE heap (src text, dst int); \
             INSERT INTO p SELECT i, date '2020-01-01' + i / 200, i::text FROM generate_series(1, 12000) AS i; \
             UPDATE p SET src = 'x' WHERE id IN (5, 11000); \
             INSERT INTO heap SELECT i::text FROM generate_series(1, 8000) AS i; ANALYZE p; ANALYZE heap",
        );
        let mut first = options(&database, "p", &["dst = src::int"], None);
        slow(&mut first);
        first.workers = 2;
        let mut run = Background::start(first);
        run.wait_for("progress", has_progress);
        run.stop.send(true).unwrap();
        let (outcome, events) = run.finish();
        assert!(matches!(outcome, Ok(Outcome::Interrupted { .. })), "PostgreSQL {major}: {outcome:?}");
        let strategies: Vec<Strategy> = events
            .iter()
            .find_map(|event| match event {
                Event::Planned { plan, .. } => Some(plan.parts.iter().map(|part| part.strategy).collect()),
                _ => None,
            })
            .unwrap();
        assert_eq!(strategies, [Strategy::Windows, Strategy::Keyset], "PostgreSQL {major}");
        let mut second = options(&database, "p", &["dst = src::int"], None);
        second.limits_given = true;
        let (outcome, _) = run_to_end(second);
        let expected = Outcome::Incomplete { rows_updated: 11_997, bad_rows: 3, deferred_rows: 0 };
        assert_eq!(outcome.unwrap(), expected, "PostgreSQL {major}");
        assert_eq!(client.value("SELECT count(*) FROM p WHERE dst::text = src"), "11997", "PostgreSQL {major}");
        assert_eq!(done(options(&database, "heap", &["dst = src::int"], None)), 8000, "PostgreSQL {major}");
        assert_eq!(client.value("SELECT count(*) FROM heap WHERE dst::text = src"), "8000", "PostgreSQL {major}");
        client.sql("ALTER TABLE heap ADD COLUMN g int GENERATED ALWAYS AS (dst + 1) STORED");
        let (outcome, _) = run_to_end(options(&database, "heap", &["g = 1"], None));
        assert!(matches!(outcome, Err(Error::Refused(_))), "PostgreSQL {major}: {outcome:?}");
    }
}

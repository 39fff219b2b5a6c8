//! What stands in a run's way: load signals, locks, timeouts, bad rows, writers, changed tables, missing privileges.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use zdm_backfill::driver::RunOptions;
use zdm_backfill::verify::{VerifyOptions, check, verify};
use zdm_backfill::{Error, Event, Outcome};
use zdm_conn::Timeouts;
use zdm_testkit::{Client, Database, Server, ServerOptions, available_majors};

use crate::common::{
    Background, LONG, count_steps, done, has_progress, holds_within_a_step, hurry, options, options_for, run_to_end,
    set_limits, until,
};

fn table(client: &Client, rows: u32) {
    client.sql(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, src int, dst bigint, other int); \
         INSERT INTO t SELECT i, i FROM generate_series(1, {rows}) AS i; ANALYZE t"
    ));
}

fn slow(database: &Database) -> RunOptions {
    let mut options = options(database, "t", &["dst = src"], None);
    crate::common::slow(&mut options);
    options
}

fn filled(client: &Client) -> u64 {
    client.value("SELECT count(*) FROM t WHERE dst = src").parse().unwrap()
}

#[test]
fn signals_make_it_hold_and_go_on() {
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    table(&client, 30_000);
    count_steps(&client);
    client.sql("CREATE TABLE switch (is_on boolean); INSERT INTO switch VALUES (false)");
    let mut options = slow(&database);
    options.limits.set("probe", "SELECT CASE WHEN is_on THEN 'queue is long' END FROM switch").unwrap();
    let mut run = Background::start(options);
    run.wait_for("progress", has_progress);

    client.sql("UPDATE switch SET is_on = true");
    holds_within_a_step(&mut run, &client, "probe");
    let told = "SELECT holding FROM zdm.backfill_worker";
    until("reason in the job's tables", || client.value(told) == "the probe says `queue is long`");
    client.sql("UPDATE switch SET is_on = false");
    run.wait_for("release", |event| matches!(event, Event::Released));

    // A vacuum of the table, as far as others can see it: its lock.
    let vacuum = database.connect();
    vacuum.sql("BEGIN");
    vacuum.sql("LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE");
    holds_within_a_step(&mut run, &client, "vacuum");
    vacuum.sql("COMMIT");
    run.wait_for("release", |event| matches!(event, Event::Released));

    client.sql("UPDATE zdm.backfill_job SET state = 'paused'");
    holds_within_a_step(&mut run, &client, "paused");
    client.sql("UPDATE zdm.backfill_job SET state = 'running'");
    run.wait_for("release", |event| matches!(event, Event::Released));

    // WAL, by a limit that is set from elsewhere while the run goes on.
    let stop = Arc::new(AtomicBool::new(false));
    let (writer, stopped) = (database.connect(), Arc::clone(&stop));
    let writer = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            writer.sql("SELECT pg_logical_emit_message(false, 'test', repeat('x', 100000))");
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    set_limits(&client, &["max-wal-rate=1kB"]);
    holds_within_a_step(&mut run, &client, "wal_rate");
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    set_limits(&client, &["max-wal-rate=none"]);
    run.wait_for("release", |event| matches!(event, Event::Released));
    hurry(&client);
    let (outcome, _) = run.finish();
    assert_eq!(outcome.unwrap(), Outcome::Done { rows_updated: 30_000 });
}

#[test]
fn cancel_ends_it() {
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    table(&client, 20_000);
    let mut run = Background::start(slow(&database));
    run.wait_for("progress", has_progress);
    client.sql("UPDATE zdm.backfill_job SET state = 'cancelled'");
    let (outcome, _) = run.finish();
    let Ok(Outcome::Cancelled { rows_updated }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(filled(&client), rows_updated);
    assert_eq!(done(options(&database, "t", &["dst = src"], None)), 20_000 - rows_updated, "a new job fills the rest");
}

#[test]
fn an_old_snapshot_is_reported() {
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    table(&client, 30_000);
    let old = database.connect();
    old.sql("BEGIN ISOLATION LEVEL REPEATABLE READ");
    old.sql("SELECT 1");
    // Old is what has been there for some seconds.
    std::thread::sleep(Duration::from_secs(5));
    let mut run = Background::start(slow(&database));
    run.wait_for("old snapshot", |event| matches!(event, Event::Warning { kind: "old_snapshot", .. }));
    run.stop.send(true).unwrap();
    drop(run.finish());
}

#[test]
fn a_server_wide_statement_timeout_makes_it_shrink() {
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    table(&client, 1500);
    // The first step of 400 rows takes longer than is allowed.
    client.sql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.002); RETURN NEW; END'; \
         CREATE TRIGGER slow BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    client.sql(&format!("ALTER DATABASE \"{}\" SET statement_timeout = '500ms'", database.name()));
    let (outcome, _) = run_to_end(options(&database, "t", &["dst = src"], None));
    assert_eq!(outcome.unwrap(), Outcome::Done { rows_updated: 1500 });
}

#[test]
fn locked_rows_are_met_again() {
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    table(&client, 5000);
    let application = database.connect();
    application.sql("BEGIN");
    application.sql("UPDATE t SET other = 1 WHERE id % 1000 = 7");
    let run = Background::start(options(&database, "t", &["dst = src"], None));
    until("filling of the unlocked rows", || filled(&client) >= 4995);
    application.sql("COMMIT");
    let (outcome, _) = run.finish();
    assert_eq!(outcome.unwrap(), Outcome::Done { rows_updated: 5000 });
    assert_eq!(filled(&client), 5000);
}

#[test]
fn a_locked_table_ends_with_giving_up() {
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    table(&client, 60_000);
    let mut options = slow(&database);
    options.retry_for = Duration::from_secs(1);
    let mut run = Background::start(options);
    run.wait_for("progress", has_progress);
    let other = database.connect();
    other.sql("BEGIN");
    other.sql("LOCK TABLE t IN SHARE MODE");
    let (outcome, _) = run.finish();
    assert!(matches!(outcome, Err(Error::GaveUp { .. })), "{outcome:?}");
}

#[test]
fn bad_rows_are_isolated() {
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    client.sql(
        "CREATE TABLE t (a int, b text, src text, dst int CHECK (dst <> 4444), PRIMARY KEY (a, b)); \
         INSERT INTO t SELECT i, 'k' || i, i::text FROM generate_series(1, 5000) AS i; \
         UPDATE t SET src = 'x' WHERE a IN (17, 18, 3000); ANALYZE t",
    );
    let (outcome, events) = run_to_end(options(&database, "t", &["dst = src::int"], None));
    assert_eq!(outcome.unwrap(), Outcome::Incomplete { rows_updated: 4996, bad_rows: 4, deferred_rows: 0 });
    let mut bad: Vec<String> = events
        .iter()
        .filter_map(|event| match event {
            Event::BadRow { key, sqlstate, .. } => Some(format!("{key}: {sqlstate}")),
            _ => None,
        })
        .collect();
    bad.sort();
    bad.dedup();
    assert_eq!(bad, ["17, k17: 22P02", "18, k18: 22P02", "3000, k3000: 22P02", "4444, k4444: 23514"]);
    assert_eq!(client.value("SELECT count(*) FROM t WHERE dst IS NULL"), "4");

    let found = verified(&database, "dst = src::int");
    assert_eq!((found.rows, found.mismatches), (5000, 4));
    let keys: Vec<&str> = found.examples.iter().map(|row| row.key.as_str()).collect();
    assert_eq!(keys, ["17, k17", "18, k18", "3000, k3000", "4444, k4444"]);

    client.sql("UPDATE t SET src = '1' WHERE src = 'x'; ALTER TABLE t DROP CONSTRAINT t_dst_check");
    assert_eq!(done(options(&database, "t", &["dst = src::int"], None)), 4, "a later run fills what was mended");
    assert_eq!(verified(&database, "dst = src::int").mismatches, 0);

    client.sql("UPDATE t SET dst = NULL; UPDATE t SET src = 'x' WHERE a = 77");
    let mut stop = options(&database, "t", &["dst = src::int"], None);
    stop.stop_on_error = true;
    let (outcome, _) = run_to_end(stop);
    let Err(Error::Forbidden(message)) = outcome else { panic!("{outcome:?}") };
    assert!(message.starts_with("row 77, k77 of public.t: "), "{message}");
    assert_eq!(client.value("SELECT state FROM zdm.backfill_job WHERE kind = 'run'"), "failed");
}

fn looking(database: &Database, set: &str) -> VerifyOptions {
    let options = options(database, "t", &[set], None);
    VerifyOptions {
        settings: options.settings,
        what: options.what,
        job: None,
        state_schema: options.state_schema,
        timeouts: Timeouts::default(),
        restart: false,
        examples: 10,
    }
}

fn verified(database: &Database, set: &str) -> zdm_backfill::verify::Verification {
    let options = looking(database, set);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (events, _keep) = tokio::sync::mpsc::unbounded_channel();
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    runtime.block_on(verify(&options, &events, &stopped)).unwrap()
}

fn checked(database: &Database, set: &str) -> zdm_backfill::verify::Check {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(check(&looking(database, set), LONG)).unwrap()
}

#[test]
fn check_and_verify_look_at_values() {
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    table(&client, 50_000);
    assert!(checked(&database, "dst = src").pending.is_some());
    done(options(&database, "t", &["dst = src"], None));
    let clean = checked(&database, "dst = src");
    assert_eq!((clean.pending, clean.looked_at), (None, 1.0));
    // A stale write puts an old value back: not NULL, and wrong all the same.
    client.sql("UPDATE t SET dst = 5 WHERE id = 40000");
    assert_eq!(checked(&database, "dst = src").pending, Some(("public.t".to_owned(), "40000".to_owned())));
    let found = verified(&database, "dst = src");
    assert_eq!((found.rows, found.mismatches, found.examples[0].key.as_str()), (50_000, 1, "40000"));
}

#[test]
fn a_verification_is_resumed() {
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    client.sql(
        "CREATE TABLE t (id int PRIMARY KEY, src int, dst bigint) PARTITION BY RANGE (id); \
         CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (1) TO (10001); \
         CREATE TABLE t_2 PARTITION OF t DEFAULT; \
         INSERT INTO t SELECT i, i, i FROM generate_series(1, 20000) AS i; UPDATE t SET dst = 0 WHERE id IN (5, 15000)",
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (events, _keep) = tokio::sync::mpsc::unbounded_channel();
    let (_stop, stopped) = tokio::sync::watch::channel(true);
    let first = runtime.block_on(verify(&looking(&database, "dst = src"), &events, &stopped)).unwrap();
    assert!(first.interrupted && !first.resumed);
    // As if the first partition had been compared before the interruption.
    client.sql(
        "UPDATE zdm.backfill_part SET is_open = false, rows_scanned = 10000, rows_updated = 1 WHERE table_name = 't_1'",
    );
    let second = verified(&database, "dst = src");
    assert!(second.resumed && !second.interrupted);
    assert_eq!((second.rows, second.mismatches), (20_000, 2));
    let keys: Vec<&str> = second.examples.iter().map(|row| row.key.as_str()).collect();
    assert_eq!(keys, ["15000"], "the first partition is not compared again");
    let third = verified(&database, "dst = src");
    assert!(!third.resumed, "a finished one begins again");
    assert_eq!((third.mismatches, third.examples.len()), (2, 2));
}

#[test]
fn vacuums_at_intervals_and_at_the_end() {
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    table(&client, 30_000);
    let mut options = slow(&database);
    options.limits.set("max-rate", "10000").unwrap();
    options.vacuum = true;
    options.limits.set("vacuum-every", "5000").unwrap();
    let (outcome, events) = run_to_end(options);
    assert_eq!(outcome.unwrap(), Outcome::Done { rows_updated: 30_000 });
    let vacuums = events.iter().filter(|event| matches!(event, Event::Vacuumed { .. })).count();
    assert!((2..=7).contains(&vacuums), "{vacuums}");
    let held_by_its_own = events.iter().any(|event| matches!(event, Event::Holding { kind: "vacuum", .. }));
    assert!(!held_by_its_own, "its own vacuum is no reason to hold");
}

/// Writers of every kind, a trigger that fills what they write, and stale saves, during the whole run.
#[test]
fn writers_go_on_and_nothing_is_lost() {
    for key in ["PRIMARY KEY", ""] {
        let server = Server::newest();
        let database = server.database();
        let client = database.connect();
        client.sql(&format!(
            "CREATE TABLE t (id int {key}, src int, dst bigint, other int); \
             INSERT INTO t SELECT i, i FROM generate_series(1, 30000) AS i; ANALYZE t; \
             CREATE FUNCTION mirror() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.dst := NEW.src; RETURN NEW; END'; \
             CREATE TRIGGER mirror BEFORE INSERT OR UPDATE ON t FOR EACH ROW \
                 WHEN (NEW.dst IS DISTINCT FROM NEW.src) EXECUTE FUNCTION mirror()"
        ));
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicU32::new(0));
        let writers: Vec<_> = (0..3_u32)
            .map(|writer| {
                let client = database.connect();
                let (stop, written) = (Arc::clone(&stop), Arc::clone(&written));
                std::thread::spawn(move || {
                    let mut writes = 0_u32;
                    let mut random = 0x1234_5678_u32.wrapping_mul(writer + 1) | 1;
                    while !stop.load(Ordering::Relaxed) {
                        random ^= random << 13;
                        random ^= random >> 17;
                        random ^= random << 5;
                        let id = random % 30_000 + 1;
                        let sql = match random % 6 {
                            0 => format!("UPDATE t SET src = src + 1 WHERE id = {id}"),
                            1 => format!("UPDATE t SET other = {id} WHERE id = {id}"),
                            // Model.save() of an instance that was read before the backfill.
                            2 => format!("UPDATE t SET src = {id}, dst = NULL, other = 0 WHERE id = {id}"),
                            3 => format!("INSERT INTO t (id, src) VALUES ({}, {id})", 100_000 + writes * 3 + writer),
                            4 => format!("DELETE FROM t WHERE id = {id}"),
                            _ => format!("BEGIN; SELECT 1 FROM t WHERE id = {id} FOR UPDATE; UPDATE t SET src = 1 WHERE id = {id}; COMMIT"),
                        };
                        client.sql(&sql);
                        writes += 1;
                        written.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let mut options = slow(&database);
        options.workers = 2;
        let mut run = Background::start(options);
        run.wait_for("progress", has_progress);
        let before = written.load(Ordering::Relaxed);
        until("writes beside the run", || written.load(Ordering::Relaxed) > before + 300);
        // Steps without a pause between them meet the writers, too.
        hurry(&client);
        let (outcome, _) = run.finish();
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.join().unwrap();
        }
        assert!(matches!(outcome, Ok(Outcome::Done { .. })), "{outcome:?}");
        assert_eq!(client.value("SELECT count(*) FROM t WHERE dst IS DISTINCT FROM src"), "0");
    }
}

#[test]
fn a_dropped_or_altered_table_ends_it() {
    let server = Server::newest();
    for (ddl, expect) in [
        ("DROP TABLE t", "public.t was dropped meanwhile"),
        (
            "ALTER TABLE t DROP COLUMN src",
            "public.t was altered meanwhile: column \"src\" does not exist (SQLSTATE 42703)",
        ),
        (
            "ALTER TABLE t RENAME TO moved",
            "public.t was altered meanwhile: relation \"public.t\" does not exist (SQLSTATE 42P01)",
        ),
    ] {
        let database = server.database();
        let client = database.connect();
        table(&client, 30_000);
        let mut run = Background::start(slow(&database));
        run.wait_for("progress", has_progress);
        client.sql(ddl);
        let (outcome, _) = run.finish();
        let Err(Error::Changed(message)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(message, expect);
        assert_eq!(client.value("SELECT state || ': ' || reason FROM zdm.backfill_job"), format!("failed: {expect}"));
    }
}

#[test]
fn a_dropped_partition_is_passed_over() {
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    client.sql(
        "CREATE TABLE t (id int PRIMARY KEY, src int, dst bigint) PARTITION BY RANGE (id); \
         CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (1) TO (10001); \
         CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (10001) TO (40001); \
         CREATE TABLE t_3 PARTITION OF t FOR VALUES FROM (40001) TO (50001); \
         INSERT INTO t SELECT i, i FROM generate_series(1, 50000) AS i",
    );
    let mut run = Background::start(slow(&database));
    // At the slow rate the last partition is far away when the first rows are done.
    run.wait_for("progress", has_progress);
    client.sql("DROP TABLE t_3");
    hurry(&client);
    let (outcome, events) = run.finish();
    assert!(matches!(outcome, Ok(Outcome::Done { .. })), "{outcome:?}");
    assert!(events.iter().any(|event| matches!(event, Event::Warning { kind: "dropped", .. })), "{events:?}");
    assert_eq!(filled(&client), 40_000);
}

/// Somebody waits for a row that a step has updated: the wait is as short as a step, and steps become shorter. How long
/// that is depends on the machine; one UPDATE of the table would block for the length of the whole run.
#[test]
fn waits_of_others_are_short() {
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    table(&client, 60_000);
    let mut options = options(&database, "t", &["dst = src"], None);
    options.limits.set("max-rate", "20000").unwrap();
    let begun = Instant::now();
    let run = Background::start(options);
    let mut longest = Duration::ZERO;
    let mut writes = 0;
    while !run.is_finished() {
        let started = Instant::now();
        client.sql(&format!("UPDATE t SET other = 1 WHERE id = {}", writes * 7919 % 60_000 + 1));
        longest = longest.max(started.elapsed());
        writes += 1;
    }
    let took = begun.elapsed();
    let (outcome, _) = run.finish();
    assert!(matches!(outcome, Ok(Outcome::Done { .. })), "{outcome:?}");
    assert_eq!(client.value("SELECT count(*) FROM t WHERE dst IS DISTINCT FROM src"), "0");
    println!("the longest wait of a writer: {longest:?} of {took:?}");
    assert!(longest < took / 2, "a writer waited {longest:?} of {took:?}");
}

#[test]
fn an_unrelated_change_and_a_rewrite_do_not_disturb() {
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    client.sql("CREATE TABLE t (id int, src int, dst bigint, other int); INSERT INTO t SELECT i, i FROM generate_series(1, 30000) AS i");
    let mut run = Background::start(slow(&database));
    run.wait_for("progress", has_progress);
    client.sql("ALTER TABLE t ADD COLUMN more text");
    client.sql("VACUUM FULL t");
    hurry(&client);
    let (outcome, events) = run.finish();
    assert_eq!(outcome.unwrap(), Outcome::Done { rows_updated: 30_000 });
    assert!(events.iter().any(|event| matches!(event, Event::Warning { kind: "rewritten", .. })), "{events:?}");
    assert_eq!(filled(&client), 30_000);
}

#[test]
fn missing_privileges_are_told_before_the_first_row() {
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    table(&client, 100);
    client.sql(
        "DROP ROLE IF EXISTS backfiller; CREATE ROLE backfiller LOGIN; GRANT SELECT ON t TO backfiller; \
         CREATE SCHEMA zdm AUTHORIZATION backfiller",
    );
    let conninfo = database.conninfo().replace("user=postgres", "user=backfiller");
    let as_role = || options_for(&conninfo, "t", &["dst = src"], None);
    let (outcome, _) = run_to_end(as_role());
    let Err(Error::Forbidden(message)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(message, "public.t: permission denied for table t (SQLSTATE 42501)");
    let mut elsewhere = as_role();
    elsewhere.state_schema = zdm_conn::Ident::new("nowhere").unwrap();
    let (outcome, _) = run_to_end(elsewhere);
    let Err(Error::Forbidden(message)) = outcome else { panic!("{outcome:?}") };
    assert!(message.contains("--state-schema"), "{message}");
    client.sql("GRANT UPDATE (dst) ON t TO backfiller");
    assert_eq!(done(as_role()), 100, "no more than these privileges is needed");
    client.sql("DROP SCHEMA zdm CASCADE; DROP OWNED BY backfiller; DROP ROLE backfiller");
}

#[test]
fn what_would_never_end_is_refused() {
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    table(&client, 100);
    let refused = |set: &str, predicate| match run_to_end(options(&database, "t", &[set], predicate)).0 {
        Err(error) => error.to_string(),
        Ok(outcome) => panic!("{outcome:?}"),
    };
    assert!(refused("other = COALESCE(other, 0) + 1", None).contains("rows still differ after their update"));
    assert_eq!(client.value("SELECT count(*) FROM t WHERE other IS NOT NULL"), "0", "the proof leaves nothing behind");
    assert!(refused("dst = random() * 9", None).contains("random() gives another value at each call"));
    assert!(refused("dst = extract(epoch FROM now())", None).contains("now()"));
    assert_eq!(done(options(&database, "t", &["dst = random() * 9"], Some("dst IS NULL"))), 100);
    client.sql("ALTER TABLE t ADD COLUMN g int GENERATED ALWAYS AS (src + 1) STORED");
    assert_eq!(refused("g = 1", None), "column `g` is generated: its value cannot be set");
    assert_eq!(refused("nope = 1", None), "`public.t` has no column `nope`");
    assert!(refused("dst = 'x' || src", None).contains("is of type bigint but expression is of type text"));
}

#[test]
fn replication_lag_makes_it_hold() {
    let major = *available_majors().last().unwrap();
    let server = ServerOptions::default().quiet().set("wal_level", "replica").set("max_wal_senders", "4");
    // Nobody takes the silent standby for dead.
    let server = server.set("wal_sender_timeout", "0").start(major);
    let database = server.database();
    let client = database.connect();
    table(&client, 20_000);
    let mut options = slow(&database);
    options.limits.set("max-lag-bytes", "64kB").unwrap();
    let standby = lagging_standby(&server, &client.value("SELECT pg_current_wal_lsn()"));
    let mut run = Background::start(options);
    run.wait_for("replication lag", |event| matches!(event, Event::Holding { kind: "replication_lag_bytes", .. }));
    drop(standby);
    run.wait_for("release", |event| matches!(event, Event::Released));
    run.stop.send(true).unwrap();
    drop(run.finish());
}

/// A standby that has replayed up to `lsn` and then says nothing more, in the streaming replication protocol.
fn lagging_standby(server: &Server, lsn: &str) -> UnixStream {
    let message = |tag: &[u8], body: &[u8]| {
        let length = u32::try_from(body.len() + 4).unwrap();
        [tag, &length.to_be_bytes(), body].concat()
    };
    let mut stream = UnixStream::connect(server.socket_dir().join(".s.PGSQL.5432")).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let startup = [&196_608_u32.to_be_bytes()[..], b"user\0postgres\0replication\0true\0application_name\0standby\0\0"];
    stream.write_all(&message(b"", &startup.concat())).unwrap();
    read_until(&mut stream, b'Z');
    stream.write_all(&message(b"Q", format!("START_REPLICATION PHYSICAL {lsn}\0").as_bytes())).unwrap();
    read_until(&mut stream, b'W');
    let (high, low) = lsn.split_once('/').unwrap();
    let half = |text| u64::from_str_radix(text, 16).unwrap();
    let position = ((half(high) << 32) | half(low)).to_be_bytes();
    let status = [&b"r"[..], &position, &position, &position, &[0; 8], &[0]].concat();
    stream.write_all(&message(b"d", &status)).unwrap();
    stream
}

/// Reads messages up to and including the first of this type.
fn read_until(stream: &mut UnixStream, wanted: u8) {
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let mut body = vec![0; usize::try_from(length).unwrap() - 4];
        stream.read_exact(&mut body).unwrap();
        assert_ne!(head[0], b'E', "{}", String::from_utf8_lossy(&body));
        if head[0] == wanted {
            return;
        }
    }
}

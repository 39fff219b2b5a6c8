//! Real standbys: lag in time and in bytes, and one that is promoted in the middle of a run.

use std::process::Command;

use zdm_backfill::{Event, Outcome};
use zdm_testkit::{Client, Server, ServerOptions, available_majors};

use crate::common::{
    Background, count_steps, has_progress, holds_within_a_step, hurry, options_for, set_limits, slow, until,
};

fn primary(major: u32) -> Server {
    ServerOptions::default().quiet().set("wal_keep_size", "1GB").start(major)
}

fn table(client: &Client, rows: u32) {
    client.sql(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, src int, dst bigint); \
         INSERT INTO t SELECT i, i * 7 FROM generate_series(1, {rows}) AS i; ANALYZE t"
    ));
}

#[test]
fn lag_of_a_standby_holds_in_time_and_in_bytes() {
    let majors = available_majors();
    for major in [majors[0], *majors.last().unwrap()] {
        let server = primary(major);
        let client = server.connect("postgres");
        table(&client, 40_000);
        count_steps(&client);
        let standby = server.standby();
        let replay = standby.connect("postgres");
        until("streaming", || {
            client.value("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1"
        });
        for (limit, value, kind, expect) in [
            ("max-lag", "1s", "replication_lag", "replication lag is "),
            ("max-lag-bytes", "64kB", "replication_lag_bytes", "a standby is "),
        ] {
            client.sql("UPDATE t SET dst = NULL; TRUNCATE steps");
            client.sql("VACUUM t");
            until("replay", || replay.value("SELECT count(*) FROM t WHERE dst IS NOT NULL") == "0");
            let mut options = options_for(&server.conninfo("postgres"), "t", &["dst = src"], None);
            slow(&mut options);
            options.limits.set("max-lag", "none").unwrap();
            options.limits.set("max-lag-bytes", "none").unwrap();
            options.limits.set(limit, value).unwrap();
            options.restart = true;
            let mut run = Background::start(options);
            run.wait_for("progress", has_progress);
            replay.sql("SELECT pg_wal_replay_pause()");
            let reason = holds_within_a_step(&mut run, &client, kind);
            assert!(reason.starts_with(expect), "{reason}");
            until("reason in the job's tables", || client.value("SELECT holding FROM zdm.backfill_worker") == reason);
            replay.sql("SELECT pg_wal_replay_resume()");
            run.wait_for("release", |event| matches!(event, Event::Released));
            set_limits(&client, &["max-rate=none", "max-lag=none", "max-lag-bytes=none"]);
            let (outcome, _) = run.finish();
            assert_eq!(outcome.unwrap(), Outcome::Done { rows_updated: 40_000 }, "PostgreSQL {major}");
        }
    }
}

/// The primary is gone without a word, and the standby takes over: the run finds it by itself, and goes on from what the
/// standby knows. What the standby had not received is lost with its progress, so nothing is missing in the end.
#[test]
fn a_promoted_standby_is_gone_on_with() {
    const ROWS: u32 = 60_000;
    let majors = available_majors();
    for major in [majors[0], *majors.last().unwrap()] {
        let server = primary(major);
        let client = server.connect("postgres");
        table(&client, ROWS);
        client.sql(
            "CREATE TABLE counts (id int); \
             CREATE FUNCTION count_update() RETURNS trigger LANGUAGE plpgsql AS \
                 'BEGIN INSERT INTO counts VALUES (NEW.id); RETURN NEW; END'; \
             CREATE TRIGGER counting AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION count_update()",
        );
        let standby = server.standby();
        let replica = standby.connect("postgres");
        until("streaming", || {
            client.value("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1"
        });
        let conninfo = format!(
            "host={},{} port={},{} user=postgres dbname=postgres target_session_attrs=read-write",
            server.socket_dir().display(),
            standby.socket_dir().display(),
            server.port(),
            standby.port()
        );
        let mut options = options_for(&conninfo, "t", &["dst = src"], None);
        slow(&mut options);
        options.workers = 2;
        let mut run = Background::start(options);
        until("replicated progress", || {
            replica.try_sql("SELECT 1 / count(*) FROM t WHERE dst IS NOT NULL").is_ok()
                && replica.try_sql("SELECT 1 / count(*) FROM zdm.backfill_job").is_ok()
        });
        // SIGQUIT: no last word to the standby either.
        let pid = server.pid().unwrap().to_string();
        assert!(Command::new("kill").args(["-QUIT", &pid]).status().unwrap().success());
        run.wait_for("reconnecting", |event| matches!(event, Event::Reconnecting { .. }));
        let on_standby: u32 = replica.value("SELECT count(*) FROM t WHERE dst IS NOT NULL").parse().unwrap();
        assert!(on_standby < ROWS, "the run was cut off in the middle");
        assert_eq!(replica.value("SELECT pg_promote()"), "t");
        hurry(&replica);
        let (outcome, _) = run.finish();
        assert_eq!(outcome.unwrap(), Outcome::Done { rows_updated: u64::from(ROWS) }, "PostgreSQL {major}");
        assert_eq!(replica.value("SELECT count(*) FROM t WHERE dst IS DISTINCT FROM src"), "0");
        // Its counters and its rows are of one piece: none was updated twice.
        let counted = replica.value("SELECT count(*) || ' ' || count(DISTINCT id) FROM counts");
        println!("PostgreSQL {major}: promoted with {on_standby} of {ROWS} rows filled; updated {counted}");
        assert_eq!(counted, format!("{ROWS} {ROWS}"));
        assert_eq!(replica.value("SELECT state FROM zdm.backfill_job"), "done");
    }
}

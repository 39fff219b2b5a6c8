//! `zdm backfill` as a black box: exit codes, output, signals, secrets.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use zdm_testkit::{Database, Server};

/// The program with an environment of nothing but what is given.
fn zdm(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zdm"));
    command.env_clear().args(arguments);
    command
}

fn run(database: &Database, arguments: &[&str]) -> Output {
    zdm(&["backfill"]).args(arguments).env("DATABASE_URL", database.url()).output().unwrap()
}

fn check(database: &Database, arguments: &[&str], exit: i32, expect: &str) -> String {
    let output = run(database, arguments);
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {text}");
    assert!(text.contains(expect), "{arguments:?}: no `{expect}` in:\n{text}");
    text
}

fn database() -> Database {
    let database = Server::newest().database();
    database.connect().sql(
        "CREATE TABLE t (id int PRIMARY KEY, src int, dst bigint, bad int); \
         INSERT INTO t SELECT i, i FROM generate_series(1, 20000) AS i; ANALYZE t",
    );
    database
}

#[test]
fn a_job_from_plan_to_verification() {
    let database = database();
    let what = ["--table", "t", "--source", "src", "--target", "dst"];
    let with = |command: &'static str, more: &[&'static str]| [&[command], &what[..], more].concat();
    let plan = check(&database, &with("run", &["--dry-run"]), 0, "windows with 12 sub-passes");
    assert!(plan.contains("UPDATE ONLY \"public\".\"t\""), "{plan}");
    assert_eq!(database.connect().value("SELECT count(*) FROM pg_namespace WHERE nspname = 'zdm'"), "0");
    check(&database, &["status"], 0, "no jobs");
    check(&database, &with("check", &[]), 1, "pending: row ");
    check(&database, &with("run", &[]), 0, "done: 20,000 rows filled");
    check(&database, &with("check", &[]), 0, "no pending row; all pages looked at");
    check(&database, &with("verify", &[]), 0, "verified: 0 of 20,000 rows differ");
    check(&database, &["check", "--job", "public.t.dst"], 0, "no pending row");
    check(&database, &["status"], 0, "public.t.dst on public.t: done");
    check(&database, &["pause", "public.t.dst"], 1, "is done");
    check(&database, &["run", "--table", "t", "--set", "bad = 1 / (id - 7)"], 1, "row 7 of public.t cannot be filled");
    check(&database, &["status", "public.t.bad"], 0, "row 7 of public.t: division by zero");
    check(&database, &["verify", "--job", "public.t.bad"], 1, "row 7 of public.t: division by zero");
}

#[test]
fn wrong_usage_is_2() {
    let database = database();
    check(&database, &["run"], 2, "give --model or --table");
    check(&database, &["run", "--table", "t"], 2, "nothing to set");
    check(&database, &["run", "--table", "t", "--source", "src"], 2, "come in pairs");
    check(&database, &["run", "--table", "nowhere", "--set", "a = 1"], 2, "there is no table `nowhere`");
    check(&database, &["run", "--table", "t", "--set", "dst = 1); DROP TABLE t; --"], 2, "unbalanced");
    check(&database, &["run", "--table", "t", "--set", "dst = src", "--max-rate", "fast"], 2, "a whole number");
    check(&database, &["run", "--nonsense"], 2, "--nonsense");
    check(&database, &["pause"], 2, "there is no unfinished job");
    assert_eq!(zdm(&["backfill", "status", "--dsn", "host=/nowhere"]).output().unwrap().status.code(), Some(4));
    assert_eq!(zdm(&["--help"]).output().unwrap().status.code(), Some(0));
    let completions = zdm(&["completions", "bash"]).output().unwrap();
    assert!(completions.status.success() && String::from_utf8_lossy(&completions.stdout).contains("--target-time"));
    assert_eq!(zdm(&["completions", "sh"]).output().unwrap().status.code(), Some(2));
}

#[test]
fn json_is_one_object_per_line() {
    let database = database();
    let output = run(&database, &["run", "--table", "t", "--set", "dst = src", "--format", "json"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let events: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().all(|event| event["version"] == 1));
    assert_eq!(events.first().unwrap()["event"], "planned");
    assert_eq!(events.first().unwrap()["parts"][0]["strategy"], "windows");
    let end = events.last().unwrap();
    assert_eq!((end["event"].as_str(), end["outcome"].as_str()), (Some("end"), Some("done")));
    assert_eq!(end["rows_updated"], 20_000);
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn signals_pause_resume_and_live_limits() {
    let database = database();
    let arguments =
        ["backfill", "run", "--table", "t", "--set", "dst = src", "--max-rate", "400", "--target-time", "5ms"];
    let start = || zdm(&arguments).env("DATABASE_URL", database.url()).stderr(Stdio::piped()).spawn().unwrap();
    let client = database.connect();
    let filled = || client.value("SELECT count(*) FROM t WHERE dst = src").parse::<u32>().unwrap();
    let until = |what: &str, reached: &dyn Fn() -> bool| {
        let deadline = Instant::now() + Duration::from_mins(3);
        while !reached() {
            assert!(Instant::now() < deadline, "no {what} within 3 min");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let first = start();
    until("progress", &|| filled() > 100);
    let interrupted = Command::new("kill").args(["-INT", &first.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let output = first.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(text.contains("interrupted: "), "{text}");

    let second = start();
    let before = filled();
    until("more progress", &|| filled() > before);
    check(&database, &["pause"], 0, "is paused");
    until("pause", &|| {
        String::from_utf8_lossy(&run(&database, &["status"]).stdout).contains("holding: paused by the operator")
    });
    let paused_at = filled();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(filled(), paused_at, "a paused job fills nothing");
    check(&database, &["status"], 0, "holding: paused by the operator");
    check(&database, &["resume", "--set", "max-rate=none"], 0, "is running");
    let output = second.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("resuming job `public.t.dst`") && text.contains("done: 20,000 rows filled"), "{text}");
}

#[test]
fn a_password_is_shown_nowhere() {
    let database = database();
    let dsn = format!("{} password=hunter2", database.conninfo());
    let mut child = zdm(&[
        "backfill",
        "run",
        "--dsn",
        &dsn,
        "--table",
        "t",
        "--set",
        "dst = src",
        "--max-rate",
        "200",
        "--target-time",
        "5ms",
    ])
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let client = database.connect();
    while client.value("SELECT count(*) FROM t WHERE dst = src") == "0" {
        assert!(child.try_wait().unwrap().is_none(), "the run ended");
        std::thread::sleep(Duration::from_millis(20));
    }
    let title = std::fs::read_to_string(format!("/proc/{}/cmdline", child.id())).unwrap();
    assert!(title.contains("backfill") && !title.contains("hunter2"), "{title}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim();
    let peak: u32 = peak.strip_suffix(" kB").unwrap().parse().unwrap();
    assert!(peak < 30_000, "a run's memory: {peak} kB");
    let seen = client.value("SELECT string_agg(application_name || query, ' ') FROM pg_stat_activity");
    assert!(!seen.contains("hunter2"));
    drop(Command::new("kill").args(["-TERM", &child.id().to_string()]).status());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(!format!("{output:?}").contains("hunter2"));
    for dsn in ["postgres://u:hunter2@127.0.0.1:1/d", "postgres://u:hunter2@[::1/d", "password=hunter2 nonsense"] {
        let output = zdm(&["backfill", "status", "--dsn", dsn]).output().unwrap();
        assert!(!output.status.success());
        assert!(!format!("{output:?}").contains("hunter2"), "{output:?}");
    }
}

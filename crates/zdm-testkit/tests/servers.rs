//! Temporary servers: every major starts, serves, and leaves nothing behind.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use zdm_testkit::{Server, ServerOptions, majors_for};

#[test]
fn every_major_starts_and_serves() {
    for major in majors_for("servers") {
        let server = Server::start(major);
        assert!(server.version().starts_with(&format!("{major}.")), "{} is not a {major}", server.version());
        let database = server.database();
        let client = database.connect();
        assert_eq!(client.value("SELECT current_database()"), database.name());
        assert_eq!(client.value("SHOW server_encoding"), "UTF8");
        assert_eq!(client.value("SHOW listen_addresses"), "");
        // The extensions that Django projects use.
        for extension in ["btree_gin", "btree_gist", "citext", "hstore", "pg_trgm", "unaccent"] {
            client.sql(&format!("CREATE EXTENSION {extension}"));
        }
    }
}

#[test]
fn debug_messages_of_a_statement_are_kept() {
    for major in majors_for("servers") {
        let database = Server::shared(major).database();
        let client = database.connect();
        client.sql("CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 10)");
        client.sql("SET client_min_messages = debug1");
        client.take_notices();
        client.sql("ALTER TABLE t ALTER COLUMN id TYPE bigint");
        let notices = client.take_notices();
        assert!(notices.iter().any(|notice| notice.message == "rewriting table \"t\""), "{major}: {notices:?}");
        assert!(client.take_notices().is_empty());
        assert_eq!(client.fails("SELECT 1/0"), "22012");
    }
}

#[test]
fn databases_are_separate_and_dropped() {
    let server = Server::newest();
    let first = server.database();
    first.connect().sql("CREATE TABLE t (id int)");
    let name = first.name().to_owned();
    let copy = server.database_like(&name);
    assert_eq!(copy.connect().value("SELECT count(*) FROM t"), "0");
    assert_eq!(server.database().connect().fails("SELECT count(*) FROM t"), "42P01");
    let open = first.connect();
    drop(first);
    let count = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    assert_eq!(server.connect("postgres").value(&count), "0");
    assert!(open.try_sql("SELECT 1").is_err(), "the session survives its database");
}

#[test]
fn settings_are_in_force_and_a_bad_one_is_told() {
    let major = majors_for("servers")[0];
    let server = ServerOptions::default().set("wal_level", "logical").set("application_name", "it's").start(major);
    let client = server.connect("postgres");
    assert_eq!(client.value("SHOW wal_level"), "logical");
    let error = ServerOptions::default().set("max_connections", "many").try_start(major).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("max_connections"), "{error}");
}

#[test]
fn a_server_with_tcp_and_an_access_file_of_its_own() {
    let hba = "local all all trust\nhost all locked 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 scram-sha-256\n";
    let options = ServerOptions::default().tcp().file("hba.conf", hba).set("hba_file", "../hba.conf");
    let server = options.start(majors_for("servers")[0]);
    server.connect("postgres").sql("CREATE ROLE guest LOGIN PASSWORD 'secret'; CREATE ROLE locked LOGIN");
    let client = server.connect("postgres");
    let connect = |user: &str, password: &str| {
        let text = format!("host=127.0.0.1 port={} user={user} password={password} dbname=postgres", server.port());
        client.block_on(tokio_postgres::connect(&text, tokio_postgres::NoTls)).map(drop)
    };
    assert!(connect("guest", "secret").is_ok());
    let refused = connect("guest", "wrong").expect_err("a wrong password");
    assert_eq!(refused.code().map(tokio_postgres::error::SqlState::code), Some("28P01"));
    let refused = connect("locked", "any").expect_err("a rejected user");
    assert_eq!(refused.code().map(tokio_postgres::error::SqlState::code), Some("28000"));
}

#[test]
fn a_dropped_server_leaves_nothing() {
    let server = Server::start(majors_for("servers")[0]);
    let (dir, pid) = (server.socket_dir().to_owned(), server.pid().expect("a running server has a pid"));
    assert!(is_running(pid) && dir.exists());
    drop(server);
    assert!(!is_running(pid) && !dir.exists());
}

/// The process that is killed below: this test binary, told by its environment to start a server and wait.
#[test]
fn a_killed_test_process_leaves_nothing() {
    const ROLE: &str = "ZDM_TESTKIT_KILLED";
    if std::env::var_os(ROLE).is_some() {
        let server = Server::start(majors_for("servers")[0]);
        eprintln!("\nstarted {} {}", server.pid().expect("a running server has a pid"), server.socket_dir().display());
        thread::sleep(Duration::from_mins(10));
        unreachable!("killed long before");
    }
    let mut child = Command::new(std::env::current_exe().expect("a test binary has a path"))
        .args(["--exact", "a_killed_test_process_leaves_nothing", "--nocapture"])
        .env(ROLE, "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the test binary runs");
    let line = BufReader::new(child.stderr.take().expect("standard error was piped"))
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("started ").map(str::to_owned))
        .expect("the child starts a server");
    let (pid, dir) = line.split_once(' ').expect("a pid and a directory");
    let pid: u32 = pid.parse().expect("a pid");
    assert!(is_running(pid));
    child.kill().expect("the child runs");
    child.wait().expect("the child was started here");
    let deadline = Instant::now() + Duration::from_mins(3);
    while (is_running(pid) || Path::new(dir).exists()) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(20));
    }
    assert!(!is_running(pid), "server {pid} survives");
    assert!(!Path::new(dir).exists(), "{dir} is left");
}

/// A test process may be killed at any time, also while its server is being made.
#[test]
fn a_test_process_killed_early_leaves_nothing() {
    const ROLE: &str = "ZDM_TESTKIT_KILLED_EARLY";
    if std::env::var_os(ROLE).is_some() {
        let _server = Server::start(majors_for("servers")[0]);
        thread::sleep(Duration::from_mins(10));
        unreachable!("killed long before");
    }
    // A directory for the servers of the child alone, open to the account that they run under.
    let place = tempfile::Builder::new().prefix("zdm-early-").tempdir_in("/tmp").expect("a temporary directory");
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o1777)).expect("our own directory");
    let mut seen = 0;
    // However slow the machine is, one of them is killed while its server is made.
    let longer = (1..=8).map(|power| 300 << power);
    for (number, delay) in [5, 20, 40, 60, 80, 110, 150, 200, 300].into_iter().chain(longer).enumerate() {
        if number >= 9 && seen > 0 {
            break;
        }
        let mut child = Command::new(std::env::current_exe().expect("a test binary has a path"))
            .args(["--exact", "a_test_process_killed_early_leaves_nothing", "--nocapture"])
            .env(ROLE, "1")
            .env("TMPDIR", place.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the test binary runs");
        thread::sleep(Duration::from_millis(delay));
        child.kill().expect("the child runs");
        child.wait().expect("the child was started here");
        // What the watching process has begun to fill, it must remove. A directory that was killed before it had one
        // is empty but for the settings.
        let left = || {
            let entries = std::fs::read_dir(place.path()).expect("our own directory").filter_map(Result::ok);
            entries.filter(|entry| entry.path().join("log").exists()).count()
        };
        seen += left();
        let deadline = Instant::now() + Duration::from_mins(3);
        while left() > 0 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(left(), 0, "killed after {delay} ms");
    }
    assert!(seen > 0, "no child got as far as to make a server");
}

fn is_running(pid: u32) -> bool {
    Command::new("kill").arg("-0").arg(pid.to_string()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

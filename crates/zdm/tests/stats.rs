//! `zdm stats` on live servers, and its file as the linter reads it.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use zdm_testkit::{Database, Server, majors_for};
use zdm_workspace::{Request, Stats, Workspace};

fn zdm(database: &Database, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zdm"));
    command.env_clear().env("DATABASE_URL", database.url()).arg("stats").args(arguments);
    command.output().unwrap()
}

fn measured(database: &Database, arguments: &[&str]) -> (Stats, String) {
    let output = zdm(database, arguments);
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{notes}");
    (Stats::parse(&String::from_utf8(output.stdout).unwrap()).unwrap(), notes)
}

/// Tables of every kind.
const TABLES: &str = "\
    CREATE TABLE shop_order (id int PRIMARY KEY, note text); \
    INSERT INTO shop_order SELECT i, repeat('secret', 30) FROM generate_series(1, 5000) AS i; \
    CREATE TABLE never_analyzed (id int); INSERT INTO never_analyzed SELECT generate_series(1, 70); \
    CREATE TABLE empty (id int); \
    CREATE TABLE log (id int, day date) PARTITION BY RANGE (day); \
    CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2020-01-01') TO ('2021-01-01'); \
    CREATE TABLE log_2 PARTITION OF log DEFAULT; \
    CREATE INDEX ON log (id); \
    INSERT INTO log SELECT i, date '2020-12-01' + i FROM generate_series(1, 100) AS i; \
    CREATE SCHEMA archive; CREATE TABLE archive.\"Old Order\" (id int); \
    ANALYZE shop_order; ANALYZE empty; ANALYZE log";

#[test]
fn sizes_traffic_and_transactions_on_every_major() {
    for major in majors_for("stats") {
        let database = Server::shared(major).database();
        // Backends hand their counters in when they end, at the latest.
        database.connect().sql(TABLES);
        let client = database.connect();
        let holder = database.connect();
        holder.sql("BEGIN");
        holder.sql("SELECT count(*) FROM shop_order WHERE id = 1");
        client.sql("BEGIN; INSERT INTO empty VALUES (1); DELETE FROM empty; PREPARE TRANSACTION 'old'");
        // A table that is locked against everything does not hold the rest up.
        let locker = database.connect();
        locker.sql("BEGIN; LOCK TABLE archive.\"Old Order\" IN ACCESS EXCLUSIVE MODE");
        // Before, while and after it is measured.
        let stop = Arc::new(AtomicBool::new(false));
        let busy = std::thread::spawn({
            let (client, stop) = (database.connect(), Arc::clone(&stop));
            move || {
                for id in (0..200).cycle().take_while(|_| !stop.load(Ordering::Relaxed)) {
                    client.sql(&format!("UPDATE shop_order SET note = '' WHERE id = {id}"));
                    client.sql(&format!("INSERT INTO log VALUES ({id}, '2020-05-05'); SELECT count(*) FROM log_1"));
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        });
        let (stats, notes) = measured(&database, &["--interval", "6s"]);
        stop.store(true, Ordering::Relaxed);
        busy.join().unwrap();
        client.sql("ROLLBACK PREPARED 'old'");
        assert!(notes.contains("its size is left out"), "{notes}");
        let version = stats.postgres.clone().unwrap();
        assert!(version.starts_with(&format!("{major}.")) && !version.contains(' '), "{version}");
        assert!(stats.measured_at.as_ref().is_some_and(|at| at.len() == 20 && at.ends_with('Z')));
        assert!(stats.interval_seconds.unwrap() >= 6.0);
        let names: Vec<&str> = stats.tables.keys().map(String::as_str).collect();
        assert_eq!(names, ["archive.Old Order", "empty", "log", "log_1", "log_2", "never_analyzed", "shop_order"]);

        let order = stats.table("shop_order").unwrap();
        assert!((4900..=6000).contains(&order.rows.unwrap()), "{order:?}");
        // It grows while it is measured.
        let index_bytes: u64 = client.value("SELECT pg_indexes_size('shop_order')").parse().unwrap();
        assert!((index_bytes / 2..=index_bytes).contains(&order.index_bytes.unwrap()), "{order:?}");
        assert!(order.bytes.unwrap() >= 5000 * 180, "{order:?}");
        assert!(order.writes_per_second.unwrap() > 1.0 && order.reads_per_second.unwrap() > 1.0, "{order:?}");
        assert!(order.longest_transaction_seconds.unwrap() >= 5.0, "{order:?}");

        let log = stats.table("log").unwrap();
        let parts = [stats.table("log_1").unwrap(), stats.table("log_2").unwrap()];
        assert_eq!(log.bytes, Some(parts.iter().filter_map(|part| part.bytes).sum()), "a parent has what is below it");
        assert_eq!(log.rows, Some(parts.iter().filter_map(|part| part.rows).sum()));
        assert!(log.writes_per_second.unwrap() > 1.0 && log.reads_per_second.unwrap() > 1.0, "{log:?}");

        assert_eq!(stats.table("never_analyzed").unwrap().rows, Some(70));
        let empty = stats.table("empty").unwrap();
        assert!(empty.longest_transaction_seconds.unwrap() >= 5.0, "a prepared transaction: {empty:?}");
        let locked = stats.table("archive.Old Order").unwrap();
        assert_eq!((locked.bytes, locked.index_bytes), (None, None), "unknown is not zero");
    }
}

#[test]
fn the_linter_reads_what_is_written() {
    let database = Server::newest().database();
    database.connect().sql(TABLES);
    let folder = tempfile::tempdir().unwrap();
    let migrations = folder.path().join("shop/migrations");
    fs::create_dir_all(&migrations).unwrap();
    for (name, text) in [
        ("manage.py", ""),
        ("shop/__init__.py", ""),
        ("shop/migrations/__init__.py", ""),
        (
            "shop/migrations/0001_initial.py",
            "from django.db import migrations, models\n\nclass Migration(migrations.Migration):\n    operations = [\n        \
             migrations.CreateModel('Order', [('id', models.AutoField(primary_key=True)), ('note', models.TextField(null=True))]),\n    ]\n",
        ),
        (
            "shop/migrations/0002_index.py",
            "from django.db import migrations, models\n\nclass Migration(migrations.Migration):\n    \
             dependencies = [('shop', '0001_initial')]\n    operations = [\n        \
             migrations.AlterField('order', 'note', models.TextField(null=True, db_index=True)),\n    ]\n",
        ),
        ("zdm.toml", "small-table-rows = 1000\n"),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let file = folder.path().join("stats.json");
    let output = zdm(&database, &["--interval", "2s", "--schema", "public", "--output", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty());
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("secret") && !text.contains("archive"), "{text}");
    assert_eq!(Stats::load(&file).unwrap().to_text(), text);
    let message = |stats: Option<&Path>| {
        let request =
            Request { current: folder.path().to_owned(), stats: stats.map(Path::to_owned), ..Request::default() };
        let analysis = Workspace::load(&request).unwrap().analyse(&request).unwrap();
        format!("{:?}", analysis.diagnostics)
    };
    assert!(message(Some(&file)).contains("`shop_order` has about 5,000 rows"), "{}", message(Some(&file)));
    assert!(!message(None).contains("has about"), "{}", message(None));
}

#[test]
fn wrong_usage_is_2() {
    let database = Server::newest().database();
    let check = |arguments: &[&str], code: i32, expect: &str| {
        let output = zdm(&database, arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{text}");
        assert!(text.contains(expect), "{text}");
    };
    check(&["--interval", "1ms"], 2, "--interval");
    check(&["--interval", "2s"], 2, "has no tables");
    database.connect().sql("CREATE TABLE t ()");
    check(&["--interval", "2s", "--schema", "nowhere"], 2, "has no tables in these schemas");
    check(&["--interval", "2s", "--output", "/dev/null/stats.json"], 2, "/dev/null");
    check(&["--dsn", "host=/nowhere"], 4, "cannot connect");
    // A role that may connect and nothing else.
    database.connect().sql("DROP ROLE IF EXISTS onlooker; CREATE ROLE onlooker LOGIN");
    let dsn = database.conninfo().replace("user=postgres", "user=onlooker");
    let other = database.connect();
    other.sql("BEGIN; LOCK TABLE t IN ROW SHARE MODE");
    let output = zdm(&database, &["--interval", "2s", "--dsn", &dsn]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && text.contains("grant it pg_monitor"), "{text}");
    assert!(Stats::parse(&String::from_utf8(output.stdout).unwrap()).unwrap().table("t").is_some());
    drop(other);
    database.connect().sql("DROP ROLE onlooker");
}

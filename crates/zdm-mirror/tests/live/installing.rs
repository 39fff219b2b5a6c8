//! What is installed against what is declared, values, locks and retries.

use std::thread;
use std::time::Duration;

use crate::common::{block_on, compare, differences, install, patience, reference, remove, request, try_install};
use zdm_mirror::inspect::Difference;
use zdm_mirror::install::{self, Attempt, Patience};
use zdm_mirror::{Error, Request};
use zdm_testkit::{Server, majors_for};

fn kinds(differences: &[Difference]) -> Vec<&'static str> {
    differences.iter().map(Difference::kind).collect()
}

#[test]
fn every_difference_is_found_and_put_right() {
    for major in majors_for("mirror") {
        let database = Server::shared(major).database();
        let client = database.connect();
        client.sql("CREATE TABLE t (id int PRIMARY KEY, src int)");
        let wanted = request("src", "dst", "bigint");
        assert_eq!(
            kinds(&differences(&database, "t", &wanted)),
            ["missing-column", "missing-function", "missing-trigger"]
        );
        let name = install(&database, "t", &wanted).planned.mirror.object_name();
        let check = |damage: &str, expect: &[&str]| {
            client.sql(&damage.replace("NAME", &name.to_string()));
            let found = differences(&database, "t", &wanted);
            assert_eq!(kinds(&found), expect, "{damage}: {found:?}");
            install(&database, "t", &wanted);
        };
        check("ALTER TABLE t DISABLE TRIGGER NAME", &["disabled"]);
        check("ALTER TABLE t ENABLE REPLICA TRIGGER NAME", &["firing"]);
        check("DROP TRIGGER NAME ON t", &["missing-trigger"]);
        check("DROP FUNCTION NAME() CASCADE", &["missing-function", "missing-trigger"]);
        check(
            "CREATE OR REPLACE FUNCTION NAME() RETURNS trigger LANGUAGE plpgsql AS '-- Written by zdm mirror\nBEGIN RETURN NEW; END'",
            &["changed-function"],
        );
        for when in ["NEW.src IS DISTINCT FROM OLD.src", "NEW.dst IS DISTINCT FROM NEW.id"] {
            let events = if when.contains("OLD") { "UPDATE" } else { "INSERT OR UPDATE" };
            check(
                &format!(
                    "DROP TRIGGER NAME ON t; CREATE TRIGGER NAME BEFORE {events} ON t FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION NAME()"
                ),
                &["changed-trigger"],
            );
        }
        check(
            "DROP TRIGGER NAME ON t; CREATE TRIGGER NAME BEFORE INSERT OR UPDATE OF src ON t FOR EACH ROW EXECUTE FUNCTION NAME()",
            &["changed-trigger"],
        );
        // Somebody else's function is not replaced.
        client.sql(&format!(
            "DROP TRIGGER {name} ON t; CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
        ));
        match try_install(&database, "t", &wanted) {
            Err(Error::Forbidden(message)) => assert!(message.contains("zdm has not written"), "{message}"),
            other => panic!("{other:?}"),
        }
        remove(&database, "t", &["dst"], true);
        assert!(remove(&database, "t", &["dst"], true).statements.is_empty());
    }
}

#[test]
fn values_that_differ_are_counted_and_shown() {
    let database = Server::newest().database();
    let client = database.connect();
    client.sql(
        "CREATE TABLE t (id int PRIMARY KEY, src int, dst bigint); \
         INSERT INTO t SELECT i, i, CASE WHEN i % 100 = 0 THEN -1 ELSE i END FROM generate_series(1, 20000) AS i",
    );
    let wanted = request("src", "dst", "");
    install(&database, "t", &wanted);
    let found = compare(&database, "t", &wanted);
    assert_eq!((found.rows, found.differing, found.examples.len()), (20_000, 200, 5));
    let example = &found.examples[0];
    assert_eq!(example.key, "100");
    assert_eq!(example.columns[0].target_value.as_deref(), Some("-1"));
    assert_eq!(example.columns[0].expected.as_deref(), Some("100"));
    // An expression that fails for one row does not hide the others.
    client.sql("CREATE TABLE u (id int PRIMARY KEY, src text, dst int); INSERT INTO u SELECT i, i::text, i FROM generate_series(1, 3000) AS i; \
                UPDATE u SET src = 'x' WHERE id = 1500; UPDATE u SET dst = 0 WHERE id = 2500");
    let mut wanted = request("src", "dst", "");
    wanted.pairs[0].using = Some("src::int".to_owned());
    install(&database, "u", &wanted);
    let found = compare(&database, "u", &wanted);
    assert_eq!((found.rows, found.differing), (3000, 2), "{found:?}");
    let failed = found.examples.iter().find(|example| example.key == "1500").unwrap();
    assert!(failed.error.as_ref().unwrap().contains("invalid input syntax"), "{failed:?}");
}

#[test]
fn a_lock_that_is_not_to_be_had() {
    let database = Server::newest().database();
    let client = database.connect();
    client.sql("CREATE TABLE t (id int PRIMARY KEY, src int)");
    let wanted = request("src", "dst", "bigint");
    let holder = database.connect();
    holder.sql("BEGIN; INSERT INTO t VALUES (1, 1)");
    let short = Patience { retry_for: Duration::from_secs(1), ..patience(&database) };
    let mut attempts = Vec::new();
    let mut report = |attempt: &Attempt| attempts.push(attempt.clone());
    match block_on(install::install(&short, &reference("t"), &wanted, &mut report)) {
        Err(Error::GaveUp { message, .. }) => assert!(message.contains("holds a lock"), "{message}"),
        other => panic!("{other:?}"),
    }
    assert!(attempts.iter().all(|attempt| attempt.holders[0].contains("zdm-test")), "{attempts:?}");
    assert_eq!(
        client.value("SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'dst'"),
        "0"
    );
    // It goes on as soon as the lock is free, and readers and writers waited no longer than the timeout.
    thread::scope(|scope| {
        scope.spawn(move || {
            thread::sleep(Duration::from_millis(700));
            holder.sql("COMMIT");
        });
        install(&database, "t", &wanted);
    });
    assert_eq!(differences(&database, "t", &Request { always: false, ..wanted }), []);
}

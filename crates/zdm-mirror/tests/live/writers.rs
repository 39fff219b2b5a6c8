//! Every way in which rows are written, by value.

use crate::common::{install, request};
use zdm_mirror::Request;
use zdm_testkit::{Client, Database, Server, majors_for};

/// `src,dst` of all rows by id.
fn rows(client: &Client) -> String {
    client.value(
        "SELECT coalesce(string_agg(id || ':' || coalesce(src::text, '-') || ',' || coalesce(dst::text, '-'), ' ' ORDER BY id), '') FROM t",
    )
}

fn check(client: &Client, sql: &str, expect: &str) {
    client.sql(sql);
    assert_eq!(rows(client), expect, "{sql}");
}

/// COPY, from a program that the server runs.
fn copy(client: &Client, columns: &str, data: &str) {
    client.sql(&format!("COPY t ({columns}) FROM PROGRAM $$printf '{data}'$$"));
}

#[test]
fn one_way() {
    for major in majors_for("mirror") {
        let database = Server::shared(major).database();
        let client = database.connect();
        client.sql(
            "CREATE TABLE t (id int PRIMARY KEY, src int, other text); INSERT INTO t VALUES (1, 10), (2, NULL), (3, 30)",
        );
        install(&database, "t", &request("src", "dst", "bigint"));
        let old = database.connect();
        check(&client, "SELECT 1", "1:10,- 2:-,- 3:30,-");
        check(&client, "UPDATE t SET other = 'x' WHERE id = 1", "1:10,10 2:-,- 3:30,-");
        check(&client, "UPDATE t SET src = 11 WHERE id = 1", "1:11,11 2:-,- 3:30,-");
        check(&client, "UPDATE t SET dst = 5", "1:11,11 2:-,- 3:30,30");
        // What a stale `Model.save()` of a release with both fields sends: the shadow as it was before the backfill.
        check(&client, "UPDATE t SET src = 11, dst = NULL, other = 'y' WHERE id = 1", "1:11,11 2:-,- 3:30,30");
        check(&client, "UPDATE t SET src = NULL WHERE id = 3", "1:11,11 2:-,- 3:-,-");
        check(&client, "INSERT INTO t (id, src) VALUES (4, 40), (5, NULL)", "1:11,11 2:-,- 3:-,- 4:40,40 5:-,-");
        check(&client, "DELETE FROM t WHERE id IN (2, 3, 5)", "1:11,11 4:40,40");
        check(&client, "INSERT INTO t (id, src, dst) VALUES (6, 60, 1)", "1:11,11 4:40,40 6:60,60");
        check(
            &client,
            "INSERT INTO t SELECT i, i * 10 FROM generate_series(7, 8) AS i",
            "1:11,11 4:40,40 6:60,60 7:70,70 8:80,80",
        );
        check(
            &client,
            "INSERT INTO t (id, src) VALUES (7, 1), (9, 9) ON CONFLICT (id) DO UPDATE SET src = excluded.src",
            "1:11,11 4:40,40 6:60,60 7:1,1 8:80,80 9:9,9",
        );
        check(
            &client,
            "INSERT INTO t (id, src) VALUES (7, 2) ON CONFLICT (id) DO UPDATE SET dst = excluded.dst",
            "1:11,11 4:40,40 6:60,60 7:1,1 8:80,80 9:9,9",
        );
        check(
            &client,
            "INSERT INTO t (id, src) VALUES (7, 2) ON CONFLICT DO NOTHING; UPDATE t SET src = v.n FROM (VALUES (8, 3), (9, 4)) AS v(i, n) WHERE id = v.i",
            "1:11,11 4:40,40 6:60,60 7:1,1 8:3,3 9:4,4",
        );
        check(&client, "UPDATE t SET src = src * 2; DELETE FROM t WHERE id > 4", "1:22,22 4:80,80");
        copy(&client, "id, src", r"10\t100\n11\t\\N\n");
        copy(&client, "id, src, dst", r"12\t120\t7\n");
        check(&client, "SELECT 1", "1:22,22 4:80,80 10:100,100 11:-,- 12:120,120");
        if major >= 15 {
            check(
                &client,
                "MERGE INTO t USING (VALUES (12, 1), (13, 2)) AS v(i, n) ON id = v.i \
                 WHEN MATCHED THEN UPDATE SET src = v.n WHEN NOT MATCHED THEN INSERT (id, src) VALUES (v.i, v.n)",
                "1:22,22 4:80,80 10:100,100 11:-,- 12:1,1 13:2,2",
            );
        }
        // A statement that was prepared before the mirror is planned anew.
        old.sql("BEGIN; UPDATE t SET src = 5 WHERE id = 1; COMMIT");
        assert_eq!(old.value("SELECT dst FROM t WHERE id = 1"), "5");
    }
}

#[test]
fn both_ways() {
    for major in majors_for("mirror") {
        let database = Server::shared(major).database();
        let client = database.connect();
        client.sql("CREATE TABLE t (id int PRIMARY KEY, src int, other text); INSERT INTO t VALUES (1, 10)");
        install(&database, "t", &Request { both_ways: true, ..request("src", "dst", "bigint") });
        check(&client, "UPDATE t SET other = 'x'", "1:10,10");
        check(&client, "UPDATE t SET dst = 11", "1:11,11");
        check(&client, "UPDATE t SET src = 12", "1:12,12");
        check(&client, "UPDATE t SET src = 13, dst = 14", "1:13,13");
        check(&client, "UPDATE t SET dst = NULL", "1:-,-");
        check(&client, "UPDATE t SET dst = 15, other = NULL", "1:15,15");
        check(&client, "INSERT INTO t (id, dst) VALUES (2, 20)", "1:15,15 2:20,20");
        check(&client, "INSERT INTO t (id, src) VALUES (3, 30)", "1:15,15 2:20,20 3:30,30");
        check(&client, "INSERT INTO t (id, src, dst) VALUES (4, 40, 41)", "1:15,15 2:20,20 3:30,30 4:40,40");
        check(
            &client,
            "INSERT INTO t (id, dst) VALUES (4, 42), (5, 50) ON CONFLICT (id) DO UPDATE SET dst = excluded.dst",
            "1:15,15 2:20,20 3:30,30 4:42,42 5:50,50",
        );
        copy(&client, "id, dst", r"6\t60\n");
        check(&client, "DELETE FROM t WHERE id BETWEEN 2 AND 4", "1:15,15 5:50,50 6:60,60");
        assert_eq!(client.fails("UPDATE t SET dst = 3000000000 WHERE id = 1"), "22003", "refused, not lost");
        check(&client, "SELECT 1", "1:15,15 5:50,50 6:60,60");
    }
}

#[test]
fn both_ways_with_a_default_and_not_null() {
    for major in majors_for("mirror") {
        with_a_default_and_not_null(&Server::shared(major).database());
    }
}

fn with_a_default_and_not_null(database: &Database) {
    let client = database.connect();
    client.sql(
        "CREATE TABLE t (id int PRIMARY KEY, src int NOT NULL DEFAULT 7, other text); INSERT INTO t VALUES (1, 10)",
    );
    install(database, "t", &Request { both_ways: true, ..request("src", "dst", "bigint") });
    // A release that does not know the source leaves it to its default.
    check(&client, "INSERT INTO t (id, dst) VALUES (2, 20)", "1:10,- 2:20,20");
    check(&client, "INSERT INTO t (id, src) VALUES (3, 7)", "1:10,- 2:20,20 3:7,7");
    check(&client, "INSERT INTO t (id) VALUES (4)", "1:10,- 2:20,20 3:7,7 4:7,7");
    // The backfill has filled it meanwhile; a stale save() writes the NULL that it read.
    check(&client, "UPDATE t SET dst = 10 WHERE id = 1", "1:10,10 2:20,20 3:7,7 4:7,7");
    check(&client, "UPDATE t SET dst = NULL WHERE id = 1", "1:10,10 2:20,20 3:7,7 4:7,7");
}

#[test]
fn replicas_and_always() {
    for major in majors_for("mirror") {
        let database = Server::shared(major).database();
        let client = database.connect();
        client.sql("CREATE TABLE t (id int PRIMARY KEY, src int)");
        let plain = request("src", "dst", "bigint");
        install(&database, "t", &plain);
        check(&client, "SET session_replication_role = replica; INSERT INTO t VALUES (1, 1)", "1:1,-");
        install(&database, "t", &Request { always: true, ..plain.clone() });
        check(&client, "INSERT INTO t VALUES (2, 2)", "1:1,- 2:2,2");
        install(&database, "t", &plain);
        check(&client, "INSERT INTO t VALUES (3, 3)", "1:1,- 2:2,2 3:3,-");
    }
}

#[test]
fn several_columns_expressions_and_types() {
    for major in majors_for("mirror") {
        expressions_and_types(&Server::shared(major).database());
    }
}

fn expressions_and_types(database: &Database) {
    let client = database.connect();
    client.sql("CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)");
    let by_value = |ddl: &str, using: Option<&str>, source: &str, target: &str, values: &[&str]| {
        client.sql(&format!(
            "DROP TABLE IF EXISTS v; CREATE TABLE v (id int PRIMARY KEY, src {source}, \"new\" text); {ddl}"
        ));
        let mut request = request("src", "dst", target);
        request.pairs[0].using = using.map(str::to_owned);
        install(database, "v", &request);
        client.sql("INSERT INTO v (id) VALUES (1)");
        let value = using.map_or_else(|| "src".to_owned(), |using| format!("({using})"));
        for literal in values {
            client.sql(&format!("UPDATE v SET src = {literal}"));
            let same = format!("SELECT dst::text IS NOT DISTINCT FROM ({value})::{target}::text FROM v");
            assert_eq!(client.value(&same), "t", "{source} -> {target}: {literal}");
        }
    };
    by_value("", None, "int", "numeric(12,2)", &["1", "NULL", "2147483647"]);
    by_value("", None, "varchar(5)", "text", &["'a'", "''", "'é'", "NULL", "'A'"]);
    by_value("", None, "text COLLATE ci", "text", &["'a'", "'A'", "'á'"]);
    by_value("", None, "json", "jsonb", &["'{\"a\": 1}'", "'null'", "NULL", "'[1,2]'"]);
    by_value("", None, "jsonb", "json", &["'{\"a\": 1}'", "'{\"a\": 2}'", "NULL"]);
    by_value("", None, "interval", "interval", &["'24 hours'", "'1 day'", "NULL"]);
    by_value("", None, "char(4)", "text", &["'a'", "'ab'"]);
    by_value("", None, "int[]", "bigint[]", &["'{1,2}'", "'{}'", "NULL"]);
    by_value("", None, "text[]", "text[]", &["'{a,b}'", "'{A}'"]);
    by_value("", None, "float4", "float8", &["1.5", "'NaN'", "'Infinity'"]);
    by_value("", None, "uuid", "text", &["'6b8c1c9e-0d8e-4a3e-9d5b-0c1d2e3f4a5b'", "NULL"]);
    by_value("", Some("src AT TIME ZONE 'UTC'"), "timestamp", "timestamptz", &["'2026-01-01 12:00'", "NULL"]);
    by_value("", Some("CASE src WHEN 'a' THEN 1 ELSE 0 END"), "text", "smallint", &["'a'", "'b'", "NULL"]);
    by_value("", Some("round(src * 100)::bigint"), "numeric", "bigint", &["1.234", "NULL", "-7"]);

    client.sql("CREATE TABLE t (id int PRIMARY KEY, a int, b varchar(10))");
    let mut request = request("a", "a2", "bigint");
    let mut second = crate::common::request("b", "b2", "text").pairs;
    second[0].using = Some("upper(b) || ':' || a".to_owned());
    request.pairs.append(&mut second);
    install(database, "t", &request);
    client.sql("INSERT INTO t VALUES (1, 5, 'x')");
    assert_eq!(client.value("SELECT a2 || b2 FROM t"), "5X:5");
    client.sql("UPDATE t SET a = 6");
    assert_eq!(client.value("SELECT a2 || b2 FROM t"), "6X:6");
    client.sql("UPDATE t SET b2 = 'wrong'");
    assert_eq!(client.value("SELECT a2 || b2 FROM t"), "6X:6");
    assert_eq!(client.value("SELECT count(*) FROM pg_trigger WHERE tgrelid = 't'::regclass"), "1");
}

/// Rows that logical replication brings are written under `session_replication_role = replica`.
#[test]
fn logical_replication() {
    for major in majors_for("mirror") {
        replicated(major);
    }
}

fn replicated(major: u32) {
    let server = zdm_testkit::ServerOptions::default().set("wal_level", "logical").start(major);
    let (publisher, subscriber) = (server.database(), server.database());
    let (from, to) = (publisher.connect(), subscriber.connect());
    from.sql("CREATE TABLE t (id int PRIMARY KEY, src int); CREATE PUBLICATION p FOR TABLE t");
    to.sql("CREATE TABLE t (id int PRIMARY KEY, src int)");
    install(&subscriber, "t", &Request { always: true, ..request("src", "dst", "bigint") });
    from.sql("SELECT pg_create_logical_replication_slot('s', 'pgoutput')");
    to.sql(&format!(
        "CREATE SUBSCRIPTION s CONNECTION '{}' PUBLICATION p WITH (create_slot = false, slot_name = 's', copy_data = false)",
        publisher.conninfo()
    ));
    from.sql("INSERT INTO t VALUES (1, 10), (2, 20); UPDATE t SET src = 21 WHERE id = 2");
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(3);
    while rows(&to) != "1:10,10 2:21,21" {
        assert!(std::time::Instant::now() < deadline, "{}", rows(&to));
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    to.sql("ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s");
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(3);
    while from.try_sql("SELECT pg_drop_replication_slot('s')").is_err() {
        assert!(std::time::Instant::now() < deadline, "the slot stays in use");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// The change guard, which this tool does not write, loses what the state guard keeps.
#[test]
fn a_change_guard_would_lose_data() {
    let database: Database = Server::newest().database();
    let client = database.connect();
    client.sql(
        "CREATE TABLE t (id int PRIMARY KEY, src int, dst bigint); INSERT INTO t VALUES (1, 10, 10); \
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.dst := NEW.src; RETURN NEW; END'; \
         CREATE TRIGGER f BEFORE UPDATE ON t FOR EACH ROW WHEN (NEW.src IS DISTINCT FROM OLD.src) EXECUTE FUNCTION f()",
    );
    check(&client, "UPDATE t SET src = 10, dst = NULL", "1:10,-");
    client.sql("DROP TRIGGER f ON t");
    install(&database, "t", &request("src", "dst", ""));
    check(&client, "UPDATE t SET src = 10, dst = NULL", "1:10,10");
}

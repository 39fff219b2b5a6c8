//! Every key type and naming oddity, partitions, inheritance, and the strategies that suit them.

use crate::common::{done, options, run_to_end};
use zdm_backfill::plan::Strategy;
use zdm_backfill::{Event, Outcome};
use zdm_testkit::{Database, Server, majors_for};

/// Makes a table, fills `dst` from `src`, and compares by value. Returns the strategies of the plan.
fn check(database: &Database, ddl: &str, table: &str, set: &str, rows: u64, expect: &[Strategy]) {
    let client = database.connect();
    client.sql(ddl);
    let (outcome, events) = run_to_end(options(database, table, &[set], None));
    assert_eq!(outcome.unwrap(), Outcome::Done { rows_updated: rows }, "{ddl}");
    let strategies: Vec<Strategy> = events
        .iter()
        .find_map(|event| match event {
            Event::Planned { plan, .. } => Some(plan.parts.iter().map(|part| part.strategy).collect()),
            _ => None,
        })
        .unwrap();
    assert_eq!(strategies, expect, "{ddl}");
    let (target, source) = set.split_once('=').unwrap();
    assert_eq!(
        client.value(&format!("SELECT count(*) FROM {table} WHERE {target} IS DISTINCT FROM {source}")),
        "0",
        "{ddl}"
    );
    assert_eq!(done(options(database, table, &[set], None)), 0, "a second run finds nothing: {ddl}");
}

#[test]
fn every_key() {
    use Strategy::{Keyset, Tid, Windows};
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    client.sql("CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)");
    let make = |name: &str, columns: &str, values: &str| {
        format!(
            "CREATE TABLE {name} ({columns}, src bigint, dst bigint); \
             INSERT INTO {name} SELECT {values}, i FROM generate_series(1, 3000) AS i; ANALYZE {name}"
        )
    };
    let all = |columns: &str, values: &str, expect: Strategy| {
        let name = "t";
        check(&database, &make(name, columns, values), name, "dst = src", 3000, &[expect]);
        client.sql("DROP TABLE t");
    };
    all("id int PRIMARY KEY", "i", Windows);
    all("id bigint PRIMARY KEY", "i::bigint * -1000000007", Tid);
    all("id smallint PRIMARY KEY", "i", Windows);
    all("id uuid PRIMARY KEY", "md5(i::text)::uuid", Tid);
    all("id text COLLATE \"C\" PRIMARY KEY", "lpad(i::text, 6, '0')", Windows);
    all("id text COLLATE ci PRIMARY KEY", "'K' || lpad(i::text, 6, '0')", Windows);
    all("id varchar(40) PRIMARY KEY", "md5(i::text)", Tid);
    all("id char(12) PRIMARY KEY", "lpad(i::text, 8, 'x')", Tid);
    all("a int, b text, PRIMARY KEY (a, b)", "i / 100, 'ü''\"' || lpad(i::text, 5, '0')", Windows);
    all(
        "a date, b smallint, c uuid, PRIMARY KEY (b, a, c)",
        "date '2020-01-01' + i % 7, i / 3, md5(i::text)::uuid",
        Windows,
    );
    all("id timestamptz PRIMARY KEY", "timestamptz '2020-01-01' + i * interval '1.000001 s'", Windows);
    all("id numeric PRIMARY KEY", "i / 7.0", Windows);
    all("id float8 PRIMARY KEY", "i / 7.0::float8", Windows);
    all("id bytea PRIMARY KEY", "int4send(i)", Windows);
    all("id inet PRIMARY KEY", "'10.0.0.0'::inet + i", Windows);
    all("id interval PRIMARY KEY", "i * interval '1 s'", Windows);
    all("id int NOT NULL UNIQUE", "i", Windows);
    all("id int UNIQUE", "i", Tid);
    all("id int", "i", Tid);
    all("id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED", "i", Windows);
    client.sql(&make("t", "id int PRIMARY KEY", "i"));
    client.sql("CREATE INDEX ON t (dst)");
    check(&database, "SELECT 1", "t", "dst = src", 3000, &[Keyset]);
}

#[test]
fn odd_names() {
    let server = Server::newest();
    let database = server.database();
    database.connect().sql("CREATE SCHEMA \"Sché ma\"; SET search_path = \"Sché ma\"");
    check(
        &database,
        "CREATE TABLE \"Sché ma\".\"Ta.b\"\"le; --\" (\"I d\" int PRIMARY KEY, \"select\" int, \"Größe'\"\"\" numeric(10,2)); \
         INSERT INTO \"Sché ma\".\"Ta.b\"\"le; --\" SELECT i, i FROM generate_series(1, 500) AS i",
        "\"Sché ma\".\"Ta.b\"\"le; --\"",
        "\"Größe'\"\"\"=\"select\" * 1.25",
        500,
        &[Strategy::Windows],
    );
}

#[test]
fn partitions_and_inheritance() {
    let server = Server::newest();
    let database = server.database();
    check(
        &database,
        "CREATE TABLE p (id bigint, day date, src int, dst bigint, PRIMARY KEY (id, day)) PARTITION BY RANGE (day); \
         CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM ('2020-01-01') TO ('2020-02-01'); \
         CREATE TABLE p_2 PARTITION OF p FOR VALUES FROM ('2020-02-01') TO ('2020-03-01') PARTITION BY HASH (id); \
         CREATE TABLE p_2a PARTITION OF p_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0); \
         CREATE TABLE p_2b PARTITION OF p_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1); \
         CREATE TABLE p_3 PARTITION OF p DEFAULT; \
         INSERT INTO p SELECT i, date '2020-01-01' + i % 60, i FROM generate_series(1, 6000) AS i",
        "p",
        "dst=p.src",
        6000,
        &[Strategy::Windows; 4],
    );
    check(
        &database,
        "CREATE TABLE base (id int PRIMARY KEY, src int, dst bigint); CREATE TABLE child (more text) INHERITS (base); \
         INSERT INTO base SELECT i, i FROM generate_series(1, 1000) AS i; \
         INSERT INTO child SELECT i, i, NULL FROM generate_series(1, 1000) AS i",
        "base",
        "dst=src",
        2000,
        &[Strategy::Windows, Strategy::Tid],
    );
}

/// The reason for windows: most updates are HOT, and the table grows little (one UPDATE doubles it). The bound leaves
/// room for a busy machine, where the monitor's snapshots are long compared with these few steps.
#[test]
fn windows_are_hot_on_every_major() {
    for major in majors_for("backfill") {
        let server = Server::shared(major);
        let database = server.database();
        let client = database.connect();
        for (key, strategy) in [("PRIMARY KEY", Strategy::Windows), ("", Strategy::Tid)] {
            client.sql(&format!(
                "DROP TABLE IF EXISTS t; CREATE TABLE t (id bigint {key}, src int, a int, b text, dst bigint); \
                 INSERT INTO t SELECT i, i, i, repeat('x', 100) FROM generate_series(1, 40000) AS i; \
                 CREATE INDEX ON t (a); CREATE INDEX ON t (b)"
            ));
            client.sql("VACUUM ANALYZE t");
            let before: f64 = client.value("SELECT pg_relation_size('t')").parse().unwrap();
            let (outcome, events) = run_to_end(options(&database, "t", &["dst = src"], None));
            assert_eq!(outcome.unwrap(), Outcome::Done { rows_updated: 40_000 });
            let Some(Event::Planned { plan, .. }) = events.first() else { panic!("{events:?}") };
            assert_eq!(plan.parts[0].strategy, strategy);
            let after: f64 = client.value("SELECT pg_relation_size('t')").parse().unwrap();
            assert!(after / before < 1.5, "PostgreSQL {major}, {strategy}: grew {:.2} times", after / before);
            assert_eq!(client.value("SELECT count(*) FROM t WHERE dst IS DISTINCT FROM src"), "0");
        }
    }
}

#[test]
fn several_columns_predicates_and_types() {
    let server = Server::newest();
    let database = server.database();
    let client = database.connect();
    client.sql(
        "CREATE TABLE t (id int PRIMARY KEY, a int, n numeric(6,2), j json, v varchar(3), i interval, s text COLLATE \"C\"); \
         INSERT INTO t (id, a, i, s) SELECT i, i, interval '30 days', 'ABC' FROM generate_series(1, 1000) AS i",
    );
    let set = [
        "n = a / 3.0",
        "j = json_build_object('a', a)",
        "v = left(md5(a::text), 3)",
        // Equal as intervals, different as values.
        "i = interval '1 month'",
        "s = lower(s)",
    ];
    assert_eq!(done(options(&database, "t", &set, Some("id > 100 OR a = 7"))), 901);
    assert_eq!(
        client.value(
            "SELECT count(*) FROM t WHERE n = round(a / 3.0, 2) AND j->>'a' = a::text AND v = left(md5(a::text), 3) \
             AND i::text = '1 mon' AND s = 'abc'"
        ),
        "901"
    );
    assert_eq!(client.value("SELECT count(*) FROM t WHERE n IS NULL"), "99");
    assert_eq!(done(options(&database, "t", &set, Some("id > 100 OR a = 7"))), 0);
}

//! Names, schemas, partitions and inheritance, and what is refused.

use crate::common::{compare, differences, install, remove, request, try_install};
use zdm_mirror::inspect::Difference;
use zdm_mirror::{Error, Request};
use zdm_testkit::{Server, majors_for};

#[test]
fn odd_names() {
    let majors = majors_for("mirror");
    let long = "é".repeat(31);
    let column = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let tables = ["Mixed", "user", "a\"; DROP TABLE x; --", "line\nbreak", "$zdm$", "x.y", &long, &long[2..]];
    for (index, table) in tables.into_iter().enumerate() {
        // Every major meets some of them.
        let database = Server::shared(majors[index % majors.len()]).database();
        let client = database.connect();
        client.sql("CREATE SCHEMA \"Sché ma\"");
        for (source, target) in [
            ("select", "Größe'\""),
            ("$zdm$", "new"),
            (long.as_str(), &long[2..]),
            ("NEW", "old"),
            ("a b", "line\nbreak"),
        ] {
            let name = format!("\"Sché ma\".{}", column(table));
            client.sql(&format!(
                "CREATE TABLE {name} (id int PRIMARY KEY, {} int, {} bigint)",
                column(source),
                column(target)
            ));
            for both_ways in [false, true] {
                let request = Request { both_ways, ..request(source, target, "") };
                let installed = install(&database, &name, &request);
                assert!(installed.planned.mirror.object_name().as_str().len() <= 63);
                client.sql(&format!("INSERT INTO {name} (id, {}) VALUES (1, 5)", column(source)));
                assert_eq!(client.value(&format!("SELECT {} FROM {name}", column(target))), "5", "{name}");
                assert_eq!(compare(&database, &name, &request).differing, 0);
                client.sql(&format!("DELETE FROM {name}"));
            }
            let removed = remove(&database, &name, &[target], false);
            assert_eq!(removed.statements.len(), 2, "{removed:?}");
            client.sql(&format!("DROP TABLE {name}"));
        }
    }
    // One table name in two schemas, and two mirrors on one table.
    let database = Server::newest().database();
    let client = database.connect();
    client.sql(
        "CREATE SCHEMA other; CREATE TABLE public.t (id int PRIMARY KEY, a int, b int); CREATE TABLE other.t (id int PRIMARY KEY, a int)",
    );
    install(&database, "public.t", &request("a", "a2", "bigint"));
    install(&database, "other.t", &request("a", "a2", "bigint"));
    install(&database, "t", &request("b", "b2", "bigint"));
    client.sql("INSERT INTO public.t VALUES (1, 2, 3); INSERT INTO other.t VALUES (1, 4)");
    assert_eq!(client.value("SELECT a2 || ',' || b2 FROM public.t"), "2,3");
    assert_eq!(client.value("SELECT a2 FROM other.t"), "4");
    assert_eq!(
        client.value("SELECT count(*) FROM pg_proc WHERE starts_with(proname, 'zdm_mirror_')"),
        "3",
        "no function is left over"
    );
}

#[test]
fn partitions() {
    for major in majors_for("mirror") {
        let database = Server::shared(major).database();
        let client = database.connect();
        client.sql(
            "CREATE TABLE p (id bigint, day date, src int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day); \
             CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM ('2026-01-01') TO ('2026-02-01'); \
             CREATE TABLE p_2 PARTITION OF p FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY HASH (id); \
             CREATE TABLE p_2a PARTITION OF p_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0); \
             CREATE TABLE p_2b PARTITION OF p_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1); \
             INSERT INTO p SELECT i, date '2026-01-01' + i % 59, i FROM generate_series(1, 200) AS i",
        );
        let request = Request { always: true, ..request("src", "dst", "bigint") };
        install(&database, "p", &request);
        let found = compare(&database, "p", &request);
        assert_eq!((found.rows, found.differing), (200, 200));
        client.sql(
            "UPDATE p SET src = src + 1; UPDATE p SET day = '2026-02-07' WHERE id = 1; \
             CREATE TABLE p_3 PARTITION OF p FOR VALUES FROM ('2026-03-01') TO ('2026-04-01'); \
             INSERT INTO p VALUES (1000, '2026-03-03', 1); INSERT INTO p_2 VALUES (1001, '2026-02-02', 2); \
             CREATE TABLE later (id bigint NOT NULL, day date NOT NULL, src int, dst bigint, PRIMARY KEY (id, day)); \
             ALTER TABLE p ATTACH PARTITION later FOR VALUES FROM ('2026-04-01') TO ('2026-05-01'); \
             INSERT INTO p VALUES (1002, '2026-04-03', 3)",
        );
        let found = compare(&database, "p", &request);
        assert_eq!((found.rows, found.differing), (203, 0), "PostgreSQL {major}");
        let left = differences(&database, "p", &request);
        let firing = left.iter().all(|difference| matches!(difference, Difference::Firing { .. }));
        assert!(firing, "PostgreSQL {major}: new partitions have their trigger: {left:?}");
        // A partition that lost its trigger is found, and gets it back.
        client.sql("ALTER TABLE p_1 DISABLE TRIGGER ALL");
        assert!(
            differences(&database, "p", &request)
                .iter()
                .any(|difference| matches!(difference, Difference::Disabled { table, .. } if table == "public.p_1"))
        );
        install(&database, "p", &request);
        match try_install(&database, "p_1", &request) {
            Err(Error::Refused(refusal)) => assert!(refusal.to_string().contains("its parent `p`"), "{refusal}"),
            other => panic!("{other:?}"),
        }
        remove(&database, "p", &["dst"], true);
        assert_eq!(client.value("SELECT count(*) FROM pg_trigger WHERE starts_with(tgname, 'zdm_mirror_')"), "0");
    }
}

#[test]
fn inheritance() {
    for major in majors_for("mirror") {
        inherited(&Server::shared(major).database());
    }
}

fn inherited(database: &zdm_testkit::Database) {
    let client = database.connect();
    client.sql(
        "CREATE TABLE base (id int PRIMARY KEY, src int); CREATE TABLE child (more text) INHERITS (base); \
         CREATE TABLE grandchild () INHERITS (child)",
    );
    let request = request("src", "dst", "bigint");
    install(database, "base", &request);
    client.sql("INSERT INTO base VALUES (1, 1); INSERT INTO child VALUES (2, 2); INSERT INTO grandchild VALUES (3, 3)");
    assert_eq!(compare(database, "base", &request).differing, 0);
    client.sql("CREATE TABLE late () INHERITS (base); INSERT INTO late VALUES (4, 4)");
    let left = differences(database, "base", &request);
    assert!(matches!(&left[..], [Difference::MissingTrigger { table, .. }] if table == "public.late"), "{left:?}");
    let found = compare(database, "base", &request);
    assert_eq!((found.rows, found.differing), (4, 1));
    assert_eq!(found.examples[0].key, "(0,1)", "a child has no key of its own");
    install(database, "base", &request);
    remove(database, "base", &["dst"], true);
    assert_eq!(client.value("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"), "0");
}

#[test]
fn what_is_refused() {
    let database = Server::newest().database();
    let client = database.connect();
    client.sql(
        "CREATE TABLE t (id int PRIMARY KEY, src int, big bigint, gen int GENERATED ALWAYS AS (src * 2) STORED, \
         ident int GENERATED BY DEFAULT AS IDENTITY, label text, short varchar(3), mood text); \
         CREATE VIEW v AS SELECT id, src FROM t; CREATE TYPE feeling AS ENUM ('good'); \
         CREATE TABLE p (id int, src int, k bigint) PARTITION BY LIST ((k + 1))",
    );
    let refused = |table: &str, request: &Request, expect: &str| match try_install(&database, table, request) {
        Err(error @ Error::Refused(_)) => assert!(error.to_string().contains(expect), "{error}"),
        other => panic!("{table}: {other:?}"),
    };
    let one = |source: &str, target: &str| request(source, target, "");
    refused("t", &one("src", "gen"), "`gen` is generated");
    refused("t", &one("gen", "big"), "`gen` is generated");
    refused("t", &one("src", "ident"), "identity");
    refused("t", &one("big", "src"), "--allow-narrowing");
    refused("t", &one("label", "short"), "--allow-narrowing");
    refused("t", &one("label", "src"), "--using");
    refused("t", &one("src", "src"), "mirror of itself");
    refused("t", &one("nothing", "big"), "no column `nothing`");
    refused("v", &one("src", "big"), "is a view");
    refused("p", &one("src", "k"), "partition key");
    // Wrong expressions are found before the table is locked.
    let mut wrong = request("src", "fresh", "bigint");
    wrong.pairs[0].using = Some("src + nowhere".to_owned());
    match try_install(&database, "t", &wrong) {
        Err(error) => assert!(error.to_string().contains("nowhere"), "{error}"),
        Ok(done) => panic!("{done:?}"),
    }
    assert_eq!(
        client.value("SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'fresh'"),
        "0"
    );
    // Narrowing that is allowed fails the write that does not fit, and loses nothing.
    let narrow = Request { allow_narrowing: true, ..one("label", "short") };
    install(&database, "t", &narrow);
    client.sql("INSERT INTO t (id, label) VALUES (1, 'abc')");
    assert_eq!(client.fails("UPDATE t SET label = 'abcd'"), "22001");
}

#[test]
fn what_is_warned_of() {
    let database = Server::newest().database();
    let client = database.connect();
    client.sql(
        "CREATE TABLE t (id int PRIMARY KEY, src int, other int); \
         CREATE VIEW v AS SELECT src FROM t; CREATE VIEW w AS SELECT id FROM t; \
         CREATE RULE r AS ON UPDATE TO t DO ALSO NOTHING; \
         CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.src := abs(NEW.src); RETURN NEW; END'; \
         CREATE FUNCTION harmless() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.src = 1 THEN NEW.other := 1; END IF; RETURN NEW; END'; \
         CREATE TRIGGER zz_touch BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch(); \
         CREATE TRIGGER aa_touch BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch(); \
         CREATE TRIGGER zz_harmless BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION harmless()",
    );
    let warnings = install(&database, "t", &request("src", "dst", "bigint")).planned.warnings;
    assert_eq!(warnings.len(), 3, "{warnings:#?}");
    assert!(warnings[0].contains("`zz_touch` fires after"), "{warnings:#?}");
    assert!(warnings[1].contains("view `v` reads `src`"), "{warnings:#?}");
    assert!(warnings[2].contains("rule `r`"), "{warnings:#?}");
    // The warning is right: the columns differ now.
    client.sql("INSERT INTO t VALUES (1, -5)");
    assert_eq!(client.value("SELECT src || ',' || dst FROM t"), "5,5", "the earlier trigger has set the sign already");
    client.sql("DROP TRIGGER aa_touch ON t; INSERT INTO t VALUES (2, -6)");
    assert_eq!(client.value("SELECT src || ',' || dst FROM t WHERE id = 2"), "6,-6");
}

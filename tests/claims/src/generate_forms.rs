//! Random statements of the rarer forms: conflicts, typed tables, periods, named NOT NULL constraints, virtual columns,
//! identity, composite types, domains, rules, indexes of partitions, maintenance, publications, materialized views,
//! temporary and unlogged tables, inheritance and triggers.

use zdm_testkit::Random;

use crate::generate::{Generated, Shape, maybe};

const SHAPES: [Shape; 10] = [
    Shape { name: "usr", columns: &["id", "email", "lvl", "st", "addr", "note", "gen"] },
    Shape { name: "usr", columns: &["id", "email", "lvl", "st", "addr", "note", "gen"] },
    Shape { name: "res", columns: &["id", "usr_id", "room", "during", "amt"] },
    Shape { name: "rate", columns: &["room", "valid", "price"] },
    Shape { name: "typed", columns: &["id", "label", "amount"] },
    Shape { name: "raw", columns: &["id", "v"] },
    Shape { name: "top", columns: &["id", "a", "b"] },
    Shape { name: "mid", columns: &["id", "a", "b", "own"] },
    Shape { name: "prt", columns: &["id", "k", "v"] },
    Shape { name: "prt_1", columns: &["id", "k", "v"] },
];
const CONSTRAINTS: [&str; 16] = [
    "usr_pkey",
    "usr_email_key",
    "usr_lvl_check",
    "res_usr",
    "res_ex",
    "rate_u",
    "typed_pkey",
    "top_c",
    "prt_pkey",
    "nn",
    "chk",
    "fk",
    "usr_email_not_null",
    "res_pkey",
    "nope",
    "uq",
];
const INDEXES: [&str; 13] = [
    "usr_pkey",
    "usr_email_key",
    "usr_low",
    "usr_lvl",
    "usr_part",
    "res_pkey",
    "res_ex",
    "prt_v",
    "prt_1_v_idx",
    "prt_only",
    "mv_id",
    "raw_pkey",
    "x1",
];
const TYPES: [&str; 10] =
    ["int", "bigint", "text", "varchar(30)", "lv", "pos", "addr", "numeric(8,2)", "text[]", "citext"];

pub(crate) fn generate(of_setup: &mut Random, random: &mut Random) -> Generated {
    let setup = setup(of_setup);
    let mut pre: Vec<String> = Vec::new();
    if random.chance(50) {
        for _ in 0..=random.below(3) {
            pre.push(match random.below(12) {
                0 => "SAVEPOINT a".to_owned(),
                _ => statement(random),
            });
        }
        if pre.iter().any(|text| text == "SAVEPOINT a") && random.chance(60) {
            pre.push("ROLLBACK TO a".to_owned());
        }
    }
    if pre.is_empty() && random.chance(5) {
        return Generated { setup, pre: String::new(), statement: outside(random) };
    }
    Generated { setup, pre: pre.join("; "), statement: statement(random) }
}

fn setup(random: &mut Random) -> String {
    let mut lines: Vec<String> = [
        "CREATE TYPE lv AS ENUM ('lo', 'hi')",
        "CREATE TYPE addr AS (street text, zip varchar(10))",
        "CREATE TYPE rowt AS (id int, label varchar(20), amount numeric(8,2))",
        "CREATE DOMAIN pos AS int CHECK (VALUE > 0)",
        "CREATE DOMAIN pos2 AS pos CONSTRAINT p2 CHECK (VALUE < 1000000)",
        "CREATE FUNCTION twice(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'select $1 * 2'",
        "CREATE FUNCTION trg() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end'",
    ]
    .map(str::to_owned)
    .to_vec();
    lines.push(format!(
        "CREATE TABLE usr (id int GENERATED {} AS IDENTITY (START 50000) PRIMARY KEY, email varchar(40) {} UNIQUE, \
         lvl pos2 CHECK (lvl > -1), st lv{}, addr addr, note text, gen int GENERATED ALWAYS AS (twice(3)) STORED)",
        random.pick(&["ALWAYS", "BY DEFAULT"]),
        random.pick(&["NOT NULL", "NOT NULL", "NULL"]),
        random.pick(&["", " DEFAULT 'lo'"]),
    ));
    lines.push(format!(
        "CREATE TABLE res (id int PRIMARY KEY DEFAULT 7, usr_id int CONSTRAINT res_usr REFERENCES usr{}, room int, \
         during tsrange, amt numeric(8,2), CONSTRAINT res_ex EXCLUDE USING gist (room WITH =, during WITH &&)){}",
        random.pick(&["", " DEFERRABLE", " DEFERRABLE INITIALLY DEFERRED", " ON DELETE CASCADE"]),
        maybe(random, 20, " WITH (fillfactor = 70)"),
    ));
    lines.push("CREATE TABLE rate (room int, valid daterange, price int)".to_owned());
    lines.push("CREATE TABLE typed OF rowt (PRIMARY KEY (id), label WITH OPTIONS DEFAULT 'x')".to_owned());
    lines.push("CREATE UNLOGGED TABLE raw (id int PRIMARY KEY, v text)".to_owned());
    lines.push("CREATE TABLE top (id int, a int, b text, CONSTRAINT top_c CHECK (a > -5))".to_owned());
    lines.push(format!("CREATE TABLE mid (own int{}) INHERITS (top)", maybe(random, 30, ", b text")));
    lines.push("CREATE TABLE low () INHERITS (mid)".to_owned());
    lines.push("CREATE TABLE prt (id int NOT NULL, k int NOT NULL, v varchar(20)) PARTITION BY LIST (k)".to_owned());
    lines.push("CREATE TABLE prt_1 PARTITION OF prt FOR VALUES IN (1)".to_owned());
    lines.push("CREATE TABLE prt_2 PARTITION OF prt FOR VALUES IN (2) PARTITION BY RANGE (id)".to_owned());
    lines.push("CREATE TABLE prt_2a PARTITION OF prt_2 FOR VALUES FROM (0) TO (100000)".to_owned());
    for line in [
        "CREATE INDEX usr_low ON usr (lower(email))",
        "CREATE INDEX usr_lvl ON usr (lvl) INCLUDE (note)",
        "CREATE UNIQUE INDEX usr_part ON usr (note) WHERE lvl > 5",
        "CREATE INDEX prt_v ON prt (v)",
        "CREATE INDEX prt_only ON ONLY prt (k)",
        "ALTER TABLE prt ADD PRIMARY KEY (id, k)",
        "CREATE VIEW vw AS SELECT id, email, lvl FROM usr",
        "CREATE VIEW vw2 AS SELECT v.id, r.amt FROM vw v JOIN res r ON r.usr_id = v.id",
        "CREATE MATERIALIZED VIEW mv AS SELECT id, room FROM res; CREATE UNIQUE INDEX mv_id ON mv (id)",
        "CREATE RULE ru AS ON DELETE TO raw DO ALSO NOTHING",
        "CREATE RULE ru2 AS ON INSERT TO rate WHERE new.price < 0 DO INSTEAD NOTHING",
        "CREATE TRIGGER tg BEFORE INSERT OR UPDATE OF amt ON res FOR EACH ROW EXECUTE FUNCTION trg()",
        "CREATE TRIGGER tp AFTER UPDATE ON prt FOR EACH ROW EXECUTE FUNCTION trg()",
        "CREATE PUBLICATION pub FOR TABLE res, usr",
        "CREATE STATISTICS st1 ON lvl, note FROM usr",
        "ALTER TABLE res REPLICA IDENTITY FULL",
        "ALTER TABLE top ADD CONSTRAINT chk CHECK (id > 0) NOT VALID",
        "CREATE POLICY pol ON res USING (amt > 0)",
    ] {
        if random.chance(35) {
            lines.push(line.to_owned());
        }
    }
    for line in [
        "INSERT INTO usr (email, lvl, st) SELECT 'e' || g, g, 'hi' FROM generate_series(1, 1200) g",
        "INSERT INTO res (id, usr_id, room, amt) SELECT g, 49999 + g, g, 1 FROM generate_series(1, 1200) g",
        "INSERT INTO rate SELECT g, daterange('2024-01-01', '2025-01-01'), 5 FROM generate_series(1, 1200) g",
        "INSERT INTO typed SELECT g, 'l', 1 FROM generate_series(1, 1200) g",
        "INSERT INTO raw SELECT g, 'r' FROM generate_series(1, 1200) g",
        "INSERT INTO top (id, a) SELECT g, g FROM generate_series(1, 1200) g",
        "INSERT INTO mid (id, a) SELECT g, g FROM generate_series(1, 1200) g",
        "INSERT INTO low (id, a) SELECT g, g FROM generate_series(1, 1200) g",
        "INSERT INTO prt SELECT g, 1, 'v' FROM generate_series(1, 1200) g",
        "INSERT INTO prt SELECT g, 2, 'v' FROM generate_series(1, 1200) g",
    ] {
        lines.push(line.to_owned());
    }
    if lines.iter().any(|line| line.contains("VIEW mv")) {
        lines.push("REFRESH MATERIALIZED VIEW mv".to_owned());
    }
    lines.push(String::new());
    lines.join(";\n")
}

/// Commands that are no part of a transaction.
fn outside(random: &mut Random) -> String {
    let table = random.pick(&SHAPES).name;
    match random.below(7) {
        0 => format!("VACUUM {table}"),
        1 => format!("VACUUM (FULL) {table}"),
        2 => format!("VACUUM (ANALYZE, TRUNCATE off) {table}"),
        3 => format!("REINDEX INDEX CONCURRENTLY {}", random.pick(&INDEXES)),
        4 => format!("REINDEX TABLE CONCURRENTLY {table}"),
        5 => format!("CREATE INDEX CONCURRENTLY x1 ON {table} (id)"),
        _ => format!("DROP INDEX CONCURRENTLY {}", random.pick(&INDEXES)),
    }
}

#[expect(clippy::too_many_lines, reason = "one list of forms")]
fn statement(random: &mut Random) -> String {
    let shape = random.pick(&SHAPES);
    let (table, column) = (shape.name, *random.pick(shape.columns));
    let cascade = maybe(random, 40, " CASCADE");
    let data_type = *random.pick(&TYPES);
    match random.below(60) {
        0..=21 => {
            let mut actions = vec![action(random, shape)];
            while random.chance(25) && actions.len() < 3 {
                actions.push(action(random, shape));
            }
            format!("ALTER TABLE {}{table} {}", maybe(random, 12, "ONLY "), actions.join(", "))
        }
        22..=24 => format!(
            "INSERT INTO {} {}",
            random.pick(&[
                "usr (email) VALUES ('e5')",
                "usr (email, lvl) VALUES ('n1', 3)",
                "res (id, room) VALUES (7777, 3)",
                "prt (id, k) VALUES (5, 1)",
                "prt_1 VALUES (5, 1, 'x')",
                "typed (id) VALUES (5)",
                "vw (email) VALUES ('q9')",
                "raw VALUES (5, 'x'), (6, 'y')",
            ]),
            random.pick(&[
                "ON CONFLICT DO NOTHING",
                "ON CONFLICT (id) DO NOTHING",
                "ON CONFLICT (email) DO UPDATE SET note = 'x'",
                "ON CONFLICT ON CONSTRAINT usr_email_key DO UPDATE SET lvl = 4",
                "ON CONFLICT ON CONSTRAINT res_ex DO NOTHING",
                "ON CONFLICT (id, k) DO UPDATE SET v = excluded.v",
                "ON CONFLICT (lower(email)) DO NOTHING",
                "",
            ])
        ),
        25 => format!(
            "ALTER INDEX {} ALTER COLUMN {} SET STATISTICS {}",
            random.pick(&INDEXES),
            random.pick(&["1", "2", "3"]),
            random.pick(&["100", "-1", "0"])
        ),
        26 => format!(
            "ALTER INDEX {} {}",
            random.pick(&INDEXES),
            random.pick(&[
                "SET (fillfactor = 60)",
                "RESET (fillfactor)",
                "RENAME TO x2",
                "SET TABLESPACE ts2",
                "SET TABLESPACE pg_default",
                "ATTACH PARTITION prt_1_v_idx",
                "ATTACH PARTITION x1",
            ])
        ),
        27 => format!("CREATE {}INDEX x1 ON {}{table} ({column})", maybe(random, 20, "UNIQUE "), maybe(random, 30, "ONLY ")),
        28 => format!(
            "CREATE TABLE n {}",
            random.pick(&[
                "OF rowt",
                "OF rowt (PRIMARY KEY (id), UNIQUE (label))",
                "(id int, valid daterange, CONSTRAINT npk PRIMARY KEY (id, valid WITHOUT OVERLAPS))",
                "(id int, valid daterange, UNIQUE NULLS NOT DISTINCT (id, valid WITHOUT OVERLAPS))",
                "(id int CONSTRAINT idn NOT NULL, a int, CONSTRAINT an NOT NULL a NO INHERIT)",
                "(id int PRIMARY KEY, a int GENERATED ALWAYS AS (id + 1) VIRTUAL, CHECK (a > 0))",
                "(id int GENERATED ALWAYS AS IDENTITY (INCREMENT BY 5), u int REFERENCES usr NOT ENFORCED)",
                "(a int CHECK (a > 0) NOT ENFORCED, u int REFERENCES usr ON DELETE SET NULL)",
                "(a text STORAGE external COMPRESSION pglz)",
                "(LIKE usr INCLUDING ALL)",
                "(LIKE prt INCLUDING INDEXES) PARTITION BY RANGE (id)",
                "() INHERITS (mid, raw)",
                "(a bigint) INHERITS (top)",
                "(d pos2[], e addr, f lv DEFAULT 'hi')",
            ])
        ),
        29 => format!(
            "CREATE {} TABLE {} (id int PRIMARY KEY, u int{})",
            random.pick(&["TEMP", "UNLOGGED", "TEMPORARY"]),
            random.pick(&["n", "m"]),
            maybe(random, 40, " REFERENCES usr")
        ),
        30 | 31 => (*random.pick(&[
            "ALTER TYPE rowt ADD ATTRIBUTE z int CASCADE",
            "ALTER TYPE rowt DROP ATTRIBUTE label CASCADE",
            "ALTER TYPE rowt ALTER ATTRIBUTE label TYPE varchar(40) CASCADE",
            "ALTER TYPE rowt RENAME ATTRIBUTE label TO lab CASCADE",
            "ALTER TYPE rowt ADD ATTRIBUTE z int",
            "ALTER TYPE addr ADD ATTRIBUTE city text",
            "ALTER TYPE addr ALTER ATTRIBUTE zip TYPE text",
            "ALTER TYPE addr DROP ATTRIBUTE zip",
            "ALTER TYPE addr RENAME ATTRIBUTE zip TO plz",
            "ALTER TYPE lv ADD VALUE 'mid' BEFORE 'hi'",
            "ALTER TYPE lv RENAME VALUE 'hi' TO 'top'",
            "DROP TYPE addr CASCADE",
            "DROP TYPE rowt CASCADE",
            "DROP TYPE lv",
        ]))
        .to_owned(),
        32 | 33 => (*random.pick(&[
            "ALTER DOMAIN pos ADD CONSTRAINT pc CHECK (VALUE < 99999999)",
            "ALTER DOMAIN pos ADD CONSTRAINT pc CHECK (VALUE < 99999999) NOT VALID",
            "ALTER DOMAIN pos VALIDATE CONSTRAINT pc",
            "ALTER DOMAIN pos2 VALIDATE CONSTRAINT p2",
            "ALTER DOMAIN pos2 DROP CONSTRAINT p2",
            "ALTER DOMAIN pos2 SET NOT NULL",
            "ALTER DOMAIN pos SET DEFAULT 4",
            "ALTER DOMAIN pos2 RENAME TO pos3",
            "DROP DOMAIN pos CASCADE",
            "DROP DOMAIN pos2",
        ]))
        .to_owned(),
        34 => (*random.pick(&[
            "CREATE RULE ru AS ON UPDATE TO raw DO INSTEAD NOTHING",
            "CREATE OR REPLACE RULE ru AS ON DELETE TO raw DO ALSO SELECT 1",
            "CREATE RULE ru3 AS ON INSERT TO vw DO INSTEAD INSERT INTO raw VALUES (new.id, new.email)",
            "DROP RULE ru ON raw",
            "ALTER RULE ru ON raw RENAME TO ru9",
            "DROP RULE IF EXISTS ru2 ON rate",
        ]))
        .to_owned(),
        35 => format!("REINDEX {}", random.pick(&["TABLE usr", "TABLE prt_1", "INDEX usr_low", "INDEX prt_1_v_idx", "TABLE mv", "INDEX mv_id"])),
        36 => (*random.pick(&[
            "CLUSTER usr USING usr_pkey",
            "CLUSTER res USING res_pkey",
            "CLUSTER prt_1 USING prt_1_v_idx",
            "CLUSTER usr USING usr_part",
            "CLUSTER mv USING mv_id",
            "CLUSTER raw",
        ]))
        .to_owned(),
        37 => format!("ANALYZE {table}{}", maybe(random, if table == "rate" { 0 } else { 30 }, " (id)")),
        38 => (*random.pick(&[
            "CREATE STATISTICS st2 ON lvl, note FROM usr",
            "CREATE STATISTICS st2 (ndistinct, mcv) ON a, b FROM top",
            "CREATE STATISTICS IF NOT EXISTS st1 ON lvl, note FROM usr",
            "CREATE STATISTICS st2 ON (a * 2), id FROM top",
            "ALTER STATISTICS st1 SET STATISTICS 100",
            "DROP STATISTICS st1",
        ]))
        .to_owned(),
        39 | 40 => (*random.pick(&[
            "CREATE PUBLICATION p2 FOR TABLE usr WHERE (lvl > 5)",
            "CREATE PUBLICATION p2 FOR TABLE usr (id, email)",
            "CREATE PUBLICATION p2 FOR ALL TABLES",
            "CREATE PUBLICATION p2 FOR TABLES IN SCHEMA s",
            "CREATE PUBLICATION p2 FOR TABLE prt, raw",
            "ALTER PUBLICATION pub SET TABLE top",
            "ALTER PUBLICATION pub DROP TABLE usr",
            "ALTER PUBLICATION pub ADD TABLE ONLY top",
            "ALTER PUBLICATION pub SET (publish_via_partition_root = true)",
        ]))
        .to_owned(),
        41 | 42 => (*random.pick(&[
            "REFRESH MATERIALIZED VIEW mv",
            "REFRESH MATERIALIZED VIEW CONCURRENTLY mv",
            "REFRESH MATERIALIZED VIEW mv WITH NO DATA",
            "CREATE MATERIALIZED VIEW mv3 AS SELECT * FROM vw WITH NO DATA",
            "DROP MATERIALIZED VIEW mv",
            "CREATE INDEX x1 ON mv (room)",
            "ALTER MATERIALIZED VIEW mv SET ACCESS METHOD heap2",
            "ALTER MATERIALIZED VIEW mv CLUSTER ON mv_id",
            "SELECT * FROM mv",
        ]))
        .to_owned(),
        43 => format!(
            "MERGE INTO {table} t USING {} ON o.id = t.id {}",
            random.pick(&["raw o", "(SELECT * FROM raw WHERE id < 5) o", "(VALUES (1)) o (id)"]),
            random.pick(&[
                "WHEN MATCHED THEN DO NOTHING",
                "WHEN MATCHED THEN DELETE",
                "WHEN MATCHED AND 'THEN INSERT' = 'x' THEN UPDATE SET id = o.id",
                "WHEN NOT MATCHED THEN INSERT (id) VALUES (o.id)",
                "WHEN NOT MATCHED BY SOURCE THEN DO NOTHING",
            ])
        ),
        44 => format!("DROP TABLE {table}{cascade}"),
        45 => format!("TRUNCATE {}{table}{}{cascade}", maybe(random, 20, "ONLY "), maybe(random, 30, " RESTART IDENTITY")),
        46 => format!("UPDATE {table} SET {column} = DEFAULT{}", maybe(random, 50, " WHERE id = 5")),
        47 => format!("DELETE FROM {}{table}{}", maybe(random, 20, "ONLY "), maybe(random, 60, " WHERE id = 50005")),
        48 => format!("LOCK TABLE {table}, {}prt, vw IN {} MODE NOWAIT", maybe(random, 30, "ONLY "), random.pick(&["SHARE", "ROW SHARE", "ACCESS EXCLUSIVE"])),
        49 => format!("ALTER TABLE {table} RENAME {}", random.pick(&["TO moved", "COLUMN id TO ident", "CONSTRAINT chk TO c9", "COLUMN a TO b"])),
        50 => format!("ALTER TABLE {table} SET SCHEMA s2"),
        51 => (*random.pick(&[
            "DROP FUNCTION twice(int) CASCADE",
            "DROP FUNCTION twice(int)",
            "DROP FUNCTION trg() CASCADE",
            "DROP FUNCTION trg",
            "ALTER FUNCTION twice(int) RENAME TO thrice",
            "DROP FUNCTION twice(text)",
        ]))
        .to_owned(),
        52 => (*random.pick(&[
            "CREATE TRIGGER t9 BEFORE DELETE ON prt FOR EACH ROW EXECUTE FUNCTION trg()",
            "CREATE TRIGGER t9 INSTEAD OF UPDATE ON vw FOR EACH ROW EXECUTE FUNCTION trg()",
            "CREATE CONSTRAINT TRIGGER t9 AFTER UPDATE ON res DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trg()",
            "CREATE TRIGGER t9 AFTER TRUNCATE ON raw EXECUTE FUNCTION trg()",
            "DROP TRIGGER tg ON res",
            "ALTER TRIGGER tp ON prt RENAME TO tp9",
        ]))
        .to_owned(),
        53 => format!("COPY {table} {}", random.pick(&["FROM '/dev/null'", "TO '/dev/null'", "(id) FROM '/dev/null'"])),
        54 => format!("PREPARE q AS SELECT count(*) FROM {table}; EXECUTE q"),
        55 => format!("ALTER TABLE {table} ADD COLUMN z {data_type}; UPDATE {table} SET z = NULL"),
        56 => (*random.pick(&["SET CONSTRAINTS ALL DEFERRED", "SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS res_usr DEFERRED"])).to_owned(),
        57 => (*random.pick(&["UPDATE res SET usr_id = 50001", "INSERT INTO res (id, usr_id) VALUES (9999, 50001)", "DELETE FROM usr WHERE id = 50009"])).to_owned(),
        58 => format!("GRANT SELECT ({column}), UPDATE ON {table} TO other"),
        _ => format!("CREATE VIEW v9 AS SELECT * FROM {table}"),
    }
}

#[expect(clippy::too_many_lines, reason = "one list of forms")]
fn action(random: &mut Random, shape: &Shape) -> String {
    let column = *random.pick(shape.columns);
    let data_type = *random.pick(&TYPES);
    let cascade = maybe(random, 40, " CASCADE");
    let constraint = *random.pick(&CONSTRAINTS);
    match random.below(56) {
        0..=3 => format!(
            "ADD COLUMN z {}",
            random.pick(&[
                "int GENERATED ALWAYS AS (id * 2) VIRTUAL",
                "int GENERATED ALWAYS AS (id * 2) VIRTUAL NOT NULL",
                "int GENERATED ALWAYS AS (twice(id)) STORED",
                "int CONSTRAINT znn NOT NULL DEFAULT 3",
                "pos2",
                "pos2[]",
                "addr",
                "rowt",
                "lv DEFAULT 'lo'",
                "int GENERATED BY DEFAULT AS IDENTITY",
                "int REFERENCES usr NOT ENFORCED",
                "int CHECK (z > 0) NOT ENFORCED",
                "text STORAGE plain",
                "int UNIQUE NULLS NOT DISTINCT",
            ])
        ),
        4 | 5 => format!(
            "ALTER COLUMN {column} TYPE {data_type}{}",
            if random.chance(30) { format!(" USING {column}::{data_type}") } else { String::new() }
        ),
        6..=8 => format!(
            "ALTER COLUMN {column} {}",
            random.pick(&[
                "ADD GENERATED ALWAYS AS IDENTITY",
                "SET GENERATED BY DEFAULT",
                "SET GENERATED ALWAYS SET START 7 RESTART",
                "RESTART WITH 100000",
                "DROP IDENTITY",
                "DROP IDENTITY IF EXISTS",
                "SET EXPRESSION AS (twice(4))",
                "DROP EXPRESSION",
            ])
        ),
        9..=11 => format!(
            "ADD CONSTRAINT nn NOT NULL {column}{}",
            random.pick(&["", " NOT VALID", " NO INHERIT", " NOT VALID"])
        ),
        12 | 13 => format!(
            "ADD CONSTRAINT chk CHECK ({column} IS NOT NULL){}",
            random.pick(&["", " NOT VALID", " NOT ENFORCED", " NO INHERIT"])
        ),
        14 | 15 => format!(
            "ADD CONSTRAINT fk FOREIGN KEY ({}) REFERENCES {}{}",
            random.pick(&["id", "room", column]),
            random.pick(&["usr", "raw", "prt (id, k)", "typed", "usr (email)"]),
            random.pick(&["", " NOT VALID", " NOT ENFORCED", " ON UPDATE CASCADE", " MATCH FULL"])
        ),
        16 => (*random.pick(&[
            "ADD CONSTRAINT rate_u PRIMARY KEY (room, valid WITHOUT OVERLAPS)",
            "ADD CONSTRAINT rate_u UNIQUE (room, valid WITHOUT OVERLAPS)",
            "ADD CONSTRAINT fk FOREIGN KEY (room, PERIOD valid) REFERENCES rate (room, PERIOD valid)",
            "ADD CONSTRAINT uq UNIQUE NULLS NOT DISTINCT (room, valid WITHOUT OVERLAPS)",
        ]))
        .to_owned(),
        17 => format!(
            "ADD CONSTRAINT uq UNIQUE {}({}{column}){}",
            maybe(random, 40, "NULLS NOT DISTINCT "),
            // Which of several partitions is refused first, the rows of the others decide.
            if shape.name == "prt" { "id, k, " } else { "" },
            maybe(random, 40, " DEFERRABLE")
        ),
        18..=20 => format!(
            "ALTER CONSTRAINT {constraint} {}",
            random.pick(&["NOT ENFORCED", "ENFORCED", "DEFERRABLE", "INHERIT", "NO INHERIT", "NOT DEFERRABLE"])
        ),
        21..=23 => format!("VALIDATE CONSTRAINT {constraint}"),
        24..=26 => format!("DROP CONSTRAINT {}{constraint}{cascade}", maybe(random, 20, "IF EXISTS ")),
        27 => format!("DROP COLUMN {column}{cascade}"),
        28 | 29 => format!("ALTER COLUMN {column} {} NOT NULL", random.pick(&["SET", "DROP"])),
        30 => format!("OF {}", random.pick(&["rowt", "addr", "nope"])),
        31 => "NOT OF".to_owned(),
        32 | 33 => format!("INHERIT {}", random.pick(&["top", "mid", "raw"])),
        34 => format!("NO INHERIT {}", random.pick(&["top", "mid"])),
        35 => format!("SET {}", random.pick(&["LOGGED", "UNLOGGED"])),
        36 => format!("SET ACCESS METHOD {}", random.pick(&["heap", "heap2", "DEFAULT"])),
        37 => format!("SET TABLESPACE {}", random.pick(&["ts2", "pg_default"])),
        38 => format!(
            "REPLICA IDENTITY {}",
            random.pick(&[
                "FULL",
                "DEFAULT",
                "NOTHING",
                "USING INDEX usr_pkey",
                "USING INDEX usr_email_key",
                "USING INDEX usr_part"
            ])
        ),
        39 => "OWNER TO other".to_owned(),
        40 | 41 => format!(
            "{} TRIGGER {}",
            random.pick(&["ENABLE", "DISABLE", "ENABLE REPLICA", "ENABLE ALWAYS"]),
            random.pick(&["tg", "tp", "ALL", "USER"])
        ),
        42 => format!("{} RULE {}", random.pick(&["ENABLE", "DISABLE", "ENABLE ALWAYS"]), random.pick(&["ru", "ru2"])),
        43 => format!("CLUSTER ON {}", random.pick(&INDEXES)),
        44 => format!(
            "SET ({})",
            random.pick(&[
                "fillfactor = 50",
                "autovacuum_enabled = off",
                "user_catalog_table = true",
                "parallel_workers = 4"
            ])
        ),
        45 => format!(
            "ALTER COLUMN {column} SET {}",
            random.pick(&["STATISTICS 50", "STORAGE plain", "COMPRESSION pglz", "(n_distinct = 7)"])
        ),
        46 => format!(
            "ALTER COLUMN {column} SET DEFAULT {}",
            random.pick(&["NULL", "3", "'x'", "twice(2)", "ROW('a', 'b')::addr"])
        ),
        47 => format!(
            "ADD CONSTRAINT uq {} USING INDEX {}",
            random.pick(&["UNIQUE", "PRIMARY KEY"]),
            random.pick(&INDEXES)
        ),
        48 => format!("{} ROW LEVEL SECURITY", random.pick(&["ENABLE", "FORCE"])),
        49 => format!("ADD EXCLUDE USING gist ({column} WITH =)"),
        50 => "ADD PRIMARY KEY (id)".to_owned(),
        51 => "ATTACH PARTITION raw FOR VALUES IN (9)".to_owned(),
        52 => "DETACH PARTITION prt_1".to_owned(),
        _ => format!("ADD COLUMN IF NOT EXISTS y {data_type}"),
    }
}

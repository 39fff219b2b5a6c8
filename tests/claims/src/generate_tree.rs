//! Random statements over a tree of partitions: two levels, a default partition, foreign keys to it and from it, a table
//! to attach, views above it.

use zdm_testkit::Random;

use crate::generate::{Generated, maybe};

const TABLES: [&str; 10] =
    ["evt", "evt", "evt_24", "evt_24_1", "evt_24_x", "evt_25", "evt_d", "evt_new", "tenant", "att"];
const COLUMNS: [&str; 7] = ["id", "tenant_id", "day", "kind", "amount", "note", "kind"];
const CONSTRAINTS: [&str; 10] = [
    "evt_tenant",
    "evt_pkey",
    "att_evt",
    "att_evt",
    "ec",
    "evt_25_pkey",
    "tenant_pkey",
    "n1",
    "evt_tenant_id_fkey",
    "eu",
];
const INDEXES: [&str; 8] =
    ["evt_kind", "evt_25_kind_idx", "evt_24_1_kind_idx", "evt_pkey", "en_kind", "x1", "evt_24_kind_idx", "att_pkey"];
const TYPES: [&str; 9] =
    ["varchar(40)", "text", "numeric(10,2)", "bigint", "int", "timestamp", "varchar(5)", "citext", "date"];

pub(crate) fn generate(of_setup: &mut Random, random: &mut Random) -> Generated {
    let setup = setup(of_setup);
    let pre: Vec<String> =
        if random.chance(40) { (0..=random.below(2)).map(|_| statement(random)).collect() } else { Vec::new() };
    if pre.is_empty() && random.chance(4) {
        let statement = match random.below(5) {
            0 => "ALTER TABLE evt DETACH PARTITION evt_25 CONCURRENTLY".to_owned(),
            1 => format!("CREATE INDEX CONCURRENTLY x1 ON {} (amount)", random.pick(&TABLES)),
            2 => format!("REINDEX INDEX CONCURRENTLY {}", random.pick(&INDEXES)),
            3 => format!("DROP INDEX CONCURRENTLY {}", random.pick(&INDEXES)),
            _ => format!("REINDEX TABLE CONCURRENTLY {}", random.pick(&TABLES)),
        };
        return Generated { setup, pre: String::new(), statement };
    }
    Generated { setup, pre: pre.join("; "), statement: statement(random) }
}

fn setup(random: &mut Random) -> String {
    let columns = "id bigint NOT NULL, tenant_id int NOT NULL, day date NOT NULL, kind varchar(20), amount numeric(8,2), note text";
    let mut rest = "";
    let mut lines = vec![
        "CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end'".to_owned(),
        "CREATE TABLE tenant (id int PRIMARY KEY, name text)".to_owned(),
        format!("CREATE TABLE evt ({columns}, PRIMARY KEY (id, tenant_id, day)) PARTITION BY RANGE (day)"),
        "CREATE TABLE evt_24 PARTITION OF evt FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST (tenant_id)".to_owned(),
        "CREATE TABLE evt_24_1 PARTITION OF evt_24 FOR VALUES IN (1)".to_owned(),
        "CREATE TABLE evt_24_x PARTITION OF evt_24 DEFAULT".to_owned(),
        "CREATE TABLE evt_25 PARTITION OF evt FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')".to_owned(),
        format!("CREATE TABLE evt_new ({columns})"),
    ];
    for (percent, line) in [
        (70, "CREATE TABLE evt_d PARTITION OF evt DEFAULT"),
        (60, "ALTER TABLE evt ADD CONSTRAINT evt_tenant FOREIGN KEY (tenant_id) REFERENCES tenant"),
        (60, "CREATE INDEX evt_kind ON evt (kind)"),
        (30, "ALTER TABLE evt ADD CONSTRAINT ec CHECK (amount >= 0)"),
        (20, "ALTER TABLE evt ADD CONSTRAINT eu UNIQUE (id, tenant_id, day, kind)"),
        (30, "CREATE INDEX en_kind ON evt_new (kind)"),
        (30, "ALTER TABLE evt_new ADD PRIMARY KEY (id, tenant_id, day)"),
        (20, "ALTER TABLE evt_new ADD CONSTRAINT bound CHECK (day >= '2026-01-01' AND day < '2027-01-01')"),
        (20, "ALTER TABLE evt_new ADD FOREIGN KEY (tenant_id) REFERENCES tenant"),
        (20, "ALTER TABLE evt_24_1 ADD CONSTRAINT nn CHECK (note IS NOT NULL)"),
        (20, "CREATE VIEW ev AS SELECT id, kind FROM evt"),
        (20, "CREATE TRIGGER tr BEFORE UPDATE ON evt FOR EACH ROW EXECUTE FUNCTION noop()"),
    ] {
        if random.chance(percent) {
            lines.push(line.to_owned());
            if line.ends_with("DEFAULT") {
                // A partition that holds no row looks like one that is not read.
                rest = "INSERT INTO evt SELECT g, 2, '2030-05-01', 'k', 1, 'n' FROM generate_series(8001, 9200) g";
            }
        }
    }
    let reference = match random.below(3) {
        0 => "",
        1 => ", CONSTRAINT att_evt FOREIGN KEY (evt_id, tenant_id, day) REFERENCES evt",
        _ => {
            ", CONSTRAINT att_evt FOREIGN KEY (evt_id, tenant_id, day) REFERENCES evt ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED"
        }
    };
    lines.push(format!(
        "CREATE TABLE att (id int PRIMARY KEY, evt_id bigint, tenant_id int, day date, kind text{reference})"
    ));
    lines.push("INSERT INTO tenant SELECT g, 't' FROM generate_series(1, 1200) g".to_owned());
    for (first, tenant, day) in [(1, 1, "2024-05-01"), (1201, 2, "2024-05-01"), (2401, 2, "2025-05-01")] {
        lines.push(format!(
            "INSERT INTO evt SELECT g, {tenant}, '{day}', 'k', 1, 'n' FROM generate_series({first}, {}) g",
            first + 1199
        ));
    }
    lines.push(
        "INSERT INTO evt_new SELECT g, 2, '2026-05-01', 'k', 1, 'n' FROM generate_series(6001, 7200) g".to_owned(),
    );
    lines.push(rest.to_owned());
    lines.push("INSERT INTO att SELECT g, g, 1, '2024-05-01' FROM generate_series(1, 1200) g".to_owned());
    lines.push(String::new());
    lines.join(";\n")
}

fn statement(random: &mut Random) -> String {
    let table = *random.pick(&TABLES);
    let column = *random.pick(&COLUMNS);
    let cascade = maybe(random, 40, " CASCADE");
    match random.below(40) {
        0..=15 => {
            let mut actions = vec![action(random)];
            while random.chance(25) && actions.len() < 3 {
                actions.push(action(random));
            }
            format!("ALTER TABLE {}{table} {}", maybe(random, 15, "ONLY "), actions.join(", "))
        }
        16..=18 => format!(
            "ALTER TABLE {} ATTACH PARTITION {} {}",
            random.pick(&["evt", "evt", "evt_24"]),
            random.pick(&["evt_new", "evt_new", "evt_25", "att"]),
            random.pick(&["FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')", "DEFAULT", "FOR VALUES IN (7)"]),
        ),
        19..=21 => format!(
            "ALTER TABLE {} DETACH PARTITION {}",
            random.pick(&["evt", "evt", "evt_24"]),
            random.pick(&["evt_24", "evt_25", "evt_d", "evt_24_1", "evt_24_x", "evt_new"])
        ),
        22 | 23 => format!(
            "CREATE TABLE evt_26 PARTITION OF {}",
            random.pick(&[
                "evt FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
                "evt FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY HASH (id)",
                "evt_24 FOR VALUES IN (7, 8)",
                "evt DEFAULT",
                "evt_25 DEFAULT",
            ])
        ),
        24..=26 => format!("DROP TABLE {}{table}{cascade}", maybe(random, 20, "IF EXISTS ")),
        27 => format!("TRUNCATE {table}{cascade}"),
        28 => format!(
            "CREATE {}INDEX x1 ON {}{table} ({column})",
            maybe(random, 20, "UNIQUE "),
            maybe(random, 20, "ONLY ")
        ),
        29 => format!("DROP INDEX {}{cascade}", random.pick(&INDEXES)),
        30 => format!("ALTER INDEX {} ATTACH PARTITION {}", random.pick(&["x1", "evt_kind"]), random.pick(&INDEXES)),
        31 => format!(
            "REINDEX {}",
            random.pick(&["TABLE evt_25", "INDEX evt_25_kind_idx", "TABLE evt", "INDEX evt_pkey"])
        ),
        32 => format!("DELETE FROM {table} WHERE id = 100000"),
        33 => format!("UPDATE {table} SET kind = 'z' WHERE day = '2024-05-01'"),
        34 => format!("SELECT count(*) FROM {table} WHERE tenant_id = 1"),
        35 => format!(
            "ALTER TABLE {table} RENAME {}",
            random.pick(&["TO renamed", "COLUMN note TO n2", "CONSTRAINT evt_tenant TO n1"])
        ),
        36 => format!("LOCK TABLE {}{table} IN SHARE MODE", maybe(random, 30, "ONLY ")),
        37 => format!("CREATE TABLE n (r int REFERENCES {table}, CHECK (r > 0))"),
        38 => format!("{} TRIGGER tr ON {table}{}", random.pick(&["DROP", "CREATE"]), random.pick(&["", "2"])),
        _ => format!("CREATE PUBLICATION pb FOR TABLE {table}"),
    }
}

fn action(random: &mut Random) -> String {
    let column = *random.pick(&COLUMNS);
    let cascade = maybe(random, 40, " CASCADE");
    let constraint = *random.pick(&CONSTRAINTS);
    match random.below(34) {
        0..=3 => format!("ALTER COLUMN {column} TYPE {}", random.pick(&TYPES)),
        4 | 5 => format!("ALTER COLUMN {column} SET NOT NULL"),
        6 => format!("ALTER COLUMN {column} DROP NOT NULL"),
        7 | 8 => format!("DROP COLUMN {column}{cascade}"),
        9..=13 => format!("DROP CONSTRAINT {constraint}{cascade}"),
        14 | 15 => format!(
            "ADD COLUMN z {}",
            random.pick(&[
                "int",
                "int REFERENCES tenant",
                "int DEFAULT 1 NOT NULL",
                "serial",
                "int CHECK (z > 0)",
                "int UNIQUE",
                "float8 DEFAULT random()"
            ])
        ),
        16..=18 => format!(
            "ADD CONSTRAINT n1 FOREIGN KEY ({}) REFERENCES {}{}",
            random.pick(&["tenant_id", "id", "evt_id, tenant_id, day", "id, tenant_id, day"]),
            random.pick(&["tenant", "evt", "evt_25", "evt_24", "att"]),
            random.pick(&["", "", " NOT VALID", " NOT ENFORCED", " DEFERRABLE"]),
        ),
        19 | 20 => format!(
            "ADD CONSTRAINT n1 CHECK ({column} IS NOT NULL){}",
            random.pick(&["", " NOT VALID", " NO INHERIT", " NOT ENFORCED"])
        ),
        21 | 22 => format!("VALIDATE CONSTRAINT {constraint}"),
        23 => format!(
            "ALTER CONSTRAINT {constraint} {}",
            random.pick(&["DEFERRABLE", "NOT ENFORCED", "ENFORCED", "NOT DEFERRABLE"])
        ),
        24 => "ADD CONSTRAINT n1 UNIQUE (id, tenant_id, day, kind)".to_owned(),
        25 => format!("ADD CONSTRAINT n1 NOT NULL {column}{}", maybe(random, 50, " NOT VALID")),
        26 => format!("{} TRIGGER {}", random.pick(&["ENABLE", "DISABLE"]), random.pick(&["ALL", "USER", "tr"])),
        27 => format!("ALTER COLUMN {column} SET STATISTICS 100"),
        28 => format!("ALTER COLUMN {column} SET DEFAULT NULL"),
        29 => format!(
            "SET {}",
            random.pick(&["UNLOGGED", "LOGGED", "(fillfactor = 80)", "ACCESS METHOD heap2", "TABLESPACE ts2"])
        ),
        30 => format!("REPLICA IDENTITY {}", random.pick(&["FULL", "USING INDEX evt_25_pkey", "NOTHING"])),
        31 => "ENABLE ROW LEVEL SECURITY".to_owned(),
        32 => "OWNER TO other".to_owned(),
        _ => format!("ALTER COLUMN {column} SET STORAGE plain"),
    }
}

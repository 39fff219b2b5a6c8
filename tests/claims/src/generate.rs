//! Random statements over a random catalog, from a seed.
//!
//! The generator knows only names and shapes; most of what it writes is accepted by the server, some is refused, and
//! both have to be predicted.

use std::fmt::Write as _;

use zdm_testkit::Random;

use crate::cases::OwnCase;

const TABLES: [&str; 4] = ["t", "u", "\"Mixed Case\"", "w"];
const COLUMNS: [&str; 5] = ["a", "b", "c", "d", "e"];
const TYPES: [&str; 16] = [
    "int",
    "bigint",
    "smallint",
    "numeric(10,2)",
    "numeric(12,2)",
    "numeric",
    "varchar(20)",
    "varchar(40)",
    "text",
    "char(4)",
    "timestamp",
    "timestamp(3)",
    "date",
    "boolean",
    "citext",
    "varchar(20)[]",
];

/// A table with its columns.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [&'static str],
}

/// Whether something is written at all.
pub(crate) fn maybe<'a>(random: &mut Random, percent: usize, text: &'a str) -> &'a str {
    if random.chance(percent) { text } else { "" }
}

/// A setup of up to four tables with 2000 rows each, and one statement or a short transaction on it.
#[derive(Clone, Debug)]
pub struct Generated {
    pub setup: String,
    pub pre: String,
    pub statement: String,
}

impl Generated {
    /// Sessions are in a time zone with an offset, so that conversions of timestamps matter.
    pub fn case(self) -> OwnCase {
        OwnCase {
            name: String::new(),
            setup: self.setup,
            pre: self.pre,
            statement: self.statement,
            session: "SET TimeZone = 'Europe/Paris'",
        }
    }
}

/// Seeds that follow each other share their setup, which takes longer than most statements on it.
pub const SHARING: u64 = 6;

/// Statements over a tree of partitions alone.
pub fn generate_on_tree(seed: u64) -> Generated {
    crate::generate_tree::generate(&mut Random::new(seed / SHARING), &mut Random::new(!seed))
}

/// Statements of the rarer forms.
pub fn generate_forms(seed: u64) -> Generated {
    crate::generate_forms::generate(&mut Random::new(seed / SHARING), &mut Random::new(!seed))
}

pub fn generate(seed: u64) -> Generated {
    let mut of_setup = Random::new(seed / SHARING);
    let mut random = Random::new(!seed);
    if of_setup.chance(60) {
        return crate::generate_rich::generate(&mut of_setup, &mut random);
    }
    let tree = of_setup.chance(30);
    let (setup, tables): (String, &[&str]) = match (tree, of_setup.chance(60)) {
        (false, _) => (setup(&mut of_setup), &TABLES),
        (true, true) => (partitions(&mut of_setup), &PARTITIONS),
        (true, false) => (family(&mut of_setup), &FAMILY),
    };
    let pre = if random.chance(25) { statement(&mut random, tables) } else { String::new() };
    Generated { setup, pre, statement: statement(&mut random, tables) }
}

const PARTITIONS: [&str; 5] = ["t", "t", "t_low", "t_high", "loose"];
const FAMILY: [&str; 4] = ["t", "t", "child", "grandchild"];

/// A partitioned table with two or three partitions, and a table that may become one.
fn partitions(random: &mut Random) -> String {
    let columns: Vec<String> = COLUMNS.iter().map(|column| format!("{column} {}", random.pick(&TYPES))).collect();
    let columns = columns.join(", ");
    // An INSERT of defaults alone ends at the NOT NULL key, before the bound is looked at: see the recorded cases.
    let not_null = " NOT NULL";
    let mut text = format!(
        "CREATE TABLE t (id int{not_null}, {columns}) PARTITION BY RANGE (id);\n\
         CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (1) TO (2001);\n\
         CREATE TABLE t_high PARTITION OF t FOR VALUES FROM (2001) TO (4001);\n\
         CREATE TABLE loose (id int{not_null}, {columns});\n"
    );
    if random.chance(30) {
        text.push_str("CREATE TABLE t_rest PARTITION OF t DEFAULT;\n");
        text.push_str("INSERT INTO t (id) SELECT g FROM generate_series(66001, 68000) g;\n");
    }
    if random.chance(40) {
        let _ = writeln!(text, "CREATE INDEX i0 ON t ({});", random.pick(&COLUMNS));
    }
    if random.chance(30) {
        text.push_str("ALTER TABLE t ADD PRIMARY KEY (id);\n");
    }
    if random.chance(30) {
        text.push_str("ALTER TABLE t ADD CONSTRAINT k0 CHECK (id > 0);\n");
    }
    if random.chance(40) {
        let _ = writeln!(
            text,
            "ALTER TABLE loose ADD CONSTRAINT bound CHECK (id IS NOT NULL AND id >= 5000 AND id < 8000){};",
            random.pick(&["", " NOT VALID"])
        );
    }
    text.push_str("INSERT INTO t (id) SELECT g FROM generate_series(1, 4000) g;\n");
    text.push_str("INSERT INTO loose (id) SELECT g FROM generate_series(5001, 7000) g;\n");
    text
}

/// Three tables, each the parent of the next.
fn family(random: &mut Random) -> String {
    let columns: Vec<String> = COLUMNS.iter().map(|column| format!("{column} {}", random.pick(&TYPES))).collect();
    let mut text = format!(
        "CREATE TABLE t (id int PRIMARY KEY, {});\n\
         CREATE TABLE child (own int) INHERITS (t);\n\
         CREATE TABLE grandchild () INHERITS (child);\n",
        columns.join(", ")
    );
    if random.chance(40) {
        let _ = writeln!(text, "CREATE INDEX i0 ON child ({});", random.pick(&COLUMNS));
    }
    if random.chance(40) {
        let _ = writeln!(text, "ALTER TABLE t ADD CONSTRAINT k0 CHECK (id > 0){};", random.pick(&["", " NOT VALID"]));
    }
    for table in ["t", "child", "grandchild"] {
        let _ = writeln!(text, "INSERT INTO {table} (id) SELECT g FROM generate_series(7770001, 7772000) g;");
    }
    text
}

fn setup(random: &mut Random) -> String {
    let mut text = String::new();
    for (place, table) in TABLES.iter().enumerate() {
        let id = *random.pick(&[
            "int PRIMARY KEY DEFAULT 1",
            "serial PRIMARY KEY",
            "bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
            "int",
        ]);
        let _ = write!(text, "CREATE TABLE {table} (id {id}");
        for column in COLUMNS {
            let data_type = random.pick(&TYPES);
            let extra = *random.pick(&["", "", "", " DEFAULT NULL", " UNIQUE"]);
            let extra = if data_type.contains("[]") && extra == " UNIQUE" { "" } else { extra };
            let _ = write!(text, ", {column} {data_type}{extra}");
        }
        text.push_str(");\n");
        let _ = writeln!(text, "INSERT INTO {table} (id) SELECT g FROM generate_series(7770001, 7772000) g;");
        if random.chance(40) {
            let _ = writeln!(
                text,
                "CREATE INDEX i{place} ON {table} ({});",
                random.pick(&["a", "b, c", "c", "(id + 1)", "e"])
            );
        }
        if random.chance(25) {
            let _ = writeln!(
                text,
                "CREATE INDEX p{place} ON {table} ({}) WHERE {} IS NOT NULL;",
                random.pick(&COLUMNS),
                random.pick(&COLUMNS)
            );
        }
        if random.chance(30) {
            let valid = random.pick(&["", " NOT VALID"]);
            let _ = writeln!(
                text,
                "ALTER TABLE {table} ADD CONSTRAINT k{place} CHECK ({} IS NULL OR id > 0){valid};",
                random.pick(&COLUMNS)
            );
        }
        if place > 0 && random.chance(50) {
            let target = TABLES[random.below(place)];
            let attributes = random.pick(&["", " DEFERRABLE INITIALLY DEFERRED", " ON DELETE CASCADE"]);
            // Only some tables have a key to reference; a refused setup is no case.
            let _ = writeln!(
                text,
                "ALTER TABLE {table} ADD COLUMN fk int CONSTRAINT f{place} REFERENCES {target}{attributes};"
            );
        }
        if random.chance(15) {
            let _ = writeln!(text, "CREATE VIEW v{place} AS SELECT id, {} FROM {table};", random.pick(&COLUMNS));
        }
    }
    text
}

fn statement(random: &mut Random, tables: &[&str]) -> String {
    let table = *random.pick(tables);
    let column = *random.pick(&COLUMNS);
    let data_type = *random.pick(&TYPES);
    let cascade = *random.pick(&["", " CASCADE"]);
    let place = random.below(4);
    if tables.contains(&"loose") && random.chance(30) {
        return match random.below(4) {
            0 | 1 => "ALTER TABLE t ATTACH PARTITION loose FOR VALUES FROM (5000) TO (8000)".to_owned(),
            2 => "ALTER TABLE t DETACH PARTITION t_low".to_owned(),
            _ => "CREATE TABLE t_more PARTITION OF t FOR VALUES FROM (8000) TO (9000)".to_owned(),
        };
    }
    match random.below(20) {
        0..=9 => {
            let mut actions = vec![action(random)];
            while random.chance(30) && actions.len() < 3 {
                actions.push(action(random));
            }
            format!("ALTER TABLE {table} {}", actions.join(", "))
        }
        10 => format!("CREATE INDEX x ON {table} ({column})"),
        11 => format!("CREATE UNIQUE INDEX IF NOT EXISTS i{place} ON {table} (id)"),
        12 => format!("DROP INDEX {}{place}{cascade}", random.pick(&["i", "p"])),
        13 => format!("DROP TABLE {table}{cascade}"),
        14 => format!("ALTER TABLE {table} RENAME COLUMN {column} TO {}", random.pick(&["z", "a"])),
        15 => format!("ALTER TABLE {table} RENAME TO {}", random.pick(&["renamed", "u"])),
        16 => format!("UPDATE {table} SET {column} = NULL"),
        17 => format!("TRUNCATE {table}{cascade}"),
        18 => format!("CREATE TABLE n (id {data_type} PRIMARY KEY, r int REFERENCES {table}, CHECK (r > 0))"),
        _ => format!("DELETE FROM {table} WHERE id = 7770007"),
    }
}

fn action(random: &mut Random) -> String {
    let column = *random.pick(&COLUMNS);
    let data_type = *random.pick(&TYPES);
    let place = random.below(4);
    let cascade = *random.pick(&["", " CASCADE"]);
    match random.below(18) {
        0 => format!("ADD COLUMN n{place} {data_type}"),
        1 => format!("ADD COLUMN n{place} {data_type} DEFAULT NULL"),
        2 => format!(
            "ADD COLUMN m{place} {}",
            random.pick(&[
                "uuid DEFAULT gen_random_uuid()",
                "timestamptz NOT NULL DEFAULT now()",
                "int NOT NULL DEFAULT 3",
                "int CHECK (id > 0)",
                "int UNIQUE",
                "serial",
                "float8 DEFAULT random()",
                "int GENERATED ALWAYS AS (id * 2) STORED",
            ])
        ),
        3 => format!("DROP COLUMN {column}{cascade}"),
        4..=8 => format!("ALTER COLUMN {column} TYPE {data_type}"),
        9 => format!("ALTER COLUMN {column} TYPE {data_type} USING {column}::{data_type}"),
        10 => format!("ALTER COLUMN {column} SET DEFAULT NULL"),
        11 => "ALTER COLUMN id SET NOT NULL".to_owned(),
        12 => format!("ALTER COLUMN {column} DROP NOT NULL"),
        13 => format!("ADD CONSTRAINT c{place} CHECK (id > 0){}", random.pick(&["", " NOT VALID"])),
        14 => format!("ADD {} (id)", random.pick(&["UNIQUE", "PRIMARY KEY"])),
        15 => format!("DROP CONSTRAINT {}{cascade}", random.pick(&["k1", "f1", "t_pkey", "u_pkey", "f2", "t_a_key"])),
        16 => format!("VALIDATE CONSTRAINT {}{place}", random.pick(&["k", "f"])),
        _ => format!("ADD CONSTRAINT g{place} FOREIGN KEY (id) REFERENCES t{}", random.pick(&["", " NOT VALID"])),
    }
}

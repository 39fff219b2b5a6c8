//! No text makes the reader panic, and what it says about places holds for every text.

use zdm_postgres::{Catalog, PgVersion, Session, Statement};
use zdm_sql::{ParsedStatement, parse, parse_data_type, parse_expr};
use zdm_testkit::Random;

fn texts() -> Vec<String> {
    serde_json::from_str(include_str!("data/measured.json")).expect("the data file is a list of texts")
}

/// What separates tokens: `space` of `scan.l`. Other white space of Unicode is part of a name.
const BLANKS: [char; 6] = [' ', '\t', '\n', '\r', '\u{b}', '\u{c}'];

/// Spans lie in the text on character boundaries, are not empty, in order, apart from each other, and begin and end with what counts.
fn assert_places(text: &str, statements: &[ParsedStatement]) {
    let mut previous = 0;
    for parsed in statements {
        let range = parsed.span.range();
        let source = text.get(range.clone()).unwrap_or_else(|| panic!("{range:?} is no place in {text:?}"));
        assert!(range.start >= previous && !source.is_empty(), "{range:?} in {text:?}");
        assert_eq!(source.trim_matches(BLANKS), source, "blanks around a statement of {text:?}");
        previous = range.end;
        if let Statement::Opaque(opaque) = &parsed.statement {
            assert_eq!(opaque.text, source, "an opaque statement keeps its text");
            assert!(!opaque.reason.is_empty(), "an opaque statement has a reason: {source}");
        }
    }
}

#[test]
fn mutated_texts_have_places_and_no_panics() {
    const PIECES: [&str; 40] = [
        "'",
        "\"",
        "$$",
        "$a$",
        "--",
        "/*",
        "*/",
        ";",
        "(",
        ")",
        "[",
        "]",
        ",",
        ".",
        "::",
        "E'",
        "U&\"",
        "U&'\\",
        "\\",
        "\n",
        "%s",
        "%(a)s",
        "ä",
        "\u{1f600}",
        "\0",
        "1e",
        "0x",
        "$1",
        "BEGIN ATOMIC",
        "END",
        "CASE",
        "CREATE RULE",
        "SELECT",
        "FROM",
        "WITH a AS (",
        "NOT",
        "AND",
        "-",
        "COPY t FROM stdin;",
        "\u{feff}",
    ];
    let texts = texts();
    let mut random = Random::new(0x5eed_cafe_f00d_0001);
    for round in 0..15_000 {
        let mut text = texts[round % texts.len()].clone();
        for _ in 0..=random.below(4) {
            let mut at = random.below(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            match random.below(4) {
                0 => text.insert_str(at, random.pick::<&str>(&PIECES)),
                1 => text.truncate(at),
                2 => {
                    let mut end = (at + random.below(12)).min(text.len());
                    while !text.is_char_boundary(end) {
                        end -= 1;
                    }
                    text.replace_range(at..end.max(at), "");
                }
                _ => {
                    let other = &texts[random.below(texts.len())];
                    let mut from = random.below(other.len() + 1);
                    while !other.is_char_boundary(from) {
                        from -= 1;
                    }
                    text.insert_str(at, &other[from..]);
                }
            }
        }
        assert_places(&text, &parse(&text));
        // The parts' readers take any text too.
        let expr = parse_expr(&text);
        assert!(text.contains(&*expr.text), "an expression keeps its text");
        parse_data_type(&text);
    }
}

#[test]
fn a_semicolon_separates() {
    let texts = texts();
    let mut random = Random::new(0x5eed_cafe_f00d_0002);
    for _ in 0..3_000 {
        let (left, right) = (&texts[random.below(texts.len())], &texts[random.below(texts.len())]);
        let joined = format!("{left};{right}");
        let offset = u32::try_from(left.len() + 1).expect("the texts are short");
        let mut expected = parse(left);
        expected.extend(parse(right).into_iter().map(|mut parsed| {
            parsed.span.start += offset;
            parsed.span.end += offset;
            parsed
        }));
        assert_eq!(parse(&joined), expected, "{joined}");
    }
}

/// Bytes of any kind, as a file that is no SQL at all has them, and every statement cut off at every place.
#[test]
fn bytes_and_cut_off_statements_are_read() {
    let mut random = Random::new(0x5EED_CAFE);
    for _ in 0..4_000 {
        let length = random.below(80);
        let bytes: Vec<u8> =
            (0..length).map(|_| u8::try_from(random.below(256)).expect("a remainder of 256 is a byte")).collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert_places(&text, &parse(&text));
        parse_expr(&text);
        parse_data_type(&text);
    }
    for text in texts() {
        // Long texts repeat the same setups; some places of each are enough.
        let step = 1 + text.len() / 40;
        for end in (0..text.len()).step_by(step).filter(|end| text.is_char_boundary(*end)) {
            let cut = &text[..end];
            assert_places(cut, &parse(cut));
        }
    }
}

/// Bodies in bodies, objects in schemas, and statements in COPY are read by the same readers again.
#[test]
fn statements_inside_statements_are_bounded() {
    let mut function = "SELECT 1".to_owned();
    for level in 0..300 {
        function = format!("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $l{level}${function}$l{level}$");
    }
    let nested = [
        function,
        format!("{}SELECT 1{}", "COPY (".repeat(20_000), ") TO stdout".repeat(20_000)),
        format!("CREATE SCHEMA s {}", "CREATE TABLE a (id int) ".repeat(5_000)),
        format!("CREATE SCHEMA s {}", "CREATE SCHEMA s ".repeat(5_000)),
        format!("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC {} END", "SELECT 1;".repeat(20_000)),
        format!("ALTER TYPE t {}", "ADD ATTRIBUTE a int,".repeat(20_000)),
    ];
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        for text in &nested {
            assert_places(text, &parse(text));
        }
    });
    thread.expect("a thread starts").join().expect("no text overflows the stack");
}

#[test]
fn one_failure_keeps_its_neighbours() {
    for text in texts() {
        let before = parse(&text);
        let broken = format!("{text};\nALTER TABLE t FROBNICATE (a b c;\n{text}");
        let after = parse(&broken);
        assert_eq!(after.len(), 2 * before.len() + 1, "{broken}");
        for (index, parsed) in before.iter().enumerate() {
            assert_eq!(after[index].statement, parsed.statement);
            assert_eq!(after[before.len() + 1 + index].statement, parsed.statement);
        }
    }
}

/// What nests or chains without end is read within a small stack: threads of a pool have 2 MiB.
#[test]
fn depth_is_bounded() {
    let nested = [
        format!("SELECT {}1{}", "(".repeat(50_000), ")".repeat(50_000)),
        format!("SELECT {}1", "- ".repeat(50_000)),
        format!("SELECT {}1", "NOT ".repeat(50_000)),
        format!("SELECT 1{}", " + 1".repeat(50_000)),
        format!("SELECT a{}", "::int".repeat(50_000)),
        format!("SELECT a{}", "[1]".repeat(50_000)),
        format!("SELECT a{}", " IS NULL".repeat(50_000)),
        format!("SELECT true{}", " AND true".repeat(50_000)),
        format!("SELECT {}1{}", "ARRAY[".repeat(50_000), "]".repeat(50_000)),
        format!("SELECT {}1{}", "[".repeat(50_000), "]".repeat(50_000)),
        format!("SELECT {}1{}", "f(".repeat(50_000), ")".repeat(50_000)),
        format!("SELECT {}1{}", "CASE WHEN ".repeat(50_000), " THEN 1 END".repeat(50_000)),
        format!("SELECT {}1{}", "(SELECT ".repeat(20_000), ")".repeat(20_000)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(50_000)),
        format!("{}SELECT 1{}", "WITH a AS (".repeat(20_000), ") SELECT 1".repeat(20_000)),
        format!("{}SELECT 1{}", "WITH a AS (INSERT INTO t ".repeat(5_000), ")".repeat(5_000)),
        format!("ALTER TABLE t ADD CHECK ({}a{})", "(".repeat(50_000), ")".repeat(50_000)),
        format!("CREATE TABLE t (a int{})", "[]".repeat(50_000)),
        format!("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC {} END", "CASE ".repeat(50_000)),
        format!("SELECT * FROM {}t{}", "(".repeat(50_000), ")".repeat(50_000)),
        "/*".repeat(50_000),
    ];
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        for text in &nested {
            let parsed = parse(text);
            assert!(parsed.len() <= 1 || text.starts_with("/*"), "{}", &text[..40]);
            assert_places(text, &parsed);
            // Comparing, printing and dropping recurse as well.
            assert_eq!(format!("{:?}", parsed.clone()), format!("{parsed:?}"));
        }
    });
    thread.expect("a thread starts").join().expect("no text overflows the stack");
}

#[test]
fn types_over_themselves_come_to_an_end() {
    for types in [
        "CREATE DOMAIN d AS d",
        "CREATE DOMAIN d AS d[]",
        "CREATE DOMAIN d AS e; CREATE DOMAIN e AS d",
        "CREATE DOMAIN d AS e[]; CREATE DOMAIN e AS d[]",
        "CREATE TYPE d AS (a d, b d[])",
        "CREATE DOMAIN d AS e; CREATE TYPE e AS (a d)",
        "CREATE TYPE d AS (a e); CREATE TYPE e AS (a d[])",
    ] {
        for change in [
            "ALTER TABLE t ADD COLUMN x d DEFAULT NULL",
            "ALTER TABLE t ALTER COLUMN c TYPE bigint",
            "ALTER TABLE t ALTER COLUMN c TYPE d USING NULL",
            "ALTER TABLE t ADD COLUMN x d[]; ALTER TABLE t ALTER COLUMN c TYPE bigint",
            "ALTER TYPE d ADD ATTRIBUTE z d; ALTER TYPE d ALTER ATTRIBUTE a TYPE e; ALTER TYPE d DROP ATTRIBUTE a CASCADE",
            "ALTER DOMAIN d ADD CHECK (VALUE IS NOT NULL)",
            "ALTER TYPE d RENAME TO f; DROP TYPE f CASCADE",
            "DROP TYPE d",
            "DROP TYPE d CASCADE",
            "DROP DOMAIN d CASCADE; DROP TABLE t CASCADE",
        ] {
            let mut catalog = Catalog::new();
            catalog.mark_incomplete();
            let mut session = Session::new(catalog, PgVersion::NEWEST);
            for parsed in parse(&format!("CREATE TABLE t (c int); {types}; {change}")) {
                session.execute(&parsed.statement);
            }
        }
    }
}

/// An extension that is not known may make a schema and what is in it, and so may whoever runs the server a function.
#[test]
fn what_others_may_have_made_is_not_refused() {
    for script in [
        "CREATE EXTENSION pg_cron; UPDATE cron.job SET active = false",
        "CREATE EXTENSION pg_cron; ALTER TABLE t ADD COLUMN d int DEFAULT cron.f()",
        "CREATE EXTENSION pg_cron; CREATE VIEW v AS SELECT * FROM cron.job",
        "CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION audit.log()",
        "ALTER TABLE t ALTER COLUMN c SET DEFAULT audit.next()",
    ] {
        let mut session = Session::new(Catalog::new(), PgVersion::NEWEST);
        for parsed in parse(&format!("CREATE TABLE t (c int); {script}")) {
            let outcome = session.execute(&parsed.statement);
            assert_eq!(outcome.error, None, "{script}");
        }
    }
}

//! `zdm-lint trace` as a black box: files as people and tools write them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Standard output and standard error of `trace -` on these bytes.
fn trace(input: &[u8], args: &[&str]) -> (String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_zdm-lint"))
        .args(["trace", "-"])
        .args(args)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{err}");
    (String::from_utf8(output.stdout).unwrap(), err)
}

fn check(input: &[u8], args: &[&str], expected: &[&str], absent: &[&str]) {
    let (out, err) = trace(input, args);
    for part in expected {
        assert!(out.contains(part), "`{part}` is missing:\n{out}\n{err}");
    }
    for part in absent {
        assert!(!out.contains(part), "`{part}` is there:\n{out}\n{err}");
    }
}

#[test]
fn encodings_and_line_ends_do_not_matter() {
    let plain = ["1: CREATE TABLE t", "2: ALTER TABLE t ADD COLUMN a int", "ACCESS EXCLUSIVE on t"];
    let text = "CREATE TABLE t (id int);\nALTER TABLE t ADD COLUMN a int;\n";
    let none = ["not understood", "refused"];
    check(text.as_bytes(), &[], &plain, &none);
    check(format!("\u{feff}{text}").as_bytes(), &[], &plain, &none);
    check(text.replace('\n', "\r\n").as_bytes(), &[], &plain, &none);
    let utf16: Vec<u8> = std::iter::once(0xFEFF_u16).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    check(&utf16, &[], &plain, &none);
    check(&[text.as_bytes(), b"COMMENT ON TABLE t IS 'caf\xe9';\n"].concat(), &[], &plain, &none);
}

#[test]
fn a_dump_is_understood() {
    let dump = r"\restrict key
SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
CREATE FUNCTION public.f() RETURNS bigint LANGUAGE sql AS $$ select count(*) from public.later; $$;
CREATE TABLE public.shop (id integer NOT NULL, note character varying(50));
CREATE SEQUENCE public.shop_id_seq AS integer START WITH 1 CACHE 1;
ALTER SEQUENCE public.shop_id_seq OWNED BY public.shop.id;
ALTER TABLE ONLY public.shop ALTER COLUMN id SET DEFAULT nextval('public.shop_id_seq'::regclass);
COPY public.shop (id, note) FROM stdin;
1	a;b'c
2	\N
\.
SELECT pg_catalog.setval('public.shop_id_seq', 2, true);
ALTER TABLE ONLY public.shop
    ADD CONSTRAINT shop_pkey PRIMARY KEY (id);
\unrestrict key
";
    check(
        dump.as_bytes(),
        &[],
        &["10: COPY public.shop", "15: ALTER TABLE ONLY public.shop", "shop_pkey"],
        &["not understood", "refused"],
    );
}

#[test]
fn one_mistake_keeps_the_rest() {
    let text = b"CREATE TABLE t (id int);\nALTER TABEL t ADD x int;\n\\i more.sql\nALTER TABLE t ADD COLUMN x int;\nSELECT 'open\n";
    check(text, &[], &["2: ALTER TABEL", "not understood", "4: ALTER TABLE t ADD COLUMN x int", "5: SELECT"], &[]);
    check(b"", &["--format", "json"], &["\"statements\": []"], &[]);
    check(b"-- nothing\n", &[], &[], &["1:"]);
}

#[test]
fn a_migration_alone_is_told_what_it_lacks() {
    let text = b"ALTER TABLE shop ADD COLUMN x int;\nALTER TABLE shop ADD COLUMN y int;\n";
    let (out, _) = trace(text, &[]);
    let help = "help: nothing before makes `shop`: put its definition in front (pg_dump --schema-only)";
    assert_eq!(out.matches(help).count(), 1, "{out}");
    let after_a_dump =
        [b"CREATE TABLE public.shop (id int);\nSELECT pg_catalog.set_config('search_path', '', false);\n", &text[..]];
    check(
        &after_a_dump.concat(),
        &[],
        &["help: `public.shop` exists: name its schema, or put `SET search_path TO public` in front"],
        &["nothing before"],
    );
    check(
        b"CREATE TABLE shop (id int);\nALTER TABLE shop ADD CHECK (store.id > 0);\n",
        &[],
        &["refused: missing FROM-clause entry for table \"store\" (42P01)"],
        &["help:"],
    );
}

#[test]
fn the_queue_and_what_is_held_are_explained() {
    let text = b"CREATE TABLE t (id int PRIMARY KEY, a int);\nCREATE TABLE u (id int);\nALTER TABLE t ADD COLUMN b int;\nBEGIN;\n\
        SET LOCAL lock_timeout = '2s';\nALTER TABLE t ADD COLUMN c int;\nCREATE INDEX ON u (id);\nCOMMIT;\nALTER TABLE u ADD COLUMN c int;\n";
    check(
        text,
        &[],
        &[
            "queue: while it waits for ACCESS EXCLUSIVE on t, everyone it would block already waits behind it, and no lock_timeout ends that",
            "for at most lock_timeout = 2s before it gives up",
            "still held: ACCESS EXCLUSIVE on t since line 6",
        ],
        &[],
    );
    let (json, _) = trace(text, &["--format", "json", "--postgres", "16"]);
    assert!(json.contains("\"lock_timeout\": \"2s\"") && json.contains("\"postgres\": \"16\""), "{json}");
    assert!(json.contains("\"transaction\": \"inside\"") && json.contains("\"held\": ["), "{json}");
}

#[test]
fn what_is_not_known_is_said() {
    let text = b"CREATE TABLE t (id int PRIMARY KEY, a int);\n\
        CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ begin return new; end $$;\n\
        CREATE TRIGGER au AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION audit();\n\
        UPDATE t SET a = 1 WHERE id = 5;\nALTER TABLE t ADD CHECK (a > 0);\nDO $$ begin drop table t; end $$;\n";
    check(
        text,
        &["--postgres", "17"],
        &[
            "this is not read: the body of audit(), which trigger au of t runs",
            "may lock rows of t if rows of t satisfy the condition",
            "fails if a row of t violates a check constraint (23514)",
            "not understood",
        ],
        &[],
    );
}

/// Work grows with the length of an expression, not with two to the power of its depth; `BETWEEN`, which the server
/// doubles, stays one above a length.
#[test]
fn deep_expressions_end() {
    let forms = [
        "({}) + 1 > 0",
        "({}) BETWEEN false AND true",
        "({}) NOT BETWEEN false AND true",
        "CASE WHEN {} THEN b ELSE false END",
        "CASE ({}) WHEN true THEN b ELSE false END",
        "CASE WHEN b THEN ({}) END",
        "coalesce(b, {})",
        "greatest({}, nullif({}, b))",
        "({}) IN (true, false)",
        "b IN (({}), false)",
        "({}) IS DISTINCT FROM b",
        "(ARRAY[({}), b])[1]",
        "(CASE WHEN {} THEN v ELSE v END COLLATE \"C\") = 'a'",
        "round(({})::int::numeric, 2) = 1",
        "lower(({})::text) LIKE 'a'",
        "date_trunc('day', CASE WHEN {} THEN d ELSE d END) = d",
    ];
    for form in forms {
        // Where a form holds what it is around twice, the text itself doubles.
        let depth = if form.matches("{}").count() > 1 { 8 } else { 60 };
        let condition = (0..depth).fold("b".to_owned(), |inner, _| form.replace("{}", &inner));
        let text = format!(
            "CREATE TABLE t (a int, b bool, v varchar(10), d timestamp, CHECK ({condition}));
             CREATE INDEX ON t (a) WHERE {condition};
             ALTER TABLE t ALTER a TYPE bigint, ALTER v TYPE text;
             ALTER TABLE t ALTER d TYPE timestamptz;
             UPDATE t SET b = ({condition}) WHERE {condition};"
        );
        check(text.as_bytes(), &[], &["5: UPDATE t SET b"], &["not understood"]);
    }
}

//! `zdm mirror` as a black box: exit codes, output, files.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use zdm_testkit::{Database, Server};

/// The program in a folder, with an environment of nothing but what is given.
fn zdm(folder: &Path, database: Option<&Database>, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zdm"));
    command.env_clear().current_dir(folder).arg("mirror").args(arguments);
    if let Some(database) = database {
        command.env("DATABASE_URL", database.url());
    }
    command.output().unwrap()
}

#[track_caller]
fn check_in(folder: &Path, database: Option<&Database>, arguments: &[&str], exit: i32, expect: &str) -> String {
    let output = zdm(folder, database, arguments);
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {text}");
    assert!(text.contains(expect), "{arguments:?}: no `{expect}` in:\n{text}");
    text
}

#[track_caller]
fn check(database: &Database, arguments: &[&str], exit: i32, expect: &str) -> String {
    let nowhere = tempfile::tempdir().unwrap();
    check_in(nowhere.path(), Some(database), arguments, exit, expect)
}

fn database() -> Database {
    let database = Server::newest().database();
    database.connect().sql(
        "CREATE TABLE t (id int PRIMARY KEY, size int); INSERT INTO t SELECT i, i FROM generate_series(1, 1000) AS i",
    );
    database
}

const WHAT: [&str; 8] = ["--table", "t", "--source", "size", "--target", "size_bigint", "--type", "bigint"];

fn with<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[command], &WHAT[..], more].concat()
}

#[test]
fn from_installation_to_removal() {
    let database = database();
    let client = database.connect();
    check(&database, &with("check", &[]), 1, "`public.t` has no column `size_bigint`");
    check(&database, &with("install", &["--dry-run"]), 0, "CREATE TRIGGER");
    assert_eq!(client.value("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"), "0", "nothing is changed");
    check(&database, &with("install", &[]), 0, "public.t: size -> size_bigint: installed");
    check(&database, &with("install", &[]), 0, "installed already");
    let text = check(&database, &with("check", &[]), 1, "1,000 of 1,000 rows differ");
    assert!(text.contains("row 1 of public.t: size = 1, size_bigint = NULL"), "{text}");
    assert!(text.contains("zdm backfill run --table"), "{text}");
    check(&database, &with("check", &["--no-values"]), 0, "installed as declared");
    client.sql("UPDATE t SET size_bigint = NULL");
    check(&database, &with("check", &[]), 0, "0 of 1,000 rows differ");
    client.sql("ALTER TABLE t DISABLE TRIGGER USER");
    check(&database, &with("check", &[]), 1, "is disabled");
    check(&database, &with("install", &[]), 0, "installed");
    check(&database, &with("check", &["--both-ways"]), 1, "its body is another");
    check(&database, &["remove", "--table", "t", "--target", "size_bigint"], 0, "removed");
    check(&database, &["remove", "--table", "t", "--target", "size_bigint"], 0, "no mirror");
    client.sql("CREATE FUNCTION zdm_mirror_left_over() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'");
    check(&database, &with("install", &[]), 0, "installed");
    check(&database, &with("check", &[]), 1, "function `public.zdm_mirror_left_over` is left over");
}

#[test]
fn sql_without_anything_else() {
    let folder = tempfile::tempdir().unwrap();
    let text = check_in(folder.path(), None, &with("sql", &[]), 0, "BEFORE INSERT OR UPDATE ON \"t\"");
    assert!(text.contains("WHEN (NEW.\"size_bigint\" IS DISTINCT FROM NEW.\"size\"::bigint)"), "{text}");
    // What is printed is what runs.
    let database = database();
    let client = database.connect();
    let output = zdm(folder.path(), None, &with("sql", &[]));
    client.sql(&String::from_utf8(output.stdout).unwrap());
    check(&database, &with("check", &["--no-values"]), 0, "installed as declared");
    check_in(folder.path(), None, &["sql", "--table", "t", "--source", "a", "--target", "b"], 1, "give --type");
    let text = check_in(
        folder.path(),
        None,
        &[
            "sql",
            "--table",
            "t",
            "--source",
            "a",
            "--target",
            "a2",
            "--type",
            "a2=int",
            "--source",
            "b",
            "--target",
            "b2",
            "--type",
            "b2=text",
            "--using",
            "b2=upper(b)",
        ],
        0,
        "NEW.\"b2\" := (upper(NEW.\"b\"))",
    );
    assert!(text.contains("NEW.\"a2\" := NEW.\"a\""), "{text}");
}

#[test]
fn exit_codes() {
    let database = database();
    check(&database, &["install"], 2, "give --model or --table");
    check(&database, &["install", "--source", "a"], 2, "give --model or --table");
    check(&database, &["install", "--table", "t", "--source", "a"], 2, "in pairs");
    check(&database, &["install", "--table", "nowhere", "--source", "a", "--target", "b"], 2, "there is no table");
    check(&database, &["install", "--table", "t", "--source", "nothing", "--target", "b"], 1, "no column `nothing`");
    check(&database, &with("install", &["--using", "size); DROP TABLE t; --"]), 1, "unbalanced");
    check(&database, &with("install", &["--lock-timeout", "soon"]), 2, "not a duration");
    check(&database, &["--nonsense"], 2, "--nonsense");
    check(&database, &["migration", "--model", "shop.Order", "--source", "a", "--target", "b"], 2, "no migrations");
    let nowhere = tempfile::tempdir().unwrap();
    check_in(nowhere.path(), None, &[&with("install", &[])[..], &["--dsn", "host=/nowhere"]].concat(), 4, "");
    let holder = database.connect();
    holder.sql("BEGIN; LOCK TABLE t");
    check(&database, &with("install", &["--retry-for", "1s"]), 3, "gave up after");
    holder.sql("ROLLBACK");
    assert_eq!(database.connect().value("SELECT count(*) FROM pg_proc WHERE proname LIKE 'zdm%'"), "0");
}

#[test]
fn json_is_one_object_per_line() {
    let database = database();
    check(&database, &with("install", &[]), 0, "");
    let output = zdm(&std::env::temp_dir(), Some(&database), &with("check", &["--format", "json", "--examples", "2"]));
    assert_eq!(output.status.code(), Some(1));
    let events: Vec<serde_json::Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().all(|event| event["version"] == 1));
    assert_eq!(events[0]["event"], "checked");
    assert_eq!(events[0]["values"]["differing"], 1000);
    assert_eq!(events[0]["values"]["examples"].as_array().unwrap().len(), 2);
    assert_eq!(events[0]["values"]["examples"][0]["columns"][0]["expected"], "1");
    assert_eq!(events.last().unwrap()["clean"], false);
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn mirrors_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let database = database();
    fs::write(
        folder.path().join("zdm.toml"),
        "[[mirror]]\ntable = \"t\"\nsource = \"size\"\ntarget = \"size_bigint\"\ntype = \"bigint\"\n",
    )
    .unwrap();
    let run =
        |arguments: &[&str], exit: i32, expect: &str| check_in(folder.path(), Some(&database), arguments, exit, expect);
    run(&["check", "--no-values"], 1, "has no column");
    run(&["install"], 0, "installed");
    run(&["check", "--no-values"], 0, "installed as declared");
    check(
        &database,
        &["install", "--table", "t", "--source", "id", "--target", "id_bigint", "--type", "bigint"],
        0,
        "",
    );
    run(&["check", "--no-values"], 1, "declared nowhere");
    run(&["remove", "--drop-columns"], 0, "removed");
    fs::write(folder.path().join("zdm.toml"), "[[mirror]]\ntable = \"t\"\nsorce = \"size\"\n").unwrap();
    run(&["check"], 2, "unknown key `sorce`");
}

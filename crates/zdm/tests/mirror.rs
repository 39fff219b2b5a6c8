//! `zdm mirror` as a black box: exit codes, output, files.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use zdm_testkit::{Client, Database, Server};

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
fn a_source_without_values_is_told() {
    let database = database();
    database.connect().sql("ALTER TABLE t ADD COLUMN size_bigint bigint");
    let wrong = ["install", "--table", "t", "--source", "size_bigint", "--target", "size", "--allow-narrowing"];
    let expect = "`size_bigint` is NULL in all of 1000 rows that were looked at, and `size` is not in 1000 of them";
    check(&database, &wrong, 0, expect);
    check(&database, &["remove", "--table", "t", "--target", "size"], 0, "removed");
    let text = check(&database, &with("install", &[]), 0, "installed");
    assert!(!text.contains("is NULL in all"), "{text}");
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

/// The program, started and left to run.
fn start(folder: &Path, database: &Database, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_zdm"))
        .env_clear()
        .env("DATABASE_URL", database.url())
        .current_dir(folder)
        .arg("mirror")
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until a session of the program is in such a state.
fn wait_for(client: &Client, condition: &str) -> String {
    let deadline = Instant::now() + Duration::from_mins(3);
    loop {
        let found = client.value(&format!(
            "SELECT coalesce(max(pid)::text, '') FROM pg_stat_activity WHERE application_name = 'zdm mirror' AND {condition} \
             AND datname = current_database()"
        ));
        if !found.is_empty() {
            return found;
        }
        assert!(Instant::now() < deadline, "no session is in the state {condition}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn an_interruption_leaves_nothing_behind() {
    let database = database();
    let client = database.connect();
    let nowhere = tempfile::tempdir().unwrap();
    let holder = database.connect();
    for name in ["-TERM", "-INT"] {
        holder.sql("BEGIN; LOCK TABLE t");
        let child = start(
            nowhere.path(),
            &database,
            &with("install", &["--lock-timeout", "5min", "--statement-timeout", "10min"]),
        );
        wait_for(&client, "wait_event_type = 'Lock'");
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("interrupted"), "{output:?}");
        holder.sql("ROLLBACK");
        assert_eq!(client.value("SELECT count(*) FROM pg_proc WHERE proname LIKE 'zdm%'"), "0");
    }
    check(&database, &with("install", &[]), 0, "installed");
    // A comparison that takes long.
    client.sql("CREATE FUNCTION slow(int) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05); RETURN $1; END'");
    let slow = with("check", &["--using", "slow(size)", "--statement-timeout", "5min"]);
    let child = start(nowhere.path(), &database, &slow);
    wait_for(&client, "wait_event = 'PgSleep'");
    signal(&child, "-TERM");
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
}

#[test]
fn a_lost_connection() {
    let database = database();
    let client = database.connect();
    let nowhere = tempfile::tempdir().unwrap();
    // An installation waits for the lock, loses its session, and tries again.
    let holder = database.connect();
    holder.sql("BEGIN; LOCK TABLE t");
    let child =
        start(nowhere.path(), &database, &with("install", &["--lock-timeout", "5min", "--statement-timeout", "10min"]));
    let pid = wait_for(&client, "wait_event_type = 'Lock'");
    client.sql(&format!("SELECT pg_terminate_backend({pid})"));
    wait_for(&client, &format!("wait_event_type = 'Lock' AND pid <> {pid}"));
    holder.sql("ROLLBACK");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("attempt 2"), "{output:?}");
    // A comparison cannot go on: the rows of two sessions are not of one moment.
    client.sql("CREATE FUNCTION slow(int) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05); RETURN $1; END'");
    let slow = with("check", &["--using", "slow(size)", "--statement-timeout", "5min"]);
    let child = start(nowhere.path(), &database, &slow);
    let pid = wait_for(&client, "wait_event = 'PgSleep'");
    client.sql(&format!("SELECT pg_terminate_backend({pid})"));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("terminat"), "{output:?}");
}

#[test]
fn privileges_that_are_missing() {
    let database = database();
    let client = database.connect();
    let role = format!("poor_{}", database.name());
    client.sql(&format!("CREATE ROLE \"{role}\" LOGIN"));
    let dsn = format!("{} user={role}", database.conninfo().replace("user=postgres", ""));
    let nowhere = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], exit: i32, expect: &str| {
        check_in(nowhere.path(), None, &[arguments, &["--dsn", &dsn]].concat(), exit, expect)
    };
    let text = run(&with("install", &[]), 4, "must be owner of table t");
    assert!(!text.contains("attempt"), "it is not tried again: {text}");
    check(&database, &with("install", &[]), 0, "installed");
    run(&with("check", &[]), 4, "permission denied");
    run(&with("check", &["--no-values"]), 1, "cannot be compared");
    run(&["remove", "--table", "t", "--target", "size_bigint"], 4, "must be owner");
    client.sql(&format!("GRANT SELECT ON t TO \"{role}\""));
    run(&with("check", &[]), 1, "1,000 of 1,000 rows differ");
    client.sql(&format!("DROP OWNED BY \"{role}\"; DROP ROLE \"{role}\""));
}

#[test]
fn mistakes_in_every_subcommand() {
    let database = database();
    let nowhere = tempfile::tempdir().unwrap();
    for command in ["sql", "install", "check"] {
        check(&database, &[command], 2, "give --model or --table");
        check(&database, &[command, "--table", "t"], 2, "declares no mirror on `t`");
        check(&database, &[command, "--table", "t", "--model", "a.B"], 2, "cannot be used with");
        check(&database, &[command, "--table", "t", "--source", "size"], 2, "in pairs");
        check(&database, &[command, "--table", "a b", "--source", "size", "--target", "x"], 2, "");
    }
    check(&database, &["migration", "--table", "t", "--source", "size", "--target", "x"], 2, "no migrations");
    check(&database, &["swap", "--table", "t", "--source", "size", "--target", "x"], 2, "no migrations");
    check(&database, &["swap"], 2, "give --model or --table");
    check(&database, &["swap", "--drop-old", "--old-name", "x"], 2, "cannot be used with");
    check(&database, &["remove"], 2, "give --model or --table");
    check(&database, &["remove", "--target", "x"], 2, "give --model or --table");
    check(&database, &["remove", "--table", "t"], 2, "--target");
    check(&database, &["remove", "--table", "nowhere", "--target", "x"], 2, "there is no table");
    check(&database, &with("check", &["--examples=-1"]), 2, "--examples");
    check(&database, &with("install", &["--references"]), 2, "no migrations");
    check_in(nowhere.path(), None, &with("check", &["--dsn", "nonsense"]), 2, "");
    check_in(nowhere.path(), None, &with("check", &["--config", "nowhere.toml"]), 4, "");
    check_in(nowhere.path(), None, &["check", "--config", "nowhere.toml"], 2, "nowhere.toml");
}

/// A project whose table is made by SQL, with the mirror's migration already written.
fn project(ddl: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("zdm.toml", "django = \"5.2\"\npostgres = \"17\"\n");
    write("shop/__init__.py", "");
    write("shop/migrations/__init__.py", "");
    write(
        "shop/migrations/0001_initial.py",
        &format!(
            "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    initial = True\n    dependencies = []\n    \
             operations = [\n        migrations.SeparateDatabaseAndState(\n            database_operations=[migrations.RunSQL({ddl:?})],\n            \
             state_operations=[migrations.CreateModel('Thing', fields=[('id', models.AutoField(primary_key=True)), \
             ('size', models.IntegerField()), ('label', models.CharField(max_length=20))])],\n        ),\n    ]\n"
        ),
    );
    write("shop/models.py", "");
    write("manage.py", "");
    write("settings.py", "INSTALLED_APPS = ['shop']\n");
    folder
}

const MODEL: [&str; 6] = ["--model", "shop.Thing", "--source", "size", "--target", "size_bigint"];

fn of_model<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[command], &MODEL[..], &["--type", "bigint"], more].concat()
}

const TABLE: &str = "CREATE TABLE shop_thing (id serial PRIMARY KEY, size integer NOT NULL, label varchar(20));";

#[test]
fn what_a_swap_refuses() {
    let refused = |ddl: &str, more: &[&str], expect: &str| {
        let folder = project(&format!("{TABLE}{ddl}").replace('\n', " "));
        check_in(folder.path(), None, &of_model("migration", &[]), 0, "0002_mirror_thing_size_bigint.py");
        check_in(folder.path(), None, &of_model("swap", more), 1, expect)
    };
    refused("ALTER TABLE shop_thing ADD EXCLUDE USING gist (size WITH =)", &[], "exclusion constraint under a lock");
    refused("CREATE TABLE child () INHERITS (shop_thing)", &[], "takes part in inheritance");
    refused(
        "ALTER TABLE shop_thing ADD COLUMN twice int GENERATED ALWAYS AS (size * 2) STORED",
        &[],
        "`twice` reads `size`",
    );
    let function = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';";
    refused(
        &format!("{function} CREATE TRIGGER f AFTER UPDATE OF size ON shop_thing FOR EACH ROW EXECUTE FUNCTION f()"),
        &[],
        "the trigger `f` of `shop_thing` names `size`",
    );
    refused(
        &format!(
            "{function} CREATE TRIGGER f AFTER UPDATE ON shop_thing FOR EACH ROW WHEN (OLD.size > 1) EXECUTE FUNCTION f()"
        ),
        &[],
        "the trigger `f` of `shop_thing` names `size`",
    );
    refused("CREATE POLICY p ON shop_thing USING (size > 1)", &[], "the policy `p` of `shop_thing` reads `size`");
    refused("CREATE VIEW v AS SELECT size FROM shop_thing", &["--drop-old"], "the view `v` reads `size`");
    refused("ALTER TABLE shop_thing ADD COLUMN size_old int", &[], "a column `size_old` already");
    refused(
        "ALTER TABLE shop_thing ADD UNIQUE (size); CREATE TABLE other (thing int REFERENCES shop_thing (size))",
        &[],
        "`thing` of `other` (`other_thing_fkey`)",
    );
    let refused_partition = project(
        "CREATE TABLE shop_thing (id int, size integer NOT NULL, label varchar(20), PRIMARY KEY (id)) PARTITION BY RANGE (id)",
    );
    check_in(refused_partition.path(), None, &of_model("migration", &[]), 0, "");
    check_in(refused_partition.path(), None, &of_model("swap", &[]), 1, "is partitioned");
    // A column that is wide already needs no mirror.
    let folder = project(&format!(
        "{TABLE} ALTER TABLE shop_thing ADD UNIQUE (size); CREATE TABLE other (thing bigint REFERENCES shop_thing (size))"
    ));
    check_in(folder.path(), None, &of_model("migration", &[]), 0, "");
    check_in(folder.path(), None, &of_model("swap", &[]), 0, "0006_swap");
    let swap = fs::read_to_string(folder.path().join("shop/migrations/0004_constrain_thing_size_bigint.py")).unwrap();
    assert!(swap.contains("FOREIGN KEY (\"thing\") REFERENCES \"shop_thing\" (\"size_bigint\")"), "{swap}");
    check_in(folder.path(), None, &of_model("swap", &[]), 1, "");
    // What a sequence or an expression gives is not carried to any type.
    let folder = project(TABLE);
    let id = [
        "--model",
        "shop.Thing",
        "--source",
        "id",
        "--target",
        "id_text",
        "--type",
        "text",
        "--using",
        "id::text",
        "--reverse-using",
        "id_text::int",
    ];
    check_in(folder.path(), None, &[&["migration"], &id[..]].concat(), 0, "");
    check_in(
        folder.path(),
        None,
        &[&["swap"], &id[..], &["--field", "models.TextField(primary_key=True)"]].concat(),
        1,
        "from a sequence",
    );
    let folder = project(TABLE);
    let using =
        ["--model", "shop.Thing", "--source", "size", "--target", "t", "--type", "text", "--using", "size::text"];
    check_in(folder.path(), None, &[&["migration"], &using[..]].concat(), 0, "");
    check_in(folder.path(), None, &[&["swap"], &using[..]].concat(), 1, "needs --reverse-using");
}

#[test]
fn a_swap_knows_what_runs() {
    let folder = project(TABLE);
    let git = |arguments: &[&str]| {
        let status = Command::new("git")
            .args(["-c", "user.email=a@b.c", "-c", "user.name=a"])
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(status.status.success(), "{status:?}");
    };
    let commit = || {
        git(&["add", "--all"]);
        git(&["commit", "-qm", "x"]);
    };
    let run = |arguments: &[&str], exit: i32, expect: &str| check_in(folder.path(), None, arguments, exit, expect);
    git(&["init", "-q", "-b", "main"]);
    commit();
    git(&["checkout", "-q", "-b", "work"]);
    run(&of_model("migration", &["--as-field"]), 0, "0002_mirror");
    run(&of_model("swap", &["--base", "main"]), 1, "is still the field `size_bigint` of `shop.Thing`");
    commit();
    git(&["branch", "-f", "main", "work"]);
    fs::write(
        folder.path().join("shop/migrations/0003_forget.py"),
        "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n    dependencies = [('shop', '0002_mirror_thing_size_bigint')]\n    \
         operations = [migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField('thing', 'size_bigint')])]\n",
    )
    .unwrap();
    // The field is gone here, and still there in what runs.
    run(&of_model("swap", &["--base", "main"]), 1, "in the release that runs (main)");
    run(&of_model("swap", &["--base", "nowhere"]), 2, "nowhere");
    run(&of_model("swap", &[]), 1, "in the release that runs (main)");
    commit();
    git(&["branch", "-f", "main", "work"]);
    run(&of_model("swap", &["--base", "main", "--dry-run"]), 0, "0006_swap");
    // A mirror that nobody has released has filled nothing.
    let label = ["--model", "shop.Thing", "--source", "label", "--target", "label2", "--type", "text"];
    run(&[&["migration"], &label[..]].concat(), 0, "");
    run(&[&["swap"], &label[..]].concat(), 1, "is not part of the release that runs");
    fs::remove_dir_all(folder.path().join(".git")).unwrap();
    run(&of_model("swap", &["--dry-run"]), 0, "until shop.0003_forget");
    run(&of_model("swap", &["--dry-run"]), 0, "which release runs is not known here");
    run(&of_model("swap", &["--base", "main"]), 2, "repository");
}

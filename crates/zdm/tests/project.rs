//! The Django project around the current directory: `--model`, and the database of its settings.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use zdm_testkit::{Database, Server};

/// A project whose names in the database differ from those in Python wherever they can.
const INITIAL: &str = r#"
from django.db import migrations, models

class Migration(migrations.Migration):
    operations = [
        migrations.CreateModel("Customer", [("id", models.BigAutoField(primary_key=True))]),
        migrations.CreateModel(
            "OrderLine",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("size", models.IntegerField(db_column="Size In Bytes")),
                ("size_big", models.BigIntegerField(null=True)),
                ("customer", models.ForeignKey("shop.Customer", models.CASCADE, db_column="cust")),
                ("customer_copy", models.BigIntegerField(null=True)),
                ("tags", models.ManyToManyField("shop.Customer", related_name="+")),
            ],
            options={"db_table": '"Ware house"."Order Line"'},
        ),
        migrations.CreateModel("Special", [
            ("orderline_ptr", models.OneToOneField("shop.OrderLine", models.CASCADE, parent_link=True, primary_key=True)),
            ("extra", models.IntegerField(null=True)),
        ], bases=("shop.orderline",)),
        migrations.CreateModel("LineProxy", [], options={"proxy": True}, bases=("shop.orderline",)),
    ]
"#;

const NOT_YET: &str = r#"
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.RemoveField("orderline", "size"),
        migrations.RenameField("orderline", "size_big", "size"),
    ]
"#;

fn project(settings: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("manage.py", "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site1.settings')\n");
    write("site1/__init__.py", "");
    write("site1/settings.py", &format!("INSTALLED_APPS = ['shop']\nSECRET_KEY = 'x'\n{settings}"));
    write("shop/__init__.py", "");
    write("shop/migrations/__init__.py", "");
    write("shop/migrations/0001_initial.py", INITIAL);
    write("shop/migrations/0002_swap.py", NOT_YET);
    folder
}

/// The tables as Django makes them, and the shadow column that no model has.
fn database() -> Database {
    let database = Server::newest().database();
    database.connect().sql(
        "CREATE SCHEMA \"Ware house\"; CREATE TABLE \"Ware house\".\"Order Line\" (id bigint PRIMARY KEY, \
             \"Size In Bytes\" int, size_big bigint, cust bigint, customer_copy bigint, shadow bigint); \
         INSERT INTO \"Ware house\".\"Order Line\" SELECT i, i, NULL, i * 2 FROM generate_series(1, 500) AS i; \
         CREATE TABLE django_migrations (id bigint PRIMARY KEY, app varchar(255), name varchar(255)); \
         INSERT INTO django_migrations VALUES (1, 'shop', '0001_initial')",
    );
    database
}

fn zdm(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zdm"));
    command.env_clear().envs(variables.iter().copied()).current_dir(folder).args(arguments).output().unwrap()
}

fn check(folder: &Path, variables: &[(&str, &str)], arguments: &[&str], exit: i32, expect: &str) {
    let output = zdm(folder, variables, arguments);
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {text}");
    assert!(text.contains(expect), "{arguments:?}: no `{expect}` in:\n{text}");
}

#[test]
fn names_of_a_model_are_those_of_its_applied_migrations() {
    let folder = project("");
    let database = database();
    let client = database.connect();
    let url = database.url();
    let check = |arguments: &[&str], exit: i32, expect: &str| {
        check(folder.path(), &[("DATABASE_URL", &url)], &[&["backfill"], arguments].concat(), exit, expect);
    };
    let differ = |a: &str, b: &str| {
        client.value(&format!("SELECT count(*) FROM \"Ware house\".\"Order Line\" WHERE {a} IS DISTINCT FROM {b}"))
    };
    let line = ["run", "--model", "shop.OrderLine"];
    check(&[&line[..], &["--source", "size", "--target", "size_big"]].concat(), 0, "done: 500 rows filled");
    assert_eq!(differ("size_big", "\"Size In Bytes\""), "0");
    // A foreign key by its name with `_id`, and a column that no model names; case does not matter.
    let more = ["run", "--model", "shop.orderline", "--source", "customer_id", "--target", "customer_copy"];
    check(&[&more[..], &["--set", "shadow = cust + 1"]].concat(), 0, "done: 500 rows filled");
    assert_eq!((differ("customer_copy", "cust"), differ("shadow", "cust + 1")), ("0".to_owned(), "0".to_owned()));
    // A proxy has its concrete model's table; `--set` takes a field's name, its expression is SQL.
    check(&["run", "--model", "shop.LineProxy", "--set", "customer = \"Size In Bytes\""], 0, "done: 500 rows filled");
    assert_eq!(differ("cust", "\"Size In Bytes\""), "0");
    check(&["check", "--model", "shop.OrderLine", "--source", "size", "--target", "size_big"], 0, "no pending row");
    check(&["verify", "--model", "shop.OrderLine", "--source", "size", "--target", "size_big"], 0, "0 of 500 rows");

    check(&["run", "--model", "shop.OrderLin", "--set", "a = 1"], 2, "did you mean `shop.OrderLine`?");
    check(&["run", "--model", "OrderLine", "--set", "a = 1"], 2, "is not of the form app.Model");
    check(&[&line[..], &["--source", "size", "--target", "nope"]].concat(), 2, "has no column `nope`");
    check(
        &[&line[..], &["--source", "size", "--target", "tags"]].concat(),
        2,
        "`tags` of `shop.orderline` has no column",
    );
    check(
        &["run", "--model", "shop.Special", "--source", "size", "--target", "extra"],
        2,
        "`size` is a field of `shop.OrderLine`",
    );
    check(&[&line[..], &["--table", "t", "--set", "a = 1"]].concat(), 2, "cannot be used with");
    check(&["run", "--set", "a = 1"], 2, "give --model or --table");

    // Once the swap is applied, the names mean other columns.
    client.sql(
        "ALTER TABLE \"Ware house\".\"Order Line\" DROP COLUMN \"Size In Bytes\"; \
         ALTER TABLE \"Ware house\".\"Order Line\" RENAME COLUMN size_big TO size; \
         UPDATE \"Ware house\".\"Order Line\" SET shadow = NULL; \
         INSERT INTO django_migrations VALUES (2, 'shop', '0002_swap')",
    );
    check(&[&line[..], &["--source", "size", "--target", "shadow"]].concat(), 0, "job `Ware house");
    assert_eq!(differ("shadow", "size"), "0");
}

#[test]
fn elsewhere_a_project_is_named_by_its_folder() {
    let folder = project("");
    let database = database();
    let url = database.url();
    let elsewhere = tempfile::tempdir().unwrap();
    let arguments = ["backfill", "run", "--model", "shop.OrderLine", "--source", "size", "--target", "size_big"];
    check(elsewhere.path(), &[("DATABASE_URL", &url)], &arguments, 2, "no Django project is here");
    let rooted = [&arguments[..], &["--project", folder.path().to_str().unwrap()]].concat();
    check(elsewhere.path(), &[("DATABASE_URL", &url)], &rooted, 0, "done: 500 rows filled");
}

#[test]
fn the_settings_name_the_database_where_nothing_else_does() {
    let database = database();
    let server = database.server();
    let settings = format!(
        "DATABASES = {{'default': {{'ENGINE': 'django.contrib.gis.db.backends.postgis', 'NAME': '{}', 'USER': 'postgres', \
         'PASSWORD': 'hunter2', 'HOST': '{}', 'PORT': {}, 'CONN_MAX_AGE': 5, \
         'OPTIONS': {{'connect_timeout': 5, 'pool': True, 'application_name': 'shop'}}}}}}\n",
        database.name(),
        server.socket_dir().display(),
        server.port(),
    );
    let folder = project(&settings);
    let status = ["backfill", "status"];
    check(folder.path(), &[], &status, 0, "no jobs");
    // From a folder inside of the project, too.
    check(&folder.path().join("shop"), &[], &status, 0, "no jobs");
    check(
        folder.path(),
        &[],
        &["backfill", "run", "--model", "shop.OrderLine", "--source", "size", "--target", "size_big"],
        0,
        "done: 500 rows filled",
    );
    // Everything else goes before it.
    check(folder.path(), &[("DATABASE_URL", "postgres:///x?host=/nowhere")], &status, 4, "/nowhere");
    check(folder.path(), &[("PGHOST", "/nowhere")], &status, 4, "/nowhere");
    check(folder.path(), &[], &[&status[..], &["--dsn", "host=/nowhere"]].concat(), 4, "/nowhere");
    let output = zdm(folder.path(), &[], &[&status[..], &["--project", "."]].concat());
    assert!(!format!("{output:?}").contains("hunter2"));
}

#[test]
fn settings_that_are_not_literal_are_said() {
    let status = ["backfill", "status"];
    for (settings, expect) in [
        ("", "there is no DATABASES in `site1.settings`: name the database with --dsn"),
        (
            "import os\nDATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql', 'NAME': 'x', \
             'PASSWORD': os.environ['PASSWORD']}}\n",
            "DATABASES[\"default\"][\"PASSWORD\"] is not literal in `site1.settings`",
        ),
        (
            "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'x'}}\n",
            "the database is of `django.db.backends.sqlite3`",
        ),
        ("import dj_database_url\nDATABASES = {'default': dj_database_url.config()}\n", "is not literal"),
    ] {
        check(project(settings).path(), &[], &status, 2, expect);
    }
}

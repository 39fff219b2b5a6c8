//! Timeouts by class, with every Django and both drivers; refusals; exit codes and output.

use std::time::Instant;

use zdm_testkit::{Django, majors_for};

use crate::site::Site;

/// A migration that reads its own timeouts between strong and weak statements.
const PROBES: &str = "\
def look(step):
    def look(apps, editor):
        with editor.connection.cursor() as cursor:
            cursor.execute(\"INSERT INTO seen SELECT %s, current_setting('lock_timeout'), current_setting('statement_timeout')\", [step])
    return migrations.RunPython(look, migrations.RunPython.noop)
operations = [
    migrations.RunSQL('CREATE TABLE seen (step text, lock text, statement text)'),
    look('weak'),
    migrations.AddField('order', 'paid', models.BooleanField(null=True)),
    look('strong'),
]
";

#[test]
fn timeouts_are_in_force_by_class_with_every_django_and_driver() {
    let majors = majors_for("zdm migrate");
    for (at, django) in Django::available_for("zdm migrate", &zdm_testkit::DJANGOS).iter().enumerate() {
        let major = *majors.iter().filter(|major| django.supports(**major)).nth(at % 2).unwrap();
        let drivers: &[&str] = match django.version() {
            // Its environment has both; Django takes psycopg 3 where it finds it.
            "4.2" => &["psycopg", "psycopg2"],
            "3.2" => &["psycopg2"],
            _ => &["psycopg"],
        };
        for driver in drivers {
            let site = Site::new(major, django.version()).with_orders(10);
            if *driver == "psycopg2" && django.version() == "4.2" {
                site.settings("{}", "import sys; sys.modules['psycopg'] = None");
            }
            site.migration("0002_paid", Some("0001_initial"), PROBES);
            site.migration(
                "0003_index",
                Some("0002_paid"),
                "atomic = False\noperations = [\n\
                 \x20   AddIndexConcurrently('order', models.Index(fields=['total'], name='order_total')),\n\
                 \x20   migrations.RunSQL('ALTER TABLE shop_order ADD CONSTRAINT positive CHECK (total >= 0) NOT VALID'),\n\
                 \x20   migrations.RunSQL('ALTER TABLE shop_order VALIDATE CONSTRAINT positive'),\n]",
            );
            let run = site.run(&["--lock-timeout", "300ms", "--statement-timeout", "7s", "--format", "json"]);
            run.expect(0, &["Applying shop.0002_paid... OK", "Applying shop.0003_index... OK"]);
            let told = run.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            let connected = told.clone().find(|event| event["event"] == "connected").unwrap();
            assert_eq!(connected["driver"].as_str().unwrap().trim_start_matches('_'), *driver, "{run:#?}");
            assert!(connected["django"].as_str().unwrap().starts_with(django.version()), "{run:#?}");
            let seen = site.client().sql("SELECT step, lock, statement FROM seen ORDER BY step");
            let seen: Vec<Vec<String>> = seen.into_iter().map(|row| row.into_iter().flatten().collect()).collect();
            assert_eq!(seen, [["strong", "300ms", "7s"], ["weak", "0", "0"]], "Django {}, {driver}", django.version());
            let check = |text: &str, class: &str, lock: u64, statement: u64| {
                let found = run.statements(text);
                assert_eq!(found.len(), 1, "{text}: {run:#?}");
                assert_eq!(found[0]["class"], class, "{text}");
                assert_eq!(found[0]["lock_timeout_ms"], lock, "{text}");
                assert_eq!(found[0]["statement_timeout_ms"], statement, "{text}");
            };
            check("CREATE TABLE seen", "weak", 0, 0);
            check("ADD COLUMN", "strong", 300, 7000);
            check("CREATE INDEX CONCURRENTLY", "concurrent", 0, 0);
            check("NOT VALID", "strong", 300, 7000);
            check("VALIDATE CONSTRAINT", "weak", 0, 0);
            site.assert_no_trace();
        }
    }
}

#[test]
fn settings_that_shadow_the_floor_do_not_shadow_the_guard() {
    for options in ["{'options': '-c lock_timeout=60000'}", "{'options': '', 'application_name': 'mine'}"] {
        let site = Site::any().with_orders(10);
        site.settings(options, "");
        site.migration("0002_paid", Some("0001_initial"), PROBES);
        site.run(&[]).expect(0, &["put options", "timeouts are set on the connection itself"]);
        let seen = site.client().value("SELECT string_agg(step || lock || statement, ' ' ORDER BY step) FROM seen");
        assert_eq!(seen, "strong400ms10s weak00");
        site.assert_no_trace();
    }
}

#[test]
fn a_python_that_ignores_the_environment_is_refused() {
    let site = Site::any().with_orders(10);
    site.migration("0002_paid", Some("0001_initial"), PROBES);
    let python = site.django.python().display().to_string();
    for flag in ["-I", "-E", "-S", "-Is"] {
        let run = site.run_command(&[], &[&python, flag, "manage.py", "migrate"]);
        run.expect(1, &["does not import zdm's module from PYTHONPATH"]);
    }
    // Where the interpreter is not plain to see, nobody reports.
    let shell = format!("unset PYTHONPATH; {python} manage.py showmigrations");
    let run = site.run_command(&[], &["sh", "-c", &shell, "manage.py"]);
    run.expect(1, &["does not run under guard"]);
    site.migration("0002_paid", Some("0001_initial"), "operations = [migrations.RunSQL('SELECT pg_sleep(600)')]");
    let shell = format!("unset PYTHONPATH; {python} manage.py migrate");
    let run = site.run_command(&[], &["sh", "-c", &shell, "manage.py"]);
    run.expect(1, &["does not run under guard"]);
    // A command that needs no database has nothing to report.
    site.run_command(&[], &["sh", "-c", &format!("{python} manage.py check"), "manage.py"]).expect(0, &["no issues"]);
    assert_eq!(site.client().value("SELECT count(*) FROM django_migrations"), "1");
    site.assert_no_trace();
}

#[test]
fn output_and_exit_code_are_the_commands() {
    let site = Site::any().with_orders(10);
    let run = site.run_command(&[], &["sh", "-c", "echo out; echo err >&2; exit 7"]);
    run.expect(4, &["the command ended with exit code 7"]);
    assert_eq!(run.stdout, "out\n");
    assert!(run.stderr.starts_with("err\n"), "{run:#?}");
    assert_eq!(run.report["command_exit"], 7);
    let run = site.run_command(&[], &["sh", "-c", "kill -KILL $$"]);
    run.expect(4, &["the command was ended by signal 9"]);
    assert_eq!(run.report["command_exit"], 137);
    site.run_command(&[], &["/nowhere/python", "manage.py", "migrate"]).expect(2, &["/nowhere/python"]);
    site.run_command(&["--phase", "before"], &["true"]).expect(2, &["the command is not Django's"]);
    site.run_command(&["--lock-timeout", "0"], &["true"]).expect(2, &["--lock-timeout"]);
    site.run_command(&["--cancel-blockers", "all"], &["true"]).expect(2, &["names nobody"]);
    site.run_command(&["--allow", "0042"], &[]).expect(2, &["--allow names a migration as app.0042"]);
    site.run_command(&["--consent", "/nowhere"], &[]).expect(2, &["cannot read the consent file"]);
    site.run_command(&["--dsn", "host=/nowhere"], &["true"]).expect(4, &["cannot connect"]);
    // What cannot be written at the end is told before anything runs.
    let mut zdm = std::process::Command::new(env!("CARGO_BIN_EXE_zdm"));
    zdm.current_dir(site.path()).args([
        "migrate",
        "--dsn",
        &site.database.conninfo(),
        "--report",
        "/nowhere/report.json",
    ]);
    let output = zdm.args(["--", "sh", "-c", ": > ran"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("--report: /nowhere/report.json cannot be written"), "{text}");
    assert!(!site.path().join("ran").exists());
    let run = site.zdm(&["--plan"], &[]).args(["--nonsense"]).output().unwrap();
    assert_eq!(run.status.code(), Some(2));
    site.assert_no_trace();
}

#[test]
fn a_migration_that_fails_by_itself_shows_its_own_error() {
    let site = Site::any().with_orders(10);
    site.migration(
        "0002_unique",
        Some("0001_initial"),
        "operations = [migrations.AlterField('order', 'note', models.TextField(unique=True))]",
    );
    let run = site.run(&[]);
    run.expect(4, &["could not create unique index", "IntegrityError", "the command ended with exit code 1"]);
    assert_eq!(run.report["migrations"][0]["error"]["sqlstate"], "23505", "{run:#?}");
    assert_eq!(run.report["migrations"][0]["attempts"], 1);
    for text in ["lock_timeout", "statement timeout", "attempt"] {
        assert!(!run.stderr.contains(text), "{run:#?}");
    }
    site.assert_no_trace();
}

#[test]
fn another_framework_runs_with_the_floor() {
    let site = Site::new(*majors_for("zdm migrate").last().unwrap(), Django::available().last().unwrap().version())
        .with_orders(10);
    let python = site.django.python().display().to_string();
    let script = "import os, psycopg\n\
                  c = psycopg.connect(os.environ['TARGET'])\n\
                  print(c.execute(\"SELECT current_setting('lock_timeout') || ' ' || \
                  current_setting('client_connection_check_interval') || ' ' || \
                  current_setting('application_name')\").fetchone()[0])\n";
    site.write("tool.py", script);
    let mut zdm = site.zdm(&["--lock-timeout", "350ms"], &[&python, "tool.py"]);
    let output = zdm.env("TARGET", site.database.conninfo()).env("PGOPTIONS", "-c work_mem=8MB").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("350ms 1s zdm migrate "), "{text} {}", String::from_utf8_lossy(&output.stderr));
    site.assert_no_trace();
}

#[test]
fn the_database_comes_from_the_settings_or_must_be_the_same() {
    let site = Site::any().with_orders(10);
    site.migration("0002_paid", Some("0001_initial"), PROBES);
    let other = site.database.server().database();
    let mut zdm = site.zdm(&[], &[]);
    let output = zdm.env("DATABASE_URL", other.url()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("is not the one that zdm is connected to"), "{text}");
    assert_eq!(site.client().value("SELECT count(*) FROM django_migrations"), "1");
    // Secrets stay out of what is shown.
    let dsn = format!("{} password=hunter2", site.database.conninfo());
    let run = site.run(&["--dsn", &dsn]);
    run.expect(0, &["Applying shop.0002_paid... OK"]);
    assert!(!format!("{run:?}").contains("hunter2"));
}

/// What the questions cost a migration that saves row by row.
#[test]
fn statements_that_change_rows_are_asked_about_once() {
    let site = Site::any().with_orders(3000);
    site.migration(
        "0002_rows",
        Some("0001_initial"),
        "def save(apps, editor):\n\
         \x20   for order in apps.get_model('shop', 'Order').objects.all():\n\
         \x20       order.note = 'y'\n\
         \x20       order.save()\n\
         operations = [run(save)]",
    );
    let copy = site.copy();
    copy.migration("0002_rows", Some("0001_initial"), "operations = []");
    std::fs::copy(site.path().join("shop/migrations/0002_rows.py"), copy.path().join("shop/migrations/0002_rows.py"))
        .unwrap();
    let begun = Instant::now();
    assert!(copy.manage(&["migrate", "-v0"]).status.success());
    let alone = begun.elapsed();
    let run = site.run(&[]);
    run.expect(0, &["Applying shop.0002_rows... OK"]);
    println!("3,000 saves: {alone:?} alone, {:?} guarded, starts included", run.took);
    let updates = run.statements("UPDATE");
    assert_eq!(updates.len(), 1, "{run:?}");
    assert_eq!(updates[0]["repeated"], 2999);
    assert_eq!(site.client().value("SELECT count(*) FROM shop_order WHERE note = 'y'"), "3000");
}

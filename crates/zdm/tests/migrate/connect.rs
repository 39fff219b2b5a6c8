//! How the watcher and the command reach the server: TLS, SCRAM, password and service files, pools, threads, a terminal,
//! several databases.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use zdm_testkit::{Django, Server, ServerOptions, majors_for};

use crate::site::{Site, until};

const ADD: &str = "operations = [migrations.AddField('order', 'paid', models.BooleanField(null=True))]";

/// A server that takes nothing but TLS and SCRAM over TCP, with the certificate that signs itself.
fn tls_server(directory: &std::path::Path) -> Server {
    let output = Command::new("openssl")
        .current_dir(directory)
        .args(
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
             -keyout own.key -out own.crt"
                .split_whitespace(),
        )
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
    let server = ServerOptions::default()
        .quiet()
        .tcp()
        .file("server.crt", &read("own.crt"))
        .file("server.key", &read("own.key"))
        .file("hba", "local all all trust\nhostssl all secret all scram-sha-256\n")
        .set("ssl", "on")
        .set("ssl_cert_file", "../server.crt")
        .set("ssl_key_file", "../server.key")
        .set("hba_file", "../hba")
        .start(*majors_for("zdm migrate").last().unwrap());
    server.connect("postgres").sql("CREATE ROLE secret LOGIN SUPERUSER PASSWORD 'pass word'");
    server
}

/// Settings of the site for this host, user and password.
fn settings(site: &Site, more: &str, options: &str) {
    let (name, port) = (site.database.name(), site.database.server().port());
    site.write(
        "site_settings.py",
        &format!(
            "SECRET_KEY = 'x'\nUSE_TZ = True\nDEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'\n\
             INSTALLED_APPS = ['shop']\n\
             DATABASES = {{'default': {{'ENGINE': 'django.db.backends.postgresql', 'HOST': 'localhost', \
             'PORT': {port}, 'NAME': '{name}', 'USER': 'secret', {more} 'OPTIONS': {options}}}}}\n"
        ),
    );
}

#[test]
fn tls_and_scram_as_the_settings_say() {
    let folder = tempfile::tempdir().unwrap();
    let server = tls_server(folder.path());
    let root = folder.path().join("own.crt").display().to_string();
    let full = format!("{{'sslmode': 'verify-full', 'sslrootcert': '{root}'}}");
    let newest = *majors_for("zdm migrate").last().unwrap();
    let djangos = Django::available();
    let oldest = djangos.iter().find(|django| django.supports(newest)).unwrap();
    for django in [oldest, djangos.last().unwrap()] {
        let site = Site::on(&server, django.version()).with_orders(10);
        site.migration("0002_paid", Some("0001_initial"), ADD);
        settings(&site, "'PASSWORD': 'pass word',", &full);
        let run = site.run(&[]);
        run.expect(0, &["Applying shop.0002_paid... OK"]);
        assert!(!format!("{run:?}{}", run.report).contains("pass word"));

        // The password from a file, the place from a service.
        site.migration("0003_due", Some("0002_paid"), &ADD.replace("paid", "due"));
        let passfile = site.path().join("passwords");
        fs::write(&passfile, format!("localhost:{}:*:secret:pass word\n", server.port())).unwrap();
        fs::set_permissions(&passfile, fs::Permissions::from_mode(0o600)).unwrap();
        settings(
            &site,
            "",
            &format!("{{'sslmode': 'verify-full', 'sslrootcert': '{root}', 'passfile': '{}'}}", passfile.display()),
        );
        site.write(
            "services",
            &format!(
                "[here]\nhost=localhost\nport={}\ndbname={}\nuser=secret\nsslmode=verify-full\nsslrootcert={root}\npassfile={}\n",
                server.port(),
                site.database.name(),
                passfile.display()
            ),
        );
        let mut zdm = site.zdm(&["--dsn", "service=here"], &[]);
        let output = zdm.env("PGSERVICEFILE", site.path().join("services")).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{text}");

        settings(&site, "'PASSWORD': 'wrong',", &full);
        site.run(&[]).expect(4, &["password authentication failed"]);
        settings(&site, "'PASSWORD': 'pass word',", "{'sslmode': 'verify-full', 'sslrootcert': '/nowhere/root.crt'}");
        site.run(&[]).expect(4, &["does not exist"]);
        settings(&site, "'PASSWORD': 'pass word',", &full);
        site.run(&[]).expect(0, &["No migrations to apply"]);
        site.assert_no_trace();
    }
}

/// A migration whose threads open connections of their own.
const THREADS: &str = "\
def work(apps, editor):
    import threading
    from django.db import connections
    failures = []
    def one(number):
        try:
            with connections['default'].cursor() as cursor:
                cursor.execute('ALTER TABLE part_%d ADD COLUMN found text' % number)
                cursor.execute(\"INSERT INTO seen SELECT current_setting('lock_timeout'), %s\", [number])
        except BaseException as error:
            failures.append(error)
        finally:
            connections['default'].close()
    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    if failures:
        raise failures[0]
atomic = False
operations = [run(work)]
";

#[test]
fn connections_of_threads_are_under_guard() {
    for options in ["{}", "{'pool': {'min_size': 2, 'max_size': 6}}"] {
        let newest = Django::available().last().unwrap().version().to_owned();
        let site = if options == "{}" {
            Site::any()
        } else if newest.as_str() >= "5.1" {
            Site::new(*majors_for("zdm migrate").last().unwrap(), &newest)
        } else {
            zdm_testkit::skip::record("zdm migrate", "no Django with pools is provisioned");
            continue;
        };
        let site = site.with_orders(10);
        site.settings(options, "");
        let client = site.client();
        client.sql(
            "CREATE TABLE seen (lock text, number int); CREATE TABLE part_0 (); CREATE TABLE part_1 (); \
             CREATE TABLE part_2 (); CREATE TABLE part_3 ()",
        );
        site.migration("0002_threads", Some("0001_initial"), THREADS);
        let run = site.run(&["--lock-timeout", "350ms"]);
        run.expect(0, &["Applying shop.0002_threads... OK"]);
        assert_eq!(run.statements("ALTER TABLE part_").len(), 4, "{run:?}");
        // The statement after a strong one is a weak one's.
        assert_eq!(client.value("SELECT string_agg(DISTINCT lock, ' ') FROM seen"), "0", "{run:?}");
        for statement in run.statements("ALTER TABLE part_") {
            assert_eq!(
                (&statement["class"], &statement["lock_timeout_ms"]),
                (&"strong".into(), &350.into()),
                "{run:?}"
            );
        }
        // One of them blocks somebody: the watcher finds it among the others.
        client.sql("DROP TABLE part_2");
        client.sql("CREATE TABLE part_2 (id int)");
        client.sql(
            "DELETE FROM django_migrations WHERE name > '0002'; ALTER TABLE part_0 DROP found; \
                    ALTER TABLE part_1 DROP found; ALTER TABLE part_3 DROP found",
        );
        let holder = site.client();
        holder.sql("BEGIN; SELECT * FROM part_2");
        let running = site.start(&["--lock-timeout", "900ms"], &[]);
        let watch = site.client();
        until("wait", || {
            watch.value(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
            ) != "0"
        });
        holder.sql("COMMIT");
        site.finish(running).expect(0, &["Applying shop.0002_threads... OK"]);
        site.assert_no_trace();
    }
}

/// Ctrl-C at a terminal: the signal goes to every process of the foreground, `zdm` and the command alike.
#[test]
fn a_typed_interrupt_ends_the_run_once() {
    const TERMINAL: &str = "\
import os, pty, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
output = b''
typed = False
while True:
    try:
        data = os.read(terminal, 65536)
    except OSError:
        break
    if not data:
        break
    output += data
    if not typed and os.path.exists('ready'):
        os.write(terminal, b'\\x03')
        typed = True
    elif not typed:
        # The next line of the command comes when it is ready.
        continue
os.write(1, output)
status = os.waitpid(pid, 0)[1]
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
";
    for command in ["manage", "shell"] {
        let site = Site::any().with_orders(10);
        site.write("terminal.py", TERMINAL);
        site.migration(
            "0002_slow",
            Some("0001_initial"),
            "operations = [\n\
             \x20   migrations.AddField('order', 'paid', models.BooleanField(null=True)),\n\
             \x20   run(lambda apps, editor: (open('ready', 'w').close(), print('ready', flush=True))),\n\
             \x20   migrations.RunSQL('SELECT pg_sleep(600)'),\n]",
        );
        let zdm = match command {
            "manage" => site.zdm(&["--statement-timeout", "10min"], &[]),
            _ => site.zdm(
                &[],
                &["sh", "-c", "trap 'echo trapped; exit 9' INT; : > ready; echo ready; while :; do sleep 0.1; done"],
            ),
        };
        let mut terminal = site.django.command();
        terminal
            .arg("terminal.py")
            .arg(zdm.get_program())
            .args(zdm.get_args())
            .current_dir(site.path())
            .env("TMPDIR", site.path());
        let output = terminal.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(130), "{command}: {text}");
        assert!(text.contains("interrupted"), "{command}: {text}");
        if command == "shell" {
            assert_eq!(text.matches("trapped").count(), 1, "the command hears it once: {text}");
        }
        assert_eq!(site.client().value("SELECT count(*) FROM django_migrations"), "1");
        site.assert_no_trace();
    }
}

#[test]
fn the_database_of_an_alias() {
    let site = Site::any().with_orders(10);
    let other = site.database.server().database();
    let server = site.database.server();
    let entry = |name: &str| {
        format!(
            "{{'ENGINE': 'django.db.backends.postgresql', 'HOST': '{}', 'PORT': {}, 'NAME': '{name}', 'USER': '{}'}}",
            server.socket_dir().display(),
            server.port(),
            zdm_testkit::USER
        )
    };
    site.settings(
        "{}",
        &format!("DATABASES = {{'default': {}, 'other': {}}}", entry(site.database.name()), entry(other.name())),
    );
    let python = site.django.python().display().to_string();
    // The command says which.
    for words in [&["migrate", "--database", "other"][..], &["migrate", "--database=other"]] {
        let command: Vec<&str> = [python.as_str(), "manage.py"].into_iter().chain(words.iter().copied()).collect();
        site.run_command(&[], &command).expect(0, &[]);
    }
    assert_eq!(other.connect().value("SELECT count(*) FROM shop_order"), "0");
    site.migration("0002_paid", Some("0001_initial"), ADD);
    let status = site.zdm(&["status", "--database", "other"], &[]).output().unwrap();
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(text.contains("shop.0002_paid"), "{text} {}", String::from_utf8_lossy(&status.stderr));
    site.run(&["--database", "other"]).expect(1, &["is not the one that zdm is connected to"]);
    let nowhere = site.zdm(&["status", "--database", "nowhere"], &[]).output().unwrap();
    let text = String::from_utf8_lossy(&nowhere.stderr).into_owned();
    assert_eq!(nowhere.status.code(), Some(2), "{text}");
    assert!(text.contains("there is no DATABASES[\"nowhere\"], only default, other"), "{text}");
    site.run(&["--database", "other", "--dsn", &site.database.conninfo()]).expect(2, &["give one of them"]);
    site.assert_no_trace();
}

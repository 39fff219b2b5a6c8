//! How runs end: two at once, signals, lost watchers, poolers.

use std::process::{Command, Stdio};

use zdm_testkit::{Account, skip};

use crate::site::{Site, until};

const CONCURRENT: &str = "atomic = False\n\
                          operations = [AddIndexConcurrently('order', models.Index(fields=['total'], name='order_total'))]";

fn kill(pid: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

#[test]
fn two_deploys_at_once_are_one_after_the_other() {
    let site = Site::any().with_orders(10);
    site.migration("0002_slow", Some("0001_initial"), "operations = [run(lambda apps, editor: until('go'))]");
    let first = site.start(&[], &[]);
    until("lock", || site.client().value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") != "0");
    let refused = site.run(&["--if-running", "exit"]);
    refused.expect(1, &["another `zdm migrate` runs on this database"]);
    let second = site.start(&[], &[]);
    second.until_told("waiting: another `zdm migrate` runs");
    site.write("go", "");
    site.finish(first).expect(0, &["Applying shop.0002_slow... OK"]);
    site.finish(second).expect(0, &["No migrations to apply"]);
    site.assert_no_trace();
}

#[test]
fn signals_reach_the_command_and_leave_no_wreck() {
    for signal in ["-INT", "-TERM"] {
        let site = Site::any().with_orders(100);
        site.migration("0002_index", Some("0001_initial"), CONCURRENT);
        site.client().sql("CREATE TABLE elsewhere ()");
        let holder = site.client();
        holder.sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM elsewhere");
        let running = site.start(&[], &[]);
        until("build", || site.invalid_indexes() == "1");
        kill(running.child.id(), signal);
        let run = site.finish(running);
        run.expect(130, &["interrupted"]);
        assert_eq!(site.invalid_indexes(), "0", "{run:?}");
        assert_eq!(run.report["invalid_indexes"][0]["dropped"], true);
        site.assert_no_trace();
        holder.sql("COMMIT");
        site.run(&[]).expect(0, &["Applying shop.0002_index... OK"]);
    }
}

#[test]
fn a_watcher_that_loses_its_connection_stops_the_run() {
    let site = Site::any().with_orders(10);
    site.migration(
        "0002_slow",
        Some("0001_initial"),
        "operations = [\n\
         \x20   migrations.AddField('order', 'paid', models.BooleanField(null=True)),\n\
         \x20   migrations.RunSQL('SELECT pg_sleep(600)'),\n]",
    );
    let running = site.start(&["--statement-timeout", "20min"], &[]);
    let client = site.client();
    until("statement", || {
        client.value("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'") == "1"
    });
    client.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'zdm watcher' AND datname = current_database()");
    let run = site.finish(running);
    run.expect(4, &["the watcher lost its connection"]);
    assert_eq!(client.value("SELECT count(*) FROM django_migrations"), "1");
    site.assert_no_trace();
    site.migration("0002_slow", Some("0001_initial"), "operations = []");
    site.run(&[]).expect(0, &["Applying shop.0002_slow... OK"]);
}

#[test]
fn another_command_ends_with_a_killed_zdm() {
    let site = Site::any().with_orders(10);
    let mut running = site.start(&[], &["sh", "-c", "echo $$ > pid; exec sleep 600"]);
    let pid = site.path().join("pid");
    until("command", || std::fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n')));
    let pid: u32 = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    until("end of the command", || {
        // An ended process that nobody waits for is still listed, with another state.
        std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
    });
}

/// A pgbouncer in front of the site's server, until it is dropped.
struct Pooler {
    child: std::process::Child,
    port: u16,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn pooler(site: &Site, mode: &str, more: &str) -> Option<Pooler> {
    let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/sbin/pgbouncer"]
        .into_iter()
        .find(|path| std::path::Path::new(path).is_file());
    let Some(program) = program else {
        skip::record("zdm migrate", "pgbouncer is not installed");
        return None;
    };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = site.database.server();
    let account = Account::current().unwrap();
    let folder = tempfile::Builder::new().prefix("zdm-bouncer-").tempdir_in(account.temporary()).unwrap();
    let (host, name, user) = (server.socket_dir().display(), site.database.name(), zdm_testkit::USER);
    let users = folder.path().join("users.txt");
    std::fs::write(&users, format!("\"{user}\" \"\"\n")).unwrap();
    let file = folder.path().join("pgbouncer.ini");
    std::fs::write(
        &file,
        format!(
            "[databases]\n{name} = host={host} port={} dbname={name}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\n{more}\n",
            server.port(),
            users.display()
        ),
    )
    .unwrap();
    for path in [folder.path(), users.as_path(), file.as_path()] {
        account.own(path).unwrap();
    }
    let mut command = account.command(program);
    let child = command.arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("pooler", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    // It has read its files by now.
    drop(folder);
    Some(Pooler { child, port })
}

#[test]
fn a_pooler_in_transaction_mode_is_refused() {
    let site = Site::any().with_orders(10);
    site.migration(
        "0002_paid",
        Some("0001_initial"),
        "operations = [migrations.AddField('order', 'paid', models.BooleanField(null=True))]",
    );
    let direct = site.database.conninfo();
    let Some(transaction) = pooler(&site, "transaction", "") else { return };
    site.settings_at("127.0.0.1", transaction.port, "{}", "");
    // The watcher's own connection, from the settings.
    site.run(&[]).expect(1, &["a pooler in transaction mode (such as pgbouncer)"]);
    // The command's alone, which does not even pass on the floor.
    site.run(&["--dsn", &direct]).expect(1, &["a pooler that does not pass on PGOPTIONS (such as pgbouncer)"]);
    let Some(lenient) = pooler(&site, "transaction", "ignore_startup_parameters = options") else { return };
    site.settings_at("127.0.0.1", lenient.port, "{}", "");
    site.run(&["--dsn", &direct]).expect(1, &["is behind a pooler in transaction mode (such as pgbouncer)"]);
    assert_eq!(site.client().value("SELECT count(*) FROM django_migrations"), "1");
    // One client, one session: nothing is wrong with that.
    let Some(session) = pooler(&site, "session", "ignore_startup_parameters = options") else { return };
    site.settings_at("127.0.0.1", session.port, "{}", "");
    site.run(&["--dsn", &direct]).expect(0, &["Applying shop.0002_paid... OK"]);
    drop((transaction, lenient, session));
    site.assert_no_trace();
}

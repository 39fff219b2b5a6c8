//! SIGKILL at random points: of `zdm`, of the command, of a server process. Each is followed by a run that succeeds, and
//! by the same schema.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use zdm_testkit::{Client, ServerOptions};

use crate::site::{Site, until};

/// Kills of a process each, without and with those of the server's.
const KILLS: u32 = 40;
const SERVER_KILLS: u32 = 10;

#[derive(Clone, Copy, Debug)]
enum Target {
    Wrapper,
    Child,
    Backend,
}

/// Atomic migrations with deferred SQL and data, one that is not atomic with concurrent builds among other changes, and a
/// foreign key.
fn history(site: &Site) {
    site.migration(
        "0002_lines",
        Some("0001_initial"),
        "operations = [\n\
         \x20   migrations.CreateModel('Line', [\n\
         \x20       ('id', models.BigAutoField(primary_key=True)),\n\
         \x20       ('order', models.ForeignKey('shop.Order', models.CASCADE)),\n\
         \x20       ('code', models.CharField(max_length=20, db_index=True)),\n\
         \x20   ]),\n\
         \x20   migrations.AddField('order', 'paid', models.BooleanField(null=True)),\n\
         \x20   run(lambda apps, editor: apps.get_model('shop', 'Order').objects.update(paid=True)),\n]",
    );
    site.migration(
        "0003_indexes",
        Some("0002_lines"),
        "atomic = False\n\
         operations = [\n\
         \x20   AddIndexConcurrently('order', models.Index(fields=['total'], name='order_total')),\n\
         \x20   migrations.AddField('order', 'rank', models.IntegerField(default=7)),\n\
         \x20   migrations.RunSQL('ALTER TABLE shop_order ADD CONSTRAINT ranked CHECK (rank > 0) NOT VALID'),\n\
         \x20   migrations.RunSQL('ALTER TABLE shop_order VALIDATE CONSTRAINT ranked'),\n\
         \x20   AddIndexConcurrently('order', models.Index(fields=['-paid', 'total'], name='order_paid')),\n]",
    );
    site.migration(
        "0004_more",
        Some("0003_indexes"),
        "operations = [\n\
         \x20   migrations.AddField('order', 'due', models.DateField(null=True, db_index=True)),\n\
         \x20   migrations.RunSQL('SELECT pg_sleep(0.1)'),\n\
         \x20   migrations.AlterField('order', 'note', models.TextField(default='', db_index=True)),\n]",
    );
}

fn schema(client: &Client) -> String {
    client.value(
        "SELECT string_agg(line, E'\\n' ORDER BY line) FROM ( \
           SELECT format('%s.%s %s %s', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull) \
           FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid \
           WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped \
           UNION ALL SELECT format('%s %s', pg_get_indexdef(indexrelid), indisvalid) FROM pg_index \
           JOIN pg_class ON pg_class.oid = indexrelid WHERE relnamespace = 'public'::regnamespace \
           UNION ALL SELECT format('%s %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint \
           WHERE connamespace = 'public'::regnamespace AND contype <> 'n' \
           UNION ALL SELECT app || name FROM django_migrations \
           UNION ALL SELECT format('paid %s', count(*)) FROM shop_order WHERE paid \
         ) AS lines(line)",
    )
}

/// Numbers that look random and are the same every time.
fn scatter(seed: u32) -> u32 {
    let mut x = seed.wrapping_mul(0x9e37_79b9) ^ 0x85eb_ca6b;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    x
}

fn child_of(parent: u32) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    text.split_ascii_whitespace().next()?.parse().ok()
}

fn kill(pid: u32) {
    // It may have ended in the meantime.
    drop(Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(std::process::Stdio::null()).status());
}

/// A server that was killed a process of restarts by itself.
fn connect(site: &Site) -> Client {
    until("server", || site.database.server().try_connect(site.database.name()).is_ok());
    site.client()
}

/// One kill, and the run after it. Whether the kill came in time.
fn once(original: &Site, number: u32, target: Target, window: u32, expect: &str) -> bool {
    let site = {
        // Two copies of one database at the same time would keep each other out.
        static COPYING: Mutex<()> = Mutex::new(());
        let _copying = COPYING.lock().unwrap_or_else(PoisonError::into_inner);
        original.copy()
    };
    // A sequence in a copied database forgets values in a crash before the next checkpoint: its page says that they were
    // logged, which they were in the original.
    site.client().sql("CHECKPOINT");
    history(&site);
    let mut running = site.start(&["--wait", "3min"], &[]);
    // One in eight dies before the command has come to the database.
    if number % 8 != 7 {
        let client = connect(&site);
        while running.child.try_wait().unwrap().is_none()
            && client.value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'zdm migrate %' AND datname = current_database()") == "0"
        {
            thread::sleep(Duration::from_millis(2));
        }
    }
    let pause = Duration::from_millis(u64::from(scatter(number) % window));
    thread::sleep(pause);
    let in_time = running.child.try_wait().unwrap().is_none();
    match target {
        Target::Wrapper => running.child.kill().unwrap(),
        Target::Child => child_of(running.child.id()).into_iter().for_each(kill),
        Target::Backend => {
            let rows = connect(&site).sql(
                "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'zdm migrate %' \
                 AND datname = current_database()",
            );
            rows.into_iter().flatten().flatten().for_each(|pid| kill(pid.parse().unwrap()));
        }
    }
    let first = site.finish(running);
    // Nothing that blocks survives.
    until("end of all sessions", || {
        connect(&site)
            .try_sql(
                "SELECT 1 / (CASE WHEN count(*) = 0 THEN 1 ELSE 0 END) FROM pg_stat_activity \
             WHERE application_name LIKE 'zdm migrate %' AND datname = current_database()",
            )
            .is_ok()
    });
    let second = site.run(&["--wait", "3min"]);
    assert_eq!(second.exit, Some(0), "{target:?} number {number} after {pause:?}: {first:?}\n{second:?}");
    let found = schema(&connect(&site));
    assert_eq!(found, expect, "{target:?} number {number} after {pause:?}: {first:?}\n{second:?}");
    site.assert_no_trace();
    in_time
}

/// `0001_initial` with its rows, on a server that may crash.
fn original() -> Site {
    let server = ServerOptions::default().quiet().start(*zdm_testkit::available_majors().last().unwrap());
    Site::on(&server, zdm_testkit::Django::available().last().unwrap().version()).with_orders(3000)
}

/// The schema of a run that nobody disturbs, and how long its migrations take, in milliseconds.
fn undisturbed(original: &Site) -> (String, u32) {
    let site = original.copy();
    history(&site);
    let run = site.run(&[]);
    run.expect(0, &["Applying shop.0004_more... OK"]);
    let migrations = run.report["migrations"].as_array().unwrap();
    let seconds: f64 = migrations.iter().map(|migration| migration["seconds"].as_f64().unwrap()).sum();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred")]
    (schema(&site.client()), (seconds * 1000.0) as u32 + 100)
}

#[test]
fn after_a_kill_the_next_run_succeeds() {
    let original = original();
    let (expect, took) = undisturbed(&original);
    let (next, in_time) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= KILLS {
                        break;
                    }
                    let target = if number % 2 == 0 { Target::Wrapper } else { Target::Child };
                    // Three at once take longer than one alone.
                    in_time.fetch_add(u32::from(once(&original, number, target, took, &expect)), Ordering::Relaxed);
                }
            });
        }
    });
    let in_time = in_time.into_inner();
    println!("{KILLS} kills, {in_time} of them before the end of the run");
    assert!(in_time * 2 > KILLS, "only {in_time} kills came in time");
}

#[test]
fn after_a_crash_of_the_server_the_next_run_succeeds() {
    let original = original();
    let (expect, took) = undisturbed(&original);
    for number in 0..SERVER_KILLS {
        once(&original, 100 + number, Target::Backend, took, &expect);
    }
}

//! Beside real sessions: readers, lock cycles, old snapshots, sessions that we block.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use zdm_testkit::Client;

use crate::site::{Site, until};

const ADD: &str = "operations = [migrations.AddField('order', 'paid', models.BooleanField(null=True))]";

/// A session that reads `shop_order` inside a transaction and holds on to it.
fn reader(site: &Site) -> Client {
    let reader = site.client();
    reader.sql("BEGIN; SELECT count(*) FROM shop_order");
    reader
}

/// The longest of a statement that is sent again and again beside the run, until `stop` is gone.
fn longest(site: &Site, sql: &'static str, stop: Weak<()>) -> thread::JoinHandle<Duration> {
    let client = site.client();
    thread::spawn(move || {
        let mut longest = Duration::ZERO;
        while stop.upgrade().is_some() {
            let begun = Instant::now();
            client.sql(sql);
            longest = longest.max(begun.elapsed());
            thread::sleep(Duration::from_millis(5));
        }
        longest
    })
}

#[test]
fn behind_a_reader_of_six_seconds_nobody_waits_longer_than_the_lock_timeout() {
    let site = Site::any().with_orders(1000);
    site.migration("0002_paid", Some("0001_initial"), ADD);
    // It begins to read when the migration is on its way, so that looking before the leap does not see it.
    let script = "import subprocess, sys, time\n\
                  open('begun', 'w').close()\n\
                  while True:\n    time.sleep(0.02)\n    import os\n    if os.path.exists('go'): break\n\
                  sys.exit(subprocess.call([sys.executable, 'manage.py', 'migrate']))\n";
    site.write("wait.py", script);
    let python = site.django.python().display().to_string();
    let running = site.start(&[], &[&python, "wait.py", "manage.py"]);
    until("start", || site.path().join("begun").exists());
    let holder = reader(&site);
    let held = Instant::now();
    site.write("go", "");
    let alive = Arc::new(());
    let reads = longest(&site, "SELECT 1 FROM shop_order LIMIT 1", Arc::downgrade(&alive));
    // How late the machine is, at the same time: a wait of 400 ms that no lock can make longer.
    let sleeps: Vec<_> = (0..3).map(|_| longest(&site, "SELECT pg_sleep(0.4)", Arc::downgrade(&alive))).collect();
    running.until_told("attempt 3 in");
    thread::sleep(Duration::from_secs(6).saturating_sub(held.elapsed()));
    holder.sql("COMMIT");
    let run = site.finish(running);
    drop(alive);
    let longest = reads.join().unwrap();
    let slept = sleeps.into_iter().map(|sleep| sleep.join().unwrap()).max().unwrap();
    let late = slept.saturating_sub(Duration::from_millis(400));
    run.expect(0, &["the lock was not to be had within lock_timeout; attempt 2", "Applying shop.0002_paid...", " OK"]);
    assert_eq!(run.stdout.matches("Applying").count(), 1, "{run:#?}");
    println!("the longest read beside the migration took {longest:?}; the machine was {late:?} late");
    // The timeout that ends the wait, the reader that goes on and its answer may each be late.
    assert!(longest < Duration::from_millis(450) + late * 3, "{longest:?}, {late:?} late");
    let attempts = run.report["migrations"][0]["attempts"].as_u64().unwrap();
    assert!((3..=8).contains(&attempts), "{run:#?}");
    // The server's own clock ended each of them.
    for waited in run.statements("ADD COLUMN") {
        assert_eq!(waited["lock_timeout_ms"], 400, "{run:#?}");
    }
    let waited = run.statements("ADD COLUMN");
    assert!(waited[0]["waited_seconds"].as_f64().unwrap() > 0.1, "{run:#?}");
    assert_eq!(waited[0]["blockers"][0]["application"], "zdm-test", "{run:#?}");
    assert_eq!(waited[0]["blockers"][0]["query"], serde_json::Value::Null);
    site.assert_no_trace();
}

#[test]
fn old_transactions_are_listed_waited_for_or_end_the_run() {
    let site = Site::any().with_orders(10);
    site.migration("0002_paid", Some("0001_initial"), ADD);
    let holder = reader(&site);
    thread::sleep(Duration::from_millis(500));
    let run = site.run(&["--wait", "0s", "--show-queries"]);
    run.expect(3, &["old transactions hold locks", "shop_order (ACCESS SHARE)", "zdm-test", "SELECT count(*)"]);
    let run = site.run(&["--wait", "600ms"]);
    run.expect(3, &["zdm: waiting: old transactions"]);
    assert!(!run.stderr.contains("SELECT count(*)"));
    let running = site.start(&["--wait"], &[]);
    running.until_told("zdm: waiting: old transactions");
    holder.sql("COMMIT");
    let run = site.finish(running);
    run.expect(0, &["old transactions hold locks", "Applying shop.0002_paid... OK"]);
    assert_eq!(run.report["migrations"][0]["attempts"], 1, "{run:#?}");
    // A transaction on another table is in nobody's way.
    site.client().sql("CREATE TABLE elsewhere ()");
    let other = site.client();
    other.sql("BEGIN; SELECT count(*) FROM elsewhere");
    site.migration("0003_due", Some("0002_paid"), &ADD.replace("paid", "due"));
    thread::sleep(Duration::from_millis(500));
    site.run(&["--wait", "0s"]).expect(0, &["Applying shop.0003_due... OK"]);
    site.assert_no_trace();
}

#[test]
fn retries_have_an_end() {
    let site = Site::any().with_orders(10);
    site.migration("0002_paid", Some("0001_initial"), ADD);
    // A lock that looking before the leap does not know of: the migration's Python takes it.
    site.migration(
        "0002_paid",
        Some("0001_initial"),
        "def slow(apps, editor):\n\
         \x20   with editor.connection.cursor() as cursor:\n\
         \x20       cursor.execute('LOCK TABLE other IN ACCESS EXCLUSIVE MODE')\n\
         operations = [run(slow)]",
    );
    site.client().sql("CREATE TABLE other ()");
    let holder = site.client();
    holder.sql("BEGIN; LOCK TABLE other IN ROW SHARE MODE");
    let run = site.run(&["--retries", "2", "--lock-timeout", "100ms"]);
    run.expect(3, &["gave up on shop.0002_paid after 3 attempts", "nothing of it is applied"]);
    assert_eq!(run.report["migrations"][0]["attempts"], 3);
    assert_eq!(run.report["outcome"], "gave_up");
    // Named, the blocker is ended.
    let run = site.run(&["--cancel-blockers", "application=zdm-te*", "--lock-timeout", "900ms"]);
    run.expect(0, &["ended as --cancel-blockers says: process"]);
    assert!(holder.try_sql("SELECT 1").is_err());
    site.assert_no_trace();
}

/// Whether the session waits for such a thing right now.
fn waits(watch: &Client, pid: &str, event: &str) -> bool {
    watch.value(&format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND {event}")) == "1"
}

#[test]
fn in_a_lock_cycle_the_migration_loses() {
    let site = Site::any().with_orders(10);
    site.client().sql("CREATE TABLE other (id int); INSERT INTO other VALUES (1)");
    // The same question again and again, before anything is written, is no reason not to run it again.
    let strong = "operations = [\n\
                  \x20   run(lambda apps, editor: [apps.get_model('shop', 'Order').objects.count() for _ in range(3)]),\n\
                  \x20   migrations.RunSQL('ALTER TABLE other ADD COLUMN a int'),\n\
                  \x20   run(lambda apps, editor: until('asked')),\n\
                  \x20   migrations.AddField('order', 'paid', models.BooleanField(null=True)),\n]";
    // Rows only: no lock_timeout is in force, and the watcher breaks the cycle.
    let rows = "def change(apps, editor):\n\
                \x20   with editor.connection.cursor() as cursor:\n\
                \x20       cursor.execute('UPDATE other SET id = 2')\n\
                \x20       until('asked')\n\
                \x20       cursor.execute('UPDATE shop_order SET total = 1')\n\
                operations = [run(change)]";
    for (name, after, body) in [("0002_strong", "0001_initial", strong), ("0003_rows", "0002_strong", rows)] {
        site.migration(name, Some(after), body);
        let application = site.client();
        application.sql("BEGIN; UPDATE shop_order SET note = 'y' WHERE id = 1");
        let running = site.start(&["--wait", "0s", "--lock-timeout", "400ms"], &[]);
        let watch = site.client();
        until("lock", || {
            watch.value(
                "SELECT count(*) FROM pg_locks WHERE relation = 'other'::regclass AND granted \
                 AND mode IN ('AccessExclusiveLock', 'RowExclusiveLock')",
            ) != "0"
        });
        // The application asks for what the migration holds; then the migration asks for what the application holds. How
        // soon the server looks for deadlocks would decide which of the two is slower on this machine.
        application.sql("SET deadlock_timeout = '10min'");
        let own = application.value("SELECT pg_backend_pid()");
        let application = thread::spawn(move || {
            application.sql("UPDATE other SET id = 3");
            application.sql("COMMIT");
        });
        until("wait of the application", || waits(&watch, &own, "wait_event_type = 'Lock'"));
        site.write("asked", "");
        application.join().unwrap();
        let run = site.finish(running);
        run.expect(0, &["attempt 2 in", &format!("Applying shop.{name}...")]);
        std::fs::remove_file(site.path().join("asked")).unwrap();
    }
    site.assert_no_trace();
}

#[test]
fn a_session_that_blocks_others_too_long_is_cancelled() {
    let site = Site::any().with_orders(10);
    // The second attempt is quick: the table has an entry by then that no rollback takes away.
    site.migration(
        "0002_slow",
        Some("0001_initial"),
        "def work(apps, editor):\n\
         \x20   import os\n\
         \x20   first = not os.path.exists('tried')\n\
         \x20   open('tried', 'w').close()\n\
         \x20   with editor.connection.cursor() as cursor:\n\
         \x20       cursor.execute('LOCK TABLE shop_order IN ACCESS EXCLUSIVE MODE')\n\
         \x20       if first:\n\
         \x20           cursor.execute('SELECT pg_sleep(600)')\n\
         operations = [run(work)]",
    );
    let running = site.start(&["--max-block", "700ms", "--statement-timeout", "20min"], &[]);
    let other = site.client();
    until("lock", || {
        other.value(
            "SELECT count(*) FROM pg_locks WHERE relation = 'shop_order'::regclass AND mode = 'AccessExclusiveLock'",
        ) != "0"
    });
    // By itself the migration would hold on for ten minutes.
    let begun = Instant::now();
    other.sql("SELECT count(*) FROM shop_order");
    println!("another session was blocked for {:?}", begun.elapsed());
    let run = site.finish(running);
    run.expect(0, &["kept process", "its statement was cancelled", "attempt 2 in"]);
    assert_eq!(run.report["interventions"][0]["action"], "cancelled");
    site.assert_no_trace();
}

#[test]
fn a_session_that_blocks_others_while_python_works_is_ended() {
    let site = Site::any().with_orders(10);
    site.migration(
        "0002_slow",
        Some("0001_initial"),
        "def work(apps, editor):\n\
         \x20   import os\n\
         \x20   first = not os.path.exists('tried')\n\
         \x20   open('tried', 'w').close()\n\
         \x20   with editor.connection.cursor() as cursor:\n\
         \x20       cursor.execute('LOCK TABLE shop_order IN ACCESS EXCLUSIVE MODE')\n\
         \x20       if first:\n\
         \x20           until('read')\n\
         \x20       cursor.execute('SELECT 1')\n\
         operations = [run(work)]",
    );
    let running = site.start(&["--max-block", "500ms"], &[]);
    let other = site.client();
    until("lock", || {
        other.value(
            "SELECT count(*) FROM pg_locks WHERE relation = 'shop_order'::regclass AND mode = 'AccessExclusiveLock'",
        ) != "0"
    });
    other.sql("SELECT count(*) FROM shop_order");
    site.write("read", "");
    let run = site.finish(running);
    run.expect(0, &["it was ended", "attempt 2 in"]);
    assert_eq!(run.report["interventions"][1]["action"], "terminated", "{run:#?}");
    site.assert_no_trace();
}

const CONCURRENT: &str = "atomic = False\n\
                          operations = [AddIndexConcurrently('order', models.Index(fields=['total'], name='order_total'))]";

#[test]
fn a_concurrent_build_beside_an_old_snapshot_waits_and_is_valid() {
    let site = Site::any().with_orders(1000);
    site.migration("0002_index", Some("0001_initial"), CONCURRENT);
    site.client().sql("CREATE TABLE elsewhere ()");
    let holder = site.client();
    holder.sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM elsewhere");
    let running = site.start(&[], &[]);
    until("build", || site.invalid_indexes() == "1");
    running.until_told("order_total: ");
    running.until_told("held up by process");
    holder.sql("COMMIT");
    let run = site.finish(running);
    run.expect(0, &["Applying shop.0002_index... OK"]);
    assert_eq!(site.invalid_indexes(), "0");
    assert_eq!(site.client().value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'order_total'::regclass"), "t");
    site.assert_no_trace();
}

#[test]
fn an_invalid_index_of_an_earlier_build_is_built_again() {
    let site = Site::any().with_orders(1000);
    site.migration("0002_index", Some("0001_initial"), CONCURRENT);
    let fail = |sql: &str| {
        let holder = site.client();
        holder.sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM shop_order");
        let builder = site.client();
        let pid = builder.value("SELECT pg_backend_pid()");
        let sql = sql.to_owned();
        let builder = thread::spawn(move || builder.fails(&sql));
        let watch = site.client();
        until("wait for the old snapshot", || {
            site.invalid_indexes() == "1" && waits(&watch, &pid, "wait_event = 'virtualxid'")
        });
        watch.sql(&format!("SELECT pg_cancel_backend({pid})"));
        assert_eq!(builder.join().unwrap(), "57014");
        assert_eq!(site.invalid_indexes(), "1");
    };
    fail("CREATE INDEX CONCURRENTLY order_total ON shop_order (total)");
    let run = site.run(&[]);
    run.expect(0, &["the index `order_total` of `shop_order` is INVALID", "Applying shop.0002_index... OK"]);
    assert_eq!(run.report["invalid_indexes"][0]["index"], "order_total");
    assert_eq!(site.invalid_indexes(), "0");
    // `IF NOT EXISTS` would keep a wreck in silence.
    site.migration(
        "0003_more",
        Some("0002_index"),
        "atomic = False\n\
         operations = [migrations.RunSQL('CREATE INDEX CONCURRENTLY IF NOT EXISTS order_note ON shop_order (note)')]",
    );
    fail("CREATE INDEX CONCURRENTLY order_note ON shop_order (note)");
    site.run(&[]).expect(0, &["the index `order_note` of `shop_order` is INVALID"]);
    assert_eq!(site.invalid_indexes(), "0");
    // What a killed run has finished but not recorded is not built twice.
    site.client().sql("DELETE FROM django_migrations WHERE name > '0002'");
    let run = site.run(&[]);
    let cut = "an earlier run of shop.0002_index was cut off after 1 of 1 statements";
    run.expect(0, &[cut, "nothing of it is left but to record it", "Applying shop.0002_index... OK"]);
    // Another definition under that name is nothing to go on with.
    site.client().sql(
        "DELETE FROM django_migrations WHERE name > '0002'; DROP INDEX order_total; \
         CREATE INDEX order_total ON shop_order (note)",
    );
    let other =
        "the index `order_total` of `shop_order` is `CREATE INDEX order_total ON public.shop_order USING btree (note)`";
    site.run(&[]).expect(1, &[other, "where the migration makes `CREATE INDEX order_total"]);
    site.assert_no_trace();
}

#[test]
fn a_statement_of_its_own_is_retried_where_it_stands() {
    let site = Site::any().with_orders(10);
    site.migration(
        "0002_parts",
        Some("0001_initial"),
        "atomic = False\n\
         operations = [\n\
         \x20   migrations.RunSQL('CREATE TABLE first_part ()'),\n\
         \x20   run(lambda apps, editor: until('read')),\n\
         \x20   migrations.RunSQL('ALTER TABLE shop_order ADD COLUMN part int'),\n]",
    );
    let running = site.start(&[], &[]);
    let other = site.client();
    until("first part", || other.value("SELECT count(*) FROM pg_class WHERE relname = 'first_part'") == "1");
    let holder = reader(&site);
    site.write("read", "");
    running.until_told("attempt 2 in");
    holder.sql("COMMIT");
    let run = site.finish(running);
    run.expect(0, &["`ALTER TABLE shop_order ADD COLUMN part int`: the lock was not to be had", "attempt 2 in"]);
    assert_eq!(run.report["migrations"][0]["attempts"], 1);
    // Inside a transaction of a migration of which a part is committed, nothing is safe.
    site.migration(
        "0003_parts",
        Some("0002_parts"),
        "atomic = False\n\
         def inside(apps, editor):\n\
         \x20   from django.db import transaction\n\
         \x20   with transaction.atomic():\n\
         \x20       with editor.connection.cursor() as cursor:\n\
         \x20           cursor.execute('ALTER TABLE shop_order ADD COLUMN late int')\n\
         operations = [\n\
         \x20   migrations.RunSQL('CREATE TABLE second_part ()'),\n\
         \x20   run(lambda apps, editor: until('read again')),\n\
         \x20   run(inside),\n]",
    );
    let running = site.start(&[], &[]);
    until("second part", || other.value("SELECT count(*) FROM pg_class WHERE relname = 'second_part'") == "1");
    let _holder = reader(&site);
    site.write("read again", "");
    let run = site.finish(running);
    run.expect(4, &["is not atomic and a part of it is committed, so it is not run again by itself"]);
    site.assert_no_trace();
}

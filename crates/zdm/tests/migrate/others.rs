//! Commands that are not Django's, tried again where the operator says that they may.

use std::path::Path;

use crate::site::{Site, until};

/// One transaction; says what failed as such programs do, and ends with 3.
const TOOL: &str = "\
import os, sys, psycopg
c = psycopg.connect(os.environ.get('TARGET') or '')
open('tries', 'a').write('x')
try:
    with c.transaction():
        c.execute(sys.argv[1])
except psycopg.Error as error:
    sys.stderr.write('tool: ERROR:  %s\\n' % error.diag.message_primary)
    sys.exit(3)
";

fn site() -> Site {
    let django = zdm_testkit::Django::available().into_iter().rev().find(|django| django.version() != "3.2").unwrap();
    let major = *zdm_testkit::majors_for("zdm migrate").last().unwrap();
    let site = Site::new(major, django.version()).with_orders(10);
    site.write("tool.py", TOOL);
    site
}

fn start(site: &Site, options: &[&str], sql: &str) -> crate::site::Running {
    let python = site.django.python().display().to_string();
    let mut zdm = site.zdm(options, &[&python, "tool.py", sql]);
    crate::site::Running::start(zdm.env("TARGET", site.database.conninfo()))
}

fn tries(site: &Site) -> usize {
    std::fs::read_to_string(site.path().join("tries")).map_or(0, |text| text.len())
}

#[test]
fn a_command_that_failed_for_a_lock_runs_again_where_it_may() {
    const ADD: &str = "ALTER TABLE shop_order ADD COLUMN extra int";
    let site = site();
    let holder = site.client();
    holder.sql("BEGIN; SELECT count(*) FROM shop_order");
    // Nobody said that it may run twice.
    let run = site.finish(start(&site, &["--lock-timeout", "100ms"], ADD));
    run.expect(4, &["the command ended with exit code 3", "tool: ERROR:  canceling statement due to lock timeout\n"]);
    assert_eq!(tries(&site), 1);

    let running = start(&site, &["--lock-timeout", "100ms", "--retry-command"], ADD);
    until("second try", || tries(&site) >= 3);
    holder.sql("COMMIT");
    let run = site.finish(running);
    run.expect(0, &["the command: the lock was not to be had within lock_timeout; attempt 2 in"]);
    assert_eq!(run.report["command_attempts"].as_u64().unwrap(), tries(&site) as u64 - 1, "{run:?}");
    // Its own failure is shown once.
    let run = site.finish(start(&site, &["--retry-command"], ADD));
    run.expect(4, &["already exists", "exit code 3"]);
    assert_eq!(run.report["command_attempts"], 1);

    holder.sql("BEGIN; SELECT count(*) FROM shop_order");
    let options = ["--lock-timeout", "50ms", "--retry-command", "--retries", "2"];
    let run = site.finish(start(&site, &options, "ALTER TABLE shop_order ADD COLUMN more int"));
    run.expect(3, &["gave up on the command after 3 attempts", "what it had committed by itself stays"]);
    holder.sql("COMMIT");
    site.run(&["--retry-command"]).expect(2, &["--retry-command is for other commands than Django's"]);
    site.assert_no_trace();
}

/// psql goes on after an error, and ends with 0, unless it is told otherwise.
#[test]
fn psql_is_no_exception() {
    let psql = ["/usr/bin/psql", "/usr/local/bin/psql"].into_iter().find(|path| Path::new(path).is_file());
    let Some(psql) = psql else {
        zdm_testkit::skip::record("zdm migrate", "psql is not installed");
        return;
    };
    let site = site();
    let (target, holder) = (site.database.conninfo(), site.client());
    holder.sql("BEGIN; SELECT count(*) FROM shop_order");
    site.write("change.sql", "ALTER TABLE shop_order ADD COLUMN extra int;\n");
    let options = ["--lock-timeout", "100ms", "--retry-command"];
    let careless = site.run_command(&options, &[psql, "-X", "-f", "change.sql", "-d", &target]);
    careless.expect(0, &["ended with exit code 0 though it reported a failure", "ON_ERROR_STOP"]);
    let command = [psql, "-X", "-1", "-v", "ON_ERROR_STOP=1", "-f", "change.sql", "-d", &target];
    let running = site.start(&options, &command);
    running.until_told("the command: the lock was not to be had within lock_timeout; attempt 2 in");
    holder.sql("COMMIT");
    site.finish(running).expect(0, &[]);
    assert_eq!(site.client().value("SELECT count(*) FROM pg_attribute WHERE attname = 'extra'"), "1");
    site.assert_no_trace();
}

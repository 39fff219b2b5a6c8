//! Ways to fill a column, side by side in one run:
//!
//! ```text
//! cargo xtask filling [--rows N] [--major M] [--ways LIST] [--load LIST] [--alone SECONDS] [--pause each] [--set LIMIT=VALUE] [--passes N] [--workers N]
//! ```
//!
//! One table with a primary key and three more indexes, copied afresh for each way. `--ways` (default: all of
//! `one,keyset,django,ours`) are run without a load: one UPDATE, keyset batches in SQL, Django's `.update()` in keyset
//! windows (where a Django is provisioned), ours. `--load` (default: `ours,computing,committing,ours,keyset,ours`) are run
//! beside a steady load of point reads and writes, which is measured alone before; `computing` and `committing` stand there
//! for a session that only computes, and one that updates row by row: what the processors' scheduling, and any writer, adds
//! by itself. `none` leaves a part out. All ways meet the same server with the same settings; the machine's speed cancels
//! out in the ratios. With `--pause each`, every part waits for a line on standard input, so that a machine which is shared
//! need not be kept quiet for the whole.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a benchmark")]

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use zdm_backfill::driver::{RunOptions, run};
use zdm_backfill::plan::Choice;
use zdm_backfill::throttle::Limits;
use zdm_backfill::{Assignment, Definition, Outcome};
use zdm_conn::{Environment, Ident, Settings, Timeouts};
use zdm_testkit::{Client, Database, Django, Server, ServerOptions, available_majors};

const BATCH: u64 = 10_000;
/// Transactions per second of the steady load: half point reads, half writes.
const LOAD: u64 = 300;

/// What the command line asks for.
struct Asked {
    rows: u64,
    major: u32,
    ways: Vec<String>,
    load: Vec<String>,
    /// How long the load is measured alone.
    alone: Duration,
    pause: bool,
    /// For the process that runs ours.
    child: Vec<String>,
}

impl Asked {
    fn read(mut arguments: impl Iterator<Item = String>) -> Self {
        let list = |text: &str| text.split(',').map(str::to_owned).collect();
        let mut asked = Self {
            rows: 4_000_000,
            major: *available_majors().last().unwrap(),
            ways: list("one,keyset,django,ours"),
            load: list("ours,computing,committing,ours,keyset,ours"),
            alone: Duration::from_secs(20),
            pause: false,
            child: Vec::new(),
        };
        while let Some(name) = arguments.next() {
            let value = arguments.next().unwrap_or_else(|| panic!("{name} needs a value"));
            match name.as_str() {
                "--rows" => asked.rows = value.parse().unwrap(),
                "--major" => asked.major = value.parse().unwrap(),
                "--ways" => asked.ways = list(&value),
                "--load" => asked.load = list(&value),
                "--alone" => asked.alone = Duration::from_secs(value.parse().unwrap()),
                "--pause" => asked.pause = value == "each",
                "--set" | "--passes" | "--workers" => asked.child.extend([name, value]),
                _ => panic!("unknown option {name}"),
            }
        }
        asked
    }
}

impl Asked {
    /// Before a part that is measured.
    fn ready(&self, part: &str) {
        if self.pause {
            eprintln!("ready: {part}");
            std::io::stdin().read_line(&mut String::new()).unwrap();
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|first| first == "--child").is_some() {
        return child(arguments);
    }
    let asked = Asked::read(arguments);
    let rows = asked.rows;
    let server = ServerOptions::default()
        .quiet()
        .set("shared_buffers", "1GB")
        .set("max_wal_size", "16GB")
        .set("min_wal_size", "8GB")
        .set("fsync", "on")
        .set("full_page_writes", "on")
        .set("synchronous_commit", "on")
        .start(asked.major);
    let template = server.database();
    make_table(&template, rows);
    println!("PostgreSQL {}, {rows} rows, {BATCH} rows a batch", server.version());
    let mut results = Vec::new();
    for way in &asked.ways {
        asked.ready(way);
        results.push(match way.as_str() {
            "one" => measure(ONE, &server, &template, rows, one_update),
            "keyset" => measure("keyset batches in SQL", &server, &template, rows, keyset_batches),
            "django" if Django::env("5.2").is_none() => {
                eprintln!("Django 5.2 is not provisioned: left out");
                continue;
            }
            "django" => measure("Django .update() in keyset windows", &server, &template, rows, django),
            "ours" => {
                let run = |database: &Database, _| Some(ours(database, &asked.child));
                measure(OURS, &server, &template, rows, run)
            }
            "none" => continue,
            _ => panic!("unknown way {way}"),
        });
    }
    if !results.is_empty() {
        print_table(&results);
    }
    let beside = under_load(&server, &template, &asked);
    judge(&results, &beside);
}

/// What is asked of ours, and what came out: against one UPDATE of the same run, and against the load alone just before.
fn judge(results: &[Measured], beside: &[Beside]) {
    println!("\n| asked of zdm backfill | measured | |\n|---|---|---|");
    let say = |what: &str, measured: String, holds: bool| {
        println!("| {what} | {measured} | {} |", if holds { "holds" } else { "does not hold" });
    };
    let find = |name: &str| results.iter().find(|way| way.name == name);
    if let (Some(one), Some(ours)) = (find(ONE), find(OURS)) {
        let (rate, wal) = (ours.rate / one.rate, ours.wal / one.wal);
        say("at least 1.8 times the rows/s of one UPDATE", format!("{rate:.2}"), rate >= 1.8);
        say("the heap grows by at most 25 %", format!("{:.0} %", ours.growth * 100.0), ours.growth <= 0.25);
        say("at most 0.75 times the WAL of one UPDATE", format!("{wal:.2}"), wal <= 0.75);
    }
    if let Some(peak) = find(OURS).and_then(|ours| ours.memory.as_deref()) {
        let kilobytes: f64 = peak.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
        let megabytes = kilobytes * 1024.0 / 1e6;
        say("the runner stays below 30 MB", format!("{megabytes:.1} MB"), megabytes < 30.0);
    }
    // Several runs beside the load, where they were asked for: all are shown.
    let ours: Vec<&Beside> = beside.iter().filter(|way| way.name == OURS).collect();
    for ours in &ours {
        let ratio = ours.p99 / ours.alone;
        say("p99 of writes at most twice the load's alone", format!("{ratio:.2}"), ratio <= 2.0);
        say(
            "no wait above 100 ms",
            format!("{} waits, the longest {:.0} ms", ours.waits, ours.longest),
            ours.waits == 0,
        );
    }
    // p99 of the load alone varies from run to run by as much as is asked here.
    if ours.len() > 1 {
        let median = |value: fn(&Beside) -> f64| {
            let mut values: Vec<f64> = ours.iter().map(|way| value(way)).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let (p99, alone) = (median(|way| way.p99), median(|way| way.alone));
        say(
            "the same, by the medians of all runs",
            format!("{p99:.1} ms and {alone:.1} ms: {:.2}", p99 / alone),
            p99 / alone <= 2.0,
        );
    }
}

const ONE: &str = "one UPDATE";
const OURS: &str = "zdm backfill";

/// Writes beside a way, in milliseconds.
struct Beside {
    name: &'static str,
    /// p99 of the load alone, just before.
    alone: f64,
    p99: f64,
    longest: f64,
    /// Above 100 ms.
    waits: usize,
}

struct Measured {
    name: &'static str,
    seconds: f64,
    /// Processor time of the server's backends: on a busy machine a better measure than the clock.
    cpu: f64,
    rate: f64,
    wal: f64,
    growth: f64,
    hot: f64,
    memory: Option<String>,
}

fn make_table(database: &Database, rows: u64) {
    let client = database.connect();
    client.sql(&format!(
        "CREATE TABLE big (id bigint PRIMARY KEY, a int, b text, c timestamptz, src int, payload text, dst bigint); \
         INSERT INTO big SELECT i, i % 1000, md5(i::text), now() - i * interval '1 s', i, repeat('x', 130) \
         FROM generate_series(1, {rows}) AS i"
    ));
    client.sql("CREATE INDEX ON big (a); CREATE INDEX ON big (b); CREATE INDEX ON big (c)");
    client.sql("VACUUM ANALYZE big");
    client.sql("CHECKPOINT");
}

/// As on a server that has run for a while: WAL segments to be recycled lie ready (making a new one stalls whoever
/// needs it for some milliseconds), no checkpoint is due, and the disk has nothing left to write.
fn settle(client: &Client) {
    // 6.4 GB, more than any way writes.
    for _ in 0..400 {
        client.sql("SELECT pg_logical_emit_message(false, 'bench', ''); SELECT pg_switch_wal()");
    }
    client.sql("CHECKPOINT");
    assert!(Command::new("sync").status().unwrap().success());
}

fn number(client: &Client, sql: &str) -> f64 {
    client.value(sql).parse().unwrap()
}

fn measure(
    name: &'static str,
    server: &Server,
    template: &Database,
    rows: u64,
    way: impl FnOnce(&Database, u64) -> Option<String>,
) -> Measured {
    let database = server.database_like(template.name());
    let client = database.connect();
    settle(&client);
    let size = number(&client, "SELECT pg_relation_size('big')");
    let wal = number(&client, "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn");
    let cpu = backends_cpu(server);
    let started = Instant::now();
    let memory = way(&database, rows);
    let seconds = started.elapsed().as_secs_f64();
    let cpu = backends_cpu(server) - cpu;
    let wal = number(&client, "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn") - wal;
    let growth = number(&client, "SELECT pg_relation_size('big')") / size - 1.0;
    assert_eq!(client.value("SELECT count(*) FROM big WHERE dst IS DISTINCT FROM src"), "0", "{name}");
    std::thread::sleep(Duration::from_secs(1));
    let hot = number(
        &client,
        "SELECT n_tup_hot_upd::float8 / greatest(n_tup_upd, 1) FROM pg_stat_user_tables WHERE relname = 'big'",
    );
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = rows as f64 / seconds;
    eprintln!("{name}: {seconds:.1} s");
    Measured { name, seconds, cpu, rate, wal, growth, hot, memory }
}

/// Seconds that backends which have ended took of the processors: the postmaster's `cutime` and `cstime` (proc(5)), in
/// hundredths of a second.
fn backends_cpu(server: &Server) -> f64 {
    // A backend ends a moment after its client.
    std::thread::sleep(Duration::from_millis(500));
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid().unwrap())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(13) + ticks(14)) / 100.0
}

fn print_table(results: &[Measured]) {
    println!(
        "\n| way | s | rows/s | ratio | CPU s | ratio | WAL MB | ratio | heap growth | HOT | peak memory of the runner |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let first = &results[0];
    for way in results {
        println!(
            "| {} | {:.1} | {:.0} | {:.2} | {:.1} | {:.2} | {:.0} | {:.2} | {:.0} % | {:.0} % | {} |",
            way.name,
            way.seconds,
            way.rate,
            way.rate / first.rate,
            way.cpu,
            first.cpu / way.cpu,
            way.wal / 1e6,
            way.wal / first.wal,
            way.growth * 100.0,
            way.hot * 100.0,
            way.memory.as_deref().unwrap_or("–")
        );
    }
}

fn one_update(database: &Database, _: u64) -> Option<String> {
    database.connect().sql("UPDATE big SET dst = src WHERE dst IS DISTINCT FROM src");
    None
}

fn keyset_batches(database: &Database, rows: u64) -> Option<String> {
    let client = database.connect();
    let mut from = 0;
    while from < rows {
        client.sql(&format!(
            "UPDATE big SET dst = src WHERE id > {from} AND id <= {} AND dst IS DISTINCT FROM src",
            from + BATCH
        ));
        from += BATCH;
    }
    None
}

fn django(database: &Database, rows: u64) -> Option<String> {
    let script = format!(
        "import django\n\
         from django.conf import settings\n\
         settings.configure(DATABASES={{'default': {{'ENGINE': 'django.db.backends.postgresql', 'NAME': '{}', \
         'USER': '{}', 'HOST': '{}', 'PORT': '{}'}}}})\n\
         django.setup()\n\
         from django.db import models\n\
         class Big(models.Model):\n\
        \x20   id = models.BigIntegerField(primary_key=True)\n\
        \x20   src = models.IntegerField()\n\
        \x20   dst = models.BigIntegerField(null=True)\n\
        \x20   class Meta:\n\
        \x20       app_label = 'bench'\n\
        \x20       db_table = 'big'\n\
         for low in range(0, {rows}, {BATCH}):\n\
        \x20   Big.objects.filter(id__gt=low, id__lte=low + {BATCH}).update(dst=models.F('src'))\n",
        database.name(),
        zdm_testkit::USER,
        database.server().socket_dir().display(),
        zdm_testkit::PORT,
    );
    let status = Django::get("5.2").command().arg("-c").arg(script).status().unwrap();
    assert!(status.success(), "Django failed");
    None
}

/// Keeps one processor busy for so long.
fn compute(database: &Database, time: Duration) {
    let client = database.connect();
    let started = Instant::now();
    while started.elapsed() < time {
        client.sql("SELECT sum(i) FROM generate_series(1, 1000000) AS i");
    }
}

/// Updates a row per transaction for so long.
fn commit_rows(database: &Database, time: Duration) {
    let client = database.connect();
    let started = Instant::now();
    for id in 1.. {
        if started.elapsed() >= time {
            break;
        }
        client.sql(&format!("UPDATE big SET dst = src WHERE id = {id}"));
    }
}

/// Runs ours in a process of its own, whose peak memory it reports.
fn ours(database: &Database, arguments: &[String]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--child", &database.conninfo()])
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "ours failed");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn child(mut arguments: impl Iterator<Item = String>) {
    let conninfo = arguments.next().unwrap();
    let mut limits = Limits::default();
    let mut choice = Choice::default();
    let mut workers = 1;
    while let (Some(name), Some(value)) = (arguments.next(), arguments.next()) {
        match name.as_str() {
            "--passes" => choice.passes = Some(value.parse().unwrap()),
            "--workers" => workers = value.parse().unwrap(),
            _ => {
                let (name, value) = value.split_once('=').unwrap();
                limits.set(name, value).unwrap();
            }
        }
    }
    let options = RunOptions {
        settings: Settings::resolve(Some(&conninfo), &Environment::default()).unwrap(),
        what: Some(("big".to_owned(), Definition::new(vec![Assignment::parse("dst = src").unwrap()], None).unwrap())),
        job: None,
        choice,
        limits,
        limits_given: true,
        workers,
        stop_on_error: true,
        most_bad_rows: 0,
        restart: false,
        vacuum: false,
        state_schema: Ident::new("zdm").unwrap(),
        timeouts: Timeouts::default(),
        retry_for: Duration::from_secs(30),
    };
    let (events, _keep) = mpsc::unbounded_channel();
    let (_stop, stopped) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(run(options, events, stopped)).unwrap();
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown").trim());
}

/// Latencies of writes while `beside` runs, in milliseconds, sorted.
fn load(database: &Database, rows: u64, beside: impl FnOnce()) -> Vec<f64> {
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..3_u64)
        .map(|thread| {
            let client = database.connect();
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let mut latencies = Vec::new();
                let mut random = 0x9e37_79b9_u64.wrapping_mul(thread + 1) | 1;
                let period = Duration::from_micros(1_000_000 * 3 / LOAD);
                let mut next = Instant::now();
                while !stop.load(Ordering::Relaxed) {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let id = random % rows + 1;
                    // From the moment it was due: a stalled client does not hide the waits of those behind it.
                    let due = next;
                    if random.is_multiple_of(2) {
                        client.sql(&format!("UPDATE big SET c = now() WHERE id = {id}"));
                        latencies.push(due.elapsed().as_secs_f64() * 1000.0);
                    } else {
                        client.sql(&format!("SELECT * FROM big WHERE id = {id}"));
                    }
                    next += period;
                    std::thread::sleep(next.saturating_duration_since(Instant::now()));
                }
                latencies
            })
        })
        .collect();
    beside();
    stop.store(true, Ordering::Relaxed);
    let mut all: Vec<f64> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    all.sort_by(f64::total_cmp);
    all
}

fn under_load(server: &Server, template: &Database, asked: &Asked) -> Vec<Beside> {
    let rows = asked.rows;
    let mut found = Vec::new();
    if asked.load.iter().all(|way| way == "none") {
        return found;
    }
    println!("\n{LOAD} transactions/s, half of them writes of an indexed column");
    println!(
        "\n| beside the load | s | writes | p50 ms | p99 ms | to the load alone | p99.9 ms | longest ms | above 100 ms |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    // The load alone is shown with its own p99 as 1.
    let show = |name: &'static str, started: Instant, latencies: &[f64], alone: Option<f64>| {
        let at = |share: usize| latencies.get(latencies.len() * share / 1000).copied().unwrap_or(0.0);
        let beside = Beside {
            name,
            alone: alone.unwrap_or(at(990)),
            p99: at(990),
            longest: latencies.last().copied().unwrap_or(0.0),
            waits: latencies.iter().filter(|latency| **latency > 100.0).count(),
        };
        println!(
            "| {name} | {:.1} | {} | {:.1} | {:.1} | {:.2} | {:.1} | {:.1} | {} |",
            started.elapsed().as_secs_f64(),
            latencies.len(),
            at(500),
            at(990),
            beside.p99 / beside.alone,
            at(999),
            beside.longest,
            beside.waits
        );
        beside
    };
    for way in asked.load.iter().filter(|way| *way != "none") {
        asked.ready(way);
        let database = server.database_like(template.name());
        settle(&database.connect());
        load(&database, rows, || std::thread::sleep(Duration::from_secs(5)));
        let started = Instant::now();
        let alone = show("nothing", started, &load(&database, rows, || std::thread::sleep(asked.alone)), None);
        let started = Instant::now();
        let (name, latencies) = match way.as_str() {
            "ours" => (OURS, load(&database, rows, || drop(ours(&database, &asked.child)))),
            "keyset" => ("keyset batches in SQL", load(&database, rows, || drop(keyset_batches(&database, rows)))),
            "django" => ("Django .update() in keyset windows", load(&database, rows, || drop(django(&database, rows)))),
            "one" => (ONE, load(&database, rows, || drop(one_update(&database, rows)))),
            "computing" => ("a session that only computes", load(&database, rows, || compute(&database, asked.alone))),
            "committing" => {
                ("a session that updates row by row", load(&database, rows, || commit_rows(&database, asked.alone)))
            }
            _ => panic!("unknown way {way}"),
        };
        found.push(show(name, started, &latencies, Some(alone.p99)));
        if ["computing", "committing"].contains(&way.as_str()) {
            continue;
        }
        assert_eq!(database.connect().value("SELECT count(*) FROM big WHERE dst IS DISTINCT FROM src"), "0");
        eprintln!("{way} beside the load: done");
    }
    found
}

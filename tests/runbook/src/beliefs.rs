//! What the tables of `docs/runbook.md` say, measured: the lock, the work and the time of each step, and what is false
//! about what is often believed. Locks, work and losses are facts of the server and are the same at every size of the
//! table; times are those of one machine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use zdm_testkit::{Client, Server};

use crate::keeper::Keeper;
use crate::measure::duration;
use crate::site::{Options, Programs, Site};

/// A statement and what it does to `library_item`.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// In words.
    pub step: &'static str,
    /// The strongest lock on the table, in the manual's spelling.
    pub lock: String,
    /// `rewrites`, `reads` or nothing.
    pub work: &'static str,
    /// Milliseconds.
    pub took: f64,
}

/// A belief.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Belief {
    /// In words.
    pub belief: &'static str,
    /// Whether the server agreed with it.
    pub holds: bool,
    /// What was seen.
    pub measured: String,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// `PostgreSQL 17.10`.
    pub server: String,
    /// Rows of the table.
    pub rows: u32,
    /// The steps of a change.
    pub steps: Vec<Step>,
    /// The beliefs.
    pub beliefs: Vec<Belief>,
}

const CHECK: &str = "ALTER TABLE library_item ADD CONSTRAINT filled CHECK (target IS NOT NULL) NOT VALID";
const VALIDATE: &str = "ALTER TABLE library_item VALIDATE CONSTRAINT filled";
const NOT_NULL: &str = "ALTER TABLE library_item ALTER COLUMN target SET NOT NULL";
const FUNCTION: &str = "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'";
const TRIGGER: &str = "CREATE TRIGGER nothing BEFORE INSERT ON library_item FOR EACH ROW EXECUTE FUNCTION nothing()";
const REFERENCE: &str =
    "ALTER TABLE library_item ADD CONSTRAINT shelf FOREIGN KEY (shelf_id) REFERENCES library_shelf (id) NOT VALID";

/// In words; what comes before, committed; the statement.
const STEPS: [(&str, &[&str], &str); 17] = [
    ("ADD COLUMN, nullable", &[], "ALTER TABLE library_item ADD COLUMN more int"),
    ("ADD COLUMN with a constant as default", &[], "ALTER TABLE library_item ADD COLUMN more int NOT NULL DEFAULT 7"),
    (
        "ADD COLUMN with `now()` as default",
        &[],
        "ALTER TABLE library_item ADD COLUMN more timestamptz NOT NULL DEFAULT now()",
    ),
    (
        "ADD COLUMN with `clock_timestamp()` as default",
        &[],
        "ALTER TABLE library_item ADD COLUMN more timestamptz NOT NULL DEFAULT clock_timestamp()",
    ),
    (
        "ADD COLUMN with `gen_random_uuid()` as default",
        &[],
        "ALTER TABLE library_item ADD COLUMN more uuid NOT NULL DEFAULT gen_random_uuid()",
    ),
    ("integer to bigint, in place", &[], "ALTER TABLE library_item ALTER COLUMN source TYPE bigint"),
    ("CREATE TRIGGER", &[FUNCTION], TRIGGER),
    ("DROP TRIGGER", &[FUNCTION, TRIGGER], "DROP TRIGGER nothing ON library_item"),
    ("SET NOT NULL without a CHECK", &[], NOT_NULL),
    ("ADD CHECK … NOT VALID", &[], CHECK),
    ("VALIDATE CONSTRAINT of a CHECK", &[CHECK], VALIDATE),
    ("SET NOT NULL with a valid CHECK", &[CHECK, VALIDATE], NOT_NULL),
    ("ADD FOREIGN KEY … NOT VALID", &[], REFERENCE),
    ("VALIDATE CONSTRAINT of a foreign key", &[REFERENCE], "ALTER TABLE library_item VALIDATE CONSTRAINT shelf"),
    ("CREATE INDEX", &[], "CREATE INDEX more ON library_item (source)"),
    ("RENAME COLUMN", &[], "ALTER TABLE library_item RENAME COLUMN source TO more"),
    ("DROP COLUMN", &[], "ALTER TABLE library_item DROP COLUMN source"),
];

/// Measures everything on a table of so many rows; with a keeper nothing stays behind, whatever ends this program.
///
/// # Errors
/// What failed on the way.
pub fn measure(
    server: &Server,
    programs: &Programs,
    rows: u32,
    keeper: Option<Arc<Keeper>>,
) -> Result<Measured, String> {
    let options = Options { fill: Some(format!("python beliefs.py fill {rows}")), keeper, ..Options::default() };
    let mut site = Site::prepare("beliefs", server, programs, &options)?;
    let mut numbers = python(&mut site, "safe")?;
    numbers.extend(python(&mut site, "fast")?);
    let started = Instant::now();
    let (status, text) =
        site.attempt("zdm backfill run --model library.Item --source source --target target --on-vacuum never")?;
    if !status.success() {
        return Err(text);
    }
    let backfill = f64::from(rows) / started.elapsed().as_secs_f64();

    let client = site.database().connect();
    for sql in [
        "CREATE TABLE library_shelf (id int PRIMARY KEY)",
        "INSERT INTO library_shelf VALUES (1)",
        "ALTER TABLE library_item ADD COLUMN shelf_id int NOT NULL DEFAULT 1",
        "VACUUM (FULL, ANALYZE) library_item",
    ] {
        client.sql(sql);
    }
    let mut steps: Vec<Step> = Vec::new();
    for (step, before, statement) in STEPS {
        steps.push(one(&client, rows, step, before, statement));
        if step == "CREATE INDEX" {
            steps.push(concurrently(&site, &client));
        }
    }
    let beliefs = beliefs(&site, &client, &steps, &numbers, backfill, rows);
    Ok(Measured { server: format!("PostgreSQL {}", server.version()), rows, steps, beliefs })
}

fn python(site: &mut Site, what: &str) -> Result<BTreeMap<String, f64>, String> {
    let (status, text) = site.attempt(&format!("python beliefs.py {what}"))?;
    if !status.success() {
        return Err(text);
    }
    text.lines()
        .map(|line| {
            let (name, number) = line.split_once('\t').ok_or_else(|| format!("not a number: {line}"))?;
            Ok((name.to_owned(), number.parse().map_err(|_| format!("not a number: {line}"))?))
        })
        .collect()
}

/// Runs the statement in a transaction, looks at what it holds and did, and leaves everything as it was.
fn one(client: &Client, rows: u32, step: &'static str, before: &[&str], statement: &str) -> Step {
    for sql in before {
        client.sql(sql);
    }
    let file = client.value("SELECT pg_relation_filenode('library_item')");
    client.sql("BEGIN");
    let read = rows_read(client);
    let started = Instant::now();
    client.sql(statement);
    let took = started.elapsed().as_secs_f64() * 1000.0;
    let lock = strongest(client);
    let read = rows_read(client) - read;
    let rewritten = client.value("SELECT pg_relation_filenode('library_item')") != file;
    client.sql("ROLLBACK");
    client.sql("ALTER TABLE library_item DROP CONSTRAINT IF EXISTS filled, DROP CONSTRAINT IF EXISTS shelf");
    client.sql("DROP TRIGGER IF EXISTS nothing ON library_item; DROP FUNCTION IF EXISTS nothing()");
    let work = if rewritten {
        "rewrites"
    } else if read * 10.0 >= f64::from(rows) {
        // The workers of a parallel build read the rest.
        "reads"
    } else {
        ""
    };
    Step { step, lock, work, took }
}

/// Rows that scans of this session have read and not reported yet; within a transaction nothing is reported.
fn rows_read(client: &Client) -> f64 {
    let read =
        "SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_xact_user_tables WHERE relid = 'library_item'::regclass";
    client.value(read).parse().expect("a number")
}

/// The lock of a concurrent build is looked at while the build waits for a writer, its time without one.
fn concurrently(site: &Site, client: &Client) -> Step {
    const STATEMENT: &str = "CREATE INDEX CONCURRENTLY more ON library_item (source)";
    let started = Instant::now();
    client.sql(STATEMENT);
    let took = started.elapsed().as_secs_f64() * 1000.0;
    client.sql("DROP INDEX more");
    let writer = site.database().connect();
    writer.sql("BEGIN; UPDATE library_item SET name = name WHERE id = 1");
    let builder = site.database().connect();
    let pid = builder.backend_pid();
    let lock = thread::scope(|scope| {
        let build = scope.spawn(|| builder.sql(STATEMENT));
        wait_for(client, &format!("SELECT count(*) > 0 FROM pg_locks WHERE pid = {pid} AND NOT granted"));
        let lock = strongest_of(client, pid);
        writer.sql("COMMIT");
        build.join().expect("the index is built");
        lock
    });
    client.sql("DROP INDEX more");
    Step { step: "CREATE INDEX CONCURRENTLY", lock, work: "reads", took }
}

/// The table-level lock modes, weakest first, as `pg_locks` spells them.
const MODES: [(&str, &str); 8] = [
    ("AccessShareLock", "ACCESS SHARE"),
    ("RowShareLock", "ROW SHARE"),
    ("RowExclusiveLock", "ROW EXCLUSIVE"),
    ("ShareUpdateExclusiveLock", "SHARE UPDATE EXCLUSIVE"),
    ("ShareLock", "SHARE"),
    ("ShareRowExclusiveLock", "SHARE ROW EXCLUSIVE"),
    ("ExclusiveLock", "EXCLUSIVE"),
    ("AccessExclusiveLock", "ACCESS EXCLUSIVE"),
];

fn strongest(client: &Client) -> String {
    let pid = client.backend_pid();
    strongest_of(client, pid)
}

fn strongest_of(client: &Client, pid: i32) -> String {
    let held = client.value(&format!(
        "SELECT coalesce(string_agg(mode, ' '), '') FROM pg_locks
        WHERE pid = {pid} AND granted AND relation = 'library_item'::regclass"
    ));
    let held: Vec<&str> = held.split(' ').collect();
    let strongest = MODES.iter().rev().find(|(mode, _)| held.contains(mode));
    strongest.map_or_else(String::new, |(_, name)| (*name).to_owned())
}

fn wait_for(client: &Client, condition: &str) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while client.value(condition) != "t" {
        assert!(Instant::now() < deadline, "never true: {condition}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn beliefs(
    site: &Site,
    client: &Client,
    steps: &[Step],
    numbers: &BTreeMap<String, f64>,
    backfill: f64,
    rows: u32,
) -> Vec<Belief> {
    let step = |name: &str| steps.iter().find(|step| step.step.contains(name)).expect("a step of the table");
    let number = |name: &str| numbers.get(name).copied().unwrap_or(f64::NAN);
    let (constant, now, clock) = (step("a constant"), step("`now()`"), step("`clock_timestamp()`"));
    let (bare, proved) = (step("without a CHECK"), step("with a valid CHECK"));
    let validation = duration(step("VALIDATE CONSTRAINT of a CHECK").took);
    let (readers_wait, scan_is_lost) = two_migrations(site, client);
    let (waits, longest) = sleeping(site, client, rows);
    vec![
        Belief {
            belief: "a constant default rewrites the table",
            holds: constant.work == "rewrites",
            measured: format!("{}: the value is kept in the catalog", duration(constant.took)),
        },
        Belief {
            belief: "`now()` as a default rewrites the table",
            holds: now.work == "rewrites" || clock.work != "rewrites",
            measured: format!(
                "{}: it is one value for all rows; `clock_timestamp()` is not, and takes {}",
                duration(now.took),
                duration(clock.took)
            ),
        },
        Belief {
            belief: "SET NOT NULL only changes metadata",
            holds: bare.work.is_empty() || !proved.work.is_empty(),
            measured: format!(
                "it reads the table under ACCESS EXCLUSIVE, {}; {} where a valid CHECK proves it",
                duration(bare.took),
                duration(proved.took)
            ),
        },
        Belief {
            belief: "two migrations are enough for SET NOT NULL",
            holds: !(readers_wait && scan_is_lost),
            measured: format!(
                "CHECK and VALIDATE in one: nobody reads for the {validation} of the scan; VALIDATE and SET NOT NULL in \
                 one: each try for the lock that fails throws the scan away"
            ),
        },
        Belief {
            belief: "sleeping between batches keeps writers' latency down",
            holds: !waits,
            measured: format!(
                "a writer waits for the end of the batch that it meets, however long the pause behind it: {longest}"
            ),
        },
        Belief {
            belief: "`.iterator()` with `bulk_update` is fast",
            holds: number("bulk parameters") <= number("update parameters") || number("lost by bulk_update") < 1.0,
            measured: format!(
                "{} rows/s, each row's value sent there and back; one UPDATE does {}, `zdm backfill` {}. And it writes \
                 what it has read: a row that changed meanwhile is wrong",
                thousands(number("bulk rate")),
                thousands(number("update rate")),
                thousands(backfill)
            ),
        },
        Belief {
            belief: "a trigger that fires when the source *changes* is enough",
            holds: number("lost behind a change guard") < 1.0 || number("lost behind a state guard") > 0.0,
            measured:
                "a stale `Model.save()` writes the old NULL over a filled value and changes no source: the value is \
                       lost. `zdm mirror` guards the state, not the change"
                    .to_owned(),
        },
    ]
}

/// Whether readers are shut out while CHECK and VALIDATE are one transaction, and whether a lock timeout of SET NOT NULL
/// undoes a VALIDATE of the same transaction.
fn two_migrations(site: &Site, client: &Client) -> (bool, bool) {
    let other = site.database().connect();
    client.sql("BEGIN");
    client.sql(CHECK);
    client.sql(VALIDATE);
    other.sql("SET lock_timeout = '50ms'");
    let readers_wait = other.fails("SELECT id FROM library_item LIMIT 1") == "55P03";
    client.sql("ROLLBACK");

    client.sql(CHECK);
    other.sql("BEGIN");
    other.sql("SELECT id FROM library_item LIMIT 1");
    client.sql("SET lock_timeout = '50ms'");
    client.sql("BEGIN");
    client.sql(VALIDATE);
    let refused = client.fails(NOT_NULL) == "55P03";
    client.sql("ROLLBACK");
    other.sql("ROLLBACK");
    client.sql("RESET lock_timeout");
    let valid = client.value("SELECT convalidated FROM pg_constraint WHERE conname = 'filled'") == "t";
    client.sql("ALTER TABLE library_item DROP CONSTRAINT filled");
    (readers_wait, refused && !valid)
}

/// Whether a writer waits for a batch although the batches are apart, and how long, for batches of several sizes with and
/// without a pause.
fn sleeping(site: &Site, client: &Client, rows: u32) -> (bool, String) {
    let batches = site.database().connect();
    let writer = site.database().connect();
    let pid = writer.backend_pid();
    let mut waits = true;
    for _ in 0..2 {
        thread::sleep(Duration::from_millis(200));
        batches.sql("BEGIN; UPDATE library_item SET name = name WHERE id <= 100");
        let own = batches.backend_pid();
        waits &= thread::scope(|scope| {
            let write = scope.spawn(|| writer.sql("UPDATE library_item SET name = name WHERE id = 50"));
            wait_for(client, &format!("SELECT coalesce({own} = ANY (pg_blocking_pids({pid})), false)"));
            batches.sql("COMMIT");
            write.join().is_ok()
        });
    }
    let sizes: Vec<u32> = [1_000, 10_000, 50_000].into_iter().filter(|size| *size <= rows).collect();
    let list = |words: Vec<String>| words.join(" / ");
    let [without, with] = [0, 500].map(|pause| {
        let pause = Duration::from_millis(pause);
        list(sizes.iter().map(|size| duration(longest(&batches, &writer, *size, pause))).collect())
    });
    let text = format!(
        "the longest write beside batches of {} rows took {without} without a pause, {with} with half a second between them",
        list(sizes.iter().map(|size| thousands(f64::from(*size))).collect())
    );
    (waits, text)
}

/// The longest write beside batches of this size.
fn longest(batches: &Client, writer: &Client, size: u32, pause: Duration) -> f64 {
    let (done, stop) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let write = scope.spawn(move || {
            let mut longest = 0.0_f64;
            let mut id = 1;
            while stop.try_recv() == Err(mpsc::TryRecvError::Empty) {
                id = (id * 7 + 3) % size + 1;
                let started = Instant::now();
                writer.sql(&format!("UPDATE library_item SET source = source WHERE id = {id}"));
                longest = longest.max(started.elapsed().as_secs_f64() * 1000.0);
            }
            longest
        });
        for _ in 0..6 {
            batches.sql(&format!("UPDATE library_item SET name = name WHERE id <= {size}"));
            thread::sleep(pause);
        }
        drop(done);
        write.join().expect("the writer ends")
    })
}

/// Two figures, thousands apart.
fn thousands(number: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate, rounded")]
    let number = number.max(0.0).round() as u64;
    let unit = 10_u64.pow(number.checked_ilog10().unwrap_or(0).saturating_sub(1));
    let number = number / unit * unit;
    if number < 1_000 {
        return number.to_string();
    }
    let (thousands, rest) = (number / 1_000, number % 1_000);
    if thousands < 1_000 {
        format!("{thousands},{rest:03}")
    } else {
        format!("{},{:03},{rest:03}", thousands / 1_000, thousands % 1_000)
    }
}

/// The tables as they stand in `docs/runbook.md`, by the name in the comment before each.
pub fn tables(measured: &Measured) -> [(&'static str, String); 2] {
    let million = measured.rows.is_multiple_of(1_000_000);
    let rows = if million && measured.rows > 0 {
        format!("{} million", measured.rows / 1_000_000)
    } else {
        thousands(f64::from(measured.rows))
    };
    let mut steps = format!(
        "Measured on {rows} rows, {}, two cores.\n\n| step | lock on the table | work | took |\n|---|---|---|---|\n",
        measured.server
    );
    for Step { step, lock, work, took } in &measured.steps {
        let _ =
            writeln!(steps, "| {step} | {lock} | {} | {} |", if work.is_empty() { "–" } else { work }, duration(*took));
    }
    let mut beliefs = String::from("| belief | what was measured |\n|---|---|\n");
    for Belief { belief, measured, .. } in &measured.beliefs {
        let _ = writeln!(beliefs, "| {belief} | {measured} |");
    }
    [("steps", steps), ("beliefs", beliefs)]
}

/// The text between a table's marks, `<!-- NAME: cargo xtask measure -->` and `<!-- end -->`; its range in the page.
pub fn marked(page: &str, name: &str) -> Option<std::ops::Range<usize>> {
    let mark = format!("<!-- {name}: cargo xtask measure -->\n");
    let start = page.find(&mark)? + mark.len();
    let end = start + page.get(start..)?.find("<!-- end -->")?;
    Some(start..end)
}

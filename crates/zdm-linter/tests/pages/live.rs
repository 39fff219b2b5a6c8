//! The pages against the real Django and live servers.
//!
//! Every example is a history that Django runs: a *Bad* one is accepted, or refused just as the page says. Where a page
//! names a lock or what is read or written under it, the statements that Django sent run on servers of every provisioned
//! major version, over tables with rows, and the server must do what the page and the model say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::LazyLock;
use std::thread;

use crate::common::{self, Block, read_page};
use crate::fix_forms::{Formed, formed};
use zdm_claims::measure::{Answer, Bench};
use zdm_claims::observed::{Observed, differences};
use zdm_claims::predict::{Case, Holds, predict};
use zdm_claims::truth::Mode;
use zdm_linter::RULES;
use zdm_postgres::catalog::{Column, Table};
use zdm_postgres::{LockMode, PgVersion, quote_identifier};
use zdm_replay::{Step, Trace};
use zdm_source::{Diagnostic, SourceFile};
use zdm_testkit::{Client, Django, OracleReport, Server, cache, majors_for};

/// Rows in each table of a measurement: more than what counts as a scan.
const ROWS: u32 = 2000;

/// Examples that the real Django cannot be given, with the reason.
const NOT_RUN: &[(&str, &str)] = &[
    ("ZDM607", "what git knows is not in an example"),
    ("ZDM906", "it is about an app that is not installed"),
    ("ZDM907", "it is about a settings module"),
];

/// *Bad* examples that fail in the real Django for a reason that no statement shows, with what the error must say.
const FAILS: &[(&str, &str)] = &[
    ("ZDM307", "cannot be imported: it names a model of a package that is not installed"),
    ("ZDM601", "Conflicting"),
    ("ZDM602", "NodeNotFoundError"),
    ("ZDM603", "CircularDependencyError"),
    ("ZDM605", ""),
    ("ZDM606", ""),
    ("ZDM901", "ModuleNotFoundError"),
    ("ZDM905", "SyntaxError"),
];

struct Example {
    /// The package: `zdm101_bad_0`.
    name: String,
    code: &'static str,
    bad: bool,
    block: Block,
    before: Vec<Block>,
}

/// Every example of every page.
static EXAMPLES: LazyLock<Vec<Example>> = LazyLock::new(|| {
    let mut examples = Vec::new();
    for rule in RULES.iter() {
        let code = rule.page.code.code;
        if NOT_RUN.iter().any(|(other, _)| *other == code) {
            continue;
        }
        let page = read_page(&rule.page);
        let mut good = page.given.clone();
        let sections = [("bad", &page.bad), ("good", &page.good), ("silent", &page.silent)];
        for (section, blocks) in sections {
            for (index, block) in blocks.iter().enumerate() {
                let before = if section == "good" { good.clone() } else { page.given.clone() };
                if section == "good" {
                    good.push(block.clone());
                }
                let name = format!("{}_{section}_{index}", code.to_lowercase());
                examples.push(Example { name, code, bad: section == "bad", block: block.clone(), before });
            }
        }
    }
    examples
});

/// What Django did with each of them.
static REPORTS: LazyLock<BTreeMap<String, Result<OracleReport, String>>> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a directory");
    let mut names = Vec::new();
    for example in EXAMPLES.iter() {
        let before: Vec<&Block> = example.before.iter().collect();
        let (given, files) = common::example_files(&before, &example.block);
        let mut write = |name: &str, files: &[SourceFile]| {
            for file in given.iter().chain(files) {
                let path = directory.path().join(name).join(file.path().trim_start_matches("shop/"));
                std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                std::fs::write(path, file.text()).expect("a file");
            }
            names.push(name.to_owned());
        };
        write(&example.name, &files);
        if example.bad {
            let config = common::config_of(example.code, &example.block);
            let fixed = common::fix(&given, &files, common::postgres_of(&example.block), &config, example.code);
            if !fixed.applied.is_empty() {
                write(&fixed_name(example), &fixed.files);
            }
        }
    }
    run_in_django(directory.path(), &names)
});

/// By name: what Django did with each of these packages below a directory.
fn run_in_django(directory: &Path, names: &[String]) -> BTreeMap<String, Result<OracleReport, String>> {
    let server = Server::newest();
    let database = server.database();
    let mut command = Django::get("6.0").command();
    command.arg(cache::workspace().join("oracle/examples.py"));
    command.arg("--database").arg(database.name()).arg("--host").arg(server.socket_dir());
    command.args(["--port", &server.port().to_string(), "--user", zdm_testkit::USER]).arg(directory);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("Python runs");
    let names = serde_json::to_string(names).expect("names");
    child.stdin.take().expect("a pipe").write_all(names.as_bytes()).expect("Python reads");
    let output = child.wait_with_output().expect("Python ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let reports: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&output.stdout).expect("a report");
    reports
        .into_iter()
        .map(|(name, report)| {
            let report = match report.get("failed") {
                Some(text) => Err(text.as_str().unwrap_or_default().to_owned()),
                None => Ok(serde_json::from_value(report).expect("a report")),
            };
            (name, report)
        })
        .collect()
}

/// One of so many fixable examples in other forms is given to Django; all of them with `ZDM_ALL_FORMS` in the environment.
const ONE_OF: usize = 13;

static FORMED: LazyLock<Vec<Formed>> = LazyLock::new(|| {
    let one_of = if std::env::var_os("ZDM_ALL_FORMS").is_some() { 1 } else { ONE_OF };
    formed().into_iter().step_by(one_of).collect()
});

fn fixed_name(example: &Example) -> String {
    format!("{}_fixed", example.name)
}

/// Django accepts what a fix makes of an example in another form, and ends as behind the example itself.
#[test]
fn django_accepts_fixes_in_other_forms() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut names = BTreeSet::new();
    let mut write = |name: &str, files: &[SourceFile]| {
        for file in files {
            let path = directory.path().join(name).join(file.path().trim_start_matches("shop/"));
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, file.text()).expect("a file");
        }
        names.insert(name.to_owned());
    };
    for formed in FORMED.iter() {
        let example = EXAMPLES.iter().find(|example| example.name == formed.example).expect("an example");
        let (given, files) = common::example_files(&example.before.iter().collect::<Vec<_>>(), &example.block);
        write(&formed.example, &[given, files].concat());
        let files = std::slice::from_ref(&formed.file);
        let (postgres, config) = (common::postgres_of(&formed.block), common::config_of(formed.code, &formed.block));
        let fixed = common::fix(&formed.given, files, postgres, &config, formed.code);
        write(&formed.name, &[formed.given.clone(), fixed.files].concat());
    }
    let reports = run_in_django(directory.path(), &names.into_iter().collect::<Vec<_>>());
    let mut failures = String::new();
    for formed in FORMED.iter() {
        let wrong = match &reports[&formed.name] {
            Err(error) => Some(error.clone()),
            Ok(after) if !after.failures().is_empty() => Some(after.failures().join("; ")),
            Ok(after) => match &reports[&formed.example] {
                Ok(before) if before.failures().is_empty() && !["ZDM205", "ZDM106"].contains(&formed.code) => {
                    let differ = before.models != after.models || before.tables != after.tables;
                    differ.then(|| format!("the end differs: {:?}, {:?}", before.models, after.models))
                }
                _ => None,
            },
        };
        if let Some(wrong) = wrong {
            let _ = writeln!(failures, "{}: {wrong}\n{}", formed.name, formed.file.text());
        }
    }
    println!("{} fixed examples in other forms accepted by Django", FORMED.len());
    assert!(!FORMED.is_empty() && failures.is_empty(), "{failures}");
}

/// Django accepts what a fix writes, and ends in the same state and with the same tables.
#[test]
fn django_accepts_every_fix() {
    let mut failures = String::new();
    let mut fixed = 0;
    for example in EXAMPLES.iter() {
        let Some(after) = REPORTS.get(&fixed_name(example)) else { continue };
        fixed += 1;
        let after = match after {
            Ok(after) if after.failures().is_empty() => after,
            Ok(after) => {
                let _ = writeln!(failures, "{}: {}", example.name, after.failures().join("; "));
                continue;
            }
            Err(error) => {
                let _ = writeln!(failures, "{}: {error}", example.name);
                continue;
            }
        };
        let Ok(before) = &REPORTS[&example.name] else { continue };
        // What was refused has no end to compare with, a lasting default is the fix itself, and a partition that is
        // detached concurrently keeps its bounds as a CHECK.
        if before.failures().is_empty() && !["ZDM205", "ZDM106"].contains(&example.code) {
            if before.models != after.models {
                let _ =
                    writeln!(failures, "{}: the state differs: {:?}, {:?}", example.name, before.models, after.models);
            }
            if before.tables != after.tables {
                let _ =
                    writeln!(failures, "{}: the tables differ: {:?}, {:?}", example.name, before.tables, after.tables);
            }
        }
    }
    println!("{fixed} fixed examples accepted by Django");
    assert!(fixed > 0 && failures.is_empty(), "{failures}");
}

fn trace_of(example: &Example, postgres: PgVersion) -> (Trace, Vec<Diagnostic>) {
    let before: Vec<&Block> = example.before.iter().collect();
    let (given, files) = common::example_files(&before, &example.block);
    let found = common::lint_files(&given, &files, postgres, &common::config_of(example.code, &example.block));
    (common::trace_files(&given, &files, postgres), found)
}

#[test]
fn django_accepts_every_example() {
    let mut failures = String::new();
    let (mut accepted, mut refused) = (0, 0);
    for example in EXAMPLES.iter() {
        let error = match &REPORTS[&example.name] {
            Err(text) => Some((None, text.clone())),
            Ok(report) => report.migrations.iter().find_map(|migration| {
                let failure = migration.error.as_ref()?;
                Some((failure.sqlstate.clone(), format!("{}: {}", failure.class, failure.message)))
            }),
        };
        let (trace, found) = trace_of(example, PgVersion::NEWEST);
        let last = trace.migrations.last();
        let predicted: Vec<&Step> =
            last.into_iter().flat_map(|migration| &migration.steps).filter(|step| step.is_refused()).collect();
        let expected = FAILS.iter().find(|(code, _)| *code == example.code && example.bad);
        match (error, expected) {
            (None, _) if predicted.is_empty() => accepted += 1,
            // The events wait only where there are rows.
            (None, _) if example.code == "ZDM303" => accepted += 1,
            (None, _) => {
                let _ = writeln!(
                    failures,
                    "{}: accepted, but refused by the model: {:?}",
                    example.name, predicted[0].outcome.error
                );
            }
            (Some((_, text)), Some((_, words))) if text.contains(words) || words.contains("imported") => refused += 1,
            (Some((Some(sqlstate), _)), _)
                if predicted.iter().any(|step| step.outcome.error.as_ref().is_some_and(|e| e.sqlstate == sqlstate)) =>
            {
                refused += 1;
            }
            // Behind Python code, whose changes no statement shows, the finding itself says it.
            (Some((Some(sqlstate), _)), _)
                if sqlstate == "55006" && found.iter().any(|found| found.code.code == "ZDM303") =>
            {
                refused += 1;
            }
            // Django looks before the server does.
            (Some((None, text)), _)
                if text.starts_with("NotSupportedError")
                    && predicted
                        .iter()
                        .any(|step| step.outcome.error.as_ref().is_some_and(|e| e.sqlstate == "25001")) =>
            {
                refused += 1;
            }
            (Some((sqlstate, text)), _) => {
                let _ = writeln!(failures, "{}: {sqlstate:?} {text}\n{}", example.name, example.block.text);
            }
        }
    }
    println!("{accepted} examples accepted by Django, {refused} refused as the pages say");
    assert!(failures.is_empty(), "{failures}");
}

/// A statement of a *Bad* example that a finding of the page is about, with all that was sent before it.
struct Claim {
    example: &'static Example,
    /// Committed before: the given migrations, and what stands outside of a transaction.
    setup: String,
    pre: String,
    statement: String,
    transaction: bool,
    /// The table that the finding is about must be locked in this mode.
    lock: LockMode,
    work: Option<&'static str>,
    rows: Vec<[String; 2]>,
}

/// One claim per page and *Bad* example: the first statement that a finding of the page's own code names.
fn claims() -> Vec<Claim> {
    let mut claims = Vec::new();
    for example in EXAMPLES.iter().filter(|example| example.bad) {
        let page = RULES.iter().map(|rule| rule.page).find(|page| page.code.code == example.code).expect("a page");
        let Some(lock) = page.lock else { continue };
        let lock = LockMode::parse(lock).unwrap_or_else(|| panic!("{}: `{lock}` is no lock mode", example.code));
        let (trace, found) = trace_of(example, PgVersion::NEWEST);
        let Ok(report) = &REPORTS[&example.name] else { continue };
        let Some((last, given)) = report.migrations.split_last() else { continue };
        let statement = found
            .iter()
            .filter(|diagnostic| diagnostic.code.code == example.code)
            .find_map(|diagnostic| diagnostic.subject.statement.clone());
        let Some(statement) = statement else { continue };
        let migration = trace.migrations.last().expect("the example");
        // Python code is not among what Django sends by itself; its statements are judged as those of RunSQL.
        if migration.python.iter().any(|step| step.sql == statement) {
            continue;
        }
        let step = migration.steps.iter().find(|step| step.sql == statement).expect("the finding's statement");
        let sent = last.statements();
        let place = sent.iter().position(|sent| trimmed(&sent.sql) == trimmed(&step.sent));
        let place = place.unwrap_or_else(|| panic!("{}: Django did not send {}", example.name, step.sent));
        let mut setup = String::new();
        for statement in given.iter().flat_map(zdm_testkit::oracle::Migration::statements) {
            let _ = writeln!(setup, "{};", trimmed(&statement.sql));
        }
        let mut pre = String::new();
        for before in &sent[..place] {
            let target = if sent[place].in_transaction && before.in_transaction { &mut pre } else { &mut setup };
            let _ = writeln!(target, "{};", trimmed(&before.sql));
        }
        claims.push(Claim {
            example,
            setup,
            pre,
            statement: trimmed(&sent[place].sql).to_owned(),
            transaction: sent[place].in_transaction,
            lock,
            work: page.work,
            rows: rows(&migration.catalog_before.tables().map(|table| Table::clone(table)).collect::<Vec<_>>()),
        });
    }
    claims
}

pub(crate) fn trimmed(sql: &str) -> &str {
    sql.trim().trim_end_matches(';').trim_end()
}

/// Rows for every table, one INSERT a line: with a value in every column, and one that leaves columns NULL.
pub(crate) fn rows(tables: &[Table]) -> Vec<[String; 2]> {
    let mut rows = Vec::new();
    for table in tables.iter().filter(|table| !table.assumed && table.partition_of.is_none()) {
        let insert = |filled: &dyn Fn(&Column) -> bool| {
            let columns: Vec<&Column> = table.columns.iter().filter(|column| filled(column)).collect();
            let names: Vec<String> = columns.iter().map(|column| quote_identifier(column.name.as_str())).collect();
            let values: Vec<String> = columns.iter().map(|column| value_for(column)).collect();
            let list = if names.is_empty() { String::new() } else { format!("({})", names.join(", ")) };
            format!(
                "INSERT INTO {} {list} SELECT {} FROM generate_series(1, {ROWS}) g;\n",
                quote_identifier(table.name.name.as_str()),
                values.join(", ")
            )
        };
        let own = |column: &Column| column.default.is_none() && column.identity.is_none() && column.generated.is_none();
        rows.push([insert(&own), insert(&|column| own(column) && column.not_null)]);
    }
    rows
}

fn value_for(column: &Column) -> String {
    match column.data_type.name.name.as_str() {
        "int2" | "int4" | "int8" | "numeric" | "float8" => "g".to_owned(),
        "date" | "timestamp" | "timestamptz" => {
            format!("('2026-01-01'::timestamptz + g * interval '1 minute')::{}", column.data_type)
        }
        "bool" => "true".to_owned(),
        "uuid" => "gen_random_uuid()".to_owned(),
        "jsonb" | "json" => "'{}'".to_owned(),
        "varchar" | "text" | "bpchar" => "g::text".to_owned(),
        _ => format!("g::text::{}", column.data_type),
    }
}

/// The setup with the rows that its tables take on this server.
pub(crate) fn with_rows(client: &Client, setup: &str, rows: &[[String; 2]]) -> String {
    let mut kept = setup.to_owned();
    let begun = client
        .try_sql("BEGIN; CREATE SCHEMA tried; SET LOCAL search_path = tried, public")
        .and_then(|_| client.try_sql(setup));
    if begun.is_ok() {
        for alternatives in rows {
            for insert in alternatives {
                client.sql("SAVEPOINT rows");
                if client.try_sql(insert).is_ok() {
                    kept.push_str(insert);
                    break;
                }
                client.sql("ROLLBACK TO rows");
            }
        }
    }
    let _ = client.try_sql("ROLLBACK");
    kept
}

#[test]
fn servers_lock_as_the_pages_say() {
    LazyLock::force(&REPORTS);
    let claims = claims();
    let pages: BTreeSet<&str> = claims.iter().map(|claim| claim.example.code).collect();
    for rule in RULES.iter().filter(|rule| rule.page.lock.is_some()) {
        assert!(pages.contains(rule.page.code.code), "{}: no Bad example proves its lock", rule.page.code.code);
    }
    let ((quick, slow), results) = thread::scope(|scope| {
        let silent = scope.spawn(silent_statements);
        let workers: Vec<_> = majors_for("rule pages")
            .into_iter()
            .map(|major| {
                let claims = &claims;
                scope.spawn(move || {
                    let server = Server::shared(major);
                    let database = server.database();
                    let scratch = database.connect();
                    let bench = Bench::new(&server);
                    let version = PgVersion::major(u16::try_from(major).expect("a major version is small"));
                    let (mut proved, mut absent) = (0, 0);
                    let mut failures = String::new();
                    for claim in claims {
                        match check(claim, &bench, &scratch, version) {
                            Ok(true) => proved += 1,
                            Ok(false) => absent += 1,
                            Err(problem) => {
                                let _ = writeln!(
                                    failures,
                                    "{} on {major}: {problem}\n  {}",
                                    claim.example.name, claim.statement
                                );
                            }
                        }
                    }
                    (major, proved, absent, failures)
                })
            })
            .collect();
        let results: Vec<(u32, usize, usize, String)> =
            workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).collect();
        (silent.join().expect("a worker does not panic"), results)
    });
    let mut all = slow;
    println!("{} claims of {} pages", claims.len(), pages.len());
    println!("{quick} statements of silent examples keep nobody waiting");
    assert!(quick > 0, "no silent example was run");
    for (major, proved, absent, failures) in results {
        println!("PostgreSQL {major}: {proved} proved, {absent} not possible on this version");
        all.push_str(&failures);
    }
    assert!(all.is_empty(), "{all}");
}

/// True where the server did it, false where this version cannot.
fn check(claim: &Claim, bench: &Bench, scratch: &Client, version: PgVersion) -> Result<bool, String> {
    let setup = with_rows(scratch, &claim.setup, &claim.rows);
    let mode = if claim.transaction { Mode::Tx } else { Mode::NoTx };
    let holds = if claim.transaction { Holds::Nothing } else { Holds::EveryTable };
    let case = Case { setup: &setup, session: "", pre: &claim.pre, statement: &claim.statement, mode, holds };
    let (measured, scope) = match bench.measure(&case) {
        Answer::Measured(measured, scope) => (measured, scope),
        Answer::SetupFails(error) if version == PgVersion::NEWEST => return Err(format!("the setup fails: {error}")),
        Answer::SetupFails(_) => return Ok(false),
    };
    let prediction = predict(&case, version);
    let found = differences(&prediction.observed, &prediction.uncertain, &measured, scope);
    if let Some(difference) = found.first() {
        return Err(format!("{}: model {}, server {}", difference.respect, difference.predicted, difference.measured));
    }
    if let Some((sqlstate, message)) = &measured.error {
        return if version == PgVersion::NEWEST { Err(format!("{sqlstate} {message}")) } else { Ok(false) };
    }
    let strongest = measured.locks.values().filter_map(|mode| LockMode::parse(mode)).max();
    if !scope.no_locks && strongest.is_none_or(|mode| mode < claim.lock) {
        return Err(format!("the page says {}, the server holds {:?}", claim.lock, measured.locks));
    }
    if !scope.no_locks && !measured.locks.values().any(|mode| LockMode::parse(mode) == Some(claim.lock)) {
        return Err(format!("the page says {}, the server holds {:?}", claim.lock, measured.locks));
    }
    match claim.work {
        Some("rewrite") if measured.rewrites.is_empty() => {
            Err("the page says rewrite, nothing was rewritten".to_owned())
        }
        Some("scan") if !reads(&measured) => Err("the page says scan, nothing was read".to_owned()),
        Some("index build") if measured.builds.is_empty() => {
            Err("the page says index build, none was built".to_owned())
        }
        _ => Ok(true),
    }
}

fn reads(measured: &Observed) -> bool {
    !measured.scans.is_empty()
}

/// Where a page says nothing, nothing is to be said: each statement of its *Good* and *Silent* examples runs by itself
/// behind those before it, and none reads, writes or builds anything on a table in use while it keeps writers waiting.
/// How many there are, and what is wrong.
fn silent_statements() -> (usize, String) {
    let server = Server::newest();
    let database = server.database();
    let scratch = database.connect();
    let bench = Bench::new(&server);
    let (mut quick, mut failures) = (0, String::new());
    let silent = EXAMPLES.iter().filter(|example| !example.bad && example.code.starts_with("ZDM1"));
    for example in silent {
        let Ok(report) = &REPORTS[&example.name] else { continue };
        let Some((last, given)) = report.migrations.split_last() else { continue };
        let (trace, found) = trace_of(example, PgVersion::NEWEST);
        let migration = trace.migrations.last().expect("the example");
        let before: Vec<Table> = migration.catalog_before.tables().map(|table| Table::clone(table)).collect();
        let rows = rows(&before);
        let mut setup = String::new();
        for statement in given.iter().flat_map(zdm_testkit::oracle::Migration::statements) {
            let _ = writeln!(setup, "{};", trimmed(&statement.sql));
        }
        let mut setup = with_rows(&scratch, &setup, &rows);
        let (mut pre, mut held) = (String::new(), BTreeMap::<String, LockMode>::new());
        for sent in last.statements() {
            let statement = trimmed(&sent.sql);
            if !sent.in_transaction {
                setup.push_str(&std::mem::take(&mut pre));
                held.clear();
            }
            let mode = if sent.in_transaction { Mode::Tx } else { Mode::NoTx };
            let holds = if sent.in_transaction { Holds::Nothing } else { Holds::EveryTable };
            let case = Case { setup: &setup, session: "", pre: &pre, statement, mode, holds };
            if let Answer::Measured(measured, _) = bench.measure(&case)
                && measured.error.is_none()
            {
                for (table, mode) in &measured.locks {
                    if let Some(mode) = LockMode::parse(mode) {
                        let strongest = held.entry(table.clone()).or_insert(mode);
                        *strongest = mode.max(*strongest);
                    }
                }
                let works = !measured.rewrites.is_empty() || !measured.scans.is_empty() || !measured.builds.is_empty();
                let waits = before.iter().map(|table| table.name.to_string()).find(|table| {
                    let is_worked_on = measured.rewrites.contains(table)
                        || measured.scans.contains(table)
                        || (measured.locks.contains_key(table) && !measured.builds.is_empty());
                    is_worked_on && held.get(table).is_some_and(|mode| *mode >= LockMode::Share)
                });
                let told = found.iter().any(|found| {
                    found.subject.statement.as_deref().is_some_and(|own| statement.starts_with(trimmed(own)))
                });
                match waits.filter(|_| works && !told) {
                    Some(table) => {
                        let _ = writeln!(failures, "{}: {table} is kept under {held:?} for {statement}", example.name);
                    }
                    None => quick += 1,
                }
            }
            let target = if sent.in_transaction { &mut pre } else { &mut setup };
            let _ = writeln!(target, "{statement};");
        }
    }
    (quick, failures)
}

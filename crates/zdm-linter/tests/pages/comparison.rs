//! docs/comparison.md is made from fixtures/comparison/cases.md and kept true here: what the linter says of each case, and
//! what a live server does with it. What the other linters say was written by `cargo xtask peers`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::common::{self, Block};
use crate::live;
use zdm_claims::measure::{Answer, Bench};
use zdm_claims::predict::{Case as Measurement, Holds};
use zdm_claims::truth::Mode;
use zdm_linter::Config;
use zdm_postgres::catalog::Table;
use zdm_postgres::{LockMode, PgVersion, Statement};
use zdm_source::Severity;
use zdm_testkit::{Server, cache};

/// The server's and the linter's version here, as docs/comparison.md says.
const MAJOR: u32 = 16;

const TOOLS: [&str; 3] = ["DML", "DS", "squawk"];

#[derive(Debug, Default)]
struct Case {
    title: String,
    /// `postgres`, `lock`, `work`, `zdm` and the tools, as they stand in the file.
    lines: Vec<(String, String)>,
    given: Vec<Block>,
    own: Vec<Block>,
}

impl Case {
    fn line(&self, key: &str) -> &str {
        let found = self.lines.iter().find(|(own, _)| own == key);
        found.map_or_else(|| panic!("{}: no `{key}`", self.title), |(_, value)| value.as_str())
    }
}

fn file(path: &str) -> PathBuf {
    cache::workspace().join(path)
}

const CASES: &str = "fixtures/comparison/cases.md";
const PAGE: &str = "docs/comparison.md";

fn read(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut open: Option<(bool, Block)> = None;
    for (index, line) in text.lines().enumerate() {
        if let Some((given, mut block)) = open.take() {
            if line != "```" {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some((given, block));
            } else if let Some(case) = cases.last_mut() {
                if given { case.given.push(block) } else { case.own.push(block) }
            }
        } else if let Some(title) = line.strip_prefix("## ") {
            cases.push(Case { title: title.to_owned(), ..Case::default() });
        } else if let Some(info) = line.strip_prefix("```python") {
            open = Some((info.trim() == "given", Block { line: index + 2, text: String::new() }));
        } else if let (Some(case), Some((key, value))) = (cases.last_mut(), line.split_once(": ")) {
            case.lines.push((key.to_owned(), value.to_owned()));
        }
    }
    cases
}

/// The codes of at least a warning, sorted: `ZDM101, ZDM141`.
fn found(given: &[&Block], own: &Block) -> String {
    let (given, files) = common::example_files(given, own);
    let postgres = PgVersion::major(u16::try_from(MAJOR).expect("a major version is small"));
    let found = common::lint_files(&given, &files, postgres, &Config::default());
    let codes: BTreeSet<&str> = found
        .iter()
        .filter(|found| found.suppressed.is_none() && found.severity >= Severity::Warning)
        .map(|found| found.code.code)
        .collect();
    if codes.is_empty() { "silent".to_owned() } else { codes.into_iter().collect::<Vec<_>>().join(", ") }
}

/// The strongest lock on a table that was there before, and the heaviest work, of all statements of the migration.
fn measured(
    bench: &Bench,
    scratch: &zdm_testkit::Client,
    given: &[&Block],
    own: &Block,
) -> Result<[String; 2], String> {
    let (given, files) = common::example_files(given, own);
    let trace = common::trace_files(&given, &files, PgVersion::major(u16::try_from(MAJOR).unwrap_or(16)));
    let Some((last, earlier)) = trace.migrations.split_last() else { return Err("no migration".to_owned()) };
    let mut setup = String::new();
    for step in earlier.iter().flat_map(|migration| &migration.steps) {
        let _ = writeln!(setup, "{};", live::trimmed(&step.sql));
    }
    let tables: Vec<Table> = last.catalog_before.tables().map(|table| Table::clone(table)).collect();
    let rows = live::rows(&tables);
    let setup = live::with_rows(scratch, &setup, &rows);
    let (mut lock, mut work) = (None, "none");
    let mut pre = String::new();
    for step in &last.steps {
        let transaction = step.transaction.is_some();
        let (mode, holds) = if transaction { (Mode::Tx, Holds::Nothing) } else { (Mode::NoTx, Holds::EveryTable) };
        let statement = live::trimmed(&step.sql);
        let case = Measurement { setup: &setup, session: "", pre: &pre, statement, mode, holds };
        let observed = match bench.measure(&case) {
            Answer::Measured(observed, _) => observed,
            Answer::SetupFails(error) => return Err(format!("the setup fails: {error}")),
        };
        if observed.error.is_some() {
            work = "refused";
            break;
        }
        let old = |name: &str| tables.iter().any(|table| table.name.name.as_str() == name);
        let modes = observed.locks.iter().filter(|(name, _)| old(name)).filter_map(|(_, mode)| LockMode::parse(mode));
        lock = lock.max(modes.max());
        let new = |kind: &str| ["none", "scan", "index build", "rewrite"].iter().position(|own| *own == kind);
        let done = [
            ("rewrite", observed.rewrites.is_empty()),
            ("index build", observed.builds.is_empty() || !names_old(&step.statement, &old)),
            ("scan", observed.scans.is_empty()),
        ];
        for (kind, _) in done.into_iter().filter(|(_, absent)| !absent) {
            if new(kind) > new(work) {
                work = kind;
            }
        }
        let _ = writeln!(pre, "{statement};");
    }
    let lock = lock.map_or_else(|| "none".to_owned(), |lock| lock.to_string());
    Ok([lock, work.to_owned()])
}

/// Whether a statement that builds indexes does it on a table that was there before: over no rows it is no work.
fn names_old(statement: &Statement, old: &dyn Fn(&str) -> bool) -> bool {
    match statement {
        Statement::CreateTable(_) => false,
        Statement::CreateIndex(create) => old(create.table.name.as_str()),
        Statement::AlterTable(alter) => old(alter.name.name.as_str()),
        _ => true,
    }
}

/// Whether other sessions wait for work to be done, or the migration fails.
fn is_harm(lock: &str, work: &str) -> bool {
    work == "refused" || (work != "none" && LockMode::parse(lock).is_some_and(|lock| lock >= LockMode::Share))
}

fn page(cases: &[Case]) -> String {
    let bold = |answer: &str| {
        let parts = answer.split(", ").map(|part| match part.strip_prefix("! ") {
            Some(wrong) => format!("**{wrong}**"),
            None => part.to_owned(),
        });
        parts.collect::<Vec<_>>().join(", ")
    };
    let mut out = String::new();
    let (disputed, agreed): (Vec<&Case>, Vec<&Case>) =
        cases.iter().partition(|case| TOOLS.iter().any(|tool| case.line(tool).contains("! ")));
    let mut table = |title: &str, cases: &[&Case]| {
        let _ = writeln!(
            out,
            "## {title}\n\n| migration | what PostgreSQL does | zdm-lint | DML | DS | squawk |\n|---|---|---|---|---|---|"
        );
        for case in cases {
            let tools: Vec<String> = TOOLS.iter().map(|tool| bold(case.line(tool))).collect();
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} |",
                case.title,
                case.line("postgres"),
                case.line("zdm"),
                tools.join(" | ")
            );
        }
        out.push('\n');
    };
    table("Where they disagree", &disputed);
    table("Where all are right", &agreed);
    out
}

const BEGIN: &str = "<!-- made from fixtures/comparison/cases.md -->\n\n";
const END: &str = "<!-- end -->\n";

#[test]
fn the_comparison_is_what_the_linter_says_and_the_server_does() {
    let text = std::fs::read_to_string(file(CASES)).expect("the cases");
    let mut all = read(&text);
    let given = all.remove(0).own;
    let update = std::env::var_os("ZDM_UPDATE").is_some();
    let server = Server::shared(MAJOR);
    let database = server.database();
    let scratch = database.connect();
    let bench = Bench::new(&server);
    let mut failures = String::new();
    let mut new_text = text.clone();
    for case in &mut all {
        let [own] = case.own.as_slice() else { panic!("{}: one migration", case.title) };
        let before: Vec<&Block> = given.iter().chain(&case.given).collect();
        let said = found(&before, own);
        let [lock, work] = match measured(&bench, &scratch, &before, own) {
            Ok(measured) => measured,
            Err(error) => {
                let _ = writeln!(failures, "{}: {error}", case.title);
                continue;
            }
        };
        for (key, value) in [("zdm", &said), ("lock", &lock), ("work", &work)] {
            if case.line(key) == value {
                continue;
            }
            if !update {
                let _ = writeln!(failures, "{}: `{key}` is {value}, not {}", case.title, case.line(key));
            }
            let section = new_text.find(&format!("\n## {}\n", case.title)).expect("the case's section");
            let place = section + new_text[section..].find(&format!("\n{key}: ")).expect("the case's line");
            let start = place + key.len() + 3;
            let end = start + new_text[start..].find('\n').expect("a line's end");
            new_text.replace_range(start..end, value);
            let line = case.lines.iter_mut().find(|(own, _)| own == key).expect("the case's line");
            line.1.clone_from(value);
        }
        // Who is silent about harm is wrong, whoever it is.
        if is_harm(&lock, &work) && !case.line("lock").starts_with("none") {
            if said == "silent" {
                let _ = writeln!(failures, "{}: {work} under {lock}, and zdm-lint is silent", case.title);
            }
            for tool in TOOLS.iter().filter(|tool| case.line(tool) == "silent") {
                let _ = writeln!(failures, "{}: {work} under {lock}, and {tool} is silent: mark it", case.title);
            }
        }
    }
    let page_text = std::fs::read_to_string(file(PAGE)).expect("the page");
    let (head, rest) = page_text.split_once(BEGIN).expect("the mark where the tables begin");
    let (tables, tail) = rest.split_once(END).expect("the mark where the tables end");
    let expected = page(&all);
    if update {
        std::fs::write(file(CASES), new_text).expect("the cases are written");
        std::fs::write(file(PAGE), format!("{head}{BEGIN}{expected}{END}{tail}")).expect("the page is written");
    } else if tables != expected {
        let _ = writeln!(failures, "{PAGE} is out of date: run `cargo xtask rules`");
    }
    println!("{} cases measured on PostgreSQL {MAJOR}", all.len());
    assert!(failures.is_empty(), "{failures}");
}

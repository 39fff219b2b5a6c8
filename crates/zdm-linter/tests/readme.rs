//! `rules/README.md` is made from the pages and from `rules/tools.txt`, and is kept true here:
//! `cargo xtask rules` writes it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use zdm_linter::{Page, RULES};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules")
}

/// A tool with its checks: our rules, or the reason why there is none.
struct Tool {
    name: String,
    checks: Vec<(String, Answer)>,
}

enum Answer {
    Rules(Vec<&'static Page>),
    Reason(String),
}

fn tools() -> Vec<Tool> {
    let text = std::fs::read_to_string(folder().join("tools.txt")).expect("rules/tools.txt");
    let by_code: BTreeMap<&str, &'static Page> = RULES.iter().map(|rule| (rule.page.code.code, &rule.page)).collect();
    let mut tools: Vec<Tool> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if let Some(name) = line.strip_prefix("# ") {
            tools.push(Tool { name: name.to_owned(), checks: Vec::new() });
            continue;
        }
        let (check, answer) = line.split_once(": ").unwrap_or_else(|| panic!("`{line}` is not `check: answer`"));
        let answer = match answer.strip_prefix("- ") {
            Some(reason) => Answer::Reason(reason.to_owned()),
            None => Answer::Rules(
                answer
                    .split(", ")
                    .map(|code| *by_code.get(code).unwrap_or_else(|| panic!("{check}: there is no rule `{code}`")))
                    .collect(),
            ),
        };
        tools.last_mut().expect("a tool before its checks").checks.push((check.to_owned(), answer));
    }
    tools
}

const FAMILIES: [(&str, &str, &str); 9] = [
    (
        "ZDM1",
        "Lock-heavy",
        "A statement rewrites, scans or builds under a strong lock, locks another table, or is followed by slow work.",
    ),
    ("ZDM2", "Backward-incompatible", "The code that is still running cannot read or write as it did."),
    ("ZDM3", "Data", "Rows are changed: how many at once, and beside what."),
    ("ZDM4", "Transactions and re-runs", "What a transaction allows, and what a failed migration leaves behind."),
    ("ZDM5", "Reversibility", "Whether the way back exists, and what it does."),
    ("ZDM6", "Graph and state", "The history as a whole, what is declared, and whether state and database meet."),
    ("ZDM7", "Will fail", "PostgreSQL refuses the statement, or does not do what it says."),
    ("ZDM8", "Style", "Off by default."),
    ("ZDM9", "Limits of the analysis", "What was not understood. Never silent."),
];

fn link(page: &Page) -> String {
    format!("[{}]({})", page.code.code, page.file_name())
}

fn readme() -> String {
    let count = RULES.len();
    let mut out = format!(
        "# Rules\n\n\
         {count} rules. Each has a page, which is its documentation and its test: the *Bad* examples are found, the *Good* ones\n\
         are silent, real Django runs both, and where a page names a lock, servers of every supported major version take it.\n\
         `zdm-lint explain CODE` prints a page, `zdm-lint rules` lists all. This file is made by `cargo xtask rules`.\n\n\
         Severity: *error*, an outage or a break of running code is certain on a table in use; *warning*, it depends on size or\n\
         load; *info*, worth knowing. The size and traffic of tables move it, see [the configuration](../docs/configuration.md).\n\
         Rules marked *off* run when they are selected: `--select ZDM8`, or `extend-select` in the configuration.\n"
    );
    for (prefix, title, words) in FAMILIES {
        let _ = writeln!(
            out,
            "\n## {}xx {title}\n\n{words}\n\n| rule | name | severity | lock | phase | fix | what |\n|---|---|---|---|---|---|---|",
            &prefix[3..]
        );
        for rule in RULES.iter().filter(|rule| rule.page.code.code.starts_with(prefix)) {
            let page = &rule.page;
            let severity = if page.optional {
                format!("{}, off", page.severity.as_str())
            } else {
                page.severity.as_str().to_owned()
            };
            let fix = if page.fix == "none" { "" } else { page.fix };
            let _ = writeln!(
                out,
                "| {} | {} | {severity} | {} | {} | {fix} | {} |",
                link(page),
                page.code.name,
                page.lock.unwrap_or(""),
                page.phase.map_or("", zdm_source::Phase::as_str),
                page.summary
            );
        }
    }
    out.push_str(
        "\n## Rules without a fix\n\n\
         A fix is a local edit that leaves the state as it is. Where there is none, the reason:\n\n| rule | why |\n|---|---|\n",
    );
    for page in RULES.iter().map(|rule| &rule.page) {
        if let Some(reason) = page.no_fix() {
            let _ = writeln!(out, "| {} {} | {reason} |", link(page), page.code.name);
        }
    }
    out.push_str(
        "\n## Coming from another tool\n\n\
         Every check of these tools that can occur in a Django migration on PostgreSQL has a rule here, or a line that says why\n\
         not. How the tools differ where both have a check, with PostgreSQL's word on who is right, is in\n\
         [docs/comparison.md](../docs/comparison.md).\n",
    );
    for tool in tools() {
        let _ = writeln!(out, "\n### {}\n\n| its check | here |\n|---|---|", tool.name);
        for (check, answer) in &tool.checks {
            let here = match answer {
                Answer::Reason(reason) => format!("none: {reason}"),
                Answer::Rules(pages) => {
                    let words: Vec<String> =
                        pages.iter().map(|page| format!("{} {}", link(page), page.code.name)).collect();
                    words.join(", ")
                }
            };
            let _ = writeln!(out, "| {check} | {here} |");
        }
    }
    out
}

#[test]
fn the_readme_is_made_from_the_pages() {
    let path = folder().join("README.md");
    let expected = readme();
    if std::env::var_os("ZDM_UPDATE").is_some() {
        std::fs::write(&path, &expected).expect("rules/README.md is written");
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "rules/README.md is out of date: run `cargo xtask rules`");
}

/// How many checks each tool has, counted in its own code.
#[test]
fn no_check_of_a_tool_is_left_out() {
    let expected = [
        ("django-migration-linter", 16),
        ("django-safe-migrations", 51),
        ("squawk", 78),            // 77, and one that its command line rejects
        ("strong_migrations", 35), // two of them are options
        ("eugene", 15),
        ("django-pg-zero-downtime-migrations", 7),
    ];
    let tools = tools();
    for (name, count) in expected {
        let tool = tools.iter().find(|tool| tool.name.starts_with(name)).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(tool.checks.len(), count, "{name}");
        let mut names: Vec<&str> = tool.checks.iter().map(|(check, _)| check.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{name}: a check is listed twice");
    }
    assert!(tools.iter().any(|tool| tool.name.starts_with("Atlas")));
}

#[test]
fn a_rule_has_a_fix_or_a_reason_why_not() {
    for page in RULES.iter().map(|rule| &rule.page) {
        let reason = page.no_fix();
        assert_eq!(reason.is_some(), page.fix == "none", "{}: {reason:?}", page.code.code);
        let count = page.body.matches("There is no fix: ").count();
        assert_eq!(count, usize::from(page.fix == "none"), "{}", page.code.code);
    }
}

#[test]
fn every_rule_belongs_to_a_family() {
    for rule in RULES.iter() {
        let code = rule.page.code.code;
        assert!(FAMILIES.iter().any(|(prefix, ..)| code.starts_with(prefix)), "{code}");
        let optional_style = !code.starts_with("ZDM8") || rule.page.optional;
        assert!(optional_style, "{code}: style rules are off by default");
    }
}

//! Runs every page of `rules/`: the examples are the tests.

mod common;
#[path = "pages/comparison.rs"]
mod comparison;
#[path = "pages/fix_forms.rs"]
mod fix_forms;
#[path = "pages/forms.rs"]
mod forms;
#[path = "pages/live.rs"]
mod live;
#[path = "pages/reports.rs"]
mod reports;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use common::{Block, read_page};
use zdm_linter::RULES;
use zdm_source::{Applicability, Severity};

#[test]
fn every_page_holds() {
    let mut failures = String::new();
    let mut examples = 0;
    for rule in RULES.iter() {
        // What git knows is not in a page's examples; the module of that rule has tests of its own.
        if rule.page.code.code == "ZDM607" {
            continue;
        }
        let page = read_page(&rule.page);
        assert!(!page.bad.is_empty(), "{} has no Bad example", rule.page.code.code);
        assert!(!page.good.is_empty(), "{} has no Good example", rule.page.code.code);
        assert!(!page.silent.is_empty(), "{} has no example of silence", rule.page.code.code);
        let marks_itself = page
            .bad
            .iter()
            .any(|block| common::expectations(&block.text).values().flatten().any(|code| code == rule.page.code.code));
        assert!(marks_itself, "{}: no Bad line is marked with the page's own code", rule.page.code.code);
        for block in &page.bad {
            examples += 1;
            check(rule.page.code.code, "Bad", &page.given, &[], block, Severity::Warning, &mut failures);
        }
        let mut before = Vec::new();
        for block in &page.good {
            examples += 1;
            check(rule.page.code.code, "Good", &page.given, &before, block, Severity::Warning, &mut failures);
            before.push(block.clone());
        }
        for block in &page.silent {
            examples += 1;
            check(
                rule.page.code.code,
                "When it stays silent",
                &page.given,
                &[],
                block,
                Severity::Warning,
                &mut failures,
            );
        }
    }
    println!("{} pages, {examples} examples", RULES.len());
    assert!(failures.is_empty(), "{failures}");
}

/// A fix removes its finding, leaves the state as it is, and its page says how sure it is.
#[test]
fn every_fix_mends_its_example() {
    let mut failures = String::new();
    let mut fixed_examples = 0;
    for rule in RULES.iter().filter(|rule| rule.page.code.code != "ZDM607") {
        let code = rule.page.code.code;
        let page = read_page(&rule.page);
        let mut kinds = BTreeSet::new();
        for block in &page.bad {
            let (given, files) = common::example_files(&page.given.iter().collect::<Vec<_>>(), block);
            let (postgres, config) = (common::postgres_of(block), common::config_of(code, block));
            let fixed = common::fix(&given, &files, postgres, &config, code);
            kinds.extend(fixed.applied.iter().copied());
            if fixed.applied.is_empty() {
                continue;
            }
            fixed_examples += 1;
            let left = fixed.findings.iter().find(|finding| {
                finding.suppressed.is_none()
                    && (finding.code.code == code
                        || ["ZDM601", "ZDM602", "ZDM701", "ZDM901", "ZDM905"].contains(&finding.code.code))
            });
            let before = common::describe_state(&common::trace_files(&given, &files, postgres));
            let after = common::describe_state(&common::trace_files(&given, &fixed.files, postgres));
            if left.is_some() || before != after {
                let _ = writeln!(failures, "{code}: {:?}\n{before:?}\n{after:?}", left.map(|left| &left.message));
                for file in &fixed.files {
                    let _ = writeln!(failures, "--- {}\n{}", file.path(), file.text());
                }
            }
        }
        let said: BTreeSet<Applicability> = match rule.page.fix {
            "safe" => [Applicability::Safe].into(),
            "unsafe" => [Applicability::Unsafe].into(),
            "safe, unsafe" => [Applicability::Safe, Applicability::Unsafe].into(),
            _ => BTreeSet::new(),
        };
        if said != kinds {
            let _ = writeln!(failures, "{code}: the page says `fix: {}`, its examples show {kinds:?}", rule.page.fix);
        }
    }
    println!("{fixed_examples} examples fixed");
    assert!(failures.is_empty(), "{failures}");
}

/// The marked lines are exactly the lines with findings of at least this severity; others that are marked must be there too.
fn check(
    page: &'static str,
    section: &str,
    given: &[Block],
    before: &[Block],
    block: &Block,
    least: Severity,
    failures: &mut String,
) {
    let earlier: Vec<&Block> = given.iter().chain(before).collect();
    let expected = common::expectations(&block.text);
    let (given, files) = common::example_files(&earlier, block);
    let found = common::lint_files(&given, &files, common::postgres_of(block), &common::config_of(page, block));
    let mut actual: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for diagnostic in found.iter().filter(|diagnostic| diagnostic.suppressed.is_none()) {
        let line = diagnostic.primary.file.lines().line_of(diagnostic.primary.span.start);
        let text = diagnostic
            .primary
            .file
            .slice(diagnostic.primary.file.lines().line_span(diagnostic.primary.file.text(), line));
        let marked = expected.iter().find(|(line, codes)| {
            common::stripped_line(&block.text, **line).trim() == text.trim()
                && codes.iter().any(|code| code == diagnostic.code.code)
        });
        if diagnostic.severity < least && marked.is_none() {
            continue;
        }
        let key = marked.map_or(usize::MAX, |(line, _)| *line);
        actual.entry(key).or_default().push(diagnostic.code.code.to_owned());
    }
    for codes in actual.values_mut() {
        codes.sort();
        codes.dedup();
    }
    if actual == expected {
        return;
    }
    let _ = writeln!(failures, "\n{page}, {section} (line {} of the page):\n{}", block.line, block.text);
    let _ = writeln!(failures, "expected {expected:?}, found {actual:?}");
    for diagnostic in &found {
        let place = diagnostic.primary.file.line_column(diagnostic.primary.span.start);
        let _ = writeln!(
            failures,
            "  {}:{} {} {:?}{}: {}",
            place.line,
            place.column,
            diagnostic.code.code,
            diagnostic.severity,
            if diagnostic.suppressed.is_some() { " (suppressed)" } else { "" },
            diagnostic.message
        );
    }
}

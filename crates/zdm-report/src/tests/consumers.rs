//! The reports, read by programs that nobody here wrote.
//!
//! `cargo xtask setup` installs them. What is not installed is recorded as a gap and printed; the other formats are
//! still checked.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use zdm_source::{Applicability, Fix, FixFile, Suppressed, SuppressionKind};
use zdm_testkit::{cache, skip};

use super::{findings, many, report};
use crate::markdown::MarkdownOptions;
use crate::report::Report;
use crate::{gitlab, junit, markdown, sarif};

/// The Python of the environment with the readers; `None`, and a recorded gap, where it is missing.
fn python(what: &str) -> Option<PathBuf> {
    let piece = cache::root().join("consumers");
    if cache::stamp(&piece).is_none() {
        skip::record("report formats", &format!("{what} was not read by another program: run `cargo xtask setup`"));
        eprintln!("SKIPPED: {what}: `cargo xtask setup` provides what reads it");
        return None;
    }
    Some(piece.join("bin/python"))
}

/// Runs a script with `files` as its arguments; what it prints is the result.
fn run(python: &PathBuf, script: &str, files: &[&str]) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(python);
    command.args(["-I", "-c", script]);
    for (number, text) in files.iter().enumerate() {
        let path = folder.path().join(number.to_string());
        fs::write(&path, text).unwrap();
        command.arg(path);
    }
    let output = command.env("PYTHONIOENCODING", "utf-8").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// Every report that the tests have, each with another part of the formats in it.
fn each_report(check: impl Fn(&Report<'_>, &str)) {
    let mut all = findings();
    let file = all[0].primary.file.clone();
    all[1].fix = Some(Fix {
        title: "add a migration".to_owned(),
        applicability: Applicability::Unsafe,
        files: vec![FixFile::Create { path: "shop/migrations/0003 größe.py".into(), text: "x\n".to_owned() }],
    });
    all[1].suppressed = Some(Suppressed { kind: SuppressionKind::Baseline, reason: None });
    all[0].message = "control \u{1} and \u{b} <&>\"']]> {0} [x](1) \u{fffe}".to_owned();
    all[0].primary.span = zdm_source::Span::at(u32::try_from(file.text().len()).unwrap());
    let plain = findings();
    check(&report(&plain), "plain");
    check(&report(&all), "rich");
    check(&report(&[]), "empty");
    let crowd = many(40);
    let mut crowded = report(&crowd);
    crowded.rules = &[];
    crowded.base = None;
    crowded.notes.clear();
    crowded.fail_on = None;
    check(&crowded, "many, without rules");
}

/// A line per log: `valid`, or what is wrong with it first.
const SARIF: &str = r"
import json, sys
from jsonschema import Draft4Validator, FormatChecker
schema, *logs = (json.load(open(path, encoding='utf-8')) for path in sys.argv[1:])
Draft4Validator.check_schema(schema)
validator = Draft4Validator(schema, format_checker=FormatChecker())
for log in logs:
    print(next((f'{error.json_path}: {error.message}' for error in validator.iter_errors(log)), 'valid'))
";

#[test]
fn sarif_is_valid_by_the_published_schema() {
    let Some(python) = python("SARIF") else { return };
    let Ok(schema) = fs::read_to_string(cache::root().join("schemas/sarif.json")) else {
        skip::record("report formats", "SARIF was not validated: its schema is not there, run `cargo xtask setup`");
        eprintln!("SKIPPED: SARIF's schema is not there");
        return;
    };
    let logs = RefCell::new(Vec::new());
    each_report(|report, _| logs.borrow_mut().push(sarif::render(report)));
    let mut logs = logs.into_inner();
    let valid = logs.len();
    // The validator does refuse what is wrong.
    let log = logs[0].clone();
    for (right, wrong) in [
        ("\"startLine\": 8", "\"startLine\": 0"),
        ("\"kind\": \"inSource\"", "\"kind\": \"inComment\""),
        ("\"executionSuccessful\": true,", ""),
        ("\"backend/shop/migrations/0001_initial.py\"", "\"a b c%\""),
    ] {
        assert!(log.contains(right), "{right}");
        logs.push(log.replace(right, wrong));
    }
    let files: Vec<&str> = std::iter::once(&schema).chain(&logs).map(String::as_str).collect();
    let verdicts = run(&python, SARIF, &files).unwrap();
    let verdicts: Vec<&str> = verdicts.lines().collect();
    let (of_valid, of_wrong) = verdicts.split_at(valid);
    assert!(of_valid.iter().all(|verdict| *verdict == "valid"), "{of_valid:#?}");
    assert_eq!(of_wrong.len(), 4);
    assert!(of_wrong.iter().all(|verdict| *verdict != "valid"), "{of_wrong:#?}");
}

const JUNIT: &str = r"
import sys
from junitparser import JUnitXml
report = JUnitXml.fromfile(sys.argv[1])
found = [0, 0, 0, 0]
for suite in report:
    cases = list(suite)
    assert suite.tests == len(cases), suite.name
    for case in cases:
        assert case.name and case.classname, suite.name
        found[0] += 1
        found[1] += case.is_failure
        found[2] += case.is_skipped
        found[3] += bool(case.system_out)
assert (report.tests, report.failures, report.skipped) == tuple(found[:3]), (report.tests, found)
print(*found)
";

#[test]
fn junit_is_read_by_a_parser_of_it() {
    let Some(python) = python("JUnit's XML") else { return };
    each_report(|report, name| {
        let counts = report.counts();
        let failed = report.diagnostics.iter().filter(|diagnostic| report.fails(diagnostic)).count();
        let said = counts.active() - failed;
        let passed = report.phases.iter().filter(|phase| {
            !report.diagnostics.iter().any(|found| found.subject.migration.as_deref() == Some(&phase.migration))
        });
        let tests = report.diagnostics.len() + passed.count();
        let expected = format!("{tests} {failed} {} {said}", counts.suppressed);
        assert_eq!(run(&python, JUNIT, &[&junit::render(report)]), Ok(expected), "{name}");
    });
}

/// The description of the format is prose; this is that prose as a schema.
const GITLAB: &str = r"
import json, sys
from jsonschema import Draft202012Validator
report = json.load(open(sys.argv[1], encoding='utf-8'))
text = {'type': 'string', 'minLength': 1}
line = {'type': 'integer', 'minimum': 1}
Draft202012Validator({
    'type': 'array',
    'items': {
        'type': 'object',
        'required': ['description', 'check_name', 'fingerprint', 'location', 'severity'],
        'properties': {
            'description': text, 'check_name': text, 'fingerprint': text,
            'severity': {'enum': ['info', 'minor', 'major', 'critical', 'blocker']},
            'location': {
                'type': 'object', 'required': ['path', 'lines'],
                'properties': {
                    'path': {'type': 'string', 'pattern': r'^(?!\./|/)'},
                    'lines': {'type': 'object', 'required': ['begin'], 'properties': {'begin': line, 'end': line}},
                },
            },
        },
    },
}).validate(report)
assert len({violation['fingerprint'] for violation in report}) == len(report), 'fingerprints'
print(len(report))
";

#[test]
fn gitlab_gets_what_its_documentation_asks_for() {
    let Some(python) = python("GitLab's report") else { return };
    each_report(|report, name| {
        let expected = report.counts().active().to_string();
        assert_eq!(run(&python, GITLAB, &[&gitlab::render(report)]), Ok(expected), "{name}");
    });
}

const MARKDOWN: &str = r"
import sys
from markdown_it import MarkdownIt
tokens = MarkdownIt('commonmark').enable('table').parse(open(sys.argv[1], encoding='utf-8').read())
rows = sum(token.type == 'tr_open' for token in tokens)
inline = [child for token in tokens for child in token.children or []]
tags = {child.content for child in inline if child.type == 'html_inline'}
blocks = {token.content.split('<b>')[0].strip() for token in tokens if token.type == 'html_block'}
assert tags <= {'<sub>', '</sub>', '<br>'}, tags
assert blocks <= {'<!-- zdm-lint -->', '<details><summary>', '</details>'}, blocks
assert not any(child.type == 'image' for child in inline)
print(rows, sum(child.type == 'link_open' for child in inline))
";

#[test]
fn markdown_is_two_tables_and_no_strange_tags() {
    let Some(python) = python("Markdown") else { return };
    each_report(|report, name| {
        let linked =
            report.active().filter(|finding| report.rule(finding.code.code).is_some_and(|rule| !rule.url.is_empty()));
        let findings = report.counts().active();
        // Each table has one row for its head.
        let rows = if findings > 0 { findings + 1 } else { 0 } + report.phases.len() + 1;
        let expected = format!("{rows} {}", linked.count());
        let summary = markdown::render(report, MarkdownOptions::default());
        assert_eq!(run(&python, MARKDOWN, &[&summary]), Ok(expected), "{name}\n{summary}");
    });
}

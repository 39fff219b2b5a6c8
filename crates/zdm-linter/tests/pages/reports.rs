//! Each page shows what the linter says of its first *Bad* example, and the test keeps it true: `cargo xtask rules` writes it.

use std::fmt::Write as _;

use crate::common::{self, Block, read_page};
use zdm_linter::RULES;
use zdm_source::{Diagnostic, Note};
use zdm_testkit::cache;

/// Characters in a line.
const WIDTH: usize = 110;

/// `word: text` over lines of bounded length, those behind the first under the text.
fn paragraph(out: &mut String, word: &str, text: &str) {
    let indent = " ".repeat(word.chars().count() + 2);
    let mut line = format!("{word}:");
    for part in text.split_whitespace() {
        if line.chars().count() + 1 + part.chars().count() > WIDTH {
            let _ = writeln!(out, "{}", line.trim_end());
            line = format!("{indent}{part}");
        } else {
            line.push(' ');
            line.push_str(part);
        }
    }
    let _ = writeln!(out, "{}", line.trim_end());
}

fn shown(finding: &Diagnostic) -> String {
    let mut out = String::new();
    paragraph(&mut out, &format!("{}[{}]", finding.severity.as_str(), finding.code.code), &finding.message);
    for note in &finding.notes {
        match note {
            Note::Fact(text) => paragraph(&mut out, "  note", text),
            Note::Help(text) => paragraph(&mut out, "  help", text),
            Note::Code { title, text, .. } => {
                paragraph(&mut out, "  help", title);
                for line in text.lines() {
                    let _ = writeln!(out, "{}", format!("        {line}").trim_end());
                }
            }
        }
    }
    if let Some(fix) = &finding.fix {
        paragraph(&mut out, "  fix", &fix.title);
    }
    out
}

/// The first *Bad* example with a finding of the page's own code, and that finding.
fn example(code: &'static str, given: &[Block], bad: &[Block]) -> Option<(Block, String)> {
    let given: Vec<&Block> = given.iter().collect();
    bad.iter().find_map(|block| {
        let (given, files) = common::example_files(&given, block);
        let found = common::lint_files(&given, &files, common::postgres_of(block), &common::config_of(code, block));
        let finding = found.iter().find(|finding| finding.code.code == code)?;
        Some((block.clone(), shown(finding)))
    })
}

/// The page with the report behind the example.
fn with_report(text: &str, block: &Block, report: &str) -> Option<String> {
    let end = text.find(&block.text)? + block.text.len();
    let rest = text[end..].strip_prefix("```\n")?;
    let rest = match rest.strip_prefix("\n```text\n") {
        Some(old) => old.split_once("\n```\n")?.1,
        None => rest,
    };
    Some(format!("{}```\n\n```text\n{report}```\n{rest}", &text[..end]))
}

#[test]
fn every_page_shows_its_report() {
    let mut failures = String::new();
    for rule in RULES.iter().filter(|rule| rule.page.code.code != "ZDM607") {
        let page = read_page(&rule.page);
        let code = rule.page.code.code;
        let Some((block, report)) = example(code, &page.given, &page.bad) else {
            let _ = writeln!(failures, "{code}: no finding to show");
            continue;
        };
        let path = cache::workspace().join("rules").join(rule.page.file_name());
        let text = std::fs::read_to_string(&path).expect("the page");
        let Some(expected) = with_report(&text, &block, &report) else {
            let _ = writeln!(failures, "{code}: no place for the report");
            continue;
        };
        if text == expected {
            continue;
        }
        if std::env::var_os("ZDM_UPDATE").is_some() {
            std::fs::write(&path, expected).expect("the page is written");
        } else {
            let _ = writeln!(failures, "{code}: run `cargo xtask rules`; the report is\n{report}");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

//! The same matters in forms that the pages do not show: `forms.md`, and `python.md`
//! for the code of a `RunPython`, in the format of a page.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use zdm_source::Severity;

use crate::check;
use crate::common::{self, Block};

/// In these files a section's `given` blocks are for that section; those in front of the first are for all.
#[test]
fn every_form_is_judged_as_its_page_says() {
    let forms = forms_hold(include_str!("forms.md"), Severity::Warning);
    println!("{forms} forms");
}

#[test]
fn every_body_of_run_python_is_judged_as_its_page_says() {
    let bodies = forms_hold(include_str!("python.md"), Severity::Info);
    println!("{bodies} bodies of RunPython");
}

#[test]
fn what_other_linters_test_themselves_with_is_judged_as_written() {
    let forms = forms_hold(include_str!("published.md"), Severity::Warning);
    println!("{forms} migrations of other linters' own tests");
}

/// docs/comparison.md lists each of them where the other linter expects something else, with who is right.
#[test]
fn the_disagreements_over_their_own_tests_are_listed() {
    const BEGIN: &str = "<!-- made from crates/zdm-linter/tests/pages/published.md -->\n\n";
    const END: &str = "<!-- end of their own tests -->\n";
    let mut table = String::from("| migration | its test expects | zdm-lint | who is right |\n|---|---|---|---|\n");
    for section in include_str!("published.md").split("\n## ").skip(1) {
        let line = |key: &str| section.lines().find_map(|line| line.strip_prefix(key));
        let Some(why) = line("why: ") else { continue };
        let title = section.lines().next().expect("a title");
        let theirs = line("theirs: ").expect("what its own test expects");
        let ours: BTreeSet<String> = common::expectations(section).into_values().flatten().collect();
        let ours = if ours.is_empty() { "silent".to_owned() } else { ours.into_iter().collect::<Vec<_>>().join(", ") };
        let _ = writeln!(table, "| {title} | {theirs} | {ours} | {why} |");
    }
    table.push('\n');
    let path = zdm_testkit::cache::workspace().join("docs/comparison.md");
    let page = std::fs::read_to_string(&path).expect("the page");
    let (head, rest) = page.split_once(BEGIN).expect("the mark where the table begins");
    let (old, tail) = rest.split_once(END).expect("the mark where the table ends");
    if std::env::var_os("ZDM_UPDATE").is_some() {
        std::fs::write(path, format!("{head}{BEGIN}{table}{END}{tail}")).expect("the page is written");
    } else {
        assert_eq!(old, table, "docs/comparison.md is out of date: run `cargo xtask rules`");
    }
}

/// How many there are.
fn forms_hold(text: &str, least: Severity) -> u32 {
    let (mut for_all, mut given) = (Vec::new(), Vec::new());
    let (mut section, mut forms) = (None, 0);
    let mut failures = String::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            section = Some(title);
            given.clone_from(&for_all);
        }
        let Some(info) = line.strip_prefix("```python") else { continue };
        let mut block = Block { line: index + 2, text: String::new() };
        for (_, line) in lines.by_ref().take_while(|(_, line)| *line != "```") {
            block.text.push_str(line);
            block.text.push('\n');
        }
        if info.trim() == "given" {
            given.push(block);
            if section.is_none() {
                for_all.clone_from(&given);
            }
            continue;
        }
        forms += 1;
        check("ZDM101", section.expect("a title in front of the form"), &given, &[], &block, least, &mut failures);
    }
    assert!(failures.is_empty(), "{failures}");
    forms
}

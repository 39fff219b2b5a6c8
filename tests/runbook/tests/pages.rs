//! Every page of the runbook, as it is written.

#![expect(clippy::print_stdout, reason = "the measurements are part of the test's report")]

use std::fs;
use std::time::Instant;

use zdm_runbook::measure;
use zdm_runbook::run;
use zdm_runbook::site::{Options, Programs};
use zdm_testkit::{Django, Server, cache};

const ROWS: u32 = 5_000;

fn check(name: &str, django: &str, major: u32) {
    let begun = Instant::now();
    let programs = Programs::build(Django::get(django)).unwrap_or_else(|error| panic!("{error}"));
    let server = Server::shared(major);
    let prepared = begun.elapsed();
    let options = Options { rows: ROWS, ..Options::default() };
    let ran = run::page(name, &server, &programs, &options).unwrap_or_else(|error| panic!("{error}"));
    let failed = measure::failed(&ran.ours.requests);
    assert!(failed.is_empty(), "{name}: {failed:#?}");

    for (way, requests) in [("runbook", &ran.ours.requests), ("naive", &ran.naive.requests), ("control", &ran.control)]
    {
        println!(
            "{name:<20} {way:<8} {:>6} requests, longest {:>8}, {} failed",
            requests.len(),
            measure::duration(measure::longest(requests)),
            measure::failed(requests).len()
        );
    }
    println!(
        "{name:<20} {:.0} s, after {:.0} s of making ready",
        begun.elapsed().as_secs_f64(),
        prepared.as_secs_f64()
    );
    ran.nobody_waited_longer().unwrap_or_else(|error| panic!("{name}: {error}"));
}

#[test]
fn every_page_has_a_test() {
    let folder = cache::workspace().join("docs/runbook");
    let own = fs::read_to_string(cache::workspace().join(file!())).expect("this file is read");
    for entry in fs::read_dir(&folder).expect("the runbook") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            assert!(own.contains(&format!("check(\"{name}\"")), "{name}.md is not run");
        }
    }
}

/// What each release of a page must say, and how it begins to.
const SAID: [(&str, &str); 4] = [
    ("what each step locks and for how long", "| for how long |"),
    ("what can go wrong", "**What can go wrong.** "),
    ("which exit code gates the deploy", "**Gate**: "),
    ("how to go back", "**Way back**: "),
];

/// The linter is asked about every release that has a migration, and each says all that a reader must know.
#[test]
fn every_release_says_what_it_takes() {
    let folder = cache::workspace().join("docs/runbook");
    let mut releases = 0;
    for entry in fs::read_dir(&folder).expect("the runbook") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("the page");
        let parts: Vec<&str> = text.split("\n## ").collect();
        let naive = parts.iter().find(|part| part.starts_with("The naive way")).expect("the naive way");
        assert!(naive.contains("$ zdm-lint --base main") && naive.contains("\nexit 1\n"), "{name}: nobody stops it");
        let own = |part: &&&str| part.starts_with("Release ");
        let writes = |part: &str| {
            let files = part.lines().any(|line| line.starts_with("# library/migrations/"));
            files || part.contains("$ zdm mirror migration") || part.contains("$ zdm mirror swap")
        };
        let all: Vec<&str> = parts.iter().filter(own).copied().collect();
        for (place, part) in all.iter().enumerate().filter(|(_, part)| writes(part)) {
            releases += 1;
            let title = part.lines().next().unwrap_or_default();
            for (what, words) in SAID {
                assert!(part.contains(words), "{name}, {title}: does not say {what} ({words})");
            }
            for command in ["$ zdm-lint --base main", "zdm migrate --phase before", "$ roll-out", "$ roll-back"] {
                assert!(part.contains(command), "{name}, {title}: {command}");
            }
            let waits = part.contains("\n**Wait**");
            assert!(waits || place + 1 == all.len(), "{name}, {title}: does not say how long to wait");
        }
    }
    assert!(releases > 20, "{releases}");
}

#[test]
fn unique() {
    check("unique", "5.2", 17);
}

#[test]
fn foreign_key() {
    check("foreign-key", "6.0", 18);
}

#[test]
fn drop() {
    check("drop", "4.2", 15);
}

#[test]
fn enum_value() {
    check("enum-value", "5.2", 16);
}

#[test]
fn integer_to_bigint() {
    check("integer-to-bigint", "5.2", 16);
}

#[test]
fn computed() {
    check("computed", "4.2", 14);
}

#[test]
fn rename() {
    check("rename", "6.0", 18);
}

#[test]
fn split() {
    check("split", "5.2", 17);
}

#[test]
fn primary_key() {
    check("primary-key", "5.2", 14);
}

#[test]
fn char_to_uuid() {
    check("char-to-uuid", "6.0", 16);
}

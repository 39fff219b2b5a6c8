//! Every page of the runbook, as it is written.

#![expect(clippy::print_stdout, reason = "the measurements are part of the test's report")]

use std::fs;
use std::time::Instant;

use zdm_runbook::measure;
use zdm_runbook::run;
use zdm_runbook::site::Programs;
use zdm_testkit::{Django, Server, cache};

const ROWS: u32 = 5_000;

/// No request may wait for longer than `zdm migrate --max-block` allows, and what a busy machine adds.
const LONGEST: f64 = 3_000.0;

fn check(name: &str, django: &str, major: u32) {
    let begun = Instant::now();
    let programs = Programs::build(Django::get(django)).unwrap_or_else(|error| panic!("{error}"));
    let server = Server::shared(major);
    let prepared = begun.elapsed();
    let ran = run::page(name, &server, &programs, ROWS).unwrap_or_else(|error| panic!("{error}"));
    let (requests, naive_requests) = (ran.ours.requests, ran.naive.requests);
    let failed = measure::failed(&requests);
    assert!(failed.is_empty(), "{name}: {failed:#?}");

    for (way, requests) in [("runbook", &requests), ("naive", &naive_requests)] {
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
    assert!(measure::longest(&requests) < LONGEST, "{name}: a request waited {} ms", measure::longest(&requests));
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

//! Every page of the runbook, as it is written.

#![expect(clippy::print_stdout, reason = "the measurements are part of the test's report")]

use std::fs;

use zdm_runbook::measure;
use zdm_runbook::page::Page;
use zdm_runbook::schema::{differences, schema};
use zdm_runbook::site::{Programs, Site};
use zdm_testkit::{Django, Server, cache};

const ROWS: u32 = 5_000;

/// No request may wait for longer than `zdm migrate --max-block` allows, and what a busy machine adds.
const LONGEST: f64 = 3_000.0;

fn check(name: &str, django: &str, major: u32) {
    let path = cache::workspace().join("docs/runbook").join(format!("{name}.md"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let page = Page::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let programs = Programs::build(Django::get(django)).unwrap_or_else(|error| panic!("{error}"));
    let server = Server::shared(major);

    let mut site = Site::open(name, &server, &programs, ROWS).unwrap_or_else(|error| panic!("{name}: {error}"));
    for release in &page.releases {
        if let Err(error) = site.release(release) {
            panic!("{}\n{name}.md, {}: {error}", site.transcript, release.title);
        }
    }
    let requests = site.close().unwrap_or_else(|error| panic!("{name}: {error}"));
    let failed = measure::failed(&requests);
    assert!(failed.is_empty(), "{}\n{name}: {failed:#?}", site.transcript);

    let naive = page.naive.as_ref().unwrap_or_else(|| panic!("{name}.md shows no naive way"));
    let mut other = Site::open(name, &server, &programs, ROWS).unwrap_or_else(|error| panic!("{name}: {error}"));
    other.naive(naive).unwrap_or_else(|error| panic!("{}\n{name}.md, {}: {error}", other.transcript, naive.title));
    let naive_requests = other.close().unwrap_or_else(|error| panic!("{name}: {error}"));
    let (ours, theirs) = (schema(&site.database().connect()), schema(&other.database().connect()));
    let different = differences(&theirs, &ours);
    assert!(different.is_empty(), "{name}: naive (-) and ours (+) differ:\n{}", different.join("\n"));

    for (way, requests) in [("runbook", &requests), ("naive", &naive_requests)] {
        println!(
            "{name:<20} {way:<8} {:>6} requests, longest {:>8}, {} failed",
            requests.len(),
            measure::duration(measure::longest(requests)),
            measure::failed(requests).len()
        );
    }
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

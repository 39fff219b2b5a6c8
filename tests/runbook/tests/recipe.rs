//! `docs/runbook.md` itself: the recipe, its sections that can be typed, its tables.

use std::fs;

use zdm_runbook::page::{Page, Release};
use zdm_runbook::schema::{differences, schema};
use zdm_runbook::site::{Options, Programs, Site};
use zdm_runbook::{beliefs, measure, run};
use zdm_testkit::{Django, Server, cache};

const ROWS: u32 = 5_000;

fn text() -> String {
    fs::read_to_string(cache::workspace().join("docs/runbook.md")).expect("the runbook")
}

fn programs(django: &str) -> Programs {
    Programs::build(Django::get(django)).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_recipe() {
    let options = Options { rows: ROWS, ..Options::default() };
    let ran = run::file("docs/runbook.md", "recipe", &Server::shared(16), &programs("5.2"), &options)
        .unwrap_or_else(|error| panic!("{error}"));
    let failed = measure::failed(&ran.ours.requests);
    assert!(failed.is_empty(), "{failed:#?}");
    let longest = measure::longest(&ran.ours.requests);
    println!("recipe: {} requests, longest {}", ran.ours.requests.len(), measure::duration(longest));
    ran.nobody_waited_longer().unwrap_or_else(|error| panic!("{error}"));
}

/// A section that is typed beside the application; no request fails.
fn section(heading: &str, django: &str, major: u32) {
    let release = Release::section(&text(), heading).unwrap_or_else(|error| panic!("{error}"));
    let server = Server::shared(major);
    let options = Options { rows: ROWS, ..Options::default() };
    let mut site =
        Site::prepare("recipe", &server, &programs(django), &options).unwrap_or_else(|error| panic!("{error}"));
    site.serve().unwrap_or_else(|error| panic!("{error}"));
    if let Err(error) = site.release(&release) {
        panic!("{}\n{heading}: {error}", site.transcript);
    }
    let requests = site.close().unwrap_or_else(|error| panic!("{error}"));
    let failed = measure::failed(&requests);
    assert!(failed.is_empty(), "{failed:#?}");
}

/// The recipe in the other direction, behind its first two releases.
#[test]
fn back_without_blocking_anybody() {
    let text = text();
    let page = Page::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let back = Release::section(&text, "Going back without blocking anybody").unwrap_or_else(|error| panic!("{error}"));
    let options = Options { rows: ROWS, ..Options::default() };
    let mut site = Site::prepare("recipe", &Server::shared(17), &programs("5.2"), &options)
        .unwrap_or_else(|error| panic!("{error}"));
    let before = schema(&site.database().connect());
    site.serve().unwrap_or_else(|error| panic!("{error}"));
    let mut releases: Vec<Release> = page.releases.into_iter().take(2).collect();
    for section in releases.iter_mut().flat_map(|release| &mut release.sections) {
        // Their ways back are walked where the recipe is.
        section.back.clear();
    }
    releases.push(back);
    for release in &releases {
        if let Err(error) = site.release(release) {
            panic!("{}\n{}: {error}", site.transcript, release.title);
        }
    }
    let requests = site.close().unwrap_or_else(|error| panic!("{error}"));
    let failed = measure::failed(&requests);
    assert!(failed.is_empty(), "{failed:#?}");
    let database = site.database().connect();
    database.sql("ALTER TABLE library_loan DROP COLUMN copies_bigint");
    let different = differences(&before, &schema(&database));
    assert!(different.is_empty(), "the schema as it was (-) and as it is (+):\n{}", different.join("\n"));
}

#[test]
fn not_null_in_three_migrations() {
    section("Making a column NOT NULL takes three migrations", "6.0", 18);
}

#[test]
fn never_by_accident() {
    section("Migrations that must never run by accident", "4.2", 14);
}

/// What the tables claim is true on a small table, too; the times in them are those of a large one.
#[test]
fn the_tables_say_what_the_server_does() {
    let measured =
        beliefs::measure(&Server::shared(17), &programs("5.2"), 20_000, None).unwrap_or_else(|error| panic!("{error}"));
    for belief in &measured.beliefs {
        println!("{}: {}", belief.belief, belief.measured);
        assert!(!belief.holds, "the server agrees that {}", belief.belief);
    }
    let text = text();
    for (name, table) in beliefs::tables(&measured) {
        let range = beliefs::marked(&text, name).unwrap_or_else(|| panic!("no mark for {name}"));
        let (ours, page) = (claims(&table), claims(&text[range]));
        assert_eq!(page, ours, "docs/runbook.md, {name}: run `cargo xtask measure`");
    }
}

/// The rows of a table without what was timed: the step with its lock and work; the belief.
fn claims(table: &str) -> Vec<String> {
    let rows = table.lines().filter(|line| line.starts_with("| "));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let timed = cells.len() - 1;
        cells[..timed].join(" | ")
    })
    .collect()
}

/// Pictures and the pages that show them.
#[test]
fn pictures_belong_to_their_pages() {
    let docs = cache::workspace().join("docs");
    let mut found = 0;
    for folder in [docs.clone(), docs.join("runbook")] {
        for entry in fs::read_dir(&folder).expect("the folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap_or_default();
            let extension = path.extension().unwrap_or_default();
            if extension == "md" {
                for part in text.split("![").skip(1) {
                    let (alternative, target) = part.split_once("](").expect("an image");
                    let target = target.split(')').next().unwrap_or_default();
                    assert!(alternative.len() > 10, "{name}: {target} has no text alternative");
                    assert!(folder.join(target).is_file(), "{name}: {target} is not there");
                }
            } else if extension == "svg" {
                found += 1;
                let page = fs::read_to_string(path.with_extension("md")).unwrap_or_default();
                assert!(page.contains(&format!("]({name})")), "{name} is not shown by its page");
                assert!(!text.contains("NaN") && text.contains("aria-labelledby=\"t d\""), "{name}");
                // The second series is ours.
                let description = between(&text, "<desc id=\"d\">", "</desc>");
                assert!(description.trim_end_matches('.').ends_with(" 0 failed"), "{name}: {description}");
                assert!(!between(&text, "<title id=\"t\">", "</title>").is_empty(), "{name}");
                let parsed = Django::get("5.2")
                    .command()
                    .args(["-c", "import sys, xml.dom.minidom as m; m.parse(sys.argv[1])"])
                    .arg(&path)
                    .status()
                    .expect("Python runs");
                assert!(parsed.success(), "{name} is not well-formed");
            }
        }
    }
    assert!(found > 0, "no pictures");
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).map_or("", |(inner, _)| inner)
}

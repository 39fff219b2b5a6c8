//! Compares the model with live servers on cases that are not among the tests':
//!
//! ```text
//! cargo run -p zdm-claims --example compare -- FILE.sql           # in the form of cases.sql
//! cargo run -p zdm-claims --example compare -- --seeds 1..2000    # what the generator of random statements writes
//! cargo run -p zdm-claims --example compare -- --trees 1..2000    # the same over a tree of partitions
//! cargo run -p zdm-claims --example compare -- --forms 1..2000    # rarer forms
//! cargo run -p zdm-claims --example compare -- --script FILE.sql  # every statement of a script, one after the other
//! ```
//!
//! `--majors 14,18` takes some of the provisioned servers; `--scanned 50` counts a table as scanned from 50 rows on, for setups
//! with small tables. Every difference is printed with its case as it is found.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::thread;

use zdm_claims::cases::{OwnCase, read};
use zdm_claims::compare::{Comparison, Pair};
use zdm_claims::generate::{generate, generate_forms, generate_on_tree};
use zdm_claims::measure::Bench;
use zdm_claims::report::Tally;
use zdm_claims::script::{Script, Step, without_commands};
use zdm_testkit::{Server, majors_for};

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "compare: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<bool, String> {
    let (mut cases, mut majors): (Vec<OwnCase>, Option<Vec<u32>>) = (Vec::new(), None);
    let (mut scripts, mut scanned): (Vec<(String, String)>, Option<u64>) = (Vec::new(), None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--seeds" | "--trees" | "--forms" => {
                let text = rest.next().ok_or("a range of seeds is FIRST..LAST")?;
                let (first, last) = text.split_once("..").ok_or("a range of seeds is FIRST..LAST")?;
                let generate = match argument.as_str() {
                    "--trees" => generate_on_tree,
                    "--forms" => generate_forms,
                    _ => generate,
                };
                let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
                for seed in number(first)?..number(last)? {
                    cases.push(OwnCase { name: format!("seed {seed}"), ..generate(seed).case() });
                }
            }
            "--script" => {
                let file = rest.next().ok_or("--script wants a file")?;
                let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
                let name = file.rsplit('/').next().unwrap_or(file);
                scripts.push((name.to_owned(), without_commands(&text)));
            }
            "--scanned" => {
                let rows = rest.next().ok_or("--scanned wants a number of rows")?;
                scanned = Some(rows.parse().map_err(|error| format!("{rows}: {error}"))?);
            }
            "--majors" => {
                let list = rest.next().ok_or("--majors wants a list")?;
                let list: Result<Vec<u32>, _> = list.split(',').map(str::parse).collect();
                majors = Some(list.map_err(|error| error.to_string())?);
            }
            file => {
                let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
                cases.extend(read(&text));
            }
        }
    }
    if cases.is_empty() && scripts.is_empty() {
        return Err("a file of cases, or --seeds FIRST..LAST".to_owned());
    }
    let chosen: Vec<u32> = majors_for("claims")
        .into_iter()
        .filter(|major| majors.as_ref().is_none_or(|majors| majors.contains(major)))
        .collect();
    let (cases, scripts) = (&cases, &scripts);
    let results: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = chosen
            .into_iter()
            .map(|major| scope.spawn(move || (all(cases, major, scanned), all_scripts(scripts, major))))
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).collect()
    });
    let (mut tally, mut same) = (Tally::default(), true);
    for (of_cases, of_scripts) in results {
        for (more, agreed) in [of_cases, of_scripts] {
            tally.merge(more);
            same &= agreed;
        }
    }
    let _ = writeln!(std::io::stdout(), "{}", tally.table());
    Ok(same)
}

/// Prints the differences on one server; answers whether there was none.
fn all(cases: &[OwnCase], major: u32, scanned: Option<u64>) -> (Tally, bool) {
    let mut bench = Bench::new(&Server::shared(major));
    if let Some(rows) = scanned {
        bench = bench.scanned_from(rows);
    }
    let major = u16::try_from(major).expect("a major version is small");
    let mut pair = Pair::new(bench, major);
    let (mut tally, mut same) = (Tally::default(), true);
    // A setup is printed once.
    let mut printed: BTreeMap<&str, &str> = BTreeMap::new();
    for own in cases {
        let name = &own.name;
        let mut text = String::new();
        match pair.compare(&own.case()) {
            // A generated setup may ask for what a version does not have.
            Comparison::NotApplicable(_) if own.name.starts_with("seed") => {}
            Comparison::NotApplicable(error) => {
                if printed.insert(&own.setup, name).is_none() {
                    let _ = writeln!(text, "{name} on {major}: the setup fails: {error}");
                }
            }
            Comparison::SetupDiffers(error) => {
                let _ = writeln!(text, "{name} on {major}: {error}");
            }
            Comparison::Compared(found) => {
                tally.add(major, &found);
                for difference in found {
                    let _ = writeln!(
                        text,
                        "{name} on {major}: {}\n    model  {}\n    server {}\n    {} ==> {}",
                        difference.respect, difference.predicted, difference.measured, own.pre, own.statement
                    );
                }
            }
        }
        if text.is_empty() {
            continue;
        }
        same = false;
        if own.name.starts_with("seed") {
            match printed.get(own.setup.as_str()) {
                Some(first) => {
                    let _ = writeln!(text, "    on the setup of {first}");
                }
                None => text.push_str(&own.setup),
            }
            printed.entry(&own.setup).or_insert(&own.name);
        }
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
    }
    (tally, same)
}

/// The scripts on one server, each in an empty database.
fn all_scripts(scripts: &[(String, String)], major: u32) -> (Tally, bool) {
    let (mut tally, mut same) = (Tally::default(), true);
    for (name, text) in scripts {
        let number = u16::try_from(major).expect("a major version is small");
        let mut script = Script::new(Bench::new(&Server::shared(major)), number);
        let (mut refused, mut unknown, mut skipped) = (0_u32, 0_u32, 0_u32);
        for parsed in zdm_sql::parse(text) {
            let range = parsed.span.range();
            let line = text.get(..range.start).unwrap_or_default().matches('\n').count() + 1;
            let written = text.get(range).unwrap_or_default();
            match script.step(written, &parsed.statement) {
                Step::Skipped => skipped += 1,
                Step::Unknown => {
                    unknown += 1;
                    let one_line = written.split_whitespace().collect::<Vec<_>>().join(" ");
                    let _ = writeln!(std::io::stdout().lock(), "{name}:{line} on {major}: not known\n    {one_line}");
                }
                Step::Refused => {
                    refused += 1;
                    tally.add(number, &[]);
                }
                Step::Compared(found) => {
                    tally.add(number, &found);
                    same &= found.is_empty();
                    for difference in found {
                        let one_line = written.split_whitespace().collect::<Vec<_>>().join(" ");
                        let _ = writeln!(
                            std::io::stdout().lock(),
                            "{name}:{line} on {major}: {}\n    model  {}\n    server {}\n    {one_line}",
                            difference.respect,
                            difference.predicted,
                            difference.measured
                        );
                    }
                }
            }
        }
        let _ = writeln!(
            std::io::stdout().lock(),
            "{name} on {major}: {refused} refused by both, {unknown} name what is not known, {skipped} skipped"
        );
    }
    (tally, same)
}

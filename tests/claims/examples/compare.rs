//! Compares the model with live servers on cases that are not among the tests':
//!
//! ```text
//! cargo run -p zdm-claims --example compare -- FILE.sql           # in the form of cases.sql
//! cargo run -p zdm-claims --example compare -- --seeds 1..2000    # what the generator of random statements writes
//! cargo run -p zdm-claims --example compare -- --trees 1..2000    # the same over a tree of partitions
//! cargo run -p zdm-claims --example compare -- --forms 1..2000    # rarer forms
//! ```
//!
//! `--majors 14,18` takes some of the provisioned servers. Every difference is printed with its case as it is found.

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
    if cases.is_empty() {
        return Err("a file of cases, or --seeds FIRST..LAST".to_owned());
    }
    let chosen: Vec<u32> = majors_for("claims")
        .into_iter()
        .filter(|major| majors.as_ref().is_none_or(|majors| majors.contains(major)))
        .collect();
    let cases = &cases;
    let results: Vec<(Tally, bool)> = thread::scope(|scope| {
        let workers: Vec<_> = chosen.into_iter().map(|major| scope.spawn(move || all(cases, major))).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).collect()
    });
    let (mut tally, mut same) = (Tally::default(), true);
    for (more, agreed) in results {
        tally.merge(more);
        same &= agreed;
    }
    let _ = writeln!(std::io::stdout(), "{}", tally.table());
    Ok(same)
}

/// Prints the differences on one server; answers whether there was none.
fn all(cases: &[OwnCase], major: u32) -> (Tally, bool) {
    let bench = Bench::new(&Server::shared(major));
    let major = u16::try_from(major).expect("a major version is small");
    let mut pair = Pair::new(bench, major);
    let (mut tally, mut same) = (Tally::default(), true);
    // A setup is printed once.
    let mut printed: BTreeMap<&str, &str> = BTreeMap::new();
    for own in cases {
        let name = &own.name;
        let mut text = String::new();
        match pair.compare(&own.case()) {
            Comparison::NotApplicable => {}
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

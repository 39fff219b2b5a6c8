//! Random statements over random catalogs on live servers, against the model; seeded and bounded in time.
//!
//! The servers share the seeds: what one of them runs is left out on the others, so that every version takes part at the
//! same cost. Of three setups that follow each other one is a tree of partitions, and one is of rarer forms.
//!
//! Without a wish the same statements are tried everywhere, however fast the machine is. `ZDM_RANDOM_SEED` begins
//! elsewhere and `ZDM_RANDOM_SECONDS` goes on longer; what it finds becomes a line of `cases.sql`.

use std::thread;
use std::time::{Duration, Instant};

use zdm_claims::compare::{Comparison, Pair};
use zdm_claims::generate::{SHARING, generate, generate_forms, generate_on_tree};
use zdm_claims::measure::Bench;
use zdm_claims::report::Tally;
use zdm_testkit::{Server, majors_for};

#[test]
fn servers_do_what_the_model_says() {
    let number =
        |name: &str, default: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let seed = number("ZDM_RANDOM_SEED", 1);
    let time = Duration::from_secs(number("ZDM_RANDOM_SECONDS", 25));
    let wished = ["ZDM_RANDOM_SEED", "ZDM_RANDOM_SECONDS"].iter().any(|name| std::env::var_os(name).is_some());
    // By server.
    let statements = if wished { u32::MAX } else { 80 };
    let results: Vec<(Tally, Vec<String>)> = thread::scope(|scope| {
        let majors = majors_for("claims");
        let servers = u64::try_from(majors.len()).expect("there are few servers");
        let workers: Vec<_> = majors
            .into_iter()
            .zip(0..)
            .map(|(major, place): (u32, u64)| {
                scope.spawn(move || {
                    let bench = Bench::new(&Server::shared(major));
                    let major = u16::try_from(major).expect("a major version is small");
                    let mut pair = Pair::new(bench, major);
                    let (mut tally, mut failures) = (Tally::default(), Vec::new());
                    // The seeds of one setup belong to one server.
                    let all = (seed..).filter(|seed| seed / SHARING % servers == place);
                    let end = Instant::now() + time;
                    for current in all {
                        if Instant::now() >= end || tally.statements() >= statements {
                            break;
                        }
                        let (kind, generated) = match current / SHARING / servers % 3 {
                            1 => ("form", generate_forms(current)),
                            2 => ("tree", generate_on_tree(current)),
                            _ => ("seed", generate(current)),
                        };
                        let case = generated.clone().case();
                        let found = match pair.compare(&case.case()) {
                            Comparison::NotApplicable => continue,
                            Comparison::SetupDiffers(error) => {
                                failures.push(format!("{kind} {current} on {major}: {error}\n{}", generated.setup));
                                continue;
                            }
                            Comparison::Compared(found) => found,
                        };
                        tally.add(major, &found);
                        for difference in found {
                            failures.push(format!(
                                "{kind} {current} on {major}: {}\n    model  {}\n    server {}\n{}    {} ==> {}",
                                difference.respect,
                                difference.predicted,
                                difference.measured,
                                generated.setup,
                                generated.pre,
                                generated.statement
                            ));
                        }
                    }
                    (tally, failures)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).collect()
    });
    let (mut tally, mut failures) = (Tally::default(), Vec::new());
    for (more, failed) in results {
        tally.merge(more);
        failures.extend(failed);
    }
    println!("{}", tally.table());
    assert!(tally.statements() > 25, "only {} statements were tried", tally.statements());
    assert!(failures.is_empty(), "{} differences\n{}", failures.len(), failures.join("\n"));
}

//! Random statements over random catalogs on live servers, against the model; seeded and bounded in time.
//!
//! `ZDM_RANDOM_SEED` begins elsewhere and `ZDM_RANDOM_SECONDS` goes on longer; what it finds becomes a line of
//! `cases.sql`.

use std::thread;
use std::time::{Duration, Instant};

use zdm_claims::compare::{Comparison, compare};
use zdm_claims::generate::generate;
use zdm_claims::measure::Bench;
use zdm_claims::report::Tally;
use zdm_testkit::{Server, majors_for};

#[test]
fn servers_do_what_the_model_says() {
    let number =
        |name: &str, default: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let seed = number("ZDM_RANDOM_SEED", 1);
    let time = Duration::from_secs(number("ZDM_RANDOM_SECONDS", 25));
    let results: Vec<(Tally, Vec<String>)> = thread::scope(|scope| {
        let workers: Vec<_> = majors_for("claims")
            .into_iter()
            .map(|major| {
                scope.spawn(move || {
                    let bench = Bench::new(&Server::shared(major));
                    let major = u16::try_from(major).expect("a major version is small");
                    let (mut tally, mut failures) = (Tally::default(), Vec::new());
                    let mut current = seed;
                    let end = Instant::now() + time;
                    while Instant::now() < end {
                        let generated = generate(current);
                        current += 1;
                        let case = generated.clone().case();
                        let found = match compare(&bench, &case.case(), major) {
                            Comparison::NotApplicable => continue,
                            Comparison::SetupDiffers(error) => {
                                failures.push(format!("seed {} on {major}: {error}\n{}", current - 1, generated.setup));
                                continue;
                            }
                            Comparison::Compared(found) => found,
                        };
                        tally.add(major, &found);
                        for difference in found {
                            failures.push(format!(
                                "seed {} on {major}: {}\n    model  {}\n    server {}\n{}    {} ==> {}",
                                current - 1,
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

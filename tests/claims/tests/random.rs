//! Random statements over random catalogs on live servers, against the model; seeded and bounded in time.
//!
//! `ZDM_RANDOM_SEED` begins elsewhere and `ZDM_RANDOM_SECONDS` goes on longer; what it finds becomes a line of
//! `cases.sql`.

use std::thread;
use std::time::{Duration, Instant};

use zdm_claims::generate::generate;
use zdm_claims::measure::{Answer, Bench};
use zdm_claims::observed::differences;
use zdm_claims::predict::{Case, Holds, predict};
use zdm_claims::report::Tally;
use zdm_claims::truth::Mode;
use zdm_postgres::PgVersion;
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
                        let outside = generated.statement.contains("CONCURRENTLY");
                        let case = Case {
                            setup: &generated.setup,
                            session: "SET TimeZone = 'Europe/Paris'",
                            pre: &generated.pre,
                            statement: &generated.statement,
                            mode: if outside { Mode::NoTx } else { Mode::Tx },
                            holds: if outside { Holds::EveryTable } else { Holds::Nothing },
                        };
                        let measured = bench.measure(&case);
                        let prediction = predict(&case, PgVersion::major(major));
                        let found = match (&measured, &prediction.setup_error) {
                            (Answer::SetupFails(_), Some(_)) => continue,
                            (Answer::SetupFails(error), None) => {
                                failures.push(format!(
                                    "seed {} on {major}: the server refuses the setup: {error}\n{}",
                                    current - 1,
                                    generated.setup
                                ));
                                continue;
                            }
                            (Answer::Measured(..), Some(error)) => {
                                failures.push(format!(
                                    "seed {} on {major}: the model refuses the setup: {error}",
                                    current - 1
                                ));
                                continue;
                            }
                            (Answer::Measured(measured, scope), None) => {
                                differences(&prediction.observed, &prediction.uncertain, measured, *scope)
                            }
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

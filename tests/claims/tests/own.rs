//! Our own statements on live servers of every provisioned version, against the model.

use std::thread;

use zdm_claims::cases::own;
use zdm_claims::compare::{Comparison, Pair};
use zdm_claims::known::OWN;
use zdm_claims::measure::Bench;
use zdm_claims::report::Tally;
use zdm_testkit::{Server, majors_for};

#[test]
fn servers_do_what_the_model_says() {
    let cases = own();
    assert!(cases.len() >= 300, "only {} cases", cases.len());
    let only = std::env::var("ZDM_CASE").ok();
    let results: Vec<(Tally, Vec<String>, Vec<String>)> = thread::scope(|scope| {
        let workers: Vec<_> = majors_for("claims")
            .into_iter()
            .map(|major| {
                let (cases, only) = (&cases, &only);
                scope.spawn(move || {
                    let bench = Bench::new(&Server::shared(major));
                    let major = u16::try_from(major).expect("a major version is small");
                    let mut pair = Pair::new(bench, major);
                    let (mut tally, mut failures, mut used) = (Tally::default(), Vec::new(), Vec::new());
                    for own in cases {
                        if only.as_ref().is_some_and(|only| !own.name.contains(only.as_str())) {
                            continue;
                        }
                        let found = match pair.compare(&own.case()) {
                            Comparison::Compared(found) => found,
                            Comparison::SetupDiffers(error) => {
                                failures.push(format!("{} on {major}: {error}", own.name));
                                continue;
                            }
                            Comparison::NotApplicable => {
                                failures.push(format!("{} on {major}: the setup fails", own.name));
                                continue;
                            }
                        };
                        tally.add(major, &found);
                        for difference in found {
                            if let Some((statement, ..)) = OWN.iter().find(|(statement, respect, _)| {
                                *statement == own.statement && *respect == difference.respect
                            }) {
                                used.push((*statement).to_owned());
                                continue;
                            }
                            failures.push(format!(
                                "{} on {major}: {}\n    model  {}\n    server {}\n    {}",
                                own.name, difference.respect, difference.predicted, difference.measured, own.statement
                            ));
                        }
                    }
                    (tally, failures, used)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).collect()
    });
    let (mut tally, mut failures, mut used) = (Tally::default(), Vec::new(), Vec::new());
    for (more, failed, known) in results {
        tally.merge(more);
        failures.extend(failed);
        used.extend(known);
    }
    println!("{}", tally.table());
    failures.sort();
    assert!(failures.is_empty(), "{} differences\n{}", failures.len(), failures.join("\n"));
    if only.is_none() {
        for (statement, respect, reason) in OWN {
            assert!(used.iter().any(|used| used == statement), "{statement} no longer differs in {respect}: {reason}");
        }
    }
}

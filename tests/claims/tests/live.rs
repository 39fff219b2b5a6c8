//! The recorded statements on live servers of every provisioned version, against the model.

use std::collections::BTreeSet;
use std::thread;

use zdm_claims::known::{KNOWN, LIVE};
use zdm_claims::measure::{Answer, Bench};
use zdm_claims::observed::differences;
use zdm_claims::predict::{Case, Holds, predict};
use zdm_claims::report::Tally;
use zdm_claims::truth::entries;
use zdm_postgres::PgVersion;
use zdm_testkit::{Server, majors_for};

#[test]
fn servers_do_what_the_model_says() {
    let mut entries = entries();
    // Entries that follow each other on one setup share it.
    entries.sort_by(|left, right| (&left.setup, &left.session).cmp(&(&right.setup, &right.session)));
    let only = std::env::var("ZDM_CASE").ok();
    let results: Vec<(Tally, Vec<String>, BTreeSet<String>)> = thread::scope(|scope| {
        let workers: Vec<_> = majors_for("claims")
            .into_iter()
            .map(|major| {
                let (entries, only) = (&entries, &only);
                scope.spawn(move || {
                    let bench = Bench::new(&Server::shared(major));
                    let major = u16::try_from(major).expect("a major version is small");
                    let mut tally = Tally::default();
                    let mut failures = Vec::new();
                    let mut used = BTreeSet::new();
                    for entry in entries {
                        if only.as_ref().is_some_and(|only| !entry.id.contains(only.as_str())) {
                            continue;
                        }
                        let case = Case {
                            setup: &entry.setup,
                            session: &entry.session,
                            pre: &entry.pre,
                            statement: &entry.statement,
                            mode: entry.mode,
                            holds: Holds::These(&entry.holds),
                        };
                        let (measured, scope) = match bench.measure(&case) {
                            Answer::Measured(measured, scope) => (measured, scope),
                            Answer::SetupFails(error) => {
                                if entry.measured(major).is_some() {
                                    failures.push(format!("{} on {major}: setup fails: {error}", entry.id));
                                }
                                continue;
                            }
                        };
                        let prediction = predict(&case, PgVersion::major(major));
                        let found = differences(&prediction.observed, &prediction.uncertain, &measured, scope);
                        tally.add(major, &found);
                        for difference in found {
                            let known = KNOWN
                                .iter()
                                .chain(LIVE)
                                .any(|(id, respect, _)| *id == entry.id && *respect == difference.respect);
                            if known {
                                used.insert(entry.id.clone());
                                continue;
                            }
                            failures.push(format!(
                                "{} on {major}: {}\n    model  {}\n    server {}\n    {}",
                                entry.id,
                                difference.respect,
                                difference.predicted,
                                difference.measured,
                                entry.statement
                            ));
                        }
                    }
                    (tally, failures, used)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).collect()
    });
    let mut tally = Tally::default();
    let mut failures = Vec::new();
    let mut used = BTreeSet::new();
    for (more, failed, known) in results {
        tally.merge(more);
        failures.extend(failed);
        used.extend(known);
    }
    println!("{}", tally.table());
    failures.sort();
    assert!(failures.is_empty(), "{} differences\n{}", failures.len(), failures.join("\n"));
    if only.is_none() {
        for (id, respect, reason) in LIVE {
            assert!(used.contains(*id), "{id} no longer differs in {respect}: {reason}");
        }
        assert!(tally.statements() > 0);
    }
}

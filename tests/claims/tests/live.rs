//! The recorded statements on live servers of every provisioned version, against the model.

use zdm_claims::known::{KNOWN, LIVE};
use zdm_claims::measure::{Answer, Bench};
use zdm_claims::observed::differences;
use zdm_claims::predict::predict;
use zdm_claims::report::Report;
use zdm_claims::truth::entries;
use zdm_postgres::PgVersion;
use zdm_testkit::Server;

#[test]
fn servers_do_what_the_model_says() {
    let mut entries = entries();
    // Entries that follow each other on one setup share it.
    entries.sort_by(|left, right| (&left.setup, &left.session).cmp(&(&right.setup, &right.session)));
    let only = std::env::var("ZDM_CASE").ok();
    let known = [KNOWN, LIVE].concat();
    let report = Report::of_majors(|report, major, _, _| {
        let bench = Bench::new(&Server::shared(u32::from(major)));
        for entry in &entries {
            if only.as_ref().is_some_and(|only| !entry.id.contains(only.as_str())) {
                continue;
            }
            let case = entry.case();
            match bench.measure(&case) {
                Answer::Measured(measured, scope) => {
                    let prediction = predict(&case, PgVersion::major(major));
                    let found = differences(&prediction.observed, &prediction.uncertain, &measured, scope);
                    report.compared((&entry.id, &entry.id, &entry.statement), major, &found, &known);
                }
                Answer::SetupFails(error) if entry.measured(major).is_some() => {
                    report.fail(&entry.id, major, &format!("setup fails: {error}"));
                }
                Answer::SetupFails(_) => {}
            }
        }
    });
    assert!(only.is_some() || report.tally.statements() > 0);
    println!("{}", report.tally.table());
    report.conclude(if only.is_none() { LIVE } else { &[] });
}

//! Our own statements on live servers of every provisioned version, against the model. 12 and 13 take part where they are
//! (`cargo xtask setup --postgres 12,13`), with the cases whose setups they accept as the model does.

use zdm_claims::cases::own;
use zdm_claims::compare::{Comparison, Pair};
use zdm_claims::known::{OLDER, OLDEST, OWN};
use zdm_claims::measure::Bench;
use zdm_claims::report::Report;
use zdm_testkit::{Server, available_majors};

#[test]
fn servers_do_what_the_model_says() {
    let cases = own();
    assert!(cases.len() >= 300, "only {} cases", cases.len());
    let only = std::env::var("ZDM_CASE").ok();
    let report = Report::of_majors(|report, major, _, _| {
        let mut pair = Pair::new(Bench::new(&Server::shared(u32::from(major))), major);
        let known = if major < OLDEST { OLDER } else { OWN };
        for own in &cases {
            if only.as_ref().is_some_and(|only| !own.name.contains(only.as_str())) {
                continue;
            }
            match pair.compare(&own.case()) {
                Comparison::Compared(found) => {
                    report.compared((&own.name, &own.statement, &own.statement), major, &found, known);
                }
                Comparison::SetupDiffers(error) => report.fail(&own.name, major, &error),
                // What the setup asks for came later, and the model says so.
                Comparison::NotApplicable(_) if major < OLDEST => {}
                Comparison::NotApplicable(error) => report.fail(&own.name, major, &format!("the setup fails: {error}")),
            }
        }
    });
    println!("{}", report.tally.table());
    let older = if available_majors().contains(&12) { OLDER } else { &[] };
    report.conclude(&if only.is_none() { [OWN, older].concat() } else { Vec::new() });
}

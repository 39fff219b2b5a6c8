//! Random statements over random catalogs on live servers, against the model; seeded and bounded in time.
//!
//! The servers share the seeds: what one of them runs is left out on the others, so that every version takes part at the
//! same cost. Of three setups that follow each other one is a tree of partitions, and one is of rarer forms.
//!
//! Without a wish the same statements are tried everywhere, however fast the machine is. `ZDM_RANDOM_SEED` begins
//! elsewhere and `ZDM_RANDOM_SECONDS` goes on longer; what it finds becomes a line of `cases.sql`.

use std::time::{Duration, Instant};

use zdm_claims::compare::{Comparison, Pair};
use zdm_claims::generate::{SHARING, generate, generate_forms, generate_on_tree};
use zdm_claims::measure::Bench;
use zdm_claims::report::Report;
use zdm_testkit::Server;

#[test]
fn servers_do_what_the_model_says() {
    let number =
        |name: &str, default: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let seed = number("ZDM_RANDOM_SEED", 1);
    let time = Duration::from_secs(number("ZDM_RANDOM_SECONDS", 25));
    let wished = ["ZDM_RANDOM_SEED", "ZDM_RANDOM_SECONDS"].iter().any(|name| std::env::var_os(name).is_some());
    // By server.
    let statements = if wished { u32::MAX } else { 80 };
    let report = Report::of_majors(|report, major, place, servers| {
        let mut pair = Pair::new(Bench::new(&Server::shared(u32::from(major))), major);
        let end = Instant::now() + time;
        // The seeds of one setup belong to one server.
        for current in (seed..).filter(|seed| seed / SHARING % servers == place) {
            if Instant::now() >= end || report.tally.statements() >= statements {
                break;
            }
            let (kind, generated) = match current / SHARING / servers % 3 {
                1 => ("form", generate_forms(current)),
                2 => ("tree", generate_on_tree(current)),
                _ => ("seed", generate(current)),
            };
            let name = format!("{kind} {current}");
            let case = generated.clone().case();
            match pair.compare(&case.case()) {
                Comparison::NotApplicable(_) => {}
                Comparison::SetupDiffers(error) => report.fail(&name, major, &format!("{error}\n{}", generated.setup)),
                Comparison::Compared(found) => {
                    let text = format!("{}    {} ==> {}", generated.setup, generated.pre, generated.statement);
                    report.compared((&name, &generated.statement, &text), major, &found, &[]);
                }
            }
        }
    });
    println!("{}", report.tally.table());
    assert!(report.tally.statements() > 25, "only {} statements were tried", report.tally.statements());
    report.conclude(&[]);
}

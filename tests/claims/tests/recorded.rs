//! Every recorded statement against the model, for versions 12 to 18. No server is needed.

use std::collections::BTreeSet;

use zdm_claims::known::KNOWN;
use zdm_claims::observed::{Respect, differences};
use zdm_claims::predict::{Case, Holds, predict};
use zdm_claims::report::Tally;
use zdm_claims::truth::entries;
use zdm_postgres::PgVersion;

#[test]
fn the_model_says_what_was_recorded() {
    let mut failures = Vec::new();
    let mut used: BTreeSet<(&str, Respect)> = BTreeSet::new();
    let mut tally = Tally::default();
    for entry in &entries() {
        for major in 12..=18 {
            let Some(measured) = entry.measured(major) else { continue };
            let case = Case {
                setup: &entry.setup,
                session: &entry.session,
                pre: &entry.pre,
                statement: &entry.statement,
                mode: entry.mode,
                holds: Holds::These(&entry.holds),
            };
            let prediction = predict(&case, PgVersion::major(major));
            if let Some(error) = prediction.setup_error {
                failures.push(format!("{} on {major}: setup refused: {error}", entry.id));
                continue;
            }
            let found = differences(&prediction.observed, &prediction.uncertain, &measured.observed, measured.scope);
            tally.add(major, &found);
            for respect in Respect::ALL {
                let Some(difference) = found.iter().find(|difference| difference.respect == respect) else {
                    continue;
                };
                if let Some((id, respect, _)) = KNOWN.iter().find(|(id, known, _)| *id == entry.id && *known == respect)
                {
                    used.insert((id, *respect));
                    continue;
                }
                failures.push(format!(
                    "{} on {major}: {respect}\n    model  {}\n    server {}\n    {}",
                    entry.id, difference.predicted, difference.measured, entry.statement
                ));
            }
        }
    }
    println!("{}", tally.table());
    for (id, respect, reason) in KNOWN {
        assert!(used.contains(&(*id, *respect)), "{id} no longer differs in {respect}: {reason}");
    }
    assert!(failures.is_empty(), "{} differences\n{}", failures.len(), failures.join("\n"));
}

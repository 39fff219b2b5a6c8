//! Every recorded statement against the model, for versions 12 to 18. No server is needed.

use zdm_claims::known::KNOWN;
use zdm_claims::observed::differences;
use zdm_claims::predict::predict;
use zdm_claims::report::Report;
use zdm_claims::truth::entries;
use zdm_postgres::PgVersion;

#[test]
fn the_model_says_what_was_recorded() {
    let mut report = Report::default();
    for entry in &entries() {
        for major in 12..=18 {
            let Some(measured) = entry.measured(major) else { continue };
            let prediction = predict(&entry.case(), PgVersion::major(major));
            if let Some(error) = prediction.setup_error {
                report.fail(&entry.id, major, &format!("setup refused: {error}"));
                continue;
            }
            let found = differences(&prediction.observed, &prediction.uncertain, &measured.observed, measured.scope);
            report.compared((&entry.id, &entry.id, &entry.statement), major, &found, KNOWN);
        }
    }
    assert!(report.tally.statements() > 0);
    println!("{}", report.tally.table());
    report.conclude(KNOWN);
}

//! One case on one server, against the model.

use zdm_postgres::PgVersion;

use crate::measure::{Answer, Bench};
use crate::observed::{Difference, differences};
use crate::predict::{Case, predict};

/// How a comparison ended.
#[derive(Clone, Debug)]
pub enum Comparison {
    /// Empty where model and server say the same.
    Compared(Vec<Difference>),
    /// Both refuse the setup: the case does not apply to the version.
    NotApplicable,
    /// Only one of them refuses the setup, and what it says.
    SetupDiffers(String),
}

pub fn compare(bench: &Bench, case: &Case<'_>, major: u16) -> Comparison {
    let answer = bench.measure(case);
    let prediction = predict(case, PgVersion::major(major));
    match (answer, prediction.setup_error) {
        (Answer::SetupFails(_), Some(_)) => Comparison::NotApplicable,
        (Answer::SetupFails(error), None) => {
            Comparison::SetupDiffers(format!("only the server refuses the setup: {error}"))
        }
        (Answer::Measured(..), Some(error)) => {
            Comparison::SetupDiffers(format!("only the model refuses the setup: {error}"))
        }
        (Answer::Measured(measured, scope), None) => {
            Comparison::Compared(differences(&prediction.observed, &prediction.uncertain, &measured, scope))
        }
    }
}

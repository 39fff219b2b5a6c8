//! One case on one server, against the model.

use zdm_postgres::PgVersion;

use crate::measure::{Answer, Bench};
use crate::observed::{Difference, differences};
use crate::predict::{Base, Case, predict_on};

/// How a comparison ended.
#[derive(Clone, Debug)]
pub enum Comparison {
    /// Empty where model and server say the same.
    Compared(Vec<Difference>),
    /// Both refuse the setup, and what the server says: the case does not apply to the version.
    NotApplicable(String),
    /// Only one of them refuses the setup, and what it says.
    SetupDiffers(String),
}

/// A server and the model beside it. Cases that follow each other on one setup share what it leaves.
#[derive(Debug)]
pub struct Pair {
    bench: Bench,
    version: PgVersion,
    base: Option<Base>,
}

impl Pair {
    pub const fn new(bench: Bench, major: u16) -> Self {
        Self { bench, version: PgVersion::major(major), base: None }
    }

    pub fn compare(&mut self, case: &Case<'_>) -> Comparison {
        let base = match self.base.take().filter(|base| base.is_of(case)) {
            Some(base) => base,
            None => Base::new(case, self.version),
        };
        let prediction = predict_on(&base, case);
        self.base = Some(base);
        let answer = self.bench.measure(case);
        match (answer, prediction.setup_error) {
            (Answer::SetupFails(error), Some(_)) => Comparison::NotApplicable(error),
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
}

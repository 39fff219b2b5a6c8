//! The count of agreements, printed as one table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::observed::{Difference, Respect};

/// Per version: how many statements, and in how many of them each respect agrees.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    rows: BTreeMap<u16, (u32, BTreeMap<Respect, u32>)>,
}

impl Tally {
    pub fn add(&mut self, major: u16, differences: &[Difference]) {
        let row = self.rows.entry(major).or_default();
        row.0 += 1;
        for respect in Respect::ALL {
            if !differences.iter().any(|difference| difference.respect == respect) {
                *row.1.entry(respect).or_default() += 1;
            }
        }
    }

    pub fn merge(&mut self, other: Self) {
        for (major, (statements, equal)) in other.rows {
            let row = self.rows.entry(major).or_default();
            row.0 += statements;
            for (respect, count) in equal {
                *row.1.entry(respect).or_default() += count;
            }
        }
    }

    pub fn statements(&self) -> u32 {
        self.rows.values().map(|(statements, _)| statements).sum()
    }

    pub fn table(&self) -> String {
        let mut text = String::from("version statements");
        for respect in Respect::ALL {
            let _ = write!(text, " {respect:>8}");
        }
        text.push('\n');
        for (major, (statements, equal)) in &self.rows {
            let _ = write!(text, "{major:>7} {statements:>10}");
            for respect in Respect::ALL {
                let _ = write!(text, " {:>8}", equal.get(&respect).copied().unwrap_or(0));
            }
            text.push('\n');
        }
        text
    }
}

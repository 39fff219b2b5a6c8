//! What comparing found: the count of agreements, printed as one table, and the differences.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::thread;

use zdm_testkit::majors_for;

use crate::known::Known;
use crate::observed::{Difference, Respect};

/// What a comparison found, on one version or on all.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub tally: Tally,
    failures: Vec<String>,
    /// Known differences that were met.
    met: BTreeSet<(&'static str, Respect)>,
}

impl Report {
    /// What a worker on each provisioned version reports, joined. The worker is given its version, its place among them
    /// and their number.
    ///
    /// # Panics
    /// Where a worker does.
    pub fn of_majors(worker: impl Fn(&mut Self, u16, u64, u64) + Sync) -> Self {
        let majors = majors_for("claims");
        let number = u64::try_from(majors.len()).unwrap_or(u64::MAX);
        let reports: Vec<Self> = thread::scope(|scope| {
            let workers: Vec<_> = majors
                .into_iter()
                .zip(0..)
                .map(|(major, place)| {
                    let major = u16::try_from(major).unwrap_or(u16::MAX);
                    let worker = &worker;
                    scope.spawn(move || {
                        let mut report = Self::default();
                        worker(&mut report, major, place, number);
                        report
                    })
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).collect()
        });
        let mut whole = Self::default();
        for report in reports {
            whole.tally.merge(report.tally);
            whole.failures.extend(report.failures);
            whole.met.extend(report.met);
        }
        whole.failures.sort();
        whole
    }

    /// What could not be compared.
    pub fn fail(&mut self, name: &str, major: u16, why: &str) {
        self.failures.push(format!("{name} on {major}: {why}"));
    }

    /// A statement, compared. `known` lists by `case`; `text` shows the statement with what is before it.
    pub fn compared(
        &mut self,
        (name, case, text): (&str, &str, &str),
        major: u16,
        found: &[Difference],
        known: &[Known],
    ) {
        self.tally.add(major, found);
        for Difference { respect, predicted, measured } in found {
            if let Some((case, respect, _)) = known.iter().find(|known| known.0 == case && known.1 == *respect) {
                self.met.insert((case, *respect));
                continue;
            }
            self.failures.push(format!(
                "{name} on {major}: {respect}\n    model  {predicted}\n    server {measured}\n    {text}"
            ));
        }
    }

    /// # Panics
    /// Where anything differs that is not known to, or what is known to differ, unless `known` is empty, does not.
    pub fn conclude(&self, known: &[Known]) {
        for (case, respect, reason) in known {
            assert!(self.met.contains(&(*case, *respect)), "{case} no longer differs in {respect}: {reason}");
        }
        assert!(self.failures.is_empty(), "{} differences\n{}", self.failures.len(), self.failures.join("\n"));
    }
}

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

//! What a run is doing at the moment, for whoever shows it. Written by the run, read from another thread.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// The stage that a run has reached.
#[derive(Debug, Default)]
pub struct Progress {
    stage: AtomicU8,
    count: AtomicUsize,
}

/// A part of a run, with how much there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Looking for the project and its files.
    Finding,
    /// Comparing with what an earlier run has seen.
    Comparing,
    /// So many Python files, of which those that matter are read.
    Reading(usize),
    /// So many migrations, each as soon as it is replayed.
    Judging(usize),
    Reporting,
}

impl Progress {
    pub fn reach(&self, stage: Stage) {
        let (number, count) = match stage {
            Stage::Finding => (0, 0),
            Stage::Comparing => (1, 0),
            Stage::Reading(count) => (2, count),
            Stage::Judging(count) => (3, count),
            Stage::Reporting => (4, 0),
        };
        // Whoever reads between the two shows a wrong number for an instant.
        self.count.store(count, Ordering::Relaxed);
        self.stage.store(number, Ordering::Relaxed);
    }

    pub fn stage(&self) -> Stage {
        let count = self.count.load(Ordering::Relaxed);
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Finding,
            1 => Stage::Comparing,
            2 => Stage::Reading(count),
            3 => Stage::Judging(count),
            _ => Stage::Reporting,
        }
    }
}

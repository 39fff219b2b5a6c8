//! How many rows a step may take so that it lasts about the target time, and logs no more WAL than it may. No clock here:
//! durations come in.
//!
//! What every step costs however few rows it has (the way to the server and back, the flush of its commit) is no part of
//! what is aimed at: far from the server, or with a slow disk, steps would shrink to a row and be no better for anybody.

use std::time::Duration;

use crate::throttle::StepBounds;

/// Bounds of a step in rows.
const FEWEST: u32 = 1;
const MOST: u32 = 20_000;
/// The first step: small enough for any table, and a few steps away from any pace.
const FIRST: u32 = 400;

/// How much the least overhead is believed to have grown with each step that shows a larger one.
const FORGETTING: f64 = 1.01;

/// What a step took.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    /// As this end saw it.
    pub elapsed: Duration,
    /// What the server's statements took by its own clock, without their way and the commit.
    pub server: Duration,
    /// Bytes of WAL.
    pub wal: f64,
}

/// Adapts continuously: shrinks at once, grows by at most half per step.
#[derive(Debug, Clone)]
pub struct Pace {
    bounds: StepBounds,
    /// The least that a step took lately beside the server's work.
    overhead: Option<Duration>,
    rows: f64,
    /// Nothing above this many rows until a while has passed: a step of that size met a timeout.
    ceiling: f64,
    since_timeout: u32,
}

impl Pace {
    pub fn new(target: Duration) -> Self {
        Self {
            bounds: StepBounds::alone(target),
            overhead: None,
            rows: f64::from(FIRST),
            ceiling: f64::from(MOST),
            since_timeout: 0,
        }
    }

    pub fn set_bounds(&mut self, bounds: StepBounds) {
        self.bounds = bounds;
    }

    /// What the work of a step is to take: where it may be short, still no less than what it costs beside its work, so
    /// that half of the time goes into work.
    pub fn target(&self) -> Duration {
        let StepBounds { shortest, longest, .. } = self.bounds;
        self.overhead.unwrap_or_default().clamp(shortest, longest)
    }

    /// Rows of the next step.
    pub fn rows(&self) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1 … 20,000")]
        let rows = self.rows.clamp(f64::from(FEWEST), f64::from(MOST)) as usize;
        rows
    }

    /// Rows of one statement of a step, when the way to the server and back takes so long; `None`: all of them.
    pub fn rows_at_once(&self, way: Duration) -> Option<usize> {
        let burst = self.bounds.burst?.max(way);
        let share = burst.as_secs_f64() / self.target().as_secs_f64().max(0.000_1);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1 … 20,000")]
        let rows = (self.rows * share).clamp(f64::from(FEWEST), f64::from(MOST)) as usize;
        (share < 1.0).then_some(rows)
    }

    /// Rows that steps of this pace update in `time`.
    pub fn rows_in(&self, time: Duration) -> usize {
        let step = self.target() + self.overhead.unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most what a machine can do")]
        let rows = (self.rows * time.as_secs_f64() / step.as_secs_f64().max(0.000_1)).clamp(1.0, 1e9) as usize;
        rows
    }

    /// After a step of `rows` rows.
    pub fn finished(&mut self, rows: usize, took: Took) {
        let beside = took.elapsed.saturating_sub(took.server);
        let overhead = least(self.overhead, beside);
        self.overhead = Some(overhead);
        let seconds = took.elapsed.saturating_sub(overhead).as_secs_f64().max(0.000_1);
        #[expect(clippy::cast_precision_loss, reason = "a step has at most 20,000 rows")]
        let rows = rows as f64;
        let by_wal = self.bounds.most_wal.map_or(f64::INFINITY, |most| most / took.wal.max(1.0));
        let share = (self.target().as_secs_f64() / seconds).min(by_wal);
        let fitting = rows * share;
        self.since_timeout = self.since_timeout.saturating_add(1);
        if self.since_timeout > 50 {
            self.ceiling = (self.ceiling * 1.05).min(f64::from(MOST));
        }
        // A step cut short by the end of its window says little, unless it was slow all the same.
        if rows * 2.0 < self.rows && share > 1.0 {
            return;
        }
        let next = if fitting < self.rows {
            // Half-way, so that one slow step (a checkpoint, a lock) does not stop the run; a far miss counts whole.
            if fitting < self.rows / 4.0 { fitting } else { f64::midpoint(self.rows, fitting) }
        } else {
            fitting.min(self.rows * 1.5)
        };
        self.rows = next.clamp(f64::from(FEWEST), self.ceiling.max(f64::from(FEWEST)));
    }

    /// After a step of `rows` rows that the server cut off.
    pub fn timed_out(&mut self, rows: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a step has at most 20,000 rows")]
        let rows = (rows as f64).min(self.rows);
        self.rows = (rows / 2.0).max(f64::from(FEWEST));
        self.ceiling = self.rows.max(f64::from(FEWEST));
        self.since_timeout = 0;
    }

    /// Somebody waits for a lock of ours.
    pub fn make_way(&mut self) {
        self.rows = (self.rows / 2.0).max(f64::from(FEWEST));
    }
}

/// The least lately, with what was seen now.
pub(crate) fn least(known: Option<Duration>, seen: Duration) -> Duration {
    known.map_or(seen, |least| least.mul_f64(FORGETTING).min(seen))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Runs steps on a server that needs `micros` per row and that is `overhead` away.
    fn settle_far(pace: &mut Pace, micros: u64, overhead: Duration, steps: usize) -> usize {
        for _ in 0..steps {
            let rows = pace.rows();
            let wal = 100.0 * f64::from(u32::try_from(rows).unwrap());
            let server = Duration::from_micros(micros * rows as u64);
            pace.finished(rows, Took { elapsed: server + overhead, server, wal });
        }
        pace.rows()
    }

    fn settle(pace: &mut Pace, micros: u64, steps: usize) -> usize {
        settle_far(pace, micros, Duration::ZERO, steps)
    }

    #[test]
    fn settles_at_the_target_time() {
        let mut pace = Pace::new(50 * MS);
        let rows = settle(&mut pace, 10, 20);
        assert!((4500..=5500).contains(&rows), "{rows}");
        let rows = settle(&mut pace, 100, 20);
        assert!((450..=550).contains(&rows), "a server ten times slower: {rows}");
        let rows = settle(&mut pace, 1_000_000, 20);
        assert_eq!(rows, 1, "a row per second");
        settle(&mut pace, 100, 20);
        assert!((4500..=5500).contains(&pace.rows_in(500 * MS)));
        assert_eq!(settle(&mut pace, 0, 100), 20_000, "the most");
    }

    #[test]
    fn what_a_step_costs_beside_its_work_does_not_shrink_it() {
        let mut pace = Pace::new(50 * MS);
        let rows = settle_far(&mut pace, 10, 60 * MS, 20);
        assert!((4500..=5500).contains(&rows), "a server far away: {rows}");
        // Between two bounds, a step works as long as it is on the way.
        for (overhead, rows) in [(Duration::ZERO, 100), (3 * MS, 300), (20 * MS, 500)] {
            let mut pace = Pace::new(50 * MS);
            pace.set_bounds(StepBounds { shortest: MS, longest: 5 * MS, burst: None, most_wal: None });
            let settled = settle_far(&mut pace, 10, overhead, 30);
            assert!((rows * 9 / 10..=rows * 11 / 10).contains(&settled), "{overhead:?}: {settled}");
        }
        // A commit that takes longer than usual counts, and a way that has become longer is believed in time.
        let mut pace = Pace::new(50 * MS);
        settle_far(&mut pace, 10, MS, 20);
        let rows = pace.rows();
        pace.finished(rows, Took { elapsed: 300 * MS, server: 50 * MS, wal: 0.0 });
        assert!(pace.rows() < rows / 2, "{}", pace.rows());
        assert!((4000..=5500).contains(&settle_far(&mut pace, 10, 10 * MS, 400)));
    }

    #[test]
    fn statements_are_as_short_as_their_way_allows() {
        let mut pace = Pace::new(50 * MS);
        settle(&mut pace, 10, 20);
        assert_eq!(pace.rows_at_once(Duration::ZERO), None, "one statement");
        pace.set_bounds(StepBounds { burst: Some(MS), ..StepBounds::alone(50 * MS) });
        for (way, rows) in [(Duration::ZERO, 100), (2 * MS, 200), (MS / 10, 100)] {
            let at_once = pace.rows_at_once(way).unwrap();
            assert!((rows * 9 / 10..=rows * 11 / 10).contains(&at_once), "{way:?}: {at_once}");
        }
        assert_eq!(pace.rows_at_once(60 * MS), None, "farther than a step lasts");
        let mut way = least(None, 2 * MS);
        way = least(Some(way), MS / 10);
        assert_eq!(way, MS / 10);
        for _ in 0..2000 {
            way = least(Some(way), 60 * MS);
        }
        assert_eq!(way, 60 * MS, "a way that has become longer is believed in time");
    }

    #[test]
    fn a_step_logs_no_more_than_it_may() {
        let mut pace = Pace::new(50 * MS);
        pace.set_bounds(StepBounds { most_wal: Some(20_000.0), ..StepBounds::alone(50 * MS) });
        let rows = settle(&mut pace, 10, 20);
        assert!((180..=220).contains(&rows), "100 bytes a row: {rows}");
        pace.set_bounds(StepBounds::alone(50 * MS));
        assert!(settle(&mut pace, 10, 20) > 4000);
    }

    #[test]
    fn a_timeout_halves_and_holds() {
        let mut pace = Pace::new(50 * MS);
        settle(&mut pace, 10, 20);
        let before = pace.rows();
        pace.timed_out(before);
        assert!(pace.rows() <= before / 2);
        assert!(settle(&mut pace, 1, 10) <= before / 2, "does not run into the same timeout again at once");
        assert!(settle(&mut pace, 1, 300) > before / 2, "but recovers");
    }

    #[test]
    fn a_short_last_step_does_not_grow_the_pace() {
        let mut pace = Pace::new(50 * MS);
        settle(&mut pace, 10, 20);
        let before = pace.rows();
        pace.finished(3, Took { elapsed: Duration::from_micros(10), server: Duration::ZERO, wal: 0.0 });
        assert_eq!(pace.rows(), before);
    }
}

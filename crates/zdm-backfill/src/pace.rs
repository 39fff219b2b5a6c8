//! How many rows a step may take so that it lasts about the target time, and logs no more WAL than it may. No clock here:
//! durations come in.

use std::time::Duration;

/// Bounds of a step in rows.
const FEWEST: u32 = 1;
const MOST: u32 = 20_000;
/// The first step: small enough for any table, and a few steps away from any pace.
const FIRST: u32 = 400;

/// Adapts continuously: shrinks at once, grows by at most half per step.
#[derive(Debug, Clone)]
pub struct Pace {
    target: Duration,
    /// Bytes of WAL of a step at the most.
    most_wal: Option<f64>,
    rows: f64,
    /// Nothing above this many rows until a while has passed: a step of that size met a timeout.
    ceiling: f64,
    since_timeout: u32,
}

impl Pace {
    pub fn new(target: Duration) -> Self {
        Self { target, most_wal: None, rows: f64::from(FIRST), ceiling: f64::from(MOST), since_timeout: 0 }
    }

    pub fn set_target(&mut self, target: Duration, most_wal: Option<f64>) {
        self.target = target;
        self.most_wal = most_wal;
    }

    pub fn target(&self) -> Duration {
        self.target
    }

    /// Rows of the next step.
    pub fn rows(&self) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1 … 20,000")]
        let rows = self.rows.clamp(f64::from(FEWEST), f64::from(MOST)) as usize;
        rows
    }

    /// Rows that steps of this pace update in `time`.
    pub fn rows_in(&self, time: Duration) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most what a machine can do")]
        let rows = (self.rows * time.as_secs_f64() / self.target.as_secs_f64().max(0.000_1)).clamp(1.0, 1e9) as usize;
        rows
    }

    /// After a step of `rows` rows that took `elapsed` and logged `wal` bytes.
    pub fn finished(&mut self, rows: usize, elapsed: Duration, wal: f64) {
        let seconds = elapsed.as_secs_f64().max(0.000_1);
        #[expect(clippy::cast_precision_loss, reason = "a step has at most 20,000 rows")]
        let rows = rows as f64;
        let by_wal = self.most_wal.map_or(f64::INFINITY, |most| most / wal.max(1.0));
        let share = (self.target.as_secs_f64() / seconds).min(by_wal);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs steps on a server that needs `micros` per row.
    fn settle(pace: &mut Pace, micros: u64, steps: usize) -> usize {
        for _ in 0..steps {
            let rows = pace.rows();
            let wal = 100.0 * f64::from(u32::try_from(rows).unwrap());
            pace.finished(rows, Duration::from_micros(micros * rows as u64), wal);
        }
        pace.rows()
    }

    #[test]
    fn settles_at_the_target_time() {
        let mut pace = Pace::new(Duration::from_millis(50));
        let rows = settle(&mut pace, 10, 20);
        assert!((4500..=5500).contains(&rows), "{rows}");
        let rows = settle(&mut pace, 100, 20);
        assert!((450..=550).contains(&rows), "a server ten times slower: {rows}");
        let rows = settle(&mut pace, 1_000_000, 20);
        assert_eq!(rows, 1, "a row per second");
        settle(&mut pace, 100, 20);
        assert!((4500..=5500).contains(&pace.rows_in(Duration::from_millis(500))));
        assert_eq!(settle(&mut pace, 0, 100), 20_000, "the most");
    }

    #[test]
    fn a_step_logs_no_more_than_it_may() {
        let mut pace = Pace::new(Duration::from_millis(50));
        pace.set_target(Duration::from_millis(50), Some(20_000.0));
        let rows = settle(&mut pace, 10, 20);
        assert!((180..=220).contains(&rows), "100 bytes a row: {rows}");
        pace.set_target(Duration::from_millis(50), None);
        assert!(settle(&mut pace, 10, 20) > 4000);
    }

    #[test]
    fn a_timeout_halves_and_holds() {
        let mut pace = Pace::new(Duration::from_millis(50));
        settle(&mut pace, 10, 20);
        let before = pace.rows();
        pace.timed_out(before);
        assert!(pace.rows() <= before / 2);
        assert!(settle(&mut pace, 1, 10) <= before / 2, "does not run into the same timeout again at once");
        assert!(settle(&mut pace, 1, 300) > before / 2, "but recovers");
    }

    #[test]
    fn a_short_last_step_does_not_grow_the_pace() {
        let mut pace = Pace::new(Duration::from_millis(50));
        settle(&mut pace, 10, 20);
        let before = pace.rows();
        pace.finished(3, Duration::from_micros(10), 0.0);
        assert_eq!(pace.rows(), before);
    }
}

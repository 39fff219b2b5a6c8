//! The progress of a run: a line on standard error that appears after a second of work, is written anew in its place,
//! and goes away. Where standard error is no terminal there is none.

use std::cell::RefCell;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use zdm_workspace::{Progress, Stage};

/// Work that takes less needs no progress.
const PATIENCE: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_millis(100);

/// A run's progress and the thread that shows it.
pub(crate) struct Shown {
    progress: Arc<Progress>,
    thread: RefCell<Option<(Sender<()>, JoinHandle<()>)>>,
}

impl Shown {
    pub(crate) fn start(quiet: bool) -> Self {
        let progress = Arc::new(Progress::default());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let thread = (!quiet && !dumb && std::io::stderr().is_terminal()).then(|| {
            let (stop, stopped) = channel();
            let progress = Arc::clone(&progress);
            let start = Instant::now();
            let thread = std::thread::spawn(move || {
                let mut wait = PATIENCE;
                while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                    wait = INTERVAL;
                    let seconds = start.elapsed().as_secs();
                    // Back to the first column, and the rest of the line erased.
                    let _ = write!(std::io::stderr(), "\r\x1b[Kzdm-lint: {} ({seconds} s)", words(progress.stage()));
                }
                if wait == INTERVAL {
                    let _ = write!(std::io::stderr(), "\r\x1b[K");
                }
            });
            (stop, thread)
        });
        Self { progress, thread: RefCell::new(thread) }
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Ends it and removes the line, before anything else is written.
    pub(crate) fn clear(&self) {
        if let Some((stop, thread)) = self.thread.take() {
            drop(stop);
            let _ = thread.join();
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.clear();
    }
}

fn words(stage: Stage) -> String {
    match stage {
        Stage::Finding => "looking for the project and its files".to_owned(),
        Stage::Comparing => "comparing the files with the last run".to_owned(),
        Stage::Reading(files) => format!("reading {files} Python files"),
        Stage::Judging(migrations) => format!("replaying and judging {migrations} migrations"),
        Stage::Reporting => "writing the report".to_owned(),
    }
}

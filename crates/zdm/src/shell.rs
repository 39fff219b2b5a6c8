//! What the subcommands have in common: how they run, and in which form they answer.

use std::time::Duration;

use clap::ValueEnum;

use crate::exit::Exit;
use crate::output;

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Runs a future to its end on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> Result<F::Output, Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        output::error(&format!("the runtime cannot start: {error}"));
        Exit::Failed
    })?;
    let finished = runtime.block_on(future);
    // Connections that are still closing must not delay the exit.
    runtime.shutdown_timeout(Duration::from_millis(100));
    Ok(finished)
}

//! `zdm-lint lsp`: the language server on standard input and output.

use std::process::ExitCode;

use zdm_server::Ended;

use crate::{CLEAN, FINDINGS};

pub(crate) fn run() -> ExitCode {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    // The protocol wants 1 for an end without `shutdown`.
    ExitCode::from(match zdm_server::run(std::io::stdin(), std::io::stdout(), variables) {
        Ended::InOrder => CLEAN,
        Ended::Abruptly => FINDINGS,
    })
}

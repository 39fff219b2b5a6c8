//! `zdm migrate` where there is no Unix: it says so. The guard watches signals, processes and a socket in the file system.

use std::ffi::OsString;

use clap::Args;

use crate::exit::Exit;
use crate::output;

/// Whatever is given, so that the answer is the reason and not a wrong option.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    _given: Vec<OsString>,
}

pub(crate) fn launch() -> Option<Exit> {
    None
}

pub(crate) fn main(_: &Arguments) -> Exit {
    output::error(
        "`zdm migrate` needs Linux or macOS, or the Windows Subsystem for Linux; `zdm backfill`, `zdm mirror` and \
         `zdm stats` run here",
    );
    Exit::Usage
}

//! `zdm-lint base`: what `--base auto` stands for here, for scripts that fetch it.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use zdm_workspace::base::auto;
use zdm_workspace::discover::discover;

use crate::args::{ListFormat, ProjectArgs};
use crate::check::project_request;
use crate::terminal::{Failure, print};

#[derive(Serialize)]
struct WireBase<'a> {
    version: u32,
    reference: &'a str,
    found_in: &'a str,
}

pub(crate) fn run(root: Option<PathBuf>, format: ListFormat) -> Result<ExitCode, Failure> {
    let request = project_request(&ProjectArgs::default(), root.into_iter().collect())?;
    let place = discover(&request.current, &request.paths, &request.config)?;
    let base = auto(&place.root, &request.variables)?;
    Ok(match format {
        ListFormat::Text => print(&base.reference),
        ListFormat::Json => {
            let wire = WireBase { version: 1, reference: &base.reference, found_in: &base.found_in };
            print(&serde_json::to_string_pretty(&wire).map_err(|error| Failure::new(error.to_string()))?)
        }
    })
}

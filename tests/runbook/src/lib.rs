//! Runs the runbook. A page of `docs/runbook` is read as a person reads it: files are written where their first line
//! says, commands are run as they stand, their output must be what the page shows, and after a step the way back is
//! walked and the step taken again. Beside it the application's processes of both releases send requests without
//! pause; each page ends with the same schema as the naive migration, and without one failed request.

pub mod beliefs;
pub mod keeper;
pub mod measure;
pub mod page;
pub mod picture;
pub mod run;
pub mod schema;
pub mod site;

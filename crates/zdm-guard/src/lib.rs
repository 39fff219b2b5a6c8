//! Runs a migration command under timeouts by class of statement, behind a gate, watched.
//!
//! The command runs as a child with `PGAPPNAME` and `PGOPTIONS` as a floor. A Django process also imports a shim of
//! ours (`shim/sitecustomize.py`), which asks before each statement which timeouts it gets: the answer comes from the
//! lock model that the linter judges with. A watcher on a second connection cancels the child's own session where it
//! keeps others waiting too long.
//!
//! Reading order: [`run`] (one run from start to end), [`knowledge`] (what the linter says of the project), [`gate`]
//! (which migrations run), [`leap`] (who is in the way), `place` and `command` (the shim, and the Python that imports
//! it), `wire` and `serve` (what the shim asks), `core` (what is answered), [`model`] (the class of a statement),
//! `resume` (how far a run that was killed came), `retry`, `hear` (what another command says of its failure), [`watch`] (whom we block), [`record`] and [`event`] (what happened). Nothing in this crate prints.

pub mod run;

pub mod knowledge;

pub mod gate;

pub mod leap;

mod place;

mod command;

mod wire;

mod serve;

mod core;

pub mod model;

mod resume;

mod retry;

mod hear;

pub mod watch;

pub mod record;

pub mod event;

pub mod error;

pub use command::is_django;
pub use error::Error;
pub use event::Event;
pub use gate::{Consent, Decision, Gate, Pending, PhaseChoice, Verdict};
pub use knowledge::Knowledge;
pub use record::Record;
pub use retry::RetryLimits;
pub use run::{Ended, Options, Report, run};
pub use watch::BlockerPattern;

/// Application names of guarded sessions begin so.
pub const APPLICATION: &str = "zdm migrate";

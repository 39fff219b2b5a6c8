//! The project on disk: where it is, how it is configured, which files it has, and what changed in git.
//!
//! All input and output of the linter happens here; the crates below take text. Infrastructure can fail
//! ([`Error`], each with a remedy), a single file cannot: what is wrong with it is a value beside its text.
//! The environment is handed in as a map, never read here.
//!
//! Reading order: [`discover`] (which project), [`config`] (what its users want), [`walk`] (which files it has),
//! [`decode`] and [`files`] (their text), [`versions`] (which Django and PostgreSQL), [`changes`] and [`base`]
//! (what is new on this branch), [`analysis`] (replay and findings), [`outcome`] (what of them a report needs), [`cache`]
//! (the outcome of an earlier run over the same files).

pub mod error;

pub mod discover;

pub mod config;

pub mod pattern;

pub mod walk;

pub mod decode;

pub mod files;

pub mod versions;

pub mod stats;

pub mod write;

pub mod changes;

pub mod base;

pub mod analysis;

pub mod outcome;

pub mod progress;

pub mod parallel;

pub mod live;

mod branch;

pub mod cache;

pub use analysis::{Analysis, Counts, Ground, Request, Workspace};
pub use cache::{Cache, Use};
pub use changes::{Change, ChangeKind, ChangeSet};
pub use config::{Config, ConfigError, ConfigSource, KnownRule};
pub use discover::Place;
pub use error::Error;
pub use files::{FileProblem, Files, Text};
pub use live::Live;
pub use outcome::{Checked, Outcome, Seen, check, recall};
pub use progress::{Progress, Stage};
pub use stats::Stats;
pub use versions::{Origin, Target};

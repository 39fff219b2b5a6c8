//! Findings as text, lines and documents: one pure renderer per format.
//!
//! A renderer takes a [`Report`] and returns a string; it does no I/O, reads no clock, no environment and no terminal,
//! so the same report gives the same bytes. Wire formats are structures of their own: nothing in `zdm-source` is
//! serialised. Suppressed findings are left out of every format that people read first (text, concise, GitHub,
//! GitLab, Markdown); JSON and SARIF carry them as suppressed, JUnit as skipped.
//!
//! Reading order: [`report`] (what there is to say), [`fingerprint`] (which finding is which across runs),
//! [`fix`] (how a fix becomes edits with lines), then the formats; [`baseline`] and [`patch`] are the files that a run
//! writes besides reports.

pub mod report;

pub mod fingerprint;

pub mod fix;

mod words;

pub mod text;

pub mod concise;

pub mod json;

pub mod sarif;

pub mod github;

pub mod gitlab;

pub mod junit;

pub mod markdown;

pub mod baseline;

pub mod patch;

pub use baseline::Baseline;
pub use fingerprint::{Fingerprint, fingerprints};

pub use report::{Base, MigrationPhase, PathPrefixes, Phase, Report, RuleInfo, Summary};

#[cfg(test)]
mod tests;

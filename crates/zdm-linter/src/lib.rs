//! The rules: judgements over the trace of a project's migrations.
//!
//! A rule is a page in `rules/` (its documentation and its test), a function in [`rules`], and a line in
//! [`registry::RULES`]. Rules see the trace, never syntax trees or files. Reading order: [`page`], [`registry`],
//! [`context`], [`rules`], [`suppress`], [`lint`].

pub mod page;

pub mod registry;
mod release;

pub mod config;

pub mod context;

pub mod rules;

pub mod suppress;

mod mirror;

mod words;

mod fixes;

pub mod lint;

pub mod merged;

pub mod phase;

mod by_table;

mod one_place;

mod declared;

mod standing;

mod unknown_tables;

pub mod project_problems;

pub mod new_code;

pub mod old_code;

mod old_rows;

pub use config::Config;
pub use declared::needed;
pub use lint::{Judge, Pass, Turn, lint, lint_project, lint_released};
pub use page::Page;
pub use phase::{MigrationPhase, phases};
pub use registry::{RULES, Rule, find_rule};
pub use release::{Made, Release};
pub use unknown_tables::KnownTables;

//! Where the model is known to differ from the servers, and why.

use crate::observed::Respect;

/// Case, respect, reason.
pub const KNOWN: &[(&str, Respect, &str)] = &[];

/// Differences that only live measurements show: case, respect, reason.
pub const LIVE: &[(&str, Respect, &str)] = &[];

/// Differences of our own cases: statement, respect, reason.
pub const OWN: &[(&str, Respect, &str)] = &[
    ("CREATE INDEX ON child (at)", Respect::Errors, NO_ROW),
    ("ALTER TABLE parent ADD COLUMN z int", Respect::Errors, NO_ROW),
];

const NO_ROW: &str = "an UPDATE or DELETE before it finds no row, so that no check of a deferred key waits; that its \
    condition finds one is taken for granted";

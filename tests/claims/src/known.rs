//! Where the model is known to differ from the servers, and why.

use crate::observed::Respect;

/// Case, respect, reason.
pub type Known = (&'static str, Respect, &'static str);

/// Differences from what was recorded.
pub const KNOWN: &[Known] = &[];

/// Differences that only live measurements show.
pub const LIVE: &[Known] = &[];

/// Differences of our own cases, by their statement.
pub const OWN: &[Known] = &[];

/// The same on the versions before [`OLDEST`], 12 for all of them.
pub const OLDER: &[Known] = &[
    (
        "ALTER TABLE e ADD CHECK (overlay(v, 'x', 2) = 'y')",
        Respect::Errors,
        "the reader does not know the version, before 14 of which the grammar had no plain call of overlay",
    ),
    (
        "INSERT INTO jug OVERRIDING USER VALUE SELECT id, 'x' FROM slope",
        Respect::Errors,
        "how many columns a query gives to INSERT is not known where one is a literal",
    ),
];

/// The oldest version that every setup of our own cases stands on.
pub const OLDEST: u16 = 14;

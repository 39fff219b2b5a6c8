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
        "UPDATE t SET u = gen_random_uuid(), tx = md5(tx)",
        Respect::Errors,
        "before 13 an extension had the function, which may be there",
    ),
    (
        "CREATE STATISTICS s ON (SELECT 1), a FROM t",
        Respect::Errors,
        "the reader does not know the version, before 14 of which the grammar took any expression there",
    ),
    (
        "CREATE TABLE x PARTITION OF pt FOR VALUES FROM ('d' COLLATE \"C\") TO ('e')",
        Respect::Errors,
        "that the collation of a bound had to be the key's before 14 is not told",
    ),
    (
        "CREATE TABLE x PARTITION OF p2 FOR VALUES FROM (MINVALUE, 0) TO (2, MAXVALUE)",
        Respect::Errors,
        "before 14 what stands behind MINVALUE was looked at before its type",
    ),
    (
        "ALTER TABLE flight ALTER COLUMN no ADD GENERATED ALWAYS AS IDENTITY, ALTER COLUMN no TYPE text",
        Respect::Errors,
        "12 looks at the type of an identity column before any other change of the statement",
    ),
];

/// The oldest version that every setup of our own cases stands on.
pub const OLDEST: u16 = 14;

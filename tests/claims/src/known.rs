//! Where the model is known to differ from the servers, and why.

use crate::observed::Respect;

/// Case, respect, reason.
pub type Known = (&'static str, Respect, &'static str);

/// Differences from what was recorded.
pub const KNOWN: &[Known] = &[];

/// Differences that only live measurements show.
pub const LIVE: &[Known] = &[];

/// Differences of our own cases, by their statement.
pub const OWN: &[Known] = &[
    (
        "UPDATE t SET arr = array_append(arr, 'x'::text)",
        Respect::Errors,
        "functions whose arguments agree on any common type are not told apart",
    ),
    ("SELECT count(DISTINCT js) FROM t", Respect::Errors, "what an aggregate tells apart is not looked at"),
    (
        "SELECT * FROM t WHERE id IN (SELECT tx FROM o)",
        Respect::Errors,
        "the types of a subquery's columns are not followed",
    ),
    ("SELECT * FROM t JOIN v ON v.tx = t.id", Respect::Errors, "the types of a view's columns are not followed"),
    (
        "MERGE INTO t USING (SELECT id, tx FROM o) x ON t.id = x.id WHEN MATCHED THEN UPDATE SET n = x.tx",
        Respect::Errors,
        "what MERGE assigns is not held to the column's type",
    ),
    (
        "MERGE INTO t USING (SELECT id, tx FROM o) x ON t.id = x.id WHEN NOT MATCHED THEN INSERT (id, n) VALUES (x.id, x.tx)",
        Respect::Errors,
        "what MERGE assigns is not held to the column's type",
    ),
    (
        "CREATE FUNCTION f() RETURNS TABLE (a int) LANGUAGE sql AS $$ SELECT tx FROM t $$",
        Respect::Errors,
        "the columns of RETURNS TABLE are not compared with the body's",
    ),
    (
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ UPDATE t SET n = 1 RETURNING tx $$",
        Respect::Errors,
        "what RETURNING gives is not compared with the function's type",
    ),
];

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

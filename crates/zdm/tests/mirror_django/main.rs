//! `zdm mirror` from end to end with the real Django: two releases work on the tables, without an error, while mirror,
//! swap and the reverse of both are applied.

#![expect(clippy::unwrap_used, reason = "tests")]

mod project;

mod column;

mod keys;

mod objects;

//! The driver against live servers. One program, so that all tests share their servers.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

mod strategies;

mod surroundings;

mod standby;

mod resume;

mod conditions;

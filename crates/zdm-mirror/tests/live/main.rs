//! Mirrors on live servers. One program, so that all tests share their servers.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

mod writers;

mod random;

mod tables;

mod installing;

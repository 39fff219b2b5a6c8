//! One binary for all tests of the crate's public face.

#![expect(clippy::print_stdout, reason = "skipped tests and measures are to be seen")]
#![expect(clippy::unwrap_used, reason = "a failing conversion fails the test")]

mod common;

/// What modules, classes, functions and strings are worth.
mod evaluate;

/// No input panics, overflows or points outside of the file.
mod robust;

/// The same values as a real Python.
mod differential;

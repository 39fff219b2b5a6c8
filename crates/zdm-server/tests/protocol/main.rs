//! The server as a black box, over the real protocol.

#![expect(clippy::unwrap_used, reason = "a test that does not get what it waits for should end")]
#![expect(clippy::needless_pass_by_value, reason = "JSON is written where it is used up")]

mod client;
mod editing;
mod findings;
mod help;
mod robust;

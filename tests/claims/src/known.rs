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

//! Where the model is known to differ from the servers, and why.

use crate::observed::Respect;

/// Case, respect, reason.
pub const KNOWN: &[(&str, Respect, &str)] = &[];

/// Differences that only live measurements show: case, respect, reason.
pub const LIVE: &[(&str, Respect, &str)] = &[];

/// Differences of our own cases: statement, respect, reason.
pub const OWN: &[(&str, Respect, &str)] = &[];

//! Findings that no trace of a single migration tells: about suppressions ([`crate::suppress`]) and about the project as
//! a whole ([`crate::project_problems`]).

use zdm_source::Diagnostic;

use crate::context::Cx;

/// Nothing by itself.
pub fn check(_cx: &Cx<'_>, _out: &mut Vec<Diagnostic>) {}

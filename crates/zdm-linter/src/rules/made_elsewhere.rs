//! Findings that no trace of a single migration tells: about suppressions ([`crate::suppress`]), about the project as
//! a whole ([`crate::project_problems`]), and about what git knows ([`crate::merged`]).

use zdm_source::Diagnostic;

use crate::context::Cx;

/// Nothing by itself.
pub fn check(_cx: &Cx<'_>, _out: &mut Vec<Diagnostic>) {}

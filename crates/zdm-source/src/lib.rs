//! Text, spans, line index, edits and diagnostics: the vocabulary that every zdm crate shares.
//!
//! This crate does no I/O and knows neither Python nor SQL nor Django. Reading order:
//! [`span`] (where something is), [`file`] (the text itself and its lines),
//! [`diagnostic`] (what is said about it), [`message`] (the names in it), [`edit`] (how it is changed).

pub mod span;

pub mod file;

pub mod edit;

pub mod diagnostic;

pub mod message;

mod nearest;

pub use diagnostic::{
    Applicability, Code, Diagnostic, Fix, FixFile, Label, Note, Phase, Severity, Subject, Suppressed, SuppressionKind,
};
pub use edit::{Edit, EditError, apply_edits};
pub use file::{LineColumn, LineIndex, SourceFile};
pub use nearest::nearest;
pub use span::Span;

//! Python source text as constants, names, calls and classes, each with its span: a static evaluator that runs nothing.
//!
//! [`parse`] never fails and reads a file once into a [`Module`]. An [`Evaluator`] runs modules, class bodies and simple
//! functions on [`Value`]s, following imports through a [`ModuleLoader`]. This crate does no I/O, and it knows Python,
//! not Django: a field is a call of a symbol with arguments, and what that means is for others to say.
//!
//! What cannot be known is a [`Value`] too: [`ValueKind::Unknown`] with a reason, or [`ValueKind::Alternatives`].

#![expect(clippy::single_match_else, reason = "both cases of a look-up are named")]

pub mod syntax;

mod lower;

pub mod text;

mod literal;

pub mod value;

mod namespace;

mod ops;

mod format;

mod builtins;

pub mod eval;

pub use eval::{CallSite, ClassBody, Evaluator, ModuleLoader};
pub use lower::parse;
pub use syntax::{Module, Why};
pub use text::{Origin, Segment, Str};
pub use value::{
    Alternatives, Arg, ArgKind, AttributeOf, Call, ClassRef, DictEntry, FunctionRef, Int, TemplatePart, Value,
    ValueKind,
};

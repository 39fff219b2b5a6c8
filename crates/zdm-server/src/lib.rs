//! The language server: what the linter knows, while a migration is written.
//!
//! A thin shell around [`zdm_workspace::Live`], which is the same core as the command line's. One thread reads messages
//! into a queue, one writes answers, and one owns the documents and does everything else in the order in which messages
//! came; so no edit is lost or overtaken. Work that can wait is done in slices between two messages, and what a newer
//! edit makes pointless is not begun.
//!
//! The protocol is the Language Server Protocol, 3.17. Its framing and its few structures are here and not from a
//! library: those at hand either reorder messages or end the session at the first one that is malformed.
//!
//! Reading order: [`transport`], [`protocol`], [`uri`], [`position`] (the wire), [`documents`], [`projects`] (the state),
//! [`server`] (the loop), then one module per thing that an editor asks for.

mod transport;

mod protocol;

mod uri;

mod position;

mod documents;

mod projects;

mod server;

mod publish;

mod words;

mod names;

mod hover;

mod actions;

mod follow_up;

mod outline;

mod navigate;

mod complete;

mod pages;

pub use server::{Ended, run};

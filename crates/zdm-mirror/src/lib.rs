//! Keeps a shadow column equal to a function of its source, by a trigger, while two generations of code run.
//!
//! The pure half, in reading order: [`expression`] (what users write about a row), [`types`] (which values fit),
//! [`names`] (of trigger and function), [`facts`] (what is known of a table), [`mirror`] (the definition, refusals and
//! warnings), [`sql`] (its statements), [`declared`] (mirrors as data), [`project`] (facts from a replayed project),
//! [`migration`] and [`swap`] (Django migrations), [`references`] (the columns that reference a column).
//! The half that talks to the server: [`live`] (reads the facts), [`inspect`] (what is installed), [`values`] (whether
//! the columns are equal), [`install`].

pub mod refusal;

pub mod expression;

pub mod types;

pub mod names;

pub mod facts;

pub mod mirror;

pub mod sql;

pub mod declared;

pub mod project;

pub mod migration;

pub mod references;

mod python;

pub mod swap;

pub mod live;

pub mod inspect;

pub mod values;

pub mod install;

mod error;

pub use error::Error;
pub use expression::Expression;
pub use mirror::{Mirror, Pair, PairRequest, Planned, Request, TableName, plan};
pub use refusal::Refusal;
pub use sql::{Row, Statements};

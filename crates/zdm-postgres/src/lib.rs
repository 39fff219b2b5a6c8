//! PostgreSQL as zdm knows it: statements, types, the catalog, lock modes, and what each statement does.
//!
//! This crate does no I/O and knows neither Django nor a SQL parser. SQL text becomes [`Statement`]s in `zdm-sql`;
//! here a [`Session`] executes them on a [`Catalog`] and answers with their [`Effects`].
//! Reading order: [`name`], [`version`], [`lock`], [`data_type`], [`expr`] (the words), [`statement`] (what is asked),
//! [`catalog`] (what is there), [`effects`] (what happens), [`session`] (where it happens).

pub mod name;

pub mod version;

pub mod lock;

pub mod data_type;

pub mod expr;

pub mod statement;

pub mod list;
mod literal;

pub mod catalog;

pub mod effects;

pub mod naming;

mod cast;

mod jsonb;

mod volatility;

mod mutability;

mod typing;

mod constant;
mod proof;

pub mod session;

pub mod deparse;

mod execute;

pub use catalog::Catalog;
pub use data_type::{DataType, needs_quotes};
pub use effects::Effects;
pub use expr::SqlExpr;
pub use lock::LockMode;
pub use name::{Ident, QualifiedName, quote_identifier, quote_literal};
pub use proof::{implies, refuses_null};
pub use session::Session;
pub use statement::Statement;
pub use version::PgVersion;

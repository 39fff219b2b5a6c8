//! How the runtime talks to PostgreSQL.
//!
//! Reading order: [`name`] (identifiers and literals, the only way into runtime SQL), [`secret`] (what is never shown),
//! [`dsn`] and [`settings`] (where the server is: DSN, environment, service and password files, as libpq reads them),
//! [`tls`] (`sslmode`), [`connect`](mod@connect) (hosts tried in order), [`session`] (a connection whose timeouts are
//! set and read back), [`statement`] (what a failed statement was for), [`retry`] (which failures pass by themselves), [`pooler`] (a proxy that shares sessions).
//!
//! Nothing in this crate prints. No error, `Debug` or log line carries a password.

pub mod name;

pub mod secret;

pub mod dsn;

pub mod settings;

pub mod tls;

pub mod connect;

pub mod session;

pub mod statement;

pub mod retry;

pub mod pooler;

pub use connect::{ConnectError, connect};
pub use name::{Ident, Literal, NameError, QualifiedName, SqlExpression};
pub use retry::{Backoff, FailureClass, classify};
pub use secret::Secret;
pub use session::{Session, SessionError, Timeouts};
pub use settings::{ConfigError, Environment, Settings, SslMode};
pub use statement::{Doing, StatementError};

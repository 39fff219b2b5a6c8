//! One connection to the first place that accepts it.

use std::fmt;
use std::time::Duration;

use thiserror::Error;
use tokio::task::JoinHandle;
use tokio_postgres::config::{
    ChannelBinding as DriverBinding, SslMode as DriverMode, SslNegotiation, TargetSessionAttrs,
};
use tokio_postgres::{Client, Config, Error, NoTls};

use crate::retry::{FailureClass, classify};
use crate::settings::{ChannelBinding, Endpoint, Settings, SslMode};
use crate::tls::{Connector, TlsError};

/// For endpoints without a `connect_timeout`, so that a dead address does not hold the run for the kernel's minutes.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// A client and the task that moves its bytes. Dropping it closes the connection.
pub struct Connection {
    pub client: Client,
    task: JoinHandle<()>,
    /// Whether the bytes are encrypted.
    pub encrypted: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("encrypted", &self.encrypted).finish_non_exhaustive()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why no place accepted the connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    #[error("cannot connect to {endpoint}: {}", describe(error))]
    Server { endpoint: String, error: Error },
    #[error("cannot connect to {endpoint}: no answer within {} s", timeout.as_secs())]
    Timeout { endpoint: String, timeout: Duration },
    #[error("cannot connect to {endpoint}: this platform has no unix sockets")]
    NoSockets { endpoint: String },
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl ConnectError {
    /// Whether a later attempt may succeed without a change of configuration.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Timeout { .. } => true,
            Self::Server { error, .. } => classify(error).needs_reconnect(),
            Self::Tls(_) | Self::NoSockets { .. } => false,
        }
    }
}

/// A driver's error with its causes, server errors as `message (SQLSTATE xxxxx)`. Details are left out: they quote rows.
pub fn describe(error: &Error) -> String {
    if let Some(db) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", db.message(), db.code().code());
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}

/// Tries the endpoints in order, each with the encryption that `sslmode` allows, and returns the first that accepts.
///
/// # Errors
/// The last endpoint's, when none accepts. A refused password ends the search at once, as in libpq.
pub async fn connect(settings: &Settings, application_name: &str) -> Result<Connection, ConnectError> {
    let mut last = None;
    for endpoint in &settings.endpoints {
        match connect_endpoint(settings, endpoint, application_name).await {
            Ok(connection) => return Ok(connection),
            Err(error) => {
                let final_word = matches!(&error, ConnectError::Server { error, .. }
                    if error.code().is_some() && !classify(error).needs_reconnect());
                if final_word {
                    return Err(error);
                }
                last = Some(error);
            }
        }
    }
    Err(last.unwrap_or_else(|| ConnectError::Timeout { endpoint: "no endpoint".to_owned(), timeout: Duration::ZERO }))
}

/// How one attempt treats TLS.
#[derive(Clone, Copy)]
enum Attempt {
    Plain,
    Prefer,
    Require,
}

async fn connect_endpoint(settings: &Settings, endpoint: &Endpoint, name: &str) -> Result<Connection, ConnectError> {
    let attempts: &[Attempt] = match (endpoint, settings.tls.mode) {
        (Endpoint::Unix { .. }, _) | (_, SslMode::Disable) => &[Attempt::Plain],
        (_, SslMode::Allow) => &[Attempt::Plain, Attempt::Require],
        (_, SslMode::Prefer) => &[Attempt::Prefer, Attempt::Plain],
        (_, SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull) => &[Attempt::Require],
    };
    let timeout = settings.connect_timeout.unwrap_or(DEFAULT_CONNECT_TIMEOUT);
    let mut first_error = None;
    for attempt in attempts {
        let future = connect_once(settings, endpoint, name, *attempt);
        let outcome = match tokio::time::timeout(timeout, future).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ConnectError::Timeout { endpoint: endpoint.to_string(), timeout }),
        };
        match outcome {
            Ok(connection) => return Ok(connection),
            Err(error) => {
                let another_encryption_may_help = match &error {
                    // `pg_hba.conf` may take one kind of connection and not the other (class 28).
                    ConnectError::Server { error, .. } => match error.code() {
                        Some(state) => state.code().starts_with("28"),
                        None => classify(error) != FailureClass::ConnectionLost || matches!(attempt, Attempt::Prefer),
                    },
                    ConnectError::Tls(_) => true,
                    ConnectError::Timeout { .. } | ConnectError::NoSockets { .. } => false,
                };
                if !another_encryption_may_help {
                    return Err(error);
                }
                first_error.get_or_insert(error);
            }
        }
    }
    Err(first_error
        .unwrap_or_else(|| ConnectError::Timeout { endpoint: endpoint.to_string(), timeout: Duration::ZERO }))
}

async fn connect_once(
    settings: &Settings,
    endpoint: &Endpoint,
    name: &str,
    attempt: Attempt,
) -> Result<Connection, ConnectError> {
    let mut config = Config::new();
    config.user(&settings.user).dbname(&settings.dbname).application_name(name);
    if let Some(password) = settings.password_for(endpoint) {
        config.password(password.expose());
    }
    if let Some(options) = &settings.options {
        config.options(options);
    }
    if settings.needs_writable {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    config.channel_binding(match settings.tls.channel_binding {
        ChannelBinding::Disable => DriverBinding::Disable,
        ChannelBinding::Prefer => DriverBinding::Prefer,
        ChannelBinding::Require => DriverBinding::Require,
    });
    config.keepalives(true).keepalives_idle(Duration::from_secs(30)).keepalives_interval(Duration::from_secs(10));
    let host = match endpoint {
        #[cfg(unix)]
        Endpoint::Unix { directory, port } => {
            config.host_path(directory).port(*port);
            None
        }
        #[cfg(not(unix))]
        Endpoint::Unix { .. } => return Err(ConnectError::NoSockets { endpoint: endpoint.to_string() }),
        Endpoint::Tcp { host, address, port } => {
            config.host(host).port(*port);
            if let Some(address) = address {
                config.hostaddr(*address);
            }
            Some(host)
        }
    };
    let server = |error| ConnectError::Server { endpoint: endpoint.to_string(), error };
    match (attempt, host) {
        (Attempt::Plain, _) | (_, None) => {
            config.ssl_mode(DriverMode::Disable);
            let (client, connection) = config.connect(NoTls).await.map_err(server)?;
            Ok(Connection { client, task: tokio::spawn(drive(connection)), encrypted: false })
        }
        (Attempt::Prefer | Attempt::Require, Some(host)) => {
            let require = matches!(attempt, Attempt::Require);
            config.ssl_mode(if require { DriverMode::Require } else { DriverMode::Prefer });
            if settings.tls.direct {
                config.ssl_negotiation(SslNegotiation::Direct);
            }
            let connector = Connector::new(&settings.tls, host)?;
            let (client, connection) = config.connect(connector).await.map_err(server)?;
            Ok(Connection { client, task: tokio::spawn(drive(connection)), encrypted: require })
        }
    }
}

/// Notices are dropped; a failure shows itself to the client's next call.
async fn drive<S, T>(connection: tokio_postgres::Connection<S, T>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    drop(connection.await);
}

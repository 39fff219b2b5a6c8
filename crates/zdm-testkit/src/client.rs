//! A blocking connection for tests: SQL in, text out, notices kept.

use std::fmt;
use std::future::{Future, poll_fn};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::{AsyncMessage, Config, NoTls, SimpleQueryMessage};

/// Rows as the server prints them; `None` is NULL.
pub type Rows = Vec<Vec<Option<String>>>;

/// A session on a test server.
///
/// It talks the simple query protocol, so that one call may hold several statements and every value comes back as
/// text. The typed interface of the driver is there through [`Client::driver`] and [`Client::block_on`].
pub struct Client {
    // Field order is drop order: the driver's handle goes before the runtime that carries its connection.
    driver: tokio_postgres::Client,
    runtime: Runtime,
    notices: Arc<Mutex<Vec<Notice>>>,
}

/// What the server says beside its results: notices, warnings, and debug messages from `client_min_messages` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// `NOTICE`, `WARNING`, `DEBUG`, …
    pub severity: String,
    /// Five characters.
    pub sqlstate: String,
    /// The primary message.
    pub message: String,
}

/// An error that the server, or the connection, reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// Five characters; empty where the connection failed and not the statement.
    pub sqlstate: String,
    /// The primary message.
    pub message: String,
    /// The statement as it was sent.
    pub sql: String,
}

impl Client {
    /// Opens a session over a unix socket.
    pub fn connect(socket_dir: &Path, port: u16, user: &str, database: &str) -> Result<Self, SqlError> {
        let mut config = Config::new();
        config
            .host_path(socket_dir)
            .port(port)
            .user(user)
            .dbname(database)
            .application_name("zdm-test")
            .connect_timeout(Duration::from_mins(2));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| SqlError {
            sqlstate: String::new(),
            message: error.to_string(),
            sql: String::new(),
        })?;
        let (driver, mut connection) =
            runtime.block_on(config.connect(NoTls)).map_err(|error| SqlError::new(&error, ""))?;
        let notices = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&notices);
        runtime.spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notice(notice) = message {
                    sink.lock().unwrap_or_else(PoisonError::into_inner).push(Notice {
                        severity: notice.severity().to_owned(),
                        sqlstate: notice.code().code().to_owned(),
                        message: notice.message().to_owned(),
                    });
                }
            }
        });
        Ok(Self { driver, runtime, notices })
    }

    /// Runs SQL and returns the rows of its last statement that has any.
    pub fn try_sql(&self, sql: &str) -> Result<Rows, SqlError> {
        let messages =
            self.runtime.block_on(self.driver.simple_query(sql)).map_err(|error| SqlError::new(&error, sql))?;
        let mut rows = Rows::new();
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(_) => rows.clear(),
                SimpleQueryMessage::Row(row) => {
                    let values = (0..row.len()).map(|column| Ok(row.try_get(column)?.map(str::to_owned)));
                    rows.push(values.collect::<Result<_, _>>().map_err(|error| SqlError::new(&error, sql))?);
                }
                _ => {}
            }
        }
        Ok(rows)
    }

    /// Runs SQL that must succeed.
    ///
    /// # Panics
    /// With the statement and the server's message, if it fails.
    pub fn sql(&self, sql: &str) -> Rows {
        self.try_sql(sql).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The first column of the first row, as text.
    ///
    /// # Panics
    /// If the statement fails, gives no row, or gives NULL.
    pub fn value(&self, sql: &str) -> String {
        let rows = self.sql(sql);
        let Some(Some(value)) = rows.into_iter().next().and_then(|row| row.into_iter().next()) else {
            panic!("no value: {sql}")
        };
        value
    }

    /// The SQLSTATE of SQL that must fail.
    ///
    /// # Panics
    /// If it succeeds.
    pub fn fails(&self, sql: &str) -> String {
        match self.try_sql(sql) {
            Ok(_) => panic!("succeeds, though it should not: {sql}"),
            Err(error) => error.sqlstate,
        }
    }

    /// Takes the notices that came since the last call, in order.
    pub fn take_notices(&self) -> Vec<Notice> {
        std::mem::take(&mut *self.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The server process of this session.
    pub fn backend_pid(&self) -> i32 {
        self.value("SELECT pg_backend_pid()").parse().expect("pg_backend_pid() is an integer")
    }

    /// The driver's own, asynchronous client of this session, for use inside [`Client::block_on`].
    pub fn driver(&self) -> &tokio_postgres::Client {
        &self.driver
    }

    /// Runs a future on this session's runtime.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl SqlError {
    fn new(error: &tokio_postgres::Error, sql: &str) -> Self {
        let (sqlstate, message) = match error.as_db_error() {
            Some(db) => (db.code().code().to_owned(), db.message().to_owned()),
            None => (String::new(), error.to_string()),
        };
        Self { sqlstate, message, sql: sql.to_owned() }
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}\n  in: {}", self.sqlstate, self.message, self.sql)
    }
}

impl std::error::Error for SqlError {}

//! Where the server is and who we are there, gathered as libpq gathers it: the connection string, else the service
//! file for what the string leaves open, else the environment, else defaults.
//!
//! The process's environment is read once, into [`Environment`]; everything else is a function of it and of the files
//! that it names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::dsn::{self, Parameters};
use crate::secret::Secret;

/// How the session is encrypted, and what of the server's certificate is verified. Names are libpq's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Which certificates a server's chain may end in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootCertificates {
    /// `sslrootcert` names a file, which must exist for the `verify-` modes.
    File(PathBuf),
    /// `sslrootcert=system`: the platform's own store.
    System,
    /// No file was named and none lies at its usual place.
    None,
}

/// `channel_binding`, as in libpq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelBinding {
    Disable,
    Prefer,
    Require,
}

/// TLS parameters of a connection.
#[derive(Debug, Clone)]
pub struct Tls {
    pub mode: SslMode,
    pub roots: RootCertificates,
    /// Client certificate and key files, when both are named or lie at their usual place.
    pub client: Option<(PathBuf, PathBuf)>,
    pub sni: bool,
    /// `sslnegotiation=direct` (PostgreSQL 17): TLS without the preceding request.
    pub direct: bool,
    /// `ssl_min_protocol_version=TLSv1.3`.
    pub only_tls13: bool,
    pub channel_binding: ChannelBinding,
}

/// One place to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A directory that holds the server's unix socket.
    Unix { directory: PathBuf, port: u16 },
    /// `host` is the name that certificates are checked against; `address` (`hostaddr`) saves the lookup.
    Tcp { host: String, address: Option<std::net::IpAddr>, port: u16 },
}

/// Everything that [`crate::connect()`] needs.
#[derive(Debug, Clone)]
pub struct Settings {
    pub endpoints: Vec<Endpoint>,
    pub user: String,
    pub dbname: String,
    pub password: Option<Secret>,
    /// The password file, when it exists and is private; it is asked per endpoint.
    pub passfile: Option<PathBuf>,
    pub options: Option<String>,
    /// As given by the string, the service or `PGAPPNAME`; a session may add to it.
    pub application_name: Option<String>,
    /// Time for one endpoint, including authentication.
    pub connect_timeout: Option<Duration>,
    /// `target_session_attrs` asks for a server that accepts writes.
    pub needs_writable: bool,
    pub tls: Tls,
    /// Which of the sources named the server, for messages.
    pub source: &'static str,
}

/// What a configuration is read from, besides the connection string.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    pub variables: BTreeMap<String, String>,
    pub home: Option<PathBuf>,
    /// The operating system's user name.
    pub user: Option<String>,
    /// Where the default socket directories are looked for.
    pub socket_directories: Vec<PathBuf>,
}

/// A configuration that cannot be used. Values are never part of the text where they could be secret.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("{0}")]
    Malformed(&'static str),
    #[error("`{0}` is not a PostgreSQL URL")]
    Scheme(String),
    #[error("invalid connection option `{0}`")]
    UnknownOption(String),
    #[error("the connection option `{0}` is not supported")]
    Unsupported(String),
    #[error("invalid value for the connection option `{0}`")]
    Value(&'static str),
    #[error("the definition of service `{service}` was not found in {files}")]
    Service { service: String, files: String },
    #[error("cannot read `{}`: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("line {line} of `{}` is not `key=value`", path.display())]
    ServiceLine { path: PathBuf, line: usize },
    #[error("weak sslmode `{0}` may not be used with sslrootcert=system (use `verify-full`)")]
    WeakWithSystem(String),
    #[error("no user name: none is configured and the operating system names none")]
    NoUser,
}

/// libpq's names and the environment variables they default to.
const PARAMETERS: [(&str, Option<&str>); 40] = [
    ("host", Some("PGHOST")),
    ("hostaddr", Some("PGHOSTADDR")),
    ("port", Some("PGPORT")),
    ("dbname", Some("PGDATABASE")),
    ("user", Some("PGUSER")),
    ("password", Some("PGPASSWORD")),
    ("passfile", Some("PGPASSFILE")),
    ("service", Some("PGSERVICE")),
    ("servicefile", Some("PGSERVICEFILE")),
    ("options", Some("PGOPTIONS")),
    ("application_name", Some("PGAPPNAME")),
    ("fallback_application_name", None),
    ("connect_timeout", Some("PGCONNECT_TIMEOUT")),
    ("client_encoding", Some("PGCLIENTENCODING")),
    ("sslmode", Some("PGSSLMODE")),
    ("sslrootcert", Some("PGSSLROOTCERT")),
    ("sslcert", Some("PGSSLCERT")),
    ("sslkey", Some("PGSSLKEY")),
    ("sslpassword", None),
    ("sslcrl", Some("PGSSLCRL")),
    ("sslcrldir", Some("PGSSLCRLDIR")),
    ("sslsni", Some("PGSSLSNI")),
    ("sslcompression", Some("PGSSLCOMPRESSION")),
    ("sslcertmode", Some("PGSSLCERTMODE")),
    ("sslnegotiation", Some("PGSSLNEGOTIATION")),
    ("ssl_min_protocol_version", Some("PGSSLMINPROTOCOLVERSION")),
    ("ssl_max_protocol_version", Some("PGSSLMAXPROTOCOLVERSION")),
    ("channel_binding", Some("PGCHANNELBINDING")),
    ("target_session_attrs", Some("PGTARGETSESSIONATTRS")),
    ("load_balance_hosts", Some("PGLOADBALANCEHOSTS")),
    ("gssencmode", Some("PGGSSENCMODE")),
    ("krbsrvname", Some("PGKRBSRVNAME")),
    ("gsslib", Some("PGGSSLIB")),
    ("requirepeer", Some("PGREQUIREPEER")),
    ("require_auth", Some("PGREQUIREAUTH")),
    ("keepalives", None),
    ("keepalives_idle", None),
    ("keepalives_interval", None),
    ("keepalives_count", None),
    ("tcp_user_timeout", None),
];

impl Environment {
    /// The process's own.
    pub fn from_process() -> Self {
        let variables: BTreeMap<String, String> =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
        let account = account();
        let named = |name: &str| variables.get(name).filter(|value| !value.is_empty());
        let (home, user) = if cfg!(windows) { ("APPDATA", "USERNAME") } else { ("HOME", "USER") };
        let (home, user) = (named(home).map(PathBuf::from), named(user).cloned());
        Self {
            home: home.or_else(|| account.as_ref().map(|(_, home)| home.clone())),
            user: account.map(|(user, _)| user).or(user),
            socket_directories: if cfg!(unix) {
                vec![PathBuf::from("/var/run/postgresql"), PathBuf::from("/tmp")]
            } else {
                Vec::new()
            },
            variables,
        }
    }

    /// A variable that is set and not empty. libpq takes an empty one for unset in all cases that matter here.
    fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// Name and home directory of the process's user in `/etc/passwd`.
#[cfg(unix)]
fn account() -> Option<(String, PathBuf)> {
    use std::os::unix::fs::MetadataExt as _;
    let uid = fs::metadata("/proc/self").ok()?.uid().to_string();
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields.as_slice() {
            [name, _, id, _, _, home, ..] if *id == uid => Some(((*name).to_owned(), PathBuf::from(home))),
            _ => None,
        }
    })
}

/// Elsewhere the environment names the user.
#[cfg(not(unix))]
fn account() -> Option<(String, PathBuf)> {
    None
}

/// A file of libpq's in the user's home directory; on Windows all are in `%APPDATA%\postgresql`, under names of their own.
///
/// Source: libpq's `pqGetHomeDirectory` and the manual's chapters "The Password File", "The Connection Service File".
fn usual_file(environment: &Environment, unix: &str, windows: &str) -> Option<PathBuf> {
    let home = environment.home.as_ref()?;
    Some(if cfg!(windows) { home.join("postgresql").join(windows) } else { home.join(unix) })
}

impl Settings {
    /// Connection settings from `dsn`, else `DATABASE_URL`, else libpq's environment.
    ///
    /// # Errors
    /// When an option is unknown, malformed or asks for a protection that cannot be given, or a named file is unreadable.
    pub fn resolve(dsn: Option<&str>, environment: &Environment) -> Result<Self, ConfigError> {
        let (given, source) = match (dsn, environment.get("DATABASE_URL")) {
            (Some(dsn), _) => (dsn::parse(dsn)?, "--dsn"),
            (None, Some(url)) => (dsn::parse(url)?, "DATABASE_URL"),
            (None, None) => (Parameters::new(), "the environment"),
        };
        Self::complete(given, environment, source)
    }

    /// Whether a variable says where a server or a database is.
    pub fn is_in_environment(environment: &Environment) -> bool {
        ["DATABASE_URL", "PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGSERVICE"]
            .iter()
            .any(|name| environment.get(name).is_some())
    }

    /// Connection settings from libpq's parameters, gathered elsewhere; `source` names that place in messages. What they
    /// leave open comes from a service file and the environment, as for a connection string.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn from_pairs(
        pairs: BTreeMap<String, String>,
        environment: &Environment,
        source: &'static str,
    ) -> Result<Self, ConfigError> {
        Self::complete(pairs, environment, source)
    }

    /// Whether libpq knows a connection parameter of this name.
    pub fn is_parameter(name: &str) -> bool {
        PARAMETERS.iter().any(|(known, _)| *known == name)
    }

    fn complete(mut given: Parameters, environment: &Environment, source: &'static str) -> Result<Self, ConfigError> {
        // As in libpq, an empty value in a connection string is as good as none.
        given.retain(|_, value| !value.is_empty());
        if let Some(unknown) = given.keys().find(|key| !PARAMETERS.iter().any(|(name, _)| name == key)) {
            return Err(ConfigError::UnknownOption(unknown.clone()));
        }
        add_service(&mut given, environment)?;
        for (name, variable) in PARAMETERS {
            if let Some(value) = variable.and_then(|variable| environment.get(variable)) {
                given.entry(name.to_owned()).or_insert_with(|| value.to_owned());
            }
        }
        Self::from_parameters(&given, environment, source)
    }

    fn from_parameters(
        given: &Parameters,
        environment: &Environment,
        source: &'static str,
    ) -> Result<Self, ConfigError> {
        let get = |name: &str| given.get(name).map(String::as_str);
        refuse_unsupported(given)?;
        let user = get("user").map(str::to_owned).or_else(|| environment.user.clone()).ok_or(ConfigError::NoUser)?;
        let dbname = get("dbname").unwrap_or(&user).to_owned();
        let passfile = get("passfile")
            .map(PathBuf::from)
            .or_else(|| usual_file(environment, ".pgpass", "pgpass.conf"))
            .filter(|path| is_private_file(path));
        let connect_timeout = match get("connect_timeout") {
            None => None,
            Some(text) => match text.trim().parse::<i64>().map_err(|_| ConfigError::Value("connect_timeout"))? {
                seconds if seconds <= 0 => None,
                // libpq rounds 1 up to 2.
                seconds => Some(Duration::from_secs(seconds.unsigned_abs().max(2))),
            },
        };
        let needs_writable = match get("target_session_attrs") {
            None | Some("any" | "prefer-standby") => false,
            Some("read-write" | "primary") => true,
            Some("read-only" | "standby") => {
                return Err(ConfigError::Unsupported("target_session_attrs (a writable server is needed)".to_owned()));
            }
            Some(_) => return Err(ConfigError::Value("target_session_attrs")),
        };
        Ok(Self {
            endpoints: endpoints(given, environment)?,
            user,
            dbname,
            password: get("password").map(Secret::new),
            passfile,
            options: get("options").map(str::to_owned),
            application_name: get("application_name").or_else(|| get("fallback_application_name")).map(str::to_owned),
            connect_timeout,
            needs_writable,
            tls: tls(given, environment)?,
            source,
        })
    }

    /// The password for one endpoint: the configured one, else that of the password file.
    pub fn password_for(&self, endpoint: &Endpoint) -> Option<Secret> {
        if self.password.is_some() {
            return self.password.clone();
        }
        let text = fs::read_to_string(self.passfile.as_ref()?).ok()?;
        let (host, port) = match endpoint {
            Endpoint::Unix { directory, port } => {
                let directory = directory.to_string_lossy().into_owned();
                let usual = matches!(directory.as_str(), "/var/run/postgresql" | "/tmp");
                (if usual { "localhost".to_owned() } else { directory }, *port)
            }
            Endpoint::Tcp { host, port, .. } => (host.clone(), *port),
        };
        password_line(&text, [&host, &port.to_string(), &self.dbname, &self.user])
    }

    /// Host and database for messages. No user, no password.
    pub fn describe(&self) -> String {
        let hosts: Vec<String> = self.endpoints.iter().map(Endpoint::to_string).collect();
        format!("database `{}` at {}", self.dbname, hosts.join(", "))
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix { directory, port } => write!(f, "{}/.s.PGSQL.{port}", directory.display()),
            Self::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
        }
    }
}

/// A protection that was asked for and that this client cannot give is an error, never ignored.
fn refuse_unsupported(given: &Parameters) -> Result<(), ConfigError> {
    let get = |name: &str| given.get(name).map(String::as_str);
    for name in ["sslcrl", "sslcrldir", "requirepeer", "require_auth", "sslpassword"] {
        if get(name).is_some() {
            return Err(ConfigError::Unsupported(name.to_owned()));
        }
    }
    if get("gssencmode") == Some("require") {
        return Err(ConfigError::Unsupported("gssencmode=require".to_owned()));
    }
    if matches!(get("ssl_max_protocol_version"), Some("TLSv1" | "TLSv1.1")) {
        return Err(ConfigError::Unsupported("ssl_max_protocol_version below TLSv1.2".to_owned()));
    }
    Ok(())
}

fn endpoints(given: &Parameters, environment: &Environment) -> Result<Vec<Endpoint>, ConfigError> {
    let list =
        |name: &str| -> Vec<&str> { given.get(name).map(|value| value.split(',').collect()).unwrap_or_default() };
    let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = hosts.len().max(addresses.len()).max(1);
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        return Err(ConfigError::Value("hostaddr"));
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(ConfigError::Value("port"));
    }
    let mut found = Vec::with_capacity(count);
    for i in 0..count {
        let port_text = ports.get(if ports.len() == 1 { 0 } else { i }).copied().unwrap_or_default().trim();
        let port = match port_text {
            "" => 5432,
            text => text.parse::<u16>().ok().filter(|port| *port != 0).ok_or(ConfigError::Value("port"))?,
        };
        let host = hosts.get(i).copied().unwrap_or_default().trim();
        let address = addresses.get(i).copied().unwrap_or_default().trim();
        let address: Option<std::net::IpAddr> = match address {
            "" => None,
            text => Some(text.parse().map_err(|_| ConfigError::Value("hostaddr"))?),
        };
        found.push(match (host, address) {
            ("", None) => {
                let exists = |directory: &&PathBuf| directory.join(format!(".s.PGSQL.{port}")).exists();
                let directories = &environment.socket_directories;
                match directories.iter().find(exists).or_else(|| directories.first()) {
                    Some(directory) => Endpoint::Unix { directory: directory.clone(), port },
                    // As libpq does where there are no sockets in the file system.
                    None => Endpoint::Tcp { host: "localhost".to_owned(), address: None, port },
                }
            }
            ("", Some(address)) => Endpoint::Tcp { host: address.to_string(), address: Some(address), port },
            (path, None) if cfg!(unix) && path.starts_with('/') => {
                Endpoint::Unix { directory: PathBuf::from(path), port }
            }
            (host, _) if host.starts_with('@') => {
                return Err(ConfigError::Unsupported("host (abstract socket)".to_owned()));
            }
            (host, address) => Endpoint::Tcp { host: host.to_owned(), address, port },
        });
    }
    Ok(found)
}

fn tls(given: &Parameters, environment: &Environment) -> Result<Tls, ConfigError> {
    let get = |name: &str| given.get(name).map(String::as_str);
    let usual = |name: &str| usual_file(environment, &format!(".postgresql/{name}"), name);
    let system = get("sslrootcert") == Some("system");
    let mode = match get("sslmode") {
        None if system => SslMode::VerifyFull,
        None | Some("prefer") => SslMode::Prefer,
        Some("disable") => SslMode::Disable,
        Some("allow") => SslMode::Allow,
        Some("require") => SslMode::Require,
        Some("verify-ca") => SslMode::VerifyCa,
        Some("verify-full") => SslMode::VerifyFull,
        Some(_) => return Err(ConfigError::Value("sslmode")),
    };
    if system && mode != SslMode::VerifyFull {
        return Err(ConfigError::WeakWithSystem(get("sslmode").unwrap_or("prefer").to_owned()));
    }
    let roots = match get("sslrootcert") {
        Some("system") => RootCertificates::System,
        Some(path) => RootCertificates::File(PathBuf::from(path)),
        None => usual("root.crt").filter(|path| path.exists()).map_or(RootCertificates::None, RootCertificates::File),
    };
    let certificate =
        get("sslcert").map(PathBuf::from).or_else(|| usual("postgresql.crt").filter(|path| path.exists()));
    let client = match (certificate, get("sslcertmode")) {
        (None, Some("require")) => return Err(ConfigError::Value("sslcertmode")),
        (None, _) | (_, Some("disable")) => None,
        (Some(certificate), _) => {
            let key = get("sslkey").map(PathBuf::from).or_else(|| usual("postgresql.key"));
            key.map(|key| (certificate, key))
        }
    };
    let direct = match get("sslnegotiation") {
        None | Some("postgres") => false,
        Some("direct") if mode >= SslMode::Require => true,
        Some(_) => return Err(ConfigError::Value("sslnegotiation")),
    };
    let only_tls13 = match get("ssl_min_protocol_version") {
        None | Some("TLSv1" | "TLSv1.1" | "TLSv1.2") => false,
        Some("TLSv1.3") => true,
        Some(_) => return Err(ConfigError::Value("ssl_min_protocol_version")),
    };
    let channel_binding = match get("channel_binding") {
        None | Some("prefer") => ChannelBinding::Prefer,
        Some("disable") => ChannelBinding::Disable,
        Some("require") => ChannelBinding::Require,
        Some(_) => return Err(ConfigError::Value("channel_binding")),
    };
    Ok(Tls { mode, roots, client, sni: get("sslsni") != Some("0"), direct, only_tls13, channel_binding })
}

/// Fills what the connection string leaves open from the service file.
fn add_service(given: &mut Parameters, environment: &Environment) -> Result<(), ConfigError> {
    let Some(service) = given.get("service").map(String::as_str).or_else(|| environment.get("PGSERVICE")) else {
        return Ok(());
    };
    let service = service.to_owned();
    let named = given.get("servicefile").map(String::as_str).or_else(|| environment.get("PGSERVICEFILE"));
    let user_file =
        named.map(PathBuf::from).or_else(|| usual_file(environment, ".pg_service.conf", ".pg_service.conf"));
    let system_directory = environment.get("PGSYSCONFDIR").unwrap_or("/etc/postgresql-common");
    let system_file = Path::new(system_directory).join("pg_service.conf");
    let files: Vec<PathBuf> = user_file.into_iter().chain([system_file]).collect();
    for path in &files {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(ConfigError::File { path: path.clone(), error }),
        };
        if let Some(parameters) = service_section(&text, &service, path)? {
            for (key, value) in parameters {
                given.entry(key).or_insert(value);
            }
            return Ok(());
        }
    }
    let files = files.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(" and ");
    Err(ConfigError::Service { service, files })
}

fn service_section(text: &str, service: &str, path: &Path) -> Result<Option<Parameters>, ConfigError> {
    let mut found: Option<Parameters> = None;
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            if inside {
                break;
            }
            inside = name == service;
            if inside {
                found = Some(Parameters::new());
            }
            continue;
        }
        if let (true, Some(parameters)) = (inside, found.as_mut()) {
            let (key, value) = line
                .split_once('=')
                .ok_or_else(|| ConfigError::ServiceLine { path: path.to_owned(), line: number + 1 })?;
            if !PARAMETERS.iter().any(|(name, _)| *name == key) || key == "service" {
                return Err(ConfigError::UnknownOption(key.to_owned()));
            }
            parameters.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    Ok(found)
}

/// Elsewhere libpq does not ask who can read it.
#[cfg(not(unix))]
fn is_private_file(path: &Path) -> bool {
    path.is_file()
}

/// libpq ignores a password file that others can read.
#[cfg(unix)]
fn is_private_file(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    const GROUP_AND_OTHERS: u32 = 0o077;
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.mode() & GROUP_AND_OTHERS == 0)
}

/// The password of the first line `host:port:database:user:password` whose four fields match.
fn password_line(text: &str, wanted: [&str; 4]) -> Option<Secret> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = vec![(String::new(), false)];
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            let count = fields.len();
            let last = fields.last_mut()?;
            match c {
                '\\' => {
                    last.0.extend(chars.next());
                    last.1 = true;
                }
                ':' if count < 5 => fields.push((String::new(), false)),
                c => last.0.push(c),
            }
        }
        let (password, _) = fields.get(4)?;
        let matches =
            fields.iter().zip(wanted).all(|((field, escaped), wanted)| (field == "*" && !escaped) || field == wanted);
        (matches && !password.is_empty()).then(|| Secret::new(password.clone()))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        Environment {
            variables: pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            home: None,
            user: Some("os-user".to_owned()),
            socket_directories: vec![PathBuf::from("/nonexistent/run")],
        }
    }

    fn summary(dsn: Option<&str>, environment: &Environment) -> String {
        match Settings::resolve(dsn, environment) {
            Ok(s) => {
                let hosts: Vec<_> = s.endpoints.iter().map(ToString::to_string).collect();
                format!("{} {}@{} {:?}", hosts.join(","), s.user, s.dbname, s.tls.mode)
            }
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn sources_in_their_order() {
        let empty = environment(&[]);
        assert_eq!(summary(None, &empty), "/nonexistent/run/.s.PGSQL.5432 os-user@os-user Prefer");
        let both = environment(&[
            ("DATABASE_URL", "postgres://u@url/d"),
            ("PGHOST", "env"),
            ("PGPORT", "7"),
            ("PGSSLMODE", "disable"),
        ]);
        assert_eq!(summary(None, &both), "url:7 u@d Disable");
        assert_eq!(summary(Some("host=arg user=x"), &both), "arg:7 x@x Disable");
        let libpq = environment(&[("PGHOST", "a,/run/pg"), ("PGPORT", "1,2"), ("PGUSER", "me"), ("PGDATABASE", "db")]);
        assert_eq!(summary(None, &libpq), "a:1,/run/pg/.s.PGSQL.2 me@db Prefer");
    }

    #[test]
    fn what_cannot_be_given_is_refused() {
        let empty = environment(&[]);
        for (dsn, expect) in [
            ("hots=x", "error: invalid connection option `hots`"),
            ("sslmode=maybe", "error: invalid value for the connection option `sslmode`"),
            ("port=0", "error: invalid value for the connection option `port`"),
            ("port=1,2", "error: invalid value for the connection option `port`"),
            ("sslcrl=/x", "error: the connection option `sslcrl` is not supported"),
            ("gssencmode=require", "error: the connection option `gssencmode=require` is not supported"),
            (
                "sslrootcert=system sslmode=require",
                "error: weak sslmode `require` may not be used with sslrootcert=system (use `verify-full`)",
            ),
        ] {
            assert_eq!(summary(Some(dsn), &empty), expect);
        }
        assert!(summary(Some("sslrootcert=system"), &empty).ends_with("VerifyFull"));
    }

    #[test]
    fn service_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("services");
        fs::write(&path, "# comment\n[one]\nhost=first\n[two]\nhost=second\nport=99\nuser=svc\n[three]\nhost=third\n")
            .unwrap();
        let file = path.to_str().unwrap();
        let env = environment(&[("PGSERVICE", "two"), ("PGSERVICEFILE", file), ("PGHOST", "env"), ("PGUSER", "env")]);
        assert_eq!(summary(None, &env), "second:99 svc@svc Prefer");
        assert_eq!(summary(Some("service=one user=me"), &env), "first:5432 me@me Prefer");
        assert!(
            summary(Some("service=four"), &env).starts_with("error: the definition of service `four` was not found")
        );
    }

    #[test]
    fn password_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pgpass");
        fs::write(&path, "# c\nother:*:*:*:no\nlocal\\:host:5432:db:u\\\\x:pa\\:ss\n*:*:*:*:rest:with:colons\n")
            .unwrap();
        let dsn = format!("host=h user=u passfile={}", path.display());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let open = Settings::resolve(Some(&dsn), &environment(&[])).unwrap();
        assert!(open.password_for(&open.endpoints[0]).is_none(), "a file that others can read is ignored");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let settings = Settings::resolve(Some(&dsn), &environment(&[])).unwrap();
        assert_eq!(settings.password_for(&settings.endpoints[0]).unwrap().expose(), "rest:with:colons");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(password_line(&text, ["local:host", "5432", "db", "u\\x"]).unwrap().expose(), "pa:ss");
    }

    #[test]
    fn nothing_prints_a_password() {
        let settings = Settings::resolve(Some("postgres://u:hunter2@h/d"), &environment(&[])).unwrap();
        assert!(!format!("{settings:?} {}", settings.describe()).contains("hunter2"));
        assert_eq!(settings.password.unwrap().expose(), "hunter2");
    }
}

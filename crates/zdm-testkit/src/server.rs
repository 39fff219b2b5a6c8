//! Temporary PostgreSQL servers.
//!
//! A server lives in a temporary directory, listens on a unix socket there and nowhere else, and is watched by a small
//! shell process of its own. That process starts the server, waits until the test process closes a pipe, then stops
//! the server by its process id and removes the directory. The pipe closes when the [`Server`] is dropped, and equally
//! when the test process ends without dropping anything: after the last test, by a panic, by a signal, by `kill -9`.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::cache;
use crate::client::{Client, SqlError};
use crate::{Error, skip};

/// The superuser of every test server. There is no password.
pub const USER: &str = "postgres";

/// The port of a test server that listens on its socket alone, which lies in a directory of its own.
pub const PORT: u16 = 5432;

/// Majors that the project supports and that `cargo xtask setup` provides by default.
pub const MAJORS: [u32; 5] = [14, 15, 16, 17, 18];

const SETTINGS: &str = "\
listen_addresses = ''
fsync = off
synchronous_commit = off
full_page_writes = off
max_wal_size = 64MB
min_wal_size = 8MB
shared_buffers = 32MB
max_connections = 50
max_locks_per_transaction = 512
max_prepared_transactions = 10
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
log_min_messages = warning
log_statement = none
log_line_prefix = '%n [%p] %q%a@%d '
";

/// A running server; clones are handles to the same one, which stops when the last is dropped.
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

/// How to start a server. The default has autovacuum on, as production has.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    settings: Vec<(String, String)>,
    files: Vec<(String, String)>,
    tcp: bool,
}

/// A database of a test's own, dropped with this value.
pub struct Database {
    server: Server,
    name: String,
}

struct Inner {
    major: u32,
    version: String,
    dir: PathBuf,
    port: u16,
    /// Only the first is ever used; the mutex lets `Drop` take them by `&mut` and makes the type `Sync`.
    watch: Mutex<Option<(Child, ChildStdin)>>,
    databases: AtomicU32,
}

/// The majors that are provisioned, in order.
pub fn available_majors() -> Vec<u32> {
    let mut majors: Vec<u32> = cache::pieces("postgres").iter().filter_map(|name| name.parse().ok()).collect();
    majors.sort_unstable();
    majors
}

/// The supported majors that can be tested here. Those that are missing are recorded as skipped, under `layer`, and
/// `cargo xtask test` reports them.
///
/// # Panics
/// If there is none at all: a layer of tests never passes by skipping everything.
pub fn majors_for(layer: &str) -> Vec<u32> {
    let available = available_majors();
    for major in MAJORS.iter().filter(|major| !available.contains(major)) {
        skip::record(layer, &format!("PostgreSQL {major} is not provisioned"));
    }
    assert!(!available.is_empty(), "{}", Error::NoServer { major: None });
    available
}

impl ServerOptions {
    /// A line of `postgresql.conf`, in force over the defaults of this crate.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Autovacuum off: nothing but the test itself takes locks or moves counters.
    pub fn quiet(self) -> Self {
        self.set("autovacuum", "off")
    }

    /// A file beside the data directory, readable by the server alone. Settings name it by its path from the data
    /// directory: `ServerOptions::default().file("server.key", key).set("ssl_key_file", "../server.key")`, and so with
    /// `hba_file`.
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Listens on 127.0.0.1 too, at [`Server::port`]. Without an `hba_file` of the test's own, every local user of the
    /// machine may connect.
    pub fn tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    /// Starts a server of this major.
    pub fn try_start(&self, major: u32) -> Result<Server, Error> {
        start(major, self)
    }

    /// Starts a server of this major.
    ///
    /// # Panics
    /// If the server is not provisioned or does not start.
    pub fn start(&self, major: u32) -> Server {
        self.try_start(major).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Server {
    /// Starts a server of this major with default options.
    ///
    /// # Panics
    /// If the server is not provisioned or does not start.
    pub fn start(major: u32) -> Self {
        ServerOptions::default().start(major)
    }

    /// The server of this major that the tests of this process share, autovacuum off. It is started by the first call
    /// and stopped at the end of the process.
    ///
    /// # Panics
    /// If the server is not provisioned or does not start.
    pub fn shared(major: u32) -> Self {
        static SHARED: Mutex<Vec<(u32, Arc<OnceLock<Server>>)>> = Mutex::new(Vec::new());
        let cell = {
            let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
            let known = shared.iter().find(|(known, _)| *known == major).map(|(_, cell)| Arc::clone(cell));
            known.unwrap_or_else(|| {
                let cell = Arc::new(OnceLock::new());
                shared.push((major, Arc::clone(&cell)));
                cell
            })
        };
        cell.get_or_init(|| ServerOptions::default().quiet().start(major)).clone()
    }

    /// The shared server of the newest major that is provisioned.
    ///
    /// # Panics
    /// If none is.
    pub fn newest() -> Self {
        match available_majors().last() {
            Some(major) => Self::shared(*major),
            None => panic!("{}", Error::NoServer { major: None }),
        }
    }

    /// The major version: 14, 15, …
    pub fn major(&self) -> u32 {
        self.inner.major
    }

    /// The full version as `server_version` spells it.
    pub fn version(&self) -> &str {
        &self.inner.version
    }

    /// The directory of the unix socket, which is what clients give as host.
    pub fn socket_dir(&self) -> &Path {
        &self.inner.dir
    }

    /// The port, which names the socket, and the same on 127.0.0.1 for a server with [`ServerOptions::tcp`].
    pub fn port(&self) -> u16 {
        self.inner.port
    }

    /// The process id of the server (the postmaster), for tests that stop, crash or restart it.
    pub fn pid(&self) -> Option<u32> {
        postmaster(&self.inner.dir).and_then(|lines| lines.first()?.parse().ok())
    }

    /// A standby that streams from this server, begun from a copy of its data directory as it is. It reports what it
    /// has replayed once a second at the least.
    ///
    /// # Panics
    /// If it does not start.
    pub fn standby(&self) -> Self {
        self.try_standby().unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_standby(&self) -> Result<Self, Error> {
        let account = Account::current()?;
        let copy = tempfile::Builder::new()
            .prefix("zdm-copy-")
            .tempdir_in(account.temporary())
            .map_err(Error::io("make a directory in", &account.temporary()))?;
        fs::set_permissions(copy.path(), fs::Permissions::from_mode(0o755)).map_err(Error::io("open", copy.path()))?;
        let client = self.connect("postgres");
        let (begin, end) = if self.major() >= 15 {
            ("SELECT pg_backup_start('standby', true)", "SELECT labelfile FROM pg_backup_stop(false)")
        } else {
            ("SELECT pg_start_backup('standby', true, false)", "SELECT labelfile FROM pg_stop_backup(false, false)")
        };
        client.sql(begin);
        let data = copy.path().join("data");
        copy_tree(&self.inner.dir.join("data"), &data)?;
        let label = client.value(end);
        remove_file(&data.join("postmaster.pid"))?;
        for (name, text) in [("backup_label", label.as_str()), ("standby.signal", "")] {
            let path = data.join(name);
            fs::write(&path, text).map_err(Error::io("write", &path))?;
            account.own(&path)?;
        }
        let primary = format!("host={} port={} user={USER}", self.socket_dir().display(), self.port());
        let options = ServerOptions::default()
            .quiet()
            .set("primary_conninfo", &primary)
            .set("wal_receiver_status_interval", "1s")
            .set("hot_standby", "on");
        start_from(self.major(), &options, &home(self.major(), account)?, &data)
    }

    /// What the server logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.inner.dir.join("log")).unwrap_or_default()
    }

    /// A session on a database of this server (`postgres` always exists).
    ///
    /// # Panics
    /// If the connection fails.
    pub fn connect(&self, database: &str) -> Client {
        self.try_connect(database).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A session on a database of this server.
    pub fn try_connect(&self, database: &str) -> Result<Client, SqlError> {
        Client::connect(self.socket_dir(), self.port(), USER, database)
    }

    /// A connection string of libpq's key-value form, which drivers in Rust and Python read.
    pub fn conninfo(&self, database: &str) -> String {
        format!("host={} port={} user={USER} dbname={database}", self.socket_dir().display(), self.port())
    }

    /// A connection string of the URL form.
    pub fn url(&self, database: &str) -> String {
        let host = self.socket_dir().display().to_string().replace('/', "%2F");
        format!("postgresql://{USER}@{host}:{}/{database}", self.port())
    }

    /// A new, empty database.
    ///
    /// # Panics
    /// If the server refuses.
    pub fn database(&self) -> Database {
        self.database_like("template1")
    }

    /// A new database that begins as a copy of another, to which nobody may be connected.
    ///
    /// # Panics
    /// If the server refuses.
    pub fn database_like(&self, template: &str) -> Database {
        let number = self.inner.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        self.connect("postgres").sql(&format!("CREATE DATABASE {name} TEMPLATE \"{template}\""));
        Database { server: self.clone(), name }
    }
}

impl Database {
    /// The server that holds it.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A new session on it.
    ///
    /// # Panics
    /// If the connection fails.
    pub fn connect(&self) -> Client {
        self.server.connect(&self.name)
    }

    /// A connection string of libpq's key-value form.
    pub fn conninfo(&self) -> String {
        self.server.conninfo(&self.name)
    }

    /// A connection string of the URL form.
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A failure here leaves a database behind in a server that is itself temporary.
        let Ok(client) = self.server.try_connect("postgres") else { return };
        let name = &self.name;
        if self.server.major() >= 13 {
            let _ = client.try_sql(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        } else {
            let _ = client
                .try_sql(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"));
            let _ = client.try_sql(&format!("DROP DATABASE IF EXISTS {name}"));
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let watch = self.watch.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((mut child, pipe)) = watch {
            drop(pipe);
            let _ = child.wait();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("version", &self.inner.version).field("dir", &self.inner.dir).finish()
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("name", &self.name).field("server", &self.server).finish()
    }
}

/// Starts the server, waits for its end or for the closing of the pipe, stops it, removes the directory. `$1` is the
/// directory, `$2` the template, `$3` the programs. A server that has ended is not signalled: its id may be another's.
/// The signal is repeated, because a server that has just been started does not heed it yet.
const WATCH: &str = r#"
dir=$1
cd "$dir" || exit
exec 3<&0 </dev/null
if cp -a "$2" data 2>log && cat settings.conf >>data/postgresql.conf; then
    (cd data && exec "$3/postgres" -D "$dir/data" -k "$dir") >log 2>&1 3<&- &
    server=$!
    (
        read -r _ <&3
        until [ -e ended ]; do
            kill -INT "$server" 2>/dev/null
            sleep 0.05
        done
    ) &
    reader=$!
    wait "$server"
fi
: >ended
if [ -n "$reader" ]; then wait "$reader"; else read -r _ <&3; fi
cd /
rm -rf "$dir"
"#;

fn start(major: u32, options: &ServerOptions) -> Result<Server, Error> {
    let account = Account::current()?;
    let home = home(major, account)?;
    let template = template(&home, account)?;
    start_from(major, options, &home, &template)
}

/// A server that begins as a copy of a data directory.
fn start_from(major: u32, options: &ServerOptions, home: &Path, template: &Path) -> Result<Server, Error> {
    let account = Account::current()?;

    let dir = tempfile::Builder::new()
        .prefix("zdm-pg-")
        .tempdir_in(account.temporary())
        .map_err(Error::io("make a directory in", &account.temporary()))?;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).map_err(Error::io("open up", dir.path()))?;
    let port = if options.tcp { free_port()? } else { PORT };
    let mut text = format!("{SETTINGS}port = {port}\n");
    if options.tcp {
        text.push_str("listen_addresses = '127.0.0.1'\n");
    }
    for (name, content) in &options.files {
        let path = dir.path().join(name);
        fs::write(&path, content).map_err(Error::io("write", &path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(Error::io("close", &path))?;
        account.own(&path)?;
    }
    for (name, value) in &options.settings {
        text.push_str(name);
        text.push_str(" = '");
        text.push_str(&value.replace('\'', "''"));
        text.push_str("'\n");
    }
    let conf = dir.path().join("settings.conf");
    fs::write(&conf, text).map_err(Error::io("write", &conf))?;
    account.own(dir.path())?;

    let mut child = account
        .command("sh")
        .args(["-c", WATCH, "zdm-test-watch"])
        .arg(dir.path())
        .arg(template)
        .arg(home.join("bin"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(Error::io("start sh for", dir.path()))?;
    let pipe = child.stdin.take().expect("the standard input was piped just above");
    // From here on the watching process removes the directory.
    let dir = dir.keep();
    let mut inner = Inner {
        major,
        version: String::new(),
        dir,
        port,
        watch: Mutex::new(Some((child, pipe))),
        databases: AtomicU32::new(0),
    };
    await_ready(&inner.dir)?;
    let client = Client::connect(&inner.dir, inner.port, USER, "postgres").map_err(Error::Connect)?;
    inner.version = client.value("SHOW server_version");
    Ok(Server { inner: Arc::new(inner) })
}

/// A port that nobody listens on just now.
fn free_port() -> Result<u16, Error> {
    let address = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    Ok(address.map_err(Error::io("find a free port on", Path::new("127.0.0.1")))?.port())
}

/// The server writes `ready` to the last line of `postmaster.pid` when it takes connections, or `standby` for reading.
fn await_ready(dir: &Path) -> Result<(), Error> {
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        if postmaster(dir)
            .is_some_and(|lines| lines.get(7).is_some_and(|line| matches!(line.trim(), "ready" | "standby")))
        {
            return Ok(());
        }
        if dir.join("ended").exists() || Instant::now() > deadline {
            let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
            return Err(Error::NotStarted { log });
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn postmaster(dir: &Path) -> Option<Vec<String>> {
    // The data directory belongs to the server's account, whose files root may read and an ordinary user owns.
    let text = fs::read_to_string(dir.join("data/postmaster.pid")).ok()?;
    Some(text.lines().map(str::to_owned).collect())
}

/// The server's installation, at a place where its account can execute it.
fn home(major: u32, account: Account) -> Result<PathBuf, Error> {
    let piece = cache::root().join("postgres").join(major.to_string());
    let stamp = cache::stamp(&piece).ok_or(Error::NoServer { major: Some(major) })?;
    if account.can_execute(&piece.join("bin/postgres")) {
        return Ok(piece);
    }
    // The cache lies below a directory that is closed to the account, such as root's home: use a copy elsewhere.
    let open = open_cache(account)?;
    let copy = open.join(format!("{major}-{:016x}", fingerprint(&stamp)));
    let _lock = lock(&open)?;
    if !copy.join("bin/postgres").exists() {
        let new = open.join(format!("{major}.new"));
        remove(&new)?;
        copy_tree(&piece, &new)?;
        fs::rename(&new, &copy).map_err(Error::io("rename", &new))?;
    }
    if account.can_execute(&copy.join("bin/postgres")) { Ok(copy) } else { Err(Error::Closed { path: copy }) }
}

/// A data directory fresh from `initdb`, made once and copied for every start.
fn template(home: &Path, account: Account) -> Result<PathBuf, Error> {
    let name = format!("template-{}", account.uid);
    let beside = home.join(&name);
    if readable(&beside, account) {
        return Ok(beside);
    }
    let probe = tempfile::tempfile_in(home);
    let place = match probe {
        Ok(_) => home.to_path_buf(),
        // Provisioned by somebody else: keep the template where this user may write.
        Err(_) => open_cache(account)?,
    };
    let stamp = cache::stamp(home).unwrap_or_default();
    let template = if place == home { beside } else { place.join(format!("{name}-{:016x}", fingerprint(&stamp))) };
    let _lock = lock(&place)?;
    if readable(&template, account) {
        return Ok(template);
    }
    let work = tempfile::Builder::new()
        .prefix("zdm-initdb-")
        .tempdir_in(account.temporary())
        .map_err(Error::io("make a directory in", &account.temporary()))?;
    account.own(work.path())?;
    let data = work.path().join("data");
    let output = account
        .command(home.join("bin/initdb"))
        .args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--wal-segsize=1", "--username", USER])
        .arg("-D")
        .arg(&data)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .output()
        .map_err(Error::io("run initdb of", home))?;
    if !output.status.success() {
        return Err(Error::NotStarted { log: String::from_utf8_lossy(&output.stderr).into_owned() });
    }
    let new = place.join(format!("{name}.new"));
    remove(&new)?;
    copy_tree(&data, &new)?;
    remove(&template)?;
    fs::rename(&new, &template).map_err(Error::io("rename", &new))?;
    Ok(template)
}

fn readable(template: &Path, account: Account) -> bool {
    fs::metadata(template.join("PG_VERSION")).is_ok_and(|meta| meta.uid() == account.uid)
}

/// A directory of this user's own below the system's temporary directory, for what must be open to the account.
fn open_cache(account: Account) -> Result<PathBuf, Error> {
    let owner = if account.switched { 0 } else { account.uid };
    let dir = account.temporary().join(format!("zdm-test-{owner}"));
    match fs::create_dir(&dir) {
        Ok(()) => fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).map_err(Error::io("open up", &dir))?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Error::io("make", &dir)(error)),
    }
    // Anybody may make names there: only a real directory of our own is trusted with programs.
    let meta = fs::symlink_metadata(&dir).map_err(Error::io("look at", &dir))?;
    if !meta.is_dir() || meta.uid() != owner || meta.permissions().mode() & 0o022 != 0 {
        return Err(Error::Closed { path: dir });
    }
    Ok(dir)
}

fn lock(dir: &Path) -> Result<fs::File, Error> {
    let path = dir.join("lock");
    let file = fs::File::options().create(true).append(true).open(&path).map_err(Error::io("open", &path))?;
    file.lock().map_err(Error::io("lock", &path))?;
    Ok(file)
}

/// Copies a tree with owners and modes; links that point out of it stay links.
fn copy_tree(from: &Path, to: &Path) -> Result<(), Error> {
    let status =
        std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().map_err(Error::io("copy", from))?;
    if status.success() { Ok(()) } else { Err(Error::io("copy", from)(std::io::Error::other(status.to_string()))) }
}

fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

fn remove(dir: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", dir)(error)),
        _ => Ok(()),
    }
}

/// FNV-1a: names a copy by what it was made from.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

//! A small Django project on disk with a database of its own, and `zdm` run on it.

use std::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use zdm_testkit::{Client, Database, Django, Server};

/// A project `site` with one app `shop`.
pub(crate) struct Site {
    pub(crate) directory: TempDir,
    pub(crate) django: Django,
    pub(crate) database: Database,
}

/// What a run of `zdm` left.
pub(crate) struct Run {
    pub(crate) exit: Option<i32>,
    pub(crate) stdout: String,
    /// Of `zdm` and of the command.
    pub(crate) stderr: String,
    /// `Value::Null` where none was written.
    pub(crate) report: Value,
    pub(crate) took: Duration,
}

impl Site {
    /// On a server of this major, with the Django of this version.
    pub(crate) fn new(major: u32, django: &str) -> Self {
        Self::on(&Server::shared(major), django)
    }

    pub(crate) fn on(server: &Server, django: &str) -> Self {
        Self::with(server.database(), django)
    }

    /// The same tables and rows, and what `0001_initial` was; nobody may be connected to the original.
    pub(crate) fn copy(&self) -> Self {
        let server = self.database.server();
        let copy = Self::with(server.database_like(self.database.name()), self.django.version());
        let initial = "shop/migrations/0001_initial.py";
        fs::copy(self.path().join(initial), copy.path().join(initial)).unwrap();
        copy
    }

    fn with(database: Database, django: &str) -> Self {
        let site = Self {
            directory: tempfile::Builder::new().prefix("zdm-site-").tempdir().unwrap(),
            django: Django::get(django),
            database,
        };
        site.write(
            "manage.py",
            "#!/usr/bin/env python\nimport os, sys\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site_settings')\n\
             from django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n",
        );
        site.settings("{}", "");
        site.write("shop/__init__.py", "");
        site.write("shop/models.py", "");
        site.write("shop/migrations/__init__.py", "");
        site
    }

    /// One of the servers and Djangos that are provisioned; which one hangs on the place of the call, so that the tests
    /// together see all of them and each sees always the same.
    #[track_caller]
    pub(crate) fn any() -> Self {
        let line = usize::try_from(std::panic::Location::caller().line()).unwrap();
        let majors = zdm_testkit::majors_for("zdm migrate");
        let major = majors[line % majors.len()];
        let djangos: Vec<Django> = Django::available().into_iter().filter(|django| django.supports(major)).collect();
        Self::new(major, djangos[line / 3 % djangos.len()].version())
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Settings with these `OPTIONS`, and more at the end.
    pub(crate) fn settings(&self, options: &str, more: &str) {
        let server = self.database.server();
        self.settings_at(&server.socket_dir().display().to_string(), server.port(), options, more);
    }

    pub(crate) fn settings_at(&self, host: &str, port: u16, options: &str, more: &str) {
        let name = self.database.name();
        let user = zdm_testkit::USER;
        self.write(
            "site_settings.py",
            &format!(
                "SECRET_KEY = 'x'\nUSE_TZ = True\nDEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'\n\
                 INSTALLED_APPS = ['shop']\n\
                 DATABASES = {{'default': {{'ENGINE': 'django.db.backends.postgresql', 'HOST': '{host}', \
                 'PORT': {port}, 'NAME': '{name}', 'USER': '{user}', 'OPTIONS': {options}}}}}\n{more}\n"
            ),
        );
    }

    /// A migration of `shop`: its class's body, behind a dependency on the one before. Its Python waits for a file of the
    /// test with `until('name')`.
    pub(crate) fn migration(&self, name: &str, after: Option<&str>, body: &str) {
        let dependencies = after.map_or_else(String::new, |after| format!("('shop', '{after}')"));
        let body = format!("    {}", body.replace('\n', "\n    "));
        self.write(
            &format!("shop/migrations/{name}.py"),
            &format!(
                "from django.db import migrations, models\n\
                 from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently\n\n\n\
                 def run(function):\n    return migrations.RunPython(function, migrations.RunPython.noop)\n\n\n\
                 def until(name):\n    import os, time\n    while not os.path.exists(name):\n        time.sleep(0.02)\n\n\n\
                 class Migration(migrations.Migration):\n    dependencies = [{dependencies}]\n{body}\n"
            ),
        );
    }

    /// `0001_initial` with the table `shop_order`, already applied, and some rows in it.
    pub(crate) fn with_orders(self, rows: u32) -> Self {
        self.migration(
            "0001_initial",
            None,
            "operations = [migrations.CreateModel('Order', [\n\
             \x20   ('id', models.BigAutoField(primary_key=True)),\n\
             \x20   ('total', models.IntegerField(default=0)),\n\
             \x20   ('note', models.TextField(default='')),\n])]",
        );
        let output = self.manage(&["migrate", "-v0"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.client().sql(&format!(
            "INSERT INTO shop_order (total, note) SELECT i, 'x' FROM generate_series(1, {rows}) AS i; ANALYZE shop_order"
        ));
        self
    }

    /// `manage.py` without `zdm`.
    pub(crate) fn manage(&self, arguments: &[&str]) -> Output {
        self.django.command().arg("manage.py").args(arguments).current_dir(self.path()).output().unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn client(&self) -> Client {
        self.database.connect()
    }

    fn report_path(&self) -> PathBuf {
        self.path().join("report.json")
    }

    /// `zdm migrate OPTIONS -- COMMAND`, with an environment of nothing but what is given. An empty command is
    /// `python manage.py migrate`.
    pub(crate) fn zdm(&self, options: &[&str], command: &[&str]) -> Command {
        let python = self.django.python().display().to_string();
        let usual = [python.as_str(), "manage.py", "migrate"];
        let words = if command.is_empty() { &usual[..] } else { command };
        let report = self.report_path().display().to_string();
        drop(fs::remove_file(self.report_path()));
        let mut zdm = Command::new(env!("CARGO_BIN_EXE_zdm"));
        zdm.env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TMPDIR", self.path())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(self.path())
            .args(["migrate", "--report", &report])
            .args(options);
        if !options.contains(&"status") && !options.contains(&"--plan") {
            zdm.arg("--").args(words);
        }
        zdm
    }

    pub(crate) fn run(&self, options: &[&str]) -> Run {
        self.run_command(options, &[])
    }

    pub(crate) fn run_command(&self, options: &[&str], command: &[&str]) -> Run {
        let child = self.start(options, command);
        self.finish(child)
    }

    pub(crate) fn start(&self, options: &[&str], command: &[&str]) -> Running {
        let mut zdm = self.zdm(options, command);
        Running::start(&mut zdm)
    }

    pub(crate) fn finish(&self, mut running: Running) -> Run {
        let status = running.child.wait().unwrap();
        let took = running.since.elapsed();
        let [stdout, stderr] = [running.stdout, running.stderr].map(Stream::finish);
        let report = fs::read_to_string(self.report_path()).ok();
        Run {
            exit: status.code(),
            stdout,
            stderr,
            report: report.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
            took,
        }
    }

    /// Nothing of a run may be left on disk or in the server.
    #[track_caller]
    pub(crate) fn assert_no_trace(&self) {
        let left: Vec<String> = fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("zdm-"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
        // The server takes a moment to notice a client that has gone.
        until("end of all sessions", || {
            self.client().value(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'zdm%' \
                 AND application_name <> 'zdm-test' AND datname = current_database()",
            ) == "0"
        });
    }

    pub(crate) fn invalid_indexes(&self) -> String {
        self.client().value("SELECT count(*) FROM pg_index WHERE NOT indisvalid")
    }
}

pub(crate) struct Running {
    pub(crate) child: Child,
    since: Instant,
    stdout: Stream,
    stderr: Stream,
}

impl Running {
    pub(crate) fn start(zdm: &mut Command) -> Self {
        let mut child = zdm.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let (stdout, stderr) = (Stream::read(child.stdout.take().unwrap()), Stream::read(child.stderr.take().unwrap()));
        Self { child, since: Instant::now(), stdout, stderr }
    }

    /// Waits until it has said something.
    #[track_caller]
    pub(crate) fn until_told(&self, text: &str) {
        let said = || [&self.stdout, &self.stderr].map(|stream| stream.text.lock().unwrap().clone());
        let deadline = Instant::now() + LONG;
        while !said().iter().any(|said| said.contains(text)) {
            assert!(Instant::now() < deadline, "no `{text}` within {LONG:?} in {:?}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What a process writes, as it comes.
struct Stream {
    text: Arc<Mutex<String>>,
    reader: std::thread::JoinHandle<()>,
}

impl Stream {
    fn read(mut from: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let (mut buffer, mut rest) = ([0; 4096], Vec::new());
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                rest.extend_from_slice(&buffer[..count]);
                // A character may be cut in two.
                let whole = std::str::from_utf8(&rest).map_or_else(|error| error.valid_up_to(), str::len);
                into.lock().unwrap().push_str(std::str::from_utf8(&rest[..whole]).unwrap());
                rest.drain(..whole);
            }
        });
        Self { text, reader }
    }

    fn finish(self) -> String {
        self.reader.join().unwrap();
        std::mem::take(&mut self.text.lock().unwrap())
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "exit {:?} after {:?}\n{}\n{}", self.exit, self.took, self.stdout, self.stderr)?;
        for migration in self.report["migrations"].as_array().into_iter().flatten() {
            writeln!(f, "{migration}")?;
        }
        for one in self.report["statements"].as_array().into_iter().flatten() {
            let (sql, class, outcome) = (&one["sql"], &one["class"], &one["outcome"]);
            if sql.as_str().is_some_and(|sql| sql.trim_start().starts_with("SELECT")) && one["error"].is_null() {
                continue;
            }
            writeln!(
                f,
                "{outcome} {class} {} s, waited {}: {sql} {}",
                one["seconds"], one["waited_seconds"], one["error"]
            )?;
        }
        writeln!(f, "{}", self.report["interventions"])
    }
}

impl Run {
    #[track_caller]
    pub(crate) fn expect(&self, exit: i32, texts: &[&str]) -> &Self {
        assert_eq!(self.exit, Some(exit), "{self:#?}");
        for text in texts {
            assert!(self.stdout.contains(text) || self.stderr.contains(text), "no `{text}` in {self:#?}");
        }
        self
    }

    /// The recorded statements that contain a text.
    pub(crate) fn statements(&self, text: &str) -> Vec<&Value> {
        let all = self.report["statements"].as_array().unwrap();
        all.iter().filter(|one| one["sql"].as_str().unwrap().contains(text)).collect()
    }
}

/// Nothing takes so long unless it never comes.
const LONG: Duration = Duration::from_mins(3);

/// Waits for something that must come.
#[track_caller]
pub(crate) fn until(what: &str, reached: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !reached() {
        assert!(Instant::now() < deadline, "no {what} within {LONG:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

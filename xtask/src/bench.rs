//! `cargo xtask bench`: how long the linter takes, and its peers on the same project.
//!
//! Times are those of whole processes, wall clock, the median of several runs; files are in the operating system's
//! cache, and nothing else is cached but for the last column, where the outcome of the run before is. What counts are
//! the ratios, which are taken in the same run on the same machine: against reading and parsing the same migrations with
//! tree-sitter alone, and against Django's own `sqlmigrate` and django-migration-linter in a virtual environment.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::available_parallelism;

use zdm_testkit::{Database, Server, USER, cache, generate};

use crate::python::{self, Python};
use crate::{pins, setup};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Sizes of the generated projects, in migrations
    #[arg(long, value_delimiter = ',', value_name = "NUMBERS", default_values_t = [500, 1_500, 5_000, 15_000])]
    sizes: Vec<usize>,
    /// Runs of which the median counts
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Public projects to measure as well, among those that `setup` provides
    #[arg(long, value_delimiter = ',', value_name = "NAMES", default_value = "mayan-edms")]
    projects: Vec<String>,
    /// The size on which Django and django-migration-linter run; 0 leaves them out
    #[arg(long, default_value_t = 1_500)]
    peers: usize,
    /// Measure this program instead of building one
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Where the generated projects go, and stay; default: a temporary directory
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// The benchmark of the backfill, which is an example of its crate.
pub(crate) fn filling(arguments: &[String]) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["run", "--release", "-p", "zdm-backfill", "--example", "filling", "--"])
        .args(arguments)
        .current_dir(cache::workspace())
        .status()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("the benchmark ended with {status}")) }
}

/// The programs under measurement.
struct Programs {
    lint: PathBuf,
    parse: PathBuf,
    runner: PathBuf,
}

/// What one command took.
#[derive(Clone, Copy)]
struct Measure {
    /// Median.
    seconds: f64,
    /// The largest resident set, in MB.
    megabytes: f64,
}

/// Runs a command so often and prints for each run its seconds and its largest resident set in KiB. A process of its
/// own, because the resident set of a child counts from its parent's at the fork.
const MEASURE: &str = "\
import os, sys, time
runs, stdin, *command = sys.argv[1:]
null = os.open(os.devnull, os.O_WRONLY)
for _ in range(int(runs)):
    given = os.open(stdin, os.O_RDONLY)
    begin = time.monotonic()
    child = os.posix_spawn(command[0], command, os.environ, file_actions=[
        (os.POSIX_SPAWN_DUP2, given, 0), (os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)])
    _, status, usage = os.wait4(child, 0)
    print(time.monotonic() - begin, usage.ru_maxrss, os.waitstatus_to_exitcode(status))
    os.close(given)
";

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let pythons = python::find();
    let runner = pythons.values().next_back().ok_or("no Python is installed")?.program.clone();
    let programs = build(options, runner)?;
    let temporary = tempfile::tempdir().map_err(|error| format!("cannot make a directory: {error}"))?;
    let home = options.keep.clone().unwrap_or_else(|| temporary.path().to_path_buf());
    let cores = available_parallelism().map_or(1, usize::from);
    println!("{cores} cores, median of {} runs; ratios are against tree-sitter on one core\n", options.runs);
    println!(
        "{:<16} {:>10} {:>6} {:>11} {:>12} {:>10} {:>6} {:>8} {:>10} {:>6} {:>8} {:>10} {:>8}",
        "project",
        "migrations",
        "MB",
        "tree-sitter",
        "on all cores",
        "sqlmigrate",
        "ratio",
        "resident",
        "check",
        "ratio",
        "resident",
        "each",
        "warm"
    );
    for size in &options.sizes {
        let dir = generated(&home, *size)?;
        row(&programs, options, &format!("generated {size}"), &dir)?;
    }
    for name in &options.projects {
        match zdm_testkit::project(name) {
            Some(project) => row(&programs, options, name, project.root())?,
            None => println!("{name}: not provided; run `cargo xtask setup`"),
        }
    }
    if options.peers > 0 {
        let dir = generated(&home, options.peers)?;
        let pythons: Vec<&Python> = pythons.values().collect();
        peers(&programs, options, &dir, &pythons)?;
    }
    Ok(())
}

/// The optimised program and the floor.
fn build(options: &Options, runner: PathBuf) -> Result<Programs, String> {
    let target = target_dir()?;
    let mut cargo = zdm_testkit::cargo();
    cargo.args(["build", "--release", "--quiet", "--package", "zdm-python", "--example", "parse"]);
    setup::output(&mut cargo)?;
    let lint = if let Some(program) = &options.program {
        fs::canonicalize(program).map_err(|error| format!("cannot find {}: {error}", program.display()))?
    } else {
        let mut cargo = zdm_testkit::cargo();
        cargo.args(["build", "--release", "--quiet", "--package", "zdm-lint"]);
        setup::output(&mut cargo)?;
        target.join("release/zdm-lint")
    };
    Ok(Programs { lint, parse: target.join("release/examples/parse"), runner })
}

/// This program lies in a profile's directory of it.
fn target_dir() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("cannot tell where this program is: {error}"))?;
    own.parent().and_then(Path::parent).map(Path::to_path_buf).ok_or_else(|| "no target directory".to_owned())
}

fn generated(home: &Path, size: usize) -> Result<PathBuf, String> {
    let dir = home.join(format!("generated-{size}"));
    if !dir.exists() {
        generate::write(size, &dir).map_err(|error| format!("cannot write {}: {error}", dir.display()))?;
    }
    Ok(dir)
}

/// Prints one row and returns the time of `check`.
fn row(programs: &Programs, options: &Options, name: &str, dir: &Path) -> Result<(), String> {
    let (list, count, bytes) = migrations(dir)?;
    let parse = programs.parse.as_os_str();
    let list = list.path();
    let runs = options.runs;
    let cores = available_parallelism().map_or(1, usize::from).to_string();
    let floor = measure(programs, runs, list, &mut [parse, "1".as_ref()].into_iter())?;
    let all = measure(programs, runs, list, &mut [parse, cores.as_ref()].into_iter())?;
    let null = Path::new("/dev/null");
    let lint = programs.lint.as_os_str();
    let sql = [lint, "sqlmigrate".as_ref(), "--all".as_ref(), "--root".as_ref(), dir.as_os_str()];
    let sql = measure(programs, runs, null, &mut sql.into_iter())?;
    let cold = [lint, "check".as_ref(), "--no-cache".as_ref(), dir.as_os_str()];
    let check = measure(programs, runs, null, &mut cold.into_iter())?;
    // The first of them writes the entry that the others find.
    let warm = measure(programs, runs.max(3), null, &mut [lint, "check".as_ref(), dir.as_os_str()].into_iter())?;
    #[expect(clippy::cast_precision_loss, reason = "numbers of files and bytes are small")]
    let (count_f, megabytes) = (count as f64, bytes as f64 / 1e6);
    println!(
        "{name:<16} {count:>10} {megabytes:>6.1} {:>8.0} ms {:>9.0} ms {:>7.0} ms {:>6.2} {:>5.0} MB {:>7.0} ms {:>6.2} {:>5.0} MB {:>7.0} µs {:>5.0} ms",
        floor.seconds * 1e3,
        all.seconds * 1e3,
        sql.seconds * 1e3,
        sql.seconds / floor.seconds,
        sql.megabytes,
        check.seconds * 1e3,
        check.seconds / floor.seconds,
        check.megabytes,
        check.seconds * 1e6 / count_f,
        warm.seconds * 1e3,
    );
    Ok(())
}

/// The modules in migrations folders: a file that lists them, their number, and their bytes.
fn migrations(dir: &Path) -> Result<(tempfile::NamedTempFile, usize, u64), String> {
    let mut list = String::new();
    let (mut count, mut bytes) = (0, 0);
    let mut open = vec![dir.to_path_buf()];
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let migration = path.extension().is_some_and(|extension| extension == "py")
                && folder.ends_with("migrations")
                && entry.file_name() != "__init__.py";
            if migration {
                let _ = writeln!(list, "{}", path.display());
                count += 1;
                bytes += entry.metadata().map_or(0, |metadata| metadata.len());
            }
        }
    }
    let file = tempfile::NamedTempFile::new().map_err(|error| format!("cannot make a file: {error}"))?;
    fs::write(file.path(), list).map_err(|error| format!("cannot write a file: {error}"))?;
    Ok((file, count, bytes))
}

fn measure(
    programs: &Programs,
    runs: usize,
    stdin: &Path,
    command: &mut dyn Iterator<Item = &std::ffi::OsStr>,
) -> Result<Measure, String> {
    let mut runner = Command::new(&programs.runner);
    runner.args(["-c", MEASURE, &runs.to_string()]).arg(stdin).args(command);
    runner.env("ZDM_CACHE_DIR", target_dir()?.join("bench-cache"));
    measured(&mut runner, 1.0)
}

/// `worst` is the greatest exit code of a command that has done its work: linters end with 1 where they find something.
fn measured(runner: &mut Command, worst: f64) -> Result<Measure, String> {
    let text = setup::output(runner)?;
    let mut seconds = Vec::new();
    let mut largest = 0.0_f64;
    for line in text.lines() {
        let numbers: Vec<f64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [time, resident, exit] = numbers.as_slice() else { return Err(format!("not a measure: {line}")) };
        // A failure is quick.
        if *exit > worst || *exit < 0.0 {
            return Err(format!("a measured command failed with {exit}: {runner:?}"));
        }
        seconds.push(*time);
        largest = largest.max(*resident);
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds.get(seconds.len() / 2).copied().ok_or("nothing was measured")?;
    Ok(Measure { seconds: median, megabytes: largest / 1024.0 })
}

/// How many migrations `sqlmigrate` is asked for.
const SAMPLES: usize = 5;

/// Django's `sqlmigrate` and django-migration-linter on the same project.
fn peers(programs: &Programs, options: &Options, dir: &Path, pythons: &[&Python]) -> Result<(), String> {
    let series = pins::PEERS.django;
    let django = pins::DJANGO.iter().find(|pin| pin.series == series).ok_or("the peers' Django is not pinned")?;
    let home = cache::root().join("environments").join("peers");
    let packages: Vec<&str> = pins::PEERS.packages.iter().chain(django.packages).copied().collect();
    setup::environment(&home, setup::newest(pythons, django.python)?, &packages)?;
    let python = home.join("bin/python");
    let database = Server::newest().database();
    let (list, count, _) = migrations(dir)?;
    let text = fs::read_to_string(list.path()).map_err(|error| format!("cannot read a list: {error}"))?;
    let mut files: Vec<&str> = text.lines().collect();
    files.sort_unstable();
    println!("\n{count} migrations, Django {series}:");

    let null = Path::new("/dev/null");
    let lint = programs.lint.as_os_str();
    let own = [lint, "check".as_ref(), "--no-cache".as_ref(), dir.as_os_str()];
    let check = measure(programs, options.runs, null, &mut own.into_iter())?;
    say("zdm-lint check", check.seconds, check);
    let mut total = 0.0;
    for sample in 1..=SAMPLES {
        let file = files.get(files.len() * sample / (SAMPLES + 1)).copied().unwrap_or_default();
        let path = Path::new(file.strip_suffix(".py").unwrap_or(file));
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let app = path.parent().and_then(Path::parent).and_then(Path::file_name).and_then(|name| name.to_str());
        let app = app.unwrap_or_default();
        let own = [lint, "sqlmigrate".as_ref(), app.as_ref(), name.as_ref(), "--root".as_ref(), dir.as_os_str()];
        let own = measure(programs, 1, null, &mut own.into_iter())?;
        let django = managed(programs, &python, dir, &database, &["sqlmigrate", app, name])?;
        say(&format!("zdm-lint sqlmigrate {app} {name}"), check.seconds, own);
        say(&format!("sqlmigrate {app} {name}"), check.seconds, django);
        total += django.seconds;
    }
    #[expect(clippy::cast_precision_loss, reason = "numbers of files are small")]
    let whole = total / SAMPLES as f64 * count as f64;
    println!(
        "  sqlmigrate for each of them would take {:.0} min: {:.0} times as long",
        whole / 60.0,
        whole / check.seconds
    );
    // It ends with 1 where it finds something, and Django does where there is no such command.
    managed(programs, &python, dir, &database, &["lintmigrations", "--help"])?;
    let linter = managed(programs, &python, dir, &database, &["lintmigrations", "--no-cache"])?;
    say("django-migration-linter", check.seconds, linter);
    Ok(())
}

fn managed(
    programs: &Programs,
    python: &Path,
    dir: &Path,
    database: &Database,
    arguments: &[&str],
) -> Result<Measure, String> {
    let mut runner = Command::new(&programs.runner);
    runner
        .args(["-c", MEASURE, "1", "/dev/null"])
        .arg(python)
        .arg("manage.py")
        .args(arguments)
        .current_dir(dir)
        .stderr(Stdio::null())
        .env("EXTRA_APPS", "django_migration_linter")
        .env("PGHOST", database.server().socket_dir())
        .env("PGPORT", database.server().port().to_string())
        .env("PGUSER", USER)
        .env("PGDATABASE", database.name());
    let finds = arguments == ["lintmigrations", "--no-cache"];
    measured(&mut runner, if finds { 1.0 } else { 0.0 })
}

fn say(what: &str, unit: f64, measure: Measure) {
    println!(
        "  {what:<72} {:>9.2} s {:>7.0} times {:>6.0} MB",
        measure.seconds,
        measure.seconds / unit,
        measure.megabytes
    );
}

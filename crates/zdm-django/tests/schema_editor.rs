//! Predicted statements and states against real Django on a real server.
//!
//! Every operation's statements are compared with those that Django executed, in order; groups whose order Django
//! itself leaves to a set are compared as sets. What was not analysed is counted apart, never as equal.
//!
//! Each case of the generated suite runs in one Django with one driver, and with `ZDM_THOROUGH=1` in every one that it fits;
//! `ZDM_CASES=text` runs those alone that hold the text.

mod schema_editor {
    pub(crate) mod cases;
    pub(crate) mod catalog;
    pub(crate) mod compare;
    pub(crate) mod offered;
    mod parameters;
    mod postgis;
    pub(crate) mod random;
    pub(crate) mod replay;
    pub(crate) mod wild;
    pub(crate) mod written;
}

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use schema_editor::cases::{self, Case};
use schema_editor::compare::{Score, table};
use schema_editor::{random, replay, wild, written};
use zdm_django::{Context, DjangoVersion, Driver, Project};
use zdm_postgres::PgVersion;
use zdm_testkit::{DJANGOS, Detail, Django, Oracle, OracleReport, Server, cache, skip};

fn version(report: &OracleReport) -> DjangoVersion {
    report.django.parse().expect("Django's version")
}

/// The context of a replay: the project's settings, and the driver that the report names.
fn context(report: &OracleReport, project: &Project) -> Context {
    let mut context = Context::from_settings(&project.settings, version(report));
    let major = report.postgres.split('.').next().and_then(|major| major.parse().ok());
    context.postgres = major.map(PgVersion::major);
    context.driver = if report.psycopg.starts_with("2.") { Driver::Psycopg2 } else { Driver::Psycopg3 };
    context
}

#[test]
fn every_operation_by_every_field() {
    let server = Server::newest();
    let thorough = std::env::var_os("ZDM_THOROUGH").is_some();
    let mut rows = Vec::new();
    let mut differences = Vec::new();
    let mut all = cases::all();
    if let Ok(text) = std::env::var("ZDM_CASES") {
        all.retain(|case| case.texts().any(|operation| operation.contains(&text)));
    }
    let djangos = Django::with_each_driver("schema editor", &DJANGOS);
    for (place, django) in djangos.iter().enumerate() {
        let release: DjangoVersion = django.version().parse().expect("a version");
        let cases: Vec<&Case> = all
            .iter()
            .enumerate()
            .filter(|(number, case)| {
                // A case that does not fit the release it falls on runs in the first or the last that it fits.
                let fitting: Vec<usize> = (0..djangos.len())
                    .filter(|at| case.runs_on(djangos[*at].version().parse().expect("a version")))
                    .collect();
                case.runs_on(release) && (thorough || fitting.get(number % fitting.len().max(1)) == Some(&place))
            })
            .map(|(_, case)| case)
            .collect();
        let chunks: Vec<&[&Case]> = cases.chunks(CASES_PER_REPLAY).collect();
        let next = AtomicUsize::new(0);
        let score = Mutex::new(Score::default());
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let chunk = replay_cases(django, &server, chunk);
                        score.lock().expect("no thread has panicked").add(chunk);
                    }
                });
            }
        });
        let score = score.into_inner().expect("no thread has panicked");
        differences
            .extend(score.differences.iter().map(|difference| format!("Django {}: {difference}", django.name())));
        rows.push(Row { project: "generated cases".to_owned(), django: django.name(), score });
    }
    let catalogs: Vec<String> = rows
        .iter()
        .flat_map(|row| row.score.catalog_differences.iter().map(|found| format!("Django {}: {found}", row.django)))
        .collect();
    differences.extend(catalogs);
    finish(&rows, &differences);
}

/// Operations, fields, indexes, constraints and functions of every Django: each is in a case, or left out for a reason.
#[test]
fn the_cases_hold_what_django_offers() {
    let djangos = Django::available_for("schema editor", &DJANGOS);
    let (table, open) = schema_editor::offered::compare(&djangos, &cases::all());
    print(&table);
    assert!(open.is_empty(), "in no case:\n{}", open.join("\n"));
}

/// Each case has models of its own; the more there are in one history, the longer Django takes for each.
const CASES_PER_REPLAY: usize = 40;

fn replay_cases(django: &Django, server: &Server, cases: &[&Case]) -> Score {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let apps = cases::write(cases, dir.path());
    replay_apps(django, server, dir.path(), &apps)
}

/// Replays the apps below a directory.
fn replay_apps<S: AsRef<str>>(django: &Django, server: &Server, dir: &Path, apps: &[S]) -> Score {
    let database = server.database();
    let report = Oracle::apps(apps)
        .path(dir)
        .setting("DEFAULT_AUTO_FIELD", "django.db.models.AutoField")
        .keep_going()
        .models(Detail::End)
        .tables(Detail::End)
        .replay(django, &database);
    let project = replay::build(replay::files(dir), Vec::new(), None, version(&report));
    let mut context = context(&report, &project);
    context.default_auto_field = "django.db.models.AutoField".into();
    context.use_tz = true;
    replay::compare(&report, &project, &context)
}

/// Replays a project by its settings, those that fail to the end.
fn replay_settings(django: &Django, server: &Server, dir: &Path, settings: &str) -> Score {
    replay_by(Oracle::settings(dir, settings), django, server, dir, settings)
}

/// The same, by an oracle of those settings.
fn replay_by(oracle: Oracle, django: &Django, server: &Server, dir: &Path, settings: &str) -> Score {
    let database = server.database();
    let report = oracle.keep_going().tables(Detail::End).replay(django, &database);
    let project = replay::build(replay::files(dir), replay::packages(django), Some(settings), version(&report));
    let context = context(&report, &project);
    replay::compare(&report, &project, &context)
}

#[test]
fn the_shop() {
    let server = Server::newest();
    let root = cache::workspace().join("fixtures/shop");
    let mut rows = Vec::new();
    let mut differences = Vec::new();
    for django in Django::available_for("schema editor", &DJANGOS) {
        let database = server.database();
        let report = Oracle::settings(&root, "shop.settings").tables(Detail::End).replay(&django, &database);
        let project =
            replay::build(replay::files(&root), replay::packages(&django), Some("shop.settings"), version(&report));
        let context = context(&report, &project);
        let score = replay::compare(&report, &project, &context);
        let found = score.differences.iter().chain(&score.catalog_differences);
        differences.extend(found.map(|difference| format!("Django {}: {difference}", django.version())));
        rows.push(Row { project: "fixtures/shop".to_owned(), django: report.django.clone(), score });
    }
    finish(&rows, &differences);
}

/// Seeds of the random histories, and how long each is. `ZDM_SEEDS=100..900` runs others.
const SEEDS: std::ops::Range<u64> = 1..9;
const MIGRATIONS_PER_HISTORY: usize = 12;

fn seeds(otherwise: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let given = std::env::var("ZDM_SEEDS").ok();
    let given = given.as_deref().and_then(|text| {
        let (from, to) = text.split_once("..")?;
        Some(from.parse().ok()?..to.parse().ok()?)
    });
    given.unwrap_or(otherwise)
}

#[test]
fn random_histories() {
    let server = Server::newest();
    let mut rows = Vec::new();
    let mut differences = Vec::new();
    for django in Django::available_for("schema editor", &DJANGOS) {
        let mut score = Score::default();
        let seeds: Vec<u64> = seeds(SEEDS).collect();
        for seeds in seeds.chunks(8) {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let histories: Vec<random::History> =
                seeds.iter().map(|seed| random::history(*seed, MIGRATIONS_PER_HISTORY)).collect();
            for history in &histories {
                random::write(history, dir.path());
            }
            let apps: Vec<&str> = histories.iter().map(|history| &*history.app).collect();
            score.add(replay_apps(&django, &server, dir.path(), &apps));
        }
        let found = score.differences.iter().chain(&score.catalog_differences);
        differences.extend(found.map(|difference| format!("Django {}: {difference}", django.version())));
        rows.push(Row { project: "random histories".to_owned(), django: django.version().to_owned(), score });
    }
    finish(&rows, &differences);
}

/// Seeds of the histories of everything, and how long each is. `ZDM_SEEDS=100..900` runs others, and `ZDM_DJANGO=5.2`
/// or `ZDM_DJANGO="5.2 psycopg2"` in that Django alone.
const WILD_SEEDS: std::ops::Range<u64> = 1..7;
const MIGRATIONS_PER_WILD_HISTORY: usize = 18;

#[test]
fn wild_histories() {
    let server = Server::newest();
    let only = std::env::var("ZDM_DJANGO").ok();
    let mut rows = Vec::new();
    let mut differences = Vec::new();
    let djangos = match &only {
        Some(_) => Django::with_each_driver("schema editor", &DJANGOS),
        None => Django::available_for("schema editor", &DJANGOS),
    };
    for django in djangos {
        if only.as_deref().is_some_and(|only| only != django.name()) {
            continue;
        }
        let release: DjangoVersion = django.version().parse().expect("a version");
        let seeds: Vec<u64> = seeds(WILD_SEEDS).collect();
        let chunks: Vec<&[u64]> = seeds.chunks(6).collect();
        let next = AtomicUsize::new(0);
        let total = Mutex::new(Score::default());
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(seeds) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let mut dir = tempfile::tempdir().expect("a temporary directory");
                        dir.disable_cleanup(std::env::var_os("ZDM_KEEP_HISTORIES").is_some());
                        let histories: Vec<wild::History> = seeds
                            .iter()
                            .map(|seed| wild::history(*seed, MIGRATIONS_PER_WILD_HISTORY, release))
                            .collect();
                        written::write(&histories, dir.path());
                        let score = replay_settings(&django, &server, dir.path(), written::SETTINGS);
                        total.lock().expect("no thread has panicked").add(score);
                    }
                });
            }
        });
        let score = total.into_inner().expect("no thread has panicked");
        let found = score.differences.iter().chain(&score.catalog_differences);
        differences.extend(found.map(|difference| format!("Django {}: {difference}", django.name())));
        rows.push(Row { project: "wild histories".to_owned(), django: django.name(), score });
    }
    finish(&rows, &differences);
}

/// The public projects whose histories are compared.
const REPLAYED: [&str; 5] = ["django-cms", "django-guardian", "django-oscar", "reusable-apps", "wagtail"];

/// Whole histories of projects that nobody here wrote.
#[test]
fn public_projects() {
    let server = Server::newest();
    let mut rows = Vec::new();
    let mut differences = Vec::new();
    let thorough = std::env::var_os("ZDM_THOROUGH").is_some();
    let mut replayed = 0;
    for public in zdm_testkit::projects() {
        let Some(settings) = public.settings().filter(|_| REPLAYED.contains(&public.name())) else { continue };
        replayed += 1;
        let files = replay::files(public.root());
        // The newest Django alone, or with `ZDM_THOROUGH=1` every one.
        let environments = public.environments();
        let skipped = if thorough { 0 } else { environments.len().saturating_sub(1) };
        for django in environments.into_iter().skip(skipped) {
            let report = public.oracle().tables(Detail::None).replay(&django, &server.database());
            let project = replay::build(files.clone(), replay::packages(&django), Some(settings), version(&report));
            let context = context(&report, &project);
            let score = replay::compare(&report, &project, &context);
            let name = format!("{} {}", public.name(), public.version());
            differences.extend(
                score.differences.iter().map(|difference| format!("{name}, Django {}: {difference}", django.version())),
            );
            rows.push(Row { project: name, django: report.django.clone(), score });
        }
    }
    if replayed < REPLAYED.len() {
        skip::record("schema editor", "not every public project is provisioned");
    }
    finish(&rows, &differences);
}

/// Any project: `ZDM_PROJECT` is its folder, `ZDM_PROJECT_SETTINGS` its settings module, `ZDM_PROJECT_PYTHON` the
/// virtual environment that has its requirements, `ZDM_PROJECT_DJANGO` the series of Django in there. With
/// `ZDM_PROJECT_RUN_PYTHON` its RunPython runs too, for migrations that need the rows that earlier ones put in.
#[test]
#[ignore = "compares the project that the environment names"]
fn a_project_of_yours() {
    let given = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let (root, settings, environment) =
        (given("ZDM_PROJECT"), given("ZDM_PROJECT_SETTINGS"), given("ZDM_PROJECT_PYTHON"));
    let root = Path::new(&root);
    let django = Django::at(Path::new(&environment), &given("ZDM_PROJECT_DJANGO"));
    let server = Server::newest();
    let mut oracle = Oracle::settings(root, &settings);
    if std::env::var_os("ZDM_PROJECT_RUN_PYTHON").is_some() {
        oracle = oracle.run_python();
    }
    let score = replay_by(oracle, &django, &server, root, &settings);
    let differences: Vec<String> = score.differences.iter().chain(&score.catalog_differences).cloned().collect();
    finish(&[Row { project: settings, django: django.version().to_owned(), score }], &differences);
}

struct Row {
    project: String,
    django: String,
    score: Score,
}

fn finish(rows: &[Row], differences: &[String]) {
    let rows: Vec<(&str, &str, &Score)> = rows.iter().map(|row| (&*row.project, &*row.django, &row.score)).collect();
    print(&table(&rows));
    for (_, django, score) in &rows {
        for failure in &score.failures {
            print(&format!("failed: Django {django}: {failure}"));
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

#[expect(clippy::print_stdout, reason = "the table is what the test is run for")]
fn print(text: &str) {
    println!("{text}");
}

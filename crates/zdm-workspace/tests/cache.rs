//! The cache gives the analysis's own answer, always: after any edit, beside other runs, and when it is damaged.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its project should end")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;
use zdm_testkit::Random;
use zdm_workspace::analysis::selectors;
use zdm_workspace::cache::Miss;
use zdm_workspace::{Cache, Checked, Outcome, Progress, Request, Seen, Use, check, recall};

const INITIAL: &str = r#"
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Order",
            fields=[("id", models.BigAutoField(primary_key=True)), ("number", models.CharField(max_length=20))],
        ),
    ]
"#;

const INDEX: &str = r#"
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.AddIndex("order", models.Index(fields=["number"], name="order_number_idx")),
    ]
"#;

const IMPORTED: &str = r#"
from django.db import migrations
from shop.helpers import SQL


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial"), ("ext", "0001_initial")]
    operations = [migrations.RunSQL(SQL, migrations.RunSQL.noop)]
"#;

const SETTINGS: &str = r#"
from config.base import APPS
INSTALLED_APPS = ["django.contrib.contenttypes", "shop.apps.ShopConfig"] + APPS
"#;

/// Every file that a run may read, with what may stand in it; `None`: it does not exist. The first is the beginning.
fn variants() -> Vec<(&'static str, Vec<Option<String>>)> {
    let some = |texts: &[&str]| texts.iter().map(|text| Some((*text).to_owned())).collect::<Vec<_>>();
    let maybe = |texts: &[&str]| {
        let mut all = some(texts);
        all.push(None);
        all
    };
    let second = INDEX.replace("0001_initial", "0002_index").replace("order_number_idx", "order_other_idx");
    let ext = INITIAL.replace("Order", "Thing");
    let label = |label: &str| {
        format!(
            "from django.apps import AppConfig\n\n\nclass ShopConfig(AppConfig):\n    name = 'shop'\n    label = '{label}'\n"
        )
    };
    vec![
        ("manage.py", some(&["import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'config.settings')\n", ""])),
        ("config/__init__.py", some(&[""])),
        ("config/settings.py", maybe(&[SETTINGS, &SETTINGS.replace("] + APPS", "]")])),
        ("config/base.py", maybe(&["APPS = ['ext']\n", "APPS = ['ext', 'other']\n", "APPS = []\n"])),
        ("shop/__init__.py", some(&[""])),
        ("shop/apps.py", maybe(&[&label("shop"), &label("store")])),
        (
            "shop/helpers.py",
            maybe(&["SQL = 'CREATE INDEX a ON shop_order (number)'\n", "SQL = 'DROP TABLE shop_order'\n"]),
        ),
        ("shop/migrations/__init__.py", some(&[""])),
        ("shop/migrations/0001_initial.py", some(&[INITIAL, &INITIAL.replace("max_length=20", "max_length=30")])),
        (
            "shop/migrations/0002_index.py",
            maybe(&[
                INDEX,
                &INDEX.replace(
                    "        migrations.AddIndex",
                    "        # zdm: ignore[ZDM101] small\n        migrations.AddIndex",
                ),
                &INDEX.replace(
                    "        migrations.AddIndex",
                    "        # zdm: ignore[ZDM123] unused\n        migrations.AddIndex",
                ),
                "class Migration(",
                &format!("\n\n{INDEX}"),
            ]),
        ),
        ("shop/migrations/0003_sql.py", maybe(&[IMPORTED])),
        ("shop/migrations/0003_second.py", {
            let mut all = maybe(&[&second]);
            all.reverse();
            all
        }),
        ("other/migrations/0001_initial.py", {
            let mut all = maybe(&[INITIAL]);
            all.reverse();
            all
        }),
        ("zdm.toml", {
            let mut all = maybe(&[
                "ignore = ['ZDM101']\n",
                "severity = { ZDM101 = 'error' }\n",
                "postgres = '14'\ndjango = '4.2'\nexclude = ['other']\n",
                "stats = 'stats.json'\n[paths.\"shop/migrations/0002*\"]\nignore = ['ALL']\n",
                "small-table-rows = 100\n[tables.shop_order]\nrows = 10\n",
                "settings = 'config.base'\n",
            ]);
            all.reverse();
            all
        }),
        (
            "stats.json",
            some(&[
                r#"{"version": 1, "tables": {"shop_order": {"rows": 5000000000, "bytes": 1000000000000}}}"#,
                r#"{"version": 1, "tables": {}}"#,
            ]),
        ),
        ("requirements.txt", maybe(&["django==5.2\n", "django==4.2\n"])),
        ("docker-compose.yml", maybe(&["    image: postgres:16\n", "    image: postgres:13\n"])),
        (".gitignore", some(&["", "other/\n", "ignored\n"])),
        ("README", some(&["a", "b", "c"])),
        ("shop/views.py", maybe(&["x = 1\n", "x = 2\n"])),
        (".venv/pyvenv.cfg", maybe(&[""])),
        (".venv/lib/python3.12/site-packages/ext/__init__.py", some(&[""])),
        (".venv/lib/python3.12/site-packages/ext/apps.py", {
            let mut all = maybe(&[
                "from django.apps import AppConfig\n\n\nclass ExtConfig(AppConfig):\n    name = 'ext'\n    label = 'external'\n",
            ]);
            all.reverse();
            all
        }),
        (".venv/lib/python3.12/site-packages/ext/migrations/__init__.py", some(&[""])),
        (".venv/lib/python3.12/site-packages/ext/migrations/0001_initial.py", maybe(&[&ext, &ext.replace("20", "25")])),
        (".venv/lib/python3.12/site-packages/ext/migrations/0002_more.py", {
            let mut all = maybe(&[&second
                .replace("(\"shop\", \"0002_index\")", "(\"ext\", \"0001_initial\")")
                .replace("\"order\"", "\"thing\"")]);
            all.reverse();
            all
        }),
    ]
}

struct World {
    _guard: TempDir,
    root: PathBuf,
    cache: Cache,
}

impl World {
    /// The project in a git repository whose branch `main` is the beginning.
    fn new() -> Self {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().join("project");
        let cache = Cache::at(guard.path().join("cache"));
        let world = Self { _guard: guard, root, cache };
        for (path, texts) in variants() {
            world.put(path, texts[0].as_deref());
        }
        world.git(&["init", "-q", "-b", "main"]);
        world.git(&["add", "-A", "-f"]);
        world.git(&["commit", "-q", "-m", "first"]);
        world.git(&["checkout", "-q", "-b", "work"]);
        world
    }

    fn put(&self, path: &str, text: Option<&str>) {
        let path = self.root.join(path);
        match text {
            Some(text) => {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            None => drop(fs::remove_file(path)),
        }
    }

    fn git(&self, arguments: &[&str]) {
        let output = Command::new("git")
            .current_dir(&self.root)
            .args(["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"])
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn request(&self) -> Request {
        Request { current: self.root.clone(), ..Request::default() }
    }

    /// Requests that want something else of the same project.
    fn requests(&self) -> Vec<Request> {
        let plain = self.request();
        let chosen =
            |texts: &[&str]| selectors(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap();
        let mut selected = plain.clone();
        selected.rules.select = Some(chosen(&["ZDM101"]));
        let mut ignored = plain.clone();
        ignored.rules.ignore = chosen(&["ZDM101"]);
        let mut louder = plain.clone();
        louder.rules.severity = vec![(chosen(&["ZDM101"]).remove(0), "error".parse().unwrap())];
        vec![
            selected,
            ignored,
            louder,
            Request { base: Some("main".to_owned()), ..plain.clone() },
            Request { apps: vec!["shop".to_owned()], ..plain.clone() },
            Request { paths: vec![self.root.join("shop/migrations/0001_initial.py")], ..plain.clone() },
            Request { postgres: Some("12".parse().unwrap()), ..plain.clone() },
            Request { stats: Some("stats.json".into()), ..plain.clone() },
            plain,
        ]
    }

    fn run(&self, request: &Request) -> Checked {
        check(request, Some(&self.cache), &Progress::default()).unwrap()
    }

    /// The outcome with the cache; it is the same as without.
    #[track_caller]
    fn same(&self, request: &Request, what: &str) -> Checked {
        let cold = check(request, None, &Progress::default());
        let warm = check(request, Some(&self.cache), &Progress::default());
        match (cold, warm) {
            (Ok(cold), Ok(warm)) => {
                assert_eq!(cold.outcome, warm.outcome, "{what}: {}", warm.cache);
                assert_eq!(cold.changes, warm.changes, "{what}");
                warm
            }
            (Err(cold), Err(warm)) => panic!("{what}: both fail, the project is wrong: {cold}; {warm}"),
            (cold, warm) => panic!("{what}: {:?} and {:?}", cold.err(), warm.err()),
        }
    }
}

/// Whether something was kept under the view. It is what would be shown of the outcome now; where nothing was kept, this is.
fn recalls(world: &World, request: &Request, view: &str, now: &Outcome) -> bool {
    let shown = |outcome: &Outcome| format!("{view}: {outcome:?}").into_bytes();
    match recall(request, Some(&world.cache), view, &Progress::default()).unwrap() {
        Seen::Shown(kept) => {
            assert_eq!(kept, shown(now), "{request:?}");
            true
        }
        Seen::Checked(checked) => {
            assert_eq!(checked.outcome, *now);
            checked.keep(view, &shown(&checked.outcome));
            false
        }
    }
}

fn hit(checked: &Checked) -> bool {
    matches!(checked.cache, Use::Hit { .. })
}

/// The entries of all projects.
fn entries(cache: &Cache) -> Vec<PathBuf> {
    let folders = fs::read_dir(cache.folder()).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = folders
        .filter(|path| path.is_dir())
        .flat_map(|folder| fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()))
        .collect();
    found.sort();
    found
}

#[test]
fn any_edit_of_any_file_is_seen() {
    let world = World::new();
    let requests = world.requests();
    let variants = variants();
    let mut now = vec![0; variants.len()];
    let mut random = Random::new(7);
    let (mut hits, mut misses, mut recalled) = (0, 0, 0);
    let mut outcomes = BTreeSet::new();
    for step in 0..160 {
        // One edit or two; often back to what was there before.
        for _ in 0..=random.below(2) {
            let file = random.below(variants.len());
            let (path, texts) = &variants[file];
            now[file] = random.below(texts.len());
            world.put(path, texts[now[file]].as_deref());
        }
        if random.below(12) == 0 {
            world.git(&["add", "-A"]);
            world.git(&["commit", "-q", "--allow-empty", "-m", "more"]);
        }
        if random.below(40) == 0 {
            world.git(&["branch", "-f", "main"]);
        }
        // An app that is not there is an error of the command line, not of the analysis.
        let request = &requests[random.below(requests.len())];
        let named = &request.paths;
        if named.iter().any(|path| !path.exists()) {
            continue;
        }
        let checked = world.same(request, &format!("step {step}"));
        if hit(&checked) {
            hits += 1;
        } else {
            misses += 1;
        }
        outcomes.insert(format!("{:?}", checked.outcome.diagnostics));
        recalled += usize::from(recalls(&world, request, "text", &checked.outcome));
    }
    assert!(recalled >= 5, "{recalled}");
    println!("{hits} hits, {misses} misses, {} different answers", outcomes.len());
    assert!(hits >= 5, "an edit of a file that is not read leaves the entry as it is");
    assert!(outcomes.len() >= 40, "the edits must matter: {}", outcomes.len());
}

#[test]
fn each_single_edit_is_seen_or_does_not_matter() {
    let world = World::new();
    let request = world.request();
    let base = Request { base: Some("main".to_owned()), ..world.request() };
    for (path, texts) in variants() {
        for text in texts.iter().skip(1).chain([&texts[0]]) {
            world.put(path, text.as_deref());
            for request in [&request, &base] {
                world.same(request, path);
                let again = world.run(request);
                assert!(hit(&again), "{path}: nothing changed since");
                recalls(&world, request, "text", &again.outcome);
                assert!(recalls(&world, request, "text", &again.outcome), "{path}");
            }
        }
    }
}

#[test]
fn another_selection_never_gets_a_filtered_answer() {
    let world = World::new();
    let requests = world.requests();
    let answers: Vec<_> = requests.iter().map(|request| world.same(request, "cold").outcome).collect();
    assert_eq!(entries(&world.cache).len(), requests.len(), "an entry per command");
    assert_ne!(answers[0], answers[1]);
    for (request, answer) in requests.iter().zip(&answers).rev() {
        let warm = world.run(request);
        assert!(hit(&warm), "{request:?}: {}", warm.cache);
        assert_eq!(warm.outcome, *answer);
    }
}

#[test]
fn what_missed_says_why() {
    let world = World::new();
    let request = world.request();
    let why = |world: &World| match world.run(&request).cache {
        Use::Missed { miss, failed: None, .. } => miss,
        other => panic!("{other}"),
    };
    assert_eq!(why(&world), Miss::None);
    world.put("shop/migrations/0002_index.py", Some("x = 1\n"));
    assert_eq!(why(&world), Miss::Changed("shop/migrations/0002_index.py".to_owned()));
    world.put("shop/migrations/0004_new.py", Some(INDEX));
    assert_eq!(why(&world), Miss::Surroundings);
    world.put(".venv/lib/python3.12/site-packages/ext/migrations/0009_new.py", Some(INDEX));
    assert_eq!(why(&world), Miss::Changed("ext/migrations".to_owned()));
}

#[test]
fn a_broken_cache_is_passed_over() {
    let world = World::new();
    let request = world.request();
    let expected = world.same(&request, "cold").outcome;
    let path = entries(&world.cache).remove(0);
    let whole = fs::read(&path).unwrap();
    assert!(hit(&world.run(&request)));
    let mut damaged: Vec<Vec<u8>> = vec![Vec::new(), b"{}".to_vec(), vec![0; 500], b"\xff\xfe".to_vec()];
    for at in [0, 10, 64, 65, 66, 70, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        damaged.push(whole[..at].to_vec());
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        damaged.push(flipped);
    }
    for bytes in damaged {
        fs::write(&path, &bytes).unwrap();
        let found = world.run(&request);
        assert!(matches!(found.cache, Use::Missed { miss: Miss::Damaged, failed: None, .. }), "{}", found.cache);
        assert_eq!(found.outcome, expected);
        assert!(hit(&world.run(&request)), "the entry is mended");
    }
    // One whole entry in another's place: the words of the command are its name, but what surrounds is inside.
    let other = Request { postgres: Some("12".parse().unwrap()), ..world.request() };
    world.run(&other);
    let elsewhere = entries(&world.cache).into_iter().find(|one| *one != path).unwrap();
    fs::copy(&path, &elsewhere).unwrap();
    world.same(&other, "an entry under another's name");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let found = world.run(&request);
    assert!(matches!(found.cache, Use::Missed { failed: Some(_), .. }), "{}", found.cache);
    assert_eq!(found.outcome, expected);
    // A file where the folder should be.
    fs::remove_dir_all(world.cache.folder()).unwrap();
    fs::write(world.cache.folder(), "").unwrap();
    let found = world.run(&request);
    assert!(matches!(found.cache, Use::Missed { failed: Some(_), .. }), "{}", found.cache);
    assert_eq!(found.outcome, expected);
}

#[test]
fn what_was_shown_is_shown_again() {
    let world = World::new();
    let request = world.request();
    let now = world.run(&request).outcome;
    for view in ["text", "json"] {
        assert!(!recalls(&world, &request, view, &now), "nothing was kept under {view}");
        assert!(recalls(&world, &request, view, &now));
    }
    let other = Request { postgres: Some("12".parse().unwrap()), ..world.request() };
    assert!(!recalls(&world, &other, "text", &world.run(&other).outcome), "another command");
    assert!(!matches!(recall(&request, None, "text", &Progress::default()).unwrap(), Seen::Shown(_)), "no cache");
    // A kept view that is damaged, or another command's under its name, is made anew.
    let of = |extension: &str| -> Vec<PathBuf> {
        entries(&world.cache).into_iter().filter(|path| path.extension().is_some_and(|it| it == extension)).collect()
    };
    for path in of("shown") {
        let whole = fs::read(&path).unwrap();
        for at in [0, 64, 65, whole.len() / 2, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            for bytes in [flipped, whole[..at].to_vec()] {
                fs::write(&path, bytes).unwrap();
                for view in ["text", "json"] {
                    recalls(&world, &request, view, &now);
                    assert!(recalls(&world, &request, view, &now));
                }
            }
        }
        fs::write(&path, whole).unwrap();
    }
    // An entry holds no view, although both are read alike.
    for (entry, view) in of("json").iter().zip(of("shown")) {
        fs::copy(entry, view).unwrap();
    }
    assert!(!recalls(&world, &request, "text", &now), "an entry in a view's place");
    world.put("shop/migrations/0002_index.py", Some("x = 1\n"));
    assert!(!recalls(&world, &request, "text", &world.run(&request).outcome), "a file has changed");
}

#[test]
fn runs_side_by_side() {
    let world = World::new();
    let requests = world.requests();
    let expected: Vec<_> =
        requests.iter().map(|request| check(request, None, &Progress::default()).unwrap().outcome).collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Somebody damages whatever there is, all the time.
        scope.spawn(|| {
            let mut random = Random::new(3);
            while !done.load(Ordering::Relaxed) {
                for path in entries(&world.cache) {
                    let Ok(bytes) = fs::read(&path) else { continue };
                    match random.below(6) {
                        0 => drop(fs::remove_file(&path)),
                        1 => drop(fs::write(&path, &bytes[..bytes.len() / 2])),
                        _ => {}
                    }
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        });
        let runs: Vec<_> = (0..4)
            .map(|thread| {
                let (world, requests, expected) = (&world, &requests, &expected);
                scope.spawn(move || {
                    for round in 0..9 {
                        let at = (thread * 2 + round) % requests.len();
                        assert_eq!(world.run(&requests[at]).outcome, expected[at]);
                    }
                })
            })
            .collect();
        for run in runs {
            run.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    let left: Vec<_> = entries(&world.cache)
        .into_iter()
        .filter(|path| path.extension().is_none_or(|extension| extension != "json"))
        .collect();
    assert!(left.is_empty(), "nothing half-written is left behind: {left:?}");
}

#[test]
fn every_finding_of_the_fixtures_comes_back_as_it_was() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").canonicalize().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path());
    let mut findings = 0;
    for entry in fs::read_dir(fixtures).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        let request = Request { current: entry.path(), paths: vec![entry.path()], ..Request::default() };
        let Ok(cold) = check(&request, Some(&cache), &Progress::default()) else { continue };
        let warm = check(&request, Some(&cache), &Progress::default()).unwrap();
        assert!(hit(&warm), "{}: {}", entry.path().display(), warm.cache);
        assert_eq!(cold.outcome, warm.outcome);
        findings += warm.outcome.diagnostics.len();
    }
    assert!(findings > 30, "{findings}");
}

#[test]
fn the_oldest_entries_go() {
    let world = World::new();
    for version in 0..70 {
        let request = Request { stats: Some(format!("stats-{version}.json").into()), ..world.request() };
        world.put(&format!("stats-{version}.json"), Some(r#"{"version": 1, "tables": {}}"#));
        world.run(&request);
    }
    let left = entries(&world.cache).len();
    assert!((10..=48).contains(&left), "{left}");
}

#[test]
fn where_the_cache_is() {
    let of = |pairs: &[(&str, &str)]| {
        let variables: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Cache::of(&variables).map(|cache| cache.folder().to_owned())
    };
    assert_eq!(of(&[("ZDM_CACHE_DIR", "/x"), ("HOME", "/h")]), Some("/x".into()));
    assert_eq!(of(&[]), None);
    if cfg!(target_os = "linux") {
        assert_eq!(of(&[("HOME", "/h")]), Some("/h/.cache/zdm".into()));
        assert_eq!(of(&[("XDG_CACHE_HOME", "/c"), ("HOME", "/h"), ("ZDM_CACHE_DIR", "")]), Some("/c/zdm".into()));
        assert_eq!(of(&[("XDG_CACHE_HOME", "relative")]), None);
    }
}

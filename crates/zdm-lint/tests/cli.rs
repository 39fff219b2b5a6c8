//! The linter as a black box: the binary, its exit codes, what it says to bad input.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

struct Run {
    code: i32,
    out: String,
    err: String,
}

/// Runs the binary in `folder` with a scrubbed environment.
fn run(folder: &Path, args: &[&str]) -> Run {
    run_with(folder, args, &[], "")
}

fn run_with(folder: &Path, args: &[&str], variables: &[(&str, &str)], input: &str) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_zdm-lint"))
        .args(args)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("ZDM_CACHE_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"))
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let run = Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(!run.err.contains("panicked"), "{}", run.err);
    run
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

const INITIAL: &str = "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    initial = True\n    dependencies = []\n    operations = [\n        migrations.CreateModel(\n            name=\"Order\",\n            fields=[(\"id\", models.BigAutoField(primary_key=True)), (\"number\", models.CharField(max_length=20))],\n        ),\n    ]\n";

const INDEX: &str = "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    dependencies = [(\"shop\", \"0001_initial\")]\n    operations = [\n        migrations.AddIndex(\"order\", models.Index(fields=[\"number\"], name=\"order_number_idx\")),\n    ]\n";

/// A project of one app, `shop`, with these migrations.
fn project(migrations: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("shop/migrations");
    fs::create_dir_all(&package).unwrap();
    fs::write(folder.path().join("shop/__init__.py"), "").unwrap();
    fs::write(package.join("__init__.py"), "").unwrap();
    for (name, text) in migrations {
        fs::write(package.join(format!("{name}.py")), text).unwrap();
    }
    folder
}

fn git(folder: &Path, args: &[&str]) {
    let status = Command::new("git")
        .args(["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"])
        .args(args)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "git {args:?}");
}

#[test]
fn the_shop_has_findings() {
    let run = run(&root(), &["fixtures/shop", "--format", "concise", "--postgres", "16", "--django", "5.2"]);
    assert_eq!(run.code, 1, "{}", run.err);
    insta::assert_snapshot!("shop_concise", run.out);
}

#[test]
fn json_keeps_standard_output_clean_and_is_the_same_each_time() {
    let args = ["fixtures/shop", "--format", "json", "--postgres", "16", "--django", "5.2"];
    let first = run(&root(), &args);
    let document: serde_json::Value = serde_json::from_str(&first.out).unwrap();
    assert_eq!(document["version"], 1);
    assert_eq!(document["postgres"], "16");
    assert!(document["diagnostics"].as_array().unwrap().len() > 10);
    assert_eq!(first.out, run(&root(), &args).out);
}

#[test]
fn exit_codes_follow_the_level_that_fails() {
    let folder = project(&[("0001_initial", INITIAL.as_bytes()), ("0002_index", INDEX.as_bytes())]);
    assert_eq!(run(folder.path(), &[]).code, 1);
    assert_eq!(run(folder.path(), &["--fail-on", "error"]).code, 0);
    assert_eq!(run(folder.path(), &["--severity", "ZDM101=error", "--fail-on", "error"]).code, 1);
    assert_eq!(run(folder.path(), &["--ignore", "ZDM101"]).code, 0);
    assert_eq!(run(folder.path(), &["--migration", "shop.0001_initial"]).code, 0);
    assert_eq!(run(folder.path(), &["--app", "shop"]).code, 1);
}

#[test]
fn only_what_is_new_is_reported_and_everything_is_replayed() {
    let folder = project(&[("0001_initial", INITIAL.as_bytes()), ("0002_index", INDEX.as_bytes())]);
    git(folder.path(), &["init"]);
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "-m", "start"]);
    let clean = run(folder.path(), &["--base", "main", "--format", "concise"]);
    assert_eq!((clean.code, clean.out.as_str()), (0, ""), "{}", clean.err);
    let new = INDEX.replace("0001_initial", "0002_index").replace("order_number_idx", "order_other_idx");
    fs::write(folder.path().join("shop/migrations/0003_other.py"), new).unwrap();
    let found = run(folder.path(), &["--base", "main", "--format", "concise"]);
    assert_eq!(found.code, 1, "{}", found.err);
    assert!(found.out.contains("0003_other.py") && !found.out.contains("0002_index.py"), "{}", found.out);
    let missing = run(folder.path(), &["--base", "origin/main"]);
    assert_eq!(missing.code, 2);
    assert!(missing.err.contains("git fetch"), "{}", missing.err);
}

#[test]
fn a_merged_migration_that_changes_is_found() {
    let folder = project(&[("0001_initial", INITIAL.as_bytes()), ("0002_index", INDEX.as_bytes())]);
    git(folder.path(), &["init"]);
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "-m", "start"]);
    let file = folder.path().join("shop/migrations/0002_index.py");
    fs::write(&file, format!("# a comment\n{INDEX}")).unwrap();
    let comment = run(folder.path(), &["--base", "main", "--format", "concise", "--select", "ZDM607"]);
    assert_eq!((comment.code, comment.out.as_str()), (0, ""), "{}", comment.err);
    fs::write(&file, INDEX.replace("[\"number\"]", "[\"number\", \"id\"]")).unwrap();
    let edited = run(folder.path(), &["--base", "main", "--format", "concise"]);
    assert!(edited.out.contains("0002_index.py:7") && edited.out.contains("ZDM607"), "{}", edited.out);
    fs::remove_file(&file).unwrap();
    let deleted = run(folder.path(), &["--base", "main", "--format", "concise"]);
    assert_eq!(deleted.code, 1);
    assert!(deleted.out.contains("ZDM607") && deleted.out.contains("is deleted here"), "{}", deleted.out);
}

#[test]
fn a_shallow_clone_without_the_merge_base_says_what_to_set() {
    let folder = project(&[("0001_initial", INITIAL.as_bytes())]);
    git(folder.path(), &["init"]);
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "-m", "start"]);
    git(folder.path(), &["checkout", "-b", "feature"]);
    fs::write(folder.path().join("shop/migrations/0002_index.py"), INDEX).unwrap();
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "-m", "index"]);
    git(folder.path(), &["checkout", "main"]);
    fs::write(folder.path().join("README"), "").unwrap();
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "-m", "readme"]);
    let clone = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    git(clone.path(), &["clone", "--depth", "1", "--no-single-branch", "--branch", "feature", &url, "copy"]);
    let run = run(&clone.path().join("copy"), &["--base", "origin/main"]);
    assert_eq!(run.code, 2, "{}{}", run.out, run.err);
    assert!(run.err.contains("shallow") && run.err.contains("fetch"), "{}", run.err);
}

#[test]
fn bad_input_gets_a_place_and_everything_else_is_linted() {
    let cases: [(&str, Vec<u8>, &str); 5] = [
        (
            "0003_syntax",
            b"from django.db import migrations\n\nclass Migration(migrations.Migration):\n    operations = [\n"
                .to_vec(),
            "ZDM905",
        ),
        ("0003_latin", b"# caf\xe9\nfrom django.db import migrations\n".to_vec(), "ZDM905"),
        ("0003_helper", b"X = 1\n".to_vec(), "ZDM905"),
        (
            "0003_missing",
            INDEX.replace("0001_initial", "0009_nothing").replace("order_number_idx", "x_idx").into_bytes(),
            "ZDM602",
        ),
        (
            "0003_circle",
            INDEX
                .replace(
                    "[(\"shop\", \"0001_initial\")]",
                    "[(\"shop\", \"0001_initial\"), (\"shop\", \"0003_circle\")]",
                )
                .replace("order_number_idx", "y_idx")
                .into_bytes(),
            "ZDM603",
        ),
    ];
    for (name, text, code) in cases {
        let folder = project(&[("0001_initial", INITIAL.as_bytes()), ("0002_index", INDEX.as_bytes()), (name, &text)]);
        let run = run(folder.path(), &["--format", "concise"]);
        assert_eq!(run.code, 1, "{name}: {}", run.err);
        assert!(run.out.lines().any(|line| line.contains(name) && line.contains(code)), "{name}: {}", run.out);
        assert!(
            run.out.lines().any(|line| line.contains("0002_index.py") && line.contains("ZDM101")),
            "{name}: {}",
            run.out
        );
    }
}

#[test]
fn wrong_usage_is_two_with_a_remedy() {
    let folder = project(&[("0001_initial", INITIAL.as_bytes())]);
    let empty = tempfile::tempdir().unwrap();
    let cases: [(&Path, &[&str], &str); 10] = [
        (folder.path(), &["nowhere"], "does not exist"),
        (folder.path(), &["--select", ""], "an empty text selects no rule"),
        (folder.path(), &["--select", "ZDM1O1"], "no rule"),
        (folder.path(), &["--postgres", "9.6"], "not a supported PostgreSQL version"),
        (folder.path(), &["--django", "1.11"], "not a supported Django version"),
        (folder.path(), &["--fail-on", "fatal"], "not a level"),
        (folder.path(), &["--app", "shopp"], "did you mean `shop`"),
        (folder.path(), &["--base", "main"], "not in a git repository"),
        (folder.path(), &["explain", "ZDM10l"], "no rule"),
        (empty.path(), &[], "no migration was found"),
    ];
    for (path, args, says) in cases {
        let run = run(path, args);
        assert_eq!(run.code, 2, "{args:?}: {}", run.out);
        assert!(run.err.contains(says), "{args:?}: {}", run.err);
    }
    assert_eq!(run(empty.path(), &["--allow-empty"]).code, 0);
}

#[test]
fn a_configuration_is_read_and_its_mistakes_have_a_place() {
    let folder = project(&[("0001_initial", INITIAL.as_bytes()), ("0002_index", INDEX.as_bytes())]);
    fs::write(folder.path().join("zdm.toml"), "ignore = [\"index-not-concurrent\"]\n").unwrap();
    assert_eq!(run(folder.path(), &[]).code, 0);
    assert_eq!(run(folder.path(), &["--isolated"]).code, 1);
    fs::write(folder.path().join("zdm.toml"), "ignroe = []\n").unwrap();
    let wrong = run(folder.path(), &[]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("zdm.toml") && wrong.err.contains("`ignore`"), "{}", wrong.err);
}

#[test]
fn a_suppression_counts_and_is_told_in_json() {
    let suppressed = INDEX.replace(
        "        migrations.AddIndex",
        "        # zdm: ignore[ZDM101] a small table\n        migrations.AddIndex",
    );
    let folder = project(&[("0001_initial", INITIAL.as_bytes()), ("0002_index", suppressed.as_bytes())]);
    let run = run(folder.path(), &["--format", "json"]);
    assert_eq!(run.code, 0, "{}", run.out);
    let document: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    let found = document["diagnostics"].as_array().unwrap().iter().find(|found| found["code"] == "ZDM101").unwrap();
    assert_eq!(found["suppressed"]["kind"], "comment");
    assert_eq!(found["suppressed"]["reason"], "a small table");
}

#[test]
fn several_formats_go_to_files() {
    let folder = project(&[("0001_initial", INITIAL.as_bytes()), ("0002_index", INDEX.as_bytes())]);
    let twice = run(folder.path(), &["--format", "json", "--format", "sarif"]);
    assert_eq!(twice.code, 2);
    let run = run(folder.path(), &["--format", "sarif", "--output", "a.sarif", "--format", "concise"]);
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(run.out.contains("ZDM101"));
    let sarif: serde_json::Value = serde_json::from_slice(&fs::read(folder.path().join("a.sarif")).unwrap()).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
}

#[test]
fn explain_and_rules() {
    let folder = tempfile::tempdir().unwrap();
    let page = run(folder.path(), &["explain", "index-not-concurrent"]);
    assert_eq!(page.code, 0);
    assert!(page.out.starts_with("ZDM101") && page.out.contains("## Instead"));
    let list: serde_json::Value =
        serde_json::from_str(&run(folder.path(), &["rules", "--format", "json"]).out).unwrap();
    assert!(list["rules"].as_array().unwrap().iter().any(|rule| rule["code"] == "ZDM101"));
}

#[test]
fn sqlmigrate_prints_what_django_sends_with_its_effects() {
    let folder = project(&[("0001_initial", INITIAL.as_bytes()), ("0002_index", INDEX.as_bytes())]);
    let text = run(folder.path(), &["sqlmigrate", "shop", "0002"]);
    assert_eq!(text.code, 0, "{}", text.err);
    assert!(text.out.contains("CREATE INDEX \"order_number_idx\" ON \"shop_order\" (\"number\");"), "{}", text.out);
    assert!(text.out.contains("SHARE on shop_order"), "{}", text.out);
    let json = run(folder.path(), &["sqlmigrate", "--all", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let statement = &document["migrations"][1]["operations"][0]["statements"][0];
    assert_eq!(statement["in_transaction"], true);
    assert_eq!(statement["effects"]["index_builds"][0], "order_number_idx");
    assert_eq!(statement["effects"]["blocks"][0]["insert"], true);
    assert_eq!(run(folder.path(), &["sqlmigrate", "shop", "0003"]).code, 2);
}

#[test]
fn trace_follows_plain_sql() {
    let folder = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE t (id int PRIMARY KEY, a int);\nBEGIN;\nALTER TABLE t ADD COLUMN b int;\nCREATE INDEX t_b ON t (b);\nCOMMIT;\nCREATE INDEX CONCURRENTLY t_a ON t (a);\nSELECT FROM WHERE;\n";
    let run = run_with(folder.path(), &["trace", "-", "--format", "json", "--postgres", "16"], &[], sql);
    assert_eq!(run.code, 0, "{}", run.err);
    let document: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    let statements = document["statements"].as_array().unwrap();
    assert_eq!(statements.len(), 7);
    assert_eq!(statements[2]["effects"]["locks"][0]["mode"], "ACCESS EXCLUSIVE");
    assert_eq!(statements[3]["held"][0]["mode"], "ACCESS EXCLUSIVE");
    assert_eq!(statements[5]["transaction"], "forbidden");
    assert_eq!(statements[5]["error"], serde_json::Value::Null);
    assert_eq!(statements[5]["line"], 6);
}

/// Every block behind a comment `<!-- zdm-lint … -->` in the README and in `docs` is what that command prints, both
/// streams together. With `ZDM_BLESS` set the pages are written anew.
#[test]
fn the_documentation_shows_real_output() {
    let mut shown = 0;
    let mut pages = vec![root().join("README.md")];
    pages.extend(fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    for path in pages.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = fs::read_to_string(path).unwrap();
        let mut fresh = String::new();
        let mut rest = text.as_str();
        while let Some((before, behind)) = rest.split_once("<!-- zdm-lint ") {
            let (command, behind) = behind.split_once(" -->\n```text\n").unwrap();
            let (_, behind) = behind.split_once("```\n").unwrap();
            let args: Vec<&str> = command.split_whitespace().collect();
            let run = run(&root(), &args);
            assert_ne!(run.code, 2, "{command}: {}", run.err);
            fresh.push_str(before);
            let _ = write!(fresh, "<!-- zdm-lint {command} -->\n```text\n{}{}```\n", run.out, run.err);
            rest = behind;
            shown += 1;
        }
        fresh.push_str(rest);
        if std::env::var_os("ZDM_BLESS").is_some() {
            fs::write(path, &fresh).unwrap();
        } else {
            let shown = path.display();
            assert_eq!(text, fresh, "{shown} differs from what the program prints; run the test with ZDM_BLESS=1");
        }
    }
    assert!(shown > 0);
}

/// Links between pages lead somewhere, and to a heading that is there.
#[test]
fn links_in_the_documentation_lead_somewhere() {
    let mut pages = vec![root().join("README.md"), root().join("CONTRIBUTING.md"), root().join("ARCHITECTURE.md")];
    pages.extend(fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    let mut links = 0;
    for page in pages.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = fs::read_to_string(page).unwrap();
        for code in text.split("ZDM").skip(1).filter_map(|behind| behind.get(..3)) {
            let known = zdm_linter::find_rule(&format!("ZDM{code}")).is_some();
            assert!(known || code.parse::<u16>().is_err(), "{}: there is no ZDM{code}", page.display());
        }
        for behind in text.split("](").skip(1) {
            let Some((target, _)) = behind.split_once(')') else { continue };
            if target.contains("://") || target.contains(char::is_whitespace) {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(path.exists(), "{}: {target}", page.display());
            if !heading.is_empty() {
                let slug = |line: &str| -> String {
                    let words = line.trim_start_matches('#').trim().to_lowercase();
                    let kept = words.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
                    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
                };
                let there = fs::read_to_string(&path).unwrap();
                let found = there.lines().filter(|line| line.starts_with('#')).any(|line| slug(line) == heading);
                assert!(found, "{}: {target}", page.display());
            }
            links += 1;
        }
    }
    assert!(links > 5);
}

#[test]
fn the_configuration_in_the_readme_is_valid() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, behind) = text.split_once("```toml\n").unwrap();
    let (config, _) = behind.split_once("```").unwrap();
    let folder = project(&[("0001_initial", INITIAL.as_bytes())]);
    fs::write(folder.path().join("zdm.toml"), config).unwrap();
    let run = run(folder.path(), &[]);
    assert_eq!(run.code, 0, "{}", run.err);
}

#[test]
fn the_cache_changes_nothing_but_the_time() {
    let folder = project(&[("0001_initial", INITIAL.as_bytes()), ("0002_index", INDEX.as_bytes())]);
    let cache = tempfile::tempdir().unwrap();
    let variables = [("ZDM_CACHE_DIR", cache.path().to_str().unwrap())];
    let run = |args: &[&str]| run_with(folder.path(), args, &variables, "");
    let without = run(&["--no-cache", "--format", "json"]);
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0, "--no-cache writes nothing");
    for _ in 0..2 {
        assert_eq!(run(&["--format", "json"]).out, without.out);
        assert_eq!(run(&["--select", "ZDM2", "--format", "concise"]).out, "");
        assert!(run(&["--format", "concise"]).out.contains("ZDM101"));
    }
    // What was shown is kept by all that it depends on beside the findings.
    let file = folder.path().join("report.sarif");
    let two = ["--format", "markdown", "--format", "sarif", "--output", "-", "--output", file.to_str().unwrap()];
    let shown: [&[&str]; 5] = [&[], &["--color", "always"], &["-q"], &["--fail-on", "never"], &two];
    for round in 0..2 {
        for args in &shown {
            let (cached, fresh) = (run(args), run(&[*args, &["--no-cache"]].concat()));
            assert_eq!((cached.code, cached.out), (fresh.code, fresh.out), "{args:?}, round {round}");
            let written = fs::read_to_string(&file).unwrap_or_default();
            assert!(args.len() < 8 || written.contains("ZDM101"), "{args:?}, round {round}");
            let _ = fs::remove_file(&file);
        }
    }
    assert!(run(&["-v"]).err.contains("cache: nothing changed since"));
    assert!(run(&["-v", "--no-cache"]).err.contains("cache: not used"));
    // A fix is applied to what is there, and the next run sees it.
    assert_eq!(run(&["--write-baseline"]).code, 0);
    assert_eq!(run(&["--baseline", "zdm-baseline.json"]).code, 0);
    assert_eq!(run(&[]).code, 1, "what a baseline takes away is not kept");
}

#[test]
fn verbose_tells_what_was_found_where() {
    let folder = project(&[("0001_initial", INITIAL.as_bytes())]);
    fs::write(
        folder.path().join("manage.py"),
        "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'settings')\n",
    )
    .unwrap();
    fs::write(folder.path().join("settings.py"), "INSTALLED_APPS = ['django.contrib.auth', 'shop']\n").unwrap();
    fs::write(folder.path().join("requirements.txt"), "django==5.1\n").unwrap();
    fs::write(folder.path().join("zdm.toml"), "postgres = '15'\n").unwrap();
    git(folder.path(), &["init"]);
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "-m", "start"]);
    let variables = [("GITHUB_BASE_REF", "main")];
    git(folder.path(), &["update-ref", "refs/remotes/origin/main", "HEAD"]);
    let said = run_with(folder.path(), &["-v", "--base", "auto"], &variables, "").err;
    for line in [
        "configuration: ",
        "settings: settings",
        "PostgreSQL: 15 (the configuration)",
        "Django: 5.1 (`django ==5.1` in requirements.txt)",
        "packages: no virtual environment found",
        "base: origin/main, from GITHUB_BASE_REF",
        "merge-base: ",
        "app shop: 1 migration in shop",
        "Django, as zdm knows it",
        "replayed: 1 migrations in 1 apps",
        "cache: nothing known of this command yet; written to ",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    let quiet = run_with(folder.path(), &["--base", "auto"], &variables, "");
    assert_eq!(quiet.err, "", "without -v nothing is told");
}

#[test]
fn the_base_of_a_ci_run() {
    let folder = project(&[("0001_initial", INITIAL.as_bytes())]);
    git(folder.path(), &["init"]);
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "-m", "start"]);
    let of = |args: &[&str], variables: &[(&str, &str)]| run_with(folder.path(), args, variables, "");
    assert_eq!(of(&["base"], &[("CHANGE_TARGET", "release")]).out, "origin/release\n");
    assert_eq!(of(&["base"], &[]).out, "main\n");
    let json: serde_json::Value =
        serde_json::from_str(&of(&["base", "--format", "json"], &[("GITHUB_BASE_REF", "dev")]).out).unwrap();
    assert_eq!(json, serde_json::json!({"version": 1, "reference": "origin/dev", "found_in": "GITHUB_BASE_REF"}));
    let outside = tempfile::tempdir().unwrap();
    assert_eq!(run(outside.path(), &["base"]).code, 2);
}

#[test]
fn init_writes_a_configuration_and_offers_the_rest() {
    let folder = project(&[("0001_initial", INITIAL.as_bytes())]);
    git(folder.path(), &["init"]);
    fs::write(folder.path().join("requirements.txt"), "django==5.1\n").unwrap();
    let first = run(folder.path(), &["init"]);
    assert_eq!(first.code, 0, "{}", first.err);
    assert_eq!(first.err, "zdm-lint: wrote zdm.toml\n");
    let written = fs::read_to_string(folder.path().join("zdm.toml")).unwrap();
    assert!(written.contains("django = \"5.1\"") && written.contains("# postgres = "), "{written}");
    assert_eq!(run(folder.path(), &[]).code, 0, "what was written is valid");
    for system in ["github", "gitlab", "bitbucket", "azure", "jenkins", "circleci", "buildkite"] {
        assert!(first.out.contains(&format!("zdm-lint init --ci {system}")), "{}", first.out);
        let snippet = run(folder.path(), &["init", "--ci", system]);
        assert_eq!(snippet.code, 0, "{}", snippet.err);
        assert_eq!(snippet.out.is_empty(), system == "github", "{system}: {}", snippet.out);
    }
    let workflow = fs::read_to_string(folder.path().join(".github/workflows/migrations.yml")).unwrap();
    assert_eq!(workflow, fs::read_to_string(root().join("docs/ci/github.yml")).unwrap());
    let again = run(folder.path(), &["init", "--ci", "github"]);
    assert_eq!(again.code, 2);
    assert!(again.err.contains("exists already"), "{}", again.err);
    let configured = run(folder.path(), &["init"]);
    assert_eq!(configured.code, 2);
    assert!(configured.err.contains("--ci SYSTEM"), "{}", configured.err);
    assert_eq!(run(folder.path(), &["init", "--pre-commit"]).err, "zdm-lint: wrote .pre-commit-config.yaml\n");
    assert!(run(folder.path(), &["init", "--pre-commit"]).out.contains("id: zdm-lint"), "printed where there is one");
    // Only what the project uses is offered, where that can be told; and a pyproject.toml takes the configuration.
    fs::remove_file(folder.path().join("zdm.toml")).unwrap();
    fs::write(folder.path().join("pyproject.toml"), "[project]\nname = \"x\"\n").unwrap();
    let second = run(folder.path(), &["init"]);
    assert_eq!(second.err, "zdm-lint: wrote [tool.zdm] into pyproject.toml\n");
    assert!(second.out.contains("--ci github") && !second.out.contains("--ci gitlab"), "{}", second.out);
    assert_eq!(run(folder.path(), &[]).code, 0);
}

#[test]
fn completions_know_the_options() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let done = run(folder.path(), &["completions", shell]);
        assert_eq!(done.code, 0, "{}", done.err);
        assert!(done.out.contains("sqlmigrate") && done.out.contains("base"), "{shell}");
    }
}

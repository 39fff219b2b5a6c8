//! Baselines and fixes, through the binary.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

const INITIAL: &str = "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    initial = True\n    dependencies = []\n    operations = [\n        migrations.CreateModel(\n            name=\"Order\",\n            fields=[(\"id\", models.BigAutoField(primary_key=True)), (\"number\", models.CharField(max_length=20))],\n        ),\n    ]\n";

const INDEX: &str = "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    dependencies = [(\"shop\", \"0001_initial\")]\n    operations = [\n        migrations.AddIndex(\"order\", models.Index(fields=[\"number\"], name=\"order_number_idx\")),\n    ]\n";

const DATA: &str = "from django.db import migrations\n\n\ndef nothing(apps, schema_editor):\n    pass\n\n\nclass Migration(migrations.Migration):\n    dependencies = [(\"shop\", \"0001_initial\")]\n    operations = [\n        migrations.RunPython(nothing),\n    ]\n";

/// A project of one app, `shop`, with these migrations.
fn project(migrations: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("shop/migrations");
    fs::create_dir_all(&package).unwrap();
    fs::write(folder.path().join("manage.py"), "").unwrap();
    for name in ["shop/__init__.py", "shop/migrations/__init__.py"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    for (name, text) in migrations {
        fs::write(package.join(format!("{name}.py")), text).unwrap();
    }
    folder
}

/// Exit code, standard output, standard error.
fn run(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_zdm-lint"))
        .args(args)
        .args(["--postgres", "16", "--django", "5.2"])
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("ZDM_CACHE_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"))
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_baseline_hides_what_was_there_and_nothing_else() {
    let folder = project(&[("0001_initial", INITIAL), ("0002_index", INDEX)]);
    let root = folder.path();
    assert_eq!(run(root, &[]).0, 1);
    let (code, out, err) = run(root, &["--write-baseline"]);
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(err.contains("findings recorded in zdm-baseline.json") && err.contains("set `baseline ="), "{err}");
    let with = ["--baseline", "zdm-baseline.json", "--format", "concise"];
    assert_eq!(run(root, &with), (0, String::new(), String::new()));
    let (_, json, _) = run(root, &["--baseline", "zdm-baseline.json", "--format", "json"]);
    assert!(json.contains("\"kind\": \"baseline\""), "{json}");
    // Lines that move are the same finding; the configuration may name the file.
    fs::write(root.join("zdm.toml"), "baseline = \"zdm-baseline.json\"\n").unwrap();
    fs::write(root.join("shop/migrations/0002_index.py"), format!("# moved\n\n{INDEX}")).unwrap();
    assert_eq!(run(root, &["--format", "concise"]), (0, String::new(), String::new()));
    // A new migration counts.
    let third = INDEX.replace("0001_initial", "0002_index").replace("order_number_idx", "order_number_2_idx");
    fs::write(root.join("shop/migrations/0003_more.py"), &third).unwrap();
    let (code, out, _) = run(root, &["--format", "concise"]);
    assert_eq!(code, 1);
    assert!(out.lines().all(|line| line.starts_with("shop/migrations/0003_more.py:")), "{out}");
    // Written again it covers both, and says when an entry has no finding any more.
    assert_eq!(run(root, &["--write-baseline"]).0, 0);
    assert_eq!(run(root, &["-q"]).0, 0);
    fs::remove_file(root.join("shop/migrations/0003_more.py")).unwrap();
    let (code, _, err) = run(root, &["--format", "concise"]);
    assert_eq!(code, 0);
    assert!(err.contains("no finding any more"), "{err}");
}

/// One call tells of every model of a list that stands elsewhere in the file: the place is the same when one joins it.
#[test]
fn a_baseline_does_not_hide_what_joins_others_in_one_place() {
    let model = |name: &str| {
        format!(
            "migrations.CreateModel(\"{name}\", [(\"id\", models.BigAutoField(primary_key=True)), (\"number\", models.IntegerField(null=True))])"
        )
    };
    let header = "from django.db import migrations, models\n\n";
    let initial = format!(
        "{header}\nclass Migration(migrations.Migration):\n    initial = True\n    dependencies = []\n    operations = [{}, {}, {}]\n",
        model("Order"),
        model("Line"),
        model("Tax")
    );
    let fill = |names: &str| {
        format!(
            "{header}MODELS = [{names}]\n\n\ndef fill(apps, schema_editor):\n    for name in MODELS:\n        apps.get_model(\"shop\", name).objects.update(number=0)\n\n\nclass Migration(migrations.Migration):\n    dependencies = [(\"shop\", \"0001_initial\")]\n    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]\n"
        )
    };
    let folder = project(&[("0001_initial", &initial), ("0002_fill", &fill("\"Order\""))]);
    let root = folder.path();
    let run_with = |names: &str, arguments: &[&str]| {
        fs::write(root.join("shop/migrations/0002_fill.py"), fill(names)).unwrap();
        run(root, arguments)
    };
    let with = ["--baseline", "zdm-baseline.json"];
    assert_eq!(run(root, &["--write-baseline"]).0, 0);
    assert_eq!(run_with("\"Order\"", &with).0, 0);
    let (code, out, _) = run_with("\"Order\", \"Line\"", &with);
    assert_eq!(code, 1);
    assert!(out.contains("ZDM305") && out.contains("the baseline has this finding without `shop_line`"), "{out}");
    assert_eq!(run(root, &["--write-baseline"]).0, 0);
    assert_eq!(run_with("\"Line\", \"Order\"", &with).0, 0);
    assert_eq!(run_with("\"Line\"", &with).0, 0);
    let (code, out, _) = run_with("\"Line\", \"Order\", \"Tax\"", &with);
    assert_eq!(code, 1);
    assert!(out.contains("without `shop_tax`"), "{out}");
}

#[test]
fn a_baseline_is_written_for_the_whole_project_and_read_with_care() {
    let folder = project(&[("0001_initial", INITIAL), ("0002_index", INDEX)]);
    let root = folder.path();
    for part in [&["shop"][..], &["--app", "shop"], &["--select", "ZDM1"]] {
        let (code, _, err) = run(root, &[part, &["--write-baseline"]].concat());
        assert_eq!(code, 2, "{part:?} {err}");
    }
    assert!(!root.join("zdm-baseline.json").exists());
    let (code, _, err) = run(root, &["--baseline", "none.json"]);
    assert!(code == 2 && err.contains("--write-baseline writes it"), "{err}");
    fs::write(root.join("bad.json"), "{\"version\": 9}").unwrap();
    let (code, _, err) = run(root, &["--baseline", "bad.json"]);
    assert!(code == 2 && err.contains("`bad.json` is no baseline: version 9 is not known"), "{err}");
}

#[test]
fn fixes_are_shown_and_applied_and_end_the_finding() {
    let folder = project(&[("0001_initial", INITIAL), ("0002_data", DATA)]);
    let root = folder.path();
    let path = root.join("shop/migrations/0002_data.py");
    let (_, out, _) = run(root, &["--format", "concise"]);
    assert!(out.contains(" ZDM5"), "{out}");
    let (code, diff, _) = run(root, &["--diff", "--unsafe-fixes"]);
    assert_eq!(code, 1);
    assert!(diff.starts_with("--- a/shop/migrations/0002_data.py\n+++ b/shop/migrations/0002_data.py\n"), "{diff}");
    assert_eq!(fs::read_to_string(&path).unwrap(), DATA, "--diff changes nothing");
    let (_, out, err) = run(root, &["--unsafe-fixes", "--format", "concise"]);
    assert!(err.contains("1 fix applied"), "{err}");
    assert!(!out.contains("ZDM5"), "{out}");
    let fixed = DATA.replace("RunPython(nothing)", "RunPython(nothing, reverse_code=migrations.RunPython.noop)");
    assert_eq!(fs::read_to_string(&path).unwrap(), fixed);
    // A second run has nothing to do.
    let (_, _, err) = run(root, &["--unsafe-fixes", "--format", "concise"]);
    assert!(err.contains("0 fixes applied"), "{err}");
    assert_eq!(run(root, &["--diff", "--unsafe-fixes"]).0, 0);
}

#[test]
fn measured_tables_move_the_severity() {
    let folder = project(&[("0001_initial", INITIAL), ("0002_index", INDEX)]);
    let root = folder.path();
    let severity = |stats: &str| {
        fs::write(root.join("stats.json"), stats).unwrap();
        let (_, out, err) = run(root, &["--stats", "stats.json", "--select", "ZDM101", "--format", "concise"]);
        out.split(' ').nth(2).unwrap_or(&err).to_owned()
    };
    let table = |facts: &str| format!("{{\"version\": 1, \"tables\": {{\"shop_order\": {facts}}}}}");
    assert_eq!(severity(&table("{}")), "warning");
    assert_eq!(severity(&table("{\"rows\": 200000000, \"writes_per_second\": 300}")), "error");
    fs::write(root.join("zdm.toml"), "small-table-rows = 1000\nstats = \"stats.json\"\n").unwrap();
    assert_eq!(severity(&table("{\"rows\": 10}")), "info");
    // What the configuration says goes before what was measured.
    fs::write(root.join("zdm.toml"), "small-table-rows = 1000\n[tables]\n\"shop_*\" = { rows = 20 }\n").unwrap();
    assert_eq!(severity(&table("{\"rows\": 200000000}")), "info");
    let (code, _, err) = run(root, &["--stats", "none.json"]);
    assert!(code == 2 && err.contains("none.json"), "{err}");
    fs::write(root.join("stats.json"), "[]").unwrap();
    let (code, _, err) = run(root, &["--stats", "stats.json"]);
    assert!(code == 2 && err.contains("holds no table statistics: it has no `version`"), "{err}");
}

#[test]
fn init_writes_a_configuration_that_is_read() {
    let folder = project(&[("0001_initial", INITIAL)]);
    let root = folder.path();
    let (code, out, err) = run(root, &["init"]);
    assert_eq!((code, err.as_str()), (0, "zdm-lint: wrote zdm.toml\n"), "{out}");
    for word in ["--write-baseline", "init --ci github", "init --ci gitlab", "init --pre-commit"] {
        assert!(out.contains(word), "{word}");
    }
    let written = fs::read_to_string(root.join("zdm.toml")).unwrap();
    let (schema, rest) = written.split_once("\n\n").unwrap();
    assert!(schema.starts_with("#:schema https://") && schema.ends_with("/docs/zdm.schema.json"), "{schema}");
    assert!(rest.starts_with("# The oldest PostgreSQL"));
    assert_eq!(run(root, &[]).0, 0);
    let (code, _, err) = run(root, &["init"]);
    assert!(code == 2 && err.contains("`zdm.toml` configures this project already"), "{err}");
    // A project with a pyproject.toml keeps what stands there.
    fs::remove_file(root.join("zdm.toml")).unwrap();
    fs::write(root.join("pyproject.toml"), "[tool.black]\nline-length = 100\n").unwrap();
    assert_eq!(run(root, &["init"]).0, 0);
    let text = fs::read_to_string(root.join("pyproject.toml")).unwrap();
    assert!(text.starts_with("[tool.black]\nline-length = 100\n\n[tool.zdm]\n"), "{text}");
    assert_eq!(run(root, &[]).0, 0);
}

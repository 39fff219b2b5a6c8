//! What the linter says of public projects that nobody here wrote, finding by finding, as reviewed snapshots; and of one
//! migration that other linters pass.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use zdm_testkit::{PROJECTS, projects, skip};

fn zdm_lint(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_zdm-lint"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!error.contains("panicked"), "{error}");
    (output.status.code().unwrap_or(-1), String::from_utf8(output.stdout).unwrap())
}

/// Each finding class was looked at by hand when it first came up; a new line here wants to be looked at too.
#[test]
fn public_projects_have_the_findings_that_were_reviewed() {
    let found = projects();
    for name in PROJECTS.iter().filter(|name| !found.iter().any(|project| project.name() == **name)) {
        skip::record("findings", &format!("{name} is not provisioned"));
    }
    for project in found {
        let arguments = [
            "check",
            ".",
            "--isolated",
            "--format",
            "concise",
            "--fail-on",
            "never",
            "--postgres",
            "16",
            "--django",
            "5.2",
        ];
        let (code, out) = zdm_lint(project.root(), &arguments);
        assert_eq!(code, 0, "{}", project.name());
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut lines = String::new();
        for line in out.lines() {
            let Some((place, rest)) = line.split_once(": ZDM") else { continue };
            *counts.entry(&rest[..3]).or_default() += 1;
            let _ = writeln!(lines, "{} ZDM{rest}", place.rsplit_once(':').map_or(place, |(line, _)| line));
        }
        let counts: Vec<String> = counts.iter().map(|(code, count)| format!("ZDM{code} {count}")).collect();
        println!("{} {}: {}", project.name(), project.version(), counts.join(", "));
        let name = format!("{}-{}", project.name(), project.version());
        insta::with_settings!({ omit_expression => true, description => counts.join(", ") }, {
            insta::assert_snapshot!(name, lines);
        });
    }
}

/// One atomic migration adds a nullable column, then a plain partial index, then a trigger: the column's ACCESS EXCLUSIVE
/// lock is held while the index scans the whole table.
const MIGRATION: &str = "\
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [(\"shop\", \"0001_initial\")]

    operations = [
        migrations.AddField(model_name=\"event\", name=\"archived_at\", field=models.DateTimeField(null=True)),
        migrations.AddIndex(
            model_name=\"event\",
            index=models.Index(
                condition=models.Q((\"archived_at__isnull\", True)), fields=[\"kind\"], name=\"event_live_kind\"
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name=\"event\",
            trigger=pgtrigger.compiler.Trigger(
                name=\"protect\",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func=\"RAISE EXCEPTION 'no';\",
                    hash=\"0123456789abcdef\",
                    operation=\"DELETE\",
                    pgid=\"pgtrigger_protect_1a2b3\",
                    table=\"shop_event\",
                    when=\"BEFORE\",
                ),
            ),
        ),
    ]
";

const INITIAL: &str = "\
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    operations = [
        migrations.CreateModel(
            \"Event\", [(\"id\", models.BigAutoField(primary_key=True)), (\"kind\", models.CharField(max_length=20))]
        ),
    ]
";

#[test]
fn an_index_behind_a_new_column_is_an_outage() {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("shop/migrations");
    fs::create_dir_all(&package).unwrap();
    for (path, text) in [
        ("shop/__init__.py", ""),
        ("shop/migrations/__init__.py", ""),
        ("shop/migrations/0001_initial.py", INITIAL),
        ("shop/migrations/0002_archive.py", MIGRATION),
    ] {
        fs::write(folder.path().join(path), text).unwrap();
    }
    let arguments = ["--postgres", "16", "--django", "5.2", "--color", "never"];
    let (code, out) = zdm_lint(folder.path(), &arguments);
    assert_eq!(code, 1);
    assert!(out.contains("ZDM141") && !out.contains("ZDM901"), "{out}");
    insta::assert_snapshot!("column_index_trigger", out);
    fs::write(folder.path().join("zdm.toml"), "[tables]\nshop_event = { rows = \"100M\" }\n").unwrap();
    let (code, out) = zdm_lint(folder.path(), &arguments);
    assert_eq!(code, 1);
    assert!(out.contains("100 million rows"), "{out}");
    insta::assert_snapshot!("column_index_trigger_with_rows", out);
}

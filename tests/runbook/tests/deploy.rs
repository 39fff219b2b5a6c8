//! The deploy recipes, run: `docs/deploy`, as the files stand, around a project whose next release needs a migration
//! before and one behind its roll-out, while processes of both releases serve.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use zdm_runbook::measure;
use zdm_runbook::site::{Options, Programs, Site};
use zdm_testkit::{Django, Server, cache};

/// The next release: `shelf` comes, which its code names; `note` goes, which the old code names.
const MODELS: &str = r"from django.db import models


class Loan(models.Model):
    member = models.CharField(max_length=100)
    copies = models.IntegerField(db_index=True)
    shelf = models.CharField(max_length=20, null=True)
    made = models.DateTimeField(db_index=True)
";

const ADD: &str = r#"from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("library", "0001_initial")]
    operations = [migrations.AddField("loan", "shelf", models.CharField(max_length=20, null=True))]
"#;

const REMOVE: &str = r#"from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("library", "0002_loan_shelf")]
    operations = [migrations.RemoveField("loan", "note")]
"#;

/// A migration that nobody allowed: it stops the deploy before the roll-out.
const WINDOW: &str = r#"from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("library", "0002_loan_shelf")]
    operations = [migrations.AlterField("loan", "copies", models.BigIntegerField(db_index=True))]
"#;

fn folder() -> PathBuf {
    cache::workspace().join("docs/deploy")
}

/// Python with the schemas and a reader of YAML.
fn python() -> PathBuf {
    let dir = cache::root().join("deploy");
    assert!(cache::stamp(&dir).is_some(), "the schemas are not provisioned: run `cargo xtask setup`");
    dir.join("bin/python")
}

fn site() -> Site {
    let programs = Programs::build(Django::get("5.2")).unwrap_or_else(|error| panic!("{error}"));
    let options = Options { rows: 500, ..Options::default() };
    let mut site = Site::prepare("recipe", &Server::shared(17), &programs, &options)
        .and_then(|mut site| site.serve().map(|()| site))
        .unwrap_or_else(|error| panic!("{error}"));
    site.begin().unwrap_or_else(|error| panic!("{error}"));
    for (path, text) in [
        ("library/models.py", MODELS),
        ("library/migrations/0002_loan_shelf.py", ADD),
        ("library/migrations/0003_remove_loan_note.py", REMOVE),
    ] {
        site.write(path, text).unwrap_or_else(|error| panic!("{error}"));
    }
    site
}

/// The columns that the database has now.
fn columns(site: &Site) -> String {
    site.database().connect().value(
        "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = 'library_loan'::regclass AND attnum > 0 AND NOT attisdropped",
    )
}

/// The deploy succeeds, and no request of either release fails.
fn deploys(command: &str) {
    let mut site = site();
    let (status, text) = site.attempt(command).unwrap_or_else(|error| panic!("{error}"));
    assert!(status.success(), "{command}: {status}\n{text}");
    assert_eq!(columns(&site), "id member copies made shelf", "{text}");
    let kinds: Vec<&str> = site.spans.iter().map(|span| span.kind).collect();
    assert!(kinds.contains(&"roll-out"), "{kinds:?}\n{text}");
    let requests = site.close().unwrap_or_else(|error| panic!("{error}"));
    let failed = measure::failed(&requests);
    assert!(failed.is_empty(), "{failed:#?}\n{text}");
}

/// The deploy ends at the gate, nothing is rolled out, and the old release serves on.
fn stops(command: &str) {
    let mut site = site();
    site.write("library/migrations/0003_remove_loan_note.py", WINDOW).unwrap_or_else(|error| panic!("{error}"));
    let (status, text) = site.attempt(command).unwrap_or_else(|error| panic!("{error}"));
    assert!(!status.success(), "{command}\n{text}");
    assert!(text.contains("the gate is closed for library.0003_remove_loan_note"), "{text}");
    assert_eq!(columns(&site), "id member copies note made shelf", "{text}");
    let kinds: Vec<&str> = site.spans.iter().map(|span| span.kind).collect();
    assert!(!kinds.contains(&"roll-out"), "{kinds:?}\n{text}");
    let requests = site.close().unwrap_or_else(|error| panic!("{error}"));
    assert!(measure::failed(&requests).is_empty(), "{text}");
}

fn makefile() -> String {
    format!("make --file {}", folder().join("Makefile").display())
}

#[test]
fn make_deploys() {
    deploys(&format!("{} plan && {0} deploy CHECK='python manage.py check'", makefile()));
}

#[test]
fn make_stops_before_the_roll_out() {
    stops(&format!("{} deploy", makefile()));
}

/// `kubectl` as far as the script needs it: jobs run their command at once and end as their policy says, the Deployment is
/// the site's roll-out.
const KUBECTL: &str = r#"
import json, os, pathlib, subprocess, sys
import yaml

state = pathlib.Path(os.environ["SITE"], "cluster")
state.mkdir(exist_ok=True)
match sys.argv[1:]:
    case ["delete", "job", name, "--ignore-not-found", "--wait"]:
        (state / name).unlink(missing_ok=True)
    case ["create", "-f", "-"]:
        job = yaml.safe_load(sys.stdin)
        name, spec = job["metadata"]["name"], job["spec"]
        [container] = spec["template"]["spec"]["containers"]
        assert container["image"].endswith(":v2"), container["image"]
        fails = [rule["onExitCodes"]["values"] for rule in spec["podFailurePolicy"]["rules"] if "onExitCodes" in rule]
        for attempt in range(spec["backoffLimit"] + 1):
            ended = subprocess.run(container["command"], cwd=os.environ["PROJECT"], capture_output=True, text=True)
            if ended.returncode == 0 or any(ended.returncode in values for values in fails):
                break
        result = {"ends": "Failed" if ended.returncode else "Complete", "log": ended.stdout + ended.stderr, "pods": attempt + 1}
        (state / name).write_text(json.dumps(result))
    case ["get", "job", name, "-o", path]:
        assert path == 'jsonpath={.status.conditions[?(@.status=="True")].type}', path
        print(json.loads((state / name).read_text())["ends"], end="")
    case ["logs", name]:
        print(json.loads((state / name.removeprefix("job/")).read_text())["log"])
    case ["apply", "-f", "-"]:
        web = yaml.safe_load(sys.stdin)
        assert web["spec"]["template"]["metadata"]["labels"]["release"] == "v2"
        (state / "applied").touch()
    case ["rollout", "status", "deployment/web", "--timeout=15m"]:
        (state / "applied").unlink()
        subprocess.run(["roll-out"], check=True)
    case ["wait", "--for=delete", "pod", "--selector", "app=web,release!=v2", "--timeout=15m"]:
        pass
    case other:
        sys.exit(f"kubectl: {other}")
"#;

/// The script with that `kubectl` in front of `PATH`.
fn kubernetes() -> String {
    format!(
        "set -e\nmkdir -p \"$SITE/bin\"\ncat >\"$SITE/kubectl.py\" <<'END'{KUBECTL}END\n\
         printf '#!/bin/sh\\nexec {} \"$SITE/kubectl.py\" \"$@\"\\n' >\"$SITE/bin/kubectl\"\nchmod +x \"$SITE/bin/kubectl\"\n\
         cp -r {} \"$SITE/manifests\"\nPROJECT=$PWD POLL=0.1 \"$SITE/manifests/deploy.sh\" v2",
        python().display(),
        folder().join("kubernetes").display()
    )
}

#[test]
fn kubernetes_deploys() {
    deploys(&kubernetes());
}

#[test]
fn kubernetes_stops_before_the_roll_out() {
    stops(&kubernetes());
}

/// Runs the `run` steps of a workflow's only job as the runner does, with the first failure as the end; `uses` steps and
/// the installation, which the site has behind it, are left out.
const WORKFLOW: &str = r#"
import os, subprocess, sys
import yaml

[job] = yaml.safe_load(open(sys.argv[1]))["jobs"].values()
inputs = dict(argument.split("=", 1) for argument in sys.argv[2:])
ran = 0
for step in job["steps"]:
    if "run" not in step or step.get("name") == "Install":
        continue
    given = {name: inputs[name] for name in step.get("env", {})}
    print("::", step["name"], flush=True)
    ran += 1
    code = subprocess.run(["bash", "-eo", "pipefail", "-c", step["run"]], env={**os.environ, **given}).returncode
    if code:
        sys.exit(code)
assert ran, "no steps"
"#;

fn workflow(name: &str, inputs: &str) -> String {
    format!(
        "cat >\"$SITE/workflow.py\" <<'END'{WORKFLOW}END\n{} \"$SITE/workflow.py\" {} {inputs}",
        python().display(),
        folder().join(name).display()
    )
}

#[test]
fn github_deploys() {
    deploys(&workflow("github.yml", ""));
}

#[test]
fn github_stops_before_the_roll_out_and_a_window_opens() {
    stops(&workflow("github.yml", ""));
    let mut site = site();
    site.write("library/migrations/0003_remove_loan_note.py", WINDOW).unwrap_or_else(|error| panic!("{error}"));
    let command = workflow("github-window.yml", "MIGRATION=library.0003_remove_loan_note MINUTES=1");
    let (status, text) = site.attempt(&command).unwrap_or_else(|error| panic!("{error}"));
    assert!(status.success(), "{status}\n{text}");
    let kind = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute
        WHERE attrelid = 'library_loan'::regclass AND attname = 'copies'";
    assert_eq!(site.database().connect().value(kind), "bigint");
}

fn passes(program: &str, arguments: &[&str], files: &[PathBuf]) {
    let check = |files: &[PathBuf]| {
        let output = Command::new(python().with_file_name(program))
            .args(arguments)
            .args(files)
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (good, said) = check(files);
    assert!(good, "{said}");
    // A validator that accepts anything proves nothing.
    for file in files {
        let text = fs::read_to_string(file).expect("the file is read");
        let spoiled = text.replacen("spec:", "spec:\n  nonsense: 1", 1).replacen("runs-on:", "runs-at:", 1);
        assert_ne!(spoiled, text);
        let name = file.file_name().expect("a name");
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(name);
        fs::write(&path, spoiled).expect("written");
        assert!(!check(&[path]).0, "{}: nonsense is accepted", name.display());
    }
}

fn with_extension(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|it| it == extension)).collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    files
}

#[test]
fn manifests_and_workflows_fit_their_schemas() {
    passes("kubernetes-validate", &["--strict"], &with_extension(&folder().join("kubernetes"), "yaml"));
    passes("check-jsonschema", &["--builtin-schema", "vendor.github-workflows"], &with_extension(&folder(), "yml"));
}

#[test]
fn the_page_shows_the_files() {
    let page = fs::read_to_string(cache::workspace().join("docs/deploy.md")).expect("the page");
    let kubernetes = folder().join("kubernetes");
    let mut files = with_extension(&folder(), "yml");
    files.extend(with_extension(&kubernetes, "yaml"));
    files.extend([folder().join("Makefile"), kubernetes.join("deploy.sh")]);
    for file in files {
        let text = fs::read_to_string(&file).expect("the file is read");
        // The page says of this one that it differs in the phase alone.
        if file.ends_with("migrate-after.yaml") {
            let before = fs::read_to_string(kubernetes.join("migrate-before.yaml")).expect("the file is read");
            assert_eq!(
                text,
                before.replace("migrate-before", "migrate-after").replace("--phase, before", "--phase, after")
            );
        } else {
            assert!(page.contains(&format!("\n{text}```\n")), "docs/deploy.md does not show {}", file.display());
        }
    }
}

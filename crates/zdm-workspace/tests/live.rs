//! A project under an editor ends with the findings of a whole analysis, whatever was typed on the way.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its folders should end")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use zdm_testkit::{Random, copy_folder};
use zdm_workspace::live::Reach;
use zdm_workspace::{Live, Request, Workspace};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/shop")
}

fn request(root: &Path) -> Request {
    Request { current: root.to_owned(), paths: vec![root.to_owned()], ..Request::default() }
}

/// A project that is edited, with a second copy on disk that is read as a whole.
struct Pair {
    live: Live,
    folder: tempfile::TempDir,
    texts: BTreeMap<String, String>,
    base: Option<String>,
}

/// Operations of packages that look back at the history, with what they name made elsewhere.
const LOOKS_BACK: [(&str, &str); 2] = [
    (
        "catalog/migrations/0013_keep.py",
        "import pgtrigger.compiler\nimport pgtrigger.migrations\nfrom django.db import migrations\n\
         from django_add_default_value import AddDefaultValue\n\n\nclass Migration(migrations.Migration):\n    \
         dependencies = [(\"catalog\", \"0012_remove_product_weight\")]\n    operations = [\n        \
         AddDefaultValue(model_name=\"product\", name=\"name\", value=\"x\"),\n        \
         pgtrigger.migrations.AddTrigger(model_name=\"product\", trigger=pgtrigger.compiler.Trigger(name=\"keep\", \
         sql=pgtrigger.compiler.UpsertTriggerSql(func=\"RAISE EXCEPTION 'no';\", hash=\"ab\", operation=\"DELETE\", \
         pgid=\"pgtrigger_keep_1a2b3\", table=\"catalog_product\", when=\"BEFORE\"))),\n    ]\n",
    ),
    (
        "catalog/migrations/0014_let_go.py",
        "import pgtrigger.migrations\nfrom django.db import migrations\n\n\nclass Migration(migrations.Migration):\n    \
         dependencies = [(\"catalog\", \"0013_keep\")]\n    operations = [\n        \
         pgtrigger.migrations.RemoveTrigger(model_name=\"product\", name=\"keep\"),\n    ]\n",
    ),
];

fn git(root: &Path, arguments: &[&str]) {
    let mut git = std::process::Command::new("git");
    git.args(arguments).current_dir(root).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{who}_NAME"), "A").env(format!("GIT_{who}_EMAIL"), "a@example.org");
    }
    let done = git.output().unwrap();
    assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

impl Pair {
    fn new(extra: &[(&str, &str)]) -> Self {
        Self::with_base(extra, None)
    }

    /// On a branch of `main`, where everything but `extra` was merged.
    fn branch(extra: &[(&str, &str)]) -> Self {
        Self::with_base(extra, Some("main"))
    }

    fn with_base(extra: &[(&str, &str)], base: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let live_root = folder.path().join("live");
        let whole_root = folder.path().join("whole");
        for root in [&live_root, &whole_root] {
            copy_folder(&fixture(), root).unwrap();
            if let Some(base) = base {
                git(root, &["init", "-q", "-b", base]);
                git(root, &["add", "-A"]);
                git(root, &["commit", "-q", "-m", "merged"]);
                git(root, &["checkout", "-q", "-b", "feature"]);
            }
            for (path, text) in extra {
                fs::write(root.join(path), text).unwrap();
            }
        }
        let base = base.map(str::to_owned);
        let live = Live::load(Request { base: base.clone(), ..request(&live_root) }, BTreeMap::new()).unwrap();
        let texts = live
            .workspace()
            .files
            .paths()
            .iter()
            .map(|path| (path.to_string(), fs::read_to_string(live_root.join(&**path)).unwrap()))
            .collect();
        Self { live, folder, texts, base }
    }

    fn set(&mut self, path: &str, text: &str) -> Reach {
        fs::write(self.folder.path().join("whole").join(path), text).unwrap();
        self.texts.insert(path.to_owned(), text.to_owned());
        let reach = self.live.set_text(path, text);
        self.live.update().unwrap();
        self.live.refresh(path);
        reach
    }

    fn replace(&mut self, path: &str, from: &str, to: &str) -> Reach {
        let text = self.texts[path].clone();
        assert!(text.contains(from), "{path} has no `{from}`");
        self.set(path, &text.replacen(from, to, 1))
    }

    /// Settles and compares everything with a whole analysis.
    fn compare(&mut self, what: &str) {
        self.live.settle(|| true);
        assert!(self.live.is_settled());
        let request = Request { base: self.base.clone(), ..request(&self.folder.path().join("whole")) };
        let workspace = Workspace::load(&request).unwrap();
        let whole = workspace.analyse(&request).unwrap();
        let mut findings = self.live.findings_without_place().to_vec();
        for path in self.live.paths() {
            findings.extend(self.live.findings(&path).into_iter().cloned());
        }
        assert!(self.live.is_settled(), "{what}: asking changes nothing");
        findings.sort_by(|one, other| one.sort_key().cmp(&other.sort_key()));
        let shown = |diagnostics: &[zdm_source::Diagnostic]| -> Vec<String> {
            diagnostics
                .iter()
                .map(|found| format!("{} {} {}", found.primary.file.path(), found.code.code, found.message))
                .collect()
        };
        assert_eq!(shown(&findings), shown(&whole.diagnostics), "{what}");
        assert_eq!(findings, whole.diagnostics, "{what}");
        let history = self.live.history();
        let replayed = workspace.replay();
        assert_eq!(history.len(), replayed.migrations.len(), "{what}");
        for (index, other) in replayed.migrations.iter().enumerate() {
            let own = history.trace(index).unwrap();
            let key = &other.migration.key;
            assert_eq!(own.migration.key, *key, "{what}");
            assert!(own.state_after.is_same(&other.state_after), "{what}: the state after {key}");
            assert!(own.catalog_after.is_same(&other.catalog_after), "{what}: the catalog after {key}");
            let sql = |trace: &zdm_replay::MigrationTrace| -> Vec<_> {
                trace.steps.iter().map(|step| (step.sql.clone(), step.span, step.outcome.effects.clone())).collect()
            };
            assert_eq!(sql(own), sql(other), "{what}: {key}");
        }
    }
}

/// Django writes several initial migrations of one app where models point at each other; none of its tables has rows.
#[test]
fn initial_migrations_go_together() {
    let mut pair = Pair::new(&[]);
    pair.compare("before");
    let path = "catalog/migrations/0002_supplier.py";
    let found = |pair: &mut Pair| pair.live.findings(path).len();
    assert!(found(&mut pair) > 0, "a foreign key on a table that is in use");
    let class = "class Migration(migrations.Migration):\n";
    pair.replace(path, class, &format!("{class}    initial = True\n"));
    pair.compare("two initial migrations");
    assert_eq!(found(&mut pair), 0);
}

#[test]
fn nothing_edited_is_the_same() {
    let mut pair = Pair::new(&[]);
    pair.compare("at once");
    let path = "orders/migrations/0001_initial.py";
    let text = pair.texts[path].clone();
    assert_eq!(pair.live.set_text(path, &text), Reach::Nothing);
}

#[test]
fn an_edit_reaches_as_far_as_it_must() {
    let mut pair = Pair::new(&[]);
    pair.compare("before");
    let path = "orders/migrations/0001_initial.py";
    assert_eq!(pair.replace(path, "from django", "# a comment\nfrom django"), Reach::Migration);
    let changed = pair.live.settle(|| true);
    assert!(changed.is_empty(), "a comment changes nothing in later migrations: {changed:?}");
    pair.compare("a comment in the first migration");
    assert_eq!(pair.replace("shop/settings.py", "USE_TZ = True", "USE_TZ = False"), Reach::Project);
    pair.compare("a setting");
    assert_eq!(pair.set("orders/models.py", "nobody reads this"), Reach::Nothing);
    pair.compare("models are not read");
}

#[test]
fn migrations_come_and_go() {
    let mut pair = Pair::new(&[]);
    pair.compare("before");
    let text = "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    \
                dependencies = [(\"catalog\", \"0012_remove_product_weight\")]\n    operations = [\n        \
                migrations.AddIndex(\"product\", models.Index(fields=[\"name\"], name=\"by_name\")),\n    ]\n";
    let path = "catalog/migrations/0013_by_name.py";
    assert_eq!(pair.set(path, text), Reach::Project);
    pair.compare("a new migration");
    assert!(pair.live.findings(path).iter().any(|found| found.code.code == "ZDM101"));
    assert_eq!(pair.replace(path, "0012_remove_product_weight", "0011_product_search"), Reach::Migration);
    pair.compare("it makes a second leaf");
    assert_eq!(pair.replace(path, "0011_product_search", "0012_remove_product_weight"), Reach::Migration);
    pair.compare("and no more");
    assert_eq!(pair.replace(path, "class Migration", "class Other"), Reach::Project);
    pair.compare("it has no migration class");
    fs::remove_file(pair.folder.path().join("whole").join(path)).unwrap();
    assert_eq!(pair.live.read_again(path), Reach::Project);
    pair.live.update().unwrap();
    pair.compare("it is gone");
}

/// A slip in the configuration is told in the editor, too, until a migration makes the table.
#[test]
fn tables_that_no_migration_makes_are_told() {
    let mut pair = Pair::new(&[("zdm.toml", "[tables]\ncatalog_prodct = { hot = true }\n")]);
    pair.compare("before");
    let told = |pair: &mut Pair| {
        let found = pair.live.findings("zdm.toml");
        found.iter().filter(|found| found.code.code == "ZDM909").count()
    };
    assert_eq!(told(&mut pair), 1);
    assert!(pair.live.paths().contains("zdm.toml"));
    let path = "catalog/migrations/0013_made.py";
    let text = "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    \
                dependencies = [(\"catalog\", \"0012_remove_product_weight\")]\n    operations = [\n        \
                migrations.CreateModel(\"Prodct\", [(\"id\", models.BigAutoField(primary_key=True))]),\n    ]\n";
    pair.set(path, text);
    pair.compare("a migration makes the table");
    assert_eq!(told(&mut pair), 0);
    pair.replace(path, "\"Prodct\"", "\"Thing\"");
    assert!(pair.live.settle(|| true).contains("zdm.toml"));
    pair.compare("and another one instead");
    assert_eq!(told(&mut pair), 1);
}

#[test]
fn a_module_that_migrations_import_concerns_them() {
    let helper = "catalog/defaults.py";
    let mut pair = Pair::new(&[(helper, "LENGTH = 30\n")]);
    let path = "catalog/migrations/0012_remove_product_weight.py";
    let text = pair.texts[path].clone();
    let text = text
        .replacen("from django", "from catalog.defaults import LENGTH\nfrom django", 1)
        .replacen("operations = [", "operations = [\n        migrations.AddField(\"product\", \"extra\", models.CharField(max_length=LENGTH, null=True)),\n", 1)
        .replace("import migrations\n", "import migrations, models\n");
    pair.set(path, &text);
    pair.compare("it imports");
    assert_eq!(pair.set(helper, "LENGTH = 31\n"), Reach::Project);
    pair.compare("what it imports changed");
}

#[test]
fn what_looks_back_is_completed_without_reading_the_project_again() {
    let mut pair = Pair::new(&LOOKS_BACK);
    pair.compare("before");
    let [(keep, _), (let_go, _)] = LOOKS_BACK;
    let sql = |pair: &Pair, path: &str| -> String {
        let steps = &pair.live.trace(path).unwrap().steps;
        steps.iter().map(|step| step.sql.to_string()).collect::<Vec<_>>().join("; ")
    };
    assert!(sql(&pair, let_go).contains("pgtrigger_keep_1a2b3"), "{}", sql(&pair, let_go));
    assert_eq!(pair.replace(keep, "pgtrigger_keep_1a2b3", "pgtrigger_keep_9z9z9"), Reach::Migration);
    pair.compare("the trigger has another name");
    assert!(sql(&pair, let_go).contains("pgtrigger_keep_9z9z9"), "{}", sql(&pair, let_go));
    let first = "catalog/migrations/0001_initial.py";
    assert_eq!(pair.replace(first, "class Migration", "# a comment\nclass Migration"), Reach::Migration);
    pair.compare("a comment far away");
    assert_eq!(pair.replace(keep, "name=\"keep\"", "name=\"other\""), Reach::Migration);
    pair.compare("what is removed was never added");
    assert_eq!(pair.replace(keep, "name=\"other\"", "name=\"keep\""), Reach::Migration);
    pair.compare("and is there again");
    assert_eq!(pair.replace(let_go, "RemoveTrigger(", "NoSuchThing("), Reach::Migration);
    pair.compare("nothing looks back there any more");
}

#[test]
fn a_branch_is_followed() {
    let add = "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    \
               dependencies = [(\"catalog\", \"0012_remove_product_weight\")]\n    operations = [\n        \
               migrations.CreateModel(\"Sticker\", [(\"id\", models.BigAutoField(primary_key=True)), (\"name\", models.TextField())]),\n    ]\n";
    let index = "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    \
                 dependencies = [(\"catalog\", \"0013_sticker\")]\n    operations = [\n        \
                 migrations.AddIndex(\"sticker\", models.Index(fields=[\"name\"], name=\"by_name\")),\n        \
                 migrations.RemoveField(\"product\", \"name\"),\n    ]\n";
    let (tag, by_name) = ("catalog/migrations/0013_sticker.py", "catalog/migrations/0014_by_name.py");
    let mut pair = Pair::branch(&[(tag, add), (by_name, index)]);
    pair.compare("at once");
    let codes = |pair: &mut Pair, path: &str| -> Vec<&'static str> {
        pair.live.findings(path).iter().map(|found| found.code.code).collect()
    };
    assert!(!codes(&mut pair, by_name).contains(&"ZDM101"), "the table is new in this release");
    let merged = "payments/migrations/0008_delete_refund.py";
    assert!(codes(&mut pair, merged).is_empty(), "it was merged");
    assert!(!pair.live.judgements(merged).is_empty());
    pair.replace(tag, "CreateModel(\"Sticker\"", "CreateModel(\"Label\"");
    pair.compare("the table has another name");
    pair.replace(tag, "CreateModel(\"Label\"", "CreateModel(\"Sticker\"");
    let text = pair.texts[merged].clone();
    pair.replace(merged, "Refund", "Invoice");
    pair.compare("a merged migration is edited");
    assert!(codes(&mut pair, merged).contains(&"ZDM607"));
    pair.set(merged, &text.replace('\n', "\r\n"));
    pair.compare("other line ends only");
    assert!(codes(&mut pair, merged).is_empty());
    pair.set(merged, &text);
    pair.compare("and back");
    pair.replace(by_name, "RemoveField(\"product\", \"name\")", "RunPython(print)");
    pair.compare("another operation");
    // It is committed and merged while the editor is open.
    for root in ["live", "whole"] {
        let root = pair.folder.path().join(root);
        for (path, text) in [(tag, pair.texts[tag].clone()), (by_name, pair.texts[by_name].clone())] {
            fs::write(root.join(path), text).unwrap();
        }
        git(&root, &["add", "-A"]);
        git(&root, &["commit", "-q", "-m", "more"]);
        git(&root, &["branch", "-f", "main", "feature"]);
    }
    for path in [tag, by_name] {
        pair.live.read_again(path);
    }
    pair.compare("it was merged");
    assert!(codes(&mut pair, by_name).is_empty());
}

#[test]
fn random_edits_end_where_a_whole_analysis_does() {
    random_edits(Pair::new(&[]), 0x5EED_2026_1120, 25);
}

#[test]
fn random_edits_beside_what_looks_back() {
    random_edits(Pair::new(&LOOKS_BACK), 0x5EED_2026_1121, 12);
}

#[test]
fn random_edits_on_a_branch() {
    random_edits(Pair::branch(&LOOKS_BACK), 0x5EED_2026_1122, 12);
}

fn random_edits(mut pair: Pair, seed: u64, rounds: usize) {
    let pieces = [
        "(",
        ")",
        "[",
        "]",
        ",",
        "\"",
        "'",
        "\n",
        " ",
        "#",
        "x",
        "0",
        "=",
        ".",
        "null=True",
        "# zdm: ignore[ZDM1] so\n",
        "migrations.RunSQL(\"DROP TABLE orders_order\"),\n",
        "atomic = False\n",
        "models.TextField()",
        "é",
    ];
    let paths: Vec<String> = pair.texts.keys().filter(|path| path.contains("/migrations/0")).cloned().collect();
    let originals = pair.texts.clone();
    let mut random = Random::new(seed);
    for round in 0..rounds {
        for _ in 0..12 {
            let path = random.pick(&paths).clone();
            let text = pair.texts[&path].clone();
            let boundaries: Vec<usize> = (0..=text.len()).filter(|index| text.is_char_boundary(*index)).collect();
            let edited = match random.below(8) {
                0 => originals[&path].clone(),
                1 | 2 => {
                    let lines: Vec<&str> = text.lines().collect();
                    let gone = random.below(lines.len());
                    let kept = lines.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, line)| *line);
                    kept.flat_map(|line| [line, "\n"]).collect()
                }
                3 => text.replacen(random.pick(&["True", "CharField", "Add", "max_length", "name", "0001"]), "", 1),
                4 => {
                    let (start, end) = (*random.pick(&boundaries), *random.pick(&boundaries));
                    let (start, end) = (start.min(end), start.max(end).min(start.min(end) + 20));
                    let end = boundaries.iter().copied().find(|at| *at >= end).unwrap_or(text.len());
                    format!("{}{}", &text[..start], &text[end..])
                }
                _ => {
                    let at = *random.pick(&boundaries);
                    format!("{}{}{}", &text[..at], random.pick(&pieces), &text[at..])
                }
            };
            pair.set(&path, &edited);
            let mut steps = random.below(6);
            if steps > 0 {
                pair.live.settle(|| {
                    steps -= 1;
                    steps > 0
                });
            }
        }
        pair.compare(&format!("round {round}"));
    }
}

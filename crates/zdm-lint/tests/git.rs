//! `--base` on hard cases, through the binary: what is reported as new, and what about migrations that were merged.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const HEAD: &str = "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n";

fn initial(model: &str) -> String {
    format!(
        "{HEAD}    dependencies = []\n    operations = [\n        migrations.CreateModel(\n            name=\"{model}\",\n            fields=[(\"id\", models.BigAutoField(primary_key=True)), (\"number\", models.CharField(max_length=20))],\n        ),\n    ]\n"
    )
}

/// One finding: ZDM101.
fn index(app: &str, after: &str, model: &str, name: &str) -> String {
    format!(
        "{HEAD}    dependencies = [(\"{app}\", \"{after}\")]\n    operations = [\n        migrations.AddIndex(\"{model}\", models.Index(fields=[\"number\"], name=\"{name}\")),\n    ]\n"
    )
}

/// `main` holds `shop.0001_initial` and `shop.0002_index`; the branch `work` is checked out.
struct Repo {
    _guard: Option<TempDir>,
    path: PathBuf,
}

impl Repo {
    fn new() -> Self {
        let guard = tempfile::tempdir().unwrap();
        let path = guard.path().join("project");
        fs::create_dir(&path).unwrap();
        let repo = Self { _guard: Some(guard), path };
        repo.git("init -q -b main");
        repo.write("manage.py", "");
        for name in ["shop/__init__.py", "shop/migrations/__init__.py"] {
            repo.write(name, "");
        }
        repo.write("shop/migrations/0001_initial.py", initial("Order"));
        repo.write("shop/migrations/0002_index.py", index("shop", "0001_initial", "order", "order_a_idx"));
        repo.commit();
        repo.git("checkout -q -b work");
        repo
    }

    fn git(&self, arguments: &str) {
        let output = Command::new("git")
            .current_dir(&self.path)
            .args(["-c", "protocol.file.allow=always", "-c", "commit.gpgsign=false", "-c", "core.autocrlf=false"])
            .args(["-c", "user.name=A", "-c", "user.email=a@example.org"])
            .args(arguments.split(' '))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path.join(path)).unwrap()
    }

    fn commit(&self) {
        self.git("add -A");
        self.git("commit -q --allow-empty -m more");
    }

    fn new_index(&self) {
        self.write("shop/migrations/0003_new.py", index("shop", "0002_index", "order", "order_b_idx"));
    }

    /// The findings since `base`, as `file code`, sorted; findings on a deleted file have the file that is gone.
    #[track_caller]
    fn check(&self, base: &str, expected: &[&str]) {
        check(&self.path, base, expected);
    }
}

#[track_caller]
fn check(folder: &Path, base: &str, expected: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_zdm-lint"))
        .args(["--base", base, "--format", "json", "--postgres", "16", "--django", "5.2"])
        .current_dir(folder)
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_ne!(output.status.code(), Some(2), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut found: Vec<String> = report["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| format!("{} {}", finding["path"].as_str().unwrap(), finding["code"].as_str().unwrap()))
        .collect();
    found.sort();
    assert_eq!(found, expected);
}

const NEW: &str = "shop/migrations/0003_new.py ZDM101";

#[test]
fn only_what_the_branch_adds() {
    let repo = Repo::new();
    repo.check("main", &[]);
    repo.new_index();
    repo.check("main", &[NEW]);
    repo.git("add -A");
    repo.check("main", &[NEW]);
    repo.commit();
    repo.check("main", &[NEW]);
    // What main gained since is not ours, merged or not.
    repo.git("checkout -q main");
    repo.write("shop/migrations/0004_theirs.py", index("shop", "0002_index", "order", "order_c_idx"));
    repo.commit();
    repo.git("checkout -q work");
    repo.check("main", &[NEW]);
    repo.git("merge -q --no-edit main");
    let merge = format!(
        "{HEAD}    dependencies = [(\"shop\", \"0003_new\"), (\"shop\", \"0004_theirs\")]\n    operations = []\n"
    );
    repo.write("shop/migrations/0005_merge.py", merge);
    repo.check("main", &[NEW]);
}

#[test]
fn an_edit_after_the_merge() {
    let repo = Repo::new();
    let text = repo.read("shop/migrations/0002_index.py");
    repo.write("shop/migrations/0002_index.py", text.replace("order_a_idx", "order_z_idx"));
    repo.check("main", &["shop/migrations/0002_index.py ZDM101", "shop/migrations/0002_index.py ZDM607"]);
    // On main itself, after the commit: the commit before is the base.
    repo.commit();
    repo.git("branch -f main");
    repo.check("main", &[]);
    repo.check("HEAD~1", &["shop/migrations/0002_index.py ZDM101", "shop/migrations/0002_index.py ZDM607"]);
}

#[test]
fn what_the_branch_makes_is_used_by_nobody() {
    let repo = Repo::new();
    repo.write(
        "shop/migrations/0003_item.py",
        initial("Item").replace("[]\n    op", "[(\"shop\", \"0002_index\")]\n    op"),
    );
    repo.write("shop/migrations/0004_index.py", index("shop", "0003_item", "item", "item_a_idx"));
    repo.check("main", &[]);
}

#[test]
fn what_an_edited_or_squashed_migration_makes_is_in_production() {
    let repo = Repo::new();
    let text = repo.read("shop/migrations/0001_initial.py");
    repo.write("shop/migrations/0001_initial.py", text.replace("max_length=20", "max_length=21"));
    repo.new_index();
    repo.check("main", &["shop/migrations/0001_initial.py ZDM607", NEW]);
    repo.git("reset -q --hard main");
    let squash = initial("Order").replace(
        "    dependencies",
        "    replaces = [(\"shop\", \"0001_initial\"), (\"shop\", \"0002_index\")]\n    dependencies",
    );
    repo.write("shop/migrations/0001_squashed_0002_index.py", squash);
    repo.new_index();
    repo.check("main", &[NEW]);
}

#[test]
fn white_space_line_ends_modes_and_comments_are_no_edit() {
    let repo = Repo::new();
    let text = repo.read("shop/migrations/0002_index.py");
    repo.write("shop/migrations/0002_index.py", text.replace('\n', "\r\n"));
    repo.check("main", &[]);
    repo.write("shop/migrations/0002_index.py", text.replace("\n\n", "\n\n\n\n"));
    repo.check("main", &[]);
    repo.write("shop/migrations/0002_index.py", &text);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let path = repo.path.join("shop/migrations/0002_index.py");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        repo.check("main", &[]);
        repo.commit();
        repo.check("main", &[]);
    }
    // A comment makes the file new to the report, but it is no edit of the migration.
    repo.write("shop/migrations/0002_index.py", format!("# why\n{text}"));
    repo.check("main", &["shop/migrations/0002_index.py ZDM101"]);
}

#[test]
fn deleted_renamed_and_squashed() {
    let repo = Repo::new();
    repo.git("rm -q shop/migrations/0002_index.py");
    repo.check("main", &["shop/migrations/0002_index.py ZDM607"]);
    repo.commit();
    repo.check("main", &["shop/migrations/0002_index.py ZDM607"]);
    repo.git("reset -q --hard main");
    repo.git("mv shop/migrations/0002_index.py shop/migrations/0002_better_name.py");
    repo.check("main", &["shop/migrations/0002_better_name.py ZDM101", "shop/migrations/0002_better_name.py ZDM607"]);
    // Out of the migrations altogether.
    repo.git("reset -q --hard main");
    repo.write("attic/x", "");
    repo.git("mv shop/migrations/0002_index.py attic/0002_index.py");
    repo.check("main", &["shop/migrations/0002_index.py ZDM607"]);
    // Squashed: the new one says what it replaces.
    repo.git("reset -q --hard main");
    repo.git("rm -q shop/migrations/0001_initial.py shop/migrations/0002_index.py");
    let squashed = initial("Order").replace(
        "    dependencies = []\n",
        "    replaces = [(\"shop\", \"0001_initial\"), (\"shop\", \"0002_index\")]\n    dependencies = []\n",
    );
    repo.write("shop/migrations/0001_squashed.py", squashed);
    repo.check("main", &[]);
}

#[test]
fn moved_between_apps() {
    let repo = Repo::new();
    repo.write("stock/__init__.py", "");
    repo.write("stock/migrations/__init__.py", "");
    repo.write("stock/migrations/0001_initial.py", initial("Item"));
    repo.commit();
    repo.git("branch -f main");
    repo.git("mv shop/migrations/0002_index.py stock/migrations/0002_index.py");
    let text = repo.read("stock/migrations/0002_index.py");
    repo.write(
        "stock/migrations/0002_index.py",
        text.replace("\"shop\"", "\"stock\"").replace("\"order\"", "\"item\""),
    );
    repo.check("main", &["stock/migrations/0002_index.py ZDM101", "stock/migrations/0002_index.py ZDM607"]);
}

#[test]
fn an_app_that_moves_with_its_label_keeps_its_migrations() {
    let repo = Repo::new();
    repo.write("src/x", "");
    repo.git("mv shop src/shop");
    repo.check("main", &[]);
    repo.write("src/shop/migrations/0003_new.py", index("shop", "0002_index", "order", "order_b_idx"));
    repo.check("main", &["src/shop/migrations/0003_new.py ZDM101"]);
    let text = repo.read("src/shop/migrations/0002_index.py");
    repo.write("src/shop/migrations/0002_index.py", text.replace("order_a_idx", "order_z_idx"));
    repo.check(
        "main",
        &[
            "src/shop/migrations/0002_index.py ZDM101",
            "src/shop/migrations/0002_index.py ZDM607",
            "src/shop/migrations/0003_new.py ZDM101",
        ],
    );
}

#[test]
fn an_app_whose_label_changes_or_that_goes() {
    let repo = Repo::new();
    repo.git("mv shop store");
    let text = repo.read("store/migrations/0002_index.py");
    repo.write("store/migrations/0002_index.py", text.replace("\"shop\"", "\"store\""));
    repo.check(
        "main",
        // Nobody uses the tables of the new label yet.
        &["store/migrations/0001_initial.py ZDM607", "store/migrations/0002_index.py ZDM607"],
    );
    repo.git("reset -q --hard main");
    repo.write("stock/__init__.py", "");
    repo.write("stock/migrations/__init__.py", "");
    repo.write("stock/migrations/0001_initial.py", initial("Item").replace("number", "code"));
    repo.commit();
    repo.git("branch -f main");
    repo.git("rm -rq shop");
    repo.check("main", &["shop/migrations/0001_initial.py ZDM607", "shop/migrations/0002_index.py ZDM607"]);
}

#[test]
fn several_merge_bases_worktrees_and_a_detached_head() {
    let repo = Repo::new();
    repo.new_index();
    repo.commit();
    repo.git("checkout -q main");
    repo.write("shop/migrations/0003_theirs.py", index("shop", "0002_index", "order", "order_c_idx"));
    repo.commit();
    repo.git("branch theirs");
    repo.git("branch ours work");
    repo.git("merge -q --no-edit ours");
    repo.git("checkout -q work");
    repo.git("merge -q --no-edit theirs");
    // Both leaves are merged; the branch adds what joins them.
    let merge = format!(
        "{HEAD}    dependencies = [(\"shop\", \"0003_new\"), (\"shop\", \"0003_theirs\")]\n    operations = [\n        migrations.AddIndex(\"order\", models.Index(fields=[\"number\"], name=\"order_d_idx\")),\n    ]\n"
    );
    repo.write("shop/migrations/0004_merge.py", merge);
    repo.commit();
    let expected = ["shop/migrations/0004_merge.py ZDM101"];
    repo.check("main", &expected);
    repo.git("checkout -q --detach");
    repo.check("main", &expected);
    repo.git("worktree add -q ../linked work");
    check(&repo.path.parent().unwrap().join("linked"), "main", &expected);
}

#[test]
fn an_app_in_a_submodule() {
    let inner = Repo::new();
    let repo = Repo::new();
    repo.git(&format!("submodule --quiet add {} lib", inner.path.display()));
    repo.git("mv shop market");
    let text = repo.read("market/migrations/0002_index.py").replace("\"shop\"", "\"market\"");
    repo.write("market/migrations/0002_index.py", text);
    repo.commit();
    repo.git("branch -f main");
    repo.check("main", &[]);
    repo.write("lib/shop/migrations/0003_new.py", index("shop", "0002_index", "order", "order_b_idx"));
    repo.check("main", &["lib/shop/migrations/0003_new.py ZDM101"]);
}

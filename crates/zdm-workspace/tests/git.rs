//! What changed since the merge-base, on real repositories made with the git command.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its repository should end")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use zdm_workspace::base::auto;
use zdm_workspace::changes::{ChangeKind, ChangeSet, changes};
use zdm_workspace::{Error, discover, walk};

/// A repository in a temporary directory, on the branch `main`.
struct Repo {
    _guard: Option<TempDir>,
    path: PathBuf,
}

const A: &str = "class Migration:\n    operations = [\n        one,\n        two,\n        three,\n    ]\n";
const B: &str = "class Migration:\n    dependencies = []\n    operations = [RunSQL('select 1')]\n";

impl Repo {
    fn new() -> Self {
        let guard = tempfile::tempdir().unwrap();
        let path = guard.path().join("project");
        fs::create_dir(&path).unwrap();
        let repo = Self { _guard: Some(guard), path };
        repo.git("init -q -b main");
        repo
    }

    /// `main` holds a/migrations/0001.py and README; the branch `work` is checked out.
    fn with_history() -> Self {
        let repo = Self::new();
        repo.write("a/migrations/0001.py", A);
        repo.write("README", "hello\n");
        repo.commit("first");
        repo.git("checkout -q -b work");
        repo
    }

    fn git(&self, arguments: &str) -> String {
        self.run(&arguments.split(' ').collect::<Vec<_>>())
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(&self.path)
            .args(["-c", "protocol.file.allow=always", "-c", "commit.gpgsign=false", "-c", "core.autocrlf=false"])
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@example.org")])
            .envs([("GIT_COMMITTER_NAME", "A"), ("GIT_COMMITTER_EMAIL", "a@example.org")])
            .output()
            .expect("git is installed");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        assert!(output.status.success(), "git {arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn commit(&self, message: &str) -> String {
        self.git("add -A");
        self.run(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git("rev-parse HEAD")
    }

    fn changes(&self, reference: &str) -> ChangeSet {
        changes(&self.path, reference).unwrap()
    }
}

/// One line per file: a letter as `git status` writes it, and the path.
fn lines(set: &ChangeSet) -> Vec<String> {
    set.files
        .iter()
        .map(|(path, change)| match &change.kind {
            ChangeKind::Added => format!("A {path}"),
            ChangeKind::Modified => format!("M {path}"),
            ChangeKind::Deleted => format!("D {path}"),
            ChangeKind::Renamed { from, modified: false } => format!("R {from} -> {path}"),
            ChangeKind::Renamed { from, modified: true } => format!("RM {from} -> {path}"),
            ChangeKind::Whitespace => format!("w {path}"),
            ChangeKind::Mode => format!("m {path}"),
        })
        .collect()
}

#[track_caller]
fn check(repo: &Repo, reference: &str, expected: &[&str]) {
    assert_eq!(lines(&repo.changes(reference)), expected);
}

#[test]
fn nothing_changed() {
    check(&Repo::with_history(), "main", &[]);
}

#[test]
fn committed_staged_unstaged_and_untracked_are_one_set() {
    let repo = Repo::with_history();
    repo.write("a/migrations/0002.py", "committed");
    repo.commit("second");
    repo.write("a/migrations/0003.py", "staged");
    repo.git("add -A");
    repo.write("a/migrations/0001.py", A.replace("two", "2"));
    repo.write("b/migrations/0001.py", "untracked in a new folder");
    check(
        &repo,
        "main",
        &["M a/migrations/0001.py", "A a/migrations/0002.py", "A a/migrations/0003.py", "A b/migrations/0001.py"],
    );
    let set = repo.changes("main");
    assert_eq!(set.files["a/migrations/0001.py"].before.as_ref().unwrap().text(), A);
    assert_eq!(set.merge_bases, [repo.git("rev-parse main")]);
    assert!(set.is_changed("a/migrations/0003.py") && !set.is_changed("README"));
}

#[test]
fn what_the_base_gained_since_is_not_ours() {
    let repo = Repo::with_history();
    repo.write("a/migrations/0002_ours.py", "ours");
    repo.commit("ours");
    repo.git("checkout -q main");
    repo.write("a/migrations/0002_theirs.py", "theirs");
    repo.commit("theirs");
    repo.git("checkout -q work");
    check(&repo, "main", &["A a/migrations/0002_ours.py"]);
    repo.git("merge -q --no-edit main");
    check(&repo, "main", &["A a/migrations/0002_ours.py"]);
}

#[test]
fn undone_in_the_working_tree_is_not_a_change() {
    let repo = Repo::with_history();
    repo.write("a/migrations/0001.py", B);
    repo.commit("changed");
    repo.write("a/migrations/0001.py", A);
    check(&repo, "main", &[]);
}

#[test]
fn deletions_and_renames() {
    let repo = Repo::with_history();
    repo.write("a/migrations/0002.py", B);
    repo.commit("more");
    repo.git("branch -f main");
    repo.git("rm -q a/migrations/0002.py");
    check(&repo, "main", &["D a/migrations/0002.py"]);
    assert_eq!(repo.changes("main").files["a/migrations/0002.py"].before.as_ref().unwrap().text(), B);
    repo.git("reset -q --hard");
    fs::remove_file(repo.path.join("a/migrations/0002.py")).unwrap();
    check(&repo, "main", &["D a/migrations/0002.py"]);
    repo.git("reset -q --hard");
    repo.git("mv a/migrations/0001.py a/migrations/0001_initial.py");
    check(&repo, "main", &["R a/migrations/0001.py -> a/migrations/0001_initial.py"]);
    // Moved to another app by hand, not staged, and changed a little.
    repo.git("reset -q --hard");
    fs::remove_file(repo.path.join("a/migrations/0001.py")).unwrap();
    repo.write("b/migrations/0001.py", A.replace("three", "3"));
    check(&repo, "main", &["RM a/migrations/0001.py -> b/migrations/0001.py"]);
    let set = repo.changes("main");
    let gone: Vec<&str> = set.gone().into_iter().map(|(path, _)| path).collect();
    assert_eq!(gone, ["a/migrations/0001.py"]);
    assert_eq!(set.files["b/migrations/0001.py"].before.as_ref().unwrap().path(), "a/migrations/0001.py");
}

#[test]
#[cfg(unix)]
fn mode_whitespace_and_line_ends_are_told_apart() {
    use std::os::unix::fs::PermissionsExt;
    let repo = Repo::with_history();
    fs::set_permissions(repo.path.join("a/migrations/0001.py"), fs::Permissions::from_mode(0o755)).unwrap();
    check(&repo, "main", &["m a/migrations/0001.py"]);
    repo.commit("executable");
    check(&repo, "main", &["m a/migrations/0001.py"]);
    repo.write("a/migrations/0001.py", A.replace('\n', "\r\n"));
    check(&repo, "main", &["w a/migrations/0001.py"]);
    repo.write("a/migrations/0001.py", format!("\n{}\n\n", A.replace("[\n", "[   \n")));
    repo.commit("blank");
    check(&repo, "main", &["w a/migrations/0001.py"]);
    assert!(!repo.changes("main").is_changed("a/migrations/0001.py"));
    // Indentation is syntax.
    repo.write("a/migrations/0001.py", A.replace("    operations", "  operations"));
    check(&repo, "main", &["M a/migrations/0001.py"]);
}

#[test]
fn line_ends_that_git_itself_converts_are_no_change() {
    let repo = Repo::new();
    repo.write(".gitattributes", "*.py text eol=crlf\n");
    repo.write("a/migrations/0001.py", A);
    repo.commit("first");
    fs::remove_file(repo.path.join("a/migrations/0001.py")).unwrap();
    repo.git("checkout -q -- .");
    let text = fs::read_to_string(repo.path.join("a/migrations/0001.py")).unwrap();
    assert!(text.contains("\r\n"), "git wrote CRLF");
    let set = repo.changes("main");
    assert!(!set.is_changed("a/migrations/0001.py"), "{set:?}");
}

#[test]
fn several_merge_bases() {
    // A criss-cross: each side merged the other's first commit, so that there are two best common ancestors.
    let repo = Repo::with_history();
    repo.write("a/migrations/0002_w.py", "w");
    repo.commit("w");
    repo.git("checkout -q main");
    repo.write("a/migrations/0002_m.py", "m");
    repo.commit("m");
    repo.git("branch m1");
    repo.git("branch w1 work");
    repo.git("merge -q --no-edit w1");
    repo.git("checkout -q work");
    repo.git("merge -q --no-edit m1");
    repo.write("a/migrations/0003.py", "new");
    repo.commit("new");
    let set = repo.changes("main");
    assert_eq!(set.merge_bases.len(), 2);
    assert_eq!(lines(&set), ["A a/migrations/0003.py"], "what either base holds is merged");
}

#[test]
fn detached_head_and_other_names_for_the_base() {
    let repo = Repo::with_history();
    repo.write("a/migrations/0002.py", "new");
    repo.commit("new");
    let first = repo.git("rev-parse main");
    repo.run(&["tag", "-a", "v1", "-m", "release", "main"]);
    repo.git("checkout -q --detach");
    for reference in ["main", "v1", "HEAD~1", &first, &first[..10], "refs/heads/main"] {
        check(&repo, reference, &["A a/migrations/0002.py"]);
    }
}

#[test]
fn a_branch_that_only_the_remote_has() {
    let repo = Repo::with_history();
    repo.git("update-ref refs/remotes/origin/trunk main");
    repo.run(&["remote", "add", "origin", "https://example.org/x"]);
    repo.write("a/migrations/0002.py", "new");
    check(&repo, "trunk", &["A a/migrations/0002.py"]);
    assert_eq!(repo.changes("trunk").reference, "origin/trunk");
}

#[test]
fn linked_worktrees() {
    let repo = Repo::with_history();
    repo.git("worktree add -q ../linked -b other main");
    let linked = Repo { _guard: None, path: repo.path.parent().unwrap().join("linked") };
    linked.write("a/migrations/0002.py", "new");
    check(&linked, "main", &["A a/migrations/0002.py"]);
    check(&repo, "main", &[]);
}

#[test]
fn a_project_below_the_root_sees_only_its_own_files() {
    let repo = Repo::new();
    repo.write("backend/a/migrations/0001.py", A);
    repo.write("backend2/x.py", "x");
    repo.commit("first");
    repo.git("checkout -q -b work");
    repo.write("backend/a/migrations/0002.py", "new");
    repo.write("backend2/x.py", "y");
    repo.write("other.py", "new");
    let set = changes(&repo.path.join("backend"), "main").unwrap();
    assert_eq!(lines(&set), ["A a/migrations/0002.py"]);
    // Moved into the project from outside: new here.
    fs::rename(repo.path.join("backend2/x.py"), repo.path.join("backend/x.py")).unwrap();
    let set = changes(&repo.path.join("backend"), "main").unwrap();
    assert_eq!(lines(&set), ["A a/migrations/0002.py", "A x.py"]);
}

#[test]
fn names_that_look_like_patterns_are_names() {
    let repo = Repo::new();
    repo.write("b[a]ck/a/migrations/0001.py", A);
    repo.write("back/a/migrations/0001.py", A);
    repo.commit("first");
    repo.write("b[a]ck/a/migrations/0002 ü.py", "new");
    repo.write("back/a/migrations/0002.py", "new");
    let set = changes(&repo.path.join("b[a]ck"), "main").unwrap();
    assert_eq!(lines(&set), ["A a/migrations/0002 ü.py"]);
}

#[test]
fn submodules_are_entered() {
    let inner = Repo::new();
    inner.write("migrations/0001.py", A);
    inner.commit("first");
    let repo = Repo::with_history();
    repo.run(&["submodule", "--quiet", "add", inner.path.to_str().unwrap(), "app"]);
    repo.commit("submodule");
    repo.git("branch -f main");
    let inside = Repo { _guard: None, path: repo.path.join("app") };
    inside.write("migrations/0002.py", "committed in the submodule");
    inside.commit("second");
    inside.write("migrations/0003.py", "untracked in the submodule");
    inside.write("migrations/0001.py", B);
    check(&repo, "main", &["M app/migrations/0001.py", "A app/migrations/0002.py", "A app/migrations/0003.py"]);
    repo.git("add app");
    repo.run(&["commit", "-q", "-m", "newer submodule"]);
    check(&repo, "main", &["M app/migrations/0001.py", "A app/migrations/0002.py", "A app/migrations/0003.py"]);
    // The project may also be the submodule itself, which has its own history.
    let set = changes(&inside.path, "main~1").unwrap();
    assert_eq!(lines(&set), ["M migrations/0001.py", "A migrations/0002.py", "A migrations/0003.py"]);
}

#[test]
fn a_submodule_that_is_not_checked_out_is_said() {
    let inner = Repo::new();
    inner.write("migrations/0001.py", A);
    inner.commit("first");
    let repo = Repo::with_history();
    repo.run(&["submodule", "--quiet", "add", inner.path.to_str().unwrap(), "app"]);
    repo.commit("submodule");
    repo.git("submodule --quiet deinit -f app");
    fs::remove_dir_all(repo.path.join(".git/modules")).unwrap();
    let set = repo.changes("main");
    assert_eq!(set.notes, ["the submodule `app` is not checked out; its files were not compared"]);
}

#[test]
fn a_shallow_clone_without_the_merge_base_says_what_to_set() {
    let repo = Repo::with_history();
    for number in 2..6 {
        repo.write(&format!("a/migrations/000{number}.py"), "new");
        repo.commit("more");
    }
    let url = format!("file://{}", repo.path.display());
    repo.run(&["clone", "-q", "--depth", "1", "--no-single-branch", "-b", "work", &url, "../shallow"]);
    let shallow = Repo { _guard: None, path: repo.path.parent().unwrap().join("shallow") };
    let error = changes(&shallow.path, "origin/main").unwrap_err();
    assert!(matches!(error, Error::Shallow { .. }), "{error}");
    let help = error.help().unwrap();
    for word in ["fetch-depth: 0", "GIT_DEPTH: 0", "git fetch --unshallow"] {
        assert!(help.contains(word), "{help}");
    }
    // Deep enough is good enough.
    shallow.git("fetch -q --depth 10");
    check(
        &shallow,
        "origin/main",
        &["A a/migrations/0002.py", "A a/migrations/0003.py", "A a/migrations/0004.py", "A a/migrations/0005.py"],
    );
    // Without the branch at all.
    repo.run(&["clone", "-q", "--depth", "1", "-b", "work", &url, "../single"]);
    let single = repo.path.parent().unwrap().join("single");
    let error = changes(&single, "main").unwrap_err();
    assert!(matches!(error, Error::NoReference { shallow: true, .. }), "{error}");
    assert!(error.help().unwrap().contains("git fetch origin main:refs/remotes/origin/main"));
}

#[test]
fn failures_say_what_and_how() {
    let repo = Repo::with_history();
    let error = changes(&repo.path, "mian").unwrap_err();
    assert_eq!(error.to_string(), "git knows no `mian`");
    assert!(error.help().unwrap().starts_with("did you mean `main`?"), "{:?}", error.help());
    repo.git("checkout -q --orphan lonely");
    repo.commit("no history");
    let error = changes(&repo.path, "main").unwrap_err();
    assert_eq!(error.to_string(), "`main` and HEAD have no common ancestor");
    let empty = Repo::new();
    let error = changes(&empty.path, "main").unwrap_err();
    assert!(matches!(error, Error::NoCommit(_)), "{error}");
    let outside = tempfile::tempdir().unwrap();
    let error = changes(outside.path(), "main").unwrap_err();
    assert!(matches!(error, Error::NoRepository(_)), "{error}");
    let bare = tempfile::tempdir().unwrap();
    Repo { _guard: None, path: bare.path().to_owned() }.git("init -q --bare");
    let error = changes(bare.path(), "main").unwrap_err();
    assert!(matches!(error, Error::Bare(_)), "{error}");
    for error in [changes(&empty.path, "x").unwrap_err(), changes(bare.path(), "x").unwrap_err()] {
        assert!(error.help().is_some_and(|help| !help.is_empty()), "{error}");
    }
}

#[test]
fn sparse_checkouts_do_not_delete() {
    let repo = Repo::with_history();
    repo.write("b/migrations/0001.py", B);
    repo.commit("b");
    repo.git("branch -f main");
    repo.git("sparse-checkout set a");
    assert!(!repo.path.join("b/migrations/0001.py").exists());
    check(&repo, "main", &[]);
}

#[test]
fn a_conflict_in_the_middle_of_a_merge_is_a_change() {
    let repo = Repo::with_history();
    repo.write("a/migrations/0001.py", A.replace("two", "ours"));
    repo.commit("ours");
    repo.git("checkout -q main");
    repo.write("a/migrations/0001.py", A.replace("two", "theirs"));
    repo.commit("theirs");
    repo.git("checkout -q work");
    let merge = Command::new("git").current_dir(&repo.path).args(["merge", "-q", "main"]).output().unwrap();
    assert!(!merge.status.success());
    check(&repo, "main", &["M a/migrations/0001.py"]);
}

/// The variables, the event's file, the base.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_base_of_each_ci_system() {
    let repo = Repo::with_history();
    let event = repo.path.join("event.json");
    let event_path = event.to_str().unwrap();
    let id = "0123456789abcdef0123456789abcdef01234567";
    let zeros = "0".repeat(40);
    let cases: &[Case<'_>] = &[
        (&[("GITHUB_ACTIONS", "true"), ("GITHUB_BASE_REF", "develop")], "", "origin/develop"),
        (
            &[("GITHUB_ACTIONS", "true"), ("GITHUB_BASE_REF", ""), ("GITHUB_EVENT_PATH", event_path)],
            r#"{"merge_group": {"base_sha": "0123456789abcdef0123456789abcdef01234567"}}"#,
            id,
        ),
        (
            &[("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_PATH", event_path)],
            r#"{"before": "0123456789abcdef0123456789abcdef01234567", "forced": false}"#,
            id,
        ),
        (
            &[("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_PATH", event_path)],
            r#"{"before": "0000000000000000000000000000000000000000", "repository": {"default_branch": "trunk"}}"#,
            "origin/trunk",
        ),
        (
            &[
                ("GITLAB_CI", "true"),
                ("CI_MERGE_REQUEST_DIFF_BASE_SHA", id),
                ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "x"),
            ],
            "",
            id,
        ),
        (&[("GITLAB_CI", "true"), ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "stable/1")], "", "origin/stable/1"),
        (
            &[
                ("GITLAB_CI", "true"),
                ("CI_COMMIT_BRANCH", "f"),
                ("CI_DEFAULT_BRANCH", "master"),
                ("CI_COMMIT_BEFORE_SHA", id),
            ],
            "",
            "origin/master",
        ),
        (
            &[
                ("GITLAB_CI", "true"),
                ("CI_COMMIT_BRANCH", "master"),
                ("CI_DEFAULT_BRANCH", "master"),
                ("CI_COMMIT_BEFORE_SHA", id),
            ],
            "",
            id,
        ),
        (
            &[
                ("GITLAB_CI", "true"),
                ("CI_COMMIT_BRANCH", "master"),
                ("CI_DEFAULT_BRANCH", "master"),
                ("CI_COMMIT_BEFORE_SHA", &zeros),
            ],
            "",
            "origin/master",
        ),
        (&[("BITBUCKET_BUILD_NUMBER", "7"), ("BITBUCKET_PR_DESTINATION_BRANCH", "main")], "", "origin/main"),
        (&[("TF_BUILD", "True"), ("SYSTEM_PULLREQUEST_TARGETBRANCH", "refs/heads/main")], "", "origin/main"),
        (&[("BUILDKITE", "true"), ("BUILDKITE_PULL_REQUEST_BASE_BRANCH", "next")], "", "origin/next"),
        (
            &[
                ("BUILDKITE", "true"),
                ("BUILDKITE_PULL_REQUEST_BASE_BRANCH", ""),
                ("BUILDKITE_PIPELINE_DEFAULT_BRANCH", "main"),
            ],
            "",
            "origin/main",
        ),
        (&[("CIRCLECI", "true"), ("CIRCLE_BASE_BRANCH", "main")], "", "origin/main"),
        (&[("CIRCLECI", "true"), ("CIRCLE_BASE_REVISION", id)], "", id),
        (&[("JENKINS_URL", "x"), ("CHANGE_TARGET", "release")], "", "origin/release"),
        // Nothing said: the repository's own default.
        (&[("CIRCLECI", "true"), ("CIRCLE_BRANCH", "work")], "", "main"),
        (&[("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_PATH", "/nowhere")], "", "main"),
        (&[], "", "main"),
    ];
    for (pairs, text, expected) in cases {
        fs::write(&event, text).unwrap();
        assert_eq!(auto(&repo.path, &variables(pairs)).unwrap().reference, *expected, "{pairs:?} {text}");
    }
}

#[test]
fn the_remote_says_its_default_branch() {
    let origin = Repo::with_history();
    origin.git("checkout -q -b release");
    let url = origin.path.to_str().unwrap();
    origin.run(&["clone", "-q", url, "../clone"]);
    let clone = origin.path.parent().unwrap().join("clone");
    assert_eq!(auto(&clone, &BTreeMap::new()).unwrap().reference, "origin/release");
    let lonely = Repo::new();
    lonely.git("checkout -q -b feature");
    lonely.commit("x");
    let error = auto(&lonely.path, &variables(&[("CIRCLECI", "true")])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no base to compare with was found: no answer from CircleCI, the remote's default branch"
    );
}

#[test]
fn ignored_folders_are_left_out_but_migrations_never() {
    let repo = Repo::new();
    repo.write(".gitignore", "generated/\nmigrations/\n/tracked\n");
    repo.write("tracked/a.py", "");
    repo.git("add -f tracked/a.py");
    repo.commit("first");
    repo.write("generated/x.py", "");
    repo.write("shop/models.py", "");
    repo.write("shop/migrations/0001.py", "");
    let repository = git2::Repository::open(&repo.path).unwrap();
    let found = walk::walk(&repo.path, &[], Some(&repository));
    let paths: Vec<&str> = found.paths.iter().map(|path| &**path).collect();
    assert_eq!(paths, ["shop/migrations/0001.py", "shop/models.py", "tracked/a.py"]);
    assert_eq!(found.skipped, [("generated".to_owned(), walk::Skipped::IgnoredByGit)]);
    // Who names an ignored folder as the project means it.
    repo.write("generated/site/shop/models.py", "");
    let found = walk::walk(&repo.path.join("generated/site"), &[], Some(&repository));
    let paths: Vec<&str> = found.paths.iter().map(|path| &**path).collect();
    assert_eq!((paths.as_slice(), found.skipped.len()), (["shop/models.py"].as_slice(), 0));
}

#[test]
fn the_repository_is_known_to_the_place() {
    let repo = Repo::new();
    repo.write("backend/manage.py", "");
    repo.write("backend/shop/migrations/0001.py", "");
    let place = discover::discover(&repo.path.join("backend/shop"), &[], &discover::ConfigChoice::Search).unwrap();
    assert_eq!(place.root, fs::canonicalize(repo.path.join("backend")).unwrap());
    assert_eq!((place.repository_prefix.as_str(), place.display_prefix.as_str()), ("backend/", "../"));
    // Without a manage.py the repository is the project.
    let place = discover::discover(&repo.path, &[], &discover::ConfigChoice::Search).unwrap();
    assert_eq!(place.root, fs::canonicalize(Path::new(&repo.path)).unwrap());
}

//! Which project, which files, which texts: on real folders.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its folders should end")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use zdm_source::Diagnostic;
use zdm_workspace::discover::{ConfigChoice, Place, discover, site_packages};
use zdm_workspace::files::{FileProblem, Files, LARGEST, read};
use zdm_workspace::pattern::PathPattern;
use zdm_workspace::progress::Progress;
use zdm_workspace::walk::{Skipped, Walk, walk};
use zdm_workspace::write::{NewText, write, write_file};
use zdm_workspace::{Config, Error, Request, check};

/// A folder with the files, empty unless `=` gives them a text.
fn tree(files: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let (path, text) = file.split_once('=').unwrap_or((file, ""));
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// Where `discover` finds the project: `root | config | only | way`, relative to the folder of `tree`.
#[track_caller]
fn check_place(files: &[&str], current: &str, paths: &[&str], expected: &str) {
    let folder = tree(files);
    let top = fs::canonicalize(folder.path()).unwrap();
    let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
    let place = discover(&top.join(current), &paths, &ConfigChoice::Search).unwrap();
    let relative = |path: &Path| path.strip_prefix(&top).unwrap().to_string_lossy().into_owned();
    let config = place.config.as_deref().map(relative).unwrap_or_default();
    let found = format!("{} | {config} | {} | {}", relative(&place.root), place.only.join(" "), place.display_prefix);
    assert_eq!(found, expected);
}

#[test]
fn the_configuration_is_the_root() {
    check_place(&["zdm.toml", "app/models.py"], "app", &[], " | zdm.toml |  | ../");
    check_place(&["pyproject.toml=[tool.zdm]\n", "app/models.py"], "app", &[], " | pyproject.toml |  | ../");
    check_place(&["pyproject.toml=[tool.zdm]\n", "zdm.toml"], ".", &[], " | zdm.toml |  | ");
    // One that says nothing of us is no configuration.
    check_place(&["pyproject.toml=[tool.black]\n", "src/manage.py", "src/a/x.py"], "src/a", &[], "src |  |  | ../");
    // The configuration goes before a manage.py nearer by.
    check_place(&["zdm.toml", "src/manage.py"], "src", &[], " | zdm.toml |  | ../");
    // A configuration above the repository is another project's.
    check_place(&["zdm.toml", "repo/.git/HEAD", "repo/a/x.py"], "repo/a", &[], "repo |  |  | ../");
}

#[test]
fn without_a_configuration() {
    check_place(
        &["repo/.git/HEAD", "repo/backend/manage.py", "repo/backend/a/x.py"],
        "repo/backend/a",
        &[],
        "repo/backend |  |  | ../",
    );
    check_place(&["repo/.git/HEAD", "repo/docs/x"], "repo/docs", &[], "repo |  |  | ../");
    check_place(&["plain/a/x.py"], "plain", &[], "plain |  |  | ");
}

#[test]
fn named_paths_narrow_the_report() {
    let files = &["p/manage.py", "p/shop/__init__.py", "p/shop/migrations/0001.py", "p/blog/migrations/0001.py"];
    check_place(files, ".", &["p"], "p |  |  | p/");
    check_place(files, ".", &["p/shop"], "p |  | shop | p/");
    check_place(files, "p", &["shop/migrations/0001.py", "blog"], "p |  | shop/migrations/0001.py blog | ");
    check_place(files, "p", &["shop", "."], "p |  |  | ");
    check_place(files, "p/shop", &["../blog"], "p |  | blog | ../");
    // No manage.py: out of the packages, not to the top of the repository.
    let files = &["r/.git/HEAD", "r/libs/shop/__init__.py", "r/libs/shop/migrations/0001.py"];
    check_place(files, "r", &["libs/shop"], "r/libs |  | shop | libs/");
    check_place(files, "r", &["libs"], "r/libs |  |  | libs/");
    check_place(&["p/shop/migrations/0001.py"], ".", &["p/shop/migrations"], "p |  | shop/migrations | p/");
}

#[test]
fn what_a_place_covers() {
    let folder = tree(&["manage.py", "shop/x.py"]);
    let place = discover(folder.path(), &[PathBuf::from("shop")], &ConfigChoice::Search).unwrap();
    assert!(place.covers("shop") && place.covers("shop/migrations/0001.py"));
    assert!(!place.covers("shopping/x.py") && !place.covers("x.py"));
}

#[test]
fn bad_paths_are_errors_with_remedies() {
    let folder = tree(&["a/manage.py", "b/manage.py", "broken/zdm.toml=selct = []\n", "broken/manage.py"]);
    let find = |paths: &[&str], choice: &ConfigChoice| {
        discover(folder.path(), &paths.iter().map(PathBuf::from).collect::<Vec<_>>(), choice)
    };
    let error = find(&["nowhere"], &ConfigChoice::Search).unwrap_err();
    assert_eq!(error.to_string(), "`nowhere` does not exist");
    let two = find(&["a", "b"], &ConfigChoice::Search).unwrap_err();
    assert!(matches!(two, Error::TwoProjects(..)), "{two}");
    let missing = find(&["a"], &ConfigChoice::File("c.toml".into())).unwrap_err();
    assert!(matches!(missing, Error::NoSuchPath(_)), "{missing}");
    for error in [error, two, missing] {
        assert!(error.help().is_some_and(|help| !help.is_empty()), "{error}");
    }
    let place = find(&["broken"], &ConfigChoice::Search).unwrap();
    let config = place.config.clone().unwrap();
    let error = Config::load(&config, &place.shown(&config), &[]).unwrap_err();
    assert!(error.to_string().starts_with("broken/zdm.toml:1:1: unknown key `selct`"), "{error}");
    // Isolated: the file is not even looked for.
    assert_eq!(find(&["broken"], &ConfigChoice::Isolated).unwrap().config, None);
    let chosen = find(&["a"], &ConfigChoice::File("broken/zdm.toml".into())).unwrap();
    assert!(chosen.root.ends_with("a") && chosen.config.unwrap().ends_with("broken/zdm.toml"));
}

fn paths(found: &Walk) -> Vec<&str> {
    found.paths.iter().map(|path| &**path).collect()
}

#[test]
fn a_walk_passes_over_what_is_not_the_projects() {
    let folder = tree(&[
        "manage.py",
        "README.md",
        "shop/migrations/0001_initial.py",
        "shop/migrations/__pycache__/0001_initial.py",
        "shop/.hidden/x.py",
        "env3/pyvenv.cfg",
        "env3/lib/python3.12/site-packages/django/x.py",
        ".venv/pyvenv.cfg",
        "node_modules/x/y.py",
        "setup.py",
        "build/lib/shop/migrations/0001_initial.py",
        "lib/build/models.py",
        "dist/__init__.py",
        "legacy/x.py",
        ".py",
        "x.PY",
    ]);
    let found = walk(folder.path(), &[PathPattern::new("/legacy").unwrap()], None);
    assert_eq!(
        paths(&found),
        ["dist/__init__.py", "lib/build/models.py", "manage.py", "setup.py", "shop/migrations/0001_initial.py"]
    );
    assert_eq!(found.skipped, [("legacy".to_owned(), Skipped::Excluded)]);
    let names: Vec<_> = found.environments.iter().map(|path| path.file_name().unwrap()).collect();
    assert_eq!(names, [".venv", "env3"]);
}

#[test]
#[cfg(unix)]
fn links_are_followed_once_and_never_in_circles() {
    use std::os::unix::fs::symlink;
    let folder = tree(&["root/a/x.py", "outside/pkg/y.py", "outside/one.py"]);
    let root = folder.path().join("root");
    symlink(&root, root.join("a/up")).unwrap();
    symlink(root.join("a"), root.join("b")).unwrap();
    symlink(folder.path().join("outside/pkg"), root.join("pkg")).unwrap();
    symlink(folder.path().join("outside/pkg"), root.join("twice")).unwrap();
    symlink(folder.path().join("outside/one.py"), root.join("one.py")).unwrap();
    symlink(root.join("loop2"), root.join("loop1")).unwrap();
    symlink(root.join("loop1"), root.join("loop2")).unwrap();
    symlink(root.join("nothing.py"), root.join("dangling.py")).unwrap();
    symlink(folder.path(), root.join("above")).unwrap();
    let found = walk(&root, &[], None);
    assert_eq!(paths(&found), ["a/x.py", "dangling.py", "one.py", "pkg/y.py"]);
    let skipped: Vec<&str> = found.skipped.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(skipped, ["a/up", "above", "b", "twice"]);
    assert_eq!(read(&root, "dangling.py").problem, Some(FileProblem::Missing));
    assert_eq!(read(&root, "one.py").problem, None);
}

#[test]
fn a_deep_tree_ends() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("d/".repeat(100));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("x.py"), "").unwrap();
    let found = walk(folder.path(), &[], None);
    assert!(found.paths.is_empty());
    assert!(matches!(found.skipped.as_slice(), [(_, Skipped::TooDeep)]), "{:?}", found.skipped);
}

#[test]
#[cfg(target_os = "linux")]
fn names_that_are_not_unicode_are_said() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = tree(&["a.py"]);
    fs::write(folder.path().join(OsStr::from_bytes(b"b\xff.py")), "").unwrap();
    fs::create_dir(folder.path().join(OsStr::from_bytes(b"c\xff"))).unwrap();
    let found = walk(folder.path(), &[], None);
    assert_eq!(paths(&found), ["a.py"]);
    assert_eq!(found.skipped.len(), 2);
    assert!(found.skipped.iter().all(|(_, why)| *why == Skipped::NotUnicode));
}

#[test]
fn a_root_that_is_not_there_is_an_empty_walk_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let found = walk(&folder.path().join("nowhere"), &[], None);
    assert!(matches!(found.skipped.as_slice(), [(_, Skipped::Unreadable(_))]), "{found:?}");
}

#[test]
fn bad_files_are_values() {
    let folder = tree(&["ok.py=x = 1\n", "folder.py/x"]);
    let root = folder.path();
    fs::write(root.join("latin.py"), b"# coding: latin-1\nx = '\xe4'\n").unwrap();
    fs::write(root.join("binary.py"), [0, 159, 146, 150]).unwrap();
    fs::File::create(root.join("huge.py")).unwrap().set_len(LARGEST + 1).unwrap();
    assert_eq!(read(root, "ok.py").file.text(), "x = 1\n");
    assert_eq!(read(root, "latin.py").file.text(), "# coding: latin-1\nx = 'ä'\n");
    let binary = read(root, "binary.py");
    assert_eq!(binary.problem.unwrap().to_string(), "line 1 is not UTF-8 (byte 1)");
    assert_eq!(binary.file.text().chars().next(), Some('\0'));
    let huge = read(root, "huge.py");
    assert_eq!(huge.problem.unwrap().to_string(), "is 16 MiB large; files above 16 MiB are not read");
    assert_eq!(read(root, "folder.py").problem, Some(FileProblem::NotAFile));
    assert_eq!(read(root, "none.py").problem, Some(FileProblem::Missing));
    assert_eq!(read(root, "ok.py/below.py").problem.map(|problem| problem != FileProblem::NotAFile), Some(true));
}

#[test]
#[cfg(unix)]
fn a_pipe_does_not_hang_the_reader() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("mkfifo").arg(folder.path().join("pipe.py")).status();
    assert!(made.unwrap().success());
    assert_eq!(paths(&walk(folder.path(), &[], None)), ["pipe.py"]);
    assert_eq!(read(folder.path(), "pipe.py").problem, Some(FileProblem::NotAFile));
}

#[test]
fn files_are_read_once_and_overlaid() {
    let folder = tree(&["a.py=one", "b.py=two"]);
    let all: Vec<Arc<str>> = vec!["a.py".into(), "b.py".into(), "c.py".into()];
    let files = Files::new(folder.path().to_owned(), all.clone());
    let texts: Vec<String> = files.texts(&all).iter().map(|text| text.file.text().to_owned()).collect();
    assert_eq!(texts, ["one", "two", ""]);
    fs::write(folder.path().join("a.py"), "changed").unwrap();
    assert_eq!(files.text("a.py").file.text(), "one");
    files.overlay("a.py", "unsaved");
    assert_eq!(files.text("a.py").file.text(), "unsaved");
    files.forget("a.py");
    assert_eq!(files.text("a.py").file.text(), "changed");
    let problems: Vec<String> = files.problems().iter().map(|(path, problem)| format!("{path} {problem}")).collect();
    assert_eq!(problems, ["c.py does not exist"]);
}

#[test]
fn packages_from_outside() {
    let folder = tree(&[
        "p/manage.py",
        "p/venv/pyvenv.cfg",
        "p/venv/lib/python3.12/site-packages/x.py",
        "named/pyvenv.cfg",
        "named/Lib/site-packages/x.py",
        "not-one/lib/python3.12/site-packages/x.py",
    ]);
    let top = fs::canonicalize(folder.path()).unwrap();
    let place: Place = discover(&top.join("p"), &[], &ConfigChoice::Search).unwrap();
    let with = |name: &str| {
        let path = top.join(name).to_string_lossy().into_owned();
        site_packages(&place, &[], &BTreeMap::from([("VIRTUAL_ENV".to_owned(), path)])).unwrap()
    };
    let own = top.join("p/venv/lib/python3.12/site-packages");
    assert_eq!(with("named"), top.join("named/Lib/site-packages"));
    assert_eq!(with("not-one"), own, "a folder without pyvenv.cfg is no environment");
    assert_eq!(with("nowhere"), own);
    assert_eq!(site_packages(&place, &[], &BTreeMap::new()), Some(own));
}

#[test]
fn files_are_written_whole_or_not_at_all() {
    let folder = tree(&["a.py=one", "b.py=two"]);
    let root = folder.path();
    let text = |name: &str| fs::read_to_string(root.join(name)).unwrap();
    let change = |path, before, after| NewText { path, before: Some(before), after };
    let new = NewText { path: "made/c.py", before: None, after: "three" };
    write(root, &[change("a.py", "one", "1"), new]).unwrap();
    assert_eq!((text("a.py").as_str(), text("made/c.py").as_str()), ("1", "three"));
    for (second, expected) in [
        (change("b.py", "zwei", "2"), "`b.py` was not written: it changed since it was read"),
        (new, "`made/c.py` was not written: it exists already"),
        (change("none.py", "", "x"), "`none.py` was not written: No such file or directory (os error 2)"),
    ] {
        let error = write(root, &[change("a.py", "1", "wrong"), second]).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(text("a.py"), "1", "nothing is written before everything is known to fit");
    }
    let names: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "nothing is left behind: {names:?}");
    write_file(&root.join("reports/x/zdm.sarif"), "{}").unwrap();
    assert_eq!(text("reports/x/zdm.sarif"), "{}");
}

#[test]
#[cfg(unix)]
fn written_files_keep_marks_modes_and_links() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tree(&[]);
    let root = folder.path();
    fs::write(root.join("marked.py"), "\u{feff}one").unwrap();
    fs::set_permissions(root.join("marked.py"), fs::Permissions::from_mode(0o750)).unwrap();
    symlink(root.join("marked.py"), root.join("link.py")).unwrap();
    let file = read(root, "link.py").file;
    write(root, &[NewText { path: "link.py", before: Some(file.text()), after: "two" }]).unwrap();
    assert_eq!(fs::read(root.join("marked.py")).unwrap(), "\u{feff}two".as_bytes());
    assert_eq!(fs::metadata(root.join("marked.py")).unwrap().permissions().mode() & 0o777, 0o750);
    assert!(fs::symlink_metadata(root.join("link.py")).unwrap().is_symlink());
    fs::write(root.join("latin.py"), b"# coding: latin-1\n'\xe4'").unwrap();
    let file = read(root, "latin.py").file;
    let error = write(root, &[NewText { path: "latin.py", before: Some(file.text()), after: "x" }]).unwrap_err();
    assert_eq!(error.to_string(), "`latin.py` was not written: it is not UTF-8");
}

/// A slip in a table's name would judge a large table as one of unknown size.
#[test]
fn tables_that_no_migration_makes_are_told() {
    const INITIAL: &str = "shop/migrations/0001_initial.py=from django.db import migrations, models\n\n\n\
        class Migration(migrations.Migration):\n    operations = [\n        \
        migrations.CreateModel(\"Order\", [(\"id\", models.BigAutoField(primary_key=True))]),\n    ]\n";
    let told = |tables: &str, initial: &str| {
        let config = format!("zdm.toml=[tables]\n{tables}\n");
        let folder = tree(&[&config, "shop/__init__.py", "shop/migrations/__init__.py", initial]);
        let request = Request { current: folder.path().to_owned(), ..Request::default() };
        let checked = check(&request, None, &Progress::default()).unwrap();
        let found = checked.outcome.diagnostics.into_iter().filter(|found| found.code.code == "ZDM909");
        let line = |found: &Diagnostic| found.primary.file.line_column(found.primary.span.start).line;
        found
            .map(|found| format!("{}:{} {} {:?}", found.primary.file.path(), line(&found), found.message, found.notes))
            .collect::<Vec<_>>()
    };
    let found = told("shop_ordr = { rows = \"5M\" }", INITIAL);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("zdm.toml:2 ") && found[0].contains("did you mean `shop_order`?"), "{found:?}");
    assert_eq!(told("shop_order = { rows = 1 }\n\"shop_*\" = { hot = true }\n\"*\" = { rows = 3 }", INITIAL).len(), 0);
    let found = told("\"audit_*\" = { hot = true }", INITIAL);
    assert!(found[0].contains("tables like `audit_*`") && !found[0].contains("did you mean"), "{found:?}");
    // What an app outside may have made is not doubted; a slip is one there too.
    let initial =
        INITIAL.replace("    operations", "    dependencies = [(\"billing\", \"0001_initial\")]\n    operations");
    assert_eq!(told("billing_invoice = { rows = 1 }", &initial).len(), 0);
    assert_eq!(told("shop_ordr = { rows = 1 }", &initial).len(), 1);
}

//! Generated projects: Django runs them, and the same number gives the same bytes.

use zdm_testkit::{Django, Oracle, Server, generate};

#[test]
fn django_runs_a_generated_project() {
    let dir = tempfile::tempdir().expect("a directory can be made");
    generate::write(200, dir.path()).expect("the project can be written");
    let django = Django::available_for("generated projects", &["5.2"]).remove(0);
    let report = Oracle::settings(dir.path(), generate::SETTINGS).replay(&django, &Server::newest().database());
    assert_eq!(report.failures(), Vec::<String>::new());
    let own = report.migrations.iter().filter(|migration| !["auth", "contenttypes"].contains(&migration.app.as_str()));
    assert_eq!(own.count(), 200);
}

#[test]
fn a_project_is_its_number() {
    let project = generate::project(1_500);
    assert_eq!(project, generate::project(1_500));
    let manage =
        project.iter().find(|(path, _)| path == "manage.py").map(|(_, text)| text.as_str()).unwrap_or_default();
    let settings = format!("setdefault(\"DJANGO_SETTINGS_MODULE\", \"{}\")", generate::SETTINGS);
    assert!(manage.contains(&settings), "{manage}");
    let migrations: Vec<&str> = project
        .iter()
        .filter(|(path, _)| path.contains("/migrations/") && !path.ends_with("__init__.py"))
        .map(|(_, text)| text.as_str())
        .collect();
    assert_eq!(migrations.len(), 1_500);
    let operations: usize = migrations.iter().map(|text| text.matches("\n        migrations.").count()).sum();
    let bytes: usize = migrations.iter().map(|text| text.len()).sum();
    println!("{} operations, {} bytes for a migration", operations, bytes / migrations.len());
    // Real ones have 3.2 operations in 1.4 to 2.8 kB.
    assert!((4_000..6_000).contains(&operations), "{operations} operations");
    assert!((1_200..2_800).contains(&(bytes / migrations.len())), "{bytes} bytes");
}

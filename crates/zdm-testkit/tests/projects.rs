//! The public projects: their sources are there, and real Django replays their histories.

use std::path::PathBuf;

use zdm_testkit::{Detail, PROJECTS, Project, Server, projects, skip};

#[test]
fn every_project_has_migrations_to_read() {
    let found = projects();
    assert!(found.len() >= 3, "too few projects are provisioned to say anything: run `cargo xtask setup`");
    for missing in PROJECTS.iter().filter(|name| found.iter().all(|project| project.name() != **name)) {
        skip::record("projects", &format!("{missing} is not provisioned"));
    }
    for project in found {
        let apps = project.apps();
        let files: usize = apps
            .iter()
            .map(|app| {
                let entries = std::fs::read_dir(project.root().join(app).join("migrations")).expect("it was found");
                entries.filter_map(Result::ok).filter(|e| e.path().extension().is_some_and(|x| x == "py")).count()
            })
            .sum();
        println!("{} {}: {} apps, {files} files", project.name(), project.version(), apps.len());
        assert!(!apps.is_empty() && files > apps.len(), "{}", project.name());
        assert_eq!(project.settings().is_some(), !project.environments().is_empty(), "{}", project.name());
        if let Some(settings) = project.settings() {
            assert!(project.root().join(format!("{settings}.py")).is_file(), "{}", project.name());
        }
    }
}

/// In its newest Django only: comparisons with what Django does run the others too.
fn replays(project: &Project) -> String {
    let django = project.environments().into_iter().next_back().expect("a project with settings has an environment");
    let report = project.oracle().tables(Detail::End).replay(&django, &Server::newest().database());
    assert_eq!(report.failures(), Vec::<String>::new(), "{}", project.name());
    let is_own = |app: &PathBuf| {
        let migrations = app.join("migrations");
        report.migrations.iter().any(|migration| {
            let dir = migration.path.as_ref().and_then(|path| path.parent());
            dir.is_some_and(|dir| dir.ends_with(&migrations))
        })
    };
    assert!(project.apps().iter().any(is_own), "{}: none of its own migrations was replayed", project.name());
    let (operations, statements) = report.counts();
    format!(
        "{} {}, Django {}: {} migrations, {operations} operations, {statements} statements, {} tables",
        project.name(),
        project.version(),
        report.django,
        report.migrations.len(),
        report.tables.len()
    )
}

macro_rules! replayed {
    ($($test:ident: $name:literal;)*) => {$(
        #[test]
        fn $test() {
            match zdm_testkit::project($name) {
                Some(project) => println!("{}", replays(&project)),
                None => skip::record("projects", concat!($name, " is not replayed: it is not provisioned")),
            }
        }
    )*};
}

replayed! {
    wagtail: "wagtail";
    django_cms: "django-cms";
    django_oscar: "django-oscar";
    django_allauth: "django-allauth";
    django_oauth_toolkit: "django-oauth-toolkit";
    django_helpdesk: "django-helpdesk";
    django_celery: "django-celery";
    social_auth: "social-auth-app-django";
    django_guardian: "django-guardian";
    reusable_apps: "reusable-apps";
}

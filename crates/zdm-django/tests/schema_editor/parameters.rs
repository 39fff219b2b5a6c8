//! Parameters of `RunSQL`: what the driver makes of them, and what it refuses before the server sees it.

use std::fs;

use zdm_django::MigrationKey;
use zdm_testkit::{DJANGOS, Detail, Django, Oracle, Server};

use super::replay;
use crate::{context, version};

/// Statements with their parameters, as `RunSQL` takes them.
const STATEMENTS: [&str; 20] = [
    "('SELECT 1', None)",
    "('SELECT 1', [])",
    "('SELECT %s', [5])",
    "('SELECT %s, %s', ['a%b', None])",
    "('SELECT %s', (True,))",
    "('SELECT %(one)s, %(one)s', {'one': 'x'})",
    "('SELECT 1 WHERE %s LIKE %s', ['a', '%'])",
    "(\"SELECT 'a%'\", None)",
    "(\"SELECT 'a%%'\", [])",
    "(\"SELECT 'a%%', %s\", [1])",
    // A percent sign that begins no placeholder, or one of another kind.
    "(\"SELECT 'a%'\", [])",
    "(\"SELECT 'a% b', %s\", [1])",
    "(\"SELECT 'a%', %s\", [1])",
    "('SELECT %d', [1])",
    "(\"SELECT 1 WHERE 'a' LIKE '%a%'\", [])",
    // Placeholders without values, and values without placeholders.
    "('SELECT %s', [])",
    "('SELECT %s, %s', [1])",
    "('SELECT %s', [1, 2])",
    "('SELECT 1', [1])",
    "('SELECT %(one)s', {'two': 1})",
];

#[test]
fn parameters_are_the_driver_s() {
    let server = Server::newest();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut apps = Vec::new();
    for (number, statement) in STATEMENTS.iter().enumerate() {
        let app = format!("p{number:02}");
        let folder = dir.path().join(&app).join("migrations");
        fs::create_dir_all(&folder).expect("a new folder");
        fs::write(folder.join("__init__.py"), "").expect("a new file");
        let text = format!(
            "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n    operations = [migrations.RunSQL([{statement}])]\n"
        );
        fs::write(folder.join("0001_initial.py"), text).expect("a new file");
        apps.push(app);
    }
    let mut differences = Vec::new();
    for django in Django::available_for("schema editor", &DJANGOS) {
        let report = Oracle::apps(&apps)
            .path(dir.path())
            .keep_going()
            .models(Detail::None)
            .tables(Detail::None)
            .replay(&django, &server.database());
        let project = replay::build(replay::files(dir.path()), Vec::new(), None, version(&report));
        let context = context(&report, &project);
        for (app, statement) in apps.iter().zip(STATEMENTS) {
            let ran = report.migrations.iter().find(|migration| migration.app == *app).expect("it was in the plan");
            let sent: Vec<String> = match ran.error {
                Some(_) => vec!["refused".to_owned()],
                None => ran.statements().iter().map(|statement| statement.sql.clone()).collect(),
            };
            let ours: Vec<String> = replay::statements(&project, &MigrationKey::new(&**app, "0001_initial"), &context)
                .into_iter()
                .map(|line| if line.contains("the driver refuses") { "refused".to_owned() } else { line })
                .collect();
            if sent != ours {
                differences.push(format!("Django {}: {statement}: {sent:?}, we {ours:?}", django.version()));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

//! The order of migrations and what is wrong with it, on migrations in a few words.

use std::fmt::Write as _;

use zdm_django::project::sources::Sources;
use zdm_django::{Project, ProjectConfig, ProjectInput};
use zdm_source::SourceFile;
use zdm_testkit::Random;

/// Lines `app.name: attribute = value; …`, and what `migrate` would run.
fn build(migrations: &str) -> Project {
    let mut files = Vec::new();
    for line in migrations.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (key, attributes) = line.split_once(':').expect("a line starts with the migration's key");
        let (app, name) = key.split_once('.').expect("a key has two parts");
        let mut text = String::from("from django.conf import settings\nfrom django.db import migrations\n\n");
        text.push_str("class Migration(migrations.Migration):\n    operations = []\n");
        for attribute in attributes.split(';').map(str::trim).filter(|attribute| !attribute.is_empty()) {
            let _ = writeln!(text, "    {attribute}");
        }
        files.push(SourceFile::new(format!("{app}/migrations/{name}.py"), text));
        files.push(SourceFile::new(format!("{app}/migrations/__init__.py"), ""));
    }
    let sources = Sources::in_memory(files, &[]);
    let config = ProjectConfig { installed_apps: None, ..ProjectConfig::default() };
    Project::build(&ProjectInput { sources, environment: Vec::new(), texts: Vec::new(), config })
}

#[track_caller]
fn check(migrations: &str, order: &str, problems: &[&str]) {
    let project = build(migrations);
    let found: Vec<String> = project.in_order().map(|migration| migration.key.to_string()).collect();
    assert_eq!(found.join(" "), order);
    let found: Vec<String> = project
        .problems
        .iter()
        .filter(|problem| problem.kind.as_str() != "settings-not-found")
        .map(|problem| format!("{}: {}", problem.kind.as_str(), problem.message))
        .collect();
    assert_eq!(found, problems);
}

#[test]
fn the_walk_takes_the_greatest_parent_first() {
    check(
        "a.0001:
         b.0001:
         c.0001: dependencies = [('a', '0001'), ('b', '0001')]",
        "a.0001 b.0001 c.0001",
        &[],
    );
    check(
        "a.0001: dependencies = [('b', '0001'), ('c', '0001')]
         b.0001:
         c.0001:",
        "c.0001 b.0001 a.0001",
        &[],
    );
}

#[test]
fn first_latest_and_run_before() {
    check(
        "a.0001: dependencies = [('b', '__first__')]
         a.0002: dependencies = [('a', '0001'), ('b', '__latest__'), ('a', '__first__')]
         b.0001:
         b.0002: dependencies = [('b', '0001')]
         c.0001: run_before = [('b', '0001')]",
        "c.0001 b.0001 b.0002 a.0001 a.0002",
        &[],
    );
}

#[test]
fn a_squash_stands_in_for_what_it_replaces() {
    check(
        "a.0001:
         a.0001_squashed_0002: replaces = [('a', '0001'), ('a', '0002')]
         a.0002: dependencies = [('a', '0001'), ('b', '0001')]
         a.0003: dependencies = [('a', '0002')]
         b.0001:",
        "b.0001 a.0001_squashed_0002 a.0003",
        &[],
    );
    // The replaced files may be gone already.
    check(
        "a.0001_squashed_0002: replaces = [('a', '0001'), ('a', '0002')]
         a.0003: dependencies = [('a', '0002')]",
        "a.0001_squashed_0002 a.0003",
        &[],
    );
    // A squash of a squash.
    check(
        "a.0001:
         a.0002: dependencies = [('a', '0001')]
         a.0001_s: replaces = [('a', '0001'), ('a', '0002')]
         a.0003: dependencies = [('a', '0002')]
         a.0001_t: replaces = [('a', '0001_s'), ('a', '0003')]
         a.0004: dependencies = [('a', '0003')]",
        "a.0001_t a.0004",
        &[],
    );
}

#[test]
fn what_is_missing_is_ignored_and_said() {
    check(
        "a.0001: dependencies = [('a', '0000_gone'), ('other', '0001'), ('b', '0002_ad')]
         b.0002_add:",
        "a.0001 b.0002_add",
        &[
            "missing-dependency: `a.0001` depends on `a.0000_gone`, which does not exist; the dependency is ignored",
            "external-app-assumed: the migrations of app `other` are not at hand; its models are assumed as they are used",
            "missing-dependency: `a.0001` depends on `b.0002_ad`, which does not exist; the dependency is ignored",
        ],
    );
}

#[test]
fn a_circle_is_broken_at_a_named_edge() {
    check(
        "a.0001: dependencies = [('b', '0001')]
         b.0001: dependencies = [('c', '0001')]
         c.0001: dependencies = [('a', '0001')]
         d.0001:",
        "c.0001 b.0001 a.0001 d.0001",
        &["circular-dependency: circular dependency: `a.0001` needs `b.0001` needs `c.0001` needs `a.0001`; the \
           dependency of `c.0001` on `a.0001` is ignored"],
    );
    check(
        "a.0001: dependencies = [('a', '0001')]",
        "a.0001",
        &["circular-dependency: circular dependency: `a.0001` needs `a.0001`; the dependency of `a.0001` on `a.0001` \
           is ignored"],
    );
}

#[test]
fn conflicting_leaves_and_numbers() {
    check(
        "a.0001_x:
         a.0002_y: dependencies = [('a', '0001_x')]
         a.0002_z: dependencies = [('a', '0001_x')]",
        "a.0001_x a.0002_y a.0002_z",
        &[
            "conflicting-leaves: conflicting migrations in app `a`: `0002_y`, `0002_z` are all leaves",
            "same-number: `0002_z` has the same number as `0002_y` in app `a`",
        ],
    );
}

#[test]
fn what_is_not_a_migration() {
    let files = [
        (
            "a/migrations/0001_initial.py",
            "from django.db import migrations\nclass Migration(migrations.Migration):\n    pass\n",
        ),
        ("a/migrations/0002_broken.py", "class Migration(migrations.Migration:\n  operations = [\n"),
        ("a/migrations/helpers.py", "def f():\n    pass\n"),
        ("a/migrations/_private.py", "def f():\n    pass\n"),
        ("scripts/migrations/run.py", "print(1)\n"),
    ];
    let files = files.map(|(path, text)| SourceFile::new(path, text));
    let project = Project::build(&ProjectInput {
        sources: Sources::in_memory(files, &[]),
        environment: Vec::new(),
        texts: Vec::new(),
        config: ProjectConfig::default(),
    });
    let found: Vec<&str> = project.problems.iter().map(|problem| problem.kind.as_str()).collect();
    assert!(found.contains(&"not-a-package"), "{found:?}");
    assert!(found.contains(&"no-migration-class"), "{found:?}");
    assert!(
        found.contains(&"syntax-error") || found.iter().filter(|kind| **kind == "no-migration-class").count() == 2,
        "{found:?}"
    );
    assert_eq!(project.apps.len(), 1);
    assert!(project.problems.iter().all(|problem| !problem.message.is_empty() && !problem.help.is_empty()));
}

#[test]
fn no_change_of_a_file_makes_it_panic() {
    let shop = [
        ("manage.py", "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site.settings')\n"),
        ("site/settings.py", "INSTALLED_APPS = ['shop', 'django.contrib.auth']\nAUTH_USER_MODEL = 'shop.User'\n"),
        (
            "shop/apps.py",
            "from django.apps import AppConfig\nclass C(AppConfig):\n    name = 'shop'\n    label = 'store'\n",
        ),
        (
            "shop/migrations/0001_initial.py",
            "from django.conf import settings\nfrom django.db import migrations, models\nT = 'x'\n\nclass F(models.CharField):\n    \
             def __init__(self, *args, **kwargs):\n        kwargs['max_length'] = 10\n        super().__init__(*args, **kwargs)\n\n\
             class Migration(migrations.Migration):\n    initial = True\n    replaces = [('store', '0000')]\n    dependencies = \
             [migrations.swappable_dependency(settings.AUTH_USER_MODEL), ('auth', '__first__')]\n    if settings.X:\n        \
             operations = []\n    else:\n        operations = [migrations.CreateModel('M', [('id', models.AutoField(primary_key=True)), \
             ('f', F('n', null=True))], options={'indexes': [models.Index(fields=['f'], name='i')], 'constraints': \
             [models.CheckConstraint(check=models.Q(f=1) | ~models.Q(f=2), name='c')]}), migrations.RunSQL([('SELECT %s', [1]), \
             f'ANALYZE {T}'], migrations.RunSQL.noop), migrations.RunPython(lambda a, b: None), \
             migrations.SeparateDatabaseAndState(database_operations=[migrations.DeleteModel('M')])]\n",
        ),
        (
            "shop/migrations/0002_next.py",
            "from django.db import migrations\nclass Migration(migrations.Migration):\n    dependencies = [('store', '0001_initial')]\n    run_before = [('auth', '0001_initial')]\n    operations = [migrations.RenameField('M', 'f', 'g')]\n",
        ),
    ];
    let mut random = Random::new(0x2545_f491_4f6c_dd1d);
    for _ in 0..600 {
        let target = random.below(shop.len());
        let files = shop.iter().enumerate().map(|(index, (path, text))| {
            let mut text = (*text).to_owned();
            if index == target {
                for _ in 0..=random.below(3) {
                    text = mutate(&text, &mut random);
                }
            }
            SourceFile::new(*path, text)
        });
        let sources = Sources::in_memory(files.collect::<Vec<_>>(), &[]);
        let input =
            ProjectInput { sources, environment: Vec::new(), texts: Vec::new(), config: ProjectConfig::default() };
        let project = Project::build(&input);
        for migration in &project.migrations {
            let length = u32::try_from(migration.file.text().len()).unwrap_or(u32::MAX);
            for operation in &migration.operations {
                assert!(operation.span.start <= operation.span.end && operation.span.end <= length);
            }
        }
        assert_eq!(
            project.in_order().count()
                + project.graph.replaced().keys().filter(|key| project.graph.index_of(key).is_some()).count(),
            project.migrations.len(),
            "every migration is in the order or replaced"
        );
    }
}

/// Cut, double, or swap a piece of a text.
fn mutate(text: &str, random: &mut Random) -> String {
    let characters: Vec<char> = text.chars().collect();
    let start = random.below(characters.len());
    let end = (start + 1 + random.below(12)).min(characters.len());
    let (before, piece, after) = (&characters[..start], &characters[start..end], &characters[end..]);
    let parts: Vec<&[char]> = match random.below(4) {
        0 => vec![before, after],
        1 => vec![before, piece, piece, after],
        2 => vec![after, piece, before],
        _ => vec![before, &['('], piece, after],
    };
    parts.concat().into_iter().collect()
}

/// Without settings the app that a setting names is a guess, and what it lacks is no error.
#[test]
fn what_a_setting_names_is_missing_only_where_there_are_settings() {
    let users = "('auth', '0004_default_groups')";
    let by_setting = "(settings.AUTH_USER_MODEL.split('.')[0], '0004_default_groups')";
    let kinds = |dependency: &str, settings: &str| {
        let file = |path: &str, text: String| SourceFile::new(path, text);
        let migration = format!(
            "from django.conf import settings\nfrom django.db import migrations\n\n\nclass Migration(migrations.Migration):\n    dependencies = [{dependency}]\n"
        );
        let mut files = vec![file("a/migrations/0001.py", migration), file("a/migrations/__init__.py", String::new())];
        if !settings.is_empty() {
            files
                .push(file("manage.py", "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site.settings')".to_owned()));
            files.push(file("site/settings.py", settings.to_owned()));
        }
        let sources = Sources::in_memory(files, &[]);
        let project = Project::build(&ProjectInput {
            sources,
            environment: Vec::new(),
            texts: Vec::new(),
            config: ProjectConfig::default(),
        });
        let of_graph = project.problems.iter().filter(|problem| problem.place.is_some());
        of_graph.map(|problem| problem.kind.as_str()).collect::<Vec<_>>()
    };
    let settings = "SECRET_KEY = 'x'\nINSTALLED_APPS = ['a', 'django.contrib.auth']\n";
    assert_eq!(kinds(by_setting, ""), ["unknown-dependency"]);
    assert_eq!(kinds(users, ""), ["missing-dependency"]);
    assert_eq!(kinds(by_setting, settings), ["missing-dependency"]);
}

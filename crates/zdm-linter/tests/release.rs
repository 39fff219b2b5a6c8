//! The same migrations judged one by one and as one release: what the running code is makes the difference.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zdm_django::project::sources::Sources;
use zdm_django::project::{Project, ProjectConfig, ProjectInput};
use zdm_django::resolve::Context;
use zdm_django::{DjangoVersion, MigrationKey, Value};
use zdm_linter::{Config, lint, phases};
use zdm_postgres::PgVersion;
use zdm_replay::{Options, Trace, replay};
use zdm_source::{Diagnostic, Phase, SourceFile};

const FIRST: &str = r#"
        migrations.CreateModel("Member", [
            ("id", models.BigAutoField(primary_key=True)),
            ("name", models.CharField(max_length=100)),
            ("nickname", models.CharField(max_length=50, null=True)),
        ]),
        migrations.CreateModel("Team", [("id", models.BigAutoField(primary_key=True))]),
"#;

/// `0002…` are the migrations after [`FIRST`], each the lines of its operations; an app's name before `|` puts it there.
/// Codes are `0003:ZDM201`, as they stand when each is a release of its own, and when all are one.
fn check(migrations: &[&str], alone: &[&str], together: &[&str]) {
    let history = History::new(migrations);
    let codes = |together: bool| -> Vec<String> {
        let mut found: Vec<String> = history
            .lint(together)
            .iter()
            .filter(|found| found.subject.migration.is_some() && !found.code.code.starts_with("ZDM5"))
            .map(|found| {
                let migration = found.subject.migration.as_deref().unwrap_or_default();
                format!("{}:{}", migration.trim_end_matches("_m"), found.code.code)
            })
            .collect();
        found.sort();
        found
    };
    assert_eq!(codes(false), alone, "each alone");
    assert_eq!(codes(true), together, "as one release");
}

/// [`FIRST`] and what comes after it.
struct History {
    project: Project,
    trace: Trace,
    /// Without the first one.
    new: BTreeSet<MigrationKey>,
}

impl History {
    fn config(&self, together: bool) -> Config {
        Config { only: Some(self.new.clone()), together: together.then(|| self.new.clone()), ..Config::default() }
    }

    fn lint(&self, together: bool) -> Vec<Diagnostic> {
        lint(&self.trace, &self.project.problems, &[], &self.config(together))
    }

    fn new(migrations: &[&str]) -> Self {
        let file = |index: usize, operations: &str| {
            let (app, operations) = operations.split_once('|').unwrap_or(("shop", operations));
            let atomic = if operations.contains("CONCURRENTLY") { "    atomic = False\n" } else { "" };
            // On the migration before, in whatever app that is.
            let dependencies = match index.checked_sub(1) {
                None => String::new(),
                Some(0) => "(\"shop\", \"0001_m\")".to_owned(),
                Some(before) => {
                    let app = migrations[before - 1].split_once('|').map_or("shop", |(app, _)| app);
                    format!("(\"{app}\", \"{index:04}_m\"), (\"shop\", \"0001_m\")")
                }
            };
            SourceFile::new(
                format!("{app}/migrations/{:04}_m.py", index + 1),
                format!(
                    "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n{atomic}    \
                 dependencies = [{dependencies}]\n    operations = [\n{operations}\n    ]\n"
                ),
            )
        };
        let mut files: Vec<SourceFile> = ["shop", "club"]
            .into_iter()
            .flat_map(|app| [format!("{app}/__init__.py"), format!("{app}/migrations/__init__.py")])
            .map(|path| SourceFile::new(path, ""))
            .collect();
        files.push(file(0, FIRST));
        files.extend(migrations.iter().enumerate().map(|(index, text)| file(index + 1, text)));
        let project = Project::build(&ProjectInput {
            sources: Sources::in_memory(files, &[]),
            environment: Vec::new(),
            texts: Vec::new(),
            config: ProjectConfig {
                settings: BTreeMap::from([(
                    "DEFAULT_AUTO_FIELD".to_owned(),
                    Value::str("django.db.models.BigAutoField"),
                )]),
                ..ProjectConfig::default()
            },
        });
        let order: Vec<_> = project.in_order().cloned().map(Arc::new).collect();
        let options =
            Options { postgres: PgVersion::NEWEST, context: Context::new(DjangoVersion::NEWEST), incomplete: false };
        let trace = replay(&order, &options);
        let new: BTreeSet<_> =
            order.iter().map(|migration| migration.key.clone()).filter(|key| &*key.name != "0001_m").collect();
        assert_eq!(new.len(), migrations.len(), "{:?}", project.problems);
        Self { project, trace, new }
    }
}

/// Phases of one release are consistent along dependencies; by itself each migration runs when it may.
#[test]
fn what_stands_behind_a_waiting_migration_waits_with_it() {
    let migrations = [
        "migrations.RemoveField('member', 'nickname')",
        "migrations.AddField('member', 'code', models.CharField(max_length=10, null=True))",
        "club|migrations.SeparateDatabaseAndState(state_operations=[])",
    ];
    check(&migrations, &["0002:ZDM201"], &["0002:ZDM201", "0003:ZDM610"]);
    let history = History::new(&migrations);
    let told = |together: bool| -> Vec<(Phase, String)> {
        let phases = phases(&history.trace.order(), &history.config(together), &history.lint(together));
        phases.into_iter().map(|entry| (entry.phase, entry.reasons.last().cloned().unwrap_or_default())).collect()
    };
    let together = told(true);
    assert_eq!(together.iter().map(|(phase, _)| *phase).collect::<Vec<_>>(), [Phase::After; 3]);
    assert_eq!(together[1].1, "it depends on shop.0002_m, which may only run after the deploy");
    assert_eq!(together[2].1, "it depends on shop.0003_m, which may only run after the deploy");
    let alone = told(false);
    assert_eq!(alone.iter().map(|(phase, _)| *phase).collect::<Vec<_>>(), [Phase::After, Phase::Before, Phase::Before]);
    assert_eq!(alone[1].1, "once shop.0002_m has run, which may only run after the deploy");
    assert_eq!(alone[2].1, "");
}

#[test]
fn a_column_that_only_the_same_release_forgets_is_still_in_use() {
    check(
        &[
            "migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField('member', 'nickname')])",
            "migrations.RunSQL('ALTER TABLE shop_member DROP COLUMN nickname')",
        ],
        &[],
        &["0003:ZDM201"],
    );
}

#[test]
fn a_table_that_only_the_same_release_forgets_is_still_in_use() {
    check(
        &[
            "migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel('Team')])",
            "migrations.RunSQL('DROP TABLE shop_team')",
        ],
        &[],
        &["0003:ZDM203"],
    );
}

#[test]
fn running_code_does_not_write_what_the_same_release_adds() {
    check(
        &[
            "migrations.AddField('member', 'code', models.CharField(max_length=10, null=True))",
            "migrations.RunSQL('CREATE UNIQUE INDEX CONCURRENTLY code_once ON shop_member (code)', 'DROP INDEX code_once')",
        ],
        &["0003:ZDM207"],
        &[],
    );
}

#[test]
fn running_code_leaves_a_new_column_to_its_default() {
    check(
        &[
            "migrations.AddField('member', 'points', models.IntegerField(db_default=0))",
            "migrations.AlterField('member', 'points', models.IntegerField(default=0))",
        ],
        &["0003:ZDM209"],
        &["0003:ZDM209"],
    );
    check(
        &[
            "migrations.SeparateDatabaseAndState(
                 state_operations=[migrations.AddField('member', 'points', models.IntegerField(default=0))],
                 database_operations=[
                     migrations.RunSQL('ALTER TABLE shop_member ADD COLUMN points integer NOT NULL DEFAULT 0')])",
            "migrations.RunSQL('ALTER TABLE shop_member ALTER COLUMN points DROP DEFAULT')",
        ],
        &[],
        &["0003:ZDM209"],
    );
}

#[test]
fn nobody_uses_a_table_that_the_same_release_makes() {
    check(
        &[
            "migrations.CreateModel('Badge', [('id', models.BigAutoField(primary_key=True)), ('title', models.TextField()), ('note', models.TextField())])",
            "migrations.AddIndex('badge', models.Index(fields=['title'], name='badge_title'))",
            "migrations.RemoveField('badge', 'note')",
        ],
        &["0003:ZDM101", "0004:ZDM201"],
        &[],
    );
}

#[test]
fn what_other_apps_released_before_is_running() {
    check(
        &[
            "club|migrations.CreateModel('Card', [('id', models.BigAutoField(primary_key=True)), ('code', models.TextField())])",
            "migrations.AddIndex('member', models.Index(fields=['name'], name='member_name'))",
        ],
        &["0003:ZDM101"],
        &["0003:ZDM101"],
    );
}

const MIRRORED: &str = r#"
        migrations.RunSQL("ALTER TABLE shop_member ADD COLUMN label varchar(100)", "ALTER TABLE shop_member DROP COLUMN label"),
        migrations.RunSQL("""
CREATE FUNCTION zdm_mirror_label() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.label IS NOT NULL AND NEW.name IS NULL THEN
        NEW.name := NEW.label;
    END IF;
    NEW.label := NEW.name;
    RETURN NEW;
END
$$""", "DROP FUNCTION zdm_mirror_label()"),
        migrations.RunSQL("""
CREATE TRIGGER zdm_mirror_label BEFORE INSERT OR UPDATE ON shop_member
FOR EACH ROW WHEN (NEW.label IS DISTINCT FROM NEW.name) EXECUTE FUNCTION zdm_mirror_label()
""", "DROP TRIGGER zdm_mirror_label ON shop_member"),
"#;

/// NOT NULL for the label, and the model names it instead of the name.
const RENAMED: [&str; 3] = [
    "migrations.RunSQL('ALTER TABLE shop_member ADD CONSTRAINT label_set CHECK (label IS NOT NULL) NOT VALID',
        'ALTER TABLE shop_member DROP CONSTRAINT label_set')",
    "migrations.RunSQL('ALTER TABLE shop_member VALIDATE CONSTRAINT label_set', migrations.RunSQL.noop)",
    "migrations.SeparateDatabaseAndState(
        state_operations=[migrations.RenameField('member', 'name', 'label')],
        database_operations=[
            migrations.RunSQL('ALTER TABLE shop_member ALTER COLUMN label SET NOT NULL',
                'ALTER TABLE shop_member ALTER COLUMN label DROP NOT NULL'),
            migrations.RunSQL('ALTER TABLE shop_member DROP CONSTRAINT label_set', migrations.RunSQL.noop)])",
];

#[test]
fn a_mirror_fills_what_either_release_does_not_name() {
    let [added, validated, renamed] = RENAMED;
    check(&[MIRRORED, added, validated, renamed], &[], &[]);
    // A mirror of one way fills the shadow alone.
    let one_way = MIRRORED.replace("NEW.name := NEW.label;", "NULL;");
    check(&[&one_way, added, validated, renamed], &["0005:ZDM612"], &["0005:ZDM612"]);
    // One that is switched off fills nothing.
    let off = "migrations.RunSQL('ALTER TABLE shop_member DISABLE TRIGGER zdm_mirror_label', migrations.RunSQL.noop)";
    let found = ["0005:ZDM217", "0006:ZDM205", "0006:ZDM612"];
    check(&[MIRRORED, added, validated, off, renamed], &found, &found);
}

#[test]
fn a_mirror_that_goes_leaves_its_columns_to_nobody() {
    let [added, validated, renamed] = RENAMED;
    let gone = "migrations.RunSQL('DROP TRIGGER zdm_mirror_label ON shop_member; DROP FUNCTION zdm_mirror_label()', migrations.RunSQL.noop)";
    let found = ["0006:ZDM205", "0006:ZDM210", "0006:ZDM612"];
    check(&[MIRRORED, added, validated, renamed, gone], &found, &found);
    let with_column = "migrations.RunSQL('DROP TRIGGER zdm_mirror_label ON shop_member; DROP FUNCTION zdm_mirror_label(); ALTER TABLE shop_member DROP COLUMN name', migrations.RunSQL.noop)";
    check(&[MIRRORED, added, validated, renamed, with_column], &[], &["0006:ZDM201", "0006:ZDM205"]);
}

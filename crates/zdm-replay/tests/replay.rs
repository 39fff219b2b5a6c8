//! Small projects in, what the replay writes down out.

use std::fmt::Write as _;
use std::sync::Arc;

use insta::assert_snapshot;
use zdm_django::DjangoVersion;
use zdm_django::project::sources::Sources;
use zdm_django::project::{Project, ProjectConfig, ProjectInput};
use zdm_django::resolve::Context;
use zdm_postgres::PgVersion;
use zdm_replay::{Options, Trace, replay};
use zdm_source::SourceFile;

/// The trace of the app `shop` with these class bodies as its migrations.
fn trace(bodies: &[&str]) -> Trace {
    let mut files = vec![SourceFile::new("shop/__init__.py", ""), SourceFile::new("shop/migrations/__init__.py", "")];
    for (index, body) in bodies.iter().enumerate() {
        let dependencies =
            if index == 0 { String::new() } else { format!("    dependencies = [(\"shop\", \"000{index}_m\")]\n") };
        let mut text = String::from(
            "from django.db import migrations, models\nfrom django.contrib.postgres.operations import AddIndexConcurrently\n\n\nclass Migration(migrations.Migration):\n",
        );
        text.push_str(&dependencies);
        for line in body.trim_matches('\n').lines() {
            let _ = writeln!(text, "    {line}");
        }
        files.push(SourceFile::new(format!("shop/migrations/000{}_m.py", index + 1), text));
    }
    let project = Project::build(&ProjectInput {
        sources: Sources::in_memory(files, &[]),
        environment: Vec::new(),
        texts: Vec::new(),
        config: ProjectConfig::default(),
    });
    let migrations: Vec<_> = project.in_order().cloned().map(Arc::new).collect();
    replay(
        &migrations,
        &Options { postgres: PgVersion::major(16), context: Context::new(DjangoVersion::new(5, 2)), incomplete: false },
    )
}

/// The last migration's part: one line a step, then what each operation did to the state.
fn check(bodies: &[&str]) -> String {
    let trace = trace(bodies);
    let last = trace.migrations.last().expect("the project has migrations");
    let mut text = String::new();
    for step in &last.steps {
        let file = &last.migration.file;
        let place = file.line_column(step.span.start);
        let transaction =
            step.transaction.map_or_else(|| "autocommit".to_owned(), |number| format!("transaction {number}"));
        let _ = writeln!(
            text,
            "operation {}{} at {}:{}, {transaction}: {}",
            step.operation,
            if step.deferred { ", deferred" } else { "" },
            place.line,
            place.column,
            step.sql
        );
        if let Some(error) = &step.outcome.error {
            let _ = writeln!(text, "    refused: {}", error.message);
            continue;
        }
        let held: Vec<String> = step
            .outcome
            .held
            .iter()
            .filter(|(name, _)| step.catalog_before.table(name).is_some())
            .map(|(name, held)| format!("{name} {} by {}", held.mode.initials(), held.by))
            .collect();
        let _ = writeln!(text, "    number {}, holds [{}]", step.number, held.join(", "));
    }
    for operation in &last.operations {
        let changed = operation
            .state_after
            .models()
            .filter(|model| operation.state_before.model(&model.key()).is_none_or(|before| !Arc::ptr_eq(before, model)))
            .map(|model| model.name.to_string())
            .collect::<Vec<_>>();
        let _ = writeln!(text, "state of operation {}: {}", operation.index, changed.join(", "));
        for (_, reason) in &operation.not_analysed {
            let _ = writeln!(text, "    not analysed: {reason}");
        }
        if operation.python {
            let _ = writeln!(text, "    runs Python");
        }
    }
    text
}

const ORDER: &str = r#"
operations = [
    migrations.CreateModel("Order", [("id", models.BigAutoField(primary_key=True)), ("number", models.TextField())]),
]
"#;

#[test]
fn an_atomic_migration_holds_its_locks_to_the_end() {
    assert_snapshot!(check(&[
        ORDER,
        r#"
operations = [
    migrations.AddField("order", "note", models.TextField(null=True)),
    migrations.AddIndex("order", models.Index(fields=["number"], name="number_idx")),
]
"#
    ]));
}

#[test]
fn deferred_statements_stand_at_the_end_and_name_their_operation() {
    assert_snapshot!(check(&[
        ORDER,
        r#"
operations = [
    migrations.CreateModel(
        "Line",
        [
            ("id", models.BigAutoField(primary_key=True)),
            ("order", models.ForeignKey("shop.Order", models.CASCADE)),
        ],
    ),
    migrations.AddField("order", "note", models.TextField(null=True)),
]
"#
    ]));
}

#[test]
fn a_migration_that_is_not_atomic_commits_each_statement() {
    assert_snapshot!(check(&[
        ORDER,
        r#"
atomic = False
operations = [
    migrations.AddField("order", "note", models.TextField(null=True)),
    AddIndexConcurrently("order", models.Index(fields=["number"], name="number_idx")),
]
"#
    ]));
}

#[test]
fn several_statements_in_one_string_are_one_transaction() {
    assert_snapshot!(check(&[
        ORDER,
        r#"
atomic = False
operations = [
    migrations.RunSQL("ALTER TABLE shop_order ADD COLUMN a int; CREATE INDEX CONCURRENTLY b ON shop_order (id)"),
]
"#
    ]));
}

#[test]
fn a_transaction_of_the_projects_own_is_followed() {
    assert_snapshot!(check(&[
        ORDER,
        r#"
atomic = False
operations = [
    migrations.RunSQL("BEGIN; LOCK TABLE shop_order; COMMIT; SELECT 1"),
]
"#
    ]));
}

#[test]
fn state_and_database_go_apart_when_the_migration_says_so() {
    assert_snapshot!(check(&[
        ORDER,
        r#"
operations = [
    migrations.SeparateDatabaseAndState(
        database_operations=[migrations.RunSQL("ALTER TABLE shop_order ALTER COLUMN number DROP NOT NULL")],
        state_operations=[migrations.RemoveField("order", "number")],
    ),
    migrations.RunPython(migrations.RunPython.noop),
]
"#
    ]));
}

#[test]
fn what_is_not_analysed_leaves_an_assumed_table_behind() {
    let trace = trace(&[
        ORDER,
        r#"
operations = [
    migrations.CreateModel("Tag", [("id", models.BigAutoField(primary_key=True)), ("x", unknown_field())]),
]
"#,
        r#"
operations = [
    migrations.AddField("tag", "note", models.TextField(null=True)),
]
"#,
    ]);
    assert!(!trace.migrations[1].operations[0].not_analysed.is_empty());
    assert!(trace.migrations[1].catalog_after.is_incomplete());
    let table = trace.migrations[1].catalog_after.table(&"shop_tag".into()).expect("the table is assumed");
    assert!(table.assumed);
    assert!(trace.migrations[2].steps.iter().all(|step| !step.is_refused()));
}

/// For each operation of the last migration whether it is analysed; and the tables whose contents are uncertain then.
fn analysed(bodies: &[&str]) -> (Vec<bool>, Vec<String>) {
    let trace = trace(bodies);
    let last = trace.migrations.last().expect("the project has migrations");
    let analysed = last.operations.iter().map(|operation| operation.not_analysed.is_empty()).collect();
    let uncertain = last.catalog_after.tables().filter(|table| table.uncertain || table.assumed);
    (analysed, uncertain.map(|table| table.name.to_string()).collect())
}

#[test]
fn an_undecided_condition_makes_the_names_under_it_uncertain_and_no_others() {
    let models = r#"
operations = [
    migrations.CreateModel("Order", [("id", models.BigAutoField(primary_key=True)), ("number", models.TextField())]),
    migrations.CreateModel("Item", [("id", models.BigAutoField(primary_key=True)), ("name", models.TextField())]),
]
"#;
    let undecided = r#"
operations = [migrations.AlterField("item", "name", models.TextField(null=True))]
if flags():
    operations += [
        migrations.AddField("order", "note", models.TextField(null=True)),
        migrations.CreateModel("Extra", [("id", models.BigAutoField(primary_key=True))]),
    ]
"#;
    assert_eq!(
        analysed(&[models, undecided]),
        (vec![true, false, false], vec!["shop_extra".to_owned(), "shop_order".to_owned()])
    );
    let after = r#"
operations = [
    migrations.AlterField("order", "number", models.CharField(max_length=9)),
    migrations.AlterField("order", "note", models.CharField(max_length=9, null=True)),
    migrations.AddIndex("order", models.Index(fields=["-note"], name="note_idx")),
    migrations.AddIndex("order", models.Index(fields=["number"], name="number_idx")),
    migrations.AddField("item", "extra", models.ForeignKey("Extra", models.CASCADE, null=True)),
    migrations.RemoveField("order", "note"),
    migrations.AddField("order", "note", models.TextField(null=True)),
    migrations.AddField("item", "count", models.IntegerField(null=True)),
]
"#;
    assert_eq!(analysed(&[models, undecided, after]).0, [true, false, false, true, false, false, true, true]);
}

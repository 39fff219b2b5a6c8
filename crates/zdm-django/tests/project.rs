//! Projects in memory, as the rest of zdm sees them.

use std::fmt::Write as _;
use std::sync::Arc;

use zdm_django::operation::{CatalogFact, Operation, OperationKind, OwnWayBack, SqlSource, TableRef};
use zdm_django::project::sources::Sources;
use zdm_django::{Project, ProjectConfig, ProjectInput};
use zdm_source::SourceFile;

/// Files in one text, each behind a line `== path`.
fn project(files: &str) -> Project {
    project_with(files, ProjectConfig::default())
}

fn project_with(files: &str, config: ProjectConfig) -> Project {
    project_among(files, config, Vec::new())
}

/// With packages around it.
fn project_among(
    files: &str,
    config: ProjectConfig,
    environment: Vec<Arc<dyn zdm_django::project::sources::Folder>>,
) -> Project {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in files.lines() {
        if let Some(path) = line.trim_start().strip_prefix("== ") {
            found.push((path.trim().to_owned(), String::new()));
        } else if let Some((_, text)) = found.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }
    let files = found.into_iter().map(|(path, text)| SourceFile::new(path, unindent(&text)));
    let sources = Sources::in_memory(files, &[]);
    Project::build(&ProjectInput { sources, environment, texts: Vec::new(), config })
}

/// The text without the indentation that all its lines have.
fn unindent(text: &str) -> String {
    let lines = || text.lines().filter(|line| !line.trim().is_empty());
    let margin = lines().map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    text.lines().map(|line| line.get(margin..).unwrap_or("")).fold(String::new(), |mut all, line| {
        let _ = writeln!(all, "{line}");
        all
    })
}

/// One app `shop` with one migration that has these operations.
fn operations(body: &str) -> Vec<Operation> {
    let text =
        format!("from django.db import migrations, models\nfrom django.conf import settings\n{}\n", unindent(body));
    let file = SourceFile::new("shop/migrations/0001_initial.py", text);
    let sources = Sources::in_memory([file, SourceFile::new("shop/migrations/__init__.py", "")], &[]);
    let input = ProjectInput { sources, environment: Vec::new(), texts: Vec::new(), config: ProjectConfig::default() };
    let project = Project::build(&input);
    let found = project.migrations.into_iter().find(|migration| &*migration.key.app == "shop");
    found.expect("the migration is there").operations
}

/// A short form of what the operations of a class body are.
#[track_caller]
fn check(body: &str, expect: &str) {
    let found: Vec<String> = operations(body).iter().map(show).collect();
    let expect: Vec<&str> = expect.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(found, expect);
}

fn show(operation: &Operation) -> String {
    let mark = if operation.conditional { "? " } else { "" };
    let field = |field: &zdm_django::Field| {
        let kwargs: Vec<String> = field.kwargs.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        format!("{} {:?} {}", field.name, field.class.kind, kwargs.join(" ")).trim_end().to_owned()
    };
    let text = match &operation.kind {
        OperationKind::AddField { model_name, field: added, .. } => format!("AddField {model_name}.{}", field(added)),
        OperationKind::AlterField { model_name, field: altered, .. } => {
            format!("AlterField {model_name}.{}", field(altered))
        }
        OperationKind::CreateModel { name, fields, .. } => {
            format!("CreateModel {name} {}", fields.iter().map(field).collect::<Vec<_>>().join(" | "))
        }
        OperationKind::RunSql(sql) => {
            let texts = |source: &SqlSource| match source {
                SqlSource::Texts(texts) => {
                    texts.iter().map(|text| text.text.to_string()).collect::<Vec<_>>().join(" ; ")
                }
                SqlSource::Unknown { reason } => format!("unknown: {reason}"),
            };
            let reverse = sql.reverse_sql.as_ref().map(texts);
            format!("RunSQL [{}] reverse {reverse:?}", texts(&sql.sql))
        }
        OperationKind::RunPython(python) => format!("RunPython {:?} {:?}", python.code, python.reverse_code),
        OperationKind::Unknown { reason, possible, .. } if possible.is_empty() => {
            format!("Unknown {}: {reason}", operation.class)
        }
        OperationKind::Unknown { reason, possible, .. } => {
            let possible: Vec<String> = possible.iter().map(show).collect();
            format!("{}: {reason}", possible.join(", "))
        }
        OperationKind::SeparateDatabaseAndState { database_operations, state_operations } => {
            let list = |operations: &[Operation]| operations.iter().map(show).collect::<Vec<_>>().join(", ");
            format!("Separate database [{}] state [{}]", list(database_operations), list(state_operations))
        }
        OperationKind::Known(known) => {
            let texts: Vec<&str> = known.statements.iter().map(|text| &*text.text).collect();
            format!("Known {} [{}]", known.package, texts.join("; ").split_whitespace().collect::<Vec<_>>().join(" "))
        }
        OperationKind::Where { test, operations } => {
            let fact = |(fact, is): &(CatalogFact, bool)| {
                let (table, column) = match fact {
                    CatalogFact::Table(table) => (table, None),
                    CatalogFact::Column { table, column: name } | CatalogFact::Constraint { table, name } => {
                        (table, Some(name))
                    }
                };
                let table = match table {
                    TableRef::Name(name) => name.to_string(),
                    TableRef::Model { name, after, .. } => format!("of {name}{}", if *after { " after" } else { "" }),
                };
                let column = column.map_or_else(String::new, |column| format!(" column {column}"));
                format!("{}{table}{column}", if *is { "" } else { "no " })
            };
            let case = |all: &Vec<(CatalogFact, bool)>| all.iter().map(fact).collect::<Vec<_>>().join(" and ");
            let cases: Vec<String> = test.any.iter().map(case).collect();
            let operations: Vec<String> = operations.iter().map(show).collect();
            format!("where {}: {}", cases.join(" or "), operations.join(", "))
        }
        kind => format!("{kind:?}"),
    };
    let back = match operation.way_back {
        OwnWayBack::OfItsKind => "",
        OwnWayBack::Nothing => " (back: nothing)",
        OwnWayBack::NotKnown => " (back: not known)",
    };
    format!("{mark}{text}{back}")
}

#[test]
fn literal_operations() {
    check(
        r#"
        class Migration(migrations.Migration):
            operations = [
                migrations.AddField("order", "note", models.CharField("Note", max_length=10, null=True)),
                migrations.RemoveField(model_name="order", name="note"),
                migrations.RenameModel("Order", "Purchase"),
            ]
        "#,
        r#"
        AddField order.note Django("CharField") max_length=Int(10) null=Bool(true) verbose_name=Str("Note")
        RemoveField { model_name: "order", name: "note" }
        RenameModel { old_name: "Order", new_name: "Purchase" }
        "#,
    );
}

#[test]
fn constants_concatenation_and_formatting() {
    check(
        r#"
        TABLE = "shop_order"
        extra = [migrations.RunSQL(f"ANALYZE {TABLE}", migrations.RunSQL.noop)]

        class Migration(migrations.Migration):
            name = "x"
            operations = [migrations.RunSQL("SELECT %s" % name, reverse_sql=None)] + extra + [
                *[migrations.DeleteModel(n) for n in ("A", "B")],
            ]
        "#,
        r#"
        RunSQL [SELECT x] reverse None
        RunSQL [ANALYZE shop_order] reverse Some("")
        DeleteModel { name: "A" }
        DeleteModel { name: "B" }
        "#,
    );
}

#[test]
fn parts_of_a_swappable_model_s_name() {
    check(
        r#"
        name = f"{settings.AUTH_USER_MODEL.rsplit('.', 1)[1].lower()}_ptr"
        app = settings.AUTH_USER_MODEL.split(".", 1)[0]

        class Migration(migrations.Migration):
            operations = [migrations.RemoveField("a.b.c".rsplit(".", 1)[0], name), migrations.DeleteModel(app)]
        "#,
        r#"
        RemoveField { model_name: "a.b", name: "user_ptr" }
        DeleteModel { name: "auth" }
        "#,
    );
}

#[test]
fn what_subclasses_of_operations_make_of_their_base() {
    check(
        r#"
        class Fake(migrations.RemoveField):
            """Only the state."""
            def database_forwards(self, app_label, schema_editor, from_state, to_state):
                pass

        class Try(migrations.DeleteModel):
            def database_forwards(self, app_label, schema_editor, from_state, to_state):
                try:
                    super().database_forwards(app_label, schema_editor, from_state, to_state)
                except Exception as error:
                    print(error)

        class Perhaps(migrations.DeleteModel):
            def database_forwards(self, app_label, schema_editor, from_state, to_state):
                if self.name == self.other:
                    super().database_forwards(app_label, schema_editor, from_state, to_state)

        class OnPostgres(migrations.DeleteModel):
            def database_forwards(self, app_label, schema_editor, from_state, to_state):
                if schema_editor.connection.vendor == "postgresql":
                    super().database_forwards(app_label, schema_editor, from_state, to_state)

        class Analyze(migrations.operations.base.Operation):
            def state_forwards(self, app_label, state):
                pass
            def database_forwards(self, app_label, schema_editor, from_state, to_state):
                schema_editor.execute("ANALYZE")

        class CreateFunction(migrations.operations.base.Operation):
            def __init__(self, name, body, arguments=[], language="sql"):
                self.name = name
                self.arguments = arguments
                self.body, self.language = body, language
            def state_forwards(self, app_label, state):
                pass
            def database_forwards(self, app_label, schema_editor, from_state, to_state):
                sql = """
                    CREATE FUNCTION %(name)s(%(arguments)s)
                    LANGUAGE %(language)s AS $$ %(body)s $$""" % {
                    "name": self.name, "arguments": ", ".join(self.arguments), "language": self.language, "body": self.body,
                }
                schema_editor.execute(sql)
                schema_editor.execute(f"COMMENT ON FUNCTION {self.name} IS '{self.name.upper()}'", params=None)

        class OfModel(migrations.operations.base.Operation):
            def __init__(self, model):
                self.table = model._meta.db_table
            def state_forwards(self, app_label, state):
                pass
            def database_forwards(self, app_label, schema_editor, from_state, to_state):
                schema_editor.execute(f"ANALYZE {self.table}")

        class Other(migrations.DeleteModel):
            def database_forwards(self, app_label, schema_editor, from_state, to_state):
                self.name = "X"
                super().database_forwards(app_label, schema_editor, from_state, to_state)

        class Named(migrations.RunSQL):
            def __init__(self, table):
                super().__init__(sql=f"ANALYZE {table}", reverse_sql="")

        class Migration(migrations.Migration):
            operations = [
                Fake("a", "b"), Try("A"), Perhaps("A"), OnPostgres("A"), Analyze(), Other("X"), Named("t"),
                CreateFunction("f", "SELECT 1", arguments=["a int", "b text"]), OfModel(unheard_of),
            ]
        "#,
        r#"
        Separate database [] state [RemoveField { model_name: "a", name: "b" }] (back: not known)
        DeleteModel { name: "A" }
        Separate database [? DeleteModel { name: "A" }: whether it does anything `Perhaps.database_forwards()` decides when it runs] state [DeleteModel { name: "A" }]
        DeleteModel { name: "A" }
        Known shop [ANALYZE]
        Separate database [DeleteModel { name: "X" }: `shop.migrations.0001_initial.Other` overrides `database_forwards`] state [DeleteModel { name: "X" }] (back: not known)
        RunSQL [ANALYZE t] reverse Some("")
        Known shop [CREATE FUNCTION f(a int, b text) LANGUAGE sql AS $$ SELECT 1 $$; COMMENT ON FUNCTION f IS 'F']
        Unknown shop.migrations.0001_initial.OfModel: `shop.migrations.0001_initial.OfModel` overrides `database_forwards`
        "#,
    );
}

#[test]
fn operations_ask_the_database_for_tables_and_columns() {
    check(
        r#"
        def has_table(schema_editor, table):
            return table in schema_editor.connection.introspection.table_names()

        class IfThere(migrations.DeleteModel):
            def database_forwards(self, app_label, schema_editor, from_state, to_state):
                model = from_state.apps.get_model(app_label, self.name)
                table_name = model._meta.db_table
                if table_name in schema_editor.connection.introspection.table_names():
                    super().database_forwards(app_label, schema_editor, from_state, to_state)

        class IfNotThere(migrations.CreateModel):
            def database_forwards(self, app_label, schema_editor, from_state, to_state):
                db_table = to_state.apps.get_model(app_label, self.name)._meta.db_table
                if db_table in schema_editor.connection.introspection.table_names():
                    print("is there")
                else:
                    super().database_forwards(app_label, schema_editor, from_state, to_state)
            def database_backwards(self, app_label, schema_editor, from_state, to_state):
                pass

        class Early(migrations.RemoveField):
            def database_forwards(self, app_label, schema_editor, from_state, to_state):
                with schema_editor.connection.cursor() as cursor:
                    columns = schema_editor.connection.introspection.get_table_description(cursor, "shop_a")
                if self.name not in [found.name for found in columns]:
                    return
                if not has_table(schema_editor, "shop_b"):
                    return
                super().database_forwards(app_label, schema_editor, from_state, to_state)

        class IfIndexed(migrations.RemoveIndex):
            def database_forwards(self, app_label, schema_editor, from_state, to_state):
                model = from_state.apps.get_model(app_label, self.model_name)
                with schema_editor.connection.cursor() as cursor:
                    existing = schema_editor.connection.introspection.get_constraints(cursor, model._meta.db_table)
                if self.name in existing:
                    super().database_forwards(app_label, schema_editor, from_state, to_state)

        class Within(migrations.operations.base.Operation):
            reversible = False
            creates = migrations.CreateModel(name="C", fields=[])

            def state_forwards(self, app_label, state):
                self.creates.state_forwards(app_label, state)

            def database_forwards(self, app_label, schema_editor, from_state, to_state):
                if "shop_c" not in schema_editor.connection.introspection.table_names():
                    to_state = from_state.clone()
                    self.creates.state_forwards(app_label, to_state)
                    self.creates.database_forwards(app_label, schema_editor, from_state, to_state)

        class WithinOther(Within):
            def state_forwards(self, app_label, state):
                self.others.state_forwards(app_label, state)

        class WithinTwice(Within):
            def database_forwards(self, app_label, schema_editor, from_state, to_state):
                self.creates.state_forwards(app_label, to_state)
                self.creates.database_forwards(app_label, schema_editor, from_state, to_state)

        class Both(migrations.RemoveField):
            def database_forwards(self, app_label, schema_editor, from_state, to_state):
                if self.name == self.other:
                    super().database_forwards(app_label, schema_editor, from_state, to_state)
                    return
                super().database_forwards(app_label, schema_editor, from_state, to_state)

        class Twice(migrations.RemoveField):
            def database_forwards(self, app_label, schema_editor, from_state, to_state):
                for name in ("a", "b"):
                    super().database_forwards(app_label, schema_editor, from_state, to_state)

        class Back(migrations.RemoveField):
            def database_backwards(self, app_label, schema_editor, from_state, to_state):
                schema_editor.execute("ANALYZE")

        class Migration(migrations.Migration):
            operations = [IfThere("A"), IfNotThere("B", fields=[]), Early("a", "b"), IfIndexed("a", "i"), Both("a", "c"), Twice("a", "d"), Back("a", "e"), Within(), WithinOther(), WithinTwice()]
        "#,
        r#"
        Separate database [where of A: DeleteModel { name: "A" }] state [DeleteModel { name: "A" }]
        Separate database [where no of B after: CreateModel B ] state [CreateModel B ] (back: nothing)
        Separate database [where shop_a column b and shop_b: RemoveField { model_name: "a", name: "b" }] state [RemoveField { model_name: "a", name: "b" }]
        Separate database [where of a column i: RemoveIndex { model_name: "a", name: "i", concurrently: false }] state [RemoveIndex { model_name: "a", name: "i", concurrently: false }]
        RemoveField { model_name: "a", name: "c" }
        Separate database [? RemoveField { model_name: "a", name: "d" }: whether it does anything `Twice.database_forwards()` decides when it runs] state [RemoveField { model_name: "a", name: "d" }]
        RemoveField { model_name: "a", name: "e" } (back: not known)
        Separate database [where no shop_c: CreateModel C ] state [CreateModel C ] (back: not known)
        Unknown shop.migrations.0001_initial.WithinOther: `shop.migrations.0001_initial.WithinOther` is an operation of its own
        Unknown shop.migrations.0001_initial.WithinTwice: `shop.migrations.0001_initial.WithinTwice` overrides `database_forwards`
        "#,
    );
}

#[test]
fn a_migration_that_decides_itself_is_not_analysed() {
    let migration = |methods: &str, expect: &str| {
        check(
            &format!(
                r#"
        import logging
        from django.db import router

        class Base(migrations.Migration):
{methods}

        class Migration(Base):
            operations = [migrations.DeleteModel("A")]
        "#
            ),
            expect,
        );
    };
    let known = r#"DeleteModel { name: "A" }"#;
    migration(
        r#"
            def __init__(self, name, app_label):
                super().__init__(name, app_label)

            def apply(self, project_state, schema_editor, collect_sql=False):
                logging.info("applying %s", self.name)
                return super().apply(project_state, schema_editor, collect_sql)
        "#,
        known,
    );
    migration(
        r#"
            def apply(self, project_state, schema_editor, collect_sql=False):
                if schema_editor.connection.vendor == "postgresql":
                    result = super().apply(project_state, schema_editor, collect_sql)
                    logging.info("done")
                    return result
                return project_state
        "#,
        known,
    );
    migration(
        r#"
            def apply(self, project_state, schema_editor, collect_sql=False):
                if schema_editor.connection.vendor == "sqlite":
                    return super().apply(project_state, schema_editor, collect_sql)
                return project_state
        "#,
        r#"Separate database [] state [DeleteModel { name: "A" }]"#,
    );
    migration(
        r"
            def apply(self, *args, **kwargs):
                return super().apply(*args, **kwargs)
        ",
        known,
    );
    // A mark on the schema editor that Django does not read.
    let marked = |mark: &str| {
        format!(
            r"
            checked = True

            def apply(self, project_state, schema_editor, collect_sql=False):
                if self.checked:
                    {mark}
                return super().apply(project_state, schema_editor, collect_sql)
        "
        )
    };
    migration(&marked("schema_editor.safe = True"), known);
    let decides = r#"? DeleteModel { name: "A" }: `shop.migrations.0001_initial.Base` has `apply()` of its own, which decides when it runs"#;
    migration(&marked("schema_editor.collect_sql = True"), decides);
    migration(&marked("schema_editor.execute = print"), decides);
    // What only another server sees counts for nothing.
    migration(
        r#"
            def apply(self, project_state, schema_editor, collect_sql=False):
                if schema_editor.connection.vendor == "mysql":
                    self.operations = []
                return super().apply(project_state, schema_editor, collect_sql)

            def unapply(self, project_state, schema_editor, collect_sql=False):
                if schema_editor.connection.vendor in ("mysql", "oracle"):
                    field = project_state.apps.get_model("shop", "A")._meta.get_field("name")
                    field._unique = False
                return super().unapply(project_state, schema_editor, collect_sql)
        "#,
        known,
    );
    // What the database answers, the replay knows.
    migration(
        r#"
            def apply(self, project_state, schema_editor, collect_sql=False):
                model = project_state.apps.get_model("shop", "a")
                if not all(one.allow_migrate_model(schema_editor.connection.alias, model) for one in self.operations):
                    return project_state
                connection = schema_editor.connection
                if router.allow_migrate(connection.alias, "shop", model_name="shop_a"):
                    names = [
                        column.name for column in
                        connection.introspection.get_table_description(connection.cursor(), "shop_a")
                    ]
                    if "control" in names:
                        return super().apply(project_state, schema_editor, collect_sql)
                    for operation in self.operations:
                        operation.state_forwards(self.app_label, project_state)
                return project_state
        "#,
        known,
    );
    let other = |method: &str| {
        format!(
            r#"? DeleteModel {{ name: "A" }}: `shop.migrations.0001_initial.Base` has `{method}()` of its own, which decides when it runs"#
        )
    };
    migration(
        r#"
            def apply(self, project_state, schema_editor, collect_sql=False):
                schema_editor.execute("SET lock_timeout = 1")
                return super().apply(project_state, schema_editor, collect_sql)
        "#,
        &other("apply"),
    );
    migration(
        r#"
            def apply(self, project_state, schema_editor, collect_sql=False):
                if schema_editor.connection.alias != "default":
                    return project_state
                return super().apply(project_state, schema_editor, collect_sql)
        "#,
        &other("apply"),
    );
    migration(
        r#"
            def apply(self, project_state, schema_editor, collect_sql=False):
                if schema_editor.connection.vendor != "mysql":
                    self.operations = []
                return super().apply(project_state, schema_editor, collect_sql)
        "#,
        &other("apply"),
    );
    migration(
        r#"
            def __init__(self, name, app_label):
                super().__init__(name, "other")
        "#,
        &other("__init__"),
    );
    migration(
        r"
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.operations = []
        ",
        &other("__init__"),
    );
}

#[test]
fn lists_that_functions_of_python_make() {
    check(
        r#"
        import itertools

        NAMES = ["b", "a", "cc"]

        class Migration(migrations.Migration):
            operations = [
                *map(lambda name: migrations.DeleteModel(name), NAMES),
                *[migrations.DeleteModel(name) for name in sorted(NAMES, key=len, reverse=True)],
                *list(itertools.chain(
                    (migrations.DeleteModel(name) for name in filter(lambda name: name != "a", NAMES)),
                    [migrations.DeleteModel("z")] if isinstance(NAMES, list) else [],
                )),
            ]
        "#,
        r#"
        DeleteModel { name: "b" }
        DeleteModel { name: "a" }
        DeleteModel { name: "cc" }
        DeleteModel { name: "cc" }
        DeleteModel { name: "b" }
        DeleteModel { name: "a" }
        DeleteModel { name: "b" }
        DeleteModel { name: "cc" }
        DeleteModel { name: "z" }
        "#,
    );
}

#[test]
fn imports_that_may_fail_and_versions() {
    check(
        r#"
        import sys

        import django

        try:
            import json
            from django.db.models import JSONField
        except ImportError:
            JSONField = models.TextField

        try:
            from nowhere.fields import Special
        except ImportError:
            Special = models.TextField

        Old = models.TextField if django.VERSION < (3, 1) or sys.version_info[0] == 2 else models.UUIDField

        class Migration(migrations.Migration):
            operations = [
                migrations.AddField("order", "a", JSONField()),
                migrations.AddField("order", "b", Special()),
                migrations.AddField("order", "c", Old()),
            ]
        "#,
        r#"
        AddField order.a Django("JSONField")
        AddField order.b Unknown { reason: "`try: from nowhere.fields import Special except ImportError: …` may be one of several values" }
        AddField order.c Django("UUIDField")
        "#,
    );
}

#[test]
fn functions_that_make_operations_and_fields_under_conditions() {
    check(
        r#"
        import os

        def two(name):
            return [migrations.DeleteModel(name), migrations.DeleteModel(name + "2")]

        def perhaps(step):
            steps = [migrations.DeleteModel("A"), step]
            if os.environ.get("SKIP"):
                steps = [step]
            return steps

        class Migration(migrations.Migration):
            operations = two("X") + perhaps(migrations.DeleteModel("B")) + [
                migrations.CreateModel("M", [("id", models.AutoField(primary_key=True))] + ([("x", models.TextField())] if settings.FLAG else [])),
            ]
        "#,
        r#"
        DeleteModel { name: "X" }
        DeleteModel { name: "X2" }
        ? DeleteModel { name: "A" }: whether it is there depends on `os.environ.get("SKIP")`, which is not known
        DeleteModel { name: "B" }
        CreateModel M id Django("AutoField") primary_key=Bool(true) | x Unknown { reason: "it stands under a condition that is not known" }
        "#,
    );
}

#[test]
fn third_party_operations_get_their_statements_from_the_history() {
    check(
        r#"
        import pgtrigger.compiler
        import pgtrigger.migrations
        from django_add_default_value import NOW, AddDefaultValue
        from django_migration_linter import IgnoreMigration

        class Migration(migrations.Migration):
            operations = [
                IgnoreMigration(),
                migrations.CreateModel("Order", [("note", models.TextField()), ("user", models.ForeignKey("auth.User", models.CASCADE))]),
                migrations.RenameField("order", "note", "remark"),
                AddDefaultValue(model_name="order", name="remark", value="it's"),
                AddDefaultValue(model_name="order", name="user", value=1),
                AddDefaultValue(model_name="order", name="made", value=NOW),
                pgtrigger.migrations.AddTrigger(
                    model_name="order",
                    trigger=pgtrigger.compiler.Trigger(
                        name="keep",
                        sql=pgtrigger.compiler.UpsertTriggerSql(
                            func="RAISE EXCEPTION 'no';", hash="ab", operation="DELETE", pgid="pgtrigger_keep_1a2b3", table="shop_order", when="BEFORE",
                        ),
                    ),
                ),
                pgtrigger.migrations.RemoveTrigger(model_name="order", name="keep"),
                pgtrigger.migrations.RemoveTrigger(model_name="order", name="keep"),
            ]
        "#,
        r#"
        NoOp
        CreateModel Order note Django("TextField") | user Django("ForeignKey") on_delete=Symbol("django.db.models.CASCADE") to=Str("auth.User")
        RenameField { model_name: "order", old_name: "note", new_name: "remark" }
        Known django-add-default-value [ALTER TABLE "shop_order" ALTER COLUMN "remark" SET DEFAULT 'it''s']
        Known django-add-default-value [ALTER TABLE "shop_order" ALTER COLUMN "user_id" SET DEFAULT '1']
        Unknown django_add_default_value.AddDefaultValue: the column of `order.made` is not known
        Known django-pgtrigger [CREATE OR REPLACE FUNCTION pgtrigger_keep_1a2b3() RETURNS TRIGGER AS $$ BEGIN RAISE EXCEPTION 'no'; END; $$ LANGUAGE plpgsql; DROP TRIGGER IF EXISTS pgtrigger_keep_1a2b3 ON "shop_order"; CREATE TRIGGER pgtrigger_keep_1a2b3 BEFORE DELETE ON "shop_order" FOR EACH ROW EXECUTE PROCEDURE pgtrigger_keep_1a2b3(); COMMENT ON TRIGGER pgtrigger_keep_1a2b3 ON "shop_order" IS 'ab']
        Known django-pgtrigger [DROP TRIGGER IF EXISTS pgtrigger_keep_1a2b3 ON "shop_order"]
        Unknown pgtrigger.migrations.RemoveTrigger: no migration that was analysed adds the trigger `keep`
        "#,
    );
}

#[test]
fn what_is_not_known_stays_in_its_place() {
    check(
        r#"
        from other.package import make, Special

        class Migration(migrations.Migration):
            operations = [
                migrations.DeleteModel("A"),
                make(),
                Special("x"),
                *make(),
                migrations.DeleteModel(make()),
                migrations.AddField("order", "note", Special(null=True)),
            ]
        "#,
        r#"
        DeleteModel { name: "A" }
        Unknown other.package.make: the operation `other.package.make` is not known
        Unknown other.package.Special: the operation `other.package.Special` is not known
        Unknown : the operations of this list are not known: `make()` is computed when the migration runs
        Unknown django.db.migrations.DeleteModel: `name`: `make()` is computed when the migration runs
        AddField order.note Unknown { reason: "the class `other.package.Special` is not known" } null=Bool(true)
        "#,
    );
}

#[test]
fn conditions_keep_both_branches_or_follow_the_vendor() {
    check(
        r#"
        from django.db import connection

        class Migration(migrations.Migration):
            if connection.vendor == "postgresql":
                operations = [migrations.RunSQL("SELECT 1", "")]
            else:
                operations = []
        "#,
        r#"RunSQL [SELECT 1] reverse Some("")"#,
    );
    check(
        r#"
        class Migration(migrations.Migration):
            operations = [migrations.DeleteModel("A")]
            if settings.FLAG:
                operations += [migrations.DeleteModel("B")]
        "#,
        r#"
        DeleteModel { name: "A" }
        ? DeleteModel { name: "B" }: whether it is there depends on `settings.FLAG`, which is not known
        "#,
    );
}

#[test]
fn what_the_database_is_asked_decides_nothing_here() {
    check(
        r#"
        from django.db import connection, DatabaseError

        def has_table(cursor, name):
            try:
                cursor.execute("SELECT * FROM %s" % name)
                return True
            except DatabaseError:
                return False

        class Migration(migrations.Migration):
            operations = [migrations.DeleteModel("A")]
            if not has_table(connection.cursor(), "shop_a"):
                operations = []
        "#,
        r#"
        ? DeleteModel { name: "A" }: whether it is there depends on `not has_table(connection.cursor(), "shop_a")`, which is not known
        "#,
    );
    check(
        r#"
        if settings.FLAG:
            class Migration(migrations.Migration):
                operations = [migrations.DeleteModel("A")]
        else:
            class Migration(migrations.Migration):
                operations = []
        "#,
        r#"
        ? DeleteModel { name: "A" }: whether it is there depends on `settings.FLAG`, which is not known
        "#,
    );
}

#[test]
fn settings_objects_of_packages_are_looked_into() {
    let shop = project(
        r#"
        == shop/__init__.py
        == shop/conf.py
        from django.conf import settings
        settings.SHOP_TWO_STEPS = getattr(settings, "SHOP_TWO_STEPS", False)
        == shop/settings.py
        from django.conf import settings
        USER = getattr(settings, "SHOP", None)
        DEFAULTS = {"CUSTOMER_MODEL": "shop.Customer", "LENGTH": 12, "NAME": print}
        class ShopSettings:
            def __init__(self, user=None, defaults=None):
                self._user = user or {}
                self.defaults = defaults or DEFAULTS
                self.seen = set()
            @property
            def user(self):
                if not hasattr(self, "_user"):
                    self._user = getattr(settings, "SHOP", {})
                return self._user
            def __getattr__(self, attr):
                if attr not in self.defaults:
                    raise AttributeError(attr)
                try:
                    value = self.user[attr]
                except KeyError:
                    value = self.defaults[attr]
                self.check(attr, value)
                self.seen.add(attr)
                setattr(self, attr, value)
                return value
            def check(self, attr, value):
                pass
        shop_settings = ShopSettings(USER, DEFAULTS)
        == shop/app_settings.py
        from django.conf import settings
        class AppSettings(object):
            def __init__(self, prefix):
                self.prefix = prefix
            def _setting(self, name, default):
                return getattr(settings, self.prefix + name, default)
            @property
            def LENGTH(self):
                return self._setting("LENGTH", 7)
        _app_settings = AppSettings("SHOP_")
        def __getattr__(name):
            return getattr(_app_settings, name)
        == shop/migrations/__init__.py
        == shop/migrations/0001_initial.py
        from django.conf import settings
        from django.contrib.auth import get_user_model
        from django.db import migrations, models
        from shop import app_settings
        from shop.settings import shop_settings
        User = get_user_model()
        def steps():
            if settings.SHOP_TWO_STEPS:
                return [migrations.DeleteModel("Old")]
            return [migrations.DeleteModel(User._meta.model_name)]
        class Migration(migrations.Migration):
            operations = [
                migrations.AddField("order", "customer", models.ForeignKey(shop_settings.CUSTOMER_MODEL, models.CASCADE)),
                migrations.AddField("order", "code", models.CharField(max_length=app_settings.LENGTH)),
                *steps(),
            ]
        "#,
    );
    let found: Vec<String> = shop
        .migration(&zdm_django::MigrationKey::new("shop", "0001_initial"))
        .map_or_else(Vec::new, |migration| migration.operations.iter().map(show).collect());
    assert_eq!(
        found,
        [
            r#"AddField order.customer Django("ForeignKey") on_delete=Symbol("django.db.models.CASCADE") to=Str("shop.Customer")"#,
            r#"AddField order.code Django("CharField") max_length=Int(7)"#,
            r#"DeleteModel { name: "user" }"#,
        ]
    );
}

#[test]
fn fields_of_the_project_are_followed_to_django() {
    check(
        r#"
        class Base(models.DecimalField):
            def __init__(self, *args, **kwargs):
                kwargs["max_digits"] = 12
                kwargs.setdefault("decimal_places", 2)
                super().__init__(*args, **kwargs)

        class Money(Base):
            pass

        class Citext(models.TextField):
            def db_type(self, connection):
                return "citext"

        class Key(models.Field):
            def get_internal_type(self):
                return "UUIDField"

        class Sealed(models.Field):
            _internal_type = "BinaryField"

            def get_internal_type(self):
                return self._internal_type

        class SealedText(Sealed, models.TextField):
            _internal_type = "TextField"

        class Chosen(Sealed):
            def __init__(self, *args, **kwargs):
                self._internal_type = kwargs.pop("kind", "TextField")
                super().__init__(*args, **kwargs)

        from typing import Generic, TypeVar
        T = TypeVar("T")

        class Parent(models.TextField, Generic[T]):
            pass

        class Typed(Parent[int]):
            pass

        class Collated:
            def __init__(self, *args, db_collations=None, **kwargs):
                super().__init__(*args, **kwargs)
                self.db_collations = db_collations or {}

            def db_parameters(self, connection):
                parameters = models.Field.db_parameters(self, connection)
                if connection.vendor in self.db_collations:
                    parameters["collation"] = self.db_collations[connection.vendor]
                return parameters

        class CollatedText(Collated, models.CharField):
            pass

        class Choices(models.CharField):
            def __init__(self, *args, **kwargs):
                self.max_choices = kwargs.pop("max_choices", None)
                super().__init__(*args, **kwargs)
                self.max_length = kwargs.pop("max_length", None)
                self.validators.append(self.max_choices)

            def contribute_to_class(self, cls, name, private_only=False):
                super().contribute_to_class(cls, name, private_only=private_only)
                setattr(cls, "get_%s_display" % self.name, dict(self.choices))

        class Falling(models.CharField):
            def clone(self):
                _, _, args, kwargs = self.deconstruct()
                kwargs["fallback"] = self.fallback
                return self.__class__(*args, **kwargs)

        class Growing(models.CharField):
            def clone(self):
                _, _, args, kwargs = self.deconstruct()
                kwargs["max_length"] = 2 * self.max_length
                return self.__class__(*args, **kwargs)

        class Forgetful(models.TextField):
            def deconstruct(self):
                name, path, args, kwargs = super().deconstruct()
                kwargs.pop("null", None)
                if self.help_text:
                    del kwargs["db_column"]
                return name, path, args, kwargs

        class Migration(migrations.Migration):
            operations = [
                migrations.AddField("order", "typed", Typed()),
                migrations.AddField("order", "plain", CollatedText(max_length=3, db_collations={"sqlite": "BINARY"})),
                migrations.AddField("order", "none", CollatedText(max_length=4)),
                migrations.AddField("order", "c", CollatedText(max_length=3, db_collations={"postgresql": "C"})),
                migrations.AddField("order", "choices", Choices(max_choices=3, max_length=255)),
                migrations.AddField("order", "falling", Falling(max_length=3)),
                migrations.AddField("order", "growing", Growing(max_length=3)),
                migrations.AddField("order", "lost", Forgetful(null=True, blank=True)),
                migrations.AddField("order", "perhaps", Forgetful(db_column="p")),
                migrations.AddField("order", "price", Money("Price", decimal_places=3)),
                migrations.AddField("order", "email", Citext(null=True)),
                migrations.AddField("order", "key", Key()),
                migrations.AddField("order", "sealed", Sealed()),
                migrations.AddField("order", "sealed_text", SealedText()),
                migrations.AddField("order", "chosen", Chosen()),
            ]
        "#,
        r#"
        AddField order.typed Django("TextField")
        AddField order.plain Django("CharField") max_length=Int(3)
        AddField order.none Django("CharField") max_length=Int(4)
        AddField order.c Django("CharField") db_collation=Str("C") max_length=Int(3)
        AddField order.choices Django("CharField") max_length=Int(255)
        AddField order.falling Django("CharField") max_length=Int(3)
        AddField order.growing Unknown { reason: "`shop.migrations.0001_initial.Growing` has a `clone` of its own" } max_length=Int(3)
        AddField order.lost Django("TextField") blank=Bool(true)
        AddField order.perhaps Unknown { reason: "`shop.migrations.0001_initial.Forgetful` leaves out `db_column` under a condition" } db_column=Str("p")
        AddField order.price Django("DecimalField") decimal_places=Int(3) max_digits=Int(12) verbose_name=Str("Price")
        AddField order.email Custom { db_type: "citext", behaves_as: Some("TextField") } null=Bool(true)
        AddField order.key Django("UUIDField")
        AddField order.sealed Django("BinaryField")
        AddField order.sealed_text Django("TextField")
        AddField order.chosen Unknown { reason: "`get_internal_type` of `shop.migrations.0001_initial.Sealed` is not a constant" }
        "#,
    );
}

#[test]
fn what_own_fields_store_is_evaluated_or_not_known() {
    check(
        r#"
        class Mac(models.CharField):
            def __init__(self, *args, **kwargs):
                kwargs["max_length"] = 18
                super().__init__(*args, **kwargs)

            def to_python(self, value):
                if value is None:
                    return value
                return Address(value)

            def get_prep_value(self, value):
                if not value:
                    return ""
                return str(self.to_python(value))

        class Emptied(models.CharField):
            def get_prep_value(self, value):
                value = super().get_prep_value(value)
                if value == "" and self.null:
                    return None
                return value

        class Upper(models.CharField):
            def clean_text(self, value):
                return value.strip().upper()

            def to_python(self, value):
                return value if value is None else self.clean_text(value)

        class Listed(models.JSONField):
            def get_prep_value(self, value):
                if value is not None:
                    value = [self.part.get_prep_value(one) for one in value]
                return super().get_prep_value(value)

        class Dumped(models.TextField):
            def get_prep_value(self, value):
                return serialize(value)

        class Text(models.IntegerField):
            def get_prep_value(self, value):
                return str(value)

        class Numbered(models.IntegerField):
            def get_default(self):
                if self.default is None:
                    return 7
                return super().get_default()

        class Stamp(models.DateTimeField):
            def get_prep_value(self, value):
                if hasattr(value, "to_gregorian"):
                    value = value.to_gregorian()
                return models.DateTimeField().get_prep_value(value)

        class Drawn(models.CharField):
            def get_default(self):
                return super().get_default() or draw()

        class Migration(migrations.Migration):
            operations = [
                migrations.AddField("a", "mac", Mac(null=True)),
                migrations.AddField("a", "empty", Mac(default="", blank=True)),
                migrations.AddField("a", "given", Mac(default="00:11")),
                migrations.AddField("a", "null", Emptied(default="", null=True, max_length=3)),
                migrations.AddField("a", "text", Emptied(default="", max_length=3)),
                migrations.AddField("a", "upper", Upper(default=" ab ", max_length=3)),
                migrations.AddField("a", "listed", Listed(default=list)),
                migrations.AddField("a", "dumped", Dumped(default="{}")),
                migrations.AddField("a", "nothing", Dumped(null=True)),
                migrations.AddField("a", "number", Text(default=3)),
                migrations.AddField("a", "seven", Numbered(default=None)),
                migrations.AddField("a", "three", Numbered(default=3)),
                migrations.AddField("a", "none", Numbered(null=True)),
                migrations.AddField("a", "drawn", Drawn(default=None, max_length=3)),
                migrations.AddField("a", "ab", Drawn(default="ab", max_length=3)),
                migrations.AddField("a", "stamp", Stamp(null=True)),
            ]
        "#,
        r#"
        AddField a.mac Django("CharField") max_length=Int(18) null=Bool(true) stored default=Str("")
        AddField a.empty Django("CharField") blank=Bool(true) default=Str("") max_length=Int(18)
        AddField a.given Django("CharField") default=Unknown("depends on running the program: the field's class makes the value") max_length=Int(18)
        AddField a.null Django("CharField") default=None max_length=Int(3) null=Bool(true)
        AddField a.text Django("CharField") default=Str("") max_length=Int(3)
        AddField a.upper Django("CharField") default=Str("AB") max_length=Int(3)
        AddField a.listed Django("JSONField") default=Symbol("builtins.list")
        AddField a.dumped Django("TextField") default=Unknown("depends on running the program: the field's class makes the value")
        AddField a.nothing Django("TextField") null=Bool(true) stored default=Unknown("depends on running the program: the field's class makes the value")
        AddField a.number Django("IntegerField") default=Unknown("depends on running the program: the field's class makes the value")
        AddField a.seven Django("IntegerField") default=Int(7)
        AddField a.three Django("IntegerField") default=Int(3)
        AddField a.none Django("IntegerField") null=Bool(true)
        AddField a.drawn Django("CharField") default=None max_length=Int(3) stored default=Unknown("depends on running the program: the field's class makes the value")
        AddField a.ab Django("CharField") default=Str("ab") max_length=Int(3)
        AddField a.stamp Django("DateTimeField") null=Bool(true)
        "#,
    );
}

#[test]
fn an_argument_that_is_django_s_default_gives_way_to_that_of_the_class() {
    check(
        r#"
        class Slug(models.SlugField):
            def __init__(self, *args, **kwargs):
                kwargs.setdefault("max_length", 100)
                kwargs.setdefault("unique", True)
                super().__init__(*args, **kwargs)

        class Kept(Slug):
            def deconstruct(self):
                name, path, args, kwargs = super().deconstruct()
                kwargs["max_length"] = self.max_length
                return name, path, args, kwargs

        class Migration(migrations.Migration):
            operations = [
                migrations.AddField("a", "short", Slug(max_length=50, unique=False)),
                migrations.AddField("a", "long", Slug(max_length=60, db_index=True)),
            ]
        "#,
        r#"
        AddField a.short Django("SlugField") max_length=Int(100) unique=Bool(true)
        AddField a.long Django("SlugField") max_length=Int(60) unique=Bool(true)
        "#,
    );
}

#[test]
fn a_project_is_ordered_with_django_s_own_apps() {
    let project = project(
        r#"
        == manage.py
        import os
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site.settings")
        == site/settings.py
        INSTALLED_APPS = ["django.contrib.auth", "shop.apps.ShopConfig", "cart"]
        AUTH_USER_MODEL = "store.Customer"
        == shop/__init__.py
        == shop/apps.py
        from django.apps import AppConfig
        class ShopConfig(AppConfig):
            name = "shop"
            label = "store"
        == shop/migrations/__init__.py
        == shop/migrations/0001_initial.py
        from django.db import migrations, models
        class Migration(migrations.Migration):
            initial = True
            dependencies = [("auth", "0012_alter_user_first_name_max_length")]
            operations = [migrations.CreateModel("Customer", [("id", models.AutoField(primary_key=True))])]
        == cart/migrations/__init__.py
        == cart/migrations/0001_initial.py
        from django.conf import settings
        from django.db import migrations, models
        class Migration(migrations.Migration):
            dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
            operations = []
        "#,
    );
    let order: Vec<String> = project.in_order().map(|migration| migration.key.to_string()).collect();
    let expect: Vec<&str> = "contenttypes.0001_initial contenttypes.0002_remove_content_type_name auth.0001_initial \
        auth.0002_alter_permission_name_max_length auth.0003_alter_user_email_max_length \
        auth.0004_alter_user_username_opts auth.0005_alter_user_last_login_null \
        auth.0006_require_contenttypes_0002 auth.0007_alter_validators_add_error_messages \
        auth.0008_alter_user_username_max_length auth.0009_alter_user_last_name_max_length \
        auth.0010_alter_group_name_max_length auth.0011_update_proxy_permissions \
        auth.0012_alter_user_first_name_max_length store.0001_initial cart.0001_initial"
        .split_whitespace()
        .collect();
    assert_eq!(order, expect);
    assert_eq!(project.settings.auth_user_model().as_deref(), Some("store.Customer"));
    assert_eq!(project.problems, []);
    let labels: Vec<&Arc<str>> = project.apps.iter().map(|app| &app.label).collect();
    assert_eq!(labels.iter().map(|label| &***label).collect::<Vec<_>>(), ["cart", "store"]);
}

/// Apps as `label folder migrations`, then the problems.
#[track_caller]
fn check_apps(files: &str, expect: &str) {
    let project = project(files);
    let mut found: Vec<String> = project
        .apps
        .iter()
        .map(|app| {
            let migrations = app.migrations.as_deref().unwrap_or("none");
            let installed = match app.installed {
                Some(true) => "installed",
                Some(false) => "not installed",
                None => "unknown",
            };
            format!("{} in {}, migrations {migrations}, {installed}", app.label, app.folder)
        })
        .collect();
    found.extend(project.problems.iter().map(|problem| format!("{}: {}", problem.kind.as_str(), problem.message)));
    let expect: Vec<&str> = expect.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(found, expect);
}

#[test]
fn settings_in_several_files_and_moved_migrations() {
    check_apps(
        r#"
        == backend/manage.py
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "conf.settings.local")
        == backend/conf/settings/__init__.py
        == backend/conf/settings/base.py
        import os
        OURS = ["shop", "cart"]
        INSTALLED_APPS = ["django.contrib.auth", *OURS]
        MIGRATION_MODULES = {"shop": "conf.moved.shop", "legacy": None}
        AUTH_USER_MODEL = os.environ.get("USER_MODEL", "shop.Customer")
        == backend/conf/settings/local.py
        from .base import *
        INSTALLED_APPS += ["legacy.apps.LegacyConfig"]
        == backend/conf/moved/shop/__init__.py
        == backend/conf/moved/shop/0001_initial.py
        from django.db import migrations
        class Migration(migrations.Migration):
            pass
        == backend/shop/__init__.py
        == backend/cart/__init__.py
        == backend/legacy/__init__.py
        == backend/legacy/apps.py
        from django.apps import AppConfig
        class LegacyConfig(AppConfig):
            name = "legacy"
        == backend/legacy/migrations/__init__.py
        == backend/legacy/migrations/0001_initial.py
        from django.db import migrations
        class Migration(migrations.Migration):
            pass
        == backend/extra/migrations/__init__.py
        == backend/extra/migrations/0001_initial.py
        from django.db import migrations
        class Migration(migrations.Migration):
            dependencies = [("legacy", "__first__")]
        "#,
        "
        cart in backend/cart, migrations none, installed
        extra in backend/extra, migrations backend/extra/migrations, not installed
        legacy in backend/legacy, migrations none, installed
        shop in backend/shop, migrations backend/conf/moved/shop, installed
        ",
    );
}

#[test]
fn labels_come_from_the_configuration_and_are_unique() {
    check_apps(
        r#"
        == one/core/__init__.py
        == one/core/migrations/__init__.py
        == one/core/migrations/0001_initial.py
        from django.db import migrations
        class Migration(migrations.Migration):
            pass
        == two/core/__init__.py
        == two/core/migrations/__init__.py
        == two/core/migrations/0001_initial.py
        from django.db import migrations
        class Migration(migrations.Migration):
            pass
        == two/named/apps.py
        from django.apps import AppConfig
        class Base(AppConfig):
            name = "two.named"
            default = False
        class Config(Base):
            default = True
            label = "other"
            default_auto_field = "django.db.models.BigAutoField"
        == two/named/__init__.py
        == two/named/migrations/__init__.py
        == two/named/migrations/0001_initial.py
        from django.db import migrations
        class Migration(migrations.Migration):
            pass
        "#,
        "
        core in one/core, migrations one/core/migrations, unknown
        other in two/named, migrations two/named/migrations, unknown
        duplicate-label: `one/core` and `two/core` have the same app label `core`; the migrations of `two/core` are left out
        settings-not-found: no settings module was found; Django's defaults are assumed
        ",
    );
}

#[derive(Debug)]
struct Memory(Vec<(&'static str, &'static str)>);

impl zdm_django::project::sources::Folder for Memory {
    fn read(&self, path: &str) -> Option<SourceFile> {
        let (_, text) = self.0.iter().find(|(found, _)| *found == path)?;
        Some(SourceFile::new(format!(".venv/{path}"), *text))
    }

    fn modules_in(&self, folder: &str) -> Vec<String> {
        let names = self.0.iter().filter_map(|(path, _)| path.strip_prefix(folder)?.strip_prefix('/'));
        names.filter(|name| !name.contains('/')).map(str::to_owned).collect()
    }

    fn names_in(&self, folder: &str) -> Option<Vec<String>> {
        let inside = |path: &'static str| {
            if folder.is_empty() { Some(path) } else { path.strip_prefix(folder)?.strip_prefix('/') }
        };
        let names: std::collections::BTreeSet<&str> =
            self.0.iter().filter_map(|(path, _)| inside(path)?.split('/').next()).collect();
        Some(names.into_iter().map(str::to_owned).collect())
    }
}

#[test]
fn plugins_are_installed_by_their_entry_points() {
    let packages = || {
        Memory(vec![
            ("django/__init__.py", ""),
            ("gifts/__init__.py", "default_app_config = 'gifts.apps.Gifts'\n"),
            (
                "gifts/apps.py",
                "from django.apps import AppConfig\nclass Gifts(AppConfig):\n    name = 'gifts'\n    label = 'presents'\n",
            ),
            (
                "gifts-1.0.dist-info/entry_points.txt",
                "[shop.plugins]\ngifts = gifts:default_app_config\n[console_scripts]\nx = y:z\n",
            ),
            ("toys/__init__.py", ""),
            ("toys.egg-info/entry_points.txt", "[shop.plugins]\ntoys = toys [extra]\n"),
        ])
    };
    let installed = |settings: &str| {
        let text = format!("== settings.py\n{settings}\n== shop/__init__.py\n");
        let project = project_among(&text, ProjectConfig::default(), vec![Arc::new(packages())]);
        let mut labels: Vec<String> = project.apps.iter().map(|app| app.label.to_string()).collect();
        labels.sort();
        labels.join(" ")
    };
    for settings in [
        "from importlib.metadata import entry_points\nINSTALLED_APPS = ['shop']\nfor point in entry_points(group='shop.plugins'):\n    \
         INSTALLED_APPS.append(point.load() if point.name == 'gifts' else point.module)",
        "from importlib import metadata\nINSTALLED_APPS = ['shop']\nfor point in metadata.entry_points().select(group='shop.plugins'):\n    \
         INSTALLED_APPS.append(point.value.split(':')[0])",
        "from importlib_metadata import entry_points\nINSTALLED_APPS = ['shop', *(point.value.replace(':default_app_config', '') for point in \
         entry_points()['shop.plugins'])]",
        "import pkg_resources\nINSTALLED_APPS = ['shop'] + [point.module_name for point in pkg_resources.iter_entry_points('shop.plugins')]",
    ] {
        assert_eq!(installed(settings), "presents shop toys", "{settings}");
    }
    assert_eq!(
        installed(
            "from importlib.metadata import entry_points\nINSTALLED_APPS = ['shop'] + list(entry_points(group='none'))"
        ),
        "shop"
    );
}

#[test]
fn apps_that_stand_in_a_list_which_a_call_may_change_are_installed() {
    let text = "== settings.py\nfrom elsewhere import complete\nINSTALLED_APPS = ['shop', 'toys']\n\
                complete('INSTALLED_APPS', INSTALLED_APPS)\nINSTALLED_APPS += ['gifts']\n\
                == shop/__init__.py\n== toys/__init__.py\n== gifts/__init__.py\n";
    let project = project_among(text, ProjectConfig::default(), Vec::new());
    let mut labels: Vec<&str> = project.apps.iter().map(|app| &*app.label).collect();
    labels.sort_unstable();
    assert_eq!(labels, ["gifts", "shop", "toys"]);
    let told =
        project.problems.iter().any(|problem| problem.message.contains("`complete('INSTALLED_APPS', INSTALLED_APPS)`"));
    assert!(told, "{:?}", project.problems);
}

#[test]
fn what_an_operation_of_its_own_makes_of_the_state_is_in_doubt() {
    let operations = operations(
        r#"
        class NewKey(migrations.AlterField):
            def __init__(self):
                super().__init__("parcel", "name", models.CharField(max_length=20))
            def state_forwards(self, app_label, state):
                state.models[app_label, "parcel"].fields["id"] = models.AutoField(primary_key=True)
                super().state_forwards(app_label, state)
        class Migration(migrations.Migration):
            operations = [
                migrations.CreateModel("Parcel", [("name", models.CharField(max_length=9, primary_key=True))]),
                migrations.CreateModel("Order", [("id", models.AutoField(primary_key=True))]),
                NewKey(),
                migrations.AddField("order", "parcel", models.ForeignKey("parcel", models.CASCADE)),
                migrations.AddField("parcel", "note", models.TextField(default="")),
                migrations.AddField("order", "note", models.TextField(default="")),
            ]
        "#,
    );
    let mut state = zdm_django::ProjectState::new();
    let reasons: Vec<String> = operations.iter().map(|operation| state.apply("shop", operation).join("; ")).collect();
    let doubt = "whether and how `shop.parcel` is there depends on an operation that is not analysed";
    assert_eq!(reasons, ["", "", "`shop.migrations.0001_initial.NewKey` overrides `state_forwards`", doubt, doubt, ""]);
}

#[test]
fn packages_of_the_environment_are_read() {
    let packages = Memory(vec![
        ("django/__init__.py", ""),
        ("wallet/__init__.py", ""),
        (
            "wallet/settings.py",
            "from django.conf import settings\nif not hasattr(settings, 'WALLET_OWNER_MODEL'):\n    setattr(settings, 'WALLET_OWNER_MODEL', 'purse.Owner')\n",
        ),
        (
            "wallet/apps.py",
            "from django.apps import AppConfig\nclass W(AppConfig):\n    name = 'wallet'\n    label = 'purse'\n",
        ),
        ("wallet/fields.py", "from django.db import models\nclass Coin(models.IntegerField):\n    pass\n"),
        (
            "wallet/migrations/0001_initial.py",
            "from django.db import migrations\nclass Migration(migrations.Migration):\n    operations = []\n",
        ),
    ]);
    let files = [
        SourceFile::new("settings.py", "INSTALLED_APPS = ['wallet', 'shop']\n"),
        SourceFile::new(
            "shop/migrations/0001_initial.py",
            "import wallet.fields\nfrom django.conf import settings\nfrom django.db import migrations\ntry:\n    from nowhere import \
             Coin\nexcept ImportError:\n    Coin = wallet.fields.Coin\nclass Migration(migrations.Migration):\n    dependencies = \
             [('purse', '0001_initial')]\n    operations = [migrations.AddField('a', 'b', Coin()), migrations.DeleteModel(settings.WALLET_OWNER_MODEL)]\n",
        ),
        SourceFile::new("shop/migrations/__init__.py", ""),
    ];
    let project = Project::build(&ProjectInput {
        sources: Sources::in_memory(files, &[]),
        environment: vec![Arc::new(packages)],
        texts: Vec::new(),
        config: ProjectConfig::default(),
    });
    let order: Vec<String> =
        project.in_order().map(|migration| format!("{} {:?}", migration.key, migration.origin)).collect();
    assert_eq!(order, ["purse.0001_initial Environment", "shop.0001_initial Project"]);
    assert_eq!(project.problems, []);
    let operations = project.migrations.last().map(|migration| &migration.operations);
    let shown: Vec<String> = operations.into_iter().flatten().map(show).collect();
    assert_eq!(
        shown,
        ["AddField a.b Django(\"IntegerField\")", "DeleteModel { name: \"purse.Owner\" }"],
        "from the handler of an import that fails, and from the package's default"
    );
}

#[test]
fn settings_may_lie_in_the_environment_alone() {
    let packages = || {
        Memory(vec![
            ("django/__init__.py", ""),
            ("wallet/__init__.py", ""),
            ("wallet/settings.py", "INSTALLED_APPS = ['shop']\nAUTH_USER_MODEL = 'shop.User'\n"),
        ])
    };
    let named = SourceFile::new("manage.py", "os.environ['DJANGO_SETTINGS_MODULE'] = 'wallet.settings'\n");
    for (files, configured) in [(vec![named], None), (Vec::new(), Some("wallet.settings".to_owned()))] {
        let project = Project::build(&ProjectInput {
            sources: Sources::in_memory(files, &[]),
            environment: vec![Arc::new(packages())],
            texts: Vec::new(),
            config: ProjectConfig { settings_module: configured, ..ProjectConfig::default() },
        });
        assert_eq!(project.settings.auth_user_model().as_deref(), Some("shop.User"));
        assert_eq!(project.problems, []);
    }
}

/// What the `RunSQL` operations of a project of these files run; the package `shop` stands in the folder `backend`.
#[track_caller]
fn check_files(head: &str, operations: &str, expect: &[&str]) {
    const TEXTS: [(&str, &str); 5] = [
        ("backend/shop/sql/first.sql", "SELECT 'first'\r\n"),
        ("backend/shop/sql/second.sql", "SELECT 'second'"),
        ("backend/shop/sql/notes.txt", "none of these"),
        ("backend/shop/migrations/own.sql", "SELECT 'own'"),
        ("backend/queries/third.sql", "SELECT 'third'"),
    ];
    let operations = unindent(operations);
    let indented: Vec<String> = operations.lines().map(|line| format!("        {line}")).collect();
    let indented = indented.join("\n");
    let migration = format!(
        "from django.conf import settings\nfrom django.db import migrations\n{}\nclass Migration(migrations.Migration):\n    \
         operations = [\n{indented}\n    ]\n",
        unindent(head)
    );
    let python = [
        ("backend/manage.py", "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'conf.settings')\n"),
        ("backend/conf/__init__.py", ""),
        (
            "backend/conf/settings.py",
            "from pathlib import Path\nBASE_DIR = Path(__file__).resolve().parent.parent\nINSTALLED_APPS = ['shop']\n",
        ),
        ("backend/shop/__init__.py", ""),
        (
            "backend/shop/helpers.py",
            "import os\nHERE = os.path.abspath(os.path.dirname(__file__))\ndef statement(name):\n    with open(os.path.join(HERE, \
             'sql', f'{name}.sql')) as file:\n        return file.read()\n",
        ),
        ("backend/shop/migrations/__init__.py", ""),
        ("backend/shop/migrations/0001_initial.py", migration.as_str()),
    ];
    let files = TEXTS.iter().chain(&python).map(|(path, text)| SourceFile::new(*path, *text));
    let sources = Sources::in_memory(files.collect::<Vec<_>>(), &[]);
    let input = ProjectInput { sources, environment: Vec::new(), texts: Vec::new(), config: ProjectConfig::default() };
    let project = Project::build(&input);
    let found = project.migrations.iter().find(|migration| &*migration.key.app == "shop").expect("the migration");
    let shown: Vec<String> = found.operations.iter().map(show).collect();
    assert_eq!(shown, expect);
}

#[test]
fn statements_are_read_from_files_of_the_project() {
    const FIRST: &str = "RunSQL [SELECT 'first'\n] reverse None";
    const SECOND: &str = "RunSQL [SELECT 'second'] reverse None";
    const OWN: &str = "RunSQL [SELECT 'own'] reverse None";
    const THIRD: &str = "RunSQL [SELECT 'third'] reverse None";
    check_files(
        r#"
        import io, os
        HERE = os.path.dirname(os.path.realpath(__file__))
        SQL = os.path.join(HERE, os.pardir, "sql") if False else os.path.join(HERE, "..", "sql")
        with open(HERE + "/own.sql", "r", encoding="utf-8") as f:
            own = f.read()
        "#,
        r#"
        migrations.RunSQL(own),
        migrations.RunSQL(open(os.path.join(SQL, "first.sql")).read()),
        migrations.RunSQL(io.open(f"{SQL}/second.sql", mode="rb").read().decode("utf-8")),
        migrations.RunSQL("".join(open("%s/%s.sql" % (SQL, "second")).readlines())),
        *[migrations.RunSQL(open(os.path.join(SQL, n + ".sql")).read()) for n in ("first", "second")],
        migrations.RunSQL(open("sql/first.sql").read()),
        migrations.RunSQL(open(os.path.join(SQL, "missing.sql")).read()),
        "#,
        &[
            OWN,
            FIRST,
            SECOND,
            SECOND,
            FIRST,
            SECOND,
            "RunSQL [unknown: `open(\"sql/first.sql\").read()` is computed when the migration runs] reverse None",
            "RunSQL [unknown: depends on running the program: a file that cannot be read here] reverse None",
        ],
    );
    check_files(
        r#"
        from pathlib import Path
        HERE = Path(__file__).resolve().parent
        def read(name, folder=HERE.parent / "sql"):
            return (folder / name).with_suffix(".sql").read_text(encoding="utf8")
        "#,
        r#"
        migrations.RunSQL(read("first")),
        migrations.RunSQL(HERE.joinpath("own.sql").open().read()),
        migrations.RunSQL(open(HERE.parents[1] / "queries" / "third.sql").read()),
        migrations.RunSQL((settings.BASE_DIR / "queries/third.sql").read_text()),
        *[migrations.RunSQL(path.read_text()) for path in sorted(HERE.parent.joinpath("sql").glob("*.sql"))],
        *[migrations.RunSQL(path.read_text()) for path in (HERE.parent / "sql").iterdir() if path.suffix == ".sql"],
        migrations.RunSQL(Path("/etc/own.sql").read_text()),
        migrations.RunSQL((HERE / "../../../../outside.sql").read_text()),
        "#,
        &[
            FIRST,
            OWN,
            THIRD,
            THIRD,
            FIRST,
            SECOND,
            FIRST,
            SECOND,
            "RunSQL [unknown: `Path(\"/etc/own.sql\").read_text()` is computed when the migration runs] reverse None",
            "RunSQL [unknown: depends on running the program: a file that cannot be read here] reverse None",
        ],
    );
    check_files(
        r#"
        import pkgutil
        from importlib import resources
        from importlib.resources import files, read_text
        import shop
        import pkg_resources
        from shop.helpers import statement
        class Reader:
            folder = "sql"
            def __init__(self, package):
                self.package = package
            def read(self, name):
                return files(self.package).joinpath(self.folder, name + ".sql").read_text()
        "#,
        r#"
        migrations.RunSQL(statement("first")),
        migrations.RunSQL(resources.files("shop.sql").joinpath("first.sql").read_text("utf-8")),
        migrations.RunSQL((files(shop) / "sql" / "second.sql").read_text()),
        migrations.RunSQL(read_text("shop.migrations", "own.sql")),
        migrations.RunSQL(read_text(__package__, "own.sql")),
        migrations.RunSQL(pkgutil.get_data("shop", "sql/second.sql").decode()),
        migrations.RunSQL(pkg_resources.resource_string("shop", "sql/second.sql").decode("utf-8")),
        migrations.RunSQL(Reader("shop").read("second")),
        "#,
        &[FIRST, FIRST, SECOND, OWN, OWN, SECOND, SECOND, SECOND],
    );
}

/// The settings that a module `conf/settings.py` beside these files makes of itself.
#[track_caller]
fn check_settings(files: &str, expect: &[(&str, &str)]) {
    let project = project(files);
    let found: Vec<(&str, String)> = expect
        .iter()
        .map(|(name, _)| (*name, project.settings.get(name).map_or("none".to_owned(), |value| format!("{value:?}"))))
        .collect();
    let expect: Vec<(&str, String)> = expect.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    assert_eq!(found, expect);
}

#[test]
fn settings_from_the_environment_have_their_defaults() {
    check_settings(
        r#"
        == manage.py
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "conf.settings")
        == conf/__init__.py
        == conf/settings.py
        import environ
        from decouple import AutoConfig, Csv, config
        own = AutoConfig(search_path="/etc")
        env = environ.Env(SCHEMED=(bool, False), TYPED=int)
        env.read_env(".env")
        INSTALLED_APPS = ["shop"] + env.list("MORE_APPS", default=["extra"])
        A = config("A", default="shop.A")
        B = config("B", default="off", cast=bool)
        C = config("C", default="12", cast=int)
        D = config("D", default="x, y", cast=Csv())
        E = config("E", cast=int)
        F = own("F", default=3, cast=int)
        G = config("G", default="x", cast=lambda text: text * 2)
        H = env("H", default="shop.H")
        I = env.bool("I", default=True)
        J = env.int("J", 7)
        K = env("SCHEMED")
        L = env("TYPED")
        M = env("M")
        N = env.str("N", default="n")
        O = env("O", int, 5)
        == shop/__init__.py
        == extra/__init__.py
        "#,
        &[
            ("A", r#"Str("shop.A")"#),
            ("B", "Bool(false)"),
            ("C", "Int(12)"),
            ("D", r#"List([Str("x"), Str("y")])"#),
            ("F", "Int(3)"),
            ("H", r#"Str("shop.H")"#),
            ("I", "Bool(true)"),
            ("J", "Int(7)"),
            ("K", "Bool(false)"),
            ("N", r#"Str("n")"#),
            ("O", "Int(5)"),
            ("INSTALLED_APPS", r#"List([Str("shop"), Str("extra")])"#),
        ],
    );
    let unset = project(
        "
        == conf/settings.py
        import environ
        from decouple import config
        env = environ.Env(TYPED=int)
        INSTALLED_APPS = []
        E = config('E', cast=int)
        G = config('G', default='x', cast=lambda text: text * 2)
        L = env('TYPED')
        M = env('M')
        DB = env.db('DB', default='postgres://x')
        ",
    );
    for name in ["E", "G", "L", "M", "DB"] {
        let value = unset.settings.get(name).expect("it is set");
        assert!(!matches!(value, zdm_django::Value::Str(_) | zdm_django::Value::Int(_)), "{name}: {value:?}");
    }
}

#[test]
fn settings_are_included_in_place() {
    check_settings(
        r#"
        == manage.py
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "conf.settings")
        == conf/__init__.py
        == conf/settings/__init__.py
        import os
        from split_settings.tools import include, optional
        ENV = os.environ.get("DJANGO_ENV", "production")
        OURS = ["shop"]
        included = ["components/base.py", f"environments/{ENV}.py", optional("environments/local.py")]
        for local in ["/etc/shop/settings.py", os.environ.get("SHOP_SETTINGS", None)]:
            included.append(optional(local))
        include(*included)
        LENGTH = LENGTH + 1
        == conf/settings/components/base.py
        INSTALLED_APPS = ["django.contrib.auth", *OURS]
        LENGTH = 5
        == conf/settings/environments/production.py
        INSTALLED_APPS += ["extra"]
        AUTH_USER_MODEL = "shop.User"
        == shop/__init__.py
        == extra/__init__.py
        "#,
        &[
            ("INSTALLED_APPS", r#"List([Str("django.contrib.auth"), Str("shop"), Str("extra")])"#),
            ("AUTH_USER_MODEL", r#"Str("shop.User")"#),
            ("LENGTH", "Int(6)"),
        ],
    );
}

#[test]
fn swapper_and_appconf_give_settings_their_defaults() {
    let shop = project_among(
        r#"
        == conf/settings.py
        INSTALLED_APPS = ["shop", "wallet"]
        SHOP_WIDTH = 9
        SHOP_ITEM_MODEL = "shop.Item"
        SHOP_PART_MODEL = "wallet.Part"
        == wallet/__init__.py
        == wallet/migrations/__init__.py
        == wallet/migrations/0001_initial.py
        from django.db import migrations
        class Migration(migrations.Migration):
            operations = []
        == wallet/migrations/0002_more.py
        from django.db import migrations
        class Migration(migrations.Migration):
            dependencies = [("wallet", "0001_initial")]
            operations = []
        == shop/__init__.py
        == shop/conf.py
        from appconf import AppConf
        class ShopConf(AppConf):
            LENGTH = 30
            WIDTH = 4
            MADE = "x"
            class Meta:
                prefix = "shop"
            def configure_made(self, value):
                return value + "y"
        == shop/models.py
        import swapper
        from django.db import models
        class Order(models.Model):
            class Meta:
                swappable = swapper.swappable_setting("shop", "Order")
        == shop/migrations/__init__.py
        == shop/migrations/0001_initial.py
        import swapper
        from django.conf import settings
        from django.db import migrations, models
        class Migration(migrations.Migration):
            dependencies = [swapper.dependency("shop", "Part", "0002_more")]
            operations = [
                migrations.AddField("a", "order", models.ForeignKey(settings.SHOP_ORDER_MODEL, models.CASCADE)),
                migrations.AddField("a", "name", models.CharField(max_length=settings.SHOP_LENGTH)),
                migrations.AddField("a", "width", models.CharField(max_length=settings.SHOP_WIDTH)),
                migrations.DeleteModel(settings.SHOP_MADE),
                migrations.DeleteModel("X" if swapper.is_swapped("shop", "Item") else "Y"),
                migrations.DeleteModel("X" if swapper.is_swapped("shop", "Part") else "Y"),
            ]
        "#,
        ProjectConfig::default(),
        vec![Arc::new(Memory(vec![("swapper/__init__.py", "")]))],
    );
    let order: Vec<String> = shop.in_order().map(|migration| migration.key.to_string()).collect();
    assert_eq!(order, ["wallet.0001_initial", "wallet.0002_more", "shop.0001_initial"]);
    let found: Vec<String> = shop
        .migration(&zdm_django::MigrationKey::new("shop", "0001_initial"))
        .map_or_else(Vec::new, |migration| migration.operations.iter().map(show).collect());
    let (made, others): (Vec<_>, Vec<_>) = found.iter().partition(|shown| shown.contains("SHOP_MADE"));
    assert_eq!(made.len(), 1, "{found:?}");
    assert_eq!(
        others,
        [
            r#"AddField a.order Django("ForeignKey") on_delete=Symbol("django.db.models.CASCADE") to=Str("shop.Order")"#,
            r#"AddField a.name Django("CharField") max_length=Int(30)"#,
            r#"AddField a.width Django("CharField") max_length=Int(9)"#,
            r#"DeleteModel { name: "Y" }"#,
            r#"DeleteModel { name: "X" }"#,
        ]
    );
}

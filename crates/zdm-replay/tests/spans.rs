//! A step of `RunSQL` points at its own statement in the Python source, however the string is written.

use std::sync::Arc;

use zdm_django::DjangoVersion;
use zdm_django::project::sources::Sources;
use zdm_django::project::{Project, ProjectConfig, ProjectInput};
use zdm_django::resolve::Context;
use zdm_postgres::PgVersion;
use zdm_replay::{Options, replay};
use zdm_source::SourceFile;

/// The source of each step of `migrations.RunSQL(argument)`, in a file with `before` in front of the class.
fn pointed_at(before: &str, argument: &str, line_end: &str) -> Vec<String> {
    let first = "from django.db import migrations, models\n\nclass Migration(migrations.Migration):\n    initial = True\n    operations = [migrations.CreateModel('Item', [('id', models.AutoField(primary_key=True)), ('a', models.IntegerField())])]\n";
    let second = format!(
        "from django.db import migrations\n{before}\n\nclass Migration(migrations.Migration):\n    dependencies = [('shop', '0001_initial')]\n    operations = [\n        migrations.RunSQL({argument}, migrations.RunSQL.noop),\n    ]\n"
    );
    let second = second.replace('\n', line_end);
    let files = vec![
        SourceFile::new("shop/__init__.py", ""),
        SourceFile::new("shop/migrations/__init__.py", ""),
        SourceFile::new("shop/migrations/0001_initial.py", first),
        SourceFile::new("shop/migrations/0002_sql.py", second),
    ];
    let project = Project::build(&ProjectInput {
        sources: Sources::in_memory(files, &[]),
        environment: Vec::new(),
        texts: Vec::new(),
        config: ProjectConfig::default(),
    });
    let migrations: Vec<_> = project.in_order().cloned().map(Arc::new).collect();
    let trace = replay(
        &migrations,
        &Options { postgres: PgVersion::major(16), context: Context::new(DjangoVersion::new(5, 2)), incomplete: false },
    );
    let last = trace.migrations.last().expect("the project has migrations");
    last.steps.iter().map(|step| last.migration.file.slice(step.span).to_owned()).collect()
}

/// What stands before the class, the argument, and the source of each statement.
const CASES: &[(&str, &str, &[&str])] = &[
    (
        "",
        r#""SELECT 1; UPDATE shop_item SET a = 2; SELECT 3""#,
        &["SELECT 1", "UPDATE shop_item SET a = 2", "SELECT 3"],
    ),
    ("", r"r'SELECT 1; SELECT 2'", &["SELECT 1", "SELECT 2"]),
    ("", r#"u"SELECT '\'\''; SELECT 2""#, &[r"SELECT '\'\''", "SELECT 2"]),
    // Characters of two, three and four bytes in front of it, and a tab.
    ("", "\"\"\"SELECT 'ä€😀';\n\tSELECT 2;\nSELECT 3\"\"\"", &["SELECT 'ä€😀'", "SELECT 2", "SELECT 3"]),
    ("", "\"\"\"\n  -- ü; no end\n  SELECT 1;\n\"\"\"", &["SELECT 1"]),
    ("", "[\"SELECT 1\", \"\"\"\n  -- ü; no end\n  SELECT 2;\n\"\"\"]", &["SELECT 1", "SELECT 2"]),
    // Strings side by side, of several kinds and over lines.
    (
        "",
        "\"SELECT 1; SEL\"\n            \"ECT 2\" r\"; SELECT 3\"",
        &["SELECT 1", "SEL\"\n            \"ECT 2", "SELECT 3"],
    ),
    ("", "(\"SELECT 1; \" + \"SELECT 2\" + \"; SELECT 3\")", &["SELECT 1", "SELECT 2", "SELECT 3"]),
    ("", r#"f"SELECT 1; SEL" f"ECT 2; SELECT {1 + 2}""#, &["SELECT 1", r#"SEL" f"ECT 2"#, "SELECT {1 + 2}"]),
    ("", r#"f"SELECT '{{}}'; SELECT 2""#, &["SELECT '{{}}'", "SELECT 2"]),
    ("", r#""SELECT 1; %s; SELECT 3" % "SELECT 2""#, &["SELECT 1", "SELECT 2", "SELECT 3"]),
    ("", r#""SELECT 1; {}; SELECT 3".format("SELECT 2")"#, &["SELECT 1", "SELECT 2", "SELECT 3"]),
    // A statement that takes a part from an argument ends at the field that the argument is for.
    ("", r#""SELECT {0}; {a}".format(1, a="SELECT 2")"#, &["SELECT {0}", "SELECT 2"]),
    ("", r#""SELECT 1; DROP TABLE {t}; SELECT 3".format(t="shop_item")"#, &["SELECT 1", "DROP TABLE {t}", "SELECT 3"]),
    (
        "",
        r#""{} 1; SELECT {!r}; {}".format("SELECT", 2, "SELECT 3; SELECT 4")"#,
        &["{} 1", "SELECT {!r}", "SELECT 3", "SELECT 4"],
    ),
    ("", r#""{x[0]} 1; SELECT '{{}}', {:>4}".format(7, x=["SELECT"])"#, &["{x[0]} 1", "SELECT '{{}}', {:>4}"]),
    (
        "",
        r#""DROP TABLE %(t)s; %(u)s" % {"t": "shop_item", "u": "SELECT 2; SELECT 3"}"#,
        &["DROP TABLE %(t)s", "SELECT 2", "SELECT 3"],
    ),
    ("", r#""%s 1; SELECT %s" % ("SELECT", 2)"#, &["%s 1", "SELECT %s"]),
    ("", r#""; ".join(["SELECT 1", "SELECT 2"])"#, &["SELECT 1", "SELECT 2"]),
    // Escapes are one unit each.
    (
        "",
        r#""SELECT '\N{BULLET}\u00e4\x41\t';\nSELECT 2;\r\nSELECT\u00203""#,
        &[r"SELECT '\N{BULLET}\u00e4\x41\t'", "SELECT 2", r"SELECT\u00203"],
    ),
    ("", "\"SELECT 1;\\\nSELECT 2\"", &["SELECT 1", "SELECT 2"]),
    // A list of texts, with and without parameters.
    ("", r#"[("SELECT %s", [1]), "SELECT 2", ("SELECT 3", None)]"#, &["SELECT %s", "SELECT 2", "SELECT 3"]),
    (
        "",
        r#"[("SELECT %s, '%%', 'ä', %s; SELECT %s; SELECT 4", ["a long text", 2, 3.5])]"#,
        &["SELECT %s, '%%', 'ä', %s", "SELECT %s", "SELECT 4"],
    ),
    // A constant is pointed at where it stands; what an f-string takes from one is not.
    ("SQL = \"SELECT 'é'; SELECT 2\"", "SQL", &["SELECT 'é'", "SELECT 2"]),
    (
        "NAME = 'x'\n\n\nOTHER = 'y'",
        r#"f"SELECT 1; SELECT {NAME}, '{OTHER}'; SELECT 3""#,
        &["SELECT 1", "SELECT {NAME}, '{OTHER}'", "SELECT 3"],
    ),
    ("NAME = 'SELECT'", r#"f"{NAME} 1; SELECT 2""#, &["{NAME} 1", "SELECT 2"]),
    ("T = 'shop_item'", r#"f"SELECT 1; DROP TABLE {T}""#, &["SELECT 1", "DROP TABLE {T}"]),
    ("T = 'shop_item'", r#""SELECT 1; DROP TABLE {}".format(T)"#, &["SELECT 1", "DROP TABLE {}"]),
];

#[test]
fn a_step_points_at_its_statement() {
    let mut wrong = Vec::new();
    for (before, argument, expected) in CASES {
        for line_end in ["\n", "\r\n"] {
            let found = pointed_at(before, argument, line_end);
            let expected: Vec<String> = expected.iter().map(|text| text.replace('\n', line_end)).collect();
            if found != expected {
                wrong.push(format!("{argument}\n    expected {expected:?}\n    found    {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), CASES.len() * 2, wrong.join("\n"));
}

//! What one finding says and where it counts: help for an operation that sends several statements, and rules that a table
//! has of its own, where a finding is about several.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use zdm_django::project::sources::Sources;
use zdm_django::project::{Project, ProjectConfig, ProjectInput};
use zdm_django::resolve::Context;
use zdm_django::{DjangoVersion, Value};
use zdm_linter::config::{Level, RuleSet, TablePattern};
use zdm_linter::{Config, lint};
use zdm_postgres::PgVersion;
use zdm_replay::{Options, replay};
use zdm_source::{Diagnostic, Note, Severity, SourceFile};

/// The findings about the second of two migrations of the app `shop`, which has the operations.
fn lint_second(initial: &str, operations: &str, config: &Config) -> Vec<Diagnostic> {
    let file = |name: &str, dependencies: &str, operations: &str| {
        let text = format!(
            "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    dependencies = [{dependencies}]\n    operations = [\n{operations}\n    ]\n"
        );
        SourceFile::new(format!("shop/migrations/{name}.py"), text)
    };
    let mut files = vec![file("0001_initial", "", initial), file("0002_next", "('shop', '0001_initial')", operations)];
    files.extend(["shop/__init__.py", "shop/migrations/__init__.py"].map(|path| SourceFile::new(path, "")));
    let settings = BTreeMap::from([("DEFAULT_AUTO_FIELD".to_owned(), Value::str("django.db.models.BigAutoField"))]);
    let project = Project::build(&ProjectInput {
        sources: Sources::in_memory(files, &[]),
        environment: Vec::new(),
        texts: Vec::new(),
        config: ProjectConfig { settings, ..ProjectConfig::default() },
    });
    let order: Vec<_> = project.in_order().cloned().map(Arc::new).collect();
    let context = Context::new(DjangoVersion::NEWEST);
    let trace = replay(&order, &Options { postgres: PgVersion::NEWEST, context, incomplete: false });
    let mut found = lint(&trace, &project.problems, &[], config);
    found.retain(|found| found.subject.migration.as_deref() == Some("0002_next"));
    found
}

/// The help of the findings of one rule about `operations`, which stand behind a table `shop_order`.
#[track_caller]
fn check_help(code: &str, operations: &str, expected: &[&str]) {
    let initial = "migrations.CreateModel('Order', [('id', models.BigAutoField(primary_key=True)), ('number', models.IntegerField(null=True)), ('code', models.CharField(max_length=10))]),";
    let found = lint_second(initial, operations, &Config::default());
    let found: Vec<&Diagnostic> = found.iter().filter(|found| found.code.code == code).collect();
    let help = found.iter().flat_map(|found| &found.notes).filter_map(|note| match note {
        Note::Help(text) => Some(text.as_str()),
        _ => None,
    });
    let help: Vec<&str> = help.collect();
    assert_eq!(help.len(), expected.len(), "{found:?}");
    for (help, end) in help.iter().zip(expected) {
        assert!(help.ends_with(end), "{help}");
    }
}

/// What shall be one of the state alone sends nothing: the rest of it would be lost.
#[test]
fn help_names_what_else_the_operation_sends() {
    let all_of_it = "as its state operation; what else it sends belongs to the database operations too";
    let unique =
        |field: &str| format!("migrations.AlterField('order', 'number', models.{field}(unique=True, null=True))");
    check_help("ZDM103", &unique("IntegerField"), &["with this operation as its state operation"]);
    check_help("ZDM103", &unique("BigIntegerField"), &[all_of_it]);
    check_help(
        "ZDM103",
        "migrations.AlterUniqueTogether('order', {('number', 'code'), ('code', 'id')})",
        &[all_of_it, all_of_it],
    );
    let positive = |field: &str| format!("migrations.AlterField('order', 'number', models.{field}(null=True))");
    check_help(
        "ZDM122",
        &positive("PositiveIntegerField"),
        &["validating takes SHARE UPDATE EXCLUSIVE, and reads and writes go on"],
    );
    check_help(
        "ZDM122",
        &positive("PositiveBigIntegerField"),
        &["reads and writes go on; what else it sends belongs to the database operations too"],
    );
}

const CODE: &str = "ZDM131";

/// What is said of a table that references `number` others when it is dropped: the severity, None where it is switched off.
#[track_caller]
fn check(number: usize, tables: &[(&str, Level)], expected: Option<Severity>) {
    let (mut initial, mut fields) = (String::new(), String::new());
    for other in 0..number {
        let _ = writeln!(
            initial,
            "migrations.CreateModel('Other{other}', [('id', models.BigAutoField(primary_key=True))]),"
        );
        let _ = write!(fields, ", ('f{other}', models.ForeignKey('shop.Other{other}', models.CASCADE))");
    }
    let _ =
        write!(initial, "migrations.CreateModel('Order', [('id', models.BigAutoField(primary_key=True)){fields}]),");
    let table_rules =
        tables.iter().map(|(pattern, level)| (TablePattern::new(pattern), RuleSet([(CODE, *level)].into()))).collect();
    let config = Config { table_rules, ..Config::default() };
    let found = lint_second(&initial, "migrations.DeleteModel('Order')", &config);
    let found: Vec<&Diagnostic> = found.iter().filter(|found| found.code.code == CODE).collect();
    let [finding] = found.as_slice() else { panic!("one finding: {found:?}") };
    let severity = finding.suppressed.is_none().then_some(finding.severity);
    assert_eq!(severity, expected, "{}", finding.message);
}

#[test]
fn a_finding_about_several_tables_is_off_where_it_is_off_for_all_of_them() {
    let as_it_is = Some(Severity::Warning);
    check(2, &[], as_it_is);
    check(2, &[("shop_other0", Level::Off)], as_it_is);
    check(2, &[("shop_other*", Level::Off)], as_it_is);
    check(2, &[("shop_*", Level::Off)], None);
    let error = Level::Severity(Severity::Error);
    check(2, &[("shop_other1", error), ("shop_*", Level::Off)], Some(Severity::Error));
}

/// A message of many tables names the first ones: of the others nothing is known.
#[test]
fn a_finding_that_names_some_of_many_tables_stays() {
    check(7, &[("shop_*", Level::Off)], None);
    check(8, &[("shop_*", Level::Off)], Some(Severity::Warning));
    check(8, &[("shop_*", Level::Severity(Severity::Info))], Some(Severity::Info));
}

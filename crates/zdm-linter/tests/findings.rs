//! What one finding says and where it counts: help for an operation that sends several statements, and rules that a table
//! has of its own, where a finding is about several.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use zdm_django::project::sources::Sources;
use zdm_django::project::{Project, ProjectConfig, ProjectInput};
use zdm_django::resolve::Context;
use zdm_django::{DjangoVersion, Value};
use zdm_linter::config::{Level, RuleSet, TableFacts, TablePattern};
use zdm_linter::{Config, lint};
use zdm_postgres::PgVersion;
use zdm_replay::{Options, replay};
use zdm_source::{Diagnostic, Note, Severity, SourceFile};

/// The findings about the second of two migrations of the app `shop`, which has the operations.
fn lint_second(initial: &str, operations: &str, config: &Config) -> Vec<Diagnostic> {
    lint_beside(initial, "", operations, "", config)
}

/// As [`lint_second`], with code in front of the class, beside these models of today.
fn lint_beside(initial: &str, code: &str, operations: &str, models: &str, config: &Config) -> Vec<Diagnostic> {
    let file = |name: &str, code: &str, dependencies: &str, operations: &str| {
        let text = format!(
            "from django.db import migrations, models\n{code}\n\nclass Migration(migrations.Migration):\n    dependencies = [{dependencies}]\n    operations = [\n{operations}\n    ]\n"
        );
        SourceFile::new(format!("shop/migrations/{name}.py"), text)
    };
    let mut files =
        vec![file("0001_initial", "", "", initial), file("0002_next", code, "('shop', '0001_initial')", operations)];
    files.extend(["shop/__init__.py", "shop/migrations/__init__.py"].map(|path| SourceFile::new(path, "")));
    files.push(SourceFile::new("shop/models.py", models));
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
    check_help("ZDM103", "migrations.AlterUniqueTogether('order', {('number', 'code'), ('code', 'id')})", &[all_of_it]);
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

/// The table of a many-to-many field goes with the field, or with its model.
#[test]
fn help_for_the_table_of_a_many_to_many_field_is_about_the_field() {
    let initial = "migrations.CreateModel('Tag', [('id', models.BigAutoField(primary_key=True))]), migrations.CreateModel('Order', [('id', models.BigAutoField(primary_key=True)), ('tags', models.ManyToManyField('shop.Tag'))]),";
    let check = |code: &str, operations: &str, expected: &str| {
        let found = lint_second(initial, operations, &Config::default());
        let finding = one(&found, code);
        let help = finding.notes.iter().any(|note| matches!(note, Note::Help(text) if text.contains(expected)));
        assert!(help, "{finding:?}");
    };
    check("ZDM203", "migrations.RemoveField('order', 'tags')", "with RemoveField as its state operation");
    check("ZDM203", "migrations.DeleteModel('Order')", "with DeleteModel as its state operation");
    check("ZDM204", "migrations.RenameField('order', 'tags', 'labels')", "`db_table=\"shop_order_tags\"` on the field");
    check("ZDM204", "migrations.RenameModel('Order', 'Purchase')", "in the model's Meta");
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

/// A message of many tables names the first ones; the finding is about all of them.
#[test]
fn a_finding_that_names_some_of_many_tables_is_about_all_of_them() {
    check(8, &[("shop_*", Level::Off)], None);
    check(8, &[("shop_other*", Level::Off)], Some(Severity::Warning));
    check(8, &[("shop_other7", Level::Severity(Severity::Info)), ("shop_*", Level::Off)], Some(Severity::Info));
    check(8, &[("shop_*", Level::Severity(Severity::Info))], Some(Severity::Info));
}

/// A key that `number` tables reference, and its change to another type.
fn referenced(number: usize) -> String {
    let mut initial = String::from("migrations.CreateModel('Order', [('id', models.AutoField(primary_key=True))]),\n");
    for other in 0..number {
        let _ = writeln!(
            initial,
            "migrations.CreateModel('Other{other}', [('id', models.BigAutoField(primary_key=True)), ('order', models.ForeignKey('shop.Order', models.CASCADE))]),"
        );
    }
    initial
}

const OTHER_TYPE: &str = "migrations.AlterField('order', 'id', models.BigAutoField(primary_key=True))";

fn of_rule<'a>(found: &'a [Diagnostic], code: &str) -> Vec<&'a Diagnostic> {
    found.iter().filter(|found| found.code.code == code).collect()
}

#[track_caller]
fn one<'a>(found: &'a [Diagnostic], code: &str) -> &'a Diagnostic {
    let found = of_rule(found, code);
    let [finding] = found.as_slice() else { panic!("one finding: {found:?}") };
    finding
}

fn facts(finding: &Diagnostic) -> Vec<&str> {
    let facts = finding.notes.iter().filter_map(|note| match note {
        Note::Fact(text) => Some(text.as_str()),
        _ => None,
    });
    facts.collect()
}

/// One operation of Django's changes many tables: each rule tells it once.
#[test]
fn one_operation_on_many_tables_is_one_finding_of_each_rule() {
    let found = lint_second(&referenced(5), OTHER_TYPE, &Config::default());
    let rewrites = one(&found, "ZDM112");
    assert!(
        rewrites
            .message
            .starts_with("changing the type of `shop_order.id` from `integer` to `bigint` rewrites the table")
            && rewrites.message.ends_with("; the same goes for 5 more"),
        "{}",
        rewrites.message
    );
    assert!(facts(rewrites).contains(
        &"the same goes for `shop_other0.order_id`, `shop_other1.order_id`, `shop_other2.order_id`, `shop_other3.order_id`, `shop_other4.order_id`"
    ));
    let keys = one(&found, "ZDM123");
    assert!(keys.message.ends_with("; the same goes for 4 more"), "{}", keys.message);
    let held = one(&found, "ZDM141");
    assert!(
        held.message.starts_with(
            "the rewrite of 6 tables and the scan of 6 tables run while ACCESS EXCLUSIVE is still held on"
        ),
        "{}",
        held.message
    );
    for finding in [rewrites, keys, held] {
        let swap = "one swap changes all of them: `zdm mirror migration --model shop.Order --source id --target id_new --type bigint --references`";
        let help = finding.notes.iter().any(|note| matches!(note, Note::Help(text) if text.starts_with(swap)));
        assert!(help && finding.fix.is_none(), "{finding:?}");
    }
    // One other table is named in the message.
    let found = lint_second(&referenced(1), OTHER_TYPE, &Config::default());
    let message = &one(&found, "ZDM112").message;
    assert!(message.ends_with("until it is done; the same goes for `shop_other0.order_id`"), "{message}");
}

fn of_tables(tables: &[(&str, TableFacts)]) -> Config {
    let tables = tables.iter().map(|(pattern, facts)| (TablePattern::new(pattern), *facts)).collect();
    Config { tables, small_table_rows: Some(1_000), ..Config::default() }
}

/// The table that weighs most is named; all of them count for the time.
#[test]
fn one_finding_on_many_tables_is_about_the_one_that_weighs_most() {
    let rows = |rows| TableFacts { rows: Some(rows), ..TableFacts::default() };
    let told = |tables: &[(&str, TableFacts)]| {
        let found = lint_second(&referenced(2), OTHER_TYPE, &of_tables(tables));
        let finding = one(&found, "ZDM112");
        let table = finding.message.split(['`', '.']).nth(1).unwrap_or_default().to_owned();
        let time = facts(finding).into_iter().find(|fact| fact.contains("together")).map(str::to_owned);
        (table, finding.severity, time)
    };
    let warning = Severity::Warning;
    assert_eq!(told(&[]), ("shop_order".to_owned(), warning, None));
    assert_eq!(
        told(&[("shop_other1", rows(12_000_000)), ("*", rows(1_200_000))]),
        ("shop_other1".to_owned(), Severity::Error, Some("all 3 together take about 2 minutes".to_owned()))
    );
    // Of one table nothing is known.
    assert_eq!(told(&[("shop_other1", rows(5)), ("shop_order", rows(5))]), ("shop_other0".to_owned(), warning, None));
    let all_small = told(&[("*", rows(5))]);
    assert_eq!((all_small.0.as_str(), all_small.1), ("shop_order", Severity::Info));
    let hot = TableFacts { hot: Some(true), ..rows(5) };
    assert_eq!(told(&[("shop_other0", hot), ("*", rows(5))]).0, "shop_other0");
}

/// Tables that the rule is off for are told by themselves, as switched off.
#[test]
fn tables_that_a_rule_is_off_for_are_not_named_with_the_others() {
    let off = |patterns: &[&str]| {
        let off = |pattern: &&str| {
            (TablePattern::new(pattern), RuleSet([("ZDM112", Level::Off), ("ZDM141", Level::Off)].into()))
        };
        let config = Config { table_rules: patterns.iter().map(off).collect(), ..Config::default() };
        lint_second(&referenced(2), OTHER_TYPE, &config)
    };
    let found = off(&["shop_other1"]);
    let active: Vec<&Diagnostic> =
        of_rule(&found, "ZDM112").into_iter().filter(|found| found.suppressed.is_none()).collect();
    let [active] = active.as_slice() else { panic!("{active:?}") };
    assert!(active.message.ends_with("; the same goes for `shop_other0.order_id`"), "{}", active.message);
    let held = one(&found, "ZDM141");
    assert!(
        held.suppressed.is_none() && held.message.contains("rewrite of `shop_order` and `shop_other0`"),
        "{}",
        held.message
    );
    let found = off(&["shop_*"]);
    assert!(of_rule(&found, "ZDM112").iter().all(|found| found.suppressed.is_some()));
    assert!(one(&found, "ZDM141").suppressed.is_some());
}

/// A comment at the operation speaks for the one finding, and has a use.
#[test]
fn a_comment_suppresses_what_is_told_as_one() {
    let operation = format!("# zdm: ignore[ZDM112, ZDM123, ZDM141, ZDM131, ZDM143] in a window\n{OTHER_TYPE}");
    let found = lint_second(&referenced(5), &operation, &Config::default());
    assert!(found.iter().all(|found| found.suppressed.is_some() || found.code.code.starts_with("ZDM2")), "{found:?}");
    assert!(of_rule(&found, "ZDM903").is_empty());
}

#[test]
fn keys_of_all_rows_beside_another_condition_leave_some() {
    let initial = "migrations.CreateModel('Order', [('id', models.BigAutoField(primary_key=True)), ('kind', models.TextField())]),";
    let update = |conditions: &str| {
        let operations = format!(
            "migrations.RunPython(lambda apps, editor: apps.get_model('shop', 'Order').objects.filter(pk__in=apps.get_model('shop', 'Order').objects.values('pk'){conditions}).update(kind='b'), migrations.RunPython.noop),"
        );
        let found = lint_second(initial, &operations, &Config::default());
        one(&found, "ZDM305").message.clone()
    };
    let (all, some) = (update(""), update(", kind='a'"));
    assert!(all.contains("every row of `shop_order`"), "{all}");
    assert!(some.contains("the rows of `shop_order` that `filter(…)` leaves"), "{some}");
}

#[test]
fn what_has_no_name_is_told_as_an_operation() {
    let found = lint_second("", "*made_elsewhere(),", &Config::default());
    let message = &one(&found, "ZDM901").message;
    assert!(message.starts_with("an operation is not analysed: "), "{message}");
}

/// Operations that a loop makes stand in one place, too.
#[test]
fn operations_that_a_loop_makes_are_told_as_one() {
    let initial = "migrations.CreateModel('Order', [('id', models.BigAutoField(primary_key=True)), ('a', models.TextField()), ('b', models.TextField())]),";
    let found =
        lint_second(initial, "*[migrations.RemoveField('order', name) for name in ('a', 'b')],", &Config::default());
    let message = &one(&found, "ZDM201").message;
    assert!(message.ends_with("; the same goes for `shop_order.b`"), "{message}");
}

/// A key that its own table references, and what a model brings with it, stand in one place with the others.
#[test]
fn what_an_operation_does_beside_its_model_is_told_with_it() {
    let initial = "migrations.CreateModel('Order', [('id', models.AutoField(primary_key=True)), ('parent', models.ForeignKey('self', models.CASCADE))]), migrations.CreateModel('Line', [('id', models.BigAutoField(primary_key=True)), ('order', models.ForeignKey('shop.Order', models.CASCADE))]),";
    let found = lint_second(initial, OTHER_TYPE, &Config::default());
    let keys = one(&found, "ZDM123");
    assert_eq!(keys.subject.things.len(), 2, "{keys:?}");
    assert!(keys.message.contains("the same goes for `shop_"), "{}", keys.message);

    let initial = "migrations.CreateModel('Tag', [('id', models.BigAutoField(primary_key=True))]), migrations.CreateModel('Kind', [('id', models.BigAutoField(primary_key=True))]),";
    let create = "migrations.CreateModel('Order', [('id', models.BigAutoField(primary_key=True)), ('kind', models.ForeignKey('shop.Kind', models.CASCADE)), ('tags', models.ManyToManyField('shop.Tag'))]),";
    let found = lint_second(initial, create, &Config::default());
    let message = &one(&found, "ZDM131").message;
    assert!(
        message.starts_with(
            "creating `shop_order` and `shop_order_tags` also locks `shop_kind` and `shop_tag` (SHARE ROW EXCLUSIVE)"
        ),
        "{message}"
    );
}

/// One loop over models is one finding of each rule, with the numbers of what weighs most and the time of all.
#[test]
fn a_loop_over_models_is_told_as_one() {
    let initial = "migrations.CreateModel('Order', [('id', models.BigAutoField(primary_key=True)), ('number', models.IntegerField(null=True))]), migrations.CreateModel('Line', [('id', models.BigAutoField(primary_key=True)), ('number', models.IntegerField(null=True))]),";
    let run = "migrations.RunPython(lambda apps, editor: [apps.get_model('shop', name).objects.update(number=0) for name in ('Order', 'Line')], migrations.RunPython.noop),";
    let rows = |rows| TableFacts { rows: Some(rows), ..TableFacts::default() };
    let config = of_tables(&[("shop_line", rows(7_000_000)), ("*", rows(10))]);
    let found = lint_second(initial, run, &config);
    let finding = one(&found, "ZDM305");
    assert!(
        finding.message.starts_with("`update()` updates every row of `shop_line`")
            && finding.message.ends_with("; the same goes for `shop_order`"),
        "{}",
        finding.message
    );
    assert_eq!(finding.subject.things, ["shop_line".into(), "shop_order".into()]);
    assert_eq!(finding.severity, Severity::Error);
    let help = finding.notes.iter().any(|note| matches!(note, Note::Help(text) if text.ends_with("`zdm backfill run --table shop_line --set \"number = 0\"`")));
    assert!(help, "{finding:?}");
}

const TAGGED: &str = "migrations.CreateModel('Tag', [('id', models.BigAutoField(primary_key=True)), ('name', models.TextField())]), migrations.CreateModel('Order', [('id', models.BigAutoField(primary_key=True)), ('number', models.TextField()), ('total', models.IntegerField(null=True)), ('tags', models.ManyToManyField('shop.Tag'))]),";

/// What the rules for Python code say of a function, beside these models of today: codes and beginnings of messages.
#[track_caller]
fn check_code(body: &str, models: &str, expected: &[(&str, &str)]) {
    let code = format!(
        "import re\n\n\ndef run(apps, schema_editor):\n    Tag, Order = apps.get_model('shop', 'Tag'), apps.get_model('shop', 'Order')\n    tag = Tag.objects.get(name='x')\n{body}\n"
    );
    let run = "migrations.RunPython(run, migrations.RunPython.noop)";
    let found = lint_beside(TAGGED, &code, run, models, &Config::default());
    let told: Vec<(&str, &str)> = found
        .iter()
        .filter(|found| found.subject.migration.as_deref() == Some("0002_next"))
        .map(|found| (found.code.code, found.message.as_str()))
        .collect();
    let same = told.len() == expected.len()
        && told.iter().zip(expected).all(|(told, expected)| told.0 == expected.0 && told.1.starts_with(expected.1));
    assert!(same, "{told:#?}");
}

/// A related manager of one object, for each row of another table.
#[test]
fn managers_of_one_object_in_a_loop_are_read() {
    let each = "one INSERT into `shop_order_tags` for every row of `shop_order`, all in one transaction";
    let in_loop = |call: &str| format!("    for order in Order.objects.iterator():\n        {call}");
    for call in
        ["tag.order_set.add(order)", "tag.order_set.add(order.pk)", "tag.order_set.set([order])", "order.tags.add(tag)"]
    {
        check_code(&in_loop(call), "", &[("ZDM310", each)]);
    }
    check_code(
        &in_loop("if order.total:\n            tag.order_set.add(order)"),
        "",
        &[("ZDM310", "one INSERT into `shop_order_tags` for rows of `shop_order`, all in one transaction")],
    );
    check_code(
        &in_loop("tag.order_set.remove(order)"),
        "",
        &[("ZDM306", "the loop deletes rows of `shop_order_tags` for one object after the other")],
    );
    let at_once = "sends one INSERT into `shop_order_tags` for every row of `shop_order` together";
    check_code("    tag.order_set.add(*Order.objects.all())", "", &[("ZDM310", &format!("`add()` {at_once}"))]);
    check_code("    tag.order_set.set(Order.objects.all())", "", &[("ZDM310", &format!("`set()` {at_once}"))]);
    check_code("    for order in Order.objects.all()[:10]:\n        tag.order_set.add(order)", "", &[]);
    check_code("    for name in ('a', 'b'):\n        tag.order_set.add(Order.objects.get(number=name))", "", &[]);
}

/// Objects that loops gather, wherever they gather them, are of the rows that the loops go through.
#[test]
fn what_loops_gather_is_read() {
    let gathers = |start: &str, gather: &str, objects: &str| {
        format!(
            "    found = {start}\n    for order in Order.objects.iterator():\n        for word in order.number.split():\n            if word:\n                order.total = 1\n                {gather}\n    Order.objects.bulk_update({objects}, ['total'])"
        )
    };
    let some = [("ZDM305", "`bulk_update()` updates rows of `shop_order` at once")];
    check_code(&gathers("set()", "found.add(order)", "found"), "", &some);
    check_code(&gathers("[]", "found.append(order)", "found"), "", &some);
    check_code(&gathers("{}", "found[order.pk] = order", "found.values()"), "", &some);
    // Another loop joins its own.
    let two = "    found = []\n    for order in Order.objects.iterator():\n        found.append(order)\n    for order in Order.objects.filter(total=1):\n        found.append(order)\n    Order.objects.bulk_update(found, ['total'])";
    check_code(two, "", &some);
}

/// How many rows a filter leaves is not known: a large table alone makes no error of it.
#[test]
fn inserts_for_some_rows_weigh_less_than_for_all() {
    let config = of_tables(&[("*", TableFacts { rows: Some(5_000_000), ..TableFacts::default() })]);
    let severities = |rows: &str| {
        let code = format!(
            "\n\ndef run(apps, schema_editor):\n    Tag = apps.get_model('shop', 'Tag')\n    for order in apps.get_model('shop', 'Order').objects.{rows}.iterator():\n        Tag.objects.create(name=order.number)\n"
        );
        let found = lint_beside(TAGGED, &code, "migrations.RunPython(run, migrations.RunPython.noop)", "", &config);
        let found = of_rule(&found, "ZDM310");
        found.iter().map(|found| found.severity).collect::<Vec<_>>()
    };
    assert_eq!(severities("all()"), [Severity::Error]);
    assert_eq!(severities("filter(number='x')"), [Severity::Warning]);
}

/// Models of today do to the tables what those of the state would do.
#[test]
fn what_models_of_today_do_is_read() {
    let models = "from django.db import models\n\n\nclass Live(models.Manager):\n    pass\n\n\nclass Order(models.Model):\n    number = models.TextField()\n    objects = models.Manager()\n    live = Live()\n\n    def count(self):\n        self.total = 1\n        self.save()\n\n\nclass Later(models.Model):\n    pass\n";
    let import = "    from shop.models import Later, Order\n";
    let today = ("ZDM307", "`Order` is the model as the code has it today");
    let each = |call: &str| format!("{import}    for order in Order._base_manager.iterator():\n        {call}");
    check_code(&each("order.save()"), models, &[today, ("ZDM306", "the loop saves every row of `shop_order`")]);
    check_code(&each("order.count()"), models, &[today, ("ZDM306", "the loop saves every row of `shop_order`")]);
    check_code(
        &format!("{import}    Order.live.update(total=1)"),
        models,
        &[("ZDM305", "`update()` updates rows of `shop_order` at once"), today],
    );
    // A model that the state has not is told alone.
    check_code(
        &format!("{import}    Later.objects.update(number=1)"),
        models,
        &[("ZDM307", "`Later` is the model as the code has it today")],
    );
}

/// The function that a regular expression calls is read like any other.
#[test]
fn functions_for_matches_are_read() {
    let body = |code: &str| {
        format!(
            "    def replaced(match):\n        {code}\n        return match.group().lower().strip().title()\n\n    for order in Order.objects.iterator():\n        order.number = re.compile('x').sub(replaced, order.number)\n        order.number = re.sub('y', replaced, order.number)\n        order.save()"
        )
    };
    let saves = ("ZDM306", "the loop saves every row of `shop_order`");
    check_code(&body("out = set(); out.add(match)"), "", &[saves]);
    check_code(
        &body("Tag.objects.all().delete()"),
        "",
        &[("ZDM305", "`delete()` deletes every row of `shop_tag`"), saves],
    );
}

/// A new column under the old name has none of the old values, unless something fills it.
#[test]
fn a_swap_with_a_column_that_nothing_fills_loses_the_values() {
    let initial = "migrations.CreateModel('Order', [('id', models.BigAutoField(primary_key=True)), ('total', models.IntegerField(null=True))]),";
    let lost = |filling: &str| {
        let add = "ALTER TABLE shop_order ADD COLUMN total_new bigint;";
        let swap = "ALTER TABLE shop_order RENAME COLUMN total TO total_old; ALTER TABLE shop_order RENAME COLUMN total_new TO total; ALTER TABLE shop_order DROP COLUMN total_old";
        let run = format!("migrations.RunSQL(\"{add} {filling} {swap}\", migrations.RunSQL.noop)");
        let found = lint_second(initial, &run, &Config::default());
        of_rule(&found, "ZDM201").iter().map(|found| found.message.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        lost(""),
        ["dropping `shop_order.total_old` behind a new column `total` in its place loses the value of every row"]
    );
    assert!(lost("UPDATE shop_order SET total_new = total;").is_empty());
}

//! The oracle on our own project, in every Django and on every server.

use std::path::PathBuf;

use zdm_testkit::{DJANGOS, Detail, Django, Oracle, OracleReport, Server, cache, majors_for, skip};

fn shop() -> PathBuf {
    cache::workspace().join("fixtures/shop")
}

fn replay(django: &Django, server: &Server) -> OracleReport {
    let database = server.database();
    let oracle = Oracle::settings(&shop(), "shop.settings").models(Detail::Each).tables(Detail::Each);
    let report = oracle.replay(django, &database);
    assert_eq!(report.failures(), Vec::<String>::new(), "Django {}", django.version());
    report
}

#[test]
fn every_django_replays_the_shop() {
    let server = Server::newest();
    for django in Django::available_for("oracle", &DJANGOS) {
        let report = replay(&django, &server);
        assert!(report.django.starts_with(django.version()), "{} in {}", report.django, django.version());
        assert!(django.site_packages().is_some_and(|path| path.join("django/contrib/auth/migrations").is_dir()));
        let (operations, statements) = report.counts();
        println!(
            "Django {}: {} migrations, {operations} operations, {statements} statements",
            report.django,
            report.migrations.len()
        );
        let own = report.migrations.iter().filter(|m| !["auth", "contenttypes"].contains(&m.app.as_str())).count();
        assert!(own >= 45, "{own} migrations of our own");

        // The deferred statements of one migration follow all others, and belong to their operations.
        let initial = report.migration("catalog", "0001_initial").expect("the shop has it");
        let [category, product] = initial.operations.as_slice() else { panic!("{initial:?}") };
        assert!(category.statements[0].sql.starts_with("CREATE TABLE \"catalog_category\""));
        assert!(category.deferred.iter().all(|statement| statement.sql.contains("\"catalog_category\"")));
        assert!(product.deferred.iter().any(|statement| statement.sql.contains("REFERENCES \"catalog_category\"")));
        assert!(category.deferred[0].order > product.statements[0].order);

        // Parameters are inlined.
        let currency = report.migration("billing", "0005_alter_payment_currency").expect("the shop has it");
        assert_eq!(
            currency.operations[0].statements[0].sql,
            "UPDATE billing_payment SET currency = 'EUR' WHERE length(currency) > 3"
        );

        let concurrent = report.migration("orders", "0007_order_status_index").expect("the shop has it");
        assert!(!concurrent.atomic && !concurrent.statements()[0].in_transaction);
        let fill = report.migration("orders", "0003_fill_reference").expect("the shop has it");
        assert!(fill.operations[0].python && fill.statements().is_empty());

        // Both worlds, at two points of history.
        let place = |app: &str, name: &str| {
            report.migrations.iter().position(|m| m.app == app && m.name == name).expect("the shop has it")
        };
        let forgotten = place("orders", "0014_forget_note");
        let fields = &report.models_after(forgotten)["orders.Order"].fields;
        assert!(fields.iter().all(|field| field.name != "note"));
        let columns = &report.tables_after(forgotten)["orders_order"].columns;
        assert!(columns.iter().any(|column| column.name == "note" && !column.null && column.default.is_some()));
        let last = report.migrations.len() - 1;
        assert_eq!(report.models_after(last).len(), report.models.len());
        assert!(report.models_after(last).iter().all(|(name, model)| report.models[name] == **model));
        assert!(report.tables_after(last).iter().all(|(name, table)| report.tables[name] == **table));
        assert!(report.tables["orders_order"].columns.iter().all(|column| column.name != "note"));
    }
}

#[test]
fn the_catalog_is_the_same_on_every_server() {
    let django = Django::available().into_iter().next_back().expect("a Django is provisioned: `cargo xtask setup`");
    let majors = majors_for("oracle").into_iter().filter(|major| django.supports(*major));
    let reports: Vec<OracleReport> = majors.map(|major| replay(&django, &Server::shared(major))).collect();
    if reports.len() < 2 {
        skip::record("oracle", "only one server to compare catalogs on");
    }
    for pair in reports.windows(2) {
        assert_eq!(pair[0].tables, pair[1].tables, "{} and {}", pair[0].postgres, pair[1].postgres);
    }
}

/// Runs the project in each Django as its users do: forwards, nothing left for `makemigrations`, and backwards.
fn runs(dir: &str, djangos: &[&str], undo: &[&str]) {
    let server = Server::newest();
    for django in Django::available_for("oracle", djangos) {
        let database = server.database();
        let manage = |arguments: &[&str]| {
            let output = django
                .command()
                .arg("manage.py")
                .args(arguments)
                .current_dir(cache::workspace().join("fixtures").join(dir))
                .env("SHOP_DATABASE", database.name())
                .env("SHOP_HOST", server.socket_dir())
                .env("SHOP_USER", zdm_testkit::USER)
                .output()
                .expect("the environment's Python runs");
            assert!(
                output.status.success(),
                "{dir}, Django {}, {arguments:?}:\n{}{}",
                django.version(),
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        };
        manage(&["migrate", "--verbosity", "0"]);
        manage(&["makemigrations", "--check", "--dry-run"]);
        for app in undo {
            manage(&["migrate", "--verbosity", "0", app, "zero"]);
        }
    }
}

#[test]
fn the_shop_runs_and_its_models_have_no_pending_changes() {
    // The history of `customers` has a step that cannot be undone.
    runs("shop", &DJANGOS, &["billing", "orders"]);
}

#[test]
fn the_depot_runs_and_its_models_have_no_pending_changes() {
    runs("shop-next", &DJANGOS[2..], &["shipping", "inventory"]);
}

#[test]
fn every_django_since_5_2_replays_the_depot() {
    let server = Server::newest();
    for django in Django::available_for("oracle", &DJANGOS[2..]) {
        let oracle = Oracle::settings(&cache::workspace().join("fixtures/shop-next"), "depot.settings");
        let report = oracle.replay(&django, &server.database());
        assert_eq!(report.failures(), Vec::<String>::new(), "Django {}", django.version());
        let column = |table: &str, name: &str| {
            report.tables[table].columns.iter().find(|column| column.name == name).cloned().expect("a column")
        };
        assert_eq!(column("inventory_warehouse", "opened_at").default.as_deref(), Some("statement_timestamp()"));
        let available = column("inventory_stockitem", "available");
        assert_eq!(available.generated.as_deref(), Some("stored"));
        assert_eq!((available.expression.as_deref(), available.default), (Some("(quantity - reserved)"), None));
        assert_eq!(column("shipping_slot", "carrier").collation.as_deref(), Some("C"));
        let constraints = &report.tables["shipping_slot"].constraints;
        assert!(constraints.iter().any(|c| c.name == "shipping_slot_no_overlap" && c.kind == "exclude"));
        let shelf = &report.models["inventory.Shelf"].fields;
        assert!(shelf.iter().any(|field| field.name == "label" && field.has_db_default));
    }
}

#[test]
fn apps_without_a_project_and_a_failure_in_one_of_them() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let app = |name: &str, operation: &str| {
        let migrations = dir.path().join(name).join("migrations");
        std::fs::create_dir_all(&migrations).expect("a new directory");
        for package in [dir.path().join(name), migrations.clone()] {
            std::fs::write(package.join("__init__.py"), "").expect("a new file");
        }
        let text = format!(
            "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    \
             operations = [{operation}]\n"
        );
        std::fs::write(migrations.join("0001_initial.py"), text).expect("a new file");
    };
    app(
        "broken",
        "migrations.CreateModel('Lost', [('id', models.AutoField(primary_key=True))]), migrations.RunSQL('SELECT 1/0')",
    );
    std::fs::write(
        dir.path().join("broken/migrations/0002_more.py"),
        "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n    \
         dependencies = [('broken', '0001_initial')]\n    operations = []\n",
    )
    .expect("a new file");
    app("fine", "migrations.CreateModel('Thing', [('id', models.AutoField(primary_key=True))])");
    let server = Server::newest();
    for django in Django::available_for("oracle", &DJANGOS) {
        let database = server.database();
        let oracle = Oracle::apps(&["broken", "fine"])
            .path(dir.path())
            .setting("DEFAULT_AUTO_FIELD", "django.db.models.BigAutoField")
            .keep_going();
        let report = oracle.replay(&django, &database);
        let failure = report.migration("broken", "0001_initial").and_then(|m| m.error.clone()).expect("it divides");
        assert_eq!(failure.sqlstate.as_deref(), Some("22012"));
        assert_eq!(failure.sql.as_deref(), Some("SELECT 1/0"));
        assert_eq!(failure.operation, Some(1));
        let dependent = report.migration("broken", "0002_more").and_then(|m| m.skipped.clone());
        assert_eq!(dependent.as_deref(), Some("depends on broken.0001_initial"));
        assert_eq!(report.tables.keys().collect::<Vec<_>>(), ["fine_thing"]);
        assert_eq!(report.models.keys().collect::<Vec<_>>(), ["fine.Thing"]);
    }
}

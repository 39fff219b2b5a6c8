//! Phases, consent, dependencies, `--plan` and `status`.

use serde_json::Value;

use crate::site::Site;

const ADD: &str = "operations = [migrations.AddField('order', 'paid', models.BooleanField(null=True))]";
const INDEX: &str = "operations = [migrations.AddIndex('order', models.Index(fields=['total'], name='order_total'))]";
const REMOVE: &str = "operations = [migrations.RemoveField('order', 'note')]";

/// One migration per phase, each behind the other.
fn three() -> Site {
    let site = Site::any().with_orders(10);
    site.migration("0002_paid", Some("0001_initial"), ADD);
    site.migration("0003_index", Some("0002_paid"), INDEX);
    site.migration("0004_note", Some("0003_index"), REMOVE);
    site
}

fn applied(site: &Site) -> String {
    site.client().value("SELECT string_agg(left(name, 4), ' ' ORDER BY name) FROM django_migrations WHERE app = 'shop'")
}

fn json(site: &Site, options: &[&str]) -> Value {
    let run = site.run(&[options, &["--format", "json"]].concat());
    serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap()
}

#[test]
fn what_is_pending_has_a_phase() {
    let site = three();
    site.run(&["status"]).expect(0, &["before  shop.0002_paid", "window  shop.0003_index", "after   shop.0004_note"]);
    let status = json(&site, &["status"]);
    let phases: Vec<&str> =
        status["migrations"].as_array().unwrap().iter().map(|one| one["phase"].as_str().unwrap()).collect();
    assert_eq!(phases, ["before", "window", "after"]);
    assert_eq!(status["version"], 1);
    assert_eq!(status["migrations"][1]["sha256"].as_str().unwrap().len(), 64);
    assert!(status["migrations"][1]["reasons"][0].as_str().unwrap().starts_with("ZDM1"), "{status}");
    let plan = site.run(&["--plan", "--phase", "before"]);
    plan.expect(1, &["runs   before  shop.0002_paid", "stays  window  shop.0003_index", "--allow shop.0003_index"]);
    let plan = json(&site, &["--plan", "--phase", "before", "--allow", "shop.0003"]);
    let runs: Vec<bool> = plan["migrations"].as_array().unwrap().iter().map(|one| one["runs"] == true).collect();
    assert_eq!(runs, [true, true, false]);
    assert_eq!(applied(&site), "0001");
}

#[test]
fn phases_and_consent_by_name() {
    let site = three();
    let run = site.run(&["--phase", "before"]);
    run.expect(
        1,
        &[
            "Applying shop.0002_paid... OK",
            "not run: shop.0003_index (window)",
            "the gate is closed for shop.0003_index",
        ],
    );
    assert_eq!(applied(&site), "0001 0002");
    assert_eq!(run.report["not_run"][0]["migration"], "shop.0003_index");
    // What merely waits for the next phase is no failure.
    let run = site.run(&["--phase", "before", "--allow", "shop.0003"]);
    run.expect(0, &["Applying shop.0003_index... OK", "not run: shop.0004_note (after): it runs in the phase `after`"]);
    assert_eq!(applied(&site), "0001 0002 0003");
    // Named once more, it says so; what does not exist is a mistake, and nothing runs.
    for wrong in ["shop.0033", "shop.0003_indices", "shops.0003"] {
        let text = format!("--allow {wrong}: the project has no such migration");
        site.run(&["--phase", "after", "--allow", wrong]).expect(2, &[&text]);
        site.run(&["--plan", "--allow", wrong]).expect(2, &[&text]);
    }
    assert_eq!(applied(&site), "0001 0002 0003");
    let again = "--allow shop.0003 has no effect: the migration is applied already";
    site.run(&["--plan", "--allow", "shop.0003"]).expect(0, &[again]);
    let run = site.run(&["--phase", "after", "--allow", "shop.0003"]);
    run.expect(0, &[again, "Applying shop.0004_note... OK"]);
    assert_eq!(applied(&site), "0001 0002 0003 0004");
    site.run(&["--phase", "after"]).expect(0, &["nothing was to be migrated"]);
    site.run(&["status"]).expect(0, &["nothing is pending"]);
    // Backwards is nothing for a gate.
    let python = site.django.python().display().to_string();
    let back = [python.as_str(), "manage.py", "migrate", "shop", "0003"];
    site.run_command(&["--phase", "after"], &back).expect(1, &["the gate is for migrations that go forwards"]);
    let run = site.run_command(&[], &back);
    run.expect(0, &["Unapplying shop.0004_note... OK"]);
    assert_eq!(run.report["migrations"][0]["backwards"], true);
    site.assert_no_trace();
}

#[test]
fn consent_files_name_a_text_and_a_day() {
    let site = three();
    let sha256 = json(&site, &["status"])["migrations"][1]["sha256"].as_str().unwrap().to_owned();
    let consent = |expires: &str| {
        site.write(
            "consent.toml",
            &format!(
                "[[consent]]\nmigration = 'shop.0003_index'\nsha256 = '{sha256}'\nauthor = 'dba@example.org'\n\
                 expires = {expires}\n"
            ),
        );
    };
    let options = ["--phase", "before", "--consent", "consent.toml"];
    consent("2020-02-29");
    site.run(&options).expect(1, &["the consent of dba@example.org expired on 2020-02-29"]);
    assert_eq!(applied(&site), "0001 0002");
    consent("2999-12-31");
    site.migration("0003_index", Some("0002_paid"), &format!("# changed\n{INDEX}"));
    site.run(&options).expect(1, &["the consent of dba@example.org is void: the file has changed since"]);
    assert_eq!(applied(&site), "0001 0002");
    site.migration("0003_index", Some("0002_paid"), INDEX);
    site.run(&options).expect(0, &["Applying shop.0003_index... OK"]);
    assert_eq!(applied(&site), "0001 0002 0003");
    site.write("consent.toml", "[[consent]]\nmigration = 'shop.0003_index'\n");
    site.run(&options).expect(2, &["consent.toml: entry 1: `expires` is missing"]);
    site.assert_no_trace();
}

#[test]
fn before_must_not_stand_behind_after() {
    let site = Site::any().with_orders(10);
    site.migration("0002_note", Some("0001_initial"), REMOVE);
    site.migration("0003_paid", Some("0002_note"), ADD);
    let run = site.run(&["--phase", "before"]);
    run.expect(
        1,
        &["shop.0003_paid must run before the deploy but depends on shop.0002_note, which may only run after it"],
    );
    assert!(!run.stdout.contains("Applying"), "{run:?}");
    assert_eq!(applied(&site), "0001");
    let plan = site.run(&["--plan", "--phase", "before"]);
    plan.expect(1, &["must run before the deploy"]);
    site.run(&["--phase", "after"]).expect(0, &["Applying shop.0002_note... OK", "Applying shop.0003_paid... OK"]);
    site.assert_no_trace();
}

#[test]
fn what_the_new_code_does_not_need_waits_behind_after() {
    let site = Site::any().with_orders(10);
    site.migration("0002_note", Some("0001_initial"), REMOVE);
    site.migration(
        "0003_total",
        Some("0002_note"),
        "operations = [migrations.RunSQL(\"COMMENT ON COLUMN shop_order.total IS 'in cents'\", migrations.RunSQL.noop)]",
    );
    site.run(&["--phase", "before"]).expect(0, &[]);
    assert_eq!(applied(&site), "0001");
    site.run(&["--phase", "after"]).expect(0, &["Applying shop.0002_note... OK", "Applying shop.0003_total... OK"]);
}

#[test]
fn a_new_database_has_nobody_to_wait_for() {
    let site = three();
    let other = site.database.server().database();
    let name = other.name();
    let text = std::fs::read_to_string(site.path().join("site_settings.py")).unwrap();
    site.write(
        "site_settings.py",
        &text.replace(&format!("'NAME': '{}'", site.database.name()), &format!("'NAME': '{name}'")),
    );
    site.run(&["--phase", "before"]).expect(0, &["Applying shop.0003_index... OK", "Applying shop.0004_note... OK"]);
    assert_eq!(other.connect().value("SELECT count(*) FROM django_migrations"), "4");
}

#[test]
fn python_must_load_the_files_that_were_judged() {
    let site = three();
    // Another copy of the app comes first on the path.
    let copy = site.path().join("elsewhere/shop");
    std::fs::create_dir_all(&copy).unwrap();
    for name in ["__init__.py", "models.py"] {
        std::fs::copy(site.path().join("shop").join(name), copy.join(name)).unwrap();
    }
    std::fs::create_dir(copy.join("migrations")).unwrap();
    for name in ["__init__.py", "0001_initial.py", "0002_paid.py", "0003_index.py", "0004_note.py"] {
        std::fs::copy(site.path().join("shop/migrations").join(name), copy.join("migrations").join(name)).unwrap();
    }
    std::fs::write(copy.join("migrations/0002_paid.py"), std::fs::read(copy.join("migrations/0004_note.py")).unwrap())
        .unwrap();
    let manage = std::fs::read_to_string(site.path().join("manage.py")).unwrap();
    let manage = manage
        .replace("import os, sys\n", "import os, sys\nsys.path.insert(0, 'elsewhere')\n")
        .replace("0003_index", "0001_initial");
    site.write("manage.py", &manage);
    let text = std::fs::read_to_string(copy.join("migrations/0002_paid.py")).unwrap();
    std::fs::write(copy.join("migrations/0002_paid.py"), text.replace("0003_index", "0001_initial")).unwrap();
    let run = site.run(&["--phase", "before", "--project", "shop"]);
    assert_ne!(run.exit, Some(0), "{run:?}");
    assert_eq!(applied(&site), "0001", "{run:?}");
}

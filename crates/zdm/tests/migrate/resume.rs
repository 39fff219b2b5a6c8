//! A migration that is not atomic, cut off between two of its statements: what is done is told from the tables.

use crate::site::Site;

/// The schema of `shop_order`, indexes and constraints included.
const SCHEMA: &str = "SELECT string_agg(line, E'\\n' ORDER BY line) FROM ( \
     SELECT format('%s %s %s %s', attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)) \
     FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum \
     WHERE attrelid = 'shop_order'::regclass AND attnum > 0 AND NOT attisdropped \
     UNION ALL SELECT pg_get_indexdef(indexrelid) || indisvalid FROM pg_index WHERE indrelid = 'shop_order'::regclass \
     UNION ALL SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint \
     WHERE conrelid = 'shop_order'::regclass AND contype <> 'n') AS lines(line)";

/// DDL alone, of every kind that people put in such migrations.
const STRUCTURE: &str = "\
atomic = False
operations = [
    migrations.AddField('order', 'paid', models.BooleanField(default=False)),
    migrations.RunSQL('ALTER TABLE shop_order ADD CONSTRAINT positive CHECK (total >= 0) NOT VALID'),
    migrations.RunSQL('ALTER TABLE shop_order VALIDATE CONSTRAINT positive'),
    AddIndexConcurrently('order', models.Index(fields=['total'], name='order_total')),
    migrations.AlterField('order', 'total', models.BigIntegerField(default=0)),
    migrations.RunSQL(\"ALTER TABLE shop_order ADD COLUMN code varchar(20) DEFAULT 'x' NOT NULL\"),
    migrations.RemoveField('order', 'note'),
]
";

fn site(body: &str) -> Site {
    let site = Site::any().with_orders(50);
    site.migration("0002_cut", Some("0001_initial"), body);
    site
}

/// The statements that Django sends, one by one.
fn statements(site: &Site) -> Vec<String> {
    let output = site.manage(&["sqlmigrate", "shop", "0002"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("--") && !line.trim().is_empty());
    lines.map(|line| line.trim_end_matches(';').to_owned()).collect()
}

#[test]
fn what_is_done_is_passed_over_wherever_it_was_cut() {
    let first = site(STRUCTURE);
    let all = statements(&first);
    assert!(all.len() >= 8, "{all:#?}");
    first.run(&[]).expect(0, &["Applying shop.0002_cut... OK"]);
    let expect = first.client().value(SCHEMA);
    for cut in 1..=all.len() {
        let site = site(STRUCTURE);
        let client = site.client();
        for statement in all.iter().take(cut) {
            client.sql(statement);
        }
        let run = site.run(&[]);
        // A statement that leaves no trace of its own is sent again.
        run.expect(0, &["an earlier run of shop.0002_cut was cut off after", "Applying shop.0002_cut... OK"]);
        assert_eq!(client.value(SCHEMA), expect, "after {cut} of {}: {run:?}", all.len());
        let skipped = run.report["statements"].as_array().unwrap().iter().filter(|one| one["outcome"] == "skipped");
        assert!((cut.saturating_sub(1)..=cut).contains(&skipped.count()), "after {cut}: {run:?}");
        site.assert_no_trace();
    }
}

#[test]
fn python_and_rows_are_never_done_twice() {
    let site = site(
        "atomic = False\n\
         operations = [\n\
         \x20   migrations.RunSQL('ALTER TABLE shop_order ADD COLUMN gross int'),\n\
         \x20   migrations.RunSQL('UPDATE shop_order SET total = total * 2'),\n\
         \x20   migrations.RunSQL('CREATE INDEX CONCURRENTLY order_gross ON shop_order (gross)'),\n]",
    );
    let client = site.client();
    let total = "SELECT sum(total) FROM shop_order";
    let before = client.value(total);
    client.sql("ALTER TABLE shop_order ADD COLUMN gross int");
    let run = site.run(&[]);
    run.expect(
        1,
        &[
            "shop.0002_cut: an earlier run of it was cut off between its statements",
            "Done:\n    ALTER TABLE shop_order ADD COLUMN gross int\n  Left:\n    UPDATE shop_order",
            "nobody can tell whether `UPDATE shop_order SET total = total * 2` has run",
            "migrate --fake",
        ],
    );
    assert_eq!(client.value(total), before, "{run:?}");
    // With the index there, the UPDATE in front of it has run.
    client.sql("CREATE INDEX order_gross ON shop_order (gross)");
    site.run(&[]).expect(1, &["Left: nothing", "changes rows, and has probably run"]);
    assert_eq!(client.value(total), before);
    // As the message says.
    let python = site.django.python().display().to_string();
    site.run_command(&[], &[&python, "manage.py", "migrate", "--fake", "shop", "0002"]).expect(0, &["FAKED"]);

    site.migration(
        "0003_python",
        Some("0002_cut"),
        "atomic = False\n\
         operations = [\n\
         \x20   run(lambda apps, editor: open('ran', 'a').write('once')),\n\
         \x20   migrations.AddField('order', 'due', models.DateField(null=True)),\n\
         \x20   run(lambda apps, editor: open('late', 'a').write('once')),\n\
         \x20   migrations.RunSQL('ALTER TABLE shop_order ADD COLUMN late int'),\n]",
    );
    client.sql("ALTER TABLE shop_order ADD COLUMN due date NULL");
    let run = site.run(&[]);
    run.expect(
        1,
        &["operation 1 runs Python, and has probably run", "Left:\n    ALTER TABLE shop_order ADD COLUMN late int"],
    );
    assert!(!site.path().join("ran").exists() && !site.path().join("late").exists(), "{run:?}");
    site.assert_no_trace();
}

#[test]
fn a_thing_of_that_name_that_is_another_is_told() {
    let site = site(STRUCTURE);
    let client = site.client();
    client.sql("ALTER TABLE shop_order ADD COLUMN paid text");
    let run = site.run(&[]);
    run.expect(1, &["the column `paid` of `shop_order` is `text`, where the migration makes `boolean"]);
    // What may run again needs nobody's judgement.
    site.migration(
        "0002_cut",
        Some("0001_initial"),
        "atomic = False\n\
         operations = [\n\
         \x20   migrations.RunSQL('ALTER TABLE shop_order ADD COLUMN IF NOT EXISTS paid boolean'),\n\
         \x20   migrations.RunSQL('UPDATE shop_order SET total = 5'),\n]",
    );
    site.run(&[]).expect(0, &["Applying shop.0002_cut... OK"]);
    assert_eq!(client.value("SELECT count(*) FROM shop_order WHERE total = 5"), "50");
    site.assert_no_trace();
}

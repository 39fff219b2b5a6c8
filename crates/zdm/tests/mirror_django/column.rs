//! A plain column through mirror, swap and the reverse of both.

use std::fs;
use std::io::Write as _;

use crate::project::{Project, Worker};
use zdm_testkit::{Database, Django, Server, majors_for};

const MODELS: &str = r#"
import os

from django.db import models

Size = models.IntegerField if os.environ["RELEASE"] == "old" else models.BigIntegerField


class Order(models.Model):
    number = models.CharField(max_length=20)
    size = Size(default=7, db_index=True, help_text="it's the size")
    note = models.CharField(max_length=50, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["-size", "number"], name="order_size_number"),
            models.Index(fields=["note"], condition=models.Q(size__gt=100), name="order_big"),
        ]
        constraints = [
            models.CheckConstraint(CHECK=models.Q(size__gte=-1000), name="order_size_low"),
            models.UniqueConstraint(fields=["number", "size"], name="order_once"),
        ]
"#;

/// All of CRUD in a loop, until standard input ends. A line per round; errors are told and counted.
const WORKER: &str = r#"
import os, random, sys, threading, traceback
import django
django.setup()
from django.db import connection, transaction
from django.db.models import F, Sum
from shop.models import Order

release = os.environ["RELEASE"]
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
errors = rounds = 0
while not stop.is_set():
    try:
        base = random.randrange(1, 10**6)
        tag = f"{release}{rounds}"
        order = Order.objects.create(number=tag, size=base)
        assert Order.objects.get(pk=order.pk).size == base
        stale = Order.objects.get(pk=order.pk)
        Order.objects.filter(pk=order.pk).update(size=F("size") + 1)
        assert Order.objects.values_list("size", flat=True).get(pk=order.pk) == base + 1
        stale.note = "stale"
        stale.save()
        assert Order.objects.get(pk=order.pk).size == base
        stale.size = base + 5
        stale.save(update_fields=["size"])
        assert Order.objects.get(pk=order.pk).size == base + 5
        many = Order.objects.bulk_create([Order(number=f"{tag}-{i}", size=base + i) for i in range(3)] + [Order(number=f"{tag}-d")])
        for one in many:
            one.size += 10
        Order.objects.bulk_update(many, ["size"])
        assert Order.objects.filter(number__startswith=f"{tag}-").aggregate(s=Sum("size"))["s"] == base * 3 + 3 + 7 + 40
        Order.objects.update_or_create(number=f"{tag}-0", defaults={"size": base + 99})
        Order.objects.get_or_create(number=f"{tag}-x", defaults={"size": base})
        if django.VERSION >= (4, 1):
            again = Order(pk=many[1].pk, number=f"{tag}-1", size=base + 77)
            Order.objects.bulk_create([again], update_conflicts=True, unique_fields=["id"], update_fields=["size"])
            assert Order.objects.get(pk=many[1].pk).size == base + 77
        assert Order.objects.filter(size=base + 99, number=f"{tag}-0").exists()
        list(Order.objects.order_by("-size")[:5])
        with transaction.atomic():
            Order.objects.select_for_update().get(pk=order.pk).delete()
        Order.objects.filter(number__startswith=f"{tag}-", size__gte=base + 50).delete()
        rounds += 1
    except Exception as error:
        errors += 1
        print("error", release, repr(error), traceback.format_exc().replace("\n", " | "), flush=True)
        connection.close()
    print("round", rounds, flush=True)
print("end", rounds, errors, flush=True)
"#;

fn project(django: Django, database: Database) -> Project {
    Project::new(django, database, &[("shop", MODELS)], WORKER)
}

const WHAT: [&str; 8] = ["--model", "shop.Order", "--source", "size", "--target", "size_bigint", "--type", "bigint"];

fn with<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["mirror", command], &WHAT[..], more].concat()
}

/// Columns, indexes and constraints as the server describes them.
fn catalog(project: &Project) -> String {
    project.database.connect().value(
        "SELECT string_agg(line, E'\\n' ORDER BY line) FROM ( \
         SELECT attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull AS line FROM pg_attribute \
           WHERE attrelid = 'shop_order'::regclass AND attnum > 0 AND NOT attisdropped \
         UNION ALL SELECT indexdef FROM pg_indexes WHERE tablename = 'shop_order' \
         UNION ALL SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'shop_order'::regclass AND contype <> 'n' \
         UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'shop_order'::regclass AND NOT tgisinternal) AS lines",
    )
}

fn through_the_whole_change(django: Django, major: u32, drop_old: bool) {
    let project = project(django, Server::shared(major).database());
    let client = project.database.connect();
    project.manage("old", &["makemigrations", "shop", "-n", "initial"]);
    project.manage("old", &["migrate"]);
    client.sql("INSERT INTO shop_order (number, size, note) SELECT 'n' || i, i, '' FROM generate_series(1, 500) AS i");
    let before = catalog(&project);
    let (old, new) = (Worker::start(&project, "old"), Worker::start(&project, "new"));
    let works = |phase: &str| {
        old.works(phase);
        new.works(phase);
    };
    works("before");

    project.zdm(&with("migration", &[]), 0);
    assert_eq!(project.migrations().len(), 2);
    project.zdm(&with("migration", &[]), 1);
    project.manage("old", &["migrate"]);
    works("mirror");
    project.manage("old", &["migrate", "shop", "0001"]);
    assert_eq!(catalog(&project), before, "the reverse leaves nothing");
    works("the mirror's reverse");
    project.manage("old", &["migrate"]);
    works("mirror again");
    project.zdm(&with("check", &[]), 1);
    project.zdm(&["backfill", "run", "--table", "shop_order", "--set", "size_bigint = size"], 0);
    let check = project.zdm(&with("check", &[]), 0);
    assert!(check.contains("installed as declared") && check.contains(" 0 of "), "{check}");
    works("backfill");

    let mirrored = catalog(&project);
    let more: &[&str] = if drop_old { &["--drop-old"] } else { &[] };
    let text = project.zdm(&with("swap", more), 0);
    assert!(
        text.contains("size = models.BigIntegerField(db_index=True, default=7, help_text=\"it's the size\")"),
        "{text}"
    );
    let names: Vec<String> =
        project.migrations().iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let expected =
        ["0003_index", "0004_constrain", "0005_validate", "0006_swap"].map(|name| format!("{name}_order_size_bigint"));
    assert_eq!(names[2..], expected);
    assert_eq!(project.findings(), Vec::<String>::new(), "the linter knows these migrations");
    let changes = project.manage("new", &["makemigrations", "--check", "--dry-run"]);
    assert!(changes.contains("No changes"), "{changes}");
    project.manage("new", &["migrate", "shop", "0005"]);
    works("prepared");
    project.manage("new", &["migrate"]);
    works("swapped");
    // The table looks as if Django had altered the field, but for what is kept.
    let swapped: Vec<String> = catalog(&project)
        .lines()
        .filter(|line| !line.contains("size_old") && !line.contains("_old_"))
        .map(str::to_owned)
        .collect();
    let mut expected: Vec<String> =
        before.lines().map(|line| line.replace("size integer true", "size bigint true")).collect();
    expected.sort();
    let mut sorted = swapped.clone();
    sorted.sort();
    assert_eq!(sorted, expected);
    client.sql("INSERT INTO shop_order (number, size, note) VALUES ('huge', 3000000000, '')");

    // A value that does not fit keeps the reverse from happening, and is not lost.
    let refused = project.try_manage("new", &["migrate", "shop", "0005"]);
    assert!(
        !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("out of range"),
        "{refused:?}"
    );
    assert_eq!(client.value("SELECT size FROM shop_order WHERE number = 'huge'"), "3000000000");
    works("the reverse was refused");
    client.sql("UPDATE shop_order SET size = 3 WHERE number = 'huge'; INSERT INTO shop_order (number, size, note) VALUES ('late', 4, '')");
    project.manage("new", &["migrate", "shop", "0002"]);
    assert_eq!(catalog(&project), mirrored, "trigger, names and types are as before the swap");
    assert_eq!(
        client
            .value("SELECT string_agg(size::text, ',' ORDER BY size) FROM shop_order WHERE number IN ('huge', 'late')"),
        "3,4"
    );
    let check = project.zdm(&with("check", &[]), 0);
    assert!(check.contains(" 0 of "), "{check}");
    works("the swap's reverse");
    project.manage("new", &["migrate"]);
    works("swapped again");
    old.end();
    new.end();
}

#[test]
fn two_releases_through_mirror_swap_and_back() {
    let majors = majors_for("mirror");
    let djangos = Django::available_for("mirror", &["4.2", "5.2", "6.0"]);
    // Every major and every release, each pair that matters once.
    let mut pairs: Vec<(Django, u32)> = Vec::new();
    for (index, major) in majors.iter().enumerate() {
        let django = &djangos[index % djangos.len()];
        let django = if django.supports(*major) { django } else { &djangos[0] };
        pairs.push((django.clone(), *major));
    }
    for (index, (django, major)) in pairs.into_iter().enumerate() {
        through_the_whole_change(django, major, index % 2 == 1);
    }
}

#[test]
fn a_shadow_that_is_a_field_is_not_swapped() {
    let django = Django::available_for("mirror", &["5.2"]).remove(0);
    let project = project(django, Server::newest().database());
    project.manage("old", &["makemigrations", "shop", "-n", "initial"]);
    let text = project.zdm(&with("migration", &["--as-field"]), 0);
    assert!(text.contains("warning: as a field of the model"), "{text}");
    project.manage("old", &["migrate"]);
    assert_eq!(project.findings(), Vec::<String>::new());
    let text = project.zdm(&with("swap", &[]), 1);
    assert!(text.contains("still the field `size_bigint` of `shop.Order`") && text.contains("first release"), "{text}");
    let mut file = fs::File::create(project.path().join("shop/migrations/0003_forget.py")).unwrap();
    file.write_all(
        b"from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n    dependencies = [('shop', '0002_mirror_order_size_bigint')]\n\n\
          \x20   operations = [\n        migrations.SeparateDatabaseAndState(\n            state_operations=[migrations.RemoveField('order', 'size_bigint')],\n        ),\n    ]\n",
    )
    .unwrap();
    let text = project.zdm(&with("swap", &[]), 0);
    assert!(text.contains("until shop.0003_forget: the release with that migration must run everywhere"), "{text}");
    project.manage("new", &["migrate"]);
}

//! A primary key with everything that references it: a foreign key of another app, one to itself, a one-to-one field that is
//! a primary key in turn, a many-to-many table, one without a constraint, one that is wide already.

use std::fs;

use crate::project::{Project, Worker};
use zdm_testkit::{Database, Django, Server, majors_for};

const PEOPLE: &str = r#"
import os

from django.db import models

Key = models.AutoField if os.environ["RELEASE"] == "old" else models.BigAutoField


class Person(models.Model):
    id = Key(primary_key=True)
    name = models.CharField(max_length=40)
    mentor = models.ForeignKey("self", models.SET_NULL, null=True, related_name="pupils")


class Passport(models.Model):
    person = models.OneToOneField(Person, models.CASCADE, primary_key=True)
    number = models.CharField(max_length=40, unique=True)


class Stamp(models.Model):
    id = models.BigAutoField(primary_key=True)
    passport = models.ForeignKey(Passport, models.CASCADE)
    country = models.CharField(max_length=40)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["passport", "country"], name="stamp_once")]
"#;

const CLUBS: &str = r#"
from django.db import models


class Club(models.Model):
    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=40)
    founder = models.ForeignKey("people.Person", models.PROTECT, related_name="founded")
    guest = models.ForeignKey("people.Person", models.DO_NOTHING, null=True, db_constraint=False, related_name="+")
    members = models.ManyToManyField("people.Person", related_name="clubs")

    class Meta:
        indexes = [models.Index(fields=["founder", "name"], name="club_founder_name")]
"#;

const WORKER: &str = r#"
import os, random, sys, threading, traceback
import django
django.setup()
from django.db import connection, transaction
from people.models import Person, Passport, Stamp
from clubs.models import Club

release = os.environ["RELEASE"]
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
errors = rounds = 0
while not stop.is_set():
    try:
        tag = f"{release}{os.getpid()}-{rounds}"
        old = Person.objects.create(name=tag)
        young = Person.objects.create(name=tag + "y", mentor=old)
        some = Person.objects.bulk_create([Person(name=f"{tag}-{i}", mentor=young) for i in range(3)])
        with transaction.atomic():
            passport = Passport.objects.create(person=young, number=tag)
            Stamp.objects.bulk_create([Stamp(passport=passport, country=c) for c in "abc"])
        club = Club.objects.create(name=tag, founder=old, guest=young)
        club.members.set(some)
        club.members.add(young)
        club.members.remove(some[0])
        assert club.members.count() == 3
        assert Person.objects.filter(clubs=club, mentor__founded__isnull=True).count() == 2
        assert Stamp.objects.filter(passport__person__mentor=old).count() == 3
        stale = Club.objects.get(pk=club.pk)
        Club.objects.filter(pk=club.pk).update(founder=young)
        stale.name = tag + "s"
        stale.save()
        assert Club.objects.select_related("founder").get(pk=club.pk).founder == old
        assert Club.objects.get(pk=club.pk).guest == young
        club.founder = young
        club.save(update_fields=["founder"])
        Person.objects.filter(pk__in=[one.pk for one in some]).update(mentor=old)
        some[1].mentor = None
        Person.objects.bulk_update(some[1:2], ["mentor"])
        Person.objects.get_or_create(name=tag, defaults={"mentor": young})
        assert old.pupils.count() == 3
        again, made = Passport.objects.update_or_create(person=young, defaults={"number": tag + "n"})
        assert not made and again.stamp_set.count() == 3
        list(Person.objects.order_by("-id").prefetch_related("clubs", "pupils")[:5])
        club.delete()
        with transaction.atomic():
            Person.objects.select_for_update().get(pk=old.pk)
            old.delete()
        assert Person.objects.get(pk=young.pk).mentor is None
        Person.objects.filter(name__startswith=tag).delete()
        assert not Stamp.objects.filter(passport_id=young.pk).exists()
        rounds += 1
    except Exception as error:
        errors += 1
        print("error", release, repr(error), traceback.format_exc().replace("\n", " | "), flush=True)
        connection.close()
    print("round", rounds, flush=True)
print("end", rounds, errors, flush=True)
"#;

const WHAT: [&str; 8] = ["--model", "people.Person", "--source", "id", "--target", "id_bigint", "--type", "bigint"];

const TABLES: &str = "'people_person', 'people_passport', 'people_stamp', 'clubs_club', 'clubs_club_members'";

fn with<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["mirror", command], &WHAT[..], more].concat()
}

/// Everything about the tables as the server describes it.
fn catalog(project: &Project) -> String {
    project.database.connect().value(&format!(
        "WITH t AS (SELECT oid, relname FROM pg_class WHERE relname IN ({TABLES})) \
         SELECT string_agg(line, E'\\n' ORDER BY line) FROM ( \
         SELECT relname || '.' || attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull || ' ' || attidentity::text \
           || coalesce(' ' || pg_get_expr(adbin, adrelid), '') AS line FROM t JOIN pg_attribute AS a ON attrelid = t.oid \
           LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attnum > 0 AND NOT attisdropped \
         UNION ALL SELECT indexdef FROM pg_indexes WHERE tablename IN ({TABLES}) \
         UNION ALL SELECT relname || ' ' || conname || ' ' || pg_get_constraintdef(c.oid) || convalidated FROM t JOIN pg_constraint AS c ON conrelid = t.oid WHERE contype <> 'n' \
         UNION ALL SELECT seqrelid::regclass || ' ' || seqtypid::regtype FROM pg_sequence WHERE seqrelid::regclass::text ~ '^(people|clubs)_' \
         UNION ALL SELECT pg_get_triggerdef(g.oid) FROM t JOIN pg_trigger AS g ON tgrelid = t.oid WHERE NOT tgisinternal) AS lines",
    ))
}

fn project(django: Django, database: Database) -> Project {
    Project::new(django, database, &[("people", PEOPLE), ("clubs", CLUBS)], WORKER)
}

fn through_the_whole_change(django: Django, major: u32, drop_old: bool) {
    let naive = project(django.clone(), Server::shared(major).database());
    naive.manage("old", &["makemigrations", "people", "clubs", "-n", "initial"]);
    naive.manage("old", &["migrate"]);
    naive.manage("new", &["makemigrations", "people"]);
    naive.manage("new", &["migrate"]);

    let project = project(django, Server::shared(major).database());
    project.manage("old", &["makemigrations", "people", "clubs", "-n", "initial"]);
    project.manage("old", &["migrate"]);
    let client = project.database.connect();
    client.sql(
        "INSERT INTO people_person (name, mentor_id) SELECT 'n' || i, NULLIF(i / 2, 0) FROM generate_series(1, 300) AS i; \
         INSERT INTO people_passport (person_id, number) SELECT id, 'n' || id FROM people_person WHERE id % 2 = 0; \
         INSERT INTO people_stamp (passport_id, country) SELECT person_id, 'x' FROM people_passport; \
         INSERT INTO clubs_club (name, founder_id, guest_id) SELECT 'n' || id, id, 7 FROM people_person WHERE id % 3 = 0; \
         INSERT INTO clubs_club_members (club_id, person_id) SELECT c.id, p.id FROM clubs_club AS c JOIN people_person AS p ON p.id % 10 = 0",
    );
    let before = catalog(&project);
    let (old, new) = (Worker::start(&project, "old"), Worker::start(&project, "new"));
    let works = |phase: &str| {
        old.works(phase);
        new.works(phase);
    };
    works("before");

    // Without the mirrors of what references it, nothing is swapped.
    project.zdm(&with("migration", &["--references"]), 0);
    assert_eq!(project.findings(), Vec::<String>::new(), "the linter knows the mirrors");
    project.migrate("old", &[]);
    works("mirror");
    let text = project.zdm(&with("swap", &[]), 1);
    for column in [
        "`mentor_id` of `people_person`",
        "`person_id` of `people_passport`",
        "`founder_id` of `clubs_club`",
        "`guest_id` of `clubs_club` (a foreign key of the models)",
        "`person_id` of `clubs_club_members`",
    ] {
        assert!(text.contains(column), "{column}: {text}");
    }
    project.zdm(&with("check", &["--references"]), 1);
    for (table, sets) in [
        ("people_person", &["id_bigint = id", "mentor_id_bigint = mentor_id"][..]),
        ("people_passport", &["person_id_bigint = person_id"]),
        ("people_stamp", &["passport_id_bigint = passport_id"]),
        ("clubs_club", &["founder_id_bigint = founder_id", "guest_id_bigint = guest_id"]),
        ("clubs_club_members", &["person_id_bigint = person_id"]),
    ] {
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        let arguments: Vec<&str> = ["backfill", "run", "--table", table].into_iter().chain(sets).collect();
        project.zdm(&arguments, 0);
    }
    let check = project.zdm(&with("check", &["--references"]), 0);
    assert_eq!(check.matches("installed as declared").count(), 5, "{check}");
    works("backfill");

    let mirrored = catalog(&project);
    let more: &[&str] = if drop_old { &["--references", "--drop-old"] } else { &["--references"] };
    let text = project.zdm(&with("swap", more), 0);
    assert!(text.contains("id = models.BigAutoField(primary_key=True"), "{text}");
    assert_eq!(project.findings(), Vec::<String>::new(), "the linter knows these migrations");
    let changes = project.manage("new", &["makemigrations", "--check", "--dry-run"]);
    assert!(changes.contains("No changes"), "{changes}");
    let names = project.migrations();
    let swap = names.last().unwrap().file_stem().unwrap().to_str().unwrap().to_owned();
    let prepared = names[names.len() - 2].file_stem().unwrap().to_str().unwrap().to_owned();
    assert!(swap.contains("swap") && prepared.contains("validate"), "{names:?}");
    project.migrate("new", &["people", &prepared]);
    works("prepared");
    project.migrate("new", &[]);
    works("swapped");
    let swapped: Vec<String> =
        catalog(&project).lines().filter(|line| !line.contains("_old")).map(str::to_owned).collect();
    // Django makes the keys anew, under a shorter name; ours keep theirs.
    let shortened =
        |text: &str| text.replace("_fk_people_person_id", "_fk").replace("_fk_people_passport_person_id", "_fk");
    let sorted = |lines: Vec<String>| -> Vec<String> {
        let mut lines: Vec<String> = lines.iter().map(|line| shortened(line)).collect();
        lines.sort();
        lines
    };
    let expected = sorted(catalog(&naive).lines().map(str::to_owned).collect());
    assert_eq!(sorted(swapped), expected, "as if Django had altered the field");
    let large: i64 =
        client.value("INSERT INTO people_person (id, name) VALUES (3000000000, 'large') RETURNING id").parse().unwrap();
    client.sql(&format!("INSERT INTO clubs_club (name, founder_id) VALUES ('large', {large})"));
    works("a key beyond integer");
    // What does not fit keeps the reverse from happening.
    let refused = project.try_migrate("new", &["people", &prepared]);
    assert!(
        !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("out of range"),
        "{refused:?}"
    );
    works("the reverse was refused");
    client.sql("DELETE FROM clubs_club WHERE name = 'large'; DELETE FROM people_person WHERE name = 'large'");
    client.sql("INSERT INTO people_person (name, mentor_id) VALUES ('late', 1)");
    let first = names.iter().position(|name| name.to_str().unwrap().contains("index")).unwrap();
    let mirror = names[first - 1].file_stem().unwrap().to_str().unwrap().to_owned();
    project.migrate("new", &["people", &mirror]);
    assert_eq!(catalog(&project), mirrored, "trigger, names and types are as before the swap");
    let check = project.zdm(&with("check", &["--references", "--no-values"]), 0);
    assert_eq!(check.matches("installed as declared").count(), 5, "{check}");
    works("the swap's reverse");
    if drop_old {
        // From the very beginning again, with both releases at work.
        project.migrate("new", &["clubs", "0001"]);
        project.migrate("new", &["people", "0001"]);
        assert_eq!(catalog(&project), before, "nothing is left");
        works("the mirrors' reverse");
    } else {
        project.migrate("new", &[]);
        works("swapped again");
    }
    old.end();
    new.end();
}

#[test]
fn a_primary_key_with_all_that_references_it() {
    let majors = majors_for("mirror");
    let djangos = Django::available_for("mirror", &["4.2", "5.2", "6.0"]);
    for (index, major) in majors.iter().enumerate() {
        let django = &djangos[index % djangos.len()];
        let django = if django.supports(*major) { django } else { &djangos[0] };
        through_the_whole_change(django.clone(), *major, index % 2 == 1);
    }
}

/// On a new database all migrations run in one go, whatever other apps do afterwards.
#[test]
fn mirrors_of_the_configuration_are_swapped_together() {
    let django = Django::available_for("mirror", &["5.2"]).remove(0);
    let project = project(django, Server::newest().database());
    project.manage("old", &["makemigrations", "people", "clubs", "-n", "initial"]);
    let config = fs::read_to_string(project.path().join("zdm.toml")).unwrap();
    let entry = |model: &str, source: &str| {
        format!(
            "\n[[mirror]]\nmodel = \"{model}\"\nsource = \"{source}\"\ntarget = \"{source}_wide\"\ntype = \"bigint\"\n"
        )
    };
    let first = entry("people.Person", "id") + &entry("people.Person", "mentor_id");
    fs::write(project.path().join("zdm.toml"), format!("{config}{first}")).unwrap();
    let refused = project.zdm(&["mirror", "swap"], 1);
    assert!(refused.contains("--references") && refused.contains("`person_id` of `people_passport`"), "{refused}");
    let rest = [
        ("people.Passport", "person"),
        ("people.Stamp", "passport"),
        ("clubs.Club", "founder"),
        ("clubs.Club", "guest"),
    ];
    let rest: String = rest.iter().map(|(model, source)| entry(model, source)).collect();
    let members = entry("people.Person", "id")
        .replace("model = \"people.Person\"", "table = \"clubs_club_members\"")
        .replace("\"id", "\"person_id");
    fs::write(project.path().join("zdm.toml"), format!("{config}{first}{rest}{members}")).unwrap();
    let refused = project.zdm(&["mirror", "swap"], 1);
    assert!(refused.contains("no migration makes the shadow"), "{refused}");
    project.zdm(&["mirror", "migration"], 0);
    project.zdm(&["mirror", "swap", "--model", "people.Person"], 0);
    let follow = fs::read_dir(project.path().join("clubs/migrations"))
        .unwrap()
        .any(|entry| entry.unwrap().file_name().to_str().unwrap().contains("follow_swap"));
    assert!(follow, "what clubs does next meets the new columns");
    assert_eq!(project.findings(), Vec::<String>::new());
    project.manage("new", &["migrate"]);
    project.zdm(&["mirror", "swap"], 1);
    let kinds = project.database.connect().value(
        "SELECT string_agg(DISTINCT format_type(atttypid, -1), ',') FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid AND relkind = 'r' WHERE attname IN ('founder_id', 'person_id', 'mentor_id')",
    );
    assert_eq!(kinds, "bigint");
}

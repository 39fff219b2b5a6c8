//! Random sequences of writers, compared with an oracle by value.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::thread;

use crate::common::{compare, install, request};
use zdm_mirror::Request;
use zdm_testkit::{Random, Server, majors_for};

fn drawn(random: &mut Random) -> Option<i64> {
    match random.below(6) {
        0 => None,
        1 => Some(i64::from(i32::MAX)),
        n => Some(i64::try_from(n * 7 + random.below(5)).unwrap()),
    }
}

fn literal(value: Option<i64>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |value| value.to_string())
}

/// What the rows must be: (source, shadow) by id. A second implementation of the contract, without SQL.
#[derive(Default)]
struct Oracle {
    rows: BTreeMap<usize, (Option<i64>, Option<i64>)>,
    both_ways: bool,
}

impl Oracle {
    fn insert(&mut self, id: usize, source: Option<i64>, target: Option<i64>) {
        let source = if self.both_ways && source.is_none() { target } else { source };
        self.rows.insert(id, (source, source));
    }

    #[expect(clippy::option_option, reason = "not written, or written with a value that may be NULL")]
    fn update(&mut self, id: usize, source: Option<Option<i64>>, target: Option<Option<i64>>) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        let (old_source, old_target) = *row;
        let (mut new_source, new_target) = (source.unwrap_or(old_source), target.unwrap_or(old_target));
        if self.both_ways && new_source == old_source && new_target != old_target {
            new_source = new_target;
        }
        *row = (new_source, new_source);
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (id, (source, target)) in &self.rows {
            let _ = write!(text, "{id}:{},{} ", literal(*source), literal(*target));
        }
        text
    }
}

fn sequence(major: u32, both_ways: bool, seed: u64) {
    let database = Server::shared(major).database();
    let client = database.connect();
    client.sql("CREATE TABLE t (id int PRIMARY KEY, src int, other int)");
    // Rows from before: not filled yet, so that they are first met by an update.
    client.sql("INSERT INTO t SELECT i, i FROM generate_series(1, 5) AS i");
    let mut oracle = Oracle { both_ways, ..Oracle::default() };
    for id in 1..=5 {
        oracle.rows.insert(id, (Some(i64::try_from(id).unwrap()), None));
    }
    install(&database, "t", &Request { both_ways, ..request("src", "dst", "bigint") });
    let mut random = Random::new(seed);
    let mut trail = Vec::new();
    for _ in 0..150 {
        let id = 1 + random.below(12);
        let (a, b) = (drawn(&mut random), drawn(&mut random));
        let exists = oracle.rows.contains_key(&id);
        let sql = match random.below(10) {
            0 if !exists => {
                oracle.insert(id, a, None);
                format!("INSERT INTO t (id, src) VALUES ({id}, {})", literal(a))
            }
            1 if !exists => {
                oracle.insert(id, None, b);
                format!("INSERT INTO t (id, dst) VALUES ({id}, {})", literal(b))
            }
            2 if !exists => {
                oracle.insert(id, a, b);
                format!("INSERT INTO t (id, src, dst) VALUES ({id}, {}, {})", literal(a), literal(b))
            }
            3 => {
                // The proposed row passes the trigger before it meets the one that is there.
                if exists {
                    oracle.update(id, Some(a), None);
                } else {
                    oracle.insert(id, a, None);
                }
                format!(
                    "INSERT INTO t (id, src) VALUES ({id}, {}) ON CONFLICT (id) DO UPDATE SET src = excluded.src",
                    literal(a)
                )
            }
            4 => {
                oracle.update(id, Some(a), None);
                format!("UPDATE t SET src = {} WHERE id = {id}", literal(a))
            }
            5 => {
                oracle.update(id, None, Some(b));
                format!("UPDATE t SET dst = {} WHERE id = {id}", literal(b))
            }
            6 => {
                oracle.update(id, Some(a), Some(b));
                format!("UPDATE t SET src = {}, dst = {} WHERE id = {id}", literal(a), literal(b))
            }
            7 => {
                oracle.update(id, None, None);
                format!("UPDATE t SET other = {} WHERE id = {id}", random.below(9))
            }
            8 => {
                let ids: Vec<usize> = oracle.rows.keys().copied().filter(|id| id % 3 == 0).collect();
                for id in ids {
                    oracle.update(id, Some(a), None);
                }
                format!("UPDATE t SET src = {} WHERE id % 3 = 0", literal(a))
            }
            9 if random.below(3) == 0 => {
                oracle.rows.remove(&id);
                format!("DELETE FROM t WHERE id = {id}")
            }
            _ => continue,
        };
        client.sql(&sql);
        trail.push(sql);
        let found = client.value(
            "SELECT coalesce(string_agg(id || ':' || coalesce(src::text, 'NULL') || ',' || coalesce(dst::text, 'NULL') || ' ', '' \
             ORDER BY id), '') FROM t",
        );
        assert_eq!(found, oracle.text(), "seed {seed}, both ways {both_ways}: {trail:#?}");
    }
}

#[test]
fn sequences_agree_with_the_oracle() {
    for major in majors_for("mirror") {
        for seed in 1..=4 {
            sequence(major, false, seed * 7919);
            sequence(major, true, seed * 104_729);
        }
    }
}

/// Two pairs in one trigger: each statement writes any of the four columns, through any way in.
fn two_pairs(major: u32, both_ways: bool, seed: u64) {
    let database = Server::shared(major).database();
    let client = database.connect();
    client.sql("CREATE TABLE t (id int PRIMARY KEY, a int, b int, other int)");
    let mut wanted = Request { both_ways, ..request("a", "a2", "bigint") };
    wanted.pairs.append(&mut request("b", "b2", "numeric").pairs);
    install(&database, "t", &wanted);
    let columns = [("a", "a2"), ("b", "b2")];
    let mut oracles = [0, 1].map(|_| Oracle { both_ways, ..Oracle::default() });
    let mut random = Random::new(seed);
    let mut trail = Vec::new();
    for _ in 0..120 {
        let id = 1 + random.below(10);
        let exists = oracles[0].rows.contains_key(&id);
        let way = random.below(5);
        let mut named = Vec::new();
        for ((source, target), oracle) in columns.iter().zip(&mut oracles) {
            let written = [random.below(2) == 0, random.below(3) == 0].map(|is| is.then(|| drawn(&mut random)));
            let [value, shadow] = written;
            named.extend(value.map(|value| (*source, literal(value))));
            named.extend(shadow.map(|value| (*target, literal(value))));
            match (way, exists) {
                (0..=2, false) => oracle.insert(id, value.flatten(), shadow.flatten()),
                (0, true) => {}
                // The proposed row passes the trigger before it meets the one that is there.
                (1, true) => {
                    let proposed = if both_ways { value.flatten().or(shadow.flatten()) } else { value.flatten() };
                    oracle.update(id, Some(proposed), Some(proposed));
                }
                (4, true) => {
                    oracle.rows.remove(&id);
                }
                (_, true) => oracle.update(id, value, shadow),
                (_, false) => {}
            }
        }
        let names: String = named.iter().fold(String::new(), |text, (name, _)| format!("{text}, {name}"));
        let values: String = named.iter().fold(String::new(), |text, (_, value)| format!("{text}, {value}"));
        let sets: String = named.iter().fold(String::new(), |text, (name, value)| format!("{text}, {name} = {value}"));
        let sql = match way {
            0 => format!("INSERT INTO t (id{names}) VALUES ({id}{values}) ON CONFLICT DO NOTHING"),
            1 => format!(
                "INSERT INTO t (id{names}) VALUES ({id}{values}) ON CONFLICT (id) DO UPDATE SET \
                 (a, a2, b, b2) = (excluded.a, excluded.a2, excluded.b, excluded.b2)"
            ),
            2 if !exists => {
                let data: String = named.iter().fold(id.to_string(), |text, (_, value)| {
                    format!("{text}\\t{}", if value == "NULL" { "\\\\N" } else { value })
                });
                format!("COPY t (id{names}) FROM PROGRAM $$printf '{data}\\n'$$")
            }
            4 => format!("DELETE FROM t WHERE id = {id}"),
            _ => format!("UPDATE t SET other = {id}{sets} WHERE id = {id}"),
        };
        client.sql(&sql);
        trail.push(sql);
        for ((source, target), oracle) in columns.iter().zip(&oracles) {
            let found = client.value(&format!(
                "SELECT coalesce(string_agg(id || ':' || coalesce({source}::text, 'NULL') || ',' || coalesce({target}::text, 'NULL') || ' ', '' ORDER BY id), '') FROM t"
            ));
            assert_eq!(
                found,
                oracle.text(),
                "PostgreSQL {major}, both ways {both_ways}, seed {seed}, {source}: {trail:#?}"
            );
        }
    }
}

#[test]
fn two_pairs_agree_with_the_oracle() {
    for major in majors_for("mirror") {
        for seed in 1..=2 {
            two_pairs(major, false, seed * 6_700_417);
            two_pairs(major, true, seed * 2_147_483_647);
        }
    }
}

#[test]
fn several_writers_at_once() {
    for (major, both_ways) in majors_for("mirror").into_iter().flat_map(|major| [(major, false), (major, true)]) {
        let database = Server::shared(major).database();
        let client = database.connect();
        client.sql("CREATE TABLE t (id int PRIMARY KEY, src int, other int); INSERT INTO t SELECT i, i FROM generate_series(1, 40) AS i");
        let request = Request { both_ways, ..request("src", "dst", "bigint") };
        // Installed while they write.
        thread::scope(|scope| {
            for worker in 1..=4_u64 {
                let client = database.connect();
                scope.spawn(move || {
                    let mut random = Random::new(worker * 31_337);
                    for _ in 0..400 {
                        let (id, value) = (1 + random.below(60), literal(drawn(&mut random)));
                        let sql = match random.below(4) {
                            0 => format!("UPDATE t SET src = {value} WHERE id = {id}"),
                            1 => format!("UPDATE t SET other = {value} WHERE id = {id}"),
                            2 => format!(
                                "INSERT INTO t (id, src) VALUES ({id}, {value}) ON CONFLICT (id) DO UPDATE SET src = excluded.src"
                            ),
                            _ => format!("DELETE FROM t WHERE id = {id}"),
                        };
                        client.sql(&sql);
                    }
                });
            }
            install(&database, "t", &request);
        });
        // Rows that nobody met since are the backfill's.
        client.sql("UPDATE t SET other = 1");
        let found = compare(&database, "t", &request);
        assert_eq!(found.differing, 0, "{found:?}");
        assert!(found.rows > 0);
    }
}

//! Random sequences of writers, compared with an oracle by value.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::thread;

use crate::common::{compare, install, request};
use zdm_mirror::Request;
use zdm_testkit::{Server, majors_for};

/// A small generator of numbers: the same seed gives the same sequence.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn value(&mut self) -> Option<i64> {
        match self.below(6) {
            0 => None,
            1 => Some(i64::from(i32::MAX)),
            n => Some(i64::try_from(n * 7 + self.below(5)).unwrap()),
        }
    }
}

fn literal(value: Option<i64>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |value| value.to_string())
}

/// What the rows must be: (source, shadow) by id. A second implementation of the contract, without SQL.
#[derive(Default)]
struct Oracle {
    rows: BTreeMap<u64, (Option<i64>, Option<i64>)>,
    both_ways: bool,
}

impl Oracle {
    fn insert(&mut self, id: u64, source: Option<i64>, target: Option<i64>) {
        let source = if self.both_ways && source.is_none() { target } else { source };
        self.rows.insert(id, (source, source));
    }

    #[expect(clippy::option_option, reason = "not written, or written with a value that may be NULL")]
    fn update(&mut self, id: u64, source: Option<Option<i64>>, target: Option<Option<i64>>) {
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
    let mut random = Random(seed);
    let mut trail = Vec::new();
    for _ in 0..150 {
        let id = 1 + random.below(12);
        let (a, b) = (random.value(), random.value());
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
                let ids: Vec<u64> = oracle.rows.keys().copied().filter(|id| id % 3 == 0).collect();
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

#[test]
fn several_writers_at_once() {
    for both_ways in [false, true] {
        let database = Server::newest().database();
        let client = database.connect();
        client.sql("CREATE TABLE t (id int PRIMARY KEY, src int, other int); INSERT INTO t SELECT i, i FROM generate_series(1, 40) AS i");
        let request = Request { both_ways, ..request("src", "dst", "bigint") };
        // Installed while they write.
        thread::scope(|scope| {
            for worker in 1..=4_u64 {
                let client = database.connect();
                scope.spawn(move || {
                    let mut random = Random(worker * 31_337);
                    for _ in 0..400 {
                        let (id, value) = (1 + random.below(60), literal(random.value()));
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

//! Statements of rich expressions on servers without any extension: what they accept, the model accepts.
//!
//! `expressions.sql` is a setup and then one statement a line; each meets the setup alone. Its last two parts are known to
//! be wrong: errors that the model does not tell, or in other words, because it does not decide the types of enums, of
//! ANY, of COALESCE and of values that are written to columns; and statements that it refuses though a server does them.

use std::collections::BTreeSet;
use std::thread;

use zdm_claims::predict::statements;
use zdm_postgres::{Catalog, PgVersion, Session, Statement};
use zdm_testkit::{Server, majors_for};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Difference {
    /// The server refuses it, and the model does not, or in other words.
    NotTold,
    /// The model refuses it, and the server does not.
    FalselyRefused,
}

#[test]
fn the_model_accepts_what_servers_accept() {
    let text = include_str!("../expressions.sql");
    let mut parts = text.split("\n-- ");
    let setup = parts.next().unwrap_or_default();
    let parts: Vec<Vec<&str>> =
        parts.map(|part| part.lines().skip(1).filter(|line| !line.is_empty()).collect()).collect();
    let [agreed, not_told, falsely_refused] = parts.as_slice() else { panic!("the file has four parts") };
    let all: Vec<&str> = [agreed.as_slice(), not_told, falsely_refused].concat();
    assert!(all.len() > 1_400, "only {} statements", all.len());
    let found: BTreeSet<(Difference, &str, String)> = thread::scope(|scope| {
        let all = &all;
        let workers: Vec<_> =
            majors_for("claims").into_iter().map(|major| scope.spawn(move || compare(major, setup, all))).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker does not panic")).collect()
    });
    let known = not_told.iter().map(|line| (Difference::NotTold, *line));
    let known: BTreeSet<_> =
        known.chain(falsely_refused.iter().map(|line| (Difference::FalselyRefused, *line))).collect();
    let differing: BTreeSet<_> = found.iter().map(|(difference, line, _)| (*difference, *line)).collect();
    let new: Vec<_> = found.iter().filter(|(difference, line, _)| !known.contains(&(*difference, *line))).collect();
    let gone: Vec<_> = known.difference(&differing).collect();
    assert!(new.is_empty(), "{} new differences\n{new:#?}", new.len());
    assert!(gone.is_empty(), "no longer wrong, to be moved to the first part:\n{gone:#?}");
}

fn compare<'l>(major: u32, setup: &str, lines: &[&'l str]) -> Vec<(Difference, &'l str, String)> {
    let database = Server::shared(major).database();
    let server = database.connect();
    server.sql("SET client_min_messages = warning");
    server.sql(setup);
    let version = PgVersion::major(u16::try_from(major).expect("a major version is small"));
    let mut model = Session::new(Catalog::new(), version);
    for statement in statements(setup) {
        let refusal = model.execute(&statement).error;
        assert!(refusal.is_none(), "on {major} the setup: {refusal:?}");
    }
    let mut differences = Vec::new();
    for line in lines {
        server.sql("BEGIN");
        let measured = server.try_sql(line).err().map(|error| (error.sqlstate, error.message));
        server.sql("ROLLBACK");
        let mut model = model.clone();
        model.execute(&Statement::BEGIN);
        let (mut predicted, mut may) = (None, false);
        for statement in statements(line) {
            let outcome = model.execute(&statement);
            let covers =
                |(sqlstate, _): &(String, String)| outcome.effects.may_fail.iter().any(|one| one.covers(sqlstate));
            may |= measured.as_ref().is_some_and(covers);
            if let Some(refusal) = outcome.error {
                predicted = Some((refusal.sqlstate.to_owned(), refusal.message));
                break;
            }
        }
        if predicted == measured || may {
            continue;
        }
        let difference = if measured.is_none() { Difference::FalselyRefused } else { Difference::NotTold };
        differences.push((difference, *line, format!("{major}: the model {predicted:?}, the server {measured:?}")));
    }
    differences
}

//! Minor versions: what differs between the servers of one major, as far as the effects go. No server is needed.
//!
//! Only one bug of a minor version matters to a migration. In 14.0 to 14.3 an index that is built or rebuilt CONCURRENTLY
//! may lack rows that change meanwhile: PostgreSQL 14.4 release notes, "Prevent possible corruption of indexes created or
//! rebuilt with the CONCURRENTLY option". It does not show in locks, scans or builds, so no measurement is compared; the
//! claim is that the effects say it of exactly those statements and versions, and that all else is the same.

use zdm_claims::predict::{PREAMBLE, predict, statements};
use zdm_claims::truth::entries;
use zdm_postgres::effects::{Outcome, UncertainEffect};
use zdm_postgres::{Catalog, PgVersion, Session};

fn version(text: &str) -> PgVersion {
    text.parse().expect("the version is written as one")
}

/// The outcome of the last statement.
fn last(texts: &[&str], version: PgVersion) -> Outcome {
    let mut session = Session::new(Catalog::new(), version);
    let outcomes: Vec<Outcome> =
        texts.iter().flat_map(|text| statements(text)).map(|statement| session.execute(&statement)).collect();
    outcomes.into_iter().next_back().expect("there is a statement")
}

#[test]
fn concurrent_builds_may_miss_rows_before_14_4() {
    const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, a int); CREATE INDEX i ON t (a)";
    let corrupting = [
        "CREATE INDEX CONCURRENTLY x ON t (a)",
        "CREATE UNIQUE INDEX CONCURRENTLY x ON t (a)",
        "REINDEX INDEX CONCURRENTLY i",
        "REINDEX TABLE CONCURRENTLY t",
    ];
    let harmless = [
        "CREATE INDEX x ON t (a)",
        "REINDEX INDEX i",
        "REINDEX TABLE t",
        "DROP INDEX CONCURRENTLY i",
        "ALTER TABLE t ADD UNIQUE (a)",
    ];
    for (list, expected) in [(corrupting.as_slice(), true), (harmless.as_slice(), false)] {
        for statement in list {
            for (name, affected) in [
                ("13", false),
                ("13.7", false),
                ("14.0", true),
                ("14.3", true),
                ("14.4", false),
                ("14", false),
                ("15", false),
            ] {
                let outcome = last(&[TABLE, statement], version(name));
                assert_eq!(outcome.error, None, "{statement} on {name}");
                let says = outcome.effects.uncertain.iter().any(|uncertain| {
                    uncertain.effect == UncertainEffect::MissingEntries && uncertain.condition.contains("14.4")
                });
                assert_eq!(says, expected && affected, "{statement} on {name}");
            }
        }
    }
}

#[test]
fn nothing_else_differs_between_minor_versions() {
    let (mut compared, mut marked) = (0, 0);
    for entry in entries() {
        let case = entry.case();
        let (old, new) = (predict(&case, version("14.3")), predict(&case, version("14.4")));
        assert_eq!(old.observed, new.observed, "{}", entry.id);
        assert_eq!(old.uncertain, new.uncertain, "{}", entry.id);
        compared += 1;
        let texts = [PREAMBLE, &entry.setup, &entry.session, &entry.pre, &entry.statement];
        if statements(&entry.statement).is_empty() {
            continue;
        }
        let missing = last(&texts, version("14.3"))
            .effects
            .uncertain
            .iter()
            .any(|uncertain| uncertain.effect == UncertainEffect::MissingEntries);
        marked += u32::from(missing);
    }
    assert!(compared > 400, "{compared} statements were compared");
    assert!(marked > 5, "{marked} statements build an index concurrently");
}

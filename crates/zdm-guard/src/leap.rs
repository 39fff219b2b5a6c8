//! Look before you leap: transactions that are older than `lock_timeout` and hold a lock that a pending migration needs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tokio_postgres::SimpleQueryMessage;
use zdm_conn::{Doing as _, Literal, Session};
use zdm_postgres::{LockMode, QualifiedName, quote_identifier};

use crate::error::Error;
use crate::record::Blocker;

/// A transaction in the way.
#[derive(Debug, Clone, PartialEq)]
pub struct InTheWay {
    pub blocker: Blocker,
    /// The relations that it locks, with the modes.
    pub holds: Vec<(String, &'static str)>,
}

/// Asks again and again; a transaction whose age the server does not tell us counts from when it was first seen.
#[derive(Debug, Default)]
pub(crate) struct Look {
    first_seen: BTreeMap<i32, Instant>,
}

impl Look {
    /// Transactions in the way of these locks, oldest first.
    pub(crate) async fn look(
        &mut self,
        session: &Session,
        needed: &BTreeMap<QualifiedName, LockMode>,
        older_than: Duration,
        show_queries: bool,
    ) -> Result<Vec<InTheWay>, Error> {
        if needed.is_empty() {
            return Ok(Vec::new());
        }
        // Names go in as one array, and come back with their number.
        let names: Vec<(&QualifiedName, LockMode)> = needed.iter().map(|(name, mode)| (name, *mode)).collect();
        let texts: Vec<String> = names
            .iter()
            .filter_map(|(name, _)| Literal::new(written(name)).ok().map(|name| name.to_string()))
            .collect();
        let query = if show_queries { "coalesce(a.query, '')" } else { "''" };
        let sql = format!(
            "SELECT l.pid, t.number, l.mode, coalesce(a.application_name, ''), coalesce(a.usename::text, ''), \
                    coalesce(a.state, ''), \
                    coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::text, ''), {query} \
             FROM pg_catalog.unnest(ARRAY[{}]::text[]) WITH ORDINALITY AS t(name, number) \
                  JOIN pg_catalog.pg_locks l ON l.relation = pg_catalog.to_regclass(t.name) AND l.granted \
                       AND l.locktype = 'relation' \
                       AND l.database = (SELECT oid FROM pg_catalog.pg_database \
                                         WHERE datname = pg_catalog.current_database()) \
                  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
             WHERE l.pid IS NOT NULL AND l.pid <> pg_catalog.pg_backend_pid()",
            texts.join(", ")
        );
        let now = Instant::now();
        let mut found: BTreeMap<i32, InTheWay> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let messages = session.client().simple_query(&sql).await.doing("looking for old transactions")?;
        for message in messages {
            let SimpleQueryMessage::Row(row) = message else { continue };
            let text = |at: usize| row.get(at).unwrap_or_default();
            let Ok(pid) = text(0).parse::<i32>() else { continue };
            let number = text(1).parse::<usize>().unwrap_or(0);
            let Some((name, needed)) = number.checked_sub(1).and_then(|at| names.get(at)) else { continue };
            let Some(held) = mode(text(2)).filter(|held| held.conflicts_with(*needed)) else { continue };
            seen.insert(pid);
            let since = *self.first_seen.entry(pid).or_insert(now);
            let told = text(6).parse::<f64>().ok().and_then(|age| Duration::try_from_secs_f64(age).ok());
            let age = told.unwrap_or_else(|| now.duration_since(since));
            if age < older_than {
                continue;
            }
            let entry = found.entry(pid).or_insert_with(|| InTheWay {
                blocker: Blocker {
                    pid,
                    application: text(3).to_owned(),
                    user: text(4).to_owned(),
                    state: text(5).to_owned(),
                    age: Some(age),
                    query: show_queries.then(|| text(7).to_owned()).filter(|query| !query.is_empty()),
                },
                holds: Vec::new(),
            });
            entry.holds.push((name.to_string(), held.as_str()));
        }
        self.first_seen.retain(|pid, _| seen.contains(pid));
        let mut found: Vec<InTheWay> = found.into_values().collect();
        found.sort_by_key(|one| (std::cmp::Reverse(one.blocker.age), one.blocker.pid));
        Ok(found)
    }
}

fn written(name: &QualifiedName) -> String {
    match &name.schema {
        Some(schema) => format!("{}.{}", quote_identifier(schema.as_str()), quote_identifier(name.name.as_str())),
        None => quote_identifier(name.name.as_str()),
    }
}

/// `pg_locks.mode`: `AccessShareLock`.
fn mode(text: &str) -> Option<LockMode> {
    let name = text.strip_suffix("Lock")?;
    LockMode::ALL.into_iter().find(|mode| mode.as_str().replace(' ', "").eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_of_pg_locks() {
        assert_eq!(mode("AccessShareLock"), Some(LockMode::AccessShare));
        assert_eq!(mode("ShareUpdateExclusiveLock"), Some(LockMode::ShareUpdateExclusive));
        assert_eq!(mode("SIReadLock"), None);
    }
}

//! The recorded measurements: `truth.json`, seven versions over tables of 20 to 30 thousand rows.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::observed::{Observed, Scope};
use crate::predict::{Case, Holds};

/// How a case is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Inside BEGIN.
    Tx,
    /// Autocommit, held back by other transactions and sampled while it waits.
    NoTx,
    /// Autocommit, sampled while it runs.
    Busy,
}

/// One case with what was measured.
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    pub id: String,
    pub mode: Mode,
    #[serde(default)]
    pub setup: String,
    /// SET before the case.
    #[serde(default)]
    pub session: String,
    /// Run earlier in the same transaction.
    #[serde(default)]
    pub pre: String,
    pub statement: String,
    /// Other open transactions.
    #[serde(default)]
    pub holds: Vec<Hold>,
    summary: BTreeMap<String, serde_json::Value>,
}

/// What another transaction did and keeps, until the statement waits for it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Hold {
    Statements(String),
    /// The isolation level, then statements.
    WithMode(Vec<String>),
}

impl Hold {
    /// BEGIN with its mode, and the statements.
    pub fn texts(&self) -> Vec<String> {
        match self {
            Self::Statements(text) => vec!["BEGIN".to_owned(), text.clone()],
            Self::WithMode(texts) => match texts.split_first() {
                Some((mode, rest)) => std::iter::once(format!("BEGIN {mode}")).chain(rest.iter().cloned()).collect(),
                None => vec!["BEGIN".to_owned()],
            },
        }
    }
}

/// What was measured on one version.
#[derive(Clone, Debug)]
pub struct Measured {
    pub observed: Observed,
    pub scope: Scope,
}

/// All recorded cases.
pub fn entries() -> Vec<Entry> {
    serde_json::from_str(include_str!("../truth.json")).expect("truth.json is a list of entries")
}

impl Entry {
    /// What is run.
    pub fn case(&self) -> Case<'_> {
        let Self { setup, session, pre, statement, mode, holds, .. } = self;
        Case { setup, session, pre, statement, mode: *mode, holds: Holds::These(holds) }
    }

    /// `None` where the case does not apply to the version.
    pub fn measured(&self, major: u16) -> Option<Measured> {
        let summary = self.summary.iter().find(|(range, _)| covers(range, major))?.1;
        if summary.get("n/a").is_some() {
            return None;
        }
        let names = |key: &str| -> BTreeSet<String> {
            summary
                .get(key)
                .and_then(|value| value.as_array())
                .into_iter()
                .flatten()
                .filter_map(|name| name.as_str())
                .map(plain_index_name)
                .collect()
        };
        let modes = |key: &str| -> BTreeMap<String, String> {
            summary
                .get(key)
                .and_then(|value| value.as_object())
                .into_iter()
                .flatten()
                .filter_map(|(name, mode)| Some((plain_index_name(name), mode.as_str()?.to_owned())))
                .collect()
        };
        let mut locks = modes("locks");
        locks.extend(modes("waited_locks"));
        let mut builds = names("index_build");
        builds.extend(names("index_rebuilt"));
        let error = summary.get("error").and_then(|error| error.as_str()).map(|error| {
            let (sqlstate, message) = error.split_once(' ').unwrap_or((error, ""));
            (sqlstate.to_owned(), message.to_owned())
        });
        let not_sampled = summary.get("locks_not_sampled").is_some();
        let transaction = self.mode == Mode::Tx;
        Some(Measured {
            observed: Observed {
                locks,
                rewrites: names("rewrite"),
                scans: names("scan"),
                builds,
                blocked: modes("blocked"),
                waited: BTreeSet::new(),
                catalog: BTreeSet::new(),
                error,
            },
            scope: Scope {
                all_locks: transaction,
                no_locks: not_sampled,
                scans: transaction,
                blocks: transaction || !not_sampled,
                last_blocks: true,
                all_blocks: self.mode != Mode::Busy,
                catalog: false,
            },
        })
    }
}

/// REINDEX CONCURRENTLY works on copies under other names.
fn plain_index_name(name: &str) -> String {
    name.strip_suffix("_ccnew").or_else(|| name.strip_suffix("_ccold")).unwrap_or(name).to_owned()
}

/// `12-18` or `15`.
pub fn covers(range: &str, major: u16) -> bool {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) => (first..=last).contains(&major),
        _ => false,
    }
}

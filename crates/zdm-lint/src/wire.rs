//! The JSON of effects, as the contract has it: the same everywhere.

use serde::Serialize;
use zdm_postgres::effects::{Blocks, Effects, UncertainEffect};
use zdm_postgres::{LockMode, QualifiedName};

#[derive(Debug, Default, Serialize)]
pub(crate) struct WireEffects {
    locks: Vec<WireLock>,
    rewrites: Vec<String>,
    scans: Vec<String>,
    index_builds: Vec<String>,
    blocks: Vec<WireBlocks>,
    /// Effects that depend on what is not known, with the condition.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    uncertain: Vec<WireUncertain>,
    /// Errors that only the rows decide.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    may_fail: Vec<WireMayFail>,
    /// Code that runs with the statement and is not read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unread: Vec<String>,
}

#[derive(Debug, Serialize)]
struct WireMayFail {
    sqlstate: &'static str,
    condition: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct WireLock {
    relation: String,
    mode: &'static str,
}

#[derive(Debug, Serialize)]
struct WireBlocks {
    relation: String,
    select: bool,
    insert: bool,
    update: bool,
    select_for_update: bool,
    /// Of sequences.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    nextval: bool,
}

#[derive(Debug, Serialize)]
struct WireUncertain {
    relation: String,
    effect: String,
    condition: String,
}

impl WireLock {
    pub(crate) fn new(relation: &QualifiedName, mode: LockMode) -> Self {
        Self { relation: relation.to_string(), mode: mode.as_str() }
    }

    pub(crate) fn relation(&self) -> &str {
        &self.relation
    }
}

impl From<&Effects> for WireEffects {
    fn from(effects: &Effects) -> Self {
        let names = |names: &std::collections::BTreeSet<QualifiedName>| {
            let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
            names.sort();
            names
        };
        let mut locks: Vec<_> = effects.locks.iter().map(|(relation, mode)| WireLock::new(relation, *mode)).collect();
        locks.sort_by(|left, right| left.relation.cmp(&right.relation));
        let mut blocks: Vec<_> = effects
            .blocks
            .iter()
            .filter(|(_, blocks)| !blocks.is_empty())
            .map(|(relation, blocks)| {
                let Blocks { select, insert, update, select_for_update, nextval } = *blocks;
                WireBlocks { relation: relation.to_string(), select, insert, update, select_for_update, nextval }
            })
            .collect();
        blocks.sort_by(|left, right| left.relation.cmp(&right.relation));
        Self {
            locks,
            rewrites: names(&effects.rewrites),
            scans: names(&effects.scans),
            index_builds: names(&effects.index_builds),
            blocks,
            uncertain: effects
                .uncertain
                .iter()
                .map(|uncertain| WireUncertain {
                    relation: uncertain.relation.to_string(),
                    effect: match uncertain.effect {
                        UncertainEffect::Rewrite => "rewrite".to_owned(),
                        UncertainEffect::Scan => "scan".to_owned(),
                        UncertainEffect::IndexBuild => "index build".to_owned(),
                        UncertainEffect::Lock(mode) => format!("lock {mode}"),
                        UncertainEffect::PassingLock(mode) => format!("passing lock {mode}"),
                        UncertainEffect::MissingEntries => "missing entries".to_owned(),
                        UncertainEffect::RowLocks => "row locks".to_owned(),
                    },
                    condition: uncertain.condition.clone(),
                })
                .collect(),
            may_fail: effects
                .may_fail
                .iter()
                .map(|may_fail| WireMayFail { sqlstate: may_fail.sqlstate, condition: may_fail.condition.clone() })
                .collect(),
            unread: effects.unread.iter().cloned().collect(),
        }
    }
}

/// The effects in a few words for people: `ACCESS EXCLUSIVE on shop_order; rewrites shop_order; blocks every query on …`.
pub(crate) fn in_words(effects: &Effects) -> String {
    let mut parts = Vec::new();
    let list = |names: &std::collections::BTreeSet<QualifiedName>| {
        names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let mut modes: Vec<LockMode> = effects.locks.values().copied().collect();
    modes.sort_unstable();
    modes.dedup();
    for mode in modes.into_iter().rev() {
        let relations: Vec<String> =
            effects.locks.iter().filter(|(_, held)| **held == mode).map(|(name, _)| name.to_string()).collect();
        parts.push(format!("{mode} on {}", relations.join(", ")));
    }
    for (word, names) in
        [("rewrites", &effects.rewrites), ("scans", &effects.scans), ("builds index", &effects.index_builds)]
    {
        if !names.is_empty() {
            parts.push(format!("{word} {}", list(names)));
        }
    }
    for (relation, blocks) in &effects.blocks {
        let blocked = zdm_linter::context::blocked_words(*blocks);
        if blocks.select {
            parts.push(format!("blocks every query on {relation}, SELECT included"));
        } else if !blocked.is_empty() {
            parts.push(format!("blocks {blocked} on {relation}"));
        }
    }
    for uncertain in &effects.uncertain {
        let relation = &uncertain.relation;
        let effect = match uncertain.effect {
            UncertainEffect::Rewrite => format!("rewrite {relation}"),
            UncertainEffect::Scan => format!("scan {relation}"),
            UncertainEffect::IndexBuild => format!("build index {relation}"),
            UncertainEffect::Lock(mode) => format!("take {mode} on {relation}"),
            UncertainEffect::PassingLock(mode) => {
                format!("take {mode} on {relation} for a moment, unless it is in use,")
            }
            UncertainEffect::MissingEntries => format!("leave entries out of {relation}"),
            UncertainEffect::RowLocks => format!("lock rows of {relation}"),
        };
        parts.push(format!("may {effect} if {}", uncertain.condition));
    }
    for unread in &effects.unread {
        parts.push(format!("may do more, because this is not read: {unread}"));
    }
    if parts.is_empty() { "no lock on a relation".to_owned() } else { parts.join("; ") }
}

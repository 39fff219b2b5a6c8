//! When each migration may run in a deploy, from what the rules found and from what it depends on.
//!
//! A migration's own phase comes from its findings. Migrations of one release run in the order of their dependencies, so
//! one that stands behind another that has to wait, waits with it: [`Waiting`] is the only place where that is decided,
//! for the report and for the gate of a guarded run.

use std::collections::BTreeMap;
use std::sync::Arc;

use zdm_django::migration::DependencyTarget;
use zdm_django::{Migration, MigrationKey};
use zdm_source::{Diagnostic, Phase, Severity};

use crate::config::Config;
use crate::declared;
use crate::registry::find_rule;

/// A migration's deploy phase with the findings that put it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationPhase {
    pub key: MigrationKey,
    pub path: String,
    pub phase: Phase,
    /// `ZDM201: dropping …`, in the order of the file; then what it stands behind.
    pub reasons: Vec<String>,
}

/// Which migrations of a release wait, and until when. They are told in the order of their dependencies.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    phases: BTreeMap<MigrationKey, Phase>,
}

impl Waiting {
    /// The dependency that waits the longest, with the phase that it waits for.
    pub fn behind<'p>(&self, parents: &'p [MigrationKey]) -> Option<(&'p MigrationKey, Phase)> {
        let waiting = parents.iter().filter_map(|parent| Some((parent, *self.phases.get(parent)?)));
        // Of several equal ones the first.
        waiting.fold(None, |longest, next| match longest {
            Some((_, phase)) if phase >= next.1 => longest,
            _ => Some(next),
        })
    }

    /// The migration waits: for its own phase, or for that of what it stands behind.
    pub fn add(&mut self, key: &MigrationKey, own: Phase, parents: &[MigrationKey]) -> Phase {
        let phase = self.behind(parents).map_or(own, |(_, phase)| phase.max(own));
        self.phases.insert(key.clone(), phase);
        phase
    }
}

/// Until when a migration of that phase waits: `after the deploy`.
pub const fn until(phase: Phase) -> &'static str {
    match phase {
        Phase::Before => "before the deploy",
        Phase::After => "after the deploy",
        Phase::Window => "in a moment that a person chooses",
    }
}

/// The phases of the reported migrations, in the order of execution. Suppressed findings and mere information do not count.
///
/// Where the release is known, a migration waits with what it depends on. Otherwise each one is a release of its own, and
/// the reasons say what must have run in an earlier one.
pub fn phases(order: &[Arc<Migration>], config: &Config, diagnostics: &[Diagnostic]) -> Vec<MigrationPhase> {
    let parents = parents(order);
    let mut waiting = Waiting::default();
    let mut result = own_phases(order, config, diagnostics);
    for entry in &mut result {
        let parents = parents.get(&entry.key).map_or(&[][..], Vec::as_slice);
        let together = config.together.as_ref().is_some_and(|together| together.contains(&entry.key));
        if let Some((parent, phase)) = waiting.behind(parents) {
            if together && phase > entry.phase {
                entry.phase = phase;
                entry.reasons.push(format!("it depends on {parent}, which may only run {}", until(phase)));
            } else if entry.phase == Phase::Before {
                entry.reasons.push(format!("once {parent} has run, which may only run {}", until(phase)));
            }
        }
        if entry.phase > Phase::Before {
            let parents = if together { parents } else { &[] };
            waiting.add(&entry.key, entry.phase, parents);
        }
    }
    result
}

/// As [`phases`], each migration by itself.
pub fn own_phases(order: &[Arc<Migration>], config: &Config, diagnostics: &[Diagnostic]) -> Vec<MigrationPhase> {
    let mut by_migration: BTreeMap<(&str, &str), Vec<&Diagnostic>> = BTreeMap::new();
    for diagnostic in diagnostics {
        if let (Some(app), Some(name)) = (&diagnostic.subject.app, &diagnostic.subject.migration) {
            by_migration.entry((app, name)).or_default().push(diagnostic);
        }
    }
    let reported = order.iter().filter(|migration| config.reports(&migration.key));
    reported
        .map(|migration| {
            let key = &migration.key;
            let found = by_migration.get(&(&*key.app, &*key.name)).map_or(&[][..], Vec::as_slice);
            let counting = found.iter().filter_map(|found| Some((found, phase_for(found)?)));
            let mut phase = counting.clone().map(|(_, phase)| phase).max().unwrap_or(Phase::Before);
            let mut reasons: Vec<String> =
                counting.map(|(found, _)| format!("{}: {}", found.code.code, found.message)).collect();
            // Whoever writes a migration may know more of its rows than the rules do; less strict than the findings it is
            // not.
            for (attribute, text, _) in &migration.declared_phases {
                if let Some(declared) = declared::phase(text).filter(|declared| *declared > phase) {
                    phase = declared;
                    reasons.push(format!("`{attribute}` says so"));
                }
            }
            MigrationPhase { key: key.clone(), path: migration.file.path().to_owned(), phase, reasons }
        })
        .collect()
}

/// The phase of one migration, from its findings.
pub(crate) fn phase_of<'a>(found: impl IntoIterator<Item = &'a Diagnostic>) -> (Phase, Option<&'a Diagnostic>) {
    let mut phase = (Phase::Before, None);
    for diagnostic in found {
        if let Some(of_rule) = phase_for(diagnostic).filter(|of_rule| *of_rule > phase.0) {
            phase = (of_rule, Some(diagnostic));
        }
    }
    phase
}

/// What a finding demands.
fn phase_for(diagnostic: &Diagnostic) -> Option<Phase> {
    let counts = diagnostic.suppressed.is_none() && diagnostic.severity >= Severity::Warning;
    find_rule(diagnostic.code.code).filter(|_| counts).and_then(|rule| rule.page.phase)
}

/// What each migration stands behind: its dependencies, and what says `run_before` of it.
pub(crate) fn parents(order: &[Arc<Migration>]) -> BTreeMap<MigrationKey, Vec<MigrationKey>> {
    let mut replaced: BTreeMap<&MigrationKey, &MigrationKey> = BTreeMap::new();
    let mut first: BTreeMap<&str, &MigrationKey> = BTreeMap::new();
    let mut latest: BTreeMap<&str, &MigrationKey> = BTreeMap::new();
    let mut parents: BTreeMap<MigrationKey, Vec<MigrationKey>> = BTreeMap::new();
    for migration in order {
        parents.insert(migration.key.clone(), Vec::new());
        first.entry(&migration.key.app).or_insert(&migration.key);
        latest.insert(&migration.key.app, &migration.key);
        replaced.extend(migration.replaces.iter().map(|old| (old, &migration.key)));
    }
    let resolve = |target: &DependencyTarget| match target {
        DependencyTarget::Migration(key) => Some(replaced.get(key).map_or_else(|| key.clone(), |key| (*key).clone())),
        DependencyTarget::First(app) => first.get(&**app).map(|key| (*key).clone()),
        DependencyTarget::Latest(app) => latest.get(&**app).map(|key| (*key).clone()),
        DependencyTarget::Swappable(_) | DependencyTarget::Unknown(_) => None,
    };
    for migration in order {
        let own = migration.dependencies.iter().filter_map(|dependency| resolve(&dependency.target));
        if let Some(known) = parents.get_mut(&migration.key) {
            known.extend(own);
        }
        for later in migration.run_before.iter().filter_map(|dependency| resolve(&dependency.target)) {
            if let Some(known) = parents.get_mut(&later) {
                known.push(migration.key.clone());
            }
        }
    }
    parents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_a_waiting_migration_waits_with_it() {
        let key = |name: &str| MigrationKey::new("shop", name);
        let mut waiting = Waiting::default();
        assert_eq!(waiting.behind(&[key("0001")]), None);
        assert_eq!(waiting.add(&key("0002"), Phase::After, &[key("0001")]), Phase::After);
        assert_eq!(waiting.add(&key("0003"), Phase::Window, &[key("0002")]), Phase::Window);
        assert_eq!(waiting.add(&key("0004"), Phase::Before, &[key("0002")]), Phase::After);
        assert_eq!(waiting.behind(&[key("0002"), key("0003"), key("0004")]), Some((&key("0003"), Phase::Window)));
        assert_eq!(waiting.behind(&[key("0004"), key("0002")]), Some((&key("0004"), Phase::After)));
    }
}

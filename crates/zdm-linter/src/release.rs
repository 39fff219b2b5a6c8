//! Migrations that are released together: the same old code runs while each of them is applied.
//!
//! Without knowledge of releases the old code of a migration is taken to be the state right before it, as if every
//! migration had a release of its own. Where the set is known (what a branch adds to its merge-base, what is pending on a
//! database), the old code is the state without any of them: it knows no field that an earlier one adds, it still uses
//! one that an earlier one removes from the state, and nobody uses a table that an earlier one has made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zdm_django::{MigrationKey, ProjectState};
use zdm_postgres::QualifiedName;
use zdm_replay::{MigrationTrace, Trace};

use crate::context::{all_steps, fresh_relations};

/// What is known of the release that the migrations of a set belong to.
#[derive(Clone, Debug)]
pub struct Release {
    /// The models of the code that runs until the release is rolled out.
    pub(crate) running: ProjectState,
    /// By migration of the set: the relations that earlier ones have made.
    made: BTreeMap<MigrationKey, Arc<BTreeSet<QualifiedName>>>,
}

impl Release {
    /// Of a set of migrations; `traces` are those of the whole history, in the order of execution.
    pub fn new<'t>(traces: impl IntoIterator<Item = &'t MigrationTrace>, together: &BTreeSet<MigrationKey>) -> Self {
        let mut running = None;
        let mut made = BTreeMap::new();
        let mut so_far = Arc::<BTreeSet<QualifiedName>>::default();
        for migration in traces {
            let key = &migration.migration.key;
            if together.contains(key) {
                running.get_or_insert_with(|| migration.state_before.clone());
                made.insert(key.clone(), Arc::clone(&so_far));
                if let Some(last) = fresh_relations(&all_steps(migration), &so_far).pop() {
                    so_far = last;
                }
            } else if let Some(state) = &mut running {
                for operation in &migration.migration.operations {
                    // What cannot be applied is reported where the migration itself is judged.
                    drop(state.apply(&key.app, operation));
                }
            }
        }
        Self { running: running.unwrap_or_default(), made }
    }

    /// Whether both say the same of a migration.
    pub fn is_same_for(&self, other: &Self, key: &MigrationKey) -> bool {
        self.made.get(key) == other.made.get(key) && (!self.contains(key) || self.running.is_same(&other.running))
    }

    /// Whether the migration is one of the set.
    pub fn contains(&self, key: &MigrationKey) -> bool {
        self.made.contains_key(key)
    }

    /// The relations that earlier migrations of the release have made.
    pub(crate) fn made_before(&self, key: &MigrationKey) -> Arc<BTreeSet<QualifiedName>> {
        self.made.get(key).map(Arc::clone).unwrap_or_default()
    }
}

/// What the initial migrations in front of an initial migration of the same app have made: Django writes several where
/// models of different apps point at each other, and all of them run on a database that has none of the app's tables.
pub(crate) fn made_by_initial(trace: &Trace, migration: &MigrationTrace) -> Arc<BTreeSet<QualifiedName>> {
    let mut made = Arc::default();
    if migration.migration.initial != Some(true) {
        return made;
    }
    let key = &migration.migration.key;
    let earlier = trace.migrations.iter().take_while(|other| other.migration.key != *key);
    for earlier in earlier.filter(|other| other.migration.key.app == key.app) {
        if earlier.migration.initial != Some(true) {
            return Arc::default();
        }
        if let Some(last) = fresh_relations(&all_steps(earlier), &made).pop() {
            made = last;
        }
    }
    made
}

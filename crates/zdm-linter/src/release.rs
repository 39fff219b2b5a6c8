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
use zdm_replay::MigrationTrace;

use crate::context::{all_steps, fresh_relations};

/// What is known of the release that the migrations of a set belong to.
#[derive(Clone, Debug, Default)]
pub struct Release {
    /// The models of the code that runs until the release is rolled out; none before the first migration of the set.
    running: Option<ProjectState>,
    /// By migration of the set: the relations that earlier ones have made.
    made: BTreeMap<MigrationKey, Made>,
    /// What those that were met have made.
    so_far: Made,
}

impl Release {
    /// Of a set of migrations; `traces` are those of the whole history, in the order of execution.
    pub fn new<'t>(traces: impl IntoIterator<Item = &'t MigrationTrace>, together: &BTreeSet<MigrationKey>) -> Self {
        let mut release = Self::default();
        for migration in traces {
            release.follow(migration, together);
        }
        release
    }

    /// The next migration of the history.
    pub(crate) fn follow(&mut self, migration: &MigrationTrace, together: &BTreeSet<MigrationKey>) {
        let key = &migration.migration.key;
        if together.contains(key) {
            self.running.get_or_insert_with(|| migration.state_before.clone());
            self.made.insert(key.clone(), Arc::clone(&self.so_far));
            self.so_far = with_what_it_makes(migration, &self.so_far);
        } else if let Some(state) = &mut self.running {
            for operation in &migration.migration.operations {
                // What cannot be applied is reported where the migration itself is judged.
                drop(state.apply(&key.app, operation));
            }
        }
    }

    /// The models of the code that runs while a migration of the set is applied; none for others.
    pub(crate) fn running(&self, key: &MigrationKey) -> Option<&ProjectState> {
        self.running.as_ref().filter(|_| self.contains(key))
    }

    /// Whether both say the same of a migration.
    pub fn is_same_for(&self, other: &Self, key: &MigrationKey) -> bool {
        self.made.get(key) == other.made.get(key)
            && match (self.running(key), other.running(key)) {
                (Some(one), Some(other)) => one.is_same(other),
                (one, other) => one.is_none() && other.is_none(),
            }
    }

    /// Whether the migration is one of the set.
    pub fn contains(&self, key: &MigrationKey) -> bool {
        self.made.contains_key(key)
    }

    /// The relations that earlier migrations of the release have made.
    pub(crate) fn made_before(&self, key: &MigrationKey) -> Made {
        self.made.get(key).map(Arc::clone).unwrap_or_default()
    }
}

/// What the initial migrations of each app have made so far: Django writes several where models of different apps point at
/// each other, and all of them run on a database that has none of the app's tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Initial(BTreeMap<Arc<str>, Option<Made>>);

/// Relations that are as good as new to a migration, because earlier ones that run with it have made them.
pub type Made = Arc<BTreeSet<QualifiedName>>;

impl Initial {
    /// The next migration of the history: what those in front of it have made, if it is an initial one like them.
    pub(crate) fn follow(&mut self, migration: &MigrationTrace) -> Made {
        let key = &migration.migration.key;
        if migration.migration.initial != Some(true) {
            self.0.insert(Arc::clone(&key.app), None);
            return Made::default();
        }
        let Some(made) = self.0.entry(Arc::clone(&key.app)).or_insert_with(|| Some(Made::default())) else {
            return Made::default();
        };
        let before = Arc::clone(made);
        *made = with_what_it_makes(migration, &before);
        before
    }
}

/// The relations that were made before, those that a migration makes, and those that operations of it may make which are not
/// analysed.
fn with_what_it_makes(migration: &MigrationTrace, before: &Made) -> Made {
    let mut made = fresh_relations(&all_steps(migration), before).pop().unwrap_or_default();
    if migration.operations.iter().any(|trace| !trace.not_analysed.is_empty()) {
        let tables = migration.catalog_after.tables().filter(|table| table.assumed);
        let new = tables.filter(|table| migration.catalog_before.table(&table.name).is_none());
        Arc::make_mut(&mut made).extend(new.map(|table| table.name.clone()));
    }
    made
}

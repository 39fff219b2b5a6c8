//! A replay that follows edits: only what an edit can have changed is replayed again.
//!
//! Between every two migrations the worlds are kept. A migration that was edited is replayed from the worlds before it
//! ([`History::refresh`]); then the change spreads to later migrations one by one ([`History::settle`]), until the worlds
//! are the same as before the edit. The spreading can be left at any migration and taken up later, and an edit in between
//! takes its place in it. Once settled, the history equals [`replay`](crate::replay()) of the same migrations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zdm_django::Migration;

use crate::replay::{Options, Replayer};
use crate::trace::{MigrationTrace, Trace};

/// The migrations of a project with their traces, as far as they are replayed.
#[derive(Clone, Debug)]
pub struct History {
    start: Arc<Replayer>,
    entries: Vec<Entry>,
    /// The migrations whose worlds before are not known to be those that the migration before leaves.
    open: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
struct Entry {
    migration: Arc<Migration>,
    done: Option<Done>,
}

#[derive(Clone, Debug)]
struct Done {
    before: Arc<Replayer>,
    after: Arc<Replayer>,
    trace: Arc<MigrationTrace>,
}

/// What one step of settling did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The migration's index.
    pub index: usize,
    /// It was replayed; otherwise the worlds before it are as they were.
    pub replayed: bool,
}

impl History {
    /// Nothing is replayed yet. `migrations` stand in the order of execution.
    pub fn new(migrations: Vec<Arc<Migration>>, options: &Options) -> Self {
        let open = (0..migrations.len()).collect();
        let entries = migrations.into_iter().map(|migration| Entry { migration, done: None }).collect();
        Self { start: Arc::new(Replayer::new(options)), entries, open }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn migration(&self, index: usize) -> Option<&Arc<Migration>> {
        self.entries.get(index).map(|entry| &entry.migration)
    }

    /// The trace of a migration, as it was when it was last replayed.
    pub fn trace(&self, index: usize) -> Option<&Arc<MigrationTrace>> {
        self.entries.get(index)?.done.as_ref().map(|done| &done.trace)
    }

    /// Whether every migration is replayed on the worlds that the one before it leaves.
    pub fn is_settled(&self) -> bool {
        self.open.is_empty()
    }

    /// Puts another version of a migration in its place.
    pub fn replace(&mut self, index: usize, migration: Arc<Migration>) {
        let Some(entry) = self.entries.get_mut(index) else { return };
        // The old trace stays until the new one is made, so that its worlds can be gone on from.
        entry.migration = migration;
        self.open.insert(index);
    }

    /// Puts another sequence of migrations in place of this one. Those that are the same object keep their trace.
    pub fn rearrange(&mut self, migrations: Vec<Arc<Migration>>) {
        let mut old: BTreeMap<*const Migration, (usize, Done)> = BTreeMap::new();
        for (index, entry) in std::mem::take(&mut self.entries).into_iter().enumerate() {
            if let Some(done) = entry.done
                && !self.open.contains(&index)
            {
                old.insert(Arc::as_ptr(&entry.migration), (index, done));
            }
        }
        self.open.clear();
        let mut previous: Option<usize> = None;
        for (index, migration) in migrations.into_iter().enumerate() {
            let known = old.remove(&Arc::as_ptr(&migration));
            let place = known.as_ref().map(|(place, _)| *place);
            // It follows the same migration as before.
            let follows = match (place, previous) {
                (Some(0), None) => index == 0,
                (Some(place), Some(previous)) => place == previous + 1,
                _ => false,
            };
            if !follows {
                self.open.insert(index);
            }
            previous = place;
            self.entries.push(Entry { migration, done: known.map(|(_, done)| done) });
        }
    }

    /// Replays one migration on the worlds that are known before it, so that its trace shows its newest version. Where
    /// nothing is known before it, what comes before is replayed first.
    pub fn refresh(&mut self, index: usize) {
        if index >= self.entries.len() {
            return;
        }
        let from = (0..index).rev().find(|before| self.entries[*before].done.is_some()).map_or(0, |known| known + 1);
        for place in from..=index {
            if self.open.contains(&place) {
                self.settle_at(place);
            }
        }
    }

    /// One step towards a settled history, at its earliest open place; none where everything is settled.
    pub fn settle(&mut self) -> Option<Settled> {
        let index = *self.open.first()?;
        Some(self.settle_at(index))
    }

    /// The whole trace; traces that are missing or old are among them until the history is settled.
    pub fn to_trace(&self, options: &Options) -> Trace {
        let migrations =
            self.entries.iter().filter_map(|entry| entry.done.as_ref().map(|done| MigrationTrace::clone(&done.trace)));
        Trace { options: options.clone(), migrations: migrations.collect() }
    }

    fn before(&self, index: usize) -> Arc<Replayer> {
        let previous = index.checked_sub(1).and_then(|previous| self.entries.get(previous)?.done.as_ref());
        Arc::clone(previous.map_or(&self.start, |done| &done.after))
    }

    fn settle_at(&mut self, index: usize) -> Settled {
        self.open.remove(&index);
        let before = self.before(index);
        let entry = &mut self.entries[index];
        if let Some(done) = &mut entry.done
            && Arc::ptr_eq(&done.trace.migration, &entry.migration)
            && (Arc::ptr_eq(&done.before, &before) || done.before.meets(&before))
        {
            // The next comparison is one of pointers.
            done.before = before;
            return Settled { index, replayed: false };
        }
        let mut replayer = Replayer::clone(&before);
        let trace = Arc::new(replayer.run(&entry.migration));
        entry.done = Some(Done { before, after: Arc::new(replayer), trace });
        if index + 1 < self.entries.len() {
            self.open.insert(index + 1);
        }
        Settled { index, replayed: true }
    }
}

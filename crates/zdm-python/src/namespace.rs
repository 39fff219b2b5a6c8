//! Names and what they are bound to, over the course of a block.

use std::cell::{Cell, OnceCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::text::{Origin, Str};
use crate::value::Value;

/// What a name is bound to.
#[derive(Clone, Debug)]
pub(crate) enum Slot {
    Value(Value),
    /// Imported names are resolved when they are used, so that a module can be read without all that it imports.
    Import(Rc<Imported>),
}

#[derive(Debug)]
pub(crate) struct Imported {
    pub(crate) module: Arc<str>,
    /// The name in the module; none if the module itself is meant.
    pub(crate) name: Option<Str>,
    pub(crate) origin: Origin,
    pub(crate) resolved: OnceCell<Value>,
    /// Whether the name is being resolved: a package that imports a name from itself.
    pub(crate) resolving: Cell<bool>,
}

impl Slot {
    pub(crate) fn import(module: Arc<str>, name: Option<Str>, origin: Origin) -> Self {
        Self::Import(Rc::new(Imported { module, name, origin, resolved: OnceCell::new(), resolving: Cell::new(false) }))
    }
}

/// The bindings of a block so far; all of them are kept, because what stands between two of them sees the first.
#[derive(Debug, Default)]
pub(crate) struct Namespace {
    entries: Vec<Entry>,
    /// The last entry of each name.
    latest: HashMap<Box<str>, usize>,
    /// Star imports from outside of the project; none for a module that was not read.
    stars: Vec<(u32, Option<Arc<str>>)>,
}

#[derive(Debug)]
struct Entry {
    name: Str,
    /// Offset of the statement that binds.
    at: u32,
    slot: Slot,
    previous: Option<usize>,
}

impl Namespace {
    pub(crate) fn bind(&mut self, name: Str, at: u32, slot: Slot) {
        let index = self.entries.len();
        let previous = match self.latest.get_mut(name.as_str()) {
            Some(latest) => Some(std::mem::replace(latest, index)),
            None => {
                self.latest.insert(name.as_str().into(), index);
                None
            }
        };
        self.entries.push(Entry { name, at, slot, previous });
    }

    pub(crate) fn bind_star(&mut self, at: u32, module: Option<Arc<str>>) {
        self.stars.push((at, module));
    }

    /// The last binding by a statement in front of the offset `before`.
    pub(crate) fn get(&self, name: &str, before: u32) -> Option<Slot> {
        let mut next = self.latest.get(name).copied();
        while let Some(entry) = next.and_then(|index| self.entries.get(index)) {
            if entry.at < before {
                return Some(entry.slot.clone());
            }
            next = entry.previous;
        }
        None
    }

    /// All names in the order of their first binding.
    pub(crate) fn names(&self) -> Vec<Str> {
        self.entries.iter().filter(|entry| entry.previous.is_none()).map(|entry| entry.name.clone()).collect()
    }

    /// The modules whose star imports stand in front of the offset `before`.
    pub(crate) fn stars(&self, before: u32) -> Vec<Option<Arc<str>>> {
        let mut found: Vec<Option<Arc<str>>> = Vec::new();
        for (_, module) in self.stars.iter().filter(|(at, _)| *at < before) {
            if !found.contains(module) {
                found.push(module.clone());
            }
        }
        found
    }

    /// A point to roll back to.
    pub(crate) fn mark(&self) -> usize {
        self.entries.len()
    }

    /// Undo what was bound since the mark, and tell what it was: each name once, with its last binding.
    pub(crate) fn rollback(&mut self, mark: usize) -> Vec<(Str, Slot)> {
        let undone = self.entries.split_off(mark.min(self.entries.len()));
        let mut changed = Vec::new();
        for (entry, index) in undone.iter().zip(mark..) {
            if self.latest.get(entry.name.as_str()) == Some(&index) {
                changed.push((entry.name.clone(), entry.slot.clone()));
            }
        }
        for entry in undone {
            match entry.previous {
                // The first undone entry of a name knows what was there before.
                Some(previous) if previous < mark => {
                    self.latest.insert(entry.name.as_str().into(), previous);
                }
                Some(_) => {}
                None => {
                    self.latest.remove(entry.name.as_str());
                }
            }
        }
        changed
    }
}

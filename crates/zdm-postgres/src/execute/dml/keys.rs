//! What changed rows ask of foreign keys and of what is deferred, when a statement or a transaction ends.

use std::collections::BTreeSet;

use super::Change;
use crate::catalog::{Constraint, ConstraintKind, ForeignKey};
use crate::effects::UncertainEffect;
use crate::execute::{Run, Step, refuse};
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{ConstraintAttributes, IndexKey};

impl Run {
    /// The foreign keys of the table whose rows were written.
    pub(super) fn check_keys_of(
        &mut self,
        name: &QualifiedName,
        change: Change,
        columns: Option<&[Ident]>,
        many: bool,
    ) {
        if self.is_replica() || self.table(name).key_triggers_off {
            return;
        }
        let table = self.table(name);
        for constraint in &table.constraints {
            let ConstraintKind::ForeignKey(key) = &constraint.kind else { continue };
            if !constraint.attributes.enforced {
                continue;
            }
            // `RI_FKey_fk_upd_check_required`: rows that this transaction has written are looked up whatever changes.
            let concerned = match change {
                Change::Insert | Change::Delete => true,
                Change::Update => {
                    key.columns.iter().any(|column| columns.is_none_or(|columns| columns.contains(column)))
                        || self.state.facts.written_anew.contains(name)
                }
            };
            if !concerned {
                continue;
            }
            if self.is_deferred(name, &constraint.name, constraint.attributes) {
                self.put_off(name, name, &constraint.name);
                continue;
            }
            // The check of a key that is NULL gives its lock back before it looks for anything.
            let left_null = |column: &Ident| columns.is_some_and(|columns| !columns.contains(column));
            let full = key.match_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("full"));
            let null = if full { key.columns.iter().all(left_null) } else { key.columns.iter().any(left_null) };
            if change == Change::Insert && null {
                continue;
            }
            self.plan(&key.table, LockMode::RowShare, false);
            self.maybe_read_partitions(
                &key.table,
                LockMode::RowShare,
                &format!("a row of {name} references one of it"),
            );
            self.lock_some_rows(&key.table, format!("rows of {name} reference them"));
            self.may_fail(name, "23503", format!("a row of {name} references none of {}", key.table));
            if many {
                self.maybe(&key.table, UncertainEffect::Scan, "as many keys are looked up");
            }
        }
    }

    /// The foreign keys that reference rows which were changed or deleted.
    pub(super) fn check_keys_to(&mut self, name: &QualifiedName, change: Change, columns: &[Ident]) {
        self.check_keys_through(name, change, columns, &mut BTreeSet::new());
    }

    /// An action changes rows that others may reference in turn; each key is followed once.
    fn check_keys_through(
        &mut self,
        name: &QualifiedName,
        change: Change,
        columns: &[Ident],
        followed: &mut BTreeSet<(QualifiedName, Ident)>,
    ) {
        if self.is_replica() || self.table(name).key_triggers_off {
            return;
        }
        for found in self.keys_into(name) {
            self.check_key_through(name, &found, change, columns, followed);
        }
        // Keys to one of its partitions.
        for partition in self.partitions(name) {
            for found in self.catalog().foreign_keys_to(&partition) {
                if !found.1.inherited {
                    self.if_a_row("rows of that partition are among them", |run| {
                        run.check_key_through(&partition, &found, change, columns, followed);
                    });
                }
            }
        }
    }

    fn check_key_through(
        &mut self,
        name: &QualifiedName,
        (referencing, constraint, key): &(QualifiedName, Constraint, ForeignKey),
        change: Change,
        columns: &[Ident],
        followed: &mut BTreeSet<(QualifiedName, Ident)>,
    ) {
        if !constraint.attributes.enforced {
            return;
        }
        if change == Change::Update && !key.references.iter().any(|column| columns.contains(column)) {
            return;
        }
        let action = match change {
            Change::Delete => key.on_delete.as_deref(),
            _ => key.on_update.as_deref(),
        };
        let action = action.unwrap_or("NO ACTION").to_ascii_uppercase();
        if action == "NO ACTION" && self.is_deferred(referencing, &constraint.name, constraint.attributes) {
            self.put_off(name, referencing, &constraint.name);
            return;
        }
        let mode = if matches!(action.as_str(), "NO ACTION" | "RESTRICT") {
            LockMode::RowShare
        } else {
            LockMode::RowExclusive
        };
        // The key's values leave partitions out.
        let prunes = self.partition_keys(referencing).iter().any(|column| key.columns.contains(column));
        self.plan(referencing, mode, !prunes);
        if prunes {
            self.maybe_read_partitions(referencing, mode, "rows of it may reference them");
        }
        let sqlstate = if action == "RESTRICT" && self.version.at_least(18) { "23001" } else { "23503" };
        self.may_fail(name, sqlstate, format!("a row of {referencing} references a row that goes"));
        self.lock_some_rows(referencing, format!("rows of {referencing} reference them"));
        let event = match action.as_str() {
            "NO ACTION" | "RESTRICT" => None,
            "CASCADE" if change == Change::Delete => Some("DELETE"),
            _ => Some("UPDATE"),
        };
        if let Some(event) = event {
            self.fire_triggers(referencing, event, &[]);
            if followed.insert((referencing.clone(), constraint.name.clone())) {
                let change = if event == "DELETE" { Change::Delete } else { Change::Update };
                self.if_a_row("rows are referenced", |run| {
                    run.check_keys_through(referencing, change, &key.columns, followed);
                    // A new value is looked up in turn.
                    if change == Change::Update && !action.starts_with("SET NULL") {
                        run.check_keys_of(referencing, change, Some(&key.columns), false);
                    }
                });
            }
        }
        let by_index = self.finds_by_index(referencing, key);
        for table in std::iter::once(referencing.clone()).chain(self.catalog().descendants(referencing)) {
            if !by_index && !prunes {
                self.scan(&table);
            } else if self.has_storage(&table) && !self.is_empty(&table) {
                self.maybe(&table, UncertainEffect::Scan, "as many rows reference those that go");
            }
        }
    }

    /// The check of the constraint waits for the end of the transaction. Events are those of the tables that hold the
    /// rows: which partition does is not known.
    pub(super) fn put_off(&mut self, table: &QualifiedName, owner: &QualifiedName, constraint: &Ident) {
        let stored = self.has_storage(table);
        let mut tables = self.catalog().descendants(table);
        tables.retain(|below| self.has_storage(below));
        if stored {
            tables.push(table.clone());
        }
        for below in tables {
            let certain = !self.perhaps && below == *table;
            *self.state.facts.pending.entry((below, (owner.clone(), constraint.clone()))).or_default() |= certain;
        }
    }

    /// Deferred keys and exclusion constraints are looked at again at the end where a row has met another one.
    pub(super) fn put_off_uniqueness(&mut self, name: &QualifiedName, columns: Option<&[Ident]>) {
        let table = self.table(name);
        let outer = std::mem::replace(&mut self.perhaps, true);
        for constraint in &table.constraints {
            let concerned = match &constraint.kind {
                ConstraintKind::PrimaryKey { columns: key, .. } | ConstraintKind::Unique { columns: key, .. } => {
                    columns.is_none_or(|columns| key.iter().any(|column| columns.contains(column)))
                }
                ConstraintKind::Exclude { elements, .. } => columns.is_none_or(|columns| {
                    elements.iter().any(|(element, _)| columns.iter().any(|column| element.key.uses(column)))
                }),
                _ => false,
            };
            if concerned && self.is_deferred(name, &constraint.name, constraint.attributes) {
                self.put_off(name, name, &constraint.name);
            }
        }
        self.perhaps = outer;
    }

    /// With `session_replication_role = replica` the triggers of foreign keys do not fire.
    fn is_replica(&self) -> bool {
        self.state.settings.get("session_replication_role").is_some_and(|role| role.eq_ignore_ascii_case("replica"))
    }

    fn finds_by_index(&self, referencing: &QualifiedName, key: &ForeignKey) -> bool {
        self.table(referencing).indexes.iter().any(|index| {
            index.predicate.is_none()
                && index.valid
                && index.elements.first().is_some_and(
                    |element| matches!(&element.key, IndexKey::Column(column) if key.columns.contains(column)),
                )
        })
    }

    pub(super) fn is_deferred(
        &self,
        table: &QualifiedName,
        constraint: &Ident,
        attributes: ConstraintAttributes,
    ) -> bool {
        if !attributes.deferrable && !attributes.initially_deferred {
            return false;
        }
        if let Some(deferred) = self.state.facts.deferred.get(&(table.clone(), constraint.clone())) {
            return *deferred;
        }
        self.state.facts.all_deferred.unwrap_or(attributes.initially_deferred)
    }

    pub(in crate::execute) fn set_constraints(&mut self, names: Option<&[QualifiedName]>, deferred: bool) -> Step {
        let Some(names) = names else {
            self.state.facts.all_deferred = Some(deferred);
            self.state.facts.deferred.clear();
            if !deferred {
                let pending = std::mem::take(&mut self.state.facts.pending);
                for (event, certain) in pending {
                    self.fire_event(&event, certain);
                }
            }
            return Ok(());
        };
        for written_name in names {
            let matching = self.constraints_named(written_name);
            if matching.is_empty() {
                if self.catalog().is_incomplete() || self.catalog().tables().any(|table| table.assumed) {
                    continue;
                }
                return refuse("42704", format!("constraint \"{}\" does not exist", written_name.name));
            }
            if deferred && matching.iter().any(|(_, deferrable)| !deferrable) {
                return refuse("42809", format!("constraint \"{}\" is not deferrable", written_name.name));
            }
            for (table, _) in matching {
                let key = (table, written_name.name.clone());
                self.state.facts.deferred.insert(key.clone(), deferred);
                if !deferred {
                    let events: Vec<_> =
                        self.state.facts.pending.keys().filter(|(_, constraint)| *constraint == key).cloned().collect();
                    for event in events {
                        let certain = self.state.facts.pending.remove(&event).unwrap_or(false);
                        self.fire_event(&event, certain);
                    }
                }
            }
        }
        Ok(())
    }

    /// The constraints of that name in the first schema of the path that has some, and whether they can be deferred.
    fn constraints_named(&self, written_name: &QualifiedName) -> Vec<(QualifiedName, bool)> {
        let schemas =
            crate::execute::candidates(self.catalog(), &self.state.settings, written_name).map(|name| name.schema);
        let deferrable = |attributes: ConstraintAttributes| attributes.deferrable || attributes.initially_deferred;
        for schema in schemas {
            let tables = self.catalog().tables_with_constraint(&written_name.name);
            let found: Vec<(QualifiedName, bool)> = tables
                .filter(|table| table.name.schema == schema)
                .flat_map(|table| {
                    let constraints = table.constraints.iter().filter(|known| known.name == written_name.name);
                    let part = table.part_key(written_name.name.as_str());
                    let of_part = part.and_then(|part| table.constraint(part.key.as_str()));
                    let constraints = constraints.chain(of_part);
                    let triggers =
                        table.triggers.iter().filter(|trigger| trigger.constraint.as_ref() == Some(&written_name.name));
                    let attributes =
                        constraints.map(|known| known.attributes).chain(triggers.map(|trigger| trigger.attributes));
                    attributes.map(|attributes| (table.name.clone(), deferrable(attributes))).collect::<Vec<_>>()
                })
                .collect();
            if !found.is_empty() {
                return found;
            }
        }
        Vec::new()
    }

    /// The check that was put off is made now.
    fn fire_event(&mut self, event: &(QualifiedName, (QualifiedName, Ident)), certain: bool) {
        if certain {
            self.check_put_off(event);
        } else {
            self.if_a_row("a check was put off", |run| run.check_put_off(event));
        }
    }

    fn check_put_off(&mut self, (table, (owner, constraint)): &(QualifiedName, (QualifiedName, Ident))) {
        let key = self.table(owner).constraint(constraint.as_str()).and_then(|constraint| match &constraint.kind {
            ConstraintKind::ForeignKey(key) => Some(key.clone()),
            _ => None,
        });
        let Some(key) = key else { return };
        self.may_fail(owner, "23503", format!("a row of {owner} references none of {}", key.table));
        if table == owner {
            self.plan(&key.table, LockMode::RowShare, false);
            self.lock_some_rows(&key.table, format!("rows of {owner} reference them"));
        } else {
            self.plan(owner, LockMode::RowShare, true);
        }
    }
}

//! DROP of every kind, DROP COLUMN and DROP CONSTRAINT, with what depends on them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::column_type::index_uses;
use super::{Run, Step, refuse};
use crate::catalog::{Constraint, ConstraintKind, Publication, PublishedPart, Relation};
use crate::data_type::quoted_if_needed;
use crate::effects::Waits;
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{DropBehavior, DropObjects, ObjectKind, PartitionBound, ReplicaIdentity};

impl Run {
    pub(super) fn drop_objects(&mut self, drop: &DropObjects) -> Step {
        match drop.kind {
            ObjectKind::Table | ObjectKind::ForeignTable => self.drop_relations(drop, "table"),
            ObjectKind::View => self.drop_relations(drop, "view"),
            ObjectKind::MaterializedView => self.drop_relations(drop, "materialized view"),
            ObjectKind::Sequence => self.drop_relations(drop, "sequence"),
            ObjectKind::Index => self.drop_indexes(drop),
            _ => self.drop_other(drop),
        }
    }

    fn drop_relations(&mut self, drop: &DropObjects, word: &str) -> Step {
        let mut roots = Vec::new();
        for written_name in &drop.names {
            let Some(name) = self.find(written_name) else {
                if drop.if_exists {
                    continue;
                }
                if self.catalog().is_incomplete() {
                    let name = self.open(written_name)?;
                    roots.push(name);
                    continue;
                }
                self.need_schema_of(written_name)?;
                let missing = |word: &str| format!("{word} \"{}\" does not exist", written_name.name);
                return match drop.kind {
                    ObjectKind::ForeignTable => refuse("42704", missing("foreign table")),
                    _ => refuse("42P01", missing(word)),
                };
            };
            let foreign = drop.kind == ObjectKind::ForeignTable;
            let matches = match self.catalog().relation(&name) {
                Some(Relation::Table(table)) if word == "table" && !table.assumed && table.foreign != foreign => {
                    let word = if foreign { "foreign table" } else { "table" };
                    return refuse("42809", format!("\"{}\" is not a {word}", name.name));
                }
                Some(Relation::Table(_)) => word == "table",
                Some(Relation::View(view)) => word == if view.materialized { "materialized view" } else { "view" },
                Some(Relation::Sequence(_)) => word == "sequence",
                Some(Relation::Index { .. }) => false,
                None => true,
            };
            if !matches {
                return refuse("42809", format!("\"{}\" is not a {word}", name.name));
            }
            roots.push(name);
        }
        for name in &roots {
            // A partition's parent changes with it.
            if let Some((parent, bound)) = self.table(name).partition_of.clone() {
                self.lock(&parent, LockMode::AccessExclusive);
                if !matches!(bound, PartitionBound::Default) {
                    self.lock_default_partition(&parent, name);
                }
            }
            self.lock(name, LockMode::AccessExclusive);
        }
        self.remove_relations(&roots, drop.behavior, word)
    }

    pub(super) fn lock_default_partition(&mut self, parent: &QualifiedName, except: &QualifiedName) {
        for child in self.table(parent).children.clone() {
            let default = matches!(&self.table(&child).partition_of, Some((_, PartitionBound::Default)));
            if default && child != *except {
                self.lock(&child, LockMode::AccessExclusive);
            }
        }
    }

    /// Removes relations with everything that belongs to them; what merely depends on them needs CASCADE.
    pub(crate) fn remove_relations(&mut self, roots: &[QualifiedName], behavior: DropBehavior, word: &str) -> Step {
        let cascade = behavior == DropBehavior::Cascade;
        let mut doomed: Vec<QualifiedName> = Vec::new();
        let mut queue: Vec<QualifiedName> = roots.to_vec();
        while let Some(name) = queue.pop() {
            if doomed.contains(&name) {
                continue;
            }
            doomed.push(name.clone());
            let table = self.table(&name);
            if table.partition_by.is_some() {
                queue.extend(table.children.iter().cloned());
            }
        }
        // Inheritance children and views depend on the tables.
        let mut next = 0;
        while let Some(name) = doomed.get(next).cloned() {
            next += 1;
            let mut dependents: Vec<QualifiedName> =
                self.catalog().views_on(&name).into_iter().map(|(view, _)| view).collect();
            if self.table(&name).partition_by.is_none() {
                dependents.extend(self.table(&name).children.iter().cloned());
            }
            dependents.retain(|dependent| !doomed.contains(dependent));
            if let (false, Some(root)) = (cascade || dependents.is_empty(), roots.first()) {
                return self.depended_on(word, root, roots.len());
            }
            doomed.extend(dependents);
        }
        // Functions whose bodies name the relations.
        for name in &doomed {
            let functions = self.functions_on(name, None);
            if !functions.is_empty()
                && !cascade
                && let Some(root) = roots.first()
            {
                return self.depended_on(word, root, roots.len());
            }
            self.remove_functions(&functions);
            let mut policies = self.catalog().policies_reading(name, None);
            let mut rules = self.catalog().rules_naming(name, None);
            policies.retain(|(table, _)| !doomed.contains(table));
            rules.retain(|(table, _)| !doomed.contains(table));
            let unused = policies.is_empty() && rules.is_empty();
            if !unused
                && !cascade
                && let Some(root) = roots.first()
            {
                return self.depended_on(word, root, roots.len());
            }
            self.remove_from_tables(&policies, &rules);
        }
        // Foreign keys from elsewhere, and defaults that draw from a dropped sequence.
        for name in &doomed {
            for (referencing, constraint, key) in self.keys_into(name) {
                if doomed.contains(&referencing) {
                    continue;
                }
                if !cascade && let Some(root) = roots.first() {
                    return self.depended_on(word, root, roots.len());
                }
                self.unhook_foreign_key(&referencing, &key, constraint.attributes.enforced);
                self.forget_foreign_key(&referencing, &constraint.name, &key);
            }
            let mut sequences: Vec<QualifiedName> =
                self.catalog().sequences_of(name).into_iter().map(|(_, sequence)| sequence).collect();
            if self.catalog().sequence(name).is_some() {
                let owner = self
                    .catalog()
                    .sequence(name)
                    .filter(|sequence| sequence.identity)
                    .and_then(|sequence| sequence.owned_by.clone());
                if let Some((table, column)) = owner
                    && !doomed.contains(&table)
                {
                    return refuse(
                        "2BP01",
                        format!(
                            "cannot drop sequence {} because column {} of table {} requires it",
                            self.described(name),
                            quoted_if_needed(&column),
                            self.described(&table)
                        ),
                    );
                }
                sequences.push(name.clone());
            }
            for sequence in &sequences {
                let users: Vec<(QualifiedName, Ident)> = self
                    .catalog()
                    .tables_drawing_from(sequence)
                    .flat_map(|table| {
                        table
                            .columns
                            .iter()
                            .filter(|column| column.draws_from(sequence))
                            .map(|column| (table.name.clone(), column.name.clone()))
                            .collect::<Vec<_>>()
                    })
                    .collect();
                for (user, column) in users {
                    if doomed.contains(&user) {
                        continue;
                    }
                    if !cascade && let Some(root) = roots.first() {
                        return self.depended_on(word, root, roots.len());
                    }
                    self.lock(&user, LockMode::AccessExclusive);
                    self.catalog_mut().edit_table(&user, |table| {
                        if let Some(column) = table.columns.iter_mut().find(|known| known.name == column) {
                            column.default = None;
                        }
                    });
                }
            }
        }
        // Columns of their row types.
        for name in &doomed {
            let mut columns = self.columns_of_type(name);
            columns.retain(|(table, _)| !doomed.contains(table));
            if !columns.is_empty()
                && !cascade
                && let Some(root) = roots.first()
            {
                return self.depended_on(word, root, roots.len());
            }
            self.drop_columns(columns)?;
        }
        for name in &doomed {
            self.check_not_in_use(name, &format!("DROP {}", word.to_ascii_uppercase()))?;
        }
        for name in &doomed {
            if let Some((parent, _)) = &self.table(name).partition_of {
                self.lock(parent, LockMode::AccessExclusive);
                self.lock_default_partition(parent, name);
            }
        }
        for name in doomed {
            self.remove_relation(&name);
        }
        Ok(())
    }

    /// `getRelationDescription`: with its schema where the search path does not lead to it.
    pub(super) fn described(&self, name: &QualifiedName) -> String {
        let bare = QualifiedName::as_written(None, name.name.clone());
        match &name.schema {
            Some(schema) if self.find(&bare).as_ref() != Some(name) => {
                format!("{}.{}", quoted_if_needed(schema), quoted_if_needed(&name.name))
            }
            _ => quoted_if_needed(&name.name),
        }
    }

    fn depended_on(&self, word: &str, root: &QualifiedName, roots: usize) -> Step {
        if roots > 1 {
            return refuse("2BP01", "cannot drop desired object(s) because other objects depend on them");
        }
        let name = self.described(root);
        let word = match self.catalog().relation(root) {
            Some(Relation::View(view)) if view.materialized => "materialized view",
            Some(Relation::View(_)) => "view",
            Some(Relation::Sequence(_)) => "sequence",
            _ => word,
        };
        refuse("2BP01", format!("cannot drop {word} {name} because other objects depend on it"))
    }

    fn remove_relation(&mut self, name: &QualifiedName) {
        self.lock(name, LockMode::AccessExclusive);
        self.lock_indexes(name, LockMode::AccessExclusive);
        let table = self.table(name);
        for constraint in &table.constraints {
            if let ConstraintKind::ForeignKey(key) = &constraint.kind
                && key.table != *name
                && !constraint.inherited
                && self.catalog().relation(&key.table).is_some()
            {
                self.unhook_foreign_key(name, key, constraint.attributes.enforced);
            }
        }
        for (_, sequence) in self.catalog().sequences_of(name) {
            self.lock(&sequence, LockMode::AccessExclusive);
            self.catalog_mut().remove(&sequence);
            self.forget(&sequence);
        }
        let parents: Vec<QualifiedName> =
            table.partition_of.iter().map(|(parent, _)| parent.clone()).chain(table.inherits.iter().cloned()).collect();
        for parent in parents {
            self.catalog_mut().edit_table(&parent, |parent| parent.children.retain(|child| child != name));
        }
        let indexes: Vec<QualifiedName> =
            self.catalog().indexes_of(name).iter().map(|index| name.sibling(index.name.clone())).collect();
        for index in indexes {
            self.catalog_mut().remove(&index);
            self.forget(&index);
        }
        self.unpublish(name);
        self.drop_statistics_of(name, None);
        self.catalog_mut().remove(name);
        self.forget(name);
    }

    /// The name may be used again: nothing known of the old relation holds for the new one.
    pub(super) fn forget(&mut self, name: &QualifiedName) {
        if !self.state.facts.created.contains(name) {
            let committed = self.state.facts.committed_name.remove(name).unwrap_or_else(|| name.clone());
            if committed != *name {
                // Its locks stay, under the name that others know.
                self.renames.push((name.clone(), committed.clone()));
            }
            self.state.facts.dropped.insert(committed);
        }
        self.state.facts.empty.remove(name);
        self.state.facts.written_anew.remove(name);
        self.state.assumed_empty.remove(name);
        self.forget_null_columns(|table, _| table == name);
        self.state.facts.pending.retain(|(table, _), _| table != name);
    }

    fn drop_indexes(&mut self, drop: &DropObjects) -> Step {
        if drop.concurrently && drop.names.len() > 1 {
            return refuse("0A000", "DROP INDEX CONCURRENTLY does not support dropping multiple objects");
        }
        if drop.concurrently && drop.behavior == DropBehavior::Cascade {
            return refuse("0A000", "DROP INDEX CONCURRENTLY does not support CASCADE");
        }
        for written_name in &drop.names {
            let found = self.find(written_name).and_then(|name| match self.catalog().relation(&name) {
                Some(Relation::Index { table }) => Some((name.clone(), Some(table.clone()))),
                Some(_) => Some((name, None)),
                None => None,
            });
            let Some((name, table_name)) = found else {
                if drop.if_exists {
                    continue;
                }
                if self.catalog().is_incomplete() {
                    let assumed = self.creation_name(written_name, crate::statement::Persistence::Permanent);
                    self.lock(&assumed, LockMode::AccessExclusive);
                    continue;
                }
                self.need_schema_of(written_name)?;
                return refuse("42704", format!("index \"{}\" does not exist", written_name.name));
            };
            let Some(table_name) = table_name else {
                return refuse("42809", format!("\"{}\" is not an index", name.name));
            };
            let index = self.catalog().indexes_of(&table_name).iter().find(|index| index.name == name.name).cloned();
            let Some(index) = index else { continue };
            // Nobody else sees a temporary table.
            let temporary = self.table(&table_name).persistence == crate::statement::Persistence::Temporary;
            let concurrently = drop.concurrently && !temporary;
            if self.table(&table_name).partition_by.is_some() && concurrently {
                return refuse("0A000", format!("cannot drop partitioned index \"{}\" concurrently", name.name));
            }
            if let Some(parent) = &index.parent {
                return refuse(
                    "2BP01",
                    format!(
                        "cannot drop index {} because index {} requires it",
                        self.described(&name),
                        self.described(parent)
                    ),
                );
            }
            if index.constraint {
                return refuse(
                    "2BP01",
                    format!(
                        "cannot drop index {} because constraint {} on table {} requires it",
                        self.described(&name),
                        name.name,
                        self.described(&table_name)
                    ),
                );
            }
            let mode = if concurrently { LockMode::ShareUpdateExclusive } else { LockMode::AccessExclusive };
            if concurrently {
                self.effects.waits_for = Some(Waits::UsersOfTable);
            }
            self.lock(&table_name, mode);
            self.lock(&name, mode);
            self.check_not_in_use(&table_name, "DROP INDEX")?;
            self.refuse_key_of_foreign_key(&table_name, &index, drop.behavior)?;
            let mut doomed = vec![(table_name.clone(), index.name.clone())];
            let partitions = if self.table(&table_name).partition_by.is_some() {
                self.catalog().descendants(&table_name)
            } else {
                Vec::new()
            };
            for child in partitions {
                let of_child: Vec<Ident> = self
                    .table(&child)
                    .indexes
                    .iter()
                    .filter(|known| {
                        known.parent.as_ref().is_some_and(|parent| {
                            doomed.iter().any(|(table, index)| *parent == table.sibling(index.clone()))
                        })
                    })
                    .map(|known| known.name.clone())
                    .collect();
                self.lock(&child, mode);
                for index in of_child {
                    self.lock(&child.sibling(index.clone()), mode);
                    doomed.push((child.clone(), index));
                }
            }
            for (table, index) in doomed {
                self.remove_index(&table, &index);
            }
        }
        Ok(())
    }

    /// A foreign key may rest on a plain unique index.
    fn refuse_key_of_foreign_key(
        &mut self,
        table: &QualifiedName,
        index: &crate::catalog::Index,
        behavior: DropBehavior,
    ) -> Step {
        if !index.unique {
            return Ok(());
        }
        let columns: Vec<&Ident> = index.key_columns().collect();
        let known = self.table(table);
        let backed_by_constraint = |key: &crate::catalog::ForeignKey| {
            known.constraints.iter().any(|constraint| match &constraint.kind {
                ConstraintKind::PrimaryKey { columns, .. } | ConstraintKind::Unique { columns, .. } => {
                    same_set(columns, &key.references)
                }
                _ => false,
            })
        };
        for (referencing, constraint, key) in self.catalog().foreign_keys_to(table) {
            let uses = columns.len() == key.references.len()
                && key.references.iter().all(|column| columns.contains(&column))
                && !backed_by_constraint(&key);
            if !uses {
                continue;
            }
            if behavior == DropBehavior::Restrict {
                return refuse("2BP01", format!("cannot drop index {} because other objects depend on it", index.name));
            }
            self.unhook_foreign_key(&referencing, &key, constraint.attributes.enforced);
            self.forget_foreign_key(&referencing, &constraint.name, &key);
        }
        Ok(())
    }

    pub(super) fn remove_index(&mut self, table: &QualifiedName, index: &Ident) {
        let name = table.sibling(index.clone());
        self.catalog_mut().remove(&name);
        self.forget(&name);
        let drop_it = |indexes: &mut Vec<crate::catalog::Index>| indexes.retain(|known| known.name != *index);
        if self.catalog().view(table).is_some() {
            self.catalog_mut().edit_view(table, |view| drop_it(&mut view.indexes));
        } else {
            self.catalog_mut().edit_table(table, |table| {
                drop_it(&mut table.indexes);
                if table.clustered_on.as_ref() == Some(index) {
                    table.clustered_on = None;
                }
                if table.replica_identity.index() == Some(index) {
                    table.replica_identity = ReplicaIdentity::Nothing;
                }
            });
        }
    }

    /// One constraint of one table, with its index and the keys that rest on it.
    pub(super) fn drop_constraint_of(
        &mut self,
        name: &QualifiedName,
        constraint: &Constraint,
        behavior: DropBehavior,
    ) -> Step {
        let shown = self.described(name);
        let refused = || {
            let constraint = &constraint.name;
            refuse(
                "2BP01",
                format!("cannot drop constraint {constraint} on table {shown} because other objects depend on it"),
            )
        };
        match &constraint.kind {
            ConstraintKind::ForeignKey(key) => self.unhook_foreign_key(name, key, constraint.attributes.enforced),
            ConstraintKind::PrimaryKey { columns, .. } | ConstraintKind::Unique { columns, .. } => {
                for (referencing, dependent, key) in self.catalog().foreign_keys_to(name) {
                    if !same_set(columns, &key.references) || dependent.inherited {
                        continue;
                    }
                    if behavior == DropBehavior::Restrict {
                        return refused();
                    }
                    self.unhook_foreign_key(&referencing, &key, dependent.attributes.enforced);
                    self.forget_foreign_key(&referencing, &dependent.name, &key);
                }
                if matches!(constraint.kind, ConstraintKind::PrimaryKey { .. }) {
                    let views = self.catalog().views_keyed_by(name);
                    if !views.is_empty() && behavior == DropBehavior::Restrict {
                        return refused();
                    }
                    self.remove_relations(&views, DropBehavior::Cascade, "view")?;
                }
                self.lock(&name.sibling(constraint.name.clone()), LockMode::AccessExclusive);
                self.remove_index(name, &constraint.name);
            }
            ConstraintKind::Exclude { .. } => {
                self.lock(&name.sibling(constraint.name.clone()), LockMode::AccessExclusive);
                self.remove_index(name, &constraint.name);
            }
            ConstraintKind::Check { .. } | ConstraintKind::NotNull { .. } => {}
        }
        let dropped = constraint.name.clone();
        self.catalog_mut().edit_table(name, |table| {
            table.constraints.retain(|known| known.name != dropped);
            table.part_keys.retain(|part| part.key != dropped);
        });
        Ok(())
    }

    /// Whether a child has the column by itself as well, or from a parent that is none of these tables.
    pub(super) fn keeps_column(&self, name: &QualifiedName, column: &Ident, tables: &[QualifiedName]) -> bool {
        self.table(name).column(column.as_str()).is_some_and(|column| column.own)
            || self.inherits_elsewhere(name, column, tables)
    }

    /// Whether a parent that is none of these tables has the column.
    pub(super) fn inherits_elsewhere(&self, name: &QualifiedName, column: &Ident, tables: &[QualifiedName]) -> bool {
        let table = self.table(name);
        let mut parents = table.partition_of.iter().map(|(parent, _)| parent).chain(&table.inherits);
        parents.any(|parent| !tables.contains(parent) && self.table(parent).column(column.as_str()).is_some())
    }

    pub(super) fn drop_column(
        &mut self,
        tables: &[QualifiedName],
        column: &Ident,
        if_exists: bool,
        behavior: DropBehavior,
    ) -> Step {
        let Some(root) = tables.first() else { return Ok(()) };
        let table = self.table(root);
        let Some(known) = table.column(column.as_str()) else {
            if super::create_table::is_system_column(column) {
                return refuse("0A000", format!("cannot drop system column \"{column}\""));
            }
            if if_exists || table.is_vague() {
                return Ok(());
            }
            return Self::missing_column(root, column);
        };
        if known.inherited {
            return refuse("42P16", format!("cannot drop inherited column \"{column}\""));
        }
        for name in tables {
            self.refuse_partition_key(name, column, "drop")?;
        }
        // A column that a child defined by itself as well stays there, and in the tables below.
        let mut kept: Vec<QualifiedName> = Vec::new();
        for (position, name) in tables.iter().enumerate() {
            let table = self.table(name);
            let Some(known) = table.column(column.as_str()) else { continue };
            let parents = || table.partition_of.iter().map(|(parent, _)| parent).chain(&table.inherits);
            let elsewhere = parents().any(|parent| {
                kept.contains(parent)
                    || (!tables.contains(parent) && self.table(parent).column(column.as_str()).is_some())
            });
            if position > 0 && (known.own || elsewhere) {
                kept.push(name.clone());
                if !elsewhere {
                    self.catalog_mut().edit_table(name, |table| {
                        for known in table.columns.iter_mut().filter(|known| known.name == *column) {
                            known.inherited = false;
                            known.own = false;
                        }
                    });
                }
                continue;
            }
            self.drop_column_of(name, column, behavior).map_err(|refusal| {
                // The columns of several tables go together.
                let several = tables.len() > kept.len() + 1 && refusal.message.starts_with("cannot drop column");
                let message = "cannot drop desired object(s) because other objects depend on them";
                if several { crate::effects::Refusal { message: message.to_owned(), ..refusal } } else { refusal }
            })?;
        }
        Ok(())
    }

    pub(super) fn drop_column_of(&mut self, name: &QualifiedName, column: &Ident, behavior: DropBehavior) -> Step {
        let cascade = behavior == DropBehavior::Cascade;
        let table = self.table(name);
        let shown = self.described(name);
        let refusal = || {
            refuse("2BP01", format!("cannot drop column {column} of table {shown} because other objects depend on it"))
        };
        let views: Vec<QualifiedName> = self
            .catalog()
            .views_on(name)
            .into_iter()
            .filter(|(_, columns)| columns.contains(column))
            .map(|(view, _)| view)
            .collect();
        if !views.is_empty() {
            if !cascade {
                return refusal();
            }
            self.remove_relations(&views, DropBehavior::Cascade, "view")?;
        }
        let known_plain = table.column(column.as_str()).is_some_and(|column| column.generated.is_none());
        let generated: Vec<Ident> = table
            .columns
            .iter()
            .filter(|other| {
                other.name != *column
                    && other.generated.as_ref().is_some_and(|generated| generated.expr.node.columns().contains(column))
            })
            .map(|other| other.name.clone())
            .collect();
        if !generated.is_empty() && !cascade && self.version.at_least(15) {
            return refusal();
        }
        // Generated columns do not depend on generated columns, so this ends after one step.
        for other in generated {
            let leaf =
                self.table(name).column(other.as_str()).is_some_and(|other| other.generated.is_some()) && known_plain;
            if leaf {
                // What is refused is what was asked for.
                self.drop_column_of(name, &other, behavior).or_else(|_| refusal())?;
            }
        }
        let functions = self.functions_on(name, Some(column));
        if !functions.is_empty() && !cascade {
            return refusal();
        }
        self.remove_functions(&functions);
        let policies = self.catalog().policies_reading(name, Some(column));
        let rules = self.catalog().rules_naming(name, Some(column));
        let unused = policies.is_empty() && rules.is_empty();
        if !unused && !cascade {
            return refusal();
        }
        self.remove_from_tables(&policies, &rules);
        if !self.unpublish_column(name, column, cascade) {
            return refusal();
        }
        let table = self.table(name);
        let triggers: BTreeSet<Ident> = table
            .triggers
            .iter()
            .filter(|trigger| {
                trigger.update_of.contains(column)
                    || trigger.when.as_ref().is_some_and(|when| when.node.columns().contains(column))
            })
            .map(|trigger| trigger.name.clone())
            .collect();
        let policies: BTreeSet<Ident> =
            table.policies.iter().filter(|policy| policy.names(column)).map(|policy| policy.name.clone()).collect();
        let rules: BTreeSet<Ident> =
            table.rules.iter().filter(|rule| rule.columns.contains(column)).map(|rule| rule.name.clone()).collect();
        let dependents = triggers.len() + policies.len() + rules.len();
        if dependents > 0 && !cascade {
            return refusal();
        }
        for constraint in &table.constraints {
            let uses = match &constraint.kind {
                ConstraintKind::Check { expr, .. } => expr.node.columns().contains(column),
                ConstraintKind::Unique { columns, include, .. } | ConstraintKind::PrimaryKey { columns, include } => {
                    columns.contains(column) || include.contains(column)
                }
                ConstraintKind::ForeignKey(key) => key.columns.contains(column),
                ConstraintKind::Exclude { elements, predicate } => {
                    predicate.as_ref().is_some_and(|predicate| predicate.node.columns().contains(column))
                        || elements.iter().any(|(element, _)| element.key.uses(column))
                }
                ConstraintKind::NotNull { column: known, .. } => known == column,
            };
            if !uses {
                continue;
            }
            if matches!(constraint.kind, ConstraintKind::PrimaryKey { .. } | ConstraintKind::Unique { .. })
                && !cascade
                && self.catalog().foreign_keys_to(name).iter().any(|(_, _, key)| key.references.contains(column))
            {
                return refusal();
            }
            // Only the index depends on a column in an expression, and cannot go without its constraint.
            if let ConstraintKind::Exclude { elements, .. } = &constraint.kind
                && !cascade
                && !elements.iter().any(|(element, _)| element.key.column() == Some(column))
            {
                return refusal();
            }
            self.drop_constraint_of(name, constraint, behavior)?;
        }
        let table = self.table(name);
        for index in table.indexes.iter().filter(|index| index_uses(index, column)) {
            self.lock(&name.sibling(index.name.clone()), LockMode::AccessExclusive);
            let unique = index.clone();
            self.refuse_key_of_foreign_key(name, &unique, behavior)?;
            self.remove_index(name, &index.name);
        }
        for (owner, sequence) in self.catalog().sequences_of(name) {
            if owner == *column {
                self.lock(&sequence, LockMode::AccessExclusive);
                self.catalog_mut().remove(&sequence);
                self.forget(&sequence);
            }
        }
        self.forget_null_columns(|table, known| table == name && known == column);
        self.drop_statistics_of(name, Some(column));
        self.catalog_mut().edit_table(name, |table| {
            table.columns.retain(|known| known.name != *column);
            table.triggers.retain(|trigger| !triggers.contains(&trigger.name));
            table.policies.retain(|policy| !policies.contains(&policy.name));
            table.rules.retain(|rule| !rules.contains(&rule.name));
        });
        Ok(())
    }
}

impl Run {
    pub(super) fn remove_functions(&mut self, names: &[QualifiedName]) {
        for name in names {
            self.catalog_mut().functions.remove_mut(name);
        }
    }

    /// Policies and rules, each with its table, that name what goes.
    fn remove_from_tables(&mut self, policies: &[(QualifiedName, Ident)], rules: &[(QualifiedName, Ident)]) {
        for (table, name) in policies {
            self.lock(table, LockMode::AccessExclusive);
            self.catalog_mut().edit_table(table, |table| table.policies.retain(|policy| policy.name != *name));
        }
        for (table, name) in rules {
            self.lock(table, LockMode::AccessExclusive);
            self.catalog_mut().edit_table(table, |table| table.rules.retain(|rule| rule.name != *name));
        }
    }

    fn unpublish(&mut self, name: &QualifiedName) {
        let publications: Vec<(Ident, Publication)> = self
            .catalog()
            .publications
            .iter()
            .filter(|(_, publication)| publication.names(name))
            .map(|(name, publication)| (name.clone(), publication.as_ref().clone()))
            .collect();
        for (known, mut publication) in publications {
            publication.parts.retain(|part| part.table != *name);
            self.catalog_mut().publications.insert_mut(known, Arc::new(publication));
        }
    }

    /// A published table leaves its publications with a column that these name; `false`: it needs CASCADE.
    fn unpublish_column(&mut self, name: &QualifiedName, column: &Ident, cascade: bool) -> bool {
        let names = |part: &PublishedPart| {
            part.table == *name && (part.columns.contains(column) || part.filter.contains(column))
        };
        let publications: Vec<(Ident, Publication)> = self
            .catalog()
            .publications
            .iter()
            .filter(|(_, publication)| publication.parts.iter().any(names))
            .map(|(name, publication)| (name.clone(), publication.as_ref().clone()))
            .collect();
        if !publications.is_empty() && !cascade {
            return false;
        }
        for (known, mut publication) in publications {
            publication.parts.retain(|part| !names(part));
            self.catalog_mut().publications.insert_mut(known, Arc::new(publication));
        }
        true
    }
}

pub(super) fn same_set(left: &[Ident], right: &[Ident]) -> bool {
    left.len() == right.len() && right.iter().all(|column| left.contains(column))
}

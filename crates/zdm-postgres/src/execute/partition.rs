//! Partitions and inheritance: attaching, detaching, and what a new partition takes over from its parent.

use std::sync::Arc;

use super::alter_table::Queue;
use super::create_table::{Check, Key, KeyKind, of_ranges};
use super::not_null::{hands_down, not_null_constraint};
use super::other::same_constraint_name;
use super::partition_bound::{
    Bound, Edge, check_extent, check_form, check_infinite, check_items, fits, overlap, read_bound,
};
use super::{Run, Step, not_for_relation, refuse};
use crate::catalog::{
    Catalog, Column, Constraint, ConstraintKind, ForeignKey, Index, PartKey, Relation, Table, Trigger, UserTypeKind,
};
use crate::constant::Kind;
use crate::data_type::{DataType, quoted_if_needed};
use crate::effects::{UncertainEffect, Waits};
use crate::expr::ExprNode;
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::naming;
use crate::proof::{self, KeyColumn, Literal};
use crate::statement::{ConstraintAttributes, PartitionBound, PartitionBy, Persistence};

impl Run {
    /// What has no rows of its own, or rows that a query gives, is no child of a table.
    pub(super) fn need_table_to_attach(&self, name: &QualifiedName, action: &str) -> Step {
        let since_15 = self.version.at_least(15);
        match self.catalog().relation(name) {
            Some(Relation::Index { .. }) if self.version.at_least(16) => {
                refuse("42809", format!("cannot open relation \"{}\"", name.name))
            }
            Some(Relation::Index { .. }) => refuse("42809", format!("\"{}\" is an index", name.name)),
            Some(Relation::View(_) | Relation::Sequence(_)) if since_15 => {
                refuse("42809", not_for_relation(action, name))
            }
            Some(Relation::View(_) | Relation::Sequence(_)) => {
                refuse("42809", format!("\"{}\" is not a table or foreign table", name.name))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn attach_partition(
        &mut self,
        name: &QualifiedName,
        partition: &QualifiedName,
        bound: Option<&PartitionBound>,
    ) -> Step {
        let Some(bound) = bound else {
            return refuse("42809", format!("\"{}\" is not an index", name.name));
        };
        let table = self.table(name);
        if table.partition_by.is_none() && !table.assumed {
            return self.not_partitioned("ATTACH PARTITION", name);
        }
        self.check_not_in_use(name, "ALTER TABLE")?;
        if let (Some(partition_by), PartitionBound::Values(text)) = (&table.partition_by, bound) {
            check_form(partition_by, text)?;
        }
        let child = self.open(partition)?;
        self.need_table_to_attach(&child, "ATTACH PARTITION")?;
        self.lock(&child, LockMode::AccessExclusive);
        for below in self.catalog().descendants(&child) {
            self.lock(&below, LockMode::AccessExclusive);
        }
        let child_table = self.table(&child);
        if child == *name || self.catalog().descendants(&child).contains(name) {
            return refuse("42P07", "circular inheritance not allowed");
        }
        if child_table.partition_of.is_some() {
            return refuse("42809", format!("\"{}\" is already a partition", child.name));
        }
        if child_table.of_type.is_some() {
            return refuse("42809", "cannot attach a typed table as partition");
        }
        if !child_table.inherits.is_empty() {
            return refuse("42809", "cannot attach inheritance child as partition");
        }
        if child_table.partition_by.is_none() && !child_table.children.is_empty() {
            return refuse("42809", "cannot attach inheritance parent as partition");
        }
        Self::check_persistence_of_partition(&child_table, &table, "attach", "as partition")?;
        // The columns of the partition, its bound, and then what it takes over from its parent.
        for column in &child_table.columns {
            if self.version.at_least(17) && column.identity.is_some() {
                return refuse(
                    "55000",
                    format!("table \"{}\" being attached contains an identity column \"{}\"", child.name, column.name),
                );
            }
            if table.column(column.name.as_str()).is_none() && !table.assumed {
                return refuse(
                    "42804",
                    format!(
                        "table \"{}\" contains column \"{}\" not found in parent \"{}\"",
                        child.name, column.name, name.name
                    ),
                );
            }
        }
        self.check_transition_triggers(&child, "a partition")?;
        self.check_bound(&child, name, bound)?;
        self.check_child_columns(&child_table, &table)?;
        self.check_inherited_constraints(&child, name)?;
        // Rows that belong to the new partition are looked for in the default one.
        // The bounds of the parents are the partition's, too.
        self.read_bound_of(name);
        let mut proved = self.rows_fit(&child, name, bound);
        let mut current = name.clone();
        while let Some((above, bound)) = self.table(&current).partition_of.clone() {
            proved = proved && self.rows_fit(&child, &above, &bound);
            current = above;
        }
        self.check_default_partition(name, bound);
        self.catalog_mut().edit_table(name, |table| table.children.push(child.clone()));
        let parent_name = name.clone();
        let stored_bound = bound.clone();
        self.catalog_mut().edit_table(&child, |table| {
            table.partition_of = Some((parent_name, stored_bound));
            for column in &mut table.columns {
                column.inherited = true;
            }
        });
        self.share_identity(&child, &table.columns);
        self.adopt_constraints(&child, name);
        self.refuse_foreign_part(&self.table(&child), name, false)?;
        self.clone_parent_indexes(&child, name)?;
        self.clone_parent_triggers(&child, name)?;
        if !proved {
            self.may_fail(&child, "23514", format!("a row of {child} does not fit the bound"));
            self.scan(&child);
            for below in self.catalog().descendants(&child) {
                self.scan(&below);
            }
        }
        self.attach_foreign_keys(&child, name)?;
        self.hook_keys_into(name, &child);
        Ok(())
    }

    /// Whether the bound is one for that strategy and apart from the bounds of the other partitions.
    pub(super) fn check_bound(&self, name: &QualifiedName, parent: &QualifiedName, bound: &PartitionBound) -> Step {
        let parent_table = self.table(parent);
        let Some(partition_by) = &parent_table.partition_by else { return Ok(()) };
        let strategy = partition_by.strategy.to_ascii_lowercase();
        let siblings = || {
            parent_table.children.iter().filter(|child| *child != name).filter_map(|child| {
                let (_, bound) = self.catalog().table(child)?.partition_of.clone()?;
                Some((child.clone(), bound))
            })
        };
        let PartitionBound::Values(text) = bound else {
            if strategy == "hash" {
                return refuse("42P16", "a hash-partitioned table may not have a default partition");
            }
            if let Some((default, _)) = siblings().find(|(_, bound)| matches!(bound, PartitionBound::Default)) {
                return refuse(
                    "42P17",
                    format!(
                        "partition \"{}\" conflicts with existing default partition \"{}\"",
                        name.name, default.name
                    ),
                );
            }
            return Ok(());
        };
        check_form(partition_by, text)?;
        check_items(text, partition_by.columns.len() + partition_by.expressions.len())?;
        let own = read_bound(text);
        let kinds = kinds_of_key(self.catalog(), &parent_table);
        self.check_bound_values(&own, &parent_table)?;
        check_extent(&own, &kinds, name)?;
        if let Bound::Hash(modulus, _) = own {
            let fits = |other: u32| {
                let (small, large) = (modulus.min(other), modulus.max(other));
                small != 0 && large % small == 0
            };
            let others = siblings().filter_map(|(_, bound)| match bound {
                PartitionBound::Values(text) => Some(read_bound(&text)),
                PartitionBound::Default => None,
            });
            if others.into_iter().any(|other| matches!(other, Bound::Hash(other, _) if !fits(other))) {
                return refuse("42P17", "every hash partition modulus must be a factor of the next larger modulus");
            }
        }
        for (sibling, bound) in siblings() {
            if let PartitionBound::Values(other) = &bound
                && overlap(&own, &read_bound(other), &kinds)
            {
                return refuse(
                    "42P17",
                    format!("partition \"{}\" would overlap partition \"{}\"", name.name, sibling.name),
                );
            }
        }
        Ok(())
    }

    /// The values of a bound are of the types of the key's columns (`transformPartitionBoundValue`).
    fn check_bound_values(&self, bound: &Bound, parent: &crate::catalog::Table) -> Step {
        let Some(partition_by) = parent.partition_by.as_ref().filter(|by| by.expressions.is_empty()) else {
            return match bound {
                Bound::Range(from, to) => [from, to].into_iter().try_for_each(|edge| check_infinite(edge)),
                _ => Ok(()),
            };
        };
        let check = |place: usize, value: &Literal| {
            let column = partition_by.columns.get(place).and_then(|column| parent.column(column.as_str()));
            column.map_or(Ok(()), |column| self.check_bound_value(value, column))
        };
        match bound {
            Bound::List(values, _) => values.iter().try_for_each(|value| check(0, value)),
            Bound::Range(from, to) => [from, to].into_iter().try_for_each(|edge| {
                let mut values = edge.iter().enumerate().filter_map(|(place, edge)| Some((place, edge.value()?)));
                values.try_for_each(|(place, value)| check(place, value))?;
                check_infinite(edge)
            }),
            Bound::Hash(..) | Bound::Unknown => Ok(()),
        }
    }

    fn check_bound_value(&self, value: &Literal, column: &Column) -> Step {
        let base = crate::cast::base_type(self.catalog(), &column.data_type);
        let node = match value {
            Literal::Text(text) => {
                let node = ExprNode::Text(text.clone());
                super::create_table::check_literal(&crate::expr::SqlExpr::new(text.clone(), node.clone()), &base)?;
                self.check_enum_literal(&node, &base)?;
                node
            }
            Literal::Number(number) => {
                let fits = |name: &str| crate::cast::is_assignable(self.catalog(), &DataType::named(name), &base);
                if !fits("int4") && !fits("int8") && !fits("numeric") {
                    let shown = self.shown(&base);
                    return refuse(
                        "42804",
                        format!("specified value cannot be cast to type {shown} for column \"{}\"", column.name),
                    );
                }
                ExprNode::Number(format!("{:.0}", number.round()))
            }
        };
        match crate::literal::misfit(&node, &base) {
            Some((sqlstate, message)) => refuse(sqlstate, message),
            None => Ok(()),
        }
    }

    /// 42P16 where a partitioned table is divided by the column, which then can neither change its type nor go.
    pub(super) fn refuse_partition_key(&self, name: &QualifiedName, column: &Ident, verb: &str) -> Step {
        let table = self.table(name);
        let Some(partition_by) = &table.partition_by else { return Ok(()) };
        let in_expression =
            || partition_by.expressions.iter().any(|expression| expression.node.columns().contains(column));
        if !partition_by.columns.contains(column) && !in_expression() {
            return Ok(());
        }
        refuse(
            "42P16",
            format!(
                "cannot {verb} column \"{column}\" because it is part of the partition key of relation \"{}\"",
                name.name
            ),
        )
    }

    /// A temporary table has temporary partitions, and no other table has one.
    pub(super) fn check_persistence_of_partition(
        child: &crate::catalog::Table,
        parent: &crate::catalog::Table,
        verb: &str,
        what: &str,
    ) -> Step {
        let temporary = |table: &crate::catalog::Table| table.persistence == Persistence::Temporary;
        if parent.assumed || child.assumed {
            return Ok(());
        }
        match (temporary(child), temporary(parent)) {
            (true, false) => refuse(
                "42809",
                format!("cannot {verb} a temporary relation {what} of permanent relation \"{}\"", parent.name.name),
            ),
            (false, true) => refuse(
                "42809",
                format!("cannot {verb} a permanent relation {what} of temporary relation \"{}\"", parent.name.name),
            ),
            _ => Ok(()),
        }
    }

    /// 42809 where a table cannot have children by inheritance.
    pub(super) fn check_parent(&self, parent: &QualifiedName) -> Step {
        let table = self.table(parent);
        if table.partition_by.is_some() {
            return refuse("42809", format!("cannot inherit from partitioned table \"{}\"", parent.name));
        }
        if table.partition_of.is_some() {
            return refuse("42809", format!("cannot inherit from partition \"{}\"", parent.name));
        }
        Ok(())
    }

    /// Constraints of the child that the parent has too are inherited from now on.
    fn adopt_constraints(&mut self, child: &QualifiedName, parent: &QualifiedName) {
        let names: Vec<Ident> = self
            .table(parent)
            .constraints
            .iter()
            .filter(|constraint| matches!(constraint.kind, ConstraintKind::Check { .. }))
            .map(|constraint| constraint.name.clone())
            .collect();
        let not_nulls: Vec<Ident> = self
            .table(parent)
            .columns
            .iter()
            .filter(|column| hands_down(&self.table(parent), &column.name))
            .map(|column| column.name.clone())
            .collect();
        let partition = self.table(child).partition_of.is_some();
        self.catalog_mut().edit_table(child, |table| {
            for constraint in &mut table.constraints {
                let not_null =
                    matches!(&constraint.kind, ConstraintKind::NotNull { column, .. } if not_nulls.contains(column));
                if names.contains(&constraint.name) || not_null {
                    // Of a partition nothing is its own any more.
                    constraint.own = !partition && (constraint.own || !constraint.inherited);
                    constraint.inherited = true;
                }
            }
        });
    }

    fn attach_foreign_keys(&mut self, child: &QualifiedName, parent: &QualifiedName) -> Step {
        for constraint in &self.table(parent).constraints {
            let ConstraintKind::ForeignKey(key) = &constraint.kind else { continue };
            if key.table == *child {
                return refuse(
                    "0A000",
                    format!(
                        "cannot attach table \"{}\" as a partition because it is referenced by foreign key \"{}\"",
                        child.name, constraint.name
                    ),
                );
            }
            self.lock_referenced(&key.table);
            if let Some(valid) = self.adopt_foreign_key(child, constraint)? {
                if constraint.valid && !valid {
                    self.validate_adopted_key(child, constraint, key);
                }
                continue;
            }
            for table in std::iter::once(child.clone()).chain(self.catalog().descendants(child)) {
                super::foreign_key::refuse_itself(&table, &key.table)?;
                self.copy_foreign_key(&table, constraint, key);
            }
            if constraint.valid {
                self.validate_foreign_key(child, &key.columns, &key.table);
            }
        }
        Ok(())
    }

    /// A key that was not valid in the partition is so now. Partitions below whose own was valid are not read.
    fn validate_adopted_key(&mut self, child: &QualifiedName, constraint: &Constraint, key: &ForeignKey) {
        for table in std::iter::once(child.clone()).chain(self.partitions(child)) {
            let stale = |own: &Constraint| own.kind == constraint.kind && !own.valid;
            let checked = table == *child || self.table(&table).constraints.iter().any(stale);
            if checked && self.has_storage(&table) {
                self.validate_foreign_key(&table, &key.columns, &key.table);
            }
            self.catalog_mut().edit_table(&table, |table| {
                for own in table.constraints.iter_mut().filter(|own| stale(own)) {
                    own.valid = true;
                }
            });
        }
    }

    /// A new partition gets the parent's foreign keys; there are no rows to check.
    pub(super) fn clone_parent_foreign_keys(&mut self, child: &QualifiedName, parent: &QualifiedName) {
        self.hook_keys_into(parent, child);
        for constraint in &self.table(parent).constraints {
            let ConstraintKind::ForeignKey(key) = &constraint.kind else { continue };
            self.lock_referenced(&key.table);
            self.copy_foreign_key(child, constraint, key);
        }
    }

    /// `CloneFkReferencing`: the parent's name is taken where it is free.
    pub(super) fn copy_foreign_key(&mut self, child: &QualifiedName, constraint: &Constraint, key: &ForeignKey) {
        let taken = self.table(child).has_constraint(constraint.name.as_str());
        let name = if taken { self.beside_foreign_key(child, &constraint.name, key) } else { constraint.name.clone() };
        let copy = Constraint { name, inherited: true, ..constraint.clone() };
        self.catalog_mut().edit_table(child, |table| table.constraints.push(copy));
    }

    pub(super) fn clone_parent_triggers(&mut self, child: &QualifiedName, parent: &QualifiedName) -> Step {
        let triggers: Vec<Trigger> =
            self.table(parent).triggers.iter().filter(|trigger| trigger.for_each_row).cloned().collect();
        for from in triggers.iter().filter_map(|trigger| trigger.from.clone()) {
            self.lock(&from, LockMode::AccessShare);
        }
        for table in std::iter::once(child.clone()).chain(self.catalog().descendants(child)) {
            self.clone_triggers(&table, &triggers)?;
        }
        Ok(())
    }

    fn clone_triggers(&mut self, child: &QualifiedName, triggers: &[Trigger]) -> Step {
        let own = self.table(child);
        for trigger in triggers {
            if own.triggers.iter().any(|known| known.name == trigger.name) {
                return refuse(
                    "42710",
                    format!("trigger \"{}\" for relation \"{}\" already exists", trigger.name, child.name),
                );
            }
            if trigger.constraint.as_ref().is_some_and(|constraint| own.has_constraint(constraint.as_str())) {
                return same_constraint_name();
            }
        }
        self.catalog_mut().edit_table(child, |table| table.triggers.extend(triggers.iter().cloned()));
        Ok(())
    }

    /// A trigger for each row that sees all rows of its statement is for tables that are no part of another one.
    fn check_transition_triggers(&self, child: &QualifiedName, what: &str) -> Step {
        let table = self.table(child);
        // Before 13 those of statements, too.
        let counts = |row: bool| row || !self.version.at_least(13);
        let own = table.triggers.iter().find(|trigger| trigger.transition_tables && counts(trigger.for_each_row));
        match own {
            Some(trigger) => refuse(
                "0A000",
                format!("trigger \"{}\" prevents table \"{}\" from becoming {what}", trigger.name, child.name),
            ),
            None => Ok(()),
        }
    }

    /// What is unique in the parent would not be in a foreign table, which has no indexes.
    pub(super) fn refuse_foreign_part(&self, child: &Table, parent: &QualifiedName, made: bool) -> Step {
        if !child.foreign || !self.catalog().indexes_of(parent).iter().any(|index| index.unique) {
            return Ok(());
        }
        let what = if made {
            "cannot create foreign partition of partitioned table".to_owned()
        } else {
            format!("cannot attach foreign table \"{}\" as partition of partitioned table", child.name.name)
        };
        refuse("42809", format!("{what} \"{}\"", parent.name))
    }

    /// Each index of the parent is attached where the partition has one like it, and built where it has not.
    pub(super) fn clone_parent_indexes(&mut self, child: &QualifiedName, parent: &QualifiedName) -> Step {
        let parent_table = self.table(parent);
        for index in &parent_table.indexes {
            if self.table(child).foreign {
                continue;
            }
            let parent_index = parent.sibling(index.name.clone());
            self.lock(&parent_index, LockMode::ShareUpdateExclusive);
            if self.matching_child_index(child, parent, &index.name, true).is_some() {
                continue;
            }
            if index.constraint {
                let Some(constraint) = parent_table.constraint(index.name.as_str()) else { continue };
                let (kind, include, nulls_not_distinct) = match &constraint.kind {
                    ConstraintKind::PrimaryKey { columns, include } => {
                        (KeyKind::Primary(columns.clone()), include.clone(), false)
                    }
                    ConstraintKind::Unique { columns, include, nulls_not_distinct } => {
                        (KeyKind::Unique(columns.clone()), include.clone(), *nulls_not_distinct)
                    }
                    ConstraintKind::Exclude { elements, predicate } => (
                        KeyKind::Exclude {
                            method: index.method.clone(),
                            elements: elements.clone(),
                            predicate: predicate.clone(),
                        },
                        Vec::new(),
                        false,
                    ),
                    _ => continue,
                };
                let key = Key {
                    name: None,
                    kind,
                    include,
                    nulls_not_distinct,
                    without_overlaps: of_ranges(&parent_table, constraint),
                    options: index.options.clone(),
                    attributes: ConstraintAttributes { ..constraint.attributes },
                    inherited: true,
                    only: false,
                    parent: Some(parent_index),
                };
                self.add_key(child, &key, false)?;
            } else {
                let columns = naming::index_column_names(&index.elements, &index.include, self.version);
                let addition = naming::columns_part(columns.iter().map(String::as_str));
                let name = naming::relation_name(self.catalog(), child, Some(&addition), "idx", false).name;
                let copy = Index { name, parent: Some(parent_index), valid: true, ..index.clone() };
                self.make_index(child, &copy, true);
            }
        }
        Ok(())
    }

    pub(super) fn detach_partition(
        &mut self,
        name: &QualifiedName,
        partition: &QualifiedName,
        concurrently: bool,
        finalize: bool,
    ) -> Step {
        if concurrently || finalize {
            self.since(14, if concurrently { "CONCURRENTLY" } else { "FINALIZE" })?;
        }
        let table = self.table(name);
        if table.partition_by.is_none() && !table.assumed && (!finalize || self.version.at_least(18)) {
            let action = if finalize { "DETACH PARTITION ... FINALIZE" } else { "DETACH PARTITION" };
            return self.not_partitioned(action, name);
        }
        let default = self.table(name).children.iter().find_map(|child| {
            matches!(&self.table(child).partition_of, Some((_, PartitionBound::Default))).then(|| child.clone())
        });
        if concurrently && default.is_some() {
            return refuse("55000", "cannot detach partitions concurrently when a default partition exists");
        }
        let child = self.open(partition)?;
        if let Some(default) = &default {
            self.lock(default, LockMode::AccessExclusive);
        }
        // The keys that the partition had from its parent become its own; 13 and 14 lose those to partitioned tables, with
        // their triggers.
        let mut lost = Vec::new();
        for constraint in &self.table(&child).constraints {
            if let ConstraintKind::ForeignKey(key) = &constraint.kind
                && constraint.inherited
            {
                if matches!(self.version.major, 13 | 14) && self.table(&key.table).partition_by.is_some() {
                    lost.push(constraint.name.clone());
                } else if self.version.at_least(13) {
                    self.lock_referenced(&key.table);
                } else {
                    self.lock(&key.table.clone(), LockMode::ShareRowExclusive);
                }
            }
        }
        if finalize {
            // A detachment that was broken off is not kept here.
            self.may_fail(&child, "55000", format!("no detachment of {child} was broken off"));
        }
        let child_table = self.table(&child);
        if finalize && table.partition_by.is_none() && !table.assumed {
            return refuse(
                "42P01",
                format!("relation \"{}\" is not a parent of relation \"{}\"", name.name, child.name),
            );
        }
        let attached = child_table.partition_of.as_ref().is_some_and(|(parent, _)| parent == name);
        if !attached && !child_table.assumed && !self.table(name).assumed {
            return refuse(
                "42P01",
                format!("relation \"{}\" is not a partition of relation \"{}\"", child.name, name.name),
            );
        }
        if !concurrently {
            self.check_not_in_use(name, "ALTER TABLE")?;
            self.check_not_in_use(&child, "ALTER TABLE")?;
        }
        // Before 14 the partition itself is only kept from other schema changes.
        let strong = self.version.at_least(14) || !lost.is_empty();
        self.lock(&child, if strong { LockMode::AccessExclusive } else { LockMode::ShareUpdateExclusive });
        // What the partition is divided into is told of it (all branches since October 2021).
        for below in self.catalog().descendants(&child) {
            self.lock(&below, LockMode::AccessExclusive);
        }
        if concurrently {
            self.effects.waits_for = Some(Waits::UsersOfTable);
            self.detached.insert(child.clone());
        }
        self.detach_references(name, &child);
        self.drop_cloned_triggers(name, &child);
        for index in self.table(&child).indexes.iter().filter(|index| index.parent.is_some()) {
            self.lock(&child.sibling(index.name.clone()), LockMode::AccessExclusive);
        }
        if concurrently {
            self.keep_bound_as_check(name, &child);
        }
        for name in std::iter::once(child.clone()).chain(self.catalog().descendants(&child)) {
            self.catalog_mut().edit_table(&name, |table| {
                table.constraints.retain(|constraint| !(constraint.inherited && lost.contains(&constraint.name)));
            });
        }
        self.forget_part_keys(&child);
        self.catalog_mut().edit_table(name, |table| table.children.retain(|known| *known != child));
        self.share_identity(&child, &[]);
        self.catalog_mut().edit_table(&child, |table| {
            table.partition_of = None;
            for column in &mut table.columns {
                column.inherited = false;
            }
            for constraint in &mut table.constraints {
                constraint.inherited = false;
            }
            for index in &mut table.indexes {
                index.parent = None;
            }
        });
        if self.version.at_least(13) {
            self.add_part_keys_of(&child);
        }
        Ok(())
    }

    /// Since 17 a partition and what is under it have the identity columns of the parent, and those alone.
    fn share_identity(&mut self, child: &QualifiedName, columns: &[Column]) {
        if !self.version.at_least(17) {
            return;
        }
        for name in std::iter::once(child.clone()).chain(self.partitions(child)) {
            self.catalog_mut().edit_table(&name, |table| {
                for own in &mut table.columns {
                    let shared = columns.iter().find(|column| column.name == own.name);
                    own.identity = shared.and_then(|column| column.identity.clone());
                }
            });
        }
    }

    /// A partition's copies of its parent's triggers go with their own copies below.
    fn drop_cloned_triggers(&mut self, parent: &QualifiedName, child: &QualifiedName) {
        let cloned: Vec<Ident> = self
            .table(parent)
            .triggers
            .iter()
            .filter(|trigger| trigger.for_each_row)
            .map(|trigger| trigger.name.clone())
            .collect();
        for name in std::iter::once(child.clone()).chain(self.catalog().descendants(child)) {
            if self.table(&name).triggers.iter().any(|trigger| cloned.contains(&trigger.name)) {
                self.lock(&name, LockMode::AccessExclusive);
                self.catalog_mut()
                    .edit_table(&name, |table| table.triggers.retain(|trigger| !cloned.contains(&trigger.name)));
            }
        }
    }

    /// `DetachAddConstraintIfNeeded`: whoever still plans with the partition relies on its bound.
    fn keep_bound_as_check(&mut self, parent: &QualifiedName, child: &QualifiedName) {
        let table = self.table(child);
        let Some((_, bound @ PartitionBound::Values(text))) = &table.partition_of else { return };
        // The bounds of the parents come first.
        let mut levels = vec![(parent.clone(), bound.clone())];
        let mut current = parent.clone();
        while let Some((above, bound)) = self.table(&current).partition_of.clone() {
            levels.insert(0, (above.clone(), bound));
            current = above;
        }
        if levels.iter().all(|(parent, bound)| self.rows_fit(child, parent, bound)) {
            return;
        }
        let mut terms = Vec::new();
        for (parent, bound) in &levels {
            let Some(level) = self.terms_of_bound(parent, bound) else { return };
            terms.extend(level);
        }
        let whole = match terms.len() {
            1 => terms.remove(0),
            _ => ExprNode::And(terms),
        };
        let expr = crate::expr::SqlExpr::new(text.clone(), whole);
        let check = Check { name: None, expr, no_inherit: false, attributes: ConstraintAttributes::default() };
        // A name is always free, and the columns are the table's.
        let Ok(chosen) = self.add_check(child, &check) else { return };
        for below in self.catalog().descendants(child) {
            let _ = self.add_check(&below, &Check { name: Some(chosen.clone()), ..check.clone() });
            self.catalog_mut().edit_table(&below, |table| {
                for added in table.constraints.iter_mut().filter(|known| known.name == chosen) {
                    added.inherited = true;
                }
            });
        }
    }

    /// `get_qual_for_range` and `get_qual_for_list` of one key that is a column.
    fn terms_of_bound(&self, parent: &QualifiedName, bound: &PartitionBound) -> Option<Vec<ExprNode>> {
        let partition_by = self.table(parent).partition_by.clone()?;
        let PartitionBound::Values(text) = bound else { return None };
        let (Some(column), true) = (partition_by.columns.first(), partition_by.expressions.is_empty()) else {
            return None;
        };
        let key = || ExprNode::Column { qualifier: None, name: column.clone() };
        // A bound is a constant of the key's type.
        let data_type = self.table(parent).column(column.as_str()).map(|column| column.data_type.clone());
        let plain = data_type.as_ref().is_none_or(|data_type| data_type.is("int4"));
        let constant = |literal: &Literal| match literal {
            Literal::Number(number) if !plain => ExprNode::Text(number.to_string()),
            Literal::Number(number) => ExprNode::Number(number.to_string()),
            Literal::Text(text) => ExprNode::Text(text.clone()),
        };
        let bound_type = data_type.as_ref().filter(|data_type| {
            !data_type.modifiers.is_empty()
                || crate::cast::operator_class_type(self.catalog(), data_type).name != data_type.name
        });
        let infix = |operator: &str, literal: &Literal| match bound_type {
            // With its length, or beside another type, the constant is none that could be written.
            Some(data_type) => ExprNode::Other {
                form: None,
                text: format!(
                    "({} {operator} {})",
                    self.shown_key(column, data_type),
                    crate::deparse::constant_of(&literal.text(), &self.visible(data_type))
                ),
                parts: vec![key()],
                words: false,
            },
            None => ExprNode::Infix {
                operator: operator.to_owned(),
                left: Box::new(key()),
                right: Box::new(constant(literal)),
            },
        };
        let is_null = |negated| ExprNode::IsNull { expr: Box::new(key()), negated };
        Some(match read_bound(text) {
            Bound::Range(from, to) => {
                let not_null = |column: &Ident| ExprNode::IsNull {
                    expr: Box::new(ExprNode::Column { qualifier: None, name: column.clone() }),
                    negated: true,
                };
                let mut terms: Vec<ExprNode> = partition_by.columns.iter().map(not_null).collect();
                let several = partition_by.columns.len() > 1;
                if several && from.first() == to.first() {
                    return None;
                }
                for (least, greatest, edge) in [(">=", ">", &from), ("<", "<=", &to)] {
                    // The edge is where the first column has its value: all of its rows are inside, or none.
                    let operator = match edge.split_first() {
                        Some((Edge::Value(_), rest)) if rest.iter().all(|edge| *edge == Edge::Least) => least,
                        Some((Edge::Value(_), rest)) if rest.iter().all(|edge| *edge == Edge::Greatest) => greatest,
                        Some((Edge::Value(_), _)) => return None,
                        _ => continue,
                    };
                    terms.extend(edge.first().and_then(Edge::value).map(|literal| infix(operator, literal)));
                }
                terms
            }
            Bound::List(..) if partition_by.columns.len() > 1 => return None,
            Bound::List(values, null) => {
                let equal = match values.as_slice() {
                    [] => None,
                    [only] => Some(infix("=", only)),
                    many => Some(self.among(parent, column, many)),
                };
                match (equal, null) {
                    (None, _) => vec![is_null(false)],
                    (Some(equal), true) => vec![ExprNode::Or(vec![is_null(false), equal])],
                    (Some(equal), false) => vec![is_null(true), equal],
                }
            }
            Bound::Hash(..) | Bound::Unknown => return None,
        })
    }

    /// The key of a partitioned table, taken for the type that its operators are for.
    fn shown_key(&self, column: &Ident, data_type: &DataType) -> String {
        let key = quoted_if_needed(column);
        let class = crate::cast::operator_class_type(self.catalog(), data_type);
        let own =
            matches!(self.catalog().user_type(&class.name).map(|known| &known.kind), Some(UserTypeKind::Defined(_)));
        if class.name == data_type.name || own { key } else { format!("({key})::{class}") }
    }

    /// `key = ANY ('{…}')`: the constants of a list bound are folded into one array.
    fn among(&self, parent: &QualifiedName, column: &Ident, values: &[Literal]) -> ExprNode {
        let key = ExprNode::Column { qualifier: None, name: column.clone() };
        let plain = |text: &str| {
            !text.is_empty()
                && !text.eq_ignore_ascii_case("null")
                && text.chars().all(|c| !c.is_whitespace() && !matches!(c, '{' | '}' | ',' | '"' | '\\'))
        };
        let data_type = self.table(parent).column(column.as_str()).map(|column| column.data_type.clone());
        let element = data_type.unwrap_or_else(|| DataType::named("text"));
        let shown = |literal: &Literal| match crate::deparse::output_of(&literal.text(), &element) {
            text if plain(&text) => text,
            text => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        };
        let list = values.iter().map(shown).collect::<Vec<_>>().join(",");
        let shown_key = self.shown_key(column, &element);
        let text = format!(
            "({shown_key} = ANY ({}::{}))",
            crate::quote_literal(&format!("{{{list}}}")),
            self.visible(&element).array()
        );
        ExprNode::Other { text, parts: vec![key], words: false, form: None }
    }

    /// Rows elsewhere that reference the partition forbid its leaving, so they are looked for.
    fn detach_references(&mut self, name: &QualifiedName, child: &QualifiedName) {
        for (referencing, constraint, key) in self.keys_into(name) {
            // Version 12 has nothing for partitions that came to a table which references itself.
            let reaches = |part: &PartKey| part.key == constraint.name && part.partition == *child;
            if !self.version.at_least(13) && !self.table(&referencing).part_keys.iter().any(reaches) {
                continue;
            }
            self.may_fail(child, "23503", format!("a row of {referencing} references one of {child}"));
            self.lock(&referencing, LockMode::AccessExclusive);
            // Before 15 what is divided has no action triggers, which are removed (`addFkRecurseReferenced`).
            if self.version.at_least(15) || self.table(child).partition_by.is_none() {
                self.lock(child, LockMode::AccessExclusive);
            }
            self.plan(&referencing, LockMode::AccessShare, true);
            self.plan(child, LockMode::AccessShare, true);
            // The rows are told by the partition's whole bound.
            self.read_bound_of(child);
            for below in std::iter::once(referencing.clone()).chain(self.catalog().descendants(&referencing)) {
                self.scan(&below);
            }
            // The rows of the partition may be found by its key.
            for below in std::iter::once(child.clone()).chain(self.catalog().descendants(child)) {
                if self.has_storage(&below) && !self.is_empty(&below) {
                    self.maybe(&below, UncertainEffect::Scan, "the planner reads it whole instead of by its key");
                }
            }
            let index = self.table(child).constraints.iter().find_map(|constraint| match &constraint.kind {
                ConstraintKind::PrimaryKey { columns, .. } | ConstraintKind::Unique { columns, .. }
                    if super::drop::same_set(columns, &key.references) =>
                {
                    Some(child.sibling(constraint.name.clone()))
                }
                _ => None,
            });
            if let Some(index) = index {
                self.lock(&index, LockMode::AccessExclusive);
            }
        }
    }

    pub(super) fn inherit(&mut self, name: &QualifiedName, parent: &QualifiedName, queue: &mut Queue) -> Step {
        let table = self.table(name);
        let parent = self.open(parent)?;
        self.need_table_to_attach(&parent, "INHERIT")?;
        self.lock(&parent, LockMode::ShareUpdateExclusive);
        self.check_parent(&parent).map_err(|refusal| {
            // CREATE TABLE names the partition.
            let of_partition = self.table(&parent).partition_of.is_some() && self.table(&parent).partition_by.is_none();
            let message = "cannot inherit from a partition".to_owned();
            if of_partition { crate::effects::Refusal { message, ..refusal } } else { refusal }
        })?;
        let parent_table = self.table(&parent);
        let below = self.catalog().descendants(name);
        for child in &below {
            self.lock(child, LockMode::AccessShare);
        }
        if parent == *name || below.contains(&parent) {
            return refuse("42P07", "circular inheritance not allowed");
        }
        if table.inherits.contains(&parent) {
            return refuse("42P07", format!("relation \"{}\" would be inherited from more than once", parent.name));
        }
        self.check_transition_triggers(name, "an inheritance child")?;
        self.check_child_columns(&table, &parent_table)?;
        self.check_inherited_constraints(name, &parent)?;
        queue.entry(name.clone()).or_default();
        self.catalog_mut().edit_table(&parent, |table| table.children.push(name.clone()));
        let columns: Vec<Ident> = parent_table.columns.iter().map(|column| column.name.clone()).collect();
        self.catalog_mut().edit_table(name, |table| {
            table.inherits.push(parent.clone());
            for column in table.columns.iter_mut().filter(|column| columns.contains(&column.name)) {
                column.own |= !column.inherited;
                column.inherited = true;
            }
        });
        self.adopt_constraints(name, &parent);
        Ok(())
    }

    pub(super) fn no_inherit(&mut self, name: &QualifiedName, parent: &QualifiedName) -> Step {
        if self.table(name).partition_of.is_some() {
            return refuse("42809", "cannot change inheritance of a partition");
        }
        let parent = self.open(parent)?;
        self.lock(&parent, LockMode::AccessShare);
        let table = self.table(name);
        if !table.inherits.contains(&parent) && !table.assumed {
            let (child, parent, partitioned) = (&name.name, &parent.name, self.table(&parent).partition_by.is_some());
            return refuse(
                "42P01",
                if partitioned {
                    format!("relation \"{child}\" is not a partition of relation \"{parent}\"")
                } else {
                    format!("relation \"{parent}\" is not a parent of relation \"{child}\"")
                },
            );
        }
        self.catalog_mut().edit_table(&parent, |table| table.children.retain(|child| child != name));
        let others: Vec<Arc<Table>> =
            table.inherits.iter().filter(|known| **known != parent).map(|known| self.table(known)).collect();
        self.catalog_mut().edit_table(name, |table| {
            table.inherits.retain(|known| *known != parent);
            for column in &mut table.columns {
                column.inherited &= others.iter().any(|other| other.column(column.name.as_str()).is_some());
                column.own &= column.inherited;
            }
            for constraint in &mut table.constraints {
                constraint.inherited &= others.iter().any(|other| passes_on(other, constraint));
                constraint.own &= constraint.inherited;
            }
        });
        Ok(())
    }

    fn not_partitioned(&self, action: &str, name: &QualifiedName) -> Step {
        if self.version.at_least(18) {
            refuse("42809", not_for_relation(action, name))
        } else {
            refuse("42P17", format!("table \"{}\" is not partitioned", name.name))
        }
    }

    /// `ALTER INDEX parent ATTACH PARTITION child`.
    pub(super) fn attach_index(
        &mut self,
        parent_index: &QualifiedName,
        child_index: &QualifiedName,
        bounded: bool,
    ) -> Step {
        if let Some(Relation::Index { table }) = self.catalog().relation(parent_index)
            && self.has_storage(table)
        {
            if !self.version.at_least(13) {
                return refuse("42P17", format!("index \"{}\" is not partitioned", parent_index.name));
            }
            return refuse(
                "42809",
                if self.version.at_least(15) {
                    not_for_relation("ATTACH PARTITION", parent_index)
                } else {
                    format!("\"{}\" is not a table or partitioned index", parent_index.name)
                },
            );
        }
        // Version 12 passes over the bound.
        if bounded && self.version.at_least(13) {
            return refuse("42P17", format!("\"{}\" is not a partitioned table", parent_index.name));
        }
        let Some(child_index) = self.find(child_index) else {
            return refuse("42P01", format!("relation \"{}\" does not exist", child_index.name));
        };
        let table_of = |run: &Self, index: &QualifiedName| match run.catalog().relation(index) {
            Some(Relation::Index { table }) => Some(table.clone()),
            _ => None,
        };
        let (Some(parent), Some(child)) = (table_of(self, parent_index), table_of(self, &child_index)) else {
            return refuse("42P17", format!("\"{}\" is not an index", child_index.name));
        };
        self.lock(parent_index, LockMode::ShareUpdateExclusive);
        self.lock(&child_index, LockMode::AccessExclusive);
        self.lock(&parent, LockMode::AccessShare);
        self.lock(&child, LockMode::AccessShare);
        let attached = child_index.name.clone();
        let (parent_table, child_table) = (self.table(&parent), self.table(&child));
        if let (Some(wanted), Some(known)) =
            (parent_table.index(parent_index.name.as_str()), child_table.index(attached.as_str()))
            && known.parent.as_ref() != Some(parent_index)
        {
            let message =
                format!("cannot attach index \"{attached}\" as a partition of index \"{}\"", parent_index.name);
            let of_parent = child_table.partition_of.as_ref().is_some_and(|(of, _)| *of == parent);
            let another = child_table.indexes.iter().any(|index| index.parent.as_ref() == Some(parent_index));
            if another || known.parent.is_some() || !of_parent {
                return refuse("55000", message);
            }
            if !super::create_index::matches(self.catalog(), (&child_table, known), (&parent_table, wanted))
                || (wanted.constraint && !known.constraint)
            {
                return refuse("42P17", message);
            }
        }
        self.catalog_mut().edit_table(&child, |table| {
            for index in table.indexes.iter_mut().filter(|index| index.name == attached) {
                index.parent = Some(parent_index.clone());
            }
        });
        self.validate_whole_index(&parent, &parent_index.name);
        Ok(())
    }

    /// `validatePartitionedIndex`: it is valid once every partition has a valid one of its own, and so on upwards.
    fn validate_whole_index(&mut self, name: &QualifiedName, index: &Ident) {
        let whole = name.sibling(index.clone());
        let has_part = |child: &QualifiedName| {
            self.table(child).indexes.iter().any(|part| part.parent.as_ref() == Some(&whole) && part.valid)
        };
        let table = self.table(name);
        if !table.children.iter().all(has_part) {
            return;
        }
        let Some(known) = table.index(index.as_str()).filter(|known| !known.valid) else { return };
        self.set_valid(name, index, true);
        if let Some(Relation::Index { table }) = known.parent.as_ref().and_then(|above| self.catalog().relation(above))
            && let Some(above) = &known.parent
        {
            let table = table.clone();
            self.validate_whole_index(&table, &above.name);
        }
    }

    /// Whether the table's valid constraints imply the bound, so that no row has to be looked at.
    fn rows_fit(&self, table: &QualifiedName, parent: &QualifiedName, bound: &PartitionBound) -> bool {
        if matches!(bound, PartitionBound::Default) {
            return self.rows_fit_nowhere_else(table, parent);
        }
        let (Some(partition_by), PartitionBound::Values(text)) = (&self.table(parent).partition_by, bound) else {
            return false;
        };
        let known = self.table(table);
        let facts = proof::facts(&known);
        let not_null = |column: &Ident| {
            known.column(column.as_str()).is_some_and(|known| known.not_null)
                && not_null_constraint(&known, column).is_none_or(|constraint| constraint.valid)
                || proof::not_null(&known, column)
        };
        let Some(key) = key_column(self.catalog(), &self.table(parent), partition_by) else { return false };
        fits(&facts, &not_null, &key, &read_bound(text))
    }

    /// The bound of a default partition: the rows belong to none of the others.
    fn rows_fit_nowhere_else(&self, table: &QualifiedName, parent: &QualifiedName) -> bool {
        let others = self.table(parent).children.clone();
        let mut bounds =
            others.iter().filter(|other| *other != table).filter_map(|other| self.table(other).partition_of.clone());
        bounds.all(|(_, bound)| self.default_excludes(table, parent, &bound))
    }

    /// Whether the default partition's valid constraints exclude every row of the bound.
    pub(super) fn default_excludes(
        &self,
        default: &QualifiedName,
        parent: &QualifiedName,
        bound: &PartitionBound,
    ) -> bool {
        let (Some(partition_by), PartitionBound::Values(text)) = (&self.table(parent).partition_by, bound) else {
            return false;
        };
        let known = self.table(default);
        let bound = read_bound(text);
        let facts = proof::facts(&known);
        let Some(key) = key_column(self.catalog(), &self.table(parent), partition_by) else { return false };
        let negated = facts.iter().any(|fact| {
            let ExprNode::Not(inner) = fact else { return false };
            let mut terms = Vec::new();
            proof::conjuncts(inner, &mut terms);
            // NOT (a AND b) excludes the bound where the bound implies a and b.
            matches!(&bound, Bound::Range(from, to)
                if matches!((from.as_slice(), to.as_slice()), ([Edge::Value(from)], [Edge::Value(to)])
                    if key.implied_between(&terms, from, to)))
        });
        if negated {
            return true;
        }
        match &bound {
            Bound::List(values, with_null) => {
                let not_null = || {
                    known.column(key.column.as_str()).is_some_and(|column| column.not_null)
                        || proof::not_null(&known, key.column)
                };
                !values.is_empty()
                    && values.iter().all(|value| key.excludes(&facts, value))
                    && (!with_null || not_null())
            }
            Bound::Range(from, to) => match (from.as_slice(), to.as_slice()) {
                ([from], [to]) => key.outside(&facts, from.value(), to.value()),
                _ => false,
            },
            Bound::Hash(..) | Bound::Unknown => false,
        }
    }
}

/// What the values of a bound are, column by column; those of an expression are not known.
fn kinds_of_key(catalog: &Catalog, table: &Table) -> Vec<Kind> {
    let Some(partition_by) = table.partition_by.as_ref().filter(|by| by.expressions.is_empty()) else {
        return Vec::new();
    };
    let kind = |column: &Ident| match table.column(column.as_str()) {
        Some(known) => Kind::of(catalog, &known.data_type),
        None => Kind::Other,
    };
    partition_by.columns.iter().map(kind).collect()
}

/// The key that is one column.
fn key_column<'a>(catalog: &Catalog, table: &Table, partition_by: &'a PartitionBy) -> Option<KeyColumn<'a>> {
    let ([column], true) = (partition_by.columns.as_slice(), partition_by.expressions.is_empty()) else {
        return None;
    };
    Some(KeyColumn { column, kind: kinds_of_key(catalog, table).into_iter().next()? })
}

/// Whether the facts keep every row of the partition out, so that a plan does not open it (`prune_append_rel_partitions`).
pub(crate) fn is_pruned(catalog: &Catalog, facts: &[&ExprNode], partition: &Table) -> bool {
    let Some((parent, PartitionBound::Values(text))) = &partition.partition_of else { return false };
    let Some(parent) = catalog.table(parent) else { return false };
    let Some(partition_by) = &parent.partition_by else { return false };
    let Some(key) = key_column(catalog, parent, partition_by) else { return false };
    match read_bound(text) {
        Bound::List(values, with_null) => {
            values.iter().all(|value| key.excludes(facts, value)) && (!with_null || key.refuse_null(facts))
        }
        Bound::Range(from, to) => match (from.as_slice(), to.as_slice()) {
            ([from], [to]) => key.outside(facts, from.value(), to.value()),
            _ => false,
        },
        Bound::Hash(..) | Bound::Unknown => false,
    }
}

/// Whether the parent has the constraint that a child has, and children have it too.
fn passes_on(parent: &Table, constraint: &Constraint) -> bool {
    match &constraint.kind {
        ConstraintKind::NotNull { column, .. } => not_null_constraint(parent, column)
            .is_some_and(|known| matches!(known.kind, ConstraintKind::NotNull { no_inherit: false, .. })),
        _ => parent
            .constraint(constraint.name.as_str())
            .is_some_and(|known| matches!(known.kind, ConstraintKind::Check { no_inherit: false, .. })),
    }
}

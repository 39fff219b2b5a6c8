//! ALTER TABLE … ADD, ALTER, VALIDATE and DROP CONSTRAINT (`ATExecAddConstraint`, `ATExecAlterConstraint`,
//! `ATExecValidateConstraint`, `ATExecDropConstraint`).

use super::alter_table::{Late, LateConstraint, Queue};
use super::column::not_for_partitioned;
use super::create_table::{Check, Key, KeyKind, NotNull, Parts};
use super::not_null::not_null_constraint;
use super::{Run, Step, refuse};
use crate::catalog::{ConstraintKind, ForeignKey, Relation};
use crate::data_type::quoted_if_needed;
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{AlterTableAction, DropBehavior, KeyConstraint, TableConstraint, TableConstraintKind};

impl Run {
    pub(super) fn add_constraint(
        &mut self,
        name: &QualifiedName,
        constraint: &TableConstraint,
        only: bool,
        mode: LockMode,
        late: &mut Late,
        queue: &mut Queue,
    ) -> Step {
        let mut parts = Parts::default();
        if self.version.at_least(18) {
            self.tree(only, name, mode);
        }
        match &constraint.kind {
            TableConstraintKind::Check { expr, .. } => {
                self.check_new_enum_expr(&expr.node, Some(&self.table(name)), None)?;
                Self::table_constraint(&mut parts, constraint);
                late.constraints.extend(parts.checks.into_iter().map(|check| LateConstraint::Check { check, only }));
                Ok(())
            }
            TableConstraintKind::Unique(key) | TableConstraintKind::PrimaryKey(key) if key.using_index.is_some() => {
                self.add_key_using_index(name, constraint, key, only, queue)
            }
            TableConstraintKind::Unique(_)
            | TableConstraintKind::PrimaryKey(_)
            | TableConstraintKind::Exclude { .. } => {
                Self::table_constraint(&mut parts, constraint);
                for key in parts.keys {
                    self.add_key_to(name, &Key { only, ..key }, mode, queue)?;
                }
                Ok(())
            }
            TableConstraintKind::ForeignKey { .. } => {
                Self::table_constraint(&mut parts, constraint);
                late.constraints.extend(parts.foreign_keys.into_iter().map(|key| LateConstraint::ForeignKey {
                    key,
                    only,
                    validate: true,
                }));
                Ok(())
            }
            TableConstraintKind::NotNull { column, no_inherit } => {
                if *no_inherit && self.table(name).partition_by.is_some() {
                    return not_for_partitioned();
                }
                let not_null = NotNull {
                    name: constraint.name.clone(),
                    column: column.clone(),
                    no_inherit: *no_inherit,
                    valid: !constraint.attributes.not_valid,
                };
                self.add_not_null_constraint(name, &not_null, !only, mode, queue)
            }
        }
    }

    pub(super) fn add_check_to_tree(
        &mut self,
        name: &QualifiedName,
        check: &Check,
        mode: LockMode,
        queue: &mut Queue,
        descend: bool,
    ) -> Step {
        let inherited = check.name.as_ref().and_then(|given| {
            let table = self.table(name);
            let known = table.constraint(given.truncated().as_str()).filter(|known| known.inherited && !known.own)?;
            (table.partition_of.is_none() && matches!(known.kind, ConstraintKind::Check { .. })).then(|| known.clone())
        });
        if let Some(inherited) = inherited {
            // A definition of its own beside the one that it has from its parent.
            return self.merge_check(name, check, &inherited, true);
        }
        let chosen = self.add_check(name, check)?;
        let checks_rows = !check.attributes.not_valid && check.attributes.enforced;
        if checks_rows {
            queue.entry(name.clone()).or_default().verify = true;
        }
        if check.no_inherit || !descend {
            return Ok(());
        }
        let below = Check { name: Some(chosen), ..check.clone() };
        for child in self.catalog().descendants(name) {
            self.lock(&child, mode);
            let table = self.table(&child);
            if let Some(existing) = below.name.as_ref().and_then(|name| table.constraint(name.as_str())) {
                self.merge_check(&child, &below, &existing.clone(), false)?;
                continue;
            }
            self.add_check(&child, &below)?;
            let constraint = below.name.clone();
            self.catalog_mut().edit_table(&child, |table| {
                if let Some(added) = table.constraints.last_mut()
                    && Some(&added.name) == constraint.as_ref()
                {
                    added.inherited = true;
                }
            });
            if checks_rows {
                queue.entry(child).or_default().verify = true;
            }
        }
        Ok(())
    }

    pub(super) fn add_key_to(&mut self, name: &QualifiedName, key: &Key, mode: LockMode, queue: &mut Queue) -> Step {
        if let KeyKind::Primary(columns) = &key.kind {
            let table = self.table(name);
            if self.version.at_least(18) {
                self.check_not_nulls_of_key(&table, columns, key.only, mode)?;
            }
            let nullable: Vec<Ident> = columns
                .iter()
                .filter(|column| table.column(column.as_str()).is_some_and(|column| !column.not_null))
                .cloned()
                .collect();
            // Of a partitioned table the children cannot be nullable where the parent is not.
            let reaches_children = self.version.at_least(18) || !nullable.is_empty() || table.partition_by.is_none();
            if key.only && table.partition_by.is_some() && !self.version.at_least(18) {
                self.need_not_null_below(name, &nullable, mode)?;
            }
            let tables = self.tree(key.only || !reaches_children, name, mode);
            // A column of this very statement was just made: its check of NULLs is the column's.
            for column in &nullable {
                if self.version.at_least(18) {
                    // Below ONLY the table, too.
                    self.tree(false, name, mode);
                    self.add_not_null_constraint(name, &NotNull::plain(column), true, mode, queue)?;
                } else {
                    self.set_not_null_flags(&tables, column, queue)?;
                }
            }
        }
        self.add_key(name, key, false)?;
        Ok(())
    }

    fn add_key_using_index(
        &mut self,
        name: &QualifiedName,
        constraint: &TableConstraint,
        key: &KeyConstraint,
        only: bool,
        queue: &mut Queue,
    ) -> Step {
        let Some(index_name) = &key.using_index else { return Ok(()) };
        let table = self.table(name);
        let Some(index) = table.index(index_name.as_str()).cloned() else {
            if table.is_vague() {
                return Ok(());
            }
            let other = self.find(&name.sibling(index_name.clone()));
            let of_constraint = other.as_ref().and_then(|other| self.catalog().index(other));
            if of_constraint.is_some_and(|(_, index)| index.constraint) {
                return refuse("55000", format!("index \"{index_name}\" is already associated with a constraint"));
            }
            return match other {
                Some(other) if !matches!(self.catalog().relation(&other), Some(Relation::Index { .. })) => {
                    refuse("42809", format!("\"{index_name}\" is not an index"))
                }
                Some(_) => {
                    refuse("55000", format!("index \"{index_name}\" does not belong to table \"{}\"", name.name))
                }
                None => refuse("42704", format!("index \"{index_name}\" does not exist")),
            };
        };
        if index.constraint {
            return refuse("55000", format!("index \"{index_name}\" is already associated with a constraint"));
        }
        if !index.valid {
            return refuse("55000", format!("index \"{index_name}\" is not valid"));
        }
        if !index.unique {
            return refuse("42809", format!("\"{index_name}\" is not a unique index"));
        }
        let mut columns = Vec::new();
        for element in &index.elements {
            match &element.key {
                crate::statement::IndexKey::Column(column) => columns.push(column.clone()),
                crate::statement::IndexKey::Expr(_) => {
                    return refuse("42809", format!("index \"{index_name}\" contains expressions"));
                }
            }
        }
        if index.predicate.is_some() {
            return refuse("42809", format!("\"{index_name}\" is a partial index"));
        }
        if index.method != "btree" {
            return refuse("42809", format!("index \"{index_name}\" is not a btree"));
        }
        for (position, element) in index.elements.iter().enumerate() {
            let sorted_otherwise = element.descending || element.nulls_first == Some(true);
            if sorted_otherwise
                || element.opclass.is_some()
                || (element.collation.is_some() && self.version.at_least(13))
            {
                return refuse(
                    "42809",
                    format!(
                        "index \"{index_name}\" column number {} does not have default sorting behavior",
                        position + 1
                    ),
                );
            }
        }
        let primary = matches!(constraint.kind, TableConstraintKind::PrimaryKey(_));
        if primary && index.nulls_not_distinct && self.version.at_least(16) {
            return refuse("42P16", "primary keys cannot use NULLS NOT DISTINCT indexes");
        }
        if primary && table.primary_key().is_some() {
            return super::create_table::multiple_primary_keys(name);
        }
        if table.partition_by.is_some() {
            return refuse("0A000", "ALTER TABLE / ADD CONSTRAINT USING INDEX is not supported on partitioned tables");
        }
        let new_name = constraint.name.as_ref().map_or_else(|| index_name.clone(), Ident::truncated);
        let old_name = name.sibling(index_name.clone());
        if new_name == *index_name {
            self.lock(&old_name, LockMode::AccessShare);
        } else {
            if self.catalog().relation(&name.sibling(new_name.clone())).is_some() {
                return refuse("42P07", format!("relation \"{new_name}\" already exists"));
            }
            self.lock(&old_name, LockMode::ShareUpdateExclusive);
            self.rename_index(name, index_name, &new_name);
        }
        if primary {
            let tables = self.tree(only, name, LockMode::AccessExclusive);
            for column in &columns {
                if self.version.at_least(18) {
                    self.add_not_null_constraint(
                        name,
                        &NotNull::plain(column),
                        !only,
                        LockMode::AccessExclusive,
                        queue,
                    )?;
                } else {
                    self.set_not_null_flags(&tables, column, queue)?;
                }
            }
        }
        let kind = if primary {
            ConstraintKind::PrimaryKey { columns, include: index.include.clone() }
        } else {
            ConstraintKind::Unique {
                columns,
                include: index.include.clone(),
                nulls_not_distinct: index.nulls_not_distinct,
            }
        };
        let added = crate::catalog::Constraint {
            name: new_name.clone(),
            kind,
            valid: true,
            attributes: constraint.attributes,
            inherited: false,
            own: false,
        };
        self.catalog_mut().edit_table(name, |table| {
            table.constraints.push(added);
            if let Some(index) = table.indexes.iter_mut().find(|index| index.name == new_name) {
                index.constraint = true;
                index.primary = primary;
            }
        });
        Ok(())
    }

    pub(super) fn alter_constraint(
        &mut self,
        name: &QualifiedName,
        action: &AlterTableAction,
        only: bool,
        mode: LockMode,
        queue: &mut Queue,
    ) -> Step {
        let AlterTableAction::AlterConstraint {
            name: constraint,
            deferrable,
            initially_deferred,
            enforced,
            inherit,
            ..
        } = action
        else {
            return Ok(());
        };
        let (deferrable, initially_deferred, enforced, inherit) =
            (*deferrable, *initially_deferred, *enforced, *inherit);
        let table = self.table(name);
        if only && table.partition_by.is_some() && self.version.at_least(18) {
            return refuse("42P16", "constraint must be altered in child tables too");
        }
        let Some(known) = table.constraint(constraint.as_str()) else {
            if table.is_vague() {
                return Ok(());
            }
            if table.constraint_trigger(constraint.as_str()).is_some() {
                let message = format!(
                    "constraint \"{constraint}\" of relation \"{}\" is not a foreign key constraint",
                    name.name
                );
                return refuse("42809", message);
            }
            if table.part_key(constraint.as_str()).is_some() {
                return self.not_to_be_altered(name, constraint);
            }
            return refuse(
                "42704",
                format!("constraint \"{constraint}\" of relation \"{}\" does not exist", name.name),
            );
        };
        let deferrability = deferrable.is_some() || initially_deferred.is_some();
        let no_key = !matches!(known.kind, ConstraintKind::ForeignKey(_));
        // Since 18 nothing is asked for where nothing is said.
        let nothing = !deferrability && enforced.is_none() && inherit.is_none();
        if no_key && nothing && self.version.at_least(18) {
            return Ok(());
        }
        if no_key && (deferrability || nothing) {
            return refuse(
                "42809",
                format!("constraint \"{constraint}\" of relation \"{}\" is not a foreign key constraint", name.name),
            );
        }
        if no_key && enforced.is_some() {
            return refuse(
                "42809",
                format!("cannot alter enforceability of constraint \"{constraint}\" of relation \"{}\"", name.name),
            );
        }
        if let (ConstraintKind::NotNull { column, .. }, Some(inherit)) = (&known.kind, inherit) {
            return self.alter_inheritance(name, known, column, inherit, mode, queue);
        }
        if inherit.is_some() {
            return refuse(
                "42809",
                format!("constraint \"{constraint}\" of relation \"{}\" is not a not-null constraint", name.name),
            );
        }
        let ConstraintKind::ForeignKey(key) = known.kind.clone() else {
            return refuse(
                "42809",
                format!("constraint \"{constraint}\" of relation \"{}\" is not a foreign key constraint", name.name),
            );
        };
        if known.inherited {
            return self.not_to_be_altered(name, constraint);
        }
        let was_enforced = known.attributes.enforced;
        let partitions = self.partitions(name);
        let mut changed = known.attributes;
        changed.alter(deferrable, initially_deferred);
        // Since 18 the partitions are only reached where something changes.
        let changes = changed != known.attributes || enforced.is_some_and(|enforced| enforced != was_enforced);
        if changes || !self.version.at_least(18) {
            for partition in &partitions {
                self.lock(partition, LockMode::AccessExclusive);
            }
        }
        let mut referenced = self.partitions(&key.table);
        referenced.push(key.table.clone());
        match enforced {
            Some(true) if !was_enforced => {
                for table in &referenced {
                    self.lock(table, LockMode::ShareRowExclusive);
                }
                queue.entry(name.clone()).or_default().foreign_keys.push((key.columns.clone(), key.table));
            }
            Some(false) if was_enforced => {
                for table in &referenced {
                    self.lock(table, LockMode::AccessExclusive);
                }
            }
            _ => {}
        }
        let original = known.kind.clone();
        for table in std::iter::once(name).chain(&partitions) {
            self.catalog_mut().edit_table(table, |table| {
                for known in table
                    .constraints
                    .iter_mut()
                    .filter(|known| known.name == *constraint || (known.inherited && known.kind == original))
                {
                    known.attributes.alter(deferrable, initially_deferred);
                    if let Some(enforced) = enforced {
                        known.attributes.enforced = enforced;
                        known.valid = enforced;
                    }
                }
            });
        }
        Ok(())
    }

    pub(super) fn validate_constraint(
        &mut self,
        name: &QualifiedName,
        constraint: &Ident,
        only: bool,
        mode: LockMode,
        queue: &mut Queue,
    ) -> Step {
        let table = self.table(name);
        let Some(known) = table.constraint(constraint.as_str()).cloned() else {
            if table.is_vague() {
                queue.entry(name.clone()).or_default().verify = true;
                return Ok(());
            }
            // It was valid from the start.
            if table.part_key(constraint.as_str()).is_some() {
                return Ok(());
            }
            if table.constraint_trigger(constraint.as_str()).is_some() {
                return self.not_to_be_validated(name, constraint);
            }
            return refuse(
                "42704",
                format!("constraint \"{constraint}\" of relation \"{}\" does not exist", name.name),
            );
        };
        if !known.attributes.enforced {
            return refuse("55000", "cannot validate NOT ENFORCED constraint");
        }
        match &known.kind {
            ConstraintKind::ForeignKey(key) => {
                if !known.valid {
                    self.validate_key_of_tree(name, key, mode, queue);
                }
            }
            ConstraintKind::Check { no_inherit, .. } | ConstraintKind::NotNull { no_inherit, .. } => {
                if !known.valid {
                    if only && !no_inherit && !table.children.is_empty() {
                        return refuse("42P16", "constraint must be validated on child tables too");
                    }
                    queue.entry(name.clone()).or_default().verify = true;
                    if !no_inherit && !only {
                        for child in self.catalog().descendants(name) {
                            self.lock(&child, mode);
                            let child_table = self.table(&child);
                            let child_constraint = match &known.kind {
                                ConstraintKind::NotNull { column, .. } => not_null_constraint(&child_table, column),
                                _ => child_table.constraint(constraint.as_str()),
                            };
                            let Some(child_constraint) = child_constraint else { continue };
                            if !child_constraint.valid {
                                queue.entry(child.clone()).or_default().verify = true;
                                let child_name = child_constraint.name.clone();
                                self.mark_valid(&child, &child_name);
                            }
                        }
                    }
                }
            }
            _ => return self.not_to_be_validated(name, constraint),
        }
        self.mark_valid(name, constraint);
        Ok(())
    }

    /// `QueueFKConstraintValidation`: of a partitioned table the partitions are looked at whose copies are not valid yet.
    fn validate_key_of_tree(&mut self, name: &QualifiedName, key: &ForeignKey, mode: LockMode, queue: &mut Queue) {
        let check = (key.columns.clone(), key.table.clone());
        if self.has_storage(name) {
            self.lock(&key.table, LockMode::RowShare);
            queue.entry(name.clone()).or_default().foreign_keys.push(check);
            return;
        }
        for partition in self.partitions(name) {
            let mut fresh = false;
            self.catalog_mut().edit_table(&partition, |table| {
                for copy in table.constraints.iter_mut().filter(|copy| copy.inherited && !copy.valid) {
                    if matches!(&copy.kind, ConstraintKind::ForeignKey(own) if own == key) {
                        (copy.valid, fresh) = (true, true);
                    }
                }
            });
            if fresh {
                self.lock(&partition, mode);
                if self.has_storage(&partition) {
                    self.lock(&key.table, LockMode::RowShare);
                    queue.entry(partition).or_default().foreign_keys.push(check.clone());
                }
            }
        }
    }

    fn not_to_be_altered(&self, name: &QualifiedName, constraint: &Ident) -> Step {
        let sqlstate = if self.version.at_least(18) { "55000" } else { "XX000" };
        refuse(sqlstate, format!("cannot alter constraint \"{constraint}\" on relation \"{}\"", name.name))
    }

    fn not_to_be_validated(&self, name: &QualifiedName, constraint: &Ident) -> Step {
        refuse(
            "42809",
            if self.version.at_least(18) {
                format!("cannot validate constraint \"{constraint}\" of relation \"{}\"", name.name)
            } else {
                format!(
                    "constraint \"{constraint}\" of relation \"{}\" is not a foreign key or check constraint",
                    name.name
                )
            },
        )
    }

    fn mark_valid(&mut self, name: &QualifiedName, constraint: &Ident) {
        let constraint = constraint.clone();
        self.catalog_mut().edit_table(name, |table| {
            for known in table.constraints.iter_mut().filter(|known| known.name == constraint) {
                known.valid = true;
            }
        });
    }

    pub(super) fn drop_constraint(
        &mut self,
        name: &QualifiedName,
        constraint: &Ident,
        if_exists: bool,
        behavior: DropBehavior,
        only: bool,
        mode: LockMode,
    ) -> Step {
        let table = self.table(name);
        // The partitions are looked at before the constraint is looked for; inheritance children are not.
        self.tree(table.partition_by.is_none(), name, mode);
        let inherited = || {
            let message = format!("cannot drop inherited constraint \"{constraint}\" of relation \"{}\"", name.name);
            refuse("42P16", message)
        };
        let Some(known) = table.constraint(constraint.as_str()).cloned() else {
            if table.part_key(constraint.as_str()).is_some() {
                return inherited();
            }
            if table.constraint_trigger(constraint.as_str()).is_none() && if_exists || table.is_vague() {
                return Ok(());
            }
            if let Some(trigger) = table.constraint_trigger(constraint.as_str()) {
                return refuse(
                    "2BP01",
                    format!(
                        "cannot drop constraint {0} on table {2} because trigger {1} on table {2} requires it",
                        quoted_if_needed(constraint),
                        quoted_if_needed(&trigger.name),
                        self.described(name)
                    ),
                );
            }
            return refuse(
                "42704",
                format!("constraint \"{constraint}\" of relation \"{}\" does not exist", name.name),
            );
        };
        if matches!(known.kind, ConstraintKind::Check { .. } | ConstraintKind::NotNull { .. }) {
            return self.drop_inheritable(name, &known, !only, mode);
        }
        if known.inherited {
            return inherited();
        }
        if let Some(parent) = table.index(constraint.as_str()).and_then(|index| index.parent.as_ref()) {
            return refuse(
                "2BP01",
                format!(
                    "cannot drop index {} because index {} requires it",
                    quoted_if_needed(constraint),
                    self.described(parent)
                ),
            );
        }
        // `ATExecDropConstraint` opens the referenced table itself.
        if let ConstraintKind::ForeignKey(key) = &known.kind {
            self.lock(&key.table, LockMode::AccessExclusive);
            if key.table != *name {
                self.check_not_in_use(&key.table, "ALTER TABLE")?;
            }
        }
        self.drop_constraint_of(name, &known, behavior)?;
        let mut dropped_indexes = vec![name.sibling(constraint.clone())];
        // Keys of inheritance parents are theirs alone; those of partitions depend on their parent's, ONLY or not.
        if table.partition_by.is_some() {
            for child in self.catalog().descendants(name) {
                self.lock(&child, mode);
                let table = self.table(&child);
                // A partition's own key that became a part of this one has another name.
                let is_key = |own: &crate::catalog::Constraint| {
                    matches!(own.kind, ConstraintKind::ForeignKey(_)) && own.kind == known.kind
                };
                let of_index = |index: &Ident| {
                    table
                        .index(index.as_str())
                        .and_then(|index| index.parent.as_ref())
                        .is_some_and(|parent| dropped_indexes.contains(parent))
                };
                let inherited = table
                    .constraints
                    .iter()
                    .find(|own| own.inherited && (own.name == *constraint || of_index(&own.name) || is_key(own)))
                    .cloned();
                if let Some(inherited) = &inherited {
                    dropped_indexes.push(child.sibling(inherited.name.clone()));
                }
                if let Some(inherited) = inherited {
                    self.drop_constraint_of(&child, &inherited, behavior)?;
                }
            }
        }
        Ok(())
    }
}

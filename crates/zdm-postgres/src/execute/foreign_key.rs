//! Foreign keys: what is checked, which tables are locked, and when the rows are read.
//!
//! ADD takes SHARE ROW EXCLUSIVE on both tables. The check of existing rows is one query over both (`RI_Initial_Check`),
//! whose planner opens every index of both with ACCESS SHARE.

use super::create_table::{NewForeignKey, of_ranges};
use super::{Run, Step, refuse};
use crate::catalog::{Constraint, ConstraintKind, ForeignKey, PartKey, Table};
use crate::data_type::{DataType, quoted_if_needed};
use crate::effects::UncertainEffect;
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::naming;
use crate::statement::Persistence;

const PERIOD_OF_REFERENCED: &str = "foreign key uses PERIOD on the referenced table but not the referencing table";

impl Run {
    /// Adds a foreign key. Answers the referenced table and those whose rows are not known to fit.
    pub(super) fn add_foreign_key(
        &mut self,
        name: &QualifiedName,
        key: &NewForeignKey,
        only: bool,
    ) -> Step<(QualifiedName, Vec<QualifiedName>)> {
        for action in [&key.references.on_delete, &key.references.on_update].into_iter().flatten() {
            if action.contains('(') {
                self.since(15, "(")?;
            }
        }
        if key.references.match_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("partial")) {
            return refuse("0A000", "MATCH PARTIAL not yet implemented");
        }
        let table = self.table(name);
        let given = key.name.as_ref().map(Ident::truncated);
        if let Some(given) = &given
            && table.has_constraint(given.as_str())
        {
            return refuse("42710", format!("constraint \"{given}\" for relation \"{}\" already exists", name.name));
        }
        let referenced = self.open(&key.references.table)?;
        self.lock(name, LockMode::ShareRowExclusive);
        self.lock(&referenced, LockMode::ShareRowExclusive);
        let target = self.table(&referenced);
        if table.partition_by.is_some() && only {
            return refuse(
                "42809",
                format!(
                    "cannot use ONLY for foreign key on partitioned table \"{}\" referencing relation \"{}\"",
                    name.name, referenced.name
                ),
            );
        }
        if table.partition_by.is_some() && key.attributes.not_valid && !self.version.at_least(18) {
            return refuse(
                "42809",
                format!(
                    "cannot add NOT VALID foreign key on partitioned table \"{}\" referencing relation \"{}\"",
                    name.name, referenced.name
                ),
            );
        }
        if self.catalog().table(&referenced).is_none() {
            return refuse("42809", format!("referenced relation \"{}\" is not a table", referenced.name));
        }
        check_persistence(&table, &target)?;
        for column in &key.columns {
            need_key_column(&table, column)?;
        }
        if key.references.period && !key.period {
            return refuse("42830", PERIOD_OF_REFERENCED);
        }
        if key.references.on_update.as_ref().is_some_and(|action| action.contains('(')) {
            return refuse("0A000", "a column list with SET NULL is only supported for ON DELETE actions");
        }
        let set = key.references.on_delete.as_deref().map(set_columns).unwrap_or_default();
        for column in &set {
            need_key_column(&table, column)?;
            if !key.columns.contains(column) {
                return refuse(
                    "42P10",
                    format!("column \"{column}\" referenced in ON DELETE SET action must be part of foreign key"),
                );
            }
        }
        let references = self.referenced_columns(&referenced, key)?;
        check_actions_on_generated(&table, key)?;
        if key.period {
            for (event, action) in [("UPDATE", &key.references.on_update), ("DELETE", &key.references.on_delete)] {
                if action.as_deref().is_some_and(|action| !action.eq_ignore_ascii_case("NO ACTION")) {
                    return refuse(
                        "0A000",
                        format!("unsupported ON {event} action for foreign key constraint using PERIOD"),
                    );
                }
            }
        }
        if !references.is_empty() && references.len() != key.columns.len() {
            return refuse("42830", "number of referencing and referenced columns for foreign key disagree");
        }
        let constraint_name = if let Some(given) = given {
            given
        } else {
            let joined = naming::columns_part(key.columns.iter().map(Ident::as_str));
            naming::constraint_name(self.catalog(), name, Some(&joined), "fkey", &[])
        };
        for (from, to) in key.columns.iter().zip(&references) {
            if let (Some(from), Some(to)) = (table.column(from.as_str()), target.column(to.as_str()))
                && !self.comparable(&from.data_type, &to.data_type)
            {
                return refuse("42804", format!("foreign key constraint \"{constraint_name}\" cannot be implemented"));
            }
        }
        let constraint = Constraint {
            name: constraint_name,
            kind: ConstraintKind::ForeignKey(ForeignKey {
                period: key.period,
                columns: key.columns.clone(),
                table: referenced.clone(),
                references,
                match_type: key.references.match_type.clone(),
                on_delete: key.references.on_delete.as_deref().map(|action| without_repetition(action, &set)),
                on_update: key.references.on_update.clone(),
            }),
            valid: !key.attributes.not_valid && key.attributes.enforced,
            attributes: key.attributes,
            inherited: false,
            own: false,
        };
        self.catalog_mut().edit_table(name, |table| table.constraints.push(constraint.clone()));
        self.lock_referenced(&referenced);
        for partition in self.partitions_in_turn(&referenced) {
            self.add_part_key(name, &constraint.name, &partition);
        }
        let mut unchecked = vec![name.clone()];
        if table.partition_by.is_some() {
            unchecked = self.catalog().descendants(name);
            // Of a partition that has the key already its own partitions have it, too.
            let mut adopted: Vec<QualifiedName> = Vec::new();
            for partition in unchecked.clone() {
                if adopted.contains(&partition) {
                    continue;
                }
                refuse_itself(&partition, &referenced)?;
                self.lock(&partition, LockMode::ShareRowExclusive);
                if let Some(valid) = self.adopt_foreign_key(&partition, &constraint)? {
                    let below = self.partitions(&partition);
                    unchecked.retain(|name| !valid || (*name != partition && !below.contains(name)));
                    adopted.extend(below);
                    continue;
                }
                if let ConstraintKind::ForeignKey(key) = &constraint.kind {
                    self.copy_foreign_key(&partition, &constraint, key);
                }
            }
        }
        unchecked.retain(|leaf| self.has_storage(leaf));
        Ok((referenced, unchecked))
    }

    /// Every table that rows of a key may be in.
    pub(super) fn lock_referenced(&mut self, referenced: &QualifiedName) {
        self.lock(referenced, LockMode::ShareRowExclusive);
        for partition in self.partitions(referenced) {
            self.lock(&partition, LockMode::ShareRowExclusive);
        }
    }

    /// `tryAttachPartitionForeignKey`: a partition's own key like its parent's becomes a part of that, which checks for
    /// both from now on, so that its triggers go. Answers whether its rows were known to fit.
    pub(super) fn adopt_foreign_key(&mut self, child: &QualifiedName, of_parent: &Constraint) -> Step<Option<bool>> {
        let ConstraintKind::ForeignKey(key) = &of_parent.kind else { return Ok(None) };
        let newest = self.version.at_least(18);
        let like = |known: &Constraint| {
            matches!(&known.kind, ConstraintKind::ForeignKey(own) if own == key)
                && !known.inherited
                && (known.attributes.deferrable, known.attributes.initially_deferred)
                    == (of_parent.attributes.deferrable, of_parent.attributes.initially_deferred)
                && (known.valid || newest)
        };
        let Some(existing) = self.table(child).constraints.iter().find(|known| like(known)).cloned() else {
            return Ok(None);
        };
        if existing.attributes.enforced != of_parent.attributes.enforced {
            return refuse(
                "42P17",
                format!(
                    "constraint \"{}\" enforceability conflicts with constraint \"{}\" on relation \"{}\"",
                    of_parent.name, existing.name, child.name
                ),
            );
        }
        if existing.attributes.enforced {
            let whole = self.version.at_least(13);
            self.unhook_referenced(child, key, whole);
        }
        self.catalog_mut().edit_table(child, |table| {
            for known in table.constraints.iter_mut().filter(|known| known.name == existing.name) {
                known.inherited = true;
                known.valid |= of_parent.valid;
            }
        });
        Ok(Some(existing.valid))
    }

    /// The columns that a key references: its own list, checked against the keys of the table, or the primary key.
    fn referenced_columns(&self, referenced: &QualifiedName, key: &NewForeignKey) -> Step<Vec<Ident>> {
        let target = self.table(referenced);
        let written = &key.references.columns;
        if written.is_empty() {
            if target.primary_key().is_some_and(|primary| of_ranges(&target, primary)) && !key.period {
                return refuse("42830", PERIOD_OF_REFERENCED);
            }
            let primary = target.primary_key().and_then(|constraint| match &constraint.kind {
                ConstraintKind::PrimaryKey { columns, .. } => Some(columns.clone()),
                _ => None,
            });
            return match primary {
                Some(columns) => Ok(columns),
                None if target.is_vague() => Ok(Vec::new()),
                None => {
                    refuse("42704", format!("there is no primary key for referenced table \"{}\"", referenced.name))
                }
            };
        }
        if target.assumed {
            return Ok(written.clone());
        }
        for column in written {
            need_key_column(&target, column)?;
        }
        if key.period && !key.references.period {
            return refuse("42830", "foreign key uses PERIOD on the referencing table but not the referenced table");
        }
        if written.iter().enumerate().any(|(place, column)| written.iter().take(place).any(|known| known == column)) {
            return refuse("42830", "foreign key referenced-columns list must not contain duplicates");
        }
        let same_set =
            |columns: &[Ident]| columns.len() == written.len() && written.iter().all(|column| columns.contains(column));
        // A plain unique index serves as well, if it is neither partial nor on expressions.
        let deferrable = target.constraints.iter().any(|constraint| match &constraint.kind {
            ConstraintKind::PrimaryKey { columns, .. } | ConstraintKind::Unique { columns, .. } => {
                constraint.attributes.deferrable && same_set(columns)
            }
            _ => false,
        });
        let by_index = target.indexes.iter().any(|index| {
            !index.constraint && index.unique && index.valid && index.predicate.is_none() && {
                let columns: Vec<Ident> = index
                    .elements
                    .iter()
                    .filter_map(|element| match &element.key {
                        crate::statement::IndexKey::Column(column) => Some(column.clone()),
                        crate::statement::IndexKey::Expr(_) => None,
                    })
                    .collect();
                columns.len() == index.elements.len() && same_set(&columns)
            }
        });
        let fitting = target.constraints.iter().find(|constraint| match &constraint.kind {
            ConstraintKind::PrimaryKey { columns, .. } | ConstraintKind::Unique { columns, .. } => {
                // A key with PERIOD needs one without overlaps.
                !constraint.attributes.deferrable
                    && same_set(columns)
                    && (!key.period || of_ranges(&target, constraint))
            }
            _ => false,
        });
        if fitting.is_some_and(|constraint| of_ranges(&target, constraint)) && !key.period {
            let message = "foreign key must use PERIOD when referencing a primary key using WITHOUT OVERLAPS";
            return refuse("42830", message);
        }
        let immediate = fitting.is_some();
        if immediate || (by_index && !key.period) {
            return Ok(written.clone());
        }
        if deferrable {
            return refuse(
                "55000",
                format!("cannot use a deferrable unique constraint for referenced table \"{}\"", referenced.name),
            );
        }
        refuse(
            "42830",
            format!("there is no unique constraint matching given keys for referenced table \"{}\"", referenced.name),
        )
    }

    /// Whether `pk = fk` has an operator in the key's index.
    pub(super) fn comparable(&self, from: &DataType, to: &DataType) -> bool {
        let catalog = self.catalog();
        let from = crate::cast::operator_class_type(catalog, from);
        let to = crate::cast::operator_class_type(catalog, to);
        if from.name == to.name && from.is_array() == to.is_array() {
            return true;
        }
        let family = |data_type: &DataType| match data_type.name.name.as_str() {
            "int2" | "int4" | "int8" => "integer",
            "float4" | "float8" => "float",
            "date" | "timestamp" | "timestamptz" => "datetime",
            _ => "",
        };
        if !from.is_array() && !to.is_array() && !family(&from).is_empty() && family(&from) == family(&to) {
            return true;
        }
        crate::cast::is_implicit(catalog, &from, &to)
    }

    /// Reads both tables, leaf by leaf.
    pub(super) fn validate_foreign_key(&mut self, name: &QualifiedName, columns: &[Ident], referenced: &QualifiedName) {
        let mut leaves = vec![name.clone()];
        if !self.has_storage(name) {
            leaves = self.catalog().descendants(name);
            leaves.retain(|leaf| self.has_storage(leaf));
        }
        // A key with PERIOD is looked up row by row.
        let by_row = self.table(name).constraints.iter().any(|constraint| {
            matches!(&constraint.kind, ConstraintKind::ForeignKey(key)
                if key.period && key.columns == columns && key.table == *referenced)
        });
        for leaf in leaves {
            if by_row {
                if !self.is_empty(&leaf) {
                    self.scan(&leaf);
                    self.may_fail(&leaf, "23503", format!("a row of {leaf} references none of {referenced}"));
                    let condition = format!("{leaf} has rows to be looked up");
                    self.maybe_lock_indexes(referenced, LockMode::RowShare, &condition);
                    self.maybe(referenced, UncertainEffect::Scan, "as many keys are looked up");
                    self.lock_some_rows(referenced, format!("rows of {leaf} reference them"));
                }
                continue;
            }
            self.plan(&leaf, LockMode::AccessShare, false);
            self.plan(referenced, LockMode::AccessShare, self.table(referenced).partition_by.is_some());
            if self.is_empty(&leaf) {
                continue;
            }
            self.scan(&leaf);
            self.may_fail(&leaf, "23503", format!("a row of {leaf} references none of {referenced}"));
            let all_null = columns.iter().any(|column| self.is_all_null(&leaf, column));
            if !all_null {
                self.scan(referenced);
                if self.table(referenced).partition_by.is_some() {
                    for partition in self.catalog().descendants(referenced) {
                        self.scan(&partition);
                    }
                }
            }
        }
    }

    fn maybe_lock_indexes(&mut self, name: &QualifiedName, mode: LockMode, condition: &str) {
        let indexes: Vec<Ident> = self.catalog().indexes_of(name).iter().map(|index| index.name.clone()).collect();
        for index in indexes {
            self.maybe(&name.sibling(index), UncertainEffect::Lock(mode), condition.to_owned());
        }
    }

    /// What the planner of a query opens: the relation, its indexes, and its descendants.
    pub(super) fn plan(&mut self, name: &QualifiedName, mode: LockMode, descend: bool) {
        self.lock(name, mode);
        if self.table(name).partition_by.is_some() {
            self.read_bound_of(name);
        }
        // The planner looks at the indexes of a partitioned table since 16.
        if self.has_storage(name) || self.version.at_least(16) {
            self.lock_indexes(name, mode);
        }
        if descend {
            for child in self.catalog().descendants(name) {
                self.plan(&child, mode, false);
            }
        }
    }

    /// Removing a foreign key removes its triggers: ACCESS EXCLUSIVE on the tables of both sides that have some. One that is
    /// not enforced has none.
    pub(super) fn unhook_foreign_key(&mut self, name: &QualifiedName, key: &ForeignKey, enforced: bool) {
        self.lock(name, LockMode::AccessExclusive);
        for partition in self.partitions(name) {
            self.lock(&partition, LockMode::AccessExclusive);
        }
        if enforced {
            self.unhook_referenced(name, key, true);
        }
    }

    /// Before 15 a partitioned table has no triggers of keys that reference it, but for one that a partition has kept as
    /// its own: version 12 makes them for the table itself and for none of its partitions.
    fn unhook_referenced(&mut self, name: &QualifiedName, key: &ForeignKey, whole: bool) {
        let mut partitions = self.partitions(&key.table);
        let kept = !self.version.at_least(13) && self.is_without_parts(name, key);
        if kept || !whole {
            partitions.clear();
        }
        if kept || self.version.at_least(15) || self.has_storage(&key.table) {
            self.lock(&key.table, LockMode::AccessExclusive);
        }
        for table in partitions {
            if self.version.at_least(15) || self.has_storage(&table) {
                self.lock(&table, LockMode::AccessExclusive);
            }
        }
    }

    /// Whether the key has nothing for the partitions of the table that it references.
    fn is_without_parts(&self, name: &QualifiedName, key: &ForeignKey) -> bool {
        let table = self.table(name);
        let own = |known: &&Constraint| {
            !known.inherited && matches!(&known.kind, ConstraintKind::ForeignKey(other) if other == key)
        };
        !self.partitions(&key.table).is_empty()
            && table
                .constraints
                .iter()
                .find(own)
                .is_some_and(|known| table.part_keys.iter().all(|part| part.key != known.name))
    }

    /// The partitions of a partitioned table at every level; none of a table with inheritance children.
    pub(super) fn partitions(&self, name: &QualifiedName) -> Vec<QualifiedName> {
        if self.table(name).partition_by.is_some() { self.catalog().descendants(name) } else { Vec::new() }
    }

    /// The same, each before its own partitions and these before the next one.
    fn partitions_in_turn(&self, name: &QualifiedName) -> Vec<QualifiedName> {
        let mut found: Vec<QualifiedName> = Vec::new();
        let mut reached = vec![name.clone()];
        while let Some(current) = reached.pop() {
            let table = self.table(&current);
            if table.partition_by.is_some() {
                reached.extend(
                    table.children.iter().rev().filter(|child| !found.contains(child) && *child != name).cloned(),
                );
            }
            if current != *name {
                found.push(current);
            }
        }
        found
    }

    /// Takes a foreign key off its table and the table's partitions.
    pub(super) fn forget_foreign_key(&mut self, name: &QualifiedName, constraint: &Ident, key: &ForeignKey) {
        for partition in self.partitions(name) {
            self.catalog_mut().edit_table(&partition, |table| {
                table.constraints.retain(|known| {
                    !(known.inherited && matches!(&known.kind, ConstraintKind::ForeignKey(own) if own == key))
                });
            });
        }
        self.catalog_mut().edit_table(name, |table| {
            table.constraints.retain(|known| known.name != *constraint);
            table.part_keys.retain(|part| part.key != *constraint);
        });
    }

    /// The foreign keys that reference a table by itself or as a partition of a referenced one, as they were declared.
    pub(super) fn keys_into(&self, name: &QualifiedName) -> Vec<(QualifiedName, Constraint, ForeignKey)> {
        let mut found = self.catalog().foreign_keys_to(name);
        let mut current = name.clone();
        while let Some((parent, _)) = self.table(&current).partition_of.clone() {
            found.extend(self.catalog().foreign_keys_to(&parent));
            current = parent;
        }
        found.retain(|(_, constraint, _)| !constraint.inherited);
        found
    }

    /// Keys that reference the parent reach into a new partition. Before 15 their tables are only read for it.
    pub(super) fn hook_keys_into(&mut self, parent: &QualifiedName, child: &QualifiedName) {
        let mode = if self.version.at_least(15) { LockMode::ShareRowExclusive } else { LockMode::AccessShare };
        for (referencing, constraint, key) in self.keys_into(parent) {
            self.lock(&referencing, mode);
            // Version 12 leaves out what references itself (`CloneFkReferenced`).
            if referencing == key.table && !self.version.at_least(13) {
                continue;
            }
            for partition in std::iter::once(child.clone()).chain(self.partitions_in_turn(child)) {
                self.add_part_key(&referencing, &constraint.name, &partition);
            }
        }
    }

    /// What a key has for a partition of the table that it references (`addFkRecurseReferenced`).
    fn add_part_key(&mut self, name: &QualifiedName, key: &Ident, partition: &QualifiedName) {
        let table = self.table(name);
        let Some(ConstraintKind::ForeignKey(known)) = table.constraint(key.as_str()).map(|known| &known.kind) else {
            return;
        };
        let chosen = self.beside_foreign_key(name, key, known);
        let part = PartKey { name: chosen, key: key.clone(), partition: partition.clone() };
        self.catalog_mut().edit_table(name, |table| table.part_keys.push(part));
    }

    /// The name of a constraint that could not have the key's.
    pub(super) fn beside_foreign_key(&self, name: &QualifiedName, constraint: &Ident, key: &ForeignKey) -> Ident {
        if self.version.at_least(18) {
            return naming::numbered_constraint_name(self.catalog(), name, constraint);
        }
        let joined = naming::columns_part(key.columns.iter().map(Ident::as_str));
        naming::constraint_name(self.catalog(), name, Some(&joined), "fkey", &[])
    }

    /// A partition leaves the table that keys reference.
    pub(super) fn forget_part_keys(&mut self, child: &QualifiedName) {
        let gone: Vec<QualifiedName> = std::iter::once(child.clone()).chain(self.partitions(child)).collect();
        for (referencing, _, _) in self.keys_into(child) {
            self.catalog_mut().edit_table(&referencing, |table| {
                table.part_keys.retain(|part| !gone.contains(&part.partition));
            });
        }
    }

    /// What was a part of its parent's key is one of its own.
    pub(super) fn add_part_keys_of(&mut self, name: &QualifiedName) {
        for constraint in &self.table(name).constraints {
            let ConstraintKind::ForeignKey(key) = &constraint.kind else { continue };
            for partition in self.partitions_in_turn(&key.table) {
                self.add_part_key(name, &constraint.name, &partition);
            }
        }
    }
}

/// `CheckAlterTableIsSafe`: the key's own table is open while its partitions get the key.
pub(super) fn refuse_itself(partition: &QualifiedName, referenced: &QualifiedName) -> Step {
    if partition != referenced {
        return Ok(());
    }
    let name = &partition.name;
    refuse("55006", format!("cannot ALTER TABLE \"{name}\" because it is being used by active queries in this session"))
}

/// `transformColumnNameList`.
fn need_key_column(table: &Table, column: &Ident) -> Step {
    if super::create_table::is_system_column(column) {
        return refuse("0A000", "system columns cannot be used in foreign keys");
    }
    if table.column(column.as_str()).is_none() && !table.is_vague() {
        return refuse("42703", format!("column \"{column}\" referenced in foreign key constraint does not exist"));
    }
    Ok(())
}

/// The columns of `SET NULL (…)` and `SET DEFAULT (…)`, each once.
fn set_columns(action: &str) -> Vec<Ident> {
    let Some((_, list)) = action.split_once('(') else { return Vec::new() };
    let mut columns: Vec<Ident> = Vec::new();
    for column in list.trim_end_matches(')').split(',') {
        let column = Ident::from(column.trim().trim_matches('"'));
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    columns
}

fn without_repetition(action: &str, columns: &[Ident]) -> String {
    match action.split_once('(') {
        Some((what, _)) => {
            let list: Vec<String> = columns.iter().map(quoted_if_needed).collect();
            format!("{what}({})", list.join(", "))
        }
        None => action.to_owned(),
    }
}

/// A computed column can be changed by no action.
fn check_actions_on_generated(table: &Table, key: &NewForeignKey) -> Step {
    let generated = |column: &Ident| table.column(column.as_str()).is_some_and(|column| column.generated.is_some());
    if !key.columns.iter().any(generated) {
        return Ok(());
    }
    let is = |action: &Option<String>, words: &[&str]| {
        let action = action.as_deref().unwrap_or_default().to_ascii_uppercase();
        words.iter().any(|word| action.starts_with(word))
    };
    let refusal = |event: &str| {
        refuse("42601", format!("invalid {event} action for foreign key constraint containing generated column"))
    };
    if is(&key.references.on_update, &["SET NULL", "SET DEFAULT", "CASCADE"]) {
        return refusal("ON UPDATE");
    }
    if is(&key.references.on_delete, &["SET NULL", "SET DEFAULT"]) {
        return refusal("ON DELETE");
    }
    let computed = |column: &Ident| {
        let generated = table.column(column.as_str()).and_then(|column| column.generated.as_ref());
        generated.is_some_and(|generated| !generated.stored)
    };
    if key.columns.iter().any(computed) {
        return refuse("0A000", "foreign key constraints on virtual generated columns are not supported");
    }
    Ok(())
}

/// What lasts cannot reference what does not.
fn check_persistence(table: &Table, target: &Table) -> Step {
    let message = match (table.persistence, target.persistence) {
        _ if target.assumed => return Ok(()),
        (Persistence::Permanent, Persistence::Permanent)
        | (Persistence::Unlogged, Persistence::Permanent | Persistence::Unlogged)
        | (Persistence::Temporary, Persistence::Temporary) => return Ok(()),
        (Persistence::Permanent, _) => "constraints on permanent tables may reference only permanent tables",
        (Persistence::Unlogged, _) => "constraints on unlogged tables may reference only permanent or unlogged tables",
        (Persistence::Temporary, _) => "constraints on temporary tables may reference only temporary tables",
    };
    refuse("42P16", message)
}

//! ALTER COLUMN TYPE: refusals, whether the rows are rewritten, and what becomes of everything that names the column.
//!
//! Indexes and constraints on the column are dropped and made again (`ATPostAlterTypeCleanup`): an index keeps its
//! file where `CheckIndexCompatible` finds nothing changed, a valid CHECK is verified again, a foreign key is checked
//! again where its comparison operator changed, and always takes ACCESS EXCLUSIVE on both tables.

use std::collections::BTreeSet;

use super::alter_table::Queue;
use super::create_table::check_fault;
use super::not_null::not_null_constraint;
use super::{Run, Step, refuse};
use crate::cast::{Change, Context, TimeZone};
use crate::catalog::{Column, Constraint, ConstraintKind, ForeignKey, Index, PublishedPart};
use crate::data_type::{DataType, quoted_if_needed};
use crate::deparse::settled;
use crate::expr::{ExprNode, SqlExpr};
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{AlterTableAction, IndexKey};
use crate::typing::Place;

impl Run {
    pub(super) fn alter_column_type(
        &mut self,
        tables: &[QualifiedName],
        column: &Ident,
        data_type: &DataType,
        collation: Option<&QualifiedName>,
        using: Option<&SqlExpr>,
        queue: &mut Queue,
    ) -> Step {
        let Some(first) = tables.first() else { return Ok(()) };
        if data_type.is_serial() {
            return refuse("42704", format!("type \"{}\" does not exist", data_type.name));
        }
        let new_type = self.resolve_type(data_type)?;
        self.need_collation(collation);
        if self
            .table(first)
            .column(column.as_str())
            .and_then(|known| known.generated.as_ref())
            .is_some_and(|generated| !generated.stored)
            && crate::cast::domain_of(self.catalog(), &new_type).is_some()
        {
            self.check_virtual_type(column, &new_type)?;
        }
        if let Some(known) = self.table(first).column(column.as_str())
            && known.inherited
        {
            return refuse("42P16", format!("cannot alter inherited column \"{column}\""));
        }
        // The whole tree is looked at before anything depends on a change.
        for name in tables {
            if name != first && self.inherits_elsewhere(name, column, tables) {
                return refuse(
                    "42P16",
                    format!("cannot alter inherited column \"{column}\" of relation \"{}\"", name.name),
                );
            }
            self.refuse_partition_key(name, column, "alter")?;
        }
        // The children's columns may stand at other places than the parent's.
        if tables.len() > 1
            && let Some(using) = using
            && using.node.certain_columns().contains(&first.name)
            && self.table(first).column(first.name.as_str()).is_none()
        {
            return refuse("0A000", "cannot convert whole-row table reference");
        }
        for name in tables {
            self.alter_column_type_of(name, column, &new_type, collation, using, queue)?;
        }
        self.rename_not_nulls_below(tables, column);
        Ok(())
    }

    /// What is refused before any action of the statement is carried out.
    pub(super) fn prepare_actions(&self, name: &QualifiedName, actions: &[AlterTableAction], only: bool) -> Step {
        let table = self.table(name);
        let change = |action| type_change(&table, action);
        // Before 13 the whole statement is read before the first column is looked at.
        let together = !self.version.at_least(13);
        if together {
            for (column, data_type, using, _) in actions.iter().filter_map(change) {
                self.check_using(&table, column, using)?;
                self.check_identity(column, data_type)?;
            }
            for action in actions {
                let AlterTableAction::AddColumn { column, .. } = action else { continue };
                column.constraints.iter().try_for_each(|constraint| check_fault(&constraint.words))?;
            }
        }
        for action in actions {
            if let AlterTableAction::DropExpression { column, .. } = action {
                self.prepare_drop_expression(&table, column, only)?;
            }
            if let AlterTableAction::AlterColumnType { column, .. } = action
                && super::create_table::is_system_column(column)
            {
                return refuse("0A000", format!("cannot alter system column \"{column}\""));
            }
            let Some((column, data_type, using, collation)) = change(action) else { continue };
            if !together {
                self.check_using(&table, column, using)?;
                self.check_identity(column, data_type)?;
            }
            if column.inherited {
                return refuse("42P16", format!("cannot alter inherited column \"{}\"", column.name));
            }
            self.refuse_partition_key(name, &column.name, "alter")?;
            let target = self.resolve_type(data_type)?;
            if collation {
                self.need_collatable(&target)?;
            }
            super::domain::refuse_pseudo_type(&column.name, &target)?;
            self.refuse_member_of_itself(&target, std::slice::from_ref(name))?;
            if using.is_none() && !crate::cast::is_assignable(self.catalog(), &column.data_type, &target) {
                return refuse(
                    "42804",
                    format!("column \"{}\" cannot be cast automatically to type {}", column.name, self.shown(&target)),
                );
            }
            if only && !table.children.is_empty() {
                return refuse(
                    "42P16",
                    format!("type of inherited column \"{}\" must be changed in child tables too", column.name),
                );
            }
        }
        Ok(())
    }

    /// `ATPrepDropExpression`.
    fn prepare_drop_expression(&self, table: &crate::catalog::Table, column: &Ident, only: bool) -> Step {
        self.since(13, "EXPRESSION")?;
        // Each child is asked by itself, and so has no children of its own to be.
        let deep = table.children.iter().any(|child| !self.table(child).children.is_empty());
        if deep || (only && !table.children.is_empty()) {
            return refuse("0A000", "ALTER TABLE / DROP EXPRESSION must be applied to child tables too");
        }
        match table.column(column.as_str()) {
            Some(known) if known.inherited => {
                refuse("42P16", "cannot drop generation expression from inherited column")
            }
            _ => Ok(()),
        }
    }

    /// The sequence of an identity column is given the new type before anything else is done.
    fn check_identity(&self, column: &Column, data_type: &DataType) -> Step {
        if column.identity.is_none() {
            return Ok(());
        }
        let target = self.resolve_type(data_type)?;
        if matches!(target.name.name.as_str(), "int2" | "int4" | "int8") {
            return Ok(());
        }
        refuse("22023", "identity column type must be smallint, integer, or bigint")
    }

    /// A conversion that no cast can make.
    fn check_using(&self, table: &crate::catalog::Table, column: &Column, using: Option<&SqlExpr>) -> Step {
        let Some(using) = using else { return Ok(()) };
        Self::check_columns_of(table, using)?;
        self.check_functions_in(&using.node, Some(table), crate::typing::Place::Transform)?;
        if let ExprNode::Cast { expr, data_type } = &*using.node
            && matches!(&**expr, ExprNode::Column { name, .. } if *name == column.name)
        {
            let target = self.resolve_type(data_type)?;
            let zone = TimeZone::Unknown;
            let change = crate::cast::change(self.catalog(), &column.data_type, &target, Context::Explicit, zone);
            if change == Change::Impossible {
                let (from, to) = (self.shown(&column.data_type), self.shown(&target));
                return refuse("42846", format!("cannot cast type {from} to {to}"));
            }
        }
        Ok(())
    }

    fn alter_column_type_of(
        &mut self,
        name: &QualifiedName,
        column: &Ident,
        new_type: &DataType,
        collation: Option<&QualifiedName>,
        using: Option<&SqlExpr>,
        queue: &mut Queue,
    ) -> Step {
        let table = self.table(name);
        let Some(known) = table.column(column.as_str()).cloned() else {
            if table.is_vague() {
                queue
                    .entry(name.clone())
                    .or_default()
                    .maybe_rewrite
                    .push(format!("the type of column {column} changes more than its length"));
                return Ok(());
            }
            return Self::missing_column(name, column);
        };
        let altered = &mut queue.entry(name.clone()).or_default().altered;
        if altered.contains(column) {
            return refuse("0A000", format!("cannot alter type of column \"{column}\" twice"));
        }
        // What changes nothing is not noticed.
        if known.data_type != *new_type || collation.is_some() {
            altered.insert(column.clone());
        }
        if !self.has_storage(name) && !table.assumed {
            self.refuse_stored_rows(name)?;
        }
        self.type_change(name, &known, new_type, using, queue)?;
        self.check_default_cast(&known, new_type, column)?;
        self.refuse_dependents(name, column)?;
        if let Some(identity) = &known.identity {
            self.lock(&identity.sequence.clone(), LockMode::ShareRowExclusive);
            let data_type = new_type.clone();
            self.catalog_mut()
                .edit_sequence(&identity.sequence, |sequence| sequence.options.data_type = Some(data_type));
        }
        let new_collation = collation.cloned();
        // A literal keeps the type in which it was stored.
        let default = known.default.as_ref().map(|default| match &*default.node {
            ExprNode::Text(_) | ExprNode::Null => SqlExpr::new(
                default.text.clone(),
                ExprNode::Cast {
                    expr: Box::new(ExprNode::clone(&default.node)),
                    // The check of a domain is no part of it.
                    data_type: DataType {
                        modifiers: Vec::new(),
                        ..crate::cast::base_type(self.catalog(), &known.data_type)
                    },
                },
            ),
            _ => default.clone(),
        });
        let changed =
            Column { default, data_type: new_type.clone(), collation: new_collation.clone(), ..known.clone() };
        self.remake_indexes(name, &known, &changed, queue);
        self.remake_constraints(name, &known, &changed, queue);
        self.settle_expressions(name, column);
        self.catalog_mut().edit_table(name, |table| {
            if let Some(slot) = table.columns.iter_mut().find(|slot| slot.name == changed.name) {
                slot.data_type = changed.data_type;
                slot.collation = changed.collation;
                slot.default = changed.default;
            }
        });
        Ok(())
    }

    /// `ATColumnChangeRequiresRewrite`.
    fn type_change(
        &mut self,
        name: &QualifiedName,
        column: &Column,
        new_type: &DataType,
        using: Option<&SqlExpr>,
        queue: &mut Queue,
    ) -> Step {
        let zone = TimeZone::from_setting(self.state.settings.time_zone.as_deref());
        let change = match using {
            None => crate::cast::change(self.catalog(), &column.data_type, new_type, Context::Assignment, zone),
            Some(using) => {
                self.run_functions_in(&using.node);
                if casts_of(&using.node, &column.name).is_none() {
                    self.forget_null_columns(|table, known| table == name && *known == column.name);
                }
                self.using_change(column, new_type, &using.node, zone)
            }
        };
        if let Some(generated) = &column.generated {
            if using.is_some() {
                return refuse("42611", "cannot specify USING when altering type of generated column");
            }
            if !generated.stored {
                return Ok(());
            }
        }
        let work = queue.entry(name.clone()).or_default();
        match change {
            Change::Free => {}
            Change::Rewrite => work.rewrite = true,
            Change::DependsOnTimeZone => {
                work.maybe_rewrite.push("the session's TimeZone is not UTC".to_owned());
            }
            Change::Unknown => {
                work.maybe_rewrite.push(format!("{} and {new_type} are not stored alike", column.data_type));
            }
            Change::Impossible => {
                let new_type = self.shown(new_type);
                return refuse(
                    "42804",
                    match using {
                        None => format!("column \"{}\" cannot be cast automatically to type {new_type}", column.name),
                        Some(_) => format!(
                            "result of USING clause for column \"{}\" cannot be cast automatically to type {new_type}",
                            column.name
                        ),
                    },
                );
            }
        }
        Ok(())
    }

    /// A chain of casts over the column itself may be free; every other expression rewrites.
    fn using_change(&self, column: &Column, new_type: &DataType, using: &ExprNode, zone: TimeZone) -> Change {
        let Some(casts) = casts_of(using, &column.name) else { return Change::Rewrite };
        let mut total = Change::Free;
        let mut current = column.data_type.clone();
        for cast in casts.into_iter().rev() {
            let Ok(target) = self.resolve_type(cast) else { return Change::Rewrite };
            total = worse(total, crate::cast::change(self.catalog(), &current, &target, Context::Explicit, zone));
            current = target;
        }
        worse(total, crate::cast::change(self.catalog(), &current, new_type, Context::Assignment, zone))
    }

    /// Objects that the server does not make again.
    fn refuse_dependents(&self, name: &QualifiedName, column: &Ident) -> Step {
        let table = self.table(name);
        let generated = table.columns.iter().find(|other| {
            other.generated.as_ref().is_some_and(|generated| generated.expr.node.columns().contains(column))
        });
        // The server meets the dependents in the order in which they were made.
        if let Some(generated) = generated {
            // The older servers look for a column of an ordinary table (`ATExecAlterColumnType`).
            if !self.version.at_least(15) && table.partition_by.is_some() {
                let (column, table) = (&generated.name, self.shown_relation(name));
                return refuse(
                    "XX000",
                    format!("unexpected object depending on column: column {column} of table {table}"),
                );
            }
            return refuse(
                if self.version.at_least(15) { "0A000" } else { "42601" },
                "cannot alter type of a column used by a generated column",
            );
        }
        if self.catalog().views_on(name).iter().any(|(_, columns)| columns.contains(column)) {
            return refuse("0A000", "cannot alter type of a column used by a view or rule");
        }
        let triggers = table.triggers.iter().filter(|trigger| trigger.reads(column.as_str()));
        let triggers = triggers.map(|trigger| (trigger.place, "in a trigger definition"));
        let policies = table.policies.iter().filter(|policy| policy.names(column) || policy.reads(name, Some(column)));
        let policies = policies.map(|policy| (policy.place, "in a policy definition"));
        let rules = table.rules.iter().filter(|rule| rule.columns.contains(column));
        let rules = rules.map(|rule| (rule.place, "by a view or rule"));
        if let Some((_, what)) = triggers.chain(policies).chain(rules).min() {
            return refuse("0A000", format!("cannot alter type of a column used {what}"));
        }
        if !self.catalog().policies_reading(name, Some(column)).is_empty() {
            return refuse("0A000", "cannot alter type of a column used in a policy definition");
        }
        if !self.catalog().rules_naming(name, Some(column)).is_empty() {
            return refuse("0A000", "cannot alter type of a column used by a view or rule");
        }
        if !self.functions_on(name, Some(column)).is_empty() {
            return refuse("0A000", "cannot alter type of a column used by a function or procedure");
        }
        let filtered = self.catalog().publications.values().any(|publication| {
            let named = |part: &PublishedPart| part.filter.contains(column) || part.columns.contains(column);
            publication.parts.iter().any(|part| part.table == *name && named(part))
        });
        if filtered {
            return refuse("0A000", "cannot alter type of a column used by a publication WHERE clause");
        }
        Ok(())
    }

    fn check_default_cast(&self, known: &Column, new_type: &DataType, column: &Ident) -> Step {
        let Some(default) = &known.default else { return Ok(()) };
        let source = match &*default.node {
            ExprNode::Text(_) | ExprNode::Bool(_) => Some(known.data_type.clone()),
            node => self.type_of_constant(node),
        };
        if source.is_some_and(|source| !crate::cast::is_assignable(self.catalog(), &source, new_type)) {
            let new_type = self.shown(new_type);
            return refuse(
                "42804",
                format!("default for column \"{column}\" cannot be cast automatically to type {new_type}"),
            );
        }
        Ok(())
    }

    fn remake_indexes(&mut self, name: &QualifiedName, old: &Column, new: &Column, queue: &mut Queue) {
        let table = self.table(name);
        for index in &table.indexes {
            if !index_uses(index, &old.name) {
                continue;
            }
            let reused = self.index_survives(index, old, new) && table.partition_by.is_none() && index.parent.is_none();
            let work = queue.entry(name.clone()).or_default();
            if reused {
                work.reused.insert(index.name.clone());
            } else {
                work.rebuilt.insert(index.name.clone());
            }
        }
    }

    /// `CheckIndexCompatible`.
    fn index_survives(&self, index: &Index, old: &Column, new: &Column) -> bool {
        if index.predicate.is_some() || !index.valid {
            return false;
        }
        if index.elements.iter().any(|element| matches!(element.key, IndexKey::Expr(_))) {
            return false;
        }
        let key = index.elements.iter().find(|element| element.key.column() == Some(&old.name));
        let Some(key) = key else { return true };
        if key.collation.is_none() && old.collation != new.collation && !same_collation(old, new) {
            return false;
        }
        if key.opclass.is_some() {
            return true;
        }
        let catalog = self.catalog();
        crate::cast::operator_class_type(catalog, &old.data_type)
            == crate::cast::operator_class_type(catalog, &new.data_type)
    }

    pub(super) fn remake_constraints(&mut self, name: &QualifiedName, old: &Column, new: &Column, queue: &mut Queue) {
        let table = self.table(name);
        for constraint in &table.constraints {
            match &constraint.kind {
                ConstraintKind::Check { expr, .. } if constraint.valid && expr.node.columns().contains(&old.name) => {
                    queue.entry(name.clone()).or_default().verify = true;
                }
                ConstraintKind::ForeignKey(key)
                    if key.columns.contains(&old.name)
                        || (key.table == *name && key.references.contains(&old.name)) =>
                {
                    self.remake_foreign_key((name, name), constraint, key, (old, new), queue);
                }
                _ => {}
            }
        }
        for (referencing, constraint, key) in self.catalog().foreign_keys_to(name) {
            if key.references.contains(&old.name) && referencing != *name {
                self.remake_foreign_key((name, &referencing), &constraint, &key, (old, new), queue);
            }
        }
    }

    fn remake_foreign_key(
        &mut self,
        (altered, referencing): (&QualifiedName, &QualifiedName),
        constraint: &Constraint,
        key: &ForeignKey,
        (old, new): (&Column, &Column),
        queue: &mut Queue,
    ) {
        if constraint.inherited {
            return;
        }
        self.lock(&key.table, LockMode::ShareRowExclusive);
        for partition in self.partitions(&key.table) {
            self.lock(&partition, LockMode::ShareRowExclusive);
        }
        self.unhook_foreign_key(referencing, key, constraint.attributes.enforced);
        let remade = &mut queue.entry(referencing.clone()).or_default().remade_keys;
        if !remade.contains(&constraint.name) {
            remade.push(constraint.name.clone());
        }
        if !constraint.valid {
            return;
        }
        let catalog = self.catalog();
        let before = crate::cast::operator_class_type(catalog, &old.data_type);
        let after = crate::cast::operator_class_type(catalog, &new.data_type);
        let rewritten = queue.get(altered).is_some_and(|work| work.rewrite);
        if before == after && !rewritten {
            let kept = (referencing.clone(), key.columns.clone(), key.table.clone());
            queue.entry(altered.clone()).or_default().kept_keys.push(kept);
        } else {
            let entry = queue.entry(referencing.clone()).or_default();
            let check = (key.columns.clone(), key.table.clone());
            if !entry.foreign_keys.contains(&check) {
                entry.foreign_keys.push(check);
            }
        }
    }

    /// Checks and indexes on the column are made again of their printed form, in which the types of literals stand.
    pub(super) fn settle_expressions(&mut self, name: &QualifiedName, column: &Ident) {
        let table = self.table(name);
        let catalog = self.catalog().clone();
        let settle = |expr: &mut SqlExpr| *expr = settled::settled(&catalog, &table, expr);
        self.catalog_mut().edit_table(name, |table| {
            for constraint in &mut table.constraints {
                match &mut constraint.kind {
                    ConstraintKind::Check { expr: own, .. } | ConstraintKind::Exclude { predicate: Some(own), .. }
                        if own.node.columns().contains(column) =>
                    {
                        settle(own);
                    }
                    _ => {}
                }
            }
            for index in table.indexes.iter_mut().filter(|index| index_uses(index, column)) {
                index.predicate.iter_mut().for_each(settle);
                for element in &mut index.elements {
                    if let IndexKey::Expr(expr) = &mut element.key {
                        settle(expr);
                    }
                }
            }
        });
    }

    /// When every column has its new type, what was taken off is read and made again.
    pub(super) fn check_remade(&mut self, queue: &mut Queue) -> Step {
        for (name, work) in queue.iter().filter(|(_, work)| !work.altered.is_empty()) {
            self.check_remade_expressions(name, &work.altered)?;
        }
        self.check_remade_keys(queue)?;
        self.check_remade_not_null(queue)?;
        self.name_remade_indexes_of_partitions(queue);
        self.name_remade_keys_of_partitions(queue);
        Ok(())
    }

    /// The same goes for foreign keys.
    fn name_remade_keys_of_partitions(&mut self, queue: &Queue) {
        for (name, work) in queue {
            let table = self.table(name);
            if table.partition_by.is_none() {
                continue;
            }
            let remade = work.remade_keys.iter().filter_map(|constraint| table.constraint(constraint.as_str()));
            for constraint in remade.filter(|constraint| !constraint.inherited) {
                let ConstraintKind::ForeignKey(key) = &constraint.kind else { continue };
                for child in self.catalog().descendants(name) {
                    let is_part = |own: &Constraint| own.inherited && own.kind == constraint.kind;
                    if !self.table(&child).constraints.iter().any(is_part) {
                        continue;
                    }
                    self.catalog_mut().edit_table(&child, |table| table.constraints.retain(|own| !is_part(own)));
                    self.copy_foreign_key(&child, constraint, key);
                }
            }
        }
    }

    /// An index of a partition goes with that of its parent and is made again by it (`DefineIndex`), so it gets the name
    /// that PostgreSQL chooses, whatever it was called.
    fn name_remade_indexes_of_partitions(&mut self, queue: &mut Queue) {
        let remade: Vec<(QualifiedName, Ident)> = queue
            .iter()
            .filter(|(name, _)| self.table(name).partition_by.is_some())
            .flat_map(|(name, work)| {
                let indexes = self.table(name).indexes.clone().into_iter();
                let first = indexes.filter(|index| index.parent.is_none() && work.rebuilt.contains(&index.name));
                first.map(|index| (name.clone(), index.name)).collect::<Vec<_>>()
            })
            .collect();
        let mut below: Vec<(QualifiedName, Index)> = Vec::new();
        for (name, index) in remade {
            let mut parents = vec![name.sibling(index)];
            for child in self.catalog().descendants(&name) {
                let indexes = self.table(&child).indexes.clone().into_iter();
                let of_parents = |index: &Index| index.parent.as_ref().is_some_and(|parent| parents.contains(parent));
                let found: Vec<Index> = indexes.filter(of_parents).collect();
                for index in found {
                    parents.push(child.sibling(index.name.clone()));
                    below.push((child.clone(), index));
                }
            }
        }
        let mut taken_off = Vec::new();
        for (position, (child, index)) in below.iter().enumerate() {
            // No name that a statement can give begins so.
            let between = Ident::new(format!("\u{0}{position}"));
            self.rename_index_and_constraint(child, &index.name, &between);
            taken_off.push(between);
        }
        for ((child, index), between) in below.iter().zip(taken_off) {
            let columns = crate::naming::index_column_names(&index.elements, &index.include, self.version);
            let addition = crate::naming::columns_part(columns.iter().map(String::as_str));
            let table = self.table(child);
            let kind = table.constraint(between.as_str()).map(|constraint| &constraint.kind);
            let (addition, label) = match kind {
                Some(ConstraintKind::PrimaryKey { .. }) => (None, "pkey"),
                Some(ConstraintKind::Exclude { .. }) => (Some(addition.as_str()), "excl"),
                Some(_) => (Some(addition.as_str()), "key"),
                None => (Some(addition.as_str()), "idx"),
            };
            let name = crate::naming::relation_name(self.catalog(), child, addition, label, kind.is_some()).name;
            self.rename_index_and_constraint(child, &between, &name);
            let (old, new) = (child.sibling(index.name.clone()), child.sibling(name.clone()));
            self.state.facts.committed_name.remove(&new);
            if new != old {
                self.state.facts.created.insert(new);
                self.lock(&old, LockMode::AccessExclusive);
                let work = queue.entry(child.clone()).or_default();
                work.rebuilt.remove(&index.name);
                work.rebuilt.insert(name);
            }
        }
    }

    fn rename_index_and_constraint(&mut self, table: &QualifiedName, from: &Ident, to: &Ident) {
        self.rename_index(table, from, to);
        self.catalog_mut().edit_table(table, |table| {
            for constraint in table.constraints.iter_mut().filter(|constraint| constraint.name == *from) {
                constraint.name = to.clone();
            }
        });
    }

    /// Of 18 on NOT NULL is taken off and added again, too: first the parents', which a child gets with their names, then
    /// those of its own, which cannot have others.
    fn check_remade_not_null(&self, queue: &Queue) -> Step {
        let altered =
            |name: &QualifiedName, column: &Ident| queue.get(name).is_some_and(|work| work.altered.contains(column));
        for (name, work) in queue {
            for column in &work.altered {
                let table = self.table(name);
                let Some(constraint) = not_null_constraint(&table, column) else { continue };
                let inherited: Vec<Ident> = table
                    .inherits
                    .iter()
                    .filter(|parent| altered(parent, column))
                    .filter_map(|parent| {
                        not_null_constraint(&self.table(parent), column).map(|known| known.name.clone())
                    })
                    .collect();
                if !inherited.is_empty() && !inherited.contains(&constraint.name) {
                    return refuse(
                        "55000",
                        format!(
                            "cannot create not-null constraint \"{}\" on column \"{column}\" of table \"{}\"",
                            constraint.name, name.name
                        ),
                    );
                }
            }
        }
        Ok(())
    }

    fn check_remade_expressions(&mut self, name: &QualifiedName, altered: &BTreeSet<Ident>) -> Step {
        let table = self.table(name);
        let uses = |expr: &SqlExpr| expr.node.columns().iter().any(|column| altered.contains(column));
        let mut checked = Vec::new();
        for index in &table.indexes {
            let immutable = |expr: &SqlExpr, what: &str| {
                if uses(expr) && self.is_surely_mutable(&expr.node, &table) {
                    return refuse("42P17", format!("functions in index {what} must be marked IMMUTABLE"));
                }
                Ok(())
            };
            if let Some(predicate) = &index.predicate {
                self.check_remade_expression(predicate, &table, altered, Place::IndexPredicate)?;
                immutable(predicate, "predicate")?;
            }
            for element in &index.elements {
                if let IndexKey::Expr(expr) = &element.key {
                    self.check_remade_expression(expr, &table, altered, Place::IndexExpression)?;
                    immutable(expr, "expression")?;
                }
            }
            if altered.iter().any(|column| index_uses(index, column)) {
                checked.push(index.clone());
            }
        }
        for index in checked {
            let operators: Vec<&str> = match table.constraint(index.name.as_str()).map(|constraint| &constraint.kind) {
                Some(ConstraintKind::Exclude { elements, .. }) => {
                    elements.iter().map(|(_, operator)| operator.as_str()).collect()
                }
                _ => Vec::new(),
            };
            self.check_access_method(&index, Some(&table), &operators)?;
        }
        let mut unknown = None;
        for constraint in &table.constraints {
            let ConstraintKind::Check { expr, .. } = &constraint.kind else { continue };
            self.check_remade_expression(expr, &table, altered, Place::Check)?;
            if uses(expr) && !settled::is_understood(self.catalog(), &table, expr) {
                unknown = expr.node.columns().into_iter().find(|column| altered.contains(column));
            }
        }
        if let Some(column) = unknown {
            self.may_fail_always("42883", format!("a check of {name} compares {column} with a value of its old type"));
        }
        Ok(())
    }

    fn check_remade_expression(
        &self,
        expr: &SqlExpr,
        table: &crate::catalog::Table,
        altered: &BTreeSet<Ident>,
        place: Place,
    ) -> Step {
        if !expr.node.columns().iter().any(|column| altered.contains(column)) {
            return Ok(());
        }
        match settled::unreadable(self.catalog(), table, expr) {
            Some((sqlstate, message)) => refuse(sqlstate, self.without_path(message)),
            None => self.check_functions_in(&expr.node, Some(table), place),
        }
    }

    /// A message in which types of schemas on the search path have no schema.
    fn without_path(&self, message: String) -> String {
        let path = self.state.settings.search_path.iter().flatten();
        path.fold(message, |message, schema| {
            let schema = format!("{}.", quoted_if_needed(schema));
            message.replace(&format!(" {schema}"), " ").replace(&format!("({schema}"), "(")
        })
    }

    /// When every column has its new type, the keys that were taken off are added again.
    fn check_remade_keys(&self, queue: &Queue) -> Step {
        // Those of the table itself are older than those of others that reference it.
        let (own, others): (Vec<_>, Vec<_>) = queue.iter().partition(|(_, work)| !work.altered.is_empty());
        for (name, work) in own.into_iter().chain(others) {
            let table = self.table(name);
            for constraint in work.remade_keys.iter().filter_map(|constraint| table.constraint(constraint.as_str())) {
                let ConstraintKind::ForeignKey(key) = &constraint.kind else { continue };
                let target = self.table(&key.table);
                for (from, to) in key.columns.iter().zip(&key.references) {
                    if let (Some(from), Some(to)) = (table.column(from.as_str()), target.column(to.as_str()))
                        && !self.comparable(&from.data_type, &to.data_type)
                    {
                        return refuse(
                            "42804",
                            format!("foreign key constraint \"{}\" cannot be implemented", constraint.name),
                        );
                    }
                }
            }
        }
        Ok(())
    }
}

/// Of an ALTER COLUMN TYPE: the column as it is, the new type, the conversion, and whether a collation is given.
fn type_change<'a>(
    table: &'a crate::catalog::Table,
    action: &'a AlterTableAction,
) -> Option<(&'a Column, &'a DataType, Option<&'a SqlExpr>, bool)> {
    match action {
        AlterTableAction::AlterColumnType { column, data_type, using, collation } => {
            Some((table.column(column.as_str())?, data_type, using.as_ref(), collation.is_some()))
        }
        _ => None,
    }
}

/// The database's collation is `None`; the type's own default is no change.
pub(super) fn same_collation(old: &Column, new: &Column) -> bool {
    let bare = |column: &Column| column.collation.as_ref().map(|collation| collation.name.clone());
    let default = |collation: &Option<Ident>| collation.as_ref().is_none_or(|name| *name == "default");
    let (old, new) = (bare(old), bare(new));
    old == new || (default(&old) && default(&new))
}

/// Whether the index depends on the column: as a key, included, in an expression or in the predicate.
pub(super) fn index_uses(index: &Index, column: &Ident) -> bool {
    index.include.contains(column)
        || index.predicate.as_ref().is_some_and(|predicate| predicate.node.columns().contains(column))
        || index.elements.iter().any(|element| element.key.uses(column))
}

fn worse(left: Change, right: Change) -> Change {
    const fn rank(change: &Change) -> u8 {
        match change {
            Change::Free => 0,
            Change::DependsOnTimeZone => 1,
            Change::Unknown => 2,
            Change::Rewrite => 3,
            Change::Impossible => 4,
        }
    }
    if rank(&left) >= rank(&right) { left } else { right }
}

/// The types that a chain of casts over the column goes through, the last one first; `None` for any other expression.
fn casts_of<'a>(mut node: &'a ExprNode, column: &Ident) -> Option<Vec<&'a DataType>> {
    let mut casts = Vec::new();
    loop {
        match node {
            ExprNode::Cast { expr, data_type } => {
                casts.push(data_type);
                node = expr;
            }
            ExprNode::Column { name, .. } if name == column => return Some(casts),
            _ => return None,
        }
    }
}

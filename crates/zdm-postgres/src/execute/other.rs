//! Statements that are short: views, sequences, types, triggers, comments, maintenance, settings, and what is opaque.

use std::sync::Arc;

use super::{Run, Step, refuse, written};
use crate::catalog::{Function, Relation, Sequence, Trigger, UserType, UserTypeKind, View};
use crate::effects::Waits;
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{
    AlterTable, AlterTableAction, CreateFunction, CreateSequence, CreateTrigger, CreateView, DropObjects, ObjectKind,
    Persistence, Reindex, ReindexTarget, SequenceOptions, Statement,
};

impl Run {
    pub(super) fn other(&mut self, statement: &Statement) -> Step {
        match statement {
            Statement::Set(parameter) => {
                self.state.set(parameter);
                Ok(())
            }
            Statement::Reset { parameter } => {
                self.state.reset(parameter.as_deref());
                Ok(())
            }
            Statement::CreateView(create) => self.create_view(create),
            Statement::CreateSequence(create) => self.create_sequence(create),
            Statement::AlterSequence { name, if_exists, options } => self.alter_sequence(name, *if_exists, options),
            Statement::CreateFunction(create) => self.create_function(create),
            Statement::CreateTrigger(create) => self.create_trigger(create),
            Statement::CreateSchema { name, if_not_exists } => {
                if self.catalog().has_schema(name.as_str()) {
                    if *if_not_exists {
                        return Ok(());
                    }
                    return refuse("42P06", format!("schema \"{name}\" already exists"));
                }
                self.catalog_mut().schemas.insert_mut(name.clone(), ());
                Ok(())
            }
            Statement::CreateExtension { name, if_not_exists } => {
                if self.catalog().has_extension(name.as_str()) {
                    if *if_not_exists {
                        return Ok(());
                    }
                    return refuse("42710", format!("extension \"{name}\" already exists"));
                }
                self.catalog_mut().extensions.insert_mut(name.clone(), ());
                Ok(())
            }
            Statement::CreateType { name, definition } => {
                let name = self.creation_name(name, Persistence::Permanent);
                if self.catalog().user_type(&name).is_some() {
                    return refuse("42710", format!("type \"{}\" already exists", name.name));
                }
                let user_type = UserType { name: name.clone(), kind: UserTypeKind::Defined(definition.clone()) };
                self.state.facts.created_types.insert(name.clone());
                self.catalog_mut().types.insert_mut(name, Arc::new(user_type));
                Ok(())
            }
            Statement::Comment { kind, name, on, .. } => self.comment(*kind, name, on.as_ref()),
            Statement::Lock { tables, mode, .. } => {
                for (table, only) in tables {
                    let name = self.open(table)?;
                    self.lock_tree(&name, *mode, only.0);
                }
                Ok(())
            }
            Statement::Reindex(reindex) => self.reindex(reindex),
            Statement::Opaque(_) | Statement::Do { .. } | Statement::Call { .. } => {
                self.catalog_mut().mark_incomplete();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn lock_tree(&mut self, name: &QualifiedName, mode: LockMode, only: bool) {
        self.lock(name, mode);
        if let Some(view) = self.catalog().view(name).cloned() {
            for (under, _) in &view.dependencies {
                self.lock_tree(under, mode, false);
            }
        } else if !only {
            for child in self.catalog().descendants(name) {
                self.lock(&child, mode);
            }
        }
    }

    fn create_view(&mut self, create: &CreateView) -> Step {
        let name = self.creation_name(&create.name, Persistence::Permanent);
        let mut dependencies: Vec<(QualifiedName, Vec<Ident>)> = Vec::new();
        if let Some(existing) = self.catalog().relation(&name).cloned() {
            match existing {
                Relation::View(view) if create.or_replace && !view.materialized => {}
                _ if create.if_not_exists => return Ok(()),
                _ if self.is_assumed(&name) => {}
                _ => return refuse("42P07", format!("relation \"{}\" already exists", name.name)),
            }
        }
        for written_name in &create.query.relations {
            let under = self.open(written_name)?;
            let table = self.table(&under);
            let columns = table
                .columns
                .iter()
                .map(|column| column.name.clone())
                .filter(|column| create.query.star || create.query.columns.contains(column))
                .collect();
            dependencies.push((under, columns));
        }
        if create.materialized && create.with_data {
            self.run_query(&create.query)?;
        } else {
            self.parse_query(&create.query)?;
        }
        if self.catalog().relation(&name).is_some() {
            self.lock(&name, LockMode::AccessExclusive);
        } else {
            self.made(&name);
        }
        let columns = if create.columns.is_empty() {
            self.query_columns(&create.query)
                .map(|columns| columns.into_iter().map(|column| column.name).collect())
                .unwrap_or_default()
        } else {
            create.columns.clone()
        };
        let view = View {
            name: name.clone(),
            materialized: create.materialized,
            query: create.query.clone(),
            columns,
            dependencies,
            indexes: Vec::new(),
        };
        self.catalog_mut().put(name, Relation::View(Arc::new(view)));
        Ok(())
    }

    fn create_sequence(&mut self, create: &CreateSequence) -> Step {
        let name = self.creation_name(&create.name, create.persistence);
        if self.catalog().relation(&name).is_some() {
            if create.if_not_exists {
                return Ok(());
            }
            return refuse("42P07", format!("relation \"{}\" already exists", name.name));
        }
        let owned_by = self.owner_of(&create.options)?;
        self.made(&name);
        let sequence = Sequence { name: name.clone(), options: create.options.clone(), owned_by, identity: false };
        self.catalog_mut().put(name, Relation::Sequence(Arc::new(sequence)));
        Ok(())
    }

    /// OWNED BY reads the table.
    fn owner_of(&mut self, options: &SequenceOptions) -> Step<Option<(QualifiedName, Ident)>> {
        let Some(Some((table, column))) = &options.owned_by else { return Ok(None) };
        let table = self.open(table)?;
        self.lock(&table, LockMode::AccessShare);
        Ok(Some((table, column.clone())))
    }

    fn alter_sequence(&mut self, name: &QualifiedName, if_exists: bool, options: &SequenceOptions) -> Step {
        let Some(name) = self.find(name) else {
            if if_exists || self.catalog().is_incomplete() {
                return Ok(());
            }
            return refuse("42P01", format!("relation \"{}\" does not exist", written(name)));
        };
        if self.catalog().sequence(&name).is_none() {
            return refuse("42809", format!("\"{}\" is not a sequence", name.name));
        }
        self.lock(&name, LockMode::ShareRowExclusive);
        let owner = self.owner_of(options)?;
        if options.owned_by.is_some() {
            self.catalog_mut().edit_sequence(&name, |sequence| sequence.owned_by = owner);
        }
        Ok(())
    }

    fn create_function(&mut self, create: &CreateFunction) -> Step {
        let name = self.creation_name(&create.name, Persistence::Permanent);
        let function = Function {
            arguments: create.arguments.clone(),
            returns: create.returns.clone(),
            language: create.language.clone(),
            volatility: create.volatility,
            body: create.body.clone(),
        };
        let mut overloads: Vec<Function> = self.catalog().functions(&name).to_vec();
        match overloads.iter_mut().find(|known| known.arguments == function.arguments) {
            Some(known) if create.or_replace => *known = function,
            Some(_) => {
                return refuse("42723", format!("function \"{}\" already exists with same argument types", name.name));
            }
            None => overloads.push(function),
        }
        self.catalog_mut().functions.insert_mut(name, Arc::new(overloads));
        Ok(())
    }

    fn create_trigger(&mut self, create: &CreateTrigger) -> Step {
        if create.or_replace {
            self.since(14, "TRIGGER")?;
        }
        let name = self.open(&create.table)?;
        self.lock(&name, LockMode::ShareRowExclusive);
        if let Some(from) = &create.from {
            let from = self.open(from)?;
            self.lock(&from, LockMode::AccessShare);
        }
        let trigger = Trigger {
            name: create.name.truncated(),
            timing: create.timing.clone(),
            events: create.events.clone(),
            update_of: create.update_of.clone(),
            for_each_row: create.for_each_row,
            when: create.when.clone(),
            function: create.function.clone(),
            constraint: create.constraint,
            attributes: create.attributes,
            enabled: true,
        };
        let exists = self.table(&name).triggers.iter().any(|known| known.name == trigger.name);
        if exists && !create.or_replace {
            return refuse(
                "42710",
                format!("trigger \"{}\" for relation \"{}\" already exists", trigger.name, name.name),
            );
        }
        self.catalog_mut().edit_table(&name, |table| {
            table.triggers.retain(|known| known.name != trigger.name);
            table.triggers.push(trigger);
        });
        Ok(())
    }

    fn comment(&mut self, kind: ObjectKind, name: &QualifiedName, on: Option<&QualifiedName>) -> Step {
        let relation = match kind {
            ObjectKind::Table
            | ObjectKind::Column
            | ObjectKind::View
            | ObjectKind::MaterializedView
            | ObjectKind::Sequence
            | ObjectKind::Index
            | ObjectKind::ForeignTable => Some(name),
            _ => on,
        };
        let Some(relation) = relation else { return Ok(()) };
        let relation = self.open(relation)?;
        self.lock(&relation, LockMode::ShareUpdateExclusive);
        Ok(())
    }

    fn reindex(&mut self, reindex: &Reindex) -> Step {
        let mut indexes: Vec<(QualifiedName, QualifiedName)> = Vec::new();
        match &reindex.target {
            ReindexTarget::Index(name) => {
                let Some(name) = self.find(name) else {
                    if self.catalog().is_incomplete() {
                        return Ok(());
                    }
                    return refuse("42P01", format!("relation \"{}\" does not exist", written(name)));
                };
                let Some(Relation::Index { table }) = self.catalog().relation(&name).cloned() else {
                    return refuse("42809", format!("\"{}\" is not an index", name.name));
                };
                indexes.push((table, name));
            }
            ReindexTarget::Table(name) => {
                let name = self.open(name)?;
                let own = self.catalog().indexes_of(&name).to_vec();
                indexes.extend(own.into_iter().map(|index| (name.clone(), name.sibling(index.name))));
            }
            ReindexTarget::Schema(_) | ReindexTarget::Database(_) | ReindexTarget::System(_) => {
                let tables: Vec<_> = self.catalog().tables().cloned().collect();
                for table in tables {
                    for index in &table.indexes {
                        indexes.push((table.name.clone(), table.name.sibling(index.name.clone())));
                    }
                }
            }
        }
        for (table, index) in indexes {
            if reindex.concurrently {
                self.effects.waits_for = Some(Waits::OldSnapshots);
                self.lock(&table, LockMode::ShareUpdateExclusive);
                self.lock(&index, LockMode::ShareUpdateExclusive);
                self.effects.index_builds.insert(index);
            } else {
                self.lock(&table, LockMode::Share);
                self.build(&index);
            }
            self.scan(&table);
        }
        Ok(())
    }

    /// ALTER TABLE, ALTER INDEX, ALTER VIEW or ALTER SEQUENCE on what is not a table.
    pub(super) fn alter_other_relation(&mut self, alter: &AlterTable, name: &QualifiedName) -> Step {
        for action in &alter.actions {
            match action {
                AlterTableAction::AttachPartition { partition, .. } => self.attach_index(name, partition)?,
                AlterTableAction::SetOptions { options } | AlterTableAction::ResetOptions { options } => {
                    let weak = options.iter().all(|option| super::alter_table::weak_option(option, ObjectKind::Index));
                    let index = matches!(self.catalog().relation(name), Some(Relation::Index { .. }));
                    let mode = if weak && index { LockMode::ShareUpdateExclusive } else { LockMode::AccessExclusive };
                    self.lock(name, mode);
                }
                AlterTableAction::SetStatistics { .. } => self.lock(name, LockMode::ShareUpdateExclusive),
                AlterTableAction::SetTablespace { .. } => {
                    self.lock(name, LockMode::AccessExclusive);
                    self.effects.index_builds.insert(name.clone());
                }
                _ => self.lock(name, LockMode::AccessExclusive),
            }
        }
        Ok(())
    }

    pub(super) fn drop_other(&mut self, drop: &DropObjects) -> Step {
        if matches!(drop.kind, ObjectKind::Trigger | ObjectKind::Policy | ObjectKind::Rule) {
            let Some(table) = &drop.on else { return Ok(()) };
            let table = self.open(table)?;
            for name in &drop.names {
                let known = self.table(&table);
                let exists = match drop.kind {
                    ObjectKind::Trigger => known.triggers.iter().any(|known| known.name == name.name),
                    ObjectKind::Policy => known.policies.iter().any(|known| known.name == name.name),
                    _ => known.rules.contains(&name.name),
                };
                if !exists && !known.assumed {
                    if drop.if_exists {
                        return Ok(());
                    }
                    return refuse(
                        "42704",
                        format!("trigger \"{}\" for table \"{}\" does not exist", name.name, table.name),
                    );
                }
                self.lock(&table, LockMode::AccessExclusive);
                let name = name.name.clone();
                self.catalog_mut().edit_table(&table, |table| {
                    table.triggers.retain(|known| known.name != name);
                    table.policies.retain(|known| known.name != name);
                    table.rules.retain(|known| *known != name);
                });
            }
        }
        Ok(())
    }
}

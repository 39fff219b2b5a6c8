//! Renames and moves between schemas. Names of other objects do not follow.

use std::sync::Arc;

use super::{Run, Step, refuse};
use crate::catalog::{Catalog, ConstraintKind, Index, Policy, Relation};
use crate::expr::{ExprNode, SqlExpr};
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{AlterTable, AlterTableAction, IndexKey, ObjectKind, ReplicaIdentity};

impl Run {
    /// RENAME and SET SCHEMA are statements of their own; `None` for every other action.
    pub(super) fn alter_as_rename(&mut self, alter: &AlterTable, action: &AlterTableAction) -> Option<Step> {
        Some(match action {
            AlterTableAction::RenameTo { name } => self.rename_to(alter, name),
            AlterTableAction::RenameColumn { from, to } => self.rename_column(alter, from, to),
            AlterTableAction::RenameConstraint { from, to } => self.rename_constraint(alter, from, to),
            AlterTableAction::SetSchema { schema } => self.set_schema(alter, schema),
            _ => return None,
        })
    }

    fn rename_to(&mut self, alter: &AlterTable, to: &Ident) -> Step {
        let Some(name) = self.alter_target(alter)? else { return Ok(()) };
        let relation = self.catalog().relation(&name).cloned();
        let is_index = matches!(relation, Some(Relation::Index { .. }));
        let mode = if alter.keyword == ObjectKind::Index && is_index {
            LockMode::ShareUpdateExclusive
        } else {
            LockMode::AccessExclusive
        };
        self.check_keyword(alter.keyword, &name)?;
        self.lock(&name, mode);
        let target = name.sibling(to.truncated());
        let message = format!("relation \"{}\" already exists", target.name);
        if self.is_composite(&target) {
            return refuse("42P07", message);
        }
        self.need_free_name(&target, message)?;
        match relation {
            Some(Relation::Index { table }) => {
                self.rename_index(&table, &name.name, &target.name);
                // The constraint of an index is renamed with it.
                let (from, to) = (name.name.clone(), target.name.clone());
                self.catalog_mut().edit_table(&table, |table| {
                    for constraint in table.constraints.iter_mut().filter(|constraint| constraint.name == from) {
                        if matches!(
                            constraint.kind,
                            ConstraintKind::PrimaryKey { .. }
                                | ConstraintKind::Unique { .. }
                                | ConstraintKind::Exclude { .. }
                        ) {
                            constraint.name = to.clone();
                        }
                    }
                });
            }
            _ => self.move_relation(&name, &target),
        }
        Ok(())
    }

    fn check_keyword(&self, keyword: ObjectKind, name: &QualifiedName) -> Step {
        let word = match (keyword, self.catalog().relation(name)) {
            (ObjectKind::View, Some(Relation::View(view))) if !view.materialized => return Ok(()),
            (ObjectKind::MaterializedView, Some(Relation::View(view))) if view.materialized => return Ok(()),
            (ObjectKind::Sequence, Some(Relation::Sequence(_))) => return Ok(()),
            (ObjectKind::View, Some(_)) => "view",
            (ObjectKind::MaterializedView, Some(_)) => "materialized view",
            (ObjectKind::Sequence, Some(_)) => "sequence",
            _ => return Ok(()),
        };
        refuse("42809", format!("\"{}\" is not a {word}", name.name))
    }

    /// Gives an index another name, in the table and in the namespace.
    pub(super) fn rename_index(&mut self, table: &QualifiedName, from: &Ident, to: &Ident) {
        let old = table.sibling(from.clone());
        let new = table.sibling(to.clone());
        self.catalog_mut().remove(&old);
        self.catalog_mut().put(new.clone(), Relation::Index { table: table.clone() });
        let rename = |indexes: &mut Vec<crate::catalog::Index>| {
            for index in indexes.iter_mut().filter(|index| index.name == *from) {
                index.name = to.clone();
            }
        };
        if self.catalog().view(table).is_some() {
            self.catalog_mut().edit_view(table, |view| rename(&mut view.indexes));
        } else {
            self.catalog_mut().edit_table(table, |table| {
                rename(&mut table.indexes);
                if table.clustered_on.as_ref() == Some(from) {
                    table.clustered_on = Some(to.clone());
                }
                if table.replica_identity.index() == Some(from) {
                    table.replica_identity = ReplicaIdentity::Index(to.clone());
                }
            });
        }
        for child in self.catalog().descendants(table) {
            self.catalog_mut().edit_table(&child, |table| {
                for index in table.indexes.iter_mut().filter(|index| index.parent.as_ref() == Some(&old)) {
                    index.parent = Some(new.clone());
                }
            });
        }
        self.follow(&old, &new);
    }

    /// What is known of the transaction follows the relation to its new name.
    fn follow(&mut self, from: &QualifiedName, to: &QualifiedName) {
        let facts = &mut self.state.facts;
        if facts.created.remove(from) {
            facts.created.insert(to.clone());
            facts.committed_name.remove(to);
        } else {
            facts.created.remove(to);
            let committed = facts.committed_name.remove(from).unwrap_or_else(|| from.clone());
            facts.committed_name.insert(to.clone(), committed);
        }
        for set in [&mut facts.empty, &mut facts.written_anew] {
            if set.remove(from) {
                set.insert(to.clone());
            }
        }
        if self.state.assumed_empty.remove(from) {
            self.state.assumed_empty.insert(to.clone());
        }
        for set in [&mut facts.null_columns, &mut self.state.assumed_null] {
            *set = std::mem::take(set)
                .into_iter()
                .map(|(table, column)| (if table == *from { to.clone() } else { table }, column))
                .collect();
        }
        facts.pending = std::mem::take(&mut facts.pending)
            .into_iter()
            .map(|((table, (owner, name)), certain)| {
                let renamed = |known: QualifiedName| if known == *from { to.clone() } else { known };
                ((renamed(table), (renamed(owner), name)), certain)
            })
            .collect();
        self.renames.push((from.clone(), to.clone()));
    }

    /// A table, view or sequence under another name or in another schema; everything that names it follows.
    pub(super) fn move_relation(&mut self, from: &QualifiedName, to: &QualifiedName) {
        let Some(relation) = self.catalog().relation(from).cloned() else { return };
        self.catalog_mut().remove(from);
        match relation {
            Relation::Table(table) => {
                let mut table = Arc::unwrap_or_clone(table);
                table.name = to.clone();
                self.move_indexes(&table.indexes, from, to);
                self.catalog_mut().put_table(table);
            }
            Relation::View(view) => {
                let mut view = Arc::unwrap_or_clone(view);
                view.name = to.clone();
                self.move_indexes(&view.indexes, from, to);
                self.catalog_mut().put(to.clone(), Relation::View(Arc::new(view)));
            }
            Relation::Sequence(sequence) => {
                let mut sequence = Arc::unwrap_or_clone(sequence);
                sequence.name = to.clone();
                self.catalog_mut().put(to.clone(), Relation::Sequence(Arc::new(sequence)));
            }
            Relation::Index { .. } => {}
        }
        rename_references(self.catalog_mut(), from, to);
        self.rename_type_in_users(from, to);
        self.edit_statistics_of(from, |known| known.table = to.clone());
        self.follow(from, to);
    }

    /// The indexes of a relation that has moved follow it to its schema.
    fn move_indexes(&mut self, indexes: &[Index], from: &QualifiedName, to: &QualifiedName) {
        for index in indexes {
            let (old, new) = (from.sibling(index.name.clone()), to.sibling(index.name.clone()));
            self.catalog_mut().remove(&old);
            self.catalog_mut().put(new.clone(), Relation::Index { table: to.clone() });
            if old != new {
                self.follow(&old, &new);
            }
        }
    }

    fn rename_column(&mut self, alter: &AlterTable, from: &Ident, to: &Ident) -> Step {
        let Some(name) = self.alter_target(alter)? else { return Ok(()) };
        self.lock(&name, LockMode::AccessExclusive);
        let to = to.truncated();
        if alter.keyword == ObjectKind::View {
            self.since(13, "COLUMN")?;
        }
        if let Some(view) = self.catalog().view(&name) {
            if !view.columns.is_empty() && !view.columns.contains(from) {
                return refuse("42703", format!("column \"{from}\" does not exist"));
            }
            self.catalog_mut().edit_view(&name, |view| {
                for column in view.columns.iter_mut().chain(&mut view.defaults).filter(|column| *column == from) {
                    *column = to.clone();
                }
            });
            return Ok(());
        }
        if self.table(&name).of_type.is_some() {
            return refuse("42809", "cannot rename column of typed table");
        }
        let mut tables = vec![name.clone()];
        if !alter.only.0 {
            for child in self.catalog().descendants(&name) {
                self.lock(&child, LockMode::AccessExclusive);
                tables.push(child);
            }
        }
        if self.catalog().sequence(&name).is_some() {
            return refuse("42809", format!("cannot rename columns of relation \"{}\"", name.name));
        }
        let table = self.table(&name);
        match table.column(from.as_str()) {
            None if super::create_table::is_system_column(from) => {
                return refuse("0A000", format!("cannot rename system column \"{from}\""));
            }
            None if table.is_vague() => return Ok(()),
            None => return refuse("42703", format!("column \"{from}\" does not exist")),
            Some(_) => {}
        }
        if alter.only.0 && !table.children.is_empty() {
            return refuse("42P16", format!("inherited column \"{from}\" must be renamed in child tables too"));
        }
        // The children come first.
        for known in tables.iter().skip(1).chain(tables.first()) {
            if *known == name && table.column(from.as_str()).is_some_and(|column| column.inherited) {
                return refuse("42P16", format!("cannot rename inherited column \"{from}\""));
            }
            if *known != name && self.inherits_elsewhere(known, from, &tables) {
                return refuse("42P16", format!("cannot rename inherited column \"{from}\""));
            }
            if super::create_table::is_system_column(&to) {
                return refuse("42701", format!("column name \"{to}\" conflicts with a system column name"));
            }
            if self.table(known).column(to.as_str()).is_some() {
                return refuse("42701", format!("column \"{to}\" of relation \"{}\" already exists", known.name));
            }
        }
        for name in tables {
            self.rename_column_of(&name, from, &to);
        }
        Ok(())
    }

    fn rename_column_of(&mut self, name: &QualifiedName, from: &Ident, to: &Ident) {
        self.edit_statistics_of(name, |known| {
            for element in &mut known.elements {
                match element {
                    IndexKey::Column(column) if column == from => *column = to.clone(),
                    IndexKey::Column(_) => {}
                    IndexKey::Expr(expr) => *expr = renamed(expr, from, to),
                }
            }
        });
        self.catalog_mut().edit_table(name, |table| {
            let rename = |column: &mut Ident| {
                if column == from {
                    *column = to.clone();
                }
            };
            let rename_expr = |expr: &mut SqlExpr| *expr = renamed(expr, from, to);
            for column in &mut table.columns {
                rename(&mut column.name);
                if let Some(generated) = &mut column.generated {
                    rename_expr(&mut generated.expr);
                }
            }
            for constraint in &mut table.constraints {
                match &mut constraint.kind {
                    ConstraintKind::Check { expr, .. } => rename_expr(expr),
                    ConstraintKind::Unique { columns, include, .. }
                    | ConstraintKind::PrimaryKey { columns, include } => {
                        columns.iter_mut().chain(include).for_each(rename);
                    }
                    ConstraintKind::ForeignKey(key) => {
                        key.columns.iter_mut().for_each(rename);
                        if key.table == *name {
                            key.references.iter_mut().for_each(rename);
                        }
                    }
                    ConstraintKind::Exclude { elements, predicate } => {
                        for (element, _) in elements {
                            match &mut element.key {
                                IndexKey::Column(column) => rename(column),
                                IndexKey::Expr(expr) => rename_expr(expr),
                            }
                        }
                        if let Some(predicate) = predicate {
                            rename_expr(predicate);
                        }
                    }
                    ConstraintKind::NotNull { column, .. } => rename(column),
                }
            }
            for index in &mut table.indexes {
                for element in &mut index.elements {
                    match &mut element.key {
                        IndexKey::Column(column) => rename(column),
                        IndexKey::Expr(expr) => rename_expr(expr),
                    }
                }
                index.include.iter_mut().for_each(rename);
                if let Some(predicate) = &mut index.predicate {
                    rename_expr(predicate);
                }
            }
            for trigger in &mut table.triggers {
                trigger.update_of.iter_mut().for_each(rename);
                if let Some(when) = &mut trigger.when {
                    rename_expr(when);
                }
            }
            for rule in &mut table.rules {
                rule.columns.iter_mut().filter(|column| *column == from).for_each(|column| *column = to.clone());
            }
            for condition in table.policies.iter_mut().flat_map(Policy::conditions_mut) {
                condition.columns.iter_mut().for_each(rename);
            }
            if let Some(partition_by) = &mut table.partition_by {
                partition_by.columns.iter_mut().for_each(rename);
                partition_by.expressions.iter_mut().for_each(rename_expr);
            }
        });
        let catalog = self.catalog_mut();
        for (referencing, _, _) in catalog.foreign_keys_to(name) {
            if referencing == *name {
                continue;
            }
            catalog.edit_table(&referencing, |table| {
                for constraint in &mut table.constraints {
                    if let ConstraintKind::ForeignKey(key) = &mut constraint.kind
                        && key.table == *name
                    {
                        for column in key.references.iter_mut().filter(|column| *column == from) {
                            *column = to.clone();
                        }
                    }
                }
            });
        }
        for (view, _) in catalog.views_on(name) {
            catalog.edit_view(&view, |view| {
                view.condition = None;
                for (relation, columns) in &mut view.dependencies {
                    if relation == name {
                        for column in columns.iter_mut().filter(|column| *column == from) {
                            *column = to.clone();
                        }
                    }
                }
            });
        }
        rename_named(catalog, &|relation, columns| {
            if relation == name {
                for column in columns.iter_mut().filter(|column| **column == *from) {
                    *column = to.clone();
                }
            }
        });
        for (column, sequence) in catalog.sequences_of(name) {
            if column == *from {
                catalog.edit_sequence(&sequence, |sequence| sequence.owned_by = Some((name.clone(), to.clone())));
            }
        }
        for set in [&mut self.state.facts.null_columns, &mut self.state.assumed_null] {
            if set.remove(&(name.clone(), from.clone())) {
                set.insert((name.clone(), to.clone()));
            }
        }
    }

    fn rename_constraint(&mut self, alter: &AlterTable, from: &Ident, to: &Ident) -> Step {
        let Some(name) = self.alter_target(alter)? else { return Ok(()) };
        self.lock(&name, LockMode::AccessExclusive);
        let to = to.truncated();
        let table = self.table(&name);
        let taken = || refuse("42710", format!("constraint \"{to}\" for relation \"{}\" already exists", name.name));
        let Some(constraint) = table.constraint(from.as_str()) else {
            if table.is_vague() {
                return Ok(());
            }
            if table.constraint_trigger(from.as_str()).is_some() {
                if table.has_constraint(to.as_str()) {
                    return taken();
                }
                self.catalog_mut().edit_table(&name, |table| {
                    for constraint in table.triggers.iter_mut().filter_map(|trigger| trigger.constraint.as_mut()) {
                        if constraint == from {
                            *constraint = to.clone();
                        }
                    }
                });
                return Ok(());
            }
            if table.part_key(from.as_str()).is_some() {
                if table.has_constraint(to.as_str()) {
                    return taken();
                }
                self.catalog_mut().edit_table(&name, |table| {
                    for part in table.part_keys.iter_mut().filter(|part| part.name == *from) {
                        part.name = to.clone();
                    }
                });
                return Ok(());
            }
            return refuse("42704", format!("constraint \"{from}\" for table \"{}\" does not exist", name.name));
        };
        let goes_down = matches!(constraint.kind, ConstraintKind::Check { .. } | ConstraintKind::NotNull { .. });
        if constraint.inherited && goes_down {
            return refuse("42P16", format!("cannot rename inherited constraint \"{from}\""));
        }
        let recurses = matches!(
            constraint.kind,
            ConstraintKind::Check { no_inherit: false, .. } | ConstraintKind::NotNull { no_inherit: false, .. }
        );
        if recurses && alter.only.0 && !table.children.is_empty() {
            return refuse("42P16", format!("inherited constraint \"{from}\" must be renamed in child tables too"));
        }
        let is_key = matches!(
            constraint.kind,
            ConstraintKind::PrimaryKey { .. } | ConstraintKind::Unique { .. } | ConstraintKind::Exclude { .. }
        );
        if is_key && self.catalog().relation(&name.sibling(to.clone())).is_some() {
            return refuse("42P07", format!("relation \"{to}\" already exists"));
        }
        if table.has_constraint(to.as_str()) {
            return taken();
        }
        if is_key {
            self.lock(&name.sibling(from.clone()), LockMode::ShareUpdateExclusive);
            self.rename_index(&name, from, &to);
        }
        let mut tables = vec![name.clone()];
        if recurses {
            for child in self.catalog().descendants(&name) {
                self.lock(&child, LockMode::AccessExclusive);
                tables.push(child);
            }
        }
        for name in tables {
            self.catalog_mut().edit_table(&name, |table| {
                for constraint in table.constraints.iter_mut().filter(|constraint| constraint.name == *from) {
                    constraint.name = to.clone();
                }
                for part in table.part_keys.iter_mut().filter(|part| part.key == *from) {
                    part.key = to.clone();
                }
            });
        }
        Ok(())
    }

    fn set_schema(&mut self, alter: &AlterTable, schema: &Ident) -> Step {
        let Some(name) = self.alter_target(alter)? else { return Ok(()) };
        self.lock(&name, LockMode::AccessExclusive);
        if !self.catalog().has_schema(schema.as_str()) && !self.catalog().is_incomplete() {
            return refuse("3F000", format!("schema \"{schema}\" does not exist"));
        }
        if self.catalog().sequence(&name).is_some_and(|sequence| sequence.owned_by.is_some()) {
            return refuse("0A000", "cannot move an owned sequence into another schema");
        }
        let to = QualifiedName::with_schema(schema.clone(), name.name.clone());
        if to == name {
            for (_, sequence) in self.catalog().sequences_of(&name) {
                self.lock(&sequence, LockMode::AccessExclusive);
            }
            return Ok(());
        }
        self.need_free_name(&to, format!("relation \"{}\" already exists in schema \"{schema}\"", name.name))?;
        let sequences = self.catalog().sequences_of(&name);
        self.move_relation(&name, &to);
        for (_, sequence) in sequences {
            self.lock(&sequence, LockMode::AccessExclusive);
            let moved = QualifiedName::with_schema(schema.clone(), sequence.name.clone());
            self.move_relation(&sequence, &moved);
        }
        Ok(())
    }
}

/// Every reference from other relations.
fn rename_references(catalog: &mut Catalog, from: &QualifiedName, to: &QualifiedName) {
    rename_named(catalog, &|relation, _| {
        if relation == from {
            *relation = to.clone();
        }
    });
    let names: Vec<QualifiedName> = catalog.relations().map(|(name, _)| name.clone()).collect();
    for name in names {
        match catalog.relation(&name) {
            Some(Relation::Table(table)) => {
                let concerns = table.children.contains(from)
                    || table.inherits.contains(from)
                    || table.partition_of.as_ref().is_some_and(|(parent, _)| parent == from)
                    || table.columns.iter().any(|column| column.draws_from(from))
                    || table.part_keys.iter().any(|part| part.partition == *from)
                    || table.constraints.iter().any(
                        |constraint| matches!(&constraint.kind, ConstraintKind::ForeignKey(key) if key.table == *from),
                    );
                if !concerns {
                    continue;
                }
                catalog.edit_table(&name, |table| {
                    for known in table.children.iter_mut().chain(&mut table.inherits).filter(|known| *known == from) {
                        *known = to.clone();
                    }
                    if let Some((parent, _)) = &mut table.partition_of
                        && parent == from
                    {
                        *parent = to.clone();
                    }
                    for part in table.part_keys.iter_mut().filter(|part| part.partition == *from) {
                        part.partition = to.clone();
                    }
                    for constraint in &mut table.constraints {
                        if let ConstraintKind::ForeignKey(key) = &mut constraint.kind
                            && key.table == *from
                        {
                            key.table = to.clone();
                        }
                    }
                    for column in &mut table.columns {
                        if column.draws_from(from) {
                            if let Some(identity) = &mut column.identity {
                                identity.sequence = to.clone();
                            } else if column.default.is_some() {
                                column.default = Some(super::create_table::nextval(to));
                            }
                        }
                    }
                });
            }
            Some(Relation::View(view)) if view.dependencies.iter().any(|(relation, _)| relation == from) => {
                catalog.edit_view(&name, |view| {
                    let rename = |relation: &mut QualifiedName| {
                        if relation == from {
                            *relation = to.clone();
                        }
                    };
                    view.dependencies.iter_mut().for_each(|(relation, _)| rename(relation));
                    view.keyed.iter_mut().for_each(rename);
                    view.query.rename_relations(&rename);
                });
            }
            Some(Relation::Sequence(sequence))
                if sequence.owned_by.as_ref().is_some_and(|(table, _)| table == from) =>
            {
                catalog.edit_sequence(&name, |sequence| {
                    if let Some((table, _)) = &mut sequence.owned_by {
                        *table = to.clone();
                    }
                });
            }
            Some(Relation::Index { table }) if table == from => {
                catalog.put(name, Relation::Index { table: to.clone() });
            }
            _ => {}
        }
    }
}

/// What bodies of functions, publications, policies and rules name.
fn rename_named(catalog: &mut Catalog, rename: &dyn Fn(&mut QualifiedName, &mut Vec<Ident>)) {
    let functions: Vec<_> = catalog
        .functions
        .iter()
        .filter(|(_, overloads)| overloads.iter().any(|function| !function.dependencies.is_empty()))
        .map(|(name, overloads)| (name.clone(), overloads.as_ref().clone()))
        .collect();
    for (name, mut overloads) in functions {
        for (relation, columns) in overloads.iter_mut().flat_map(|function| &mut function.dependencies) {
            rename(relation, columns);
        }
        catalog.functions.insert_mut(name, Arc::new(overloads));
    }
    let publications: Vec<_> =
        catalog.publications.iter().map(|(name, publication)| (name.clone(), publication.as_ref().clone())).collect();
    for (name, mut publication) in publications {
        for part in &mut publication.parts {
            rename(&mut part.table, &mut part.columns);
            rename(&mut part.table, &mut part.filter);
        }
        catalog.publications.insert_mut(name, Arc::new(publication));
    }
    for name in catalog.secured_tables() {
        catalog.edit_table(&name, |table| {
            for condition in table.policies.iter_mut().flat_map(Policy::conditions_mut) {
                for (relation, columns) in &mut condition.dependencies {
                    rename(relation, columns);
                }
            }
            for rule in &mut table.rules {
                for (relation, columns) in &mut rule.dependencies {
                    rename(relation, columns);
                }
                rule.writes.iter_mut().for_each(|relation| rename(relation, &mut Vec::new()));
            }
        });
    }
}

/// The expression with a column renamed in its structure; the text stays what was written.
fn renamed(expr: &SqlExpr, from: &Ident, to: &Ident) -> SqlExpr {
    if !expr.node.columns().contains(from) {
        return expr.clone();
    }
    let mut node = ExprNode::clone(&expr.node);
    rename_in(&mut node, from, to);
    SqlExpr { text: expr.text.clone(), node: Arc::new(node) }
}

fn rename_in(node: &mut ExprNode, from: &Ident, to: &Ident) {
    if let ExprNode::Column { name, .. } = node
        && name == from
    {
        *name = to.clone();
    }
    for child in node.children_mut() {
        rename_in(child, from, to);
    }
}

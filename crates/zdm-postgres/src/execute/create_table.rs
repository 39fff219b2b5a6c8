//! CREATE TABLE in all its forms, and the parts of it that ALTER TABLE shares: columns, constraints, key indexes.
//!
//! Server order (`transformCreateStmt`, `DefineRelation`): sequences of serial and identity columns, the table with its
//! columns and checks, not-null constraints (18), then the keys' indexes, then the foreign keys.

use std::sync::Arc;

use super::create_index::{check_partition_key, check_system_columns};
use super::maintenance::is_on;
use super::not_null::set_not_null;
use super::{Run, Step, candidates, refuse, written};
use crate::catalog::{Column, Constraint, ConstraintKind, Generated, Identity, Index, Relation, Sequence, Table};
use crate::data_type::DataType;
use crate::expr::{ExprNode, SqlExpr};
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName, Written};
use crate::naming;
use crate::statement::{
    AttributeWords, ColumnConstraintKind, ColumnDef, ConstraintAttributes, CreateTable, CreateTableAs, IndexElement,
    IndexKey, KeyConstraint, OnCommit, PartitionBound, Persistence, Query, References, SequenceOptions,
    TableConstraint, TableConstraintKind,
};
use crate::typing::Place;

/// A key that becomes an index: PRIMARY KEY, UNIQUE or EXCLUDE.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) name: Option<Ident>,
    pub(super) kind: KeyKind,
    pub(super) include: Vec<Ident>,
    pub(super) nulls_not_distinct: bool,
    /// The last column is WITHOUT OVERLAPS.
    pub(super) without_overlaps: bool,
    /// Storage parameters of the index.
    pub(super) options: Vec<(String, String)>,
    pub(super) attributes: ConstraintAttributes,
    pub(super) inherited: bool,
    /// Of ONLY the partitioned table: its partitions get none, and the index is not valid until they have their own.
    pub(super) only: bool,
    /// The index of the parent that the new index belongs to.
    pub(super) parent: Option<QualifiedName>,
}

#[derive(Clone, Debug)]
pub(super) enum KeyKind {
    Primary(Vec<Ident>),
    Unique(Vec<Ident>),
    Exclude { method: Ident, elements: Vec<(IndexElement, String)>, predicate: Option<SqlExpr> },
}

/// A CHECK as written, on its way to a name.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) name: Option<Ident>,
    pub(super) expr: SqlExpr,
    pub(super) no_inherit: bool,
    pub(super) attributes: ConstraintAttributes,
}

/// A foreign key as written.
#[derive(Clone, Debug)]
pub(super) struct NewForeignKey {
    pub(super) name: Option<Ident>,
    pub(super) columns: Vec<Ident>,
    pub(super) references: References,
    pub(super) period: bool,
    pub(super) attributes: ConstraintAttributes,
}

/// A NOT NULL with a name or attributes of its own (18).
#[derive(Clone, Debug)]
pub(super) struct NotNull {
    pub(super) name: Option<Ident>,
    pub(super) column: Ident,
    pub(super) no_inherit: bool,
    pub(super) valid: bool,
}

/// What the constraints of a list of columns come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    pub(super) checks: Vec<Check>,
    pub(super) keys: Vec<Key>,
    pub(super) foreign_keys: Vec<NewForeignKey>,
    pub(super) not_nulls: Vec<NotNull>,
}

impl Run {
    pub(super) fn create_table(&mut self, create: &CreateTable) -> Step {
        let name = self.creation_name(&create.name, create.persistence);
        let own_schema = create.name.schema.as_ref().is_some_and(|schema| *schema == "pg_temp");
        let elsewhere = create.name.schema.is_some() || create.name.written == Written::Default;
        if create.persistence == Persistence::Temporary && elsewhere && !own_schema {
            return refuse("42P16", "cannot create temporary relation in non-temporary schema");
        }
        if create.persistence == Persistence::Unlogged && own_schema {
            return refuse("42P16", "only temporary relations may be created in temporary schemas");
        }
        if create.name.schema.as_ref().is_some_and(|schema| *schema == "pg_catalog") {
            return refuse("42501", format!("permission denied to create \"pg_catalog.{}\"", name.name));
        }
        if let Some(schema) = &create.name.schema
            && !own_schema
            && !self.catalog().has_schema(schema.as_str())
            && !self.catalog().is_incomplete()
        {
            return refuse("3F000", format!("schema \"{schema}\" does not exist"));
        }
        for column in &create.columns {
            if column.storage.is_some() {
                self.since(16, "STORAGE")?;
            }
            if column.compression.is_some() {
                self.since(14, "COMPRESSION")?;
            }
        }
        for constraint in &create.constraints {
            self.check_period(constraint)?;
            if matches!(constraint.kind, TableConstraintKind::NotNull { .. }) {
                self.since(18, "NOT")?;
            }
            self.check_words(&constraint.words)?;
            if let TableConstraintKind::Unique(key) | TableConstraintKind::PrimaryKey(key) = &constraint.kind
                && key.without_overlaps
            {
                self.since(18, "WITHOUT")?;
            }
        }
        self.check_on_commit(create.on_commit, create.persistence)?;
        let exists = self.catalog().relation(&name).is_some() && !self.may_be_missing(&name);
        if exists && create.if_not_exists {
            return Ok(());
        }
        let message = format!("relation \"{}\" already exists", name.name);
        // The names of its sequences are free as well if it is gone.
        if self.table(&name).uncertain {
            self.need_free_name(&name, message.clone())?;
        }
        let mut parts = Parts::default();
        self.transform_elements(&name, create, &mut parts)?;
        if !create.inherits.is_empty() && create.partition_by.is_some() {
            return refuse("42P17", "cannot create partitioned table as inheritance child");
        }
        if create.partition_by.is_some() && create.persistence == Persistence::Unlogged && self.version.at_least(18) {
            return refuse("0A000", "partitioned tables cannot be unlogged");
        }
        let mut table = Table::named(name.clone());
        table.persistence = create.persistence;
        table.dropped_on_commit = create.on_commit == Some(OnCommit::Drop);
        table.foreign = create.foreign;
        table.partition_by.clone_from(&create.partition_by);
        if create.partition_by.is_none() {
            let method = create.access_method.clone().or_else(|| self.default_access_method());
            table.access_method = method.filter(|method| *method != "heap");
        }
        let options = without_oids(&create.options)?;
        match options.first() {
            Some((option, _)) if create.partition_by.is_some() => {
                return if self.version.at_least(16) {
                    refuse("42809", "cannot specify storage parameters for a partitioned table")
                } else {
                    refuse("22023", format!("unrecognized parameter \"{option}\""))
                };
            }
            _ => super::alter_table::check_table_options(&options, self.version)?,
        }
        self.need_tablespace(create.tablespace.as_ref())?;
        for (option, value) in &create.options {
            if option == "vacuum_truncate" {
                table.vacuum_truncate = Some(is_on(value));
            }
        }
        if create.foreign && !create.like.is_empty() && !self.version.at_least(18) {
            return refuse("0A000", "LIKE is not supported for creating foreign tables");
        }
        for (source, options) in &create.like {
            self.like(&mut table, &mut parts, source, options)?;
        }
        for definition in &create.columns {
            if create.partition_of.is_some() || create.of_type.is_some() {
                continue;
            }
            self.define_column(&mut table, &mut parts, definition)?;
        }
        let parents = self.open_parents(create)?;
        for parent in &parents {
            self.inherit_columns(&mut table, parent, create.partition_of.is_some())?;
        }
        if let Some((_, bound)) = &create.partition_of {
            if let Some(parent) = parents.first() {
                table.partition_of = Some((parent.clone(), bound.clone()));
                Self::check_persistence_of_partition(&table, &self.table(parent), "create", "as partition")?;
            }
            // A partition's column list only adds constraints and defaults.
            self.merge_partition_columns(create, &table)?;
            self.add_to_columns(create, &mut table, &mut parts)?;
        } else {
            table.inherits.clone_from(&parents);
        }
        for column in &table.columns {
            super::domain::refuse_pseudo_type(&column.name, &column.data_type)?;
        }
        if let Some(of_type) = &create.of_type {
            let of_type = self.type_of_table(of_type)?;
            let attributes = self.composite_attributes(&of_type).unwrap_or_default();
            table.columns.extend(attributes.iter().map(|(name, data_type)| plain_column(name, data_type)));
            table.assumed |= attributes.is_empty();
            table.of_type = Some(of_type);
            self.add_to_columns(create, &mut table, &mut parts)?;
        }
        if self.is_composite(&name) {
            return refuse("42P07", message);
        }
        self.need_free_name(&name, message)?;
        self.need_free_row_type(&name)?;
        for constraint in &create.constraints {
            // Those of NOT NULL are there already.
            if !matches!(constraint.kind, TableConstraintKind::NotNull { .. }) {
                Self::table_constraint(&mut parts, constraint);
            }
        }
        for not_null in &parts.not_nulls {
            set_not_null(&mut table, &not_null.column);
        }
        for column in &table.columns {
            self.check_generation(&table, column)?;
        }

        self.made(&name);
        self.state.facts.empty.insert(name.clone());
        for parent in &parents {
            self.catalog_mut().edit_table(parent, |parent| parent.children.push(name.clone()));
        }
        self.catalog_mut().put_table(table);
        if let Some((_, bound)) = &create.partition_of
            && let Some(parent) = parents.first()
        {
            self.check_bound(&name, parent, bound)?;
            self.check_default_partition(parent, bound);
        }
        if let Some(partition_by) = &create.partition_by {
            let table = self.table(&name);
            self.check_partition_key(&table, partition_by)?;
        }
        // There are no rows that NOT VALID could pass over (`transformCheckConstraints`, `transformFKConstraints`).
        let checks = parts.checks.iter_mut().map(|check| &mut check.attributes);
        for attributes in checks.chain(parts.foreign_keys.iter_mut().map(|key| &mut key.attributes)) {
            attributes.not_valid = false;
        }
        self.inherit_checks(&name, &parents)?;
        for check in &parts.checks {
            self.add_own_check(&name, check)?;
        }
        self.add_not_nulls(&name, std::mem::take(&mut parts.not_nulls), &parents)?;
        // A partition has its parent's primary key, which comes first.
        let has_primary = create.partition_of.is_some()
            && parents.first().is_some_and(|parent| self.table(parent).primary_key().is_some());
        for key in merge_keys(&name, std::mem::take(&mut parts.keys))? {
            if has_primary && matches!(key.kind, KeyKind::Primary(_)) {
                return multiple_primary_keys(&name);
            }
            self.add_key(&name, &key, true)?;
        }
        if create.partition_of.is_some()
            && let Some(parent) = parents.first()
        {
            self.refuse_foreign_part(&self.table(&name), parent, true)?;
            self.clone_parent_indexes(&name, parent)?;
            self.clone_parent_foreign_keys(&name, parent);
            self.clone_parent_triggers(&name, parent)?;
        }
        for key in &parts.foreign_keys {
            self.add_foreign_key(&name, key, false)?;
        }
        Ok(())
    }

    /// Constraints and defaults of columns that the table has from elsewhere.
    fn add_to_columns(&mut self, create: &CreateTable, table: &mut Table, parts: &mut Parts) -> Step {
        let twice =
            create.columns.iter().enumerate().find(|(place, definition)| {
                create.columns.iter().take(*place).any(|known| known.name == definition.name)
            });
        if let Some((_, definition)) = twice {
            return refuse("42701", format!("column \"{}\" specified more than once", definition.name));
        }
        for definition in &create.columns {
            let Some(position) = table.columns.iter().position(|column| column.name == definition.name) else {
                if table.assumed {
                    continue;
                }
                return refuse("42703", format!("column \"{}\" does not exist", definition.name));
            };
            let mut column = table.columns[position].clone();
            self.column_constraints(&mut column, &table.name, parts, definition)?;
            table.columns[position] = column;
        }
        Ok(())
    }

    /// `check_of_type`: the catalog's name of a type that a table can be of.
    pub(super) fn type_of_table(&self, written_name: &QualifiedName) -> Step<QualifiedName> {
        if let Some(found) = self.find_type(written_name) {
            if self.is_composite(&found) {
                return Ok(found);
            }
            return refuse("42809", format!("type {} is not a composite type", written(written_name)));
        }
        if let Some(relation) = self.find(written_name) {
            let word = if self.version.at_least(18) { "the row type of another table" } else { "not a composite type" };
            return refuse("42809", format!("type {} is {word}", relation.name));
        }
        if self.catalog().is_incomplete() {
            return Ok(written_name.clone());
        }
        self.need_schema_of(written_name)?;
        refuse("42704", format!("type \"{}\" does not exist", written(written_name)))
    }

    /// SHARE UPDATE EXCLUSIVE on parents by INHERITS, ACCESS EXCLUSIVE on the parent of a partition.
    fn open_parents(&mut self, create: &CreateTable) -> Step<Vec<QualifiedName>> {
        let mut parents = Vec::new();
        for parent in &create.inherits {
            let parent = self.open(parent)?;
            self.lock(&parent, LockMode::ShareUpdateExclusive);
            self.check_parent(&parent)?;
            if create.persistence != Persistence::Temporary && self.table(&parent).persistence == Persistence::Temporary
            {
                return refuse("42809", format!("cannot inherit from temporary relation \"{}\"", parent.name));
            }
            if parents.contains(&parent) {
                return refuse("42P07", format!("relation \"{}\" would be inherited from more than once", parent.name));
            }
            parents.push(parent);
        }
        if let Some((parent, _)) = &create.partition_of {
            let parent = self.open(parent)?;
            let table = self.table(&parent);
            if table.partition_by.is_none() && !table.assumed {
                return refuse("42P17", format!("\"{}\" is not partitioned", parent.name));
            }
            self.lock(&parent, LockMode::AccessExclusive);
            parents.push(parent);
        }
        Ok(parents)
    }

    /// What a computed column can be computed from.
    pub(super) fn check_generation(&self, table: &Table, column: &Column) -> Step {
        let Some(generated) = column.generated.as_ref().filter(|_| !column.inherited && !table.assumed) else {
            return Ok(());
        };
        for name in generated.expr.node.certain_columns() {
            match table.column(name.as_str()) {
                None if name == column.name => {
                    return refuse(
                        "42P17",
                        format!("cannot use generated column \"{name}\" in column generation expression"),
                    );
                }
                None if name == table.name.name => {
                    return refuse("42P17", "cannot use whole-row variable in column generation expression");
                }
                None if *name.as_str() == *"tableoid" => {}
                None if is_system_column(&name) => {
                    return refuse(
                        "42P10",
                        format!("cannot use system column \"{name}\" in column generation expression"),
                    );
                }
                None => return refuse("42703", format!("column \"{name}\" does not exist")),
                Some(other) if other.generated.is_some() => {
                    return refuse(
                        "42P17",
                        format!("cannot use generated column \"{name}\" in column generation expression"),
                    );
                }
                Some(_) => {}
            }
        }
        if self.is_surely_mutable(&generated.expr.node, table) {
            return refuse("42P17", "generation expression is not immutable");
        }
        if !generated.stored && self.uses_user_type(&generated.expr.node, table) {
            return refuse("0A000", "generation expression uses user-defined type");
        }
        Ok(())
    }

    /// Whether a part of the expression is of a type that somebody has made.
    fn uses_user_type(&self, node: &ExprNode, table: &Table) -> bool {
        let made = |data_type: &DataType| self.find_type(&data_type.name).is_some();
        let mut found = node
            .columns()
            .iter()
            .filter_map(|column| table.column(column.as_str()))
            .any(|column| made(&column.data_type));
        node.walk(&mut |node| {
            if let ExprNode::Cast { data_type, .. } = node {
                found |= made(data_type);
            }
        });
        found
    }

    /// The attributes of a composite type by that name.
    pub(super) fn composite_attributes(&self, name: &QualifiedName) -> Option<Vec<(Ident, DataType)>> {
        let known = self.catalog().user_type(&self.find_type(name)?)?;
        match &known.kind {
            crate::catalog::UserTypeKind::Defined(crate::statement::TypeDefinition::Composite(attributes)) => {
                Some(attributes.clone())
            }
            _ => None,
        }
    }

    fn like(&mut self, table: &mut Table, parts: &mut Parts, source: &QualifiedName, options: &[String]) -> Step {
        if self.find(source).is_none()
            && let Some(attributes) = self.composite_attributes(source)
        {
            table.columns.extend(attributes.iter().map(|(name, data_type)| plain_column(name, data_type)));
            return Ok(());
        }
        if options.iter().any(|option| option.to_ascii_uppercase().ends_with(" COMPRESSION")) {
            self.since(14, "COMPRESSION")?;
        }
        let source = self.open(source)?;
        self.lock(&source, LockMode::AccessShare);
        let including = |what: &str| {
            let mut on = false;
            for option in options {
                let option = option.to_ascii_uppercase();
                let mut words = option.split_whitespace();
                let including = words.next() == Some("INCLUDING");
                if words.next().is_some_and(|word| word == what || word == "ALL") {
                    on = including;
                }
            }
            on
        };
        let Some(original) = self.catalog().table(&source).cloned() else {
            // A view has columns, and a materialized one indexes.
            match self.columns_of_relation(&source, 0) {
                Some(columns) => table.columns.extend(columns),
                None => table.assumed = true,
            }
            if including("INDEXES") && !self.catalog().indexes_of(&source).is_empty() {
                table.assumed = true;
                self.unread(format!("the indexes of {source}"));
            }
            return Ok(());
        };
        table.assumed |= original.assumed;
        for column in &original.columns {
            if table.column(column.name.as_str()).is_some() {
                return refuse("42701", format!("column \"{}\" specified more than once", column.name));
            }
            let mut copy = column.clone();
            copy.inherited = false;
            copy.own = false;
            copy.comment = if including("COMMENTS") { copy.comment } else { None };
            if !including("DEFAULTS") {
                copy.default = None;
            }
            if !including("GENERATED") {
                copy.generated = None;
            }
            if let Some(identity) = copy.identity.take()
                && including("IDENTITY")
                && !table.foreign
            {
                let sequence = self.new_sequence(&table.name, &copy.name, SequenceOptions::default(), true);
                copy.identity = Some(Identity { always: identity.always, sequence });
            }
            table.columns.push(copy);
        }
        // The not-null constraints of 18 come along under their names.
        let not_nulls = original.constraints.iter().filter_map(|constraint| match &constraint.kind {
            ConstraintKind::NotNull { column, no_inherit } => Some(NotNull {
                name: Some(constraint.name.clone()),
                column: column.clone(),
                no_inherit: *no_inherit,
                valid: true,
            }),
            _ => None,
        });
        parts.not_nulls.splice(0..0, not_nulls);
        if including("CONSTRAINTS") {
            for constraint in &original.constraints {
                if let ConstraintKind::Check { expr, no_inherit } = &constraint.kind {
                    parts.checks.push(Check {
                        name: Some(constraint.name.clone()),
                        expr: expr.clone(),
                        no_inherit: *no_inherit && self.version.at_least(13),
                        // The new table has no rows that it would not be valid for.
                        attributes: ConstraintAttributes { not_valid: false, ..constraint.attributes },
                    });
                }
            }
        }
        if including("INDEXES") && !table.foreign {
            for constraint in &original.constraints {
                let (kind, include, nulls_not_distinct) = match &constraint.kind {
                    ConstraintKind::PrimaryKey { columns, include } => {
                        (KeyKind::Primary(columns.clone()), include.clone(), false)
                    }
                    ConstraintKind::Unique { columns, include, nulls_not_distinct } => {
                        (KeyKind::Unique(columns.clone()), include.clone(), *nulls_not_distinct)
                    }
                    ConstraintKind::Exclude { elements, predicate } => {
                        let method = original
                            .index(constraint.name.as_str())
                            .map_or_else(|| Ident::new("gist"), |index| index.method.clone());
                        (
                            KeyKind::Exclude { method, elements: elements.clone(), predicate: predicate.clone() },
                            Vec::new(),
                            false,
                        )
                    }
                    _ => continue,
                };
                parts.keys.push(Key {
                    name: None,
                    kind,
                    include,
                    nulls_not_distinct,
                    without_overlaps: of_ranges(&original, constraint),
                    options: index_options(&original, constraint),
                    attributes: constraint.attributes,
                    inherited: false,
                    only: false,
                    parent: None,
                });
            }
        }
        if including("INDEXES") && !table.foreign {
            // Plain indexes come after the table; they are made from a copy of their definition.
            for index in original.indexes.iter().filter(|index| !index.constraint) {
                table.indexes.push(index.clone());
            }
        }
        if including("INDEXES") && !table.indexes.is_empty() {
            let copies = std::mem::take(&mut table.indexes);
            let mut placed = Vec::new();
            for mut index in copies {
                let columns = naming::index_column_names(&index.elements, &index.include, self.version);
                let addition = naming::columns_part(columns.iter().map(String::as_str));
                // The table is not in the catalog yet: names given here are remembered in the list.
                let mut label = "idx".to_owned();
                let mut number = 0;
                let chosen = loop {
                    let chosen = naming::object_name(table.name.name.as_str(), Some(&addition), Some(&label));
                    let taken = placed.iter().any(|placed: &Index| placed.name == chosen)
                        || self.catalog().relation(&table.name.sibling(chosen.clone())).is_some();
                    if !taken {
                        break chosen;
                    }
                    number += 1;
                    label = format!("idx{number}");
                };
                index.name = chosen;
                index.parent = None;
                index.valid = true;
                placed.push(index);
            }
            for index in &placed {
                let name = table.name.sibling(index.name.clone());
                self.made(&name);
                if table.partition_by.is_none() {
                    self.build(&name);
                }
                self.catalog_mut().put(name, Relation::Index { table: table.name.clone() });
            }
            table.indexes = placed.into();
        }
        Ok(())
    }

    pub(super) fn define_column(&mut self, table: &mut Table, parts: &mut Parts, definition: &ColumnDef) -> Step {
        if table.column(definition.name.as_str()).is_some() {
            return refuse("42701", format!("column \"{}\" specified more than once", definition.name));
        }
        let column = self.new_column(&table.name, parts, definition)?;
        table.columns.push(column);
        Ok(())
    }

    /// The column with its sequence made, its constraints but NOT NULL put into `parts`.
    pub(super) fn new_column(
        &mut self,
        table: &QualifiedName,
        parts: &mut Parts,
        definition: &ColumnDef,
    ) -> Step<Column> {
        let name = definition.name.truncated();
        let Some(written_type) = &definition.data_type else {
            return refuse("42601", format!("column \"{name}\" needs a data type"));
        };
        let mut data_type = self.resolve_type(written_type)?;
        let serial = data_type.serial_base();
        if let Some(base) = &serial {
            data_type = base.clone();
        }
        if definition.collation.is_some() {
            self.need_collatable(&data_type)?;
            self.need_collation(definition.collation.as_ref());
        }
        let mut column = Column {
            name,
            data_type,
            collation: definition.collation.clone(),
            not_null: false,
            default: None,
            generated: None,
            identity: None,
            comment: None,
            inherited: false,
            own: false,
        };
        if serial.is_some() {
            let options = SequenceOptions { data_type: Some(column.data_type.clone()), ..SequenceOptions::default() };
            let sequence = self.new_sequence(table, &column.name, options, false);
            column.default = Some(nextval(&sequence));
            column.not_null = true;
        }
        if let Some(storage) = &definition.storage {
            self.check_storage_of(Some(&column.data_type), storage)?;
        }
        if let Some(method) = &definition.compression {
            self.check_compression(&column.data_type, method)?;
        }
        self.column_constraints(&mut column, table, parts, definition)?;
        Ok(column)
    }

    /// The server has some collations of its own; which others there are, is the affair of its operating system.
    pub(super) fn need_collation(&mut self, collation: Option<&QualifiedName>) {
        let own = |name: &str| matches!(name, "default" | "C" | "POSIX" | "ucs_basic");
        if let Some(collation) = collation.filter(|collation| !own(collation.name.as_str())) {
            self.may_fail_always("42704", format!("collation {collation} does not exist"));
        }
    }

    /// 42804 where a type has no collation.
    pub(super) fn need_collatable(&self, data_type: &DataType) -> Step {
        let base = crate::cast::base_type(self.catalog(), data_type);
        let known = base.name.schema.is_none() && crate::cast::is_builtin_type(base.name.name.as_str(), self.version);
        let collatable =
            matches!(base.name.name.as_str(), "text" | "varchar" | "bpchar" | "name" | "char" | "refcursor");
        let composed = self.catalog().user_type(&base.name).is_some();
        if (known && !collatable) || composed {
            return refuse("42804", format!("collations are not supported by type {}", self.shown(data_type)));
        }
        Ok(())
    }

    fn column_constraints(
        &mut self,
        column: &mut Column,
        table: &QualifiedName,
        parts: &mut Parts,
        definition: &ColumnDef,
    ) -> Step {
        for constraint in &definition.constraints {
            let columns = || vec![column.name.clone()];
            match &constraint.kind {
                ColumnConstraintKind::NotNull { .. } | ColumnConstraintKind::Null => {}
                // The column itself is refused later.
                ColumnConstraintKind::Default(_) if super::domain::is_pseudo_type(&column.data_type) => {}
                ColumnConstraintKind::Default(expr) => {
                    self.check_expression(&expr.node, None, Place::Default)?;
                    let base = crate::cast::base_type(self.catalog(), &column.data_type);
                    check_literal(expr, &base)?;
                    self.check_enum_literal(&expr.node, &base)?;
                    self.check_default_type(expr, &column.name, &column.data_type)?;
                    let domain = self.is_domain(&column.data_type);
                    column.default = stored_default(&self.with_sequences(expr), &column.data_type, domain);
                    // Before 16 a partition could say so of a column that its parent computes.
                    column.generated = None;
                }
                ColumnConstraintKind::Check { expr, no_inherit } => {
                    parts.checks.push(Check {
                        name: constraint.name.clone(),
                        expr: expr.clone(),
                        no_inherit: *no_inherit,
                        attributes: constraint.attributes,
                    });
                }
                ColumnConstraintKind::Unique { .. } | ColumnConstraintKind::PrimaryKey
                    if !constraint.attributes.enforced =>
                {
                    return refuse("42601", "misplaced NOT ENFORCED clause");
                }
                ColumnConstraintKind::Unique { nulls_not_distinct } => parts.keys.push(Key {
                    name: constraint.name.clone(),
                    kind: KeyKind::Unique(columns()),
                    include: Vec::new(),
                    nulls_not_distinct: *nulls_not_distinct,
                    without_overlaps: false,
                    options: constraint.options.clone(),
                    attributes: constraint.attributes,
                    inherited: false,
                    only: false,
                    parent: None,
                }),
                ColumnConstraintKind::PrimaryKey => parts.keys.push(Key {
                    name: constraint.name.clone(),
                    kind: KeyKind::Primary(columns()),
                    include: Vec::new(),
                    nulls_not_distinct: false,
                    without_overlaps: false,
                    options: constraint.options.clone(),
                    attributes: constraint.attributes,
                    inherited: false,
                    only: false,
                    parent: None,
                }),
                ColumnConstraintKind::References(references) => {
                    parts.foreign_keys.push(NewForeignKey {
                        name: constraint.name.clone(),
                        columns: columns(),
                        references: references.clone(),
                        period: false,
                        attributes: constraint.attributes,
                    });
                }
                ColumnConstraintKind::Generated { expr, stored } => {
                    if expr.node.certain_columns().contains(&column.name) {
                        return refuse(
                            "42P17",
                            format!("cannot use generated column \"{}\" in column generation expression", column.name),
                        );
                    }
                    let own_row = self.table(table).column(table.name.as_str()).is_none();
                    if own_row && expr.node.certain_columns().contains(&table.name) {
                        return refuse("42P17", "cannot use whole-row variable in column generation expression");
                    }
                    if let Some(known) = self.catalog().table(table) {
                        Self::check_columns_of(known, expr)?;
                    }
                    if !stored && self.calls_user_function(&expr.node) {
                        return refuse("0A000", "generation expression uses user-defined function");
                    }
                    let known = self.table(table);
                    self.check_expression(&expr.node, Some(&known), Place::Generated)?;
                    if !stored {
                        self.check_virtual_type(&column.name, &column.data_type)?;
                    }
                    column.generated = Some(Generated { expr: expr.clone(), stored: *stored });
                }
                ColumnConstraintKind::Identity { always, options } => {
                    if !matches!(column.data_type.name.name.as_str(), "int2" | "int4" | "int8")
                        && crate::cast::domain_of(self.catalog(), &column.data_type).is_none()
                    {
                        return refuse("22023", "identity column type must be smallint, integer, or bigint");
                    }
                    let options = SequenceOptions { data_type: Some(column.data_type.clone()), ..options.clone() };
                    super::sequence::check_new_sequence(&options, options.data_type.as_ref())?;
                    let sequence = self.new_sequence(table, &column.name, options, true);
                    column.identity = Some(Identity { always: *always, sequence });
                    column.not_null = true;
                }
            }
        }
        Ok(())
    }

    pub(super) fn check_enforcement(&self, words: &AttributeWords) -> Step {
        if words.enforcement { self.since(18, "ENFORCED") } else { Ok(()) }
    }

    pub(super) fn check_words(&self, words: &AttributeWords) -> Step {
        self.check_enforcement(words)?;
        check_fault(words)
    }

    /// The sequences of `nextval('…')` under their catalog names: from now on the default means these, whatever their names.
    pub(super) fn with_sequences(&self, expr: &SqlExpr) -> SqlExpr {
        if crate::catalog::sequences_in(&expr.node).is_empty() {
            return expr.clone();
        }
        let mut node = ExprNode::clone(&expr.node);
        self.resolve_sequences(&mut node, 0);
        SqlExpr::new(expr.text.clone(), node)
    }

    fn resolve_sequences(&self, node: &mut ExprNode, depth: u16) {
        if let ExprNode::Call { function, args, .. } = node
            && matches!(function.name.as_str(), "nextval" | "setval" | "currval")
        {
            let mut argument = args.first_mut();
            while let Some(ExprNode::Cast { expr, .. }) = argument {
                argument = Some(expr);
            }
            if let Some(ExprNode::Text(text)) = argument
                && let Some(found) = self.find(&crate::catalog::regclass(text))
            {
                *text = regclass_text(&found);
            }
        }
        // Deeper expressions than this are not read either.
        if depth < 256 {
            for child in node.children_mut() {
                self.resolve_sequences(child, depth + 1);
            }
        }
    }

    /// 42883 for built-in functions that this version does not have yet.
    pub(super) fn check_functions(&self, node: &ExprNode) -> Step {
        let mut missing = None;
        node.walk(&mut |node| {
            if let ExprNode::Call { function, args, .. } = node
                && missing.is_none()
                && self.function_volatility(function, args.len()) == crate::volatility::Known::NotInThisVersion
            {
                missing = Some(function.clone());
            }
        });
        match missing {
            Some(function) if !self.catalog().is_incomplete() => {
                refuse("42883", format!("function {}() does not exist", written(&function)))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn function_volatility(&self, function: &QualifiedName, arguments: usize) -> crate::volatility::Known {
        crate::volatility::call(function, arguments, self.catalog(), self.version, &|name| self.find_function(name))
    }

    pub(super) fn find_function(&self, name: &QualifiedName) -> Option<QualifiedName> {
        candidates(self.catalog(), &self.state.settings, name)
            .find(|candidate| !self.catalog().functions(candidate).is_empty())
    }

    /// Makes the sequence of a serial or identity column.
    pub(super) fn new_sequence(
        &mut self,
        table: &QualifiedName,
        column: &Ident,
        options: SequenceOptions,
        identity: bool,
    ) -> QualifiedName {
        let written =
            options.name.as_ref().map(|name| self.creation_name(name, crate::statement::Persistence::Permanent));
        // Before 13 the name was chosen when nothing of the statement was done.
        let chosen = |catalog| naming::relation_name(catalog, table, Some(column.as_str()), "seq", false);
        let name = written
            .or_else(|| self.before.as_ref().map(chosen).filter(|name| self.catalog().relation(name).is_none()))
            .unwrap_or_else(|| chosen(self.catalog()));
        let options = SequenceOptions { name: None, ..options };
        let sequence =
            Sequence { name: name.clone(), options, owned_by: Some((table.clone(), column.clone())), identity };
        self.catalog_mut().put(name.clone(), Relation::Sequence(Arc::new(sequence)));
        self.made(&name);
        name
    }

    pub(super) fn table_constraint(parts: &mut Parts, constraint: &TableConstraint) {
        let name = constraint.name.clone();
        let attributes = constraint.attributes;
        match &constraint.kind {
            TableConstraintKind::Check { expr, no_inherit } => {
                parts.checks.push(Check { name, expr: expr.clone(), no_inherit: *no_inherit, attributes });
            }
            TableConstraintKind::Unique(key) => {
                parts.keys.push(key_of(name, KeyKind::Unique(key.columns.clone()), key, attributes));
            }
            TableConstraintKind::PrimaryKey(key) => {
                parts.keys.push(key_of(name, KeyKind::Primary(key.columns.clone()), key, attributes));
            }
            TableConstraintKind::ForeignKey { columns, references, period } => parts.foreign_keys.push(NewForeignKey {
                period: *period,
                name,
                columns: columns.clone(),
                references: references.clone(),
                attributes,
            }),
            TableConstraintKind::Exclude { method, elements, include, options, predicate } => parts.keys.push(Key {
                name,
                kind: KeyKind::Exclude {
                    method: method.clone().unwrap_or_else(|| Ident::new("btree")),
                    elements: elements.clone(),
                    predicate: predicate.clone(),
                },
                include: include.clone(),
                nulls_not_distinct: false,
                without_overlaps: false,
                options: options.clone(),
                attributes,
                inherited: false,
                only: false,
                parent: None,
            }),
            TableConstraintKind::NotNull { column, no_inherit } => parts.not_nulls.push(NotNull {
                name,
                column: column.clone(),
                no_inherit: *no_inherit,
                valid: !attributes.not_valid,
            }),
        }
    }

    /// Adds a CHECK to one table and answers its name. Whether it scans is the caller's affair.
    pub(super) fn add_check(&mut self, name: &QualifiedName, check: &Check) -> Step<Ident> {
        let table = self.table(name);
        let mut columns = check.expr.node.columns();
        columns.retain(|column| table.column(column.as_str()).is_some());
        Self::check_columns_of(&table, &check.expr)?;
        self.check_expression(&check.expr.node, Some(&table), Place::Check)?;
        let constraint_name = if let Some(given) = &check.name {
            let given = given.truncated();
            if table.has_constraint(given.as_str()) {
                return refuse(
                    "42710",
                    format!("constraint \"{given}\" for relation \"{}\" already exists", name.name),
                );
            }
            given
        } else {
            let addition = if columns.len() == 1 { columns.first().map(Ident::as_str) } else { None };
            naming::constraint_name(self.catalog(), name, addition, "check", &[])
        };
        if check.no_inherit && table.partition_by.is_some() {
            return refuse("42P16", format!("cannot add NO INHERIT constraint to partitioned table \"{}\"", name.name));
        }
        let constraint = Constraint {
            name: constraint_name.clone(),
            kind: ConstraintKind::Check { expr: check.expr.clone(), no_inherit: check.no_inherit },
            valid: !check.attributes.not_valid && check.attributes.enforced,
            attributes: check.attributes,
            inherited: false,
            own: false,
        };
        self.catalog_mut().edit_table(name, |table| table.constraints.push(constraint));
        Ok(constraint_name)
    }

    /// Makes the index of a key with its constraint, on this table and its partitions.
    ///
    /// `new_table`: the table is made by this statement. Answers the constraint's name.
    pub(super) fn add_key(&mut self, name: &QualifiedName, key: &Key, new_table: bool) -> Step<Ident> {
        let table = self.table(name);
        let (columns, label): (Vec<Ident>, &str) = match &key.kind {
            KeyKind::Primary(columns) => (columns.clone(), "pkey"),
            // A key without overlaps is cloned as the exclusion constraint that it is.
            KeyKind::Unique(columns) if key.without_overlaps && key.parent.is_some() => (columns.clone(), "excl"),
            KeyKind::Unique(columns) => (columns.clone(), "key"),
            KeyKind::Exclude { .. } => (Vec::new(), "excl"),
        };
        if key.nulls_not_distinct {
            self.since(15, "NULLS")?;
        }
        if key.without_overlaps {
            self.since(18, "WITHOUT")?;
        }
        for (position, column) in columns.iter().chain(&key.include).enumerate() {
            if table.column(column.as_str()).is_none() && !table.is_vague() && !is_system_column(column) {
                // A primary key's columns are made NOT NULL first.
                if matches!(key.kind, KeyKind::Primary(_)) && !new_table && !key.include.contains(column) {
                    return Self::missing_column(name, column);
                }
                return refuse("42703", format!("column \"{column}\" named in key does not exist"));
            }
            if columns.iter().take(position.min(columns.len())).any(|known| known == column) && position < columns.len()
            {
                let word = if matches!(key.kind, KeyKind::Primary(_)) { "primary key" } else { "unique" };
                return refuse("42701", format!("column \"{column}\" appears twice in {word} constraint"));
            }
        }
        let computed = |column: &&Ident| {
            let known = table.column(column.as_str()).and_then(|column| column.generated.as_ref());
            known.is_some_and(|generated| !generated.stored)
        };
        if columns.iter().chain(&key.include).any(|column| computed(&column)) {
            let what = if label == "pkey" { "primary keys" } else { "unique constraints" };
            return refuse("0A000", format!("{what} on virtual generated columns are not supported"));
        }
        if key.without_overlaps {
            self.check_overlaps(&table, &columns)?;
        }
        if table.partition_by.is_some() && matches!(key.kind, KeyKind::Exclude { .. }) && !self.version.at_least(17) {
            return refuse("0A000", "exclusion constraints are not supported on partitioned tables");
        }
        if !matches!(key.kind, KeyKind::Exclude { .. }) && !key.only {
            self.refuse_foreign_partitions(name)?;
        }
        if table.foreign {
            let word = match key.kind {
                KeyKind::Primary(_) => "primary key",
                KeyKind::Unique(_) => "unique",
                KeyKind::Exclude { .. } => "exclusion",
            };
            return refuse("0A000", format!("{word} constraints are not supported on foreign tables"));
        }
        if matches!(key.kind, KeyKind::Primary(_)) && table.primary_key().is_some() {
            return multiple_primary_keys(name);
        }
        let elements: Vec<IndexElement> = match &key.kind {
            KeyKind::Exclude { elements, .. } => elements.iter().map(|(element, _)| element.clone()).collect(),
            _ => columns.iter().map(|column| column_element(column.clone())).collect(),
        };
        // `transformIndexStmt` reads them before anything else is looked at.
        for element in elements.iter().filter(|_| !key.inherited) {
            if let IndexKey::Expr(expr) = &element.key {
                self.check_expression(&expr.node, Some(&table), Place::IndexExpression)?;
            }
        }
        let constraint_name = if let Some(given) = &key.name {
            let given = given.truncated();
            if self.catalog().relation(&name.sibling(given.clone())).is_some() {
                return refuse("42P07", format!("relation \"{given}\" already exists"));
            }
            if table.has_constraint(given.as_str()) {
                return refuse(
                    "42710",
                    format!("constraint \"{given}\" for relation \"{}\" already exists", name.name),
                );
            }
            given
        } else {
            let names = naming::index_column_names(&elements, &key.include, self.version);
            let joined = naming::columns_part(names.iter().map(String::as_str));
            let addition = (label != "pkey").then_some(joined.as_str());
            naming::relation_name(self.catalog(), name, addition, label, true).name
        };
        let (method, predicate) = match &key.kind {
            KeyKind::Exclude { method, predicate, .. } => (method.clone(), predicate.clone()),
            _ if key.without_overlaps => (Ident::new("gist"), None),
            _ => (Ident::new("btree"), None),
        };
        let primary = matches!(key.kind, KeyKind::Primary(_));
        let excluding: Vec<&str> = match &key.kind {
            KeyKind::Exclude { elements, .. } => elements.iter().map(|(_, operator)| operator.as_str()).collect(),
            _ => Vec::new(),
        };
        let mut index = Index {
            name: constraint_name.clone(),
            unique: !matches!(key.kind, KeyKind::Exclude { .. }),
            primary,
            valid: true,
            constraint: true,
            method,
            elements,
            include: key.include.clone(),
            nulls_not_distinct: key.nulls_not_distinct,
            options: key.options.clone(),
            predicate,
            parent: key.parent.clone(),
        };
        if !key.inherited && !key.without_overlaps {
            self.check_index_predicate(&index, Some(&table))?;
            for element in &index.elements {
                if let IndexKey::Expr(expr) = &element.key {
                    self.check_immutable(&expr.node, &table, "expression")?;
                }
            }
            self.check_access_method(&index, Some(&table), &excluding)?;
        }
        let (what, operators) = match &key.kind {
            KeyKind::Primary(_) => ("PRIMARY KEY", Vec::new()),
            KeyKind::Unique(_) => ("UNIQUE", Vec::new()),
            KeyKind::Exclude { .. } => ("EXCLUDE", excluding),
        };
        let operators = if key.without_overlaps {
            // All but the last column are compared by equality.
            let last = columns.len().saturating_sub(1);
            (0..columns.len()).map(|place| if place == last { "&&" } else { "=" }).collect()
        } else {
            operators
        };
        check_partition_key(&table, &index.elements, &operators, what)?;
        check_system_columns(&table, &columns)?;
        check_system_columns(&table, &key.include)?;
        self.without_defaults(&mut index, Some(&table));
        let alone = key.only && table.partition_by.is_some();
        let index = Index { valid: !alone || table.children.is_empty(), ..index };
        let kind = match &key.kind {
            KeyKind::Primary(columns) => {
                ConstraintKind::PrimaryKey { columns: columns.clone(), include: key.include.clone() }
            }
            KeyKind::Unique(columns) => ConstraintKind::Unique {
                columns: columns.clone(),
                include: key.include.clone(),
                nulls_not_distinct: key.nulls_not_distinct,
            },
            KeyKind::Exclude { elements, predicate, .. } => {
                let operators = elements.iter().map(|(_, operator)| operator.clone());
                let elements = index.elements.iter().cloned().zip(operators).collect();
                ConstraintKind::Exclude { elements, predicate: predicate.clone() }
            }
        };
        let constraint = Constraint {
            name: constraint_name.clone(),
            kind,
            valid: true,
            attributes: key.attributes,
            inherited: key.inherited,
            own: false,
        };
        let index_name = name.sibling(constraint_name.clone());
        self.catalog_mut().put(index_name.clone(), Relation::Index { table: name.clone() });
        self.catalog_mut().edit_table(name, |table| {
            if primary {
                for column in &columns {
                    set_not_null(table, column);
                }
            }
            table.indexes.push(index);
            table.constraints.push(constraint);
        });
        if primary && self.version.at_least(18) {
            for column in &columns {
                let not_null = NotNull::plain(column);
                self.name_not_null(name, &not_null, false);
            }
        }
        self.made(&index_name);
        if self.has_storage(name) {
            self.build(&index_name);
            if !new_table {
                self.scan(name);
            }
        }
        for child in table.children.clone() {
            if table.partition_by.is_none() || alone {
                break;
            }
            // Before 18 what checks it later is made as any trigger.
            let deferred = key.attributes.deferrable && !self.version.at_least(18);
            self.lock(&child, if deferred { LockMode::ShareRowExclusive } else { LockMode::Share });
            let attached = self.matching_child_index(&child, name, &constraint_name, false);
            if let Some(attached) = attached {
                self.lock(&child.sibling(attached), LockMode::Share);
                continue;
            }
            let key = Key { name: None, inherited: true, parent: Some(index_name.clone()), ..key.clone() };
            self.add_key(&child, &key, new_table)?;
        }
        self.invalidate_with_parts(name, &constraint_name);
        Ok(constraint_name)
    }

    /// `transformIndexConstraint`: the last of at least two columns is a range.
    fn check_overlaps(&self, table: &Table, columns: &[Ident]) -> Step {
        if columns.len() < 2 {
            return refuse("42601", "constraint using WITHOUT OVERLAPS needs at least two columns");
        }
        let Some(column) = columns.last().and_then(|column| table.column(column.as_str())) else { return Ok(()) };
        let base = crate::cast::base_type(self.catalog(), &column.data_type);
        let known = base.name.schema.is_none() && crate::cast::is_builtin_type(base.name.name.as_str(), self.version);
        let ranges = base.name.name.as_str().ends_with("range") && !base.is_array();
        if known && !ranges {
            return refuse(
                "42804",
                format!("column \"{}\" in WITHOUT OVERLAPS is not a range or multirange type", column.name),
            );
        }
        Ok(())
    }

    pub(super) fn create_table_as(&mut self, create: &CreateTableAs) -> Step {
        let name = self.creation_name(&create.name, create.persistence);
        if self.catalog().relation(&name).is_some() && !self.may_be_missing(&name) {
            // The query is analysed before the name is looked up.
            self.parse_query(&create.query)?;
            if create.if_not_exists {
                return Ok(());
            }
            self.need_free_name(&name, format!("relation \"{}\" already exists", name.name))?;
        }
        self.need_free_row_type(&name)?;
        let columns = self.query_columns(&create.query);
        if create.query.words.starts_with("execute ") {
            self.unread("the prepared statement");
        }
        if let Some(columns) = &columns
            && create.columns.len() > columns.len()
        {
            return refuse("42601", "too many column names were specified");
        }
        super::alter_table::check_table_options(&without_oids(&create.options)?, self.version)?;
        if create.columns.is_empty() {
            check_output_names(self.query_names(&create.query).unwrap_or_default().iter())?;
        }
        self.check_on_commit(create.on_commit, create.persistence)?;
        if create.with_data {
            self.run_query(&create.query)?;
        } else {
            self.parse_query(&create.query)?;
        }
        self.made(&name);
        let mut table = Table::named(name);
        table.persistence = create.persistence;
        table.dropped_on_commit = create.on_commit == Some(OnCommit::Drop);
        table.assumed = columns.is_none();
        table.made = true;
        table.columns = columns.unwrap_or_default().into();
        for (column, given) in table.columns.iter_mut().zip(&create.columns) {
            column.name = given.truncated();
        }
        self.catalog_mut().put_table(table);
        Ok(())
    }

    fn check_on_commit(&mut self, on_commit: Option<OnCommit>, persistence: Persistence) -> Step {
        if on_commit.is_some() && persistence != Persistence::Temporary {
            return refuse("42P16", "ON COMMIT can only be used on temporary tables");
        }
        self.state.facts.drops_on_commit |= on_commit == Some(OnCommit::Drop);
        Ok(())
    }

    /// The output columns of a query where all of them are known.
    pub(super) fn query_columns(&self, query: &Query) -> Option<Vec<Column>> {
        let known = self.columns_of_query(query).and_then(|columns| {
            columns.into_iter().map(|(name, data_type)| Some(plain_column(&name?, &data_type?))).collect()
        });
        known.or_else(|| self.query_columns_at(query, 0))
    }

    /// The names of a query's output columns; more often known than their types.
    pub(super) fn query_names(&self, query: &Query) -> Option<Vec<Ident>> {
        if let Some(columns) = self.query_columns(query) {
            return Some(columns.into_iter().map(|column| column.name).collect());
        }
        if !query.star {
            let name = |output: &crate::statement::OutputColumn| match &output.name {
                Some(name) => name.clone(),
                None => output_name(&output.expr.node, self.version),
            };
            return (!query.output.is_empty()).then(|| query.output.iter().map(name).collect());
        }
        self.columns_of_query(query)?.into_iter().map(|(name, _)| name).collect()
    }

    /// The columns of a table, or of a view as far as its query tells.
    pub(super) fn columns_of_relation(&self, name: &QualifiedName, depth: u8) -> Option<Vec<Column>> {
        if let Some(view) = self.catalog().view(name) {
            // Views over views end; only a broken history could make a circle of them.
            let types = view.types.iter().cloned().collect::<Option<Vec<DataType>>>();
            if let Some(types) = types.filter(|types| !types.is_empty() && types.len() == view.columns.len()) {
                let columns = view.columns.iter().zip(&types);
                return Some(columns.map(|(name, data_type)| plain_column(name, data_type)).collect());
            }
            let columns = if depth < 16 { self.query_columns_at(&view.query, depth + 1)? } else { return None };
            if columns.len() != view.columns.len() {
                return None;
            }
            return Some(
                columns
                    .into_iter()
                    .zip(&view.columns)
                    .map(|(column, name)| Column { name: name.clone(), ..column })
                    .collect(),
            );
        }
        let table = self.catalog().table(name).filter(|table| !table.assumed)?;
        Some(table.columns.iter().map(|column| plain_column(&column.name, &column.data_type)).collect())
    }

    /// The types of a query's output columns, each where it is known.
    pub(super) fn output_types(&self, query: &Query) -> Vec<Option<DataType>> {
        if query.star || query.output.is_empty() {
            let columns = self.query_columns(query).unwrap_or_default();
            return columns.into_iter().map(|column| Some(column.data_type)).collect();
        }
        query.output.iter().map(|output| self.output_type(&output.expr.node, query, 0)).collect()
    }

    fn query_columns_at(&self, query: &Query, depth: u8) -> Option<Vec<Column>> {
        let mut columns: Vec<Column> = Vec::new();
        if query.star {
            if query.relations.len() != 1 || !query.output.is_empty() {
                return None;
            }
            let source = self.find(query.relations.first()?)?;
            columns.extend(self.columns_of_relation(&source, depth)?);
            return Some(columns);
        }
        for output in &query.output {
            let data_type = self.output_type(&output.expr.node, query, depth)?;
            let name = match &output.name {
                Some(name) => name.clone(),
                None => output_name(&output.expr.node, self.version),
            };
            columns.push(plain_column(&name, &data_type));
        }
        (!columns.is_empty()).then_some(columns)
    }

    /// The type of an output column where it is a column's, a constant's, or that of a well-known function or operator.
    fn output_type(&self, node: &ExprNode, query: &Query, depth: u8) -> Option<DataType> {
        // Deeper expressions than this stay unknown.
        if depth > 32 {
            return None;
        }
        let of = |node: &ExprNode| self.output_type(node, query, depth + 1);
        let plain = |data_type: DataType| DataType { modifiers: Vec::new(), ..data_type };
        match node {
            ExprNode::Cast { data_type, .. } => self.resolve_type(data_type).ok(),
            ExprNode::Column { name, .. } => query.relations.iter().find_map(|relation| {
                let columns = self.columns_of_relation(&self.find(relation)?, depth)?;
                columns.into_iter().find(|column| column.name == *name).map(|column| column.data_type)
            }),
            ExprNode::Text(_) | ExprNode::Null => Some(DataType::named("text")),
            ExprNode::Not(_)
            | ExprNode::And(_)
            | ExprNode::Or(_)
            | ExprNode::IsNull { .. }
            | ExprNode::IsTruth { .. }
            | ExprNode::IsDistinctFrom { .. }
            | ExprNode::InList { .. }
            | ExprNode::Quantified { .. }
            | ExprNode::Between { .. }
            | ExprNode::Like { .. } => Some(DataType::named("bool")),
            ExprNode::Infix { operator, .. } if matches!(operator.as_str(), "=" | "<>" | "<" | "<=" | ">" | ">=") => {
                Some(DataType::named("bool"))
            }
            ExprNode::Infix { operator, left, right } if matches!(operator.as_str(), "+" | "-" | "*" | "/" | "%") => {
                let order = ["int2", "int4", "int8", "numeric"];
                let place = |data_type: &DataType| order.iter().position(|name| data_type.is(name));
                let (left, right) = (plain(of(left)?), plain(of(right)?));
                Some(if place(&left)? < place(&right)? { right } else { left })
            }
            ExprNode::Infix { operator, left, right } if operator == "||" => {
                let (left, right) = (of(left)?, of(right)?);
                let text = |data_type: &DataType| data_type.is("text") || data_type.is("varchar");
                (text(&left) || text(&right)).then(|| DataType::named("text"))
            }
            ExprNode::Array(items) => Some(plain(of(items.first()?)?).array()),
            ExprNode::Call { function, args, .. } if function.schema.is_none() => {
                let first = || args.first().and_then(of);
                match function.name.as_str() {
                    "count" => Some(DataType::named("int8")),
                    "upper" | "lower" | "concat" | "trim" | "btrim" | "replace" | "md5" | "left" | "right"
                    | "substr" | "to_char" | "string_agg" => Some(DataType::named("text")),
                    "length" => Some(DataType::named("int4")),
                    "sum" => {
                        let base = crate::cast::base_type(self.catalog(), &first()?);
                        let name = match base.name.name.as_str() {
                            "int2" | "int4" => "int8",
                            "int8" | "numeric" => "numeric",
                            name @ ("float4" | "float8" | "money" | "interval") => name,
                            _ => return None,
                        };
                        Some(DataType::named(name))
                    }
                    "max" | "min" => {
                        first().map(
                            |data_type| {
                                if data_type.is("varchar") { DataType::named("text") } else { plain(data_type) }
                            },
                        )
                    }
                    "coalesce" => {
                        let first = first()?;
                        let same = args.iter().all(|arg| {
                            matches!(arg, ExprNode::Text(_) | ExprNode::Null) || of(arg).as_ref() == Some(&first)
                        });
                        same.then_some(first)
                    }
                    _ => match self.find_function(function).map(|name| self.catalog().functions(&name)) {
                        Some([only]) => only.returns.clone().filter(|returns| !returns.is("record")),
                        _ => self.type_of_constant(node),
                    },
                }
            }
            _ => self.type_of_constant(node),
        }
    }

    /// Whether it calls a function that somebody has made.
    pub(super) fn calls_user_function(&self, node: &ExprNode) -> bool {
        let mut calls = false;
        node.walk(&mut |node| {
            if let ExprNode::Call { function, .. } = node {
                calls |= self.find_function(function).is_some();
            }
        });
        calls
    }

    /// Whether an expression over the rows of a table names columns that it has.
    pub(super) fn check_columns_of(table: &Table, expr: &SqlExpr) -> Step {
        if table.is_vague() {
            return Ok(());
        }
        let name = &table.name.name;
        for (qualifier, column) in expr.node.certain_references() {
            if let Some(other) = qualifier.filter(|qualifier| *qualifier != name) {
                return refuse("42P01", format!("missing FROM-clause entry for table \"{other}\""));
            }
            // The name of the table is its whole row.
            let missing = table.column(column.as_str()).is_none() && (qualifier.is_some() || column != name);
            if missing && !is_system_column(column) {
                let message = match qualifier {
                    Some(qualifier) => format!("column {qualifier}.{column} does not exist"),
                    None => format!("column \"{column}\" does not exist"),
                };
                return refuse("42703", message);
            }
        }
        Ok(())
    }

    /// A default whose type is known and that no cast brings to the column's.
    pub(super) fn check_default_type(&self, expr: &SqlExpr, column: &Ident, data_type: &DataType) -> Step {
        self.check_new_enum_expr(&expr.node, None, Some(data_type))?;
        let Some(returned) = self.type_of_constant(&expr.node) else { return Ok(()) };
        if crate::cast::is_assignable(self.catalog(), &returned, data_type) {
            return Ok(());
        }
        refuse(
            "42804",
            format!(
                "column \"{column}\" is of type {} but default expression is of type {}",
                self.shown(data_type),
                self.shown(&returned)
            ),
        )
    }

    /// The type of a default where it is plain: of a number, a truth value, a cast or a well-known function.
    pub(super) fn type_of_constant(&self, node: &ExprNode) -> Option<DataType> {
        Some(match node {
            ExprNode::Bool(_) => DataType::named("bool"),
            ExprNode::Number(text) if text.parse::<i32>().is_ok() => DataType::named("int4"),
            ExprNode::Number(text) if text.parse::<i64>().is_ok() => DataType::named("int8"),
            ExprNode::Number(_) => DataType::named("numeric"),
            ExprNode::Prefix { operator, expr } if operator == "-" && matches!(**expr, ExprNode::Number(_)) => {
                return self.type_of_constant(expr);
            }
            ExprNode::Cast { data_type, .. } => return self.resolve_type(data_type).ok(),
            ExprNode::Call { function, .. } if function.schema.is_none() => match function.name.as_str() {
                "now" | "statement_timestamp" | "transaction_timestamp" | "clock_timestamp" | "current_timestamp" => {
                    DataType::named("timestamptz")
                }
                "current_date" => DataType::named("date"),
                "gen_random_uuid" => DataType::named("uuid"),
                "random" => DataType::named("float8"),
                "nextval" | "currval" | "setval" => DataType::named("int8"),
                _ => return None,
            },
            _ => return None,
        })
    }

    /// Rows that would now belong to a new partition are looked for in the default one.
    pub(super) fn check_default_partition(&mut self, parent: &QualifiedName, bound: &PartitionBound) {
        if matches!(bound, PartitionBound::Default) {
            return;
        }
        let default = self.table(parent).children.iter().find_map(|child| {
            let table = self.catalog().table(child)?;
            matches!(&table.partition_of, Some((_, PartitionBound::Default))).then(|| child.clone())
        });
        if let Some(default) = default {
            self.lock(&default, LockMode::AccessExclusive);
            for below in self.catalog().descendants(&default) {
                self.lock(&below, LockMode::AccessExclusive);
            }
            if !self.default_excludes(&default, parent, bound) {
                self.may_fail(&default, "23514", format!("a row of {default} belongs to the new partition"));
                self.scan(&default);
                for below in self.catalog().descendants(&default) {
                    self.scan(&below);
                }
            }
        }
    }
}

/// The name of an output column that is given none.
pub(super) fn output_name(node: &ExprNode, version: crate::version::PgVersion) -> Ident {
    Ident::new(naming::figure_name(node, version).map_or_else(|| "?column?".to_owned(), |(name, _)| name))
}

/// Whether a key is WITHOUT OVERLAPS: only such a one has an index of another method than btree.
pub(super) fn of_ranges(table: &Table, constraint: &Constraint) -> bool {
    table.index(constraint.name.as_str()).is_some_and(|index| index.unique && index.method != "btree")
}

/// The storage parameters of a key's index.
pub(super) fn index_options(table: &Table, constraint: &Constraint) -> Vec<(String, String)> {
    table.index(constraint.name.as_str()).map(|index| index.options.clone()).unwrap_or_default()
}

fn key_of(name: Option<Ident>, kind: KeyKind, key: &KeyConstraint, attributes: ConstraintAttributes) -> Key {
    Key {
        name,
        kind,
        include: key.include.clone(),
        nulls_not_distinct: key.nulls_not_distinct,
        without_overlaps: key.without_overlaps,
        options: key.options.clone(),
        attributes,
        inherited: false,
        only: false,
        parent: None,
    }
}

/// 42701 where a relation would have two columns of one name.
pub(super) fn check_output_names<'a>(names: impl Iterator<Item = &'a Ident>) -> Step {
    let mut seen: Vec<&Ident> = Vec::new();
    for name in names {
        if seen.contains(&name) {
            return refuse("42701", format!("column \"{name}\" specified more than once"));
        }
        seen.push(name);
    }
    Ok(())
}

pub(super) fn multiple_primary_keys<T>(table: &QualifiedName) -> Step<T> {
    refuse("42P16", format!("multiple primary keys for table \"{}\" are not allowed", table.name))
}

/// The primary key first, then the others; a key that repeats another is one with it (`transformIndexConstraints`).
pub(super) fn merge_keys(table: &QualifiedName, keys: Vec<Key>) -> Step<Vec<Key>> {
    let primaries = keys.iter().filter(|key| matches!(key.kind, KeyKind::Primary(_))).count();
    if primaries > 1 {
        return multiple_primary_keys(table);
    }
    let (mut merged, others): (Vec<Key>, Vec<Key>) =
        keys.into_iter().partition(|key| matches!(key.kind, KeyKind::Primary(_)));
    for key in others {
        let KeyKind::Unique(columns) = &key.kind else {
            merged.push(key);
            continue;
        };
        let same = merged.iter_mut().find(|known| {
            let known_columns = match &known.kind {
                KeyKind::Primary(columns) | KeyKind::Unique(columns) => columns,
                KeyKind::Exclude { .. } => return false,
            };
            known_columns == columns
                && known.include == key.include
                && known.nulls_not_distinct == key.nulls_not_distinct
                && known.without_overlaps == key.without_overlaps
                && known.attributes == key.attributes
        });
        match same {
            Some(known) => {
                if known.name.is_none() {
                    known.name.clone_from(&key.name);
                }
            }
            None => merged.push(key),
        }
    }
    Ok(merged)
}

pub(super) fn column_element(column: Ident) -> IndexElement {
    IndexElement {
        key: IndexKey::Column(column),
        collation: None,
        opclass: None,
        options: Vec::new(),
        descending: false,
        nulls_first: None,
    }
}

pub(super) fn is_system_column(column: &Ident) -> bool {
    matches!(column.as_str(), "ctid" | "tableoid" | "xmin" | "xmax" | "cmin" | "cmax")
}

/// DEFAULT NULL is no default, unless a length has to be applied to the NULL or a domain has to take it.
pub(super) fn stored_default(expr: &SqlExpr, data_type: &DataType, domain: bool) -> Option<SqlExpr> {
    (*expr.node != ExprNode::Null || !data_type.modifiers.is_empty() || domain).then(|| expr.clone())
}

pub(super) fn plain_column(name: &Ident, data_type: &DataType) -> Column {
    Column {
        name: name.clone(),
        data_type: data_type.clone(),
        collation: None,
        not_null: false,
        default: None,
        generated: None,
        identity: None,
        comment: None,
        inherited: false,
        own: false,
    }
}

/// Refused where a literal surely is no value of the type.
pub(super) fn check_literal(expr: &SqlExpr, data_type: &DataType) -> Step {
    let ExprNode::Text(text) = &*expr.node else { return Ok(()) };
    match crate::literal::mistake_in(text, data_type) {
        Some((sqlstate, message)) => refuse(sqlstate, message),
        None => Ok(()),
    }
}

fn regclass_text(sequence: &QualifiedName) -> String {
    match &sequence.schema {
        Some(schema) => format!("{}.{}", quoted(schema), quoted(&sequence.name)),
        None => quoted(&sequence.name),
    }
}

/// `nextval('sequence'::regclass)`.
pub(super) fn nextval(sequence: &QualifiedName) -> SqlExpr {
    let text = regclass_text(sequence);
    let node = ExprNode::Call {
        function: QualifiedName::new("nextval"),
        args: vec![ExprNode::Cast {
            expr: Box::new(ExprNode::Text(text.clone())),
            data_type: DataType::named("regclass"),
        }],
        keyword: false,
    };
    SqlExpr::new(format!("nextval({}::regclass)", crate::name::quote_literal(&text)), node)
}

fn quoted(name: &Ident) -> String {
    crate::data_type::quoted_if_needed(name)
}

/// What the words behind a constraint are refused for.
pub(super) fn check_fault(words: &AttributeWords) -> Step {
    words.fault.as_deref().map_or(Ok(()), |refusal| Err(refusal.clone()))
}

/// The options but that of tables of old, which can only be switched off.
fn without_oids(options: &[(String, String)]) -> Step<Vec<(String, String)>> {
    let on = |value: &str| value.is_empty() || is_on(value);
    if options.iter().any(|(option, value)| option == "oids" && on(value)) {
        return refuse("0A000", "tables declared WITH OIDS are not supported");
    }
    Ok(options.iter().filter(|(option, _)| option != "oids").cloned().collect())
}

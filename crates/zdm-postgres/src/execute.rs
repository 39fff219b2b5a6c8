//! One statement against one state: the walk that changes the catalog and collects the effects.
//!
//! The order of checks, locks and changes follows the server's source (`tablecmds.c`, `indexcmds.c`, `dependency.c`,
//! `parse_utilcmd.c`), because which error comes first and which lock is taken before it both show.

mod access_method;
mod alter_constraint;
mod alter_table;
mod column;
mod column_type;
mod create_index;
mod create_table;
mod dml;
mod domain;
mod drop;
mod expression;
mod foreign_key;
mod inherit;
mod maintenance;
mod not_null;
mod other;
mod parameter;
mod partition;
mod partition_bound;
mod partition_key;
mod publication;
mod rename;
mod routine;
mod row_type;
mod select;
mod sequence;
mod statistics;
mod user_type;
mod users;
mod view;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::catalog::{Catalog, Relation, Table};
use crate::data_type::DataType;
use crate::effects::{Effects, MayFail, Refusal, Uncertain, UncertainEffect};
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName, Written};
use crate::session::{Settings, State};
use crate::statement::{AlterTableAction, DropBehavior, ObjectKind, Persistence, ReindexTarget, Statement};
use crate::version::PgVersion;

pub(crate) use maintenance::is_on;
pub(crate) use partition::is_pruned;

pub(crate) type Step<T = ()> = Result<T, Refusal>;

/// A refusal with the server's SQLSTATE and message.
pub(crate) fn refuse<T>(sqlstate: &'static str, message: impl Into<String>) -> Step<T> {
    Err(Refusal { sqlstate, message: message.into() })
}

/// The message for an action of ALTER that is not for this kind of relation, since 15; before, each kind has its own.
fn not_for_relation(action: &str, name: &QualifiedName) -> String {
    format!("ALTER action {action} cannot be performed on relation \"{}\"", name.name)
}

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) state: State,
    pub(crate) version: PgVersion,
    pub(crate) effects: Effects,
    /// Relations renamed by this statement, in order: (from, to).
    pub(crate) renames: Vec<(QualifiedName, QualifiedName)>,
    pub(crate) in_block: bool,
    /// How many bodies of functions this runs inside.
    pub(crate) depth: u8,
    /// What is done now is done only if a query gives rows for it. A condition of UPDATE or DELETE is taken to find some.
    pub(crate) perhaps: bool,
    /// Partitions that other sessions no longer see below their parent while this statement waits.
    pub(crate) detached: BTreeSet<QualifiedName>,
    /// What there was before an ALTER TABLE that is taken apart as a whole.
    pub(crate) before: Option<Catalog>,
}

impl Run {
    pub(crate) fn new(state: State, version: PgVersion, in_block: bool) -> Self {
        Self {
            state,
            version,
            effects: Effects::default(),
            renames: Vec::new(),
            in_block,
            depth: 0,
            perhaps: false,
            detached: BTreeSet::new(),
            before: None,
        }
    }

    /// The command's name if it cannot run inside a transaction block.
    pub(crate) fn transaction_forbidden(
        statement: &Statement,
        catalog: &Catalog,
        settings: &Settings,
        version: PgVersion,
    ) -> Option<String> {
        let command = match statement {
            Statement::CreateIndex(index) if index.concurrently => "CREATE INDEX CONCURRENTLY",
            Statement::Drop(drop) if drop.concurrently => "DROP INDEX CONCURRENTLY",
            Statement::Drop(drop) if drop.kind == ObjectKind::Database => "DROP DATABASE",
            Statement::Drop(drop) if drop.kind == ObjectKind::Tablespace => "DROP TABLESPACE",
            Statement::CreateOther { kind: ObjectKind::Database, .. } => "CREATE DATABASE",
            Statement::CreateOther { kind: ObjectKind::Tablespace, .. } => "CREATE TABLESPACE",
            // Forms that the grammar does not have yet.
            Statement::Reindex(reindex) if reindex.option.is_some() && !version.at_least(14) => return None,
            Statement::Reindex(reindex) => match (&reindex.target, reindex.concurrently) {
                (ReindexTarget::Schema(_), _) => "REINDEX SCHEMA",
                (ReindexTarget::Database(_), _) => "REINDEX DATABASE",
                (ReindexTarget::System(_), _) => "REINDEX SYSTEM",
                (_, true) => "REINDEX CONCURRENTLY",
                (ReindexTarget::Table(_), false) if !version.at_least(14) => return None,
                (ReindexTarget::Index(name), false)
                    if version.at_least(14)
                        && resolve(catalog, settings, name)
                            .and_then(|name| match catalog.relation(&name) {
                                Some(Relation::Index { table }) => catalog.table(table),
                                _ => None,
                            })
                            .is_some_and(|table| table.partition_by.is_some()) =>
                {
                    "REINDEX INDEX"
                }
                (ReindexTarget::Table(name), false)
                    if resolve(catalog, settings, name)
                        .and_then(|name| catalog.table(&name))
                        .is_some_and(|table| table.partition_by.is_some()) =>
                {
                    "REINDEX TABLE"
                }
                _ => return None,
            },
            Statement::Session { command, .. }
                if matches!(command.as_str(), "DISCARD ALL" | "COMMIT PREPARED" | "ROLLBACK PREPARED") =>
            {
                command
            }
            Statement::Vacuum { .. } => "VACUUM",
            Statement::AlterOther { kind: ObjectKind::System, .. } => "ALTER SYSTEM",
            Statement::Cluster { table: None, .. } => "CLUSTER",
            Statement::AlterTable(alter) => {
                let detaches = alter
                    .actions
                    .iter()
                    .any(|action| matches!(action, AlterTableAction::DetachPartition { concurrently: true, .. }));
                if detaches && version.at_least(14) { "ALTER TABLE ... DETACH CONCURRENTLY" } else { return None }
            }
            _ => return None,
        };
        Some(command.to_owned())
    }

    pub(crate) fn execute(&mut self, statement: &Statement) -> Step {
        if !self.catalog().event_triggers.is_empty() && changes_schema(statement) {
            let triggers: Vec<String> = self.catalog().event_triggers.keys().map(ToString::to_string).collect();
            self.unread(format!("event trigger {}", triggers.join(", ")));
        }
        self.need_schema_for(statement)?;
        match statement {
            Statement::CreateTable(create) => self.create_table(create),
            Statement::CreateTableAs(create) => self.create_table_as(create),
            Statement::AlterTable(alter) => self.alter_table(alter),
            Statement::CreateIndex(create) => self.create_index(create),
            Statement::Drop(drop) => self.drop_objects(drop),
            Statement::Select(query) => self.select(query),
            Statement::Insert(dml) => self.insert(dml),
            Statement::Update(dml) => self.update(dml),
            Statement::Delete(dml) => self.delete(dml),
            Statement::Merge(dml) => self.merge(dml),
            Statement::Truncate { tables, only, restart_identity, behavior } => {
                self.truncate(tables, only, *restart_identity, *behavior)
            }
            Statement::SetConstraints { names, deferred } => self.set_constraints(names.as_deref(), *deferred),
            _ => self.other(statement),
        }
    }

    pub(crate) const fn catalog(&self) -> &Catalog {
        &self.state.catalog
    }

    pub(crate) const fn catalog_mut(&mut self) -> &mut Catalog {
        &mut self.state.catalog
    }

    // --- names ---

    /// The catalog's name of an existing relation.
    pub(crate) fn find(&self, name: &QualifiedName) -> Option<QualifiedName> {
        resolve(self.catalog(), &self.state.settings, name)
    }

    /// Where a new relation of that name goes.
    pub(crate) fn creation_name(&self, name: &QualifiedName, persistence: Persistence) -> QualifiedName {
        let bare = name.name.truncated();
        if persistence == Persistence::Temporary {
            return QualifiedName::with_schema("pg_temp", bare);
        }
        if let Some(schema) = &name.schema {
            return QualifiedName::with_schema(schema.truncated(), bare);
        }
        if name.written == Written::Default {
            return QualifiedName::new(bare);
        }
        match &self.state.settings.search_path {
            Some(path) => {
                match path.iter().find(|schema| self.catalog().has_schema(schema.as_str())).or(path.first()) {
                    Some(schema) => QualifiedName::with_schema(schema.clone(), bare),
                    None => QualifiedName::new(bare),
                }
            }
            None => QualifiedName::new(bare),
        }
    }

    /// 3F000 where the search path is empty and the new object's name has no schema.
    fn need_schema_for(&self, statement: &Statement) -> Step {
        let name = match statement {
            Statement::CreateTable(create) if create.persistence != Persistence::Temporary => &create.name,
            Statement::CreateTableAs(create) if create.persistence != Persistence::Temporary => &create.name,
            Statement::CreateSequence(create) if create.persistence != Persistence::Temporary => &create.name,
            Statement::CreateType { name, .. } => name,
            Statement::CreateDomain(create) => &create.name,
            Statement::CreateFunction(create) => &create.name,
            _ => return Ok(()),
        };
        let nowhere = self.state.settings.search_path.as_ref().is_some_and(Vec::is_empty);
        if nowhere && name.schema.is_none() && name.written == Written::Bare {
            return refuse("3F000", "no schema has been selected to create in");
        }
        self.need_schema_of(name)
    }

    /// Whether the name is a composite type's, which stands among the relations, too.
    pub(crate) fn is_composite(&self, name: &QualifiedName) -> bool {
        self.catalog().user_type(name).is_some_and(|known| {
            matches!(&known.kind, crate::catalog::UserTypeKind::Defined(crate::statement::TypeDefinition::Composite(_)))
        })
    }

    /// 3F000 where the schema that is written is missing.
    pub(crate) fn need_schema_of(&self, name: &QualifiedName) -> Step {
        match &name.schema {
            Some(schema)
                if !self.catalog().is_incomplete()
                    && !self.catalog().has_schema(schema.as_str())
                    && !is_system_schema(schema)
                    && !schema.as_str().starts_with("pg_temp")
                    && self.extensions_are_known() =>
            {
                refuse("3F000", format!("schema \"{schema}\" does not exist"))
            }
            _ => Ok(()),
        }
    }

    /// A function that nobody is known to have made may be there all the same, with its schema.
    pub(crate) fn function_may_be_missing(&mut self, function: &QualifiedName) {
        let sqlstate = if self.need_schema_of(function).is_ok() { "42883" } else { "3F000" };
        self.may_fail_always(sqlstate, format!("function {}() does not exist", written(function)));
    }

    /// What a query names (`parserOpenTable`): 42P01 as well where it is the schema that is missing.
    pub(crate) fn open_in_query(&mut self, name: &QualifiedName) -> Step<QualifiedName> {
        match self.need_schema_of(name) {
            Ok(()) => self.open(name),
            Err(_) => refuse("42P01", format!("relation \"{}\" does not exist", written(name))),
        }
    }

    /// The existing relation, or an assumed table where absence proves nothing, or 42P01.
    pub(crate) fn open(&mut self, name: &QualifiedName) -> Step<QualifiedName> {
        if let Some(found) = self.find(name) {
            return Ok(found);
        }
        self.need_schema_of(name)?;
        let system = name.schema.as_ref().is_some_and(is_system_schema)
            || (name.schema.is_none() && name.name.as_str().starts_with("pg_"));
        // An extension that is not known may have made the schema and what is in it.
        let of_extension = !self.extensions_are_known()
            && name.schema.as_ref().is_some_and(|schema| !self.catalog().has_schema(schema.as_str()));
        if self.catalog().is_incomplete() || system || of_extension {
            let assumed = if system && name.schema.is_none() {
                QualifiedName::with_schema("pg_catalog", name.name.truncated())
            } else {
                self.creation_name(name, Persistence::Permanent)
            };
            if self.catalog().relation(&assumed).is_some() {
                return Ok(assumed);
            }
            let mut table = Table::named(assumed.clone());
            table.assumed = true;
            self.catalog_mut().put_table(table);
            return Ok(assumed);
        }
        refuse("42P01", format!("relation \"{}\" does not exist", written(name)))
    }

    /// The table's current entry; an empty assumed one where the relation is not a table.
    pub(crate) fn table(&self, name: &QualifiedName) -> Arc<Table> {
        self.catalog().table(name).cloned().unwrap_or_else(|| {
            let mut table = Table::named(name.clone());
            table.assumed = true;
            Arc::new(table)
        })
    }

    /// 42P07 where a relation of that name is there for certain. What was not read may have dropped a table.
    pub(crate) fn need_free_name(&mut self, name: &QualifiedName, message: String) -> Step {
        match self.catalog().relation(name) {
            None => Ok(()),
            Some(Relation::Table(table)) if table.assumed && !table.made => Ok(()),
            Some(Relation::Table(table)) if table.uncertain => {
                self.may_fail_always("42P07", message);
                // It was gone already, with all that belongs to it.
                let (effects, facts) = (self.effects.clone(), self.state.facts.clone());
                self.remove_relations(std::slice::from_ref(name), DropBehavior::Cascade, "table")?;
                (self.effects, self.state.facts) = (effects, facts);
                Ok(())
            }
            Some(_) => refuse("42P07", message),
        }
    }

    /// Whether the table is only taken for granted.
    pub(crate) fn may_be_missing(&self, name: &QualifiedName) -> bool {
        self.catalog().table(name).is_some_and(|table| table.assumed && !table.made)
    }

    /// Whether nothing can be concluded from a list of this table.
    pub(crate) fn is_assumed(&self, name: &QualifiedName) -> bool {
        self.catalog().table(name).is_some_and(|table| table.assumed)
    }

    // --- effects ---

    pub(crate) fn lock(&mut self, name: &QualifiedName, mode: LockMode) {
        self.effects.lock(name.clone(), mode);
    }

    /// Every index of the relation.
    pub(crate) fn lock_indexes(&mut self, name: &QualifiedName, mode: LockMode) {
        let indexes: Vec<QualifiedName> =
            self.catalog().indexes_of(name).iter().map(|index| name.sibling(index.name.clone())).collect();
        for index in indexes {
            self.lock(&index, mode);
        }
    }

    /// A partitioned table has no storage of its own.
    pub(crate) fn has_storage(&self, name: &QualifiedName) -> bool {
        match self.catalog().relation(name) {
            Some(Relation::Table(table)) => table.partition_by.is_none() && !table.foreign,
            Some(Relation::View(view)) => view.materialized,
            _ => true,
        }
    }

    /// Reads the whole table, unless it is known to hold nothing.
    pub(crate) fn scan(&mut self, name: &QualifiedName) {
        let unfilled = self.catalog().view(name).is_some_and(|view| !view.populated);
        if self.has_storage(name) && !self.is_empty(name) && !unfilled {
            self.effects.scans.insert(name.clone());
        }
    }

    pub(crate) fn is_empty(&self, name: &QualifiedName) -> bool {
        self.state.assumed_empty.contains(name) || self.state.facts.empty.contains(name)
    }

    /// Builds an index under ACCESS EXCLUSIVE on it.
    pub(crate) fn build(&mut self, index: &QualifiedName) {
        self.lock(index, LockMode::AccessExclusive);
        self.fill(index);
    }

    /// The entries of an index are made from the rows.
    pub(crate) fn fill(&mut self, index: &QualifiedName) {
        self.effects.index_builds.insert(index.clone());
        let Some(Relation::Index { table }) = self.catalog().relation(index).cloned() else { return };
        let known = self.catalog().indexes_of(&table).iter().find(|known| known.name == index.name).cloned();
        let Some(known) = known else { return };
        if self.is_empty(&table) {
            return;
        }
        if known.unique {
            self.may_fail(&table, "23505", format!("two rows of {table} have the same key in {index}"));
        } else if known.constraint {
            self.may_fail(&table, "23P01", format!("two rows of {table} conflict in {index}"));
        }
        let computed = known.predicate.is_some()
            || known.elements.iter().any(|element| matches!(element.key, crate::statement::IndexKey::Expr(_)));
        if computed {
            self.may_fail(&table, "22000", format!("an expression of {index} fails for a row"));
            self.run_functions_of_index(&known);
        }
    }

    pub(crate) fn maybe(&mut self, name: &QualifiedName, effect: UncertainEffect, condition: impl Into<String>) {
        let uncertain = Uncertain { relation: name.clone(), effect, condition: condition.into() };
        if !self.effects.uncertain.contains(&uncertain) {
            self.effects.uncertain.push(uncertain);
        }
    }

    /// An error that the rows of the table decide; an empty table gives none.
    pub(crate) fn may_fail(&mut self, name: &QualifiedName, sqlstate: &'static str, condition: impl Into<String>) {
        if self.is_empty(name) {
            return;
        }
        let may_fail = MayFail { sqlstate, condition: condition.into() };
        if !self.effects.may_fail.contains(&may_fail) {
            self.effects.may_fail.push(may_fail);
        }
    }

    /// An error that neither the catalog nor the rows decide.
    pub(crate) fn may_fail_always(&mut self, sqlstate: &'static str, condition: impl Into<String>) {
        let may_fail = MayFail { sqlstate, condition: condition.into() };
        if !self.effects.may_fail.contains(&may_fail) {
            self.effects.may_fail.push(may_fail);
        }
    }

    /// Code that runs and is not read here.
    pub(crate) fn unread(&mut self, what: impl Into<String>) {
        self.effects.unread.insert(what.into());
    }

    /// A relation that this statement makes: nobody else sees it before the commit.
    pub(crate) fn made(&mut self, name: &QualifiedName) {
        self.lock(name, LockMode::AccessExclusive);
        self.state.facts.created.insert(name.clone());
        self.state.facts.committed_name.remove(name);
    }

    /// Rows were written: what was known of an empty table or an all-NULL column is gone.
    pub(crate) fn written_to(&mut self, name: &QualifiedName) {
        self.state.assumed_empty.remove(name);
        self.state.facts.empty.remove(name);
        self.forget_null_columns(|table, _| table == name);
    }

    /// They may hold values from now on, or are gone.
    pub(crate) fn forget_null_columns(&mut self, gone: impl Fn(&QualifiedName, &Ident) -> bool) {
        self.state.facts.null_columns.retain(|(table, column)| !gone(table, column));
        self.state.assumed_null.retain(|(table, column)| !gone(table, column));
    }

    /// Whether the column is known to be NULL in every row.
    pub(crate) fn is_all_null(&self, table: &QualifiedName, column: &Ident) -> bool {
        let column = (table.clone(), column.clone());
        self.state.facts.null_columns.contains(&column) || self.state.assumed_null.contains(&column)
    }

    // --- checks ---

    /// A form that the version's grammar does not have: 42601 at the token.
    pub(crate) fn since(&self, major: u16, token: &str) -> Step {
        if self.version.at_least(major) {
            return Ok(());
        }
        refuse("42601", format!("syntax error at or near \"{token}\""))
    }

    /// 55006 where rows of the table have deferred trigger events.
    pub(crate) fn check_not_in_use(&mut self, name: &QualifiedName, command: &str) -> Step {
        if self.state.facts.cursors.values().any(|used| used.contains(name)) {
            return refuse(
                "55006",
                format!(
                    "cannot {command} \"{}\" because it is being used by active queries in this session",
                    name.name
                ),
            );
        }
        let events = self.state.facts.pending.iter().filter(|((table, _), _)| table == name);
        let Some(certain) = events.map(|(_, certain)| *certain).max().filter(|_| self.in_block) else { return Ok(()) };
        let message = format!("cannot {command} \"{}\" because it has pending trigger events", name.name);
        if certain {
            return refuse("55006", message);
        }
        self.may_fail_always("55006", message);
        Ok(())
    }

    pub(crate) fn missing_column<T>(table: &QualifiedName, column: &Ident) -> Step<T> {
        refuse("42703", format!("column \"{column}\" of relation \"{}\" does not exist", table.name))
    }

    // --- types ---

    /// The type as it stands in messages: without modifiers, and without a schema that is on the search path.
    pub(crate) fn shown(&self, data_type: &DataType) -> String {
        self.visible(data_type).in_messages()
    }

    /// The type with its schema only where the search path does not find it.
    pub(crate) fn visible(&self, data_type: &DataType) -> DataType {
        let mut shown = data_type.clone();
        let bare = QualifiedName::as_written(None, shown.name.name.clone());
        let visible = self.find_type(&bare).or_else(|| self.find(&bare));
        if visible.as_ref() == Some(&shown.name) {
            shown.name = bare;
        }
        shown
    }

    /// The relation as descriptions of objects name it: without a schema that is on the search path.
    pub(crate) fn shown_relation(&self, name: &QualifiedName) -> String {
        let bare = QualifiedName::as_written(None, name.name.clone());
        if self.find(&bare).as_ref() == Some(name) { bare.to_string() } else { name.to_string() }
    }

    /// The type with its catalog name; 42704 where it cannot exist.
    pub(crate) fn resolve_type(&self, data_type: &DataType) -> Step<DataType> {
        if let Some(name) = self.find_type(&data_type.name) {
            return Ok(DataType { name, ..data_type.clone() });
        }
        if data_type.name.schema.is_none() && crate::cast::is_builtin_type(data_type.name.name.as_str(), self.version) {
            check_modifiers(data_type, self.version)?;
            return Ok(normalised(data_type));
        }
        let catalog = self.catalog();
        let name = data_type.name.name.as_str();
        if let Some(extension) = crate::cast::extension_of_type(name)
            && catalog.has_extension(extension)
        {
            return Ok(data_type.clone());
        }
        // The name of an array type, as `pg_type` has it.
        if let (None, Some(element)) = (&data_type.name.schema, name.strip_prefix('_'))
            && crate::cast::is_builtin_type(element, self.version)
            && !data_type.is_array()
        {
            return Ok(DataType { array_dimensions: 1, ..normalised(&DataType::named(element)) });
        }
        // The row type of a relation is a type as well.
        let row_type =
            |name: &QualifiedName| matches!(catalog.relation(name), Some(Relation::Table(_) | Relation::View(_)));
        if let Some(name) = self.find(&data_type.name).filter(row_type) {
            return Ok(DataType { name, ..data_type.clone() });
        }
        if catalog.is_incomplete() || !self.extensions_are_known() || is_system_type(&data_type.name) {
            return Ok(data_type.clone());
        }
        self.need_schema_of(&data_type.name)?;
        refuse("42704", format!("type \"{}\" does not exist", written(&data_type.name)))
    }

    /// The catalog's name of a user-defined type.
    pub(crate) fn find_type(&self, name: &QualifiedName) -> Option<QualifiedName> {
        candidates(self.catalog(), &self.state.settings, name)
            .find(|candidate| self.catalog().user_type(candidate).is_some())
    }
}

/// Whether event triggers fire for it.
pub(crate) const fn changes_schema(statement: &Statement) -> bool {
    !matches!(
        statement,
        Statement::Select(_)
            | Statement::Insert(_)
            | Statement::Update(_)
            | Statement::Delete(_)
            | Statement::Merge(_)
            | Statement::Truncate { .. }
            | Statement::Copy { .. }
            | Statement::Vacuum { .. }
            | Statement::Analyze { .. }
            | Statement::Cluster { .. }
            | Statement::Checkpoint
            | Statement::Set(_)
            | Statement::Reset { .. }
            | Statement::SetConstraints { .. }
            | Statement::Lock { .. }
            | Statement::Session { .. }
            | Statement::Do { .. }
            | Statement::Call { .. }
            | Statement::Opaque(_)
            | Statement::CreateOther { .. }
    )
}

/// `varchar(0)` and `numeric(2000)`: the input functions of the modifiers.
fn check_modifiers(data_type: &DataType, version: PgVersion) -> Step {
    let name = data_type.name.name.as_str();
    match (name, data_type.modifiers.as_slice()) {
        ("varchar" | "bpchar" | "bit" | "varbit", [length, ..]) if *length < 1 => {
            let shown = if name == "bpchar" { "char" } else { name };
            refuse("22023", format!("length for type {shown} must be at least 1"))
        }
        ("numeric", [precision, ..]) if !(1..=1000).contains(precision) => {
            refuse("22023", format!("NUMERIC precision {precision} must be between 1 and 1000"))
        }
        ("numeric", [precision, scale]) if !version.at_least(15) && !(0..=*precision).contains(scale) => {
            refuse("22023", format!("NUMERIC scale {scale} must be between 0 and precision {precision}"))
        }
        _ => Ok(()),
    }
}

/// `char` is `char(1)`, `bit` is `bit(1)`; a numeric precision alone has scale 0; of a second there are six digits at most.
fn normalised(data_type: &DataType) -> DataType {
    let mut data_type = data_type.clone();
    if matches!(data_type.name.name.as_str(), "time" | "timetz" | "timestamp" | "timestamptz" | "interval") {
        data_type.modifiers.iter_mut().for_each(|digits| *digits = (*digits).min(6));
    }
    if data_type.name.name == "numeric" && data_type.modifiers.len() == 1 {
        data_type.modifiers.push(0);
    }
    data_type
}

pub(crate) fn is_system_schema(schema: &Ident) -> bool {
    matches!(schema.as_str(), "pg_catalog" | "information_schema" | "pg_toast")
}

/// The row types of the system's relations, and the types of its views.
fn is_system_type(name: &QualifiedName) -> bool {
    name.schema.as_ref().map_or(name.name.as_str().starts_with("pg_"), is_system_schema)
}

/// The name as it stands in messages.
pub(crate) fn written(name: &QualifiedName) -> String {
    if name.schema.is_none() && name.written == Written::Default {
        return format!("public.{name}");
    }
    name.to_string()
}

/// The catalog names that a written name can mean, in the order of the search path.
pub(crate) fn candidates(
    catalog: &Catalog,
    settings: &Settings,
    name: &QualifiedName,
) -> impl Iterator<Item = QualifiedName> {
    let bare = name.name.truncated();
    let mut list = Vec::new();
    let named = |path: &[Ident], wanted: &str| path.iter().any(|schema| *schema.as_str() == *wanted);
    if let Some(schema) = &name.schema {
        list.push(QualifiedName::with_schema(schema.truncated(), bare));
    } else if name.written == Written::Default {
        list.push(QualifiedName::new(bare));
    } else {
        // Unless the path names them, the schema of temporary relations comes first, and the server's own behind it.
        let path = settings.search_path.as_deref().unwrap_or_default();
        for implied in ["pg_temp", "pg_catalog"] {
            if !named(path, implied) {
                list.push(QualifiedName::with_schema(implied, bare.clone()));
            }
        }
        list.extend(path.iter().map(|schema| QualifiedName::with_schema(schema.clone(), bare.clone())));
        // The catalog's own names are whole. What lies in a schema that nobody is known to have made may be what is
        // kept as lying in the default one: a connection's own search path is not known here.
        let strict = name.written == Written::Bare
            && settings.search_path.is_some()
            && path.iter().all(|schema| catalog.has_schema(schema.as_str()) || schema.as_str().starts_with("pg_"));
        if !strict {
            list.push(QualifiedName::new(bare));
        }
    }
    list.into_iter()
}

pub(crate) fn resolve(catalog: &Catalog, settings: &Settings, name: &QualifiedName) -> Option<QualifiedName> {
    candidates(catalog, settings, name).find(|candidate| catalog.relation(candidate).is_some())
}

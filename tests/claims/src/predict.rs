//! The model's answer to a case, run as the servers ran it: in a schema `s`, as the first of the search path.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zdm_postgres::catalog::{ConstraintKind, Table, UserTypeKind};
use zdm_postgres::deparse;
use zdm_postgres::effects::{Blocks, UncertainEffect};
use zdm_postgres::expr::ExprNode;
use zdm_postgres::statement::{AlterTableAction, Dml, TableConstraint, TableConstraintKind};
use zdm_postgres::{Catalog, DataType, Ident, PgVersion, QualifiedName, Session, Statement};

use crate::observed::{Observed, Uncertain};
use crate::truth::{Hold, Mode};

/// What is there before every case: schemas, extensions, a role, a tablespace and a second table access method.
pub const PREAMBLE: &str = "CREATE SCHEMA s; CREATE SCHEMA s2; SET search_path = s, public; \
    CREATE EXTENSION citext; CREATE EXTENSION btree_gist; CREATE EXTENSION pg_trgm";

/// A case as text.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    pub setup: &'a str,
    pub session: &'a str,
    pub pre: &'a str,
    pub statement: &'a str,
    pub mode: Mode,
    pub holds: Holds<'a>,
}

/// What other open transactions hold while a statement runs outside a transaction block.
#[derive(Clone, Copy, Debug, Default)]
pub enum Holds<'a> {
    #[default]
    Nothing,
    These(&'a [Hold]),
    /// Six transactions, one after the other, each with ROW EXCLUSIVE on every table and a snapshot: enough to stop
    /// every concurrent form in each of its phases.
    EveryTable,
    /// Then one that reads the partitions, and one that reads the other tables: they stop what goes on once nobody writes.
    EveryTableThenReaders,
}

/// The prediction, what of it depends on the unknown, and the setup's refusal if there is one.
#[derive(Clone, Debug, Default)]
pub struct Prediction {
    pub observed: Observed,
    pub uncertain: Uncertain,
    /// The setup is refused: the case does not apply, or the model is wrong.
    pub setup_error: Option<String>,
}

/// What the setup of a case leaves in the model, or its refusal.
#[derive(Debug)]
pub struct Base {
    texts: [String; 2],
    session: Result<Session, String>,
}

impl Base {
    pub fn new(case: &Case<'_>, version: PgVersion) -> Self {
        Self { texts: [case.setup.to_owned(), case.session.to_owned()], session: set_up(case, version) }
    }

    /// A session that stands where a case without a setup begins.
    pub const fn of(session: Session) -> Self {
        Self { texts: [String::new(), String::new()], session: Ok(session) }
    }

    /// Whether the case has the same setup.
    pub fn is_of(&self, case: &Case<'_>) -> bool {
        self.texts == [case.setup, case.session]
    }
}

fn set_up(case: &Case<'_>, version: PgVersion) -> Result<Session, String> {
    let mut session = Session::new(Catalog::new(), version);
    let mut filled = Filled::default();
    for text in [PREAMBLE, case.setup, case.session] {
        for statement in statements(text) {
            filled.note(&statement, session.catalog());
            if let Some(refusal) = session.execute(&statement).error {
                return Err(format!("{} {}: {statement:?}", refusal.sqlstate, refusal.message));
            }
        }
    }
    for table in empty_tables(&session, case.setup) {
        session.assume_empty(table);
    }
    for (table, column) in filled.null_columns(session.catalog()) {
        session.assume_null(table, column);
    }
    Ok(session)
}

pub fn predict(case: &Case<'_>, version: PgVersion) -> Prediction {
    predict_on(&Base::new(case, version), case)
}

pub fn predict_on(base: &Base, case: &Case<'_>) -> Prediction {
    let mut prediction = Prediction::default();
    let mut session = match &base.session {
        Ok(session) => session.clone(),
        Err(error) => {
            prediction.setup_error = Some(error.clone());
            return prediction;
        }
    };
    if case.mode == Mode::Tx {
        session.execute(&Statement::BEGIN);
    }
    for statement in statements(case.pre) {
        if run(&mut session, &statement, &mut prediction, false) {
            return prediction;
        }
    }
    let middle = session.clone();
    for statement in statements(case.statement) {
        let before = session.clone();
        if run(&mut session, &statement, &mut prediction, true) {
            return prediction;
        }
        if let Statement::Truncate { tables, .. } = &statement {
            // Whether a file was made for no rows, or anew for none, cannot be told from one that is empty.
            for table in tables {
                prediction.uncertain.rewrites.insert(table.to_string());
                let name = session.catalog().tables().find(|known| known.name.name == table.name);
                let below = name.map(|known| session.catalog().descendants(&known.name)).unwrap_or_default();
                prediction.uncertain.rewrites.extend(below.iter().map(plain));
            }
        }
        if let Ok(start) = &base.session {
            follow_rename(&mut prediction.observed, &statement, [start, &middle]);
        }
        // The counters of a table that is gone are gone, too.
        let names = before.catalog().relations().map(|(name, _)| name);
        let gone = names.filter(|name| session.catalog().relation(name).is_none());
        prediction.uncertain.scans.extend(gone.map(|name| plain(before.committed_name(name))));
    }
    if let Ok(start) = &base.session {
        forget_unseen(&mut prediction, start, &middle, &session);
    }
    if case.mode == Mode::Tx {
        for (name, blocks) in session.blocked() {
            prediction.observed.blocked.insert(plain(&name), letters(blocks));
        }
    }
    for table in session.catalog().tables() {
        // A key that is left out is NULL, and nothing is looked up for it.
        let null_key = table.constraints.iter().any(|constraint| match &constraint.kind {
            ConstraintKind::ForeignKey(key) => key.columns.iter().any(|column| {
                table.column(column.as_str()).is_some_and(|column| column.default.is_none() && !column.not_null)
            }),
            _ => false,
        });
        // Nor does a value that is made up for a column have to satisfy a check, which is looked at before the keys.
        let checked = table.constraints.iter().any(|constraint| match &constraint.kind {
            ConstraintKind::Check { expr, .. } => {
                let mut wants_value = false;
                expr.node.walk(&mut |node| wants_value |= matches!(node, ExprNode::IsNull { negated: true, .. }));
                expr.node.columns().iter().any(|column| {
                    table
                        .column(column.as_str())
                        .is_some_and(|column| (column.not_null || wants_value) && column.default.is_none())
                })
            }
            _ => false,
        });
        // The first key that a value does not satisfy ends the INSERT before the others are looked at.
        let keys =
            table.constraints.iter().filter(|constraint| matches!(constraint.kind, ConstraintKind::ForeignKey(_)));
        let several = keys.count() > 1;
        // Nor the check of a domain.
        let of_domain = table.columns.iter().any(|column| {
            session
                .catalog()
                .user_type(&column.data_type.name)
                .is_some_and(|known| matches!(known.kind, UserTypeKind::Domain(_)))
        });
        if table.partition_by.is_some() || table.partition_of.is_some() || null_key || several || checked || of_domain {
            prediction.uncertain.unprobed.insert(plain(session.committed_name(&table.name)));
        }
    }
    prediction.observed.catalog = catalog(&session);
    let assumed = session.catalog().tables().filter(|table| table.assumed);
    prediction.uncertain.assumed = assumed.map(|table| table.name.name.as_str().to_owned()).collect();
    // Nobody can try a command on a table that is elsewhere.
    let foreign = middle.catalog().tables().chain(session.catalog().tables()).filter(|table| table.foreign);
    for table in foreign {
        prediction.observed.blocked.remove(&plain(session.committed_name(&table.name)));
    }
    let changed = session.catalog().tables().filter(|table| table.uncertain);
    prediction.uncertain.changed = changed.map(|table| table.name.name.as_str().to_owned()).collect();
    // What the server looks at in its own catalog comes and goes; only names that a statement writes are predicted.
    let own = |name: &String| {
        name.starts_with("pg_catalog.") || name.starts_with("information_schema.") || name.starts_with("public.pg_")
    };
    prediction.observed.locks.retain(|name, _| !own(name));
    prediction.observed.scans.retain(|name| !own(name));
    prediction.observed.blocked.retain(|name, _| !own(name));
    prediction
}

/// Nobody can ask the servers for what a statement made and another one dropped, nor for the files of what was not there,
/// and of a new table it is not known how many rows the query gave that filled it.
fn forget_unseen(prediction: &mut Prediction, start: &Session, middle: &Session, end: &Session) {
    let names = |session: &Session| -> BTreeSet<String> {
        session.catalog().relations().map(|(name, _)| plain(session.committed_name(name))).collect()
    };
    let old: BTreeSet<String> = names(start).into_iter().chain(names(middle)).collect();
    let last = names(end);
    let observed = &mut prediction.observed;
    observed.locks.retain(|name, _| old.contains(name) || last.contains(name));
    observed.rewrites.retain(|name| old.contains(name) && last.contains(name));
    // The servers tell of it without a schema.
    for name in observed.builds.iter().filter(|name| !last.contains(*name)) {
        let bare = name.rsplit_once('.').map_or(name.as_str(), |(_, bare)| bare);
        prediction.uncertain.builds.extend([name.clone(), bare.to_owned()]);
    }
    prediction.uncertain.scans.extend(observed.scans.iter().filter(|name| !old.contains(*name)).cloned());
}

/// The servers are asked at the end what a relation is called that was not there before.
fn follow_rename(observed: &mut Observed, statement: &Statement, before: [&Session; 2]) {
    let Statement::AlterTable(alter) = statement else { return };
    let schema = alter.name.schema.clone().unwrap_or_else(|| Ident::new("s"));
    let from = QualifiedName::with_schema(schema, alter.name.name.clone());
    for action in &alter.actions {
        match action {
            AlterTableAction::RenameTo { name } => follow(observed, &from, name, before),
            AlterTableAction::AddConstraint(TableConstraint {
                name: Some(name),
                kind: TableConstraintKind::PrimaryKey(key) | TableConstraintKind::Unique(key),
                ..
            }) => {
                if let Some(index) = &key.using_index {
                    follow(observed, &from.sibling(index.clone()), name, before);
                }
            }
            _ => {}
        }
    }
}

fn follow(observed: &mut Observed, from: &QualifiedName, name: &Ident, before: [&Session; 2]) {
    if before.iter().any(|session| session.catalog().relation(from).is_some()) {
        return;
    }
    let (from, to) = (plain(from), plain(&from.sibling(name.clone())));
    if let Some(mode) = observed.locks.remove(&from) {
        let known = observed.locks.entry(to.clone()).or_insert_with(|| mode.clone());
        if zdm_postgres::LockMode::parse(known) < zdm_postgres::LockMode::parse(&mode) {
            *known = mode;
        }
    }
    // A build was told of under the name of its moment.
    for set in [&mut observed.rewrites, &mut observed.scans] {
        if set.remove(&from) {
            set.insert(to.clone());
        }
    }
}

/// Runs one statement and adds its effects; answers whether it was refused.
fn run(session: &mut Session, statement: &Statement, prediction: &mut Prediction, counted: bool) -> bool {
    let in_transaction = session.in_transaction();
    // The effects name relations as they are called before the statement; the servers were asked before the transaction.
    let before = session.clone();
    let plain = |name: &QualifiedName| plain(before.committed_name(name));
    let outcome = session.execute(statement);
    let observed = &mut prediction.observed;
    // What the transaction has made itself is called as it was renamed last.
    for (name, held) in before.held().iter().filter(|(name, _)| *name == before.committed_name(name)) {
        observed.locks.entry(self::plain(name)).or_insert_with(|| held.mode.initials().to_owned());
    }
    if matches!(statement, Statement::RollbackToSavepoint(_) | Statement::Commit { .. } | Statement::Rollback { .. }) {
        // What was taken before, or after the savepoint, is given back.
        observed.locks =
            session.held().iter().map(|(name, held)| (plain(name), held.mode.initials().to_owned())).collect();
    }
    prediction.uncertain.may_fail.extend(outcome.effects.may_fail.iter().cloned());
    if let Some(refusal) = outcome.error {
        observed.error = Some((refusal.sqlstate.to_owned(), refusal.message));
        return true;
    }
    for (name, mode) in &outcome.effects.locks {
        let name = plain(name);
        let known = observed.locks.get(&name).and_then(|known| zdm_postgres::LockMode::parse(known));
        if known.is_none_or(|known| known < *mode) {
            observed.locks.insert(name, mode.initials().to_owned());
        }
    }
    for uncertain in &outcome.effects.uncertain {
        let set = match uncertain.effect {
            UncertainEffect::Rewrite => {
                // A rewrite reads everything and builds every index.
                for index in session.catalog().indexes_of(&uncertain.relation) {
                    let index = plain(&uncertain.relation.sibling(index.name.clone()));
                    prediction.uncertain.builds.insert(index.clone());
                    prediction.uncertain.locks.insert(index);
                }
                prediction.uncertain.scans.insert(plain(&uncertain.relation));
                &mut prediction.uncertain.rewrites
            }
            UncertainEffect::Scan => &mut prediction.uncertain.scans,
            UncertainEffect::IndexBuild => &mut prediction.uncertain.builds,
            // What is in an index is not compared.
            UncertainEffect::MissingEntries => continue,
            UncertainEffect::Lock(_) => &mut prediction.uncertain.locks,
            UncertainEffect::PassingLock(mode) => {
                prediction.uncertain.passing.insert(plain(&uncertain.relation), mode);
                continue;
            }
            UncertainEffect::RowLocks => {
                // A command on the parent meets the same rows.
                let mut parents = vec![uncertain.relation.clone()];
                while let Some(child) = parents.pop() {
                    if let Some(table) = session.catalog().table(&child) {
                        parents.extend(table.partition_of.iter().map(|(parent, _)| parent.clone()));
                        parents.extend(table.inherits.iter().cloned());
                        prediction.uncertain.rows.insert(plain(&child));
                    }
                }
                &mut prediction.uncertain.rows
            }
        };
        set.insert(plain(&uncertain.relation));
    }
    prediction.uncertain.unread |= !outcome.effects.unread.is_empty();
    if !in_transaction {
        for (name, blocks) in &outcome.effects.blocks {
            observed.blocked.insert(plain(name), letters(*blocks));
        }
    }
    if counted {
        observed.rewrites.extend(outcome.effects.rewrites.iter().map(&plain));
        observed.scans.extend(outcome.effects.scans.iter().map(&plain));
        observed.builds.extend(outcome.effects.index_builds.iter().map(&plain));
    }
    false
}

/// As [`crate::measure`] reads it from a server.
fn catalog(session: &Session) -> BTreeSet<String> {
    let catalog = session.catalog();
    let mut lines = BTreeSet::new();
    let own = |table: &&Arc<Table>| table.name.schema.as_ref().is_some_and(|schema| *schema == "s") && !table.foreign;
    for table in catalog.tables().filter(own) {
        let name = &table.name.name;
        for column in &table.columns {
            let not_null = if column.not_null { " not null" } else { "" };
            lines.insert(format!("column {name}.{} {}{not_null}", column.name, column.data_type));
            if let Some(default) = deparse::default(catalog, table, column) {
                lines.insert(format!("default {name}.{} {default}", column.name));
            }
        }
        for constraint in &table.constraints {
            let definition = deparse::constraint(catalog, table, constraint);
            lines.insert(format!("constraint {name}.{} {definition}", constraint.name));
        }
        for trigger in &table.triggers {
            lines.extend(
                trigger.constraint.as_ref().map(|constraint| {
                    format!("constraint {name}.{constraint} {}", deparse::constraint_trigger(trigger))
                }),
            );
        }
        for index in &table.indexes {
            let valid = if index.valid { "" } else { "invalid " };
            let definition = deparse::index(catalog, table, index);
            lines.insert(format!("index {name}.{} {valid}{definition}", index.name));
        }
    }
    lines.iter().map(|line| without_schema(line)).collect()
}

/// The schema of the cases is on the search path in one place and not in another.
pub fn without_schema(line: &str) -> String {
    line.replace(" s.", " ").replace("('s.", "('").replace("(s.", "(").replace("::s.", "::")
}

pub fn statements(text: &str) -> Vec<Statement> {
    zdm_sql::parse(text).into_iter().map(|parsed| parsed.statement).collect()
}

/// Tables that the setup made and never filled, directly or as partitions.
fn empty_tables(session: &Session, setup: &str) -> Vec<QualifiedName> {
    let mut filled: BTreeSet<QualifiedName> = BTreeSet::new();
    for statement in statements(setup) {
        let target = match &statement {
            Statement::Insert(dml) => &dml.table,
            Statement::CreateTableAs(create) => &create.name,
            _ => continue,
        };
        let name = in_schema(target);
        if session.catalog().table(&name).is_none_or(|table| table.partition_by.is_some()) {
            filled.extend(session.catalog().descendants(&name));
        }
        filled.insert(name);
    }
    session.catalog().tables().map(|table| table.name.clone()).filter(|name| !filled.contains(name)).collect()
}

/// What the setup is known to have written.
#[derive(Debug, Default)]
struct Filled {
    /// By table: the columns that got a value, or may have got one.
    columns: BTreeMap<QualifiedName, BTreeSet<Ident>>,
    /// Rows were written in a way that is not followed.
    unknown: bool,
}

impl Filled {
    /// A statement that is about to be executed on the catalog.
    fn note(&mut self, statement: &Statement, catalog: &Catalog) {
        match statement {
            Statement::Insert(dml) => self.inserted(dml, catalog),
            Statement::AlterTable(alter) => {
                let name = in_schema(&alter.name);
                for action in &alter.actions {
                    let valued = match action {
                        AlterTableAction::AddColumn { column, .. } => {
                            let plain = column.constraints.is_empty()
                                && !column.data_type.as_ref().is_some_and(DataType::is_serial);
                            if plain {
                                continue;
                            }
                            &column.name
                        }
                        AlterTableAction::AlterColumnType { column, using: Some(_), .. } => column,
                        AlterTableAction::RenameTo { .. }
                        | AlterTableAction::RenameColumn { .. }
                        | AlterTableAction::SetSchema { .. }
                        | AlterTableAction::AttachPartition { .. }
                        | AlterTableAction::DetachPartition { .. } => {
                            self.unknown = true;
                            continue;
                        }
                        _ => continue,
                    };
                    for table in with_partitions(catalog, &name) {
                        self.columns.entry(table).or_default().insert(valued.clone());
                    }
                }
            }
            Statement::Update(_)
            | Statement::Merge(_)
            | Statement::Copy { .. }
            | Statement::CreateTableAs(_)
            | Statement::Do { .. }
            | Statement::Call { .. }
            | Statement::CreateRule { .. }
            | Statement::Opaque(_) => self.unknown = true,
            _ => {}
        }
    }

    fn inserted(&mut self, dml: &Dml, catalog: &Catalog) {
        let name = in_schema(&dml.table);
        let Some(table) = catalog.table(&name) else {
            self.unknown = true;
            return;
        };
        self.unknown |= table
            .triggers
            .iter()
            .any(|trigger| trigger.timing == "BEFORE" && trigger.events.iter().any(|event| event == "INSERT"));
        let is_null = |place: usize| dml.values.get(place).is_some_and(|value| *value.node == ExprNode::Null);
        // Without a list the first columns are given, and how many a query gives is not asked here.
        let valued: BTreeSet<Ident> = table
            .columns
            .iter()
            .enumerate()
            .filter(|(place, column)| match dml.columns.iter().position(|known| *known == column.name) {
                Some(place) => !is_null(place),
                None if dml.columns.is_empty() => !is_null(*place),
                None => {
                    column.default.is_some()
                        || column.identity.is_some()
                        || column.generated.is_some()
                        || catalog.user_type(&column.data_type.name).is_some()
                }
            })
            .map(|(_, column)| column.name.clone())
            .collect();
        for table in with_partitions(catalog, &name) {
            self.columns.entry(table).or_default().extend(valued.iter().cloned());
        }
    }

    /// The columns that nothing gave a value to, of tables that have rows.
    fn null_columns(&self, catalog: &Catalog) -> Vec<(QualifiedName, Ident)> {
        if self.unknown {
            return Vec::new();
        }
        let tables = self.columns.iter().filter_map(|(name, valued)| Some((catalog.table(name)?, valued)));
        tables
            .flat_map(|(table, valued)| {
                let nulls = table.columns.iter().filter(|column| !valued.contains(&column.name));
                nulls.map(|column| (table.name.clone(), column.name.clone()))
            })
            .collect()
    }
}

/// The table and, since its rows go there, its partitions.
fn with_partitions(catalog: &Catalog, name: &QualifiedName) -> Vec<QualifiedName> {
    std::iter::once(name.clone()).chain(catalog.descendants(name)).collect()
}

/// As the catalog calls what the setup writes without a schema.
fn in_schema(name: &QualifiedName) -> QualifiedName {
    let schema = name.schema.clone().unwrap_or_else(|| Ident::new("s"));
    QualifiedName::with_schema(schema, name.name.clone())
}

/// Without the schema of the cases; the default one is another here.
fn plain(name: &QualifiedName) -> String {
    match &name.schema {
        Some(schema) if *schema == "s" => name.name.as_str().to_owned(),
        None => format!("public.{}", name.name),
        _ => name.to_string(),
    }
}

fn letters(blocks: Blocks) -> String {
    [
        (blocks.select, 'r'),
        (blocks.insert, 'i'),
        (blocks.update, 'u'),
        (blocks.select_for_update, 'f'),
        (blocks.nextval, 'n'),
    ]
    .into_iter()
    .filter_map(|(blocked, letter)| blocked.then_some(letter))
    .collect()
}

//! What Django asks the database: the names of constraints and indexes by column, and sequences.
//!
//! Source: `django.db.backends.postgresql.introspection` and `_constraint_names()` of the schema editor.

use std::collections::BTreeSet;
use std::sync::Arc;

use zdm_postgres::catalog::{ConstraintKind, Table};
use zdm_postgres::name::{Ident, QualifiedName};
use zdm_postgres::statement::{IndexElement, IndexKey};

use super::Editor;
use crate::operation::{CatalogFact, CatalogTest, Options, TableRef};
use crate::resolve::{Reason, Resolver};
use crate::state::{ModelKey, ProjectState};

/// Which of a table's constraints and indexes are asked for; `None` does not matter.
#[derive(Clone, Debug, Default)]
pub(super) struct Query<'q> {
    pub(super) columns: Option<&'q [Arc<str>]>,
    pub(super) unique: Option<bool>,
    pub(super) primary_key: Option<bool>,
    pub(super) index: Option<bool>,
    pub(super) foreign_key: bool,
    pub(super) check: Option<bool>,
    /// A btree index without options: what `db_index` makes.
    pub(super) basic: bool,
    pub(super) exclude: BTreeSet<&'q str>,
}

/// A row of Django's `get_constraints()`.
struct Entry {
    name: String,
    columns: Vec<String>,
    primary_key: bool,
    unique: bool,
    foreign_key: bool,
    check: bool,
    index: bool,
    basic: bool,
}

impl Editor<'_> {
    /// Whether the database is as a test asks, between the states before and behind an operation; the error says why that
    /// is not known.
    pub(super) fn holds(&self, test: &CatalogTest, app: &str, states: [&ProjectState; 2]) -> Result<bool, Reason> {
        for all in &test.any {
            let mut every = true;
            for (fact, expected) in all {
                if self.is_so(fact, app, states)? != *expected {
                    every = false;
                    break;
                }
            }
            if every {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_so(&self, fact: &CatalogFact, app: &str, [before, behind]: [&ProjectState; 2]) -> Result<bool, Reason> {
        let (CatalogFact::Table(reference)
        | CatalogFact::Column { table: reference, .. }
        | CatalogFact::Constraint { table: reference, .. }) = fact;
        let name = match reference {
            TableRef::Name(name) => Arc::clone(name),
            TableRef::Model { app: other, name, after } => {
                let resolver = Resolver::new(if *after { behind } else { before }, self.context);
                let key = ModelKey::new(other.as_deref().unwrap_or(app), name);
                resolver.table(resolver.model_state(&key)?)?
            }
        };
        let table = self.database.catalog().table(&server_name(&name));
        match (fact, table) {
            (CatalogFact::Table(_), table) => Ok(table.is_some()),
            (_, None) => Err(format!("the table `{name}` is not known")),
            (_, Some(table)) if table.assumed => {
                Err(format!("the columns and constraints of the table `{name}` are not known"))
            }
            (CatalogFact::Constraint { name, .. }, Some(table)) => {
                Ok(entries(table).iter().any(|entry| *entry.name == **name))
            }
            (CatalogFact::Column { column, .. }, Some(table)) => Ok(table.column(column).is_some()),
        }
    }

    /// The names of the constraints and indexes that fit, in the order made; constraints first.
    pub(super) fn constraint_names(&mut self, table: &str, query: &Query<'_>) -> Vec<String> {
        let catalog = self.database.catalog();
        // Django looks for the name as it stands in `db_table`, so it never finds a table with a schema in its name.
        let Some(known) = catalog.table(&server_name(table)) else {
            if !table.contains("\".\"") {
                self.report(format!("the table `{table}` is not known, so the names of its constraints are not"));
            }
            return Vec::new();
        };
        let assumed = known.assumed;
        let names = entries(known).into_iter().filter(|entry| entry.fits(query)).map(|entry| entry.name).collect();
        if assumed {
            self.report(format!("the constraints of the table `{table}` are not known"));
        }
        names
    }

    pub(super) fn foreign_key_names(&mut self, table: &str, column: &Arc<str>) -> Vec<String> {
        let columns = [column.clone()];
        self.constraint_names(table, &Query { columns: Some(&columns), foreign_key: true, ..Query::default() })
    }

    /// A trigger of django-pgtrigger that PostgreSQL does not let a column change its type under: the package's schema
    /// editor takes it away and makes it again. Source: its documentation, "Settings", `PGTRIGGER_SCHEMA_EDITOR`.
    pub(super) fn trigger_of_pgtrigger(&self, table: &str, column: &str) -> Option<String> {
        let catalog = self.database.catalog();
        let known = catalog.table(&server_name(table)).filter(|_| self.context.pgtrigger_editor)?;
        let uses = |trigger: &&zdm_postgres::catalog::Trigger| {
            trigger.name.as_str().starts_with("pgtrigger_") && trigger.reads(column)
        };
        known.triggers.iter().find(uses).map(|trigger| trigger.name.to_string())
    }

    /// The sequence that belongs to a column, as an identity or by OWNED BY.
    pub(super) fn sequence_of(&self, table: &str, column: &str) -> Option<String> {
        let catalog = self.database.catalog();
        let name = server_name(table);
        let known = catalog.table(&name)?;
        if let Some(identity) = known.column(column).and_then(|column| column.identity.as_ref()) {
            return Some(identity.sequence.name.to_string());
        }
        let owned = catalog.sequences_of(&name);
        owned.into_iter().find(|(owner, _)| *owner == *column).map(|(_, sequence)| sequence.name.to_string())
    }
}

/// The name as the server keeps it: a literal that is compared with a name is cut like one.
fn server_name(table: &str) -> QualifiedName {
    QualifiedName::new(Ident::new(table).truncated().as_str())
}

/// The names that `Meta.constraints` and `Meta.indexes` take.
pub(super) fn constraint_option_names(options: &Options) -> BTreeSet<&str> {
    options.constraints.iter().map(|constraint| &*constraint.name).collect()
}

pub(super) fn index_option_names(options: &Options) -> BTreeSet<&str> {
    options.indexes.iter().filter_map(|index| index.name.as_deref()).collect()
}

fn entries(table: &Table) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for constraint in &table.constraints {
        let strings = |columns: &[Ident]| columns.iter().map(ToString::to_string).collect();
        let mut entry = Entry {
            name: constraint.name.to_string(),
            columns: Vec::new(),
            primary_key: false,
            unique: false,
            foreign_key: false,
            check: false,
            index: false,
            basic: false,
        };
        match &constraint.kind {
            ConstraintKind::Check { expr, .. } => {
                entry.check = true;
                entry.columns = expr.node.columns().iter().map(ToString::to_string).collect();
            }
            ConstraintKind::Unique { columns, .. } => {
                entry.unique = true;
                entry.columns = strings(columns);
            }
            ConstraintKind::PrimaryKey { columns, .. } => {
                entry.unique = true;
                entry.primary_key = true;
                entry.columns = strings(columns);
            }
            ConstraintKind::ForeignKey(key) => {
                entry.foreign_key = true;
                entry.columns = strings(&key.columns);
            }
            ConstraintKind::Exclude { elements, .. } => {
                entry.columns = elements.iter().filter_map(|(element, _)| element_column(element)).collect();
            }
            ConstraintKind::NotNull { column, .. } => entry.columns = vec![column.to_string()],
        }
        entries.push(entry);
    }
    for index in &table.indexes {
        if entries.iter().any(|entry| index.name == *entry.name) {
            continue;
        }
        let mut columns: Vec<Option<String>> = index.elements.iter().map(element_column).collect();
        columns.extend(index.include.iter().map(|column| Some(column.to_string())));
        // A column of an expression is NULL there, which equals no column.
        let columns = columns.into_iter().map(Option::unwrap_or_default).collect();
        entries.push(Entry {
            columns,
            primary_key: index.primary,
            unique: index.unique,
            foreign_key: false,
            check: false,
            index: true,
            basic: index.method == "btree" && !index.name.as_str().ends_with("_btree") && index.options.is_empty(),
            name: index.name.to_string(),
        });
    }
    entries
}

fn element_column(element: &IndexElement) -> Option<String> {
    match &element.key {
        IndexKey::Column(column) => Some(column.to_string()),
        IndexKey::Expr(_) => None,
    }
}

impl Entry {
    fn fits(&self, query: &Query<'_>) -> bool {
        query.columns.is_none_or(|columns| {
            columns.len() == self.columns.len()
                && columns.iter().zip(&self.columns).all(|(left, right)| **left == **right)
        }) && query.unique.is_none_or(|unique| unique == self.unique)
            && query.primary_key.is_none_or(|primary_key| primary_key == self.primary_key)
            && query.index.is_none_or(|index| index == self.index)
            && query.check.is_none_or(|check| check == self.check)
            && (!query.foreign_key || self.foreign_key)
            && (!query.basic || self.basic)
            && !query.exclude.contains(&*self.name)
    }
}

//! The catalog at the end of a replay against the server's own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use zdm_django::Resolver;
use zdm_django::editor::PLACEHOLDER;
use zdm_django::operation::{Operation, OperationKind};
use zdm_django::state::{ModelKey, models_named};
use zdm_postgres::catalog::{Catalog, ConstraintKind, Table};
use zdm_postgres::deparse;
use zdm_postgres::name::QualifiedName;
use zdm_postgres::statement::{AlterTableAction, Statement};
use zdm_testkit::{OracleReport, compare, oracle};

use super::compare::Score;

/// Compares every table that the server has in the end, by what it says of it in its own words.
pub(crate) fn tables(report: &OracleReport, catalog: &Catalog, doubts: &Doubts, score: &mut Score) {
    let ours: BTreeMap<String, String> =
        catalog.tables().map(|table| (table.name.to_string(), of_catalog(table, catalog))).collect();
    let theirs: BTreeMap<String, String> =
        report.tables.iter().map(|(name, table)| (name.clone(), of_server(table))).collect();
    for (name, text) in &theirs {
        score.tables += 1;
        match ours.get(name) {
            Some(own) if own == text || equal_but_for_wildcards(text, own) => score.tables_equal += 1,
            _ if doubts.excuse(name, catalog) => score.excused.push(format!("table {name}")),
            Some(own) => {
                let only = |one: &str, other: &str, mark: char| -> String {
                    let missing = one.lines().filter(|line| !other.lines().any(|known| known == *line));
                    missing.fold(String::new(), |mut text, line| {
                        let _ = writeln!(text, "{mark} {line}");
                        text
                    })
                };
                let (server, ours) = (only(text, own, '-'), only(own, text, '+'));
                score.catalog_differences.push(format!("table {name}:\n{server}{ours}"));
            }
            None => score.catalog_differences.push(format!("table {name} is missing")),
        }
    }
    for name in ours.keys().filter(|name| !theirs.contains_key(*name)) {
        if doubts.excuse(name, catalog) {
            score.excused.push(format!("table {name}, which does not exist"));
        } else {
            score.catalog_differences.push(format!("table {name} does not exist"));
        }
    }
}

/// The same lines; what Python computes may be anything.
fn equal_but_for_wildcards(server: &str, ours: &str) -> bool {
    let ours = ours.replace(PLACEHOLDER, compare::WILDCARD);
    ours.contains(compare::WILDCARD)
        && ours.lines().count() == server.lines().count()
        && ours.lines().zip(server.lines()).all(|(ours, server)| {
            let quoted = ours.replace(compare::WILDCARD, &format!("'{}'", compare::WILDCARD));
            compare::matches(&quoted, server)
        })
}

/// What operations that were not analysed leave open.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    /// The models that they name, or all of their app where they name none.
    pub(crate) models: BTreeSet<ModelKey>,
    /// The tables that Django's statements for them made, renamed or dropped.
    pub(crate) touched: BTreeSet<String>,
}

impl Doubts {
    /// Enters an operation that was not analysed, and marks the tables of its models as uncertain in the catalog.
    pub(crate) fn enter<'o>(
        &mut self,
        app: &str,
        operation: &Operation,
        resolvers: [&Resolver<'_>; 2],
        executed: impl Iterator<Item = &'o oracle::Operation>,
        catalog: &mut Catalog,
    ) {
        let named = match &operation.kind {
            OperationKind::SeparateDatabaseAndState { .. } => Vec::new(),
            OperationKind::Unknown { possible, .. } if possible.is_empty() => Vec::new(),
            kind => models_named(kind),
        };
        for resolver in resolvers {
            let of_app = resolver.state.models().filter(|model| *model.app == *app);
            for model in of_app {
                if !named.is_empty() && !named.iter().any(|name| model.name.eq_ignore_ascii_case(name)) {
                    continue;
                }
                self.models.insert(model.key());
                let table = resolver.table(model).ok().and_then(|table| named_table(&table.replace('"', ""), catalog));
                if let Some(name) = table.map(|table| table.name.clone()) {
                    catalog.mark_uncertain(&name);
                }
            }
        }
        let statements = executed.flat_map(|executed| executed.statements.iter().chain(&executed.deferred));
        for statement in statements {
            self.touched.extend(zdm_sql::parse(&statement.sql).iter().flat_map(|parsed| moved(&parsed.statement)));
        }
    }

    /// Whether nothing is claimed of a table.
    fn excuse(&self, name: &str, catalog: &Catalog) -> bool {
        self.touched.contains(name) || named_table(name, catalog).is_some_and(|table| table.uncertain || table.assumed)
    }
}

/// The table of that name, with its schema where that is another than `public`.
fn named_table<'c>(name: &str, catalog: &'c Catalog) -> Option<&'c Table> {
    catalog.tables().find(|table| table.name.to_string() == name).map(|table| &**table)
}

/// The tables that a statement makes, renames or drops.
fn moved(statement: &Statement) -> Vec<String> {
    let names: Vec<&QualifiedName> = match statement {
        Statement::CreateTable(create) => vec![&create.name],
        Statement::Drop(drop) => drop.names.iter().collect(),
        Statement::AlterTable(alter) => {
            let renamed = alter.actions.iter().filter_map(|action| match action {
                AlterTableAction::RenameTo { name } => Some(name.to_string()),
                _ => None,
            });
            return renamed.chain([alter.name.to_string()]).collect();
        }
        _ => Vec::new(),
    };
    names.into_iter().map(ToString::to_string).collect()
}

fn of_catalog(table: &Table, catalog: &Catalog) -> String {
    let mut lines = Vec::new();
    for column in &table.columns {
        let default = column.generated.is_none().then(|| deparse::default(catalog, table, column)).flatten();
        lines.push(column_line(
            column.name.as_str(),
            &column.data_type.to_string(),
            !column.not_null,
            default.as_deref(),
        ));
    }
    let mut more = Vec::new();
    for constraint in &table.constraints {
        // A valid one says no more than the column's own NULL.
        if matches!(constraint.kind, ConstraintKind::NotNull { .. }) && constraint.valid {
            continue;
        }
        let definition = deparse::constraint(catalog, table, constraint);
        more.push(format!(
            "constraint {} {}: {definition} {}",
            constraint.name,
            constraint.kind.label(),
            constraint.valid
        ));
    }
    for index in &table.indexes {
        let definition = deparse::index(catalog, table, index);
        more.push(format!("index {}: {definition} {} {}", index.name, index.unique, index.valid));
    }
    for trigger in &table.triggers {
        more.push(format!("trigger {}", trigger.name));
        more.extend(trigger.constraint.as_ref().map(|constraint| {
            format!("constraint {constraint} trigger: {} true", deparse::constraint_trigger(trigger))
        }));
    }
    joined(&lines, more)
}

fn of_server(table: &oracle::Table) -> String {
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| {
            let default = column.default.as_deref().filter(|_| column.generated.is_none());
            column_line(&column.name, &column.data_type, column.null, default)
        })
        .collect();
    let mut more = Vec::new();
    for constraint in &table.constraints {
        let oracle::Constraint { name, kind, definition, valid } = constraint;
        more.push(format!("constraint {name} {kind}: {definition} {valid}"));
    }
    for index in &table.indexes {
        more.push(format!("index {}: {} {} {}", index.name, index.definition, index.unique, index.valid));
    }
    more.extend(table.triggers.iter().map(|trigger| format!("trigger {}", trigger.name)));
    joined(&columns, more)
}

fn column_line(name: &str, data_type: &str, null: bool, default: Option<&str>) -> String {
    let null = if null { "NULL" } else { "NOT NULL" };
    format!("column {name} {data_type} {null} DEFAULT {default:?}")
}

/// Columns in their order, the rest by name.
fn joined(lines: &[String], mut more: Vec<String>) -> String {
    more.sort();
    lines.iter().chain(&more).fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{line}");
        text
    })
}

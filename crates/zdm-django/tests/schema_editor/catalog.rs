//! The catalog at the end of a replay against the server's own.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use zdm_django::editor::PLACEHOLDER;
use zdm_postgres::catalog::{Catalog, ConstraintKind, Table};
use zdm_postgres::deparse;
use zdm_testkit::{OracleReport, compare, oracle};

use super::compare::Score;

/// Compares every table that the server has in the end, by what it says of it in its own words.
pub(crate) fn tables(report: &OracleReport, catalog: &Catalog, score: &mut Score) {
    let ours: BTreeMap<String, String> =
        catalog.tables().map(|table| (table.name.to_string(), of_catalog(table, catalog))).collect();
    let theirs: BTreeMap<String, String> =
        report.tables.iter().map(|(name, table)| (name.clone(), of_server(table))).collect();
    for (name, text) in &theirs {
        score.tables += 1;
        match ours.get(name) {
            Some(own) if own == text || equal_but_for_wildcards(text, own) => score.tables_equal += 1,
            // What an operation that was not analysed did to its app's tables is not known.
            _ if uncertain(name, score) => {}
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
        if !uncertain(name, score) {
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

fn uncertain(table: &str, score: &Score) -> bool {
    // The two apps of a wild history, and the tables that are named after its seed.
    let of_history = |app: &str| {
        let seed = app.strip_prefix('w').and_then(|rest| rest.strip_suffix(['a', 'b']));
        seed.is_some_and(|seed| {
            let apps = table.strip_prefix('w').and_then(|rest| rest.strip_prefix(seed));
            apps.is_some_and(|rest| rest.starts_with(['a', 'b'])) || table.contains(&format!("_{seed}_"))
        })
    };
    let app = |line: &&String| line.split_once('.').is_some_and(|(app, _)| table.starts_with(app) || of_history(app));
    score.not_analysed.iter().any(|line| app(&line))
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
    more.extend(table.triggers.iter().map(|trigger| format!("trigger {}", trigger.name)));
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

//! Rules that a table has of its own in the configuration: switched off, or of another severity.
//!
//! A finding is about the tables that its subject lists, else those that its message names. It is switched off where it is off
//! for all of them; of several severities the highest counts.

use std::sync::Arc;

use zdm_postgres::QualifiedName;
use zdm_replay::MigrationTrace;
use zdm_source::message::names;
use zdm_source::{Diagnostic, Suppressed, SuppressionKind};

use crate::config::{Config, Level};

pub(crate) fn apply(migration: &MigrationTrace, config: &Config, diagnostics: &mut [Diagnostic]) {
    if config.table_rules.is_empty() {
        return;
    }
    for diagnostic in diagnostics {
        let tables = tables_of(migration, diagnostic);
        let levels: Vec<Option<Level>> =
            tables.iter().map(|table| config.level_on(diagnostic.code.code, table)).collect();
        if levels.is_empty() || levels.iter().all(Option::is_none) {
            continue;
        }
        if levels.iter().all(|level| *level == Some(Level::Off)) {
            diagnostic.suppressed = Some(Suppressed { kind: SuppressionKind::Configuration, reason: None });
            continue;
        }
        let highest = levels.iter().filter_map(|level| match level {
            Some(Level::Severity(severity)) => Some(*severity),
            _ => None,
        });
        if let Some(highest) = highest.max() {
            diagnostic.severity = highest;
        }
    }
}

/// The tables that a finding is about: those of its subject, else those that its message names in backticks, by themselves or
/// with a column.
pub(crate) fn tables_of(migration: &MigrationTrace, diagnostic: &Diagnostic) -> Vec<Arc<str>> {
    if !diagnostic.subject.tables.is_empty() {
        return diagnostic.subject.tables.clone();
    }
    let mut found: Vec<QualifiedName> = Vec::new();
    for name in names(&diagnostic.message) {
        let parts: Vec<&str> = name.split('.').collect();
        let candidates = match parts.as_slice() {
            [table] => vec![QualifiedName::new(*table)],
            [first, second] => vec![QualifiedName::new(*first), QualifiedName::with_schema(*first, *second)],
            [schema, table, _] => vec![QualifiedName::with_schema(*schema, *table)],
            _ => Vec::new(),
        };
        for candidate in candidates {
            let known = migration.catalog_before.table(&candidate).is_some()
                || migration.catalog_after.table(&candidate).is_some();
            if known && !found.contains(&candidate) {
                found.push(candidate);
            }
        }
    }
    found.iter().map(|table| table.to_string().into()).collect()
}

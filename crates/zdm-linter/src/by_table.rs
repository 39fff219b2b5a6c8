//! Rules that a table has of its own in the configuration: switched off, or of another severity.
//!
//! A finding is about the tables that its message names. It is switched off where it is off for all of them; of several
//! severities the highest counts. Where it names some of many, it stays.

use zdm_postgres::QualifiedName;
use zdm_replay::MigrationTrace;
use zdm_source::{Diagnostic, Suppressed, SuppressionKind};

use crate::config::{Config, Level};

pub(crate) fn apply(migration: &MigrationTrace, config: &Config, diagnostics: &mut [Diagnostic]) {
    if config.table_rules.is_empty() {
        return;
    }
    for diagnostic in diagnostics {
        let tables = tables_of(migration, diagnostic);
        let levels: Vec<Option<Level>> =
            tables.iter().map(|table| config.level_on(diagnostic.code.code, &table.to_string())).collect();
        if levels.is_empty() || levels.iter().all(Option::is_none) {
            continue;
        }
        if levels.iter().all(|level| *level == Some(Level::Off)) && !names_some(&diagnostic.message) {
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

/// The message names some of many tables, as [`crate::context::name_list`] does.
fn names_some(message: &str) -> bool {
    message.split("` and ").skip(1).any(|rest| {
        let number = rest.bytes().take_while(u8::is_ascii_digit).count();
        number > 0 && rest[number..].starts_with(" more")
    })
}

/// The tables that a message names in backticks, by themselves or with a column.
fn tables_of(migration: &MigrationTrace, diagnostic: &Diagnostic) -> Vec<QualifiedName> {
    let mut found: Vec<QualifiedName> = Vec::new();
    for name in diagnostic.message.split('`').skip(1).step_by(2) {
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
    found
}

#[cfg(test)]
mod tests {
    use crate::context::name_list;

    use super::*;

    #[test]
    fn a_list_that_is_cut_is_told_from_a_whole_one() {
        for number in 1..20 {
            let names = name_list((0..number).map(|table| format!("shop_{table}")));
            let whole = names.matches("shop_").count() == number;
            assert_eq!(names_some(&format!("altering it also locks {names}: 2 more wait")), !whole, "{names}");
        }
        assert!(!names_some("`a` and `b` wait for 3 more"));
        assert!(!names_some("`a` and more"));
    }
}

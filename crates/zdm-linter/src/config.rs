//! Which rules run, how much they matter, and on what they report.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zdm_django::MigrationKey;
use zdm_source::{Severity, SourceFile, Span};

use crate::page::Page;

/// The linter's configuration, already checked: every selector names a rule.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// For every file that has no settings of its own.
    pub rules: RuleSet,
    /// By path of the migration's file.
    pub by_path: BTreeMap<String, Arc<RuleSet>>,
    /// Report only on these migrations; `None`: on all.
    pub only: Option<BTreeSet<MigrationKey>>,
    /// Migrations that are released together, as far as a release is known: the same old code runs while any of them is
    /// applied.
    pub together: Option<BTreeSet<MigrationKey>>,
    /// Report problems of the project only where they concern these files; `None`: all.
    pub only_paths: Option<BTreeSet<String>>,
    /// What is known of tables, first match wins.
    pub tables: Vec<(TablePattern, TableFacts)>,
    /// Rules that a table has of its own, first match wins.
    pub table_rules: Vec<(TablePattern, RuleSet)>,
    /// The tables that the configuration speaks of.
    pub named_tables: Vec<NamedTable>,
    /// Tables of at most so many rows are small: findings on them that only cost time become information.
    pub small_table_rows: Option<u64>,
}

/// A table or a pattern of tables that the configuration names, with its place there.
#[derive(Clone, Debug)]
pub struct NamedTable {
    pub pattern: TablePattern,
    pub file: SourceFile,
    pub span: Span,
}

/// What is said of rules, by code; a rule that is not named here is as its page says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSet(pub BTreeMap<&'static str, Level>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Off,
    /// On, with the severity of its page.
    On,
    Severity(Severity),
}

/// A table's name with `*` for any run of characters. As SQL quotes it, `"public"."shop_order"`, it is the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TablePattern(String);

impl TablePattern {
    pub fn new(text: &str) -> Self {
        Self(text.replace('"', ""))
    }

    /// Without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn matches(&self, name: &str) -> bool {
        let name = if name.contains('"') { Cow::Owned(name.replace('"', "")) } else { Cow::Borrowed(name) };
        // A table of the default schema is named without it.
        let without = self.0.strip_prefix("public.");
        let matches = |pattern: &str| matches_glob(pattern.as_bytes(), name.as_bytes());
        matches(&self.0) || without.is_some_and(matches)
    }
}

/// Linear in practice: one point to return to per `*`.
fn matches_glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut position) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while position < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at, position));
                at += 1;
            }
            Some(byte) if *byte == text[position] => {
                at += 1;
                position += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    at = star + 1;
                    position = from + 1;
                    retry = Some((star, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// What the configuration or a statistics file says of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TableFacts {
    pub rows: Option<u64>,
    /// Heap and indexes, in bytes.
    pub bytes: Option<u64>,
    pub hot: Option<bool>,
}

impl Config {
    fn rules_for(&self, path: &str) -> &RuleSet {
        self.by_path.get(path).map_or(&self.rules, |rules| rules)
    }

    /// Whether the rule runs on a file.
    pub fn is_enabled(&self, page: &Page, path: &str) -> bool {
        match self.rules_for(path).0.get(page.code.code) {
            Some(Level::Off) => false,
            Some(Level::On | Level::Severity(_)) => true,
            None => !page.optional,
        }
    }

    /// The severity that the user has set for a rule.
    pub fn own_severity(&self, page: &Page, path: &str) -> Option<Severity> {
        match self.rules_for(path).0.get(page.code.code) {
            Some(Level::Severity(severity)) => Some(*severity),
            _ => None,
        }
    }

    pub fn severity_of(&self, page: &Page, path: &str) -> Severity {
        self.own_severity(page, path).unwrap_or(page.severity)
    }

    pub fn facts(&self, table: &str) -> TableFacts {
        self.tables
            .iter()
            .find(|(pattern, _)| pattern.matches(table))
            .map_or_else(TableFacts::default, |(_, facts)| *facts)
    }

    /// What is said of a rule for a table.
    pub fn level_on(&self, code: &str, table: &str) -> Option<Level> {
        let (_, rules) = self.table_rules.iter().find(|(pattern, _)| pattern.matches(table))?;
        rules.0.get(code).copied()
    }

    pub fn reports(&self, key: &MigrationKey) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(key))
    }
}

/// Whether a selector (`ZDM101`, `ZDM1`, `index-not-concurrent`, `ALL`) means that rule.
pub fn selects(selector: &str, page: &Page) -> bool {
    selector == "ALL"
        || selector == page.code.name
        || (selector.starts_with("ZDM") && page.code.code.starts_with(selector))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        let matches = |pattern: &str, name: &str| TablePattern::new(pattern).matches(name);
        assert!(matches("public.shop_*", "shop_order") && !matches("audit.shop_*", "shop_order"));
        assert!(matches("shop_*", "shop_order"));
        assert!(matches("\"public\".\"shop_order\"", "shop_order") && matches("audit.\"Order\"", "audit.Order"));
        assert!(matches("*_order*", "shop_order_item"));
        assert!(matches("shop_order", "shop_order"));
        assert!(!matches("shop_order", "shop_order_item"));
        assert!(matches("*a*b", "aaab"));
        assert!(!matches("*a*b", "aaac"));
    }
}

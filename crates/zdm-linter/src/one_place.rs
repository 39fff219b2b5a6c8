//! One finding where a rule says the same of several things that one place does: an operation that Django carries out on many
//! tables, a loop that sends SQL or makes operations for each.
//!
//! What weighs most is told, the others are named behind it. Each was held against the configuration of its own table before.

use std::collections::BTreeMap;

use zdm_replay::MigrationTrace;
use zdm_source::{Diagnostic, Note, Severity, Span};

use crate::by_table::tables_of;
use crate::config::{Config, TableFacts};
use crate::context::estimate_together;
use crate::registry::find_rule;

/// What findings share that are told as one: the rule, the place, and the message but for the names in it.
type Place = (&'static str, Span, String);

pub(crate) fn merge(migration: &MigrationTrace, config: &Config, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut places: BTreeMap<Place, usize> = BTreeMap::new();
    let mut groups: Vec<Vec<Diagnostic>> = Vec::with_capacity(found.len());
    for diagnostic in found {
        // What is switched off is told by itself, and so is what has a fix of its own.
        if diagnostic.suppressed.is_some() || diagnostic.fix.is_some() {
            groups.push(vec![diagnostic]);
            continue;
        }
        let place = (diagnostic.code.code, diagnostic.primary.span, pattern(&diagnostic.message));
        let next = groups.len();
        let group = *places.entry(place).or_insert(next);
        match groups.get_mut(group) {
            Some(group) => group.push(diagnostic),
            None => groups.push(vec![diagnostic]),
        }
    }
    groups.into_iter().filter_map(|group| told_as_one(migration, config, group)).collect()
}

fn told_as_one(migration: &MigrationTrace, config: &Config, mut group: Vec<Diagnostic>) -> Option<Diagnostic> {
    if group.len() < 2 {
        return group.pop();
    }
    let facts: Vec<TableFacts> = group.iter().map(|found| facts_of(migration, config, found)).collect();
    let weight = |place: &usize| -> (Severity, bool, Option<u64>) {
        (group[*place].severity, facts[*place].hot == Some(true), facts[*place].rows)
    };
    // Of equal ones the first.
    let most = (0..group.len()).rev().max_by_key(weight)?;
    let mut told = group.remove(most);
    let mut names: Vec<&str> = Vec::new();
    for name in group.iter().filter_map(|other| other_name(&told.message, &other.message)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut more = Vec::new();
    let suffix = match names.as_slice() {
        [] => return Some(told),
        [name] => format!("; the same goes for `{name}`"),
        _ => {
            let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            more.push(Note::Fact(format!("the same goes for {}", listed.join(", "))));
            format!("; the same goes for {} more", names.len())
        }
    };
    let work = find_rule(told.code.code).and_then(|rule| rule.page.work).unwrap_or_default();
    if let Some(duration) = estimate_together(facts.iter().map(|facts| (*facts, work))) {
        let all = if facts.len() == 2 { "both".to_owned() } else { format!("all {}", facts.len()) };
        more.push(Note::Fact(format!("{all} together take about {duration}")));
    }
    told.message.push_str(&suffix);
    let end = told.notes.iter().position(|note| !matches!(note, Note::Fact(_))).unwrap_or(told.notes.len());
    told.notes.splice(end..end, more);
    Some(told)
}

/// What is known of the table that a finding names first; hot where any of them is.
fn facts_of(migration: &MigrationTrace, config: &Config, found: &Diagnostic) -> TableFacts {
    let tables = tables_of(migration, found);
    let first = tables.first().map(|table| config.facts(table)).unwrap_or_default();
    let hot = tables.iter().any(|table| config.facts(table).hot == Some(true));
    TableFacts { hot: if hot { Some(true) } else { first.hot }, ..first }
}

/// The names that a message has in backticks.
fn names(message: &str) -> impl Iterator<Item = &str> {
    message.split('`').skip(1).step_by(2)
}

/// A message without its names.
fn pattern(message: &str) -> String {
    message.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// What a message of the same pattern names in place of what `told` does.
fn other_name<'a>(told: &str, other: &'a str) -> Option<&'a str> {
    let of_told: Vec<&str> = names(told).collect();
    let new = names(other).find(|name| !of_told.contains(name));
    new.or_else(|| names(other).zip(of_told).find(|(name, told)| name != told).map(|(name, _)| name))
}

//! One finding where a rule says the same of several things that one place does: an operation that Django carries out on many
//! tables, a loop over models, or one that sends SQL or makes operations for each.
//!
//! Rules tell of each thing by itself. What they say alike is told once, of what weighs most; the others are named behind it,
//! and all are in [`zdm_source::Subject::things`]. Each was held against the configuration of its own table before.

use std::collections::BTreeMap;
use std::sync::Arc;

use zdm_replay::MigrationTrace;
use zdm_source::message::{names, wording};
use zdm_source::{Diagnostic, Note, Severity, Span};

use crate::by_table::tables_of;
use crate::config::{Config, TableFacts};
use crate::context::estimate_together;
use crate::registry::find_rule;

/// What findings share that are told as one: the rule, the place, and what they say, whatever of.
type Place = (&'static str, Span, String);

pub(crate) fn merge(migration: &MigrationTrace, config: &Config, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut places: BTreeMap<Place, Vec<usize>> = BTreeMap::new();
    let mut groups: Vec<Vec<Diagnostic>> = Vec::with_capacity(found.len());
    for diagnostic in found {
        // What is switched off is told by itself.
        if diagnostic.suppressed.is_some() {
            groups.push(vec![diagnostic]);
            continue;
        }
        let place = (diagnostic.code.code, diagnostic.primary.span, wording(&diagnostic.message));
        let of_place = places.entry(place).or_default();
        // And so is what has a fix of its own.
        let same_fix = |group: &&usize| groups[**group].first().is_some_and(|first| first.fix == diagnostic.fix);
        if let Some(group) = of_place.iter().find(same_fix) {
            groups[*group].push(diagnostic);
        } else {
            of_place.push(groups.len());
            groups.push(vec![diagnostic]);
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
    let mut others: Vec<&str> = Vec::new();
    for name in group.iter().filter_map(|other| own_name(&other.message, &told.message)) {
        if !others.contains(&name) {
            others.push(name);
        }
    }
    let Some(own) = group.iter().find_map(|other| own_name(&told.message, &other.message)) else { return Some(told) };
    let things = std::iter::once(own).chain(others.iter().copied()).map(Arc::from).collect();
    let mut more = Vec::new();
    let suffix = match others.as_slice() {
        [] => return Some(told),
        [name] => format!("; the same goes for `{name}`"),
        _ => {
            let listed: Vec<String> = others.iter().map(|name| format!("`{name}`")).collect();
            more.push(Note::Fact(format!("the same goes for {}", listed.join(", "))));
            format!("; the same goes for {} more", others.len())
        }
    };
    let work = find_rule(told.code.code).and_then(|rule| rule.page.work).unwrap_or_default();
    if let Some(duration) = estimate_together(facts.iter().map(|facts| (*facts, work))) {
        let all = if facts.len() == 2 { "both".to_owned() } else { format!("all {}", facts.len()) };
        more.push(Note::Fact(format!("{all} together take about {duration}")));
    }
    told.message.push_str(&suffix);
    told.subject.things = things;
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

/// The first name that a message has and another of the same wording has not.
fn own_name<'a>(message: &'a str, other: &str) -> Option<&'a str> {
    let of_other: Vec<&str> = names(other).collect();
    let new = names(message).find(|name| !of_other.contains(name));
    new.or_else(|| names(message).zip(of_other).find(|(name, other)| name != other).map(|(name, _)| name))
}

//! The bounds of partitions: their text read, and held to each other and to what constraints say of the rows.

use super::{Step, refuse};
use crate::constant::{Constant, Kind};
use crate::expr::ExprNode;
use crate::name::{Ident, QualifiedName};
use crate::proof::{KeyColumn, Literal};
use crate::statement::PartitionBy;

/// A bound as far as literals make it up.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bound {
    /// From (inclusive) and to (exclusive).
    Range(Vec<Edge>, Vec<Edge>),
    /// The values, and whether NULL is one of them.
    List(Vec<Literal>, bool),
    /// Modulus and remainder.
    Hash(u32, u32),
    Unknown,
}

/// One column's part of an edge of a range.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Edge {
    /// MINVALUE.
    Least,
    Value(Literal),
    /// MAXVALUE.
    Greatest,
}

impl Edge {
    pub(super) const fn value(&self) -> Option<&Literal> {
        match self {
            Self::Value(literal) => Some(literal),
            Self::Least | Self::Greatest => None,
        }
    }

    pub(super) const fn rank(&self) -> i8 {
        match self {
            Self::Least => -1,
            Self::Value(_) => 0,
            Self::Greatest => 1,
        }
    }
}

/// 42P16 where a bound is one of another strategy.
pub(super) fn check_form(partition_by: &PartitionBy, text: &str) -> Step {
    let strategy = partition_by.strategy.to_ascii_lowercase();
    let upper = text.to_ascii_uppercase();
    let mut words = upper.split_whitespace().skip(2);
    let form = match words.next().unwrap_or("") {
        word if word.starts_with("IN") => "list",
        word if word.starts_with("WITH") => "hash",
        _ => "range",
    };
    if form == strategy {
        return Ok(());
    }
    refuse("42P16", format!("invalid bound specification for a {strategy} partition"))
}

/// How an edge stands to another one, column by column (`partition_rbound_cmp`); `None` where literals do not tell.
fn range_order(from: &[Edge], to: &[Edge], kinds: &[Kind]) -> Option<std::cmp::Ordering> {
    for (place, (from, to)) in from.iter().zip(to).enumerate() {
        let order = match (from, to) {
            (Edge::Value(from), Edge::Value(to)) => {
                let kind = kinds.get(place)?;
                kind.assigned(from)?.order(&kind.assigned(to)?)?
            }
            _ => from.rank().cmp(&to.rank()),
        };
        if order.is_ne() {
            return Some(order);
        }
    }
    Some(std::cmp::Ordering::Equal)
}

/// `transformPartitionBound`: as many values as the key has columns, and none that is no constant.
pub(super) fn check_items(text: &str, columns: usize) -> Step {
    let edges = range_items(text);
    if let Some((from, to)) = &edges {
        for (word, items) in [("FROM", from), ("TO", to)] {
            if items.len() != columns {
                return refuse("42P16", format!("{word} must specify exactly one value per partitioning column"));
            }
        }
    }
    let ranged = edges.is_some();
    let items = edges.map(|(from, to)| [from, to].concat()).or_else(|| items_after(text, "IN"));
    for item in items.unwrap_or_default() {
        if is_column_reference(&item) {
            return refuse("0A000", "cannot use column reference in partition bound expression");
        }
        if ranged && item.eq_ignore_ascii_case("null") {
            return refuse("42P17", "cannot specify NULL in range bound");
        }
    }
    Ok(())
}

/// Whether names alone are written, and none that the grammar keeps for itself.
fn is_column_reference(item: &str) -> bool {
    const RESERVED: [&str; 16] = [
        "null",
        "true",
        "false",
        "minvalue",
        "maxvalue",
        "current_catalog",
        "current_date",
        "current_role",
        "current_schema",
        "current_time",
        "current_timestamp",
        "current_user",
        "localtime",
        "localtimestamp",
        "session_user",
        "user",
    ];
    let lower = item.to_ascii_lowercase();
    lower.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && lower.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
        && !RESERVED.contains(&lower.as_str())
}

/// `validateInfiniteBounds`
pub(super) fn check_infinite(edge: &[Edge]) -> Step {
    let endless = edge.iter().position(|edge| edge.value().is_none());
    match endless.and_then(|place| edge.get(place..)?.split_first()) {
        Some((first, rest)) if rest.iter().any(|other| other.rank() != first.rank()) => {
            let word = if *first == Edge::Least { "MINVALUE" } else { "MAXVALUE" };
            refuse("42804", format!("every bound following {word} must also be {word}"))
        }
        _ => Ok(()),
    }
}

/// What a bound says by itself: it has room for a row.
pub(super) fn check_extent(bound: &Bound, kinds: &[Kind], name: &QualifiedName) -> Step {
    match bound {
        Bound::Range(from, to) if range_order(from, to, kinds).is_some_and(std::cmp::Ordering::is_ge) => {
            return refuse("42P17", format!("empty range bound specified for partition \"{}\"", name.name));
        }
        Bound::Hash(0, _) => {
            return refuse("42P16", "modulus for hash partition must be an integer value greater than zero");
        }
        Bound::Hash(modulus, remainder) if remainder >= modulus => {
            return refuse("42P16", "remainder for hash partition must be less than modulus");
        }
        _ => {}
    }
    Ok(())
}

/// Whether two bounds of one strategy share a value, as far as literals tell.
pub(super) fn overlap(left: &Bound, right: &Bound, kinds: &[Kind]) -> bool {
    match (left, right) {
        (Bound::Range(from, to), Bound::Range(other_from, other_to)) => {
            let below = |from, to| range_order(from, to, kinds).is_some_and(std::cmp::Ordering::is_lt);
            below(from, other_to) && below(other_from, to)
        }
        (Bound::Hash(modulus, remainder), Bound::Hash(other, other_remainder)) => {
            let shared = (*modulus).min(*other);
            shared != 0 && remainder % shared == other_remainder % shared
        }
        (Bound::List(values, with_null), Bound::List(others, other_null)) => {
            let kind = kinds.first().unwrap_or(&Kind::Other);
            let constants =
                |values: &[Literal]| values.iter().filter_map(|value| kind.assigned(value)).collect::<Vec<_>>();
            let others = constants(others);
            let same = |one: &Constant| others.iter().any(|other| one.order(other) == Some(std::cmp::Ordering::Equal));
            (*with_null && *other_null) || constants(values).iter().any(same)
        }
        _ => false,
    }
}

pub(super) fn fits(facts: &[&ExprNode], not_null: &dyn Fn(&Ident) -> bool, key: &KeyColumn<'_>, bound: &Bound) -> bool {
    match bound {
        Bound::Range(from, to) => {
            let ([from], [to]) = (from.as_slice(), to.as_slice()) else { return false };
            not_null(key.column)
                && from.value().is_none_or(|from| key.at_least(facts, from))
                && to.value().is_none_or(|to| key.below(facts, to))
        }
        Bound::List(values, with_null) => (*with_null || not_null(key.column)) && key.one_of(facts, values),
        Bound::Hash(..) | Bound::Unknown => false,
    }
}

/// The values in the parentheses behind a word, each as written.
fn items_after(text: &str, word: &str) -> Option<Vec<String>> {
    let start = text.to_ascii_uppercase().find(word)?;
    let open = start + text.get(start..)?.find('(')?;
    let mut items = vec![String::new()];
    let mut quoted = false;
    let mut depth = 0_u32;
    for character in text.get(open + 1..)?.chars() {
        match character {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted && depth == 0 => return Some(items.iter().map(|item| item.trim().to_owned()).collect()),
            ')' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                items.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(item) = items.last_mut() {
            item.push(character);
        }
    }
    None
}

/// The values of `FROM (…) TO (…)`.
fn range_items(text: &str) -> Option<(Vec<String>, Vec<String>)> {
    Some((items_after(text, "FROM")?, items_after(text, "TO ").or_else(|| items_after(text, "TO("))?))
}

/// `FOR VALUES FROM (…) TO (…)` or `FOR VALUES IN (…)`, as far as it consists of literals.
pub(super) fn read_bound(text: &str) -> Bound {
    let literal = |item: &String| -> Option<Literal> {
        let (item, cast) = item.split_once("::").unwrap_or((item, ""));
        // What stands behind a cast makes another value of it.
        let item = item.trim();
        if cast.contains(|character: char| !(character.is_ascii_alphanumeric() || "_ .()[]\"".contains(character))) {
            return None;
        }
        if let Some(inner) = item.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
            let plain = inner.replace("''", "");
            return (!plain.contains('\'')).then(|| Literal::Text(inner.replace("''", "'")));
        }
        item.parse().ok().map(Literal::Number)
    };
    let edge = |items: &[String]| -> Option<Vec<Edge>> {
        items
            .iter()
            .map(|item| match item.to_ascii_uppercase().as_str() {
                "MINVALUE" => Some(Edge::Least),
                "MAXVALUE" => Some(Edge::Greatest),
                _ => literal(item).map(Edge::Value),
            })
            .collect()
    };
    if let Some((from, to)) = range_items(text) {
        return match (edge(&from), edge(&to)) {
            (Some(from), Some(to)) => Bound::Range(from, to),
            _ => Bound::Unknown,
        };
    }
    if let Some(items) = items_after(text, "WITH") {
        let number = |word: &str| {
            let item = items
                .iter()
                .find(|item| item.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)))?;
            item.get(word.len()..)?.trim().parse().ok()
        };
        return match (number("MODULUS"), number("REMAINDER")) {
            (Some(modulus), Some(remainder)) => Bound::Hash(modulus, remainder),
            _ => Bound::Unknown,
        };
    }
    if let Some(items) = items_after(text, "IN") {
        let with_null = items.iter().any(|item| item.eq_ignore_ascii_case("null"));
        let values: Option<Vec<Literal>> =
            items.iter().filter(|item| !item.eq_ignore_ascii_case("null")).map(literal).collect();
        return values.map_or(Bound::Unknown, |values| Bound::List(values, with_null));
    }
    Bound::Unknown
}

//! The names that the server chooses for what the user left unnamed.
//!
//! The rules are those of the server's `makeObjectName`, `ChooseRelationName`, `ChooseConstraintName` and
//! `ChooseIndexName`: parts joined by `_`, the longer of the two name parts shortened until everything fits into
//! 63 bytes, and `1`, `2`, … appended to the label until the name is free.

use crate::catalog::Catalog;
use crate::expr::ExprNode;
use crate::name::{Ident, MAX_IDENTIFIER_BYTES, QualifiedName, truncate_bytes};
use crate::statement::{IndexElement, IndexKey};
use crate::version::PgVersion;

/// `name1_name2_label`, shortened to 63 bytes as the server does it: bytes are taken from the longer of the two names.
pub fn object_name(name1: &str, name2: Option<&str>, label: Option<&str>) -> Ident {
    let overhead = label.map_or(0, |label| label.len() + 1) + usize::from(name2.is_some());
    let available = MAX_IDENTIFIER_BYTES.saturating_sub(overhead);
    let mut length1 = name1.len();
    let mut length2 = name2.map_or(0, str::len);
    while length1 + length2 > available {
        if length1 > length2 {
            length1 -= 1;
        } else {
            length2 = length2.saturating_sub(1);
        }
    }
    let mut name = truncate_bytes(name1, length1).to_owned();
    if let Some(name2) = name2 {
        name.push('_');
        name.push_str(truncate_bytes(name2, length2));
    }
    if let Some(label) = label {
        name.push('_');
        name.push_str(label);
    }
    Ident::new(name)
}

/// The first free name of the form `name1_name2_label`, `name1_name2_label1`, …
fn choose(name1: &str, name2: Option<&str>, label: &str, taken: impl Fn(&Ident) -> bool) -> Ident {
    let mut numbered = label.to_owned();
    let mut pass: u32 = 0;
    loop {
        let name = object_name(name1, name2, Some(&numbered));
        if !taken(&name) || pass == u32::MAX {
            return name;
        }
        pass += 1;
        numbered = format!("{label}{pass}");
    }
}

/// A free name for a relation in the schema of `table`; for the index of a constraint the constraints' names count too.
pub(crate) fn relation_name(
    catalog: &Catalog,
    table: &QualifiedName,
    addition: Option<&str>,
    label: &str,
    constraint: bool,
) -> QualifiedName {
    let name = choose(table.name.as_str(), addition, label, |name| {
        catalog.relation(&table.sibling(name.clone())).is_some()
            || (constraint && catalog.has_constraint_name(table.schema.as_ref(), name))
    });
    table.sibling(name)
}

/// A free name for statistics of `table` (`ChooseExtendedStatisticName`).
pub(crate) fn statistics_name(catalog: &Catalog, table: &QualifiedName, addition: &str) -> QualifiedName {
    let name = choose(table.name.as_str(), Some(addition), "stat", |name| {
        catalog.statistics.contains_key(&table.sibling(name.clone()))
    });
    table.sibling(name)
}

/// A free name for a constraint of `table`; `more` are names given in the same statement and not yet in the catalog.
pub(crate) fn constraint_name(
    catalog: &Catalog,
    table: &QualifiedName,
    addition: Option<&str>,
    label: &str,
    more: &[Ident],
) -> Ident {
    choose(table.name.as_str(), addition, label, |name| {
        more.contains(name) || catalog.has_constraint_name(table.schema.as_ref(), name)
    })
}

/// A free name for a constraint beside one of a name that is taken (18).
pub(crate) fn numbered_constraint_name(catalog: &Catalog, table: &QualifiedName, taken: &Ident) -> Ident {
    let mut number: u32 = 1;
    loop {
        let name = object_name(taken.as_str(), None, Some(&number.to_string()));
        if !catalog.has_constraint_name(table.schema.as_ref(), &name) || number == u32::MAX {
            return name;
        }
        number += 1;
    }
}

/// The columns' part of a chosen name: joined by `_`, no longer than one identifier needs.
pub(crate) fn columns_part<'a>(columns: impl IntoIterator<Item = &'a str>) -> String {
    let mut joined = String::new();
    for column in columns {
        if !joined.is_empty() {
            joined.push('_');
        }
        joined.push_str(column);
        if joined.len() > MAX_IDENTIFIER_BYTES {
            break;
        }
    }
    joined
}

/// The names of an index's own columns: the column's, for an expression its function's, else `expr`; made unique by numbers.
pub(crate) fn index_column_names(elements: &[IndexElement], include: &[Ident], version: PgVersion) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let originals = elements
        .iter()
        .map(|element| match &element.key {
            IndexKey::Column(column) => column.as_str().to_owned(),
            IndexKey::Expr(expr) => {
                figure_name(&expr.node, version).map_or_else(|| "expr".to_owned(), |(name, _)| name)
            }
        })
        .chain(include.iter().map(|column| column.as_str().to_owned()));
    for original in originals {
        let mut name = original.clone();
        let mut number: u32 = 0;
        while names.contains(&name) && number < u32::MAX {
            number += 1;
            let suffix = number.to_string();
            let kept = truncate_bytes(&original, MAX_IDENTIFIER_BYTES.saturating_sub(suffix.len()));
            name = format!("{kept}{suffix}");
        }
        names.push(name);
    }
    names
}

/// The name of an output column without AS, with its strength: 2 from a column or function, 1 from a cast.
pub(crate) fn figure_name(node: &ExprNode, version: PgVersion) -> Option<(String, u8)> {
    match node {
        ExprNode::Column { name, .. } => Some((name.as_str().to_owned(), 2)),
        ExprNode::Call { function, args, keyword } => {
            if *keyword && args.is_empty() {
                return Some((function.name.as_str().to_ascii_lowercase(), 2));
            }
            let name = function.name.as_str();
            let name = if name == "extract" && !version.at_least(14) { "date_part" } else { name };
            Some((name.to_owned(), 2))
        }
        ExprNode::Cast { expr, data_type } => match figure_name(expr, version) {
            Some((name, strength)) if strength > 1 => Some((name, strength)),
            _ => Some((data_type.name.name.as_str().to_owned(), 1)),
        },
        ExprNode::Collate { expr, .. } | ExprNode::Subscript { expr, .. } => figure_name(expr, version),
        // A slice.
        ExprNode::Other { text, parts, words: false, .. } if text.ends_with(']') => {
            figure_name(parts.first()?, version)
        }
        ExprNode::Infix { operator, .. } if operator == "OVERLAPS" => Some(("overlaps".to_owned(), 2)),
        ExprNode::AtTimeZone { .. } => Some(("timezone".to_owned(), 2)),
        ExprNode::Case { otherwise, .. } => {
            match otherwise.as_deref().and_then(|otherwise| figure_name(otherwise, version)) {
                Some((name, strength)) if strength > 1 => Some((name, strength)),
                _ => Some(("case".to_owned(), 1)),
            }
        }
        ExprNode::Field { name, .. } => Some((name.as_str().to_owned(), 2)),
        ExprNode::Other { text, parts, .. } => called(text, parts).map(|name| (name, 2)),
        ExprNode::Array(_) => Some(("array".to_owned(), 2)),
        ExprNode::Row(_) => Some(("row".to_owned(), 2)),
        _ => None,
    }
}

/// The function's name in an aggregate with DISTINCT, ORDER BY or FILTER, and in a call of a window function.
fn called(text: &str, parts: &[ExprNode]) -> Option<String> {
    let Some(ExprNode::Call { function, .. }) = parts.first() else { return None };
    let name = function.name.as_str();
    let lower = text.trim().to_ascii_lowercase();
    let arguments = lower.strip_prefix(name)?.trim_start();
    let mut depth = 0_usize;
    let end = arguments.char_indices().find_map(|(at, character)| {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        (depth == 0).then_some(at + 1)
    })?;
    let behind = arguments.get(end..)?.trim_start();
    let whole = arguments.starts_with('(')
        && (behind.is_empty() || ["filter", "within", "over"].iter().any(|word| behind.starts_with(word)));
    whole.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_lose_bytes_from_the_longer_part() {
        let table = "a".repeat(60);
        let name = object_name(&table, Some("customer_id"), Some("key"));
        assert_eq!(name.as_str(), format!("{}_customer_id_key", "a".repeat(47)));
        assert_eq!(name.as_str().len(), 63);
        assert_eq!(object_name("t", None, Some("pkey")).as_str(), "t_pkey");
    }

    #[test]
    fn whole_characters_are_kept() {
        let name = object_name(&"é".repeat(40), Some("x"), Some("seq"));
        assert!(name.as_str().len() <= 63);
        assert!(name.as_str().ends_with("_x_seq"));
    }
}

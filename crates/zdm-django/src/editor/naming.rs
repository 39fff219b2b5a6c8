//! Names that the schema editor makes: quoted, hashed, truncated.
//!
//! Lengths count characters as Django does, not bytes as the server does; a name beyond 63 bytes is truncated by the
//! server all the same.

use std::fmt::Write as _;

use md5::{Digest as _, Md5};

/// Django's `DatabaseOperations.max_name_length()` for PostgreSQL.
const MAX_NAME_LENGTH: usize = 63;

/// `"name"`; a name that is quoted already stays as it is, so that `schema"."table` can be written in `db_table`.
pub fn quote_name(name: &str) -> String {
    if name.len() > 1 && name.starts_with('"') && name.ends_with('"') {
        return name.to_owned();
    }
    format!("\"{name}\"")
}

/// The first `length` hexadecimal digits of the MD5 of the parts in a row.
pub fn names_digest(parts: &[&str], length: usize) -> String {
    let mut hasher = Md5::new();
    for part in parts {
        hasher.update(part.as_bytes());
    }
    let mut text = String::with_capacity(32);
    for byte in hasher.finalize() {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.truncate(length);
    text
}

/// Splits `schema"."name` into its parts, quotes stripped.
pub fn split_identifier(identifier: &str) -> (&str, &str) {
    let mut parts = identifier.split("\".\"");
    let (namespace, name) = match (parts.next(), parts.next(), parts.next()) {
        (Some(namespace), Some(name), None) => (namespace, name),
        _ => ("", identifier),
    };
    (namespace.trim_matches('"'), name.trim_matches('"'))
}

/// The outer quotes of a name, if it has them.
pub fn strip_quotes(name: &str) -> &str {
    name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name)
}

/// A table name of at most 63 characters: a longer one ends in four digits of its hash.
pub fn truncate_table_name(identifier: &str) -> String {
    const HASH_LENGTH: usize = 4;
    let (namespace, name) = split_identifier(identifier);
    if name.chars().count() <= MAX_NAME_LENGTH {
        return identifier.to_owned();
    }
    let digest = names_digest(&[name], HASH_LENGTH);
    let namespace = if namespace.is_empty() { String::new() } else { format!("{namespace}\".\"") };
    format!("{namespace}{}{digest}", prefix(name, MAX_NAME_LENGTH - HASH_LENGTH))
}

/// The name of an index or a constraint: table, columns, hash and suffix within 63 characters.
pub fn create_index_name<S: AsRef<str>>(table: &str, columns: &[S], suffix: &str) -> String {
    let (_, table) = split_identifier(table);
    let mut parts = vec![table];
    parts.extend(columns.iter().map(AsRef::as_ref));
    let mut hash_suffix = format!("{}{suffix}", names_digest(&parts, 8));
    let columns = parts[1..].join("_");
    let name = format!("{table}_{columns}_{hash_suffix}");
    if name.chars().count() <= MAX_NAME_LENGTH {
        return name;
    }
    if hash_suffix.chars().count() > MAX_NAME_LENGTH / 3 {
        hash_suffix = prefix(&hash_suffix, MAX_NAME_LENGTH / 3).to_owned();
    }
    let other_length = ((MAX_NAME_LENGTH - hash_suffix.chars().count()) / 2).saturating_sub(1);
    let mut name = format!("{}_{}_{hash_suffix}", prefix(table, other_length), prefix(&columns, other_length));
    if name.starts_with(|first: char| first == '_' || first.is_numeric()) {
        name.pop();
        name.insert(0, 'D');
    }
    name
}

/// The first `length` characters.
pub(crate) fn prefix(text: &str, length: usize) -> &str {
    text.char_indices().nth(length).map_or(text, |(end, _)| text.get(..end).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Django 5.2 answers.
    #[test]
    fn names_equal_djangos() {
        assert_eq!(create_index_name("shop_order", &["customer_id"], ""), "shop_order_customer_id_f638df20");
        assert_eq!(create_index_name("shop_order", &["a", "b"], "_uniq"), "shop_order_a_b_f3cc0da1_uniq");
        assert_eq!(
            create_index_name(&"t".repeat(60), &["c".repeat(60)], "_fk_x_id"),
            "tttttttttttttttttttttt_cccccccccccccccccccccc_0a512336_fk_x_id"
        );
        assert_eq!(truncate_table_name(&"x".repeat(70)), format!("{}{}", "x".repeat(59), "7d56"));
    }

    #[test]
    fn schemas_in_table_names() {
        assert_eq!(split_identifier("audit\".\"log"), ("audit", "log"));
        assert_eq!(quote_name("audit\".\"log"), "\"audit\".\"log\"");
        assert_eq!(quote_name("\"Log\""), "\"Log\"");
    }
}

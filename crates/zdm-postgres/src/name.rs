//! Identifiers, qualified names, and quoting.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The longest identifier in bytes: `NAMEDATALEN - 1` (PostgreSQL manual, "Identifiers and Key Words").
pub const MAX_IDENTIFIER_BYTES: usize = 63;

/// An identifier as the server stores it: unquoted spelling folded to lower case, quotes removed, not truncated.
///
/// Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ident(Arc<str>);

impl Ident {
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the server keeps of it: the longest prefix of whole characters within 63 bytes.
    pub fn truncated(&self) -> Self {
        if self.0.len() <= MAX_IDENTIFIER_BYTES {
            return self.clone();
        }
        Self::new(truncate_bytes(&self.0, MAX_IDENTIFIER_BYTES))
    }
}

/// The longest prefix of `text` of at most `limit` bytes that ends on a character boundary.
pub fn truncate_bytes(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

impl fmt::Debug for Ident {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, formatter)
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<&str> for Ident {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Ident {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl std::borrow::Borrow<str> for Ident {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Ident {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Ident {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

/// A name with its schema where one was written.
///
/// In the catalog the default schema (`public`) is stored as `None`, so that `shop_order` and `public.shop_order`
/// are one relation. How a statement wrote a name without another schema decides where it is looked for, and nothing
/// else: it takes no part in comparisons.
#[derive(Clone)]
pub struct QualifiedName {
    pub schema: Option<Ident>,
    pub name: Ident,
    pub(crate) written: Written,
}

/// How a statement wrote a name whose schema is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// The catalog's own name.
    Not,
    /// Without a schema: the search path says where it is.
    Bare,
    /// With the default schema: the search path does not matter.
    Default,
}

impl QualifiedName {
    pub fn new(name: impl Into<Ident>) -> Self {
        Self { schema: None, name: name.into(), written: Written::Not }
    }

    pub fn with_schema(schema: impl Into<Ident>, name: impl Into<Ident>) -> Self {
        let schema = schema.into();
        let schema = (schema != "public").then_some(schema);
        Self { schema, ..Self::new(name) }
    }

    /// As a statement writes it.
    pub fn as_written(schema: Option<Ident>, name: impl Into<Ident>) -> Self {
        let written = if schema.is_some() { Written::Default } else { Written::Bare };
        let name = match schema {
            Some(schema) => Self::with_schema(schema, name),
            None => Self::new(name),
        };
        Self { written, ..name }
    }

    /// The same schema with another name: where a table's indexes and sequences live.
    pub fn sibling(&self, name: impl Into<Ident>) -> Self {
        Self { schema: self.schema.clone(), name: name.into(), written: self.written }
    }
}

impl PartialEq for QualifiedName {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.schema == other.schema
    }
}

impl Eq for QualifiedName {}

impl PartialOrd for QualifiedName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for QualifiedName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.schema.cmp(&other.schema).then_with(|| self.name.cmp(&other.name))
    }
}

impl Hash for QualifiedName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.schema.hash(state);
        self.name.hash(state);
    }
}

#[expect(clippy::missing_fields_in_debug, reason = "how it was written takes no part in what it is")]
impl fmt::Debug for QualifiedName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("QualifiedName").field("schema", &self.schema).field("name", &self.name).finish()
    }
}

/// As the reports name a relation: no quotes, schema only where it is not the default one.
impl fmt::Display for QualifiedName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(formatter, "{schema}.")?;
        }
        write!(formatter, "{}", self.name)
    }
}

impl From<&str> for QualifiedName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// `"name"`, always quoted, as Django's schema editor writes it (an already quoted name stays as it is there, not here).
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `'text'` as a standard-conforming string literal, or `E'…'` where it holds a backslash (as `quote_literal()` does).
pub fn quote_literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') { format!("E'{}'", doubled.replace('\\', "\\\\")) } else { format!("'{doubled}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncation_keeps_whole_characters() {
        let name = Ident::new(format!("{}é", "a".repeat(62)));
        assert_eq!(name.truncated().as_str(), "a".repeat(62));
    }

    #[test]
    fn public_is_the_default_schema() {
        assert_eq!(QualifiedName::with_schema("public", "t"), QualifiedName::new("t"));
        assert_eq!(QualifiedName::with_schema("audit", "t").to_string(), "audit.t");
    }

    #[test]
    fn quoting() {
        assert_eq!(quote_identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal("a\\b"), "E'a\\\\b'");
    }
}

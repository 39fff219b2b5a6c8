//! Identifiers, literals and expressions of runtime SQL.
//!
//! SQL text of the runtime is put together from these types alone, so that no name can end the statement it stands in.
//! `Display` renders SQL; the plain text for people is behind [`Ident::as_str`].

use std::fmt;

use thiserror::Error;

/// `NAMEDATALEN - 1` of a standard build: longer names would be cut by the server and mean another object.
const MAX_IDENTIFIER_BYTES: usize = 63;

/// One name, unquoted as in the catalog. Renders quoted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ident(String);

/// Why a text cannot stand in runtime SQL.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    #[error("a name is empty")]
    Empty,
    #[error("a name contains a zero byte")]
    ZeroByte,
    #[error("the name `{0}` is longer than 63 bytes, PostgreSQL's limit")]
    TooLong(String),
    #[error("`{0}` is not a name")]
    Malformed(String),
    #[error("the expression is empty")]
    EmptyExpression,
    #[error("the expression has an unbalanced `{0}`")]
    Unbalanced(char),
    #[error("the expression contains `;`")]
    Semicolon,
    #[error("the expression has an unterminated {0}")]
    Unterminated(&'static str),
}

impl Ident {
    /// # Errors
    /// When the name is empty, longer than 63 bytes or contains a zero byte.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.contains('\0') {
            return Err(NameError::ZeroByte);
        }
        if name.len() > MAX_IDENTIFIER_BYTES {
            return Err(NameError::TooLong(name));
        }
        Ok(Self(name))
    }

    /// The name without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&zdm_postgres::name::quote_identifier(&self.0))
    }
}

/// A relation with its schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QualifiedName {
    pub schema: Ident,
    pub name: Ident,
}

impl QualifiedName {
    pub fn new(schema: Ident, name: Ident) -> Self {
        Self { schema, name }
    }

    /// `schema.name` for messages.
    pub fn plain(&self) -> String {
        format!("{}.{}", self.schema.as_str(), self.name.as_str())
    }
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// A string constant. Renders quoted, whatever `standard_conforming_strings` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal(String);

impl Literal {
    /// # Errors
    /// When the text contains a zero byte, which PostgreSQL's text types cannot hold.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        if text.contains('\0') { Err(NameError::ZeroByte) } else { Ok(Self(text)) }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&zdm_postgres::name::quote_literal(&self.0))
    }
}

/// An expression or predicate that the operator wrote. It is one expression: parentheses balance, nothing ends the
/// statement, no comment or string runs out of it. Renders in parentheses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlExpression(String);

impl SqlExpression {
    /// # Errors
    /// When the text could end the statement or the parentheses it is put into.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        if text.contains('\0') {
            return Err(NameError::ZeroByte);
        }
        if text.trim().is_empty() {
            return Err(NameError::EmptyExpression);
        }
        check_expression(&text)?;
        Ok(Self(text.trim().to_owned()))
    }

    pub fn column(name: &Ident) -> Self {
        Self(name.to_string())
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SqlExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The line break ends a trailing `--` comment before the parenthesis.
        if self.0.contains("--") { write!(f, "({}\n)", self.0) } else { write!(f, "({})", self.0) }
    }
}

fn check_expression(text: &str) -> Result<(), NameError> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied();
    let mut open: Vec<char> = Vec::new();
    let mut i = 0;
    while let Some(c) = at(i) {
        match c {
            '\'' => {
                let escapes = i > 0
                    && matches!(at(i - 1), Some('e' | 'E'))
                    && !(i > 1 && at(i - 2).is_some_and(is_identifier_part));
                i = skip_string(&chars, i + 1, '\'', escapes).ok_or(NameError::Unterminated("string"))?;
                continue;
            }
            '"' => {
                i = skip_string(&chars, i + 1, '"', false).ok_or(NameError::Unterminated("quoted name"))?;
                continue;
            }
            '$' if !(i > 0 && at(i - 1).is_some_and(is_identifier_part)) => {
                if let Some(after_tag) = dollar_tag(&chars, i) {
                    let tag = &chars[i..after_tag];
                    i = find(&chars, after_tag, tag).ok_or(NameError::Unterminated("dollar-quoted string"))?
                        + tag.len();
                    continue;
                }
            }
            '-' if at(i + 1) == Some('-') => {
                while at(i).is_some_and(|c| c != '\n' && c != '\r') {
                    i += 1;
                }
                continue;
            }
            '/' if at(i + 1) == Some('*') => {
                i = skip_comment(&chars, i + 2).ok_or(NameError::Unterminated("comment"))?;
                continue;
            }
            ';' => return Err(NameError::Semicolon),
            '(' | '[' => open.push(c),
            ')' if open.pop() != Some('(') => return Err(NameError::Unbalanced(c)),
            ']' if open.pop() != Some('[') => return Err(NameError::Unbalanced(c)),
            ',' if open.is_empty() => return Err(NameError::Malformed(text.trim().to_owned())),
            _ => {}
        }
        i += 1;
    }
    open.pop().map_or(Ok(()), |c| Err(NameError::Unbalanced(c)))
}

fn is_identifier_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// The index after the closing `quote`, or nothing when the text ends first.
fn skip_string(chars: &[char], mut i: usize, quote: char, escapes: bool) -> Option<usize> {
    loop {
        match chars.get(i)? {
            '\\' if escapes => i += 2,
            c if *c == quote => {
                if chars.get(i + 1) != Some(&quote) {
                    return Some(i + 1);
                }
                i += 2;
            }
            _ => i += 1,
        }
    }
}

/// The index after the tag `$…$` that starts at `start`, or nothing when there is none.
fn dollar_tag(chars: &[char], start: usize) -> Option<usize> {
    let mut i = start + 1;
    loop {
        match chars.get(i)? {
            '$' => return Some(i + 1),
            c if c.is_ascii_digit() && i == start + 1 => return None,
            c if c.is_alphanumeric() || *c == '_' => i += 1,
            _ => return None,
        }
    }
}

fn find(chars: &[char], from: usize, needle: &[char]) -> Option<usize> {
    chars.get(from..)?.windows(needle.len()).position(|w| w == needle).map(|p| p + from)
}

/// Comments nest in PostgreSQL. The index after the end, or nothing when the text ends first.
fn skip_comment(chars: &[char], mut i: usize) -> Option<usize> {
    let mut depth = 1_u32;
    while depth > 0 {
        match (chars.get(i)?, chars.get(i + 1)) {
            ('*', Some('/')) => {
                depth -= 1;
                i += 2;
            }
            ('/', Some('*')) => {
                depth += 1;
                i += 2;
            }
            _ => i += 1,
        }
    }
    Some(i)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(name: &str) -> String {
        Ident::new(name).unwrap().to_string()
    }

    #[test]
    fn identifiers_are_always_quoted() {
        assert_eq!(quoted("id"), "\"id\"");
        assert_eq!(quoted("user"), "\"user\"");
        assert_eq!(quoted("a\"; DROP TABLE x; --"), "\"a\"\"; DROP TABLE x; --\"");
        assert_eq!(Ident::new(""), Err(NameError::Empty));
        assert_eq!(Ident::new("a\0b"), Err(NameError::ZeroByte));
        assert!(matches!(Ident::new("é".repeat(32)), Err(NameError::TooLong(_))));
        assert!(Ident::new("é".repeat(31)).is_ok());
    }

    #[test]
    fn literals_survive_quotes_and_backslashes() {
        assert_eq!(Literal::new("a'b").unwrap().to_string(), "'a''b'");
        assert_eq!(Literal::new("a\\'b").unwrap().to_string(), "E'a\\\\''b'");
        assert!(Literal::new("\0").is_err());
    }

    #[test]
    fn expressions_cannot_end_the_statement() {
        fn check(text: &str, expect: Result<&str, NameError>) {
            let found = SqlExpression::new(text).map(|e| e.to_string());
            assert_eq!(found, expect.map(str::to_owned), "{text}");
        }
        check("a + 1", Ok("(a + 1)"));
        check("upper(b) || ')'", Ok("(upper(b) || ')')"));
        check("$$);$$", Ok("($$);$$)"));
        check("$x$ $$ ; $x$ || a", Ok("($x$ $$ ; $x$ || a)"));
        check("a -- the rest)", Ok("(a -- the rest)\n)"));
        check("a /* ) /* ; */ */", Ok("(a /* ) /* ; */ */)"));
        check("E'\\');' || 'x'", Ok("(E'\\');' || 'x')"));
        check("(ARRAY[1,2])[1]", Ok("((ARRAY[1,2])[1])"));
        check("1); DROP TABLE x; --", Err(NameError::Unbalanced(')')));
        check("1; SELECT 1", Err(NameError::Semicolon));
        check("1, other = 2", Err(NameError::Malformed("1, other = 2".to_owned())));
        check("(1", Err(NameError::Unbalanced('(')));
        check("'abc", Err(NameError::Unterminated("string")));
        check("a /* ", Err(NameError::Unterminated("comment")));
        check("$a$ x", Err(NameError::Unterminated("dollar-quoted string")));
        check("  ", Err(NameError::EmptyExpression));
    }
}

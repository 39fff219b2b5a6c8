//! What is to be filled: assignments and an optional predicate, as the operator wrote them.

use std::fmt::Write as _;

use zdm_conn::{Ident, NameError, SqlExpression};

/// `target = EXPR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub target: Ident,
    pub expression: SqlExpression,
}

/// The operator's part of a job. Two runs belong to one job when their definitions are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// At least one, each target once.
    pub assignments: Vec<Assignment>,
    /// Rows outside of it are left alone.
    pub predicate: Option<SqlExpression>,
}

impl Assignment {
    /// Reads `target = EXPR`. An unquoted target is folded to lower case, as in SQL.
    ///
    /// # Errors
    /// When there is no name before the first `=`, or the rest is not one expression.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        let malformed = || NameError::Malformed(text.to_owned());
        let (target, rest) = parse_identifier(text).ok_or_else(malformed)?;
        let expression = rest.trim_start().strip_prefix('=').ok_or_else(malformed)?;
        Ok(Self { target: Ident::new(target)?, expression: SqlExpression::new(expression)? })
    }

    /// `target = source`, column to column, names as in the catalog.
    ///
    /// # Errors
    /// When a name cannot be one.
    pub fn copy(source: &str, target: &str) -> Result<Self, NameError> {
        let source = Ident::new(source)?;
        Ok(Self { target: Ident::new(target)?, expression: SqlExpression::column(&source) })
    }
}

/// A quoted or unquoted identifier at the start, and what follows it.
fn parse_identifier(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut name = String::new();
        let mut chars = quoted.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c != '"' {
                name.push(c);
            } else if chars.next_if(|(_, next)| *next == '"').is_some() {
                name.push('"');
            } else {
                return Some((name, quoted.get(at + 1..)?));
            }
        }
        return None;
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let starts_well = name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
    starts_well.then(|| (name.to_lowercase(), rest))
}

impl Definition {
    /// # Errors
    /// When there is no assignment or a target is assigned twice.
    pub fn new(assignments: Vec<Assignment>, predicate: Option<SqlExpression>) -> Result<Self, NameError> {
        if assignments.is_empty() {
            return Err(NameError::Malformed("no assignment".to_owned()));
        }
        for (i, assignment) in assignments.iter().enumerate() {
            if assignments.iter().skip(i + 1).any(|other| other.target == assignment.target) {
                return Err(NameError::Malformed(format!("{} is assigned twice", assignment.target)));
            }
        }
        Ok(Self { assignments, predicate })
    }

    /// One line per clause. Equal texts mean equal definitions; it is stored with the job and read back by
    /// [`from_text`](Self::from_text).
    pub fn text(&self) -> String {
        let mut text = String::new();
        for Assignment { target, expression } in &self.assignments {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "SET {target} = {}", one_line(expression.as_str()));
        }
        if let Some(predicate) = &self.predicate {
            let _ = writeln!(text, "WHERE {}", one_line(predicate.as_str()));
        }
        text
    }

    /// Reads what [`text`](Self::text) wrote.
    ///
    /// # Errors
    /// When the text was not written by it.
    pub fn from_text(text: &str) -> Result<Self, NameError> {
        let mut assignments = Vec::new();
        let mut predicate = None;
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("SET ") {
                assignments.push(Assignment::parse(&restore_lines(rest))?);
            } else if let Some(rest) = line.strip_prefix("WHERE ") {
                predicate = Some(SqlExpression::new(restore_lines(rest))?);
            } else {
                return Err(NameError::Malformed(line.to_owned()));
            }
        }
        Self::new(assignments, predicate)
    }

    /// The targets' names, for a job's default name.
    pub fn target_names(&self) -> String {
        self.assignments.iter().map(|a| a.target.as_str()).collect::<Vec<_>>().join("+")
    }
}

/// U+2028 stands for a line break in the stored text: it cannot be confused with one and needs no escapes.
const LINE_SEPARATOR: char = '\u{2028}';

fn one_line(text: &str) -> String {
    text.replace("\r\n", "\n").replace(['\n', '\r'], &LINE_SEPARATOR.to_string())
}

fn restore_lines(text: &str) -> String {
    text.replace(LINE_SEPARATOR, "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments() {
        fn check(text: &str, expect: &str) {
            let found = match Assignment::parse(text) {
                Ok(a) => format!("{} <- {}", a.target, a.expression),
                Err(error) => format!("error: {error}"),
            };
            assert_eq!(found, expect, "{text}");
        }
        check("big = id", "\"big\" <- (id)");
        check("Big=id + 1", "\"big\" <- (id + 1)");
        check("\"Big \"\"x\" = a = b", "\"Big \"\"x\" <- (a = b)");
        check("größe = 1", "\"größe\" <- (1)");
        check("= 1", "error: `= 1` is not a name");
        check("a.b = 1", "error: `a.b = 1` is not a name");
        check("\"a = 1", "error: `\"a = 1` is not a name");
        check("a = ", "error: the expression is empty");
        check("a = 1); DROP TABLE t; --", "error: the expression has an unbalanced `)`");
    }

    #[test]
    fn text_round_trips() {
        let definition = Definition::new(
            vec![
                Assignment::parse("a = 'x\ny'").unwrap(),
                Assignment::parse("\"B b\" = c -- why\n").unwrap(),
                Assignment::copy("Old Name", "NewName").unwrap(),
            ],
            Some(SqlExpression::new("c > 0").unwrap()),
        )
        .unwrap();
        assert_eq!(Definition::from_text(&definition.text()).unwrap(), definition);
        assert_eq!(definition.target_names(), "a+B b+NewName");
    }

    #[test]
    fn a_target_is_assigned_once() {
        let twice = vec![Assignment::parse("a = 1").unwrap(), Assignment::parse("A = 2").unwrap()];
        assert!(Definition::new(twice, None).is_err());
        assert!(Definition::new(vec![], None).is_err());
    }
}

//! An expression over the columns of one row, and the same for the row that a trigger sees.
//!
//! Users write it as in `UPDATE … SET target = EXPR`; a trigger needs `NEW.column`. Names are replaced in the text as
//! written, and the result is read again: it must be the same expression, with every column qualified. Where that is
//! not so, the user is asked to write `NEW.column`.

use std::collections::BTreeSet;

use zdm_conn::{Ident, NameError, SqlExpression};
use zdm_postgres::expr::ExprNode;
use zdm_sql::{name_tokens, parse_expr};

use crate::refusal::Refusal;

/// An expression over the columns of a table's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// Columns without a qualifier.
    plain: String,
    columns: Vec<String>,
    functions: Vec<String>,
}

impl Expression {
    /// Reads what the user wrote about a row of `table`; columns may be qualified with `NEW` or the table's name.
    ///
    /// # Errors
    /// When it is not one expression over one row, or its columns cannot be told from its other names.
    pub fn new(text: &str, table: &str) -> Result<Self, Refusal> {
        let text = SqlExpression::new(text)
            .map_err(|error: NameError| Refusal::Expression { text: text.to_owned(), why: error.to_string() })?;
        let text = text.as_str();
        let refuse = |why: &str| Refusal::Expression { text: text.to_owned(), why: why.to_owned() };
        let node = parse_expr(text).node;
        let mut columns: BTreeSet<String> = BTreeSet::new();
        let mut functions: BTreeSet<String> = BTreeSet::new();
        let mut problem = None;
        node.walk(&mut |node| match node {
            ExprNode::Column { qualifier, name } => {
                if qualifier.as_ref().is_some_and(|qualifier| *qualifier != "new" && *qualifier != table) {
                    problem = Some("it names another table than the mirror's");
                }
                columns.insert(name.as_str().to_owned());
            }
            ExprNode::Call { function, .. } => {
                functions.insert(function.name.as_str().to_owned());
            }
            ExprNode::Subquery { .. } => problem = Some("a trigger's condition cannot hold a subquery"),
            ExprNode::Default => problem = Some("DEFAULT is no value of a row"),
            _ => {}
        });
        if let Some(why) = problem {
            return Err(refuse(why));
        }
        let expression = Self {
            plain: rewrite(text, &columns, table, zdm_postgres::quote_identifier),
            columns: columns.into_iter().collect(),
            functions: functions.into_iter().collect(),
        };
        if !same(&expression.plain, &node, None) || !same(&expression.of_new(), &node, Some("new")) {
            return Err(refuse("its columns cannot be told from its other names; write them as NEW.column"));
        }
        Ok(expression)
    }

    /// The columns that it reads, sorted.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The functions that it calls, without their schemas, sorted.
    pub fn functions(&self) -> &[String] {
        &self.functions
    }

    /// Over the columns of the table, unqualified, in parentheses.
    pub fn plain(&self) -> String {
        enclosed(&self.plain)
    }

    /// Over the row `NEW`, in parentheses.
    pub fn of_new(&self) -> String {
        self.qualified("NEW")
    }

    /// With a value in place of the only column that it reads, in parentheses; nothing where it reads others.
    pub fn of_value(&self, column: &str, value: &str) -> Option<String> {
        if self.columns != [column] {
            return None;
        }
        let columns = self.columns.iter().cloned().collect();
        Some(enclosed(&rewrite(&self.plain, &columns, "", |_| format!("({value})"))))
    }

    /// Over the row of that name, in parentheses.
    pub fn qualified(&self, row: &str) -> String {
        let columns = self.columns.iter().cloned().collect();
        enclosed(&rewrite(&self.plain, &columns, "", |name| format!("{row}.{}", zdm_postgres::quote_identifier(name))))
    }
}

/// The text with one column in place of another; nothing when its columns cannot be told from its other names.
pub fn with_column(text: &str, from: &Ident, to: &Ident) -> Option<String> {
    let mut node = (*parse_expr(text).node).clone();
    let columns = BTreeSet::from([from.as_str().to_owned()]);
    let renamed = rewrite(text, &columns, "", |_| to.to_string());
    rename(&mut node, from.as_str(), to.as_str());
    same(&renamed, &node, None).then_some(renamed)
}

/// The line break ends a trailing `--` comment before the parenthesis.
fn enclosed(text: &str) -> String {
    if text.contains("--") { format!("({text}\n)") } else { format!("({text})") }
}

fn rewrite(text: &str, columns: &BTreeSet<String>, table: &str, replacement: impl Fn(&str) -> String) -> String {
    let names = name_tokens(text);
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    let mut index = 0;
    while let Some(token) = names.get(index) {
        index += 1;
        let mut start = token.span.range().start;
        let mut column = token;
        if token.after == "."
            && (token.name == "new" || token.name == table)
            && let Some(next) = names.get(index).filter(|next| next.before == ".")
        {
            column = next;
            index += 1;
        } else if !may_be_column(token.before, token.after) {
            continue;
        }
        if !columns.contains(column.name.as_str()) {
            continue;
        }
        start = start.max(copied);
        out.push_str(text.get(copied..start).unwrap_or_default());
        out.push_str(&replacement(column.name.as_str()));
        copied = column.span.range().end;
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    out
}

/// By its neighbours: not a function, a type, a collation, a qualifier or the field of `EXTRACT`.
fn may_be_column(before: &str, after: &str) -> bool {
    let word = |text: &str, word: &str| text.eq_ignore_ascii_case(word);
    let other = matches!(before, "." | "::")
        || word(before, "AS")
        || word(before, "COLLATE")
        || matches!(after, "(" | ".")
        || after.starts_with('\'')
        || (before == "(" && word(after, "FROM"));
    !other
}

/// Whether the text reads as that expression, all its columns qualified as said.
fn same(text: &str, expected: &ExprNode, qualifier: Option<&str>) -> bool {
    let mut found = (*parse_expr(text).node).clone();
    let mut expected = expected.clone();
    let mut qualified = true;
    found.walk(&mut |node| {
        if let ExprNode::Column { qualifier: found, .. } = node {
            qualified &= found.as_ref().map(zdm_postgres::Ident::as_str) == qualifier;
        }
    });
    strip(&mut found);
    strip(&mut expected);
    qualified && found == expected
}

/// Leaves structure and names, without qualifiers and without the text of what was not understood.
fn strip(node: &mut ExprNode) {
    match node {
        ExprNode::Column { qualifier, .. } => *qualifier = None,
        ExprNode::Other { text, .. } => text.clear(),
        _ => {}
    }
    for child in node.children_mut() {
        strip(child);
    }
}

fn rename(node: &mut ExprNode, from: &str, to: &str) {
    if let ExprNode::Column { name, .. } = node
        && *name == from
    {
        *name = zdm_postgres::Ident::from(to);
    }
    for child in node.children_mut() {
        rename(child, from, to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let expression = Expression::new(text, "t").unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(expression.of_new(), expect, "{text}");
        let again = Expression::new(&expression.plain, "t").unwrap();
        assert_eq!(again, expression, "{text}");
    }

    fn refused(text: &str) {
        assert!(Expression::new(text, "t").is_err(), "{text}");
    }

    #[test]
    fn columns_are_qualified_and_nothing_else() {
        check("size * 2", "(NEW.\"size\" * 2)");
        check("Size::bigint + \"Größe\"", "(NEW.\"size\"::bigint + NEW.\"Größe\")");
        check("NEW.size + t.other", "(NEW.\"size\" + NEW.\"other\")");
        check("date::date + date '2020-01-01'", "(NEW.\"date\"::date + date '2020-01-01')");
        check("lower(lower)", "(lower(NEW.\"lower\"))");
        check("extract(year FROM year)", "(extract(year FROM NEW.\"year\"))");
        check("CAST(date AS date)", "(CAST(NEW.\"date\" AS date))");
        check("CASE WHEN a THEN 'a' ELSE b END", "(CASE WHEN NEW.\"a\" THEN 'a' ELSE NEW.\"b\" END)");
        check("pg_catalog.upper(name) COLLATE \"C\"", "(pg_catalog.upper(NEW.\"name\") COLLATE \"C\")");
        check("created AT TIME ZONE 'UTC'", "(NEW.\"created\" AT TIME ZONE 'UTC')");
        check("coalesce(a, 0) -- nothing", "(coalesce(NEW.\"a\", 0) -- nothing\n)");
        check("data ->> 'size' || tags[1]", "(NEW.\"data\" ->> 'size' || NEW.\"tags\"[1])");
        check("(a).x", "((NEW.\"a\").x)");
    }

    #[test]
    fn what_is_no_expression_over_the_row() {
        refused("");
        refused("a; DROP TABLE t");
        refused("(SELECT max(a) FROM u)");
        refused("u.a + 1");
        refused("a, b");
    }

    #[test]
    fn one_column_for_another() {
        let ident = |name: &str| Ident::new(name).unwrap();
        assert_eq!(
            with_column("size >= 0 AND other IS NULL", &ident("size"), &ident("Big")).as_deref(),
            Some("\"Big\" >= 0 AND other IS NULL")
        );
        assert_eq!(with_column("upper(size)", &ident("size"), &ident("b")).as_deref(), Some("upper(\"b\")"));
    }
}

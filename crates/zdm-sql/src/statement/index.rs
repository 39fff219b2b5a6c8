//! CREATE INDEX and REINDEX.

use zdm_postgres::expr::{ExprNode, SqlExpr};
use zdm_postgres::statement::{CreateIndex, IndexElement, IndexKey, Reindex, ReindexTarget};
use zdm_postgres::{Ident, QualifiedName, Statement};

use super::alter_table::only;
use super::table::options;
use crate::cursor::{Cursor, Read};
use crate::expr;
use crate::lexer::Kind;

pub(super) fn create(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("CREATE")?;
    let unique = cursor.accept("UNIQUE");
    cursor.expect("INDEX")?;
    let concurrently = cursor.accept("CONCURRENTLY");
    let if_not_exists = cursor.accept_all(&["IF", "NOT", "EXISTS"]);
    // The word ON is reserved: a name may be left out before it.
    let name = if cursor.is("ON") { None } else { Some(cursor.name()?) };
    cursor.expect("ON")?;
    let only = only(cursor);
    let table = cursor.name()?;
    cursor.accept_operator("*");
    let method = if cursor.accept("USING") { Some(cursor.ident()?) } else { None };
    let elements = cursor.parenthesized(element)?;
    let mut index = CreateIndex {
        name,
        table,
        only,
        unique,
        concurrently,
        if_not_exists,
        method,
        elements,
        include: Vec::new(),
        nulls_not_distinct: false,
        options: Vec::new(),
        tablespace: None,
        predicate: None,
    };
    if cursor.accept("INCLUDE") {
        index.include = cursor.column_list()?;
    }
    if cursor.accept("NULLS") {
        index.nulls_not_distinct = cursor.accept("NOT");
        cursor.expect("DISTINCT")?;
    }
    if cursor.accept("WITH") {
        index.options = options(cursor)?;
    }
    if cursor.accept("TABLESPACE") {
        index.tablespace = Some(cursor.ident()?);
    }
    if cursor.accept("WHERE") {
        index.predicate = Some(cursor.expr_until_end()?);
    }
    Ok(Statement::CreateIndex(index))
}

/// `{ column | function(…) | ( expr ) } [COLLATE c] [opclass [( … )]] [ASC | DESC] [NULLS FIRST | LAST]`.
pub(super) fn element(cursor: &mut Cursor<'_>) -> Read<IndexElement> {
    let (key, written) = key(cursor)?;
    let collation = if cursor.accept("COLLATE") { Some(cursor.name()?) } else { written };
    let opclass = if cursor.is_ident()
        && !cursor.is_any(&["ASC", "DESC", "WITH"])
        && !(cursor.is("NULLS") && (cursor.is_nth(1, "FIRST") || cursor.is_nth(1, "LAST")))
    {
        Some(cursor.name()?)
    } else {
        None
    };
    let options = if opclass.is_some() && cursor.is_kind(Kind::LParen) { options(cursor)? } else { Vec::new() };
    let descending = cursor.accept_any(&["ASC", "DESC"]) == Some("DESC");
    let nulls_first = if cursor.accept("NULLS") {
        match cursor.accept_any(&["FIRST", "LAST"]) {
            Some(word) => Some(word == "FIRST"),
            None => return cursor.unexpected("FIRST or LAST"),
        }
    } else {
        None
    };
    Ok(IndexElement { key, collation, opclass, options, descending, nulls_first })
}

/// A column or an expression, with the collation that stands inside its parentheses.
pub(super) fn key(cursor: &mut Cursor<'_>) -> Read<(IndexKey, Option<QualifiedName>)> {
    let mut written = None;
    let key = if cursor.is_kind(Kind::LParen) {
        let expr = cursor.parenthesized_expr()?;
        // The server takes a column in parentheses for the column, and a collation around all of it for the element's.
        match &*expr.node {
            ExprNode::Column { qualifier: None, name } => IndexKey::Column(name.clone()),
            ExprNode::Collate { expr: column, collation } => match &**column {
                ExprNode::Column { qualifier: None, name } => {
                    written = Some(collation.clone());
                    IndexKey::Column(name.clone())
                }
                inner => {
                    written = Some(collation.clone());
                    IndexKey::Expr(SqlExpr::new(expr.text.clone(), inner.clone()))
                }
            },
            _ => IndexKey::Expr(expr),
        }
    } else {
        let mut ahead = cursor.clone();
        ahead.dotted()?;
        if ahead.is_kind(Kind::LParen) {
            let end = cursor.after_closing(ahead.at)?;
            IndexKey::Expr(cursor.expr_until(end)?)
        } else if is_keyword_function(cursor) {
            let expr = expr::read(cursor.text, &cursor.tokens[cursor.at..=cursor.at]);
            cursor.at += 1;
            IndexKey::Expr(expr)
        } else {
            IndexKey::Column(cursor.ident()?)
        }
    };
    Ok((key, written))
}

/// Functions that are called without parentheses.
fn is_keyword_function(cursor: &Cursor<'_>) -> bool {
    cursor.is_any(&expr::KEYWORD_FUNCTIONS)
}

/// `REINDEX [( options )] { INDEX | TABLE | SCHEMA | DATABASE | SYSTEM } [CONCURRENTLY] [name]`.
pub(super) fn reindex(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("REINDEX")?;
    let (mut concurrently, mut option) = (false, None);
    if cursor.is_kind(Kind::LParen) {
        for (name, value) in spaced_options(cursor)? {
            if name == "concurrently" {
                concurrently = is_on(&value);
            }
            if name != "verbose" && option.is_none() {
                option = Some(Ident::new(name));
            }
        }
    }
    let kinds = ["INDEX", "TABLE", "SCHEMA", "DATABASE", "SYSTEM"];
    let Some(kind) = cursor.accept_any(&kinds) else {
        return cursor.unexpected("INDEX, TABLE, SCHEMA, DATABASE or SYSTEM");
    };
    concurrently |= cursor.accept("CONCURRENTLY");
    let optional = |cursor: &mut Cursor<'_>| if cursor.is_at_end() { Ok(None) } else { cursor.ident().map(Some) };
    let target = match kind {
        "INDEX" => ReindexTarget::Index(cursor.name()?),
        "TABLE" => ReindexTarget::Table(cursor.name()?),
        "SCHEMA" => ReindexTarget::Schema(cursor.ident()?),
        "DATABASE" => ReindexTarget::Database(optional(cursor)?),
        _ => ReindexTarget::System(optional(cursor)?),
    };
    Ok(Statement::Reindex(Reindex { target, concurrently, option }))
}

/// `( VERBOSE, ANALYZE false )`: name and value without a sign between them.
pub(super) fn spaced_options(cursor: &mut Cursor<'_>) -> Read<Vec<(String, String)>> {
    cursor.parenthesized(|cursor| {
        let name = cursor.label()?;
        let start = cursor.at;
        let end = cursor.find_outside(|cursor, index| cursor.tokens[index].kind == Kind::Comma);
        cursor.at = end;
        let value = cursor.source_of(start, end).trim_matches('\'').to_owned();
        Ok((name.as_str().to_owned(), value))
    })
}

/// A utility option without a value is on.
pub(super) fn is_on(value: &str) -> bool {
    !["false", "off", "0", "no"].contains(&value.to_ascii_lowercase().as_str())
}

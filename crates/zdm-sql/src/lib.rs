//! SQL text to [`Statement`]s with spans.
//!
//! Reading never fails and drops nothing: a statement that is not understood is [`Statement::Opaque`] with its text and the reason,
//! and never takes its neighbours with it. The crate knows no catalog: what a statement does is `zdm-postgres`' business.
//!
//! The grammar is PostgreSQL's own, version 18 with what older ones wrote otherwise; newer forms are read whatever the server's version.
//! The driver's placeholders (`%s`, `%(name)s`) are operands, and psql's meta-commands are statements that are not understood.
//!
//! The way of a text: `lexer` (tokens), `split` (where statements begin and end), `cursor` (names, lists and types on tokens),
//! `statement` (one typed reader for each statement form), `expr` and `query` (what the statements hold).

mod lexer;

mod literal;

mod split;

mod cursor;

mod data_type;

mod expr;

mod query;

mod select;

mod statement;

use zdm_postgres::{DataType, Ident, SqlExpr, Statement};
use zdm_source::Span;

/// A statement with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedStatement {
    /// Byte range in the text, without the semicolon behind it and without blanks and comments around it.
    pub span: Span,
    pub statement: Statement,
}

/// All statements of a text, in order. Empty statements and comments alone give nothing.
pub fn parse(text: &str) -> Vec<ParsedStatement> {
    let mut statements = Vec::new();
    split::each_statement(text, |piece| {
        let statement = statement::read(text, piece);
        statements.push(ParsedStatement { span: Span::from_usize(piece.start(), piece.end()), statement });
    });
    statements
}

/// One expression, as it stands in a default, a check or an index.
pub fn parse_expr(text: &str) -> SqlExpr {
    let tokens: Vec<lexer::Token> = lexer::Lexer::new(text).collect();
    expr::read(text, &tokens)
}

/// One type with its modifiers; `None` where the text is something else.
pub fn parse_data_type(text: &str) -> Option<DataType> {
    let tokens: Vec<lexer::Token> = lexer::Lexer::new(text).collect();
    let mut cursor = cursor::Cursor::new(text, &tokens);
    let data_type = data_type::read(&mut cursor).ok()?;
    cursor.is_at_end().then_some(data_type)
}

/// A name of a text with its neighbours, for rewriting the names of an expression in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameToken<'t> {
    pub span: Span,
    /// As the server stores it: unquoted spelling folded, quotes removed.
    pub name: Ident,
    /// The token before it; empty at the start.
    pub before: &'t str,
    /// The token behind it; empty at the end.
    pub after: &'t str,
}

/// The driver's placeholder, `%s` or `%(name)s`, that stands where a value is wanted, if there is one; behind a value it is the
/// operator `%`.
pub fn placeholder(text: &str) -> Option<Span> {
    const WANT_A_VALUE: [&str; 19] = [
        "and",
        "any",
        "between",
        "by",
        "case",
        "default",
        "else",
        "ilike",
        "in",
        "like",
        "limit",
        "not",
        "offset",
        "or",
        "returning",
        "select",
        "then",
        "values",
        "where",
    ];
    let tokens: Vec<lexer::Token> = lexer::Lexer::new(text).collect();
    tokens.iter().enumerate().find_map(|(index, token)| {
        let before = index.checked_sub(1).and_then(|before| tokens.get(before))?;
        let before_text = text.get(before.start..before.end)?;
        let wanted = matches!(before.kind, lexer::Kind::Operator | lexer::Kind::LParen | lexer::Kind::Comma)
            || WANT_A_VALUE.iter().any(|word| before_text.eq_ignore_ascii_case(word));
        (matches!(token.kind, lexer::Kind::Placeholder) && wanted).then(|| Span::from_usize(token.start, token.end))
    })
}

/// Every name of a text in order, key words included: `a`, `"B"`.
pub fn name_tokens(text: &str) -> Vec<NameToken<'_>> {
    let tokens: Vec<lexer::Token> = lexer::Lexer::new(text).collect();
    let source = |index: Option<usize>| {
        index.and_then(|index| tokens.get(index)).and_then(|token| text.get(token.start..token.end)).unwrap_or("")
    };
    let mut names = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let Some(name) = cursor::identifier(text, *token) else { continue };
        names.push(NameToken {
            span: Span::from_usize(token.start, token.end),
            name,
            before: source(index.checked_sub(1)),
            after: source(Some(index + 1)),
        });
    }
    names
}

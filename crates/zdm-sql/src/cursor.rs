//! A cursor over one statement's tokens: words, names, lists, types.

use zdm_postgres::{DataType, Ident, QualifiedName, SqlExpr};

use crate::data_type;
use crate::expr;
use crate::lexer::{Kind, Token};
use crate::literal;
use crate::query;

/// Why a form could not be read.
/// Small, because readers recurse with it in their hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unread(Box<Failure>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    /// The message with which the server refuses it, where nothing but an error can be read there.
    pub(crate) refusal: Option<String>,
}

impl Unread {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(Box::new(Failure { reason: reason.into(), refusal: None }))
    }

    /// The grammar itself has this message for it.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Failure { reason: message.clone(), refusal: Some(message) }))
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.0.refusal.is_some()
    }

    pub(crate) fn into_failure(self) -> Failure {
        *self.0
    }
}

pub(crate) type Read<T> = Result<T, Unread>;

/// The tokens of one statement with the place of reading. Every method that answers `false` or `None` has not moved.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'t> {
    pub(crate) text: &'t str,
    pub(crate) tokens: &'t [Token],
    pub(crate) at: usize,
    /// The statement stands inside a WITH clause.
    pub(crate) nested: bool,
}

impl<'t> Cursor<'t> {
    pub(crate) const fn new(text: &'t str, tokens: &'t [Token]) -> Self {
        Self { text, tokens, at: 0, nested: false }
    }

    pub(crate) const fn is_at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    pub(crate) fn nth(&self, ahead: usize) -> Option<Token> {
        self.tokens.get(self.at + ahead).copied()
    }

    pub(crate) fn peek(&self) -> Option<Token> {
        self.nth(0)
    }

    pub(crate) fn source(&self, token: Token) -> &'t str {
        self.text.get(token.start..token.end).unwrap_or("")
    }

    /// The text of the tokens `from..to`; empty where the range is.
    pub(crate) fn source_of(&self, from: usize, to: usize) -> &'t str {
        if from >= to {
            return "";
        }
        match (self.tokens.get(from), self.tokens.get(to - 1)) {
            (Some(first), Some(last)) => self.text.get(first.start..last.end).unwrap_or(""),
            _ => "",
        }
    }

    /// "unexpected `x`, expected …".
    pub(crate) fn unexpected<T>(&self, expected: &str) -> Read<T> {
        let found = match self.peek() {
            Some(token) => {
                let source = self.source(token);
                let shown: String = source.chars().take(40).collect();
                format!("unexpected `{shown}`")
            }
            None => "unexpected end".to_owned(),
        };
        Err(Unread::new(format!("{found}, expected {expected}")))
    }

    pub(crate) fn expect_end(&self) -> Read<()> {
        if self.is_at_end() { Ok(()) } else { self.unexpected("the end of the statement") }
    }

    // Words

    /// Whether the token `ahead` is that key word, which is given in upper case.
    pub(crate) fn is_nth(&self, ahead: usize, word: &str) -> bool {
        self.nth(ahead).is_some_and(|token| token.kind == Kind::Word && self.source(token).eq_ignore_ascii_case(word))
    }

    pub(crate) fn is(&self, word: &str) -> bool {
        self.is_nth(0, word)
    }

    pub(crate) fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    pub(crate) fn are(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(ahead, word)| self.is_nth(ahead, word))
    }

    pub(crate) fn accept(&mut self, word: &str) -> bool {
        let found = self.is(word);
        self.at += usize::from(found);
        found
    }

    /// All of these words in this order, or none.
    pub(crate) fn accept_all(&mut self, words: &[&str]) -> bool {
        let found = self.are(words);
        if found {
            self.at += words.len();
        }
        found
    }

    /// The first of these words that stands here.
    pub(crate) fn accept_any(&mut self, words: &[&'static str]) -> Option<&'static str> {
        words.iter().find(|word| self.accept(word)).copied()
    }

    pub(crate) fn expect(&mut self, word: &str) -> Read<()> {
        if self.accept(word) { Ok(()) } else { self.unexpected(word) }
    }

    pub(crate) fn expect_all(&mut self, words: &[&str]) -> Read<()> {
        words.iter().try_for_each(|word| self.expect(word))
    }

    // Punctuation

    pub(crate) fn is_kind(&self, kind: Kind) -> bool {
        self.peek().is_some_and(|token| token.kind == kind)
    }

    pub(crate) fn is_kind_nth(&self, ahead: usize, kind: Kind) -> bool {
        self.nth(ahead).is_some_and(|token| token.kind == kind)
    }

    pub(crate) fn accept_kind(&mut self, kind: Kind) -> bool {
        let found = self.is_kind(kind);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn expect_kind(&mut self, kind: Kind, expected: &str) -> Read<()> {
        if self.accept_kind(kind) { Ok(()) } else { self.unexpected(expected) }
    }

    pub(crate) fn is_operator(&self, operator: &str) -> bool {
        self.is_operator_nth(0, operator)
    }

    pub(crate) fn is_operator_nth(&self, ahead: usize, operator: &str) -> bool {
        self.nth(ahead).is_some_and(|token| token.kind == Kind::Operator && self.source(token) == operator)
    }

    pub(crate) fn accept_operator(&mut self, operator: &str) -> bool {
        let found = self.is_operator(operator);
        self.at += usize::from(found);
        found
    }

    // Names

    /// An identifier as the server stores it, of a column or of an object: no key word that is reserved there (the grammar's
    /// `ColId`).
    pub(crate) fn ident(&mut self) -> Read<Ident> {
        self.refuse_reserved()?;
        self.label()
    }

    /// A key word cannot stand where nothing but a name can.
    fn refuse_reserved(&self) -> Read<()> {
        let Some(token) = self.peek().filter(|_| self.is_reserved_name()) else { return Ok(()) };
        let word = self.source(token);
        let refusal = (!word.eq_ignore_ascii_case(NOT_YET)).then(|| format!("syntax error at or near \"{word}\""));
        self.unexpected("a name").map_err(|mut unread: Unread| {
            unread.0.refusal = refusal;
            unread
        })
    }

    fn is_reserved_name(&self) -> bool {
        self.peek().is_some_and(|token| token.kind == Kind::Word && is_reserved_name(self.source(token)))
    }

    /// An identifier where any word may stand: behind a dot, of a role, of an option (the grammar's `ColLabel`).
    pub(crate) fn label(&mut self) -> Read<Ident> {
        if let Some(ident) = self.peek().and_then(|token| identifier(self.text, token)) {
            self.at += 1;
            return Ok(ident);
        }
        self.unexpected("a name")
    }

    pub(crate) fn is_ident(&self) -> bool {
        self.is_ident_nth(0)
    }

    pub(crate) fn is_ident_nth(&self, ahead: usize) -> bool {
        self.nth(ahead).is_some_and(|token| matches!(token.kind, Kind::Word | Kind::Quoted | Kind::UnicodeQuoted))
    }

    pub(crate) fn is_ident_at(&self, index: usize) -> bool {
        self.tokens
            .get(index)
            .is_some_and(|token| matches!(token.kind, Kind::Word | Kind::Quoted | Kind::UnicodeQuoted))
    }

    /// `name`, `schema.name` or `database.schema.name` of an object.
    pub(crate) fn name(&mut self) -> Read<QualifiedName> {
        self.refuse_reserved()?;
        self.any_name()
    }

    /// The same of a function or a type, whose names are reserved otherwise; key words are not told apart.
    pub(crate) fn any_name(&mut self) -> Read<QualifiedName> {
        let mut parts = self.dotted()?;
        let Some(name) = parts.pop() else { return self.unexpected("a name") };
        Ok(QualifiedName::as_written(parts.pop(), name))
    }

    /// All parts of a dotted name; at least one. Key words are not told apart.
    pub(crate) fn dotted(&mut self) -> Read<Vec<Ident>> {
        let mut parts = vec![self.label()?];
        while self.is_kind(Kind::Dot) && self.is_ident_nth(1) {
            self.at += 1;
            parts.push(self.label()?);
        }
        Ok(parts)
    }

    pub(crate) fn names(&mut self) -> Read<Vec<QualifiedName>> {
        self.list(Self::name)
    }

    pub(crate) fn idents(&mut self) -> Read<Vec<Ident>> {
        self.list(Self::ident)
    }

    /// The names of roles, of which some are reserved words.
    pub(crate) fn roles(&mut self) -> Read<Vec<Ident>> {
        self.list(Self::label)
    }

    /// One or more, with commas between.
    pub(crate) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.accept_kind(Kind::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// `( item, … )`.
    pub(crate) fn parenthesized<T>(&mut self, item: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        self.expect_kind(Kind::LParen, "(")?;
        let items = self.list(item)?;
        self.expect_kind(Kind::RParen, ")")?;
        Ok(items)
    }

    pub(crate) fn column_list(&mut self) -> Read<Vec<Ident>> {
        self.parenthesized(Self::ident)
    }

    pub(crate) fn string(&mut self) -> Read<String> {
        if let Some(value) = self.peek().and_then(|token| literal::string_value(self.text, token)) {
            self.at += 1;
            return Ok(value);
        }
        self.unexpected("a string")
    }

    pub(crate) fn data_type(&mut self) -> Read<DataType> {
        data_type::read(self)
    }

    // Ranges

    /// The token behind the parenthesis or bracket that closes the one at `open`.
    pub(crate) fn after_closing(&self, open: usize) -> Read<usize> {
        let mut depth = 0_usize;
        for (index, token) in self.tokens.iter().enumerate().skip(open) {
            match token.kind {
                Kind::LParen | Kind::LBracket => depth += 1,
                Kind::RParen | Kind::RBracket => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Ok(index + 1);
                    }
                }
                _ => {}
            }
        }
        Err(Unread::new("missing `)`"))
    }

    /// Passes over `( … )` and answers with the tokens between the parentheses.
    pub(crate) fn skip_parenthesized(&mut self) -> Read<(usize, usize)> {
        if !self.is_kind(Kind::LParen) {
            return self.unexpected("(");
        }
        let end = self.after_closing(self.at)?;
        let inside = (self.at + 1, end - 1);
        self.at = end;
        Ok(inside)
    }

    /// The next token outside parentheses, brackets and CASE for which `stop` holds, from here on; else the end.
    pub(crate) fn find_outside(&self, stop: impl Fn(&Self, usize) -> bool) -> usize {
        let mut depth = 0_usize;
        let mut cases = 0_usize;
        for (index, token) in self.tokens.iter().enumerate().skip(self.at) {
            match token.kind {
                Kind::RParen | Kind::RBracket if depth == 0 => return index,
                _ if depth == 0 && cases == 0 && stop(self, index) => return index,
                Kind::LParen | Kind::LBracket => depth += 1,
                Kind::RParen | Kind::RBracket => depth -= 1,
                Kind::Word if depth == 0 => {
                    let word = self.source(*token);
                    if word.eq_ignore_ascii_case("CASE") {
                        cases += 1;
                    } else if word.eq_ignore_ascii_case("END") {
                        cases = cases.saturating_sub(1);
                    }
                }
                _ => {}
            }
        }
        self.tokens.len()
    }

    pub(crate) fn word_at(&self, index: usize, words: &[&str]) -> bool {
        self.tokens.get(index).is_some_and(|token| {
            token.kind == Kind::Word && words.iter().any(|word| self.source(*token).eq_ignore_ascii_case(word))
        })
    }

    /// The expression of the tokens up to `end`; the cursor stands behind it afterwards.
    pub(crate) fn expr_until(&mut self, end: usize) -> Read<SqlExpr> {
        if end <= self.at {
            return self.unexpected("an expression");
        }
        let expr = self.expr_of(self.at, end)?;
        self.at = end;
        Ok(expr)
    }

    /// A key word that begins no expression is where the server stops reading.
    fn expr_of(&self, start: usize, end: usize) -> Read<SqlExpr> {
        if self.word_at(start, expr::NO_BEGINNING) {
            let word = self.source(self.tokens[start]);
            return Err(Unread::refused(format!("syntax error at or near \"{word}\"")));
        }
        Ok(expr::read(self.text, &self.tokens[start..end]))
    }

    /// `( expr )`.
    pub(crate) fn parenthesized_expr(&mut self) -> Read<SqlExpr> {
        let (start, end) = self.skip_parenthesized()?;
        if start >= end {
            return self.unexpected("an expression");
        }
        self.expr_of(start, end)
    }

    /// An expression up to the next comma outside parentheses, closing parenthesis, or the end.
    pub(crate) fn expr_until_comma(&mut self) -> Read<SqlExpr> {
        let end = self.find_outside(|cursor, index| cursor.tokens[index].kind == Kind::Comma);
        self.expr_until(end)
    }

    /// The expression of all that is left.
    pub(crate) fn expr_until_end(&mut self) -> Read<SqlExpr> {
        self.expr_until(self.tokens.len())
    }
}

/// Reserved from 16 on only.
const NOT_YET: &str = "SYSTEM_USER";

/// Whether a word without quotes names neither a column nor an object: the key words that are reserved, and those that may
/// name functions or types only. Source: PostgreSQL manual, "SQL Key Words".
fn is_reserved_name(word: &str) -> bool {
    const NAMES_OF_COLUMNS: [&str; 3] = ["BETWEEN", "EXISTS", "VALUES"];
    let is_one_of = |words: &[&str]| words.iter().any(|other| other.eq_ignore_ascii_case(word));
    (query::is_reserved(word) && !is_one_of(&NAMES_OF_COLUMNS))
        || is_one_of(&["COLLATION"])
        || (is_one_of(&expr::KEYWORD_FUNCTIONS) && !word.eq_ignore_ascii_case(NOT_YET))
}

/// The identifier that a token is: unquoted spelling folded as the server does it (ASCII letters only), and cut to what
/// the server's lexer keeps.
pub(crate) fn identifier(text: &str, token: Token) -> Option<Ident> {
    whole_identifier(text, token).map(|name| name.truncated())
}

fn whole_identifier(text: &str, token: Token) -> Option<Ident> {
    let source = text.get(token.start..token.end)?;
    match token.kind {
        Kind::Word if source.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            Some(Ident::from(source.to_ascii_lowercase()))
        }
        Kind::Word => Some(Ident::from(source)),
        Kind::Quoted if !source.get(1..source.len().checked_sub(1)?)?.contains('"') => {
            Some(Ident::from(source.get(1..source.len() - 1)?))
        }
        Kind::Quoted | Kind::UnicodeQuoted => literal::quoted_name(text, token).map(Ident::from),
        _ => None,
    }
}

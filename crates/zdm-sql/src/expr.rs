//! Expressions to [`SqlExpr`], by the server's own grammar (`a_expr`, `b_expr`, `c_expr`) and its precedences.
//!
//! Source: PostgreSQL manual, "Value Expressions" and "Operator Precedence". What cannot be read is `Other`, with the columns, calls
//! and relations that it names; inside a call it takes only that call with it.

use zdm_postgres::expr::{CallForm, ExprNode, SubqueryKind, like_operator};
use zdm_postgres::statement::Query;
use zdm_postgres::{DataType, Ident, QualifiedName, SqlExpr};

use crate::cursor::{Cursor, Read, Unread, identifier};
use crate::lexer::{Kind, Token};
use crate::literal;
use crate::query;

/// Functions that are called without parentheses. Source: PostgreSQL manual, "Date/Time Functions" and "System Information Functions".
pub(crate) const KEYWORD_FUNCTIONS: [&str; 12] = [
    "CURRENT_CATALOG",
    "CURRENT_DATE",
    "CURRENT_ROLE",
    "CURRENT_SCHEMA",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "CURRENT_USER",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "SESSION_USER",
    "SYSTEM_USER",
    "USER",
];

/// Reserved key words with which no expression begins, in any version. Source: PostgreSQL manual, "SQL Key Words".
pub(crate) const NO_BEGINNING: &[&str] = &[
    "AND",
    "AS",
    "ASC",
    "CHECK",
    "COLLATE",
    "COLUMN",
    "CONSTRAINT",
    "CREATE",
    "DESC",
    "DISTINCT",
    "ELSE",
    "END",
    "FOR",
    "FROM",
    "GROUP",
    "HAVING",
    "IN",
    "INTO",
    "LIMIT",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "PRIMARY",
    "REFERENCES",
    "RETURNING",
    "SELECT",
    "THEN",
    "UNION",
    "UNIQUE",
    "USING",
    "WHEN",
    "WHERE",
    "WITH",
];

/// How many nodes deep an expression may be. Readers of expressions recurse: their stack holds many times this.
const DEPTH: usize = 300;

/// How many productions deep the reader may go, through queries as well.
pub(crate) const NESTING: usize = 100;

/// The expression of these tokens, all of them.
pub(crate) fn read(text: &str, tokens: &[Token]) -> SqlExpr {
    read_at(text, tokens, 0)
}

/// The same, so many productions deep already.
pub(crate) fn read_at(text: &str, tokens: &[Token], nesting: usize) -> SqlExpr {
    let mut reader = Reader { cursor: Cursor::new(text, tokens), nesting };
    let node = match reader.expr(0, Grammar::A) {
        Ok(parsed) if reader.cursor.is_at_end() => parsed.node,
        _ => other(&reader.cursor, 0, tokens.len()),
    };
    SqlExpr::new(reader.cursor.source_of(0, tokens.len()), node)
}

/// The tokens at the start that are an expression without the words that may follow it (the grammar's `b_expr`); all of
/// them where the range cannot be read.
pub(crate) fn restricted(text: &str, tokens: &[Token]) -> usize {
    let mut reader = Reader { cursor: Cursor::new(text, tokens), nesting: 0 };
    match reader.expr(0, Grammar::B) {
        Ok(_) => reader.cursor.at,
        Err(_) => tokens.len(),
    }
}

/// What is known of a range that cannot be read.
fn other(cursor: &Cursor<'_>, from: usize, to: usize) -> ExprNode {
    let found = query::names(cursor.text, cursor.tokens.get(from..to).unwrap_or_default());
    let mut parts: Vec<ExprNode> =
        found.columns.iter().map(|name| ExprNode::Column { qualifier: None, name: name.clone() }).collect();
    parts.extend(found.functions.iter().map(|function| ExprNode::Call {
        function: function.clone(),
        args: Vec::new(),
        keyword: false,
    }));
    parts.extend(found.types.iter().map(|name| ExprNode::Cast {
        expr: Box::new(ExprNode::Null),
        data_type: DataType { name: name.clone(), ..DataType::named("") },
    }));
    if !found.relations.is_empty() {
        parts.push(ExprNode::Subquery { kind: SubqueryKind::Unknown, query: Box::new(found) });
    }
    ExprNode::Other { text: cursor.source_of(from, to).to_owned(), parts, words: true, form: None }
}

/// A node with its depth.
struct Parsed {
    node: ExprNode,
    depth: usize,
}

impl Parsed {
    const fn leaf(node: ExprNode) -> Self {
        Self { node, depth: 1 }
    }
}

/// The two kinds of expressions: in `b_expr` stand no AND, OR, NOT, IN, BETWEEN, LIKE and no test of nulls or truth.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grammar {
    A,
    B,
}

// Binding powers, weakest first.
const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const IS: u8 = 4;
const COMPARISON: u8 = 5;
const MATCH: u8 = 6;
const OPERATOR: u8 = 7;
const SUM: u8 = 8;
const PRODUCT: u8 = 9;
const POWER: u8 = 10;
const ZONE: u8 = 11;
const COLLATE: u8 = 12;
const SIGN: u8 = 13;
const CAST: u8 = 14;

struct Reader<'t> {
    cursor: Cursor<'t>,
    nesting: usize,
}

impl Reader<'_> {
    /// An expression of operators that bind at least as strongly as `power`.
    fn expr(&mut self, power: u8, grammar: Grammar) -> Read<Parsed> {
        self.nesting += 1;
        if self.nesting > NESTING {
            return Err(Unread::new("the expression is too deep".to_owned()));
        }
        let start = self.cursor.at;
        let mut left = self.prefix(grammar)?;
        while let Some(found) = self.infix(start, &mut left, power, grammar)? {
            if found.depth > DEPTH {
                return Err(Unread::new("the expression is too deep".to_owned()));
            }
            left = found;
        }
        self.nesting -= 1;
        Ok(left)
    }

    fn boxed(parsed: Parsed) -> (Box<ExprNode>, usize) {
        (Box::new(parsed.node), parsed.depth)
    }

    fn prefix(&mut self, grammar: Grammar) -> Read<Parsed> {
        if grammar == Grammar::A && self.cursor.accept("NOT") {
            let (expr, depth) = Self::boxed(self.expr(NOT, grammar)?);
            return Ok(Parsed { node: ExprNode::Not(expr), depth: depth + 1 });
        }
        let Some(token) = self.cursor.peek() else { return self.cursor.unexpected("an expression") };
        if token.kind == Kind::Operator {
            let operator = self.cursor.source(token).to_owned();
            if matches!(operator.as_str(), "::" | ":" | ":=" | "=>" | "=" | "<" | ">" | "<=" | ">=" | "<>" | "!=" | "*")
            {
                return self.cursor.unexpected("an expression");
            }
            self.cursor.at += 1;
            let power = if operator == "-" || operator == "+" { SIGN } else { SUM };
            let (expr, depth) = Self::boxed(self.expr(power, grammar)?);
            return Ok(Parsed { node: ExprNode::Prefix { operator, expr }, depth: depth + 1 });
        }
        if let Some(operator) = self.qualified_operator()? {
            let (expr, depth) = Self::boxed(self.expr(SUM, grammar)?);
            return Ok(Parsed { node: ExprNode::Prefix { operator, expr }, depth: depth + 1 });
        }
        self.primary()
    }

    /// The bare operator of `OPERATOR(schema.+)`.
    fn qualified_operator(&mut self) -> Read<Option<String>> {
        if !(self.cursor.is("OPERATOR") && self.cursor.is_kind_nth(1, Kind::LParen)) {
            return Ok(None);
        }
        self.cursor.at += 1;
        let (_, end) = self.cursor.skip_parenthesized()?;
        Ok(Some(self.cursor.source_of(end.saturating_sub(1), end).to_owned()))
    }

    /// One more operator behind `left`, which begins at `start`. `None`: none that binds strongly enough; `left` is unchanged.
    fn infix(&mut self, start: usize, left: &mut Parsed, power: u8, grammar: Grammar) -> Read<Option<Parsed>> {
        let Some(token) = self.cursor.peek() else { return Ok(None) };
        match token.kind {
            Kind::Operator => {
                let operator = self.cursor.source(token);
                let strength = match operator {
                    "::" => CAST,
                    ":" | ":=" | "=>" => return Ok(None),
                    "<" | ">" | "=" | "<=" | ">=" | "<>" | "!=" => COMPARISON,
                    "+" | "-" => SUM,
                    "*" | "/" | "%" => PRODUCT,
                    "^" => POWER,
                    _ => OPERATOR,
                };
                if strength < power {
                    return Ok(None);
                }
                self.cursor.at += 1;
                if strength == CAST {
                    let data_type = self.cursor.data_type()?;
                    let (expr, depth) = Self::take(left);
                    return Ok(Some(Parsed { node: ExprNode::Cast { expr, data_type }, depth: depth + 1 }));
                }
                // The scanner makes one of the two spellings.
                let operator = if operator == "!=" { "<>" } else { operator }.to_owned();
                self.operator(start, left, operator, strength, grammar).map(Some)
            }
            Kind::Word => self.infix_word(start, left, power, grammar),
            _ => Ok(None),
        }
    }

    fn take(left: &mut Parsed) -> (Box<ExprNode>, usize) {
        (Box::new(std::mem::replace(&mut left.node, ExprNode::Null)), left.depth)
    }

    /// Behind an infix operator: its right operand, or ANY, SOME, ALL with theirs.
    fn operator(
        &mut self,
        start: usize,
        left: &mut Parsed,
        operator: String,
        strength: u8,
        grammar: Grammar,
    ) -> Read<Parsed> {
        if let Some(parsed) = self.quantified(start, left, &operator)? {
            return Ok(parsed);
        }
        let right = self.expr(strength + 1, grammar)?;
        let (left, left_depth) = Self::take(left);
        let (right, right_depth) = Self::boxed(right);
        Ok(Parsed { node: ExprNode::Infix { operator, left, right }, depth: left_depth.max(right_depth) + 1 })
    }

    /// `{ ANY | SOME | ALL } ( … )`.
    fn quantified(&mut self, start: usize, left: &mut Parsed, operator: &str) -> Read<Option<Parsed>> {
        if !(self.cursor.is_any(&["ANY", "SOME", "ALL"]) && self.cursor.is_kind_nth(1, Kind::LParen)) {
            return Ok(None);
        }
        let all = self.cursor.is("ALL");
        self.cursor.at += 1;
        let operand = self.parenthesized()?;
        let depth = left.depth.max(operand.depth) + 1;
        let (left, _) = Self::take(left);
        let node = match operand.node {
            ExprNode::Subquery { query, .. } => {
                let kind = match operator {
                    "" => SubqueryKind::Unknown,
                    operator => SubqueryKind::Tested { operator: operator.to_owned() },
                };
                self.other_from(start, vec![*left, ExprNode::Subquery { kind, query }])
            }
            operand if operator.is_empty() => self.other_from(start, vec![*left, operand]),
            operand => ExprNode::Quantified { operator: operator.to_owned(), left, right: Box::new(operand), all },
        };
        Ok(Some(Parsed { node, depth }))
    }

    /// What was read from `start` to here, understood in its parts only.
    fn other_from(&self, start: usize, parts: Vec<ExprNode>) -> ExprNode {
        ExprNode::Other {
            text: self.cursor.source_of(start, self.cursor.at).to_owned(),
            parts,
            words: false,
            form: None,
        }
    }

    fn infix_word(&mut self, start: usize, left: &mut Parsed, power: u8, grammar: Grammar) -> Read<Option<Parsed>> {
        let a = grammar == Grammar::A;
        let Some(token) = self.cursor.peek() else { return Ok(None) };
        let word = self.cursor.source(token);
        if word.len() > 8 {
            return Ok(None);
        }
        let upper = word.to_ascii_uppercase();
        let negated = upper == "NOT"
            && ["IN", "BETWEEN", "LIKE", "ILIKE", "SIMILAR"].iter().any(|next| self.cursor.is_nth(1, next));
        let keyword = if negated {
            self.cursor.nth(1).map_or(String::new(), |next| self.cursor.source(next).to_ascii_uppercase())
        } else {
            upper
        };
        let strength = match keyword.as_str() {
            "OR" if a => OR,
            "AND" if a => AND,
            "IS" => IS,
            "ISNULL" | "NOTNULL" if a => IS,
            "IN" | "BETWEEN" | "LIKE" | "ILIKE" if a => MATCH,
            // SUBSTRING's SIMILAR has no TO.
            "SIMILAR" if a && self.cursor.is_nth(1 + usize::from(negated), "TO") => MATCH,
            "OVERLAPS" if a => MATCH,
            "OPERATOR" if self.cursor.is_kind_nth(1, Kind::LParen) => OPERATOR,
            "AT" if a && (self.cursor.is_nth(1, "TIME") || self.cursor.is_nth(1, "LOCAL")) => ZONE,
            "COLLATE" if a => COLLATE,
            _ => return Ok(None),
        };
        if strength < power {
            return Ok(None);
        }
        if strength == OPERATOR {
            let Some(operator) = self.qualified_operator()? else { return Ok(None) };
            return self.operator(start, left, operator, OPERATOR, grammar).map(Some);
        }
        self.cursor.at += 1 + usize::from(negated);
        let parsed = match keyword.as_str() {
            "OR" | "AND" => {
                let right = self.expr(strength + 1, grammar)?;
                let depth = left.depth.max(right.depth + 1);
                let (left, _) = Self::take(left);
                let node = if strength == AND { and(*left, right.node) } else { or(*left, right.node) };
                // A chain of equal operators is one node: only its first joint adds to the depth.
                Parsed { node, depth: depth.max(2) }
            }
            "IS" => return self.is_test(start, left, grammar).map(Some),
            "ISNULL" | "NOTNULL" => {
                let (expr, depth) = Self::take(left);
                Parsed { node: ExprNode::IsNull { expr, negated: keyword == "NOTNULL" }, depth: depth + 1 }
            }
            "IN" => self.in_list(start, left, negated)?,
            "BETWEEN" => {
                let symmetric = self.cursor.accept("SYMMETRIC");
                if !symmetric {
                    self.cursor.accept("ASYMMETRIC");
                }
                let low = self.expr(0, Grammar::B)?;
                self.cursor.expect("AND")?;
                let high = self.expr(MATCH + 1, grammar)?;
                let depth = left.depth.max(low.depth).max(high.depth) + 1;
                let (expr, _) = Self::take(left);
                let (low, high) = (Box::new(low.node), Box::new(high.node));
                Parsed { node: ExprNode::Between { expr, low, high, symmetric, negated }, depth }
            }
            "LIKE" | "ILIKE" | "SIMILAR" => {
                let operator = if keyword == "SIMILAR" {
                    self.cursor.expect("TO")?;
                    "SIMILAR TO".to_owned()
                } else {
                    keyword
                };
                let symbol = like_operator(&operator, negated).unwrap_or_default();
                if let Some(parsed) = self.quantified(start, left, symbol)? {
                    return Ok(Some(parsed));
                }
                let pattern = self.expr(MATCH + 1, grammar)?;
                let escape = if self.cursor.accept("ESCAPE") { Some(self.expr(MATCH + 1, grammar)?) } else { None };
                let depth = left.depth.max(pattern.depth).max(escape.as_ref().map_or(0, |escape| escape.depth)) + 1;
                let (expr, _) = Self::take(left);
                let (pattern, escape) = (Box::new(pattern.node), escape.map(|escape| Box::new(escape.node)));
                Parsed { node: ExprNode::Like { operator, expr, pattern, escape, negated }, depth }
            }
            "OVERLAPS" => self.operator(start, left, "OVERLAPS".to_owned(), MATCH, grammar)?,
            "AT" => {
                if self.cursor.accept("LOCAL") {
                    let (expr, depth) = Self::take(left);
                    Parsed { node: self.other_from(start, vec![*expr]), depth: depth + 1 }
                } else {
                    self.cursor.expect_all(&["TIME", "ZONE"])?;
                    let (zone, zone_depth) = Self::boxed(self.expr(ZONE + 1, grammar)?);
                    let (expr, depth) = Self::take(left);
                    Parsed { node: ExprNode::AtTimeZone { expr, zone }, depth: depth.max(zone_depth) + 1 }
                }
            }
            _ => {
                let collation = self.name_in_catalog()?;
                let (expr, depth) = Self::take(left);
                Parsed { node: ExprNode::Collate { expr, collation }, depth: depth + 1 }
            }
        };
        Ok(Some(parsed))
    }

    fn name_in_catalog(&mut self) -> Read<QualifiedName> {
        self.cursor.dotted().map(without_catalog)
    }

    /// Behind IS.
    fn is_test(&mut self, start: usize, left: &mut Parsed, grammar: Grammar) -> Read<Parsed> {
        let negated = self.cursor.accept("NOT");
        if self.cursor.accept_all(&["DISTINCT", "FROM"]) {
            let right = self.expr(IS + 1, grammar)?;
            let depth = left.depth.max(right.depth) + 1;
            let ((left, _), right) = (Self::take(left), Box::new(right.node));
            return Ok(Parsed { node: ExprNode::IsDistinctFrom { left, right, negated }, depth });
        }
        let depth = left.depth + 1;
        if grammar == Grammar::A {
            if self.cursor.accept("NULL") {
                let (expr, _) = Self::take(left);
                return Ok(Parsed { node: ExprNode::IsNull { expr, negated }, depth });
            }
            if let Some(word) = self.cursor.accept_any(&["TRUE", "FALSE", "UNKNOWN"]) {
                let value = match word {
                    "TRUE" => Some(true),
                    "FALSE" => Some(false),
                    _ => None,
                };
                let (expr, _) = Self::take(left);
                return Ok(Parsed { node: ExprNode::IsTruth { expr, value, negated }, depth });
            }
            let form = self.cursor.accept_any(&["NFC", "NFD", "NFKC", "NFKD"]);
            if self.cursor.accept("NORMALIZED") {
                let (expr, _) = Self::take(left);
                let form = form.map(|form| Parsed::leaf(ExprNode::Text(form.to_owned())));
                let args = std::iter::once(Parsed { node: *expr, depth }).chain(form).collect();
                let Parsed { node, depth } = self.standard_call("is_normalized", args);
                let node = if negated { ExprNode::Not(Box::new(node)) } else { node };
                return Ok(Parsed { node, depth: depth + 1 });
            }
            if form.is_none() && self.cursor.accept("JSON") {
                self.cursor.accept_any(&["VALUE", "ARRAY", "OBJECT", "SCALAR"]);
                if self.cursor.accept_any(&["WITH", "WITHOUT"]).is_some() {
                    self.cursor.expect("UNIQUE")?;
                    self.cursor.accept("KEYS");
                }
                let (expr, _) = Self::take(left);
                return Ok(Parsed { node: self.other_from(start, vec![*expr]), depth });
            }
        }
        self.cursor.expect("DOCUMENT")?;
        let (expr, _) = Self::take(left);
        Ok(Parsed { node: self.other_from(start, vec![*expr]), depth })
    }

    /// Behind IN: a list, a subquery, or the driver's placeholder for a list.
    fn in_list(&mut self, start: usize, left: &mut Parsed, negated: bool) -> Read<Parsed> {
        if self.cursor.accept_kind(Kind::Placeholder) {
            let (expr, depth) = Self::take(left);
            return Ok(Parsed { node: self.other_from(start, vec![*expr]), depth: depth + 1 });
        }
        if let Some(query) = self.subquery()? {
            let (expr, depth) = Self::take(left);
            let kind = SubqueryKind::Tested { operator: "=".to_owned() };
            let parts = vec![*expr, ExprNode::Subquery { kind, query }];
            return Ok(Parsed { node: self.other_from(start, parts), depth: depth + 1 });
        }
        let (list, depth) = self.list_in_parentheses()?;
        let depth = left.depth.max(depth) + 1;
        let (expr, _) = Self::take(left);
        Ok(Parsed { node: ExprNode::InList { expr, list, negated }, depth })
    }

    /// `( expr, … )` with the depth of its deepest item.
    fn list_in_parentheses(&mut self) -> Read<(Vec<ExprNode>, usize)> {
        self.cursor.expect_kind(Kind::LParen, "(")?;
        let list = self.list(Kind::RParen)?;
        self.cursor.expect_kind(Kind::RParen, ")")?;
        Ok(list)
    }

    /// `expr, …`, nothing where `end` stands.
    fn list(&mut self, end: Kind) -> Read<(Vec<ExprNode>, usize)> {
        let mut list = Vec::new();
        let mut depth = 0;
        if self.cursor.is_kind(end) {
            return Ok((list, depth));
        }
        loop {
            let item = self.expr(0, Grammar::A)?;
            depth = depth.max(item.depth);
            list.push(item.node);
            if !self.cursor.accept_kind(Kind::Comma) {
                return Ok((list, depth));
            }
        }
    }

    /// What `( query )` names. `None`: something else stands here; nothing was read.
    fn subquery(&mut self) -> Read<Option<Box<Query>>> {
        let begins = self.cursor.is_kind(Kind::LParen)
            && ["SELECT", "WITH", "VALUES", "TABLE"].iter().any(|word| self.cursor.is_nth(1, word));
        if begins { self.whole_subquery().map(Some) } else { Ok(None) }
    }

    fn whole_subquery(&mut self) -> Read<Box<Query>> {
        let (start, end) = self.cursor.skip_parenthesized()?;
        Ok(Box::new(query::nested(self.cursor.text, &self.cursor.tokens[start..end], self.nesting)))
    }

    /// A subquery, a row, or an expression in parentheses.
    fn parenthesized(&mut self) -> Read<Parsed> {
        if let Some(query) = self.subquery()? {
            return Ok(Parsed::leaf(ExprNode::Subquery { kind: SubqueryKind::Scalar, query }));
        }
        let start = self.cursor.at;
        let nesting = self.nesting;
        match self.list_in_parentheses() {
            Ok((mut list, depth)) => match (list.pop(), list.is_empty()) {
                (Some(node), true) => Ok(Parsed { node, depth }),
                (Some(last), false) => {
                    list.push(last);
                    Ok(Parsed { node: ExprNode::Row(list), depth: depth + 1 })
                }
                (None, _) => self.cursor.unexpected("an expression"),
            },
            Err(unread) => {
                // `((SELECT …) UNION (SELECT …))`.
                self.cursor.at = start;
                self.nesting = nesting;
                if !query::begins(&self.cursor) {
                    return Err(unread);
                }
                // It was read once already: its SELECTs are not taken apart again at each parenthesis.
                let (start, end) = self.cursor.skip_parenthesized()?;
                let query = query::names(self.cursor.text, &self.cursor.tokens[start..end]);
                Ok(Parsed::leaf(ExprNode::Subquery { kind: SubqueryKind::Unknown, query: Box::new(query) }))
            }
        }
    }

    /// A literal, a column, a call and what has its own words, with subscripts and fields behind it.
    fn primary(&mut self) -> Read<Parsed> {
        let start = self.cursor.at;
        let mut parsed = self.operand()?;
        loop {
            if self.cursor.is_kind(Kind::LBracket) {
                let open = self.cursor.at;
                self.cursor.at += 1;
                let index = if self.cursor.is_operator(":") { None } else { Some(self.expr(0, Grammar::A)?) };
                if let Some(index) = index
                    && self.cursor.accept_kind(Kind::RBracket)
                {
                    let depth = parsed.depth.max(index.depth) + 1;
                    let node = ExprNode::Subscript { expr: Box::new(parsed.node), index: Box::new(index.node) };
                    parsed = Parsed { node, depth };
                } else {
                    // A slice.
                    self.cursor.at = self.cursor.after_closing(open)?;
                    parsed.depth += 1;
                    parsed.node = self.other_from(start, vec![parsed.node]);
                }
            } else if self.cursor.is_kind(Kind::Dot) {
                self.cursor.at += 1;
                parsed.depth += 1;
                parsed.node = if self.cursor.accept_operator("*") {
                    self.other_from(start, vec![parsed.node])
                } else {
                    ExprNode::Field { name: self.cursor.label()?, expr: Box::new(parsed.node) }
                };
            } else {
                return Ok(parsed);
            }
            if parsed.depth > DEPTH {
                return Err(Unread::new("the expression is too deep".to_owned()));
            }
        }
    }

    fn operand(&mut self) -> Read<Parsed> {
        let Some(token) = self.cursor.peek() else { return self.cursor.unexpected("an expression") };
        let source = self.cursor.source(token);
        match token.kind {
            Kind::Number => {
                self.cursor.at += 1;
                Ok(Parsed::leaf(ExprNode::Number(source.to_owned())))
            }
            Kind::String | Kind::EscapeString | Kind::UnicodeString | Kind::Dollar => {
                self.cursor.at += 1;
                Ok(Parsed::leaf(match literal::string_value(self.cursor.text, token) {
                    Some(value) => ExprNode::Text(value),
                    None => ExprNode::Other { text: source.to_owned(), parts: Vec::new(), words: false, form: None },
                }))
            }
            Kind::BitString | Kind::Parameter | Kind::Placeholder => {
                self.cursor.at += 1;
                Ok(Parsed::leaf(ExprNode::Other {
                    text: source.to_owned(),
                    parts: Vec::new(),
                    words: false,
                    form: None,
                }))
            }
            Kind::LParen => self.parenthesized(),
            Kind::Quoted | Kind::UnicodeQuoted => self.name(),
            Kind::Word => self.word(source),
            _ => self.cursor.unexpected("an expression"),
        }
    }

    fn word(&mut self, source: &str) -> Read<Parsed> {
        if self.cursor.is_kind_nth(1, Kind::Dot) {
            return self.name();
        }
        let upper = source.to_ascii_uppercase();
        let leaf = |reader: &mut Self, node| {
            reader.cursor.at += 1;
            Ok(Parsed::leaf(node))
        };
        let call = self.cursor.is_kind_nth(1, Kind::LParen);
        match upper.as_str() {
            "NULL" => return leaf(self, ExprNode::Null),
            "TRUE" => return leaf(self, ExprNode::Bool(true)),
            "FALSE" => return leaf(self, ExprNode::Bool(false)),
            "DEFAULT" => return leaf(self, ExprNode::Default),
            "CASE" => return self.case(),
            "ARRAY" => return self.array(),
            "EXISTS" if call => {
                self.cursor.at += 1;
                let parsed = self.parenthesized()?;
                return match parsed.node {
                    ExprNode::Subquery { query, .. } => {
                        Ok(Parsed::leaf(ExprNode::Subquery { kind: SubqueryKind::Exists, query }))
                    }
                    _ => self.cursor.unexpected("a subquery"),
                };
            }
            "ROW" if call => {
                self.cursor.at += 1;
                let (list, depth) = self.list_in_parentheses()?;
                return Ok(Parsed { node: ExprNode::Row(list), depth: depth + 1 });
            }
            "COLLATION" if self.cursor.is_nth(1, "FOR") => {
                self.cursor.at += 2;
                let parsed = self.parenthesized()?;
                return Ok(self.call_of("pg_collation_for", vec![parsed]));
            }
            name if KEYWORD_FUNCTIONS.contains(&name) => return self.keyword_function(&upper),
            _ => {}
        }
        if let Some(parsed) = self.typed_literal(&upper) {
            return Ok(parsed);
        }
        if call && is_special_function(&upper) {
            return self.contained(|reader| reader.special_function(&upper));
        }
        // LEFT and RIGHT are reserved and functions all the same.
        if query::is_reserved(&upper) && !(call && matches!(upper.as_str(), "LEFT" | "RIGHT")) {
            return self.cursor.unexpected("an expression");
        }
        self.name()
    }

    /// `CURRENT_TIMESTAMP`, `CURRENT_TIMESTAMP(3)`.
    fn keyword_function(&mut self, upper: &str) -> Read<Parsed> {
        self.cursor.at += 1;
        let (args, depth) =
            if self.cursor.is_kind(Kind::LParen) { self.list_in_parentheses()? } else { (Vec::new(), 0) };
        let function = QualifiedName::new(upper.to_ascii_lowercase());
        Ok(Parsed { node: ExprNode::Call { function, args, keyword: true }, depth: depth + 1 })
    }

    /// `type 'text'`, `INTERVAL '1' DAY`. `None`: nothing was read.
    fn typed_literal(&mut self, upper: &str) -> Option<Parsed> {
        // Only these have words or modifiers between the type and the text.
        let wordy = matches!(
            upper,
            "INTERVAL"
                | "TIMESTAMP"
                | "TIME"
                | "DOUBLE"
                | "CHARACTER"
                | "CHAR"
                | "NCHAR"
                | "NATIONAL"
                | "BIT"
                | "VARCHAR"
                | "NUMERIC"
                | "DECIMAL"
                | "DEC"
                | "FLOAT"
        );
        let literal = |token: Option<Token>| {
            token.is_some_and(|token| {
                matches!(token.kind, Kind::String | Kind::EscapeString | Kind::UnicodeString | Kind::Dollar)
            })
        };
        if !(literal(self.cursor.nth(1)) || (wordy && self.cursor.nth(1).is_some())) || query::is_reserved(upper) {
            return None;
        }
        let mut ahead = self.cursor.clone();
        let mut data_type = ahead.data_type().ok()?;
        if !literal(ahead.peek()) {
            return None;
        }
        let modified = (self.cursor.at..ahead.at).any(|index| self.cursor.tokens[index].kind == Kind::LParen);
        if !modified && (data_type.is("bpchar") || data_type.is("bit")) {
            // A constant is as long as its text.
            data_type.modifiers.clear();
        }
        let text = ahead.string().ok()?;
        if data_type.is("interval")
            && let Some((fields, precision)) = interval_fields(&mut ahead)
        {
            data_type.fields = Some(fields);
            data_type.modifiers.extend(precision);
        }
        self.cursor.at = ahead.at;
        Some(Parsed { node: ExprNode::Cast { expr: Box::new(ExprNode::Text(text)), data_type }, depth: 2 })
    }

    /// `CASE [operand] WHEN … THEN … [ELSE …] END`.
    fn case(&mut self) -> Read<Parsed> {
        self.cursor.expect("CASE")?;
        let mut depth = 0;
        let mut part = |reader: &mut Self| {
            let parsed = reader.expr(0, Grammar::A)?;
            depth = depth.max(parsed.depth);
            Ok(parsed.node)
        };
        let operand = if self.cursor.is("WHEN") { None } else { Some(Box::new(part(self)?)) };
        let mut branches = Vec::new();
        while self.cursor.accept("WHEN") {
            let when = part(self)?;
            self.cursor.expect("THEN")?;
            branches.push((when, part(self)?));
        }
        if branches.is_empty() {
            return self.cursor.unexpected("WHEN");
        }
        let otherwise = if self.cursor.accept("ELSE") { Some(Box::new(part(self)?)) } else { None };
        self.cursor.expect("END")?;
        Ok(Parsed { node: ExprNode::Case { operand, branches, otherwise }, depth: depth + 1 })
    }

    /// `ARRAY[…]`, `ARRAY( query )`.
    fn array(&mut self) -> Read<Parsed> {
        let start = self.cursor.at;
        self.cursor.expect("ARRAY")?;
        if self.cursor.is_kind(Kind::LParen) {
            let query = self.whole_subquery()?;
            let node = self.other_from(start, vec![ExprNode::Subquery { kind: SubqueryKind::Array, query }]);
            return Ok(Parsed { node, depth: 2 });
        }
        self.array_items()
    }

    fn array_items(&mut self) -> Read<Parsed> {
        self.nesting += 1;
        if self.nesting > NESTING {
            return Err(Unread::new("the expression is too deep".to_owned()));
        }
        self.cursor.expect_kind(Kind::LBracket, "[")?;
        let (list, depth) = if self.cursor.is_kind(Kind::LBracket) {
            let mut list = Vec::new();
            let mut depth = 0;
            loop {
                let inner = self.array_items()?;
                depth = depth.max(inner.depth);
                list.push(inner.node);
                if !self.cursor.accept_kind(Kind::Comma) {
                    break (list, depth);
                }
            }
        } else {
            self.list(Kind::RBracket)?
        };
        self.cursor.expect_kind(Kind::RBracket, "]")?;
        self.nesting -= 1;
        Ok(Parsed { node: ExprNode::Array(list), depth: depth + 1 })
    }

    /// A column or a call.
    fn name(&mut self) -> Read<Parsed> {
        let start = self.cursor.at;
        let mut parts = self.cursor.dotted()?;
        if self.cursor.is_kind(Kind::LParen) {
            let function = without_catalog(parts);
            self.cursor.at = start;
            return self.contained(|reader| {
                reader.cursor.dotted()?;
                reader.call(start, function)
            });
        }
        let Some(name) = parts.pop() else { return self.cursor.unexpected("a name") };
        Ok(Parsed::leaf(ExprNode::Column { qualifier: parts.pop(), name }))
    }

    /// A call with a grammar of its own or arguments that cannot be read is `Other` up to its closing parenthesis.
    fn contained(&mut self, read: impl FnOnce(&mut Self) -> Read<Parsed>) -> Read<Parsed> {
        let start = self.cursor.at;
        let nesting = self.nesting;
        let outcome = read(self);
        if outcome.is_ok() {
            return outcome;
        }
        self.nesting = nesting;
        self.cursor.at = start;
        while self.cursor.is_ident() || self.cursor.is_kind(Kind::Dot) {
            self.cursor.at += 1;
        }
        self.cursor.skip_parenthesized()?;
        self.over()?;
        Ok(Parsed { node: other(&self.cursor, start, self.cursor.at), depth: 2 })
    }

    /// The arguments of `function` and what may follow them; the call begins at `start`.
    fn call(&mut self, start: usize, function: QualifiedName) -> Read<Parsed> {
        self.cursor.expect_kind(Kind::LParen, "(")?;
        let mut plain = true;
        let mut form = CallForm::default();
        let mut depth = 0;
        let mut args = Vec::new();
        let mut parts = Vec::new();
        if self.cursor.is_operator("*") && self.cursor.is_kind_nth(1, Kind::RParen) {
            self.cursor.at += 1;
            args.push(ExprNode::Other { text: "*".to_owned(), parts: Vec::new(), words: false, form: None });
        } else if !self.cursor.is_kind(Kind::RParen) {
            if self.cursor.accept("DISTINCT") {
                plain = false;
                form.distinct = true;
            } else {
                self.cursor.accept("ALL");
            }
            let json =
                matches!(function.name.as_str(), "json_object" | "json_array" | "json_objectagg" | "json_arrayagg");
            loop {
                // `RETURNING` alone, in a constructor without values.
                if json && args.is_empty() && self.json_clauses()? {
                    plain = false;
                    break;
                }
                let argument = self.argument()?;
                depth = depth.max(argument.depth);
                args.push(argument.node);
                if json && self.cursor.accept("VALUE") {
                    plain = false;
                    let value = self.argument()?;
                    depth = depth.max(value.depth);
                    args.push(value.node);
                }
                if json && self.cursor.accept_all(&["FORMAT", "JSON"]) {
                    plain = false;
                }
                if !self.cursor.accept_kind(Kind::Comma) {
                    break;
                }
            }
            if self.cursor.accept_all(&["ORDER", "BY"]) {
                plain = false;
                self.order_by(&mut parts, &mut depth)?;
            }
            if json && self.json_clauses()? {
                plain = false;
            }
        }
        self.cursor.expect_kind(Kind::RParen, ")")?;
        if self.cursor.accept_all(&["WITHIN", "GROUP"]) {
            plain = false;
            form.within = true;
            self.cursor.expect_kind(Kind::LParen, "(")?;
            self.cursor.expect_all(&["ORDER", "BY"])?;
            self.order_by(&mut parts, &mut depth)?;
            self.cursor.expect_kind(Kind::RParen, ")")?;
        }
        form.order = parts.len();
        if self.cursor.is("FILTER") && self.cursor.is_kind_nth(1, Kind::LParen) {
            plain = false;
            form.filter = true;
            self.cursor.at += 2;
            self.cursor.expect("WHERE")?;
            let filter = self.expr(0, Grammar::A)?;
            depth = depth.max(filter.depth);
            parts.push(filter.node);
            self.cursor.expect_kind(Kind::RParen, ")")?;
        }
        if self.cursor.accept_all(&["IGNORE", "NULLS"]) || self.cursor.accept_all(&["RESPECT", "NULLS"]) {
            plain = false;
        }
        if let Some((from, to)) = self.over()? {
            plain = false;
            form.over = true;
            if from > to {
                form.window = identifier(self.cursor.text, self.cursor.tokens[to]);
            } else if from < to {
                if let Ok((name, partition, window)) = self.window(from, to) {
                    form.window = name;
                    form.partition = partition;
                    form.frame = self.frame(from, to);
                    parts.extend(window);
                } else {
                    form.unread = true;
                    parts.push(other(&self.cursor, from, to));
                }
            }
        }
        let call = ExprNode::Call { function, args, keyword: false };
        if plain {
            return Ok(Parsed { node: call, depth: depth + 1 });
        }
        // An aggregate with DISTINCT or FILTER, a window function.
        parts.insert(0, call);
        let text = self.cursor.source_of(start, self.cursor.at).to_owned();
        let node = ExprNode::Other { text, parts, words: false, form: Some(Box::new(form)) };
        Ok(Parsed { node, depth: depth + 2 })
    }

    /// `OVER name`, `OVER ( … )`: the tokens inside the parentheses; of a name, the place behind it and its own.
    fn over(&mut self) -> Read<Option<(usize, usize)>> {
        if !(self.cursor.is("OVER") && (self.cursor.is_kind_nth(1, Kind::LParen) || self.cursor.is_ident_nth(1))) {
            return Ok(None);
        }
        self.cursor.at += 1;
        if self.cursor.is_kind(Kind::LParen) {
            return self.cursor.skip_parenthesized().map(Some);
        }
        self.cursor.at += 1;
        Ok(Some((self.cursor.at, self.cursor.at - 1)))
    }

    /// `[name] [PARTITION BY …] [ORDER BY …] [frame]`: the name, the length of the first list, and the expressions of both.
    fn window(&self, from: usize, to: usize) -> Read<(Option<Ident>, usize, Vec<ExprNode>)> {
        let tokens = self.cursor.tokens.get(..to).unwrap_or_default();
        let mut reader =
            Reader { cursor: Cursor { at: from, tokens, ..self.cursor.clone() }, nesting: self.nesting + 1 };
        let clauses = ["PARTITION", "ORDER", "RANGE", "ROWS", "GROUPS"];
        let name = if reader.cursor.is_any(&clauses) { None } else { Some(reader.cursor.ident()?) };
        let (mut parts, mut depth) = (Vec::new(), 0);
        if reader.cursor.accept_all(&["PARTITION", "BY"]) {
            loop {
                let key = reader.expr(0, Grammar::A)?;
                depth = depth.max(key.depth);
                parts.push(key.node);
                if !reader.cursor.accept_kind(Kind::Comma) {
                    break;
                }
            }
        }
        let partition = parts.len();
        if reader.cursor.accept_all(&["ORDER", "BY"]) {
            reader.order_by(&mut parts, &mut depth)?;
        }
        if depth > DEPTH || !(reader.cursor.is_at_end() || reader.cursor.is_any(&["RANGE", "ROWS", "GROUPS"])) {
            return reader.cursor.unexpected("a window");
        }
        Ok((name, partition, parts))
    }

    /// The frame of a window whose tokens these are.
    fn frame(&self, from: usize, to: usize) -> Option<(&'static str, bool)> {
        let tokens = self.cursor.tokens.get(..to)?;
        let mut cursor = Cursor { at: from, tokens, ..self.cursor.clone() };
        cursor.at = cursor.find_outside(|cursor, index| cursor.word_at(index, &["RANGE", "ROWS", "GROUPS"]));
        let mode = cursor.accept_any(&["RANGE", "ROWS", "GROUPS"])?;
        let offset = (cursor.at..to).any(|index| {
            cursor.word_at(index, &["PRECEDING", "FOLLOWING"]) && !cursor.word_at(index - 1, &["UNBOUNDED"])
        });
        Some((mode, offset))
    }

    /// `expr`, `name => expr`, `VARIADIC expr`.
    fn argument(&mut self) -> Read<Parsed> {
        let start = self.cursor.at;
        let named =
            self.cursor.is_ident() && (self.cursor.is_operator_nth(1, "=>") || self.cursor.is_operator_nth(1, ":="));
        if named {
            self.cursor.at += 2;
        }
        let variadic = self.cursor.accept("VARIADIC");
        let parsed = self.expr(0, Grammar::A)?;
        if named || variadic {
            let depth = parsed.depth + 1;
            return Ok(Parsed { node: self.other_from(start, vec![parsed.node]), depth });
        }
        Ok(parsed)
    }

    /// Behind ORDER BY: the expressions go to `parts`.
    fn order_by(&mut self, parts: &mut Vec<ExprNode>, depth: &mut usize) -> Read<()> {
        loop {
            let key = self.expr(0, Grammar::A)?;
            *depth = (*depth).max(key.depth);
            parts.push(key.node);
            if self.cursor.accept("USING") {
                if self.qualified_operator()?.is_none() {
                    self.cursor.expect_kind(Kind::Operator, "an operator")?;
                }
            } else {
                self.cursor.accept_any(&["ASC", "DESC"]);
            }
            if self.cursor.accept("NULLS") && self.cursor.accept_any(&["FIRST", "LAST"]).is_none() {
                return self.cursor.unexpected("FIRST or LAST");
            }
            if !self.cursor.accept_kind(Kind::Comma) {
                return Ok(());
            }
        }
    }

    #[expect(clippy::unused_self, reason = "it reads like the other productions")]
    fn call_of(&self, name: &str, args: Vec<Parsed>) -> Parsed {
        let depth = args.iter().map(|arg| arg.depth).max().unwrap_or(0) + 1;
        let args = args.into_iter().map(|arg| arg.node).collect();
        Parsed { node: ExprNode::Call { function: QualifiedName::new(name), args, keyword: false }, depth }
    }

    fn standard_call(&self, name: &str, args: Vec<Parsed>) -> Parsed {
        Self::in_standard_form(self.call_of(name, args))
    }

    /// The server keeps that it was written in the standard's way.
    const fn in_standard_form(mut parsed: Parsed) -> Parsed {
        if let ExprNode::Call { keyword, .. } = &mut parsed.node {
            *keyword = true;
        }
        parsed
    }

    /// What may follow the values of `JSON_OBJECT` and its kin; whether anything did.
    fn json_clauses(&mut self) -> Read<bool> {
        let start = self.cursor.at;
        let _ = self.cursor.accept_all(&["NULL", "ON", "NULL"]) || self.cursor.accept_all(&["ABSENT", "ON", "NULL"]);
        if self.cursor.accept_all(&["WITH", "UNIQUE"]) || self.cursor.accept_all(&["WITHOUT", "UNIQUE"]) {
            self.cursor.accept("KEYS");
        }
        if self.cursor.accept("RETURNING") {
            self.cursor.data_type()?;
            self.cursor.accept_all(&["FORMAT", "JSON"]);
        }
        Ok(self.cursor.at > start)
    }

    /// Functions whose arguments words separate, as the server's calls.
    fn special_function(&mut self, name: &str) -> Read<Parsed> {
        self.cursor.at += 2;
        let parsed = match name {
            "CAST" => {
                let operand = self.expr(0, Grammar::A)?;
                self.cursor.expect("AS")?;
                let data_type = self.cursor.data_type()?;
                let (expr, depth) = Self::boxed(operand);
                Parsed { node: ExprNode::Cast { expr, data_type }, depth: depth + 1 }
            }
            "EXTRACT" => {
                let field = match self.cursor.string() {
                    Ok(field) => field,
                    Err(_) => self.cursor.label()?.as_str().to_owned(),
                };
                self.cursor.expect("FROM")?;
                let operand = self.expr(0, Grammar::A)?;
                self.call_of("extract", vec![Parsed::leaf(ExprNode::Text(field)), operand])
            }
            "POSITION" => {
                let part = self.expr(0, Grammar::B)?;
                self.cursor.expect("IN")?;
                let whole = self.expr(0, Grammar::B)?;
                self.standard_call("position", vec![whole, part])
            }
            "OVERLAY" => {
                let whole = self.expr(0, Grammar::A)?;
                if self.cursor.accept("PLACING") {
                    let mut args = vec![whole, self.expr(0, Grammar::A)?];
                    self.cursor.expect("FROM")?;
                    args.push(self.expr(0, Grammar::A)?);
                    if self.cursor.accept("FOR") {
                        args.push(self.expr(0, Grammar::A)?);
                    }
                    self.standard_call("overlay", args)
                } else {
                    self.plain_arguments("overlay", whole)?
                }
            }
            "SUBSTRING" => self.substring()?,
            "TRIM" => {
                let parsed = self.trim()?;
                Self::in_standard_form(parsed)
            }
            _ => {
                // NORMALIZE: its form is a word.
                let mut args = vec![self.expr(0, Grammar::A)?];
                if self.cursor.accept_kind(Kind::Comma) {
                    let form = self.cursor.label()?.as_str().to_ascii_uppercase();
                    args.push(Parsed::leaf(ExprNode::Text(form)));
                }
                self.standard_call("normalize", args)
            }
        };
        self.cursor.expect_kind(Kind::RParen, ")")?;
        Ok(parsed)
    }

    fn plain_arguments(&mut self, name: &str, first: Parsed) -> Read<Parsed> {
        let mut args = vec![first];
        while self.cursor.accept_kind(Kind::Comma) {
            args.push(self.expr(0, Grammar::A)?);
        }
        Ok(self.call_of(name, args))
    }

    fn substring(&mut self) -> Read<Parsed> {
        let whole = self.expr(0, Grammar::A)?;
        if self.cursor.accept("SIMILAR") {
            let pattern = self.expr(0, Grammar::A)?;
            self.cursor.expect("ESCAPE")?;
            let escape = self.expr(0, Grammar::A)?;
            return Ok(self.standard_call("substring", vec![whole, pattern, escape]));
        }
        let mut from = None;
        let mut length = None;
        loop {
            if from.is_none() && self.cursor.accept("FROM") {
                from = Some(self.expr(0, Grammar::A)?);
            } else if length.is_none() && self.cursor.accept("FOR") {
                length = Some(self.expr(0, Grammar::A)?);
            } else {
                break;
            }
        }
        let args = match (from, length) {
            (None, None) => return self.plain_arguments("substring", whole),
            (Some(from), None) => vec![whole, from],
            (Some(from), Some(length)) => vec![whole, from, length],
            (None, Some(length)) => {
                // As the server writes it: from the first character, with the length as an integer.
                let depth = length.depth + 1;
                let node = ExprNode::Cast { expr: Box::new(length.node), data_type: DataType::named("int4") };
                vec![whole, Parsed::leaf(ExprNode::Number("1".to_owned())), Parsed { node, depth }]
            }
        };
        Ok(self.standard_call("substring", args))
    }

    fn trim(&mut self) -> Read<Parsed> {
        let name = match self.cursor.accept_any(&["LEADING", "TRAILING", "BOTH"]) {
            Some("LEADING") => "ltrim",
            Some("TRAILING") => "rtrim",
            _ => "btrim",
        };
        if self.cursor.accept("FROM") {
            let first = self.expr(0, Grammar::A)?;
            return self.plain_arguments(name, first);
        }
        let first = self.expr(0, Grammar::A)?;
        if self.cursor.accept("FROM") {
            let whole = self.expr(0, Grammar::A)?;
            let mut call = self.plain_arguments(name, whole)?;
            if let ExprNode::Call { args, .. } = &mut call.node {
                args.push(first.node);
            }
            call.depth = call.depth.max(first.depth + 1);
            return Ok(call);
        }
        self.plain_arguments(name, first)
    }
}

fn interval_fields(cursor: &mut Cursor<'_>) -> Option<(String, Option<i32>)> {
    const FIELDS: [&str; 6] = ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"];
    let mut fields = cursor.accept_any(&FIELDS)?.to_ascii_lowercase();
    if cursor.is("TO")
        && let Some(to) = FIELDS.iter().find(|field| cursor.is_nth(1, field))
    {
        cursor.at += 2;
        fields = format!("{fields} to {}", to.to_ascii_lowercase());
    }
    let mut precision = None;
    if cursor.is_kind(Kind::LParen) && cursor.is_kind_nth(1, Kind::Number) && cursor.is_kind_nth(2, Kind::RParen) {
        precision = cursor.nth(1).and_then(|token| cursor.source(token).parse().ok());
        cursor.at += 3;
    }
    Some((fields, precision))
}

fn is_special_function(upper: &str) -> bool {
    matches!(upper, "CAST" | "EXTRACT" | "NORMALIZE" | "OVERLAY" | "POSITION" | "SUBSTRING" | "TRIM")
}

fn and(left: ExprNode, right: ExprNode) -> ExprNode {
    let mut list = match left {
        ExprNode::And(list) => list,
        left => vec![left],
    };
    list.push(right);
    ExprNode::And(list)
}

fn or(left: ExprNode, right: ExprNode) -> ExprNode {
    let mut list = match left {
        ExprNode::Or(list) => list,
        left => vec![left],
    };
    list.push(right);
    ExprNode::Or(list)
}

/// A name that the server finds in its own catalog without being told.
fn without_catalog(mut parts: Vec<Ident>) -> QualifiedName {
    let name = parts.pop().unwrap_or_else(|| Ident::from(""));
    match parts.pop() {
        Some(schema) if schema == "pg_catalog" => QualifiedName::new(name),
        schema => QualifiedName::as_written(schema, name),
    }
}

//! What a query reads: relations, columns, functions, locks.
//!
//! The tokens are walked once with an explicit stack of parentheses, so that depth costs no recursion and an unknown construct
//! inside an expression costs nothing else. The grammar's places where FROM, FOR and commas mean something else (`EXTRACT(… FROM …)`,
//! `IS DISTINCT FROM`, column definitions) are told apart.

use zdm_postgres::expr::ExprNode;
use zdm_postgres::statement::{OutputColumn, Query};
use zdm_postgres::{DataType, Ident, QualifiedName, Statement};

use crate::cursor::{Cursor, Read, identifier};
use crate::expr;
use crate::lexer::{Kind, Token};
use crate::select;
use crate::statement;

/// Whether a query begins here: SELECT, VALUES, TABLE, WITH, EXECUTE, or one of them in parentheses.
pub(crate) fn begins(cursor: &Cursor<'_>) -> bool {
    let mut ahead = cursor.clone();
    while ahead.accept_kind(Kind::LParen) {}
    ahead.is_any(&["SELECT", "VALUES", "TABLE", "WITH", "EXECUTE"])
}

/// Passes over a WITH clause, up to the statement that it belongs to.
pub(crate) fn skip_with(cursor: &mut Cursor<'_>) -> Read<()> {
    cursor.expect("WITH")?;
    cursor.accept("RECURSIVE");
    loop {
        cursor.ident()?;
        if cursor.is_kind(Kind::LParen) {
            cursor.skip_parenthesized()?;
        }
        cursor.expect("AS")?;
        cursor.accept("NOT");
        cursor.accept("MATERIALIZED");
        cursor.skip_parenthesized()?;
        if cursor.is_any(&["SEARCH", "CYCLE"]) {
            cursor.at = cursor.find_outside(|cursor, index| {
                cursor.tokens[index].kind == Kind::Comma && cursor.is_ident_at(index + 1) && {
                    let mut ahead = cursor.clone();
                    ahead.at = index + 2;
                    ahead.is("AS") || ahead.is_kind(Kind::LParen)
                } || cursor.word_at(index, &["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "TABLE"])
            });
        }
        if !cursor.accept_kind(Kind::Comma) {
            return Ok(());
        }
    }
}

/// A whole query.
pub(crate) fn read(text: &str, tokens: &[Token]) -> Query {
    read_parts(&Cursor::new(text, tokens), &[(0, tokens.len())])
}

/// The parts of a data statement that read. The query's text is that of all tokens.
pub(crate) fn read_parts(cursor: &Cursor<'_>, parts: &[(usize, usize)]) -> Query {
    let mut query = scan(cursor, parts, cursor.nested);
    cursor.source_of(0, cursor.tokens.len()).clone_into(&mut query.text);
    query.words = words(cursor);
    output(&Cursor { at: 0, ..cursor.clone() }, &mut query);
    grouped(cursor, &mut query);
    if let [(start, end)] = parts {
        select::read(cursor.text, cursor.tokens.get(*start..*end).unwrap_or_default(), 0, &mut query);
    }
    query
}

/// `GROUP BY a, t.b, 1` at the query's own level: names, and numbers of output columns that are names.
fn grouped(cursor: &Cursor<'_>, query: &mut Query) {
    let mut cursor = Cursor { at: 0, ..cursor.clone() };
    cursor.at =
        cursor.find_outside(|cursor, index| cursor.word_at(index, &["GROUP"]) && cursor.word_at(index + 1, &["BY"]));
    if cursor.is_at_end() {
        return;
    }
    cursor.at += 2;
    loop {
        let start = cursor.at;
        let number = cursor.peek().and_then(|token| cursor.source(token).parse::<usize>().ok());
        let by_number = number.and_then(|number| query.output.get(number.checked_sub(1)?));
        if let Some(output) = by_number {
            if let ExprNode::Column { qualifier, name } = &*output.expr.node {
                query.grouped.push((qualifier.clone(), name.clone()));
            }
        } else if let Ok(mut parts) = cursor.dotted()
            && let Some(name) = parts.pop()
        {
            query.grouped.push((parts.pop(), name));
        }
        cursor.at = start;
        cursor.at = cursor.find_outside(|cursor, index| {
            cursor.tokens[index].kind == Kind::Comma || cursor.word_at(index, BEHIND_GROUP_BY)
        });
        if !cursor.accept_kind(Kind::Comma) {
            return;
        }
    }
}

/// What ends GROUP BY.
const BEHIND_GROUP_BY: &[&str] =
    &["HAVING", "WINDOW", "UNION", "INTERSECT", "EXCEPT", "ORDER", "LIMIT", "OFFSET", "FETCH", "FOR"];

fn words(cursor: &Cursor<'_>) -> String {
    let mut words = String::new();
    for token in cursor.tokens {
        if !words.is_empty() {
            words.push(' ');
        }
        match token.kind {
            Kind::Word => words.push_str(&cursor.source(*token).to_lowercase()),
            Kind::Quoted | Kind::UnicodeQuoted => words.push_str("\"\""),
            Kind::String | Kind::EscapeString | Kind::UnicodeString | Kind::BitString | Kind::Dollar => {
                words.push_str("''");
            }
            _ => words.push_str(cursor.source(*token)),
        }
    }
    words
}

/// What the tokens name, without the expressions and statements inside them: those may hold queries again.
pub(crate) fn names(text: &str, tokens: &[Token]) -> Query {
    scan(&Cursor::new(text, tokens), &[(0, tokens.len())], true)
}

/// The same of a query inside another one, with its SELECTs.
pub(crate) fn nested(text: &str, tokens: &[Token], nesting: usize) -> Query {
    let mut query = names(text, tokens);
    select::read(text, tokens, nesting, &mut query);
    query
}

fn scan(cursor: &Cursor<'_>, parts: &[(usize, usize)], nested: bool) -> Query {
    let tokens = cursor.tokens;
    let mut query = Query::default();
    let mut scan = Scan { query: &mut query, frames: vec![Frame::default()], nested, bare_star: false };
    for (start, end) in parts {
        let end = (*end).min(tokens.len());
        if *start < end {
            scan.part(Cursor { at: *start, tokens: &tokens[..end], ..cursor.clone() });
        }
    }
    if scan.bare_star {
        query.stars.clear();
    }
    query
}

/// What is known inside one pair of parentheses.
#[derive(Debug, Default)]
struct Frame {
    role: Role,
    /// Behind FROM, up to the next clause.
    in_from: bool,
    /// A relation may stand next.
    expecting: bool,
    /// Relations of this level's FROM with the name they go by here.
    relations: Vec<(Ident, QualifiedName)>,
    /// Names of common table expressions that are visible from here on.
    ctes: Vec<Ident>,
    /// Inside the list of a WITH clause.
    in_with: bool,
    /// The closing parenthesis makes this name visible outside.
    defines: Option<Ident>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Role {
    /// A query, a list, or an expression in parentheses.
    #[default]
    Group,
    /// A function's arguments: FROM and FOR separate them.
    Call,
    /// CAST's: AS is followed by a type.
    Cast,
    /// Names of columns or their definitions: nothing is read.
    Names,
}

struct Scan<'q> {
    query: &'q mut Query,
    frames: Vec<Frame>,
    /// The statement stands inside a WITH clause itself: it has no data-modifying ones.
    nested: bool,
    /// A `*` with nothing before it is selected.
    bare_star: bool,
}

impl Scan<'_> {
    fn part(&mut self, mut cursor: Cursor<'_>) {
        self.frames.truncate(1);
        if cursor.accept("USING") {
            self.begin_from();
        }
        while !cursor.is_at_end() {
            let before = cursor.at;
            self.step(&mut cursor);
            // Every step uses up a token.
            cursor.at = cursor.at.max(before + 1);
        }
        if let [frame] = self.frames.as_mut_slice() {
            frame.in_from = false;
            frame.expecting = false;
        }
    }

    fn frame(&mut self) -> &mut Frame {
        if self.frames.is_empty() {
            self.frames.push(Frame::default());
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    fn begin_from(&mut self) {
        let frame = self.frame();
        frame.in_from = true;
        frame.expecting = true;
    }

    fn end_from(&mut self) {
        let frame = self.frame();
        frame.in_from = false;
        frame.expecting = false;
    }

    fn step(&mut self, cursor: &mut Cursor<'_>) {
        let Some(token) = cursor.peek() else { return };
        match token.kind {
            Kind::LParen => self.open(cursor, Role::Group),
            Kind::RParen => self.close(cursor),
            Kind::Comma => {
                cursor.at += 1;
                let frame = self.frame();
                frame.expecting = frame.in_from;
            }
            Kind::Operator if cursor.is_operator("::") => {
                cursor.at += 1;
                self.type_name(cursor);
            }
            // An attribute of a value, or all of them.
            Kind::Dot if cursor.at.checked_sub(1).is_some_and(|before| is_closing(cursor, before)) => {
                let field = cursor.tokens.get(cursor.at + 1).and_then(|token| identifier(cursor.text, *token));
                self.query.fields.extend(field);
                cursor.at += 2;
            }
            Kind::Operator if cursor.is_operator("*") => {
                let selects = cursor.at.checked_sub(1).is_none_or(|before| {
                    cursor.tokens[before].kind == Kind::Comma
                        || cursor.tokens[before].kind == Kind::Dot
                        || cursor.word_at(before, &["SELECT", "ALL", "DISTINCT", "RETURNING"])
                });
                // `count(*)` selects nothing.
                if selects && self.frame().role == Role::Group {
                    self.query.star = true;
                    let dot = cursor.at.checked_sub(1).filter(|before| cursor.tokens[*before].kind == Kind::Dot);
                    let qualifier = dot.and_then(|dot| identifier(cursor.text, cursor.tokens[dot.checked_sub(1)?]));
                    match qualifier {
                        Some(qualifier) => self.query.stars.push(qualifier),
                        None => self.bare_star = true,
                    }
                }
                cursor.at += 1;
            }
            Kind::Word | Kind::Quoted | Kind::UnicodeQuoted => self.word(cursor),
            _ => cursor.at += 1,
        }
    }

    fn open(&mut self, cursor: &mut Cursor<'_>, role: Role) {
        cursor.at += 1;
        let parent = self.frame();
        let nested_from = role == Role::Group && parent.expecting;
        if role == Role::Group {
            parent.expecting = false;
        }
        let parent_names = parent.role == Role::Names;
        let role = if parent_names { Role::Names } else { role };
        self.frames.push(Frame { role, in_from: nested_from, expecting: nested_from, ..Frame::default() });
    }

    fn close(&mut self, cursor: &mut Cursor<'_>) {
        cursor.at += 1;
        if self.frames.len() < 2 {
            return;
        }
        let Some(closed) = self.frames.pop() else { return };
        let parent = self.frame();
        if let Some(name) = closed.defines {
            parent.ctes.push(name);
            return;
        }
        if !parent.in_from || parent.expecting {
            return;
        }
        // A subquery or join in FROM: what locks the outer rows locks these relations too.
        match closed.role {
            Role::Group if !closed.relations.is_empty() => {
                let alias = skip_alias(cursor);
                for (name, relation) in closed.relations {
                    self.called(alias.clone().unwrap_or(name), relation);
                }
            }
            Role::Group | Role::Call => {
                // `USING (a)` and conditions end without an alias; an alias is a name behind the parenthesis.
                if closed.role == Role::Call || cursor.is("AS") || cursor.is_ident() {
                    skip_alias(cursor);
                }
            }
            Role::Cast | Role::Names => {}
        }
    }

    fn word(&mut self, cursor: &mut Cursor<'_>) {
        let frame = self.frame();
        if frame.role == Role::Names {
            cursor.at += 1;
            return;
        }
        if frame.in_with && self.with_item(cursor) {
            return;
        }
        let plain = cursor.is_kind(Kind::Word);
        if self.frame().expecting {
            self.relation_item(cursor, plain);
            return;
        }
        if plain && self.keyword(cursor) {
            return;
        }
        self.reference(cursor);
    }

    /// One `name [( columns )] AS ( … )` of a WITH clause. `false`: the clause has ended; nothing was read.
    fn with_item(&mut self, cursor: &mut Cursor<'_>) -> bool {
        let mut ahead = cursor.clone();
        let Ok(name) = ahead.label() else { return false };
        if ahead.is_kind(Kind::LParen) && ahead.skip_parenthesized().is_err() {
            return false;
        }
        if !ahead.accept("AS") {
            if cursor.is_any(&["SEARCH", "CYCLE"]) {
                while !cursor.is_at_end()
                    && !cursor.is_kind(Kind::Comma)
                    && !cursor.is_any(&["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "TABLE"])
                {
                    cursor.at += 1;
                }
                return true;
            }
            self.frame().in_with = false;
            return false;
        }
        ahead.accept("NOT");
        ahead.accept("MATERIALIZED");
        let body = ahead.at;
        if !ahead.is_kind(Kind::LParen) {
            self.frame().in_with = false;
            return false;
        }
        // Data-modifying ones stand at the outermost level only.
        let modifies = ["INSERT", "UPDATE", "DELETE", "MERGE"].iter().any(|verb| ahead.is_nth(1, verb));
        if modifies
            && !self.nested
            && self.frames.len() == 1
            && let Ok((start, end)) = ahead.skip_parenthesized()
        {
            let mut statement = statement::read_nested(cursor.text, &cursor.tokens[start..end]);
            self.leave_out_ctes(&mut statement);
            self.query.modifies.push(statement);
            cursor.at = ahead.at;
            self.frame().ctes.push(name);
            return true;
        }
        cursor.at = body + 1;
        self.frames.push(Frame { defines: Some(name), ..Frame::default() });
        true
    }

    fn leave_out_ctes(&self, statement: &mut Statement) {
        if let Statement::Insert(dml) | Statement::Update(dml) | Statement::Delete(dml) | Statement::Merge(dml) =
            statement
        {
            dml.query.relations.retain(|relation| !self.is_cte(relation));
        }
    }

    fn is_cte(&self, name: &QualifiedName) -> bool {
        name.schema.is_none() && self.frames.iter().any(|frame| frame.ctes.contains(&name.name))
    }

    /// What stands where a relation is expected.
    fn relation_item(&mut self, cursor: &mut Cursor<'_>, plain: bool) {
        if plain {
            if cursor.is_any(&["SELECT", "WITH", "VALUES", "TABLE"]) {
                // The parenthesis holds a subquery.
                self.end_from();
                self.keyword(cursor);
                return;
            }
            if cursor.accept("LATERAL") || (cursor.is("ONLY") && cursor.nth(1).is_some()) {
                cursor.accept("ONLY");
                return;
            }
            if cursor.are(&["ROWS", "FROM"]) && cursor.is_kind_nth(2, Kind::LParen) {
                cursor.at += 2;
                self.frame().expecting = false;
                self.open(cursor, Role::Call);
                return;
            }
        }
        self.frame().expecting = false;
        if plain && expr::KEYWORD_FUNCTIONS.iter().any(|name| cursor.is(name)) && !cursor.is_kind_nth(1, Kind::Dot) {
            self.reference(cursor);
            skip_alias(cursor);
            return;
        }
        if cursor.are(&["COLLATION", "FOR"]) && cursor.is_kind_nth(2, Kind::LParen) {
            cursor.at += 2;
            self.open(cursor, Role::Call);
            return;
        }
        let alone = cursor.at.checked_sub(1).is_some_and(|before| cursor.word_at(before, &["ONLY"]));
        let Ok(name) = cursor.any_name() else { return };
        if cursor.is_kind(Kind::LParen) {
            self.function(name);
            self.open(cursor, Role::Call);
            return;
        }
        cursor.accept_operator("*");
        let alias = skip_alias(cursor).unwrap_or_else(|| name.name.clone());
        if !self.is_cte(&name) {
            self.relation(&name, alone);
            self.called(alias, name);
        }
        if cursor.accept("TABLESAMPLE") {
            let _ = cursor.any_name();
            if cursor.is_kind(Kind::LParen) {
                let _ = cursor.skip_parenthesized();
            }
        }
    }

    /// A relation of this FROM, by the name that it has there.
    fn called(&mut self, alias: Ident, name: QualifiedName) {
        let named = (alias, name);
        if !self.query.aliases.contains(&named) {
            self.query.aliases.push(named.clone());
        }
        self.frame().relations.push(named);
    }

    fn relation(&mut self, name: &QualifiedName, only: bool) {
        if !self.query.relations.contains(name) {
            self.query.relations.push(name.clone());
            if only {
                self.query.only.push(name.clone());
            }
        } else if !only {
            self.query.only.retain(|known| known != name);
        }
    }

    /// The type of a cast.
    fn type_name(&mut self, cursor: &mut Cursor<'_>) {
        let mut ahead = cursor.clone();
        if let Ok(DataType { name, .. }) = ahead.data_type() {
            cursor.at = ahead.at;
            if !self.query.types.contains(&name) {
                self.query.types.push(name);
            }
        }
    }

    fn function(&mut self, name: QualifiedName) {
        if !self.query.functions.contains(&name) {
            self.query.functions.push(name);
        }
    }

    /// The words that mean something for relations. `false`: the word is none of them; nothing was read.
    fn keyword(&mut self, cursor: &mut Cursor<'_>) -> bool {
        let previous = |words: &[&str]| cursor.at.checked_sub(1).is_some_and(|before| cursor.word_at(before, words));
        let Some(token) = cursor.peek() else { return false };
        // A name behind a dot, or a function's, is no key word.
        if cursor.is_kind_nth(1, Kind::Dot)
            || cursor.at.checked_sub(1).is_some_and(|at| cursor.tokens[at].kind == Kind::Dot)
        {
            return false;
        }
        let word = cursor.source(token).to_ascii_uppercase();
        match word.as_str() {
            "FROM" => {
                let call = matches!(self.frame().role, Role::Call | Role::Cast);
                let distinct = previous(&["DISTINCT"])
                    && cursor.at.checked_sub(2).is_some_and(|before| cursor.word_at(before, &["IS", "NOT"]));
                cursor.at += 1;
                if !call && !distinct {
                    self.begin_from();
                }
            }
            "JOIN" => {
                cursor.at += 1;
                if self.frame().in_from {
                    self.frame().expecting = true;
                }
            }
            "USING" => {
                cursor.at += 1;
                if self.frame().in_from && cursor.is_kind(Kind::LParen) {
                    // The columns of a join are read like any other; an alias may follow.
                    self.open(cursor, Role::Group);
                }
            }
            "WITH" if begins_with_list(cursor) => {
                cursor.at += 1;
                if cursor.accept("RECURSIVE") {
                    // Each name is visible in all of the list.
                    let names = with_names(cursor.clone());
                    self.frame().ctes.extend(names);
                }
                self.frame().in_with = true;
            }
            "TABLE" => {
                // `TABLE name` is a query.
                cursor.at += 1;
                let alone = cursor.accept("ONLY");
                if let Ok(name) = cursor.any_name() {
                    self.query.star = true;
                    self.bare_star = true;
                    if !self.is_cte(&name) {
                        self.relation(&name, alone);
                        self.called(name.name.clone(), name);
                    }
                }
            }
            "FOR" if !matches!(self.frame().role, Role::Call | Role::Cast) => {
                cursor.at += 1;
                self.end_from();
                self.locking(cursor);
            }
            "WHERE" | "GROUP" | "ORDER" | "HAVING" | "LIMIT" | "OFFSET" | "FETCH" | "WINDOW" | "RETURNING" | "SET" => {
                cursor.at += 1;
                self.end_from();
                if word == "WINDOW" || word == "LIMIT" {
                    cursor.accept("ALL");
                }
            }
            "UNION" | "INTERSECT" | "EXCEPT" => {
                cursor.at += 1;
                self.end_from();
                cursor.accept_any(&["ALL", "DISTINCT"]);
            }
            "WHEN" if cursor.is_nth(1, "MATCHED") || (cursor.is_nth(1, "NOT") && cursor.is_nth(2, "MATCHED")) => {
                cursor.at += 1;
                self.end_from();
            }
            "AS" => {
                cursor.at += 1;
                if self.frame().role == Role::Cast {
                    self.type_name(cursor);
                } else if cursor.is_ident() {
                    cursor.at += 1;
                }
            }
            "CAST" if cursor.is_kind_nth(1, Kind::LParen) => {
                cursor.at += 1;
                self.open(cursor, Role::Cast);
            }
            "ESCAPE" => cursor.at += 1,
            "OPERATOR" if cursor.is_kind_nth(1, Kind::LParen) => {
                cursor.at += 1;
                let _ = cursor.skip_parenthesized();
            }
            "BY" if previous(&["GROUP", "ORDER", "PARTITION"]) => cursor.at += 1,
            "PARTITION" if cursor.is_nth(1, "BY") => cursor.at += 1,
            "FILTER" | "OVER" | "ROW" if cursor.is_kind_nth(1, Kind::LParen) => cursor.at += 1,
            "WITHIN" if cursor.is_nth(1, "GROUP") => cursor.at += 2,
            "GROUPING" if cursor.is_nth(1, "SETS") => cursor.at += 2,
            "ROLLUP" | "CUBE" if cursor.is_kind_nth(1, Kind::LParen) => cursor.at += 1,
            "ROWS" | "RANGE" | "GROUPS" if is_window_frame(cursor) => skip_window_frame(cursor),
            // `AT TIME ZONE`, `NULLS FIRST`, `OVER w`: words that no column is meant by.
            "AT" if cursor.are(&["AT", "TIME", "ZONE"]) => cursor.at += 3,
            "NULLS" if cursor.is_nth(1, "FIRST") || cursor.is_nth(1, "LAST") => cursor.at += 2,
            "OVER" if cursor.is_ident_nth(1) => cursor.at += 2,
            "COLLATE" => {
                cursor.at += 1;
                let _ = cursor.any_name();
            }
            "DO" if cursor.is_nth(1, "UPDATE") || cursor.is_nth(1, "NOTHING") => cursor.at += 2,
            "LEFT" | "RIGHT" if cursor.is_kind_nth(1, Kind::LParen) => return false,
            "UNKNOWN" if previous(&["IS", "NOT"]) => cursor.at += 1,
            "INTERVAL" => {
                // A literal's type with its fields, or a column of that name.
                let mut ahead = cursor.clone();
                let literal = ahead.data_type().is_ok() && ahead.peek().is_some_and(|token| is_string(token.kind));
                if !literal {
                    return false;
                }
                cursor.at = ahead.at + 1;
                skip_interval_fields(cursor);
            }
            "COLLATION" if cursor.is_nth(1, "FOR") && cursor.is_kind_nth(2, Kind::LParen) => {
                cursor.at += 2;
                self.open(cursor, Role::Call);
            }
            "MATCHED" if previous(&["WHEN", "NOT"]) => {
                cursor.at += 1;
                if cursor.accept("BY") {
                    cursor.accept_any(&["SOURCE", "TARGET"]);
                }
            }
            "UPDATE" | "DELETE" if previous(&["THEN"]) => cursor.at += 1,
            "INSERT" if previous(&["THEN"]) => {
                cursor.at += 1;
                if cursor.is_kind(Kind::LParen) {
                    self.open(cursor, Role::Names);
                }
            }
            "CONFLICT" if previous(&["ON"]) => {
                cursor.at += 1;
                if cursor.accept_all(&["ON", "CONSTRAINT"]) {
                    let _ = cursor.label();
                }
            }
            _ if is_reserved(&word) => cursor.at += 1,
            _ => return false,
        }
        true
    }

    /// Behind FOR: `UPDATE`, `NO KEY UPDATE`, `SHARE`, `KEY SHARE`, and which relations.
    fn locking(&mut self, cursor: &mut Cursor<'_>) {
        let strengths: [&[&str]; 4] = [&["UPDATE"], &["NO", "KEY", "UPDATE"], &["SHARE"], &["KEY", "SHARE"]];
        if !strengths.iter().any(|strength| cursor.accept_all(strength)) {
            return;
        }
        let which = if cursor.accept("OF") { cursor.names().ok() } else { None };
        let mut locked = Vec::new();
        for (alias, relation) in &self.frame().relations {
            if which.as_ref().is_none_or(|names| names.iter().any(|name| name.name == *alias)) {
                locked.push(relation.clone());
            }
        }
        for relation in locked {
            if !self.query.locked.contains(&relation) {
                self.query.locked.push(relation);
            }
        }
        if !cursor.accept("NOWAIT") {
            cursor.accept_all(&["SKIP", "LOCKED"]);
        }
    }

    /// A column, a call, a literal's type or an alias.
    fn reference(&mut self, cursor: &mut Cursor<'_>) {
        let start = cursor.at;
        let Ok(parts) = cursor.dotted() else { return };
        // `name.*` leaves the cursor on the dot.
        if cursor.is_kind(Kind::Dot) {
            cursor.at += 1;
            return;
        }
        if cursor.is_kind(Kind::LParen) && !parts.is_empty() {
            let trim = parts.len() == 1 && cursor.word_at(start, &["TRIM"]);
            let function = match (trim, cursor.is_nth(1, "LEADING"), cursor.is_nth(1, "TRAILING")) {
                (true, true, _) => QualifiedName::new("ltrim"),
                (true, _, true) => QualifiedName::new("rtrim"),
                (true, ..) => QualifiedName::new("btrim"),
                _ => qualified(parts),
            };
            self.function(function);
            self.open(cursor, Role::Call);
            if cursor.word_at(start, &["EXTRACT"]) && cursor.is_nth(1, "FROM") {
                // The field, which is no column.
                cursor.at += 1;
            }
            return;
        }
        if cursor.peek().is_some_and(|token| is_string(token.kind)) {
            return;
        }
        if parts.len() == 1 && start > 0 && is_operand_end(cursor, start - 1) {
            // An alias without AS.
            return;
        }
        if parts.len() == 1
            && cursor.tokens[start].kind == Kind::Word
            && expr::KEYWORD_FUNCTIONS.iter().any(|name| cursor.word_at(start, &[name]))
        {
            self.function(qualified(parts));
            return;
        }
        let mut parts = parts.into_iter();
        let Some(column) = parts.next_back() else { return };
        let named = (parts.next_back(), column);
        if !self.query.columns.contains(&named.1) {
            self.query.columns.push(named.1.clone());
        }
        if !self.query.qualified.contains(&named) {
            self.query.qualified.push(named);
        }
    }
}

fn qualified(mut parts: Vec<Ident>) -> QualifiedName {
    let name = parts.pop().unwrap_or_else(|| Ident::from(""));
    match parts.pop() {
        Some(schema) if schema == "pg_catalog" => QualifiedName::new(name),
        schema => QualifiedName::as_written(schema, name),
    }
}

const fn is_string(kind: Kind) -> bool {
    matches!(kind, Kind::String | Kind::EscapeString | Kind::UnicodeString | Kind::Dollar | Kind::BitString)
}

fn is_closing(cursor: &Cursor<'_>, index: usize) -> bool {
    matches!(cursor.tokens[index].kind, Kind::RParen | Kind::RBracket)
}

/// Whether an operand ends with that token, so that a name behind it is an alias.
fn is_operand_end(cursor: &Cursor<'_>, index: usize) -> bool {
    let token = cursor.tokens[index];
    match token.kind {
        Kind::RParen | Kind::RBracket | Kind::Number | Kind::Quoted | Kind::UnicodeQuoted => true,
        Kind::Parameter | Kind::Placeholder => true,
        Kind::Word => {
            let word = cursor.source(token).to_ascii_uppercase();
            matches!(word.as_str(), "END" | "NULL" | "TRUE" | "FALSE")
                || !(is_reserved(&word) || matches!(word.as_str(), "BY" | "ESCAPE"))
        }
        kind => is_string(kind),
    }
}

/// `WITH [RECURSIVE] name [( … )] AS`, not `WITH ORDINALITY`, `WITH TIES` or `WITH TIME ZONE`.
fn begins_with_list(cursor: &Cursor<'_>) -> bool {
    let mut ahead = cursor.clone();
    ahead.at += 1;
    ahead.accept("RECURSIVE");
    if ahead.label().is_err() {
        return false;
    }
    if ahead.is_kind(Kind::LParen) && ahead.skip_parenthesized().is_err() {
        return false;
    }
    ahead.accept("AS") && (ahead.is_any(&["NOT", "MATERIALIZED"]) || ahead.is_kind(Kind::LParen))
}

/// The names that a WITH clause defines, as far as its list can be read.
fn with_names(mut cursor: Cursor<'_>) -> Vec<Ident> {
    let mut names = Vec::new();
    loop {
        let Ok(name) = cursor.label() else { return names };
        names.push(name);
        cursor.at = cursor.find_outside(|cursor, index| {
            cursor.tokens[index].kind == Kind::Comma
                || cursor.word_at(index, &["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "TABLE"])
        });
        if !cursor.accept_kind(Kind::Comma) {
            return names;
        }
    }
}

/// `{ ROWS | RANGE | GROUPS } { BETWEEN … | UNBOUNDED … | CURRENT ROW | n PRECEDING }` in a window's definition.
fn is_window_frame(cursor: &Cursor<'_>) -> bool {
    cursor.is_nth(1, "BETWEEN")
        || cursor.is_nth(1, "UNBOUNDED")
        || (cursor.is_nth(1, "CURRENT") && cursor.is_nth(2, "ROW"))
        || cursor.is_nth(2, "PRECEDING")
        || cursor.is_nth(2, "FOLLOWING")
}

fn skip_window_frame(cursor: &mut Cursor<'_>) {
    const WORDS: [&str; 13] = [
        "ROWS",
        "RANGE",
        "GROUPS",
        "BETWEEN",
        "UNBOUNDED",
        "CURRENT",
        "ROW",
        "PRECEDING",
        "FOLLOWING",
        "AND",
        "EXCLUDE",
        "TIES",
        "OTHERS",
    ];
    while cursor.is_any(&WORDS) || cursor.are(&["NO", "OTHERS"]) {
        cursor.at += 1;
    }
}

fn skip_interval_fields(cursor: &mut Cursor<'_>) {
    const FIELDS: [&str; 6] = ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"];
    if cursor.accept_any(&FIELDS).is_some() {
        if cursor.is("TO") && FIELDS.iter().any(|field| cursor.is_nth(1, field)) {
            cursor.at += 2;
        }
        if cursor.is_kind(Kind::LParen) {
            let _ = cursor.skip_parenthesized();
        }
    }
}

/// `[AS] name [( … )]` behind an item of FROM; the alias.
fn skip_alias(cursor: &mut Cursor<'_>) -> Option<Ident> {
    if cursor.accept_all(&["WITH", "ORDINALITY"]) {
        return skip_alias(cursor);
    }
    let explicit = cursor.accept("AS");
    let mut alias = None;
    if let Some(token) = cursor.peek() {
        let name = token.kind != Kind::Word || explicit || !is_from_word(&cursor.source(token).to_ascii_uppercase());
        if name && let Some(ident) = identifier(cursor.text, token) {
            cursor.at += 1;
            alias = Some(ident);
        }
    }
    if (alias.is_some() || explicit) && cursor.is_kind(Kind::LParen) {
        let _ = cursor.skip_parenthesized();
    }
    alias
}

/// Words that follow an item of FROM and are no alias.
fn is_from_word(word: &str) -> bool {
    is_reserved(word)
        || matches!(word, "TABLESAMPLE" | "JOIN" | "INNER" | "LEFT" | "RIGHT" | "FULL" | "CROSS" | "NATURAL" | "SET")
}

/// Key words that cannot name a column: the reserved ones, and those that may name functions or types only.
/// In any case. Source: PostgreSQL manual, "SQL Key Words".
pub(crate) fn is_reserved(word: &str) -> bool {
    const RESERVED: &[&str] = &[
        "ALL",
        "ANALYSE",
        "ANALYZE",
        "AND",
        "ANY",
        "ARRAY",
        "AS",
        "ASC",
        "ASYMMETRIC",
        "AUTHORIZATION",
        "BETWEEN",
        "BINARY",
        "BOTH",
        "CASE",
        "CAST",
        "CHECK",
        "COLLATE",
        "COLUMN",
        "CONCURRENTLY",
        "CONSTRAINT",
        "CREATE",
        "CROSS",
        "DEFAULT",
        "DEFERRABLE",
        "DESC",
        "DISTINCT",
        "DO",
        "ELSE",
        "END",
        "EXCEPT",
        "EXISTS",
        "FALSE",
        "FETCH",
        "FOR",
        "FOREIGN",
        "FREEZE",
        "FROM",
        "FULL",
        "GRANT",
        "GROUP",
        "HAVING",
        "ILIKE",
        "IN",
        "INITIALLY",
        "INNER",
        "INTERSECT",
        "INTO",
        "IS",
        "ISNULL",
        "JOIN",
        "LATERAL",
        "LEADING",
        "LEFT",
        "LIKE",
        "LIMIT",
        "NATURAL",
        "NOT",
        "NOTNULL",
        "NULL",
        "OFFSET",
        "ON",
        "ONLY",
        "OR",
        "ORDER",
        "OUTER",
        "OVERLAPS",
        "PLACING",
        "PRIMARY",
        "REFERENCES",
        "RETURNING",
        "RIGHT",
        "SELECT",
        "SIMILAR",
        "SOME",
        "SYMMETRIC",
        "TABLE",
        "TABLESAMPLE",
        "THEN",
        "TO",
        "TRAILING",
        "TRUE",
        "UNION",
        "UNIQUE",
        "USING",
        "VALUES",
        "VARIADIC",
        "VERBOSE",
        "WHEN",
        "WHERE",
        "WINDOW",
        "WITH",
    ];
    let upper = || word.bytes().map(|byte| byte.to_ascii_uppercase());
    RESERVED.binary_search_by(|other| other.bytes().cmp(upper())).is_ok()
}

/// The output columns of the outermost SELECT.
fn output(cursor: &Cursor<'_>, query: &mut Query) {
    let mut cursor = cursor.clone();
    if cursor.is("WITH") && skip_with(&mut cursor).is_err() {
        return;
    }
    if cursor.is("VALUES") {
        cursor.at += 1;
        values_output(&mut cursor, query);
        return;
    }
    while cursor.accept_kind(Kind::LParen) {}
    if !cursor.accept("SELECT") {
        return;
    }
    if !cursor.accept("ALL") && cursor.accept("DISTINCT") && cursor.accept("ON") && cursor.skip_parenthesized().is_err()
    {
        return;
    }
    loop {
        let end = cursor.find_outside(|cursor, index| {
            cursor.tokens[index].kind == Kind::Comma
                || cursor.word_at(
                    index,
                    &[
                        "INTO",
                        "WHERE",
                        "GROUP",
                        "HAVING",
                        "WINDOW",
                        "UNION",
                        "INTERSECT",
                        "EXCEPT",
                        "ORDER",
                        "LIMIT",
                        "OFFSET",
                        "FETCH",
                        "FOR",
                    ],
                )
                || (cursor.word_at(index, &["FROM"]) && !cursor.word_at(index.saturating_sub(1), &["DISTINCT"]))
        });
        if end == cursor.at {
            return;
        }
        if let Some(column) = output_column(&cursor, end, 0) {
            query.output.push(column);
        }
        cursor.at = end;
        if !cursor.accept_kind(Kind::Comma) {
            return;
        }
    }
}

/// The columns of VALUES where each row has the same kinds of values.
fn values_output(cursor: &mut Cursor<'_>, query: &mut Query) {
    let mut columns: Vec<OutputColumn> = Vec::new();
    loop {
        let Ok(row) = cursor.parenthesized(Cursor::expr_until_comma) else { return };
        if columns.is_empty() {
            columns = row
                .into_iter()
                .enumerate()
                .map(|(place, expr)| OutputColumn { name: Some(Ident::from(format!("column{}", place + 1))), expr })
                .collect();
        } else {
            let kind = |node: &ExprNode| match node {
                ExprNode::Number(number) => (std::mem::discriminant(node), number.parse::<i32>().is_ok()),
                _ => (std::mem::discriminant(node), true),
            };
            let same = row.len() == columns.len()
                && row.iter().zip(&columns).all(|(expr, column)| kind(&expr.node) == kind(&column.expr.node));
            if !same {
                return;
            }
        }
        if !cursor.accept_kind(Kind::Comma) {
            break;
        }
    }
    if cursor.is_at_end() {
        query.output = columns;
    }
}

/// `expr [[AS] name]`; `None` for `*`.
pub(crate) fn output_column(cursor: &Cursor<'_>, end: usize, nesting: usize) -> Option<OutputColumn> {
    let start = cursor.at;
    let last = end - 1;
    if cursor.source(cursor.tokens[last]) == "*" && (last == start || cursor.tokens[last - 1].kind == Kind::Dot) {
        return None;
    }
    let mut name = None;
    let mut expr_end = end;
    if cursor.is_ident_at(last) && last > start {
        if cursor.word_at(last - 1, &["AS"]) {
            name = identifier(cursor.text, cursor.tokens[last]);
            expr_end = last - 1;
        } else if is_operand_end(cursor, last - 1)
            && !cursor.word_at(last, &["END"])
            && !is_type_word(cursor, last)
            && !is_window(cursor, last)
        {
            name = identifier(cursor.text, cursor.tokens[last]);
            expr_end = last;
        }
    }
    if expr_end <= start {
        return None;
    }
    let expr = expr::read_at(cursor.text, &cursor.tokens[start..expr_end], nesting);
    let name = name.or_else(|| column_name(&expr.node));
    Some(OutputColumn { name, expr })
}

/// `f() OVER name`.
fn is_window(cursor: &Cursor<'_>, index: usize) -> bool {
    let over = index.checked_sub(1).filter(|before| cursor.word_at(*before, &["OVER"]));
    let call = over.and_then(|over| over.checked_sub(1));
    call.is_some_and(|call| cursor.tokens[call].kind == Kind::RParen)
}

/// The last word of `double precision`, `character varying`, `… time zone`, `IS … NULL` and the like.
fn is_type_word(cursor: &Cursor<'_>, index: usize) -> bool {
    cursor.word_at(index, &["PRECISION", "VARYING", "ZONE", "ISNULL", "NOTNULL", "NULL", "TRUE", "FALSE", "UNKNOWN"])
}

/// The name that the server gives a column without an alias.
fn column_name(node: &ExprNode) -> Option<Ident> {
    match node {
        ExprNode::Column { name, .. } => Some(name.clone()),
        ExprNode::Call { function, .. } => Some(function.name.clone()),
        ExprNode::Cast { expr, data_type } => column_name(expr).or_else(|| Some(data_type.name.name.clone())),
        ExprNode::Collate { expr, .. } | ExprNode::Subscript { expr, .. } => column_name(expr),
        ExprNode::Field { name, .. } => Some(name.clone()),
        ExprNode::Case { .. } => Some(Ident::from("case")),
        ExprNode::Array(_) => Some(Ident::from("array")),
        ExprNode::Row(_) => Some(Ident::from("row")),
        _ => None,
    }
}

//! Queries and data: SELECT, INSERT, UPDATE, DELETE, MERGE, TRUNCATE, COPY.

use zdm_postgres::expr::{ExprNode, SubqueryKind};
use zdm_postgres::statement::{
    ConflictTarget, CreateTableAs, Dml, Given, MergeAction, MergeClause, MergeInsert, MergeWhen, Overriding, Query,
    Select, SelectSource,
};
use zdm_postgres::{Ident, QualifiedName, SqlExpr, Statement};

use super::alter_table::{behavior, only};
use super::table::persistence;
use crate::cursor::{Cursor, Read, Unread};
use crate::lexer::Kind;
use crate::query;
use crate::select::{self, Change};

/// SELECT, VALUES, TABLE, WITH; SELECT … INTO creates a table.
pub(super) fn select(cursor: &mut Cursor<'_>) -> Read<Statement> {
    let start = cursor.at;
    if cursor.is("WITH") {
        query::skip_with(cursor)?;
        if cursor.is("INSERT") {
            return insert(cursor, start);
        }
        if cursor.is("UPDATE") {
            return update(cursor, start);
        }
        if cursor.is("DELETE") {
            return delete(cursor, start);
        }
        if cursor.is("MERGE") {
            return merge(cursor, start);
        }
    }
    if !query::begins(cursor) {
        return cursor.unexpected("a query");
    }
    check_balance(cursor)?;
    if cursor.is("SELECT") {
        let into = cursor.find_outside(|cursor, index| cursor.word_at(index, &["INTO", "FROM", "UNION", "WHERE"]));
        if cursor.word_at(into, &["INTO"]) {
            return select_into(cursor, start, into);
        }
    }
    let query = query::read(cursor.text, &cursor.tokens[start..]);
    cursor.at = cursor.tokens.len();
    Ok(Statement::Select(query))
}

/// Parentheses that do not match make everything behind them doubtful.
fn check_balance(cursor: &Cursor<'_>) -> Read<()> {
    let mut ahead = cursor.clone();
    while !ahead.is_at_end() {
        match ahead.peek().map(|token| token.kind) {
            Some(Kind::LParen | Kind::LBracket) => ahead.at = ahead.after_closing(ahead.at)?,
            Some(Kind::RParen | Kind::RBracket) => return ahead.unexpected("the end of the statement"),
            _ => ahead.at += 1,
        }
    }
    Ok(())
}

/// UPDATE and DELETE have no such clauses; the words are reserved, and names only behind AS or a dot. `WITHIN GROUP` is a
/// part of a call.
fn check_clauses(cursor: &Cursor<'_>) -> Read<()> {
    let mut ahead = cursor.clone();
    while !ahead.is_at_end() {
        if matches!(ahead.peek().map(|token| token.kind), Some(Kind::LParen | Kind::LBracket)) {
            ahead.at = ahead.after_closing(ahead.at)?;
            continue;
        }
        let named = ahead.at.checked_sub(1).and_then(|before| ahead.tokens.get(before)).is_some_and(|before| {
            let before = ahead.source(*before);
            before == "." || ["as", "within"].iter().any(|word| before.eq_ignore_ascii_case(word))
        });
        if ahead.is_any(&["LIMIT", "ORDER", "GROUP", "HAVING", "OFFSET"]) && !named {
            let word = ahead.peek().map_or("", |token| ahead.source(token));
            return Err(Unread::refused(format!("syntax error at or near \"{word}\"")));
        }
        ahead.at += 1;
    }
    Ok(())
}

fn select_into(cursor: &mut Cursor<'_>, start: usize, into: usize) -> Read<Statement> {
    cursor.at = into + 1;
    let persistence = persistence(cursor);
    cursor.accept("TABLE");
    let name = cursor.name()?;
    let target_end = cursor.at;
    let mut tokens = cursor.tokens[start..into].to_vec();
    tokens.extend_from_slice(&cursor.tokens[target_end..]);
    let query =
        Query { text: cursor.source_of(start, cursor.tokens.len()).to_owned(), ..query::read(cursor.text, &tokens) };
    cursor.at = cursor.tokens.len();
    Ok(Statement::CreateTableAs(CreateTableAs {
        name,
        if_not_exists: false,
        persistence,
        with_data: true,
        on_commit: None,
        columns: Vec::new(),
        options: Vec::new(),
        query,
    }))
}

fn dml(table: QualifiedName) -> Dml {
    Dml {
        table,
        only: zdm_postgres::statement::Only(false),
        columns: Vec::new(),
        predicate: None,
        query: Query::default(),
        on_conflict_update: false,
        conflict_columns: Vec::new(),
        conflict: None,
        values_rows: None,
        given: Vec::new(),
        uneven: false,
        overriding: None,
        values: Vec::new(),
        merge: Vec::new(),
        merge_on: Vec::new(),
    }
}

/// `INSERT INTO table [AS alias] [( columns )] [OVERRIDING …] source [ON CONFLICT …] [RETURNING …]`; WITH begins at `start`.
pub(super) fn insert(cursor: &mut Cursor<'_>, start: usize) -> Read<Statement> {
    check_balance(cursor)?;
    let head = cursor.at;
    cursor.expect_all(&["INSERT", "INTO"])?;
    let mut insert = dml(cursor.name()?);
    let alias = if cursor.accept("AS") { Some(cursor.ident()?) } else { None };
    // A value of a part of a column is none of the column.
    let mut whole = true;
    if cursor.is_kind(Kind::LParen) && !is_query_in_parentheses(cursor) {
        let list = cursor.at;
        insert.columns = cursor.parenthesized(target_column)?;
        whole = cursor.at == list + 2 * insert.columns.len() + 1;
    }
    insert.overriding = overriding(cursor)?;
    // Of several rows, those that draw from a sequence.
    let mut drawing = Vec::new();
    let source = cursor.at;
    let tail = cursor.find_outside(|cursor, index| {
        cursor.word_at(index, &["RETURNING"])
            || (cursor.word_at(index, &["ON"]) && cursor.word_at(index + 1, &["CONFLICT"]))
    });
    if cursor.accept_all(&["DEFAULT", "VALUES"]) {
        insert.values_rows = Some(1);
    } else if cursor.is("VALUES") {
        cursor.at += 1;
        let mut rows = 0_u32;
        loop {
            let before = cursor.at;
            let (start, end) = cursor.skip_parenthesized()?;
            rows = rows.saturating_add(1);
            let given = given_values(cursor, start, end);
            if rows == 1 {
                insert.given = given;
            } else if insert.given.len() == given.len() {
                insert.given.iter_mut().zip(given).for_each(|(all, one)| {
                    all.value |= one.value;
                    all.default |= one.default;
                    all.null &= one.null;
                });
            } else {
                insert.uneven = true;
            }
            let only = rows == 1 && whole && !cursor.is_kind(Kind::Comma);
            let draws = || (start..end).any(|index| cursor.word_at(index, &["NEXTVAL", "SETVAL"]));
            if only || draws() {
                let mut row = cursor.clone();
                row.at = before;
                let values = row.parenthesized(Cursor::expr_until_comma).unwrap_or_default();
                if only {
                    insert.values = values;
                } else {
                    drawing.extend(values);
                }
            }
            if !cursor.accept_kind(Kind::Comma) {
                break;
            }
        }
        insert.values_rows = Some(rows);
    } else if query::begins(cursor) {
        cursor.at = tail;
    } else {
        return cursor.unexpected("VALUES or a query");
    }
    if insert.values_rows.is_some() && cursor.at != tail {
        // VALUES with ORDER BY or LIMIT.
        insert.values_rows = None;
        insert.given.clear();
        cursor.at = tail;
    }
    let query_end = cursor.at;
    let mut conflict = None;
    if cursor.accept_all(&["ON", "CONFLICT"]) {
        let action = cursor.find_outside(|cursor, index| cursor.word_at(index, &["DO"]));
        insert.conflict = Some(conflict_target(cursor, action));
        cursor.at = action;
        cursor.expect("DO")?;
        if cursor.accept("UPDATE") {
            insert.on_conflict_update = true;
            if let Some((columns, select)) =
                conflict_update(cursor.clone(), select::target(&insert.table, alias.clone()))
            {
                insert.conflict_columns = columns;
                conflict = Some(select);
            }
        } else {
            cursor.expect("NOTHING")?;
        }
    }
    insert.query = whole_query(cursor, start, head, &[(source, query_end), (query_end, cursor.tokens.len())]);
    let source = insert.values_rows.is_none().then_some((source, query_end));
    drawing.extend(insert.values.iter().cloned());
    let values = (!drawing.is_empty()).then(|| Select {
        changes: Some("VALUES"),
        output: select::unnamed(drawing),
        ..Select::default()
    });
    let target = select::target(&insert.table, alias);
    let changes = values.into_iter().chain(conflict).collect();
    select::read_insert(cursor, (start, head), source, changes, target, &mut insert.query);
    cursor.at = cursor.tokens.len();
    Ok(Statement::Insert(insert))
}

/// What ON CONFLICT DO UPDATE names, beside the row that was to be inserted; the cursor is behind UPDATE.
fn conflict_update(mut cursor: Cursor<'_>, target: SelectSource) -> Option<(Vec<Ident>, Select)> {
    cursor.expect("SET").ok()?;
    let set = set_list(&mut cursor).ok()?;
    let excluded = Ident::new("excluded");
    let source = SelectSource { alias: Some(excluded), aliased: true, ..target.clone() };
    let select = Select {
        changes: Some("UPDATE"),
        output: select::unnamed(set.values),
        sources: vec![target, source],
        predicate: predicate(&mut cursor).ok()?,
        ..Select::default()
    };
    Some((set.columns, select))
}

/// What the values between the commas of a row are.
fn given_values(cursor: &Cursor<'_>, start: usize, end: usize) -> Vec<Given> {
    let mut row = Cursor { at: start, ..cursor.clone() };
    let mut given = Vec::new();
    loop {
        let value = row.at;
        row.at = row.find_outside(|row, index| row.tokens[index].kind == Kind::Comma).min(end);
        let default = row.at == value + 1 && row.word_at(value, &["DEFAULT"]);
        let null = row.at == value + 1 && row.word_at(value, &["NULL"]);
        given.push(Given { value: !default, default, null });
        if row.at >= end || !row.accept_kind(Kind::Comma) {
            return given;
        }
    }
}

/// What stands between ON CONFLICT and DO.
fn conflict_target(cursor: &Cursor<'_>, end: usize) -> ConflictTarget {
    let mut ahead = cursor.clone();
    if ahead.at == end {
        return ConflictTarget::Any;
    }
    if ahead.accept_all(&["ON", "CONSTRAINT"]) {
        return ahead.ident().map_or(ConflictTarget::Other, ConflictTarget::Constraint);
    }
    match ahead.column_list() {
        Ok(columns) if ahead.at == end => return ConflictTarget::Columns(columns),
        _ => {}
    }
    let mut ahead = cursor.clone();
    match ahead.parenthesized(Cursor::expr_until_comma) {
        Ok(expressions) if ahead.at == end => ConflictTarget::Expressions(expressions),
        _ => ConflictTarget::Other,
    }
}

/// `column`, `column.field`, `column[1]`.
fn target_column(cursor: &mut Cursor<'_>) -> Read<Ident> {
    let column = cursor.ident()?;
    loop {
        if cursor.is_kind(Kind::Dot) && cursor.is_ident_nth(1) {
            cursor.at += 2;
        } else if cursor.is_kind(Kind::LBracket) {
            cursor.at = cursor.after_closing(cursor.at)?;
        } else {
            return Ok(column);
        }
    }
}

fn is_query_in_parentheses(cursor: &Cursor<'_>) -> bool {
    let mut ahead = cursor.clone();
    while ahead.accept_kind(Kind::LParen) {}
    query::begins(&ahead) && !(ahead.is("TABLE") || ahead.is("VALUES"))
        || (ahead.is("VALUES") && ahead.is_kind_nth(1, Kind::LParen))
}

/// `UPDATE [ONLY] table [*] [[AS] alias] SET … [FROM …] [WHERE …] [RETURNING …]`.
pub(super) fn update(cursor: &mut Cursor<'_>, start: usize) -> Read<Statement> {
    check_balance(cursor)?;
    check_clauses(cursor)?;
    let head = cursor.at;
    cursor.expect("UPDATE")?;
    let only = only(cursor);
    let mut update = Dml { only, ..dml(cursor.name()?) };
    cursor.accept_operator("*");
    let alias = if cursor.accept("AS") || !cursor.is("SET") { Some(cursor.ident()?) } else { None };
    cursor.expect("SET")?;
    let body = cursor.at;
    let set = set_list(cursor)?;
    update.columns = set.columns;
    update.uneven = set.uneven;
    if set.whole {
        update.values.clone_from(&set.values);
    }
    let from = cursor.at + usize::from(cursor.is("FROM"));
    update.predicate = predicate(cursor)?;
    update.query = whole_query(cursor, start, head, &[(body, cursor.tokens.len())]);
    let change = Change {
        cursor,
        with: (start, head),
        items: (from, end_of_items(cursor, from)),
        target: select::target(&update.table, alias),
        predicate: update.predicate.clone(),
        values: set.values,
    };
    change.read(&mut update.query);
    cursor.at = cursor.tokens.len();
    Ok(Statement::Update(update))
}

/// `DELETE FROM [ONLY] table [*] [[AS] alias] [USING …] [WHERE …] [RETURNING …]`.
pub(super) fn delete(cursor: &mut Cursor<'_>, start: usize) -> Read<Statement> {
    check_balance(cursor)?;
    check_clauses(cursor)?;
    let head = cursor.at;
    cursor.expect_all(&["DELETE", "FROM"])?;
    let only = only(cursor);
    let mut delete = Dml { only, ..dml(cursor.name()?) };
    cursor.accept_operator("*");
    let aliased = cursor.accept("AS") || (cursor.is_ident() && !cursor.is_any(&["USING", "WHERE", "RETURNING"]));
    let alias = if aliased { Some(cursor.ident()?) } else { None };
    if !cursor.is_at_end() && !cursor.is_any(&["USING", "WHERE", "RETURNING"]) {
        return cursor.unexpected("USING, WHERE or RETURNING");
    }
    let body = cursor.at;
    let using = body + usize::from(cursor.is("USING"));
    delete.predicate = predicate(cursor)?;
    delete.query = whole_query(cursor, start, head, &[(body, cursor.tokens.len())]);
    let change = Change {
        cursor,
        with: (start, head),
        items: (using, end_of_items(cursor, using)),
        target: select::target(&delete.table, alias),
        predicate: delete.predicate.clone(),
        values: Vec::new(),
    };
    change.read(&mut delete.query);
    cursor.at = cursor.tokens.len();
    Ok(Statement::Delete(delete))
}

/// What stands behind SET.
pub(crate) struct SetList {
    pub(crate) columns: Vec<Ident>,
    pub(crate) values: Vec<SqlExpr>,
    /// Each value is one of a column, and none of a row or of a part of a column.
    whole: bool,
    /// There are not as many values as columns that are set at once.
    uneven: bool,
}

impl SetList {
    /// `(a, b) = (1, 2)`, `(a, b) = (SELECT …)`.
    fn set_at_once(&mut self, columns: usize, value: SqlExpr) {
        match &*value.node {
            ExprNode::Row(parts) if parts.len() == columns => {
                self.values.extend(parts.iter().map(|part| SqlExpr::new(value.text.clone(), part.clone())));
            }
            // What `ROW(t.*)` stands for is not counted.
            ExprNode::Row(parts) if parts.iter().all(|part| !matches!(part, ExprNode::Other { .. })) => {
                self.uneven = true;
            }
            ExprNode::Subquery { kind: SubqueryKind::Scalar, query } => {
                let kind = SubqueryKind::Assigned { columns };
                let node = ExprNode::Subquery { kind, query: query.clone() };
                self.values.push(SqlExpr::new(value.text.clone(), node));
            }
            _ => self.values.push(value),
        }
    }
}

pub(crate) fn set_list(cursor: &mut Cursor<'_>) -> Read<SetList> {
    let mut list = SetList { columns: Vec::new(), values: Vec::new(), whole: true, uneven: false };
    loop {
        let target = cursor.at;
        let mut several = None;
        if cursor.is_kind(Kind::LParen) {
            let columns = cursor.parenthesized(target_column)?;
            several = Some(columns.len());
            list.columns.extend(columns);
        } else {
            list.columns.push(target_column(cursor)?);
        }
        list.whole &= cursor.at == target + 1;
        if !cursor.accept_operator("=") {
            return cursor.unexpected("=");
        }
        let value = cursor.at;
        let end = cursor.find_outside(|cursor, index| {
            cursor.tokens[index].kind == Kind::Comma
                || cursor.word_at(index, &["WHERE", "RETURNING"])
                || (cursor.word_at(index, &["FROM"]) && !cursor.word_at(index.saturating_sub(1), &["DISTINCT"]))
        });
        if end == value {
            return cursor.unexpected("a value");
        }
        let value = cursor.expr_until(end)?;
        match several {
            Some(columns) => list.set_at_once(columns, value),
            None => list.values.push(value),
        }
        if !cursor.accept_kind(Kind::Comma) {
            return Ok(list);
        }
    }
}

/// Where the items of FROM or USING end that begin at `from`.
fn end_of_items(cursor: &Cursor<'_>, from: usize) -> usize {
    let ahead = Cursor { at: from, ..cursor.clone() };
    ahead.find_outside(|cursor, index| cursor.word_at(index, &["WHERE", "RETURNING"]))
}

/// Passes over everything before WHERE and reads its expression; WHERE CURRENT OF has none that is known.
fn predicate(cursor: &mut Cursor<'_>) -> Read<Option<SqlExpr>> {
    cursor.at = cursor.find_outside(|cursor, index| cursor.word_at(index, &["WHERE", "RETURNING"]));
    if !cursor.accept("WHERE") {
        return Ok(None);
    }
    if cursor.are(&["CURRENT", "OF"]) {
        // The one row at which the cursor stands.
        let text = cursor.source_of(cursor.at, cursor.tokens.len()).to_owned();
        return Ok(Some(SqlExpr::new(
            text.clone(),
            ExprNode::Other { text, parts: Vec::new(), words: false, form: None },
        )));
    }
    let end = cursor.find_outside(|cursor, index| cursor.word_at(index, &["RETURNING"]));
    cursor.expr_until(end).map(Some)
}

/// `MERGE INTO [ONLY] table [[AS] alias] USING … ON … WHEN …`.
pub(super) fn merge(cursor: &mut Cursor<'_>, start: usize) -> Read<Statement> {
    check_balance(cursor)?;
    let head = cursor.at;
    cursor.expect_all(&["MERGE", "INTO"])?;
    let only = only(cursor);
    let mut merge = Dml { only, ..dml(cursor.name()?) };
    cursor.accept_operator("*");
    let alias = if cursor.accept("AS") || !cursor.is("USING") { Some(cursor.ident()?) } else { None };
    if !cursor.is("USING") {
        return cursor.unexpected("USING");
    }
    let body = cursor.at;
    let named = alias.clone();
    let target = (alias.unwrap_or_else(|| merge.table.name.clone()), merge.table.clone());
    merge.merge_on = join_names(cursor.clone(), target).unwrap_or_default();
    merge.query = whole_query(cursor, start, head, &[(body, cursor.tokens.len())]);
    select::read_merge(cursor, (start, head), select::target(&merge.table, named), &mut merge.query);
    cursor.at = next_clause(cursor);
    while cursor.accept("WHEN") {
        merge.merge.push(merge_clause(cursor)?);
        cursor.at = next_clause(cursor);
    }
    if merge.merge.is_empty() {
        return cursor.unexpected("WHEN");
    }
    for clause in &merge.merge {
        if let MergeAction::Update(columns) = &clause.action {
            merge.columns.extend(columns.iter().cloned());
        }
    }
    cursor.at = cursor.tokens.len();
    Ok(Statement::Merge(merge))
}

/// What the condition behind `USING source ON` names of the target and of a source that is a relation.
fn join_names(mut cursor: Cursor<'_>, target: (Ident, QualifiedName)) -> Read<Vec<(Ident, QualifiedName, Ident)>> {
    cursor.expect("USING")?;
    let mut relations = vec![target];
    if cursor.is_kind(Kind::LParen) {
        cursor.at = cursor.after_closing(cursor.at)?;
        cursor.accept("AS");
        cursor.ident()?;
        if cursor.is_kind(Kind::LParen) {
            cursor.at = cursor.after_closing(cursor.at)?;
        }
    } else {
        only(&mut cursor);
        let source = cursor.name()?;
        cursor.accept_operator("*");
        let alias = if cursor.accept("AS") || !cursor.is("ON") { cursor.ident()? } else { source.name.clone() };
        // With a list of columns they have other names.
        if !cursor.is("ON") {
            return Ok(Vec::new());
        }
        relations.push((alias, source));
    }
    cursor.expect("ON")?;
    let mut names = Vec::new();
    let end = next_clause(&cursor);
    cursor.expr_until(end)?.node.walk(&mut |node| {
        if let zdm_postgres::expr::ExprNode::Column { qualifier: Some(qualifier), name } = node
            && let Some((alias, relation)) = relations.iter().find(|(alias, _)| alias == qualifier)
        {
            names.push((alias.clone(), relation.clone(), name.clone()));
        }
    });
    Ok(names)
}

/// The next WHEN of MERGE itself: one of a CASE is none, nor is one in parentheses.
pub(crate) fn next_clause(cursor: &Cursor<'_>) -> usize {
    cursor.find_outside(|cursor, index| cursor.word_at(index, &["WHEN", "RETURNING"]))
}

/// `[NOT] MATCHED [BY SOURCE | TARGET] [AND …] THEN …` behind WHEN.
fn merge_clause(cursor: &mut Cursor<'_>) -> Read<MergeClause> {
    let not = cursor.accept("NOT");
    cursor.expect("MATCHED")?;
    let by = not && cursor.accept("BY");
    let source = by && cursor.accept("SOURCE");
    if by && !source {
        cursor.expect("TARGET")?;
    }
    let when = match (not, source) {
        (false, _) => MergeWhen::Matched,
        (true, false) => MergeWhen::NotMatched,
        (true, true) => MergeWhen::NotMatchedBySource,
    };
    let condition = cursor.accept("AND");
    if condition {
        cursor.at = cursor.find_outside(|cursor, index| cursor.word_at(index, &["THEN"]));
    }
    cursor.expect("THEN")?;
    let action = if cursor.accept_all(&["DO", "NOTHING"]) {
        MergeAction::Nothing
    } else if cursor.accept("DELETE") {
        MergeAction::Delete
    } else if cursor.accept("INSERT") {
        MergeAction::Insert(merge_insert(cursor)?)
    } else {
        cursor.expect_all(&["UPDATE", "SET"])?;
        let mut columns = Vec::new();
        loop {
            if cursor.is_kind(Kind::LParen) {
                columns.extend(cursor.parenthesized(target_column)?);
            } else {
                columns.push(target_column(cursor)?);
            }
            let end = next_clause(cursor);
            cursor.at = cursor.find_outside(|cursor, index| cursor.tokens[index].kind == Kind::Comma).min(end);
            if !cursor.accept_kind(Kind::Comma) {
                break;
            }
        }
        MergeAction::Update(columns)
    };
    Ok(MergeClause { when, by, condition, action })
}

/// `[( columns )] [OVERRIDING …] { VALUES ( … ) | DEFAULT VALUES }` behind INSERT.
fn merge_insert(cursor: &mut Cursor<'_>) -> Read<MergeInsert> {
    let columns = if cursor.is_kind(Kind::LParen) { cursor.parenthesized(target_column)? } else { Vec::new() };
    let overriding = overriding(cursor)?;
    let mut given = Vec::new();
    if cursor.accept("VALUES") {
        let (start, end) = cursor.skip_parenthesized()?;
        given = given_values(cursor, start, end);
    } else {
        cursor.expect_all(&["DEFAULT", "VALUES"])?;
    }
    Ok(MergeInsert { columns, overriding, given })
}

/// `[OVERRIDING { SYSTEM | USER } VALUE]`.
fn overriding(cursor: &mut Cursor<'_>) -> Read<Option<Overriding>> {
    if !cursor.accept("OVERRIDING") {
        return Ok(None);
    }
    let overriding = match cursor.accept_any(&["SYSTEM", "USER"]) {
        Some("SYSTEM") => Overriding::System,
        Some(_) => Overriding::User,
        None => return cursor.unexpected("SYSTEM or USER"),
    };
    cursor.expect("VALUE")?;
    Ok(Some(overriding))
}

/// What a data statement reads: its WITH clause (`start..head`) and the given parts; the text is the whole statement's.
fn whole_query(cursor: &Cursor<'_>, start: usize, head: usize, parts: &[(usize, usize)]) -> Query {
    let mut ranges = vec![(start, head)];
    ranges.extend_from_slice(parts);
    query::read_parts(cursor, &ranges)
}

pub(super) fn truncate(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("TRUNCATE")?;
    cursor.accept("TABLE");
    let mut alone = Vec::new();
    let tables = cursor.list(|cursor| {
        let only = only(cursor);
        let name = cursor.name()?;
        cursor.accept_operator("*");
        if only.0 {
            alone.push(name.clone());
        }
        Ok(name)
    })?;
    let restart_identity = cursor.accept_all(&["RESTART", "IDENTITY"]);
    if !restart_identity {
        cursor.accept_all(&["CONTINUE", "IDENTITY"]);
    }
    Ok(Statement::Truncate { tables, only: alone, restart_identity, behavior: behavior(cursor) })
}

/// `COPY table [( … )] { FROM | TO } …` and `COPY ( query ) TO …`.
pub(super) fn copy(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("COPY")?;
    cursor.accept("BINARY");
    let mut columns = Vec::new();
    let mut query = None;
    let table = if cursor.is_kind(Kind::LParen) {
        let (start, end) = cursor.skip_parenthesized()?;
        let inside = ["SELECT", "WITH", "VALUES", "TABLE", "INSERT", "UPDATE", "DELETE", "MERGE"];
        let in_parentheses = cursor.tokens.get(start).is_some_and(|token| token.kind == Kind::LParen);
        if !cursor.word_at(start, &inside) && !in_parentheses {
            cursor.at = start;
            return cursor.unexpected("a query");
        }
        query = Some(Box::new(super::read_part(cursor, start, end)));
        None
    } else {
        let name = cursor.name()?;
        if cursor.is_kind(Kind::LParen) {
            columns = cursor.column_list()?;
        }
        Some(name)
    };
    let Some(direction) = cursor.accept_any(&["FROM", "TO"]) else { return cursor.unexpected("FROM or TO") };
    cursor.at = cursor.tokens.len();
    Ok(Statement::Copy { table, from: direction == "FROM", columns, query })
}

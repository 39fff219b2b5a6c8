//! The parts of a SELECT, for what the server looks up in it: which names mean which columns, and what is grouped.
//!
//! Only what is read whole is told: a form that is not known here leaves the query without parts.

use std::ops::Range;

use zdm_postgres::expr::ExprNode;
use zdm_postgres::statement::{
    CommonTable, Locking, OutputColumn, Query, Select, SelectOutput, SelectSource, SetOperand, SetOperation, SourceKind,
};
use zdm_postgres::{Ident, QualifiedName, SqlExpr, Statement};

use crate::cursor::{Cursor, identifier};
use crate::expr;
use crate::lexer::{Kind, Token};
use crate::query;
use crate::statement::{next_clause, set_list};

/// What a query inside another one, or a join in parentheses, counts for among the productions of an expression
/// ([`expr::NESTING`]): the readers of queries and of expressions call each other.
const OF_QUERY: usize = 25;

/// Adds the SELECTs of these tokens to the query, and what its WITH clause defines. Nothing where a part is not understood.
pub(crate) fn read(text: &str, tokens: &[Token], nesting: usize, query: &mut Query) {
    let nesting = nesting + OF_QUERY;
    if nesting > expr::NESTING {
        return;
    }
    let mut reader = Reader::new(Cursor::new(text, tokens), nesting, &mut query.modifies);
    let Some(selects) = reader.query().filter(|_| reader.cursor.is_at_end()) else { return };
    let Reader { with, order, set_operation, limits, .. } = reader;
    with.add_to(query);
    query.selects.extend(selects);
    query.order = order;
    query.limits = limits;
    query.set_operation = set_operation;
}

/// Values without names.
pub(crate) fn unnamed(values: Vec<SqlExpr>) -> Vec<SelectOutput> {
    values.into_iter().map(|expr| SelectOutput::Column(OutputColumn { name: None, expr })).collect()
}

/// A change of rows as far as the server looks names up in it.
pub(crate) struct Change<'t> {
    pub(crate) cursor: &'t Cursor<'t>,
    /// Where the WITH clause before it begins and ends.
    pub(crate) with: (usize, usize),
    /// Where the items of FROM or USING begin and end.
    pub(crate) items: (usize, usize),
    pub(crate) target: SelectSource,
    pub(crate) predicate: Option<SqlExpr>,
    pub(crate) values: Vec<SqlExpr>,
}

impl Change<'_> {
    /// Adds it to the query. Nothing where a part is not understood.
    pub(crate) fn read(self, query: &mut Query) {
        let Some(with) = read_with(self.cursor, self.with, &mut query.modifies) else { return };
        let mut select = Select {
            changes: Some("UPDATE"),
            sources: vec![self.target],
            predicate: self.predicate,
            returning: returning(self.cursor),
            ..Select::default()
        };
        if self.items.0 < self.items.1 {
            let mut none = Vec::new();
            let Some(mut reader) = Reader::between(self.cursor, self.items, &mut none) else { return };
            if reader.from(&mut select).is_none() || !reader.cursor.is_at_end() {
                return;
            }
        }
        select.output = unnamed(self.values);
        with.add_to(query);
        query.selects.push(select);
    }
}

/// What INSERT reads: the tokens of its query if it has one, its values, what it does where there is a conflict, and what it
/// returns.
pub(crate) fn read_insert(
    cursor: &Cursor<'_>,
    with: (usize, usize),
    source: Option<(usize, usize)>,
    changes: Vec<Select>,
    target: SelectSource,
    query: &mut Query,
) {
    let Some(with) = read_with(cursor, with, &mut query.modifies) else { return };
    with.add_to(query);
    if let Some((start, end)) = source {
        read(cursor.text, cursor.tokens.get(start..end).unwrap_or_default(), 0, query);
    }
    query.selects.extend(changes);
    let returning = returning(cursor);
    if !returning.is_empty() {
        let sources = vec![target];
        query.selects.push(Select { changes: Some("RETURNING"), sources, returning, ..Select::default() });
    }
}

/// What MERGE reads; the cursor is at USING. Each clause is one more SELECT.
pub(crate) fn read_merge(cursor: &Cursor<'_>, with: (usize, usize), target: SelectSource, query: &mut Query) {
    let Some(with) = read_with(cursor, with, &mut query.modifies) else { return };
    if let Some(selects) = merge(cursor, target) {
        with.add_to(query);
        query.selects.extend(selects);
    }
}

fn merge(cursor: &Cursor<'_>, target: SelectSource) -> Option<Vec<Select>> {
    let mut none = Vec::new();
    let mut reader = Reader::between(cursor, (cursor.at, cursor.tokens.len()), &mut none)?;
    let mut joined = Select { changes: Some("MERGE"), sources: vec![target], ..Select::default() };
    reader.cursor.expect("USING").ok()?;
    reader.source(&mut joined)?;
    reader.cursor.expect("ON").ok()?;
    let end = next_clause(&reader.cursor);
    let sources = joined.sources.clone();
    joined.joins.push((0..sources.len(), reader.expr(end)?));
    let mut selects = vec![joined];
    while reader.cursor.accept("WHEN") {
        let matched = !reader.cursor.accept("NOT");
        reader.cursor.expect("MATCHED").ok()?;
        let by_source = reader.cursor.accept_all(&["BY", "SOURCE"]);
        reader.cursor.accept_all(&["BY", "TARGET"]);
        let mut clause = Select { sources: sources.clone(), ..Select::default() };
        if let ([target, others @ ..], false) = (clause.sources.as_mut_slice(), matched) {
            target.hidden = !by_source;
            for other in others {
                other.hidden = by_source;
            }
        }
        let condition = if reader.cursor.accept("AND") {
            let end = reader.cursor.find_outside(|cursor, index| cursor.word_at(index, &["THEN"]));
            Some(reader.expr(end)?)
        } else {
            None
        };
        let values = reader.merge_values()?;
        selects.push(Select { changes: Some("MERGE WHEN conditions"), predicate: condition, ..clause.clone() });
        selects.push(Select { changes: Some("UPDATE"), output: unnamed(values), ..clause });
    }
    let returning = returning(cursor);
    if !returning.is_empty() {
        selects.push(Select { changes: Some("RETURNING"), sources, returning, ..Select::default() });
    }
    Some(selects)
}

fn read_with(cursor: &Cursor<'_>, (start, end): (usize, usize), modifies: &mut [Statement]) -> Option<With> {
    let mut reader = Reader::between(cursor, (start, end), modifies)?;
    if reader.cursor.accept("WITH") {
        reader.with()?;
    }
    reader.cursor.is_at_end().then_some(reader.with)
}

/// The list behind RETURNING; empty where it is not understood.
fn returning(cursor: &Cursor<'_>) -> Vec<SelectOutput> {
    let start = Cursor { at: 0, ..cursor.clone() }.find_outside(|cursor, index| cursor.word_at(index, &["RETURNING"]));
    let mut none = Vec::new();
    let reader = Reader::between(cursor, (start + 1, cursor.tokens.len()), &mut none);
    let mut select = Select::default();
    match reader {
        // The old and the new row may get names of their own (18).
        Some(mut reader) if start < cursor.tokens.len() && !reader.cursor.is("WITH") => {
            let read = reader.output(&mut select).is_some() && reader.cursor.is_at_end();
            if read { select.output } else { Vec::new() }
        }
        _ => Vec::new(),
    }
}

/// The target of a change, which a list of FROM names beside the others.
pub(crate) fn target(name: &QualifiedName, alias: Option<Ident>) -> SelectSource {
    SelectSource {
        aliased: alias.is_some(),
        alias: Some(alias.unwrap_or_else(|| name.name.clone())),
        kind: SourceKind::Relation(name.clone()),
        columns: Vec::new(),
        hidden: false,
    }
}

/// What a WITH clause defines.
#[derive(Default)]
struct With {
    tables: Vec<CommonTable>,
    recursive: bool,
}

impl With {
    fn add_to(self, query: &mut Query) {
        query.with.extend(self.tables);
        query.recursive |= self.recursive;
    }
}

struct Reader<'t, 'm> {
    cursor: Cursor<'t>,
    nesting: usize,
    with: With,
    /// The order of a set operation.
    order: Vec<SqlExpr>,
    set_operation: Option<SetOperation>,
    /// Of a set operation.
    limits: Vec<(&'static str, SqlExpr)>,
    /// The changes of rows in its WITH clause, in their order, which were read already.
    modifies: std::slice::IterMut<'m, Statement>,
}

/// The operands with what stands between them; INTERSECT binds more than the others. `None` where it is one alone, or more
/// than are told.
fn set_operation(operands: Vec<SetOperand>, names: Vec<(&'static str, bool)>) -> Option<SetOperation> {
    if operands.len() > OPERANDS {
        return None;
    }
    let mut operands = operands.into_iter();
    // What stands left of the last operation that is no INTERSECT, with its name, and the operand behind it.
    let (mut outer, mut current) = (None, operands.next()?);
    for (name, operand) in names.into_iter().zip(operands) {
        if name.0 == "INTERSECT" {
            current = between(name, current, operand);
        } else {
            let left = joined_to(outer, current);
            outer = Some((left, name));
            current = operand;
        }
    }
    match joined_to(outer, current) {
        SetOperand::Operation(operation) => Some(operation),
        SetOperand::Select(_) => None,
    }
}

fn joined_to(left: Option<(SetOperand, (&'static str, bool))>, right: SetOperand) -> SetOperand {
    match left {
        Some((left, name)) => between(name, left, right),
        None => right,
    }
}

fn between((name, all): (&'static str, bool), left: SetOperand, right: SetOperand) -> SetOperand {
    SetOperand::Operation(SetOperation { name, all, left: Box::new(left), right: Box::new(right) })
}

/// The operation with its SELECTs so many places further.
fn moved(operation: SetOperation, by: usize) -> SetOperation {
    let side = |operand: SetOperand| {
        Box::new(match operand {
            SetOperand::Select(place) => SetOperand::Select(place + by),
            SetOperand::Operation(operation) => SetOperand::Operation(moved(operation, by)),
        })
    };
    SetOperation {
        name: operation.name,
        all: operation.all,
        left: side(*operation.left),
        right: side(*operation.right),
    }
}

/// What ends a list of FROM or an expression of WHERE and HAVING.
const CLAUSES: &[&str] =
    &["INTO", "FROM", "WHERE", "HAVING", "WINDOW", "UNION", "INTERSECT", "EXCEPT", "LIMIT", "OFFSET", "FETCH", "FOR"];

/// How many operands of set operations are told one from another: what walks them recurses.
const OPERANDS: usize = 64;

/// Words that begin a join, so that no alias and no expression goes on.
const JOINS: &[&str] = &["JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL"];

impl<'t, 'm> Reader<'t, 'm> {
    fn new(cursor: Cursor<'t>, nesting: usize, modifies: &'m mut [Statement]) -> Self {
        let (order, set_operation, limits) = (Vec::new(), None, Vec::new());
        Self { cursor, nesting, with: With::default(), order, set_operation, limits, modifies: modifies.iter_mut() }
    }

    fn between(cursor: &Cursor<'t>, (start, end): (usize, usize), modifies: &'m mut [Statement]) -> Option<Self> {
        let inside = Cursor { at: start, tokens: cursor.tokens.get(..end)?, ..cursor.clone() };
        Some(Self::new(inside, OF_QUERY, modifies))
    }

    /// `[WITH …] select [UNION select …] [ORDER BY …] [LIMIT …]`.
    fn query(&mut self) -> Option<Vec<Select>> {
        if self.cursor.accept("WITH") {
            self.with()?;
        }
        let (mut selects, first) = self.operand(0)?;
        let (mut operands, mut operations) = (vec![first], Vec::new());
        while let Some(operation) = self.cursor.accept_any(&["UNION", "INTERSECT", "EXCEPT"]) {
            let all = self.cursor.accept_any(&["ALL", "DISTINCT"]) == Some("ALL");
            let (more, operand) = self.operand(selects.len())?;
            selects.extend(more);
            operations.push((operation, all));
            operands.push(operand);
        }
        self.set_operation = set_operation(operands, operations);
        if self.cursor.accept_all(&["ORDER", "BY"]) {
            let order = self.expressions()?;
            match selects.as_mut_slice() {
                [select] => select.order = order,
                // The order of a set operation names its output columns.
                _ => self.order = order,
            }
        }
        let (limits, ties) = self.limits()?;
        match selects.as_mut_slice() {
            [select] => {
                select.limits.extend(limits);
                select.ties |= ties;
            }
            _ => self.limits = limits,
        }
        if self.cursor.is("FOR") {
            let locking = self.locking()?;
            if let [select] = selects.as_mut_slice() {
                select.locking = locking;
            }
            // LIMIT may as well stand here.
            self.cursor.at = self.cursor.tokens.len();
        }
        Some(selects)
    }

    /// `FOR UPDATE [OF …] [NOWAIT | SKIP LOCKED] …`.
    fn locking(&mut self) -> Option<Vec<Locking>> {
        const STRENGTHS: [(&[&str], &str); 4] = [
            (&["UPDATE"], "FOR UPDATE"),
            (&["NO", "KEY", "UPDATE"], "FOR NO KEY UPDATE"),
            (&["SHARE"], "FOR SHARE"),
            (&["KEY", "SHARE"], "FOR KEY SHARE"),
        ];
        let mut locking = Vec::new();
        while self.cursor.accept("FOR") {
            let (_, strength) = STRENGTHS.iter().find(|(words, _)| self.cursor.accept_all(words))?;
            let mut of = Vec::new();
            if self.cursor.accept("OF") {
                loop {
                    of.push(self.cursor.ident().ok()?);
                    if !self.cursor.accept_kind(Kind::Comma) {
                        break;
                    }
                }
            }
            self.cursor.accept("NOWAIT");
            let skip_locked = self.cursor.accept_all(&["SKIP", "LOCKED"]);
            locking.push(Locking { strength, of, skip_locked });
        }
        Some(locking)
    }

    /// `LIMIT n`, `OFFSET n ROWS`, `FETCH FIRST n ROWS ONLY | WITH TIES` in any order, and whether ties are among them.
    fn limits(&mut self) -> Option<(Vec<(&'static str, SqlExpr)>, bool)> {
        let (mut limits, mut ties) = (Vec::new(), false);
        while let Some(word) = self.cursor.accept_any(&["LIMIT", "OFFSET", "FETCH"]) {
            if word == "FETCH" {
                self.cursor.accept_any(&["FIRST", "NEXT"])?;
            }
            let end = self.cursor.find_outside(|cursor, index| {
                cursor.word_at(index, &["LIMIT", "OFFSET", "FETCH", "FOR", "ROW", "ROWS"])
            });
            let all = word == "LIMIT" && self.cursor.accept("ALL");
            if !all && (word != "FETCH" || end > self.cursor.at) {
                limits.push((if word == "OFFSET" { "OFFSET" } else { "LIMIT" }, self.expr(end)?));
            }
            self.cursor.accept_any(&["ROW", "ROWS"]);
            if word == "FETCH" && !self.cursor.accept("ONLY") {
                self.cursor.accept_all(&["WITH", "TIES"]).then_some(())?;
                ties = true;
            }
        }
        // OFFSET is looked up first.
        limits.sort_by_key(|(word, _)| *word != "OFFSET");
        Some((limits, ties))
    }

    fn with(&mut self) -> Option<()> {
        self.with.recursive = self.cursor.accept("RECURSIVE");
        loop {
            let name = self.cursor.ident().ok()?;
            let columns = if self.cursor.is_kind(Kind::LParen) { self.cursor.column_list().ok()? } else { Vec::new() };
            self.cursor.expect("AS").ok()?;
            self.cursor.accept("NOT");
            self.cursor.accept("MATERIALIZED");
            let changes = ["INSERT", "UPDATE", "DELETE", "MERGE"].iter().any(|verb| self.cursor.is_nth(1, verb));
            let (start, end) = self.cursor.skip_parenthesized().ok()?;
            let query = if changes { self.change() } else { self.nested(start, end) }.unwrap_or_default();
            let silent = changes && !(start..end).any(|index| self.cursor.word_at(index, &["RETURNING"]));
            self.with.tables.push(CommonTable { name, columns, query, silent });
            if self.cursor.is_any(&["SEARCH", "CYCLE"]) {
                return None;
            }
            if !self.cursor.accept_kind(Kind::Comma) {
                return Some(());
            }
        }
    }

    /// What the next change of rows in the WITH clause reads. It is looked up here, where what is defined before is seen.
    fn change(&mut self) -> Option<Query> {
        let (Statement::Insert(dml) | Statement::Update(dml) | Statement::Delete(dml)) = self.modifies.next()? else {
            return None;
        };
        Some(Query {
            selects: std::mem::take(&mut dml.query.selects),
            with: std::mem::take(&mut dml.query.with),
            recursive: dml.query.recursive,
            ..Query::default()
        })
    }

    /// A query inside this one, which is understood.
    fn nested(&self, start: usize, end: usize) -> Option<Query> {
        let query = query::nested(self.cursor.text, self.cursor.tokens.get(start..end)?, self.nesting);
        (!query.selects.is_empty()).then_some(query)
    }

    /// A SELECT, VALUES, TABLE, or a whole query in parentheses; the first of its SELECTs gets that place.
    fn operand(&mut self, place: usize) -> Option<(Vec<Select>, SetOperand)> {
        if self.cursor.is_kind(Kind::LParen) {
            let (start, end) = self.cursor.skip_parenthesized().ok()?;
            let query = self.nested(start, end)?;
            let operand = match query.set_operation {
                Some(operation) => SetOperand::Operation(moved(operation, place)),
                None => SetOperand::Select(place),
            };
            // An order inside the parentheses names what is inside.
            let bare = query.with.is_empty() && query.order.is_empty() && query.limits.is_empty();
            return bare.then_some((query.selects, operand));
        }
        let select = if self.cursor.accept("VALUES") {
            self.values()?
        } else if self.cursor.accept("TABLE") {
            let mut select = Select { output: vec![SelectOutput::Star(None)], ..Select::default() };
            self.source(&mut select)?;
            select
        } else {
            self.cursor.expect("SELECT").ok()?;
            self.select()?
        };
        Some((vec![select], SetOperand::Select(place)))
    }

    /// The rows behind VALUES.
    fn values(&mut self) -> Option<Select> {
        let mut rows = Vec::new();
        loop {
            let (start, end) = self.cursor.skip_parenthesized().ok()?;
            let mut row = Vec::new();
            let mut inside = Cursor { at: start, tokens: self.cursor.tokens.get(..end)?, ..self.cursor.clone() };
            loop {
                let from = inside.at;
                inside.at = inside.find_outside(|cursor, index| cursor.tokens[index].kind == Kind::Comma);
                let tokens = inside.tokens.get(from..inside.at).filter(|tokens| !tokens.is_empty())?;
                row.push(expr::read_at(inside.text, tokens, self.nesting));
                if !inside.accept_kind(Kind::Comma) {
                    break;
                }
            }
            rows.push(row);
            if !self.cursor.accept_kind(Kind::Comma) {
                break;
            }
        }
        let named = |(place, expr): (usize, &SqlExpr)| {
            let name = Some(Ident::from(format!("column{}", place + 1)));
            SelectOutput::Column(OutputColumn { name, expr: expr.clone() })
        };
        let output = rows.first()?.iter().enumerate().map(named).collect();
        Some(Select { output, rows, ..Select::default() })
    }

    fn select(&mut self) -> Option<Select> {
        let mut select = Select::default();
        self.cursor.accept("ALL");
        if self.cursor.accept("DISTINCT") {
            select.distinct = !self.cursor.accept("ON");
            if !select.distinct {
                self.cursor.accept_kind(Kind::LParen).then_some(())?;
                select.distinct_on = self.expressions()?;
                self.cursor.accept_kind(Kind::RParen).then_some(())?;
            }
        }
        if !self.ends_clause(self.cursor.at) && !self.cursor.is_at_end() {
            self.output(&mut select)?;
        }
        if self.cursor.accept("FROM") {
            self.from(&mut select)?;
        }
        if self.cursor.accept("WHERE") {
            select.predicate = Some(self.clause()?);
        }
        if self.cursor.accept_all(&["GROUP", "BY"]) {
            if self.cursor.accept_any(&["ALL", "DISTINCT"]).is_some() {
                return None;
            }
            select.groups = true;
            select.group = self.expressions()?;
        }
        if self.cursor.accept("HAVING") {
            select.having = Some(self.clause()?);
        }
        // What windows name is not looked up.
        if self.cursor.accept("WINDOW") {
            loop {
                select.windows.push(self.cursor.ident().ok()?);
                self.cursor.expect("AS").ok()?;
                self.cursor.skip_parenthesized().ok()?;
                if !self.cursor.accept_kind(Kind::Comma) {
                    break;
                }
            }
        }
        Some(select)
    }

    /// The values of a clause behind THEN.
    fn merge_values(&mut self) -> Option<Vec<SqlExpr>> {
        self.cursor.expect("THEN").ok()?;
        let end = next_clause(&self.cursor);
        let mut inside = Cursor { tokens: self.cursor.tokens.get(..end)?, ..self.cursor.clone() };
        self.cursor.at = end;
        if inside.accept_all(&["UPDATE", "SET"]) {
            return set_list(&mut inside).ok().map(|set| set.values);
        }
        if inside.accept("INSERT") {
            if inside.is_kind(Kind::LParen) {
                inside.skip_parenthesized().ok()?;
            }
            if inside.accept("OVERRIDING") {
                inside.at += 2;
            }
            if inside.accept("VALUES") {
                return inside.parenthesized(Cursor::expr_until_comma).ok();
            }
        }
        Some(Vec::new())
    }

    /// The list of FROM.
    fn from(&mut self, select: &mut Select) -> Option<()> {
        loop {
            let first = select.sources.len();
            self.joined(select, first)?;
            if !self.cursor.accept_kind(Kind::Comma) {
                return Some(());
            }
        }
    }

    fn output(&mut self, select: &mut Select) -> Option<()> {
        loop {
            let end = self.end_of_expression();
            let start = self.cursor.at;
            if end <= start {
                return None;
            }
            if let Some(column) = query::output_column(&self.cursor, end, self.nesting) {
                select.output.push(SelectOutput::Column(column));
            } else {
                let before = self.cursor.tokens.get(start)?;
                let qualifier = match end - start {
                    1 => None,
                    3 => Some(identifier(self.cursor.text, *before)?),
                    _ => return None,
                };
                select.output.push(SelectOutput::Star(qualifier));
            }
            self.cursor.at = end;
            if !self.cursor.accept_kind(Kind::Comma) {
                return Some(());
            }
        }
    }

    fn ends_clause(&self, index: usize) -> bool {
        let cursor = &self.cursor;
        (cursor.word_at(index, CLAUSES)
            && !(cursor.word_at(index, &["FROM"])
                && index.checked_sub(1).is_some_and(|before| cursor.word_at(before, &["DISTINCT"]))
                && index.checked_sub(2).is_some_and(|before| cursor.word_at(before, &["IS", "NOT"]))))
            || (cursor.word_at(index, &["GROUP", "ORDER"]) && cursor.word_at(index + 1, &["BY"]))
    }

    fn end_of_expression(&self) -> usize {
        self.cursor.find_outside(|cursor, index| cursor.tokens[index].kind == Kind::Comma || self.ends_clause(index))
    }

    fn expr(&mut self, end: usize) -> Option<SqlExpr> {
        let tokens = self.cursor.tokens.get(self.cursor.at..end).filter(|tokens| !tokens.is_empty())?;
        let expr = expr::read_at(self.cursor.text, tokens, self.nesting);
        self.cursor.at = end;
        Some(expr)
    }

    /// The condition of WHERE or HAVING.
    fn clause(&mut self) -> Option<SqlExpr> {
        let end = self.cursor.find_outside(|_, index| self.ends_clause(index));
        self.expr(end)
    }

    /// The list of GROUP BY or ORDER BY, without what stands behind its expressions.
    fn expressions(&mut self) -> Option<Vec<SqlExpr>> {
        let mut list = Vec::new();
        loop {
            let end = self.cursor.find_outside(|cursor, index| {
                cursor.tokens[index].kind == Kind::Comma
                    || self.ends_clause(index)
                    || cursor.word_at(index, &["ASC", "DESC", "USING", "NULLS"])
            });
            list.push(self.expr(end)?);
            if self.cursor.is("USING") {
                return None;
            }
            self.cursor.accept_any(&["ASC", "DESC"]);
            if self.cursor.accept("NULLS") {
                self.cursor.accept_any(&["FIRST", "LAST"])?;
            }
            if !self.cursor.accept_kind(Kind::Comma) {
                return Some(list);
            }
        }
    }

    /// A chain of joins, whose conditions see the sources from `first` on.
    fn joined(&mut self, select: &mut Select, first: usize) -> Option<()> {
        self.source(select)?;
        loop {
            let natural = self.cursor.accept("NATURAL");
            let cross = self.cursor.accept("CROSS");
            let outer = self.cursor.accept_any(&["LEFT", "RIGHT", "FULL"]);
            if outer.is_some() {
                self.cursor.accept("OUTER");
            } else {
                self.cursor.accept("INNER");
            }
            if !self.cursor.accept("JOIN") {
                return (!natural && !cross).then_some(());
            }
            let right = select.sources.len();
            self.source(select)?;
            if matches!(outer, Some("RIGHT" | "FULL")) {
                select.nullable.extend(first..right);
            }
            if matches!(outer, Some("LEFT" | "FULL")) {
                select.nullable.extend(right..select.sources.len());
            }
            if natural {
                select.natural = true;
            } else if self.cursor.accept("USING") {
                let columns = self.cursor.column_list().ok()?;
                if self.cursor.is("AS") {
                    return None;
                }
                select.merged.extend(columns);
            } else if !cross {
                self.cursor.expect("ON").ok()?;
                let end = self.cursor.find_outside(|cursor, index| {
                    cursor.tokens[index].kind == Kind::Comma
                        || self.ends_clause(index)
                        || (cursor.word_at(index, JOINS)
                            && !cursor.tokens.get(index + 1).is_some_and(|token| token.kind == Kind::LParen))
                });
                let condition = self.expr(end)?;
                let seen: Range<usize> = first..select.sources.len();
                select.joins.push((seen, condition));
            }
        }
    }

    /// One item of FROM with its alias.
    fn source(&mut self, select: &mut Select) -> Option<()> {
        let lateral = self.cursor.accept("LATERAL");
        let mut called = None;
        let mut kind = if self.cursor.is_kind(Kind::LParen) {
            if !self.is_query() {
                // A join in parentheses, which has no name of its own.
                let nesting = self.nesting + OF_QUERY;
                if nesting > expr::NESTING {
                    return None;
                }
                let (start, end) = self.cursor.skip_parenthesized().ok()?;
                let inside = Cursor { at: start, tokens: self.cursor.tokens.get(..end)?, ..self.cursor.clone() };
                let mut reader = Reader::new(inside, nesting, &mut []);
                let first = select.sources.len();
                reader.joined(select, first)?;
                let plain = reader.cursor.is_at_end() && !lateral && !self.cursor.is("AS") && !self.is_alias();
                return plain.then_some(());
            }
            let (start, end) = self.cursor.skip_parenthesized().ok()?;
            match self.nested(start, end) {
                Some(query) => SourceKind::Query { query: Box::new(query), lateral },
                None => SourceKind::Unknown,
            }
        } else {
            if self.cursor.are(&["ROWS", "FROM"]) || self.cursor.is("XMLTABLE") || self.cursor.is("JSON_TABLE") {
                return None;
            }
            let only = self.cursor.accept("ONLY");
            if only && self.cursor.is_kind(Kind::LParen) {
                return None;
            }
            if expr::KEYWORD_FUNCTIONS.iter().any(|name| self.cursor.is(name)) {
                return None;
            }
            let function = self.cursor.clone().any_name().ok().is_some_and(|_| {
                let mut ahead = self.cursor.clone();
                ahead.any_name().is_ok() && ahead.is_kind(Kind::LParen)
            });
            let start = self.cursor.at;
            let name = if function { self.cursor.any_name().ok()? } else { self.cursor.name().ok()? };
            called = Some(name.name.clone());
            if function {
                self.cursor.skip_parenthesized().ok()?;
                let end = std::mem::replace(&mut self.cursor.at, start);
                let call = self.expr(end)?;
                let ordinality = self.cursor.accept_all(&["WITH", "ORDINALITY"]);
                match &*call.node {
                    ExprNode::Call { .. } => SourceKind::Function { call: Box::new(call), ordinality },
                    _ => SourceKind::Unknown,
                }
            } else {
                self.cursor.accept_operator("*");
                SourceKind::Relation(name)
            }
        };
        let explicit = self.cursor.accept("AS");
        let mut columns = Vec::new();
        let mut alias = None;
        if explicit || self.is_alias() {
            if explicit && self.cursor.is_kind(Kind::LParen) {
                // The columns of a function that returns any record.
                self.cursor.skip_parenthesized().ok()?;
                kind = SourceKind::Unknown;
            } else {
                alias = Some(self.cursor.ident().ok()?);
                if self.cursor.is_kind(Kind::LParen) {
                    let mut behind = self.cursor.clone();
                    let definitions = behind.skip_parenthesized().is_ok();
                    match self.cursor.column_list() {
                        Ok(names) => columns = names,
                        Err(_) if definitions && matches!(kind, SourceKind::Function { .. } | SourceKind::Unknown) => {
                            self.cursor.at = behind.at;
                            kind = SourceKind::Unknown;
                        }
                        Err(_) => return None,
                    }
                }
            }
        }
        if self.cursor.accept("TABLESAMPLE") {
            self.cursor.any_name().ok()?;
            self.cursor.skip_parenthesized().ok()?;
            if self.cursor.accept("REPEATABLE") {
                self.cursor.skip_parenthesized().ok()?;
            }
        }
        let aliased = alias.is_some();
        // A subquery without an alias has no name (16).
        let alias = alias.or(called);
        select.sources.push(SelectSource { alias, aliased, kind, columns, hidden: false });
        Some(())
    }

    /// Whether the parenthesis holds a query: one in parentheses of its own may as well be the first item of a join.
    fn is_query(&self) -> bool {
        let mut ahead = self.cursor.clone();
        // What is deeper is not read.
        for _ in 0..expr::NESTING {
            if !ahead.is_kind(Kind::LParen) {
                break;
            }
            ahead.at += 1;
            let mut behind = ahead.clone();
            let behind = behind.skip_parenthesized().is_ok().then_some(behind);
            if behind.is_some_and(|behind| {
                !behind.is_kind(Kind::RParen)
                    && !behind.is_any(&["UNION", "INTERSECT", "EXCEPT", "ORDER", "LIMIT", "OFFSET", "FETCH", "FOR"])
            }) {
                return false;
            }
        }
        query::begins(&ahead)
    }

    fn is_alias(&self) -> bool {
        let Some(token) = self.cursor.peek() else { return false };
        match token.kind {
            Kind::Quoted | Kind::UnicodeQuoted => true,
            Kind::Word => {
                let word = self.cursor.source(token);
                !query::is_reserved(word)
                    && !self.cursor.is_any(&["TABLESAMPLE", "SET", "WITH"])
                    && !self.cursor.is_any(JOINS)
            }
            _ => false,
        }
    }
}

//! CREATE TABLE in all its forms, with columns and constraints, which ALTER TABLE and ALTER DOMAIN use too.

use zdm_postgres::statement::{
    ColumnConstraint, ColumnConstraintKind, ColumnDef, CreateTable, CreateTableAs, KeyConstraint, OnCommit,
    PartitionBound, PartitionBy, Persistence, References, SequenceOptions, TableConstraint, TableConstraintKind,
};
use zdm_postgres::{Ident, SqlExpr, Statement};

use super::alter_table::word;
use super::{attribute, index, object};
use crate::cursor::{Cursor, Read, Unread};
use crate::expr;
use crate::lexer::Kind;
use crate::query;

pub(super) fn create(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("CREATE")?;
    let persistence = persistence(cursor);
    let foreign = cursor.accept("FOREIGN");
    cursor.expect("TABLE")?;
    let if_not_exists = cursor.accept_all(&["IF", "NOT", "EXISTS"]);
    let mut table = CreateTable {
        name: cursor.name()?,
        foreign,
        if_not_exists,
        persistence,
        columns: Vec::new(),
        constraints: Vec::new(),
        like: Vec::new(),
        inherits: Vec::new(),
        partition_of: None,
        partition_by: None,
        of_type: None,
        tablespace: None,
        access_method: None,
        on_commit: None,
        options: Vec::new(),
    };
    if let Some(columns) = as_columns(cursor) {
        return create_as(cursor, table, columns);
    }
    if cursor.accept_all(&["PARTITION", "OF"]) {
        let parent = cursor.name()?;
        if cursor.is_kind(Kind::LParen) {
            elements(cursor, &mut table, true)?;
        }
        table.partition_of = Some((parent, partition_bound(cursor)?));
    } else if cursor.accept("OF") {
        table.of_type = Some(cursor.name()?);
        if cursor.is_kind(Kind::LParen) {
            elements(cursor, &mut table, true)?;
        }
    } else {
        elements(cursor, &mut table, false)?;
        if cursor.accept("INHERITS") {
            table.inherits = cursor.parenthesized(Cursor::name)?;
        }
    }
    if foreign {
        cursor.expect("SERVER")?;
        cursor.ident()?;
        if cursor.accept("OPTIONS") {
            cursor.skip_parenthesized()?;
        }
        return Ok(Statement::CreateTable(table));
    }
    if cursor.accept_all(&["PARTITION", "BY"]) {
        table.partition_by = Some(partition_by(cursor)?);
    }
    tail(cursor, &mut table)?;
    Ok(Statement::CreateTable(table))
}

/// `[GLOBAL | LOCAL] TEMP[ORARY]`, `UNLOGGED` or nothing.
pub(super) fn persistence(cursor: &mut Cursor<'_>) -> Persistence {
    if cursor.is_any(&["GLOBAL", "LOCAL"]) && (cursor.is_nth(1, "TEMP") || cursor.is_nth(1, "TEMPORARY")) {
        cursor.at += 1;
    }
    match cursor.accept_any(&["TEMP", "TEMPORARY", "UNLOGGED"]) {
        Some("UNLOGGED") => Persistence::Unlogged,
        Some(_) => Persistence::Temporary,
        None => Persistence::Permanent,
    }
}

/// The column names of CREATE TABLE … AS, which are all that may stand before USING, WITH, ON COMMIT, TABLESPACE and AS.
/// `None`: this is no CREATE TABLE AS; nothing was read.
fn as_columns(cursor: &mut Cursor<'_>) -> Option<Vec<Ident>> {
    let mut ahead = cursor.clone();
    let columns = if ahead.is_kind(Kind::LParen) { ahead.column_list().ok()? } else { Vec::new() };
    if !ahead.is_any(&["AS", "USING", "WITH", "WITHOUT", "ON", "TABLESPACE"]) {
        return None;
    }
    cursor.at = ahead.at;
    Some(columns)
}

fn create_as(cursor: &mut Cursor<'_>, mut table: CreateTable, columns: Vec<Ident>) -> Read<Statement> {
    tail(cursor, &mut table)?;
    cursor.expect("AS")?;
    let mut end = cursor.tokens.len();
    let mut with_data = true;
    let words = |from: usize, words: &[&str]| {
        from >= cursor.at && words.iter().enumerate().all(|(index, word)| cursor.word_at(from + index, &[word]))
    };
    if words(end.saturating_sub(3), &["WITH", "NO", "DATA"]) {
        end -= 3;
        with_data = false;
    } else if words(end.saturating_sub(2), &["WITH", "DATA"]) {
        end -= 2;
    }
    let query = query::read(cursor.text, &cursor.tokens[cursor.at..end]);
    if !query::begins(cursor) {
        return cursor.unexpected("a query");
    }
    cursor.at = cursor.tokens.len();
    Ok(Statement::CreateTableAs(CreateTableAs {
        name: table.name,
        if_not_exists: table.if_not_exists,
        persistence: table.persistence,
        with_data,
        on_commit: table.on_commit,
        columns,
        options: table.options,
        query,
    }))
}

/// USING, WITH, ON COMMIT and TABLESPACE.
fn tail(cursor: &mut Cursor<'_>, table: &mut CreateTable) -> Read<()> {
    loop {
        if cursor.accept("USING") {
            table.access_method = Some(cursor.ident()?);
        } else if cursor.is("WITH") && cursor.is_kind_nth(1, Kind::LParen) {
            cursor.at += 1;
            table.options = options(cursor)?;
        } else if cursor.accept_all(&["WITHOUT", "OIDS"]) {
        } else if cursor.accept_all(&["ON", "COMMIT"]) {
            let action = match cursor.accept_any(&["PRESERVE", "DELETE", "DROP"]) {
                Some("DROP") => OnCommit::Drop,
                Some(word) => {
                    cursor.expect("ROWS")?;
                    if word == "DELETE" { OnCommit::DeleteRows } else { OnCommit::PreserveRows }
                }
                None => return cursor.unexpected("PRESERVE, DELETE or DROP"),
            };
            table.on_commit = Some(action);
        } else if cursor.accept("TABLESPACE") {
            table.tablespace = Some(cursor.ident()?);
        } else {
            return Ok(());
        }
    }
}

/// `( name [= value], … )`: names in lower case, or in quotes where they are written so, values as written without their quotes.
pub(super) fn options(cursor: &mut Cursor<'_>) -> Read<Vec<(String, String)>> {
    cursor.parenthesized(|cursor| {
        let name = cursor.dotted()?;
        let folded = |part: &Ident| {
            let part = part.as_str();
            if part.bytes().any(|byte| byte.is_ascii_uppercase()) { format!("\"{part}\"") } else { part.to_owned() }
        };
        let name: Vec<String> = name.iter().map(folded).collect();
        let name = name.join(".");
        if !cursor.accept_operator("=") {
            return Ok((name, String::new()));
        }
        Ok((name, option_value(cursor)?))
    })
}

fn option_value(cursor: &mut Cursor<'_>) -> Read<String> {
    if let Ok(value) = cursor.string() {
        return Ok(value);
    }
    let end = cursor.find_outside(|cursor, index| cursor.tokens[index].kind == Kind::Comma);
    if end == cursor.at {
        return cursor.unexpected("a value");
    }
    let value = cursor.source_of(cursor.at, end).to_owned();
    cursor.at = end;
    Ok(value)
}

fn elements(cursor: &mut Cursor<'_>, table: &mut CreateTable, typed: bool) -> Read<()> {
    cursor.expect_kind(Kind::LParen, "(")?;
    if !typed && cursor.accept_kind(Kind::RParen) {
        return Ok(());
    }
    loop {
        if is_table_constraint(cursor) {
            table.constraints.push(table_constraint(cursor)?);
        } else if cursor.accept("LIKE") {
            let source = cursor.name()?;
            let mut what = Vec::new();
            while let Some(word) = cursor.accept_any(&["INCLUDING", "EXCLUDING"]) {
                what.push(format!("{word} {}", cursor.label()?.as_str().to_ascii_uppercase()));
            }
            table.like.push((source, what));
        } else if typed {
            table.columns.push(typed_column(cursor)?);
        } else {
            table.columns.push(column(cursor)?);
        }
        if !cursor.accept_kind(Kind::Comma) {
            break;
        }
    }
    cursor.expect_kind(Kind::RParen, ")")
}

/// `name [WITH OPTIONS] constraints` of a typed table or a partition.
fn typed_column(cursor: &mut Cursor<'_>) -> Read<ColumnDef> {
    let name = cursor.ident()?;
    cursor.accept_all(&["WITH", "OPTIONS"]);
    let mut column =
        ColumnDef { name, data_type: None, collation: None, storage: None, compression: None, constraints: Vec::new() };
    column_tail(cursor, &mut column)?;
    Ok(column)
}

/// `name type constraints`.
pub(super) fn column(cursor: &mut Cursor<'_>) -> Read<ColumnDef> {
    let name = cursor.ident()?;
    let data_type = Some(cursor.data_type()?);
    let mut column =
        ColumnDef { name, data_type, collation: None, storage: None, compression: None, constraints: Vec::new() };
    column_tail(cursor, &mut column)?;
    Ok(column)
}

/// Everything behind a column's type.
fn column_tail(cursor: &mut Cursor<'_>, column: &mut ColumnDef) -> Read<()> {
    loop {
        if cursor.accept("COLLATE") {
            column.collation = Some(cursor.name()?);
        } else if cursor.accept("STORAGE") {
            column.storage = Some(word(cursor)?);
        } else if cursor.accept("COMPRESSION") {
            column.compression = Some(word(cursor)?);
        } else if cursor.accept("OPTIONS") {
            // A foreign table's column.
            cursor.skip_parenthesized()?;
        } else if let Some(constraint) = column_constraint(cursor)? {
            column.constraints.push(constraint);
        } else {
            // Most columns have one, and every statement of a long history is kept.
            column.constraints.shrink_to_fit();
            return Ok(());
        }
    }
}

fn column_constraint(cursor: &mut Cursor<'_>) -> Read<Option<ColumnConstraint>> {
    let start = cursor.at;
    let name = if cursor.accept("CONSTRAINT") { Some(cursor.ident()?) } else { None };
    let mut options = Vec::new();
    let kind = if cursor.accept_all(&["NOT", "NULL"]) {
        ColumnConstraintKind::NotNull { no_inherit: cursor.accept_all(&["NO", "INHERIT"]) }
    } else if cursor.accept("NULL") {
        ColumnConstraintKind::Null
    } else if cursor.accept("DEFAULT") {
        ColumnConstraintKind::Default(default_expr(cursor)?)
    } else if cursor.accept("CHECK") {
        let expr = cursor.parenthesized_expr()?;
        ColumnConstraintKind::Check { expr, no_inherit: cursor.accept_all(&["NO", "INHERIT"]) }
    } else if cursor.accept("UNIQUE") {
        let nulls_not_distinct = nulls_distinct(cursor)?;
        options = index_parameters(cursor)?.options;
        ColumnConstraintKind::Unique { nulls_not_distinct }
    } else if cursor.accept_all(&["PRIMARY", "KEY"]) {
        options = index_parameters(cursor)?.options;
        ColumnConstraintKind::PrimaryKey
    } else if cursor.is("REFERENCES") {
        ColumnConstraintKind::References(references(cursor)?)
    } else if cursor.is("GENERATED") {
        generated(cursor)?
    } else if cursor.at != start {
        return cursor.unexpected("a constraint");
    } else {
        return Ok(None);
    };
    let written = attribute::words(cursor);
    let (attributes, words) = (attribute::attributes(&written), attribute::of_column(&kind, &written));
    Ok(Some(ColumnConstraint { name, kind, options, attributes, words }))
}

fn nulls_distinct(cursor: &mut Cursor<'_>) -> Read<bool> {
    if !cursor.accept("NULLS") {
        return Ok(false);
    }
    let not = cursor.accept("NOT");
    cursor.expect("DISTINCT")?;
    Ok(not)
}

/// `GENERATED { ALWAYS | BY DEFAULT } AS { IDENTITY [( … )] | ( expr ) [STORED | VIRTUAL] }`.
fn generated(cursor: &mut Cursor<'_>) -> Read<ColumnConstraintKind> {
    cursor.expect("GENERATED")?;
    let always = generated_when(cursor)?;
    cursor.expect("AS")?;
    if cursor.accept("IDENTITY") {
        let options = if cursor.accept_kind(Kind::LParen) {
            let options = object::sequence_options(cursor)?;
            cursor.expect_kind(Kind::RParen, ")")?;
            options
        } else {
            SequenceOptions::default()
        };
        return Ok(ColumnConstraintKind::Identity { always, options });
    }
    let expr = cursor.parenthesized_expr()?;
    // Before 18 there is an error at the next word.
    if !always && cursor.is("STORED") {
        return Err(Unread::refused("for a generated column, GENERATED ALWAYS must be specified"));
    }
    if !always {
        return cursor.unexpected("STORED");
    }
    // Without either word version 18 takes VIRTUAL; before it STORED had to be written.
    let stored = cursor.accept("STORED");
    if !stored {
        cursor.accept("VIRTUAL");
    }
    Ok(ColumnConstraintKind::Generated { expr, stored })
}

/// `ALWAYS` is `true`, `BY DEFAULT` is `false`.
pub(super) fn generated_when(cursor: &mut Cursor<'_>) -> Read<bool> {
    if cursor.accept("ALWAYS") {
        return Ok(true);
    }
    cursor.expect_all(&["BY", "DEFAULT"])?;
    Ok(false)
}

/// The default's expression has no operators on its outer level that read like the constraints behind it (the grammar's `b_expr`),
/// so that the first such word ends it.
pub(super) fn default_expr(cursor: &mut Cursor<'_>) -> Read<SqlExpr> {
    const NEXT: [&str; 14] = [
        "CONSTRAINT",
        "NOT",
        "NULL",
        "DEFAULT",
        "CHECK",
        "UNIQUE",
        "PRIMARY",
        "REFERENCES",
        "GENERATED",
        "COLLATE",
        "DEFERRABLE",
        "INITIALLY",
        "ENFORCED",
        "OPTIONS",
    ];
    let first = cursor.at;
    let end = cursor.find_outside(|cursor, index| {
        cursor.tokens[index].kind == Kind::Comma
            || (index > first && cursor.word_at(index, &NEXT) && !cursor.word_at(index - 1, &["IS"]))
    });
    let length = expr::restricted(cursor.text, cursor.tokens.get(first..end).unwrap_or_default());
    cursor.expr_until(first + length)
}

/// What stands behind a key's columns.
#[derive(Default)]
struct IndexParameters {
    tablespace: Option<Ident>,
    options: Vec<(String, String)>,
}

/// `WITH ( … )` and `USING INDEX TABLESPACE name` of a key.
fn index_parameters(cursor: &mut Cursor<'_>) -> Read<IndexParameters> {
    let mut parameters = IndexParameters::default();
    loop {
        if cursor.is("WITH") && cursor.is_kind_nth(1, Kind::LParen) {
            cursor.at += 1;
            parameters.options = options(cursor)?;
        } else if cursor.accept_all(&["USING", "INDEX", "TABLESPACE"]) {
            parameters.tablespace = Some(cursor.ident()?);
        } else {
            return Ok(parameters);
        }
    }
}

/// `REFERENCES table [( … )] [MATCH …] [ON DELETE …] [ON UPDATE …]`; actions in upper case, a column list of SET NULL included.
pub(super) fn references(cursor: &mut Cursor<'_>) -> Read<References> {
    cursor.expect("REFERENCES")?;
    let table = cursor.name()?;
    let (columns, period) = if cursor.is_kind(Kind::LParen) { key_columns(cursor)? } else { (Vec::new(), false) };
    let mut references = References { table, columns, period, match_type: None, on_delete: None, on_update: None };
    loop {
        if cursor.accept("MATCH") {
            match cursor.accept_any(&["FULL", "PARTIAL", "SIMPLE"]) {
                Some("SIMPLE") => {}
                Some(other) => references.match_type = Some(other.to_owned()),
                None => return cursor.unexpected("FULL, PARTIAL or SIMPLE"),
            }
        } else if cursor.accept_all(&["ON", "DELETE"]) {
            references.on_delete = Some(referential_action(cursor)?);
        } else if cursor.accept_all(&["ON", "UPDATE"]) {
            references.on_update = Some(referential_action(cursor)?);
        } else {
            return Ok(references);
        }
    }
}

fn referential_action(cursor: &mut Cursor<'_>) -> Read<String> {
    for words in [&["NO", "ACTION"][..], &["RESTRICT"], &["CASCADE"], &["SET", "NULL"], &["SET", "DEFAULT"]] {
        if cursor.accept_all(words) {
            let mut action = words.join(" ");
            if words[0] == "SET" && cursor.is_kind(Kind::LParen) {
                let columns = cursor.column_list()?;
                let columns: Vec<&str> = columns.iter().map(Ident::as_str).collect();
                action = format!("{action} ({})", columns.join(", "));
            }
            return Ok(action);
        }
    }
    cursor.unexpected("a referential action")
}

pub(super) fn is_table_constraint(cursor: &Cursor<'_>) -> bool {
    cursor.is_any(&["CONSTRAINT", "CHECK", "UNIQUE", "PRIMARY", "FOREIGN"])
        // The word is not reserved: a column may have this name.
        || (cursor.is("EXCLUDE") && (cursor.is_kind_nth(1, Kind::LParen) || cursor.is_nth(1, "USING")))
        || cursor.are(&["NOT", "NULL"])
}

pub(super) fn table_constraint(cursor: &mut Cursor<'_>) -> Read<TableConstraint> {
    let name = if cursor.accept("CONSTRAINT") { Some(cursor.ident()?) } else { None };
    let mut kind = table_constraint_kind(cursor)?;
    let written = attribute::words(cursor);
    if let TableConstraintKind::Check { no_inherit: flag, .. } | TableConstraintKind::NotNull { no_inherit: flag, .. } =
        &mut kind
    {
        *flag = written.contains(&attribute::Word::NoInherit);
    }
    let (attributes, words) = (attribute::attributes(&written), attribute::of_table(&kind, &written));
    Ok(TableConstraint { name, kind, attributes, words })
}

fn table_constraint_kind(cursor: &mut Cursor<'_>) -> Read<TableConstraintKind> {
    if cursor.accept("CHECK") {
        return Ok(TableConstraintKind::Check { expr: cursor.parenthesized_expr()?, no_inherit: false });
    }
    if cursor.accept("UNIQUE") {
        let nulls_not_distinct = nulls_distinct(cursor)?;
        let mut key = key_constraint(cursor)?;
        key.nulls_not_distinct = nulls_not_distinct;
        return Ok(TableConstraintKind::Unique(key));
    }
    if cursor.accept_all(&["PRIMARY", "KEY"]) {
        return Ok(TableConstraintKind::PrimaryKey(key_constraint(cursor)?));
    }
    if cursor.accept_all(&["FOREIGN", "KEY"]) {
        let (columns, period) = key_columns(cursor)?;
        return Ok(TableConstraintKind::ForeignKey { columns, references: references(cursor)?, period });
    }
    if cursor.accept("EXCLUDE") {
        let method = if cursor.accept("USING") { Some(cursor.ident()?) } else { None };
        let elements = cursor.parenthesized(|cursor| {
            let element = index::element(cursor)?;
            cursor.expect("WITH")?;
            Ok((element, exclusion_operator(cursor)?))
        })?;
        let include = if cursor.accept("INCLUDE") { cursor.column_list()? } else { Vec::new() };
        let options = index_parameters(cursor)?.options;
        let predicate = if cursor.accept("WHERE") { Some(cursor.parenthesized_expr()?) } else { None };
        return Ok(TableConstraintKind::Exclude { method, elements, include, options, predicate });
    }
    if cursor.accept_all(&["NOT", "NULL"]) {
        return Ok(TableConstraintKind::NotNull { column: cursor.ident()?, no_inherit: false });
    }
    cursor.unexpected("a constraint")
}

/// `=`, `OPERATOR(pg_catalog.=)`: the bare operator.
fn exclusion_operator(cursor: &mut Cursor<'_>) -> Read<String> {
    if cursor.is("OPERATOR") && cursor.is_kind_nth(1, Kind::LParen) {
        cursor.at += 1;
        let (_, end) = cursor.skip_parenthesized()?;
        return Ok(cursor.source_of(end.saturating_sub(1), end).to_owned());
    }
    match cursor.peek() {
        Some(token) if token.kind == Kind::Operator => {
            cursor.at += 1;
            Ok(cursor.source(token).to_owned())
        }
        _ => cursor.unexpected("an operator"),
    }
}

/// `( a, b [WITHOUT OVERLAPS] )` or `( a, PERIOD b )`.
fn key_columns(cursor: &mut Cursor<'_>) -> Read<(Vec<Ident>, bool)> {
    let mut overlaps = false;
    let columns = cursor.parenthesized(|cursor| {
        if cursor.is("PERIOD") && cursor.is_ident_nth(1) {
            cursor.at += 1;
            overlaps = true;
        }
        let column = cursor.ident()?;
        overlaps |= cursor.accept_all(&["WITHOUT", "OVERLAPS"]);
        Ok(column)
    })?;
    Ok((columns, overlaps))
}

fn key_constraint(cursor: &mut Cursor<'_>) -> Read<KeyConstraint> {
    let mut key = KeyConstraint::default();
    if cursor.is("USING") && cursor.is_nth(1, "INDEX") && !cursor.is_nth(2, "TABLESPACE") {
        cursor.at += 2;
        key.using_index = Some(cursor.ident()?);
        return Ok(key);
    }
    (key.columns, key.without_overlaps) = key_columns(cursor)?;
    if cursor.accept("INCLUDE") {
        key.include = cursor.column_list()?;
    }
    let parameters = index_parameters(cursor)?;
    (key.tablespace, key.options) = (parameters.tablespace, parameters.options);
    Ok(key)
}

/// `RANGE (created_at, lower(name) COLLATE "C" text_ops)`.
fn partition_by(cursor: &mut Cursor<'_>) -> Read<PartitionBy> {
    let strategy = cursor.ident()?.as_str().to_ascii_uppercase();
    let mut columns = Vec::new();
    let mut expressions = Vec::new();
    cursor.parenthesized(|cursor| {
        match index::element(cursor)?.key {
            zdm_postgres::statement::IndexKey::Column(column) => columns.push(column),
            zdm_postgres::statement::IndexKey::Expr(expr) => expressions.push(expr),
        }
        Ok(())
    })?;
    Ok(PartitionBy { strategy, columns, expressions })
}

/// `DEFAULT` or `FOR VALUES …`.
pub(super) fn partition_bound(cursor: &mut Cursor<'_>) -> Read<PartitionBound> {
    if cursor.accept("DEFAULT") {
        return Ok(PartitionBound::Default);
    }
    let start = cursor.at;
    cursor.expect_all(&["FOR", "VALUES"])?;
    if cursor.accept("IN") || cursor.accept("WITH") {
        cursor.skip_parenthesized()?;
    } else {
        cursor.expect("FROM")?;
        cursor.skip_parenthesized()?;
        cursor.expect("TO")?;
        cursor.skip_parenthesized()?;
    }
    Ok(PartitionBound::Values(cursor.source_of(start, cursor.at).to_owned()))
}

//! One statement's tokens to a [`Statement`].
//!
//! Each form has a typed reader; it must use up the statement, else the statement is opaque with the place that was not expected.

mod attribute;

mod table;

mod alter_table;

mod index;

mod object;

mod routine;

mod data;

mod session;

use zdm_postgres::Statement;
use zdm_postgres::statement::Opaque;

use crate::cursor::{Cursor, Read, Unread};
use crate::lexer::{Kind, Token};
use crate::query;
use crate::split::Piece;

pub(crate) use data::{next_clause, set_list};

/// Reads one statement. What is not understood is opaque.
pub(crate) fn read(text: &str, piece: Piece<'_>) -> Statement {
    read_cursor(&Cursor::new(text, piece.tokens), piece.unfinished)
}

fn read_cursor(cursor: &Cursor<'_>, unfinished: Option<&'static str>) -> Statement {
    let result = match unfinished {
        Some(reason) => Err(Unread::new(reason.to_owned())),
        None if cursor.is_kind(Kind::Meta) => session::meta_command(cursor),
        None => {
            let mut cursor = cursor.clone();
            dispatch(&mut cursor).and_then(|statement| cursor.expect_end().map(|()| statement))
        }
    };
    result.unwrap_or_else(|unread| opaque(cursor, unread))
}

/// Reads a statement inside another one.
pub(crate) fn read_nested(text: &str, tokens: &[Token]) -> Statement {
    read_cursor(&Cursor { nested: true, ..Cursor::new(text, tokens) }, None)
}

/// Reads a part of a statement that is a statement by itself.
pub(super) fn read_part(cursor: &Cursor<'_>, start: usize, end: usize) -> Statement {
    let tokens = cursor.tokens.get(start..end).unwrap_or_default();
    read_cursor(&Cursor { nested: cursor.nested, ..Cursor::new(cursor.text, tokens) }, None)
}

/// The statements of a routine's body. What they hold themselves is not taken apart any further.
pub(super) fn read_body(text: &str) -> Vec<Statement> {
    let mut statements = Vec::new();
    crate::split::each_statement(text, |piece| {
        statements.push(read_cursor(&Cursor { nested: true, ..Cursor::new(text, piece.tokens) }, piece.unfinished));
    });
    statements
}

/// The statement as far as nothing of it is understood.
fn opaque(cursor: &Cursor<'_>, unread: Unread) -> Statement {
    let failure = unread.into_failure();
    Statement::Opaque(Opaque {
        kind: kind(cursor),
        text: cursor.source_of(0, cursor.tokens.len()).to_owned(),
        reason: failure.reason,
        refusal: failure.refusal,
    })
}

/// Words of a form's name behind its verb.
const FORM: &[&str] = &[
    "OR",
    "REPLACE",
    "TEMP",
    "TEMPORARY",
    "UNLOGGED",
    "GLOBAL",
    "LOCAL",
    "UNIQUE",
    "DEFAULT",
    "PROCEDURAL",
    "TRUSTED",
    "CONSTRAINT",
    "ACCESS",
    "METHOD",
    "AGGREGATE",
    "CAST",
    "COLLATION",
    "CONVERSION",
    "DATABASE",
    "DOMAIN",
    "EVENT",
    "EXTENSION",
    "FOREIGN",
    "DATA",
    "WRAPPER",
    "FUNCTION",
    "GROUP",
    "INDEX",
    "LANGUAGE",
    "LARGE",
    "OBJECT",
    "MATERIALIZED",
    "OPERATOR",
    "CLASS",
    "FAMILY",
    "OWNED",
    "POLICY",
    "PRIVILEGES",
    "PROCEDURE",
    "PUBLICATION",
    "ROLE",
    "ROUTINE",
    "RULE",
    "SCHEMA",
    "SEQUENCE",
    "SERVER",
    "STATISTICS",
    "SUBSCRIPTION",
    "SYSTEM",
    "TABLE",
    "TABLESPACE",
    "TEXT",
    "SEARCH",
    "CONFIGURATION",
    "DICTIONARY",
    "PARSER",
    "TEMPLATE",
    "TRANSFORM",
    "TRIGGER",
    "TYPE",
    "USER",
    "MAPPING",
    "VIEW",
    "ON",
    "LABEL",
    "TRANSACTION",
    "RECURSIVE",
];

/// The leading words in upper case: those that name the form, not the object.
fn kind(cursor: &Cursor<'_>) -> String {
    let words: Vec<String> = cursor
        .tokens
        .iter()
        .take(4)
        .take_while(|token| token.kind == Kind::Word)
        .map(|token| cursor.source(*token).to_ascii_uppercase())
        .collect();
    let Some(first) = words.first() else { return String::new() };
    let object_words = match first.as_str() {
        "CREATE" | "ALTER" | "DROP" | "COMMENT" | "IMPORT" | "SECURITY" | "REASSIGN" | "REFRESH" | "START" | "END" => {
            &words[1..]
        }
        _ => &[],
    };
    let mut kind = first.clone();
    for word in object_words.iter().take_while(|word| FORM.contains(&word.as_str())) {
        kind.push(' ');
        kind.push_str(word);
    }
    kind
}

/// Chooses the reader by the leading words.
fn dispatch(cursor: &mut Cursor<'_>) -> Read<Statement> {
    let Some(first) = cursor.peek() else { return cursor.unexpected("a statement") };
    if first.kind == Kind::LParen {
        return data::select(cursor);
    }
    if first.kind != Kind::Word {
        return cursor.unexpected("a statement");
    }
    let word = cursor.source(first);
    let start = cursor.at;
    // The longest of the words below.
    if word.len() > 10 {
        return Err(Unread::new(format!("`{word}` begins no statement")));
    }
    match word.to_ascii_uppercase().as_str() {
        "ALTER" => alter(cursor),
        "CREATE" => create(cursor),
        "DROP" => object::drop(cursor),
        "SELECT" | "WITH" | "VALUES" | "TABLE" => data::select(cursor),
        "INSERT" => data::insert(cursor, start),
        "UPDATE" => data::update(cursor, start),
        "DELETE" => data::delete(cursor, start),
        "MERGE" => data::merge(cursor, start),
        "TRUNCATE" => data::truncate(cursor),
        "COPY" => data::copy(cursor),
        "COMMENT" => object::comment(cursor),
        "GRANT" => object::grant(cursor, false),
        "REVOKE" => object::grant(cursor, true),
        "REINDEX" => index::reindex(cursor),
        "REFRESH" => object::refresh(cursor),
        "IMPORT" | "SECURITY" | "REASSIGN" => object::other(cursor),
        "VACUUM" => session::vacuum(cursor),
        "ANALYZE" | "ANALYSE" => session::analyze(cursor),
        "CLUSTER" => session::cluster(cursor),
        "CHECKPOINT" => session::checkpoint(cursor),
        "BEGIN" | "START" => session::begin(cursor),
        "COMMIT" | "END" => Ok(session::commit(cursor)),
        "ROLLBACK" | "ABORT" => session::rollback(cursor),
        "SAVEPOINT" => session::savepoint(cursor),
        "RELEASE" => session::release(cursor),
        "SET" => session::set(cursor),
        "RESET" => session::reset(cursor),
        "LOCK" => session::lock(cursor),
        "DO" => routine::do_block(cursor),
        "CALL" => routine::call(cursor),
        "EXPLAIN" => explain(cursor),
        "DECLARE" | "PREPARE" => Ok(declare_or_prepare(cursor)),
        "SHOW" | "LISTEN" | "UNLISTEN" | "NOTIFY" | "DISCARD" | "EXECUTE" | "DEALLOCATE" | "FETCH" | "MOVE"
        | "CLOSE" | "LOAD" => Ok(session::command(cursor)),
        other => Err(Unread::new(format!("`{other}` begins no statement"))),
    }
}

/// EXPLAIN ANALYZE executes its statement, which is what is read then.
fn explain(cursor: &mut Cursor<'_>) -> Read<Statement> {
    let start = cursor.at;
    cursor.expect("EXPLAIN")?;
    let mut analyze = false;
    if cursor.is_kind(Kind::LParen) && !query::begins(cursor) {
        analyze = index::spaced_options(cursor)?
            .iter()
            .any(|(name, value)| (name == "analyze" || name == "analyse") && index::is_on(value));
    } else {
        while let Some(word) = cursor.accept_any(&["ANALYZE", "ANALYSE", "VERBOSE"]) {
            analyze |= word != "VERBOSE";
        }
    }
    if analyze && !cursor.is("EXPLAIN") {
        // A command of the session is named by its own first words.
        let inside = Cursor { at: 0, tokens: &cursor.tokens[cursor.at..], ..cursor.clone() };
        cursor.at = cursor.tokens.len();
        return dispatch(&mut inside.clone());
    }
    let inside = cursor.at;
    Ok(with_inner(cursor, start, inside))
}

/// `DECLARE name … CURSOR … FOR query` and `PREPARE name [( types )] AS statement`.
fn declare_or_prepare(cursor: &mut Cursor<'_>) -> Statement {
    let start = cursor.at;
    let word = if cursor.is("DECLARE") { "FOR" } else { "AS" };
    let found = cursor.find_outside(|cursor, index| cursor.is_nth(index.saturating_sub(cursor.at), word));
    with_inner(cursor, start, found.saturating_add(1))
}

/// A command of the session that holds a query or a change of rows; no other command, so that nothing is nested.
fn with_inner(cursor: &mut Cursor<'_>, start: usize, inside: usize) -> Statement {
    cursor.at = inside;
    let rows = cursor.is_any(&["SELECT", "VALUES", "TABLE", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE"])
        || (cursor.word_at(start, &["EXPLAIN"]) && cursor.is_any(&["CREATE", "EXECUTE"]));
    let inner = if !rows {
        None
    } else if cursor.is("EXECUTE") {
        // A command of the session is named by its own first words.
        let alone = Cursor { at: 0, tokens: &cursor.tokens[inside..], ..cursor.clone() };
        dispatch(&mut alone.clone()).ok()
    } else {
        dispatch(cursor).ok().filter(|_| cursor.is_at_end())
    };
    cursor.at = start;
    match session::command(cursor) {
        Statement::Session { command, name, .. } => {
            Statement::Session { command, name, statement: inner.map(Box::new) }
        }
        other => other,
    }
}

fn create(cursor: &mut Cursor<'_>) -> Read<Statement> {
    let mut ahead = 1;
    if cursor.is_nth(1, "OR") && cursor.is_nth(2, "REPLACE") {
        ahead = 3;
    }
    if (cursor.is_nth(ahead, "GLOBAL") || cursor.is_nth(ahead, "LOCAL"))
        && (cursor.is_nth(ahead + 1, "TEMP") || cursor.is_nth(ahead + 1, "TEMPORARY"))
    {
        ahead += 1;
    }
    if cursor.is_nth(ahead, "TEMP") || cursor.is_nth(ahead, "TEMPORARY") || cursor.is_nth(ahead, "UNLOGGED") {
        ahead += 1;
    }
    let is = |word: &str| cursor.is_nth(ahead, word);
    if is("TABLE") || (is("FOREIGN") && cursor.is_nth(ahead + 1, "TABLE")) {
        table::create(cursor)
    } else if is("INDEX") || (is("UNIQUE") && cursor.is_nth(ahead + 1, "INDEX")) {
        index::create(cursor)
    } else if is("VIEW") || is("MATERIALIZED") || is("RECURSIVE") {
        object::create_view(cursor)
    } else if is("SEQUENCE") {
        object::create_sequence(cursor)
    } else if is("FUNCTION") || is("PROCEDURE") {
        routine::create_function(cursor)
    } else if is("TRIGGER") || (is("CONSTRAINT") && cursor.is_nth(ahead + 1, "TRIGGER")) {
        routine::create_trigger(cursor)
    } else if is("RULE") {
        routine::create_rule(cursor)
    } else {
        object::create(cursor)
    }
}

fn alter(cursor: &mut Cursor<'_>) -> Read<Statement> {
    let is = |word: &str| cursor.is_nth(1, word);
    if is("TABLE")
        || is("INDEX")
        || is("VIEW")
        || (is("MATERIALIZED") && cursor.is_nth(2, "VIEW"))
        || (is("FOREIGN") && cursor.is_nth(2, "TABLE"))
    {
        alter_table::read(cursor)
    } else if is("SEQUENCE") {
        object::alter_sequence(cursor)
    } else if is("TYPE") {
        object::alter_type(cursor)
    } else if is("DOMAIN") {
        object::alter_domain(cursor)
    } else {
        object::alter(cursor)
    }
}

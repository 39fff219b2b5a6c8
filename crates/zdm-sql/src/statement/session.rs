//! Transactions, the session, locks and maintenance.

use zdm_postgres::statement::SetParameter;
use zdm_postgres::{Ident, LockMode, QualifiedName, Statement};

use super::alter_table::only;
use super::index::{is_on, spaced_options};
use crate::cursor::{Cursor, Read, Unread};
use crate::lexer::Kind;

/// A psql meta-command, which psql carries out itself. Those that only concern psql send nothing to the server.
pub(super) fn meta_command(cursor: &Cursor<'_>) -> Read<Statement> {
    const SILENT: [&str; 30] = [
        "\\!",
        "\\a",
        "\\C",
        "\\cd",
        "\\conninfo",
        "\\copyright",
        "\\echo",
        "\\encoding",
        "\\errverbose",
        "\\f",
        "\\H",
        "\\h",
        "\\help",
        "\\o",
        "\\out",
        "\\prompt",
        "\\pset",
        "\\q",
        "\\qecho",
        "\\quit",
        "\\restrict",
        "\\set",
        "\\setenv",
        "\\t",
        "\\T",
        "\\timing",
        "\\unrestrict",
        "\\unset",
        "\\warn",
        "\\x",
    ];
    let Some(token) = cursor.peek() else { return cursor.unexpected("a command") };
    let source = cursor.source(token);
    let name = source.split(char::is_whitespace).next().unwrap_or(source);
    // `\dt`, `\l` and their kin only look at the catalog.
    if SILENT.contains(&name) || name.starts_with("\\d") || matches!(name, "\\l" | "\\l+" | "\\z" | "\\sf" | "\\sv") {
        return Ok(Statement::Session { command: name.to_owned(), name: None, statement: None });
    }
    if name == "\\copy"
        && let Some(copy) = source.get(1..)
        && let [statement] = super::read_body(copy).as_slice()
        && matches!(statement, Statement::Copy { .. })
    {
        return Ok(statement.clone());
    }
    Err(Unread::new("a psql meta-command".to_owned()))
}

pub(super) fn begin(cursor: &mut Cursor<'_>) -> Read<Statement> {
    if cursor.accept("START") {
        cursor.expect("TRANSACTION")?;
    } else {
        cursor.expect("BEGIN")?;
        cursor.accept_any(&["WORK", "TRANSACTION"]);
    }
    let start = cursor.at;
    transaction_modes(cursor)?;
    Ok(Statement::Begin { modes: cursor.source_of(start, cursor.at).to_owned() })
}

fn transaction_modes(cursor: &mut Cursor<'_>) -> Read<()> {
    while !cursor.is_at_end() {
        if cursor.accept_all(&["ISOLATION", "LEVEL"]) {
            let levels: [&[&str]; 4] =
                [&["SERIALIZABLE"], &["REPEATABLE", "READ"], &["READ", "COMMITTED"], &["READ", "UNCOMMITTED"]];
            if !levels.iter().any(|level| cursor.accept_all(level)) {
                return cursor.unexpected("an isolation level");
            }
        } else if cursor.accept_all(&["READ", "ONLY"])
            || cursor.accept_all(&["READ", "WRITE"])
            || cursor.accept_all(&["NOT", "DEFERRABLE"])
            || cursor.accept("DEFERRABLE")
        {
        } else {
            return cursor.unexpected("a transaction mode");
        }
        cursor.accept_kind(Kind::Comma);
    }
    Ok(())
}

fn and_chain(cursor: &mut Cursor<'_>) -> bool {
    if cursor.accept_all(&["AND", "CHAIN"]) {
        return true;
    }
    cursor.accept_all(&["AND", "NO", "CHAIN"]);
    false
}

pub(super) fn commit(cursor: &mut Cursor<'_>) -> Statement {
    cursor.at += 1;
    if cursor.is("PREPARED") {
        return command(cursor);
    }
    cursor.accept_any(&["WORK", "TRANSACTION"]);
    Statement::Commit { and_chain: and_chain(cursor) }
}

pub(super) fn rollback(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.at += 1;
    if cursor.is("PREPARED") {
        return Ok(command(cursor));
    }
    cursor.accept_any(&["WORK", "TRANSACTION"]);
    if cursor.accept("TO") {
        cursor.accept("SAVEPOINT");
        return Ok(Statement::RollbackToSavepoint(cursor.ident()?));
    }
    Ok(Statement::Rollback { and_chain: and_chain(cursor) })
}

pub(super) fn savepoint(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("SAVEPOINT")?;
    Ok(Statement::Savepoint(cursor.ident()?))
}

pub(super) fn release(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("RELEASE")?;
    cursor.accept("SAVEPOINT");
    Ok(Statement::ReleaseSavepoint(cursor.ident()?))
}

/// SET of a parameter, of constraints, of the transaction, of roles.
pub(super) fn set(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("SET")?;
    if cursor.accept("CONSTRAINTS") {
        let names = if cursor.accept("ALL") { None } else { Some(cursor.names()?) };
        return match cursor.accept_any(&["DEFERRED", "IMMEDIATE"]) {
            Some(word) => Ok(Statement::SetConstraints { names, deferred: word == "DEFERRED" }),
            None => cursor.unexpected("DEFERRED or IMMEDIATE"),
        };
    }
    let local = cursor.is("LOCAL") && cursor.is_ident_nth(1);
    if local || (cursor.is("SESSION") && cursor.is_ident_nth(1) && !cursor.is_nth(1, "TO")) {
        cursor.at += 1;
    }
    let parameter =
        |name: &str, value: Option<String>| Ok(Statement::Set(SetParameter { name: name.to_owned(), value, local }));
    if cursor.is("TRANSACTION") && !cursor.is_nth(1, "TO") {
        let start = cursor.at + 1;
        if cursor.accept_all(&["TRANSACTION", "SNAPSHOT"]) {
            cursor.string()?;
        } else {
            cursor.at += 1;
            transaction_modes(cursor)?;
        }
        return parameter("transaction", Some(cursor.source_of(start, cursor.tokens.len()).to_owned()));
    }
    if cursor.accept_all(&["CHARACTERISTICS", "AS", "TRANSACTION"]) {
        let start = cursor.at;
        transaction_modes(cursor)?;
        return parameter("session characteristics", Some(cursor.source_of(start, cursor.at).to_owned()));
    }
    if cursor.accept_all(&["TIME", "ZONE"]) {
        return parameter("timezone", values(cursor)?);
    }
    if local && cursor.is("SESSION") && cursor.is_nth(1, "AUTHORIZATION") {
        cursor.at += 1;
    }
    for word in ["ROLE", "NAMES", "SCHEMA", "AUTHORIZATION"] {
        if cursor.is(word) && !cursor.is_nth(1, "TO") && !cursor.is_kind_nth(1, Kind::Operator) {
            cursor.at += 1;
            let name = match word {
                "ROLE" => "role",
                "NAMES" => "client_encoding",
                "SCHEMA" => "search_path",
                _ => "session_authorization",
            };
            return parameter(name, values(cursor)?);
        }
    }
    if cursor.accept_all(&["XML", "OPTION"]) {
        return parameter("xmloption", values(cursor)?);
    }
    let name = cursor.dotted()?;
    let name: Vec<&str> = name.iter().map(Ident::as_str).collect();
    let name = name.join(".");
    if cursor.accept_all(&["FROM", "CURRENT"]) {
        return parameter(&name, None);
    }
    if !cursor.accept_operator("=") {
        cursor.expect("TO")?;
    }
    parameter(&name, values(cursor)?)
}

/// The rest as one value: strings without their quotes, a list joined with commas; `None` is DEFAULT.
fn values(cursor: &mut Cursor<'_>) -> Read<Option<String>> {
    if cursor.is("DEFAULT") && cursor.nth(1).is_none() {
        cursor.at += 1;
        return Ok(None);
    }
    let list = cursor.list(|cursor| {
        if let Ok(value) = cursor.string() {
            return Ok(value);
        }
        let start = cursor.at;
        cursor.at = cursor.find_outside(|cursor, index| cursor.tokens[index].kind == Kind::Comma);
        if cursor.at == start {
            return cursor.unexpected("a value");
        }
        if cursor.at == start + 1 && cursor.is_ident_at(start) {
            cursor.at = start;
            return cursor.label().map(|ident| ident.as_str().to_owned());
        }
        Ok(cursor.source_of(start, cursor.at).to_owned())
    })?;
    Ok(Some(list.join(", ")))
}

pub(super) fn reset(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("RESET")?;
    if cursor.accept("ALL") {
        return Ok(Statement::Reset { parameter: None });
    }
    if cursor.accept_all(&["TIME", "ZONE"]) {
        return Ok(Statement::Reset { parameter: Some("timezone".to_owned()) });
    }
    if cursor.accept_all(&["SESSION", "AUTHORIZATION"]) {
        return Ok(Statement::Reset { parameter: Some("session_authorization".to_owned()) });
    }
    let name = cursor.dotted()?;
    let name: Vec<&str> = name.iter().map(Ident::as_str).collect();
    Ok(Statement::Reset { parameter: Some(name.join(".")) })
}

pub(super) fn lock(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("LOCK")?;
    cursor.accept("TABLE");
    let tables = cursor.list(|cursor| {
        let only = only(cursor);
        let name = cursor.name()?;
        cursor.accept_operator("*");
        Ok((name, only))
    })?;
    let mut mode = LockMode::AccessExclusive;
    if cursor.accept("IN") {
        let found = LockMode::ALL.into_iter().rev().find(|mode| {
            let mut ahead = cursor.clone();
            mode.as_str().split(' ').all(|word| ahead.accept(word)) && ahead.is("MODE")
        });
        let Some(found) = found else { return cursor.unexpected("a lock mode") };
        mode = found;
        cursor.at += mode.as_str().split(' ').count();
        cursor.expect("MODE")?;
    }
    Ok(Statement::Lock { tables, mode, nowait: cursor.accept("NOWAIT") })
}

/// A command of the session: its first words, in upper case, are its name.
pub(super) fn command(cursor: &mut Cursor<'_>) -> Statement {
    let first = cursor.tokens.first().map_or("", |token| cursor.source(*token));
    let mut command = first.to_ascii_uppercase();
    if let Some(token) = cursor.tokens.get(1)
        && token.kind == Kind::Word
        && (cursor.word_at(1, &["TRANSACTION", "PREPARED"])
            || (cursor.word_at(0, &["DISCARD"]) && cursor.word_at(1, &["ALL"])))
    {
        command.push(' ');
        command.push_str(&cursor.source(*token).to_ascii_uppercase());
    }
    let named = matches!(command.as_str(), "PREPARE" | "EXECUTE" | "DECLARE" | "CLOSE" | "DEALLOCATE");
    let mut ahead = cursor.clone();
    ahead.at = 1;
    if command == "DEALLOCATE" {
        ahead.accept("PREPARE");
    }
    if matches!(command.as_str(), "FETCH" | "MOVE") {
        ahead.at = cursor.tokens.len().saturating_sub(1).max(1);
    }
    // SHOW of a name by itself; of ALL, TIME ZONE and their kin there is nothing to look up.
    let shows = command == "SHOW" && cursor.tokens.len() == 2;
    let named = named || shows || matches!(command.as_str(), "FETCH" | "MOVE");
    let name = if named && !ahead.is("ALL") { ahead.label().ok() } else { None };
    cursor.at = cursor.tokens.len();
    Statement::Session { command, name, statement: None }
}

// Maintenance

pub(super) fn vacuum(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("VACUUM")?;
    let mut options = Vec::new();
    if cursor.is_kind(Kind::LParen) {
        options = spaced_options(cursor)?;
    } else {
        while let Some(word) = cursor.accept_any(&["FULL", "FREEZE", "VERBOSE", "ANALYZE", "ANALYSE"]) {
            options.push((word.to_ascii_lowercase(), String::new()));
        }
    }
    for (name, _) in options.iter_mut().filter(|(name, _)| name == "analyse") {
        "analyze".clone_into(name);
    }
    let said = |wanted: &str| options.iter().rfind(|(name, _)| name == wanted).map(|(_, value)| is_on(value));
    let (full, truncate) = (said("full").unwrap_or(false), said("truncate"));
    let Maintained { tables, only, columns } = maintained_tables(cursor)?;
    Ok(Statement::Vacuum { full, truncate, options, tables, only, columns })
}

pub(super) fn analyze(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.at += 1;
    let mut options = Vec::new();
    if cursor.is_kind(Kind::LParen) {
        options = spaced_options(cursor)?;
    } else {
        cursor.accept("VERBOSE");
    }
    let Maintained { tables, only, columns } = maintained_tables(cursor)?;
    Ok(Statement::Analyze { options, tables, only, columns })
}

/// The tables, which of them are named by ONLY, and the columns that stand behind one.
#[derive(Default)]
struct Maintained {
    tables: Vec<QualifiedName>,
    only: Vec<QualifiedName>,
    columns: Vec<(QualifiedName, Vec<Ident>)>,
}

fn maintained_tables(cursor: &mut Cursor<'_>) -> Read<Maintained> {
    let mut maintained = Maintained::default();
    if cursor.is_at_end() {
        return Ok(maintained);
    }
    let tables = cursor.list(|cursor| {
        let only = only(cursor);
        let name = cursor.name()?;
        cursor.accept_operator("*");
        if cursor.is_kind(Kind::LParen) {
            maintained.columns.push((name.clone(), cursor.column_list()?));
        }
        if only.0 {
            maintained.only.push(name.clone());
        }
        Ok(name)
    })?;
    Ok(Maintained { tables, ..maintained })
}

/// `CLUSTER [VERBOSE | ( … )] [table [USING index]]` and the old `CLUSTER index ON table`.
pub(super) fn cluster(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("CLUSTER")?;
    if cursor.is_kind(Kind::LParen) {
        cursor.skip_parenthesized()?;
    } else {
        cursor.accept("VERBOSE");
    }
    if cursor.is_at_end() {
        return Ok(Statement::Cluster { table: None, index: None });
    }
    let name = cursor.name()?;
    if cursor.accept("ON") {
        return Ok(Statement::Cluster { table: Some(cursor.name()?), index: Some(name.name) });
    }
    let index = if cursor.accept("USING") { Some(cursor.ident()?) } else { None };
    Ok(Statement::Cluster { table: Some(name), index })
}

pub(super) fn checkpoint(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("CHECKPOINT")?;
    if cursor.is_kind(Kind::LParen) {
        cursor.skip_parenthesized()?;
    }
    Ok(Statement::Checkpoint)
}

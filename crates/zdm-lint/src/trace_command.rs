//! `zdm-lint trace`: the effects of plain SQL, statement by statement.

use std::fmt::Write as _;
use std::io::Read as _;

use serde::Serialize;
use zdm_postgres::effects::{Outcome, Refusal, TransactionUse};
use zdm_postgres::session::Session;
use zdm_postgres::{Catalog, PgVersion, Statement};
use zdm_source::SourceFile;

use crate::args::ListFormat;
use crate::terminal::{Failure, print, say};
use crate::wire::{WireEffects, WireLock, in_words};

/// One statement with what it does.
#[derive(Debug)]
pub(crate) struct Traced {
    sql: String,
    line: u32,
    statement: Statement,
    outcome: Outcome,
    /// `lock_timeout` as it is in force for the statement, where the text sets one.
    lock_timeout: Option<String>,
    /// What to put in front of the text, where the statement names a relation that nothing before it makes.
    help: Option<String>,
}

/// Runs the statements of `text` on an empty catalog.
pub(crate) fn trace(text: &str, version: PgVersion) -> Vec<Traced> {
    let file = SourceFile::new("", text);
    let mut session = Session::new(Catalog::new(), version);
    let mut helped = false;
    zdm_sql::parse(text)
        .into_iter()
        .map(|parsed| {
            let lock_timeout = session.setting("lock_timeout").map(str::to_owned);
            let outcome = session.execute(&parsed.statement);
            let help = outcome.error.as_ref().filter(|_| !helped).and_then(|error| missing(error, &session));
            helped |= help.is_some();
            Traced {
                lock_timeout,
                help,
                sql: file.slice(parsed.span).to_owned(),
                line: file.line_column(parsed.span.start).line,
                statement: parsed.statement,
                outcome,
            }
        })
        .collect()
}

/// How the text comes to know the relation that a statement is refused for.
///
/// A migration alone says nothing of the tables that exist already, and `pg_dump` leaves `search_path` empty.
fn missing(refusal: &Refusal, session: &Session) -> Option<String> {
    // The same SQLSTATE stands for a name that the FROM of a query lacks.
    let name = refusal.message.strip_suffix("\" does not exist").filter(|_| refusal.sqlstate == "42P01")?;
    let (_, name) = name.split_once(" \"")?;
    let mut relations = session.catalog().relations();
    let elsewhere = relations.find(|(relation, _)| *relation.name.as_str() == *name);
    // The catalog names no schema for what is in the default one.
    let schema = elsewhere.map(|(relation, _)| relation.schema.as_ref().map_or("public", |schema| schema.as_str()));
    Some(match schema {
        Some(schema) => {
            format!("`{schema}.{name}` exists: name its schema, or put `SET search_path TO {schema}` in front")
        }
        None => format!("nothing before makes `{name}`: put its definition in front (pg_dump --schema-only)"),
    })
}

pub(crate) fn as_text(traced: &[Traced]) -> String {
    let mut text = String::new();
    for (position, statement) in traced.iter().enumerate() {
        let _ = writeln!(text, "{}: {}", statement.line, zdm_linter::context::shortened(&statement.sql, 100));
        match &statement.outcome.error {
            Some(error) => {
                let _ = writeln!(text, "    refused: {} ({})", error.message, error.sqlstate);
                if let Some(help) = &statement.help {
                    let _ = writeln!(text, "    help: {help}");
                }
            }
            None if !understood(&statement.statement) => {
                let _ = writeln!(text, "    not understood: its effects are unknown");
            }
            None => {
                let effects = &statement.outcome.effects;
                let _ = writeln!(text, "    {}", in_words(effects));
                for may_fail in &effects.may_fail {
                    let _ = writeln!(text, "    fails if {} ({})", may_fail.condition, may_fail.sqlstate);
                }
                if let Some(queue) = queue(statement) {
                    let _ = writeln!(text, "    {queue}");
                }
                if let Some(held) = still_held(traced, position) {
                    let _ = writeln!(text, "    {held}");
                }
            }
        }
    }
    text
}

/// What waiting for the statement's own locks does to others.
///
/// PostgreSQL grants locks in the order in which they were asked for: whoever wants a lock that conflicts with one that
/// waits has to wait behind it, even where it would not conflict with what is held.
fn queue(statement: &Traced) -> Option<String> {
    let effects = &statement.outcome.effects;
    let relations: Vec<String> = effects
        .locks
        .iter()
        .filter(|(relation, mode)| mode.blocks_writes() && effects.blocks.contains_key(*relation))
        .map(|(relation, mode)| format!("{mode} on {relation}"))
        .collect();
    if relations.is_empty() {
        return None;
    }
    let limit = match statement.lock_timeout.as_deref().map(str::trim) {
        Some(timeout) if !matches!(timeout, "0" | "") => {
            format!("for at most lock_timeout = {timeout} before it gives up")
        }
        _ => "and no lock_timeout ends that".to_owned(),
    };
    Some(format!(
        "queue: while it waits for {}, everyone it would block already waits behind it, {limit}",
        relations.join(", ")
    ))
}

/// Strong locks of earlier statements that the transaction keeps while this one works.
fn still_held(traced: &[Traced], position: usize) -> Option<String> {
    let statement = traced.get(position)?;
    let held: Vec<String> = statement
        .outcome
        .held
        .iter()
        .filter(|(_, held)| held.by < position && held.mode.blocks_writes())
        .filter_map(|(relation, held)| {
            Some(format!("{} on {relation} since line {}", held.mode, traced.get(held.by)?.line))
        })
        .collect();
    (!held.is_empty()).then(|| format!("still held: {}", held.join("; ")))
}

pub(crate) fn as_json(traced: &[Traced], version: PgVersion) -> String {
    let statements = traced
        .iter()
        .map(|traced| {
            let mut held: Vec<_> =
                traced.outcome.held.iter().map(|(relation, held)| WireLock::new(relation, held.mode)).collect();
            held.sort_by(|left, right| left.relation().cmp(right.relation()));
            WireStatement {
                sql: &traced.sql,
                line: traced.line,
                kind: kind(&traced.statement),
                understood: understood(&traced.statement),
                transaction: match traced.outcome.transaction {
                    TransactionUse::Inside => "inside",
                    TransactionUse::Outside => "outside",
                    TransactionUse::Forbidden => "forbidden",
                },
                effects: WireEffects::from(&traced.outcome.effects),
                held,
                lock_timeout: traced.lock_timeout.as_deref(),
                error: traced
                    .outcome
                    .error
                    .as_ref()
                    .map(|error| WireError { sqlstate: error.sqlstate, message: &error.message }),
            }
        })
        .collect();
    let document = WireTrace { version: 1, postgres: version.to_string(), statements };
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

#[derive(Debug, Serialize)]
struct WireTrace<'a> {
    version: u32,
    postgres: String,
    statements: Vec<WireStatement<'a>>,
}

#[derive(Debug, Serialize)]
struct WireStatement<'a> {
    sql: &'a str,
    line: u32,
    kind: String,
    understood: bool,
    transaction: &'static str,
    effects: WireEffects,
    held: Vec<WireLock>,
    lock_timeout: Option<&'a str>,
    error: Option<WireError<'a>>,
}

#[derive(Debug, Serialize)]
struct WireError<'a> {
    sqlstate: &'static str,
    message: &'a str,
}

fn understood(statement: &Statement) -> bool {
    !matches!(statement, Statement::Opaque(_) | Statement::Do { .. } | Statement::Call { .. })
}

/// The command as the manual names it: `ALTER TABLE`, `CREATE INDEX`.
fn kind(statement: &Statement) -> String {
    statement.command().to_owned()
}

/// The command itself.
pub(crate) fn run(args: &crate::args::TraceArgs) -> Result<std::process::ExitCode, Failure> {
    let version = if let Some(text) = &args.postgres {
        parse_postgres(text)?
    } else {
        say(&format!("assumed: PostgreSQL {}, the newest; --postgres says otherwise", PgVersion::NEWEST));
        PgVersion::NEWEST
    };
    let text = if args.file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::new(format!("standard input cannot be read: {error}")))?;
        bytes
    } else {
        std::fs::read(&args.file)
            .map_err(|error| Failure::new(format!("`{}` cannot be read: {error}", args.file.display())))?
    };
    let (text, remark) = decoded(text);
    if let Some(remark) = remark {
        say(&format!("`{}` {remark}", args.file.display()));
    }
    let traced = trace(&text, version);
    Ok(print(&match args.format {
        ListFormat::Text => as_text(&traced),
        ListFormat::Json => as_json(&traced, version),
    }))
}

/// The text of a file, and what had to be done to read it.
///
/// psql sends the bytes as they are, and the server's encoding decides; only ASCII matters for what a statement does,
/// so other encodings that contain it are read with their other characters replaced.
fn decoded(bytes: Vec<u8>) -> (String, Option<&'static str>) {
    let units = |bytes: &[u8], read: fn([u8; 2]) -> u16| -> String {
        let units = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]]));
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match bytes.as_slice() {
        [0xFF, 0xFE, rest @ ..] => {
            return (units(rest, u16::from_le_bytes), Some("is UTF-16, which psql would refuse"));
        }
        [0xFE, 0xFF, rest @ ..] => {
            return (units(rest, u16::from_be_bytes), Some("is UTF-16, which psql would refuse"));
        }
        _ => {}
    }
    match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => (
            String::from_utf8_lossy(error.as_bytes()).into_owned(),
            Some("is not UTF-8: characters that are none there are shown as \u{fffd}"),
        ),
    }
}

/// A supported version, or a message that names those that are.
pub(crate) fn parse_postgres(text: &str) -> Result<PgVersion, Failure> {
    text.parse::<PgVersion>().ok().filter(|version| version.is_supported()).ok_or_else(|| {
        Failure::new(format!("`{text}` is not a supported PostgreSQL version"))
            .with_help("12 to 18, with or without a minor: 16, 14.2")
    })
}

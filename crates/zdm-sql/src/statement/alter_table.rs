//! ALTER TABLE and the table-like forms of ALTER INDEX, VIEW, MATERIALIZED VIEW, SEQUENCE and FOREIGN TABLE.

use zdm_postgres::statement::{
    AlterTable, AlterTableAction as Action, DropBehavior, ObjectKind, Only, ReplicaIdentity, SequenceOptions,
    TriggerSelection,
};
use zdm_postgres::{Ident, Statement};

use super::attribute::{self, Word};
use super::{object, table};
use crate::cursor::{Cursor, Read};
use crate::lexer::Kind;

pub(super) fn read(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("ALTER")?;
    let keyword = if cursor.accept("TABLE") {
        ObjectKind::Table
    } else if cursor.accept_all(&["FOREIGN", "TABLE"]) {
        ObjectKind::ForeignTable
    } else if cursor.accept("INDEX") {
        ObjectKind::Index
    } else if cursor.accept("VIEW") {
        ObjectKind::View
    } else if cursor.accept_all(&["MATERIALIZED", "VIEW"]) {
        ObjectKind::MaterializedView
    } else if cursor.accept("SEQUENCE") {
        ObjectKind::Sequence
    } else {
        return cursor.unexpected("TABLE");
    };
    if cursor.accept_all(&["ALL", "IN", "TABLESPACE"]) {
        return move_all(cursor, keyword);
    }
    let if_exists = cursor.accept_all(&["IF", "EXISTS"]);
    let only = only(cursor);
    let name = cursor.name()?;
    cursor.accept_operator("*");
    let mut actions = Vec::new();
    loop {
        let start = cursor.at;
        // A lone failure must not take the statement's other actions with it.
        match action(cursor, keyword) {
            Ok(action) if cursor.is_at_end() || cursor.is_kind(Kind::Comma) => actions.push(action),
            Err(unread) if unread.is_refused() => return Err(unread),
            outcome => {
                cursor.at = start;
                let end = cursor.find_outside(|cursor, index| cursor.tokens[index].kind == Kind::Comma);
                let broken = end < cursor.tokens.len() && cursor.tokens[end].kind != Kind::Comma;
                if end == start || broken {
                    return match outcome {
                        Err(unread) => Err(unread),
                        Ok(_) => cursor.unexpected("an action"),
                    };
                }
                actions.push(Action::Unknown { text: cursor.source_of(start, end).to_owned() });
                cursor.at = end;
            }
        }
        if !cursor.accept_kind(Kind::Comma) {
            break;
        }
    }
    actions.shrink_to_fit();
    Ok(Statement::AlterTable(AlterTable { keyword, name, if_exists, only, actions }))
}

/// `a [OWNED BY role, …] SET TABLESPACE b [NOWAIT]`.
fn move_all(cursor: &mut Cursor<'_>, kind: ObjectKind) -> Read<Statement> {
    let from = cursor.ident()?;
    if cursor.accept_all(&["OWNED", "BY"]) {
        cursor.roles()?;
    }
    cursor.expect_all(&["SET", "TABLESPACE"])?;
    let to = cursor.ident()?;
    cursor.accept("NOWAIT");
    Ok(Statement::MoveAll { kind, from, to })
}

/// `ONLY`, also with the name in parentheses behind it.
pub(super) fn only(cursor: &mut Cursor<'_>) -> Only {
    let found = cursor.is("ONLY") && cursor.is_ident_nth(1);
    cursor.at += usize::from(found);
    Only(found)
}

pub(super) fn behavior(cursor: &mut Cursor<'_>) -> DropBehavior {
    if cursor.accept("CASCADE") {
        return DropBehavior::Cascade;
    }
    cursor.accept("RESTRICT");
    DropBehavior::Restrict
}

fn action(cursor: &mut Cursor<'_>, keyword: ObjectKind) -> Read<Action> {
    let Some(token) = cursor.peek() else { return cursor.unexpected("an action") };
    if token.kind != Kind::Word {
        return cursor.unexpected("an action");
    }
    let word = cursor.source(token);
    if word.len() > 8 {
        return cursor.unexpected("an action");
    }
    cursor.at += 1;
    match word.to_ascii_uppercase().as_str() {
        "ADD" => add(cursor),
        "ALTER" => alter(cursor),
        "DROP" => drop(cursor),
        "RENAME" => rename(cursor),
        "VALIDATE" => {
            cursor.expect("CONSTRAINT")?;
            Ok(Action::ValidateConstraint { name: cursor.ident()? })
        }
        "ENABLE" | "DISABLE" => {
            cursor.at -= 1;
            enable(cursor)
        }
        "FORCE" => {
            cursor.expect_all(&["ROW", "LEVEL", "SECURITY"])?;
            Ok(Action::RowSecurity { mode: "FORCE".to_owned() })
        }
        "NO" => no(cursor),
        "NOT" => {
            cursor.expect("OF")?;
            Ok(Action::NotOf)
        }
        "CLUSTER" => {
            cursor.expect("ON")?;
            Ok(Action::ClusterOn { index: cursor.ident()? })
        }
        "SET" => set(cursor),
        "RESET" => Ok(Action::ResetOptions { options: option_texts(cursor)? }),
        "INHERIT" => Ok(Action::Inherit { parent: cursor.name()? }),
        "OF" => Ok(Action::OfType { name: cursor.name()? }),
        "OWNER" => {
            cursor.expect("TO")?;
            Ok(Action::OwnerTo { role: cursor.label()? })
        }
        "REPLICA" => {
            cursor.expect("IDENTITY")?;
            if cursor.accept_all(&["USING", "INDEX"]) {
                return Ok(Action::ReplicaIdentity(ReplicaIdentity::Index(cursor.ident()?)));
            }
            let identity = match cursor.accept_any(&["FULL", "NOTHING", "DEFAULT"]) {
                Some("FULL") => ReplicaIdentity::Full,
                Some("NOTHING") => ReplicaIdentity::Nothing,
                Some(_) => ReplicaIdentity::Default,
                None => return cursor.unexpected("USING INDEX, FULL, NOTHING or DEFAULT"),
            };
            Ok(Action::ReplicaIdentity(identity))
        }
        "ATTACH" => {
            cursor.expect("PARTITION")?;
            let partition = cursor.name()?;
            let bound = if keyword == ObjectKind::Index { None } else { Some(table::partition_bound(cursor)?) };
            Ok(Action::AttachPartition { partition, bound })
        }
        "DETACH" => {
            cursor.expect("PARTITION")?;
            let partition = cursor.name()?;
            let concurrently = cursor.accept("CONCURRENTLY");
            let finalize = !concurrently && cursor.accept("FINALIZE");
            Ok(Action::DetachPartition { partition, concurrently, finalize })
        }
        "DEPENDS" => depends(cursor, false),
        "OPTIONS" if keyword == ObjectKind::ForeignTable => {
            cursor.skip_parenthesized()?;
            Ok(Action::ForeignOptions)
        }
        _ => {
            cursor.at -= 1;
            cursor.unexpected("an action")
        }
    }
}

fn add(cursor: &mut Cursor<'_>) -> Read<Action> {
    if table::is_table_constraint(cursor) {
        return Ok(Action::AddConstraint(table::table_constraint(cursor)?));
    }
    cursor.accept("COLUMN");
    let if_not_exists = cursor.accept_all(&["IF", "NOT", "EXISTS"]);
    Ok(Action::AddColumn { column: table::column(cursor)?, if_not_exists })
}

fn drop(cursor: &mut Cursor<'_>) -> Read<Action> {
    if cursor.accept("CONSTRAINT") {
        let if_exists = cursor.accept_all(&["IF", "EXISTS"]);
        return Ok(Action::DropConstraint { name: cursor.ident()?, if_exists, behavior: behavior(cursor) });
    }
    cursor.accept("COLUMN");
    let if_exists = cursor.accept_all(&["IF", "EXISTS"]);
    Ok(Action::DropColumn { name: cursor.ident()?, if_exists, behavior: behavior(cursor) })
}

fn rename(cursor: &mut Cursor<'_>) -> Read<Action> {
    if cursor.accept("TO") {
        return Ok(Action::RenameTo { name: cursor.ident()? });
    }
    let constraint = cursor.accept("CONSTRAINT");
    if !constraint {
        cursor.accept("COLUMN");
    }
    let from = cursor.ident()?;
    cursor.expect("TO")?;
    let to = cursor.ident()?;
    Ok(if constraint { Action::RenameConstraint { from, to } } else { Action::RenameColumn { from, to } })
}

fn no(cursor: &mut Cursor<'_>) -> Read<Action> {
    if cursor.accept_all(&["FORCE", "ROW", "LEVEL", "SECURITY"]) {
        return Ok(Action::RowSecurity { mode: "NO FORCE".to_owned() });
    }
    if cursor.accept("DEPENDS") {
        return depends(cursor, true);
    }
    cursor.expect("INHERIT")?;
    Ok(Action::NoInherit { parent: cursor.name()? })
}

fn depends(cursor: &mut Cursor<'_>, no: bool) -> Read<Action> {
    cursor.expect_all(&["ON", "EXTENSION"])?;
    Ok(Action::DependsOnExtension { extension: cursor.ident()?, no })
}

/// `{ ENABLE | DISABLE } [REPLICA | ALWAYS] { TRIGGER | RULE } name` and `{ ENABLE | DISABLE } ROW LEVEL SECURITY`.
fn enable(cursor: &mut Cursor<'_>) -> Read<Action> {
    let Some(verb) = cursor.accept_any(&["ENABLE", "DISABLE"]) else { return cursor.unexpected("ENABLE or DISABLE") };
    if cursor.accept_all(&["ROW", "LEVEL", "SECURITY"]) {
        return Ok(Action::RowSecurity { mode: verb.to_owned() });
    }
    let mode = match cursor.accept_any(&["REPLICA", "ALWAYS"]) {
        Some(when) => format!("{verb} {when}"),
        None => verb.to_owned(),
    };
    if cursor.accept("RULE") {
        return Ok(Action::Rule { name: cursor.ident()?, mode });
    }
    cursor.expect("TRIGGER")?;
    let plain = mode == verb;
    if !plain && cursor.is_any(&["ALL", "USER"]) {
        return cursor.unexpected("a trigger's name");
    }
    let which = if plain && cursor.accept("ALL") {
        TriggerSelection::All
    } else if plain && cursor.accept("USER") {
        TriggerSelection::User
    } else {
        TriggerSelection::Named(cursor.ident()?)
    };
    Ok(Action::Trigger { which, mode })
}

fn set(cursor: &mut Cursor<'_>) -> Read<Action> {
    if cursor.is_kind(Kind::LParen) {
        return Ok(Action::SetOptions { options: option_texts(cursor)? });
    }
    if cursor.accept_all(&["WITHOUT", "CLUSTER"]) {
        return Ok(Action::SetWithoutCluster);
    }
    if cursor.accept_all(&["WITHOUT", "OIDS"]) {
        return Ok(Action::SetWithoutOids);
    }
    if cursor.accept_all(&["ACCESS", "METHOD"]) {
        let method = if cursor.accept("DEFAULT") { None } else { Some(cursor.ident()?) };
        return Ok(Action::SetAccessMethod { method });
    }
    if cursor.accept("TABLESPACE") {
        let tablespace = cursor.ident()?;
        cursor.accept("NOWAIT");
        return Ok(Action::SetTablespace { tablespace });
    }
    if cursor.accept("SCHEMA") {
        return Ok(Action::SetSchema { schema: cursor.ident()? });
    }
    match cursor.accept_any(&["LOGGED", "UNLOGGED"]) {
        Some("LOGGED") => Ok(Action::SetLogged),
        Some(_) => Ok(Action::SetUnlogged),
        None => cursor.unexpected("a property"),
    }
}

/// Each option of `( … )` as written.
fn option_texts(cursor: &mut Cursor<'_>) -> Read<Vec<String>> {
    cursor.parenthesized(|cursor| {
        let end = cursor.find_outside(|cursor, index| cursor.tokens[index].kind == Kind::Comma);
        if end == cursor.at {
            return cursor.unexpected("an option");
        }
        let option = cursor.source_of(cursor.at, end).to_owned();
        cursor.at = end;
        Ok(option)
    })
}

/// Behind ALTER: a column or a constraint.
fn alter(cursor: &mut Cursor<'_>) -> Read<Action> {
    if cursor.is("CONSTRAINT") && cursor.is_ident_nth(1) {
        cursor.at += 1;
        return alter_constraint(cursor);
    }
    cursor.accept("COLUMN");
    if cursor.is_kind(Kind::Number) {
        // An expression index' column has a number only: ALTER INDEX … ALTER COLUMN 1 SET STATISTICS.
        let column = Ident::from(cursor.source_of(cursor.at, cursor.at + 1));
        cursor.at += 1;
        cursor.expect_all(&["SET", "STATISTICS"])?;
        return Ok(Action::SetStatistics { column, target: statistics_target(cursor)? });
    }
    let column = cursor.ident()?;
    if cursor.accept("TYPE") {
        return alter_type(cursor, column);
    }
    if cursor.accept("SET") {
        return set_column(cursor, column);
    }
    if cursor.accept("DROP") {
        if cursor.accept("DEFAULT") {
            return Ok(Action::DropDefault { column });
        }
        if cursor.accept_all(&["NOT", "NULL"]) {
            return Ok(Action::DropNotNull { column });
        }
        if cursor.accept("EXPRESSION") {
            return Ok(Action::DropExpression { column, if_exists: cursor.accept_all(&["IF", "EXISTS"]) });
        }
        cursor.expect("IDENTITY")?;
        return Ok(Action::DropIdentity { column, if_exists: cursor.accept_all(&["IF", "EXISTS"]) });
    }
    if cursor.accept("ADD") {
        cursor.expect("GENERATED")?;
        let always = table::generated_when(cursor)?;
        cursor.expect_all(&["AS", "IDENTITY"])?;
        let options = if cursor.accept_kind(Kind::LParen) {
            let options = object::sequence_options(cursor)?;
            cursor.expect_kind(Kind::RParen, ")")?;
            options
        } else {
            SequenceOptions::default()
        };
        return Ok(Action::AddIdentity { column, always, options });
    }
    if cursor.accept("RESET") {
        option_texts(cursor)?;
        return Ok(Action::SetColumnOptions { column, foreign: false });
    }
    if cursor.accept("OPTIONS") {
        cursor.skip_parenthesized()?;
        return Ok(Action::SetColumnOptions { column, foreign: true });
    }
    if cursor.is("RESTART") {
        return set_identity(cursor, column);
    }
    cursor.unexpected("TYPE, SET, DROP, ADD or RESET")
}

fn at_action_end(cursor: &Cursor<'_>) -> bool {
    cursor.is_at_end() || cursor.is_kind(Kind::Comma) || cursor.is("SET") || cursor.is("RESTART")
}

fn signed_number(cursor: &mut Cursor<'_>) -> Read<()> {
    if !cursor.accept_operator("-") {
        cursor.accept_operator("+");
    }
    cursor.expect_kind(Kind::Number, "a number")
}

/// What does not fit the type of the number is further from any limit than the greatest that does.
fn statistics_target(cursor: &mut Cursor<'_>) -> Read<Option<i32>> {
    if cursor.accept("DEFAULT") {
        return Ok(None);
    }
    let start = cursor.at;
    signed_number(cursor)?;
    let text: String = cursor.source_of(start, cursor.at).chars().filter(|c| !c.is_whitespace() && *c != '+').collect();
    let beyond = if text.starts_with('-') { i32::MIN } else { i32::MAX };
    Ok(Some(text.parse().unwrap_or(beyond)))
}

fn alter_type(cursor: &mut Cursor<'_>, column: Ident) -> Read<Action> {
    let data_type = cursor.data_type()?;
    let collation = if cursor.accept("COLLATE") { Some(cursor.name()?) } else { None };
    let using = if cursor.accept("USING") { Some(cursor.expr_until_comma()?) } else { None };
    // In a composite type's dependents the behaviour may follow; on tables it is accepted and without effect.
    cursor.accept_any(&["CASCADE", "RESTRICT"]);
    Ok(Action::AlterColumnType { column, data_type, collation, using })
}

fn set_column(cursor: &mut Cursor<'_>, column: Ident) -> Read<Action> {
    if cursor.accept("DEFAULT") {
        return Ok(Action::SetDefault { column, expr: cursor.expr_until_comma()? });
    }
    if cursor.accept_all(&["NOT", "NULL"]) {
        return Ok(Action::SetNotNull { column });
    }
    if cursor.accept_all(&["DATA", "TYPE"]) {
        return alter_type(cursor, column);
    }
    if cursor.accept("STATISTICS") {
        return Ok(Action::SetStatistics { column, target: statistics_target(cursor)? });
    }
    if cursor.is_kind(Kind::LParen) {
        option_texts(cursor)?;
        return Ok(Action::SetColumnOptions { column, foreign: false });
    }
    if cursor.accept("STORAGE") {
        return Ok(Action::SetStorage { column, storage: word(cursor)? });
    }
    if cursor.accept("COMPRESSION") {
        return Ok(Action::SetCompression { column, method: word(cursor)? });
    }
    if cursor.accept_all(&["EXPRESSION", "AS"]) {
        return Ok(Action::SetExpression { column, expr: cursor.parenthesized_expr()? });
    }
    cursor.at -= 1;
    set_identity(cursor, column)
}

/// A name, or the reserved word DEFAULT.
pub(super) fn word(cursor: &mut Cursor<'_>) -> Read<Ident> {
    if cursor.accept("DEFAULT") { Ok(Ident::new("default")) } else { cursor.ident() }
}

/// Any number of `SET GENERATED …`, `SET sequence_option`, `RESTART [WITH n]`.
fn set_identity(cursor: &mut Cursor<'_>, column: Ident) -> Read<Action> {
    let (mut when, mut options) = (None, SequenceOptions::default());
    loop {
        if cursor.accept_all(&["SET", "GENERATED"]) {
            when = Some(table::generated_when(cursor)?);
        } else if cursor.accept("SET") {
            let before = cursor.at;
            object::sequence_option(cursor, &mut options)?;
            if cursor.at == before {
                return cursor.unexpected("a sequence option");
            }
        } else if cursor.accept("RESTART") {
            options.restart = true;
            if cursor.accept("WITH") || !at_action_end(cursor) {
                let start = cursor.at;
                signed_number(cursor)?;
                options.restart_with = cursor.source_of(start, cursor.at).replace(' ', "").parse().ok();
            }
        } else {
            return Ok(Action::SetIdentity { column, always: when, options });
        }
    }
}

fn alter_constraint(cursor: &mut Cursor<'_>) -> Read<Action> {
    let name = cursor.ident()?;
    let written = attribute::words(cursor);
    let inherit = (written.is_empty() && cursor.accept("INHERIT")).then_some(true);
    // What the last of the words about the same says.
    let either =
        |on: Word, off: Word| written.iter().rev().find(|word| [on, off].contains(word)).map(|word| *word == on);
    Ok(Action::AlterConstraint {
        name,
        deferrable: either(Word::Deferrable, Word::NotDeferrable),
        initially_deferred: either(Word::InitiallyDeferred, Word::InitiallyImmediate),
        enforced: either(Word::Enforced, Word::NotEnforced),
        inherit: inherit.or_else(|| written.contains(&Word::NoInherit).then_some(false)),
        not_valid: written.contains(&Word::NotValid),
        words: attribute::conflicting(&written),
    })
}

//! Views, sequences, types, domains, the smaller objects, and what is said about any object: DROP, COMMENT, GRANT, ALTER … RENAME.

use zdm_postgres::expr::SqlExpr;
use zdm_postgres::statement::{
    AlterDomainAction, AlterTypeAction, CommentText, CreateDomain, CreateSequence, CreateView, DropObjects, ObjectKind,
    PublicationChange, PublicationObjects, PublishedTable, Repeated, SchemaName, SequenceOptions, TableConstraintKind,
    TypeDefinition,
};
use zdm_postgres::{DataType, Ident, QualifiedName, Statement};

use super::alter_table::{self, behavior};
use super::attribute;
use super::table::{self, options, persistence};
use crate::cursor::{Cursor, Read, Unread};
use crate::lexer::Kind;
use crate::query;

// Views

pub(super) fn create_view(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("CREATE")?;
    let or_replace = cursor.accept_all(&["OR", "REPLACE"]);
    let temporary = persistence(cursor) == zdm_postgres::statement::Persistence::Temporary;
    let recursive = cursor.accept("RECURSIVE");
    let materialized = cursor.accept("MATERIALIZED");
    cursor.expect("VIEW")?;
    let if_not_exists = cursor.accept_all(&["IF", "NOT", "EXISTS"]);
    let name = cursor.name()?;
    let columns = if cursor.is_kind(Kind::LParen) { cursor.column_list()? } else { Vec::new() };
    let mut with = Vec::new();
    loop {
        if cursor.is("WITH") && cursor.is_kind_nth(1, Kind::LParen) {
            cursor.at += 1;
            // An option by itself is on.
            let on = |value: String| if value.is_empty() { "true".to_owned() } else { value };
            with.extend(options(cursor)?.into_iter().map(|(name, value)| (name, on(value))));
        } else if materialized && (cursor.accept("USING") || cursor.accept("TABLESPACE")) {
            cursor.ident()?;
        } else {
            break;
        }
    }
    cursor.expect("AS")?;
    if !query::begins(cursor) {
        return cursor.unexpected("a query");
    }
    let mut end = cursor.tokens.len();
    let (mut with_data, mut check_option) = (true, false);
    let ends_with = |end: usize, words: &[&str]| {
        end.checked_sub(words.len()).is_some_and(|start| {
            start > cursor.at && words.iter().enumerate().all(|(index, word)| cursor.word_at(start + index, &[word]))
        })
    };
    if materialized && ends_with(end, &["WITH", "NO", "DATA"]) {
        end -= 3;
        with_data = false;
    } else if materialized && ends_with(end, &["WITH", "DATA"]) {
        end -= 2;
    } else if !materialized {
        for words in [&["WITH", "NO", "DATA"][..], &["WITH", "DATA"]] {
            if ends_with(end, words) {
                let token = cursor.source(cursor.tokens[end + 1 - words.len()]);
                return Err(Unread::refused(format!("syntax error at or near \"{token}\"")));
            }
        }
        for check in [
            &["WITH", "CHECK", "OPTION"][..],
            &["WITH", "LOCAL", "CHECK", "OPTION"],
            &["WITH", "CASCADED", "CHECK", "OPTION"],
        ] {
            if ends_with(end, check) {
                end -= check.len();
                check_option = true;
                break;
            }
        }
    }
    let mut query = query::read(cursor.text, &cursor.tokens[cursor.at..end]);
    if recursive {
        // The query reads the view by its bare name, as if it stood in a WITH RECURSIVE of that name.
        let itself = QualifiedName::new(name.name.clone());
        query.relations.retain(|relation| *relation != itself);
        query.selects.clear();
        query.set_operation = None;
    }
    cursor.at = cursor.tokens.len();
    Ok(Statement::CreateView(CreateView {
        name,
        or_replace,
        temporary,
        materialized,
        if_not_exists,
        with_data,
        columns,
        query,
        check_option,
        options: with,
    }))
}

pub(super) fn refresh(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect_all(&["REFRESH", "MATERIALIZED", "VIEW"])?;
    let concurrently = cursor.accept("CONCURRENTLY");
    let name = cursor.name()?;
    let with_data = !cursor.accept_all(&["WITH", "NO", "DATA"]);
    if with_data {
        cursor.accept_all(&["WITH", "DATA"]);
    }
    Ok(Statement::RefreshMaterializedView { name, concurrently, with_data })
}

// Sequences

pub(super) fn create_sequence(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("CREATE")?;
    let persistence = persistence(cursor);
    cursor.expect("SEQUENCE")?;
    let if_not_exists = cursor.accept_all(&["IF", "NOT", "EXISTS"]);
    let name = cursor.name()?;
    let options = sequence_options(cursor)?;
    Ok(Statement::CreateSequence(CreateSequence { name, if_not_exists, persistence, options }))
}

/// ALTER SEQUENCE is ALTER TABLE where it renames, moves, or changes owner or persistence.
pub(super) fn alter_sequence(cursor: &mut Cursor<'_>) -> Read<Statement> {
    let start = cursor.at;
    cursor.expect_all(&["ALTER", "SEQUENCE"])?;
    let if_exists = cursor.accept_all(&["IF", "EXISTS"]);
    let name = cursor.name()?;
    let table_like = cursor.is_any(&["RENAME", "OWNER"])
        || (cursor.is("SET")
            && (cursor.is_nth(1, "SCHEMA") || cursor.is_nth(1, "LOGGED") || cursor.is_nth(1, "UNLOGGED")));
    if table_like {
        cursor.at = start;
        return alter_table::read(cursor);
    }
    let before = cursor.at;
    let options = sequence_options(cursor)?;
    if cursor.at == before {
        return cursor.unexpected("a sequence option");
    }
    Ok(Statement::AlterSequence { name, if_exists, options })
}

/// Any number of options, up to the first word that is none.
pub(super) fn sequence_options(cursor: &mut Cursor<'_>) -> Read<SequenceOptions> {
    let mut options = SequenceOptions::default();
    while sequence_option(cursor, &mut options)? {}
    Ok(options)
}

/// `false`: no option stands here; nothing was read.
pub(super) fn sequence_option(cursor: &mut Cursor<'_>, options: &mut SequenceOptions) -> Read<bool> {
    let start = cursor.at;
    if cursor.accept("AS") {
        options.data_type = Some(cursor.data_type()?);
        return Ok(true);
    }
    if cursor.accept_all(&["OWNED", "BY"]) {
        if cursor.is("NONE") && !cursor.is_kind_nth(1, Kind::Dot) {
            cursor.at += 1;
            options.owned_by = Some(None);
            return Ok(true);
        }
        let mut parts = cursor.dotted()?;
        let (Some(column), Some(table)) = (parts.pop(), parts.pop()) else {
            return cursor.unexpected("table.column");
        };
        let table = QualifiedName::as_written(parts.pop(), table);
        options.owned_by = Some(Some((table, column)));
        return Ok(true);
    }
    if cursor.accept("RESTART") {
        options.restart = true;
        if cursor.accept("WITH") || is_number(cursor) {
            let start = cursor.at;
            number(cursor)?;
            options.restart_with = cursor.source_of(start, cursor.at).replace(' ', "").parse().ok();
        }
        return Ok(true);
    }
    if cursor.accept_all(&["SEQUENCE", "NAME"]) {
        options.name = Some(cursor.name()?);
        return Ok(true);
    }
    if cursor.accept("INCREMENT") {
        cursor.accept("BY");
        number(cursor)?;
    } else if cursor.accept("START") {
        cursor.accept("WITH");
        number(cursor)?;
    } else if cursor.accept_any(&["MINVALUE", "MAXVALUE", "CACHE"]).is_some() {
        number(cursor)?;
    } else if cursor.accept("NO") {
        if cursor.accept_any(&["MINVALUE", "MAXVALUE", "CYCLE"]).is_none() {
            return cursor.unexpected("MINVALUE, MAXVALUE or CYCLE");
        }
    } else if cursor.accept_any(&["CYCLE", "LOGGED", "UNLOGGED"]).is_none() {
        return Ok(false);
    }
    options.other.push(cursor.source_of(start, cursor.at).to_ascii_uppercase());
    Ok(true)
}

fn is_number(cursor: &Cursor<'_>) -> bool {
    cursor.is_kind(Kind::Number)
        || ((cursor.is_operator("-") || cursor.is_operator("+")) && cursor.is_kind_nth(1, Kind::Number))
}

fn number(cursor: &mut Cursor<'_>) -> Read<()> {
    if cursor.accept_kind(Kind::Placeholder) || cursor.accept_kind(Kind::Parameter) {
        return Ok(());
    }
    if !cursor.accept_operator("-") {
        cursor.accept_operator("+");
    }
    cursor.expect_kind(Kind::Number, "a number")
}

// Types and domains

fn create_type(cursor: &mut Cursor<'_>) -> Read<Statement> {
    let name = cursor.name()?;
    let definition = if cursor.is_at_end() {
        TypeDefinition::Shell
    } else if cursor.is_kind(Kind::LParen) {
        cursor.skip_parenthesized()?;
        TypeDefinition::Base
    } else {
        cursor.expect("AS")?;
        if cursor.accept("ENUM") {
            let empty = cursor.is_kind(Kind::LParen) && cursor.is_kind_nth(1, Kind::RParen);
            if empty {
                cursor.at += 2;
                TypeDefinition::Enum(Vec::new())
            } else {
                TypeDefinition::Enum(cursor.parenthesized(Cursor::string)?)
            }
        } else if cursor.accept("RANGE") {
            cursor.skip_parenthesized()?;
            TypeDefinition::Range
        } else if cursor.is_kind(Kind::LParen) && cursor.is_kind_nth(1, Kind::RParen) {
            cursor.at += 2;
            TypeDefinition::Composite(Vec::new())
        } else {
            TypeDefinition::Composite(cursor.parenthesized(|cursor| {
                let attribute = (cursor.ident()?, cursor.data_type()?);
                if cursor.accept("COLLATE") {
                    cursor.name()?;
                }
                Ok(attribute)
            })?)
        }
    };
    Ok(Statement::CreateType { name, definition })
}

pub(super) fn alter_type(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect_all(&["ALTER", "TYPE"])?;
    let name = cursor.name()?;
    if cursor.are(&["ADD", "ATTRIBUTE"]) || cursor.are(&["DROP", "ATTRIBUTE"]) || cursor.are(&["ALTER", "ATTRIBUTE"]) {
        let mut actions = cursor.list(attribute_action)?;
        let action = match (actions.pop(), actions.is_empty()) {
            (Some(action), true) => action,
            (last, _) => {
                actions.extend(last);
                AlterTypeAction::Several(actions)
            }
        };
        return Ok(Statement::AlterType { name, action });
    }
    let action = if cursor.accept_all(&["ADD", "VALUE"]) {
        let if_not_exists = cursor.accept_all(&["IF", "NOT", "EXISTS"]);
        let value = cursor.string()?;
        let before = if cursor.accept("BEFORE") { Some(cursor.string()?) } else { None };
        let after = if cursor.accept("AFTER") { Some(cursor.string()?) } else { None };
        AlterTypeAction::AddValue { value, if_not_exists, before, after }
    } else if cursor.accept_all(&["RENAME", "VALUE"]) {
        let from = cursor.string()?;
        cursor.expect("TO")?;
        AlterTypeAction::RenameValue { from, to: cursor.string()? }
    } else if cursor.accept_all(&["RENAME", "ATTRIBUTE"]) {
        let from = cursor.ident()?;
        cursor.expect("TO")?;
        let to = cursor.ident()?;
        AlterTypeAction::RenameAttribute { from, to, behavior: behavior(cursor) }
    } else if cursor.accept_all(&["RENAME", "TO"]) {
        AlterTypeAction::RenameTo(cursor.ident()?)
    } else if cursor.accept_all(&["OWNER", "TO"]) {
        AlterTypeAction::OwnerTo(cursor.label()?)
    } else if cursor.accept_all(&["SET", "SCHEMA"]) {
        AlterTypeAction::SetSchema(cursor.ident()?)
    } else if cursor.is("SET") && cursor.is_kind_nth(1, Kind::LParen) {
        cursor.at += 1;
        cursor.skip_parenthesized()?;
        AlterTypeAction::SetProperties
    } else {
        return cursor.unexpected("an action");
    };
    Ok(Statement::AlterType { name, action })
}

fn attribute_action(cursor: &mut Cursor<'_>) -> Read<AlterTypeAction> {
    let Some(verb) = cursor.accept_any(&["ADD", "DROP", "ALTER"]) else { return cursor.unexpected("an action") };
    cursor.expect("ATTRIBUTE")?;
    if verb == "DROP" {
        let if_exists = cursor.accept_all(&["IF", "EXISTS"]);
        return Ok(AlterTypeAction::DropAttribute { name: cursor.ident()?, if_exists, behavior: behavior(cursor) });
    }
    let name = cursor.ident()?;
    if verb == "ALTER" {
        cursor.accept_all(&["SET", "DATA"]);
        cursor.expect("TYPE")?;
    }
    let data_type = cursor.data_type()?;
    if cursor.accept("COLLATE") {
        cursor.name()?;
    }
    let behavior = behavior(cursor);
    Ok(if verb == "ADD" {
        AlterTypeAction::AddAttribute { name, data_type, behavior }
    } else {
        AlterTypeAction::AlterAttribute { name, data_type, behavior }
    })
}

fn create_domain(cursor: &mut Cursor<'_>) -> Read<Statement> {
    let name = cursor.name()?;
    cursor.accept("AS");
    let data_type = cursor.data_type()?;
    let mut domain = CreateDomain {
        name,
        data_type,
        collation: None,
        default: None,
        not_null: false,
        not_null_name: None,
        checks: Vec::new(),
        repeated: None,
    };
    let mut nullable = None;
    loop {
        if cursor.accept("COLLATE") {
            domain.collation = Some(cursor.name()?);
            continue;
        }
        let name = if cursor.accept("CONSTRAINT") { Some(cursor.ident()?) } else { None };
        if cursor.accept_all(&["NOT", "NULL"]) {
            let repeated = nullable.map(|nullable| if nullable { Repeated::Nullability } else { Repeated::NotNull });
            domain.repeated = domain.repeated.or(repeated);
            (nullable, domain.not_null, domain.not_null_name) = (Some(false), true, name);
        } else if cursor.accept("NULL") {
            let repeated = (nullable == Some(false)).then_some(Repeated::Nullability);
            domain.repeated = domain.repeated.or(repeated);
            (nullable, domain.not_null) = (Some(true), false);
        } else if cursor.accept("CHECK") {
            domain.checks.push((name, cursor.parenthesized_expr()?));
        } else if name.is_none() && cursor.accept("DEFAULT") {
            let repeated = domain.default.is_some().then_some(Repeated::Default);
            domain.repeated = domain.repeated.or(repeated);
            domain.default = Some(table::default_expr(cursor)?);
        } else if name.is_some() {
            return cursor.unexpected("a constraint");
        } else {
            return Ok(Statement::CreateDomain(domain));
        }
    }
}

pub(super) fn alter_domain(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect_all(&["ALTER", "DOMAIN"])?;
    let name = cursor.name()?;
    let action = if cursor.accept_all(&["SET", "DEFAULT"]) {
        AlterDomainAction::SetDefault(cursor.expr_until_end()?)
    } else if cursor.accept_all(&["DROP", "DEFAULT"]) {
        AlterDomainAction::DropDefault
    } else if cursor.accept_all(&["SET", "NOT", "NULL"]) {
        AlterDomainAction::SetNotNull
    } else if cursor.accept_all(&["DROP", "NOT", "NULL"]) {
        AlterDomainAction::DropNotNull
    } else if cursor.accept("ADD") {
        let name = if cursor.accept("CONSTRAINT") { Some(cursor.ident()?) } else { None };
        let kind = if cursor.accept("CHECK") {
            TableConstraintKind::Check { expr: cursor.parenthesized_expr()?, no_inherit: false }
        } else {
            cursor.expect_all(&["NOT", "NULL"])?;
            // A domain's values have no column; its pseudo-column is `value`.
            TableConstraintKind::NotNull { column: Ident::from("value"), no_inherit: false }
        };
        let written = attribute::words(cursor);
        let fault = attribute::of_domain(&kind, &written).fault;
        AlterDomainAction::AddConstraint { name, kind, not_valid: written.contains(&attribute::Word::NotValid), fault }
    } else if cursor.accept_all(&["DROP", "CONSTRAINT"]) {
        let if_exists = cursor.accept_all(&["IF", "EXISTS"]);
        let name = cursor.ident()?;
        behavior(cursor);
        AlterDomainAction::DropConstraint { name, if_exists }
    } else if cursor.accept_all(&["VALIDATE", "CONSTRAINT"]) {
        AlterDomainAction::ValidateConstraint { name: cursor.ident()? }
    } else if cursor.accept_all(&["RENAME", "CONSTRAINT"]) {
        let from = cursor.ident()?;
        cursor.expect("TO")?;
        AlterDomainAction::RenameConstraint { from, to: cursor.ident()? }
    } else if cursor.accept_all(&["RENAME", "TO"]) {
        AlterDomainAction::RenameTo(cursor.ident()?)
    } else if cursor.accept_all(&["SET", "SCHEMA"]) {
        AlterDomainAction::SetSchema(cursor.ident()?)
    } else if cursor.accept_all(&["OWNER", "TO"]) {
        AlterDomainAction::OwnerTo(cursor.label()?)
    } else {
        return cursor.unexpected("an action");
    };
    Ok(Statement::AlterDomain { name, action })
}

// Smaller objects

/// CREATE of everything that has no reader of its own.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("CREATE")?;
    let replace = cursor.accept_all(&["OR", "REPLACE"]);
    if !replace {
        if cursor.accept("TYPE") {
            return create_type(cursor);
        }
        if cursor.accept("DOMAIN") {
            return create_domain(cursor);
        }
        if cursor.accept("SCHEMA") {
            return create_schema(cursor);
        }
        if cursor.accept("EXTENSION") {
            let if_not_exists = cursor.accept_all(&["IF", "NOT", "EXISTS"]);
            let name = cursor.ident()?;
            cursor.at = cursor.find_outside(|cursor, index| cursor.word_at(index, &["SCHEMA"]));
            let schema = if cursor.accept("SCHEMA") { Some(cursor.ident()?) } else { None };
            cursor.at = cursor.tokens.len();
            return Ok(Statement::CreateExtension { name, if_not_exists, schema });
        }
        if cursor.accept("STATISTICS") {
            return create_statistics(cursor);
        }
        if cursor.accept("PUBLICATION") {
            let name = cursor.ident()?;
            let all_tables = cursor.accept_all(&["FOR", "ALL", "TABLES"]);
            let objects = publication_objects(cursor)?;
            let options = if cursor.accept("WITH") { super::table::options(cursor)? } else { Vec::new() };
            return Ok(Statement::CreatePublication { name, all_tables, objects, options });
        }
        if cursor.accept("POLICY") {
            return create_policy(cursor);
        }
    }
    cursor.accept("DEFAULT");
    cursor.accept("TRUSTED");
    cursor.accept("PROCEDURAL");
    let Some(kind) = object_kind(cursor) else { return cursor.unexpected("an object's kind") };
    cursor.accept_all(&["IF", "NOT", "EXISTS"]);
    let name = object_name(cursor, kind)?;
    cursor.at = cursor.tokens.len();
    Ok(Statement::CreateOther { kind, name })
}

fn create_schema(cursor: &mut Cursor<'_>) -> Read<Statement> {
    let if_not_exists = cursor.accept_all(&["IF", "NOT", "EXISTS"]);
    let name = if cursor.accept("AUTHORIZATION") {
        schema_of_role(cursor)?
    } else {
        let name = cursor.ident()?;
        if cursor.accept("AUTHORIZATION") {
            cursor.label()?;
        }
        SchemaName::Written(name)
    };
    Ok(Statement::CreateSchema { name, if_not_exists, elements: schema_elements(cursor)? })
}

/// Behind AUTHORIZATION.
fn schema_of_role(cursor: &mut Cursor<'_>) -> Read<SchemaName> {
    if cursor.accept("CURRENT_USER") || cursor.accept("CURRENT_ROLE") {
        return Ok(SchemaName::OfRole("role"));
    }
    if cursor.accept("SESSION_USER") {
        return Ok(SchemaName::OfRole("session_authorization"));
    }
    cursor.label().map(SchemaName::Written)
}

/// CREATE and GRANT behind the schema's name, without anything between them.
fn schema_elements(cursor: &mut Cursor<'_>) -> Read<Vec<Statement>> {
    let mut elements = Vec::new();
    while !cursor.is_at_end() {
        let start = cursor.at;
        if !cursor.is_any(&["CREATE", "GRANT"]) {
            return cursor.unexpected("CREATE or GRANT");
        }
        let grant = cursor.is("GRANT");
        cursor.at += 1;
        let mut end = cursor.find_outside(|cursor, index| {
            let before = index.saturating_sub(1);
            // GRANT CREATE ON …, GRANT USAGE, CREATE ON …, WITH GRANT OPTION.
            let privilege = grant && (before == start || cursor.tokens[before].kind == Kind::Comma);
            (cursor.word_at(index, &["CREATE"]) && !privilege)
                || (cursor.word_at(index, &["GRANT"]) && !cursor.word_at(before, &["WITH"]))
        });
        if cursor.tokens.get(end).is_some_and(|token| token.kind == Kind::RParen) {
            return cursor.unexpected("an object");
        }
        // A trigger's events are no elements, and no object's name begins one.
        end = end.max(start + 1);
        elements.push(super::read_part(cursor, start, end));
        cursor.at = end;
    }
    if let Some(Statement::Opaque(opaque)) = elements.iter().find(|element| matches!(element, Statement::Opaque(_))) {
        return Err(Unread::new(format!("in the schema: {}", opaque.reason)));
    }
    Ok(elements)
}

fn create_statistics(cursor: &mut Cursor<'_>) -> Read<Statement> {
    let if_not_exists = cursor.accept_all(&["IF", "NOT", "EXISTS"]);
    let named = !cursor.is_kind(Kind::LParen) && !cursor.is("ON");
    let name = if named { Some(cursor.name()?) } else { None };
    let kinds = if cursor.is_kind(Kind::LParen) { cursor.column_list()? } else { Vec::new() };
    cursor.expect("ON")?;
    let elements = cursor.list(|cursor| super::index::key(cursor).map(|(key, _)| key))?;
    cursor.expect("FROM")?;
    let table = cursor.name()?;
    Ok(Statement::CreateStatistics { name, table, if_not_exists, kinds, elements })
}

/// `FOR TABLE a (x) WHERE (…), TABLES IN SCHEMA s, TABLE b`.
fn publication_objects(cursor: &mut Cursor<'_>) -> Read<PublicationObjects> {
    let mut objects = PublicationObjects::default();
    if !(cursor.accept("FOR") || cursor.is("TABLE") || cursor.are(&["TABLES", "IN", "SCHEMA"])) {
        return Ok(objects);
    }
    let mut in_schemas = false;
    loop {
        if cursor.accept_all(&["TABLES", "IN", "SCHEMA"]) {
            in_schemas = true;
        } else if cursor.accept("TABLE") {
            in_schemas = false;
        }
        if in_schemas {
            let current = cursor.accept("CURRENT_SCHEMA");
            objects.schemas.push(if current { None } else { Some(cursor.ident()?) });
        } else {
            // The grammar takes it here and refuses it in words of its own.
            if cursor.is("CURRENT_SCHEMA") {
                return cursor.unexpected("a table");
            }
            let only = alter_table::only(cursor).0;
            let table = cursor.name()?;
            cursor.accept_operator("*");
            let columns = if cursor.is_kind(Kind::LParen) { cursor.column_list()? } else { Vec::new() };
            let filter = if cursor.accept("WHERE") { Some(cursor.parenthesized_expr()?) } else { None };
            objects.tables.push(PublishedTable { table, only, columns, filter });
        }
        if !cursor.accept_kind(Kind::Comma) {
            return Ok(objects);
        }
    }
}

/// `name ON table [AS …] [FOR …] [TO …] [USING ( … )] [WITH CHECK ( … )]`.
fn create_policy(cursor: &mut Cursor<'_>) -> Read<Statement> {
    let name = cursor.ident()?;
    cursor.expect("ON")?;
    let table = cursor.name()?;
    let PolicyTail { roles, command, using, with_check, relations } = policy_tail(cursor)?;
    Ok(Statement::CreatePolicy { name, table, roles, command, using, with_check, relations })
}

/// What stands behind a policy's table.
#[derive(Default)]
struct PolicyTail {
    roles: Vec<Ident>,
    command: Option<Ident>,
    using: Option<SqlExpr>,
    with_check: Option<SqlExpr>,
    /// What the subqueries of its expressions read.
    relations: Vec<QualifiedName>,
}

fn policy_tail(cursor: &mut Cursor<'_>) -> Read<PolicyTail> {
    let mut tail = PolicyTail::default();
    loop {
        let using;
        let expr = if cursor.accept("AS") {
            cursor.label()?;
            continue;
        } else if cursor.accept("FOR") {
            tail.command = Some(cursor.label()?);
            continue;
        } else if cursor.accept("TO") {
            tail.roles.extend(cursor.roles()?);
            continue;
        } else if cursor.is("USING") || cursor.are(&["WITH", "CHECK"]) {
            using = cursor.accept("USING");
            cursor.at += if using { 0 } else { 2 };
            cursor.parenthesized_expr()?
        } else {
            return Ok(tail);
        };
        expr.node.walk(&mut |node| {
            if let zdm_postgres::expr::ExprNode::Subquery { query, .. } = node {
                tail.relations.extend(query.relations.iter().cloned());
            }
        });
        if using {
            tail.using = Some(expr);
        } else {
            tail.with_check = Some(expr);
        }
    }
}

/// ALTER of everything that has no reader of its own.
pub(super) fn alter(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("ALTER")?;
    if cursor.accept("POLICY") {
        let name = cursor.ident()?;
        cursor.expect("ON")?;
        let table = cursor.name()?;
        if cursor.accept_all(&["RENAME", "TO"]) {
            let rename_to = Some(cursor.ident()?);
            return Ok(Statement::AlterOnTable { no: false, kind: ObjectKind::Policy, name, table, rename_to });
        }
        let PolicyTail { roles, using, with_check, relations, .. } = policy_tail(cursor)?;
        return Ok(Statement::AlterPolicy { name, table, roles, using, with_check, relations });
    }
    if cursor.is_any(&["TRIGGER", "RULE"]) {
        let kind = if cursor.accept("RULE") { ObjectKind::Rule } else { ObjectKind::Trigger };
        cursor.accept("TRIGGER");
        let name = cursor.ident()?;
        cursor.expect("ON")?;
        let table = cursor.name()?;
        let rename_to = if cursor.accept_all(&["RENAME", "TO"]) { Some(cursor.ident()?) } else { None };
        let no = rename_to.is_none() && cursor.accept("NO");
        if rename_to.is_none() {
            cursor.expect_all(&["DEPENDS", "ON", "EXTENSION"])?;
            cursor.ident()?;
        }
        return Ok(Statement::AlterOnTable { no, kind, name, table, rename_to });
    }
    if cursor.accept("PUBLICATION") {
        return alter_publication(cursor);
    }
    if cursor.is("EXTENSION") && (cursor.is_nth(2, "ADD") || cursor.is_nth(2, "DROP")) {
        cursor.at += 1;
        let extension = cursor.ident()?;
        let drop = cursor.accept_any(&["ADD", "DROP"]) == Some("DROP");
        cursor.accept("PROCEDURAL");
        let Some(kind) = object_kind(cursor) else { return cursor.unexpected("an object's kind") };
        let member = object_name(cursor, kind)?;
        if matches!(kind, ObjectKind::Other | ObjectKind::Function | ObjectKind::Aggregate) {
            cursor.at = cursor.tokens.len();
        }
        return Ok(Statement::AlterExtensionMember { extension, drop, kind, member });
    }
    cursor.accept("PROCEDURAL");
    let Some(kind) = object_kind(cursor) else { return cursor.unexpected("an object's kind") };
    let if_exists = cursor.accept_all(&["IF", "EXISTS"]);
    let before = cursor.clone();
    let name = object_name(cursor, kind)?;
    let arguments = routine_arguments(before, kind);
    if kind == ObjectKind::Statistics && cursor.accept_all(&["SET", "STATISTICS"]) {
        if !cursor.accept("DEFAULT") {
            number(cursor)?;
        }
        return Ok(Statement::AlterStatisticsTarget { name, if_exists });
    }
    let rename_to = if cursor.accept_all(&["RENAME", "TO"]) { Some(cursor.ident()?) } else { None };
    let set_schema = if cursor.accept_all(&["SET", "SCHEMA"]) { Some(cursor.ident()?) } else { None };
    let mut volatility = None;
    if rename_to.is_none() && set_schema.is_none() {
        let routine = matches!(kind, ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Routine);
        while routine && volatility.is_none() && !cursor.is_at_end() {
            volatility = super::routine::volatility(cursor);
            cursor.at += usize::from(volatility.is_none());
        }
        cursor.at = cursor.tokens.len();
    }
    Ok(Statement::AlterOther { kind, name, arguments, rename_to, set_schema, volatility })
}

fn alter_publication(cursor: &mut Cursor<'_>) -> Read<Statement> {
    let name = cursor.ident()?;
    if cursor.is("SET") && cursor.is_kind_nth(1, Kind::LParen) {
        cursor.at += 1;
        let options = super::table::options(cursor)?;
        let change = PublicationChange::SetOptions;
        return Ok(Statement::AlterPublication { name, change, objects: PublicationObjects::default(), options });
    }
    if cursor.is_any(&["RENAME", "OWNER"]) {
        let rename_to = if cursor.accept_all(&["RENAME", "TO"]) { Some(cursor.ident()?) } else { None };
        if rename_to.is_none() {
            cursor.at = cursor.tokens.len();
        }
        let kind = ObjectKind::Publication;
        return Ok(Statement::AlterOther {
            kind,
            name: QualifiedName::new(name),
            arguments: None,
            rename_to,
            set_schema: None,
            volatility: None,
        });
    }
    let change = match cursor.accept_any(&["ADD", "SET", "DROP"]) {
        Some("ADD") => PublicationChange::Add,
        Some("SET") => PublicationChange::Set,
        Some(_) => PublicationChange::Drop,
        None => return cursor.unexpected("ADD, SET or DROP"),
    };
    let objects = publication_objects(cursor)?;
    Ok(Statement::AlterPublication { name, change, objects, options: Vec::new() })
}

/// IMPORT FOREIGN SCHEMA, SECURITY LABEL, REASSIGN OWNED.
pub(super) fn other(cursor: &mut Cursor<'_>) -> Read<Statement> {
    if cursor.accept_all(&["REASSIGN", "OWNED", "BY"]) {
        let roles = cursor.roles()?;
        cursor.expect("TO")?;
        cursor.label()?;
        return Ok(Statement::ReassignOwned { roles });
    }
    if cursor.accept_all(&["IMPORT", "FOREIGN", "SCHEMA"]) {
        cursor.ident()?;
        let filtered = cursor.accept_all(&["LIMIT", "TO"]) || cursor.accept("EXCEPT");
        if filtered {
            cursor.parenthesized(Cursor::name)?;
        }
        cursor.expect_all(&["FROM", "SERVER"])?;
        cursor.ident()?;
        cursor.expect("INTO")?;
        let into = cursor.ident()?;
        if cursor.accept("OPTIONS") {
            cursor.skip_parenthesized()?;
        }
        return Ok(Statement::ImportForeignSchema { into });
    }
    cursor.expect_all(&["SECURITY", "LABEL"])?;
    if cursor.accept("FOR") && cursor.string().is_err() {
        cursor.ident()?;
    }
    cursor.expect("ON")?;
    cursor.accept("PROCEDURAL");
    let Some(kind) = object_kind(cursor) else { return cursor.unexpected("an object's kind") };
    let name = if kind == ObjectKind::Column {
        let mut parts = cursor.dotted()?;
        parts.pop();
        let Some(table) = parts.pop() else { return cursor.unexpected("table.column") };
        QualifiedName::as_written(parts.pop(), table)
    } else {
        object_name(cursor, kind)?
    };
    if !cursor.is("IS") {
        cursor.at = cursor.find_outside(|cursor, index| cursor.word_at(index, &["IS"]));
    }
    cursor.expect("IS")?;
    if !cursor.accept("NULL") {
        cursor.string()?;
    }
    Ok(Statement::SecurityLabel { kind, name })
}

// Any object

/// The words of an object's kind. `None`: they name none; nothing was read.
pub(super) fn object_kind(cursor: &mut Cursor<'_>) -> Option<ObjectKind> {
    const KINDS: [(&[&str], ObjectKind); 45] = [
        (&["TABLE"], ObjectKind::Table),
        (&["INDEX"], ObjectKind::Index),
        (&["VIEW"], ObjectKind::View),
        (&["SEQUENCE"], ObjectKind::Sequence),
        (&["COLUMN"], ObjectKind::Column),
        (&["CONSTRAINT"], ObjectKind::Constraint),
        (&["TYPE"], ObjectKind::Type),
        (&["DOMAIN"], ObjectKind::Domain),
        (&["FUNCTION"], ObjectKind::Function),
        (&["PROCEDURE"], ObjectKind::Procedure),
        (&["ROUTINE"], ObjectKind::Routine),
        (&["AGGREGATE"], ObjectKind::Aggregate),
        (&["TRIGGER"], ObjectKind::Trigger),
        (&["EVENT", "TRIGGER"], ObjectKind::EventTrigger),
        (&["RULE"], ObjectKind::Rule),
        (&["POLICY"], ObjectKind::Policy),
        (&["SCHEMA"], ObjectKind::Schema),
        (&["EXTENSION"], ObjectKind::Extension),
        (&["DATABASE"], ObjectKind::Database),
        (&["STATISTICS"], ObjectKind::Statistics),
        (&["PUBLICATION"], ObjectKind::Publication),
        (&["SUBSCRIPTION"], ObjectKind::Subscription),
        (&["ROLE"], ObjectKind::Role),
        (&["GROUP"], ObjectKind::Role),
        (&["TABLESPACE"], ObjectKind::Tablespace),
        (&["COLLATION"], ObjectKind::Collation),
        (&["CAST"], ObjectKind::Cast),
        (&["LANGUAGE"], ObjectKind::Language),
        (&["SERVER"], ObjectKind::Server),
        (&["CONVERSION"], ObjectKind::Other),
        (&["TRANSFORM"], ObjectKind::Other),
        (&["SYSTEM"], ObjectKind::System),
        (&["MATERIALIZED", "VIEW"], ObjectKind::MaterializedView),
        (&["FOREIGN", "TABLE"], ObjectKind::ForeignTable),
        (&["FOREIGN", "DATA", "WRAPPER"], ObjectKind::Other),
        (&["OPERATOR", "CLASS"], ObjectKind::OperatorClass),
        (&["OPERATOR", "FAMILY"], ObjectKind::OperatorClass),
        (&["OPERATOR"], ObjectKind::Operator),
        (&["TEXT", "SEARCH", "CONFIGURATION"], ObjectKind::TextSearch),
        (&["TEXT", "SEARCH", "DICTIONARY"], ObjectKind::TextSearch),
        (&["TEXT", "SEARCH", "PARSER"], ObjectKind::TextSearch),
        (&["TEXT", "SEARCH", "TEMPLATE"], ObjectKind::TextSearch),
        (&["ACCESS", "METHOD"], ObjectKind::Other),
        (&["LARGE", "OBJECT"], ObjectKind::Other),
        (&["DEFAULT", "PRIVILEGES"], ObjectKind::Other),
    ];
    if cursor.is("USER") {
        let mapping = cursor.is_nth(1, "MAPPING");
        cursor.at += if mapping { 2 } else { 1 };
        return Some(if mapping { ObjectKind::Other } else { ObjectKind::Role });
    }
    KINDS.iter().find(|(words, _)| cursor.accept_all(words)).map(|(_, kind)| *kind)
}

/// The name behind the kind, as far as it is one: an operator's sign, a cast's types and a function's arguments are passed over.
fn object_name(cursor: &mut Cursor<'_>, kind: ObjectKind) -> Read<QualifiedName> {
    match kind {
        ObjectKind::Operator => {
            let mut schema = None;
            while cursor.is_ident() && cursor.is_kind_nth(1, Kind::Dot) {
                schema = Some(cursor.ident()?);
                cursor.at += 1;
            }
            let Some(token) = cursor.peek().filter(|token| token.kind == Kind::Operator) else {
                return cursor.unexpected("an operator");
            };
            cursor.at += 1;
            let name = Ident::from(cursor.source(token));
            if cursor.is_kind(Kind::LParen) {
                cursor.skip_parenthesized()?;
            }
            Ok(QualifiedName::as_written(schema, name))
        }
        ObjectKind::Cast => {
            let (start, end) = cursor.skip_parenthesized()?;
            Ok(QualifiedName::new(cursor.source_of(start, end)))
        }
        ObjectKind::Other | ObjectKind::System => {
            // DEFAULT PRIVILEGES, SYSTEM, LARGE OBJECT 17, USER MAPPING FOR … and TRANSFORM FOR … have no name.
            if cursor.is_ident() { cursor.any_name() } else { Ok(QualifiedName::new("")) }
        }
        ObjectKind::Collation if cursor.is("FOR") => Ok(QualifiedName::new("")),
        _ => {
            let name = if is_of_columns_class(kind) { cursor.name()? } else { cursor.any_name()? };
            if cursor.is_kind(Kind::LParen)
                && matches!(
                    kind,
                    ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Routine | ObjectKind::Aggregate
                )
            {
                cursor.skip_parenthesized()?;
            }
            if matches!(kind, ObjectKind::OperatorClass) && cursor.accept("USING") {
                cursor.ident()?;
            }
            Ok(name)
        }
    }
}

/// Whether an object of the kind is named like a column; functions, types and roles are named otherwise.
const fn is_of_columns_class(kind: ObjectKind) -> bool {
    matches!(
        kind,
        ObjectKind::Table
            | ObjectKind::ForeignTable
            | ObjectKind::Index
            | ObjectKind::View
            | ObjectKind::MaterializedView
            | ObjectKind::Sequence
            | ObjectKind::Schema
            | ObjectKind::Constraint
            | ObjectKind::Trigger
            | ObjectKind::Rule
            | ObjectKind::Policy
    )
}

/// The types in the list behind a routine's name.
fn routine_arguments(mut cursor: Cursor<'_>, kind: ObjectKind) -> Option<Vec<DataType>> {
    if !matches!(kind, ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Routine) {
        return None;
    }
    cursor.any_name().ok()?;
    cursor.is_kind(Kind::LParen).then_some(())?;
    super::routine::arguments(&mut cursor).ok()?.into_iter().collect()
}

pub(super) fn drop(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect("DROP")?;
    if cursor.accept_all(&["OWNED", "BY"]) {
        cursor.roles()?;
        return Ok(Statement::DropOwned { behavior: behavior(cursor) });
    }
    cursor.accept("PROCEDURAL");
    let Some(kind) = object_kind(cursor) else { return cursor.unexpected("an object's kind") };
    let concurrently = kind == ObjectKind::Index && cursor.accept("CONCURRENTLY");
    let if_exists = cursor.accept_all(&["IF", "EXISTS"]);
    let mut arguments = Vec::new();
    let names = cursor.list(|cursor| {
        let before = cursor.clone();
        let name = object_name(cursor, kind)?;
        arguments.push(routine_arguments(before, kind));
        Ok(name)
    })?;
    if arguments.iter().all(Option::is_none) {
        arguments.clear();
    }
    let on = match kind {
        ObjectKind::Trigger | ObjectKind::Rule | ObjectKind::Policy => {
            cursor.expect("ON")?;
            Some(cursor.name()?)
        }
        _ => None,
    };
    if matches!(kind, ObjectKind::Other | ObjectKind::System) || (kind == ObjectKind::Database && cursor.accept("WITH"))
    {
        // FOR role SERVER name; LANGUAGE name; ( FORCE ).
        cursor.at = cursor.find_outside(|cursor, index| cursor.word_at(index, &["CASCADE", "RESTRICT"]));
    } else if kind == ObjectKind::Database && cursor.is_kind(Kind::LParen) {
        cursor.skip_parenthesized()?;
    }
    let behavior = behavior(cursor);
    Ok(Statement::Drop(DropObjects { kind, names, arguments, if_exists, behavior, concurrently, on }))
}

pub(super) fn comment(cursor: &mut Cursor<'_>) -> Read<Statement> {
    cursor.expect_all(&["COMMENT", "ON"])?;
    cursor.accept("PROCEDURAL");
    let Some(kind) = object_kind(cursor) else { return cursor.unexpected("an object's kind") };
    let mut column = None;
    let name = if kind == ObjectKind::Column {
        let mut parts = cursor.dotted()?;
        column = parts.pop();
        let Some(table) = parts.pop() else { return cursor.unexpected("table.column") };
        QualifiedName::as_written(parts.pop(), table)
    } else {
        object_name(cursor, kind)?
    };
    let on = if cursor.accept("ON") {
        cursor.accept("DOMAIN");
        Some(cursor.name()?)
    } else {
        None
    };
    if !cursor.is("IS") && matches!(kind, ObjectKind::Other) {
        cursor.at = cursor.find_outside(|cursor, index| cursor.word_at(index, &["IS"]));
    }
    cursor.expect("IS")?;
    let text = if cursor.accept("NULL") {
        CommentText::None
    } else if cursor.accept_kind(Kind::Placeholder) {
        CommentText::Unknown
    } else {
        match cursor.string()? {
            text if text.is_empty() => CommentText::None,
            text => CommentText::Text(text),
        }
    };
    Ok(Statement::Comment { kind, name, column, on, text })
}

/// GRANT and REVOKE of privileges on objects, and of roles.
pub(super) fn grant(cursor: &mut Cursor<'_>, revoke: bool) -> Read<Statement> {
    cursor.expect(if revoke { "REVOKE" } else { "GRANT" })?;
    let on = cursor.find_outside(|cursor, index| cursor.word_at(index, &["ON"]));
    if on == cursor.tokens.len() {
        // Membership in roles.
        let to = cursor.find_outside(|cursor, index| cursor.word_at(index, &["TO", "FROM"]));
        if to == cursor.tokens.len() || to == cursor.at {
            return cursor.unexpected("ON or TO");
        }
        cursor.at = cursor.tokens.len();
        return Ok(Statement::Grant {
            revoke,
            kind: ObjectKind::Role,
            names: Vec::new(),
            schemas: Vec::new(),
            privileges: Vec::new(),
            passed_on_by_all: false,
        });
    }
    let privileges = privileges(cursor, on);
    cursor.at = on + 1;
    if cursor.is("ALL") && cursor.is_nth(2, "IN") && cursor.is_nth(3, "SCHEMA") {
        let kind = match cursor.accept_any(&["ALL"]).and_then(|_| cursor.accept_any(&["TABLES", "SEQUENCES"])) {
            Some("TABLES") => ObjectKind::Table,
            Some(_) => ObjectKind::Sequence,
            None => {
                cursor.at += 1;
                ObjectKind::Routine
            }
        };
        cursor.at += 2;
        let schemas = cursor.list(Cursor::ident)?;
        let passed_on_by_all = !revoke && passed_on_by_all(cursor);
        cursor.at = cursor.tokens.len();
        return Ok(Statement::Grant { revoke, kind, names: Vec::new(), schemas, privileges, passed_on_by_all });
    }
    let kind = if cursor.is("PARAMETER") {
        cursor.at += 1;
        ObjectKind::Other
    } else if cursor.accept_all(&["FOREIGN", "SERVER"]) {
        ObjectKind::Server
    } else if cursor.is_ident_nth(1) && !cursor.is_nth(1, "TO") && !cursor.is_nth(1, "FROM") {
        object_kind(cursor).unwrap_or(ObjectKind::Table)
    } else {
        ObjectKind::Table
    };
    let names = if cursor.is_kind(Kind::Number) {
        cursor.at = cursor.find_outside(|cursor, index| cursor.word_at(index, &["TO", "FROM"]));
        Vec::new()
    } else {
        cursor.list(|cursor| object_name(cursor, kind))?
    };
    if cursor.accept_any(&["TO", "FROM"]).is_none() {
        return cursor.unexpected("TO or FROM");
    }
    if cursor.is_at_end() {
        return cursor.unexpected("a role");
    }
    let passed_on_by_all = !revoke && passed_on_by_all(cursor);
    cursor.at = cursor.tokens.len();
    Ok(Statement::Grant { revoke, kind, names, schemas: Vec::new(), privileges, passed_on_by_all })
}

/// Whether PUBLIC is among the grantees, which stand from here on, and WITH GRANT OPTION behind them.
fn passed_on_by_all(cursor: &Cursor<'_>) -> bool {
    let with = cursor.find_outside(|cursor, index| cursor.word_at(index, &["WITH"]));
    cursor.word_at(with + 1, &["GRANT"]) && (cursor.at..with).any(|index| cursor.word_at(index, &["PUBLIC"]))
}

/// `SELECT (a, b), INSERT` up to ON; the cursor stands anywhere afterwards.
fn privileges(cursor: &mut Cursor<'_>, on: usize) -> Vec<(String, Vec<Ident>)> {
    cursor.accept_all(&["GRANT", "OPTION", "FOR"]);
    let mut privileges = Vec::new();
    while cursor.at < on {
        let Some(token) = cursor.peek() else { break };
        let mut word = cursor.source(token).to_ascii_uppercase();
        cursor.at += 1;
        // ALTER SYSTEM is one of two words.
        if word == "ALTER" && cursor.accept("SYSTEM") {
            word.push_str(" SYSTEM");
        }
        if word == "ALL" {
            cursor.accept("PRIVILEGES");
        }
        let columns = if cursor.is_kind(Kind::LParen) { cursor.column_list().unwrap_or_default() } else { Vec::new() };
        if word != "ALL" || !columns.is_empty() {
            privileges.push((word, columns));
        }
        if !cursor.accept_kind(Kind::Comma) {
            break;
        }
    }
    privileges
}

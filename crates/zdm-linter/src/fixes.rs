//! Edits that several rules share: the corrected migration where it is a local change, or a new migration behind it.
//!
//! Every function answers `None` where the file is not of the shape that makes the edit certain. A fix never moves
//! an operation past one that speaks of the same model.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use zdm_django::{Migration, Operation, OperationKind, Value};
use zdm_postgres::{Ident, QualifiedName};
use zdm_replay::Step;
use zdm_source::{Applicability, Edit, Fix, FixFile, Phase, SourceFile, Span};

use crate::context::Cx;
use crate::words::quoted_table;

const POSTGRES_OPERATIONS: &str = "django.contrib.postgres.operations";

/// `AddIndex` → `AddIndexConcurrently`, `RemoveIndex` → `RemoveIndexConcurrently`: in place where the migration holds
/// nothing else, else in a new migration behind it, together with all others of the migration.
pub(crate) fn concurrent_index(cx: &Cx<'_>, step: &Step) -> Option<Fix> {
    let operation = cx.operation(step.operation)?;
    if step.raw {
        return concurrent_sql(cx, step);
    }
    concurrent_class(operation)?;
    let file = file(cx);
    let operations = &cx.migration.migration.operations;
    if operations.iter().all(|operation| concurrent_class(operation).is_some()) {
        let mut edits = not_atomic(cx)?;
        for operation in operations {
            let class = concurrent_class(operation)?;
            edits.push(Edit::replace(callee(file, operation)?, class));
            edits.extend(import(file, POSTGRES_OPERATIONS, class)?);
        }
        edits.dedup();
        return Some(change(cx, &in_place(operation), Applicability::Safe, edits));
    }
    let moved: Vec<usize> = (0..operations.len())
        .filter(|index| {
            concurrent_class(&operations[*index]).is_some()
                && cx.steps().any(|step| {
                    step.operation == *index && cx.blocked(step).iter().any(|(name, _)| cx.existed(step, name))
                })
                && is_last_on_its_model(operations, *index)
        })
        .collect();
    if !moved.contains(&step.operation) {
        return None;
    }
    let mut edits = Vec::new();
    let mut texts = Vec::new();
    let mut imports = Vec::new();
    for index in &moved {
        let operation = &operations[*index];
        let class = concurrent_class(operation)?;
        edits.push(removed(file, operation)?);
        texts.push(with_comment(format!("{class}{}", arguments(file, operation)?), file, operation));
        imports.push(class);
    }
    imports.sort_unstable();
    imports.dedup();
    let title = format!("move it to a migration of its own and {} it concurrently", verb_of(operation));
    behind(cx, &title, edits, &imports, true, &texts)
}

fn in_place(operation: &Operation) -> String {
    format!("{} it concurrently, with `atomic = False`", verb_of(operation))
}

fn verb_of(operation: &Operation) -> &'static str {
    if matches!(operation.kind, OperationKind::RemoveIndex { .. }) { "drop" } else { "build" }
}

fn concurrent_class(operation: &Operation) -> Option<&'static str> {
    match operation.kind {
        OperationKind::AddIndex { concurrently: false, .. } if operation.class.starts_with("django.") => {
            Some("AddIndexConcurrently")
        }
        OperationKind::RemoveIndex { concurrently: false, .. } if operation.class.starts_with("django.") => {
            Some("RemoveIndexConcurrently")
        }
        _ => None,
    }
}

/// `CREATE INDEX` and `DROP INDEX` of a `RunSQL` that stands alone in its migration, with nothing else in its string.
fn concurrent_sql(cx: &Cx<'_>, step: &Step) -> Option<Fix> {
    let text = lone_sql(cx, step)?;
    let keyword = keyword_end(text, &[&["create", "index"], &["drop", "index"], &["create", "unique", "index"]])?;
    let mut edits = vec![put_behind(step, text, keyword, "CONCURRENTLY")?];
    edits.extend(not_atomic(cx)?);
    let verb = if text.trim_start().to_ascii_lowercase().starts_with("drop") { "drop" } else { "build" };
    Some(change(cx, &format!("{verb} it concurrently, with `atomic = False`"), Applicability::Safe, edits))
}

/// `REINDEX TABLE shop_order` → `REINDEX TABLE CONCURRENTLY shop_order`.
pub(crate) fn concurrent_reindex(cx: &Cx<'_>, step: &Step) -> Option<Fix> {
    let text = lone_sql(cx, step)?;
    let keyword = keyword_end(text, &[&["reindex", "index"], &["reindex", "table"], &["reindex", "schema"]])?;
    let mut edits = vec![put_behind(step, text, keyword, "CONCURRENTLY")?];
    edits.extend(not_atomic(cx)?);
    Some(change(cx, "rebuild it concurrently, with `atomic = False`", Applicability::Safe, edits))
}

/// `DETACH PARTITION event_1` → `DETACH PARTITION event_1 CONCURRENTLY`.
///
/// Unsafe, because PostgreSQL then leaves the partition's bounds as a CHECK on what was detached.
pub(crate) fn concurrent_detach(cx: &Cx<'_>, step: &Step) -> Option<Fix> {
    let text = lone_sql(cx, step)?;
    let end = text.trim_end().trim_end_matches(';').trim_end().len();
    let mut edits = vec![put_behind(step, text, end, "CONCURRENTLY")?];
    edits.extend(not_atomic(cx)?);
    Some(change(cx, "detach it concurrently, with `atomic = False`", Applicability::Unsafe, edits))
}

/// `REFRESH MATERIALIZED VIEW v` → `REFRESH MATERIALIZED VIEW CONCURRENTLY v`, which may stand in a transaction.
///
/// Unsafe, because PostgreSQL refuses it for a view that was never filled.
pub(crate) fn concurrent_refresh(cx: &Cx<'_>, step: &Step) -> Option<Fix> {
    let text = verbatim_sql(cx, step)?;
    let keyword = keyword_end(text, &[&["refresh", "materialized", "view"]])?;
    let edits = vec![put_behind(step, text, keyword, "CONCURRENTLY")?];
    Some(change(cx, "refresh it concurrently", Applicability::Unsafe, edits))
}

/// The text of a statement in a `RunSQL` that stands in the file as it is sent.
fn verbatim_sql<'a>(cx: &Cx<'a>, step: &Step) -> Option<&'a str> {
    let text = file(cx).slice(step.span);
    let bare = |text: &str| text.trim().trim_end_matches(';').trim_end().to_owned();
    (step.raw && bare(text) == bare(&step.sql)).then_some(text)
}

/// As [`verbatim_sql`], of a statement that stands alone in its string and in its migration.
fn lone_sql<'a>(cx: &Cx<'a>, step: &Step) -> Option<&'a str> {
    if cx.steps().count() != 1 || cx.migration.migration.operations.len() != 1 || *step.sql != *step.sent {
        return None;
    }
    verbatim_sql(cx, step)
}

/// Where one of these sequences of words ends, at the beginning of a text.
fn keyword_end(text: &str, leads: &[&[&str]]) -> Option<usize> {
    leads.iter().find_map(|words| {
        let mut at = 0;
        for word in *words {
            at += text.get(at..)?.len() - text.get(at..)?.trim_start().len();
            let found = text.get(at..at.checked_add(word.len())?)?;
            at += word.len();
            let ends = !text.get(at..)?.starts_with(|next: char| next.is_alphanumeric() || next == '_');
            if !found.eq_ignore_ascii_case(word) || !ends {
                return None;
            }
        }
        Some(at)
    })
}

/// Puts a keyword behind a place in a statement's text, in the case of the word before it.
fn put_behind(step: &Step, text: &str, at: usize, keyword: &str) -> Option<Edit> {
    let lower =
        text.get(..at)?.chars().next_back()?.is_lowercase() && text.trim_start().starts_with(char::is_lowercase);
    let keyword = if lower { keyword.to_lowercase() } else { keyword.to_owned() };
    let offset = step.span.start.checked_add(u32::try_from(at).ok()?)?;
    Some(Edit::insert(offset, format!(" {keyword}")))
}

/// SET NOT NULL, alone in its operation: a NOT VALID CHECK here, its validation in a new migration, and the operation
/// in one behind that, where the check proves what would be scanned for.
pub(crate) fn not_null_by_check(cx: &Cx<'_>, step: &Step, table: &QualifiedName, column: &Ident) -> Option<Fix> {
    let operations = &cx.migration.migration.operations;
    let operation = operations.get(step.operation)?;
    let alone = cx.steps().filter(|other| other.operation == step.operation).count() == 1;
    let last = step.operation + 1 == operations.len() || is_last_on_its_model(operations, step.operation);
    let movable = matches!(operation.kind, OperationKind::AlterField { .. }) && operation.class.starts_with("django.")
        || matches!(operation.kind, OperationKind::RunSql(_));
    if !alone || !last || !movable || !cx.migration.migration.atomic {
        return None;
    }
    let file = file(cx);
    let indent = indent_of(file, operation.span.start)?;
    let (table, column) = (quoted_table(table), zdm_postgres::quote_identifier(column.as_str()));
    let name = zdm_postgres::quote_identifier(&format!("{}_not_null", column.trim_matches('"')));
    if name.len() > 65 {
        return None;
    }
    let add = format!("ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({column} IS NOT NULL) NOT VALID");
    let drop = format!("ALTER TABLE {table} DROP CONSTRAINT {name}");
    let validate = format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}");
    let own = moved(file, operation)?;
    let mut edits = vec![Edit::replace(operation.span, run_sql(&add, Some(&drop), indent)?)];
    edits.extend(import(file, "django.db", "migrations")?);
    let here = "        ";
    let files = [
        NewMigration { operations: vec![run_sql(&validate, None, here)?], ..NewMigration::default() },
        NewMigration { operations: vec![own, run_sql(&drop, Some(&add), here)?], ..NewMigration::default() },
    ];
    chain(cx, "prove it with a CHECK that is validated in a migration of its own", edits, &files)
}

/// A foreign key that is the only statement of its operation: NOT VALID here, its validation in a new migration.
pub(crate) fn foreign_key_not_valid(cx: &Cx<'_>, step: &Step, table: &QualifiedName, name: &Ident) -> Option<Fix> {
    let operations = &cx.migration.migration.operations;
    let operation = operations.get(step.operation)?;
    let alone = cx.steps().filter(|other| other.operation == step.operation).count() == 1;
    let last = step.operation + 1 == operations.len() || is_last_on_its_model(operations, step.operation);
    if !alone || !last {
        return None;
    }
    let file = file(cx);
    let (table, name) = (quoted_table(table), zdm_postgres::quote_identifier(name.as_str()));
    let mut edits = Vec::new();
    if step.raw {
        let text = verbatim_sql(cx, step)?;
        let end = text.trim_end().trim_end_matches(';').trim_end().len();
        edits.push(put_behind(step, text, end, "NOT VALID")?);
    } else {
        if !operation.class.starts_with("django.") {
            return None;
        }
        let indent = indent_of(file, operation.span.start)?;
        let deep = format!("{indent}        ");
        let add = format!("{} NOT VALID", step.sql);
        let sql = run_sql(&add, Some(&format!("ALTER TABLE {table} DROP CONSTRAINT {name}")), &deep)?;
        let own = deeper(file.slice(operation.span));
        edits.extend(import(file, "django.db", "migrations")?);
        edits.push(Edit::replace(
            operation.span,
            format!(
                "migrations.SeparateDatabaseAndState(\n{indent}    database_operations=[\n{deep}{sql},\n{indent}    ],\n{indent}    state_operations=[\n{deep}{own},\n{indent}    ],\n{indent})"
            ),
        ));
    }
    let validate = format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}");
    let files = [NewMigration { operations: vec![run_sql(&validate, None, "        ")?], ..NewMigration::default() }];
    chain(cx, "add it NOT VALID, and validate it in a new migration", edits, &files)
}

/// `migrations.RunSQL('…', '…')` over several lines; None for SQL that a Python string in single quotes would change.
fn run_sql(sql: &str, reverse: Option<&str>, indent: &str) -> Option<String> {
    if [sql, reverse.unwrap_or_default()].iter().any(|text| text.contains(['\'', '\\', '\n', '%'])) {
        return None;
    }
    let reverse = reverse.map_or_else(|| "migrations.RunSQL.noop".to_owned(), |sql| format!("'{sql}'"));
    Some(format!("migrations.RunSQL(\n{indent}    '{sql}',\n{indent}    {reverse},\n{indent})"))
}

/// An operation's text as it stands in the list of a new file, with the comment behind it.
fn moved(file: &SourceFile, operation: &Operation) -> Option<String> {
    let span = callee(file, operation)?;
    Some(with_comment(format!("{}{}", file.slice(span), arguments(file, operation)?), file, operation))
}

fn with_comment(text: String, file: &SourceFile, operation: &Operation) -> String {
    match comment_behind(file, operation) {
        Some(comment) => format!("{text}{COMMENT}{comment}"),
        None => text,
    }
}

/// `atomic = False` for a migration that holds nothing but the operation that needs it.
pub(crate) fn atomic_false(cx: &Cx<'_>) -> Option<Fix> {
    if cx.migration.migration.operations.len() != 1 {
        return None;
    }
    Some(change(cx, "set `atomic = False`", Applicability::Safe, not_atomic(cx)?))
}

/// `AddConstraint` with a CHECK → `AddConstraintNotValid` here, and `ValidateConstraint` in a new migration behind it.
pub(crate) fn not_valid_and_validate(cx: &Cx<'_>, step: &Step) -> Option<Fix> {
    let operations = &cx.migration.migration.operations;
    let file = file(cx);
    let checks: Vec<usize> = (0..operations.len())
        .filter(|index| {
            matches!(&operations[*index].kind, OperationKind::AddConstraint { constraint, not_valid: false, .. }
                if matches!(constraint.kind, zdm_django::operation::ConstraintKind::Check { .. }))
                && operations[*index].class.starts_with("django.")
                && cx.steps().any(|step| step.operation == *index && !step.outcome.effects.scans.is_empty())
                && is_last_on_its_model(operations, *index)
        })
        .collect();
    if !checks.contains(&step.operation) {
        return None;
    }
    let mut edits = import(file, POSTGRES_OPERATIONS, "AddConstraintNotValid")?;
    let mut texts = Vec::new();
    for index in checks {
        let operation = &operations[index];
        let OperationKind::AddConstraint { model_name, constraint, .. } = &operation.kind else { return None };
        edits.push(Edit::replace(callee(file, operation)?, "AddConstraintNotValid"));
        texts.push(validate_text(model_name, &constraint.name));
    }
    let title = "add it NOT VALID, and validate it in a new migration";
    behind(cx, title, edits, &["ValidateConstraint"], false, &texts)
}

/// `ValidateConstraint` moves to a new migration.
pub(crate) fn validate_behind(cx: &Cx<'_>, step: &Step) -> Option<Fix> {
    let operations = &cx.migration.migration.operations;
    let operation = operations.get(step.operation)?;
    let OperationKind::ValidateConstraint { model_name, name } = &operation.kind else { return None };
    if !is_last_on_its_model(operations, step.operation) {
        return None;
    }
    let edits = vec![removed(file(cx), operation)?];
    let texts = [with_comment(validate_text(model_name, name), file(cx), operation)];
    behind(cx, "validate it in a new migration", edits, &["ValidateConstraint"], false, &texts)
}

fn validate_text(model: &str, name: &str) -> String {
    format!("ValidateConstraint(model_name=\"{model}\", name=\"{name}\")")
}

/// The operations from one on move to a new migration, in their order; something stays.
pub(crate) fn split_before(cx: &Cx<'_>, index: usize) -> Option<Fix> {
    let migration = &cx.migration.migration;
    let moving = migration.operations.get(index..).filter(|moving| index > 0 && !moving.is_empty())?;
    if !migration.atomic {
        return None;
    }
    let file = file(cx);
    let mut edits = Vec::new();
    let mut texts = Vec::new();
    for operation in moving {
        edits.push(removed(file, operation)?);
        texts.push(moved(file, operation)?);
    }
    let title = match moving {
        [_] => "move this operation to a migration of its own",
        _ => "move the operations from this one on to a migration of their own",
    };
    behind(cx, title, edits, &[], false, &texts)
}

/// `zdm_phase = "before"` → `"after"`.
pub(crate) fn declared_phase(cx: &Cx<'_>, attribute: &str, span: Span, phase: Phase) -> Option<Fix> {
    let text = file(cx).slice(span);
    let (start, end) = (text.find(['"', '\''])?, text.rfind(['"', '\''])?);
    if attribute != "zdm_phase" || end <= start {
        return None;
    }
    let at = |offset: usize| span.start.checked_add(u32::try_from(offset).ok()?);
    let edit = Edit::replace(Span::new(at(start + 1)?, at(end)?), phase.as_str());
    Some(change(cx, &format!("declare `zdm_phase = \"{}\"`", phase.as_str()), Applicability::Unsafe, vec![edit]))
}

/// `for order in Order.objects.all():` → `….all().iterator(chunk_size=2000):`.
///
/// Unsafe, because the objects are not kept: a queryset that is gone through again sends its query again.
pub(crate) fn iterator(cx: &Cx<'_>, span: Span) -> Option<Fix> {
    let text = file(cx).text();
    let before = text.get(..span.start as usize)?.trim_end();
    let behind = text.get(span.end as usize..)?.trim_start();
    if !before.ends_with(" in") || !behind.starts_with(':') || !text.get(..span.end as usize)?.ends_with(')') {
        return None;
    }
    let edits = vec![Edit::insert(span.end, ".iterator(chunk_size=2000)")];
    Some(change(cx, "read the rows a few at a time: `.iterator(chunk_size=2000)`", Applicability::Unsafe, edits))
}

/// `bulk_create(rows)` → `bulk_create(rows, batch_size=1000)`.
pub(crate) fn batch_size(cx: &Cx<'_>, span: Span) -> Option<Fix> {
    let file = file(cx);
    let text = file.slice(span);
    let blank = blanked(text);
    let inside = blank.strip_suffix(')')?.trim_end();
    if !text.contains("bulk_create(") || text.contains("batch_size") {
        return None;
    }
    // A generator without parentheses of its own must be the only argument.
    let mut depth = 0_i32;
    let arguments = blank.split_once("bulk_create(")?.1;
    let is_for = |at: usize| arguments[at..].split_whitespace().next() == Some("for");
    for (at, character) in arguments.char_indices() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ if depth == 0 && character.is_whitespace() && is_for(at) => return None,
            _ => {}
        }
    }
    let comma = if inside.ends_with(',') { " " } else { ", " };
    let at = span.start.checked_add(u32::try_from(inside.len()).ok()?)?;
    let edits = vec![Edit::insert(at, format!("{comma}batch_size=1000"))];
    Some(change(cx, "insert in batches: `batch_size=1000`", Applicability::Safe, edits))
}

/// A Python default gets a `db_default` beside it, which stays in the database.
pub(crate) fn db_default(cx: &Cx<'_>, index: usize) -> Option<Fix> {
    let operation = cx.operation(index)?;
    let OperationKind::AddField { field, preserve_default: true, .. } = &operation.kind else { return None };
    if !cx.options.context.version.at_least(5, 0) || field.kwarg("db_default").is_some() {
        return None;
    }
    if !matches!(field.kwarg("default")?, Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_)) {
        return None;
    }
    let file = file(cx);
    let text = file.slice(operation.span);
    let (start, end) = keyword_argument(text, "default")?;
    let offset = operation.span.start.checked_add(u32::try_from(start).ok()?)?;
    let value = text.get(start..end)?.strip_prefix("default")?.trim_start().strip_prefix('=')?.trim();
    Some(change(
        cx,
        "give it the same `db_default`, and the model's field too",
        Applicability::Unsafe,
        vec![Edit::insert(offset, format!("db_default={value}, "))],
    ))
}

/// `noop` as the reverse of a `RunPython` or `RunSQL`.
pub(crate) fn noop(cx: &Cx<'_>, operation: &Operation, keyword: &str) -> Option<Fix> {
    let file = file(cx);
    let text = file.slice(operation.span);
    let blank = blanked(text);
    let before = blank.strip_suffix(')')?.trim_end();
    let prefix = file.slice(callee(file, operation)?).trim();
    if !prefix.ends_with("RunPython") && !prefix.ends_with("RunSQL") {
        return None;
    }
    let comma = if before.ends_with(',') || before.ends_with('(') { " " } else { ", " };
    let offset = operation.span.start.checked_add(u32::try_from(before.len()).ok()?)?;
    Some(change(
        cx,
        &format!("add `{keyword}={prefix}.noop`"),
        Applicability::Unsafe,
        vec![Edit::insert(offset, format!("{comma}{keyword}={prefix}.noop"))],
    ))
}

/// `Order.objects` → `apps.get_model("shop", "Order").objects`, inside of a function whose first parameter is `apps`.
pub(crate) fn get_model(cx: &Cx<'_>, class: &str, span: Span) -> Option<Fix> {
    let file = file(cx);
    let own = class.rsplit('.').next()?;
    let mut models = cx.migration.state_before.models().filter(|model| &*model.name == own);
    let (model, None) = (models.next()?, models.next()) else { return None };
    let text = file.slice(span);
    if !text.starts_with(class) || !text.get(class.len()..)?.starts_with('.') || !is_inside_forwards(file, span) {
        return None;
    }
    let edit = Edit::replace(
        Span::new(span.start, span.start.checked_add(u32::try_from(class.len()).ok()?)?),
        format!("apps.get_model(\"{}\", \"{own}\")", model.app),
    );
    let title = format!("use the model of the migration's state: apps.get_model(\"{}\", \"{own}\")", model.app);
    let mut edits = vec![edit];
    edits.extend(unused_import(file, own, span));
    Some(change(cx, &title, Applicability::Unsafe, edits))
}

/// The line that imports a name and nothing else, where the name is used in no other place.
fn unused_import(file: &SourceFile, name: &str, used: Span) -> Option<Edit> {
    let text = file.text();
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    let whole = |at: usize| !text[..at].ends_with(is_name) && !text[at + name.len()..].starts_with(is_name);
    let places: Vec<usize> = text.match_indices(name).map(|(at, _)| at).filter(|at| whole(*at)).collect();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let range = offset..offset + line.len();
        offset = range.end;
        if line.starts_with("from ") && line.trim_end().ends_with(&format!(" import {name}")) {
            // In a string, as in get_model("shop", "Order"), it is no use.
            let elsewhere = places.iter().any(|at| {
                !range.contains(at) && !used.range().contains(at) && !text[..*at].ends_with(['"', '\'', '.'])
            });
            let span = Span::new(u32::try_from(range.start).ok()?, u32::try_from(range.end).ok()?);
            return (!elsewhere).then(|| Edit::delete(span));
        }
    }
    None
}

/// The innermost `def` in front of a place has `apps` as its first parameter.
fn is_inside_forwards(file: &SourceFile, span: Span) -> bool {
    let text = file.text().get(..span.start as usize).unwrap_or_default();
    let line = text.lines().next_back().unwrap_or_default();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let own = indent(line);
    let definition = text.lines().rev().find(|line| line.trim_start().starts_with("def ") && indent(line) < own);
    definition
        .and_then(|line| line.split_once('('))
        .is_some_and(|(_, rest)| rest.strip_prefix("apps").is_some_and(|rest| rest.starts_with([',', ':', ')'])))
}

/// `SET` → `SET LOCAL` in an atomic migration.
pub(crate) fn set_local(cx: &Cx<'_>, step: &Step) -> Option<Fix> {
    let text = file(cx).slice(step.span);
    let rest = text.get(..4).filter(|word| word.eq_ignore_ascii_case("set "))?;
    if !cx.migration.migration.atomic || text.get(4..)?.trim_start().to_ascii_lowercase().starts_with("session ") {
        return None;
    }
    let word = if rest.starts_with("SET") { "LOCAL " } else { "local " };
    let at = step.span.start.checked_add(4)?;
    Some(change(
        cx,
        "end the setting with the transaction: SET LOCAL",
        Applicability::Safe,
        vec![Edit::insert(at, word)],
    ))
}

/// `AddConstraint` with a plain UNIQUE, alone in its migration: the index concurrently, then the constraint from it.
pub(crate) fn unique_using_index(cx: &Cx<'_>, step: &Step) -> Option<Fix> {
    use zdm_postgres::statement::{AlterTableAction, TableConstraintKind};
    let [operation] = cx.migration.migration.operations.as_slice() else { return None };
    if !matches!(operation.kind, OperationKind::AddConstraint { .. }) || !operation.class.starts_with("django.") {
        return None;
    }
    let zdm_postgres::Statement::AlterTable(alter) = &step.statement else { return None };
    let [AlterTableAction::AddConstraint(constraint)] = alter.actions.as_slice() else { return None };
    let TableConstraintKind::Unique(key) = &constraint.kind else { return None };
    if key.using_index.is_some() || !key.include.is_empty() || key.nulls_not_distinct || key.tablespace.is_some() {
        return None;
    }
    let name = constraint.name.as_ref()?;
    let quoted = |name: &zdm_postgres::Ident| zdm_postgres::quote_identifier(name.as_str());
    let table = quoted_table(&alter.name);
    let columns: Vec<String> = key.columns.iter().map(quoted).collect();
    let mut attributes = String::new();
    if constraint.attributes.deferrable {
        attributes.push_str(" DEFERRABLE");
    }
    if constraint.attributes.initially_deferred {
        attributes.push_str(" INITIALLY DEFERRED");
    }
    let index = quoted(name);
    let (create, columns) = (format!("CREATE UNIQUE INDEX CONCURRENTLY {index} ON {table}"), columns.join(", "));
    let add = format!("ALTER TABLE {table} ADD CONSTRAINT {index} UNIQUE USING INDEX {index}{attributes}");
    if [&create, &add, &columns].iter().any(|text| text.contains(['\'', '\\'])) {
        return None;
    }
    let file = file(cx);
    let indent = indent_of(file, operation.span.start)?;
    let own = file.slice(operation.span);
    let text = format!(
        "migrations.SeparateDatabaseAndState(\n{indent}    database_operations=[\n{indent}        migrations.RunSQL(\n{indent}            '{create} ({columns})',\n{indent}            'DROP INDEX CONCURRENTLY IF EXISTS {index}',\n{indent}        ),\n{indent}        migrations.RunSQL(\n{indent}            '{add}',\n{indent}            'ALTER TABLE {table} DROP CONSTRAINT {index}',\n{indent}        ),\n{indent}    ],\n{indent}    state_operations=[\n{indent}        {},\n{indent}    ],\n{indent})",
        deeper(own)
    );
    let mut edits = vec![Edit::replace(operation.span, text)];
    edits.extend(import(file, "django.db", "migrations")?);
    edits.extend(not_atomic(cx)?);
    Some(change(cx, "build the unique index concurrently, then the constraint from it", Applicability::Unsafe, edits))
}

fn file<'a>(cx: &Cx<'a>) -> &'a SourceFile {
    &cx.migration.migration.file
}

fn change(cx: &Cx<'_>, title: &str, applicability: Applicability, edits: Vec<Edit>) -> Fix {
    let file = file(cx);
    let edits =
        edits.into_iter().map(|edit| Edit { replacement: in_style_of(file, &edit.replacement), ..edit }).collect();
    Fix { title: title.to_owned(), applicability, files: vec![FixFile::Change { file: file.clone(), edits }] }
}

/// The class with its dots: what stands before the parenthesis.
fn callee(file: &SourceFile, operation: &Operation) -> Option<Span> {
    let text = file.slice(operation.span);
    let open = text.find('(')?;
    let name = text.get(..open)?;
    let plain = name.chars().all(|character| character.is_alphanumeric() || "_.".contains(character));
    plain
        .then(|| Span::new(operation.span.start, operation.span.start.saturating_add(u32::try_from(open).unwrap_or(0))))
}

/// The arguments with their parentheses, as they stand in a list of operations.
fn arguments(file: &SourceFile, operation: &Operation) -> Option<String> {
    let text = file.slice(operation.span);
    let arguments = text.get(text.find('(')?..)?;
    let indent = indent_of(file, operation.span.start)?;
    let blank = blanked(arguments);
    let mut result = String::new();
    let mut offset = 0;
    for line in arguments.split_inclusive('\n') {
        // What stands in a string stays as it is.
        let code = offset > 0 && !blank.get(offset..)?.starts_with('\'');
        if code && !line.trim().is_empty() {
            result.push_str("        ");
            result.push_str(line.strip_prefix(indent).unwrap_or(line.trim_start()));
        } else {
            result.push_str(line);
        }
        offset += line.len();
    }
    Some(result.replace("\r\n", "\n"))
}

/// The lines of an operation behind its first, eight spaces deeper; what stands in a string stays as it is.
fn deeper(text: &str) -> String {
    let blank = blanked(text);
    let (mut result, mut offset) = (String::new(), 0);
    for line in text.split_inclusive('\n') {
        if offset > 0 && !blank.get(offset..).is_some_and(|rest| rest.starts_with('\'')) {
            result.push_str("        ");
        }
        result.push_str(line);
        offset += line.len();
    }
    result.replace("\r\n", "\n")
}

/// A text with the line ends of a file, and with tabs where the file is indented by them.
fn in_style_of(file: &SourceFile, text: &str) -> String {
    let (mut result, blank) = (String::new(), blanked(text));
    let tabs = file.text().lines().any(|line| line.starts_with('\t'));
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let code = line.trim_start_matches([' ', '\t']);
        let space = &line[..line.len() - code.len()];
        let string = blank.get(offset..).is_some_and(|rest| rest.starts_with('\'')) && !space.is_empty();
        result.push_str(&if tabs && !string { space.replace("    ", "\t") } else { space.to_owned() });
        result.push_str(code);
        offset += line.len();
    }
    if file.text().contains("\r\n") { result.replace("\r\n", "\n").replace('\n', "\r\n") } else { result }
}

/// The same text, of the same length: strings are `'` from end to end, comments are spaces.
fn blanked(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut blank = bytes.to_vec();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'#' => {
                let end =
                    bytes[at..].iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(bytes.len(), |n| at + n);
                blank[at..end].fill(b' ');
                at = end;
            }
            b'"' | b'\'' => {
                let long = bytes[at..].starts_with(&[*byte; 3]);
                let mut end = at + if long { 3 } else { 1 };
                loop {
                    match bytes.get(end) {
                        None => break,
                        Some(b'\\') => end += 2,
                        Some(b'\n') if !long => break,
                        Some(next) if next == byte && (!long || bytes[end..].starts_with(&[*byte; 3])) => {
                            end += if long { 3 } else { 1 };
                            break;
                        }
                        Some(_) => end += 1,
                    }
                }
                let end = end.min(bytes.len());
                blank[at..end].iter_mut().filter(|byte| !matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b'\'');
                at = end;
            }
            _ => at += 1,
        }
    }
    // Strings and comments are replaced whole, so what is left is UTF-8.
    String::from_utf8(blank).unwrap_or_default()
}

/// A name that a module imports, and the statement that does it: `m`, `from django.db import migrations as m`.
fn imported(text: &str) -> Vec<(String, String)> {
    let blank = blanked(text);
    let blank = blank.trim_start_matches('\u{feff}');
    let mut found = Vec::new();
    let mut lines = blank.lines();
    while let Some(line) = lines.next() {
        let mut statement = line.to_owned();
        if !(line.starts_with("from ") || line.starts_with("import ")) || line.contains(';') {
            continue;
        }
        while statement.contains('(') && !statement.contains(')') || statement.ends_with('\\') {
            let Some(next) = lines.next() else { break };
            let joined = format!("{} {next}", statement.trim_end_matches('\\'));
            statement = joined;
        }
        let statement = statement.replace(['(', ')'], " ");
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let (lead, names) = match statement.split_once(" import ") {
            Some((module, names)) => (format!("{} import ", words(module).join(" ")), names.to_owned()),
            None => ("import ".to_owned(), statement.trim_start_matches("import").to_owned()),
        };
        for name in names.split(',') {
            let words = words(name);
            let bound = match words.as_slice() {
                [name] if lead == "import " => name.split('.').next().unwrap_or_default(),
                [name] => name,
                [_, word, alias] if word == "as" => alias,
                _ => continue,
            };
            found.push((bound.to_owned(), format!("{lead}{}", words.join(" "))));
        }
    }
    found
}

/// The white space before a place, where nothing else stands there.
fn line_indent(file: &SourceFile, offset: u32) -> Option<&str> {
    let before = file.text().get(..offset as usize)?;
    let line = &before[before.rfind(['\n', '\r']).map_or(0, |newline| newline + 1)..];
    line.trim().is_empty().then_some(line)
}

/// The white space at the beginning of a place's line.
fn indent_of(file: &SourceFile, offset: u32) -> Option<&str> {
    let before = file.text().get(..offset as usize)?;
    let line = &before[before.rfind(['\n', '\r']).map_or(0, |newline| newline + 1)..];
    Some(&line[..line.len() - line.trim_start().len()])
}

/// Deletes an operation with its comma, and with its lines where nothing else stands in them.
fn removed(file: &SourceFile, operation: &Operation) -> Option<Edit> {
    let text = file.text();
    let own_line = line_indent(file, operation.span.start);
    let start = operation.span.start as usize - own_line.map_or(0, str::len);
    let rest = text.get(operation.span.end as usize..)?;
    let blank = blanked(rest);
    let (comma, after) = match blank.strip_prefix(',') {
        Some(after) => (1, after),
        None => (0, blank.as_str()),
    };
    let line = &after[..after.find('\n').map_or(after.len(), |at| at + 1)];
    let end = operation.span.end as usize
        + comma
        + if own_line.is_some() && line.trim().is_empty() {
            line.len()
        } else if line.trim_start().starts_with([']', ')']) || comma == 1 && own_line.is_none() {
            after.len() - after.trim_start_matches(' ').len()
        } else {
            return None;
        };
    Some(Edit::delete(Span::new(u32::try_from(start).ok()?, u32::try_from(end).ok()?)))
}

/// The comment behind an operation, which goes where it goes: `  # kept`.
fn comment_behind(file: &SourceFile, operation: &Operation) -> Option<String> {
    line_indent(file, operation.span.start)?;
    let rest = file.text().get(operation.span.end as usize..)?;
    let line = rest.lines().next()?.trim_start_matches(',').trim();
    line.starts_with('#').then(|| format!("  {line}"))
}

/// `atomic = False` in front of the first attribute of the migration's class; nothing where it says so.
fn not_atomic(cx: &Cx<'_>) -> Option<Vec<Edit>> {
    let migration = &cx.migration.migration;
    if !migration.atomic {
        return Some(Vec::new());
    }
    let text = migration.file.text();
    let blank = blanked(text);
    let at = |offset: usize| u32::try_from(offset).ok();
    let (mut offset, mut depth, mut in_class) = (0_usize, 0_usize, false);
    let (mut own, mut first) = (None, None);
    for line in blank.split_inclusive('\n') {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let begins = depth == 0 && !code.is_empty();
        if begins && in_class && indent.is_empty() && !code.starts_with('\'') {
            break;
        }
        if begins && in_class && *own.get_or_insert(indent) == indent {
            let name: String = code.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let assigned = code[name.len()..].trim_start();
            let assigns = assigned.starts_with('=') && !assigned.starts_with("==") || assigned.starts_with(':');
            if name == "atomic" && assigns {
                let value = offset + indent.len() + code.find("True")?;
                return Some(vec![Edit::replace(Span::new(at(value)?, at(value + 4)?), "False")]);
            }
            if assigns && first.is_none() && !matches!(name.as_str(), "else" | "try" | "finally") {
                first = Some(Edit::insert(at(offset)?, format!("{indent}atomic = False\n\n")));
            }
        }
        if begins && code.starts_with("class ") {
            in_class = (offset..offset + line.len()).contains(&(migration.span.start as usize));
        }
        depth = (depth + line.matches(['(', '[', '{']).count()).saturating_sub(line.matches([')', ']', '}']).count());
        offset += line.len();
    }
    Some(vec![first?])
}

/// The import of a name, nothing where it is there: before the first one from Django, or the first at all. None where
/// the name is something else.
fn import(file: &SourceFile, module: &str, name: &str) -> Option<Vec<Edit>> {
    let text = file.text();
    let statement = format!("from {module} import {name}");
    let known = imported(text);
    if known.iter().any(|(bound, by)| bound == name && *by == statement) {
        return Some(Vec::new());
    }
    if known.iter().any(|(bound, _)| bound == name) {
        return None;
    }
    let blank = blanked(text);
    let place = |begins: &dyn Fn(&str) -> bool| {
        let mut offset = 0;
        blank.split_inclusive('\n').find_map(|line| {
            let here = offset;
            offset += line.len();
            begins(line).then_some(here)
        })
    };
    let django = |line: &str| line.starts_with("from django") || line.starts_with("import django");
    let any = |line: &str| (line.starts_with("from ") && !line.contains("__future__")) || line.starts_with("import ");
    let place = place(&django).or_else(|| place(&any))?;
    Some(vec![Edit::insert(u32::try_from(place).ok()?, format!("{statement}\n"))])
}

/// No later operation of the migration speaks of the model, nor anything that cannot be told.
fn is_last_on_its_model(operations: &[Operation], index: usize) -> bool {
    let model = |operation: &Operation| match &operation.kind {
        OperationKind::AddIndex { model_name, .. }
        | OperationKind::RemoveIndex { model_name, .. }
        | OperationKind::RenameIndex { model_name, .. }
        | OperationKind::AddConstraint { model_name, .. }
        | OperationKind::RemoveConstraint { model_name, .. }
        | OperationKind::ValidateConstraint { model_name, .. }
        | OperationKind::AddField { model_name, .. }
        | OperationKind::RemoveField { model_name, .. }
        | OperationKind::AlterField { model_name, .. }
        | OperationKind::RenameField { model_name, .. } => Some(model_name.to_lowercase()),
        OperationKind::AlterModelOptions { .. } | OperationKind::AlterModelManagers { .. } | OperationKind::NoOp => {
            Some(String::new())
        }
        OperationKind::CreateModel { name, .. } => Some(name.to_lowercase()),
        _ => None,
    };
    let Some(own) = operations.get(index).and_then(model) else { return false };
    operations[index + 1..].iter().all(|other| match (model(other), &other.kind) {
        // Other indexes and constraints of the model do not care about this one.
        (
            Some(_),
            OperationKind::AddIndex { .. } | OperationKind::AddConstraint { .. } | OperationKind::AddField { .. },
        ) => true,
        (Some(model), _) => model != own,
        (None, _) => false,
    })
}

/// What is put into the name of a migration that a fix makes.
const CONTINUED: &str = "_continued";

/// Nobody continues a migration so often; more are a circle.
const MOST_CONTINUATIONS: usize = 64;

/// What a fix puts into a new file.
#[derive(Default)]
struct NewMigration<'a> {
    /// From `django.contrib.postgres.operations`.
    imports: &'a [&'a str],
    concurrently: bool,
    /// As they stand in the list, eight spaces deep from their second line on.
    operations: Vec<String>,
}

/// A new migration behind this one with these operations, and edits of this one.
fn behind(
    cx: &Cx<'_>,
    title: &str,
    edits: Vec<Edit>,
    imports: &[&str],
    concurrently: bool,
    operations: &[String],
) -> Option<Fix> {
    chain(cx, title, edits, &[NewMigration { imports, concurrently, operations: operations.to_vec() }])
}

/// New migrations behind this one, one behind the other, and edits of this one.
fn chain(cx: &Cx<'_>, title: &str, edits: Vec<Edit>, files: &[NewMigration<'_>]) -> Option<Fix> {
    let own = &cx.migration.migration;
    let last = last_behind(cx)?;
    let digits = last.key.name.split('_').next()?;
    let mut number: u32 = digits.parse().ok().filter(|_| digits.len() >= 4)?;
    let stem = own.key.name.split_once('_').map_or("migration", |(_, stem)| stem);
    let stem = stem.trim_end_matches(CONTINUED);
    let folder = own.file.path().rsplit_once('/').map(|(folder, _)| folder)?;
    let mut previous = last.key.name.to_string();
    let mut fix = change(cx, title, Applicability::Unsafe, edits);
    let known = imported(own.file.text());
    // In the new file these two are Django's.
    let other =
        |name: &str| known.iter().any(|(bound, by)| bound == name && *by != format!("from django.db import {name}"));
    if other("migrations") || other("models") {
        return None;
    }
    for file in files {
        number = number.checked_add(1)?;
        let name = format!("{number:0width$}_{stem}{CONTINUED}", width = digits.len());
        // Names that the file makes itself are not known in another one; what it imports is imported there too.
        let mut lines = BTreeSet::new();
        for operation in &file.operations {
            for name in unknown_names(operation, file.imports)? {
                let before = lines.len();
                lines.extend(known.iter().filter(|(bound, _)| *bound == name).map(|(_, by)| by.clone()));
                if lines.len() == before && !known.iter().any(|(bound, by)| *bound == name && lines.contains(by)) {
                    return None;
                }
            }
        }
        if !file.imports.is_empty() {
            lines.insert(format!("from {POSTGRES_OPERATIONS} import {}", file.imports.join(", ")));
        }
        let models = file.operations.iter().any(|operation| speaks_of(operation, "models"));
        lines.insert(format!("from django.db import migrations{}", if models { ", models" } else { "" }));
        let mut text = lines.into_iter().collect::<Vec<_>>().join("\n");
        text.push_str("\n\n\nclass Migration(migrations.Migration):\n");
        if file.concurrently {
            text.push_str("    atomic = False\n\n");
        }
        let _ = write!(
            text,
            "    dependencies = [\n        (\"{}\", \"{previous}\"),\n    ]\n\n    operations = [\n",
            own.key.app
        );
        for operation in &file.operations {
            let (operation, comment) = operation.split_once(COMMENT).unwrap_or((operation, ""));
            let _ = writeln!(text, "        {operation},{comment}");
        }
        text.push_str("    ]\n");
        let text = in_style_of(&own.file, &text);
        fix.files.push(FixFile::Create { path: Arc::from(format!("{folder}/{name}.py")), text });
        previous = name;
    }
    Some(fix)
}

/// The last migration of the app, if it is this one or one that a fix put behind it.
fn last_behind(cx: &Cx<'_>) -> Option<Arc<Migration>> {
    let mut last = Arc::clone(&cx.migration.migration);
    // Each round goes one migration further.
    for _ in 0..MOST_CONTINUATIONS {
        match cx.behind.of(&last.key).as_slice() {
            [] => return Some(last),
            [next] if next.key.app == last.key.app && next.key.name.ends_with(CONTINUED) => {
                last = Arc::clone(next);
            }
            _ => return None,
        }
    }
    None
}

/// Between an operation and the comment behind it, which no file holds.
const COMMENT: char = '\0';

/// A name stands at the beginning of a dotted one.
fn speaks_of(text: &str, name: &str) -> bool {
    let blank = blanked(text);
    let mut before = "";
    for piece in blank.split_inclusive(|c: char| !(c.is_alphanumeric() || c == '_')) {
        if piece.strip_suffix('.') == Some(name) && !before.ends_with('.') {
            return true;
        }
        before = piece;
    }
    false
}

/// The names at the beginning of dotted ones that are no imports of the new file, keywords, or an argument's.
///
/// None where names may stand in a formatted string.
fn unknown_names(text: &str, imports: &[&str]) -> Option<BTreeSet<String>> {
    let blank = blanked(text.split(COMMENT).next()?);
    let mut found = BTreeSet::new();
    let mut characters = blank.char_indices().peekable();
    while let Some((start, character)) = characters.next() {
        if !(character.is_alphanumeric() || character == '_') {
            continue;
        }
        let mut end = start + character.len_utf8();
        while let Some((at, next)) = characters.next_if(|(_, next)| next.is_alphanumeric() || *next == '_') {
            end = at + next.len_utf8();
        }
        let name = &blank[start..end];
        if blank[end..].starts_with('\'') {
            if name.contains(['f', 'F', 't', 'T']) {
                return None;
            }
            continue;
        }
        let attribute = blank[..start].ends_with('.');
        let argument = blank[end..].trim_start().starts_with('=') && !blank[end..].trim_start().starts_with("==");
        let known = imports.contains(&name) || matches!(name, "models" | "migrations" | "True" | "False" | "None");
        if !attribute && !argument && !known && !character.is_ascii_digit() {
            found.insert(name.to_owned());
        }
    }
    Some(found)
}

/// The place of `name=value` among the arguments of the innermost calls: from the name to the end of the value.
fn keyword_argument(text: &str, name: &str) -> Option<(usize, usize)> {
    let text = &blanked(text);
    let mut depth = 0_u32;
    let mut found: Option<(usize, u32)> = None;
    let mut previous = ' ';
    for (at, character) in text.char_indices() {
        let ends = matches!(character, ')' | ']' | '}' | ',');
        if let Some((start, _)) = found.filter(|(_, level)| ends && *level == depth) {
            return Some((start, text.get(..at)?.trim_end().len()));
        }
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ if found.is_none()
                && !(previous.is_alphanumeric() || previous == '_' || previous == '.')
                && text[at..].starts_with(name)
                && text[at + name.len()..].trim_start().starts_with('=') =>
            {
                found = Some((at, depth));
            }
            _ => {}
        }
        previous = character;
    }
    None
}

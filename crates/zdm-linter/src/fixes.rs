//! Edits that several rules share: the corrected migration where it is a local change, or a new migration behind it.
//!
//! Every function answers `None` where the file is not of the shape that makes the edit certain. A fix never moves
//! an operation past one that speaks of the same model.

use std::fmt::Write as _;
use std::sync::Arc;

use zdm_django::{Migration, Operation, OperationKind, Value};
use zdm_postgres::{Ident, QualifiedName};
use zdm_replay::Step;
use zdm_source::{Applicability, Edit, Fix, FixFile, Phase, SourceFile, Span};

use crate::context::Cx;

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
        let mut edits = vec![not_atomic(cx)?];
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
        texts.push(format!("{class}{}", arguments(file, operation)?));
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
    let edits = vec![put_behind(step, text, keyword, "CONCURRENTLY")?, not_atomic(cx)?];
    let verb = if text.trim_start().to_ascii_lowercase().starts_with("drop") { "drop" } else { "build" };
    Some(change(cx, &format!("{verb} it concurrently, with `atomic = False`"), Applicability::Safe, edits))
}

/// `REINDEX TABLE shop_order` → `REINDEX TABLE CONCURRENTLY shop_order`.
pub(crate) fn concurrent_reindex(cx: &Cx<'_>, step: &Step) -> Option<Fix> {
    let text = lone_sql(cx, step)?;
    let keyword = keyword_end(text, &[&["reindex", "index"], &["reindex", "table"], &["reindex", "schema"]])?;
    let edits = vec![put_behind(step, text, keyword, "CONCURRENTLY")?, not_atomic(cx)?];
    Some(change(cx, "rebuild it concurrently, with `atomic = False`", Applicability::Safe, edits))
}

/// `DETACH PARTITION event_1` → `DETACH PARTITION event_1 CONCURRENTLY`.
///
/// Unsafe, because PostgreSQL then leaves the partition's bounds as a CHECK on what was detached.
pub(crate) fn concurrent_detach(cx: &Cx<'_>, step: &Step) -> Option<Fix> {
    let text = lone_sql(cx, step)?;
    let end = text.trim_end().trim_end_matches(';').trim_end().len();
    let edits = vec![put_behind(step, text, end, "CONCURRENTLY")?, not_atomic(cx)?];
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
    let indent = line_indent(file, operation.span.start)?;
    let (table, column) = (quoted_table(table), zdm_postgres::quote_identifier(column.as_str()));
    let name = zdm_postgres::quote_identifier(&format!("{}_not_null", column.trim_matches('"')));
    if name.len() > 65 {
        return None;
    }
    let add = format!("ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({column} IS NOT NULL) NOT VALID");
    let drop = format!("ALTER TABLE {table} DROP CONSTRAINT {name}");
    let validate = format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}");
    let own = moved(file, operation)?;
    let edits = vec![Edit::replace(operation.span, run_sql(&add, Some(&drop), indent)?)];
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
    let edit = if step.raw {
        let text = verbatim_sql(cx, step)?;
        put_behind(step, text, text.trim_end().trim_end_matches(';').trim_end().len(), "NOT VALID")?
    } else {
        if !operation.class.starts_with("django.") {
            return None;
        }
        let indent = line_indent(file, operation.span.start)?;
        let deep = format!("{indent}        ");
        let add = format!("{} NOT VALID", step.sql);
        let sql = run_sql(&add, Some(&format!("ALTER TABLE {table} DROP CONSTRAINT {name}")), &deep)?;
        let own = file.slice(operation.span).replace('\n', "\n        ");
        Edit::replace(
            operation.span,
            format!(
                "migrations.SeparateDatabaseAndState(\n{indent}    database_operations=[\n{deep}{sql},\n{indent}    ],\n{indent}    state_operations=[\n{deep}{own},\n{indent}    ],\n{indent})"
            ),
        )
    };
    let validate = format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}");
    let files = [NewMigration { operations: vec![run_sql(&validate, None, "        ")?], ..NewMigration::default() }];
    chain(cx, "add it NOT VALID, and validate it in a new migration", vec![edit], &files)
}

fn quoted_table(name: &QualifiedName) -> String {
    let quoted = |name: &Ident| zdm_postgres::quote_identifier(name.as_str());
    match &name.schema {
        Some(schema) => format!("{}.{}", quoted(schema), quoted(&name.name)),
        None => quoted(&name.name),
    }
}

/// `migrations.RunSQL('…', '…')` over several lines; None for SQL that a Python string in single quotes would change.
fn run_sql(sql: &str, reverse: Option<&str>, indent: &str) -> Option<String> {
    if [sql, reverse.unwrap_or_default()].iter().any(|text| text.contains(['\'', '\\', '\n', '%'])) {
        return None;
    }
    let reverse = reverse.map_or_else(|| "migrations.RunSQL.noop".to_owned(), |sql| format!("'{sql}'"));
    Some(format!("migrations.RunSQL(\n{indent}    '{sql}',\n{indent}    {reverse},\n{indent})"))
}

/// An operation's text as it stands in the list of a new file.
fn moved(file: &SourceFile, operation: &Operation) -> Option<String> {
    let span = callee(file, operation)?;
    Some(format!("{}{}", file.slice(span), arguments(file, operation)?))
}

/// `atomic = False` for a migration that holds nothing but the operation that needs it.
pub(crate) fn atomic_false(cx: &Cx<'_>) -> Option<Fix> {
    if cx.migration.migration.operations.len() != 1 {
        return None;
    }
    Some(change(cx, "set `atomic = False`", Applicability::Safe, vec![not_atomic(cx)?]))
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
    let texts = [validate_text(model_name, name)];
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
    let inside = text.strip_suffix(')')?.trim_end();
    let last = inside.lines().next_back()?;
    if !text.contains("bulk_create(") || text.contains("batch_size") || crate::suppress::comment_of(last).is_some() {
        return None;
    }
    // A generator without parentheses of its own must be the only argument.
    let mut depth = 0_i32;
    let arguments = text.split_once("bulk_create(")?.1;
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
    if !cx.trace.context.version.at_least(5, 0) || field.kwarg("db_default").is_some() {
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
    let before = text.strip_suffix(')')?.trim_end();
    // A comment at the end would swallow what is put behind it.
    let last = before.lines().next_back()?;
    if crate::suppress::comment_of(last).is_some() {
        return None;
    }
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
    let table = match &alter.name.schema {
        Some(schema) => format!("{}.{}", quoted(schema), quoted(&alter.name.name)),
        None => quoted(&alter.name.name),
    };
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
    let indent = line_indent(file, operation.span.start)?;
    let own = file.slice(operation.span);
    let text = format!(
        "migrations.SeparateDatabaseAndState(\n{indent}    database_operations=[\n{indent}        migrations.RunSQL(\n{indent}            '{create} ({columns})',\n{indent}            'DROP INDEX CONCURRENTLY IF EXISTS {index}',\n{indent}        ),\n{indent}        migrations.RunSQL(\n{indent}            '{add}',\n{indent}            'ALTER TABLE {table} DROP CONSTRAINT {index}',\n{indent}        ),\n{indent}    ],\n{indent}    state_operations=[\n{indent}        {},\n{indent}    ],\n{indent})",
        own.replace('\n', "\n        ")
    );
    let edits = vec![Edit::replace(operation.span, text), not_atomic(cx)?];
    Some(change(cx, "build the unique index concurrently, then the constraint from it", Applicability::Unsafe, edits))
}

fn file<'a>(cx: &Cx<'a>) -> &'a SourceFile {
    &cx.migration.migration.file
}

fn change(cx: &Cx<'_>, title: &str, applicability: Applicability, edits: Vec<Edit>) -> Fix {
    Fix { title: title.to_owned(), applicability, files: vec![FixFile::Change { file: file(cx).clone(), edits }] }
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
    let indent = line_indent(file, operation.span.start)?;
    let mut lines = arguments.lines();
    let mut result = lines.next()?.to_owned();
    for line in lines {
        result.push('\n');
        result.push_str("        ");
        result.push_str(line.strip_prefix(indent).unwrap_or(line.trim_start()));
    }
    Some(result)
}

/// The white space before a place, where nothing else stands there.
fn line_indent(file: &SourceFile, offset: u32) -> Option<&str> {
    let before = file.text().get(..offset as usize)?;
    let line = &before[before.rfind(['\n', '\r']).map_or(0, |newline| newline + 1)..];
    line.trim().is_empty().then_some(line)
}

/// Deletes an operation with its comma and its lines; only where it has lines of its own.
fn removed(file: &SourceFile, operation: &Operation) -> Option<Edit> {
    let text = file.text();
    let indent = line_indent(file, operation.span.start)?;
    let start = operation.span.start as usize - indent.len();
    let rest = text.get(operation.span.end as usize..)?;
    let after = rest.strip_prefix(',')?;
    let line = &after[..=after.find('\n')?];
    // A comment behind it speaks of the operation, and goes with it.
    let comment = line.trim();
    if !comment.is_empty() && !comment.starts_with('#') {
        return None;
    }
    let end = operation.span.end as usize + 1 + line.len();
    Some(Edit::delete(Span::new(u32::try_from(start).ok()?, u32::try_from(end).ok()?)))
}

/// `atomic = False` in front of the first attribute of the migration's class.
fn not_atomic(cx: &Cx<'_>) -> Option<Edit> {
    let migration = &cx.migration.migration;
    let text = migration.file.text();
    let mut offset = 0;
    let mut in_class = false;
    for line in text.split_inclusive('\n') {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        if indent.is_empty() && code.starts_with("class ") {
            in_class = (offset..offset + line.len()).contains(&(migration.span.start as usize))
                || code.starts_with("class Migration");
        } else if in_class && !indent.is_empty() {
            let name: String = code.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let assigned = code[name.len()..].trim_start();
            if name == "atomic" && assigned.starts_with('=') {
                let value = code[name.len()..].find("True")?;
                let at = offset + indent.len() + name.len() + value;
                return Some(Edit::replace(Span::new(u32::try_from(at).ok()?, u32::try_from(at + 4).ok()?), "False"));
            }
            let first = matches!(name.as_str(), "dependencies" | "operations" | "initial" | "replaces" | "run_before");
            if first && (assigned.starts_with('=') || assigned.starts_with(':')) && !text.contains("atomic =") {
                return Some(Edit::insert(u32::try_from(offset).ok()?, format!("{indent}atomic = False\n\n")));
            }
        }
        offset += line.len();
    }
    None
}

/// The import of a name, nothing where it is there: before the first one from Django, or the first at all.
fn import(file: &SourceFile, module: &str, name: &str) -> Option<Vec<Edit>> {
    let text = file.text();
    let mut place = None;
    let mut offset = 0;
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        let words: Vec<&str> = line
            .split(|c: char| !c.is_alphanumeric() && c != '_' && c != '.')
            .filter(|word| !word.is_empty())
            .collect();
        let from_module = line.starts_with("from ") && words.get(1) == Some(&module);
        inside = from_module && line.contains('(') || inside;
        if (from_module || inside) && words.contains(&name) {
            return Some(Vec::new());
        }
        if line.contains(')') {
            inside = false;
        }
        if place.is_none() && (line.starts_with("from django") || line.starts_with("import django")) {
            place = Some(offset);
        }
        offset += line.len();
    }
    let first = || {
        text.split_inclusive('\n')
            .scan(0, |at, line| {
                let here = *at;
                *at += line.len();
                Some((here, line))
            })
            .find(|(_, line)| {
                (line.starts_with("from ") && !line.contains("__future__")) || line.starts_with("import ")
            })
            .map(|(here, _)| here)
    };
    let place = place.or_else(first)?;
    Some(vec![Edit::insert(u32::try_from(place).ok()?, format!("from {module} import {name}\n"))])
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
    for file in files {
        number = number.checked_add(1)?;
        let name = format!("{number:0width$}_{stem}{CONTINUED}", width = digits.len());
        // Names that the file imports or makes itself are not known in another one.
        if file.operations.iter().any(|operation| !is_self_contained(operation, file.imports)) {
            return None;
        }
        let mut text = String::new();
        if !file.imports.is_empty() {
            let _ = writeln!(text, "from {POSTGRES_OPERATIONS} import {}", file.imports.join(", "));
        }
        text.push_str("from django.db import migrations");
        if file.operations.iter().any(|operation| operation.contains("models.")) {
            text.push_str(", models");
        }
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
            let _ = writeln!(text, "        {operation},");
        }
        text.push_str("    ]\n");
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

/// Every name at the beginning of a dotted one is imported by the new file, a keyword, or an argument's.
fn is_self_contained(text: &str, imports: &[&str]) -> bool {
    let mut characters = text.char_indices().peekable();
    let mut quote: Option<char> = None;
    while let Some((start, character)) = characters.next() {
        if let Some(open) = quote {
            if character == '\\' {
                characters.next();
            } else if character == open {
                quote = None;
            }
            continue;
        }
        if character == '\'' || character == '"' {
            quote = Some(character);
            continue;
        }
        if !(character.is_alphabetic() || character == '_') {
            continue;
        }
        let mut end = start + character.len_utf8();
        while let Some((at, next)) = characters.next_if(|(_, next)| next.is_alphanumeric() || *next == '_') {
            end = at + next.len_utf8();
        }
        let name = &text[start..end];
        let attribute = text[..start].ends_with('.');
        let argument = text[end..].trim_start().starts_with('=') && !text[end..].trim_start().starts_with("==");
        let known = imports.contains(&name) || matches!(name, "models" | "migrations" | "True" | "False" | "None");
        if !attribute && !argument && !known {
            return false;
        }
    }
    true
}

/// The place of `name=value` among the arguments of the innermost calls: from the name to the end of the value.
fn keyword_argument(text: &str, name: &str) -> Option<(usize, usize)> {
    let mut depth = 0_u32;
    let mut quote: Option<char> = None;
    let mut found: Option<(usize, u32)> = None;
    let mut previous = ' ';
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        if let Some(open) = quote {
            if !escaped && character == open {
                quote = None;
            }
            escaped = !escaped && character == '\\';
            previous = character;
            continue;
        }
        match character {
            '\'' | '"' => quote = Some(character),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                if let Some((start, _)) = found.filter(|(_, level)| *level == depth) {
                    return Some((start, at));
                }
                depth = depth.saturating_sub(1);
            }
            ',' => {
                if let Some((start, _)) = found.filter(|(_, level)| *level == depth) {
                    return Some((start, at));
                }
            }
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

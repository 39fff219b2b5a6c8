//! Phrases and corrected code that several rules share, with the user's own names.

use std::sync::Arc;

use zdm_django::migration::DependencyTarget;
use zdm_django::operation::{CodeFact, CodeModel, Rows, RunPython};
use zdm_django::resolve::{ResolvedField, Through};
use zdm_django::state::{ModelKey, ModelState};
use zdm_django::{Operation, OperationKind, ProjectState, Resolver, Value};
use zdm_postgres::effects::UncertainEffect;
use zdm_postgres::statement::{AlterTableAction, CreateIndex, IndexKey, ObjectKind};
use zdm_postgres::{Ident, QualifiedName, Statement};
use zdm_replay::Step;
use zdm_source::{Diagnostic, Severity, Span};

use crate::context::Cx;
use crate::rules::alter_actions;

/// ``index `name` `` or, without a name, ``an index on `a, b` ``.
pub(crate) fn index_name(create: &CreateIndex) -> String {
    if let Some(name) = &create.name {
        return format!("index `{name}`");
    }
    let keys: Vec<String> = create
        .elements
        .iter()
        .map(|element| match &element.key {
            IndexKey::Column(name) => name.to_string(),
            IndexKey::Expr(expr) => expr.text.to_string(),
        })
        .collect();
    format!("an index on `{}`", keys.join(", "))
}

/// How to build this index without blocking writers, in the words of the operation that builds it now.
pub(crate) fn concurrent_index_help(cx: &Cx<'_>, step: &Step, diagnostic: Diagnostic) -> Diagnostic {
    let Some(operation) = cx.operation(step.operation) else { return diagnostic };
    let file = &cx.migration.migration.file;
    match &operation.kind {
        OperationKind::AddIndex { .. } => {
            let text = file.slice(operation.span);
            let arguments = text.find('(').map_or("(…)", |open| &text[open..]);
            diagnostic
                .with_help("build it with `AddIndexConcurrently` in a migration of its own with `atomic = False`")
                .with_code(
                    "the corrected migration",
                    "python",
                    format!(
                        "from django.contrib.postgres.operations import AddIndexConcurrently\n\n\nclass Migration(migrations.Migration):\n    atomic = False\n\n    dependencies = [{}]\n\n    operations = [\n        AddIndexConcurrently{},\n    ]",
                        dependencies(cx),
                        reindented(arguments, &line_indent(file.text(), operation.span.start as usize), "        ")
                    ),
                )
        }
        OperationKind::RunSql(_) => {
            diagnostic.with_help("write CREATE INDEX CONCURRENTLY, alone in a migration with `atomic = False`")
        }
        OperationKind::AddField { model_name, field, .. } => diagnostic.with_help(format!(
            "add `{}` with `db_index=False` first; then build the index in a migration of its own with `atomic = False`: SeparateDatabaseAndState with AddIndexConcurrently (or CREATE INDEX CONCURRENTLY in RunSQL) as its database operation and the AlterField of `{model_name}.{}` as its state operation",
            field.name, field.name
        )),
        _ => diagnostic.with_help(format!(
            "build the index with CREATE INDEX CONCURRENTLY in a migration of its own with `atomic = False`, as the database operation of SeparateDatabaseAndState, and keep this operation as its state operation{}",
            and_what_else(cx, step)
        )),
    }
}

/// Where an operation shall become one of the state alone, what else it sends has to be sent too.
pub(crate) fn and_what_else(cx: &Cx<'_>, step: &Step) -> &'static str {
    let is_index = |step: &Step| match &step.statement {
        Statement::CreateIndex(_) => true,
        Statement::Drop(drop) => drop.kind == ObjectKind::Index,
        _ => false,
    };
    let of_operation = cx.steps().filter(|other| other.operation == step.operation && !std::ptr::eq(*other, step));
    let changes = |other: &&Step| !other.outcome.effects.locks.is_empty();
    let else_sent = of_operation.filter(changes).any(|other| !is_index(other) || !is_index(step));
    if else_sent { "; what else it sends belongs to the database operations too" } else { "" }
}

/// How to change a key and all that references it, where one operation of Django's sends all of that and rewrites tables.
pub(crate) fn mirror_help(cx: &Cx<'_>, step: &Step) -> Option<String> {
    let OperationKind::AlterField { model_name, .. } = &cx.operation(step.operation)?.kind else { return None };
    let of_operation = || cx.accepted().filter(|other| other.operation == step.operation);
    let mut changed = of_operation().flat_map(alter_actions).filter_map(|(_, action)| match action {
        AlterTableAction::AlterColumnType { column, data_type, .. } => Some((column, data_type)),
        _ => None,
    });
    let (column, data_type) = changed.next()?;
    changed.next()?;
    let rewrites = |step: &Step| {
        let effects = &step.outcome.effects;
        !effects.rewrites.is_empty()
            || effects.uncertain.iter().any(|uncertain| uncertain.effect == UncertainEffect::Rewrite)
    };
    if !of_operation().any(rewrites) {
        return None;
    }
    let app = &cx.migration.migration.key.app;
    let state = &cx.migration.operations.get(step.operation)?.state_before;
    let model = state.model(&ModelKey::new(app, model_name))?;
    Some(format!(
        "one swap changes all of them: `zdm mirror migration --model {app}.{} --source {column} --target {column}_new --type {} --references` adds second columns that triggers keep equal, `zdm backfill run` fills them, and `zdm mirror swap` exchanges the names",
        model.name,
        shell_word(&data_type.to_string())
    ))
}

/// A word of a shell's command line, in the quotes that it needs: `bigint`, `"numeric(10, 2)"`, `'"Total" = 0'`.
fn shell_word(text: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "_-.:=/".contains(character);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else if text.contains(['"', '$', '`', '\\', '!']) {
        format!("'{}'", text.replace('\'', "'\\''"))
    } else {
        format!("\"{text}\"")
    }
}

/// The migration's own dependencies, as they would be written again.
fn dependencies(cx: &Cx<'_>) -> String {
    let written = cx.migration.migration.dependencies.iter().map(|dependency| match &dependency.target {
        DependencyTarget::Migration(key) => format!("(\"{}\", \"{}\")", key.app, key.name),
        _ => cx.migration.migration.file.slice(dependency.span).to_owned(),
    });
    written.collect::<Vec<_>>().join(", ")
}

fn line_indent(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or("");
    let line = before.rsplit(['\n', '\r']).next().unwrap_or("");
    line.chars().take_while(|character| character.is_whitespace()).collect()
}

/// Lines behind the first lose `old` and get `new` in front.
fn reindented(text: &str, old: &str, new: &str) -> String {
    let mut lines = text.lines();
    let mut result = lines.next().unwrap_or("").to_owned();
    for line in lines {
        result.push('\n');
        result.push_str(new);
        result.push_str(line.strip_prefix(old).unwrap_or(line.trim_start()));
    }
    result
}

/// A table's name as SQL has it: `"audit"."order"`.
pub(crate) fn quoted_table(name: &QualifiedName) -> String {
    let quoted = |name: &Ident| zdm_postgres::quote_identifier(name.as_str());
    match &name.schema {
        Some(schema) => format!("{}.{}", quoted(schema), quoted(&name.name)),
        None => quoted(&name.name),
    }
}

/// The value of `--set` for a column, in the quotes of a shell: `"total = 0"`, `'"Total" = 0'`.
pub(crate) fn set_option(column: &Ident, expression: &str) -> String {
    if zdm_postgres::needs_quotes(column) {
        shell_word(&format!("{} = {expression}", zdm_postgres::quote_identifier(column.as_str())))
    } else {
        shell_word(&format!("{column} = {expression}"))
    }
}

/// What ends the transaction that a step of the migration stands in.
pub(crate) fn end_of_transaction(cx: &Cx<'_>) -> &'static str {
    if cx.migration.migration.atomic { "the migration commits" } else { "the transaction ends" }
}

/// A table whose indexes and constraints PostgreSQL cannot build or drop concurrently.
pub(crate) fn is_partitioned(step: &Step, table: &QualifiedName) -> bool {
    step.catalog_before.table(table).is_some_and(|table| table.partition_by.is_some())
}

/// `migrations.RunPython.noop`.
pub(crate) fn is_noop(code: &Value) -> bool {
    matches!(code, Value::Symbol(name) if name.ends_with("RunPython.noop"))
}

/// Each `RunPython` that changes the database, with the index of its top-level operation.
pub(crate) fn python_operations<'a>(cx: &Cx<'a>) -> Vec<(usize, &'a RunPython)> {
    let mut found = Vec::new();
    for (index, operation) in cx.migration.migration.operations.iter().enumerate() {
        collect_python(index, operation, &mut found);
    }
    found
}

fn collect_python<'a>(index: usize, operation: &'a Operation, found: &mut Vec<(usize, &'a RunPython)>) {
    match &operation.kind {
        OperationKind::RunPython(run) => found.push((index, run)),
        OperationKind::SeparateDatabaseAndState { database_operations, .. } => {
            for nested in database_operations {
                collect_python(index, nested, found);
            }
        }
        _ => {}
    }
}

/// The state of a model that Python code names, and its table, where the table was there before the migration.
pub(crate) fn old_table_of(cx: &Cx<'_>, index: usize, model: &CodeModel) -> Option<(Arc<ModelState>, QualifiedName)> {
    let found = named_model(cx, index, model)?;
    cx.migration.catalog_before.table(&found.table)?;
    Some((found.model, found.table))
}

/// What a [`CodeModel`] is in the state.
pub(crate) struct NamedModel {
    pub(crate) model: Arc<ModelState>,
    pub(crate) table: QualifiedName,
    pub(crate) link: Link,
}

/// How the last attribute of a [`CodeModel`] leads to the model.
pub(crate) enum Link {
    /// It is the model itself, or one object.
    Object,
    /// A many-to-many manager, with the table between the two.
    ManyToMany(QualifiedName),
    /// The manager of those whose foreign key, by column, points here.
    Referring(Ident),
}

/// The model behind the names; None where one of them is no relation.
pub(crate) fn named_model(cx: &Cx<'_>, index: usize, model: &CodeModel) -> Option<NamedModel> {
    let state = &cx.migration.operations.get(index)?.state_before;
    let resolver = Resolver::new(state, &cx.options.context);
    let mut names = model.name.split('.');
    let mut found = Arc::clone(state.model(&ModelKey::new(&model.app, names.next()?))?);
    let mut link = Link::Object;
    let mut between: Option<Arc<ModelState>> = None;
    let table_of = |model: &ModelState| Some(zdm_replay::table_name(&resolver.table(model).ok()?));
    for name in names {
        // The model between the two.
        if let ("through", Link::ManyToMany(_), Some(between)) = (name, &link, &between) {
            found = Arc::clone(between);
            link = Link::Object;
            continue;
        }
        let (owner, field, reverse) = match found.field(name) {
            Some(_) => (Arc::clone(&found), resolver.field(&found, name).ok()?, false),
            None => referring(state, resolver, &found, name)?,
        };
        let relation = field.relation.as_deref()?;
        let target = if reverse { Arc::clone(&owner) } else { Arc::clone(state.model(&relation.model)?) };
        between = match &relation.through {
            Some(Through::Auto(through)) => Some(Arc::new(ModelState::clone(through))),
            Some(Through::Model(key)) => state.model(key).cloned(),
            None => None,
        };
        link = match &relation.through {
            Some(Through::Auto(through)) => Link::ManyToMany(table_of(through)?),
            Some(Through::Model(key)) => Link::ManyToMany(table_of(state.model(key)?)?),
            None if reverse && !field.unique => Link::Referring(Ident::new(field.column.as_ref()?.to_string())),
            None => Link::Object,
        };
        found = target;
    }
    Some(NamedModel { table: table_of(&found)?, model: found, link })
}

/// The model whose relation objects of this one reach by `name`, with the field.
fn referring(
    state: &ProjectState,
    resolver: Resolver<'_>,
    model: &ModelState,
    name: &str,
) -> Option<(Arc<ModelState>, ResolvedField, bool)> {
    let key = model.key();
    for referrer in resolver.referrers(&key) {
        let Some(other) = state.model(&referrer) else { continue };
        for field in &other.fields {
            let Ok(resolved) = resolver.field_of(other, field) else { continue };
            if resolved.relation.as_deref().is_none_or(|relation| relation.model != key) {
                continue;
            }
            let own = other.name.to_lowercase();
            let accessor = match field.kwarg("related_name") {
                Some(Value::Str(name)) => {
                    name.replace("%(class)s", &own).replace("%(model_name)s", &own).replace("%(app_label)s", &other.app)
                }
                _ if resolved.unique && resolved.foreign_key().is_some() => own,
                _ => format!("{own}_set"),
            };
            if accessor == name {
                return Some((Arc::clone(other), resolved, true));
            }
        }
    }
    None
}

/// The method of a call as the file has it: `aupdate`, `_raw_delete`; `method` where the call stands in another file.
pub(crate) fn method_as_written<'m>(cx: &Cx<'_>, span: Span, method: &'m str, others: &[&'m str]) -> &'m str {
    let text = cx.migration.migration.file.slice(span);
    others.iter().copied().find(|other| text.contains(&format!(".{other}("))).unwrap_or(method)
}

/// The transaction that keeps what a `RunPython` does locked until its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// That of the migration, or the one that Django puts around the function if asked.
    ByTheMigration,
    /// The code's own: `transaction.atomic()` around all that it does.
    ByTheCode,
}

/// None where each statement is a transaction of its own.
pub(crate) fn kept_by(cx: &Cx<'_>, run: &RunPython, fact: &CodeFact) -> Option<Kept> {
    if cx.migration.migration.atomic || run.atomic == Some(true) {
        Some(Kept::ByTheMigration)
    } else if fact.in_transaction {
        Some(Kept::ByTheCode)
    } else {
        None
    }
}

/// ``every row of `shop_order` ``, or those where a field is NULL, or those that a condition chooses.
pub(crate) fn rows_of(rows: &Rows, table: &QualifiedName) -> String {
    match rows {
        Rows::All => format!("every row of `{table}`"),
        Rows::WhereNull(field) => format!("every row of `{table}` where `{field}` is NULL"),
        Rows::Some(Some(condition)) => format!("the rows of `{table}` that `{}` leaves", condition.text),
        Rows::Some(None) | Rows::Few => format!("rows of `{table}`"),
    }
}

/// As [`Cx::weigh`]; where a condition chooses the rows, the size of the table says less.
pub(crate) fn weigh_rows(cx: &Cx<'_>, rows: &Rows, table: &QualifiedName, diagnostic: &mut Diagnostic) {
    match rows {
        Rows::All | Rows::WhereNull(_) => cx.weigh(table, diagnostic),
        Rows::Some(_) | Rows::Few => {
            let before = diagnostic.severity;
            cx.weigh_work(table, None, diagnostic);
            if diagnostic.severity > before {
                diagnostic.severity = Severity::Warning;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_the_words_as_they_were() {
        let words = [
            ("bigint", "bigint"),
            ("numeric(10, 2)", r#""numeric(10, 2)""#),
            ("name = 'x'", r#""name = 'x'""#),
            (r#""Total" = 'x'"#, r#"'"Total" = '\''x'\'''"#),
            ("path = '$HOME'", r"'path = '\''$HOME'\'''"),
            ("", r#""""#),
        ];
        for (text, word) in words {
            assert_eq!(shell_word(text), word);
        }
        assert_eq!(set_option(&Ident::new("total"), "0"), r#""total = 0""#);
        assert_eq!(set_option(&Ident::new("Total"), "0"), r#"'"Total" = 0'"#);
    }
}

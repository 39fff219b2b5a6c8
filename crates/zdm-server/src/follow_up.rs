//! Follow-up migrations: what one migration cannot do without blocking or breaking anybody, two or three do.
//!
//! - a constraint that is added `NOT VALID` is validated by the next migration;
//! - `NOT NULL` is a check that is added, then validated, then taken for the column's own;
//! - a column goes in two steps: the state forgets it with this migration, the table with a later one;
//! - a column that comes with an index or a foreign key comes alone; the index is built concurrently, the key is added NOT
//!   VALID and validated, each in a migration of its own.
//!
//! Each is an edit of the migration at hand and new files with the app's next numbers.

use std::fmt::Write as _;
use std::sync::Arc;

use zdm_django::operation::ConstraintKind;
use zdm_django::resolve::{Context, Resolver};
use zdm_django::state::ModelKey;
use zdm_django::{Operation, OperationKind, ProjectState};
use zdm_postgres::Statement;
use zdm_postgres::statement::{AlterTableAction, ColumnConstraintKind};
use zdm_replay::{MigrationTrace, table_name};
use zdm_source::{Edit, SourceFile, Span};
use zdm_workspace::Live;

/// Longer names of files are cut.
const LONGEST_NAME: usize = 48;

/// An offer.
#[derive(Clone, Debug)]
pub(crate) struct FollowUp {
    pub(crate) title: String,
    /// Of the migration at hand.
    pub(crate) edits: Vec<Edit>,
    /// Paths relative to the project's root, with their texts.
    pub(crate) files: Vec<(String, String)>,
}

/// What can follow an operation; `index` is that of its top-level operation.
pub(crate) fn follow_ups(live: &Live, trace: &MigrationTrace, index: usize, operation: &Operation) -> Vec<FollowUp> {
    let cx = Cx { live, trace, context: &live.options().context };
    let mut found = Vec::new();
    match &operation.kind {
        OperationKind::AddConstraint { model_name, constraint, not_valid: true } => {
            found.extend(cx.validate(model_name, &constraint.name));
        }
        OperationKind::AddConstraint { model_name, constraint, not_valid: false }
            if matches!(constraint.kind, ConstraintKind::Check { .. }) =>
        {
            found.extend(cx.split_check(operation, model_name, &constraint.name));
        }
        OperationKind::AlterField { model_name, field, .. } => {
            found.extend(cx.split_not_null(index, operation, model_name, &field.name));
        }
        OperationKind::RemoveField { model_name, name } => {
            found.extend(cx.split_removal(index, operation, model_name, name));
        }
        OperationKind::AddField { model_name, field, .. } => {
            found.extend(cx.split_addition(index, operation, model_name, &field.name));
        }
        OperationKind::RunSql(_) => found.extend(cx.validate_sql(index)),
        _ => {}
    }
    found
}

/// A migration to be written.
struct Wanted {
    /// Without its number.
    name: String,
    operations: Vec<String>,
    imports: String,
    /// Everything in one transaction, as Django does unless it is told otherwise.
    atomic: bool,
}

impl Wanted {
    fn new(name: String, operations: Vec<String>, imports: impl Into<String>) -> Self {
        Self { name, operations, imports: imports.into(), atomic: true }
    }
}

struct Cx<'a> {
    live: &'a Live,
    trace: &'a MigrationTrace,
    context: &'a Context,
}

impl Cx<'_> {
    fn app(&self) -> &str {
        &self.trace.migration.key.app
    }

    fn file(&self) -> &SourceFile {
        &self.trace.migration.file
    }

    /// The operations of all migrations behind this one.
    fn later(&self) -> impl Iterator<Item = (&str, &Operation)> {
        let history = self.live.history();
        let place = self.live.place(self.file().path()).unwrap_or(usize::MAX);
        (place.saturating_add(1)..history.len())
            .filter_map(|index| history.migration(index))
            .flat_map(|migration| migration.operations.iter().map(|operation| (&*migration.key.app, operation)))
    }

    fn validate(&self, model: &str, name: &str) -> Option<FollowUp> {
        let validated = self.later().any(|(app, operation)| {
            app == self.app()
                && matches!(&operation.kind, OperationKind::ValidateConstraint { name: other, .. } if **other == *name)
        });
        if validated {
            return None;
        }
        let file = self.new_files(vec![Wanted::new(
            format!("validate_{name}"),
            vec![validate(model, name)],
            VALIDATE_IMPORT,
        )])?;
        Some(FollowUp {
            title: format!("create the follow-up migration that validates `{name}`"),
            edits: Vec::new(),
            files: file,
        })
    }

    /// `AddConstraint` of a check becomes `AddConstraintNotValid`, and a new migration validates it.
    fn split_check(&self, operation: &Operation, model: &str, name: &str) -> Option<FollowUp> {
        if !self.existed(model) {
            return None;
        }
        let text = self.file().slice(operation.span);
        let open = text.find('(')?;
        let callee = Span::new(operation.span.start, operation.span.start + u32::try_from(open).ok()?);
        let mut edits = vec![Edit::replace(callee, "AddConstraintNotValid")];
        edits.extend(self.import("from django.contrib.postgres.operations import AddConstraintNotValid"));
        let files = self.new_files(vec![Wanted::new(
            format!("validate_{name}"),
            vec![validate(model, name)],
            VALIDATE_IMPORT,
        )])?;
        Some(FollowUp {
            title: format!("add `{name}` as NOT VALID, and validate it in a follow-up migration"),
            edits,
            files,
        })
    }

    /// A check that is not valid, its validation, and only then NOT NULL.
    fn split_not_null(&self, index: usize, operation: &Operation, model: &str, field: &str) -> Option<FollowUp> {
        let sets = self.trace.steps_of(index).any(|step| {
            matches!(&step.statement, Statement::AlterTable(alter)
                if alter.actions.iter().any(|action| matches!(action, AlterTableAction::SetNotNull { .. })))
        });
        if !sets || !self.existed(model) {
            return None;
        }
        let table = self.table(&self.trace.state_before, model)?;
        let name: String = format!("{table}_{field}_not_null").chars().take(60).collect();
        let condition = if self.context.version.at_least(5, 1) { "condition" } else { "check" };
        let (_, indent) = crate::names::indentation(self.file(), operation.span.start);
        let constraint =
            format!("models.CheckConstraint({condition}=models.Q({field}__isnull=False), name=\"{name}\")");
        let mut edits = vec![Edit::replace(
            operation.span,
            format!(
                "AddConstraintNotValid(\n{indent}    model_name=\"{model}\",\n{indent}    constraint={constraint},\n{indent})"
            ),
        )];
        edits.extend(self.import("from django.contrib.postgres.operations import AddConstraintNotValid"));
        edits.extend(self.import("from django.db import models"));
        let alter = reindent(self.file().slice(operation.span), indent);
        let remove = format!("migrations.RemoveConstraint(\n    model_name=\"{model}\",\n    name=\"{name}\",\n)");
        let files = self.new_files(vec![
            Wanted::new(format!("validate_{name}"), vec![validate(model, &name)], VALIDATE_IMPORT),
            Wanted::new(format!("require_{model}_{field}"), vec![alter, remove], self.imports()),
        ])?;
        Some(FollowUp {
            title: format!("require `{field}` in three migrations: check, validate, NOT NULL without a scan"),
            edits,
            files,
        })
    }

    /// The state forgets the field now; a later migration drops the column, once no code uses it.
    fn split_removal(&self, index: usize, operation: &Operation, model: &str, field: &str) -> Option<FollowUp> {
        // One that stands in the state's list is split already.
        let top = self.trace.migration.operations.get(index)?;
        if !matches!(top.kind, OperationKind::RemoveField { .. }) || !self.existed(model) {
            return None;
        }
        let state = &self.trace.state_before;
        let resolver = Resolver::new(state, self.context);
        let key = ModelKey::new(self.app(), model);
        let of_model = state.model(&key)?;
        let resolved = resolver.field(of_model, field).ok()?;
        let column = resolved.column.clone()?;
        let table = self.table(state, model)?;
        let (table_sql, column_sql) = (quoted(&table), quoted(&column));
        let known = self.trace.catalog_before.table(&table_name(&table)).and_then(|table| {
            let column = table.columns.iter().find(|own| *own.name.as_str() == *column)?;
            Some(column.not_null && column.default.is_none() && column.identity.is_none())
        });
        let (_, indent) = crate::names::indentation(self.file(), operation.span.start);
        let own = self.file().slice(operation.span).replace('\n', "\n        ");
        // New code does not name the column, so that its INSERT must do without a value.
        let database = if known == Some(true) {
            format!(
                "{indent}    database_operations=[\n{indent}        migrations.RunSQL(\n{indent}            \
                 sql='ALTER TABLE {table_sql} ALTER COLUMN {column_sql} DROP NOT NULL',\n{indent}            \
                 reverse_sql=migrations.RunSQL.noop,\n{indent}        ),\n{indent}    ],\n"
            )
        } else {
            format!("{indent}    database_operations=[],\n")
        };
        let text = format!(
            "migrations.SeparateDatabaseAndState(\n{indent}    state_operations=[\n{indent}        {own},\n{indent}    ],\n\
             {database}{indent})"
        );
        let drop = format!(
            "migrations.RunSQL(\n    sql='ALTER TABLE {table_sql} DROP COLUMN {column_sql} CASCADE',\n    \
             reverse_sql=migrations.RunSQL.noop,\n)"
        );
        let files = self.new_files(vec![Wanted::new(format!("drop_{model}_{field}"), vec![drop], PLAIN_IMPORT)])?;
        Some(FollowUp {
            title: format!("forget `{field}` now, and drop its column in a follow-up migration"),
            edits: vec![Edit::replace(operation.span, text)],
            files,
        })
    }

    /// The column alone; then what comes with it and takes time or locks another table: indexes, a foreign key.
    fn split_addition(&self, index: usize, operation: &Operation, model: &str, field: &str) -> Option<FollowUp> {
        let top = self.trace.migration.operations.get(index)?;
        if !matches!(top.kind, OperationKind::AddField { .. }) || !self.existed(model) {
            return None;
        }
        let table = self.table(&self.trace.state_before, model)?;
        let mut first: Vec<String> = Vec::new();
        let mut indexes: Vec<(String, String)> = Vec::new();
        let (mut column_name, mut key) = (None, None);
        for step in self.trace.steps_of(index) {
            if step.is_refused() {
                return None;
            }
            match &step.statement {
                Statement::SetConstraints { .. } => {}
                Statement::CreateIndex(create) if !create.unique && !create.concurrently => {
                    let rest = step.sql.strip_prefix("CREATE INDEX ")?;
                    let name = create.name.as_ref()?.name.as_str().to_owned();
                    indexes.push((name, format!("CREATE INDEX CONCURRENTLY {rest}")));
                }
                Statement::AlterTable(alter) => {
                    let added = alter.actions.iter().find_map(|action| match action {
                        AlterTableAction::AddColumn { column, .. } => Some(column),
                        _ => None,
                    });
                    let reference = added.and_then(|column| {
                        let found = column
                            .constraints
                            .iter()
                            .find(|own| matches!(own.kind, ColumnConstraintKind::References(_)));
                        Some((column.name.as_str(), found?.name.as_ref()?.as_str()))
                    });
                    if let Some(column) = added {
                        // Its index is built with the column, whatever comes later.
                        let unique = |own: &ColumnConstraintKind| matches!(own, ColumnConstraintKind::Unique { .. });
                        if column.constraints.iter().any(|own| unique(&own.kind)) {
                            return None;
                        }
                        column_name = Some(column.name.as_str().to_owned());
                    }
                    if let Some((column, name)) = reference {
                        // The schema editor writes the reference behind everything else of the column.
                        let (column_sql, reference) = step.sql.split_once(&format!(" CONSTRAINT \"{name}\" "))?;
                        first.push(column_sql.to_owned());
                        let sql = format!(
                            "ALTER TABLE \"{table}\" ADD CONSTRAINT \"{name}\" FOREIGN KEY (\"{column}\") {} NOT VALID",
                            reference.trim_end_matches(';')
                        );
                        key = Some((name.to_owned(), sql));
                    } else {
                        first.push(step.sql.to_string());
                    }
                }
                _ => first.push(step.sql.to_string()),
            }
        }
        let column = column_name?;
        if indexes.is_empty() && key.is_none() {
            return None;
        }
        let (_, indent) = crate::names::indentation(self.file(), operation.span.start);
        let own = self.file().slice(operation.span).replace('\n', "\n        ");
        let run = run_sql(&first, &[format!("ALTER TABLE \"{table}\" DROP COLUMN \"{column}\"")]);
        let run = run.replace('\n', &format!("\n{indent}        "));
        let text = format!(
            "migrations.SeparateDatabaseAndState(\n{indent}    state_operations=[\n{indent}        {own},\n{indent}    ],\n\
             {indent}    database_operations=[\n{indent}        {run},\n{indent}    ],\n{indent})"
        );
        let mut parts = vec!["column"];
        let mut wanted = Vec::new();
        if !indexes.is_empty() {
            parts.push("index");
            let build = indexes.iter().map(|(name, sql)| {
                run_sql(std::slice::from_ref(sql), &[format!("DROP INDEX CONCURRENTLY IF EXISTS \"{name}\"")])
            });
            let index = Wanted::new(format!("{model}_{field}_index"), build.collect(), PLAIN_IMPORT);
            wanted.push(Wanted { atomic: false, ..index });
        }
        if let Some((name, sql)) = key {
            parts.extend(["foreign key as NOT VALID", "its validation"]);
            let drop = format!("ALTER TABLE \"{table}\" DROP CONSTRAINT \"{name}\"");
            wanted.push(Wanted::new(format!("{model}_{field}_key"), vec![run_sql(&[sql], &[drop])], PLAIN_IMPORT));
            let check = format!("ALTER TABLE \"{table}\" VALIDATE CONSTRAINT \"{name}\"");
            let validate = vec![run_sql(&[check], &[])];
            wanted.push(Wanted::new(format!("{model}_{field}_key_validate"), validate, PLAIN_IMPORT));
        }
        Some(FollowUp {
            title: format!("add `{field}` in {} migrations: {}", parts.len(), parts.join(", ")),
            edits: vec![Edit::replace(operation.span, text)],
            files: self.new_files(wanted)?,
        })
    }

    /// A constraint that SQL adds NOT VALID and that is not valid in the end.
    fn validate_sql(&self, index: usize) -> Option<FollowUp> {
        let last = self.live.history().len().checked_sub(1).and_then(|last| self.live.history().trace(last));
        let mut statements = Vec::new();
        let mut first = None;
        for step in self.trace.steps_of(index).filter(|step| step.raw && !step.is_refused()) {
            let Statement::AlterTable(alter) = &step.statement else { continue };
            let before = step.catalog_before.table(&alter.name);
            let Some(after) = step.catalog_after.table(&alter.name) else { continue };
            for constraint in after.constraints.iter().filter(|constraint| !constraint.valid) {
                let new = before.is_none_or(|before| before.constraint(constraint.name.as_str()).is_none());
                let valid = last
                    .and_then(|last| last.catalog_after.table(&alter.name)?.constraint(constraint.name.as_str()))
                    .is_some_and(|constraint| constraint.valid);
                if new && !valid {
                    first.get_or_insert_with(|| constraint.name.as_str().to_owned());
                    statements.push(format!(
                        "migrations.RunSQL(\n    sql='ALTER TABLE {} VALIDATE CONSTRAINT {}',\n    \
                         reverse_sql=migrations.RunSQL.noop,\n)",
                        quoted(&alter.name.to_string().replace('.', "\".\"")),
                        quoted(constraint.name.as_str()),
                    ));
                }
            }
        }
        let name = first?;
        let files = self.new_files(vec![Wanted::new(format!("validate_{name}"), statements, PLAIN_IMPORT)])?;
        Some(FollowUp {
            title: format!("create the follow-up migration that validates `{name}`"),
            edits: Vec::new(),
            files,
        })
    }

    /// The model was there before this migration, so that it has rows.
    fn existed(&self, model: &str) -> bool {
        self.trace.state_before.model(&ModelKey::new(self.app(), model)).is_some()
    }

    fn table(&self, state: &ProjectState, model: &str) -> Option<Arc<str>> {
        let resolver = Resolver::new(state, self.context);
        let model = state.model(&ModelKey::new(self.app(), model))?;
        resolver.table(model).ok().map(|table| Arc::from(&*table))
    }

    /// The edit that adds an import, unless its line is there.
    fn import(&self, line: &str) -> Option<Edit> {
        let text = self.file().text();
        let name = line.rsplit(' ').next()?;
        let module = line.split(' ').nth(1)?;
        let there = text.lines().any(|own| {
            own.starts_with(&format!("from {module} import "))
                && own
                    .split(|character: char| !character.is_alphanumeric() && character != '_')
                    .any(|word| word == name)
        });
        if there {
            return None;
        }
        let mut offset = 0;
        for own in text.split_inclusive('\n') {
            if own.starts_with("import ") || own.starts_with("from ") {
                break;
            }
            offset += own.len();
        }
        let offset = if offset >= text.len() { 0 } else { offset };
        Some(Edit::insert(u32::try_from(offset).ok()?, format!("{line}\n")))
    }

    /// The imports of the migration at hand, for operations that move.
    fn imports(&self) -> String {
        let mut out = String::new();
        let mut open = false;
        for line in self.file().text().lines() {
            if line.starts_with("class ") {
                break;
            }
            if open || line.starts_with("import ") || line.starts_with("from ") {
                out.push_str(line);
                out.push('\n');
                open = (open || line.contains('(')) && !line.contains(')');
            }
        }
        if !out.contains("migrations") {
            out.push_str(PLAIN_IMPORT);
        }
        out
    }

    /// New migrations of the app, one behind the other, behind all that it has.
    fn new_files(&self, wanted: Vec<Wanted>) -> Option<Vec<(String, String)>> {
        let project = &self.live.workspace().project;
        let own = self.file().path();
        let (folder, _) = own.rsplit_once('/')?;
        let names = project.migrations.iter().filter(|migration| *migration.key.app == *self.app());
        let number = |name: &str| name.split('_').next().and_then(|digits| digits.parse::<u32>().ok());
        let mut next = names.filter_map(|migration| number(&migration.key.name)).max().unwrap_or(0);
        let leaves = project.graph.leaves().get(self.app());
        let key = &self.trace.migration.key;
        let mut parent = match leaves.map(Vec::as_slice) {
            // With several leaves nobody but the user knows which branch is meant.
            Some([leaf]) => leaf.name.to_string(),
            _ => key.name.to_string(),
        };
        let mut files = Vec::new();
        for Wanted { name, operations, imports, atomic } in wanted {
            next += 1;
            let name = format!("{next:04}_{}", file_name(&name));
            let mut text = format!("{}\n\nclass Migration(migrations.Migration):\n", imports.trim_end());
            text.insert(imports.trim_end().len(), '\n');
            if !atomic {
                text.push_str("    atomic = False\n\n");
            }
            let _ = write!(
                text,
                "    dependencies = [\n        (\"{}\", \"{parent}\"),\n    ]\n\n    operations = [\n",
                self.app()
            );
            for operation in operations {
                let _ = writeln!(text, "        {},", operation.replace('\n', "\n        "));
            }
            text.push_str("    ]\n");
            files.push((format!("{folder}/{name}.py"), text));
            parent = name;
        }
        Some(files)
    }
}

const PLAIN_IMPORT: &str = "from django.db import migrations\n";

const VALIDATE_IMPORT: &str =
    "from django.contrib.postgres.operations import ValidateConstraint\nfrom django.db import migrations\n";

fn validate(model: &str, name: &str) -> String {
    format!("ValidateConstraint(\n    model_name=\"{model}\",\n    name=\"{name}\",\n)")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\'', "\\'"))
}

/// `RunSQL` of one or several statements each way; nothing to be done on the way back where there are none.
fn run_sql(forward: &[String], back: &[String]) -> String {
    let list = |statements: &[String]| match statements {
        [] => "migrations.RunSQL.noop".to_owned(),
        [one] => python_string(one),
        many => format!("[{}]", many.iter().map(|one| python_string(one)).collect::<Vec<_>>().join(", ")),
    };
    format!("migrations.RunSQL(\n    sql={},\n    reverse_sql={},\n)", list(forward), list(back))
}

fn python_string(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"))
}

/// In small letters, digits and underscores.
fn file_name(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '_' })
        .collect();
    plain.chars().take(LONGEST_NAME).collect::<String>().trim_matches('_').to_owned()
}

/// Takes the indentation of the first line away from the others.
fn reindent(text: &str, indent: &str) -> String {
    let mut lines = text.lines();
    let mut out = lines.next().unwrap_or("").to_owned();
    for line in lines {
        out.push('\n');
        out.push_str(line.strip_prefix(indent).unwrap_or(line));
    }
    out
}

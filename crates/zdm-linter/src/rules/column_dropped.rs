//! ZDM201: a column that running code still names is gone.

use zdm_postgres::statement::{AlterTableAction, ColumnConstraintKind};
use zdm_postgres::{Ident, QualifiedName, Statement};
use zdm_replay::Step;
use zdm_source::{Diagnostic, Severity};

use super::{alter_actions, gives_value};
use crate::context::Cx;
use crate::rules::column_renamed::renamed_to;
use crate::words::quoted_table;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    made_anew(cx, out);
    for old in cx.old {
        let Some(after) = old.after(cx.migration) else { continue };
        let Some(model) = &old.model else { continue };
        for column in &model.columns {
            let gone =
                old.before.column(column.column.as_str()).is_some() && after.column(column.column.as_str()).is_none();
            if !gone || renamed_to(cx, old.name(), &column.column).is_some() {
                continue;
            }
            let table = old.name();
            let has = |catalog: &zdm_postgres::Catalog, column: &Ident| {
                catalog.table(table).is_some_and(|table| table.column(column.as_str()).is_some())
            };
            let Some(step) = cx
                .step_where(|catalog| !has(catalog, &column.column))
                .or_else(|| dropped_by(cx, table, &column.column))
            else {
                continue;
            };
            // Where new code leaves the column out, its INSERTs want a value from the database.
            let filled = old
                .before
                .column(column.column.as_str())
                .is_some_and(|column| !column.not_null || gives_value(column.default.as_ref()));
            let first = if filled { "" } else { "; give the column a database default or make it nullable before" };
            out.push(
                cx.at_step(
                    step,
                    format!(
                        "dropping `{table}.{}` breaks the code that is still running: every query of model `{}` names it and fails with \"column does not exist\"",
                        column.column, model.label
                    ),
                )
                .with_fact(format!("until the last old process is gone, it still reads and writes `{}.{}`", model.label, column.field))
                .with_help(format!(
                    "in two releases: first remove the field from the state only (SeparateDatabaseAndState with RemoveField as its state operation{first}), and release the code without `{}`; then drop the column",
                    column.field
                ))
                .with_code(
                    "release 1",
                    "python",
                    format!(
                        "migrations.SeparateDatabaseAndState(\n    state_operations=[\n        migrations.RemoveField(model_name=\"{}\", name=\"{}\"),\n    ],\n)",
                        model.key.model, column.field
                    ),
                )
                .with_code(
                    "release 2",
                    "python",
                    format!(
                        "migrations.RunSQL(\n    'ALTER TABLE {} DROP COLUMN {}',\n    migrations.RunSQL.noop,\n)",
                        quoted_table(table),
                        zdm_postgres::quote_identifier(column.column.as_str())
                    ),
                ),
            );
        }
    }
}

/// A column that is dropped and stands there again, added by the same migration: old code finds it, and none of its values.
fn made_anew(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted().filter(|step| !step.python) {
        for (alter, action) in alter_actions(step) {
            let AlterTableAction::DropColumn { name, .. } = action else { continue };
            let table = &alter.name;
            let Came::From(column) = came(cx, table, name, step.number) else { continue };
            let old = cx.old.iter().find(|old| old.name() == table);
            let used = old.and_then(|old| old.model.as_ref()).is_some_and(|model| model.names_column(&column));
            let stored = step.catalog_before.table(table).and_then(|table| table.column(name.as_str()));
            if !used || !cx.existed(step, table) || stored.is_none_or(|column| column.generated.is_some()) {
                continue;
            }
            let Came::Added(added) = came(cx, table, &column, usize::MAX) else { continue };
            // Values that were kept elsewhere come back, whoever brings them.
            let later = || cx.steps().filter(|other| other.number > added.number);
            let filled = later().any(|other| match &other.statement {
                Statement::Update(update) | Statement::Merge(update) => update.table == *table,
                _ => other.python,
            }) || cx.operations().any(|(_, trace)| trace.python && trace.index > added.operation);
            if filled {
                continue;
            }
            let how = if *name == column {
                String::from("and adding it again")
            } else {
                format!("behind a new column `{column}` in its place")
            };
            let mut diagnostic =
                cx.at_step(step, format!("dropping `{table}.{name}` {how} loses the value of every row")).with_help(
                    "alter the column instead; or add a second one, copy the values in batches, and switch to it",
                );
            if cx.config.own_severity(cx.page, cx.migration.migration.file.path()).is_none() {
                diagnostic.severity = Severity::Warning;
            }
            out.push(diagnostic);
        }
    }
}

/// How a migration came to a column.
enum Came<'a> {
    /// It was there before, under this name.
    From(Ident),
    /// This statement has added it, without values of its own.
    Added(&'a Step),
    /// Its values are the server's.
    Generated,
}

/// How the column that has a name in front of a statement came to be there.
fn came<'a>(cx: &Cx<'a>, table: &QualifiedName, column: &Ident, before: usize) -> Came<'a> {
    let mut name = column.clone();
    let earlier: Vec<&Step> = cx.accepted().filter(|step| !step.python && step.number < before).collect();
    for step in earlier.into_iter().rev() {
        for (alter, action) in alter_actions(step) {
            match action {
                AlterTableAction::RenameColumn { from, to } if alter.name == *table && *to == name => {
                    name = from.clone();
                }
                AlterTableAction::AddColumn { column, .. } if alter.name == *table && column.name == name => {
                    let is_generated =
                        column.constraints.iter().any(|one| matches!(one.kind, ColumnConstraintKind::Generated { .. }));
                    return if is_generated { Came::Generated } else { Came::Added(step) };
                }
                _ => {}
            }
        }
    }
    Came::From(name)
}

/// The statement that drops a column, whether the catalog has it or not.
fn dropped_by<'a>(cx: &Cx<'a>, table: &QualifiedName, column: &Ident) -> Option<&'a Step> {
    cx.accepted().find(|step| {
        alter_actions(step).any(|(alter, action)| {
            alter.name == *table && matches!(action, AlterTableAction::DropColumn { name, .. } if name == column)
        })
    })
}

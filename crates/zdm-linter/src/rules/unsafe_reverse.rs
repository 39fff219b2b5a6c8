//! ZDM503: unapplying the migration loses data, waits behind slow work, or fails.
//!
//! The way back is a migration like any other: its operations are replayed on the worlds that the migration leaves, and
//! the other rules judge them. The code that runs meanwhile is that of the release before: code is rolled back first.

use std::sync::Arc;

use zdm_postgres::statement::{AlterTableAction, ObjectKind};
use zdm_postgres::{QualifiedName, Statement};
use zdm_replay::{MigrationTrace, Step, unapply};
use zdm_source::{Diagnostic, Note, Severity};

use super::{alter_actions, column_name};
use crate::context::{Cx, all_steps, fresh_relations};
use crate::old_code::old_tables;
use crate::registry::RULES;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    let back = unapply(cx.migration, cx.options);
    if back.migration.operations.is_empty() {
        return;
    }
    // What the migration has made, the code before it does not use.
    let made = cx.fresh.last().map(Arc::clone).unwrap_or_default();
    let steps = all_steps(&back);
    let fresh = fresh_relations(&steps, &made);
    let old = old_tables(&back, &cx.migration.state_before, &made, &cx.options.context);
    let way = Cx { migration: &back, steps: &steps, fresh: &fresh, old: &old, new: &[], ..*cx };
    let path = cx.migration.migration.file.path();
    let mut found = Vec::new();
    for rule in RULES.iter().filter(|rule| is_judged(rule.page.code.code) && cx.config.is_enabled(&rule.page, path)) {
        (rule.check)(&Cx { page: &rule.page, ..way }, &mut found);
    }
    for diagnostic in found.into_iter().filter(|found| found.severity >= Severity::Warning) {
        out.push(told(&way, diagnostic));
    }
    for step in way.accepted() {
        lost_rows(&way, cx.migration, step, out);
    }
}

/// The rules that speak of what statements do; those about files, the graph and the limits of the analysis have said
/// what they say of the migration itself.
fn is_judged(code: &str) -> bool {
    // The code that is rolled back to knows the types and rules that it leads back to, and never had what is dropped.
    if ["ZDM207", "ZDM208", "ZDM211", "ZDM213", "ZDM218", "ZDM219"].contains(&code) {
        return false;
    }
    ["ZDM1", "ZDM2", "ZDM3"].iter().any(|family| code.starts_with(family))
        || ["ZDM401", "ZDM402", "ZDM701", "ZDM703", "ZDM704"].contains(&code)
}

/// A finding about the reversed operations as one about the way back.
fn told(way: &Cx<'_>, found: Diagnostic) -> Diagnostic {
    let rule = found.code;
    let mut diagnostic = found;
    diagnostic.message = format!("on the way back, {}", diagnostic.message);
    diagnostic.code = way.page.code;
    if let Some(own) = way.config.own_severity(way.page, way.migration.migration.file.path()) {
        diagnostic.severity = own;
    }
    diagnostic.fix = None;
    // Corrected code is written for the way there.
    diagnostic.notes.retain(|note| matches!(note, Note::Fact(_)));
    diagnostic.with_help(format!(
        "`zdm-lint explain {}` says what to write instead; a reverse that only the database sees is `reverse_sql` of RunSQL, or the reverse of an operation in SeparateDatabaseAndState",
        rule.code
    ))
}

/// Rows and values that the migration's own tables and columns have got since.
fn lost_rows(way: &Cx<'_>, forwards: &MigrationTrace, step: &Step, out: &mut Vec<Diagnostic>) {
    let is_new = |table: &QualifiedName| forwards.catalog_before.table(table).is_none();
    match &step.statement {
        Statement::Drop(drop) if drop.kind == ObjectKind::Table => {
            for table in drop.names.iter().filter(|table| is_new(table) && step.catalog_before.table(table).is_some()) {
                let message =
                    format!("unapplying this drops the table `{table}` with all rows that were written since");
                out.push(way.at_step(step, message).with_help(
                    "where a rollback must keep them, roll back the code alone and leave the migration applied",
                ));
            }
        }
        _ => {
            for (alter, action) in alter_actions(step) {
                let AlterTableAction::DropColumn { name: column, .. } = action else { continue };
                let before = forwards.catalog_before.table(&alter.name);
                if before.is_none_or(|table| table.column(column.as_str()).is_some()) {
                    continue;
                }
                let message = format!(
                    "unapplying this drops the column {} with everything that was written into it since",
                    column_name(&alter.name, column)
                );
                out.push(way.at_step(step, message).with_help(
                    "where a rollback must keep it, roll back the code alone and leave the migration applied",
                ));
            }
        }
    }
}

//! ZDM214: a view or its column, a type, function, sequence or schema gets another name or schema under running code.

use zdm_postgres::statement::{AlterDomainAction, AlterTableAction, AlterTypeAction, ObjectKind};
use zdm_postgres::{QualifiedName, Statement};
use zdm_replay::Step;
use zdm_source::{Diagnostic, Severity};

use super::alter_actions;
use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    let before = &cx.migration.catalog_before;
    let after = &cx.migration.catalog_after;
    for step in cx.accepted() {
        view_columns(cx, step, out);
        let Some((kind, name, moved)) = renamed(step) else { continue };
        let does = if moved { "moves to another schema" } else { "gets another name" };
        let (was, is) = match kind {
            "view" => (before.view(name).is_some(), after.relation(name).is_some()),
            "sequence" => (before.sequence(name).is_some(), after.relation(name).is_some()),
            "type" => (before.user_type(name).is_some(), after.user_type(name).is_some()),
            "function" => (!before.functions(name).is_empty(), !after.functions(name).is_empty()),
            _ => (before.has_schema(name.name.as_str()), after.has_schema(name.name.as_str())),
        };
        // What bears the old name in the end serves the old code.
        if !was || is {
            continue;
        }
        // Running code leaves its numbers to the columns, whose defaults know the sequence by more than its name.
        let drawn_from = kind == "sequence"
            && before.tables().any(|table| table.columns.iter().any(|column| column.draws_from(name)));
        let mut diagnostic = cx
            .at_step(
                step,
                format!(
                    "{kind} `{name}` {does}: code that is still running and names it fails with \"does not exist\""
                ),
            )
            .with_help(
                "make the new one beside it, release code that uses it, and drop the old one in the release after",
            );
        if drawn_from && cx.config.own_severity(cx.page, cx.migration.migration.file.path()).is_none() {
            diagnostic.severity = Severity::Info;
        }
        out.push(diagnostic);
    }
}

/// Columns of views that get another name.
fn view_columns(cx: &Cx<'_>, step: &Step, out: &mut Vec<Diagnostic>) {
    for (alter, action) in alter_actions(step) {
        let AlterTableAction::RenameColumn { from, .. } = action else { continue };
        let (before, after) =
            (cx.migration.catalog_before.view(&alter.name), cx.migration.catalog_after.view(&alter.name));
        if !before.is_some_and(|view| view.columns.contains(from))
            || !after.is_some_and(|view| !view.columns.contains(from) && !view.columns.is_empty())
        {
            continue;
        }
        out.push(
            cx.at_step(
                step,
                format!("column `{from}` of view `{}` gets another name: code that is still running and names it fails with \"does not exist\"", alter.name),
            )
            .with_help("make a view with the new name beside it, release code that uses it, and drop the old one in the release after"),
        );
    }
}

/// What gets another name or schema; whether it is another schema.
fn renamed(step: &Step) -> Option<(&'static str, &QualifiedName, bool)> {
    match &step.statement {
        Statement::AlterTable(alter) => {
            let kind = match step.catalog_before.relation(&alter.name)? {
                zdm_postgres::catalog::Relation::View(_) => "view",
                zdm_postgres::catalog::Relation::Sequence(_) => "sequence",
                _ => return None,
            };
            alter.actions.iter().find_map(|action| match action {
                AlterTableAction::RenameTo { .. } => Some((kind, &alter.name, false)),
                AlterTableAction::SetSchema { .. } => Some((kind, &alter.name, true)),
                _ => None,
            })
        }
        Statement::AlterType { name, action: AlterTypeAction::RenameTo(_) }
        | Statement::AlterDomain { name, action: AlterDomainAction::RenameTo(_) } => Some(("type", name, false)),
        Statement::AlterType { name, action: AlterTypeAction::SetSchema(_) }
        | Statement::AlterDomain { name, action: AlterDomainAction::SetSchema(_) } => Some(("type", name, true)),
        Statement::AlterOther { kind, name, rename_to, set_schema, .. }
            if rename_to.is_some() || set_schema.is_some() =>
        {
            let kind = match kind {
                ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Routine => "function",
                ObjectKind::Schema => "schema",
                _ => return None,
            };
            Some((kind, name, rename_to.is_none()))
        }
        _ => None,
    }
}

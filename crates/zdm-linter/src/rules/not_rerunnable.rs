//! ZDM405: a statement that got through in a non-atomic migration fails when the migration runs again.

use zdm_postgres::expr::ExprNode;
use zdm_postgres::statement::AlterTableAction;
use zdm_postgres::{Ident, Statement};
use zdm_replay::Step;
use zdm_source::Diagnostic;

use super::alter_actions;
use crate::context::{Cx, shortened};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    if cx.migration.migration.atomic {
        return;
    }
    let outside: Vec<&Step> = cx.accepted().filter(|step| step.transaction.is_none()).collect();
    for step in &outside {
        let leaves_invalid = matches!(&step.statement, Statement::CreateIndex(create) if create.concurrently);
        let Some(how) = guard(step) else { continue };
        // A statement that stands alone is undone by its own failure, but for a concurrent build.
        if outside.len() < 2 && !leaves_invalid {
            continue;
        }
        let message = if leaves_invalid {
            format!(
                "if `{}` fails, an INVALID index of that name is left behind, and the next run fails with \"already exists\"",
                shortened(&step.sql, 60)
            )
        } else {
            format!(
                "if a statement after `{}` fails, the next run of the migration fails here, because this one got through",
                shortened(&step.sql, 60)
            )
        };
        out.push(cx.at_step(step, message).with_help(how));
    }
}

/// How to write a statement so that it can run twice; nothing where it can already.
fn guard(step: &Step) -> Option<&'static str> {
    Some(match &step.statement {
        Statement::CreateIndex(create) if create.concurrently => {
            let name = create.name.as_ref()?;
            let schema = create.table.sibling(name.name.clone());
            // IF NOT EXISTS keeps an INVALID one, which ZDM404 says.
            if create.if_not_exists || step.catalog_before.index(&schema).is_some() {
                return None;
            }
            "before the next try, send DROP INDEX CONCURRENTLY IF EXISTS for it; or let `zdm migrate` look for INVALID indexes"
        }
        Statement::CreateIndex(create) if !create.if_not_exists => "write CREATE INDEX IF NOT EXISTS",
        Statement::CreateTable(create) if !create.if_not_exists => "write CREATE TABLE IF NOT EXISTS",
        Statement::Drop(drop) if !drop.if_exists => "write DROP … IF EXISTS",
        Statement::AlterTable(_) if can_be_repeated(step) => return None,
        Statement::AlterTable(_) => alter_actions(step).find_map(|(_, action)| match action {
            AlterTableAction::AddColumn { if_not_exists: false, .. } => Some("write ADD COLUMN IF NOT EXISTS"),
            AlterTableAction::DropColumn { if_exists: false, .. } => Some("write DROP COLUMN IF EXISTS"),
            AlterTableAction::DropConstraint { if_exists: false, .. } => Some("write DROP CONSTRAINT IF EXISTS"),
            AlterTableAction::AddConstraint(_) => Some("send DROP CONSTRAINT IF EXISTS before it"),
            _ => None,
        })?,
        _ => return None,
    })
}

/// Whether a statement leaves the same behind however often it is sent: it asks for what it makes or drops by IF [NOT] EXISTS,
/// replaces what is there, or sets a value. A constraint is made behind its own drop in the same statement, or validated.
pub(crate) fn can_be_repeated(step: &Step) -> bool {
    match &step.statement {
        Statement::AlterTable(_) => actions_can_be_repeated(step),
        Statement::CreateTable(create) => create.if_not_exists,
        Statement::CreateTableAs(create) => create.if_not_exists,
        Statement::CreateIndex(create) => create.if_not_exists,
        Statement::CreateSequence(create) => create.if_not_exists,
        Statement::CreateView(create) => create.or_replace || create.if_not_exists,
        Statement::CreateFunction(create) => create.or_replace,
        Statement::CreateTrigger(create) => create.or_replace,
        Statement::CreateRule { or_replace, .. } => *or_replace,
        Statement::CreateSchema { if_not_exists, elements, .. } => *if_not_exists && elements.is_empty(),
        Statement::CreateExtension { if_not_exists, .. } | Statement::CreateStatistics { if_not_exists, .. } => {
            *if_not_exists
        }
        Statement::Drop(drop) => drop.if_exists,
        Statement::Comment { .. } => true,
        _ => false,
    }
}

fn actions_can_be_repeated(step: &Step) -> bool {
    let dropped: Vec<&Ident> = alter_actions(step)
        .filter_map(|(_, action)| match action {
            AlterTableAction::DropConstraint { name, if_exists: true, .. } => Some(name),
            _ => None,
        })
        .collect();
    let mut actions = alter_actions(step).peekable();
    actions.peek().is_some()
        && actions.all(|(_, action)| match action {
            AlterTableAction::AddColumn { if_not_exists, .. } => *if_not_exists,
            AlterTableAction::DropColumn { if_exists, .. }
            | AlterTableAction::DropConstraint { if_exists, .. }
            | AlterTableAction::DropExpression { if_exists, .. }
            | AlterTableAction::DropIdentity { if_exists, .. } => *if_exists,
            AlterTableAction::AddConstraint(constraint) => {
                constraint.name.as_ref().is_some_and(|name| dropped.contains(&name))
            }
            AlterTableAction::AlterColumnType { column, using, .. } => {
                using.as_ref().is_none_or(|using| is_cast_of(&using.node, column))
            }
            AlterTableAction::ValidateConstraint { .. }
            | AlterTableAction::SetDefault { .. }
            | AlterTableAction::DropDefault { .. }
            | AlterTableAction::SetNotNull { .. }
            | AlterTableAction::DropNotNull { .. }
            | AlterTableAction::SetStatistics { .. }
            | AlterTableAction::SetOptions { .. }
            | AlterTableAction::ResetOptions { .. } => true,
            _ => false,
        })
}

/// The column itself, of whatever type.
fn is_cast_of(node: &ExprNode, column: &Ident) -> bool {
    match node {
        ExprNode::Cast { expr, .. } => is_cast_of(expr, column),
        ExprNode::Column { name, .. } => name == column,
        _ => false,
    }
}

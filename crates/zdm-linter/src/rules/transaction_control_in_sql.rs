//! ZDM402: BEGIN, COMMIT or ROLLBACK inside RunSQL.

use zdm_postgres::Statement;
use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.steps().filter(|step| step.raw) {
        let (command, ends) = match &step.statement {
            Statement::Begin { .. } => ("BEGIN", false),
            Statement::Commit { .. } => ("COMMIT", true),
            Statement::Rollback { .. } => ("ROLLBACK", true),
            _ => continue,
        };
        if ends && cx.migration.migration.atomic {
            out.push(
                cx.at_step(step, format!("{command} ends the transaction that Django opened for this migration: what follows is no longer atomic, and neither is its record in django_migrations"))
                    .with_help("remove it, or set `atomic = False` on the migration class"),
            );
        } else if !ends && cx.migration.migration.atomic {
            out.push(
                cx.at_step(
                    step,
                    format!("{command} does nothing: Django has already opened a transaction for this migration"),
                )
                .with_help("remove it, or set `atomic = False` on the migration class"),
            );
        } else if !ends && !ended_later(cx, step) {
            out.push(
                cx.at_step(
                    step,
                    format!("{command} opens a transaction that nothing ends: what follows is rolled back when the connection closes, or joins it"),
                )
                .with_help("send COMMIT behind it, or leave it away: each statement commits by itself"),
            );
        }
    }
}

fn ended_later(cx: &Cx<'_>, step: &zdm_replay::Step) -> bool {
    cx.steps().any(|other| {
        other.number > step.number && matches!(other.statement, Statement::Commit { .. } | Statement::Rollback { .. })
    })
}

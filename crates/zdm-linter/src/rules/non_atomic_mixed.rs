//! ZDM403: a migration with `atomic = False` holds statements that would be safer in a transaction.

use zdm_postgres::Statement;
use zdm_postgres::effects::TransactionUse;
use zdm_source::Diagnostic;

use super::not_rerunnable::can_be_repeated;
use crate::context::{Cx, shortened};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    if cx.migration.migration.atomic {
        return;
    }
    let changes: Vec<_> = cx
        .accepted()
        .filter(|step| {
            step.transaction.is_none()
                && !matches!(
                    step.statement,
                    Statement::Select(_)
                        | Statement::Set(_)
                        | Statement::Reset { .. }
                        | Statement::Session { .. }
                        | Statement::SetConstraints { .. }
                        | Statement::Begin { .. }
                        | Statement::Commit { .. }
                        | Statement::Rollback { .. }
                )
        })
        .collect();
    let plain = changes.iter().find(|step| {
        step.outcome.transaction != TransactionUse::Forbidden
            && !matches!(step.statement, Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_))
            && !can_be_repeated(step)
    });
    let Some(plain) = plain else { return };
    if changes.len() < 2 {
        return;
    }
    out.push(
        cx.at_step(
            plain,
            format!(
                "`{}` runs outside of a transaction beside {} other statement{}: a failure in between leaves the migration half done, and a second run fails where the first one got through",
                shortened(&plain.sql, 60),
                changes.len() - 1,
                if changes.len() == 2 { "" } else { "s" }
            ),
        )
        .with_help("leave in a migration with `atomic = False` only what cannot run in a transaction, one statement each"),
    );
}

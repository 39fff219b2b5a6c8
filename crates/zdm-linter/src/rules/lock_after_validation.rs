//! ZDM146: a constraint is validated, and then the same transaction waits for a strong lock.

use zdm_postgres::LockMode;
use zdm_postgres::statement::AlterTableAction;
use zdm_replay::Step;
use zdm_source::Diagnostic;

use super::alter_actions;
use crate::context::{Cx, shortened};
use crate::fixes;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted().filter(|step| step.transaction.is_some()) {
        let validated = alter_actions(step).find_map(|(alter, action)| match action {
            AlterTableAction::ValidateConstraint { name } => Some((&alter.name, name)),
            _ => None,
        });
        let Some((table, name)) = validated else { continue };
        // Under a strong lock the validation is slow work itself (ZDM141, ZDM142).
        let strong = |held: LockMode| held >= LockMode::ShareRowExclusive;
        if !cx.existed(step, table)
            || !step.outcome.effects.scans.contains(table)
            || step.outcome.held.values().any(|held| strong(held.mode))
        {
            continue;
        }
        let waits = |other: &&Step| {
            other.number > step.number
                && other.transaction == step.transaction
                && other.outcome.effects.locks.iter().any(|(locked, mode)| {
                    strong(*mode) && other.catalog_before.table(locked).is_some() && cx.existed(other, locked)
                })
        };
        let Some(later) = cx.accepted().find(waits) else { continue };
        let mut diagnostic = cx
            .at_step(
                step,
                format!("validating `{name}` reads the whole of `{table}`, and then the same transaction waits for a strong lock: whenever it does not get it in time, the validation is lost and begins anew"),
            )
            .with_related(cx.label_step(later, format!("waits here: `{}`", shortened(&later.sql, 70))))
            .with_help("leave the validation alone in its migration, and do the rest in the next one");
        let fix = fixes::split_before(cx, later.operation).filter(|_| later.operation > step.operation);
        diagnostic = Cx::fixed(diagnostic, fix);
        cx.weigh(table, &mut diagnostic);
        if diagnostic.severity == zdm_source::Severity::Error
            && cx.config.own_severity(cx.page, cx.migration.migration.file.path()).is_none()
        {
            // Nobody is kept waiting by it.
            diagnostic.severity = zdm_source::Severity::Warning;
        }
        out.push(diagnostic);
    }
}

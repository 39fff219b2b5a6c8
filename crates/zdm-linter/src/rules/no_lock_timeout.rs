//! ZDM809: a migration takes a strong lock without a lock timeout of its own.

use zdm_postgres::{LockMode, Statement};
use zdm_source::Diagnostic;

use crate::context::{Cx, shortened};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    let mut limited = false;
    for step in cx.accepted() {
        if let Statement::Set(set) = &step.statement
            && set.name == "lock_timeout"
        {
            limited = set.value.as_deref().is_some_and(|value| value.trim_matches('\'') != "0");
        }
        let locked = step.outcome.effects.locks.iter().find(|(table, mode)| {
            **mode >= LockMode::ShareRowExclusive
                && step.catalog_before.table(table).is_some()
                && cx.existed(step, table)
        });
        let Some((table, mode)) = locked.filter(|_| !limited) else { continue };
        out.push(
            cx.at_step(
                step,
                format!("`{}` waits for {mode} on `{table}` without a limit, and every query that conflicts waits behind it", shortened(&step.sql, 60)),
            )
            .with_help("run migrations with `zdm migrate`, which sets lock_timeout and tries again; or begin with RunSQL(\"SET LOCAL lock_timeout = '2s'\")"),
        );
        return;
    }
}

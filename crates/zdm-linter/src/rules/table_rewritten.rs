//! ZDM114: VACUUM FULL, CLUSTER, SET LOGGED/UNLOGGED, SET TABLESPACE, SET ACCESS METHOD.

use zdm_postgres::Statement;
use zdm_postgres::statement::AlterTableAction;
use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let what = match &step.statement {
            Statement::Vacuum { full: true, .. } => "VACUUM FULL",
            Statement::Cluster { .. } => "CLUSTER",
            Statement::AlterTable(alter) => {
                let named = alter.actions.iter().find_map(|action| match action {
                    AlterTableAction::SetLogged => Some("SET LOGGED"),
                    AlterTableAction::SetUnlogged => Some("SET UNLOGGED"),
                    AlterTableAction::SetTablespace { .. } => Some("SET TABLESPACE"),
                    AlterTableAction::SetAccessMethod { .. } => Some("SET ACCESS METHOD"),
                    AlterTableAction::SetExpression { .. } => Some("SET EXPRESSION"),
                    _ => None,
                });
                match named {
                    Some(named) => named,
                    None => continue,
                }
            }
            _ => continue,
        };
        for table in &step.outcome.effects.rewrites {
            if !cx.existed(step, table) {
                continue;
            }
            let mut diagnostic = cx
                .at_step(
                    step,
                    format!(
                        "{what} writes `{table}` anew and blocks every query on it, SELECT included, until it is done"
                    ),
                )
                .with_help(
                    "do it in a chosen window, or use pg_repack or pg_squeeze, which hold the lock only for moments",
                );
            cx.weigh(table, &mut diagnostic);
            out.push(diagnostic);
        }
    }
}

//! ZDM701: PostgreSQL would refuse the statement.

use zdm_postgres::effects::TransactionUse;
use zdm_source::Diagnostic;

use crate::context::{Cx, shortened};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.steps() {
        let Some(error) = &step.outcome.error else { continue };
        let told_elsewhere = error.sqlstate == "55006"
            || error.sqlstate == "25P02"
            || (error.sqlstate == "25001" && step.outcome.transaction == TransactionUse::Forbidden);
        if told_elsewhere {
            continue;
        }
        out.push(
            cx.at_step(step, format!("PostgreSQL refuses this statement: {} ({})", error.message, error.sqlstate))
                .with_fact(format!("the statement is `{}`", shortened(&step.sql, 120)))
                .with_help("compare it with what the migrations before have made: `zdm-lint state` shows the tables as they are here"),
        );
    }
}

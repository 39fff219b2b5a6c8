//! ZDM303: a table is altered while changes of its rows wait for deferred constraint triggers.

use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.steps() {
        let Some(error) = &step.outcome.error else { continue };
        if error.sqlstate != "55006" {
            continue;
        }
        out.push(
            cx.at_step(step, format!("PostgreSQL refuses this statement: {}", error.message))
                .with_fact("rows of the table were changed in the same transaction, and the checks of its deferred foreign keys are still to come")
                .with_help("change the data in a migration of its own; or send `SET CONSTRAINTS ALL IMMEDIATE` between the two"),
        );
    }
}

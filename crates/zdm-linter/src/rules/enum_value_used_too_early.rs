//! ZDM408: a new enum value is used in the transaction that added it.

use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::fixes;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.steps() {
        let Some(error) = step.outcome.error.as_ref().filter(|error| error.sqlstate == "55P04") else { continue };
        let fix = if step.deferred { None } else { fixes::split_before(cx, step.operation) };
        out.push(Cx::fixed(
            cx.at_step(step, format!("PostgreSQL refuses this statement: {}", error.message))
                .with_fact(
                    "a value that ALTER TYPE … ADD VALUE adds can be used only once its transaction is committed",
                )
                .with_help("add the value in a migration of its own, and use it in the next"),
            fix,
        ));
    }
}

//! ZDM814: a domain with a constraint is created.

use zdm_postgres::Statement;
use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let Statement::CreateDomain(domain) = &step.statement else { continue };
        if !domain.not_null && domain.checks.is_empty() {
            continue;
        }
        out.push(
            cx.at_step(step, format!("domain `{}` has a constraint: adding a column of it rewrites the table, and changing the constraint reads every table that uses it", domain.name))
                .with_help("use the base type and a CheckConstraint on each table"),
        );
    }
}

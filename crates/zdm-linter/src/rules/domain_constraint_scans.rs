//! ZDM128: a constraint on a domain reads every table that uses the domain.

use zdm_postgres::Statement;
use zdm_postgres::statement::AlterDomainAction;
use zdm_source::Diagnostic;

use crate::context::{Cx, name_list};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let Statement::AlterDomain { name, action } = &step.statement else { continue };
        let (what, help) = match action {
            AlterDomainAction::AddConstraint { .. } => (
                format!("adding a constraint to domain `{name}`"),
                "NOT VALID checks new values only and reads nothing; for the old ones, validate a CHECK on each table instead of the domain",
            ),
            AlterDomainAction::ValidateConstraint { .. } => (
                format!("validating a constraint of domain `{name}`"),
                "choose a quiet moment, or put the CHECK on each table, where validating takes SHARE UPDATE EXCLUSIVE",
            ),
            AlterDomainAction::SetNotNull => (
                format!("setting domain `{name}` NOT NULL"),
                "put a CHECK (… IS NOT NULL) on each table, first NOT VALID and then validated",
            ),
            _ => continue,
        };
        let scanned = cx.named(step.outcome.effects.scans.iter().filter(|table| cx.existed(step, table)));
        if scanned.is_empty() {
            continue;
        }
        let mut diagnostic = cx
            .at_step(
                step,
                format!(
                    "{what} blocks INSERT, UPDATE and DELETE on {} while PostgreSQL checks every row",
                    name_list(&scanned)
                ),
            )
            .about(&scanned)
            .with_fact("SHARE is held on every table with a column of the domain until the transaction ends")
            .with_help(help);
        for table in scanned {
            cx.weigh(table, &mut diagnostic);
        }
        out.push(diagnostic);
    }
}

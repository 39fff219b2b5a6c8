//! ZDM210: a view, function, type or trigger is dropped that running code may use.

use zdm_postgres::catalog::Function;
use zdm_postgres::statement::{DropBehavior, ObjectKind};
use zdm_postgres::{QualifiedName, Statement};
use zdm_source::Diagnostic;

use crate::context::{Cx, name_list};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let Statement::Drop(drop) = &step.statement else { continue };
        let before = &cx.migration.catalog_before;
        let what = match drop.kind {
            ObjectKind::View | ObjectKind::MaterializedView => "view",
            ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Routine => "function",
            ObjectKind::Type | ObjectKind::Domain => "type",
            ObjectKind::Sequence => "sequence",
            _ => continue,
        };
        let there = |name: &QualifiedName| match what {
            "view" => before.view(name).is_some(),
            "function" => !before.functions(name).is_empty(),
            "type" => before.user_type(name).is_some(),
            _ => before.sequence(name).is_some(),
        };
        // What is made again in the same migration is replaced, not gone.
        let after = &cx.migration.catalog_after;
        let gone: Vec<_> = drop
            .names
            .iter()
            .filter(|name| there(name))
            // Nothing but a trigger calls a trigger's function, and the server refuses to drop one that a trigger calls.
            .filter(|name| {
                what != "function"
                    || drop.behavior == DropBehavior::Cascade
                    || !before.functions(name).iter().all(returns_trigger)
            })
            .filter(|name| {
                after.relation(name).is_none() && after.functions(name).is_empty() && after.user_type(name).is_none()
            })
            .collect();
        if gone.is_empty() {
            continue;
        }
        out.push(
            cx.at_step(
                step,
                format!("dropping {what} {} breaks code that is still running, if it uses it", name_list(gone)),
            )
            .with_help("drop it one release after the last code that uses it"),
        );
    }
}

fn returns_trigger(function: &Function) -> bool {
    function.returns.as_ref().is_some_and(|returns| returns.is("trigger"))
}

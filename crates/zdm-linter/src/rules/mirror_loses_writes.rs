//! ZDM311: a mirror's trigger misses writes.

use zdm_postgres::Statement;
use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::mirror::is_mirror;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let Statement::CreateTrigger(create) = &step.statement else { continue };
        let Some(trigger) = step
            .catalog_after
            .table(&create.table)
            .and_then(|table| table.triggers.iter().find(|trigger| trigger.name == create.name.truncated()))
        else {
            continue;
        };
        if !is_mirror(trigger) {
            continue;
        }
        let fires_for = |event: &str| trigger.events.iter().any(|own| own.eq_ignore_ascii_case(event));
        let reads_old = trigger.when.as_ref().is_some_and(|when| {
            let mut found = false;
            when.node.walk(&mut |node| {
                if let zdm_postgres::expr::ExprNode::Column { qualifier: Some(qualifier), .. } = node {
                    found |= *qualifier == "old";
                }
            });
            found
        });
        let why = if !trigger.timing.eq_ignore_ascii_case("BEFORE") || !trigger.for_each_row {
            "it does not fire BEFORE each row, so that it cannot set the column"
        } else if !fires_for("INSERT") || !fires_for("UPDATE") {
            "it does not fire for both INSERT and UPDATE"
        } else if !trigger.update_of.is_empty() {
            "with UPDATE OF it does not see a statement that sets the shadow back"
        } else if reads_old {
            "its condition asks what has changed: a stale `save()` that writes an old value of the shadow back leaves the source as it is, and passes"
        } else {
            continue;
        };
        out.push(
            cx.at_step(
                step,
                format!("the mirror `{}` on `{}` loses writes: {why}", trigger.name, create.table),
            )
            .with_help("let it fire BEFORE INSERT OR UPDATE FOR EACH ROW, with a condition on the state: WHEN (NEW.shadow IS DISTINCT FROM NEW.source); `zdm mirror sql` prints it"),
        );
    }
}

//! ZDM404: CREATE INDEX CONCURRENTLY IF NOT EXISTS keeps an INVALID index of an earlier try.

use zdm_postgres::Statement;
use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::words;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let Statement::CreateIndex(create) = &step.statement else { continue };
        if !create.concurrently || !create.if_not_exists {
            continue;
        }
        let Some(name) = &create.name else { continue };
        // A drop of the same name before it in the migration clears the way.
        let cleared = cx.steps().take_while(|other| !std::ptr::eq(*other, step)).any(|other| {
            matches!(&other.statement, Statement::Drop(drop) if drop.names.iter().any(|dropped| dropped.name == name.name))
        });
        if cleared {
            continue;
        }
        out.push(
            cx.at_step(
                step,
                format!("if an earlier try failed, it left {} INVALID, and IF NOT EXISTS keeps that one: the migration succeeds without a usable index", words::index_name(create)),
            )
            .with_help(format!("send `DROP INDEX CONCURRENTLY IF EXISTS {}` before it, as a statement of its own", words::quoted_table(name))),
        );
    }
}

//! ZDM902: SQL that is not understood, or is opaque inside.

use zdm_postgres::statement::{AlterTableAction, Opaque, Query, Volatility};
use zdm_postgres::{QualifiedName, Statement};
use zdm_replay::Step;
use zdm_source::Diagnostic;

use super::alter_actions;
use crate::context::{Cx, shortened};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.steps() {
        let diagnostic = match &step.statement {
            // That it is refused is told elsewhere.
            Statement::Opaque(Opaque { refusal: Some(_), .. }) => continue,
            Statement::Opaque(opaque) => {
                cx.at_step(step, format!("`{}` is not understood: {}", shortened(&opaque.text, 60), opaque.reason))
            }
            Statement::Do { .. } => cx.at_step(step, "a DO block is not read: whatever it does is unknown here"),
            Statement::Call { procedure } => {
                cx.at_step(step, format!("procedure `{procedure}` is not read: whatever it does is unknown here"))
            }
            Statement::Select(query) => match unread_function(step, query) {
                Some(function) => cx.at_step(
                    step,
                    format!("function `{function}` is called and not read: whatever it does is unknown here"),
                ),
                None => continue,
            },
            _ => {
                let unknown = alter_actions(step).find_map(|(_, action)| match action {
                    AlterTableAction::Unknown { text } => Some(text),
                    _ => None,
                });
                match unknown {
                    Some(text) => cx.at_step(step, format!("`{}` is not understood", shortened(text, 60))),
                    None => continue,
                }
            }
        };
        out.push(
            diagnostic
                .with_fact("its locks and effects are unknown, and the tables that it changes are known less well from here on")
                .with_help("try it on a copy of the database and look at its locks; then suppress this finding with the reason"),
        );
    }
}

/// A query of no table, or one whose rows nobody gets, is sent for what its functions do: one of the project's or of an
/// extension's that may change something, and is not read.
fn unread_function<'q>(step: &Step, query: &'q Query) -> Option<&'q QualifiedName> {
    let unread = &step.outcome.effects.unread;
    if unread.is_empty() || (step.python && !query.relations.is_empty()) {
        return None;
    }
    query.functions.iter().find(|name| {
        let known = step.catalog_before.functions(name);
        let changes = known.is_empty() || known.iter().any(|function| function.volatility == Volatility::Volatile);
        changes && unread.iter().any(|what| what.ends_with(&format!("function {name}()")))
    })
}

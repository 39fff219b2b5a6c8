//! ZDM813: an enum value is added without saying where it stands.

use zdm_postgres::Statement;
use zdm_postgres::statement::AlterTypeAction;
use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let Statement::AlterType { name, action: AlterTypeAction::AddValue { value, before: None, after: None, .. } } =
            &step.statement
        else {
            continue;
        };
        out.push(
            cx.at_step(
                step,
                format!(
                    "`{value}` is put behind all values of enum `{name}`, and ORDER BY and comparisons go by that order"
                ),
            )
            .with_help("say BEFORE or AFTER which value it belongs"),
        );
    }
}

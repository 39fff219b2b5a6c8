//! ZDM812: an enum type is created.

use zdm_postgres::Statement;
use zdm_postgres::statement::TypeDefinition;
use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let Statement::CreateType { name, definition: TypeDefinition::Enum(_) } = &step.statement else { continue };
        out.push(
            cx.at_step(step, format!("a value of enum `{name}` can never be removed, and one that is added cannot be used in the same transaction"))
                .with_help("use a varchar or text column with `choices`, and a CheckConstraint where the database must hold it"),
        );
    }
}

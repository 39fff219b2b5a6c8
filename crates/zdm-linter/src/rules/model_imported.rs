//! ZDM307: Python code uses a model class of today on the tables of then.

use zdm_django::operation::CodeFactKind;
use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::fixes;
use crate::words::python_operations;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for (index, run) in python_operations(cx) {
        for fact in &run.body.facts {
            let CodeFactKind::ModelOfToday { class } = &fact.kind else { continue };
            let mut diagnostic = cx
                .at_span(
                    fact.span,
                    format!("`{class}` is the model as the code has it today, but its table is still the one of this migration: once a column is added to the model or removed, the queries fail on every new database"),
                )
                .with_fact("the class also has methods, managers and signals, which the migration runs in whatever form they have by then")
                .with_help("fetch the model from the migration's own state: `apps.get_model(\"app\", \"Model\")`, with the `apps` that the function is given");
            diagnostic.primary.message = String::from("a model class of today");
            diagnostic.subject.operation = Some(index);
            out.push(Cx::fixed(diagnostic, fixes::get_model(cx, class, fact.span)));
        }
    }
}

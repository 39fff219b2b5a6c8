//! ZDM203: a table that running code still uses is gone.

use zdm_django::OperationKind;
use zdm_postgres::statement::ObjectKind;
use zdm_postgres::{QualifiedName, Statement};
use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::rules::table_renamed::renamed_to;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for old in cx.old {
        let Some(model) = &old.model else { continue };
        let name = old.name();
        if cx.migration.catalog_after.relation(name).is_some() || renamed_to(cx, name).is_some() {
            made_anew(cx, name, out);
            continue;
        }
        let Some(step) = cx.step_where(|catalog| catalog.relation(name).is_none()) else { continue };
        // The table of a many-to-many field goes with the field or with its model.
        let of_field = model.is_of_a_field()
            && !matches!(
                cx.operation(step.operation).map(|operation| &operation.kind),
                Some(OperationKind::DeleteModel { .. })
            );
        let (what, operation) = if of_field { ("field", "RemoveField") } else { ("model", "DeleteModel") };
        out.push(
            cx.at_step(
                step,
                format!(
                    "dropping table `{name}` breaks the code that is still running: every query of model `{}` fails with \"relation does not exist\"",
                    model.label
                ),
            )
            .with_help(format!(
                "in two releases: first remove the {what} from the state only (SeparateDatabaseAndState with {operation} as its state operation) and release the code without `{}`; then drop the table",
                model.label
            )),
        );
    }
}

/// A table that is dropped and created again under its name: old code finds it, and none of its rows.
fn made_anew(cx: &Cx<'_>, name: &QualifiedName, out: &mut Vec<Diagnostic>) {
    let dropped = cx.accepted().find(|step| {
        matches!(&step.statement, Statement::Drop(drop) if drop.kind == ObjectKind::Table && drop.names.contains(name))
            && cx.existed(step, name)
            && step.catalog_before.table(name).is_some()
    });
    let Some(step) = dropped else { return };
    let later = || cx.accepted().filter(|other| other.number > step.number);
    let created =
        later().any(|other| matches!(&other.statement, Statement::CreateTable(create) if create.name == *name));
    // Rows that were kept elsewhere come back, whoever brings them.
    let filled = later().any(|other| {
        other.python
            || matches!(&other.statement, Statement::Insert(insert) if insert.table == *name)
            || matches!(&other.statement, Statement::Copy { .. })
    });
    if !created || filled {
        return;
    }
    out.push(
        cx.at_step(step, format!("dropping table `{name}` and creating it again removes every row of it"))
            .with_help("alter the table instead; or rename it away, create the new one, and copy the rows"),
    );
}

//! ZDM203: a table that running code still uses is gone.

use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::rules::table_renamed::renamed_to;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for old in cx.old {
        let Some(model) = &old.model else { continue };
        let name = old.name();
        if cx.migration.catalog_after.relation(name).is_some() || renamed_to(cx, name).is_some() {
            continue;
        }
        let Some(step) = cx.step_where(|catalog| catalog.relation(name).is_none()) else { continue };
        out.push(
            cx.at_step(
                step,
                format!(
                    "dropping table `{name}` breaks the code that is still running: every query of model `{}` fails with \"relation does not exist\"",
                    model.label
                ),
            )
            .with_help(format!(
                "in two releases: first remove the model from the state only (SeparateDatabaseAndState with DeleteModel as its state operation) and release the code without `{}`; then drop the table",
                model.label
            )),
        );
    }
}

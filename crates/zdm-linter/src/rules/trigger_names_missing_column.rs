//! ZDM215: a trigger's function names a column that its table no longer has.

use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::mirror::{body, columns_of_rows};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    let catalog = &cx.migration.catalog_after;
    for old in cx.old {
        let Some(after) = old.after(cx.migration).filter(|table| !table.assumed) else { continue };
        for trigger in after.triggers.iter().filter(|trigger| trigger.enabled && trigger.for_each_row) {
            let Some(body) = body(catalog, trigger) else { continue };
            let table = old.name();
            for column in columns_of_rows(body) {
                let name = column.as_str();
                if after.column(name).is_some() || old.before.column(name).is_none() {
                    continue;
                }
                let gone = |catalog: &zdm_postgres::Catalog| {
                    catalog.table(table).is_some_and(|table| table.column(name).is_none())
                };
                let Some(step) = cx.step_where(gone) else { continue };
                out.push(
                    cx.at_step(
                        step,
                        format!(
                            "`{table}.{name}` is gone, but the trigger `{}` still names it: every write that fires the trigger fails with \"record has no field\"",
                            trigger.name
                        ),
                    )
                    .with_help(format!("drop the trigger `{}` in the same transaction first", trigger.name)),
                );
                break;
            }
        }
    }
}

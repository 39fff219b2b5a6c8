//! ZDM301: one statement changes all rows of a table.

use zdm_postgres::Statement;
use zdm_source::Diagnostic;

use crate::context::{Cx, shortened};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let (dml, update) = match &step.statement {
            Statement::Update(dml) => (dml, true),
            Statement::Delete(dml) => (dml, false),
            _ => continue,
        };
        if !cx.existed(step, &dml.table) {
            continue;
        }
        // The schema editor's own UPDATE fills every row that holds NULL.
        let whole = dml.predicate.is_none() && dml.query.relations.iter().all(|name| *name == dml.table);
        if !whole && step.raw {
            continue;
        }
        let table = &dml.table;
        let verb = if update { "updating" } else { "deleting" };
        let rows =
            if whole { format!("every row of `{table}`") } else { format!("every row of `{table}` where it is NULL") };
        let column = dml.columns.first().map(|column| format!(" `{column}` in")).unwrap_or_default();
        let mut diagnostic = cx
            .at_step(
                step,
                format!("{verb}{column} {rows} in one statement locks those rows until the migration commits: writers of these rows wait for all of it"),
            )
            .with_fact(format!(
                "each row is written anew: the table and its indexes grow, replicas lag, and vacuum cannot clean up before the end; the statement is `{}`",
                shortened(&step.sql, 90)
            ));
        diagnostic = if update {
            let target = dml.columns.first().map_or_else(|| "column".to_owned(), ToString::to_string);
            diagnostic.with_help(format!(
                "fill it in batches outside of the migration: `zdm backfill run --table {table} --set \"{target} = …\"`"
            ))
        } else {
            diagnostic.with_help("delete in batches outside of the migration, by primary key ranges")
        };
        cx.weigh(table, &mut diagnostic);
        out.push(diagnostic);
    }
}

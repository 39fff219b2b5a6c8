//! ZDM801: a primary key or reference of 32 bits or less.

use zdm_postgres::catalog::ConstraintKind;
use zdm_postgres::statement::ColumnConstraintKind;
use zdm_postgres::{Ident, QualifiedName};
use zdm_source::Diagnostic;

use super::new_columns;
use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        for (table, column) in new_columns(step) {
            let is_key = column.constraints.iter().any(|constraint| {
                matches!(constraint.kind, ColumnConstraintKind::PrimaryKey | ColumnConstraintKind::Identity { .. })
            }) || is_primary_key(cx, table, &column.name);
            let Some(data_type) = column.data_type.as_ref() else { continue };
            let base = data_type.serial_base();
            let stored = base.as_ref().unwrap_or(data_type);
            if !(stored.is("int4") || stored.is("int2")) || !(is_key || base.is_some()) {
                continue;
            }
            let limit = if stored.is("int2") { "32,767" } else { "2,147,483,647" };
            out.push(
                cx.at_step(
                    step,
                    format!("`{table}.{}` numbers rows with `{stored}`, which ends at {limit}: INSERTs fail from there on", column.name),
                )
                .with_help("use BigAutoField (DEFAULT_AUTO_FIELD = \"django.db.models.BigAutoField\"): changing it later rewrites the table and every table that refers to it"),
            );
        }
    }
}

/// The column alone is the table's primary key in the end, wherever that is said.
fn is_primary_key(cx: &Cx<'_>, table: &QualifiedName, column: &Ident) -> bool {
    let key = cx.migration.catalog_after.table(table).and_then(|table| table.primary_key());
    key.is_some_and(
        |key| matches!(&key.kind, ConstraintKind::PrimaryKey { columns, .. } if columns.as_slice() == [column.clone()]),
    )
}

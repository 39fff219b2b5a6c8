//! ZDM218: a unique constraint, exclusion constraint or foreign key is gone that running code may rely on.

use zdm_postgres::Ident;
use zdm_postgres::catalog::{Constraint, ConstraintKind, Table};
use zdm_postgres::statement::IndexKey;
use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for old in cx.old {
        let (Some(after), Some(model)) = (old.after(cx.migration), &old.model) else { continue };
        let table = old.name();
        for constraint in &old.before.constraints {
            let name = constraint.name.as_str();
            let Some((what, columns)) = promise(constraint) else { continue };
            let same_columns = columns.iter().all(|column| after.column(column.as_str()).is_some());
            if !same_columns || is_kept(after, constraint) {
                continue;
            }
            let Some(step) =
                cx.step_where(|catalog| catalog.table(table).is_some_and(|table| table.constraint(name).is_none()))
            else {
                continue;
            };
            out.push(
                cx.at_step(
                    step,
                    format!("{what} `{name}` of `{table}` is gone, on which the code that is still running may rely (model `{}`)", model.label),
                )
                .with_fact(match constraint.kind {
                    ConstraintKind::ForeignKey(_) => "rows that point nowhere become possible, and ON DELETE no longer happens",
                    _ => "INSERT … ON CONFLICT names it (`bulk_create` with `unique_fields`) and fails without it; `get_or_create` and `update_or_create` rely on it to see the other writer",
                })
                .with_help("drop it one release after the last code that relies on it"),
            );
        }
    }
}

fn promise(constraint: &Constraint) -> Option<(&'static str, Vec<Ident>)> {
    Some(match &constraint.kind {
        ConstraintKind::Unique { columns, .. } => ("unique constraint", columns.clone()),
        ConstraintKind::ForeignKey(key) => ("foreign key", key.columns.clone()),
        ConstraintKind::Exclude { .. } => ("exclusion constraint", Vec::new()),
        _ => return None,
    })
}

/// The same is still promised, under this or another name.
fn is_kept(after: &Table, constraint: &Constraint) -> bool {
    let unique_index = |columns: &[Ident]| {
        after.indexes.iter().any(|index| {
            let keys: Option<Vec<&Ident>> = index
                .elements
                .iter()
                .map(|element| match &element.key {
                    IndexKey::Column(name) => Some(name),
                    IndexKey::Expr(_) => None,
                })
                .collect();
            index.unique && index.predicate.is_none() && keys.is_some_and(|keys| keys.into_iter().eq(columns.iter()))
        })
    };
    after.constraint(constraint.name.as_str()).is_some()
        || match &constraint.kind {
            ConstraintKind::Unique { columns, .. } => unique_index(columns),
            ConstraintKind::ForeignKey(key) => after
                .constraints
                .iter()
                .any(|other| matches!(&other.kind, ConstraintKind::ForeignKey(other) if other.columns == key.columns)),
            ConstraintKind::Exclude { elements, .. } => after.constraints.iter().any(
                |other| matches!(&other.kind, ConstraintKind::Exclude { elements: other, .. } if other == elements),
            ),
            _ => true,
        }
}

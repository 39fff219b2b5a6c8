//! ZDM218: a constraint or unique index is gone that running code may rely on.

use zdm_postgres::Ident;
use zdm_postgres::catalog::{Constraint, ConstraintKind, Index, Table};
use zdm_postgres::statement::IndexKey;
use zdm_source::Diagnostic;

use crate::context::Cx;

const UNIQUE: &str = "INSERT … ON CONFLICT names it (`bulk_create` with `unique_fields`) and fails without it; `get_or_create` and `update_or_create` rely on it to see the other writer";

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
                    format!("{what} `{name}` of `{table}` is gone, and the code that is still running (model `{}`) may rely on it", model.label),
                )
                .with_fact(match constraint.kind {
                    ConstraintKind::Exclude { .. } => "rows that exclude each other become possible as soon as two writers meet",
                    ConstraintKind::ForeignKey(_) => "rows that point nowhere become possible, and ON DELETE no longer happens",
                    ConstraintKind::Check { .. } => "rows that it refused become possible as soon as new code writes them, and the code that is still running reads them",
                    _ => UNIQUE,
                })
                .with_help("drop it one release after the last code that relies on it"),
            );
        }
        // A unique constraint with a condition or an expression is an index to PostgreSQL.
        for index in old.before.indexes.iter().filter(|index| index.unique && index.valid && !index.constraint) {
            let kept = after.indexes.iter().any(|other| {
                other.unique
                    && other.elements.iter().all(|element| index.elements.iter().any(|own| own.key == element.key))
                    && (other.predicate.is_none() || other.predicate == index.predicate)
            });
            let same_columns = index_columns(index).iter().all(|column| after.column(column.as_str()).is_some());
            if kept || !same_columns {
                continue;
            }
            let name = index.name.as_str();
            let Some(step) =
                cx.step_where(|catalog| catalog.table(table).is_some_and(|table| table.index(name).is_none()))
            else {
                continue;
            };
            out.push(
                cx.at_step(
                    step,
                    format!("unique index `{name}` of `{table}` is gone, and the code that is still running (model `{}`) may rely on it", model.label),
                )
                .with_fact(UNIQUE)
                .with_help("drop it one release after the last code that relies on it"),
            );
        }
    }
}

fn index_columns(index: &Index) -> Vec<Ident> {
    let keys = index.elements.iter().flat_map(|element| match &element.key {
        IndexKey::Column(name) => vec![name.clone()],
        IndexKey::Expr(expr) => expr.node.columns(),
    });
    keys.chain(index.predicate.iter().flat_map(|predicate| predicate.node.columns())).collect()
}

fn promise(constraint: &Constraint) -> Option<(&'static str, Vec<Ident>)> {
    Some(match &constraint.kind {
        ConstraintKind::Unique { columns, .. } => ("unique constraint", columns.clone()),
        ConstraintKind::ForeignKey(key) => ("foreign key", key.columns.clone()),
        ConstraintKind::PrimaryKey { columns, .. } => ("primary key", columns.clone()),
        ConstraintKind::Check { expr, .. } if constraint.attributes.enforced => {
            ("check constraint", expr.node.columns())
        }
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
            ConstraintKind::Unique { columns, .. } | ConstraintKind::PrimaryKey { columns, .. } => {
                unique_index(columns)
            }
            ConstraintKind::Check { expr, .. } => super::checks_imply(after, &expr.node),
            ConstraintKind::ForeignKey(key) => after
                .constraints
                .iter()
                .any(|other| matches!(&other.kind, ConstraintKind::ForeignKey(other) if other.columns == key.columns)),
            ConstraintKind::Exclude { elements, .. } => after.constraints.iter().any(
                |other| matches!(&other.kind, ConstraintKind::Exclude { elements: other, .. } if other == elements),
            ),
            ConstraintKind::NotNull { .. } => true,
        }
}

//! ZDM207: a constraint or unique index that running code can violate.

use zdm_postgres::Catalog;
use zdm_postgres::Ident;
use zdm_postgres::catalog::{Constraint, ConstraintKind, Index, Table};
use zdm_postgres::expr::ExprNode;
use zdm_postgres::statement::IndexKey;
use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::mirror;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for old in cx.old {
        let (Some(after), Some(model)) = (old.after(cx.migration), &old.model) else { continue };
        let table = old.name();
        // Old code leaves a column alone that it does not name, so a restriction on new columns only is kept.
        let can_violate = |columns: &[Ident]| {
            columns.iter().any(|column| model.names_column(column) && old.before.column(column.as_str()).is_some())
        };
        for constraint in &after.constraints {
            let Some((what, columns)) = restriction(constraint) else { continue };
            if !can_violate(&columns)
                || had_constraint(&old.before, constraint)
                || had_check_on_sources(
                    &old.before,
                    constraint,
                    &mirror::copies(&cx.migration.catalog_before, &old.before),
                )
                || cx.migration.catalog_before.table(table).is_some_and(|table| mirror::keeps(table, constraint))
            {
                continue;
            }
            let name = constraint.name.as_str();
            let Some(step) = cx.step_where(|catalog: &Catalog| {
                catalog.table(table).is_some_and(|table| table.constraint(name).is_some())
            }) else {
                continue;
            };
            out.push(restricts(cx, step, &format!("{what} `{name}`"), &model.label));
        }
        for index in after.indexes.iter().filter(|index| index.unique && !index.constraint) {
            if !can_violate(&index_columns(index))
                || had_index(&old.before, index)
                || had_unique_on_sources(&old.before, index, &mirror::copies(&cx.migration.catalog_before, &old.before))
            {
                continue;
            }
            let name = index.name.as_str();
            let Some(step) = cx
                .step_where(|catalog: &Catalog| catalog.table(table).is_some_and(|table| table.index(name).is_some()))
            else {
                continue;
            };
            out.push(restricts(cx, step, &format!("unique index `{name}`"), &model.label));
        }
    }
}

fn restricts(cx: &Cx<'_>, step: &zdm_replay::Step, what: &str, model: &str) -> Diagnostic {
    cx.at_step(
        step,
        format!("{what} refuses rows that the code that is still running may write for model `{model}`: such an INSERT or UPDATE fails, NOT VALID or not"),
    )
    .with_help("release code that keeps the rule first, clean the old rows, and add the constraint in the release after")
}

fn restriction(constraint: &Constraint) -> Option<(&'static str, Vec<Ident>)> {
    if !constraint.attributes.enforced {
        return None;
    }
    Some(match &constraint.kind {
        ConstraintKind::Check { expr, .. } => ("check constraint", expr.node.columns()),
        ConstraintKind::Unique { columns, .. } => ("unique constraint", columns.clone()),
        ConstraintKind::ForeignKey(key) => ("foreign key", key.columns.clone()),
        ConstraintKind::Exclude { elements, .. } => (
            "exclusion constraint",
            elements
                .iter()
                .flat_map(|(element, _)| match &element.key {
                    IndexKey::Column(name) => vec![name.clone()],
                    IndexKey::Expr(expr) => expr.node.columns(),
                })
                .collect(),
        ),
        // A primary key and NOT NULL have rules of their own.
        ConstraintKind::PrimaryKey { .. } | ConstraintKind::NotNull { .. } => return None,
    })
}

/// The table had the same restriction before, under this or another name.
fn had_constraint(before: &Table, constraint: &Constraint) -> bool {
    before.constraints.iter().any(|other| match (&other.kind, &constraint.kind) {
        (ConstraintKind::Check { expr: left, .. }, ConstraintKind::Check { expr: right, .. }) => {
            left.node == right.node || is_not_null_proof(before, constraint)
        }
        (ConstraintKind::Unique { columns: left, .. }, ConstraintKind::Unique { columns: right, .. }) => left == right,
        (ConstraintKind::ForeignKey(left), ConstraintKind::ForeignKey(right)) => {
            left.columns == right.columns && left.table == right.table
        }
        _ => false,
    }) || is_not_null_proof(before, constraint)
        || before.indexes.iter().any(|index| match &constraint.kind {
            ConstraintKind::Unique { columns, .. } => {
                index.unique && index.predicate.is_none() && index_columns(index) == *columns
            }
            _ => false,
        })
}

/// The check is on shadow columns in place of their sources, which fulfil it already.
fn had_check_on_sources(before: &Table, constraint: &Constraint, copies: &[(Ident, Ident)]) -> bool {
    fn on_sources(node: &mut ExprNode, copies: &[(Ident, Ident)]) {
        if let ExprNode::Column { name, .. } = node
            && let Some((_, source)) = copies.iter().find(|(shadow, _)| shadow == name)
        {
            *name = source.clone();
        }
        for child in node.children_mut() {
            on_sources(child, copies);
        }
    }
    let ConstraintKind::Check { expr, .. } = &constraint.kind else { return false };
    if copies.is_empty() {
        return false;
    }
    let mut node = (*expr.node).clone();
    on_sources(&mut node, copies);
    before.constraints.iter().any(|other| match &other.kind {
        ConstraintKind::Check { expr, .. } => *expr.node == node,
        _ => false,
    })
}

/// `CHECK (c IS NOT NULL)` on a column that is NOT NULL already refuses nothing new.
fn is_not_null_proof(before: &Table, constraint: &Constraint) -> bool {
    let ConstraintKind::Check { expr, .. } = &constraint.kind else { return false };
    let ExprNode::IsNull { expr, negated: true } = &*expr.node else { return false };
    let ExprNode::Column { name, .. } = &**expr else { return false };
    before.column(name.as_str()).is_some_and(|column| column.not_null)
}

/// The index is on shadow columns in place of their sources, which are unique already.
fn had_unique_on_sources(before: &Table, index: &Index, copies: &[(Ident, Ident)]) -> bool {
    if copies.is_empty() || index.elements.iter().any(|element| matches!(element.key, IndexKey::Expr(_))) {
        return false;
    }
    let source = |column: Ident| {
        copies.iter().find(|(shadow, _)| *shadow == column).map_or(column.clone(), |(_, source)| source.clone())
    };
    let columns: Vec<Ident> = index_columns(index).into_iter().map(source).collect();
    before
        .indexes
        .iter()
        .any(|other| other.unique && other.predicate == index.predicate && index_columns(other) == columns)
}

fn had_index(before: &Table, index: &Index) -> bool {
    before.indexes.iter().any(|other| {
        other.unique
            && other.elements == index.elements
            && (other.predicate.is_none() || other.predicate == index.predicate)
    })
}

fn index_columns(index: &Index) -> Vec<Ident> {
    index
        .elements
        .iter()
        .flat_map(|element| match &element.key {
            IndexKey::Column(name) => vec![name.clone()],
            IndexKey::Expr(expr) => expr.node.columns(),
        })
        .collect()
}

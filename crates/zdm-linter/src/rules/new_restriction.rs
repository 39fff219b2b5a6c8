//! ZDM207: a constraint or unique index that running code can violate.

use zdm_postgres::Catalog;
use zdm_postgres::Ident;
use zdm_postgres::QualifiedName;
use zdm_postgres::Statement;
use zdm_postgres::catalog::{Constraint, ConstraintKind, Index, Table};
use zdm_postgres::expr::ExprNode;
use zdm_postgres::statement::{AlterTableAction, IndexKey};
use zdm_source::{Diagnostic, Severity};

use super::alter_actions;
use crate::context::Cx;
use crate::mirror;
use crate::old_rows::OldRows;

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
                || had_constraint(cx, &old.before, constraint)
                || had_check_on_sources(
                    &old.before,
                    constraint,
                    &mirror::copies(&cx.migration.catalog_before, &old.before),
                )
                || cx.migration.catalog_before.table(table).is_some_and(|table| mirror::keeps(table, constraint))
                || keeps_constraint(&OldRows::new(cx, &old.before, after), constraint)
            {
                continue;
            }
            let name = constraint.name.as_str();
            let Some(step) = cx.step_where(|catalog: &Catalog| {
                catalog.table(table).is_some_and(|table| table.constraint(name).is_some())
            }) else {
                continue;
            };
            // Others cannot be added NOT VALID at all.
            let validated = match &constraint.kind {
                ConstraintKind::Check { .. } | ConstraintKind::ForeignKey(_) => ", NOT VALID or not",
                _ => "",
            };
            out.push(restricts(cx, step, &format!("{what} `{name}`"), &model.label, validated));
        }
        for index in after.indexes.iter().filter(|index| index.unique && !index.constraint) {
            if !can_violate(&index_columns(index))
                || had_index(&old.before, index)
                || had_unique_on_sources(&old.before, index, &mirror::copies(&cx.migration.catalog_before, &old.before))
                || keeps_index(&OldRows::new(cx, &old.before, after), index)
            {
                continue;
            }
            let name = index.name.as_str();
            let Some(step) = cx
                .step_where(|catalog: &Catalog| catalog.table(table).is_some_and(|table| table.index(name).is_some()))
            else {
                continue;
            };
            out.push(restricts(cx, step, &format!("unique index `{name}`"), &model.label, ""));
        }
    }
    for step in cx.accepted() {
        out.extend(raising_trigger(cx, step));
        out.extend(partition_bound(cx, step));
    }
}

/// A table that becomes a partition takes the rows of its bound alone. A CHECK that says the same spares the scan.
fn partition_bound(cx: &Cx<'_>, step: &zdm_replay::Step) -> Option<Diagnostic> {
    alter_actions(step).find_map(|(alter, action)| {
        let AlterTableAction::AttachPartition { partition, .. } = action else { return None };
        let old = cx.old.iter().find(|old| old.name() == partition)?;
        let is_new = step.outcome.effects.scans.contains(partition);
        let what = format!("the bound of `{partition}` as a partition of `{}`", alter.name);
        let model = old.model.as_ref().filter(|_| is_new)?;
        Some(restricts(cx, step, &what, &model.label, ""))
    })
}

/// A trigger whose function raises an error: for which rows, only its text tells.
fn raising_trigger(cx: &Cx<'_>, step: &zdm_replay::Step) -> Option<Diagnostic> {
    let Statement::CreateTrigger(create) = &step.statement else { return None };
    let old = cx.old.iter().find(|old| *old.name() == create.table)?;
    let model = old.model.as_ref()?;
    // One that was there before is made anew.
    if old.before.triggers.iter().any(|trigger| trigger.name == create.name) {
        return None;
    }
    let functions = step.catalog_before.functions(&create.function);
    let body = functions.iter().find_map(|function| function.body.as_deref())?;
    let words: Vec<&str> = body
        .split(|character: char| !character.is_alphanumeric() && character != '_')
        .filter(|word| !word.is_empty())
        .collect();
    // Without a level it is an error.
    let quiet = ["debug", "log", "info", "notice", "warning"];
    let raises = words.iter().enumerate().any(|(place, word)| {
        let level = words.get(place + 1);
        word.eq_ignore_ascii_case("raise")
            && !level.is_some_and(|level| quiet.iter().any(|other| level.eq_ignore_ascii_case(other)))
    });
    if !raises {
        return None;
    }
    let events: Vec<&str> = create.events.iter().map(String::as_str).collect();
    let (last, rest) = events.split_last()?;
    let events = if rest.is_empty() { (*last).to_owned() } else { format!("{} or {last}", rest.join(", ")) };
    let article = if events.starts_with(['I', 'U']) { "an" } else { "a" };
    let mut diagnostic = cx
        .at_step(
            step,
            format!(
                "trigger `{}` may refuse {article} {events} that the code that is still running sends for model `{}`: its function raises an error",
                create.name, model.label
            ),
        )
        .with_help("release code that keeps the rule first, and add the trigger in the release after");
    diagnostic.severity = diagnostic.severity.min(Severity::Info);
    Some(diagnostic)
}

fn restricts(cx: &Cx<'_>, step: &zdm_replay::Step, what: &str, model: &str, validated: &str) -> Diagnostic {
    cx.at_step(
        step,
        format!("{what} refuses rows that the code that is still running may write for model `{model}`: such an INSERT or UPDATE fails{validated}"),
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

/// The table had the same restriction before, or one that refuses more, under this or another name.
fn had_constraint(cx: &Cx<'_>, before: &Table, constraint: &Constraint) -> bool {
    match &constraint.kind {
        ConstraintKind::Check { expr, .. } => super::checks_imply(before, &expr.node),
        ConstraintKind::Unique { columns, nulls_not_distinct, .. } => {
            let keys: Vec<IndexKey> = columns.iter().cloned().map(IndexKey::Column).collect();
            was_unique(before, &keys, None, *nulls_not_distinct)
        }
        ConstraintKind::ForeignKey(key) => {
            let referenced = name_before(cx, &key.table);
            before.constraints.iter().any(|other| {
                matches!(&other.kind, ConstraintKind::ForeignKey(other) if other.columns == key.columns && other.table == referenced)
            })
        }
        _ => false,
    }
}

/// The name that a table had before the migration.
fn name_before(cx: &Cx<'_>, table: &QualifiedName) -> QualifiedName {
    let mut name = table.clone();
    for step in cx.migration.steps.iter().rev().filter(|step| !step.is_refused()) {
        for (alter, action) in super::alter_actions(step) {
            if matches!(action, AlterTableAction::RenameTo { name: to } if alter.name.sibling(to.clone()) == name) {
                name = alter.name.clone();
            }
        }
    }
    name
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
    let keys: Vec<IndexKey> = index.elements.iter().map(|element| element.key.clone()).collect();
    let predicate = index.predicate.as_ref().map(|predicate| &*predicate.node);
    was_unique(before, &keys, predicate, index.nulls_not_distinct)
}

/// What is unique by some of the keys is unique by more of them. Where NULLs are equal, each combination of keys that are
/// NULL may have had an index of its own: on `(a, b)`, and on `a` WHERE `b IS NULL`.
fn was_unique(before: &Table, keys: &[IndexKey], predicate: Option<&ExprNode>, nulls_not_distinct: bool) -> bool {
    const MOST: usize = 6;
    let columns = before.columns.iter().filter(|column| column.not_null);
    let not_null: Vec<ExprNode> = columns.map(|column| is_null(&IndexKey::Column(column.name.clone()), true)).collect();
    let known: Vec<&ExprNode> = not_null.iter().chain(predicate).collect();
    let may_be_null: Vec<&IndexKey> = keys.iter().filter(|key| !never_null(&node_of(key), &known)).collect();
    if nulls_not_distinct && may_be_null.len() > MOST {
        return false;
    }
    // Where NULLs are distinct, only rows without one are compared.
    let cases = if nulls_not_distinct { 1_u32 << may_be_null.len() } else { 1 };
    (0..cases).all(|case| {
        let (nulls, values): (Vec<_>, Vec<_>) =
            may_be_null.iter().enumerate().partition(|(place, _)| case & (1 << place) != 0);
        let nulls: Vec<&IndexKey> = nulls.into_iter().map(|(_, key)| *key).collect();
        let of_case: Vec<ExprNode> = nulls
            .iter()
            .map(|key| is_null(key, false))
            .chain(values.into_iter().map(|(_, key)| is_null(key, true)))
            .collect();
        let facts: Vec<&ExprNode> = known.iter().copied().chain(&of_case).collect();
        before.indexes.iter().filter(|other| other.unique && other.valid).any(|other| {
            other.elements.iter().all(|element| {
                keys.contains(&element.key) && (other.nulls_not_distinct || !nulls.contains(&&element.key))
            }) && other.predicate.as_ref().is_none_or(|predicate| zdm_postgres::implies(&facts, &predicate.node))
        })
    })
}

fn is_null(key: &IndexKey, negated: bool) -> ExprNode {
    ExprNode::IsNull { expr: Box::new(node_of(key)), negated }
}

fn node_of(key: &IndexKey) -> ExprNode {
    match key {
        IndexKey::Column(name) => ExprNode::Column { qualifier: None, name: name.clone() },
        IndexKey::Expr(expr) => (*expr.node).clone(),
    }
}

/// `lower(x)` and `upper(x)` are NULL where `x` is, and nowhere else.
fn never_null(node: &ExprNode, facts: &[&ExprNode]) -> bool {
    match node {
        ExprNode::Call { function, args, .. } if matches!(function.name.as_str(), "lower" | "upper") => {
            args.iter().all(|arg| never_null(arg, facts))
        }
        // As the server keeps `lower(name)` of a `varchar`: `lower((name)::text)`.
        ExprNode::Cast { expr, .. } => never_null(expr, facts),
        _ => zdm_postgres::implies(facts, &ExprNode::IsNull { expr: Box::new(node.clone()), negated: true }),
    }
}

/// The rows of running code pass whatever they say: in columns that it does not know they hold NULL or a default.
fn keeps_constraint(rows: &OldRows<'_>, constraint: &Constraint) -> bool {
    match &constraint.kind {
        ConstraintKind::Check { expr, .. } => !rows.can_be_false(&expr.node),
        ConstraintKind::Unique { columns, nulls_not_distinct: false, .. } => {
            columns.iter().any(|column| rows.leave_null(column))
        }
        _ => false,
    }
}

fn keeps_index(rows: &OldRows<'_>, index: &Index) -> bool {
    let leaves_null = index.key_columns().any(|column| rows.leave_null(column));
    (leaves_null && !index.nulls_not_distinct)
        || index.predicate.as_ref().is_some_and(|predicate| !rows.can_be_true(&predicate.node))
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

//! ZDM210: a view, function, type, sequence, trigger, extension, schema or database is dropped that running code may use.

use zdm_postgres::catalog::{Function, Relation};
use zdm_postgres::statement::{AlterTableAction, DropBehavior, DropObjects, ObjectKind};
use zdm_postgres::{Catalog, QualifiedName, Statement};
use zdm_replay::Step;
use zdm_source::{Diagnostic, Severity};

use crate::context::{Cx, name_list};
use crate::mirror;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        views_along(cx, step, out);
        narrower_views(cx, step, out);
        let Statement::Drop(drop) = &step.statement else { continue };
        let Some(what) = word(drop.kind) else { continue };
        // What is made again in the same migration is replaced, not gone.
        // Extensions are mostly made by hand, and what the migrations do not make may still be there.
        let by_hand = drop.kind == ObjectKind::Extension && drop.if_exists;
        let gone: Vec<_> = drop
            .names
            .iter()
            .filter(|name| {
                is_there(&cx.migration.catalog_before, drop, name)
                    || (by_hand && !is_there(&step.catalog_before, drop, name))
            })
            // Nothing but a trigger calls a trigger's function, and the server refuses to drop one that a trigger calls.
            .filter(|name| {
                what != "function"
                    || drop.behavior == DropBehavior::Cascade
                    || !cx.migration.catalog_before.functions(name).iter().all(returns_trigger)
            })
            .filter(|name| what == "database" || !is_there(&cx.migration.catalog_after, drop, name))
            .filter(|name| what != "trigger" || !lost_its_columns(cx, drop, name))
            .collect();
        if gone.is_empty() {
            continue;
        }
        let (ending, it) = if gone.len() == 1 { ("", "it") } else { ("s", "them") };
        let help = format!("drop {it} one release after the last code that uses {it}");
        let message = match &drop.on {
            Some(table) => format!(
                "dropping {what} {} of `{table}` breaks what it keeps true for code that is still running",
                name_list(gone)
            ),
            None => format!(
                "dropping {what}{ending} {} breaks code that is still running, if it uses {it}",
                name_list(gone)
            ),
        };
        let mut diagnostic = cx.at_step(step, message);
        // Whether code relies on it, nobody can tell from outside.
        if what == "trigger" {
            diagnostic.severity = diagnostic.severity.min(Severity::Info);
        }
        if what == "schema" {
            diagnostic = diagnostic.with_fact("with CASCADE everything in it goes with it, rows included");
        }
        out.push(diagnostic.with_help(help));
    }
}

/// The views that CASCADE takes along: Django writes it where it drops a column or a table.
fn views_along(cx: &Cx<'_>, step: &Step, out: &mut Vec<Diagnostic>) {
    let (named, cascades) = match &step.statement {
        Statement::Drop(drop) => (drop.names.as_slice(), drop.behavior == DropBehavior::Cascade),
        Statement::AlterTable(alter) => {
            let cascades = alter
                .actions
                .iter()
                .any(|action| matches!(action, AlterTableAction::DropColumn { behavior: DropBehavior::Cascade, .. }));
            (std::slice::from_ref(&alter.name), cascades)
        }
        _ => return,
    };
    if !cascades || step.python {
        return;
    }
    let gone = cx
        .migration
        .catalog_before
        .relations()
        .filter(|(name, relation)| {
            matches!(relation, Relation::View(_))
                && !named.contains(name)
                && step.catalog_before.relation(name).is_some()
                && step.catalog_after.relation(name).is_none()
                && cx.migration.catalog_after.relation(name).is_none()
        })
        .map(|(name, _)| name.clone());
    let mut gone: Vec<QualifiedName> = gone.collect();
    if gone.is_empty() {
        return;
    }
    gone.sort();
    let (what, it) = if gone.len() == 1 { ("view", "it") } else { ("views", "them") };
    out.push(
        cx.at_step(
            step,
            format!(
                "CASCADE drops {what} {} too, and breaks code that is still running, if it uses {it}",
                name_list(&gone)
            ),
        )
        .with_help(format!("make the {what} anew without what is dropped, one release before")),
    );
}

/// Views that are dropped and made again without some of their columns.
fn narrower_views(cx: &Cx<'_>, step: &Step, out: &mut Vec<Diagnostic>) {
    let Statement::Drop(drop) = &step.statement else { return };
    if !matches!(drop.kind, ObjectKind::View | ObjectKind::MaterializedView) {
        return;
    }
    for name in &drop.names {
        let view = |catalog: &'_ Catalog| match catalog.relation(name) {
            Some(Relation::View(view)) => Some((view.columns.clone(), view.query.star)),
            _ => None,
        };
        let (Some((before, _)), Some((after, false))) =
            (view(&cx.migration.catalog_before), view(&cx.migration.catalog_after))
        else {
            continue;
        };
        let gone: Vec<_> = before.iter().filter(|column| !after.contains(column)).collect();
        if gone.is_empty() || after.is_empty() {
            continue;
        }
        out.push(
            cx.at_step(
                step,
                format!(
                    "view `{name}` is made anew without {}, and breaks code that is still running, if it reads it",
                    name_list(gone)
                ),
            )
            .with_help("keep the column until one release after the last code that reads it"),
        );
    }
}

const fn word(kind: ObjectKind) -> Option<&'static str> {
    Some(match kind {
        ObjectKind::View => "view",
        ObjectKind::MaterializedView => "materialized view",
        ObjectKind::Function | ObjectKind::Routine => "function",
        ObjectKind::Procedure => "procedure",
        ObjectKind::Type => "type",
        ObjectKind::Domain => "domain",
        ObjectKind::Sequence => "sequence",
        ObjectKind::Trigger => "trigger",
        ObjectKind::Extension => "extension",
        ObjectKind::Schema => "schema",
        ObjectKind::Database => "database",
        _ => return None,
    })
}

fn is_there(catalog: &Catalog, drop: &DropObjects, name: &QualifiedName) -> bool {
    match drop.kind {
        ObjectKind::View | ObjectKind::MaterializedView | ObjectKind::Sequence => catalog.relation(name).is_some(),
        ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Routine => !catalog.functions(name).is_empty(),
        ObjectKind::Type | ObjectKind::Domain => catalog.user_type(name).is_some(),
        ObjectKind::Extension => catalog.has_extension(name.name.as_str()),
        ObjectKind::Schema => catalog.has_schema(name.name.as_str()),
        ObjectKind::Trigger => {
            let table = drop.on.as_ref().and_then(|table| catalog.table(table));
            table.is_some_and(|table| table.triggers.iter().any(|trigger| trigger.name == name.name))
        }
        // Databases are outside of what a catalog knows.
        ObjectKind::Database => true,
        _ => false,
    }
}

/// The columns that the trigger's function names go in the same migration, and with them what it kept true: so ends a dual
/// write.
fn lost_its_columns(cx: &Cx<'_>, drop: &DropObjects, name: &QualifiedName) -> bool {
    let Some(table) = &drop.on else { return false };
    let (before, after) = (&cx.migration.catalog_before, &cx.migration.catalog_after);
    let Some(trigger) = before.table(table).and_then(|table| table.triggers.iter().find(|one| one.name == name.name))
    else {
        return false;
    };
    let Some(after) = after.table(table) else { return true };
    let named = mirror::body(before, trigger).map(mirror::columns_of_rows).unwrap_or_default();
    named.iter().any(|column| after.column(column.as_str()).is_none())
}

fn returns_trigger(function: &Function) -> bool {
    function.returns.as_ref().is_some_and(|returns| returns.is("trigger"))
}

//! ZDM808: a foreign key whose columns no index begins with.

use std::collections::BTreeSet;
use std::sync::Arc;

use zdm_postgres::Ident;
use zdm_postgres::Statement;
use zdm_postgres::catalog::{ConstraintKind, Table};
use zdm_postgres::statement::{AlterTableAction, IndexKey};
use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for table in changed_tables(cx) {
        let before = cx.migration.catalog_before.table(&table.name);
        if table.assumed || before.is_some_and(|before| Arc::ptr_eq(before, table)) {
            continue;
        }
        for constraint in &table.constraints {
            let ConstraintKind::ForeignKey(key) = &constraint.kind else { continue };
            let name = constraint.name.as_str();
            let missing = |table: &Table| table.constraint(name).is_some() && !is_indexed(table, &key.columns);
            if !missing(table) || before.is_some_and(|before| missing(before)) {
                continue;
            }
            let Some(step) = cx.step_where(|catalog| catalog.table(&table.name).is_some_and(|table| missing(table)))
            else {
                continue;
            };
            out.push(
                cx.at_step(
                    step,
                    format!(
                        "the foreign key `{name}` of `{}` has no index: each DELETE on `{}`, and each UPDATE of its key, reads all of `{}`",
                        table.name, key.table, table.name
                    ),
                )
                .with_help("leave `db_index` on, or add an index that begins with the column"),
            );
        }
    }
}

/// The tables that the migration may have changed, sorted by name: whatever is changed is locked, under the name that it
/// has then.
fn changed_tables<'a>(cx: &Cx<'a>) -> Vec<&'a Arc<Table>> {
    let after = &cx.migration.catalog_after;
    let mut names = BTreeSet::new();
    for step in &cx.migration.steps {
        names.extend(step.outcome.effects.locks.keys().cloned());
        match &step.statement {
            Statement::CreateTable(create) => {
                names.insert(create.name.clone());
            }
            Statement::AlterTable(alter) => names.extend(alter.actions.iter().filter_map(|action| match action {
                AlterTableAction::RenameTo { name } => Some(alter.name.sibling(name.clone())),
                _ => None,
            })),
            _ => {}
        }
    }
    names.iter().filter_map(|name| after.table(name)).collect()
}

fn is_indexed(table: &Table, columns: &[Ident]) -> bool {
    table.indexes.iter().any(|index| {
        let mut keys: Vec<&Ident> = index
            .elements
            .iter()
            .take(columns.len())
            .filter_map(|element| match &element.key {
                IndexKey::Column(name) => Some(name),
                IndexKey::Expr(_) => None,
            })
            .collect();
        let mut wanted: Vec<&Ident> = columns.iter().collect();
        keys.sort();
        wanted.sort();
        index.predicate.is_none() && keys == wanted
    })
}

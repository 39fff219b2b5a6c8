//! ZDM131: a statement locks a table that it does not name, through a foreign key.

use zdm_postgres::statement::{AlterTableAction, ObjectKind};
use zdm_postgres::{LockMode, QualifiedName, Statement};
use zdm_replay::Step;
use zdm_source::{Diagnostic, Severity};

use crate::context::{Cx, shortened};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let named = match &step.statement {
            Statement::AlterTable(_) | Statement::CreateTable(_) => names(step),
            Statement::Drop(drop) if drop.kind == ObjectKind::Table => names(step),
            _ => continue,
        };
        for (table, mode) in &step.outcome.effects.locks {
            let is_other_table = !named.contains(&table) && step.catalog_before.table(table).is_some();
            if !is_other_table || *mode < LockMode::ShareRowExclusive || !cx.existed(step, table) {
                continue;
            }
            // The transaction holds the lock already, by a statement that names the table.
            let held = |other: &&Step| {
                other.number < step.number
                    && other.transaction == step.transaction
                    && names(other).contains(&table)
                    && other.outcome.effects.locks.iter().any(|(locked, held)| locked == table && held >= mode)
            };
            if step.transaction.is_some() && cx.accepted().any(|other| held(&other)) {
                continue;
            }
            // Partitions and children share the fate of the table that is named.
            let related = step.catalog_before.table(table).is_some_and(|other| {
                other.partition_of.as_ref().is_some_and(|(parent, _)| named.contains(&parent))
                    || other.inherits.iter().any(|parent| named.contains(&parent))
            });
            if related {
                continue;
            }
            let target = named.first().map(ToString::to_string).unwrap_or_default();
            let verb = match &step.statement {
                Statement::CreateTable(_) => "creating",
                Statement::Drop(_) => "dropping",
                _ => "altering",
            };
            let mut diagnostic = cx
                .at_step(
                    step,
                    format!(
                        "{verb} `{target}` also locks `{table}` ({mode}): {} on it until this transaction ends",
                        if mode.blocks_select() { "every query waits" } else { "INSERT, UPDATE and DELETE wait" }
                    ),
                )
                .with_fact(format!(
                    "a foreign key joins the two tables, and its triggers on `{table}` are made or removed; `{}` takes the lock and keeps it to the end of the transaction",
                    shortened(&step.sql, 90)
                ))
                .with_help("keep this statement in a migration of its own, and run it with a short lock_timeout and retries (`zdm migrate`)");
            if *mode < LockMode::AccessExclusive && diagnostic.severity == Severity::Warning {
                diagnostic.severity = Severity::Info;
            }
            if cx.facts(table).hot == Some(true) {
                diagnostic.severity = Severity::Error;
            }
            out.push(diagnostic);
        }
    }
}

/// The tables that a statement names.
fn names(step: &Step) -> Vec<&QualifiedName> {
    match &step.statement {
        Statement::AlterTable(alter) => std::iter::once(&alter.name)
            .chain(alter.actions.iter().filter_map(|action| match action {
                AlterTableAction::AttachPartition { partition, .. }
                | AlterTableAction::DetachPartition { partition, .. } => Some(partition),
                AlterTableAction::Inherit { parent } | AlterTableAction::NoInherit { parent } => Some(parent),
                _ => None,
            }))
            .collect(),
        Statement::CreateTable(create) => {
            std::iter::once(&create.name).chain(create.partition_of.iter().map(|(parent, _)| parent)).collect()
        }
        Statement::CreateTrigger(create) => vec![&create.table],
        Statement::Drop(drop) => match &drop.on {
            Some(table) => vec![table],
            None => drop.names.iter().collect(),
        },
        Statement::Lock { tables, .. } => tables.iter().map(|(table, _)| table).collect(),
        _ => Vec::new(),
    }
}

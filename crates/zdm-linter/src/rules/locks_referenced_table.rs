//! ZDM131: a statement locks a table that it does not name, through a foreign key.

use zdm_postgres::statement::{AlterTableAction, ObjectKind};
use zdm_postgres::{LockMode, QualifiedName, Statement};
use zdm_replay::Step;
use zdm_source::{Diagnostic, Severity};

use crate::context::{Cx, name_list, shortened};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    let mut told: Vec<Told<'_>> = Vec::new();
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
            // The transaction holds the lock already: that was told, or the table is named there.
            let held = |other: &&Step| {
                other.number < step.number
                    && other.transaction == step.transaction
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
            let verb = verb(cx, step);
            let same = told.iter_mut().find(|other| {
                other.step.operation == step.operation
                    && other.mode == *mode
                    && other.step.transaction == step.transaction
                    && other.verb == verb
            });
            let target = named.first().copied();
            match same {
                Some(other) => {
                    other.targets.extend(target.filter(|target| !other.targets.contains(target)));
                    if !other.tables.contains(&table) {
                        other.tables.push(table);
                    }
                }
                None => told.push(Told {
                    step,
                    mode: *mode,
                    verb,
                    targets: target.into_iter().collect(),
                    tables: vec![table],
                }),
            }
        }
    }
    out.extend(told.into_iter().map(|told| report(cx, &told)));
}

/// What one operation locks besides the tables that it names.
struct Told<'a> {
    /// The first statement that does.
    step: &'a Step,
    mode: LockMode,
    /// What it does to the targets.
    verb: &'static str,
    targets: Vec<&'a QualifiedName>,
    tables: Vec<&'a QualifiedName>,
}

fn verb(cx: &Cx<'_>, step: &Step) -> &'static str {
    match &step.statement {
        Statement::CreateTable(_) => "creating",
        Statement::Drop(_) => "dropping",
        // Django adds the foreign keys of a new table behind it.
        Statement::AlterTable(alter) if !cx.existed(step, &alter.name) => "creating",
        _ => "altering",
    }
}

fn report(cx: &Cx<'_>, told: &Told<'_>) -> Diagnostic {
    let Told { step, mode, verb, targets, tables } = told;
    let tables = cx.named(tables.iter().copied());
    let listed_targets = name_list(targets);
    let listed = name_list(&tables);
    let (them, joined) = match tables.as_slice() {
        [_] => ("it", "a foreign key joins the two tables"),
        _ => ("them", "foreign keys join the tables"),
    };
    let about = targets.iter().copied().chain(tables.iter().copied());
    let mut diagnostic = cx
        .at_step(
            step,
            format!(
                "{verb} {listed_targets} also locks {listed} ({mode}): {} on {them} until this transaction ends",
                if mode.blocks_select() { "every query waits" } else { "INSERT, UPDATE and DELETE wait" }
            ),
        )
        .about(about)
        .with_fact(format!(
            "{joined}, and triggers on {listed} are made or removed; `{}` takes the lock and keeps it to the end of the transaction",
            shortened(&step.sql, 90)
        ))
        .with_help("keep this statement in a migration of its own, and run it with a short lock_timeout and retries (`zdm migrate`)");
    if *mode < LockMode::AccessExclusive && diagnostic.severity == Severity::Warning {
        diagnostic.severity = Severity::Info;
    }
    if tables.iter().any(|table| cx.facts(table).hot == Some(true)) {
        diagnostic.severity = Severity::Error;
    }
    diagnostic
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

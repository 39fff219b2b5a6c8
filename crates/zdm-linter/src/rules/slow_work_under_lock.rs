//! ZDM141: slow work runs while an earlier statement of the same transaction holds a strong lock.

use std::collections::BTreeMap;

use zdm_django::OperationKind;
use zdm_postgres::effects::Held;
use zdm_postgres::{LockMode, QualifiedName, Statement};
use zdm_replay::Step;
use zdm_source::{Diagnostic, Severity};

use crate::context::{Cx, name_list, shortened};
use crate::rules::not_valid_and_validate_together;
use crate::{fixes, words};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        if step.transaction.is_none() {
            continue;
        }
        let Some(work) = slow_work(cx, step) else { continue };
        let mut held = strong_locks(cx, step, |held| held.by < step.number);
        // What the step itself locks as strongly, its own rule tells.
        held.retain(|(name, held)| step.outcome.effects.locks.get(*name).is_none_or(|own| *own < held.mode));
        // NOT VALID and VALIDATE in one transaction are ZDM142's matter.
        if let Some(added) = not_valid_and_validate_together::added_before(cx, step) {
            held.retain(|(_, held)| held.by != added.number);
        }
        if !held.is_empty() {
            report(cx, cx.at_step(step, message(cx, &work, &held)), Some(kind_of(step)), &held, out);
        }
    }
    for (index, operation) in cx.migration.migration.operations.iter().enumerate() {
        let runs_python = cx.migration.operations.get(index).is_some_and(|trace| trace.python);
        if !runs_python || !cx.migration.migration.atomic {
            continue;
        }
        if let OperationKind::RunPython(run) = &operation.kind
            && words::is_noop(&run.code)
        {
            continue;
        }
        let before = cx.steps().filter(|step| !step.deferred && step.operation < index).last();
        let Some(before) = before.filter(|step| step.transaction.is_some()) else { continue };
        let held = strong_locks(cx, before, |_| true);
        if !held.is_empty() {
            let work = format!("the Python code of {}", operation.name());
            report(cx, cx.at_operation(index, message(cx, &work, &held)), None, &held, out);
        }
    }
}

/// What takes time in a step, in words; nothing if it is quick.
fn slow_work(cx: &Cx<'_>, step: &Step) -> Option<String> {
    let effects = &step.outcome.effects;
    let old = |names: &std::collections::BTreeSet<QualifiedName>| {
        names.iter().filter(|name| cx.existed(step, name)).cloned().collect::<Vec<_>>()
    };
    if !old(&effects.rewrites).is_empty() {
        return Some(format!("the rewrite of {}", name_list(old(&effects.rewrites))));
    }
    let changes_rows = match &step.statement {
        Statement::Update(dml) | Statement::Delete(dml) | Statement::Merge(dml) => Some(dml),
        Statement::Insert(dml) if dml.values_rows.is_none() => Some(dml),
        _ => None,
    };
    if let Some(dml) = changes_rows
        && cx.existed(step, &dml.table)
    {
        return Some(format!("the change of the rows of `{}`", dml.table));
    }
    let built: Vec<_> = effects.index_builds.iter().cloned().collect();
    let scanned = old(&effects.scans);
    if !built.is_empty() && !scanned.is_empty() {
        return Some(format!("building {} (a scan of {})", name_list(built), name_list(scanned)));
    }
    if !scanned.is_empty() {
        return Some(format!("the scan of {}", name_list(scanned)));
    }
    None
}

/// Locks that stop writers or more, on relations that running code may use.
fn strong_locks<'a>(cx: &Cx<'_>, step: &'a Step, counts: impl Fn(&Held) -> bool) -> Vec<(&'a QualifiedName, Held)> {
    step.outcome
        .held
        .iter()
        .filter(|(name, held)| {
            held.mode >= LockMode::Share
                && counts(held)
                && step.catalog_before.table(name).is_some()
                && cx.existed(step, name)
        })
        .map(|(name, held)| (name, *held))
        .collect()
}

fn message(cx: &Cx<'_>, work: &str, held: &[(&QualifiedName, Held)]) -> String {
    let strongest = held.iter().map(|(_, held)| held.mode).max().unwrap_or(LockMode::Share);
    let tables: Vec<_> = held.iter().filter(|(_, held)| held.mode == strongest).map(|(name, _)| *name).collect();
    format!(
        "{work} runs while {strongest} is still held on {}: {} until {}",
        name_list(tables),
        if strongest.blocks_select() { "every query waits" } else { "INSERT, UPDATE and DELETE wait" },
        words::end_of_transaction(cx)
    )
}

/// What a step spends its time with, as the pages name it.
fn kind_of(step: &Step) -> &'static str {
    let effects = &step.outcome.effects;
    if !effects.rewrites.is_empty() {
        "rewrite"
    } else if !effects.index_builds.is_empty() {
        "index build"
    } else if !effects.scans.is_empty() {
        "scan"
    } else {
        "row change"
    }
}

fn report(
    cx: &Cx<'_>,
    mut diagnostic: Diagnostic,
    work: Option<&str>,
    held: &[(&QualifiedName, Held)],
    out: &mut Vec<Diagnostic>,
) {
    let mut taken_by: Vec<&Step> = Vec::new();
    for (_, lock) in held {
        if let Some(step) = cx.steps().find(|step| step.number == lock.by)
            && !taken_by.iter().any(|other| std::ptr::eq(*other, step))
        {
            taken_by.push(step);
        }
    }
    for step in taken_by {
        let own = held.iter().filter(|(_, lock)| lock.by == step.number);
        let mut by_mode: BTreeMap<LockMode, Vec<&QualifiedName>> = BTreeMap::new();
        for (name, lock) in own {
            by_mode.entry(lock.mode).or_default().push(name);
        }
        let locks: Vec<String> =
            by_mode.into_iter().rev().map(|(mode, names)| format!("{mode} on {}", name_list(names))).collect();
        diagnostic = diagnostic.with_related(
            cx.label_step(step, format!("takes {}: `{}`", locks.join(" and "), shortened(&step.sql, 70))),
        );
    }
    // What stands in one operation cannot be split.
    if let Some(index) = diagnostic.subject.operation
        && held.iter().all(|(_, lock)| {
            cx.steps().find(|step| step.number == lock.by).is_some_and(|step| step.operation < index && !step.deferred)
        })
    {
        diagnostic = Cx::fixed(diagnostic, fixes::split_before(cx, index));
    }
    diagnostic = diagnostic
        .with_fact("a transaction keeps every lock to its end; the quick statement's lock lasts as long as the slow work after it")
        .with_help("split the migration: the quick change in one, the slow work in the next (indexes concurrently, with `atomic = False`)");
    // Readers go on; how long writers wait depends on the size.
    if held.iter().all(|(_, held)| held.mode < LockMode::AccessExclusive)
        && cx.config.own_severity(cx.page, cx.migration.migration.file.path()).is_none()
    {
        diagnostic.severity = Severity::Warning;
    }
    let known = held.iter().map(|(name, _)| *name).find(|name| cx.facts(name) != crate::config::TableFacts::default());
    if let Some(name) = known {
        cx.weigh_work(name, work, &mut diagnostic);
    }
    out.push(diagnostic);
}

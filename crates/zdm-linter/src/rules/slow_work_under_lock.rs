//! ZDM141: slow work runs while an earlier statement of the same transaction holds a strong lock.

use std::collections::{BTreeMap, BTreeSet};

use zdm_django::OperationKind;
use zdm_postgres::effects::Held;
use zdm_postgres::{LockMode, QualifiedName, Statement};
use zdm_replay::Step;
use zdm_source::{Diagnostic, Severity};

use crate::config::TableFacts;
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
            report(cx, cx.at_step(step, message(cx, &work.what, &held)), Some((step, &work)), &held, out);
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

/// What takes time in a step.
struct Work {
    /// In words.
    what: String,
    /// As the pages name it.
    kind: &'static str,
    /// The tables that were there before the migration.
    tables: Vec<QualifiedName>,
}

/// Nothing if the step is quick.
fn slow_work(cx: &Cx<'_>, step: &Step) -> Option<Work> {
    let effects = &step.outcome.effects;
    let old = |names: &BTreeSet<QualifiedName>| {
        names.iter().filter(|name| cx.existed(step, name)).cloned().collect::<Vec<_>>()
    };
    let rewritten = old(&effects.rewrites);
    if !rewritten.is_empty() {
        let what = format!("the rewrite of {}", name_list(&rewritten));
        return Some(Work { what, kind: "rewrite", tables: rewritten });
    }
    let changes_rows = match &step.statement {
        Statement::Update(dml) | Statement::Delete(dml) | Statement::Merge(dml) => Some(dml),
        Statement::Insert(dml) if dml.values_rows.is_none() => Some(dml),
        _ => None,
    };
    if let Some(dml) = changes_rows
        && cx.existed(step, &dml.table)
    {
        let what = format!("the change of the rows of `{}`", dml.table);
        return Some(Work { what, kind: "row change", tables: vec![dml.table.clone()] });
    }
    let scanned = old(&effects.scans);
    if scanned.is_empty() {
        return None;
    }
    let scan = format!("scan of {}", name_list(&scanned));
    Some(if effects.index_builds.is_empty() {
        Work { what: format!("the {scan}"), kind: "scan", tables: scanned }
    } else {
        let what = format!("building {} (a {scan})", name_list(&effects.index_builds));
        Work { what, kind: "index build", tables: scanned }
    })
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

/// One operation of Django's takes the locks and does the work. What it defers to the end of the migration is an index of its
/// own, which another operation can make.
fn stands_in_one_operation(cx: &Cx<'_>, step: &Step, held: &[(&QualifiedName, Held)]) -> bool {
    let takes = |other: &&Step| held.iter().any(|(_, lock)| lock.by == other.number);
    !step.raw && !step.deferred && cx.steps().filter(takes).all(|other| other.operation == step.operation)
}

/// How many places of locks a finding shows.
const MOST_PLACES: usize = 5;

fn report(
    cx: &Cx<'_>,
    mut diagnostic: Diagnostic,
    work: Option<(&Step, &Work)>,
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
    let more = taken_by.len().saturating_sub(MOST_PLACES);
    for step in taken_by.iter().copied().take(MOST_PLACES) {
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
    if more > 0 {
        let statements = if more == 1 { "one more statement takes" } else { &format!("{more} more statements take") };
        diagnostic = diagnostic.with_fact(format!("{statements} such locks in front of it"));
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
        .with_help(if work.is_some_and(|(step, _)| stands_in_one_operation(cx, step, held)) {
            "one operation sends all of it, and Django does not divide it: change the state with SeparateDatabaseAndState, and send each slow statement in a migration of its own"
        } else {
            "split the migration: the quick change in one, the slow work in the next (indexes concurrently, with `atomic = False`)"
        });
    // Readers go on; how long writers wait depends on the size.
    if held.iter().all(|(_, held)| held.mode < LockMode::AccessExclusive)
        && cx.config.own_severity(cx.page, cx.migration.migration.file.path()).is_none()
    {
        diagnostic.severity = Severity::Warning;
    }
    let known = |name: &&QualifiedName| cx.facts(name) != TableFacts::default();
    let worked_on = work.and_then(|(_, work)| Some((work.tables.iter().find(known)?, work.kind)));
    match worked_on {
        Some((name, kind)) => {
            cx.weigh_work(name, Some(kind), &mut diagnostic);
            weigh_held(cx, held, &mut diagnostic);
        }
        None => {
            if let Some(name) = held.iter().map(|(name, _)| *name).find(known) {
                cx.weigh_work(name, None, &mut diagnostic);
            }
        }
    }
    out.push(diagnostic);
}

/// The users of a hot table wait, however small the one is that the time is spent on.
fn weigh_held(cx: &Cx<'_>, held: &[(&QualifiedName, Held)], diagnostic: &mut Diagnostic) {
    let own = cx.config.own_severity(cx.page, cx.migration.migration.file.path()).is_some();
    if !own && held.iter().any(|(name, _)| cx.facts(name).hot == Some(true)) {
        diagnostic.severity = Severity::Error;
    }
}

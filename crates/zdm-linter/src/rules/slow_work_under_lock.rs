//! ZDM141: slow work runs while an earlier statement of the same transaction holds a strong lock.

use std::collections::{BTreeMap, BTreeSet};

use zdm_django::OperationKind;
use zdm_postgres::effects::Held;
use zdm_postgres::{LockMode, QualifiedName, Statement};
use zdm_replay::Step;
use zdm_source::{Diagnostic, Severity};

use crate::config::TableFacts;
use crate::context::{Cx, estimate_together, name_list, shortened};
use crate::rules::not_valid_and_validate_together;
use crate::{fixes, words};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    let mut found: Vec<Slow<'_>> = Vec::new();
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
        if held.is_empty() {
            continue;
        }
        // One operation is told once, whatever it works on; what it defers is a part of its own.
        let same = found.iter_mut().find(|other| {
            let first = other.steps[0];
            (first.operation, first.deferred, first.span) == (step.operation, step.deferred, step.span)
        });
        match same {
            Some(other) => other.add(step, work, held),
            None => found.push(Slow { steps: vec![step], works: vec![work], held }),
        }
    }
    for slow in &found {
        let work = words_for(cx, &slow.works);
        report(cx, cx.at_step(slow.steps[0], message(cx, &work, &slow.held)), Some(slow), &slow.held, out);
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
            let work = format!("the Python code of {} runs", operation.name());
            report(cx, cx.at_operation(index, message(cx, &work, &held)), None, &held, out);
        }
    }
}

/// The slow steps of one operation, with what is held during any of them.
struct Slow<'a> {
    steps: Vec<&'a Step>,
    works: Vec<Work>,
    held: Vec<(&'a QualifiedName, Held)>,
}

impl<'a> Slow<'a> {
    fn add(&mut self, step: &'a Step, work: Work, held: Vec<(&'a QualifiedName, Held)>) {
        self.steps.push(step);
        self.works.push(work);
        for (name, lock) in held {
            match self.held.iter_mut().find(|(other, _)| *other == name) {
                Some((_, other)) if other.mode >= lock.mode => {}
                Some((_, other)) => *other = lock,
                None => self.held.push((name, lock)),
            }
        }
        self.held.sort_by_key(|(name, _)| *name);
    }
}

/// What takes time in a step.
struct Work {
    /// As the pages name it.
    kind: &'static str,
    /// The tables that were there before the migration.
    tables: Vec<QualifiedName>,
    indexes: Vec<QualifiedName>,
}

/// Nothing if the step is quick.
fn slow_work(cx: &Cx<'_>, step: &Step) -> Option<Work> {
    let effects = &step.outcome.effects;
    let old = |names: &BTreeSet<QualifiedName>| {
        names.iter().filter(|name| cx.existed(step, name)).cloned().collect::<Vec<_>>()
    };
    let work = |kind, tables| Some(Work { kind, tables, indexes: Vec::new() });
    let rewritten = old(&effects.rewrites);
    if !rewritten.is_empty() {
        return work("rewrite", rewritten);
    }
    let changes_rows = match &step.statement {
        Statement::Update(dml) | Statement::Delete(dml) | Statement::Merge(dml) => Some(dml),
        Statement::Insert(dml) if dml.values_rows.is_none() => Some(dml),
        _ => None,
    };
    if let Some(dml) = changes_rows
        && cx.existed(step, &dml.table)
    {
        return work("row change", vec![dml.table.clone()]);
    }
    let scanned = old(&effects.scans);
    if scanned.is_empty() {
        return None;
    }
    if effects.index_builds.is_empty() {
        return work("scan", scanned);
    }
    Some(Work { kind: "index build", tables: scanned, indexes: effects.index_builds.iter().cloned().collect() })
}

/// More tables than these are counted in a message, and named behind it.
const MOST_TABLES: usize = 3;

/// `the rewrite of 27 tables and the scan of 26 tables run`.
fn words_for(cx: &Cx<'_>, works: &[Work]) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    for work in works {
        if !kinds.contains(&work.kind) {
            kinds.push(work.kind);
        }
    }
    let words = kinds.iter().map(|kind| {
        let tables = tables_worked_on(cx, works, kind);
        let names = if tables.len() > MOST_TABLES { format!("{} tables", tables.len()) } else { name_list(&tables) };
        match *kind {
            "rewrite" => format!("the rewrite of {names}"),
            "row change" => format!("the change of the rows of {names}"),
            "index build" => {
                let built = works.iter().flat_map(|work| &work.indexes);
                format!("building {} (a scan of {names})", name_list(built))
            }
            _ => format!("the scan of {names}"),
        }
    });
    let words: Vec<String> = words.collect();
    match words.as_slice() {
        [one] => format!("{one} runs"),
        [more @ .., last] => format!("{} and {last} run", more.join(", ")),
        [] => String::new(),
    }
}

/// The tables of works of one kind, each once.
fn tables_worked_on<'w>(cx: &Cx<'_>, works: &'w [Work], kind: &str) -> Vec<&'w QualifiedName> {
    let mut tables: Vec<&QualifiedName> = Vec::new();
    for table in works.iter().filter(|work| work.kind == kind).flat_map(|work| &work.tables) {
        if !tables.contains(&table) {
            tables.push(table);
        }
    }
    cx.named(tables)
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
    let tables = cx.named(held.iter().filter(|(_, held)| held.mode == strongest).map(|(name, _)| *name));
    format!(
        "{work} while {strongest} is still held on {}: {} until {}",
        name_list(tables),
        if strongest.blocks_select() { "every query waits" } else { "INSERT, UPDATE and DELETE wait" },
        words::end_of_transaction(cx)
    )
}

/// One operation of Django's takes the locks and does the work. What it defers to the end of the migration is an index of its
/// own, which another operation can make.
fn stands_in_one_operation(cx: &Cx<'_>, slow: &Slow<'_>) -> bool {
    let step = slow.steps[0];
    let takes = |other: &&Step| slow.held.iter().any(|(_, lock)| lock.by == other.number);
    !step.raw && !step.deferred && cx.steps().filter(takes).all(|other| other.operation == step.operation)
}

/// How many places of locks a finding shows.
const MOST_PLACES: usize = 5;

fn report(
    cx: &Cx<'_>,
    mut diagnostic: Diagnostic,
    slow: Option<&Slow<'_>>,
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
    if let Some(slow) = slow {
        diagnostic = name_many(cx, slow, diagnostic);
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
        .with_help(match slow {
            Some(slow) if let Some(help) = words::mirror_help(cx, slow.steps[0]) => help,
            Some(slow) if stands_in_one_operation(cx, slow) => {
                "one operation sends all of it, and Django does not divide it: change the state with SeparateDatabaseAndState, and send each slow statement in a migration of its own".to_owned()
            }
            _ => {
                "split the migration: the quick change in one, the slow work in the next (indexes concurrently, with `atomic = False`)".to_owned()
            }
        });
    // Readers go on; how long writers wait depends on the size.
    if held.iter().all(|(_, held)| held.mode < LockMode::AccessExclusive)
        && cx.config.own_severity(cx.page, cx.migration.migration.file.path()).is_none()
    {
        diagnostic.severity = Severity::Warning;
    }
    let works = slow.map_or(&[][..], |slow| &slow.works);
    let worked_on: Vec<(&QualifiedName, &str)> =
        works.iter().flat_map(|work| work.tables.iter().map(|table| (table, work.kind))).collect();
    diagnostic = diagnostic.about(worked_on.iter().map(|(table, _)| *table).chain(held.iter().map(|(name, _)| *name)));
    let known = |name: &QualifiedName| cx.facts(name) != TableFacts::default();
    let most = worked_on.iter().rev().filter(|(name, _)| known(name)).max_by_key(|(name, _)| {
        let facts = cx.facts(name);
        (facts.hot == Some(true), facts.rows)
    });
    if let Some((name, kind)) = most {
        cx.weigh_work(name, Some(kind), &mut diagnostic);
        weigh_held(cx, held, &mut diagnostic);
    } else if let Some((name, _)) = held.iter().find(|(name, _)| known(name)) {
        cx.weigh_work(name, None, &mut diagnostic);
    }
    out.push(diagnostic);
}

/// What the message counts, by name, and how long all of it takes.
fn name_many(cx: &Cx<'_>, slow: &Slow<'_>, mut diagnostic: Diagnostic) -> Diagnostic {
    for (kind, what) in
        [("rewrite", "written anew"), ("row change", "changed"), ("scan", "read"), ("index build", "read for an index")]
    {
        let tables = tables_worked_on(cx, &slow.works, kind);
        if tables.len() > MOST_TABLES {
            let names: Vec<String> = tables.iter().map(|table| format!("`{table}`")).collect();
            diagnostic = diagnostic.with_fact(format!("{what}: {}", names.join(", ")));
        }
    }
    let works = slow.works.iter().flat_map(|work| work.tables.iter().map(|table| (cx.facts(table), work.kind)));
    match estimate_together(works).filter(|_| slow.works.len() > 1) {
        Some(duration) => diagnostic.with_fact(format!("all of it takes about {duration}")),
        None => diagnostic,
    }
}

/// The users of a hot table wait, however small the one is that the time is spent on.
fn weigh_held(cx: &Cx<'_>, held: &[(&QualifiedName, Held)], diagnostic: &mut Diagnostic) {
    let own = cx.config.own_severity(cx.page, cx.migration.migration.file.path()).is_some();
    if !own && held.iter().any(|(name, _)| cx.facts(name).hot == Some(true)) {
        diagnostic.severity = Severity::Error;
    }
}

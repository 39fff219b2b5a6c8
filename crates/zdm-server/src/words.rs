//! What statements do, in words for hovers, hints and lenses.

use std::fmt::Write as _;

use zdm_linter::context::{blocked_words, shortened};
use zdm_linter::registry::find_rule;
use zdm_postgres::effects::{Effects, UncertainEffect};
use zdm_postgres::{LockMode, QualifiedName};
use zdm_replay::{MigrationTrace, Step};
use zdm_source::{Diagnostic, Phase, Severity};

/// The strongest lock of some steps on a relation that others can see, with whom it blocks.
pub(crate) struct Strongest {
    pub(crate) mode: LockMode,
    pub(crate) relation: QualifiedName,
    /// `every query, SELECT included`; empty where nothing waits.
    pub(crate) blocked: &'static str,
}

/// The strongest lock among `steps`; locks on what the migration itself makes are passed over where there are others.
pub(crate) fn strongest<'a>(steps: impl Iterator<Item = &'a Step>) -> Option<Strongest> {
    let mut best: Option<(bool, LockMode, &QualifiedName, &'static str)> = None;
    for step in steps {
        for (relation, mode) in &step.outcome.effects.locks {
            let blocks = step.outcome.effects.blocks.get(relation);
            let candidate = (blocks.is_some(), *mode, relation, blocks.map_or("", |blocks| blocked_words(*blocks)));
            if best.is_none_or(|best| (candidate.0, candidate.1) > (best.0, best.1)) {
                best = Some(candidate);
            }
        }
    }
    best.filter(|(seen, ..)| *seen).map(|(_, mode, relation, blocked)| Strongest {
        mode,
        relation: relation.clone(),
        blocked: blocked.trim_end_matches(','),
    })
}

/// The phase of a migration, from its findings that count.
pub(crate) fn phase(findings: &[Diagnostic]) -> Phase {
    let counting = findings.iter().filter(|found| found.severity >= Severity::Warning && found.suppressed.is_none());
    let phases = counting.filter_map(|found| find_rule(found.code.code)?.page.phase);
    phases.max().unwrap_or(Phase::Before)
}

/// A phase for people who do not know the word.
pub(crate) const fn phase_words(phase: Phase) -> &'static str {
    match phase {
        Phase::Before => "runs before the code, while the old code runs",
        Phase::After => "runs after the code, once no old code runs",
        Phase::Window => "needs a moment that a person chooses",
    }
}

/// The effects of a statement as lines of a Markdown list.
pub(crate) fn effects(effects: &Effects) -> String {
    let mut out = String::new();
    let mut modes: Vec<LockMode> = effects.locks.values().copied().collect();
    modes.sort_unstable();
    modes.dedup();
    for mode in modes.into_iter().rev() {
        let on = effects.locks.iter().filter(|(_, held)| **held == mode).map(|(name, _)| name);
        let _ = writeln!(out, "- `{mode}` on {}", names(on));
    }
    for (relation, blocks) in &effects.blocks {
        let blocked = blocked_words(*blocks).trim_end_matches(',');
        if !blocked.is_empty() {
            let _ = writeln!(out, "- blocks {blocked} on `{relation}`");
        }
    }
    for (verb, relations) in
        [("rewrites", &effects.rewrites), ("scans", &effects.scans), ("builds index", &effects.index_builds)]
    {
        if !relations.is_empty() {
            let _ = writeln!(out, "- {verb} {}", names(relations.iter()));
        }
    }
    for uncertain in &effects.uncertain {
        let what = match uncertain.effect {
            UncertainEffect::Rewrite => "is rewritten".to_owned(),
            UncertainEffect::Scan => "is scanned".to_owned(),
            UncertainEffect::IndexBuild => "is built anew".to_owned(),
            UncertainEffect::Lock(mode) => format!("is locked `{mode}`"),
            UncertainEffect::PassingLock(mode) => format!("is locked `{mode}` for a moment, unless it is in use,"),
            UncertainEffect::MissingEntries => "lacks entries".to_owned(),
            UncertainEffect::RowLocks => "has its rows locked".to_owned(),
        };
        let _ = writeln!(out, "- `{}` {what} if {}", uncertain.relation, uncertain.condition);
    }
    if out.is_empty() { "- no lock on a relation\n".to_owned() } else { out }
}

fn names<'a>(relations: impl Iterator<Item = &'a QualifiedName>) -> String {
    relations.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A statement in a code block, with what it does.
pub(crate) fn statement(step: &Step) -> String {
    let sql = step.sql.trim_end().trim_end_matches(';');
    // A block of code ends at a line of as many marks as it begins with.
    let fence = if sql.contains("```") { "~~~~~~" } else { "```" };
    let mut out = format!("{fence}sql\n{sql};\n{fence}\n");
    match &step.outcome.error {
        Some(error) => {
            let _ = writeln!(out, "- refused: {} (`{}`)", error.message, error.sqlstate);
        }
        None => out.push_str(&effects(&step.outcome.effects)),
    }
    out
}

/// All SQL of a migration with its effects, as a document of SQL.
pub(crate) fn sql_document(trace: &MigrationTrace) -> String {
    let migration = &trace.migration;
    let mut out = format!("-- {}\n", migration.key);
    if migration.atomic {
        out.push_str("BEGIN;\n");
    }
    let write = |out: &mut String, step: &Step| {
        let _ = writeln!(out, "{};", step.sql.trim_end().trim_end_matches(';'));
        match &step.outcome.error {
            Some(error) => {
                let _ = writeln!(out, "--   refused: {} ({})", error.message, error.sqlstate);
            }
            None => {
                for line in effects(&step.outcome.effects).lines() {
                    let _ = writeln!(out, "--   {}", line.trim_start_matches("- ").replace('`', ""));
                }
            }
        }
    };
    for (operation, part) in migration.operations.iter().zip(&trace.operations) {
        let _ = writeln!(out, "--\n-- {}", crate::names::describe(&migration.file, operation));
        let mut quiet = true;
        for step in trace.steps_of(part.index).filter(|step| !step.deferred) {
            write(&mut out, step);
            quiet = false;
        }
        for (_, reason) in &part.not_analysed {
            let _ = writeln!(out, "-- not analysed: {}", shortened(reason, 200));
            quiet = false;
        }
        if part.python {
            out.push_str("-- runs Python, which is not replayed\n");
        } else if quiet {
            out.push_str("-- no SQL\n");
        }
    }
    let mut deferred = trace.steps.iter().filter(|step| step.deferred).peekable();
    if deferred.peek().is_some() {
        out.push_str("--\n-- at the end of the migration\n");
        for step in deferred {
            write(&mut out, step);
        }
    }
    if migration.atomic {
        out.push_str("COMMIT;\n");
    }
    out
}

//! The walk: every rule over every migration, then suppressions, then order.
//!
//! Migrations are judged one by one and independently, so that a caller with several threads may share them out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use zdm_django::problem::Problem;
use zdm_django::{Migration, MigrationKey};
use zdm_source::Diagnostic;

use crate::config::Config;
use crate::context::{Behind, Cx, all_steps, fresh_relations, on_emptied_tables, stands_behind_what};
use crate::merged::{self, MergedChange};
use crate::new_code::drift;
use crate::old_code::old_tables;
use crate::project_problems;
use crate::registry::RULES;
use crate::release::{Release, made_by_initial};
use crate::standing;
use crate::suppress;
use crate::unknown_tables;
use crate::{by_table, declared};
use zdm_replay::{MigrationTrace, Step, Trace};

/// Does the work of each number below the count, in any order, on any threads, and returns when all is done.
pub type ForEach<'f> = dyn Fn(usize, &(dyn Fn(usize) + Sync)) + 'f;

/// All findings of a trace and of the project it was made from, sorted by path, position and code. Suppressed ones are among them and say so.
pub fn lint(trace: &Trace, problems: &[Problem], merged: &[MergedChange], config: &Config) -> Vec<Diagnostic> {
    lint_with(trace, problems, merged, config, &|count, work| (0..count).for_each(work))
}

/// As [`lint`], with the migrations shared out by `for_each`; the result is the same.
pub fn lint_with(
    trace: &Trace,
    problems: &[Problem],
    merged: &[MergedChange],
    config: &Config,
    for_each: &ForEach<'_>,
) -> Vec<Diagnostic> {
    let mut diagnostics = lint_project(problems, config);
    unknown_tables::check(trace.migrations.iter(), &trace.context, config, &mut diagnostics);
    let mut found = Vec::new();
    merged::check(merged, config, &mut found);
    let mut about_merged: BTreeMap<String, Vec<Diagnostic>> = BTreeMap::new();
    for diagnostic in found {
        about_merged.entry(diagnostic.primary.file.path().to_owned()).or_default().push(diagnostic);
    }
    let reported: Vec<&MigrationTrace> =
        trace.migrations.iter().filter(|migration| config.reports(&migration.migration.key)).collect();
    let release = config.together.as_ref().map(|together| Release::new(&trace.migrations, together));
    let results: Vec<OnceLock<Vec<Diagnostic>>> = reported.iter().map(|_| OnceLock::new()).collect();
    let mut dependents: BTreeMap<&MigrationKey, Vec<Arc<Migration>>> = BTreeMap::new();
    for migration in &trace.migrations {
        for key in stands_behind_what(&migration.migration) {
            dependents.entry(key).or_default().push(Arc::clone(&migration.migration));
        }
    }
    let look_up = |key: &MigrationKey| dependents.get(key).cloned().unwrap_or_default();
    let behind = Behind(&look_up);
    for_each(reported.len(), &|index| {
        if let (Some(migration), Some(place)) = (reported.get(index), results.get(index)) {
            // Comments of the file speak for these too.
            let about = about_merged.get(migration.migration.file.path()).cloned().unwrap_or_default();
            let mut found = judge(trace, migration, about, config, release.as_ref(), behind);
            if release.is_none() {
                suppress::apply(&migration.migration, config, &mut found);
            }
            let _ = place.set(found);
        }
    });
    let mut found = results.into_iter().map(|place| place.into_inner().unwrap_or_default());
    if release.is_some() {
        diagnostics.extend(judge_release(trace, config, reported.iter().copied().zip(found)));
    } else {
        diagnostics.extend(found.by_ref().flatten());
    }
    for migration in reported {
        about_merged.remove(migration.migration.file.path());
    }
    diagnostics.extend(about_merged.into_values().flatten());
    diagnostics.sort_by(|left, right| left.sort_key().cmp(&right.sort_key()));
    diagnostics
}

/// What only the migrations of a release together show, and then the comments of each.
fn judge_release<'t>(
    trace: &Trace,
    config: &Config,
    found: impl Iterator<Item = (&'t MigrationTrace, Vec<Diagnostic>)>,
) -> Vec<Diagnostic> {
    let mut by_migration: BTreeMap<MigrationKey, Vec<Diagnostic>> = BTreeMap::new();
    let mut counting = BTreeMap::new();
    for (migration, found) in found {
        let mut judged = found.clone();
        suppress::apply(&migration.migration, config, &mut judged);
        counting.insert(migration.migration.key.clone(), judged);
        by_migration.insert(migration.migration.key.clone(), found);
    }
    for (key, diagnostic) in standing::check(trace, config, &counting) {
        by_migration.entry(key).or_default().push(diagnostic);
    }
    for migration in &trace.migrations {
        if let Some(found) = by_migration.get_mut(&migration.migration.key) {
            suppress::apply(&migration.migration, config, found);
        }
    }
    by_migration.into_values().flatten().collect()
}

/// The findings of one migration, in no particular order. `trace` says what it is replayed on; the migration need not be
/// in it. `more` are findings made elsewhere that the comments of its file speak for too. What the release has of it, it
/// is judged with, and what stands behind it is looked up: a caller that asks for many keeps an index.
pub fn lint_released(
    trace: &Trace,
    migration: &MigrationTrace,
    more: Vec<Diagnostic>,
    config: &Config,
    release: Option<&Release>,
    behind: Behind<'_>,
) -> Vec<Diagnostic> {
    let mut found = judge(trace, migration, more, config, release, behind);
    suppress::apply(&migration.migration, config, &mut found);
    found
}

/// Without what the comments of the file say.
fn judge(
    trace: &Trace,
    migration: &MigrationTrace,
    more: Vec<Diagnostic>,
    config: &Config,
    release: Option<&Release>,
    behind: Behind<'_>,
) -> Vec<Diagnostic> {
    let release = release.filter(|release| release.contains(&migration.migration.key));
    let made = match release {
        Some(release) => release.made_before(&migration.migration.key),
        None => made_by_initial(trace, migration),
    };
    let running = release.map_or(&migration.state_before, |release| &release.running);
    let steps = all_steps(migration);
    let on_emptied = on_emptied_tables(migration, &steps);
    let steps: Vec<&Step> =
        steps.into_iter().enumerate().map(|(place, step)| on_emptied.get(&place).unwrap_or(step)).collect();
    let fresh = fresh_relations(&steps, &made);
    let old = old_tables(migration, running, &made, &trace.context);
    let new = drift(migration, &trace.context);
    let mut found = Vec::new();
    let path = migration.migration.file.path();
    for rule in RULES.iter().filter(|rule| config.is_enabled(&rule.page, path)) {
        (rule.check)(
            &Cx {
                trace,
                migration,
                config,
                page: &rule.page,
                steps: &steps,
                fresh: &fresh,
                old: &old,
                new: &new,
                behind,
            },
            &mut found,
        );
    }
    // Two parts of one operation may do the same: one finding says it.
    let mut told = BTreeSet::new();
    found.retain(|diagnostic| told.insert((diagnostic.primary.span, diagnostic.code.code, diagnostic.message.clone())));
    found.extend(more);
    by_table::apply(migration, config, &mut found);
    if let Some(rule) = declared::rule()
        && !migration.migration.declared_phases.is_empty()
        && config.is_enabled(&rule.page, path)
    {
        // What is suppressed does not count.
        let mut counting = found.clone();
        suppress::apply(&migration.migration, config, &mut counting);
        let page = &rule.page;
        let cx = Cx { trace, migration, config, page, steps: &steps, fresh: &fresh, old: &old, new: &new, behind };
        found.extend(declared::check(&cx, &counting));
    }
    found
}

/// The findings about the project as a whole: its graph, its files, its settings.
pub fn lint_project(problems: &[Problem], config: &Config) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    project_problems::check(problems, config, &mut diagnostics);
    diagnostics
}

//! One pass over a history: every rule over every migration, then suppressions, then order.
//!
//! What a migration is judged with besides its own trace is little: a [`Pass`] collects it in the order of the history, so that
//! a trace may be given back as soon as it is judged, which a [`Judge`] does on any thread. The migrations of a release are
//! judged with what all of them have in common, and wait for the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zdm_django::problem::Problem;
use zdm_django::{Migration, MigrationKey, ProjectState};
use zdm_replay::{MigrationTrace, Options, Step, Trace};
use zdm_source::Diagnostic;

use crate::config::Config;
use crate::context::{Behind, Cx, all_steps, fresh_relations, on_emptied_tables, stands_behind_what};
use crate::merged::{self, MergedChange};
use crate::new_code::drift;
use crate::old_code::old_tables;
use crate::project_problems;
use crate::registry::RULES;
use crate::release::{Initial, Made, Release};
use crate::standing;
use crate::suppress;
use crate::unknown_tables::KnownTables;
use crate::{by_table, declared, one_place};

/// All findings of a trace and of the project it was made from, sorted by path, position and code. Suppressed ones are among them and say so.
pub fn lint(trace: &Trace, problems: &[Problem], merged: &[MergedChange], config: &Config) -> Vec<Diagnostic> {
    let judge = Judge::new(trace.order(), &trace.options, merged, config);
    let mut pass = Pass::new(config);
    let mut found = Vec::new();
    let mut waiting = Vec::new();
    for migration in &trace.migrations {
        match pass.meet(migration) {
            Turn::Now(made) => found.push(judge.judge(migration, &made)),
            Turn::AtTheEnd => waiting.push(migration),
            Turn::Never => {}
        }
    }
    let judged = waiting.iter().map(|migration| judge.judge_released(migration, pass.release()));
    let released: Vec<_> = waiting.iter().copied().zip(judged).collect();
    judge.finish(pass, problems, found, released)
}

/// Follows a history and collects what its migrations are judged with.
#[derive(Debug)]
pub struct Pass<'a> {
    config: &'a Config,
    initial: Initial,
    release: Release,
    tables: KnownTables,
}

/// When a migration is judged.
#[derive(Clone, Debug)]
pub enum Turn {
    /// As soon as anybody likes, with what those in front of it have made.
    Now(Made),
    /// When the history is at its end, with [`Judge::judge_released`].
    AtTheEnd,
    /// Nothing is reported on it.
    Never,
}

impl<'a> Pass<'a> {
    pub fn new(config: &'a Config) -> Self {
        Self { config, initial: Initial::default(), release: Release::default(), tables: KnownTables::default() }
    }

    /// The next migration of the history; each is to be met.
    pub fn meet(&mut self, migration: &MigrationTrace) -> Turn {
        let key = &migration.migration.key;
        self.tables.follow(migration, self.config);
        let made = self.initial.follow(migration);
        if let Some(together) = &self.config.together {
            self.release.follow(migration, together);
            if together.contains(key) {
                return Turn::AtTheEnd;
            }
        }
        if self.config.reports(key) { Turn::Now(made) } else { Turn::Never }
    }

    /// What the migrations of the release have in common; complete when all were met.
    pub fn release(&self) -> &Release {
        &self.release
    }
}

/// Judges the migrations of a history, each by itself.
#[derive(Debug)]
pub struct Judge<'a> {
    order: Vec<Arc<Migration>>,
    options: &'a Options,
    config: &'a Config,
    /// The migrations that stand directly behind one.
    behind: BTreeMap<MigrationKey, Vec<Arc<Migration>>>,
    /// About migrations that were merged and are not the same now, by path.
    about_merged: BTreeMap<String, Vec<Diagnostic>>,
}

impl<'a> Judge<'a> {
    /// Of all migrations, in the order of execution.
    pub fn new(order: Vec<Arc<Migration>>, options: &'a Options, merged: &[MergedChange], config: &'a Config) -> Self {
        let mut behind: BTreeMap<MigrationKey, Vec<Arc<Migration>>> = BTreeMap::new();
        for migration in &order {
            for key in stands_behind_what(migration) {
                behind.entry(key.clone()).or_default().push(Arc::clone(migration));
            }
        }
        let mut found = Vec::new();
        merged::check(merged, config, &mut found);
        let mut about_merged: BTreeMap<String, Vec<Diagnostic>> = BTreeMap::new();
        for diagnostic in found {
            about_merged.entry(diagnostic.primary.file.path().to_owned()).or_default().push(diagnostic);
        }
        Self { order, options, config, behind, about_merged }
    }

    /// The findings of one migration, in no particular order.
    pub fn judge(&self, migration: &MigrationTrace, made: &Made) -> Vec<Diagnostic> {
        let mut found = self.findings(migration, &migration.state_before, made);
        suppress::apply(&migration.migration, self.config, &mut found);
        found
    }

    /// The findings of one migration of a release, in no particular order; [`Judge::finish`] applies what the comments of
    /// its file say.
    pub fn judge_released(&self, migration: &MigrationTrace, release: &Release) -> Vec<Diagnostic> {
        let key = &migration.migration.key;
        if !self.config.reports(key) {
            return Vec::new();
        }
        let running = release.running(key).unwrap_or(&migration.state_before);
        self.findings(migration, running, &release.made_before(key))
    }

    /// All findings, sorted: those of the migrations that were judged, those of the release, in the order of execution, and
    /// those of the project.
    pub fn finish(
        mut self,
        pass: Pass<'_>,
        problems: &[Problem],
        found: Vec<Vec<Diagnostic>>,
        released: Vec<(&MigrationTrace, Vec<Diagnostic>)>,
    ) -> Vec<Diagnostic> {
        let mut diagnostics = lint_project(problems, self.config);
        diagnostics.extend(pass.tables.check(&self.options.context, self.config));
        diagnostics.extend(found.into_iter().flatten());
        diagnostics.extend(self.finish_release(released));
        for migration in self.order.iter().filter(|migration| self.config.reports(&migration.key)) {
            self.about_merged.remove(migration.file.path());
        }
        diagnostics.extend(self.about_merged.into_values().flatten());
        diagnostics.sort_by(|left, right| left.sort_key().cmp(&right.sort_key()));
        diagnostics
    }

    /// What only the migrations of a release together show, and then the comments of each.
    fn finish_release(&self, released: Vec<(&MigrationTrace, Vec<Diagnostic>)>) -> Vec<Diagnostic> {
        let migrations: Vec<&MigrationTrace> = released.iter().map(|(migration, _)| *migration).collect();
        let mut by_migration: BTreeMap<MigrationKey, Vec<Diagnostic>> = BTreeMap::new();
        let mut counting = BTreeMap::new();
        for (migration, found) in released {
            let mut judged = found.clone();
            suppress::apply(&migration.migration, self.config, &mut judged);
            counting.insert(migration.migration.key.clone(), judged);
            by_migration.insert(migration.migration.key.clone(), found);
        }
        for (key, diagnostic) in standing::check(&self.order, &migrations, self.options, self.config, &counting) {
            by_migration.entry(key).or_default().push(diagnostic);
        }
        for migration in migrations {
            if let Some(found) = by_migration.get_mut(&migration.migration.key) {
                suppress::apply(&migration.migration, self.config, found);
            }
        }
        by_migration.into_values().flatten().collect()
    }

    fn findings(&self, migration: &MigrationTrace, running: &ProjectState, made: &Made) -> Vec<Diagnostic> {
        // Comments of the file speak for these too.
        let about = self.about_merged.get(migration.migration.file.path()).cloned().unwrap_or_default();
        let look_up = |key: &MigrationKey| self.behind.get(key).cloned().unwrap_or_default();
        judge(migration, running, made, about, self.options, self.config, Behind(&look_up))
    }
}

/// The findings of one migration that is judged outside of a [`Pass`], in no particular order. `earlier` are those in front of
/// it in the history. `more` are findings made elsewhere that the comments of its file speak for too. What the release has of
/// it, it is judged with, and what stands behind it is looked up: a caller that asks for many keeps an index.
pub fn lint_released<'t>(
    migration: &MigrationTrace,
    earlier: impl Iterator<Item = &'t MigrationTrace>,
    more: Vec<Diagnostic>,
    options: &Options,
    config: &Config,
    release: Option<&Release>,
    behind: Behind<'_>,
) -> Vec<Diagnostic> {
    let key = &migration.migration.key;
    let released = release.and_then(|release| Some((release.running(key)?, release.made_before(key))));
    let (running, made) = released.unwrap_or_else(|| (&migration.state_before, made_by_initial(earlier, migration)));
    let mut found = judge(migration, running, &made, more, options, config, behind);
    suppress::apply(&migration.migration, config, &mut found);
    found
}

/// See [`Initial`].
fn made_by_initial<'t>(earlier: impl Iterator<Item = &'t MigrationTrace>, migration: &MigrationTrace) -> Made {
    let mut initial = Initial::default();
    if migration.migration.initial == Some(true) {
        for earlier in earlier.filter(|earlier| earlier.migration.key.app == migration.migration.key.app) {
            initial.follow(earlier);
        }
    }
    initial.follow(migration)
}

/// Without what the comments of the file say.
fn judge(
    migration: &MigrationTrace,
    running: &ProjectState,
    made: &Made,
    more: Vec<Diagnostic>,
    options: &Options,
    config: &Config,
    behind: Behind<'_>,
) -> Vec<Diagnostic> {
    let steps = all_steps(migration);
    let on_emptied = on_emptied_tables(migration, &steps);
    let steps: Vec<&Step> =
        steps.into_iter().enumerate().map(|(place, step)| on_emptied.get(&place).unwrap_or(step)).collect();
    let fresh = fresh_relations(&steps, made);
    let old = old_tables(migration, running, made, &options.context);
    let new = drift(migration, &options.context);
    let mut found = Vec::new();
    let path = migration.migration.file.path();
    for rule in RULES.iter().filter(|rule| config.is_enabled(&rule.page, path)) {
        (rule.check)(
            &Cx {
                options,
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
    let mut found = one_place::merge(migration, config, found);
    if let Some(rule) = declared::rule()
        && !migration.migration.declared_phases.is_empty()
        && config.is_enabled(&rule.page, path)
    {
        // What is suppressed does not count.
        let mut counting = found.clone();
        suppress::apply(&migration.migration, config, &mut counting);
        let page = &rule.page;
        let cx = Cx { options, migration, config, page, steps: &steps, fresh: &fresh, old: &old, new: &new, behind };
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

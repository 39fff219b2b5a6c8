//! The walk: every rule over every migration, then suppressions, then order.

use zdm_django::problem::Problem;
use zdm_source::Diagnostic;

use crate::config::Config;
use crate::context::{Cx, fresh_relations};
use crate::merged::{self, MergedChange};
use crate::new_code::drift;
use crate::old_code::old_tables;
use crate::project_problems;
use crate::registry::RULES;
use crate::suppress;
use zdm_replay::{MigrationTrace, Trace};

/// All findings of a trace and of the project it was made from, sorted by path, position and code. Suppressed ones are among them and say so.
pub fn lint(trace: &Trace, problems: &[Problem], merged: &[MergedChange], config: &Config) -> Vec<Diagnostic> {
    let mut diagnostics = lint_project(problems, config);
    let mut about_merged = Vec::new();
    merged::check(merged, config, &mut about_merged);
    for migration in &trace.migrations {
        if config.reports(&migration.migration.key) {
            let path = migration.migration.file.path();
            let more = about_merged.extract_if(.., |diagnostic| diagnostic.primary.file.path() == path).collect();
            diagnostics.append(&mut lint_migration(trace, migration, more, config));
        }
    }
    diagnostics.append(&mut about_merged);
    diagnostics.sort_by(|left, right| left.sort_key().cmp(&right.sort_key()));
    diagnostics
}

/// The findings of one migration, in no particular order. `trace` says what it is replayed on; the migration need not be
/// in it. `more` are findings made elsewhere that the comments of its file speak for too.
pub fn lint_migration(
    trace: &Trace,
    migration: &MigrationTrace,
    more: Vec<Diagnostic>,
    config: &Config,
) -> Vec<Diagnostic> {
    let fresh = fresh_relations(migration);
    let old = old_tables(migration, &trace.context);
    let new = drift(migration, &trace.context);
    let mut found = Vec::new();
    let path = migration.migration.file.path();
    for rule in RULES.iter().filter(|rule| config.is_enabled(&rule.page, path)) {
        (rule.check)(
            &Cx { trace, migration, config, page: &rule.page, fresh: &fresh, old: &old, new: &new },
            &mut found,
        );
    }
    found.extend(more);
    suppress::apply(&migration.migration, config, &mut found);
    found
}

/// The findings about the project as a whole: its graph, its files, its settings.
pub fn lint_project(problems: &[Problem], config: &Config) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    project_problems::check(problems, config, &mut diagnostics);
    diagnostics
}

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
use zdm_replay::Trace;

/// All findings of a trace and of the project it was made from, sorted by path, position and code. Suppressed ones are among them and say so.
pub fn lint(trace: &Trace, problems: &[Problem], merged: &[MergedChange], config: &Config) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    project_problems::check(problems, config, &mut diagnostics);
    let mut about_merged = Vec::new();
    merged::check(merged, config, &mut about_merged);
    for migration in &trace.migrations {
        if !config.reports(&migration.migration.key) {
            continue;
        }
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
        // Comments of the file speak for these too.
        let path = migration.migration.file.path();
        found.extend(about_merged.extract_if(.., |diagnostic| diagnostic.primary.file.path() == path));
        suppress::apply(&migration.migration, config, &mut found);
        diagnostics.append(&mut found);
    }
    diagnostics.append(&mut about_merged);
    diagnostics.sort_by(|left, right| left.sort_key().cmp(&right.sort_key()));
    diagnostics
}

//! ZDM610: the new code needs a migration that has to wait for one that it depends on.
//!
//! Only a release shows it: a column is dropped, which waits until no old code runs, and behind that stands a column that
//! the new code names in every query. Neither order of code and migrations works.

use std::collections::BTreeMap;
use std::sync::Arc;

use zdm_django::migration::DependencyTarget;
use zdm_django::{Migration, MigrationKey};
use zdm_replay::{MigrationTrace, Options};
use zdm_source::{Diagnostic, Phase};

use crate::config::Config;
use crate::context::{Behind, Cx};
use crate::declared::needed;
use crate::phase::{Waiting, parents, phase_of, until};
use crate::registry::find_rule;

const CODE: &str = "ZDM610";

/// No fix asks what stands behind.
const NOTHING: Behind<'static> = Behind(&|_| Vec::new());

/// The migrations of a release that cannot be deployed in any order, with what is said of them, given the release in the
/// order of execution and the findings by migration.
pub(crate) fn check(
    order: &[Arc<Migration>],
    released: &[&MigrationTrace],
    options: &Options,
    config: &Config,
    found: &BTreeMap<MigrationKey, Vec<Diagnostic>>,
) -> Vec<(MigrationKey, Diagnostic)> {
    let Some(rule) = find_rule(CODE) else { return Vec::new() };
    let parents = parents(order);
    let mut waiting = Waiting::default();
    let mut result = Vec::new();
    for migration in released {
        let key = &migration.migration.key;
        let parents = parents.get(key).map_or(&[][..], Vec::as_slice);
        let (own, _) = phase_of(found.get(key).into_iter().flatten());
        let behind = waiting.behind(parents);
        if own > Phase::Before || behind.is_some() {
            waiting.add(key, own, parents);
        }
        let path = migration.migration.file.path();
        let (Some((parent, phase)), Phase::Before) = (behind, own) else { continue };
        let Some((model, column)) = needed(migration, options) else { continue };
        if !config.reports(key) || !config.is_enabled(&rule.page, path) {
            continue;
        }
        let cx = Cx {
            options,
            migration,
            config,
            page: &rule.page,
            steps: &[],
            fresh: &[],
            old: &[],
            new: &[],
            behind: NOTHING,
        };
        let names = |target: &DependencyTarget| matches!(target, DependencyTarget::Migration(key) if key == parent);
        let written = migration.migration.dependencies.iter().find(|dependency| names(&dependency.target));
        let span = written.map_or(migration.migration.span, |dependency| dependency.span);
        let diagnostic = cx
            .at_span(
                span,
                format!(
                    "the new code needs this migration, because model `{model}` names `{column}` in every query, but it depends on `{parent}`, which may only run {}",
                    until(phase)
                ),
            )
            .with_fact("migrations of one release: whichever of the two goes first, code or this migration, one of them fails")
            .with_help(format!("release `{parent}` later, or take the dependency away where the two have nothing to do with each other"));
        result.push((key.clone(), diagnostic));
    }
    result
}

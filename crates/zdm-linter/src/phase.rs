//! When each migration may run in a deploy, from what the rules found.

use std::collections::BTreeMap;

use zdm_django::MigrationKey;
use zdm_replay::Trace;
use zdm_source::{Diagnostic, Phase, Severity};

use crate::config::Config;
use crate::declared;
use crate::registry::find_rule;

/// A migration's deploy phase with the findings that put it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationPhase {
    pub key: MigrationKey,
    pub path: String,
    pub phase: Phase,
    /// `ZDM201: dropping …`, in the order of the file.
    pub reasons: Vec<String>,
}

/// The phases of the reported migrations, in the order of the trace: the latest that a finding or the migration's own
/// declaration asks for. Suppressed findings and mere information do not count.
pub fn phases(trace: &Trace, config: &Config, diagnostics: &[Diagnostic]) -> Vec<MigrationPhase> {
    let mut by_migration: BTreeMap<(&str, &str), Vec<&Diagnostic>> = BTreeMap::new();
    for diagnostic in diagnostics {
        if let (Some(app), Some(name)) = (&diagnostic.subject.app, &diagnostic.subject.migration) {
            by_migration.entry((app, name)).or_default().push(diagnostic);
        }
    }
    let mut result = Vec::new();
    for migration in &trace.migrations {
        let key = &migration.migration.key;
        if !config.reports(key) {
            continue;
        }
        let mut phase = Phase::Before;
        let mut reasons = Vec::new();
        for diagnostic in by_migration.get(&(&*key.app, &*key.name)).into_iter().flatten() {
            if diagnostic.suppressed.is_some() || diagnostic.severity < Severity::Warning {
                continue;
            }
            let Some(of_rule) = find_rule(diagnostic.code.code).and_then(|rule| rule.page.phase) else { continue };
            phase = phase.max(of_rule);
            reasons.push(format!("{}: {}", diagnostic.code.code, diagnostic.message));
        }
        // Whoever writes a migration may know more of its rows than the rules do; less strict than the findings it is not.
        if let Some((attribute, text, _)) = &migration.migration.declared_phase
            && let Some(declared) = declared::phase(text).filter(|declared| *declared > phase)
        {
            phase = declared;
            reasons.push(format!("`{attribute}` says so"));
        }
        result.push(MigrationPhase {
            key: key.clone(),
            path: migration.migration.file.path().to_owned(),
            phase,
            reasons,
        });
    }
    result
}

/// The phase of one migration, from its findings.
pub(crate) fn phase_of<'a>(found: impl IntoIterator<Item = &'a Diagnostic>) -> (Phase, Option<&'a Diagnostic>) {
    let mut phase = (Phase::Before, None);
    for diagnostic in found {
        if diagnostic.suppressed.is_some() || diagnostic.severity < Severity::Warning {
            continue;
        }
        let of_rule = find_rule(diagnostic.code.code).and_then(|rule| rule.page.phase);
        if let Some(of_rule) = of_rule.filter(|of_rule| *of_rule > phase.0) {
            phase = (of_rule, Some(diagnostic));
        }
    }
    phase
}

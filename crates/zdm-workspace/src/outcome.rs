//! What a report needs of an analysis, without the trace: small enough to be kept in a file between runs.

use std::sync::Arc;

use zdm_django::MigrationKey;
use zdm_django::migration::MigrationOrigin;
use zdm_django::problem::ProblemKind;
use zdm_linter::MigrationPhase;
use zdm_source::Diagnostic;

use crate::analysis::{Analysis, Counts, Ground, Request, Workspace};
use crate::cache::{Cache, Lookup, Use};
use crate::changes::ChangeSet;
use crate::error::Error;
use crate::progress::{Progress, Stage};

/// The findings and what is told beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Sorted; suppressed ones are among them.
    pub diagnostics: Vec<Diagnostic>,
    pub phases: Vec<MigrationPhase>,
    pub counts: Counts,
    /// The settings module that was read.
    pub settings: Option<String>,
    /// Sorted by label.
    pub apps: Vec<AppSummary>,
    /// What was assumed about apps outside of the project, a sentence each.
    pub assumed: Vec<String>,
    /// All that was replayed, in that order; those of apps outside of the project too.
    pub migrations: Vec<MigrationKey>,
}

/// One app, as `-v` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppSummary {
    pub label: Arc<str>,
    /// Empty for Django's own.
    pub folder: Arc<str>,
    pub origin: MigrationOrigin,
    pub migrations: usize,
}

impl Outcome {
    pub fn of(workspace: &Workspace, analysis: &Analysis) -> Self {
        let project = &workspace.project;
        let apps = project.apps.iter().map(|app| AppSummary {
            label: Arc::clone(&app.label),
            folder: Arc::clone(&app.folder),
            origin: app.origin,
            migrations: project.migrations.iter().filter(|migration| migration.key.app == app.label).count(),
        });
        let mut apps: Vec<AppSummary> = apps.collect();
        for migration in &project.migrations {
            let label = &migration.key.app;
            match apps.iter_mut().find(|app| app.label == *label) {
                Some(app) if app.folder.is_empty() => app.migrations += 1,
                Some(_) => {}
                // Of Django's own apps there is no folder.
                None => apps.push(AppSummary {
                    label: Arc::clone(label),
                    folder: Arc::from(""),
                    origin: migration.origin,
                    migrations: 1,
                }),
            }
        }
        apps.sort_by(|one, other| one.label.cmp(&other.label));
        let assumed = project.problems.iter().filter(|problem| problem.kind == ProblemKind::ExternalAppAssumed);
        Self {
            diagnostics: analysis.diagnostics.clone(),
            phases: analysis.phases.clone(),
            counts: analysis.counts,
            settings: project.settings.module().map(str::to_owned),
            apps,
            assumed: assumed.map(|problem| problem.message.clone()).collect(),
            migrations: analysis.trace.migrations.iter().map(|replayed| replayed.migration.key.clone()).collect(),
        }
    }
}

/// A project that was looked at, this time or before.
#[derive(Debug)]
pub struct Checked {
    pub ground: Ground,
    pub outcome: Outcome,
    /// What changed since the base, where one was asked for.
    pub changes: Option<ChangeSet>,
    pub cache: Use,
}

/// Finds the project and judges what the request asks for; with a cache, an earlier outcome is taken if nothing that it
/// was made from has changed.
pub fn check(request: &Request, cache: Option<&Cache>, progress: &Progress) -> Result<Checked, Error> {
    progress.reach(Stage::Finding);
    let ground = Ground::find(request)?;
    let changes = ground.changes(request)?;
    let lookup = cache.map(|cache| Lookup::new(cache, request, &ground, changes.as_ref()));
    progress.reach(Stage::Comparing);
    let missed = match lookup.as_ref().map(Lookup::load) {
        Some(Ok(outcome)) => {
            let path = lookup.map(|lookup| lookup.path().to_owned()).unwrap_or_default();
            return Ok(Checked { ground, outcome, changes, cache: Use::Hit { path } });
        }
        Some(Err(miss)) => Some(miss),
        None => None,
    };
    progress.reach(Stage::Reading(ground.walk.paths.len()));
    let workspace = Workspace::read(ground);
    let mut analysis = workspace.judge(request, changes, progress);
    let outcome = Outcome::of(&workspace, &analysis);
    let cache = match (lookup, missed) {
        (Some(lookup), Some(miss)) => {
            let failed = lookup.store(&workspace, &outcome).err();
            Use::Missed { path: lookup.path().to_owned(), miss, failed }
        }
        _ => Use::Off,
    };
    progress.reach(Stage::Reporting);
    let changes = analysis.changes.take();
    let (ground, rest) = workspace.into_ground();
    // Giving back a replay piece by piece takes a while, and nobody waits for it.
    rayon::spawn(move || drop((rest, analysis)));
    Ok(Checked { ground, outcome, changes, cache })
}

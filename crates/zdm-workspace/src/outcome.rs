//! What a report needs of an analysis, without the trace: small enough to be kept in a file between runs.

use std::mem;
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
    /// Takes the findings and phases out of the analysis.
    pub fn of(workspace: &Workspace, analysis: &mut Analysis) -> Self {
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
            diagnostics: mem::take(&mut analysis.diagnostics),
            phases: mem::take(&mut analysis.phases),
            counts: analysis.counts,
            settings: project.settings.module().map(str::to_owned),
            apps,
            assumed: assumed.map(|problem| problem.message.clone()).collect(),
            migrations: mem::take(&mut analysis.migrations),
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
    /// Where the outcome is kept, and the head of its entry.
    kept: Option<(Lookup, Vec<u8>)>,
}

impl Checked {
    /// Keeps what is shown of the outcome, for [`recall`]: a function of the outcome, of the ground and of what the view's
    /// name says, and of nothing else.
    pub fn keep(&self, view: &str, shown: &[u8]) {
        if let Some((lookup, head)) = &self.kept {
            lookup.keep(view, head, shown);
        }
    }
}

/// What a run gives.
#[derive(Debug)]
pub enum Seen {
    /// What an earlier run has shown, where nothing has changed since.
    Shown(Vec<u8>),
    Checked(Box<Checked>),
}

/// [`check`], but takes what an earlier run has shown under this view, if it was kept and nothing has changed.
pub fn recall(request: &Request, cache: Option<&Cache>, view: &str, progress: &Progress) -> Result<Seen, Error> {
    let begun = begin(request, cache, progress)?;
    match begun.lookup.as_ref().and_then(|lookup| lookup.shown(view)) {
        Some(shown) => Ok(Seen::Shown(shown)),
        None => Ok(Seen::Checked(Box::new(finish(begun, request, progress)))),
    }
}

/// Finds the project and judges what the request asks for; with a cache, an earlier outcome is taken if nothing that it
/// was made from has changed.
pub fn check(request: &Request, cache: Option<&Cache>, progress: &Progress) -> Result<Checked, Error> {
    Ok(finish(begin(request, cache, progress)?, request, progress))
}

/// What is known before a file of the project is read.
struct Begun {
    ground: Ground,
    changes: Option<ChangeSet>,
    lookup: Option<Lookup>,
}

fn begin(request: &Request, cache: Option<&Cache>, progress: &Progress) -> Result<Begun, Error> {
    progress.reach(Stage::Finding);
    let ground = Ground::find(request)?;
    let changes = ground.changes(request)?;
    let lookup = cache.map(|cache| Lookup::new(cache, request, &ground, changes.as_ref()));
    progress.reach(Stage::Comparing);
    Ok(Begun { ground, changes, lookup })
}

fn finish(begun: Begun, request: &Request, progress: &Progress) -> Checked {
    let Begun { ground, changes, lookup } = begun;
    let missed = match lookup.map(|lookup| (lookup.load(), lookup)) {
        Some((Ok((outcome, head)), lookup)) => {
            let cache = Use::Hit { path: lookup.path().to_owned() };
            return Checked { ground, outcome, changes, cache, kept: Some((lookup, head)) };
        }
        Some((Err(miss), lookup)) => Some((lookup, miss)),
        None => None,
    };
    progress.reach(Stage::Reading(ground.walk.paths.len()));
    let workspace = Workspace::read(ground);
    let mut analysis = workspace.judge(request, changes, progress);
    let outcome = Outcome::of(&workspace, &mut analysis);
    let (cache, kept) = match missed {
        Some((lookup, miss)) => {
            let path = lookup.path().to_owned();
            match lookup.store(&workspace, &outcome) {
                Ok(head) => (Use::Missed { path, miss, failed: None }, Some((lookup, head))),
                Err(why) => (Use::Missed { path, miss, failed: Some(why) }, None),
            }
        }
        None => (Use::Off, None),
    };
    progress.reach(Stage::Reporting);
    let changes = analysis.changes.take();
    let (ground, rest) = workspace.into_ground();
    // Giving back a project piece by piece takes a while, and nobody waits for it.
    rayon::spawn(move || drop(rest));
    Checked { ground, outcome, changes, cache, kept }
}

//! What the linter's engine says of the project's migrations, before any of them runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use zdm_django::MigrationKey;
use zdm_django::migration::MigrationOrigin;
use zdm_django::problem::Problem;
use zdm_linter::lint;
use zdm_postgres::{Catalog, LockMode, PgVersion, QualifiedName};
use zdm_replay::Trace;
use zdm_source::Phase;
use zdm_workspace::{Request, Workspace};

use crate::gate::matches_name;
use crate::resume::Course;

/// A project, replayed and judged.
#[derive(Debug)]
pub struct Knowledge {
    trace: Trace,
    problems: Vec<Problem>,
    /// Without a word on which migrations to report.
    config: zdm_linter::Config,
    known: BTreeMap<MigrationKey, Known>,
    /// Keys in the order of execution on an empty database.
    order: Vec<MigrationKey>,
    /// What was assumed, a sentence each.
    pub notes: Vec<String>,
}

/// One migration.
#[derive(Debug, Clone)]
pub struct Known {
    /// Index into the trace.
    at: usize,
    /// None for the apps that zdm knows without a file.
    pub path: Option<PathBuf>,
    pub sha256: Option<String>,
    pub parents: Vec<MigrationKey>,
    pub replaces: Vec<MigrationKey>,
    pub atomic: bool,
}

impl Knowledge {
    /// Reads and judges the project that the request finds. `server` is the version that the migrations really meet.
    pub fn load(request: &Request, server: Option<PgVersion>) -> Result<Self, zdm_workspace::Error> {
        let request = Request { postgres: request.postgres.or(server), ..request.clone() };
        let workspace = Workspace::load(&request)?;
        Ok(Self::of(&workspace, &request))
    }

    pub fn of(workspace: &Workspace, request: &Request) -> Self {
        let mut config = workspace.lint_config(request, None);
        // Apps of other people wait for the deploy like the project's own.
        config.only = None;
        config.only_paths = None;
        let trace = workspace.replay();
        let mut known = BTreeMap::new();
        let mut order = Vec::new();
        for (at, trace) in trace.migrations.iter().enumerate() {
            let migration = &trace.migration;
            let key = &migration.key;
            let file = migration.file.path();
            let path = match migration.origin {
                MigrationOrigin::Project => Some(workspace.place.root.join(file)),
                MigrationOrigin::Environment => workspace
                    .packages
                    .as_ref()
                    .and_then(|packages| Some(packages.join(file.strip_prefix("site-packages/")?))),
                MigrationOrigin::Builtin => None,
            };
            let sha256 = path.as_deref().and_then(sha256_of);
            order.push(key.clone());
            let parents = workspace.project.graph.parents(key).to_vec();
            known.insert(
                key.clone(),
                Known { at, path, sha256, parents, replaces: migration.replaces.clone(), atomic: migration.atomic },
            );
        }
        Self { trace, problems: workspace.project.problems.clone(), config, known, order, notes: workspace.notes() }
    }

    /// What the new code names in every query of a model and this migration makes: the model, and the column or table.
    pub(crate) fn needed(&self, key: &MigrationKey) -> Option<(String, String)> {
        let trace = self.trace.migrations.get(self.known.get(key)?.at)?;
        zdm_linter::needed(trace, &self.trace.options).map(|(model, column)| (model, column.to_string()))
    }

    /// The deploy phase of each of these migrations, with the reasons. They are one release: the code that runs is that
    /// of the migrations which are not among them, and nobody uses a table that one of them makes.
    pub(crate) fn judge(&self, release: &BTreeSet<MigrationKey>) -> BTreeMap<MigrationKey, (Phase, Vec<String>)> {
        let config =
            zdm_linter::Config { only: Some(release.clone()), together: Some(release.clone()), ..self.config.clone() };
        let diagnostics = lint(&self.trace, &self.problems, &[], &config);
        // The gate decides itself which dependencies wait.
        let judged = zdm_linter::phase::own_phases(&self.trace.order(), &config, &diagnostics);
        judged.into_iter().map(|judged| (judged.key, (judged.phase, judged.reasons))).collect()
    }

    pub fn get(&self, key: &MigrationKey) -> Option<&Known> {
        self.known.get(key)
    }

    /// Migrations that are not among the applied ones, in the order of execution.
    pub fn pending(&self, applied: &BTreeSet<(String, String)>) -> Vec<MigrationKey> {
        let is_applied = |key: &MigrationKey| applied.contains(&(key.app.to_string(), key.name.to_string()));
        self.order
            .iter()
            .filter(|key| {
                let replaces = self.known.get(*key).map_or(&[][..], |known| &known.replaces);
                !is_applied(key) && (replaces.is_empty() || !replaces.iter().all(is_applied))
            })
            .cloned()
            .collect()
    }

    /// The migrations that a text such as `app.0042` or `app.0042_drop_total` names, in the order of execution.
    pub fn named(&self, text: &str) -> Vec<&MigrationKey> {
        self.order.iter().filter(|key| matches_name(text, key)).collect()
    }

    /// The catalog that the migration meets.
    pub(crate) fn catalog(&self, app: &str, name: &str, backwards: bool) -> Option<&Catalog> {
        let known = self.known.get(&MigrationKey::new(app, name))?;
        let trace = self.trace.migrations.get(known.at)?;
        Some(if backwards { &trace.catalog_after } else { &trace.catalog_before })
    }

    /// What the messages of a migration make one by one.
    pub(crate) fn course(&self, app: &str, name: &str) -> Option<Course> {
        let known = self.known.get(&MigrationKey::new(app, name))?;
        self.trace.migrations.get(known.at).map(Course::of)
    }

    /// The strongest lock that these migrations take on each relation, where it stops writers or more.
    pub fn strong_locks(&self, keys: &[MigrationKey]) -> BTreeMap<QualifiedName, LockMode> {
        let mut locks: BTreeMap<QualifiedName, LockMode> = BTreeMap::new();
        for key in keys {
            let Some(trace) = self.known.get(key).and_then(|known| self.trace.migrations.get(known.at)) else {
                continue;
            };
            for step in &trace.steps {
                if step.outcome.effects.waits_for.is_some() {
                    continue;
                }
                for (relation, mode) in step.outcome.effects.locks.iter().filter(|(_, mode)| mode.blocks_writes()) {
                    let known = locks.entry(relation.clone()).or_insert(*mode);
                    *known = (*known).max(*mode);
                }
            }
        }
        locks
    }
}

/// Of a file's bytes, in hexadecimal digits.
pub fn sha256_of(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
    Some(digest.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

//! What the linter's engine says of the project's migrations, before any of them runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use zdm_django::MigrationKey;
use zdm_django::migration::MigrationOrigin;
use zdm_linter::lint;
use zdm_postgres::{Catalog, LockMode, PgVersion, QualifiedName, Statement};
use zdm_replay::Trace;
use zdm_source::Phase;
use zdm_workspace::{Request, Workspace};

/// A project, replayed and judged.
#[derive(Debug)]
pub struct Knowledge {
    trace: Trace,
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
    pub phase: Phase,
    /// `ZDM201: dropping …`
    pub reasons: Vec<String>,
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
        let diagnostics = lint(&trace, &workspace.project.problems, &[], &config);
        let phases = zdm_linter::phases(&trace, &config, &diagnostics);
        let at: BTreeMap<MigrationKey, usize> =
            trace.migrations.iter().enumerate().map(|(at, trace)| (trace.migration.key.clone(), at)).collect();
        let mut known = BTreeMap::new();
        let mut order = Vec::new();
        for judged in phases {
            let Some(at) = at.get(&judged.key).copied() else { continue };
            let Some(migration) = trace.migrations.get(at).map(|trace| &trace.migration) else { continue };
            let path = match migration.origin {
                MigrationOrigin::Project => Some(workspace.place.root.join(&judged.path)),
                MigrationOrigin::Environment => workspace
                    .packages
                    .as_ref()
                    .and_then(|packages| Some(packages.join(judged.path.strip_prefix("site-packages/")?))),
                MigrationOrigin::Builtin => None,
            };
            let sha256 = path.as_deref().and_then(sha256_of);
            order.push(judged.key.clone());
            let parents = workspace.project.graph.parents(&judged.key).to_vec();
            known.insert(
                judged.key,
                Known {
                    at,
                    phase: judged.phase,
                    reasons: judged.reasons,
                    path,
                    sha256,
                    parents,
                    replaces: migration.replaces.clone(),
                    atomic: migration.atomic,
                },
            );
        }
        Self { trace, known, order, notes: workspace.notes() }
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

    /// The catalog that the migration meets.
    pub(crate) fn catalog(&self, app: &str, name: &str, backwards: bool) -> Option<&Catalog> {
        let known = self.known.get(&MigrationKey::new(app, name))?;
        let trace = self.trace.migrations.get(known.at)?;
        Some(if backwards { &trace.catalog_after } else { &trace.catalog_before })
    }

    /// The relations that a migration touches; nothing where that cannot be told.
    pub(crate) fn touches(&self, key: &MigrationKey) -> Option<BTreeSet<QualifiedName>> {
        let trace = self.known.get(key).and_then(|known| self.trace.migrations.get(known.at))?;
        if trace.operations.iter().any(|operation| operation.python || !operation.not_analysed.is_empty()) {
            return None;
        }
        let mut touched = BTreeSet::new();
        for step in &trace.steps {
            let is_opaque =
                matches!(step.statement, Statement::Opaque(_) | Statement::Do { .. } | Statement::Call { .. });
            if is_opaque || step.is_refused() {
                return None;
            }
            let effects = &step.outcome.effects;
            touched.extend(effects.locks.keys().cloned());
            touched.extend(effects.scans.iter().cloned());
            touched.extend(effects.rewrites.iter().cloned());
            touched.extend(effects.row_locks.keys().cloned());
        }
        Some(touched)
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

//! From a place on disk to findings: find the project, read it, replay it, judge it.
//!
//! The command line, the language server and the runtime's gate all come through here, so that they cannot disagree.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread;

use rayon::prelude::*;
use zdm_django::migration::MigrationOrigin;
use zdm_django::problem::ProblemKind;
use zdm_django::project::sources::{Folder, Sources};
use zdm_django::project::{Project, ProjectConfig, ProjectInput};
use zdm_django::resolve::Context;
use zdm_django::{DjangoVersion, Driver, Migration, MigrationKey};
use zdm_linter::config::{Level as LintLevel, NamedTable, RuleSet, TableFacts, TablePattern};
use zdm_linter::merged::{MergedChange, Now};
use zdm_linter::{Judge, MigrationPhase, Pass, RULES, Turn};
use zdm_postgres::{Catalog, PgVersion};
use zdm_replay::halves::{Editing, Listener, Message};
use zdm_replay::{MigrationTrace, Options, Replayer, Trace, replay};
use zdm_source::{Diagnostic, SourceFile};

use crate::base;
use crate::changes::{ChangeKind, ChangeSet, changes, open};
use crate::config::{Config, KnownRule, Level, RuleSettings, Selector, TableSettings};
use crate::discover::{ConfigChoice, Place, discover, site_packages};
use crate::error::Error;
use crate::files::{Files, Text};
use crate::progress::{Progress, Stage};
use crate::stats::Stats;
use crate::versions::{self, Origin, Target};
use crate::walk::{Walk, is_python, walk};

/// What a caller asks for, besides what the configuration says.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Where relative paths start, and where the project is looked for without a path.
    pub current: PathBuf,
    pub paths: Vec<PathBuf>,
    pub config: ConfigChoice,
    pub postgres: Option<PgVersion>,
    pub django: Option<DjangoVersion>,
    /// `--base`: a reference, or `auto`.
    pub base: Option<String>,
    /// `--stats`, relative to `current`; goes before the configuration's.
    pub stats: Option<PathBuf>,
    /// On top of the configuration's rules.
    pub rules: RuleSettings,
    /// Report only on these apps, if any.
    pub apps: Vec<String>,
    /// Report only on these migrations, if any.
    pub migrations: Vec<MigrationKey>,
    /// The environment.
    pub variables: BTreeMap<String, String>,
}

/// Where a project is and what it is judged against: everything but its sources.
#[derive(Debug)]
pub struct Ground {
    pub place: Place,
    pub config: Config,
    /// Sizes and traffic of tables, where a file tells them.
    pub stats: Option<Stats>,
    pub walk: Walk,
    /// The packages outside of the project, where a virtual environment was found.
    pub packages: Option<PathBuf>,
    pub postgres: Target<PgVersion>,
    pub django: Target<DjangoVersion>,
    /// The driver that this Django takes.
    pub driver: Driver,
}

/// A project that was found and read.
#[derive(Debug)]
pub struct Workspace {
    pub place: Place,
    pub config: Config,
    /// Sizes and traffic of tables, where a file tells them.
    pub stats: Option<Stats>,
    pub walk: Walk,
    pub files: Arc<Files>,
    pub project: Project,
    pub postgres: Target<PgVersion>,
    pub django: Target<DjangoVersion>,
    /// The driver that this Django takes.
    pub driver: Driver,
    /// The packages outside of the project, where a virtual environment was found.
    pub packages: Option<PathBuf>,
    /// What was read of them.
    pub(crate) outside: Option<Arc<Packages>>,
}

/// What was found in a workspace.
#[derive(Debug)]
pub struct Analysis {
    /// All that was replayed, in that order.
    pub migrations: Vec<MigrationKey>,
    /// Sorted; suppressed ones are among them.
    pub diagnostics: Vec<Diagnostic>,
    pub phases: Vec<MigrationPhase>,
    pub changes: Option<ChangeSet>,
    pub counts: Counts,
}

/// How much was looked at. Apps outside of the project do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub apps: usize,
    pub migrations: usize,
    /// Migrations that are reported on.
    pub reported: usize,
    /// Top-level operations, and those of them that are analysed entirely.
    pub operations: usize,
    pub analysed: usize,
}

/// [`Counts`] under way.
#[derive(Debug, Default)]
struct Counting {
    apps: BTreeSet<Arc<str>>,
    counts: Counts,
}

impl Counting {
    fn add(&mut self, trace: &MigrationTrace, config: &zdm_linter::Config) {
        let (migration, counts) = (&trace.migration, &mut self.counts);
        if migration.origin != MigrationOrigin::Project {
            return;
        }
        self.apps.insert(Arc::clone(&migration.key.app));
        counts.migrations += 1;
        counts.reported += usize::from(config.reports(&migration.key));
        counts.operations += trace.operations.len();
        counts.analysed += trace.operations.iter().filter(|part| part.not_analysed.is_empty()).count();
    }

    fn counts(self) -> Counts {
        Counts { apps: self.apps.len(), ..self.counts }
    }
}

/// Traces that wait to be judged, or given back, beside the one that is being made.
const TRACES: usize = 32;

/// How many messages the schema editor may be ahead of the session.
const MESSAGES: usize = 256;

/// The session in another thread, as the schema editor sees it.
struct Beside {
    tell: mpsc::SyncSender<Message>,
    answered: mpsc::Receiver<Catalog>,
    /// Nobody listens any more.
    gone: Cell<bool>,
}

impl Listener for Beside {
    fn tell(&self, message: Message) {
        if self.tell.send(message).is_err() {
            self.gone.set(true);
        }
    }

    fn ask(&self) -> Catalog {
        self.tell(Message::Asks);
        self.answered.recv().unwrap_or_else(|_| {
            self.gone.set(true);
            Catalog::new()
        })
    }
}

/// The names of all rules, for checking what users write.
pub fn known_rules() -> Vec<KnownRule<'static>> {
    RULES.iter().map(|rule| KnownRule { code: rule.page.code.code, name: rule.page.code.name }).collect()
}

impl Ground {
    /// Finds the project and its configuration, and lists its files.
    pub fn find(request: &Request) -> Result<Self, Error> {
        let place = discover(&request.current, &request.paths, &request.config)?;
        let config = match &place.config {
            Some(path) => Config::load(path, &place.shown(path), &known_rules())?,
            None => Config::default(),
        };
        let stats = match (&request.stats, &config.stats) {
            (Some(path), _) => Some(Stats::load(&request.current.join(path))?),
            (None, Some(path)) => Some(Stats::load(&place.root.join(path))?),
            (None, None) => None,
        };
        let repository = open(&place.root).ok();
        let walk = walk(&place.root, &config.exclude, repository.as_ref());
        let packages = site_packages(&place, &walk.environments, &request.variables);
        let mut folders = vec![place.root.clone()];
        folders.extend(place.repository.clone().filter(|repository| *repository != place.root));
        let installed = versions::Installation::new(&folders, packages.as_deref());
        let django = chosen(request.django, config.django, || installed.django());
        let postgres = chosen(request.postgres, config.postgres, || versions::postgres(&folders));
        let driver = installed.driver(django.version);
        Ok(Self { place, config, stats, walk, packages, postgres, django, driver })
    }

    /// What was assumed about the versions, a sentence each.
    pub fn notes(&self) -> Vec<String> {
        [self.postgres.note("PostgreSQL"), self.django.note("Django")].into_iter().flatten().collect()
    }

    /// What changed since the base that the request names, if it names one.
    pub(crate) fn changes(&self, request: &Request) -> Result<Option<ChangeSet>, Error> {
        changes_for(&self.place, request)
    }
}

impl Workspace {
    /// Finds and reads the project. Files are read and parsed in parallel.
    pub fn load(request: &Request) -> Result<Self, Error> {
        Ok(Self::read(Ground::find(request)?))
    }

    /// Reads the project's sources, in parallel.
    pub fn read(ground: Ground) -> Self {
        let (workspace, input) = Self::read_with(ground, &BTreeMap::new(), None);
        // Giving back the parsed files takes as long as some of the work ahead, and nobody waits for it.
        rayon::spawn(move || drop(input));
        workspace
    }

    /// [`Workspace::load`] with unsaved texts by path, which go before those on disk; what is given of an earlier load is
    /// not parsed again but for the paths that are said to have changed.
    pub(crate) fn load_with(
        request: &Request,
        unsaved: &BTreeMap<Arc<str>, Arc<str>>,
        older: Option<(&Sources, &BTreeSet<Arc<str>>)>,
    ) -> Result<(Self, ProjectInput), Error> {
        Ok(Self::read_with(Ground::find(request)?, unsaved, older))
    }

    fn read_with(
        ground: Ground,
        unsaved: &BTreeMap<Arc<str>, Arc<str>>,
        older: Option<(&Sources, &BTreeSet<Arc<str>>)>,
    ) -> (Self, ProjectInput) {
        let Ground { place, config, stats, walk, packages, postgres, django, driver } = ground;
        let mut paths = walk.paths.clone();
        let new = |path: &&Arc<str>| is_python(path) && walk.paths.binary_search(path).is_err();
        paths.extend(unsaved.keys().filter(new).cloned());
        paths.sort();
        let files = Arc::new(Files::new(place.root.clone(), paths));
        for (path, text) in unsaved {
            files.overlay(path, text);
        }
        let outside = packages.clone().map(|folder| Arc::new(Packages::new(folder)));
        let input = input(&config, &files, outside.clone(), django.version, older);
        let project = Project::build_with(&input, &|count, work| (0..count).into_par_iter().for_each(work));
        (Self { place, config, stats, walk, files, project, postgres, django, driver, packages, outside }, input)
    }

    /// The way back of [`Workspace::read`], and what is left over.
    pub(crate) fn into_ground(self) -> (Ground, impl Send) {
        let Self { place, config, stats, walk, files, project, postgres, django, driver, packages, outside } = self;
        (Ground { place, config, stats, walk, packages, postgres, django, driver }, (files, project, outside))
    }

    /// What the replay is told of the project.
    pub fn options(&self) -> Options {
        let mut context = Context::from_settings(&self.project.settings, self.django.version);
        context.driver = self.driver;
        let incomplete = self.project.problems.iter().any(|problem| problem.kind == ProblemKind::ExternalAppAssumed);
        Options { postgres: self.postgres.version, context, incomplete }
    }

    pub fn replay(&self) -> Trace {
        let migrations: Vec<Arc<Migration>> = self.project.in_order().cloned().map(Arc::new).collect();
        replay(&migrations, &self.options())
    }

    /// Replays one migration after the other and hands each trace over while the next is replayed, so that no more than a
    /// few are in memory. Where `take` breaks, the rest is not replayed.
    ///
    /// Three threads stand in a row: what Django sends, what the server does with it, and `take`.
    pub fn replay_each(&self, mut take: impl FnMut(MigrationTrace) -> ControlFlow<()> + Send) {
        let options = self.options();
        let order: Vec<Arc<Migration>> = self.project.in_order().cloned().map(Arc::new).collect();
        let (send, receive) = mpsc::sync_channel(TRACES);
        let (tell, told) = mpsc::sync_channel(MESSAGES);
        let (answer, answered) = mpsc::sync_channel(1);
        thread::scope(|scope| {
            scope.spawn(move || receive.into_iter().try_for_each(&mut take));
            let (order, options) = (&order, &options);
            scope.spawn(move || {
                let other = Beside { tell, answered, gone: Cell::new(false) };
                let mut editing = Editing::new(options);
                for migration in order {
                    editing.run(migration, &other);
                    if other.gone.get() {
                        break;
                    }
                }
            });
            let mut replayer = Replayer::new(options);
            let mut told = told.into_iter();
            for migration in order {
                let trace = replayer.follow(migration, &mut told, &mut |catalog| {
                    // It waits for the answer, unless it is gone.
                    let _ = answer.send(catalog);
                });
                // Nobody receives where `take` has broken.
                if send.send(trace).is_err() {
                    break;
                }
            }
            // Whoever waits for this thread is let go.
            drop((send, told, answer));
        });
    }

    /// Replays everything and judges what the request asks for.
    pub fn analyse(&self, request: &Request) -> Result<Analysis, Error> {
        Ok(self.judge(request, changes_for(&self.place, request)?, &Progress::default()))
    }

    /// The same with what changed in git.
    pub(crate) fn judge(&self, request: &Request, changes: Option<ChangeSet>, progress: &Progress) -> Analysis {
        let config = self.lint_config(request, changes.as_ref());
        progress.reach(Stage::Judging(self.project.migrations.len()));
        let merged = changes.as_ref().map(|changes| self.merged_changes(changes, &config)).unwrap_or_default();
        let order: Vec<Arc<Migration>> = self.project.in_order().cloned().map(Arc::new).collect();
        let options = self.options();
        let judge = Judge::new(order.clone(), &options, &merged, &config);
        let mut pass = Pass::new(&config);
        let mut counting = Counting::default();
        let mut waiting = Vec::new();
        let found: Vec<OnceLock<Vec<Diagnostic>>> = order.iter().map(|_| OnceLock::new()).collect();
        // A trace is judged beside the replay of the next ones, and given back.
        let behind = AtomicUsize::new(0);
        rayon::in_place_scope_fifo(|scope| {
            let mut replayer = Replayer::new(&options);
            for (migration, found) in order.iter().zip(&found) {
                let trace = replayer.run(migration);
                counting.add(&trace, &config);
                match pass.meet(&trace) {
                    Turn::Now(made) if behind.load(Ordering::Relaxed) < TRACES => {
                        let (judge, behind) = (&judge, &behind);
                        behind.fetch_add(1, Ordering::Relaxed);
                        scope.spawn_fifo(move |_| {
                            let _ = found.set(judge.judge(&trace, &made));
                            drop(trace);
                            behind.fetch_sub(1, Ordering::Relaxed);
                        });
                    }
                    Turn::Now(made) => {
                        let _ = found.set(judge.judge(&trace, &made));
                    }
                    Turn::AtTheEnd => waiting.push(trace),
                    Turn::Never => {}
                }
            }
        });
        let release = pass.release();
        let released = waiting.par_iter().map(|trace| (trace, judge.judge_released(trace, release))).collect();
        let found = found.into_iter().filter_map(OnceLock::into_inner).collect();
        let diagnostics = judge.finish(pass, &self.project.problems, found, released);
        let phases = zdm_linter::phases(&order, &config, &diagnostics);
        let migrations = order.iter().map(|migration| migration.key.clone()).collect();
        Analysis { migrations, diagnostics, phases, changes, counts: counting.counts() }
    }

    /// Migrations of the merge-base that are not the same now.
    pub(crate) fn merged_changes(&self, changes: &ChangeSet, config: &zdm_linter::Config) -> Vec<MergedChange> {
        let mut merged = Vec::new();
        for (path, change) in &changes.files {
            let Some(before) = &change.before else { continue };
            let old_path = before.path();
            let Some(key) = self.key_before(old_path) else { continue };
            // A helper module that never was a migration may change.
            if !before.text().contains("Migration") {
                continue;
            }
            // Where two files are alike, git's choice of the renamed one says nothing: the key does.
            let gone = || {
                let same = self.project.migrations.iter().find(|other| other.key == key);
                let replaced = || self.project.migrations.iter().any(|other| other.replaces.contains(&key));
                same.map_or_else(|| Now::Deleted { replaced: replaced() }, |now| Now::Edited(now.file.clone()))
            };
            let now = match (&change.kind, self.project.migration_at(path)) {
                (ChangeKind::Modified, Some(now)) => Some(Now::Edited(now.file.clone())),
                // No migration any more, but still there.
                (ChangeKind::Modified, None) => Some(Now::Edited(self.files.text(path).file)),
                // A folder that moves takes its migrations along: Django knows them by label and name.
                (ChangeKind::Renamed { .. }, Some(now)) if now.key == key => Some(Now::Edited(now.file.clone())),
                // One that replaces it says so, however alike the two are.
                (ChangeKind::Renamed { .. }, Some(now)) if !now.replaces.contains(&key) => {
                    Some(Now::Renamed(now.file.clone()))
                }
                (ChangeKind::Renamed { .. } | ChangeKind::Deleted, _) => Some(gone()),
                (ChangeKind::Added | ChangeKind::Whitespace | ChangeKind::Mode, _) => None,
            };
            let Some(now) = now else { continue };
            let reported = config.only.as_ref().is_none_or(|only| match &now {
                Now::Edited(file) | Now::Renamed(file) => match self.project.migration_at(file.path()) {
                    Some(migration) => only.contains(&migration.key),
                    None => self.place.covers(file.path()),
                },
                Now::Deleted { .. } => self.place.covers(old_path),
            });
            if reported {
                let MigrationKey { app, name } = key;
                merged.push(MergedChange { app, name, before: before.clone(), now });
            }
        }
        merged
    }

    /// Which migration a file of the merge-base was, by its path there; `None` for what was none.
    ///
    /// An app that is gone with all of its migrations is taken to have had the label of its folder.
    fn key_before(&self, path: &str) -> Option<MigrationKey> {
        let (folder, file_name) = path.rsplit_once('/')?;
        let name = file_name.strip_suffix(".py").filter(|name| !name.starts_with('_'))?;
        if let Some(app) = self.project.apps.iter().find(|app| app.migrations.as_deref() == Some(folder)) {
            return Some(MigrationKey::new(Arc::clone(&app.label), name));
        }
        let label = folder.strip_suffix("/migrations")?.rsplit('/').next()?;
        let gone = !self.files.paths().iter().any(|path| in_folder(path, folder));
        gone.then(|| MigrationKey::new(label, name))
    }

    /// Whether a migration is new or says something else than at the merge-base.
    fn is_changed(&self, migration: &Migration, changes: &ChangeSet) -> bool {
        let path = migration.file.path();
        let moved = changes.get(path).is_some_and(|change| {
            let ChangeKind::Renamed { from, modified: false } = &change.kind else { return false };
            self.key_before(from).is_some_and(|key| key == migration.key)
        });
        changes.is_changed(path) && !moved
    }

    /// The linter's configuration: the file's, the command line's on top, and what is to be reported.
    pub fn lint_config(&self, request: &Request, changes: Option<&ChangeSet>) -> zdm_linter::Config {
        let concerns = |migration: &Migration| {
            let path = migration.file.path();
            migration.origin == MigrationOrigin::Project
                && self.place.covers(path)
                && changes.is_none_or(|changes| self.is_changed(migration, changes))
                && (request.apps.is_empty() || request.apps.iter().any(|app| **app == *migration.key.app))
                && (request.migrations.is_empty() || request.migrations.contains(&migration.key))
        };
        let reported: Vec<&Migration> =
            self.project.migrations.iter().filter(|migration| concerns(migration)).collect();
        let narrowed = !self.place.only.is_empty()
            || changes.is_some()
            || !request.apps.is_empty()
            || !request.migrations.is_empty();
        let by_path = reported
            .iter()
            .filter_map(|migration| {
                let path = migration.file.path();
                let own: Vec<&RuleSettings> = self
                    .config
                    .paths
                    .iter()
                    .filter(|settings| settings.pattern.matches(path))
                    .map(|settings| &settings.rules)
                    .collect();
                if own.is_empty() {
                    return None;
                }
                let mut layers = vec![&self.config.rules];
                layers.extend(own);
                layers.push(&request.rules);
                Some((path.to_owned(), Arc::new(rule_set(&layers))))
            })
            .collect();
        zdm_linter::Config {
            rules: rule_set(&[&self.config.rules, &request.rules]),
            by_path,
            // The whole change set, whatever part of it is reported.
            together: changes.map(|changes| self.new_in(changes)),
            only: Some(reported.iter().map(|migration| migration.key.clone()).collect()),
            only_paths: narrowed.then(|| {
                let changed = changes.into_iter().flat_map(|changes| changes.files.keys().cloned());
                reported.iter().map(|migration| migration.file.path().to_owned()).chain(changed).collect()
            }),
            tables: self.tables(),
            table_rules: self.table_rules(),
            named_tables: self.named_tables(),
            small_table_rows: self.config.small_table_rows,
        }
    }

    /// What the configuration says of rules for single tables.
    fn table_rules(&self) -> Vec<(TablePattern, RuleSet)> {
        let named = self.config.tables.iter().filter(|table| table.rules != RuleSettings::default());
        named.map(|table| (TablePattern::new(table.pattern.as_str()), rule_set(&[&table.rules]))).collect()
    }

    /// The tables that the configuration names, with their places in it.
    fn named_tables(&self) -> Vec<NamedTable> {
        let Some(file) = &self.config.file else { return Vec::new() };
        let named = |table: &TableSettings| NamedTable {
            pattern: TablePattern::new(table.pattern.as_str()),
            file: file.clone(),
            span: table.span,
        };
        self.config.tables.iter().map(named).collect()
    }

    fn new_in(&self, changes: &ChangeSet) -> BTreeSet<MigrationKey> {
        self.project
            .migrations
            .iter()
            .filter(|migration| {
                migration.origin == MigrationOrigin::Project
                    && self.is_changed(migration, changes)
                    && is_new(migration, changes)
            })
            .map(|migration| migration.key.clone())
            .collect()
    }

    /// The migrations that the merge-base of the request's base does not have, with the reference as it was resolved:
    /// without them, the project is what runs.
    ///
    /// # Errors
    /// When there is no repository, or no such reference.
    pub fn new_migrations(&self, request: &Request) -> Result<(String, BTreeSet<MigrationKey>), Error> {
        let changes = changes_for(&self.place, request)?.unwrap_or_default();
        let new = self.new_in(&changes);
        Ok((changes.reference, new))
    }

    /// What is known of tables, the measured ones first, because they are single tables. What the configuration says
    /// of one goes before what was measured.
    fn tables(&self) -> Vec<(TablePattern, TableFacts)> {
        let configured = &self.config.tables;
        let measured = self.stats.iter().flat_map(|stats| &stats.tables).map(|(name, table)| {
            let name = name.strip_prefix("public.").unwrap_or(name);
            let said = configured.iter().find(|settings| settings.pattern.matches(name));
            let facts = TableFacts {
                rows: said.and_then(|said| said.rows).or(table.rows),
                bytes: said.and_then(|said| said.bytes).or_else(|| table.total_bytes()),
                hot: said.and_then(TableSettings::is_hot).or_else(|| table.hot()),
            };
            (TablePattern::new(name), facts)
        });
        let patterns = configured.iter().map(|table| {
            let facts = TableFacts { rows: table.rows, bytes: table.bytes, hot: table.is_hot() };
            (TablePattern::new(table.pattern.as_str()), facts)
        });
        measured.chain(patterns).collect()
    }

    /// What was assumed about the versions, a sentence each.
    pub fn notes(&self) -> Vec<String> {
        [self.postgres.note("PostgreSQL"), self.django.note("Django")].into_iter().flatten().collect()
    }
}

/// Whether a path stands directly in a folder or below it.
fn in_folder(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

pub(crate) fn changes_for(place: &Place, request: &Request) -> Result<Option<ChangeSet>, Error> {
    let Some(base) = &request.base else { return Ok(None) };
    let (reference, found_in) = if base == "auto" {
        let auto = base::auto(&place.root, &request.variables)?;
        (auto.reference, Some(auto.found_in))
    } else {
        (base.clone(), None)
    };
    Ok(Some(ChangeSet { found_in, ..changes(&place.root, &reference)? }))
}

/// Whether the migration is one that the merge-base does not have in any form: what an edited, renamed or squashed one makes
/// is in production already.
fn is_new(migration: &Migration, changes: &ChangeSet) -> bool {
    let path = migration.file.path();
    let folder = |path: &str| path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let is_known = match changes.get(path).map(|change| &change.kind) {
        None | Some(ChangeKind::Added) => false,
        // In another app it makes other tables.
        Some(ChangeKind::Renamed { from, .. }) => folder(from) == folder(path),
        Some(ChangeKind::Modified | ChangeKind::Deleted | ChangeKind::Whitespace | ChangeKind::Mode) => true,
    };
    !is_known && migration.replaces.is_empty()
}

fn chosen<V>(asked: Option<V>, configured: Option<V>, found: impl FnOnce() -> Target<V>) -> Target<V> {
    match (asked, configured) {
        (Some(version), _) => Target { version, origin: Origin::CommandLine },
        (None, Some(version)) => Target { version, origin: Origin::Configuration },
        (None, None) => found(),
    }
}

/// What the project is built from; what it needs in any case is parsed.
fn input(
    config: &Config,
    files: &Arc<Files>,
    packages: Option<Arc<Packages>>,
    django: DjangoVersion,
    older: Option<(&Sources, &BTreeSet<Arc<str>>)>,
) -> ProjectInput {
    let import_roots: Vec<Arc<str>> = config.extra_roots.iter().map(|root| Arc::from(root.as_str())).collect();
    let reader = Arc::clone(files);
    let sources = Sources::new(files.paths().iter().cloned(), &import_roots, move |path| {
        let text = reader.text(path);
        match text.problem {
            None => Ok(text.file),
            Some(problem) => Err(problem.to_string()),
        }
    });
    let lister = Arc::clone(files);
    let sources = sources.listing(move |folder| Some(lister.names(folder)));
    if let Some((older, changed)) = older {
        sources.reuse(older, |path| changed.contains(path));
    }
    sources.likely().par_iter().for_each(|path| {
        sources.module(path);
    });
    let environment: Vec<Arc<dyn Folder>> = packages.map(|folder| folder as Arc<dyn Folder>).into_iter().collect();
    let texts = TEXTS
        .into_iter()
        .map(|name| files.text(name))
        .filter(|text| text.problem.is_none())
        .map(|text| text.file)
        .collect();
    ProjectInput {
        sources,
        environment,
        texts,
        config: ProjectConfig {
            settings_module: config.settings.clone(),
            settings: BTreeMap::new(),
            labels: config.apps.iter().map(|(label, folder)| (folder.clone(), label.clone())).collect(),
            installed_apps: None,
            django,
        },
    }
}

/// Files that may name the settings module.
const TEXTS: [&str; 4] = ["pyproject.toml", "pytest.ini", "setup.cfg", "tox.ini"];

/// The packages of a virtual environment, and what was read of them.
#[derive(Debug)]
pub(crate) struct Packages {
    folder: PathBuf,
    read: Mutex<BTreeMap<String, Text>>,
    listed: Mutex<BTreeMap<String, Vec<String>>>,
}

impl Packages {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, read: Mutex::default(), listed: Mutex::default() }
    }

    /// The files that were asked for, with their text as it was.
    pub(crate) fn texts(&self) -> BTreeMap<String, Text> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The folders whose names were asked for, with those names.
    pub(crate) fn listings(&self) -> BTreeMap<String, Vec<String>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Folder for Packages {
    fn read(&self, path: &str) -> Option<SourceFile> {
        let text = crate::files::read(&self.folder, path);
        // What is on disk may change while the project is read; the first answer is the one that was used first.
        let mut known = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let text = known.entry(path.to_owned()).or_insert(text);
        match text.problem {
            None => Some(SourceFile::new(format!("site-packages/{path}"), text.file.text())),
            Some(_) => None,
        }
    }

    fn modules_in(&self, folder: &str) -> Vec<String> {
        let names = names_in(&self.folder.join(folder));
        let mut known = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(folder.to_owned()).or_insert(names).clone()
    }

    fn names_in(&self, folder: &str) -> Option<Vec<String>> {
        Some(self.modules_in(folder))
    }
}

/// The names in a folder, sorted; none where it cannot be read.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Wider settings first; what a narrower one says goes before what a wider one says.
fn rule_set(layers: &[&RuleSettings]) -> RuleSet {
    let mut levels = BTreeMap::new();
    for rule in RULES.iter() {
        let code = rule.page.code;
        let mut level = None;
        for layer in layers {
            match layer.level(code.code, code.name) {
                Some(Level::Off) => level = Some(LintLevel::Off),
                Some(Level::On(severity)) => level = Some(LintLevel::Severity(severity)),
                None if layer.selects(code.code, code.name) => {
                    level = match level {
                        Some(LintLevel::Severity(severity)) => Some(LintLevel::Severity(severity)),
                        _ => Some(LintLevel::On),
                    };
                }
                None => {}
            }
        }
        if let Some(level) = level {
            levels.insert(code.code, level);
        }
    }
    RuleSet(levels)
}

/// Selectors as users write them on the command line; the error names the one that is wrong and the nearest rule.
pub fn selectors(texts: &[String]) -> Result<Vec<Selector>, (String, Option<String>)> {
    let known = known_rules();
    texts.iter().map(|text| Selector::new(text.trim(), &known).map_err(|near| (text.clone(), near))).collect()
}

//! A project under an editor: unsaved texts, and findings that follow every edit.
//!
//! An edit of a migration reads that file again and replays from it ([`zdm_replay::History`]); anything else that an edit
//! can concern is found out by reading the project again, which parses only what changed. The edited file's findings are
//! there first ([`Live::refresh`]); what the edit changes in later migrations is spread in steps that can be left at any
//! time ([`Live::settle`]). Once settled, the findings are those of [`Workspace::analyse`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use zdm_django::Migration;
use zdm_django::project::ProjectInput;
use zdm_django::project::revise::Revision;
use zdm_linter::Config as LintConfig;
use zdm_replay::{History, MigrationTrace, Options, Trace};
use zdm_source::{Diagnostic, SourceFile};

use crate::analysis::{Request, Workspace};
use crate::error::Error;
use crate::files::FileProblem;
use crate::walk::is_python;

/// A project that follows edits. See the module's description.
#[derive(Debug)]
pub struct Live {
    request: Request,
    workspace: Workspace,
    input: ProjectInput,
    options: Options,
    lint: LintConfig,
    /// What traces are judged under; it holds no migration.
    head: Trace,
    history: History,
    /// Indices in the history by path.
    places: BTreeMap<Arc<str>, usize>,
    /// By path of the migration.
    found: BTreeMap<Arc<str>, Found>,
    /// About the project as a whole, by path; those without a place under the empty path.
    project: BTreeMap<Arc<str>, Vec<Diagnostic>>,
    /// Texts that go before those on disk.
    unsaved: BTreeMap<Arc<str>, Arc<str>>,
    /// Files that changed since the project was read as a whole, if it must be read again.
    stale: Option<BTreeSet<Arc<str>>>,
}

#[derive(Clone, Debug)]
struct Found {
    trace: Arc<MigrationTrace>,
    diagnostics: Vec<Diagnostic>,
}

/// How far an edit reaches, as far as is known at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nothing changed.
    Nothing,
    /// This migration, and through it later ones.
    Migration,
    /// Perhaps the whole project.
    Project,
}

impl Live {
    /// Reads the project; `unsaved` are texts by their path relative to its root. Nothing is replayed yet.
    pub fn load(request: Request, unsaved: BTreeMap<Arc<str>, Arc<str>>) -> Result<Self, Error> {
        let (workspace, input) = Workspace::load_with(&request, &unsaved, None)?;
        let options = workspace.options();
        let order: Vec<Arc<Migration>> = workspace.project.in_order().cloned().map(Arc::new).collect();
        let mut live = Self {
            lint: workspace.lint_config(&request, None),
            head: Trace {
                context: options.context.clone(),
                postgres: options.postgres,
                migrations: Vec::new(),
                dependents: OnceLock::new(),
            },
            history: History::new(order, &options),
            places: BTreeMap::new(),
            found: BTreeMap::new(),
            project: BTreeMap::new(),
            stale: None,
            request,
            workspace,
            input,
            options,
            unsaved,
        };
        live.order_changed();
        live.judge_project();
        Ok(live)
    }

    /// The project as it was last read as a whole, single migrations as they are now.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    pub fn request(&self) -> &Request {
        &self.request
    }

    /// What the replay is told of the project.
    pub fn options(&self) -> &Options {
        &self.options
    }

    pub fn lint_config(&self) -> &LintConfig {
        &self.lint
    }

    pub fn history(&self) -> &History {
        &self.history
    }

    /// The place of a file's migration in the order of execution.
    pub fn place(&self, path: &str) -> Option<usize> {
        self.places.get(path).copied()
    }

    /// The trace of a file's migration, as far as it is replayed.
    pub fn trace(&self, path: &str) -> Option<&Arc<MigrationTrace>> {
        self.history.trace(self.place(path)?)
    }

    /// All files that have findings or are migrations of the project, sorted.
    pub fn paths(&self) -> BTreeSet<Arc<str>> {
        let reported = self.places.iter().filter(|(_, index)| {
            self.history.migration(**index).is_some_and(|migration| self.lint.reports(&migration.key))
        });
        reported.map(|(path, _)| path).chain(self.project.keys()).filter(|path| !path.is_empty()).cloned().collect()
    }

    /// The text that is analysed.
    pub fn text(&self, path: &str) -> Option<SourceFile> {
        let text = self.workspace.files.text(path);
        text.problem.is_none().then_some(text.file)
    }

    /// Takes an unsaved text for a file.
    pub fn set_text(&mut self, path: &str, text: &str) -> Reach {
        if self.unsaved.get(path).is_some_and(|known| **known == *text) {
            return Reach::Nothing;
        }
        let path: Arc<str> = Arc::from(path);
        self.unsaved.insert(Arc::clone(&path), Arc::from(text));
        self.workspace.files.overlay(&path, text);
        self.take(path)
    }

    /// The file is as on disk again, and may have changed there, appeared or gone.
    pub fn read_again(&mut self, path: &str) -> Reach {
        let path: Arc<str> = Arc::from(path);
        self.unsaved.remove(&path);
        self.workspace.files.forget(&path);
        self.take(path)
    }

    /// The file's text may be another one.
    fn take(&mut self, path: Arc<str>) -> Reach {
        let now = self.workspace.files.text(&path);
        let known = self.workspace.files.paths().binary_search(&path).is_ok();
        let missing = matches!(now.problem, Some(FileProblem::Missing));
        let nothing = match (known, missing) {
            (true, true) => false,
            (true, false) => {
                let sources = &self.input.sources;
                !sources.was_read(&path) || (now.problem.is_none() && sources.has_text(&now.file))
            }
            (false, missing) => missing || !is_python(&path),
        };
        if nothing { Reach::Nothing } else { self.changed(path) }
    }

    /// Something that is no source file changed: configuration, settings of tools, the set of files.
    pub fn reload(&mut self) {
        self.stale.get_or_insert_with(BTreeSet::new);
    }

    /// An unsaved text hides what is on disk.
    pub fn is_unsaved(&self, path: &str) -> bool {
        self.unsaved.contains_key(path)
    }

    fn changed(&mut self, path: Arc<str>) -> Reach {
        if let Some(stale) = &mut self.stale {
            stale.insert(path);
            return Reach::Project;
        }
        let text = self.workspace.files.text(&path);
        let revision = if text.problem.is_none() && self.input.sources.replace(&text.file) {
            self.workspace.project.revise(&self.input, &path)
        } else {
            Revision::Project
        };
        match revision {
            Revision::Migration(index) => {
                let place = self.places.get(&path).copied();
                if let (Some(place), Some(migration)) = (place, self.workspace.project.migrations.get(index)) {
                    self.history.replace(place, Arc::new(migration.clone()));
                }
                self.judge_project();
                Reach::Migration
            }
            Revision::Graph(_) => {
                self.project_changed();
                Reach::Migration
            }
            Revision::Project => {
                self.stale = Some(BTreeSet::from([path]));
                Reach::Project
            }
        }
    }

    /// Reads the project again where an edit concerned more than a migration. On an error the project stays as it was, and
    /// the error comes again with the next attempt.
    pub fn update(&mut self) -> Result<(), Error> {
        let Some(stale) = &self.stale else { return Ok(()) };
        let older = Some((&self.input.sources, stale));
        (self.workspace, self.input) = Workspace::load_with(&self.request, &self.unsaved, older)?;
        self.stale = None;
        self.lint = self.workspace.lint_config(&self.request, None);
        self.found.clear();
        self.project_changed();
        Ok(())
    }

    /// Whether [`Live::update`] has something to do.
    pub fn is_stale(&self) -> bool {
        self.stale.is_some()
    }

    /// The order of execution, or what it is replayed under, may be another one.
    fn project_changed(&mut self) {
        let options = self.workspace.options();
        let mut known: BTreeMap<&str, &Arc<Migration>> = BTreeMap::new();
        for index in 0..self.history.len() {
            if let Some(migration) = self.history.migration(index) {
                known.insert(migration.file.path(), migration);
            }
        }
        let order = self.workspace.project.in_order();
        let order = order.map(|migration| match known.get(migration.file.path()) {
            Some(old) if ***old == *migration => Arc::clone(old),
            _ => Arc::new(migration.clone()),
        });
        let order = order.collect();
        if options == self.options {
            self.history.rearrange(order);
        } else {
            self.history = History::new(order, &options);
            self.head = Trace {
                context: options.context.clone(),
                postgres: options.postgres,
                migrations: Vec::new(),
                dependents: OnceLock::new(),
            };
            self.options = options;
            self.found.clear();
        }
        self.order_changed();
        self.judge_project();
    }

    fn order_changed(&mut self) {
        self.places = (0..self.history.len())
            .filter_map(|index| Some((self.history.migration(index)?.file.path_arc(), index)))
            .collect();
        self.found.retain(|path, _| self.places.contains_key(path));
    }

    fn judge_project(&mut self) {
        self.project.clear();
        for diagnostic in zdm_linter::lint_project(&self.workspace.project.problems, &self.lint) {
            self.project.entry(diagnostic.primary.file.path_arc()).or_default().push(diagnostic);
        }
    }

    /// Brings a file's findings up to date with its text, on the worlds that are known before it.
    pub fn refresh(&mut self, path: &str) {
        if let Some(index) = self.place(path) {
            self.history.refresh(index);
            self.judge(index);
        }
    }

    /// Spreads what edits changed, until it is done or `go_on` says no, which is asked after each migration. Returns the
    /// files whose findings are others now.
    pub fn settle(&mut self, mut go_on: impl FnMut() -> bool) -> BTreeSet<Arc<str>> {
        let mut changed = BTreeSet::new();
        while let Some(settled) = self.history.settle() {
            if settled.replayed
                && let Some(path) = self.judge(settled.index)
            {
                changed.insert(path);
            }
            if !go_on() {
                break;
            }
        }
        changed
    }

    /// Whether the findings are those of the whole project as it is now.
    pub fn is_settled(&self) -> bool {
        self.stale.is_none() && self.history.is_settled()
    }

    /// Judges a migration anew where its trace is; the path if its findings are others than before.
    fn judge(&mut self, index: usize) -> Option<Arc<str>> {
        let trace = self.history.trace(index)?;
        let key = &trace.migration.key;
        let path = trace.migration.file.path_arc();
        if !self.lint.reports(key) || self.found.get(&path).is_some_and(|found| Arc::ptr_eq(&found.trace, trace)) {
            return None;
        }
        let mut diagnostics = zdm_linter::lint_migration(&self.head, trace, Vec::new(), &self.lint);
        diagnostics.sort_by(|one, other| one.sort_key().cmp(&other.sort_key()));
        let old = self.found.insert(Arc::clone(&path), Found { trace: Arc::clone(trace), diagnostics });
        let new = self.found.get(&path).map(|found| &found.diagnostics);
        (old.as_ref().map(|old| &old.diagnostics) != new).then_some(path)
    }

    /// The findings of a file, suppressed ones included, in the order of reports.
    pub fn findings(&mut self, path: &str) -> Vec<&Diagnostic> {
        if let Some(index) = self.place(path) {
            self.judge(index);
        }
        let of_project = self.project.get(path).into_iter().flatten();
        let of_migration = self.found.get(path).into_iter().flat_map(|found| &found.diagnostics);
        let mut all: Vec<&Diagnostic> = of_project.chain(of_migration).collect();
        all.sort_by(|one, other| one.sort_key().cmp(&other.sort_key()));
        all
    }

    /// The findings that have no place in a file.
    pub fn findings_without_place(&self) -> &[Diagnostic] {
        self.project.get("").map_or(&[], Vec::as_slice)
    }
}

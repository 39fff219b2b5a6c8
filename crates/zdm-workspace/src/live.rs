//! A project under an editor: unsaved texts, and findings that follow every edit.
//!
//! An edit of a migration reads that file again and replays from it ([`zdm_replay::History`]); anything else that an edit
//! can concern is found out by reading the project again, which parses only what changed. The edited file's findings are
//! there first ([`Live::refresh`]); what the edit changes in later migrations is spread in steps that can be left at any
//! time ([`Live::settle`]). Once settled, the findings are those of [`Workspace::analyse`].
//!
//! With a base, what git says of the files on disk and the unsaved texts together tell what the branch changes. All
//! migrations are judged all the same, because an editor shows the phase of any of them; the findings that are asked for
//! are those of changed ones. What a release has in common is known only once everything before is replayed, so judgements
//! are looked after when the history is settled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zdm_django::project::ProjectInput;
use zdm_django::project::revise::Revision;
use zdm_django::{Migration, MigrationKey};
use zdm_linter::context::{Behind, stands_behind_what};
use zdm_linter::{Config as LintConfig, KnownTables, Release};
use zdm_replay::{History, MigrationTrace, Options};
use zdm_source::{Diagnostic, SourceFile};

use crate::analysis::{Request, Workspace, changes_for};
use crate::branch::Branch;
use crate::changes::ChangeSet;
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
    history: History,
    /// Indices in the history by path.
    places: BTreeMap<Arc<str>, usize>,
    /// Indices of the migrations that stand directly behind another one.
    behind: BTreeMap<MigrationKey, Vec<usize>>,
    /// By path of the migration.
    found: BTreeMap<Arc<str>, Found>,
    /// About the project as a whole, by path; those without a place under the empty path.
    project: BTreeMap<Arc<str>, Vec<Diagnostic>>,
    /// Texts that go before those on disk.
    unsaved: BTreeMap<Arc<str>, Arc<str>>,
    /// Files that changed since the project was read as a whole, if it must be read again.
    stale: Option<BTreeSet<Arc<str>>>,
    /// What differs from the base, where one was asked for and found.
    branch: Option<Branch>,
    /// Why the base that was asked for is not taken.
    base_trouble: Option<Error>,
    /// The migrations that are reported on; `None`: all.
    reported: Option<BTreeSet<MigrationKey>>,
    /// About migrations that were merged and are not the same now, by path.
    merged: BTreeMap<Arc<str>, Vec<Diagnostic>>,
    /// What the branch adds, as it was when the history was last settled.
    release: Option<Release>,
    /// The release may be another one.
    release_open: bool,
    /// Files on disk may differ from the base in another way.
    disk_changed: bool,
    /// Places in the history whose migrations are to be judged anew.
    waiting: BTreeSet<usize>,
    /// Paths that report other findings without having been judged anew.
    moved: BTreeSet<Arc<str>>,
    /// About tables that the configuration names, by path of the configuration.
    tables: BTreeMap<Arc<str>, Vec<Diagnostic>>,
    /// These may be others, where there are any.
    tables_open: bool,
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
            history: History::new(order, &options),
            places: BTreeMap::new(),
            behind: BTreeMap::new(),
            found: BTreeMap::new(),
            project: BTreeMap::new(),
            stale: None,
            branch: None,
            base_trouble: None,
            reported: None,
            merged: BTreeMap::new(),
            release: None,
            release_open: false,
            disk_changed: false,
            waiting: BTreeSet::new(),
            moved: BTreeSet::new(),
            tables: BTreeMap::new(),
            tables_open: true,
            request,
            workspace,
            input,
            options,
            unsaved,
        };
        live.order_changed();
        live.read_branch();
        live.branch_changed();
        live.moved.clear();
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
        let reported = self.places.iter().filter(|(_, index)| self.is_reported(**index)).map(|(path, _)| path);
        let others = self.project.keys().chain(self.merged.keys()).chain(self.tables.keys());
        reported.chain(others).filter(|path| !path.is_empty()).cloned().collect()
    }

    /// Why the base that was asked for is not taken; then everything is reported.
    pub fn base_trouble(&self) -> Option<&Error> {
        self.base_trouble.as_ref()
    }

    /// What differs from the base, where one is taken.
    pub fn changes(&self) -> Option<&ChangeSet> {
        self.branch.as_ref().map(Branch::now)
    }

    fn is_reported(&self, index: usize) -> bool {
        self.history.migration(index).is_some_and(|migration| {
            self.lint.reports(&migration.key)
                && self.reported.as_ref().is_none_or(|reported| reported.contains(&migration.key))
        })
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
        let reach = self.take(Arc::clone(&path));
        self.take_for_branch(&path);
        reach
    }

    /// The file is as on disk again, and may have changed there, appeared or gone.
    pub fn read_again(&mut self, path: &str) -> Reach {
        let path: Arc<str> = Arc::from(path);
        self.unsaved.remove(&path);
        self.workspace.files.forget(&path);
        self.disk_changed |= self.request.base.is_some();
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
            // What is no module may have been read by one.
            (false, _) if self.input.sources.was_read(&path) => {
                now.problem.is_none() && self.input.sources.has_text(&now.file)
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
        self.found.clear();
        self.read_branch();
        self.project_changed();
        self.branch_changed();
        Ok(())
    }

    /// Asks git what differs from the base.
    fn read_branch(&mut self) {
        self.disk_changed = false;
        if self.request.base.is_none() {
            return;
        }
        match changes_for(&self.workspace.place, &self.request) {
            Ok(Some(changes)) => {
                self.base_trouble = None;
                self.branch = Some(Branch::new(changes, &self.workspace.place.root, &self.unsaved));
            }
            Ok(None) => {}
            Err(error) => {
                self.base_trouble = Some(error);
                self.branch = None;
            }
        }
    }

    /// What is reported, and what is released together, may be something else.
    fn branch_changed(&mut self) {
        self.lint = self.workspace.lint_config(&self.request, None);
        let narrowed = self.changes().map(|changes| self.workspace.lint_config(&self.request, Some(changes)));
        let mut reported = None;
        if let Some(narrowed) = narrowed {
            self.lint.together = narrowed.together;
            self.lint.only_paths = narrowed.only_paths;
            reported = narrowed.only;
        }
        if reported != self.reported {
            let was = std::mem::replace(&mut self.reported, reported);
            let (was, is) = (was.as_ref(), self.reported.as_ref());
            for (path, index) in &self.places {
                let Some(migration) = self.history.migration(*index) else { continue };
                let has = |set: Option<&BTreeSet<MigrationKey>>| set.is_none_or(|set| set.contains(&migration.key));
                if has(was) != has(is) {
                    self.moved.insert(Arc::clone(path));
                }
            }
        }
        self.release_open = self.lint.together.is_some() || self.release.is_some();
        self.moved.extend(self.project.keys().cloned());
        self.judge_project();
        self.moved.extend(self.project.keys().cloned());
        self.judge_merged();
    }

    /// A file's text is another one: it may differ from the base in another way.
    fn take_for_branch(&mut self, path: &Arc<str>) {
        let Some(branch) = &mut self.branch else { return };
        let text = self.unsaved.get(path).map(|text| &**text);
        if branch.set(&self.workspace.place.root, path, text) {
            self.branch_changed();
        } else if branch.now().get(path).is_some() {
            self.judge_merged();
        }
    }

    /// Findings about merged migrations that changed; where they are others, their files are judged anew.
    fn judge_merged(&mut self) {
        let mut found = Vec::new();
        if let Some(changes) = self.changes() {
            let merged = self.workspace.merged_changes(changes, &self.lint);
            zdm_linter::merged::check(&merged, &self.lint, &mut found);
        }
        let mut by_path: BTreeMap<Arc<str>, Vec<Diagnostic>> = BTreeMap::new();
        for diagnostic in found {
            by_path.entry(diagnostic.primary.file.path_arc()).or_default().push(diagnostic);
        }
        for path in self.merged.keys().chain(by_path.keys()) {
            if self.merged.get(path) == by_path.get(path) {
                continue;
            }
            match self.places.get(path) {
                Some(index) => self.waiting.insert(*index),
                None => self.moved.insert(Arc::clone(path)),
            };
        }
        self.merged = by_path;
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
            self.options = options;
            self.found.clear();
        }
        self.order_changed();
        self.judge_project();
    }

    fn order_changed(&mut self) {
        let places = (0..self.history.len())
            .filter_map(|index| Some((self.history.migration(index)?.file.path_arc(), index)))
            .collect();
        let old = std::mem::replace(&mut self.places, places);
        // What waits keeps waiting at its new place.
        let waits = old.iter().filter(|(_, index)| self.waiting.contains(index)).map(|(path, _)| path);
        self.waiting = waits.filter_map(|path| self.places.get(path).copied()).collect();
        self.release_open |= self.lint.together.is_some();
        let mut behind: BTreeMap<MigrationKey, Vec<usize>> = BTreeMap::new();
        for index in 0..self.history.len() {
            for key in self.history.migration(index).into_iter().flat_map(|own| stands_behind_what(own)) {
                behind.entry(key.clone()).or_default().push(index);
            }
        }
        // A fix that writes a new migration is offered only where nothing stands behind.
        for (index, own) in (0..self.history.len()).filter_map(|index| Some((index, self.history.migration(index)?))) {
            let count = |map: &BTreeMap<MigrationKey, Vec<usize>>| map.get(&own.key).map_or(0, Vec::len);
            if count(&self.behind) != count(&behind) && self.found.contains_key(own.file.path()) {
                self.waiting.insert(index);
            }
        }
        self.behind = behind;
        self.found.retain(|path, _| self.places.contains_key(path));
    }

    fn judge_project(&mut self) {
        self.tables_open = true;
        self.project.clear();
        for diagnostic in zdm_linter::lint_project(&self.workspace.project.problems, &self.lint) {
            self.project.entry(diagnostic.primary.file.path_arc()).or_default().push(diagnostic);
        }
    }

    /// Brings a file's findings up to date with its text, on the worlds that are known before it.
    pub fn refresh(&mut self, path: &str) {
        if let Some(index) = self.place(path) {
            self.history.refresh(index);
            self.judge_if_new(index);
        }
    }

    /// Spreads what edits changed, until it is done or `go_on` says no, which is asked after each migration. Returns the
    /// files whose findings are others now.
    pub fn settle(&mut self, mut go_on: impl FnMut() -> bool) -> BTreeSet<Arc<str>> {
        let mut changed = BTreeSet::new();
        if self.disk_changed {
            let known = self.branch.clone();
            self.read_branch();
            let is_same = match (&known, &self.branch) {
                (Some(known), Some(branch)) => branch.is_same(known),
                (None, None) => true,
                _ => false,
            };
            if !is_same {
                self.branch_changed();
            }
        }
        changed.append(&mut self.moved);
        while let Some(settled) = self.history.settle() {
            self.tables_open |= settled.replayed;
            if settled.replayed
                && let Some(path) = self.judge_if_new(settled.index)
            {
                changed.insert(path);
            }
            if !go_on() {
                return changed;
            }
        }
        if std::mem::take(&mut self.tables_open) {
            changed.append(&mut self.settle_tables());
        }
        if std::mem::take(&mut self.release_open) {
            self.settle_release();
        }
        while let Some(index) = self.waiting.pop_first() {
            changed.extend(self.judge(index));
            if !go_on() {
                break;
            }
        }
        changed
    }

    /// Looks whether the tables that the configuration names are there; the files whose findings are others now.
    fn settle_tables(&mut self) -> BTreeSet<Arc<str>> {
        let mut found: BTreeMap<Arc<str>, Vec<Diagnostic>> = BTreeMap::new();
        let mut known = KnownTables::default();
        for trace in (0..self.history.len()).filter_map(|index| self.history.trace(index)) {
            known.follow(trace, &self.lint);
        }
        for diagnostic in known.check(&self.options.context, &self.lint) {
            found.entry(diagnostic.primary.file.path_arc()).or_default().push(diagnostic);
        }
        let old = std::mem::replace(&mut self.tables, found);
        let paths: BTreeSet<Arc<str>> = old.keys().chain(self.tables.keys()).cloned().collect();
        paths.into_iter().filter(|path| old.get(path) != self.tables.get(path)).collect()
    }

    /// Looks at what the release has in common, and for which of its migrations that is something else now.
    fn settle_release(&mut self) {
        let traces = (0..self.history.len()).filter_map(|index| self.history.trace(index)).map(|trace| &**trace);
        let new = self.lint.together.as_ref().map(|together| Release::new(traces, together));
        let nobody = Release::new([], &BTreeSet::new());
        let old = std::mem::replace(&mut self.release, new);
        let (old, new) = (old.as_ref().unwrap_or(&nobody), self.release.as_ref().unwrap_or(&nobody));
        for index in 0..self.history.len() {
            if let Some(migration) = self.history.migration(index)
                && !new.is_same_for(old, &migration.key)
            {
                self.waiting.insert(index);
            }
        }
    }

    /// Whether the findings are those of the whole project as it is now.
    pub fn is_settled(&self) -> bool {
        self.stale.is_none()
            && self.history.is_settled()
            && !self.release_open
            && !self.tables_open
            && !self.disk_changed
            && self.waiting.is_empty()
            && self.moved.is_empty()
    }

    /// Judges a migration anew if it was replayed since; the path if its findings are others than before.
    fn judge_if_new(&mut self, index: usize) -> Option<Arc<str>> {
        let trace = self.history.trace(index)?;
        let found = self.found.get(trace.migration.file.path());
        if found.is_some_and(|found| Arc::ptr_eq(&found.trace, trace)) {
            return None;
        }
        self.release_open |= found.is_some() && self.lint.together.is_some();
        self.judge(index)
    }

    /// Judges a migration anew where its trace is; the path if its findings are others than before.
    fn judge(&mut self, index: usize) -> Option<Arc<str>> {
        let trace = self.history.trace(index)?;
        let key = &trace.migration.key;
        let path = trace.migration.file.path_arc();
        self.waiting.remove(&index);
        if !self.lint.reports(key) {
            return None;
        }
        let about = self.merged.get(&path).cloned().unwrap_or_default();
        let behind = |key: &MigrationKey| -> Vec<Arc<Migration>> {
            let indices = self.behind.get(key).into_iter().flatten();
            indices.filter_map(|index| self.history.migration(*index)).cloned().collect()
        };
        let earlier = (0..index).filter_map(|index| self.history.trace(index)).map(|trace| &**trace);
        let release = self.release.as_ref();
        let mut diagnostics =
            zdm_linter::lint_released(trace, earlier, about, &self.options, &self.lint, release, Behind(&behind));
        diagnostics.sort_by(|one, other| one.sort_key().cmp(&other.sort_key()));
        let old = self.found.insert(Arc::clone(&path), Found { trace: Arc::clone(trace), diagnostics });
        let new = self.found.get(&path).map(|found| &found.diagnostics);
        (old.as_ref().map(|old| &old.diagnostics) != new).then_some(path)
    }

    /// The findings of a file that are reported, suppressed ones included, in the order of reports.
    pub fn findings(&mut self, path: &str) -> Vec<&Diagnostic> {
        let reported = self.place(path).is_none_or(|index| self.is_reported(index));
        self.all_findings(path, reported)
    }

    /// The same, also where nothing is reported because the branch does not change the migration.
    pub fn judgements(&mut self, path: &str) -> Vec<&Diagnostic> {
        self.all_findings(path, true)
    }

    fn all_findings(&mut self, path: &str, with_migration: bool) -> Vec<&Diagnostic> {
        let place = self.place(path);
        if let Some(index) = place {
            if self.waiting.contains(&index) {
                self.judge(index);
            } else {
                self.judge_if_new(index);
            }
        }
        let of_project = self.project.get(path).into_iter().chain(self.tables.get(path)).flatten();
        let found = self.found.get(path).filter(|_| with_migration);
        let of_migration = found.into_iter().flat_map(|found| &found.diagnostics);
        // Those about a migration of the project are among its own.
        let of_merged = self.merged.get(path).filter(|_| place.is_none()).into_iter().flatten();
        let mut all: Vec<&Diagnostic> = of_project.chain(of_migration).chain(of_merged).collect();
        all.sort_by(|one, other| one.sort_key().cmp(&other.sort_key()));
        all
    }

    /// The findings that have no place in a file.
    pub fn findings_without_place(&self) -> &[Diagnostic] {
        self.project.get("").map_or(&[], Vec::as_slice)
    }
}

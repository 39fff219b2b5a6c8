//! The order in which Django would run the migrations.
//!
//! [`Graph::build`] does what `migrate` does on a fresh database: dependencies and `run_before`, `__first__` and
//! `__latest__`, squashes in place of what they replace, then one depth-first walk from each leaf in the order of
//! app label and name. Source of the semantics: Django's documentation, "Migrations" (dependencies, squashing), and
//! the order that `migrate --plan` prints, which the tests compare for every supported version.
//!
//! What Django refuses is a [`Problem`] here, and the rest is still in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zdm_source::Span;

use crate::migration::{Dependency, DependencyTarget, Migration, MigrationKey};
use crate::problem::{Problem, ProblemKind};

/// Indices are those of the slice that the graph was built from.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    order: Vec<usize>,
    index: BTreeMap<MigrationKey, usize>,
    parents: BTreeMap<MigrationKey, Vec<MigrationKey>>,
    children: BTreeMap<MigrationKey, Vec<MigrationKey>>,
    leaves: BTreeMap<Arc<str>, Vec<MigrationKey>>,
    replaced: BTreeMap<MigrationKey, MigrationKey>,
    problems: Vec<Problem>,
}

/// What the graph needs to know of apps, by their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Apps that exist and have no migrations: a dependency on their `__first__` means nothing.
    pub unmigrated: BTreeSet<Arc<str>>,
    /// Apps that the settings do not install. Django does not know them; they come after the others.
    pub not_installed: BTreeSet<Arc<str>>,
    /// There are no settings: an app that a setting names is a guess.
    pub settings_assumed: bool,
}

impl Graph {
    /// The graph of all `migrations`.
    pub fn build(migrations: &[Migration], apps: &Labels) -> Self {
        let mut builder = Builder::new(migrations, apps);
        builder.add_edges();
        builder.replace();
        builder.drop_missing();
        builder.finish()
    }

    /// The migrations in the order of execution, each once; those that a squash replaces are not among them.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The index of a migration, replaced ones included.
    pub fn index_of(&self, key: &MigrationKey) -> Option<usize> {
        self.index.get(key).copied()
    }

    /// What must run before `key`, directly; sorted.
    pub fn parents(&self, key: &MigrationKey) -> &[MigrationKey] {
        self.parents.get(key).map_or(&[], Vec::as_slice)
    }

    /// What needs `key`, directly; sorted.
    pub fn children(&self, key: &MigrationKey) -> &[MigrationKey] {
        self.children.get(key).map_or(&[], Vec::as_slice)
    }

    /// The migrations that no other of the same app depends on, by app; sorted. More than one is a conflict.
    pub fn leaves(&self) -> &BTreeMap<Arc<str>, Vec<MigrationKey>> {
        &self.leaves
    }

    /// The squash that stands in for a migration.
    pub fn replaced_by(&self, key: &MigrationKey) -> Option<&MigrationKey> {
        self.replaced.get(key)
    }

    /// All replaced migrations with their squash.
    pub fn replaced(&self) -> &BTreeMap<MigrationKey, MigrationKey> {
        &self.replaced
    }

    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// A node's number is its place in the order of keys, so that sets of numbers are in Django's order of nodes.
type NodeId = usize;

#[derive(Default)]
struct Node {
    key: Option<MigrationKey>,
    /// None for a migration that is only named.
    migration: Option<usize>,
    parents: BTreeSet<NodeId>,
    children: BTreeSet<NodeId>,
    removed: bool,
}

struct Builder<'a> {
    migrations: &'a [Migration],
    labels: &'a Labels,
    ids: BTreeMap<MigrationKey, NodeId>,
    nodes: Vec<Node>,
    /// Child, parent → the dependency that says so and the migration that holds it.
    reasons: BTreeMap<(NodeId, NodeId), (usize, Span)>,
    /// Nodes of each app, removed ones included.
    apps: BTreeMap<Arc<str>, Vec<NodeId>>,
    assumed: BTreeSet<Arc<str>>,
    unknown_settings: BTreeSet<Arc<str>>,
    replaced: BTreeMap<MigrationKey, MigrationKey>,
    problems: Vec<Problem>,
}

impl<'a> Builder<'a> {
    fn new(migrations: &'a [Migration], labels: &'a Labels) -> Self {
        let mut problems = Vec::new();
        let mut first: BTreeMap<&MigrationKey, usize> = BTreeMap::new();
        for (index, migration) in migrations.iter().enumerate() {
            if let Some(other) = first.get(&migration.key) {
                let other = &migrations[*other];
                problems.push(
                    Problem::new(
                        ProblemKind::DuplicateMigration,
                        format!("a second migration `{}`; this one is left out", migration.key),
                        "rename one of the two, or give one of the apps another label",
                    )
                    .at(&migration.file, migration.span)
                    .related(&other.file, other.span, "the first one"),
                );
            } else {
                first.insert(&migration.key, index);
            }
        }
        let mut keys: BTreeSet<&MigrationKey> = first.keys().copied().collect();
        for migration in migrations {
            for dependency in migration.dependencies.iter().chain(&migration.run_before) {
                if let DependencyTarget::Migration(key) = &dependency.target {
                    keys.insert(key);
                }
            }
        }
        let mut ids = BTreeMap::new();
        let mut nodes = Vec::with_capacity(keys.len());
        let mut apps: BTreeMap<Arc<str>, Vec<NodeId>> = BTreeMap::new();
        for (id, key) in keys.into_iter().enumerate() {
            ids.insert(key.clone(), id);
            apps.entry(Arc::clone(&key.app)).or_default().push(id);
            nodes.push(Node { key: Some(key.clone()), migration: first.get(key).copied(), ..Node::default() });
        }
        Self {
            migrations,
            labels,
            ids,
            nodes,
            reasons: BTreeMap::new(),
            apps,
            assumed: BTreeSet::new(),
            unknown_settings: BTreeSet::new(),
            replaced: BTreeMap::new(),
            problems,
        }
    }

    fn has_app(&self, app: &str) -> bool {
        self.apps.get(app).is_some_and(|nodes| nodes.iter().any(|id| self.nodes[*id].migration.is_some()))
    }

    /// Dependencies inside of an app come first: `__first__` and `__latest__` ask for roots and leaves.
    fn add_edges(&mut self) {
        let present: Vec<(NodeId, usize)> =
            self.nodes.iter().enumerate().filter_map(|(id, node)| Some((id, node.migration?))).collect();
        let migrations = self.migrations;
        for (id, index) in &present {
            let migration = &migrations[*index];
            for dependency in &migration.dependencies {
                if let DependencyTarget::Migration(key) = &dependency.target
                    && key.app == migration.key.app
                    && let Some(parent) = self.ids.get(key).copied()
                {
                    self.connect(*id, parent, *index, dependency.span);
                }
            }
        }
        for (id, index) in &present {
            let migration = &migrations[*index];
            for dependency in &migration.dependencies {
                let own =
                    matches!(&dependency.target, DependencyTarget::Migration(key) if key.app == migration.key.app);
                if !own && let Some(parent) = self.resolve(migration, dependency) {
                    self.connect(*id, parent, *index, dependency.span);
                }
            }
            for dependency in &migration.run_before {
                if let Some(child) = self.resolve(migration, dependency) {
                    self.connect(child, *id, *index, dependency.span);
                }
            }
        }
    }

    fn connect(&mut self, child: NodeId, parent: NodeId, migration: usize, span: Span) {
        self.nodes[child].parents.insert(parent);
        self.nodes[parent].children.insert(child);
        self.reasons.entry((child, parent)).or_insert((migration, span));
    }

    /// The node that a dependency on another app means; None where it means nothing or has been reported.
    fn resolve(&mut self, migration: &Migration, dependency: &Dependency) -> Option<NodeId> {
        let end = match &dependency.target {
            DependencyTarget::Migration(key) => {
                if self.has_app(&key.app) || self.labels.unmigrated.contains(&key.app) {
                    return self.ids.get(key).copied();
                }
                self.assume(&key.app, migration, dependency.span);
                return None;
            }
            DependencyTarget::First(app) => (app, true),
            DependencyTarget::Latest(app) => (app, false),
            DependencyTarget::Swappable(setting) => {
                // Said once for each setting: it is the setting that is to be corrected.
                if !self.unknown_settings.insert(Arc::clone(setting)) {
                    return None;
                }
                self.problems.push(
                    Problem::new(
                        ProblemKind::UnknownDependency,
                        format!("the app behind `settings.{setting}` is not known; dependencies on it are ignored"),
                        format!("set `{setting}` under `[tool.zdm.settings]`"),
                    )
                    .at(&migration.file, dependency.span),
                );
                return None;
            }
            DependencyTarget::Unknown(reason) => {
                self.problems.push(
                    Problem::new(
                        ProblemKind::UnknownDependency,
                        format!("dependency not analysed: {reason}; it is ignored"),
                        "write the dependency as a pair of strings",
                    )
                    .at(&migration.file, dependency.span),
                );
                return None;
            }
        };
        let (app, first) = end;
        if *app == migration.key.app {
            // Django ignores `__first__` of the migration's own app.
            return None;
        }
        if self.has_app(app) {
            return if first { self.roots(app).next() } else { self.leaves(app).next() };
        }
        if !self.labels.unmigrated.contains(app) {
            self.assume(app, migration, dependency.span);
        }
        None
    }

    fn assume(&mut self, app: &Arc<str>, migration: &Migration, span: Span) {
        if self.assumed.insert(Arc::clone(app)) {
            self.problems.push(
                Problem::new(
                    ProblemKind::ExternalAppAssumed,
                    format!("the migrations of app `{app}` are not at hand; its models are assumed as they are used"),
                    "run in the project's virtual environment, or name the folder of the app's package in the \
                     configuration",
                )
                .at(&migration.file, span),
            );
        }
    }

    fn app_nodes(&self, app: &str) -> impl Iterator<Item = NodeId> {
        self.apps.get(app).into_iter().flatten().copied().filter(|id| !self.nodes[*id].removed)
    }

    fn same_app(&self, one: NodeId, other: NodeId) -> bool {
        let app = |id: NodeId| self.nodes[id].key.as_ref().map(|key| &key.app);
        app(one) == app(other)
    }

    /// Nodes without a parent in their app.
    fn roots(&self, app: &str) -> impl Iterator<Item = NodeId> {
        self.app_nodes(app).filter(|id| self.nodes[*id].parents.iter().all(|parent| !self.same_app(*id, *parent)))
    }

    /// Nodes without a child in their app.
    fn leaves(&self, app: &str) -> impl Iterator<Item = NodeId> {
        self.app_nodes(app).filter(|id| self.nodes[*id].children.iter().all(|child| !self.same_app(*id, *child)))
    }

    /// Squashes stand in for what they replace; squashes of squashes from the inside out.
    fn replace(&mut self) {
        let squashes: Vec<NodeId> = (0..self.nodes.len())
            .filter(|id| self.nodes[*id].migration.is_some_and(|index| !self.migrations[index].replaces.is_empty()))
            .collect();
        let mut state: BTreeMap<NodeId, bool> = BTreeMap::new();
        for squash in squashes {
            // An explicit stack: (node, its replaced squashes are done).
            let mut stack = vec![(squash, false)];
            while let Some((id, ready)) = stack.pop() {
                let Some(index) = self.nodes[id].migration else { continue };
                if ready {
                    self.replace_nodes(id, index);
                    state.insert(id, true);
                    continue;
                }
                match state.get(&id) {
                    Some(true) => continue,
                    Some(false) => {
                        let migration = &self.migrations[index];
                        self.problems.push(
                            Problem::new(
                                ProblemKind::BadReplacement,
                                format!("`{}` replaces itself through other squashes", migration.key),
                                "remove it from the `replaces` of the migrations that it replaces",
                            )
                            .at(&migration.file, migration.span),
                        );
                        continue;
                    }
                    None => {}
                }
                state.insert(id, false);
                stack.push((id, true));
                for key in self.migrations[index].replaces.iter().rev() {
                    if let Some(inner) = self.ids.get(key)
                        && *inner != id
                        && self.nodes[*inner].migration.is_some_and(|index| !self.migrations[index].replaces.is_empty())
                    {
                        stack.push((*inner, false));
                    }
                }
            }
        }
    }

    fn replace_nodes(&mut self, squash: NodeId, index: usize) {
        let migration = &self.migrations[index];
        if self.nodes[squash].removed {
            // Its own squash came first only if both replace the same migrations.
            return;
        }
        let replaced: BTreeSet<NodeId> =
            migration.replaces.iter().filter_map(|key| self.ids.get(key).copied()).filter(|id| *id != squash).collect();
        for key in &migration.replaces {
            if *key == migration.key {
                self.problems.push(
                    Problem::new(
                        ProblemKind::BadReplacement,
                        format!("`{key}` replaces itself"),
                        "remove it from `replaces`",
                    )
                    .at(&migration.file, migration.span),
                );
            } else if let Some(other) = self.replaced.get(key) {
                let chained = self.replaced.get(other) == Some(&migration.key) || migration.replaces.contains(other);
                if !chained && let Some(other) = self.ids.get(other).and_then(|id| self.nodes[*id].migration) {
                    let other = &self.migrations[other];
                    self.problems.push(
                        Problem::new(
                            ProblemKind::BadReplacement,
                            format!("both `{}` and `{}` replace `{key}`", other.key, migration.key),
                            "keep one of the two squashes",
                        )
                        .at(&migration.file, migration.span)
                        .related(&other.file, other.span, "the other squash"),
                    );
                }
            } else {
                self.replaced.insert(key.clone(), migration.key.clone());
            }
        }
        for id in &replaced {
            if std::mem::replace(&mut self.nodes[*id].removed, true) {
                continue;
            }
            let children = std::mem::take(&mut self.nodes[*id].children);
            for child in children {
                self.nodes[child].parents.remove(id);
                if !replaced.contains(&child) && child != squash {
                    self.move_edge((child, *id), (child, squash));
                }
            }
            let parents = std::mem::take(&mut self.nodes[*id].parents);
            for parent in parents {
                self.nodes[parent].children.remove(id);
                if !replaced.contains(&parent) && parent != squash {
                    self.move_edge((*id, parent), (squash, parent));
                }
            }
        }
    }

    fn move_edge(&mut self, from: (NodeId, NodeId), to: (NodeId, NodeId)) {
        if let Some(reason) = self.reasons.get(&from).copied() {
            self.reasons.entry(to).or_insert(reason);
        }
        self.nodes[to.0].parents.insert(to.1);
        self.nodes[to.1].children.insert(to.0);
    }

    /// What is only named is an error now, as squashes had their chance to stand in for it.
    fn drop_missing(&mut self) {
        for id in 0..self.nodes.len() {
            if self.nodes[id].migration.is_some() || self.nodes[id].removed {
                continue;
            }
            let Some(key) = self.nodes[id].key.clone() else { continue };
            self.nodes[id].removed = true;
            let children = std::mem::take(&mut self.nodes[id].children);
            let parents = std::mem::take(&mut self.nodes[id].parents);
            for child in &children {
                self.nodes[*child].parents.remove(&id);
            }
            for parent in &parents {
                self.nodes[*parent].children.remove(&id);
            }
            let edges = children.iter().map(|child| (*child, id)).chain(parents.iter().map(|parent| (id, *parent)));
            let reasons: Vec<(usize, Span)> = edges.filter_map(|edge| self.reasons.get(&edge).copied()).collect();
            for (index, span) in reasons {
                let migration = &self.migrations[index];
                if self.labels.settings_assumed && !migration.file.slice(span).contains(&*key.app) {
                    self.problems.push(
                        Problem::new(
                            ProblemKind::UnknownDependency,
                            format!(
                                "`{}` depends on `{}` of an app that the settings name, and there are none: by Django's default it is `{}`, which has no such migration; the dependency is ignored",
                                migration.key, key.name, key.app
                            ),
                            "name the settings module as `settings` in the configuration, or the setting under `[tool.zdm.settings]`",
                        )
                        .at(&migration.file, span),
                    );
                    continue;
                }
                let near = self.nearest(&key);
                let help = near.map_or_else(
                    || format!("add the migration to app `{}`, or correct the dependency", key.app),
                    |near| format!("correct the dependency, perhaps to `{near}`, or add the missing migration"),
                );
                self.problems.push(
                    Problem::new(
                        ProblemKind::MissingDependency,
                        format!(
                            "`{}` depends on `{key}`, which does not exist; the dependency is ignored",
                            migration.key
                        ),
                        help,
                    )
                    .at(&migration.file, span),
                );
            }
        }
    }

    /// The migration of the same app that has the same number, or else the same words.
    fn nearest(&self, key: &MigrationKey) -> Option<&MigrationKey> {
        let candidates = || {
            let nodes = self.apps.get(&key.app).into_iter().flatten();
            nodes.filter(|id| self.nodes[**id].migration.is_some()).filter_map(|id| self.nodes[*id].key.as_ref())
        };
        let (number, words) = split_number(&key.name);
        candidates()
            .find(|other| number.is_some() && split_number(&other.name).0 == number)
            .or_else(|| candidates().find(|other| !words.is_empty() && split_number(&other.name).1 == words))
    }

    fn finish(mut self) -> Graph {
        let leaves = self.all_leaves();
        let order = self.walk(&leaves);
        self.report_conflicts(&leaves);
        self.report_numbers();
        let mut graph = Graph { order, replaced: self.replaced, problems: self.problems, ..Graph::default() };
        for node in &self.nodes {
            let (Some(key), Some(migration)) = (&node.key, node.migration) else { continue };
            graph.index.insert(key.clone(), migration);
            if node.removed {
                continue;
            }
            let keys = |ids: &BTreeSet<NodeId>| ids.iter().filter_map(|id| self.nodes[*id].key.clone()).collect();
            graph.parents.insert(key.clone(), keys(&node.parents));
            graph.children.insert(key.clone(), keys(&node.children));
        }
        for id in leaves {
            if let Some(key) = &self.nodes[id].key {
                graph.leaves.entry(Arc::clone(&key.app)).or_default().push(key.clone());
            }
        }
        graph.problems.sort_by(|one, other| one.sort_key().cmp(&other.sort_key()));
        graph
    }

    fn all_leaves(&self) -> Vec<NodeId> {
        let mut leaves: Vec<NodeId> = self.apps.keys().flat_map(|app| self.leaves(app).collect::<Vec<_>>()).collect();
        leaves.sort_unstable();
        leaves
    }

    /// Django's walk: from each leaf depth first, the greatest parent first, a node after its parents. An edge that
    /// closes a circle is taken away.
    fn walk(&mut self, leaves: &[NodeId]) -> Vec<usize> {
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            New,
            Open,
            Done,
        }
        let mut state = vec![State::New; self.nodes.len()];
        let mut order = Vec::with_capacity(self.nodes.len());
        let later =
            |id: &NodeId| self.nodes[*id].key.as_ref().is_some_and(|key| self.labels.not_installed.contains(&key.app));
        let (last, first): (Vec<NodeId>, Vec<NodeId>) = leaves.iter().copied().partition(later);
        // Nodes that only a circle keeps from having a leaf come last.
        let rest = 0..self.nodes.len();
        for start in first.into_iter().chain(last).chain(rest) {
            if self.nodes[start].removed {
                continue;
            }
            let mut stack = vec![(start, None)];
            let mut path: Vec<NodeId> = Vec::new();
            while let Some((id, child)) = stack.pop() {
                match state[id] {
                    State::Done => {}
                    State::Open if path.last() == Some(&id) && child == Some(id) => {
                        path.pop();
                        state[id] = State::Done;
                        order.extend(self.nodes[id].migration);
                    }
                    State::Open => {
                        if let Some(child) = child {
                            self.break_circle(&path, child, id);
                        }
                    }
                    State::New => {
                        state[id] = State::Open;
                        path.push(id);
                        // Marks the end of this node's parents; no node is its own parent after `break_circle`.
                        let own = self.nodes[id].parents.contains(&id);
                        if own {
                            self.break_circle(&path, id, id);
                        }
                        stack.push((id, Some(id)));
                        stack.extend(self.nodes[id].parents.iter().map(|parent| (*parent, Some(id))));
                    }
                }
            }
        }
        order
    }

    /// `child` depends on `parent`, which depends on it through the nodes of `path`.
    fn break_circle(&mut self, path: &[NodeId], child: NodeId, parent: NodeId) {
        self.nodes[child].parents.remove(&parent);
        self.nodes[parent].children.remove(&child);
        let start = path.iter().position(|id| *id == parent).unwrap_or(0);
        let circle: Vec<NodeId> = path[start..].to_vec();
        let mut names: Vec<String> =
            circle.iter().filter_map(|id| self.nodes[*id].key.as_ref()).map(|key| format!("`{key}`")).collect();
        names.extend(names.first().cloned());
        let name = |id: NodeId| self.nodes[id].key.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut problem = Problem::new(
            ProblemKind::CircularDependency,
            format!(
                "circular dependency: {}; the dependency of `{}` on `{}` is ignored",
                names.join(" needs "),
                name(child),
                name(parent)
            ),
            "remove one of these dependencies, or move the operations that need it to a migration of their own",
        );
        if let Some((index, span)) = self.reasons.get(&(child, parent)) {
            problem = problem.at(&self.migrations[*index].file, *span);
        }
        for pair in circle.windows(2) {
            if let [one, other] = pair
                && let Some((index, span)) = self.reasons.get(&(*one, *other))
            {
                let migration = &self.migrations[*index];
                problem = problem.related(&migration.file, *span, format!("needs `{}`", name(*other)));
            }
        }
        self.problems.push(problem);
    }

    fn report_conflicts(&mut self, leaves: &[NodeId]) {
        let mut by_app: BTreeMap<Arc<str>, Vec<usize>> = BTreeMap::new();
        for id in leaves {
            if let Node { key: Some(key), migration: Some(index), .. } = &self.nodes[*id] {
                by_app.entry(Arc::clone(&key.app)).or_default().push(*index);
            }
        }
        for (app, indices) in by_app {
            let [others @ .., last] = indices.as_slice() else { continue };
            if others.is_empty() {
                continue;
            }
            let names: Vec<String> =
                indices.iter().map(|index| format!("`{}`", self.migrations[*index].key.name)).collect();
            let last = &self.migrations[*last];
            let mut problem = Problem::new(
                ProblemKind::ConflictingLeaves,
                format!("conflicting migrations in app `{app}`: {} are all leaves", names.join(", ")),
                format!("run `python manage.py makemigrations --merge {app}`, or make one depend on the other"),
            )
            .at(&last.file, last.span);
            for index in others {
                let other = &self.migrations[*index];
                problem = problem.related(&other.file, other.span, "another leaf");
            }
            self.problems.push(problem);
        }
    }

    /// Two branches have just met: one of the migrations is the last of its app, but for a merge. What was merged long
    /// ago has been applied, and nobody renumbers it.
    fn report_numbers(&mut self) {
        let mut numbers: BTreeMap<(&Arc<str>, u64), Numbered<'_>> = BTreeMap::new();
        for (id, node) in self.nodes.iter().enumerate() {
            let (Some(key), Some(index)) = (&node.key, node.migration) else { continue };
            let migration = &self.migrations[index];
            if node.removed || !migration.replaces.is_empty() {
                continue;
            }
            if let Some(number) = split_number(&key.name).0 {
                let is_last = node.children.iter().all(|child| {
                    let merges = self.nodes[*child].migration.is_some_and(|index| {
                        let child = &self.migrations[index];
                        child.operations.is_empty() || split_number(&child.key.name).0 == Some(number)
                    });
                    merges || !self.same_app(id, *child)
                });
                numbers.entry((&key.app, number)).or_default().push((migration, is_last));
            }
        }
        for ((app, _), migrations) in numbers {
            let [(first, first_is_last), others @ ..] = migrations.as_slice() else { continue };
            for (other, _) in others.iter().filter(|(_, is_last)| *is_last || *first_is_last) {
                self.problems.push(
                    Problem::new(
                        ProblemKind::SameNumber,
                        format!("`{}` has the same number as `{}` in app `{app}`", other.key.name, first.key.name),
                        "rename the later one before it is released, so that names sort in the order of execution",
                    )
                    .at(&other.file, other.span)
                    .related(&first.file, first.span, "the same number"),
                );
            }
        }
    }
}

/// Migrations of one number, each with whether it is the last of its app.
type Numbered<'m> = Vec<(&'m Migration, bool)>;

/// `0012_add_status` → 12 and `add_status`.
fn split_number(name: &str) -> (Option<u64>, &str) {
    let digits = name.bytes().take_while(u8::is_ascii_digit).count();
    let (number, words) = name.split_at(digits);
    (number.parse().ok(), words.trim_start_matches('_'))
}

//! Following edits: one migration of a project is read again, and the rest stays.
//!
//! An edit of a migration can concern more than the migration: its dependencies make the graph, other files may import
//! it, operations of third parties look back at the history and are completed anew. What is proved not to be concerned
//! stays as it is; in all other cases the answer is that the project is to be built again.

use zdm_python::Evaluator;

use super::sources::Loader;
use super::{Project, ProjectInput, assemble, known};
use crate::extract::Extractor;
use crate::graph::{Graph, Labels};
use crate::migration::{Dependency, Migration};

/// What came of an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revision {
    /// The migration of that index is another one now.
    Migration(usize),
    /// So is the order of execution, or other migrations send something else now.
    Graph(usize),
    /// More may have changed; nothing was touched, and the project must be built again.
    Project,
}

impl Project {
    /// Takes over the text of `path` that `input` now has ([`Sources::replace`](super::sources::Sources::replace)).
    ///
    /// `input` is what the project was built from, and no other file of it has changed since.
    pub fn revise(&mut self, input: &ProjectInput, path: &str) -> Revision {
        if input.sources.is_imported(path) {
            return Revision::Project;
        }
        let mut at = self.migrations.iter().enumerate().filter(|(_, migration)| migration.file.path() == path);
        let (Some((index, old)), None) = (at.next(), at.next()) else { return Revision::Project };
        if self.own_problems.iter().any(|problem| problem.concerns(path)) {
            return Revision::Project;
        }
        let Some(module) = input.sources.module(path) else { return Revision::Project };
        let loader = Loader {
            sources: &input.sources,
            environment: &self.environment,
            settings: Some(&self.settings),
            installed: self.installed.complete.then_some(&self.installed.entries),
            django: input.config.django,
        };
        let extractor = Extractor::new(Evaluator::new(&loader), &self.settings).with_apps(&self.apps);
        let Some(new) = extractor.migration(module, &old.key, old.origin) else { return Revision::Project };
        // Another edit of a module that this one imports now must find it out.
        if input.sources.is_imported(path) {
            return Revision::Project;
        }
        let same_edges = same_targets(&old.dependencies, &new.dependencies)
            && same_targets(&old.run_before, &new.run_before)
            && old.replaces == new.replaces
            && !self.graph.problems().iter().any(|problem| problem.concerns(path));
        if same_edges {
            let others = self.put(index, new);
            self.problems = assemble(&self.own_problems, &self.graph, &self.migrations);
            return if others { Revision::Graph(index) } else { Revision::Migration(index) };
        }
        // An app that nobody depended on before may be one of Django's own that is to be added.
        if new.other_apps().any(|app| !self.has_app(app) && !self.labels.unmigrated.contains(app))
            || old.other_apps().any(|app| !new.other_apps().any(|other| other == app))
        {
            return Revision::Project;
        }
        self.migrations[index] = new.clone();
        self.graph = Graph::build(&self.migrations, &self.labels);
        self.put(index, new);
        self.problems = assemble(&self.own_problems, &self.graph, &self.migrations);
        Revision::Graph(index)
    }

    /// Puts a migration in its place and completes what looks back at the history; whether others changed by that.
    fn put(&mut self, index: usize, new: Migration) -> bool {
        if known::looks_back(&new) {
            self.unfinished.insert(index, new.clone());
        } else {
            self.unfinished.remove(&index);
        }
        self.migrations[index] = new;
        let mut before = Vec::new();
        for (at, own) in &self.unfinished {
            if let Some(place) = self.migrations.get_mut(*at) {
                before.push((*at, std::mem::replace(place, own.clone())));
            }
        }
        if before.is_empty() {
            return false;
        }
        known::complete(&mut self.migrations, self.graph.order());
        before.iter().any(|(at, old)| *at != index && self.migrations.get(*at) != Some(old))
    }

    fn has_app(&self, label: &str) -> bool {
        let at = self.migrations.partition_point(|migration| *migration.key.app < *label);
        self.migrations.get(at).is_some_and(|migration| *migration.key.app == *label)
    }

    /// The labels that the graph was built with.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }
}

fn same_targets(one: &[Dependency], other: &[Dependency]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.target == other.target)
}

impl Migration {
    /// The apps that it depends on besides its own.
    fn other_apps(&self) -> impl Iterator<Item = &str> {
        use crate::migration::DependencyTarget as Target;
        self.dependencies.iter().chain(&self.run_before).filter_map(|dependency| match &dependency.target {
            Target::Migration(key) if key.app != self.key.app => Some(&*key.app),
            Target::First(app) | Target::Latest(app) if *app != self.key.app => Some(&**app),
            _ => None,
        })
    }
}

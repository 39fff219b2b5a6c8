//! Views that nothing can be written through (`view_query_is_auto_updatable`).

use super::{Change, Shown};
use crate::catalog::{Relation, View};
use crate::execute::{Run, Step, refuse};
use crate::expr::ExprNode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{Dml, MergeAction, Query, SourceKind};

/// What no view may say that rows are written through.
const LIMITING: [&str; 4] = ["limit", "offset", "fetch", "tablesample"];

impl Run {
    /// 55000 for the first view on the way down that is certainly not automatically updatable.
    pub(super) fn need_updatable(&self, name: &QualifiedName, change: Change) -> Step {
        self.need_updatable_for(name, change, change != Change::Delete)
    }

    /// Of MERGE the first action that cannot be done is named; one that writes columns needs one that can be written.
    pub(super) fn need_updatable_for_merge(&self, name: &QualifiedName, dml: &Dml) -> Step {
        let changes = dml.merge.iter().filter_map(|clause| match clause.action {
            MergeAction::Insert(_) => Some(Change::Insert),
            MergeAction::Update(_) => Some(Change::Update),
            MergeAction::Delete => Some(Change::Delete),
            MergeAction::Nothing => None,
        });
        let changes: Vec<Change> = changes.collect();
        let columns = changes.iter().any(|change| *change != Change::Delete);
        changes.first().map_or(Ok(()), |change| self.need_updatable_for(name, *change, columns))
    }

    fn need_updatable_for(&self, name: &QualifiedName, change: Change, columns: bool) -> Step {
        let mut name = name.clone();
        for _ in 0..64 {
            let Some(view) = self.catalog().view(&name).filter(|view| !view.instead && !view.materialized) else {
                return Ok(());
            };
            if view.read_only || (columns && self.is_computed(view)) {
                return refuse("55000", format!("cannot {} view \"{}\"", words(change), name.name));
            }
            let [(under, _)] = view.dependencies.as_slice() else { return Ok(()) };
            name = under.clone();
        }
        Ok(())
    }

    /// The columns of a view that an INSERT names or that have a default of the view's own.
    pub(super) fn columns_inserted(&self, name: &QualifiedName, dml: &Dml) -> Vec<Ident> {
        let Some(view) = self.catalog().view(name) else { return Vec::new() };
        let given: Vec<Ident> = if dml.columns.is_empty() {
            view.columns.iter().take(dml.given.len()).cloned().collect()
        } else {
            dml.columns.clone()
        };
        let more = dml.conflict_columns.iter().chain(&view.defaults).filter(|column| !given.contains(column));
        let more: Vec<Ident> = more.cloned().collect();
        given.into_iter().chain(more).collect()
    }

    /// Whether none of its columns can be written.
    fn is_computed(&self, view: &View) -> bool {
        let [(under, _)] = view.dependencies.as_slice() else { return false };
        let computed = |column| matches!(self.column_under(view, under, column), Shown::Computed);
        !view.columns.is_empty() && view.columns.iter().all(computed)
    }

    /// Whether nothing can be written through a view of the query for certain.
    pub(in crate::execute) fn is_read_only(&self, query: &Query) -> bool {
        let alone = query.words.split(' ').filter(|word| *word == "select").count() == 1;
        if alone && (LIMITING.iter().any(|word| query.says(&[word])) || query.words.contains(") over ")) {
            return true;
        }
        let select = match query.selects.as_slice() {
            [] => return false,
            [select] if query.with.is_empty() => select,
            _ => return true,
        };
        if select.distinct || select.groups || select.having.is_some() {
            return true;
        }
        let [source] = select.sources.as_slice() else { return true };
        let SourceKind::Relation(under) = &source.kind else { return true };
        let read_only = match self.find(under).and_then(|under| self.catalog().relation(&under)) {
            Some(Relation::View(under)) => under.materialized,
            Some(Relation::Sequence(_)) => true,
            _ => false,
        };
        let sets = |node: &ExprNode| {
            matches!(node, ExprNode::Call { function, .. }
                if matches!(function.name.as_str(), "generate_series" | "unnest") && self.find_function(function).is_none())
        };
        read_only
            || query.output.iter().any(|output| self.calls_aggregate(&output.expr.node) || sets(&output.expr.node))
    }

    fn calls_aggregate(&self, node: &ExprNode) -> bool {
        match node {
            ExprNode::Subquery { .. } => false,
            ExprNode::Call { function, .. }
                if crate::typing::is_aggregate(function) && self.find_function(function).is_none() =>
            {
                true
            }
            node => node.children().into_iter().any(|child| self.calls_aggregate(child)),
        }
    }
}

const fn words(change: Change) -> &'static str {
    match change {
        Change::Insert => "insert into",
        Change::Update => "update",
        Change::Delete => "delete from",
    }
}

//! How the rows of a condition are found.

use crate::catalog::Index;
use crate::effects::UncertainEffect;
use crate::execute::Run;
use crate::expr::{ExprNode, SqlExpr};
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{Dml, IndexKey};

impl Run {
    /// Where no row satisfies the condition the planner opens no partition.
    pub(in crate::execute) fn opens_no_partition(&self, name: &QualifiedName, dml: &Dml) -> bool {
        self.version.at_least(14)
            && self.table(name).partition_by.is_some()
            && dml.predicate.as_ref().is_some_and(|predicate| *predicate.node == ExprNode::Bool(false))
    }

    /// The planner may leave partitions out.
    pub(super) fn maybe_read_partitions(&mut self, name: &QualifiedName, mode: LockMode, condition: &str) {
        for partition in self.partitions(name) {
            self.maybe(&partition, UncertainEffect::Lock(mode), condition);
            for index in self.catalog().indexes_of(&partition).to_vec() {
                self.maybe(&partition.sibling(index.name), UncertainEffect::Lock(mode), condition);
            }
        }
    }

    /// Whether the condition names the partition key, so that the planner leaves partitions out.
    pub(super) fn prunes(&self, name: &QualifiedName, predicate: Option<&SqlExpr>) -> bool {
        let Some(predicate) = predicate else { return false };
        let columns = predicate.node.columns();
        self.partition_keys(name).iter().any(|key| columns.contains(key))
    }

    /// The columns that the table and its partitions are divided by.
    pub(super) fn partition_keys(&self, name: &QualifiedName) -> Vec<Ident> {
        let mut keys = Vec::new();
        for table in std::iter::once(name.clone()).chain(self.partitions(name)) {
            if let Some(partition_by) = &self.table(&table).partition_by {
                keys.extend(partition_by.columns.iter().cloned());
                keys.extend(partition_by.expressions.iter().flat_map(|expression| expression.node.columns()));
            }
        }
        keys
    }

    /// Whether an index can find the rows.
    pub(super) fn access(&self, name: &QualifiedName, predicate: Option<&SqlExpr>) -> Access {
        let Some(predicate) = predicate else { return Access::Whole };
        if *predicate.node == ExprNode::Bool(false) {
            return Access::ByIndex;
        }
        let table = self.table(name);
        if table.assumed {
            return Access::Perhaps;
        }
        // With a unique index on it alone a value stands for one row, with another index for as many as there may be.
        let leading: Vec<(&Ident, bool)> = table
            .indexes
            .iter()
            .filter(|index| index.valid && index.predicate.is_none())
            .filter_map(|index| {
                Some((index.elements.first()?.key.column()?, index.unique && index.elements.len() == 1))
            })
            .collect();
        let mut terms = Vec::new();
        crate::proof::conjuncts(&predicate.node, &mut terms);
        let mut best = Access::Whole;
        for term in terms {
            best = best.max(term_access(term, &leading));
        }
        // An index over some of the rows, or on an expression, may serve what names the same columns, or the expression.
        let named = predicate.node.columns();
        let serves = |index: &Index| {
            let partly = index.predicate.as_ref().is_some_and(|part| {
                let columns = part.node.columns();
                !columns.is_empty() && columns.iter().all(|column| named.contains(column))
            });
            let first = index.elements.first().is_some_and(|element| match &element.key {
                IndexKey::Expr(expr) => contains(&predicate.node, &expr.node),
                IndexKey::Column(_) => false,
            });
            index.valid && (partly || first)
        };
        if table.indexes.iter().any(serves) { best.max(Access::Perhaps) } else { best }
    }
}

/// Whether the one expression stands in the other.
pub(super) fn contains(whole: &ExprNode, part: &ExprNode) -> bool {
    let mut found = false;
    whole.walk(&mut |node| found |= node == part);
    found
}

/// How the rows of a predicate are found, best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    Whole,
    /// By an index if the planner finds it worth while.
    Perhaps,
    ByIndex,
}

fn term_access(term: &ExprNode, leading: &[(&Ident, bool)]) -> Access {
    // A row's place is as good as a key.
    let indexed = |node: &ExprNode| matches!(node, ExprNode::Column { name, .. } if *name == "ctid" || leading.iter().any(|(column, _)| *column == name));
    let unique = |node: &ExprNode| matches!(node, ExprNode::Column { name, .. } if *name == "ctid" || leading.contains(&(name, true)));
    match term {
        ExprNode::Infix { operator, left, right } => {
            if !(indexed(left) || indexed(right)) {
                return Access::Whole;
            }
            match operator.as_str() {
                "=" if unique(left) || unique(right) => Access::ByIndex,
                "=" => Access::Perhaps,
                "<" | "<=" | ">" | ">=" => Access::Perhaps,
                _ => Access::Whole,
            }
        }
        ExprNode::InList { expr, negated: false, .. } if unique(expr) => Access::ByIndex,
        ExprNode::InList { expr, negated: false, .. } if indexed(expr) => Access::Perhaps,
        ExprNode::Between { expr, negated: false, .. } if indexed(expr) => Access::Perhaps,
        ExprNode::IsNull { expr, negated: false } if indexed(expr) => Access::Perhaps,
        ExprNode::Other { .. } | ExprNode::Subquery { .. } | ExprNode::Or(_) | ExprNode::Like { .. } => Access::Perhaps,
        _ => Access::Whole,
    }
}

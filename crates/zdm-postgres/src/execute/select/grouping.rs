//! What may stand beside GROUP BY and aggregates (`parse_agg.c`).

use std::collections::BTreeSet;

use super::visible::{Around, Level, Meaning, chain};
use crate::catalog::ConstraintKind;
use crate::execute::{Run, Step, refuse};
use crate::expr::ExprNode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{Select, SelectOutput};
use crate::volatility::Known;

impl Run {
    /// Whether an aggregate of this level stands in the expression: one over its columns, or over none at all.
    pub(super) fn has_own_aggregate(&self, node: &ExprNode, level: &Level, around: Around<'_>) -> bool {
        match node {
            ExprNode::Call { function, args, .. }
                if crate::typing::is_aggregate(function) && self.find_function(function).is_none() =>
            {
                let (mut own, mut outer) = (false, false);
                for arg in args {
                    arg.walk(&mut |node| {
                        if let ExprNode::Column { qualifier, name } = node {
                            match self.meaning(qualifier.as_ref(), name, &chain(level, around)) {
                                Ok(Meaning::Column(0, _)) => own = true,
                                _ => outer = true,
                            }
                        }
                    });
                }
                own || !outer
            }
            // With DISTINCT, ORDER BY or FILTER it is one, with OVER it is none.
            ExprNode::Other { text, parts, .. } => {
                let call = parts.first().filter(|part| matches!(part, ExprNode::Call { args, .. } if !args.is_empty()));
                call.is_some_and(|call| {
                    !text.to_ascii_lowercase().contains("over") && self.has_own_aggregate(call, level, around)
                })
            }
            ExprNode::Subquery { .. } => false,
            node => node.children().into_iter().any(|child| self.has_own_aggregate(child, level, around)),
        }
    }

    /// `parseCheckAggregates`: a column of this level stands in GROUP BY, in an aggregate, or beside the key of its table.
    pub(super) fn check_grouping(&self, select: &Select, level: &Level, around: Around<'_>) -> Step {
        let outputs = || {
            select.output.iter().filter_map(|output| match output {
                SelectOutput::Column(column) => Some(column),
                SelectOutput::Star(_) => None,
            })
        };
        let aggregated = select.groups
            || select.having.is_some()
            || outputs().any(|column| self.has_own_aggregate(&column.expr.node, level, around))
            || select.order.iter().any(|item| self.has_own_aggregate(&item.node, level, around));
        if !aggregated {
            return Ok(());
        }
        let mut grouping = Grouping::default();
        for item in &select.group {
            self.group_by(&item.node, select, level, around, &mut grouping);
        }
        for (place, source) in level.sources.iter().enumerate() {
            if source.relation.as_ref().is_some_and(|table| self.is_keyed(table, place, &grouping)) {
                grouping.whole.insert(place);
            }
        }
        for output in &select.output {
            match output {
                SelectOutput::Column(column) => {
                    self.check_grouped(&column.expr.node, level, around, &grouping, true)?;
                }
                SelectOutput::Star(qualifier) => {
                    for (place, source) in level.sources.iter().enumerate() {
                        if qualifier.is_some() && source.alias != *qualifier {
                            continue;
                        }
                        let side_by_side = select.merged.is_empty() && !select.natural;
                        let (Some(columns), true) = (&source.columns, side_by_side) else { return Ok(()) };
                        columns
                            .iter()
                            .filter_map(|column| column.name.as_ref())
                            .try_for_each(|column| grouping.check(level, place, column, true))?;
                    }
                }
            }
        }
        let is_output = |node: &ExprNode| {
            matches!(node, ExprNode::Column { qualifier: None, name }
                if outputs().any(|column| column.name.as_ref() == Some(name)))
        };
        for item in select.order.iter().filter(|item| !is_output(&item.node)) {
            self.check_grouped(&item.node, level, around, &grouping, true)?;
        }
        match &select.having {
            Some(having) => self.check_grouped(&having.node, level, around, &grouping, true),
            None => Ok(()),
        }
    }

    /// One item of GROUP BY: a column, the number or the name of an output column, or an expression.
    fn group_by(&self, node: &ExprNode, select: &Select, level: &Level, around: Around<'_>, grouping: &mut Grouping) {
        let meaning = |qualifier: &Option<Ident>, name: &Ident| {
            self.meaning(qualifier.as_ref(), name, &chain(level, around)).unwrap_or(Meaning::Open)
        };
        let output = match node {
            ExprNode::Number(number) => {
                let place = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
                // Behind a star nobody counts.
                let counted = select.output.iter().all(|output| matches!(output, SelectOutput::Column(_)));
                grouping.open |= !counted;
                place.filter(|_| counted).and_then(|place| select.output.get(place))
            }
            ExprNode::Column { qualifier: None, name } if meaning(&None, name) == Meaning::Open => select
                .output
                .iter()
                .find(|output| matches!(output, SelectOutput::Column(column) if column.name.as_ref() == Some(name))),
            _ => None,
        };
        let node = match output {
            Some(SelectOutput::Column(column)) => &*column.expr.node,
            _ => node,
        };
        match node {
            ExprNode::Row(list) => {
                for item in list {
                    self.group_by(item, select, level, around, grouping);
                }
            }
            ExprNode::Call { function, args, .. } if is_grouping(function) => {
                for item in args {
                    self.group_by(item, select, level, around, grouping);
                }
            }
            // GROUPING SETS.
            ExprNode::Other { .. } => grouping.open = true,
            ExprNode::Column { qualifier, name } => match meaning(qualifier, name) {
                Meaning::Column(0, place) => {
                    grouping.columns.insert((place, name.clone()));
                }
                _ => grouping.open = true,
            },
            node => {
                grouping.expressions.push(node.clone());
                // The server may find in other words what stands here.
                let mut mentioned = Vec::new();
                node.walk(&mut |node| {
                    if let ExprNode::Column { name, .. } = node {
                        mentioned.push(name.clone());
                    }
                    if let ExprNode::Subquery { query, .. } = node {
                        mentioned.extend(query.columns.iter().cloned());
                    }
                });
                grouping.mentioned.extend(mentioned);
            }
        }
    }

    /// `check_functional_grouping`: the columns of its primary key are grouped.
    fn is_keyed(&self, table: &QualifiedName, place: usize, grouping: &Grouping) -> bool {
        let table = self.table(table);
        let Some(key) = table.primary_key().filter(|key| !key.attributes.deferrable) else { return false };
        let ConstraintKind::PrimaryKey { columns, .. } = &key.kind else { return false };
        columns.iter().all(|column| grouping.columns.contains(&(place, column.clone())))
    }

    /// `alone`: the expression is no part of another one, which GROUP BY may name in other words.
    fn check_grouped(
        &self,
        node: &ExprNode,
        level: &Level,
        around: Around<'_>,
        grouping: &Grouping,
        alone: bool,
    ) -> Step {
        if grouping.expressions.contains(node) {
            return Ok(());
        }
        match node {
            ExprNode::Column { qualifier, name } => {
                match self.meaning(qualifier.as_ref(), name, &chain(level, around))? {
                    Meaning::Column(0, place) => grouping.check(level, place, name, alone),
                    _ => Ok(()),
                }
            }
            // What is not known may be an aggregate.
            ExprNode::Call { function, args, .. }
                if self.find_function(function).is_none()
                    && (crate::typing::is_aggregate(function)
                        || self.function_volatility(function, args.len()) == Known::Unknown) =>
            {
                Ok(())
            }
            ExprNode::Other { .. } | ExprNode::Subquery { .. } => Ok(()),
            node => {
                let children = node.children();
                children.into_iter().try_for_each(|child| self.check_grouped(child, level, around, grouping, false))
            }
        }
    }
}

/// What GROUP BY names.
#[derive(Debug, Default)]
struct Grouping {
    /// Columns by the places of their sources.
    columns: BTreeSet<(usize, Ident)>,
    expressions: Vec<ExprNode>,
    /// What the expressions name.
    mentioned: BTreeSet<Ident>,
    /// Sources all of whose columns are as good as grouped.
    whole: BTreeSet<usize>,
    /// There is something in it that is not known.
    open: bool,
}

impl Grouping {
    fn check(&self, level: &Level, place: usize, column: &Ident, alone: bool) -> Step {
        let grouped = self.columns.contains(&(place, column.clone())) || self.whole.contains(&place);
        // A merged column is a column of each side.
        if grouped || level.may_merge(column) || self.open || (!alone && self.mentioned.contains(column)) {
            return Ok(());
        }
        let Some(alias) = level.sources.get(place).and_then(|source| source.alias.as_ref()) else { return Ok(()) };
        refuse(
            "42803",
            format!(
                "column \"{alias}.{column}\" must appear in the GROUP BY clause or be used in an aggregate function"
            ),
        )
    }
}

/// What an item of GROUP BY names: the items of ROLLUP, CUBE and of a list in parentheses, or the item itself.
pub(super) fn grouped_by(node: &ExprNode) -> Vec<&ExprNode> {
    match node {
        ExprNode::Row(list) => list.iter().flat_map(grouped_by).collect(),
        ExprNode::Call { function, args, .. } if is_grouping(function) => args.iter().flat_map(grouped_by).collect(),
        node => vec![node],
    }
}

fn is_grouping(function: &QualifiedName) -> bool {
    matches!(function.name.as_str(), "rollup" | "cube")
}

//! What may stand beside GROUP BY and aggregates (`parse_agg.c`).

use std::collections::BTreeSet;

use super::visible::{Around, Level, Meaning, chain};
use crate::catalog::ConstraintKind;
use crate::execute::{Run, Step, refuse};
use crate::expr::ExprNode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{Select, SelectOutput, SelectSource, SourceKind};
use crate::volatility::Known;

impl Run {
    pub(super) fn is_aggregate(&self, function: &QualifiedName) -> bool {
        crate::typing::is_aggregate(function) && self.find_function(function).is_none()
    }

    /// Whether an aggregate of this level stands in the expression: one over its columns, or over none at all.
    pub(super) fn has_own_aggregate(&self, node: &ExprNode, level: &Level, around: Around<'_>) -> bool {
        match node {
            ExprNode::Call { function, args, .. } if self.is_aggregate(function) => {
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
            ExprNode::Other { parts, form: Some(form), .. } if form.over => match parts.first() {
                Some(ExprNode::Call { args, .. }) if !form.unread => {
                    let inside = args.iter().chain(parts.iter().skip(1));
                    inside.into_iter().any(|part| self.has_own_aggregate(part, level, around))
                }
                _ => false,
            },
            ExprNode::Other { parts, form: Some(_), .. } => {
                parts.first().is_some_and(|call| self.has_own_aggregate(call, level, around))
            }
            ExprNode::Other { .. } | ExprNode::Subquery { .. } => false,
            node => node.children().into_iter().any(|child| self.has_own_aggregate(child, level, around)),
        }
    }

    /// `check_agg_arguments`: what may stand in an aggregate or a window function.
    pub(super) fn check_nesting(&self, node: &ExprNode, level: &Level, around: Around<'_>) -> Step {
        let in_aggregate = |args: &[ExprNode]| {
            if args.iter().any(|arg| self.has_own_aggregate(arg, level, around)) {
                return refuse("42803", "aggregate function calls cannot be nested");
            }
            if args.iter().any(has_window) {
                return refuse("42803", "aggregate function calls cannot contain window function calls");
            }
            Ok(())
        };
        let (form, call) = match node {
            ExprNode::Subquery { .. } | ExprNode::Other { words: true, .. } => return Ok(()),
            ExprNode::Other { parts, form: Some(form), .. } => (Some(form), parts.first()),
            node => (None, Some(node)),
        };
        if let Some(ExprNode::Call { function, args, .. }) = call {
            match form {
                Some(form) if form.over => {
                    if args.iter().any(has_window) {
                        return refuse("42P20", "window function calls cannot be nested");
                    }
                    if let ExprNode::Other { parts, .. } = node {
                        let (.., window) = form.parts(parts);
                        window.iter().try_for_each(|item| refuse_windows(item, "window definitions"))?;
                    }
                }
                _ if self.is_aggregate(function) && self.has_own_aggregate(node, level, around) => in_aggregate(args)?,
                _ => {}
            }
        }
        if let (Some(form), ExprNode::Other { parts, .. }) = (form, node)
            && let (_, Some(filter), _) = form.parts(parts)
        {
            if self.has_own_aggregate(filter, level, around) {
                return refuse("42803", "aggregate functions are not allowed in FILTER");
            }
            refuse_windows(filter, "FILTER")?;
        }
        // The call in a form was looked at with it.
        let skipped = usize::from(form.is_some());
        let args = match call {
            Some(ExprNode::Call { args, .. }) if form.is_some() => args.as_slice(),
            _ => &[],
        };
        let mut children = node.children().into_iter().skip(skipped).chain(args);
        children.try_for_each(|child| self.check_nesting(child, level, around))
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
            || outputs().any(|column| has_grouping(&column.expr.node))
            || select.order.iter().any(|item| self.has_own_aggregate(&item.node, level, around));
        if !aggregated {
            return Ok(());
        }
        let itself = |source: &SelectSource| match &source.kind {
            SourceKind::Relation(name) => around.defined(name).is_some_and(|defined| defined.itself),
            _ => false,
        };
        let own = outputs().any(|column| self.has_own_aggregate(&column.expr.node, level, around));
        if own && select.sources.iter().any(itself) {
            return refuse("42P19", "aggregate functions are not allowed in a recursive query's recursive term");
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
                // Not all of the sets have them.
                let common = grouping.common.clone();
                for item in args {
                    self.group_by(item, select, level, around, grouping);
                }
                grouping.common = common;
            }
            // GROUPING SETS.
            ExprNode::Other { .. } => grouping.open = true,
            ExprNode::Column { qualifier, name } => match meaning(qualifier, name) {
                Meaning::Column(0, place) => {
                    grouping.columns.insert((place, name.clone()));
                    grouping.common.insert((place, name.clone()));
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
        columns.iter().all(|column| grouping.common.contains(&(place, column.clone())))
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
            ExprNode::Call { function, args, .. } if is_grouping_test(function) => {
                let grouped = |arg: &ExprNode| match arg {
                    ExprNode::Column { qualifier, name } => {
                        match self.meaning(qualifier.as_ref(), name, &chain(level, around)) {
                            Ok(Meaning::Column(0, place)) => grouping.columns.contains(&(place, name.clone())),
                            _ => true,
                        }
                    }
                    _ => true,
                };
                if grouping.open || args.iter().all(grouped) {
                    return Ok(());
                }
                refuse("42803", "arguments to GROUPING must be grouping expressions of the associated query level")
            }
            // What is not known may be an aggregate.
            ExprNode::Call { function, args, .. }
                if self.find_function(function).is_none()
                    && (crate::typing::is_aggregate(function)
                        || self.function_volatility(function, args.len()) == Known::Unknown) =>
            {
                Ok(())
            }
            ExprNode::Subquery { query, .. } => {
                for outer in around.seen.outer(query) {
                    grouping.check_outer(level, outer.place, &outer.name)?;
                }
                Ok(())
            }
            // What a window function is given and what its window names stand behind the groups.
            ExprNode::Other { parts, form: Some(form), .. } if form.over && !form.unread => {
                let args = match parts.first() {
                    Some(ExprNode::Call { args, .. }) => args.as_slice(),
                    _ => &[],
                };
                let parts = args.iter().chain(parts.iter().skip(1));
                parts.into_iter().try_for_each(|part| self.check_grouped(part, level, around, grouping, false))
            }
            ExprNode::Other { parts, form: None, words: false, .. } => {
                let queries = parts.iter().filter(|part| matches!(part, ExprNode::Subquery { .. }));
                queries.into_iter().try_for_each(|query| self.check_grouped(query, level, around, grouping, false))
            }
            ExprNode::Other { .. } => Ok(()),
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
    /// Those that stand in every grouping set.
    common: BTreeSet<(usize, Ident)>,
    expressions: Vec<ExprNode>,
    /// What the expressions name.
    mentioned: BTreeSet<Ident>,
    /// Sources all of whose columns are as good as grouped.
    whole: BTreeSet<usize>,
    /// There is something in it that is not known.
    open: bool,
}

impl Grouping {
    /// The same of a query inside, which may name a group in other words.
    fn check_outer(&self, level: &Level, place: usize, column: &Ident) -> Step {
        if self.check(level, place, column, false).is_ok() || !self.expressions.is_empty() {
            return Ok(());
        }
        let Some(alias) = level.sources.get(place).and_then(|source| source.alias.as_ref()) else { return Ok(()) };
        refuse("42803", format!("subquery uses ungrouped column \"{alias}.{column}\" from outer query"))
    }

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

fn is_grouping_test(function: &QualifiedName) -> bool {
    function.schema.is_none() && function.name == "grouping"
}

fn has_grouping(node: &ExprNode) -> bool {
    let mut found = false;
    node.walk(&mut |node| found |= matches!(node, ExprNode::Call { function, .. } if is_grouping_test(function)));
    found
}

fn has_window(node: &ExprNode) -> bool {
    let mut found = false;
    node.walk(&mut |node| found |= matches!(node, ExprNode::Other { form: Some(form), .. } if form.over));
    found
}

/// `transformWindowFuncCall`.
pub(super) fn refuse_windows(node: &ExprNode, place: &str) -> Step {
    if has_window(node) {
        return refuse("42P20", format!("window functions are not allowed in {place}"));
    }
    Ok(())
}

/// `transformWindowDefinitions`: each name once, and those that are named are there.
pub(super) fn check_windows(select: &Select) -> Step {
    let mut named = Vec::new();
    let outputs = select.output.iter().filter_map(|output| match output {
        SelectOutput::Column(column) => Some(&column.expr),
        SelectOutput::Star(_) => None,
    });
    for expr in outputs.chain(&select.order) {
        expr.node.walk(&mut |node| {
            if let ExprNode::Other { form: Some(form), .. } = node {
                named.extend(form.window.clone());
            }
        });
    }
    for (place, window) in select.windows.iter().enumerate() {
        if select.windows[..place].contains(window) {
            return refuse("42P20", format!("window \"{window}\" is already defined"));
        }
    }
    match named.into_iter().find(|name| !select.windows.contains(name)) {
        Some(name) => refuse("42704", format!("window \"{name}\" does not exist")),
        None => Ok(()),
    }
}

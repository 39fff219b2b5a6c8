//! What WITH defines, and of which form a recursive query is (`parse_cte.c`).

use super::output::settled;
use super::visible::{Around, Defined, Output, rename_first};
use crate::execute::{Run, Step, refuse};
use crate::expr::ExprNode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{CommonTable, Query, Select, SelectOutput, SetOperand, SetOperation, SourceKind};

impl Run {
    /// What WITH defines, beside what is defined around it. Each item sees those before it; with RECURSIVE all of them, and
    /// itself.
    pub(super) fn check_with(&self, query: &Query, around: Around<'_>) -> Step<Vec<Defined>> {
        for (place, table) in query.with.iter().enumerate() {
            if query.with[..place].iter().any(|known| known.name == table.name) {
                let name = &table.name;
                return refuse("42712", format!("WITH query name \"{name}\" specified more than once"));
            }
        }
        let mut defined = around.starting(query);
        for table in &query.with {
            let within = Around { defined: &defined, ..around };
            let columns = if query.recursive && refers(&table.query, &table.name) {
                self.check_recursive(table, within)?
            } else {
                self.check_names_in(&table.query, within)?
            };
            let columns = renamed(columns, table)?;
            defined.push(Defined { name: table.name.clone(), columns, silent: table.silent, itself: false });
        }
        Ok(defined)
    }

    /// The first side says of which types the columns are that the other one sees (`analyzeCTE`).
    fn check_recursive(&self, table: &CommonTable, around: Around<'_>) -> Step<Option<Vec<Output>>> {
        let first = match check_form(table)? {
            Some(SetOperation { left, .. }) => match &**left {
                SetOperand::Select(first) => table.query.selects.get(*first),
                SetOperand::Operation(_) => None,
            },
            None => None,
        };
        let Some(first) = first else { return self.check_names_in(&table.query, around) };
        let columns = settled(self.check_select(first, around)?);
        let own = Defined {
            name: table.name.clone(),
            columns: renamed(columns.clone(), table)?,
            silent: false,
            itself: true,
        };
        let defined: Vec<Defined> = around.defined.iter().cloned().chain([own]).collect();
        let all = self.check_names_in(&table.query, Around { defined: &defined, ..around })?;
        let (Some(columns), Some(all)) = (columns, all) else { return Ok(None) };
        for (place, (first, all)) in columns.iter().zip(&all).enumerate() {
            let (Some(first), Some(all)) = (first.value.known(), all.value.known()) else { continue };
            let (first, all) = (self.visible(first).to_string(), self.visible(all).to_string());
            if first != all {
                let (name, place) = (&table.name, place + 1);
                return refuse(
                    "42804",
                    format!(
                        "recursive query \"{name}\" column {place} has type {first} in non-recursive term but type {all} overall"
                    ),
                );
            }
        }
        Ok(Some(columns))
    }
}

/// `checkWellFormedRecursion` of a query that refers to itself; `None` where its parts are not told.
fn check_form(table: &CommonTable) -> Step<Option<&SetOperation>> {
    let (name, query) = (&table.name, &table.query);
    let wrong = |sqlstate, message: &str| refuse(sqlstate, message.to_owned());
    let operation = match (&query.set_operation, query.selects.as_slice()) {
        (Some(operation), _) => operation,
        (None, [_]) if query.with.is_empty() && query.selects.iter().all(|select| select.changes.is_none()) => {
            return refuse("42P19", no_union(name));
        }
        (None, _) => return Ok(None),
    };
    if operation.name != "UNION" {
        return refuse("42P19", no_union(name));
    }
    let reference =
        |what: &str| refuse("42P19", format!("recursive reference to query \"{name}\" must not appear {what}"));
    if places(&operation.left, query).any(|select| uses(select, name).any()) {
        return reference("within its non-recursive term");
    }
    let mut found = 0;
    for select in places(&operation.right, query) {
        let uses = uses(select, name);
        found += uses.direct;
        if found > 1 {
            return reference("more than once");
        }
        if uses.in_expression {
            return reference("within a subquery");
        }
        if uses.nullable {
            return reference("within an outer join");
        }
    }
    if !query.order.is_empty() {
        return wrong("0A000", "ORDER BY in a recursive query is not implemented");
    }
    match query.limits.first() {
        Some((word, _)) => refuse("0A000", format!("{word} in a recursive query is not implemented")),
        None => Ok(Some(operation)),
    }
}

fn no_union(name: &Ident) -> String {
    format!("recursive query \"{name}\" does not have the form non-recursive-term UNION [ALL] recursive-term")
}

/// The SELECTs of an operand.
fn places<'q>(operand: &SetOperand, query: &'q Query) -> Box<dyn Iterator<Item = &'q Select> + 'q> {
    match operand {
        SetOperand::Select(place) => Box::new(query.selects.get(*place).into_iter()),
        SetOperand::Operation(operation) => {
            Box::new(places(&operation.left, query).chain(places(&operation.right, query)))
        }
    }
}

/// Where a SELECT names a query of WITH.
#[derive(Default)]
struct Uses {
    /// As an item of FROM.
    direct: usize,
    in_query: bool,
    in_expression: bool,
    /// On the side of an outer join that may be missing.
    nullable: bool,
}

impl Uses {
    const fn any(&self) -> bool {
        self.direct > 0 || self.in_query || self.in_expression
    }
}

fn uses(select: &Select, name: &Ident) -> Uses {
    let mut uses = Uses::default();
    for (place, source) in select.sources.iter().enumerate() {
        match &source.kind {
            SourceKind::Relation(relation) if is_named(relation, name) => {
                uses.direct += 1;
                uses.nullable |= select.nullable.contains(&place);
            }
            SourceKind::Query { query, .. } => uses.in_query |= refers(query, name),
            _ => {}
        }
    }
    let outputs = select.output.iter().filter_map(|output| match output {
        SelectOutput::Column(column) => Some(&column.expr),
        SelectOutput::Star(_) => None,
    });
    let conditions = select.joins.iter().map(|(_, condition)| condition).chain(&select.predicate);
    for expr in outputs.chain(conditions).chain(&select.having) {
        expr.node.walk(&mut |node| {
            if let ExprNode::Subquery { query, .. } = node {
                uses.in_expression |= refers(query, name);
            }
        });
    }
    uses
}

/// Whether the query names what WITH around it calls so.
fn refers(query: &Query, name: &Ident) -> bool {
    !query.with.iter().any(|table| table.name == *name)
        && query.relations.iter().any(|relation| is_named(relation, name))
}

fn is_named(relation: &QualifiedName, name: &Ident) -> bool {
    relation.schema.is_none() && relation.name == *name
}

/// With the names that WITH gives the first of them.
fn renamed(columns: Option<Vec<Output>>, table: &CommonTable) -> Step<Option<Vec<Output>>> {
    let Some(mut columns) = settled(columns) else { return Ok(None) };
    let (name, available, specified) = (&table.name, columns.len(), table.columns.len());
    if specified > available {
        return refuse(
            "42P10",
            format!("WITH query \"{name}\" has {available} columns available but {specified} columns specified"),
        );
    }
    rename_first(&mut columns, &table.columns);
    Ok(Some(columns))
}

//! What the server looks up in a query before it plans it: which column a name means, and what may stand beside GROUP BY.
//!
//! The order is the server's (`transformSelectStmt`, `parse_relation.c`, `parse_agg.c`). Where a relation's columns are not
//! known, nothing is refused that could be among them.

use std::collections::BTreeSet;

use super::{Run, Step, refuse};
use crate::catalog::{ConstraintKind, Relation};
use crate::data_type::DataType;
use crate::expr::{ExprNode, SqlExpr};
use crate::name::{Ident, QualifiedName};
use crate::statement::{CommonTable, CreateFunction, Query, Select, SelectOutput, SelectSource, SourceKind};
use crate::typing::{Columns, Mistake, Place, Scope, Value};
use crate::volatility::Known;

/// What FROM of one SELECT makes visible.
#[derive(Debug, Default)]
struct Level {
    sources: Vec<Visible>,
    /// Columns of several sources that are one column here.
    merged: Vec<Ident>,
    /// Any column may be such a one.
    natural: bool,
}

impl Around<'_> {
    /// What the items of WITH can name before the first of them is read.
    fn starting(&self, query: &Query) -> Vec<Defined> {
        let own = query.with.iter().filter(|_| query.recursive);
        let own =
            own.map(|table| Defined { name: table.name.clone(), columns: None, types: Vec::new(), silent: false });
        self.defined.iter().cloned().chain(own).collect()
    }

    /// The nearest that is called so.
    fn defined(&self, name: &QualifiedName) -> Option<&Defined> {
        let called = |defined: &&Defined| name.schema.is_none() && defined.name == name.name;
        self.defined.iter().rev().find(called)
    }
}

impl Level {
    /// Whether a column of several sources may be one here.
    fn may_merge(&self, column: &Ident) -> bool {
        self.natural || self.merged.contains(column)
    }
}

#[derive(Debug)]
struct Visible {
    alias: Option<Ident>,
    aliased: bool,
    relation: Option<QualifiedName>,
    /// `None` where they are not known.
    columns: Option<Vec<Ident>>,
    /// Of a query over tables, the types of its columns; empty where they are not known.
    types: Vec<Option<DataType>>,
    /// It is there, but cannot be named from here.
    hidden: bool,
    /// Its columns are named behind its own name alone: the old and the new row of a rule.
    by_name: bool,
}

/// What WITH defines.
#[derive(Clone, Debug)]
struct Defined {
    name: Ident,
    /// `None` where they are not known.
    columns: Option<Vec<Ident>>,
    /// See [`Visible::types`].
    types: Vec<Option<DataType>>,
    /// A change of rows that returns nothing.
    silent: bool,
}

/// What surrounds a query: the levels around it, the nearest last, and what WITH defines there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Around<'a> {
    levels: &'a [&'a Level],
    defined: &'a [Defined],
}

/// What a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// A column of the source at that place of that level, counted from the nearest.
    Column(usize, usize),
    /// Something else, or not known.
    Open,
}

impl Run {
    /// Refuses names that mean nothing, or more than one thing, and columns that are neither grouped nor aggregated.
    pub(super) fn check_names(&self, query: &Query) -> Step {
        self.check_names_in(query, Around::default())
    }

    /// The same of what WITH defines alone.
    pub(super) fn check_names_of_with(&self, query: &Query) -> Step {
        self.check_with(query, Around::default()).map(|_| ())
    }

    fn check_names_in(&self, query: &Query, around: Around<'_>) -> Step {
        let defined;
        let around = if query.with.is_empty() {
            around
        } else {
            defined = self.check_with(query, around)?;
            Around { defined: &defined, ..around }
        };
        query.selects.iter().try_for_each(|select| self.check_select(select, around))?;
        self.check_set_operation(query, around)
    }

    /// `transformSetOperationStmt`: as many columns on each side, and an order by their names.
    fn check_set_operation(&self, query: &Query, around: Around<'_>) -> Step {
        let [first, others @ ..] = query.selects.as_slice() else { return Ok(()) };
        let count = |select: &Select| self.names_of_list(&select.output, select, around).map(|names| names.len());
        if let (Some(operation), Some(columns)) = (query.set_operation, count(first))
            // What INSERT does with the rows is none of the operands.
            && others.iter().filter(|other| other.changes.is_none()).any(|other| {
                count(other).is_some_and(|others| others != columns)
            })
        {
            return refuse("42601", format!("each {operation} query must have the same number of columns"));
        }
        let Some(names) = self.names_of_list(&first.output, first, around) else { return Ok(()) };
        for item in &query.order {
            if let ExprNode::Column { qualifier: None, name } = &*item.node
                && !names.contains(&Some(name.clone()))
            {
                return refuse("42703", format!("column \"{name}\" does not exist"));
            }
        }
        Ok(())
    }

    fn check_with(&self, query: &Query, around: Around<'_>) -> Step<Vec<Defined>> {
        self.define(query, around, |table, within| self.check_names_in(&table.query, within))
    }

    /// What WITH defines, beside what is defined around it. Each item sees those before it; with RECURSIVE all of them, and
    /// itself.
    fn define(
        &self,
        query: &Query,
        around: Around<'_>,
        check: impl Fn(&CommonTable, Around<'_>) -> Step,
    ) -> Step<Vec<Defined>> {
        let mut defined = around.starting(query);
        for table in &query.with {
            let within = Around { defined: &defined, ..around };
            check(table, within)?;
            let columns = self.names_of_common_table(table, within);
            let types = self.types_over_tables(&table.query, within);
            defined.push(Defined { name: table.name.clone(), columns, types, silent: table.silent });
        }
        Ok(defined)
    }

    fn names_of_common_table(&self, table: &CommonTable, around: Around<'_>) -> Option<Vec<Ident>> {
        let mut columns = self.names_of_query(&table.query, around)?;
        rename_first(&mut columns, &table.columns);
        Some(columns)
    }

    fn check_select(&self, select: &Select, around: Around<'_>) -> Step {
        let mut level = Level { merged: select.merged.clone(), natural: select.natural, ..Level::default() };
        let mut joins = select.joins.iter().peekable();
        for source in &select.sources {
            if let SourceKind::Query { query, lateral } = &source.kind {
                self.check_source_query(query, *lateral, &mut level, around)?;
            }
            if let SourceKind::Relation(name) = &source.kind
                && let Some(defined) = around.defined(name).filter(|defined| defined.silent)
            {
                let name = &defined.name;
                return refuse("0A000", format!("WITH query \"{name}\" does not have a RETURNING clause"));
            }
            let visible = self.seen(source, around);
            // The row that was to be inserted stands beside whatever the target is called.
            if select.changes.is_none() || !source.is_excluded() {
                check_alias(&level, &visible)?;
            }
            level.sources.push(visible);
            while let Some((seen, condition)) = joins.next_if(|(seen, _)| seen.end == level.sources.len()) {
                // A join sees what it joins; the other items of FROM are there, and are not seen.
                for source in &mut level.sources[..seen.start] {
                    source.hidden = true;
                }
                let checked = self.check_condition(&condition.node, "JOIN/ON", &level, around);
                level.sources[..seen.start].iter_mut().for_each(|source| source.hidden = false);
                checked?;
                self.refuse_aggregates(&condition.node, "JOIN conditions", &level, around)?;
            }
        }
        check_using(select, &level)?;
        // The values of an UPDATE come last.
        if select.changes.is_some() {
            self.check_predicate(select, &level, around)?;
            self.check_returning(select, &mut level, around)?;
            return self.check_output(select, &level, around);
        }
        self.check_output(select, &level, around)?;
        self.check_predicate(select, &level, around)?;
        if let Some(having) = &select.having {
            self.check_condition(&having.node, "HAVING", &level, around)?;
        }
        for item in &select.order {
            self.check_sorted_or_grouped(("ORDER BY", &item.node), select, &level, around)?;
        }
        for item in select.group.iter().flat_map(|item| grouped_by(&item.node)) {
            self.check_sorted_or_grouped(("GROUP BY", item), select, &level, around)?;
        }
        for item in &select.group {
            self.refuse_aggregates(&item.node, "GROUP BY", &level, around)?;
        }
        for item in &select.distinct_on {
            self.check_sorted_or_grouped(("DISTINCT ON", &item.node), select, &level, around)?;
        }
        self.check_distinct(select, &level, around)?;
        check_distinct_on(select)?;
        self.check_sortable(select, &level, around)?;
        self.check_grouping(select, &level, around)
    }

    /// `findTargetlistEntrySQL92`: an item of ORDER BY or GROUP BY may be the name of an output column.
    fn check_sorted_or_grouped(
        &self,
        (clause, node): (&str, &ExprNode),
        select: &Select,
        level: &Level,
        around: Around<'_>,
    ) -> Step {
        let is_output = |name: &Ident| {
            let named = |output: &SelectOutput| match output {
                SelectOutput::Column(column) => column.name.as_ref() == Some(name),
                SelectOutput::Star(_) => false,
            };
            let stars = clause == "ORDER BY" && select.output.iter().any(|one| matches!(one, SelectOutput::Star(_)));
            let in_star = || {
                let names = self.names_of_list(&select.output, select, around);
                names.is_none_or(|names| names.contains(&Some(name.clone())))
            };
            select.output.iter().any(named) || (stars && in_star())
        };
        match node {
            ExprNode::Column { qualifier: None, name } if is_output(name) => Ok(()),
            ExprNode::Number(number) => {
                let counted = select.output.iter().all(|output| matches!(output, SelectOutput::Column(_)));
                let place = number.parse::<usize>().ok().filter(|place| counted && *place > select.output.len());
                match place {
                    Some(place) => refuse("42P10", format!("{clause} position {place} is not in select list")),
                    None => Ok(()),
                }
            }
            node => self.check_value(node, level, around),
        }
    }

    /// `get_sort_group_operators`: what is sorted, grouped or told apart has the operators for it.
    fn check_sortable(&self, select: &Select, level: &Level, around: Around<'_>) -> Step {
        let levels = chain(level, around);
        let without = |node: &ExprNode| {
            let ExprNode::Column { qualifier, name } = node else { return None };
            let named = select.output.iter().find_map(|output| match output {
                SelectOutput::Column(output) if qualifier.is_none() && output.name.as_ref() == Some(name) => {
                    Some(&*output.expr.node)
                }
                _ => None,
            });
            let (qualifier, name) = match named {
                Some(ExprNode::Column { qualifier, name }) => (qualifier, name),
                Some(_) => return None,
                None => (qualifier, name),
            };
            let data_type = self.column_type(qualifier.as_ref(), name, &levels)?;
            let data_type = crate::cast::base_type(self.catalog(), &data_type);
            ["json", "xml", "jsonpath", "point", "box", "polygon", "path", "lseg", "line", "circle"]
                .iter()
                .any(|name| data_type.is(name))
                .then_some(data_type)
        };
        let refused = |node: &ExprNode, what: &str| match without(node) {
            Some(data_type) if !self.catalog().has_own_operators() => {
                refuse("42883", format!("could not identify {what} operator for type {}", data_type.in_messages()))
            }
            _ => Ok(()),
        };
        for item in &select.order {
            refused(&item.node, "an ordering")?;
        }
        for item in &select.group {
            refused(&item.node, "an equality")?;
        }
        for output in select.output.iter().filter(|_| select.distinct) {
            if let SelectOutput::Column(column) = output {
                refused(&column.expr.node, "an equality")?;
            }
        }
        Ok(())
    }

    /// `transformDistinctClause`: what DISTINCT leaves out cannot be sorted by.
    fn check_distinct(&self, select: &Select, level: &Level, around: Around<'_>) -> Step {
        if !select.distinct || select.order.is_empty() {
            return Ok(());
        }
        let mut outputs = Vec::new();
        for output in &select.output {
            // The columns of a star are not told one from another.
            let SelectOutput::Column(column) = output else { return Ok(()) };
            outputs.push(column);
        }
        let meaning = |node: &ExprNode| match node {
            ExprNode::Column { qualifier, name } => {
                let meaning = self.meaning(qualifier.as_ref(), name, &chain(level, around)).unwrap_or(Meaning::Open);
                Some((meaning, name.clone()))
            }
            _ => None,
        };
        for item in &select.order {
            let named = matches!(&*item.node, ExprNode::Column { qualifier: None, name }
                if outputs.iter().any(|output| output.name.as_ref() == Some(name)));
            let Some((sorted @ Meaning::Column(..), name)) = meaning(&item.node).filter(|_| !named) else { continue };
            let found = outputs.iter().any(|output| match meaning(&output.expr.node) {
                Some((Meaning::Open, _)) => true,
                Some((known, known_name)) => known == sorted && known_name == name,
                None => false,
            });
            if !found {
                return refuse("42P10", "for SELECT DISTINCT, ORDER BY expressions must appear in select list");
            }
        }
        Ok(())
    }

    /// What a change returns names the columns of its row, before and after it (18).
    fn check_returning(&self, select: &Select, level: &mut Level, around: Around<'_>) -> Step {
        if select.returning.is_empty() {
            return Ok(());
        }
        let named = level.sources.len();
        if let (true, Some(target)) = (self.version.at_least(18), level.sources.first()) {
            let rows = ["old", "new"]
                .map(Ident::new)
                .into_iter()
                .filter(|row| level.sources.iter().all(|source| source.alias.as_ref() != Some(row)));
            let (relation, columns) = (target.relation.clone(), target.columns.clone());
            let rows: Vec<Visible> = rows
                .map(|row| Visible {
                    alias: Some(row),
                    aliased: true,
                    relation: relation.clone(),
                    columns: columns.clone(),
                    types: Vec::new(),
                    hidden: false,
                    by_name: true,
                })
                .collect();
            level.sources.extend(rows);
        }
        let checked = self.check_list(&select.returning, level, around, Some("RETURNING"));
        level.sources.truncate(named);
        checked
    }

    fn check_output(&self, select: &Select, level: &Level, around: Around<'_>) -> Step {
        self.check_list(&select.output, level, around, select.changes)
    }

    /// A list of expressions; where `place` says what it is, none of them may have an aggregate.
    fn check_list(&self, list: &[SelectOutput], level: &Level, around: Around<'_>, place: Option<&str>) -> Step {
        for output in list {
            match output {
                // What a change writes may be the default.
                SelectOutput::Column(column) if place.is_some() && *column.expr.node == ExprNode::Default => {}
                SelectOutput::Column(column) => {
                    self.check_value(&column.expr.node, level, around)?;
                    if let Some(place) = place {
                        self.refuse_aggregates(&column.expr.node, place, level, around)?;
                    }
                }
                SelectOutput::Star(Some(qualifier)) => {
                    find_source(qualifier, &chain(level, around))?;
                }
                SelectOutput::Star(None) => {}
            }
        }
        Ok(())
    }

    fn check_predicate(&self, select: &Select, level: &Level, around: Around<'_>) -> Step {
        let Some(predicate) = &select.predicate else { return Ok(()) };
        // Other changes have a WHERE.
        let place = select.changes.filter(|place| place.starts_with("MERGE")).unwrap_or("WHERE");
        if place == "WHERE" {
            self.check_condition(&predicate.node, place, level, around)?;
        } else {
            self.check_value(&predicate.node, level, around)?;
        }
        self.refuse_aggregates(&predicate.node, place, level, around)
    }

    fn refuse_aggregates(&self, node: &ExprNode, place: &str, level: &Level, around: Around<'_>) -> Step {
        if self.has_own_aggregate(node, level, around) {
            return refuse("42803", format!("aggregate functions are not allowed in {place}"));
        }
        Ok(())
    }

    /// The condition of a policy, which names the columns of its table.
    pub(super) fn check_names_of_condition(&self, node: &ExprNode, table: &QualifiedName) -> Step {
        let level = Level { sources: vec![self.row_of(table, &table.name, false)], ..Level::default() };
        self.check_expr(node, &level, Around::default())
    }

    /// The query of a rule's action, beside the old and the new row.
    pub(super) fn check_names_of_action(&self, query: &Query, table: &QualifiedName, event: &str) -> Step {
        let sources = ["old", "new"].map(|row| self.row_of(table, &Ident::new(row), true)).into();
        let level = Level { sources, ..Level::default() };
        self.check_names_in(query, Around { levels: &[&level], defined: &[] })?;
        let uses = |row: &str| {
            query.qualified.iter().any(|(qualifier, _)| qualifier.as_ref().is_some_and(|name| *name == row))
        };
        match event {
            "INSERT" if uses("old") => refuse("42P17", "ON INSERT rule cannot use OLD"),
            "DELETE" if uses("new") => refuse("42P17", "ON DELETE rule cannot use NEW"),
            _ => Ok(()),
        }
    }

    /// A query of a function's body. What is no column may be a parameter, by itself or behind the function's name.
    pub(super) fn check_names_of_body(&self, query: &Query, function: &CreateFunction) -> Step {
        let named = |alias: &Ident, columns: Option<Vec<Ident>>| Visible {
            alias: Some(alias.clone()),
            aliased: true,
            relation: None,
            by_name: columns.is_none(),
            types: Vec::new(),
            columns,
            hidden: false,
        };
        let parameters: Vec<Ident> = function.argument_names.iter().flatten().cloned().collect();
        let own = named(&function.name.name, Some(parameters.clone()));
        // A field of a parameter's value is written like a column.
        let fields = parameters.iter().map(|parameter| named(parameter, None));
        let sources = if parameters.is_empty() { Vec::new() } else { std::iter::once(own).chain(fields).collect() };
        let level = Level { sources, natural: true, ..Level::default() };
        self.check_names_in(query, Around { levels: &[&level], defined: &[] })
    }

    fn row_of(&self, table: &QualifiedName, alias: &Ident, by_name: bool) -> Visible {
        Visible {
            alias: Some(alias.clone()),
            aliased: by_name,
            relation: Some(table.clone()),
            columns: self.names_of_relation(table),
            types: Vec::new(),
            hidden: false,
            by_name,
        }
    }

    /// A query in FROM sees what is around this one, and the items before it only if it is LATERAL.
    fn check_source_query(&self, query: &Query, lateral: bool, level: &mut Level, around: Around<'_>) -> Step {
        for source in &mut level.sources {
            source.hidden = !lateral;
        }
        // What NATURAL and USING merge is not asked for from inside.
        let levels: Vec<&Level> = around.levels.iter().copied().chain([&*level]).collect();
        let checked = self.check_names_in(query, Around { levels: &levels, defined: around.defined });
        level.sources.iter_mut().for_each(|source| source.hidden = false);
        checked
    }

    fn seen(&self, source: &SelectSource, around: Around<'_>) -> Visible {
        let mut visible = Visible {
            alias: source.alias.clone(),
            aliased: source.aliased,
            relation: None,
            columns: None,
            types: Vec::new(),
            hidden: source.hidden,
            by_name: false,
        };
        match &source.kind {
            SourceKind::Relation(name) => {
                if let Some(defined) = around.defined(name) {
                    visible.columns.clone_from(&defined.columns);
                    visible.types.clone_from(&defined.types);
                } else {
                    visible.relation = self.find(name);
                    visible.columns = visible.relation.as_ref().and_then(|name| self.names_of_relation(name));
                }
            }
            SourceKind::Query { query, .. } => {
                visible.columns = self.names_of_query(query, around);
                visible.types = self.types_over_tables(query, around);
            }
            SourceKind::Unknown => {}
        }
        if let Some(columns) = &mut visible.columns {
            rename_first(columns, &source.columns);
        }
        visible
    }

    fn names_of_relation(&self, name: &QualifiedName) -> Option<Vec<Ident>> {
        match self.catalog().relation(name)? {
            Relation::Table(table) if !table.assumed && !table.uncertain => {
                Some(table.columns.iter().map(|column| column.name.clone()).collect())
            }
            Relation::View(view) if !view.columns.is_empty() => Some(view.columns.clone()),
            _ => None,
        }
    }

    /// The types of what a query gives, or of the values of an UPDATE, in order, each where it is known and no literal;
    /// `None` where the columns are not counted.
    pub(super) fn types_of_values(&self, query: &Query) -> Option<Vec<Option<DataType>>> {
        let mut selects = query.selects.iter().filter(|select| matches!(select.changes, None | Some("UPDATE")));
        let (Some(select), None) = (selects.next(), selects.next()) else { return None };
        let defined = self.define(query, Around::default(), |_, _| Ok(())).ok()?;
        let around = Around { levels: &[], defined: &defined };
        let level = Level {
            sources: select.sources.iter().map(|source| self.seen(source, around)).collect(),
            merged: select.merged.clone(),
            natural: select.natural,
        };
        let levels = chain(&level, around);
        self.types_of_list(&select.output, &levels)
    }

    /// What a query's columns are called, as far as its SELECT was read.
    pub(super) fn names_of_selects(&self, query: &Query) -> Option<Vec<Ident>> {
        self.names_of_query(query, Around::default())
    }

    /// The output columns of a query in FROM, which the first of its SELECTs names.
    fn names_of_query(&self, query: &Query, around: Around<'_>) -> Option<Vec<Ident>> {
        let returns = query.selects.iter().find(|select| !select.returning.is_empty());
        let select = returns.or(query.selects.first())?;
        let list = if select.changes.is_some() { &select.returning } else { &select.output };
        if list.is_empty() {
            return None;
        }
        // Whether it is right is asked where it stands.
        let defined = self.define(query, around, |_, _| Ok(())).ok()?;
        let around = Around { defined: &defined, ..around };
        self.names_of_list(list, select, around)?.into_iter().collect()
    }

    /// What the columns of a list are called, where that is known of one; `None` where it is not known how many there are.
    fn names_of_list(&self, list: &[SelectOutput], select: &Select, around: Around<'_>) -> Option<Vec<Option<Ident>>> {
        let mut names = Vec::new();
        for output in list {
            match output {
                SelectOutput::Column(column) => names.push(column.name.clone()),
                SelectOutput::Star(qualifier) => {
                    // Merged columns stand once, and first.
                    if select.natural || !select.merged.is_empty() {
                        return None;
                    }
                    for source in &select.sources {
                        if qualifier.is_none() || source.alias == *qualifier {
                            names.extend(self.seen(source, around).columns?.into_iter().map(Some));
                        }
                    }
                }
            }
        }
        Some(names)
    }

    /// The names of an expression, and its operators and functions for values of these types.
    fn check_value(&self, node: &ExprNode, level: &Level, around: Around<'_>) -> Step {
        self.check_expr(node, level, around)?;
        self.typed(node, level, around, |scope| scope.read(node).map(|_| ()))
    }

    fn check_condition(&self, node: &ExprNode, word: &str, level: &Level, around: Around<'_>) -> Step {
        self.check_expr(node, level, around)?;
        self.typed(node, level, around, |scope| scope.truth(node, word))
    }

    fn typed(
        &self,
        node: &ExprNode,
        level: &Level,
        around: Around<'_>,
        read: impl Fn(&Scope<'_>) -> Result<(), Mistake>,
    ) -> Step {
        if matches!(node, ExprNode::Number(_) | ExprNode::Text(_) | ExprNode::Other { .. }) {
            return Ok(());
        }
        let levels = chain(level, around);
        let columns = |qualifier: Option<&Ident>, name: &Ident| self.column_type(qualifier, name, &levels);
        let scope = self.scope_of(Columns::Sources(&columns), Place::Query);
        match read(&scope) {
            Ok(()) => Ok(()),
            Err((sqlstate, message)) => refuse(sqlstate, message),
        }
    }

    /// The type of a table's column that the name means.
    fn column_type(&self, qualifier: Option<&Ident>, name: &Ident, levels: &[&Level]) -> Option<DataType> {
        let Ok(Meaning::Column(up, place)) = self.meaning(qualifier, name, levels) else { return None };
        self.type_in_source(&levels[up].sources[place], name)
    }

    fn type_in_source(&self, source: &Visible, name: &Ident) -> Option<DataType> {
        let columns = source.columns.as_ref()?;
        let place = columns.iter().position(|column| column == name)?;
        let Some(relation) = &source.relation else { return source.types.get(place)?.clone() };
        let table = self.catalog().table(relation).filter(|table| !table.is_vague())?;
        (columns.len() == table.columns.len()).then(|| Some(table.columns.get(place)?.data_type.clone()))?
    }

    /// The types of the columns of a query over tables alone: those of queries inside queries are not followed, so that
    /// depth costs nothing. Empty where it is none.
    fn types_over_tables(&self, query: &Query, around: Around<'_>) -> Vec<Option<DataType>> {
        let [select] = query.selects.as_slice() else { return Vec::new() };
        let is_table = |source: &SelectSource| match &source.kind {
            SourceKind::Relation(name) => around.defined(name).is_none(),
            SourceKind::Query { .. } | SourceKind::Unknown => false,
        };
        if !query.with.is_empty() || !select.sources.iter().all(is_table) {
            return Vec::new();
        }
        let level = Level {
            sources: select.sources.iter().map(|source| self.seen(source, around)).collect(),
            merged: select.merged.clone(),
            natural: select.natural,
        };
        let list = if select.changes.is_some() { &select.returning } else { &select.output };
        self.types_of_list(list, &chain(&level, Around::default())).unwrap_or_default()
    }

    /// `None` where the columns are not counted.
    fn types_of_list(&self, list: &[SelectOutput], levels: &[&Level]) -> Option<Vec<Option<DataType>>> {
        let columns = |qualifier: Option<&Ident>, name: &Ident| self.column_type(qualifier, name, levels);
        let scope = self.scope_of(Columns::Sources(&columns), Place::Query);
        let level = levels.first()?;
        let mut types = Vec::new();
        for output in list {
            match output {
                SelectOutput::Star(_) if level.natural || !level.merged.is_empty() => return None,
                SelectOutput::Star(qualifier) => {
                    for source in level.sources.iter().filter(|one| qualifier.is_none() || one.alias == *qualifier) {
                        let names = source.columns.as_ref()?;
                        types.extend(names.iter().map(|name| self.type_in_source(source, name)));
                    }
                }
                SelectOutput::Column(column) => types.push(match &*column.expr.node {
                    ExprNode::Column { qualifier, name } => self.column_type(qualifier.as_ref(), name, levels),
                    node => match scope.read(node) {
                        Ok(Value::Known(data_type)) => Some(data_type),
                        _ => None,
                    },
                }),
            }
        }
        Some(types)
    }

    /// Every name in the expression means one thing, and so do those in its queries.
    fn check_expr(&self, node: &ExprNode, level: &Level, around: Around<'_>) -> Step {
        match node {
            ExprNode::Column { qualifier, name } => {
                self.meaning(qualifier.as_ref(), name, &chain(level, around)).map(|_| ())
            }
            ExprNode::Subquery { query } => {
                let levels: Vec<&Level> = around.levels.iter().copied().chain([level]).collect();
                self.check_names_in(query, Around { levels: &levels, defined: around.defined })
            }
            // Words of a form that is not read look like columns.
            ExprNode::Other { parts, words: true, .. } => {
                let queries = parts.iter().filter(|part| matches!(part, ExprNode::Subquery { .. }));
                queries.into_iter().try_for_each(|query| self.check_expr(query, level, around))
            }
            node => node.children().into_iter().try_for_each(|child| self.check_expr(child, level, around)),
        }
    }

    /// `colNameToVar` and `scanNSItemForColumn`.
    fn meaning(&self, qualifier: Option<&Ident>, name: &Ident, levels: &[&Level]) -> Step<Meaning> {
        if super::create_table::is_system_column(name) {
            return Ok(Meaning::Open);
        }
        let Some(qualifier) = qualifier else { return meaning_of_bare(name, levels) };
        let Some((up, place)) = find_source(qualifier, levels)? else { return Ok(Meaning::Open) };
        let source = &levels[up].sources[place];
        match &source.columns {
            Some(columns) if columns.contains(name) => Ok(Meaning::Column(up, place)),
            // A schema before the name, which is not kept, may tell it from another one.
            Some(_) if is_called_twice(qualifier, levels) => Ok(Meaning::Open),
            // A function of the row is called like a column.
            Some(_) if !self.may_be_function(name) => {
                refuse("42703", format!("column {qualifier}.{name} does not exist"))
            }
            _ => Ok(Meaning::Open),
        }
    }

    fn may_be_function(&self, name: &Ident) -> bool {
        let function = QualifiedName::as_written(None, name.clone());
        self.find_function(&function).is_some()
            || self.function_volatility(&function, 1) != Known::Unknown
            || crate::cast::is_builtin_type(name.as_str(), self.version)
            || self.find_type(&function).is_some()
    }

    // Grouping

    /// Whether an aggregate of this level stands in the expression: one over its columns, or over none at all.
    fn has_own_aggregate(&self, node: &ExprNode, level: &Level, around: Around<'_>) -> bool {
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
    fn check_grouping(&self, select: &Select, level: &Level, around: Around<'_>) -> Step {
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
                        columns.iter().try_for_each(|column| grouping.check(level, place, column, true))?;
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
                    if let ExprNode::Subquery { query } = node {
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

/// `transformFromClauseItem`: both sides of a join have the columns of USING. Of several joins it is not told which has them.
fn check_using(select: &Select, level: &Level) -> Step {
    let [left, right] = level.sources.as_slice() else { return Ok(()) };
    for column in &select.merged {
        for (source, side) in [(left, "left"), (right, "right")] {
            if source.columns.as_ref().is_some_and(|columns| !columns.contains(column)) {
                let message = format!("column \"{column}\" specified in USING clause does not exist in {side} table");
                return refuse("42703", message);
            }
        }
    }
    Ok(())
}

/// `transformDistinctOnClause`: a row is chosen by what it is sorted by first. Only columns that are named alike in both
/// places are told apart here.
fn check_distinct_on(select: &Select) -> Step {
    let column = |item: &SqlExpr| match &*item.node {
        ExprNode::Column { name, .. } => Some(name.clone()),
        _ => None,
    };
    let renamed = |name: &Ident| {
        select.output.iter().any(|output| match output {
            SelectOutput::Column(output) => {
                let itself = matches!(&*output.expr.node, ExprNode::Column { name: known, .. } if known == name);
                (output.name.as_ref() == Some(name)) != itself
            }
            SelectOutput::Star(_) => false,
        })
    };
    let columns = |list: &[SqlExpr]| list.iter().map(column).collect::<Option<Vec<Ident>>>();
    let (Some(chosen), Some(sorted)) = (columns(&select.distinct_on), columns(&select.order)) else { return Ok(()) };
    if chosen.iter().chain(&sorted).any(renamed) {
        return Ok(());
    }
    let first = sorted.iter().take_while(|name| chosen.contains(name)).count();
    if first < sorted.len() && chosen.iter().any(|name| !sorted[..first].contains(name)) {
        return refuse("42P10", "SELECT DISTINCT ON expressions must match initial ORDER BY expressions");
    }
    Ok(())
}

/// This level and those around it, the nearest first.
fn chain<'a>(level: &'a Level, around: Around<'a>) -> Vec<&'a Level> {
    std::iter::once(level).chain(around.levels.iter().rev().copied()).collect()
}

/// The source that is called so, by its level and place; `None` where it may be one whose name is not known.
fn find_source(qualifier: &Ident, levels: &[&Level]) -> Step<Option<(usize, usize)>> {
    for (up, level) in levels.iter().enumerate() {
        let sources = level.sources.iter().enumerate();
        let mut called = sources.filter(|(_, source)| !source.hidden && source.alias.as_ref() == Some(qualifier));
        match (called.next(), called.next()) {
            (Some(_), Some(_)) => return refuse("42P09", format!("table reference \"{qualifier}\" is ambiguous")),
            (Some((place, _)), None) => return Ok(Some((up, place))),
            (None, _) => {}
        }
    }
    let there = |source: &Visible| {
        source.alias.as_ref() == Some(qualifier)
            || source.relation.as_ref().is_some_and(|relation| relation.name == *qualifier)
    };
    let what =
        if levels.iter().any(|level| level.sources.iter().any(there)) { "invalid reference to" } else { "missing" };
    refuse("42P01", format!("{what} FROM-clause entry for table \"{qualifier}\""))
}

fn is_called_twice(qualifier: &Ident, levels: &[&Level]) -> bool {
    let sources = levels.iter().flat_map(|level| &level.sources);
    sources.filter(|source| source.alias.as_ref() == Some(qualifier)).nth(1).is_some()
}

/// Names of their own for the first columns.
fn rename_first(columns: &mut [Ident], names: &[Ident]) {
    for (column, name) in columns.iter_mut().zip(names) {
        column.clone_from(name);
    }
}

/// What an item of GROUP BY names: the items of ROLLUP, CUBE and of a list in parentheses, or the item itself.
fn grouped_by(node: &ExprNode) -> Vec<&ExprNode> {
    match node {
        ExprNode::Row(list) => list.iter().flat_map(grouped_by).collect(),
        ExprNode::Call { function, args, .. } if is_grouping(function) => args.iter().flat_map(grouped_by).collect(),
        node => vec![node],
    }
}

fn is_grouping(function: &QualifiedName) -> bool {
    matches!(function.name.as_str(), "rollup" | "cube")
}

/// `checkNameSpaceConflicts`.
fn check_alias(level: &Level, new: &Visible) -> Step {
    let Some(alias) = &new.alias else { return Ok(()) };
    let conflicts = |known: &&Visible| {
        known.alias.as_ref() == Some(alias)
            && (known.aliased || new.aliased || known.relation.is_none() || known.relation == new.relation)
    };
    if level.sources.iter().any(|known| conflicts(&known)) {
        return refuse("42712", format!("table name \"{alias}\" specified more than once"));
    }
    Ok(())
}

/// `colNameToVar`: the nearest level that has such a column, where only one source may.
fn meaning_of_bare(name: &Ident, levels: &[&Level]) -> Step<Meaning> {
    for (up, level) in levels.iter().enumerate() {
        let mut found = Vec::new();
        for (place, source) in level.sources.iter().enumerate().filter(|(_, source)| !source.hidden && !source.by_name)
        {
            let Some(columns) = &source.columns else { return Ok(Meaning::Open) };
            // A source may have several columns of a name, which none can name then.
            found.extend(columns.iter().filter(|column| *column == name).map(|_| place));
        }
        match found.as_slice() {
            [] => {}
            [place] => return Ok(Meaning::Column(up, *place)),
            _ if level.may_merge(name) => return Ok(Meaning::Open),
            _ => return refuse("42702", format!("column reference \"{name}\" is ambiguous")),
        }
    }
    // The name of a source is its whole row.
    let is_source = |source: &Visible| source.alias.as_ref() == Some(name);
    if levels.iter().any(|level| level.sources.iter().any(is_source)) {
        return Ok(Meaning::Open);
    }
    refuse("42703", format!("column \"{name}\" does not exist"))
}

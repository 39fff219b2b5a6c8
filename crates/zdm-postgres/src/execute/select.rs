//! What the server looks up in a query before it plans it: which column a name means, and what may stand beside GROUP BY.
//!
//! The order is the server's (`transformSelectStmt`, `parse_relation.c`, `parse_agg.c`). Where a relation's columns are not
//! known, nothing is refused that could be among them.

mod common_table;
mod grouping;
mod output;
mod visible;

use self::grouping::{check_windows, grouped_by, refuse_windows};
use self::output::InQuery;
use self::visible::{Around, Level, Meaning, Outer, Output, Seen, Visible, chain, check_alias, find_source};
use super::{Run, Step, refuse};
use crate::data_type::DataType;
use crate::expr::{ExprNode, SqlExpr};
use crate::name::{Ident, QualifiedName};
use crate::statement::{CreateFunction, Locking, Query, Select, SelectOutput, SourceKind};
use crate::typing::{self, Columns, Mistake, Place, Scope};
use crate::version::PgVersion;

impl Run {
    /// Refuses names that mean nothing, or more than one thing, and columns that are neither grouped nor aggregated.
    pub(super) fn check_names(&self, query: &Query) -> Step {
        self.check_names_in(query, Around::nothing(&Seen::default())).map(|_| ())
    }

    /// The same of what WITH defines alone.
    pub(super) fn check_names_of_with(&self, query: &Query) -> Step {
        self.check_with(query, Around::nothing(&Seen::default())).map(|_| ())
    }

    /// The columns that it gives; `None` where they are not counted.
    fn check_names_in(&self, query: &Query, around: Around<'_>) -> Step<Option<Vec<Output>>> {
        let defined;
        let around = if query.with.is_empty() {
            around
        } else {
            defined = self.check_with(query, around)?;
            Around { defined: &defined, ..around }
        };
        let mut columns = None;
        let mut rest = query.selects.as_slice();
        if let Some(operation) = &query.set_operation {
            columns = self.check_operation(operation, query, around)?;
            self.check_common_order(query, columns.as_deref())?;
            // What INSERT does with the rows is none of the operands.
            let operands = rest.iter().take_while(|select| select.changes.is_none()).count();
            rest = &rest[operands..];
        }
        for (place, select) in rest.iter().enumerate() {
            let found = self.check_select(select, around)?;
            if (place == 0 && query.set_operation.is_none()) || !select.returning.is_empty() {
                columns = found;
            }
        }
        Ok(columns)
    }

    /// What a set operation is sorted by is named among its columns.
    fn check_common_order(&self, query: &Query, columns: Option<&[Output]>) -> Step {
        let Some(columns) = columns else { return Ok(()) };
        for item in &query.order {
            match &*item.node {
                ExprNode::Column { qualifier: None, name } => {
                    let may_be = |column: &Output| column.name.is_none() || column.is(name);
                    if !columns.iter().any(may_be) {
                        return refuse("42703", format!("column \"{name}\" does not exist"));
                    }
                }
                ExprNode::Column { .. } | ExprNode::Other { words: true, .. } => {}
                node => match place_of(node, "ORDER BY", self.version)? {
                    Some(place) => need_place(place, columns.len(), "ORDER BY")?,
                    None => return refuse("0A000", "invalid UNION/INTERSECT/EXCEPT ORDER BY clause"),
                },
            }
        }
        let (level, seen) = (Level::default(), Seen::default());
        for (word, limit) in &query.limits {
            self.typed(&limit.node, &level, Around::nothing(&seen), |scope| scope.need_number(&limit.node, word))?;
        }
        Ok(())
    }

    /// The columns that it gives, or that its RETURNING does.
    fn check_select(&self, select: &Select, around: Around<'_>) -> Step<Option<Vec<Output>>> {
        if !select.rows.is_empty() {
            return self.check_values(select, around);
        }
        if select.ties && !self.version.at_least(13) {
            return refuse("42601", "syntax error at or near \"WITH\"");
        }
        if select.ties && select.order.is_empty() {
            return refuse("42601", "WITH TIES cannot be specified without ORDER BY clause");
        }
        if select.ties && select.locking.iter().any(|locking| locking.skip_locked) {
            return refuse("42601", "SKIP LOCKED and WITH TIES options cannot be used together");
        }
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
            if let SourceKind::Function { call, .. } = &source.kind {
                self.check_called(&call.node, &level, around)?;
                self.refuse_aggregates(&call.node, "functions in FROM", &level, around)?;
            }
            let visible = self.visible_source(source, &level, around);
            // The row that was to be inserted stands beside whatever the target is called.
            if select.changes.is_none() || !source.is_excluded() {
                check_alias(&level, &visible)?;
            }
            level.sources.push(visible);
            while let Some((seen, condition)) = joins.next_if(|(seen, _)| seen.end == level.sources.len()) {
                // A join sees what it joins; the other items of FROM are there, and are not seen.
                let hidden: Vec<bool> = level.sources.iter().map(|source| source.hidden).collect();
                for source in &mut level.sources[..seen.start] {
                    source.hidden = true;
                }
                let checked = self.check_condition(&condition.node, "JOIN/ON", &level, around);
                level.sources.iter_mut().zip(hidden).for_each(|(source, hidden)| source.hidden = hidden);
                checked?;
                self.refuse_aggregates(&condition.node, "JOIN conditions", &level, around)?;
            }
        }
        check_using(select, &level)?;
        // The values of an UPDATE come last.
        if select.changes.is_some() {
            self.check_predicate(select, &level, around)?;
            self.check_returning(select, &mut level, around)?;
            self.check_output(select, &level, around)?;
            let list = if select.returning.is_empty() { &select.output } else { &select.returning };
            return Ok(self.columns_of_list(list, &level, around));
        }
        self.check_output(select, &level, around)?;
        let columns = self.columns_of_list(&select.output, &level, around);
        self.check_predicate(select, &level, around)?;
        if let Some(having) = &select.having {
            self.check_condition(&having.node, "HAVING", &level, around)?;
            refuse_windows(&having.node, "HAVING")?;
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
        self.check_limits(select, &level, around)?;
        check_windows(select)?;
        self.check_locking(select, around)?;
        self.check_grouping(select, &level, around)?;
        Ok(columns)
    }

    /// A function in FROM. `unnest` takes several arrays there, each for a column of its own.
    fn check_called(&self, node: &ExprNode, level: &Level, around: Around<'_>) -> Step {
        match node {
            ExprNode::Call { function, args, .. } if function.name == "unnest" && args.len() > 1 => {
                args.iter().try_for_each(|arg| self.check_value(arg, level, around))
            }
            node => self.check_value(node, level, around),
        }
    }

    /// `transformLimitClause`: a number that no row decides.
    fn check_limits(&self, select: &Select, level: &Level, around: Around<'_>) -> Step {
        for (word, limit) in &select.limits {
            self.check_value(&limit.node, level, around)?;
            self.refuse_aggregates(&limit.node, word, level, around)?;
            let mistake = self.typed(&limit.node, level, around, |scope| scope.need_number(&limit.node, word));
            mistake?;
            let mut own = false;
            limit.node.walk(&mut |node| {
                if let ExprNode::Column { qualifier, name } = node {
                    let meaning = self.meaning(qualifier.as_ref(), name, &chain(level, around));
                    own |= matches!(meaning, Ok(Meaning::Column(0, _)));
                }
                if let ExprNode::Subquery { query, .. } = node {
                    own |= !around.seen.outer(query).is_empty();
                }
            });
            if own {
                return refuse("42P10", format!("argument of {word} must not contain variables"));
            }
        }
        Ok(())
    }

    /// `transformLockingClause`: what FOR UPDATE names are relations or queries of FROM.
    fn check_locking(&self, select: &Select, around: Around<'_>) -> Step {
        for Locking { strength, of, .. } in &select.locking {
            let gives_rows = |output: &SelectOutput| match output {
                SelectOutput::Column(column) => self.gives_rows(&column.expr.node),
                SelectOutput::Star(_) => false,
            };
            if select.output.iter().any(gives_rows) {
                let what = "is not allowed with set-returning functions in the target list";
                return refuse("0A000", format!("{strength} {what}"));
            }
            for source in &select.sources {
                let named = of.is_empty() || source.alias.as_ref().is_some_and(|alias| of.contains(alias));
                if let SourceKind::Query { query, .. } = &source.kind
                    && let Some(what) = self.unlockable(query).filter(|_| named)
                {
                    return refuse("0A000", format!("{strength} is not allowed with {what}"));
                }
            }
            for name in of {
                let Some(source) = select.sources.iter().find(|source| source.alias.as_ref() == Some(name)) else {
                    let message = format!("relation \"{name}\" in {strength} clause not found in FROM clause");
                    return refuse("42P01", message);
                };
                let what = match &source.kind {
                    SourceKind::Relation(relation) if around.defined(relation).is_some() => "a WITH query",
                    SourceKind::Function { .. } => "a function",
                    SourceKind::Relation(_) | SourceKind::Query { .. } | SourceKind::Unknown => continue,
                };
                return refuse("0A000", format!("{strength} cannot be applied to {what}"));
            }
        }
        Ok(())
    }

    /// `CheckSelectLocking`: why the rows of a query are no rows of its tables.
    fn unlockable(&self, query: &Query) -> Option<&'static str> {
        if query.set_operation.is_some() {
            return Some("UNION/INTERSECT/EXCEPT");
        }
        let select = query.selects.first()?;
        let found = |wanted: &dyn Fn(&ExprNode) -> bool| {
            let mut found = false;
            for output in &select.output {
                if let SelectOutput::Column(column) = output {
                    column.expr.node.walk(&mut |node| found |= wanted(node));
                }
            }
            found
        };
        let over = |node: &ExprNode| matches!(node, ExprNode::Other { form: Some(form), .. } if form.over);
        let aggregate =
            |node: &ExprNode| matches!(node, ExprNode::Call { function, .. } if self.is_aggregate(function));
        if select.distinct || !select.distinct_on.is_empty() {
            Some("DISTINCT clause")
        } else if select.groups {
            Some("GROUP BY clause")
        } else if select.having.is_some() {
            Some("HAVING clause")
        } else if found(&over) {
            Some("window functions").filter(|_| !found(&aggregate))
        } else if found(&aggregate) {
            Some("aggregate functions")
        } else {
            None
        }
    }

    /// A function of the server's that gives rows stands in the expression, outside of its queries.
    fn gives_rows(&self, node: &ExprNode) -> bool {
        let mut found = false;
        node.walk(&mut |node| {
            if let ExprNode::Call { function, .. } = node {
                found |= typing::gives_rows(function) && self.find_function(function).is_none();
            }
        });
        found
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
                let columns = self.columns_of_list(&select.output, level, around);
                columns.is_none_or(|columns| columns.iter().any(|column| column.name.is_none() || column.is(name)))
            };
            select.output.iter().any(named) || (stars && in_star())
        };
        match node {
            ExprNode::Column { qualifier: None, name } if is_output(name) => {
                self.check_named_once((clause, name), select, level, around)
            }
            node => match place_of(node, clause, self.version)? {
                Some(place) => match self.columns_of_list(&select.output, level, around) {
                    Some(columns) => need_place(place, columns.len(), clause),
                    None => Ok(()),
                },
                None => self.check_value(node, level, around),
            },
        }
    }

    /// Output columns of one name are one expression, as far as they are plain columns.
    fn check_named_once(
        &self,
        (clause, name): (&str, &Ident),
        select: &Select,
        level: &Level,
        around: Around<'_>,
    ) -> Step {
        if clause == "GROUP BY" {
            return Ok(());
        }
        let mut meanings = select.output.iter().filter_map(|output| match output {
            SelectOutput::Column(column) if column.name.as_ref() == Some(name) => match &*column.expr.node {
                ExprNode::Column { qualifier, name } => {
                    let meaning = self.meaning(qualifier.as_ref(), name, &chain(level, around));
                    meaning.ok().filter(|meaning| *meaning != Meaning::Open).map(|meaning| (meaning, name))
                }
                _ => None,
            },
            _ => None,
        });
        let first = meanings.next();
        if meanings.any(|other| Some(other) != first) {
            return refuse("42702", format!("{clause} \"{name}\" is ambiguous"));
        }
        Ok(())
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
            let data_type = self.type_of_column(qualifier.as_ref(), name, &levels)?;
            Some(data_type)
        };
        let refused = |node: &ExprNode, what: &str| match without(node) {
            Some(data_type) => self.need_operator(&data_type, what),
            None => Ok(()),
        };
        for item in &select.order {
            refused(&item.node, "an ordering")?;
        }
        for item in &select.group {
            refused(&item.node, "an equality")?;
        }
        for item in &select.distinct_on {
            refused(&item.node, "an equality")?;
        }
        if select.distinct {
            let columns = self.columns_of_list(&select.output, level, around).unwrap_or_default();
            for data_type in columns.iter().filter_map(|column| column.value.known()) {
                self.need_operator(data_type, "an equality")?;
            }
        }
        Ok(())
    }

    fn need_operator(&self, data_type: &DataType, what: &str) -> Step {
        let data_type = crate::cast::base_type(self.catalog(), data_type);
        match self.scope_of(Columns::Unknown, Place::Query).need_order(&data_type, what) {
            Ok(()) => Ok(()),
            Err((sqlstate, message)) => refuse(sqlstate, message),
        }
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
        refuse_windows(node, place)?;
        // Each has its own expansion elsewhere.
        let places = ["WHERE", "JOIN conditions", "UPDATE", "RETURNING", "LIMIT", "OFFSET"];
        if places.contains(&place) && self.gives_rows(node) {
            return refuse("0A000", format!("set-returning functions are not allowed in {place}"));
        }
        Ok(())
    }

    /// The condition of a policy, which names the columns of its table.
    pub(super) fn check_names_of_condition(&self, node: &ExprNode, table: &QualifiedName) -> Step {
        let level = Level { sources: vec![self.row_of(table, &table.name, false)], ..Level::default() };
        self.check_expr(node, &level, Around::nothing(&Seen::default()))
    }

    /// The query of a rule's action, beside the old and the new row.
    pub(super) fn check_names_of_action(&self, query: &Query, table: &QualifiedName, event: &str) -> Step {
        let sources = ["old", "new"].map(|row| self.row_of(table, &Ident::new(row), true)).into();
        let level = Level { sources, ..Level::default() };
        let seen = Seen::default();
        self.check_names_in(query, Around { levels: &[&level], defined: &[], seen: &seen })?;
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
        let parameters: Vec<Ident> = function.argument_names.iter().flatten().cloned().collect();
        let own = Visible::named(&function.name.name, Some(parameters.clone()));
        // A field of a parameter's value is written like a column.
        let fields = parameters.iter().map(|parameter| Visible { by_name: true, ..Visible::named(parameter, None) });
        let sources = if parameters.is_empty() { Vec::new() } else { std::iter::once(own).chain(fields).collect() };
        let level = Level { sources, natural: true, ..Level::default() };
        let seen = Seen::default();
        self.check_names_in(query, Around { levels: &[&level], defined: &[], seen: &seen }).map(|_| ())
    }

    fn row_of(&self, table: &QualifiedName, alias: &Ident, by_name: bool) -> Visible {
        Visible {
            alias: Some(alias.clone()),
            aliased: by_name,
            relation: Some(table.clone()),
            columns: self.columns_seen(table),
            hidden: false,
            by_name,
        }
    }

    /// A query in FROM sees what is around this one, and the items before it only if it is LATERAL.
    fn check_source_query(&self, query: &Query, lateral: bool, level: &mut Level, around: Around<'_>) -> Step {
        let hidden: Vec<bool> = level.sources.iter().map(|source| source.hidden).collect();
        for source in &mut level.sources {
            source.hidden |= !lateral;
        }
        // What NATURAL and USING merge is not asked for from inside.
        let levels: Vec<&Level> = around.levels.iter().copied().chain([&*level]).collect();
        let checked = self.check_names_in(query, Around { levels: &levels, ..around });
        level.sources.iter_mut().zip(hidden).for_each(|(source, hidden)| source.hidden = hidden);
        around.seen.keep(query, checked?);
        Ok(())
    }

    /// The names of an expression, and its operators and functions for values of these types.
    fn check_value(&self, node: &ExprNode, level: &Level, around: Around<'_>) -> Step {
        self.check_expr(node, level, around)?;
        self.typed(node, level, around, |scope| scope.read(node).map(|_| ()))?;
        self.check_nesting(node, level, around)
    }

    fn check_condition(&self, node: &ExprNode, word: &str, level: &Level, around: Around<'_>) -> Step {
        self.check_expr(node, level, around)?;
        self.typed(node, level, around, |scope| scope.truth(node, word))?;
        self.check_nesting(node, level, around)
    }

    fn typed(
        &self,
        node: &ExprNode,
        level: &Level,
        around: Around<'_>,
        read: impl Fn(&Scope<'_>) -> Result<(), Mistake>,
    ) -> Step {
        if matches!(node, ExprNode::Number(_) | ExprNode::Text(_)) {
            return Ok(());
        }
        let levels = chain(level, around);
        let sources = InQuery { run: self, levels: &levels, seen: around.seen };
        let scope = self.scope_of(Columns::Sources(&sources), Place::Query);
        match read(&scope) {
            Ok(()) => Ok(()),
            Err((sqlstate, message)) => refuse(sqlstate, message),
        }
    }

    /// Every name in the expression means one thing, and so do those in its queries.
    fn check_expr(&self, node: &ExprNode, level: &Level, around: Around<'_>) -> Step {
        match node {
            ExprNode::Column { qualifier, name } => {
                let levels = chain(level, around);
                if let Meaning::Column(up @ 1.., place) = self.meaning(qualifier.as_ref(), name, &levels)? {
                    around.seen.refer(Outer { level: levels.len() - 1 - up, place, name: name.clone() });
                }
                Ok(())
            }
            ExprNode::Subquery { query, .. } => {
                let levels: Vec<&Level> = around.levels.iter().copied().chain([level]).collect();
                let before = around.seen.references();
                let columns = self.check_names_in(query, Around { levels: &levels, ..around })?;
                around.seen.keep(query, columns);
                around.seen.keep_references(query, before, around.levels.len());
                Ok(())
            }
            ExprNode::Call { function, args, .. } if self.is_aggregate(function) => {
                let before = around.seen.references();
                args.iter().try_for_each(|arg| self.check_expr(arg, level, around))?;
                // An aggregate over columns around it alone belongs there.
                if !self.has_own_aggregate(node, level, around) {
                    around.seen.forget_references(before);
                }
                Ok(())
            }
            // Words of a form that is not read look like columns.
            ExprNode::Other { parts, words: true, .. } => {
                let queries = parts.iter().filter(|part| matches!(part, ExprNode::Subquery { .. }));
                queries.into_iter().try_for_each(|query| self.check_expr(query, level, around))
            }
            node => node.children().into_iter().try_for_each(|child| self.check_expr(child, level, around)),
        }
    }
}

/// `transformFromClauseItem`: both sides of a join have the columns of USING. Of several joins it is not told which has them.
fn check_using(select: &Select, level: &Level) -> Step {
    let [left, right] = level.sources.as_slice() else { return Ok(()) };
    for column in &select.merged {
        for (source, side) in [(left, "left"), (right, "right")] {
            if source.columns.as_ref().is_some_and(|columns| !columns.iter().any(|known| known.may_be(column))) {
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

/// The number of an output column that an item of ORDER BY or GROUP BY is; other constants are refused.
fn place_of(node: &ExprNode, clause: &str, version: PgVersion) -> Step<Option<i32>> {
    let number = |text: &str| match text.parse::<i32>() {
        Ok(place) => Ok(Some(place)),
        Err(_) => refuse("42601", format!("non-integer constant in {clause}")),
    };
    match node {
        ExprNode::Number(text) => number(text),
        ExprNode::Prefix { operator, expr } if operator == "-" => match &**expr {
            ExprNode::Number(text) => number(&format!("-{text}")),
            _ => Ok(None),
        },
        ExprNode::Null | ExprNode::Text(_) => number(""),
        // It was a cast of a text before.
        ExprNode::Bool(_) if version.at_least(15) => number(""),
        _ => Ok(None),
    }
}

fn need_place(place: i32, columns: usize, clause: &str) -> Step {
    if usize::try_from(place).is_ok_and(|place| (1..=columns).contains(&place)) {
        return Ok(());
    }
    refuse("42P10", format!("{clause} position {place} is not in select list"))
}

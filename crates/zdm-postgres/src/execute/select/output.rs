//! The columns that a query gives: their names and types.

use super::visible::{Around, Level, Output, Seen, Typed, Visible, chain, find_source, rename_first};
use crate::data_type::DataType;
use crate::execute::create_table::output_name;
use crate::execute::{Run, Step, refuse};
use crate::expr::{ExprNode, SqlExpr, SubqueryKind};
use crate::name::Ident;
use crate::statement::{Query, Select, SelectOutput, SelectSource, SetOperand, SetOperation, SourceKind};
use crate::typing::{self, Columns, Place, Sources, Value};

/// What an expression of a query is typed with.
pub(super) struct InQuery<'a> {
    pub(super) run: &'a Run,
    pub(super) levels: &'a [&'a Level],
    pub(super) seen: &'a Seen,
}

impl Sources for InQuery<'_> {
    fn column(&self, qualifier: Option<&Ident>, name: &Ident) -> Option<DataType> {
        self.run.type_of_column(qualifier, name, self.levels)
    }

    fn query(&self, query: &Query) -> Option<Vec<Option<DataType>>> {
        let columns = self.seen.columns(query)?;
        Some(columns.into_iter().map(|column| column.value.settled().known().cloned()).collect())
    }
}

impl Run {
    /// The names and types of a query's columns, each where it is known; `None` where they are not counted.
    pub(in crate::execute) fn columns_of_query(&self, query: &Query) -> Option<Vec<(Option<Ident>, Option<DataType>)>> {
        let seen = Seen::default();
        let columns = self.check_names_in(query, Around::nothing(&seen)).ok()??;
        Some(columns.into_iter().map(|column| (column.name, column.value.settled().known().cloned())).collect())
    }

    /// The types of what a query gives, or of the values of an UPDATE, in order, each where it is known and no literal;
    /// `None` where the columns are not counted.
    pub(in crate::execute) fn types_of_values(&self, query: &Query) -> Option<Vec<Option<DataType>>> {
        let mut selects = query.selects.iter().filter(|select| matches!(select.changes, None | Some("UPDATE")));
        let seen = Seen::default();
        let around = Around::nothing(&seen);
        let defined = self.check_with(query, around).ok()?;
        let around = Around { defined: &defined, ..around };
        match (&query.set_operation, selects.next(), selects.next()) {
            (Some(operation), ..) => {
                let columns = self.check_operation(operation, query, around).ok()??;
                Some(columns.into_iter().map(|column| column.value.known().cloned()).collect())
            }
            (None, Some(select), None) => self.types_of_change(select, around),
            _ => None,
        }
    }

    /// The same of each part of a change of rows that is called so.
    pub(in crate::execute) fn types_of_changes(
        &self,
        query: &Query,
        called: &str,
    ) -> Vec<Option<Vec<Option<DataType>>>> {
        let seen = Seen::default();
        let around = Around::nothing(&seen);
        let Ok(defined) = self.check_with(query, around) else { return Vec::new() };
        let around = Around { defined: &defined, ..around };
        let selects = query.selects.iter().filter(|select| select.changes == Some(called));
        selects.map(|select| self.types_of_change(select, around)).collect()
    }

    /// One type for each column: a query may give several at once.
    fn types_of_change(&self, select: &Select, around: Around<'_>) -> Option<Vec<Option<DataType>>> {
        let columns = self.check_select(&Select { returning: Vec::new(), ..select.clone() }, around).ok()??;
        let mut types = Vec::new();
        for column in columns {
            match column.value {
                Typed::Row(columns) => types.extend(columns),
                value => types.push(value.known().cloned()),
            }
        }
        Some(types)
    }

    /// What an item of FROM gives, where it is no query.
    pub(super) fn visible_source(&self, source: &SelectSource, level: &Level, around: Around<'_>) -> Visible {
        let mut visible = Visible {
            alias: source.alias.clone(),
            aliased: source.aliased,
            hidden: source.hidden,
            ..Visible::default()
        };
        match &source.kind {
            SourceKind::Relation(name) => {
                if let Some(defined) = around.defined(name) {
                    visible.columns.clone_from(&defined.columns);
                } else {
                    visible.relation = self.find(name);
                    visible.columns = visible.relation.as_ref().and_then(|name| self.columns_seen(name));
                }
            }
            SourceKind::Query { query, .. } => visible.columns = settled(around.seen.columns(query)),
            SourceKind::Function { call, ordinality } => {
                visible.columns = self.columns_of_call(call, *ordinality, source, level, around);
            }
            SourceKind::Unknown => {}
        }
        if let Some(columns) = &mut visible.columns {
            rename_first(columns, &source.columns);
        }
        visible
    }

    /// A function of the server's that gives values and no rows: its column is called like the source.
    fn columns_of_call(
        &self,
        call: &SqlExpr,
        ordinality: bool,
        source: &SelectSource,
        level: &Level,
        around: Around<'_>,
    ) -> Option<Vec<Output>> {
        let data_type = match self.typed_as(&call.node, level, around) {
            Typed::Known(data_type) if self.gives_one_column(&call.node) => data_type,
            _ => return None,
        };
        let mut columns = vec![Output { name: source.alias.clone(), value: Typed::Known(data_type) }];
        if ordinality {
            columns.push(Output { name: Some(Ident::new("ordinality")), value: Typed::Known(DataType::named("int8")) });
        }
        Some(columns)
    }

    /// Of the server's functions those that give values have one column, also those with an OUT parameter of its own name.
    fn gives_one_column(&self, node: &ExprNode) -> bool {
        let ExprNode::Call { function, args, .. } = node else { return false };
        let plain = matches!(
            function.name.as_str(),
            "generate_series" | "generate_subscripts" | "regexp_split_to_table" | "string_to_table"
        );
        let spreads = function.name == "unnest" && args.len() == 1;
        self.find_function(function).is_none() && (plain || spreads)
    }

    /// The columns of the list, where they can be counted.
    pub(super) fn columns_of_list(
        &self,
        list: &[SelectOutput],
        level: &Level,
        around: Around<'_>,
    ) -> Option<Vec<Output>> {
        let mut columns = Vec::new();
        for output in list {
            match output {
                SelectOutput::Star(qualifier) => {
                    columns.extend(columns_of_star(qualifier.as_ref(), &chain(level, around))?);
                }
                SelectOutput::Column(column) => {
                    let node = &*column.expr.node;
                    // What `(value).*` stands for is not counted.
                    if matches!(node, ExprNode::Other { text, .. } if text.trim_end().ends_with('*')) {
                        return None;
                    }
                    let name = column.name.clone().or_else(|| match node {
                        ExprNode::Other { .. } => None,
                        node => Some(output_name(node, self.version)),
                    });
                    columns.push(Output { name, value: self.typed_as(node, level, around) });
                }
            }
        }
        Some(columns)
    }

    /// The type of an expression with its modifiers (`exprType`, `exprTypmod`).
    fn typed_as(&self, node: &ExprNode, level: &Level, around: Around<'_>) -> Typed {
        let known = |data_type: Option<DataType>| data_type.map_or(Typed::Open, Typed::Known);
        match node {
            ExprNode::Null => Typed::Literal(None),
            ExprNode::Text(text) => Typed::Literal(Some(text.clone())),
            ExprNode::Column { qualifier, name } => {
                known(self.type_of_column(qualifier.as_ref(), name, &chain(level, around)))
            }
            ExprNode::Cast { data_type, .. } => known(self.resolve_type(data_type).ok()),
            ExprNode::Subquery { kind: SubqueryKind::Assigned { columns }, query } => {
                let given = around.seen.columns(query).filter(|given| given.len() == *columns);
                let open = || std::iter::repeat_n(None, *columns).collect();
                Typed::Row(given.map_or_else(open, |given| {
                    given.into_iter().map(|column| column.value.settled().known().cloned()).collect()
                }))
            }
            ExprNode::Subquery { kind: SubqueryKind::Scalar, query } => match around.seen.columns(query).as_deref() {
                Some([only]) => only.value.clone().settled(),
                _ => Typed::Open,
            },
            ExprNode::Call { function, args, .. }
                if function.schema.is_none() && matches!(function.name.as_str(), "coalesce" | "greatest" | "least") =>
            {
                self.typed_alike(args.iter(), node, level, around)
            }
            ExprNode::Case { branches, otherwise, .. } => {
                let results = branches.iter().map(|(_, then)| then);
                self.typed_alike(results.chain(otherwise.as_deref()), node, level, around)
            }
            node => self.typed_plainly(node, level, around),
        }
    }

    /// Of several values that are one: values of one type keep it, with its modifiers where all have the same.
    fn typed_alike<'n>(
        &self,
        values: impl Iterator<Item = &'n ExprNode>,
        whole: &ExprNode,
        level: &Level,
        around: Around<'_>,
    ) -> Typed {
        let (mut found, mut literal): (Vec<DataType>, bool) = (Vec::new(), false);
        for value in values {
            match self.typed_as(value, level, around) {
                Typed::Known(data_type) => found.push(data_type),
                Typed::Literal(_) => literal = true,
                Typed::Row(_) | Typed::Open => return Typed::Open,
            }
        }
        let Some(first) = found.first() else { return self.typed_plainly(whole, level, around) };
        let bare = |data_type: &DataType| DataType { modifiers: Vec::new(), fields: None, ..data_type.clone() };
        if found.iter().all(|other| other == first) && !literal {
            return Typed::Known(first.clone());
        }
        if found.iter().all(|other| bare(other) == bare(first)) {
            return Typed::Known(bare(first));
        }
        self.typed_plainly(whole, level, around)
    }

    fn typed_plainly(&self, node: &ExprNode, level: &Level, around: Around<'_>) -> Typed {
        let levels = chain(level, around);
        let sources = InQuery { run: self, levels: &levels, seen: around.seen };
        let scope = self.scope_of(Columns::Sources(&sources), Place::Query);
        match scope.read(node) {
            Ok(Value::Known(data_type)) => Typed::Known(data_type),
            _ => Typed::Open,
        }
    }

    // Set operations

    /// `transformSetOperationTree`: each side by itself, then as many columns on each and one type for both.
    pub(super) fn check_operation(
        &self,
        operation: &SetOperation,
        query: &Query,
        around: Around<'_>,
    ) -> Step<Option<Vec<Output>>> {
        let side = |operand: &SetOperand| match operand {
            SetOperand::Select(place) => match query.selects.get(*place) {
                Some(select) => self.check_select(select, around),
                None => Ok(None),
            },
            SetOperand::Operation(operation) => self.check_operation(operation, query, around),
        };
        let (left, right) = (side(&operation.left)?, side(&operation.right)?);
        let (Some(left), Some(right)) = (left, right) else { return Ok(None) };
        let name = operation.name;
        if left.len() != right.len() {
            return refuse("42601", format!("each {name} query must have the same number of columns"));
        }
        let columns = left.into_iter().zip(right).map(|(left, right)| {
            let value = self.common_value(name, &[left.value, right.value])?;
            if let Some(data_type) = value.known().filter(|_| !operation.all) {
                self.need_operator(data_type, "an equality")?;
            }
            Ok(Output { name: left.name, value })
        });
        columns.collect::<Step<Vec<_>>>().map(Some)
    }

    /// One type for what several queries or rows give in one column (`select_common_type`).
    fn common_value(&self, word: &str, values: &[Typed]) -> Step<Typed> {
        let mut types = Vec::new();
        for value in values {
            match value {
                Typed::Known(data_type) => types.push(data_type),
                Typed::Literal(_) => {}
                Typed::Row(_) | Typed::Open => return Ok(Typed::Open),
            }
        }
        let Some(first) = types.first() else { return Ok(Typed::Known(DataType::named("text"))) };
        let bare = |data_type: &DataType| DataType { modifiers: Vec::new(), fields: None, ..data_type.clone() };
        let found = if types.iter().all(|other| other == first) && types.len() == values.len() {
            (*first).clone()
        } else if types.iter().all(|other| bare(other) == bare(first)) {
            bare(first)
        } else {
            let read = |value: &Typed| match value {
                Typed::Known(data_type) => typing::value_of(self.catalog(), data_type),
                _ => Value::Literal,
            };
            let values: Vec<(&str, Value)> = values.iter().map(|value| (word, read(value))).collect();
            match self.scope_of(Columns::Unknown, Place::Query).common(word, &values) {
                Ok(Value::Known(data_type)) => data_type,
                Ok(_) => return Ok(Typed::Open),
                Err((sqlstate, message)) => return refuse(sqlstate, message),
            }
        };
        if let Value::Known(own) = typing::value_of(self.catalog(), &found) {
            for value in values {
                if let Typed::Literal(Some(text)) = value
                    && let Some((sqlstate, message)) = crate::literal::mistake_in(text, &own)
                {
                    return refuse(sqlstate, message);
                }
            }
        }
        Ok(Typed::Known(found))
    }

    /// `transformValuesClause`: rows of one length, and one type for each column.
    pub(super) fn check_values(&self, select: &Select, around: Around<'_>) -> Step<Option<Vec<Output>>> {
        let level = Level::default();
        let Some(first) = select.rows.first() else { return Ok(None) };
        for row in &select.rows {
            for value in row {
                self.check_value(&value.node, &level, around)?;
                self.refuse_aggregates(&value.node, "VALUES", &level, around)?;
            }
            if row.len() != first.len() {
                return refuse("42601", "VALUES lists must all be the same length");
            }
        }
        let mut columns = Vec::new();
        for place in 0..first.len() {
            let values: Vec<Typed> = select
                .rows
                .iter()
                .filter_map(|row| row.get(place))
                .map(|value| self.typed_as(&value.node, &level, around))
                .collect();
            let value = match values.as_slice() {
                [only] => only.clone(),
                values => self.common_value("VALUES", values)?,
            };
            columns.push(Output { name: Some(Ident::new(format!("column{}", place + 1))), value });
        }
        Ok(Some(columns))
    }
}

/// `resolveTargetListUnknowns` of what a query inside another one gives.
pub(super) fn settled(columns: Option<Vec<Output>>) -> Option<Vec<Output>> {
    let settle = |column: Output| Output { value: column.value.settled(), ..column };
    Some(columns?.into_iter().map(settle).collect())
}

/// What a star stands for; `None` where that is not known. A column that USING merges stands once, and first.
fn columns_of_star(qualifier: Option<&Ident>, levels: &[&Level]) -> Option<Vec<Output>> {
    if let Some(qualifier) = qualifier {
        let (up, place) = find_source(qualifier, levels).ok()??;
        return levels[up].sources[place].columns.clone();
    }
    let level = levels.first()?;
    let mut columns = Vec::new();
    if level.natural || !level.merged.is_empty() {
        let [left, right] = level.sources.as_slice() else { return None };
        if level.natural {
            return None;
        }
        for name in &level.merged {
            let (left, right) = (left.type_of(name), right.type_of(name));
            let value = left.filter(|left| right.as_ref() == Some(left)).map_or(Typed::Open, Typed::Known);
            columns.push(Output { name: Some(name.clone()), value });
        }
        for source in [left, right] {
            let rest = source.columns.as_ref()?.iter();
            columns.extend(rest.filter(|column| !level.merged.iter().any(|name| column.is(name))).cloned());
        }
        return Some(columns);
    }
    for source in level.sources.iter().filter(|source| !source.by_name && !source.hidden) {
        columns.extend(source.columns.clone()?);
    }
    Some(columns)
}

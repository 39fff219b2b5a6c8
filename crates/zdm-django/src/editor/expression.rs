//! Query expressions as SQL: conditions (`Q`), columns (`F`), values, functions, index expressions.
//!
//! Columns stand unqualified, as Django compiles them for constraints and indexes. What is not known here is an error
//! with the reason, never a guess.
//!
//! Source: `django.db.models.sql.query` (`build_where`), `lookups`, `expressions`, `functions`.

use std::sync::Arc;

use super::Editor;
use super::literal::{self, Literal};
use super::naming::quote_name;
use super::statement::Fragments;
use crate::resolve::{Context, Reason, ResolvedField, Resolver};
use crate::state::ModelState;
use crate::value::{Call, Value};

/// No expression nests deeper.
const MAX_DEPTH: u8 = 40;

/// SQL with what is known of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Compiled {
    pub(super) sql: Fragments,
    pub(super) wildcard: bool,
    /// Django sends at least one value apart from the text.
    pub(super) has_params: bool,
    /// The field whose values it has, if it is a column or was given one.
    output: Option<Box<ResolvedField>>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    Column,
    Value,
    #[default]
    Other,
}

impl Compiled {
    fn text(text: impl Into<String>) -> Self {
        Self { sql: Fragments::text(text), ..Self::default() }
    }

    fn literal(literal: &Literal) -> Self {
        Self {
            sql: Fragments::text(literal.text()),
            wildcard: literal.is_wildcard(),
            has_params: *literal != Literal::Null,
            output: None,
            kind: Kind::Value,
        }
    }

    fn push(&mut self, text: &str) {
        self.sql.push(text);
    }

    fn append(&mut self, other: Self) {
        self.sql.append(other.sql);
        self.wildcard |= other.wildcard;
        self.has_params |= other.has_params;
    }

    fn wrapped(self, before: &str, after: &str) -> Self {
        let mut result = Self { output: self.output.clone(), ..Self::default() };
        result.push(before);
        result.append(self);
        result.push(after);
        result
    }

    fn joined(parts: Vec<Self>, separator: &str) -> Self {
        let mut result = Self::default();
        for (index, part) in parts.into_iter().enumerate() {
            if index > 0 {
                result.push(separator);
            }
            result.append(part);
        }
        result
    }

    pub(super) fn is_column(&self) -> bool {
        self.kind == Kind::Column
    }
}

/// Compiles expressions over one model's fields.
#[derive(Clone, Copy)]
pub(super) struct Compiler<'c> {
    pub(super) resolver: Resolver<'c>,
    pub(super) model: &'c ModelState,
    pub(super) context: &'c Context,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Connector {
    And,
    Or,
}

/// A `Q`, or the WHERE node that it becomes.
#[derive(Clone)]
struct Node<T> {
    connector: Connector,
    negated: bool,
    children: Vec<Child<T>>,
}

#[derive(Clone)]
enum Child<T> {
    Leaf(T),
    Node(Node<T>),
}

impl<T> Node<T> {
    fn new(connector: Connector) -> Self {
        Self { connector, negated: false, children: Vec::new() }
    }

    /// `Node.add()` with a connector that is the node's own: what does not change the meaning is flattened.
    fn add(&mut self, child: Child<T>) {
        match child {
            Child::Node(node) if !node.negated && (node.connector == self.connector || node.children.len() == 1) => {
                self.children.extend(node.children);
            }
            child => self.children.push(child),
        }
    }
}

/// A leaf of a `Q`.
#[derive(Clone)]
enum Condition {
    Lookup(Arc<str>, Value),
    Expression(Value),
}

impl Compiler<'_> {
    /// The condition of a constraint or a partial index.
    pub(super) fn condition(&self, value: &Value) -> Result<Compiled, Reason> {
        let q = self.parse_q(value, 0)?;
        let node = self.where_node(&q, false, 0)?;
        where_sql(node).ok_or_else(|| "an empty condition".to_owned())
    }

    fn parse_q(&self, value: &Value, depth: u8) -> Result<Node<Condition>, Reason> {
        if depth > MAX_DEPTH {
            return Err("the condition is nested too deeply".to_owned());
        }
        let Value::Call(call) = value else {
            return Err("the condition is not known".to_owned());
        };
        match call.name() {
            "Q" => self.parse_q_call(call, depth),
            "and_" | "or_" => {
                let connector = if call.name() == "and_" { Connector::And } else { Connector::Or };
                let [left, right] = call.args.as_slice() else { return Err("the condition is not known".to_owned()) };
                let (left, right) = (self.parse_q(left, depth + 1)?, self.parse_q(right, depth + 1)?);
                if left.children.is_empty() {
                    return Ok(right);
                }
                if right.children.is_empty() {
                    return Ok(left);
                }
                let mut node = Node::new(connector);
                node.add(Child::Node(left));
                node.add(Child::Node(right));
                Ok(node)
            }
            "invert" | "__invert__" => {
                let [inner] = call.args.as_slice() else { return Err("the condition is not known".to_owned()) };
                let inner = self.parse_q(inner, depth + 1)?;
                if self.context.version.at_least(4, 2) {
                    Ok(Node { negated: !inner.negated, ..inner })
                } else {
                    let mut node = Node::new(Connector::And);
                    node.add(Child::Node(inner));
                    node.negated = true;
                    Ok(node)
                }
            }
            // A conditional expression stands for itself.
            _ => Ok(Node {
                children: vec![Child::Leaf(Condition::Expression(value.clone()))],
                ..Node::new(Connector::And)
            }),
        }
    }

    fn parse_q_call(&self, call: &Call, depth: u8) -> Result<Node<Condition>, Reason> {
        let mut node = Node::new(Connector::And);
        let mut keywords: Vec<(&Arc<str>, &Value)> = Vec::new();
        for (name, value) in &call.kwargs {
            match (&**name, value) {
                ("_connector", Value::Str(connector)) => {
                    node.connector = match &**connector {
                        "AND" => Connector::And,
                        "OR" => Connector::Or,
                        _ => return Err(format!("conditions joined by {connector} are not read")),
                    };
                }
                ("_connector", Value::Symbol(path)) if path.ends_with(".OR") => node.connector = Connector::Or,
                ("_connector", Value::None) => {}
                ("_negated", Value::Bool(negated)) => node.negated = *negated,
                _ => keywords.push((name, value)),
            }
        }
        for arg in &call.args {
            node.children.push(match arg {
                Value::Tuple(pair) | Value::List(pair) => match &**pair {
                    [Value::Str(name), value] => Child::Leaf(Condition::Lookup(name.clone(), value.clone())),
                    _ => return Err("the condition is not known".to_owned()),
                },
                Value::Call(inner) if matches!(inner.name(), "Q" | "and_" | "or_" | "invert") => {
                    Child::Node(self.parse_q(arg, depth + 1)?)
                }
                Value::Call(_) => Child::Leaf(Condition::Expression(arg.clone())),
                _ => return Err("the condition is not known".to_owned()),
            });
        }
        keywords.sort_by(|left, right| left.0.cmp(right.0));
        node.children.extend(
            keywords.into_iter().map(|(name, value)| Child::Leaf(Condition::Lookup(name.clone(), value.clone()))),
        );
        Ok(node)
    }

    /// `_add_q()`.
    fn where_node(&self, q: &Node<Condition>, negated: bool, depth: u8) -> Result<Node<Compiled>, Reason> {
        let negated = negated ^ q.negated;
        let mut node = Node { negated: q.negated, ..Node::new(q.connector) };
        for child in &q.children {
            match child {
                Child::Node(inner) => node.add(Child::Node(self.where_node(inner, negated, depth + 1)?)),
                Child::Leaf(Condition::Lookup(name, value)) => {
                    node.add(Child::Node(self.lookup(name, value, negated, depth)?));
                }
                Child::Leaf(Condition::Expression(value)) => {
                    let compiled = self.expression(value, depth + 1)?;
                    let mut leaf = Node::new(Connector::And);
                    leaf.children.push(Child::Leaf(compiled));
                    node.add(Child::Node(leaf));
                }
            }
        }
        Ok(node)
    }

    /// One keyword of a `Q`: `price__gte=0`.
    fn lookup(&self, name: &str, value: &Value, negated: bool, depth: u8) -> Result<Node<Compiled>, Reason> {
        let mut parts = name.split("__");
        let field = self.resolver.field(self.model, parts.next().unwrap_or_default())?;
        let mut names: Vec<&str> = parts.collect();
        let lookup = match names.last() {
            Some(last) if is_lookup(last) => names.pop().unwrap_or("exact"),
            _ => "exact",
        };
        // The key of a foreign key's target is the foreign key itself.
        if let (Some(relation), Some(first)) = (field.foreign_key(), names.first())
            && (*first == "pk" || relation.field.as_deref() == Some(*first))
        {
            names.remove(0);
        }
        let mut left = column(&field)?;
        for name in names {
            left = transform(left, name, &field)?;
        }
        let plain_column = left.is_column();
        let mut node = Node::new(Connector::And);
        let is_null = |truth: bool| {
            let mut sql = left.clone();
            sql.push(if truth { " IS NULL" } else { " IS NOT NULL" });
            sql
        };
        let null_lookup = matches!(lookup, "exact" | "iexact") && *value == Value::None;
        if lookup == "isnull" || null_lookup {
            let truth = null_lookup || value.as_bool().ok_or("an `isnull` without a constant")?;
            node.children.push(Child::Leaf(is_null(truth)));
            return Ok(node);
        }
        let not_null = is_null(false);
        let right_column = match value {
            Value::Call(call) if call.name() == "F" => {
                let name = call.args.first().and_then(Value::as_str).unwrap_or_default();
                self.resolver.field(self.model, name).ok()
            }
            _ => None,
        };
        node.children.push(Child::Leaf(self.comparison(left, lookup, value, &field, depth)?));
        if negated {
            if field.null && plain_column {
                node.children.push(Child::Leaf(not_null));
            }
            if let Some(right) = right_column.filter(|right| right.null) {
                let mut sql = column(&right)?;
                sql.push(" IS NOT NULL");
                node.children.push(Child::Leaf(sql));
            }
        }
        Ok(node)
    }

    fn comparison(
        &self,
        left: Compiled,
        lookup: &str,
        value: &Value,
        field: &ResolvedField,
        depth: u8,
    ) -> Result<Compiled, Reason> {
        let unsupported = || format!("the lookup `{lookup}` on `{}` is not read", field.name());
        let special = matches!(&*field.value_type, "JSONField" | "ArrayField" | "HStoreField" | "SearchVectorField")
            || field.value_type.ends_with("RangeField");
        let mut sql = left.clone();
        match lookup {
            "exact" | "gt" | "gte" | "lt" | "lte" => {
                if lookup == "exact"
                    && let Value::Bool(truth) = value
                    && matches!(&*field.value_type, "BooleanField" | "NullBooleanField")
                    && left.is_column()
                {
                    return Ok(if *truth { left } else { left.wrapped("NOT ", "") });
                }
                if special && !matches!(value, Value::Call(_)) && lookup != "exact" {
                    return Err(unsupported());
                }
                let operator = match lookup {
                    "exact" => "=",
                    "gt" => ">",
                    "gte" => ">=",
                    "lt" => "<",
                    _ => "<=",
                };
                // Integer columns are compared with what a fraction is rounded to.
                let rounded = match value {
                    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
                    Value::Float(number) if number.abs() < 1e15 && field.value_type.ends_with("IntegerField") => {
                        match lookup {
                            "gte" | "lt" => Value::Int(number.ceil() as i128),
                            _ => value.clone(),
                        }
                    }
                    value => value.clone(),
                };
                sql.kind = Kind::Other;
                sql.push(&format!(" {operator} "));
                sql.append(self.right_side(&rounded, field, depth)?);
            }
            "in" if !special => {
                let items = value.items().ok_or_else(unsupported)?;
                let mut seen: Vec<&Value> = Vec::new();
                for item in items {
                    if *item != Value::None && !seen.contains(&item) {
                        seen.push(item);
                    }
                }
                if seen.is_empty() {
                    return Err("an `in` without values".to_owned());
                }
                if matches!(value, Value::Set(_)) && seen.len() > 1 {
                    return Err("an `in` over a set has no order".to_owned());
                }
                let mut parts = Vec::new();
                for item in seen {
                    parts.push(self.right_side(item, field, depth)?);
                }
                sql.kind = Kind::Other;
                sql.push(" IN (");
                sql.append(Compiled::joined(parts, ", "));
                sql.push(")");
            }
            "range" if !special => {
                let [low, high] = value.items().ok_or_else(unsupported)? else { return Err(unsupported()) };
                sql.kind = Kind::Other;
                sql.push(" BETWEEN ");
                sql.append(self.right_side(low, field, depth)?);
                sql.push(" AND ");
                sql.append(self.right_side(high, field, depth)?);
            }
            "contains" | "icontains" | "startswith" | "istartswith" | "endswith" | "iendswith" | "iexact" | "regex"
            | "iregex"
                if !special && !matches!(&*field.value_type, "GenericIPAddressField" | "IPAddressField") =>
            {
                let Value::Str(text) = value else { return Err(unsupported()) };
                let citext = field.value_type.starts_with("CI") && !self.context.version.at_least(5, 1);
                let cast = if citext { "::citext" } else { "::text" };
                let upper = matches!(lookup, "icontains" | "istartswith" | "iendswith" | "iexact");
                let left =
                    left.wrapped(if upper { "UPPER(" } else { "" }, &format!("{cast}{}", if upper { ")" } else { "" }));
                let escaped = || text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
                let pattern = match lookup {
                    "contains" | "icontains" => format!("%{}%", escaped()),
                    "startswith" | "istartswith" => format!("{}%", escaped()),
                    "endswith" | "iendswith" => format!("%{}", escaped()),
                    _ => text.to_string(),
                };
                let right = self.string(&pattern);
                let (operator, right) = match lookup {
                    "regex" => ("~", right),
                    "iregex" => ("~*", right),
                    "iexact" => ("=", right.wrapped("UPPER(", ")")),
                    _ if upper => ("LIKE", right.wrapped("UPPER(", ")")),
                    _ => ("LIKE", right),
                };
                sql = left;
                sql.push(&format!(" {operator} "));
                sql.append(right);
            }
            _ => return Err(unsupported()),
        }
        sql.output = None;
        Ok(sql)
    }

    /// A string as Django quotes it in conditions and index expressions: up to 4.2 it doubles percent signs.
    fn string(&self, text: &str) -> Compiled {
        // 3.2 doubles them in every literal.
        let doubles = self.context.version.at_least(4, 0) && !self.context.version.at_least(5, 0);
        let doubled = if doubles { text.replace('%', "%%") } else { text.to_owned() };
        Compiled::literal(&Literal::Known(literal::quoted(&doubled, self.context)))
    }

    fn right_side(&self, value: &Value, field: &ResolvedField, depth: u8) -> Result<Compiled, Reason> {
        if let Value::Call(call) = value
            && is_expression(call)
        {
            let compiled = self.expression(value, depth + 1)?;
            let bare = compiled.kind == Kind::Value && self.context.version.at_least(5, 0);
            let wrapped = self.context.version.at_least(4, 0) && !bare && !compiled.sql.sql().starts_with('(');
            return Ok(if wrapped { compiled.wrapped("(", ")") } else { compiled });
        }
        let doubles = self.context.version.at_least(4, 0) && !self.context.version.at_least(5, 0);
        Ok(Compiled::literal(&match literal::prepared(field, value, self.context) {
            Literal::Known(text) if doubles => Literal::Known(text.replace('%', "%%")),
            literal => literal,
        }))
    }

    /// Any expression.
    pub(super) fn expression(&self, value: &Value, depth: u8) -> Result<Compiled, Reason> {
        if depth > MAX_DEPTH {
            return Err("the expression is nested too deeply".to_owned());
        }
        let call = match value {
            Value::Call(call) => call,
            Value::Unknown(reason) => return Err(format!("an expression is not known: {reason}")),
            Value::Setting(name) => return Err(format!("the setting `{name}` is not known")),
            Value::Symbol(path) => return Err(format!("`{path}` is not known")),
            Value::Str(text) => return Ok(self.string(text)),
            value => return Ok(Compiled::literal(&literal::plain(value, self.context))),
        };
        let argument =
            |index: usize| call.args.get(index).ok_or_else(|| format!("`{}` lacks an argument", call.name()));
        // A string names a field where an expression is expected.
        let operand = |value: &Value| match value {
            Value::Str(name) => self.field_reference(name),
            value => self.expression(value, depth + 1),
        };
        let operands = || call.args.iter().map(operand).collect::<Result<Vec<_>, _>>();
        match call.name() {
            "F" => {
                let name = argument(0)?.as_str().ok_or("the name in `F` is not known")?;
                self.field_reference(name)
            }
            "Value" => {
                let value = call.args.first().or_else(|| call.kwarg("value")).ok_or("`Value` lacks an argument")?;
                match call.kwarg("output_field").or_else(|| call.args.get(1)) {
                    Some(output) => {
                        let output = self.output_field(output)?;
                        Ok(Compiled::literal(&literal::prepared(&output, value, self.context)))
                    }
                    None => match value {
                        Value::Str(text) => Ok(self.string(text)),
                        value => Ok(Compiled::literal(&literal::plain(value, self.context))),
                    },
                }
            }
            "Q" | "and_" | "or_" | "invert" => self.condition(value),
            "add" | "sub" | "mul" | "truediv" => {
                let (left, right) = (self.operand(argument(0)?, depth)?, self.operand(argument(1)?, depth)?);
                let operator = match call.name() {
                    "add" => "+",
                    "sub" => "-",
                    "mul" => "*",
                    _ => "/",
                };
                let temporal = |compiled: &Compiled| {
                    compiled.output.as_ref().is_some_and(|field| {
                        matches!(&*field.value_type, "DateField" | "DateTimeField" | "TimeField" | "DurationField")
                    })
                };
                if temporal(&left) || temporal(&right) {
                    return Err("arithmetic with dates is not read".to_owned());
                }
                let mut sql = left;
                sql.kind = Kind::Other;
                sql.push(&format!(" {operator} "));
                sql.append(right);
                Ok(sql.wrapped("(", ")"))
            }
            "ExpressionWrapper" => {
                let inner = call
                    .args
                    .first()
                    .or_else(|| call.kwarg("expression"))
                    .ok_or("`ExpressionWrapper` lacks an argument")?;
                operand(inner)
            }
            "Lower" => Ok(function("LOWER", operands()?)),
            "Upper" => Ok(function("UPPER", operands()?)),
            "Length" => Ok(function("LENGTH", operands()?)),
            "Trim" => Ok(function("BTRIM", operands()?)),
            "LTrim" => Ok(function("LTRIM", operands()?)),
            "RTrim" => Ok(function("RTRIM", operands()?)),
            "Coalesce" => Ok(function("COALESCE", operands()?)),
            "Greatest" => Ok(function("GREATEST", operands()?)),
            "Least" => Ok(function("LEAST", operands()?)),
            "NullIf" => Ok(function("NULLIF", operands()?)),
            "Abs" => Ok(function("ABS", operands()?)),
            "MD5" => Ok(function("MD5", operands()?)),
            "Now" => Ok(Compiled::text("STATEMENT_TIMESTAMP()")),
            "TransactionNow" => Ok(Compiled::text("CURRENT_TIMESTAMP")),
            "RandomUUID" => Ok(Compiled::text("GEN_RANDOM_UUID()")),
            "Pi" => Ok(Compiled::text("PI()")),
            "Random" => Ok(Compiled::text("RANDOM()")),
            "Cast" => {
                let output = call.args.get(1).or_else(|| call.kwarg("output_field")).ok_or("`Cast` lacks a type")?;
                let output = self.output_field(output)?;
                let db_type = output.db_type.clone().ok_or("`Cast` lacks a type")?;
                let inner = operand(argument(0)?)?;
                let mut result = inner.wrapped("(", &format!(")::{db_type}"));
                result.output = Some(Box::new(output));
                Ok(result)
            }
            "OrderBy" | "desc" | "asc" => {
                let descending = call.name() == "desc"
                    || call.name() == "OrderBy" && call.kwarg("descending").and_then(Value::as_bool) == Some(true);
                let mut sql =
                    operand(call.args.first().or_else(|| call.kwarg("expression")).ok_or("an empty ordering")?)?;
                sql.kind = Kind::Other;
                sql.push(if descending { " DESC" } else { " ASC" });
                if call.kwarg("nulls_first").and_then(Value::as_bool) == Some(true) {
                    sql.push(" NULLS FIRST");
                } else if call.kwarg("nulls_last").and_then(Value::as_bool) == Some(true) {
                    sql.push(" NULLS LAST");
                }
                Ok(sql)
            }
            "Collate" => {
                let collation = call.args.get(1).or_else(|| call.kwarg("collation")).and_then(Value::as_str);
                let collation = collation.ok_or("the collation is not known")?;
                let mut sql = operand(argument(0)?)?;
                sql.kind = Kind::Other;
                sql.push(&format!(" COLLATE {}", quote_name(collation)));
                Ok(sql)
            }
            name if is_lookup_class(name) => {
                let lookup = lookup_of_class(name);
                let left = operand(argument(0)?)?;
                let field = left.output.clone().ok_or_else(|| format!("`{name}` of an expression is not read"))?;
                if lookup == "isnull" {
                    let truth = argument(1)?.as_bool().ok_or("an `IsNull` without a constant")?;
                    let mut sql = left;
                    sql.kind = Kind::Other;
                    sql.push(if truth { " IS NULL" } else { " IS NOT NULL" });
                    return Ok(sql);
                }
                self.comparison(left, lookup, argument(1)?, &field, depth)
            }
            name => Err(format!("the expression `{name}` is not read")),
        }
    }

    /// An operand of an arithmetic operator: Python constants are values.
    fn operand(&self, value: &Value, depth: u8) -> Result<Compiled, Reason> {
        match value {
            Value::Str(text) => Ok(self.string(text)),
            value => self.expression(value, depth + 1),
        }
    }

    fn field_reference(&self, name: &str) -> Result<Compiled, Reason> {
        let mut parts = name.split("__");
        let field = self.resolver.field(self.model, parts.next().unwrap_or_default())?;
        let mut sql = column(&field)?;
        for part in parts {
            sql = transform(sql, part, &field)?;
        }
        Ok(sql)
    }

    fn output_field(&self, value: &Value) -> Result<ResolvedField, Reason> {
        let field = crate::resolve::field_from_value("output_field", value).ok_or("an `output_field` is not known")?;
        self.resolver.field_of(self.model, &field)
    }

    /// An element of an index on expressions: what is no column stands in parentheses, orderings and collations outside
    /// of them.
    pub(super) fn index_element(&self, value: &Value, depth: u8) -> Result<Compiled, Reason> {
        let wrapper = match value {
            Value::Str(name) => return self.field_reference(name),
            Value::Call(call) => {
                Some(call).filter(|call| matches!(call.name(), "OrderBy" | "desc" | "asc" | "Collate" | "OpClass"))
            }
            _ => None,
        };
        let Some(call) = wrapper else {
            let compiled = self.expression(value, depth)?;
            return Ok(if compiled.is_column() { compiled } else { compiled.wrapped("(", ")") });
        };
        if depth > MAX_DEPTH {
            return Err("the expression is nested too deeply".to_owned());
        }
        let inner = call.args.first().or_else(|| call.kwarg("expression")).ok_or("an empty index expression")?;
        let mut sql = self.index_element(inner, depth + 1)?;
        sql.kind = Kind::Other;
        match call.name() {
            "OpClass" => {
                let name = call.args.get(1).or_else(|| call.kwarg("name")).and_then(Value::as_str);
                sql.push(&format!(" {}", name.ok_or("the operator class is not known")?));
            }
            "Collate" => {
                let collation = call.args.get(1).or_else(|| call.kwarg("collation")).and_then(Value::as_str);
                sql.push(&format!(" COLLATE {}", quote_name(collation.ok_or("the collation is not known")?)));
            }
            name => {
                let flag = |name: &str| call.kwarg(name).and_then(Value::as_bool) == Some(true);
                sql.push(if name == "desc" || flag("descending") { " DESC" } else { " ASC" });
                if flag("nulls_first") {
                    sql.push(" NULLS FIRST");
                } else if flag("nulls_last") {
                    sql.push(" NULLS LAST");
                }
            }
        }
        Ok(sql)
    }
}

fn function(name: &str, operands: Vec<Compiled>) -> Compiled {
    Compiled::joined(operands, ", ").wrapped(&format!("{name}("), ")")
}

fn is_expression(call: &Call) -> bool {
    !matches!(call.name(), "Decimal" | "date" | "datetime" | "time" | "timedelta" | "UUID")
}

fn is_lookup(name: &str) -> bool {
    matches!(
        name,
        "exact"
            | "iexact"
            | "gt"
            | "gte"
            | "lt"
            | "lte"
            | "in"
            | "isnull"
            | "range"
            | "contains"
            | "icontains"
            | "startswith"
            | "istartswith"
            | "endswith"
            | "iendswith"
            | "regex"
            | "iregex"
    )
}

fn is_lookup_class(name: &str) -> bool {
    matches!(name, "Exact" | "GreaterThan" | "GreaterThanOrEqual" | "LessThan" | "LessThanOrEqual" | "IsNull" | "In")
}

fn lookup_of_class(name: &str) -> &'static str {
    match name {
        "Exact" => "exact",
        "GreaterThan" => "gt",
        "GreaterThanOrEqual" => "gte",
        "LessThan" => "lt",
        "LessThanOrEqual" => "lte",
        "In" => "in",
        _ => "isnull",
    }
}

/// `WhereNode.as_sql()`.
fn where_sql(node: Node<Compiled>) -> Option<Compiled> {
    let mut parts = Vec::new();
    for child in node.children {
        match child {
            Child::Leaf(compiled) => parts.push(compiled),
            Child::Node(inner) => parts.extend(where_sql(inner)),
        }
    }
    let count = parts.len();
    if count == 0 {
        return None;
    }
    let joined = Compiled::joined(parts, if node.connector == Connector::And { " AND " } else { " OR " });
    Some(if node.negated {
        joined.wrapped("NOT (", ")")
    } else if count > 1 {
        joined.wrapped("(", ")")
    } else {
        joined
    })
}

impl Editor<'_> {
    pub(super) fn compiler<'c>(&'c self, resolver: Resolver<'c>, model: &'c ModelState) -> Compiler<'c> {
        Compiler { resolver, model, context: self.context }
    }

    /// What follows DEFAULT: its text, whether it holds a wildcard, whether Django sends a value apart.
    pub(super) fn db_default_sql(
        &self,
        resolver: Resolver<'_>,
        model: &ModelState,
        field: &ResolvedField,
        value: &Value,
    ) -> Result<(String, bool, bool), Reason> {
        let expression = match value {
            Value::Call(call) if is_expression(call) => call,
            value => {
                let literal = literal::prepared(field, value, self.context);
                return Ok((literal.text().to_owned(), literal.is_wildcard(), literal != Literal::Null));
            }
        };
        let compiler = self.compiler(resolver, model);
        let compiled = compiler.expression(value, 0)?;
        let sql = compiled.sql.sql();
        let sql = if expression.name() == "Value" { sql } else { format!("({sql})") };
        Ok((sql, compiled.wildcard, compiled.has_params))
    }

    /// `GENERATED ALWAYS AS (…) STORED`, and whether Django sends a value apart.
    pub(super) fn generated_sql(
        &self,
        resolver: Resolver<'_>,
        model: &ModelState,
        field: &ResolvedField,
    ) -> Result<(String, bool), Reason> {
        let expression = field.field.kwarg("expression").ok_or("a generated field without an expression")?;
        let stored = match field.field.kwarg("db_persist") {
            Some(Value::Bool(stored)) => *stored,
            _ => return Err(format!("`db_persist` of `{}` is not known", field.name())),
        };
        let compiler = self.compiler(resolver, model);
        let compiled = match expression {
            Value::Str(name) => compiler.field_reference(name)?,
            value => compiler.expression(value, 0)?,
        };
        if compiled.wildcard {
            return Err(format!("the expression of `{}` is not known", field.name()));
        }
        let storage = if stored { "STORED" } else { "VIRTUAL" };
        Ok((format!("GENERATED ALWAYS AS ({}) {storage}", compiled.sql.sql()), compiled.has_params))
    }
}

fn column(field: &ResolvedField) -> Result<Compiled, Reason> {
    if field.is_generated() || field.column.is_some() {
        let mut sql = Fragments::default();
        sql.column(field.column_name());
        return Ok(Compiled { sql, output: Some(Box::new(field.clone())), kind: Kind::Column, ..Compiled::default() });
    }
    Err(format!("`{}` has no column", field.name()))
}

fn transform(left: Compiled, name: &str, field: &ResolvedField) -> Result<Compiled, Reason> {
    match (name, &*field.value_type) {
        ("lower", "CharField" | "TextField" | "SlugField") => Ok(left.wrapped("LOWER(", ")")),
        ("upper", "CharField" | "TextField" | "SlugField") => Ok(left.wrapped("UPPER(", ")")),
        ("length", "CharField" | "TextField" | "SlugField") => Ok(left.wrapped("LENGTH(", ")")),
        _ => Err(format!("the transform `{name}` on `{}` is not read", field.name())),
    }
}

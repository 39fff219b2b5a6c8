//! Query expressions as SQL: conditions (`Q`), columns (`F`), values, functions, index expressions.
//!
//! Columns stand unqualified, as Django compiles them for constraints and indexes. What is not known here is an error
//! with the reason, never a guess.
//!
//! Source: `django.db.models.sql.query` (`build_where`), `lookups`, `expressions`, `functions`.

use std::sync::Arc;

use super::Editor;
use super::literal::{self, By, Literal};
use super::naming::quote_name;
use super::statement::Fragments;
use crate::resolve::{Context, Driver, Reason, ResolvedField, Resolver};
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
    /// Without an `output`: its values are known to be text.
    text: bool,
    /// A condition that Django knows to hold always or never (`FullResultSet`, `EmptyResultSet`); there is no SQL of it.
    constant: Option<bool>,
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
            kind: Kind::Value,
            ..Self::default()
        }
    }

    fn constant(truth: bool) -> Self {
        Self { constant: Some(truth), ..Self::default() }
    }

    /// Its values are text.
    fn giving_text(self) -> Self {
        Self { text: true, output: None, ..self }
    }

    /// Whether its values are text, where that is known.
    fn is_text(&self) -> Option<bool> {
        match &self.output {
            Some(field) => Some(is_text_type(&field.value_type)),
            None => self.text.then_some(true),
        }
    }

    fn value_type(&self) -> &str {
        self.output.as_ref().map_or("", |field| &field.value_type)
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
    /// How the values of the expression get into the statement.
    pub(super) by: By,
    pub(super) context: &'c Context,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Connector {
    And,
    Or,
    /// Since 4.1.
    Xor,
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
        let compiled = where_sql(node, self.context).ok_or_else(|| "an empty condition".to_owned())?;
        match compiled.constant {
            None => Ok(compiled),
            Some(true) => Err("Django refuses a condition that always holds".to_owned()),
            Some(false) => Err("Django refuses a condition that never holds".to_owned()),
        }
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
            "and_" | "or_" | "xor" => {
                let connector = match call.name() {
                    "and_" => Connector::And,
                    "or_" => Connector::Or,
                    _ => Connector::Xor,
                };
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
                        "XOR" => Connector::Xor,
                        _ => return Err(format!("conditions joined by {connector} are not read")),
                    };
                }
                ("_connector", Value::Symbol(path)) if path.ends_with(".OR") => node.connector = Connector::Or,
                ("_connector", Value::Symbol(path)) if path.ends_with(".XOR") => node.connector = Connector::Xor,
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
                Value::Call(inner) if matches!(inner.name(), "Q" | "and_" | "or_" | "xor" | "invert") => {
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
        if let [part @ ("year" | "iso_year")] = names.as_slice()
            && matches!(&*field.value_type, "DateField" | "DateTimeField")
            && let Some(compiled) = self.year(&field, part, lookup, value)?
        {
            let mut node = Node::new(Connector::And);
            node.children.push(Child::Leaf(compiled));
            if negated && field.null {
                node.children.push(Child::Leaf(column(&field)?.wrapped("", " IS NOT NULL")));
            }
            return Ok(node);
        }
        let (left, lookup_field) = self.transformed(&field, &names, lookup)?;
        let not_null = column(&field)?.wrapped("", " IS NOT NULL");
        let mut node = Node::new(Connector::And);
        let is_null = |truth: bool| {
            let mut sql = left.clone();
            sql.push(if truth { " IS NULL" } else { " IS NOT NULL" });
            sql
        };
        let null_lookup = matches!(lookup, "exact" | "iexact") && *value == Value::None;
        if null_lookup && &*field.value_type == "JSONField" {
            // JSON has a null of its own, which `None` means here.
            return Err(format!("`None` compared with `{}` is not read", field.name()));
        }
        if lookup == "isnull" || null_lookup {
            let truth = null_lookup || value.as_bool().ok_or("an `isnull` without a constant")?;
            node.children.push(Child::Leaf(is_null(truth)));
            return Ok(node);
        }
        let right_column = match value {
            Value::Call(call) if call.name() == "F" => {
                let name = call.args.first().and_then(Value::as_str).unwrap_or_default();
                self.resolver.field(self.model, name).ok()
            }
            _ => None,
        };
        node.children.push(Child::Leaf(self.comparison(left, lookup, value, &lookup_field, depth)?));
        if negated {
            if field.null {
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

    /// A year compared with a number is a comparison with its first and last moment; None where Django extracts it.
    fn year(&self, field: &ResolvedField, part: &str, lookup: &str, value: &Value) -> Result<Option<Compiled>, Reason> {
        let year = match value {
            Value::Int(year) => *year,
            Value::Call(_) => return Ok(None),
            _ => return Err(format!("the year compared with `{}` is not known", field.name())),
        };
        if part == "iso_year" {
            return Err(format!("the transform `iso_year` on `{}` is not read", field.name()));
        }
        let int = Value::Int;
        let bound = |first: bool| {
            let (month, day) = if first { (1, 1) } else { (12, 31) };
            let mut args = vec![int(year), int(month), int(day)];
            if &*field.value_type == "DateTimeField" && !first {
                args.extend([int(23), int(59), int(59), int(999_999)]);
            }
            let class = if &*field.value_type == "DateField" { "date" } else { "datetime" };
            let call = Call {
                callee: Arc::from(format!("datetime.{class}")),
                args,
                kwargs: Vec::new(),
                span: zdm_source::Span::default(),
            };
            Compiled::literal(&literal::prepared(field, &Value::Call(Arc::new(call)), self.by, self.context))
        };
        let left = column(field)?;
        let compared = |operator: &str, right: Compiled| Compiled::joined(vec![left.clone(), right], operator);
        Ok(Some(match lookup {
            "exact" => compared(" BETWEEN ", Compiled::joined(vec![bound(true), bound(false)], " AND ")),
            "gt" => compared(" > ", bound(false)),
            "gte" => compared(" >= ", bound(true)),
            "lt" => compared(" < ", bound(true)),
            "lte" => compared(" <= ", bound(false)),
            _ => return Ok(None),
        }))
    }

    /// A column behind its transforms, and the field whose values come out.
    fn transformed(
        &self,
        field: &ResolvedField,
        names: &[&str],
        lookup: &str,
    ) -> Result<(Compiled, ResolvedField), Reason> {
        let left = column(field)?;
        if names.is_empty() {
            return Ok((left, field.clone()));
        }
        let typed = |class: &str, db_type: &str| ResolvedField {
            value_type: Arc::from(class),
            internal_type: Arc::from(class),
            db_type: Some(Arc::from(db_type)),
            ..field.clone()
        };
        match (&*field.value_type, names) {
            ("JSONField", keys) => Ok((self.json_key(left, keys, lookup)?, field.clone())),
            ("ArrayField", ["len"]) => {
                let length = left.clone().wrapped("coalesce(array_length(", ", 1), 0)");
                let guard = left.wrapped("CASE WHEN ", " IS NULL THEN NULL ELSE ");
                Ok((Compiled::joined(vec![guard, length], "").wrapped("", " END"), typed("IntegerField", "integer")))
            }
            ("ArrayField", [index]) if index.parse::<u32>().is_ok_and(|index| index < 1_000_000) => {
                let base = field.base.as_deref().ok_or("an array without a base field")?;
                let position = index.parse::<u32>().unwrap_or_default().saturating_add(1);
                let mut base = base.clone();
                base.field.name = field.field.name.clone();
                let left =
                    if self.context.version.at_least(4, 2) { left.wrapped("(", ")") } else { left.wrapped("", "") };
                Ok((left.wrapped("", &format!("[{position}]")), base))
            }
            ("DateField" | "DateTimeField", [part]) => {
                let zoned = self.zoned(left)?;
                match *part {
                    "date" if &*field.value_type == "DateTimeField" => {
                        Ok((zoned.wrapped("(", ")::date"), typed("DateField", "date")))
                    }
                    _ => {
                        let unit = extract_unit(part)
                            .ok_or_else(|| format!("the transform `{part}` on `{}` is not read", field.name()))?;
                        Ok((self.extract(zoned, part, unit), typed("IntegerField", "integer")))
                    }
                }
            }
            _ => {
                let mut left = left;
                for name in names {
                    left = transform(left, name, field)?;
                }
                Ok((left, field.clone()))
            }
        }
    }

    /// `KeyTransform`: one key by `->`, several by `#>`; text lookups take the value as text.
    fn json_key(&self, left: Compiled, keys: &[&str], lookup: &str) -> Result<Compiled, Reason> {
        let text = matches!(
            lookup,
            "iexact" | "icontains" | "startswith" | "istartswith" | "endswith" | "iendswith" | "regex" | "iregex"
        );
        let mut sql = match keys {
            [key] => {
                let operator = if text { "->>" } else { "->" };
                let key = match key.parse::<i64>() {
                    Ok(number) if number >= 0 => Compiled::literal(&Literal::Known(number.to_string())),
                    _ => self.string(key),
                };
                Compiled::joined(vec![left, key], &format!(" {operator} "))
            }
            keys => {
                let path = self.text_array(keys)?;
                let operator = if text { "#>>" } else { "#>" };
                Compiled::joined(vec![left, path], &format!(" {operator} "))
            }
        };
        sql = sql.wrapped("(", ")");
        sql.text = text;
        Ok(sql)
    }

    /// A list of strings as the driver writes it.
    fn text_array<S: AsRef<str>>(&self, items: &[S]) -> Result<Compiled, Reason> {
        let plain = |text: &str| {
            !text.is_empty()
                && !text.eq_ignore_ascii_case("null")
                && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        };
        if self.context.driver == Driver::Psycopg2 && !items.is_empty() {
            let items: Vec<String> = items.iter().map(|item| literal::quoted(item.as_ref(), self.context)).collect();
            return Ok(Compiled::literal(&Literal::Known(format!("ARRAY[{}]", items.join(",")))));
        }
        if !items.iter().all(|item| plain(item.as_ref())) {
            return Err("a list of keys is not read".to_owned());
        }
        let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
        Ok(Compiled::literal(&Literal::Known(format!("'{{{}}}'", items.join(",")))))
    }

    /// A time stamp in the time zone of the settings; a date as it is.
    fn zoned(&self, operand: Compiled) -> Result<Compiled, Reason> {
        match operand.value_type() {
            "DateField" => Ok(operand),
            "DateTimeField" if self.context.use_tz => {
                let zone = self.string(&self.context.time_zone);
                Ok(Compiled::joined(vec![operand, zone], " AT TIME ZONE "))
            }
            "DateTimeField" => Ok(operand),
            _ => Err("a part of what is no date is not read".to_owned()),
        }
    }

    fn extract(&self, operand: Compiled, part: &str, unit: &str) -> Compiled {
        let mut sql = if self.context.version.at_least(4, 2) {
            operand.wrapped(&format!("EXTRACT({unit} FROM "), ")")
        } else {
            operand.wrapped(&format!("EXTRACT('{}' FROM ", unit.to_lowercase()), ")")
        };
        if part == "week_day" {
            sql.push(" + 1");
        }
        sql.output = None;
        sql
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
                if special
                    && !matches!(value, Value::Call(_))
                    && lookup != "exact"
                    && (&*field.value_type != "JSONField" || left.is_column())
                {
                    return Err(unsupported());
                }
                let operator = match lookup {
                    "exact" => "=",
                    "gt" => ">",
                    "gte" => ">=",
                    "lt" => "<",
                    _ => "<=",
                };
                if let Some(truth) = self.beyond_range(lookup, value, field) {
                    return Ok(Compiled::constant(truth));
                }
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
            "contains" | "contained_by" | "overlap" if &*field.value_type == "ArrayField" => {
                sql.kind = Kind::Other;
                sql.push(match lookup {
                    "contains" => " @> ",
                    "contained_by" => " <@ ",
                    _ => " && ",
                });
                sql.append(self.array_side(value, field, depth)?);
            }
            "in" if !special || &*field.value_type == "JSONField" && !left.is_column() => {
                let items = value.items().ok_or_else(unsupported)?;
                let mut seen: Vec<&Value> = Vec::new();
                for item in items {
                    if *item != Value::None && !seen.contains(&item) {
                        seen.push(item);
                    }
                }
                if seen.is_empty() {
                    return Ok(Compiled::constant(false));
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
                if (!special || left.text)
                    && !matches!(&*field.value_type, "GenericIPAddressField" | "IPAddressField") =>
            {
                let operand = match (value, lookup) {
                    (Value::Str(text), _) => Ok(text),
                    (Value::Call(call), "contains" | "startswith" | "endswith")
                        if is_expression(call) && self.context.version.at_least(5, 0) =>
                    {
                        Err(self.right_side(value, field, depth)?)
                    }
                    _ => return Err(unsupported()),
                };
                let text = match operand {
                    Ok(text) => text,
                    // `pattern_ops`: what the pattern's signs mean is taken from them by the server.
                    Err(right) => {
                        let plain = right
                            .wrapped("REPLACE(REPLACE(REPLACE(", r", E'\\', E'\\\\'), E'%', E'\\%'), E'_', E'\\_')");
                        let before = if lookup == "startswith" { "::text LIKE " } else { "::text LIKE '%' || " };
                        let after = if lookup == "endswith" { "" } else { " || '%'" };
                        return Ok(Compiled::joined(vec![left, plain.wrapped("", after)], before));
                    }
                };
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
            "has_key" if &*field.value_type == "JSONField" => {
                let key = value.as_str().ok_or_else(unsupported)?;
                sql.push(" ? ");
                sql.append(self.string(key));
            }
            "has_keys" | "has_any_keys" if &*field.value_type == "JSONField" => {
                let keys: Option<Vec<&str>> =
                    value.items().ok_or_else(unsupported)?.iter().map(Value::as_str).collect();
                sql.push(if lookup == "has_keys" { " ?& " } else { " ?| " });
                sql.append(self.text_array(&keys.ok_or_else(unsupported)?)?);
            }
            "contains" | "contained_by" if &*field.value_type == "JSONField" && !matches!(value, Value::Call(_)) => {
                sql.push(if lookup == "contains" { " @> " } else { " <@ " });
                sql.append(self.right_side(value, field, depth)?);
            }
            _ => return Err(unsupported()),
        }
        sql.kind = Kind::Other;
        sql.output = None;
        Ok(sql)
    }

    /// Whether a comparison with a number that the column cannot hold is always or never true (`IntegerFieldOverflow`).
    fn beyond_range(&self, lookup: &str, value: &Value, field: &ResolvedField) -> Option<bool> {
        if !self.context.version.at_least(5, 0) || field.relation.is_some() {
            return None;
        }
        let (small, normal, big) = (i128::from(i16::MAX), i128::from(i32::MAX), i128::from(i64::MAX));
        let (low, high) = match &*field.internal_type {
            "SmallIntegerField" | "SmallAutoField" => (-small - 1, small),
            "IntegerField" | "AutoField" => (-normal - 1, normal),
            "BigIntegerField" | "BigAutoField" => (-big - 1, big),
            "PositiveSmallIntegerField" => (0, small),
            "PositiveIntegerField" => (0, normal),
            "PositiveBigIntegerField" => (0, big),
            _ => return None,
        };
        let number = value.as_int()?;
        match lookup {
            _ if (low..=high).contains(&number) => None,
            "gt" | "gte" => Some(number < low),
            "lt" | "lte" => Some(number > high),
            _ => Some(false),
        }
    }

    /// The right side of a comparison of arrays, cast to the column's type.
    fn array_side(&self, value: &Value, field: &ResolvedField, depth: u8) -> Result<Compiled, Reason> {
        let unknown = || format!("the array compared with `{}` is not read", field.name());
        let db_type = field.db_type.as_deref().ok_or_else(unknown)?;
        let cast = format!("::{db_type}");
        let items = match value {
            Value::List(items) | Value::Tuple(items) if items.iter().any(|item| *item != Value::None) => items,
            Value::Call(_) => return Ok(self.right_side(value, field, depth)?.wrapped("", &cast)),
            _ => return Err(unknown()),
        };
        let base = field.base.as_deref().ok_or_else(unknown)?;
        let mut parts = Vec::new();
        for item in items.iter() {
            parts.push(match (item, &*base.value_type) {
                (Value::Call(call), _) if is_expression(call) => self.expression(item, depth + 1)?,
                (Value::Str(text), "CharField" | "TextField" | "SlugField") => self.string(text),
                (Value::Int(_), class) if class.ends_with("IntegerField") => {
                    Compiled::literal(&literal::plain(item, self.by, self.context))
                }
                _ => return Err(unknown()),
            });
        }
        let array = Compiled::joined(parts, ", ").wrapped("ARRAY[", "]");
        let array = if self.context.version.at_least(4, 0) { array.wrapped("(", ")") } else { array };
        Ok(array.wrapped("", &cast))
    }

    fn string(&self, text: &str) -> Compiled {
        Compiled::literal(&Literal::Known(literal::text(text, self.by, self.context))).giving_text()
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
        Ok(Compiled::literal(&literal::prepared(field, value, self.by, self.context)))
    }

    /// Any expression.
    pub(super) fn expression(&self, value: &Value, depth: u8) -> Result<Compiled, Reason> {
        if depth > MAX_DEPTH {
            return Err("the expression is nested too deeply".to_owned());
        }
        let call = match value {
            Value::Call(call) if is_expression(call) => call,
            Value::Unknown(reason) => return Err(format!("an expression is not known: {reason}")),
            Value::Setting(name) => return Err(format!("the setting `{name}` is not known")),
            Value::Symbol(path) => return Err(format!("`{path}` is not known")),
            Value::Str(text) => return Ok(self.string(text)),
            value => return Ok(Compiled::literal(&literal::plain(value, self.by, self.context))),
        };
        let argument =
            |index: usize| call.args.get(index).ok_or_else(|| format!("`{}` lacks an argument", call.name()));
        // A string names a field where an expression is expected.
        let operand = |value: &Value| match value {
            Value::Str(name) => self.field_reference(name),
            value => self.expression(value, depth + 1),
        };
        let operands = || call.args.iter().map(operand).collect::<Result<Vec<_>, _>>();
        let extra = call.kwargs.iter().any(|(name, _)| &**name != "output_field");
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
                        Ok(Compiled::literal(&literal::prepared(&output, value, self.by, self.context)))
                    }
                    None => match value {
                        Value::Str(text) => Ok(self.string(text)),
                        value => Ok(Compiled::literal(&literal::plain(value, self.by, self.context))),
                    },
                }
            }
            "Q" | "and_" | "or_" | "xor" | "invert" => self.condition(value),
            "add" | "sub" | "mul" | "truediv" | "mod" | "pow" | "bitand" | "bitor" | "bitxor" | "bitleftshift"
            | "bitrightshift" => {
                let connector = match call.name() {
                    "add" => "+",
                    "sub" => "-",
                    "mul" => "*",
                    "truediv" => "/",
                    "mod" => "%%",
                    "pow" => "^",
                    "bitand" => "&",
                    "bitor" => "|",
                    "bitxor" => "#",
                    "bitleftshift" => "<<",
                    _ => ">>",
                };
                self.combined(argument(0)?, connector, argument(1)?, depth)
            }
            "ExpressionWrapper" => {
                let inner = call
                    .args
                    .first()
                    .or_else(|| call.kwarg("expression"))
                    .ok_or("`ExpressionWrapper` lacks an argument")?;
                operand(inner)
            }
            "CombinedExpression" => {
                let [left, connector, right] = call.args.as_slice() else {
                    return Err("a `CombinedExpression` without three arguments".to_owned());
                };
                self.combined(left, connector.as_str().unwrap_or_default(), right, depth)
            }
            "neg" => self.combined(argument(0)?, "*", &Value::Int(-1), depth),
            "Func" => self.func(call, operands()?),
            "RawSQL" => self.raw_sql(call),
            "Case" => self.case(call, depth),
            "Concat" | "ConcatPair" => self.concat(operands()?),
            "Replace" if call.args.len() == 2 && call.kwargs.is_empty() => {
                let mut operands = operands()?;
                operands.push(self.string(""));
                Ok(function("REPLACE", operands).giving_text())
            }
            "LPad" | "RPad" if call.args.len() == 2 && call.kwargs.is_empty() => {
                let mut operands = operands()?;
                operands.push(self.string(" "));
                Ok(function(if call.name() == "LPad" { "LPAD" } else { "RPAD" }, operands).giving_text())
            }
            "JSONObject" if call.args.is_empty() => self.json_object(call, depth),
            "JSONArray" if call.kwargs.is_empty() => self.json_array(call, depth),
            "Round" => {
                let mut operands = operands()?;
                if self.context.version.at_least(4, 0) {
                    match call.kwarg("precision") {
                        Some(precision) => operands.push(self.expression(precision, depth + 1)?),
                        None if operands.len() == 1 => {
                            operands.push(Compiled::literal(&Literal::Known("0".to_owned())));
                        }
                        None => {}
                    }
                }
                Ok(function("ROUND", operands))
            }
            "SHA1" | "SHA224" | "SHA256" | "SHA384" | "SHA512" => {
                let algorithm = format!(", '{}'), 'hex')", call.name().to_lowercase());
                Ok(Compiled::joined(operands()?, ", ").wrapped("ENCODE(DIGEST(", &algorithm).giving_text())
            }
            name if trunc_unit(name).is_some() && call.args.len() == 1 && call.kwargs.is_empty() => {
                let unit = trunc_unit(name).unwrap_or_default();
                let operand = self.zoned(operands()?.pop().unwrap_or_default())?;
                Ok(if unit == "date" {
                    operand.wrapped("(", ")::date")
                } else {
                    operand.wrapped(&format!("DATE_TRUNC('{unit}', "), ")")
                })
            }
            name if name.strip_prefix("Extract").is_some_and(|part| extract_class(part).is_some())
                && call.args.len() == 1
                && call.kwargs.is_empty() =>
            {
                let part = name.strip_prefix("Extract").and_then(extract_class).unwrap_or_default();
                let operand = self.zoned(operands()?.pop().unwrap_or_default())?;
                Ok(self.extract(operand, part, extract_unit(part).unwrap_or_default()))
            }
            name if text_function(name).is_some() && !extra => {
                Ok(function(text_function(name).unwrap_or_default(), operands()?).giving_text())
            }
            name if plain_function(name).is_some() && !extra => {
                Ok(function(plain_function(name).unwrap_or_default(), operands()?))
            }
            "Coalesce" => Ok(function("COALESCE", operands()?)),
            "Greatest" => Ok(function("GREATEST", operands()?)),
            "Least" => Ok(function("LEAST", operands()?)),
            "NullIf" => Ok(function("NULLIF", operands()?)),
            "Abs" => Ok(function("ABS", operands()?)),
            "MD5" => Ok(function("MD5", operands()?)),
            "Now" => Ok(Compiled::text("STATEMENT_TIMESTAMP()")),
            "TransactionNow" => Ok(Compiled::text("CURRENT_TIMESTAMP")),
            "RandomUUID" => Ok(Compiled::text("GEN_RANDOM_UUID()")),
            "UUID4" | "UUID7" if call.args.is_empty() && call.kwargs.is_empty() => {
                let server = self.context.postgres.ok_or("the server's release decides what is sent")?;
                match (call.name(), server.at_least(18)) {
                    ("UUID4", true) => Ok(Compiled::text("UUIDV4()")),
                    ("UUID4", false) => Ok(Compiled::text("GEN_RANDOM_UUID()")),
                    (_, true) => Ok(Compiled::text("UUIDV7()")),
                    (_, false) => Err("Django refuses `UUID7` before PostgreSQL 18".to_owned()),
                }
            }
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
                if let (None, Value::Call(right)) = (&left.output, argument(1)?)
                    && is_expression(right)
                    && let Some(operator) = comparison_operator(lookup)
                {
                    let right = self.expression(argument(1)?, depth + 1)?;
                    let bare = right.kind == Kind::Value && self.context.version.at_least(5, 0);
                    let right = if bare || right.sql.sql().starts_with('(') { right } else { right.wrapped("(", ")") };
                    return Ok(Compiled::joined(vec![left, right], &format!(" {operator} ")));
                }
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

    /// `CombinedExpression`.
    fn combined(&self, left: &Value, connector: &str, right: &Value, depth: u8) -> Result<Compiled, Reason> {
        let operator = match connector {
            "+" | "-" | "*" | "/" | "^" | "&" | "|" | "#" | "<<" | ">>" => connector,
            "<" | ">" | "<=" | ">=" | "=" | "<>" | "||" => connector,
            "%%" | "%" => "%",
            _ => return Err(format!("the operator `{connector}` is not read")),
        };
        let lasts = |value: &Value, compiled: &Compiled| {
            let constant = match value {
                Value::Call(call) if call.name() == "Value" => call.args.first(),
                value => Some(value),
            };
            compiled.value_type() == "DurationField"
                || matches!(constant, Some(Value::Call(call)) if call.name() == "timedelta")
        };
        let (one, other) = (self.operand(left, depth)?, self.operand(right, depth)?);
        let temporal = |value: &Value, compiled: &Compiled| {
            matches!(compiled.value_type(), "DateField" | "DateTimeField" | "TimeField")
                || matches!(value, Value::Call(call) if matches!(call.name(), "Now" | "TransactionNow"))
        };
        let shifts = matches!(operator, "+" | "-") && temporal(left, &one) && lasts(right, &other);
        let dates = temporal(left, &one) || temporal(right, &other) || lasts(left, &one) || lasts(right, &other);
        if dates && !shifts {
            return Err("arithmetic with dates is not read".to_owned());
        }
        let mut sql = one;
        sql.kind = Kind::Other;
        sql.output = None;
        sql.text = false;
        sql.push(&format!(" {operator} "));
        sql.append(other);
        Ok(sql.wrapped("(", ")"))
    }

    /// `Func` with what it is told by keywords.
    fn func(&self, call: &Call, operands: Vec<Compiled>) -> Result<Compiled, Reason> {
        let mut function = "";
        let mut template = "%(function)s(%(expressions)s)";
        let mut joiner = ", ";
        for (name, value) in &call.kwargs {
            let text = value.as_str();
            match (&**name, text) {
                ("function", Some(text)) => function = text,
                ("template", Some(text)) => template = text,
                ("arg_joiner", Some(text)) => joiner = text,
                ("output_field" | "arity", _) => {}
                ("function" | "template" | "arg_joiner", None) if *value == Value::None => {}
                _ => return Err(format!("`{name}` of `Func` is not read")),
            }
        }
        let template = template.replace("%(function)s", function);
        let (before, after) = match template.split_once("%(expressions)s") {
            Some((before, after)) => (before.to_owned(), after.to_owned()),
            None if operands.is_empty() => (template, String::new()),
            None => return Err("a `Func` whose template leaves its arguments out".to_owned()),
        };
        if before.contains('%') || after.contains('%') {
            return Err("the template of a `Func` is not read".to_owned());
        }
        let mut result = Compiled::joined(operands, joiner).wrapped(&before, &after);
        result.output = match call.kwarg("output_field") {
            Some(output) => self.output_field(output).ok().map(Box::new),
            None => None,
        };
        Ok(result)
    }

    /// `RawSQL`: its text in parentheses, `%s` replaced by its parameters.
    fn raw_sql(&self, call: &Call) -> Result<Compiled, Reason> {
        let text = call.args.first().or_else(|| call.kwarg("sql")).and_then(Value::as_str);
        let text = text.ok_or("the text of `RawSQL` is not known")?;
        let params = match call.args.get(1).or_else(|| call.kwarg("params")) {
            Some(params) => params.items().ok_or("the parameters of `RawSQL` are not known")?,
            None => &[],
        };
        let mut result = Compiled::text("(");
        let mut params = params.iter();
        for (index, part) in text.split("%s").enumerate() {
            if index > 0 {
                let param = params.next().ok_or("`RawSQL` lacks a parameter")?;
                result.append(match param {
                    Value::Str(text) => self.string(text),
                    value => Compiled::literal(&literal::plain(value, self.by, self.context)),
                });
            }
            if part.contains('%') {
                return Err("a percent sign in `RawSQL` is not read".to_owned());
            }
            result.push(part);
        }
        if params.next().is_some() {
            return Err("`RawSQL` has more parameters than places".to_owned());
        }
        result.push(")");
        Ok(result)
    }

    /// Whether the server has the standard's `JSON_OBJECT`, which Django asks since 5.1.
    fn standard_json(&self) -> Result<bool, Reason> {
        if !self.context.version.at_least(5, 1) {
            return Ok(false);
        }
        let server = self.context.postgres.ok_or("the server's release decides what is sent")?;
        Ok(server.at_least(16))
    }

    /// `JSONObject(key=expression, …)`.
    fn json_object(&self, call: &Call, depth: u8) -> Result<Compiled, Reason> {
        let standard = self.standard_json()?;
        let mut parts = Vec::new();
        for (key, value) in &call.kwargs {
            let key = self.string(key);
            let key = if self.context.version.at_least(4, 2) { key.wrapped("(", ")::text") } else { key };
            let key = if standard { key.wrapped("(", ")") } else { key };
            let value = match value {
                Value::Str(name) => self.field_reference(name)?,
                value => self.expression(value, depth + 1)?,
            };
            parts.push(Compiled::joined(vec![key, value], if standard { " VALUE " } else { ", " }));
        }
        let joined = Compiled::joined(parts, ", ");
        Ok(if standard {
            joined.wrapped("JSON_OBJECT(", " RETURNING JSONB)")
        } else {
            joined.wrapped("JSONB_BUILD_OBJECT(", ")")
        })
    }

    /// `JSONArray(expression, …)`: each is cast to its own type.
    fn json_array(&self, call: &Call, depth: u8) -> Result<Compiled, Reason> {
        let standard = self.standard_json()?;
        let mut parts = Vec::new();
        for value in &call.args {
            let constant = match value {
                Value::Call(inner) if inner.name() == "Value" && inner.kwargs.is_empty() => inner.args.first(),
                Value::Str(_) | Value::Call(_) => None,
                value => Some(value),
            };
            let compiled = match value {
                Value::Str(name) => self.field_reference(name)?,
                value => self.expression(value, depth + 1)?,
            };
            if matches!(value, Value::Call(inner) if inner.name() == "Cast") {
                parts.push(compiled);
                continue;
            }
            let db_type: Arc<str> = match (constant, &compiled.output) {
                (Some(Value::Str(_)), _) => Arc::from("varchar"),
                (Some(Value::Int(_)), _) => Arc::from("integer"),
                (Some(Value::Bool(_)), _) => Arc::from("boolean"),
                (None, Some(output)) if output.relation.is_none() && output.base.is_none() => {
                    output.db_type.clone().ok_or("a part of `JSONArray` has no type")?
                }
                _ => return Err("a part of `JSONArray` whose type is not known".to_owned()),
            };
            parts.push(compiled.wrapped("(", &format!(")::{db_type}")));
        }
        let null = if parts.is_empty() { " " } else { " NULL ON NULL" };
        let joined = Compiled::joined(parts, ", ");
        Ok(if standard {
            joined.wrapped("JSON_ARRAY(", &format!("{null} RETURNING JSONB)"))
        } else {
            joined.wrapped("JSONB_BUILD_ARRAY(", ")")
        })
    }

    /// `Case(When(condition, then=…), …, default=…)`.
    fn case(&self, call: &Call, depth: u8) -> Result<Compiled, Reason> {
        let branch = |value: &Value| match value {
            Value::Str(name) => self.field_reference(name),
            value => self.expression(value, depth + 1),
        };
        let mut result = Compiled::text("CASE");
        let mut count = 0;
        for case in &call.args {
            let Value::Call(when) = case else { return Err("a `Case` without `When`".to_owned()) };
            if when.name() != "When" {
                return Err(format!("`{}` in a `Case`", when.name()));
            }
            let mut q =
                Call { callee: Arc::from("django.db.models.Q"), args: Vec::new(), kwargs: Vec::new(), span: when.span };
            let mut then = when.args.get(1);
            q.args.extend(when.args.first().cloned());
            for (name, value) in &when.kwargs {
                match &**name {
                    "then" => then = Some(value),
                    "condition" => q.args.push(value.clone()),
                    _ => q.kwargs.push((name.clone(), value.clone())),
                }
            }
            let then = then.ok_or("a `When` without `then`")?;
            let condition = match q.args.as_slice() {
                [condition] if q.kwargs.is_empty() => self.condition(condition)?,
                _ => self.condition(&Value::Call(Arc::new(q)))?,
            };
            result.append(condition.wrapped(" WHEN ", ""));
            result.append(branch(then)?.wrapped(" THEN ", ""));
            count += 1;
        }
        let default = call.kwarg("default").unwrap_or(&Value::None);
        if count == 0 {
            return branch(default);
        }
        result.append(branch(default)?.wrapped(" ELSE ", " END"));
        if let Some(output) = call.kwarg("output_field") {
            result.output = self.output_field(output).ok().map(Box::new);
        }
        Ok(result)
    }

    /// `Concat` nests pairs from the right; 5.2 joins texts by `||` and takes NULL for empty.
    fn concat(&self, operands: Vec<Compiled>) -> Result<Compiled, Reason> {
        let version = self.context.version;
        let mut operands = operands.into_iter().rev();
        let mut result = operands.next().ok_or("a `Concat` without arguments")?;
        for operand in operands {
            let pair = if version.at_least(5, 2) {
                let mut pair = Vec::new();
                for part in [operand, result] {
                    let part = match part.is_text() {
                        Some(true) => part,
                        Some(false) => part.wrapped("(", ")::text"),
                        None => return Err("a part of `Concat` whose type is not known".to_owned()),
                    };
                    pair.push(part.wrapped("COALESCE(", ", '')"));
                }
                Compiled { has_params: true, ..Compiled::joined(pair, " || ").wrapped("(", ")") }
            } else if version.at_least(4, 2) && !version.at_least(5, 0) {
                let pair = [operand, result].into_iter().map(|part| part.wrapped("(", ")::text")).collect();
                function("CONCAT", pair)
            } else if !version.at_least(4, 0) {
                function("CONCAT", vec![operand, result])
            } else {
                return Err(format!("how Django {version} writes `Concat` is not known"));
            };
            result = pair.giving_text();
        }
        Ok(result)
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
        let names: Vec<&str> = parts.collect();
        let (mut sql, output) = self.transformed(&field, &names, "exact")?;
        if !names.is_empty() {
            sql.output = Some(Box::new(output));
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
            let compiled = match value {
                // The outermost expression of 3.2 is written as standard SQL has it.
                Value::Call(call) if call.name() == "Cast" && !self.context.version.at_least(4, 0) => {
                    let output =
                        call.args.get(1).or_else(|| call.kwarg("output_field")).ok_or("`Cast` lacks a type")?;
                    let db_type = self.output_field(output)?.db_type.ok_or("`Cast` lacks a type")?;
                    let inner = match call.args.first().ok_or("`Cast` lacks an argument")? {
                        Value::Str(name) => self.field_reference(name)?,
                        value => self.expression(value, depth + 1)?,
                    };
                    inner.wrapped("CAST(", &format!(" AS {db_type})"))
                }
                value => self.expression(value, depth)?,
            };
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
            | "has_key"
            | "has_keys"
            | "has_any_keys"
            | "contained_by"
            | "overlap"
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

fn comparison_operator(lookup: &str) -> Option<&'static str> {
    Some(match lookup {
        "exact" => "=",
        "gt" => ">",
        "gte" => ">=",
        "lt" => "<",
        "lte" => "<=",
        _ => return None,
    })
}

fn is_text_type(class: &str) -> bool {
    matches!(class, "CharField" | "TextField" | "SlugField" | "FileField" | "FilePathField")
}

/// Functions that give text, by the names of their classes.
fn text_function(class: &str) -> Option<&'static str> {
    Some(match class {
        "Lower" => "LOWER",
        "Upper" => "UPPER",
        "Trim" => "TRIM",
        "LTrim" => "LTRIM",
        "RTrim" => "RTRIM",
        "Left" => "LEFT",
        "Right" => "RIGHT",
        "Substr" => "SUBSTRING",
        "Replace" => "REPLACE",
        "LPad" => "LPAD",
        "RPad" => "RPAD",
        "Repeat" => "REPEAT",
        "Reverse" => "REVERSE",
        "Chr" => "CHR",
        _ => return None,
    })
}

fn plain_function(class: &str) -> Option<&'static str> {
    Some(match class {
        "Length" => "LENGTH",
        "Ord" => "ASCII",
        "StrIndex" => "STRPOS",
        "Ceil" => "CEILING",
        "Floor" => "FLOOR",
        "Sqrt" => "SQRT",
        "Exp" => "EXP",
        "Ln" => "LN",
        "Log" => "LOG",
        "Mod" => "MOD",
        "Power" => "POWER",
        "Sign" => "SIGN",
        "Sin" => "SIN",
        "Cos" => "COS",
        "Tan" => "TAN",
        "Cot" => "COT",
        "ASin" => "ASIN",
        "ACos" => "ACOS",
        "ATan" => "ATAN",
        "ATan2" => "ATAN2",
        "Degrees" => "DEGREES",
        "Radians" => "RADIANS",
        _ => return None,
    })
}

/// What `EXTRACT` is asked for, by the name of the lookup.
fn extract_unit(part: &str) -> Option<&'static str> {
    Some(match part {
        "year" => "YEAR",
        "iso_year" => "ISOYEAR",
        "quarter" => "QUARTER",
        "month" => "MONTH",
        "week" => "WEEK",
        "day" => "DAY",
        "week_day" => "DOW",
        "iso_week_day" => "ISODOW",
        "hour" => "HOUR",
        "minute" => "MINUTE",
        _ => return None,
    })
}

/// The lookup of `ExtractYear` and its like.
fn extract_class(part: &str) -> Option<&'static str> {
    Some(match part {
        "Year" => "year",
        "IsoYear" => "iso_year",
        "Quarter" => "quarter",
        "Month" => "month",
        "Week" => "week",
        "Day" => "day",
        "WeekDay" => "week_day",
        "IsoWeekDay" => "iso_week_day",
        "Hour" => "hour",
        "Minute" => "minute",
        _ => return None,
    })
}

fn trunc_unit(class: &str) -> Option<&'static str> {
    Some(match class {
        "TruncYear" => "year",
        "TruncQuarter" => "quarter",
        "TruncMonth" => "month",
        "TruncWeek" => "week",
        "TruncDay" => "day",
        "TruncHour" => "hour",
        "TruncMinute" => "minute",
        "TruncSecond" => "second",
        "TruncDate" => "date",
        _ => return None,
    })
}

/// `WhereNode.as_sql()`.
fn where_sql(node: Node<Compiled>, context: &Context) -> Option<Compiled> {
    let mut parts = Vec::new();
    for child in node.children {
        match child {
            Child::Leaf(compiled) => parts.push(compiled),
            Child::Node(inner) => parts.extend(where_sql(inner, context)),
        }
    }
    if node.connector != Connector::Xor {
        // What holds always is nothing beside an AND, and all of an OR; what never holds the other way about.
        let neutral = node.connector == Connector::And;
        if parts.iter().any(|part| part.constant == Some(!neutral)) {
            return Some(Compiled::constant(neutral == node.negated));
        }
        let some = !parts.is_empty();
        parts.retain(|part| part.constant.is_none());
        if some && parts.is_empty() {
            return Some(Compiled::constant(neutral != node.negated));
        }
    }
    let count = parts.len();
    if count == 0 {
        return None;
    }
    let joined = match node.connector {
        Connector::And => Compiled::joined(parts, " AND "),
        Connector::Or => Compiled::joined(parts, " OR "),
        Connector::Xor if count == 1 => Compiled::joined(parts, ""),
        Connector::Xor => exclusive(parts, context),
    };
    Some(if node.negated {
        joined.wrapped("NOT (", ")")
    } else if count > 1 {
        joined.wrapped("(", ")")
    } else {
        joined
    })
}

/// PostgreSQL has no XOR: one of them holds, and an odd number does; up to 4.2 exactly one.
fn exclusive(parts: Vec<Compiled>, context: &Context) -> Compiled {
    let count = parts.len();
    let any = Compiled::joined(parts.clone(), " OR ").wrapped("(", ")");
    let mut sum: Option<Compiled> = None;
    for part in parts {
        let mut one = part.wrapped("CASE WHEN ", " THEN 1 ELSE 0 END");
        one.has_params = true;
        sum = Some(match sum {
            None => one,
            Some(sum) => Compiled::joined(vec![sum, one], " + ").wrapped("(", ")"),
        });
    }
    let mut sum = sum.unwrap_or_default();
    if count > 2 && context.version.at_least(5, 0) {
        sum = sum.wrapped("(MOD(", ", 2))");
    }
    Compiled::joined(vec![any, sum.wrapped("1 = ", "")], " AND ")
}

impl Editor<'_> {
    pub(super) fn compiler<'c>(&'c self, resolver: Resolver<'c>, model: &'c ModelState, by: By) -> Compiler<'c> {
        Compiler { resolver, model, by, context: self.context }
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
                let literal = literal::prepared(field, value, By::Parameter, self.context);
                // `ArrayField.get_placeholder()`.
                let cast = match &field.db_type {
                    Some(db_type) if &*field.value_type == "ArrayField" => format!("::{db_type}"),
                    _ => String::new(),
                };
                let text = format!("{}{cast}", literal.text());
                return Ok((text, literal.is_wildcard(), literal != Literal::Null));
            }
        };
        let compiler = self.compiler(resolver, model, By::Parameter);
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
        let compiler = self.compiler(resolver, model, By::Parameter);
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

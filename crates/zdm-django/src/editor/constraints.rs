//! Indexes and constraints of `Meta`: their statements.

use std::sync::Arc;

use super::literal::By;
use super::naming::quote_name;
use super::statement::{Elements, Fragments, IndexStatement, Name, Statement, StatementKind, UniqueStatement};
use super::{Editor, columns_of};
use crate::operation::{Constraint, ConstraintKind, Index};
use crate::resolve::{Reason, ResolvedField, Resolver};
use crate::state::ModelState;
use crate::value::Value;

impl Editor<'_> {
    /// `Index.create_sql()`.
    pub(super) fn index_statement(
        &self,
        resolver: Resolver<'_>,
        model: &ModelState,
        index: &Index,
        concurrently: bool,
    ) -> Result<Statement, Reason> {
        if let Some(reason) = &index.unknown {
            return Err(format!("an index of `{}` is not known: {reason}", model.key()));
        }
        let name = index.name.clone().ok_or_else(|| format!("an index of `{}` has no name", model.key()))?;
        let table = resolver.table(model)?;
        let (method, parameters) = index_method(index)?;
        let mut wildcard = false;
        let mut fields: Vec<ResolvedField> = Vec::new();
        let elements = if index.expressions.is_empty() {
            let mut suffixes = Vec::new();
            for field in &index.fields {
                let name = field.strip_prefix('-');
                suffixes.push(if name.is_some() { "DESC" } else { "" });
                fields.push(resolver.field(model, name.unwrap_or(field))?);
            }
            let opclasses = string_list(index.kwarg("opclasses"), "opclasses")?;
            Elements::Columns { columns: fields.iter().map(ResolvedField::column_name).collect(), opclasses, suffixes }
        } else {
            let (fragments, marked) = self.index_expressions(resolver, model, &index.expressions)?;
            wildcard |= marked;
            Elements::Expressions(fragments)
        };
        // An index of one column of PostGIS keeps nothing but its name.
        if let [field] = fields.as_slice()
            && field.spatial.is_some()
        {
            return Ok(self.spatial_index(model, &table, field, Some(name)));
        }
        let condition = match &index.condition {
            Some(Value::None) | None => None,
            Some(condition) => {
                let compiled = self.compiler(resolver, model, By::QuoteValue).condition(condition)?;
                wildcard |= compiled.wildcard;
                Some(Fragments::text(compiled.sql.sql()))
            }
        };
        let include = columns_of(resolver, model, &string_list(index.kwarg("include"), "include")?)?;
        let tablespace = match index.kwarg("db_tablespace") {
            Some(Value::Str(name)) => Some(name.clone()),
            None | Some(Value::None) => None,
            Some(_) => return Err("`db_tablespace` of an index is not known".to_owned()),
        };
        let tablespace = self.index_tablespace_sql(model, &fields, tablespace.as_deref());
        // 3.2 has the blank on the other side.
        let with = match (parameters.is_empty(), self.context.version.at_least(4, 0)) {
            (true, _) => String::new(),
            (false, true) => format!(" WITH ({})", parameters.join(", ")),
            (false, false) => format!("WITH ({}) ", parameters.join(", ")),
        };
        Ok(Statement {
            table,
            kind: StatementKind::Index(IndexStatement {
                name: Name::Given(name),
                concurrently,
                using: method,
                elements,
                include,
                extra: format!("{with}{tablespace}"),
                condition,
            }),
            wildcard,
        })
    }

    fn index_expressions(
        &self,
        resolver: Resolver<'_>,
        model: &ModelState,
        expressions: &[Value],
    ) -> Result<(Fragments, bool), Reason> {
        let compiler = self.compiler(resolver, model, By::QuoteValue);
        let mut fragments = Fragments::default();
        let mut wildcard = false;
        for (position, expression) in expressions.iter().enumerate() {
            if position > 0 {
                fragments.push(", ");
            }
            let compiled = compiler.index_element(expression, 0)?;
            wildcard |= compiled.wildcard;
            fragments.append(compiled.sql);
        }
        Ok((fragments, wildcard))
    }

    /// A constraint inside of CREATE TABLE, with whether it holds a wildcard; those that are an index are deferred.
    pub(super) fn inline_constraint(
        &mut self,
        resolver: Resolver<'_>,
        model: &ModelState,
        constraint: &Constraint,
    ) -> Result<Option<(String, bool)>, Reason> {
        let Some(statement) = self.constraint_statement(resolver, model, constraint)? else { return Ok(None) };
        match &statement.kind {
            StatementKind::AddConstraint(fragments) => Ok(Some((fragments.sql(), statement.wildcard))),
            StatementKind::Unique(unique) if !unique.as_index && unique.nulls_distinct.is_empty() => {
                let Elements::Columns { columns, .. } = &unique.elements else { return Ok(None) };
                let columns: Vec<String> = columns.iter().map(|column| quote_name(column)).collect();
                let sql = format!(
                    "CONSTRAINT {} UNIQUE ({}){}",
                    quote_name(&constraint.name),
                    columns.join(", "),
                    unique.deferrable
                );
                Ok(Some((sql, false)))
            }
            _ => {
                self.defer(statement);
                Ok(None)
            }
        }
    }

    /// `create_sql()` of a constraint.
    pub(super) fn constraint_statement(
        &self,
        resolver: Resolver<'_>,
        model: &ModelState,
        constraint: &Constraint,
    ) -> Result<Option<Statement>, Reason> {
        let table = resolver.table(model)?;
        let name = quote_name(&constraint.name);
        match &constraint.kind {
            ConstraintKind::Check { condition } => {
                let compiled = self.compiler(resolver, model, By::QuoteValue).condition(condition)?;
                let sql = format!("CONSTRAINT {name} CHECK ({})", compiled.sql.sql());
                Ok(Some(Statement {
                    table,
                    kind: StatementKind::AddConstraint(Fragments::text(sql)),
                    wildcard: compiled.wildcard,
                }))
            }
            ConstraintKind::Unique { fields, expressions, condition } => {
                let mut wildcard = false;
                let include = columns_of(resolver, model, &string_list(constraint.kwarg("include"), "include")?)?;
                let opclasses = string_list(constraint.kwarg("opclasses"), "opclasses")?;
                let condition = match condition {
                    None | Some(Value::None) => None,
                    Some(condition) => {
                        let compiled = self.compiler(resolver, model, By::QuoteValue).condition(condition)?;
                        wildcard |= compiled.wildcard;
                        Some(Fragments::text(compiled.sql.sql()))
                    }
                };
                let as_index =
                    condition.is_some() || !include.is_empty() || !opclasses.is_empty() || !expressions.is_empty();
                let elements = if expressions.is_empty() {
                    Elements::Columns { columns: columns_of(resolver, model, fields)?, opclasses, suffixes: Vec::new() }
                } else {
                    let (fragments, marked) = self.index_expressions(resolver, model, expressions)?;
                    wildcard |= marked;
                    Elements::Expressions(fragments)
                };
                let nulls_distinct = match constraint.kwarg("nulls_distinct") {
                    None | Some(Value::None) => "",
                    Some(Value::Bool(false)) => " NULLS NOT DISTINCT",
                    Some(Value::Bool(true)) => " NULLS DISTINCT",
                    Some(_) => return Err("`nulls_distinct` is not known".to_owned()),
                };
                Ok(Some(Statement {
                    table,
                    kind: StatementKind::Unique(UniqueStatement {
                        name: Name::Given(constraint.name.clone()),
                        elements,
                        include,
                        condition,
                        nulls_distinct,
                        deferrable: deferrable(constraint.kwarg("deferrable"))?,
                        as_index,
                        tracked: self.context.version.at_least(4, 0),
                    }),
                    wildcard,
                }))
            }
            ConstraintKind::Exclusion { expressions, index_type, condition } => {
                let compiler = self.compiler(resolver, model, By::QuoteValue);
                let mut wildcard = false;
                let mut sql = Fragments::text(format!("CONSTRAINT {name} EXCLUDE USING {index_type} ("));
                for (position, (expression, operator)) in expressions.iter().enumerate() {
                    if position > 0 {
                        sql.push(", ");
                    }
                    let compiled = compiler.index_element(expression, 0)?;
                    wildcard |= compiled.wildcard;
                    sql.append(compiled.sql);
                    sql.push(&format!(" WITH {}", range_operator(operator)?));
                }
                sql.push(")");
                let include = columns_of(resolver, model, &string_list(constraint.kwarg("include"), "include")?)?;
                if !include.is_empty() {
                    let columns: Vec<String> = include.iter().map(|column| quote_name(column)).collect();
                    sql.push(&format!(" INCLUDE ({})", columns.join(", ")));
                }
                match condition {
                    None | Some(Value::None) => {}
                    Some(condition) => {
                        let compiled = compiler.condition(condition)?;
                        wildcard |= compiled.wildcard;
                        sql.push(&format!(" WHERE ({})", compiled.sql.sql()));
                    }
                }
                sql.push(deferrable(constraint.kwarg("deferrable"))?);
                Ok(Some(Statement { table, kind: StatementKind::AddConstraint(sql), wildcard }))
            }
            ConstraintKind::Unknown { class, reason } => {
                Err(format!("the constraint `{}`, a `{class}`, is not known: {reason}", constraint.name))
            }
        }
    }

    /// `remove_sql()` of a constraint.
    pub(super) fn remove_constraint(&mut self, table: &str, constraint: &Constraint) -> Result<(), Reason> {
        let is_index = match &constraint.kind {
            ConstraintKind::Unique { expressions, condition, .. } => {
                let given =
                    |name: &str| constraint.kwarg(name).and_then(Value::items).is_some_and(|items| !items.is_empty());
                condition.as_ref().is_some_and(|condition| *condition != Value::None)
                    || !expressions.is_empty()
                    || given("include")
                    || given("opclasses")
            }
            ConstraintKind::Check { .. } | ConstraintKind::Exclusion { .. } => false,
            ConstraintKind::Unknown { class, reason } => {
                return Err(format!("the constraint `{}`, a `{class}`, is not known: {reason}", constraint.name));
            }
        };
        if is_index {
            self.execute(format!("DROP INDEX IF EXISTS {}", quote_name(&constraint.name)));
        } else {
            self.drop_constraint(table, &constraint.name);
        }
        Ok(())
    }
}

fn deferrable(value: Option<&Value>) -> Result<&'static str, Reason> {
    match value {
        None | Some(Value::None) => Ok(""),
        Some(Value::Symbol(path)) if path.ends_with(".DEFERRED") => Ok(" DEFERRABLE INITIALLY DEFERRED"),
        Some(Value::Symbol(path)) if path.ends_with(".IMMEDIATE") => Ok(" DEFERRABLE INITIALLY IMMEDIATE"),
        Some(Value::Call(call)) if call.name() == "Deferrable" => match call.args.first().and_then(Value::as_str) {
            Some("deferred") => Ok(" DEFERRABLE INITIALLY DEFERRED"),
            Some("immediate") => Ok(" DEFERRABLE INITIALLY IMMEDIATE"),
            _ => Err("`deferrable` is not known".to_owned()),
        },
        Some(_) => Err("`deferrable` is not known".to_owned()),
    }
}

/// The operator of an exclusion constraint: a string or a constant of `RangeOperators`.
fn range_operator(value: &Value) -> Result<&str, Reason> {
    match value {
        Value::Str(operator) => Ok(operator),
        Value::Symbol(path) if path.contains("RangeOperators.") => Ok(match path.rsplit('.').next() {
            Some("EQUAL") => "=",
            Some("NOT_EQUAL") => "<>",
            Some("CONTAINS") => "@>",
            Some("CONTAINED_BY") => "<@",
            Some("OVERLAPS") => "&&",
            Some("FULLY_LT") => "<<",
            Some("FULLY_GT") => ">>",
            Some("NOT_LT") => "&>",
            Some("NOT_GT") => "&<",
            Some("ADJACENT_TO") => "-|-",
            _ => return Err("an operator of an exclusion constraint is not known".to_owned()),
        }),
        _ => Err("an operator of an exclusion constraint is not known".to_owned()),
    }
}

fn string_list(value: Option<&Value>, name: &str) -> Result<Vec<Arc<str>>, Reason> {
    match value {
        None | Some(Value::None) => Ok(Vec::new()),
        Some(Value::List(items) | Value::Tuple(items)) => items
            .iter()
            .map(|item| match item {
                Value::Str(text) => Ok(text.clone()),
                _ => Err(format!("`{name}` is not known")),
            })
            .collect(),
        Some(_) => Err(format!("`{name}` is not known")),
    }
}

/// ` USING gin`, and the storage parameters in Django's order.
fn index_method(index: &Index) -> Result<(String, Vec<String>), Reason> {
    let (method, parameters): (&str, &[&str]) = match &*index.class {
        "Index" => return Ok((String::new(), Vec::new())),
        "BloomIndex" => ("bloom", &["length", "columns"]),
        "BrinIndex" => ("brin", &["autosummarize", "pages_per_range"]),
        "BTreeIndex" => ("btree", &["fillfactor", "deduplicate_items"]),
        "GinIndex" => ("gin", &["gin_pending_list_limit", "fastupdate"]),
        "GistIndex" => ("gist", &["buffering", "fillfactor"]),
        "HashIndex" => ("hash", &["fillfactor"]),
        "SpGistIndex" => ("spgist", &["fillfactor"]),
        class => return Err(format!("the index class `{class}` is not known")),
    };
    let mut texts = Vec::new();
    for name in parameters {
        match index.kwarg(name) {
            None | Some(Value::None) => {}
            Some(Value::Bool(on)) => texts.push(format!("{name} = {}", if *on { "on" } else { "off" })),
            Some(Value::Int(number)) => texts.push(format!("{name} = {number}")),
            Some(Value::List(items) | Value::Tuple(items)) if *name == "columns" => {
                for (position, item) in items.iter().enumerate() {
                    let number = item.as_int().ok_or("`columns` of an index is not known")?;
                    texts.push(format!("col{} = {number}", position + 1));
                }
            }
            Some(_) => return Err(format!("`{name}` of an index is not known")),
        }
    }
    Ok((format!(" USING {method}"), texts))
}

//! Functions and procedures: what is known of their bodies, and what runs with a statement besides itself.
//!
//! A body in SQL that is understood is executed on a copy of the state, and what it does is told as "may": the planner
//! inlines it, leaves it out, or runs it once for each row. Every other body is opaque, and said to be so.

use std::sync::Arc;

use super::{Run, Step, refuse};
use crate::catalog::Function;
use crate::data_type::DataType;
use crate::effects::UncertainEffect;
use crate::expr::ExprNode;
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{CreateFunction, IndexKey, Persistence, Query, Statement, Volatility};
use crate::volatility::{self, Known};

/// Functions that call functions end; only a circle does not.
const DEEPEST: u8 = 8;

impl Run {
    pub(super) fn create_function(&mut self, create: &CreateFunction) -> Step {
        if create.standard_body {
            self.since(14, "BEGIN")?;
        }
        let name = self.creation_name(&create.name, Persistence::Permanent);
        let resolved = |data_type: &Option<DataType>| {
            data_type.as_ref().map(|data_type| self.resolve_type(data_type).unwrap_or_else(|_| data_type.clone()))
        };
        let arguments: Vec<Option<DataType>> = create.arguments.iter().map(resolved).collect();
        let returns = resolved(&create.returns);
        let dependencies = self.analyse_body(create)?;
        let function = Function {
            arguments,
            returns,
            language: create.language.clone(),
            volatility: create.volatility,
            body: create.body.clone(),
            statements: create.statements.clone().map(Arc::new),
            dependencies,
        };
        let mut overloads: Vec<Function> = self.catalog().functions(&name).to_vec();
        match overloads.iter_mut().find(|known| known.arguments == function.arguments) {
            Some(known) if create.or_replace => *known = function,
            Some(known) if known.arguments.iter().all(Option::is_some) => {
                return refuse("42723", format!("function \"{}\" already exists with same argument types", name.name));
            }
            _ => overloads.push(function),
        }
        self.catalog_mut().functions.insert_mut(name, Arc::new(overloads));
        Ok(())
    }

    /// The server looks up what an SQL body names; a body of the standard's form depends on it from then on.
    fn analyse_body(&mut self, create: &CreateFunction) -> Step<Vec<(QualifiedName, Vec<Ident>)>> {
        let checked = !matches!(
            self.state.settings.get("check_function_bodies").map(str::to_ascii_lowercase).as_deref(),
            Some("off" | "false" | "no" | "0")
        );
        let Some(statements) = create.statements.as_ref().filter(|_| checked || create.standard_body) else {
            return Ok(Vec::new());
        };
        let mut dependencies = Vec::new();
        for statement in statements {
            let (target, query) = match statement {
                Statement::Select(query) => (None, query),
                Statement::Insert(dml) | Statement::Update(dml) | Statement::Delete(dml) | Statement::Merge(dml) => {
                    (Some((&dml.table, &dml.columns)), &dml.query)
                }
                // Utility commands are not looked at before they run.
                _ => continue,
            };
            if let Some((table, columns)) = target {
                let table = self.open(table)?;
                self.lock(&table, LockMode::RowExclusive);
                dependencies.push((table, columns.clone()));
            }
            self.parse_query(query)?;
            for relation in &query.relations {
                let relation = self.open(relation)?;
                let columns = self.columns_read(&relation, query);
                dependencies.push((relation, columns));
            }
        }
        Ok(if create.standard_body { dependencies } else { Vec::new() })
    }

    /// The columns of the relation that a query names.
    pub(super) fn columns_read(&self, relation: &QualifiedName, query: &Query) -> Vec<Ident> {
        self.table(relation)
            .columns
            .iter()
            .map(|column| column.name.clone())
            .filter(|column| query.star || query.columns.contains(column))
            .collect()
    }

    /// Functions whose bodies depend on that column, or on the relation at all.
    pub(super) fn functions_on(&self, relation: &QualifiedName, column: Option<&Ident>) -> Vec<QualifiedName> {
        self.catalog()
            .functions
            .iter()
            .filter(|(_, overloads)| {
                overloads.iter().any(|function| {
                    function.dependencies.iter().any(|(known, columns)| {
                        known == relation && column.is_none_or(|column| columns.contains(column))
                    })
                })
            })
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Everything that the expression calls is run.
    pub(super) fn run_functions_in(&mut self, node: &ExprNode) {
        let mut called: Vec<(QualifiedName, usize)> = Vec::new();
        node.walk(&mut |node| {
            if let ExprNode::Call { function, args, .. } = node {
                called.push((function.clone(), args.len()));
            }
        });
        for (function, arguments) in called {
            self.run_function(&function, Some(arguments), false);
        }
    }

    /// A query may call functions that change the schema, which a trigger or a default hardly does.
    pub(super) fn run_functions_of(&mut self, query: &Query) {
        for function in &query.functions {
            self.run_function(function, None, true);
        }
    }

    /// One call. `schema`: it may change the catalog as well.
    pub(super) fn run_function(&mut self, written: &QualifiedName, arguments: Option<usize>, schema: bool) {
        let Some(name) = self.find_function(written) else {
            let known = volatility::call(written, arguments.unwrap_or(0), self.catalog(), self.version, &|name| {
                self.find_function(name)
            });
            // An operator class or a type of an extension brings functions that change nothing.
            if known == Known::Unknown && !self.is_type(written) {
                self.unread(format!("function {written}()"));
                if schema {
                    self.catalog_mut().mark_incomplete();
                }
            }
            return;
        };
        let overloads: Vec<Function> = self
            .catalog()
            .functions(&name)
            .iter()
            .filter(|function| arguments.is_none_or(|count| function.arguments.len() == count))
            .cloned()
            .collect();
        for function in overloads {
            match &function.statements {
                Some(statements) if self.depth < DEEPEST => self.run_body(&name, statements),
                _ => {
                    self.unread(format!("the body of function {name}()"));
                    if schema && function.volatility == Volatility::Volatile {
                        self.catalog_mut().mark_incomplete();
                    }
                }
            }
        }
    }

    fn is_type(&self, name: &QualifiedName) -> bool {
        self.find_type(name).is_some()
            || (name.schema.is_none() && crate::cast::is_builtin_type(name.name.as_str(), self.version))
    }

    fn run_body(&mut self, name: &QualifiedName, statements: &[Statement]) {
        let condition = format!("{name}() runs");
        let mut inside = Self::new(self.state.clone(), self.version, self.in_block);
        inside.depth = self.depth + 1;
        for statement in statements {
            if inside.execute(statement).is_err() {
                self.unread(format!("the body of function {name}()"));
                return;
            }
        }
        let effects = inside.effects;
        for (relation, mode) in effects.locks {
            if self.effects.locks.get(&relation).is_none_or(|known| *known < mode) {
                self.maybe(&relation, UncertainEffect::Lock(mode), condition.clone());
            }
        }
        for relation in effects.scans {
            self.maybe(&relation, UncertainEffect::Scan, condition.clone());
        }
        for relation in effects.rewrites {
            self.maybe(&relation, UncertainEffect::Rewrite, condition.clone());
        }
        for relation in effects.row_locks.into_keys() {
            self.maybe(&relation, UncertainEffect::RowLocks, condition.clone());
        }
        for uncertain in effects.uncertain {
            self.maybe(&uncertain.relation, uncertain.effect, uncertain.condition);
        }
        self.effects.unread.extend(effects.unread);
    }

    /// What is computed for each row that is written: generated columns, checks, expressions of indexes.
    pub(super) fn run_functions_of_rows(&mut self, name: &QualifiedName) {
        let table = self.table(name);
        for column in &table.columns {
            if let Some(generated) = &column.generated {
                self.run_functions_in(&generated.expr.node);
            }
        }
        for constraint in &table.constraints {
            if let crate::catalog::ConstraintKind::Check { expr, .. } = &constraint.kind {
                self.run_functions_in(&expr.node);
            }
        }
        for index in &table.indexes {
            self.run_functions_of_index(index);
        }
    }

    pub(super) fn run_functions_of_index(&mut self, index: &crate::catalog::Index) {
        for element in &index.elements {
            if let IndexKey::Expr(expr) = &element.key {
                self.run_functions_in(&expr.node);
            }
        }
        if let Some(predicate) = &index.predicate {
            self.run_functions_in(&predicate.node);
        }
    }
}

//! Functions and procedures: what is known of their bodies, and what runs with a statement besides itself.
//!
//! A body in SQL that is understood is executed on a copy of the state, and what it does is told as "may": the planner
//! inlines it, leaves it out, or runs it once for each row. Every other body is opaque, and said to be so.

use std::sync::Arc;

use super::{Run, Step, refuse, written};
use crate::catalog::{ConstraintKind, Domain, Function, Policy, Table, UserType, UserTypeKind};
use crate::data_type::{DataType, quoted_if_needed};
use crate::effects::UncertainEffect;
use crate::expr::{ExprNode, SqlExpr};
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{
    CreateFunction, DropBehavior, DropObjects, IndexKey, ObjectKind, Persistence, Query, Statement, Volatility,
};
use crate::volatility::{self, Known};

/// Functions that call functions end; only a circle does not.
const DEEPEST: u8 = 8;

/// What calls a function and goes with it, each with its table.
#[derive(Clone, Debug, PartialEq, Eq)]
enum User {
    Default(QualifiedName, Ident),
    /// A generated column.
    Column(QualifiedName, Ident),
    Constraint(QualifiedName, Ident),
    Index(QualifiedName, Ident),
    Trigger(QualifiedName, Ident),
    Policy(QualifiedName, Ident),
    Rule(QualifiedName, Ident),
    /// A view, or a table that is divided by an expression.
    Relation(QualifiedName),
    DomainCheck(QualifiedName, Ident),
    DomainDefault(QualifiedName),
    /// Its body is of the standard's form.
    Function(QualifiedName),
}

impl User {
    /// The table, or the view, that it belongs to.
    fn table(&self) -> Option<&QualifiedName> {
        match self {
            Self::Default(table, _)
            | Self::Column(table, _)
            | Self::Constraint(table, _)
            | Self::Index(table, _)
            | Self::Trigger(table, _)
            | Self::Policy(table, _)
            | Self::Rule(table, _)
            | Self::Relation(table) => Some(table),
            Self::DomainCheck(..) | Self::DomainDefault(_) | Self::Function(_) => None,
        }
    }
}

impl Run {
    pub(super) fn create_function(&mut self, create: &CreateFunction) -> Step {
        if create.standard_body {
            self.since(14, "BEGIN")?;
        }
        let name = self.creation_name(&create.name, Persistence::Permanent);
        // A function in C may come before its type.
        let named = create.language.as_ref().is_some_and(|language| !matches!(language.as_str(), "c" | "internal"));
        let resolved = |data_type: &Option<DataType>| match data_type {
            Some(data_type) if named => self.resolve_type(data_type).map(Some),
            Some(data_type) => Ok(Some(self.resolve_type(data_type).unwrap_or_else(|_| data_type.clone()))),
            None => Ok(None),
        };
        for (place, argument) in create.argument_names.iter().enumerate() {
            if let Some(name) = argument
                && create.argument_names.iter().take(place).any(|known| known == argument)
            {
                return refuse("42P13", format!("parameter name \"{name}\" used more than once"));
            }
        }
        let arguments = create.arguments.iter().map(|argument| match (resolved(argument), argument) {
            (Err(refusal), Some(argument)) if refusal.sqlstate == "42704" => {
                refuse("42704", format!("type {} does not exist", name_of_type(argument)))
            }
            (resolved, _) => resolved,
        });
        let arguments: Vec<Option<DataType>> = arguments.collect::<Step<_>>()?;
        let returns = match (resolved(&create.returns), &create.returns) {
            (Err(refusal), Some(returns)) if refusal.sqlstate == "42704" => {
                return refuse("42704", format!("type \"{}\" does not exist", name_of_type(returns)));
            }
            (resolved, _) => resolved?,
        };
        let dependencies = self.analyse_body(create)?;
        let function = Function {
            procedure: create.procedure,
            arguments,
            argument_names: create.argument_names.clone(),
            defaults: create.defaults,
            returns,
            returns_set: create.returns_set,
            language: create.language.clone(),
            volatility: create.volatility,
            body: create.body.clone(),
            statements: create.statements.clone().map(Arc::new),
            standard_body: create.standard_body,
            dependencies,
        };
        let mut overloads: Vec<Function> = self.catalog().functions(&name).to_vec();
        match overloads.iter_mut().find(|known| known.arguments == function.arguments) {
            Some(known) if create.or_replace => {
                check_replacement(known, &function)?;
                *known = function;
            }
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
            self.check_names_of_body(query, create)?;
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
            .filter(|column| {
                let here = |name: &QualifiedName| self.find(name).as_ref() == Some(relation);
                query.selects_all_of(here) || query.reads_column(column, here)
            })
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

/// `ProcedureCreate`: what OR REPLACE leaves as it is.
fn check_replacement(known: &Function, function: &Function) -> Step {
    if known.procedure != function.procedure {
        return refuse("42809", "cannot change routine kind");
    }
    let other_type = matches!((&known.returns, &function.returns), (Some(old), Some(new)) if old != new);
    if other_type || known.returns_set != function.returns_set {
        return refuse("42P13", "cannot change return type of existing function");
    }
    for (old, new) in known.argument_names.iter().zip(&function.argument_names) {
        if let Some(old) = old
            && new.as_ref() != Some(old)
        {
            return refuse("42P13", format!("cannot change name of input parameter \"{old}\""));
        }
    }
    if function.defaults < known.defaults {
        return refuse("42P13", "cannot remove parameter defaults from existing function");
    }
    Ok(())
}

// What depends on a function.
impl Run {
    pub(super) fn drop_functions(&mut self, drop: &DropObjects) -> Step {
        let mut doomed: Vec<QualifiedName> = Vec::new();
        let mut overloaded: Vec<(QualifiedName, Vec<DataType>)> = Vec::new();
        let mut signature = String::new();
        for (place, written_name) in drop.names.iter().enumerate() {
            let arguments = drop.arguments.get(place).and_then(Option::as_deref);
            let Some(name) = self.find_function(written_name) else {
                if !drop.if_exists {
                    self.need_function(drop.kind, written_name, arguments)?;
                }
                continue;
            };
            let [function] = self.catalog().functions(&name) else {
                // What calls which of the overloads, the name alone does not say.
                let Some(arguments) = arguments else {
                    let word = match drop.kind {
                        ObjectKind::Procedure => "procedure",
                        ObjectKind::Routine => "routine",
                        _ => "function",
                    };
                    return refuse("42725", format!("{word} name \"{}\" is not unique", written(written_name)));
                };
                match self.overload(&name, arguments) {
                    Some(found) => overloaded.push((name, found)),
                    None => self.catalog_mut().mark_incomplete(),
                }
                continue;
            };
            let known: Option<Vec<DataType>> = function.arguments.iter().cloned().collect();
            if let (Some(known), Some(arguments)) = (&known, arguments)
                && self.overload(&name, arguments).as_ref() != Some(known)
            {
                if !drop.if_exists {
                    self.need_schema_of(written_name)?;
                    return refuse(
                        "42883",
                        format!("function {} does not exist", self.signature(&written(written_name), arguments)),
                    );
                }
                continue;
            }
            // With its schema where the bare name means nothing or another one.
            let bare = QualifiedName::as_written(None, name.name.clone());
            let visible = self.find_function(&bare).as_ref() == Some(&name);
            let schema = name.schema.as_ref().filter(|_| !visible);
            let schema = schema.map(|schema| format!("{}.", quoted_if_needed(schema))).unwrap_or_default();
            let shown = format!("{schema}{}", quoted_if_needed(&name.name));
            signature = self.signature(&shown, &known.unwrap_or_default());
            if !doomed.contains(&name) {
                doomed.push(name);
            }
        }
        for (name, arguments) in overloaded {
            let mut left: Vec<Function> = self.catalog().functions(&name).to_vec();
            left.retain(|function| function.arguments.iter().map(Option::as_ref).ne(arguments.iter().map(Some)));
            if !self.function_users(&name).is_empty() {
                self.may_fail_always("2BP01", format!("something depends on that function {name}()"));
            }
            self.leave_overloads(&name, left);
        }
        let roots = doomed.len();
        let users = self.users_of_all(&mut doomed);
        let word = match drop.kind {
            ObjectKind::Procedure => "procedure",
            _ => "function",
        };
        let message = || match roots {
            0 | 1 => format!("cannot drop {word} {signature} because other objects depend on it"),
            _ => "cannot drop desired object(s) because other objects depend on them".to_owned(),
        };
        if drop.behavior == DropBehavior::Restrict && doomed.len() > roots {
            return refuse("2BP01", message());
        }
        self.drop_or_refuse(&users, drop.behavior, message)?;
        for name in doomed {
            self.catalog_mut().functions.remove_mut(&name);
        }
        Ok(())
    }

    /// What depends on the functions; functions that do are added to them.
    fn users_of_all(&self, doomed: &mut Vec<QualifiedName>) -> Vec<User> {
        let mut users: Vec<User> = Vec::new();
        let mut next = 0;
        while let Some(name) = doomed.get(next).cloned() {
            next += 1;
            for user in self.function_users(&name) {
                match user {
                    User::Function(other) if doomed.contains(&other) => {}
                    User::Function(other) => doomed.push(other),
                    user if users.contains(&user) => {}
                    user => users.push(user),
                }
            }
        }
        users
    }

    /// Some of the functions of a name are gone; which of them something calls, the name alone does not say.
    fn leave_overloads(&mut self, name: &QualifiedName, left: Vec<Function>) {
        if !self.function_users(name).is_empty() {
            self.unread(format!("what depends on that function {name}()"));
            self.catalog_mut().mark_incomplete();
        }
        self.catalog_mut().functions.insert_mut(name.clone(), Arc::new(left));
    }

    /// DROP TYPE … CASCADE of a type that some of the functions take or give.
    pub(super) fn drop_functions_over(&mut self, data_type: &QualifiedName, names: &[QualifiedName]) -> Step {
        let mut doomed = Vec::new();
        for name in names {
            let mut left = self.catalog().functions(name).to_vec();
            left.retain(|function| !self.takes_or_gives(function, data_type));
            if left.is_empty() {
                doomed.push(name.clone());
            } else {
                self.leave_overloads(name, left);
            }
        }
        let users = self.users_of_all(&mut doomed);
        self.drop_users(&users)?;
        self.remove_functions(&doomed);
        Ok(())
    }

    fn drop_users(&mut self, users: &[User]) -> Step {
        let relations: Vec<QualifiedName> = users
            .iter()
            .filter_map(|user| match user {
                User::Relation(name) => Some(name.clone()),
                _ => None,
            })
            .collect();
        self.remove_relations(&relations, DropBehavior::Cascade, "view")?;
        for user in users {
            self.drop_user(user)?;
        }
        Ok(())
    }

    /// What needs an extension: calls of its functions, and indexes by its operator classes.
    pub(super) fn drop_users_of_extension(&mut self, name: &Ident, behavior: DropBehavior) -> Step {
        let extension = name.as_str();
        let mut users = self.users_of_functions(&|function| {
            let name = function.name.as_str();
            // The server has a function of that name itself, which is found first.
            let own = name == "gen_random_uuid" && self.version.at_least(13);
            !own && crate::volatility::extension_of_function(name).is_some_and(|(known, _)| known == extension)
                && self.find_function(function).is_none()
        });
        for table in self.catalog().tables() {
            for index in &table.indexes {
                let of_it = index.elements.iter().any(|element| {
                    self.extension_of_class(&index.method, element, table).is_some_and(|known| known == extension)
                });
                if of_it && index.constraint {
                    users.push(User::Constraint(table.name.clone(), index.name.clone()));
                } else if of_it {
                    users.push(User::Index(table.name.clone(), index.name.clone()));
                }
            }
        }
        self.drop_or_refuse(&users, behavior, || {
            format!("cannot drop extension {name} because other objects depend on it")
        })
    }

    /// Before 15 generated columns go with what they call, without CASCADE; what depends on them does not.
    fn drop_or_refuse(&mut self, users: &[User], behavior: DropBehavior, message: impl Fn() -> String) -> Step {
        if behavior == DropBehavior::Cascade {
            return self.drop_users(users);
        }
        for user in users {
            let User::Column(table, column) = user else { return refuse("2BP01", message()) };
            if self.version.at_least(15) {
                return refuse("2BP01", message());
            }
            self.lock(table, LockMode::AccessExclusive);
            if self.drop_column_of(table, column, DropBehavior::Restrict).is_err() {
                return refuse("2BP01", message());
            }
        }
        Ok(())
    }

    /// What went with something else already is gone.
    fn drop_user(&mut self, user: &User) -> Step {
        match user {
            User::Relation(_) | User::Function(_) => {}
            User::DomainCheck(domain, check) => {
                self.edit_domain(domain, |domain| domain.checks.retain(|known| known.name != *check));
            }
            User::DomainDefault(domain) => self.edit_domain(domain, |domain| domain.default = None),
            User::Index(owner, index) => {
                if self.catalog().indexes_of(owner).iter().any(|known| known.name == *index) {
                    self.lock(owner, LockMode::AccessExclusive);
                    self.lock(&owner.sibling(index.clone()), LockMode::AccessExclusive);
                    self.remove_index(owner, index);
                }
            }
            user if user.table().is_some_and(|table| self.catalog().relation(table).is_none()) => {}
            User::Column(table, column) => {
                if self.table(table).column(column.as_str()).is_some() {
                    self.lock(table, LockMode::AccessExclusive);
                    self.drop_column_of(table, column, DropBehavior::Cascade)?;
                }
            }
            User::Constraint(table, constraint) => {
                if let Some(known) = self.table(table).constraint(constraint.as_str()).cloned() {
                    self.lock(table, LockMode::AccessExclusive);
                    self.drop_constraint_of(table, &known, DropBehavior::Cascade)?;
                }
            }
            User::Default(table, name)
            | User::Trigger(table, name)
            | User::Policy(table, name)
            | User::Rule(table, name) => {
                self.lock(table, LockMode::AccessExclusive);
                self.catalog_mut().edit_table(table, |table| match user {
                    User::Default(..) => {
                        for column in table.columns.iter_mut().filter(|column| column.name == *name) {
                            column.default = None;
                        }
                    }
                    User::Trigger(..) => table.triggers.retain(|known| known.name != *name),
                    User::Policy(..) => table.policies.retain(|known| known.name != *name),
                    _ => table.rules.retain(|known| known.name != *name),
                });
            }
        }
        Ok(())
    }

    fn edit_domain(&mut self, name: &QualifiedName, edit: impl FnOnce(&mut Domain)) {
        let Some(known) = self.catalog().user_type(name).cloned() else { return };
        let UserTypeKind::Domain(mut domain) = known.kind.clone() else { return };
        edit(&mut domain);
        let changed = UserType { name: name.clone(), kind: UserTypeKind::Domain(domain) };
        self.catalog_mut().types.insert_mut(name.clone(), Arc::new(changed));
    }

    /// Everything that calls the function and is kept by the catalog.
    fn function_users(&self, name: &QualifiedName) -> Vec<User> {
        self.users_of_functions(&|function| self.find_function(function).as_ref() == Some(name))
    }

    fn users_of_functions(&self, is_meant: &dyn Fn(&QualifiedName) -> bool) -> Vec<User> {
        let calls = |expr: &SqlExpr| {
            let mut found = false;
            expr.node.walk(&mut |node| {
                if let ExprNode::Call { function, .. } = node {
                    found |= is_meant(function);
                }
            });
            found
        };
        let uses_index = |index: &crate::catalog::Index| {
            index.elements.iter().any(|element| matches!(&element.key, IndexKey::Expr(expr) if calls(expr)))
                || index.predicate.as_ref().is_some_and(calls)
        };
        let mut users = Vec::new();
        for (relation, view) in self.catalog().views() {
            if view.query.functions.iter().any(is_meant) {
                users.push(User::Relation(relation.clone()));
            }
            let of_view = view.indexes.iter().filter(|index| uses_index(index));
            users.extend(of_view.map(|index| User::Index(relation.clone(), index.name.clone())));
        }
        for table in self.catalog().tables() {
            if table.partition_by.as_ref().is_some_and(|partition_by| partition_by.expressions.iter().any(calls)) {
                users.push(User::Relation(table.name.clone()));
            }
            for column in &table.columns {
                if column.generated.as_ref().is_some_and(|generated| calls(&generated.expr)) {
                    users.push(User::Column(table.name.clone(), column.name.clone()));
                } else if column.default.as_ref().is_some_and(calls) {
                    users.push(User::Default(table.name.clone(), column.name.clone()));
                }
            }
            for constraint in &table.constraints {
                if matches!(&constraint.kind, ConstraintKind::Check { expr, .. } if calls(expr)) {
                    users.push(User::Constraint(table.name.clone(), constraint.name.clone()));
                }
            }
            for index in table.indexes.iter().filter(|index| uses_index(index)) {
                users.push(if index.constraint {
                    User::Constraint(table.name.clone(), index.name.clone())
                } else {
                    User::Index(table.name.clone(), index.name.clone())
                });
            }
            for trigger in &table.triggers {
                if is_meant(&trigger.function) || trigger.when.as_ref().is_some_and(calls) {
                    users.push(User::Trigger(table.name.clone(), trigger.name.clone()));
                }
            }
            let policies = table
                .policies
                .iter()
                .filter(|policy| policy.conditions().iter().any(|condition| condition.functions.iter().any(is_meant)));
            users.extend(policies.map(|policy| User::Policy(table.name.clone(), policy.name.clone())));
            let rules = table.rules.iter().filter(|rule| rule.functions.iter().any(is_meant));
            users.extend(rules.map(|rule| User::Rule(table.name.clone(), rule.name.clone())));
        }
        for user_type in self.catalog().types.values() {
            let UserTypeKind::Domain(domain) = &user_type.kind else { continue };
            let checks = domain.checks.iter().filter(|check| calls(&check.expr));
            users.extend(checks.map(|check| User::DomainCheck(user_type.name.clone(), check.name.clone())));
            if domain.default.as_ref().is_some_and(calls) {
                users.push(User::DomainDefault(user_type.name.clone()));
            }
        }
        for (other, overloads) in &self.catalog().functions {
            let in_body = overloads.iter().any(|function| {
                function.standard_body
                    && function.statements.as_ref().is_some_and(|statements| {
                        let mut queries = statements.iter().filter_map(super::other::query_of);
                        queries.any(|query| query.functions.iter().any(is_meant))
                    })
            });
            if in_body && !is_meant(other) {
                users.push(User::Function(other.clone()));
            }
        }
        users
    }

    /// Stored expressions mean the function, whatever its name.
    pub(super) fn rename_calls(&mut self, from: &QualifiedName, to: &QualifiedName) {
        let users = self.function_users(from);
        let meant = |function: &QualifiedName, run: &Self| run.find_function(function).as_ref() == Some(from);
        let mut tables: Vec<QualifiedName> = Vec::new();
        for user in users {
            if let Some(table) = user.table().filter(|table| !tables.contains(table)) {
                tables.push(table.clone());
            }
            match user {
                User::DomainCheck(domain, _) | User::DomainDefault(domain) => {
                    let run = self.clone_for_names();
                    self.edit_domain(&domain, |domain| {
                        let checks = domain.checks.iter_mut().map(|check| &mut check.expr);
                        for expr in checks.chain(&mut domain.default) {
                            rename_in(expr, &|function| meant(function, &run), to);
                        }
                    });
                }
                _ => {}
            }
        }
        let run = self.clone_for_names();
        let is_meant = |function: &QualifiedName| meant(function, &run);
        for table in tables {
            if self.catalog().view(&table).is_some() {
                self.catalog_mut().edit_view(&table, |view| {
                    let functions = view.query.functions.iter_mut().filter(|function| is_meant(function));
                    functions.for_each(|function| *function = to.clone());
                    for index in &mut view.indexes {
                        rename_in_index(index, &is_meant, to);
                    }
                });
                continue;
            }
            self.catalog_mut().edit_table(&table, |table| rename_in_table(table, &is_meant, to));
        }
    }

    /// The same catalog and settings, to look names up while the catalog changes.
    fn clone_for_names(&self) -> Self {
        Self::new(self.state.clone(), self.version, self.in_block)
    }

    /// The types of the overload that is meant.
    fn overload(&self, name: &QualifiedName, arguments: &[DataType]) -> Option<Vec<DataType>> {
        let wanted: Vec<DataType> = arguments
            .iter()
            .map(|argument| self.resolve_type(argument).unwrap_or_else(|_| argument.clone()))
            .map(|argument| DataType { modifiers: Vec::new(), ..argument })
            .collect();
        let overloads = self.catalog().functions(name).iter();
        let known = overloads.filter_map(|function| function.arguments.iter().cloned().collect::<Option<Vec<_>>>());
        let mut known = known.filter(|known| {
            let bare = known.iter().map(|known| DataType { modifiers: Vec::new(), ..known.clone() });
            bare.eq(wanted.iter().cloned())
        });
        known.next()
    }

    fn signature(&self, name: &str, arguments: &[DataType]) -> String {
        let shown = |argument: &DataType| {
            let known = self.resolve_type(argument).unwrap_or_else(|_| argument.clone());
            self.shown(&known)
        };
        format!("{name}({})", arguments.iter().map(shown).collect::<Vec<_>>().join(","))
    }

    /// 42883, unless the function may be the server's own or unknown here.
    pub(super) fn need_function(&self, kind: ObjectKind, name: &QualifiedName, arguments: Option<&[DataType]>) -> Step {
        let known = volatility::call(name, 0, self.catalog(), self.version, &|name| self.find_function(name));
        if self.catalog().is_incomplete() || !self.extensions_are_known() || known != Known::Unknown {
            return Ok(());
        }
        self.need_schema_of(name)?;
        let word = if kind == ObjectKind::Procedure { "procedure" } else { "function" };
        match arguments {
            Some(arguments) => {
                refuse("42883", format!("{word} {} does not exist", self.signature(&written(name), arguments)))
            }
            None => refuse("42883", format!("could not find a {word} named \"{}\"", written(name))),
        }
    }
}

fn rename_in_table(table: &mut Table, is_meant: &dyn Fn(&QualifiedName) -> bool, to: &QualifiedName) {
    for column in &mut table.columns {
        let generated = column.generated.as_mut().map(|generated| &mut generated.expr);
        for expr in generated.into_iter().chain(&mut column.default) {
            rename_in(expr, is_meant, to);
        }
    }
    for constraint in &mut table.constraints {
        match &mut constraint.kind {
            ConstraintKind::Check { expr, .. } => rename_in(expr, is_meant, to),
            ConstraintKind::Exclude { elements, predicate } => {
                for (element, _) in elements {
                    if let IndexKey::Expr(expr) = &mut element.key {
                        rename_in(expr, is_meant, to);
                    }
                }
                if let Some(predicate) = predicate {
                    rename_in(predicate, is_meant, to);
                }
            }
            _ => {}
        }
    }
    for index in &mut table.indexes {
        rename_in_index(index, is_meant, to);
    }
    for trigger in &mut table.triggers {
        if is_meant(&trigger.function) {
            trigger.function = to.clone();
        }
        if let Some(when) = &mut trigger.when {
            rename_in(when, is_meant, to);
        }
    }
    let conditions = table.policies.iter_mut().flat_map(Policy::conditions_mut);
    let of_policies = conditions.flat_map(|condition| &mut condition.functions);
    let of_rules = table.rules.iter_mut().flat_map(|rule| &mut rule.functions);
    for function in of_policies.chain(of_rules).filter(|function| is_meant(function)) {
        *function = to.clone();
    }
    if let Some(partition_by) = &mut table.partition_by {
        for expr in &mut partition_by.expressions {
            rename_in(expr, is_meant, to);
        }
    }
}

fn rename_in_index(index: &mut crate::catalog::Index, is_meant: &dyn Fn(&QualifiedName) -> bool, to: &QualifiedName) {
    for element in &mut index.elements {
        if let IndexKey::Expr(expr) = &mut element.key {
            rename_in(expr, is_meant, to);
        }
    }
    if let Some(predicate) = &mut index.predicate {
        rename_in(predicate, is_meant, to);
    }
}

fn rename_in(expr: &mut SqlExpr, is_meant: &dyn Fn(&QualifiedName) -> bool, to: &QualifiedName) {
    let mut pending = vec![Arc::make_mut(&mut expr.node)];
    while let Some(node) = pending.pop() {
        if let ExprNode::Call { function, .. } = node
            && is_meant(function)
        {
            *function = to.clone();
        }
        pending.extend(node.children_mut());
    }
}

/// `TypeNameToString`.
fn name_of_type(data_type: &DataType) -> String {
    format!("{}{}", written(&data_type.name), if data_type.is_array() { "[]" } else { "" })
}

//! What an object of the catalog is used by, in expressions and queries: what goes with it, and what follows its name.

use std::sync::Arc;

use super::{Run, Step, refuse};
use crate::catalog::{ConstraintKind, Domain, Policy, Table, UserType, UserTypeKind};
use crate::expr::{ExprNode, SqlExpr};
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{DropBehavior, IndexKey, Query};

/// The functions, or the types, that are meant: a test of the name that an expression has for it.
#[derive(Clone, Copy)]
pub(super) enum Meant<'a> {
    Function(&'a dyn Fn(&QualifiedName) -> bool),
    Type(&'a dyn Fn(&QualifiedName) -> bool),
}

impl Meant<'_> {
    /// The name in a node, where it is one of the kind that is meant.
    fn name_in<'n>(&self, node: &'n mut ExprNode) -> Option<&'n mut QualifiedName> {
        match (self, node) {
            (Self::Function(is_meant), ExprNode::Call { function, .. }) => Some(function).filter(|name| is_meant(name)),
            (Self::Type(is_meant), ExprNode::Cast { data_type, .. }) => {
                Some(&mut data_type.name).filter(|name| is_meant(name))
            }
            _ => None,
        }
    }

    fn is_in(&self, expr: &SqlExpr) -> bool {
        let mut found = false;
        expr.node.walk(&mut |node| {
            found |= match (self, node) {
                (Self::Function(is_meant), ExprNode::Call { function, .. }) => is_meant(function),
                (Self::Type(is_meant), ExprNode::Cast { data_type, .. }) => is_meant(&data_type.name),
                (_, ExprNode::Subquery { query, .. }) => self.is_in_query(query),
                _ => false,
            };
        });
        found
    }

    fn is_in_query(&self, query: &Query) -> bool {
        self.is_among(&query.functions, &query.types)
    }

    fn is_among(&self, functions: &[QualifiedName], types: &[QualifiedName]) -> bool {
        match self {
            Self::Function(is_meant) => functions.iter().any(is_meant),
            Self::Type(is_meant) => types.iter().any(is_meant),
        }
    }

    fn rename(&self, functions: &mut [QualifiedName], types: &mut [QualifiedName], to: &QualifiedName) {
        let (names, is_meant) = match self {
            Self::Function(is_meant) => (functions, is_meant),
            Self::Type(is_meant) => (types, is_meant),
        };
        for name in names.iter_mut().filter(|name| is_meant(name)) {
            *name = to.clone();
        }
    }
}

/// What uses an object and goes with it, each with its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum User {
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
    pub(super) fn drop_users(&mut self, users: &[User]) -> Step {
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

    /// Before 15 generated columns go with what they call, without CASCADE; what depends on them does not.
    pub(super) fn drop_or_refuse(
        &mut self,
        users: &[User],
        behavior: DropBehavior,
        message: impl Fn() -> String,
    ) -> Step {
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
    pub(super) fn function_users(&self, name: &QualifiedName) -> Vec<User> {
        self.users_of(Meant::Function(&|function| self.find_function(function).as_ref() == Some(name)))
    }

    /// Everything whose expression casts to the type. Columns of the type are no part of it.
    pub(super) fn type_users(&self, name: &QualifiedName) -> Vec<User> {
        self.users_of(Meant::Type(&|data_type| self.find_type(data_type).as_ref() == Some(name)))
    }

    pub(super) fn users_of(&self, meant: Meant<'_>) -> Vec<User> {
        let calls = |expr: &SqlExpr| meant.is_in(expr);
        let uses_index = |index: &crate::catalog::Index| {
            index.elements.iter().any(|element| matches!(&element.key, IndexKey::Expr(expr) if calls(expr)))
                || index.predicate.as_ref().is_some_and(calls)
        };
        let mut users = Vec::new();
        for (relation, view) in self.catalog().views() {
            if meant.is_in_query(&view.query) {
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
                let runs = matches!(meant, Meant::Function(is_meant) if is_meant(&trigger.function));
                if runs || trigger.when.as_ref().is_some_and(calls) {
                    users.push(User::Trigger(table.name.clone(), trigger.name.clone()));
                }
            }
            let in_policy = |policy: &&Policy| {
                policy.conditions().iter().any(|condition| meant.is_among(&condition.functions, &condition.types))
            };
            let policies = table.policies.iter().filter(in_policy);
            users.extend(policies.map(|policy| User::Policy(table.name.clone(), policy.name.clone())));
            let rules = table.rules.iter().filter(|rule| meant.is_among(&rule.functions, &rule.types));
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
                        queries.any(|query| meant.is_in_query(query))
                    })
            });
            let itself = matches!(meant, Meant::Function(is_meant) if is_meant(other));
            if in_body && !itself {
                users.push(User::Function(other.clone()));
            }
        }
        users
    }

    /// Stored expressions mean the function, whatever its name.
    pub(super) fn rename_calls(&mut self, from: &QualifiedName, to: &QualifiedName) {
        let (users, run) = (self.function_users(from), self.clone_for_names());
        let is_meant = |function: &QualifiedName| run.find_function(function).as_ref() == Some(from);
        self.rename_in_users(users, Meant::Function(&is_meant), to);
    }

    /// The same of a type that expressions cast to, before it has the new name.
    pub(super) fn rename_casts(&mut self, from: &QualifiedName, to: &QualifiedName) {
        let (users, run) = (self.type_users(from), self.clone_for_names());
        let is_meant = |data_type: &QualifiedName| run.find_type(data_type).as_ref() == Some(from);
        self.rename_in_users(users, Meant::Type(&is_meant), to);
    }

    fn rename_in_users(&mut self, users: Vec<User>, meant: Meant<'_>, to: &QualifiedName) {
        let mut tables: Vec<QualifiedName> = Vec::new();
        for user in users {
            if let Some(table) = user.table().filter(|table| !tables.contains(table)) {
                tables.push(table.clone());
            }
            if let User::DomainCheck(domain, _) | User::DomainDefault(domain) = user {
                self.edit_domain(&domain, |domain| {
                    let checks = domain.checks.iter_mut().map(|check| &mut check.expr);
                    for expr in checks.chain(&mut domain.default) {
                        rename_in(expr, meant, to);
                    }
                });
            }
        }
        for table in tables {
            if self.catalog().view(&table).is_some() {
                self.catalog_mut().edit_view(&table, |view| {
                    meant.rename(&mut view.query.functions, &mut view.query.types, to);
                    for index in &mut view.indexes {
                        rename_in_index(index, meant, to);
                    }
                });
                continue;
            }
            self.catalog_mut().edit_table(&table, |table| rename_in_table(table, meant, to));
        }
    }

    /// The same catalog and settings, to look names up while the catalog changes.
    fn clone_for_names(&self) -> Self {
        Self::new(self.state.clone(), self.version, self.in_block)
    }
}

fn rename_in_table(table: &mut Table, meant: Meant<'_>, to: &QualifiedName) {
    for column in &mut table.columns {
        let generated = column.generated.as_mut().map(|generated| &mut generated.expr);
        for expr in generated.into_iter().chain(&mut column.default) {
            rename_in(expr, meant, to);
        }
    }
    for constraint in &mut table.constraints {
        match &mut constraint.kind {
            ConstraintKind::Check { expr, .. } => rename_in(expr, meant, to),
            ConstraintKind::Exclude { elements, predicate } => {
                for (element, _) in elements {
                    if let IndexKey::Expr(expr) = &mut element.key {
                        rename_in(expr, meant, to);
                    }
                }
                if let Some(predicate) = predicate {
                    rename_in(predicate, meant, to);
                }
            }
            _ => {}
        }
    }
    for index in &mut table.indexes {
        rename_in_index(index, meant, to);
    }
    for trigger in &mut table.triggers {
        if matches!(meant, Meant::Function(is_meant) if is_meant(&trigger.function)) {
            trigger.function = to.clone();
        }
        if let Some(when) = &mut trigger.when {
            rename_in(when, meant, to);
        }
    }
    for condition in table.policies.iter_mut().flat_map(Policy::conditions_mut) {
        meant.rename(&mut condition.functions, &mut condition.types, to);
    }
    for rule in &mut table.rules {
        meant.rename(&mut rule.functions, &mut rule.types, to);
    }
    if let Some(partition_by) = &mut table.partition_by {
        for expr in &mut partition_by.expressions {
            rename_in(expr, meant, to);
        }
    }
}

fn rename_in_index(index: &mut crate::catalog::Index, meant: Meant<'_>, to: &QualifiedName) {
    for element in &mut index.elements {
        if let IndexKey::Expr(expr) = &mut element.key {
            rename_in(expr, meant, to);
        }
    }
    if let Some(predicate) = &mut index.predicate {
        rename_in(predicate, meant, to);
    }
}

fn rename_in(expr: &mut SqlExpr, meant: Meant<'_>, to: &QualifiedName) {
    let mut pending = vec![Arc::make_mut(&mut expr.node)];
    while let Some(node) = pending.pop() {
        if let Some(name) = meant.name_in(node) {
            *name = to.clone();
        }
        pending.extend(node.children_mut());
    }
}

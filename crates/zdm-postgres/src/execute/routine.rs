//! Functions and procedures: what is known of their bodies, and what runs with a statement besides itself.
//!
//! A body in SQL that is understood is executed on a copy of the state, and what it does is told as "may": the planner
//! inlines it, leaves it out, or runs it once for each row. Every other body is opaque, and said to be so.

use std::sync::Arc;

use super::users::{Meant, User};
use super::{Run, Step, refuse, written};
use crate::cast::{self, Change, Context, TimeZone};
use crate::catalog::{Catalog, Function};
use crate::data_type::{DataType, quoted_if_needed};
use crate::effects::{Refusal, UncertainEffect};
use crate::expr::ExprNode;
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{
    CreateFunction, DropBehavior, DropObjects, IndexKey, ObjectKind, Persistence, Query, Statement, Volatility,
};
use crate::typing::{self, Value};
use crate::volatility::{self, Known};

/// Functions that call functions end; only a circle does not.
const DEEPEST: u8 = 8;

/// Functions of the server that open relations: definitions are printed of what is locked, trees are walked, and
/// queries run that are written as text.
const LOOKING: [&str; 21] = [
    "pg_get_viewdef",
    "pg_get_ruledef",
    "pg_get_functiondef",
    "pg_get_function_sqlbody",
    "pg_partition_tree",
    "pg_describe_object",
    "satisfies_hash_partition",
    "ts_stat",
    "ts_rewrite",
    "query_to_xml",
    "query_to_xml_and_xmlschema",
    "query_to_xmlschema",
    "table_to_xml",
    "table_to_xml_and_xmlschema",
    "schema_to_xml",
    "schema_to_xml_and_xmlschema",
    "database_to_xml",
    "database_to_xml_and_xmlschema",
    "brin_summarize_new_values",
    "brin_summarize_range",
    "gin_clean_pending_list",
];

/// The server's views that print what others are defined as.
const PRINTING: [&str; 5] = ["pg_views", "pg_matviews", "pg_rules", "views", "routines"];

impl Run {
    pub(super) fn create_function(&mut self, create: &CreateFunction) -> Step {
        if create.standard_body {
            let returns = create.body.as_ref().is_some_and(|body| !body.to_ascii_uppercase().starts_with("BEGIN"));
            self.since(14, if returns { "RETURN" } else { "BEGIN" })?;
        }
        let name = self.creation_name(&create.name, Persistence::Permanent);
        if create.procedure && !create.all_arguments.is_empty() && !self.version.at_least(14) {
            return refuse("0A000", "procedures cannot have OUT arguments");
        }
        refuse_fault(create.faults.options.as_deref())?;
        // A function in C may come before its type.
        let named = create.language.as_ref().is_some_and(|language| !matches!(language.as_str(), "c" | "internal"));
        let resolved = |data_type: &Option<DataType>| match data_type {
            Some(data_type) if named => self.resolve_type(data_type).map(Some),
            Some(data_type) => Ok(Some(self.resolve_type(data_type).unwrap_or_else(|_| data_type.clone()))),
            None => Ok(None),
        };
        let types = |arguments: &[Option<DataType>]| {
            let types = arguments.iter().map(|argument| match (resolved(argument), argument) {
                (Err(refusal), Some(argument)) if refusal.sqlstate == "42704" => {
                    refuse("42704", format!("type {} does not exist", name_of_type(argument)))
                }
                (resolved, _) => resolved,
            });
            types.collect::<Step<Vec<_>>>()
        };
        let all_arguments = types(&create.all_arguments)?;
        let arguments = types(&create.arguments)?;
        refuse_fault(create.faults.arguments.as_deref())?;
        let returns = match (resolved(&create.returns), &create.returns) {
            (Err(refusal), Some(returns)) if refusal.sqlstate == "42704" => {
                return refuse("42704", format!("type \"{}\" does not exist", name_of_type(returns)));
            }
            (resolved, _) => resolved?,
        };
        self.check_results(create, &types(&create.results)?, returns.as_ref())?;
        refuse_fault(create.faults.result.as_deref())?;
        let mut function = Function {
            procedure: create.procedure,
            arguments,
            all_arguments,
            argument_names: create.argument_names.clone(),
            defaults: create.defaults,
            returns,
            returns_set: create.returns_set,
            language: create.language.clone(),
            volatility: create.volatility,
            body: create.body.clone(),
            statements: create.statements.clone().map(Arc::new),
            standard_body: create.standard_body,
            dependencies: Vec::new(),
        };
        let mut overloads: Vec<Function> = self.catalog().functions(&name).to_vec();
        let known = overloads.iter().position(|known| known.arguments == function.arguments);
        match known.and_then(|place| overloads.get(place)) {
            Some(known) if create.or_replace => check_replacement(known, &function)?,
            Some(known) if known.arguments.iter().all(Option::is_some) => {
                return refuse("42723", format!("function \"{}\" already exists with same argument types", name.name));
            }
            _ => {}
        }
        self.validate_trigger_function(create)?;
        function.dependencies = self.analyse_body(create)?;
        match known.and_then(|place| overloads.get_mut(place)).filter(|_| create.or_replace) {
            Some(known) => *known = function,
            None => overloads.push(function),
        }
        self.catalog_mut().functions.insert_mut(name, Arc::new(overloads));
        Ok(())
    }

    /// What is returned is what the arguments say that are OUT or INOUT: one value, or a row.
    fn check_results(&self, create: &CreateFunction, results: &[Option<DataType>], returns: Option<&DataType>) -> Step {
        let required = match results {
            _ if create.procedure => return Ok(()),
            [Some(one)] => one.clone(),
            [] | [None] => return Ok(()),
            _ => DataType::named("record"),
        };
        let bare = |data_type: &DataType| DataType { modifiers: Vec::new(), ..data_type.clone() };
        match returns {
            Some(returns) if bare(returns) != bare(&required) => refuse(
                "42P13",
                format!("function result type must be {} because of OUT parameters", self.shown(&required)),
            ),
            _ => Ok(()),
        }
    }

    /// The validators of SQL and PL/pgSQL: what a function of triggers is.
    fn validate_trigger_function(&self, create: &CreateFunction) -> Step {
        let Some(kind) = create.returns.as_ref().filter(|returns| !returns.is_array()) else { return Ok(()) };
        let (shown, word) = match kind.name.name.as_str() {
            "trigger" => ("trigger", "trigger"),
            "event_trigger" => ("event_trigger", "event trigger"),
            _ => return Ok(()),
        };
        let language = create.language.as_ref().map_or("sql", Ident::as_str);
        let takes = !create.arguments.is_empty() || !create.all_arguments.is_empty();
        match language {
            "sql" => refuse("42P13", format!("SQL functions cannot return type {shown}")),
            "plpgsql" if takes && self.checks_bodies() => {
                refuse("42P13", format!("{word} functions cannot have declared arguments"))
            }
            _ => Ok(()),
        }
    }

    fn checks_bodies(&self) -> bool {
        !matches!(
            self.state.settings.get("check_function_bodies").map(str::to_ascii_lowercase).as_deref(),
            Some("off" | "false" | "no" | "0")
        )
    }

    /// The server looks up what an SQL body names; a body of the standard's form depends on it from then on.
    fn analyse_body(&mut self, create: &CreateFunction) -> Step<Vec<(QualifiedName, Vec<Ident>)>> {
        let checked = self.checks_bodies();
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
            for modified in &query.modifies {
                if let Statement::Insert(dml) | Statement::Update(dml) | Statement::Delete(dml) = modified {
                    let table = self.open(&dml.table)?;
                    self.lock(&table, LockMode::RowExclusive);
                }
            }
            self.parse_query(query)?;
            self.check_names_of_body(query, create)?;
            for relation in &query.relations {
                let relation = self.open(relation)?;
                let columns = self.columns_read(&relation, query);
                dependencies.push((relation, columns));
            }
        }
        if !create.procedure {
            self.check_result(create, statements)?;
        }
        Ok(if create.standard_body { dependencies } else { Vec::new() })
    }

    /// `check_sql_fn_retval`: what the last statement gives is what the function is declared to return, one value of the type
    /// or a row, each of whose columns is assigned to its own.
    fn check_result(&self, create: &CreateFunction, statements: &[Statement]) -> Step {
        let several: Option<Vec<DataType>> = create.results.iter().cloned().collect();
        let (returns, wanted) = match (several.as_deref(), &create.returns) {
            (Some([only]), _) | (Some([]), Some(only)) => (only.clone(), vec![only.clone()]),
            (Some(several), _) if several.len() > 1 => (DataType::named("record"), several.to_vec()),
            _ => return Ok(()),
        };
        let resolved = self.resolve_type(&returns)?;
        if wanted.len() == 1
            && (super::domain::is_pseudo_type(&resolved)
                || !matches!(typing::value_of(self.catalog(), &resolved), Value::Known(_)))
        {
            return Ok(());
        }
        let mismatch = || {
            let shown = self.shown(&resolved);
            refuse("42P13", format!("return type mismatch in function declared to return {shown}"))
        };
        let query = match statements.last() {
            None => return mismatch(),
            Some(Statement::Select(query)) => query,
            Some(Statement::Insert(dml) | Statement::Update(dml) | Statement::Delete(dml)) => {
                if !dml.query.says(&["returning"]) {
                    return mismatch();
                }
                if dml.query.selects.iter().all(|select| select.returning.is_empty()) {
                    return Ok(());
                }
                &dml.query
            }
            Some(_) => return Ok(()),
        };
        let Some(given) = self.columns_of_query(query) else { return Ok(()) };
        // One column may be a whole row.
        if wanted.len() > 1 && given.len() == 1 && given.iter().all(|(_, data_type)| data_type.is_none()) {
            return Ok(());
        }
        let fits = |(wanted, (_, given)): (&DataType, &(Option<Ident>, Option<DataType>))| {
            let (Ok(wanted), Some(given)) = (self.resolve_type(wanted), given) else { return true };
            if self.version.at_least(13) || given.name == wanted.name {
                return super::domain::is_pseudo_type(&wanted) || cast::is_assignable(self.catalog(), given, &wanted);
            }
            // Before, no cast was added.
            let any_length = DataType { modifiers: Vec::new(), ..wanted.clone() };
            let change = cast::change(self.catalog(), given, &any_length, Context::Implicit, TimeZone::Unknown);
            super::domain::is_pseudo_type(&wanted) || change == Change::Free
        };
        if given.len() == wanted.len() && wanted.iter().zip(&given).all(fits) { Ok(()) } else { mismatch() }
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
        // A function of a row may be called like a column.
        for (qualifier, name) in &query.qualified {
            let called = |alias: &Ident| qualifier.as_ref() == Some(alias);
            let Some((_, relation)) = query.aliases.iter().find(|(alias, _)| called(alias)) else { continue };
            let table = self.find(relation).and_then(|relation| self.catalog().table(&relation));
            let column = table.is_none_or(|table| table.is_vague() || table.column(name.as_str()).is_some());
            let function = QualifiedName::as_written(None, name.clone());
            if !column && self.find_function(&function).is_some() {
                self.run_function(&function, Some(1), true);
            }
        }
    }

    /// Reading one of the server's views may print definitions, for which relations are locked.
    pub(super) fn run_printing_view(&mut self, name: &QualifiedName) {
        let own = name.schema.as_ref().is_some_and(super::is_system_schema);
        if own && PRINTING.contains(&name.name.as_str()) {
            self.unread(format!("which definitions {name} prints"));
        }
    }

    /// What the server's own function looks at, where that follows from its arguments.
    fn run_reader(&mut self, written: &QualifiedName) {
        if LOOKING.contains(&written.name.as_str()) {
            self.unread(format!("which relations {}() looks at", written.name));
        }
    }

    /// One call. `schema`: it may change the catalog as well.
    pub(super) fn run_function(&mut self, written: &QualifiedName, arguments: Option<usize>, schema: bool) {
        let Some(name) = self.find_function(written) else {
            let known = volatility::call(written, arguments.unwrap_or(0), self.catalog(), self.version, &|name| {
                self.find_function(name)
            });
            self.run_reader(written);
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
                        self.body_may_change_catalog(&name);
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
        let changes = statements.iter().any(super::changes_schema);
        for statement in statements {
            if inside.execute(statement).is_err() {
                self.unread(format!("the body of function {name}()"));
                if changes {
                    self.body_may_change_catalog(name);
                }
                return;
            }
        }
        if changes {
            self.body_may_change_catalog(name);
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

    /// Whether and how often it runs is not known, and so not what it leaves behind.
    fn body_may_change_catalog(&mut self, name: &QualifiedName) {
        let bodies: Vec<String> =
            self.catalog().functions(name).iter().filter_map(|function| function.body.clone()).collect();
        self.catalog_mut().mark_incomplete();
        for body in bodies {
            let words = ["create", "alter", "drop", "rename", "execute", "call"];
            let lower = body.to_lowercase();
            let mut of_body = lower.split(|character: char| !character.is_alphanumeric() && character != '_');
            if of_body.any(|word| words.contains(&word)) {
                self.catalog_mut().mark_named_uncertain(&body);
            }
        }
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
fn refuse_fault(fault: Option<&Refusal>) -> Step {
    fault.map_or(Ok(()), |fault| Err(fault.clone()))
}

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
            if let Some(arguments) = arguments {
                self.warn_of_two_procedures(&name, arguments);
                self.need_kind(drop.kind, written_name, &name, arguments)?;
            }
            if arguments.is_none() && !self.version.at_least(14) {
                // The name was looked for among all kinds.
                match self.catalog().functions(&name) {
                    [one] if !is_of_kind(one, drop.kind) => {
                        let word = word_of(drop.kind);
                        let shown = self.spaced_signature(written_name, &[]);
                        return refuse("42809", format!("{shown} is not a {word}"));
                    }
                    [_] => {}
                    _ => return not_unique(drop.kind, written_name),
                }
            }
            let of_kind: Vec<&Function> =
                self.catalog().functions(&name).iter().filter(|function| is_of_kind(function, drop.kind)).collect();
            // Without a list those of another kind are not looked at.
            let only: Option<Vec<DataType>> = match (arguments, of_kind.as_slice()) {
                (None, []) if drop.if_exists => continue,
                (None, []) => return self.need_function_of_kind(drop.kind, written_name),
                (None, [one]) if self.catalog().functions(&name).len() > 1 => one.arguments.iter().cloned().collect(),
                _ => None,
            };
            let arguments = arguments.or(only.as_deref());
            let [function] = self.catalog().functions(&name) else {
                // What calls which of the overloads, the name alone does not say.
                let Some(arguments) = arguments else {
                    return not_unique(drop.kind, written_name);
                };
                match self.overload(&name, arguments) {
                    Some(found) => overloaded.push((name, found)),
                    None if self.has_no_other(&name) && drop.if_exists => {}
                    None if self.has_no_other(&name) => {
                        return self.missing_routine(drop.kind, written_name, arguments);
                    }
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
                    return self.missing_routine(drop.kind, written_name, arguments);
                }
                continue;
            }
            // With its schema where the bare name means nothing or another one.
            let bare = QualifiedName::as_written(None, name.name.clone());
            let visible = self.find_function(&bare).as_ref() == Some(&name);
            let schema = name.schema.as_ref().filter(|_| !visible);
            let schema = schema.map(|schema| format!("{}.", quoted_if_needed(schema))).unwrap_or_default();
            let shown = format!("{schema}{}", quoted_if_needed(&name.name));
            signature = self.signature(&shown, &known.unwrap_or_default(), ",");
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

    /// Whether all overloads of the name are known with their types.
    fn has_no_other(&self, name: &QualifiedName) -> bool {
        let own = volatility::call(name, 0, &Catalog::new(), self.version, &|_| None);
        let known =
            self.catalog().functions(name).iter().all(|function| function.arguments.iter().all(Option::is_some));
        known && own == Known::Unknown && !self.catalog().is_incomplete() && self.extensions_are_known()
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
    pub(super) fn leave_overloads(&mut self, name: &QualifiedName, left: Vec<Function>) {
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

    /// What needs an extension: calls of its functions, and indexes by its operator classes.
    pub(super) fn drop_users_of_extension(&mut self, name: &Ident, behavior: DropBehavior) -> Step {
        let extension = name.as_str();
        let mut users = self.users_of(Meant::Function(&|function| {
            let name = function.name.as_str();
            // The server has a function of that name itself, which is found first.
            let own = name == "gen_random_uuid" && self.version.at_least(13);
            !own && crate::volatility::extension_of_function(name).is_some_and(|(known, _)| known == extension)
                && self.find_function(function).is_none()
        }));
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

    /// 42725 where no mode is written and the list names one procedure by its input and one by all of its arguments.
    fn warn_of_two_procedures(&mut self, name: &QualifiedName, arguments: &[DataType]) {
        let named = self.catalog().functions(name).iter().filter(|function| {
            let count = arguments.len();
            function.procedure && (function.arguments.len() == count || function.all_arguments.len() == count)
        });
        if named.count() > 1 {
            self.may_fail_always("42725", format!("procedure name \"{}\" is not unique", name.name));
        }
    }

    /// The types of the overload that is meant.
    pub(super) fn overload(&self, name: &QualifiedName, arguments: &[DataType]) -> Option<Vec<DataType>> {
        let wanted: Vec<DataType> = arguments
            .iter()
            .map(|argument| self.resolve_type(argument).unwrap_or_else(|_| argument.clone()))
            .map(|argument| DataType { modifiers: Vec::new(), ..argument })
            .collect();
        let is_wanted = |types: &[Option<DataType>]| {
            let bare = types
                .iter()
                .map(|known| known.as_ref().map(|known| DataType { modifiers: Vec::new(), ..known.clone() }));
            bare.eq(wanted.iter().cloned().map(Some))
        };
        let overloads = self.catalog().functions(name);
        let by_inputs = overloads.iter().find(|function| is_wanted(&function.arguments));
        // A procedure may be named by all of its arguments, since 14.
        let by_all = overloads
            .iter()
            .find(|function| function.procedure && self.version.at_least(14) && is_wanted(&function.all_arguments));
        by_inputs.or(by_all)?.arguments.iter().cloned().collect()
    }

    fn signature(&self, name: &str, arguments: &[DataType], separator: &str) -> String {
        let shown = |argument: &DataType| {
            let known = self.resolve_type(argument).unwrap_or_else(|_| argument.clone());
            self.shown(&known)
        };
        format!("{name}({})", arguments.iter().map(shown).collect::<Vec<_>>().join(separator))
    }

    fn missing_routine(&self, kind: ObjectKind, name: &QualifiedName, arguments: &[DataType]) -> Step {
        let word = word_of(kind);
        refuse("42883", format!("{word} {} does not exist", self.spaced_signature(name, arguments)))
    }

    /// `func_signature_string`.
    pub(super) fn spaced_signature(&self, name: &QualifiedName, arguments: &[DataType]) -> String {
        self.signature(&written(name), arguments, ", ")
    }

    /// 42883 where none of the routines of that name takes these arguments.
    pub(super) fn need_overload(
        &self,
        kind: ObjectKind,
        written_name: &QualifiedName,
        name: &QualifiedName,
        arguments: &[DataType],
    ) -> Step {
        let known = |function: &Function| function.arguments.iter().chain(&function.all_arguments).all(Option::is_some);
        if self.overload(name, arguments).is_none() && self.catalog().functions(name).iter().all(known) {
            return self.missing_routine(kind, written_name, arguments);
        }
        Ok(())
    }

    /// 42809 where the list names a routine of another kind.
    pub(super) fn need_kind(
        &self,
        kind: ObjectKind,
        written_name: &QualifiedName,
        name: &QualifiedName,
        arguments: &[DataType],
    ) -> Step {
        let Some(types) = self.overload(name, arguments) else { return Ok(()) };
        let meant = self
            .catalog()
            .functions(name)
            .iter()
            .find(|function| function.arguments.iter().map(Option::as_ref).eq(types.iter().map(Some)));
        if meant.is_none_or(|function| is_of_kind(function, kind)) {
            return Ok(());
        }
        let word = word_of(kind);
        refuse("42809", format!("{} is not a {word}", self.spaced_signature(written_name, arguments)))
    }

    fn need_function_of_kind(&self, kind: ObjectKind, name: &QualifiedName) -> Step {
        let known = volatility::call(name, 0, &Catalog::new(), self.version, &|_| None);
        if self.catalog().is_incomplete() || !self.extensions_are_known() || known != Known::Unknown {
            return Ok(());
        }
        let word = word_of(kind);
        refuse("42883", format!("could not find a {word} named \"{}\"", written(name)))
    }

    /// 42725 where a name without arguments stands for several.
    pub(super) fn need_only_one(&self, kind: ObjectKind, written: &QualifiedName, name: &QualifiedName) -> Step {
        let of_kind = self.catalog().functions(name).iter().filter(|function| is_of_kind(function, kind));
        if of_kind.count() > 1 { not_unique(kind, written) } else { Ok(()) }
    }

    /// 42883, unless the function may be the server's own or unknown here.
    pub(super) fn need_function(&self, kind: ObjectKind, name: &QualifiedName, arguments: Option<&[DataType]>) -> Step {
        let known = volatility::call(name, 0, self.catalog(), self.version, &|name| self.find_function(name));
        if self.catalog().is_incomplete() || !self.extensions_are_known() || known != Known::Unknown {
            return Ok(());
        }
        self.need_schema_of(name)?;
        let word = word_of(kind);
        match arguments {
            Some(arguments) => self.missing_routine(kind, name, arguments),
            None => refuse("42883", format!("could not find a {word} named \"{}\"", written(name))),
        }
    }
}

/// What a routine is called in refusals; of any kind it is a function.
fn word_of(kind: ObjectKind) -> &'static str {
    if kind == ObjectKind::Procedure { "procedure" } else { "function" }
}

fn not_unique(kind: ObjectKind, name: &QualifiedName) -> Step {
    let word = if kind == ObjectKind::Routine { "routine" } else { word_of(kind) };
    refuse("42725", format!("{word} name \"{}\" is not unique", written(name)))
}

const fn is_of_kind(function: &Function, kind: ObjectKind) -> bool {
    match kind {
        ObjectKind::Procedure => function.procedure,
        ObjectKind::Function => !function.procedure,
        _ => true,
    }
}

/// `TypeNameToString`.
fn name_of_type(data_type: &DataType) -> String {
    format!("{}{}", written(&data_type.name), if data_type.is_array() { "[]" } else { "" })
}

//! Statements that are short: settings, sequences, triggers, rules, policies, explicit locks, and what is opaque.

use std::sync::Arc;

use super::{Run, Step, not_for_relation, refuse, written};
use crate::catalog::{Policy, PolicyCondition, Relation, Rule, Sequence, Trigger};
use crate::data_type::quoted_if_needed;
use crate::effects::UncertainEffect;
use crate::expr::{ExprNode, SqlExpr};
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName, Written};
use crate::statement::{
    AlterTable, AlterTableAction, CreateSequence, CreateTrigger, DropBehavior, DropObjects, ObjectKind, Opaque,
    SchemaName, SequenceOptions, Statement,
};
use crate::typing::Place;

impl Run {
    pub(super) fn other(&mut self, statement: &Statement) -> Step {
        match statement {
            Statement::Set(parameter) => {
                // Which roles and tablespaces there are is the cluster's affair.
                if matches!(parameter.name.as_str(), "role" | "session_authorization" | "default_tablespace") {
                    self.may_fail_always("22023", format!("what {} is set to does not exist", parameter.name));
                }
                self.check_parameter(&parameter.name, parameter.value.as_deref())?;
                self.state.set(parameter);
            }
            Statement::Reset { parameter } => {
                if let Some(name) = parameter {
                    self.need_parameter(name)?;
                }
                self.state.reset(parameter.as_deref());
            }
            Statement::CreateView(create) => return self.create_view(create),
            Statement::RefreshMaterializedView { name, concurrently, with_data } => {
                return self.refresh(name, *concurrently, *with_data);
            }
            Statement::CreateSequence(create) => return self.create_sequence(create),
            Statement::AlterSequence { name, if_exists, options } => {
                return self.alter_sequence(name, *if_exists, options);
            }
            Statement::CreateType { name, definition } => return self.create_type(name, definition),
            Statement::AlterType { name, action } => return self.alter_type(name, action),
            Statement::CreateDomain(create) => return self.create_domain(create),
            Statement::AlterDomain { name, action } => return self.alter_domain(name, action),
            Statement::CreateFunction(create) => return self.create_function(create),
            Statement::CreateTrigger(create) => return self.create_trigger(create),
            Statement::CreateRule { .. } => return self.create_rule(statement),
            Statement::CreatePolicy { table, roles, command, using, with_check, relations, name } => {
                let command = command.as_ref().map(Ident::as_str);
                if with_check.is_some() && matches!(command, Some("select" | "delete")) {
                    return refuse("42601", "WITH CHECK cannot be applied to SELECT or DELETE");
                }
                if using.is_some() && command == Some("insert") {
                    return refuse("42601", "only WITH CHECK expression allowed for INSERT");
                }
                for role in roles {
                    self.need_role(role);
                }
                return self.create_policy(name, table, command, &[using, with_check], relations);
            }
            Statement::AlterPolicy { name, table, roles, using, with_check, relations } => {
                for role in roles {
                    self.need_role(role);
                }
                let table = self.open(table)?;
                self.check_policy(&table, &[using, with_check], relations)?;
                if !self.has_object(&table, ObjectKind::Policy, name) {
                    return missing_object(ObjectKind::Policy, name, &table);
                }
                let known = self.table(&table);
                let command = known.policies.iter().find(|policy| policy.name == *name);
                match command.and_then(|policy| policy.command.as_ref()).map(Ident::as_str) {
                    Some("select" | "delete") if with_check.is_some() => {
                        return refuse("42601", "only USING expression allowed for SELECT, DELETE");
                    }
                    Some("insert") if using.is_some() => {
                        return refuse("42601", "only WITH CHECK expression allowed for INSERT");
                    }
                    _ => {}
                }
                let conditions = [using, with_check]
                    .map(|condition| condition.as_ref().map(|condition| self.policy_condition(&table, condition)));
                self.catalog_mut().edit_table(&table, |table| {
                    for policy in table.policies.iter_mut().filter(|policy| policy.name == *name) {
                        for (known, condition) in policy.conditions_mut().into_iter().zip(conditions.clone()) {
                            *known = condition.unwrap_or_else(|| std::mem::take(known));
                        }
                    }
                });
            }
            Statement::AlterOnTable { kind, name, table, rename_to, no } => {
                if *no {
                    self.since(13, "NO")?;
                }
                return self.alter_on_table(*kind, name, table, rename_to.as_ref());
            }
            Statement::CreateSchema { name, if_not_exists, elements } => {
                return self.create_schema(name, *if_not_exists, elements);
            }
            Statement::AlterStatisticsTarget { name, if_exists } => {
                self.since(13, "STATISTICS")?;
                let known = super::candidates(self.catalog(), &self.state.settings, name)
                    .any(|candidate| self.catalog().statistics.contains_key(&candidate));
                if !known && !if_exists && !self.catalog().is_incomplete() {
                    self.need_schema_of(name)?;
                    return refuse("42704", format!("statistics object \"{}\" does not exist", written(name)));
                }
            }
            Statement::SecurityLabel { kind, name } => {
                self.effects.may_fail.push(crate::effects::MayFail {
                    sqlstate: "22023",
                    condition: "no provider of security labels is loaded".to_owned(),
                });
                return self.comment(*kind, name, None);
            }
            Statement::MoveAll { kind, from, .. } => self.move_all(*kind, from),
            Statement::CreateExtension { name, if_not_exists, schema } => {
                if !self.catalog().has_extension(name.as_str()) {
                    self.catalog_mut().extensions.insert_mut(name.clone(), ());
                    self.relations_of_extension(name, schema.as_ref());
                } else if !if_not_exists {
                    return refuse("42710", format!("extension \"{name}\" already exists"));
                }
            }
            Statement::AlterExtensionMember { extension, drop, kind, member } => {
                if !self.catalog().has_extension(extension.as_str()) && !self.catalog().is_incomplete() {
                    return refuse("42704", format!("extension \"{extension}\" does not exist"));
                }
                let relation = matches!(
                    kind,
                    ObjectKind::Table
                        | ObjectKind::View
                        | ObjectKind::MaterializedView
                        | ObjectKind::Sequence
                        | ObjectKind::ForeignTable
                );
                if relation {
                    let member = self.open(member)?;
                    self.lock(&member, LockMode::ShareUpdateExclusive);
                }
                if *drop {
                    self.may_fail_always("55000", format!("it is not a member of extension {extension}"));
                }
            }
            Statement::CreateStatistics { name, table, if_not_exists, kinds, elements } => {
                return self.create_statistics(name.as_ref(), table, *if_not_exists, kinds, elements);
            }
            Statement::CreatePublication { name, all_tables, objects, options } => {
                return self.create_publication(name, *all_tables, objects, options);
            }
            Statement::AlterPublication { name, change, objects, options } => {
                return self.alter_publication(name, *change, objects, options);
            }
            Statement::CreateOther {
                kind: ObjectKind::Operator | ObjectKind::OperatorClass | ObjectKind::Cast | ObjectKind::Other,
                ..
            } => self.catalog_mut().mark_own_operators(),
            Statement::CreateOther { kind: ObjectKind::EventTrigger, name } => {
                for sqlstate in ["42883", "42P17"] {
                    self.may_fail_always(sqlstate, "there is no such function of the type event_trigger");
                }
                if self.catalog().event_triggers.contains_key(&name.name) {
                    return refuse("42710", format!("event trigger \"{}\" already exists", name.name));
                }
                self.catalog_mut().event_triggers.insert_mut(name.name.clone(), ());
            }
            Statement::AlterOther { kind, name, arguments, rename_to, set_schema, volatility } => {
                if let Some(volatility) = volatility {
                    self.set_volatility(name, arguments.as_deref(), *volatility);
                } else if rename_to.is_none() && set_schema.is_none() {
                    self.may_fail_always("42704", "a role or another object that it names does not exist");
                    if *kind == ObjectKind::Other {
                        self.may_fail_always("3F000", "a schema that it names does not exist");
                    }
                }
                let arguments = arguments.as_deref();
                return self.alter_other_object(*kind, name, arguments, rename_to.as_ref(), set_schema.as_ref());
            }
            Statement::Comment { kind, name, column, on, text } => {
                self.comment(*kind, name, on.as_ref())?;
                if let Some(column) = column {
                    self.comment_column(name, column, text)?;
                }
            }
            Statement::Grant { kind, names, schemas, privileges, passed_on_by_all, .. } => {
                self.grant(*kind, names, schemas, privileges)?;
                if *passed_on_by_all && !(names.is_empty() && schemas.is_empty()) {
                    return self.refuse_option_of_all(*kind, names, schemas);
                }
            }
            Statement::Copy { table, from, columns, query } => {
                if let Some(query) = query {
                    return self.execute(query);
                }
                return self.copy(table.as_ref(), *from, columns);
            }
            Statement::Vacuum { full, truncate, options, tables, only, columns } => {
                self.check_vacuum_options(options, !columns.is_empty())?;
                self.vacuum(tables, only, *full, *truncate)?;
                return self.check_analyzed_columns(columns);
            }
            Statement::Analyze { options, tables, only, columns } => {
                self.check_analyze_options(options)?;
                self.analyze(tables, only)?;
                return self.check_analyzed_columns(columns);
            }
            Statement::Cluster { table, index } => return self.cluster(table.as_ref(), index.as_ref()),
            Statement::Lock { tables, mode, .. } => {
                for (table, only) in tables {
                    let name = self.open(table)?;
                    let lockable = match self.catalog().relation(&name) {
                        Some(Relation::Index { .. } | Relation::Sequence(_)) => false,
                        Some(Relation::View(view)) => !view.materialized,
                        _ => true,
                    };
                    if !lockable {
                        return refuse(
                            "42809",
                            if self.version.at_least(15) {
                                format!("cannot lock relation \"{}\"", name.name)
                            } else {
                                format!("\"{}\" is not a table or view", name.name)
                            },
                        );
                    }
                    self.lock_tree(&name, *mode, only.0, 0);
                }
            }
            Statement::Reindex(reindex) => return self.reindex(reindex),
            // Whatever these do, the catalog does not know of it.
            Statement::Opaque(Opaque { refusal: Some(refusal), .. }) => return refuse("42601", refusal.clone()),
            Statement::Opaque(opaque) => {
                self.unread("a statement that is not understood");
                self.catalog_mut().mark_incomplete();
                self.catalog_mut().mark_named_uncertain(&opaque.text);
            }
            Statement::Do { body, .. } => {
                self.unread("the DO block");
                self.catalog_mut().mark_incomplete();
                self.catalog_mut().mark_named_uncertain(body);
            }
            Statement::Call { procedure } => {
                self.unread(format!("the body of procedure {procedure}()"));
                self.catalog_mut().mark_incomplete();
                // A procedure's text is not at hand.
                self.catalog_mut().mark_named_uncertain("call");
            }
            Statement::CreateOther { kind: ObjectKind::Role, name } => {
                let role = &name.name;
                if matches!(role.as_str(), "public" | "none") || role.as_str().starts_with("pg_") {
                    return refuse("42939", format!("role name \"{role}\" is reserved"));
                }
                self.may_fail_always("42710", format!("role {role} already exists"));
            }
            Statement::DropOwned { .. } => {
                self.may_fail_always("42704", "the role does not exist");
                self.unread("which objects belong to the role");
                self.catalog_mut().mark_incomplete();
                self.catalog_mut().mark_all_uncertain();
            }
            Statement::ReassignOwned { .. } => {
                self.may_fail_always("42704", "the role does not exist");
                self.unread("which objects belong to the role");
            }
            Statement::Session { command, name, statement: Some(statement) } => {
                match name {
                    Some(name) if command == "PREPARE" && self.state.prepared.contains_key(name) => {
                        return refuse("42P05", format!("prepared statement \"{name}\" already exists"));
                    }
                    Some(name) if command == "DECLARE" && self.state.facts.cursors.contains_key(name) => {
                        return refuse("42P03", format!("cursor \"{name}\" already exists"));
                    }
                    _ => {}
                }
                self.plan_only(command, statement)?;
                if let Some(name) = name {
                    self.remember(command, name, statement);
                }
            }
            Statement::Session { command, name, statement: None } => match (command.as_str(), name) {
                ("EXECUTE", name) => {
                    let prepared = name.as_ref().and_then(|name| self.state.prepared.get(name)).cloned();
                    match prepared {
                        Some(statement) if self.depth < 8 => {
                            self.depth += 1;
                            let result = self.execute(&statement);
                            self.depth -= 1;
                            return result;
                        }
                        _ => self.unread("the prepared statement"),
                    }
                }
                ("CLOSE" | "FETCH" | "MOVE", Some(name)) => {
                    if !self.state.facts.cursors.contains_key(name) {
                        // It may have been declared WITH HOLD, or by a function.
                        let known = !self.catalog().is_incomplete() && self.in_block;
                        let message = format!("cursor \"{name}\" does not exist");
                        if known {
                            return refuse("34000", message);
                        }
                        self.may_fail_always("34000", message);
                    }
                    if command == "CLOSE" {
                        self.state.facts.cursors.remove(name);
                    }
                }
                ("CLOSE", None) => self.state.facts.cursors.clear(),
                ("DEALLOCATE", Some(name)) => {
                    let known = self.state.prepared.remove(name).is_some() || self.catalog().is_incomplete();
                    if !known {
                        return refuse("26000", format!("prepared statement \"{name}\" does not exist"));
                    }
                }
                ("SHOW", Some(name)) => self.need_parameter(name.as_str())?,
                ("LOAD", _) => self.may_fail_always("58P01", "there is no such library"),
                ("DEALLOCATE" | "DISCARD ALL", None) => self.state.prepared.clear(),
                _ => {}
            },
            Statement::ImportForeignSchema { .. } => self.catalog_mut().mark_incomplete(),
            _ => {}
        }
        Ok(())
    }

    /// What EXECUTE will run, and which relations an open cursor keeps in use.
    fn remember(&mut self, command: &str, name: &Ident, statement: &Statement) {
        if command == "PREPARE" {
            self.state.prepared.insert(name.clone(), Arc::new(statement.clone()));
        } else if let (true, Some(query)) = (command == "DECLARE", query_of(statement)) {
            let mut used: Vec<QualifiedName> = Vec::new();
            let mut pending: Vec<QualifiedName> =
                query.relations.iter().filter_map(|relation| self.find(relation)).collect();
            while let Some(relation) = pending.pop() {
                if used.contains(&relation) {
                    continue;
                }
                if let Some(view) = self.catalog().view(&relation).filter(|view| !view.materialized) {
                    pending.extend(view.dependencies.iter().map(|(under, _)| under.clone()));
                }
                pending.extend(self.catalog().descendants(&relation));
                used.push(relation);
            }
            self.state.facts.cursors.insert(name.clone(), used);
        }
    }

    /// EXPLAIN plans and PREPARE parses: the locks are taken, and no row is read or changed. A cursor reads what is
    /// fetched from it.
    fn plan_only(&mut self, command: &str, statement: &Statement) -> Step {
        let before = self.effects.clone();
        match statement {
            Statement::Select(query) if command.eq_ignore_ascii_case("PREPARE") => self.parse_query(query)?,
            Statement::Select(query) => self.run_query(query)?,
            Statement::Insert(dml) | Statement::Update(dml) | Statement::Delete(dml) | Statement::Merge(dml) => {
                let name = self.open(&dml.table)?;
                let planned = command.eq_ignore_ascii_case("EXPLAIN");
                let dml = &*self.through_views(&name, dml);
                let name = if planned { self.under_view(name) } else { name };
                if planned && !matches!(statement, Statement::Insert(_)) {
                    let descend = !dml.only.0 && !self.opens_no_partition(&name, dml);
                    self.plan(&name, LockMode::RowExclusive, descend);
                } else {
                    self.lock(&name, LockMode::RowExclusive);
                }
                if self.table(&name).rules.iter().any(|rule| rule.enabled) {
                    self.unread(format!("what the rules of {name} do"));
                }
                if planned && matches!(statement, Statement::Insert(_)) {
                    if self.find(&dml.table).as_ref() == Some(&name) {
                        self.check_conflict_target(&name, dml)?;
                    }
                    self.lock_arbiters(&name, dml.conflict.as_ref());
                }
                if planned {
                    self.run_query(&dml.query)?;
                } else {
                    self.parse_query(&dml.query)?;
                }
            }
            Statement::Session { command: inner, name, .. } if inner == "EXECUTE" => {
                let prepared = name.as_ref().and_then(|name| self.state.prepared.get(name)).cloned();
                match prepared {
                    // No prepared statement is an EXECUTE.
                    Some(prepared) => return self.plan_only(command, &prepared),
                    None => self.unread("the prepared statement"),
                }
            }
            // The planner sees the query, WITH NO DATA or not.
            Statement::CreateTableAs(create) => self.run_query(&create.query)?,
            Statement::CreateView(create) if create.materialized => self.run_query(&create.query)?,
            _ => {}
        }
        let cursor = command.eq_ignore_ascii_case("DECLARE");
        let planned = std::mem::replace(&mut self.effects, before);
        for (name, mode) in planned.locks {
            // Nothing is drawn.
            if mode == LockMode::RowExclusive && self.catalog().sequence(&name).is_some() {
                continue;
            }
            self.lock(&name, mode);
        }
        self.effects.unread.extend(planned.unread.iter().cloned());
        // The planner finds what no row decides.
        let found = planned.may_fail.iter().filter(|may_fail| may_fail.sqlstate == "55000").cloned();
        self.effects.may_fail.extend(found.collect::<Vec<_>>());
        if let Statement::Update(dml) | Statement::Delete(dml) | Statement::Merge(dml) = statement
            && let Some(name) = self.find(&dml.table)
        {
            self.warn_of_publication(&name);
        }
        for name in planned.scans.iter().filter(|_| cursor) {
            self.maybe(name, UncertainEffect::Scan, "all rows are fetched");
        }
        for uncertain in planned.uncertain {
            if matches!(uncertain.effect, UncertainEffect::Lock(_)) || cursor {
                self.maybe(&uncertain.relation, uncertain.effect, uncertain.condition);
            }
        }
        Ok(())
    }

    /// What an extension's script makes besides types and functions, as far as the extension is known.
    fn relations_of_extension(&mut self, extension: &Ident, schema: Option<&Ident>) {
        self.may_fail_always("0A000", format!("extension {extension} is not installed on the server"));
        self.may_fail_always("58P01", format!("extension {extension} is not installed on the server"));
        let views: &[&str] = match extension.as_str() {
            "pg_stat_statements" if self.version.at_least(14) => &["pg_stat_statements", "pg_stat_statements_info"],
            "pg_stat_statements" => &["pg_stat_statements"],
            "pg_buffercache" if self.version.at_least(18) => &["pg_buffercache", "pg_buffercache_numa"],
            "pg_buffercache" => &["pg_buffercache"],
            name if crate::cast::is_known_extension(name) => &[],
            // The script of any other may make whatever it wants, in whatever schema.
            _ => {
                self.unread(format!("the script of extension {extension}"));
                &[]
            }
        };
        for view in views {
            let written = QualifiedName::as_written(schema.cloned(), *view);
            let name = self.creation_name(&written, crate::statement::Persistence::Permanent);
            self.made(&name);
            let view = crate::catalog::View {
                name: name.clone(),
                materialized: false,
                query: crate::statement::Query::default(),
                columns: Vec::new(),
                types: Vec::new(),
                dependencies: Vec::new(),
                read_only: false,
                defaults: Vec::new(),
                condition: None,
                keyed: Vec::new(),
                indexes: Vec::new(),
                populated: true,
                instead: false,
                check_option: false,
            };
            self.catalog_mut().put(name, Relation::View(Arc::new(view)));
        }
    }

    /// The objects are made in the new schema, whatever the search path says: sequences, tables, views, indexes, triggers.
    fn create_schema(&mut self, name: &SchemaName, if_not_exists: bool, elements: &[Statement]) -> Step {
        if if_not_exists && !elements.is_empty() {
            return refuse("0A000", "CREATE SCHEMA IF NOT EXISTS cannot include schema elements");
        }
        let name = match name {
            SchemaName::Written(name) => name.truncated(),
            SchemaName::OfRole(parameter) => {
                let Some(role) = self.role_of(parameter) else {
                    self.unread("what the role is called");
                    self.catalog_mut().mark_incomplete();
                    return Ok(());
                };
                role
            }
        };
        if name.as_str().starts_with("pg_") {
            return refuse("42939", format!("unacceptable schema name \"{name}\""));
        }
        if !self.catalog().has_schema(name.as_str()) {
            self.catalog_mut().schemas.insert_mut(name.clone(), ());
        } else if if_not_exists {
            return Ok(());
        } else {
            return refuse("42P06", format!("schema \"{name}\" already exists"));
        }
        let mut elements = elements.to_vec();
        for element in &mut elements {
            put_in_schema(element, &name)?;
        }
        let before = self.state.settings.search_path.clone();
        let mut path = vec![name];
        path.extend(before.clone().unwrap_or_else(|| vec![Ident::new("public")]));
        self.state.settings.search_path = Some(path);
        let order = |element: &Statement| match element {
            Statement::CreateSequence(_) => 0,
            Statement::CreateTable(_) => 1,
            Statement::CreateView(_) => 2,
            Statement::CreateIndex(_) => 3,
            Statement::CreateTrigger(_) => 4,
            _ => 5,
        };
        elements.sort_by_key(order);
        let result = elements.iter().try_for_each(|element| self.execute(element));
        self.state.settings.search_path = before;
        result
    }

    /// The role that SET ROLE or SET SESSION AUTHORIZATION has named, where one of them has.
    fn role_of(&self, parameter: &str) -> Option<Ident> {
        let role = self.state.settings.get(parameter).filter(|role| *role != "none");
        let role = role.or_else(|| self.state.settings.get("session_authorization"));
        role.filter(|role| *role != "default").map(Ident::new)
    }

    /// Which relations lie in a tablespace, is not kept.
    fn move_all(&mut self, kind: ObjectKind, from: &Ident) {
        let candidates: Vec<QualifiedName> = self
            .catalog()
            .relations()
            .filter(|(_, relation)| match relation {
                Relation::Table(_) => kind == ObjectKind::Table,
                Relation::Index { .. } => kind == ObjectKind::Index,
                Relation::View(view) => kind == ObjectKind::MaterializedView && view.materialized,
                Relation::Sequence(_) => false,
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in candidates {
            let condition = format!("{name} is in tablespace {from}");
            self.maybe(&name, UncertainEffect::Lock(LockMode::AccessExclusive), condition.clone());
            self.maybe(&name, UncertainEffect::Rewrite, condition);
        }
    }

    fn lock_tree(&mut self, name: &QualifiedName, mode: LockMode, only: bool, depth: u8) {
        self.lock(name, mode);
        if let Some(view) = self.catalog().view(name).cloned() {
            for (under, _) in &view.dependencies {
                if depth < 64 {
                    self.lock_tree(under, mode, false, depth + 1);
                }
            }
        } else if !only {
            for child in self.catalog().descendants(name) {
                self.lock(&child, mode);
            }
        }
    }

    fn create_sequence(&mut self, create: &CreateSequence) -> Step {
        let name = self.creation_name(&create.name, create.persistence);
        if self.catalog().relation(&name).is_some() {
            if create.if_not_exists {
                return Ok(());
            }
            return refuse("42P07", format!("relation \"{}\" already exists", name.name));
        }
        if create.persistence == crate::statement::Persistence::Unlogged && !self.version.at_least(15) {
            return refuse("0A000", "unlogged sequences are not supported");
        }
        if let Some(data_type) = &create.options.data_type {
            super::sequence::need_sequence_type(&self.resolve_type(data_type)?)?;
        }
        super::sequence::check_new_sequence(&create.options, create.options.data_type.as_ref())?;
        let owned_by = self.owner_of(&name, &create.options)?;
        self.made(&name);
        let sequence = Sequence { name: name.clone(), options: create.options.clone(), owned_by, identity: false };
        self.catalog_mut().put(name, Relation::Sequence(Arc::new(sequence)));
        Ok(())
    }

    /// OWNED BY reads the table.
    fn owner_of(
        &mut self,
        sequence: &QualifiedName,
        options: &SequenceOptions,
    ) -> Step<Option<(QualifiedName, Ident)>> {
        let Some(Some((table, column))) = &options.owned_by else { return Ok(None) };
        let table = self.open(table)?;
        self.lock(&table, LockMode::AccessShare);
        let known = self.table(&table);
        if table.schema != sequence.schema && !known.assumed && !self.catalog().is_incomplete() {
            return refuse("55000", "sequence must be in same schema as table it is linked to");
        }
        if known.column(column.as_str()).is_none() && !known.assumed {
            return Self::missing_column(&table, column);
        }
        Ok(Some((table, column.clone())))
    }

    fn alter_sequence(&mut self, name: &QualifiedName, if_exists: bool, options: &SequenceOptions) -> Step {
        let Some(name) = self.find(name) else {
            if if_exists {
                return Ok(());
            }
            if self.catalog().is_incomplete() {
                let name = self.open(name)?;
                self.lock(&name, LockMode::ShareRowExclusive);
                return Ok(());
            }
            self.need_schema_of(name)?;
            return refuse("42P01", format!("relation \"{}\" does not exist", written(name)));
        };
        if self.catalog().sequence(&name).is_none() && !self.is_assumed(&name) {
            return self.no_sequence(&name);
        }
        self.lock(&name, LockMode::ShareRowExclusive);
        self.change_sequence(&name, options)?;
        let says =
            |words: &[&str]| options.other.iter().any(|option| words.iter().any(|word| option.starts_with(word)));
        if (options.data_type.is_some() || says(&["MINVALUE", "MAXVALUE"])) && !options.restart {
            self.may_fail_always("22023", format!("the value of {name} is outside of its new bounds"));
        }
        if options.owned_by.is_some() && self.catalog().sequence(&name).is_some_and(|sequence| sequence.identity) {
            return refuse("0A000", "cannot change ownership of identity sequence");
        }
        let owner = self.owner_of(&name, options)?;
        if options.owned_by.is_some() {
            self.catalog_mut().edit_sequence(&name, |sequence| sequence.owned_by = owner);
        }
        Ok(())
    }

    fn create_trigger(&mut self, create: &CreateTrigger) -> Step {
        if create.or_replace {
            self.since(14, "TRIGGER")?;
        }
        self.check_words(&create.words)?;
        check_trigger_events(create)?;
        let name = self.open(&create.table)?;
        self.lock(&name, LockMode::ShareRowExclusive);
        let from = match &create.from {
            Some(from) => {
                let from = self.open(from)?;
                self.lock(&from, LockMode::AccessShare);
                Some(from)
            }
            None => None,
        };
        self.check_trigger_target(create, &name)?;
        check_trigger_form(create)?;
        if create.transition_tables {
            let fault = create.transition_fault.as_deref();
            if let Some(fault) = fault.filter(|fault| fault.sqlstate == "0A000") {
                return Err(fault.clone());
            }
            self.check_transition_tables(create, &name)?;
            if let Some(fault) = fault {
                return Err(fault.clone());
            }
        }
        self.check_trigger_condition(create, &name)?;
        self.check_trigger_function(&create.function)?;
        let table = self.table(&name);
        let trigger = Trigger {
            name: create.name.truncated(),
            place: table.next_place(),
            timing: create.timing.clone(),
            events: create.events.clone(),
            update_of: create.update_of.clone(),
            for_each_row: create.for_each_row,
            when: create.when.clone(),
            function: create.function.clone(),
            constraint: create.constraint.then(|| create.name.truncated()),
            attributes: create.attributes,
            from,
            transition_tables: create.transition_tables,
            enabled: true,
        };
        let known = table.triggers.iter().find(|known| known.name == trigger.name);
        // Before 14 the constraint is made before the name of the trigger is looked at.
        let same_constraint =
            trigger.constraint.as_ref().is_some_and(|constraint| table.has_constraint(constraint.as_str()));
        if same_constraint && !self.version.at_least(14) {
            return same_constraint_name();
        }
        if known.is_some() && !create.or_replace {
            self.refuse_existing(ObjectKind::Trigger, &trigger.name, &name)?;
        }
        if known.is_some() && self.is_cloned_trigger(&name, &trigger.name) {
            let what = if self.version.at_least(15) { "an internal or a child trigger" } else { "an internal trigger" };
            return refuse("42710", format!("trigger \"{}\" for relation \"{}\" is {what}", trigger.name, name.name));
        }
        if known.is_some_and(|known| known.constraint.is_some()) {
            return refuse(
                "42710",
                format!("trigger \"{}\" for relation \"{}\" is a constraint trigger", trigger.name, name.name),
            );
        }
        if same_constraint {
            return same_constraint_name();
        }
        for (place, column) in create.update_of.iter().enumerate() {
            if table.column(column.as_str()).is_none() && !table.assumed && self.catalog().view(&name).is_none() {
                return Self::missing_column(&name, column);
            }
            if create.update_of.iter().take(place).any(|known| known == column) {
                return refuse("42701", format!("column \"{column}\" specified more than once"));
            }
        }
        if table.partition_by.is_some()
            && create.for_each_row
            && create.timing == "BEFORE"
            && !self.version.at_least(13)
        {
            return refuse("42809", format!("\"{}\" is a partitioned table", name.name));
        }
        self.catalog_mut().edit_view(&name, |view| view.instead = true);
        let mut tables = vec![name.clone()];
        if table.partition_by.is_some() && create.for_each_row {
            for child in self.catalog().descendants(&name) {
                self.lock(&child, LockMode::ShareRowExclusive);
                if !create.or_replace && self.has_object(&child, ObjectKind::Trigger, &trigger.name) {
                    if self.is_assumed(&child) {
                        continue;
                    }
                    self.refuse_existing(ObjectKind::Trigger, &trigger.name, &child)?;
                    continue;
                }
                tables.push(child);
            }
        }
        for name in tables {
            let trigger = trigger.clone();
            self.catalog_mut().edit_table(&name, |table| {
                let place = table.next_place();
                table.triggers.retain(|known| known.name != trigger.name);
                table.triggers.push(Trigger { place, ..trigger });
            });
        }
        Ok(())
    }

    /// Only tables of their own pass rows on one by one with all rows of the statement.
    fn check_transition_tables(&self, create: &CreateTrigger, name: &QualifiedName) -> Step {
        let table = self.table(name);
        if table.foreign {
            return refuse("42809", format!("\"{}\" is a foreign table", name.name));
        }
        if self.catalog().view(name).is_some() {
            return refuse("42809", format!("\"{}\" is a view", name.name));
        }
        let child = if table.partition_of.is_some() {
            "partitions"
        } else if !table.inherits.is_empty() {
            "inheritance children"
        } else {
            return check_transition_form(create);
        };
        if create.for_each_row {
            return refuse("0A000", format!("ROW triggers with transition tables are not supported on {child}"));
        }
        check_transition_form(create)
    }

    /// The rows that WHEN names are those of the events.
    fn check_trigger_condition(&mut self, create: &CreateTrigger, name: &QualifiedName) -> Step {
        let Some(condition) = &create.when else { return Ok(()) };
        let table = self.table(name);
        if self.catalog().table(name).is_none() || table.assumed || table.uncertain {
            return Ok(());
        }
        let mut named: Vec<(&Ident, &Ident)> = Vec::new();
        let mut pending = vec![&*condition.node];
        while let Some(node) = pending.pop() {
            match node {
                ExprNode::Other { .. } => {}
                ExprNode::Column { qualifier: Some(qualifier), name } => named.push((qualifier, name)),
                node => pending.extend(node.children().into_iter().rev()),
            }
        }
        let whole_row = condition.text.to_ascii_lowercase().contains("new.*");
        if whole_row && create.timing == "BEFORE" && table.columns.iter().any(|column| column.generated.is_some()) {
            return refuse("42P17", "BEFORE trigger's WHEN condition cannot reference NEW generated columns");
        }
        for (qualifier, column) in &named {
            let known = table.column(column.as_str()).is_some() || super::create_table::is_system_column(column);
            if !known && matches!(qualifier.as_str(), "old" | "new") {
                return refuse("42703", format!("column {qualifier}.{column} does not exist"));
            }
        }
        self.check_conditions(&[&create.when], name, Place::TriggerWhen)?;
        let lower = condition.text.to_ascii_lowercase();
        let any_row = ["new.*", "old.*"].iter().any(|row| lower.contains(row));
        if any_row && !create.for_each_row {
            return refuse("42P17", "statement trigger's WHEN condition cannot reference column values");
        }
        for (qualifier, column) in named {
            if !create.for_each_row {
                return refuse("42P17", "statement trigger's WHEN condition cannot reference column values");
            }
            let event = |wanted: &str| create.events.iter().any(|event| event == wanted);
            if qualifier.as_str() == "old" && event("INSERT") {
                return refuse("42P17", "INSERT trigger's WHEN condition cannot reference OLD values");
            }
            if qualifier.as_str() == "new" {
                if event("DELETE") {
                    return refuse("42P17", "DELETE trigger's WHEN condition cannot reference NEW values");
                }
                let system = table.column(column.as_str()).is_none();
                if create.timing == "BEFORE" && system {
                    return refuse("0A000", "BEFORE trigger's WHEN condition cannot reference NEW system columns");
                }
                let generated = table.column(column.as_str()).is_some_and(|column| column.generated.is_some());
                if create.timing == "BEFORE" && generated {
                    return refuse("42P17", "BEFORE trigger's WHEN condition cannot reference NEW generated columns");
                }
            }
        }
        Ok(())
    }

    /// A function that is known returns `trigger`; one that is not known may be there all the same.
    fn check_trigger_function(&mut self, written_name: &QualifiedName) -> Step {
        let Some(found) = self.find_function(written_name) else {
            if self.function_volatility(written_name, 0) == crate::volatility::Known::Unknown {
                self.function_may_be_missing(written_name);
            }
            return Ok(());
        };
        let overloads = self.catalog().functions(&found);
        if !overloads.is_empty() && overloads.iter().all(|function| !function.arguments.is_empty()) {
            return refuse("42883", format!("function {}() does not exist", written(written_name)));
        }
        let plain = overloads.iter().find(|function| function.arguments.is_empty());
        let returns = plain.and_then(|function| function.returns.as_ref()).map(|returns| returns.name.name.as_str());
        if plain.is_some() && returns.is_some_and(|returns| returns != "trigger") {
            return refuse("42P17", format!("function {} must return type trigger", found.name));
        }
        Ok(())
    }

    /// `CreateTriggerFiringOn`: which triggers the relation can have.
    fn check_trigger_target(&self, create: &CreateTrigger, name: &QualifiedName) -> Step {
        let kind = match self.catalog().relation(name) {
            Some(Relation::View(view)) if !view.materialized => {
                if create.timing != "INSTEAD OF" && create.for_each_row {
                    return refuse("42809", format!("\"{}\" is a view", name.name));
                }
                if create.events.iter().any(|event| event == "TRUNCATE") {
                    return refuse("42809", format!("\"{}\" is a view", name.name));
                }
                return Ok(());
            }
            Some(Relation::Table(_)) => self.table(name),
            Some(_) => {
                return refuse(
                    "42809",
                    if self.version.at_least(15) {
                        format!("relation \"{}\" cannot have triggers", name.name)
                    } else {
                        format!("\"{}\" is not a table or view", name.name)
                    },
                );
            }
            None => return Ok(()),
        };
        if kind.assumed {
            return Ok(());
        }
        if create.timing == "INSTEAD OF" {
            return refuse("42809", format!("\"{}\" is a table", name.name));
        }
        if kind.partition_by.is_some() && create.for_each_row && create.transition_tables {
            return refuse("0A000", format!("\"{}\" is a partitioned table", name.name));
        }
        Ok(())
    }

    fn create_rule(&mut self, statement: &Statement) -> Step {
        let Statement::CreateRule { name, table, or_replace, event, instead, conditional, columns, actions } =
            statement
        else {
            return Ok(());
        };
        let table = self.open(table)?;
        self.lock(&table, LockMode::AccessExclusive);
        let known = self.table(&table);
        if event == "SELECT" && !known.assumed && self.catalog().view(&table).is_none() {
            if self.version.at_least(16) {
                return refuse("42809", format!("relation \"{}\" cannot have ON SELECT rules", table.name));
            }
            self.may_fail_always("42P17", format!("the query does not give the columns of {}", table.name));
        }
        self.catalog_mut().edit_view(&table, |view| view.instead = true);
        for action in actions {
            self.lock_as_parsed(action)?;
            if let Some(query) = query_of(action) {
                self.check_names_of_action(query, &table, event)?;
            }
        }
        let exists = known.rules.iter().any(|rule| rule.name == *name);
        if exists && !or_replace {
            self.refuse_existing(ObjectKind::Rule, name, &table)?;
        }
        let targets = actions.iter().filter_map(|action| match action {
            Statement::Insert(dml) | Statement::Update(dml) | Statement::Delete(dml) => self.find(&dml.table),
            _ => None,
        });
        let writes = targets.collect();
        let dependencies = actions.iter().flat_map(|action| self.named_by_action(action)).collect();
        let queries = || actions.iter().filter_map(query_of);
        let functions = queries().flat_map(|query| query.functions.iter().cloned()).collect();
        let types = queries().flat_map(|query| query.types.iter().cloned()).collect();
        let rule = Rule {
            name: name.clone(),
            place: known.next_place(),
            event: event.clone(),
            instead: *instead,
            conditional: *conditional,
            acts: !actions.is_empty(),
            enabled: true,
            columns: columns.clone(),
            functions,
            types,
            dependencies,
            writes,
        };
        self.catalog_mut().edit_table(&table, |table| {
            table.rules.retain(|known| known.name != rule.name);
            table.rules.push(rule);
        });
        Ok(())
    }

    /// The relations that a rule's action reads and writes, with the columns that it names of each.
    fn named_by_action(&self, action: &Statement) -> Vec<(QualifiedName, Vec<Ident>)> {
        let (target, query) = match action {
            Statement::Insert(dml) | Statement::Update(dml) | Statement::Delete(dml) | Statement::Merge(dml) => {
                let target = self.find(&dml.table).map(|table| {
                    let known = self.table(&table);
                    let mut columns = dml.columns.clone();
                    if columns.is_empty() {
                        columns.extend(known.columns.iter().take(dml.values.len()).map(|column| column.name.clone()));
                    }
                    let beside = |qualifier: &Option<Ident>| {
                        qualifier.as_ref().is_some_and(|qualifier| matches!(qualifier.as_str(), "old" | "new"))
                    };
                    let named = dml.query.qualified.iter().filter(|(qualifier, _)| !beside(qualifier));
                    columns.extend(named.map(|(_, column)| column.clone()));
                    (table, columns)
                });
                (target, &dml.query)
            }
            Statement::Select(query) => (None, query),
            _ => return Vec::new(),
        };
        let read = query.relations.iter().filter_map(|relation| self.find(relation));
        let read = read.map(|relation| {
            let columns = self.columns_read(&relation, query);
            (relation, columns)
        });
        target.into_iter().chain(read).collect()
    }

    /// The locks of a statement that is analysed and neither planned nor run.
    fn lock_as_parsed(&mut self, statement: &Statement) -> Step {
        let query = match statement {
            Statement::Insert(dml) | Statement::Update(dml) | Statement::Delete(dml) | Statement::Merge(dml) => {
                let target = self.open(&dml.table)?;
                self.lock(&target, LockMode::RowExclusive);
                &dml.query
            }
            Statement::Select(query) => query,
            Statement::Opaque(_) => {
                self.unread("an action that is not understood");
                return Ok(());
            }
            _ => return Ok(()),
        };
        let read: Vec<QualifiedName> = query
            .relations
            .iter()
            .filter(|name| !(name.schema.is_none() && matches!(name.name.as_str(), "old" | "new")))
            .cloned()
            .collect();
        for relation in read {
            let relation = self.open(&relation)?;
            self.lock(&relation, LockMode::AccessShare);
        }
        Ok(())
    }

    /// Conditions that are read over the table's columns.
    fn check_conditions(&mut self, conditions: &[&Option<SqlExpr>], table: &QualifiedName, place: Place) -> Step {
        let table = self.table(table);
        for condition in conditions.iter().copied().flatten() {
            self.check_expression(&condition.node, Some(&table), place)?;
        }
        Ok(())
    }

    fn create_policy(
        &mut self,
        name: &Ident,
        table: &QualifiedName,
        command: Option<&str>,
        conditions: &[&Option<SqlExpr>; 2],
        relations: &[QualifiedName],
    ) -> Step {
        let table = self.open(table)?;
        self.check_policy(&table, conditions, relations)?;
        if self.table(&table).policies.iter().any(|known| known.name == *name) {
            self.refuse_existing(ObjectKind::Policy, name, &table)?;
        }
        let [using, with_check] = conditions.map(|condition| {
            condition.as_ref().map(|condition| self.policy_condition(&table, condition)).unwrap_or_default()
        });
        let place = self.table(&table).next_place();
        let policy = Policy { name: name.clone(), place, command: command.map(Ident::from), using, with_check };
        self.catalog_mut().edit_table(&table, |table| table.policies.push(policy));
        Ok(())
    }

    /// What a new condition of a policy locks and what it may not name.
    fn check_policy(
        &mut self,
        table: &QualifiedName,
        conditions: &[&Option<SqlExpr>; 2],
        relations: &[QualifiedName],
    ) -> Step {
        if self.catalog().table(table).is_none() && self.catalog().relation(table).is_some() {
            return refuse("42809", format!("\"{}\" is not a table", table.name));
        }
        self.lock(table, LockMode::AccessExclusive);
        for relation in relations {
            let relation = self.open(relation)?;
            self.lock(&relation, LockMode::AccessShare);
        }
        for condition in conditions.iter().copied().flatten() {
            self.check_names_of_condition(&condition.node, table)?;
        }
        self.check_conditions(conditions, table, Place::Policy)
    }

    /// What a policy's expression depends on. A name in a subquery that none of its relations has is the table's.
    fn policy_condition(&self, table: &QualifiedName, expr: &SqlExpr) -> PolicyCondition {
        let mut condition = PolicyCondition { columns: expr.node.columns(), ..PolicyCondition::default() };
        expr.node.walk(&mut |node| match node {
            ExprNode::Call { function, .. } => condition.functions.push(function.clone()),
            ExprNode::Cast { data_type, .. } => condition.types.push(data_type.name.clone()),
            ExprNode::Subquery { query, .. } => {
                condition.functions.extend(query.functions.iter().cloned());
                condition.types.extend(query.types.iter().cloned());
                let found: Vec<QualifiedName> = query.relations.iter().filter_map(|name| self.find(name)).collect();
                for (qualifier, column) in &query.qualified {
                    let inside = match qualifier {
                        Some(qualifier) => query.aliases.iter().any(|(alias, _)| alias == qualifier),
                        None => found.iter().any(|name| self.table(name).column(column.as_str()).is_some()),
                    };
                    let outside = qualifier.as_ref().is_none_or(|qualifier| *qualifier == table.name);
                    if !inside && outside && !condition.columns.contains(column) {
                        condition.columns.push(column.clone());
                    }
                }
                for relation in found {
                    let columns = self.columns_read(&relation, query);
                    condition.dependencies.push((relation, columns));
                }
            }
            _ => {}
        });
        condition
    }

    /// ALTER TRIGGER, RULE or POLICY … ON table.
    fn alter_on_table(
        &mut self,
        kind: ObjectKind,
        name: &Ident,
        table: &QualifiedName,
        rename_to: Option<&Ident>,
    ) -> Step {
        let table = self.open(table)?;
        // DEPENDS ON EXTENSION only looks the object up.
        self.lock(&table, if rename_to.is_some() { LockMode::AccessExclusive } else { LockMode::AccessShare });
        if !self.has_object(&table, kind, name) {
            return missing_object(kind, name, &table);
        }
        let Some(to) = rename_to.map(Ident::truncated) else { return Ok(()) };
        if kind == ObjectKind::Rule && self.catalog().view(&table).is_some() {
            if to == "_RETURN" {
                return refuse("42710", format!("rule \"_RETURN\" for relation \"{}\" already exists", table.name));
            }
            if *name == "_RETURN" {
                return refuse("42P17", "renaming an ON SELECT rule is not allowed");
            }
        }
        let taken = self.table(&table);
        // A trigger may keep its name since 15.
        let same = kind == ObjectKind::Trigger && to == *name && self.version.at_least(15);
        let taken = !taken.assumed && !same && self.has_object(&table, kind, &to);
        if taken && kind != ObjectKind::Trigger {
            self.refuse_existing(kind, &to, &table)?;
        }
        if kind == ObjectKind::Trigger && self.version.at_least(15) && self.is_cloned_trigger(&table, name) {
            let sqlstate = if self.version.at_least(18) { "0A000" } else { "XX000" };
            return refuse(sqlstate, format!("cannot rename trigger \"{name}\" on table \"{}\"", table.name));
        }
        if taken {
            self.refuse_existing(kind, &to, &table)?;
        }
        let mut tables = vec![table.clone()];
        if self.table(&table).partition_by.is_some() && kind == ObjectKind::Trigger {
            // Since 15 the partitions' triggers have the new name, too.
            if self.version.at_least(15) {
                let known = self.table(&table);
                let cloned = known.triggers.iter().any(|trigger| trigger.name == *name && trigger.for_each_row);
                for child in self.catalog().descendants(&table) {
                    self.lock(&child, LockMode::AccessExclusive);
                    if cloned {
                        tables.push(child);
                    }
                }
            }
        }
        let known = |table: &QualifiedName| self.catalog().table(table).is_some_and(|table| !table.assumed);
        let taken = |table: &&QualifiedName| known(table) && self.has_object(table, kind, &to);
        let unchanged = kind == ObjectKind::Trigger && self.version.at_least(15) && to == *name;
        if let Some(table) = tables.iter().find(taken).filter(|_| !unchanged) {
            let (word, of) = match kind {
                ObjectKind::Trigger => ("trigger", "relation"),
                ObjectKind::Policy => ("policy", "table"),
                _ => ("rule", "relation"),
            };
            return refuse("42710", format!("{word} \"{to}\" for {of} \"{}\" already exists", table.name));
        }
        for table in tables {
            self.catalog_mut().edit_table(&table, |table| match kind {
                ObjectKind::Trigger => table
                    .triggers
                    .iter_mut()
                    .filter(|trigger| trigger.name == *name)
                    .for_each(|trigger| trigger.name = to.clone()),
                ObjectKind::Policy => table
                    .policies
                    .iter_mut()
                    .filter(|policy| policy.name == *name)
                    .for_each(|policy| policy.name = to.clone()),
                ObjectKind::Rule => {
                    table.rules.iter_mut().filter(|rule| rule.name == *name).for_each(|rule| rule.name = to.clone());
                }
                _ => {}
            });
        }
        Ok(())
    }

    /// Whether a partition has the trigger from its parent.
    fn is_cloned_trigger(&self, table: &QualifiedName, name: &Ident) -> bool {
        self.table(table).partition_of.as_ref().is_some_and(|(parent, _)| {
            self.table(parent).triggers.iter().any(|trigger| trigger.for_each_row && trigger.name == *name)
        })
    }

    /// 42710; what was not read may have dropped it.
    fn refuse_existing(&mut self, kind: ObjectKind, name: &Ident, table: &QualifiedName) -> Step {
        let message = match kind {
            ObjectKind::Trigger => format!("trigger \"{name}\" for relation \"{}\" already exists", table.name),
            ObjectKind::Policy => format!("policy \"{name}\" for table \"{}\" already exists", table.name),
            _ => format!("rule \"{name}\" for relation \"{}\" already exists", table.name),
        };
        if !self.table(table).uncertain {
            return refuse("42710", message);
        }
        self.may_fail_always("42710", message);
        self.catalog_mut().edit_table(table, |table| match kind {
            ObjectKind::Trigger => table.triggers.retain(|known| known.name != *name),
            ObjectKind::Policy => table.policies.retain(|known| known.name != *name),
            _ => table.rules.retain(|known| known.name != *name),
        });
        Ok(())
    }

    pub(super) fn has_object(&self, table: &QualifiedName, kind: ObjectKind, name: &Ident) -> bool {
        let known = self.table(table);
        known.assumed
            || match kind {
                ObjectKind::Trigger => known.triggers.iter().any(|known| known.name == *name),
                ObjectKind::Policy => known.policies.iter().any(|known| known.name == *name),
                ObjectKind::Rule => known.rules.iter().any(|known| known.name == *name),
                _ => true,
            }
    }

    /// ALTER TABLE, ALTER INDEX, ALTER VIEW or ALTER SEQUENCE on what is not a table.
    pub(super) fn alter_other_relation(&mut self, alter: &AlterTable, name: &QualifiedName) -> Step {
        let relation = self.catalog().relation(name).cloned();
        let index = matches!(relation, Some(Relation::Index { .. }));
        for action in &alter.actions {
            if let Some(relation) = &relation {
                self.check_applies(action, relation, name)?;
            }
            match action {
                AlterTableAction::AttachPartition { partition, bound } => {
                    self.attach_index(name, partition, bound.is_some())?;
                }
                AlterTableAction::SetOptions { .. } if matches!(&relation, Some(Relation::Index { table }) if !self.has_storage(table)) =>
                {
                    return refuse(
                        "42809",
                        if self.version.at_least(15) {
                            not_for_relation("SET", name)
                        } else {
                            format!("\"{}\" is not a table, view, materialized view, or index", name.name)
                        },
                    );
                }
                AlterTableAction::SetOptions { options } | AlterTableAction::ResetOptions { options } => {
                    let kind = if index { ObjectKind::Index } else { ObjectKind::Table };
                    let weak = options.iter().all(|option| super::alter_table::weak_option(option, kind));
                    let mode = if weak { LockMode::ShareUpdateExclusive } else { LockMode::AccessExclusive };
                    self.lock(name, mode);
                    if matches!(action, AlterTableAction::ResetOptions { .. }) {
                        super::alter_table::refuse_reset_to_value(options)?;
                    }
                    if matches!(action, AlterTableAction::SetOptions { .. }) {
                        self.check_options_of(name, options)?;
                    }
                    if let Some(Relation::Index { table }) = &relation {
                        let reset = matches!(action, AlterTableAction::ResetOptions { .. });
                        self.set_index_options(table, &name.name, options, reset);
                    }
                }
                AlterTableAction::SetDefault { column, .. } | AlterTableAction::DropDefault { column } => {
                    self.lock(name, LockMode::AccessExclusive);
                    if let Some(Relation::View(view)) = &relation
                        && !view.columns.is_empty()
                        && !view.columns.contains(column)
                    {
                        return Self::missing_column(name, column);
                    }
                    let set = matches!(action, AlterTableAction::SetDefault { .. });
                    self.catalog_mut().edit_view(name, |view| {
                        view.defaults.retain(|known| known != column);
                        view.defaults.extend(set.then(|| column.clone()));
                    });
                }
                AlterTableAction::SetStatistics { column, .. } => {
                    self.lock(name, LockMode::ShareUpdateExclusive);
                    self.check_statistics_of_index(name, column)?;
                }
                AlterTableAction::ClusterOn { index } => {
                    self.lock(name, LockMode::ShareUpdateExclusive);
                    self.lock(&name.sibling(index.clone()), LockMode::ShareUpdateExclusive);
                }
                AlterTableAction::SetWithoutCluster => self.lock(name, LockMode::ShareUpdateExclusive),
                AlterTableAction::SetAccessMethod { method } => {
                    self.since(15, "ACCESS")?;
                    self.lock(name, LockMode::AccessExclusive);
                    if matches!(&relation, Some(Relation::View(view)) if view.materialized)
                        && method.as_ref().is_some_and(|method| *method != "heap")
                    {
                        self.rewrite_all(name);
                    }
                }
                AlterTableAction::SetTablespace { tablespace } => {
                    self.lock(name, LockMode::AccessExclusive);
                    self.need_tablespace(Some(tablespace))?;
                    let stored = match &relation {
                        Some(Relation::Index { table }) => self.has_storage(table),
                        Some(Relation::View(view)) => view.materialized,
                        _ => false,
                    };
                    let effect = if index { UncertainEffect::IndexBuild } else { UncertainEffect::Rewrite };
                    if !stored {
                    } else if *tablespace == "pg_default" {
                        self.maybe(name, effect, "it lies in another tablespace");
                    } else if index {
                        self.effects.index_builds.insert(name.clone());
                    } else {
                        self.effects.rewrites.insert(name.clone());
                    }
                }
                AlterTableAction::SetLogged | AlterTableAction::SetUnlogged => {
                    self.lock(name, LockMode::AccessExclusive);
                }
                AlterTableAction::OwnerTo { .. } if matches!(&relation, Some(Relation::Sequence(sequence)) if sequence.owned_by.is_some()) =>
                {
                    return refuse("0A000", format!("cannot change owner of sequence \"{}\"", name.name));
                }
                AlterTableAction::OwnerTo { role } => {
                    self.need_role(role);
                    self.lock(name, LockMode::AccessExclusive);
                }
                _ => self.lock(name, LockMode::AccessExclusive),
            }
        }
        Ok(())
    }

    /// `ATExecSetStatistics`: of an index only a column that is an expression has its own.
    fn check_statistics_of_index(&self, name: &QualifiedName, column: &Ident) -> Step {
        let Some(Relation::Index { table }) = self.catalog().relation(name) else { return Ok(()) };
        let known = self.catalog().indexes_of(table).iter().find(|index| index.name == name.name);
        let (Some(index), Ok(number)) = (known, column.as_str().parse::<usize>()) else { return Ok(()) };
        if !(1..=32767).contains(&number) {
            return refuse("22023", "column number must be in range from 1 to 32767");
        }
        let place = number.checked_sub(1);
        match place.and_then(|place| index.elements.get(place)).map(|element| &element.key) {
            Some(crate::statement::IndexKey::Expr(_)) => Ok(()),
            Some(crate::statement::IndexKey::Column(column)) => refuse(
                "0A000",
                format!("cannot alter statistics on non-expression column \"{column}\" of index \"{}\"", name.name),
            ),
            None => match index.include.get(number.saturating_sub(index.elements.len() + 1)) {
                Some(column) if number > index.elements.len() => refuse(
                    "0A000",
                    format!("cannot alter statistics on included column \"{column}\" of index \"{}\"", name.name),
                ),
                _ => refuse("42703", format!("column number {number} of relation \"{}\" does not exist", name.name)),
            },
        }
    }

    /// `ATSimplePermissions`: which relations an action is for.
    fn check_applies(&self, action: &AlterTableAction, relation: &Relation, name: &QualifiedName) -> Step {
        use AlterTableAction as Action;
        // The action, what it is for besides tables, and how the versions before 15 say it.
        let trigger = |which: &crate::statement::TriggerSelection, mode: &str| match which {
            crate::statement::TriggerSelection::Named(_) => match mode.split_once(' ') {
                Some((verb, when)) => format!("{verb} {when} TRIGGER"),
                None => format!("{mode} TRIGGER"),
            },
            crate::statement::TriggerSelection::All => format!("{mode} TRIGGER ALL"),
            crate::statement::TriggerSelection::User => format!("{mode} TRIGGER USER"),
        };
        let (what, views, materialized, indexes, before): (String, bool, bool, bool, &str) = match action {
            Action::AddColumn { .. } => {
                ("ADD COLUMN".into(), false, false, false, "table, composite type, or foreign table")
            }
            Action::DropColumn { .. } => {
                ("DROP COLUMN".into(), false, false, false, "table, composite type, or foreign table")
            }
            Action::AlterColumnType { .. } => (
                "ALTER COLUMN ... SET DATA TYPE".into(),
                false,
                false,
                false,
                "table, composite type, or foreign table",
            ),
            Action::SetDefault { .. } | Action::DropDefault { .. } => {
                ("ALTER COLUMN ... SET DEFAULT".into(), true, false, false, "table, view, or foreign table")
            }
            Action::SetNotNull { .. } => {
                ("ALTER COLUMN ... SET NOT NULL".into(), false, false, false, "table or foreign table")
            }
            Action::DropNotNull { .. } => {
                ("ALTER COLUMN ... DROP NOT NULL".into(), false, false, false, "table or foreign table")
            }
            Action::SetStorage { .. } => (
                "ALTER COLUMN ... SET STORAGE".into(),
                false,
                true,
                false,
                "table, materialized view, or foreign table",
            ),
            Action::SetCompression { .. } => {
                ("ALTER COLUMN ... SET COMPRESSION".into(), false, true, false, "table or materialized view")
            }
            Action::SetStatistics { .. } => (
                "ALTER COLUMN ... SET STATISTICS".into(),
                false,
                true,
                true,
                "table, materialized view, index, or foreign table",
            ),
            Action::AddConstraint(_) => ("ADD CONSTRAINT".into(), false, false, false, "table or foreign table"),
            Action::DropConstraint { .. } => ("DROP CONSTRAINT".into(), false, false, false, "table or foreign table"),
            Action::ValidateConstraint { .. } => {
                ("VALIDATE CONSTRAINT".into(), false, false, false, "table or foreign table")
            }
            Action::AlterConstraint { .. } => ("ALTER CONSTRAINT".into(), false, false, false, "table"),
            Action::ClusterOn { .. } => ("CLUSTER ON".into(), false, true, false, "table or materialized view"),
            Action::SetWithoutCluster => {
                ("SET WITHOUT CLUSTER".into(), false, true, false, "table or materialized view")
            }
            Action::Trigger { which, mode } => (trigger(which, mode), false, false, false, "table or foreign table"),
            Action::Rule { mode, .. } => (format!("{mode} RULE"), false, false, false, "table"),
            Action::RowSecurity { mode } => (format!("{mode} ROW SECURITY"), false, false, false, "table"),
            Action::Inherit { .. } => ("INHERIT".into(), false, false, false, "table or foreign table"),
            Action::NoInherit { .. } => ("NO INHERIT".into(), false, false, false, "table or foreign table"),
            Action::OfType { .. } => ("OF".into(), false, false, false, "table"),
            Action::NotOf => ("NOT OF".into(), false, false, false, "table"),
            Action::ReplicaIdentity(_) => ("REPLICA IDENTITY".into(), false, true, false, "table or materialized view"),
            Action::DetachPartition { .. } => ("DETACH PARTITION".into(), false, false, false, "table"),
            Action::SetLogged => ("SET LOGGED".into(), false, false, false, "table"),
            Action::SetUnlogged => ("SET UNLOGGED".into(), false, false, false, "table"),
            _ => return Ok(()),
        };
        let applies = match relation {
            Relation::Table(_) => true,
            Relation::View(view) if view.materialized => materialized,
            Relation::View(_) => views,
            Relation::Index { .. } => indexes,
            Relation::Sequence(_) => {
                matches!(action, Action::SetLogged | Action::SetUnlogged) && self.version.at_least(15)
            }
        };
        if applies {
            return Ok(());
        }
        refuse(
            "42809",
            if self.version.at_least(15) {
                not_for_relation(&what, name)
            } else {
                format!("\"{}\" is not a {before}", name.name)
            },
        )
    }

    /// `ATExecSetRelOptions`, of what is no table.
    fn check_options_of(&self, name: &QualifiedName, options: &[String]) -> Step {
        let options: Vec<(String, String)> =
            options.iter().map(|option| super::alter_table::option_parts(option)).collect();
        match self.catalog().relation(name) {
            Some(Relation::Index { table }) => {
                let known = self.catalog().indexes_of(table).iter().find(|index| index.name == name.name);
                match known {
                    Some(index) => {
                        super::access_method::check_index_options(index.method.as_str(), &options, self.version)
                    }
                    None => Ok(()),
                }
            }
            Some(Relation::View(view)) if view.materialized => {
                super::alter_table::check_table_options(&options, self.version)
            }
            Some(Relation::View(_)) => self.check_view_options(&options),
            _ => Ok(()),
        }
    }

    pub(super) fn check_view_options(&self, options: &[(String, String)]) -> Step {
        let known = [("security_barrier", None), ("check_option", None), ("security_invoker", None)];
        let known = if self.version.at_least(15) { &known[..] } else { &known[..2] };
        super::access_method::check_options(options, known)?;
        let value = options.iter().find(|(name, _)| name.eq_ignore_ascii_case("check_option")).map(|(_, value)| value);
        if let Some(value) = value.map(|value| value.trim_matches('\''))
            && !["local", "cascaded"].iter().any(|known| value.eq_ignore_ascii_case(known))
        {
            return refuse(
                "22023",
                if self.version.at_least(13) {
                    format!("invalid value for enum option \"check_option\": {value}")
                } else {
                    "invalid value for \"check_option\" option".to_owned()
                },
            );
        }
        Ok(())
    }

    fn set_index_options(&mut self, table: &QualifiedName, index: &Ident, options: &[String], reset: bool) {
        self.catalog_mut().edit_table(table, |table| {
            for known in table.indexes.iter_mut().filter(|known| known.name == *index) {
                for option in options {
                    let (name, value) = option.split_once('=').unwrap_or((option, "true"));
                    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
                    known.options.retain(|(known, _)| *known != name);
                    if !reset {
                        known.options.push((name, value));
                    }
                }
            }
        });
    }

    pub(super) fn drop_other(&mut self, drop: &DropObjects) -> Step {
        match drop.kind {
            ObjectKind::Trigger | ObjectKind::Policy | ObjectKind::Rule => self.drop_on_table(drop),
            ObjectKind::Type | ObjectKind::Domain => self.drop_types(drop),
            ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Routine => self.drop_functions(drop),
            ObjectKind::Schema => self.drop_schemas(drop),
            ObjectKind::Extension => self.drop_extensions(drop),
            ObjectKind::Statistics => self.drop_statistics(&drop.names, drop.if_exists),
            ObjectKind::Publication => {
                for name in &drop.names {
                    let gone = self.catalog_mut().publications.remove_mut(&name.name);
                    if !gone && !drop.if_exists && !self.catalog().is_incomplete() {
                        return refuse("42704", format!("publication \"{}\" does not exist", name.name));
                    }
                }
                Ok(())
            }
            ObjectKind::Role | ObjectKind::Tablespace | ObjectKind::Database => {
                let names: Vec<String> = drop.names.iter().map(|name| name.name.to_string()).collect();
                if !drop.if_exists {
                    self.may_fail_always("42704", format!("{} does not exist", names.join(", ")));
                }
                if drop.kind == ObjectKind::Role {
                    self.may_fail_always("2BP01", format!("objects depend on {}", names.join(", ")));
                }
                Ok(())
            }
            ObjectKind::Aggregate if !drop.if_exists => {
                drop.names.iter().try_for_each(|name| self.need_schema_of(name))?;
                self.may_fail_always("42883", "the aggregate does not exist");
                Ok(())
            }
            ObjectKind::Server | ObjectKind::Other if drop.behavior == DropBehavior::Cascade => {
                let foreign = self.catalog().tables().filter(|table| table.foreign);
                let foreign: Vec<QualifiedName> = foreign.map(|table| table.name.clone()).collect();
                if !foreign.is_empty() {
                    self.unread("which foreign tables belong to what is dropped");
                }
                for name in foreign {
                    self.catalog_mut().mark_uncertain(&name);
                }
                Ok(())
            }
            ObjectKind::EventTrigger => {
                for name in &drop.names {
                    if !drop.if_exists {
                        self.need_event_trigger(&name.name)?;
                    }
                    self.catalog_mut().event_triggers.remove_mut(&name.name);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn drop_on_table(&mut self, drop: &DropObjects) -> Step {
        let Some(table) = &drop.on else { return Ok(()) };
        if drop.if_exists && self.find(table).is_none() && !self.catalog().is_incomplete() {
            return Ok(());
        }
        let table = self.open(table)?;
        if drop.kind == ObjectKind::Rule
            && self.catalog().view(&table).is_some()
            && drop.names.iter().any(|name| name.name == "_RETURN")
        {
            return refuse(
                "2BP01",
                format!("cannot drop rule _RETURN on view {0} because view {0} requires it", self.described(&table)),
            );
        }
        for name in &drop.names {
            if !self.has_object(&table, drop.kind, &name.name) {
                if drop.if_exists {
                    continue;
                }
                return missing_object(drop.kind, &name.name, &table);
            }
            if drop.kind == ObjectKind::Trigger
                && let Some((parent, _)) = &self.table(&table).partition_of
                && self.table(parent).triggers.iter().any(|trigger| trigger.name == name.name && trigger.for_each_row)
            {
                return refuse(
                    "2BP01",
                    format!(
                        "cannot drop trigger {0} on table {1} because trigger {0} on table {2} requires it",
                        quoted_if_needed(&name.name),
                        self.described(&table),
                        self.described(parent)
                    ),
                );
            }
            self.lock(&table, LockMode::AccessExclusive);
            let mut tables = vec![table.clone()];
            let known = self.table(&table);
            let cloned = known.triggers.iter().any(|trigger| trigger.name == name.name && trigger.for_each_row);
            if drop.kind == ObjectKind::Trigger && known.partition_by.is_some() && (cloned || known.assumed) {
                for child in self.catalog().descendants(&table) {
                    self.lock(&child, LockMode::AccessExclusive);
                    tables.push(child);
                }
            }
            for table in tables {
                let name = name.name.clone();
                self.catalog_mut().edit_table(&table, |table| match drop.kind {
                    ObjectKind::Trigger => table.triggers.retain(|known| known.name != name),
                    ObjectKind::Policy => table.policies.retain(|known| known.name != name),
                    _ => table.rules.retain(|known| known.name != name),
                });
            }
        }
        Ok(())
    }
}

/// What a statement on rows reads.
pub(super) const fn query_of(statement: &Statement) -> Option<&crate::statement::Query> {
    match statement {
        Statement::Select(query) => Some(query),
        Statement::Insert(dml) | Statement::Update(dml) | Statement::Delete(dml) | Statement::Merge(dml) => {
            Some(&dml.query)
        }
        _ => None,
    }
}

/// `transformCreateSchemaStmtElements`: what is made in a schema's own statement lies in that schema.
fn put_in_schema(element: &mut Statement, schema: &Ident) -> Step {
    let name = match element {
        Statement::CreateSequence(create) => &mut create.name,
        Statement::CreateTable(create) => &mut create.name,
        Statement::CreateView(create) => &mut create.name,
        Statement::CreateIndex(create) => &mut create.table,
        Statement::CreateTrigger(create) => &mut create.table,
        _ => return Ok(()),
    };
    let bare = name.schema.is_none() && name.written == Written::Bare;
    let written = name.schema.clone().unwrap_or_else(|| Ident::new("public"));
    if !bare && written != *schema {
        return refuse(
            "42P15",
            format!("CREATE specifies a schema ({written}) different from the one being created ({schema})"),
        );
    }
    *name = QualifiedName::as_written(Some(schema.clone()), name.name.clone());
    Ok(())
}

pub(super) fn missing_object(kind: ObjectKind, name: &Ident, table: &QualifiedName) -> Step {
    let message = match kind {
        ObjectKind::Trigger => format!("trigger \"{name}\" for table \"{}\" does not exist", table.name),
        ObjectKind::Policy => format!("policy \"{name}\" for table \"{}\" does not exist", table.name),
        _ => format!("rule \"{name}\" for relation \"{}\" does not exist", table.name),
    };
    refuse("42704", message)
}

/// For the constraint of a trigger no name is looked for that is free.
pub(super) fn same_constraint_name() -> Step {
    refuse("23505", "duplicate key value violates unique constraint \"pg_constraint_conrelid_contypid_conname_index\"")
}

/// Each event once; the parser has read a token more behind UPDATE, which may be followed by OF.
fn check_trigger_events(create: &CreateTrigger) -> Step {
    for (place, event) in create.events.iter().enumerate() {
        if !create.events.iter().take(place).any(|known| known == event) {
            continue;
        }
        let token = match event.as_str() {
            "UPDATE" if place + 1 < create.events.len() => "OR",
            "UPDATE" => "ON",
            event => event,
        };
        return refuse("42601", format!("duplicate trigger events specified at or near \"{token}\""));
    }
    Ok(())
}

fn check_transition_form(create: &CreateTrigger) -> Step {
    let unsupported = |message: &str| refuse("0A000", message);
    if create.timing != "AFTER" {
        return refuse("42P17", "transition table name can only be specified for an AFTER trigger");
    }
    if create.events.iter().any(|event| event == "TRUNCATE") {
        return unsupported("TRUNCATE triggers with transition tables are not supported");
    }
    if create.events.len() > 1 {
        return unsupported("transition tables cannot be specified for triggers with more than one event");
    }
    if !create.update_of.is_empty() {
        return unsupported("transition tables cannot be specified for triggers with column lists");
    }
    Ok(())
}

/// What `CreateTriggerFiringOn` refuses of any relation.
fn check_trigger_form(create: &CreateTrigger) -> Step {
    let unsupported = |message: &str| refuse("0A000", message);
    let truncates = create.events.iter().any(|event| event == "TRUNCATE");
    if truncates && create.for_each_row {
        return unsupported("TRUNCATE FOR EACH ROW triggers are not supported");
    }
    if create.timing == "INSTEAD OF" {
        if !create.for_each_row {
            return unsupported("INSTEAD OF triggers must be FOR EACH ROW");
        }
        if create.when.is_some() {
            return unsupported("INSTEAD OF triggers cannot have WHEN conditions");
        }
        if !create.update_of.is_empty() {
            return unsupported("INSTEAD OF triggers cannot have column lists");
        }
    }
    Ok(())
}

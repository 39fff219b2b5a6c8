//! Queries and changes of rows: what the planner and the executor open, and which rows are read.

mod access;
mod assigned;
mod computed;
mod conflict;
mod draw;
mod insert;
mod keys;
mod merge;
mod read;
mod truncate;
mod updatable;

use std::borrow::Cow;

use self::access::Access;
use crate::catalog::{Relation, View};
use crate::effects::UncertainEffect;
use crate::execute::publication::Told;
use crate::execute::{Run, Step, refuse};
use crate::expr::ExprNode;
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{Dml, Only, Query};

const SATISFIED: &str = "a row satisfies the condition";

/// What happens to the rows that a foreign key or its target sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Insert,
    Update,
    Delete,
}

/// What a column of a view is.
enum Shown {
    /// A column of the relation under it.
    Column(Ident),
    Computed,
    /// Not told from here.
    Open,
}

impl Run {
    /// The table under a view that rows are written through, with the same lock on every view above it; a table is
    /// itself. Where a view has more than one relation, triggers or rules do the work.
    pub(super) fn under_view(&mut self, name: QualifiedName) -> QualifiedName {
        let mut current = name;
        for _ in 0..64 {
            let Some(view) = self.catalog().view(&current).filter(|view| !view.materialized).cloned() else { break };
            self.lock(&current, LockMode::RowExclusive);
            // Manual, "CREATE VIEW", "Updatable Views".
            let simple =
                !["group", "distinct", "limit", "fetch", "offset", "having", "union", "intersect", "except", "with"]
                    .iter()
                    .any(|word| view.query.says(&[word]));
            if !simple {
                self.may_fail_always("55000", format!("view {current} is not automatically updatable"));
            }
            if view.check_option {
                self.may_fail_always("44000", format!("a row is none of view {current}"));
            }
            let (false, [(under, _)]) = (view.instead, view.dependencies.as_slice()) else {
                self.unread(format!("the triggers and rules of view {current}"));
                break;
            };
            current = under.clone();
        }
        current
    }

    /// WITH is read before the target is opened (`transformInsertStmt` and its kin).
    fn open_with(&mut self, query: &Query) -> Step {
        let defined =
            |name: &QualifiedName| name.schema.is_none() && query.with.iter().any(|table| table.name == name.name);
        for name in query.with.iter().flat_map(|table| &table.query.relations).filter(|name| !defined(name)) {
            self.open_in_query(name)?;
        }
        if self.depth > 0 { Ok(()) } else { self.check_names_of_with(query) }
    }

    /// A rule that does something else in the place of the command: the target and what is read are opened and no more.
    fn replaced_by_rule(&mut self, name: &QualifiedName, dml: &Dml, event: &str) -> Step<bool> {
        let table = self.table(name);
        let mut rules = table.rules.iter().filter(|rule| rule.enabled && rule.event == event);
        if dml.query.says(&["returning"]) && rules.clone().any(|rule| rule.instead) {
            let refusal = format!("cannot perform {event} RETURNING on relation \"{}\"", name.name);
            if !rules.clone().any(|rule| rule.acts) {
                return refuse("0A000", refusal);
            }
            // A rule's own RETURNING may stand for it.
            self.may_fail_always("0A000", refusal);
        }
        if !rules.clone().any(|rule| rule.instead && !rule.conditional) {
            return Ok(false);
        }
        self.lock(name, LockMode::RowExclusive);
        self.parse_query(&dml.query)?;
        if rules.any(|rule| rule.acts) {
            self.unread(format!("the rules of {name}"));
        }
        Ok(true)
    }

    /// What is done for rows of which there may be none: more locks and scans than before it are only possible ones.
    pub(super) fn if_a_row(&mut self, condition: &str, work: impl FnOnce(&mut Self)) {
        let (locks, scans) = (self.effects.locks.clone(), self.effects.scans.clone());
        work(self);
        let locks = std::mem::replace(&mut self.effects.locks, locks);
        for (relation, mode) in locks {
            if self.effects.locks.get(&relation) != Some(&mode) {
                self.maybe(&relation, UncertainEffect::Lock(mode), condition);
            }
        }
        let scans = std::mem::replace(&mut self.effects.scans, scans);
        for relation in scans {
            if !self.effects.scans.contains(&relation) {
                self.maybe(&relation, UncertainEffect::Scan, condition);
            }
        }
    }

    /// A row written to a partition by its own name is checked against the bound, which the parent's key gives.
    pub(super) fn read_bound_of(&mut self, name: &QualifiedName) {
        let mut current = name.clone();
        while let Some((parent, _)) = self.table(&current).partition_of.clone() {
            self.lock(&parent, LockMode::AccessShare);
            current = parent;
        }
    }

    /// ONLY before a view says nothing; what its own query says of the table under it counts.
    pub(super) fn through_views<'d>(&self, target: &QualifiedName, dml: &'d Dml) -> Cow<'d, Dml> {
        let mut current = target.clone();
        let mut only = dml.only;
        for _ in 0..64 {
            let Some(view) = self.catalog().view(&current).filter(|view| !view.materialized) else { break };
            let [(under, _)] = view.dependencies.as_slice() else { break };
            only = Only(view.query.only.contains(under));
            current = under.clone();
        }
        if only == dml.only { Cow::Borrowed(dml) } else { Cow::Owned(Dml { only, ..dml.clone() }) }
    }

    pub(super) fn update(&mut self, dml: &Dml) -> Step {
        self.open_with(&dml.query)?;
        let target = self.open_in_query(&dml.table)?;
        let dml = &*self.through_views(&target, dml);
        if self.replaced_by_rule(&target, dml, "UPDATE")? {
            return Ok(());
        }
        let name = self.change_rows(dml)?;
        self.need_written_columns(&target, &dml.columns)?;
        self.need_updatable(&target, Change::Update)?;
        self.check_view_columns(&target, &dml.columns, "update")?;
        if self.find(&dml.table).as_ref() == Some(&name) {
            check_assignments(dml)?;
            self.check_assigned_types(&name, dml, "")?;
            self.check_updated_columns(&name, dml)?;
        }
        self.draw_set_defaults(&name, dml);
        self.check_enum_values(&name, dml)?;
        self.check_told(&name, dml, Told::Update)?;
        // A row may have the value already, and then its key is not looked at.
        let outer = std::mem::replace(&mut self.perhaps, true);
        // What is set to itself does not change.
        let itself = |column: &Ident| {
            written_as(
                dml,
                column,
                &|node| matches!(node, ExprNode::Column { qualifier: None, name } if name == column),
            )
        };
        let changed: Vec<Ident> = dml.columns.iter().filter(|column| !itself(column)).cloned().collect();
        // A key that becomes NULL is not looked up (`RI_FKey_fk_upd_check_required`).
        let not_null = |column: &Ident| !written_as(dml, column, &|node| *node == ExprNode::Null);
        let looked_up: Vec<Ident> = changed.iter().filter(|column| not_null(column)).cloned().collect();
        let unchanged: Vec<Ident> = dml.columns.iter().filter(|column| itself(column)).cloned().collect();
        let rows = |run: &mut Self, name: &QualifiedName| {
            run.check_keys_of(name, Change::Update, Some(&looked_up), dml.predicate.is_none());
            run.if_a_row("this transaction has written a row before", |run| {
                run.check_keys_of(name, Change::Update, Some(&unchanged), dml.predicate.is_none());
            });
            // A row that another partition takes is a new one there, all of whose keys are looked up.
            if run.partition_keys(name).iter().any(|key| dml.columns.contains(key)) {
                run.if_a_row("a row moves to another partition", |run| {
                    run.check_keys_of(name, Change::Insert, None, true);
                    // Before 15 it is deleted where it was, for those that reference it as well.
                    if !run.version.at_least(15) {
                        run.check_keys_to(name, Change::Delete, &[]);
                    }
                });
            }
            run.read_bound_of(name);
            run.check_keys_to(name, Change::Update, &changed);
            run.put_off_uniqueness(name, Some(&changed));
            run.run_functions_of_rows(name);
            run.rows_may_be_refused(name);
        };
        for table in self.with_own_triggers(&name, dml) {
            self.for_changed_rows(&table, dml, |run| rows(run, &table));
            self.fire_triggers(&table, "UPDATE", &dml.columns);
        }
        self.perhaps = outer;
        self.written_in_tree(&name, false);
        Ok(())
    }

    pub(super) fn delete(&mut self, dml: &Dml) -> Step {
        self.open_with(&dml.query)?;
        let target = self.open_in_query(&dml.table)?;
        let dml = &*self.through_views(&target, dml);
        if self.replaced_by_rule(&target, dml, "DELETE")? {
            return Ok(());
        }
        let name = self.change_rows(dml)?;
        self.need_updatable(&target, Change::Delete)?;
        self.check_told(&name, dml, Told::Delete)?;
        let outer = std::mem::replace(&mut self.perhaps, true);
        for table in self.with_own_triggers(&name, dml) {
            self.for_changed_rows(&table, dml, |run| {
                run.check_keys_to(&table, Change::Delete, &[]);
                if !run.version.at_least(14) {
                    run.read_bound_of(&table);
                }
            });
            self.fire_triggers(&table, "DELETE", &[]);
        }
        self.perhaps = outer;
        Ok(())
    }

    /// Which partitions a condition leaves to be changed is the planner's affair.
    fn check_told(&mut self, name: &QualifiedName, dml: &Dml, told: Told) -> Step {
        let mut tables = vec![name.clone()];
        if !dml.only.0 {
            tables.extend(self.catalog().descendants(name));
        }
        let certain = self.table(name).partition_by.is_none() || changes_every_row(dml);
        self.check_replica_identity(&tables, told, certain)
    }

    /// The tables whose own triggers and keys an UPDATE or DELETE meets: partitions have those of their root, inheritance
    /// children have others.
    fn with_own_triggers(&self, name: &QualifiedName, dml: &Dml) -> Vec<QualifiedName> {
        let mut tables = vec![name.clone()];
        if !dml.only.0 && self.table(name).partition_by.is_none() {
            tables.extend(self.catalog().descendants(name));
        }
        tables
    }

    /// What an UPDATE or DELETE does for the rows of one table.
    fn for_changed_rows(&mut self, name: &QualifiedName, dml: &Dml, work: impl FnOnce(&mut Self)) {
        if !self.touches_rows(name, dml) {
        } else if changes_every_row(dml) {
            work(self);
        } else {
            self.if_a_row(SATISFIED, work);
        }
    }

    /// A partitioned table by itself has no rows.
    fn touches_rows(&self, name: &QualifiedName, dml: &Dml) -> bool {
        !self.is_empty(name) && (!dml.only.0 || self.has_storage(name))
    }

    /// Rows are changed, or new ones come: to a partitioned table into whichever partition, else into the table itself.
    fn written_in_tree(&mut self, name: &QualifiedName, inserted: bool) {
        let tables: Vec<QualifiedName> =
            std::iter::once(name.clone()).chain(self.catalog().descendants(name)).collect();
        let has_rows = |table: &QualifiedName| self.has_storage(table) && !self.is_empty(table);
        let anywhere = self.table(name).partition_by.is_some() && (inserted || tables.iter().any(has_rows));
        if anywhere || inserted {
            self.written_to(name);
        }
        for table in tables {
            if anywhere {
                self.written_to(&table);
            } else {
                self.forget_null_columns(|known, _| *known == table);
            }
        }
    }

    fn need_written_columns(&self, name: &QualifiedName, columns: &[Ident]) -> Step {
        let known: Vec<Ident> = match self.catalog().relation(name) {
            Some(Relation::Table(table)) if !table.is_vague() => {
                table.columns.iter().map(|column| column.name.clone()).collect()
            }
            Some(Relation::View(view)) if !view.columns.is_empty() => view.columns.clone(),
            _ => return Ok(()),
        };
        let missing = columns.iter().find(|column| !known.contains(column));
        missing.map_or(Ok(()), |column| Self::missing_column(name, column))
    }

    /// UPDATE and DELETE plan over the target: ROW EXCLUSIVE on the tables below and on every index.
    fn change_rows(&mut self, dml: &Dml) -> Step<QualifiedName> {
        let name = self.open_in_query(&dml.table)?;
        if self.catalog().view(&name).is_some_and(|view| view.materialized) {
            return if dml.merge.is_empty() {
                refuse("42809", format!("cannot change materialized view \"{}\"", name.name))
            } else {
                refuse("0A000", format!("cannot execute MERGE on relation \"{}\"", name.name))
            };
        }
        self.check_query_names(&dml.query)?;
        if let (Some(predicate), Some(table), false) =
            (&dml.predicate, self.catalog().table(&name), reads_rows(&dml.query))
            && !table.assumed
            && !table.uncertain
            && let ExprNode::Column { qualifier: None, name: column } = &*predicate.node
            && let Some(known) = table.column(column.as_str())
            && !crate::cast::base_type(self.catalog(), &known.data_type).is("bool")
        {
            let shown = self.shown(&known.data_type);
            return refuse("42804", format!("argument of WHERE must be type boolean, not type {shown}"));
        }
        let name = self.under_view(name);
        if !dml.merge.is_empty() {
            self.warn_of_publication(&name);
        }
        let target = self.find(&dml.table);
        let joined = dml.merge_on.iter().filter(|(_, relation, _)| self.find(relation) == target);
        let joined: Vec<&Ident> = joined.map(|(_, _, column)| column).collect();
        let never = self.opens_no_partition(&name, dml);
        let prunes = !dml.only.0
            && (never
                || self.prunes(&name, dml.predicate.as_ref())
                || self.partition_keys(&name).iter().any(|key| joined.contains(&key)));
        if dml.only.0 {
            self.plan_only_one(&name, LockMode::RowExclusive);
        } else {
            self.plan(&name, LockMode::RowExclusive, !prunes);
        }
        // Before 14 the bound is read whether it is needed or not (`InitResultRelInfo`).
        if !self.version.at_least(14) && (dml.only.0 || self.has_storage(&name)) {
            self.read_bound_of(&name);
        }
        let mut tables = vec![name.clone()];
        if prunes && !never {
            for child in self.catalog().descendants(&name) {
                let condition = format!("rows of {child} may satisfy the condition");
                self.maybe(&child, UncertainEffect::Lock(LockMode::RowExclusive), condition.clone());
                self.maybe(&child, UncertainEffect::Scan, condition.clone());
                self.lock_some_rows(&child, condition);
                for index in self.catalog().indexes_of(&child).to_vec() {
                    let index = child.sibling(index.name);
                    self.maybe(&index, UncertainEffect::Lock(LockMode::RowExclusive), format!("{child} is changed"));
                }
            }
        } else if !dml.only.0 && !never {
            tables.extend(self.catalog().descendants(&name));
        }
        for table in &tables {
            match self.access(table, dml.predicate.as_ref()) {
                // The rows of another relation may decide which ones are read.
                Access::Whole if reads_rows(&dml.query) && dml.predicate.is_some() => {
                    if !self.is_empty(table) && self.has_storage(table) {
                        self.maybe(table, UncertainEffect::Scan, "the planner uses no index");
                    }
                }
                Access::ByIndex if reads_rows(&dml.query) && !self.is_empty(table) && self.has_storage(table) => {
                    self.maybe(table, UncertainEffect::Scan, "the planner uses no index");
                }
                Access::Whole if !dml.merge.is_empty() => {
                    if !self.is_empty(table) && self.has_storage(table) {
                        self.maybe(table, UncertainEffect::Scan, "the planner uses no index");
                    }
                }
                Access::Whole => self.scan(table),
                Access::Perhaps if !self.is_empty(table) && self.has_storage(table) => {
                    self.maybe(table, UncertainEffect::Scan, "the planner uses no index");
                }
                Access::Perhaps | Access::ByIndex => {}
            }
        }
        let everything = changes_every_row(dml) && dml.merge.is_empty();
        for table in &tables {
            if everything {
                self.lock_rows(table, true);
            } else {
                self.lock_some_rows(table, format!("rows of {table} satisfy the condition"));
            }
        }
        let query = Query {
            relations: dml.query.relations.iter().filter(|name| self.find(name) != target).cloned().collect(),
            ..dml.query.clone()
        };
        self.run_query(&query)?;
        Ok(name)
    }

    /// What is computed by a view, or by one under it, cannot be written through it.
    fn check_view_columns(&self, name: &QualifiedName, columns: &[Ident], what: &str) -> Step {
        let (mut name, mut columns) = (name.clone(), columns.to_vec());
        for _ in 0..64 {
            let Some(view) = self.catalog().view(&name).filter(|view| !view.instead && !view.materialized) else {
                return Ok(());
            };
            let [(under, _)] = view.dependencies.as_slice() else { return Ok(()) };
            let mut targets = Vec::new();
            for column in view.columns.iter().filter(|column| columns.contains(column)) {
                match self.column_under(view, under, column) {
                    Shown::Column(column) => targets.push(column),
                    Shown::Computed => {
                        return refuse("0A000", format!("cannot {what} column \"{column}\" of view \"{}\"", name.name));
                    }
                    Shown::Open => return Ok(()),
                }
            }
            let twice = targets
                .iter()
                .enumerate()
                .find(|(place, column)| targets.iter().take(*place).any(|known| known == *column));
            if let Some((_, column)) = twice {
                return refuse("42601", format!("multiple assignments to same column \"{column}\""));
            }
            (name, columns) = (under.clone(), targets);
        }
        Ok(())
    }

    /// What a view's column shows of the one relation under it.
    fn column_under(&self, view: &View, under: &QualifiedName, column: &Ident) -> Shown {
        let Some(place) = view.columns.iter().position(|known| known == column) else { return Shown::Open };
        if view.query.star && view.query.output.is_empty() {
            let columns = self.catalog().view(under).map(|under| &under.columns);
            return match columns.filter(|columns| columns.len() == view.columns.len()) {
                Some(columns) => columns.get(place).cloned().map_or(Shown::Open, Shown::Column),
                None => Shown::Open,
            };
        }
        if view.query.star || view.query.output.len() != view.columns.len() {
            return Shown::Open;
        }
        match view.query.output.get(place).map(|output| &*output.expr.node) {
            Some(ExprNode::Column { name, .. }) => {
                let table = self.table(under);
                let system = super::create_table::is_system_column(name) && table.column(name.as_str()).is_none();
                if system && self.catalog().view(under).is_none() {
                    Shown::Computed
                } else {
                    Shown::Column(name.clone())
                }
            }
            Some(_) => Shown::Computed,
            None => Shown::Open,
        }
    }

    /// User triggers run functions whose bodies are opaque; rules put other statements in the place of this one.
    fn fire_triggers(&mut self, name: &QualifiedName, event: &str, columns: &[Ident]) {
        let table = self.table(name);
        if table.rules.iter().any(|rule| rule.enabled && rule.acts && rule.event == event) {
            self.unread(format!("the rules of {name}"));
        }
        for trigger in &table.triggers {
            if !trigger.enabled || !trigger.events.iter().any(|known| known == event) {
                continue;
            }
            let concerned = event != "UPDATE"
                || columns.is_empty()
                || trigger.update_of.is_empty()
                || trigger.update_of.iter().any(|column| columns.contains(column));
            let harmless = matches!(
                trigger.function.name.as_str(),
                "suppress_redundant_updates_trigger" | "tsvector_update_trigger" | "tsvector_update_trigger_column"
            ) && self.find_function(&trigger.function).is_none();
            if concerned && !harmless {
                self.unread(format!(
                    "the body of {}(), which trigger {} of {name} runs",
                    trigger.function, trigger.name
                ));
            }
            if let Some(constraint) = &trigger.constraint
                && self.is_deferred(name, constraint, trigger.attributes)
            {
                self.put_off(name, name, constraint);
            }
        }
    }
}

/// Whether the one row that is inserted has such a value for the column.
fn written_as(dml: &Dml, column: &Ident, is: &dyn Fn(&ExprNode) -> bool) -> bool {
    let place = dml.columns.iter().position(|known| known == column);
    place.and_then(|place| dml.values.get(place)).is_some_and(|value| is(&value.node))
}

/// Each column is set once.
fn check_assignments(dml: &Dml) -> Step {
    if dml.uneven {
        return refuse("42601", "number of columns does not match number of values");
    }
    // A part of a column may stand beside another part of it.
    if dml.query.words.contains(['[', '.']) {
        return Ok(());
    }
    for (place, column) in dml.columns.iter().enumerate() {
        if dml.columns.iter().take(place).any(|known| known == column) {
            return refuse("42601", format!("multiple assignments to same column \"{column}\""));
        }
    }
    Ok(())
}

/// Of an UPDATE or DELETE.
fn changes_every_row(dml: &Dml) -> bool {
    dml.predicate.is_none() && !reads_rows(&dml.query)
}

/// Whether FROM or USING joins the target with something else, so that not every row has to be changed.
fn reads_rows(query: &Query) -> bool {
    !query.relations.is_empty()
}

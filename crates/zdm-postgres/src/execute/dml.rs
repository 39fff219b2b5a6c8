//! Queries and changes of rows: what the planner and the executor open, and which rows are read.

mod computed;
mod updatable;

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::publication::Told;
use super::{Run, Step, refuse, written};
use crate::catalog::{Constraint, ConstraintKind, ForeignKey, Index, Relation, Table, View, sequences_in};
use crate::effects::UncertainEffect;
use crate::expr::{ExprNode, SqlExpr};
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{
    ConflictTarget, ConstraintAttributes, Dml, DropBehavior, IndexKey, MergeAction, MergeClause, MergeInsert,
    MergeWhen, Only, Query, SelectOutput, SourceKind,
};

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
    pub(super) fn select(&mut self, query: &Query) -> Step {
        check_row_locking(query, |function| {
            crate::typing::is_aggregate(function) && self.find_function(function).is_none()
        })?;
        self.run_query(query)
    }

    /// The relations of a query that is planned and run.
    pub(super) fn run_query(&mut self, query: &Query) -> Step {
        self.check_query_names(query)?;
        self.run_read_query(query)
    }

    /// What a query names is looked up before it is planned. In the body of a function it may be a parameter.
    pub(super) fn check_query_names(&mut self, query: &Query) -> Step {
        for written_name in &query.relations {
            self.open_in_query(written_name)?;
        }
        if self.depth > 0 { Ok(()) } else { self.check_names(query) }
    }

    /// Of a query whose columns were found when it was read, however they are called now.
    pub(super) fn run_read_query(&mut self, query: &Query) -> Step {
        let locked: BTreeSet<QualifiedName> = query.locked.iter().filter_map(|name| self.find(name)).collect();
        let whole = reads_everything(query);
        self.check_new_enum_values(&query.text, &|enum_type| {
            query.output.iter().any(|output| {
                let mut casts = false;
                output.expr.node.walk(&mut |node| {
                    if let ExprNode::Cast { data_type, .. } = node {
                        casts |= self.find_type(&data_type.name).as_ref() == Some(enum_type);
                    }
                });
                casts
            })
        })?;
        self.check_output_casts(query)?;
        self.run_functions_of(query);
        for written_name in &query.relations {
            let name = self.open_in_query(written_name)?;
            if locked.contains(&name) {
                // FOR KEY SHARE lets changes of other columns pass.
                let update = !query.says(&["for", "key", "share"]);
                let mut tables = Vec::new();
                for table in self.tables_under(&name) {
                    tables.extend(self.catalog().descendants(&table));
                    tables.push(table);
                }
                for table in tables {
                    if whole && name == table {
                        self.lock_rows(&table, update);
                    } else {
                        self.lock_some_rows(&table, format!("the query returns rows of {table}"));
                    }
                }
            }
            self.run_printing_view(&name);
            if self.catalog().view(&name).is_some_and(|view| view.materialized && !view.populated) {
                return refuse("55000", format!("materialized view \"{}\" has not been populated", name.name));
            }
            let mode = if locked.contains(&name) { LockMode::RowShare } else { LockMode::AccessShare };
            let keys = if query.only.contains(written_name) { Vec::new() } else { self.partition_keys(&name) };
            if !whole && keys.iter().any(|key| query.columns.contains(key)) {
                self.plan(&name, mode, false);
                self.maybe_read_partitions(&name, mode, "rows of it may satisfy the condition");
                for partition in self.partitions(&name) {
                    if self.has_storage(&partition) && !self.is_empty(&partition) {
                        self.maybe(&partition, UncertainEffect::Scan, "the planner uses no index");
                    }
                }
                continue;
            }
            // Of a view it says nothing.
            if query.only.contains(written_name) && !self.is_view(&name) {
                self.read_only_one(&name, mode, whole);
                continue;
            }
            self.read(&name, mode, whole, 0);
        }
        for statement in &query.modifies {
            self.execute(statement)?;
        }
        self.used_sequences(query)
    }

    /// A table without those under it.
    fn read_only_one(&mut self, name: &QualifiedName, mode: LockMode, whole: bool) {
        self.plan_only_one(name, mode);
        if whole {
            self.scan(name);
        } else if self.has_storage(name) && !self.is_empty(name) {
            self.maybe(name, UncertainEffect::Scan, "the planner uses no index");
        }
    }

    fn is_view(&self, name: &QualifiedName) -> bool {
        self.catalog().view(name).is_some_and(|view| !view.materialized)
    }

    /// The planner opens a table by itself with its indexes, partitioned or not.
    fn plan_only_one(&mut self, name: &QualifiedName, mode: LockMode) {
        self.lock(name, mode);
        self.lock_indexes(name, mode);
    }

    /// The relations of a query that is only parsed: ACCESS SHARE, no indexes.
    pub(super) fn parse_query(&mut self, query: &Query) -> Step {
        for written_name in &query.relations {
            let name = self.open_in_query(written_name)?;
            self.lock(&name, LockMode::AccessShare);
        }
        Ok(())
    }

    /// A relation in a query's FROM, with what is under it.
    fn read(&mut self, name: &QualifiedName, mode: LockMode, whole: bool, depth: u8) {
        match self.catalog().relation(name).cloned() {
            Some(Relation::View(view)) if !view.materialized => {
                self.lock(name, mode);
                self.run_functions_of(&view.query);
                let whole = whole && reads_everything(&view.query);
                for (under, _) in &view.dependencies {
                    if view.query.only.contains(under) && self.has_storage(under) {
                        self.read_only_one(under, mode, whole);
                    } else if depth < 64 {
                        // Views over views end; only a broken history could make a circle of them.
                        self.read(under, mode, whole, depth + 1);
                    }
                }
            }
            Some(Relation::Sequence(_)) => self.lock(name, mode),
            _ => {
                // What the view and the query say together may leave partitions out.
                let prunes = depth > 0 && !whole && self.table(name).partition_by.is_some();
                self.plan(name, mode, !prunes);
                if prunes {
                    self.maybe_read_partitions(name, mode, "rows of it may satisfy the condition");
                }
                let mut tables = vec![name.clone()];
                tables.extend(self.catalog().descendants(name));
                for table in tables {
                    if whole {
                        self.scan(&table);
                    } else if self.has_storage(&table) && !self.is_empty(&table) {
                        self.maybe(&table, UncertainEffect::Scan, "the planner uses no index");
                    }
                }
            }
        }
    }

    /// `nextval('s')` and `setval('s', …)` in the output; `set_config('name', 'value', local)` is SET.
    fn used_sequences(&mut self, query: &Query) -> Step {
        for output in &query.output {
            if let ExprNode::Call { function, args, .. } = &*output.expr.node
                && function.name == "set_config"
                && let [ExprNode::Text(name), ExprNode::Text(value), ExprNode::Bool(local)] = args.as_slice()
            {
                self.check_parameter(name, Some(value))?;
                self.state.set(&crate::statement::SetParameter {
                    name: name.clone(),
                    value: Some(value.clone()),
                    local: *local,
                });
            }
            for written_name in sequences_in(&output.expr.node) {
                self.need_sequence(&written_name)?;
            }
            self.check_set_values(&output.expr.node)?;
            self.draw_from(&output.expr.node);
        }
        let mut drawn = Vec::new();
        self.draws_of(query, true, 0, &mut drawn);
        for (written_name, surely) in drawn {
            self.need_sequence(&written_name)?;
            let Some(sequence) = self.find(&written_name) else { continue };
            if surely {
                self.lock(&sequence, LockMode::RowExclusive);
            } else {
                self.maybe(&sequence, UncertainEffect::Lock(LockMode::RowExclusive), "there is a row to draw for");
            }
        }
        Ok(())
    }

    /// The sequences that a query draws from, in what is in it as well, each with whether it surely does.
    fn draws_of(&self, query: &Query, surely: bool, depth: u8, drawn: &mut Vec<(QualifiedName, bool)>) {
        if depth > 16 {
            return;
        }
        for select in &query.selects {
            let rows = select.sources.iter().all(|source| match &source.kind {
                SourceKind::Relation(name) => self.find(name).is_some_and(|name| !self.is_empty(&name)),
                SourceKind::Query { .. } | SourceKind::Unknown => false,
            });
            let inserted = matches!(select.changes, Some("VALUES"))
                || (matches!(select.changes, Some("RETURNING")) && select.predicate.is_none());
            let all = select.predicate.is_none() && select.sources.len() < 2 && select.joins.is_empty();
            let sure = surely && (inserted || (rows && all && !query.says(&["limit"])));
            let outputs = select.output.iter().chain(&select.returning).filter_map(|output| match output {
                SelectOutput::Column(column) => Some((&column.expr, sure)),
                SelectOutput::Star(_) => None,
            });
            let joins = select.joins.iter().map(|(_, condition)| condition);
            let others = joins.chain(&select.predicate).chain(&select.group).chain(&select.having).chain(&select.order);
            for (expr, sure) in outputs.chain(others.map(|expr| (expr, false))) {
                drawn.extend(sequences_in(&expr.node).into_iter().map(|sequence| (sequence, sure)));
                expr.node.walk(&mut |node| {
                    if let ExprNode::Subquery { query } = node {
                        self.draws_of(query, false, depth + 1, drawn);
                    }
                });
            }
            for source in &select.sources {
                match &source.kind {
                    SourceKind::Query { query, .. } => self.draws_of(query, false, depth + 1, drawn),
                    SourceKind::Relation(name) => {
                        let view = self.find(name).and_then(|name| self.catalog().view(&name).cloned());
                        if let Some(view) = view.filter(|view| !view.materialized) {
                            self.draws_of(&view.query, false, depth + 1, drawn);
                        }
                    }
                    SourceKind::Unknown => {}
                }
            }
        }
        for table in &query.with {
            self.draws_of(&table.query, false, depth + 1, drawn);
        }
        if query.selects.is_empty() {
            let outputs = query.output.iter().flat_map(|output| sequences_in(&output.expr.node));
            drawn.extend(outputs.map(|sequence| (sequence, false)));
        }
    }

    /// What `nextval` and its kin are given is looked up when the statement is read, and must be a sequence when they run.
    fn need_sequence(&self, written_name: &QualifiedName) -> Step {
        self.need_named(written_name)?;
        match self.find(written_name) {
            Some(name) if self.catalog().sequence(&name).is_none() && !self.is_assumed(&name) => {
                self.no_sequence(&name)
            }
            _ => Ok(()),
        }
    }

    /// A relation that a literal of `regclass` names. That of an assumed table's column is not known.
    pub(super) fn need_named(&self, written_name: &QualifiedName) -> Step {
        let of_assumed = |table: &Table| {
            (table.assumed || table.uncertain) && written_name.name.as_str().starts_with(table.name.name.as_str())
        };
        let known = self.catalog().is_incomplete()
            || self.find(written_name).is_some()
            || self.catalog().tables().any(|table| of_assumed(table));
        if known {
            return Ok(());
        }
        // `regclassin` knows soft errors since 16.
        if !self.version.at_least(16) {
            self.need_schema_of(written_name)?;
        }
        refuse("42P01", format!("relation \"{}\" does not exist", written(written_name)))
    }

    pub(super) fn draw_from(&mut self, node: &ExprNode) {
        node.walk(&mut |node| {
            if let ExprNode::Call { function, .. } = node
                && matches!(function.name.as_str(), "currval" | "lastval")
            {
                self.may_fail_always("55000", "the session has not drawn from the sequence before");
            }
        });
        for written_name in sequences_in(node) {
            if let Some(sequence) = self.find(&written_name) {
                self.lock(&sequence, LockMode::RowExclusive);
            }
        }
        let mut serial = Vec::new();
        node.walk(&mut |node| {
            if let ExprNode::Call { function, args, .. } = node
                && matches!(function.name.as_str(), "setval" | "nextval")
                && let Some(ExprNode::Call { function: inner, args, .. }) = args.first()
                && inner.name == "pg_get_serial_sequence"
                && let [ExprNode::Text(table), ExprNode::Text(column)] = args.as_slice()
            {
                serial.push((crate::catalog::regclass(table), Ident::new(column.as_str())));
            }
        });
        for (table, column) in serial {
            let Some(table) = self.find(&table) else { continue };
            let sequence = self.catalog().sequences_of(&table).into_iter().find(|(owner, _)| *owner == column);
            if let Some((_, sequence)) = sequence {
                self.lock(&sequence, LockMode::RowExclusive);
            }
        }
    }

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

    /// The tables under a view at every level; a table is itself.
    fn tables_under(&self, name: &QualifiedName) -> Vec<QualifiedName> {
        let mut found = vec![name.clone()];
        let mut next = 0;
        while let Some(current) = found.get(next).cloned() {
            next += 1;
            if let Some(view) = self.catalog().view(&current).filter(|view| !view.materialized) {
                for (under, _) in &view.dependencies {
                    if !found.contains(under) {
                        found.push(under.clone());
                    }
                }
            }
        }
        found
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

    /// `resolve_unique_index_expr`: the columns of ON CONFLICT are looked up before what it does.
    fn check_arbiter_columns(&self, name: &QualifiedName, dml: &Dml) -> Step {
        let Some(ConflictTarget::Columns(columns)) = &dml.conflict else { return Ok(()) };
        let known: Vec<&Ident> = match self.catalog().relation(name) {
            Some(Relation::Table(table)) if !table.assumed && !table.uncertain => {
                table.columns.iter().map(|column| &column.name).collect()
            }
            Some(Relation::View(view)) if !view.columns.is_empty() => view.columns.iter().collect(),
            _ => return Ok(()),
        };
        let missing =
            columns.iter().find(|column| !known.contains(column) && !super::create_table::is_system_column(column));
        missing.map_or(Ok(()), |column| refuse("42703", format!("column \"{column}\" does not exist")))
    }

    pub(super) fn insert(&mut self, dml: &Dml) -> Step {
        self.open_with(&dml.query)?;
        let written_to = self.open_in_query(&dml.table)?;
        if self.catalog().view(&written_to).is_some_and(|view| view.materialized) {
            return refuse("42809", format!("cannot change materialized view \"{}\"", written_to.name));
        }
        let name = self.under_view(written_to.clone());
        self.need_written_columns(&written_to, &dml.columns)?;
        if name != written_to {
            self.check_arbiter_columns(&written_to, dml)?;
            self.check_names(&dml.query)?;
            self.need_updatable(&written_to, Change::Insert)?;
            self.check_view_columns(&written_to, &self.columns_inserted(&written_to, dml), "insert into")?;
        }
        if self.replaced_by_rule(&name, dml, "INSERT")? {
            return Ok(());
        }
        self.lock(&name, LockMode::RowExclusive);
        self.check_arbiter_columns(&written_to, dml)?;
        self.run_query(&dml.query)?;
        if name == written_to {
            self.check_row(&name, dml)?;
            self.need_written_columns(&name, &dml.conflict_columns)?;
            self.check_conflict_target(&name, dml)?;
        } else if let Some(view) = self.catalog().view(&written_to).filter(|view| !view.instead).cloned() {
            // Through a view whose columns have their own names.
            let named = match &dml.conflict {
                Some(ConflictTarget::Columns(columns)) => columns.clone(),
                Some(ConflictTarget::Expressions(list)) => {
                    list.iter().flat_map(|expr| expr.node.certain_columns()).collect()
                }
                _ => Vec::new(),
            };
            if let Some(missing) = named.iter().find(|column| !view.columns.contains(column))
                && !view.columns.is_empty()
            {
                return refuse("42703", format!("column \"{missing}\" does not exist"));
            }
            if dml.columns.is_empty() && !view.columns.is_empty() && dml.values.len() > view.columns.len() {
                return refuse("42601", "INSERT has more expressions than target columns");
            }
            if let Some(ConflictTarget::Constraint(constraint)) = &dml.conflict {
                let view = &written_to.name;
                return refuse("42704", format!("constraint \"{constraint}\" for table \"{view}\" does not exist"));
            }
            let table = self.table(&name);
            if view.columns.iter().all(|column| table.column(column.as_str()).is_some()) {
                self.check_conflict_target(&name, dml)?;
            }
        }
        self.check_computed_columns(&written_to, &name, dml)?;
        self.lock_arbiters(&name, dml.conflict.as_ref());
        if dml.on_conflict_update {
            self.warn_of_publication(&name);
            for table in std::iter::once(name.clone()).chain(self.catalog().descendants(&name)) {
                self.lock_some_rows(&table, "a row exists already");
                if dml.values_rows.is_none() && self.has_storage(&table) && !self.is_empty(&table) {
                    self.maybe(&table, UncertainEffect::Scan, "as many rows exist already");
                }
            }
        }
        let table = self.table(&name);
        self.draw_for_insert(&written_to, &name, dml);
        if table.partition_by.is_some() {
            for child in self.catalog().descendants(&name) {
                self.maybe(&child, UncertainEffect::Lock(LockMode::RowExclusive), format!("rows go to {child}"));
            }
        }
        self.check_enum_values(&name, dml)?;
        self.check_deferred_arbiters(&name, dml)?;
        let columns = self.valued_columns(&table, dml);
        // A query with a condition may give no row at all, and then no key is looked at.
        let certain = dml.values_rows.is_some() || reads_everything(&dml.query);
        let condition = match (&dml.conflict, certain) {
            (Some(_), _) => Some("no such row exists"),
            (None, false) => Some("the query returns a row"),
            (None, true) => None,
        };
        if let Some(condition) = condition {
            let outer = std::mem::replace(&mut self.perhaps, true);
            self.if_a_row(condition, |run| run.rows_inserted(&name, columns.as_deref(), true));
            self.perhaps = outer;
            return Ok(());
        }
        self.rows_inserted(&name, columns.as_deref(), dml.values_rows.is_none());
        Ok(())
    }

    /// The columns that an INSERT gives a value or that have one by default; `None` where its columns are not known.
    fn valued_columns(&self, table: &Table, dml: &Dml) -> Option<Vec<Ident>> {
        let written: Vec<Ident> = if dml.columns.is_empty() {
            let places = dml.values.len().max(dml.given.len());
            table.columns.iter().take(places).map(|column| column.name.clone()).collect()
        } else {
            dml.columns.clone()
        };
        if written.is_empty() && !dml.query.says(&["default", "values"]) {
            return None;
        }
        let is = |place: usize, node: &ExprNode| dml.values.get(place).is_some_and(|value| *value.node == *node);
        let but = |nodes: &[ExprNode]| -> Vec<Ident> {
            let kept = written.iter().enumerate().filter(|(place, _)| !nodes.iter().any(|node| is(*place, node)));
            kept.map(|(_, column)| column.clone()).collect()
        };
        let null = |column: &Ident| {
            let place = written.iter().position(|written| written == column);
            place.and_then(|place| dml.given.get(place)).is_some_and(|given| given.null)
        };
        let mut given = but(&[ExprNode::Null, ExprNode::Default]);
        given.retain(|column| !null(column));
        Some(self.with_defaults(table, &but(&[ExprNode::Default]), given))
    }

    /// And the columns that are not written and get a value all the same.
    pub(super) fn with_defaults(&self, table: &Table, written: &[Ident], mut given: Vec<Ident>) -> Vec<Ident> {
        let valued = |column: &&crate::catalog::Column| {
            !written.contains(&column.name)
                && (self.effective_default(column).is_some() || column.identity.is_some() || column.generated.is_some())
        };
        given.extend(table.columns.iter().filter(valued).map(|column| column.name.clone()));
        given
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

    /// As many values as columns, and each column once.
    fn check_row(&self, name: &QualifiedName, dml: &Dml) -> Step {
        let table = self.table(name);
        if table.assumed || table.uncertain {
            return Ok(());
        }
        // A part of a column may stand beside another part of it.
        let parts = dml.query.words.contains(['[', '.']);
        for (place, column) in dml.columns.iter().enumerate() {
            if !parts && dml.columns.iter().take(place).any(|known| known == column) {
                return refuse("42701", format!("column \"{column}\" specified more than once"));
            }
        }
        if dml.given.is_empty() {
            if !parts {
                self.check_all_columns(&table, dml)?;
            }
            return self.check_assigned_types(name, dml);
        }
        let columns = if dml.columns.is_empty() { table.columns.len() } else { dml.columns.len() };
        if dml.given.len() > columns {
            return refuse("42601", "INSERT has more expressions than target columns");
        }
        if dml.given.len() < dml.columns.len() {
            return refuse("42601", "INSERT has more target columns than expressions");
        }
        if dml.uneven {
            return refuse("42601", "VALUES lists must all be the same length");
        }
        for (place, value) in dml.values.iter().enumerate() {
            let column = match dml.columns.get(place) {
                // A part of it has a type of its own.
                Some(_) if parts => None,
                Some(column) => table.column(column.as_str()),
                None => table.columns.get(place),
            };
            let (Some(column), Some(given)) = (column, self.type_of_constant(&value.node)) else { continue };
            let base = crate::cast::base_type(self.catalog(), &column.data_type);
            let has_parts = base.is_array() || self.catalog().user_type(&base.name).is_some();
            if parts && has_parts && !dml.columns.is_empty() {
                continue;
            }
            if !crate::cast::is_assignable(self.catalog(), &given, &column.data_type) {
                let (wanted, given) = (self.shown(&column.data_type), self.shown(&given));
                return refuse(
                    "42804",
                    format!("column \"{}\" is of type {wanted} but expression is of type {given}", column.name),
                );
            }
        }
        Ok(())
    }

    /// `INSERT … SELECT * FROM` one relation: as many columns as the list or the table has, each of a type that is assigned.
    fn check_all_columns(&self, table: &Table, dml: &Dml) -> Step {
        let source = all_columns_of(&dml.query).and_then(|source| self.find(source));
        let Some(given) = source.and_then(|source| self.columns_of_relation(&source, 0)) else { return Ok(()) };
        let columns = if dml.columns.is_empty() { table.columns.len() } else { dml.columns.len() };
        if given.len() > columns {
            return refuse("42601", "INSERT has more expressions than target columns");
        }
        if given.len() < dml.columns.len() {
            return refuse("42601", "INSERT has more target columns than expressions");
        }
        for (place, given) in given.iter().enumerate() {
            let column = match dml.columns.get(place) {
                Some(column) => table.column(column.as_str()),
                None => table.columns.get(place),
            };
            let Some(column) = column else { continue };
            if !crate::cast::is_assignable(self.catalog(), &given.data_type, &column.data_type) {
                let (wanted, given) = (self.shown(&column.data_type), self.shown(&given.data_type));
                return refuse(
                    "42804",
                    format!("column \"{}\" is of type {wanted} but expression is of type {given}", column.name),
                );
            }
        }
        Ok(())
    }

    /// What a query or SET gives for a column is of a type that is assigned to it.
    fn check_assigned_types(&self, name: &QualifiedName, dml: &Dml) -> Step {
        let table = self.table(name);
        // A part of a column has a type of its own; a composite column is passed over for it.
        let in_parts = |column: &Ident| dml.query.words.contains(&format!(" {column} ["));
        let parts = dml.query.words.contains("\"\" [") || dml.columns.iter().any(in_parts);
        if table.assumed || table.uncertain || parts {
            return Ok(());
        }
        let Some(types) = self.types_of_values(&dml.query) else { return Ok(()) };
        let counted =
            dml.columns.len() == types.len() || (dml.columns.is_empty() && types.len() <= table.columns.len());
        for (place, given) in types.iter().enumerate().filter(|_| counted) {
            let column = match dml.columns.get(place) {
                Some(column) => table.column(column.as_str()),
                None => table.columns.get(place),
            };
            let (Some(column), Some(given)) = (column, given) else { continue };
            if self.catalog().attributes(&crate::cast::base_type(self.catalog(), &column.data_type)).is_some() {
                continue;
            }
            if !crate::cast::is_assignable(self.catalog(), given, &column.data_type) {
                let (wanted, given) = (self.shown(&column.data_type), self.shown(given));
                return refuse(
                    "42804",
                    format!("column \"{}\" is of type {wanted} but expression is of type {given}", column.name),
                );
            }
        }
        Ok(())
    }

    /// An index or a constraint must tell the conflict.
    pub(super) fn check_conflict_target(&mut self, name: &QualifiedName, dml: &Dml) -> Step {
        let table = self.table(name);
        let known = !table.assumed && !table.uncertain;
        match &dml.conflict {
            Some(ConflictTarget::Any) if dml.on_conflict_update => {
                refuse("42601", "ON CONFLICT DO UPDATE requires inference specification or constraint name")
            }
            Some(ConflictTarget::Constraint(constraint))
                if known && table.constraint(constraint.as_str()).is_none() =>
            {
                refuse("42704", format!("constraint \"{constraint}\" for table \"{}\" does not exist", name.name))
            }
            Some(ConflictTarget::Constraint(constraint)) if known => {
                let found = table.constraint(constraint.as_str());
                let overlaps = found.is_some_and(|constraint| super::create_table::of_ranges(&table, constraint));
                match found.map(|constraint| &constraint.kind) {
                    Some(ConstraintKind::Unique { .. } | ConstraintKind::PrimaryKey { .. }) if !overlaps => Ok(()),
                    Some(
                        ConstraintKind::Exclude { .. }
                        | ConstraintKind::Unique { .. }
                        | ConstraintKind::PrimaryKey { .. },
                    ) if dml.on_conflict_update => {
                        refuse("42809", "ON CONFLICT DO UPDATE not supported with exclusion constraints")
                    }
                    Some(
                        ConstraintKind::Check { .. } | ConstraintKind::NotNull { .. } | ConstraintKind::ForeignKey(_),
                    ) => refuse("42809", "constraint in ON CONFLICT clause has no associated index"),
                    _ => Ok(()),
                }
            }
            Some(ConflictTarget::Columns(columns)) if known => {
                if let Some(missing) = columns.iter().find(|column| table.column(column.as_str()).is_none()) {
                    return refuse("42703", format!("column \"{missing}\" does not exist"));
                }
                if table.indexes.iter().any(|index| is_on(index, columns)) {
                    return Ok(());
                }
                refuse("42P10", "there is no unique or exclusion constraint matching the ON CONFLICT specification")
            }
            Some(ConflictTarget::Expressions(expressions)) if known => {
                let columns = expressions.iter().flat_map(|expr| expr.node.certain_columns());
                if let Some(missing) = columns.into_iter().find(|column| table.column(column.as_str()).is_none()) {
                    return refuse("42703", format!("column \"{missing}\" does not exist"));
                }
                // Collations and operator classes stand inside the expression as it is read here.
                let simple = expressions.iter().all(|expr| {
                    let mut simple = true;
                    expr.node.walk(&mut |node| {
                        simple &= !matches!(node, ExprNode::Other { .. } | ExprNode::Collate { .. });
                    });
                    simple
                });
                let is = |key: &IndexKey, expr: &SqlExpr| match key {
                    IndexKey::Column(column) => {
                        matches!(&*expr.node, ExprNode::Column { name, .. } if name == column)
                    }
                    IndexKey::Expr(known) => known.node == expr.node,
                };
                let tells = |index: &crate::catalog::Index| {
                    index.unique
                        && index.valid
                        && index.predicate.is_none()
                        && index.elements.iter().all(|element| expressions.iter().any(|expr| is(&element.key, expr)))
                        && expressions.iter().all(|expr| index.elements.iter().any(|element| is(&element.key, expr)))
                };
                if !simple || table.indexes.iter().any(tells) {
                    return Ok(());
                }
                // An index may say the same in other words.
                let expressive = |index: &crate::catalog::Index| {
                    index.unique && index.elements.iter().any(|element| element.key.column().is_none())
                };
                if table.indexes.iter().any(expressive) {
                    self.may_fail_always("42P10", "no index matches the ON CONFLICT specification");
                    return Ok(());
                }
                refuse("42P10", "there is no unique or exclusion constraint matching the ON CONFLICT specification")
            }
            _ => Ok(()),
        }
    }

    /// `ExecCheckIndexConstraints`: with a row, an index that is checked later can tell no conflict.
    fn check_deferred_arbiters(&mut self, name: &QualifiedName, dml: &Dml) -> Step {
        let Some(target) = &dml.conflict else { return Ok(()) };
        let table = self.table(name);
        let deferred = table.indexes.iter().any(|index| {
            let meant = match target {
                ConflictTarget::Any => true,
                ConflictTarget::Constraint(constraint) => index.name == *constraint,
                ConflictTarget::Columns(columns) => is_on(index, columns),
                ConflictTarget::Expressions(_) | ConflictTarget::Other => false,
            };
            let constraint = table.constraint(index.name.as_str()).filter(|_| index.constraint);
            meant && constraint.is_some_and(|constraint| constraint.attributes.deferrable)
        });
        if !deferred {
            return Ok(());
        }
        let message = "ON CONFLICT does not support deferrable unique constraints/exclusion constraints as arbiters";
        let kept = table.triggers.iter().any(|trigger| trigger.for_each_row && trigger.timing == "BEFORE");
        if dml.values_rows.is_some() && !kept {
            return refuse("55000", message);
        }
        self.may_fail_always("55000", message);
        Ok(())
    }

    /// `infer_arbiter_indexes`: the planner opens one index after the other until it has found those that are meant.
    pub(super) fn lock_arbiters(&mut self, name: &QualifiedName, conflict: Option<&ConflictTarget>) {
        let constraint = match conflict {
            None | Some(ConflictTarget::Any) => return,
            Some(ConflictTarget::Constraint(constraint)) => Some(constraint.clone()),
            Some(ConflictTarget::Columns(_) | ConflictTarget::Expressions(_) | ConflictTarget::Other) => None,
        };
        let indexes: Vec<Ident> = self.catalog().indexes_of(name).iter().map(|index| index.name.clone()).collect();
        for index in indexes {
            self.lock(&name.sibling(index.clone()), LockMode::RowExclusive);
            if Some(&index) == constraint.as_ref() {
                return;
            }
        }
    }

    /// The checks and triggers of new rows. `columns`: those that may be something else than NULL, where that is known.
    pub(super) fn rows_inserted(&mut self, name: &QualifiedName, columns: Option<&[Ident]>, many: bool) {
        self.written_in_tree(name, true);
        self.run_functions_of_rows(name);
        self.check_keys_of(name, Change::Insert, columns, many);
        self.put_off_uniqueness(name, None);
        self.read_bound_of(name);
        self.fire_triggers(name, "INSERT", &[]);
        self.rows_may_be_refused(name);
    }

    /// New values may break a constraint or not fit their column.
    fn rows_may_be_refused(&mut self, name: &QualifiedName) {
        self.may_fail(name, "23000", format!("a new row breaks a constraint of {name}"));
        self.may_fail(name, "22000", format!("a value does not fit its column of {name}"));
    }

    /// A row written to a partition by its own name is checked against the bound, which the parent's key gives.
    pub(super) fn read_bound_of(&mut self, name: &QualifiedName) {
        let mut current = name.clone();
        while let Some((parent, _)) = self.table(&current).partition_of.clone() {
            self.lock(&parent, LockMode::AccessShare);
            current = parent;
        }
    }

    /// COPY gives no value for the columns that it does not name.
    pub(super) fn draw_defaults(&mut self, name: &QualifiedName, columns: &[Ident]) {
        if columns.is_empty() {
            return;
        }
        for column in self.table(name).columns.iter().filter(|column| !columns.contains(&column.name)) {
            let mut sequences: Vec<QualifiedName> =
                column.identity.iter().map(|identity| identity.sequence.clone()).collect();
            if let Some(default) = self.effective_default(column) {
                self.run_functions_in(&default.node);
                sequences.extend(sequences_in(&default.node).iter().filter_map(|sequence| self.find(sequence)));
            }
            for sequence in sequences {
                self.maybe(&sequence, UncertainEffect::Lock(LockMode::RowExclusive), "there are rows to copy");
            }
        }
    }

    fn check_enum_values(&self, name: &QualifiedName, dml: &Dml) -> Step {
        let table = self.table(name);
        self.check_new_enum_values(&dml.query.text, &|enum_type| {
            // The text says the value somewhere; a statement that does not touch the column means another one.
            let named = |column: &Ident| {
                (dml.columns.is_empty() && dml.predicate.is_none())
                    || dml.columns.contains(column)
                    || dml.query.columns.contains(column)
            };
            table.columns.iter().any(|column| column.data_type.name == *enum_type && named(&column.name))
        })
    }

    /// Every row of the table is locked until the transaction ends.
    fn lock_rows(&mut self, name: &QualifiedName, update: bool) {
        if self.has_storage(name) && !self.is_empty(name) {
            let blocks =
                crate::effects::Blocks { update, select_for_update: true, ..crate::effects::Blocks::default() };
            let known = self.effects.row_locks.entry(name.clone()).or_default();
            *known = known.union(blocks);
        }
    }

    /// Some rows of the table are locked until the transaction ends.
    pub(super) fn lock_some_rows(&mut self, name: &QualifiedName, condition: impl Into<String>) {
        if self.has_storage(name) && !self.is_empty(name) {
            self.maybe(name, UncertainEffect::RowLocks, condition);
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
            self.check_assigned_types(&name, dml)?;
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

    pub(super) fn merge(&mut self, dml: &Dml) -> Step {
        self.since(15, "MERGE")?;
        if dml.merge.iter().any(|clause| clause.by) {
            self.since(17, "BY")?;
        }
        if dml.query.says(&["returning"]) {
            self.since(17, "RETURNING")?;
        }
        check_merge_clauses(&dml.merge)?;
        self.open_with(&dml.query)?;
        let target = self.open_in_query(&dml.table)?;
        let dml = &*self.through_views(&target, dml);
        if self.catalog().view(&target).is_some() && !self.version.at_least(17) {
            return refuse("0A000", format!("cannot execute MERGE on relation \"{}\"", target.name));
        }
        if self.table(&target).rules.iter().any(|rule| rule.enabled && rule.event != "SELECT") {
            return refuse("0A000", format!("cannot execute MERGE on relation \"{}\"", target.name));
        }
        let idle = dml.merge.iter().all(|clause| clause.action == MergeAction::Nothing);
        if idle && self.catalog().view(&target).is_some_and(|view| !view.materialized) {
            // Nothing is written through the view: the tables under it are read.
            self.lock(&target, LockMode::RowExclusive);
            let under = self.catalog().view(&target).map(|view| view.dependencies.clone()).unwrap_or_default();
            for (relation, _) in under {
                self.read(&relation, LockMode::AccessShare, false, 0);
            }
            return self.run_query(&dml.query);
        }
        let name = self.change_rows(dml)?;
        let written = || {
            dml.merge.iter().filter_map(|clause| match &clause.action {
                MergeAction::Insert(MergeInsert { columns, .. }) | MergeAction::Update(columns) => Some(columns),
                MergeAction::Delete | MergeAction::Nothing => None,
            })
        };
        written().try_for_each(|columns| self.need_written_columns(&target, columns))?;
        self.need_updatable_for_merge(&target, dml)?;
        written().try_for_each(|columns| self.check_view_columns(&target, columns, "merge into"))?;
        self.draw_for_merge(&name, dml);
        self.check_merged_columns(&name, dml)?;
        let does = |wanted: fn(&MergeAction) -> bool| dml.merge.iter().any(|clause| wanted(&clause.action));
        let inserts = does(|action| matches!(action, MergeAction::Insert(_)));
        let updates = does(|action| matches!(action, MergeAction::Update(_)));
        let deletes = does(|action| matches!(action, MergeAction::Delete));
        self.perhaps = true;
        self.if_a_row("the source has rows for it", |run| {
            if inserts {
                run.check_keys_of(&name, Change::Insert, None, true);
            }
            if !run.touches_rows(&name, dml) {
                return;
            }
            if updates {
                run.check_keys_of(&name, Change::Update, Some(&dml.columns), true);
                run.check_keys_to(&name, Change::Update, &dml.columns);
            }
            if deletes {
                run.check_keys_to(&name, Change::Delete, &[]);
            }
        });
        if inserts || updates {
            self.run_functions_of_rows(&name);
            self.rows_may_be_refused(&name);
        }
        for (event, fires) in [("INSERT", inserts), ("UPDATE", updates), ("DELETE", deletes)] {
            if fires {
                self.fire_triggers(&name, event, &dml.columns);
            }
        }
        self.written_in_tree(&name, inserts);
        Ok(())
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

    /// Where no row satisfies the condition the planner opens no partition.
    pub(super) fn opens_no_partition(&self, name: &QualifiedName, dml: &Dml) -> bool {
        self.version.at_least(14)
            && self.table(name).partition_by.is_some()
            && dml.predicate.as_ref().is_some_and(|predicate| *predicate.node == ExprNode::Bool(false))
    }

    /// The planner may leave partitions out.
    fn maybe_read_partitions(&mut self, name: &QualifiedName, mode: LockMode, condition: &str) {
        for partition in self.partitions(name) {
            self.maybe(&partition, UncertainEffect::Lock(mode), condition);
            for index in self.catalog().indexes_of(&partition).to_vec() {
                self.maybe(&partition.sibling(index.name), UncertainEffect::Lock(mode), condition);
            }
        }
    }

    /// Whether the condition names the partition key, so that the planner leaves partitions out.
    fn prunes(&self, name: &QualifiedName, predicate: Option<&SqlExpr>) -> bool {
        let Some(predicate) = predicate else { return false };
        let columns = predicate.node.columns();
        self.partition_keys(name).iter().any(|key| columns.contains(key))
    }

    /// The columns that the table and its partitions are divided by.
    fn partition_keys(&self, name: &QualifiedName) -> Vec<Ident> {
        let mut keys = Vec::new();
        for table in std::iter::once(name.clone()).chain(self.partitions(name)) {
            if let Some(partition_by) = &self.table(&table).partition_by {
                keys.extend(partition_by.columns.iter().cloned());
                keys.extend(partition_by.expressions.iter().flat_map(|expression| expression.node.columns()));
            }
        }
        keys
    }

    /// Whether an index can find the rows.
    fn access(&self, name: &QualifiedName, predicate: Option<&SqlExpr>) -> Access {
        let Some(predicate) = predicate else { return Access::Whole };
        if *predicate.node == ExprNode::Bool(false) {
            return Access::ByIndex;
        }
        let table = self.table(name);
        if table.assumed {
            return Access::Perhaps;
        }
        // With a unique index on it alone a value stands for one row, with another index for as many as there may be.
        let leading: Vec<(&Ident, bool)> = table
            .indexes
            .iter()
            .filter(|index| index.valid && index.predicate.is_none())
            .filter_map(|index| {
                Some((index.elements.first()?.key.column()?, index.unique && index.elements.len() == 1))
            })
            .collect();
        let mut terms = Vec::new();
        crate::proof::conjuncts(&predicate.node, &mut terms);
        let mut best = Access::Whole;
        for term in terms {
            best = best.max(term_access(term, &leading));
        }
        // An index over some of the rows, or on an expression, may serve what names the same columns, or the expression.
        let named = predicate.node.columns();
        let serves = |index: &Index| {
            let partly = index.predicate.as_ref().is_some_and(|part| {
                let columns = part.node.columns();
                !columns.is_empty() && columns.iter().all(|column| named.contains(column))
            });
            let first = index.elements.first().is_some_and(|element| match &element.key {
                IndexKey::Expr(expr) => contains(&predicate.node, &expr.node),
                IndexKey::Column(_) => false,
            });
            index.valid && (partly || first)
        };
        if table.indexes.iter().any(serves) { best.max(Access::Perhaps) } else { best }
    }

    /// The foreign keys of the table whose rows were written.
    fn check_keys_of(&mut self, name: &QualifiedName, change: Change, columns: Option<&[Ident]>, many: bool) {
        if self.is_replica() || self.table(name).key_triggers_off {
            return;
        }
        let table = self.table(name);
        for constraint in &table.constraints {
            let ConstraintKind::ForeignKey(key) = &constraint.kind else { continue };
            if !constraint.attributes.enforced {
                continue;
            }
            // `RI_FKey_fk_upd_check_required`: rows that this transaction has written are looked up whatever changes.
            let concerned = match change {
                Change::Insert | Change::Delete => true,
                Change::Update => {
                    key.columns.iter().any(|column| columns.is_none_or(|columns| columns.contains(column)))
                        || self.state.facts.written_anew.contains(name)
                }
            };
            if !concerned {
                continue;
            }
            if self.is_deferred(name, &constraint.name, constraint.attributes) {
                self.put_off(name, name, &constraint.name);
                continue;
            }
            // The check of a key that is NULL gives its lock back before it looks for anything.
            let left_null = |column: &Ident| columns.is_some_and(|columns| !columns.contains(column));
            let full = key.match_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("full"));
            let null = if full { key.columns.iter().all(left_null) } else { key.columns.iter().any(left_null) };
            if change == Change::Insert && null {
                continue;
            }
            self.plan(&key.table, LockMode::RowShare, false);
            self.maybe_read_partitions(
                &key.table,
                LockMode::RowShare,
                &format!("a row of {name} references one of it"),
            );
            self.lock_some_rows(&key.table, format!("rows of {name} reference them"));
            self.may_fail(name, "23503", format!("a row of {name} references none of {}", key.table));
            if many {
                self.maybe(&key.table, UncertainEffect::Scan, "as many keys are looked up");
            }
        }
    }

    /// The foreign keys that reference rows which were changed or deleted.
    fn check_keys_to(&mut self, name: &QualifiedName, change: Change, columns: &[Ident]) {
        self.check_keys_through(name, change, columns, &mut BTreeSet::new());
    }

    /// An action changes rows that others may reference in turn; each key is followed once.
    fn check_keys_through(
        &mut self,
        name: &QualifiedName,
        change: Change,
        columns: &[Ident],
        followed: &mut BTreeSet<(QualifiedName, Ident)>,
    ) {
        if self.is_replica() || self.table(name).key_triggers_off {
            return;
        }
        for found in self.keys_into(name) {
            self.check_key_through(name, &found, change, columns, followed);
        }
        // Keys to one of its partitions.
        for partition in self.partitions(name) {
            for found in self.catalog().foreign_keys_to(&partition) {
                if !found.1.inherited {
                    self.if_a_row("rows of that partition are among them", |run| {
                        run.check_key_through(&partition, &found, change, columns, followed);
                    });
                }
            }
        }
    }

    fn check_key_through(
        &mut self,
        name: &QualifiedName,
        (referencing, constraint, key): &(QualifiedName, Constraint, ForeignKey),
        change: Change,
        columns: &[Ident],
        followed: &mut BTreeSet<(QualifiedName, Ident)>,
    ) {
        if !constraint.attributes.enforced {
            return;
        }
        if change == Change::Update && !key.references.iter().any(|column| columns.contains(column)) {
            return;
        }
        let action = match change {
            Change::Delete => key.on_delete.as_deref(),
            _ => key.on_update.as_deref(),
        };
        let action = action.unwrap_or("NO ACTION").to_ascii_uppercase();
        if action == "NO ACTION" && self.is_deferred(referencing, &constraint.name, constraint.attributes) {
            self.put_off(name, referencing, &constraint.name);
            return;
        }
        let mode = if matches!(action.as_str(), "NO ACTION" | "RESTRICT") {
            LockMode::RowShare
        } else {
            LockMode::RowExclusive
        };
        // The key's values leave partitions out.
        let prunes = self.partition_keys(referencing).iter().any(|column| key.columns.contains(column));
        self.plan(referencing, mode, !prunes);
        if prunes {
            self.maybe_read_partitions(referencing, mode, "rows of it may reference them");
        }
        let sqlstate = if action == "RESTRICT" && self.version.at_least(18) { "23001" } else { "23503" };
        self.may_fail(name, sqlstate, format!("a row of {referencing} references a row that goes"));
        self.lock_some_rows(referencing, format!("rows of {referencing} reference them"));
        let event = match action.as_str() {
            "NO ACTION" | "RESTRICT" => None,
            "CASCADE" if change == Change::Delete => Some("DELETE"),
            _ => Some("UPDATE"),
        };
        if let Some(event) = event {
            self.fire_triggers(referencing, event, &[]);
            if followed.insert((referencing.clone(), constraint.name.clone())) {
                let change = if event == "DELETE" { Change::Delete } else { Change::Update };
                self.if_a_row("rows are referenced", |run| {
                    run.check_keys_through(referencing, change, &key.columns, followed);
                    // A new value is looked up in turn.
                    if change == Change::Update && !action.starts_with("SET NULL") {
                        run.check_keys_of(referencing, change, Some(&key.columns), false);
                    }
                });
            }
        }
        let by_index = self.finds_by_index(referencing, key);
        for table in std::iter::once(referencing.clone()).chain(self.catalog().descendants(referencing)) {
            if !by_index && !prunes {
                self.scan(&table);
            } else if self.has_storage(&table) && !self.is_empty(&table) {
                self.maybe(&table, UncertainEffect::Scan, "as many rows reference those that go");
            }
        }
    }

    /// The check of the constraint waits for the end of the transaction. Events are those of the tables that hold the
    /// rows: which partition does is not known.
    fn put_off(&mut self, table: &QualifiedName, owner: &QualifiedName, constraint: &Ident) {
        let stored = self.has_storage(table);
        let mut tables = self.catalog().descendants(table);
        tables.retain(|below| self.has_storage(below));
        if stored {
            tables.push(table.clone());
        }
        for below in tables {
            let certain = !self.perhaps && below == *table;
            *self.state.facts.pending.entry((below, (owner.clone(), constraint.clone()))).or_default() |= certain;
        }
    }

    /// Deferred keys and exclusion constraints are looked at again at the end where a row has met another one.
    fn put_off_uniqueness(&mut self, name: &QualifiedName, columns: Option<&[Ident]>) {
        let table = self.table(name);
        let outer = std::mem::replace(&mut self.perhaps, true);
        for constraint in &table.constraints {
            let concerned = match &constraint.kind {
                ConstraintKind::PrimaryKey { columns: key, .. } | ConstraintKind::Unique { columns: key, .. } => {
                    columns.is_none_or(|columns| key.iter().any(|column| columns.contains(column)))
                }
                ConstraintKind::Exclude { elements, .. } => columns.is_none_or(|columns| {
                    elements.iter().any(|(element, _)| columns.iter().any(|column| element.key.uses(column)))
                }),
                _ => false,
            };
            if concerned && self.is_deferred(name, &constraint.name, constraint.attributes) {
                self.put_off(name, name, &constraint.name);
            }
        }
        self.perhaps = outer;
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

    /// With `session_replication_role = replica` the triggers of foreign keys do not fire.
    fn is_replica(&self) -> bool {
        self.state.settings.get("session_replication_role").is_some_and(|role| role.eq_ignore_ascii_case("replica"))
    }

    fn finds_by_index(&self, referencing: &QualifiedName, key: &ForeignKey) -> bool {
        self.table(referencing).indexes.iter().any(|index| {
            index.predicate.is_none()
                && index.valid
                && index.elements.first().is_some_and(
                    |element| matches!(&element.key, IndexKey::Column(column) if key.columns.contains(column)),
                )
        })
    }

    fn is_deferred(&self, table: &QualifiedName, constraint: &Ident, attributes: ConstraintAttributes) -> bool {
        if !attributes.deferrable && !attributes.initially_deferred {
            return false;
        }
        if let Some(deferred) = self.state.facts.deferred.get(&(table.clone(), constraint.clone())) {
            return *deferred;
        }
        self.state.facts.all_deferred.unwrap_or(attributes.initially_deferred)
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

    pub(super) fn set_constraints(&mut self, names: Option<&[QualifiedName]>, deferred: bool) -> Step {
        let Some(names) = names else {
            self.state.facts.all_deferred = Some(deferred);
            self.state.facts.deferred.clear();
            if !deferred {
                let pending = std::mem::take(&mut self.state.facts.pending);
                for (event, certain) in pending {
                    self.fire_event(&event, certain);
                }
            }
            return Ok(());
        };
        for written_name in names {
            let matching = self.constraints_named(written_name);
            if matching.is_empty() {
                if self.catalog().is_incomplete() || self.catalog().tables().any(|table| table.assumed) {
                    continue;
                }
                return refuse("42704", format!("constraint \"{}\" does not exist", written_name.name));
            }
            if deferred && matching.iter().any(|(_, deferrable)| !deferrable) {
                return refuse("42809", format!("constraint \"{}\" is not deferrable", written_name.name));
            }
            for (table, _) in matching {
                let key = (table, written_name.name.clone());
                self.state.facts.deferred.insert(key.clone(), deferred);
                if !deferred {
                    let events: Vec<_> =
                        self.state.facts.pending.keys().filter(|(_, constraint)| *constraint == key).cloned().collect();
                    for event in events {
                        let certain = self.state.facts.pending.remove(&event).unwrap_or(false);
                        self.fire_event(&event, certain);
                    }
                }
            }
        }
        Ok(())
    }

    /// The constraints of that name in the first schema of the path that has some, and whether they can be deferred.
    fn constraints_named(&self, written_name: &QualifiedName) -> Vec<(QualifiedName, bool)> {
        let schemas = super::candidates(self.catalog(), &self.state.settings, written_name).map(|name| name.schema);
        let deferrable = |attributes: ConstraintAttributes| attributes.deferrable || attributes.initially_deferred;
        for schema in schemas {
            let tables = self.catalog().tables_with_constraint(&written_name.name);
            let found: Vec<(QualifiedName, bool)> = tables
                .filter(|table| table.name.schema == schema)
                .flat_map(|table| {
                    let constraints = table.constraints.iter().filter(|known| known.name == written_name.name);
                    let part = table.part_key(written_name.name.as_str());
                    let of_part = part.and_then(|part| table.constraint(part.key.as_str()));
                    let constraints = constraints.chain(of_part);
                    let triggers =
                        table.triggers.iter().filter(|trigger| trigger.constraint.as_ref() == Some(&written_name.name));
                    let attributes =
                        constraints.map(|known| known.attributes).chain(triggers.map(|trigger| trigger.attributes));
                    attributes.map(|attributes| (table.name.clone(), deferrable(attributes))).collect::<Vec<_>>()
                })
                .collect();
            if !found.is_empty() {
                return found;
            }
        }
        Vec::new()
    }

    /// The check that was put off is made now.
    fn fire_event(&mut self, event: &(QualifiedName, (QualifiedName, Ident)), certain: bool) {
        if certain {
            self.check_put_off(event);
        } else {
            self.if_a_row("a check was put off", |run| run.check_put_off(event));
        }
    }

    fn check_put_off(&mut self, (table, (owner, constraint)): &(QualifiedName, (QualifiedName, Ident))) {
        let key = self.table(owner).constraint(constraint.as_str()).and_then(|constraint| match &constraint.kind {
            ConstraintKind::ForeignKey(key) => Some(key.clone()),
            _ => None,
        });
        let Some(key) = key else { return };
        self.may_fail(owner, "23503", format!("a row of {owner} references none of {}", key.table));
        if table == owner {
            self.plan(&key.table, LockMode::RowShare, false);
            self.lock_some_rows(&key.table, format!("rows of {owner} reference them"));
        } else {
            self.plan(owner, LockMode::RowShare, true);
        }
    }

    pub(super) fn truncate(
        &mut self,
        tables: &[QualifiedName],
        only: &[QualifiedName],
        restart_identity: bool,
        behavior: DropBehavior,
    ) -> Step {
        let mut names: Vec<QualifiedName> = Vec::new();
        for written_name in tables {
            let name = self.open(written_name)?;
            if self.catalog().table(&name).is_none() {
                return refuse("42809", format!("\"{}\" is not a table", name.name));
            }
            if !names.contains(&name) {
                names.push(name.clone());
            }
            if only.contains(written_name) {
                if self.table(&name).partition_by.is_some() {
                    return refuse("42809", "cannot truncate only a partitioned table");
                }
                continue;
            }
            for child in self.catalog().descendants(&name) {
                if !names.contains(&child) {
                    names.push(child);
                }
            }
        }
        let mut next = 0;
        while let Some(name) = names.get(next).cloned() {
            next += 1;
            self.lock(&name, LockMode::AccessExclusive);
            for (referencing, _, _) in self.keys_into(&name) {
                if names.contains(&referencing) {
                    continue;
                }
                if behavior == DropBehavior::Restrict {
                    return refuse("0A000", "cannot truncate a table referenced in a foreign key constraint");
                }
                // Partitions have the key themselves, inheritance children have not.
                let below = self.partitions(&referencing);
                for name in std::iter::once(referencing).chain(below) {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
            }
        }
        for name in names {
            self.check_not_in_use(&name, "TRUNCATE")?;
            if !self.version.at_least(14) {
                self.read_bound_of(&name);
            }
            if restart_identity {
                for (_, sequence) in self.catalog().sequences_of(&name) {
                    self.lock(&sequence, LockMode::AccessExclusive);
                }
            }
            if self.has_storage(&name) {
                let indexes: Vec<QualifiedName> =
                    self.catalog().indexes_of(&name).iter().map(|index| name.sibling(index.name.clone())).collect();
                for index in indexes {
                    self.build(&index);
                }
            }
            self.fire_triggers(&name, "TRUNCATE", &[]);
            self.state.facts.pending.retain(|(table, _), _| *table != name);
            self.state.facts.empty.insert(name);
        }
        Ok(())
    }
}

/// `CheckSelectLocking`: what no longer is a row of a table cannot be locked. Where there is another SELECT inside, what
/// belongs to which is not told.
fn check_row_locking(query: &Query, is_aggregate: impl Fn(&QualifiedName) -> bool) -> Step {
    let Some(strength) = query.lock_strength() else { return Ok(()) };
    // The whole of a set operation is locked, or nothing of it.
    let combined = ["union", "intersect", "except"].iter().any(|word| query.says(&[word]));
    if combined && !query.locked.is_empty() && !query.words.contains('(') {
        return refuse("0A000", format!("{strength} is not allowed with UNION/INTERSECT/EXCEPT"));
    }
    if query.words.split(' ').filter(|word| *word == "select").count() != 1 {
        return Ok(());
    }
    let what = if query.says(&["select", "distinct"]) {
        "DISTINCT clause"
    } else if query.says(&["group", "by"]) {
        "GROUP BY clause"
    } else if query.says(&["having"]) {
        "HAVING clause"
    } else if query.says(&["over", "("]) || query.says(&["window"]) {
        "window functions"
    } else if query.functions.iter().any(is_aggregate) {
        "aggregate functions"
    } else {
        return Ok(());
    };
    refuse("0A000", format!("{strength} is not allowed with {what}"))
}

/// Whether the one expression stands in the other.
fn contains(whole: &ExprNode, part: &ExprNode) -> bool {
    let mut found = false;
    whole.walk(&mut |node| found |= node == part);
    found
}

/// Whether the one row that is inserted has such a value for the column.
/// The grammar has one set of actions for rows that match and for those of the target, and one for the others; behind a
/// clause without a condition no other of its kind is reached.
fn check_merge_clauses(clauses: &[MergeClause]) -> Step {
    for clause in clauses {
        let word = match (clause.when, &clause.action) {
            (MergeWhen::Matched | MergeWhen::NotMatchedBySource, MergeAction::Insert(_)) => "INSERT",
            (MergeWhen::NotMatched, MergeAction::Update(_)) => "UPDATE",
            (MergeWhen::NotMatched, MergeAction::Delete) => "DELETE",
            _ => continue,
        };
        return refuse("42601", format!("syntax error at or near \"{word}\""));
    }
    let unreachable = clauses.iter().enumerate().any(|(place, clause)| {
        clauses.iter().take(place).any(|earlier| earlier.when == clause.when && !earlier.condition)
    });
    if unreachable {
        return refuse("42601", "unreachable WHEN clause specified after unconditional WHEN clause");
    }
    Ok(())
}

fn written_as(dml: &Dml, column: &Ident, is: &dyn Fn(&ExprNode) -> bool) -> bool {
    let place = dml.columns.iter().position(|known| known == column);
    place.and_then(|place| dml.values.get(place)).is_some_and(|value| is(&value.node))
}

/// How the rows of a predicate are found, best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Access {
    Whole,
    /// By an index if the planner finds it worth while.
    Perhaps,
    ByIndex,
}

fn term_access(term: &ExprNode, leading: &[(&Ident, bool)]) -> Access {
    // A row's place is as good as a key.
    let indexed = |node: &ExprNode| matches!(node, ExprNode::Column { name, .. } if *name == "ctid" || leading.iter().any(|(column, _)| *column == name));
    let unique = |node: &ExprNode| matches!(node, ExprNode::Column { name, .. } if *name == "ctid" || leading.contains(&(name, true)));
    match term {
        ExprNode::Infix { operator, left, right } => {
            if !(indexed(left) || indexed(right)) {
                return Access::Whole;
            }
            match operator.as_str() {
                "=" if unique(left) || unique(right) => Access::ByIndex,
                "=" => Access::Perhaps,
                "<" | "<=" | ">" | ">=" => Access::Perhaps,
                _ => Access::Whole,
            }
        }
        ExprNode::InList { expr, negated: false, .. } if unique(expr) => Access::ByIndex,
        ExprNode::InList { expr, negated: false, .. } if indexed(expr) => Access::Perhaps,
        ExprNode::Between { expr, negated: false, .. } if indexed(expr) => Access::Perhaps,
        ExprNode::IsNull { expr, negated: false } if indexed(expr) => Access::Perhaps,
        ExprNode::Other { .. } | ExprNode::Subquery { .. } | ExprNode::Or(_) | ExprNode::Like { .. } => Access::Perhaps,
        _ => Access::Whole,
    }
}

/// Each column is set once.
fn check_assignments(dml: &Dml) -> Step {
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

/// Whether nothing but a whole read of the relations can answer the query, as far as it is known.
fn reads_everything(query: &Query) -> bool {
    // The source of a MERGE may be reached through an index from the rows of the target.
    let narrowed = ["where", "limit", "tablesample", "fetch"].iter().any(|word| query.says(&[word]))
        || query.says(&["max", "("])
        || query.says(&["min", "("])
        || query.says(&["merge", "into"]);
    // What is joined with one relation alone is a function's rows or a list.
    let joined = query.relations.len() == 1 && query.says(&["join"]);
    !query.relations.is_empty() && !joined && !narrowed
}

/// The relation all of whose columns, and nothing else, a query gives.
fn all_columns_of(query: &Query) -> Option<&QualifiedName> {
    let (_, source) = query.words.split_once("select * from ")?;
    let source = source.split(" on conflict").next().unwrap_or(source);
    let more = ["select", "union", "intersect", "except", "join", "returning", "with", "values", "(", ","];
    let alone = !source.split(' ').any(|word| more.contains(&word)) && !query.says(&["with"]);
    query.relations.first().filter(|_| alone && query.relations.len() == 1)
}

/// Whether it is a unique index on these columns and nothing else.
fn is_on(index: &crate::catalog::Index, columns: &[Ident]) -> bool {
    let keys: Vec<&Ident> = index.key_columns().collect();
    index.unique
        && index.method == "btree"
        && index.valid
        && index.predicate.is_none()
        && keys.len() == index.elements.len()
        && keys.iter().all(|key| columns.contains(key))
        && columns.iter().all(|column| keys.contains(&column))
}

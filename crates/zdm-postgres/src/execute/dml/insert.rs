//! INSERT: its target, its values and the checks of new rows.

use super::Change;
use super::read::reads_everything;
use crate::catalog::{Rule, Table};
use crate::effects::UncertainEffect;
use crate::execute::{Run, Step, refuse};
use crate::expr::ExprNode;
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{ConflictTarget, Dml, Query};

impl Run {
    pub(in crate::execute) fn insert(&mut self, dml: &Dml) -> Step {
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
        let replaces = |rule: &Rule| rule.enabled && matches!(rule.event.as_str(), "INSERT" | "UPDATE");
        if dml.conflict.is_some() && self.table(&name).rules.iter().any(replaces) {
            let message = "INSERT with ON CONFLICT clause cannot be used with table that has INSERT or UPDATE rules";
            return refuse("0A000", message);
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
    pub(in crate::execute) fn with_defaults(
        &self,
        table: &Table,
        written: &[Ident],
        mut given: Vec<Ident>,
    ) -> Vec<Ident> {
        let valued = |column: &&crate::catalog::Column| {
            !written.contains(&column.name)
                && (self.effective_default(column).is_some() || column.identity.is_some() || column.generated.is_some())
        };
        given.extend(table.columns.iter().filter(valued).map(|column| column.name.clone()));
        given
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
            return self.check_assigned_types(name, dml, "INSERT");
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
        self.check_assigned_types(name, dml, "INSERT")
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

    /// The checks and triggers of new rows. `columns`: those that may be something else than NULL, where that is known.
    pub(in crate::execute) fn rows_inserted(&mut self, name: &QualifiedName, columns: Option<&[Ident]>, many: bool) {
        self.written_in_tree(name, true);
        self.run_functions_of_rows(name);
        self.check_keys_of(name, Change::Insert, columns, many);
        self.put_off_uniqueness(name, None);
        self.read_bound_of(name);
        self.fire_triggers(name, "INSERT", &[]);
        self.rows_may_be_refused(name);
    }

    /// New values may break a constraint or not fit their column.
    pub(super) fn rows_may_be_refused(&mut self, name: &QualifiedName) {
        self.may_fail(name, "23000", format!("a new row breaks a constraint of {name}"));
        self.may_fail(name, "22000", format!("a value does not fit its column of {name}"));
    }

    pub(super) fn check_enum_values(&self, name: &QualifiedName, dml: &Dml) -> Step {
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
}

/// The relation all of whose columns, and nothing else, a query gives.
fn all_columns_of(query: &Query) -> Option<&QualifiedName> {
    let (_, source) = query.words.split_once("select * from ")?;
    let source = source.split(" on conflict").next().unwrap_or(source);
    let more = ["select", "union", "intersect", "except", "join", "returning", "with", "values", "(", ","];
    let alone = !source.split(' ').any(|word| more.contains(&word)) && !query.says(&["with"]);
    query.relations.first().filter(|_| alone && query.relations.len() == 1)
}

//! Identity and generated columns in changes of rows: which values they take, and what is drawn for them
//! (`rewriteTargetListIU`).

use super::written_as;
use crate::catalog::{Column, Table, sequences_in};
use crate::effects::UncertainEffect;
use crate::execute::{Run, Step, refuse};
use crate::expr::ExprNode;
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{Dml, MergeAction, MergeInsert, Overriding, Query};

impl Run {
    /// No value can be given for a column that is computed. `name` is the table under `written_to`.
    pub(super) fn check_computed_columns(&self, written_to: &QualifiedName, name: &QualifiedName, dml: &Dml) -> Step {
        let table = self.table(name);
        let Some(targets) = self.insert_targets(written_to, name, dml) else { return Ok(()) };
        // Before 14 a column of several rows was more than DEFAULT at any rate.
        let several = dml.values_rows.is_some_and(|rows| rows > 1) && !self.version.at_least(14);
        let given = |column: &Column| {
            targets.iter().enumerate().any(|(place, target)| {
                let given = || dml.given.get(place).map_or(dml.values_rows.is_none(), |given| given.value);
                *target == column.name && (several || given())
            }) || self.catalog().view(written_to).is_some_and(|view| view.defaults.contains(&column.name))
        };
        self.check_given(&table, dml.overriding, &given)
    }

    /// The sequences that new rows draw from.
    pub(super) fn draw_for_insert(&mut self, written_to: &QualifiedName, name: &QualifiedName, dml: &Dml) {
        let table = self.table(name);
        let targets = self.insert_targets(written_to, name, dml);
        let drawn_anyway = dml.overriding == Some(Overriding::User);
        let given = |column: &Column| {
            let named = targets.as_ref().unwrap_or(&dml.columns);
            let place = named.iter().position(|target| *target == column.name);
            place.is_some_and(|place| dml.given.get(place).is_none_or(|given| !given.default))
                && !(drawn_anyway && column.identity.is_some())
        };
        // Without a list of columns the first ones are given, as many as there are values.
        let counted = !dml.columns.is_empty() || (targets.is_some() && dml.values_rows.is_some());
        let rows = dml.values_rows.is_some() || gives_rows(&dml.query);
        for column in table.columns.iter().filter(|column| !given(column)) {
            let default = self.effective_default(column);
            if let Some(default) = &default {
                self.run_functions_in(&default.node);
            }
            let sequences: Vec<QualifiedName> = match (&column.identity, &default) {
                (Some(identity), _) => vec![identity.sequence.clone()],
                (None, Some(default)) => {
                    sequences_in(&default.node).iter().filter_map(|sequence| self.find(sequence)).collect()
                }
                (None, None) => Vec::new(),
            };
            for sequence in sequences {
                let lock = UncertainEffect::Lock(LockMode::RowExclusive);
                if !counted {
                    self.maybe(&sequence, lock, format!("no value is given for {}", column.name));
                } else if rows {
                    self.lock(&sequence, LockMode::RowExclusive);
                } else {
                    self.maybe(&sequence, lock, "the query gives rows");
                }
            }
        }
    }

    /// The columns of the table that INSERT has values for, by their places; `None` where that is not known.
    fn insert_targets(&self, written_to: &QualifiedName, name: &QualifiedName, dml: &Dml) -> Option<Vec<Ident>> {
        let table = self.table(name);
        if written_to != name {
            let view = self.catalog().view(written_to)?;
            if view.columns.is_empty() || !view.columns.iter().all(|column| table.column(column.as_str()).is_some()) {
                return None;
            }
        }
        if !dml.columns.is_empty() {
            return Some(dml.columns.clone());
        }
        let count = match dml.values_rows {
            Some(_) => dml.given.len(),
            None => self.query_columns(&dml.query)?.len(),
        };
        let all = match self.catalog().view(written_to) {
            Some(view) => view.columns.clone(),
            None => table.columns.iter().map(|column| column.name.clone()).collect(),
        };
        Some(all.into_iter().take(count).collect())
    }

    /// `given`: whether rows have something else than DEFAULT for a column.
    fn check_given(&self, table: &Table, overriding: Option<Overriding>, given: &dyn Fn(&Column) -> bool) -> Step {
        for column in table.columns.iter().filter(|column| given(column)) {
            // Before 13 OVERRIDING USER VALUE was for those BY DEFAULT alone.
            let overridden = match overriding {
                Some(Overriding::User) => self.version.at_least(13),
                other => other.is_some(),
            };
            let always = column.identity.as_ref().is_some_and(|identity| identity.always) && !overridden;
            if !always && column.generated.is_none() {
                continue;
            }
            let since_14 = self.version.at_least(14);
            let sqlstate = if always || since_14 { "428C9" } else { "42601" };
            let what = if since_14 { "cannot insert a non-DEFAULT value" } else { "cannot insert" };
            return refuse(sqlstate, format!("{what} into column \"{}\"", column.name));
        }
        Ok(())
    }

    /// A computed column can only be set to DEFAULT.
    pub(super) fn check_updated_columns(&self, name: &QualifiedName, dml: &Dml) -> Step {
        // Which of the columns a DEFAULT is for is not always read.
        if dml.values.is_empty() && dml.query.says(&["default"]) {
            return Ok(());
        }
        let table = self.table(name);
        let written =
            |name: &Ident| dml.columns.contains(name) && !written_as(dml, name, &|node| *node == ExprNode::Default);
        self.refuse_update_of_computed(&table, &written)
    }

    fn refuse_update_of_computed(&self, table: &Table, written: &dyn Fn(&Ident) -> bool) -> Step {
        for column in table.columns.iter().filter(|column| written(&column.name)) {
            let always = column.identity.as_ref().is_some_and(|identity| identity.always);
            if always || column.generated.is_some() {
                let sqlstate = if always || self.version.at_least(14) { "428C9" } else { "42601" };
                return refuse(sqlstate, format!("column \"{}\" can only be updated to DEFAULT", column.name));
            }
        }
        Ok(())
    }

    /// The same of what MERGE inserts.
    pub(super) fn check_merged_columns(&self, name: &QualifiedName, dml: &Dml) -> Step {
        let table = self.table(name);
        if self.find(&dml.table).as_ref() != Some(name) {
            return Ok(());
        }
        for clause in &dml.merge {
            match &clause.action {
                MergeAction::Insert(insert) => {
                    self.check_given(&table, insert.overriding, &|column| gives(&table, insert, column))?;
                }
                // Which of the columns a DEFAULT is for is not read.
                MergeAction::Update(columns) if !dml.query.says(&["default"]) => {
                    self.refuse_update_of_computed(&table, &|name| columns.contains(name))?;
                }
                MergeAction::Update(_) | MergeAction::Delete | MergeAction::Nothing => {}
            }
        }
        Ok(())
    }

    /// `SET column = DEFAULT` of a column that draws from a sequence.
    pub(super) fn draw_set_defaults(&mut self, name: &QualifiedName, dml: &Dml) {
        if !dml.query.says(&["=", "default"])
            && !dml.query.says(&["default", ","])
            && !dml.query.says(&["(", "default"])
        {
            return;
        }
        let table = self.table(name);
        for column in dml.columns.iter().filter_map(|column| table.column(column.as_str())) {
            let mut sequences: Vec<QualifiedName> =
                column.identity.iter().map(|identity| identity.sequence.clone()).collect();
            if let Some(default) = &column.default {
                sequences.extend(sequences_in(&default.node).iter().filter_map(|sequence| self.find(sequence)));
            }
            for sequence in sequences {
                let condition = format!("{} is set to its default in a row", column.name);
                self.maybe(&sequence, UncertainEffect::Lock(LockMode::RowExclusive), condition);
            }
        }
    }

    /// Columns that an INSERT of MERGE gives no value draw from their sequences.
    pub(super) fn draw_for_merge(&mut self, name: &QualifiedName, dml: &Dml) {
        for clause in &dml.merge {
            let MergeAction::Insert(insert) = &clause.action else { continue };
            let table = self.table(name);
            for column in &table.columns {
                let overridden = column.identity.is_some() && insert.overriding == Some(Overriding::User);
                if gives(&table, insert, column) && !overridden {
                    continue;
                }
                let mut sequences: Vec<QualifiedName> =
                    column.identity.iter().map(|identity| identity.sequence.clone()).collect();
                if let Some(default) = &column.default {
                    sequences.extend(sequences_in(&default.node).iter().filter_map(|sequence| self.find(sequence)));
                }
                for sequence in sequences {
                    self.maybe(&sequence, UncertainEffect::Lock(LockMode::RowExclusive), "a row is inserted");
                }
            }
        }
    }
}

/// Whether MERGE inserts something else than DEFAULT.
fn gives(table: &Table, insert: &MergeInsert, column: &Column) -> bool {
    let place = if insert.columns.is_empty() {
        table.columns.iter().position(|known| known.name == column.name)
    } else {
        insert.columns.iter().position(|known| *known == column.name)
    };
    place.and_then(|place| insert.given.get(place)).is_some_and(|given| given.value)
}

/// Whether the query gives a row whatever its tables hold, as far as it was read.
fn gives_rows(query: &Query) -> bool {
    let [select] = query.selects.as_slice() else { return query.selects.is_empty() && query.relations.is_empty() };
    select.predicate.is_none() && select.sources.is_empty()
}

//! The values that are written to columns: as many as there are columns, each of a type that is assigned
//! (`transformAssignedExpr`).

use crate::catalog::Table;
use crate::data_type::DataType;
use crate::execute::{Run, Step, refuse};
use crate::name::{Ident, QualifiedName};
use crate::statement::{Dml, MergeAction, MergeInsert};

impl Run {
    /// What a query or SET gives for a column is of a type that is assigned to it. `command`: INSERT, whose columns are counted.
    pub(super) fn check_assigned_types(&self, name: &QualifiedName, dml: &Dml, command: &str) -> Step {
        let table = self.table(name);
        if table.is_vague() {
            return Ok(());
        }
        let values = match dml.values_rows {
            Some(1) if dml.values.len() == dml.given.len() => {
                self.types_of_changes(&dml.query, "VALUES").into_iter().next().flatten()
            }
            Some(_) => None,
            None => self.types_of_values(&dml.query),
        };
        if let Some(types) = values {
            if command == "INSERT" {
                check_count(&table, &dml.columns, types.len())?;
            }
            self.check_assigned(&table, dml, &dml.columns, &types)?;
        }
        if dml.on_conflict_update
            && let Some(types) = self.types_of_changes(&dml.query, "UPDATE").into_iter().next().flatten()
            && types.len() == dml.conflict_columns.len()
        {
            self.check_assigned(&table, dml, &dml.conflict_columns, &types)?;
        }
        Ok(())
    }

    /// The same of the clauses of MERGE, each by itself.
    pub(super) fn check_merged_types(&self, name: &QualifiedName, dml: &Dml) -> Step {
        let table = self.table(name);
        let changes = self.types_of_changes(&dml.query, "UPDATE");
        if table.is_vague() || changes.len() != dml.merge.len() {
            return Ok(());
        }
        // A part of a column may stand beside another part of it.
        let parts = dml.query.words.contains('[');
        for (clause, types) in dml.merge.iter().zip(changes) {
            let (columns, inserts) = match &clause.action {
                MergeAction::Insert(MergeInsert { columns, .. }) => (columns, true),
                MergeAction::Update(columns) => (columns, false),
                MergeAction::Delete | MergeAction::Nothing => continue,
            };
            let repeated = columns.iter().enumerate().find(|(place, column)| columns[..*place].contains(column));
            match repeated.filter(|_| !parts) {
                Some((_, column)) if inserts => {
                    return refuse("42701", format!("column \"{column}\" specified more than once"));
                }
                Some((_, column)) => {
                    return refuse("42601", format!("multiple assignments to same column \"{column}\""));
                }
                None => {}
            }
            let Some(types) = types.filter(|types| !types.is_empty()) else { continue };
            if inserts {
                check_count(&table, columns, types.len())?;
            }
            self.check_assigned(&table, dml, columns, &types)?;
        }
        Ok(())
    }

    fn check_assigned(&self, table: &Table, dml: &Dml, columns: &[Ident], types: &[Option<DataType>]) -> Step {
        // A part of a column has a type of its own; a composite column is passed over for it.
        let in_parts = |column: &Ident| dml.query.words.contains(&format!(" {column} ["));
        let counted = columns.len() == types.len() || (columns.is_empty() && types.len() <= table.columns.len());
        if !counted || dml.query.words.contains("\"\" [") || columns.iter().any(in_parts) {
            return Ok(());
        }
        for (place, given) in types.iter().enumerate() {
            let column = match columns.get(place) {
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
}

/// `transformInsertRow`.
fn check_count(table: &Table, columns: &[Ident], values: usize) -> Step {
    let most = if columns.is_empty() { table.columns.len() } else { columns.len() };
    if values > most {
        return refuse("42601", "INSERT has more expressions than target columns");
    }
    if values < columns.len() {
        return refuse("42601", "INSERT has more target columns than expressions");
    }
    Ok(())
}

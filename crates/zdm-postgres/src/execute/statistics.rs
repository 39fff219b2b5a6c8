//! Extended statistics: CREATE and DROP, and what becomes of them with their table and its columns.

use super::create_table::is_system_column;
use super::{Run, Step, refuse, written};
use crate::catalog::{Relation, Statistics, Table};
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::naming;
use crate::statement::{IndexKey, Persistence};

/// `STATS_MAX_DIMENSIONS`.
const MOST_COLUMNS: usize = 8;

impl Run {
    /// `CreateStatistics`, in the order of its checks.
    pub(super) fn create_statistics(
        &mut self,
        name: Option<&QualifiedName>,
        table: &QualifiedName,
        if_not_exists: bool,
        kinds: &[Ident],
        elements: &[IndexKey],
    ) -> Step {
        if name.is_none() {
            self.since(16, if kinds.is_empty() { "ON" } else { "(" })?;
        }
        let table = self.open(table)?;
        let kept = match self.catalog().relation(&table) {
            Some(Relation::View(view)) => view.materialized,
            Some(Relation::Index { .. } | Relation::Sequence(_)) => false,
            _ => true,
        };
        if !kept {
            return refuse(
                "42809",
                if self.version.at_least(15) {
                    format!("cannot define statistics for relation \"{}\"", table.name)
                } else {
                    format!("relation \"{}\" is not a table, foreign table, or materialized view", table.name)
                },
            );
        }
        self.lock(&table, LockMode::ShareUpdateExclusive);
        let name = if let Some(name) = name {
            self.creation_name(name, Persistence::Permanent)
        } else {
            let columns = elements.iter().map(|element| element.column().map_or("expr", Ident::as_str));
            naming::statistics_name(self.catalog(), &table, &naming::columns_part(columns))
        };
        if self.catalog().statistics.contains_key(&name) {
            if if_not_exists {
                return Ok(());
            }
            return refuse("42710", format!("statistics object \"{}\" already exists", name.name));
        }
        let since_14 = self.version.at_least(14);
        let many = elements.len() > MOST_COLUMNS;
        if many && since_14 {
            return too_many();
        }
        if let Some(known) = self.catalog().table(&table).cloned() {
            for element in elements {
                if element.column().is_none() && !since_14 {
                    return refuse("0A000", "only simple column references are allowed in CREATE STATISTICS");
                }
                check_element(element, &known)?;
                self.need_order(element, &known, elements.len() > 1)?;
            }
        }
        if many {
            return too_many();
        }
        // Before 14 the kinds came last.
        if !since_14 {
            check_several(elements)?;
        }
        if let ([IndexKey::Expr(_)], [_, ..]) = (elements, kinds) {
            return refuse(
                "0A000",
                "when building statistics on a single expression, statistics kinds may not be specified",
            );
        }
        let known = |kind: &&Ident| matches!(kind.as_str(), "ndistinct" | "dependencies" | "mcv");
        if let Some(unknown) = kinds.iter().find(|kind| !known(kind)) {
            return refuse("42601", format!("unrecognized statistics kind \"{unknown}\""));
        }
        check_several(elements)?;
        let statistics = Statistics { table, elements: elements.to_vec() };
        self.catalog_mut().statistics.insert_mut(name, statistics);
        Ok(())
    }

    /// What is counted is put in order first.
    fn need_order(&self, element: &IndexKey, table: &Table, several: bool) -> Step {
        let Some(shown) = self.type_without_order(element, table) else { return Ok(()) };
        match element {
            IndexKey::Column(column) => refuse(
                "0A000",
                format!(
                    "column \"{column}\" cannot be used in statistics because its type {shown} has no default btree operator class"
                ),
            ),
            IndexKey::Expr(_) if several => refuse(
                "0A000",
                format!(
                    "expression cannot be used in multivariate statistics because its type {shown} has no default btree operator class"
                ),
            ),
            IndexKey::Expr(_) => Ok(()),
        }
    }

    pub(super) fn drop_statistics(&mut self, names: &[QualifiedName], if_exists: bool) -> Step {
        for written_name in names {
            let found = super::candidates(self.catalog(), &self.state.settings, written_name)
                .find(|candidate| self.catalog().statistics.contains_key(candidate));
            let Some(name) = found else {
                if if_exists || self.catalog().is_incomplete() {
                    continue;
                }
                self.need_schema_of(written_name)?;
                return refuse("42704", format!("statistics object \"{}\" does not exist", written(written_name)));
            };
            if let Some(table) = self.catalog().statistics.get(&name).map(|known| known.table.clone()) {
                self.lock(&table, LockMode::ShareUpdateExclusive);
            }
            self.catalog_mut().statistics.remove_mut(&name);
        }
        Ok(())
    }

    /// Statistics go with their table, and with any of the columns that they are about.
    pub(super) fn drop_statistics_of(&mut self, table: &QualifiedName, column: Option<&Ident>) {
        let concerned: Vec<QualifiedName> = self
            .catalog()
            .statistics
            .iter()
            .filter(|(_, known)| known.table == *table)
            .filter(|(_, known)| column.is_none_or(|column| known.elements.iter().any(|element| element.uses(column))))
            .map(|(name, _)| name.clone())
            .collect();
        for name in concerned {
            self.catalog_mut().statistics.remove_mut(&name);
        }
    }

    /// The statistics of a table are about what its expressions are changed to.
    pub(super) fn edit_statistics_of(&mut self, table: &QualifiedName, edit: impl Fn(&mut Statistics)) {
        let concerned: Vec<(QualifiedName, Statistics)> = self
            .catalog()
            .statistics
            .iter()
            .filter(|(_, known)| known.table == *table)
            .map(|(name, known)| (name.clone(), known.clone()))
            .collect();
        for (name, mut known) in concerned {
            edit(&mut known);
            self.catalog_mut().statistics.insert_mut(name, known);
        }
    }
}

fn too_many<T>() -> Step<T> {
    refuse("54011", format!("cannot have more than {MOST_COLUMNS} columns in statistics"))
}

/// One column says nothing of others, and none is named twice.
fn check_several(elements: &[IndexKey]) -> Step {
    if let [IndexKey::Column(_)] = elements {
        return refuse("42P17", "extended statistics require at least 2 columns");
    }
    for (place, element) in elements.iter().enumerate() {
        if elements.iter().take(place).any(|known| known == element) {
            let what = if element.column().is_some() { "column name" } else { "expression" };
            return refuse("42701", format!("duplicate {what} in statistics definition"));
        }
    }
    Ok(())
}

/// Columns are there, are the table's own, and have a value in its rows.
fn check_element(element: &IndexKey, table: &Table) -> Step {
    let columns = match element {
        IndexKey::Column(column) => vec![column.clone()],
        IndexKey::Expr(expr) => expr.node.certain_columns(),
    };
    for column in columns {
        match table.column(column.as_str()) {
            // The table's own name is its whole row, which counts as one of them.
            None if is_system_column(&column) || (element.column().is_none() && column == table.name.name) => {
                return refuse("0A000", "statistics creation on system columns is not supported");
            }
            None if table.is_vague() => {}
            None => return refuse("42703", format!("column \"{column}\" does not exist")),
            Some(known) if known.generated.as_ref().is_some_and(|generated| !generated.stored) => {
                return refuse("0A000", "statistics creation on virtual generated columns is not supported");
            }
            Some(_) => {}
        }
    }
    Ok(())
}

//! CREATE INDEX, plain and concurrent, on tables, partitioned tables and materialized views.

use super::{Run, Step, refuse};
use crate::catalog::{Index, Relation};
use crate::effects::{UncertainEffect, Waits};
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::naming;
use crate::statement::{CreateIndex, IndexKey};
use crate::typing::Place;

impl Run {
    pub(super) fn create_index(&mut self, create: &CreateIndex) -> Step {
        if create.name.as_ref().is_some_and(|name| name.schema.is_some()) {
            return refuse("42601", "syntax error at or near \".\"");
        }
        if create.if_not_exists && create.name.is_none() {
            return refuse("42601", "syntax error at or near \"ON\"");
        }
        let name = self.open(&create.table)?;
        let mode = if create.concurrently { LockMode::ShareUpdateExclusive } else { LockMode::Share };
        let table = match self.catalog().relation(&name) {
            Some(Relation::Table(_)) | None => Some(self.table(&name)),
            Some(Relation::View(view)) if view.materialized => None,
            Some(_) => {
                return refuse(
                    "42809",
                    if self.version.at_least(15) {
                        format!("cannot create index on relation \"{}\"", name.name)
                    } else {
                        format!("\"{}\" is not a table or materialized view", name.name)
                    },
                );
            }
        };
        if table.as_ref().is_some_and(|table| table.foreign) {
            return refuse(
                "42809",
                if self.version.at_least(15) {
                    format!("cannot create index on relation \"{}\"", name.name)
                } else {
                    format!("cannot create index on foreign table \"{}\"", name.name)
                },
            );
        }
        self.lock(&name, mode);
        let partitioned = table.as_ref().is_some_and(|table| table.partition_by.is_some());
        if partitioned && create.concurrently {
            return refuse("0A000", format!("cannot create index on partitioned table \"{}\" concurrently", name.name));
        }
        if create.nulls_not_distinct {
            self.since(15, "NULLS")?;
        }
        if partitioned && !create.only.0 {
            for child in self.catalog().descendants(&name) {
                self.lock(&child, mode);
            }
        }
        self.check_not_in_use(&name, "CREATE INDEX")?;
        let index_name = match &create.name {
            Some(given) => {
                let given = name.sibling(given.name.truncated());
                if self.catalog().relation(&given).is_some() {
                    if create.if_not_exists {
                        return Ok(());
                    }
                    return refuse("42P07", format!("relation \"{}\" already exists", given.name));
                }
                given
            }
            None => self.chosen_index_name(&name, create),
        };
        if let Some(table) = &table {
            for element in &create.elements {
                let columns: Vec<Ident> = match &element.key {
                    IndexKey::Column(column) => vec![column.clone()],
                    IndexKey::Expr(expr) => columns_of_row(table, &expr.node),
                };
                Self::need_columns(table, &columns)?;
                if let IndexKey::Expr(expr) = &element.key {
                    self.check_expression(&expr.node, Some(table), Place::IndexExpression)?;
                }
            }
            Self::need_columns(table, &create.include)?;
            if let Some(predicate) = &create.predicate {
                Self::need_columns(table, &columns_of_row(table, &predicate.node))?;
                self.check_expression(&predicate.node, Some(table), Place::IndexPredicate)?;
                self.check_new_enum_expr(&predicate.node, Some(table), None)?;
            }
        }
        for element in &create.elements {
            if let IndexKey::Expr(expr) = &element.key
                && table.as_ref().is_some_and(|table| self.is_surely_mutable(&expr.node, table))
            {
                return refuse("42P17", "functions in index expression must be marked IMMUTABLE");
            }
        }
        if let (Some(predicate), Some(table)) = (&create.predicate, &table)
            && self.is_surely_mutable(&predicate.node, table)
        {
            return refuse("42P17", "functions in index predicate must be marked IMMUTABLE");
        }
        if let (true, Some(partition_by)) =
            (create.unique, table.as_ref().and_then(|table| table.partition_by.as_ref()))
        {
            let keyed = |column: &Ident| {
                create.elements.iter().any(|element| matches!(&element.key, IndexKey::Column(key) if key == column))
            };
            if !partition_by.expressions.is_empty() {
                return refuse("0A000", "unsupported UNIQUE constraint with partition key definition");
            }
            if partition_by.columns.iter().any(|column| !keyed(column)) {
                return refuse("0A000", "unique constraint on partitioned table must include all partitioning columns");
            }
        }
        if let Some(table) = &table {
            let virtual_column = |column: &Ident| {
                table
                    .column(column.as_str())
                    .is_some_and(|column| column.generated.as_ref().is_some_and(|generated| !generated.stored))
            };
            if create
                .elements
                .iter()
                .any(|element| matches!(&element.key, IndexKey::Column(column) if virtual_column(column)))
                || create.include.iter().any(virtual_column)
            {
                return refuse("0A000", "indexes on virtual generated columns are not supported");
            }
        }
        let mut index = Index {
            name: index_name.name.clone(),
            unique: create.unique,
            primary: false,
            valid: !(partitioned && create.only.0),
            constraint: false,
            method: create.method.clone().unwrap_or_else(|| Ident::new("btree")),
            elements: create.elements.clone(),
            include: create.include.clone(),
            nulls_not_distinct: create.nulls_not_distinct,
            options: create.options.clone(),
            predicate: create.predicate.clone(),
            parent: None,
        };
        self.need_tablespace(create.tablespace.as_ref())?;
        self.check_access_method(&index, table.as_deref(), &[])?;
        self.without_defaults(&mut index, table.as_deref());
        if create.concurrently {
            self.effects.waits_for = Some(Waits::OldSnapshots);
            self.state.facts.created.insert(index_name.clone());
            self.scan(&name);
            self.place_index(&name, index);
            self.fill(&index_name);
            self.may_corrupt(&index_name);
            return Ok(());
        }
        self.make_index(&name, &index, !create.only.0);
        Ok(())
    }

    /// Whether the server refuses the expression where it wants an immutable one.
    pub(super) fn is_surely_mutable(&self, node: &crate::expr::ExprNode, table: &crate::catalog::Table) -> bool {
        crate::mutability::is_surely_mutable(node, table, self.catalog(), self.version, &|name| {
            self.find_function(name)
        })
    }

    /// What a version with that bug may do to an index that it builds CONCURRENTLY.
    pub(super) fn may_corrupt(&mut self, index: &QualifiedName) {
        if self.version.corrupts_concurrent_builds() {
            self.maybe(index, UncertainEffect::MissingEntries, "rows change while it is built (fixed in 14.4)");
        }
    }

    /// Builds the index on a table, and on every partition that has none like it.
    pub(super) fn make_index(&mut self, name: &QualifiedName, index: &Index, descend: bool) {
        let index_name = name.sibling(index.name.clone());
        self.place_index(name, index.clone());
        self.made(&index_name);
        if self.has_storage(name) {
            self.build(&index_name);
            self.scan(name);
            return;
        }
        if !descend {
            return;
        }
        for child in self.table(name).children.clone() {
            if self.table(&child).foreign {
                continue;
            }
            if let Some(found) = self.matching_child_index(&child, name, &index.name) {
                self.lock(&child.sibling(found), LockMode::Share);
                continue;
            }
            let mut copy = Index { parent: Some(index_name.clone()), valid: true, ..index.clone() };
            let columns = naming::index_column_names(&copy.elements, &copy.include);
            let addition = naming::columns_part(columns.iter().map(String::as_str));
            copy.name = naming::relation_name(self.catalog(), &child, Some(&addition), "idx", false).name;
            self.make_index(&child, &copy, true);
        }
    }

    pub(super) fn place_index(&mut self, name: &QualifiedName, index: Index) {
        self.catalog_mut().put(name.sibling(index.name.clone()), Relation::Index { table: name.clone() });
        if self.catalog().view(name).is_some() {
            self.catalog_mut().edit_view(name, |view| view.indexes.push(index));
        } else {
            self.catalog_mut().edit_table(name, |table| table.indexes.push(index));
        }
    }

    /// Attaches an index of the partition that equals the parent's, if there is one, and answers its name.
    pub(super) fn matching_child_index(
        &mut self,
        child: &QualifiedName,
        parent: &QualifiedName,
        index: &Ident,
    ) -> Option<Ident> {
        let parent_table = self.table(parent);
        let wanted = parent_table.index(index.as_str())?;
        let child_table = self.table(child);
        // Since 17 the constraints are of one kind, too.
        let alike = self.version.at_least(17);
        let found = child_table.indexes.iter().find(|known| {
            known.parent.is_none()
                && known.valid
                && matches(known, wanted)
                && (known.constraint || !wanted.constraint)
                && (!alike || !wanted.constraint || known.primary == wanted.primary)
        });
        let found = found.map(|found| found.name.clone())?;
        let parent_index = parent.sibling(index.clone());
        self.catalog_mut().edit_table(child, |table| {
            for known in table.indexes.iter_mut().filter(|known| known.name == found) {
                known.parent = Some(parent_index.clone());
            }
            let constraints = table.constraints.iter_mut().filter(|_| wanted.constraint);
            for constraint in constraints.filter(|constraint| constraint.name == found) {
                constraint.inherited = true;
            }
        });
        Some(found)
    }

    fn chosen_index_name(&self, name: &QualifiedName, create: &CreateIndex) -> QualifiedName {
        let columns = naming::index_column_names(&create.elements, &create.include);
        let addition = naming::columns_part(columns.iter().map(String::as_str));
        naming::relation_name(self.catalog(), name, Some(&addition), "idx", false)
    }

    fn need_columns(table: &crate::catalog::Table, columns: &[Ident]) -> Step {
        if table.assumed {
            return Ok(());
        }
        for column in columns {
            if table.column(column.as_str()).is_none() && !super::create_table::is_system_column(column) {
                return refuse("42703", format!("column \"{column}\" does not exist"));
            }
        }
        Ok(())
    }
}

/// `CompareIndexInfo`: in which direction a column is sorted makes no difference.
pub(super) fn matches(known: &Index, wanted: &Index) -> bool {
    known.unique == wanted.unique
        && known.method == wanted.method
        && known.elements.len() == wanted.elements.len()
        && known.elements.iter().zip(&wanted.elements).all(|(left, right)| same_element(left, right))
        && known.include == wanted.include
        && known.nulls_not_distinct == wanted.nulls_not_distinct
        && same_predicate(known, wanted)
}

fn same_element(left: &crate::statement::IndexElement, right: &crate::statement::IndexElement) -> bool {
    let key = match (&left.key, &right.key) {
        (IndexKey::Column(left), IndexKey::Column(right)) => left == right,
        (IndexKey::Expr(left), IndexKey::Expr(right)) => left.node == right.node,
        _ => false,
    };
    key && left.collation == right.collation && left.opclass == right.opclass
}

fn same_predicate(left: &Index, right: &Index) -> bool {
    left.predicate.as_ref().map(|expr| &expr.node) == right.predicate.as_ref().map(|expr| &expr.node)
}

/// The columns that an expression names for certain. The table's own name is its whole row where no column has it.
fn columns_of_row(table: &crate::catalog::Table, node: &crate::expr::ExprNode) -> Vec<Ident> {
    let mut columns = node.certain_columns();
    columns.retain(|column| *column != table.name.name || table.column(column.as_str()).is_some());
    columns
}

//! CREATE INDEX, plain and concurrent, on tables, partitioned tables and materialized views.

use super::access_method::check_index_options;
use super::create_table::is_system_column;
use super::{Run, Step, refuse};
use crate::catalog::{Catalog, Index, Relation, Table};
use crate::deparse;
use crate::effects::{UncertainEffect, Waits};
use crate::expr::{ExprNode, SqlExpr};
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName, Written};
use crate::naming;
use crate::statement::{CreateIndex, IndexElement, IndexKey, Persistence, Statement};
use crate::typing::Place;
use crate::version::PgVersion;

impl Run {
    pub(super) fn create_index(&mut self, create: &CreateIndex) -> Step {
        if create.name.as_ref().is_some_and(|name| name.schema.is_some()) {
            return refuse("42601", "syntax error at or near \".\"");
        }
        if create.if_not_exists && create.name.is_none() {
            return refuse("42601", "syntax error at or near \"ON\"");
        }
        if create.elements.iter().any(|element| !element.options.is_empty()) {
            self.since(13, "(")?;
        }
        let name = self.open(&create.table)?;
        // Nobody else sees a temporary table.
        let temporary = self.table(&name).persistence == Persistence::Temporary;
        let concurrently = create.concurrently && !temporary;
        let mode = if concurrently { LockMode::ShareUpdateExclusive } else { LockMode::Share };
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
        if partitioned && concurrently {
            return refuse("0A000", format!("cannot create index on partitioned table \"{}\" concurrently", name.name));
        }
        if create.nulls_not_distinct {
            self.since(15, "NULLS")?;
        }
        if partitioned && create.unique && !create.only.0 {
            self.refuse_foreign_partitions(&name)?;
        }
        if partitioned && !create.only.0 {
            for child in self.catalog().descendants(&name) {
                self.lock(&child, mode);
            }
        }
        self.check_not_in_use(&name, "CREATE INDEX")?;
        self.check_index_expressions(create, table.as_deref())?;
        self.need_tablespace(create.tablespace.as_ref())?;
        let index_name = match &create.name {
            Some(given) => name.sibling(given.name.truncated()),
            None => self.chosen_index_name(&name, create),
        };
        let parts = table.as_ref().is_some_and(|table| !table.children.is_empty());
        let method = create.method.clone().map_or_else(|| Ident::new("btree"), access_method);
        let mut index = Index {
            name: index_name.name.clone(),
            unique: create.unique,
            primary: false,
            valid: !(partitioned && create.only.0 && parts),
            constraint: false,
            method,
            elements: create.elements.clone(),
            include: create.include.clone(),
            nulls_not_distinct: create.nulls_not_distinct,
            options: create.options.clone(),
            predicate: create.predicate.clone(),
            parent: None,
        };
        self.check_index(&mut index, table.as_deref())?;
        if create.name.is_some() && self.catalog().relation(&index_name).is_some() {
            if create.if_not_exists {
                return Ok(());
            }
            return refuse("42P07", format!("relation \"{}\" already exists", index_name.name));
        }
        if concurrently {
            self.effects.waits_for = Some(Waits::OldSnapshots);
            self.state.facts.created.insert(index_name.clone());
            self.scan(&name);
            self.place_index(&name, index);
            self.fill(&index_name);
            self.may_corrupt(&index_name);
            return Ok(());
        }
        if index.unique && partitioned && !create.only.0 {
            for child in self.catalog().descendants(&name) {
                check_partition_key(&self.table(&child), &index.elements, &[], "UNIQUE")?;
            }
        }
        self.make_index(&name, &index, !create.only.0);
        Ok(())
    }

    /// What is in a foreign table is not in an index.
    pub(super) fn refuse_foreign_partitions(&self, name: &QualifiedName) -> Step {
        if self.partitions(name).iter().any(|partition| self.table(partition).foreign) {
            return refuse("42809", format!("cannot create unique index on partitioned table \"{}\"", name.name));
        }
        Ok(())
    }

    /// `transformIndexStmt`: expressions and the predicate are read before anything else is looked at.
    fn check_index_expressions(&mut self, create: &CreateIndex, table: Option<&Table>) -> Step {
        let Some(table) = table else { return Ok(()) };
        for element in &create.elements {
            if let IndexKey::Expr(expr) = &element.key {
                Self::check_columns_of(table, expr)?;
                self.check_expression(&expr.node, Some(table), Place::IndexExpression)?;
            }
        }
        if let Some(predicate) = &create.predicate {
            Self::check_columns_of(table, predicate)?;
            self.check_expression(&predicate.node, Some(table), Place::IndexPredicate)?;
            self.check_new_enum_expr(&predicate.node, Some(table), None)?;
        }
        Ok(())
    }

    /// `DefineIndex`: what the access method can, the columns and their operator classes, and what no index can have.
    fn check_index(&mut self, index: &mut Index, table: Option<&Table>) -> Step {
        self.check_method(index, false)?;
        self.check_index_predicate(index, table)?;
        check_index_options(index.method.as_str(), &index.options, self.version)?;
        if let Some(table) = table {
            for element in &index.elements {
                match &element.key {
                    IndexKey::Column(column) => Self::need_columns(table, std::slice::from_ref(column))?,
                    IndexKey::Expr(expr) => self.check_immutable(&expr.node, table, "expression")?,
                }
            }
            Self::need_columns(table, &index.include)?;
        }
        self.check_elements(index, table, &[])?;
        if let Some(table) = table {
            if index.unique {
                check_partition_key(table, &index.elements, &[], "UNIQUE")?;
            }
            check_kinds_of_columns(index, table)?;
        }
        self.without_defaults(index, table);
        Ok(())
    }

    /// `CheckPredicate`.
    pub(super) fn check_index_predicate(&self, index: &Index, table: Option<&Table>) -> Step {
        match (&index.predicate, table) {
            (Some(predicate), Some(table)) => self.check_immutable(&predicate.node, table, "predicate"),
            _ => Ok(()),
        }
    }

    pub(super) fn check_immutable(&self, node: &ExprNode, table: &Table, what: &str) -> Step {
        self.check_inlined(node)?;
        if self.is_surely_mutable(node, table) {
            return refuse("42P17", format!("functions in index {what} must be marked IMMUTABLE"));
        }
        Ok(())
    }

    /// Since 17 what an SQL function names is looked for in `pg_catalog` and among the temporary relations alone, while the
    /// expressions of an index are planned (`RestrictSearchPath`).
    fn check_inlined(&self, node: &ExprNode) -> Step {
        if !self.version.at_least(17) {
            return Ok(());
        }
        let mut missing: Option<QualifiedName> = None;
        node.walk(&mut |node| {
            let ExprNode::Call { function, args, .. } = node else { return };
            let Some(name) = self.find_function(function).filter(|_| missing.is_none()) else { return };
            let mut fitting =
                self.catalog().functions(&name).iter().filter(|function| function.arguments.len() == args.len());
            let (Some(only), None) = (fitting.next(), fitting.next()) else { return };
            let sql = only.language.as_ref().is_some_and(|language| *language == "sql") && !only.standard_body;
            let (true, Some([Statement::Select(query)])) = (sql, only.statements.as_deref().map(Vec::as_slice)) else {
                return;
            };
            missing = query.relations.iter().find(|relation| self.is_beyond(relation)).cloned();
        });
        match missing {
            Some(relation) => refuse("42P01", format!("relation \"{}\" does not exist", relation.name)),
            None => Ok(()),
        }
    }

    /// Whether a relation is only found by a search path, and not among the server's or the temporary ones.
    fn is_beyond(&self, relation: &QualifiedName) -> bool {
        let temporary = QualifiedName::with_schema("pg_temp", relation.name.clone());
        relation.schema.is_none()
            && relation.written == Written::Bare
            && !relation.name.as_str().starts_with("pg_")
            && self.catalog().relation(&temporary).is_none()
            && self.find(relation).is_some_and(|found| self.catalog().relation(&found).is_some())
    }

    /// Whether the server refuses the expression where it wants an immutable one.
    pub(super) fn is_surely_mutable(&self, node: &crate::expr::ExprNode, table: &Table) -> bool {
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
            if let Some(found) = self.matching_child_index(&child, name, &index.name, false) {
                self.lock(&child.sibling(found), LockMode::Share);
                continue;
            }
            let mut copy = Index { parent: Some(index_name.clone()), valid: true, ..index.clone() };
            let columns = naming::index_column_names(&copy.elements, &copy.include, self.version);
            let addition = naming::columns_part(columns.iter().map(String::as_str));
            copy.name = naming::relation_name(self.catalog(), &child, Some(&addition), "idx", false).name;
            self.make_index(&child, &copy, true);
        }
        self.invalidate_with_parts(name, &index.name);
    }

    /// An index of a partitioned table is not valid as long as one of its parts is not.
    pub(super) fn invalidate_with_parts(&mut self, name: &QualifiedName, index: &Ident) {
        let whole = name.sibling(index.clone());
        let broken = |child: &QualifiedName| {
            let of_child = self.table(child);
            of_child.indexes.iter().any(|part| part.parent.as_ref() == Some(&whole) && !part.valid)
        };
        if self.table(name).children.iter().any(broken) {
            self.set_valid(name, index, false);
        }
    }

    pub(super) fn set_valid(&mut self, name: &QualifiedName, index: &Ident, valid: bool) {
        self.catalog_mut().edit_table(name, |table| {
            for known in table.indexes.iter_mut().filter(|known| known.name == *index) {
                known.valid = valid;
            }
        });
    }

    pub(super) fn place_index(&mut self, name: &QualifiedName, index: Index) {
        self.catalog_mut().put(name.sibling(index.name.clone()), Relation::Index { table: name.clone() });
        if self.catalog().view(name).is_some() {
            self.catalog_mut().edit_view(name, |view| view.indexes.push(index));
        } else {
            self.catalog_mut().edit_table(name, |table| table.indexes.push(index));
        }
    }

    /// Attaches an index of the partition that equals the parent's, if there is one, and answers its name. A partition
    /// that is attached brings valid ones only.
    pub(super) fn matching_child_index(
        &mut self,
        child: &QualifiedName,
        parent: &QualifiedName,
        index: &Ident,
        only_valid: bool,
    ) -> Option<Ident> {
        let parent_table = self.table(parent);
        let wanted = parent_table.index(index.as_str())?;
        let child_table = self.table(child);
        // Since 17 the constraints are of one kind, too.
        let alike = self.version.at_least(17);
        let found = child_table.indexes.iter().find(|known| {
            known.parent.is_none()
                && (known.valid || !only_valid)
                && matches(self.catalog(), (&child_table, known), (&parent_table, wanted))
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
        let columns = naming::index_column_names(&create.elements, &create.include, self.version);
        let addition = naming::columns_part(columns.iter().map(String::as_str));
        naming::relation_name(self.catalog(), name, Some(&addition), "idx", false)
    }

    pub(super) fn need_columns(table: &Table, columns: &[Ident]) -> Step {
        if table.assumed {
            return Ok(());
        }
        for column in columns {
            if table.column(column.as_str()).is_none() && !is_system_column(column) {
                return refuse("42703", format!("column \"{column}\" does not exist"));
            }
        }
        Ok(())
    }
}

/// `DefineIndex`: what is unique in each partition is unique in the whole only if its key has every column that divides
/// the table, compared by equality. `operators`: those of an exclusion constraint.
pub(super) fn check_partition_key(table: &Table, elements: &[IndexElement], operators: &[&str], what: &str) -> Step {
    let Some(partition_by) = &table.partition_by else { return Ok(()) };
    if !partition_by.expressions.is_empty() {
        return refuse("0A000", format!("unsupported {what} constraint with partition key definition"));
    }
    for column in &partition_by.columns {
        let Some(place) = elements.iter().position(|element| element.key.column() == Some(column)) else {
            return refuse("0A000", "unique constraint on partitioned table must include all partitioning columns");
        };
        if let Some(operator) = operators.get(place).filter(|operator| **operator != "=") {
            return refuse(
                "0A000",
                format!(
                    "cannot match partition key to index on column \"{column}\" using non-equal operator \"{operator}\""
                ),
            );
        }
    }
    Ok(())
}

pub(super) fn check_system_columns(table: &Table, columns: &[Ident]) -> Step {
    if columns.iter().any(|column| table.column(column.as_str()).is_none() && is_system_column(column)) {
        return refuse("0A000", "index creation on system columns is not supported");
    }
    Ok(())
}

/// System columns cannot be indexed, and what is computed when it is read has no place to be indexed at.
fn check_kinds_of_columns(index: &Index, table: &Table) -> Step {
    if table.assumed {
        return Ok(());
    }
    let mut named: Vec<Ident> = index.include.clone();
    let expressions = index.elements.iter().filter_map(|element| match &element.key {
        IndexKey::Column(column) => {
            named.push(column.clone());
            None
        }
        IndexKey::Expr(expr) => Some(expr),
    });
    let read: Vec<Ident> = expressions.chain(&index.predicate).flat_map(|expr| expr.node.certain_columns()).collect();
    named.extend(read);
    check_system_columns(table, &named)?;
    let computed = |column: &Ident| {
        let generated = table.column(column.as_str()).and_then(|column| column.generated.as_ref());
        generated.is_some_and(|generated| !generated.stored)
    };
    if named.iter().any(computed) {
        return refuse("0A000", "indexes on virtual generated columns are not supported");
    }
    let row = |element: &IndexElement| matches!(&element.key, IndexKey::Expr(expr) if matches!(&*expr.node, ExprNode::Row(_)));
    if let Some(place) = index.elements.iter().position(row) {
        // A row is called the same in every version.
        let names = naming::index_column_names(&index.elements, &index.include, PgVersion::NEWEST);
        let name = names.get(place).map_or("row", String::as_str);
        return refuse("42P16", format!("column \"{name}\" has pseudo-type record"));
    }
    Ok(())
}

/// `rtree` is an old name of `gist`.
fn access_method(written: Ident) -> Ident {
    if written == "rtree" { Ident::new("gist") } else { written }
}

/// `CompareIndexInfo`: in which direction a column is sorted makes no difference. What excludes by operators is like
/// nothing else.
pub(super) fn matches(catalog: &Catalog, (table, known): (&Table, &Index), (other, wanted): (&Table, &Index)) -> bool {
    let same = |left: &SqlExpr, right: &SqlExpr| deparse::is_same(catalog, (table, left), (other, right));
    let excludes = |index: &Index| index.constraint && (!index.unique || index.method == "gist");
    !excludes(known)
        && !excludes(wanted)
        && known.unique == wanted.unique
        && known.method == wanted.method
        && known.elements.len() == wanted.elements.len()
        && known.elements.iter().zip(&wanted.elements).all(|(left, right)| same_element(left, right, &same))
        && known.include == wanted.include
        && known.nulls_not_distinct == wanted.nulls_not_distinct
        && match (&known.predicate, &wanted.predicate) {
            (Some(left), Some(right)) => same(left, right),
            (left, right) => left.is_none() && right.is_none(),
        }
}

fn same_element(left: &IndexElement, right: &IndexElement, same: &dyn Fn(&SqlExpr, &SqlExpr) -> bool) -> bool {
    let key = match (&left.key, &right.key) {
        (IndexKey::Column(left), IndexKey::Column(right)) => left == right,
        (IndexKey::Expr(left), IndexKey::Expr(right)) => same(left, right),
        _ => false,
    };
    key && left.collation == right.collation && left.opclass == right.opclass && left.options == right.options
}

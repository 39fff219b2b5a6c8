//! What a table has from its parents (`MergeAttributes`, `MergeWithExistingConstraint`, and for a table that becomes a
//! child later `MergeAttributesIntoExisting`, `MergeConstraintsIntoExisting`).

use super::create_table::Check;
use super::not_null::{hands_down, is_handed_down, not_null_constraint};
use super::{Run, Step, refuse};
use crate::catalog::{Column, Constraint, ConstraintKind, Generated, Table};
use crate::data_type::DataType;
use crate::deparse;
use crate::expr::SqlExpr;
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{ColumnConstraintKind, CreateTable};

/// What the definition of a column says of its values that stands beside a parent's column of that name.
#[derive(Clone, Copy, Debug, Default)]
struct Values {
    default: bool,
    identity: bool,
    /// STORED or not.
    generated: Option<bool>,
}

impl Run {
    /// The columns of one more parent, before those of the table itself.
    pub(super) fn inherit_columns(&mut self, table: &mut Table, parent: &QualifiedName, partition: bool) -> Step {
        let parent = self.table(parent);
        let mut position = 0;
        for column in &parent.columns {
            let not_null = if self.version.at_least(18) { hands_down(&parent, &column.name) } else { column.not_null };
            if let Some(existing) = table.columns.iter_mut().find(|existing| existing.name == column.name) {
                let of_parents = existing.inherited && !existing.own;
                let whose = if of_parents { "inherited column" } else { "column" };
                if !same_type(&existing.data_type, &column.data_type) {
                    return refuse("42804", format!("{whose} \"{}\" has a type conflict", column.name));
                }
                if !same_collation(existing, column) {
                    return refuse("42P21", format!("{whose} \"{}\" has a collation conflict", column.name));
                }
                if of_parents {
                    merge_values(existing, column)?;
                } else {
                    let own = Values {
                        default: existing.default.is_some(),
                        identity: existing.identity.is_some(),
                        generated: existing.generated.as_ref().map(|generated| generated.stored),
                    };
                    self.check_child_values(column, own)?;
                }
                existing.own |= !existing.inherited;
                existing.inherited = true;
                existing.not_null |= not_null;
                if existing.default.is_none() && existing.generated.is_none() {
                    existing.default.clone_from(&column.default);
                    existing.generated.clone_from(&column.generated);
                }
                continue;
            }
            let mut copy = column.clone();
            copy.inherited = true;
            copy.own = false;
            copy.comment = None;
            copy.not_null = not_null;
            if !partition || !self.version.at_least(17) {
                copy.identity = None;
            }
            let place = position.min(table.columns.len());
            table.columns.insert(place, copy);
            position += 1;
        }
        table.assumed |= parent.assumed;
        Ok(())
    }

    /// What a partition says about the columns that it has from its parent.
    pub(super) fn merge_partition_columns(&self, create: &CreateTable, table: &Table) -> Step {
        for (place, definition) in create.columns.iter().enumerate() {
            if create.columns.iter().take(place).any(|known| known.name == definition.name) {
                return refuse("42701", format!("column \"{}\" specified more than once", definition.name));
            }
            // Before 16 a partition's words stood for themselves.
            let Some(column) = table.column(definition.name.as_str()).filter(|_| self.version.at_least(16)) else {
                continue;
            };
            let mut values = Values::default();
            for constraint in &definition.constraints {
                match &constraint.kind {
                    ColumnConstraintKind::Default(_) => values.default = true,
                    ColumnConstraintKind::Identity { .. } => values.identity = true,
                    ColumnConstraintKind::Generated { stored, .. } => values.generated = Some(*stored),
                    _ => {}
                }
            }
            self.check_child_values(column, values)?;
        }
        Ok(())
    }

    /// A child's column is computed if and only if its parent's is.
    fn check_child_values(&self, parent: &Column, own: Values) -> Step {
        let name = &parent.name;
        let Some(generated) = &parent.generated else {
            return match own.generated {
                Some(_) if self.version.at_least(16) => {
                    refuse("42611", format!("child column \"{name}\" specifies generation expression"))
                }
                _ => Ok(()),
            };
        };
        let inherits = |what: &str| refuse("42611", format!("column \"{name}\" inherits from generated column {what}"));
        match own.generated {
            None if own.default => inherits("but specifies default"),
            _ if own.identity => inherits("but specifies identity"),
            Some(_) if !self.version.at_least(16) => {
                refuse("42611", format!("child column \"{name}\" specifies generation expression"))
            }
            Some(stored) if stored != generated.stored => inherits("of different kind"),
            _ => Ok(()),
        }
    }

    /// `MergeAttributesIntoExisting`: an existing table becomes the parent's child.
    pub(super) fn check_child_columns(&self, child: &Table, parent: &Table) -> Step {
        for column in &parent.columns {
            let Some(own) = child.column(column.name.as_str()) else {
                if child.assumed {
                    continue;
                }
                return refuse("42804", format!("child table is missing column \"{}\"", column.name));
            };
            if own.data_type != column.data_type {
                return refuse(
                    "42804",
                    format!("child table \"{}\" has different type for column \"{}\"", child.name.name, column.name),
                );
            }
            if !super::column_type::same_collation(own, column) {
                return refuse(
                    "42P21",
                    format!(
                        "child table \"{}\" has different collation for column \"{}\"",
                        child.name.name, column.name
                    ),
                );
            }
            if !own.not_null && !self.version.at_least(18) && column.not_null {
                return refuse("42804", format!("column \"{}\" in child table must be marked NOT NULL", column.name));
            }
            if !own.not_null && self.version.at_least(18) && hands_down(parent, &column.name) {
                return must_be_not_null(child, &column.name);
            }
            let message = match (&column.generated, &own.generated) {
                (Some(_), None) => "in child table must be a generated column",
                (None, Some(_)) if self.version.at_least(16) => "in child table must not be a generated column",
                (Some(one), Some(other)) if one.stored != other.stored => {
                    "inherits from generated column of different kind"
                }
                (Some(one), Some(other)) if !self.version.at_least(16) && one.expr.node != other.expr.node => {
                    "in child table has a conflicting generation expression"
                }
                _ => continue,
            };
            return refuse("42804", format!("column \"{}\" {message}", column.name));
        }
        Ok(())
    }

    /// `MergeConstraintsIntoExisting`: the child has every CHECK and every NOT NULL of the parent, in a form that it can inherit.
    pub(super) fn check_inherited_constraints(&self, child: &QualifiedName, parent: &QualifiedName) -> Step {
        let (parent_table, table) = (self.table(parent), self.table(child));
        if table.assumed {
            return Ok(());
        }
        let mut of_parent: Vec<&Constraint> = parent_table.constraints.iter().collect();
        of_parent.sort_by(|one, other| one.name.cmp(&other.name));
        for constraint in of_parent {
            let own = match &constraint.kind {
                ConstraintKind::Check { no_inherit: false, .. } => table.constraint(constraint.name.as_str()),
                ConstraintKind::NotNull { column, no_inherit: false } => not_null_constraint(&table, column),
                _ => continue,
            };
            let Some(own) = own else {
                if let ConstraintKind::NotNull { column, .. } = &constraint.kind {
                    return must_be_not_null(&table, column);
                }
                return refuse("42804", format!("child table is missing constraint \"{}\"", constraint.name));
            };
            let alone = match (&own.kind, &constraint.kind) {
                (ConstraintKind::Check { expr: own_expr, no_inherit }, ConstraintKind::Check { expr, .. }) => {
                    if !deparse::is_same(self.catalog(), (&table, own_expr), (&parent_table, expr)) {
                        return refuse(
                            "42804",
                            format!(
                                "child table \"{}\" has different definition for check constraint \"{}\"",
                                child.name, own.name
                            ),
                        );
                    }
                    *no_inherit
                }
                (ConstraintKind::NotNull { no_inherit, .. }, _) => *no_inherit,
                _ => continue,
            };
            let conflict = |what: &str| {
                let message = format!(
                    "constraint \"{}\" conflicts with {what} constraint on child table \"{}\"",
                    own.name, child.name
                );
                refuse("42P17", message)
            };
            if alone {
                return conflict("non-inherited");
            }
            if constraint.valid && own.attributes.enforced && !own.valid {
                return conflict("NOT VALID");
            }
            if constraint.attributes.enforced && !own.attributes.enforced {
                return conflict("NOT ENFORCED");
            }
        }
        Ok(())
    }

    /// The CHECKs of all parents, each name once.
    pub(super) fn inherit_checks(&mut self, name: &QualifiedName, parents: &[QualifiedName]) -> Step {
        let mut merged: Vec<Constraint> = Vec::new();
        for parent in parents {
            for constraint in &self.table(parent).constraints {
                let ConstraintKind::Check { expr, no_inherit: false } = &constraint.kind else { continue };
                let Some(known) = merged.iter_mut().find(|known| known.name == constraint.name) else {
                    merged.push(constraint.clone());
                    continue;
                };
                if !matches!(&known.kind, ConstraintKind::Check { expr: known, .. } if known.node == expr.node) {
                    return refuse(
                        "42710",
                        format!(
                            "check constraint name \"{}\" appears multiple times but with different expressions",
                            known.name
                        ),
                    );
                }
                known.attributes.enforced |= constraint.attributes.enforced;
            }
        }
        for constraint in &mut merged {
            constraint.inherited = true;
            constraint.own = false;
            constraint.attributes.not_valid = false;
            // There are no rows yet that it would not be valid for.
            constraint.valid = constraint.attributes.enforced;
        }
        self.catalog_mut().edit_table(name, |table| table.constraints.extend(merged));
        Ok(())
    }

    /// A CHECK that a new table says by itself, beside those of its parents.
    pub(super) fn add_own_check(&mut self, name: &QualifiedName, check: &Check) -> Step {
        let table = self.table(name);
        let known = check.name.as_ref().and_then(|given| table.constraint(given.truncated().as_str()));
        match known.filter(|known| known.inherited && !known.own) {
            Some(known) => self.merge_check(name, check, known, true),
            None => self.add_check(name, check).map(|_| ()),
        }
    }

    /// The table has a constraint of that name already; `own`: what is added is its own, and not a parent's.
    pub(super) fn merge_check(
        &mut self,
        child: &QualifiedName,
        check: &Check,
        existing: &Constraint,
        own: bool,
    ) -> Step {
        let conflict = |what: &str| {
            refuse(
                "42P17",
                format!(
                    "constraint \"{}\" conflicts with {what} constraint on relation \"{}\"",
                    existing.name, child.name
                ),
            )
        };
        let (enforced, known_enforced) = (check.attributes.enforced, existing.attributes.enforced);
        let table = self.table(child);
        let same = |expr: &SqlExpr| deparse::is_same(self.catalog(), (&table, expr), (&table, &check.expr));
        match &existing.kind {
            ConstraintKind::Check { expr, no_inherit } if same(expr) => {
                if *no_inherit {
                    return conflict("non-inherited");
                }
                if existing.inherited && check.no_inherit {
                    return conflict("inherited");
                }
                if !check.attributes.not_valid && enforced && known_enforced && !existing.valid {
                    return conflict("NOT VALID");
                }
                if (!own && enforced && !known_enforced) || (own && !enforced && known_enforced) {
                    return conflict("NOT ENFORCED");
                }
            }
            _ => {
                return refuse(
                    "42710",
                    format!("constraint \"{}\" for relation \"{}\" already exists", existing.name, child.name),
                );
            }
        }
        let merged = existing.name.clone();
        self.catalog_mut().edit_table(child, |table| {
            let partition = table.partition_of.is_some();
            for known in table.constraints.iter_mut().filter(|known| known.name == merged) {
                known.own = !partition && (own || known.own || !known.inherited);
                known.inherited = true;
                if enforced && !known.attributes.enforced {
                    known.attributes.enforced = true;
                    known.valid = true;
                }
            }
        });
        Ok(())
    }

    /// Whether a parent of the table still has such a constraint for its children.
    pub(super) fn inherits_constraint(&self, table: &Table, constraint: &Constraint) -> bool {
        let mut parents = table.partition_of.iter().map(|(parent, _)| parent).chain(&table.inherits);
        parents.any(|parent| match &constraint.kind {
            ConstraintKind::NotNull { column, .. } => {
                not_null_constraint(&self.table(parent), column).is_some_and(is_handed_down)
            }
            _ => self
                .table(parent)
                .constraint(constraint.name.as_str())
                .is_some_and(|known| matches!(known.kind, ConstraintKind::Check { no_inherit: false, .. })),
        })
    }

    /// `dropconstraint_internal` of what children have from their parents: one level after the other, since a child that
    /// has it from elsewhere, too, keeps it, and nothing below it is looked at. `recurse`: not of ONLY the table.
    pub(super) fn drop_inheritable(
        &mut self,
        name: &QualifiedName,
        constraint: &Constraint,
        recurse: bool,
        mode: LockMode,
    ) -> Step {
        let newest = self.version.at_least(18);
        if constraint.inherited {
            return refuse(
                "42P16",
                format!("cannot drop inherited constraint \"{}\" of relation \"{}\"", constraint.name, name.name),
            );
        }
        let mut reached = vec![(name.clone(), constraint.clone(), true)];
        while let Some((name, constraint, top)) = reached.pop() {
            let table = self.table(&name);
            if !top {
                let Some(known) = table.constraints.iter().find(|known| same_constraint(known, &constraint)) else {
                    continue;
                };
                if self.inherits_constraint(&table, known) {
                    continue;
                }
                if known.own || !recurse {
                    self.edit_same(&name, &constraint, |known| (known.inherited, known.own) = (false, false));
                    continue;
                }
            }
            if let ConstraintKind::NotNull { column, .. } = &constraint.kind {
                self.check_nullable(&name, column)?;
                self.forget_not_null(&name, column);
            } else {
                self.catalog_mut().edit_table(&name, |table| {
                    table.constraints.retain(|known| !same_constraint(known, &constraint));
                });
            }
            if matches!(
                constraint.kind,
                ConstraintKind::Check { no_inherit: true, .. } | ConstraintKind::NotNull { no_inherit: true, .. }
            ) {
                continue;
            }
            if !recurse && !newest && table.partition_by.is_some() && !table.children.is_empty() {
                let message = "cannot remove constraint from only the partitioned table when partitions exist";
                return refuse("42P16", message);
            }
            for child in table.children.iter().rev() {
                self.lock(child, mode);
                reached.push((child.clone(), constraint.clone(), false));
            }
        }
        Ok(())
    }

    fn edit_same(&mut self, name: &QualifiedName, constraint: &Constraint, edit: impl Fn(&mut Constraint)) {
        self.catalog_mut().edit_table(name, |table| {
            for known in table.constraints.iter_mut().filter(|known| same_constraint(known, constraint)) {
                edit(known);
            }
        });
    }
}

/// How many dimensions an array is declared with says nothing.
fn same_type(one: &DataType, other: &DataType) -> bool {
    let plain =
        |data_type: &DataType| DataType { array_dimensions: data_type.array_dimensions.min(1), ..data_type.clone() };
    plain(one) == plain(other)
}

/// Of the types whose collation is the database's where none is written.
fn same_collation(one: &Column, other: &Column) -> bool {
    let plain = ["text", "varchar", "bpchar"].iter().any(|name| one.data_type.is(name));
    let written = |column: &Column| match &column.collation {
        Some(collation) if collation.name.as_str() != "default" => Some(collation.name.clone()),
        _ => None,
    };
    !plain || written(one) == written(other)
}

fn must_be_not_null<T>(child: &Table, column: &Ident) -> Step<T> {
    refuse("42804", format!("column \"{column}\" in child table \"{}\" must be marked NOT NULL", child.name.name))
}

/// One column from two parents.
fn merge_values(known: &Column, other: &Column) -> Step {
    let stored = |column: &Column| column.generated.as_ref().map(|generated| generated.stored);
    if stored(known) != stored(other) {
        return refuse("42804", format!("inherited column \"{}\" has a generation conflict", known.name));
    }
    let differ = |one: &Option<Generated>, two: &Option<Generated>| match (one, two) {
        (Some(one), Some(two)) => one.expr.node != two.expr.node,
        _ => false,
    };
    if differ(&known.generated, &other.generated) {
        return refuse("42611", format!("column \"{}\" inherits conflicting generation expressions", known.name));
    }
    if let (Some(one), Some(two)) = (&known.default, &other.default)
        && one.node != two.node
    {
        return refuse("42611", format!("column \"{}\" inherits conflicting default values", known.name));
    }
    Ok(())
}

/// NOT NULL constraints are the same by their column, others by their name.
fn same_constraint(one: &Constraint, other: &Constraint) -> bool {
    match (&one.kind, &other.kind) {
        (ConstraintKind::NotNull { column: one, .. }, ConstraintKind::NotNull { column: other, .. }) => one == other,
        _ => one.name == other.name,
    }
}

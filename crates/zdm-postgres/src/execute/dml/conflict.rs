//! ON CONFLICT: which index or constraint tells a conflict.

use crate::catalog::{ConstraintKind, Relation};
use crate::execute::{Run, Step, refuse};
use crate::expr::{ExprNode, SqlExpr};
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{ConflictTarget, Dml, IndexKey};

impl Run {
    /// `resolve_unique_index_expr`: the columns of ON CONFLICT are looked up before what it does.
    pub(super) fn check_arbiter_columns(&self, name: &QualifiedName, dml: &Dml) -> Step {
        let Some(ConflictTarget::Columns(columns)) = &dml.conflict else { return Ok(()) };
        let known: Vec<&Ident> = match self.catalog().relation(name) {
            Some(Relation::Table(table)) if !table.assumed && !table.uncertain => {
                table.columns.iter().map(|column| &column.name).collect()
            }
            Some(Relation::View(view)) if !view.columns.is_empty() => view.columns.iter().collect(),
            _ => return Ok(()),
        };
        let missing = columns
            .iter()
            .find(|column| !known.contains(column) && !crate::execute::create_table::is_system_column(column));
        missing.map_or(Ok(()), |column| refuse("42703", format!("column \"{column}\" does not exist")))
    }

    /// An index or a constraint must tell the conflict.
    pub(in crate::execute) fn check_conflict_target(&mut self, name: &QualifiedName, dml: &Dml) -> Step {
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
                let overlaps =
                    found.is_some_and(|constraint| crate::execute::create_table::of_ranges(&table, constraint));
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
    pub(super) fn check_deferred_arbiters(&mut self, name: &QualifiedName, dml: &Dml) -> Step {
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
    pub(in crate::execute) fn lock_arbiters(&mut self, name: &QualifiedName, conflict: Option<&ConflictTarget>) {
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

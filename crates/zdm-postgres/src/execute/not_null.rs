//! Not-null constraints: a flag of the column, and since 18 a constraint with a name
//! (`AddRelationNotNullConstraints`, `AdjustNotNullInheritance`, `ATExecSetNotNull`).

use super::alter_table::Queue;
use super::column::conflicting_inheritance;
use super::create_table::NotNull;
use super::{Run, Step, refuse};
use crate::catalog::{Catalog, Constraint, ConstraintKind, Table};
use crate::name::{Ident, QualifiedName};
use crate::naming;
use crate::statement::ConstraintAttributes;

impl NotNull {
    pub(super) fn plain(column: &Ident) -> Self {
        Self { name: None, column: column.clone(), no_inherit: false, valid: true }
    }
}

impl Run {
    /// The constraints of a new table: those that it says, each column's being one, and those of its parents.
    pub(super) fn add_not_nulls(
        &mut self,
        name: &QualifiedName,
        mut own: Vec<NotNull>,
        parents: &[QualifiedName],
    ) -> Step {
        if !self.version.at_least(18) {
            return Ok(());
        }
        let mut inherited: Vec<Constraint> = Vec::new();
        for parent in parents {
            let table = self.table(parent);
            let mut of_parent: Vec<Constraint> =
                table.constraints.iter().filter(|known| is_handed_down(known)).cloned().collect();
            of_parent.sort_by(|one, other| one.name.cmp(&other.name));
            inherited.extend(of_parent);
        }
        let (mut given, mut names): (Vec<Ident>, Vec<Ident>) = (Vec::new(), Vec::new());
        let mut made: Vec<Constraint> = Vec::new();
        while !own.is_empty() {
            let mut not_null = own.remove(0);
            for other in own.extract_if(.., |other| other.column == not_null.column) {
                if other.no_inherit != not_null.no_inherit {
                    return conflicting_inheritance(&not_null.column);
                }
                match (&not_null.name, &other.name) {
                    (Some(one), Some(two)) if one != two => {
                        return refuse(
                            "42601",
                            format!("conflicting not-null constraint names \"{one}\" and \"{two}\""),
                        );
                    }
                    (None, Some(_)) => not_null.name = other.name,
                    _ => {}
                }
            }
            let before = inherited.len();
            inherited.retain(|known| !is_of(known, &not_null.column));
            let from_parent = inherited.len() < before;
            if from_parent && not_null.no_inherit {
                return refuse(
                    "42804",
                    format!("cannot define not-null constraint with NO INHERIT on column \"{}\"", not_null.column),
                );
            }
            if let Some(name_given) = &not_null.name {
                if given.contains(name_given) {
                    return refuse(
                        "42710",
                        format!("constraint \"{name_given}\" for relation \"{}\" already exists", name.name),
                    );
                }
                given.push(name_given.clone());
            }
            let constraint = not_null_of(self.catalog(), name, &not_null, &names, from_parent);
            names.push(constraint.name.clone());
            made.push(Constraint { own: from_parent, ..constraint });
        }
        while !inherited.is_empty() {
            let first = inherited.remove(0);
            let ConstraintKind::NotNull { column, .. } = &first.kind else { continue };
            inherited.retain(|known| !is_of(known, column));
            let name_kept = Some(first.name.clone()).filter(|kept| !names.contains(kept));
            let not_null = NotNull { name: name_kept, ..NotNull::plain(column) };
            let constraint = not_null_of(self.catalog(), name, &not_null, &names, true);
            names.push(constraint.name.clone());
            made.push(constraint);
        }
        self.catalog_mut().edit_table(name, |table| table.constraints.extend(made));
        Ok(())
    }

    pub(super) fn name_not_null(&mut self, name: &QualifiedName, not_null: &NotNull, inherited: bool) {
        if not_null_constraint(&self.table(name), &not_null.column).is_some() {
            return;
        }
        let constraint = not_null_of(self.catalog(), name, not_null, &[], inherited);
        self.catalog_mut().edit_table(name, |table| table.constraints.push(constraint));
    }

    /// On the table and, in order, on those below it.
    pub(super) fn set_column_not_null(
        &mut self,
        tables: &[QualifiedName],
        column: &Ident,
        how: &NewNotNull,
        queue: &mut Queue,
    ) -> Step {
        let validate = how.is_valid();
        let mut settled: Vec<QualifiedName> = Vec::new();
        for (position, name) in tables.iter().enumerate() {
            let table = self.table(name);
            let Some(known) = table.column(column.as_str()) else {
                if position == 0 {
                    self.refuse_missing_column(name, column)?;
                }
                if table.assumed {
                    queue.entry(name.clone()).or_default().verify = validate;
                }
                continue;
            };
            if let Some(existing) = not_null_constraint(&table, column) {
                let parents = table.inherits.iter().chain(table.partition_of.iter().map(|(parent, _)| parent));
                let above: Vec<&QualifiedName> = parents.filter(|parent| tables.contains(parent)).collect();
                let existing = existing.clone();
                if position > 0 && !above.is_empty() && above.iter().all(|parent| settled.contains(parent)) {
                    settled.push(name.clone());
                    continue;
                }
                if self.settle_not_null(name, &existing, how, position > 0)? {
                    settled.push(name.clone());
                    continue;
                }
                // The constraint and those below it that are not valid yet are validated.
                self.validate_not_nulls(tables.get(position..).unwrap_or_default(), column, queue);
                return Ok(());
            }
            if known.not_null {
                if self.version.at_least(18) {
                    self.name_not_null(name, &how.constraint(column), position > 0);
                }
                continue;
            }
            if validate && !crate::proof::not_null(&table, column) {
                queue.entry(name.clone()).or_default().verify = true;
            }
            self.catalog_mut().edit_table(name, |table| set_not_null(table, column));
            if self.version.at_least(18) {
                let name_it = how.constraint(column);
                let root = tables.first().filter(|_| position > 0).and_then(|root| {
                    not_null_constraint(&self.table(root), column).map(|constraint| constraint.name.clone())
                });
                let name_it = if root.is_some() { NotNull { name: root, ..name_it } } else { name_it };
                self.name_not_null(name, &name_it, position > 0);
            }
        }
        Ok(())
    }

    /// There is a constraint already (18). Answers `false` where it is not valid and has to be made so.
    fn settle_not_null(
        &mut self,
        name: &QualifiedName,
        existing: &Constraint,
        how: &NewNotNull,
        from_parent: bool,
    ) -> Step<bool> {
        let alone = !is_handed_down(existing);
        let cannot_change = |sqlstate| {
            refuse(
                sqlstate,
                format!(
                    "cannot change NO INHERIT status of NOT NULL constraint \"{}\" on relation \"{}\"",
                    existing.name, name.name
                ),
            )
        };
        match how {
            NewNotNull::Flag { only, .. } => {
                if alone && !only {
                    return cannot_change("0A000");
                }
                if !from_parent && !existing.valid && (!existing.inherited || existing.own) {
                    return Ok(false);
                }
            }
            NewNotNull::Constraint(new) => {
                if new.no_inherit != alone {
                    return cannot_change("55000");
                }
                if new.valid && !existing.valid {
                    return refuse(
                        "55000",
                        format!(
                            "incompatible NOT VALID constraint \"{}\" on relation \"{}\"",
                            existing.name, name.name
                        ),
                    );
                }
                if let Some(given) = new.name.as_ref().filter(|given| !from_parent && **given != existing.name) {
                    return refuse(
                        "55000",
                        format!(
                            "cannot create not-null constraint \"{given}\" on column \"{}\" of table \"{}\"",
                            new.column, name.name
                        ),
                    );
                }
            }
        }
        self.catalog_mut().edit_table(name, |table| {
            for known in table.constraints.iter_mut().filter(|known| known.name == existing.name) {
                known.own = if from_parent { known.own || !known.inherited } else { known.inherited };
                known.inherited |= from_parent;
            }
        });
        Ok(true)
    }

    /// `ATPrepAddPrimaryKey`: what stands for NOT NULL already has to be good enough for a primary key.
    pub(super) fn check_not_nulls_of_key(&self, table: &Table, columns: &[Ident], only: bool) -> Step {
        for column in columns {
            let known = not_null_constraint(table, column);
            if let Some(known) = known {
                check_compatible(known, column)?;
            }
            if known.is_some() || !only {
                continue;
            }
            for child in &table.children {
                let child = self.table(child);
                match not_null_constraint(&child, column) {
                    Some(known) => check_compatible(known, column)?,
                    None if child.assumed => {}
                    None => {
                        return refuse(
                            "XX000",
                            format!("column \"{column}\" of table \"{}\" is not marked NOT NULL", child.name.name),
                        );
                    }
                }
            }
        }
        Ok(())
    }

    /// `QueueNNConstraintValidation`.
    fn validate_not_nulls(&mut self, tables: &[QualifiedName], column: &Ident, queue: &mut Queue) {
        for name in tables {
            let table = self.table(name);
            if not_null_constraint(&table, column).is_none_or(|known| known.valid) {
                continue;
            }
            queue.entry(name.clone()).or_default().verify = true;
            self.catalog_mut().edit_table(name, |table| {
                set_not_null(table, column);
                for known in table.constraints.iter_mut().filter(|known| is_of(known, column)) {
                    known.valid = true;
                }
            });
        }
    }
}

/// How a column is to become NOT NULL.
#[derive(Clone, Debug)]
pub(super) enum NewNotNull {
    /// SET NOT NULL; `only`: of ONLY the table; `alone`: children that it has are left as they are.
    Flag {
        only: bool,
        alone: bool,
    },
    Constraint(NotNull),
}

impl NewNotNull {
    const fn is_valid(&self) -> bool {
        match self {
            Self::Flag { .. } => true,
            Self::Constraint(not_null) => not_null.valid,
        }
    }

    /// What is made where there is none. Without its children a parent's constraint is one of its own.
    fn constraint(&self, column: &Ident) -> NotNull {
        match self {
            Self::Flag { alone, .. } => NotNull { no_inherit: *alone, ..NotNull::plain(column) },
            Self::Constraint(not_null) => not_null.clone(),
        }
    }
}

/// `verifyNotNullPKCompatible`.
fn check_compatible(constraint: &Constraint, column: &Ident) -> Step {
    if is_handed_down(constraint) && constraint.valid {
        return Ok(());
    }
    refuse("55000", format!("cannot create primary key on column \"{column}\""))
}

/// Whether children have it too.
fn is_handed_down(constraint: &Constraint) -> bool {
    matches!(constraint.kind, ConstraintKind::NotNull { no_inherit: false, .. })
}

fn is_of(constraint: &Constraint, column: &Ident) -> bool {
    matches!(&constraint.kind, ConstraintKind::NotNull { column: known, .. } if known == column)
}

/// Whether a child's column cannot be NULL because the parent's cannot.
pub(super) fn hands_down(parent: &Table, column: &Ident) -> bool {
    parent.column(column.as_str()).is_some_and(|known| known.not_null)
        && not_null_constraint(parent, column).is_none_or(is_handed_down)
}

/// The constraint of one NOT NULL; `more` are names given in the same statement and not yet in the catalog.
fn not_null_of(
    catalog: &Catalog,
    table: &QualifiedName,
    not_null: &NotNull,
    more: &[Ident],
    inherited: bool,
) -> Constraint {
    let name = not_null.name.as_ref().map_or_else(
        || naming::constraint_name(catalog, table, Some(not_null.column.as_str()), "not_null", more),
        Ident::truncated,
    );
    Constraint {
        name,
        kind: ConstraintKind::NotNull { column: not_null.column.clone(), no_inherit: not_null.no_inherit },
        valid: not_null.valid,
        attributes: ConstraintAttributes::default(),
        inherited,
        own: false,
    }
}

pub(super) fn not_null_constraint<'a>(table: &'a Table, column: &Ident) -> Option<&'a Constraint> {
    table
        .constraints
        .iter()
        .find(|constraint| matches!(&constraint.kind, ConstraintKind::NotNull { column: known, .. } if known == column))
}

pub(super) fn set_not_null(table: &mut Table, column: &Ident) {
    if let Some(column) = table.columns.iter_mut().find(|known| known.name == *column) {
        column.not_null = true;
    }
}

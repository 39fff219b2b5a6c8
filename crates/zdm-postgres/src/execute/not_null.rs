//! Not-null constraints: a flag of the column, and since 18 a constraint with a name
//! (`AddRelationNotNullConstraints`, `AdjustNotNullInheritance`, `ATExecSetNotNull`).

use super::alter_table::Queue;
use super::column::conflicting_inheritance;
use super::create_table::NotNull;
use super::{Run, Step, refuse};
use crate::catalog::{Catalog, Constraint, ConstraintKind, Table};
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::naming;
use crate::statement::{ConstraintAttributes, IndexKey};

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

    /// SET NOT NULL.
    pub(super) fn set_not_null(
        &mut self,
        name: &QualifiedName,
        column: &Ident,
        only: bool,
        mode: LockMode,
        queue: &mut Queue,
    ) -> Step {
        if self.version.at_least(18) {
            return self.set_not_null_in_tree(name, column, None, !only, mode, queue);
        }
        // Nothing reaches the partitions where the parent's column is settled.
        let table = self.table(name);
        let partitioned = table.partition_by.is_some();
        let settled = partitioned && table.column(column.as_str()).is_some_and(|column| column.not_null);
        if only && !settled && partitioned {
            self.need_not_null_below(name, std::slice::from_ref(column), mode)?;
        }
        let tables = self.tree(only || settled, name, mode);
        self.set_not_null_flags(&tables, column, queue)
    }

    /// What ONLY makes NOT NULL in a partitioned table its partitions have to be already (`ATPrepSetNotNull`, before 18).
    pub(super) fn need_not_null_below(&mut self, name: &QualifiedName, columns: &[Ident], mode: LockMode) -> Step {
        if columns.is_empty() {
            return Ok(());
        }
        let proved = |child: &QualifiedName, column: &Ident| {
            let table = self.table(child);
            table.column(column.as_str()).is_none_or(|column| column.not_null) || crate::proof::not_null(&table, column)
        };
        let below = self.catalog().descendants(name);
        if below.iter().any(|child| columns.iter().any(|column| !proved(child, column))) {
            return refuse("42P16", "constraint must be added to child tables too");
        }
        self.tree(false, name, mode);
        Ok(())
    }

    /// Before 18: the flag of the column, on the table and, in order, on those below it.
    pub(super) fn set_not_null_flags(&mut self, tables: &[QualifiedName], column: &Ident, queue: &mut Queue) -> Step {
        for (position, name) in tables.iter().enumerate() {
            if self.has_column(name, column, position == 0, true, queue)? {
                self.mark_not_null(name, column, true, queue);
            }
        }
        Ok(())
    }

    /// Whether the table has the column. Of an assumed table nobody knows, and its rows are looked at.
    fn has_column(
        &mut self,
        name: &QualifiedName,
        column: &Ident,
        named: bool,
        validate: bool,
        queue: &mut Queue,
    ) -> Step<bool> {
        let table = self.table(name);
        if table.column(column.as_str()).is_some() {
            return Ok(true);
        }
        if named {
            self.refuse_missing_column(name, column)?;
        }
        if table.assumed {
            queue.entry(name.clone()).or_default().verify = validate;
        }
        Ok(false)
    }

    /// `set_attnotnull`: rows are looked at where no constraint proves that none is NULL.
    fn mark_not_null(&mut self, name: &QualifiedName, column: &Ident, validate: bool, queue: &mut Queue) {
        let table = self.table(name);
        if table.column(column.as_str()).is_none_or(|known| known.not_null) {
            return;
        }
        if validate && !crate::proof::not_null(&table, column) {
            queue.entry(name.clone()).or_default().verify = true;
        }
        self.catalog_mut().edit_table(name, |table| set_not_null(table, column));
    }

    /// `ATExecSetNotNull` (18). What is below a table is reached only where the table gets the constraint by this.
    /// `from_parent` is the name of the parent's constraint, where the table is reached from there.
    fn set_not_null_in_tree(
        &mut self,
        name: &QualifiedName,
        column: &Ident,
        from_parent: Option<&Ident>,
        recurse: bool,
        mode: LockMode,
        queue: &mut Queue,
    ) -> Step {
        let mut reached = vec![(name.clone(), from_parent.is_some())];
        let mut chosen = from_parent.cloned();
        while let Some((name, recursing)) = reached.pop() {
            if !self.has_column(&name, column, !recursing, true, queue)? {
                continue;
            }
            let table = self.table(&name);
            if let Some(existing) = not_null_constraint(&table, column) {
                if !is_handed_down(existing) && recurse {
                    return cannot_change_inheritance("0A000", existing, &name);
                }
                let settled = recursing || (existing.inherited && !existing.own) || existing.valid;
                if !settled {
                    return self.validate_constraint(&name, &existing.name.clone(), !recurse, mode, queue);
                }
                self.define_again(&name, &existing.name.clone(), recursing);
                continue;
            }
            let alone = !recurse && !table.children.is_empty();
            if alone && table.partition_by.is_some() {
                return refuse("42P16", "constraint must be added to child tables too");
            }
            let not_null = NotNull { name: chosen.clone(), no_inherit: alone, ..NotNull::plain(column) };
            chosen = Some(self.make_not_null(&name, &not_null, recursing, queue)?);
            self.reach_children(&name, recurse, mode, &mut reached);
        }
        Ok(())
    }

    /// `ATAddCheckNNConstraint` of a NOT NULL (18).
    pub(super) fn add_not_null_constraint(
        &mut self,
        name: &QualifiedName,
        not_null: &NotNull,
        recurse: bool,
        mode: LockMode,
        queue: &mut Queue,
    ) -> Step {
        let mut not_null = not_null.clone();
        let mut reached = vec![(name.clone(), false)];
        while let Some((name, recursing)) = reached.pop() {
            let system = super::create_table::is_system_column(&not_null.column);
            if system && self.table(&name).column(not_null.column.as_str()).is_none() {
                let message = format!("cannot add not-null constraint on system column \"{}\"", not_null.column);
                return refuse("0A000", message);
            }
            if !self.has_column(&name, &not_null.column, !recursing, not_null.valid, queue)? {
                continue;
            }
            let table = self.table(&name);
            if let Some(existing) = not_null_constraint(&table, &not_null.column) {
                check_adjustable(&name, existing, &not_null, recursing)?;
                self.define_again(&name, &existing.name.clone(), recursing);
                continue;
            }
            not_null.name = Some(self.make_not_null(&name, &not_null, recursing, queue)?);
            if not_null.no_inherit {
                continue;
            }
            if !recurse && !table.children.is_empty() {
                return refuse("42P16", "constraint must be added to child tables too");
            }
            self.reach_children(&name, recurse, mode, &mut reached);
        }
        Ok(())
    }

    /// The children, to be gone through in their order.
    fn reach_children(
        &mut self,
        name: &QualifiedName,
        recurse: bool,
        mode: LockMode,
        reached: &mut Vec<(QualifiedName, bool)>,
    ) {
        let children = if recurse { self.table(name).children.clone() } else { Vec::new() };
        for child in children.into_iter().rev() {
            self.lock(&child, mode);
            reached.push((child, true));
        }
    }

    /// A constraint where there was none; answers its name.
    fn make_not_null(
        &mut self,
        name: &QualifiedName,
        not_null: &NotNull,
        inherited: bool,
        queue: &mut Queue,
    ) -> Step<Ident> {
        if let Some(given) = &not_null.name
            && self.table(name).has_constraint(given.truncated().as_str())
        {
            let message = format!("constraint \"{given}\" for relation \"{}\" already exists", name.name);
            return refuse("42710", message);
        }
        let constraint = not_null_of(self.catalog(), name, not_null, &[], inherited);
        let chosen = constraint.name.clone();
        self.catalog_mut().edit_table(name, |table| table.constraints.push(constraint));
        self.mark_not_null(name, &not_null.column, not_null.valid, queue);
        Ok(chosen)
    }

    /// A constraint is said once more: by a parent, or by the table itself.
    fn define_again(&mut self, name: &QualifiedName, constraint: &Ident, by_parent: bool) {
        self.catalog_mut().edit_table(name, |table| {
            for known in table.constraints.iter_mut().filter(|known| known.name == *constraint) {
                known.own = if by_parent { known.own || !known.inherited } else { known.inherited };
                known.inherited |= by_parent;
            }
        });
    }

    /// ALTER CONSTRAINT … INHERIT and NO INHERIT (`ATExecAlterConstrInheritability`, 18).
    pub(super) fn alter_inheritance(
        &mut self,
        name: &QualifiedName,
        constraint: &Constraint,
        column: &Ident,
        inherit: bool,
        mode: LockMode,
        queue: &mut Queue,
    ) -> Step {
        if !inherit && constraint.inherited {
            let message =
                format!("cannot alter inherited constraint \"{}\" on relation \"{}\"", constraint.name, name.name);
            return refuse("55000", message);
        }
        if is_handed_down(constraint) == inherit {
            return Ok(());
        }
        self.catalog_mut().edit_table(name, |table| {
            for known in table.constraints.iter_mut().filter(|known| known.name == constraint.name) {
                if let ConstraintKind::NotNull { no_inherit, .. } = &mut known.kind {
                    *no_inherit = !inherit;
                }
            }
        });
        let children = self.table(name).children.clone();
        for child in &children {
            self.lock(child, mode);
        }
        for child in &children {
            if inherit {
                self.set_not_null_in_tree(child, column, Some(&constraint.name), true, mode, queue)?;
                continue;
            }
            let table = self.table(child);
            let Some(known) = not_null_constraint(&table, column) else { continue };
            let elsewhere = self.inherits_constraint(&table, known);
            self.catalog_mut().edit_table(child, |table| {
                for known in table.constraints.iter_mut().filter(|known| is_of(known, column)) {
                    (known.inherited, known.own) = (elsewhere, elsewhere);
                }
            });
        }
        Ok(())
    }

    /// A column's new type makes its constraints anew: what a child has from its parent alone is the parent's then, by name,
    /// too (18).
    pub(super) fn rename_not_nulls_below(&mut self, tables: &[QualifiedName], column: &Ident) {
        let Some((root, below)) = tables.split_first() else { return };
        let Some(name) = not_null_constraint(&self.table(root), column).map(|known| known.name.clone()) else { return };
        for table in below {
            self.catalog_mut().edit_table(table, |table| {
                for known in table.constraints.iter_mut().filter(|known| is_of(known, column)) {
                    if known.inherited && !known.own {
                        known.name.clone_from(&name);
                    }
                }
            });
        }
    }

    /// DROP NOT NULL.
    pub(super) fn drop_not_null(&mut self, name: &QualifiedName, column: &Ident, only: bool, mode: LockMode) -> Step {
        let table = self.table(name);
        let newest = self.version.at_least(18);
        let nullable = table.column(column.as_str()).is_some_and(|column| !column.not_null);
        if !newest {
            if only && table.partition_by.is_some() && !table.children.is_empty() {
                return refuse(
                    "42P16",
                    "cannot remove constraint from only the partitioned table when partitions exist",
                );
            }
            self.tree(only, name, mode);
        }
        match table.column(column.as_str()) {
            None => return self.refuse_missing_column(name, column),
            // Nothing reaches the children where the column is nullable already.
            Some(_) if newest && nullable => return Ok(()),
            Some(known) if known.identity.is_some() => {
                return refuse(
                    "42601",
                    format!("column \"{column}\" of relation \"{}\" is an identity column", name.name),
                );
            }
            Some(_) => {}
        }
        let by_parent = table.partition_of.as_ref().is_some_and(|(parent, _)| {
            self.table(parent).column(column.as_str()).is_some_and(|column| column.not_null)
        });
        let of_parent = || refuse("42P16", format!("column \"{column}\" is marked NOT NULL in parent table"));
        if newest {
            if by_parent {
                return of_parent();
            }
            if let Some(known) = not_null_constraint(&table, column) {
                return self.drop_inheritable(name, &known.clone(), !only, mode);
            }
        }
        let tables = self.tree(only || newest, name, mode);
        for table in &tables {
            self.check_nullable(table, column)?;
        }
        if by_parent {
            return of_parent();
        }
        for name in &tables {
            self.forget_not_null(name, column);
        }
        Ok(())
    }

    /// What needs the column to be NOT NULL.
    pub(super) fn check_nullable(&self, name: &QualifiedName, column: &Ident) -> Step {
        let table = self.table(name);
        if let Some(ConstraintKind::PrimaryKey { columns, .. }) = table.primary_key().map(|key| &key.kind)
            && columns.contains(column)
        {
            return refuse("42P16", format!("column \"{column}\" is in a primary key"));
        }
        let identity = table.replica_identity.index().and_then(|index| table.index(index.as_str()));
        if identity.is_some_and(|index| {
            index.elements.iter().any(|element| matches!(&element.key, IndexKey::Column(key) if key == column))
        }) {
            return refuse("42P16", format!("column \"{column}\" is in index used as replica identity"));
        }
        if self.version.at_least(18) && table.column(column.as_str()).is_some_and(|known| known.identity.is_some()) {
            let message = format!("column \"{column}\" of relation \"{}\" is an identity column", name.name);
            return refuse("55000", message);
        }
        Ok(())
    }

    /// The flag and, since 18, the constraint are gone.
    pub(super) fn forget_not_null(&mut self, name: &QualifiedName, column: &Ident) {
        self.catalog_mut().edit_table(name, |table| {
            if let Some(known) = table.columns.iter_mut().find(|known| known.name == *column) {
                known.not_null = false;
            }
            table.constraints.retain(|constraint| !is_of(constraint, column));
        });
    }

    /// `ATPrepAddPrimaryKey` (18): what stands for NOT NULL already has to be good enough for a primary key. Of ONLY the
    /// table no constraint is made; the children are looked at for one where the table lacks it.
    pub(super) fn check_not_nulls_of_key(
        &mut self,
        table: &Table,
        columns: &[Ident],
        only: bool,
        mode: LockMode,
    ) -> Step {
        for column in columns {
            if let Some(known) = not_null_constraint(table, column) {
                check_compatible(known, column)?;
                continue;
            }
            if !only {
                continue;
            }
            for child in &table.children {
                self.lock(child, mode);
                let child = self.table(child);
                match not_null_constraint(&child, column) {
                    Some(known) => check_compatible(known, column)?,
                    None if child.is_vague() => {}
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
}

/// `AdjustNotNullInheritance`: what a further definition of the constraint must agree in.
fn check_adjustable(name: &QualifiedName, existing: &Constraint, new: &NotNull, from_parent: bool) -> Step {
    if new.no_inherit == is_handed_down(existing) {
        return cannot_change_inheritance("55000", existing, name);
    }
    if new.valid && !existing.valid {
        return not_valid(name, existing);
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
    Ok(())
}

pub(super) fn not_valid(name: &QualifiedName, existing: &Constraint) -> Step {
    refuse("55000", format!("incompatible NOT VALID constraint \"{}\" on relation \"{}\"", existing.name, name.name))
}

fn cannot_change_inheritance(sqlstate: &'static str, existing: &Constraint, name: &QualifiedName) -> Step {
    let message = format!(
        "cannot change NO INHERIT status of NOT NULL constraint \"{}\" on relation \"{}\"",
        existing.name, name.name
    );
    refuse(sqlstate, message)
}

/// `verifyNotNullPKCompatible`.
fn check_compatible(constraint: &Constraint, column: &Ident) -> Step {
    if is_handed_down(constraint) && constraint.valid {
        return Ok(());
    }
    refuse("55000", format!("cannot create primary key on column \"{column}\""))
}

/// Whether children have it too.
pub(super) fn is_handed_down(constraint: &Constraint) -> bool {
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

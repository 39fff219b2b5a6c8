//! What is said about the columns of a new table, and about a new column, before anything is made of it
//! (`transformColumnDefinition`, `transformTableConstraint`).

use super::create_table::{NotNull, Parts, check_fault};
use super::{Run, Step, refuse};
use crate::catalog::UserTypeKind;
use crate::data_type::DataType;
use crate::name::{Ident, QualifiedName};
use crate::statement::{
    ColumnConstraint, ColumnConstraintKind, ColumnDef, CreateTable, TableConstraint, TableConstraintKind,
    TypeDefinition,
};

/// Where a column is defined.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ColumnPlace {
    pub(super) typed: bool,
    pub(super) partition: bool,
    pub(super) partitioned: bool,
    pub(super) foreign: bool,
}

/// What was said about one column so far.
#[derive(Debug, Default)]
struct Said {
    /// NULL or NOT NULL.
    not_null: Option<bool>,
    /// Something that was said implies NOT NULL.
    needs_not_null: bool,
    constraint: Option<NotNull>,
    default: bool,
    identity: bool,
    generated: bool,
}

impl Run {
    /// The contradictions in a table's elements; its NOT NULLs, in order, go into `parts`.
    pub(super) fn transform_elements(&self, name: &QualifiedName, create: &CreateTable, parts: &mut Parts) -> Step {
        let place = ColumnPlace {
            typed: create.of_type.is_some(),
            partition: create.partition_of.is_some(),
            partitioned: create.partition_by.is_some(),
            foreign: create.foreign,
        };
        for definition in &create.columns {
            self.check_column_grammar(definition)?;
        }
        for definition in &create.columns {
            parts.not_nulls.extend(self.transform_column(name, place, definition)?);
        }
        for constraint in &create.constraints {
            Self::transform_constraint(place, constraint)?;
            if let TableConstraintKind::NotNull { column, no_inherit } = &constraint.kind {
                parts.not_nulls.push(NotNull {
                    name: constraint.name.clone(),
                    column: column.clone(),
                    no_inherit: *no_inherit,
                    valid: true,
                });
            }
        }
        for constraint in &create.constraints {
            let TableConstraintKind::PrimaryKey(key) = &constraint.kind else { continue };
            for column in &key.columns {
                let of_column = parts.not_nulls.iter().find(|known| known.column == *column);
                if of_column.is_some_and(|known| known.no_inherit) {
                    return conflicting_inheritance(column);
                }
                if of_column.is_none() {
                    parts.not_nulls.push(NotNull::plain(column));
                }
            }
        }
        Ok(())
    }

    /// What the grammar of older versions does not have.
    pub(super) fn check_column_grammar(&self, definition: &ColumnDef) -> Step {
        for constraint in &definition.constraints {
            self.check_enforcement(&constraint.words)?;
            match constraint.kind {
                ColumnConstraintKind::NotNull { no_inherit: true } => self.since(18, "NO")?,
                ColumnConstraintKind::Generated { stored: false, .. } => self.since(18, "VIRTUAL")?,
                _ => {}
            }
        }
        Ok(())
    }

    /// `GetAttributeCompression`.
    pub(super) fn check_compression(&mut self, data_type: &DataType, method: &Ident) -> Step {
        if *method == "default" {
            return Ok(());
        }
        if self.fixed_length(data_type) == Some(true) {
            let data_type = self.shown(data_type);
            return refuse("0A000", format!("column data type {data_type} does not support compression"));
        }
        match method.as_str() {
            "pglz" => Ok(()),
            "lz4" => {
                self.may_fail_always("0A000", "the server is built without that method of compression");
                Ok(())
            }
            other => refuse("22023", format!("invalid compression method \"{other}\"")),
        }
    }

    /// `CheckAttributeType` of a column that is computed when it is read: its type is the server's own.
    pub(super) fn check_virtual_type(&self, column: &Ident, data_type: &DataType) -> Step {
        let name = &data_type.name;
        let Some(known) = self.catalog().user_type(name) else { return Ok(()) };
        let what = match &known.kind {
            UserTypeKind::Domain(_) => "a domain type",
            UserTypeKind::Defined(TypeDefinition::Enum(_) | TypeDefinition::Composite(_)) => "a user-defined type",
            UserTypeKind::Defined(_) => return Ok(()),
        };
        refuse("0A000", format!("virtual generated column \"{column}\" cannot have {what}"))
    }

    fn transform_constraint(place: ColumnPlace, constraint: &TableConstraint) -> Step {
        match &constraint.kind {
            TableConstraintKind::NotNull { no_inherit: true, .. } if place.partitioned => not_for_partitioned(),
            TableConstraintKind::PrimaryKey(_) if place.foreign => not_for_foreign("primary key"),
            TableConstraintKind::Unique(_) if place.foreign => not_for_foreign("unique"),
            TableConstraintKind::Exclude { .. } if place.foreign => not_for_foreign("exclusion"),
            TableConstraintKind::ForeignKey { .. } if place.foreign => not_for_foreign("foreign key"),
            _ => Ok(()),
        }
    }

    /// The column's NOT NULL, written or implied, unless its words contradict each other.
    pub(super) fn transform_column(
        &self,
        table: &QualifiedName,
        place: ColumnPlace,
        definition: &ColumnDef,
    ) -> Step<Option<NotNull>> {
        for constraint in &definition.constraints {
            check_fault(&constraint.words)?;
        }
        let column = definition.name.truncated();
        let serial = definition.data_type.as_ref().is_some_and(DataType::is_serial);
        let kinds = || definition.constraints.iter().map(|constraint| &constraint.kind);
        let implied = serial
            || kinds()
                .any(|kind| matches!(kind, ColumnConstraintKind::Identity { .. } | ColumnConstraintKind::PrimaryKey));
        let contradiction =
            |what: &str| refuse("42601", format!("{what} for column \"{column}\" of table \"{}\"", table.name));
        let mut said = Said { needs_not_null: serial, ..Said::default() };
        for constraint in &definition.constraints {
            match &constraint.kind {
                ColumnConstraintKind::Null => {
                    if said.not_null == Some(true) || said.needs_not_null {
                        return contradiction("conflicting NULL/NOT NULL declarations");
                    }
                    said.not_null = Some(false);
                }
                ColumnConstraintKind::NotNull { no_inherit } => {
                    if *no_inherit && place.partitioned {
                        return not_for_partitioned();
                    }
                    if said.not_null == Some(false) {
                        return contradiction("conflicting NULL/NOT NULL declarations");
                    }
                    if *no_inherit && implied {
                        return conflicting_declarations(&column);
                    }
                    said.not_null = Some(true);
                    let known = said.constraint.take().filter(|_| self.version.at_least(18));
                    said.constraint = Some(merged_with(known, &column, constraint, *no_inherit)?);
                }
                ColumnConstraintKind::Default(_) => {
                    if said.default {
                        return contradiction("multiple default values specified");
                    }
                    said.default = true;
                }
                ColumnConstraintKind::Identity { .. } => {
                    if place.typed {
                        return refuse("0A000", "identity columns are not supported on typed tables");
                    }
                    if place.partition {
                        return refuse("0A000", "identity columns are not supported on partitions");
                    }
                    if said.identity {
                        return contradiction("multiple identity specifications");
                    }
                    if said.not_null == Some(false) {
                        return contradiction("conflicting NULL/NOT NULL declarations");
                    }
                    (said.identity, said.needs_not_null) = (true, true);
                }
                ColumnConstraintKind::Generated { .. } => {
                    if place.typed {
                        return refuse("0A000", "generated columns are not supported on typed tables");
                    }
                    if place.partition && !self.version.at_least(16) {
                        return refuse("0A000", "generated columns are not supported on partitions");
                    }
                    if said.generated {
                        return contradiction("multiple generation clauses specified");
                    }
                    said.generated = true;
                }
                ColumnConstraintKind::PrimaryKey => {
                    if said.not_null == Some(false) && self.version.at_least(18) {
                        return contradiction("conflicting NULL/NOT NULL declarations");
                    }
                    if place.foreign {
                        return not_for_foreign("primary key");
                    }
                    said.needs_not_null |= self.version.at_least(18);
                }
                ColumnConstraintKind::Unique { .. } if place.foreign => return not_for_foreign("unique"),
                ColumnConstraintKind::References(_) if place.foreign => return not_for_foreign("foreign key"),
                _ => {}
            }
            if let Some(both) = said.contradiction() {
                return contradiction(both);
            }
        }
        if serial {
            if said.default {
                return contradiction("multiple default values specified");
            }
            said.default = true;
            if let Some(both) = said.contradiction() {
                return contradiction(both);
            }
        }
        let implied = (implied && said.constraint.is_none()).then(|| NotNull::plain(&column));
        Ok(said.constraint.or(implied))
    }
}

impl Said {
    const fn contradiction(&self) -> Option<&'static str> {
        match (self.default, self.identity, self.generated) {
            (true, true, _) => Some("both default and identity specified"),
            (true, _, true) => Some("both default and generation expression specified"),
            (_, true, true) => Some("both identity and generation expression specified"),
            _ => None,
        }
    }
}

/// A NOT NULL that is said again is one with the first.
fn merged_with(
    known: Option<NotNull>,
    column: &Ident,
    constraint: &ColumnConstraint,
    no_inherit: bool,
) -> Step<NotNull> {
    let name = constraint.name.clone();
    let Some(mut known) = known else {
        return Ok(NotNull { name, no_inherit, ..NotNull::plain(column) });
    };
    if let (Some(one), Some(other)) = (&known.name, &name)
        && one != other
    {
        return refuse("XX000", format!("conflicting not-null constraint names \"{one}\" and \"{other}\""));
    }
    if known.no_inherit != no_inherit {
        return conflicting_declarations(column);
    }
    known.name = known.name.or(name);
    Ok(known)
}

fn conflicting_declarations<T>(column: &Ident) -> Step<T> {
    refuse("42601", format!("conflicting NO INHERIT declarations for not-null constraints on column \"{column}\""))
}

pub(super) fn conflicting_inheritance<T>(column: &Ident) -> Step<T> {
    refuse("42601", format!("conflicting NO INHERIT declaration for not-null constraint on column \"{column}\""))
}

pub(super) fn not_for_partitioned<T>() -> Step<T> {
    refuse("0A000", "not-null constraints on partitioned tables cannot be NO INHERIT")
}

fn not_for_foreign<T>(what: &str) -> Step<T> {
    refuse("0A000", format!("{what} constraints are not supported on foreign tables"))
}

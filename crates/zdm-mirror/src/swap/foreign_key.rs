//! Foreign keys with a swapped column on either side: each has a twin between the shadows, made and proved beforehand.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use zdm_conn::Ident;
use zdm_postgres::catalog::{Constraint, ConstraintKind, ForeignKey, Table};
use zdm_postgres::{Catalog, DataType, QualifiedName};

use super::table::timing;
use super::{Swapped, find};
use crate::mirror::TableName;
use crate::names;
use crate::refusal::Refusal;

/// A foreign key and its twin.
pub(super) struct Key {
    /// The referencing table.
    pub(super) table: TableName,
    pub(super) name: Ident,
    pub(super) twin: Ident,
    /// The twin's definition, to be added NOT VALID.
    pub(super) on_shadows: String,
    definition: String,
    /// The referenced columns change.
    pub(super) references_swapped: bool,
    pub(super) valid: bool,
    pub(super) enforced: bool,
}

impl Key {
    pub(super) fn as_it_was(&self) -> String {
        format!("{}{}", self.definition, self.not_valid())
    }

    pub(super) fn on_shadows_as_it_was(&self) -> String {
        format!("{}{}", self.on_shadows, self.not_valid())
    }

    fn not_valid(&self) -> &'static str {
        if self.valid || !self.enforced { "" } else { " NOT VALID" }
    }
}

/// Every foreign key with a swapped column, each once, those of the first table first.
pub(super) fn foreign_keys(catalog: &Catalog, tables: &[Swapped<'_>]) -> Result<Vec<Key>, Refusal> {
    let mut keys = Vec::new();
    let mut seen: BTreeSet<(QualifiedName, String)> = BTreeSet::new();
    for swapped in tables {
        let own = swapped.table.constraints.iter().filter_map(|constraint| match &constraint.kind {
            ConstraintKind::ForeignKey(key) => Some((swapped.table.name.clone(), constraint.clone(), key.clone())),
            _ => None,
        });
        for (table, constraint, key) in own.chain(catalog.foreign_keys_to(&swapped.table.name)) {
            let (child, parent) = (find(tables, &table), find(tables, &key.table));
            let touched = |swapped: Option<&Swapped<'_>>, columns: &[zdm_postgres::Ident]| {
                swapped.is_some_and(|swapped| columns.iter().any(|column| swapped.pair_of(column.as_str()).is_some()))
            };
            let (own_side, other_side) = (touched(child, &key.columns), touched(parent, &key.references));
            if (own_side || other_side) && seen.insert((table.clone(), constraint.name.as_str().to_owned())) {
                keys.push(twin(catalog, &table, &constraint, &key, child, parent, other_side)?);
            }
        }
    }
    Ok(keys)
}

fn twin(
    catalog: &Catalog,
    name: &QualifiedName,
    constraint: &Constraint,
    key: &ForeignKey,
    child: Option<&Swapped<'_>>,
    parent: Option<&Swapped<'_>>,
    references_swapped: bool,
) -> Result<Key, Refusal> {
    let cannot = |why: &str| {
        Err(Refusal::Other(format!("the foreign key `{}` of `{name}` cannot be carried over: {why}", constraint.name)))
    };
    let Some(table) = catalog.table(name).filter(|table| !table.assumed) else {
        return cannot("its table is not made by a migration that could be read");
    };
    if table.partition_by.is_some() || table.partition_of.is_some() {
        return cannot(
            "its table is partitioned, and PostgreSQL adds no foreign key NOT VALID to a partitioned table before 18",
        );
    }
    if key.references.is_empty() {
        return cannot("what it references is not known");
    }
    if key.on_delete.as_ref().is_some_and(|action| action.contains('(')) {
        return cannot("its ON DELETE names columns");
    }
    let twin = names::swap_name(name.name.as_str(), constraint.name.as_str());
    if table.constraint(twin.as_str()).is_some() {
        return Err(Refusal::Other(format!(
            "`{name}` has `{}` already: the migrations of this swap are written",
            twin.as_str()
        )));
    }
    for (own, referenced) in key.columns.iter().zip(&key.references) {
        let of = |swapped: Option<&Swapped<'_>>, table: Option<&Table>, column: &zdm_postgres::Ident| match swapped
            .and_then(|swapped| swapped.pair_of(column.as_str()))
        {
            Some(pair) => Some(pair.target_data_type.clone()),
            None => table?.column(column.as_str()).map(|column| column.data_type.clone()),
        };
        let referenced_table = catalog.table(&key.table).map(AsRef::as_ref);
        if let (Some(one), Some(other)) = (of(child, Some(table), own), of(parent, referenced_table, referenced))
            && !comparable(&one, &other)
        {
            return Err(Refusal::Other(format!(
                "`{own}` of `{name}` would be `{one}` and references `{referenced}` of `{}`, which is `{other}`: both sides of a \
                 foreign key are swapped together (start from `{referenced}`, with --references)",
                key.table
            )));
        }
    }
    let names_of = |swapped: Option<&Swapped<'_>>, columns: &[zdm_postgres::Ident], shadows: bool| {
        let names = columns
            .iter()
            .map(|column| match swapped.and_then(|swapped| swapped.pair_of(column.as_str())).filter(|_| shadows) {
                Some(pair) => Ok(pair.target.to_string()),
                None => Ok(Ident::new(column.as_str())?.to_string()),
            })
            .collect::<Result<Vec<_>, Refusal>>()?;
        Ok::<String, Refusal>(names.join(", "))
    };
    let referenced =
        TableName::new(key.table.schema.as_ref().map(zdm_postgres::Ident::as_str), key.table.name.as_str())?;
    let mut rest = String::new();
    if let Some(match_type) = &key.match_type {
        let _ = write!(rest, " MATCH {}", match_type.to_ascii_uppercase());
    }
    for (event, action) in [("UPDATE", &key.on_update), ("DELETE", &key.on_delete)] {
        if let Some(action) = action
            && !action.eq_ignore_ascii_case("NO ACTION")
        {
            let _ = write!(rest, " ON {event} {}", action.to_ascii_uppercase());
        }
    }
    rest.push_str(timing(constraint));
    if !constraint.attributes.enforced {
        rest.push_str(" NOT ENFORCED");
    }
    let definition = |shadows: bool| {
        Ok::<String, Refusal>(format!(
            "FOREIGN KEY ({}) REFERENCES {referenced} ({}){rest}",
            names_of(child, &key.columns, shadows)?,
            names_of(parent, &key.references, shadows)?
        ))
    };
    Ok(Key {
        table: TableName::new(name.schema.as_ref().map(zdm_postgres::Ident::as_str), name.name.as_str())?,
        name: Ident::new(constraint.name.as_str())?,
        on_shadows: definition(true)?,
        definition: definition(false)?,
        twin,
        references_swapped,
        valid: constraint.valid,
        enforced: constraint.attributes.enforced,
    })
}

/// Whether PostgreSQL joins the types in a foreign key: one operator family holds both.
fn comparable(one: &DataType, other: &DataType) -> bool {
    const FAMILIES: [&[&str]; 2] = [&["int2", "int4", "int8"], &["text", "varchar"]];
    let name = |data_type: &DataType| data_type.name.clone();
    name(one) == name(other)
        || FAMILIES.iter().any(|family| {
            let among = |data_type: &DataType| family.iter().any(|name| data_type.is(name));
            among(one) && among(other)
        })
}

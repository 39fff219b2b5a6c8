//! What becomes of a value when one type is assigned to another, and how two values of a type are told apart.
//!
//! Sources: PostgreSQL manual, "Data Types" (ranges and precisions) and "Type Conversion"; `pg_cast` for what is
//! assigned without an explicit cast.

use zdm_postgres::DataType;
use zdm_sql::parse_data_type;

/// What assigning a source to a target does to the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Every value of the source has its place in the target.
    Widens,
    /// Some values of the source do not fit, or are rounded.
    Narrows,
    /// The result depends on a setting of the session, by name.
    DependsOn(&'static str),
    /// There is no assignment without an expression.
    Incompatible,
    /// Nothing is known of one of the types.
    Unknown,
}

/// How `IS DISTINCT FROM` must be written so that no difference is overlooked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Native,
    /// Text of any collation: byte by byte.
    Bytes,
    /// By their text: the type's equality is absent or coarser than the value.
    AsText,
}

/// Reads a type in any spelling.
pub fn read(text: &str) -> Option<DataType> {
    parse_data_type(text)
}

/// Decimal digits that integers of a type may have.
fn integer_digits(name: &str) -> Option<i32> {
    match name {
        "int2" => Some(5),
        "int4" => Some(10),
        "int8" => Some(19),
        _ => None,
    }
}

fn is_text(name: &str) -> bool {
    matches!(name, "text" | "varchar" | "bpchar" | "citext")
}

/// What assigning a value of `from` to a column of `to` does.
pub fn fit(from: &DataType, to: &DataType) -> Fit {
    if from == to {
        return Fit::Widens;
    }
    if from.is_array() || to.is_array() {
        if from.is_array() != to.is_array() {
            return Fit::Incompatible;
        }
        let element = |array: &DataType| DataType { array_dimensions: 0, ..array.clone() };
        return fit(&element(from), &element(to));
    }
    if from.name.schema.is_some() || to.name.schema.is_some() {
        return if from.name == to.name { Fit::Narrows } else { Fit::Unknown };
    }
    let (old, new) = (from.name.name.as_str(), to.name.name.as_str());
    if let (Some(old), Some(new)) = (integer_digits(old), integer_digits(new)) {
        return if new >= old { Fit::Widens } else { Fit::Narrows };
    }
    if let (Some(digits), "numeric") = (integer_digits(old), new) {
        return match to.modifiers.as_slice() {
            [] => Fit::Widens,
            [precision] if *precision >= digits => Fit::Widens,
            [precision, scale] if precision - scale >= digits && *scale >= 0 => Fit::Widens,
            _ => Fit::Narrows,
        };
    }
    match (old, new) {
        ("numeric", "numeric") => {
            let split = |modifiers: &[i32]| match modifiers {
                [] => None,
                [precision] => Some((*precision, 0)),
                [precision, scale, ..] => Some((precision - scale, *scale)),
            };
            match (split(&from.modifiers), split(&to.modifiers)) {
                (_, None) => Fit::Widens,
                (None, Some(_)) => Fit::Narrows,
                (Some((digits, scale)), Some((new_digits, new_scale))) => {
                    if new_digits >= digits && new_scale >= scale { Fit::Widens } else { Fit::Narrows }
                }
            }
        }
        ("int2", "float4") | ("int2" | "int4" | "float4", "float8") => Fit::Widens,
        ("int4" | "int8" | "numeric" | "float8", "float4")
        | ("int8" | "numeric", "float8")
        | ("float4" | "float8", "numeric" | "int2" | "int4" | "int8")
        | ("numeric", "int2" | "int4" | "int8") => Fit::Narrows,
        _ if is_text(old) && is_text(new) => lengths(from, to),
        // The text form of any value; lengths are not known.
        (_, "text" | "varchar") if to.modifiers.is_empty() && has_session_text(old) => Fit::DependsOn("DateStyle"),
        (_, "text" | "varchar") if is_builtin_scalar(old) => {
            if to.modifiers.is_empty() {
                Fit::Widens
            } else {
                Fit::Narrows
            }
        }
        ("json", "jsonb") | ("jsonb", "json") | ("cidr", "inet") | ("date", "timestamp") | ("macaddr", "macaddr8") => {
            Fit::Widens
        }
        ("inet", "cidr") | ("timestamp", "date") | ("macaddr8", "macaddr") => Fit::Narrows,
        ("timestamp" | "date", "timestamptz") | ("timestamptz", "timestamp" | "date") => Fit::DependsOn("TimeZone"),
        _ if old == new => precisions(from, to),
        _ if is_builtin_scalar(old) && is_builtin_scalar(new) => Fit::Incompatible,
        _ => Fit::Unknown,
    }
}

fn lengths(from: &DataType, to: &DataType) -> Fit {
    match (from.modifiers.first(), to.modifiers.first()) {
        (_, None) => Fit::Widens,
        (Some(old), Some(new)) if new >= old => Fit::Widens,
        _ => Fit::Narrows,
    }
}

/// One type with and without a precision: `timestamp(3)`, `bit varying(8)`, `interval day`.
fn precisions(from: &DataType, to: &DataType) -> Fit {
    if to.fields.is_some() && from.fields != to.fields {
        return Fit::Narrows;
    }
    match (from.modifiers.first(), to.modifiers.first()) {
        (_, None) => Fit::Widens,
        (Some(old), Some(new)) if new >= old && from.name.name != "bit" => Fit::Widens,
        // Six digits are all that times have.
        (None, Some(6)) if from.name.name.as_str().starts_with("time") || from.name.name == "interval" => Fit::Widens,
        _ => Fit::Narrows,
    }
}

fn has_session_text(name: &str) -> bool {
    matches!(name, "date" | "timestamp" | "timestamptz" | "time" | "timetz" | "interval" | "money")
}

fn is_builtin_scalar(name: &str) -> bool {
    is_text(name)
        || has_session_text(name)
        || integer_digits(name).is_some()
        || matches!(
            name,
            "numeric"
                | "float4"
                | "float8"
                | "bool"
                | "uuid"
                | "inet"
                | "cidr"
                | "macaddr"
                | "macaddr8"
                | "json"
                | "jsonb"
                | "bytea"
                | "xml"
                | "bit"
                | "varbit"
                | "char"
                | "name"
                | "oid"
        )
}

/// Types whose equality is absent or coarser than the value: intervals compare by length, `citext` without case,
/// geometric types by area.
const COARSE: [&str; 14] = [
    "interval",
    "json",
    "xml",
    "point",
    "lseg",
    "path",
    "box",
    "polygon",
    "line",
    "circle",
    "citext",
    "txid_snapshot",
    "hstore",
    "jsonpath",
];

/// How values of the type are compared.
pub fn comparison(data_type: &DataType) -> Comparison {
    let name = data_type.name.name.as_str();
    if COARSE.contains(&name) {
        Comparison::AsText
    } else if matches!(name, "text" | "varchar" | "bpchar") && data_type.name.schema.is_none() {
        // An array's elements may have a collation that takes different texts for equal.
        if data_type.is_array() { Comparison::AsText } else { Comparison::Bytes }
    } else {
        Comparison::Native
    }
}

/// The type that a value is cast to before it is compared: as the column's, but without a length that would cut the
/// value in silence.
pub fn compared_as(data_type: &DataType) -> DataType {
    match data_type.name.name.as_str() {
        "varchar" | "bpchar" | "varbit" if data_type.name.schema.is_none() => {
            DataType { modifiers: Vec::new(), ..data_type.clone() }
        }
        _ => data_type.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: &str, to: &str, expect: Fit) {
        assert_eq!(fit(&read(from).unwrap(), &read(to).unwrap()), expect, "{from} -> {to}");
    }

    #[test]
    fn which_values_fit() {
        check("integer", "bigint", Fit::Widens);
        check("bigint", "integer", Fit::Narrows);
        check("int", "numeric", Fit::Widens);
        check("int", "numeric(10,2)", Fit::Narrows);
        check("int", "numeric(12,2)", Fit::Widens);
        check("bigint", "double precision", Fit::Narrows);
        check("int", "double precision", Fit::Widens);
        check("varchar(20)", "varchar(50)", Fit::Widens);
        check("varchar(50)", "varchar(20)", Fit::Narrows);
        check("varchar(20)", "text", Fit::Widens);
        check("text", "varchar(20)", Fit::Narrows);
        check("numeric(10,2)", "numeric(12,4)", Fit::Widens);
        check("numeric(10,2)", "numeric(10,4)", Fit::Narrows);
        check("numeric", "integer", Fit::Narrows);
        check("integer", "text", Fit::Widens);
        check("text", "integer", Fit::Incompatible);
        check("boolean", "integer", Fit::Incompatible);
        check("timestamp", "timestamptz", Fit::DependsOn("TimeZone"));
        check("date", "text", Fit::DependsOn("DateStyle"));
        check("timestamp(3)", "timestamp", Fit::Widens);
        check("timestamp", "timestamp(3)", Fit::Narrows);
        check("json", "jsonb", Fit::Widens);
        check("integer[]", "bigint[]", Fit::Widens);
        check("integer[]", "bigint", Fit::Incompatible);
        check("integer", "mood", Fit::Unknown);
        check("uuid", "bytea", Fit::Incompatible);
    }
}

//! Column types: one canonical form for every spelling.
//!
//! Source of names and aliases: PostgreSQL manual, "Data Types", table 8.1; `format_type()` for the way back.

use std::fmt;

use crate::name::{Ident, QualifiedName};

/// A type with its modifiers, as the server resolves it: `varchar(50)`, `numeric(10,2)[]`, `timestamptz`, `myschema.status`.
///
/// `name` is the internal name of `pg_type` (`int4`, `bpchar`, `timestamptz`); pseudo-types that only `CREATE TABLE`
/// and `ADD COLUMN` know (`serial`, `bigserial`, `smallserial`) keep their name until the catalog expands them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DataType {
    pub name: QualifiedName,
    /// `[50]` of `varchar(50)`, `[10, 2]` of `numeric(10,2)`, `[3]` of `timestamp(3)`; empty without modifiers.
    pub modifiers: Vec<i32>,
    /// Modifiers that are not numbers: an interval's fields (`day to second`), PostGIS' `point, 4326`.
    pub fields: Option<String>,
    /// 1 for `int[]`, 2 for `int[][]`; the server does not keep more than "is an array", so comparisons use `is_array`.
    pub array_dimensions: u8,
}

impl DataType {
    /// From any spelling of a base type without modifiers; aliases are resolved, unknown names are kept.
    pub fn named(name: &str) -> Self {
        Self {
            name: QualifiedName::new(canonical_type_name(name)),
            modifiers: Vec::new(),
            fields: None,
            array_dimensions: 0,
        }
    }

    pub fn user_defined(name: QualifiedName) -> Self {
        let name = match &name.schema {
            Some(schema) if schema == "pg_catalog" => QualifiedName::new(canonical_type_name(name.name.as_str())),
            Some(_) => name,
            None => QualifiedName::new(canonical_type_name(name.name.as_str())),
        };
        Self { name, modifiers: Vec::new(), fields: None, array_dimensions: 0 }
    }

    pub fn with_modifiers(mut self, modifiers: impl Into<Vec<i32>>) -> Self {
        self.modifiers = modifiers.into();
        self
    }

    pub fn array(mut self) -> Self {
        self.array_dimensions = self.array_dimensions.saturating_add(1);
        self
    }

    pub const fn is_array(&self) -> bool {
        self.array_dimensions > 0
    }

    /// Whether this is the built-in type of that internal name, not an array of it.
    pub fn is(&self, internal: &str) -> bool {
        self.name.schema.is_none() && self.name.name == internal && !self.is_array()
    }

    pub fn is_serial(&self) -> bool {
        self.serial_base().is_some()
    }

    /// `int4` for `serial`, `int8` for `bigserial`, `int2` for `smallserial`.
    pub fn serial_base(&self) -> Option<Self> {
        let base = match self.name.name.as_str() {
            "serial" => "int4",
            "bigserial" => "int8",
            "smallserial" => "int2",
            _ => return None,
        };
        (self.name.schema.is_none() && !self.is_array()).then(|| Self::named(base))
    }
}

impl DataType {
    /// As `format_type_be(oid)` prints it, in messages: without a length, and `bpchar` under its name of the standard.
    pub(crate) fn in_messages(&self) -> String {
        let bare = Self { modifiers: Vec::new(), fields: None, ..self.clone() };
        let shown = bare.to_string();
        match (shown.strip_prefix("bpchar"), &bare.name.schema) {
            (Some(dimensions), None) if bare.name.name == "bpchar" => format!("character{dimensions}"),
            _ => shown,
        }
    }
}

/// As `format_type(oid, typmod)` prints it: `character varying(50)`, `timestamp(3) with time zone`, `integer[]`.
impl fmt::Display for DataType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let modifiers = if self.modifiers.is_empty() {
            self.fields.as_ref().map_or(String::new(), |fields| format!("({fields})"))
        } else {
            let list: Vec<String> = self.modifiers.iter().map(ToString::to_string).collect();
            format!("({})", list.join(","))
        };
        let builtin = self.name.schema.is_none();
        match self.name.name.as_str() {
            "int2" if builtin => formatter.write_str("smallint")?,
            "int4" if builtin => formatter.write_str("integer")?,
            "int8" if builtin => formatter.write_str("bigint")?,
            "float4" if builtin => formatter.write_str("real")?,
            "float8" if builtin => formatter.write_str("double precision")?,
            "bool" if builtin => formatter.write_str("boolean")?,
            "varchar" if builtin => write!(formatter, "character varying{modifiers}")?,
            // `format_type` without a modifier means `bpchar` itself; `char` in SQL is `char(1)`.
            "bpchar" if builtin && self.modifiers.is_empty() => formatter.write_str("bpchar")?,
            "bpchar" if builtin => write!(formatter, "character{modifiers}")?,
            "bit" if builtin => write!(formatter, "bit{modifiers}")?,
            "varbit" if builtin => write!(formatter, "bit varying{modifiers}")?,
            "timestamp" if builtin => write!(formatter, "timestamp{modifiers} without time zone")?,
            "timestamptz" if builtin => write!(formatter, "timestamp{modifiers} with time zone")?,
            "time" if builtin => write!(formatter, "time{modifiers} without time zone")?,
            "timetz" if builtin => write!(formatter, "time{modifiers} with time zone")?,
            "interval" if builtin => {
                formatter.write_str("interval")?;
                if let Some(fields) = &self.fields {
                    write!(formatter, " {fields}")?;
                }
                if !self.modifiers.is_empty() {
                    formatter.write_str(&modifiers)?;
                }
            }
            "char" if builtin => formatter.write_str("\"char\"")?,
            _ => {
                if let Some(schema) = &self.name.schema {
                    write!(formatter, "{}.", quoted_if_needed(schema))?;
                }
                let name = &self.name.name;
                // Types whose names are key words of the grammar itself.
                if builtin && (*name == "numeric" || *name == "json") {
                    write!(formatter, "{name}{modifiers}")?;
                } else {
                    write!(formatter, "{}{modifiers}", quoted_if_needed(name))?;
                }
            }
        }
        if self.is_array() {
            formatter.write_str("[]")?;
        }
        Ok(())
    }
}

/// Whether a name stands for itself only in quotes: it is a key word, or not of lower-case letters, digits and underscores.
pub fn needs_quotes(name: &Ident) -> bool {
    quoted_if_needed(name) != name.as_str()
}

pub(crate) fn quoted_if_needed(name: &Ident) -> String {
    let text = name.as_str();
    let plain = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain && KEYWORDS.binary_search(&text).is_err() { text.to_owned() } else { crate::name::quote_identifier(text) }
}

/// Every key word that is not "non-reserved" (PostgreSQL manual, appendix "SQL Key Words", columns of version 18):
/// `quote_identifier()` puts these in quotes. Sorted.
const KEYWORDS: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "json",
    "json_array",
    "json_arrayagg",
    "json_exists",
    "json_object",
    "json_objectagg",
    "json_query",
    "json_scalar",
    "json_serialize",
    "json_table",
    "json_value",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "merge_action",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

/// The name in `pg_type` for a spelling of a base type, without modifiers and brackets; unknown names come back as they are.
pub fn canonical_type_name(name: &str) -> &str {
    match name {
        "int" | "integer" | "int4" => "int4",
        "smallint" | "int2" => "int2",
        "bigint" | "int8" => "int8",
        "serial" | "serial4" => "serial",
        "bigserial" | "serial8" => "bigserial",
        "smallserial" | "serial2" => "smallserial",
        "real" | "float4" => "float4",
        "float" | "double precision" | "float8" => "float8",
        "decimal" | "dec" | "numeric" => "numeric",
        "boolean" | "bool" => "bool",
        "character varying" | "char varying" | "varchar" => "varchar",
        "character" | "bpchar" => "bpchar",
        "bit varying" | "varbit" => "varbit",
        "timestamp without time zone" | "timestamp" => "timestamp",
        "timestamp with time zone" | "timestamptz" => "timestamptz",
        "time without time zone" | "time" => "time",
        "time with time zone" | "timetz" => "timetz",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_print_as_format_type_does() {
        let cases = [
            (DataType::named("int"), "integer"),
            (DataType::named("varchar").with_modifiers([50]), "character varying(50)"),
            (DataType::named("numeric").with_modifiers([10, 2]), "numeric(10,2)"),
            (DataType::named("timestamptz").with_modifiers([3]), "timestamp(3) with time zone"),
            (DataType::named("int8").array(), "bigint[]"),
            (DataType::named("Status"), "\"Status\""),
            (DataType::user_defined(QualifiedName::with_schema("shop", "status")), "shop.status"),
        ];
        for (data_type, expected) in cases {
            assert_eq!(data_type.to_string(), expected);
        }
    }

    #[test]
    fn key_words_are_sorted_and_quoted() {
        assert!(KEYWORDS.is_sorted());
        assert_eq!(quoted_if_needed(&Ident::from("order")), "\"order\"");
        assert_eq!(quoted_if_needed(&Ident::from("name")), "name");
        assert_eq!(DataType::named("decimal").with_modifiers([10, 2]).to_string(), "numeric(10,2)");
        assert_eq!(DataType::named("json").to_string(), "json");
    }

    #[test]
    fn serial_types_know_their_integer() {
        assert_eq!(DataType::named("serial8").serial_base(), Some(DataType::named("bigint")));
        assert_eq!(DataType::named("int8").serial_base(), None);
    }
}

//! Mirrors as data: the entries `[[tool.zdm.mirror]]` of a configuration.

use toml::{Table, Value};

use crate::error::Error;
use crate::mirror::{PairRequest, Request};

/// A mirror as somebody wrote it down, on the command line or in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    pub on: On,
    pub request: Request,
    /// The shadow is a field of the model.
    pub as_field: bool,
    /// The columns that reference the source get the same mirror.
    pub references: bool,
}

/// What the mirror is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// `app.Model`; columns may be named by their fields.
    Model(String),
    /// As written in SQL.
    Table(String),
}

const KEYS: [&str; 13] = [
    "model",
    "table",
    "source",
    "target",
    "type",
    "using",
    "reverse-using",
    "both-ways",
    "always",
    "allow-narrowing",
    "as-field",
    "references",
    "columns",
];

const PAIR_KEYS: [&str; 5] = ["source", "target", "type", "using", "reverse-using"];

/// Reads the entries; `value` is what stands under `mirror`.
///
/// # Errors
/// With the entry's number and what is wrong with it.
pub fn read(value: &Value) -> Result<Vec<Declaration>, Error> {
    let wrong = |text: &str| Error::Usage(format!("[[tool.zdm.mirror]]: {text}"));
    let entries = value.as_array().ok_or_else(|| wrong("must be a list of tables"))?;
    entries
        .iter()
        .enumerate()
        .map(|(index, entry)| {
            let entry = entry.as_table().ok_or_else(|| wrong(&format!("entry {}: must be a table", index + 1)))?;
            read_entry(entry).map_err(|problem| wrong(&format!("entry {}: {problem}", index + 1)))
        })
        .collect()
}

fn read_entry(entry: &Table) -> Result<Declaration, String> {
    known(entry, &KEYS)?;
    let on = match (text(entry, "model")?, text(entry, "table")?) {
        (Some(model), None) => On::Model(model),
        (None, Some(table)) => On::Table(table),
        (Some(_), Some(_)) => return Err("`model` and `table` are both given: one names the table".to_owned()),
        (None, None) => return Err("`model` or `table` is missing".to_owned()),
    };
    let mut pairs = Vec::new();
    if let Some(columns) = entry.get("columns") {
        let list = columns.as_array().ok_or("`columns` must be a list of tables")?;
        for column in list {
            let column = column.as_table().ok_or("`columns` must be a list of tables")?;
            known(column, &PAIR_KEYS)?;
            pairs.push(read_pair(column)?);
        }
        if let Some(key) = PAIR_KEYS.iter().find(|key| entry.contains_key(**key)) {
            return Err(format!("`{key}` belongs into `columns`, since that is given"));
        }
    } else {
        pairs.push(read_pair(entry)?);
    }
    let request = Request {
        pairs,
        both_ways: flag(entry, "both-ways")?,
        always: flag(entry, "always")?,
        allow_narrowing: flag(entry, "allow-narrowing")?,
    };
    Ok(Declaration { on, request, as_field: flag(entry, "as-field")?, references: flag(entry, "references")? })
}

fn read_pair(table: &Table) -> Result<PairRequest, String> {
    let wanted = |key: &str| text(table, key)?.ok_or_else(|| format!("`{key}` is missing"));
    Ok(PairRequest {
        source: wanted("source")?,
        target: wanted("target")?,
        data_type: text(table, "type")?,
        using: text(table, "using")?,
        reverse_using: text(table, "reverse-using")?,
    })
}

fn known(table: &Table, keys: &[&str]) -> Result<(), String> {
    match table.keys().find(|key| !keys.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(format!("unknown key `{key}` (known are {})", keys.join(", "))),
    }
}

fn text(table: &Table, key: &str) -> Result<Option<String>, String> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text.clone())),
        Some(Value::String(_)) => Err(format!("`{key}` is empty")),
        Some(_) => Err(format!("`{key}` must be a string")),
    }
}

fn flag(table: &Table, key: &str) -> Result<bool, String> {
    match table.get(key) {
        None => Ok(false),
        Some(Value::Boolean(value)) => Ok(*value),
        Some(_) => Err(format!("`{key}` must be true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Declaration>, String> {
        let table: Table = text.parse().unwrap();
        read(&table["mirror"]).map_err(|error| error.to_string())
    }

    #[test]
    fn entries_are_read() {
        let found = parse(
            "[[mirror]]\nmodel = 'shop.Order'\nsource = 'size'\ntarget = 'size_bigint'\ntype = 'bigint'\nboth-ways = true\n\
             [[mirror]]\ntable = 'audit.log'\ncolumns = [{ source = 'a', target = 'b', using = 'a + 1' }]\n",
        )
        .unwrap();
        assert_eq!(found[0].on, On::Model("shop.Order".into()));
        assert!(found[0].request.both_ways && !found[0].request.always);
        assert_eq!(found[1].request.pairs[0].using.as_deref(), Some("a + 1"));
    }

    /// What editors offer is what is read.
    #[test]
    fn the_published_schema_has_the_same_keys() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/zdm.schema.json");
        let text = std::fs::read_to_string(path).unwrap();
        let (_, mirror) = text.split_once("\"mirror\": {").unwrap();
        for key in KEYS {
            assert!(mirror.contains(&format!("\"{key}\": {{")), "{key}");
        }
    }

    #[test]
    fn mistakes_are_told() {
        let check = |text: &str, expect: &str| {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expect), "{error}");
        };
        check("[[mirror]]\nmodel = 'a.B'\nsorce = 'x'", "unknown key `sorce`");
        check("[[mirror]]\nsource = 'x'", "`model` or `table` is missing");
        check("[[mirror]]\ntable = 't'\nsource = 'x'", "`target` is missing");
        check("[[mirror]]\ntable = 't'\nsource = 1\ntarget = 'x'", "`source` must be a string");
        check("mirror = 3", "must be a list");
    }
}

//! Table sizes and traffic, as `zdm stats` measures them and `--stats` reads them.
//!
//! The file is JSON of version 1 and grows only by added keys. It holds names and numbers of tables, no row data.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::files::{FileProblem, read};

const VERSION: u32 = 1;

/// What was measured on one database.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    pub version: u32,
    /// The server's version: `16.4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<String>,
    /// When, by ISO 8601, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_at: Option<String>,
    /// How long traffic was observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<f64>,
    /// By name, with the schema where it is not `public`: `shop_order`, `archive.order`.
    pub tables: BTreeMap<String, TableStats>,
}

/// One table. What was not measured is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TableStats {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// The table without its indexes, with TOAST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads_per_second: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writes_per_second: Option<f64>,
    /// The longest transaction on the table that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_transaction_seconds: Option<f64>,
}

/// Statements per second from which on a table is hot: a lock that is held for a second makes so many wait.
const HOT: f64 = 10.0;

pub(crate) fn is_hot(reads: Option<f64>, writes: Option<f64>) -> Option<bool> {
    let rates = [reads, writes];
    rates.iter().any(Option::is_some).then(|| rates.iter().flatten().sum::<f64>() >= HOT)
}

impl TableStats {
    /// Whether the table is read or written all the time; `None` where traffic was not measured.
    pub fn hot(&self) -> Option<bool> {
        is_hot(self.reads_per_second, self.writes_per_second)
    }

    /// With its indexes; `None` where the table was not measured.
    pub fn total_bytes(&self) -> Option<u64> {
        Some(self.bytes?.saturating_add(self.index_bytes.unwrap_or_default()))
    }
}

impl Stats {
    pub const fn new(tables: BTreeMap<String, TableStats>) -> Self {
        Self { version: VERSION, postgres: None, measured_at: None, interval_seconds: None, tables }
    }

    /// The file as it is written.
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    pub fn load(path: &Path) -> Result<Self, Error> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let text = read(path.parent().unwrap_or(path), name);
        match text.problem {
            Some(FileProblem::Missing) => return Err(Error::NoSuchPath(path.to_owned())),
            Some(problem) => return Err(Error::Unreadable { path: path.to_owned(), reason: problem.to_string() }),
            None => {}
        }
        Self::parse(text.file.text()).map_err(|problem| Error::BadStats { path: path.to_owned(), problem })
    }

    /// Read the text of a file; the error is a sentence about what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(VERSION) => {}
            Some(version) => return Err(format!("version {version} is not known; update zdm-lint")),
            None => return Err("it has no `version`".to_owned()),
        }
        let stats: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let wrong = |number: &f64| !number.is_finite() || *number < 0.0;
        for (name, table) in &stats.tables {
            let rates = [table.reads_per_second, table.writes_per_second, table.longest_transaction_seconds];
            if rates.iter().flatten().any(wrong) {
                return Err(format!("`{name}` has a negative number"));
            }
        }
        Ok(stats)
    }

    /// A table's numbers, named with or without the schema `public`.
    pub fn table(&self, name: &str) -> Option<&TableStats> {
        let short = name.strip_prefix("public.").unwrap_or(name);
        self.tables.get(short).or_else(|| self.tables.get(&format!("public.{short}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let orders = TableStats { rows: Some(12), writes_per_second: Some(0.5), ..TableStats::default() };
        let mut stats = Stats::new(BTreeMap::from([("shop_order".to_owned(), orders.clone())]));
        stats.postgres = Some("16.4".to_owned());
        let read = Stats::parse(&stats.to_text()).unwrap();
        assert_eq!(read, stats);
        assert_eq!(read.table("public.shop_order"), Some(&orders));
        assert_eq!(read.table("archive.shop_order"), None);
        assert_eq!((orders.hot(), orders.total_bytes()), (Some(false), None));
        let busy = TableStats { reads_per_second: Some(9.5), bytes: Some(1), index_bytes: Some(2), ..orders };
        assert_eq!((busy.hot(), busy.total_bytes()), (Some(true), Some(3)));
        assert_eq!(TableStats::default().hot(), None);
    }

    #[test]
    fn later_keys_are_passed_over_and_mistakes_are_said() {
        let stats =
            Stats::parse(r#"{"version": 1, "new": 1, "tables": {"public.t": {"rows": 3, "new": []}}}"#).unwrap();
        assert_eq!(stats.table("t").unwrap().rows, Some(3));
        for (text, expected) in [
            ("{", "EOF while parsing an object at line 1 column 1"),
            ("{}", "it has no `version`"),
            (r#"{"version": 7}"#, "version 7 is not known; update zdm-lint"),
            (r#"{"version": 1}"#, "missing field `tables` at line 1 column 14"),
            (
                r#"{"version": 1, "tables": {"t": {"rows": -1}}}"#,
                "invalid value: integer `-1`, expected u64 at line 1 column 42",
            ),
            (r#"{"version": 1, "tables": {"t": {"reads_per_second": -1}}}"#, "`t` has a negative number"),
        ] {
            assert_eq!(Stats::parse(text).unwrap_err(), expected, "{text}");
        }
    }
}

//! What the planner knows of a table: facts of the catalog, without a connection.

use zdm_conn::QualifiedName;

/// A table as named by the operator, with everything below it.
#[derive(Debug, Clone)]
pub struct TableFacts {
    /// `pg_class.oid` of the named table.
    pub relation: u32,
    pub name: QualifiedName,
    /// The targets, in the definition's order.
    pub targets: Vec<ColumnFacts>,
    /// Tables with storage: the table itself, its partitions, its inheritance children, by name.
    pub parts: Vec<PartFacts>,
    /// Foreign tables among the descendants: they cannot be filled from here.
    pub foreign: Vec<QualifiedName>,
    /// Functions in the expressions whose value differs from call to call, so that no comparison can tell whether a row is
    /// done. `None` when it could not be found out.
    pub unrepeatable: Option<Vec<String>>,
}

/// A target column.
#[derive(Debug, Clone)]
pub struct ColumnFacts {
    pub name: String,
    /// With its modifier, as `format_type` spells it: `numeric(10,2)`.
    pub data_type: String,
    /// How values of the type are compared.
    pub comparison: Comparison,
    pub generated: bool,
    pub identity_always: bool,
    /// In the partition key of the table or one of its partitioned descendants.
    pub in_partition_key: bool,
}

/// How two values of a column are told apart byte by byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The type's own equality.
    Native,
    /// Text types: equality under the `C` collation, since another one may call different texts equal.
    Text,
    /// Types without equality (json, xml, point …) or with one that is coarser than the value (citext): as text.
    AsText,
}

/// A table with storage.
#[derive(Debug, Clone)]
pub struct PartFacts {
    pub relation: u32,
    pub name: QualifiedName,
    /// `reltuples`, nothing when never analyzed.
    pub rows: Option<f64>,
    /// Size in blocks now.
    pub pages: u32,
    /// `pg_relation_filenode()`: changes when the table is rewritten and all physical addresses with it.
    pub filenode: u32,
    pub key: Option<KeyFacts>,
    /// Indexes that a change of the targets must touch, so that no update can be HOT.
    pub indexes_on_targets: Vec<String>,
}

/// A primary key or another unique, immediate, complete index on columns that are not null.
#[derive(Debug, Clone)]
pub struct KeyFacts {
    pub columns: Vec<KeyColumn>,
    /// How far the key's order is the physical order, −1 to 1 (`pg_stats.correlation` of the first column); nothing when
    /// never analyzed.
    pub correlation: Option<f64>,
    /// The first column is an integer, mostly filled by a sequence.
    pub integer: bool,
}

/// One column of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyColumn {
    pub name: String,
    /// Without modifier, as `format_type` spells it.
    pub data_type: String,
}

impl PartFacts {
    /// Rows per page: measured, or 40 where nothing is known.
    pub fn density(&self) -> f64 {
        match self.rows {
            Some(rows) if rows > 0.0 && self.pages > 0 => (rows / f64::from(self.pages)).clamp(1.0, 300.0),
            _ => 40.0,
        }
    }
}

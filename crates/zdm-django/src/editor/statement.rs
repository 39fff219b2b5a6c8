//! Statements that wait for the end of the migration, and that later operations rename, withdraw or leave.
//!
//! A statement keeps its references apart from its text, because an operation of the same migration may rename the
//! table or a column that it names; names with a hash follow.

use std::sync::Arc;

use super::naming::{create_index_name, quote_name, split_identifier};

/// A statement with its references.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) table: Arc<str>,
    pub(crate) kind: StatementKind,
    /// Contains a value that could not be evaluated.
    pub(crate) wildcard: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum StatementKind {
    Index(IndexStatement),
    Unique(UniqueStatement),
    ForeignKey(ForeignKeyStatement),
    /// `ALTER TABLE t ADD …`: what follows the table.
    AddConstraint(Fragments),
}

/// `CREATE INDEX`.
#[derive(Clone, Debug)]
pub(crate) struct IndexStatement {
    pub(crate) name: Name,
    pub(crate) concurrently: bool,
    /// ` USING gin`.
    pub(crate) using: String,
    pub(crate) elements: Elements,
    pub(crate) include: Vec<Arc<str>>,
    /// ` WITH (…)` and ` TABLESPACE …`.
    pub(crate) extra: String,
    /// The predicate, without WHERE.
    pub(crate) condition: Option<Fragments>,
}

/// `ADD CONSTRAINT … UNIQUE` or `CREATE UNIQUE INDEX`.
#[derive(Clone, Debug)]
pub(crate) struct UniqueStatement {
    pub(crate) name: Name,
    pub(crate) elements: Elements,
    pub(crate) include: Vec<Arc<str>>,
    pub(crate) condition: Option<Fragments>,
    /// ` NULLS NOT DISTINCT`.
    pub(crate) nulls_distinct: &'static str,
    /// ` DEFERRABLE INITIALLY DEFERRED`.
    pub(crate) deferrable: &'static str,
    pub(crate) as_index: bool,
    /// Whether Django finds the columns when one of them is renamed or removed; up to 3.2 only by a name made from them.
    pub(crate) tracked: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct ForeignKeyStatement {
    pub(crate) column: Arc<str>,
    pub(crate) to_table: Arc<str>,
    pub(crate) to_column: Arc<str>,
    pub(crate) on_delete: &'static str,
    pub(crate) suffix: ForeignKeySuffix,
}

/// The end of a foreign key's hashed name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForeignKeySuffix {
    /// `_fk_table_column`.
    Target,
    /// `_fk`: keys that are made again after a change of what they point to.
    Plain,
}

/// A name as given, or made from the table and columns with this suffix.
#[derive(Clone, Debug)]
pub(crate) enum Name {
    Given(Arc<str>),
    Hashed(&'static str),
}

/// What is indexed.
#[derive(Clone, Debug)]
pub(crate) enum Elements {
    Columns {
        columns: Vec<Arc<str>>,
        /// Operator classes by column; empty or of the same length.
        opclasses: Vec<Arc<str>>,
        /// `DESC` or nothing, by column; may be shorter.
        suffixes: Vec<&'static str>,
    },
    Expressions(Fragments),
}

/// SQL with its column references apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fragments(pub(crate) Vec<Fragment>);

#[derive(Clone, Debug)]
pub(crate) enum Fragment {
    Text(String),
    Column(Arc<str>),
}

impl Fragments {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self(vec![Fragment::Text(text.into())])
    }

    pub(crate) fn push(&mut self, text: &str) {
        if let Some(Fragment::Text(last)) = self.0.last_mut() {
            last.push_str(text);
        } else {
            self.0.push(Fragment::Text(text.to_owned()));
        }
    }

    pub(crate) fn column(&mut self, column: Arc<str>) {
        self.0.push(Fragment::Column(column));
    }

    pub(crate) fn append(&mut self, other: Self) {
        for fragment in other.0 {
            match fragment {
                Fragment::Text(text) => self.push(&text),
                Fragment::Column(column) => self.column(column),
            }
        }
    }

    pub(crate) fn sql(&self) -> String {
        self.0
            .iter()
            .map(|fragment| match fragment {
                Fragment::Text(text) => text.clone(),
                Fragment::Column(column) => quote_name(column),
            })
            .collect()
    }

    fn columns(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().filter_map(|fragment| match fragment {
            Fragment::Column(column) => Some(column),
            Fragment::Text(_) => None,
        })
    }

    fn rename_column(&mut self, old: &str, new: &Arc<str>) {
        for fragment in &mut self.0 {
            if let Fragment::Column(column) = fragment
                && &**column == old
            {
                *column = new.clone();
            }
        }
    }
}

impl Elements {
    pub(crate) fn plain(columns: Vec<Arc<str>>) -> Self {
        Self::Columns { columns, opclasses: Vec::new(), suffixes: Vec::new() }
    }

    fn sql(&self) -> String {
        match self {
            Self::Expressions(fragments) => fragments.sql(),
            Self::Columns { columns, opclasses, suffixes } => {
                let parts: Vec<String> = columns
                    .iter()
                    .enumerate()
                    .map(|(index, column)| {
                        let mut part = quote_name(column);
                        if let Some(opclass) = opclasses.get(index) {
                            part.push(' ');
                            part.push_str(opclass);
                        }
                        if let Some(suffix) = suffixes.get(index).filter(|suffix| !suffix.is_empty()) {
                            part.push(' ');
                            part.push_str(suffix);
                        }
                        part
                    })
                    .collect();
                parts.join(", ")
            }
        }
    }

    fn column_names(&self) -> Vec<Arc<str>> {
        match self {
            Self::Columns { columns, .. } => columns.clone(),
            Self::Expressions(fragments) => fragments.columns().cloned().collect(),
        }
    }

    fn rename_column(&mut self, old: &str, new: &Arc<str>) {
        match self {
            Self::Columns { columns, .. } => rename_in(columns, old, new),
            Self::Expressions(fragments) => fragments.rename_column(old, new),
        }
    }
}

fn rename_in(columns: &mut [Arc<str>], old: &str, new: &Arc<str>) {
    for column in columns {
        if &**column == old {
            *column = new.clone();
        }
    }
}

fn include_sql(include: &[Arc<str>]) -> String {
    if include.is_empty() {
        return String::new();
    }
    let columns: Vec<String> = include.iter().map(|column| quote_name(column)).collect();
    format!(" INCLUDE ({})", columns.join(", "))
}

fn condition_sql(condition: Option<&Fragments>) -> String {
    condition.map(|condition| format!(" WHERE {}", condition.sql())).unwrap_or_default()
}

impl Statement {
    pub(crate) fn sql(&self) -> String {
        let table = quote_name(&self.table);
        match &self.kind {
            StatementKind::Index(index) => format!(
                "CREATE INDEX {}{} ON {table}{} ({}){}{}{}",
                if index.concurrently { "CONCURRENTLY " } else { "" },
                quote_name(&self.index_name().unwrap_or_default()),
                index.using,
                index.elements.sql(),
                include_sql(&index.include),
                index.extra,
                condition_sql(index.condition.as_ref()),
            ),
            StatementKind::Unique(unique) => {
                let name = quote_name(&self.index_name().unwrap_or_default());
                let elements = unique.elements.sql();
                if unique.as_index {
                    format!(
                        "CREATE UNIQUE INDEX {name} ON {table} ({elements}){}{}{}",
                        include_sql(&unique.include),
                        unique.nulls_distinct,
                        condition_sql(unique.condition.as_ref()),
                    )
                } else {
                    format!(
                        "ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE{} ({elements}){}",
                        unique.nulls_distinct, unique.deferrable,
                    )
                }
            }
            StatementKind::ForeignKey(key) => format!(
                "ALTER TABLE {table} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}){} DEFERRABLE INITIALLY DEFERRED",
                quote_name(&foreign_key_name(&self.table, key)),
                quote_name(&key.column),
                quote_name(&key.to_table),
                quote_name(&key.to_column),
                key.on_delete,
            ),
            StatementKind::AddConstraint(constraint) => format!("ALTER TABLE {table} ADD {}", constraint.sql()),
        }
    }

    /// Unquoted.
    fn index_name(&self) -> Option<String> {
        let (name, elements) = match &self.kind {
            StatementKind::Index(index) => (&index.name, &index.elements),
            StatementKind::Unique(unique) => (&unique.name, &unique.elements),
            StatementKind::ForeignKey(_) | StatementKind::AddConstraint(_) => return None,
        };
        Some(match name {
            Name::Given(name) => name.to_string(),
            Name::Hashed(suffix) => create_index_name(&self.table, &elements.column_names(), suffix),
        })
    }

    pub(crate) fn references_table(&self, table: &str) -> bool {
        if &*self.table == table {
            return true;
        }
        match &self.kind {
            StatementKind::ForeignKey(key) => &*key.to_table == table,
            _ => false,
        }
    }

    pub(crate) fn references_column(&self, table: &str, column: &str) -> bool {
        let here = &*self.table == table;
        let among = |columns: &[Arc<str>]| columns.iter().any(|known| &**known == column);
        match &self.kind {
            StatementKind::Index(index) => here && (among(&index.elements.column_names()) || among(&index.include)),
            StatementKind::Unique(unique) => {
                here && (unique.tracked && among(&unique.elements.column_names()) || among(&unique.include))
            }
            StatementKind::ForeignKey(key) => {
                here && &*key.column == column || &*key.to_table == table && &*key.to_column == column
            }
            StatementKind::AddConstraint(_) => false,
        }
    }

    /// Whether it would make the index of that name on the table.
    pub(crate) fn references_index(&self, table: &str, index: &str) -> bool {
        let named = match &self.kind {
            StatementKind::Index(_) => true,
            // A name that was given is not a reference.
            StatementKind::Unique(unique) => matches!(unique.name, Name::Hashed(_)),
            StatementKind::ForeignKey(_) | StatementKind::AddConstraint(_) => false,
        };
        named && &*self.table == table && self.index_name().as_deref() == Some(index)
    }

    /// Django has asked an index of the table for its name, which it keeps from then on, whatever is renamed.
    pub(crate) fn settle_name(&mut self, table: &str) {
        let name = self.index_name().filter(|_| &*self.table == table);
        if let (StatementKind::Index(index), Some(name)) = (&mut self.kind, name) {
            index.name = Name::Given(Arc::from(name));
        }
    }

    /// The columns of a unique constraint or index that waits.
    pub(crate) fn plain_columns(&self) -> Option<&[Arc<str>]> {
        let elements = match &self.kind {
            StatementKind::Index(index) => &index.elements,
            StatementKind::Unique(unique) => &unique.elements,
            StatementKind::ForeignKey(_) | StatementKind::AddConstraint(_) => return None,
        };
        match elements {
            Elements::Columns { columns, .. } => Some(columns),
            Elements::Expressions(_) => None,
        }
    }

    pub(crate) fn rename_table(&mut self, old: &str, new: &Arc<str>) {
        if &*self.table == old {
            self.table = new.clone();
        }
        if let StatementKind::ForeignKey(key) = &mut self.kind
            && &*key.to_table == old
        {
            key.to_table = new.clone();
        }
    }

    pub(crate) fn rename_column(&mut self, table: &str, old: &str, new: &Arc<str>) {
        let here = &*self.table == table;
        match &mut self.kind {
            StatementKind::Index(index) if here => {
                index.elements.rename_column(old, new);
                rename_in(&mut index.include, old, new);
            }
            StatementKind::Unique(unique) if here => {
                if unique.tracked {
                    unique.elements.rename_column(old, new);
                }
                rename_in(&mut unique.include, old, new);
            }
            StatementKind::ForeignKey(key) => {
                if here && &*key.column == old {
                    key.column = new.clone();
                }
                if &*key.to_table == table && &*key.to_column == old {
                    key.to_column = new.clone();
                }
            }
            _ => {}
        }
    }
}

/// The hashed name of a foreign key, unquoted.
pub(crate) fn foreign_key_name(table: &str, key: &ForeignKeyStatement) -> String {
    let suffix = match key.suffix {
        ForeignKeySuffix::Plain => "_fk".to_owned(),
        ForeignKeySuffix::Target => format!("_fk_{}_{}", split_identifier(&key.to_table).1, key.to_column),
    };
    create_index_name(table, &[&key.column], &suffix)
}

//! What must be known of a table before it gets a mirror, wherever it was learned: from a database or from a replay.

use zdm_conn::Ident;
use zdm_postgres::DataType;

use crate::mirror::TableName;

/// A table with what speaks for and against a mirror on it.
#[derive(Debug, Clone)]
pub struct TableFacts {
    /// As statements name it.
    pub name: TableName,
    pub kind: TableKind,
    pub columns: Vec<ColumnFacts>,
    /// Whether `columns` are all columns; otherwise nothing is known of any.
    pub columns_known: bool,
    /// Inheritance children at every level, which triggers do not reach by themselves; partitions are not among them.
    pub children: Vec<TableName>,
    /// Columns of the partition keys, at every level.
    pub partition_key: Vec<String>,
    /// Enabled row triggers BEFORE INSERT or UPDATE.
    pub triggers: Vec<TriggerFacts>,
    /// Views by name, with the columns that they read.
    pub views: Vec<(String, Vec<String>)>,
    /// Rules by name.
    pub rules: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    Table,
    View,
    ForeignTable,
}

#[derive(Debug, Clone)]
pub struct ColumnFacts {
    pub name: String,
    /// As `format_type` writes it.
    pub type_text: String,
    /// The type, or the type below a domain.
    pub data_type: DataType,
    pub not_null: bool,
    /// As an expression.
    pub default: Option<String>,
    pub generated: bool,
    pub identity: bool,
}

#[derive(Debug, Clone)]
pub struct TriggerFacts {
    pub name: String,
    pub function: String,
    /// What the function's body says, if it can be read: PL/pgSQL, or SQL.
    pub body: Option<String>,
}

impl TableFacts {
    /// Nothing but the name.
    pub fn unknown(name: TableName) -> Self {
        Self {
            name,
            kind: TableKind::Table,
            columns: Vec::new(),
            columns_known: false,
            children: Vec::new(),
            partition_key: Vec::new(),
            triggers: Vec::new(),
            views: Vec::new(),
            rules: Vec::new(),
        }
    }

    pub fn column(&self, name: &str) -> Option<&ColumnFacts> {
        self.columns.iter().find(|column| column.name == name)
    }
}

impl TriggerFacts {
    /// Whether its function may assign to the column; what cannot be read may do anything.
    pub(crate) fn may_write(&self, column: &Ident) -> bool {
        let Some(body) = &self.body else { return true };
        let body = body.to_lowercase();
        // `NEW := …` or a whole-row function changes any column.
        let name = column.as_str().to_lowercase();
        let whole_row = body.split("new").skip(1).any(|rest| rest.trim_start().starts_with(":="));
        whole_row || assigns(&body, &name)
    }
}

/// `new.column :=`, `new."column" =`, or INTO it.
fn assigns(body: &str, column: &str) -> bool {
    let tokens = zdm_sql::name_tokens(body);
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        if token.name == "new"
            && token.after == "."
            && let Some(named) = tokens.get(at)
            && named.before == "."
            && named.name == column
            && (matches!(named.after, ":=" | "=" | ",") || token.before.eq_ignore_ascii_case("INTO") || token.before == ",")
            // `IF new.column = …` compares.
            && !is_comparison(token.before, named.after)
        {
            return true;
        }
    }
    false
}

fn is_comparison(before: &str, after: &str) -> bool {
    after == "="
        && ["if", "elsif", "and", "or", "not", "when", "where", "(", "<>", "then_", "is", "case", "select"]
            .contains(&before.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expect: bool) {
        let trigger = TriggerFacts { name: "t".to_owned(), function: "f".to_owned(), body: Some(body.to_owned()) };
        assert_eq!(trigger.may_write(&Ident::new("Size").unwrap()), expect, "{body}");
    }

    #[test]
    fn which_triggers_write_a_column() {
        check("BEGIN NEW.size := 1; RETURN NEW; END", true);
        check("BEGIN NEW.\"Size\" = 1; RETURN NEW; END", true);
        check("BEGIN SELECT 1 INTO NEW.size; RETURN NEW; END", true);
        check("BEGIN IF NEW.size = 1 THEN NEW.other := 2; END IF; RETURN NEW; END", false);
        check("BEGIN NEW.updated := now(); RETURN NEW; END", false);
        check("BEGIN NEW := f(NEW); RETURN NEW; END", true);
    }
}

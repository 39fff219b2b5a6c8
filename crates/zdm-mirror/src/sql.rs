//! The statements of a mirror.
//!
//! The trigger's condition is a *state* guard: it fires when the shadow differs from what the source says it should be,
//! and not when the source has changed. A stale `Model.save()`, which writes an old value of the shadow back and leaves
//! the source as it is, is so put right. The condition is evaluated by the executor; a row that is in order never
//! reaches PL/pgSQL.
//!
//! With both ways, the body asks which of the two columns the statement changed: the shadow alone, then the source
//! follows; else the source wins. The shadow is then computed from the source in any case, so that one condition holds
//! for every row at every time and a second trigger run would find nothing to do.

use std::fmt::Write as _;

use crate::mirror::{Mirror, Pair, TableName};
use crate::types::{Comparison, compared_as, comparison};

/// Every statement that makes and removes a mirror, in order, without semicolons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statements {
    /// Of the shadow columns that are not there yet.
    pub add_columns: Vec<String>,
    pub create_function: String,
    pub create_triggers: Vec<String>,
    pub enable_always: Vec<String>,
    pub drop_triggers: Vec<String>,
    pub drop_function: String,
    pub drop_columns: Vec<String>,
}

/// Which row the columns of an expression belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row<'a> {
    New,
    /// The one row of a query.
    Plain,
    /// Under an alias, quoted.
    Alias(&'a str),
}

impl Row<'_> {
    fn prefix(self) -> String {
        match self {
            Self::New => "NEW.".to_owned(),
            Self::Plain => String::new(),
            Self::Alias(alias) => format!("{alias}."),
        }
    }
}

impl Mirror {
    pub fn statements(&self) -> Statements {
        let name = self.object_name();
        let tables: Vec<&TableName> = std::iter::once(&self.table).chain(&self.children).collect();
        let table = &self.table;
        let columns = |verb: &str, with_type: bool| {
            self.pairs
                .iter()
                .filter(|pair| pair.adds_column)
                .map(|pair| {
                    let data_type = if with_type { format!(" {}", pair.target_type) } else { String::new() };
                    format!("ALTER TABLE {table} {verb} COLUMN {}{data_type}", pair.target)
                })
                .collect()
        };
        Statements {
            add_columns: columns("ADD", true),
            create_function: self.create_function(false),
            create_triggers: tables.iter().map(|table| self.create_trigger(table, false)).collect(),
            enable_always: tables
                .iter()
                .filter(|_| self.always)
                .map(|table| format!("ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"))
                .collect(),
            drop_triggers: tables.iter().map(|table| format!("DROP TRIGGER {name} ON {table}")).collect(),
            drop_function: format!("DROP FUNCTION {}()", table.sibling(name.clone())),
            drop_columns: columns("DROP", false),
        }
    }

    pub fn create_trigger(&self, table: &TableName, replace: bool) -> String {
        let name = self.object_name();
        let or_replace = if replace { "OR REPLACE " } else { "" };
        format!(
            "CREATE {or_replace}TRIGGER {name}\nBEFORE INSERT OR UPDATE ON {table}\nFOR EACH ROW\nWHEN ({})\n\
             EXECUTE FUNCTION {}()",
            self.differs(Row::New),
            self.table.sibling(name.clone())
        )
    }

    pub fn create_function(&self, replace: bool) -> String {
        let function = self.table.sibling(self.object_name());
        let or_replace = if replace { "OR REPLACE " } else { "" };
        let body = self.body();
        let tag = dollar_tag(&body);
        let search_path = if self.needs_search_path() { " SET search_path FROM CURRENT" } else { "" };
        format!(
            "CREATE {or_replace}FUNCTION {function}() RETURNS trigger\nLANGUAGE plpgsql{search_path}\nAS {tag}{body}{tag}"
        )
    }

    /// The function's text between the dollar quotes.
    pub fn body(&self) -> String {
        let mut body = String::from("\n");
        let _ = writeln!(body, "-- Written by zdm mirror: keeps {} equal.", comment_text(&self.columns()));
        body.push_str("BEGIN\n");
        if self.both_ways {
            body.push_str("    IF TG_OP = 'INSERT' THEN\n");
            for pair in &self.pairs {
                self.backward(&mut body, pair, &pair.written_in_insert());
            }
            body.push_str("    ELSE\n");
            for pair in &self.pairs {
                self.backward(&mut body, pair, &pair.written_in_update());
            }
            body.push_str("    END IF;\n");
        }
        for pair in &self.pairs {
            let value = pair.forward.as_ref().map_or_else(|| format!("NEW.{}", pair.source), crate::Expression::of_new);
            let _ = writeln!(body, "    NEW.{} := {value};", pair.target);
        }
        body.push_str("    RETURN NEW;\nEND\n");
        body
    }

    fn backward(&self, body: &mut String, pair: &Pair, condition: &str) {
        debug_assert!(self.both_ways, "one way has no way back");
        let value = pair.backward.as_ref().map_or_else(|| format!("NEW.{}", pair.target), crate::Expression::of_new);
        let _ =
            writeln!(body, "        IF {condition} THEN\n            NEW.{} := {value};\n        END IF;", pair.source);
    }

    /// Holds for a row whose shadows are not what they should be.
    pub fn differs(&self, row: Row<'_>) -> String {
        self.pairs.iter().map(|pair| pair.differs(row)).collect::<Vec<_>>().join(" OR ")
    }
}

impl Pair {
    /// Holds for a row whose shadow is not what its source says.
    pub fn differs(&self, row: Row<'_>) -> String {
        distinct(comparison(&self.target_data_type), &format!("{}{}", row.prefix(), self.target), &self.value(row))
    }

    /// What the shadow should be, in its type.
    pub fn value(&self, row: Row<'_>) -> String {
        let source = match &self.forward {
            Some(forward) => match row {
                Row::New => forward.of_new(),
                Row::Plain => forward.plain(),
                Row::Alias(alias) => forward.qualified(alias),
            },
            None => format!("{}{}", row.prefix(), self.source),
        };
        // A domain's name says more than the type below it.
        let compared = compared_as(&self.target_data_type);
        let data_type = if compared == self.target_data_type { self.target_type.clone() } else { compared.to_string() };
        format!("{source}::{data_type}")
    }

    /// What the source should be, as it is assigned.
    pub fn reverse_value(&self, row: Row<'_>) -> String {
        match (&self.backward, row) {
            (Some(backward), Row::New) => backward.of_new(),
            (Some(backward), Row::Plain) => backward.plain(),
            (Some(backward), Row::Alias(alias)) => backward.qualified(alias),
            (None, _) => format!("{}{}", row.prefix(), self.target),
        }
    }

    /// The INSERT named the shadow and not the source, as far as values tell.
    fn written_in_insert(&self) -> String {
        let source = format!("NEW.{}", self.source);
        let not_given = match &self.source_default {
            Some(default) => {
                let by_default =
                    negated(comparison_of(self.source_data_type.as_ref()), &source, &format!("({default})"));
                format!("({source} IS NULL OR {by_default})")
            }
            None => format!("{source} IS NULL"),
        };
        format!("NEW.{} IS NOT NULL AND {not_given}", self.target)
    }

    /// The UPDATE changed the shadow and not the source.
    fn written_in_update(&self) -> String {
        let changed = |column: &zdm_conn::Ident, kind: Comparison| {
            distinct(kind, &format!("NEW.{column}"), &format!("OLD.{column}"))
        };
        let target = changed(&self.target, comparison(&self.target_data_type));
        let kind = comparison_of(self.source_data_type.as_ref());
        let source = negated(kind, &format!("NEW.{}", self.source), &format!("OLD.{}", self.source));
        // A column that takes no NULL was not meant: a stale `save()` from before the backfill writes it.
        let meant = if self.source_not_null { format!(" AND NEW.{} IS NOT NULL", self.target) } else { String::new() };
        format!("{target} AND {source}{meant}")
    }
}

fn comparison_of(data_type: Option<&zdm_postgres::DataType>) -> Comparison {
    data_type.map_or(Comparison::Native, comparison)
}

pub(crate) fn distinct(kind: Comparison, left: &str, right: &str) -> String {
    compare(kind, left, right, "IS DISTINCT FROM")
}

fn negated(kind: Comparison, left: &str, right: &str) -> String {
    compare(kind, left, right, "IS NOT DISTINCT FROM")
}

fn compare(kind: Comparison, left: &str, right: &str, operator: &str) -> String {
    match kind {
        Comparison::Native => format!("{left} {operator} {right}"),
        Comparison::Bytes => format!("{left} COLLATE \"C\" {operator} {right} COLLATE \"C\""),
        Comparison::AsText => {
            format!("({left})::text COLLATE \"C\" {operator} ({right})::text COLLATE \"C\"")
        }
    }
}

/// Names may hold line breaks, which would end the comment.
fn comment_text(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// A dollar quote that does not occur in the text.
fn dollar_tag(text: &str) -> String {
    let mut number = 0_u32;
    let mut tag = String::from("$zdm$");
    while text.contains(tag.trim_end_matches('$')) && number < u32::MAX {
        number += 1;
        tag = format!("$zdm{number}$");
    }
    tag
}

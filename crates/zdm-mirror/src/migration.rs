//! The Django migration that installs a mirror, as Python text.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use zdm_django::MigrationKey;

use crate::mirror::Mirror;
use crate::project::{ModelTable, Place};
use crate::refusal::Refusal;
use crate::swap::MODELS;

/// A migration to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationFile {
    pub key: MigrationKey,
    /// Relative to the project's root.
    pub path: String,
    pub text: String,
}

/// One top-level operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Statements with their reverse; an empty reverse does nothing.
    Sql { comment: Option<String>, forward: Vec<String>, backward: Vec<String> },
    /// Python text of an operation, and whether it changes the state alone.
    Python(String),
    /// State operations, if any, beside statements.
    Separate { comment: Option<String>, forward: Vec<String>, backward: Vec<String>, state: Vec<String> },
}

/// The migration that makes the shadow columns, the function and the trigger.
///
/// # Errors
/// When the shadow is to be a field and its type has none.
pub fn install(mirror: &Mirror, model: &ModelTable, place: &Place, as_field: bool) -> Result<MigrationFile, Refusal> {
    let statements = mirror.statements();
    let mut operations = Vec::new();
    let mut imports = BTreeSet::new();
    if as_field {
        for pair in mirror.pairs.iter().filter(|pair| pair.adds_column) {
            imports.insert(MODELS.to_owned());
            let field = field_for(&pair.target_data_type).ok_or_else(|| {
                Refusal::Other(format!("no Django field has the type `{}`: leave --as-field out", pair.target_type))
            })?;
            operations.push(Operation::Python(format!(
                "migrations.AddField(\n    model_name={},\n    name={},\n    field={field},\n)",
                python_string(&model.model.name.to_lowercase()),
                python_string(pair.target.as_str())
            )));
        }
    } else {
        for (add, drop) in statements.add_columns.iter().zip(&statements.drop_columns) {
            operations.push(Operation::Sql {
                comment: Some("The shadow column belongs to the database alone: no model names it.".to_owned()),
                forward: vec![add.clone()],
                backward: vec![drop.clone()],
            });
        }
    }
    operations.push(Operation::Sql {
        comment: None,
        forward: vec![statements.create_function],
        backward: vec![statements.drop_function],
    });
    operations.push(Operation::Sql {
        comment: Some(
            "Fires for a row whose shadow is not what it should be, whatever the statement changed.".to_owned(),
        ),
        forward: statements.create_triggers,
        backward: statements.drop_triggers,
    });
    if !statements.enable_always.is_empty() {
        operations.push(Operation::Sql { comment: None, forward: statements.enable_always, backward: Vec::new() });
    }
    let targets: Vec<&str> = mirror.pairs.iter().map(|pair| pair.target.as_str()).collect();
    let name = file_name(place.number, "mirror", &model.model.name, &targets);
    let header = format!(
        "Written by `zdm mirror migration`: {}.\n\nExisting rows stay as they are: fill them with `zdm backfill run`.",
        mirror.describe()
    );
    Ok(file(place, &name, &header, true, &imports, &operations))
}

/// `0005_mirror_order_size_bigint`: an identifier of moderate length.
pub(crate) fn file_name(number: u32, verb: &str, model: &str, columns: &[&str]) -> String {
    let rest = format!("{verb}_{}_{}", model.to_lowercase(), columns.join("_").to_lowercase());
    let mut clean: String =
        rest.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).take(52).collect();
    clean.truncate(clean.trim_end_matches('_').len());
    format!("{number:04}_{clean}")
}

/// Puts a migration together. `imports` are whole lines, and [`MODELS`](crate::swap::MODELS) for `models`.
pub(crate) fn file(
    place: &Place,
    name: &str,
    header: &str,
    atomic: bool,
    imports: &BTreeSet<String>,
    operations: &[Operation],
) -> MigrationFile {
    let mut text = String::new();
    for line in header.lines() {
        // What users named may hold anything but a line break.
        let _ = writeln!(text, "{}", format!("# {line}").trim_end());
    }
    text.push('\n');
    let (plain, from): (Vec<&String>, Vec<&String>) =
        imports.iter().filter(|import| *import != MODELS).partition(|import| import.starts_with("import "));
    for import in &plain {
        let _ = writeln!(text, "{import}");
    }
    if !plain.is_empty() {
        text.push('\n');
    }
    for import in from {
        let _ = writeln!(text, "{import}");
    }
    let models = if imports.contains(MODELS) { "migrations, models" } else { "migrations" };
    let _ = write!(text, "from django.db import {models}\n\n\nclass Migration(migrations.Migration):\n");
    if !atomic {
        text.push_str("    atomic = False\n\n");
    }
    text.push_str("    dependencies = [\n");
    for dependency in std::iter::once(&place.dependency).chain(&place.also) {
        let _ = writeln!(text, "        ({}, {}),", python_string(&dependency.app), python_string(&dependency.name));
    }
    text.push_str("    ]\n\n");
    if operations.is_empty() {
        text.push_str("    operations = []\n");
    } else {
        operations_text(&mut text, operations);
    }
    let text = text.replace(LITERAL_LINE, "");
    MigrationFile {
        key: MigrationKey::new(std::sync::Arc::clone(&place.app), name),
        path: format!("{}/{name}.py", place.folder),
        text,
    }
}

fn operations_text(text: &mut String, operations: &[Operation]) {
    text.push_str("    operations = [\n");
    for operation in operations {
        text.push_str(&indented(&operation.python(), 8));
        text.push_str(",\n");
    }
    text.push_str("    ]\n");
}

impl Operation {
    fn python(&self) -> String {
        match self {
            Self::Sql { comment, forward, backward } => {
                let comment = comment.as_ref().map(|comment| format!("# {comment}\n")).unwrap_or_default();
                format!("{comment}{}", run_sql(forward, backward))
            }
            Self::Python(text) => text.clone(),
            Self::Separate { comment, forward, backward, state } => {
                let mut text = comment.as_ref().map(|comment| format!("# {comment}\n")).unwrap_or_default();
                if state.is_empty() {
                    text.push_str(&run_sql(forward, backward));
                    return text;
                }
                text.push_str("migrations.SeparateDatabaseAndState(\n    database_operations=[\n");
                text.push_str(&indented(&run_sql(forward, backward), 8));
                text.push_str(",\n    ],\n    state_operations=[\n");
                for operation in state {
                    text.push_str(&indented(operation, 8));
                    text.push_str(",\n");
                }
                text.push_str("    ],\n)");
                text
            }
        }
    }
}

fn run_sql(forward: &[String], backward: &[String]) -> String {
    let reverse = if backward.is_empty() { "migrations.RunSQL.noop".to_owned() } else { sql_list(backward) };
    format!("migrations.RunSQL(\n    sql={},\n    reverse_sql={reverse},\n)", sql_list(forward))
}

fn sql_list(statements: &[String]) -> String {
    if let [one] = statements {
        return sql_string(one);
    }
    let mut text = String::from("[\n");
    for statement in statements {
        let _ = writeln!(text, "        {},", sql_string(statement));
    }
    text.push_str("    ]");
    text
}

/// Marks lines of a literal, which must not be indented; [`file`] takes the marks away.
const LITERAL_LINE: char = '\u{0}';

/// A statement as a Python literal: in three quotes where it has lines of its own.
fn sql_string(statement: &str) -> String {
    let plain = statement.contains('\n')
        && !statement.contains("\"\"\"")
        && !statement.contains(['\\', '\r', '\0'])
        && !statement.ends_with('"');
    if plain {
        format!("\"\"\"{}\"\"\"", statement.replace('\n', &format!("\n{LITERAL_LINE}")))
    } else {
        python_string(statement)
    }
}

/// Indents every line but those inside of a literal.
fn indented(text: &str, by: usize) -> String {
    let space = " ".repeat(by);
    let mut out = String::new();
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        if !line.is_empty() && !line.starts_with(LITERAL_LINE) {
            out.push_str(&space);
        }
        out.push_str(line);
    }
    out
}

/// A Python string literal; single quotes where the text holds double ones and no single ones.
pub(crate) fn python_string(text: &str) -> String {
    let quote = if text.contains('"') && !text.contains('\'') { '\'' } else { '"' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// The field of Django whose column has that type, nullable.
pub(crate) fn field_for(data_type: &zdm_postgres::DataType) -> Option<String> {
    let options = |class: &str, more: &str| Some(format!("models.{class}({more}null=True, editable=False)"));
    if data_type.is_array() || data_type.name.schema.is_some() {
        return None;
    }
    match (data_type.name.name.as_str(), data_type.modifiers.as_slice()) {
        ("int2", _) => options("SmallIntegerField", ""),
        ("int4", _) => options("IntegerField", ""),
        ("int8", _) => options("BigIntegerField", ""),
        ("float8", _) => options("FloatField", ""),
        ("bool", _) => options("BooleanField", ""),
        ("text", _) => options("TextField", ""),
        ("varchar", [length]) => options("CharField", &format!("max_length={length}, ")),
        ("numeric", [digits, places]) => {
            options("DecimalField", &format!("max_digits={digits}, decimal_places={places}, "))
        }
        ("date", _) => options("DateField", ""),
        ("time", []) => options("TimeField", ""),
        ("timestamptz", []) => options("DateTimeField", ""),
        ("interval", []) => options("DurationField", ""),
        ("uuid", _) => options("UUIDField", ""),
        ("jsonb", _) => options("JSONField", ""),
        ("bytea", _) => options("BinaryField", ""),
        ("inet", _) => options("GenericIPAddressField", ""),
        _ => None,
    }
}

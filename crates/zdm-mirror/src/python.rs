//! Values and fields of the state as Python text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use zdm_django::field::FieldKind;
use zdm_django::{Field, Value};
use zdm_postgres::DataType;

use crate::migration::python_string;

/// Deeper values are not written.
const MAX_DEPTH: u8 = 24;

/// Python text with the modules that it needs beside `django.db.models`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Python {
    pub(crate) text: String,
    pub(crate) imports: BTreeSet<String>,
}

/// The field with another column type; nothing where it cannot be told, with the reason.
pub(crate) fn field(field: &Field, data_type: &DataType) -> Result<Python, String> {
    let FieldKind::Django(old) = &field.class.kind else {
        return Err(format!("`{}` is not a class of Django", field.class.written));
    };
    if !field.class.written.starts_with("django.") {
        return Err(format!("`{}` is a class of the project", field.class.written));
    }
    let mut kwargs: BTreeMap<Arc<str>, Value> = (*field.kwargs).clone();
    let class = class_for(old, data_type, &mut kwargs)
        .ok_or_else(|| format!("no field of Django has the type `{data_type}` and behaves as `{old}`"))?;
    let mut imports = BTreeSet::new();
    let mut text = format!("models.{class}(");
    for (index, (name, value)) in kwargs.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        let value = render(value, &mut imports, 0).map_err(|why| format!("`{name}` of the field: {why}"))?;
        let _ = write!(text, "{comma}{name}={value}");
    }
    text.push(')');
    Ok(Python { text, imports })
}

fn class_for(old: &str, data_type: &DataType, kwargs: &mut BTreeMap<Arc<str>, Value>) -> Option<String> {
    if data_type.is_array() || data_type.name.schema.is_some() {
        return None;
    }
    let auto = old.ends_with("AutoField");
    let positive = old.starts_with("Positive");
    let text = matches!(old, "CharField" | "EmailField" | "SlugField" | "URLField" | "FilePathField" | "TextField");
    let number = |value: i32| Value::Int(i128::from(value));
    let class = match (data_type.name.name.as_str(), data_type.modifiers.as_slice()) {
        ("int2", _) if auto => "SmallAutoField",
        ("int4", _) if auto => "AutoField",
        ("int8", _) if auto => "BigAutoField",
        ("int2", _) if positive => "PositiveSmallIntegerField",
        ("int4", _) if positive => "PositiveIntegerField",
        ("int8", _) if positive => "PositiveBigIntegerField",
        ("int2", _) => "SmallIntegerField",
        ("int4", _) => "IntegerField",
        ("int8", _) => "BigIntegerField",
        ("text", _) => "TextField",
        ("varchar", [length]) => {
            kwargs.insert(Arc::from("max_length"), number(*length));
            if text && old != "TextField" { old } else { "CharField" }
        }
        ("numeric", [digits, places]) => {
            kwargs.insert(Arc::from("max_digits"), number(*digits));
            kwargs.insert(Arc::from("decimal_places"), number(*places));
            "DecimalField"
        }
        ("float8", _) => "FloatField",
        ("bool", _) => "BooleanField",
        ("uuid", _) => "UUIDField",
        ("jsonb", _) => "JSONField",
        ("timestamptz", []) => "DateTimeField",
        ("date", _) => "DateField",
        ("time", []) => "TimeField",
        ("interval", []) => "DurationField",
        ("bytea", _) => "BinaryField",
        ("inet", _) => "GenericIPAddressField",
        _ => return None,
    };
    if !matches!(class, "CharField" | "EmailField" | "SlugField" | "URLField" | "FilePathField") {
        kwargs.remove("max_length");
    }
    if class != "DecimalField" {
        kwargs.remove("max_digits");
        kwargs.remove("decimal_places");
    }
    Some(class.to_owned())
}

fn render(value: &Value, imports: &mut BTreeSet<String>, depth: u8) -> Result<String, String> {
    if depth > MAX_DEPTH {
        return Err("it is nested too deeply".to_owned());
    }
    let mut list = |items: &[Value]| -> Result<String, String> {
        let items = items.iter().map(|item| render(item, imports, depth + 1)).collect::<Result<Vec<_>, _>>()?;
        Ok(items.join(", "))
    };
    Ok(match value {
        Value::None => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) if number.is_finite() => format!("{number:?}"),
        Value::Float(_) => return Err("a number that has no literal".to_owned()),
        Value::Str(text) => python_string(text),
        Value::Bytes(bytes) => {
            let mut text = String::from("b\"");
            for byte in bytes.iter() {
                let _ = write!(text, "\\x{byte:02x}");
            }
            text.push('"');
            text
        }
        Value::List(items) => format!("[{}]", list(items)?),
        Value::Tuple(items) if items.len() == 1 => format!("({},)", list(items)?),
        Value::Tuple(items) => format!("({})", list(items)?),
        Value::Set(items) if items.is_empty() => "set()".to_owned(),
        Value::Set(items) => format!("{{{}}}", list(items)?),
        Value::Dict(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| {
                    Ok(format!("{}: {}", render(key, imports, depth + 1)?, render(value, imports, depth + 1)?))
                })
                .collect::<Result<Vec<_>, String>>()?;
            format!("{{{}}}", entries.join(", "))
        }
        Value::Symbol(path) => symbol(path, imports),
        Value::Call(call) if call.callee.starts_with("operator.") => {
            return Err(format!("it holds the operator `{}`", call.callee));
        }
        Value::Call(call) => {
            let callee = symbol(&call.callee, imports);
            let mut arguments =
                call.args.iter().map(|value| render(value, imports, depth + 1)).collect::<Result<Vec<_>, _>>()?;
            for (name, value) in &call.kwargs {
                arguments.push(format!("{name}={}", render(value, imports, depth + 1)?));
            }
            format!("{callee}({})", arguments.join(", "))
        }
        Value::Setting(name) => {
            imports.insert("from django.conf import settings".to_owned());
            format!("settings.{name}")
        }
        Value::Unknown(why) => return Err(format!("it cannot be told ({why})")),
    })
}

/// The imports of the modules that a field's text names, as `uuid` in `models.UUIDField(default=uuid.uuid4)`.
pub(crate) fn imports(text: &str) -> BTreeSet<String> {
    let mut imports = BTreeSet::new();
    let mut quote = None;
    let mut name = String::new();
    for c in text.chars().chain([' ']) {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c.is_alphanumeric() || c == '_' || c == '.' => {
                name.push(c);
                continue;
            }
            None if c == '"' || c == '\'' => quote = Some(c),
            None => {}
        }
        let path = std::mem::take(&mut name);
        let is_module = path.contains('.')
            && path.starts_with(|first: char| first.is_alphabetic() || first == '_')
            && !path.starts_with("models.");
        if path.starts_with("settings.") {
            imports.insert("from django.conf import settings".to_owned());
        } else if is_module {
            symbol(&path, &mut imports);
        }
    }
    imports
}

/// A dotted name, and the import that brings it.
fn symbol(path: &str, imports: &mut BTreeSet<String>) -> String {
    let path = path.strip_prefix("builtins.").unwrap_or(path);
    if let Some(rest) = path.strip_prefix("django.db.models.")
        && !rest.contains('.')
    {
        return format!("models.{rest}");
    }
    // The module is everything before the first part that is written as a class, or before the last part.
    let parts: Vec<&str> = path.split('.').collect();
    let class = parts.iter().position(|part| part.starts_with(char::is_uppercase));
    let module = parts.get(..class.unwrap_or(parts.len().saturating_sub(1))).unwrap_or_default().join(".");
    if !module.is_empty() {
        imports.insert(format!("import {module}"));
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_of_a_field_are_imported() {
        let check = |text: &str, expect: &[&str]| {
            assert_eq!(imports(text).into_iter().collect::<Vec<_>>(), expect, "{text}");
        };
        check("models.UUIDField(default=uuid.uuid4, help_text='a.b')", &["import uuid"]);
        check("library.fields.Card(max_digits=1.5)", &["import library.fields"]);
        check("models.BigIntegerField(default=0)", &[]);
        check(
            "models.ForeignKey(settings.AUTH_USER_MODEL, django.db.models.deletion.CASCADE)",
            &["from django.conf import settings", "import django.db.models.deletion"],
        );
    }
}

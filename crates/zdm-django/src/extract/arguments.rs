//! The arguments of a call, by the names of its parameters.

use std::sync::Arc;

use zdm_python as python;
use zdm_python::{ArgKind, ValueKind};
use zdm_source::Span;

use super::convert;
use crate::value::Value;

/// Why something is not analysed.
pub(crate) type Reason = String;

/// A call's arguments, named.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) named: Vec<Named>,
    /// Positional arguments without a name: those of `*expressions`, or too many.
    pub(crate) rest: Vec<python::Value>,
    /// An argument of unknown number or name.
    pub(crate) unknown: Option<Reason>,
}

#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: Arc<str>,
    pub(crate) value: python::Value,
    /// The whole argument with its keyword.
    pub(crate) span: Span,
}

impl Arguments {
    pub(crate) fn new(args: &[python::Arg], parameters: &[&str]) -> Self {
        let mut found = Self::default();
        let mut position = 0;
        for arg in args {
            match &arg.kind {
                ArgKind::Positional => {
                    match parameters.get(position) {
                        Some(name) => found.push(name, arg),
                        None => found.rest.push(arg.value.clone()),
                    }
                    position += 1;
                }
                ArgKind::Keyword(name) => found.push(name, arg),
                ArgKind::Unpack => {
                    found.unknown.get_or_insert_with(|| format!("`*` arguments: {}", convert::reason(&arg.value)));
                }
                ArgKind::UnpackMapping if found.unpack_alternatives(arg) => {}
                ArgKind::UnpackMapping => {
                    found.unknown.get_or_insert_with(|| format!("`**` arguments: {}", convert::reason(&arg.value)));
                }
            }
        }
        found
    }

    /// `**kwargs` where `kwargs` is one of several known dicts: what only some hold, or hold with another value, is
    /// an argument that is not known.
    fn unpack_alternatives(&mut self, arg: &python::Arg) -> bool {
        let ValueKind::Alternatives(alternatives) = &arg.value.kind else { return false };
        let mut names: Vec<&python::Str> = Vec::new();
        for option in &alternatives.options {
            let Some(entries) = option.as_dict() else { return false };
            for entry in entries {
                let Some(name) = entry.key.as_ref().and_then(python::Value::as_str) else { return false };
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        for name in names {
            let values: Vec<Option<&python::Value>> =
                alternatives.options.iter().map(|option| option.get(name)).collect();
            let first = values.first().copied().flatten();
            let same = |value: Option<&python::Value>| {
                first
                    .zip(value)
                    .is_some_and(|(one, other)| one.origin == other.origin || one.equals(other) == Some(true))
            };
            let value = match first {
                Some(first) if values.iter().copied().all(same) => first.clone(),
                _ => python::Value::new(arg.value.kind.clone(), arg.value.origin.clone()),
            };
            self.named.push(Named { name: Arc::from(name.as_str()), value, span: arg.span });
        }
        true
    }

    fn push(&mut self, name: &str, arg: &python::Arg) {
        self.named.push(Named { name: Arc::from(name), value: arg.value.clone(), span: arg.span });
    }

    /// An argument that the call does not have.
    pub(crate) fn set(&mut self, name: &str, value: python::Value) {
        let span = value.span();
        self.named.push(Named { name: Arc::from(name), value, span });
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Named> {
        self.named.iter().rev().find(|arg| &*arg.name == name)
    }

    pub(crate) fn value(&self, name: &str) -> Option<&python::Value> {
        self.get(name).map(|arg| &arg.value)
    }

    pub(crate) fn required(&self, name: &str) -> Result<&python::Value, Reason> {
        self.value(name).ok_or_else(|| match &self.unknown {
            Some(reason) => reason.clone(),
            None => format!("the argument `{name}` is missing"),
        })
    }

    pub(crate) fn string(&self, name: &str) -> Result<Arc<str>, Reason> {
        string(self.required(name)?, name)
    }

    /// A string, or None where it is None or missing.
    pub(crate) fn optional_string(&self, name: &str) -> Result<Option<Arc<str>>, Reason> {
        match self.value(name) {
            None => self.unknown.clone().map_or(Ok(None), Err),
            Some(value) if value.is_none() => Ok(None),
            Some(value) => string(value, name).map(Some),
        }
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, Reason> {
        match self.value(name) {
            None => Ok(default),
            Some(value) => value.truth().ok_or_else(|| format!("`{name}`: {}", convert::reason(value))),
        }
    }

    pub(crate) fn data(&self, name: &str) -> Option<Value> {
        self.value(name).map(convert::value)
    }
}

pub(crate) fn string(value: &python::Value, name: &str) -> Result<Arc<str>, Reason> {
    match &value.kind {
        ValueKind::Str(text) => Ok(Arc::from(text.as_str())),
        ValueKind::Symbol(symbol) => Err(format!("`{name}`: the value of `{symbol}` is not known")),
        _ => Err(format!("`{name}`: {}", convert::reason(value))),
    }
}

/// The strings of a list or tuple.
pub(crate) fn strings(value: &python::Value, name: &str) -> Result<Vec<Arc<str>>, Reason> {
    match value.as_items() {
        Some(items) => items.iter().map(|item| string(item, name)).collect(),
        None => Err(format!("`{name}`: {}", convert::reason(value))),
    }
}

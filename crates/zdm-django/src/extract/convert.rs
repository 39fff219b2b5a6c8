//! From evaluated Python to the values of this crate.

use std::sync::Arc;

use zdm_python as python;
use zdm_python::syntax::{BinaryOp, UnaryOp};
use zdm_python::{ArgKind, ValueKind};
use zdm_source::Span;

use super::signature;
use crate::operation::{SqlText, TextMap, TextSegment};
use crate::value::{Call, Value};

/// Values nest no deeper than this; what does is unknown.
const MAX_DEPTH: u32 = 100;

const SETTINGS: &str = "django.conf.settings.";

/// A Python value as data.
pub(crate) fn value(from: &python::Value) -> Value {
    convert(from, MAX_DEPTH)
}

fn convert(from: &python::Value, depth: u32) -> Value {
    let Some(depth) = depth.checked_sub(1) else {
        return Value::unknown("nested too deeply");
    };
    let items = |items: &[python::Value]| -> Result<Arc<[Value]>, Value> {
        match items.iter().find(|item| matches!(item.kind, ValueKind::Spread(_))) {
            Some(spread) => Err(unknown(spread)),
            None => Ok(items.iter().map(|item| convert(item, depth)).collect()),
        }
    };
    match &from.kind {
        ValueKind::None => Value::None,
        ValueKind::Bool(value) => Value::Bool(*value),
        ValueKind::Int(value) => {
            value.as_i128().map_or_else(|| Value::unknown("a number of more than 128 bits"), Value::Int)
        }
        ValueKind::Float(value) => Value::Float(*value),
        ValueKind::Str(text) => Value::Str(Arc::from(text.as_str())),
        ValueKind::Bytes(bytes) => Value::Bytes(Arc::clone(bytes)),
        ValueKind::List(values) => items(values).map_or_else(|value| value, Value::List),
        ValueKind::Tuple(values) => items(values).map_or_else(|value| value, Value::Tuple),
        ValueKind::Set(values) => items(values).map_or_else(|value| value, Value::Set),
        ValueKind::Dict(entries) => {
            let mut converted = Vec::with_capacity(entries.len());
            for entry in entries.iter() {
                let Some(key) = &entry.key else { return unknown(&entry.value) };
                converted.push((convert(key, depth), convert(&entry.value, depth)));
            }
            Value::Dict(converted.into())
        }
        ValueKind::Symbol(name) => match name.strip_prefix(SETTINGS) {
            Some(setting) if !setting.contains('.') => Value::Setting(Arc::from(setting)),
            _ => Value::Symbol(public(name)),
        },
        ValueKind::Module(module) => Value::Symbol(Arc::from(module.name())),
        ValueKind::Class(class) => Value::Symbol(class.name()),
        ValueKind::Function(function) => Value::Symbol(function.name().into()),
        ValueKind::Call(call) => convert_call(from, call, depth),
        ValueKind::Unary(op, operand) => {
            let callee = match op {
                UnaryOp::Invert => "operator.invert",
                UnaryOp::Minus => "operator.neg",
                UnaryOp::Plus => "operator.pos",
                UnaryOp::Not => "operator.not_",
            };
            operator(callee, vec![convert(operand, depth)], from.span())
        }
        ValueKind::Binary(op, operands) => {
            let callee = match op {
                BinaryOp::Add => "operator.add",
                BinaryOp::Sub => "operator.sub",
                BinaryOp::Mul => "operator.mul",
                BinaryOp::Div => "operator.truediv",
                BinaryOp::FloorDiv => "operator.floordiv",
                BinaryOp::Mod => "operator.mod",
                BinaryOp::Pow => "operator.pow",
                BinaryOp::BitAnd => "operator.and_",
                BinaryOp::BitOr => "operator.or_",
                BinaryOp::BitXor => "operator.xor",
                BinaryOp::ShiftLeft => "operator.lshift",
                BinaryOp::ShiftRight => "operator.rshift",
                BinaryOp::MatMul => "operator.matmul",
            };
            operator(callee, vec![convert(&operands.0, depth), convert(&operands.1, depth)], from.span())
        }
        ValueKind::Attribute(attribute) => match attribute.value.name() {
            Some(name) => Value::Symbol(public(&format!("{name}.{}", attribute.name))),
            None => unknown(from),
        },
        // A member of an enumeration by its name, as Django's migration writer puts it: `models.Deferrable["DEFERRED"]`.
        ValueKind::Subscript(pair) => match (&pair.0.kind, &pair.1.kind) {
            (ValueKind::Symbol(name), ValueKind::Str(member)) if names_a_class(name) => {
                Value::Symbol(public(&format!("{name}.{}", member.as_str())))
            }
            _ => unknown(from),
        },
        _ => unknown(from),
    }
}

/// By Python's convention: the last part begins with a capital.
fn names_a_class(name: &str) -> bool {
    name.rsplit('.').next().is_some_and(|last| last.starts_with(|first: char| first.is_ascii_uppercase()))
}

fn convert_call(from: &python::Value, call: &python::Call, depth: u32) -> Value {
    // A method of data, `Lower("name").desc()`: the receiver is the first argument.
    let receiver = match &call.callee.kind {
        ValueKind::Attribute(attribute) if matches!(attribute.value.kind, ValueKind::Call(_)) => {
            match convert(&attribute.value, depth) {
                Value::Call(inner) => Some((Arc::from(format!("{}.{}", inner.callee, attribute.name)), inner)),
                _ => return unknown(from),
            }
        }
        _ => None,
    };
    let (callee, args) = match receiver {
        Some((callee, receiver)) => (callee, vec![Value::Call(receiver)]),
        None => match callee_name(&call.callee) {
            Some(callee) => (callee, Vec::new()),
            None => return unknown(from),
        },
    };
    let mut converted = Call { callee, args, kwargs: Vec::new(), span: from.span() };
    for arg in &call.args {
        match &arg.kind {
            ArgKind::Positional => converted.args.push(convert(&arg.value, depth)),
            ArgKind::Keyword(name) => {
                converted.kwargs.push((Arc::from(name.as_str()), convert(&arg.value, depth)));
            }
            ArgKind::Unpack | ArgKind::UnpackMapping => return unknown(from),
        }
    }
    Value::Call(Arc::new(converted))
}

/// The dotted name of what is called; a method of a class of the project is named through it.
pub(crate) fn callee_name(callee: &python::Value) -> Option<Arc<str>> {
    match &callee.kind {
        ValueKind::Symbol(name) => Some(public(name)),
        ValueKind::Attribute(attribute) => {
            let owner = attribute.value.name()?;
            Some(public(&format!("{owner}.{}", attribute.name)))
        }
        _ => callee.name(),
    }
}

fn operator(callee: &str, args: Vec<Value>, span: Span) -> Value {
    Value::Call(Arc::new(Call { callee: Arc::from(callee), args, kwargs: Vec::new(), span }))
}

pub(crate) fn public(name: &str) -> Arc<str> {
    signature::public_name(name).map_or_else(|| Arc::from(name), Arc::from)
}

fn unknown(from: &python::Value) -> Value {
    Value::Unknown(reason(from).into())
}

/// Why a value is not known, in words that read behind "is not known:".
pub(crate) fn reason(from: &python::Value) -> String {
    let unknown = from.first_unknown().unwrap_or(from);
    match &unknown.kind {
        ValueKind::Unknown(why) => why.to_string(),
        ValueKind::Alternatives(_) => format!("{} may be one of several values", excerpt(&unknown.origin)),
        ValueKind::Spread(inner) => format!("the elements of {} are not known", excerpt(&inner.origin)),
        ValueKind::Call(_) | ValueKind::Attribute(_) | ValueKind::Subscript(_) => {
            format!("{} is computed when the migration runs", excerpt(&unknown.origin))
        }
        ValueKind::Template(_) => format!("{} holds parts that are not known", excerpt(&unknown.origin)),
        _ => format!("{} depends on running the program", excerpt(&unknown.origin)),
    }
}

/// The source at a place on one line, shortened, in backticks.
pub(crate) fn excerpt(origin: &python::Origin) -> String {
    const MAX_CHARS: usize = 60;
    let words: Vec<&str> = origin.text().split_whitespace().collect();
    let text = words.join(" ").replace('`', "'");
    if text.chars().count() <= MAX_CHARS {
        return format!("`{text}`");
    }
    let cut: String = text.chars().take(MAX_CHARS).collect();
    format!("`{cut}…`")
}

/// A string of SQL with its places in the file of `module`.
pub(crate) fn sql_text(text: &python::Str, module: &python::Module, whole: Span) -> SqlText {
    let mut map = TextMap { segments: Vec::new(), whole };
    for segment in text.segments() {
        if segment.source.module == *module {
            map.segments.push(TextSegment {
                value: segment.value,
                source: segment.source.span,
                verbatim: segment.linear,
                place: segment.place.filter(|place| place.module == *module).map(|place| place.span),
            });
        }
    }
    SqlText { text: Arc::from(text.as_str()), params: None, map }
}

//! Values in migrations: what an argument of a field or an operation is, without running Python.

use std::sync::Arc;

use zdm_source::Span;

/// A Python value as far as it is known statically. What is not known is [`Value::Unknown`] with the reason.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    None,
    Bool(bool),
    /// An integer in decimal, of any size.
    Int(i128),
    Float(f64),
    Str(Arc<str>),
    Bytes(Arc<[u8]>),
    List(Arc<[Value]>),
    Tuple(Arc<[Value]>),
    Set(Arc<[Value]>),
    Dict(Arc<[(Value, Value)]>),
    /// A dotted name that is not called: `django.db.models.CASCADE`, `uuid.uuid4`, `shop.models.default_slug`.
    Symbol(Arc<str>),
    /// A call that is data: `django.db.models.Q(…)`, `datetime.date(2020, 1, 1)`, `django.db.models.functions.Now()`.
    ///
    /// An operator on data is a call of its function in Python's `operator` module, operands as positional arguments:
    /// `Q(a=1) | Q(b=2)` calls `operator.or_`, `~Q(a=1)` `operator.invert`, `F("n") + 1` `operator.add`, and so on
    /// with `and_`, `xor`, `neg`, `sub`, `mul`, `truediv`, `mod`, `pow`. A method call on data has the method as its
    /// callee and the receiver as the first argument: `F("n").desc()` calls `F.desc`, `Q(…).negate()` `Q.negate`.
    Call(Arc<Call>),
    /// A setting that the settings module does not tell, by name: `AUTH_USER_MODEL`.
    Setting(Arc<str>),
    Unknown(Arc<str>),
}

/// A callee with its arguments in order. The name is dotted and resolved through imports: `django.db.models.Q`.
///
/// Operators are calls of Python's functions for them: `Q(a=1) | Q(b=2)` is `operator.or_`, `~Q(a=1)` is
/// `operator.invert`, `F("n") + 1` is `operator.add`.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub callee: Arc<str>,
    pub args: Vec<Value>,
    pub kwargs: Vec<(Arc<str>, Value)>,
    pub span: Span,
}

impl Call {
    pub fn kwarg(&self, name: &str) -> Option<&Value> {
        self.kwargs.iter().find(|(key, _)| &**key == name).map(|(_, value)| value)
    }

    /// The last part of the callee's name: `Q`.
    pub fn name(&self) -> &str {
        self.callee.rsplit('.').next().unwrap_or(&self.callee)
    }
}

impl Value {
    pub fn str(text: &str) -> Self {
        Self::Str(Arc::from(text))
    }

    pub fn unknown(reason: impl Into<Arc<str>>) -> Self {
        Self::Unknown(reason.into())
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub fn as_int(&self) -> Option<i128> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Bool(value) => Some(i128::from(*value)),
            _ => None,
        }
    }

    /// The items of a list, tuple or set.
    pub fn items(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) | Self::Tuple(items) | Self::Set(items) => Some(items),
            _ => None,
        }
    }

    /// Whether it or anything inside it is not known.
    pub fn has_unknown(&self) -> bool {
        match self {
            Self::Unknown(_) | Self::Setting(_) => true,
            Self::List(items) | Self::Tuple(items) | Self::Set(items) => items.iter().any(Self::has_unknown),
            Self::Dict(entries) => entries.iter().any(|(key, value)| key.has_unknown() || value.has_unknown()),
            Self::Call(call) => {
                call.args.iter().any(Self::has_unknown) || call.kwargs.iter().any(|(_, value)| value.has_unknown())
            }
            _ => false,
        }
    }
}

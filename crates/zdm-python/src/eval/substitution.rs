//! Values with parts replaced, evaluated again.

use std::sync::Arc;

use super::{Evaluator, alternatives};
use crate::format;
use crate::ops;
use crate::text::Str;
use crate::value::{Arg, DictEntry, TemplatePart, Value, ValueKind};

impl Evaluator<'_> {
    pub(super) fn substituted(&self, value: &Value, replace: &dyn Fn(&Value) -> Option<ValueKind>) -> Value {
        // Values have a limit to their depth, so this recursion has one too.
        let origin = &value.origin;
        let all =
            |items: &[Value]| Arc::new(items.iter().map(|item| self.substituted(item, replace)).collect::<Vec<_>>());
        let value = match &value.kind {
            ValueKind::List(items) => Value::new(ValueKind::List(all(items)), origin.clone()),
            ValueKind::Tuple(items) => Value::new(ValueKind::Tuple(all(items)), origin.clone()),
            ValueKind::Set(items) => Value::new(ValueKind::Set(all(items)), origin.clone()),
            ValueKind::Dict(entries) => {
                let entry = |entry: &DictEntry| DictEntry {
                    key: entry.key.as_ref().map(|key| self.substituted(key, replace)),
                    value: self.substituted(&entry.value, replace),
                };
                Value::new(ValueKind::Dict(Arc::new(entries.iter().map(entry).collect())), origin.clone())
            }
            ValueKind::Spread(inner) => {
                let kind = ValueKind::Spread(Arc::new(self.substituted(inner, replace)));
                Value::new(kind, origin.clone())
            }
            ValueKind::Call(call) => {
                let callee = self.substituted(&call.callee, replace);
                let arg = |arg: &Arg| Arg {
                    kind: arg.kind.clone(),
                    value: self.substituted(&arg.value, replace),
                    span: arg.span,
                };
                self.call(callee, call.args.iter().map(arg).collect(), origin)
            }
            ValueKind::Attribute(attribute) => {
                self.attribute(self.substituted(&attribute.value, replace), &attribute.name, origin)
            }
            ValueKind::Subscript(pair) => {
                ops::subscript(self.substituted(&pair.0, replace), self.substituted(&pair.1, replace), origin)
            }
            ValueKind::Unary(op, operand) => ops::unary(*op, self.substituted(operand, replace), origin),
            ValueKind::Binary(op, pair) => {
                ops::binary(*op, self.substituted(&pair.0, replace), self.substituted(&pair.1, replace), origin)
            }
            ValueKind::Compare(op, pair) => {
                ops::compare(*op, &self.substituted(&pair.0, replace), &self.substituted(&pair.1, replace), origin)
            }
            ValueKind::Template(parts) => {
                let part = |part: &TemplatePart| match part {
                    TemplatePart::Text(text) => TemplatePart::Text(text.clone()),
                    TemplatePart::Value(value) => {
                        format::field(self.substituted(value, replace), None, None, &value.origin)
                    }
                };
                format::joined(parts.iter().map(part).collect(), origin.clone())
            }
            ValueKind::Element(inner) => {
                Value::new(ValueKind::Element(Arc::new(self.substituted(inner, replace))), origin.clone())
            }
            ValueKind::Alternatives(found) => {
                let options = found.options.iter().map(|option| self.substituted(option, replace)).collect();
                alternatives(options, &found.condition)
            }
            _ => value.clone(),
        };
        if let ValueKind::Symbol(name) = &value.kind {
            return self.replaced_symbol(name, &value, replace).unwrap_or(value);
        }
        if matches!(value.kind, ValueKind::Call(_) | ValueKind::Parameter(_))
            && let Some(kind) = replace(&value)
        {
            return Value::new(kind, value.origin);
        }
        value
    }

    /// `settings.NAME.lower` is one symbol; if `settings.NAME` is replaced, the rest is an attribute of the new value.
    pub(super) fn replaced_symbol(
        &self,
        name: &str,
        value: &Value,
        replace: &dyn Fn(&Value) -> Option<ValueKind>,
    ) -> Option<Value> {
        let ends = name.match_indices('.').map(|(at, _)| at).chain([name.len()]);
        for end in ends.collect::<Vec<_>>().into_iter().rev() {
            let (prefix, rest) = name.split_at(end);
            let symbol = Value::new(ValueKind::Symbol(prefix.into()), value.origin.clone());
            if let Some(kind) = replace(&symbol) {
                let start = Value::new(kind, value.origin.clone());
                let names = rest.split('.').filter(|name| !name.is_empty());
                return Some(names.fold(start, |value, name| {
                    let origin = value.origin.clone();
                    self.attribute(value, &Str::made(name, origin.clone()), &origin)
                }));
            }
        }
        None
    }
}

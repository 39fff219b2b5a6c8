//! Python's builtins, the methods of its literal types and a few functions of its standard library, on constants.
//!
//! Whatever is not here, or not with these arguments, stays a call.

use std::sync::Arc;

use crate::eval::{Evaluator, MAX_ITEMS, MAX_TEXT};
use crate::format;
use crate::ops;
use crate::syntax::{BinaryOp, Why};
use crate::text::{Origin, Str, StrBuilder};
use crate::value::{self, Arg, ArgKind, AttributeOf, DictEntry, Int, Value, ValueKind};

/// Names that Python binds in every module.
pub(crate) fn is_builtin(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "ArithmeticError",
        "AssertionError",
        "AttributeError",
        "BaseException",
        "DeprecationWarning",
        "Ellipsis",
        "Exception",
        "FileNotFoundError",
        "FutureWarning",
        "ImportError",
        "IndexError",
        "KeyError",
        "LookupError",
        "ModuleNotFoundError",
        "NameError",
        "NotImplemented",
        "NotImplementedError",
        "OSError",
        "OverflowError",
        "RuntimeError",
        "RuntimeWarning",
        "StopIteration",
        "TypeError",
        "UnicodeDecodeError",
        "UnicodeError",
        "UserWarning",
        "ValueError",
        "Warning",
        "ZeroDivisionError",
        "__import__",
        "abs",
        "all",
        "any",
        "ascii",
        "bin",
        "bool",
        "bytearray",
        "bytes",
        "callable",
        "chr",
        "classmethod",
        "compile",
        "complex",
        "delattr",
        "dict",
        "dir",
        "divmod",
        "enumerate",
        "eval",
        "exec",
        "filter",
        "float",
        "format",
        "frozenset",
        "getattr",
        "globals",
        "hasattr",
        "hash",
        "hex",
        "id",
        "input",
        "int",
        "isinstance",
        "issubclass",
        "iter",
        "len",
        "list",
        "locals",
        "map",
        "max",
        "memoryview",
        "min",
        "next",
        "object",
        "oct",
        "open",
        "ord",
        "pow",
        "print",
        "property",
        "range",
        "repr",
        "reversed",
        "round",
        "set",
        "setattr",
        "slice",
        "sorted",
        "staticmethod",
        "str",
        "sum",
        "super",
        "tuple",
        "type",
        "unicode",
        "vars",
        "zip",
    ];
    NAMES.binary_search(&name).is_ok()
}

/// Decorators behind which the name still stands for the class or function.
pub(crate) fn is_transparent_decorator(name: &str) -> bool {
    matches!(
        name,
        "builtins.staticmethod"
            | "builtins.classmethod"
            | "builtins.property"
            | "functools.wraps"
            | "functools.lru_cache"
            | "functools.cache"
            | "functools.total_ordering"
            | "dataclasses.dataclass"
            | "enum.unique"
            | "abc.abstractmethod"
            | "typing.overload"
            | "contextlib.contextmanager"
    )
}

/// Methods that change their receiver.
pub(crate) fn is_mutator(name: &str) -> bool {
    matches!(
        name,
        "append"
            | "extend"
            | "insert"
            | "remove"
            | "pop"
            | "clear"
            | "sort"
            | "reverse"
            | "update"
            | "setdefault"
            | "add"
            | "discard"
            | "popitem"
            | "__setitem__"
    )
}

fn positionals(args: &[Arg]) -> Option<Vec<&Value>> {
    args.iter().map(|arg| (arg.kind == ArgKind::Positional).then_some(&arg.value)).collect()
}

fn made(kind: ValueKind, origin: &Origin) -> Value {
    Value::new(kind, origin.clone())
}

fn list(items: Vec<Value>, origin: &Origin) -> Value {
    made(ValueKind::List(Arc::new(items)), origin)
}

fn integer(value: usize, origin: &Origin) -> Value {
    made(ValueKind::Int(Int::Small(i64::try_from(value).unwrap_or(i64::MAX))), origin)
}

/// The receiver of a method that changes it, after the change.
pub(crate) fn mutate(receiver: &Value, method: &str, args: &[Arg], origin: &Origin) -> Value {
    let changed = match &receiver.kind {
        ValueKind::List(items) => {
            mutated_list(items, method, args, origin).map(|items| ValueKind::List(Arc::new(items)))
        }
        ValueKind::Dict(entries) => {
            mutated_dict(entries, method, args).map(|entries| ValueKind::Dict(Arc::new(entries)))
        }
        ValueKind::Set(items) => match (method, positionals(args).as_deref()) {
            ("add", Some([item])) => {
                let items = items.iter().cloned().chain([(*item).clone()]).collect();
                return ops::set(items, &receiver.origin);
            }
            ("update", Some([more])) => {
                let Some(more) = ops::elements(more) else { return changed_unknown(method, origin) };
                return ops::set(items.iter().cloned().chain(more).collect(), &receiver.origin);
            }
            _ => None,
        },
        _ => None,
    };
    match changed {
        Some(kind) => Value::new(kind, receiver.origin.clone()),
        None => changed_unknown(method, origin),
    }
}

fn changed_unknown(_method: &str, origin: &Origin) -> Value {
    Value::unknown(Why::Dynamic("changed by a method"), origin.clone())
}

fn mutated_list(items: &Arc<Vec<Value>>, method: &str, args: &[Arg], origin: &Origin) -> Option<Vec<Value>> {
    let spread = || items.iter().any(|item| matches!(item.kind, ValueKind::Spread(_)));
    if items.len() >= MAX_ITEMS {
        return None;
    }
    let values = positionals(args);
    let mut result = items.to_vec();
    match (method, values.as_deref()?) {
        ("append", [item]) => result.push((*item).clone()),
        ("extend", [more]) => match ops::parts(more) {
            Some(more) => result.extend(more),
            None => result.push(Value::new(ValueKind::Spread(Arc::new((*more).clone())), origin.clone())),
        },
        ("insert", [position, item]) => {
            let position = position.as_int()?;
            let at = match usize::try_from(position) {
                Ok(at) => at.min(result.len()),
                Err(_) => {
                    let back = usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX);
                    result.len().saturating_sub(back)
                }
            };
            // A position behind elements of unknown number is not a position; the front is.
            if at > 0 && spread() {
                return None;
            }
            result.insert(at, (*item).clone());
        }
        ("remove", [item]) => {
            let mut at = None;
            for (index, found) in result.iter().enumerate() {
                if found.equals(item)? {
                    at = Some(index);
                    break;
                }
            }
            result.remove(at?);
        }
        ("clear", []) => result.clear(),
        ("reverse", []) => result.reverse(),
        ("pop", []) if !spread() => drop(result.pop()?),
        ("pop", [position]) if !spread() => {
            let position = position.as_int()?;
            let length = i64::try_from(result.len()).ok()?;
            let at = usize::try_from(if position < 0 { position + length } else { position }).ok()?;
            if at >= result.len() {
                return None;
            }
            result.remove(at);
        }
        ("sort", []) => result = sorted(result)?,
        _ => return None,
    }
    Some(result)
}

fn mutated_dict(entries: &Arc<Vec<DictEntry>>, method: &str, args: &[Arg]) -> Option<Vec<DictEntry>> {
    let mut result = entries.to_vec();
    match method {
        "update" => {
            for arg in args {
                match &arg.kind {
                    ArgKind::Keyword(name) => {
                        let key = Value::new(ValueKind::Str(name.clone()), arg.value.origin.clone());
                        ops::insert(&mut result, Some(key), arg.value.clone());
                    }
                    ArgKind::Positional => match &arg.value.kind {
                        ValueKind::Dict(more) => {
                            for entry in more.iter() {
                                ops::insert(&mut result, entry.key.clone(), entry.value.clone());
                            }
                        }
                        _ => ops::insert(&mut result, None, arg.value.clone()),
                    },
                    ArgKind::Unpack | ArgKind::UnpackMapping => ops::insert(&mut result, None, arg.value.clone()),
                }
            }
        }
        "clear" if args.is_empty() => result.clear(),
        "setdefault" => {
            let values = positionals(args)?;
            let key = *values.first()?;
            for entry in &result {
                if entry.key.as_ref()?.equals(key)? {
                    return Some(result);
                }
            }
            let value = match values.get(1) {
                Some(value) => (*value).clone(),
                None => Value::new(ValueKind::None, key.origin.clone()),
            };
            result.push(DictEntry { key: Some(key.clone()), value });
        }
        "pop" => {
            let values = positionals(args)?;
            let key = *values.first()?;
            let mut at = None;
            for (index, entry) in result.iter().enumerate() {
                if entry.key.as_ref()?.equals(key)? {
                    at = Some(index);
                }
            }
            match at {
                Some(at) => drop(result.remove(at)),
                None if values.len() > 1 => {}
                None => return None,
            }
        }
        _ => return None,
    }
    Some(result)
}

/// What `pop` and `setdefault` return; the receiver is as it is before the call.
pub(crate) fn taken(receiver: &Value, method: &str, args: &[Arg], origin: &Origin) -> Value {
    let unknown = || Value::unknown(Why::Dynamic("taken out of a collection"), origin.clone());
    let Some(values) = positionals(args) else { return unknown() };
    match (&receiver.kind, method, values.as_slice()) {
        (ValueKind::List(_), "pop", []) => {
            let last = made(ValueKind::Int(Int::Small(-1)), origin);
            ops::subscript(receiver.clone(), last, origin)
        }
        (ValueKind::List(_), "pop", [index]) => ops::subscript(receiver.clone(), (*index).clone(), origin),
        (ValueKind::Dict(_), _, [key]) if method == "pop" => ops::subscript(receiver.clone(), (*key).clone(), origin),
        (ValueKind::Dict(_), _, [_] | [_, _]) => {
            let get = Str::made("get", origin.clone());
            dict_method(receiver, &get, args, origin).unwrap_or_else(unknown)
        }
        _ => unknown(),
    }
}

/// `container[index] = value`
pub(crate) fn set_item(container: &Value, index: Value, value: Value, origin: &Origin) -> Value {
    match &container.kind {
        ValueKind::Dict(entries) => {
            let mut entries = entries.to_vec();
            ops::insert(&mut entries, Some(index), value);
            Value::new(ValueKind::Dict(Arc::new(entries)), container.origin.clone())
        }
        ValueKind::List(items) => {
            let known = !items.iter().any(|item| matches!(item.kind, ValueKind::Spread(_)));
            let position = index.as_int().filter(|_| known).and_then(|position| {
                let length = i64::try_from(items.len()).ok()?;
                usize::try_from(if position < 0 { position + length } else { position }).ok()
            });
            let mut items = items.to_vec();
            match position.and_then(|position| items.get_mut(position)) {
                Some(item) => {
                    *item = value;
                    Value::new(ValueKind::List(Arc::new(items)), container.origin.clone())
                }
                None => Value::unknown(Why::Dynamic("an item at an unknown place is assigned"), origin.clone()),
            }
        }
        _ => container.clone(),
    }
}

/// `del container[index]`
pub(crate) fn delete_item(container: &Value, index: &Value, origin: &Origin) -> Value {
    let key = Arg { kind: ArgKind::Positional, value: index.clone(), span: index.span() };
    let changed = match &container.kind {
        ValueKind::Dict(entries) => mutated_dict(entries, "pop", &[key]).map(|found| ValueKind::Dict(Arc::new(found))),
        ValueKind::List(items) => {
            mutated_list(items, "pop", &[key], origin).map(|found| ValueKind::List(Arc::new(found)))
        }
        _ => None,
    };
    match changed {
        Some(kind) => Value::new(kind, container.origin.clone()),
        None => Value::unknown(Why::Dynamic("an unknown item is deleted"), origin.clone()),
    }
}

fn sorted(items: Vec<Value>) -> Option<Vec<Value>> {
    if items.windows(2).any(|pair| ops::order(&pair[0], &pair[1]).is_none()) {
        return None;
    }
    if let [only] = items.as_slice()
        && matches!(only.kind, ValueKind::Spread(_))
    {
        return None;
    }
    let mut comparable = true;
    let mut items = items;
    items.sort_by(|a, b| {
        ops::order(a, b).unwrap_or_else(|| {
            comparable = false;
            std::cmp::Ordering::Equal
        })
    });
    comparable.then_some(items)
}

/// Base classes of enumerations, in Python and Django.
pub(crate) fn is_enum_base(name: &str) -> bool {
    matches!(
        name,
        "enum.Enum"
            | "enum.IntEnum"
            | "enum.StrEnum"
            | "enum.Flag"
            | "enum.IntFlag"
            | "django.db.models.TextChoices"
            | "django.db.models.IntegerChoices"
            | "django.db.models.Choices"
            | "django.db.models.enums.TextChoices"
            | "django.db.models.enums.IntegerChoices"
            | "django.db.models.enums.Choices"
    )
}

/// The value behind a member: the first of a pair with a label.
fn member_value(value: &Value) -> Value {
    match &value.kind {
        ValueKind::Tuple(items) => items.first().cloned().unwrap_or_else(|| value.clone()),
        _ => value.clone(),
    }
}

fn member_label(name: &Str, value: &Value) -> Value {
    if let ValueKind::Tuple(items) = &value.kind
        && items.len() > 1
        && let Some(label) = items.last()
    {
        return label.clone();
    }
    // Without a label, the name in title case with spaces.
    let mut label = String::new();
    let mut start = true;
    for character in name.chars() {
        let character = if character == '_' { ' ' } else { character };
        if start {
            label.extend(character.to_uppercase());
        } else {
            label.extend(character.to_lowercase());
        }
        start = !character.is_alphabetic();
    }
    made(ValueKind::Str(Str::made(label, value.origin.clone())), &value.origin)
}

/// An attribute of an enumeration: a member's value, or `choices`, `values`, `labels`, `names`.
///
/// A member stands for its value, which is what it is in a migration's field arguments.
pub(crate) fn enum_attribute(members: &[(Str, Value)], name: &Str, origin: &Origin) -> Option<Value> {
    if let Some((_, value)) = members.iter().find(|(found, _)| found == name) {
        return Some(member_value(value));
    }
    let all = |part: &dyn Fn(&Str, &Value) -> Value| {
        list(members.iter().map(|(name, value)| part(name, value)).collect(), origin)
    };
    Some(match name.as_str() {
        "choices" => all(&|name, value| {
            let pair = vec![member_value(value), member_label(name, value)];
            made(ValueKind::Tuple(Arc::new(pair)), &value.origin)
        }),
        "values" => all(&|_, value| member_value(value)),
        "labels" => all(&|name, value| member_label(name, value)),
        "names" => all(&|name, value| made(ValueKind::Str(name.clone()), &value.origin)),
        _ => return None,
    })
}

/// A call of something outside of the project, by its full name.
pub(crate) fn call(evaluator: &Evaluator<'_>, name: &str, args: &[Arg], origin: &Origin) -> Option<Value> {
    let short = name.strip_prefix("builtins.");
    let Some(short) = short else {
        return match name {
            "importlib.import_module" => imported_module(evaluator, args, origin),
            _ => library_call(name, args, origin),
        };
    };
    if short == "__import__" {
        let from = args.iter().any(|arg| matches!(&arg.kind, ArgKind::Keyword(name) if name.as_str() == "fromlist"));
        return imported_module(evaluator, args.get(..1).filter(|_| from || args.len() > 3)?, origin);
    }
    if short == "dict" {
        let kind = ValueKind::Dict(Arc::new(Vec::new()));
        let empty = made(kind, origin);
        if args.is_empty() {
            return Some(empty);
        }
        let pairs = match args.first() {
            Some(Arg { kind: ArgKind::Positional, value, .. }) if !matches!(value.kind, ValueKind::Dict(_)) => {
                let mut entries = Vec::new();
                for pair in ops::elements(value)? {
                    let [key, value] = <[Value; 2]>::try_from(ops::elements(&pair)?).ok()?;
                    ops::insert(&mut entries, Some(key), value);
                }
                Some(entries)
            }
            _ => None,
        };
        let (start, rest) = match pairs {
            Some(entries) => (made(ValueKind::Dict(Arc::new(entries)), origin), args.get(1..)?),
            None => (empty, args),
        };
        return Some(mutate(&start, "update", rest, origin));
    }
    if short == "sorted" && args.len() > 1 {
        return sorted_by(evaluator, args, origin);
    }
    let values = positionals(args)?;
    Some(match (short, values.as_slice()) {
        ("len", [value]) => match &value.kind {
            ValueKind::Str(text) => integer(text.chars().count(), origin),
            ValueKind::Bytes(bytes) => integer(bytes.len(), origin),
            _ => integer(ops::elements(value)?.len(), origin),
        },
        ("str", []) => made(ValueKind::Str(Str::made("", origin.clone())), origin),
        ("str", [value]) if value.is_constant() => made(ValueKind::Str(format::text_of(value, &value.origin)?), origin),
        ("repr", [value]) if value.is_constant() && !matches!(value.kind, ValueKind::Set(_)) => {
            made(ValueKind::Str(Str::made(value.to_string(), value.origin.clone())), origin)
        }
        ("bool", [value]) => made(ValueKind::Bool(value.truth()?), origin),
        ("int", [value]) => match &value.kind {
            ValueKind::Int(value) => made(ValueKind::Int(value.clone()), origin),
            ValueKind::Bool(value) => made(ValueKind::Int(Int::Small(i64::from(*value))), origin),
            ValueKind::Str(text) => {
                let digits = text.trim();
                let (sign, digits) = match digits.strip_prefix('-') {
                    Some(digits) => ("-", digits),
                    None => ("", digits.strip_prefix('+').unwrap_or(digits)),
                };
                if digits.is_empty() || digits.len() > 38 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
                    return None;
                }
                let value: i128 = format!("{sign}{digits}").parse().ok()?;
                made(ValueKind::Int(Int::from_i128(value)), origin)
            }
            #[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
            ValueKind::Float(value) if value.abs() < 9e15 => {
                made(ValueKind::Int(Int::Small(value.trunc() as i64)), origin)
            }
            _ => return None,
        },
        ("float", [value]) => match &value.kind {
            ValueKind::Float(value) => made(ValueKind::Float(*value), origin),
            #[expect(clippy::cast_precision_loss, reason = "checked to be exact")]
            ValueKind::Int(Int::Small(value)) if value.unsigned_abs() <= 1 << 53 => {
                made(ValueKind::Float(*value as f64), origin)
            }
            _ => return None,
        },
        ("list" | "sorted" | "reversed" | "set" | "frozenset" | "tuple", []) => match short {
            "list" => list(Vec::new(), origin),
            "tuple" => made(ValueKind::Tuple(Arc::default()), origin),
            "set" | "frozenset" => made(ValueKind::Set(Arc::default()), origin),
            _ => return None,
        },
        ("list", [value]) => list(ops::parts(value)?, origin),
        ("tuple", [value]) => made(ValueKind::Tuple(Arc::new(ops::parts(value)?)), origin),
        ("set" | "frozenset", [value]) => ops::set(ops::elements(value)?, origin),
        // The order of a set is not Python's to promise.
        ("sorted", [value]) if args.len() == 1 => list(sorted(ops::elements(value)?)?, origin),
        ("reversed", [value]) if !matches!(value.kind, ValueKind::Set(_)) => {
            list(ops::elements(value)?.into_iter().rev().collect(), origin)
        }
        ("range", bounds) => range(bounds, origin)?,
        ("zip", [first, rest @ ..]) => {
            let mut columns = vec![ops::elements(first)?];
            for value in rest {
                columns.push(ops::elements(value)?);
            }
            let length = columns.iter().map(Vec::len).min()?;
            let row = |index: usize| {
                let items = columns.iter().filter_map(|column| column.get(index).cloned()).collect();
                made(ValueKind::Tuple(Arc::new(items)), origin)
            };
            list((0..length).map(row).collect(), origin)
        }
        ("map", [function, first, rest @ ..]) => {
            let mut columns = vec![ops::elements(first)?];
            for value in rest {
                columns.push(ops::elements(value)?);
            }
            let length = columns.iter().map(Vec::len).min()?;
            let each = |index: usize| {
                let row = columns.iter().filter_map(|column| column.get(index).cloned());
                evaluator.call((*function).clone(), row.map(positional).collect(), origin)
            };
            list((0..length).map(each).collect(), origin)
        }
        ("filter", [function, items]) => {
            let mut kept = Vec::new();
            for item in ops::elements(items)? {
                let passes = if function.is_none() {
                    item.truth()
                } else {
                    evaluator.call((*function).clone(), vec![positional(item.clone())], origin).truth()
                };
                if passes? {
                    kept.push(item);
                }
            }
            list(kept, origin)
        }
        ("type", [_, bases, body]) => class_like_its_base(bases, body)?,
        ("isinstance", [value, class]) => made(ValueKind::Bool(is_instance(value, class)?), origin),
        ("enumerate", [value]) => enumerated(value, 0, origin)?,
        ("enumerate", [value, start]) => enumerated(value, start.as_int()?, origin)?,
        ("any", [value]) => made(ValueKind::Bool(any(&ops::elements(value)?, true)?), origin),
        ("all", [value]) => made(ValueKind::Bool(!any(&ops::elements(value)?, false)?), origin),
        ("min" | "max", [value]) => extreme(short, ops::elements(value)?)?,
        ("min" | "max", [_, _, ..]) => extreme(short, values.into_iter().cloned().collect())?,
        ("sum", [value]) => ops::elements(value)?
            .into_iter()
            .fold(integer(0, origin), |total, item| ops::binary(BinaryOp::Add, total, item, origin)),
        ("abs", [value]) => match &value.kind {
            ValueKind::Int(value) => made(ValueKind::Int(Int::from_i128(value.as_i128()?.checked_abs()?)), origin),
            ValueKind::Float(value) => made(ValueKind::Float(value.abs()), origin),
            _ => return None,
        },
        ("chr", [value]) => {
            let character = char::from_u32(u32::try_from(value.as_int()?).ok()?)?;
            made(ValueKind::Str(Str::made(character.to_string(), origin.clone())), origin)
        }
        ("ord", [value]) => {
            let mut characters = value.as_str()?.chars();
            let character = characters.next()?;
            if characters.next().is_some() {
                return None;
            }
            made(ValueKind::Int(Int::Small(i64::from(u32::from(character)))), origin)
        }
        ("hasattr", [value, name]) if value.is_none() && !name.as_str()?.as_str().starts_with("__") => {
            made(ValueKind::Bool(false), origin)
        }
        ("hasattr", [value, name]) => {
            made(ValueKind::Bool(evaluator.has_own_attribute(value, name.as_str()?)?), origin)
        }
        ("getattr", [value, name]) => evaluator.attribute((*value).clone(), name.as_str()?, origin),
        ("getattr", [value, name, default]) => {
            let found = evaluator.attribute((*value).clone(), name.as_str()?, origin);
            match &found.kind {
                ValueKind::Unknown(Why::NoSuchName { .. }) => (*default).clone(),
                // Outside of the project nobody knows whether the attribute is there.
                ValueKind::Symbol(_) | ValueKind::Attribute(_) => return None,
                _ => found,
            }
        }
        _ => return None,
    })
}

fn positional(value: Value) -> Arg {
    let span = value.span();
    Arg { kind: ArgKind::Positional, value, span }
}

/// `sorted(items, key=…, reverse=…)`
fn sorted_by(evaluator: &Evaluator<'_>, args: &[Arg], origin: &Origin) -> Option<Value> {
    let (mut items, mut key, mut reverse) = (None, None, false);
    for arg in args {
        match &arg.kind {
            ArgKind::Positional if items.is_none() => items = Some(&arg.value),
            ArgKind::Keyword(name) if name.as_str() == "key" => key = Some(&arg.value).filter(|key| !key.is_none()),
            ArgKind::Keyword(name) if name.as_str() == "reverse" => reverse = arg.value.truth()?,
            _ => return None,
        }
    }
    let items = items?;
    let mut keyed = Vec::new();
    for item in ops::elements(items)? {
        let by = match key {
            Some(key) => evaluator.call(key.clone(), vec![positional(item.clone())], origin),
            None => item.clone(),
        };
        keyed.push((by, item));
    }
    let mut comparable = true;
    let mut ties = false;
    keyed.sort_by(|(one, _), (other, _)| match ops::order(one, other) {
        Some(order) => {
            ties |= order.is_eq();
            if reverse { order.reverse() } else { order }
        }
        None => {
            comparable = false;
            std::cmp::Ordering::Equal
        }
    });
    let single = keyed.len() < 2 || keyed.iter().all(|(by, _)| by.is_constant());
    // The elements of a set have no order that a tie could keep.
    let ordered = !ties || !matches!(items.kind, ValueKind::Set(_));
    (comparable && single && ordered).then(|| list(keyed.into_iter().map(|(_, item)| item).collect(), origin))
}

/// `type(name, (base,), {})`: a class with nothing of its own is worth as much as its base.
fn class_like_its_base(bases: &Value, body: &Value) -> Option<Value> {
    const OF_EVERY_CLASS: &[&str] = &["__doc__", "__module__", "__qualname__"];
    let [base] = bases.as_items()? else { return None };
    let named = |entry: &DictEntry| {
        entry.key.as_ref().and_then(Value::as_str).is_some_and(|key| OF_EVERY_CLASS.contains(&key.as_str()))
    };
    let bare = body.as_dict()?.iter().all(named);
    (bare && matches!(base.kind, ValueKind::Class(_) | ValueKind::Symbol(_))).then(|| base.clone())
}

/// Whether a value is of a class, or of one of a tuple of classes; None where that is not certain.
fn is_instance(value: &Value, class: &Value) -> Option<bool> {
    const CLASSES: &[&str] = &["bool", "bytes", "dict", "float", "int", "list", "set", "str", "tuple", "type"];
    if let ValueKind::Tuple(classes) = &class.kind {
        let mut certain = true;
        for class in classes.iter() {
            match is_instance(value, class) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => certain = false,
            }
        }
        return certain.then_some(false);
    }
    let ValueKind::Symbol(name) = &class.kind else { return None };
    let name = name.strip_prefix("builtins.")?;
    if let ValueKind::Symbol(value) = &value.kind
        && value::is_class_of_django(value)
        && CLASSES.contains(&name)
    {
        return Some(name == "type");
    }
    let kinds: &[&str] = match &value.kind {
        ValueKind::None => &[],
        ValueKind::Bool(_) => &["bool", "int"],
        ValueKind::Int(_) => &["int"],
        ValueKind::Float(_) => &["float"],
        ValueKind::Str(_) => &["str"],
        ValueKind::Bytes(_) => &["bytes"],
        ValueKind::List(_) => &["list"],
        ValueKind::Tuple(_) => &["tuple"],
        ValueKind::Set(_) => &["set"],
        ValueKind::Dict(_) => &["dict"],
        _ => return None,
    };
    CLASSES.contains(&name).then(|| kinds.contains(&name))
}

fn any(items: &[Value], wanted: bool) -> Option<bool> {
    let mut certain = true;
    for item in items {
        match item.truth() {
            Some(truth) if truth == wanted => return Some(true),
            Some(_) => {}
            None => certain = false,
        }
    }
    certain.then_some(false)
}

fn extreme(which: &str, items: Vec<Value>) -> Option<Value> {
    let mut items = items.into_iter();
    let mut best = items.next()?;
    for item in items {
        let order = ops::order(&item, &best)?;
        if (which == "min" && order.is_lt()) || (which == "max" && order.is_gt()) {
            best = item;
        }
    }
    best.is_constant().then_some(best)
}

fn range(bounds: &[&Value], origin: &Origin) -> Option<Value> {
    let bounds: Vec<i64> = bounds.iter().map(|bound| bound.as_int()).collect::<Option<_>>()?;
    let (start, stop, step) = match bounds[..] {
        [stop] => (0, stop, 1),
        [start, stop] => (start, stop, 1),
        [start, stop, step] => (start, stop, step),
        _ => return None,
    };
    if step == 0 {
        return None;
    }
    let mut items = Vec::new();
    let mut at = start;
    while (step > 0 && at < stop) || (step < 0 && at > stop) {
        if items.len() >= MAX_ITEMS / 10 {
            return None;
        }
        items.push(made(ValueKind::Int(Int::Small(at)), origin));
        at = at.checked_add(step)?;
    }
    Some(list(items, origin))
}

fn enumerated(value: &Value, start: i64, origin: &Origin) -> Option<Value> {
    let pair = |(item, number): (Value, i64)| {
        let number = made(ValueKind::Int(Int::Small(number)), origin);
        made(ValueKind::Tuple(Arc::new(vec![number, item])), origin)
    };
    Some(list(ops::elements(value)?.into_iter().zip(start..).map(pair).collect(), origin))
}

/// `importlib.import_module("shop.migrations.0002_fill")`, or with a package that the name is relative to.
fn imported_module(evaluator: &Evaluator<'_>, args: &[Arg], origin: &Origin) -> Option<Value> {
    let (name, package) = match args {
        [name] => (name, None),
        [name, package] => (name, Some(package.value.as_str()?)),
        _ => return None,
    };
    let name = name.value.as_str()?.as_str();
    let Some(relative) = name.strip_prefix('.') else { return Some(evaluator.resolve(name, origin)) };
    if relative.starts_with('.') {
        return None;
    }
    Some(evaluator.resolve(&format!("{}.{relative}", package?.as_str()), origin))
}

fn library_call(name: &str, args: &[Arg], origin: &Origin) -> Option<Value> {
    let values = positionals(args)?;
    match (name, values.as_slice()) {
        ("itertools.chain", iterables) => {
            let mut items = Vec::new();
            for iterable in iterables {
                items.extend(ops::elements(iterable)?);
            }
            Some(list(items, origin))
        }
        ("itertools.chain.from_iterable", [iterables]) => {
            let mut items = Vec::new();
            for iterable in ops::elements(iterables)? {
                items.extend(ops::elements(&iterable)?);
            }
            Some(list(items, origin))
        }
        // A view that nobody can write to.
        ("types.MappingProxyType", [value]) if matches!(value.kind, ValueKind::Dict(_)) => Some((*value).clone()),
        ("textwrap.dedent", [value]) => Some(made(ValueKind::Str(dedent(value.as_str()?)), origin)),
        _ => None,
    }
}

/// `textwrap.dedent`: the white space that all lines with text share is removed; lines of white space become empty.
fn dedent(text: &Str) -> Str {
    let blank = |character: char| character == ' ' || character == '\t';
    let mut margin: Option<&str> = None;
    for line in text.split('\n') {
        let content = line.trim_start_matches(blank);
        if content.is_empty() {
            continue;
        }
        let indent = &line[..line.len() - content.len()];
        margin = Some(match margin {
            None => indent,
            Some(margin) => {
                let shared = margin.bytes().zip(indent.bytes()).take_while(|(a, b)| a == b).count();
                &margin[..shared]
            }
        });
    }
    let margin = margin.map_or(0, str::len);
    let mut builder = StrBuilder::default();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        let content = line.strip_suffix('\n').unwrap_or(line);
        if content.trim_start_matches(blank).is_empty() {
            builder.push_part(text, start + content.len()..end);
        } else {
            builder.push_part(text, start + margin..end);
        }
        start = end;
    }
    builder.finish()
}

/// A method of a constant.
pub(crate) fn method(receiver: &Value, name: &Str, args: &[Arg], origin: &Origin) -> Option<Value> {
    match &receiver.kind {
        ValueKind::Str(text) => str_method(text, name, args, origin),
        ValueKind::Dict(_) => dict_method(receiver, name, args, origin),
        ValueKind::List(_) | ValueKind::Tuple(_) => sequence_method(receiver, name, args, origin),
        ValueKind::Bytes(bytes) if name.as_str() == "decode" && is_utf8(args) => {
            let text = std::str::from_utf8(bytes).ok()?;
            Some(made(ValueKind::Str(Str::made(text, receiver.origin.clone())), origin))
        }
        ValueKind::Set(_) => match (name.as_str(), positionals(args)?.as_slice()) {
            ("copy", []) => Some(receiver.clone()),
            ("union", [other]) => {
                let items = ops::elements(receiver)?.into_iter().chain(ops::elements(other)?).collect();
                Some(ops::set(items, origin))
            }
            _ => None,
        },
        _ => None,
    }
}

fn dict_method(receiver: &Value, name: &str, args: &[Arg], origin: &Origin) -> Option<Value> {
    let entries = receiver.as_dict()?;
    let values = positionals(args)?;
    let known = entries.iter().all(|entry| entry.key.is_some());
    match (name, values.as_slice()) {
        ("get", [key, default @ ..]) if default.len() <= 1 => {
            let found = ops::subscript(receiver.clone(), (*key).clone(), origin);
            match &found.kind {
                ValueKind::Unknown(Why::Error(_)) if !entries.iter().any(|entry| entry.value.is_identical(&found)) => {
                    Some(default.first().map_or_else(|| made(ValueKind::None, origin), |value| (*value).clone()))
                }
                ValueKind::Subscript(_) => None,
                _ => Some(found),
            }
        }
        ("keys", []) => Some(list(ops::elements(receiver)?, origin)),
        ("values", []) if known => Some(list(entries.iter().map(|entry| entry.value.clone()).collect(), origin)),
        ("items", []) if known => {
            let pair = |entry: &DictEntry| {
                let pair = entry.key.clone().into_iter().chain([entry.value.clone()]).collect();
                made(ValueKind::Tuple(Arc::new(pair)), origin)
            };
            Some(list(entries.iter().map(pair).collect(), origin))
        }
        ("copy", []) => Some(receiver.clone()),
        _ => None,
    }
}

fn sequence_method(receiver: &Value, name: &str, args: &[Arg], origin: &Origin) -> Option<Value> {
    let values = positionals(args)?;
    match (name, values.as_slice()) {
        ("copy", []) => Some(receiver.clone()),
        ("index", [item]) => {
            for (index, found) in ops::elements(receiver)?.iter().enumerate() {
                if found.equals(item)? {
                    return Some(integer(index, origin));
                }
            }
            None
        }
        ("count", [item]) => {
            let mut count = 0;
            for found in ops::elements(receiver)? {
                count += usize::from(found.equals(item)?);
            }
            Some(integer(count, origin))
        }
        _ => None,
    }
}

/// Whether the arguments of `decode` say UTF-8 or nothing.
fn is_utf8(args: &[Arg]) -> bool {
    match args {
        [] => true,
        [name] => name
            .value
            .as_str()
            .is_some_and(|name| matches!(name.to_ascii_lowercase().replace('_', "-").as_str(), "utf-8" | "utf8")),
        _ => false,
    }
}

fn str_method(text: &Str, name: &str, args: &[Arg], origin: &Origin) -> Option<Value> {
    if name == "format" {
        return Some(format::str_format(text, args, origin));
    }
    let string = |text: Str| Some(made(ValueKind::Str(text), origin));
    let boolean = |value: bool| Some(made(ValueKind::Bool(value), origin));
    if name == "encode" {
        let encoding = args.first().map(|arg| arg.value.as_str().map(|name| name.to_lowercase().replace('_', "-")));
        let utf8 = match encoding {
            None => true,
            Some(Some(name)) => matches!(name.as_str(), "utf-8" | "utf8") || (name == "ascii" && text.is_ascii()),
            Some(None) => false,
        };
        return utf8.then(|| made(ValueKind::Bytes(text.as_bytes().into()), origin));
    }
    let values = positionals(args)?;
    let is_space = |character: char| character.is_whitespace() || matches!(character, '\x1c'..='\x1f');
    match (name, values.as_slice()) {
        ("join", [value]) => {
            let mut builder = StrBuilder::default();
            for (index, item) in ops::elements(value)?.iter().enumerate() {
                if index > 0 {
                    builder.push_str(text);
                }
                builder.push_str(item.as_str()?);
                if builder.len() > MAX_TEXT {
                    return Some(Value::unknown(Why::TooLarge, origin.clone()));
                }
            }
            string(builder.finish())
        }
        ("strip" | "lstrip" | "rstrip", [] | [_]) => {
            let set: Option<Vec<char>> = match values.first() {
                None => None,
                Some(value) if value.is_none() => None,
                Some(value) => Some(value.as_str()?.chars().collect()),
            };
            let stripped = |character: char| match &set {
                None => is_space(character),
                Some(set) => set.contains(&character),
            };
            let start = if name == "rstrip" { 0 } else { text.len() - text.trim_start_matches(stripped).len() };
            let rest = &text[start..];
            let end = if name == "lstrip" { text.len() } else { start + rest.trim_end_matches(stripped).len() };
            string(text.slice(start..end))
        }
        ("removeprefix", [prefix]) => {
            let prefix = prefix.as_str()?;
            let start = if text.starts_with(prefix.as_str()) { prefix.len() } else { 0 };
            string(text.slice(start..text.len()))
        }
        ("removesuffix", [suffix]) => {
            let suffix = suffix.as_str()?;
            let end = if text.ends_with(suffix.as_str()) { text.len() - suffix.len() } else { text.len() };
            string(text.slice(0..end))
        }
        ("replace", [old, new]) => {
            let (old, new) = (old.as_str()?, new.as_str()?);
            let mut builder = StrBuilder::default();
            if old.is_empty() {
                return None;
            }
            let mut start = 0;
            for (found, _) in text.match_indices(old.as_str()) {
                builder.push_part(text, start..found);
                builder.push_str(new);
                start = found + old.len();
                if builder.len() > MAX_TEXT {
                    return Some(Value::unknown(Why::TooLarge, origin.clone()));
                }
            }
            builder.push_part(text, start..text.len());
            string(builder.finish())
        }
        ("upper" | "lower" | "title" | "capitalize" | "casefold" | "swapcase", []) => {
            // Case changes that keep every character's place; other alphabets are left alone.
            if !text.is_ascii() {
                return None;
            }
            let mut start = true;
            let changed = text.chars().map(|character| {
                let first = std::mem::replace(&mut start, name == "title" && !character.is_ascii_alphabetic());
                match name {
                    "upper" => character.to_ascii_uppercase(),
                    "title" | "capitalize" if first => character.to_ascii_uppercase(),
                    "swapcase" if character.is_ascii_lowercase() => character.to_ascii_uppercase(),
                    _ => character.to_ascii_lowercase(),
                }
            });
            let changed: String = changed.collect();
            string(text.with_text(changed))
        }
        ("startswith" | "endswith", [value]) => {
            let options = match value.as_str() {
                Some(text) => vec![text.clone()],
                None => value.as_items()?.iter().map(|item| item.as_str().cloned()).collect::<Option<_>>()?,
            };
            boolean(options.iter().any(|option| match name {
                "startswith" => text.starts_with(option.as_str()),
                _ => text.ends_with(option.as_str()),
            }))
        }
        ("splitlines", []) => {
            let mut lines = Vec::new();
            let mut start = 0;
            let mut characters = text.char_indices().peekable();
            while let Some((index, character)) = characters.next() {
                let ends = matches!(
                    character,
                    '\n' | '\r' | '\x0b' | '\x0c' | '\x1c' | '\x1d' | '\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}'
                );
                if !ends {
                    continue;
                }
                lines.push(made(ValueKind::Str(text.slice(start..index)), origin));
                start = index + character.len_utf8();
                if character == '\r' && characters.next_if(|(_, next)| *next == '\n').is_some() {
                    start += 1;
                }
            }
            if start < text.len() {
                lines.push(made(ValueKind::Str(text.slice(start..text.len())), origin));
            }
            Some(list(lines, origin))
        }
        ("split", []) => {
            let mut words = Vec::new();
            let mut start = None;
            for (index, character) in text.char_indices().chain([(text.len(), ' ')]) {
                match (start, is_space(character)) {
                    (None, false) => start = Some(index),
                    (Some(from), true) => {
                        words.push(made(ValueKind::Str(text.slice(from..index)), origin));
                        start = None;
                    }
                    _ => {}
                }
            }
            Some(list(words, origin))
        }
        ("split", [separator]) => {
            let separator = separator.as_str()?;
            if separator.is_empty() {
                return None;
            }
            let mut words = Vec::new();
            let mut start = 0;
            for (found, _) in text.match_indices(separator.as_str()) {
                words.push(made(ValueKind::Str(text.slice(start..found)), origin));
                start = found + separator.len();
            }
            words.push(made(ValueKind::Str(text.slice(start..text.len())), origin));
            Some(list(words, origin))
        }
        ("split" | "rsplit", [separator, limit]) => {
            let separator = separator.as_str()?;
            let limit = usize::try_from(limit.as_int()?).ok()?;
            if separator.is_empty() {
                return None;
            }
            // The places where the text is cut, in order.
            let cuts: Vec<usize> = if name == "split" {
                text.match_indices(separator.as_str()).take(limit).map(|(index, _)| index).collect()
            } else {
                let mut cuts: Vec<usize> =
                    text.rmatch_indices(separator.as_str()).take(limit).map(|(index, _)| index).collect();
                cuts.reverse();
                cuts
            };
            let mut words = Vec::new();
            let mut start = 0;
            for cut in cuts {
                words.push(made(ValueKind::Str(text.slice(start..cut)), origin));
                start = cut + separator.len();
            }
            words.push(made(ValueKind::Str(text.slice(start..text.len())), origin));
            Some(list(words, origin))
        }
        ("rsplit", [separator]) if separator.as_str()?.len() == 1 => {
            let words = text.split(separator.as_str()?.as_str());
            let mut start = 0;
            let mut found = Vec::new();
            for word in words {
                found.push(made(ValueKind::Str(text.slice(start..start + word.len())), origin));
                start += word.len() + 1;
            }
            Some(list(found, origin))
        }
        ("find", [part]) => {
            let found = text.find(part.as_str()?.as_str()).map(|index| text[..index].chars().count());
            let found = found.map_or(-1, |found| i64::try_from(found).unwrap_or(i64::MAX));
            Some(made(ValueKind::Int(Int::Small(found)), origin))
        }
        ("count", [part]) if !part.as_str()?.is_empty() => {
            Some(integer(text.matches(part.as_str()?.as_str()).count(), origin))
        }
        ("isdigit", []) if text.is_ascii() => {
            boolean(!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        }
        ("zfill", [width]) => {
            let width = usize::try_from(width.as_int()?).unwrap_or(0).min(10_000);
            if text.starts_with(['-', '+']) {
                return None;
            }
            let zeros = "0".repeat(width.saturating_sub(text.chars().count()));
            let mut builder = StrBuilder::default();
            builder.push_unit(&zeros, origin.clone());
            builder.push_str(text);
            string(builder.finish())
        }
        _ => None,
    }
}

/// An attribute of a value that is no symbol, module or class, where it is known.
pub(crate) fn value_attribute(value: &Value, name: &Str) -> Option<Value> {
    match (&value.kind, name.as_str()) {
        // A member of an enumeration stands for its value already.
        (ValueKind::Str(_) | ValueKind::Int(_), "value") => Some(value.clone()),
        _ => None,
    }
}

/// `receiver.name`, kept as it is.
pub(crate) fn opaque_attribute(value: Value, name: Str, origin: &Origin) -> Value {
    made(ValueKind::Attribute(Arc::new(AttributeOf { value, name })), origin)
}

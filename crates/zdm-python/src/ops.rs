//! Python's operators on [`Value`]s.
//!
//! An operator on operands of which one is no constant is kept as an operation; one that Python would refuse is
//! unknown with the reason.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::eval::{MAX_ITEMS, MAX_TEXT, alternatives};
use crate::files;
use crate::format;
use crate::syntax::{BinaryOp, CompareOp, UnaryOp, Why};
use crate::text::{Origin, Str, StrBuilder};
use crate::value::{Arg, ArgKind, Call, DictEntry, Int, TemplatePart, Value, ValueKind};

/// Combinations of alternatives that an operator works out.
const MAX_COMBINATIONS: usize = 16;

/// What iterating over the value yields, if that is known entirely.
pub(crate) fn elements(value: &Value) -> Option<Vec<Value>> {
    let items = parts(value)?;
    let known = !items.iter().any(|item| matches!(item.kind, ValueKind::Spread(_)));
    known.then_some(items)
}

/// What iterating over the value yields, with spreads for the unknown parts.
pub(crate) fn parts(value: &Value) -> Option<Vec<Value>> {
    match &value.kind {
        ValueKind::List(items) | ValueKind::Tuple(items) | ValueKind::Set(items) => Some(items.to_vec()),
        ValueKind::Dict(entries) => entries.iter().map(|entry| entry.key.clone()).collect(),
        ValueKind::Str(text) if text.len() <= MAX_ITEMS => Some(characters(text, &value.origin)),
        _ => None,
    }
}

fn characters(text: &Str, origin: &Origin) -> Vec<Value> {
    let part = |(start, character): (usize, char)| {
        Value::new(ValueKind::Str(text.slice(start..start + character.len_utf8())), origin.clone())
    };
    text.char_indices().map(part).collect()
}

fn error(what: &'static str, origin: &Origin) -> Value {
    Value::unknown(Why::Error(what), origin.clone())
}

fn too_large(origin: &Origin) -> Value {
    Value::unknown(Why::TooLarge, origin.clone())
}

/// A set of hashable members, each once.
pub(crate) fn set(items: Vec<Value>, origin: &Origin) -> Value {
    // Only constants can be told apart; comparing each with each is bounded.
    if items.len() > 2000 {
        return too_large(origin);
    }
    let mut members: Vec<Value> = Vec::with_capacity(items.len());
    for item in items {
        if !members.iter().any(|member| member.equals(&item) == Some(true) || member.is_identical(&item)) {
            members.push(item);
        }
    }
    Value::new(ValueKind::Set(Arc::new(members)), origin.clone())
}

/// Insert into a dict: an equal key keeps its place and gets the new value.
pub(crate) fn insert(entries: &mut Vec<DictEntry>, key: Option<Value>, value: Value) {
    if let Some(key) = &key {
        let unpacked = entries.iter().rposition(|entry| entry.key.is_none()).map_or(0, |index| index + 1);
        // Long literals have distinct string keys; looking each one up would be quadratic.
        let recent = entries.len().saturating_sub(512).max(unpacked);
        let same = |entry: &DictEntry| entry.key.as_ref().is_some_and(|found| found.equals(key) == Some(true));
        if let Some(entry) = entries[recent..].iter_mut().find(|entry| same(entry)) {
            entry.value = value;
            return;
        }
    }
    entries.push(DictEntry { key, value });
}

fn as_int(value: &Value) -> Option<Int> {
    match &value.kind {
        ValueKind::Int(value) => Some(value.clone()),
        ValueKind::Bool(value) => Some(Int::Small(i64::from(*value))),
        _ => None,
    }
}

/// Exact for integers below 2**53.
fn as_float(value: &Value) -> Option<f64> {
    match &value.kind {
        ValueKind::Float(value) => Some(*value),
        #[expect(clippy::cast_precision_loss, reason = "checked to be exact")]
        _ => match as_int(value)? {
            Int::Small(value) if value.unsigned_abs() <= 1 << 53 => Some(value as f64),
            _ => None,
        },
    }
}

pub(crate) fn unary(op: UnaryOp, operand: Value, origin: &Origin) -> Value {
    let kind = match (op, &operand.kind) {
        (_, ValueKind::Unknown(_)) => return operand,
        (UnaryOp::Not, _) => match operand.truth() {
            Some(truth) => ValueKind::Bool(!truth),
            None => ValueKind::Unary(op, Arc::new(operand)),
        },
        (UnaryOp::Plus, ValueKind::Float(value)) => ValueKind::Float(*value),
        (UnaryOp::Minus, ValueKind::Float(value)) => ValueKind::Float(-value),
        (_, ValueKind::Int(_) | ValueKind::Bool(_)) => {
            let Some(value) = as_int(&operand) else { return operand };
            match (op, value.as_i128()) {
                (UnaryOp::Plus, _) => ValueKind::Int(value),
                (UnaryOp::Minus, Some(value)) => value
                    .checked_neg()
                    .map_or_else(|| ValueKind::Unknown(Why::TooLarge), |value| ValueKind::Int(Int::from_i128(value))),
                (UnaryOp::Minus, None) => {
                    let digits = value.to_string();
                    let digits = digits.strip_prefix('-').map_or_else(|| format!("-{digits}"), str::to_owned);
                    ValueKind::Int(Int::Big(digits.into()))
                }
                (_, Some(value)) => ValueKind::Int(Int::from_i128(!value)),
                (_, None) => ValueKind::Unknown(Why::TooLarge),
            }
        }
        _ if operand.is_constant() => return error("a bad operand type for a unary operator", origin),
        _ => ValueKind::Unary(op, Arc::new(operand)),
    };
    Value::new(kind, origin.clone())
}

pub(crate) fn binary(op: BinaryOp, left: Value, right: Value, origin: &Origin) -> Value {
    use ValueKind as K;
    if let Some(value) = distribute(&left, &right, &mut |left, right| binary(op, left, right, origin)) {
        return value;
    }
    if op == BinaryOp::Div
        && let Some(path) = files::divided(&left, &right, origin)
    {
        return path;
    }
    let kind = match (op, &left.kind, &right.kind) {
        (BinaryOp::Add, K::Str(a), K::Str(b)) => {
            if a.len() + b.len() > MAX_TEXT {
                return too_large(origin);
            }
            let mut builder = StrBuilder::default();
            builder.push_str(a);
            builder.push_str(b);
            K::Str(builder.finish())
        }
        (BinaryOp::Add, K::List(a), K::List(b)) => match joined(a, b) {
            Some(items) => K::List(items),
            None => return too_large(origin),
        },
        (BinaryOp::Add, K::Tuple(a), K::Tuple(b)) => match joined(a, b) {
            Some(items) => K::Tuple(items),
            None => return too_large(origin),
        },
        (BinaryOp::Add, K::List(_), _) | (BinaryOp::Add, _, K::List(_))
            if !left.is_constant_kind() || !right.is_constant_kind() =>
        {
            // One side is a list; so is the other, whatever its elements.
            let side = |value: Value| match value.kind {
                K::List(items) => items,
                _ => {
                    let origin = value.origin.clone();
                    Arc::new(vec![Value::new(K::Spread(Arc::new(value)), origin)])
                }
            };
            match joined(&side(left), &side(right)) {
                Some(items) => K::List(items),
                None => return too_large(origin),
            }
        }
        (BinaryOp::Add, K::Str(_) | K::Template(_), _) | (BinaryOp::Add, _, K::Str(_) | K::Template(_))
            if !left.is_constant_kind() || !right.is_constant_kind() =>
        {
            let mut parts = Vec::new();
            for side in [left, right] {
                match side.kind {
                    K::Str(text) => parts.push(TemplatePart::Text(text)),
                    K::Template(inner) => parts.extend(inner.iter().cloned()),
                    _ => parts.push(TemplatePart::Value(side)),
                }
            }
            return format::joined(parts, origin.clone());
        }
        (BinaryOp::Mod, K::Str(text), _) => return format::percent(text, &right, origin),
        (_, K::Unknown(_), _) => return left,
        (_, _, K::Unknown(_)) => return right,
        (BinaryOp::Add, K::Bytes(a), K::Bytes(b)) => K::Bytes([&**a, &**b].concat().into()),
        (BinaryOp::Mul, K::Str(_) | K::List(_) | K::Tuple(_), _) if as_int(&right).is_some() => {
            return repeated(&left, &right, origin);
        }
        (BinaryOp::Mul, _, K::Str(_) | K::List(_) | K::Tuple(_)) if as_int(&left).is_some() => {
            return repeated(&right, &left, origin);
        }
        (BinaryOp::BitOr, K::Dict(a), K::Dict(b)) => {
            let mut entries = a.to_vec();
            for entry in b.iter() {
                insert(&mut entries, entry.key.clone(), entry.value.clone());
            }
            K::Dict(Arc::new(entries))
        }
        (BinaryOp::Mod | BinaryOp::Mul, K::Bytes(_), _) | (BinaryOp::Mul, _, K::Bytes(_)) => {
            return Value::unknown(Why::Dynamic("bytes put together"), origin.clone());
        }
        (_, K::Set(a), K::Set(b)) if left.is_constant() && right.is_constant() => {
            let holds = |items: &[Value], item: &Value| items.iter().any(|found| found.equals(item) == Some(true));
            let items: Vec<Value> = match op {
                BinaryOp::BitOr => a.iter().chain(b.iter()).cloned().collect(),
                BinaryOp::BitAnd => a.iter().filter(|item| holds(b, item)).cloned().collect(),
                BinaryOp::Sub => a.iter().filter(|item| !holds(b, item)).cloned().collect(),
                BinaryOp::BitXor => {
                    let only_left = a.iter().filter(|item| !holds(b, item));
                    only_left.chain(b.iter().filter(|item| !holds(a, item))).cloned().collect()
                }
                _ => return error("an operator that sets do not have", origin),
            };
            return set(items, origin);
        }
        _ if is_number(&left) && is_number(&right) => number(op, &left, &right),
        _ if left.is_constant() && right.is_constant() => {
            return error("unsupported operand types for an operator", origin);
        }
        _ => K::Binary(op, Arc::new((left, right))),
    };
    Value::new(kind, origin.clone())
}

fn is_number(value: &Value) -> bool {
    matches!(value.kind, ValueKind::Int(_) | ValueKind::Bool(_) | ValueKind::Float(_))
}

/// Work an operation out for each combination of alternatives.
fn distribute(left: &Value, right: &Value, apply: &mut dyn FnMut(Value, Value) -> Value) -> Option<Value> {
    let condition = match (&left.kind, &right.kind) {
        (ValueKind::Alternatives(found), _) | (_, ValueKind::Alternatives(found)) => &found.condition,
        _ => return None,
    };
    let combinations = left.options().len() * right.options().len();
    if combinations > MAX_COMBINATIONS {
        return None;
    }
    let mut options = Vec::with_capacity(combinations);
    for left in left.options() {
        for right in right.options() {
            options.push(apply(left.clone(), right.clone()));
        }
    }
    Some(alternatives(options, condition))
}

fn joined(left: &[Value], right: &[Value]) -> Option<Arc<Vec<Value>>> {
    (left.len() + right.len() <= MAX_ITEMS).then(|| Arc::new(left.iter().chain(right).cloned().collect()))
}

fn repeated(value: &Value, times: &Value, origin: &Origin) -> Value {
    let Some(Int::Small(times)) = as_int(times) else { return too_large(origin) };
    let times = usize::try_from(times).unwrap_or(0);
    let items = |items: &[Value]| {
        let total = items.len().checked_mul(times).filter(|total| *total <= MAX_ITEMS)?;
        Some(Arc::new(items.iter().cycle().take(total).cloned().collect::<Vec<_>>()))
    };
    let kind = match &value.kind {
        ValueKind::Str(text) => {
            if text.len().checked_mul(times).is_none_or(|total| total > MAX_TEXT / 16) {
                return too_large(origin);
            }
            let mut builder = StrBuilder::default();
            if !text.is_empty() {
                for _ in 0..times {
                    builder.push_str(text);
                }
            }
            Some(ValueKind::Str(builder.finish()))
        }
        ValueKind::List(list) => items(list).map(ValueKind::List),
        ValueKind::Tuple(list) => items(list).map(ValueKind::Tuple),
        _ => None,
    };
    kind.map_or_else(|| too_large(origin), |kind| Value::new(kind, origin.clone()))
}

/// Arithmetic on two numbers.
fn number(op: BinaryOp, left: &Value, right: &Value) -> ValueKind {
    if let (ValueKind::Bool(a), ValueKind::Bool(b)) = (&left.kind, &right.kind) {
        match op {
            BinaryOp::BitAnd => return ValueKind::Bool(a & b),
            BinaryOp::BitOr => return ValueKind::Bool(a | b),
            BinaryOp::BitXor => return ValueKind::Bool(a ^ b),
            _ => {}
        }
    }
    let result = match (as_int(left), as_int(right)) {
        (Some(a), Some(b)) if op != BinaryOp::Div => match (a.as_i128(), b.as_i128()) {
            (Some(a), Some(b)) => integer(op, a, b),
            _ => Err(Why::TooLarge),
        },
        _ => match (as_float(left), as_float(right)) {
            (Some(a), Some(b)) => float(op, a, b).map(ValueKind::Float),
            _ => Err(Why::TooLarge),
        },
    };
    result.unwrap_or_else(ValueKind::Unknown)
}

fn integer(op: BinaryOp, a: i128, b: i128) -> Result<ValueKind, Why> {
    let result = match op {
        BinaryOp::Add => a.checked_add(b),
        BinaryOp::Sub => a.checked_sub(b),
        BinaryOp::Mul => a.checked_mul(b),
        BinaryOp::FloorDiv | BinaryOp::Mod if b == 0 => return Err(Why::Error("division by zero")),
        BinaryOp::FloorDiv => a.checked_div(b).map(|quotient| {
            let inexact = a.checked_rem(b).is_some_and(|rest| rest != 0);
            quotient - i128::from(inexact && (a < 0) != (b < 0))
        }),
        BinaryOp::Mod => a.checked_rem(b).map(|rest| if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }),
        BinaryOp::Pow if b < 0 => {
            let inexact = Why::TooLarge;
            #[expect(clippy::cast_precision_loss, reason = "checked to be exact")]
            let base = (a.unsigned_abs() <= 1 << 53).then_some(a as f64).ok_or(inexact)?;
            if a == 0 {
                return Err(Why::Error("division by zero"));
            }
            let exponent = i32::try_from(b).map_err(|_| Why::TooLarge)?;
            return Ok(ValueKind::Float(base.powf(f64::from(exponent))));
        }
        BinaryOp::Pow => match u32::try_from(b) {
            Ok(exponent) => a.checked_pow(exponent),
            Err(_) => None,
        },
        BinaryOp::ShiftLeft | BinaryOp::ShiftRight if b < 0 => return Err(Why::Error("negative shift count")),
        BinaryOp::ShiftLeft => match u32::try_from(b) {
            Ok(shift) if shift < 126 => a.checked_mul(1 << shift),
            _ if a == 0 => Some(0),
            _ => None,
        },
        BinaryOp::ShiftRight => Some(a >> b.min(127)),
        BinaryOp::BitAnd => Some(a & b),
        BinaryOp::BitOr => Some(a | b),
        BinaryOp::BitXor => Some(a ^ b),
        BinaryOp::MatMul | BinaryOp::Div => return Err(Why::Error("unsupported operand types for an operator")),
    };
    result.map(|value| ValueKind::Int(Int::from_i128(value))).ok_or(Why::TooLarge)
}

fn float(op: BinaryOp, a: f64, b: f64) -> Result<f64, Why> {
    let zero = b == 0.0;
    let result = match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div | BinaryOp::FloorDiv | BinaryOp::Mod if zero => return Err(Why::Error("division by zero")),
        BinaryOp::Div => a / b,
        BinaryOp::Mod | BinaryOp::FloorDiv => {
            // CPython's float_divmod: the remainder takes the sign of the divisor.
            let mut rest = a % b;
            let mut quotient = (a - rest) / b;
            if rest == 0.0 {
                rest = 0.0_f64.copysign(b);
            } else if (b < 0.0) != (rest < 0.0) {
                rest += b;
                quotient -= 1.0;
            }
            if op == BinaryOp::Mod {
                return Ok(rest);
            }
            if quotient == 0.0 {
                return Ok(0.0_f64.copysign(a / b));
            }
            let floor = quotient.floor();
            if quotient - floor > 0.5 { floor + 1.0 } else { floor }
        }
        BinaryOp::Pow if a == 0.0 && b < 0.0 => return Err(Why::Error("division by zero")),
        BinaryOp::Pow if a < 0.0 && b.fract() != 0.0 => return Err(Why::Dynamic("a complex number")),
        BinaryOp::Pow => a.powf(b),
        _ => return Err(Why::Error("unsupported operand types for an operator")),
    };
    if result.is_infinite() && a.is_finite() && b.is_finite() && op == BinaryOp::Pow {
        return Err(Why::Error("numerical result out of range"));
    }
    Ok(result)
}

pub(crate) fn compare(op: CompareOp, left: &Value, right: &Value, origin: &Origin) -> Value {
    let apply = &mut |left: Value, right: Value| compare(op, &left, &right, origin);
    if let Some(value) = distribute(left, right, apply) {
        return value;
    }
    if let Some(unknown) = [left, right].into_iter().find(|value| matches!(value.kind, ValueKind::Unknown(_))) {
        return unknown.clone();
    }
    let result = match op {
        CompareOp::Eq => left.equals(right),
        CompareOp::NotEq => left.equals(right).map(|equal| !equal),
        CompareOp::Is => identity(left, right),
        CompareOp::IsNot => identity(left, right).map(|same| !same),
        CompareOp::In => contains(right, left),
        CompareOp::NotIn => contains(right, left).map(|found| !found),
        CompareOp::Less => order(left, right).map(Ordering::is_lt),
        CompareOp::LessEq => order(left, right).map(Ordering::is_le),
        CompareOp::Greater => order(left, right).map(Ordering::is_gt),
        CompareOp::GreaterEq => order(left, right).map(Ordering::is_ge),
    };
    let kind = match result {
        Some(result) => ValueKind::Bool(result),
        None => ValueKind::Compare(op, Arc::new((left.clone(), right.clone()))),
    };
    Value::new(kind, origin.clone())
}

/// `is` is told only where one side is a singleton or a class.
fn identity(left: &Value, right: &Value) -> Option<bool> {
    use ValueKind as K;
    let singleton = |value: &Value| matches!(value.kind, K::None | K::Bool(_) | K::Ellipsis);
    let object = |value: &Value| {
        value.is_constant_kind() || matches!(value.kind, K::Class(_) | K::Function(_) | K::Module(_) | K::Template(_))
    };
    match (&left.kind, &right.kind) {
        (K::None, K::None) | (K::Ellipsis, K::Ellipsis) => Some(true),
        (K::Bool(a), K::Bool(b)) => Some(a == b),
        (K::Class(a), K::Class(b)) => Some(a == b),
        _ if (singleton(left) && object(right)) || (singleton(right) && object(left)) => Some(false),
        _ => None,
    }
}

fn contains(container: &Value, item: &Value) -> Option<bool> {
    if let (ValueKind::Str(text), ValueKind::Str(part)) = (&container.kind, &item.kind) {
        return Some(text.contains(part.as_str()));
    }
    let items: Vec<&Value> = match &container.kind {
        ValueKind::List(items) | ValueKind::Tuple(items) | ValueKind::Set(items) => items.iter().collect(),
        ValueKind::Dict(entries) => entries.iter().map(|entry| entry.key.as_ref()).collect::<Option<_>>()?,
        _ => return None,
    };
    let mut certain = true;
    for found in items {
        match found.equals(item) {
            Some(true) => return Some(true),
            Some(false) => {}
            None if found.is_identical(item) => return Some(true),
            None => certain = false,
        }
    }
    certain.then_some(false)
}

/// Python's order of two constants; None where there is none.
pub(crate) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    use ValueKind as K;
    match (&left.kind, &right.kind) {
        (K::Str(a), K::Str(b)) => Some(a.as_str().cmp(b.as_str())),
        (K::Bytes(a), K::Bytes(b)) => Some(a.cmp(b)),
        (K::Path(a), K::Path(b)) if a.root == b.root => Some(a.path.split('/').cmp(b.path.split('/'))),
        (K::List(a), K::List(b)) | (K::Tuple(a), K::Tuple(b)) => {
            for (a, b) in a.iter().zip(b.iter()) {
                if a.equals(b)? {
                    continue;
                }
                return order(a, b);
            }
            if a.iter().chain(b.iter()).any(|item| matches!(item.kind, K::Spread(_))) {
                return None;
            }
            Some(a.len().cmp(&b.len()))
        }
        _ => match (as_int(left), as_int(right)) {
            (Some(a), Some(b)) => Some(a.as_i128()?.cmp(&b.as_i128()?)),
            _ => as_float(left)?.partial_cmp(&as_float(right)?),
        },
    }
}

pub(crate) fn subscript(value: Value, index: Value, origin: &Origin) -> Value {
    use ValueKind as K;
    if let Some(bounds) = slice_bounds(&index) {
        return slice(&value, &bounds, origin);
    }
    if let Some(result) = distribute(&value, &index, &mut |value, index| subscript(value, index, origin)) {
        return result;
    }
    let position = as_int(&index).and_then(|index| index.as_i128());
    match (&value.kind, position) {
        (K::Unknown(_), _) => return value,
        (_, _) if matches!(index.kind, K::Unknown(_)) => return index,
        (K::List(items) | K::Tuple(items), Some(position)) => {
            let spread = items.iter().position(|item| matches!(item.kind, K::Spread(_)));
            let last_spread = items.iter().rposition(|item| matches!(item.kind, K::Spread(_)));
            let found = match usize::try_from(position) {
                Ok(position) if spread.is_none_or(|spread| position < spread) => items.get(position),
                Ok(_) => None,
                Err(_) => {
                    let back = usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX);
                    let found = items.len().checked_sub(back);
                    found
                        .filter(|found| last_spread.is_none_or(|last| *found > last))
                        .and_then(|found| items.get(found))
                }
            };
            match found {
                Some(found) => return found.clone(),
                None if spread.is_none() => return error("index out of range", origin),
                None => {}
            }
        }
        (K::Str(text), Some(position)) => {
            let length = i128::try_from(text.chars().count()).unwrap_or(i128::MAX);
            let position = if position < 0 { position + length } else { position };
            let found = usize::try_from(position).ok().and_then(|position| text.char_indices().nth(position));
            return match found {
                Some((start, character)) => {
                    Value::new(K::Str(text.slice(start..start + character.len_utf8())), origin.clone())
                }
                None => error("index out of range", origin),
            };
        }
        (K::Bytes(bytes), Some(position)) => {
            let length = i128::try_from(bytes.len()).unwrap_or(i128::MAX);
            let position = if position < 0 { position + length } else { position };
            let found = usize::try_from(position).ok().and_then(|position| bytes.get(position));
            return match found {
                Some(byte) => Value::new(K::Int(Int::Small(i64::from(*byte))), origin.clone()),
                None => error("index out of range", origin),
            };
        }
        (K::Dict(entries), _) => {
            let mut certain = true;
            for entry in entries.iter().rev() {
                match entry.key.as_ref().map(|key| key.equals(&index)) {
                    Some(Some(true)) => return entry.value.clone(),
                    Some(Some(false)) => {}
                    Some(None) if entry.key.as_ref().is_some_and(|key| key.is_identical(&index)) => {
                        return entry.value.clone();
                    }
                    Some(None) => certain = false,
                    None => {
                        certain = false;
                        break;
                    }
                }
            }
            if certain {
                return error("a key that the dict does not have", origin);
            }
        }
        (K::List(_) | K::Tuple(_) | K::Str(_) | K::Bytes(_), None) if index.is_constant() => {
            return error("an index that is not an integer", origin);
        }
        (K::None | K::Bool(_) | K::Int(_) | K::Float(_) | K::Set(_), _) => {
            return error("a subscript on a value that has no items", origin);
        }
        _ => {}
    }
    Value::new(K::Subscript(Arc::new((value, index))), origin.clone())
}

/// The bounds of a `slice(lower, upper, step)` that was kept as a call.
fn slice_bounds(index: &Value) -> Option<[Option<Value>; 3]> {
    let call = index.as_call().filter(|call| call.callee.is_symbol("builtins.slice"))?;
    let [lower, upper, step] = call.args.as_slice() else { return None };
    Some([lower, upper, step].map(|arg| Some(arg.value.clone())))
}

/// `value[lower:upper:step]`
pub(crate) fn slice(value: &Value, bounds: &[Option<Value>; 3], origin: &Origin) -> Value {
    // Kept as a subscript with `slice(lower, upper, step)`, as Python itself sees it.
    let unknown = || {
        let callee = Value::new(ValueKind::Symbol("builtins.slice".into()), origin.clone());
        let arg = |bound: &Option<Value>| {
            let value = bound.clone().unwrap_or_else(|| Value::new(ValueKind::None, origin.clone()));
            Arg { kind: ArgKind::Positional, span: value.span(), value }
        };
        let args = bounds.iter().map(arg).collect();
        let index = Value::new(ValueKind::Call(Arc::new(Call { callee, args })), origin.clone());
        Value::new(ValueKind::Subscript(Arc::new((value.clone(), index))), origin.clone())
    };
    let mut numbers = [None; 3];
    for (number, bound) in numbers.iter_mut().zip(bounds) {
        *number = match bound {
            Some(bound) if bound.is_none() => None,
            Some(bound) => match as_int(bound).and_then(|bound| bound.as_i128()) {
                Some(bound) => Some(bound.clamp(i128::from(i64::MIN), i128::from(i64::MAX))),
                None => return unknown(),
            },
            None => None,
        };
    }
    let [lower, upper, step] = numbers;
    let step = step.unwrap_or(1);
    if step == 0 {
        return error("slice step cannot be zero", origin);
    }
    let pick = |length: usize| -> Vec<usize> {
        // `slice.indices` of the language reference.
        let length = i128::try_from(length).unwrap_or(i128::MAX);
        let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
        let place = |bound: Option<i128>, default: i128| match bound {
            None => default,
            Some(bound) if bound < 0 => (bound + length).max(low),
            Some(bound) => bound.min(high),
        };
        let mut at = place(lower, if step > 0 { low } else { high });
        let end = place(upper, if step > 0 { high } else { low });
        let mut indices = Vec::new();
        while (step > 0 && at < end) || (step < 0 && at > end) {
            indices.extend(usize::try_from(at));
            at += step;
        }
        indices
    };
    let kind = match &value.kind {
        ValueKind::List(_) | ValueKind::Tuple(_) => {
            let Some(items) = elements(value) else { return unknown() };
            let picked = pick(items.len()).into_iter().filter_map(|index| items.get(index).cloned()).collect();
            match value.kind {
                ValueKind::List(_) => ValueKind::List(Arc::new(picked)),
                _ => ValueKind::Tuple(Arc::new(picked)),
            }
        }
        ValueKind::Str(text) => {
            let starts: Vec<usize> = text.char_indices().map(|(start, _)| start).chain([text.len()]).collect();
            let mut builder = StrBuilder::default();
            for index in pick(starts.len() - 1) {
                if let (Some(start), Some(end)) = (starts.get(index), starts.get(index + 1)) {
                    builder.push_part(text, *start..*end);
                }
            }
            ValueKind::Str(builder.finish())
        }
        ValueKind::Bytes(bytes) => {
            let picked: Vec<u8> = pick(bytes.len()).into_iter().filter_map(|index| bytes.get(index).copied()).collect();
            ValueKind::Bytes(picked.into())
        }
        ValueKind::Unknown(why) => ValueKind::Unknown(why.clone()),
        ValueKind::Alternatives(found) => {
            let options = found.options.iter().map(|option| slice(option, bounds, origin)).collect();
            return alternatives(options, &found.condition);
        }
        _ => return unknown(),
    };
    Value::new(kind, origin.clone())
}

impl Value {
    /// A value of one of Python's literal types, whatever is inside of it.
    pub(crate) fn is_constant_kind(&self) -> bool {
        use ValueKind as K;
        matches!(
            self.kind,
            K::None
                | K::Bool(_)
                | K::Ellipsis
                | K::Int(_)
                | K::Float(_)
                | K::Str(_)
                | K::Bytes(_)
                | K::List(_)
                | K::Tuple(_)
                | K::Set(_)
                | K::Dict(_)
        )
    }
}

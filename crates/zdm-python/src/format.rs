//! Text from values: f-strings, `%` and `str.format`.

use std::sync::Arc;

use crate::syntax::Why;
use crate::text::{Origin, Str, StrBuilder};
use crate::value::{Arg, ArgKind, Call, Int, TemplatePart, Value, ValueKind, float_repr, str_repr};

/// Adjacent parts as one value: a string if all of them are known, else a template.
pub(crate) fn joined(parts: Vec<TemplatePart>, origin: Origin) -> Value {
    let mut merged: Vec<TemplatePart> = Vec::new();
    let mut builder = StrBuilder::default();
    for part in parts {
        match part {
            TemplatePart::Text(text) => builder.push_str(&text),
            TemplatePart::Value(value) => {
                if builder.len() > 0 {
                    merged.push(TemplatePart::Text(std::mem::take(&mut builder).finish()));
                }
                merged.push(TemplatePart::Value(value));
            }
        }
    }
    if merged.is_empty() {
        return Value::new(ValueKind::Str(builder.finish()), origin);
    }
    if builder.len() > 0 {
        merged.push(TemplatePart::Text(builder.finish()));
    }
    Value::new(ValueKind::Template(Arc::new(merged)), origin)
}

/// Python's `str(value)` of a constant; strings keep their places, the rest stands for `origin` as a whole.
pub(crate) fn text_of(value: &Value, origin: &Origin) -> Option<Str> {
    match &value.kind {
        ValueKind::Str(text) => Some(text.clone()),
        ValueKind::Set(_) => None,
        _ if value.is_constant() => Some(Str::made(value.to_string(), origin.clone())),
        _ => None,
    }
}

fn repr_of(value: &Value, origin: &Origin) -> Option<Str> {
    match &value.kind {
        ValueKind::Str(text) => Some(Str::made(str_repr(text), origin.clone())),
        _ => text_of(value, origin),
    }
}

/// One replacement field: the value converted and formatted.
pub(crate) fn field(value: Value, conversion: Option<char>, spec: Option<&Value>, origin: &Origin) -> TemplatePart {
    let converted = match conversion {
        None => Some(value.clone()),
        Some('s') => text_of(&value, origin).map(|text| Value::new(ValueKind::Str(text), origin.clone())),
        Some('r') => repr_of(&value, origin).map(|text| Value::new(ValueKind::Str(text), origin.clone())),
        Some(_) => repr_of(&value, origin)
            .filter(|text| text.is_ascii())
            .map(|text| Value::new(ValueKind::Str(text), origin.clone())),
    };
    let formatted = converted.and_then(|converted| match spec {
        None => text_of(&converted, origin),
        Some(spec) => formatted(&converted, spec.as_str()?, origin),
    });
    match (formatted, conversion, spec) {
        (Some(text), _, _) => TemplatePart::Text(text),
        (None, None | Some('s'), None) => TemplatePart::Value(value),
        (None, Some('r'), None) => {
            let callee = Value::new(ValueKind::Symbol("builtins.repr".into()), origin.clone());
            let span = value.span();
            let args = vec![Arg { kind: ArgKind::Positional, value, span }];
            TemplatePart::Value(Value::new(ValueKind::Call(Arc::new(Call { callee, args })), origin.clone()))
        }
        _ => TemplatePart::Value(Value::unknown(Why::Dynamic("formatted text"), origin.clone())),
    }
}

/// The format mini-language for what occurs: strings, integers and floats.
#[derive(Default)]
struct Spec {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    alternate: bool,
    zero: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

const MAX_WIDTH: usize = 10_000;

fn parse_spec(text: &str) -> Option<Spec> {
    let mut spec = Spec::default();
    let mut rest: Vec<char> = text.chars().rev().collect();
    let is_align = |character: &char| matches!(character, '<' | '>' | '=' | '^');
    let count = rest.len();
    if count >= 2 && is_align(&rest[count - 2]) {
        spec.fill = rest.pop();
        spec.align = rest.pop();
    } else if rest.last().is_some_and(is_align) {
        spec.align = rest.pop();
    }
    if rest.last().is_some_and(|character| matches!(character, '+' | '-' | ' ')) {
        spec.sign = rest.pop();
    }
    if rest.last() == Some(&'#') {
        spec.alternate = true;
        rest.pop();
    }
    if rest.last() == Some(&'0') {
        spec.zero = true;
        rest.pop();
    }
    spec.width = digits(&mut rest).ok()?.unwrap_or(0);
    if rest.last().is_some_and(|character| matches!(character, ',' | '_')) {
        spec.grouping = rest.pop();
    }
    if rest.last() == Some(&'.') {
        rest.pop();
        spec.precision = Some(digits(&mut rest).ok()??);
    }
    spec.kind = rest.pop();
    rest.is_empty().then_some(spec)
}

/// The number at the end of reversed text, if there is one; fails if it is too large.
fn digits(rest: &mut Vec<char>) -> Result<Option<usize>, Why> {
    let mut value = None;
    while let Some(digit) = rest.last().and_then(|character| character.to_digit(10)) {
        rest.pop();
        let next = value.unwrap_or(0_usize) * 10 + digit as usize;
        if next > MAX_WIDTH {
            return Err(Why::TooLarge);
        }
        value = Some(next);
    }
    Ok(value)
}

fn formatted(value: &Value, spec: &str, origin: &Origin) -> Option<Str> {
    if spec.is_empty() {
        return text_of(value, origin);
    }
    let spec = parse_spec(spec)?;
    match &value.kind {
        ValueKind::Str(text) => {
            if !matches!(spec.kind, None | Some('s'))
                || spec.sign.is_some()
                || spec.alternate
                || spec.grouping.is_some()
            {
                return None;
            }
            let cut = spec.precision.and_then(|precision| text.char_indices().nth(precision));
            let text = match cut {
                Some((end, _)) => text.slice(0..end),
                None => text.clone(),
            };
            let fill = spec.fill.unwrap_or(if spec.zero { '0' } else { ' ' });
            padded(&text, &spec, fill, spec.align.unwrap_or('<'), origin)
        }
        ValueKind::Int(value) => number(value, &spec, origin),
        ValueKind::Bool(value) if spec.kind.is_some() => number(&Int::Small(i64::from(*value)), &spec, origin),
        ValueKind::Float(value) => float(*value, &spec, origin),
        _ => None,
    }
}

fn padded(text: &Str, spec: &Spec, fill: char, align: char, origin: &Origin) -> Option<Str> {
    let length = text.chars().count();
    let missing = spec.width.saturating_sub(length);
    if missing == 0 {
        return Some(text.clone());
    }
    let (before, after) = match align {
        '<' => (0, missing),
        '>' => (missing, 0),
        '^' => (missing / 2, missing - missing / 2),
        _ => return None,
    };
    let fill = |count: usize| std::iter::repeat_n(fill, count).collect::<String>();
    let mut builder = StrBuilder::default();
    builder.push_unit(&fill(before), origin.clone());
    builder.push_str(text);
    builder.push_unit(&fill(after), origin.clone());
    Some(builder.finish())
}

fn number(value: &Int, spec: &Spec, origin: &Origin) -> Option<Str> {
    if spec.precision.is_some() || matches!(spec.kind, Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%')) {
        let Int::Small(value) = value else { return None };
        #[expect(clippy::cast_precision_loss, reason = "checked to be exact")]
        let value = (value.unsigned_abs() <= 1 << 53).then_some(*value as f64)?;
        return spec.kind.and_then(|_| float(value, spec, origin));
    }
    let text = value.to_string();
    let (negative, digits) = text.strip_prefix('-').map_or((false, text.as_str()), |digits| (true, digits));
    let magnitude = value.as_i128().map(i128::unsigned_abs);
    let (prefix, digits) = match spec.kind {
        None | Some('d' | 'n') => ("", digits.to_owned()),
        Some('x') => ("0x", format!("{:x}", magnitude?)),
        Some('X') => ("0X", format!("{:X}", magnitude?)),
        Some('o') => ("0o", format!("{:o}", magnitude?)),
        Some('b') => ("0b", format!("{:b}", magnitude?)),
        Some('c') if !negative => {
            let character = char::from_u32(u32::try_from(magnitude?).ok()?)?;
            let text = Str::made(character.to_string(), origin.clone());
            return padded(&text, spec, spec.fill.unwrap_or(' '), spec.align.unwrap_or('<'), origin);
        }
        _ => return None,
    };
    let group = if matches!(spec.kind, None | Some('d')) { 3 } else { 4 };
    if spec.grouping == Some(',') && group == 4 {
        return None;
    }
    let prefix = if spec.alternate { prefix } else { "" };
    signed(negative, prefix, &digits, "", group, spec, origin)
}

fn float(value: f64, spec: &Spec, origin: &Origin) -> Option<Str> {
    if !value.is_finite() || spec.alternate {
        return None;
    }
    let negative = value.is_sign_negative();
    let magnitude = value.abs();
    let precision = spec.precision.unwrap_or(6);
    let text = match spec.kind {
        Some('f' | 'F') => format!("{magnitude:.precision$}"),
        Some('%') => format!("{:.precision$}", magnitude * 100.0),
        Some(kind @ ('e' | 'E')) => {
            let text = format!("{magnitude:.precision$e}");
            let (mantissa, exponent) = text.split_once('e')?;
            let exponent: i32 = exponent.parse().ok()?;
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}{kind}{sign}{:02}", exponent.unsigned_abs())
        }
        None if spec.precision.is_none() => float_repr(magnitude),
        _ => return None,
    };
    let suffix = if spec.kind == Some('%') { "%" } else { "" };
    let split = text.find(['.', 'e', 'E']).unwrap_or(text.len());
    let (whole, rest) = text.split_at(split);
    signed(negative, "", whole, &format!("{rest}{suffix}"), 3, spec, origin)
}

/// Sign, prefix, grouped digits and the rest, padded.
fn signed(
    negative: bool,
    prefix: &str,
    digits: &str,
    rest: &str,
    group: usize,
    spec: &Spec,
    origin: &Origin,
) -> Option<Str> {
    let sign = match (negative, spec.sign) {
        (true, _) => "-",
        (false, Some('+')) => "+",
        (false, Some(' ')) => " ",
        _ => "",
    };
    let grouped = |digits: &str| match spec.grouping {
        None => digits.to_owned(),
        Some(separator) => {
            let mut text = String::new();
            for (index, digit) in digits.chars().enumerate() {
                if index > 0 && (digits.len() - index).is_multiple_of(group) {
                    text.push(separator);
                }
                text.push(digit);
            }
            text
        }
    };
    let align = spec.align.unwrap_or(if spec.zero { '=' } else { '>' });
    let fill = spec.fill.unwrap_or(if spec.zero { '0' } else { ' ' });
    let body = grouped(digits);
    if align == '=' {
        if spec.grouping.is_some() && fill == '0' {
            // Zeros would have to be grouped as well.
            return None;
        }
        let length = sign.len() + prefix.len() + body.len() + rest.len();
        let fill: String = std::iter::repeat_n(fill, spec.width.saturating_sub(length)).collect();
        return Some(Str::made(format!("{sign}{prefix}{fill}{body}{rest}"), origin.clone()));
    }
    padded(&Str::made(format!("{sign}{prefix}{body}{rest}"), origin.clone()), spec, fill, align, origin)
}

/// `text % args`
pub(crate) fn percent(text: &Str, args: &Value, origin: &Origin) -> Value {
    let fail = |what| Value::unknown(Why::Error(what), origin.clone());
    let mut parts = Vec::new();
    let mut used = 0_usize;
    let mut rest = 0;
    let bytes = text.as_bytes();
    let mut index = 0;
    let mut mapping = false;
    while let Some(found) = text.get(index..).and_then(|tail| tail.find('%')) {
        let start = index + found;
        parts.push(TemplatePart::Text(text.slice(rest..start)));
        let mut at = start + 1;
        let mut key = None;
        if bytes.get(at) == Some(&b'(') {
            let Some(length) = text.get(at + 1..).and_then(|tail| tail.find(')')) else {
                return fail("an incomplete format key");
            };
            key = Some(text.slice(at + 1..at + 1 + length));
            at += length + 2;
        }
        let mut spec = Spec::default();
        let mut left = false;
        while let Some(flag) = bytes.get(at) {
            match flag {
                b'-' => left = true,
                b'+' => spec.sign = Some('+'),
                b' ' => spec.sign = spec.sign.or(Some(' ')),
                b'0' => spec.zero = true,
                b'#' => spec.alternate = true,
                _ => break,
            }
            at += 1;
        }
        let number = |at: &mut usize| {
            let length = bytes.iter().skip(*at).take_while(|byte| byte.is_ascii_digit()).count();
            let value = text.get(*at..*at + length).and_then(|digits| digits.parse::<usize>().ok());
            *at += length;
            value
        };
        spec.width = number(&mut at).unwrap_or(0);
        if bytes.get(at) == Some(&b'.') {
            at += 1;
            spec.precision = Some(number(&mut at).unwrap_or(0));
        }
        while matches!(bytes.get(at), Some(b'l' | b'h' | b'L')) {
            at += 1;
        }
        let Some(kind) = text.get(at..).and_then(|tail| tail.chars().next()) else {
            return fail("an incomplete format");
        };
        index = at + kind.len_utf8();
        rest = index;
        if kind == '%' {
            parts.push(TemplatePart::Text(text.slice(start..index)).first_percent());
            continue;
        }
        let value = if let Some(key) = key {
            mapping = true;
            match &args.kind {
                ValueKind::Dict(_) => match args.get(&key) {
                    Some(value) => value.clone(),
                    None => return Value::unknown(Why::Error("a key that the mapping does not have"), origin.clone()),
                },
                _ => return Value::unknown(Why::Dynamic("formatted with an unknown mapping"), origin.clone()),
            }
        } else {
            let position = used;
            used += 1;
            match &args.kind {
                ValueKind::Tuple(items) => match items.get(position) {
                    Some(item) if !matches!(item.kind, ValueKind::Spread(_)) => item.clone(),
                    Some(_) => return Value::unknown(Why::Dynamic("formatted with unknown arguments"), origin.clone()),
                    None => return fail("not enough arguments for a format string"),
                },
                // Something that may turn out to be a tuple.
                ValueKind::Unknown(why) => return Value::unknown(why.clone(), origin.clone()),
                _ if position == 0 => args.clone(),
                _ => return fail("not enough arguments for a format string"),
            }
        };
        if spec.width > MAX_WIDTH || spec.precision.is_some_and(|precision| precision > MAX_WIDTH) {
            return Value::unknown(Why::TooLarge, origin.clone());
        }
        match percent_field(&value, kind, &mut spec, left, origin) {
            Ok(Some(field)) => parts.push(TemplatePart::Text(match text.origin_of(start..index) {
                Some(place) => field.put_in_for(&place),
                None => field,
            })),
            Ok(None) if matches!(kind, 's' | 'd' | 'i') && index - start == 2 => parts.push(TemplatePart::Value(value)),
            Ok(None) if matches!(kind, 's' | 'd' | 'i') && bytes.get(start + 1) == Some(&b'(') => {
                // `%(name)s` without width or flags.
                let plain =
                    text.get(start..index).is_some_and(|field| field.as_bytes().get(field.len() - 2) == Some(&b')'));
                parts.push(TemplatePart::Value(if plain { value } else { opaque_text(origin) }));
            }
            Ok(None) => parts.push(TemplatePart::Value(opaque_text(origin))),
            Err(what) => return fail(what),
        }
    }
    parts.push(TemplatePart::Text(text.slice(rest..text.len())));
    if let ValueKind::Tuple(items) = &args.kind {
        if !mapping && items.len() != used {
            return fail("not all arguments converted during string formatting");
        }
    } else if used == 0
        && !mapping
        && args.is_constant_kind()
        && !matches!(args.kind, ValueKind::Dict(_) | ValueKind::List(_) | ValueKind::Bytes(_))
    {
        return fail("not all arguments converted during string formatting");
    }
    joined(parts, origin.clone())
}

/// A value formatted in a way that is not modelled.
fn opaque_text(origin: &Origin) -> Value {
    Value::unknown(Why::Dynamic("formatted text"), origin.clone())
}

impl TemplatePart {
    /// `%%` stands for one `%`, which keeps the place of both.
    fn first_percent(self) -> Self {
        match self {
            Self::Text(text) => match text.origin_of(0..text.len()) {
                Some(origin) => Self::Text(Str::made("%", origin)),
                None => Self::Text(text),
            },
            Self::Value(value) => Self::Value(value),
        }
    }
}

/// One `%` field; `Ok(None)` where the value is not known.
fn percent_field(
    value: &Value,
    kind: char,
    spec: &mut Spec,
    left: bool,
    origin: &Origin,
) -> Result<Option<Str>, &'static str> {
    let place = &value.origin;
    if left {
        spec.align = Some('<');
        spec.zero = false;
    }
    match kind {
        's' | 'r' | 'a' => {
            let text = if kind == 's' { text_of(value, place) } else { repr_of(value, place) };
            let Some(text) = text else { return Ok(None) };
            if kind == 'a' && !text.is_ascii() {
                return Ok(None);
            }
            let cut = spec.precision.and_then(|precision| text.char_indices().nth(precision));
            let text = cut.map_or_else(|| text.clone(), |(end, _)| text.slice(0..end));
            Ok(padded(&text, spec, ' ', spec.align.unwrap_or('>'), origin))
        }
        'd' | 'i' | 'u' => match &value.kind {
            ValueKind::Int(value) if spec.precision.is_none() => {
                spec.kind = Some('d');
                Ok(number(value, spec, place))
            }
            ValueKind::Bool(value) if spec.precision.is_none() => {
                spec.kind = Some('d');
                Ok(number(&Int::Small(i64::from(*value)), spec, place))
            }
            ValueKind::Str(_) | ValueKind::None | ValueKind::List(_) | ValueKind::Dict(_) => {
                Err("a number is required")
            }
            _ => Ok(None),
        },
        'x' | 'X' | 'o' => match &value.kind {
            ValueKind::Int(value) if spec.precision.is_none() => {
                spec.kind = Some(kind);
                Ok(number(value, spec, place))
            }
            ValueKind::Str(_) | ValueKind::None | ValueKind::Float(_) => Err("an integer is required"),
            _ => Ok(None),
        },
        'f' | 'F' | 'e' | 'E' => {
            spec.kind = Some(kind);
            match &value.kind {
                ValueKind::Float(value) => Ok(float(*value, spec, place)),
                ValueKind::Int(value) => Ok(number(value, spec, place)),
                ValueKind::Str(_) | ValueKind::None => Err("a number is required"),
                _ => Ok(None),
            }
        }
        'c' | 'g' | 'G' => Ok(None),
        _ => Err("an unsupported format character"),
    }
}

/// `text.format(…)`
pub(crate) fn str_format(text: &Str, args: &[Arg], origin: &Origin) -> Value {
    match format_parts(text, args, &mut Numbering::default(), 0, origin) {
        Ok(parts) => joined(parts, origin.clone()),
        Err(why) => Value::unknown(why, origin.clone()),
    }
}

/// How the fields of one format string refer to positional arguments.
#[derive(Default)]
struct Numbering {
    /// Fields without a number so far.
    automatic: usize,
    /// Whether a field has a number.
    manual: bool,
}

fn format_parts(
    text: &Str,
    args: &[Arg],
    numbering: &mut Numbering,
    depth: u32,
    origin: &Origin,
) -> Result<Vec<TemplatePart>, Why> {
    let bytes = text.as_bytes();
    let mut parts = Vec::new();
    let mut kept = 0;
    let mut index = 0;
    while let Some(byte) = bytes.get(index) {
        match byte {
            b'{' | b'}' if bytes.get(index + 1) == Some(byte) => {
                parts.push(TemplatePart::Text(text.slice(kept..index)));
                if let Some(place) = text.origin_of(index..index + 2) {
                    parts.push(TemplatePart::Text(Str::made(char::from(*byte).to_string(), place)));
                }
                index += 2;
                kept = index;
            }
            b'{' => {
                parts.push(TemplatePart::Text(text.slice(kept..index)));
                let length = closing(&bytes[index + 1..]).ok_or(Why::Error("an unclosed format field"))?;
                let field = text.slice(index + 1..index + 1 + length);
                let place = text.origin_of(index..index + length + 2);
                parts.push(match (format_field(&field, args, numbering, depth, origin)?, place) {
                    (TemplatePart::Text(text), Some(place)) => TemplatePart::Text(text.put_in_for(&place)),
                    (part, _) => part,
                });
                index += length + 2;
                kept = index;
            }
            b'}' => return Err(Why::Error("a single `}` in a format string")),
            _ => index += 1,
        }
    }
    parts.push(TemplatePart::Text(text.slice(kept..text.len())));
    Ok(parts)
}

/// The offset of the brace that closes a field.
fn closing(bytes: &[u8]) -> Option<usize> {
    let mut open = 0_usize;
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' if open == 0 => return Some(index),
            b'}' => open -= 1,
            _ => {}
        }
    }
    None
}

fn format_field(
    field: &Str,
    args: &[Arg],
    numbering: &mut Numbering,
    depth: u32,
    origin: &Origin,
) -> Result<TemplatePart, Why> {
    if depth > 1 {
        return Err(Why::Error("format fields nest too deeply"));
    }
    // The name ends at the first `!` or `:` outside of brackets.
    let mut bracket = false;
    let mut end = field.len();
    for (index, byte) in field.bytes().enumerate() {
        match byte {
            b'[' => bracket = true,
            b']' => bracket = false,
            b'!' | b':' if !bracket => {
                end = index;
                break;
            }
            _ => {}
        }
    }
    let name = field.slice(0..end);
    let mut rest = end;
    let mut conversion = None;
    if field.as_bytes().get(rest) == Some(&b'!') {
        conversion = field.get(rest + 1..).and_then(|tail| tail.chars().next());
        rest += 1 + conversion.map_or(0, char::len_utf8);
    }
    let spec = if field.as_bytes().get(rest) == Some(&b':') {
        let spec = field.slice(rest + 1..field.len());
        Some(joined(format_parts(&spec, args, numbering, depth + 1, origin)?, origin.clone()))
    } else {
        None
    };
    let root_end = name.find(['.', '[']).unwrap_or(name.len());
    let root = &name[..root_end];
    let positional = |position: usize| {
        let mut positionals = args.iter().filter(|arg| matches!(arg.kind, ArgKind::Positional | ArgKind::Unpack));
        for _ in 0..position {
            if positionals.next()?.kind == ArgKind::Unpack {
                return None;
            }
        }
        positionals.next()
    };
    let found = if root.is_empty() {
        numbering.automatic += 1;
        positional(numbering.automatic - 1)
    } else if let Ok(position) = root.parse::<usize>() {
        numbering.manual = true;
        if position > args.len() { None } else { positional(position) }
    } else {
        args.iter().find(|arg| matches!(&arg.kind, ArgKind::Keyword(name) if name.as_str() == root))
    };
    if numbering.manual && numbering.automatic > 0 {
        return Err(Why::Error("format fields both with and without numbers"));
    }
    let dynamic = args.iter().any(|arg| matches!(arg.kind, ArgKind::Unpack | ArgKind::UnpackMapping));
    let value = match found {
        Some(arg) if arg.kind == ArgKind::Unpack => return Err(Why::Dynamic("formatted with unknown arguments")),
        Some(arg) => arg.value.clone(),
        None if dynamic => return Err(Why::Dynamic("formatted with unknown arguments")),
        None => return Err(Why::Error("a format field without an argument")),
    };
    if root_end < name.len() {
        return format_item(&name[root_end..], &value, conversion, spec.as_ref(), origin);
    }
    let place = value.origin.clone();
    Ok(self::field(value, conversion, spec.as_ref(), &place))
}

/// `{0[key]}`: a constant item; attributes are not followed.
fn format_item(
    path: &str,
    value: &Value,
    conversion: Option<char>,
    spec: Option<&Value>,
    origin: &Origin,
) -> Result<TemplatePart, Why> {
    let key = path.strip_prefix('[').and_then(|path| path.strip_suffix(']')).filter(|key| !key.contains(['[', ']']));
    let Some(key) = key else { return Err(Why::Dynamic("an attribute in a format field")) };
    let kind = match key.parse::<i64>() {
        Ok(number) => ValueKind::Int(Int::Small(number)),
        Err(_) => ValueKind::Str(Str::made(key, origin.clone())),
    };
    let item = crate::ops::subscript(value.clone(), Value::new(kind, origin.clone()), origin);
    let place = item.origin.clone();
    Ok(field(item, conversion, spec, &place))
}

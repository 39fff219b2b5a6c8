//! Python values as the SQL literals that the driver writes, after the field prepared them.
//!
//! The text is the driver's own, to the letter: psycopg writes a space before a minus sign and before `E'…'`, casts
//! dates and the like, and writes UUIDs without dashes.

use std::fmt::Write as _;

use crate::resolve::{Context, Driver, ResolvedField};
use crate::value::{Call, Value};

/// Stands in a statement where a Python value stands that cannot be evaluated. It parses as a string literal.
pub const PLACEHOLDER: &str = "'<python value>'";

/// A value that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Literal {
    /// `None`.
    Null,
    Known(String),
    /// A value that only running Python would tell; not `None`, as far as can be told.
    Wildcard,
}

impl Literal {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Null => "NULL",
            Self::Known(text) => text,
            Self::Wildcard => PLACEHOLDER,
        }
    }

    pub(crate) fn is_wildcard(&self) -> bool {
        *self == Self::Wildcard
    }
}

/// How a value gets into a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// The driver puts a parameter in.
    Parameter,
    /// The schema editor's `quote_value()`, which has no connection to ask: what conditions and expressions of indexes
    /// and constraints hold.
    QuoteValue,
}

impl By {
    /// How the parameters of the schema editor's statements get into them: Django 3.2 quotes them all itself.
    pub(crate) fn parameters(context: &Context) -> Self {
        if context.version.at_least(4, 0) { Self::Parameter } else { Self::QuoteValue }
    }
}

/// What `get_db_prep_save()` and the driver make of a value in a column of `field`.
pub(crate) fn prepared(field: &ResolvedField, value: &Value, by: By, context: &Context) -> Literal {
    if *value == Value::None {
        return Literal::Null;
    }
    let text = match &*field.value_type {
        "ArrayField" => array(field, value, context),
        class => scalar(class, field.max_digits, value, by, context),
    };
    text.map_or(Literal::Wildcard, Literal::Known)
}

/// A value without a field: an expression's parameter.
pub(crate) fn plain(value: &Value, by: By, context: &Context) -> Literal {
    let class = match value {
        Value::None => return Literal::Null,
        Value::Bool(_) => "BooleanField",
        Value::Int(_) => "IntegerField",
        Value::Float(_) => "FloatField",
        Value::Str(_) => "TextField",
        Value::Bytes(_) => "BinaryField",
        Value::Call(call) => match call.name() {
            "Decimal" => "DecimalField",
            "date" => "DateField",
            "datetime" => "DateTimeField",
            "time" => "TimeField",
            "timedelta" => "DurationField",
            "UUID" => "UUIDField",
            _ => return Literal::Wildcard,
        },
        _ => return Literal::Wildcard,
    };
    scalar(class, None, value, by, context).map_or(Literal::Wildcard, Literal::Known)
}

fn scalar(class: &str, max_digits: Option<u32>, value: &Value, by: By, context: &Context) -> Option<String> {
    let driver = context.driver;
    match class {
        "AutoField"
        | "BigAutoField"
        | "SmallAutoField"
        | "IntegerField"
        | "BigIntegerField"
        | "SmallIntegerField"
        | "PositiveIntegerField"
        | "PositiveBigIntegerField"
        | "PositiveSmallIntegerField" => integer(value).map(|number| signed(number.to_string())),
        "BooleanField" | "NullBooleanField" => boolean(value).map(|truth| truth.to_string()),
        "CharField" | "TextField" | "SlugField" | "FileField" | "FilePathField" | "CICharField" | "CITextField" => {
            python_str(value).map(|value| text(&value, by, context))
        }
        "FloatField" => float(value).map(|number| signed(float_repr(number))),
        "DecimalField" => decimal(value, max_digits).map(signed),
        "DateField" => date(value).map(|text| format!("'{text}'::date")),
        "DateTimeField" => datetime(value, context),
        "TimeField" => time(value).map(|text| format!("'{text}'::time")),
        "DurationField" => duration(value, driver),
        "UUIDField" => uuid(value, driver),
        "JSONField" => {
            let mut json_text = String::new();
            json(value, &mut json_text, 0)?;
            // Before 4.2 it is a text; then psycopg2's `Json`, and since 5.1 an adapter of Django's own with a cast.
            if !context.version.at_least(4, 2) {
                return Some(text(&json_text, by, context));
            }
            let cast = context.driver == Driver::Psycopg3 || context.version.at_least(5, 1);
            Some(format!("{}{}", quoted(&json_text, context), if cast { "::jsonb" } else { "" }))
        }
        "BinaryField" => match value {
            Value::Bytes(bytes) => {
                let mut text = String::from("'");
                // libpq's old escape format, where there is no connection to ask.
                let escapes = driver == Driver::Psycopg2 && by == By::QuoteValue;
                if !escapes {
                    text.push_str("\\x");
                }
                for byte in bytes.iter() {
                    let _ = match byte {
                        _ if !escapes => write!(text, "{byte:02x}"),
                        b'\'' => write!(text, "''"),
                        b'\\' => write!(text, "\\\\"),
                        b' '..=b'~' => write!(text, "{}", char::from(*byte)),
                        _ => write!(text, "\\{byte:03o}"),
                    };
                }
                text.push_str("'::bytea");
                Some(text)
            }
            _ => None,
        },
        "GenericIPAddressField" | "IPAddressField" => match value {
            Value::Str(text) if text.parse::<std::net::Ipv4Addr>().is_ok() => Some(format!("'{text}'::inet")),
            _ => None,
        },
        _ => None,
    }
}

/// psycopg separates a minus sign from what stands before it.
fn signed(number: String) -> String {
    if number.starts_with('-') { format!(" {number}") } else { number }
}

/// A text as it gets into a statement: up to 4.2 `quote_value()` doubles percent signs.
pub(crate) fn text(text: &str, by: By, context: &Context) -> String {
    if by == By::QuoteValue && !context.version.at_least(5, 0) {
        quoted(&text.replace('%', "%%"), context)
    } else {
        quoted(text, context)
    }
}

/// A text as the driver quotes it.
pub(crate) fn quoted(text: &str, context: &Context) -> String {
    let doubled = text.replace('\'', "''");
    // psycopg2 asks libpq, which leaves a backslash alone where it is no escape; psycopg 3 marks it.
    if context.driver == Driver::Psycopg2 || !doubled.contains('\\') {
        return format!("'{doubled}'");
    }
    format!(" E'{}'", doubled.replace('\\', "\\\\"))
}

/// The builtins that are used as defaults: called, they make empty values.
fn is_builtin(value: &Value, name: &str) -> bool {
    matches!(value, Value::Symbol(path) if path.strip_prefix("builtins.").unwrap_or(path) == name)
}

fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Bool(truth) => Some(i128::from(*truth)),
        Value::Str(text) => text.trim().parse().ok(),
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
        Value::Float(number) if number.abs() < 1e15 => Some(number.trunc() as i128),
        value if is_builtin(value, "int") => Some(0),
        _ => None,
    }
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::Int(0) => Some(false),
        Value::Int(1) => Some(true),
        Value::Str(text) => match &**text {
            "t" | "True" | "1" => Some(true),
            "f" | "False" | "0" => Some(false),
            _ => None,
        },
        value if is_builtin(value, "bool") => Some(false),
        _ => None,
    }
}

/// `str(value)`.
fn python_str(value: &Value) -> Option<String> {
    match value {
        Value::Str(text) => Some(text.to_string()),
        Value::Int(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(if *truth { "True" } else { "False" }.to_owned()),
        Value::Float(number) => Some(float_repr(*number)),
        value if is_builtin(value, "str") => Some(String::new()),
        Value::Call(call) => match call.name() {
            "Decimal" => decimal(value, None),
            "UUID" => uuid_hex(value).map(|hex| dashed(&hex)),
            _ => None,
        },
        _ => None,
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        #[expect(clippy::cast_precision_loss, reason = "Python's float() rounds as well")]
        Value::Int(number) => Some(*number as f64),
        Value::Str(text) => text.trim().parse().ok(),
        value if is_builtin(value, "float") || is_builtin(value, "int") => Some(0.0),
        _ => None,
    }
}

/// Python's `repr(float)`: the shortest digits, an exponent below 1e-4 and from 1e16.
fn float_repr(number: f64) -> String {
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) || number == 0.0 {
        let text = format!("{number}");
        if text.contains('.') { text } else { format!("{text}.0") }
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{digits}e{sign}{:02}", exponent.abs())
    }
}

/// `str()` of the `Decimal` that the field makes. Only plain notation is read; anything else is not evaluated.
fn decimal(value: &Value, max_digits: Option<u32>) -> Option<String> {
    match value {
        Value::Int(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(u8::from(*truth).to_string()),
        Value::Str(text) => plain_decimal(text.trim()),
        Value::Float(number) => float_decimal(*number, max_digits),
        Value::Call(call) if call.name() == "Decimal" => match call.args.first() {
            None => Some("0".to_owned()),
            Some(Value::Int(number)) => Some(number.to_string()),
            Some(Value::Str(text)) => plain_decimal(text.trim()),
            Some(Value::Float(number)) if number.fract() == 0.0 && number.abs() < 1e15 => Some(format!("{number}")),
            Some(_) => None,
        },
        value if is_builtin(value, "int") => Some("0".to_owned()),
        _ => None,
    }
}

fn plain_decimal(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    // Beyond six leading zeros after the point Python writes an exponent.
    if whole == "0" && fraction.len() > 6 && fraction.trim_start_matches('0').len() + 6 < fraction.len() + 1 {
        return None;
    }
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

/// `Context(prec=max_digits).create_decimal_from_float()`: exact if the digits suffice, else rounded to them.
fn float_decimal(number: f64, max_digits: Option<u32>) -> Option<String> {
    let precision = max_digits? as usize;
    if !number.is_finite() || precision == 0 || !(1e-6..1e15).contains(&number.abs()) && number != 0.0 {
        return None;
    }
    if number == 0.0 {
        return Some(if number.is_sign_negative() { "-0" } else { "0" }.to_owned());
    }
    // The exact value of a double has at most 1074 fractional digits.
    let exact = format!("{number:.1074}");
    let exact = exact.trim_end_matches('0').trim_end_matches('.');
    let significant = exact.trim_start_matches(['-', '0', '.']).bytes().filter(u8::is_ascii_digit).count();
    if significant <= precision {
        return Some(exact.to_owned());
    }
    let scientific = format!("{number:.*e}", precision - 1);
    let (_, exponent) = scientific.split_once('e')?;
    let exponent: i64 = exponent.parse().ok()?;
    let places = i64::try_from(precision).ok()? - 1 - exponent;
    let places = usize::try_from(places).ok()?;
    Some(format!("{number:.places$}"))
}

fn call_args<'v>(call: &'v Call, names: &[&str]) -> Vec<Option<&'v Value>> {
    names.iter().enumerate().map(|(index, name)| call.args.get(index).or_else(|| call.kwarg(name))).collect()
}

fn number_or(value: Option<&Value>, default: i128) -> Option<i128> {
    match value {
        None => Some(default),
        Some(value) => value.as_int(),
    }
}

fn date(value: &Value) -> Option<String> {
    match value {
        Value::Str(text) => {
            let mut parts = text.splitn(3, '-');
            let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
            calendar(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
        }
        Value::Call(call) if matches!(call.name(), "date" | "datetime") => {
            let args = call_args(call, &["year", "month", "day"]);
            let [year, month, day] = args.as_slice() else { return None };
            calendar(year.as_ref()?.as_int()?, month.as_ref()?.as_int()?, day.as_ref()?.as_int()?)
        }
        _ => None,
    }
}

fn calendar(year: i128, month: i128, day: i128) -> Option<String> {
    ((1..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day))
        .then(|| format!("{year:04}-{month:02}-{day:02}"))
}

fn time(value: &Value) -> Option<String> {
    match value {
        Value::Call(call) if call.name() == "time" => {
            clock(&call_args(call, &["hour", "minute", "second", "microsecond"]))
        }
        Value::Str(text) => {
            let parts: Vec<&str> = text.split(':').collect();
            let valid = matches!(parts.len(), 2 | 3)
                && parts.iter().all(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()));
            valid.then(|| if parts.len() == 2 { format!("{text}:00") } else { text.to_string() })
        }
        _ => None,
    }
}

fn clock(parts: &[Option<&Value>]) -> Option<String> {
    let part = |index: usize| number_or(parts.get(index).copied().flatten(), 0);
    let (hour, minute, second, micro) = (part(0)?, part(1)?, part(2)?, part(3)?);
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..60).contains(&second) {
        return None;
    }
    let fraction = if micro == 0 { String::new() } else { format!(".{micro:06}") };
    Some(format!("{hour:02}:{minute:02}:{second:02}{fraction}"))
}

fn is_utc(value: &Value) -> bool {
    match value {
        Value::Symbol(path) => path.ends_with("timezone.utc") || path.ends_with(".UTC") || path.ends_with(".utc"),
        Value::Call(call) => {
            matches!(call.name(), "ZoneInfo" | "timezone") && call.args.first().and_then(Value::as_str) == Some("UTC")
        }
        _ => false,
    }
}

fn datetime(value: &Value, context: &Context) -> Option<String> {
    let (day, clock_text, aware) = match value {
        Value::Call(call) if call.name() == "datetime" => {
            let args = call_args(call, &["year", "month", "day", "hour", "minute", "second", "microsecond", "tzinfo"]);
            let zone = args.get(7).copied().flatten().filter(|zone| **zone != Value::None);
            if zone.is_some_and(|zone| !is_utc(zone)) {
                return None;
            }
            (date(value)?, clock(args.get(3..7)?)?, zone.is_some())
        }
        // A date becomes a naive midnight.
        Value::Call(call) if call.name() == "date" => (date(value)?, "00:00:00".to_owned(), false),
        _ => return None,
    };
    let separator = match context.driver {
        Driver::Psycopg2 => 'T',
        Driver::Psycopg3 => ' ',
    };
    match (aware, context.use_tz) {
        (true, true) => Some(format!("'{day}{separator}{clock_text}+00:00'::timestamptz")),
        // Django makes a naive value aware in the default time zone; only one of them needs no table of zones.
        (false, true) if &*context.time_zone == "UTC" => {
            Some(format!("'{day}{separator}{clock_text}+00:00'::timestamptz"))
        }
        (false, false) => Some(format!("'{day}{separator}{clock_text}'::timestamp")),
        _ => None,
    }
}

fn duration(value: &Value, driver: Driver) -> Option<String> {
    const MICROS_PER_DAY: i128 = 86_400_000_000;
    let Value::Call(call) = value else { return None };
    if call.name() != "timedelta" {
        return None;
    }
    let units: [(&str, i128); 7] = [
        ("days", MICROS_PER_DAY),
        ("seconds", 1_000_000),
        ("microseconds", 1),
        ("milliseconds", 1_000),
        ("minutes", 60_000_000),
        ("hours", 3_600_000_000),
        ("weeks", 7 * MICROS_PER_DAY),
    ];
    let mut total: i128 = 0;
    for (index, (name, factor)) in units.iter().enumerate() {
        let count = number_or(call.args.get(index).or_else(|| call.kwarg(name)), 0)?;
        total = total.checked_add(count.checked_mul(*factor)?)?;
    }
    let days = total.div_euclid(MICROS_PER_DAY);
    let rest = total.rem_euclid(MICROS_PER_DAY);
    let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
    Some(match driver {
        Driver::Psycopg2 => format!("'{days} days {seconds}.{micros:06} seconds'::interval"),
        Driver::Psycopg3 => {
            let days = match days {
                0 => String::new(),
                1 | -1 => format!("{days} day "),
                _ => format!("{days} days "),
            };
            let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
            let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            format!("'{days}{hours}:{minutes:02}:{seconds:02}{fraction}'::interval")
        }
    })
}

fn uuid_hex(value: &Value) -> Option<String> {
    let text = match value {
        Value::Str(text) => text,
        Value::Call(call) if call.name() == "UUID" => match call.args.first().or_else(|| call.kwarg("hex"))? {
            Value::Str(text) => text,
            _ => return None,
        },
        _ => return None,
    };
    let text = text.trim_start_matches("urn:uuid:").trim_matches(['{', '}']);
    let hex: String = text.chars().filter(|character| *character != '-').collect::<String>().to_lowercase();
    (hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(hex)
}

fn dashed(hex: &str) -> String {
    let part = |start: usize, end: usize| hex.get(start..end).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

fn uuid(value: &Value, driver: Driver) -> Option<String> {
    let hex = uuid_hex(value)?;
    Some(match driver {
        Driver::Psycopg3 => format!("'{hex}'::uuid"),
        Driver::Psycopg2 => format!("'{}'::uuid", dashed(&hex)),
    })
}

/// `json.dumps()` with its defaults.
fn json(value: &Value, text: &mut String, depth: u8) -> Option<()> {
    const MAX_DEPTH: u8 = 64;
    if depth > MAX_DEPTH {
        return None;
    }
    match value {
        Value::None => text.push_str("null"),
        Value::Bool(truth) => text.push_str(if *truth { "true" } else { "false" }),
        Value::Int(number) => text.push_str(&number.to_string()),
        Value::Float(number) => text.push_str(&float_repr(*number)),
        Value::Str(string) => json_string(string, text),
        Value::List(items) | Value::Tuple(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                json(item, text, depth + 1)?;
            }
            text.push(']');
        }
        Value::Dict(entries) => {
            text.push('{');
            for (index, (key, item)) in entries.iter().enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                json_string(key.as_str()?, text);
                text.push_str(": ");
                json(item, text, depth + 1)?;
            }
            text.push('}');
        }
        value if is_builtin(value, "dict") => text.push_str("{}"),
        value if is_builtin(value, "list") || is_builtin(value, "tuple") => text.push_str("[]"),
        value if is_builtin(value, "str") => text.push_str("\"\""),
        _ => return None,
    }
    Some(())
}

fn json_string(string: &str, text: &mut String) {
    text.push('"');
    for character in string.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            ' '..='~' => text.push(character),
            _ => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
        }
    }
    text.push('"');
}

/// A list in a column of an array field.
fn array(field: &ResolvedField, value: &Value, context: &Context) -> Option<String> {
    let base = field.base.as_deref()?;
    if is_builtin(value, "list") || is_builtin(value, "tuple") {
        return Some("'{}'".to_owned());
    }
    let (Value::List(items) | Value::Tuple(items)) = value else { return None };
    if items.is_empty() {
        return Some("'{}'".to_owned());
    }
    if items.contains(&Value::None) {
        return None;
    }
    match (context.driver, &*base.value_type) {
        (
            Driver::Psycopg3,
            "IntegerField"
            | "BigIntegerField"
            | "SmallIntegerField"
            | "PositiveIntegerField"
            | "PositiveBigIntegerField"
            | "PositiveSmallIntegerField",
        ) => {
            let numbers: Vec<i128> = items.iter().map(integer).collect::<Option<_>>()?;
            let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            // `DatabaseOperations.integerfield_type_map`.
            let cast = match &*base.value_type {
                "SmallIntegerField" | "PositiveSmallIntegerField" => "int2",
                "IntegerField" | "PositiveIntegerField" => "int4",
                _ => "int8",
            };
            Some(format!("'{{{}}}'::{cast}[]", texts.join(",")))
        }
        (Driver::Psycopg3, "BooleanField") => {
            let texts: Vec<&str> = items
                .iter()
                .map(|item| boolean(item).map(|truth| if truth { "t" } else { "f" }))
                .collect::<Option<_>>()?;
            Some(format!("'{{{}}}'::bool[]", texts.join(",")))
        }
        (Driver::Psycopg3, "CharField" | "TextField" | "SlugField") => {
            let texts: Vec<String> =
                items.iter().map(|item| python_str(item).map(|text| array_element(&text))).collect::<Option<_>>()?;
            Some(quoted(&format!("{{{}}}", texts.join(",")), context))
        }
        (Driver::Psycopg2, _) if base.base.is_none() => {
            let texts: Vec<String> = items
                .iter()
                .map(|item| scalar(&base.value_type, base.max_digits, item, By::Parameter, context))
                .collect::<Option<_>>()?;
            Some(format!("ARRAY[{}]", texts.join(",")))
        }
        _ => None,
    }
}

/// An element of an array literal, quoted where PostgreSQL's array syntax asks for it.
fn array_element(text: &str) -> String {
    let special = |character: char| matches!(character, '{' | '}' | ',' | '"' | '\\') || character.is_whitespace();
    if text.is_empty() || text.contains(special) || text.eq_ignore_ascii_case("null") {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::DjangoVersion;

    #[track_caller]
    fn check(class: &str, max_digits: Option<u32>, value: &Value, expect: Option<&str>) {
        let context = Context::new(DjangoVersion::new(5, 2));
        assert_eq!(scalar(class, max_digits, value, By::Parameter, &context).as_deref(), expect);
    }

    /// What psycopg 3 writes for Django 5.2.
    #[test]
    fn literals_equal_the_drivers() {
        check("IntegerField", None, &Value::Int(-5), Some(" -5"));
        check("IntegerField", None, &Value::str("7"), Some("7"));
        check("CharField", None, &Value::str("it's"), Some("'it''s'"));
        check("CharField", None, &Value::str("a\\b"), Some(" E'a\\\\b'"));
        check("FloatField", None, &Value::Int(1), Some("1.0"));
        check("FloatField", None, &Value::Float(-1.5e20), Some(" -1.5e+20"));
        check("FloatField", None, &Value::Float(0.00001), Some("1e-05"));
        check("DecimalField", Some(5), &Value::Float(0.1), Some("0.10000"));
        check("DecimalField", Some(5), &Value::Float(0.5), Some("0.5"));
        check("DecimalField", Some(5), &Value::str("1.50"), Some("1.50"));
        check("DateField", None, &Value::str("2020-01-02"), Some("'2020-01-02'::date"));
        check(
            "JSONField",
            None,
            &Value::List([Value::str("é"), Value::None].into()),
            Some(" E'[\"\\\\u00e9\", null]'::jsonb"),
        );
    }

    #[test]
    fn what_is_not_evaluated_is_no_literal() {
        check("DecimalField", Some(5), &Value::str("1e5"), None);
        check("DateTimeField", None, &Value::Symbol("django.utils.timezone.now".into()), None);
        check("UUIDField", None, &Value::Symbol("uuid.uuid4".into()), None);
        check("CharField", None, &Value::unknown("a lambda"), None);
    }
}

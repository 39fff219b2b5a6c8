//! Constants in the output form of their types.

mod array;
mod interval;
mod range;

use std::fmt::Write as _;

pub(super) use self::array::canonical as canonical_array;
pub(super) use self::interval::with_fields;

/// A constant of a type in the type's own output form; as it was written where that is not known.
pub(crate) fn canonical(value: &str, data_type: &str) -> Option<String> {
    match data_type {
        "uuid" => {
            let digits: String = value.chars().filter(|character| !matches!(character, '-' | '{' | '}')).collect();
            let valid = digits.len() == 32 && digits.chars().all(|digit| digit.is_ascii_hexdigit());
            valid.then(|| {
                let digits = digits.to_lowercase();
                let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| digits.get(part).unwrap_or_default());
                parts.join("-")
            })
        }
        // A zone is read and passed over.
        "timestamp" => time_stamp(without_zone(value)),
        // As a session in UTC writes it.
        "timestamptz" => {
            let local = ["+00:00", "+00", "Z", "z"].iter().find_map(|zone| value.strip_suffix(zone)).unwrap_or(value);
            time_stamp(local).map(|local| format!("{local}+00"))
        }
        "date" => day(value),
        "time" => time_of_day(value),
        "timetz" => {
            let place = value.find(['+', '-'])?;
            let (clock, zone) = (value.get(..place)?, value.get(place..)?);
            let whole = zone.len() == 3 && zone.get(1..)?.bytes().all(|digit| digit.is_ascii_digit());
            whole.then(|| time_of_day(clock)).flatten().map(|clock| format!("{clock}{zone}"))
        }
        "interval" => interval::canonical(value),
        "bytea" => bytes(value),
        "jsonb" => crate::jsonb::canonical(value),
        "float4" => float(value, 1e6).and_then(|_| value.trim().parse::<f32>().ok()).map(|number| number.to_string()),
        "float8" => float(value, 1e15).map(|number| number.to_string()),
        "inet" => value.strip_suffix("/32").filter(|host| !host.contains(':')).map(str::to_owned),
        "tsquery" => lexemes(value),
        name if name.ends_with("multirange") => range::of_several(value, name),
        name if name.ends_with("range") => range::canonical(value, name),
        _ => None,
    }
}

/// `2024-05-01 10:00:00+02` without the last part.
fn without_zone(value: &str) -> &str {
    let value = value.trim();
    let Some(clock) = value.find(':') else { return value };
    let end = value[clock..].find(['+', '-', 'Z', 'z']).map_or(value.len(), |place| clock + place);
    let zone = &value[end..];
    let plain = zone.len() <= 1 || zone[1..].chars().all(|character| character.is_ascii_digit() || character == ':');
    if plain { value[..end].trim_end() } else { value }
}

/// `2024-05-01`, with a time or without, as the server prints it in the style ISO.
fn time_stamp(value: &str) -> Option<String> {
    let (date, time) = value.trim().split_once([' ', 'T']).unwrap_or((value.trim(), "00:00:00"));
    let numbers = |text: &str, separator: char, lengths: &[usize]| {
        let parts: Vec<&str> = text.split(separator).collect();
        parts.len() == lengths.len()
            && parts
                .iter()
                .zip(lengths)
                .all(|(part, length)| part.len() == *length && part.chars().all(|digit| digit.is_ascii_digit()))
    };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let clock = if numbers(clock, ':', &[2, 2]) { format!("{clock}:00") } else { clock.to_owned() };
    if !numbers(date, '-', &[4, 2, 2]) || !numbers(&clock, ':', &[2, 2, 2]) || fraction.len() > 6 {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    if !fraction.chars().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{date} {clock}{point}{fraction}"))
}

/// Bytes in the hexadecimal form; a value in the escape form is read first.
fn bytes(value: &str) -> Option<String> {
    if value.starts_with("\\x") {
        return None;
    }
    let mut text = String::from("\\x");
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        let byte = if byte == b'\\' {
            let next = rest.next()?;
            if next == b'\\' {
                next
            } else {
                let digits = [next, rest.next()?, rest.next()?];
                let number = u16::from_str_radix(std::str::from_utf8(&digits).ok()?, 8).ok()?;
                u8::try_from(number).ok()?
            }
        } else {
            byte
        };
        let _ = write!(text, "{byte:02x}");
    }
    Some(text)
}

/// The bits of `B'0101'` and of `X'1F'`.
pub(super) fn bits(text: &str) -> Option<String> {
    let (prefix, quoted) = text.split_at_checked(1)?;
    let digits = quoted.strip_prefix('\'')?.strip_suffix('\'')?;
    match prefix {
        "b" | "B" => digits.bytes().all(|bit| matches!(bit, b'0' | b'1')).then(|| digits.to_owned()),
        "x" | "X" => digits.chars().map(|digit| digit.to_digit(16).map(|digit| format!("{digit:04b}"))).collect(),
        _ => None,
    }
}

/// Between the sizes that are printed with an exponent.
fn float(value: &str, limit: f64) -> Option<f64> {
    let plain = value.trim().bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let number = value.trim().parse::<f64>().ok().filter(|_| plain)?;
    (number == 0.0 || (1e-4..limit).contains(&number.abs())).then_some(number)
}

/// `20240229` and `2024-2-29` as `2024-02-29`.
fn day(value: &str) -> Option<String> {
    let value = value.trim();
    crate::constant::day_number(value)?;
    let fields: Vec<&str> = match value.split('-').collect::<Vec<_>>().as_slice() {
        [_] => vec![value.get(..4)?, value.get(4..6)?, value.get(6..)?],
        fields => fields.to_vec(),
    };
    let [year, month, day] = fields.as_slice() else { return None };
    Some(format!("{year}-{month:0>2}-{day:0>2}"))
}

/// `8:30` as `08:30:00`.
fn time_of_day(value: &str) -> Option<String> {
    let value = value.trim();
    let (clock, fraction) = value.split_once('.').unwrap_or((value, ""));
    let fields: Vec<u32> = clock.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let (hours, minutes, seconds) = match fields.as_slice() {
        [hours, minutes] => (hours, minutes, &0),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => return None,
    };
    let digits = fraction.len() <= 6 && fraction.bytes().all(|digit| digit.is_ascii_digit());
    if *hours > 23 || *minutes > 59 || *seconds > 59 || !digits {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{hours:02}:{minutes:02}:{seconds:02}{point}{fraction}"))
}

/// Words that are joined by one operator.
fn lexemes(value: &str) -> Option<String> {
    let operators = ['&', '|'].into_iter().filter(|operator| value.contains(*operator)).collect::<Vec<_>>();
    let (separator, joined) = match operators.as_slice() {
        [] => ('&', String::new()),
        [operator] => (*operator, format!(" {operator} ")),
        _ => return None,
    };
    let word = |word: &str| {
        let word = word.trim();
        let plain = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        plain.then(|| format!("'{word}'"))
    };
    Some(value.split(separator).map(word).collect::<Option<Vec<_>>>()?.join(&joined))
}

#[cfg(test)]
mod tests {
    use super::canonical;

    /// As `SELECT 'value'::type` of a server prints them.
    #[test]
    fn constants_have_their_type_s_own_form() {
        for (data_type, written, printed) in [
            ("uuid", "12345678123456781234567812345678", Some("12345678-1234-5678-1234-567812345678")),
            ("uuid", "no uuid", None),
            ("timestamptz", "2020-01-02 03:04:05+00:00", Some("2020-01-02 03:04:05+00")),
            ("timestamptz", "2020-01-02 03:04:05.120000+00:00", Some("2020-01-02 03:04:05.12+00")),
            ("timestamptz", "2020-01-02 03:04:05+02:00", None),
            ("interval", "1 day 0:00:05", Some("1 day 00:00:05")),
            ("interval", "2 days 0.000000 seconds", Some("2 days")),
            ("interval", "1 days 3605.500000 seconds", Some("1 day 01:00:05.5")),
            ("interval", "-1 days 0.0 seconds", Some("-1 days")),
            ("interval", "-1 day +02:03", Some("-1 days +02:03:00")),
            ("interval", "1-2", Some("1 year 2 mons")),
            ("interval", "P1Y2M3DT4H5M6S", Some("1 year 2 mons 3 days 04:05:06")),
            ("interval", "90 minutes ago", Some("-01:30:00")),
            ("interval", "1.5 weeks", Some("10 days 12:00:00")),
            ("interval", "1 fortnight", None),
            ("time", "8:30", Some("08:30:00")),
            ("time", "8:30 PM", None),
            ("date", "20240229", Some("2024-02-29")),
            ("date", "Feb 1 2024", None),
            ("float8", "1.50", Some("1.5")),
            ("float8", "1e20", None),
            ("int4range", "[1,5]", Some("[1,6)")),
            ("int4range", "(5,5]", Some("empty")),
            ("numrange", "[1,5]", None),
            ("tsrange", "[2020-01-01,)", Some("[\"2020-01-01 00:00:00\",)")),
            ("int4multirange", "{[1,3), [2,5]}", Some("{[1,6)}")),
            ("tsquery", "a & b", Some("'a' & 'b'")),
            ("text", "it's", None),
        ] {
            assert_eq!(canonical(written, data_type).as_deref(), printed, "{written}");
        }
    }
}

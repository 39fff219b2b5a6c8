//! Intervals in the style `postgres`.

use std::fmt::Write as _;

/// Months, days and microseconds.
#[derive(Clone, Copy, Default)]
struct Interval {
    months: i64,
    days: i64,
    micros: i64,
}

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

pub(super) fn canonical(value: &str) -> Option<String> {
    read(value.trim()).map(show)
}

/// A constant under a type with fields, where a bare number counts the last of them, or with a precision.
pub(in super::super) fn with_fields(value: &str, fields: Option<&str>, precision: Option<i32>) -> Option<String> {
    let value = value.trim();
    let last = fields.and_then(|fields| fields.rsplit(' ').next());
    let number = value.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    let alone = number && !value.get(1..).unwrap_or_default().contains('-');
    let mut interval = match last {
        Some(unit) if alone => read(&format!("{value} {unit}"))?,
        _ => read(value)?,
    };
    if let Some(precision) = precision.and_then(|precision| u32::try_from(precision).ok()) {
        let step = 10_i64.checked_pow(6_u32.checked_sub(precision)?)?;
        interval.micros = (interval.micros + interval.micros.signum() * step / 2) / step * step;
    }
    Some(show(interval))
}

fn read(value: &str) -> Option<Interval> {
    if let Some(rest) = value.strip_prefix('P') {
        return designated(rest);
    }
    let mut interval = Interval::default();
    let words: Vec<&str> = value.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let (words, ago) = match words.split_last() {
        Some((&"ago", rest)) => (rest, true),
        _ => (words.as_slice(), false),
    };
    let mut rest = words;
    while let [first, behind @ ..] = rest {
        rest = behind;
        if first.contains(':') {
            interval.micros = interval.micros.checked_add(clock(first)?)?;
        } else if let Some((years, months)) = first.split_once('-').filter(|(years, _)| !years.is_empty()) {
            let months: i64 = years.parse::<i64>().ok()?.checked_mul(12)?.checked_add(months.parse().ok()?)?;
            interval.months = interval.months.checked_add(months)?;
        } else if let Some(end) = first.find(|character: char| character.is_ascii_alphabetic()) {
            add(&mut interval, first.get(..end)?, first.get(end..)?)?;
        } else if let [unit, behind @ ..] = rest {
            add(&mut interval, first, unit)?;
            rest = behind;
        } else {
            // A number alone counts seconds.
            add(&mut interval, first, "s")?;
        }
    }
    if words.is_empty() {
        return None;
    }
    if ago {
        interval = Interval { months: -interval.months, days: -interval.days, micros: -interval.micros };
    }
    Some(interval)
}

/// `1Y2M3DT4H5M6S`
fn designated(text: &str) -> Option<Interval> {
    let (date, time) = text.split_once('T').unwrap_or((text, ""));
    let mut interval = Interval::default();
    for (part, units) in [(date, ["Y", "M", "W", "D"]), (time, ["H", "M", "S", ""])] {
        let mut rest = part;
        while let Some(end) = rest.find(|character: char| character.is_ascii_alphabetic()) {
            let (number, unit) = (rest.get(..end)?, rest.get(end..=end)?);
            let unit = match (units.contains(&unit), units[0], unit) {
                (false, ..) => return None,
                (true, "Y", "M") => "mon",
                (true, ..) => unit,
            };
            add(&mut interval, number, &unit.to_ascii_lowercase())?;
            rest = rest.get(end + 1..)?;
        }
        if !rest.is_empty() {
            return None;
        }
    }
    Some(interval)
}

/// `[+-]H:MM[:SS[.ffffff]]`
fn clock(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fields: Vec<i64> =
        whole.split(':').map(|field| field.parse::<u32>().map(i64::from)).collect::<Result<_, _>>().ok()?;
    let seconds = match fields.as_slice() {
        [hours, minutes] if fraction.is_empty() => hours * 3600 + minutes * 60,
        [hours, minutes, seconds] => hours * 3600 + minutes * 60 + seconds,
        _ => return None,
    };
    Some(sign * (seconds.checked_mul(SECOND)?.checked_add(micros(fraction)?)?))
}

/// The digits behind the point of a second.
fn micros(fraction: &str) -> Option<i64> {
    if fraction.is_empty() {
        return Some(0);
    }
    let plain = fraction.len() <= 6 && fraction.bytes().all(|digit| digit.is_ascii_digit());
    plain.then(|| format!("{fraction:0<6}").parse().ok()).flatten()
}

fn add(interval: &mut Interval, number: &str, unit: &str) -> Option<()> {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let count: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // Millionths of the unit.
    let part = micros(fraction)?;
    let (months, days, each) = match unit.to_ascii_lowercase().as_str() {
        "microsecond" | "microseconds" | "us" => (0, 0, 1),
        "millisecond" | "milliseconds" | "ms" => (0, 0, 1000),
        "second" | "seconds" | "sec" | "secs" | "s" => (0, 0, SECOND),
        "minute" | "minutes" | "min" | "mins" | "m" => (0, 0, 60 * SECOND),
        "hour" | "hours" | "hr" | "hrs" | "h" => (0, 0, 3600 * SECOND),
        "day" | "days" | "d" => (0, 1, 0),
        "week" | "weeks" | "w" => (0, 7, 0),
        "month" | "months" | "mon" | "mons" => (1, 0, 0),
        "year" | "years" | "yr" | "yrs" | "y" => (12, 0, 0),
        "decade" | "decades" => (120, 0, 0),
        "century" | "centuries" => (1200, 0, 0),
        "millennium" | "millennia" => (12_000, 0, 0),
        _ => return None,
    };
    if part != 0 && months != 0 {
        return None;
    }
    let of_days = part.checked_mul(days)?;
    interval.months = interval.months.checked_add(sign * count.checked_mul(months)?)?;
    interval.days = interval.days.checked_add(sign * (count.checked_mul(days)? + of_days / 1_000_000))?;
    let micros = count.checked_mul(each)?.checked_add(part.checked_mul(each)? / 1_000_000)?;
    let of_day = (of_days % 1_000_000) * (DAY / 1_000_000);
    interval.micros = interval.micros.checked_add(sign * (micros + of_day))?;
    Some(())
}

/// `EncodeInterval`
fn show(interval: Interval) -> String {
    let mut text = String::new();
    let mut before = false;
    for (value, unit) in [(interval.months / 12, "year"), (interval.months % 12, "mon"), (interval.days, "day")] {
        if value == 0 {
            continue;
        }
        let space = if text.is_empty() { "" } else { " " };
        let plus = if before && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        let _ = write!(text, "{space}{plus}{value} {unit}{plural}");
        before = value < 0;
    }
    if text.is_empty() || interval.micros != 0 {
        let space = if text.is_empty() { "" } else { " " };
        let sign = if interval.micros < 0 {
            "-"
        } else if before {
            "+"
        } else {
            ""
        };
        let (seconds, rest) = (interval.micros.unsigned_abs() / 1_000_000, interval.micros.unsigned_abs() % 1_000_000);
        let _ = write!(text, "{space}{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        if rest != 0 {
            let _ = write!(text, ".{}", format!("{rest:06}").trim_end_matches('0'));
        }
    }
    text
}

//! What a string literal is as a value of one of PostgreSQL's own types, as far as no setting of a session decides it.

use crate::data_type::DataType;
use crate::expr::ExprNode;

/// Words of an interval, which no date has.
const LENGTHS: [&str; 12] =
    ["second", "seconds", "minute", "minutes", "hour", "hours", "day", "days", "week", "weeks", "months", "years"];

/// Why a literal surely is no value of the type: SQLSTATE and message.
pub(crate) fn mistake_in(text: &str, data_type: &DataType) -> Option<(&'static str, String)> {
    let begins = |with: [char; 2]| text.trim_start().starts_with(with);
    if data_type.is_array() && !is_stand_in(text) && !begins(['{', '[']) {
        return Some(("22P02", format!("malformed array literal: \"{text}\"")));
    }
    if is_stand_in(text) || data_type.is_array() || data_type.name.schema.is_some() {
        return None;
    }
    let trimmed = text.trim();
    let no_digits = !trimmed.is_empty() && !trimmed.contains(|c: char| c.is_ascii_digit());
    let word = trimmed.to_ascii_lowercase();
    let dated = ["date", "timestamp", "timestamptz"].iter().any(|name| data_type.is(name));
    if dated && is_no_day(trimmed) {
        return Some(("22008", format!("date/time field value out of range: \"{text}\"")));
    }
    if let Some(mistake) = no_integer(text, data_type) {
        return Some(mistake);
    }
    let length = dated && trimmed.split_whitespace().any(|word| LENGTHS.contains(&word.to_ascii_lowercase().as_str()));
    let (wrong, sqlstate, name) = match data_type.name.name.as_str() {
        "numeric" => {
            let special = word.contains("nan") || word.contains("inf");
            let strange = |character: char| !(character.is_ascii_digit() || "+-._e".contains(character));
            (!special && (no_digits || (!has_base(&word) && word.contains(strange))), "22P02", "numeric")
        }
        "float4" | "float8" => return None,
        "uuid" => (trimmed.len() < 32, "22P02", "uuid"),
        "inet" => (no_digits && !word.contains(':'), "22P02", "inet"),
        "jsonb" | "json" => (crate::jsonb::is_broken(text), "22P02", "json"),
        "bool" => {
            let truth = ["true", "false", "yes", "no", "on", "off", "1", "0"];
            let known = truth.iter().any(|known| !word.is_empty() && known.starts_with(word.as_str()) && word != "o");
            (!known, "22P02", "boolean")
        }
        "date" | "timestamp" | "timestamptz" | "time" | "timetz" | "interval" => {
            let special = ["now", "today", "tomorrow", "yesterday", "epoch", "infinity", "-infinity", "allballs"];
            // Punctuation separates and is passed over (`ParseDateTime`), as in `now()`.
            let bare = word.trim_end_matches(|character: char| character.is_ascii_punctuation());
            let wrong = length || (no_digits && !special.contains(&bare));
            let name = match data_type.name.name.as_str() {
                "timestamp" => "timestamp",
                "timestamptz" => "timestamp with time zone",
                "time" => "time",
                "timetz" => "time with time zone",
                "interval" => "interval",
                _ => "date",
            };
            (wrong, "22007", name)
        }
        _ => return None,
    };
    if !wrong {
        return None;
    }
    // Of JSON the detail tells where.
    let shown = if name == "json" { String::new() } else { format!(": \"{text}\"") };
    Some((sqlstate, format!("invalid input syntax for type {name}{shown}")))
}

/// Why a constant that is assigned to the type surely fails: it is too long for it, or out of its range.
pub(crate) fn misfit(node: &ExprNode, data_type: &DataType) -> Option<(&'static str, String)> {
    if data_type.is_array() || data_type.name.schema.is_some() {
        return None;
    }
    if matches!(node, ExprNode::Text(text) if is_stand_in(text)) {
        return None;
    }
    let modifier = |place: usize| data_type.modifiers.get(place).and_then(|number| usize::try_from(*number).ok());
    let name = data_type.name.name.as_str();
    match (node, name) {
        (ExprNode::Text(text), "varchar" | "bpchar") => {
            // Blanks beyond the length are cut off.
            let length = modifier(0)?;
            (text.trim_end_matches(' ').chars().count() > length)
                .then(|| ("22001", format!("value too long for type {data_type}")))
        }
        (ExprNode::Number(text), "int2" | "int4" | "int8") => {
            let (bits, shown) = match name {
                "int2" => (16, "smallint"),
                "int4" => (32, "integer"),
                _ => (64, "bigint"),
            };
            let value = text.parse::<i128>().ok()?;
            (value >= 1_i128 << (bits - 1)).then(|| ("22003", format!("{shown} out of range")))
        }
        (ExprNode::Number(text) | ExprNode::Text(text), "numeric") => {
            let (precision, scale) = (modifier(0)?, modifier(1).unwrap_or(0));
            let value = text.trim().parse::<f64>().ok().filter(|value| value.is_finite())?;
            let digits = i32::try_from(precision.checked_sub(scale)?).ok()?;
            let half = 0.5 * 10_f64.powi(-i32::try_from(scale).ok()?);
            let edge = 10_f64.powi(digits);
            // On the very edge the arithmetic here is not exact enough.
            (value.abs() >= edge || value.abs() + half > edge * (1.0 + 1e-9))
                .then(|| ("22003", "numeric field overflow".to_owned()))
        }
        _ => None,
    }
}

/// A value in angle brackets stands for one that only Python knows.
fn is_stand_in(text: &str) -> bool {
    text.starts_with('<') && text.ends_with('>')
}

/// `0x1F`, which is a number from 16 on.
fn has_base(word: &str) -> bool {
    ["0x", "0o", "0b"].iter().any(|base| word.trim_start_matches(['+', '-']).starts_with(base))
}

fn no_integer(text: &str, data_type: &DataType) -> Option<(&'static str, String)> {
    let (name, bits) = match data_type.name.name.as_str() {
        "int2" => ("smallint", 16),
        "int4" => ("integer", 32),
        "int8" => ("bigint", 64),
        _ => return None,
    };
    let word = text.trim().to_ascii_lowercase();
    // Underscores stand between digits from 16 on.
    if has_base(&word) || word.contains('_') {
        return None;
    }
    let digits = word.strip_prefix(['+', '-']).unwrap_or(&word);
    if digits.is_empty() || digits.contains(|character: char| !character.is_ascii_digit()) {
        return Some(("22P02", format!("invalid input syntax for type {name}: \"{text}\"")));
    }
    let largest = 1_i128 << (bits - 1);
    let value = word.trim_start_matches('+').parse::<i128>();
    (!value.is_ok_and(|value| (-largest..largest).contains(&value)))
        .then(|| ("22003", format!("value \"{text}\" is out of range for type {name}")))
}

/// `2020-02-30`: of the form that every DateStyle reads alike, and no day of the calendar.
fn is_no_day(text: &str) -> bool {
    let Some((date, rest)) = text.split_at_checked(10) else { return false };
    let fields: Vec<&str> = date.split('-').collect();
    let [year, month, day] = fields.as_slice() else { return false };
    let digits = |field: &str, length: usize| field.len() == length && field.bytes().all(|byte| byte.is_ascii_digit());
    if !(digits(year, 4) && digits(month, 2) && digits(day, 2) && (rest.is_empty() || rest.starts_with([' ', 'T']))) {
        return false;
    }
    let number = |field: &str| field.parse::<u32>().unwrap_or_default();
    let (year, month, day) = (number(year), number(month), number(day));
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    !(1..=12).contains(&month) || !(1..=days).contains(&day)
}

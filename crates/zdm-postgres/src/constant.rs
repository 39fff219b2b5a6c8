//! The value that a literal has in a column, in the order of the type's default btree operator class.

use std::cmp::Ordering;

use crate::cast;
use crate::catalog::{Catalog, UserTypeKind};
use crate::data_type::DataType;
use crate::expr::ExprNode;
use crate::proof::Literal;
use crate::statement::TypeDefinition;

/// A type as far as its literals are understood.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Integers of some bits.
    Integer,
    /// Numbers with that many digits behind the point; any number of them where that is not given.
    Number(Option<i32>),
    /// Days, without a time or with one; `zoned` is `timestamptz`.
    Moment {
        days: bool,
        zoned: bool,
    },
    /// The labels of an enum, in its order.
    Enum(Vec<String>),
    Uuid,
    Text,
    /// Only what is written alike is the same.
    Other,
}

/// A value; those of one type compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Constant {
    /// In millionths.
    Number(i128),
    /// Microseconds, and whether a zone was given where one matters.
    Moment(i128, bool),
    Label(usize),
    Text(String),
    Written(String),
}

/// In microseconds.
const DAY: i128 = 86_400 * 1_000_000;

/// How far two zones may be apart, in microseconds.
const ZONES: i128 = 32 * 3600 * 1_000_000;

impl Constant {
    /// `None`: a setting or a collation decides it, or it is not known.
    pub(crate) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => Some(left.cmp(right)),
            (Self::Moment(left, zoned), Self::Moment(right, other)) => {
                (zoned == other || (left - right).abs() > ZONES).then(|| left.cmp(right))
            }
            (Self::Label(left), Self::Label(right)) => Some(left.cmp(right)),
            (Self::Text(left), Self::Text(right)) if left == right => Some(Ordering::Equal),
            // Every collation orders small letters and digits alike.
            (Self::Text(left), Self::Text(right)) => (is_plain(left) && is_plain(right)).then(|| left.cmp(right)),
            (Self::Written(left), Self::Written(right)) => (left == right).then_some(Ordering::Equal),
            _ => None,
        }
    }

    /// Whether it is surely another value: texts are the same only where they are written alike.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(left), Self::Text(right)) => left != right,
            _ => self.order(other).is_some_and(Ordering::is_ne),
        }
    }
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
}

impl Kind {
    pub(crate) fn of(catalog: &Catalog, data_type: &DataType) -> Self {
        let base = cast::base_type(catalog, data_type);
        if base.is_array() {
            return Self::Other;
        }
        if let Some(known) = catalog.user_type(&base.name)
            && let UserTypeKind::Defined(TypeDefinition::Enum(labels)) = &known.kind
        {
            return Self::Enum(labels.clone());
        }
        if base.name.schema.is_some() {
            return Self::Other;
        }
        match base.name.name.as_str() {
            "int2" | "int4" | "int8" => Self::Integer,
            "numeric" => match base.modifiers.as_slice() {
                [] => Self::Number(None),
                [_, scale, ..] => Self::Number(Some(*scale)),
                [_] => Self::Number(Some(0)),
            },
            "date" => Self::Moment { days: true, zoned: false },
            "timestamp" if base.modifiers.is_empty() => Self::Moment { days: false, zoned: false },
            "timestamptz" if base.modifiers.is_empty() => Self::Moment { days: false, zoned: true },
            "uuid" => Self::Uuid,
            "text" | "varchar" => Self::Text,
            _ => Self::Other,
        }
    }

    /// The value of a literal that is assigned to a column of the type.
    pub(crate) fn assigned(&self, literal: &Literal) -> Option<Constant> {
        match (self, literal) {
            (Self::Integer, Literal::Number(number)) => in_millionths(number.round()),
            (Self::Integer, Literal::Text(text)) => {
                let digits = text.trim();
                let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
                let plain = !unsigned.is_empty() && unsigned.bytes().all(|digit| digit.is_ascii_digit());
                let number = digits.trim_start_matches('+').parse::<i64>().ok().filter(|_| plain)?;
                Some(Constant::Number(i128::from(number) * 1_000_000))
            }
            (Self::Number(scale), Literal::Number(number)) => rounded(*number, *scale),
            (Self::Number(scale), Literal::Text(text)) => {
                let number = text.trim();
                let plain = number.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
                rounded(number.parse().ok().filter(|_| plain)?, *scale)
            }
            (Self::Moment { days, zoned }, Literal::Text(text)) => moment(text.trim(), *days, *zoned),
            (Self::Enum(labels), Literal::Text(text)) => {
                labels.iter().position(|label| label == text).map(Constant::Label)
            }
            (Self::Uuid, Literal::Text(text)) => {
                crate::deparse::canonical(text, "uuid").map(|text| Constant::Text(text.replace('-', "")))
            }
            (Self::Text, literal) => Some(Constant::Text(literal.text())),
            (Self::Other, literal) => Some(Constant::Written(literal.text())),
            _ => None,
        }
    }

    /// The value that a column of the type is compared with, by an operator of the class that depends on no setting.
    pub(crate) fn compared(&self, node: &ExprNode) -> Option<Constant> {
        match (self, node) {
            (Self::Integer, ExprNode::Number(text)) => {
                Some(Constant::Number(i128::from(text.parse::<i64>().ok()?) * 1_000_000))
            }
            (Self::Number(_), ExprNode::Number(text)) => rounded(text.parse().ok()?, None),
            (Self::Number(_), ExprNode::Text(_)) => Self::Number(None).assigned(&Literal::of(node)?),
            (Self::Integer | Self::Number(_), ExprNode::Prefix { operator, expr }) if operator == "-" => {
                match (self.compared(expr)?, &**expr) {
                    (Constant::Number(number), ExprNode::Number(_)) => Some(Constant::Number(-number)),
                    _ => None,
                }
            }
            (_, ExprNode::Text(_)) => self.assigned(&Literal::of(node)?),
            (Self::Other, _) => self.assigned(&Literal::of(node)?),
            (_, ExprNode::Cast { expr, data_type }) if self.is_of(data_type) => self.compared(expr),
            _ => None,
        }
    }

    /// Whether a constant of the type is compared with the column as it is.
    fn is_of(&self, data_type: &DataType) -> bool {
        let is = |names: &[&str]| names.iter().any(|name| data_type.is(name)) && data_type.modifiers.is_empty();
        match self {
            Self::Integer => is(&["int2", "int4", "int8"]),
            Self::Number(_) => is(&["int2", "int4", "int8", "numeric"]),
            Self::Moment { days: true, .. } => is(&["date"]),
            Self::Moment { zoned: true, .. } => is(&["timestamptz"]),
            // A day begins at midnight.
            Self::Moment { .. } => is(&["timestamp", "date"]),
            Self::Uuid => is(&["uuid"]),
            Self::Text => is(&["text", "varchar"]),
            // A cast to another type would have another order.
            Self::Enum(_) => !["text", "varchar", "bpchar"].iter().any(|name| data_type.is(name)),
            Self::Other => true,
        }
    }
}

/// To `scale` digits behind the point.
fn rounded(number: f64, scale: Option<i32>) -> Option<Constant> {
    match scale {
        Some(scale) if (0..=6).contains(&scale) => {
            let power = 10_f64.powi(scale);
            in_millionths((number * power).round() / power)
        }
        Some(_) => None,
        None => in_millionths(number),
    }
}

/// Only where the arithmetic here is exact.
fn in_millionths(number: f64) -> Option<Constant> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let (value, factor) = if number.fract() == 0.0 { (number, 1_000_000) } else { ((number * 1e6).round(), 1) };
    if !value.is_finite()
        || value.abs() >= EXACT
        || (factor == 1 && (value / 1e6 - number).abs() > f64::EPSILON * number.abs())
    {
        return None;
    }
    // It is a whole number that fits.
    format!("{value:.0}").parse::<i128>().ok().map(|value| Constant::Number(value * factor))
}

/// A day in the form of ISO 8601, which every DateStyle reads alike, with a time and a zone or without.
fn moment(text: &str, days: bool, zoned: bool) -> Option<Constant> {
    match text.to_ascii_lowercase().as_str() {
        "infinity" => return Some(Constant::Moment(i128::MAX / 4, zoned)),
        "-infinity" => return Some(Constant::Moment(i128::MIN / 4, zoned)),
        _ => {}
    }
    let (date, time) = match text.find([' ', 'T']) {
        Some(place) => (text.get(..place)?, text.get(place + 1..)?.trim()),
        None => (text, ""),
    };
    let day = day_number(date)?;
    let zone_at = time.find(|character: char| !(character.is_ascii_digit() || matches!(character, ':' | '.')));
    let (clock, zone) = time.split_at(zone_at.unwrap_or(time.len()));
    let clock = if clock.is_empty() && zone.is_empty() { 0 } else { micros_of_day(clock)? };
    let offset = match zone.trim() {
        "" => None,
        "Z" | "z" | "UTC" => Some(0),
        other => Some(offset_seconds(other)?),
    };
    let micros = i128::from(day) * DAY + if days { 0 } else { clock };
    // Where no zone is kept, one that is written is passed over.
    let away = offset.filter(|_| zoned).unwrap_or(0);
    Some(Constant::Moment(micros - i128::from(away) * 1_000_000, zoned && offset.is_some()))
}

/// Days since 1970 of `2024-02-29` or `20240229`.
pub(crate) fn day_number(date: &str) -> Option<i64> {
    let digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse::<i64>().ok())?;
    let fields: Vec<&str> = date.split('-').collect();
    let (year, month, day) = match fields.as_slice() {
        [year, month, day] if year.len() == 4 && (1..=2).contains(&month.len()) && (1..=2).contains(&day.len()) => {
            (digits(year)?, digits(month)?, digits(day)?)
        }
        [whole] if whole.len() == 8 => (digits(whole.get(..4)?)?, digits(whole.get(4..6)?)?, digits(whole.get(6..)?)?),
        _ => return None,
    };
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years begin in March, so that the day of a leap year is the last.
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

fn micros_of_day(clock: &str) -> Option<i128> {
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let fields: Vec<u32> = whole.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let (hours, minutes, seconds) = match fields.as_slice() {
        [hours, minutes] => (*hours, *minutes, 0),
        [hours, minutes, seconds] => (*hours, *minutes, *seconds),
        _ => return None,
    };
    if hours > 24 || minutes > 59 || seconds > 60 || fraction.len() > 6 {
        return None;
    }
    let micros: u32 = if fraction.is_empty() { 0 } else { format!("{fraction:0<6}").parse().ok()? };
    Some((i128::from(hours) * 3600 + i128::from(minutes) * 60 + i128::from(seconds)) * 1_000_000 + i128::from(micros))
}

/// `+02`, `-05:30`, `+0200`.
fn offset_seconds(zone: &str) -> Option<i64> {
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let digits = zone.strip_prefix(['+', '-'])?.replace(':', "");
    let plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    let number: i64 = digits.parse().ok().filter(|_| plain)?;
    match digits.len() {
        1 | 2 => Some(sign * number * 3600),
        4 => Some(sign * (number / 100 * 3600 + number % 100 * 60)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Literal};
    use std::cmp::Ordering::{Equal, Greater, Less};

    /// As a server orders `'left'::type` and `'right'::type`, whatever its settings and collations.
    #[test]
    fn constants_are_ordered_as_their_type_orders_them() {
        let zoned = Kind::Moment { days: false, zoned: true };
        let enumeration = Kind::Enum(vec!["tiny".to_owned(), "mid".to_owned(), "big".to_owned()]);
        for (kind, left, right, order) in [
            (Kind::Integer, "-5", "-3", Some(Less)),
            (Kind::Integer, " 9 ", "10", Some(Less)),
            (Kind::Integer, "9007199254740992", "9007199254740993", Some(Less)),
            (Kind::Number(Some(2)), "10.499", "10.5", Some(Equal)),
            (Kind::Number(None), "10.499", "10.5", Some(Less)),
            (Kind::Moment { days: true, zoned: false }, "2024-02-29", "20240301", Some(Less)),
            (Kind::Moment { days: true, zoned: false }, "12/15/2024", "02/15/2025", None),
            (zoned.clone(), "2023-02-01 02:00:00+05", "2023-02-01 01:00:00-05", Some(Less)),
            (zoned.clone(), "2023-02-01 00:00:00", "2023-02-01 01:00:00+00", None),
            (zoned, "2023-02-01", "2023-03-01 00:00:00+00", Some(Less)),
            (enumeration, "big", "mid", Some(Greater)),
            (Kind::Text, "b", "abc", Some(Greater)),
            (Kind::Text, "B", "a", None),
        ] {
            let [left, right] = [left, right].map(|text| kind.assigned(&Literal::Text(text.to_owned())));
            let found = left.zip(right).and_then(|(left, right)| left.order(&right));
            assert_eq!(found, order, "{kind:?}");
        }
    }
}

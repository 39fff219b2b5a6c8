//! SET, RESET and SHOW of a parameter: whether there is one of that name, whether a session can set it, and to that value
//! (`set_config_option` and `parse_and_validate_value` in `guc.c`).

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::{Run, Step, refuse};

/// Parameters that `pg_settings` does not show.
const HIDDEN: [&str; 5] = ["role", "session_authorization", "is_superuser", "seed", "default_with_oids"];

#[derive(Debug)]
struct Parameter {
    /// The first and the last major version that has it so.
    versions: (u16, u16),
    kind: &'static str,
    unit: &'static str,
    values: &'static str,
    context: &'static str,
}

fn parameters() -> &'static BTreeMap<&'static str, Vec<Parameter>> {
    static PARAMETERS: OnceLock<BTreeMap<&'static str, Vec<Parameter>>> = OnceLock::new();
    PARAMETERS.get_or_init(|| {
        let mut all: BTreeMap<&'static str, Vec<Parameter>> = BTreeMap::new();
        for line in include_str!("../parameters.txt").lines().filter(|line| !line.starts_with('#')) {
            let [name, versions, kind, unit, context, values] = *line.splitn(6, ' ').collect::<Vec<_>>() else {
                continue;
            };
            let (first, last) = versions.split_once('-').unwrap_or((versions, ""));
            let versions = (first.parse().unwrap_or(0), last.parse().unwrap_or(u16::MAX));
            all.entry(name).or_default().push(Parameter { versions, kind, unit, values, context });
        }
        all
    })
}

impl Run {
    /// The parameter, where it is one whose values are known; 42704 where there is none of that name.
    fn find_parameter(&self, name: &str) -> Step<Option<(String, &'static Parameter)>> {
        let name = name.to_ascii_lowercase();
        // A name with a dot is anybody's.
        if name.contains('.') || HIDDEN.contains(&name.as_str()) {
            return Ok(None);
        }
        let fits = |parameter: &&Parameter| {
            let (first, last) = parameter.versions;
            self.version.at_least(first) && (last == u16::MAX || !self.version.at_least(last + 1))
        };
        match parameters().get(name.as_str()).and_then(|all| all.iter().find(fits)) {
            Some(parameter) => Ok(Some((name, parameter))),
            None => refuse("42704", format!("unrecognized configuration parameter \"{name}\"")),
        }
    }

    pub(super) fn need_parameter(&self, name: &str) -> Step {
        self.find_parameter(name).map(|_| ())
    }

    /// SET to the value; `None` is DEFAULT.
    pub(super) fn check_parameter(&self, name: &str, value: Option<&str>) -> Step {
        if name == "transaction" {
            let words = value.unwrap_or_default().to_ascii_uppercase();
            // The level that is the default may be what it is.
            let changes = words.contains("ISOLATION") && !words.contains("READ COMMITTED");
            if self.state.facts.has_snapshot && changes {
                return refuse("25001", "SET TRANSACTION ISOLATION LEVEL must be called before any query");
            }
            if self.state.facts.has_snapshot && self.state.settings.is_read_only() && words.contains("READ WRITE") {
                return refuse("25001", "transaction read-write mode must be set before any query");
            }
            return Ok(());
        }
        if name == "session characteristics" {
            return Ok(());
        }
        let Some((name, parameter)) = self.find_parameter(name)? else { return Ok(()) };
        let when = match parameter.context {
            "internal" => Some("cannot be changed"),
            "postmaster" => Some("cannot be changed without restarting the server"),
            "sighup" => Some("cannot be changed now"),
            "backend" => Some("cannot be set after connection start"),
            _ => None,
        };
        if let Some(when) = when {
            return refuse("55P02", format!("parameter \"{name}\" {when}"));
        }
        let Some(value) = value else { return Ok(()) };
        let invalid = || refuse("22023", format!("invalid value for parameter \"{name}\": \"{value}\""));
        match parameter.kind {
            "bool" if !is_truth(value) => refuse("22023", format!("parameter \"{name}\" requires a Boolean value")),
            // Some truth values and numbers stand for a member without being listed.
            "enum" => {
                let known = parameter.values.split(',').any(|known| known.eq_ignore_ascii_case(value));
                let other = is_truth(value) || value.parse::<i64>().is_ok();
                let synonym =
                    matches!(value.to_ascii_lowercase().as_str(), "debug" | "info" | "fatal" | "panic" | "err");
                if known || other || synonym { Ok(()) } else { invalid() }
            }
            "integer" => match number(value, parameter.unit) {
                Some(number) if number.abs() < 9e18 => {
                    self.check_range(&name, parameter, number.round_ties_even(), |value| format!("{value:.0}"))
                }
                _ => invalid(),
            },
            _ if name == "timezone" && is_no_zone(value) => {
                refuse("22023", format!("invalid value for parameter \"TimeZone\": \"{value}\""))
            }
            "real" => match number(value, parameter.unit) {
                Some(number) => self.check_range(&name, parameter, number, |value| value.to_string()),
                None => invalid(),
            },
            _ => Ok(()),
        }
    }

    fn check_range(&self, name: &str, parameter: &Parameter, value: f64, shown: impl Fn(f64) -> String) -> Step {
        let Some((least, most)) = parameter.values.split_once("..") else { return Ok(()) };
        let (Ok(from), Ok(to)) = (least.parse::<f64>(), most.parse::<f64>()) else { return Ok(()) };
        if (from..=to).contains(&value) {
            return Ok(());
        }
        let unit = if parameter.unit == "-" { String::new() } else { format!(" {}", parameter.unit) };
        // Since 17 the bounds have their unit, too.
        let of_bounds = if self.version.at_least(17) { unit.as_str() } else { "" };
        refuse(
            "22023",
            format!(
                "{}{unit} is outside the valid range for parameter \"{name}\" ({least}{of_bounds} .. {most}{of_bounds})",
                shown(value)
            ),
        )
    }
}

/// `parse_bool`.
fn is_truth(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    let begins = |word: &str| !value.is_empty() && word.starts_with(&value);
    ["true", "false", "yes", "no"].into_iter().any(begins)
        || (value.len() > 1 && ["on", "off"].into_iter().any(begins))
        || matches!(value.as_str(), "1" | "0")
}

/// `parse_int` and `parse_real`: a number in the parameter's unit, which another unit of the same kind may follow.
fn number(value: &str, unit: &str) -> Option<f64> {
    let value = value.trim();
    let end = value.find(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E')).unwrap_or(value.len());
    let (digits, given) = (value.get(..end)?.trim_end(), value.get(end..)?);
    if let Some(hexadecimal) = given.strip_prefix(['x', 'X']).filter(|_| digits == "0") {
        return u32::from_str_radix(hexadecimal, 16).ok().map(f64::from);
    }
    let number: f64 = digits.parse().ok().filter(|number: &f64| number.is_finite())?;
    if given.is_empty() {
        return Some(number);
    }
    let size = |unit: &str| {
        Some(match unit {
            "B" => (1.0, 'b'),
            "kB" => (1024.0, 'b'),
            "8kB" => (8192.0, 'b'),
            "MB" => (1_048_576.0, 'b'),
            "GB" => (1_073_741_824.0, 'b'),
            "TB" => (1_099_511_627_776.0, 'b'),
            "us" => (1.0, 't'),
            "ms" => (1e3, 't'),
            "s" => (1e6, 't'),
            "min" => (6e7, 't'),
            "h" => (3.6e9, 't'),
            "d" => (8.64e10, 't'),
            _ => return None,
        })
    };
    let ((from, kind), (to, wanted)) = (size(given).filter(|_| given != "8kB")?, size(unit)?);
    (kind == wanted).then_some(number * from / to)
}

/// Whether there is certainly no time zone of that name: one with a digit may be written in the form of POSIX, and a place
/// of a known region may be known to the server's own tables.
fn is_no_zone(value: &str) -> bool {
    const REGIONS: [&str; 16] = [
        "africa",
        "america",
        "antarctica",
        "arctic",
        "asia",
        "atlantic",
        "australia",
        "brazil",
        "canada",
        "chile",
        "etc",
        "europe",
        "indian",
        "mexico",
        "pacific",
        "us",
    ];
    // Names without a region (the file `backward` of the tz database, and its own), and words that are none.
    const NAMES: [&str; 48] = [
        "utc",
        "gmt",
        "uct",
        "zulu",
        "universal",
        "greenwich",
        "cuba",
        "egypt",
        "eire",
        "gb",
        "gb-eire",
        "hongkong",
        "iceland",
        "iran",
        "israel",
        "jamaica",
        "japan",
        "kwajalein",
        "libya",
        "met",
        "nz",
        "nz-chat",
        "navajo",
        "prc",
        "poland",
        "portugal",
        "roc",
        "rok",
        "singapore",
        "turkey",
        "w-su",
        "wet",
        "cet",
        "eet",
        "est",
        "mst",
        "hst",
        "factory",
        "localtime",
        "posixrules",
        "local",
        "default",
        "systemv",
        "gmt0",
        "gmt+0",
        "gmt-0",
        "leapseconds",
        "tzdata",
    ];
    let value = value.to_ascii_lowercase();
    let plain = !value.is_empty()
        && value.chars().all(|character| character.is_ascii_alphabetic() || "/_-".contains(character));
    plain
        && match value.split_once('/') {
            Some((region, _)) => !REGIONS.contains(&region),
            None => !NAMES.contains(&value.as_str()),
        }
}

#[cfg(test)]
mod tests {
    use super::{is_truth, number};

    #[test]
    fn numbers_have_units_of_their_kind() {
        assert_eq!(number("3s", "ms"), Some(3000.0));
        assert_eq!(number(" 1.5 min ", "s"), Some(90.0));
        assert_eq!(number("-1", "ms"), Some(-1.0));
        assert_eq!(number("64MB", "kB"), Some(65536.0));
        assert_eq!(number("0x10", "-"), Some(16.0));
        assert_eq!(number("1e3", "-"), Some(1000.0));
        for wrong in ["3 days", "x", "", "3kB", "3 s s"] {
            assert_eq!(number(wrong, "ms"), None, "{wrong}");
        }
    }

    #[test]
    fn truth_values_may_be_short() {
        assert!(["on", "of", "t", "FALSE", "1", "y"].into_iter().all(is_truth));
        assert!(!["o", "", "maybe", "2"].into_iter().any(is_truth));
    }
}

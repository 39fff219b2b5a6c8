//! Which functions give the same answer every time: the volatility of PostgreSQL's own functions, per version.
//!
//! The table `volatility/functions.txt` is written from the servers' `pg_proc` by `volatility/functions.sql`;
//! its header says how. Overloads that differ within one number of arguments count as the most volatile of them.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::catalog::{Catalog, Function};
use crate::expr::ExprNode;
use crate::name::QualifiedName;
use crate::statement::Volatility;
use crate::version::PgVersion;

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Builtin {
    least_arguments: u8,
    /// `u8::MAX` where the last argument repeats.
    most_arguments: u8,
    /// Of the least and of the most volatile of the overloads.
    least: Volatility,
    volatility: Volatility,
    since: u16,
    until: u16,
}

fn builtins() -> &'static BTreeMap<&'static str, Vec<Builtin>> {
    static TABLE: OnceLock<BTreeMap<&'static str, Vec<Builtin>>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table: BTreeMap<&'static str, Vec<Builtin>> = BTreeMap::new();
        for line in include_str!("volatility/functions.txt").lines() {
            let mut words = line.split_whitespace();
            let Some(name) = words.next().filter(|name| !name.starts_with('#')) else { continue };
            let Some((least, most)) = words.next().and_then(|range| range.split_once('-')) else { continue };
            let letters = words.next().unwrap_or("v");
            let volatility = |letter: Option<char>| match letter {
                Some('i') => Volatility::Immutable,
                Some('s') => Volatility::Stable,
                _ => Volatility::Volatile,
            };
            let (least_volatile, volatility) = (volatility(letters.chars().next()), volatility(letters.chars().last()));
            let mut since = 0;
            let mut until = u16::MAX;
            for word in words {
                if let Some(number) = word.strip_prefix('+') {
                    since = number.parse().unwrap_or(since);
                } else if let Some(number) = word.strip_prefix('-') {
                    until = number.parse().unwrap_or(until);
                }
            }
            table.entry(name).or_default().push(Builtin {
                least_arguments: least.parse().unwrap_or(0),
                most_arguments: most.parse().unwrap_or(u8::MAX),
                least: least_volatile,
                volatility,
                since,
                until,
            });
        }
        table
    })
}

/// What is known of a function call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Volatility(Volatility),
    /// A built-in function of other versions: 42883.
    NotInThisVersion,
    /// Nobody here has heard of it.
    Unknown,
}

/// The volatility of the built-in functions of that name and number of arguments.
pub(crate) fn builtin(name: &str, arguments: usize, version: PgVersion) -> Known {
    let Some(overloads) = builtins().get(name) else { return Known::Unknown };
    let here = overloads.iter().filter(|overload| (overload.since..=overload.until).contains(&version.major));
    let mut any = None;
    let mut exact = None;
    for overload in here {
        any = any.max(Some(overload.volatility));
        if (usize::from(overload.least_arguments)..=usize::from(overload.most_arguments)).contains(&arguments)
            || overload.most_arguments == u8::MAX && arguments >= usize::from(overload.least_arguments)
        {
            exact = exact.max(Some(overload.volatility));
        }
    }
    exact.or(any).map_or(Known::NotInThisVersion, Known::Volatility)
}

/// The least and the most volatile of the built-in functions of that name with that number of arguments.
pub(crate) fn builtin_range(name: &str, arguments: usize, version: PgVersion) -> Option<(Volatility, Volatility)> {
    let alike = builtins().get(name)?.iter().filter(|overload| {
        let repeats = overload.most_arguments == u8::MAX;
        (overload.since..=overload.until).contains(&version.major)
            && arguments >= usize::from(overload.least_arguments)
            && (repeats || arguments <= usize::from(overload.most_arguments))
    });
    let least = alike.clone().map(|overload| overload.least).min()?;
    let most = alike.map(|overload| overload.volatility).max()?;
    Some((least, most))
}

/// The volatility of an expression: the most volatile function in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExprVolatility {
    Known(Volatility),
    /// At least this, and more if these functions are.
    Unknown(Vec<QualifiedName>),
}

/// `resolve` finds user functions: the candidates of a written name.
pub(crate) fn expression(
    node: &ExprNode,
    catalog: &Catalog,
    version: PgVersion,
    resolve: &dyn Fn(&QualifiedName) -> Option<QualifiedName>,
) -> ExprVolatility {
    let mut most = Volatility::Immutable;
    let mut unknown: Vec<QualifiedName> = Vec::new();
    node.walk(&mut |node| {
        let (function, arguments) = match node {
            ExprNode::Call { function, args, .. } => (function, args.len()),
            ExprNode::Other { .. } => {
                return;
            }
            _ => return,
        };
        match call(function, arguments, catalog, version, resolve) {
            Known::Volatility(volatility) => most = most.max(volatility),
            Known::NotInThisVersion | Known::Unknown => {
                if !unknown.contains(function) {
                    unknown.push(function.clone());
                }
            }
        }
    });
    if most == Volatility::Volatile || unknown.is_empty() {
        ExprVolatility::Known(most)
    } else {
        ExprVolatility::Unknown(unknown)
    }
}

/// The volatility of one call as the planner sees it: an SQL function that is inlined counts as its body.
pub(crate) fn call(
    function: &QualifiedName,
    arguments: usize,
    catalog: &Catalog,
    version: PgVersion,
    resolve: &dyn Fn(&QualifiedName) -> Option<QualifiedName>,
) -> Known {
    if let Some(user) = resolve(function) {
        let overloads = catalog.functions(&user);
        let matching: Vec<&Function> =
            overloads.iter().filter(|overload| overload.arguments.len() == arguments).collect();
        let considered: Vec<&Function> = if matching.is_empty() { overloads.iter().collect() } else { matching };
        let mut most = Volatility::Immutable;
        for overload in considered {
            match planned_volatility(overload) {
                Some(volatility) => most = most.max(volatility),
                None => return Known::Unknown,
            }
        }
        return Known::Volatility(most);
    }
    if function.schema.as_ref().is_some_and(|schema| *schema != "pg_catalog") {
        return Known::Unknown;
    }
    let name = function.name.as_str().to_ascii_lowercase();
    if let Some(volatility) = of_extension(&name, catalog) {
        return Known::Volatility(volatility);
    }
    builtin(&name, arguments, version)
}

/// Functions of the extensions that come with the server.
fn of_extension(name: &str, catalog: &Catalog) -> Option<Volatility> {
    let (extension, volatility) = extension_of_function(name)?;
    catalog.has_extension(extension).then_some(volatility)
}

/// The extension that has a function of that name.
pub(crate) fn extension_of_function(name: &str) -> Option<(&'static str, Volatility)> {
    Some(match name {
        "uuid_generate_v1" | "uuid_generate_v1mc" | "uuid_generate_v4" => ("uuid-ossp", Volatility::Volatile),
        "uuid_generate_v3" | "uuid_generate_v5" | "uuid_nil" | "uuid_ns_url" | "uuid_ns_dns" => {
            ("uuid-ossp", Volatility::Immutable)
        }
        "gen_random_uuid" | "gen_random_bytes" | "gen_salt" => ("pgcrypto", Volatility::Volatile),
        "crypt" | "digest" | "hmac" => ("pgcrypto", Volatility::Immutable),
        "unaccent" => ("unaccent", Volatility::Stable),
        "hstore" | "hstore_to_json" | "hstore_to_jsonb" => ("hstore", Volatility::Immutable),
        "similarity" | "word_similarity" | "strict_word_similarity" => ("pg_trgm", Volatility::Immutable),
        _ => return None,
    })
}

/// `None`: whether the planner inlines it cannot be told.
fn planned_volatility(function: &Function) -> Option<Volatility> {
    let sql = function.language.as_ref().is_some_and(|language| *language == "sql");
    if !sql || function.volatility != Volatility::Volatile {
        return Some(function.volatility);
    }
    let body = function.body.as_deref()?.trim().trim_end_matches(';').trim();
    let mut words = body.splitn(2, char::is_whitespace);
    if !words.next().is_some_and(|word| word.eq_ignore_ascii_case("select")) {
        return None;
    }
    let value = words.next().unwrap_or("").trim();
    let number = !value.is_empty() && value.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-');
    let quoted = value.len() >= 2
        && value.starts_with('\'')
        && value.ends_with('\'')
        && !value[1..value.len() - 1].contains('\'');
    let keyword = ["null", "true", "false"].iter().any(|keyword| value.eq_ignore_ascii_case(keyword));
    (number || quoted || keyword).then_some(Volatility::Immutable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_knows_the_functions_of_defaults() {
        let cases = [
            ("now", 0, Volatility::Stable),
            ("statement_timestamp", 0, Volatility::Stable),
            ("clock_timestamp", 0, Volatility::Volatile),
            ("random", 0, Volatility::Volatile),
            ("gen_random_uuid", 0, Volatility::Volatile),
            ("nextval", 1, Volatility::Volatile),
            ("lower", 1, Volatility::Immutable),
            ("length", 1, Volatility::Immutable),
            ("current_timestamp", 0, Volatility::Stable),
            ("coalesce", 2, Volatility::Immutable),
        ];
        for (name, arguments, expected) in cases {
            assert_eq!(builtin(name, arguments, PgVersion::major(16)), Known::Volatility(expected), "{name}");
        }
        assert_eq!(builtin("gen_random_uuid", 0, PgVersion::major(12)), Known::NotInThisVersion);
        assert_eq!(builtin("no_such_function", 0, PgVersion::major(16)), Known::Unknown);
    }
}

//! Connection strings: `key=value` pairs and URLs, as PostgreSQL's manual describes them (libpq, "Connection Strings").
//!
//! A connection string becomes a map of parameters; what they mean is decided in [`crate::settings`].
//! Errors never quote the string: it may hold a password.

use std::collections::BTreeMap;

use crate::settings::ConfigError;

/// Parameters by their libpq name.
pub type Parameters = BTreeMap<String, String>;

/// URL schemes that Django's URL helpers use for PostgreSQL besides libpq's two.
const SCHEMES: [&str; 8] =
    ["postgresql", "postgres", "postgis", "psql", "pgsql", "timescale", "timescalegis", "postgres+psycopg"];

/// Query parameters of `DATABASE_URL` that speak to Django and not to libpq.
const DJANGO_PARAMETERS: [&str; 10] = [
    "conn_max_age",
    "conn_health_checks",
    "atomic_requests",
    "autocommit",
    "disable_server_side_cursors",
    "engine",
    "time_zone",
    "pool",
    "server_side_binding",
    "assume_role",
];

/// Reads either form.
///
/// # Errors
/// When the text is neither, or is malformed.
pub fn parse(text: &str) -> Result<Parameters, ConfigError> {
    let text = text.trim();
    match text.split_once("://") {
        Some((scheme, rest)) if SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) => parse_url(rest),
        Some((scheme, _)) if scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')) => {
            Err(ConfigError::Scheme(scheme.to_owned()))
        }
        _ => parse_pairs(text),
    }
}

/// `key = 'value' …`, with `\'` and `\\` as escapes.
fn parse_pairs(text: &str) -> Result<Parameters, ConfigError> {
    let mut parameters = Parameters::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Ok(parameters);
        }
        let mut key = String::new();
        while let Some(c) = chars.next_if(|c| !c.is_whitespace() && *c != '=') {
            key.push(c);
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.next() != Some('=') {
            return Err(ConfigError::Malformed("a connection string has a word without `=`"));
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = chars.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match chars.next() {
                None if quoted => return Err(ConfigError::Malformed("a connection string has an unterminated quote")),
                None => break,
                Some('\\') => value.extend(chars.next()),
                Some('\'') if quoted => break,
                Some(c) if !quoted && c.is_whitespace() => break,
                Some(c) => value.push(c),
            }
        }
        parameters.insert(key, value);
    }
}

/// What follows `postgresql://`.
fn parse_url(rest: &str) -> Result<Parameters, ConfigError> {
    let mut parameters = Parameters::new();
    let rest = rest.split('#').next().unwrap_or_default();
    let (before_query, query) = rest.split_once('?').map_or((rest, None), |(a, b)| (a, Some(b)));
    let (authority, path) = before_query.split_once('/').map_or((before_query, ""), |(a, b)| (a, b));
    let (user_info, hosts) = authority.rsplit_once('@').map_or((None, authority), |(a, b)| (Some(a), b));
    if let Some(user_info) = user_info {
        let (user, password) = user_info.split_once(':').map_or((user_info, None), |(a, b)| (a, Some(b)));
        if !user.is_empty() {
            parameters.insert("user".to_owned(), decode(user)?);
        }
        if let Some(password) = password {
            parameters.insert("password".to_owned(), decode(password)?);
        }
    }
    let mut names = Vec::new();
    let mut ports = Vec::new();
    for host in hosts.split(',') {
        let (name, port) = split_port(host)?;
        names.push(decode(name)?);
        ports.push(port.to_owned());
    }
    if names.iter().any(|name| !name.is_empty()) {
        parameters.insert("host".to_owned(), names.join(","));
    }
    if ports.iter().any(|port| !port.is_empty()) {
        parameters.insert("port".to_owned(), ports.join(","));
    }
    if !path.is_empty() {
        parameters.insert("dbname".to_owned(), decode(path)?);
    }
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) =
            pair.split_once('=').ok_or(ConfigError::Malformed("a URL's query has a parameter without `=`"))?;
        let (key, value) = (decode(key)?, decode(value)?);
        let lower = key.to_ascii_lowercase();
        if DJANGO_PARAMETERS.contains(&lower.as_str()) || lower.starts_with("test_") {
            continue;
        }
        match (lower.as_str(), value.as_str()) {
            ("ssl" | "ssl_require", "true" | "True" | "1") => {
                parameters.entry("sslmode".to_owned()).or_insert_with(|| "require".to_owned());
            }
            ("ssl_require", _) => {}
            _ => {
                parameters.insert(key, value);
            }
        }
    }
    Ok(parameters)
}

fn split_port(host: &str) -> Result<(&str, &str), ConfigError> {
    if let Some(bracketed) = host.strip_prefix('[') {
        let (address, after) =
            bracketed.split_once(']').ok_or(ConfigError::Malformed("a URL has `[` without `]` in its host"))?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((address, port)),
            None if after.is_empty() => Ok((address, "")),
            None => Err(ConfigError::Malformed("a URL has text after `]` in its host")),
        };
    }
    Ok(host.split_once(':').unwrap_or((host, "")))
}

fn decode(text: &str) -> Result<String, ConfigError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = rest.next().and_then(|b| char::from(b).to_digit(16));
            let low = rest.next().and_then(|b| char::from(b).to_digit(16));
            let value = high.zip(low).and_then(|(h, l)| u8::try_from(h * 16 + l).ok()).filter(|value| *value != 0);
            bytes.push(value.ok_or(ConfigError::Malformed("a URL has an invalid percent escape"))?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| ConfigError::Malformed("a URL is not UTF-8 after decoding"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let found = match parse(text) {
            Ok(parameters) => parameters.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" "),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn pairs() {
        check("host=localhost port = 5432 dbname='my db'", "dbname=my db host=localhost port=5432");
        check(r"password='it\'s \\ here' user=a\ b", r"password=it's \ here user=a b");
        check("host= user=x", "host=user=x");
        check("host='' user=x", "host= user=x");
        check("", "");
        check("localhost", "error: a connection string has a word without `=`");
        check("password='abc", "error: a connection string has an unterminated quote");
    }

    #[test]
    fn urls() {
        check("postgresql://", "");
        check("postgres://u:p%40ss@db.example:6432/app", "dbname=app host=db.example password=p@ss port=6432 user=u");
        check("postgresql://a:1,b,[::1]:3/x", "dbname=x host=a,b,::1 port=1,,3");
        check("postgresql://%2Fvar%2Frun%2Fpostgresql/app", "dbname=app host=/var/run/postgresql");
        check("postgresql:///app?host=/tmp&sslmode=require", "dbname=app host=/tmp sslmode=require");
        check("postgis://h/d?conn_max_age=600&ssl_require=True", "dbname=d host=h sslmode=require");
        check("mysql://u:secret@h/d", "error: `mysql` is not a PostgreSQL URL");
        check("postgresql://u:%zz@h", "error: a URL has an invalid percent escape");
        check("postgresql://u@[::1", "error: a URL has `[` without `]` in its host");
    }

    #[test]
    fn no_input_panics_or_leaks() {
        for text in
            ["://", "=", "'", "%", "postgres://%", "postgres://@:@:/?=&", "a=\\", "\u{1F418}://x", "postgres://[]"]
        {
            let _ = parse(text);
        }
        let error = parse("password='hunter2").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

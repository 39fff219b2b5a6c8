//! The text that PostgreSQL prints of a `jsonb` constant: keys in the order of their storage, each once, numbers as
//! `numeric` prints them, escapes only where JSON needs them.
//!
//! Source: PostgreSQL's manual, "JSON Types"; the order of keys is that of `lengthCompareJsonbString`, shorter ones first.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Values nest no deeper than this; what does is left as it was written.
const MAX_DEPTH: u32 = 100;

/// The text as the server prints it; None for what is no JSON, and for numbers whose spelling is not known.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let mut reader = Reader { rest: text };
    let mut printed = String::new();
    reader.value(&mut printed, MAX_DEPTH)?;
    reader.space();
    reader.rest.is_empty().then_some(printed)
}

/// Whether it is no JSON for certain. Escapes of Unicode have refusals of their own, which may come first.
pub(crate) fn is_broken(text: &str) -> bool {
    !text.contains("\\u") && !is_json(text)
}

/// What may stand next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    /// Behind `[`.
    ValueOrEnd,
    Key,
    /// Behind `{`.
    KeyOrEnd,
    Colon,
    /// Behind a value.
    CommaOrEnd,
}

/// Whether the text is one value of RFC 8259; escapes are not looked at.
fn is_json(text: &str) -> bool {
    let (mut open, mut next, mut rest) = (Vec::new(), Next::Value, text);
    let space = [' ', '\t', '\n', '\r'];
    loop {
        rest = rest.trim_start_matches(space);
        let Some(first) = rest.chars().next() else { return open.is_empty() && next == Next::CommaOrEnd };
        let value = matches!(next, Next::Value | Next::ValueOrEnd);
        let mut length = 1;
        next = match first {
            '{' | '[' if value => {
                open.push(first);
                if first == '{' { Next::KeyOrEnd } else { Next::ValueOrEnd }
            }
            '}' if matches!(next, Next::KeyOrEnd | Next::CommaOrEnd) && open.pop() == Some('{') => Next::CommaOrEnd,
            ']' if matches!(next, Next::ValueOrEnd | Next::CommaOrEnd) && open.pop() == Some('[') => Next::CommaOrEnd,
            ',' if next == Next::CommaOrEnd => match open.last() {
                Some('{') => Next::Key,
                Some(_) => Next::Value,
                None => return false,
            },
            ':' if next == Next::Colon => Next::Value,
            '"' if value || matches!(next, Next::Key | Next::KeyOrEnd) => {
                let Some(string) = string_length(rest) else { return false };
                length = string;
                if value { Next::CommaOrEnd } else { Next::Colon }
            }
            _ if value => {
                length = rest.find(|c: char| space.contains(&c) || "{}[],:\"".contains(c)).unwrap_or(rest.len());
                let word = rest.get(..length).unwrap_or("");
                if !matches!(word, "true" | "false" | "null") && !is_number(word) {
                    return false;
                }
                Next::CommaOrEnd
            }
            _ => return false,
        };
        rest = rest.get(length..).unwrap_or("");
    }
}

/// The bytes of the string that the text begins with, quotes included.
fn string_length(text: &str) -> Option<usize> {
    let mut characters = text.char_indices().skip(1);
    loop {
        match characters.next()? {
            (at, '"') => return Some(at + 1),
            (_, '\\') => drop(characters.next()?),
            (_, control) if control < ' ' => return None,
            _ => {}
        }
    }
}

fn is_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = word.split_once(['e', 'E']).map_or((word, None), |(left, right)| (left, Some(right)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(left, right)| (left, Some(right)));
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn takes(&mut self, text: &str) -> bool {
        self.space();
        self.rest.strip_prefix(text).map(|rest| self.rest = rest).is_some()
    }

    fn value(&mut self, printed: &mut String, depth: u32) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        if let Some(word) = ["null", "true", "false"].into_iter().find(|word| self.takes(word)) {
            printed.push_str(word);
        } else if self.takes("{") {
            self.object(printed, depth)?;
        } else if self.takes("[") {
            printed.push('[');
            let mut first = true;
            while !self.takes("]") {
                if !std::mem::replace(&mut first, false) {
                    self.takes(",").then_some(())?;
                    printed.push_str(", ");
                }
                self.value(printed, depth)?;
            }
            printed.push(']');
        } else if self.rest.starts_with('"') {
            push_string(&self.string()?, printed);
        } else {
            printed.push_str(&self.number()?);
        }
        Some(())
    }

    fn object(&mut self, printed: &mut String, depth: u32) -> Option<()> {
        let mut members: BTreeMap<(usize, String), String> = BTreeMap::new();
        while !self.takes("}") {
            if !members.is_empty() {
                self.takes(",").then_some(())?;
                self.space();
            }
            let key = self.string()?;
            self.takes(":").then_some(())?;
            let mut value = String::new();
            self.value(&mut value, depth)?;
            // Of several with one key the last one stays.
            members.insert((key.len(), key), value);
        }
        printed.push('{');
        for (index, ((_, key), value)) in members.iter().enumerate() {
            if index > 0 {
                printed.push_str(", ");
            }
            push_string(key, printed);
            printed.push_str(": ");
            printed.push_str(value);
        }
        printed.push('}');
        Some(())
    }

    fn string(&mut self) -> Option<String> {
        let mut found = String::new();
        let mut rest = self.rest.strip_prefix('"')?.chars();
        loop {
            match rest.next()? {
                '"' => break,
                '\\' => match rest.next()? {
                    'b' => found.push('\u{8}'),
                    'f' => found.push('\u{c}'),
                    'n' => found.push('\n'),
                    'r' => found.push('\r'),
                    't' => found.push('\t'),
                    'u' => {
                        let (first, behind) = code_unit(rest.as_str())?;
                        let (units, behind) = if (0xd800..0xdc00).contains(&first) {
                            let (second, behind) = code_unit(behind.strip_prefix("\\u")?)?;
                            (vec![first, second], behind)
                        } else {
                            (vec![first], behind)
                        };
                        // `\u0000` is refused.
                        found.push_str(&String::from_utf16(&units).ok().filter(|text| text != "\0")?);
                        rest = behind.chars();
                    }
                    other @ ('"' | '\\' | '/') => found.push(other),
                    _ => return None,
                },
                control if control < ' ' => return None,
                other => found.push(other),
            }
        }
        self.rest = rest.as_str();
        Some(found)
    }

    fn number(&mut self) -> Option<String> {
        let is_part = |character: char| character.is_ascii_digit() || matches!(character, '-' | '+' | '.' | 'e' | 'E');
        let end = self.rest.find(|character| !is_part(character)).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
        let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
        let shaped = mantissa.starts_with(|first: char| first.is_ascii_digit())
            && !mantissa.ends_with('.')
            && mantissa.chars().all(|character| character.is_ascii_digit() || character == '.')
            && mantissa.matches('.').count() < 2;
        let leading_zero = mantissa.starts_with('0') && !matches!(mantissa.as_bytes().get(1), None | Some(b'.'));
        let exponent = exponent.parse::<i32>().ok().filter(|exponent| exponent.abs() <= 100);
        (shaped && !leading_zero && exponent.is_some()).then(|| {
            let zero = mantissa.chars().all(|digit| matches!(digit, '0' | '.'));
            format!("{}{}", if zero { "" } else { sign }, crate::deparse::decimal(digits))
        })
    }
}

/// The four digits behind `\u`, and what follows.
fn code_unit(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    let valid = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    Some((u16::from_str_radix(digits, 16).ok().filter(|_| valid)?, rest))
}

fn push_string(text: &str, printed: &mut String) {
    printed.push('"');
    for character in text.chars() {
        match character {
            '"' => printed.push_str("\\\""),
            '\\' => printed.push_str("\\\\"),
            '\u{8}' => printed.push_str("\\b"),
            '\u{c}' => printed.push_str("\\f"),
            '\n' => printed.push_str("\\n"),
            '\r' => printed.push_str("\\r"),
            '\t' => printed.push_str("\\t"),
            control if control < ' ' => {
                let _ = write!(printed, "\\u{:04x}", u32::from(control));
            }
            other => printed.push(other),
        }
    }
    printed.push('"');
}

#[cfg(test)]
mod tests {
    use super::canonical;

    /// As PostgreSQL 18 prints them.
    #[test]
    fn as_the_server_prints_them() {
        let check = |text: &str, expect: &str| assert_eq!(canonical(text).as_deref(), Some(expect), "{text}");
        check(r#" {"bb":1,"a":[1.50,-0, "x" ,{}], "bb" : null}"#, r#"{"a": [1.50, 0, "x", {}], "bb": null}"#);
        check(r#"{"b": 1, "a": 2, "aa": 3, "é": 4}"#, r#"{"a": 2, "b": 1, "aa": 3, "é": 4}"#);
        check(r#""\u00e9\ud83d\ude00\/\\\n\u0001""#, "\"é😀/\\\\\\n\\u0001\"");
        check("[1e5, -1.5e-3, 0.10]", "[100000, -0.0015, 0.10]");
        check("[]", "[]");
        for text in
            ["", "{", "[1,]", "{\"a\"}", "01", "1.", "'a'", "[1] 2", "1e", "1e999", "\"\\u0000\"", "\"\\ud83d\"", "nul"]
        {
            assert_eq!(canonical(text), None, "{text}");
        }
        assert_eq!(canonical(&"[".repeat(100_000)), None);
    }
}

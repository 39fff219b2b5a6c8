//! Values of string constants and quoted identifiers.
//!
//! Source: PostgreSQL manual, "Lexical Structure": string constants, C-style escapes, Unicode escapes.

use crate::lexer::{Kind, Token};

/// The value of a string constant; `None` where an escape is invalid or the token is none.
pub(crate) fn string_value(text: &str, token: Token) -> Option<String> {
    let source = text.get(token.start..token.end)?;
    match token.kind {
        Kind::String => {
            let source = if source.starts_with('\'') { source } else { source.get(1..)? };
            Some(plain_parts(source))
        }
        Kind::EscapeString => unescape(source.get(1..)?),
        Kind::UnicodeString => unicode_unescape(&plain_parts(source.get(2..)?)),
        Kind::Dollar => dollar_body(source).map(str::to_owned),
        _ => None,
    }
}

/// The name in `"…"` or `U&"…"`.
pub(crate) fn quoted_name(text: &str, token: Token) -> Option<String> {
    let source = text.get(token.start..token.end)?;
    let start = if token.kind == Kind::UnicodeQuoted { 3 } else { 1 };
    let body = source.get(start..source.len().checked_sub(1)?)?;
    let name = if body.contains("\"\"") { body.replace("\"\"", "\"") } else { body.to_owned() };
    if token.kind == Kind::UnicodeQuoted { unicode_unescape(&name) } else { Some(name) }
}

/// The text between the tags of a dollar-quoted string.
pub(crate) fn dollar_body(source: &str) -> Option<&str> {
    let tag = source.get(1..)?.find('$')? + 2;
    source.get(tag..source.len().checked_sub(tag)?)
}

/// The parts of `'…' '…'` with doubled quotes resolved and what stands between them left out.
fn plain_parts(source: &str) -> String {
    let mut value = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(body) = rest.strip_prefix('\'') {
        let mut body = body;
        loop {
            let Some(end) = body.find('\'') else {
                value.push_str(body);
                return value;
            };
            value.push_str(&body[..end]);
            body = &body[end + 1..];
            if !body.starts_with('\'') {
                break;
            }
            value.push('\'');
            body = &body[1..];
        }
        rest = skip_to_quote(body);
    }
    value
}

/// Between two parts of one constant stand blanks and `--` comments, which may hold quotes.
fn skip_to_quote(text: &str) -> &str {
    let mut rest = text.trim_start();
    while rest.starts_with("--") {
        rest = rest.find(['\n', '\r']).map_or("", |end| &rest[end..]).trim_start();
    }
    rest
}

fn unescape(source: &str) -> Option<String> {
    let mut value = String::with_capacity(source.len());
    let mut bytes: Vec<u8> = Vec::new();
    let mut chars = source.strip_prefix('\'')?.chars().peekable();
    loop {
        // Octal and hexadecimal escapes are bytes: a run of them is decoded together.
        let next = chars.next()?;
        let byte_escape = next == '\\' && matches!(chars.peek(), Some('x' | '0'..='7'));
        if !byte_escape && !bytes.is_empty() {
            value.push_str(std::str::from_utf8(&bytes).ok()?);
            bytes.clear();
        }
        match next {
            '\'' if chars.peek() == Some(&'\'') => {
                chars.next();
                value.push('\'');
            }
            '\'' => {
                let rest: String = chars.collect();
                let rest = skip_to_quote(&rest);
                if rest.is_empty() {
                    return Some(value);
                }
                value.push_str(&unescape(rest)?);
                return Some(value);
            }
            '\\' => match chars.next()? {
                'b' => value.push('\u{8}'),
                'f' => value.push('\u{c}'),
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                'v' => value.push('\u{b}'),
                'x' => {
                    let mut number = 0_u8;
                    let mut digits = 0;
                    while digits < 2
                        && let Some(digit) = chars.peek().and_then(|c| c.to_digit(16))
                    {
                        number = number.wrapping_mul(16).wrapping_add(u8::try_from(digit).ok()?);
                        digits += 1;
                        chars.next();
                    }
                    if digits == 0 { value.push('x') } else { bytes.push(number) }
                }
                first @ '0'..='7' => {
                    let mut number = u8::try_from(first.to_digit(8)?).ok()?;
                    let mut digits = 1;
                    while digits < 3
                        && let Some(digit) = chars.peek().and_then(|c| c.to_digit(8))
                    {
                        number = number.wrapping_mul(8).wrapping_add(u8::try_from(digit).ok()?);
                        digits += 1;
                        chars.next();
                    }
                    bytes.push(number);
                }
                kind @ ('u' | 'U') => {
                    let digits = if kind == 'u' { 4 } else { 8 };
                    let first = hex_digits(&mut chars, digits)?;
                    if (0xd800..0xdc00).contains(&first) {
                        if chars.next()? != '\\' || !matches!(chars.next()?, 'u' | 'U') {
                            return None;
                        }
                        value.push(surrogates(first, hex_digits(&mut chars, 4)?)?);
                    } else {
                        value.push(char::from_u32(first)?);
                    }
                }
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
}

fn hex_digits(chars: &mut impl Iterator<Item = char>, count: u32) -> Option<u32> {
    let mut number = 0_u32;
    for _ in 0..count {
        number = number.checked_mul(16)?.checked_add(chars.next()?.to_digit(16)?)?;
    }
    Some(number)
}

fn surrogates(high: u32, low: u32) -> Option<char> {
    if !(0xdc00..0xe000).contains(&low) {
        return None;
    }
    char::from_u32(0x1_0000 + ((high & 0x3ff) << 10) + (low & 0x3ff))
}

/// `\XXXX` and `\+XXXXXX`; the escape character is the backslash (`UESCAPE` is not read).
fn unicode_unescape(text: &str) -> Option<String> {
    let mut value = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(next) = chars.next() {
        if next != '\\' {
            value.push(next);
            continue;
        }
        if chars.peek() == Some(&'\\') {
            chars.next();
            value.push('\\');
            continue;
        }
        let digits = if chars.peek() == Some(&'+') {
            chars.next();
            6
        } else {
            4
        };
        let first = hex_digits(&mut chars, digits)?;
        if (0xd800..0xdc00).contains(&first) {
            if chars.next()? != '\\' {
                return None;
            }
            value.push(surrogates(first, hex_digits(&mut chars, 4)?)?);
        } else {
            value.push(char::from_u32(first)?);
        }
    }
    Some(value)
}

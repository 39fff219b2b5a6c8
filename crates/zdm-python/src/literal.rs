//! Python's literals: what the text of one says.
//!
//! Source of the forms: the chapter "Lexical analysis" of the Python language reference.

use std::fmt::Write as _;
use std::sync::Arc;

use zdm_source::Span;

use crate::syntax::{Module, Why};
use crate::text::{Origin, Str, StrBuilder};
use crate::value::Int;

/// The parts of a string or bytes literal's text.
#[derive(Clone, Copy)]
pub(crate) struct Quoted {
    pub(crate) raw: bool,
    /// What stands between the quotes.
    pub(crate) content: Span,
}

/// Take prefix and quotes apart; None where the literal has no end.
pub(crate) fn quoted(module: &Module, span: Span) -> Option<Quoted> {
    let text = module.text(span);
    let prefix = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    let raw = text.as_bytes()[..prefix].iter().any(|byte| matches!(byte, b'r' | b'R'));
    let rest = &text[prefix..];
    let quotes = ["\"\"\"", "'''", "\"", "'"];
    let quote = quotes.into_iter().find(|quote| rest.starts_with(quote))?;
    let content = rest.strip_prefix(quote)?.strip_suffix(quote)?;
    let start = prefix + quote.len();
    let offset = |index: usize| span.start.saturating_add(u32::try_from(index).unwrap_or(u32::MAX));
    Some(Quoted { raw, content: Span::new(offset(start), offset(start + content.len())) })
}

/// The value of one string literal without replacement fields.
pub(crate) fn string(module: &Module, span: Span) -> Result<Str, Why> {
    let literal = quoted(module, span).ok_or(Why::Syntax)?;
    let text = module.text(literal.content);
    let plain = |byte: u8| byte != b'\r' && (literal.raw || byte != b'\\');
    if text.bytes().all(plain) {
        return Ok(Str::verbatim(module, literal.content));
    }
    let mut builder = StrBuilder::default();
    push_text(&mut builder, module, literal.content, literal.raw, false)?;
    Ok(builder.finish())
}

/// Append literal text with its escapes; `doubled` is the f-string's rule that `{{` and `}}` mean one brace.
pub(crate) fn push_text(
    builder: &mut StrBuilder,
    module: &Module,
    span: Span,
    raw: bool,
    doubled: bool,
) -> Result<(), Why> {
    let text = module.text(span);
    let bytes = text.as_bytes();
    let offset = |index: usize| span.start.saturating_add(u32::try_from(index).unwrap_or(u32::MAX));
    let mut kept = 0;
    let mut index = 0;
    while let Some(&byte) = bytes.get(index) {
        let (length, value) = match byte {
            b'\r' if bytes.get(index + 1) == Some(&b'\n') => (2, Some('\n')),
            b'\r' => (1, Some('\n')),
            b'\\' if !raw => match escape(&text[index..])? {
                Some(found) => found,
                None => {
                    index += 1;
                    continue;
                }
            },
            b'{' if doubled && bytes.get(index + 1) == Some(&b'{') => (2, Some('{')),
            b'}' if doubled && bytes.get(index + 1) == Some(&b'}') => (2, Some('}')),
            _ => {
                index += 1;
                continue;
            }
        };
        builder.push_verbatim(module, Span::new(offset(kept), offset(index)));
        if let Some(character) = value {
            let mut buffer = [0; 4];
            let source = Origin::new(module, Span::new(offset(index), offset(index + length)));
            builder.push_unit(character.encode_utf8(&mut buffer), source);
        }
        index += length;
        kept = index;
    }
    builder.push_verbatim(module, Span::new(offset(kept), offset(bytes.len())));
    Ok(())
}

/// The escape at the start of `text`: its length and its character, if it has one. None where the backslash stands
/// for itself.
fn escape(text: &str) -> Result<Option<(usize, Option<char>)>, Why> {
    let bytes = text.as_bytes();
    let Some(&kind) = bytes.get(1) else { return Ok(None) };
    let simple = |character| Ok(Some((2, Some(character))));
    match kind {
        b'\n' => Ok(Some((2, None))),
        b'\r' => Ok(Some((if bytes.get(2) == Some(&b'\n') { 3 } else { 2 }, None))),
        b'\\' => simple('\\'),
        b'\'' => simple('\''),
        b'"' => simple('"'),
        b'a' => simple('\x07'),
        b'b' => simple('\x08'),
        b'f' => simple('\x0c'),
        b'n' => simple('\n'),
        b'r' => simple('\r'),
        b't' => simple('\t'),
        b'v' => simple('\x0b'),
        b'0'..=b'7' => {
            let (length, code) = octal(bytes);
            Ok(Some((length, char::from_u32(code))))
        }
        b'x' => hexadecimal(text, 2).map(Some),
        b'u' => hexadecimal(text, 4).map(Some),
        b'U' => hexadecimal(text, 8).map(Some),
        b'N' => {
            let name = text.get(2..).and_then(|rest| rest.strip_prefix('{')).and_then(|rest| rest.split_once('}'));
            let (name, _) = name.ok_or(Why::Syntax)?;
            let character = named_character(name).ok_or(Why::Dynamic("a character given by its Unicode name"))?;
            Ok(Some((name.len() + 4, Some(character))))
        }
        _ => Ok(None),
    }
}

fn octal(bytes: &[u8]) -> (usize, u32) {
    let digits = bytes.iter().skip(1).take(3).take_while(|byte| matches!(byte, b'0'..=b'7'));
    digits.fold((1, 0), |(length, code), digit| (length + 1, code * 8 + u32::from(digit - b'0')))
}

fn hexadecimal(text: &str, digits: usize) -> Result<(usize, Option<char>), Why> {
    let code = text.get(2..2 + digits).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let code = u32::from_str_radix(code.ok_or(Why::Syntax)?, 16).map_err(|_| Why::Syntax)?;
    match char::from_u32(code) {
        Some(character) => Ok((2 + digits, Some(character))),
        None if code <= 0x10_FFFF => Err(Why::Dynamic("text with half of a surrogate pair")),
        None => Err(Why::Syntax),
    }
}

/// The names that occur in texts for people; the whole table of Unicode would be larger than this crate.
fn named_character(name: &str) -> Option<char> {
    let name = name.to_ascii_uppercase();
    Some(match name.as_str() {
        "SPACE" => ' ',
        "NO-BREAK SPACE" => '\u{a0}',
        "THIN SPACE" => '\u{2009}',
        "NARROW NO-BREAK SPACE" => '\u{202f}',
        "ZERO WIDTH SPACE" => '\u{200b}',
        "ZERO WIDTH JOINER" => '\u{200d}',
        "HYPHEN" => '\u{2010}',
        "NON-BREAKING HYPHEN" => '\u{2011}',
        "EN DASH" => '\u{2013}',
        "EM DASH" => '\u{2014}',
        "HORIZONTAL ELLIPSIS" => '\u{2026}',
        "LEFT SINGLE QUOTATION MARK" => '\u{2018}',
        "RIGHT SINGLE QUOTATION MARK" => '\u{2019}',
        "LEFT DOUBLE QUOTATION MARK" => '\u{201c}',
        "RIGHT DOUBLE QUOTATION MARK" => '\u{201d}',
        "LEFT-POINTING DOUBLE ANGLE QUOTATION MARK" => '\u{ab}',
        "RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK" => '\u{bb}',
        "BULLET" => '\u{2022}',
        "MIDDLE DOT" => '\u{b7}',
        "DEGREE SIGN" => '\u{b0}',
        "EURO SIGN" => '\u{20ac}',
        "POUND SIGN" => '\u{a3}',
        "SECTION SIGN" => '\u{a7}',
        "COPYRIGHT SIGN" => '\u{a9}',
        "REGISTERED SIGN" => '\u{ae}',
        "TRADE MARK SIGN" => '\u{2122}',
        "MULTIPLICATION SIGN" => '\u{d7}',
        "LEFTWARDS ARROW" => '\u{2190}',
        "RIGHTWARDS ARROW" => '\u{2192}',
        "CHECK MARK" => '\u{2713}',
        "BALLOT X" => '\u{2717}',
        _ => return None,
    })
}

/// The value of one bytes literal.
pub(crate) fn bytes(module: &Module, span: Span) -> Result<Vec<u8>, Why> {
    let literal = quoted(module, span).ok_or(Why::Syntax)?;
    let text = module.text(literal.content).as_bytes();
    let mut value = Vec::with_capacity(text.len());
    let mut index = 0;
    while let Some(&byte) = text.get(index) {
        let rest = &text[index..];
        let (length, decoded) = match (byte, rest.get(1)) {
            (b'\r', Some(b'\n')) => (2, Some(b'\n')),
            (b'\r', _) => (1, Some(b'\n')),
            (b'\\', Some(kind)) if !literal.raw => match kind {
                b'\n' => (2, None),
                b'\r' => (if rest.get(2) == Some(&b'\n') { 3 } else { 2 }, None),
                b'\\' | b'\'' | b'"' => (2, Some(*kind)),
                b'a' => (2, Some(0x07)),
                b'b' => (2, Some(0x08)),
                b'f' => (2, Some(0x0c)),
                b'n' => (2, Some(b'\n')),
                b'r' => (2, Some(b'\r')),
                b't' => (2, Some(b'\t')),
                b'v' => (2, Some(0x0b)),
                b'0'..=b'7' => {
                    let (length, code) = octal(rest);
                    // Python takes the code modulo 256 and warns.
                    (length, Some((code & 0xff) as u8))
                }
                b'x' => {
                    let digits = rest.get(2..4).and_then(|digits| std::str::from_utf8(digits).ok());
                    let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
                    let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                    (4, Some(code.ok_or(Why::Syntax)?))
                }
                _ => (1, Some(byte)),
            },
            _ => (1, Some(byte)),
        };
        if !byte.is_ascii() {
            return Err(Why::Syntax);
        }
        value.extend(decoded);
        index += length;
    }
    Ok(value)
}

/// The value of an integer literal.
pub(crate) fn integer(text: &str) -> Result<Int, Why> {
    let digits: String = text.chars().filter(|character| *character != '_').collect();
    let digits = digits.trim_end_matches(['l', 'L']);
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(digits) = lower.strip_prefix("0x") {
        (16, digits)
    } else if let Some(digits) = lower.strip_prefix("0o") {
        (8, digits)
    } else if let Some(digits) = lower.strip_prefix("0b") {
        (2, digits)
    } else {
        (10, lower.as_str())
    };
    if radix == 10 && digits.len() > 1 && digits.starts_with('0') && digits.bytes().any(|digit| digit != b'0') {
        // Python 2's octal numbers are errors since Python 3.
        return Err(Why::Syntax);
    }
    Int::parse(digits, radix)
}

/// The value of a float literal; None for imaginary ones.
pub(crate) fn float(text: &str) -> Result<f64, Why> {
    if text.ends_with(['j', 'J']) {
        return Err(Why::Dynamic("an imaginary number"));
    }
    let digits: String = text.chars().filter(|character| *character != '_').collect();
    digits.parse().map_err(|_| Why::Syntax)
}

/// Decimal digits of an unsigned number of any size, given in another base; without leading zeros.
pub(crate) fn decimal_digits(digits: &str, radix: u32) -> Result<Arc<str>, Why> {
    /// More digits than CPython converts by default would take long.
    const MAX_DIGITS: usize = 4300;
    const BASE: u64 = 1_000_000_000;
    if digits.is_empty() {
        return Err(Why::Syntax);
    }
    if digits.len() > MAX_DIGITS {
        return Err(Why::TooLarge);
    }
    if radix == 10 && digits.bytes().all(|digit| digit.is_ascii_digit()) {
        let trimmed = digits.trim_start_matches('0');
        return Ok(Arc::from(if trimmed.is_empty() { "0" } else { trimmed }));
    }
    let mut limbs: Vec<u64> = vec![0];
    for digit in digits.chars() {
        let mut carry = u64::from(digit.to_digit(radix).ok_or(Why::Syntax)?);
        for limb in &mut limbs {
            let value = *limb * u64::from(radix) + carry;
            *limb = value % BASE;
            carry = value / BASE;
        }
        if carry > 0 {
            limbs.push(carry);
        }
    }
    let mut text = String::new();
    for (index, limb) in limbs.iter().rev().enumerate() {
        // Writing to a string does not fail.
        let _ = if index == 0 { write!(text, "{limb}") } else { write!(text, "{limb:09}") };
    }
    Ok(text.into())
}

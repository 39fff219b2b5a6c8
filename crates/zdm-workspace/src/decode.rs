//! Bytes of a Python file → text, by Python's rules (PEP 263, PEP 3120).
//!
//! A byte order mark means UTF-8; a comment `coding: NAME` in one of the first two lines names the encoding; else it
//! is UTF-8. Latin-1, Windows-1252, Latin-9 and ASCII are decoded here; another encoding, or bytes that do not fit,
//! are a problem beside a text in which the strange bytes are replaced, so that the rest can still be read.

/// Why Python would refuse the file's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeProblem {
    /// The first byte that does not fit, counted from 0, and its line, counted from 1.
    Invalid { encoding: &'static str, offset: usize, line: usize },
    /// Declared, and not one of those decoded here.
    UnknownEncoding(String),
}

impl std::fmt::Display for DecodeProblem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Invalid { encoding, offset, line } => {
                write!(formatter, "line {line} is not {encoding} (byte {offset})")
            }
            Self::UnknownEncoding(name) => write!(formatter, "declares the encoding `{name}`, which is not supported"),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Ascii,
    Latin1,
    Latin9,
    Windows1252,
}

/// The text without its byte order mark.
pub fn decode(bytes: &[u8]) -> (String, Option<DecodeProblem>) {
    let (marked, bytes) = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => (true, rest),
        None => (false, bytes),
    };
    let encoding = match declared(bytes) {
        None => Encoding::Utf8,
        Some(name) => match known(&name) {
            Some(encoding) => encoding,
            None => return (String::from_utf8_lossy(bytes).into_owned(), Some(DecodeProblem::UnknownEncoding(name))),
        },
    };
    match encoding {
        _ if marked => utf8(bytes),
        Encoding::Utf8 => utf8(bytes),
        Encoding::Ascii => match bytes.iter().position(|byte| !byte.is_ascii()) {
            None => utf8(bytes),
            Some(offset) => (String::from_utf8_lossy(bytes).into_owned(), Some(invalid("ascii", bytes, offset))),
        },
        Encoding::Latin1 => (bytes.iter().map(|byte| char::from(*byte)).collect(), None),
        Encoding::Latin9 => (bytes.iter().map(|byte| latin9(*byte)).collect(), None),
        Encoding::Windows1252 => {
            let undefined = bytes.iter().position(|byte| windows1252(*byte).is_none());
            let text = bytes.iter().map(|byte| windows1252(*byte).unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
            (text, undefined.map(|offset| invalid("cp1252", bytes, offset)))
        }
    }
}

fn utf8(bytes: &[u8]) -> (String, Option<DecodeProblem>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(error) => {
            let problem = invalid("UTF-8", bytes, error.valid_up_to());
            (String::from_utf8_lossy(bytes).into_owned(), Some(problem))
        }
    }
}

fn invalid(encoding: &'static str, bytes: &[u8], offset: usize) -> DecodeProblem {
    let before = bytes.get(..offset).unwrap_or_default();
    DecodeProblem::Invalid { encoding, offset, line: before.split(|byte| *byte == b'\n').count() }
}

/// The name in a coding comment: `^[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)` in line one, or in line two where
/// line one is blank or a comment.
fn declared(bytes: &[u8]) -> Option<String> {
    for line in bytes.split(|byte| *byte == b'\n').take(2) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let start = line.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\x0c'));
        match start.and_then(|start| line.get(start..)) {
            None => {}
            Some(rest) if rest.first() == Some(&b'#') => {
                if let Some(name) = coding(rest) {
                    return Some(name);
                }
            }
            Some(_) => return None,
        }
    }
    None
}

fn coding(comment: &[u8]) -> Option<String> {
    let mut rest = comment;
    while let Some(found) = rest.windows(6).position(|window| window == b"coding") {
        rest = rest.get(found + 6..)?;
        let Some((b':' | b'=', after)) = rest.split_first() else { continue };
        let start = after.iter().position(|byte| !matches!(byte, b' ' | b'\t'))?;
        let name: Vec<u8> = after
            .get(start..)?
            .iter()
            .copied()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
            .collect();
        if !name.is_empty() {
            return String::from_utf8(name).ok();
        }
    }
    None
}

fn known(name: &str) -> Option<Encoding> {
    let name = name.to_ascii_lowercase().replace('_', "-");
    // Python cuts `utf-8-unix`, as Emacs writes it, the same way.
    let name = name.strip_suffix("-unix").or_else(|| name.strip_suffix("-dos")).unwrap_or(&name);
    match name {
        "utf-8" | "utf8" | "u8" | "utf-8-sig" | "cp65001" => Some(Encoding::Utf8),
        "ascii" | "us-ascii" | "646" => Some(Encoding::Ascii),
        "latin-1" | "latin1" | "l1" | "iso-8859-1" | "iso8859-1" | "8859" | "cp819" => Some(Encoding::Latin1),
        "latin-9" | "l9" | "iso-8859-15" | "iso8859-15" => Some(Encoding::Latin9),
        "cp1252" | "windows-1252" | "1252" => Some(Encoding::Windows1252),
        _ => None,
    }
}

fn latin9(byte: u8) -> char {
    match byte {
        0xa4 => '€',
        0xa6 => 'Š',
        0xa8 => 'š',
        0xb4 => 'Ž',
        0xb8 => 'ž',
        0xbc => 'Œ',
        0xbd => 'œ',
        0xbe => 'Ÿ',
        _ => char::from(byte),
    }
}

fn windows1252(byte: u8) -> Option<char> {
    const HIGH: [char; 32] = [
        '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', '\0', '‘', '’', '“', '”',
        '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH.get(usize::from(byte - 0x80)).copied().filter(|character| *character != '\0'),
        _ => Some(char::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], text: &str, problem: Option<DecodeProblem>) {
        assert_eq!(decode(bytes), (text.to_owned(), problem), "{bytes:?}");
    }

    #[test]
    fn encodings() {
        check("x = 'ä'".as_bytes(), "x = 'ä'", None);
        check(b"\xef\xbb\xbfx = 1", "x = 1", None);
        check(b"# -*- coding: latin-1 -*-\nx = '\xe4'", "# -*- coding: latin-1 -*-\nx = 'ä'", None);
        check(
            b"#!/usr/bin/python\n# vim: set fileencoding=iso-8859-15 :\n'\xa4'",
            "#!/usr/bin/python\n# vim: set fileencoding=iso-8859-15 :\n'€'",
            None,
        );
        check(b"# coding=cp1252\r\n'\x80'", "# coding=cp1252\r\n'€'", None);
        check(b"# coding: utf-8-unix\n1", "# coding: utf-8-unix\n1", None);
    }

    #[test]
    fn a_declaration_counts_only_in_the_first_two_lines_and_in_a_comment() {
        check("x = 'coding: latin-1'\n'ä'".as_bytes(), "x = 'coding: latin-1'\n'ä'", None);
        check("x = 1\n# coding: latin-1\n'ä'".as_bytes(), "x = 1\n# coding: latin-1\n'ä'", None);
        check("\n\n# coding: latin-1\n'ä'".as_bytes(), "\n\n# coding: latin-1\n'ä'", None);
        check("# encoding is a coding matter\n'ä'".as_bytes(), "# encoding is a coding matter\n'ä'", None);
    }

    #[test]
    fn what_does_not_fit_is_said_and_the_rest_is_kept() {
        let invalid = |encoding, offset, line| Some(DecodeProblem::Invalid { encoding, offset, line });
        check(b"a = 1\nb = '\xe4'\nc", "a = 1\nb = '\u{fffd}'\nc", invalid("UTF-8", 11, 2));
        check(b"# coding: ascii\n\xc3\xa4", "# coding: ascii\nä", invalid("ascii", 16, 2));
        check(b"# coding: cp1252\n\x81", "# coding: cp1252\n\u{fffd}", invalid("cp1252", 17, 2));
        check(b"# coding: koi8-r\n1", "# coding: koi8-r\n1", Some(DecodeProblem::UnknownEncoding("koi8-r".to_owned())));
        check(b"\xff\xfea\0", "\u{fffd}\u{fffd}a\0", invalid("UTF-8", 0, 1));
    }
}

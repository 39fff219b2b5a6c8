//! Text to tokens, by the lexical rules of PostgreSQL's own scanner.
//!
//! Source of the rules: PostgreSQL manual, "Lexical Structure", with `standard_conforming_strings` on. Tokens own nothing: they are
//! byte ranges of the text, so that reading a statement allocates only what the statement keeps. A differential test compares them with
//! another tokenizer's.

/// A token's kind with its byte range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An unquoted identifier or a key word.
    Word,
    /// `"…"`.
    Quoted,
    /// `U&"…"`.
    UnicodeQuoted,
    /// `'…'`, also `N'…'`; adjacent parts on following lines included.
    String,
    /// `E'…'`.
    EscapeString,
    /// `U&'…'`.
    UnicodeString,
    /// `B'…'`, `X'…'`.
    BitString,
    /// `$tag$…$tag$`.
    Dollar,
    Number,
    /// `$1`.
    Parameter,
    /// `%s` and `%(name)s` of the database driver.
    Placeholder,
    Operator,
    LParen,
    RParen,
    LBracket,
    RBracket,
    Comma,
    Semicolon,
    Dot,
    /// A psql meta-command, from its backslash to the end of the line.
    Meta,
    /// A character that no rule knows.
    Stray,
    /// A string, quoted identifier or comment without its end; it reaches to the end of the text.
    Unterminated(&'static str),
}

/// Yields the tokens of a text one after the other; blanks and comments are passed over.
#[derive(Debug)]
pub(crate) struct Lexer<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
}

impl<'t> Lexer<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        // A byte order mark is not part of the SQL; psql passes over it too.
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { text, bytes: text.as_bytes(), at }
    }

    /// Passes over the data of `COPY … FROM stdin;`: from the next line to the line `\.`. Without such a line nothing is passed.
    pub(crate) fn skip_copy_data(&mut self) {
        let mut line = match self.bytes[self.at..].iter().position(|byte| *byte == b'\n') {
            Some(newline) => self.at + newline + 1,
            None => return,
        };
        while line < self.bytes.len() {
            let end = self.bytes[line..].iter().position(|byte| *byte == b'\n').map_or(self.bytes.len(), |n| line + n);
            if self.bytes[line..end].trim_ascii_end() == b"\\." {
                self.at = end;
                return;
            }
            line = end + 1;
        }
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// Passes over blanks and comments. `Some` is the start of a comment that never ends.
    fn skip_blanks(&mut self) -> Option<usize> {
        loop {
            match self.byte(self.at) {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => self.at += 1,
                b'-' if self.byte(self.at + 1) == b'-' => self.skip_line(),
                b'/' if self.byte(self.at + 1) == b'*' => {
                    let start = self.at;
                    if !self.skip_comment() {
                        return Some(start);
                    }
                }
                _ => return None,
            }
        }
    }

    fn skip_line(&mut self) {
        while self.at < self.bytes.len() && !matches!(self.bytes[self.at], b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// Comments nest. `false`: its end is missing.
    fn skip_comment(&mut self) -> bool {
        let mut depth = 0_usize;
        while self.at < self.bytes.len() {
            match (self.bytes[self.at], self.byte(self.at + 1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return true;
                    }
                }
                _ => self.at += 1,
            }
        }
        self.at = self.bytes.len();
        false
    }

    /// A quoted part up to `quote`; doubled quotes belong to it, and so does what a backslash precedes where `escapes`.
    fn skip_quoted(&mut self, quote: u8, escapes: bool) -> bool {
        self.at += 1;
        while self.at < self.bytes.len() {
            let byte = self.bytes[self.at];
            if byte == quote {
                self.at += 1;
                if self.byte(self.at) != quote || self.at >= self.bytes.len() {
                    return true;
                }
            } else if byte == b'\\' && escapes {
                self.at += 1;
            }
            self.at += 1;
        }
        self.at = self.bytes.len();
        false
    }

    /// A string constant; parts that only blanks with at least one line end separate are one constant.
    fn string(&mut self, kind: Kind) -> Kind {
        let escapes = kind == Kind::EscapeString;
        loop {
            if !self.skip_quoted(b'\'', escapes) {
                return Kind::Unterminated("unterminated string");
            }
            let end = self.at;
            let mut line_end = false;
            loop {
                match self.byte(self.at) {
                    b'\n' | b'\r' => line_end = true,
                    b' ' | b'\t' | 0x0b | 0x0c => {}
                    b'-' if self.byte(self.at + 1) == b'-' => {
                        self.skip_line();
                        continue;
                    }
                    _ => break,
                }
                self.at += 1;
            }
            if !line_end || self.byte(self.at) != b'\'' {
                self.at = end;
                return kind;
            }
        }
    }

    fn quoted_identifier(&mut self, kind: Kind) -> Kind {
        if self.skip_quoted(b'"', false) { kind } else { Kind::Unterminated("unterminated quoted identifier") }
    }

    fn dollar(&mut self) -> Kind {
        let start = self.at;
        if self.byte(start + 1).is_ascii_digit() {
            self.at += 1;
            while self.byte(self.at).is_ascii_digit() {
                self.at += 1;
            }
            return Kind::Parameter;
        }
        let mut end = start + 1;
        if is_word_start(self.byte(end)) {
            while is_word_part(self.byte(end)) && self.byte(end) != b'$' {
                end += 1;
            }
        }
        if self.byte(end) != b'$' {
            self.at += 1;
            return Kind::Stray;
        }
        let tag = &self.bytes[start..=end];
        let body = end + 1;
        if let Some(length) = find(&self.bytes[body..], tag) {
            self.at = body + length + tag.len();
            return Kind::Dollar;
        }
        self.at = self.bytes.len();
        Kind::Unterminated("unterminated dollar-quoted string")
    }

    fn number(&mut self) -> Kind {
        let radix = match (self.bytes[self.at], self.byte(self.at + 1) | 0x20) {
            (b'0', b'x') => Some(u8::is_ascii_hexdigit as fn(&u8) -> bool),
            (b'0', b'o' | b'b') => Some(u8::is_ascii_digit as fn(&u8) -> bool),
            _ => None,
        };
        if let Some(digit) = radix {
            let first = self.byte(self.at + 2);
            if digit(&first) || first == b'_' {
                self.at += 2;
                while digit(&self.byte(self.at)) || self.byte(self.at) == b'_' {
                    self.at += 1;
                }
                return Kind::Number;
            }
        }
        self.digits();
        if self.byte(self.at) == b'.' && self.byte(self.at + 1) != b'.' {
            self.at += 1;
            self.digits();
        }
        if self.byte(self.at) | 0x20 == b'e' {
            let sign = usize::from(matches!(self.byte(self.at + 1), b'+' | b'-'));
            if self.byte(self.at + 1 + sign).is_ascii_digit() {
                self.at += 1 + sign;
                self.digits();
            }
        }
        Kind::Number
    }

    fn digits(&mut self) {
        while self.byte(self.at).is_ascii_digit()
            || (self.byte(self.at) == b'_' && self.byte(self.at + 1).is_ascii_digit())
        {
            self.at += 1;
        }
    }

    /// The end of the driver's placeholder that begins at `at`.
    fn placeholder_end(&self, at: usize) -> Option<usize> {
        if self.byte(at) != b'%' {
            return None;
        }
        let mut end = at + 1;
        if self.byte(end) == b'(' {
            end += 1;
            let name = end;
            while is_word_part(self.byte(end)) {
                end += 1;
            }
            if end == name || self.byte(end) != b')' {
                return None;
            }
            end += 1;
        }
        (self.byte(end) == b's' && !is_word_part(self.byte(end + 1))).then_some(end + 1)
    }

    /// The longest run of operator characters, ended by a comment or a placeholder; a trailing sign belongs to an operand unless the
    /// operator has one of the characters that the standard's operators have not.
    fn operator(&mut self) -> Kind {
        let start = self.at;
        if let Some(end) = self.placeholder_end(start) {
            self.at = end;
            return Kind::Placeholder;
        }
        let mut end = start;
        while is_operator(self.byte(end)) {
            let comment = matches!((self.byte(end), self.byte(end + 1)), (b'-', b'-') | (b'/', b'*'));
            if end > start && (comment || self.placeholder_end(end).is_some()) {
                break;
            }
            end += 1;
        }
        let special = |byte: &u8| matches!(byte, b'~' | b'!' | b'@' | b'#' | b'%' | b'^' | b'&' | b'|' | b'`' | b'?');
        while end > start + 1
            && matches!(self.bytes[end - 1], b'+' | b'-')
            && !self.bytes[start..end - 1].iter().any(special)
        {
            end -= 1;
        }
        self.at = end;
        Kind::Operator
    }

    fn single(&mut self, kind: Kind) -> Kind {
        self.at += 1;
        kind
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        if let Some(start) = self.skip_blanks() {
            return Some(Token { kind: Kind::Unterminated("unterminated comment"), start, end: self.at });
        }
        let start = self.at;
        let byte = *self.bytes.get(start)?;
        let next = self.byte(start + 1);
        let kind = match byte {
            b'\'' => self.string(Kind::String),
            b'"' => self.quoted_identifier(Kind::Quoted),
            b'e' | b'E' if next == b'\'' => {
                self.at += 1;
                self.string(Kind::EscapeString)
            }
            b'n' | b'N' if next == b'\'' => {
                self.at += 1;
                self.string(Kind::String)
            }
            b'b' | b'B' | b'x' | b'X' if next == b'\'' => {
                self.at += 1;
                self.string(Kind::BitString)
            }
            b'u' | b'U' if next == b'&' && self.byte(start + 2) == b'\'' => {
                self.at += 2;
                self.string(Kind::UnicodeString)
            }
            b'u' | b'U' if next == b'&' && self.byte(start + 2) == b'"' => {
                self.at += 2;
                self.quoted_identifier(Kind::UnicodeQuoted)
            }
            b'$' => self.dollar(),
            b'0'..=b'9' => self.number(),
            b'.' if next.is_ascii_digit() => self.number(),
            b'.' => {
                // `..` is an operator of PL/pgSQL's loops and slices only.
                self.at += 1;
                Kind::Dot
            }
            b'(' => self.single(Kind::LParen),
            b')' => self.single(Kind::RParen),
            b'[' => self.single(Kind::LBracket),
            b']' => self.single(Kind::RBracket),
            b',' => self.single(Kind::Comma),
            b';' => self.single(Kind::Semicolon),
            b':' => {
                self.at += if matches!(next, b':' | b'=') { 2 } else { 1 };
                Kind::Operator
            }
            b'\\' => {
                self.skip_line();
                Kind::Meta
            }
            _ if is_operator(byte) => self.operator(),
            _ if is_word_start(byte) => {
                while is_word_part(self.byte(self.at)) {
                    self.at += 1;
                }
                Kind::Word
            }
            // Only ASCII bytes come here: all others are parts of words.
            _ => self.single(Kind::Stray),
        };
        debug_assert!(self.text.is_char_boundary(self.at), "tokens end on character boundaries");
        Some(Token { kind, start, end: self.at })
    }
}

/// Letters, the underscore, and every byte of a character beyond ASCII.
const fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

const fn is_word_part(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

const fn is_operator(byte: u8) -> bool {
    matches!(
        byte,
        b'~' | b'!'
            | b'@'
            | b'#'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b'?'
            | b'+'
            | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'<'
            | b'>'
            | b'='
    )
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

//! Byte offsets and the protocol's positions, in the unit that the two sides agreed on.

use zdm_source::{SourceFile, Span};

use crate::protocol::{Position, Range};

/// What a position's `character` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    /// What a client that says nothing counts.
    #[default]
    Utf16,
    Utf32,
}

impl Encoding {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Utf16 => "utf-16",
            Self::Utf32 => "utf-32",
        }
    }

    /// The best of those that a client knows.
    pub(crate) fn choose(offered: &[String]) -> Self {
        let has = |name: &str| offered.iter().any(|offered| offered == name);
        if has("utf-8") {
            Self::Utf8
        } else if has("utf-32") && !has("utf-16") {
            Self::Utf32
        } else {
            Self::Utf16
        }
    }

    const fn width(self, character: char) -> usize {
        match self {
            Self::Utf8 => character.len_utf8(),
            Self::Utf16 => character.len_utf16(),
            Self::Utf32 => 1,
        }
    }

    /// The byte offset of a position. Behind the end of its line it is the line's end, behind the last line the text's;
    /// inside of a character it is the character's beginning.
    pub(crate) fn offset(self, file: &SourceFile, position: Position) -> u32 {
        let span = file.lines().line_span(file.text(), position.line as usize);
        let line = file.slice(span).trim_end_matches(['\n', '\r']);
        let mut left = position.character as usize;
        let mut bytes = 0;
        for character in line.chars() {
            let width = self.width(character);
            if left < width {
                break;
            }
            left -= width;
            bytes += character.len_utf8();
        }
        span.start.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX))
    }

    /// The position of a byte offset.
    pub(crate) fn position(self, file: &SourceFile, offset: u32) -> Position {
        let length = u32::try_from(file.text().len()).unwrap_or(u32::MAX);
        let offset = offset.min(length);
        let line = file.lines().line_of(offset);
        let start = file.lines().line_span(file.text(), line).start;
        let mut end = offset as usize;
        while !file.text().is_char_boundary(end) {
            end -= 1;
        }
        let before = file.text().get(start as usize..end).unwrap_or("");
        let character = before.chars().map(|character| self.width(character)).sum();
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Position { line: number(line), character: number(character) }
    }

    pub(crate) fn range(self, file: &SourceFile, span: Span) -> Range {
        Range { start: self.position(file, span.start), end: self.position(file, span.end.max(span.start)) }
    }

    pub(crate) fn span(self, file: &SourceFile, range: Range) -> Span {
        let (start, end) = (self.offset(file, range.start), self.offset(file, range.end));
        Span::new(start.min(end), start.max(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Encoding; 3] = [Encoding::Utf8, Encoding::Utf16, Encoding::Utf32];

    #[test]
    fn positions_come_back_in_every_unit() {
        let file = SourceFile::new("a.py", "ä = '😀x'\r\nb\rc\n\n");
        for encoding in ALL {
            for (offset, _) in file.text().char_indices().filter(|(_, character)| !matches!(character, '\n' | '\r')) {
                let offset = u32::try_from(offset).unwrap();
                assert_eq!(encoding.offset(&file, encoding.position(&file, offset)), offset, "{encoding:?} {offset}");
            }
        }
        let behind_face = u32::try_from(file.text().find('x').unwrap()).unwrap();
        let column = |encoding: Encoding| encoding.position(&file, behind_face).character;
        assert_eq!(ALL.map(column), [10, 7, 6]);
    }

    #[test]
    fn positions_outside_are_clamped() {
        let file = SourceFile::new("a.py", "é\nb");
        for encoding in ALL {
            let at = |line, character| encoding.offset(&file, Position { line, character });
            assert_eq!(at(0, 99), 2);
            assert_eq!(at(9, 0), 4);
            assert_eq!(at(u32::MAX, u32::MAX), 4);
            assert_eq!(encoding.position(&file, 99), Position { line: 1, character: 1 });
            assert_eq!(encoding.position(&file, 1), Position { line: 0, character: 0 });
        }
        assert_eq!(Encoding::Utf8.offset(&file, Position { line: 0, character: 1 }), 0);
    }

    #[test]
    fn the_unit_is_agreed_on() {
        let choose =
            |offered: &[&str]| Encoding::choose(&offered.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(choose(&[]), Encoding::Utf16);
        assert_eq!(choose(&["utf-16", "utf-8"]), Encoding::Utf8);
        assert_eq!(choose(&["utf-32"]), Encoding::Utf32);
        assert_eq!(choose(&["utf-32", "utf-16"]), Encoding::Utf16);
    }
}

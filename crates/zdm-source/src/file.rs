//! One file's text with its path and line index.

use std::sync::Arc;

use crate::span::Span;

/// A text with the path it was read from.
///
/// Cloning is cheap: the parts are shared.
#[derive(Clone, Debug)]
pub struct SourceFile {
    path: Arc<str>,
    text: Arc<str>,
    lines: Arc<LineIndex>,
}

impl SourceFile {
    /// `path` is relative to the project root, with `/` between its parts on every platform.
    pub fn new(path: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let lines = Arc::new(LineIndex::new(&text));
        Self { path: path.into(), text, lines }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn path_arc(&self) -> Arc<str> {
        Arc::clone(&self.path)
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn lines(&self) -> &LineIndex {
        &self.lines
    }

    /// The text under `span`; empty where the span does not lie on character boundaries of the file.
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or("")
    }

    pub fn line_column(&self, offset: u32) -> LineColumn {
        self.lines.line_column(&self.text, offset)
    }

    /// The byte offset of a position; positions behind the end of a line or file are clamped.
    pub fn offset(&self, position: LineColumn) -> u32 {
        self.lines.offset(&self.text, position)
    }
}

impl PartialEq for SourceFile {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.text == other.text
    }
}

impl Eq for SourceFile {}

/// A position for people: both count from 1, columns count characters (Unicode scalar values).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LineColumn {
    pub line: u32,
    pub column: u32,
}

/// The byte offsets at which lines start. `\n`, `\r\n` and a lone `\r` end a line, as in Python.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineIndex {
    starts: Vec<u32>,
}

impl LineIndex {
    pub fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut starts = vec![0];
        for (index, byte) in bytes.iter().enumerate() {
            let ends_line = match byte {
                b'\n' => true,
                b'\r' => bytes.get(index + 1) != Some(&b'\n'),
                _ => false,
            };
            if ends_line {
                starts.push(u32::try_from(index + 1).unwrap_or(u32::MAX));
            }
        }
        Self { starts }
    }

    pub fn line_count(&self) -> usize {
        self.starts.len()
    }

    /// The zero-based line that holds `offset`.
    pub fn line_of(&self, offset: u32) -> usize {
        self.starts.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    /// The span of a zero-based line with its line ending; empty past the last line.
    pub fn line_span(&self, text: &str, line: usize) -> Span {
        let end_of_text = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let start = self.starts.get(line).copied().unwrap_or(end_of_text);
        let end = self.starts.get(line + 1).copied().unwrap_or(end_of_text);
        Span::new(start, end)
    }

    pub fn line_column(&self, text: &str, offset: u32) -> LineColumn {
        let line = self.line_of(offset);
        let start = self.starts[line] as usize;
        let mut end = (offset as usize).min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let characters = text.get(start..end).map_or(0, |part| part.chars().count());
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        LineColumn { line: number(line + 1), column: number(characters + 1) }
    }

    pub fn offset(&self, text: &str, position: LineColumn) -> u32 {
        let span = self.line_span(text, position.line.saturating_sub(1) as usize);
        let line = text.get(span.range()).unwrap_or("");
        let line = line.trim_end_matches(['\n', '\r']);
        let characters = position.column.saturating_sub(1) as usize;
        let bytes = line.char_indices().nth(characters).map_or(line.len(), |(index, _)| index);
        span.start.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let file = SourceFile::new("a.py", "ä = 1\r\nb = 2\rc\n");
        assert_eq!(file.line_column(0), LineColumn { line: 1, column: 1 });
        assert_eq!(file.line_column(2), LineColumn { line: 1, column: 2 });
        assert_eq!(file.line_column(8), LineColumn { line: 2, column: 1 });
        assert_eq!(file.line_column(14), LineColumn { line: 3, column: 1 });
        assert_eq!(file.lines().line_count(), 4);
    }

    #[test]
    fn offsets_round_trip_and_clamp() {
        let file = SourceFile::new("a.py", "ä = 1\nb = 2\n");
        for offset in [0, 2, 5, 7, 10] {
            assert_eq!(file.offset(file.line_column(offset)), offset);
        }
        assert_eq!(file.offset(LineColumn { line: 1, column: 99 }), 6);
        assert_eq!(file.offset(LineColumn { line: 99, column: 1 }), 13);
    }

    #[test]
    fn an_offset_inside_a_character_or_past_the_end_is_clamped() {
        let file = SourceFile::new("a.py", "ä");
        assert_eq!(file.line_column(1), LineColumn { line: 1, column: 1 });
        assert_eq!(file.line_column(500), LineColumn { line: 1, column: 2 });
    }
}

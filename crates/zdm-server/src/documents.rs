//! The open documents. Edits are applied in the order in which they come; an edit of an older version than the one at
//! hand is not applied.

use std::collections::BTreeMap;

use zdm_source::SourceFile;

use crate::position::Encoding;
use crate::protocol::ContentChange;

/// A document as the editor has it.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// As the editor writes it.
    pub(crate) uri: String,
    pub(crate) version: i64,
    /// Its path is the URI.
    pub(crate) file: SourceFile,
}

/// By the URI in one spelling ([`crate::uri::key`]).
pub(crate) type Documents = BTreeMap<String, Document>;

impl Document {
    pub(crate) fn new(uri: String, version: i64, text: &str) -> Self {
        let file = SourceFile::new(uri.as_str(), text);
        Self { uri, version, file }
    }

    /// Applies the changes one after the other, each on the result of the one before; false for an old version.
    pub(crate) fn apply(&mut self, version: Option<i64>, changes: &[ContentChange], encoding: Encoding) -> bool {
        if version.is_some_and(|version| version < self.version) {
            return false;
        }
        self.version = version.unwrap_or(self.version);
        for change in changes {
            let text = match change.range {
                None => change.text.clone(),
                Some(range) => {
                    let span = encoding.span(&self.file, range).range();
                    let text = self.file.text();
                    let (before, after) = (text.get(..span.start), text.get(span.end..));
                    [before.unwrap_or(""), &change.text, after.unwrap_or("")].concat()
                }
            };
            self.file = SourceFile::new(self.file.path_arc(), text);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Position, Range};

    fn change(start: (u32, u32), end: (u32, u32), text: &str) -> ContentChange {
        let position = |(line, character)| Position { line, character };
        ContentChange { range: Some(Range { start: position(start), end: position(end) }), text: text.to_owned() }
    }

    #[test]
    fn changes_build_on_each_other() {
        let mut document = Document::new("file:///a.py".to_owned(), 1, "a\nb\n");
        let changes = [change((0, 1), (0, 1), "😀"), change((0, 3), (1, 0), "-"), change((9, 9), (9, 9), "end")];
        assert!(document.apply(Some(2), &changes, Encoding::Utf16));
        assert_eq!(document.file.text(), "a😀-b\nend");
    }

    #[test]
    fn an_old_version_changes_nothing() {
        let mut document = Document::new("file:///a.py".to_owned(), 5, "new");
        let whole = ContentChange { range: None, text: "old".to_owned() };
        assert!(!document.apply(Some(4), &[whole], Encoding::Utf16));
        assert_eq!(document.file.text(), "new");
    }

    #[test]
    fn a_range_that_is_turned_round_is_taken_as_it_was_meant() {
        let mut document = Document::new("file:///a.py".to_owned(), 1, "abc");
        assert!(document.apply(None, &[change((0, 2), (0, 1), "")], Encoding::Utf8));
        assert_eq!(document.file.text(), "ac");
    }
}

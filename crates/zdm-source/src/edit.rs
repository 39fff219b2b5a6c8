//! Changes to a text.

use crate::span::Span;

/// Replace the text under `span` by `replacement`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub span: Span,
    pub replacement: String,
}

impl Edit {
    pub fn replace(span: Span, replacement: impl Into<String>) -> Self {
        Self { span, replacement: replacement.into() }
    }

    pub fn insert(offset: u32, text: impl Into<String>) -> Self {
        Self::replace(Span::at(offset), text)
    }

    pub fn delete(span: Span) -> Self {
        Self::replace(span, "")
    }
}

/// Why a set of edits cannot be applied to a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditError {
    /// Two edits touch the same bytes.
    Overlap(Span, Span),
    /// An edit's span is not inside the text, or cuts a character in two.
    OutOfBounds(Span),
}

/// Apply all `edits` at once; their spans refer to the original `text`. Insertions at one place keep their order.
pub fn apply_edits(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    let mut ordered: Vec<&Edit> = edits.iter().collect();
    ordered.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let mut result = String::with_capacity(text.len());
    let mut previous = Span::at(0);
    for edit in ordered {
        if edit.span.start < previous.end {
            return Err(EditError::Overlap(previous, edit.span));
        }
        let kept = text.get(previous.end as usize..edit.span.start as usize);
        let replaced = text.get(edit.span.range());
        let (Some(kept), Some(_)) = (kept, replaced) else {
            return Err(EditError::OutOfBounds(edit.span));
        };
        result.push_str(kept);
        result.push_str(&edit.replacement);
        previous = edit.span;
    }
    result.push_str(&text[previous.end as usize..]);
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_refer_to_the_original_text() {
        let edits = [Edit::replace(Span::new(6, 11), "there"), Edit::insert(0, "> "), Edit::insert(0, "! ")];
        assert_eq!(apply_edits("hello world", &edits).as_deref(), Ok("> ! hello there"));
    }

    #[test]
    fn overlaps_and_bad_spans_are_refused() {
        let overlap = [Edit::delete(Span::new(0, 3)), Edit::delete(Span::new(2, 4))];
        assert!(matches!(apply_edits("hello", &overlap), Err(EditError::Overlap(..))));
        let outside = [Edit::delete(Span::new(4, 9))];
        assert!(matches!(apply_edits("hello", &outside), Err(EditError::OutOfBounds(_))));
        let inside_character = [Edit::delete(Span::new(0, 1))];
        assert!(matches!(apply_edits("ä", &inside_character), Err(EditError::OutOfBounds(_))));
    }
}

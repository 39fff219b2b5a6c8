//! Strings that know where each of their characters was written.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use zdm_source::{SourceFile, Span};

use crate::eval::MAX_TEXT;
use crate::syntax::Module;

/// A place in a module's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub module: Module,
    pub span: Span,
}

impl Origin {
    pub fn new(module: &Module, span: Span) -> Self {
        Self { module: module.clone(), span }
    }

    pub fn file(&self) -> &SourceFile {
        self.module.file()
    }

    pub fn text(&self) -> &str {
        self.module.text(self.span)
    }
}

/// A string value with a map from its bytes to the source.
///
/// The map goes through escapes, prefixes, triple quotes, implicit and explicit concatenation, formatting and the
/// usual methods. A string that stands in the source as it is costs no allocation.
#[derive(Clone)]
pub struct Str(Repr);

#[derive(Clone)]
enum Repr {
    /// The value is the text under the span.
    Source(Origin),
    Built(Arc<Built>),
}

struct Built {
    text: Box<str>,
    /// Adjacent and in order; together they cover the text.
    segments: Box<[Segment]>,
}

/// A part of a string's value and the part of the source it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Byte offsets in the value.
    pub value: Span,
    pub source: Origin,
    /// Whether byte `n` of the value stands at byte `n` of the source. If not, the two parts correspond only as
    /// wholes: an escape, a converted number, a value that was formatted.
    pub linear: bool,
    /// The field of a template (`{name}`, `%s`) that a value was put in for, where that is another place than the
    /// value's own.
    pub place: Option<Origin>,
}

impl Str {
    /// The text under `span`, as it is.
    pub fn verbatim(module: &Module, span: Span) -> Self {
        Self(Repr::Source(Origin::new(module, span)))
    }

    /// A text that corresponds to `source` only as a whole.
    pub fn made(text: impl Into<Box<str>>, source: Origin) -> Self {
        let text = text.into();
        let value = Span::from_usize(0, text.len());
        let segments = if value.is_empty() {
            Box::default()
        } else {
            [Segment { value, source, linear: false, place: None }].into()
        };
        Self(Repr::Built(Arc::new(Built { text, segments })))
    }

    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Source(origin) => origin.text(),
            Repr::Built(built) => &built.text,
        }
    }

    /// From how many parts it was put together.
    pub(crate) fn parts(&self) -> usize {
        match &self.0 {
            Repr::Source(_) => 1,
            Repr::Built(built) => built.segments.len(),
        }
    }

    /// Whether it has more parts than are followed, and so is not whole.
    pub(crate) fn is_scattered(&self) -> bool {
        self.parts() > MAX_SEGMENTS
    }

    pub fn segments(&self) -> Vec<Segment> {
        match &self.0 {
            Repr::Source(origin) if origin.span.is_empty() => Vec::new(),
            Repr::Source(origin) => {
                vec![Segment {
                    value: Span::new(0, origin.span.len()),
                    source: origin.clone(),
                    linear: true,
                    place: None,
                }]
            }
            Repr::Built(built) => built.segments.to_vec(),
        }
    }

    /// Where a part of the value was written.
    ///
    /// Parts from several places yield the span from the first to the last of those in the first one's file. None for
    /// an empty string that no literal stands for, and for ranges outside of the value.
    pub fn origin_of(&self, range: Range<usize>) -> Option<Origin> {
        let range = Span::from_usize(range.start, range.end);
        let segments = match &self.0 {
            Repr::Source(origin) => {
                let span = Span::new(
                    origin.span.start.checked_add(range.start)?.min(origin.span.end),
                    origin.span.start.checked_add(range.end)?.min(origin.span.end),
                );
                return Some(Origin { module: origin.module.clone(), span });
            }
            Repr::Built(built) => &built.segments,
        };
        let first = segments.partition_point(|segment| segment.value.end <= range.start);
        let first = first.min(segments.len().checked_sub(1)?);
        let mut found: Option<Origin> = None;
        for segment in &segments[first..] {
            if found.is_some() && segment.value.start >= range.end {
                break;
            }
            let part = segment.source_of(range);
            match &mut found {
                None => found = Some(Origin { module: segment.source.module.clone(), span: part }),
                Some(found) if found.module == segment.source.module => found.span = found.span.cover(part),
                Some(_) => {}
            }
        }
        found
    }

    /// The span of a part of the value, if `module`'s file holds it.
    pub fn span_of(&self, module: &Module, range: Range<usize>) -> Option<Span> {
        self.origin_of(range).filter(|origin| origin.module == *module).map(|origin| origin.span)
    }

    /// A part of the value with its map; empty where the range cuts characters or lies outside.
    pub fn slice(&self, range: Range<usize>) -> Self {
        let mut builder = StrBuilder::default();
        builder.push_part(self, range);
        builder.finish()
    }

    /// The same text, put in for the field of a template.
    pub(crate) fn put_in_for(&self, place: &Origin) -> Self {
        let mut segments = self.segments();
        for segment in segments.iter_mut().filter(|segment| segment.source != *place) {
            segment.place = Some(place.clone());
        }
        Self(Repr::Built(Arc::new(Built { text: self.as_str().into(), segments: segments.into() })))
    }

    /// Replace the text by one that has the same bytes in the same places, as far as the map is concerned.
    pub(crate) fn with_text(&self, text: String) -> Self {
        debug_assert_eq!(text.len(), self.as_str().len());
        let segments = self.segments().into();
        Self(Repr::Built(Arc::new(Built { text: text.into(), segments })))
    }
}

impl Segment {
    /// The source of the part of `range` that this segment holds.
    fn source_of(&self, range: Span) -> Span {
        if !self.linear {
            return self.source.span;
        }
        let start = range.start.clamp(self.value.start, self.value.end) - self.value.start;
        let end = range.end.clamp(self.value.start, self.value.end) - self.value.start;
        let base = self.source.span.start;
        Span::new(base.saturating_add(start), base.saturating_add(end.max(start)))
    }
}

impl Deref for Str {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for Str {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Str {}

impl fmt::Debug for Str {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

impl fmt::Display for Str {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Parts that the map of one string may have.
const MAX_SEGMENTS: usize = 1 << 18;

/// Puts a string together from parts that keep their places.
///
/// What outgrows [`MAX_TEXT`] or [`MAX_SEGMENTS`] is cut there; the text is then too large for a value, which is unknown.
#[derive(Default)]
pub(crate) struct StrBuilder {
    text: String,
    segments: Vec<Segment>,
}

impl StrBuilder {
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// A part of the source as it is.
    pub(crate) fn push_verbatim(&mut self, module: &Module, span: Span) {
        self.push(module.text(span), Origin::new(module, span), true, None);
    }

    /// A text that corresponds to `source` only as a whole.
    pub(crate) fn push_unit(&mut self, text: &str, source: Origin) {
        self.push(text, source, false, None);
    }

    fn push(&mut self, text: &str, source: Origin, linear: bool, place: Option<Origin>) {
        if text.is_empty() || self.text.len() > MAX_TEXT || self.segments.len() > MAX_SEGMENTS {
            return;
        }
        let start = self.text.len();
        self.text.push_str(text);
        let value = Span::from_usize(start, self.text.len());
        if linear
            && let Some(last) = self.segments.last_mut()
            && last.linear
            && last.place == place
            && last.source.module == source.module
            && last.source.span.end == source.span.start
        {
            last.value.end = value.end;
            last.source.span.end = source.span.end;
            return;
        }
        if !linear
            && let Some(last) = self.segments.last_mut()
            && !last.linear
            && last.place == place
            && last.source == source
        {
            last.value.end = value.end;
            return;
        }
        self.segments.push(Segment { value, source, linear, place });
    }

    pub(crate) fn push_str(&mut self, part: &Str) {
        self.push_part(part, 0..part.len());
    }

    pub(crate) fn push_part(&mut self, part: &Str, range: Range<usize>) {
        let Some(text) = part.get(range.clone()) else { return };
        if text.is_empty() {
            return;
        }
        let range = Span::from_usize(range.start, range.end);
        let segments: &[Segment] = match &part.0 {
            Repr::Source(origin) => {
                let start = origin.span.start + range.start;
                let source = Origin { module: origin.module.clone(), span: Span::new(start, start + range.len()) };
                return self.push(text, source, true, None);
            }
            Repr::Built(built) => &built.segments,
        };
        let first = segments.partition_point(|segment| segment.value.end <= range.start);
        for segment in &segments[first..] {
            if segment.value.start >= range.end || self.segments.len() > MAX_SEGMENTS {
                break;
            }
            let value = Span::new(segment.value.start.max(range.start), segment.value.end.min(range.end));
            let source = Origin { module: segment.source.module.clone(), span: segment.source_of(range) };
            self.push(part.get(value.range()).unwrap_or(""), source, segment.linear, segment.place.clone());
        }
    }

    /// A string that is one verbatim part becomes a plain reference to the source.
    pub(crate) fn finish(self) -> Str {
        if let [segment] = self.segments.as_slice()
            && segment.linear
            && segment.place.is_none()
            && segment.source.text() == self.text
        {
            return Str(Repr::Source(segment.source.clone()));
        }
        Str(Repr::Built(Arc::new(Built { text: self.text.into(), segments: self.segments.into() })))
    }
}

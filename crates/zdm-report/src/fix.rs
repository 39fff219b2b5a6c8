//! A fix as places and texts, for formats that show or carry it.

use zdm_source::{Applicability, Fix, FixFile, LineColumn, SourceFile, Span};

pub(crate) const fn applicability(of: Applicability) -> &'static str {
    match of {
        Applicability::Safe => "safe",
        Applicability::Unsafe => "unsafe",
        Applicability::DisplayOnly => "display-only",
    }
}

/// One replacement.
pub(crate) struct Replacement<'a> {
    pub(crate) file: &'a SourceFile,
    pub(crate) span: Span,
    pub(crate) text: &'a str,
}

impl Replacement<'_> {
    pub(crate) fn start(&self) -> LineColumn {
        self.file.line_column(self.span.start)
    }

    pub(crate) fn end(&self) -> LineColumn {
        self.file.line_column(self.span.end)
    }
}

pub(crate) fn replacements(fix: &Fix) -> impl Iterator<Item = Replacement<'_>> {
    fix.files
        .iter()
        .filter_map(|file| match file {
            FixFile::Change { file, edits } => Some((file, edits)),
            FixFile::Create { .. } => None,
        })
        .flat_map(|(file, edits)| {
            edits.iter().map(move |edit| Replacement { file, span: edit.span, text: &edit.replacement })
        })
}

pub(crate) fn created(fix: &Fix) -> impl Iterator<Item = (&str, &str)> {
    fix.files.iter().filter_map(|file| match file {
        FixFile::Create { path, text } => Some((path.as_ref(), text.as_str())),
        FixFile::Change { .. } => None,
    })
}

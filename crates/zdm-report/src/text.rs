//! The terminal report: each finding with its source, what is blocked, and the corrected migration.
//!
//! The header, the message and the source snippets are drawn by miette's graphical renderer. Notes and code are laid
//! out here, because code must not be wrapped and a reader should tell facts from advice at first sight.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::sync::OnceLock;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, Severity as MietteSeverity,
    SourceCode, SourceSpan, SpanContents,
};
use zdm_source::{
    Applicability, Diagnostic, Edit, Fix, FixFile, Label, LineIndex, Note, Severity, SourceFile, Span, apply_edits,
};

use crate::report::{Phase, Report};
use crate::words::{ground, one_line, phase_title, plural, verdict};

/// How the report meets the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextOptions {
    /// Whether ANSI colours are written.
    pub color: bool,
    /// Columns; values below 40 count as 40.
    pub width: usize,
    /// Whether box drawing and symbols beyond ASCII may be written.
    pub unicode: bool,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self { color: false, width: 100, unicode: true }
    }
}

/// Longer labels are shortened to their first line: a snippet is there to be recognised, not to be read.
const LINES_OF_A_LABEL: usize = 12;

/// Does the work of each number below the count, in any order, on any threads, and returns when all is done.
pub type ForEach<'f> = dyn Fn(usize, &(dyn Fn(usize) + Sync)) + 'f;

/// So many findings are laid out together.
const FINDINGS_AT_ONCE: usize = 64;

/// The findings that are not suppressed, the order of deployment, and the verdict.
pub fn render(report: &Report<'_>, options: TextOptions) -> String {
    render_with(report, options, &|count, work| (0..count).for_each(work))
}

/// As [`render`], with the findings shared out by `for_each`; the result is the same.
pub fn render_with(report: &Report<'_>, options: TextOptions, for_each: &ForEach<'_>) -> String {
    let options = TextOptions { width: options.width.max(40), ..options };
    let page = Page { options, report, handler: handler(options) };
    let active: Vec<&Diagnostic> = report.active().collect();
    let parts: Vec<(&[&Diagnostic], OnceLock<String>)> =
        active.chunks(FINDINGS_AT_ONCE).map(|part| (part, OnceLock::new())).collect();
    for_each(parts.len(), &|index| {
        if let Some((part, place)) = parts.get(index) {
            let mut drawn = String::new();
            for diagnostic in *part {
                page.diagnostic(&mut drawn, diagnostic);
            }
            let _ = place.set(drawn);
        }
    });
    let mut result: String = parts.into_iter().filter_map(|(_, place)| place.into_inner()).collect();
    page.phases(&mut result);
    page.verdict(&mut result);
    result
}

struct Page<'a> {
    options: TextOptions,
    report: &'a Report<'a>,
    handler: GraphicalReportHandler,
}

fn handler(options: TextOptions) -> GraphicalReportHandler {
    let mut theme = match (options.unicode, options.color) {
        (true, true) => GraphicalTheme::unicode(),
        (true, false) => GraphicalTheme::unicode_nocolor(),
        (false, true) => GraphicalTheme::ascii(),
        (false, false) => GraphicalTheme::none(),
    };
    if options.unicode {
        theme.characters.error = "×".into();
        theme.characters.warning = "⚠".into();
        theme.characters.advice = "•".into();
    }
    GraphicalReportHandler::new_themed(theme)
        .with_width(options.width)
        .with_links(false)
        .with_context_lines(1)
        .without_cause_chain()
        .without_syntax_highlighting()
}

#[derive(Clone, Copy)]
enum Paint {
    Red,
    Yellow,
    Green,
    Cyan,
    Bold,
    Dim,
}

/// How many migrations of a phase are named: on a branch all of them, on a whole history the rest is counted.
const MOST_PHASES: usize = 12;

impl Page<'_> {
    fn paint(&self, paint: Paint, text: &str) -> String {
        if !self.options.color || text.is_empty() {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Red => "31;1",
            Paint::Yellow => "33;1",
            Paint::Green => "32",
            Paint::Cyan => "36",
            Paint::Bold => "1",
            Paint::Dim => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    fn diagnostic(&self, out: &mut String, diagnostic: &Diagnostic) {
        let here = |label: &&Label| label.file == diagnostic.primary.file;
        let (same_file, elsewhere): (Vec<&Label>, Vec<&Label>) = diagnostic.related.iter().partition(here);
        let snippet = Snippet {
            title: Some(format!("{}[{}] {}", diagnostic.severity.as_str(), diagnostic.code.code, diagnostic.code.name)),
            message: one_line(&diagnostic.message),
            severity: diagnostic.severity,
            source: self.source(&diagnostic.primary.file),
            labels: self.labels(&diagnostic.primary, &same_file),
        };
        draw(&self.handler, out, &snippet);
        for label in elsewhere {
            let snippet = Snippet {
                title: None,
                message: String::new(),
                severity: Severity::Info,
                source: self.source(&label.file),
                labels: self.labels(label, &[]),
            };
            let mut drawn = String::new();
            draw(&self.handler, &mut drawn, &snippet);
            // The first line is the empty message of a finding that is none.
            out.push_str(drawn.split_once('\n').map_or("", |(_, rest)| rest));
        }
        for note in &diagnostic.notes {
            self.note(out, note);
        }
        if let Some(fix) = &diagnostic.fix {
            self.fix(out, fix, &diagnostic.notes);
        }
        out.push('\n');
    }

    /// Labels that can be drawn: spans lie on characters of the file and are not too long, and no two are the same, so
    /// that brackets do not stand side by side.
    fn labels(&self, primary: &Label, others: &[&Label]) -> Vec<LabeledSpan> {
        // Brackets, line numbers and the label's own hook take about so much.
        let width = self.options.width.saturating_sub(18).max(20);
        let text = |label: &Label| {
            Some(wrapped(&one_line(&label.message), width).join("\n")).filter(|message| !message.is_empty())
        };
        let place = |span: Span| SourceSpan::from(span.start as usize..span.end as usize);
        let mut taken = vec![shortened(&primary.file, primary.span)];
        let mut labels = vec![LabeledSpan::new_primary_with_span(text(primary), place(taken[0]))];
        for label in others {
            let mut span = shortened(&label.file, label.span);
            if taken.contains(&span) {
                span = first_line(&label.file, span);
            }
            taken.push(span);
            labels.push(LabeledSpan::new_with_span(text(label), place(span)));
        }
        labels
    }

    fn source<'f>(&self, file: &'f SourceFile) -> Source<'f> {
        Source {
            name: one_line(&self.report.paths.display(file.path())),
            text: printable(file.text()),
            lines: file.lines(),
        }
    }

    fn note(&self, out: &mut String, note: &Note) {
        match note {
            Note::Fact(text) => self.paragraph(out, "note", Paint::Bold, text),
            Note::Help(text) => self.paragraph(out, "help", Paint::Cyan, text),
            Note::Code { title, text, .. } => {
                self.paragraph(out, "help", Paint::Cyan, title);
                self.code(out, text);
            }
        }
    }

    fn fix(&self, out: &mut String, fix: &Fix, notes: &[Note]) {
        let how = match fix.applicability {
            Applicability::Safe => "--fix applies it",
            Applicability::Unsafe => "--unsafe-fixes applies it",
            Applicability::DisplayOnly => "to be applied by hand",
        };
        self.paragraph(out, "fix", Paint::Green, &format!("{} ({how})", fix.title));
        // The corrected migration is often among the notes already; twice is once too often.
        if notes.iter().any(|note| matches!(note, Note::Code { .. })) {
            return;
        }
        for file in &fix.files {
            match file {
                FixFile::Change { file, edits } => {
                    self.change(out, file, edits);
                }
                FixFile::Create { path, text } => {
                    self.paragraph(out, "new", Paint::Green, &self.report.paths.display(path));
                    self.code(out, text);
                }
            }
        }
    }

    /// The lines that the edits touch, before and after; edits on the same lines are one hunk.
    fn change(&self, out: &mut String, file: &SourceFile, edits: &[Edit]) {
        let text = file.text();
        let mut ordered: Vec<&Edit> = edits.iter().collect();
        ordered.sort_by_key(|edit| (edit.span.start, edit.span.end));
        let mut hunks: Vec<(Span, Vec<Edit>)> = Vec::new();
        for edit in ordered {
            let first = file.lines().line_span(text, file.lines().line_of(edit.span.start));
            let last = file.lines().line_span(text, file.lines().line_of(edit.span.end));
            match hunks.last_mut() {
                Some((lines, of)) if first.start < lines.end => {
                    *lines = lines.cover(last);
                    of.push(edit.clone());
                }
                _ => hunks.push((first.cover(last), vec![edit.clone()])),
            }
        }
        for (index, (lines, edits)) in hunks.iter().enumerate() {
            let shift = |offset: u32| offset.saturating_sub(lines.start);
            let inside: Vec<Edit> = edits
                .iter()
                .map(|edit| Edit::replace(Span::new(shift(edit.span.start), shift(edit.span.end)), &edit.replacement))
                .collect();
            let old = file.slice(*lines);
            let Ok(new) = apply_edits(old, &inside) else { continue };
            if index > 0 {
                self.code_line(out, "");
            }
            let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
            let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
            let rest = old.len().min(new.len()) - head;
            let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
            let middle = |lines: &[&str]| lines.get(head..lines.len() - tail).unwrap_or_default().join("\n");
            for line in old.get(..head).unwrap_or_default() {
                self.code_line(out, &format!("  {}", printable(line)));
            }
            for line in middle(&old).lines() {
                self.code_line(out, &self.paint(Paint::Red, &format!("- {}", printable(line))));
            }
            for line in middle(&new).lines() {
                self.code_line(out, &self.paint(Paint::Green, &format!("+ {}", printable(line))));
            }
            for line in old.get(old.len() - tail..).unwrap_or_default() {
                self.code_line(out, &format!("  {}", printable(line)));
            }
        }
    }

    fn code(&self, out: &mut String, text: &str) {
        for line in text.trim_matches('\n').lines() {
            self.code_line(out, &printable(line));
        }
    }

    fn code_line(&self, out: &mut String, line: &str) {
        let bar = self.paint(Paint::Dim, if self.options.unicode { "│" } else { "|" });
        let line = line.trim_end().replace('\t', "    ");
        let gap = if line.is_empty() { "" } else { " " };
        let _ = writeln!(out, "        {bar}{gap}{line}");
    }

    /// `  word: text`, wrapped, with the text's lines under each other.
    fn paragraph(&self, out: &mut String, word: &str, paint: Paint, text: &str) {
        let indent = "        ";
        let width = self.options.width.saturating_sub(indent.len());
        let mut first = true;
        for line in text.lines().flat_map(|line| wrapped(&one_line(line), width)) {
            if first {
                let gap = " ".repeat(5usize.saturating_sub(word.len()));
                let _ = writeln!(out, "  {}{gap}{line}", self.paint(paint, &format!("{word}:")));
            } else {
                let _ = writeln!(out, "{indent}{line}");
            }
            first = false;
        }
    }

    fn phases(&self, out: &mut String) {
        let not_before: Vec<_> = self.report.phases.iter().filter(|entry| entry.phase != Phase::Before).collect();
        if not_before.is_empty() {
            return;
        }
        let _ = writeln!(out, "{}", self.paint(Paint::Bold, "Deploy"));
        for phase in [Phase::Before, Phase::After, Phase::Window] {
            let entries: Vec<_> = self.report.phases.iter().filter(|entry| entry.phase == phase).collect();
            if entries.is_empty() {
                continue;
            }
            let paint = match phase {
                Phase::Before => Paint::Green,
                Phase::After => Paint::Yellow,
                Phase::Window => Paint::Red,
            };
            let _ = writeln!(out, "  {}", self.paint(paint, phase_title(phase)));
            if phase == Phase::Before && entries.len() > 10 {
                let _ = writeln!(out, "    {}", plural(entries.len(), "migration"));
                continue;
            }
            let more = entries.len().saturating_sub(MOST_PHASES);
            for entry in entries.into_iter().take(MOST_PHASES) {
                let name = format!("{}.{}", entry.app, entry.migration);
                match entry.reasons.first() {
                    Some(reason) => {
                        let _ = writeln!(out, "    {name}: {}", one_line(reason));
                    }
                    None => {
                        let _ = writeln!(out, "    {name}");
                    }
                }
            }
            if more > 0 {
                let _ = writeln!(out, "    and {more} more; `--base REF` narrows the report to what a branch adds");
            }
        }
        out.push('\n');
    }

    fn verdict(&self, out: &mut String) {
        let counts = self.report.counts();
        let paint = match () {
            () if counts.errors > 0 => Paint::Red,
            () if counts.warnings > 0 => Paint::Yellow,
            () => Paint::Green,
        };
        let sentence = verdict(self.report);
        let mut letters = sentence.chars();
        let capital: String = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
        let _ = write!(out, "{}", self.paint(paint, &format!("{capital}{}", letters.as_str())));
        if counts.suppressed > 0 {
            let _ = write!(out, " ({} suppressed)", counts.suppressed);
        }
        out.push('\n');
        let _ = writeln!(out, "{}", self.paint(Paint::Dim, &ground(self.report)));
        for note in &self.report.notes {
            for line in wrapped(&one_line(note), self.options.width) {
                let _ = writeln!(out, "{}", self.paint(Paint::Dim, &line));
            }
        }
        if let Some(diagnostic) = self.report.active().next() {
            let hint = format!("Run `zdm-lint explain {}` for a rule's page.", diagnostic.code.code);
            let _ = writeln!(out, "{}", self.paint(Paint::Dim, &hint));
        }
    }
}

/// A finding, or a place that belongs to one, as miette wants to see it.
struct Snippet<'a> {
    title: Option<String>,
    message: String,
    severity: Severity,
    source: Source<'a>,
    labels: Vec<LabeledSpan>,
}

/// A file for miette, which would go through all of it for each label: the lines that are shown are looked up.
struct Source<'a> {
    name: String,
    text: Cow<'a, str>,
    /// Of the text before it was made printable, which keeps lines and offsets.
    lines: &'a LineIndex,
}

impl SourceCode for Source<'_> {
    fn read_span<'s>(
        &'s self,
        span: &SourceSpan,
        context_lines_before: usize,
        context_lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'s> + 's>, MietteError> {
        let offset = u32::try_from(span.offset()).unwrap_or(u32::MAX);
        // One line more: how an empty span is read depends on the line end before it.
        let line = self.lines.line_of(offset).saturating_sub(context_lines_before + 1);
        let start = self.lines.line_span(&self.text, line).start as usize;
        let part = self.text.get(start..).ok_or(MietteError::OutOfBounds)?;
        let inner =
            SourceSpan::from(span.offset().saturating_sub(start)..span.offset().saturating_sub(start) + span.len());
        let found = part.read_span(&inner, context_lines_before, context_lines_after)?;
        let place = SourceSpan::from(start + found.span().offset()..start + found.span().offset() + found.span().len());
        let data = self.text.as_bytes().get(place.offset()..place.offset() + place.len());
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            data.ok_or(MietteError::OutOfBounds)?,
            place,
            line + found.line(),
            found.column(),
            line + found.line_count(),
        )))
    }
}

impl fmt::Debug for Snippet<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Snippet")
    }
}

impl fmt::Display for Snippet<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Snippet<'_> {}

impl miette::Diagnostic for Snippet<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.title.as_ref().map(|title| Box::new(title) as Box<dyn fmt::Display>)
    }

    fn severity(&self) -> Option<MietteSeverity> {
        Some(match self.severity {
            Severity::Error => MietteSeverity::Error,
            Severity::Warning => MietteSeverity::Warning,
            Severity::Info => MietteSeverity::Advice,
        })
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

fn draw(handler: &GraphicalReportHandler, out: &mut String, snippet: &Snippet<'_>) {
    // Writing into a string does not fail; a label that miette refuses is said in its own words inside the drawing.
    let _ = handler.render_report(out, snippet);
}

fn shortened(file: &SourceFile, span: Span) -> Span {
    let text = file.text();
    let inside = |offset: u32| {
        let mut offset = (offset as usize).min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    };
    let (start, end) = (inside(span.start), inside(span.end.max(span.start)));
    if start == text.len() {
        // Behind the last line end there is no line to draw: the last character that is one stands for the end.
        let last = text.char_indices().rev().find(|(_, character)| !matches!(character, '\n' | '\r'));
        return last.map_or(Span::at(0), |(index, character)| Span::from_usize(index, index + character.len_utf8()));
    }
    let labelled = text.get(start..end).unwrap_or("");
    let span = Span::from_usize(start, end);
    if labelled.lines().count() <= LINES_OF_A_LABEL { span } else { first_line(file, span) }
}

fn first_line(file: &SourceFile, span: Span) -> Span {
    let length = file.slice(span).lines().next().map_or(0, str::len);
    Span::from_usize(span.start as usize, span.start as usize + length)
}

/// The text with everything that would move a terminal's cursor or colours replaced, byte for byte, so that offsets
/// keep their meaning.
fn printable(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b'\n' | b'\t' | b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let mut result = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\n' | '\t' => result.push(character),
            '\r' if characters.peek() == Some(&'\n') => result.push('\r'),
            '\r' => result.push('\n'),
            // Two bytes wide, like the C1 controls themselves.
            '\u{80}'..='\u{9f}' => result.push('·'),
            // Directional overrides and isolates, three bytes each: they make code look like other code.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => result.push('\u{fffd}'),
            _ if character.is_control() => result.push('?'),
            _ => result.push(character),
        }
    }
    Cow::Owned(result)
}

/// Lines of at most `width` characters, broken at spaces; a longer word stands alone.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut length = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let word_length = word.chars().count();
        if length > 0 && length + 1 + word_length > width {
            lines.push(std::mem::take(&mut line));
            length = 0;
        }
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        line.push_str(word);
        length += word_length;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What miette finds when it goes through the whole text.
    #[test]
    fn lines_that_are_looked_up_are_those_that_miette_finds() {
        for text in ["a", "\n", "one\ntwo\n\nfour é\nfive", "a\r\nb\r\n\r\nc", "a\rb\r\rc\n", "\n\n\nx\n\n"] {
            let file = SourceFile::new("a.py", text);
            let source = Source { name: "a.py".to_owned(), text: printable(text), lines: file.lines() };
            let whole = source.text.to_string();
            // The renderer never asks for a place behind the end.
            for start in 0..text.len() {
                for end in start..=text.len() {
                    for (before, after) in [(0, 0), (1, 1), (2, 1), (1, 3)] {
                        let span = SourceSpan::from(start..end);
                        let shown = |found: Result<Box<dyn SpanContents<'_> + '_>, MietteError>| {
                            found.ok().map(|found| {
                                let text = String::from_utf8_lossy(found.data()).into_owned();
                                (text, *found.span(), found.line(), found.column(), found.line_count())
                            })
                        };
                        let own = shown(source.read_span(&span, before, after));
                        let other = shown(whole.as_str().read_span(&span, before, after));
                        assert_eq!(own, other, "{text:?} {start}..{end} {before} {after}");
                    }
                }
            }
        }
    }
}

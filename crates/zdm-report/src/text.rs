//! The terminal report: each finding with its source, what is blocked, and the corrected migration.
//!
//! The header, the message and the source snippets are drawn by miette's graphical renderer. Notes and code are laid
//! out here, because code must not be wrapped and a reader should tell facts from advice at first sight.

use std::fmt::{self, Write};

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity as MietteSeverity, SourceCode,
    SourceSpan,
};
use zdm_source::{Applicability, Diagnostic, Edit, Fix, FixFile, Label, Note, Severity, SourceFile, Span, apply_edits};

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

/// The findings that are not suppressed, the order of deployment, and the verdict.
pub fn render(report: &Report<'_>, options: TextOptions) -> String {
    let page = Page { options: TextOptions { width: options.width.max(40), ..options }, report };
    let mut result = String::new();
    for diagnostic in report.active() {
        page.diagnostic(&mut result, diagnostic);
    }
    page.phases(&mut result);
    page.verdict(&mut result);
    result
}

struct Page<'a> {
    options: TextOptions,
    report: &'a Report<'a>,
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

    fn handler(&self) -> GraphicalReportHandler {
        let mut theme = match (self.options.unicode, self.options.color) {
            (true, true) => GraphicalTheme::unicode(),
            (true, false) => GraphicalTheme::unicode_nocolor(),
            (false, true) => GraphicalTheme::ascii(),
            (false, false) => GraphicalTheme::none(),
        };
        if self.options.unicode {
            theme.characters.error = "×".into();
            theme.characters.warning = "⚠".into();
            theme.characters.advice = "•".into();
        }
        GraphicalReportHandler::new_themed(theme)
            .with_width(self.options.width)
            .with_links(false)
            .with_context_lines(1)
            .without_cause_chain()
            .without_syntax_highlighting()
    }

    fn diagnostic(&self, out: &mut String, diagnostic: &Diagnostic) {
        let handler = self.handler();
        let here = |label: &&Label| label.file == diagnostic.primary.file;
        let (same_file, elsewhere): (Vec<&Label>, Vec<&Label>) = diagnostic.related.iter().partition(here);
        let snippet = Snippet {
            title: Some(format!("{}[{}] {}", diagnostic.severity.as_str(), diagnostic.code.code, diagnostic.code.name)),
            message: one_line(&diagnostic.message),
            severity: diagnostic.severity,
            source: self.source(&diagnostic.primary.file),
            labels: self.labels(&diagnostic.primary, &same_file),
        };
        draw(&handler, out, &snippet);
        for label in elsewhere {
            let snippet = Snippet {
                title: None,
                message: String::new(),
                severity: Severity::Info,
                source: self.source(&label.file),
                labels: self.labels(label, &[]),
            };
            let mut drawn = String::new();
            draw(&handler, &mut drawn, &snippet);
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

    fn source(&self, file: &SourceFile) -> NamedSource<String> {
        NamedSource::new(one_line(&self.report.paths.display(file.path())), printable(file.text()))
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
struct Snippet {
    title: Option<String>,
    message: String,
    severity: Severity,
    source: NamedSource<String>,
    labels: Vec<LabeledSpan>,
}

impl fmt::Debug for Snippet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Snippet")
    }
}

impl fmt::Display for Snippet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Snippet {}

impl miette::Diagnostic for Snippet {
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

fn draw(handler: &GraphicalReportHandler, out: &mut String, snippet: &Snippet) {
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
fn printable(text: &str) -> String {
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
    result
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

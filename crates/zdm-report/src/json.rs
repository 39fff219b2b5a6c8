//! The JSON document of `--format json`, version 1: it grows only by added keys.

use serde::Serialize;
use zdm_source::{Diagnostic, Label, LineColumn, Note, SourceFile, Span};

use crate::fingerprint::{Fingerprint, fingerprints};
use crate::fix::{applicability, created, replacements};
use crate::report::{MigrationPhase, Report};

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    tool: Tool<'a>,
    postgres: &'a str,
    django: &'a str,
    base: Option<BaseRef<'a>>,
    diagnostics: Vec<Finding<'a>>,
    phases: Vec<PhaseOf<'a>>,
    notes: &'a [String],
    summary: Totals,
}

#[derive(Serialize)]
struct Tool<'a> {
    name: &'static str,
    version: &'a str,
}

#[derive(Serialize)]
struct BaseRef<'a> {
    #[serde(rename = "ref")]
    reference: &'a str,
    merge_base: &'a str,
}

#[derive(Serialize)]
struct Finding<'a> {
    code: &'static str,
    name: &'static str,
    severity: &'static str,
    message: &'a str,
    path: String,
    start: Position,
    end: Position,
    app: Option<&'a str>,
    migration: Option<&'a str>,
    /// Counted from 0 in the migration.
    operation: Option<usize>,
    statement: Option<&'a str>,
    label: &'a str,
    related: Vec<Related<'a>>,
    notes: Vec<NoteOf<'a>>,
    fix: Option<FixOf<'a>>,
    suppressed: Option<Suppression<'a>>,
    fingerprint: String,
    url: Option<&'a str>,
}

#[derive(Serialize)]
struct Position {
    line: u32,
    column: u32,
}

#[derive(Serialize)]
struct Related<'a> {
    path: String,
    start: Position,
    end: Position,
    message: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum NoteOf<'a> {
    Fact { text: &'a str },
    Help { text: &'a str },
    Code { title: &'a str, language: &'static str, text: &'a str },
}

#[derive(Serialize)]
struct FixOf<'a> {
    title: &'a str,
    applicability: &'static str,
    edits: Vec<EditOf<'a>>,
    creates: Vec<Created<'a>>,
}

#[derive(Serialize)]
struct EditOf<'a> {
    path: String,
    start: Position,
    end: Position,
    replacement: &'a str,
}

#[derive(Serialize)]
struct Created<'a> {
    path: String,
    text: &'a str,
}

#[derive(Serialize)]
struct Suppression<'a> {
    kind: &'static str,
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct PhaseOf<'a> {
    app: &'a str,
    migration: &'a str,
    path: String,
    phase: &'static str,
    reasons: &'a [String],
}

#[derive(Serialize)]
struct Totals {
    errors: usize,
    warnings: usize,
    infos: usize,
    suppressed: usize,
    failed: bool,
    migrations: usize,
    reported: usize,
    operations: usize,
    analysed: usize,
    apps: usize,
}

/// The document, indented, with a final line end.
pub fn render(report: &Report<'_>) -> String {
    let counts = report.counts();
    let summary = report.summary;
    let document = Document {
        version: 1,
        tool: Tool { name: "zdm-lint", version: report.tool_version },
        postgres: &report.postgres,
        django: &report.django,
        base: report.base.as_ref().map(|base| BaseRef { reference: &base.reference, merge_base: &base.merge_base }),
        diagnostics: report
            .diagnostics
            .iter()
            .zip(fingerprints(report.diagnostics))
            .map(|(diagnostic, fingerprint)| finding(report, diagnostic, fingerprint))
            .collect(),
        phases: report.phases.iter().map(|phase| phase_of(report, phase)).collect(),
        notes: &report.notes,
        summary: Totals {
            errors: counts.errors,
            warnings: counts.warnings,
            infos: counts.infos,
            suppressed: counts.suppressed,
            failed: report.failed(),
            migrations: summary.migrations,
            reported: summary.reported,
            operations: summary.operations,
            analysed: summary.analysed,
            apps: summary.apps,
        },
    };
    to_text(&document)
}

/// `value`, indented, with a final line end. Structures of strings, numbers and lists always serialise.
pub(crate) fn to_text(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"));
    text.push('\n');
    text
}

fn finding<'a>(report: &'a Report<'_>, diagnostic: &'a Diagnostic, fingerprint: Fingerprint) -> Finding<'a> {
    let Label { file, span, message } = &diagnostic.primary;
    let (start, end) = range(file, *span);
    Finding {
        code: diagnostic.code.code,
        name: diagnostic.code.name,
        severity: diagnostic.severity.as_str(),
        message: &diagnostic.message,
        path: report.paths.display(file.path()),
        start,
        end,
        app: diagnostic.subject.app.as_deref(),
        migration: diagnostic.subject.migration.as_deref(),
        operation: diagnostic.subject.operation,
        statement: diagnostic.subject.statement.as_deref(),
        label: message,
        related: diagnostic.related.iter().map(|label| related(report, label)).collect(),
        notes: diagnostic.notes.iter().map(note).collect(),
        fix: diagnostic.fix.as_ref().map(|fix| FixOf {
            title: &fix.title,
            applicability: applicability(fix.applicability),
            edits: replacements(fix)
                .map(|edit| EditOf {
                    path: report.paths.display(edit.file.path()),
                    start: edit.start().into(),
                    end: edit.end().into(),
                    replacement: edit.text,
                })
                .collect(),
            creates: created(fix).map(|(path, text)| Created { path: report.paths.display(path), text }).collect(),
        }),
        suppressed: diagnostic
            .suppressed
            .as_ref()
            .map(|by| Suppression { kind: by.kind.as_str(), reason: by.reason.as_deref() }),
        fingerprint: fingerprint.to_string(),
        url: report.rule(diagnostic.code.code).map(|rule| rule.url).filter(|url| !url.is_empty()),
    }
}

fn related<'a>(report: &Report<'_>, label: &'a Label) -> Related<'a> {
    let (start, end) = range(&label.file, label.span);
    Related { path: report.paths.display(label.file.path()), start, end, message: &label.message }
}

fn note(note: &Note) -> NoteOf<'_> {
    match note {
        Note::Fact(text) => NoteOf::Fact { text },
        Note::Help(text) => NoteOf::Help { text },
        Note::Code { title, language, text } => NoteOf::Code { title, language, text },
    }
}

fn phase_of<'a>(report: &Report<'_>, phase: &'a MigrationPhase) -> PhaseOf<'a> {
    PhaseOf {
        app: &phase.app,
        migration: &phase.migration,
        path: report.paths.display(&phase.path),
        phase: phase.phase.as_str(),
        reasons: &phase.reasons,
    }
}

fn range(file: &SourceFile, span: Span) -> (Position, Position) {
    (file.line_column(span.start).into(), file.line_column(span.end).into())
}

impl From<LineColumn> for Position {
    fn from(place: LineColumn) -> Self {
        Self { line: place.line, column: place.column }
    }
}

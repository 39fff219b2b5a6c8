//! GitLab's code quality report (<https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format>).

use serde::Serialize;
use zdm_source::Severity;

use crate::fingerprint::fingerprints;
use crate::json::to_text;
use crate::report::Report;

#[derive(Serialize)]
struct Violation {
    description: String,
    check_name: &'static str,
    fingerprint: String,
    severity: &'static str,
    location: Location,
}

#[derive(Serialize)]
struct Location {
    path: String,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: u32,
    end: u32,
}

/// A list with the findings that are not suppressed.
pub fn render(report: &Report<'_>) -> String {
    let violations: Vec<Violation> = report
        .diagnostics
        .iter()
        .zip(fingerprints(report.diagnostics))
        .filter(|(diagnostic, _)| diagnostic.suppressed.is_none())
        .map(|(diagnostic, fingerprint)| {
            let file = &diagnostic.primary.file;
            let begin = file.line_column(diagnostic.primary.span.start).line;
            let end = file.line_column(diagnostic.primary.span.end).line.max(begin);
            Violation {
                description: format!("{} {}: {}", diagnostic.code.code, diagnostic.code.name, diagnostic.message),
                check_name: diagnostic.code.code,
                fingerprint: fingerprint.to_string(),
                severity: match diagnostic.severity {
                    Severity::Error => "critical",
                    Severity::Warning => "major",
                    Severity::Info => "info",
                },
                location: Location { path: report.paths.repository(file.path()), lines: Lines { begin, end } },
            }
        })
        .collect();
    to_text(&violations)
}

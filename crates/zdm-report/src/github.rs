//! GitHub's workflow commands: `::error file=…,line=…::message`.
//!
//! GitHub shows at most ten annotations of each level per step and drops the rest without a word. So the tenth of a
//! level that has more says how many there are, and every finding stands in the log, in a group.

use std::fmt::Write;

use zdm_source::{Diagnostic, Note, Severity};

use crate::report::Report;
use crate::words::{one_line, place, plural, verdict};

/// Annotations of one level that GitHub shows per step
/// (<https://docs.github.com/rest/checks/runs#create-a-check-run> and the runner's own limit).
const LIMIT: usize = 10;

/// The commands, then the whole list where GitHub would not show all of it; empty where nothing was found.
pub fn render(report: &Report<'_>) -> String {
    let mut out = String::new();
    let mut hidden = 0;
    for severity in [Severity::Error, Severity::Warning, Severity::Info] {
        let findings: Vec<&Diagnostic> = report.active().filter(|finding| finding.severity == severity).collect();
        let shown = if findings.len() > LIMIT { LIMIT - 1 } else { findings.len() };
        let (shown, rest) = findings.split_at(shown);
        for finding in shown {
            annotation(&mut out, report, finding);
        }
        if let Some(first) = rest.first() {
            hidden += rest.len();
            summary(&mut out, report, severity, first, rest);
        }
    }
    if hidden > 0 {
        let _ = writeln!(out, "::group::zdm-lint: {}", data(&verdict(report)));
        for finding in report.active() {
            let file = &finding.primary.file;
            let line = format!(
                "{}: {} {} {}",
                place(file, finding.primary.span, &report.paths.repository(file.path())),
                finding.code.code,
                finding.severity.as_str(),
                finding.message
            );
            let _ = writeln!(out, "{}", inert(&line));
        }
        let _ = writeln!(out, "::endgroup::");
    }
    out
}

const fn command(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "notice",
    }
}

fn annotation(out: &mut String, report: &Report<'_>, finding: &Diagnostic) {
    let file = &finding.primary.file;
    let (start, end) = (file.line_column(finding.primary.span.start), file.line_column(finding.primary.span.end));
    let mut text = finding.message.clone();
    for note in &finding.notes {
        let (word, note) = match note {
            Note::Fact(text) => ("", text.as_str()),
            Note::Help(text) => ("help: ", text.as_str()),
            Note::Code { title, text: code, .. } => {
                let _ = write!(text, "\n\n{title}:\n{}", code.trim_end());
                continue;
            }
        };
        let _ = write!(text, "\n{word}{note}");
    }
    let _ = write!(
        out,
        "::{} title={}",
        command(finding.severity),
        property(&format!("{} {}", finding.code.code, finding.code.name))
    );
    // What is said of no file stands in the run's own list.
    if !file.path().is_empty() {
        let path = property(&report.paths.repository(file.path()));
        let _ = write!(out, ",file={path},line={},endLine={}", start.line, end.line.max(start.line));
        // GitHub takes columns only where the annotation stays in one line.
        if start.line == end.line {
            let _ = write!(out, ",col={},endColumn={}", start.column, end.column);
        }
    }
    let _ = writeln!(out, "::{}", data(&text));
}

fn summary(out: &mut String, report: &Report<'_>, severity: Severity, first: &Diagnostic, rest: &[&Diagnostic]) {
    let mut codes: Vec<(&str, usize)> = Vec::new();
    for finding in rest {
        match codes.iter_mut().find(|(code, _)| *code == finding.code.code) {
            Some((_, count)) => *count += 1,
            None => codes.push((finding.code.code, 1)),
        }
    }
    codes.sort_unstable();
    let codes: Vec<String> = codes.into_iter().map(|(code, count)| format!("{code}: {count}")).collect();
    let word = if severity == Severity::Info { "note" } else { severity.as_str() };
    let more = plural(rest.len(), &format!("more {word}"));
    let file = &first.primary.file;
    let place = if file.path().is_empty() {
        String::new()
    } else {
        let line = file.line_column(first.primary.span.start).line;
        format!(",file={},line={line}", property(&report.paths.repository(file.path())))
    };
    let _ = writeln!(
        out,
        "::{} title={}{place}::{}",
        command(severity),
        property(&format!("zdm-lint: {more}")),
        data(&format!(
            "{more} from here on ({}): GitHub shows no more than {LIMIT} of a kind per step; the step's log lists all",
            codes.join(", ")
        )),
    );
}

/// The escapes of a command's text.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The escapes of a command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// A line that the runner does not take for a command: those start with `::` after white space, or hold `##[`.
fn inert(line: &str) -> String {
    let line = one_line(line).replace("##[", "# #[");
    if line.trim_start().starts_with("::") { format!("- {line}") } else { line }
}

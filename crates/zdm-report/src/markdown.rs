//! A summary for a pull request's comment or a job's summary page.
//!
//! The verdict, a table of findings with the worst first, when each migration may be deployed, and the details folded
//! away. What does not fit into the limit is counted, never cut in the middle.

use std::fmt::Write;

use zdm_source::{Diagnostic, Note, Severity};

use crate::report::{Phase, Report};
use crate::words::{ground, one_line, phase_title, plural, verdict};

/// GitHub refuses a comment above 65,536 characters; a job summary may have 1 MiB per step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkdownOptions {
    /// Bytes.
    pub limit: usize,
}

impl Default for MarkdownOptions {
    fn default() -> Self {
        Self { limit: 65_000 }
    }
}

/// The first line of every summary: by it a bot finds the comment that it wrote before.
pub const MARKER: &str = "<!-- zdm-lint -->";

/// The document, no longer than the limit.
pub fn render(report: &Report<'_>, options: MarkdownOptions) -> String {
    let mut findings: Vec<&Diagnostic> = report.active().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let mut out = format!("{MARKER}\n### zdm-lint: {}\n\n", escaped(&verdict(report)));
    let tail = tail(report);
    // What is left for lists; the words that count the rest need a little room too.
    let mut room = options.limit.saturating_sub(out.len() + tail.len() + 400);
    let mut take = |out: &mut String, part: &str| {
        let fits = part.len() <= room;
        if fits {
            room -= part.len();
            out.push_str(part);
        }
        fits
    };
    if !findings.is_empty() {
        let header = "| | Rule | Migration | What happens |\n|---|---|---|---|\n";
        let mut listed = 0;
        if take(&mut out, header) {
            listed = findings.iter().take_while(|finding| take(&mut out, &row(report, finding))).count();
        }
        if listed < findings.len() {
            let _ = write!(out, "\n…and {}.\n", plural(findings.len() - listed, "more finding"));
        }
        out.push('\n');
    }
    let phases = phases(report);
    if !phases.is_empty() && !take(&mut out, &phases) {
        let _ = writeln!(out, "The order of deployment is too long to be shown here.\n");
    }
    let detailed: Vec<&&Diagnostic> = findings.iter().filter(|finding| !finding.notes.is_empty()).collect();
    let shown = detailed.iter().take_while(|finding| take(&mut out, &details(report, finding))).count();
    if shown < detailed.len() {
        let _ = writeln!(out, "Details of {} are left out for length.\n", plural(detailed.len() - shown, "finding"));
    }
    out.push_str(&tail);
    out
}

fn tail(report: &Report<'_>) -> String {
    let mut out = format!("<sub>{}", escaped(&ground(report)));
    let suppressed = report.counts().suppressed;
    if suppressed > 0 {
        let _ = write!(out, "; {suppressed} suppressed");
    }
    for note in &report.notes {
        let _ = write!(out, "<br>{}", escaped(note));
    }
    out.push_str("</sub>\n");
    out
}

const fn sign(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "🛑",
        Severity::Warning => "⚠️",
        Severity::Info => "ℹ️",
    }
}

fn row(report: &Report<'_>, finding: &Diagnostic) -> String {
    format!(
        "| {} | {} | {} | {} |\n",
        sign(finding.severity),
        rule_link(report, finding),
        place(report, finding),
        cell(&finding.message),
    )
}

fn rule_link(report: &Report<'_>, finding: &Diagnostic) -> String {
    let code = finding.code.code;
    match report.rule(code).map(|rule| rule.url).filter(|url| !url.is_empty()) {
        Some(url) => format!("[{code}]({url} \"{}\")", finding.code.name),
        None => code.to_owned(),
    }
}

fn place(report: &Report<'_>, finding: &Diagnostic) -> String {
    let file = &finding.primary.file;
    let path = report.paths.repository(file.path()).replace('`', "'").replace('|', "\\|");
    if file.path().is_empty() {
        return format!("`{path}`");
    }
    format!("`{path}:{}`", file.line_column(finding.primary.span.start).line)
}

fn phases(report: &Report<'_>) -> String {
    if report.phases.iter().all(|entry| entry.phase == Phase::Before) {
        return String::new();
    }
    let mut out = String::from("| Deploy | Migration | Why |\n|---|---|---|\n");
    for phase in [Phase::Before, Phase::After, Phase::Window] {
        for entry in report.phases.iter().filter(|entry| entry.phase == phase) {
            let reasons = entry.reasons.join("; ");
            let name = cell(&format!("{}.{}", entry.app, entry.migration));
            let _ = writeln!(out, "| {} | {name} | {} |", phase_title(phase), cell(&reasons));
        }
    }
    out.push('\n');
    out
}

fn details(report: &Report<'_>, finding: &Diagnostic) -> String {
    let mut out = format!(
        "<details><summary><b>{}</b> {} in {}</summary>\n\n",
        finding.code.code,
        finding.code.name,
        html(&report.paths.repository(finding.primary.file.path())),
    );
    let _ = writeln!(out, "{}\n", escaped(&finding.message));
    for note in &finding.notes {
        let _ = match note {
            Note::Fact(text) => writeln!(out, "{}\n", escaped(text)),
            Note::Help(text) => writeln!(out, "**Instead:** {}\n", escaped(text)),
            Note::Code { title, language, text } => {
                let fence = fence(text);
                writeln!(out, "{}:\n\n{fence}{language}\n{}\n{fence}\n", escaped(title), text.trim_end())
            }
        };
    }
    out.push_str("</details>\n\n");
    out
}

/// A fence that is longer than every run of backticks in the code.
fn fence(code: &str) -> String {
    let longest = code.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

fn cell(text: &str) -> String {
    escaped(text).replace('|', "\\|")
}

/// One line of text inside of an HTML block, where Markdown is not read.
fn html(text: &str) -> String {
    one_line(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('@', "&#64;")
}

/// One line in which nothing but code in backticks is markup. Inside backticks a renderer shows everything as it is,
/// outside of them tags, links, emphasis and mentions would be read as such.
fn escaped(text: &str) -> String {
    let text = one_line(text);
    let mut out = String::with_capacity(text.len());
    let parts: Vec<&str> = text.split('`').collect();
    let closed = parts.len() % 2 == 1;
    for (index, part) in parts.iter().enumerate() {
        if index % 2 == 1 && (closed || index + 1 < parts.len()) {
            let _ = write!(out, "`{part}`");
            continue;
        }
        if index % 2 == 1 {
            out.push('\'');
        }
        for character in part.chars() {
            match character {
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '&' => out.push_str("&amp;"),
                // A mention would call people into every pull request.
                '@' => out.push_str("&#64;"),
                '*' | '_' | '[' | ']' | '\\' | '~' => {
                    out.push('\\');
                    out.push(character);
                }
                _ => out.push(character),
            }
        }
    }
    out
}

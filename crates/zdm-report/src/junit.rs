//! JUnit's XML, for CI systems that count tests.
//!
//! A suite is an app, a test is a migration that was looked at: passed, or one test per finding. A finding that makes
//! the run fail is a failure; one that does not is a passed test with the finding as its output; a suppressed one is
//! skipped. Findings outside of a migration form the suite `project`.

use std::collections::BTreeMap;
use std::fmt::Write;

use zdm_source::{Diagnostic, Note};

use crate::report::Report;
use crate::words;

struct Case {
    name: String,
    class: String,
    file: String,
    line: u32,
    body: Body,
}

enum Body {
    Passed,
    Output(String),
    Failed { message: String, kind: &'static str, text: String },
    Skipped(String),
}

/// The document, with a final line end.
pub fn render(report: &Report<'_>) -> String {
    let suites = suites(report);
    let all: Vec<&Case> = suites.values().flatten().collect();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites name=\"zdm-lint\" {}>", totals(&all));
    for (name, cases) in &suites {
        let cases: Vec<&Case> = cases.iter().collect();
        let _ = writeln!(out, "  <testsuite name=\"{}\" {}>", escaped(name), totals(&cases));
        for case in cases {
            case.write(&mut out);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn suites(report: &Report<'_>) -> BTreeMap<String, Vec<Case>> {
    let mut suites: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for diagnostic in report.diagnostics {
        let app = diagnostic.subject.app.as_deref().unwrap_or("project");
        suites.entry(app.to_owned()).or_default().push(finding(report, diagnostic));
    }
    for phase in &report.phases {
        let found = |diagnostic: &Diagnostic| {
            diagnostic.subject.app.as_deref() == Some(&phase.app)
                && diagnostic.subject.migration.as_deref() == Some(&phase.migration)
        };
        if report.diagnostics.iter().any(found) {
            continue;
        }
        suites.entry(phase.app.clone()).or_default().push(Case {
            name: phase.migration.clone(),
            class: format!("{}.{}", phase.app, phase.migration),
            file: report.paths.repository(&phase.path),
            line: 1,
            body: Body::Passed,
        });
    }
    for cases in suites.values_mut() {
        cases.sort_by(|a, b| (&a.file, a.line, &a.name).cmp(&(&b.file, b.line, &b.name)));
    }
    suites
}

fn finding(report: &Report<'_>, diagnostic: &Diagnostic) -> Case {
    let file = report.paths.repository(diagnostic.primary.file.path());
    let place = diagnostic.primary.file.line_column(diagnostic.primary.span.start);
    let class = match (&diagnostic.subject.app, &diagnostic.subject.migration) {
        (Some(app), Some(migration)) => format!("{app}.{migration}"),
        _ => file.clone(),
    };
    let written = words::place(&diagnostic.primary.file, diagnostic.primary.span, &file);
    let mut text = format!("{written}: {}\n", diagnostic.message);
    for note in &diagnostic.notes {
        let _ = match note {
            Note::Fact(fact) => writeln!(text, "{fact}"),
            Note::Help(help) => writeln!(text, "help: {help}"),
            Note::Code { title, text: code, .. } => writeln!(text, "{title}:\n{}", code.trim_end()),
        };
    }
    let body = match &diagnostic.suppressed {
        Some(by) => {
            let reason = by.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            Body::Skipped(format!("suppressed by {}{reason}", by.kind.as_str()))
        }
        None if report.fails(diagnostic) => {
            Body::Failed { message: diagnostic.message.clone(), kind: diagnostic.severity.as_str(), text }
        }
        None => Body::Output(text),
    };
    let mut name = format!("{} {}", diagnostic.code.code, diagnostic.code.name);
    if !diagnostic.primary.file.path().is_empty() {
        let _ = write!(name, " (line {})", place.line);
    }
    Case { name, class, file, line: place.line, body }
}

fn totals(cases: &[&Case]) -> String {
    let count = |wanted: fn(&Body) -> bool| cases.iter().filter(|case| wanted(&case.body)).count();
    format!(
        "tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"0\"",
        cases.len(),
        count(|body| matches!(body, Body::Failed { .. })),
        count(|body| matches!(body, Body::Skipped(_))),
    )
}

impl Case {
    fn write(&self, out: &mut String) {
        let _ = write!(
            out,
            "    <testcase name=\"{}\" classname=\"{}\" file=\"{}\" line=\"{}\" time=\"0\"",
            escaped(&self.name),
            escaped(&self.class),
            escaped(&self.file),
            self.line,
        );
        let _ = match &self.body {
            Body::Passed => writeln!(out, "/>"),
            Body::Output(text) => writeln!(out, ">\n      <system-out>{}</system-out>\n    </testcase>", escaped(text)),
            Body::Skipped(why) => writeln!(out, ">\n      <skipped message=\"{}\"/>\n    </testcase>", escaped(why)),
            Body::Failed { message, kind, text } => writeln!(
                out,
                ">\n      <failure message=\"{}\" type=\"{kind}\">{}</failure>\n    </testcase>",
                escaped(message),
                escaped(text)
            ),
        };
    }
}

/// Text of an element or attribute. XML 1.0 has no control characters but tab and line ends, not even escaped.
fn escaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => result.push_str("&amp;"),
            '<' => result.push_str("&lt;"),
            '>' => result.push_str("&gt;"),
            '"' => result.push_str("&quot;"),
            '\n' => result.push_str("&#10;"),
            '\r' => result.push_str("&#13;"),
            '\t' => result.push_str("&#9;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => result.push('\u{fffd}'),
            _ => result.push(character),
        }
    }
    result
}

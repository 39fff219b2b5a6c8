//! Small pieces of English that several formats share.

use zdm_source::{SourceFile, Span};

use crate::report::{Counts, Phase, Report};

pub(crate) fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// `3 errors, 1 warning`; without the zeros.
pub(crate) fn counted(counts: Counts) -> String {
    let parts: Vec<String> = [(counts.errors, "error"), (counts.warnings, "warning"), (counts.infos, "info")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| if word == "info" { format!("{count} info") } else { plural(count, word) })
        .collect();
    parts.join(", ")
}

/// What was found, in one sentence without its final period.
pub(crate) fn verdict(report: &Report<'_>) -> String {
    let counts = report.counts();
    let reported = plural(report.summary.reported, "migration");
    let place = match &report.base {
        Some(base) => format!("{reported} changed since {}", base.reference),
        None => reported,
    };
    if counts.active() == 0 { format!("no findings in {place}") } else { format!("{} in {place}", counted(counts)) }
}

/// What the answer rests on: versions, and how much of the history was understood.
pub(crate) fn ground(report: &Report<'_>) -> String {
    let summary = report.summary;
    let replayed = plural(summary.migrations, "migration");
    format!(
        "PostgreSQL {}, Django {}; {replayed} replayed, {} of {} analysed",
        report.postgres,
        report.django,
        summary.analysed,
        plural(summary.operations, "operation"),
    )
}

pub(crate) const fn phase_title(phase: Phase) -> &'static str {
    match phase {
        Phase::Before => "before the new code",
        Phase::After => "after the old code is gone",
        Phase::Window => "in a maintenance window",
    }
}

/// `path:line:column`, or the folder alone where it is said of the project as a whole.
pub(crate) fn place(file: &SourceFile, span: Span, shown: &str) -> String {
    if file.path().is_empty() {
        return shown.to_owned();
    }
    let place = file.line_column(span.start);
    format!("{shown}:{}:{}", place.line, place.column)
}

/// One line: control characters and line ends become spaces.
pub(crate) fn one_line(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for part in text.split(|character: char| character.is_control()).filter(|part| !part.is_empty()) {
        if !result.is_empty() {
            result.push(' ');
        }
        result.push_str(part);
    }
    result
}

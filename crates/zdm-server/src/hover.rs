//! Hovers: what an operation sends and whom that blocks; a rule's page on its code in a suppression.

use std::fmt::Write as _;

use zdm_linter::registry::find_rule;
use zdm_replay::{MigrationTrace, Step};
use zdm_source::{Diagnostic, Note, SourceFile, Span};

use crate::{names, pages, words};

/// So many statements are shown; the rest is counted.
const MOST: usize = 12;

/// Markdown and what it is about.
pub(crate) type Hover = (String, Span);

/// The hover at an offset of a file; `trace` is the file's migration, where it is one.
pub(crate) fn hover(
    file: &SourceFile,
    trace: Option<&MigrationTrace>,
    findings: &[Diagnostic],
    offset: u32,
) -> Option<Hover> {
    if let Some(found) = rule_at(file, offset) {
        return Some(found);
    }
    let trace = trace?;
    if let Some((index, operation)) = names::operation_at(&trace.migration.operations, offset) {
        return Some((
            operation_text(trace, index, &names::describe(file, operation), findings, offset),
            operation.span,
        ));
    }
    let span = trace.migration.span;
    (span.start <= offset && offset <= span.end).then(|| (migration_text(trace, findings), span))
}

/// A rule named in a suppression.
pub(crate) fn rule_at(file: &SourceFile, offset: u32) -> Option<Hover> {
    let lines = file.lines();
    let span = lines.line_span(file.text(), lines.line_of(offset));
    let line = file.slice(span);
    let comment = line.find('#').filter(|hash| line.get(*hash..).is_some_and(|text| text.contains("zdm:")))?;
    let at = offset.saturating_sub(span.start) as usize;
    let part = |character: char| character.is_ascii_alphanumeric() || character == '-';
    let before = line.get(..at)?;
    let start = at - before.chars().rev().take_while(|character| part(*character)).count();
    let end = at + line.get(at..)?.chars().take_while(|character| part(*character)).count();
    if start < comment {
        return None;
    }
    let rule = find_rule(line.get(start..end)?)?;
    let place = |index: usize| span.start.saturating_add(u32::try_from(index).unwrap_or(0));
    Some((pages::rule_page(&rule.page), Span::new(place(start), place(end))))
}

fn migration_text(trace: &MigrationTrace, findings: &[Diagnostic]) -> String {
    let mut text = format!("**{}**\n\n", trace.migration.key);
    let phase = words::phase(findings);
    let _ = writeln!(text, "- deploy phase `{}`: {}", phase.as_str(), words::phase_words(phase));
    if let Some(strongest) = words::strongest(trace.steps.iter()) {
        let _ = write!(text, "- strongest lock: `{}` on `{}`", strongest.mode, strongest.relation);
        if !strongest.blocked.is_empty() {
            let _ = write!(text, ", blocks {}", strongest.blocked);
        }
        text.push('\n');
    }
    let transaction = if trace.migration.atomic { "in one transaction" } else { "without a transaction around them" };
    let _ = writeln!(text, "- {} statements, {transaction}", trace.steps.len());
    text
}

fn operation_text(trace: &MigrationTrace, index: usize, title: &str, findings: &[Diagnostic], offset: u32) -> String {
    let own: Vec<&Diagnostic> = findings.iter().filter(|found| found.subject.operation == Some(index)).collect();
    let phase = words::phase(&own.iter().map(|found| (*found).clone()).collect::<Vec<_>>());
    let mut text = format!("**{title}**\n\ndeploy phase `{}`: {}\n\n", phase.as_str(), words::phase_words(phase));
    let all: Vec<&Step> = trace.steps_of(index).collect();
    // In a string of several statements the one under the cursor is meant.
    let here: Vec<&Step> =
        all.iter().filter(|step| step.raw && step.span.start <= offset && offset <= step.span.end).copied().collect();
    let shown = if here.is_empty() || here.len() == all.len() { &all } else { &here };
    for step in shown.iter().take(MOST) {
        if step.deferred {
            text.push_str("at the end of the migration:\n\n");
        }
        text.push_str(&words::statement(step));
        text.push('\n');
    }
    if shown.len() > MOST {
        let _ = writeln!(text, "… and {} more statements\n", shown.len() - MOST);
    }
    if let Some(part) = trace.operations.get(index) {
        for (_, reason) in &part.not_analysed {
            let _ = writeln!(text, "not analysed: {reason}\n");
        }
        if part.python {
            text.push_str("runs Python, which is not replayed\n\n");
        } else if all.is_empty() && part.not_analysed.is_empty() {
            text.push_str("sends no SQL\n\n");
        }
    }
    for found in own {
        let _ = writeln!(text, "---\n`{}` {}: {}\n", found.code.code, found.severity.as_str(), found.message);
        for note in &found.notes {
            let _ = match note {
                Note::Fact(fact) => writeln!(text, "- {fact}"),
                Note::Help(help) => writeln!(text, "- {help}"),
                Note::Code { title, language, text: code } => {
                    writeln!(text, "\n{title}\n```{language}\n{}\n```", code.trim_end())
                }
            };
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_in_suppressions_are_known() {
        let file = SourceFile::new("a.py", "x = 'ZDM101'\n# zdm: ignore[ZDM101, column-dropped] why\n");
        let at = |text: &str| {
            let offset = u32::try_from(file.text().rfind(text).unwrap() + 1).unwrap();
            rule_at(&file, offset).map(|(_, span)| file.slice(span).to_owned())
        };
        assert_eq!(at("ZDM101").as_deref(), Some("ZDM101"));
        assert_eq!(at("dropped").as_deref(), Some("column-dropped"));
        assert_eq!(at("why"), None);
        assert!(rule_at(&file, 6).is_none());
    }
}

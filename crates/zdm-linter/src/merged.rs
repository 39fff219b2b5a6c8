//! Migrations that were merged already and are edited, renamed or deleted now.
//!
//! A database that has applied a migration never runs it again: an edit reaches new databases only, and a rename makes
//! Django run it twice. What git knows of the merge-base comes from the caller; this module does no I/O.

use std::sync::Arc;

use zdm_source::{Diagnostic, Label, SourceFile, Span, Subject};

use crate::config::Config;
use crate::registry::find_rule;
use crate::suppress::comment_of;

const CODE: &str = "ZDM607";

/// A migration file that existed at the merge-base and is not the same now.
#[derive(Clone, Debug)]
pub struct MergedChange {
    pub app: Arc<str>,
    /// The migration's name at the merge-base.
    pub name: Arc<str>,
    pub before: SourceFile,
    pub now: Now,
}

/// What became of it.
#[derive(Clone, Debug)]
pub enum Now {
    Edited(SourceFile),
    Renamed(SourceFile),
    /// Its file is gone; another migration of the project says that it replaces it, or none does.
    Deleted {
        replaced: bool,
    },
}

/// The findings about merged migrations that changed. Comments, blank lines and indentation do not count as an edit.
pub fn check(changes: &[MergedChange], config: &Config, out: &mut Vec<Diagnostic>) {
    let Some(rule) = find_rule(CODE) else { return };
    for change in changes {
        let (file, span, message, help) = match &change.now {
            Now::Edited(now) => {
                let Some(span) = first_difference(&change.before, now) else { continue };
                (
                    now,
                    span,
                    format!(
                        "`{}.{}` was merged before and is edited here: a database that has applied it never runs it again, so databases part from here on",
                        change.app, change.name
                    ),
                    "leave it as it was and write a new migration; if it has been applied nowhere yet, suppress this finding with that reason",
                )
            }
            Now::Renamed(now) => (
                now,
                Span::at(0),
                format!(
                    "`{}.{}` was merged before and is renamed here: a database that has applied it under the old name runs it again under the new one",
                    change.app, change.name
                ),
                "keep the old name, or add `replaces` with it",
            ),
            Now::Deleted { replaced: true } => continue,
            Now::Deleted { replaced: false } => (
                &change.before,
                Span::at(0),
                format!(
                    "`{}.{}` was merged before and is deleted here: what it did stays in the databases that have applied it, and new databases never get it",
                    change.app, change.name
                ),
                "keep the file; to shorten the history, squash it (`squashmigrations`) and delete it once the squash is applied everywhere",
            ),
        };
        if !config.is_enabled(&rule.page, file.path()) {
            continue;
        }
        let severity = config.severity_of(&rule.page, file.path());
        let mut diagnostic =
            Diagnostic::new(rule.page.code, severity, message, Label::new(file, span, "")).with_help(help);
        diagnostic.subject = Subject {
            app: Some(Arc::clone(&change.app)),
            migration: Some(Arc::clone(&change.name)),
            ..Subject::default()
        };
        out.push(diagnostic);
    }
}

/// The first line of `now` that says something else than `before`; `None` where only comments and white space differ.
fn first_difference(before: &SourceFile, now: &SourceFile) -> Option<Span> {
    let mut old = code_lines(before).into_iter();
    for (line, text) in code_lines(now) {
        match old.next() {
            Some((_, same)) if same == text => {}
            _ => return Some(now.lines().line_span(now.text(), line)),
        }
    }
    old.next().map(|_| Span::at(u32::try_from(now.text().len()).unwrap_or(u32::MAX)))
}

/// The lines that hold code, with their numbers from 0, without comments and white space around them.
fn code_lines(file: &SourceFile) -> Vec<(usize, String)> {
    let lines = file.lines();
    (0..lines.line_count())
        .filter_map(|line| {
            let text = file.slice(lines.line_span(file.text(), line));
            let code = comment_of(text).map_or(text, |(hash, _)| &text[..hash]).trim();
            (!code.is_empty()).then(|| (line, code.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(before: &str, now: Option<&str>) -> Vec<String> {
        let before = SourceFile::new("shop/migrations/0001_a.py", before);
        let now = now.map_or(Now::Deleted { replaced: false }, |text| {
            Now::Edited(SourceFile::new("shop/migrations/0001_a.py", text))
        });
        let change = MergedChange { app: "shop".into(), name: "0001_a".into(), before, now };
        let mut out = Vec::new();
        check(&[change], &Config::default(), &mut out);
        out.iter()
            .map(|diagnostic| {
                let place = diagnostic.primary.file.line_column(diagnostic.primary.span.start);
                format!("{}: {}", place.line, diagnostic.message)
            })
            .collect()
    }

    #[test]
    fn an_edit_is_found_at_its_line() {
        let found = found("a = 1\nb = 2\n", Some("a = 1\nb = 3\n"));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("2: `shop.0001_a` was merged before and is edited"));
    }

    #[test]
    fn comments_and_blank_lines_are_no_edit() {
        assert!(found("a = '#'\nb = 2\n", Some("# zdm: ignore[ZDM101] small\n\na = '#'  # why\nb = 2\n")).is_empty());
    }

    #[test]
    fn a_line_that_is_gone_is_an_edit() {
        assert_eq!(found("a = 1\nb = 2\n", Some("a = 1\n")).len(), 1);
    }

    #[test]
    fn a_deleted_one_is_found() {
        assert!(found("a = 1\n", None)[0].contains("is deleted here"));
    }
}

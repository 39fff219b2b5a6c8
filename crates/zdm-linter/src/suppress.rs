//! Suppressions in comments: `# zdm: ignore[ZDM101] reason` and `# zdm: ignore-file[ZDM101] reason`.
//!
//! A comment on a line of its own speaks for the operation that begins on the next line of code; a comment behind code
//! speaks for the operation that covers its line. The reason is required; what suppresses nothing is reported.

use zdm_django::{Migration, Operation};
use zdm_source::{
    Applicability, Diagnostic, Edit, Fix, FixFile, Label, SourceFile, Span, Subject, Suppressed, SuppressionKind,
    nearest,
};

use crate::config::{Config, selects};
use crate::registry::{RULES, find_rule};

const UNUSED: &str = "ZDM903";
const MALFORMED: &str = "ZDM904";

/// One comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// The comment from `zdm:` to its end.
    pub span: Span,
    pub whole_file: bool,
    /// What stands between the brackets.
    pub selectors: Vec<String>,
    pub reason: String,
    /// The lines, counted from 0, whose code it speaks for; empty for a whole file.
    lines: (usize, usize),
}

/// Marks the findings that the file's comments suppress, and adds findings about the comments themselves.
pub fn apply(migration: &Migration, config: &Config, diagnostics: &mut Vec<Diagnostic>) {
    let suppressions = suppressions(&migration.file, &migration.operations);
    let nearly = nearly(&migration.file);
    if suppressions.is_empty() && nearly.is_empty() {
        return;
    }
    let file = &migration.file;
    let mut about_comments = Vec::new();
    let mut report = |code: &str, span: Span, message: String, help: Option<String>, fix: Option<Fix>| {
        let Some(rule) = find_rule(code) else { return };
        if !config.is_enabled(&rule.page, file.path()) {
            return;
        }
        let mut diagnostic = Diagnostic::new(
            rule.page.code,
            config.severity_of(&rule.page, file.path()),
            message,
            Label::new(file, span, ""),
        );
        diagnostic.subject = Subject {
            app: Some(migration.key.app.clone()),
            migration: Some(migration.key.name.clone()),
            ..Subject::default()
        };
        diagnostic = match help {
            Some(help) => diagnostic.with_help(help),
            None => diagnostic,
        };
        diagnostic.fix = fix;
        about_comments.push(diagnostic);
    };
    for (span, message, help) in nearly {
        report(MALFORMED, span, message, Some(help), None);
    }
    for suppression in &suppressions {
        if suppression.reason.is_empty() {
            report(
                MALFORMED,
                suppression.span,
                "a suppression needs a reason behind its bracket, and without one it has no effect".to_owned(),
                Some(format!(
                    "write `# zdm: {}[{}] reason`",
                    if suppression.whole_file { "ignore-file" } else { "ignore" },
                    suppression.selectors.join(", ")
                )),
                None,
            );
            continue;
        }
        if suppression.selectors.is_empty() {
            report(
                MALFORMED,
                suppression.span,
                "a suppression names the rules that it is for in brackets, and without them it has no effect"
                    .to_owned(),
                Some(format!(
                    "write `# zdm: {}[ZDM101] reason`",
                    if suppression.whole_file { "ignore-file" } else { "ignore" }
                )),
                None,
            );
            continue;
        }
        for selector in &suppression.selectors {
            if !RULES.iter().any(|rule| selects(selector, &rule.page)) {
                let names = RULES.iter().flat_map(|rule| [rule.page.code.code, rule.page.code.name]);
                let help = match nearest(selector, names) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "`zdm-lint rules` lists all".to_owned(),
                };
                report(MALFORMED, suppression.span, format!("there is no rule `{selector}`"), Some(help), None);
                continue;
            }
            let mut used = false;
            for diagnostic in diagnostics.iter_mut() {
                let Some(rule) = find_rule(diagnostic.code.code) else { continue };
                if !selects(selector, &rule.page) || !covers(suppression, file, diagnostic.primary.span) {
                    continue;
                }
                used = true;
                if diagnostic.suppressed.is_none() {
                    diagnostic.suppressed = Some(Suppressed {
                        kind: if suppression.whole_file { SuppressionKind::File } else { SuppressionKind::Comment },
                        reason: Some(suppression.reason.clone()),
                    });
                }
            }
            let switched_off = RULES
                .iter()
                .filter(|rule| selects(selector, &rule.page))
                .all(|rule| !config.is_enabled(&rule.page, file.path()));
            if !used && !switched_off {
                let message = format!("`{selector}` is suppressed here, but finds nothing");
                report(UNUSED, suppression.span, message, None, without(file, suppression, selector));
            }
        }
    }
    diagnostics.append(&mut about_comments);
}

/// The comment without a selector, or no comment where it is the only one.
fn without(file: &SourceFile, suppression: &Suppression, selector: &str) -> Option<Fix> {
    let text = file.slice(suppression.span);
    let edit = if suppression.selectors.len() > 1 {
        // The list's own brackets: the first one, and the next that closes.
        let open = text.find('[')?;
        let close = open.checked_add(text.get(open..)?.find(']')?)?;
        let kept: Vec<&str> = suppression.selectors.iter().map(String::as_str).filter(|own| *own != selector).collect();
        let at = |offset: usize| suppression.span.start.checked_add(u32::try_from(offset).ok()?);
        Edit::replace(Span::new(at(open + 1)?, at(close)?), kept.join(", "))
    } else {
        let lines = file.lines();
        let line = lines.line_span(file.text(), lines.line_of(suppression.span.start));
        let before = file.text().get(line.start as usize..suppression.span.start as usize)?;
        let code = u32::try_from(before.trim_end().len()).ok()?;
        if code == 0 {
            let rest = file.text().get(suppression.span.end as usize..)?;
            let end = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
            // Whatever else the line says stays.
            rest[..end].trim().is_empty().then_some(())?;
            Edit::delete(Span::new(line.start, suppression.span.end.checked_add(u32::try_from(end).ok()?)?))
        } else {
            Edit::delete(Span::new(line.start.checked_add(code)?, suppression.span.end))
        }
    };
    Some(Fix {
        title: "take the suppression away".to_owned(),
        applicability: Applicability::Safe,
        files: vec![FixFile::Change { file: file.clone(), edits: vec![edit] }],
    })
}

fn covers(suppression: &Suppression, file: &SourceFile, span: Span) -> bool {
    let line = file.lines().line_of(span.start);
    suppression.whole_file || (suppression.lines.0 <= line && line <= suppression.lines.1)
}

/// The suppressions of a file, in order. Text inside string literals that looks like one is taken for one only when its
/// line begins with `#`.
pub fn suppressions(file: &SourceFile, operations: &[Operation]) -> Vec<Suppression> {
    let mut found = Vec::new();
    if !file.text().contains("zdm:") {
        return found;
    }
    let lines = file.lines();
    for line in 0..lines.line_count() {
        let line_span = lines.line_span(file.text(), line);
        let text = file.slice(line_span);
        let Some((hash, comment)) = comment_of(text).and_then(|(hash, _)| directive_of(text, hash)) else { continue };
        let Some(directive) = comment.strip_prefix("zdm:").map(str::trim_start) else { continue };
        let (whole_file, rest) = match directive.strip_prefix("ignore-file") {
            Some(rest) => (true, rest),
            None => match directive.strip_prefix("ignore") {
                Some(rest) => (false, rest),
                None => continue,
            },
        };
        let (selectors, reason) = match rest.trim_start().strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((selectors, reason)) => (
                selectors.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect(),
                reason.trim().trim_start_matches([':', '-']).trim().to_owned(),
            ),
            None => (Vec::new(), rest.trim().to_owned()),
        };
        let alone = text[..hash].trim().is_empty();
        let speaks_for = if alone { next_code_line(file, line) } else { line };
        let start = line_span.start.saturating_add(u32::try_from(hash).unwrap_or(0));
        found.push(Suppression {
            span: Span::new(start, start.saturating_add(u32::try_from(text[hash..].trim_end().len()).unwrap_or(0))),
            whole_file,
            selectors,
            reason,
            lines: lines_of_operation(file, operations, speaks_for),
        });
    }
    found
}

/// Comments that look like a suppression and are none, with what is wrong and how to write it.
fn nearly(file: &SourceFile) -> Vec<(Span, String, String)> {
    let mut found = Vec::new();
    if !file.text().contains("zdm") && !file.text().contains("ZDM") {
        return found;
    }
    let lines = file.lines();
    for line in 0..lines.line_count() {
        let line_span = lines.line_span(file.text(), line);
        let text = file.slice(line_span);
        let Some((hash, _)) = comment_of(text) else { continue };
        let comments = text.get(hash..).unwrap_or("");
        for (at, _) in comments.match_indices('#') {
            let behind = comments.get(at + 1..).unwrap_or("");
            let own = behind.split('#').next().unwrap_or(behind).trim();
            let Some((message, help)) = nearly_directive(own) else { continue };
            let start = line_span.start.saturating_add(u32::try_from(hash + at).unwrap_or(0));
            let length = comments.get(at..).unwrap_or("").trim_end().len();
            found.push((Span::new(start, start.saturating_add(u32::try_from(length).unwrap_or(0))), message, help));
            break;
        }
    }
    found
}

/// What is wrong with a comment that is meant for this linter, or names its rules for another one.
fn nearly_directive(comment: &str) -> Option<(String, String)> {
    let lowered = comment.to_ascii_lowercase();
    let code = lowered
        .split(|character: char| !character.is_ascii_alphanumeric())
        .find(|word| {
            word.strip_prefix("zdm")
                .is_some_and(|digits| digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        })
        .map(str::to_ascii_uppercase);
    let written = format!("write `# zdm: ignore[{}] reason`", code.as_deref().unwrap_or("ZDM101"));
    if let Some(rest) = comment.strip_prefix("zdm:") {
        let word = rest.trim_start();
        let word =
            word.split(|character: char| !character.is_alphanumeric() && character != '-').next().unwrap_or(word);
        if word == "ignore" || word == "ignore-file" {
            return None;
        }
        let help = match nearest(word, ["ignore", "ignore-file"]) {
            Some(near) => format!("did you mean `zdm: {near}`?"),
            None => written,
        };
        return Some((format!("`zdm: {word}` suppresses no finding"), help));
    }
    let of_others = ["noqa", "nosec", "type:", "pylint:"].iter().any(|word| lowered.starts_with(word));
    let like_ours =
        lowered.starts_with("zdm") && ["ignore", "disable", "noqa", "skip"].iter().any(|word| lowered.contains(word));
    ((of_others && code.is_some()) || like_ours)
        .then(|| ("this comment suppresses no finding of zdm-lint".to_owned(), written))
}

/// Of a comment that holds several, as `# noqa  # zdm: ignore[ZDM101] small table`, the one that is ours.
fn directive_of(line: &str, comment: usize) -> Option<(usize, &str)> {
    let starts = line.get(comment..)?.match_indices('#').map(|(at, _)| comment + at);
    starts.filter_map(|at| Some((at, line.get(at + 1..)?.trim()))).find(|(_, text)| text.starts_with("zdm:"))
}

/// The place of the `#` and the comment's text, where the line has a comment that stands outside quotes.
pub(crate) fn comment_of(line: &str) -> Option<(usize, &str)> {
    let mut quote: Option<char> = None;
    let mut escaped = false;
    for (index, character) in line.char_indices() {
        match quote {
            Some(open) => {
                if !escaped && character == open {
                    quote = None;
                }
                escaped = !escaped && character == '\\';
            }
            None => match character {
                '\'' | '"' => quote = Some(character),
                '#' => return Some((index, line[index + 1..].trim())),
                _ => {}
            },
        }
    }
    None
}

/// The next line that holds code.
fn next_code_line(file: &SourceFile, line: usize) -> usize {
    let lines = file.lines();
    (line + 1..lines.line_count())
        .find(|next| {
            let text = file.slice(lines.line_span(file.text(), *next)).trim();
            !text.is_empty() && !text.starts_with('#')
        })
        .unwrap_or(line)
}

/// The lines of the innermost operation that covers a line, else that line alone.
fn lines_of_operation(file: &SourceFile, operations: &[Operation], line: usize) -> (usize, usize) {
    let lines = file.lines();
    let mut best: Option<(usize, usize)> = None;
    let mut pending: Vec<&Operation> = operations.iter().collect();
    while let Some(operation) = pending.pop() {
        let first = lines.line_of(operation.span.start);
        let last = lines.line_of(operation.span.end.saturating_sub(1));
        if first <= line && line <= last && best.is_none_or(|(start, end)| last - first < end - start) {
            best = Some((first, last));
        }
        if let zdm_django::OperationKind::SeparateDatabaseAndState { database_operations, state_operations } =
            &operation.kind
        {
            pending.extend(database_operations.iter().chain(state_operations));
        }
    }
    best.unwrap_or((line, line))
}

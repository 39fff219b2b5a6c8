//! SARIF 2.1.0, for code scanning.
//!
//! Paths are relative to the repository root, under the base id `SRCROOT`, which the reader sets. Columns count
//! characters. A result's message holds its notes too, because most readers show nothing else; the rule's page is its
//! help. Suppressed findings carry their suppression, all others an empty list, which is SARIF's way to say that a
//! result is not suppressed.

use serde::Serialize;
use zdm_source::{Diagnostic, Fix, Label, Note, Severity, SourceFile, Span, SuppressionKind};

use crate::fingerprint::{Fingerprint, fingerprints};
use crate::fix::{created, replacements};
use crate::json::to_text;
use crate::report::{Report, RuleInfo};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json";

#[derive(Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool<'a>,
    automation_details: AutomationDetails,
    original_uri_base_ids: UriBaseIds,
    column_kind: &'static str,
    invocations: [Invocation<'a>; 1],
    results: Vec<SarifResult<'a>>,
    properties: RunProperties<'a>,
}

#[derive(Serialize)]
struct Tool<'a> {
    driver: Driver<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver<'a> {
    name: &'static str,
    full_name: String,
    version: &'a str,
    semantic_version: &'a str,
    rules: Vec<Rule<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule<'a> {
    id: &'a str,
    name: &'a str,
    short_description: Text<'a>,
    full_description: Text<'a>,
    help: Help<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    help_uri: Option<&'a str>,
    default_configuration: Configuration,
    properties: RuleProperties,
}

#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
}

#[derive(Serialize)]
struct Help<'a> {
    text: &'a str,
    markdown: &'a str,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct RuleProperties {
    tags: [&'static str; 4],
}

#[derive(Serialize)]
struct AutomationDetails {
    id: &'static str,
}

#[derive(Serialize)]
struct UriBaseIds {
    #[serde(rename = "SRCROOT")]
    source_root: UriBase,
}

#[derive(Serialize)]
struct UriBase {
    description: Text<'static>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation<'a> {
    execution_successful: bool,
    exit_code: u8,
    tool_execution_notifications: Vec<Notification<'a>>,
}

#[derive(Serialize)]
struct Notification<'a> {
    level: &'static str,
    message: Text<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RunProperties<'a> {
    postgres: &'a str,
    django: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merge_base: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult<'a> {
    rule_id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_index: Option<usize>,
    level: &'static str,
    message: Message,
    locations: [Location<'a>; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Location<'a>>,
    partial_fingerprints: PartialFingerprints,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fixes: Vec<SarifFix<'a>>,
    suppressions: Vec<Suppression<'a>>,
    properties: ResultProperties<'a>,
}

#[derive(Serialize)]
struct Message {
    text: String,
    markdown: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are SARIF's")]
struct Location<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<usize>,
    physical_location: PhysicalLocation,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logical_locations: Vec<LogicalLocation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Text<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    region: Region,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactLocation {
    uri: String,
    uri_base_id: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
    start_column: u32,
    end_line: u32,
    end_column: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogicalLocation {
    fully_qualified_name: String,
    kind: &'static str,
}

#[derive(Serialize)]
struct PartialFingerprints {
    #[serde(rename = "zdm/v1")]
    zdm: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifFix<'a> {
    description: Text<'a>,
    artifact_changes: Vec<ArtifactChange<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactChange<'a> {
    artifact_location: ArtifactLocation,
    replacements: Vec<SarifReplacement<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifReplacement<'a> {
    deleted_region: Region,
    inserted_content: Text<'a>,
}

#[derive(Serialize)]
struct Suppression<'a> {
    kind: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    justification: Option<&'a str>,
}

#[derive(Serialize)]
struct ResultProperties<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    migration: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppression: Option<&'static str>,
}

/// The log, indented, with a final line end.
pub fn render(report: &Report<'_>) -> String {
    let notifications = report.notes.iter().map(|note| Notification { level: "note", message: Text { text: note } });
    let log = Log {
        schema: SCHEMA,
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: "zdm-lint",
                    full_name: format!("zdm-lint {}", report.tool_version),
                    version: report.tool_version,
                    semantic_version: report.tool_version,
                    rules: report.rules.iter().map(rule).collect(),
                },
            },
            automation_details: AutomationDetails { id: "zdm-lint/" },
            original_uri_base_ids: UriBaseIds {
                source_root: UriBase { description: Text { text: "The root of the repository." } },
            },
            column_kind: "unicodeCodePoints",
            invocations: [Invocation {
                execution_successful: true,
                exit_code: u8::from(report.failed()),
                tool_execution_notifications: notifications.collect(),
            }],
            results: report
                .diagnostics
                .iter()
                .zip(fingerprints(report.diagnostics))
                .map(|(diagnostic, fingerprint)| result(report, diagnostic, fingerprint))
                .collect(),
            properties: RunProperties {
                postgres: &report.postgres,
                django: &report.django,
                base: report.base.as_ref().map(|base| base.reference.as_str()),
                merge_base: report.base.as_ref().map(|base| base.merge_base.as_str()),
            },
        }],
    };
    to_text(&log)
}

fn rule<'a>(rule: &'a RuleInfo<'_>) -> Rule<'a> {
    let page = if rule.page_markdown.is_empty() { rule.summary } else { rule.page_markdown };
    Rule {
        id: rule.code,
        name: rule.name,
        short_description: Text { text: rule.summary },
        full_description: Text { text: rule.summary },
        help: Help { text: page, markdown: page },
        help_uri: Some(rule.url).filter(|url| !url.is_empty()),
        default_configuration: Configuration { level: level(rule.severity) },
        properties: RuleProperties { tags: ["django", "postgresql", "migrations", "zero-downtime"] },
    }
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn result<'a>(report: &Report<'_>, diagnostic: &'a Diagnostic, fingerprint: Fingerprint) -> SarifResult<'a> {
    let subject = &diagnostic.subject;
    let logical = match (&subject.app, &subject.migration) {
        (Some(app), Some(migration)) => {
            vec![LogicalLocation { fully_qualified_name: format!("{app}.{migration}"), kind: "module" }]
        }
        _ => Vec::new(),
    };
    SarifResult {
        rule_id: diagnostic.code.code,
        rule_index: report.rules.iter().position(|rule| rule.code == diagnostic.code.code),
        level: level(diagnostic.severity),
        message: message(diagnostic),
        locations: [Location { logical_locations: logical, ..location(report, &diagnostic.primary, None) }],
        related_locations: diagnostic
            .related
            .iter()
            .zip(1..)
            .map(|(label, id)| location(report, label, Some(id)))
            .collect(),
        partial_fingerprints: PartialFingerprints { zdm: fingerprint.to_string() },
        fixes: diagnostic.fix.iter().map(|of| fix(report, of)).filter(|fix| !fix.artifact_changes.is_empty()).collect(),
        suppressions: diagnostic
            .suppressed
            .iter()
            .map(|by| Suppression {
                kind: match by.kind {
                    SuppressionKind::Comment | SuppressionKind::File => "inSource",
                    SuppressionKind::Baseline | SuppressionKind::Configuration => "external",
                },
                status: "accepted",
                justification: by.reason.as_deref(),
            })
            .collect(),
        properties: ResultProperties {
            app: subject.app.as_deref(),
            migration: subject.migration.as_deref(),
            operation: subject.operation,
            statement: subject.statement.as_deref(),
            suppression: diagnostic.suppressed.as_ref().map(|by| by.kind.as_str()),
        },
    }
}

fn message(diagnostic: &Diagnostic) -> Message {
    let mut text = diagnostic.message.clone();
    let mut markdown = diagnostic.message.clone();
    for note in &diagnostic.notes {
        let (plain, marked) = match note {
            Note::Fact(fact) => (fact.clone(), fact.clone()),
            Note::Help(help) => (format!("Help: {help}"), format!("**Help:** {help}")),
            Note::Code { title, language, text } => {
                (format!("{title}:\n{text}"), format!("{title}:\n\n```{language}\n{}\n```", text.trim_end()))
            }
        };
        for (part, whole) in [(plain, &mut text), (marked, &mut markdown)] {
            whole.push_str("\n\n");
            whole.push_str(part.trim_end());
        }
    }
    Message { text, markdown }
}

fn location<'a>(report: &Report<'_>, label: &'a Label, id: Option<usize>) -> Location<'a> {
    Location {
        id,
        physical_location: PhysicalLocation {
            artifact_location: artifact(report, label.file.path()),
            region: region(&label.file, label.span),
        },
        logical_locations: Vec::new(),
        message: Some(Text { text: &label.message }).filter(|message| !message.text.is_empty()),
    }
}

fn artifact(report: &Report<'_>, path: &str) -> ArtifactLocation {
    ArtifactLocation { uri: uri(&report.paths.repository(path)), uri_base_id: "SRCROOT" }
}

fn region(file: &SourceFile, span: Span) -> Region {
    let (start, end) = (file.line_column(span.start), file.line_column(span.end.max(span.start)));
    Region { start_line: start.line, start_column: start.column, end_line: end.line, end_column: end.column }
}

fn fix<'a>(report: &Report<'_>, fix: &'a Fix) -> SarifFix<'a> {
    let mut changes: Vec<ArtifactChange<'a>> = Vec::new();
    for edit in replacements(fix) {
        let location = artifact(report, edit.file.path());
        let replacement = SarifReplacement {
            deleted_region: region(edit.file, edit.span),
            inserted_content: Text { text: edit.text },
        };
        match changes.iter_mut().find(|change| change.artifact_location.uri == location.uri) {
            Some(change) => change.replacements.push(replacement),
            None => changes.push(ArtifactChange { artifact_location: location, replacements: vec![replacement] }),
        }
    }
    for (path, text) in created(fix) {
        let start = Region { start_line: 1, start_column: 1, end_line: 1, end_column: 1 };
        changes.push(ArtifactChange {
            artifact_location: artifact(report, path),
            replacements: vec![SarifReplacement { deleted_region: start, inserted_content: Text { text } }],
        });
    }
    SarifFix { description: Text { text: &fix.title }, artifact_changes: changes }
}

/// A relative reference (RFC 3986): every byte that a path segment may not hold is percent-encoded.
fn uri(path: &str) -> String {
    let mut result = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'+' | b',' | b'@' | b'=' => {
                result.push(char::from(byte));
            }
            _ => {
                const HEX: [char; 16] =
                    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
                result.push('%');
                result.push(HEX[usize::from(byte >> 4)]);
                result.push(HEX[usize::from(byte & 15)]);
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    #[test]
    fn uris() {
        assert_eq!(super::uri("a b/größe#1?%[x].py"), "a%20b/gr%C3%B6%C3%9Fe%231%3F%25%5Bx%5D.py");
        assert_eq!(super::uri("shop/migrations/0001_initial.py"), "shop/migrations/0001_initial.py");
    }
}

//! A finding as the protocol's diagnostic.

use serde_json::{Value, json};
use zdm_linter::registry::find_rule;
use zdm_source::{Diagnostic, Note, Severity};

use crate::pages;
use crate::position::Encoding;
use crate::projects::Projects;

/// The code of the finding that a suppression finds nothing.
const UNUSED_SUPPRESSION: &str = "ZDM903";

/// Source of the numbers: the protocol's "DiagnosticSeverity".
const fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Error => 1,
        Severity::Warning => 2,
        Severity::Info => 3,
    }
}

/// The message with its notes, for a reader who sees nothing else.
fn message(diagnostic: &Diagnostic) -> String {
    let mut text = diagnostic.message.clone();
    for note in &diagnostic.notes {
        match note {
            Note::Fact(fact) => {
                text.push_str("\nnote: ");
                text.push_str(fact);
            }
            Note::Help(help) => {
                text.push_str("\nhelp: ");
                text.push_str(help);
            }
            // Code is shown by the hover, and by the fix that writes it.
            Note::Code { .. } => {}
        }
    }
    text
}

/// A finding of a file of the project with this index.
pub(crate) fn diagnostic(found: &Diagnostic, project: usize, projects: &Projects, encoding: Encoding) -> Value {
    let mut value = json!({
        "range": encoding.range(&found.primary.file, found.primary.span),
        "severity": severity(found.severity),
        "code": found.code.code,
        "source": "zdm",
        "message": message(found),
    });
    if let Some(rule) = find_rule(found.code.code) {
        value["codeDescription"] = json!({"href": pages::rule_link(&rule.page)});
    }
    if found.code.code == UNUSED_SUPPRESSION {
        // Unnecessary code.
        value["tags"] = json!([1]);
    }
    let related: Vec<Value> = found
        .related
        .iter()
        .filter_map(|label| {
            let uri = projects.uri(project, label.file.path())?;
            let range = encoding.range(&label.file, label.span);
            let message = if label.message.is_empty() { "here" } else { &label.message };
            Some(json!({"location": {"uri": uri, "range": range}, "message": message}))
        })
        .collect();
    if !related.is_empty() {
        value["relatedInformation"] = Value::Array(related);
    }
    value
}

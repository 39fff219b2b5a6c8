//! Code actions: every fix, suppressing with a reason, follow-up migrations.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use zdm_source::{Applicability, Diagnostic, Edit, FixFile, SourceFile, Span};

use crate::documents::Documents;
use crate::follow_up;
use crate::names;
use crate::position::Encoding;
use crate::projects::{Place, Projects};
use crate::protocol::TextEdit;
use crate::publish;
use crate::uri;

/// What a client can do with edits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EditSupport {
    /// Edits that name the version of their document.
    pub(crate) document_changes: bool,
    /// Edits that create files.
    pub(crate) create: bool,
    /// The client asks for a suppression's reason itself, by the command [`SUPPRESS`].
    pub(crate) asks: bool,
}

/// Its arguments: URI, line, indentation, code.
pub(crate) const SUPPRESS: &str = "zdm.suppress";

/// What stands for the reason until somebody writes one.
const REASON: &str = "TODO: why this is safe here";

/// Rules that speak of comments themselves; a comment about them would be the next one.
const ABOUT_COMMENTS: [&str; 2] = ["ZDM903", "ZDM904"];

/// What the actions are made from.
pub(crate) struct Cx<'a> {
    pub(crate) projects: &'a Projects,
    pub(crate) documents: &'a Documents,
    pub(crate) place: &'a Place,
    pub(crate) file: &'a SourceFile,
    /// Of the file, those that count.
    pub(crate) findings: &'a [Diagnostic],
    pub(crate) encoding: Encoding,
    pub(crate) support: EditSupport,
}

/// One file of an edit.
enum Part {
    Change { uri: String, version: Option<i64>, edits: Vec<TextEdit> },
    Create { uri: String, text: String },
}

/// The actions for a range; `only` are the kinds that are asked for, all if there are none.
pub(crate) fn actions(cx: &Cx<'_>, range: Span, only: &[&str]) -> Vec<Value> {
    let wanted =
        |kind: &str| only.is_empty() || only.iter().any(|only| kind == *only || kind.starts_with(&format!("{only}.")));
    let mut out = Vec::new();
    let touched: Vec<&Diagnostic> = cx
        .findings
        .iter()
        .filter(|found| found.primary.span.start <= range.end && range.start <= found.primary.span.end)
        .collect();
    if wanted("quickfix") {
        for found in &touched {
            out.extend(fix(cx, found));
        }
        for found in &touched {
            out.extend(suppress(cx, found));
        }
    }
    if wanted("refactor.rewrite")
        && let Some(live) = cx.projects.live(cx.place.project)
        && let Some(trace) = live.trace(&cx.place.path)
        && let Some((index, operation)) = names::operation_at(&trace.migration.operations, range.start)
        && cx.support.create
    {
        for follow_up in follow_up::follow_ups(live, trace, index, operation) {
            let mut parts = Vec::new();
            if !follow_up.edits.is_empty() {
                parts.extend(change(cx, cx.file, &follow_up.edits));
            }
            for (path, text) in follow_up.files {
                parts.extend(cx.projects.uri(cx.place.project, &path).map(|uri| Part::Create { uri, text }));
            }
            out.push(json!({
                "title": follow_up.title,
                "kind": "refactor.rewrite",
                "edit": edit(cx.support, parts),
            }));
        }
    }
    if wanted("source.fixAll.zdm") && !only.is_empty() {
        out.extend(fix_all(cx));
    }
    out
}

/// Whether an edit's spans are those of the text that the editor has.
fn is_current(cx: &Cx<'_>, file: &SourceFile) -> bool {
    if file.path() == cx.file.path() || file.path() == &*cx.place.path {
        return file.text() == cx.file.text();
    }
    true
}

fn change(cx: &Cx<'_>, file: &SourceFile, edits: &[Edit]) -> Option<Part> {
    let path = if file.path() == cx.file.path() { &*cx.place.path } else { file.path() };
    let named = cx.projects.uri(cx.place.project, path)?;
    let open = cx.documents.get(&uri::key(&named));
    let edits = edits
        .iter()
        .map(|edit| TextEdit { range: cx.encoding.range(file, edit.span), new_text: edit.replacement.clone() })
        .collect();
    Some(Part::Change {
        uri: open.map_or(named, |open| open.uri.clone()),
        version: open.map(|open| open.version),
        edits,
    })
}

fn parts(cx: &Cx<'_>, files: &[FixFile]) -> Option<Vec<Part>> {
    files
        .iter()
        .map(|part| match part {
            FixFile::Change { file, edits } => is_current(cx, file).then(|| change(cx, file, edits))?,
            FixFile::Create { path, text } => {
                let uri = cx.projects.uri(cx.place.project, path).filter(|_| cx.support.create)?;
                Some(Part::Create { uri, text: text.clone() })
            }
        })
        .collect()
}

fn fix(cx: &Cx<'_>, found: &Diagnostic) -> Option<Value> {
    let fix = found.fix.as_ref().filter(|fix| fix.applicability != Applicability::DisplayOnly)?;
    let unsure = if fix.applicability == Applicability::Safe { "" } else { " (changes what happens)" };
    let diagnostic = publish::diagnostic(found, cx.place.project, cx.projects, cx.encoding);
    Some(json!({
        "title": format!("{}: {}{unsure}", found.code.code, fix.title),
        "kind": "quickfix",
        "isPreferred": fix.applicability == Applicability::Safe,
        "diagnostics": [diagnostic],
        "edit": edit(cx.support, parts(cx, &fix.files)?),
    }))
}

/// All safe fixes of the file that do not touch each other.
fn fix_all(cx: &Cx<'_>) -> Option<Value> {
    let mut all: Vec<Edit> = Vec::new();
    for fix in cx.findings.iter().filter_map(|found| found.fix.as_ref()) {
        let [FixFile::Change { file, edits }] = fix.files.as_slice() else { continue };
        let touches = edits
            .iter()
            .any(|edit| all.iter().any(|other| edit.span.start <= other.span.end && other.span.start <= edit.span.end));
        if fix.applicability == Applicability::Safe
            && file.path() == &*cx.place.path
            && !touches
            && is_current(cx, file)
        {
            all.extend(edits.iter().cloned());
        }
    }
    if all.is_empty() {
        return None;
    }
    let part = change(cx, cx.file, &all)?;
    Some(json!({
        "title": "zdm: apply all safe fixes",
        "kind": "source.fixAll.zdm",
        "edit": edit(cx.support, vec![part]),
    }))
}

/// A comment above the operation that the finding is in.
fn suppress(cx: &Cx<'_>, found: &Diagnostic) -> Option<Value> {
    let code = found.code.code;
    // Findings about the project as a whole are not a matter of a place in a migration.
    if found.subject.migration.is_none()
        || ABOUT_COMMENTS.contains(&code)
        || found.primary.file.text() != cx.file.text()
    {
        return None;
    }
    let live = cx.projects.live(cx.place.project)?;
    let operations = live.trace(&cx.place.path).map(|trace| &trace.migration.operations);
    let inside = operations.and_then(|operations| names::operation_at(operations, found.primary.span.start));
    let start = inside.map_or(found.primary.span.start, |(_, operation)| operation.span.start);
    let (line, indent) = names::indentation(cx.file, start);
    let title = format!("{code}: suppress here with a reason");
    let diagnostic = publish::diagnostic(found, cx.place.project, cx.projects, cx.encoding);
    if cx.support.asks {
        let uri = cx.projects.uri(cx.place.project, &cx.place.path)?;
        let line = cx.encoding.position(cx.file, line).line;
        return Some(json!({
            "title": title,
            "kind": "quickfix",
            "diagnostics": [diagnostic],
            "command": {"title": title, "command": SUPPRESS, "arguments": [uri, line, indent, code]},
        }));
    }
    let insert = Edit::insert(line, format!("{indent}# zdm: ignore[{code}] {REASON}\n"));
    Some(json!({
        "title": title,
        "kind": "quickfix",
        "diagnostics": [diagnostic],
        "edit": edit(cx.support, vec![change(cx, cx.file, &[insert])?]),
    }))
}

/// The protocol's "WorkspaceEdit", in the newest form that the client knows.
fn edit(support: EditSupport, parts: Vec<Part>) -> Value {
    if !support.document_changes {
        let mut changes: BTreeMap<String, Vec<TextEdit>> = BTreeMap::new();
        for part in parts {
            if let Part::Change { uri, edits, .. } = part {
                changes.entry(uri).or_default().extend(edits);
            }
        }
        return json!({"changes": changes});
    }
    let mut changes = Vec::new();
    for part in parts {
        match part {
            Part::Change { uri, version, edits } => {
                changes.push(json!({"textDocument": {"uri": uri, "version": version}, "edits": edits}));
            }
            Part::Create { uri, text } => {
                changes.push(json!({"kind": "create", "uri": uri, "options": {"ignoreIfExists": false}}));
                let start = json!({"line": 0, "character": 0});
                changes.push(json!({
                    "textDocument": {"uri": uri, "version": null},
                    "edits": [{"range": {"start": start, "end": start}, "newText": text}],
                }));
            }
        }
    }
    json!({"documentChanges": changes})
}

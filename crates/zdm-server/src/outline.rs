//! What stands beside the text: document symbols, the lens above a migration, hints behind its operations.

use std::fmt::Write as _;

use serde_json::{Value, json};
use zdm_django::Operation;
use zdm_replay::MigrationTrace;
use zdm_source::{Diagnostic, SourceFile, Span};

use crate::names;
use crate::position::Encoding;
use crate::words;

/// Source of the numbers: the protocol's "SymbolKind".
const CLASS: u8 = 5;
const METHOD: u8 = 6;

/// Operations are not nested deeper in an outline.
const DEEPEST: u8 = 8;

/// The migration with its operations.
pub(crate) fn symbols(file: &SourceFile, trace: &MigrationTrace, encoding: Encoding) -> Value {
    let migration = &trace.migration;
    let children: Vec<Value> =
        migration.operations.iter().map(|operation| symbol(file, operation, encoding, DEEPEST)).collect();
    let end = u32::try_from(file.text().trim_end().len()).unwrap_or(u32::MAX);
    // The outer range covers what is inside of it, or clients refuse all of it.
    let whole = Span::new(migration.span.start, end.max(migration.span.end));
    json!([{
        "name": migration.key.to_string(),
        "kind": CLASS,
        "range": encoding.range(file, whole),
        "selectionRange": encoding.range(file, migration.span),
        "children": children,
    }])
}

fn symbol(file: &SourceFile, operation: &Operation, encoding: Encoding, depth: u8) -> Value {
    let range = encoding.range(file, operation.span);
    let nested = if depth == 0 { Vec::new() } else { names::nested(operation) };
    let children: Vec<Value> =
        nested.into_iter().map(|inner| symbol(file, inner, encoding, depth.saturating_sub(1))).collect();
    json!({
        "name": names::describe(file, operation),
        "kind": METHOD,
        "range": range,
        "selectionRange": range,
        "children": children,
    })
}

/// One lens above the class: phase and strongest lock; a click shows the SQL.
pub(crate) fn lenses(
    file: &SourceFile,
    trace: &MigrationTrace,
    findings: &[Diagnostic],
    uri: &str,
    encoding: Encoding,
) -> Value {
    let phase = words::phase(findings);
    let mut title = format!("phase {}", phase.as_str());
    match words::strongest(trace.steps.iter()) {
        Some(strongest) => {
            let _ = write!(title, " · {} on {}", strongest.mode, strongest.relation);
            if !strongest.blocked.is_empty() {
                let _ = write!(title, ", blocks {}", strongest.blocked);
            }
        }
        None => title.push_str(" · no lock on a table in use"),
    }
    json!([{
        "range": encoding.range(file, trace.migration.span),
        "command": {"title": title, "command": "zdm.showSql", "arguments": [uri]},
    }])
}

/// Behind the first line of each operation: its strongest lock.
pub(crate) fn hints(file: &SourceFile, trace: &MigrationTrace, range: Span, encoding: Encoding) -> Value {
    let mut hints = Vec::new();
    for (index, operation) in trace.migration.operations.iter().enumerate() {
        if operation.span.end < range.start || range.end < operation.span.start {
            continue;
        }
        let Some(strongest) = words::strongest(trace.steps_of(index)) else { continue };
        let lines = file.lines();
        let line = lines.line_span(file.text(), lines.line_of(operation.span.start));
        let end = line.start + u32::try_from(file.slice(line).trim_end_matches(['\n', '\r']).len()).unwrap_or(0);
        let blocks =
            if strongest.blocked.is_empty() { String::new() } else { format!(", blocks {}", strongest.blocked) };
        hints.push(json!({
            "position": encoding.position(file, end),
            "label": format!("{} on {}{blocks}", strongest.mode, strongest.relation),
            "paddingLeft": true,
        }));
    }
    Value::Array(hints)
}

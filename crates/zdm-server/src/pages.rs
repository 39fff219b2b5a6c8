//! Documents that exist in no folder: the SQL of a migration, the page of a rule. Their URIs have the scheme `zdm`.

use std::fmt::Write as _;

use serde_json::{Value, json};
use zdm_linter::Page;
use zdm_linter::registry::find_rule;
use zdm_workspace::Live;

use crate::words;

pub(crate) const SCHEME: &str = "zdm";

/// `zdm:/rules/ZDM101-index-not-concurrent.md`.
pub(crate) fn rule_uri(page: &Page) -> String {
    format!("{SCHEME}:/rules/{}", page.file_name())
}

/// Where a rule's page of this version is on the web.
pub(crate) fn rule_link(page: &Page) -> String {
    let folder = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/v", env!("CARGO_PKG_VERSION"), "/rules/");
    format!("{folder}{}", page.file_name())
}

/// `zdm:/sql/orders/0002_order_reference.sql`.
fn sql_uri(app: &str, name: &str) -> String {
    format!("{SCHEME}:/sql/{app}/{name}.sql")
}

/// A rule's page in Markdown.
pub(crate) fn rule_page(page: &Page) -> String {
    let mut text = format!("# {}: {}\n\n{}, {}", page.code.code, page.code.name, page.summary, page.severity.as_str());
    if page.optional {
        text.push_str(", off by default");
    }
    text.push_str("\n\n");
    if let Some(lock) = page.lock {
        let _ = writeln!(text, "- lock: `{lock}`");
    }
    if let Some(blocks) = page.blocks {
        let _ = writeln!(text, "- blocks: {blocks}");
    }
    text.push('\n');
    text.push_str(page.body.trim_start());
    text
}

/// What a command that opens a document answers: where it is, what language it is in, what it says.
fn document(uri: &str, language: &str, text: &str) -> Value {
    json!({"uri": uri, "languageId": language, "text": text})
}

/// The page of a rule by code or name.
pub(crate) fn explain(rule: &str) -> Option<Value> {
    let page = &find_rule(rule)?.page;
    Some(document(&rule_uri(page), "markdown", &rule_page(page)))
}

/// The SQL of a file's migration.
pub(crate) fn sql(live: &Live, path: &str) -> Option<Value> {
    let trace = live.trace(path)?;
    let key = &trace.migration.key;
    Some(document(&sql_uri(&key.app, &key.name), "sql", &words::sql_document(trace)))
}

/// What a URI of ours stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted<'a> {
    Rule(&'a str),
    Sql { app: &'a str, name: &'a str },
}

/// Reads a URI of the scheme `zdm`, with or without an empty host.
pub(crate) fn read(uri: &str) -> Option<Wanted<'_>> {
    let path = uri.strip_prefix(SCHEME)?.strip_prefix(':')?.trim_start_matches('/');
    let mut parts = path.split('/');
    match (parts.next()?, parts.next()?, parts.next()) {
        ("rules", file, None) => Some(Wanted::Rule(file.get(..6).unwrap_or(file))),
        ("sql", app, Some(file)) => Some(Wanted::Sql { app, name: file.strip_suffix(".sql")? }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_come_back() {
        let page = &find_rule("ZDM101").unwrap().page;
        assert_eq!(read(&rule_uri(page)), Some(Wanted::Rule("ZDM101")));
        assert_eq!(read(&sql_uri("a", "0001_b")), Some(Wanted::Sql { app: "a", name: "0001_b" }));
        assert_eq!(read("zdm:///rules/ZDM101.md"), Some(Wanted::Rule("ZDM101")));
        assert_eq!(read("file:///rules/ZDM101.md"), None);
        assert_eq!(read("zdm:"), None);
    }
}

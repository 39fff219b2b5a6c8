//! Completion: rule codes in suppressions, keys and values in the configuration.

use serde_json::{Value, json};
use zdm_linter::registry::RULES;
use zdm_source::SourceFile;
use zdm_workspace::config::keys::{Kind, Section, keys};

use crate::pages;

/// Source of the numbers: the protocol's "CompletionItemKind".
const VALUE: u8 = 12;
const PROPERTY: u8 = 10;
const KEYWORD: u8 = 14;

const LEVELS: [&str; 4] = ["off", "info", "warning", "error"];

/// The items at an offset of a file with this name.
pub(crate) fn complete(file: &SourceFile, name: &str, offset: u32) -> Vec<Value> {
    let lines = file.lines();
    let index = lines.line_of(offset);
    let span = lines.line_span(file.text(), index);
    let at = offset.saturating_sub(span.start) as usize;
    let before = file.slice(span).get(..at).unwrap_or("");
    if std::path::Path::new(name).extension().is_some_and(|extension| extension == "py") {
        return in_suppression(before);
    }
    let own = name == "zdm.toml";
    if own || name == "pyproject.toml" {
        return in_configuration(file, index, before, own);
    }
    Vec::new()
}

/// Behind `# zdm:` the two directives, inside of their brackets the rules.
fn in_suppression(before: &str) -> Vec<Value> {
    let Some(directive) = before.rfind('#').and_then(|hash| before.get(hash + 1..)) else { return Vec::new() };
    let Some(directive) = directive.trim_start().strip_prefix("zdm:") else { return Vec::new() };
    match directive.split_once('[') {
        None if !directive.contains(']')
            && directive.trim_start().chars().all(|part| part.is_ascii_lowercase() || part == '-') =>
        {
            ["ignore", "ignore-file"]
                .iter()
                .map(|word| json!({"label": word, "kind": KEYWORD, "insertText": format!("{word}[")}))
                .collect()
        }
        Some((word, inside)) if matches!(word.trim(), "ignore" | "ignore-file") && !inside.contains(']') => rules(),
        _ => Vec::new(),
    }
}

fn rules() -> Vec<Value> {
    RULES
        .iter()
        .map(|rule| {
            let page = &rule.page;
            json!({
                "label": page.code.code,
                "kind": VALUE,
                "detail": format!("{}, {}", page.code.name, page.severity.as_str()),
                "filterText": format!("{} {}", page.code.code, page.code.name),
                "insertText": page.code.code,
                "documentation": {"kind": "markdown", "value": pages::rule_page(page)},
            })
        })
        .collect()
}

fn values(words: &[&str], quote: bool) -> Vec<Value> {
    words
        .iter()
        .map(|word| {
            let text = if quote { format!("\"{word}\"") } else { (*word).to_owned() };
            json!({"label": word, "kind": VALUE, "insertText": text})
        })
        .collect()
}

fn in_configuration(file: &SourceFile, line: usize, before: &str, own: bool) -> Vec<Value> {
    let Some(section) = section(file, line, own) else { return Vec::new() };
    let Some((key, value)) = before.split_once('=') else {
        // The keys, unless the line already has one behind the cursor's beginning.
        if before.trim_start().starts_with(['#', '[']) {
            return Vec::new();
        }
        return keys(section)
            .map(|key| {
                json!({
                    "label": key.name,
                    "kind": PROPERTY,
                    "insertText": format!("{} = ", key.name),
                    "documentation": {"kind": "markdown", "value": format!("{}\n\n`{} = {}`", key.doc, key.name, key.example)},
                })
            })
            .collect();
    };
    let key = key.trim();
    let quote = value.matches('"').count().is_multiple_of(2);
    let kind = keys(section).find(|known| known.name == key).map(|known| known.kind);
    match kind {
        Some(Kind::Rules) => quoted(rules(), quote),
        Some(Kind::FailOn) => values(&["info", "warning", "error", "never"], quote),
        Some(Kind::Bool) => values(&["true", "false"], false),
        Some(Kind::Levels) => {
            // In `{ ZDM101 = "…" }` levels follow `=`, rules come before it.
            let entry = value.rsplit([',', '{']).next().unwrap_or("");
            if entry.contains('=') { values(&LEVELS, quote) } else { rules() }
        }
        _ => Vec::new(),
    }
}

fn quoted(mut items: Vec<Value>, quote: bool) -> Vec<Value> {
    if quote {
        for item in &mut items {
            if let Some(text) = item["insertText"].as_str().map(str::to_owned) {
                item["insertText"] = json!(format!("\"{text}\""));
            }
        }
    }
    items
}

/// The section of the configuration that a line stands in; none outside of it.
fn section(file: &SourceFile, line: usize, own: bool) -> Option<Section> {
    let lines = file.lines();
    let header = (0..=line).rev().find_map(|index| {
        let text = file.slice(lines.line_span(file.text(), index)).trim();
        let inner = text.strip_prefix('[')?.split(']').next()?;
        Some(inner.trim_start_matches('[').trim().to_owned())
    });
    let header = header.unwrap_or_default();
    let inside = if own {
        header.as_str()
    } else {
        let rest = header.strip_prefix("tool.zdm")?;
        match rest.strip_prefix('.') {
            Some(rest) => rest,
            None if rest.is_empty() => "",
            None => return None,
        }
    };
    match inside.split('.').next() {
        Some("") | None => Some(Section::Top),
        Some("paths") if inside != "paths" => Some(Section::Path),
        Some("tables") if inside != "tables" => Some(Section::Table),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `|` is the cursor.
    fn labels(name: &str, text: &str) -> Vec<String> {
        let at = text.find('|').unwrap();
        let file = SourceFile::new(name, text.replacen('|', "", 1));
        complete(&file, name, u32::try_from(at).unwrap())
            .iter()
            .map(|item| item["label"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn suppressions() {
        let codes = labels("a.py", "x  # zdm: ignore[ZDM101, |");
        assert!(codes.contains(&"ZDM201".to_owned()) && codes.len() == RULES.len());
        assert_eq!(labels("a.py", "# zdm: ig|"), ["ignore", "ignore-file"]);
        assert!(labels("a.py", "# zdm: ignore[ZDM101] be|").is_empty());
        assert!(labels("a.py", "x = [|").is_empty());
    }

    #[test]
    fn configuration() {
        assert!(labels("zdm.toml", "post|").contains(&"postgres".to_owned()));
        assert!(labels("zdm.toml", "ignore = [\"|\"]").contains(&"ZDM101".to_owned()));
        assert_eq!(labels("zdm.toml", "severity = { ZDM101 = |"), LEVELS);
        assert!(labels("zdm.toml", "[tables.shop_order]\n|").contains(&"rows".to_owned()));
        assert!(labels("zdm.toml", "[paths.\"legacy/**\"]\nig|").contains(&"ignore".to_owned()));
        assert!(labels("pyproject.toml", "[tool.zdm]\n|").contains(&"fail-on".to_owned()));
        assert!(labels("pyproject.toml", "[tool.black]\n|").is_empty());
        assert!(labels("setup.cfg", "|").is_empty());
    }
}

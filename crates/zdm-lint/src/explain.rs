//! `zdm-lint explain` and `zdm-lint rules`.

use std::fmt::Write as _;

use serde::Serialize;
use zdm_linter::{RULES, find_rule};

use crate::args::ListFormat;
use crate::terminal::Failure;

/// A rule's page.
pub(crate) fn explain(rule: &str) -> Result<String, Failure> {
    let Some(rule) = find_rule(rule) else {
        let names = RULES.iter().flat_map(|rule| [rule.page.code.code, rule.page.code.name]);
        let failure = Failure::new(format!("there is no rule `{rule}`"));
        return Err(match zdm_workspace::config::nearest(rule, names) {
            Some(near) => failure.with_help(format!("did you mean `{near}`? `zdm-lint rules` lists all")),
            None => failure.with_help("`zdm-lint rules` lists all"),
        });
    };
    let page = &rule.page;
    let mut text = format!("{} ({}), {}", page.code.code, page.code.name, page.severity.as_str());
    if page.optional {
        text.push_str(", off by default");
    }
    text.push('\n');
    if let Some(lock) = page.lock {
        let _ = writeln!(text, "lock: {lock}");
    }
    if let Some(blocks) = page.blocks {
        let _ = writeln!(text, "blocks: {blocks}");
    }
    let _ = write!(text, "\n{}", page.body.trim_start());
    Ok(text)
}

#[derive(Debug, Serialize)]
struct WireRules<'a> {
    version: u32,
    rules: Vec<WireRule<'a>>,
}

#[derive(Debug, Serialize)]
struct WireRule<'a> {
    code: &'a str,
    name: &'a str,
    summary: &'a str,
    severity: &'a str,
    default: bool,
    lock: Option<&'a str>,
    blocks: Option<&'a str>,
    fix: &'a str,
}

/// All rules in reading order.
pub(crate) fn rules(format: ListFormat) -> Result<String, Failure> {
    match format {
        ListFormat::Text => {
            let mut text = String::new();
            for rule in RULES.iter() {
                let page = &rule.page;
                let off = if page.optional { " (off by default)" } else { "" };
                let _ = writeln!(
                    text,
                    "{} {:<7} {}: {}{off}",
                    page.code.code,
                    page.severity.as_str(),
                    page.code.name,
                    page.summary
                );
            }
            Ok(text)
        }
        ListFormat::Json => {
            let rules = RULES
                .iter()
                .map(|rule| WireRule {
                    code: rule.page.code.code,
                    name: rule.page.code.name,
                    summary: rule.page.summary,
                    severity: rule.page.severity.as_str(),
                    default: !rule.page.optional,
                    lock: rule.page.lock,
                    blocks: rule.page.blocks,
                    fix: rule.page.fix,
                })
                .collect();
            serde_json::to_string_pretty(&WireRules { version: 1, rules })
                .map_err(|error| Failure::new(format!("the list cannot be written as JSON: {error}")))
        }
    }
}

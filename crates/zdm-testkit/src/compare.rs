//! Comparison of predicted and executed statements, with a report that a person can read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use similar::TextDiff;

/// What stands in a predicted statement for a value that is not known without running Python. It matches any text.
pub const WILDCARD: &str = "\u{2026}";

/// Compares two lists in order: `Ok`, or a unified difference.
pub fn lists<A: AsRef<str>, B: AsRef<str>>(expected: &[A], actual: &[B]) -> Result<(), String> {
    let expected: Vec<String> = expected.iter().map(|text| normal(text.as_ref())).collect();
    let actual: Vec<String> = actual.iter().map(|text| normal(text.as_ref())).collect();
    let same = expected.len() == actual.len() && expected.iter().zip(&actual).all(|(e, a)| matches(e, a));
    if same { Ok(()) } else { Err(difference(&expected, &actual)) }
}

/// Compares two lists without regard to order; an element that occurs twice must occur twice.
pub fn sets<A: AsRef<str>, B: AsRef<str>>(expected: &[A], actual: &[B]) -> Result<(), String> {
    let mut left: Vec<String> = actual.iter().map(|text| normal(text.as_ref())).collect();
    let mut missing = Vec::new();
    // Exact partners first, so that a wildcard does not take what another line needs.
    let mut open = Vec::new();
    for text in expected.iter().map(|text| normal(text.as_ref())) {
        match left.iter().position(|other| *other == text) {
            Some(at) => drop(left.swap_remove(at)),
            None => open.push(text),
        }
    }
    for text in open {
        match left.iter().position(|other| matches(&text, other)) {
            Some(at) => drop(left.swap_remove(at)),
            None => missing.push(text),
        }
    }
    if missing.is_empty() && left.is_empty() {
        return Ok(());
    }
    missing.sort();
    left.sort();
    Err(difference(&missing, &left))
}

/// Compares two maps by name: `Ok`, or what is missing, what is too many, and what differs.
pub fn maps<T: PartialEq + std::fmt::Debug>(
    expected: &BTreeMap<String, T>,
    actual: &BTreeMap<String, T>,
) -> Result<(), String> {
    let mut report = String::new();
    for (name, value) in expected {
        match actual.get(name) {
            Some(other) if other == value => {}
            Some(other) => {
                let diff = TextDiff::from_lines(format!("{value:#?}\n"), format!("{other:#?}\n"))
                    .unified_diff()
                    .context_radius(2)
                    .to_string();
                let _ = writeln!(report, "{name} differs:\n{diff}");
            }
            None => drop(writeln!(report, "{name} is missing")),
        }
    }
    for name in actual.keys().filter(|name| !expected.contains_key(*name)) {
        let _ = writeln!(report, "{name} should not be there");
    }
    if report.is_empty() { Ok(()) } else { Err(report) }
}

/// Whether a statement equals another. [`WILDCARD`] in either matches any text.
pub fn matches(one: &str, other: &str) -> bool {
    one == other || glob(one, other) || glob(other, one)
}

fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split(WILDCARD);
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at.saturating_add(part.len())..).unwrap_or_default();
    }
    true
}

/// Without the white space and the semicolon at the end, which Django adds or not for print.
fn normal(statement: &str) -> String {
    statement.trim().trim_end_matches(';').trim_end().to_owned()
}

fn difference(expected: &[String], actual: &[String]) -> String {
    let text = |lines: &[String]| lines.iter().fold(String::new(), |text, line| text + line + "\n");
    TextDiff::from_lines(text(expected), text(actual)).unified_diff().header("expected", "actual").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_matters_in_lists_only() {
        assert!(lists(&["A", "B"], &["A;", " B "]).is_ok());
        assert!(lists(&["A", "B"], &["B", "A"]).is_err());
        assert!(lists(&["A"], &["A", "A"]).is_err());
        assert!(sets(&["A", "B"], &["B", "A"]).is_ok());
        let report = sets(&["A", "B", "C"], &["B", "A", "A"]).expect_err("A occurs twice, C not at all");
        assert!(report.contains("-C") && report.contains("+A") && !report.contains('B'), "{report}");
    }

    #[test]
    fn a_wildcard_matches_any_text() {
        assert!(matches("SET DEFAULT \u{2026} NOT NULL", "SET DEFAULT 'x' NOT NULL"));
        assert!(matches("SET DEFAULT 'x'", "SET DEFAULT \u{2026}"));
        assert!(matches("\u{2026} a \u{2026}", "1 a 2"));
        assert!(!matches("SET DEFAULT \u{2026} NOT NULL", "SET DEFAULT 'x'"));
        assert!(!matches("a\u{2026}a", "a"));
        // The line without a wildcard keeps its partner.
        assert!(sets(&["D \u{2026}", "D 1"], &["D 1", "D 2"]).is_ok());
    }

    #[test]
    fn maps_name_what_differs() {
        let map = |pairs: &[(&str, u8)]| -> BTreeMap<String, u8> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
        };
        assert!(maps(&map(&[("a", 1)]), &map(&[("a", 1)])).is_ok());
        let report = maps(&map(&[("a", 1), ("b", 2)]), &map(&[("a", 3), ("c", 4)])).expect_err("nothing is equal");
        assert!(report.contains("a differs") && report.contains("b is missing") && report.contains("c should not"));
    }
}

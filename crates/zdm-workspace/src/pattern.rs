//! Patterns of the configuration, on paths and on table names.

use glob::{MatchOptions, Pattern, PatternError};

/// A pattern on paths relative to the project root: `legacy`, `billing/migrations`, `**/old_*.py`.
///
/// A pattern that matches a folder matches all that lies in it. `*` and `?` stop at `/`, `**` does not. A pattern
/// without `/` matches at any depth, as in `.gitignore`; one with a leading `/` only from the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
    pattern: Pattern,
}

const PATHS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

impl PathPattern {
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let trimmed = text.trim_start_matches("./").trim_end_matches('/');
        let anchored = trimmed.contains('/');
        let relative = trimmed.trim_start_matches('/');
        // `legacy/**` and `legacy` are one: everything below.
        let relative = relative.strip_suffix("/**").unwrap_or(relative);
        let full = if anchored { relative.to_owned() } else { format!("**/{relative}") };
        Ok(Self { text: text.to_owned(), pattern: Pattern::new(&full)? })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn matches(&self, path: &str) -> bool {
        let mut prefix = path;
        loop {
            if self.pattern.matches_with(prefix, PATHS) {
                return true;
            }
            match prefix.rsplit_once('/') {
                Some((above, _)) => prefix = above,
                None => return false,
            }
        }
    }
}

/// A pattern on table names, in which only `*` is special: `shop_order`, `audit_*`, `archive.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    text: String,
    pattern: Pattern,
}

impl NamePattern {
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let parts: Vec<String> = text.split('*').map(Pattern::escape).collect();
        // Two stars are one here; the pattern language would read them as folders.
        let mut joined = parts.join("*");
        while joined.contains("**") {
            joined = joined.replace("**", "*");
        }
        Ok(Self { text: text.to_owned(), pattern: Pattern::new(&joined)? })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn matches(&self, name: &str) -> bool {
        self.pattern.matches(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |pattern: &str, name: &str| NamePattern::new(pattern).unwrap().matches(name);
        assert!(check("audit_*", "audit_log") && check("*", "x") && check("a**b", "a.b") && check("a[1]?", "a[1]?"));
        assert!(!check("audit_*", "xaudit_") && !check("a?", "ab") && !check("a", "A"));
    }

    #[test]
    fn paths() {
        let check = |pattern: &str, path: &str| PathPattern::new(pattern).unwrap().matches(path);
        for (pattern, path) in [
            ("legacy", "legacy/a/b.py"),
            ("legacy", "apps/legacy/b.py"),
            ("legacy/", "legacy/a.py"),
            ("legacy/**", "legacy/a/b.py"),
            ("./legacy/a.py", "legacy/a.py"),
            ("/legacy", "legacy/a.py"),
            ("**/migrations/0001_*.py", "shop/migrations/0001_initial.py"),
            ("*/migrations", "shop/migrations/0001_initial.py"),
            ("*.py", "a/b/c.py"),
        ] {
            assert!(check(pattern, path), "{pattern} should match {path}");
        }
        for (pattern, path) in [
            ("legacy", "legacy2/a.py"),
            ("/legacy", "apps/legacy/a.py"),
            ("a/legacy", "b/a/legacy/c.py"),
            ("*/migrations", "a/b/migrations/0001.py"),
            ("shop/*.py", "shop/a/b.py"),
        ] {
            assert!(!check(pattern, path), "{pattern} should not match {path}");
        }
        assert!(PathPattern::new("a[").is_err());
    }
}

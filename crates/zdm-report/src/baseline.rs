//! The findings that a project had when it adopted the linter.
//!
//! The file holds fingerprints; code, path and message stand beside them for people who read the file or its diff and
//! are not compared. It is written sorted, so that it merges well.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zdm_source::{Diagnostic, Suppressed, SuppressionKind};

use crate::fingerprint::fingerprints;
use crate::json::to_text;

const VERSION: u32 = 1;

/// The recorded findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    findings: BTreeMap<String, Entry>,
}

/// One recorded finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub fingerprint: String,
    pub code: String,
    pub path: String,
    pub message: String,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    findings: Vec<Entry>,
}

/// Why a baseline file cannot be used, in words for its reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaselineError {
    pub message: String,
    pub help: &'static str,
}

impl std::fmt::Display for BaselineError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for BaselineError {}

impl Baseline {
    pub fn parse(text: &str) -> Result<Self, BaselineError> {
        const HELP: &str = "write it anew with --write-baseline";
        let failed = |error: &serde_json::Error| BaselineError {
            message: format!("line {}, column {}: {error}", error.line(), error.column()),
            help: HELP,
        };
        let value: serde_json::Value = serde_json::from_str(text).map_err(|error| failed(&error))?;
        if !value.is_object() {
            let message = "it holds no object with `version` and `findings`".to_owned();
            return Err(BaselineError { message, help: HELP });
        }
        let version = value.get("version").and_then(serde_json::Value::as_u64);
        if version.is_some_and(|version| version != u64::from(VERSION)) {
            let message = format!("version {} is not known", version.unwrap_or_default());
            return Err(BaselineError { message, help: "it was written by a newer zdm-lint: update this one" });
        }
        let document: Document = serde_json::from_str(text).map_err(|error| failed(&error))?;
        let findings = document.findings.into_iter().map(|entry| (entry.fingerprint.clone(), entry)).collect();
        Ok(Self { findings })
    }

    /// The findings that count now, and those that the former baseline covered. Others that are suppressed stay so
    /// without it.
    pub fn of(diagnostics: &[Diagnostic]) -> Self {
        let recorded = |diagnostic: &Diagnostic| {
            diagnostic.suppressed.as_ref().is_none_or(|by| by.kind == SuppressionKind::Baseline)
        };
        let findings = diagnostics
            .iter()
            .zip(fingerprints(diagnostics))
            .filter(|(diagnostic, _)| recorded(diagnostic))
            .map(|(diagnostic, fingerprint)| {
                let fingerprint = fingerprint.to_string();
                let entry = Entry {
                    fingerprint: fingerprint.clone(),
                    code: diagnostic.code.code.to_owned(),
                    path: diagnostic.primary.file.path().to_owned(),
                    message: diagnostic.message.clone(),
                };
                (fingerprint, entry)
            })
            .collect();
        Self { findings }
    }

    /// The text of the file.
    pub fn render(&self) -> String {
        let mut findings: Vec<Entry> = self.findings.values().cloned().collect();
        findings.sort_by(|a, b| (&a.path, &a.code, &a.fingerprint).cmp(&(&b.path, &b.code, &b.fingerprint)));
        to_text(&Document { version: VERSION, findings })
    }

    pub fn len(&self) -> usize {
        self.findings.len()
    }

    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// Suppresses the recorded findings, and returns the entries that no finding has any more.
    ///
    /// `diagnostics` are sorted; a finding that is suppressed otherwise keeps that and still uses its entry. An entry
    /// is stale only if the whole project was looked at, which the caller knows.
    pub fn apply(&self, diagnostics: &mut [Diagnostic]) -> Vec<Entry> {
        let mut stale = self.findings.clone();
        let prints = fingerprints(diagnostics);
        for (diagnostic, fingerprint) in diagnostics.iter_mut().zip(prints) {
            let recorded = stale.remove(&fingerprint.to_string()).is_some();
            if recorded && diagnostic.suppressed.is_none() {
                diagnostic.suppressed = Some(Suppressed { kind: SuppressionKind::Baseline, reason: None });
            }
        }
        let mut stale: Vec<Entry> = stale.into_values().collect();
        stale.sort_by(|a, b| (&a.path, &a.code, &a.fingerprint).cmp(&(&b.path, &b.code, &b.fingerprint)));
        stale
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{findings, many};

    fn active(diagnostics: &[Diagnostic]) -> usize {
        diagnostics.iter().filter(|diagnostic| diagnostic.suppressed.is_none()).count()
    }

    #[test]
    fn what_is_recorded_does_not_count_any_more() {
        let mut found = findings();
        let baseline = Baseline::of(&found);
        assert_eq!(baseline.len(), 2, "the finding with a comment needs no entry");
        let read = Baseline::parse(&baseline.render()).unwrap();
        assert_eq!(read, baseline);
        assert_eq!(read.apply(&mut found), []);
        assert_eq!(active(&found), 0);
        assert_eq!(found[2].suppressed.as_ref().unwrap().kind, SuppressionKind::Comment);
        assert_eq!(Baseline::of(&found), baseline, "writing it again changes nothing");
    }

    #[test]
    fn a_new_finding_counts_and_a_fixed_one_is_stale() {
        let old = many(5);
        let baseline = Baseline::of(&old);
        let mut now = many(6);
        now.remove(0);
        let stale = baseline.apply(&mut now);
        assert_eq!(stale.len(), 1);
        assert_eq!((stale[0].code.as_str(), stale[0].path.as_str()), ("ZDM101", "app/migrations/0000_x.py"));
        assert_eq!(active(&now), 3, "one new migration with three findings");
    }

    #[test]
    fn one_of_several_equal_findings_may_go() {
        let same = vec![many(1)[0].clone(); 3];
        let baseline = Baseline::of(&same);
        let mut two = same[..2].to_vec();
        assert_eq!(baseline.apply(&mut two).len(), 1);
        assert_eq!(active(&two), 0);
        let mut four = vec![same[0].clone(); 4];
        baseline.apply(&mut four);
        assert_eq!(active(&four), 1);
    }

    #[test]
    fn bad_files_are_refused_with_a_place() {
        for (text, expected) in [
            ("{\n  oops", "line 2, column 3: key must be a string at line 2 column 3"),
            ("{\"version\": 2, \"findings\": 3}", "version 2 is not known"),
            ("{\"version\": 1}", "line 1, column 14: missing field `findings` at line 1 column 14"),
            ("[]", "it holds no object with `version` and `findings`"),
        ] {
            assert_eq!(Baseline::parse(text).unwrap_err().message, expected, "{text}");
        }
    }
}

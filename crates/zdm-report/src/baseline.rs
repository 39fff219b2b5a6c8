//! The findings that a project had when it adopted the linter.
//!
//! The file holds fingerprints and the names of what each finding is told of; code, path and message stand beside them for
//! people who read the file or its diff and are not compared. It is written sorted, so that it merges well.
//!
//! One finding may tell of several things in one place (a loop over models, one operation on many tables). The place stays
//! the same when a thing joins them, and so does the fingerprint: an entry covers a finding only if it has all its things.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use zdm_source::message::names;
use zdm_source::{Diagnostic, Note, Suppressed, SuppressionKind};

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
    /// What it is told of: tables, columns, indexes, and whatever else the message names.
    #[serde(default)]
    pub names: Vec<String>,
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
                    names: all_names(diagnostic),
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
            let Some(entry) = stale.remove(&fingerprint.to_string()) else { continue };
            if diagnostic.suppressed.is_some() {
                continue;
            }
            let new = entry.lacks(diagnostic);
            if new.is_empty() {
                diagnostic.suppressed = Some(Suppressed { kind: SuppressionKind::Baseline, reason: None });
            } else {
                let new: Vec<String> = new.iter().map(|name| format!("`{name}`")).collect();
                let fact = format!("the baseline has this finding without {}", new.join(", "));
                diagnostic.notes.insert(0, Note::Fact(fact));
            }
        }
        let mut stale: Vec<Entry> = stale.into_values().collect();
        stale.sort_by(|a, b| (&a.path, &a.code, &a.fingerprint).cmp(&(&b.path, &b.code, &b.fingerprint)));
        stale
    }
}

impl Entry {
    /// What a finding of the same fingerprint is told of, and the entry does not cover.
    ///
    /// A finding of one thing may name others beside it, and in other words: it is the recorded one if they share a name.
    fn lacks<'d>(&self, diagnostic: &'d Diagnostic) -> Vec<&'d str> {
        let is_new = |name: &&str| !self.names.iter().any(|recorded| recorded == name);
        let several = things(diagnostic);
        if !several.is_empty() {
            return several.into_iter().filter(is_new).collect();
        }
        let named: Vec<&str> = names(&diagnostic.message).collect();
        if self.names.is_empty() || !named.iter().all(is_new) { Vec::new() } else { named }
    }
}

/// What a finding says the same of.
fn things(diagnostic: &Diagnostic) -> Vec<&str> {
    let subject = &diagnostic.subject;
    let things = if subject.things.is_empty() { &subject.tables } else { &subject.things };
    things.iter().map(|thing| &**thing).collect()
}

fn all_names(diagnostic: &Diagnostic) -> Vec<String> {
    let told: BTreeSet<&str> = things(diagnostic).into_iter().chain(names(&diagnostic.message)).collect();
    told.into_iter().map(str::to_owned).collect()
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

    /// A finding of one place, told of these.
    fn told_of(things: &[&str]) -> Vec<Diagnostic> {
        let mut finding = many(1)[0].clone();
        let others = if things.len() > 1 { "; the same goes for others" } else { "" };
        finding.message = format!("changes every row of `{}`{others}", things[0]);
        if things.len() > 1 {
            finding.subject.things = things.iter().map(|thing| (*thing).into()).collect();
        }
        vec![finding]
    }

    #[test]
    fn a_thing_that_joins_others_in_one_place_counts() {
        let facts = |recorded: &[&str], now: &[&str]| {
            let baseline = Baseline::parse(&Baseline::of(&told_of(recorded)).render()).unwrap();
            let mut now = told_of(now);
            let before = now[0].notes.len();
            assert_eq!(baseline.apply(&mut now), [], "the entry has its finding");
            let added = now[0].notes.len() - before;
            match now[0].notes.first() {
                Some(Note::Fact(text)) if added == 1 => text.clone(),
                _ => {
                    assert_eq!((active(&now), added), (0, 0));
                    String::from("covered")
                }
            }
        };
        assert_eq!(facts(&["a"], &["a"]), "covered");
        assert_eq!(facts(&["a", "b"], &["b", "a"]), "covered");
        assert_eq!(facts(&["a", "b", "c"], &["c", "a"]), "covered", "one of them is gone");
        assert_eq!(facts(&["a", "b"], &["b"]), "covered");
        assert_eq!(facts(&["a", "b"], &["a", "b", "c"]), "the baseline has this finding without `c`");
        assert_eq!(facts(&["a"], &["a", "b"]), "the baseline has this finding without `b`");
        assert_eq!(facts(&["a", "b"], &["c"]), "the baseline has this finding without `c`");
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

//! What there is to say, in no format.

use zdm_source::{Diagnostic, Severity};

pub use zdm_source::Phase;

/// Everything a renderer may show.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    pub tool_version: &'a str,
    /// The targets of the run, as text: `16`, `5.2`.
    pub postgres: String,
    pub django: String,
    /// What the change set was compared with; `None` when every migration is reported.
    pub base: Option<Base>,
    /// Sorted by path, position and code; the suppressed ones too.
    pub diagnostics: &'a [Diagnostic],
    /// The rules that this version knows, in the order of their pages; those without a finding too.
    pub rules: &'a [RuleInfo<'a>],
    pub summary: Summary,
    /// One entry per migration that is reported on, in the order of the graph.
    pub phases: Vec<MigrationPhase>,
    /// What was assumed, one sentence each: `PostgreSQL 18 assumed: no version was found`.
    pub notes: Vec<String>,
    /// The least severity that makes the run fail; `None` where nothing does.
    pub fail_on: Option<Severity>,
    pub paths: PathPrefixes,
}

/// The other side of the comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// As the user or the CI named it: `origin/main`.
    pub reference: String,
    /// The full hexadecimal id of the merge-base with HEAD.
    pub merge_base: String,
}

/// One rule's page and what a catalogue says of it.
#[derive(Clone, Copy, Debug)]
pub struct RuleInfo<'a> {
    pub code: &'a str,
    pub name: &'a str,
    /// One sentence.
    pub summary: &'a str,
    /// Before configuration and table sizes move it.
    pub severity: Severity,
    /// The page without its front matter.
    pub page_markdown: &'a str,
    pub url: &'a str,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Replayed.
    pub migrations: usize,
    /// Reported on: all of them, or those of the change set.
    pub reported: usize,
    /// Top-level operations of the replayed migrations, and how many of these are fully understood.
    pub operations: usize,
    pub analysed: usize,
    pub apps: usize,
}

/// One migration's place in the deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationPhase {
    pub app: String,
    pub migration: String,
    /// Relative to the project root.
    pub path: String,
    pub phase: Phase,
    /// Why, in order of weight; empty where nothing speaks against the phase.
    pub reasons: Vec<String>,
}

/// How paths, which diagnostics give relative to the project root, are written for a reader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathPrefixes {
    /// From the current directory to the project root, with a final `/`, or empty: for people, JSON and editors.
    pub display: String,
    /// From the repository root to the project root, with a final `/`, or empty: for SARIF, GitHub, GitLab, JUnit and
    /// Markdown, whose readers resolve paths against the repository.
    pub repository: String,
}

impl PathPrefixes {
    pub(crate) fn display(&self, path: &str) -> String {
        join(&self.display, path)
    }

    /// What is said of no file is said of the project's folder.
    pub(crate) fn repository(&self, path: &str) -> String {
        match (path, self.repository.trim_end_matches('/')) {
            ("", "") => ".".to_owned(),
            ("", folder) => folder.to_owned(),
            _ => join(&self.repository, path),
        }
    }
}

/// `prefix` and `path`, where `../` in front of the directory that `path` enters again is not simplified: the
/// project root's name is not known here.
fn join(prefix: &str, path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("{prefix}{path}") }
}

/// How many findings count, per severity, and how many do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub errors: usize,
    pub warnings: usize,
    pub infos: usize,
    pub suppressed: usize,
}

impl Counts {
    /// Findings that are not suppressed.
    pub const fn active(self) -> usize {
        self.errors + self.warnings + self.infos
    }
}

impl Report<'_> {
    /// The findings that are not suppressed.
    pub fn active(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.suppressed.is_none())
    }

    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for diagnostic in self.diagnostics {
            let counter = match (diagnostic.suppressed.is_some(), diagnostic.severity) {
                (true, _) => &mut counts.suppressed,
                (false, Severity::Error) => &mut counts.errors,
                (false, Severity::Warning) => &mut counts.warnings,
                (false, Severity::Info) => &mut counts.infos,
            };
            *counter += 1;
        }
        counts
    }

    /// Whether a finding makes the run fail.
    pub fn fails(&self, diagnostic: &Diagnostic) -> bool {
        diagnostic.suppressed.is_none() && self.fail_on.is_some_and(|least| diagnostic.severity >= least)
    }

    /// Whether the run fails: exit code 1.
    pub fn failed(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| self.fails(diagnostic))
    }

    pub(crate) fn rule(&self, code: &str) -> Option<&RuleInfo<'_>> {
        self.rules.iter().find(|rule| rule.code == code)
    }
}

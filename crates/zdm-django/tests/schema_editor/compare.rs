//! The score of a comparison, and the table of all of them.

use std::fmt::Write as _;

/// What was compared, and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Score {
    pub(crate) operations: usize,
    pub(crate) analysed: usize,
    /// Operations whose statements are all equal.
    pub(crate) equal: usize,
    /// Statements that Django executed for the operations analysed.
    pub(crate) statements: usize,
    pub(crate) models: usize,
    pub(crate) models_equal: usize,
    /// Tables that the server has in the end.
    pub(crate) tables: usize,
    pub(crate) tables_equal: usize,
    pub(crate) catalog_differences: Vec<String>,
    /// Tables that differ and of which nothing is claimed, because an operation that was not analysed speaks of them.
    pub(crate) excused: Vec<String>,
    /// Migrations that the server or Django refused.
    pub(crate) failed: usize,
    pub(crate) not_analysed: Vec<String>,
    pub(crate) models_not_analysed: Vec<String>,
    /// What the failed migrations said.
    pub(crate) failures: Vec<String>,
    pub(crate) differences: Vec<String>,
}

impl Score {
    pub(crate) fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.analysed += other.analysed;
        self.equal += other.equal;
        self.statements += other.statements;
        self.models += other.models;
        self.models_equal += other.models_equal;
        self.tables += other.tables;
        self.tables_equal += other.tables_equal;
        self.catalog_differences.extend(other.catalog_differences);
        self.excused.extend(other.excused);
        self.failed += other.failed;
        self.not_analysed.extend(other.not_analysed);
        self.models_not_analysed.extend(other.models_not_analysed);
        self.failures.extend(other.failures);
        self.differences.extend(other.differences);
    }
}

/// One line per replay.
pub(crate) fn table(rows: &[(&str, &str, &Score)]) -> String {
    let mut text = format!(
        "{:<24} {:>8} {:>10} {:>9} {:>10} {:>10} {:>7} {:>11} {:>7} {:>13} {:>7}\n",
        "project",
        "Django",
        "operations",
        "analysed",
        "equal",
        "statements",
        "models",
        "state equal",
        "tables",
        "catalog equal",
        "failed"
    );
    for (project, django, score) in rows {
        let _ = writeln!(
            text,
            "{project:<24} {django:>8} {:>10} {:>9} {:>10} {:>10} {:>7} {:>11} {:>7} {:>13} {:>7}",
            score.operations,
            score.analysed,
            score.equal,
            score.statements,
            score.models,
            score.models_equal,
            score.tables,
            score.tables_equal,
            score.failed
        );
    }
    for (project, django, score) in rows {
        for line in score.not_analysed.iter().chain(&score.models_not_analysed) {
            let _ = writeln!(text, "not analysed: {project}, Django {django}: {line}");
        }
        for line in &score.excused {
            let _ = writeln!(text, "excused: {project}, Django {django}: {line}");
        }
    }
    text
}

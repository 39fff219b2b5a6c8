//! What is said about a place in a file.
//!
//! A diagnostic has exactly one primary label by construction; related labels may point into other files.
//! Nothing here knows a wire format: renderers build their own structures from these.

use std::fmt;
use std::sync::Arc;

use crate::edit::Edit;
use crate::file::SourceFile;
use crate::span::Span;

/// How much a finding matters; ordered, so that a threshold can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Depends on size or load.
    Warning,
    /// An outage or a break of running code is certain on a table in use.
    Error,
}

impl Severity {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl std::str::FromStr for Severity {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "info" => Ok(Self::Info),
            "warning" => Ok(Self::Warning),
            "error" => Ok(Self::Error),
            _ => Err(()),
        }
    }
}

/// When a migration may run, seen from the deployment of the code it belongs to. Ordered: the later one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// While the old code runs.
    Before,
    /// Only once no old code runs.
    After,
    /// It blocks beyond the limits, or no order of deploy works: a person must choose the moment.
    Window,
}

impl Phase {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Window => "window",
        }
    }
}

/// A rule's stable identity: its code (`ZDM101`) and its name (`index-not-concurrent`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code {
    pub code: &'static str,
    pub name: &'static str,
}

/// A place in a file with a few words about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub file: SourceFile,
    pub span: Span,
    pub message: String,
}

impl Label {
    pub fn new(file: &SourceFile, span: Span, message: impl Into<String>) -> Self {
        Self { file: file.clone(), span, message: message.into() }
    }
}

/// A remark below the message, in the order in which a reader wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Background: what happens, who is blocked, why.
    Fact(String),
    /// What to do instead, imperative.
    Help(String),
    /// Code to write instead.
    Code { title: String, language: &'static str, text: String },
}

/// Whether a fix may be applied without a person looking at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Applicability {
    /// Keeps the meaning: the state is the same and no running code is affected.
    Safe,
    /// Changes what happens; somebody must agree.
    Unsafe,
    /// Shown, never applied.
    DisplayOnly,
}

/// What a fix does to one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FixFile {
    Change {
        file: SourceFile,
        edits: Vec<Edit>,
    },
    /// A new file; the path is relative to the project root.
    Create {
        path: Arc<str>,
        text: String,
    },
}

/// A change that makes the finding go away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    pub title: String,
    pub applicability: Applicability,
    pub files: Vec<FixFile>,
}

/// One finding.
///
/// `message` reads *operation, what it blocks, for how long or why*: lower case, no final period,
/// the user's names in backticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub code: Code,
    pub severity: Severity,
    pub message: String,
    pub primary: Label,
    pub related: Vec<Label>,
    pub notes: Vec<Note>,
    pub fix: Option<Fix>,
    pub subject: Subject,
    pub suppressed: Option<Suppressed>,
}

/// What in the project the finding is about, for machines that sort and filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    pub app: Option<Arc<str>>,
    pub migration: Option<Arc<str>>,
    /// The index of the top-level operation in its migration, counted from 0.
    pub operation: Option<usize>,
    /// The SQL statement that does it.
    pub statement: Option<Arc<str>>,
    /// The tables, where the message does not name all of them.
    pub tables: Vec<Arc<str>>,
    /// What the finding says the same of, where that is more than one thing in one place.
    pub things: Vec<Arc<str>>,
}

/// Why a finding does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppressed {
    pub kind: SuppressionKind,
    /// The user's words; the baseline has none.
    pub reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SuppressionKind {
    /// `# zdm: ignore[CODE] reason` beside the operation.
    Comment,
    /// `# zdm: ignore-file[CODE] reason`.
    File,
    /// Recorded when the project adopted the linter.
    Baseline,
    /// Switched off for this path or table in the configuration.
    Configuration,
}

impl SuppressionKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Comment => "comment",
            Self::File => "file",
            Self::Baseline => "baseline",
            Self::Configuration => "configuration",
        }
    }
}

impl Diagnostic {
    pub fn new(code: Code, severity: Severity, message: impl Into<String>, primary: Label) -> Self {
        Self {
            code,
            severity,
            message: message.into(),
            primary,
            related: Vec::new(),
            notes: Vec::new(),
            fix: None,
            subject: Subject::default(),
            suppressed: None,
        }
    }

    /// The order of every report: path, position, code.
    pub fn sort_key(&self) -> (&str, Span, &'static str, &str) {
        (self.primary.file.path(), self.primary.span, self.code.code, &self.message)
    }

    /// About these tables, whichever of them the message names.
    pub fn about(mut self, tables: impl IntoIterator<Item = impl fmt::Display>) -> Self {
        self.subject.tables = tables.into_iter().map(|table| table.to_string().into()).collect();
        self
    }

    pub fn with_related(mut self, label: Label) -> Self {
        self.related.push(label);
        self
    }

    pub fn with_fact(mut self, text: impl Into<String>) -> Self {
        self.notes.push(Note::Fact(text.into()));
        self
    }

    pub fn with_help(mut self, text: impl Into<String>) -> Self {
        self.notes.push(Note::Help(text.into()));
        self
    }

    pub fn with_code(mut self, title: impl Into<String>, language: &'static str, text: impl Into<String>) -> Self {
        self.notes.push(Note::Code { title: title.into(), language, text: text.into() });
        self
    }

    pub fn with_fix(mut self, fix: Fix) -> Self {
        self.fix = Some(fix);
        self
    }
}

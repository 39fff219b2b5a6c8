//! What is wrong or unclear in a project as a whole: a value with its place and its remedy.
//!
//! A problem never stops the analysis: whatever it is about is left out or assumed, as its message says, and
//! everything else is read.

use zdm_source::{SourceFile, Span};

/// One finding about settings, apps or the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub kind: ProblemKind,
    /// The file and the place in it; none for what no file of the project stands for, as a missing settings module.
    pub place: Option<(SourceFile, Span)>,
    /// Lower case, no final period, the user's names in backticks.
    pub message: String,
    /// What to do, imperative.
    pub help: String,
    /// Other places that take part, each with a few words.
    pub related: Vec<(SourceFile, Span, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProblemKind {
    /// A file that is not UTF-8, or could not be read.
    UnreadableFile,
    /// A file with text that is not Python; what could be read around it is used.
    SyntaxError,
    /// A module in a migrations folder that looks like a migration and has no `Migration` class.
    NoMigrationClass,
    /// A migrations folder without `__init__.py`.
    NotAPackage,
    /// Two apps with one label.
    DuplicateLabel,
    /// Two migrations with one app and name.
    DuplicateMigration,
    /// A part of a migration that cannot be told without running it.
    NotAnalysed,
    /// A dependency on a migration that its app does not have.
    MissingDependency,
    /// A dependency that is not a literal.
    UnknownDependency,
    /// Dependencies that go around in a circle; one edge is ignored.
    CircularDependency,
    /// An app with more than one leaf.
    ConflictingLeaves,
    /// Two migrations of one app with the same number.
    SameNumber,
    /// A squash that replaces itself, directly or not, or two squashes of one migration.
    BadReplacement,
    /// An app outside of the project whose migrations are not at hand.
    ExternalAppAssumed,
    /// No settings module, or several.
    SettingsNotFound,
    /// A setting that is there and cannot be read statically.
    SettingNotRead,
    /// An entry of `INSTALLED_APPS` or of the configuration that leads nowhere.
    AppNotFound,
}

impl ProblemKind {
    /// A stable name for machines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnreadableFile => "unreadable-file",
            Self::SyntaxError => "syntax-error",
            Self::NoMigrationClass => "no-migration-class",
            Self::NotAPackage => "not-a-package",
            Self::DuplicateLabel => "duplicate-label",
            Self::DuplicateMigration => "duplicate-migration",
            Self::NotAnalysed => "not-analysed",
            Self::MissingDependency => "missing-dependency",
            Self::UnknownDependency => "unknown-dependency",
            Self::CircularDependency => "circular-dependency",
            Self::ConflictingLeaves => "conflicting-leaves",
            Self::SameNumber => "same-number",
            Self::BadReplacement => "bad-replacement",
            Self::ExternalAppAssumed => "external-app-assumed",
            Self::SettingsNotFound => "settings-not-found",
            Self::SettingNotRead => "setting-not-read",
            Self::AppNotFound => "app-not-found",
        }
    }
}

impl Problem {
    pub fn new(kind: ProblemKind, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { kind, place: None, message: message.into(), help: help.into(), related: Vec::new() }
    }

    pub fn at(mut self, file: &SourceFile, span: Span) -> Self {
        self.place = Some((file.clone(), span));
        self
    }

    pub fn related(mut self, file: &SourceFile, span: Span, message: impl Into<String>) -> Self {
        self.related.push((file.clone(), span, message.into()));
        self
    }

    /// Whether a file is a place of it.
    pub fn concerns(&self, path: &str) -> bool {
        self.place
            .iter()
            .map(|(file, _)| file)
            .chain(self.related.iter().map(|(file, ..)| file))
            .any(|file| file.path() == path)
    }

    /// Path, position, kind, message: the order of every list of problems.
    pub fn sort_key(&self) -> (&str, Span, ProblemKind, &str) {
        let (path, span) = self.place.as_ref().map_or(("", Span::default()), |(file, span)| (file.path(), *span));
        (path, span, self.kind, &self.message)
    }
}

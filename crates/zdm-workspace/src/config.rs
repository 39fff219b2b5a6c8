//! What the users of a project want: `zdm.toml`, or `[tool.zdm]` of `pyproject.toml`.
//!
//! Every key is a row of [`keys`]; the reader, the suggestions for misspelt names and the published schema are made
//! from these rows. Everything wrong with a file is reported at once, each with its place.

pub mod keys;

mod read;

pub mod render;

pub mod schema;

use std::path::{Path, PathBuf};

use zdm_django::DjangoVersion;
use zdm_postgres::PgVersion;
pub use zdm_source::nearest;
use zdm_source::{Severity, SourceFile, Span};

use crate::error::Error;
use crate::files::{FileProblem, read as read_file};
use crate::pattern::{NamePattern, PathPattern};
use crate::stats::is_hot;

pub const ZDM_TOML: &str = "zdm.toml";
pub const PYPROJECT: &str = "pyproject.toml";

/// A project's configuration. The default is that of a project without one.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub source: ConfigSource,
    pub postgres: Option<PgVersion>,
    pub django: Option<DjangoVersion>,
    /// The dotted name of the settings module.
    pub settings: Option<String>,
    /// App labels with the folder of the app, relative to the root.
    pub apps: Vec<(String, String)>,
    /// Folders that imports start from, relative to the root, before those that are found.
    pub extra_roots: Vec<String>,
    pub exclude: Vec<PathPattern>,
    pub fail_on: Option<FailOn>,
    /// Files, relative to the root.
    pub baseline: Option<String>,
    pub stats: Option<String>,
    pub rules: RuleSettings,
    /// In the order of the file; a later entry goes before an earlier one.
    pub paths: Vec<PathSettings>,
    /// In the order of the file; the first that matches gives a table its facts.
    pub tables: Vec<TableSettings>,
    /// The file, where it speaks of tables.
    pub file: Option<SourceFile>,
    /// Tables of at most so many rows are small: findings that only cost time on them become `info`.
    pub small_table_rows: Option<u64>,
    /// Sections of the runtime, which reads them itself.
    pub runtime: toml::Table,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ConfigSource {
    #[default]
    None,
    File(PathBuf),
}

/// Which rules run, and how loud they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSettings {
    /// `None`: the rules that are on by default.
    pub select: Option<Vec<Selector>>,
    /// In addition to those selected.
    pub extend_select: Vec<Selector>,
    pub ignore: Vec<Selector>,
    /// The longest selector that matches decides.
    pub severity: Vec<(Selector, Level)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathSettings {
    pub pattern: PathPattern,
    pub rules: RuleSettings,
}

/// What is known about the tables that a pattern names.
#[derive(Clone, Debug, PartialEq)]
pub struct TableSettings {
    pub pattern: NamePattern,
    /// Of the pattern, in the file.
    pub span: Span,
    pub rows: Option<u64>,
    pub bytes: Option<u64>,
    /// Read or written all the time.
    pub hot: Option<bool>,
    pub reads_per_second: Option<f64>,
    pub writes_per_second: Option<f64>,
    /// For findings about these tables.
    pub rules: RuleSettings,
}

impl TableSettings {
    /// Whether the tables are read or written all the time: as it is said, else by the traffic.
    pub fn is_hot(&self) -> Option<bool> {
        self.hot.or_else(|| is_hot(self.reads_per_second, self.writes_per_second))
    }
}

/// Names rules: a code, the beginning of codes, a name, or `ALL`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selector(String);

impl Selector {
    /// A selector that names at least one of the `known` rules; else the nearest name, if one is near.
    pub fn new(text: &str, known: &[KnownRule<'_>]) -> Result<Self, Option<String>> {
        let selector = Self(text.to_owned());
        if known.iter().any(|rule| selector.matches(rule.code, rule.name)) {
            return Ok(selector);
        }
        let names = known.iter().flat_map(|rule| [rule.code, rule.name]);
        Err(nearest(text, names).map(str::to_owned))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn matches(&self, code: &str, name: &str) -> bool {
        self.0 == "ALL" || self.0 == name || (self.0.starts_with("ZDM") && code.starts_with(self.0.as_str()))
    }

    /// How narrow it is: `ALL`, then prefixes by their length, then codes and names.
    pub fn precision(&self) -> usize {
        match self.0.as_str() {
            "ALL" => 0,
            text if text.starts_with("ZDM") => text.len(),
            _ => "ZDM000".len(),
        }
    }
}

/// How loud a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Off,
    On(Severity),
}

impl std::str::FromStr for Level {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text == "off" { Ok(Self::Off) } else { text.parse().map(Self::On) }
    }
}

/// From which severity on a run fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailOn {
    Never,
    At(Severity),
}

impl FailOn {
    pub const fn severity(self) -> Option<Severity> {
        match self {
            Self::Never => None,
            Self::At(severity) => Some(severity),
        }
    }
}

impl std::str::FromStr for FailOn {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text == "never" { Ok(Self::Never) } else { text.parse().map(Self::At) }
    }
}

/// A rule's names, for checking what the configuration says of it.
#[derive(Clone, Copy, Debug)]
pub struct KnownRule<'a> {
    pub code: &'a str,
    pub name: &'a str,
}

impl RuleSettings {
    /// What the settings say of a rule: `None` where they say nothing, so that a wider setting decides.
    pub fn level(&self, code: &str, name: &str) -> Option<Level> {
        let narrowest = |selectors: &[Selector]| {
            selectors.iter().filter(|selector| selector.matches(code, name)).map(Selector::precision).max()
        };
        let chosen = narrowest(self.select.as_deref().unwrap_or_default()).max(narrowest(&self.extend_select));
        if narrowest(&self.ignore) > chosen || (narrowest(&self.ignore).is_some() && narrowest(&self.ignore) == chosen)
        {
            return Some(Level::Off);
        }
        let severity = self
            .severity
            .iter()
            .filter(|(selector, _)| selector.matches(code, name))
            .max_by_key(|(selector, _)| selector.precision())
            .map(|(_, level)| *level);
        match (severity, &self.select) {
            (Some(level), _) => Some(level),
            (None, Some(_)) if chosen.is_none() => Some(Level::Off),
            (None, _) => None,
        }
    }

    /// Whether the settings switch on a rule that is off by default.
    pub fn selects(&self, code: &str, name: &str) -> bool {
        let matching = |selectors: &[Selector]| selectors.iter().any(|selector| selector.matches(code, name));
        self.select.as_deref().is_some_and(matching) || matching(&self.extend_select)
    }
}

impl Config {
    /// Read a file, which messages call `shown`. In a `pyproject.toml` only `[tool.zdm]` counts.
    pub fn load(path: &Path, shown: &str, known: &[KnownRule<'_>]) -> Result<Self, Error> {
        let folder = path.parent().unwrap_or(path);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or(ZDM_TOML);
        let text = read_file(folder, name);
        match text.problem {
            Some(FileProblem::Missing) => return Err(Error::NoSuchPath(path.to_owned())),
            Some(problem) => return Err(Error::Unreadable { path: path.to_owned(), reason: problem.to_string() }),
            None => {}
        }
        let file = SourceFile::new(shown, text.file.text());
        let mut config = Self::parse(&file, known).map_err(|error| Error::Config(Box::new(error)))?;
        config.source = ConfigSource::File(path.to_owned());
        Ok(config)
    }

    /// Read the text of a `zdm.toml`, or of a `pyproject.toml` if its path ends so.
    pub fn parse(file: &SourceFile, known: &[KnownRule<'_>]) -> Result<Self, ConfigError> {
        read::read(file, known)
    }
}

/// Whether the text of a `pyproject.toml` has a section of ours, even if the file is broken elsewhere.
pub fn has_section(text: &str) -> bool {
    text.lines().any(|line| {
        let line: String = line.chars().filter(|character| !character.is_whitespace() && *character != '"').collect();
        let header = line.trim_start_matches('[');
        line.starts_with('[') && (header.starts_with("tool.zdm]") || header.starts_with("tool.zdm."))
    })
}

/// All that is wrong with a configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub file: SourceFile,
    pub problems: Vec<ConfigProblem>,
}

/// One mistake in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    pub span: Span,
    /// Lower case, no final period, names in backticks.
    pub message: String,
    pub help: Option<String>,
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let place = self.file.line_column(problem.span.start);
            let line = if index > 0 { "\n" } else { "" };
            write!(formatter, "{line}{}:{}:{}: {}", self.file.path(), place.line, place.column, problem.message)?;
            if let Some(help) = &problem.help {
                write!(formatter, " ({help})")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests;

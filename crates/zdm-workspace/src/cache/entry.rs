//! An entry's wire format. It is read by the version that wrote it alone, so it may change with any version.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zdm_django::MigrationKey;
use zdm_django::migration::MigrationOrigin;
use zdm_linter::{MigrationPhase, find_rule};
use zdm_source::{
    Applicability, Code, Diagnostic, Edit, Fix, FixFile, Label, Note, Phase, Severity, SourceFile, Span, Subject,
    Suppressed, SuppressionKind,
};

use crate::analysis::Counts;
use crate::files::Text;
use crate::outcome::{AppSummary, Outcome};

/// What an entry's outcome was made from; it stands first, so that it can be compared while the outcome is still read.
#[derive(Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) surroundings: String,
    pub(super) inputs: Inputs,
}

/// The outcome.
#[derive(Serialize, Deserialize)]
pub(super) struct Entry {
    files: Vec<WireFile>,
    diagnostics: Vec<WireDiagnostic>,
    phases: Vec<WirePhase>,
    /// Apps, migrations, reported migrations, operations, analysed operations.
    counts: [usize; 5],
    settings: Option<String>,
    apps: Vec<WireApp>,
    assumed: Vec<String>,
    migrations: Vec<(String, String)>,
}

/// What an outcome was made from: digests by path.
#[derive(Serialize, Deserialize)]
pub(super) struct Inputs {
    /// Relative to the project root.
    pub(super) files: BTreeMap<String, String>,
    /// Folders of the project, relative to its root.
    pub(super) folders: BTreeMap<String, String>,
    /// Relative to the packages outside of the project.
    pub(super) outside: BTreeMap<String, String>,
    pub(super) listings: BTreeMap<String, String>,
}

/// A file that a finding points into.
#[derive(Serialize, Deserialize)]
struct WireFile {
    path: String,
    /// `None`: as it is on disk.
    text: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct WireDiagnostic {
    code: String,
    severity: u8,
    message: String,
    primary: WireLabel,
    related: Vec<WireLabel>,
    notes: Vec<WireNote>,
    fix: Option<WireFix>,
    app: Option<String>,
    migration: Option<String>,
    operation: Option<usize>,
    statement: Option<String>,
    tables: Vec<String>,
    things: Vec<String>,
    suppressed: Option<(u8, Option<String>)>,
}

/// The file's number, the span, the message.
#[derive(Serialize, Deserialize)]
struct WireLabel(usize, u32, u32, String);

#[derive(Serialize, Deserialize)]
enum WireNote {
    Fact(String),
    Help(String),
    Code(String, String, String),
}

#[derive(Serialize, Deserialize)]
struct WireFix {
    title: String,
    applicability: u8,
    files: Vec<WireFixFile>,
}

#[derive(Serialize, Deserialize)]
enum WireFixFile {
    Change(usize, Vec<(u32, u32, String)>),
    Create(String, String),
}

#[derive(Serialize, Deserialize)]
struct WirePhase {
    app: String,
    name: String,
    path: String,
    phase: u8,
    reasons: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct WireApp(String, String, u8, usize);

const SEVERITIES: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Error];
const PHASES: [Phase; 3] = [Phase::Before, Phase::After, Phase::Window];
const ORIGINS: [MigrationOrigin; 3] =
    [MigrationOrigin::Project, MigrationOrigin::Environment, MigrationOrigin::Builtin];
const APPLICABILITIES: [Applicability; 3] = [Applicability::Safe, Applicability::Unsafe, Applicability::DisplayOnly];
const SUPPRESSIONS: [SuppressionKind; 4] =
    [SuppressionKind::Comment, SuppressionKind::File, SuppressionKind::Baseline, SuppressionKind::Configuration];

/// What a note's code is written in.
const LANGUAGES: [&str; 4] = ["python", "sql", "shell", "toml"];

/// The number that stands for a value; one that is not in the list is read back as damaged.
fn number<T: PartialEq>(all: &[T], value: &T) -> u8 {
    all.iter().position(|one| one == value).and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
}

fn value<T: Copy>(all: &[T], number: u8) -> Option<T> {
    all.get(usize::from(number)).copied()
}

/// Numbers the files that findings point into.
struct Numbered<'a> {
    files: Vec<WireFile>,
    known: BTreeMap<(Arc<str>, Option<Arc<str>>), usize>,
    on_disk: &'a BTreeMap<Arc<str>, Text>,
}

impl Numbered<'_> {
    fn number(&mut self, file: &SourceFile) -> usize {
        let same = self.on_disk.get(file.path()).is_some_and(|text| text.file == *file);
        let text = (!same).then(|| Arc::from(file.text()));
        let key = (file.path_arc(), text);
        if let Some(number) = self.known.get(&key) {
            return *number;
        }
        self.files.push(WireFile { path: key.0.to_string(), text: key.1.as_deref().map(str::to_owned) });
        self.known.insert(key, self.files.len() - 1);
        self.files.len() - 1
    }

    fn label(&mut self, label: &Label) -> WireLabel {
        WireLabel(self.number(&label.file), label.span.start, label.span.end, label.message.clone())
    }

    fn diagnostic(&mut self, diagnostic: &Diagnostic) -> WireDiagnostic {
        let Diagnostic { code, severity, message, primary, related, notes, fix, subject, suppressed } = diagnostic;
        let Subject { app, migration, operation, statement, tables, things } = subject;
        WireDiagnostic {
            code: code.code.to_owned(),
            severity: number(&SEVERITIES, severity),
            message: message.clone(),
            primary: self.label(primary),
            related: related.iter().map(|label| self.label(label)).collect(),
            notes: notes.iter().map(note).collect(),
            fix: fix.as_ref().map(|fix| WireFix {
                title: fix.title.clone(),
                applicability: number(&APPLICABILITIES, &fix.applicability),
                files: fix
                    .files
                    .iter()
                    .map(|file| match file {
                        FixFile::Change { file, edits } => WireFixFile::Change(
                            self.number(file),
                            edits
                                .iter()
                                .map(|edit| (edit.span.start, edit.span.end, edit.replacement.clone()))
                                .collect(),
                        ),
                        FixFile::Create { path, text } => WireFixFile::Create(path.to_string(), text.clone()),
                    })
                    .collect(),
            }),
            app: owned(app.as_ref()),
            migration: owned(migration.as_ref()),
            operation: *operation,
            statement: owned(statement.as_ref()),
            tables: tables.iter().map(ToString::to_string).collect(),
            things: things.iter().map(ToString::to_string).collect(),
            suppressed: suppressed.as_ref().map(|by| (number(&SUPPRESSIONS, &by.kind), by.reason.clone())),
        }
    }
}

fn owned(text: Option<&Arc<str>>) -> Option<String> {
    text.map(ToString::to_string)
}

fn note(note: &Note) -> WireNote {
    match note {
        Note::Fact(text) => WireNote::Fact(text.clone()),
        Note::Help(text) => WireNote::Help(text.clone()),
        Note::Code { title, language, text } => WireNote::Code(title.clone(), (*language).to_owned(), text.clone()),
    }
}

impl Entry {
    /// `on_disk` holds the project's files as they were read.
    pub(super) fn new(outcome: &Outcome, on_disk: &BTreeMap<Arc<str>, Text>) -> Self {
        let Outcome { diagnostics, phases, counts, settings, apps, assumed, migrations } = outcome;
        let mut numbered = Numbered { files: Vec::new(), known: BTreeMap::new(), on_disk };
        let diagnostics = diagnostics.iter().map(|diagnostic| numbered.diagnostic(diagnostic)).collect();
        let Counts { apps: of_apps, migrations: of_migrations, reported, operations, analysed } = *counts;
        Self {
            files: numbered.files,
            diagnostics,
            phases: phases
                .iter()
                .map(|phase| WirePhase {
                    app: phase.key.app.to_string(),
                    name: phase.key.name.to_string(),
                    path: phase.path.clone(),
                    phase: number(&PHASES, &phase.phase),
                    reasons: phase.reasons.clone(),
                })
                .collect(),
            counts: [of_apps, of_migrations, reported, operations, analysed],
            settings: settings.clone(),
            apps: apps
                .iter()
                .map(|app| {
                    let origin = number(&ORIGINS, &app.origin);
                    WireApp(app.label.to_string(), app.folder.to_string(), origin, app.migrations)
                })
                .collect(),
            assumed: assumed.clone(),
            migrations: migrations.iter().map(|key| (key.app.to_string(), key.name.to_string())).collect(),
        }
    }

    /// The outcome; `None` where the entry says something that cannot be.
    pub(super) fn outcome(self, texts: &BTreeMap<String, Text>) -> Option<Outcome> {
        let files: Vec<SourceFile> = self
            .files
            .into_iter()
            .map(|file| match file.text {
                Some(text) => Some(SourceFile::new(file.path, text)),
                None => texts.get(&*file.path).map(|text| text.file.clone()),
            })
            .collect::<Option<_>>()?;
        let mut codes: BTreeMap<String, Code> = BTreeMap::new();
        let diagnostics = self
            .diagnostics
            .into_iter()
            .map(|diagnostic| {
                let known = codes.get(&diagnostic.code).copied();
                let code = known.or_else(|| find_rule(&diagnostic.code).map(|rule| rule.page.code))?;
                codes.entry(diagnostic.code.clone()).or_insert(code);
                diagnostic.back(code, &files)
            })
            .collect::<Option<_>>()?;
        let [apps, migrations, reported, operations, analysed] = self.counts;
        Some(Outcome {
            diagnostics,
            phases: self
                .phases
                .into_iter()
                .map(|phase| {
                    Some(MigrationPhase {
                        key: MigrationKey::new(phase.app, phase.name),
                        path: phase.path,
                        phase: value(&PHASES, phase.phase)?,
                        reasons: phase.reasons,
                    })
                })
                .collect::<Option<_>>()?,
            counts: Counts { apps, migrations, reported, operations, analysed },
            settings: self.settings,
            apps: self
                .apps
                .into_iter()
                .map(|WireApp(label, folder, origin, migrations)| {
                    let origin = value(&ORIGINS, origin)?;
                    Some(AppSummary { label: label.into(), folder: folder.into(), origin, migrations })
                })
                .collect::<Option<_>>()?,
            assumed: self.assumed,
            migrations: self.migrations.into_iter().map(|(app, name)| MigrationKey::new(app, name)).collect(),
        })
    }
}

impl WireLabel {
    fn back(self, files: &[SourceFile]) -> Option<Label> {
        let Self(file, start, end, message) = self;
        Some(Label { file: files.get(file)?.clone(), span: Span::new(start, end), message })
    }
}

impl WireNote {
    fn back(self) -> Option<Note> {
        Some(match self {
            Self::Fact(text) => Note::Fact(text),
            Self::Help(text) => Note::Help(text),
            Self::Code(title, language, text) => {
                let language = LANGUAGES.into_iter().find(|one| *one == language)?;
                Note::Code { title, language, text }
            }
        })
    }
}

impl WireDiagnostic {
    fn back(self, code: Code, files: &[SourceFile]) -> Option<Diagnostic> {
        let fix = match self.fix {
            None => None,
            Some(fix) => Some(Fix {
                title: fix.title,
                applicability: value(&APPLICABILITIES, fix.applicability)?,
                files: fix
                    .files
                    .into_iter()
                    .map(|file| {
                        Some(match file {
                            WireFixFile::Change(file, edits) => FixFile::Change {
                                file: files.get(file)?.clone(),
                                edits: edits
                                    .into_iter()
                                    .map(|(start, end, text)| Edit { span: Span::new(start, end), replacement: text })
                                    .collect(),
                            },
                            WireFixFile::Create(path, text) => FixFile::Create { path: path.into(), text },
                        })
                    })
                    .collect::<Option<_>>()?,
            }),
        };
        let suppressed = match self.suppressed {
            None => None,
            Some((kind, reason)) => Some(Suppressed { kind: value(&SUPPRESSIONS, kind)?, reason }),
        };
        Some(Diagnostic {
            code,
            severity: value(&SEVERITIES, self.severity)?,
            message: self.message,
            primary: self.primary.back(files)?,
            related: self.related.into_iter().map(|label| label.back(files)).collect::<Option<_>>()?,
            notes: self.notes.into_iter().map(WireNote::back).collect::<Option<_>>()?,
            fix,
            subject: Subject {
                app: self.app.map(Arc::from),
                migration: self.migration.map(Arc::from),
                operation: self.operation,
                statement: self.statement.map(Arc::from),
                tables: self.tables.into_iter().map(Arc::from).collect(),
                things: self.things.into_iter().map(Arc::from).collect(),
            },
            suppressed,
        })
    }
}

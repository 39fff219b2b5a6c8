//! What is wrong with the project as a whole, as findings: the graph, files that cannot be read, what is assumed.

use zdm_django::problem::{Problem, ProblemKind};
use zdm_source::{Diagnostic, Label, Severity, SourceFile, Span};

use crate::config::Config;
use crate::registry::find_rule;

/// The rule that speaks of a kind of problem; `None` where a rule of the trace does.
const fn rule_of(kind: ProblemKind) -> Option<&'static str> {
    Some(match kind {
        ProblemKind::ConflictingLeaves => "ZDM601",
        ProblemKind::MissingDependency => "ZDM602",
        // It is there, but its target cannot be told.
        ProblemKind::UnknownDependency => "ZDM901",
        ProblemKind::CircularDependency => "ZDM603",
        ProblemKind::SameNumber => "ZDM604",
        ProblemKind::DuplicateLabel | ProblemKind::DuplicateMigration => "ZDM605",
        ProblemKind::BadReplacement => "ZDM606",
        ProblemKind::UnreadableFile
        | ProblemKind::SyntaxError
        | ProblemKind::NoMigrationClass
        | ProblemKind::NotAPackage => "ZDM905",
        ProblemKind::ExternalAppAssumed => "ZDM906",
        ProblemKind::SettingsNotFound | ProblemKind::SettingNotRead | ProblemKind::AppNotFound => "ZDM907",
        ProblemKind::NotAnalysed => return None,
    })
}

/// The findings about problems that concern the reported files.
pub fn check(problems: &[Problem], config: &Config, out: &mut Vec<Diagnostic>) {
    for problem in problems {
        let Some(rule) = rule_of(problem.kind).and_then(find_rule) else { continue };
        let (file, span) = match &problem.place {
            Some((file, span)) => (file.clone(), *span),
            None => (SourceFile::new("", ""), Span::default()),
        };
        // What has no place concerns every change, if nothing works because of it.
        let everywhere = problem.place.is_none() && rule.page.severity == Severity::Error;
        let concerned = everywhere
            || config.only_paths.as_ref().is_none_or(|only| {
                only.contains(file.path()) || problem.related.iter().any(|(file, ..)| only.contains(file.path()))
            });
        if !concerned || !config.is_enabled(&rule.page, file.path()) {
            continue;
        }
        let severity = config.severity_of(&rule.page, file.path());
        let mut diagnostic =
            Diagnostic::new(rule.page.code, severity, problem.message.clone(), Label::new(&file, span, ""));
        for (file, span, message) in &problem.related {
            diagnostic = diagnostic.with_related(Label::new(file, *span, message.clone()));
        }
        if !problem.help.is_empty() {
            diagnostic = diagnostic.with_help(problem.help.clone());
        }
        out.push(diagnostic);
    }
}

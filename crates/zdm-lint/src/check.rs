//! `zdm-lint check`: the findings of a project.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::process::ExitCode;

use zdm_django::{DjangoVersion, MigrationKey};
use zdm_linter::RULES;
use zdm_report::{Base, MigrationPhase, PathPrefixes, Report, RuleInfo, Summary};
use zdm_source::Severity;
use zdm_workspace::analysis::selectors;
use zdm_workspace::config::{FailOn, Level, RuleSettings};
use zdm_workspace::discover::ConfigChoice;
use zdm_workspace::{Analysis, Request, Workspace};

use crate::adopt;
use crate::args::{CheckArgs, Format, ProjectArgs};
use crate::terminal::{self, Failure, print, say};
use crate::trace_command::parse_postgres;
use crate::{CLEAN, FINDINGS};

pub(crate) fn run(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let outputs = outputs(args)?;
    let fail_on = args.fail_on.as_deref().map(parse_fail_on).transpose()?;
    let request = request(args)?;
    // The process ends with the command: giving back what it learned piece by piece would only take time.
    let mut workspace = ManuallyDrop::new(Workspace::load(&request)?);
    unknown_names(args, &workspace)?;
    let mut analysis = ManuallyDrop::new(workspace.analyse(&request)?);
    if args.verbose {
        tell(&workspace, &analysis);
    }
    if analysis.counts.migrations == 0 && !args.allow_empty {
        return Err(nothing_found(&workspace));
    }
    if args.write_baseline {
        return adopt::write_baseline(args, &workspace, &mut analysis);
    }
    adopt::apply_baseline(args, &workspace, &mut analysis)?;
    if args.diff {
        return Ok(adopt::diff(args, &analysis));
    }
    if (args.fix || args.unsafe_fixes)
        && let Some(fixed) = adopt::fix(args, &request, &workspace.place.root, &analysis)?
    {
        (workspace, analysis) = (ManuallyDrop::new(fixed.0), ManuallyDrop::new(fixed.1));
    }
    let fail_on = fail_on.or(workspace.config.fail_on).unwrap_or(FailOn::At(Severity::Warning)).severity();
    let rules = rule_infos();
    let report = report(&workspace, &analysis, &rules, fail_on, args.quiet);
    for (format, target) in &outputs {
        let colour = target.is_none() && terminal::coloured(args.color);
        let text = render(&report, *format, colour);
        match target {
            None => {
                print(&text);
            }
            Some(path) => std::fs::write(path, &text).map_err(|error| {
                Failure::new(format!("`{}` cannot be written: {error}", path.display()))
                    .with_help("check that the folder exists and is writable")
            })?,
        }
    }
    if args.statistics {
        say(&statistics(&analysis));
    }
    let failing = analysis
        .diagnostics
        .iter()
        .any(|diagnostic| diagnostic.suppressed.is_none() && fail_on.is_some_and(|level| diagnostic.severity >= level));
    Ok(ExitCode::from(if failing { FINDINGS } else { CLEAN }))
}

/// The formats with their files; standard output is `None`, and serves one format only.
fn outputs(args: &CheckArgs) -> Result<Vec<(Format, Option<PathBuf>)>, Failure> {
    let formats = if args.format.is_empty() { vec![Format::Text] } else { args.format.clone() };
    if args.output.len() > formats.len() {
        return Err(
            Failure::new("more --output than --format").with_help("give each file its --format, in the same order")
        );
    }
    let targets = args.output.iter().map(|path| (path.as_os_str() != "-").then(|| path.clone()));
    let outputs: Vec<_> = formats.into_iter().zip(targets.chain(std::iter::repeat(None))).collect();
    if outputs.iter().filter(|(_, target)| target.is_none()).count() > 1 {
        return Err(Failure::new("several formats would go to standard output")
            .with_help("give all but one of them a file with --output, in the order of the --format options"));
    }
    Ok(outputs)
}

fn parse_fail_on(text: &str) -> Result<FailOn, Failure> {
    text.parse().map_err(|()| {
        Failure::new(format!("`{text}` is not a level")).with_help("--fail-on takes info, warning, error or never")
    })
}

/// What every command that reads a project asks for.
pub(crate) fn project_request(args: &ProjectArgs, paths: Vec<PathBuf>) -> Result<Request, Failure> {
    let current = std::env::current_dir()
        .map_err(|error| Failure::new(format!("the current directory cannot be read: {error}")))?;
    let config = match (&args.config, args.isolated) {
        (Some(path), _) => ConfigChoice::File(path.clone()),
        (None, true) => ConfigChoice::Isolated,
        (None, false) => ConfigChoice::Search,
    };
    Ok(Request {
        current,
        paths,
        config,
        postgres: args.postgres.as_deref().map(parse_postgres).transpose()?,
        django: args.django.as_deref().map(parse_django).transpose()?,
        variables: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        ..Request::default()
    })
}

fn request(args: &CheckArgs) -> Result<Request, Failure> {
    let mut request = project_request(&args.project, args.paths.clone())?;
    let select = |texts: &[String]| {
        selectors(texts).map_err(|(text, near)| {
            let failure = Failure::new(format!("there is no rule `{text}`"));
            match near {
                Some(near) => failure.with_help(format!("did you mean `{near}`? `zdm-lint rules` lists all")),
                None => failure.with_help("`zdm-lint rules` lists all"),
            }
        })
    };
    let mut severity = Vec::new();
    for setting in &args.severity {
        let wrong = || {
            Failure::new(format!("`--severity {setting}` is not of the form CODE=LEVEL"))
                .with_help("for example --severity ZDM101=error; levels are info, warning, error and off")
        };
        let (code, level) = setting.split_once('=').ok_or_else(wrong)?;
        let level: Level = level.trim().parse().map_err(|()| wrong())?;
        severity.extend(select(&[code.to_owned()])?.into_iter().map(|selector| (selector, level)));
    }
    request.rules = RuleSettings {
        select: if args.select.is_empty() { None } else { Some(select(&args.select)?) },
        extend_select: Vec::new(),
        ignore: select(&args.ignore)?,
        severity,
    };
    request.base.clone_from(&args.base);
    request.stats.clone_from(&args.stats);
    request.apps.clone_from(&args.app);
    for migration in &args.migration {
        let (app, name) = migration.split_once('.').ok_or_else(|| {
            Failure::new(format!("`{migration}` is not of the form APP.NAME"))
                .with_help("for example --migration shop.0003_add_index")
        })?;
        request.migrations.push(MigrationKey::new(app, name));
    }
    Ok(request)
}

pub(crate) fn parse_django(text: &str) -> Result<DjangoVersion, Failure> {
    text.parse::<DjangoVersion>()
        .ok()
        .filter(|version| (DjangoVersion::OLDEST..=DjangoVersion::NEWEST).contains(version))
        .ok_or_else(|| {
            Failure::new(format!("`{text}` is not a supported Django version")).with_help(format!(
                "{} to {}, for example 5.2",
                DjangoVersion::OLDEST,
                DjangoVersion::NEWEST
            ))
        })
}

/// Apps and migrations that were named and are not there.
fn unknown_names(args: &CheckArgs, workspace: &Workspace) -> Result<(), Failure> {
    let project = &workspace.project;
    for app in &args.app {
        if !project.migrations.iter().any(|migration| *migration.key.app == **app) {
            let labels = project.apps.iter().map(|app| &*app.label);
            let failure = Failure::new(format!("no app `{app}` with migrations was found"));
            return Err(match zdm_workspace::config::nearest(app, labels) {
                Some(near) => failure.with_help(format!("did you mean `{near}`?")),
                None => failure.with_help("`zdm-lint -v` tells which apps were found"),
            });
        }
    }
    for name in &args.migration {
        let known = project.migrations.iter().any(|migration| migration.key.to_string() == *name);
        if !known {
            let names: Vec<String> = project.migrations.iter().map(|migration| migration.key.to_string()).collect();
            let failure = Failure::new(format!("there is no migration `{name}`"));
            return Err(match zdm_workspace::config::nearest(name, names.iter().map(String::as_str)) {
                Some(near) => failure.with_help(format!("did you mean `{near}`?")),
                None => failure,
            });
        }
    }
    Ok(())
}

pub(crate) fn nothing_found(workspace: &Workspace) -> Failure {
    let root = workspace.place.root.display();
    let skipped = workspace.walk.skipped.len();
    let left_out = if skipped > 0 { format!("; {skipped} folders were left out") } else { String::new() };
    Failure::new(format!(
        "no migration was found below `{root}` ({} Python files{left_out})",
        workspace.walk.paths.len()
    ))
    .with_help("name the project's folder: zdm-lint PATH; or pass --allow-empty if that is expected")
}

pub(crate) fn rule_infos() -> Vec<RuleInfo<'static>> {
    RULES
        .iter()
        .map(|rule| RuleInfo {
            code: rule.page.code.code,
            name: rule.page.code.name,
            summary: rule.page.summary,
            severity: rule.page.severity,
            page_markdown: rule.page.body,
            url: "",
        })
        .collect()
}

fn report<'a>(
    workspace: &Workspace,
    analysis: &'a Analysis,
    rules: &'a [RuleInfo<'a>],
    fail_on: Option<Severity>,
    quiet: bool,
) -> Report<'a> {
    let counts = &analysis.counts;
    Report {
        tool_version: env!("CARGO_PKG_VERSION"),
        postgres: workspace.postgres.version.to_string(),
        django: workspace.django.version.to_string(),
        base: analysis
            .changes
            .as_ref()
            .map(|changes| Base { reference: changes.reference.clone(), merge_base: changes.merge_base().to_owned() }),
        diagnostics: &analysis.diagnostics,
        rules,
        summary: Summary {
            migrations: counts.migrations,
            reported: counts.reported,
            operations: counts.operations,
            analysed: counts.analysed,
            apps: counts.apps,
        },
        phases: analysis
            .phases
            .iter()
            .map(|phase| MigrationPhase {
                app: phase.key.app.to_string(),
                migration: phase.key.name.to_string(),
                path: phase.path.clone(),
                phase: phase.phase,
                reasons: phase.reasons.clone(),
            })
            .collect(),
        notes: if quiet { Vec::new() } else { workspace.notes() },
        fail_on,
        paths: PathPrefixes {
            display: workspace.place.display_prefix.clone(),
            repository: workspace.place.repository_prefix.clone(),
        },
    }
}

fn render(report: &Report<'_>, format: Format, colour: bool) -> String {
    match format {
        Format::Text => zdm_report::text::render(
            report,
            zdm_report::text::TextOptions { color: colour, width: terminal::width(), unicode: true },
        ),
        Format::Concise => zdm_report::concise::render(report),
        Format::Json => zdm_report::json::render(report),
        Format::Sarif => zdm_report::sarif::render(report),
        Format::Github => zdm_report::github::render(report),
        Format::Gitlab => zdm_report::gitlab::render(report),
        Format::Junit => zdm_report::junit::render(report),
        Format::Markdown => zdm_report::markdown::render(report, zdm_report::markdown::MarkdownOptions::default()),
    }
}

/// What was found where, on standard error.
fn tell(workspace: &Workspace, analysis: &Analysis) {
    say(&format!("project: {}", workspace.place.root.display()));
    match &workspace.place.config {
        Some(path) => say(&format!("configuration: {}", path.display())),
        None => say("configuration: none"),
    }
    match workspace.project.settings.module() {
        Some(module) => say(&format!("settings: {module}")),
        None => say("settings: none found"),
    }
    say(&format!("PostgreSQL {}, Django {}", workspace.postgres.version, workspace.django.version));
    for note in workspace.notes() {
        say(&format!("  {note}"));
    }
    match &workspace.packages {
        Some(path) => say(&format!("packages: {}", path.display())),
        None => say("packages: no virtual environment found; apps outside of the project are assumed"),
    }
    for app in &workspace.project.apps {
        let count = workspace.project.migrations.iter().filter(|migration| migration.key.app == app.label).count();
        say(&format!("app {}: {count} migrations in {}", app.label, app.folder));
    }
    for (path, reason) in &workspace.walk.skipped {
        say(&format!("left out: {path} ({reason:?})"));
    }
    let counts = &analysis.counts;
    say(&format!(
        "{} migrations in {} apps, {} of {} operations analysed",
        counts.migrations, counts.apps, counts.analysed, counts.operations
    ));
}

fn statistics(analysis: &Analysis) -> String {
    let mut by_code: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for diagnostic in analysis.diagnostics.iter().filter(|diagnostic| diagnostic.suppressed.is_none()) {
        by_code.entry(diagnostic.code.code).or_insert((0, diagnostic.code.name)).0 += 1;
    }
    let mut text = String::new();
    for (code, (count, name)) in by_code {
        let _ = writeln!(text, "{count:>6}  {code} {name}");
    }
    text.trim_end().to_owned()
}

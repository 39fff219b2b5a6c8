//! `zdm-lint check`: the findings of a project.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

use zdm_django::migration::MigrationOrigin;
use zdm_django::{DjangoVersion, MigrationKey};
use zdm_linter::{Page, RULES};
use zdm_report::{Base, MigrationPhase, PathPrefixes, Report, RuleInfo, Summary};
use zdm_source::Severity;
use zdm_workspace::analysis::selectors;
use zdm_workspace::config::{FailOn, Level, RuleSettings};
use zdm_workspace::discover::ConfigChoice;
use zdm_workspace::walk::Walk;
use zdm_workspace::write::write_file;
use zdm_workspace::{Cache, Checked, Origin, Outcome, Place, Request, Seen, check, recall};

use crate::adopt;
use crate::args::{CheckArgs, Format, ProjectArgs};
use crate::progress::Shown;
use crate::terminal::{self, Failure, print, say};
use crate::trace_command::parse_postgres;
use crate::{CLEAN, FINDINGS};

pub(crate) fn run(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let outputs = outputs(args)?;
    let fail_on = args.fail_on.as_deref().map(parse_fail_on).transpose()?;
    let request = request(args)?;
    let cache = if args.no_cache { None } else { Cache::of(&request.variables) };
    let shown = Shown::start(args.quiet);
    let view = view(args, &outputs);
    let mut checked = match &view {
        None => check(&request, cache.as_ref(), shown.progress())?,
        Some(view) => match recall(&request, cache.as_ref(), view, shown.progress())? {
            Seen::Checked(checked) => *checked,
            Seen::Shown(kept) => match unpacked(&kept, outputs.len()) {
                Some((failing, texts)) => {
                    for (text, (_, target)) in texts.iter().zip(&outputs) {
                        give(text, target.as_deref(), &shown)?;
                    }
                    shown.clear();
                    return Ok(ExitCode::from(if failing { FINDINGS } else { CLEAN }));
                }
                None => check(&request, cache.as_ref(), shown.progress())?,
            },
        },
    };
    unknown_names(args, &checked.outcome)?;
    if args.verbose {
        shown.clear();
        tell(&checked);
    }
    if checked.outcome.counts.migrations == 0 && !args.allow_empty {
        return Err(nothing_found(&checked.ground.place, &checked.ground.walk));
    }
    if args.write_baseline {
        return adopt::write_baseline(args, &mut checked);
    }
    adopt::apply_baseline(args, &mut checked)?;
    if args.diff {
        shown.clear();
        return Ok(adopt::diff(args, &checked.outcome));
    }
    if (args.fix || args.unsafe_fixes)
        && let Some(fixed) = adopt::fix(args, &request, &checked)?
    {
        checked = fixed;
    }
    let fail_on = fail_on.or(checked.ground.config.fail_on).unwrap_or(FailOn::At(Severity::Warning)).severity();
    let rules = rule_infos();
    let report = report(&checked, &rules, fail_on, args.quiet);
    let mut texts = Vec::new();
    for (format, target) in &outputs {
        let colour = target.is_none() && terminal::coloured(args.color);
        let text = render(&report, *format, colour);
        give(&text, target.as_deref(), &shown)?;
        texts.push(text);
    }
    shown.clear();
    if args.statistics {
        say(&statistics(&checked.outcome));
    }
    let failing =
        checked.outcome.diagnostics.iter().any(|diagnostic| {
            diagnostic.suppressed.is_none() && fail_on.is_some_and(|level| diagnostic.severity >= level)
        });
    // What a baseline covers is in a file of its own, which the cache does not compare.
    if let Some(view) = view.filter(|_| checked.ground.config.baseline.is_none()) {
        checked.keep(&view, &packed(failing, &texts));
    }
    zdm_workspace::parallel::leave(checked);
    Ok(ExitCode::from(if failing { FINDINGS } else { CLEAN }))
}

/// The name of what this command shows of an outcome: all that its text depends on beside the outcome. `None` where the
/// command tells or does something else as well.
fn view(args: &CheckArgs, outputs: &[(Format, Option<PathBuf>)]) -> Option<String> {
    let more = args.verbose
        || args.statistics
        || args.write_baseline
        || args.baseline.is_some()
        || args.fix
        || args.unsafe_fixes
        || args.diff;
    let formats: Vec<(Format, bool)> = outputs.iter().map(|(format, target)| (*format, target.is_none())).collect();
    let colour = terminal::coloured(args.color);
    (!more).then(|| format!("{:?}", (formats, colour, terminal::width(), &args.fail_on, args.quiet)))
}

/// Whether the exit code says findings, and the texts, one behind the other.
fn packed(failing: bool, texts: &[String]) -> Vec<u8> {
    let lengths: Vec<usize> = texts.iter().map(String::len).collect();
    let head = serde_json::to_string(&(failing, lengths)).unwrap_or_default();
    format!("{head}\n{}", texts.concat()).into_bytes()
}

fn unpacked(bytes: &[u8], count: usize) -> Option<(bool, Vec<&str>)> {
    let (head, mut rest) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
    let (failing, lengths): (bool, Vec<usize>) = serde_json::from_str(head).ok()?;
    let mut texts = Vec::new();
    for length in lengths {
        let (text, others) = rest.split_at_checked(length)?;
        texts.push(text);
        rest = others;
    }
    (texts.len() == count && rest.is_empty()).then_some((failing, texts))
}

/// Writes a report to its file, or to standard output.
fn give(text: &str, target: Option<&Path>, shown: &Shown) -> Result<(), Failure> {
    match target {
        None => {
            shown.clear();
            print(text);
            Ok(())
        }
        Some(path) => write_file(path, text)
            .map_err(|error| Failure::new(error.to_string()).with_help("check that the folder is writable")),
    }
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
            let failure = if text.trim().is_empty() {
                Failure::new("an empty text selects no rule")
            } else {
                Failure::new(format!("there is no rule `{text}`"))
            };
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
fn unknown_names(args: &CheckArgs, outcome: &Outcome) -> Result<(), Failure> {
    for app in &args.app {
        if !outcome.migrations.iter().any(|key| *key.app == **app) {
            let labels = outcome.apps.iter().map(|app| &*app.label);
            let failure = Failure::new(format!("no app `{app}` with migrations was found"));
            return Err(match zdm_workspace::config::nearest(app, labels) {
                Some(near) => failure.with_help(format!("did you mean `{near}`?")),
                None => failure.with_help("`zdm-lint -v` tells which apps were found"),
            });
        }
    }
    for name in &args.migration {
        let names: Vec<String> = outcome.migrations.iter().map(MigrationKey::to_string).collect();
        if !names.contains(name) {
            let failure = Failure::new(format!("there is no migration `{name}`"));
            return Err(match zdm_workspace::config::nearest(name, names.iter().map(String::as_str)) {
                Some(near) => failure.with_help(format!("did you mean `{near}`?")),
                None => failure,
            });
        }
    }
    Ok(())
}

pub(crate) fn nothing_found(place: &Place, walk: &Walk) -> Failure {
    let root = place.root.display();
    let skipped = walk.skipped.len();
    let left_out = if skipped > 0 { format!("; {skipped} folders were left out") } else { String::new() };
    Failure::new(format!("no migration was found below `{root}` ({} Python files{left_out})", walk.paths.len()))
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
            url: rule_url(&rule.page),
        })
        .collect()
}

/// Where the rule's page of this version stands.
fn rule_url(page: &Page) -> &'static str {
    static URLS: OnceLock<BTreeMap<&'static str, String>> = OnceLock::new();
    let urls = URLS.get_or_init(|| {
        let folder = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/v", env!("CARGO_PKG_VERSION"), "/rules/");
        RULES.iter().map(|rule| (rule.page.code.code, format!("{folder}{}", rule.page.file_name()))).collect()
    });
    urls.get(page.code.code).map_or("", String::as_str)
}

fn report<'a>(checked: &'a Checked, rules: &'a [RuleInfo<'a>], fail_on: Option<Severity>, quiet: bool) -> Report<'a> {
    let Checked { ground, outcome, changes, .. } = checked;
    let counts = &outcome.counts;
    let mut notes = if quiet { Vec::new() } else { ground.notes() };
    // What could not be compared with the base is part of the answer.
    notes.extend(changes.iter().flat_map(|changes| changes.notes.iter().cloned()));
    Report {
        tool_version: env!("CARGO_PKG_VERSION"),
        postgres: ground.postgres.version.to_string(),
        django: ground.django.version.to_string(),
        base: changes
            .as_ref()
            .map(|changes| Base { reference: changes.reference.clone(), merge_base: changes.merge_base().to_owned() }),
        diagnostics: &outcome.diagnostics,
        rules,
        summary: Summary {
            migrations: counts.migrations,
            reported: counts.reported,
            operations: counts.operations,
            analysed: counts.analysed,
            apps: counts.apps,
        },
        phases: outcome
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
        notes,
        fail_on,
        paths: PathPrefixes {
            display: ground.place.display_prefix.clone(),
            repository: ground.place.repository_prefix.clone(),
        },
    }
}

fn render(report: &Report<'_>, format: Format, colour: bool) -> String {
    match format {
        Format::Text => zdm_report::text::render_with(
            report,
            zdm_report::text::TextOptions { color: colour, width: terminal::width(), unicode: true },
            &|count, work| zdm_workspace::parallel::for_each(count, work),
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
fn tell(checked: &Checked) {
    let Checked { ground, outcome, changes, cache, .. } = checked;
    say(&format!("project: {}", ground.place.root.display()));
    match &ground.place.config {
        Some(path) => say(&format!("configuration: {}", path.display())),
        None => say("configuration: none"),
    }
    match &outcome.settings {
        Some(module) => say(&format!("settings: {module}")),
        None => say("settings: none found"),
    }
    for (product, version, why) in [
        ("PostgreSQL", ground.postgres.version.to_string(), origin(&ground.postgres.origin)),
        ("Django", ground.django.version.to_string(), origin(&ground.django.origin)),
    ] {
        say(&format!("{product}: {version} ({why})"));
    }
    match &ground.packages {
        Some(path) => say(&format!("packages: {}", path.display())),
        None => say("packages: no virtual environment found; apps outside of the project are assumed"),
    }
    if let Some(changes) = changes {
        let found_in = changes.found_in.as_ref().map(|place| format!(", from {place}")).unwrap_or_default();
        say(&format!("base: {}{found_in}", changes.reference));
        for commit in &changes.merge_bases {
            say(&format!("merge-base: {commit}"));
        }
        say(&format!("changed: {} files below the project", changes.files.len()));
        for note in &changes.notes {
            say(&format!("  {note}"));
        }
    }
    for app in &outcome.apps {
        let place = match app.origin {
            MigrationOrigin::Project => &*app.folder,
            MigrationOrigin::Environment => &format!("{} of the packages", app.folder),
            MigrationOrigin::Builtin => "Django, as zdm knows it",
        };
        let noun = if app.migrations == 1 { "migration" } else { "migrations" };
        say(&format!("app {}: {} {noun} in {place}", app.label, app.migrations));
    }
    for sentence in &outcome.assumed {
        say(&format!("assumed: {sentence}"));
    }
    for (path, reason) in &ground.walk.skipped {
        say(&format!("left out: {path} ({reason})"));
    }
    let counts = &outcome.counts;
    say(&format!(
        "replayed: {} migrations in {} apps, {} of {} operations analysed",
        counts.migrations, counts.apps, counts.analysed, counts.operations
    ));
    say(&format!("cache: {cache}"));
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::CommandLine => "the command line".to_owned(),
        Origin::Configuration => "the configuration".to_owned(),
        Origin::Found { file, text } => format!("`{text}` in {file}"),
        Origin::Clamped { file, text } => format!("`{text}` in {file} is not supported"),
        Origin::Assumed => "assumed, the newest".to_owned(),
    }
}

fn statistics(outcome: &Outcome) -> String {
    let mut by_code: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for diagnostic in outcome.diagnostics.iter().filter(|diagnostic| diagnostic.suppressed.is_none()) {
        by_code.entry(diagnostic.code.code).or_insert((0, diagnostic.code.name)).0 += 1;
    }
    let mut text = String::new();
    for (code, (count, name)) in by_code {
        let _ = writeln!(text, "{count:>6}  {code} {name}");
    }
    text.trim_end().to_owned()
}

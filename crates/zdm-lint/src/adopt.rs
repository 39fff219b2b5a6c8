//! What changes files: recording a baseline, applying fixes. And the baseline's use.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use zdm_report::baseline::{Baseline, Entry};
use zdm_report::patch::{self, LeftOut};
use zdm_source::Applicability;
use zdm_workspace::write::{NewText, write, write_file};
use zdm_workspace::{Analysis, Request, Workspace};

use crate::args::CheckArgs;
use crate::terminal::{Failure, print, say};
use crate::{CLEAN, FINDINGS};

const DEFAULT: &str = "zdm-baseline.json";

/// The baseline's file: the command line's, else the configuration's.
fn file(args: &CheckArgs, workspace: &Workspace) -> Option<PathBuf> {
    let configured = || workspace.config.baseline.as_ref().map(|name| workspace.place.root.join(name));
    args.baseline.clone().or_else(configured)
}

/// Records every finding of the project.
pub(crate) fn write_baseline(
    args: &CheckArgs,
    workspace: &Workspace,
    analysis: &mut Analysis,
) -> Result<ExitCode, Failure> {
    if narrowed(args, workspace) {
        return Err(Failure::new("a baseline of a part of the project would forget the rest of it")
            .with_help("run --write-baseline without paths, --base, --app, --migration, --select and --ignore"));
    }
    let path = file(args, workspace).unwrap_or_else(|| workspace.place.root.join(DEFAULT));
    // Findings that the former baseline covers are recorded again, and are told from those that a comment covers.
    if path.is_file() {
        read(&path)?.apply(&mut analysis.diagnostics);
    }
    let baseline = Baseline::of(&analysis.diagnostics);
    write_file(&path, &baseline.render())?;
    let shown = workspace.place.shown(&path);
    say(&format!("zdm-lint: {} findings recorded in {shown}", baseline.len()));
    if args.baseline.is_none() && workspace.config.baseline.is_none() {
        say(&format!("  help: set `baseline = \"{DEFAULT}\"` in the configuration, so that every run uses it"));
    }
    Ok(ExitCode::from(CLEAN))
}

/// Takes the recorded findings out of what counts.
pub(crate) fn apply_baseline(args: &CheckArgs, workspace: &Workspace, analysis: &mut Analysis) -> Result<(), Failure> {
    let Some(path) = file(args, workspace) else { return Ok(()) };
    let stale = read(&path)?.apply(&mut analysis.diagnostics);
    if !stale.is_empty() && !args.quiet && !narrowed(args, workspace) {
        tell_stale(&stale, &workspace.place.shown(&path));
    }
    Ok(())
}

fn tell_stale(stale: &[Entry], shown: &str) {
    let count = stale.len();
    let (noun, verb) = if count == 1 { ("entry", "has") } else { ("entries", "have") };
    say(&format!("zdm-lint: {count} {noun} of {shown} {verb} no finding any more; --write-baseline removes them"));
}

fn read(path: &Path) -> Result<Baseline, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(format!("the baseline `{shown}` cannot be read: {error}")).with_help("--write-baseline writes it")
    })?;
    Baseline::parse(&text)
        .map_err(|error| Failure::new(format!("`{shown}` is no baseline: {error}")).with_help(error.help))
}

fn narrowed(args: &CheckArgs, workspace: &Workspace) -> bool {
    !workspace.place.only.is_empty()
        || args.base.is_some()
        || !(args.app.is_empty() && args.migration.is_empty() && args.select.is_empty() && args.ignore.is_empty())
}

fn upto(args: &CheckArgs) -> Applicability {
    if args.unsafe_fixes { Applicability::Unsafe } else { Applicability::Safe }
}

/// Shows the fixes as a unified diff; exit 1 if there are any.
pub(crate) fn diff(args: &CheckArgs, analysis: &Analysis) -> ExitCode {
    let patch = patch::patch(&analysis.diagnostics, upto(args));
    let text = patch::unified(&patch);
    print(&text);
    tell_left_out(&patch.left_out);
    ExitCode::from(if patch.files.is_empty() { CLEAN } else { FINDINGS })
}

/// Applies the fixes and reads the project again, until nothing is left to apply; the new workspace if files changed.
pub(crate) fn fix(
    args: &CheckArgs,
    request: &Request,
    root: &Path,
    analysis: &Analysis,
) -> Result<Option<(Workspace, Analysis)>, Failure> {
    // Fixes that touch each other take turns; a rule whose fix does not remove its finding must not run for ever.
    const ROUNDS: usize = 10;
    let mut latest: Option<(Workspace, Analysis)> = None;
    let mut applied = 0;
    let mut left_out = Vec::new();
    for _ in 0..ROUNDS {
        let diagnostics = latest.as_ref().map_or(&analysis.diagnostics, |(_, analysis)| &analysis.diagnostics);
        let patch = patch::patch(diagnostics, upto(args));
        left_out = patch.left_out;
        if patch.files.is_empty() {
            break;
        }
        let texts: Vec<NewText<'_>> = patch
            .files
            .iter()
            .map(|file| NewText { path: &file.path, before: file.before.as_deref(), after: &file.after })
            .collect();
        write(root, &texts)?;
        applied += patch.applied;
        let workspace = Workspace::load(request)?;
        let mut analysis = workspace.analyse(request)?;
        apply_baseline(args, &workspace, &mut analysis)?;
        latest = Some((workspace, analysis));
    }
    say(&format!("zdm-lint: {applied} {} applied", if applied == 1 { "fix" } else { "fixes" }));
    tell_left_out(&left_out);
    Ok(latest)
}

fn tell_left_out(left_out: &[(usize, LeftOut)]) {
    for reason in [LeftOut::Unsafe, LeftOut::DisplayOnly, LeftOut::Overlap, LeftOut::Invalid] {
        let count = left_out.iter().filter(|(_, why)| *why == reason).count();
        if count > 0 {
            let noun = if count == 1 { "fix is" } else { "fixes are" };
            say(&format!("zdm-lint: {count} {noun} left out: {}", reason.as_str()));
        }
    }
}

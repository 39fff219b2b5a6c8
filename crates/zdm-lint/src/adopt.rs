//! What changes files: recording a baseline, applying fixes. And the baseline's use.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use zdm_report::baseline::{Baseline, Entry};
use zdm_report::patch::{self, LeftOut};
use zdm_source::Applicability;
use zdm_workspace::write::{NewText, write, write_file};
use zdm_workspace::{Checked, Ground, Outcome, Progress, Request, check};

use crate::args::CheckArgs;
use crate::terminal::{Failure, print, say};
use crate::{CLEAN, FINDINGS};

const DEFAULT: &str = "zdm-baseline.json";

/// The baseline's file: the command line's, else the configuration's.
fn file(args: &CheckArgs, ground: &Ground) -> Option<PathBuf> {
    let configured = || ground.config.baseline.as_ref().map(|name| ground.place.root.join(name));
    args.baseline.clone().or_else(configured)
}

/// Records every finding of the project.
pub(crate) fn write_baseline(args: &CheckArgs, checked: &mut Checked) -> Result<ExitCode, Failure> {
    let Checked { ground, outcome, .. } = checked;
    if narrowed(args, ground) {
        return Err(Failure::new("a baseline of a part of the project would forget the rest of it")
            .with_help("run --write-baseline without paths, --base, --app, --migration, --select and --ignore"));
    }
    let path = file(args, ground).unwrap_or_else(|| ground.place.root.join(DEFAULT));
    // Findings that the former baseline covers are recorded again, and are told from those that a comment covers.
    if path.is_file() {
        read(&path)?.apply(&mut outcome.diagnostics);
    }
    let baseline = Baseline::of(&outcome.diagnostics);
    write_file(&path, &baseline.render())?;
    let shown = ground.place.shown(&path);
    say(&format!("zdm-lint: {} findings recorded in {shown}", baseline.len()));
    if args.baseline.is_none() && ground.config.baseline.is_none() {
        say(&format!("  help: set `baseline = \"{DEFAULT}\"` in the configuration, so that every run uses it"));
    }
    Ok(ExitCode::from(CLEAN))
}

/// Takes the recorded findings out of what counts.
pub(crate) fn apply_baseline(args: &CheckArgs, checked: &mut Checked) -> Result<(), Failure> {
    let Some(path) = file(args, &checked.ground) else { return Ok(()) };
    let stale = read(&path)?.apply(&mut checked.outcome.diagnostics);
    if !stale.is_empty() && !args.quiet && !narrowed(args, &checked.ground) {
        tell_stale(&stale, &checked.ground.place.shown(&path));
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

fn narrowed(args: &CheckArgs, ground: &Ground) -> bool {
    !ground.place.only.is_empty()
        || args.base.is_some()
        || !(args.app.is_empty() && args.migration.is_empty() && args.select.is_empty() && args.ignore.is_empty())
}

fn upto(args: &CheckArgs) -> Applicability {
    if args.unsafe_fixes { Applicability::Unsafe } else { Applicability::Safe }
}

/// Shows the fixes as a unified diff; exit 1 if there are any.
pub(crate) fn diff(args: &CheckArgs, outcome: &Outcome) -> ExitCode {
    let patch = patch::patch(&outcome.diagnostics, upto(args));
    let text = patch::unified(&patch);
    print(&text);
    tell_left_out(&patch.left_out);
    ExitCode::from(if patch.files.is_empty() { CLEAN } else { FINDINGS })
}

/// Applies the fixes and reads the project again, until nothing is left to apply; the new outcome if files changed.
pub(crate) fn fix(args: &CheckArgs, request: &Request, checked: &Checked) -> Result<Option<Checked>, Failure> {
    // Fixes that touch each other take turns; a rule whose fix does not remove its finding must not run for ever.
    const ROUNDS: usize = 10;
    let mut latest: Option<Checked> = None;
    let mut applied = 0;
    let mut left_out = Vec::new();
    for _ in 0..ROUNDS {
        let diagnostics = &latest.as_ref().unwrap_or(checked).outcome.diagnostics;
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
        write(&checked.ground.place.root, &texts)?;
        applied += patch.applied;
        let mut again = check(request, None, &Progress::default())?;
        apply_baseline(args, &mut again)?;
        latest = Some(again);
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

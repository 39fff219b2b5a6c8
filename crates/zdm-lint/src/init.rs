//! `zdm-lint init`: a configuration to start from, and what to put into CI and pre-commit.
//!
//! The snippets are the files of `docs/ci`, which the tests run.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use zdm_workspace::config::schema::{Place as Target, template};
use zdm_workspace::config::{PYPROJECT, ZDM_TOML};
use zdm_workspace::versions::Origin;
use zdm_workspace::write::write_file;
use zdm_workspace::{Ground, Place};

use crate::args::{CiSystem, InitArgs};
use crate::check::project_request;
use crate::terminal::{Failure, print, say};

/// A CI system's configuration file, by whose presence it is recognised, and what belongs into it.
struct Snippet {
    system: CiSystem,
    name: &'static str,
    option: &'static str,
    file: &'static str,
    text: &'static str,
}

const SNIPPETS: [Snippet; 7] = [
    Snippet {
        system: CiSystem::Github,
        name: "GitHub Actions",
        option: "--ci github",
        file: ".github/workflows",
        text: include_str!("../../../docs/ci/github.yml"),
    },
    Snippet {
        system: CiSystem::Gitlab,
        name: "GitLab CI",
        option: "--ci gitlab",
        file: ".gitlab-ci.yml",
        text: include_str!("../../../docs/ci/gitlab.yml"),
    },
    Snippet {
        system: CiSystem::Bitbucket,
        name: "Bitbucket Pipelines",
        option: "--ci bitbucket",
        file: "bitbucket-pipelines.yml",
        text: include_str!("../../../docs/ci/bitbucket.yml"),
    },
    Snippet {
        system: CiSystem::Azure,
        name: "Azure Pipelines",
        option: "--ci azure",
        file: "azure-pipelines.yml",
        text: include_str!("../../../docs/ci/azure.yml"),
    },
    Snippet {
        system: CiSystem::Jenkins,
        name: "Jenkins",
        option: "--ci jenkins",
        file: "Jenkinsfile",
        text: include_str!("../../../docs/ci/jenkins.groovy"),
    },
    Snippet {
        system: CiSystem::Circleci,
        name: "CircleCI",
        option: "--ci circleci",
        file: ".circleci/config.yml",
        text: include_str!("../../../docs/ci/circleci.yml"),
    },
    Snippet {
        system: CiSystem::Buildkite,
        name: "Buildkite",
        option: "--ci buildkite",
        file: ".buildkite",
        text: include_str!("../../../docs/ci/buildkite.yml"),
    },
];

const PRE_COMMIT: &str = include_str!("../../../docs/ci/pre-commit.yaml");
const PRE_COMMIT_FILE: &str = ".pre-commit-config.yaml";
const WORKFLOW: &str = ".github/workflows/migrations.yml";

/// Writes the configuration at the project's root, or what was asked for instead.
pub(crate) fn run(args: &InitArgs) -> Result<ExitCode, Failure> {
    let ground = Ground::find(&project_request(&args.project, args.root.iter().cloned().collect())?)?;
    let place = &ground.place;
    let top = place.repository.as_deref().unwrap_or(&place.root);
    if args.ci.is_empty() && !args.pre_commit {
        configuration(&ground)?;
        return Ok(print(&offer(top)));
    }
    let mut printed = String::new();
    for snippet in SNIPPETS.iter().filter(|snippet| args.ci.contains(&snippet.system)) {
        if snippet.system == CiSystem::Github {
            new_file(place, &top.join(WORKFLOW), snippet.text)?;
        } else {
            printed.push_str(snippet.text);
        }
    }
    if args.pre_commit {
        let path = top.join(PRE_COMMIT_FILE);
        if path.exists() {
            printed.push_str(PRE_COMMIT);
        } else {
            new_file(place, &path, PRE_COMMIT)?;
        }
    }
    Ok(print(&printed))
}

/// Into the project's `pyproject.toml` if there is one, else `zdm.toml`.
fn configuration(ground: &Ground) -> Result<(), Failure> {
    let place = &ground.place;
    if let Some(path) = &place.config {
        return Err(Failure::new(format!("`{}` configures this project already", place.shown(path))).with_help(
            "edit it; docs/configuration.md explains the keys\n`zdm-lint init --ci SYSTEM` and `--pre-commit` give the rest",
        ));
    }
    // What was only assumed is better left open: it moves with the newest release.
    let known = |origin: &Origin| !matches!(origin, Origin::Assumed);
    let postgres = known(&ground.postgres.origin).then(|| ground.postgres.version.to_string());
    let django = known(&ground.django.origin).then(|| ground.django.version.to_string());
    let text = |of| template(of, postgres.as_deref(), django.as_deref());
    let pyproject = place.root.join(PYPROJECT);
    if pyproject.is_file() {
        let before = fs::read_to_string(&pyproject)
            .map_err(|error| Failure::new(format!("`{}` cannot be read: {error}", place.shown(&pyproject))))?;
        write_file(&pyproject, &format!("{}\n\n{}", before.trim_end(), text(Target::Pyproject)))?;
        say(&format!("zdm-lint: wrote [tool.zdm] into {}", place.shown(&pyproject)));
    } else {
        let path = place.root.join(ZDM_TOML);
        write_file(&path, &format!("#:schema {}\n\n{}", schema_url(), text(Target::ZdmToml)))?;
        say(&format!("zdm-lint: wrote {}", place.shown(&path)));
    }
    Ok(())
}

/// Where the schema of this version is published; editors that check TOML read the address in the first line.
fn schema_url() -> String {
    let raw = env!("CARGO_PKG_REPOSITORY").replace("https://github.com/", "https://raw.githubusercontent.com/");
    format!("{raw}/v{}/docs/zdm.schema.json", env!("CARGO_PKG_VERSION"))
}

fn new_file(place: &Place, path: &Path, text: &str) -> Result<(), Failure> {
    if path.exists() {
        return Err(Failure::new(format!("`{}` exists already", place.shown(path)))
            .with_help("move it away first; docs/ci.md shows what would be written"));
    }
    write_file(path, text)?;
    say(&format!("zdm-lint: wrote {}", place.shown(path)));
    Ok(())
}

/// What the project's own files suggest as the next steps.
fn offer(top: &Path) -> String {
    let mut out = String::from("Next:\n");
    let mut line = |command: &str, why: &str| {
        let command = format!("zdm-lint {command}");
        let _ = writeln!(out, "  {command:<34}{why}");
    };
    line("--write-baseline", "on an old project: only new findings count from now on");
    let present: Vec<&Snippet> = SNIPPETS.iter().filter(|snippet| top.join(snippet.file).exists()).collect();
    for snippet in if present.is_empty() { SNIPPETS.iter().collect() } else { present } {
        let what = if snippet.system == CiSystem::Github { "write the workflow for" } else { "print the lines for" };
        line(&format!("init {}", snippet.option), &format!("{what} {}", snippet.name));
    }
    let what = if top.join(PRE_COMMIT_FILE).exists() { "print" } else { "write" };
    line("init --pre-commit", &format!("{what} the hook for pre-commit"));
    out
}

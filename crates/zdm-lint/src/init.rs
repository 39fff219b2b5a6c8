//! `zdm-lint init`: a configuration to start from, and what to paste into CI.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use zdm_workspace::Workspace;
use zdm_workspace::config::schema::{Place, template};
use zdm_workspace::config::{PYPROJECT, ZDM_TOML};
use zdm_workspace::versions::Origin;
use zdm_workspace::write::write_file;

use crate::args::ProjectArgs;
use crate::check::project_request;
use crate::terminal::{Failure, print, say};

/// Writes the configuration at the project's root: into its `pyproject.toml` if there is one, else `zdm.toml`.
pub(crate) fn run(root: Option<PathBuf>, args: &ProjectArgs) -> Result<ExitCode, Failure> {
    let workspace = Workspace::load(&project_request(args, root.into_iter().collect())?)?;
    let place = &workspace.place;
    if let Some(path) = &place.config {
        return Err(Failure::new(format!("`{}` configures this project already", place.shown(path)))
            .with_help("edit it; docs/configuration.md explains the keys"));
    }
    // What was only assumed is better left open: it moves with the newest release.
    let known = |origin: &Origin| !matches!(origin, Origin::Assumed);
    let postgres = known(&workspace.postgres.origin).then(|| workspace.postgres.version.to_string());
    let django = known(&workspace.django.origin).then(|| workspace.django.version.to_string());
    let text = |of| template(of, postgres.as_deref(), django.as_deref());
    let pyproject = place.root.join(PYPROJECT);
    let path = if pyproject.is_file() {
        let before = fs::read_to_string(&pyproject)
            .map_err(|error| Failure::new(format!("`{}` cannot be read: {error}", place.shown(&pyproject))))?;
        write_file(&pyproject, &format!("{}\n\n{}", before.trim_end(), text(Place::Pyproject)))?;
        pyproject
    } else {
        let path = place.root.join(ZDM_TOML);
        write_file(&path, &text(Place::ZdmToml))?;
        path
    };
    say(&format!("zdm-lint: wrote {}", place.shown(&path)));
    Ok(print(SNIPPETS))
}

const SNIPPETS: &str = "\
# GitHub Actions: .github/workflows/migrations.yml
on: pull_request
permissions:
  contents: read
jobs:
  migrations:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with:
          fetch-depth: 0
          persist-credentials: false
      - run: pipx run zdm-lint --base auto --format github

# GitLab: .gitlab-ci.yml
migrations:
  image: python:3
  variables:
    GIT_DEPTH: 0
  rules:
    - if: $CI_PIPELINE_SOURCE == \"merge_request_event\"
  script:
    - pip install zdm-lint
    - zdm-lint --base auto --format text --format gitlab --output - --output gl-code-quality-report.json
  artifacts:
    when: always
    reports:
      codequality: gl-code-quality-report.json

# pre-commit: .pre-commit-config.yaml
repos:
  - repo: local
    hooks:
      - id: zdm-lint
        name: zdm-lint
        entry: zdm-lint
        language: python
        additional_dependencies: [zdm-lint]
        files: /migrations/.*\\.py$
        types: [python]

# An old project: record today's findings once, so that only new ones count
#   zdm-lint --write-baseline
";

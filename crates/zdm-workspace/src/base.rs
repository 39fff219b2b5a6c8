//! `--base auto`: what the CI system compares with, else the remote's default branch.
//!
//! The environment is given as a map. Each system's variables are those of its documentation; where a system names a
//! commit that is certainly the base, that commit is taken, else the branch at `origin`.

use std::collections::BTreeMap;
use std::path::Path;

use git2::Repository;
use serde_json::Value;

use crate::changes::open;
use crate::error::Error;

/// A base and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoBase {
    /// For [`crate::changes::changes`].
    pub reference: String,
    /// `GITHUB_BASE_REF`, `the default branch of origin`.
    pub found_in: String,
}

/// The base of this run.
pub fn auto(root: &Path, variables: &BTreeMap<String, String>) -> Result<AutoBase, Error> {
    let repository = open(root)?;
    let mut looked_at = Vec::new();
    if let Some(found) = from_ci(variables, &mut looked_at) {
        return Ok(found);
    }
    if let Some(reference) = default_branch(&repository) {
        return Ok(AutoBase { reference, found_in: "the remote's default branch".to_owned() });
    }
    looked_at.push("the remote's default branch");
    Err(Error::NoBase { looked_at: format!("no answer from {}", looked_at.join(", ")) })
}

/// How one system's base is read.
type Reader = fn(&Variables<'_>) -> Option<AutoBase>;

type Variables<'a> = dyn Fn(&str) -> Option<String> + 'a;

fn from_ci(variables: &BTreeMap<String, String>, looked_at: &mut Vec<&'static str>) -> Option<AutoBase> {
    let get = |name: &str| variables.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let systems: [(&'static str, &str, Reader); 7] = [
        ("GitHub Actions", "GITHUB_ACTIONS", github),
        ("GitLab CI", "GITLAB_CI", gitlab),
        ("Bitbucket Pipelines", "BITBUCKET_BUILD_NUMBER", bitbucket),
        ("Azure Pipelines", "TF_BUILD", azure),
        ("Buildkite", "BUILDKITE", buildkite),
        ("CircleCI", "CIRCLECI", circleci),
        ("Jenkins", "JENKINS_URL", jenkins),
    ];
    for (name, marker, base) in systems {
        // The names are each system's own, so that a container without the marker is served too.
        if let Some(found) = base(&get) {
            return Some(found);
        }
        if get(marker).is_some() {
            looked_at.push(name);
        }
    }
    None
}

fn branch(name: &str, found_in: &str) -> AutoBase {
    let short = name.strip_prefix("refs/heads/").unwrap_or(name);
    AutoBase { reference: format!("origin/{short}"), found_in: found_in.to_owned() }
}

fn commit(id: String, found_in: &str) -> Option<AutoBase> {
    // All zeros stand for "there was nothing before", as on the first push of a branch.
    let real = id.len() >= 7 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) && id.bytes().any(|byte| byte != b'0');
    real.then(|| AutoBase { reference: id, found_in: found_in.to_owned() })
}

/// <https://docs.github.com/actions/reference/workflows-and-actions/variables>: `GITHUB_BASE_REF` is set for pull
/// requests only; a merge queue and a push name their base in the event's file.
fn github(get: &Variables<'_>) -> Option<AutoBase> {
    if let Some(name) = get("GITHUB_BASE_REF") {
        return Some(branch(&name, "GITHUB_BASE_REF"));
    }
    let event = std::fs::read(get("GITHUB_EVENT_PATH")?).ok()?;
    let event: Value = serde_json::from_slice(&event).ok()?;
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    if let Some(id) = text("/merge_group/base_sha") {
        return commit(id, "merge_group.base_sha of the event");
    }
    if let Some(name) = text("/pull_request/base/ref") {
        return Some(branch(&name, "pull_request.base.ref of the event"));
    }
    // After a forced push the commit before it may not be in the clone; the default branch is then the better base.
    let forced = event.pointer("/forced").and_then(Value::as_bool).unwrap_or(false);
    if !forced && let Some(found) = text("/before").and_then(|id| commit(id, "before of the push event")) {
        return Some(found);
    }
    text("/repository/default_branch").map(|name| branch(&name, "repository.default_branch of the event"))
}

/// <https://docs.gitlab.com/ci/variables/predefined_variables/>.
fn gitlab(get: &Variables<'_>) -> Option<AutoBase> {
    let diff_base = get("CI_MERGE_REQUEST_DIFF_BASE_SHA");
    if let Some(found) = diff_base.and_then(|id| commit(id, "CI_MERGE_REQUEST_DIFF_BASE_SHA")) {
        return Some(found);
    }
    if let Some(name) = get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME") {
        return Some(branch(&name, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME"));
    }
    let default = get("CI_DEFAULT_BRANCH");
    if get("CI_COMMIT_BRANCH") == default || default.is_none() {
        let before = get("CI_COMMIT_BEFORE_SHA").and_then(|id| commit(id, "CI_COMMIT_BEFORE_SHA"));
        if before.is_some() {
            return before;
        }
    }
    default.map(|name| branch(&name, "CI_DEFAULT_BRANCH"))
}

/// <https://support.atlassian.com/bitbucket-cloud/docs/variables-and-secrets/>.
fn bitbucket(get: &Variables<'_>) -> Option<AutoBase> {
    if let Some(name) = get("BITBUCKET_PR_DESTINATION_BRANCH") {
        return Some(branch(&name, "BITBUCKET_PR_DESTINATION_BRANCH"));
    }
    get("BITBUCKET_PR_DESTINATION_COMMIT").and_then(|id| commit(id, "BITBUCKET_PR_DESTINATION_COMMIT"))
}

/// <https://learn.microsoft.com/azure/devops/pipelines/build/variables>: `System.PullRequest.TargetBranch`.
fn azure(get: &Variables<'_>) -> Option<AutoBase> {
    ["SYSTEM_PULLREQUEST_TARGETBRANCH", "SYSTEM_PULLREQUEST_TARGETBRANCHNAME"]
        .iter()
        .find_map(|variable| get(variable).map(|name| branch(&name, variable)))
}

/// <https://buildkite.com/docs/pipelines/configure/environment-variables>.
fn buildkite(get: &Variables<'_>) -> Option<AutoBase> {
    if let Some(name) = get("BUILDKITE_PULL_REQUEST_BASE_BRANCH") {
        return Some(branch(&name, "BUILDKITE_PULL_REQUEST_BASE_BRANCH"));
    }
    get("BUILDKITE_PIPELINE_DEFAULT_BRANCH").map(|name| branch(&name, "BUILDKITE_PIPELINE_DEFAULT_BRANCH"))
}

/// CircleCI gives a job no variable with the base of a pull request; its pipeline values can be passed on under these
/// names: `CIRCLE_BASE_REVISION: << pipeline.git.base_revision >>`,
/// `CIRCLE_BASE_BRANCH: << pipeline.event.github.pull_request.base.ref >>`.
fn circleci(get: &Variables<'_>) -> Option<AutoBase> {
    if let Some(name) = get("CIRCLE_BASE_BRANCH") {
        return Some(branch(&name, "CIRCLE_BASE_BRANCH"));
    }
    get("CIRCLE_BASE_REVISION").and_then(|id| commit(id, "CIRCLE_BASE_REVISION"))
}

/// <https://www.jenkins.io/doc/book/pipeline/multibranch/>: `CHANGE_TARGET` for change requests.
fn jenkins(get: &Variables<'_>) -> Option<AutoBase> {
    get("CHANGE_TARGET").map(|name| branch(&name, "CHANGE_TARGET"))
}

/// `origin/HEAD`, else the usual names at `origin`, else at another remote, else the usual local branches.
fn default_branch(repository: &Repository) -> Option<String> {
    let mut remotes = vec!["origin".to_owned()];
    if let Ok(others) = repository.remotes() {
        remotes.extend(others.iter().flatten().flatten().filter(|name| *name != "origin").map(str::to_owned));
    }
    for remote in &remotes {
        let head = repository.find_reference(&format!("refs/remotes/{remote}/HEAD")).ok();
        let target = head.and_then(|head| head.symbolic_target().ok().flatten().map(str::to_owned));
        if let Some(name) = target.as_deref().and_then(|target| target.strip_prefix("refs/remotes/")) {
            return Some(name.to_owned());
        }
    }
    let remote = remotes.iter().map(|remote| format!("{remote}/"));
    remote.chain([String::new()]).find_map(|place| {
        ["main", "master", "develop", "trunk"].iter().find_map(|name| {
            let name = format!("{place}{name}");
            let full = if place.is_empty() { format!("refs/heads/{name}") } else { format!("refs/remotes/{name}") };
            repository.find_reference(&full).ok().map(|_| name)
        })
    })
}

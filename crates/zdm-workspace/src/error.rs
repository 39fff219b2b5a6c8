//! What can go wrong outside, and what to do about it.

use std::path::PathBuf;

use crate::config::ConfigError;

/// A failure that ends the run with exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{}` does not exist", .0.display())]
    NoSuchPath(PathBuf),
    #[error("`{}` cannot be read: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("the paths belong to two projects: `{}` and `{}`", .0.display(), .1.display())]
    TwoProjects(PathBuf, PathBuf),
    #[error(transparent)]
    Config(#[from] Box<ConfigError>),
    #[error("`{}` is not in a git repository", .0.display())]
    NoRepository(PathBuf),
    #[error("the git repository `{}` has no working tree", .0.display())]
    Bare(PathBuf),
    #[error("git trusts the repository `{}` only for its owner, who is somebody else", .0.display())]
    NotOurs(PathBuf),
    #[error("the git repository has no commit yet, so nothing can be compared with `{0}`")]
    NoCommit(String),
    #[error("git knows no `{reference}`")]
    NoReference { reference: String, similar: Option<String>, shallow: bool },
    #[error("no common ancestor of `{reference}` and HEAD in this shallow clone")]
    Shallow { reference: String },
    #[error("`{reference}` and HEAD have no common ancestor")]
    Unrelated { reference: String },
    #[error("no base to compare with was found: {looked_at}")]
    NoBase { looked_at: String },
    #[error("`{}` holds no table statistics: {problem}", path.display())]
    BadStats { path: PathBuf, problem: String },
    #[error("`{}` was not written: {why}", path.display())]
    NotWritten { path: PathBuf, why: String },
    #[error("git: {what}: {reason}")]
    Git { what: String, reason: String },
}

impl Error {
    /// What to do about it, imperative, in one or more lines.
    pub fn help(&self) -> Option<String> {
        let text = match self {
            Self::NoSuchPath(_) => "check the spelling; paths are relative to the current directory".to_owned(),
            Self::Unreadable { .. } => "check the permissions, and that it is a regular file or directory".to_owned(),
            Self::TwoProjects(..) => {
                "run zdm-lint once per project, or name one configuration for both with --config FILE".to_owned()
            }
            Self::Config(_) => return None,
            Self::NoRepository(_) => {
                "leave --base out to check every migration, or run inside of the repository".to_owned()
            }
            Self::Bare(_) => {
                "check a branch out into a working tree first: git worktree add DIRECTORY BRANCH".to_owned()
            }
            Self::NotOurs(path) => format!("git config --global --add safe.directory {}", path.display()),
            Self::NoCommit(_) => "commit first, or leave --base out to check every migration".to_owned(),
            Self::NoReference { reference, similar, shallow } => {
                let meant = similar.as_ref().map(|name| format!("did you mean `{name}`?\n")).unwrap_or_default();
                let branch = reference.strip_prefix("origin/").unwrap_or(reference);
                let deepen = if *shallow { format!("\n{DEEPEN}") } else { String::new() };
                format!("{meant}fetch it first: git fetch origin {branch}:refs/remotes/origin/{branch}{deepen}")
            }
            Self::Shallow { .. } => DEEPEN.to_owned(),
            Self::Unrelated { .. } => "name the branch that this one started from, or leave --base out".to_owned(),
            Self::NoBase { .. } => {
                "name it: --base origin/main; or run once: git remote set-head origin --auto".to_owned()
            }
            Self::BadStats { .. } => "write it anew with `zdm stats`".to_owned(),
            Self::NotWritten { .. } => "nothing else was changed after it; correct this and run again".to_owned(),
            Self::Git { .. } => "git fsck tells whether the repository is damaged".to_owned(),
        };
        Some(text)
    }
}

/// The full history, everywhere it is asked for.
const DEEPEN: &str = "the clone must reach back to the common ancestor:\n  \
    GitHub: `fetch-depth: 0` for actions/checkout\n  \
    GitLab: `GIT_DEPTH: 0` in variables\n  \
    Bitbucket: `clone: {depth: full}`\n  \
    Azure: `fetchDepth: 0` for checkout\n  \
    by hand: git fetch --unshallow origin";

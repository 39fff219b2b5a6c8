//! What changed since the merge-base of a reference and HEAD, the working tree included.
//!
//! Committed, staged, unstaged and untracked changes are one set: the tree of the merge-base against the files on
//! disk. Files that git ignores and does not track are not part of it. With several merge-bases (criss-cross merges) a
//! file counts as changed only if it differs from all of them: what one of them holds has been merged. Changed
//! submodules below the project are entered and compared with the commit that the merge-base names.

use std::collections::BTreeMap;
use std::path::Path;

use git2::{Delta, Diff, DiffFindOptions, DiffOptions, ErrorCode, FileMode, ObjectType, Oid, Repository, Tree};
use zdm_source::SourceFile;

use crate::config::nearest;
use crate::decode::decode;
use crate::error::Error;
use crate::files::LARGEST;
use crate::walk::{is_python, prefix_in};

/// The files below the project root that differ from the merge-base.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeSet {
    /// As it was resolved: `main`, or `origin/main` where only that is known.
    pub reference: String,
    /// What named the reference, where it was looked for: `GITHUB_BASE_REF`.
    pub found_in: Option<String>,
    /// Full hexadecimal ids, sorted; more than one after criss-cross merges.
    pub merge_bases: Vec<String>,
    /// By the path that the file has now, or had where it is deleted; relative to the project root.
    pub files: BTreeMap<String, Change>,
    /// What could not be compared, one sentence each.
    pub notes: Vec<String>,
}

/// One file's difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub kind: ChangeKind,
    /// The file at the merge-base, under the path that it had there; for Python files.
    pub before: Option<SourceFile>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    Added,
    Modified,
    Deleted,
    /// Git's own judgement: at least half of the lines are the same.
    Renamed {
        from: String,
        /// Whether the content differs too.
        modified: bool,
    },
    /// The text differs in line ends, white space at line ends or blank lines only.
    Whitespace,
    /// Only the permissions differ.
    Mode,
}

impl ChangeKind {
    /// Whether the file may do something else than at the merge-base.
    pub const fn matters(&self) -> bool {
        !matches!(self, Self::Whitespace | Self::Mode)
    }
}

impl ChangeSet {
    /// The merge-base to show, where one must be named.
    pub fn merge_base(&self) -> &str {
        self.merge_bases.first().map_or("", String::as_str)
    }

    pub fn get(&self, path: &str) -> Option<&Change> {
        self.files.get(path)
    }

    /// Whether a file that exists now is new or says something else than at the merge-base.
    pub fn is_changed(&self, path: &str) -> bool {
        self.get(path).is_some_and(|change| change.kind.matters() && change.kind != ChangeKind::Deleted)
    }

    /// The paths that existed at the merge-base and do not now, renamed files by their old path; sorted.
    pub fn gone(&self) -> Vec<(&str, &Change)> {
        let mut gone: Vec<(&str, &Change)> = self
            .files
            .iter()
            .filter_map(|(path, change)| match &change.kind {
                ChangeKind::Deleted => Some((path.as_str(), change)),
                ChangeKind::Renamed { from, .. } => Some((from.as_str(), change)),
                _ => None,
            })
            .collect();
        gone.sort_by_key(|(path, _)| *path);
        gone
    }
}

/// What changed below `root` since the merge-base of `reference` and HEAD.
pub fn changes(root: &Path, reference: &str) -> Result<ChangeSet, Error> {
    let repository = open(root)?;
    let prefix = prefix_in(&repository, root).unwrap_or_default();
    let head = head(&repository, reference)?;
    let (resolved, other) = resolve(&repository, reference)?;
    let bases = merge_bases(&repository, other, head, &resolved)?;
    let mut notes = Vec::new();
    let mut files: Option<BTreeMap<String, Change>> = None;
    for base in &bases {
        let tree = repository.find_commit(*base).and_then(|commit| commit.tree()).map_err(git("reading a tree"))?;
        let found = against(&repository, Some(&tree), &prefix, &mut notes, 0)?;
        files = Some(match files {
            None => found,
            Some(mut kept) => {
                kept.retain(|path, _| found.contains_key(path));
                // The gentlest difference says most: a file that one base holds with other line ends is not new.
                for (path, change) in found {
                    if let Some(known) = kept.get_mut(&path)
                        && weight(&change.kind) < weight(&known.kind)
                    {
                        *known = change;
                    }
                }
                kept
            }
        });
    }
    notes.sort();
    notes.dedup();
    let mut merge_bases: Vec<String> = bases.iter().map(Oid::to_string).collect();
    merge_bases.sort();
    Ok(ChangeSet { reference: resolved, found_in: None, merge_bases, files: files.unwrap_or_default(), notes })
}

/// The repository around `root`, with its working tree.
pub fn open(root: &Path) -> Result<Repository, Error> {
    let repository = Repository::discover(root).map_err(|error| match error.code() {
        ErrorCode::NotFound => Error::NoRepository(root.to_owned()),
        ErrorCode::Owner => Error::NotOurs(crate::discover::repository_root(root).unwrap_or_else(|| root.to_owned())),
        _ => Error::Git { what: "opening the repository".to_owned(), reason: error.message().to_owned() },
    })?;
    if repository.is_bare() || repository.workdir().is_none() {
        return Err(Error::Bare(repository.path().to_owned()));
    }
    Ok(repository)
}

fn git(what: &'static str) -> impl Fn(git2::Error) -> Error {
    move |error| Error::Git { what: what.to_owned(), reason: error.message().to_owned() }
}

fn head(repository: &Repository, reference: &str) -> Result<Oid, Error> {
    match repository.head().and_then(|head| head.peel_to_commit()) {
        Ok(commit) => Ok(commit.id()),
        Err(error) if error.code() == ErrorCode::UnbornBranch => Err(Error::NoCommit(reference.to_owned())),
        Err(error) => Err(git("reading HEAD")(error)),
    }
}

/// The commit that a name stands for: as git reads it, else the branch of that name at `origin` or another remote.
fn resolve(repository: &Repository, reference: &str) -> Result<(String, Oid), Error> {
    let mut names = vec![reference.to_owned()];
    let short = reference.strip_prefix("refs/heads/").unwrap_or(reference);
    names.push(format!("origin/{short}"));
    if let Ok(remotes) = repository.remotes() {
        names.extend(remotes.iter().flatten().flatten().map(|remote| format!("{remote}/{short}")));
    }
    for name in &names {
        // A path or a tree is no base, whatever its name.
        if let Ok(object) = repository.revparse_single(name)
            && let Ok(commit) = object.peel(ObjectType::Commit)
        {
            return Ok((name.clone(), commit.id()));
        }
    }
    let known: Vec<String> = repository
        .references()
        .map(|references| references.flatten().filter_map(|found| found.shorthand().ok().map(str::to_owned)).collect())
        .unwrap_or_default();
    Err(Error::NoReference {
        reference: reference.to_owned(),
        similar: nearest(reference, known.iter().map(String::as_str)).map(str::to_owned),
        shallow: repository.is_shallow(),
    })
}

fn merge_bases(repository: &Repository, one: Oid, two: Oid, reference: &str) -> Result<Vec<Oid>, Error> {
    match repository.merge_bases(one, two) {
        Ok(bases) if !bases.is_empty() => Ok(bases.iter().copied().collect()),
        Err(error) if error.code() != ErrorCode::NotFound && !repository.is_shallow() => {
            Err(git("looking for the merge-base")(error))
        }
        _ if repository.is_shallow() => Err(Error::Shallow { reference: reference.to_owned() }),
        _ => Err(Error::Unrelated { reference: reference.to_owned() }),
    }
}

const fn weight(kind: &ChangeKind) -> u8 {
    match kind {
        ChangeKind::Mode => 0,
        ChangeKind::Whitespace => 1,
        ChangeKind::Modified => 2,
        ChangeKind::Renamed { .. } => 3,
        ChangeKind::Deleted => 4,
        ChangeKind::Added => 5,
    }
}

/// The bit of an index entry's extended flags that git sets for files outside of a sparse checkout.
const SKIP_WORKTREE: u16 = 1 << 14;

/// Submodules inside of submodules, at most.
const DEEPEST: usize = 8;

/// The working tree of `repository` against `tree`; nothing stands for the empty tree. Paths get rid of `prefix`;
/// those without it are not of the project.
fn against(
    repository: &Repository,
    tree: Option<&Tree<'_>>,
    prefix: &str,
    notes: &mut Vec<String>,
    depth: usize,
) -> Result<BTreeMap<String, Change>, Error> {
    let mut options = DiffOptions::new();
    options.include_untracked(true).recurse_untracked_dirs(true).include_typechange(true).disable_pathspec_match(true);
    if !prefix.is_empty() {
        options.pathspec(prefix.trim_end_matches('/'));
    }
    let mut diff: Diff<'_> =
        repository.diff_tree_to_workdir_with_index(tree, Some(&mut options)).map_err(git("comparing trees"))?;
    let mut similar = DiffFindOptions::new();
    similar.renames(true).for_untracked(true).rename_limit(2000);
    diff.find_similar(Some(&mut similar)).map_err(git("looking for renamed files"))?;
    let index = repository.index().ok();
    let mut files = BTreeMap::new();
    for delta in diff.deltas() {
        let path_of = |file: git2::DiffFile<'_>| {
            let path = file.path_bytes().map(String::from_utf8_lossy)?;
            path.strip_prefix(prefix).map(str::to_owned)
        };
        let (old, new) = (delta.old_file(), delta.new_file());
        let (before, now) = (path_of(delta.old_file()), path_of(delta.new_file()));
        if old.mode() == FileMode::Commit || new.mode() == FileMode::Commit {
            if let Some(path) = now.or(before) {
                submodule(repository, prefix, &path, old.id(), &mut files, notes, depth);
            }
            continue;
        }
        // A sparse checkout leaves files out of the working tree on purpose.
        if delta.status() == Delta::Deleted
            && let Some(path) = old.path()
            && let Some(entry) = index.as_ref().and_then(|index| index.get_path(path, 0))
            && entry.flags_extended & SKIP_WORKTREE != 0
        {
            continue;
        }
        let Some(change) = change(repository, &delta, prefix, before.as_deref(), now.as_deref()) else { continue };
        let path = if change.kind == ChangeKind::Deleted { before } else { now };
        if let Some(path) = path {
            files.insert(path, change);
        }
    }
    Ok(files)
}

fn change(
    repository: &Repository,
    delta: &git2::DiffDelta<'_>,
    prefix: &str,
    before: Option<&str>,
    now: Option<&str>,
) -> Option<Change> {
    let old = || blob(repository, delta.old_file().id());
    let new = || {
        let path = repository.workdir()?.join(format!("{prefix}{}", now?));
        // A link is compared by its target's name, as git stores it.
        match std::fs::symlink_metadata(&path).ok()? {
            link if link.is_symlink() => {
                Some(std::fs::read_link(&path).ok()?.to_string_lossy().into_owned().into_bytes())
            }
            file if file.len() <= LARGEST => std::fs::read(&path).ok(),
            _ => None,
        }
    };
    let text = |path: Option<&str>, bytes: Option<Vec<u8>>| {
        let path = path.filter(|path| is_python(path))?;
        Some(SourceFile::new(path, decode(&bytes?).0))
    };
    let kind = match delta.status() {
        Delta::Added | Delta::Untracked | Delta::Copied => ChangeKind::Added,
        Delta::Deleted => ChangeKind::Deleted,
        // A file that left the project, or came into it, is gone, or new.
        Delta::Renamed => match (before, now) {
            (Some(from), Some(_)) => {
                let modified = !same(old().as_deref(), new().as_deref()).is_some_and(|kind| kind == ChangeKind::Mode);
                ChangeKind::Renamed { from: from.to_owned(), modified }
            }
            (None, Some(_)) => ChangeKind::Added,
            (Some(_), None) => ChangeKind::Deleted,
            (None, None) => return None,
        },
        Delta::Modified | Delta::Typechange => {
            let kind = same(old().as_deref(), new().as_deref()).unwrap_or(ChangeKind::Modified);
            // Changed in a commit and changed back on disk: no change. A delta that is merged from the index's and the
            // working tree's does not have both modes, so the disk is asked.
            let executable = || is_executable(&repository.workdir()?.join(format!("{prefix}{}", now?)));
            let was_executable = delta.old_file().mode() == FileMode::BlobExecutable;
            if kind == ChangeKind::Mode && executable().is_none_or(|is| is == was_executable) {
                return None;
            }
            kind
        }
        Delta::Conflicted => ChangeKind::Modified,
        Delta::Unmodified | Delta::Ignored | Delta::Unreadable => return None,
    };
    let before = if kind == ChangeKind::Added { None } else { text(before, old()) };
    Some(Change { kind, before })
}

/// How little two contents differ; `None` where they differ in earnest.
pub(crate) fn same(old: Option<&[u8]>, new: Option<&[u8]>) -> Option<ChangeKind> {
    let (old, new) = (old?, new?);
    if old == new {
        return Some(ChangeKind::Mode);
    }
    let lines = |bytes: &[u8]| -> Vec<Vec<u8>> {
        bytes
            .split(|byte| *byte == b'\n')
            .map(|line| line.trim_ascii_end().to_vec())
            .filter(|line| !line.is_empty())
            .collect()
    };
    (lines(old) == lines(new)).then_some(ChangeKind::Whitespace)
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it is not known")]
fn is_executable(path: &Path) -> Option<bool> {
    use std::os::unix::fs::PermissionsExt;
    let file = std::fs::symlink_metadata(path);
    Some(file.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o100 != 0))
}

/// Without the permissions of Unix the working tree has no mode of its own.
#[cfg(not(unix))]
fn is_executable(_: &Path) -> Option<bool> {
    None
}

fn blob(repository: &Repository, id: Oid) -> Option<Vec<u8>> {
    Some(repository.find_blob(id).ok()?.content().to_vec())
}

/// The changes inside of a submodule, under its path.
fn submodule(
    parent: &Repository,
    prefix: &str,
    path: &str,
    old: Oid,
    files: &mut BTreeMap<String, Change>,
    notes: &mut Vec<String>,
    depth: usize,
) {
    let folder = parent.workdir().map(|workdir| workdir.join(format!("{prefix}{path}")));
    let Some(repository) = folder.and_then(|folder| Repository::open(folder).ok()) else {
        notes.push(format!("the submodule `{path}` is not checked out; its files were not compared"));
        return;
    };
    if depth >= DEEPEST {
        notes.push(format!("the submodule `{path}` lies too deep; its files were not compared"));
        return;
    }
    let tree = match repository.find_commit(old).and_then(|commit| commit.tree()) {
        Ok(tree) => Some(tree),
        Err(_) if old.is_zero() => None,
        Err(_) => {
            notes.push(format!(
                "the submodule `{path}` does not have the commit {old} of the merge-base; all of its files count as new"
            ));
            None
        }
    };
    match against(&repository, tree.as_ref(), "", notes, depth + 1) {
        Ok(found) => files.extend(found.into_iter().map(|(below, change)| {
            let inside = |below: &str| format!("{path}/{below}");
            let kind = match change.kind {
                ChangeKind::Renamed { from, modified } => ChangeKind::Renamed { from: inside(&from), modified },
                kind => kind,
            };
            let before = change.before.map(|file| SourceFile::new(inside(file.path()), file.text()));
            (inside(&below), Change { kind, before })
        })),
        Err(error) => notes.push(format!("the submodule `{path}` was not compared: {error}")),
    }
}

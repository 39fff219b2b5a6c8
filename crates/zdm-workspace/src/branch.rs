//! What a branch changes while it is edited: what git knows of the files on disk, with unsaved texts on top.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use zdm_source::SourceFile;

use crate::changes::{Change, ChangeKind, ChangeSet, same};
use crate::files::read;
use crate::walk::is_python;

/// The changes since the merge-base, as they will be once everything is saved.
#[derive(Clone, Debug)]
pub(crate) struct Branch {
    disk: ChangeSet,
    now: ChangeSet,
}

impl Branch {
    /// `disk` are the changes without the unsaved texts, which are given by their path below `root`.
    pub(crate) fn new(disk: ChangeSet, root: &Path, unsaved: &BTreeMap<Arc<str>, Arc<str>>) -> Self {
        let mut branch = Self { now: disk.clone(), disk };
        for (path, text) in unsaved {
            branch.set(root, path, Some(text));
        }
        branch
    }

    pub(crate) fn now(&self) -> &ChangeSet {
        &self.now
    }

    /// Whether both say the same, on disk and with the unsaved texts.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.disk == other.disk && self.now == other.now
    }

    /// Takes an unsaved text for a file, or what is on disk; whether the file differs in another way than before.
    pub(crate) fn set(&mut self, root: &Path, path: &str, text: Option<&str>) -> bool {
        let known = self.disk.files.get(path);
        let change = match text.filter(|_| is_python(path)) {
            Some(text) => overlaid(known, || on_disk(root, path), text),
            None => known.cloned(),
        };
        let kind = |change: Option<&Change>| change.map(|change| change.kind.clone());
        let moved = kind(self.now.files.get(path)) != kind(change.as_ref());
        match change {
            Some(change) => self.now.files.insert(path.to_owned(), change),
            None => self.now.files.remove(path),
        };
        moved
    }
}

fn on_disk(root: &Path, path: &str) -> Option<SourceFile> {
    let text = read(root, path);
    text.problem.is_none().then_some(text.file)
}

/// How a text differs from the merge-base, where the file on disk differs as `known` says. A file that git does not list
/// is on disk as it is there, or is in neither place.
fn overlaid(known: Option<&Change>, on_disk: impl FnOnce() -> Option<SourceFile>, text: &str) -> Option<Change> {
    let before = match known {
        None => match on_disk() {
            Some(before) => before,
            None => return Some(Change { kind: ChangeKind::Added, before: None }),
        },
        Some(Change { kind: ChangeKind::Renamed { from, .. }, before: Some(before) }) => {
            let kind = ChangeKind::Renamed { from: from.clone(), modified: before.text() != text };
            return Some(Change { kind, before: Some(before.clone()) });
        }
        Some(Change { kind, before: Some(before) }) if *kind != ChangeKind::Added => before.clone(),
        Some(known) => return Some(known.clone()),
    };
    let kind = match same(Some(before.text().as_bytes()), Some(text.as_bytes())) {
        // The permissions are those on disk, whatever is written.
        Some(ChangeKind::Mode) => return known.filter(|known| known.kind == ChangeKind::Mode).cloned(),
        Some(kind) => kind,
        None => ChangeKind::Modified,
    };
    Some(Change { kind, before: Some(before) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(known: Option<&Change>, disk: Option<&str>, text: &str) -> Option<ChangeKind> {
        let disk = disk.map(|text| SourceFile::new("a.py", text));
        overlaid(known, || disk, text).map(|change| change.kind)
    }

    fn change(kind: ChangeKind, before: Option<&str>) -> Change {
        Change { kind, before: before.map(|text| SourceFile::new("a.py", text)) }
    }

    #[test]
    fn what_is_typed_counts_against_the_merge_base() {
        assert_eq!(kind(None, None, "x"), Some(ChangeKind::Added));
        assert_eq!(kind(None, Some("x\n"), "x\n"), None);
        assert_eq!(kind(None, Some("x\n"), "x\r\n\r\n"), Some(ChangeKind::Whitespace));
        assert_eq!(kind(None, Some("x\n"), "y\n"), Some(ChangeKind::Modified));
        // Committed or saved already, and now typed back.
        assert_eq!(kind(Some(&change(ChangeKind::Modified, Some("x\n"))), Some("y\n"), "x\n"), None);
        assert_eq!(
            kind(Some(&change(ChangeKind::Modified, Some("x\n"))), Some("y\n"), "z\n"),
            Some(ChangeKind::Modified)
        );
        assert_eq!(kind(Some(&change(ChangeKind::Mode, Some("x\n"))), Some("x\n"), "x\n"), Some(ChangeKind::Mode));
        assert_eq!(kind(Some(&change(ChangeKind::Deleted, Some("x\n"))), None, "x\n"), None);
        assert_eq!(kind(Some(&change(ChangeKind::Added, None)), Some("y\n"), "x\n"), Some(ChangeKind::Added));
        let renamed = |modified| ChangeKind::Renamed { from: "b.py".to_owned(), modified };
        assert_eq!(kind(Some(&change(renamed(false), Some("x\n"))), Some("x\n"), "y\n"), Some(renamed(true)));
    }
}

//! Fixes of many findings as new texts of files, and as a unified diff.
//!
//! A fix is taken as a whole or not at all. Fixes that touch what an earlier one touches wait for the next run; the
//! same edit wanted by two fixes is made once. Inserted line ends are those of the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use similar::TextDiff;
use zdm_source::{Applicability, Diagnostic, Edit, Fix, FixFile, SourceFile, apply_edits};

/// What the fixes make of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// Sorted by path.
    pub files: Vec<Patched>,
    /// How many fixes are in it.
    pub applied: usize,
    /// Fixes that are not, with the index of their finding and why; sorted.
    pub left_out: Vec<(usize, LeftOut)>,
}

/// One file's new text; paths are relative to the project root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patched {
    pub path: Arc<str>,
    /// `None` for a new file.
    pub before: Option<Arc<str>>,
    pub after: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// `--unsafe-fixes` would take it.
    Unsafe,
    DisplayOnly,
    /// It touches what another fix touches; it can be taken in the next run.
    Overlap,
    /// Its edits do not fit the file: a mistake of the rule.
    Invalid,
}

impl LeftOut {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsafe => "--unsafe-fixes applies it",
            Self::DisplayOnly => "it must be applied by hand",
            Self::Overlap => "it overlaps another fix: run again",
            Self::Invalid => "its edits do not fit the file",
        }
    }
}

#[derive(Clone, Default)]
struct Pending {
    files: BTreeMap<Arc<str>, (SourceFile, Vec<Edit>)>,
    created: BTreeMap<Arc<str>, String>,
}

/// The fixes of the findings that are not suppressed, in their order, up to an applicability.
pub fn patch(diagnostics: &[Diagnostic], upto: Applicability) -> Patch {
    let mut pending = Pending::default();
    let mut applied = 0;
    let mut left_out = Vec::new();
    for (index, diagnostic) in diagnostics.iter().enumerate() {
        let Some(fix) = diagnostic.fix.as_ref().filter(|_| diagnostic.suppressed.is_none()) else { continue };
        let reason = match fix.applicability {
            Applicability::DisplayOnly => Some(LeftOut::DisplayOnly),
            Applicability::Unsafe if upto < Applicability::Unsafe => Some(LeftOut::Unsafe),
            Applicability::Safe | Applicability::Unsafe => pending.take(fix).err(),
        };
        match reason {
            Some(reason) => left_out.push((index, reason)),
            None => applied += 1,
        }
    }
    let changed = pending.files.into_iter().filter_map(|(path, (file, edits))| {
        let after = apply_edits(file.text(), &edits).ok()?;
        (after != file.text()).then(|| Patched { path, before: Some(Arc::from(file.text())), after })
    });
    let created = pending.created.into_iter().map(|(path, after)| Patched { path, before: None, after });
    let mut files: Vec<Patched> = changed.chain(created).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Patch { files, applied, left_out }
}

impl Pending {
    fn take(&mut self, fix: &Fix) -> Result<(), LeftOut> {
        let mut next = self.clone();
        for file in &fix.files {
            match file {
                FixFile::Create { path, text } => match next.created.get(path) {
                    Some(other) if other == text => {}
                    Some(_) => return Err(LeftOut::Overlap),
                    None => {
                        next.created.insert(Arc::clone(path), text.clone());
                    }
                },
                FixFile::Change { file, edits } => {
                    let (_, taken) = next.files.entry(file.path_arc()).or_insert_with(|| (file.clone(), Vec::new()));
                    for edit in edits {
                        let edit = with_line_ends(file, edit);
                        if taken.contains(&edit) {
                            continue;
                        }
                        if taken.iter().any(|other| touch(other, &edit)) {
                            return Err(LeftOut::Overlap);
                        }
                        taken.push(edit);
                    }
                    if apply_edits(file.text(), taken).is_err() {
                        return Err(LeftOut::Invalid);
                    }
                }
            }
        }
        *self = next;
        Ok(())
    }
}

/// Whether two edits share a byte, or begin in one place, where their order would matter.
fn touch(one: &Edit, other: &Edit) -> bool {
    let (a, b) = (one.span, other.span);
    a.start == b.start || (a.start < b.end && b.start < a.end)
}

fn with_line_ends(file: &SourceFile, edit: &Edit) -> Edit {
    let windows = file.text().contains("\r\n");
    let text = edit.replacement.replace("\r\n", "\n");
    Edit::replace(edit.span, if windows { text.replace('\n', "\r\n") } else { text })
}

/// The patch as `git apply` and `patch -p1` read it.
pub fn unified(patch: &Patch) -> String {
    let mut out = String::new();
    for file in &patch.files {
        let before = file.before.as_deref().unwrap_or_default();
        let old = if file.before.is_some() { format!("a/{}", file.path) } else { "/dev/null".to_owned() };
        let diff = TextDiff::from_lines(before, file.after.as_str());
        out.push_str(&diff.unified_diff().context_radius(3).header(&old, &format!("b/{}", file.path)).to_string());
    }
    out
}

#[cfg(test)]
mod tests {
    use zdm_source::{Code, Label, Severity, Span};

    use super::*;
    use crate::tests::findings;

    const TEXT: &str = "one\ntwo\nthree\n";

    /// A fix of one file: its applicability, and edits by start, end and text.
    type Case<'a> = (Applicability, &'a [(u32, u32, &'a str)]);

    /// Findings on one file, each with the edits `(start, end, text)`.
    fn with_fixes(text: &str, fixes: &[Case<'_>]) -> Vec<Diagnostic> {
        let file = SourceFile::new("a.py", text);
        let code = Code { code: "ZDM101", name: "x" };
        fixes
            .iter()
            .map(|(applicability, edits)| {
                let edits =
                    edits.iter().map(|(start, end, text)| Edit::replace(Span::new(*start, *end), *text)).collect();
                Diagnostic::new(code, Severity::Error, "m", Label::new(&file, Span::at(0), "")).with_fix(Fix {
                    title: "t".to_owned(),
                    applicability: *applicability,
                    files: vec![FixFile::Change { file: file.clone(), edits }],
                })
            })
            .collect()
    }

    #[track_caller]
    fn check(text: &str, fixes: &[Case<'_>], after: &str, left_out: &[(usize, LeftOut)]) {
        let patch = patch(&with_fixes(text, fixes), Applicability::Safe);
        assert_eq!(patch.files.first().map_or(text, |file| file.after.as_str()), after);
        assert_eq!(patch.left_out, left_out);
        assert_eq!(patch.applied, fixes.len() - left_out.len());
    }

    use Applicability::{DisplayOnly, Safe, Unsafe};

    #[test]
    fn fixes_are_whole_or_not_at_all() {
        check(TEXT, &[(Safe, &[(0, 3, "1")]), (Safe, &[(8, 13, "3")])], "1\ntwo\n3\n", &[]);
        check(
            TEXT,
            &[(Safe, &[(0, 3, "1")]), (Safe, &[(4, 7, "2"), (2, 4, "x")]), (Safe, &[(4, 7, "zwei")])],
            "1\nzwei\nthree\n",
            &[(1, LeftOut::Overlap)],
        );
        check(
            TEXT,
            &[(Safe, &[(0, 0, "# a\n")]), (Safe, &[(0, 0, "# a\n"), (4, 7, "2")])],
            "# a\none\n2\nthree\n",
            &[],
        );
        check(
            TEXT,
            &[(Safe, &[(0, 0, "# a\n")]), (Safe, &[(0, 0, "# b\n")])],
            "# a\none\ntwo\nthree\n",
            &[(1, LeftOut::Overlap)],
        );
        check(TEXT, &[(Safe, &[(3, 99, "")])], TEXT, &[(0, LeftOut::Invalid)]);
        check(
            TEXT,
            &[(Unsafe, &[(0, 3, "1")]), (DisplayOnly, &[(4, 7, "2")])],
            TEXT,
            &[(0, LeftOut::Unsafe), (1, LeftOut::DisplayOnly)],
        );
    }

    #[test]
    fn unsafe_ones_on_request() {
        let found = with_fixes(TEXT, &[(Unsafe, &[(0, 3, "1")]), (DisplayOnly, &[(4, 7, "2")])]);
        let patch = patch(&found, Unsafe);
        assert_eq!((patch.applied, patch.files[0].after.as_str()), (1, "1\ntwo\nthree\n"));
    }

    #[test]
    fn line_ends_are_the_files() {
        check("one\r\ntwo\r\n", &[(Safe, &[(5, 5, "x\ny\r\n")])], "one\r\nx\r\ny\r\ntwo\r\n", &[]);
    }

    #[test]
    fn suppressed_findings_are_not_fixed() {
        let mut found = findings();
        found[0].suppressed = found[2].suppressed.clone();
        assert_eq!(patch(&found, Applicability::Unsafe), Patch::default());
    }

    #[test]
    fn a_diff_that_tools_read() {
        let mut found = findings();
        found[1].fix = Some(Fix {
            title: "t".to_owned(),
            applicability: Safe,
            files: vec![FixFile::Create { path: "shop/migrations/0003_new.py".into(), text: "x\ny\n".to_owned() }],
        });
        let patch = patch(&found, Safe);
        insta::assert_snapshot!(unified(&patch));
        // Git itself turns the old texts into the new ones with it.
        let folder = tempfile::tempdir().unwrap();
        for file in &patch.files {
            let path = folder.path().join(&*file.path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            if let Some(before) = &file.before {
                std::fs::write(path, &**before).unwrap();
            }
        }
        std::fs::write(folder.path().join("fix.patch"), unified(&patch)).unwrap();
        let mut git = std::process::Command::new("git");
        let output = git.current_dir(folder.path()).args(["apply", "fix.patch"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for file in &patch.files {
            assert_eq!(std::fs::read_to_string(folder.path().join(&*file.path)).unwrap(), file.after);
        }
    }
}

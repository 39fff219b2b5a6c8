//! New texts for the project's files.
//!
//! A file is replaced whole, by a rename in its own folder, so that nobody ever reads half of it; it keeps its
//! permissions and its byte order mark. A file that changed since it was read, or that is not UTF-8, is left alone.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::decode::decode;
use crate::error::Error;

const MARK: &[u8] = b"\xef\xbb\xbf";

/// One file to write; `path` is relative to the root.
#[derive(Clone, Copy, Debug)]
pub struct NewText<'a> {
    pub path: &'a str,
    /// What was read; `None` for a file that must not exist yet.
    pub before: Option<&'a str>,
    pub after: &'a str,
}

/// Writes all files, or none if one of them cannot be written as things stand.
pub fn write(root: &Path, files: &[NewText<'_>]) -> Result<(), Error> {
    let mut ready = Vec::new();
    for file in files {
        let path = root.join(file.path);
        let refused = |why: &str| Error::NotWritten { path: file.path.into(), why: why.to_owned() };
        let failed = |error: std::io::Error| refused(&error.to_string());
        let mut bytes = Vec::new();
        if let Some(before) = file.before {
            let found = fs::read(&path).map_err(failed)?;
            let (mark, text) = found.strip_prefix(MARK).map_or((&[][..], &found[..]), |text| (MARK, text));
            if text != before.as_bytes() {
                let other_encoding = decode(&found).0 == before;
                return Err(refused(if other_encoding { "it is not UTF-8" } else { "it changed since it was read" }));
            }
            bytes.extend_from_slice(mark);
        } else if path.symlink_metadata().is_ok() {
            return Err(refused("it exists already"));
        }
        bytes.extend_from_slice(file.after.as_bytes());
        // A link is kept, what it points to is replaced.
        let target = fs::canonicalize(&path).unwrap_or(path);
        ready.push((target, bytes, file.path));
    }
    for (path, bytes, name) in ready {
        replace(&path, &bytes).map_err(|error| Error::NotWritten { path: name.into(), why: error.to_string() })?;
    }
    Ok(())
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let beside = folder.join(format!(".{name}.{}.zdm", std::process::id()));
    let written = fs::File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        if let Ok(metadata) = fs::metadata(path) {
            file.set_permissions(metadata.permissions())?;
        }
        file.sync_all()
    });
    let result = written.and_then(|()| fs::rename(&beside, path));
    if result.is_err() {
        let _ = fs::remove_file(&beside);
    }
    result
}

/// Writes a report or another file of ours, whose folder is made if need be.
pub fn write_file(path: &Path, text: &str) -> Result<(), Error> {
    replace(path, text.as_bytes()).map_err(|error| Error::NotWritten { path: path.to_owned(), why: error.to_string() })
}

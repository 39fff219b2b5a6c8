//! `file:` URIs and paths.

use std::path::{Path, PathBuf};

/// The path that a `file:` URI names; none for other schemes.
pub(crate) fn to_path(uri: &str) -> Option<PathBuf> {
    let rest = uri.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("file:")).and_then(|_| uri.get(5..))?;
    let path = match rest.strip_prefix("//") {
        // A host, which is this machine's if it is named at all.
        Some(rest) => rest.find('/').and_then(|slash| rest.get(slash..))?,
        None => rest,
    };
    let path = path.split(['?', '#']).next().unwrap_or(path);
    let decoded = decode(path)?;
    // `/c:/folder` is Windows' `c:/folder`.
    let bytes = decoded.as_bytes();
    if cfg!(windows) && bytes.len() >= 3 && bytes[0] == b'/' && bytes[1].is_ascii_alphabetic() && bytes[2] == b':' {
        return decoded.get(1..).map(PathBuf::from);
    }
    Some(PathBuf::from(decoded))
}

/// The URI of an absolute path.
pub(crate) fn from_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    let text = if cfg!(windows) { text.replace('\\', "/") } else { text.into_owned() };
    let slash = if text.starts_with('/') { "" } else { "/" };
    format!("file://{slash}{}", encode(&text))
}

/// A URI with its escapes normalized, so that two spellings of one file are the same key.
pub(crate) fn key(uri: &str) -> String {
    to_path(uri).map_or_else(|| uri.to_owned(), |path| from_path(&path))
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                bytes.push(digit(*high)? * 16 + digit(*low)?);
                rest = after;
            }
            (b'%', _) => return None,
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_back() {
        for path in ["/a/b.py", "/with space/ä%20.py", "/a:b/c#d?.py"] {
            assert_eq!(to_path(&from_path(Path::new(path))).as_deref(), Some(Path::new(path)));
        }
        assert_eq!(from_path(Path::new("/a b")), "file:///a%20b");
    }

    #[test]
    fn other_spellings_are_read() {
        let read = |uri| to_path(uri).map(|path| path.display().to_string());
        assert_eq!(read("file://localhost/a%2Fb.py").as_deref(), Some("/a/b.py"));
        assert_eq!(read("file:///c%3A/a.py").as_deref(), Some(if cfg!(windows) { "c:/a.py" } else { "/c:/a.py" }));
        assert_eq!(read("file:/a.py").as_deref(), Some("/a.py"));
        assert_eq!(read("untitled:Untitled-1"), None);
        assert_eq!(read("file:///%zz"), None);
        assert_eq!(read("file:///%"), None);
        assert_eq!(read(""), None);
        assert_eq!(key("file:///a b.py"), key("file:///a%20b.py"));
    }
}

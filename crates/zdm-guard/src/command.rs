//! The command as it is written: whether it is Django's, and which Python runs it.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// What can be said of a command before it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nature {
    /// `manage.py`, `django-admin` or `-m django` is among its words, so the shim must report.
    pub(crate) django: bool,
    /// The interpreter with its own options, where it is plain which one will run.
    pub(crate) python: Option<Vec<OsString>>,
}

/// Looks at the words of the command, and at the first line of the script that it names.
pub(crate) fn nature(command: &[OsString]) -> Nature {
    Nature { django: is_django(command), python: python(command) }
}

/// Whether the command names one of Django's ways to start.
pub fn is_django(command: &[OsString]) -> bool {
    let words: Vec<&str> = command.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    words.iter().enumerate().any(|(at, word)| {
        let name = base(word);
        name == "manage.py"
            || name == "django-admin"
            || name == "django-admin.py"
            || (*word == "django" && at > 0 && words.get(at - 1).is_some_and(|before| names_module(before)))
    })
}

/// `-m`, also at the end of joined letters (`-Im`).
fn names_module(word: &str) -> bool {
    word.starts_with('-') && !word.starts_with("--") && word.ends_with('m')
}

fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

fn is_python(word: &str) -> bool {
    let name = base(word);
    name.strip_prefix("python")
        .or_else(|| name.strip_prefix("pypy"))
        .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

fn python(command: &[OsString]) -> Option<Vec<OsString>> {
    let first = command.first()?;
    if is_python(first.to_str()?) {
        return Some(with_options(first.clone(), command.get(1..)?));
    }
    let line = first_line(&found(first)?)?;
    let mut words = line.split_ascii_whitespace().map(OsString::from).collect::<Vec<_>>();
    if words.first().and_then(|word| word.to_str()).is_some_and(|word| base(word) == "env") {
        words.remove(0);
        if words.first().is_some_and(|word| word == "-S") {
            words.remove(0);
        }
    }
    let interpreter = words.first()?.clone();
    is_python(interpreter.to_str()?).then(|| with_options(interpreter, &words[1..]))
}

/// The interpreter and the options before the program.
fn with_options(interpreter: OsString, rest: &[OsString]) -> Vec<OsString> {
    let mut taken = vec![interpreter];
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        let Some(text) = word.to_str().filter(|text| text.starts_with('-') && text.len() > 1) else { break };
        // `-c` and `-m` name the program, also at the end of joined letters (`-Im`).
        if !text.starts_with("--") && (text.ends_with('c') || text.ends_with('m')) {
            let letters = text.trim_end_matches(['c', 'm']);
            if letters.len() > 1 {
                taken.push(letters.into());
            }
            break;
        }
        taken.push(word.clone());
        if matches!(text, "-W" | "-X" | "--check-hash-based-pycs") {
            taken.extend(rest.next().cloned());
        }
    }
    taken
}

/// Where the shell would find the program.
fn found(program: &OsString) -> Option<PathBuf> {
    let path = Path::new(program);
    if path.components().count() > 1 {
        return Some(path.to_owned());
    }
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(path)).find(|path| path.is_file())
}

/// What stands behind `#!`.
fn first_line(path: &Path) -> Option<String> {
    let mut start = [0; 256];
    let read = File::open(path).ok()?.read(&mut start).ok()?;
    let text = String::from_utf8_lossy(start.get(..read)?).into_owned();
    text.strip_prefix("#!")?.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(command: &str, django: bool, python: Option<&str>) {
        let words: Vec<OsString> = command.split(' ').map(OsString::from).collect();
        let found = nature(&words);
        let spelled = found
            .python
            .map(|words| words.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" "));
        assert_eq!((found.django, spelled.as_deref()), (django, python), "{command}");
    }

    #[test]
    fn commands_are_recognised() {
        check("python manage.py migrate", true, Some("python"));
        check("/venv/bin/python3.12 -W error -I manage.py migrate", true, Some("/venv/bin/python3.12 -W error -I"));
        check("python -Im django migrate", true, Some("python -I"));
        check("python -m django migrate", true, Some("python"));
        check("python -c pass", false, Some("python"));
        check("uv run ./manage.py migrate", true, None);
        check("pythonic x", false, None);
        check("psql -f x.sql", false, None);
    }
}

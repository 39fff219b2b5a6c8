//! Paths and the files that they lead to: `open(os.path.join(os.path.dirname(__file__), "triggers.sql")).read()`.
//!
//! A path is known where it starts at the file of a module, `__file__` or a package's resources; what it leads to is the
//! loader's to say ([`ModuleLoader::read`](crate::ModuleLoader::read)). Paths that start anywhere else stay calls.
//!
//! Sources: the Python documentation, `os.path`, `pathlib`, `importlib.resources`, `pkgutil.get_data`, `open`.

use std::sync::Arc;

use crate::eval::{Evaluator, MAX_TEXT};
use crate::syntax::Why;
use crate::text::{Origin, Str};
use crate::value::{Arg, ArgKind, Call, TemplatePart, Value, ValueKind};

/// A path below one of the folders that modules lie in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilePath {
    /// Which of the folders, as the loader counts them.
    pub root: u32,
    /// Empty for the folder itself; else each part with a `/` in front. As it was put together: `..` may be in it.
    pub path: Arc<str>,
    /// Whether it is an object of `pathlib` rather than a text.
    pub(crate) object: bool,
}

impl FilePath {
    /// `path` is relative to the folder, with `/` between its parts.
    pub fn new(root: u32, path: &str) -> Self {
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        Self { root, path: path.into(), object: false }
    }

    /// Relative to the folder, without `.` and `..`; None where it leads out of the folder.
    pub fn relative(&self) -> Option<String> {
        let mut parts: Vec<&str> = Vec::new();
        for part in self.path.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()?),
                part => parts.push(part),
            }
        }
        Some(parts.join("/"))
    }

    fn with(&self, path: impl Into<Arc<str>>) -> Self {
        Self { path: path.into(), ..self.clone() }
    }

    fn object(mut self) -> Self {
        self.object = true;
        self
    }

    fn text(mut self) -> Self {
        self.object = false;
        self
    }

    /// What is an absolute path goes elsewhere.
    pub(crate) fn join(&self, part: &str) -> Option<Self> {
        if part.starts_with('/') {
            return None;
        }
        Some(if part.is_empty() { self.clone() } else { self.with(format!("{}/{part}", self.path)) })
    }

    pub(crate) fn parent(&self) -> Option<Self> {
        Some(self.with(self.path.trim_end_matches('/').rsplit_once('/')?.0))
    }

    /// The last part.
    fn name(&self) -> Option<&str> {
        self.path.rsplit_once('/').map(|(_, name)| name).filter(|name| !name.is_empty())
    }

    /// `os.path.splitext` of the last part: leading dots belong to the stem.
    fn split_name(&self) -> Option<(&str, &str)> {
        let name = self.name()?;
        let dots = name.len() - name.trim_start_matches('.').len();
        let at = name.rfind('.').filter(|at| *at >= dots.max(1)).unwrap_or(name.len());
        name.split_at_checked(at)
    }

    fn normal(&self) -> Option<Self> {
        let relative = self.relative()?;
        Some(self.with(if relative.is_empty() { relative } else { format!("/{relative}") }))
    }
}

fn made(kind: ValueKind, origin: &Origin) -> Value {
    Value::new(kind, origin.clone())
}

fn path_value(path: FilePath, origin: &Origin) -> Value {
    made(ValueKind::Path(path), origin)
}

fn text_value(text: &str, origin: &Origin) -> Value {
    made(ValueKind::Str(Str::made(text, origin.clone())), origin)
}

/// The path that a value is, or that its text is: `f"{HERE}/triggers.sql"`.
pub(crate) fn path_of(value: &Value) -> Option<FilePath> {
    match &value.kind {
        ValueKind::Path(path) => Some(path.clone()),
        ValueKind::Template(parts) => {
            let (TemplatePart::Value(first), rest) = parts.split_first()? else { return None };
            let ValueKind::Path(first) = &first.kind else { return None };
            let mut path = first.path.to_string();
            for part in rest {
                let TemplatePart::Text(text) = part else { return None };
                path.push_str(text);
            }
            // The folder's own name does not end here.
            (path.is_empty() || path.starts_with('/')).then(|| first.with(path).text())
        }
        _ => None,
    }
}

/// `path / "part"`.
pub(crate) fn divided(left: &Value, right: &Value, origin: &Origin) -> Option<Value> {
    let path = path_of(left).filter(|path| path.object)?;
    Some(path_value(path.join(right.as_str()?)?, origin))
}

/// An attribute of a path.
pub(crate) fn attribute(path: &FilePath, name: &str, origin: &Origin) -> Option<Value> {
    if !path.object {
        return None;
    }
    Some(match name {
        "parent" => path_value(path.parent()?, origin),
        "parents" => {
            let parents = std::iter::successors(path.parent(), FilePath::parent);
            made(ValueKind::Tuple(Arc::new(parents.map(|parent| path_value(parent, origin)).collect())), origin)
        }
        "name" => text_value(path.name()?, origin),
        "stem" => text_value(path.split_name()?.0, origin),
        "suffix" => text_value(path.split_name()?.1, origin),
        _ => return None,
    })
}

/// The arguments by position; a keyword is None but for those that change nothing here.
fn plain(args: &[Arg]) -> Option<Vec<&Value>> {
    const HARMLESS: [&str; 4] = ["encoding", "newline", "strict", "buffering"];
    let mut values = Vec::new();
    for arg in args {
        match &arg.kind {
            ArgKind::Positional => values.push(&arg.value),
            ArgKind::Keyword(name) if HARMLESS.contains(&name.as_str()) => {}
            _ => return None,
        }
    }
    Some(values)
}

/// A file that is open, as `open(path, mode)` with both by position.
fn opened(path: FilePath, mode: &str, origin: &Origin) -> Value {
    let argument = |value: Value| Arg { kind: ArgKind::Positional, span: value.span(), value };
    let args = vec![argument(path_value(path, origin)), argument(text_value(mode, origin))];
    let callee = made(ValueKind::Symbol("builtins.open".into()), origin);
    made(ValueKind::Call(Arc::new(Call { callee, args })), origin)
}

/// The path and the mode of a file that is open.
fn open_file(value: &Value) -> Option<(FilePath, bool)> {
    let call = value.as_call().filter(|call| call.callee.is_symbol("builtins.open"))?;
    let mode = call.positional(1)?.value.as_str()?;
    (!mode.contains(['w', 'a', 'x', '+'])).then_some(())?;
    Some((path_of(&call.positional(0)?.value)?, mode.contains('b')))
}

/// What a file says; unknown where it cannot be read.
fn content(evaluator: &Evaluator<'_>, path: &FilePath, binary: bool, origin: &Origin) -> Value {
    let Some(text) = evaluator.read_file(path) else {
        return Value::unknown(Why::Dynamic("a file that cannot be read here"), origin.clone());
    };
    if text.len() > MAX_TEXT {
        return Value::unknown(Why::TooLarge, origin.clone());
    }
    if binary {
        return made(ValueKind::Bytes(text.as_bytes().into()), origin);
    }
    // A file that is read as text has one kind of line end.
    let text = if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text };
    text_value(&text, origin)
}

/// A method of a path or of a file that is open.
pub(crate) fn method(
    evaluator: &Evaluator<'_>,
    receiver: &Value,
    name: &str,
    args: &[Arg],
    origin: &Origin,
) -> Option<Value> {
    if let Some((path, binary)) = open_file(receiver) {
        return match (name, plain(args)?.as_slice()) {
            ("read", []) => Some(content(evaluator, &path, binary, origin)),
            ("readlines", []) => {
                let read = content(evaluator, &path, binary, origin);
                let Some(text) = read.as_str() else { return Some(read) };
                let mut start = 0;
                let lines = text.split_inclusive('\n').map(|line| {
                    start += line.len();
                    made(ValueKind::Str(text.slice(start - line.len()..start)), origin)
                });
                Some(made(ValueKind::List(Arc::new(lines.collect())), origin))
            }
            ("__enter__", []) => Some(receiver.clone()),
            _ => None,
        };
    }
    let path = path_of(receiver).filter(|path| path.object)?;
    let values = plain(args)?;
    let joined = |path: &FilePath| {
        values
            .iter()
            .try_fold(path.clone(), |path, part| path.join(part.as_str()?))
            .map(|path| path_value(path, origin))
    };
    match (name, values.as_slice()) {
        ("resolve" | "absolute" | "expanduser" | "__enter__", [..]) if values.len() <= 1 => {
            Some(path_value(path.normal()?, origin))
        }
        ("joinpath", [..]) => joined(&path),
        ("with_name", [name]) => Some(path_value(path.parent()?.join(name.as_str()?)?, origin)),
        ("with_suffix", [suffix]) => {
            let name = format!("{}{}", path.split_name()?.0, suffix.as_str()?.as_str());
            Some(path_value(path.parent()?.join(&name)?, origin))
        }
        ("open", []) => Some(opened(path, "r", origin)),
        ("open", [mode, ..]) => Some(opened(path, mode.as_str()?, origin)),
        ("read_text", [] | [_]) => Some(content(evaluator, &path, false, origin)),
        ("read_bytes", []) => Some(content(evaluator, &path, true, origin)),
        ("as_posix" | "__str__" | "__fspath__", []) => Some(path_value(path.text(), origin)),
        ("exists" | "is_file", []) if evaluator.read_file(&path).is_some() => Some(made(ValueKind::Bool(true), origin)),
        ("iterdir", []) => listed(evaluator, &path, "*", origin),
        ("glob", [pattern]) => listed(evaluator, &path, pattern.as_str()?, origin),
        _ => None,
    }
}

/// The paths in a folder whose names fit a pattern, sorted: which order the system has nobody knows.
fn listed(evaluator: &Evaluator<'_>, folder: &FilePath, pattern: &str, origin: &Origin) -> Option<Value> {
    if pattern.contains(['/', '[', '{']) || pattern.contains("**") {
        return None;
    }
    let names = evaluator.list_folder(folder)?;
    let fit = names.iter().filter(|name| fits(name, pattern));
    let paths = fit.map(|name| folder.join(name).map(|path| path_value(path, origin)));
    Some(made(ValueKind::List(Arc::new(paths.collect::<Option<_>>()?)), origin))
}

/// The paths that a pattern in the last part stands for, sorted; None where they cannot be told.
pub(crate) fn matching(evaluator: &Evaluator<'_>, pattern: &FilePath) -> Option<Vec<FilePath>> {
    let (folder, name) = (pattern.parent()?, pattern.name()?);
    if name.contains(['[', '{']) || name.contains("**") || folder.path.contains(['*', '?', '[']) {
        return None;
    }
    let names = evaluator.list_folder(&folder)?;
    names.iter().filter(|found| fits(found, name)).map(|found| folder.join(found)).collect()
}

/// Whether a name fits a pattern of `*` and `?`.
fn fits(name: &str, pattern: &str) -> bool {
    let mut fit: Vec<bool> = vec![true];
    let name: Vec<char> = name.chars().collect();
    fit.resize(name.len() + 1, false);
    for wanted in pattern.chars() {
        let mut next = vec![false; name.len() + 1];
        if wanted == '*' {
            let mut open = false;
            for (here, before) in next.iter_mut().zip(&fit) {
                open |= before;
                *here = open;
            }
        } else {
            for (index, character) in name.iter().enumerate() {
                let same = wanted == '?' || wanted == *character;
                if let (Some(here), Some(true)) = (next.get_mut(index + 1), fit.get(index)) {
                    *here = same;
                }
            }
        }
        fit = next;
    }
    fit.last().copied().unwrap_or(false)
}

/// A call of a function that makes or reads paths.
pub(crate) fn call(evaluator: &Evaluator<'_>, name: &str, args: &[Arg], origin: &Origin) -> Option<Value> {
    if name.starts_with("django.") {
        return None;
    }
    let path_at = |values: &[&Value]| path_of(values.first()?);
    let text = |path: FilePath| Some(path_value(path.text(), origin));
    match name {
        "builtins.open" | "io.open" | "codecs.open" | "_io.open" => {
            let path = path_of(&args.first().filter(|arg| arg.kind == ArgKind::Positional)?.value)?;
            let by_name =
                args.iter().find(|arg| matches!(&arg.kind, ArgKind::Keyword(name) if name.as_str() == "mode"));
            let by_position = args.get(1).filter(|arg| arg.kind == ArgKind::Positional);
            let mode = match by_position.or(by_name) {
                Some(mode) => mode.value.as_str()?.to_string(),
                None => "r".to_owned(),
            };
            return Some(opened(path, &mode, origin));
        }
        "builtins.str" | "os.fspath" | "django.utils.encoding.force_str" => return text(path_at(&plain(args)?)?),
        "contextlib.closing" | "importlib.resources.as_file" | "importlib_resources.as_file" => {
            let values = plain(args)?;
            let [value] = values.as_slice() else { return None };
            let known = path_of(value).is_some() || open_file(value).is_some();
            return known.then(|| (*value).clone());
        }
        "os.listdir" => {
            let paths = listed(evaluator, &path_at(&plain(args)?)?, "*", origin)?;
            let names = paths.as_items()?.iter().map(|path| match &path.kind {
                ValueKind::Path(path) => path.name().map(|name| text_value(name, origin)),
                _ => None,
            });
            return Some(made(ValueKind::List(Arc::new(names.collect::<Option<_>>()?)), origin));
        }
        "glob.glob" | "glob.iglob" => {
            let path = path_at(&plain(args)?)?;
            let paths = listed(evaluator, &path.parent()?.text(), path.name()?, origin)?;
            return Some(paths);
        }
        _ => {}
    }
    if let Some(class) = name.strip_prefix("pathlib.") {
        if !matches!(class, "Path" | "PosixPath" | "PurePath" | "PurePosixPath") {
            return None;
        }
        let values = plain(args)?;
        let (first, rest) = values.split_first()?;
        let path = rest.iter().try_fold(path_of(first)?, |path, part| path.join(part.as_str()?))?;
        return Some(path_value(path.object(), origin));
    }
    if let Some(function) = name.strip_prefix("os.path.").or_else(|| name.strip_prefix("posixpath.")) {
        let values = plain(args)?;
        let path = path_at(&values)?.text();
        return match (function, values.as_slice()) {
            ("dirname", [_]) => text(path.parent()?),
            ("abspath" | "realpath" | "normpath", [_]) => text(path.normal()?),
            ("expanduser" | "expandvars" | "normcase", [_]) => text(path),
            ("basename", [_]) => Some(text_value(path.name()?, origin)),
            ("join", [_, rest @ ..]) => text(rest.iter().try_fold(path, |path, part| path.join(part.as_str()?))?),
            ("split", [_]) => {
                let pair = vec![path_value(path.parent()?, origin), text_value(path.name()?, origin)];
                Some(made(ValueKind::Tuple(Arc::new(pair)), origin))
            }
            ("splitext", [_]) => {
                let (stem, suffix) = path.split_name()?;
                let stem = path.parent()?.join(stem)?;
                let pair = vec![path_value(stem, origin), text_value(suffix, origin)];
                Some(made(ValueKind::Tuple(Arc::new(pair)), origin))
            }
            ("exists" | "isfile", [_]) if evaluator.read_file(&path).is_some() => {
                Some(made(ValueKind::Bool(true), origin))
            }
            _ => None,
        };
    }
    resource(evaluator, name, args, origin)
}

/// Files of a package, which is given by its name or as a module.
fn resource(evaluator: &Evaluator<'_>, name: &str, args: &[Arg], origin: &Origin) -> Option<Value> {
    const FUNCTIONS: [&str; 11] = [
        "files",
        "read_text",
        "read_binary",
        "open_text",
        "open_binary",
        "path",
        "get_data",
        "resource_string",
        "resource_filename",
        "resource_stream",
        "contents",
    ];
    let function = ["importlib.resources.", "importlib_resources.", "pkgutil.", "pkg_resources."]
        .iter()
        .find_map(|module| name.strip_prefix(module))?;
    if !FUNCTIONS.contains(&function) {
        return None;
    }
    let values = plain(args)?;
    let (package, rest) = values.split_first()?;
    let package = package.name().map(|name| name.to_string()).or_else(|| Some(package.as_str()?.to_string()))?;
    let folder = evaluator.package_folder(&package)?.object();
    let file = || rest.iter().try_fold(folder.clone(), |path, part| path.join(part.as_str()?));
    match (function, rest) {
        ("files", []) => Some(path_value(folder, origin)),
        ("read_text", [_, ..]) => {
            // The second text is an encoding up to Python 3.12.
            let path = folder.join(rest.first()?.as_str()?)?;
            Some(content(evaluator, &path, false, origin))
        }
        ("read_binary" | "get_data" | "resource_string", [_]) => Some(content(evaluator, &file()?, true, origin)),
        ("open_text", [_]) => Some(opened(file()?, "r", origin)),
        ("open_binary" | "resource_stream", [_]) => Some(opened(file()?, "rb", origin)),
        ("path", [_]) => Some(path_value(file()?, origin)),
        ("resource_filename", [_]) => Some(path_value(file()?.text(), origin)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_patterns() {
        let check = |name: &str, pattern: &str, expected: bool| {
            assert_eq!(fits(name, pattern), expected, "{name} {pattern}");
        };
        check("a.sql", "*", true);
        check("a.sql", "*.sql", true);
        check("a.sql", "a?sql", true);
        check("a.sql", "*.py", false);
        check("a.sql", "a.sq", false);
        check("", "*", true);
        check("", "?", false);
        check("0001_a.up.sql", "*_*.up.*", true);
    }

    #[test]
    fn paths_stay_in_their_folder() {
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(FilePath::new(0, path).relative().as_deref(), expected, "{path}");
        };
        check("shop/../sql/./a.sql", Some("sql/a.sql"));
        check("", Some(""));
        check("../a.sql", None);
        check("shop/../../a.sql", None);
    }
}

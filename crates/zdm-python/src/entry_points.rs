//! Entry points of installed distributions: `for plugin in entry_points(group="shop.plugins"): …`.
//!
//! Which there are is the loader's to say ([`ModuleLoader::entry_points`](crate::ModuleLoader::entry_points)). One of
//! them is a call of `importlib.metadata.EntryPoint` with its name, its value and its group.
//!
//! Sources: the Python documentation, `importlib.metadata`; setuptools, "Package Discovery and Resource Access using
//! `pkg_resources`"; the packaging guide, "Entry points specification".

use std::sync::Arc;

use crate::eval::Evaluator;
use crate::text::{Origin, Str};
use crate::value::{Arg, ArgKind, Call, Value, ValueKind};

/// A line of a distribution's `entry_points.txt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPoint {
    pub group: String,
    pub name: String,
    /// `shop_gifts.apps:GiftsConfig`, without the extras.
    pub value: String,
}

impl EntryPoint {
    /// Those of an `entry_points.txt`.
    pub fn read(text: &str) -> Vec<Self> {
        let mut group = None;
        let mut found = Vec::new();
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                group = Some(name.trim());
            } else if let (Some(group), Some((name, value))) = (group, line.split_once('='))
                && !line.starts_with(['#', ';'])
            {
                let value = value.split('[').next().unwrap_or_default().trim();
                found.push(Self { group: group.into(), name: name.trim().into(), value: value.into() });
            }
        }
        found
    }
}

const MODULES: [&str; 2] = ["importlib.metadata", "importlib_metadata"];

fn function_of(name: &str) -> Option<&str> {
    MODULES.iter().find_map(|module| name.strip_prefix(module)?.strip_prefix('.'))
}

/// A call of a function that gives entry points.
pub(crate) fn call(evaluator: &Evaluator<'_>, name: &str, args: &[Arg], origin: &Origin) -> Option<Value> {
    if name == "pkg_resources.iter_entry_points" {
        const PARAMETERS: [&str; 2] = ["group", "name"];
        return selected(evaluator, &given(args, &PARAMETERS)?, origin);
    }
    // Without a choice they come by group, or as one that `select` is asked of: they stay a call until then.
    if function_of(name)? != "entry_points" || args.is_empty() {
        return None;
    }
    selected(evaluator, &given(args, &[])?, origin)
}

/// A method of all entry points, or of one.
pub(crate) fn method(
    evaluator: &Evaluator<'_>,
    receiver: &Value,
    name: &str,
    args: &[Arg],
    origin: &Origin,
) -> Option<Value> {
    if let Some(point) = point_of(receiver) {
        if !matches!(name, "load" | "resolve") {
            return None;
        }
        let dotted = point.value.replace(' ', "").replace(':', ".");
        return Some(evaluator.resolve(&dotted, origin));
    }
    if !is_all(receiver) {
        return None;
    }
    match name {
        "select" => selected(evaluator, &given(args, &[])?, origin),
        "get" => of_group(evaluator, &args.first().filter(|arg| arg.kind == ArgKind::Positional)?.value, origin),
        _ => None,
    }
}

/// `entry_points()["shop.plugins"]`
pub(crate) fn subscript(evaluator: &Evaluator<'_>, of: &Value, index: &Value, origin: &Origin) -> Option<Value> {
    if is_all(of) { of_group(evaluator, index, origin) } else { None }
}

/// An attribute of one entry point.
pub(crate) fn attribute(of: &Value, name: &str, origin: &Origin) -> Option<Value> {
    let point = point_of(of)?;
    let (module, attribute) = point.value.split_once(':').unwrap_or((&point.value, ""));
    let text = match name {
        "name" => &point.name,
        "value" => &point.value,
        "group" => &point.group,
        "module" | "module_name" => module.trim(),
        "attr" => attribute.trim(),
        _ => return None,
    };
    Some(made_text(text, origin))
}

/// `entry_points()`, of whatever module.
fn is_all(value: &Value) -> bool {
    let Some(call) = value.as_call().filter(|call| call.args.is_empty()) else { return false };
    call.callee.name().is_some_and(|name| function_of(&name) == Some("entry_points"))
}

fn point_of(value: &Value) -> Option<EntryPoint> {
    let call = value.as_call().filter(|call| call.callee.is_symbol("importlib.metadata.EntryPoint"))?;
    let text = |place: usize| Some(call.positional(place)?.value.as_str()?.to_string());
    Some(EntryPoint { name: text(0)?, value: text(1)?, group: text(2)? })
}

fn of_group(evaluator: &Evaluator<'_>, group: &Value, origin: &Origin) -> Option<Value> {
    let wanted = vec![("group".to_owned(), group.as_str()?.to_string())];
    selected(evaluator, &wanted, origin)
}

/// The arguments by name; None where one is no text or chooses by something else.
fn given(args: &[Arg], parameters: &[&str]) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    for (place, arg) in args.iter().enumerate() {
        let name = match &arg.kind {
            ArgKind::Positional => (*parameters.get(place)?).to_owned(),
            ArgKind::Keyword(name) => name.to_string(),
            ArgKind::Unpack | ArgKind::UnpackMapping => return None,
        };
        match &arg.value.kind {
            ValueKind::None if name == "name" => {}
            _ if matches!(name.as_str(), "group" | "name") => found.push((name, arg.value.as_str()?.to_string())),
            _ => return None,
        }
    }
    Some(found)
}

/// Those that have what is wanted, as a tuple.
fn selected(evaluator: &Evaluator<'_>, wanted: &[(String, String)], origin: &Origin) -> Option<Value> {
    let fits = |point: &EntryPoint| {
        wanted.iter().all(|(name, text)| *text == *if name == "group" { &point.group } else { &point.name })
    };
    let points = evaluator.entry_points()?;
    let values = points.iter().filter(|point| fits(point)).map(|point| made_point(point, origin));
    Some(Value::new(ValueKind::Tuple(Arc::new(values.collect())), origin.clone()))
}

fn made_point(point: &EntryPoint, origin: &Origin) -> Value {
    let argument = |text: &str| {
        let value = made_text(text, origin);
        Arg { kind: ArgKind::Positional, span: value.span(), value }
    };
    let args = vec![argument(&point.name), argument(&point.value), argument(&point.group)];
    let callee = Value::new(ValueKind::Symbol("importlib.metadata.EntryPoint".into()), origin.clone());
    Value::new(ValueKind::Call(Arc::new(Call { callee, args })), origin.clone())
}

fn made_text(text: &str, origin: &Origin) -> Value {
    Value::new(ValueKind::Str(Str::made(text, origin.clone())), origin.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_entry_points_is_read() {
        let text =
            "# by hand\n[shop.plugins]\ngifts = shop_gifts.apps:Config [extra]\n\n[console_scripts]\nshop=shop:main\n";
        let point = |group: &str, name: &str, value: &str| EntryPoint {
            group: group.to_owned(),
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let expected =
            [point("shop.plugins", "gifts", "shop_gifts.apps:Config"), point("console_scripts", "shop", "shop:main")];
        assert_eq!(EntryPoint::read(text), expected);
        assert_eq!(EntryPoint::read("gifts = nowhere\n[open\nx"), []);
    }
}

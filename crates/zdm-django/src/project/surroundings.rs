//! Settings that packages give their defaults: those that read the environment's variables, and django-appconf.
//!
//! None of the variables is known here, so that each setting has its default, where it has one.
//!
//! Sources: the documentation and signatures of python-decouple's `config` and django-environ's `Env`; the documentation
//! of django-appconf's `AppConf`.

use std::sync::Arc;

use zdm_python::{Arg, ArgKind, Evaluator, Int, Module, Value, ValueKind};

use super::sources::argument;

/// `decouple.config(option, default, cast)`: the default is cast like any value.
pub(super) fn decoupled(args: &[Arg]) -> Option<ValueKind> {
    let default = argument(args, 1, "default")?;
    let Some(cast) = argument(args, 2, "cast") else { return Some(default.kind.clone()) };
    let text = match &default.kind {
        ValueKind::Str(text) => Some(text.as_str()),
        _ => None,
    };
    match &cast.kind {
        ValueKind::Symbol(name) => match (&**name, text) {
            ("builtins.bool", Some(text)) => truth(text).map(ValueKind::Bool),
            ("builtins.bool", None) => default.as_bool().map(ValueKind::Bool),
            ("builtins.int", Some(text)) => Some(ValueKind::Int(Int::Small(text.trim().parse().ok()?))),
            ("builtins.int", None) => default.as_int().map(|number| ValueKind::Int(Int::Small(number))),
            ("builtins.str", Some(_)) => Some(default.kind.clone()),
            _ => None,
        },
        ValueKind::Call(call) if call.callee.is_symbol("decouple.Csv") && call.args.is_empty() => {
            let text = text?;
            // Quotes and escapes are a shell's.
            if text.contains(['"', '\'', '\\']) {
                return None;
            }
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            let part = |part: &str| {
                let text = zdm_python::Str::made(part, default.origin.clone());
                Value::new(ValueKind::Str(text), default.origin.clone())
            };
            Some(ValueKind::List(Arc::new(parts.map(part).collect())))
        }
        _ => None,
    }
}

/// What python-decouple takes for true and false.
fn truth(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "y" | "yes" | "t" | "true" | "on" | "1" => Some(true),
        "" | "n" | "no" | "f" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// A call of an object: of `environ.Env(…)` or one of its methods, or of an object of `decouple.Config`.
pub(super) fn call_of(callee: &Value, args: &[Arg]) -> Option<ValueKind> {
    let (object, method) = match &callee.kind {
        ValueKind::Attribute(attribute) => (&attribute.value, attribute.name.as_str()),
        _ => (callee, ""),
    };
    let made = object.as_call()?;
    match &*made.callee.name()? {
        "environ.Env" | "environ.environ.Env" | "environ.FileAwareEnv" => environ(&made.args, method, args),
        "decouple.Config" | "decouple.AutoConfig" if matches!(method, "" | "get") => decoupled(args),
        _ => None,
    }
}

/// `env("NAME", default=…)`: the default is given back as it is, without the cast.
fn environ(scheme: &[Arg], method: &str, args: &[Arg]) -> Option<ValueKind> {
    let position = match method {
        "" | "get_value" | "list" | "tuple" | "dict" => 2,
        "str" | "unicode" | "bytes" | "bool" | "int" | "float" | "json" => 1,
        // Those that take addresses apart.
        _ => return None,
    };
    if argument(args, 4, "parse_default").is_some_and(|parse| parse.as_bool() != Some(false)) {
        return None;
    }
    if let Some(default) = argument(args, position, "default") {
        return Some(default.kind.clone());
    }
    let variable = argument(args, 0, "var")?.as_str()?;
    let own = scheme.iter().find(|arg| matches!(&arg.kind, ArgKind::Keyword(name) if name == variable))?;
    // The scheme's entry is a type, or a type and a default.
    match own.value.as_items()? {
        [_, default] if matches!(own.value.kind, ValueKind::Tuple(_)) => Some(default.kind.clone()),
        _ => None,
    }
}

/// The settings that the `AppConf` classes of a module set where nothing else does: prefix and name.
pub(super) fn appconf(evaluator: &Evaluator<'_>, module: &Module) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    if !module.file().text().contains("AppConf") {
        return found;
    }
    for (_, value) in evaluator.globals(module) {
        let Some(class) = value.as_class().filter(|class| class.module == *module) else { continue };
        let body = evaluator.class_body(class);
        let is_base = |base: &Value| base.is_symbol("appconf.AppConf") || base.is_symbol("appconf.base.AppConf");
        if !body.bases.iter().any(is_base) {
            continue;
        }
        let meta = body.get("Meta").and_then(Value::as_class).map(|meta| evaluator.class_body(meta));
        let meta = |name: &str| meta.as_ref().and_then(|meta| meta.get(name)).cloned();
        // Another object than Django's settings holds them.
        if meta("holder").is_some() {
            continue;
        }
        let prefix = match meta("prefix") {
            Some(prefix) => prefix.as_str().map(ToString::to_string),
            None => module.name().rsplit('.').nth(1).map(str::to_owned),
        };
        let Some(prefix) = prefix.map(|prefix| prefix.to_uppercase()) else { continue };
        for (name, value) in &body.bindings {
            let upper = name.chars().any(char::is_uppercase) && !name.chars().any(char::is_lowercase);
            // A method makes something else of it.
            if !upper || body.get(&format!("configure_{}", name.to_lowercase())).is_some() {
                continue;
            }
            let setting = if name.starts_with(prefix.as_str()) { name.to_string() } else { format!("{prefix}_{name}") };
            found.push((setting, value.clone()));
        }
    }
    found
}

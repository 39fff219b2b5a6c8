//! What a field's own classes make of a value on its way to the database: of the default of a new column.
//!
//! Django hands a default to `get_db_prep_save()`, which asks `get_db_prep_value()`, that one `get_prep_value()`, and
//! that one, for most classes, `to_python()`. Methods of the project are run on the value; where what they return is
//! not known, the value is not.

use std::cell::Cell;
use std::sync::Arc;

use zdm_python as python;
use zdm_python::{Arg, ArgKind, ClassRef, Origin, ValueKind};

use super::Extractor;
use super::arguments::Arguments;
use crate::field::STORED_DEFAULT;

/// Methods that change a value on its way to the database.
const VALUE_METHODS: [&str; 4] = ["get_db_prep_save", "get_db_prep_value", "get_prep_value", "to_python"];

/// Calls of methods by methods go no deeper.
const MAX_DEPTH: u8 = 16;

/// A field whose methods are run.
struct Conversion<'c> {
    /// The classes of the project, nearest first.
    line: &'c [ClassRef],
    /// The class of Django behind them.
    base: &'c str,
    /// Whether a value has gone through the conversion of Django's class.
    through_base: Cell<bool>,
}

impl Extractor<'_> {
    /// Puts what the field's classes store in place of what is written as its default.
    pub(super) fn store_default(&self, line: &[ClassRef], base: &str, arguments: &mut Arguments, origin: &Origin) {
        let own = |names: &[&str]| {
            line.iter().any(|class| {
                let body = self.evaluator().class_body(class);
                names.iter().any(|name| body.get(name).is_some())
            })
        };
        let value = |kind: ValueKind| python::Value::new(kind, origin.clone());
        let unknown = || value(ValueKind::Unknown(python::Why::Dynamic("the field's class makes the value")));
        let provided = |name: &str| {
            let is_provided = |value: &&python::Value| !value.name().is_some_and(|name| name.ends_with("NOT_PROVIDED"));
            arguments.value(name).filter(is_provided).cloned()
        };
        let mut given = provided("default");
        let by_database = provided("db_default").is_some();
        // Django asks for the default where one is given, be it `None`.
        if own(&["_get_default", "get_default"])
            && let Some(written) = &given
        {
            let Some(made) = self.made_default(line, written) else {
                arguments.set(if written.is_none() { STORED_DEFAULT } else { "default" }, unknown());
                return;
            };
            arguments.set("default", made.clone());
            given = Some(made);
        }
        if !own(&VALUE_METHODS) || by_database {
            return;
        }
        let is = |name: &str| arguments.value(name).and_then(python::Value::truth) == Some(true);
        let start = match &given {
            Some(given) => called(given),
            None if is("auto_now") || is("auto_now_add") => return,
            None if is("blank") && !is("null") && holds_text(base) => {
                value(ValueKind::Str(python::Str::made("", origin.clone())))
            }
            None => value(ValueKind::None),
        };
        let mut known: Vec<(Arc<str>, python::Value)> = Vec::new();
        for name in ["blank", "db_index", "null", "primary_key", "unique"] {
            if let Some(truth) = arguments.value(name).map_or(Some(false), python::Value::truth) {
                known.push((Arc::from(format!("self.{name}")), value(ValueKind::Bool(truth))));
            }
        }
        for name in ["choices", "default", "max_length"] {
            if let Some(argument) = arguments.value(name).filter(|argument| argument.is_constant()) {
                known.push((Arc::from(format!("self.{name}")), argument.clone()));
            }
        }
        let conversion = Conversion { line, base, through_base: Cell::new(false) };
        let stored = self.evaluator().knowing(known, || {
            self.converted(&conversion, "get_db_prep_save", 0, std::slice::from_ref(&start), MAX_DEPTH)
        });
        let stored = stored.filter(|stored| conversion.through_base.get() || fits(base, stored));
        match stored {
            Some(stored) if is_same(&stored, &start) => {}
            Some(stored) if fits(base, &stored) => {
                arguments.set(if given.is_some() { "default" } else { STORED_DEFAULT }, stored);
            }
            _ if given.is_some_and(|value| !value.is_none()) => arguments.set("default", unknown()),
            _ => arguments.set(STORED_DEFAULT, unknown()),
        }
    }

    /// What the field's own `get_default()` returns; None where that is not known.
    fn made_default(&self, line: &[ClassRef], written: &python::Value) -> Option<python::Value> {
        let bodies: Vec<_> = line.iter().map(|class| self.evaluator().class_body(class)).collect();
        if bodies.iter().any(|body| body.get("_get_default").is_some()) {
            return None;
        }
        let mut methods = bodies.iter().filter_map(|body| body.get("get_default"));
        let method = methods.next()?;
        let function = method.as_function().filter(|function| function.function().decorators.is_empty())?;
        let itself = python::Value::new(ValueKind::Symbol(Arc::from("self")), method.origin.clone());
        let args = [Arg { kind: ArgKind::Positional, span: itself.span(), value: itself }];
        let known = vec![(Arc::from("self.default"), written.clone())];
        let returned = self.evaluator().knowing(known, || match methods.next() {
            None => self.evaluator().returns_over(function, &args, "get_default", called(written)),
            Some(_) => self.evaluator().returns(function, &args),
        });
        returned.is_constant().then_some(returned)
    }

    /// What a method of the field returns, looked for from the class at `from` on; None where that is not known.
    fn converted(
        &self,
        conversion: &Conversion<'_>,
        method: &str,
        from: usize,
        args: &[python::Value],
        depth: u8,
    ) -> Option<python::Value> {
        let depth = depth.checked_sub(1)?;
        let found = conversion.line.iter().enumerate().skip(from).find_map(|(index, class)| {
            let method = self.evaluator().class_body(class).get(method)?.clone();
            Some((index, method))
        });
        let Some((index, own)) = found else {
            return self.converted_by_django(conversion, method, args.first()?, depth);
        };
        let function = own.as_function().filter(|function| function.function().decorators.is_empty())?;
        let positional = |value: python::Value| Arg { kind: ArgKind::Positional, span: value.span(), value };
        let mut all = vec![positional(python::Value::new(ValueKind::Symbol(Arc::from("self")), own.origin.clone()))];
        all.extend(args.iter().cloned().map(positional));
        // `get_db_prep_value(value, connection, prepared=False)`.
        if matches!(method, "get_db_prep_save" | "get_db_prep_value") && args.len() == 1 {
            let connection = ValueKind::Symbol(Arc::from("django.db.connection"));
            all.push(positional(python::Value::new(connection, own.origin.clone())));
        }
        let mut returned = self.evaluator().returns(function, &all);
        if !returned.is_constant() {
            // What a base's method makes of the value may decide what is returned.
            let sites = self.evaluator().calls_with(function, &all);
            let mut of_base = sites.iter().filter_map(|site| {
                let call = site.call.as_call()?;
                let (name, receiver) = method_of(call)?;
                (name == method && receiver == Receiver::Base).then(|| given_value(call)).flatten()
            });
            if let Some(first) = of_base.next()
                && of_base.all(|other| is_same(&other, &first))
                && let Some(of_base) = self.converted(conversion, method, index + 1, &[first], depth)
            {
                returned = self.evaluator().returns_over(function, &all, method, of_base);
            }
        }
        let called = self.evaluator().substitute(&returned, &|value| {
            let call = value.as_call()?;
            if passes_none_on(call) {
                return Some(ValueKind::None);
            }
            let (name, receiver) = method_of(call)?;
            let from = if receiver == Receiver::Base { index + 1 } else { 0 };
            let prepared = call.keyword("prepared").or_else(|| call.positional(2));
            if name == "get_db_prep_value" && prepared.is_some_and(|arg| arg.value.truth() != Some(false)) {
                return given_value(call).map(|value| value.kind);
            }
            self.converted(conversion, &name, from, &[given_value(call)?], depth).map(|value| value.kind)
        });
        let same = args.first().is_some_and(|arg| arg.origin == called.origin && is_same(arg, &called));
        (same || called.is_constant()).then_some(called)
    }

    /// What the method of Django's class makes of a value. Its conversion is done where the literal is written.
    fn converted_by_django(
        &self,
        conversion: &Conversion<'_>,
        method: &str,
        value: &python::Value,
        depth: u8,
    ) -> Option<python::Value> {
        let value = value.clone();
        match method {
            "get_db_prep_save" => self.converted(conversion, "get_db_prep_value", 0, &[value], depth),
            "get_db_prep_value" => self.converted(conversion, "get_prep_value", 0, &[value], depth),
            "get_prep_value" if asks_to_python(conversion.base) => {
                self.converted(conversion, "to_python", 0, &[value], depth)
            }
            "get_prep_value" | "to_python" => {
                conversion.through_base.set(true);
                Some(value)
            }
            _ => None,
        }
    }
}

#[derive(PartialEq)]
enum Receiver {
    Itself,
    Base,
}

/// `self.name(…)` or `super().name(…)`, or the same of a class of Django's.
fn method_of(call: &python::Call) -> Option<(String, Receiver)> {
    if let Some((receiver, method)) = call.method() {
        let of_super = receiver.as_call().is_some_and(|call| call.callee.is_symbol("builtins.super"));
        return of_super.then(|| (method.to_string(), Receiver::Base));
    }
    let name = call.name()?;
    let (owner, method) = name.rsplit_once('.')?;
    let receiver = match owner {
        "self" => Receiver::Itself,
        _ if owner.starts_with("django.") && call.args.first()?.value.is_symbol("self") => Receiver::Base,
        _ => return None,
    };
    Some((method.to_owned(), receiver))
}

/// `models.DateTimeField().get_prep_value(None)`: no class of Django's makes anything of `None`.
fn passes_none_on(call: &python::Call) -> bool {
    let Some((receiver, method)) = call.method() else { return false };
    let of_django = receiver.as_call().and_then(python::Call::name);
    VALUE_METHODS.contains(&method.as_str())
        && of_django.is_some_and(|name| name.starts_with("django.db.models.") && name.ends_with("Field"))
        && call.args.first().is_some_and(|arg| arg.value.is_none())
}

/// The value that such a call is about.
fn given_value(call: &python::Call) -> Option<python::Value> {
    let itself = call.args.first().is_some_and(|arg| arg.value.is_symbol("self"));
    call.arg(usize::from(itself), "value").map(|arg| arg.value.clone())
}

/// What a default is when Django has called it, where it is an empty value of Python's.
fn called(default: &python::Value) -> python::Value {
    let kind = match default.name().as_deref().and_then(|name| name.strip_prefix("builtins.")) {
        Some("bool") => ValueKind::Bool(false),
        Some("dict") => ValueKind::Dict(Arc::default()),
        Some("int") => ValueKind::Int(python::Int::Small(0)),
        Some("list") => ValueKind::List(Arc::default()),
        Some("str") => ValueKind::Str(python::Str::made("", default.origin.clone())),
        _ => return default.clone(),
    };
    python::Value::new(kind, default.origin.clone())
}

/// Equal and of one type: `True` is not 1 here.
fn is_same(one: &python::Value, other: &python::Value) -> bool {
    let one_kind = std::mem::discriminant(&one.kind) == std::mem::discriminant(&other.kind);
    one_kind && (one.equals(other) == Some(true) || one.origin == other.origin && !one.is_constant())
}

/// `Field.empty_strings_allowed` of Django's class.
fn holds_text(base: &str) -> bool {
    matches!(
        base,
        "CharField"
            | "CICharField"
            | "CIEmailField"
            | "CITextField"
            | "EmailField"
            | "Field"
            | "FileField"
            | "FilePathField"
            | "ImageField"
            | "SlugField"
            | "TextField"
            | "URLField"
    )
}

/// Whether a value is of the type that the driver gets for a column of Django's class; None always is.
fn fits(base: &str, value: &python::Value) -> bool {
    match &value.kind {
        ValueKind::None => true,
        ValueKind::Str(_) => holds_text(base),
        ValueKind::Int(_) => base.ends_with("IntegerField") || base.ends_with("AutoField"),
        ValueKind::Bool(_) => base == "BooleanField",
        ValueKind::Float(_) => base == "FloatField",
        _ => false,
    }
}

/// The classes whose `get_prep_value()` or `get_db_prep_value()` asks `to_python()`.
fn asks_to_python(base: &str) -> bool {
    matches!(
        base,
        "BooleanField"
            | "CharField"
            | "CICharField"
            | "CIEmailField"
            | "CITextField"
            | "DateField"
            | "DateTimeField"
            | "DecimalField"
            | "EmailField"
            | "SlugField"
            | "TextField"
            | "TimeField"
            | "URLField"
            | "UUIDField"
    )
}

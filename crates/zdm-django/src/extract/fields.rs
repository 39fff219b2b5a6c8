//! Field calls, their classes and their arguments.
//!
//! A class of the project is followed through its bases to a class of Django: its `__init__` is run on the arguments
//! up to the call of the base's, `get_internal_type` and `db_type` are asked for constants.

use std::collections::BTreeMap;
use std::sync::Arc;

use zdm_python as python;
use zdm_python::syntax::{ExprId, ExprKind, Stmt, StmtKind};
use zdm_python::{ArgKind, ClassRef, Module, ValueKind};
use zdm_source::Span;

use super::arguments::{Arguments, Reason};
use super::convert;
use super::{Extractor, signature};
use crate::field::{Field, FieldClass, FieldKind};
use crate::third_party::{self, FieldFact, Literal};
use crate::value::Value;

/// What a class comes down to.
struct Resolved {
    kind: FieldKind,
    arguments: Arguments,
}

impl Extractor<'_> {
    /// A field by its name in the model.
    pub(super) fn field(&self, name: &str, value: &python::Value, module: &Module, place: Span) -> Field {
        let span = if value.origin.module == *module { value.span() } else { place };
        let name: Arc<str> = Arc::from(name);
        let unknown = |written: &str, reason: String| Field {
            name: Arc::clone(&name),
            class: FieldClass { written: Arc::from(written), kind: FieldKind::Unknown { reason: reason.into() } },
            kwargs: Arc::default(),
            span,
        };
        let ValueKind::Call(call) = &value.kind else {
            return unknown("", convert::reason(value));
        };
        let callee = self.imported(&call.callee);
        let Some(written) = convert::callee_name(&callee) else {
            return unknown("", convert::reason(&callee));
        };
        let resolved = self.resolve_field(&callee, &written, &call.args);
        let mut kind = resolved.kind;
        if let Some(reason) = &resolved.arguments.unknown {
            kind = FieldKind::Unknown { reason: Arc::from(reason.as_str()) };
        }
        let mut kwargs = BTreeMap::new();
        for argument in &resolved.arguments.named {
            kwargs.insert(Arc::clone(&argument.name), self.field_value(&argument.name, &argument.value));
        }
        Field { name, class: FieldClass { written, kind }, kwargs: Arc::new(kwargs), span }
    }

    /// The value of a field's argument; `base_field` and `output_field` are fields themselves.
    fn field_value(&self, name: &str, value: &python::Value) -> Value {
        match name {
            "base_field" | "output_field" => self.normal_field_call(value),
            "through" | "to" => convert::value(&self.named_model(value)),
            _ => convert::value(value),
        }
    }

    /// A model that a function gives, by the name with which a relation speaks of it.
    fn named_model(&self, value: &python::Value) -> python::Value {
        let symbol = |name: &str| Some(ValueKind::Symbol(Arc::from(name)));
        self.evaluator().substitute(value, &|part| {
            if part.is_symbol("swapper.load_model") {
                return symbol("swapper.get_model_name");
            }
            let call = part.as_call()?;
            match &*call.name()? {
                "django.contrib.auth.get_user_model" => symbol("django.conf.settings.AUTH_USER_MODEL"),
                "django.apps.apps.get_model" => {
                    let texts: Option<Vec<&str>> =
                        call.args.iter().map(|arg| Some(arg.value.as_str()?.as_str())).collect();
                    let name = texts.filter(|texts| matches!(texts.len(), 1 | 2))?.join(".");
                    Some(ValueKind::Str(python::Str::made(name, part.origin.clone())))
                }
                _ => None,
            }
        })
    }

    /// A call of a field class with its arguments named, under the name of the Django class that it behaves as.
    fn normal_field_call(&self, value: &python::Value) -> Value {
        let converted = convert::value(value);
        let (ValueKind::Call(call), Value::Call(data)) = (&value.kind, &converted) else { return converted };
        let resolved = self.resolve_field(&call.callee, &data.callee, &call.args);
        let FieldKind::Django(class) = &resolved.kind else { return converted };
        if resolved.arguments.unknown.is_some() {
            return converted;
        }
        let named = |argument: &super::arguments::Named| {
            (Arc::clone(&argument.name), self.field_value(&argument.name, &argument.value))
        };
        let callee = if data.callee.starts_with("django.") {
            Arc::clone(&data.callee)
        } else {
            format!("django.db.models.{class}").into()
        };
        Value::Call(Arc::new(crate::value::Call {
            callee,
            args: Vec::new(),
            kwargs: resolved.arguments.named.iter().map(named).collect(),
            span: data.span,
        }))
    }

    fn resolve_field(&self, callee: &python::Value, written: &str, args: &[python::Arg]) -> Resolved {
        if let Some(resolved) = self.known_class(written, args, &callee.origin) {
            return resolved;
        }
        match &callee.kind {
            ValueKind::Class(class) => self.project_class(class, args),
            _ => unknown(format!("the class `{written}` is not known"), args),
        }
    }

    /// A class of Django, or one that the table of third-party classes has.
    fn known_class(&self, written: &str, args: &[python::Arg], origin: &python::Origin) -> Option<Resolved> {
        let class = written.rsplit('.').next().unwrap_or(written);
        if written.starts_with("django.") {
            let kind = match class {
                "GenericForeignKey" | "GenericRelation" if written.starts_with("django.contrib.contenttypes.") => {
                    FieldKind::NoColumn
                }
                // Removed in Django 4.0 for all but old migrations, in which it is a nullable `BooleanField`.
                "NullBooleanField" => {
                    let mut arguments = Arguments::new(args, signature::field(class));
                    for name in ["null", "blank"] {
                        arguments.set(name, python::Value::new(ValueKind::Bool(true), origin.clone()));
                    }
                    return Some(Resolved { kind: FieldKind::Django(Arc::from("BooleanField")), arguments });
                }
                _ if signature::is_field(class) => FieldKind::Django(Arc::from(class)),
                _ => return None,
            };
            return Some(Resolved { kind, arguments: Arguments::new(args, signature::field(class)) });
        }
        if written.starts_with("wagtail.") && class == "StreamField" {
            return stream_field(args);
        }
        if written == "django_cryptography.fields.encrypt" {
            return self.encrypted(args);
        }
        let resolved = match third_party::field(written)? {
            FieldFact::As(base, defaults) => {
                let mut arguments = Arguments::new(args, signature::field(base));
                for (name, literal) in defaults {
                    if arguments.value(name).is_none() {
                        arguments.set(name, python::Value::new(literal_kind(*literal, origin), origin.clone()));
                    }
                }
                Resolved { kind: FieldKind::Django(Arc::from(base)), arguments }
            }
            FieldFact::Column(template) => {
                let parameters = match template.split_once('{').and_then(|(_, rest)| rest.split_once('}')) {
                    Some((name, _)) => vec!["verbose_name", name],
                    None => signature::field("Field").to_vec(),
                };
                let arguments = Arguments::new(args, &parameters);
                let kind = column_type(template, &arguments);
                Resolved { kind, arguments }
            }
            FieldFact::NoColumn => {
                Resolved { kind: FieldKind::NoColumn, arguments: Arguments::new(args, signature::field("Field")) }
            }
        };
        Some(resolved)
    }

    /// `encrypt(models.CharField(…))` of django-cryptography: the field's options on a column of bytes.
    fn encrypted(&self, args: &[python::Arg]) -> Option<Resolved> {
        let inner = args.first()?.value.as_call()?;
        let written = convert::callee_name(&inner.callee)?;
        let resolved = self.resolve_field(&inner.callee, &written, &inner.args);
        let FieldKind::Django(_) = resolved.kind else { return Some(resolved) };
        let kind = FieldKind::Custom { db_type: Arc::from("bytea"), behaves_as: Some(Arc::from("BinaryField")) };
        Some(Resolved { kind, arguments: resolved.arguments })
    }

    /// A class of the project, or of a package whose source is at hand.
    fn project_class(&self, class: &ClassRef, args: &[python::Arg]) -> Resolved {
        let (line, base) = self.lineage(class);
        let args = match self.rebuilt(&line, args) {
            Ok(args) => args,
            Err(reason) => return unknown(reason, args),
        };
        let resolved = self.followed(class, &line, base.as_ref(), &args);
        let bodies: Vec<_> = line.iter().map(|class| self.evaluator().class_body(class)).collect();
        if !bodies.iter().any(|body| body.get("__init__").is_some()) {
            return resolved;
        }
        let (FieldKind::Django(base_class) | FieldKind::Custom { behaves_as: Some(base_class), .. }) = &resolved.kind
        else {
            return resolved;
        };
        // An argument that is the default of Django's class is left out when the field is taken apart; then it is the
        // default of the project's class that counts.
        let written_back = |name: &str| {
            bodies.iter().filter_map(|body| body.get("deconstruct")?.as_function()).any(|function| {
                let text = function.module.text(function.function().span);
                text.contains(&format!("\"{name}\"")) || text.contains(&format!("'{name}'"))
            })
        };
        let left_out = |arg: &python::Arg| match &arg.kind {
            ArgKind::Keyword(name) => {
                let value = resolved.arguments.value(name);
                value.is_some_and(|value| is_left_out(base_class, name, value)) && !written_back(name)
            }
            _ => false,
        };
        let left: Vec<python::Arg> = args.iter().filter(|arg| !left_out(arg)).cloned().collect();
        if left.len() == args.len() { resolved } else { self.followed(class, &line, base.as_ref(), &left) }
    }

    /// What a class comes down to through its bases of the project, with these arguments.
    fn followed(
        &self,
        class: &ClassRef,
        line: &[ClassRef],
        base: Option<&python::Value>,
        args: &[python::Arg],
    ) -> Resolved {
        let origin = python::Origin::new(&class.module, class.class().name);
        let mut args = args.to_vec();
        let mut column: Option<FieldKind> = None;
        let mut internal: Option<Result<Arc<str>, Reason>> = None;
        let mut default = OwnDefault::No;
        let mut own: BTreeMap<&'static str, python::Value> = BTreeMap::new();
        for (index, class) in line.iter().enumerate() {
            // What stands between a class and its base may be in the table of third-party classes itself.
            if let Some(mut resolved) = self.known_class(&class.name(), &args, &origin) {
                apply_overrides(&mut resolved.kind, column, internal);
                set_all(&mut resolved.arguments, own);
                self.own_default(default, line.get(..index).unwrap_or_default(), &mut resolved, &origin);
                return resolved;
            }
            let body = self.evaluator().class_body(class);
            if let Some(name) = OVERRIDES
                .iter()
                .find(|name| body.get(name).is_some() && !only_adds(&body, name) && !makes_its_like(&body, name))
            {
                return unknown(format!("`{}` has a `{name}` of its own", class.name()), &args);
            }
            let set = self.set_by_init(&body, &args);
            for attribute in assigned_to_self(&body) {
                if attribute == "default" {
                    default = OwnDefault::Always;
                } else if !set.iter().any(|(name, _)| *name == attribute) {
                    return unknown(format!("`{}` sets its `{attribute}` itself", class.name()), &args);
                }
            }
            for (name, value) in set {
                // What a class sets goes before what its base has set.
                own.entry(name).or_insert(value);
            }
            if body.get("has_default").is_some() {
                default = OwnDefault::Always;
            }
            let empty = body.get("empty_strings_allowed").map(python::Value::truth);
            if empty.is_some_and(|empty| empty != Some(true)) && Arguments::new(&args, &[]).value("blank").is_some() {
                return unknown(format!("`{}` has its own `empty_strings_allowed`", class.name()), &args);
            }
            if column.is_none()
                && let Some(method) = body.get("db_type")
            {
                column = self.db_type(class, method, line);
            }
            if let Some(method) = body.get("db_parameters") {
                match self.db_parameters(method, self.kept_by_init(&body, &args)) {
                    Some(Parameters { db_type, collation }) => {
                        if column.is_none()
                            && let Some(db_type) = db_type
                        {
                            column = Some(FieldKind::Custom { db_type, behaves_as: None });
                        }
                        if let Some(collation) = collation {
                            own.entry("db_collation").or_insert(collation);
                        }
                    }
                    None => return unknown(format!("`{}` has a `db_parameters` of its own", class.name()), &args),
                }
            }
            if internal.is_none()
                && let Some(method) = body.get("get_internal_type")
            {
                internal = self.internal_type(class, method, line);
            }
            if let Some(method) = body.get("__init__") {
                match self.base_arguments(class, method, &args) {
                    Ok(changed) => args = changed,
                    Err(reason) => return unknown(reason, &args),
                }
            }
        }
        let Some(base) = base else {
            return match column {
                Some(kind) => Resolved { kind, arguments: Arguments::new(&args, signature::field("Field")) },
                None => unknown(format!("the bases of `{}` are not known", class.name()), &args),
            };
        };
        let written = convert::callee_name(base).unwrap_or_else(|| Arc::from(""));
        let Some(mut resolved) = self.known_class(&written, &args, &origin) else {
            return match column {
                Some(kind) => Resolved { kind, arguments: Arguments::new(&args, signature::field("Field")) },
                None => unknown(format!("`{written}`, a base of `{}`, is not known", class.name()), &args),
            };
        };
        let plain = matches!(&resolved.kind, FieldKind::Django(class) if &**class == "Field");
        apply_overrides(&mut resolved.kind, column, internal);
        set_all(&mut resolved.arguments, own);
        if plain && matches!(&resolved.kind, FieldKind::Django(class) if &**class == "JSONField") {
            blank_json(&mut resolved.arguments, &origin);
        }
        self.own_default(default, line, &mut resolved, &origin);
        resolved
    }

    /// What the classes of a field make of its default.
    fn own_default(&self, default: OwnDefault, line: &[ClassRef], resolved: &mut Resolved, origin: &python::Origin) {
        if default == OwnDefault::Always {
            let why = python::Why::Dynamic("the field's class makes the value");
            resolved.arguments.set("default", python::Value::new(ValueKind::Unknown(why), origin.clone()));
            return;
        }
        let base = match &resolved.kind {
            FieldKind::Django(class) => Arc::clone(class),
            FieldKind::Custom { behaves_as, .. } => behaves_as.clone().unwrap_or_else(|| Arc::from("Field")),
            FieldKind::NoColumn | FieldKind::Unknown { .. } => return,
        };
        self.store_default(line, &base, &mut resolved.arguments, origin);
    }

    /// The attributes that an `__init__` gives a known value in any case, behind the call of its base's: the field has
    /// them whatever the arguments say.
    fn set_by_init(&self, body: &python::ClassBody, args: &[python::Arg]) -> Vec<(&'static str, python::Value)> {
        const SETTABLE: [&str; 7] =
            ["blank", "db_index", "db_tablespace", "decimal_places", "max_digits", "max_length", "null"];
        let Some(method) = body.get("__init__") else { return Vec::new() };
        let Some(function) = method.as_function() else { return Vec::new() };
        let text = function.module.text(function.function().span);
        let joins = body.get("contribute_to_class").map(|method| self.sets_on_itself(method));
        if text.contains("setattr(") || text.contains("__dict__") || joins == Some(true) {
            return Vec::new();
        }
        let all = with_self(method, args);
        let base_call = self.evaluator().calls_with(function, &all).iter().position(|site| {
            !site.conditional && site.call.as_call().is_some_and(|call| super::is_base_call(call, "__init__"))
        });
        let Some(base_call) = base_call else { return Vec::new() };
        let mut found: Vec<(&'static str, python::Value)> = Vec::new();
        let mut doubtful: Vec<&'static str> = Vec::new();
        for set in self.evaluator().attributes_set(function, &all) {
            let Some(name) = SETTABLE.iter().find(|name| **name == set.name.as_str()) else { continue };
            let behind = &*set.object == "self" && !set.conditional && set.calls_before > base_call;
            if behind && set.value.is_constant() {
                found.retain(|(known, _)| known != name);
                found.push((name, set.value));
            } else {
                doubtful.push(name);
            }
        }
        found.retain(|(name, _)| !doubtful.contains(name));
        found
    }

    /// Whether a method changes attributes of its field that reach the database, or may.
    fn sets_on_itself(&self, method: &python::Value) -> bool {
        let Some(function) = method.as_function() else { return true };
        let text = function.module.text(function.function().span);
        text.contains("setattr(self")
            || text.contains("self.__dict__")
            || self
                .evaluator()
                .attributes_set(function, &with_self(method, &[]))
                .iter()
                .any(|set| &*set.object == "self" && ATTRIBUTES.contains(&set.name.as_str()))
    }

    /// What an `__init__` keeps on the field in any case, as the symbols by which other methods speak of it.
    fn kept_by_init(&self, body: &python::ClassBody, args: &[python::Arg]) -> Vec<(Arc<str>, python::Value)> {
        let Some(method) = body.get("__init__") else { return Vec::new() };
        let Some(function) = method.as_function() else { return Vec::new() };
        let mut kept: Vec<(Arc<str>, python::Value)> = Vec::new();
        let mut doubtful: Vec<Arc<str>> = Vec::new();
        for set in self.evaluator().attributes_set(function, &with_self(method, args)) {
            let name: Arc<str> = Arc::from(format!("{}.{}", set.object, set.name));
            kept.retain(|(known, _)| *known != name);
            if &*set.object == "self" && !set.conditional && set.value.is_constant() {
                kept.push((name, set.value));
            } else {
                doubtful.push(name);
            }
        }
        kept.retain(|(name, _)| !doubtful.contains(name));
        kept
    }

    /// The arguments with which Django makes the field of a state: it takes a field apart with `deconstruct` and makes it
    /// again, so that what a class of the project leaves out there is lost.
    fn rebuilt(&self, line: &[ClassRef], args: &[python::Arg]) -> Result<Vec<python::Arg>, Reason> {
        let mut args = args.to_vec();
        for class in line {
            if third_party::field(&class.name()).is_some() {
                break;
            }
            let body = self.evaluator().class_body(class);
            let Some(method) = body.get("deconstruct") else { continue };
            let own = || format!("`{}` has a `deconstruct` of its own", class.name());
            let function = method.as_function().ok_or_else(own)?;
            if self.drops_all(function, &method.origin) {
                args.clear();
                continue;
            }
            if let Some(rebuilt) = self.taken_apart(function, &method.origin, &args) {
                args = rebuilt;
                continue;
            }
            let text = function.module.text(function.function().span);
            if !text.contains("deconstruct(") || !text.contains(").deconstruct(") && !text.contains(".deconstruct(self")
            {
                return Err(own());
            }
            let mut dropped = Vec::new();
            dropped_keywords(&function.module, &function.function().body, true, &mut dropped);
            for (name, always) in dropped {
                let named = |arg: &python::Arg| matches!(&arg.kind, ArgKind::Keyword(own) if own.as_str() == name);
                if !args.iter().any(named) {
                    continue;
                }
                // Under a condition it is mostly what the class gives itself; that decides where it reaches the database.
                if always {
                    args.retain(|arg| !named(arg));
                } else if ATTRIBUTES.contains(&&*name) {
                    return Err(format!("`{}` leaves out `{name}` under a condition", class.name()));
                }
            }
        }
        Ok(args)
    }

    /// What a `db_parameters` changes of what its base returns on PostgreSQL, where the field has these attributes; None
    /// where that is not known.
    fn db_parameters(&self, method: &python::Value, attributes: Vec<(Arc<str>, python::Value)>) -> Option<Parameters> {
        const KEYS: [&str; 3] = ["type", "check", "collation"];
        let function = method.as_function()?;
        let origin = &method.origin;
        let value = |kind: ValueKind| python::Value::new(kind, origin.clone());
        let argument = |name: &str| python::Arg {
            kind: ArgKind::Positional,
            value: value(ValueKind::Symbol(Arc::from(name))),
            span: origin.span,
        };
        let text = |text: &str| value(ValueKind::Str(python::Str::made(text, origin.clone())));
        let of_base = |key: &&str| python::DictEntry {
            key: Some(text(key)),
            value: value(ValueKind::Symbol(Arc::from(format!("base.{key}")))),
        };
        let base = value(ValueKind::Dict(Arc::new(KEYS.iter().map(of_base).collect())));
        let args = [argument("self"), argument("django.db.connection")];
        let returned = self
            .evaluator()
            .knowing(attributes, || self.evaluator().returns_over(function, &args, "db_parameters", base));
        let entries = returned.as_dict()?;
        let mut found = Parameters { db_type: None, collation: None };
        for entry in entries {
            let key = entry.key.as_ref()?.as_str()?;
            let kept = entry.value.is_symbol(&format!("base.{}", key.as_str()));
            match (key.as_str(), &entry.value.kind) {
                _ if kept => {}
                ("type", ValueKind::Str(text)) => found.db_type = Some(Arc::from(text.as_str())),
                ("collation", ValueKind::Str(_) | ValueKind::None) => found.collation = Some(entry.value.clone()),
                _ => return None,
            }
        }
        (entries.len() == KEYS.len()).then_some(found)
    }

    /// The keyword arguments that a `deconstruct` returns where its base returns `args`; None where that is not known.
    fn taken_apart(
        &self,
        function: &python::FunctionRef,
        origin: &python::Origin,
        args: &[python::Arg],
    ) -> Option<Vec<python::Arg>> {
        let value = |kind: ValueKind| python::Value::new(kind, origin.clone());
        let (positional, named): (Vec<_>, Vec<_>) = args.iter().partition(|arg| arg.kind == ArgKind::Positional);
        let entries: Option<Vec<python::DictEntry>> = named
            .iter()
            .map(|arg| match &arg.kind {
                ArgKind::Keyword(name) => {
                    Some(python::DictEntry { key: Some(value(ValueKind::Str(name.clone()))), value: arg.value.clone() })
                }
                _ => None,
            })
            .collect();
        let base = value(ValueKind::Tuple(Arc::new(vec![
            value(ValueKind::Symbol(Arc::from("self.name"))),
            value(ValueKind::Symbol(Arc::from("self.path"))),
            value(ValueKind::List(Arc::default())),
            value(ValueKind::Dict(Arc::new(entries?))),
        ])));
        let receiver = python::Arg {
            kind: ArgKind::Positional,
            value: value(ValueKind::Symbol(Arc::from("self"))),
            span: origin.span,
        };
        let returned = self.evaluator().returns_over(function, &[receiver], "deconstruct", base);
        let [_, _, left, kwargs] = returned.as_items()? else { return None };
        if !left.as_items()?.is_empty() {
            return None;
        }
        let mut rebuilt: Vec<python::Arg> = positional.into_iter().cloned().collect();
        for entry in kwargs.as_dict()? {
            let name = entry.key.as_ref()?.as_str()?;
            let given = |arg: &&&python::Arg| matches!(&arg.kind, ArgKind::Keyword(own) if own == name);
            match named.iter().find(given) {
                Some(arg) if arg.value.origin == entry.value.origin => rebuilt.push((*arg).clone()),
                // What it reads from the field itself matters only where it reaches the database.
                _ if !entry.value.is_constant() && ATTRIBUTES.contains(&name.as_str()) => return None,
                _ => rebuilt.push(python::Arg {
                    kind: ArgKind::Keyword(name.clone()),
                    value: entry.value.clone(),
                    span: entry.value.span(),
                }),
            }
        }
        Some(rebuilt)
    }

    /// Whether a `deconstruct` returns no arguments at all, whatever its base returns.
    fn drops_all(&self, function: &python::FunctionRef, origin: &python::Origin) -> bool {
        let receiver = python::Arg {
            kind: ArgKind::Positional,
            value: python::Value::new(ValueKind::Symbol(Arc::from("self")), origin.clone()),
            span: origin.span,
        };
        let returned = self.evaluator().returns(function, &[receiver]);
        let Some([_, _, args, kwargs]) = returned.as_items() else { return false };
        args.as_items().is_some_and(<[python::Value]>::is_empty)
            && kwargs.as_dict().is_some_and(<[python::DictEntry]>::is_empty)
    }

    /// The constant that `db_type` returns; None where it leaves the answer to the base class.
    fn db_type(&self, class: &ClassRef, method: &python::Value, line: &[ClassRef]) -> Option<FieldKind> {
        let unknown = |reason: String| Some(FieldKind::Unknown { reason: reason.into() });
        match self.returned(method, "db_type", line) {
            Returned::Super => None,
            Returned::Value(value) => match &value.kind {
                ValueKind::None => Some(FieldKind::NoColumn),
                ValueKind::Str(text) => Some(FieldKind::Custom { db_type: Arc::from(text.as_str()), behaves_as: None }),
                _ => unknown(format!("`db_type` of `{}`: {}", class.name(), convert::reason(&value))),
            },
            Returned::Unknown => unknown(format!("`db_type` of `{}` is not a constant", class.name())),
        }
    }

    fn internal_type(
        &self,
        class: &ClassRef,
        method: &python::Value,
        line: &[ClassRef],
    ) -> Option<Result<Arc<str>, Reason>> {
        match self.returned(method, "get_internal_type", line) {
            Returned::Super => None,
            Returned::Value(value) => match value.as_str() {
                Some(text) => Some(Ok(Arc::from(text.as_str()))),
                None => Some(Err(format!("`get_internal_type` of `{}` is not a constant", class.name()))),
            },
            Returned::Unknown => Some(Err(format!("`get_internal_type` of `{}` is not a constant", class.name()))),
        }
    }

    /// The constants that the classes of a field have as attributes, as the symbols by which methods speak of them: those
    /// that no field gets another value for while it is made.
    fn class_constants(&self, line: &[ClassRef]) -> Vec<(Arc<str>, python::Value)> {
        let bodies: Vec<_> = line.iter().map(|class| self.evaluator().class_body(class)).collect();
        let methods: Vec<&python::Value> = bodies
            .iter()
            .flat_map(|body| ["__init__", "contribute_to_class"].into_iter().filter_map(|name| body.get(name)))
            .collect();
        let mut set: Vec<String> = Vec::new();
        for method in methods {
            let Some(function) = method.as_function() else { return Vec::new() };
            let text = function.module.text(function.function().span);
            if text.contains("setattr(") || text.contains("__dict__") {
                return Vec::new();
            }
            let attributes = self.evaluator().attributes_set(function, &with_self(method, &[]));
            set.extend(attributes.iter().map(|attribute| attribute.name.as_str().to_owned()));
        }
        let mut found: Vec<(Arc<str>, python::Value)> = Vec::new();
        for (name, value) in bodies.iter().flat_map(|body| &body.bindings) {
            let symbol: Arc<str> = Arc::from(format!("self.{}", name.as_str()));
            if !set.iter().any(|set| set == name.as_str()) && !found.iter().any(|(known, _)| *known == symbol) {
                found.push((symbol, value.clone()));
            }
        }
        found.retain(|(_, value)| value.is_constant());
        found
    }

    /// What a method of a field of these classes returns for PostgreSQL.
    fn returned(&self, method: &python::Value, name: &str, line: &[ClassRef]) -> Returned {
        let Some(function) = method.as_function() else { return Returned::Unknown };
        let origin = &method.origin;
        let argument = |kind: ValueKind| python::Arg {
            kind: ArgKind::Positional,
            value: python::Value::new(kind, origin.clone()),
            span: origin.span,
        };
        let mut args = vec![argument(ValueKind::Symbol(Arc::from("self")))];
        if name == "db_type" {
            args.push(argument(ValueKind::Symbol(Arc::from("django.db.connection"))));
        }
        let constants = self.class_constants(line);
        let value = self.evaluator().knowing(constants, || self.evaluator().returns(function, &args));
        if let Some(call) = value.as_call()
            && super::is_base_call(call, name)
        {
            return Returned::Super;
        }
        if value.first_unknown().is_some() { Returned::Unknown } else { Returned::Value(value) }
    }
}

/// The keywords that the statements of a `deconstruct` delete, and whether they do in any case.
fn dropped_keywords(module: &Module, block: &[Stmt], always: bool, found: &mut Vec<(String, bool)>) {
    let key = |id: ExprId| {
        let expr = module.expr(id);
        matches!(expr.kind, ExprKind::Str)
            .then(|| module.text(expr.span).trim_matches(|quote| quote == '\'' || quote == '"').to_owned())
    };
    for stmt in block {
        match &stmt.kind {
            StmtKind::Delete(targets) => {
                for target in targets {
                    if let ExprKind::Subscript { index, .. } = module.expr(*target).kind
                        && let Some(name) = key(index)
                    {
                        found.push((name, always));
                    }
                }
            }
            StmtKind::Expr(value) => {
                if let ExprKind::Call { callee, args } = &module.expr(*value).kind
                    && let ExprKind::Attribute { name, .. } = module.expr(*callee).kind
                    && module.text(name) == "pop"
                    && let Some(name) = args.first().and_then(|arg| key(arg.value))
                {
                    found.push((name, always));
                }
            }
            _ => {}
        }
        let inside = always && matches!(stmt.kind, StmtKind::With { .. });
        stmt.for_each_block(&mut |block| dropped_keywords(module, block, inside, found));
    }
}

/// The arguments of a method, `self` being a symbol.
fn with_self(method: &python::Value, args: &[python::Arg]) -> Vec<python::Arg> {
    let mut all = vec![python::Arg {
        kind: ArgKind::Positional,
        value: python::Value::new(ValueKind::Symbol(Arc::from("self")), method.origin.clone()),
        span: method.origin.span,
    }];
    all.extend_from_slice(args);
    all
}

/// Methods and properties by which a field decides about its column, beyond those that are read.
const OVERRIDES: [&str; 14] = [
    "__new__",
    "clone",
    "column",
    "db_check",
    "db_index",
    "db_tablespace",
    "db_type_suffix",
    "get_attname",
    "get_attname_column",
    "primary_key",
    "rel_db_type",
    "rel_db_type_suffix",
    "set_attributes_from_name",
    "unique",
];

/// Whether a class' own `set_attributes_from_name` takes the names of its base as they are, and tells them to others, as that
/// of an array does to its elements' field.
fn only_adds(body: &python::ClassBody, method: &str) -> bool {
    const NAMES: [&str; 6] = ["self.attname", "self.column", "self.concrete", "self.name", "setattr(", "self.__dict__"];
    let Some(function) = body.get(method).and_then(|value| value.as_function()) else { return false };
    let text = function.module.text(function.function().span);
    method == "set_attributes_from_name"
        && text.contains(").set_attributes_from_name(name)")
        && text.contains("super(")
        && !NAMES.iter().any(|name| text.contains(name))
}

/// Whether a class' own `clone` makes an object of the class from what `deconstruct` gives, with nothing else in it that
/// reaches the database.
fn makes_its_like(body: &python::ClassBody, method: &str) -> bool {
    const OTHERS: [&str; 6] = ["args[", "kwargs.", "kwargs |", "setattr(", ".default", ".__dict__"];
    let Some(function) = body.get(method).and_then(|value| value.as_function()) else { return false };
    let text = function.module.text(function.function().span);
    let made =
        ["self.__class__(*args, **kwargs)", "type(self)(*args, **kwargs)"].iter().any(|call| text.contains(call));
    let set = text.split("kwargs[").skip(1).filter_map(|rest| rest.split(']').next());
    method == "clone"
        && made
        && text.contains("self.deconstruct()")
        && !OTHERS.iter().any(|other| text.replace("kwargs[", "").contains(other))
        && set.map(|name| name.trim_matches(['"', '\''])).all(|name| {
            let is_name = name.chars().all(|part| part.is_alphanumeric() || part == '_');
            is_name && name != "default" && !ATTRIBUTES.contains(&name)
        })
}

/// Whether `deconstruct()` of a class of Django's leaves an argument out because it is the default.
fn is_left_out(class: &str, name: &str, value: &python::Value) -> bool {
    let indexed = matches!(class, "ForeignKey" | "OneToOneField" | "SlugField");
    match (name, &value.kind) {
        ("unique", ValueKind::Bool(_)) if class == "OneToOneField" => true,
        ("auto_now" | "auto_now_add" | "blank" | "null" | "primary_key" | "unique", ValueKind::Bool(set)) => !set,
        ("db_index", ValueKind::Bool(set)) => *set == indexed,
        ("db_constraint", ValueKind::Bool(set)) => *set,
        ("max_length", ValueKind::Int(python::Int::Small(length))) => matches!(
            (class, *length),
            ("SlugField", 50) | ("URLField", 200) | ("FileField" | "ImageField" | "FilePathField", 100)
        ),
        (
            "db_collation" | "db_column" | "db_comment" | "db_tablespace" | "decimal_places" | "max_digits"
            | "max_length",
            ValueKind::None,
        ) => true,
        _ => false,
    }
}

/// Attributes of a field that reach the database.
const ATTRIBUTES: [&str; 24] = [
    "_db_tablespace",
    "_unique",
    "auto_now",
    "auto_now_add",
    "base_field",
    "blank",
    "column",
    "db_collation",
    "db_column",
    "db_comment",
    "db_default",
    "db_index",
    "db_tablespace",
    "decimal_places",
    "default",
    "dim",
    "geography",
    "max_digits",
    "max_length",
    "null",
    "primary_key",
    "size",
    "srid",
    "unique",
];

/// Whether the class has a default whatever the migration says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OwnDefault {
    No,
    Always,
}

/// The attributes that the methods of a field class set on the field, behind the call of the base's `__init__` where it
/// stands in that. A name in a comment counts as well.
fn assigned_to_self(body: &python::ClassBody) -> Vec<&'static str> {
    let mut found = Vec::new();
    for method in ["__init__", "contribute_to_class"] {
        let Some(function) = body.get(method).and_then(|value| value.as_function()) else { continue };
        let text = function.module.text(function.function().span);
        let head = text.find(':').unwrap_or_default();
        let start = match text.rfind("__init__(").filter(|start| *start > head) {
            Some(start) if method == "__init__" => start,
            _ => 0,
        };
        let text = text.get(start..).unwrap_or_default();
        for (at, _) in text.match_indices("self.") {
            let rest = text.get(at + "self.".len()..).unwrap_or_default();
            let end =
                rest.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            let after = after.trim_start_matches([' ', '\t']);
            let assigned = after.starts_with('=') && !after.starts_with("==")
                || ["+=", "-=", "*=", "|=", "//=", ": "].iter().any(|operator| after.starts_with(operator));
            if assigned && let Some(name) = ATTRIBUTES.iter().find(|known| **known == name) {
                found.push(*name);
            }
        }
        if text.contains("setattr(self") || text.contains("self.__dict__") {
            found.extend(
                ATTRIBUTES
                    .iter()
                    .filter(|name| text.contains(&format!("'{name}'")) || text.contains(&format!("\"{name}\""))),
            );
        }
    }
    found
}

/// What a field's `db_parameters` says instead of its base.
struct Parameters {
    db_type: Option<Arc<str>>,
    collation: Option<python::Value>,
}

fn set_all(arguments: &mut Arguments, values: BTreeMap<&'static str, python::Value>) {
    for (name, value) in values {
        arguments.set(name, value);
    }
}

enum Returned {
    Value(python::Value),
    /// Whatever the base class returns.
    Super,
    Unknown,
}

fn apply_overrides(kind: &mut FieldKind, column: Option<FieldKind>, internal: Option<Result<Arc<str>, Reason>>) {
    let base = match kind {
        FieldKind::Django(class) => Some(Arc::clone(class)),
        FieldKind::Custom { behaves_as, .. } => behaves_as.clone(),
        FieldKind::NoColumn | FieldKind::Unknown { .. } => None,
    };
    match (column, internal) {
        (Some(FieldKind::Custom { db_type, .. }), _) => *kind = FieldKind::Custom { db_type, behaves_as: base },
        (Some(other), _) => *kind = other,
        (None, Some(Ok(class))) if signature::is_field(&class) => *kind = FieldKind::Django(class),
        (None, Some(Ok(class))) => {
            *kind = FieldKind::Unknown { reason: format!("Django has no column type for `{class}`").into() };
        }
        (None, Some(Err(reason))) => *kind = FieldKind::Unknown { reason: reason.into() },
        (None, None) => {}
    }
}

fn unknown(reason: String, args: &[python::Arg]) -> Resolved {
    Resolved {
        kind: FieldKind::Unknown { reason: reason.into() },
        arguments: Arguments { unknown: None, ..Arguments::new(args, &[]) },
    }
}

/// Wagtail's `StreamField` stores JSON since it says so: `use_json_field=True`, or `block_lookup`, which is newer than
/// the time when it stored text.
fn stream_field(args: &[python::Arg]) -> Option<Resolved> {
    let mut arguments = Arguments::new(args, &["block_types", "use_json_field", "block_lookup"]);
    let json = arguments.value("use_json_field").map(python::Value::truth);
    let kind = match json {
        Some(Some(true)) => FieldKind::Django(Arc::from("JSONField")),
        Some(Some(false)) => FieldKind::Django(Arc::from("TextField")),
        _ if arguments.value("block_lookup").is_some() => FieldKind::Django(Arc::from("JSONField")),
        // The class itself knows, if it is at hand.
        _ => return None,
    };
    if let (FieldKind::Django(class), Some(first)) = (&kind, args.first())
        && &**class == "JSONField"
    {
        let origin = first.value.origin.clone();
        blank_json(&mut arguments, &origin);
    }
    Some(Resolved { kind, arguments })
}

/// A class that stores JSON and is none of Django's may be blank as a text is: rows that are there get an empty one.
fn blank_json(arguments: &mut Arguments, origin: &python::Origin) {
    let is = |name: &str| arguments.value(name).and_then(python::Value::truth) == Some(true);
    if is("blank") && !is("null") && arguments.value("default").is_none() {
        arguments
            .set("default", python::Value::new(ValueKind::Str(python::Str::made("", origin.clone())), origin.clone()));
    }
}

fn column_type(template: &str, arguments: &Arguments) -> FieldKind {
    let custom = |db_type: String| FieldKind::Custom { db_type: db_type.into(), behaves_as: None };
    let Some((before, rest)) = template.split_once('{') else { return custom(template.to_owned()) };
    let Some((name, after)) = rest.split_once('}') else { return custom(template.to_owned()) };
    match arguments.value(name) {
        None => custom(before.trim_end_matches('(').to_owned()),
        Some(value) if value.is_none() => custom(before.trim_end_matches('(').to_owned()),
        Some(value) if value.is_constant() => custom(format!("{before}{value}{after}")),
        Some(value) => FieldKind::Unknown { reason: format!("`{name}`: {}", convert::reason(value)).into() },
    }
}

fn literal_kind(literal: Literal, origin: &python::Origin) -> ValueKind {
    match literal {
        Literal::Int(value) => {
            i64::try_from(value).map_or(ValueKind::None, |value| ValueKind::Int(python::Int::Small(value)))
        }
        Literal::Bool(value) => ValueKind::Bool(value),
        Literal::Str(text) => ValueKind::Str(python::Str::made(text, origin.clone())),
        Literal::None => ValueKind::None,
    }
}

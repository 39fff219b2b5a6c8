//! Attributes of objects: of calls of the project's own plain classes.
//!
//! Packages keep their settings in such objects: `__init__` takes defaults, properties and `__getattr__` look a name up.
//! Only classes whose bases are all in the project are looked into; what an `__init__` does in a loop, by `setattr()` or
//! through its base's is not told apart, and makes every attribute of the object unknown.

use std::rc::Rc;

use super::{Evaluator, Flow};
use crate::syntax::{Stmt, StmtKind, Why};
use crate::text::{Origin, Str};
use crate::value::{Arg, ArgKind, ClassRef, FunctionRef, Value, ValueKind};

/// What is known of one object.
#[derive(Clone, Debug, Default)]
pub(super) struct Object {
    /// None where it cannot be told what there is.
    attributes: Option<Vec<(Str, Value)>>,
}

impl Evaluator<'_> {
    /// An attribute of an object; None where it is a method or cannot be told.
    pub(super) fn instance_attribute(
        &self,
        object: &Value,
        class: &ClassRef,
        name: &Str,
        origin: &Origin,
    ) -> Option<Value> {
        if !self.is_plain(class) || !self.enter() {
            return None;
        }
        let value = self.found_attribute(object, class, name, origin);
        self.leave();
        value
    }

    fn found_attribute(&self, object: &Value, class: &ClassRef, name: &Str, origin: &Origin) -> Option<Value> {
        let of_class = self.class_attribute(class, name);
        if let Some(getter) = of_class.as_ref().and_then(getter) {
            return self.method(getter, object, Vec::new(), origin);
        }
        let own = self.own_attributes(object, class)?;
        if let Some((_, own)) = own.into_iter().find(|(found, _)| found == name) {
            return Some(own);
        }
        match of_class {
            Some(value) if matches!(value.kind, ValueKind::Function(_) | ValueKind::Call(_)) => return None,
            Some(value) => return Some(value),
            None => {}
        }
        let getter = self.class_attribute(class, "__getattr__")?;
        let text = Value::new(ValueKind::Str(name.clone()), origin.clone());
        self.method(getter.as_function()?, object, vec![text], origin)
    }

    /// What a method of an object returns, where that is a constant.
    pub(super) fn method_result(
        &self,
        object: &Value,
        class: &ClassRef,
        name: &str,
        args: &[Arg],
        origin: &Origin,
    ) -> Option<Value> {
        if !self.is_plain(class) {
            return None;
        }
        let method = self.class_attribute(class, name)?;
        let function = method.as_function().filter(|function| function.function().decorators.is_empty())?;
        let mut all = vec![positional(object.clone())];
        all.extend_from_slice(args);
        self.run_function(function, &all, origin, false).filter(Value::is_constant)
    }

    /// What a module's own `__getattr__` makes of a name that it does not bind.
    pub(super) fn module_getter(&self, function: &FunctionRef, name: &str, origin: &Origin) -> Option<Value> {
        if !self.enter() {
            return None;
        }
        let text = Value::new(ValueKind::Str(Str::made(name, origin.clone())), origin.clone());
        let value =
            self.run_function(function, &[positional(text)], origin, false).filter(|value| !value.contains(&is_inside));
        self.leave();
        value
    }

    /// Whether the object has an attribute of its own of that name; None where that cannot be told.
    pub(crate) fn has_own_attribute(&self, object: &Value, name: &str) -> Option<bool> {
        let class = object.as_call()?.callee.as_class()?;
        if !self.is_plain(class) {
            return None;
        }
        let own = self.own_attributes(object, class)?.iter().any(|(found, _)| found.as_str() == name);
        // What the class has or makes up is not looked at.
        (own || self.class_attribute(class, name).is_none()).then_some(own)
    }

    /// `object.name = value`.
    pub(super) fn set_attribute(&self, object: &Value, class: &ClassRef, name: Str, value: Value, certain: bool) {
        if !self.is_plain(class) {
            return;
        }
        let Some(index) = self.object(object, class) else { return };
        let value = if certain {
            value
        } else {
            Value::unknown(Why::Dynamic("assigned to the object under a condition"), value.origin)
        };
        let mut objects = self.objects.borrow_mut();
        let Some((_, known)) = objects.get_mut(index) else { return };
        let Some(attributes) = Rc::make_mut(known).attributes.as_mut() else { return };
        match attributes.iter_mut().find(|(found, _)| *found == name) {
            Some((_, bound)) => *bound = value,
            None => attributes.push((name, value)),
        }
    }

    /// The object's own attributes; None where they cannot be told.
    fn own_attributes(&self, object: &Value, class: &ClassRef) -> Option<Vec<(Str, Value)>> {
        let index = self.object(object, class)?;
        self.objects.borrow().get(index)?.1.attributes.clone()
    }

    /// Where the object's attributes are kept; its `__init__` runs when it is first asked for.
    fn object(&self, object: &Value, class: &ClassRef) -> Option<usize> {
        const MAX_OBJECTS: usize = 1_000;
        let known = self
            .objects
            .borrow()
            .iter()
            .position(|(other, _)| other.origin == object.origin && other.is_identical(object));
        if known.is_some() {
            return known;
        }
        let call = object.as_call()?;
        let index = {
            let mut objects = self.objects.borrow_mut();
            if objects.len() >= MAX_OBJECTS {
                return None;
            }
            objects.push((object.clone(), Rc::new(Object { attributes: Some(Vec::new()) })));
            objects.len() - 1
        };
        let unknown = || {
            if let Some((_, known)) = self.objects.borrow_mut().get_mut(index) {
                *known = Rc::default();
            }
        };
        let Some(init) = self.class_attribute(class, "__init__") else {
            if !call.args.is_empty() {
                unknown();
            }
            return Some(index);
        };
        let followed = init.as_function().filter(|function| {
            let body = &function.function().body;
            !repeats(body)
                && !["setattr", "super(", "__dict__", "vars("]
                    .iter()
                    .any(|word| function.module.text(function.function().span).contains(word))
        });
        let ran = followed.is_some_and(|function| {
            let mut args = vec![positional(object.clone())];
            args.extend_from_slice(&call.args);
            matches!(self.run_body(function, &args, &object.origin), Some(Flow::Next | Flow::Return(_)))
        });
        if !ran {
            unknown();
        }
        Some(index)
    }

    fn method(&self, function: &FunctionRef, object: &Value, args: Vec<Value>, origin: &Origin) -> Option<Value> {
        let mut all = vec![positional(object.clone())];
        all.extend(args.into_iter().map(positional));
        self.run_function(function, &all, origin, false).filter(|value| !value.contains(&is_inside))
    }

    /// No base is outside of the project, but those that add nothing.
    fn is_plain(&self, class: &ClassRef) -> bool {
        // Django's `Operation` keeps the arguments for itself, sets no attribute, and calls no `__init__` of its own.
        const ADD_NOTHING: [&str; 4] =
            ["builtins.object", "abc.ABC", "typing.Generic", "django.db.migrations.operations.base.Operation"];
        let adds_nothing = |base: &Value| base.name().is_some_and(|name| ADD_NOTHING.contains(&&*name));
        self.ancestors(class).1.iter().all(adds_nothing)
    }
}

/// A result that still speaks of the function's inside says nothing.
fn is_inside(kind: &ValueKind) -> bool {
    matches!(kind, ValueKind::Unknown(_) | ValueKind::Parameter(_) | ValueKind::Element(_))
}

fn positional(value: Value) -> Arg {
    Arg { kind: ArgKind::Positional, span: value.span(), value }
}

/// The function under `@property` or `@cached_property`.
fn getter(value: &Value) -> Option<&FunctionRef> {
    const CACHED: [&str; 2] = ["functools.cached_property", "django.utils.functional.cached_property"];
    match &value.kind {
        ValueKind::Function(function) => {
            let module = &function.module;
            let [decorator] = function.function().decorators.as_ref() else { return None };
            (module.text(module.expr(*decorator).span) == "property").then_some(function)
        }
        ValueKind::Call(call) => {
            let name = call.name()?;
            CACHED.contains(&&*name).then(|| call.args.first()?.value.as_function()).flatten()
        }
        _ => None,
    }
}

fn repeats(block: &[Stmt]) -> bool {
    block.iter().any(|stmt| {
        let mut found = matches!(stmt.kind, StmtKind::For { .. } | StmtKind::While { .. });
        stmt.for_each_block(&mut |block| found |= repeats(block));
        found
    })
}

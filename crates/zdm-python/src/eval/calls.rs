//! Calls of functions of the project, and the reading of their bodies.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::{AttributeSet, CallSite, Evaluator, Flow, Frame, FrameKind, MAX_CALLS, alternatives};
use crate::builtins;
use crate::entry_points;
use crate::files;
use crate::ops;
use crate::syntax::{ExprKind, Module, Param, ParamKind, Stmt, StmtKind};
use crate::text::{Origin, Str};
use crate::value::{Arg, ArgKind, Call, FunctionRef, Value, ValueKind};

/// What the reading of a function's body found.
pub(super) struct ReadBody {
    pub(super) calls: Vec<CallSite>,
    pub(super) yielded: Vec<Value>,
    pub(super) attributes: Vec<AttributeSet>,
    pub(super) reached: BTreeSet<u32>,
}

/// Of one generator.
const MAX_YIELDED: usize = 16;
/// Steps for the reading of one body: a migration can have any number of functions, each with calls of the others.
const MAX_BODY_STEPS: u32 = 200_000;

impl Evaluator<'_> {
    /// Remembers what a generator yields, where its body is read.
    pub(super) fn yielded(frame: &Frame<'_>, value: Value, text: &str) {
        let mut yielded = frame.yielded.borrow_mut();
        if frame.trace.is_none() || yielded.len() >= MAX_YIELDED {
            return;
        }
        let from = text.strip_prefix("yield").is_some_and(|rest| rest.trim_start().starts_with("from "));
        if from {
            let origin = value.origin.clone();
            yielded.push(Value::new(ValueKind::Element(Arc::new(value)), origin));
        } else {
            yielded.push(value);
        }
    }

    pub(crate) fn call(&self, callee: Value, args: Vec<Arg>, origin: &Origin) -> Value {
        let opaque = |callee: Value, args: Vec<Arg>| {
            let known = match &callee.kind {
                ValueKind::Call(_) | ValueKind::Attribute(_) => self.loader.call_of(&callee, &args),
                _ => None,
            };
            Value::new(known.unwrap_or_else(|| ValueKind::Call(Arc::new(Call { callee, args }))), origin.clone())
        };
        if let Some(value) = self.result_of_base(&callee) {
            return value;
        }
        match &callee.kind {
            ValueKind::Unknown(_) => {
                // The arguments are kept: they may matter even if the callee is not known.
                opaque(callee, args)
            }
            ValueKind::Alternatives(found) if found.options.len() <= 8 && self.enter() => {
                let options = found.options.iter().map(|option| self.call(option.clone(), args.clone(), origin));
                let value = alternatives(options.collect(), &found.condition);
                self.leave();
                value
            }
            ValueKind::Symbol(name) => {
                match files::call(self, name, &args, origin)
                    .or_else(|| entry_points::call(self, name, &args, origin))
                    .or_else(|| builtins::call(self, name, &args, origin))
                {
                    Some(value) => value,
                    None => match self.loader.call(name, &args) {
                        Some(kind) => Value::new(kind, origin.clone()),
                        None => opaque(callee, args),
                    },
                }
            }
            ValueKind::Attribute(attribute) => {
                match files::method(self, &attribute.value, &attribute.name, &args, origin)
                    .or_else(|| entry_points::method(self, &attribute.value, &attribute.name, &args, origin))
                    .or_else(|| builtins::method(&attribute.value, &attribute.name, &args, origin))
                {
                    Some(value) => value,
                    None => {
                        let object = &attribute.value;
                        let class = object.as_call().and_then(|call| call.callee.as_class());
                        class
                            .and_then(|class| self.method_result(object, class, &attribute.name, &args, origin))
                            .unwrap_or_else(|| opaque(callee.clone(), args))
                    }
                }
            }
            // `partial(function, …)()`
            ValueKind::Call(partial) if partial.callee.is_symbol("functools.partial") && self.enter() => {
                let value = match partial.args.split_first() {
                    Some((function, bound)) if function.kind == ArgKind::Positional => {
                        let replaced = |own: &Arg| {
                            matches!(own.kind, ArgKind::Keyword(_)) && args.iter().any(|arg| arg.kind == own.kind)
                        };
                        let all = bound.iter().filter(|own| !replaced(own)).chain(&args).cloned().collect();
                        self.call(function.value.clone(), all, origin)
                    }
                    _ => opaque(callee.clone(), args),
                };
                self.leave();
                value
            }
            ValueKind::Function(function) => match self.call_function(function, &args, origin) {
                Some(value) => value,
                None => opaque(callee, args),
            },
            _ => opaque(callee, args),
        }
    }

    /// What is given for the method of a base, if this is one.
    fn result_of_base(&self, callee: &Value) -> Option<Value> {
        let of_base = self.of_base.borrow();
        let (method, value) = of_base.as_ref()?;
        let is_method = match &callee.kind {
            ValueKind::Attribute(attribute) => {
                attribute.name.as_str() == method
                    && attribute.value.as_call().is_some_and(|call| call.callee.is_symbol("builtins.super"))
            }
            ValueKind::Symbol(name) => name.rsplit_once('.').is_some_and(|(_, last)| last == method),
            _ => false,
        };
        is_method.then(|| value.clone())
    }

    /// The result of a function of the project; None where it is not known.
    pub(super) fn call_function(&self, function: &FunctionRef, args: &[Arg], origin: &Origin) -> Option<Value> {
        if !function.function().decorators.is_empty() {
            return None;
        }
        // A result that still speaks of the function's inside says less than the call.
        let inside =
            |kind: &ValueKind| matches!(kind, ValueKind::Unknown(_) | ValueKind::Parameter(_) | ValueKind::Element(_));
        self.run_function(function, args, origin, false).filter(|value| !value.contains(&inside))
    }

    pub(super) fn run_function(
        &self,
        function: &FunctionRef,
        args: &[Arg],
        origin: &Origin,
        open: bool,
    ) -> Option<Value> {
        let node = function.function();
        if function.is_open() || node.is_async || self.calls.get() >= MAX_CALLS {
            return None;
        }
        let module = &function.module;
        let scope = self.scope(module);
        let frame =
            Frame { names: Some(RefCell::default()), kind: FrameKind::Function, ..Frame::module(module, &scope) };
        let flow = self.run_in(&frame, function, args, origin, open)?;
        let value = match flow {
            Flow::Return(value) => value,
            Flow::Next => Value::new(ValueKind::None, origin.clone()),
            Flow::Break | Flow::Continue | Flow::Raise | Flow::Lost => return None,
        };
        if yields(module, &node.body) {
            return None;
        }
        Some(match frame.returned.into_inner() {
            Some((condition, mut values)) => {
                values.push(value);
                alternatives(values, &condition)
            }
            None => value,
        })
    }

    /// Runs a function for what it assigns to attributes of its arguments; tells how it ends.
    pub(super) fn run_body(&self, function: &FunctionRef, args: &[Arg], origin: &Origin) -> Option<Flow> {
        if function.is_open() || self.calls.get() >= MAX_CALLS || !function.function().decorators.is_empty() {
            return None;
        }
        let module = &function.module;
        let scope = self.scope(module);
        let frame =
            Frame { names: Some(RefCell::default()), kind: FrameKind::Function, ..Frame::module(module, &scope) };
        self.run_in(&frame, function, args, origin, false)
    }

    fn run_in(
        &self,
        frame: &Frame<'_>,
        function: &FunctionRef,
        args: &[Arg],
        origin: &Origin,
        open: bool,
    ) -> Option<Flow> {
        self.bind_params(frame, function, args, origin, open)?;
        if !self.enter_body() {
            return None;
        }
        self.calls.set(self.calls.get() + 1);
        let flow = self.block(frame, &function.function().body);
        self.calls.set(self.calls.get() - 1);
        self.leave();
        Some(flow)
    }

    /// Bind arguments to parameters as a call does; None where Python would refuse or the arguments are not known.
    /// If `open`, parameters without argument stand for themselves.
    pub(super) fn bind_params(
        &self,
        frame: &Frame<'_>,
        function: &FunctionRef,
        args: &[Arg],
        origin: &Origin,
        open: bool,
    ) -> Option<()> {
        let module = &function.module;
        let node = function.function();
        bind_captured(frame, function);
        let mut positional = Vec::new();
        let mut keywords: Vec<(&Str, &Value)> = Vec::new();
        for arg in args {
            match &arg.kind {
                ArgKind::Positional => positional.push(&arg.value),
                ArgKind::Keyword(name) => keywords.push((name, &arg.value)),
                ArgKind::Unpack | ArgKind::UnpackMapping => return None,
            }
        }
        let mut positional = positional.into_iter();
        for param in &node.params {
            let name = Str::verbatim(module, param.name);
            let at = param.span.start;
            let value = match param.kind {
                ParamKind::Rest => {
                    let rest = positional.by_ref().cloned().collect();
                    Value::new(ValueKind::Tuple(Arc::new(rest)), origin.clone())
                }
                ParamKind::KeywordRest => {
                    let mut entries = Vec::new();
                    for (name, value) in keywords.drain(..) {
                        let key = Value::new(ValueKind::Str(name.clone()), value.origin.clone());
                        ops::insert(&mut entries, Some(key), value.clone());
                    }
                    Value::new(ValueKind::Dict(Arc::new(entries)), origin.clone())
                }
                kind => {
                    let by_position = match kind {
                        ParamKind::KeywordOnly => None,
                        _ => positional.next(),
                    };
                    let by_keyword = keywords.iter().position(|(found, _)| **found == name);
                    match (by_position, by_keyword) {
                        (Some(value), None) => value.clone(),
                        (None, Some(index)) if kind != ParamKind::PositionalOnly => keywords.remove(index).1.clone(),
                        (None, None) => match param.default {
                            Some(default) => self.expr(&Frame::module(module, frame.scope), default),
                            None if open => {
                                bind_open(frame, module, param);
                                continue;
                            }
                            None => return None,
                        },
                        _ => return None,
                    }
                }
            };
            frame.bind(name, at, value);
        }
        (positional.next().is_none() && keywords.is_empty()).then_some(())
    }

    pub(super) fn trace(&self, function: &FunctionRef, args: Option<&[Arg]>) -> Vec<CallSite> {
        self.read_body(function, args).calls
    }

    pub(super) fn read_body(&self, function: &FunctionRef, args: Option<&[Arg]>) -> ReadBody {
        let scope = self.scope(&function.module);
        let module = &function.module;
        let frame = Frame {
            names: Some(RefCell::default()),
            kind: FrameKind::Function,
            trace: Some(RefCell::default()),
            ..Frame::module(module, &scope)
        };
        let origin = Origin::new(module, function.function().span);
        self.with_steps(MAX_BODY_STEPS, || {
            let bound = args.is_some_and(|args| self.bind_params(&frame, function, args, &origin, true).is_some());
            if !bound {
                bind_captured(&frame, function);
                for param in &function.function().params {
                    bind_open(&frame, module, param);
                }
            }
            self.block(&frame, &function.function().body)
        });
        ReadBody {
            calls: frame.trace.map(RefCell::into_inner).unwrap_or_default(),
            yielded: frame.yielded.into_inner(),
            attributes: frame.attributes.into_inner(),
            reached: frame.reached.into_inner(),
        }
    }
}

/// Bind what the function sees of the functions around it; its own names come on top.
fn bind_captured(frame: &Frame<'_>, function: &FunctionRef) {
    for (name, value) in function.captured.iter().flat_map(|captured| captured.iter()) {
        frame.bind(name.clone(), 0, value.clone());
    }
}

/// Bind a parameter to itself.
fn bind_open(frame: &Frame<'_>, module: &Module, param: &Param) {
    let name = Str::verbatim(module, param.name);
    let value = Value::new(ValueKind::Parameter(name.clone()), Origin::new(module, param.span));
    frame.bind(name, param.span.start, value);
}

impl FunctionRef {
    /// Whether it is a generator, as far as its statements show.
    pub fn is_generator(&self) -> bool {
        yields(&self.module, &self.function().body)
    }
}

fn yields(module: &Module, block: &[Stmt]) -> bool {
    block.iter().any(|stmt| {
        let value = match stmt.kind {
            StmtKind::Expr(value) | StmtKind::Assign { value, .. } | StmtKind::Return(Some(value)) => Some(value),
            _ => None,
        };
        let mut found = value.is_some_and(|value| matches!(module.expr(value).kind, ExprKind::Yield(_)));
        stmt.for_each_block(&mut |block| found |= yields(module, block));
        found
    })
}

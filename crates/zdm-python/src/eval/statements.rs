//! Statements, in the order in which Python runs them, and the joining of branches.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use zdm_source::Span;

use super::{
    AttributeSet, ClassBody, Conditions, Evaluator, Flow, Frame, FrameKind, MAX_OPTIONS, ModuleScope, alternatives,
};
use crate::builtins;
use crate::namespace::Slot;
use crate::ops;
use crate::syntax::{
    ArgumentKind, BinaryOp, ClassId, ExprId, ExprKind, Handler, ImportedNames, Module, Stmt, StmtKind, Why,
};
use crate::text::{Origin, Str};
use crate::value::{Arg, ArgKind, Call, ClassRef, FunctionRef, GATHERED, Int, Value, ValueKind};

/// Rounds of a loop that are read one by one in a function's body.
const MAX_READ_ROUNDS: usize = 32;
/// Calls in a function's body, after which no further round is read.
const MAX_READ_CALLS: usize = 5_000;

/// Why a name is not known that a loop binds or changes.
const IN_A_LOOP: &str = "assigned in a loop";

impl Evaluator<'_> {
    pub(super) fn run_class(&self, class: &ClassRef, scope: &Rc<ModuleScope>) -> ClassBody {
        let module = &class.module;
        let node = class.class();
        let frame = Frame {
            names: Some(RefCell::default()),
            kind: FrameKind::Class(node.span.start),
            ..Frame::module(module, scope)
        };
        let mut bases = Vec::new();
        for arg in &node.args {
            match arg.kind {
                ArgumentKind::Positional => bases.push(generic(self.expr(&frame, arg.value))),
                ArgumentKind::Unpack => {
                    let value = self.expr(&frame, arg.value);
                    let origin = value.origin.clone();
                    bases.push(Value::new(ValueKind::Spread(Arc::new(value)), origin));
                }
                ArgumentKind::Keyword(_) | ArgumentKind::UnpackMapping => {}
            }
        }
        self.block(&frame, &node.body);
        let names = frame.names.map(RefCell::into_inner).unwrap_or_default();
        let mut bindings = Vec::new();
        for name in names.names() {
            if let Some(slot) = names.get(&name, u32::MAX) {
                bindings.push((name, self.slot_value(slot)));
            }
        }
        ClassBody { class: class.clone(), bases, bindings, syntax_errors: class.syntax_errors() }
    }

    pub(super) fn block(&self, frame: &Frame<'_>, block: &[Stmt]) -> Flow {
        for stmt in block {
            if !self.enter() {
                Self::poison(frame, block, &Why::TooDeep);
                return Flow::Lost;
            }
            let flow = if self.step(1) {
                self.stmt(frame, stmt)
            } else {
                Self::poison(frame, std::slice::from_ref(stmt), &Why::TooLong);
                Flow::Next
            };
            self.leave();
            if !matches!(flow, Flow::Next) {
                return flow;
            }
        }
        Flow::Next
    }

    pub(super) fn stmt(&self, frame: &Frame<'_>, stmt: &Stmt) -> Flow {
        let at = stmt.span.start;
        if frame.trace.is_some() {
            frame.reached.borrow_mut().insert(at);
        }
        match &stmt.kind {
            StmtKind::Expr(value) => self.expr_stmt(frame, *value, at),
            StmtKind::Assign { targets, value } => {
                let value = self.expr(frame, *value);
                for target in targets {
                    self.assign(frame, *target, value.clone(), at);
                }
            }
            StmtKind::AnnAssign { target, value: Some(value), .. } => {
                let value = self.expr(frame, *value);
                self.assign(frame, *target, value, at);
            }
            StmtKind::AugAssign { target, op, value } => {
                let left = self.expr(frame, *target);
                let right = self.expr(frame, *value);
                // `list += iterable` extends by any iterable, unlike `list + iterable`.
                let result = if *op == BinaryOp::Add && matches!(left.kind, ValueKind::List(_)) {
                    self.extended(left, &right)
                } else {
                    ops::binary(*op, left, right, &frame.origin(stmt.span))
                };
                self.assign(frame, *target, self.charged(result), at);
            }
            StmtKind::Import(names) => {
                for import in names {
                    let dotted = dotted_text(frame.module, import.name);
                    let origin = frame.origin(import.span);
                    let (name, module) = match import.alias {
                        Some(alias) => (Str::verbatim(frame.module, alias), dotted),
                        None => {
                            let root = dotted.split('.').next().unwrap_or("").to_owned();
                            let len = u32::try_from(root.len()).unwrap_or(u32::MAX);
                            let span = Span::new(import.name.start, import.name.start.saturating_add(len));
                            (Str::verbatim(frame.module, span), root)
                        }
                    };
                    frame.bind_slot(name, at, Slot::import(module.into(), None, origin));
                }
            }
            StmtKind::ImportFrom { level, module, names } => {
                self.import_from(frame, stmt, *level, *module, names);
            }
            StmtKind::Function(id) => {
                let function = frame.module.function(*id);
                let closure = frame.kind == FrameKind::Function;
                let kind =
                    ValueKind::Function(FunctionRef { module: frame.module.clone(), id: *id, closure, captured: None });
                let value = Value::new(kind, frame.origin(function.span));
                let value = self.decorated(frame, &function.decorators, value);
                frame.bind(Str::verbatim(frame.module, function.name), at, value);
            }
            StmtKind::Class(id) => {
                let class = frame.module.class(*id);
                let kind = ValueKind::Class(ClassRef { module: frame.module.clone(), id: *id });
                let value = Value::new(kind, frame.origin(class.span));
                frame.bind(Str::verbatim(frame.module, class.name), at, value);
            }
            StmtKind::If { branches, orelse } => return self.if_stmt(frame, stmt, branches, orelse),
            StmtKind::For { target, iter, body, orelse } => {
                return self.for_stmt(frame, stmt, *target, *iter, body, orelse);
            }
            StmtKind::While { test, body, orelse } => {
                let test = self.expr(frame, *test);
                if test.truth() == Some(false) {
                    return self.block(frame, orelse);
                }
                return self.uncertain_block(frame, stmt, body, "assigned in a `while` loop");
            }
            StmtKind::With { items, body } => {
                for item in items {
                    let value = self.expr(frame, item.value);
                    if let Some(target) = item.target {
                        self.assign(frame, target, value, at);
                    }
                }
                return self.block(frame, body);
            }
            StmtKind::Try { body, handlers, orelse, finally } => {
                return self.try_stmt(frame, stmt, body, handlers, orelse, finally);
            }
            StmtKind::Match { subject, cases } => {
                let subject = self.expr(frame, *subject);
                let mut runs: Vec<Box<dyn Fn() -> Flow + '_>> = Vec::new();
                for case in cases {
                    let subject = &subject;
                    runs.push(Box::new(move || {
                        for capture in &case.captures {
                            let value = Value::unknown(Why::Dynamic("bound by a pattern"), frame.origin(*capture));
                            frame.bind(Str::verbatim(frame.module, *capture), at, value);
                        }
                        if let Some(guard) = case.guard {
                            self.expr(frame, guard);
                        }
                        self.block(frame, &case.body)
                    }));
                    let _ = subject;
                }
                runs.push(Box::new(|| Flow::Next));
                return self.join(frame, stmt.span.start, &subject.origin, &runs);
            }
            StmtKind::Return(value) => {
                let value = match value {
                    Some(value) => self.expr(frame, *value),
                    None => Value::new(ValueKind::None, frame.origin(stmt.span)),
                };
                return Flow::Return(value);
            }
            StmtKind::Raise(value) => {
                if let Some(value) = value {
                    self.expr(frame, *value);
                }
                return Flow::Raise;
            }
            StmtKind::Delete(targets) => {
                for target in targets {
                    self.delete(frame, *target, at);
                }
            }
            StmtKind::Assert(values) => {
                if frame.trace.is_some() {
                    for value in values {
                        self.expr(frame, *value);
                    }
                }
            }
            StmtKind::Break => return Flow::Break,
            StmtKind::Continue => return Flow::Continue,
            StmtKind::Error { recovered, .. } => return self.block(frame, recovered),
            StmtKind::AnnAssign { .. } | StmtKind::Global(_) | StmtKind::Pass | StmtKind::TypeAlias => {}
        }
        Flow::Next
    }

    pub(super) fn import_from(
        &self,
        frame: &Frame<'_>,
        stmt: &Stmt,
        level: u32,
        module: Option<Span>,
        names: &ImportedNames,
    ) {
        let at = stmt.span.start;
        let relative = module.map_or(String::new(), |span| dotted_text(frame.module, span));
        let Some(source) = absolute_name(frame.module, level, &relative) else {
            if let ImportedNames::Names(names) = names {
                for import in names {
                    let name = Str::verbatim(frame.module, import.alias.unwrap_or(import.name));
                    let why = Why::Error("a relative import beyond the top-level package");
                    frame.bind(name, at, Value::unknown(why, frame.origin(import.span)));
                }
            }
            return;
        };
        match names {
            ImportedNames::Names(names) => {
                let source: Arc<str> = source.into();
                for import in names {
                    let name = Str::verbatim(frame.module, import.name);
                    let bound = import.alias.map_or_else(|| name.clone(), |alias| Str::verbatim(frame.module, alias));
                    let slot = Slot::import(Arc::clone(&source), Some(name), frame.origin(import.span));
                    frame.bind_slot(bound, at, slot);
                }
            }
            ImportedNames::Star => match self.loader.load(&source) {
                Some(module) => {
                    let scope = self.scope(&module);
                    let all = self.scope_name(&scope, "__all__", u32::MAX);
                    let all = all
                        .as_ref()
                        .and_then(Value::as_items)
                        .filter(|items| items.iter().all(|item| item.as_str().is_some()));
                    let names = match all {
                        Some(names) => names.iter().filter_map(Value::as_str).cloned().collect(),
                        None => scope.names.borrow().names(),
                    };
                    for name in names {
                        if all.is_none() && name.starts_with('_') {
                            continue;
                        }
                        let slot = scope.names.borrow().get(&name, u32::MAX);
                        if let Some(slot) = slot {
                            frame.bind_slot(name, at, slot);
                        }
                    }
                    for star in scope.names.borrow().stars(u32::MAX) {
                        frame.bind_star(at, star);
                    }
                    if scope.skipped.get() {
                        frame.bind_star(at, None);
                    }
                }
                None => frame.bind_star(at, Some(source.into())),
            },
        }
    }

    /// Decorators that do not change what a name stands for are looked through; others make a call.
    pub(super) fn decorated(&self, frame: &Frame<'_>, decorators: &[ExprId], value: Value) -> Value {
        let mut value = value;
        for decorator in decorators.iter().rev() {
            let callee = self.expr(frame, *decorator);
            let transparent = callee.name().is_some_and(|name| builtins::is_transparent_decorator(&name));
            let transparent = transparent
                || callee.as_call().and_then(Call::name).is_some_and(|name| builtins::is_transparent_decorator(&name));
            if !transparent {
                let span = value.span();
                let origin = callee.origin.clone();
                let args = vec![Arg { kind: ArgKind::Positional, value, span }];
                value = Value::new(ValueKind::Call(Arc::new(Call { callee, args })), origin);
            }
        }
        value
    }

    pub(super) fn expr_stmt(&self, frame: &Frame<'_>, id: ExprId, at: u32) {
        let expr = frame.module.expr(id);
        let ExprKind::Call { callee, args } = &expr.kind else {
            if !matches!(expr.kind, ExprKind::Str) {
                self.expr(frame, id);
            }
            return;
        };
        if frame.kind == FrameKind::Module
            && frame.module.text(frame.module.expr(*callee).span) == "setattr"
            && let [object, name, value] = &args[..]
        {
            let (object, name) = (self.expr(frame, object.value), self.expr(frame, name.value));
            if let (ValueKind::Symbol(symbol), Some(name)) = (&object.kind, name.as_str()) {
                let value = self.expr(frame, value.value);
                Self::assign_outside(frame, &format!("{symbol}.{name}"), value);
                return;
            }
        }
        // A method that changes a list, dict or set in place is an assignment to the variable.
        if let ExprKind::Attribute { value: target, name } = frame.module.expr(*callee).kind
            && let method = frame.module.text(name)
            && builtins::is_mutator(method)
            && Self::is_place(frame, target)
        {
            let current = self.expr(frame, target);
            if matches!(current.kind, ValueKind::List(_) | ValueKind::Dict(_) | ValueKind::Set(_)) {
                let args = self.args(frame, args);
                let changed = self.charged(builtins::mutate(&current, method, &args, &frame.origin(expr.span)));
                self.assign(frame, target, changed, at);
                return;
            }
            if frame.trace.is_some()
                && matches!(method, "append" | "add")
                && let [argument] = &**args
                && matches!(argument.kind, ArgumentKind::Positional)
                && is_gathering(&current)
            {
                // A list that a loop fills is a comprehension in long.
                let element = self.expr(frame, argument.value);
                self.assign(frame, target, gathered_with(&current, element, &frame.origin(expr.span)), at);
                return;
            }
            if let ValueKind::Alternatives(found) = &current.kind {
                let args = self.args(frame, args);
                let origin = frame.origin(expr.span);
                let change = |option: &Value| match &option.kind {
                    ValueKind::List(_) | ValueKind::Dict(_) | ValueKind::Set(_) => {
                        builtins::mutate(option, method, &args, &origin)
                    }
                    _ => Value::unknown(Why::Dynamic("changed by a method"), origin.clone()),
                };
                let options = found.options.iter().map(change).collect();
                self.assign(frame, target, alternatives(options, &found.condition), at);
                return;
            }
        }
        let value = self.expr(frame, id);
        if frame.kind == FrameKind::Function && frame.trace.is_some() {
            return;
        }
        self.include(frame, &value, at);
        // Whatever else is called may change the collections that it is given.
        let harmless = match &value.kind {
            ValueKind::Call(call) => call.name().is_some_and(|name| name.starts_with("builtins.")),
            _ => false,
        };
        if harmless {
            return;
        }
        for arg in args {
            if matches!(frame.module.expr(arg.value).kind, ExprKind::Name) {
                let given = self.expr(frame, arg.value);
                let mutable =
                    |option: &Value| matches!(option.kind, ValueKind::List(_) | ValueKind::Dict(_) | ValueKind::Set(_));
                if given.options().iter().any(mutable) {
                    let origin = frame.origin(expr.span);
                    let why = Why::Dynamic("passed to a call that may change it");
                    let perhaps = alternatives(vec![given, Value::unknown(why, origin.clone())], &origin);
                    self.assign(frame, arg.value, perhaps, at);
                }
            }
        }
    }

    /// The top level assigns to an attribute of something outside of the project.
    fn assign_outside(frame: &Frame<'_>, dotted: &str, value: Value) {
        let mut assigned = frame.scope.assigned.borrow_mut();
        assigned.retain(|(known, _)| **known != *dotted);
        let certain = frame.guards.get() == 0;
        let unknown = Value::unknown(Why::Dynamic("assigned under a condition"), value.origin.clone());
        assigned.push((Arc::from(dotted), if certain { value } else { unknown }));
    }

    /// Whether an expression is something that can be assigned to: a variable, or an attribute or item of one.
    pub(super) fn is_place(frame: &Frame<'_>, id: ExprId) -> bool {
        let mut id = id;
        // The chain is as deep as the syntax, which has a limit.
        loop {
            match frame.module.expr(id).kind {
                ExprKind::Name => return true,
                ExprKind::Attribute { value, .. } | ExprKind::Subscript { value, .. } => id = value,
                _ => return false,
            }
        }
    }

    pub(super) fn assign(&self, frame: &Frame<'_>, target: ExprId, value: Value, at: u32) {
        if !self.enter() {
            return;
        }
        let expr = frame.module.expr(target);
        match &expr.kind {
            ExprKind::Name => frame.bind(Str::verbatim(frame.module, expr.span), at, value),
            ExprKind::Tuple(targets) | ExprKind::List(targets) => self.assign_items(frame, targets, &value, at),
            ExprKind::Starred(inner) => self.assign(frame, *inner, value, at),
            ExprKind::Attribute { value: object, name } => {
                let object = self.expr(frame, *object);
                if let ValueKind::Class(class) = &object.kind
                    && class.module == *frame.module
                    && frame.kind == FrameKind::Module
                {
                    let name = Str::verbatim(frame.module, *name);
                    let mut patches = frame.scope.patches.borrow_mut();
                    let patches = patches.entry(class.id).or_default();
                    match patches.iter_mut().find(|(found, _)| *found == name) {
                        Some((_, bound)) => *bound = value,
                        None => patches.push((name, value)),
                    }
                } else if let ValueKind::Symbol(symbol) = &object.kind
                    && !symbol.contains('.')
                    && let Some(trace) = &frame.trace
                {
                    frame.attributes.borrow_mut().push(AttributeSet {
                        object: Arc::clone(symbol),
                        name: Str::verbatim(frame.module, *name),
                        value,
                        conditional: frame.guards.get() > 0,
                        calls_before: trace.borrow().len(),
                    });
                } else if let ValueKind::Symbol(symbol) = &object.kind
                    && frame.kind == FrameKind::Module
                {
                    Self::assign_outside(frame, &format!("{symbol}.{}", frame.module.text(*name)), value);
                } else if let Some(class) = object.as_call().and_then(|call| call.callee.as_class()) {
                    let name = Str::verbatim(frame.module, *name);
                    self.set_attribute(&object, class, name, value, frame.guards.get() == 0);
                } else {
                    self.changed_from_outside(frame, target, at);
                }
            }
            ExprKind::Subscript { value: object, index } if Self::is_place(frame, *object) => {
                let container = self.expr(frame, *object);
                let index = self.expr(frame, *index);
                if matches!(container.kind, ValueKind::List(_) | ValueKind::Dict(_)) {
                    let changed = self.charged(builtins::set_item(&container, index, value, &frame.origin(expr.span)));
                    self.assign(frame, *object, changed, at);
                } else if frame.trace.is_some() && is_gathering(&container) {
                    let gathered = gathered_with(&container, value, &frame.origin(expr.span));
                    self.assign(frame, *object, gathered, at);
                }
            }
            _ => {}
        }
        self.leave();
    }

    /// An attribute is set on what Django's class made, or on a part of it: what that is from here on, only Django knows.
    fn changed_from_outside(&self, frame: &Frame<'_>, target: ExprId, at: u32) {
        let mut id = target;
        // The chain is as deep as the syntax, which has a limit.
        while let ExprKind::Attribute { value, .. } | ExprKind::Subscript { value, .. } = frame.module.expr(id).kind {
            id = value;
            let object = self.expr(frame, id);
            let of_django = object
                .as_call()
                .and_then(|call| call.callee.name())
                .is_some_and(|name| name.starts_with("django.db.models.") || name.starts_with("django.db.migrations."));
            if of_django && Self::is_place(frame, id) {
                let origin = frame.origin(frame.module.expr(target).span);
                self.assign(frame, id, Value::unknown(Why::Dynamic("an attribute of it is set"), origin), at);
                return;
            }
        }
    }

    pub(super) fn assign_items(&self, frame: &Frame<'_>, targets: &[ExprId], value: &Value, at: u32) {
        let star = targets.iter().position(|target| matches!(frame.module.expr(*target).kind, ExprKind::Starred(_)));
        let items = ops::elements(value);
        let fits = |items: &[Value]| match star {
            Some(_) => items.len() + 1 >= targets.len(),
            None => items.len() == targets.len(),
        };
        let known = items.filter(|items| fits(items));
        let Some(items) = known else {
            for (position, target) in targets.iter().enumerate() {
                let origin = value.origin.clone();
                let part = match &value.kind {
                    ValueKind::Unknown(_) => value.clone(),
                    _ if star.is_some() => Value::unknown(Why::Dynamic("a part of an unknown sequence"), origin),
                    _ => {
                        let position = i64::try_from(position).unwrap_or(i64::MAX);
                        let index = Value::new(ValueKind::Int(Int::Small(position)), origin.clone());
                        Value::new(ValueKind::Subscript(Arc::new((value.clone(), index))), origin)
                    }
                };
                self.assign(frame, *target, part, at);
            }
            return;
        };
        let extra = items.len() + 1 - targets.len().min(items.len() + 1);
        let mut items = items.into_iter();
        for (position, target) in targets.iter().enumerate() {
            if Some(position) == star {
                let rest: Vec<Value> = items.by_ref().take(extra).collect();
                let rest = Value::new(ValueKind::List(Arc::new(rest)), value.origin.clone());
                self.assign(frame, *target, rest, at);
            } else if let Some(item) = items.next() {
                self.assign(frame, *target, item, at);
            }
        }
    }

    pub(super) fn delete(&self, frame: &Frame<'_>, target: ExprId, at: u32) {
        let expr = frame.module.expr(target);
        match &expr.kind {
            ExprKind::Name => {
                let name = Str::verbatim(frame.module, expr.span);
                let why = Why::Unbound(name.as_str().into());
                frame.bind(name, at, Value::unknown(why, frame.origin(expr.span)));
            }
            ExprKind::Subscript { value, index } if Self::is_place(frame, *value) => {
                let container = self.expr(frame, *value);
                let index = self.expr(frame, *index);
                if matches!(container.kind, ValueKind::List(_) | ValueKind::Dict(_)) {
                    let changed = builtins::delete_item(&container, &index, &frame.origin(expr.span));
                    self.assign(frame, *value, changed, at);
                }
            }
            _ => {}
        }
    }

    pub(super) fn if_stmt(
        &self,
        frame: &Frame<'_>,
        stmt: &Stmt,
        branches: &[(ExprId, Box<[Stmt]>)],
        orelse: &[Stmt],
    ) -> Flow {
        // The branches that may run: up to the first condition that is known to hold.
        let mut possible: Vec<(&[Stmt], Conditions)> = Vec::new();
        let mut condition = None;
        let mut certain = false;
        // The tests so far that are not known, none of which has held.
        let mut failed: Conditions = Vec::new();
        for (test, body) in branches {
            let value = self.expr(frame, *test);
            match value.truth() {
                Some(false) => {}
                Some(true) => {
                    possible.push((body, failed.clone()));
                    certain = true;
                    break;
                }
                None => {
                    condition.get_or_insert_with(|| frame.origin(frame.module.expr(*test).span));
                    let held = failed.iter().cloned().chain([(value.clone(), true)]).collect();
                    possible.push((body, held));
                    failed.push((value, false));
                }
            }
        }
        if !certain {
            possible.push((orelse, failed));
        }
        if let [(only, _)] = possible.as_slice() {
            return self.block(frame, only);
        }
        // What follows is reached from a single branch where the others leave the function.
        let passed: RefCell<Vec<Conditions>> = RefCell::default();
        let runs: Vec<Box<dyn Fn() -> Flow + '_>> = possible
            .into_iter()
            .map(|(block, held)| {
                let passed = &passed;
                Box::new(move || {
                    if frame.trace.is_none() {
                        return self.block(frame, block);
                    }
                    let depth = frame.conditions.borrow().len();
                    frame.conditions.borrow_mut().extend(held.iter().cloned());
                    frame.explained.set(frame.explained.get() + 1);
                    let flow = self.block(frame, block);
                    frame.explained.set(frame.explained.get() - 1);
                    frame.conditions.borrow_mut().truncate(depth);
                    if matches!(flow, Flow::Next) {
                        passed.borrow_mut().push(held.clone());
                    }
                    flow
                }) as Box<dyn Fn() -> Flow + '_>
            })
            .collect();
        let count = runs.len();
        let flow = self.join(frame, stmt.span.start, &condition.unwrap_or_else(|| frame.origin(stmt.span)), &runs);
        drop(runs);
        if let [only] = passed.into_inner().as_slice()
            && count > 1
        {
            frame.conditions.borrow_mut().extend(only.iter().cloned());
        }
        flow
    }

    /// Run each of several possible continuations from the same state and join what they bind.
    pub(super) fn join(
        &self,
        frame: &Frame<'_>,
        at: u32,
        condition: &Origin,
        runs: &[Box<dyn Fn() -> Flow + '_>],
    ) -> Flow {
        frame.guards.set(frame.guards.get() + 1);
        let patches = frame.scope.patches.borrow().clone();
        let mark = frame.with_names(|names| names.mark());
        let mut results: Vec<(bool, Vec<(Str, Slot)>)> = Vec::new();
        let mut flows = Vec::new();
        for run in runs {
            let flow = run();
            let changed = frame.with_names(|names| names.rollback(mark));
            // A branch that leaves the block does not reach what follows.
            if matches!(flow, Flow::Next | Flow::Continue | Flow::Break) {
                // Where a body is read, one that leaves the round says behind the loop what it has bound, and nothing else.
                let goes_on = frame.trace.is_none() || matches!(flow, Flow::Next);
                results.push((goes_on, changed));
            }
            flows.push(flow);
        }
        frame.guards.set(frame.guards.get() - 1);
        Self::join_patches(frame, &patches, condition);
        let mut names: Vec<Str> = Vec::new();
        for (name, _) in results.iter().flat_map(|(_, changed)| changed) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        for name in names {
            let incoming = frame.with_names(|names| names.get(&name, u32::MAX));
            let incoming = incoming.or_else(|| match frame.kind {
                FrameKind::Class(at) => frame.scope.names.borrow().get(&name, at),
                _ => None,
            });
            let mut options: Vec<Slot> = Vec::new();
            for (goes_on, changed) in &results {
                let found = changed.iter().find(|(found, _)| *found == name).map(|(_, slot)| slot.clone());
                match found.or_else(|| incoming.clone().filter(|_| *goes_on)) {
                    Some(slot) => options.push(slot),
                    None if !goes_on => {}
                    None => {
                        let why = Why::Unbound(name.as_str().into());
                        options.push(Slot::Value(Value::unknown(why, condition.clone())));
                    }
                }
            }
            if let [only] = options.as_slice() {
                frame.bind_slot(name, at, only.clone());
                continue;
            }
            let options: Vec<Value> = options.into_iter().map(|slot| self.slot_value(slot)).collect();
            frame.bind(name, at, alternatives(options, condition));
        }
        // Who gets past the statement has not taken a branch that raises.
        flows.retain(|flow| !matches!(flow, Flow::Raise));
        if flows.is_empty() {
            return Flow::Raise;
        }
        if flows.iter().all(|flow| matches!(flow, Flow::Next)) {
            return Flow::Next;
        }
        if frame.trace.is_some() && flows.iter().any(|flow| matches!(flow, Flow::Next)) {
            // The body is read, not run: what follows is read too, under the condition that it is reached.
            return Flow::Next;
        }
        let mut returned: Vec<Value> = Vec::new();
        let mut goes_on = false;
        for flow in flows {
            match flow {
                Flow::Return(value) => returned.push(value),
                Flow::Next => goes_on = true,
                _ => return Flow::Lost,
            }
        }
        if goes_on {
            let mut pending = frame.returned.borrow_mut();
            let (_, values) = pending.get_or_insert_with(|| (condition.clone(), Vec::new()));
            if values.len() >= MAX_OPTIONS {
                return Flow::Lost;
            }
            values.append(&mut returned);
            return Flow::Next;
        }
        Flow::Return(alternatives(returned, condition))
    }

    /// Attributes of classes that were assigned under a condition that is not known.
    pub(super) fn join_patches(frame: &Frame<'_>, before: &BTreeMap<ClassId, Vec<(Str, Value)>>, condition: &Origin) {
        let mut patches = frame.scope.patches.borrow_mut();
        for (class, list) in patches.iter_mut() {
            for (name, value) in list.iter_mut() {
                let old = before.get(class).and_then(|list| list.iter().find(|(found, _)| found == name));
                if old.is_some_and(|(_, old)| old.origin == value.origin) {
                    continue;
                }
                let options = match old {
                    Some((_, old)) => vec![value.clone(), old.clone()],
                    None => {
                        let why = Why::Dynamic("assigned to the class under a condition");
                        vec![value.clone(), Value::unknown(why, condition.clone())]
                    }
                };
                *value = alternatives(options, condition);
            }
        }
    }

    /// A block that may run any number of times.
    pub(super) fn uncertain_block(&self, frame: &Frame<'_>, stmt: &Stmt, body: &[Stmt], what: &'static str) -> Flow {
        Self::poison(frame, std::slice::from_ref(stmt), &Why::Dynamic(what));
        if frame.trace.is_some() {
            frame.guards.set(frame.guards.get() + 1);
            self.block(frame, body);
            frame.guards.set(frame.guards.get() - 1);
            return Flow::Next;
        }
        if leaves(body) { Flow::Lost } else { Flow::Next }
    }

    pub(super) fn for_stmt(
        &self,
        frame: &Frame<'_>,
        stmt: &Stmt,
        target: ExprId,
        iter: ExprId,
        body: &[Stmt],
        orelse: &[Stmt],
    ) -> Flow {
        let at = stmt.span.start;
        let iterable = self.expr(frame, iter);
        let items = ops::elements(&iterable);
        if frame.trace.is_some()
            && let Some(items) = items.as_ref().filter(|items| (1..=MAX_READ_ROUNDS).contains(&items.len()))
        {
            // Each round is read; that one may leave the loop is no reason to overlook the others.
            Self::poison(frame, std::slice::from_ref(stmt), &Why::Dynamic(IN_A_LOOP));
            for item in items {
                let calls = frame.trace.as_ref().map_or(0, |trace| trace.borrow().len());
                if calls > MAX_READ_CALLS {
                    break;
                }
                self.assign(frame, target, item.clone(), at);
                self.block(frame, body);
            }
            self.block(frame, orelse);
            return Flow::Next;
        }
        let Some(items) = items.filter(|_| frame.trace.is_none()) else {
            let origin = frame.origin(frame.module.expr(iter).span);
            let element = |iterable: &Value| Value::new(ValueKind::Element(Arc::new(iterable.clone())), origin.clone());
            let element = match iterable.as_call() {
                // Pairs of a number and an element.
                Some(call) if call.callee.is_symbol("builtins.enumerate") && call.positional(0).is_some() => {
                    let number = Value::unknown(Why::Dynamic(IN_A_LOOP), origin.clone());
                    let inner = call.positional(0).map(|arg| element(&arg.value));
                    let pair = [number].into_iter().chain(inner).collect();
                    Value::new(ValueKind::Tuple(Arc::new(pair)), origin.clone())
                }
                Some(call) if call.callee.is_symbol("builtins.zip") && !call.has_unpacked() => {
                    let parts = call.args.iter().filter(|arg| matches!(arg.kind, ArgKind::Positional));
                    let parts = parts.map(|arg| element(&arg.value)).collect();
                    Value::new(ValueKind::Tuple(Arc::new(parts)), origin.clone())
                }
                _ => element(&iterable),
            };
            let grown = if frame.trace.is_none() { Self::grown(frame, body) } else { Vec::new() };
            Self::poison(frame, std::slice::from_ref(stmt), &Why::Dynamic(IN_A_LOOP));
            for (name, list) in grown {
                frame.bind(name, at, list);
            }
            self.assign(frame, target, element, at);
            if frame.trace.is_some() {
                frame.guards.set(frame.guards.get() + 1);
                self.block(frame, body);
                self.block(frame, orelse);
                frame.guards.set(frame.guards.get() - 1);
                return Flow::Next;
            }
            return if leaves(body) { Flow::Lost } else { Flow::Next };
        };
        for item in items {
            if !self.step(1) {
                Self::poison(frame, std::slice::from_ref(stmt), &Why::TooLong);
                return Flow::Lost;
            }
            self.assign(frame, target, item, at);
            match self.block(frame, body) {
                Flow::Next | Flow::Continue => {}
                Flow::Break => return Flow::Next,
                Flow::Raise => return Flow::Raise,
                Flow::Return(value) => return Flow::Return(value),
                Flow::Lost => {
                    Self::poison(frame, std::slice::from_ref(stmt), &Why::Dynamic(IN_A_LOOP));
                    // Only a function can be left for good.
                    return if frame.kind == FrameKind::Function { Flow::Lost } else { Flow::Next };
                }
            }
        }
        self.block(frame, orelse)
    }

    pub(super) fn try_stmt(
        &self,
        frame: &Frame<'_>,
        stmt: &Stmt,
        body: &[Stmt],
        handlers: &[Handler],
        orelse: &[Stmt],
        finally: &[Stmt],
    ) -> Flow {
        let catches_import = handlers.iter().any(|handler| is_import_error(frame.module, handler));
        let import_fails = if catches_import { self.import_fails(frame, body) } else { None };
        let flow = if import_fails == Some(true) {
            match handlers.iter().find(|handler| is_import_error(frame.module, handler)) {
                Some(handler) => self.block(frame, &handler.body),
                None => Flow::Next,
            }
        } else if (import_fails == Some(false) || handlers.is_empty()) && frame.trace.is_none() {
            match self.block(frame, body) {
                Flow::Next => self.block(frame, orelse),
                flow => flow,
            }
        } else if let Some(block) = self.settled(frame, body, handlers) {
            match self.block(frame, block) {
                Flow::Next if std::ptr::eq(block, body) => self.block(frame, orelse),
                flow => flow,
            }
        } else {
            let mut runs: Vec<Box<dyn Fn() -> Flow + '_>> = vec![Box::new(|| {
                // Unless something fails, what stands in the body runs: that is no condition.
                let guards = frame.guards.get();
                frame.guards.set(if frame.trace.is_some() { guards.saturating_sub(1) } else { guards });
                let flow = match self.block(frame, body) {
                    Flow::Next => self.block(frame, orelse),
                    flow => flow,
                };
                frame.guards.set(guards);
                flow
            })];
            for handler in handlers {
                runs.push(Box::new(move || {
                    if let Some(name) = handler.name {
                        let value = Value::unknown(Why::Dynamic("a caught exception"), frame.origin(name));
                        frame.bind(Str::verbatim(frame.module, name), handler.span.start, value);
                    }
                    self.block(frame, &handler.body)
                }));
            }
            self.join(frame, stmt.span.start, &frame.origin(stmt.span), &runs)
        };
        match self.block(frame, finally) {
            Flow::Next => flow,
            other => other,
        }
    }

    /// The only block that runs of a `try` around one look-up, where it is certain whether that fails: the body or a
    /// handler's.
    fn settled<'b>(&self, frame: &Frame<'_>, body: &'b [Stmt], handlers: &'b [Handler]) -> Option<&'b [Stmt]> {
        const LOOKUPS: [&str; 5] = ["KeyError", "LookupError", "IndexError", "AttributeError", "Exception"];
        if frame.trace.is_some() {
            return None;
        }
        let [stmt] = body else { return None };
        let (StmtKind::Assign { value, .. } | StmtKind::Return(Some(value))) = &stmt.kind else { return None };
        if !matches!(frame.module.expr(*value).kind, ExprKind::Subscript { .. } | ExprKind::Attribute { .. }) {
            return None;
        }
        let value = self.expr(frame, *value);
        if value.is_constant() || matches!(value.kind, ValueKind::Function(_) | ValueKind::Class(_)) {
            return Some(body);
        }
        if !matches!(value.kind, ValueKind::Unknown(Why::Error(_))) {
            return None;
        }
        let catches = |handler: &&Handler| match handler.class {
            None => true,
            Some(class) => {
                let expr = frame.module.expr(class);
                matches!(expr.kind, ExprKind::Name) && LOOKUPS.contains(&frame.module.text(expr.span))
            }
        };
        // Which of them catches it is certain where there is but one.
        match handlers {
            [only] if catches(&only) => Some(&only.body),
            _ => None,
        }
    }

    /// Whether a block imports a module that is not there; None where that is not known.
    fn import_fails(&self, frame: &Frame<'_>, body: &[Stmt]) -> Option<bool> {
        let mut certain = true;
        for stmt in body {
            match self.import_is_there(frame, stmt) {
                Some(true) => {}
                Some(false) => return Some(true),
                None => certain = false,
            }
        }
        certain.then_some(false)
    }

    /// Whether a statement's imports find their modules; a statement that imports nothing needs none.
    fn import_is_there(&self, frame: &Frame<'_>, stmt: &Stmt) -> Option<bool> {
        match &stmt.kind {
            StmtKind::Import(names) => {
                let mut all = Some(true);
                for import in names {
                    let found = self.loader.installed(&dotted_text(frame.module, import.name));
                    if found == Some(false) {
                        return found;
                    }
                    all = all.and(found);
                }
                all
            }
            StmtKind::ImportFrom { level: 0, module: Some(module), .. } => {
                self.loader.installed(&dotted_text(frame.module, *module))
            }
            StmtKind::ImportFrom { level, module, names } if *level > 0 => {
                let relative = module.map_or(String::new(), |span| dotted_text(frame.module, span));
                let Some(source) = absolute_name(frame.module, *level, &relative) else { return Some(false) };
                if self.loader.load(&source).is_some() {
                    return Some(true);
                }
                let is_module =
                    |name: Span| self.loader.load(&format!("{source}.{}", frame.module.text(name))).is_some();
                Some(match names {
                    ImportedNames::Star => false,
                    ImportedNames::Names(names) => names.iter().all(|import| is_module(import.name)),
                })
            }
            _ => Some(true),
        }
    }

    /// The lists that a loop of unknown length only appends to: what they hold before it, and what the loop adds.
    fn grown(frame: &Frame<'_>, body: &[Stmt]) -> Vec<(Str, Value)> {
        let module = frame.module;
        let (mut all, mut others) = (Vec::new(), Vec::new());
        for stmt in body {
            touched(module, stmt, &mut all);
            changed_otherwise(module, stmt, &mut others);
        }
        let mut found: Vec<(Str, Value)> = Vec::new();
        for Touched { name, at, .. } in all {
            let text = module.text(name);
            if found.iter().any(|(known, _)| known.as_str() == text)
                || others.iter().any(|other| module.text(other.name) == text)
            {
                continue;
            }
            let Some(Slot::Value(value)) = frame.with_names(|names| names.get(text, u32::MAX)) else { continue };
            let origin = frame.origin(at);
            let longer = |list: &Value| {
                let ValueKind::List(items) = &list.kind else { return None };
                let added = Value::unknown(Why::Dynamic("what a loop appends"), origin.clone());
                let mut items = items.to_vec();
                items.push(Value::new(ValueKind::Spread(Arc::new(added)), origin.clone()));
                Some(Value::new(ValueKind::List(Arc::new(items)), list.origin.clone()))
            };
            let Some(lists) = value.options().iter().map(longer).collect::<Option<Vec<_>>>() else { continue };
            let list = match &value.kind {
                ValueKind::Alternatives(found) => alternatives(lists, &found.condition),
                _ => match lists.into_iter().next() {
                    Some(list) => list,
                    None => continue,
                },
            };
            found.push((Str::verbatim(module, name), list));
        }
        found
    }

    /// Make every name that the statements may bind or change unknown.
    pub(super) fn poison(frame: &Frame<'_>, block: &[Stmt], why: &Why) {
        let mut roots = Vec::new();
        for stmt in block {
            touched(frame.module, stmt, &mut roots);
        }
        if frame.trace.is_some() {
            note_all(frame, block);
        }
        for Touched { name, at, in_place } in roots {
            let name = Str::verbatim(frame.module, name);
            // `tag.order_set.add(order)` leaves `tag` what it is.
            let is_object = |value: &Value| match &value.kind {
                ValueKind::Element(_) | ValueKind::Subscript(_) => true,
                // Of a method, or of what a call gave: no collection by its name.
                ValueKind::Call(call) => matches!(call.callee.kind, ValueKind::Attribute(_) | ValueKind::Call(_)),
                _ => false,
            };
            // And what another loop has gathered is joined by what this one does.
            let stays = |value: &Value| is_object(value) || value.as_comprehension().is_some();
            if in_place
                && frame.trace.is_some()
                && let Some(Slot::Value(value)) = frame.with_names(|names| names.get(name.as_str(), u32::MAX))
                && value.options().iter().all(stays)
            {
                continue;
            }
            frame.bind(name, at.start, Value::unknown(why.clone(), frame.origin(at)));
        }
    }
}

/// A collection that a loop of unknown length fills.
fn is_gathering(value: &Value) -> bool {
    matches!(value.kind, ValueKind::Unknown(Why::Dynamic(IN_A_LOOP)))
        || value.options().iter().all(|option| option.as_comprehension().is_some())
}

/// Such a collection with one more element.
fn gathered_with(before: &Value, element: Value, origin: &Origin) -> Value {
    let gathered = Evaluator::gathered(GATHERED, vec![element], origin);
    if before.as_comprehension().is_none() && !matches!(before.kind, ValueKind::Alternatives(_)) {
        return gathered;
    }
    alternatives(before.options().iter().cloned().chain([gathered]).collect(), origin)
}

/// All statements of a block may run.
fn note_all(frame: &Frame<'_>, block: &[Stmt]) {
    for stmt in block {
        frame.reached.borrow_mut().insert(stmt.span.start);
        stmt.for_each_block(&mut |block| note_all(frame, block));
    }
}

/// The class behind its type parameters: `models.ForeignKey["Order"]`, `Base[T]`.
fn generic(base: Value) -> Value {
    match &base.kind {
        ValueKind::Subscript(parts) if matches!(parts.0.kind, ValueKind::Class(_) | ValueKind::Symbol(_)) => {
            parts.0.clone()
        }
        _ => base,
    }
}

/// The dotted name under a span, without the white space and line continuations that may stand around its dots.
fn dotted_text(module: &Module, span: Span) -> String {
    module.text(span).chars().filter(|character| !character.is_whitespace() && *character != '\\').collect()
}

/// The full name of the module that a `from` names; None beyond the top-level package.
fn absolute_name(module: &Module, level: u32, relative: &str) -> Option<String> {
    if level == 0 {
        return Some(relative.to_owned());
    }
    let mut package = module.name();
    let up = level - u32::from(module.is_package());
    for _ in 0..up {
        package = match package.rsplit_once('.') {
            Some((parent, _)) => parent,
            None if package.is_empty() => return None,
            None => "",
        };
    }
    Some(match (package, relative) {
        ("", relative) => relative.to_owned(),
        (package, "") => package.to_owned(),
        (package, relative) => format!("{package}.{relative}"),
    })
}

fn is_import_error(module: &Module, handler: &Handler) -> bool {
    let Some(class) = handler.class else { return false };
    let is_name = |id: ExprId| {
        let expr = module.expr(id);
        matches!(expr.kind, ExprKind::Name) && matches!(module.text(expr.span), "ImportError" | "ModuleNotFoundError")
    };
    match &module.expr(class).kind {
        ExprKind::Tuple(classes) => classes.iter().any(|class| is_name(*class)),
        _ => is_name(class),
    }
}

/// Whether a block holds a `return` (or leaves a loop that is not its own); functions inside are their own affair.
fn leaves(block: &[Stmt]) -> bool {
    block.iter().any(|stmt| {
        let mut found = matches!(stmt.kind, StmtKind::Return(_));
        stmt.for_each_block(&mut |block| found |= leaves(block));
        found
    })
}

/// A name that a statement may bind or change.
struct Touched {
    name: Span,
    /// The statement.
    at: Span,
    /// By a method, an attribute or an item: of a list, or of something else that the name goes on to mean.
    in_place: bool,
}

impl Touched {
    fn bound(name: Span, at: Span) -> Self {
        Self { name, at, in_place: false }
    }
}

/// The names that a statement may bind or change.
fn touched(module: &Module, stmt: &Stmt, out: &mut Vec<Touched>) {
    let at = stmt.span;
    match &stmt.kind {
        StmtKind::Assign { targets, .. } | StmtKind::Delete(targets) => {
            for target in targets {
                roots(module, *target, at, out);
            }
        }
        StmtKind::AnnAssign { target, value: Some(_), .. } | StmtKind::AugAssign { target, .. } => {
            roots(module, *target, at, out);
        }
        StmtKind::Import(names) => {
            for import in names {
                let root = module.text(import.name).split(['.', ' ', '\\']).next().map_or(0, str::len);
                let end = import.name.start.saturating_add(u32::try_from(root).unwrap_or(0));
                out.push(Touched::bound(import.alias.unwrap_or(Span::new(import.name.start, end)), at));
            }
        }
        StmtKind::ImportFrom { names: ImportedNames::Names(names), .. } => {
            out.extend(names.iter().map(|import| Touched::bound(import.alias.unwrap_or(import.name), at)));
        }
        StmtKind::Function(id) => out.push(Touched::bound(module.function(*id).name, at)),
        StmtKind::Class(id) => out.push(Touched::bound(module.class(*id).name, at)),
        StmtKind::For { target, .. } => roots(module, *target, at, out),
        StmtKind::With { items, .. } => {
            for target in items.iter().filter_map(|item| item.target) {
                roots(module, target, at, out);
            }
        }
        StmtKind::Try { handlers, .. } => {
            out.extend(handlers.iter().filter_map(|handler| handler.name).map(|name| Touched::bound(name, at)));
        }
        StmtKind::Match { cases, .. } => {
            out.extend(cases.iter().flat_map(|case| case.captures.iter()).map(|name| Touched::bound(*name, at)));
        }
        StmtKind::Expr(value) => {
            if let ExprKind::Call { callee, .. } = &module.expr(*value).kind
                && let ExprKind::Attribute { value: receiver, name } = module.expr(*callee).kind
                && builtins::is_mutator(module.text(name))
            {
                let first = out.len();
                roots(module, receiver, at, out);
                out.iter_mut().skip(first).for_each(|touched| touched.in_place = true);
            }
        }
        _ => {}
    }
    stmt.for_each_block(&mut |block| {
        for stmt in block {
            touched(module, stmt, out);
        }
    });
}

/// The names that a statement changes in another way than by appending to a list.
fn changed_otherwise(module: &Module, stmt: &Stmt, out: &mut Vec<Touched>) {
    let is_name = |id: ExprId| matches!(module.expr(id).kind, ExprKind::Name);
    let appends = match &stmt.kind {
        StmtKind::AugAssign { target, op: BinaryOp::Add, .. } => is_name(*target),
        StmtKind::Expr(value) => match &module.expr(*value).kind {
            ExprKind::Call { callee, .. } => match module.expr(*callee).kind {
                ExprKind::Attribute { value: receiver, name } => {
                    matches!(module.text(name), "append" | "extend") && is_name(receiver)
                }
                _ => false,
            },
            _ => false,
        },
        _ => false,
    };
    if appends {
        return;
    }
    let mut inner = false;
    stmt.for_each_block(&mut |block| {
        for stmt in block {
            inner = true;
            changed_otherwise(module, stmt, out);
        }
    });
    if inner {
        // The statement's own targets, without what stands in its blocks.
        match &stmt.kind {
            StmtKind::For { target, .. } => roots(module, *target, stmt.span, out),
            StmtKind::With { items, .. } => {
                for target in items.iter().filter_map(|item| item.target) {
                    roots(module, target, stmt.span, out);
                }
            }
            StmtKind::If { .. } => {}
            _ => touched(module, stmt, out),
        }
    } else {
        touched(module, stmt, out);
    }
}

/// The variables behind an assignment's target.
fn roots(module: &Module, target: ExprId, at: Span, out: &mut Vec<Touched>) {
    let mut target = target;
    let mut in_place = false;
    loop {
        let expr = module.expr(target);
        match &expr.kind {
            ExprKind::Name => return out.push(Touched { name: expr.span, at, in_place }),
            ExprKind::Attribute { value, .. } | ExprKind::Subscript { value, .. } => {
                target = *value;
                in_place = true;
            }
            ExprKind::Starred(value) => target = *value,
            ExprKind::Tuple(targets) | ExprKind::List(targets) => {
                for target in targets {
                    roots(module, *target, at, out);
                }
                return;
            }
            _ => return,
        }
    }
}

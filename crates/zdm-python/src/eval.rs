//! The evaluator: runs a module's top level, class bodies and simple functions in the abstract.
//!
//! Statements are taken in order, as Python does, on [`Value`]s instead of objects. What cannot be known becomes
//! [`ValueKind::Unknown`] with its reason; a condition that cannot be known makes both branches happen and joins their
//! bindings into [`ValueKind::Alternatives`]. Modules are run when a name of theirs is needed, class bodies when they
//! are asked for, functions when they are called with known arguments.
//!
//! Every run has a budget of steps of its own and every recursion a limit, so that any input ends.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use zdm_source::Span;

use crate::builtins;
use crate::format;
use crate::literal;
use crate::namespace::{Imported, Namespace, Slot};
use crate::ops;
use crate::syntax::{
    ArgumentKind, BinaryOp, BoolOp, ClassId, CompareOp, ComprehensionClause, ComprehensionKind, DictItem, ExprId,
    ExprKind, FStringPart, Handler, ImportedNames, Module, Param, ParamKind, Stmt, StmtKind, Why,
};
use crate::text::{Origin, Str, StrBuilder};
use crate::value::{
    Alternatives, Arg, ArgKind, Call, ClassRef, DictEntry, FunctionRef, TemplatePart, Value, ValueKind,
};

/// Expressions, statements, calls and module loads that may be under way at once.
const MAX_DEPTH: u32 = 300;
/// A module, class or function is run only if this much of it is left, so that its own statements fit in.
const HEADROOM: u32 = 60;
/// Evaluation steps of one module's top level, one class body or one outside query.
const MAX_STEPS: u32 = 1_000_000;
/// Elements of a collection, and rounds of a loop.
pub(crate) const MAX_ITEMS: usize = 100_000;
/// Bytes of a string.
pub(crate) const MAX_TEXT: usize = 16 << 20;
/// Calls of project functions inside of each other.
const MAX_CALLS: u32 = 16;
/// Values that a name may have at once.
const MAX_OPTIONS: usize = 64;

/// Where imported modules come from, and what is known about the world outside of them.
pub trait ModuleLoader {
    /// The project's module of this dotted name; for a package, its `__init__.py`.
    ///
    /// Modules that the caller wants to see as symbols (`django.db.models`) are not to be found here, even if their
    /// source is at hand.
    fn load(&self, name: &str) -> Option<Module>;

    /// A known value for something outside of the project, such as `django.db.connection.vendor`.
    fn symbol(&self, name: &str) -> Option<ValueKind> {
        let _ = name;
        None
    }
}

/// Evaluates modules, classes and functions; remembers what it has evaluated.
///
/// The same questions in the same order get the same answers. Where modules use each other's values in a circle on
/// the top level, the answer may depend on which one was asked for first, as in Python; so where output must not
/// depend on the order of work, give each independent piece of work an evaluator of its own.
pub struct Evaluator<'l> {
    loader: &'l dyn ModuleLoader,
    modules: RefCell<HashMap<usize, Rc<ModuleScope>>>,
    /// None while a body is being run.
    classes: RefCell<ClassBodies>,
    depth: Cell<u32>,
    calls: Cell<u32>,
    steps: Cell<u32>,
}

impl std::fmt::Debug for Evaluator<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Evaluator").finish_non_exhaustive()
    }
}

type ClassBodies = HashMap<(usize, ClassId), Option<Rc<ClassBody>>>;

struct ModuleScope {
    module: Module,
    names: RefCell<Namespace>,
    done: Cell<bool>,
    /// Whether the module was not run because too much is under way.
    skipped: Cell<bool>,
    /// What the module's top level assigns to attributes of its classes.
    patches: RefCell<BTreeMap<ClassId, Vec<(Str, Value)>>>,
}

/// The bindings of a class body, in the order in which the names were first bound.
#[derive(Debug)]
pub struct ClassBody {
    pub class: ClassRef,
    /// The base classes, evaluated.
    pub bases: Vec<Value>,
    pub bindings: Vec<(Str, Value)>,
    /// The syntax errors inside of the class: where there are some, what is bound may not be all.
    pub syntax_errors: Vec<Span>,
}

impl ClassBody {
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.bindings.iter().find(|(found, _)| found.as_str() == name).map(|(_, value)| value)
    }
}

/// How a block ends.
enum Flow {
    Next,
    Return(Value),
    Break,
    Continue,
    /// An exception leaves the block; what follows does not run.
    Raise,
    /// Whether what follows runs is not known.
    Lost,
}

/// What is being run.
struct Frame<'e> {
    module: &'e Module,
    scope: &'e Rc<ModuleScope>,
    /// The frame's own names; none on a module's top level, whose names are the scope's.
    names: Option<RefCell<Namespace>>,
    kind: FrameKind,
    /// Variables of comprehensions, innermost last.
    locals: RefCell<Vec<(Str, Value)>>,
    /// The calls met, when a function's body is read.
    trace: Option<RefCell<Vec<CallSite>>>,
    /// Conditions and loops around the place that is being read.
    guards: Cell<u32>,
    /// What a function may already have returned, under conditions that are not known, and the first of these.
    returned: RefCell<Option<(Origin, Vec<Value>)>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FrameKind {
    Module,
    /// Names of the module count as they are at this offset.
    Class(u32),
    Function,
}

/// A call in a function's body.
#[derive(Clone, Debug)]
pub struct CallSite {
    /// A call, with its receiver resolved as far as it can be.
    pub call: Value,
    /// Whether it stands under a condition that is not known, in a loop or in an exception handler.
    pub conditional: bool,
}

impl<'l> Evaluator<'l> {
    pub fn new(loader: &'l dyn ModuleLoader) -> Self {
        Self {
            loader,
            modules: RefCell::default(),
            classes: RefCell::default(),
            depth: Cell::new(0),
            calls: Cell::new(0),
            steps: Cell::new(0),
        }
    }

    /// The final value of a name on a module's top level; None if nothing binds it.
    pub fn global(&self, module: &Module, name: &str) -> Option<Value> {
        let scope = self.scope(module);
        self.scope_name(&scope, name, u32::MAX)
    }

    /// The names that a module's top level binds, in the order of their first binding, with their final values.
    pub fn globals(&self, module: &Module) -> Vec<(Str, Value)> {
        let scope = self.scope(module);
        let names = scope.names.borrow().names();
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            if let Some(value) = self.scope_name(&scope, &name, u32::MAX) {
                found.push((name, value));
            }
        }
        found
    }

    /// A dotted name, looked up from the outside: `shop.models.Order`.
    ///
    /// What is not in the project is a symbol.
    pub fn resolve(&self, dotted: &str, origin: &Origin) -> Value {
        if let Some(module) = self.loader.load(dotted) {
            return Value::new(ValueKind::Module(module), origin.clone());
        }
        match dotted.rsplit_once('.') {
            Some((parent, name)) if self.enter() => {
                let parent = self.resolve(parent, origin);
                self.leave();
                self.attribute(parent, &Str::made(name, origin.clone()), origin)
            }
            Some(_) => Value::unknown(Why::TooDeep, origin.clone()),
            None => self.symbol(dotted.into(), origin.clone()),
        }
    }

    /// The first class of this name on the module's top level, as Python leaves it bound.
    pub fn class(&self, module: &Module, name: &str) -> Option<ClassRef> {
        self.global(module, name)?.as_class().cloned()
    }

    /// An expression of a module, evaluated in the module's final state.
    pub fn eval(&self, module: &Module, expr: ExprId) -> Value {
        let scope = self.scope(module);
        self.with_budget(|| self.expr(&Frame::module(module, &scope), expr))
    }

    /// The class's own bindings, with assignments to its attributes from its module's top level applied.
    pub fn class_body(&self, class: &ClassRef) -> Rc<ClassBody> {
        self.class_body_in(class).unwrap_or_else(|| {
            Rc::new(ClassBody {
                class: class.clone(),
                bases: Vec::new(),
                bindings: Vec::new(),
                syntax_errors: class.syntax_errors(),
            })
        })
    }

    /// None while the body is being run.
    fn class_body_in(&self, class: &ClassRef) -> Option<Rc<ClassBody>> {
        let scope = self.scope(&class.module);
        let key = (class.module.key(), class.id);
        if let Some(found) = self.classes.borrow().get(&key) {
            return found.clone();
        }
        if !self.enter_body() {
            return None;
        }
        self.classes.borrow_mut().insert(key, None);
        // What is remembered is run once and may have a budget of its own; what is run again shares the caller's.
        let mut body = if scope.done.get() {
            self.with_budget(|| self.run_class(class, &scope))
        } else {
            self.run_class(class, &scope)
        };
        if let Some(patches) = scope.patches.borrow().get(&class.id) {
            for (name, value) in patches {
                match body.bindings.iter_mut().find(|(found, _)| found == name) {
                    Some((_, bound)) => *bound = value.clone(),
                    None => body.bindings.push((name.clone(), value.clone())),
                }
            }
        }
        let body = Rc::new(body);
        self.leave();
        if scope.done.get() {
            self.classes.borrow_mut().insert(key, Some(Rc::clone(&body)));
        } else {
            // The module is still being run: what the body saw of it may not be its final state.
            self.classes.borrow_mut().remove(&key);
        }
        Some(body)
    }

    /// The base classes that are classes of the project, nearest first, without the class itself.
    ///
    /// The order is depth first from left to right, each class once: Python's order where the hierarchy has no
    /// diamonds. The second value holds the bases that are not classes of the project.
    pub fn ancestors(&self, class: &ClassRef) -> (Vec<ClassRef>, Vec<Value>) {
        let mut found = vec![class.clone()];
        let mut outside = Vec::new();
        self.collect_ancestors(class, &mut found, &mut outside);
        found.remove(0);
        (found, outside)
    }

    fn collect_ancestors(&self, class: &ClassRef, found: &mut Vec<ClassRef>, outside: &mut Vec<Value>) {
        if !self.enter() {
            return;
        }
        for base in &self.class_body(class).bases {
            match &base.kind {
                ValueKind::Class(parent) if !found.contains(parent) => {
                    found.push(parent.clone());
                    self.collect_ancestors(parent, found, outside);
                }
                ValueKind::Class(_) => {}
                _ => outside.push(base.clone()),
            }
        }
        self.leave();
    }

    /// An attribute of a class, its own or inherited from a base in the project.
    ///
    /// Options that leave the attribute unbound are completed from the bases.
    pub fn class_attribute(&self, class: &ClassRef, name: &str) -> Option<Value> {
        let own = self.class_body_in(class)?.get(name).cloned();
        let unbound = |value: &Value| matches!(value.kind, ValueKind::Unknown(Why::Unbound(_)));
        let partly = own.as_ref().is_some_and(|value| value.options().iter().any(unbound));
        if own.is_some() && !partly {
            return own;
        }
        let (ancestors, _) = self.ancestors(class);
        let inherited = ancestors.iter().find_map(|base| self.class_body_in(base)?.get(name).cloned());
        match (own, inherited) {
            (Some(own), Some(inherited)) => {
                let ValueKind::Alternatives(alternatives) = &own.kind else { return Some(inherited) };
                let mut alternatives = Alternatives::clone(alternatives);
                for option in &mut alternatives.options {
                    if unbound(option) {
                        *option = inherited.clone();
                    }
                }
                Some(Value::new(ValueKind::Alternatives(Arc::new(alternatives)), own.origin))
            }
            (own, inherited) => own.or(inherited),
        }
    }

    /// Read a function's body without running it: every call in it, in source order, with names, local variables and
    /// receivers resolved. Parameters are [`ValueKind::Parameter`]s, loop variables [`ValueKind::Element`]s.
    pub fn calls(&self, function: &FunctionRef) -> Vec<CallSite> {
        self.trace(function, None)
    }

    /// The same for a call with these arguments, `self` included; parameters that they leave open stay parameters.
    ///
    /// So the `super().__init__(…)` of an `__init__` shows what the class makes of its arguments.
    pub fn calls_with(&self, function: &FunctionRef, args: &[Arg]) -> Vec<CallSite> {
        self.trace(function, Some(args))
    }

    /// What a call of the function with these arguments, `self` included, returns.
    ///
    /// Parameters that the arguments leave open are [`ValueKind::Parameter`]s in the result.
    pub fn returns(&self, function: &FunctionRef, args: &[Arg]) -> Value {
        let origin = Origin::new(&function.module, function.function().span);
        self.with_budget(|| match self.run_function(function, args, &origin, true) {
            Some(value) => value,
            None => Value::unknown(Why::Dynamic("what the function returns"), origin.clone()),
        })
    }

    /// The value with parts of it replaced, and what depends on them evaluated again.
    ///
    /// `replace` is asked for every symbol (and for the symbols that its name starts with), call and parameter in the
    /// value, innermost first.
    pub fn substitute(&self, value: &Value, replace: &dyn Fn(&Value) -> Option<ValueKind>) -> Value {
        self.with_budget(|| self.substituted(value, replace))
    }

    fn substituted(&self, value: &Value, replace: &dyn Fn(&Value) -> Option<ValueKind>) -> Value {
        // Values have a limit to their depth, so this recursion has one too.
        let origin = &value.origin;
        let all =
            |items: &[Value]| Arc::new(items.iter().map(|item| self.substituted(item, replace)).collect::<Vec<_>>());
        let value = match &value.kind {
            ValueKind::List(items) => Value::new(ValueKind::List(all(items)), origin.clone()),
            ValueKind::Tuple(items) => Value::new(ValueKind::Tuple(all(items)), origin.clone()),
            ValueKind::Set(items) => Value::new(ValueKind::Set(all(items)), origin.clone()),
            ValueKind::Dict(entries) => {
                let entry = |entry: &DictEntry| DictEntry {
                    key: entry.key.as_ref().map(|key| self.substituted(key, replace)),
                    value: self.substituted(&entry.value, replace),
                };
                Value::new(ValueKind::Dict(Arc::new(entries.iter().map(entry).collect())), origin.clone())
            }
            ValueKind::Spread(inner) => {
                let kind = ValueKind::Spread(Arc::new(self.substituted(inner, replace)));
                Value::new(kind, origin.clone())
            }
            ValueKind::Call(call) => {
                let callee = self.substituted(&call.callee, replace);
                let arg = |arg: &Arg| Arg {
                    kind: arg.kind.clone(),
                    value: self.substituted(&arg.value, replace),
                    span: arg.span,
                };
                self.call(callee, call.args.iter().map(arg).collect(), origin)
            }
            ValueKind::Attribute(attribute) => {
                self.attribute(self.substituted(&attribute.value, replace), &attribute.name, origin)
            }
            ValueKind::Subscript(pair) => {
                ops::subscript(self.substituted(&pair.0, replace), self.substituted(&pair.1, replace), origin)
            }
            ValueKind::Unary(op, operand) => ops::unary(*op, self.substituted(operand, replace), origin),
            ValueKind::Binary(op, pair) => {
                ops::binary(*op, self.substituted(&pair.0, replace), self.substituted(&pair.1, replace), origin)
            }
            ValueKind::Compare(op, pair) => {
                ops::compare(*op, &self.substituted(&pair.0, replace), &self.substituted(&pair.1, replace), origin)
            }
            ValueKind::Template(parts) => {
                let part = |part: &TemplatePart| match part {
                    TemplatePart::Text(text) => TemplatePart::Text(text.clone()),
                    TemplatePart::Value(value) => {
                        format::field(self.substituted(value, replace), None, None, &value.origin)
                    }
                };
                format::joined(parts.iter().map(part).collect(), origin.clone())
            }
            ValueKind::Element(inner) => {
                Value::new(ValueKind::Element(Arc::new(self.substituted(inner, replace))), origin.clone())
            }
            ValueKind::Alternatives(found) => {
                let options = found.options.iter().map(|option| self.substituted(option, replace)).collect();
                alternatives(options, &found.condition)
            }
            _ => value.clone(),
        };
        if let ValueKind::Symbol(name) = &value.kind {
            return self.replaced_symbol(name, &value, replace).unwrap_or(value);
        }
        if matches!(value.kind, ValueKind::Call(_) | ValueKind::Parameter(_))
            && let Some(kind) = replace(&value)
        {
            return Value::new(kind, value.origin);
        }
        value
    }

    /// `settings.NAME.lower` is one symbol; if `settings.NAME` is replaced, the rest is an attribute of the new value.
    fn replaced_symbol(
        &self,
        name: &str,
        value: &Value,
        replace: &dyn Fn(&Value) -> Option<ValueKind>,
    ) -> Option<Value> {
        let ends = name.match_indices('.').map(|(at, _)| at).chain([name.len()]);
        for end in ends.collect::<Vec<_>>().into_iter().rev() {
            let (prefix, rest) = name.split_at(end);
            let symbol = Value::new(ValueKind::Symbol(prefix.into()), value.origin.clone());
            if let Some(kind) = replace(&symbol) {
                let start = Value::new(kind, value.origin.clone());
                let names = rest.split('.').filter(|name| !name.is_empty());
                return Some(names.fold(start, |value, name| {
                    let origin = value.origin.clone();
                    self.attribute(value, &Str::made(name, origin.clone()), &origin)
                }));
            }
        }
        None
    }

    fn trace(&self, function: &FunctionRef, args: Option<&[Arg]>) -> Vec<CallSite> {
        let scope = self.scope(&function.module);
        let module = &function.module;
        let frame = Frame {
            names: Some(RefCell::default()),
            kind: FrameKind::Function,
            trace: Some(RefCell::default()),
            ..Frame::module(module, &scope)
        };
        let origin = Origin::new(module, function.function().span);
        let bound = args.is_some_and(|args| self.bind_params(&frame, function, args, &origin, true).is_some());
        if !bound {
            for param in &function.function().params {
                bind_open(&frame, module, param);
            }
        }
        self.with_budget(|| self.block(&frame, &function.function().body));
        frame.trace.map(RefCell::into_inner).unwrap_or_default()
    }

    // Modules -------------------------------------------------------------------------------------------------------

    fn scope(&self, module: &Module) -> Rc<ModuleScope> {
        if let Some(scope) = self.modules.borrow().get(&module.key()) {
            return Rc::clone(scope);
        }
        // Python runs the packages around a module first, and one of them may run the module.
        if let Some((package, _)) = module.name().rsplit_once('.')
            && let Some(package) = self.loader.load(package)
            && self.enter()
        {
            self.scope(&package);
            self.leave();
            if let Some(scope) = self.modules.borrow().get(&module.key()) {
                return Rc::clone(scope);
            }
        }
        let scope = Rc::new(ModuleScope {
            module: module.clone(),
            names: RefCell::default(),
            done: Cell::new(false),
            skipped: Cell::new(false),
            patches: RefCell::default(),
        });
        if !self.enter_body() {
            // Not remembered: from a shallower place the module can be run.
            scope.skipped.set(true);
            return scope;
        }
        self.modules.borrow_mut().insert(module.key(), Rc::clone(&scope));
        self.with_budget(|| self.block(&Frame::module(module, &scope), module.body()));
        self.leave();
        scope.done.set(true);
        scope
    }

    /// A name of a module as it is at an offset: the last binding before it counts.
    fn scope_name(&self, scope: &ModuleScope, name: &str, before: u32) -> Option<Value> {
        let slot = scope.names.borrow().get(name, before)?;
        Some(self.slot_value(slot))
    }

    fn slot_value(&self, slot: Slot) -> Value {
        match slot {
            Slot::Value(value) => value,
            Slot::Import(import) => {
                if let Some(value) = import.resolved.get() {
                    return value.clone();
                }
                if import.resolving.replace(true) {
                    return self.submodule(&import);
                }
                let value = if self.enter() {
                    let value = self.imported(&import);
                    self.leave();
                    value
                } else {
                    Value::unknown(Why::TooDeep, import.origin.clone())
                };
                import.resolving.set(false);
                if !matches!(value.kind, ValueKind::Unknown(Why::TooDeep | Why::Cycle)) {
                    let _ = import.resolved.set(value.clone());
                }
                value
            }
        }
    }

    fn imported(&self, import: &Imported) -> Value {
        let origin = &import.origin;
        let Some(name) = &import.name else {
            return self.resolve(&import.module, origin);
        };
        match self.loader.load(&import.module) {
            Some(module) => self.module_attribute(&module, name, origin),
            None => {
                let dotted = format!("{}.{name}", import.module);
                match self.loader.load(&dotted) {
                    Some(module) => Value::new(ValueKind::Module(module), origin.clone()),
                    None => self.symbol(dotted.into(), origin.clone()),
                }
            }
        }
    }

    /// A name that its own module imports from itself: Python finds the submodule.
    fn submodule(&self, import: &Imported) -> Value {
        let found = import.name.as_ref().and_then(|name| self.loader.load(&format!("{}.{name}", import.module)));
        let kind = found.map_or(ValueKind::Unknown(Why::Cycle), ValueKind::Module);
        Value::new(kind, import.origin.clone())
    }

    fn symbol(&self, name: Arc<str>, origin: Origin) -> Value {
        let kind = self.loader.symbol(&name).unwrap_or(ValueKind::Symbol(name));
        Value::new(kind, origin)
    }

    fn module_attribute(&self, module: &Module, name: &str, origin: &Origin) -> Value {
        let scope = self.scope(module);
        if scope.skipped.get() {
            return Value::unknown(Why::TooDeep, origin.clone());
        }
        if let Some(value) = self.scope_name(&scope, name, u32::MAX) {
            return value;
        }
        if let Some(submodule) = self.loader.load(&format!("{}.{name}", module.name())) {
            return Value::new(ValueKind::Module(submodule), origin.clone());
        }
        if let Some(value) = self.starred(&scope, name, u32::MAX, origin) {
            return value;
        }
        if !scope.done.get() {
            return Value::unknown(Why::Cycle, origin.clone());
        }
        let why = Why::NoSuchName { module: Arc::clone(&module.0.name), name: name.into() };
        Value::unknown(why, origin.clone())
    }

    /// A name that only a star import from outside of the project can have bound.
    fn starred(&self, scope: &ModuleScope, name: &str, before: u32, origin: &Origin) -> Option<Value> {
        let stars = scope.names.borrow().stars(before);
        match stars.as_slice() {
            [] => None,
            stars if stars.contains(&None) => Some(Value::unknown(Why::TooDeep, origin.clone())),
            [Some(module)] => Some(self.symbol(format!("{module}.{name}").into(), origin.clone())),
            _ => Some(Value::unknown(Why::Dynamic("one of several star imports binds the name"), origin.clone())),
        }
    }

    // Budgets -------------------------------------------------------------------------------------------------------

    #[must_use]
    fn enter(&self) -> bool {
        let depth = self.depth.get();
        if depth >= MAX_DEPTH {
            return false;
        }
        self.depth.set(depth + 1);
        true
    }

    /// Enter something that has statements of its own.
    #[must_use]
    fn enter_body(&self) -> bool {
        self.depth.get() + HEADROOM < MAX_DEPTH && self.enter()
    }

    fn leave(&self) {
        self.depth.set(self.depth.get().saturating_sub(1));
    }

    fn with_budget<T>(&self, run: impl FnOnce() -> T) -> T {
        let before = self.steps.replace(MAX_STEPS);
        let result = run();
        self.steps.set(before);
        result
    }

    fn step(&self, cost: usize) -> bool {
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        let left = self.steps.get();
        self.steps.set(left.saturating_sub(cost));
        left > cost
    }

    /// Account for a value that was just built, so that large ones cannot be built over and over.
    fn charged(&self, value: Value) -> Value {
        let size = match &value.kind {
            ValueKind::List(items) | ValueKind::Tuple(items) | ValueKind::Set(items) => items.len(),
            ValueKind::Dict(entries) => entries.len(),
            ValueKind::Str(text) => text.len() / 64,
            _ => 0,
        };
        self.step(size / 4);
        value
    }

    // Statements ----------------------------------------------------------------------------------------------------

    fn run_class(&self, class: &ClassRef, scope: &Rc<ModuleScope>) -> ClassBody {
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
                ArgumentKind::Positional => bases.push(self.expr(&frame, arg.value)),
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

    fn block(&self, frame: &Frame<'_>, block: &[Stmt]) -> Flow {
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

    fn stmt(&self, frame: &Frame<'_>, stmt: &Stmt) -> Flow {
        let at = stmt.span.start;
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
                let kind = ValueKind::Function(FunctionRef { module: frame.module.clone(), id: *id, closure });
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

    fn import_from(&self, frame: &Frame<'_>, stmt: &Stmt, level: u32, module: Option<Span>, names: &ImportedNames) {
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
    fn decorated(&self, frame: &Frame<'_>, decorators: &[ExprId], value: Value) -> Value {
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

    fn expr_stmt(&self, frame: &Frame<'_>, id: ExprId, at: u32) {
        let expr = frame.module.expr(id);
        let ExprKind::Call { callee, args } = &expr.kind else {
            if !matches!(expr.kind, ExprKind::Str) {
                self.expr(frame, id);
            }
            return;
        };
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
                    let why = Why::Dynamic("passed to a call that may change it");
                    self.assign(frame, arg.value, Value::unknown(why, frame.origin(expr.span)), at);
                }
            }
        }
    }

    /// Whether an expression is something that can be assigned to: a variable, or an attribute or item of one.
    fn is_place(frame: &Frame<'_>, id: ExprId) -> bool {
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

    fn assign(&self, frame: &Frame<'_>, target: ExprId, value: Value, at: u32) {
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
                }
            }
            ExprKind::Subscript { value: object, index } if Self::is_place(frame, *object) => {
                let container = self.expr(frame, *object);
                let index = self.expr(frame, *index);
                if matches!(container.kind, ValueKind::List(_) | ValueKind::Dict(_)) {
                    let changed = self.charged(builtins::set_item(&container, index, value, &frame.origin(expr.span)));
                    self.assign(frame, *object, changed, at);
                }
            }
            _ => {}
        }
        self.leave();
    }

    fn assign_items(&self, frame: &Frame<'_>, targets: &[ExprId], value: &Value, at: u32) {
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
                        let index = Value::new(ValueKind::Int(crate::value::Int::Small(position)), origin.clone());
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

    fn delete(&self, frame: &Frame<'_>, target: ExprId, at: u32) {
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

    fn if_stmt(&self, frame: &Frame<'_>, stmt: &Stmt, branches: &[(ExprId, Box<[Stmt]>)], orelse: &[Stmt]) -> Flow {
        // The branches that may run: up to the first condition that is known to hold.
        let mut possible: Vec<&[Stmt]> = Vec::new();
        let mut condition = None;
        let mut certain = false;
        for (test, body) in branches {
            let value = self.expr(frame, *test);
            match value.truth() {
                Some(false) => {}
                Some(true) => {
                    possible.push(body);
                    certain = true;
                    break;
                }
                None => {
                    condition.get_or_insert_with(|| frame.origin(frame.module.expr(*test).span));
                    possible.push(body);
                }
            }
        }
        if !certain {
            possible.push(orelse);
        }
        if let [only] = possible.as_slice() {
            return self.block(frame, only);
        }
        let runs: Vec<Box<dyn Fn() -> Flow + '_>> = possible
            .into_iter()
            .map(|block| Box::new(move || self.block(frame, block)) as Box<dyn Fn() -> Flow + '_>)
            .collect();
        self.join(frame, stmt.span.start, &condition.unwrap_or_else(|| frame.origin(stmt.span)), &runs)
    }

    /// Run each of several possible continuations from the same state and join what they bind.
    fn join(&self, frame: &Frame<'_>, at: u32, condition: &Origin, runs: &[Box<dyn Fn() -> Flow + '_>]) -> Flow {
        frame.guards.set(frame.guards.get() + 1);
        let patches = frame.scope.patches.borrow().clone();
        let mark = frame.with_names(|names| names.mark());
        let mut results: Vec<Vec<(Str, Slot)>> = Vec::new();
        let mut flows = Vec::new();
        for run in runs {
            flows.push(run());
            let changed = frame.with_names(|names| names.rollback(mark));
            // A branch that leaves the block does not reach what follows.
            if matches!(flows.last(), Some(Flow::Next | Flow::Continue | Flow::Break)) {
                results.push(changed);
            }
        }
        frame.guards.set(frame.guards.get() - 1);
        Self::join_patches(frame, &patches, condition);
        let mut names: Vec<Str> = Vec::new();
        for (name, _) in results.iter().flatten() {
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
            for changed in &results {
                let found = changed.iter().find(|(found, _)| *found == name).map(|(_, slot)| slot.clone());
                match found.or_else(|| incoming.clone()) {
                    Some(slot) => options.push(slot),
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
    fn join_patches(frame: &Frame<'_>, before: &BTreeMap<ClassId, Vec<(Str, Value)>>, condition: &Origin) {
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
    fn uncertain_block(&self, frame: &Frame<'_>, stmt: &Stmt, body: &[Stmt], what: &'static str) -> Flow {
        Self::poison(frame, std::slice::from_ref(stmt), &Why::Dynamic(what));
        if frame.trace.is_some() {
            frame.guards.set(frame.guards.get() + 1);
            self.block(frame, body);
            frame.guards.set(frame.guards.get() - 1);
            return Flow::Next;
        }
        if leaves(body) { Flow::Lost } else { Flow::Next }
    }

    fn for_stmt(
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
        let items = ops::elements(&iterable).filter(|_| frame.trace.is_none());
        let Some(items) = items else {
            let kind = ValueKind::Element(Arc::new(iterable));
            let element = Value::new(kind, frame.origin(frame.module.expr(iter).span));
            Self::poison(frame, std::slice::from_ref(stmt), &Why::Dynamic("assigned in a loop"));
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
                    Self::poison(frame, std::slice::from_ref(stmt), &Why::Dynamic("assigned in a loop"));
                    // Only a function can be left for good.
                    return if frame.kind == FrameKind::Function { Flow::Lost } else { Flow::Next };
                }
            }
        }
        self.block(frame, orelse)
    }

    fn try_stmt(
        &self,
        frame: &Frame<'_>,
        stmt: &Stmt,
        body: &[Stmt],
        handlers: &[Handler],
        orelse: &[Stmt],
        finally: &[Stmt],
    ) -> Flow {
        let catches_import = handlers.iter().any(|handler| is_import_error(frame.module, handler));
        let flow = if catches_import && self.import_fails(frame, body) {
            match handlers.iter().find(|handler| is_import_error(frame.module, handler)) {
                Some(handler) => self.block(frame, &handler.body),
                None => Flow::Next,
            }
        } else if (catches_import || handlers.is_empty()) && frame.trace.is_none() {
            // Modules outside of the project are taken to be installed.
            match self.block(frame, body) {
                Flow::Next => self.block(frame, orelse),
                flow => flow,
            }
        } else {
            let mut runs: Vec<Box<dyn Fn() -> Flow + '_>> = vec![Box::new(|| match self.block(frame, body) {
                Flow::Next => self.block(frame, orelse),
                flow => flow,
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

    /// Whether a block imports a module of the project that is not there.
    fn import_fails(&self, frame: &Frame<'_>, body: &[Stmt]) -> bool {
        body.iter().any(|stmt| match &stmt.kind {
            StmtKind::ImportFrom { level, module, names } if *level > 0 => {
                let relative = module.map_or(String::new(), |span| dotted_text(frame.module, span));
                let Some(source) = absolute_name(frame.module, *level, &relative) else { return true };
                match names {
                    ImportedNames::Star => self.loader.load(&source).is_none(),
                    ImportedNames::Names(names) => {
                        self.loader.load(&source).is_none()
                            && names.iter().any(|import| {
                                self.loader.load(&format!("{source}.{}", frame.module.text(import.name))).is_none()
                            })
                    }
                }
            }
            _ => false,
        })
    }

    /// Make every name that the statements may bind or change unknown.
    fn poison(frame: &Frame<'_>, block: &[Stmt], why: &Why) {
        let mut roots = Vec::new();
        for stmt in block {
            touched(frame.module, stmt, &mut roots);
        }
        for (name, at) in roots {
            let name = Str::verbatim(frame.module, name);
            frame.bind(name, at.start, Value::unknown(why.clone(), frame.origin(at)));
        }
    }

    // Expressions ---------------------------------------------------------------------------------------------------

    fn expr(&self, frame: &Frame<'_>, id: ExprId) -> Value {
        let expr = frame.module.expr(id);
        if !self.enter() {
            return Value::unknown(Why::TooDeep, frame.origin(expr.span));
        }
        let value = if self.step(1) {
            self.expr_here(frame, id)
        } else {
            Value::unknown(Why::TooLong, frame.origin(expr.span))
        };
        self.leave();
        value
    }

    fn expr_here(&self, frame: &Frame<'_>, id: ExprId) -> Value {
        let module = frame.module;
        let expr = module.expr(id);
        let origin = frame.origin(expr.span);
        let kind = match &expr.kind {
            ExprKind::None => ValueKind::None,
            ExprKind::Bool(value) => ValueKind::Bool(*value),
            ExprKind::Ellipsis => ValueKind::Ellipsis,
            ExprKind::Int => literal::integer(module.text(expr.span)).map_or_else(ValueKind::Unknown, ValueKind::Int),
            ExprKind::Float => literal::float(module.text(expr.span)).map_or_else(ValueKind::Unknown, ValueKind::Float),
            ExprKind::Str => literal::string(module, expr.span).map_or_else(ValueKind::Unknown, ValueKind::Str),
            ExprKind::Bytes => literal::bytes(module, expr.span)
                .map_or_else(ValueKind::Unknown, |bytes| ValueKind::Bytes(bytes.into())),
            ExprKind::Concat(parts) => return self.concat(frame, parts, origin),
            ExprKind::FString(parts) => return self.fstring(frame, parts, origin),
            ExprKind::Name => return self.name(frame, expr.span),
            ExprKind::Attribute { value, name } => {
                let value = self.expr(frame, *value);
                return self.attribute(value, &Str::verbatim(module, *name), &origin);
            }
            ExprKind::Call { callee, args } => {
                if let Some(value) = self.taken_out(frame, *callee, args, expr.span) {
                    return value;
                }
                let callee = self.expr(frame, *callee);
                let args = self.args(frame, args);
                let value = self.charged(self.call(callee, args, &origin));
                if let Some(trace) = &frame.trace
                    && matches!(value.kind, ValueKind::Call(_))
                {
                    let conditional = frame.guards.get() > 0;
                    trace.borrow_mut().push(CallSite { call: value.clone(), conditional });
                }
                return value;
            }
            ExprKind::Subscript { value, index } => {
                let value = self.expr(frame, *value);
                if let ExprKind::Slice { lower, upper, step } = module.expr(*index).kind {
                    let bound = |part: Option<ExprId>| part.map(|part| self.expr(frame, part));
                    let bounds = [bound(lower), bound(upper), bound(step)];
                    return self.charged(ops::slice(&value, &bounds, &origin));
                }
                let index = self.expr(frame, *index);
                return ops::subscript(value, index, &origin);
            }
            ExprKind::Slice { .. } => ValueKind::Unknown(Why::Dynamic("a slice")),
            ExprKind::List(items) => ValueKind::List(Arc::new(self.items(frame, items))),
            ExprKind::Tuple(items) => ValueKind::Tuple(Arc::new(self.items(frame, items))),
            ExprKind::Set(items) => return ops::set(self.items(frame, items), &origin),
            ExprKind::Dict(items) => return self.dict(frame, items, origin),
            ExprKind::Starred(inner) => ValueKind::Spread(Arc::new(self.expr(frame, *inner))),
            ExprKind::Unary { op, operand } => {
                let operand = self.expr(frame, *operand);
                return ops::unary(*op, operand, &origin);
            }
            ExprKind::Binary { .. } => return self.binary(frame, id),
            ExprKind::BoolOp { .. } => return self.bool_op(frame, id),
            ExprKind::Compare { left, rest } => return self.compare(frame, *left, rest, &origin),
            ExprKind::Conditional { body, test, orelse } => {
                let condition = self.expr(frame, *test);
                return match condition.truth() {
                    Some(true) => self.expr(frame, *body),
                    Some(false) => self.expr(frame, *orelse),
                    None => {
                        let options = vec![self.expr(frame, *body), self.expr(frame, *orelse)];
                        alternatives(options, &frame.origin(module.expr(*test).span))
                    }
                };
            }
            ExprKind::Lambda(id) => {
                let closure = frame.kind == FrameKind::Function || !frame.locals.borrow().is_empty();
                ValueKind::Function(FunctionRef { module: module.clone(), id: *id, closure })
            }
            ExprKind::Comprehension { kind, element, value, clauses } => {
                return self.comprehension(frame, *kind, *element, *value, clauses, &origin);
            }
            ExprKind::Await(inner) => return self.expr(frame, *inner),
            ExprKind::Yield(inner) => {
                if let Some(inner) = inner {
                    self.expr(frame, *inner);
                }
                ValueKind::Unknown(Why::Dynamic("what a generator is sent"))
            }
            ExprKind::Walrus { name, value } => {
                let value = self.expr(frame, *value);
                frame.bind(Str::verbatim(module, *name), expr.span.start, value.clone());
                return value;
            }
            ExprKind::Unknown(why) => ValueKind::Unknown(why.clone()),
        };
        Value::new(kind, origin)
    }

    /// `kwargs.pop("name")` and the like inside of an expression: a value, and a change of the variable.
    fn taken_out(
        &self,
        frame: &Frame<'_>,
        callee: ExprId,
        args: &[crate::syntax::Argument],
        span: Span,
    ) -> Option<Value> {
        let ExprKind::Attribute { value: target, name } = frame.module.expr(callee).kind else { return None };
        let method = frame.module.text(name);
        if !matches!(method, "pop" | "setdefault") || !Self::is_place(frame, target) {
            return None;
        }
        let current = self.expr(frame, target);
        if !matches!(current.kind, ValueKind::Dict(_) | ValueKind::List(_)) {
            return None;
        }
        let origin = frame.origin(span);
        let args = self.args(frame, args);
        let changed = self.charged(builtins::mutate(&current, method, &args, &origin));
        let value = builtins::taken(&current, method, &args, &origin);
        self.assign(frame, target, changed, span.start);
        Some(value)
    }

    fn name(&self, frame: &Frame<'_>, span: Span) -> Value {
        let name = frame.module.text(span);
        if let Some(value) = frame.locals.borrow().iter().rev().find(|(found, _)| found.as_str() == name) {
            return value.1.clone();
        }
        if let Some(names) = &frame.names {
            let slot = names.borrow().get(name, u32::MAX);
            if let Some(slot) = slot {
                return self.slot_value(slot);
            }
        }
        let before = match frame.kind {
            FrameKind::Class(at) => at,
            FrameKind::Module | FrameKind::Function => u32::MAX,
        };
        if let Some(value) = self.scope_name(frame.scope, name, before) {
            return value;
        }
        let origin = frame.origin(span);
        if builtins::is_builtin(name) {
            return self.symbol(format!("builtins.{name}").into(), origin);
        }
        match name {
            "__name__" => return Value::new(ValueKind::Str(Str::made(frame.module.name(), origin.clone())), origin),
            "__file__" | "__path__" => return self.symbol(format!("{}.{name}", frame.module.name()).into(), origin),
            _ => {}
        }
        if let Some(value) = self.starred(frame.scope, name, before, &origin) {
            return value;
        }
        Value::unknown(Why::Unbound(name.into()), origin)
    }

    fn items(&self, frame: &Frame<'_>, items: &[ExprId]) -> Vec<Value> {
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            if let ExprKind::Starred(inner) = frame.module.expr(*item).kind {
                let value = self.expr(frame, inner);
                self.push_spread(&mut values, value);
            } else {
                values.push(self.expr(frame, *item));
            }
        }
        values
    }

    /// The elements of an iterable behind the others.
    fn push_spread(&self, values: &mut Vec<Value>, value: Value) {
        match ops::parts(&value) {
            Some(items) if values.len() + items.len() <= MAX_ITEMS && self.step(items.len()) => values.extend(items),
            _ => {
                let origin = value.origin.clone();
                values.push(Value::new(ValueKind::Spread(Arc::new(value)), origin));
            }
        }
    }

    fn extended(&self, list: Value, by: &Value) -> Value {
        let Value { kind: ValueKind::List(items), origin, .. } = list else { return list };
        let mut items = Arc::unwrap_or_clone(items);
        self.push_spread(&mut items, by.clone());
        Value::new(ValueKind::List(Arc::new(items)), origin)
    }

    fn dict(&self, frame: &Frame<'_>, items: &[DictItem], origin: Origin) -> Value {
        let mut entries: Vec<DictEntry> = Vec::with_capacity(items.len());
        for item in items {
            match item {
                DictItem::Pair { key, value } => {
                    let key = self.expr(frame, *key);
                    let value = self.expr(frame, *value);
                    ops::insert(&mut entries, Some(key), value);
                }
                DictItem::Unpack(value) => {
                    let value = self.expr(frame, *value);
                    match &value.kind {
                        ValueKind::Dict(inner) => {
                            for entry in inner.iter() {
                                ops::insert(&mut entries, entry.key.clone(), entry.value.clone());
                            }
                        }
                        _ => ops::insert(&mut entries, None, value),
                    }
                }
            }
        }
        Value::new(ValueKind::Dict(Arc::new(entries)), origin)
    }

    fn args(&self, frame: &Frame<'_>, args: &[crate::syntax::Argument]) -> Vec<Arg> {
        let mut found = Vec::with_capacity(args.len());
        for arg in args {
            let value = self.expr(frame, arg.value);
            let span = arg.span;
            match arg.kind {
                ArgumentKind::Positional => found.push(Arg { kind: ArgKind::Positional, value, span }),
                ArgumentKind::Keyword(name) => {
                    let kind = ArgKind::Keyword(Str::verbatim(frame.module, name));
                    found.push(Arg { kind, value, span });
                }
                ArgumentKind::Unpack => match ops::parts(&value) {
                    Some(items) => found.extend(items.into_iter().map(|value| {
                        let kind = match &value.kind {
                            ValueKind::Spread(_) => ArgKind::Unpack,
                            _ => ArgKind::Positional,
                        };
                        let value = match value.kind {
                            ValueKind::Spread(inner) => Arc::unwrap_or_clone(inner),
                            _ => value,
                        };
                        Arg { kind, value, span }
                    })),
                    None => found.push(Arg { kind: ArgKind::Unpack, value, span }),
                },
                ArgumentKind::UnpackMapping => match &value.kind {
                    ValueKind::Dict(entries) => {
                        for entry in entries.iter() {
                            let kind = match entry.key.as_ref().map(Value::as_str) {
                                Some(Some(name)) => ArgKind::Keyword(name.clone()),
                                _ => ArgKind::UnpackMapping,
                            };
                            found.push(Arg { kind, value: entry.value.clone(), span });
                        }
                    }
                    _ => found.push(Arg { kind: ArgKind::UnpackMapping, value, span }),
                },
            }
        }
        found
    }

    fn concat(&self, frame: &Frame<'_>, parts: &[ExprId], origin: Origin) -> Value {
        let mut found: Vec<TemplatePart> = Vec::with_capacity(parts.len());
        let mut bytes: Vec<u8> = Vec::new();
        let mut is_bytes = false;
        for part in parts {
            let value = self.expr(frame, *part);
            match value.kind {
                ValueKind::Bytes(more) => {
                    is_bytes = true;
                    bytes.extend_from_slice(&more);
                }
                ValueKind::Str(text) => found.push(TemplatePart::Text(text)),
                ValueKind::Template(parts) => found.extend(parts.iter().cloned()),
                _ => return Value::unknown(Why::Syntax, origin),
            }
        }
        match (is_bytes, found.is_empty()) {
            (true, true) => Value::new(ValueKind::Bytes(bytes.into()), origin),
            (true, false) => Value::unknown(Why::Syntax, origin),
            (false, _) => format::joined(found, origin),
        }
    }

    fn fstring(&self, frame: &Frame<'_>, parts: &[FStringPart], origin: Origin) -> Value {
        let text = frame.module.text(origin.span);
        let prefix: String = text.chars().take_while(char::is_ascii_alphabetic).collect();
        if prefix.contains(['t', 'T']) {
            return Value::unknown(Why::Dynamic("a template string"), origin);
        }
        let raw = prefix.contains(['r', 'R']);
        match self.fstring_parts(frame, parts, raw) {
            Ok(parts) => format::joined(parts, origin),
            Err(why) => Value::unknown(why, origin),
        }
    }

    fn fstring_parts(&self, frame: &Frame<'_>, parts: &[FStringPart], raw: bool) -> Result<Vec<TemplatePart>, Why> {
        let mut found = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                FStringPart::Text(span) => {
                    let mut builder = StrBuilder::default();
                    literal::push_text(&mut builder, frame.module, *span, raw, true)?;
                    found.push(TemplatePart::Text(builder.finish()));
                }
                FStringPart::Field { span, value, debug, conversion, format } => {
                    let value = self.expr(frame, *value);
                    let origin = frame.origin(*span);
                    if let Some(debug) = debug {
                        // White space behind the `=` is part of the text.
                        let rest = frame.module.text(Span::new(debug.end, span.end));
                        let blank = rest.len() - rest.trim_start().len();
                        let end = debug.end + u32::try_from(blank).unwrap_or(0);
                        let text = Str::verbatim(frame.module, Span::new(debug.start, end));
                        found.push(TemplatePart::Text(text));
                    }
                    let spec = if format.is_empty() {
                        None
                    } else {
                        let parts = self.fstring_parts(frame, format, raw)?;
                        Some(format::joined(parts, origin.clone()))
                    };
                    let conversion = conversion.or_else(|| (debug.is_some() && spec.is_none()).then_some('r'));
                    found.push(format::field(value, conversion, spec.as_ref(), &origin));
                }
            }
        }
        Ok(found)
    }

    /// Chains of operators are long rather than deep: the left spine is walked in a loop.
    fn binary(&self, frame: &Frame<'_>, id: ExprId) -> Value {
        let mut spine = Vec::new();
        let mut left = id;
        while let ExprKind::Binary { op, left: next, right } = frame.module.expr(left).kind {
            spine.push((op, right, frame.module.expr(left).span));
            left = next;
        }
        let mut value = self.expr(frame, left);
        while let Some((op, right, span)) = spine.pop() {
            if !self.step(1) {
                return Value::unknown(Why::TooLong, frame.origin(span));
            }
            let right = self.expr(frame, right);
            value = self.charged(ops::binary(op, value, right, &frame.origin(span)));
        }
        value
    }

    fn bool_op(&self, frame: &Frame<'_>, id: ExprId) -> Value {
        let mut spine = Vec::new();
        let mut left = id;
        while let ExprKind::BoolOp { op, left: next, right } = frame.module.expr(left).kind {
            spine.push((op, right));
            left = next;
        }
        let mut value = self.expr(frame, left);
        while let Some((op, right)) = spine.pop() {
            let decided = value.truth();
            value = match (op, decided) {
                (BoolOp::And, Some(false)) | (BoolOp::Or, Some(true)) => value,
                (_, Some(_)) => self.expr(frame, right),
                (_, None) => {
                    let right = self.expr(frame, right);
                    // `unknown and False` is false whatever the left side is.
                    let absorbs = matches!((op, right.truth()), (BoolOp::And, Some(false)) | (BoolOp::Or, Some(true)));
                    if absorbs && matches!(right.kind, ValueKind::Bool(_)) {
                        right
                    } else {
                        let condition = value.origin.clone();
                        alternatives(vec![value, right], &condition)
                    }
                }
            };
        }
        value
    }

    fn compare(&self, frame: &Frame<'_>, left: ExprId, rest: &[(CompareOp, ExprId)], origin: &Origin) -> Value {
        let mut left = self.expr(frame, left);
        let mut result = None;
        for (op, right) in rest {
            let right = self.expr(frame, *right);
            let value = ops::compare(*op, &left, &right, origin);
            match value.truth() {
                Some(false) => return value,
                Some(true) => {}
                None if rest.len() > 1 => {
                    return Value::unknown(Why::Dynamic("a chain of comparisons"), origin.clone());
                }
                None => {}
            }
            result = Some(value);
            left = right;
        }
        result.unwrap_or_else(|| Value::unknown(Why::Syntax, origin.clone()))
    }

    fn comprehension(
        &self,
        frame: &Frame<'_>,
        kind: ComprehensionKind,
        element: ExprId,
        value: Option<ExprId>,
        clauses: &[ComprehensionClause],
        origin: &Origin,
    ) -> Value {
        let depth = frame.locals.borrow().len();
        let mut found = Vec::new();
        let complete = self.clause(frame, clauses, &mut |this| {
            let key = this.expr(frame, element);
            let value = value.map(|value| this.expr(frame, value));
            found.push((key, value));
            found.len() <= MAX_ITEMS
        });
        frame.locals.borrow_mut().truncate(depth);
        if !complete {
            return Value::unknown(Why::Dynamic("a comprehension over what is not known"), origin.clone());
        }
        match kind {
            ComprehensionKind::List | ComprehensionKind::Generator => {
                let items = found.into_iter().map(|(item, _)| item).collect();
                Value::new(ValueKind::List(Arc::new(items)), origin.clone())
            }
            ComprehensionKind::Set => ops::set(found.into_iter().map(|(item, _)| item).collect(), origin),
            ComprehensionKind::Dict => {
                let mut entries = Vec::new();
                for (key, value) in found {
                    if let Some(value) = value {
                        ops::insert(&mut entries, Some(key), value);
                    }
                }
                Value::new(ValueKind::Dict(Arc::new(entries)), origin.clone())
            }
        }
    }

    /// Run the clauses of a comprehension; false as soon as something is not known.
    fn clause(
        &self,
        frame: &Frame<'_>,
        clauses: &[ComprehensionClause],
        yields: &mut dyn FnMut(&Self) -> bool,
    ) -> bool {
        let Some((clause, rest)) = clauses.split_first() else { return yields(self) };
        if !self.enter() {
            return false;
        }
        let complete = match clause {
            ComprehensionClause::If(test) => match self.expr(frame, *test).truth() {
                Some(true) => self.clause(frame, rest, yields),
                Some(false) => true,
                None => false,
            },
            ComprehensionClause::For { target, iter } => {
                let iterable = self.expr(frame, *iter);
                let depth = frame.locals.borrow().len();
                let complete = ops::elements(&iterable).is_some_and(|items| {
                    items.into_iter().all(|item| {
                        frame.locals.borrow_mut().truncate(depth);
                        self.step(1) && self.bind_locals(frame, *target, &item) && self.clause(frame, rest, yields)
                    })
                });
                if !complete && frame.trace.is_some() {
                    // The calls inside are worth reading even if the elements are not known.
                    frame.locals.borrow_mut().truncate(depth);
                    let origin = iterable.origin.clone();
                    let element = Value::new(ValueKind::Element(Arc::new(iterable)), origin);
                    frame.guards.set(frame.guards.get() + 1);
                    self.bind_locals(frame, *target, &element);
                    self.clause(frame, rest, yields);
                    frame.guards.set(frame.guards.get() - 1);
                }
                frame.locals.borrow_mut().truncate(depth);
                complete
            }
        };
        self.leave();
        complete
    }

    fn bind_locals(&self, frame: &Frame<'_>, target: ExprId, value: &Value) -> bool {
        let expr = frame.module.expr(target);
        match &expr.kind {
            ExprKind::Name => {
                let name = Str::verbatim(frame.module, expr.span);
                frame.locals.borrow_mut().push((name, value.clone()));
                true
            }
            ExprKind::Tuple(targets) | ExprKind::List(targets) => match ops::elements(value) {
                Some(items) if items.len() == targets.len() && self.enter() => {
                    let bound = targets.iter().zip(&items).all(|(target, item)| self.bind_locals(frame, *target, item));
                    self.leave();
                    bound
                }
                _ => {
                    let why = Why::Dynamic("a part of an unknown sequence");
                    let part = Value::unknown(why, value.origin.clone());
                    self.enter() && {
                        for target in targets {
                            self.bind_locals(frame, *target, &part);
                        }
                        self.leave();
                        false
                    }
                }
            },
            _ => false,
        }
    }

    /// `value.name`
    pub fn attribute(&self, value: Value, name: &Str, origin: &Origin) -> Value {
        match &value.kind {
            ValueKind::Symbol(symbol) => {
                let dotted = format!("{symbol}.{name}");
                // Modules have lower-case names; so the many symbols of classes cost no look-up.
                if name.starts_with(|first: char| first.is_lowercase() || first == '_')
                    && let Some(module) = self.loader.load(&dotted)
                {
                    return Value::new(ValueKind::Module(module), origin.clone());
                }
                self.symbol(dotted.into(), origin.clone())
            }
            ValueKind::Module(module) => self.module_attribute(module, name, origin),
            ValueKind::Class(class) => self.attribute_of_class(class, name, origin),
            ValueKind::Alternatives(found) => {
                let options = found.options.iter().map(|option| self.attribute(option.clone(), name, origin));
                alternatives(options.collect(), &found.condition)
            }
            ValueKind::Unknown(why) => Value::unknown(why.clone(), value.origin.clone()),
            _ => {
                if let Some(found) = builtins::value_attribute(&value, name) {
                    return found;
                }
                builtins::opaque_attribute(value, name.clone(), origin)
            }
        }
    }

    fn attribute_of_class(&self, class: &ClassRef, name: &Str, origin: &Origin) -> Value {
        let opaque = || {
            let value = Value::new(ValueKind::Class(class.clone()), origin.clone());
            builtins::opaque_attribute(value, name.clone(), origin)
        };
        match name.as_str() {
            "__name__" | "__qualname__" => {
                let text = class.module.text(class.class().name);
                return Value::new(ValueKind::Str(Str::made(text, origin.clone())), origin.clone());
            }
            "__module__" => {
                return Value::new(ValueKind::Str(Str::made(class.module.name(), origin.clone())), origin.clone());
            }
            _ => {}
        }
        if !self.enter() {
            return Value::unknown(Why::TooDeep, origin.clone());
        }
        let enumeration = self.enumeration(class);
        let value = match (&enumeration, self.class_attribute(class, name)) {
            (Some(members), found) => match builtins::enum_attribute(members, name, origin) {
                Some(value) => value,
                None => found.unwrap_or_else(opaque),
            },
            (None, Some(value)) => value,
            (None, None) if self.class_body_in(class).is_none() => {
                let deep = self.depth.get() + HEADROOM >= MAX_DEPTH;
                Value::unknown(if deep { Why::TooDeep } else { Why::Cycle }, origin.clone())
            }
            (None, None) => opaque(),
        };
        self.leave();
        value
    }

    /// The members of an enumeration in order: names and values; None if the class is none.
    fn enumeration(&self, class: &ClassRef) -> Option<Vec<(Str, Value)>> {
        let body = self.class_body_in(class)?;
        let (_, outside) = self.ancestors(class);
        let is_enum = outside.iter().any(|base| base.name().is_some_and(|name| builtins::is_enum_base(&name)));
        if !is_enum {
            return None;
        }
        let member = |(name, value): &&(Str, Value)| {
            !name.starts_with('_') && !matches!(value.kind, ValueKind::Function(_) | ValueKind::Class(_))
        };
        Some(body.bindings.iter().filter(member).cloned().collect())
    }

    fn call(&self, callee: Value, args: Vec<Arg>, origin: &Origin) -> Value {
        let opaque = |callee: Value, args: Vec<Arg>| {
            Value::new(ValueKind::Call(Arc::new(Call { callee, args })), origin.clone())
        };
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
            ValueKind::Symbol(name) => match builtins::call(self, name, &args, origin) {
                Some(value) => value,
                None => opaque(callee, args),
            },
            ValueKind::Attribute(attribute) => match builtins::method(&attribute.value, &attribute.name, &args, origin)
            {
                Some(value) => value,
                None => opaque(callee, args),
            },
            ValueKind::Function(function) => match self.call_function(function, &args, origin) {
                Some(value) => value,
                None => opaque(callee, args),
            },
            _ => opaque(callee, args),
        }
    }

    /// The result of a function of the project; None where it is not known.
    fn call_function(&self, function: &FunctionRef, args: &[Arg], origin: &Origin) -> Option<Value> {
        if !function.function().decorators.is_empty() {
            return None;
        }
        // A result that still speaks of the function's inside says less than the call.
        let inside =
            |kind: &ValueKind| matches!(kind, ValueKind::Unknown(_) | ValueKind::Parameter(_) | ValueKind::Element(_));
        self.run_function(function, args, origin, false).filter(|value| !value.contains(&inside))
    }

    fn run_function(&self, function: &FunctionRef, args: &[Arg], origin: &Origin, open: bool) -> Option<Value> {
        let node = function.function();
        if function.closure || node.is_async || self.calls.get() >= MAX_CALLS {
            return None;
        }
        let module = &function.module;
        let scope = self.scope(module);
        let frame =
            Frame { names: Some(RefCell::default()), kind: FrameKind::Function, ..Frame::module(module, &scope) };
        self.bind_params(&frame, function, args, origin, open)?;
        if !self.enter_body() {
            return None;
        }
        self.calls.set(self.calls.get() + 1);
        let flow = self.block(&frame, &node.body);
        self.calls.set(self.calls.get() - 1);
        self.leave();
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

    /// Bind arguments to parameters as a call does; None where Python would refuse or the arguments are not known.
    /// If `open`, parameters without argument stand for themselves.
    fn bind_params(
        &self,
        frame: &Frame<'_>,
        function: &FunctionRef,
        args: &[Arg],
        origin: &Origin,
        open: bool,
    ) -> Option<()> {
        let module = &function.module;
        let node = function.function();
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
}

impl<'e> Frame<'e> {
    fn module(module: &'e Module, scope: &'e Rc<ModuleScope>) -> Self {
        debug_assert!(scope.module == *module);
        Self {
            module,
            scope,
            names: None,
            kind: FrameKind::Module,
            locals: RefCell::default(),
            trace: None,
            guards: Cell::new(0),
            returned: RefCell::default(),
        }
    }

    fn origin(&self, span: Span) -> Origin {
        Origin::new(self.module, span)
    }

    fn with_names<T>(&self, run: impl FnOnce(&mut Namespace) -> T) -> T {
        run(&mut self.names.as_ref().unwrap_or(&self.scope.names).borrow_mut())
    }

    fn bind(&self, name: Str, at: u32, value: Value) {
        self.bind_slot(name, at, Slot::Value(value));
    }

    fn bind_slot(&self, name: Str, at: u32, slot: Slot) {
        self.with_names(|names| names.bind(name, at, slot));
    }

    fn bind_star(&self, at: u32, module: Option<Arc<str>>) {
        self.with_names(|names| names.bind_star(at, module));
    }
}

/// One value out of several; equal constants are one option, alternatives of alternatives are flat.
pub(crate) fn alternatives(options: Vec<Value>, condition: &Origin) -> Value {
    let mut flat: Vec<Value> = Vec::new();
    for option in options {
        for option in option.options() {
            if flat.len() < MAX_OPTIONS && !flat.iter().any(|other| option.is_identical(other)) {
                flat.push(option.clone());
            }
        }
    }
    if flat.len() == 1
        && let Some(only) = flat.pop()
    {
        return only;
    }
    let kind = ValueKind::Alternatives(Arc::new(Alternatives { condition: condition.clone(), options: flat }));
    Value::new(kind, condition.clone())
}

/// Bind a parameter to itself.
fn bind_open(frame: &Frame<'_>, module: &Module, param: &Param) {
    let name = Str::verbatim(module, param.name);
    let value = Value::new(ValueKind::Parameter(name.clone()), Origin::new(module, param.span));
    frame.bind(name, param.span.start, value);
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

/// Whether the function is a generator, as far as its statements show.
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

/// The names that a statement may bind or change, each with a span to speak of it.
fn touched(module: &Module, stmt: &Stmt, out: &mut Vec<(Span, Span)>) {
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
                out.push((import.alias.unwrap_or(Span::new(import.name.start, end)), at));
            }
        }
        StmtKind::ImportFrom { names: ImportedNames::Names(names), .. } => {
            out.extend(names.iter().map(|import| (import.alias.unwrap_or(import.name), at)));
        }
        StmtKind::Function(id) => out.push((module.function(*id).name, at)),
        StmtKind::Class(id) => out.push((module.class(*id).name, at)),
        StmtKind::For { target, .. } => roots(module, *target, at, out),
        StmtKind::With { items, .. } => {
            for target in items.iter().filter_map(|item| item.target) {
                roots(module, target, at, out);
            }
        }
        StmtKind::Try { handlers, .. } => {
            out.extend(handlers.iter().filter_map(|handler| handler.name).map(|name| (name, at)));
        }
        StmtKind::Match { cases, .. } => {
            out.extend(cases.iter().flat_map(|case| case.captures.iter()).map(|name| (*name, at)));
        }
        StmtKind::Expr(value) => {
            if let ExprKind::Call { callee, .. } = &module.expr(*value).kind
                && let ExprKind::Attribute { value: receiver, name } = module.expr(*callee).kind
                && builtins::is_mutator(module.text(name))
            {
                roots(module, receiver, at, out);
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

/// The variables behind an assignment's target.
fn roots(module: &Module, target: ExprId, at: Span, out: &mut Vec<(Span, Span)>) {
    let mut target = target;
    loop {
        let expr = module.expr(target);
        match &expr.kind {
            ExprKind::Name => return out.push((expr.span, at)),
            ExprKind::Attribute { value, .. } | ExprKind::Subscript { value, .. } | ExprKind::Starred(value) => {
                target = *value;
            }
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

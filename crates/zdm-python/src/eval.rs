//! The evaluator: runs a module's top level, class bodies and simple functions in the abstract.
//!
//! Statements are taken in order, as Python does, on [`Value`]s instead of objects. What cannot be known becomes
//! [`ValueKind::Unknown`] with its reason; a condition that cannot be known makes both branches happen and joins their
//! bindings into [`ValueKind::Alternatives`]. Modules are run when a name of theirs is needed, class bodies when they
//! are asked for, functions when they are called with known arguments.
//!
//! Every run has a budget of steps of its own and every recursion a limit, so that any input ends.

mod statements;

mod expressions;

mod calls;

mod included;

mod instances;

mod substitution;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use zdm_source::Span;

use crate::entry_points::EntryPoint;
use crate::files::FilePath;
use crate::namespace::{Imported, Namespace, Slot};
use crate::syntax::{ClassId, ExprId, Module, Why};
use crate::text::{Origin, Str};
use crate::value::{Alternatives, Arg, ClassRef, FunctionRef, Value, ValueKind};

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
    /// The project's module of this dotted name; for a package, its `__init__.py`. The same name gets the same parse
    /// each time: what a module is worth is remembered by its handle.
    ///
    /// Modules that the caller wants to see as symbols (`django.db.models`) are not to be found here, even if their
    /// source is at hand.
    fn load(&self, name: &str) -> Option<Module>;

    /// Whether a module can be imported; None where that is not known.
    fn installed(&self, name: &str) -> Option<bool> {
        let _ = name;
        Some(true)
    }

    /// Where the file of a module lies; None where that is not known.
    fn place(&self, module: &Module) -> Option<FilePath> {
        let _ = module;
        None
    }

    /// The text of a file; None where there is none or it cannot be read.
    fn read(&self, path: &FilePath) -> Option<String> {
        let _ = path;
        None
    }

    /// The names of all that stands in a folder, sorted; None where they cannot be told.
    fn list(&self, folder: &FilePath) -> Option<Vec<String>> {
        let _ = folder;
        None
    }

    /// The Python file at a path; None where there is none or it cannot be read.
    fn module_at(&self, path: &FilePath) -> Option<Module> {
        let _ = path;
        None
    }

    /// The entry points of the distributions that are installed, in any order that stays the same; None where they
    /// cannot be told.
    fn entry_points(&self) -> Option<Vec<EntryPoint>> {
        None
    }

    /// A known value for something outside of the project, such as `django.db.connection.vendor`.
    fn symbol(&self, name: &str) -> Option<ValueKind> {
        let _ = name;
        None
    }

    /// A known attribute of a value that has no dotted name, such as `get_user_model()._meta.model_name`.
    fn attribute(&self, of: &Value, name: &str) -> Option<ValueKind> {
        let _ = (of, name);
        None
    }

    /// A known result of a call of something outside of the project, such as `django.apps.apps.is_installed`.
    fn call(&self, name: &str, args: &[Arg]) -> Option<ValueKind> {
        let _ = (name, args);
        None
    }

    /// A known result of a call of a value that has no dotted name, such as `environ.Env()("DEBUG", default=False)`.
    fn call_of(&self, callee: &Value, args: &[Arg]) -> Option<ValueKind> {
        let _ = (callee, args);
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
    /// The objects whose attributes were asked for.
    objects: RefCell<Vec<(Value, Rc<instances::Object>)>>,
    /// What a method of a base outside of the project returns, while a method that calls it is run.
    of_base: RefCell<Option<(String, Value)>>,
    /// The values of symbols that are given while something is asked.
    given: RefCell<Vec<(Arc<str>, Value)>>,
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
    /// What the module's top level assigns to attributes of symbols, by their dotted names.
    assigned: RefCell<Vec<(Arc<str>, Value)>>,
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

/// Conditions of `if` statements that are not known, and whether they hold.
type Conditions = Vec<(Value, bool)>;

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
    /// What a generator yields, when its body is read.
    yielded: RefCell<Vec<Value>>,
    /// What is assigned to attributes of symbols, when a function's body is read.
    attributes: RefCell<Vec<AttributeSet>>,
    /// The statements that run, or may run, when a function's body is read: where they begin.
    reached: RefCell<BTreeSet<u32>>,
    /// The conditions around the place that is being read, and whether they hold there.
    conditions: RefCell<Conditions>,
    /// How many of the guards are those conditions.
    explained: Cell<u32>,
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

/// A call in a function's body. To read on in a function of the project that is called, ask for the calls of the
/// callee with the arguments of the call.
#[derive(Clone, Debug)]
pub struct CallSite {
    /// A call, with its receiver resolved as far as it can be.
    pub call: Value,
    /// Whether it stands under a condition that is not known, in a loop or in an exception handler.
    pub conditional: bool,
    /// The conditions of `if` statements that are not known, and whether they hold where the call stands. Those that end
    /// the function before it count as well.
    pub conditions: Vec<(Value, bool)>,
    /// Whether those conditions alone decide, and no loop or exception handler.
    pub by_conditions_alone: bool,
}

/// `self.max_length = 1024` in a function's body.
#[derive(Clone, Debug)]
pub struct AttributeSet {
    /// The dotted name of the object: the symbol that was given for a parameter.
    pub object: Arc<str>,
    pub name: Str,
    pub value: Value,
    /// As in [`CallSite`].
    pub conditional: bool,
    /// How many calls stand before it.
    pub calls_before: usize,
}

impl<'l> Evaluator<'l> {
    pub fn new(loader: &'l dyn ModuleLoader) -> Self {
        Self {
            loader,
            modules: RefCell::default(),
            classes: RefCell::default(),
            objects: RefCell::default(),
            of_base: RefCell::default(),
            given: RefCell::default(),
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

    /// What a module's top level, in any case, assigns to attributes of things outside of the project, as
    /// `settings.SHOP_CURRENCY = "EUR"`: dotted names and values, in order.
    pub fn assigned(&self, module: &Module) -> Vec<(Arc<str>, Value)> {
        self.scope(module).assigned.borrow().clone()
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

    /// The same as [`Self::returns`] where `super().method(…)`, or `Base.method(self, …)`, is known to return a value.
    pub fn returns_over(&self, function: &FunctionRef, args: &[Arg], method: &str, of_base: Value) -> Value {
        let before = self.of_base.replace(Some((method.to_owned(), of_base)));
        let value = self.returns(function, args);
        self.of_base.replace(before);
        value
    }

    /// Runs what asks this evaluator, with values for symbols that it would not know: `self.null`.
    pub fn knowing<T>(&self, symbols: Vec<(Arc<str>, Value)>, ask: impl FnOnce() -> T) -> T {
        let before = self.given.replace(symbols);
        let answer = ask();
        self.given.replace(before);
        answer
    }

    /// What a function's body assigns to attributes of the symbols that are given for its parameters, in order.
    pub fn attributes_set(&self, function: &FunctionRef, args: &[Arg]) -> Vec<AttributeSet> {
        self.read_body(function, Some(args)).attributes
    }

    /// Whether a statement of a function's body that begins there runs, or may run, with these arguments, `self` included.
    pub fn reaches(&self, function: &FunctionRef, args: &[Arg], start: u32) -> bool {
        self.read_body(function, Some(args)).reached.contains(&start)
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

    /// What a generator function yields when it is called with these arguments, `self` included, in source order; of
    /// `yield from`, any element.
    pub fn yields(&self, function: &FunctionRef, args: &[Arg]) -> Vec<Value> {
        self.read_body(function, Some(args)).yielded
    }

    /// The value with parts of it replaced, and what depends on them evaluated again.
    ///
    /// `replace` is asked for every symbol (and for the symbols that its name starts with), call and parameter in the
    /// value, innermost first.
    pub fn substitute(&self, value: &Value, replace: &dyn Fn(&Value) -> Option<ValueKind>) -> Value {
        self.with_budget(|| self.substituted(value, replace))
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
            assigned: RefCell::default(),
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
        if let Some((_, value)) = self.given.borrow().iter().find(|(given, _)| *given == name) {
            return value.clone();
        }
        let kind = self.loader.symbol(&name).unwrap_or_else(|| match &*name {
            // True only for type checkers; what stands under it never runs.
            "typing.TYPE_CHECKING" => ValueKind::Bool(false),
            _ => ValueKind::Symbol(name),
        });
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
        if name == "__file__" {
            return self.file_of(module, origin);
        }
        if !scope.done.get() {
            return Value::unknown(Why::Cycle, origin.clone());
        }
        if let Some(getter) = self.scope_name(&scope, "__getattr__", u32::MAX)
            && let Some(function) = getter.as_function()
            && let Some(value) = self.module_getter(function, name, origin)
        {
            return value;
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

    // Files ---------------------------------------------------------------------------------------------------------

    pub(crate) fn read_file(&self, path: &FilePath) -> Option<String> {
        self.loader.read(path)
    }

    pub(crate) fn list_folder(&self, path: &FilePath) -> Option<Vec<String>> {
        self.loader.list(path)
    }

    pub(crate) fn entry_points(&self) -> Option<Vec<EntryPoint>> {
        self.loader.entry_points()
    }

    /// The folder of a package. Folders inside of it need no `__init__.py`.
    pub(crate) fn package_folder(&self, name: &str) -> Option<FilePath> {
        let mut package = name;
        let mut inside: Vec<&str> = Vec::new();
        loop {
            if let Some(module) = self.loader.load(package)
                && let Some(place) = self.loader.place(&module)
            {
                let (folder, _) = place.path.rsplit_once('/')?;
                let path = inside.iter().rev().fold(folder.to_owned(), |path, part| format!("{path}/{part}"));
                return Some(FilePath::new(place.root, path.trim_start_matches('/')));
            }
            let (outer, last) = package.rsplit_once('.')?;
            inside.push(last);
            package = outer;
        }
    }

    /// `__file__` of a module.
    fn file_of(&self, module: &Module, origin: &Origin) -> Value {
        match self.loader.place(module) {
            Some(place) => Value::new(ValueKind::Path(place), origin.clone()),
            None => self.symbol(format!("{}.__file__", module.name()).into(), origin.clone()),
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
        self.with_steps(MAX_STEPS, run)
    }

    fn with_steps<T>(&self, steps: u32, run: impl FnOnce() -> T) -> T {
        let before = self.steps.replace(steps);
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
            ValueKind::Str(text) => text.len() / 64 + 2 * text.parts(),
            _ => 0,
        };
        self.step(size / 4);
        value
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
            yielded: RefCell::default(),
            guards: Cell::new(0),
            attributes: RefCell::default(),
            reached: RefCell::default(),
            conditions: RefCell::default(),
            explained: Cell::new(0),
            returned: RefCell::default(),
        }
    }

    fn origin(&self, span: Span) -> Origin {
        Origin::new(self.module, span)
    }

    /// A call that was met here.
    fn site(&self, call: Value) -> CallSite {
        CallSite {
            call,
            conditional: self.guards.get() > 0,
            conditions: self.conditions.borrow().clone(),
            by_conditions_alone: self.guards.get() == self.explained.get(),
        }
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

//! What the function of a `RunPython` does to rows, read without running it.
//!
//! [`rows`] tells what a value has to do with rows. What is done to them becomes a fact; where rows are changed that are
//! not known, that is a fact too.

use std::sync::Arc;

use zdm_python as python;
use zdm_python::syntax::{Stmt, StmtKind};
use zdm_python::{ArgKind, Call, FunctionRef, Module, ValueKind};
use zdm_source::Span;

use super::{Extractor, convert};
use crate::operation::{CodeFact, CodeFactKind, CodeFacts, CodeModel, Rows};

mod rows;

use rows::{Look, Part, is_decided_by_a_loop, method_of, with_places};

/// Helper functions inside of each other.
const MAX_DEPTH: u32 = 6;
/// Functions read for one operation.
const MAX_FUNCTIONS: u32 = 64;

/// Managers that every model has in a migration's state, or that Django itself goes by.
const MANAGERS: &[&str] = &["objects", "_default_manager", "_base_manager"];

/// Where a function is called.
#[derive(Clone, Copy)]
struct Site {
    depth: u32,
    /// The call in the migration's file, where the function stands in another one.
    place: Option<Span>,
    /// How often the callers call it.
    around: Round,
    /// In a `while` loop of a caller.
    in_while: bool,
    /// A caller has put it, and all rounds of the loops around it, into one transaction.
    in_transaction: bool,
}

/// Where a call stands in what is read.
#[derive(Clone, Copy)]
struct Standing {
    round: Round,
    in_while: bool,
}

/// A function that is being read, and what was found.
struct Reading<'m> {
    module: &'m Module,
    functions: u32,
    /// Those that are being read, the callers of the others first.
    under_way: Vec<FunctionRef>,
    facts: Vec<CodeFact>,
    may_change: bool,
    /// What is read now stands in a transaction of the code, with the loops around it.
    in_transaction: bool,
    /// What is read now stands under a condition or in a loop.
    perhaps: bool,
}

impl Extractor<'_> {
    /// What the forwards function does; `module` is that of the migration, `span` the operation's place in it.
    pub(super) fn code_facts(&self, code: &python::Value, module: &Module, span: Span) -> CodeFacts {
        let unread = |reason: &str| CodeFacts { unread: Some(Arc::from(reason)), ..CodeFacts::default() };
        if matches!(&code.kind, ValueKind::Symbol(name) if name.ends_with("RunPython.noop")) {
            return CodeFacts::default();
        }
        let Some((function, args)) = self.function_of_code(code, 0) else {
            return unread("it is not a function of the project");
        };
        let mut reading = Reading::new(module);
        // What a function of another file does is told where the operation names it.
        let place = (function.module != *module).then_some(span);
        let site = Site { depth: 0, place, around: Round::Once, in_while: false, in_transaction: false };
        self.read_function(&function, &args, site, &mut reading);
        reading.facts.sort_by_key(|fact| (fact.span.start, fact.span.end));
        CodeFacts { facts: reading.facts, unread: None, may_change: reading.may_change }
    }

    /// What the `database_forwards` of an operation does that is none of Django's; `object` is the operation as it is made.
    pub(super) fn method_facts(
        &self,
        method: &FunctionRef,
        object: python::Value,
        module: &Module,
        span: Span,
    ) -> CodeFacts {
        let mut reading = Reading::new(module);
        let place = (method.module != *module).then_some(span);
        let site = Site { depth: 0, place, around: Round::Once, in_while: false, in_transaction: false };
        let own = python::Arg { kind: ArgKind::Positional, span: object.span(), value: object };
        self.read_function(method, &[own], site, &mut reading);
        reading.facts.sort_by_key(|fact| (fact.span.start, fact.span.end));
        CodeFacts { facts: reading.facts, unread: None, may_change: reading.may_change }
    }

    /// The function behind `functools.partial`, a method of a class of the project, or decorators, with the arguments
    /// that come before those of the call.
    fn function_of_code(&self, code: &python::Value, depth: u32) -> Option<(FunctionRef, Vec<python::Arg>)> {
        match &code.kind {
            ValueKind::Call(call) if call.callee.is_symbol("functools.partial") && depth < MAX_DEPTH => {
                let (first, rest) = call.args.split_first()?;
                let (function, mut args) = self.function_of_code(&first.value, depth + 1)?;
                args.extend(rest.iter().cloned());
                Some((function, args))
            }
            // `Fill`, whose `__init__` does the work.
            ValueKind::Class(class) => {
                let method = self.evaluator().class_attribute(class, "__init__")?;
                let given = |name: &str| {
                    let name = python::Str::made(name, code.origin.clone());
                    let value = python::Value::new(ValueKind::Parameter(name), code.origin.clone());
                    python::Arg { kind: ArgKind::Positional, span: code.span(), value }
                };
                let args = vec![given("apps"), given("schema_editor")];
                let made = ValueKind::Call(Arc::new(Call { callee: code.clone(), args }));
                let made = python::Value::new(made, code.origin.clone());
                let own = python::Arg { kind: ArgKind::Positional, span: made.span(), value: made };
                Some((method.as_function()?.clone(), vec![own]))
            }
            // `Fill()`
            ValueKind::Call(call) if call.callee.as_class().is_some() => {
                let method = self.evaluator().class_attribute(call.callee.as_class()?, "__call__")?;
                let own = python::Arg { kind: ArgKind::Positional, value: code.clone(), span: code.span() };
                Some((method.as_function()?.clone(), vec![own]))
            }
            // `Fill().forwards`
            ValueKind::Attribute(attribute) => {
                let class = attribute.value.as_call()?.callee.as_class()?;
                let method = self.evaluator().class_attribute(class, &attribute.name)?;
                let function = method.as_function()?.clone();
                let own = python::Arg {
                    kind: ArgKind::Positional,
                    value: attribute.value.clone(),
                    span: attribute.value.span(),
                };
                Some((function, vec![own]))
            }
            _ => {
                let function = code.undecorated()?.clone();
                let class = class_argument(&function).into_iter().collect();
                Some((function, class))
            }
        }
    }

    /// The arguments of a call, and those that its function gives itself.
    fn with_defaults(&self, function: &FunctionRef, args: &[python::Arg]) -> Vec<python::Arg> {
        let mut all = args.to_vec();
        if args.iter().any(|arg| matches!(arg.kind, ArgKind::Unpack | ArgKind::UnpackMapping)) {
            return all;
        }
        let positional = args.iter().filter(|arg| matches!(arg.kind, ArgKind::Positional)).count();
        for (index, param) in function.function().params.iter().enumerate() {
            let Some(default) = param.default else { continue };
            let name = function.module.text(param.name);
            let given = index < positional
                || args.iter().any(|arg| matches!(&arg.kind, ArgKind::Keyword(own) if own.as_str() == name));
            if !given {
                let value = self.evaluator().eval(&function.module, default);
                let name = python::Str::verbatim(&function.module, param.name);
                all.push(python::Arg { kind: ArgKind::Keyword(name), span: value.span(), value });
            }
        }
        all
    }

    /// Reads a function that is called at a site.
    fn read_function(&self, function: &FunctionRef, args: &[python::Arg], site: Site, reading: &mut Reading<'_>) {
        let Site { depth, place, around, in_while, in_transaction } = site;
        // What a function does that calls itself was read the first time, and once more for what it gives itself.
        if reading.under_way.iter().filter(|other| *other == function).count() > 1 {
            return;
        }
        if depth > MAX_DEPTH || reading.functions >= MAX_FUNCTIONS {
            let span = place.unwrap_or(function.function().span);
            let name = function.module.text(function.function().name);
            let what = Arc::from(format!("functions call each other too deeply, `{name}()` among them"));
            reading.push_once(CodeFactKind::NotRead { what }, span);
            reading.may_change = true;
            return;
        }
        reading.functions += 1;
        reading.under_way.push(function.clone());
        let before = reading.facts.len();
        let mut loops = Loops::default();
        find_loops(&function.module, &function.function().body, false, &mut loops);
        let is_transaction =
            function.function().decorators.iter().any(|decorator| is_atomic(&function.module, *decorator));
        // Python gives the forwards function its arguments; a helper that is called with fewer has defaults.
        let args = if depth > 0 || !args.is_empty() { self.with_defaults(function, args) } else { Vec::new() };
        for site in self.evaluator().calls_with(function, &args) {
            let Some(call) = site.call.as_call() else { continue };
            if site.call.origin.module != function.module {
                continue;
            }
            let own = site.call.span();
            let span = place.unwrap_or(own);
            let here = if loops.is_each_time(own) || call.callee.is_symbol("builtins.map") {
                Round::Each
            } else if loops.is_inside(own) || loops.is_in_while(own) {
                Round::Some
            } else if site.conditional {
                Round::Perhaps
            } else {
                Round::Once
            };
            let round = match (around, here) {
                (Round::Once, one) | (one, Round::Once) => one,
                (Round::Each, Round::Each) => Round::Each,
                (Round::Perhaps, Round::Perhaps) => Round::Perhaps,
                _ => Round::Some,
            };
            let in_while = in_while || loops.is_in_while(own);
            let once = matches!(around, Round::Once | Round::Perhaps);
            let in_transaction = in_transaction || (once && (is_transaction || loops.is_in_transaction(own)));
            reading.in_transaction = in_transaction;
            reading.perhaps = round != Round::Once;
            if let Some((helper, args)) = self.helper_of(call) {
                let place = place.or_else(|| (helper.module != *reading.module).then_some(own));
                let site = Site { depth: depth + 1, place, around: round, in_while, in_transaction };
                self.read_function(&helper, &args, site, reading);
                reading.in_transaction = in_transaction;
                continue;
            }
            if let Some(what) = self.gives_function_away(call, depth, reading) {
                reading.may_change = true;
                reading.push_once(CodeFactKind::NotRead { what }, span);
            }
            let sent = self.sent_sql(call, round);
            // Known SQL is a fact of its own, and the list of the migrations is nobody's data.
            let told =
                !sent.is_empty() && sent.iter().all(|kind| matches!(kind, CodeFactKind::SendsSql { sql: Some(_), .. }));
            reading.may_change |= is_called_like_a_change(call) && !told && !is_of_the_recorder(call);
            if let Some(kind) = self.saved(call, &function.module, own, &function.function().body) {
                reading.push(kind, span);
            }
            let changed = self.each_receiver(call, Standing { round, in_while });
            let is_known = !changed.is_empty();
            for kind in changed {
                if let (
                    CodeFactKind::SavesEach { model, rows: rows @ (Rows::All | Rows::WhereNull(_)) },
                    Some((value, _)),
                ) = (&kind, call.method())
                    && let ValueKind::Element(iterable) = &value.kind
                    && !self.is_in_batches(iterable, 0)
                {
                    let (model, rows) = (model.clone(), rows.clone());
                    reading.push_once(CodeFactKind::LoadsAll { model, rows }, span);
                }
                reading.push(kind, span);
            }
            if let Some(found) = self.loaded(&site.call, call, loops.iterables.contains(&own)) {
                reading.push_once(CodeFactKind::LoadsAll { model: found.model, rows: found.rows }, span);
            }
            for kind in sent {
                reading.push(kind, span);
            }
            if let Some(what) = called_procedure(call) {
                reading.may_change = true;
                reading.push_once(CodeFactKind::NotRead { what }, span);
            }
            if let Some(method) = schema_method(call) {
                reading.push(CodeFactKind::ChangesSchema { method }, span);
            }
            if let Some(what) = handed_on(call) {
                reading.may_change = true;
                reading.push_once(CodeFactKind::NotRead { what }, span);
            } else if let Some(what) = self.rows_handed_on(call).filter(|_| !is_known) {
                reading.may_change = true;
                reading.push_once(CodeFactKind::RowsNotRead { what }, span);
            }
            if let Some(class) = self.model_of_today(call, &function.module) {
                let written = as_written(function.module.text(own)).filter(|written| &**written != "cls");
                let class = written.unwrap_or(class);
                reading.push_once(CodeFactKind::ModelOfToday { class }, span);
            }
        }
        reading.under_way.pop();
        // What a loop leaves over for a last `bulk_update` is no more than a batch.
        let batched: Vec<CodeModel> = reading.facts[before..]
            .iter()
            .filter_map(|fact| match &fact.kind {
                CodeFactKind::UpdatesInBatches { model, .. } => Some(model.clone()),
                _ => None,
            })
            .collect();
        reading
            .facts
            .retain(|fact| !matches!(&fact.kind, CodeFactKind::BulkUpdates { model, .. } if batched.contains(model)));
    }

    /// The function of the project behind a call, with its arguments: a function, a method of an object of one of the
    /// project's classes, or what `map()` calls.
    fn helper_of(&self, call: &Call) -> Option<(FunctionRef, Vec<python::Arg>)> {
        if let Some(function) = call.callee.as_function() {
            let class = class_argument(function).into_iter();
            return Some((function.clone(), class.chain(call.args.iter().cloned()).collect()));
        }
        // `transaction.atomic` above the function.
        if let Some(function) = call.callee.undecorated().filter(|function| !function.function().decorators.is_empty())
        {
            return Some((function.clone(), call.args.clone()));
        }
        // `async_to_sync(fill)(apps)`
        if let Some(wrapped) = call.callee.as_call()
            && ["asgiref.sync.async_to_sync", "asgiref.sync.sync_to_async"]
                .iter()
                .any(|name| wrapped.callee.is_symbol(name))
        {
            return Some((wrapped.positional(0)?.value.as_function()?.clone(), call.args.clone()));
        }
        if call.callee.is_symbol("builtins.map") {
            let [function, iterable] = call.args.as_slice() else { return None };
            let element = ValueKind::Element(Arc::new(iterable.value.clone()));
            let element = python::Value::new(element, iterable.value.origin.clone());
            let arg = python::Arg { kind: ArgKind::Positional, span: element.span(), value: element };
            return Some((function.value.as_function()?.clone(), vec![arg]));
        }
        if let Some(function) = replaces_matches(call) {
            return Some((function.clone(), Vec::new()));
        }
        // `Filler(apps)()`
        let of_object =
            call.callee.as_call().and_then(|made| Some((&call.callee, made.callee.as_class()?, "__call__")));
        let of_object = of_object.map(|(object, class, name)| (object, class.clone(), name));
        let of_object = of_object.or_else(|| {
            let (object, name) = call.method()?;
            let class = match object.as_call().and_then(|made| made.callee.as_class()) {
                Some(class) => class.clone(),
                None => self.class_of_row(object)?,
            };
            Some((object, class, name.as_str()))
        });
        let (object, class, name) = of_object?;
        let method = self.evaluator().class_attribute(&class, name)?;
        let function = method.as_function()?.clone();
        if is_decorated(&function, "staticmethod") {
            return Some((function, call.args.clone()));
        }
        let own = python::Arg { kind: ArgKind::Positional, value: object.clone(), span: object.span() };
        let own = class_argument(&function).unwrap_or(own);
        Some((function, [own].into_iter().chain(call.args.iter().cloned()).collect()))
    }

    /// What is called gets a function of the project that changes rows, and calls it when and as often as it likes: a
    /// pool of threads, `transaction.on_commit`.
    fn gives_function_away(&self, call: &Call, depth: u32, reading: &mut Reading<'_>) -> Option<Arc<str>> {
        let mut values = call.args.iter().map(|arg| &arg.value);
        let given = values.find_map(|value| match &value.kind {
            ValueKind::Call(partial) if partial.callee.is_symbol("functools.partial") => {
                partial.positional(0)?.value.as_function()
            }
            _ => value.as_function(),
        })?;
        let ours = matches!(&call.callee.kind, ValueKind::Symbol(name)
            if ["builtins.", "functools.", "itertools.", "asgiref.sync."].iter().any(|module| name.starts_with(module)));
        if ours {
            return None;
        }
        // What it does counts for the limits, and functions that hand each other on have an end.
        let mut scratch = Reading {
            functions: reading.functions,
            under_way: reading.under_way.clone(),
            ..Reading::new(reading.module)
        };
        let site = Site { depth: depth + 1, place: None, around: Round::Some, in_while: false, in_transaction: false };
        self.read_function(given, &[], site, &mut scratch);
        reading.functions = scratch.functions;
        let sends = scratch.facts.iter().any(|fact| matches!(fact.kind, CodeFactKind::SendsSql { .. }));
        if !scratch.may_change && !sends {
            return None;
        }
        let name = match &call.callee.kind {
            ValueKind::Symbol(name) => own_name(name),
            _ => Arc::from(call.method()?.1.as_str()),
        };
        let function = given.module.text(given.function().name);
        let function = if function.is_empty() { String::from("a function") } else { format!("`{function}()`") };
        Some(Arc::from(format!("{function} is handed to `{name}()`, which decides when and how often it runs")))
    }

    /// The rows that a call changes; a loop over several querysets has several.
    fn each_receiver(&self, call: &Call, standing: Standing) -> Vec<CodeFactKind> {
        if let ValueKind::Attribute(attribute) = &call.callee.kind
            && let ValueKind::Element(iterable) = &attribute.value.kind
            && let Some(chain) = iterable.as_call().filter(|chain| chain.callee.is_symbol("itertools.chain"))
        {
            let mut found = Vec::new();
            for part in &chain.args {
                let element = ValueKind::Element(Arc::new(part.value.clone()));
                let element = python::Value::new(element, attribute.value.origin.clone());
                let method = python::AttributeOf { value: element, name: attribute.name.clone() };
                let callee = python::Value::new(ValueKind::Attribute(Arc::new(method)), call.callee.origin.clone());
                found.extend(self.changed_rows(&Call { callee, args: call.args.clone() }, standing));
            }
            return found;
        }
        self.changed_rows(call, standing)
    }

    /// The model class of a manager's call, where it does not come from the migration's own state.
    fn model_of_today(&self, call: &Call, module: &Module) -> Option<Arc<str>> {
        if let ValueKind::Symbol(name) = &call.callee.kind {
            // A class outside of what is read: `django.contrib.auth.models.Group.objects.filter`.
            if matches!(&**name, "django.apps.apps.get_model" | "django.apps.apps.get_registered_model") {
                return Some(Arc::from("django.apps.apps.get_model()"));
            }
            // The list of the migrations is in no state, and Django keeps it as its own code wants it.
            if name.starts_with(RECORDER) {
                return None;
            }
            let mut parts = name.split('.').rev();
            let (_, manager, class) = (parts.next()?, parts.next()?, parts.next()?);
            let is_class = class.chars().next().is_some_and(char::is_uppercase);
            return (is_class && MANAGERS.contains(&manager)).then(|| Arc::from(class));
        }
        let (receiver, method) = method_of(call)?;
        if let Some(made) = receiver.as_call()
            && matches!(method, "save" | "delete")
            && let Some(class) = made.callee.as_class().filter(|class| self.is_model(class))
        {
            return Some(own_name(&class.name()));
        }
        if let ValueKind::Attribute(manager) = &receiver.kind
            && MANAGERS.contains(&manager.name.as_str())
        {
            return match &manager.value.kind {
                ValueKind::Class(class) if self.is_model(class) => Some(own_name(&class.name())),
                ValueKind::Call(call) if call.callee.is_symbol("django.contrib.auth.get_user_model") => {
                    Some(Arc::from("get_user_model()"))
                }
                _ => None,
            };
        }
        // A manager of the class' own: its value is what the class binds, in the class' file.
        if receiver.origin.module == *module {
            return None;
        }
        self.class_of_manager(receiver).map(|class| own_name(&class.name()))
    }

    /// The model of the state that a class of today, or a call that gives one, stands for.
    fn class_of_today(&self, value: &python::Value) -> Option<CodeModel> {
        match &value.kind {
            ValueKind::Class(class) if self.is_model(class) => {
                let app = Arc::clone(self.label_of_file(class.module.file().path())?);
                Some(CodeModel { app, name: own_name(&class.name()) })
            }
            ValueKind::Call(call) if call.callee.is_symbol("django.contrib.auth.get_user_model") => {
                let label = self.settings().auth_user_model()?;
                let (app, name) = label.split_once('.')?;
                Some(CodeModel { app: Arc::from(app), name: Arc::from(name) })
            }
            _ => None,
        }
    }

    /// The class of today whose objects a queryset has given: `order` in `for order in Order.objects.all()`.
    fn class_of_row(&self, object: &python::Value) -> Option<python::ClassRef> {
        if !matches!(self.look(object, 0), Look::Each(_) | Look::One(_)) {
            return None;
        }
        let mut value = object;
        for _ in 0..rows::MAX_CHAIN {
            value = match &value.kind {
                ValueKind::Element(iterable) => iterable,
                ValueKind::Subscript(pair) => &pair.0,
                ValueKind::Attribute(attribute) if MANAGERS.contains(&attribute.name.as_str()) => &attribute.value,
                ValueKind::Class(class) => return Some(class.clone()),
                ValueKind::Call(call) => match self.class_of_manager(value) {
                    Some(class) => return Some(class),
                    None => call.method()?.0,
                },
                _ => return None,
            };
        }
        None
    }

    /// The class of a model whose body makes this manager.
    fn class_of_manager(&self, manager: &python::Value) -> Option<python::ClassRef> {
        let place = &manager.origin;
        if !matches!(manager.kind, ValueKind::Call(_)) {
            return None;
        }
        let within =
            |class: &python::syntax::Class| class.span.start <= place.span.start && place.span.end <= class.span.end;
        let (id, _) = place.module.classes().find(|(_, class)| within(class))?;
        let class = python::ClassRef { module: place.module.clone(), id };
        self.is_model(&class).then_some(class)
    }

    fn is_model(&self, class: &python::ClassRef) -> bool {
        let (_, outside) = self.evaluator().ancestors(class);
        outside
            .iter()
            .any(|base| base.name().is_some_and(|name| matches!(&*convert::public(&name), "django.db.models.Model")))
    }
}

impl<'m> Reading<'m> {
    fn new(module: &'m Module) -> Self {
        Self {
            module,
            functions: 0,
            under_way: Vec::new(),
            facts: Vec::new(),
            may_change: false,
            in_transaction: false,
            perhaps: false,
        }
    }

    fn push(&mut self, mut kind: CodeFactKind, span: Span) {
        // The same call stands in a loop before it, which has sent the rest in batches.
        if let CodeFactKind::CreatesAtOnce { model } = &kind {
            let batch = CodeFactKind::Creates { model: model.clone() };
            let same = |fact: &CodeFact| fact.kind == batch && self.module.text(fact.span) == self.module.text(span);
            if self.facts.iter().any(same) {
                kind = batch;
            }
        }
        let fact = CodeFact { kind, span, in_transaction: self.in_transaction, perhaps: self.perhaps };
        if !self.facts.contains(&fact) {
            self.facts.push(fact);
        }
    }

    fn push_once(&mut self, kind: CodeFactKind, span: Span) {
        if !self.facts.iter().any(|fact| fact.kind == kind) {
            self.push(kind, span);
        }
    }
}

/// The name in front of the manager, as the file has it: classes are imported under other names, managers inherited.
fn as_written(call: &str) -> Option<Arc<str>> {
    let name = MANAGERS.iter().find_map(|manager| Some(call.split_once(&format!(".{manager}"))?.0))?;
    let is_name = name.chars().all(|character| character.is_alphanumeric() || "_.".contains(character));
    (is_name && !name.is_empty()).then(|| Arc::from(name))
}

/// The loops of a function.
#[derive(Default)]
struct Loops {
    /// The statements that run in each round.
    rounds: Vec<Span>,
    /// All that stands in a loop.
    bodies: Vec<Span>,
    /// What is looped over.
    iterables: Vec<Span>,
    /// The `while` loops as a whole.
    whiles: Vec<Span>,
    /// What stands in `transaction.atomic()`, that being in no loop.
    transactions: Vec<Span>,
}

/// How often a call runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    /// In each round of a loop.
    Each,
    /// In some rounds of a loop.
    Some,
    /// In a comprehension, or under a condition.
    Perhaps,
    Once,
}

impl Loops {
    fn is_each_time(&self, span: Span) -> bool {
        self.rounds.iter().any(|stmt| stmt.start <= span.start && span.end <= stmt.end)
    }

    fn is_inside(&self, span: Span) -> bool {
        self.bodies.iter().any(|stmt| stmt.start <= span.start && span.end <= stmt.end)
    }

    fn is_in_while(&self, span: Span) -> bool {
        self.whiles.iter().any(|stmt| stmt.start <= span.start && span.end <= stmt.end)
    }

    fn is_in_transaction(&self, span: Span) -> bool {
        self.transactions.iter().any(|stmt| stmt.start <= span.start && span.end <= stmt.end)
    }
}

/// `transaction.atomic`, `atomic(using="default")`, as it is written.
fn is_atomic(module: &Module, expr: python::syntax::ExprId) -> bool {
    let text = module.text(module.expr(expr).span);
    let name = text.split('(').next().unwrap_or(text).trim();
    matches!(name.rsplit('.').next(), Some("atomic"))
}

fn is_decorated(function: &FunctionRef, name: &str) -> bool {
    function
        .function()
        .decorators
        .iter()
        .any(|decorator| function.module.text(function.module.expr(*decorator).span) == name)
}

/// The first argument of a class method, which Python gives it.
fn class_argument(function: &FunctionRef) -> Option<python::Arg> {
    if !is_decorated(function, "classmethod") {
        return None;
    }
    let place = function.function().span;
    let (id, class) = function
        .module
        .classes()
        .filter(|(_, class)| class.span.start <= place.start && place.end <= class.span.end)
        .last()?;
    let origin = python::Origin::new(&function.module, class.span);
    let span = class.span;
    let class = ValueKind::Class(python::ClassRef { module: function.module.clone(), id });
    Some(python::Arg { kind: ArgKind::Positional, value: python::Value::new(class, origin), span })
}

fn find_loops(module: &Module, block: &[Stmt], in_loop: bool, found: &mut Loops) {
    for stmt in block {
        if let StmtKind::With { items, .. } = &stmt.kind
            && !in_loop
            && items.iter().any(|item| is_atomic(module, item.value))
        {
            found.transactions.push(stmt.span);
        }
        if let StmtKind::For { body, iter, .. } = &stmt.kind {
            found.iterables.push(module.expr(*iter).span);
            found.bodies.extend(body.iter().map(|stmt| stmt.span));
            each_round(body, &mut found.rounds);
            // Loops inside of it have their own rounds among these, and their own iterables.
            let mut inner = Loops::default();
            find_loops(module, body, true, &mut inner);
            found.iterables.append(&mut inner.iterables);
            found.whiles.append(&mut inner.whiles);
        } else {
            let is_while = matches!(stmt.kind, StmtKind::While { .. });
            if let StmtKind::While { body, .. } = &stmt.kind {
                found.bodies.extend(body.iter().map(|stmt| stmt.span));
                found.whiles.push(stmt.span);
            }
            stmt.for_each_block(&mut |block| find_loops(module, block, in_loop || is_while, found));
        }
    }
}

/// Adds the statements of a loop's body up to the first one that may leave the round; false where there is one.
fn each_round(body: &[Stmt], found: &mut Vec<Span>) -> bool {
    for stmt in body {
        let goes_on = match &stmt.kind {
            StmtKind::With { body, .. } => each_round(body, found),
            // An exception is not the rule; what its handler does is not looked at.
            StmtKind::Try { body, orelse, finally, .. } => {
                each_round(body, found) && each_round(orelse, found) && each_round(finally, found)
            }
            StmtKind::For { body, .. } => {
                each_round(body, found);
                true
            }
            StmtKind::Continue | StmtKind::Break | StmtKind::Return(_) | StmtKind::Raise(_) => false,
            StmtKind::Expr(_) | StmtKind::Assign { .. } => {
                found.push(stmt.span);
                true
            }
            _ => !leaves(stmt),
        };
        if !goes_on {
            return false;
        }
    }
    true
}

/// Whether a statement may end the round that it stands in.
fn leaves(stmt: &Stmt) -> bool {
    let mut found =
        matches!(stmt.kind, StmtKind::Continue | StmtKind::Break | StmtKind::Return(_) | StmtKind::Raise(_));
    stmt.for_each_block(&mut |block| found |= block.iter().any(leaves));
    found
}

fn own_name(dotted: &str) -> Arc<str> {
    Arc::from(dotted.rsplit('.').next().unwrap_or(dotted))
}

/// The function that a regular expression calls for each match: `re.sub(…, function, text)`, `pattern.sub(function, text)`.
fn replaces_matches(call: &Call) -> Option<&FunctionRef> {
    let place = match &call.callee.kind {
        ValueKind::Symbol(name) if matches!(&**name, "re.sub" | "re.subn") => 1,
        _ if matches!(call.method()?.1.as_str(), "sub" | "subn") => 0,
        _ => return None,
    };
    call.arg(place, "repl")?.value.as_function()
}

/// A list that is written in the code, so that it is as long as the code.
fn is_counted(value: &python::Value) -> bool {
    match &value.kind {
        ValueKind::List(items) | ValueKind::Tuple(items) | ValueKind::Set(items) => {
            // An empty one is filled by what was not followed.
            !items.is_empty() && !items.iter().any(|item| matches!(item.kind, ValueKind::Spread(_)))
        }
        _ => false,
    }
}

/// The module of Django that keeps the list of the migrations.
const RECORDER: &str = "django.db.migrations.recorder.";

/// It is called on the list of the migrations.
fn is_of_the_recorder(call: &Call) -> bool {
    let mut value = &call.callee;
    for _ in 0..rows::MAX_CHAIN {
        value = match &value.kind {
            ValueKind::Symbol(name) => return name.starts_with(RECORDER),
            ValueKind::Attribute(attribute) => &attribute.value,
            ValueKind::Call(call) => &call.callee,
            ValueKind::Element(inner) => inner,
            _ => return false,
        };
    }
    false
}

/// Named as what changes rows or tables, whatever it is called on.
fn is_called_like_a_change(call: &Call) -> bool {
    const CHANGES: [&str; 16] = [
        "_raw_delete",
        "add",
        "bulk_create",
        "bulk_update",
        "clear",
        "create",
        "delete",
        "execute",
        "executemany",
        "get_or_create",
        "raw",
        "remove",
        "save",
        "set",
        "update",
        "update_or_create",
    ];
    let symbol = match &call.callee.kind {
        ValueKind::Symbol(name) => name.rsplit('.').next(),
        _ => None,
    };
    let name = method_of(call).map(|(_, name)| name).or(symbol);
    // What is not an attribute of anything known may do anything, as a function that is given does.
    let unknown = matches!(call.callee.kind, ValueKind::Parameter(_) | ValueKind::Element(_) | ValueKind::Unknown(_));
    unknown
        || schema_method(call).is_some()
        || name.is_some_and(|name| CHANGES.contains(&name) || name.starts_with("execute"))
}

/// The attributes that the statements set on this variable: `order.customer = …`.
fn attributes_set(module: &Module, block: &[Stmt], variable: &str, found: &mut Vec<Arc<str>>) {
    for stmt in block {
        let targets = match &stmt.kind {
            StmtKind::Assign { targets, .. } => targets.as_ref(),
            StmtKind::AugAssign { target, .. } => std::slice::from_ref(target),
            _ => &[],
        };
        for target in targets {
            let text = module.text(module.expr(*target).span);
            for part in text.trim_matches(['(', ')']).split(',') {
                if let Some((name, attribute)) = part.trim().split_once('.')
                    && name == variable
                    && !attribute.is_empty()
                    && attribute.chars().all(|character| character.is_alphanumeric() || character == '_')
                {
                    found.push(Arc::from(attribute));
                }
            }
        }
        stmt.for_each_block(&mut |block| attributes_set(module, block, variable, found));
    }
}

/// The schema editor's methods that change tables (Django's documentation, "SchemaEditor").
const SCHEMA_METHODS: [&str; 12] = [
    "add_constraint",
    "add_field",
    "add_index",
    "alter_db_table",
    "alter_field",
    "alter_unique_together",
    "create_model",
    "delete_model",
    "remove_constraint",
    "remove_field",
    "remove_index",
    "rename_index",
];

fn schema_method(call: &Call) -> Option<Arc<str>> {
    let (receiver, method) = call.method()?;
    let is_editor = matches!(&receiver.kind, ValueKind::Parameter(name) if name.as_str().contains("editor"));
    (is_editor && SCHEMA_METHODS.contains(&method.as_str())).then(|| Arc::from(method.as_str()))
}

/// `cursor.callproc("recalculate")`
fn called_procedure(call: &Call) -> Option<Arc<str>> {
    let (_, method) = call.method()?;
    if method.as_str() != "callproc" {
        return None;
    }
    let name = call.arg(0, "procname")?.value.as_str().map_or("", |name| name.as_str());
    Some(Arc::from(format!("it calls the database's function `{name}`")))
}

/// A function outside of what is read that gets `apps` or the schema editor.
fn handed_on(call: &Call) -> Option<Arc<str>> {
    let ValueKind::Symbol(name) = &call.callee.kind else { return None };
    let gets = call
        .args
        .iter()
        .any(|arg| matches!(&arg.value.kind, ValueKind::Parameter(name) if matches!(name.as_str(), "apps" | "schema_editor")));
    let harmless = name.starts_with("builtins.") || name.starts_with("logging.");
    (gets && !harmless).then(|| Arc::from(format!("`{name}()` is not a function of the project")))
}

/// The top-level modules of Python's own library that code of migrations calls; none of them knows Django's models.
const LIBRARY: [&str; 26] = [
    "builtins",
    "collections",
    "contextlib",
    "copy",
    "csv",
    "datetime",
    "decimal",
    "functools",
    "gc",
    "hashlib",
    "io",
    "itertools",
    "json",
    "logging",
    "math",
    "operator",
    "os",
    "pprint",
    "random",
    "re",
    "string",
    "sys",
    "textwrap",
    "time",
    "uuid",
    "warnings",
];

impl Extractor<'_> {
    /// Something outside of what is read gets a model, a queryset or an object, or is a management command.
    fn rows_handed_on(&self, call: &Call) -> Option<Arc<str>> {
        let ValueKind::Symbol(name) = &call.callee.kind else {
            return self.unknown_rows(call);
        };
        if &**name == "django.core.management.call_command" {
            let command = call.args.first().and_then(|arg| arg.value.as_str()).map_or("", |name| name.as_str());
            return Some(Arc::from(format!("it runs the management command `{command}`")));
        }
        let top = name.split('.').next().unwrap_or(name);
        if LIBRARY.contains(&top) || matches!(top, "django" | "tqdm") {
            return None;
        }
        let gets = call
            .args
            .iter()
            .any(|arg| matches!(self.look(&arg.value, 0), Look::Model(_) | Look::Many(_) | Look::Each(_) | Look::Rows));
        gets.then(|| Arc::from(format!("`{name}()` gets rows and is not a function of the project")))
    }

    /// A change of rows that are not known.
    fn unknown_rows(&self, call: &Call) -> Option<Arc<str>> {
        let (receiver, method) = method_of(call)?;
        let changes =
            matches!(method, "update" | "delete" | "save" | "bulk_update" | "bulk_create" | "create" | "_raw_delete");
        // What a generator of the project yields is not known.
        let of_a_function = |iterable: &python::Value| {
            iterable.as_call().is_some_and(|call| call.callee.as_function().is_some() || self.helper_of(call).is_some())
        };
        let mut element = receiver;
        while let ValueKind::Subscript(pair) = &element.kind {
            element = &pair.0;
        }
        let yielded = matches!(&element.kind, ValueKind::Element(iterable) if of_a_function(iterable));
        let unknown = match self.look(receiver, 0) {
            Look::Rows => true,
            Look::Unknown => {
                // Objects of the models of today are told as such.
                let of_today = element.contains(&|kind| matches!(kind, ValueKind::Class(_) | ValueKind::Symbol(_)));
                let one_of_some = matches!(element.kind, ValueKind::Element(_) | ValueKind::Unknown(_))
                    && !of_today
                    && !call.args.iter().any(|arg| matches!(arg.kind, ArgKind::Positional));
                (one_of_some || (yielded && !of_today)) && matches!(method, "delete" | "save")
            }
            Look::Many(_) => {
                let objects = call.arg(0, "objs").filter(|_| method == "bulk_update");
                objects.is_some_and(|objects| {
                    !is_counted(&objects.value) && matches!(self.look(&objects.value, 0), Look::Unknown)
                })
            }
            _ => false,
        };
        (changes && unknown).then(|| Arc::from(format!("which rows `{method}()` changes is decided while it runs")))
    }

    /// The SQL of `cursor.execute(…)` and of `raw(…)`.
    fn sent_sql(&self, call: &Call, round: Round) -> Vec<CodeFactKind> {
        let method = match &call.callee.kind {
            ValueKind::Symbol(name) => name.rsplit('.').next().unwrap_or(name).to_owned(),
            _ => call.method().map_or(String::new(), |(_, name)| name.as_str().to_owned()),
        };
        let is_raw =
            || method == "raw" && call.method().is_some_and(|(value, _)| matches!(self.look(value, 0), Look::Many(_)));
        // `execute_values(cursor, sql, rows)`
        let of_a_cursor = matches!(method.as_str(), "execute_batch" | "execute_values")
            && matches!(&call.callee.kind, ValueKind::Symbol(_));
        if !of_a_cursor && !matches!(method.as_str(), "execute" | "executemany") && !is_raw() {
            return Vec::new();
        }
        let sql = if of_a_cursor {
            call.arg(1, "sql")
        } else {
            call.arg(0, "sql").or_else(|| call.arg(0, "query")).or_else(|| call.arg(0, "raw_query"))
        };
        let Some(sql) = sql else { return Vec::new() };
        let values = call.args.iter().map(|arg| &arg.value).filter(|value| value.span() != sql.value.span());
        let each = match method.as_str() {
            "execute" => matches!(round, Round::Each | Round::Some) && values.into_iter().any(is_decided_by_a_loop),
            "executemany" | "execute_batch" => true,
            _ => false,
        };
        let model = |value: &python::Value| match self.look(value, 0) {
            Look::Model(model) => Some(model),
            _ => None,
        };
        let one = |value: &python::Value| match &value.kind {
            ValueKind::Int(_) | ValueKind::None | ValueKind::List(_) | ValueKind::Dict(_) => None,
            _ => Some(CodeFactKind::SendsSql { sql: with_places(value, &model).map(Arc::from), each }),
        };
        sql.value.options().iter().filter_map(one).collect()
    }

    /// What `save()` or `bulk_update()` writes, as far as the code says it.
    fn saved(&self, call: &Call, module: &Module, place: Span, body: &[Stmt]) -> Option<CodeFactKind> {
        let (receiver, method) = method_of(call)?;
        let named = |value: &python::Value| -> Option<Vec<Arc<str>>> {
            let (ValueKind::List(items) | ValueKind::Tuple(items) | ValueKind::Set(items)) = &value.kind else {
                return None;
            };
            items.iter().map(|item| Some(Arc::from(item.as_str()?.as_str()))).collect()
        };
        let (model, fields) = match method {
            "bulk_update" => (self.queryset(receiver)?.model, named(&call.arg(1, "fields")?.value)?),
            "save" => {
                let model = match self.look(receiver, 0) {
                    Look::Each(found) => found.model,
                    Look::One(model) => model,
                    _ => return None,
                };
                let fields = if let Some(Some(fields)) = call.arg(3, "update_fields").map(|arg| named(&arg.value)) {
                    fields
                } else {
                    let (variable, _) = module.text(place).split_once(".save")?;
                    let mut fields = Vec::new();
                    attributes_set(module, body, variable.trim(), &mut fields);
                    fields
                };
                (model, fields)
            }
            _ => return None,
        };
        (!fields.is_empty()).then_some(CodeFactKind::Saves { model, fields })
    }

    fn changed_rows(&self, call: &Call, standing: Standing) -> Vec<CodeFactKind> {
        let round = standing.round;
        let Some((receiver, method)) = method_of(call) else { return Vec::new() };
        let kind = match method {
            "update" | "delete" | "_raw_delete" | "save" => {
                return self.changed_one_by_one(call, receiver, method, standing);
            }
            "create" | "get_or_create" | "update_or_create" => match self.look(receiver, 0) {
                Look::Many(created) => {
                    let source = call.args.iter().find_map(|arg| self.element_of(&arg.value));
                    let same = source.filter(|source| source.model == created.model && source.rows != Rows::Few);
                    match same.filter(|_| method == "update_or_create" && round != Round::Once) {
                        Some(source) => Some(one_by_one(created.model, source, round, false)),
                        None => Some(self.created(created.model, call, round)),
                    }
                }
                Look::Related { found, owner } if round != Round::Once && owner.rows != Rows::Few => {
                    let owner = if round == Round::Each { owner } else { owner.under_conditions() };
                    Some(CodeFactKind::CreatesEach { model: found.model, source: owner.model, rows: owner.rows })
                }
                Look::Related { found, .. } => Some(CodeFactKind::Creates { model: found.model }),
                _ => None,
            },
            "add" | "set" | "remove" | "clear" => match self.look(receiver, 0) {
                Look::Related { found, owner } => {
                    let all = self.rows_of_args(call).filter(|_| matches!(method, "add" | "set"));
                    if let Some(source) = all.filter(|_| matches!(round, Round::Once | Round::Perhaps)) {
                        let (model, source, rows) = (found.model, source.model, source.rows);
                        return vec![CodeFactKind::RelatesAtOnce { model, source, rows }];
                    }
                    // Of one object, for each row of another model.
                    let owner = match owner.rows {
                        Rows::Few => self.row_of_args(call).unwrap_or(owner),
                        _ => owner,
                    };
                    let owner = match round {
                        Round::Each => owner,
                        Round::Once => rows::QuerySet { rows: Rows::Few, part: Part::Whole, ..owner },
                        _ => owner.under_conditions(),
                    };
                    Some(CodeFactKind::Relates {
                        model: found.model,
                        source: owner.model,
                        rows: owner.rows,
                        removes: matches!(method, "remove" | "clear"),
                    })
                }
                _ => None,
            },
            "bulk_create" => self.queryset(receiver).map(|created| {
                let known = call.arg(0, "objs").is_some_and(|objs| is_counted(&objs.value));
                let batched = call.arg(1, "batch_size").is_some_and(|size| !size.value.is_none());
                if known || batched || matches!(round, Round::Each | Round::Some) {
                    CodeFactKind::Creates { model: created.model }
                } else {
                    CodeFactKind::CreatesAtOnce { model: created.model }
                }
            }),
            "bulk_update" => {
                let objects = call.arg(0, "objs").and_then(|objects| self.queryset(&objects.value));
                let objects =
                    objects.and_then(|found| if found.rows == Rows::Few { standing.batch(found) } else { Some(found) });
                objects.map(|found| {
                    let (model, rows) = (found.model, found.rows);
                    if matches!(round, Round::Each | Round::Some) {
                        CodeFactKind::UpdatesInBatches { model, rows }
                    } else {
                        CodeFactKind::BulkUpdates { model, rows }
                    }
                })
            }
            _ => None,
        };
        kind.into_iter().collect()
    }

    /// The rows of a queryset that are given as they are: `*orders`, or `orders` where one argument is all objects.
    fn rows_of_args(&self, call: &Call) -> Option<rows::QuerySet> {
        let given = call.args.iter().filter(|arg| matches!(arg.kind, ArgKind::Unpack | ArgKind::Positional));
        given.filter_map(|arg| self.queryset(&arg.value)).find(|found| found.rows != Rows::Few)
    }

    /// The queryset of which one object is given, by itself or in a list.
    fn row_of_args(&self, call: &Call) -> Option<rows::QuerySet> {
        let given = call.args.iter().flat_map(|arg| match &arg.value.kind {
            ValueKind::List(items) | ValueKind::Tuple(items) | ValueKind::Set(items) => items.iter().collect(),
            _ => vec![&arg.value],
        });
        given.filter_map(|value| self.element_of(value)).find(|found| found.rows != Rows::Few)
    }

    /// What is called on a queryset, or on its objects in a loop.
    fn changed_one_by_one(
        &self,
        call: &Call,
        receiver: &python::Value,
        method: &str,
        standing: Standing,
    ) -> Vec<CodeFactKind> {
        let round = standing.round;
        let deletes = matches!(method, "delete" | "_raw_delete");
        match (self.look(receiver, 0), method) {
            (Look::Each(found), "save" | "delete") if round != Round::Once && found.rows != Rows::Few => {
                let model = found.model.clone();
                vec![one_by_one(model, found, round, deletes)]
            }
            (Look::Each(found), "save" | "delete") => {
                let batch = standing.batch(found);
                batch.map(|found| one_by_one(found.model.clone(), found, round, deletes)).into_iter().collect()
            }
            (Look::New(model), "save") => {
                receiver.as_call().map(|made| self.created(model, made, round)).into_iter().collect()
            }
            (Look::Related { found, owner }, _) => {
                let each = round != Round::Once && owner.rows != Rows::Few;
                let model = found.model;
                vec![match (each, deletes) {
                    (true, true) => CodeFactKind::DeletesEach { model, rows: Rows::Some(None) },
                    (true, false) => CodeFactKind::SavesEach { model, rows: Rows::Some(None) },
                    (false, true) => CodeFactKind::Deletes { model, rows: Rows::Few },
                    (false, false) => {
                        let set =
                            call.keywords().map(|(name, arg)| (Arc::from(name.as_str()), convert::value(&arg.value)));
                        CodeFactKind::Updates { model, rows: Rows::Few, set: Some(set.collect()) }
                    }
                }]
            }
            (Look::One(model), "save" | "delete") => {
                let source = self.fetched_by(receiver);
                match source.filter(|source| round != Round::Once && source.rows != Rows::Few) {
                    Some(source) => vec![one_by_one(model, source, round, deletes)],
                    None if deletes => vec![CodeFactKind::Deletes { model, rows: Rows::Few }],
                    None => Vec::new(),
                }
            }
            (Look::Many(found), "update" | "delete" | "_raw_delete") => {
                let mut kinds = Vec::new();
                if found.rows == Rows::Few
                    && let Some(source) = self.chosen_by(receiver).filter(|_| round != Round::Once)
                {
                    kinds.push(one_by_one(found.model.clone(), source, round, deletes));
                } else if found.rows == Rows::Few && found.part == Part::Key && round != Round::Once {
                    let (model, rows) = (found.model.clone(), Rows::Few);
                    kinds.push(if deletes {
                        CodeFactKind::DeletesEach { model, rows }
                    } else {
                        CodeFactKind::SavesEach { model, rows }
                    });
                } else if let Some(rows::QuerySet { model, rows, .. }) =
                    standing.batch(found.clone()).filter(|_| found.rows == Rows::Few)
                {
                    kinds.push(if deletes {
                        CodeFactKind::DeletesInBatches { model, rows }
                    } else {
                        CodeFactKind::UpdatesInBatches { model, rows }
                    });
                }
                kinds.push(if deletes {
                    CodeFactKind::Deletes { model: found.model, rows: found.rows }
                } else {
                    let set = call.keywords().map(|(name, arg)| (Arc::from(name.as_str()), convert::value(&arg.value)));
                    let set = (!call.has_unpacked()).then(|| set.collect());
                    CodeFactKind::Updates { model: found.model, rows: found.rows, set }
                });
                kinds
            }
            _ => Vec::new(),
        }
    }

    /// A row is made; for each object of a queryset where an argument comes from a loop over one.
    fn created(&self, model: CodeModel, call: &Call, round: Round) -> CodeFactKind {
        let source = call.args.iter().find_map(|arg| self.element_of(&arg.value));
        match source.filter(|source| source.model != model && round != Round::Once && source.rows != Rows::Few) {
            Some(source) => {
                let source = if round == Round::Each { source } else { source.under_conditions() };
                CodeFactKind::CreatesEach { model, source: source.model, rows: source.rows }
            }
            None => CodeFactKind::Creates { model },
        }
    }

    /// A queryset that is read as a whole: looped over without `iterator()`, or made a list.
    fn loaded(&self, value: &python::Value, call: &Call, is_iterable: bool) -> Option<rows::QuerySet> {
        let read = match value.as_comprehension() {
            Some((_, Some(iterable))) if !value.is_generator() => iterable,
            Some(_) => return None,
            None if is_iterable => value,
            None if ["list", "set", "sorted", "tuple"]
                .iter()
                .any(|name| call.callee.is_symbol(&format!("builtins.{name}"))) =>
            {
                &call.positional(0)?.value
            }
            None => return None,
        };
        // A dictionary of objects is in memory already.
        let of_a_dictionary =
            read.as_call().and_then(Call::method).is_some_and(|(of, _)| of.as_comprehension().is_some());
        if of_a_dictionary || self.is_in_batches(read, 0) {
            return None;
        }
        self.queryset(read).filter(|found| matches!(found.rows, Rows::All | Rows::WhereNull(_)))
    }
}

impl Standing {
    /// Few rows, in one round of a loop: all rounds together are so many that nobody knows.
    fn batch(self, found: rows::QuerySet) -> Option<rows::QuerySet> {
        let goes_on = match found.part {
            Part::Whole | Part::Key => false,
            Part::First => self.in_while,
            Part::Range => self.round != Round::Once,
        };
        goes_on.then_some(rows::QuerySet { rows: Rows::Some(None), part: Part::Whole, ..found })
    }
}

/// One query for each object of a queryset.
fn one_by_one(model: CodeModel, source: rows::QuerySet, round: Round, deletes: bool) -> CodeFactKind {
    let same = source.model == model;
    let source = if round == Round::Each && same { source } else { source.under_conditions() };
    let rows = match source.rows {
        // The condition is of other rows.
        Rows::Some(Some(_)) if !same => Rows::Few,
        rows => rows,
    };
    if deletes { CodeFactKind::DeletesEach { model, rows } } else { CodeFactKind::SavesEach { model, rows } }
}

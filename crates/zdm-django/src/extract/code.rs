//! What the function of a `RunPython` does to rows, read without running it.
//!
//! A model comes from `apps.get_model`, a queryset from one of its managers, and each method in the chain says which
//! rows are left. A chain with a method that is not listed here is not judged: the facts are what is certain.

use std::sync::Arc;

use zdm_python as python;
use zdm_python::syntax::{Stmt, StmtKind};
use zdm_python::{ArgKind, Call, FunctionRef, Module, ValueKind};
use zdm_source::Span;

use super::{Extractor, convert};
use crate::operation::{CodeFact, CodeFactKind, CodeFacts, CodeModel, Rows};

/// Helper functions inside of each other.
const MAX_DEPTH: u32 = 4;
/// Functions read for one operation.
const MAX_FUNCTIONS: u32 = 64;
/// Calls in one chain.
const MAX_CHAIN: u32 = 50;

/// Managers that every model has in a migration's state, or that Django itself goes by.
const MANAGERS: &[&str] = &["objects", "_default_manager", "_base_manager"];

/// Methods that leave the rows of a queryset as they are.
const SAME_ROWS: &[&str] = &[
    "all",
    "annotate",
    "db_manager",
    "defer",
    "get_queryset",
    "iterator",
    "only",
    "order_by",
    "prefetch_related",
    "reverse",
    "select_for_update",
    "select_related",
    "using",
];

/// Where a function is called.
#[derive(Clone, Copy)]
struct Site {
    depth: u32,
    /// The call in the migration's file, where the function stands in another one.
    place: Option<Span>,
    /// In each round of a loop of a caller.
    in_loop: bool,
}

/// Functions that hand on the elements of what they are given.
const SAME_ELEMENTS: [&str; 5] =
    ["builtins.enumerate", "builtins.list", "builtins.reversed", "builtins.sorted", "builtins.tuple"];

/// A function that is being read, and what was found.
struct Reading<'m> {
    module: &'m Module,
    functions: u32,
    facts: Vec<CodeFact>,
}

/// The rows of a queryset, where they are certain.
struct QuerySet {
    model: CodeModel,
    rows: Rows,
}

impl Extractor<'_> {
    /// What the forwards function does; `module` is that of the migration, `span` the operation's place in it.
    pub(super) fn code_facts(&self, code: &python::Value, module: &Module, span: Span) -> CodeFacts {
        let unread = |reason: &str| CodeFacts { facts: Vec::new(), unread: Some(Arc::from(reason)) };
        if matches!(&code.kind, ValueKind::Symbol(name) if name.ends_with("RunPython.noop")) {
            return CodeFacts::default();
        }
        let Some((function, args)) = self.function_of_code(code, 0) else {
            return unread("it is not a function of the project");
        };
        let mut reading = Reading { module, functions: 0, facts: Vec::new() };
        // What a function of another file does is told where the operation names it.
        let place = (function.module != *module).then_some(span);
        self.read_function(&function, &args, Site { depth: 0, place, in_loop: false }, &mut reading);
        reading.facts.sort_by_key(|fact| (fact.span.start, fact.span.end));
        CodeFacts { facts: reading.facts, unread: None }
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
            _ => Some((code.undecorated()?.clone(), Vec::new())),
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
        let Site { depth, place, in_loop } = site;
        if depth > MAX_DEPTH || reading.functions >= MAX_FUNCTIONS {
            let span = place.unwrap_or(function.function().span);
            let name = function.module.text(function.function().name);
            let what = Arc::from(format!("functions call each other too deeply, `{name}()` among them"));
            reading.push_once(CodeFactKind::NotRead { what }, span);
            return;
        }
        reading.functions += 1;
        let mut loops = Loops::default();
        find_loops(&function.module, &function.function().body, &mut loops);
        // Python gives the forwards function its arguments; a helper that is called with fewer has defaults.
        let args = if depth > 0 || !args.is_empty() { self.with_defaults(function, args) } else { Vec::new() };
        for site in self.evaluator().calls_with(function, &args) {
            let Some(call) = site.call.as_call() else { continue };
            if site.call.origin.module != function.module {
                continue;
            }
            let own = site.call.span();
            let span = place.unwrap_or(own);
            if let Some(helper) = call.callee.as_function() {
                let place = place.or_else(|| (helper.module != *reading.module).then_some(own));
                let in_loop = in_loop || loops.is_each_time(own);
                self.read_function(helper, &call.args, Site { depth: depth + 1, place, in_loop }, reading);
                continue;
            }
            let each_time = in_loop || loops.is_each_time(own);
            if let Some(kind) = self.changed_rows(call)
                && (!matches!(
                    kind,
                    CodeFactKind::SavesEach { .. }
                        | CodeFactKind::DeletesEach { .. }
                        | CodeFactKind::CreatesEach { .. }
                ) || each_time)
            {
                if let CodeFactKind::SavesEach { model, rows } = &kind
                    && let Some((ValueKind::Element(iterable), _)) =
                        call.method().map(|(value, name)| (&value.kind, name))
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
            if let Some(kind) = sent_sql(call) {
                reading.push(kind, span);
            }
            if let Some(method) = schema_method(call) {
                reading.push(CodeFactKind::ChangesSchema { method }, span);
            }
            if let Some(what) = handed_on(call) {
                reading.push_once(CodeFactKind::NotRead { what }, span);
            }
            if let Some(class) = self.model_of_today(call, &function.module) {
                let class = as_written(function.module.text(own)).unwrap_or(class);
                reading.push_once(CodeFactKind::ModelOfToday { class }, span);
            }
        }
    }

    /// The model class of a manager's call, where it does not come from the migration's own state.
    fn model_of_today(&self, call: &Call, module: &Module) -> Option<Arc<str>> {
        if let ValueKind::Symbol(name) = &call.callee.kind {
            // A class outside of what is read: `django.contrib.auth.models.Group.objects.filter`.
            if &**name == "django.apps.apps.get_model" {
                return Some(Arc::from("django.apps.apps.get_model()"));
            }
            let mut parts = name.split('.').rev();
            let (_, manager, class) = (parts.next()?, parts.next()?, parts.next()?);
            let is_class = class.chars().next().is_some_and(char::is_uppercase);
            return (is_class && MANAGERS.contains(&manager)).then(|| Arc::from(class));
        }
        let (receiver, _) = call.method()?;
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
        let place = &receiver.origin;
        if place.module == *module || !matches!(receiver.kind, ValueKind::Call(_)) {
            return None;
        }
        let (id, _) = place
            .module
            .classes()
            .find(|(_, class)| class.span.start <= place.span.start && place.span.end <= class.span.end)?;
        let class = python::ClassRef { module: place.module.clone(), id };
        self.is_model(&class).then(|| own_name(&class.name()))
    }

    fn is_model(&self, class: &python::ClassRef) -> bool {
        let (_, outside) = self.evaluator().ancestors(class);
        outside
            .iter()
            .any(|base| base.name().is_some_and(|name| matches!(&*convert::public(&name), "django.db.models.Model")))
    }
}

impl Reading<'_> {
    fn push(&mut self, kind: CodeFactKind, span: Span) {
        let fact = CodeFact { kind, span };
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
    /// What is looped over.
    iterables: Vec<Span>,
}

impl Loops {
    fn is_each_time(&self, span: Span) -> bool {
        self.rounds.iter().any(|stmt| stmt.start <= span.start && span.end <= stmt.end)
    }
}

fn find_loops(module: &Module, block: &[Stmt], found: &mut Loops) {
    for stmt in block {
        if let StmtKind::For { body, iter, .. } = &stmt.kind {
            found.iterables.push(module.expr(*iter).span);
            each_round(body, &mut found.rounds);
            // Loops inside of it have their own rounds among these, and their own iterables.
            let mut inner = Loops::default();
            find_loops(module, body, &mut inner);
            found.iterables.append(&mut inner.iterables);
        } else {
            stmt.for_each_block(&mut |block| find_loops(module, block, found));
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

/// The model that `apps.get_model("shop", "Order")` or `apps.get_model("shop.Order")` returns.
fn state_model(value: &python::Value) -> Option<CodeModel> {
    let call = value.as_call()?;
    let (receiver, method) = call.method()?;
    if method.as_str() != "get_model" || !matches!(receiver.kind, ValueKind::Parameter(_)) {
        return None;
    }
    let first = call.arg(0, "app_label")?.value.as_str()?;
    let (app, name) = match call.arg(1, "model_name") {
        Some(model) => (first.as_str(), model.value.as_str()?.as_str()),
        None => first.as_str().split_once('.')?,
    };
    Some(CodeModel { app: Arc::from(app), name: Arc::from(name) })
}

/// A list that is written in the code, so that it is as long as the code.
fn is_counted(value: &python::Value) -> bool {
    match &value.kind {
        ValueKind::List(items) | ValueKind::Tuple(items) | ValueKind::Set(items) => {
            !items.iter().any(|item| matches!(item.kind, ValueKind::Spread(_)))
        }
        _ => false,
    }
}

/// The SQL of `cursor.execute(…)`.
fn sent_sql(call: &Call) -> Option<CodeFactKind> {
    let method = match &call.callee.kind {
        ValueKind::Symbol(name) => name.rsplit('.').next()?.to_owned(),
        _ => call.method()?.1.as_str().to_owned(),
    };
    if !matches!(method.as_str(), "execute" | "executemany" | "execute_batch") {
        return None;
    }
    let sql = &call.arg(0, "sql").or_else(|| call.arg(0, "query"))?.value;
    match &sql.kind {
        ValueKind::Str(text) => Some(CodeFactKind::SendsSql { sql: Some(Arc::from(text.as_str())) }),
        ValueKind::Int(_) | ValueKind::None | ValueKind::List(_) | ValueKind::Dict(_) => None,
        _ => Some(CodeFactKind::SendsSql { sql: None }),
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

impl Extractor<'_> {
    fn changed_rows(&self, call: &Call) -> Option<CodeFactKind> {
        let (receiver, method) = call.method()?;
        match method.as_str() {
            "update" => {
                let found = self.queryset(receiver, 0)?;
                let set = call.keywords().map(|(name, arg)| (Arc::from(name.as_str()), convert::value(&arg.value)));
                let set = (!call.has_unpacked()).then(|| set.collect());
                Some(CodeFactKind::Updates { model: found.model, rows: found.rows, set })
            }
            "delete" => {
                if let ValueKind::Element(iterable) = &receiver.kind {
                    let found = self.queryset(iterable, 0)?;
                    return Some(CodeFactKind::DeletesEach { model: found.model, rows: found.rows });
                }
                let found = self.queryset(receiver, 0)?;
                Some(CodeFactKind::Deletes { model: found.model, rows: found.rows })
            }
            "save" => {
                let ValueKind::Element(iterable) = &receiver.kind else { return None };
                let found = self.queryset(iterable, 0)?;
                Some(CodeFactKind::SavesEach { model: found.model, rows: found.rows })
            }
            "create" | "get_or_create" | "update_or_create" => {
                let created = self.queryset(receiver, 0)?;
                // An argument that comes from a loop over another queryset: one row for each of its objects.
                let source = call.args.iter().find_map(|arg| self.element_of(&arg.value, 0))?;
                (source.model != created.model).then_some(CodeFactKind::CreatesEach {
                    model: created.model,
                    source: source.model,
                    rows: source.rows,
                })
            }
            "bulk_create" => {
                let created = self.queryset(receiver, 0)?;
                let known = call.arg(0, "objs").is_some_and(|objs| is_counted(&objs.value));
                let batched = call.arg(1, "batch_size").is_some_and(|size| !size.value.is_none());
                (!known && !batched).then_some(CodeFactKind::CreatesAtOnce { model: created.model })
            }
            "bulk_update" => {
                let found = self.queryset(&call.arg(0, "objs")?.value, 0)?;
                Some(CodeFactKind::BulkUpdates { model: found.model, rows: found.rows })
            }
            _ => None,
        }
    }

    /// The rows of a manager or queryset; None where they are fewer than all, or not certain.
    fn queryset(&self, value: &python::Value, depth: u32) -> Option<QuerySet> {
        if depth > MAX_CHAIN {
            return None;
        }
        match &value.kind {
            ValueKind::Attribute(attribute) if MANAGERS.contains(&attribute.name.as_str()) => {
                Some(QuerySet { model: state_model(&attribute.value)?, rows: Rows::All })
            }
            ValueKind::Call(call) => {
                let Some((receiver, method)) = call.method() else {
                    if let Some(function) = call.callee.as_function() {
                        return self.queryset(&self.result_of_helper(function, call), depth + 1);
                    }
                    let same = SAME_ELEMENTS.iter().any(|name| call.callee.is_symbol(name));
                    return if same { self.queryset(&call.positional(0)?.value, depth + 1) } else { None };
                };
                let found = self.queryset(receiver, depth + 1)?;
                match method.as_str() {
                    name if SAME_ROWS.contains(&name) => Some(found),
                    "filter" if call.args.is_empty() => Some(found),
                    "filter" => {
                        let [arg] = call.args.as_slice() else { return None };
                        let (name, _) = call.keywords().next()?;
                        let field = match name.as_str().strip_suffix("__isnull") {
                            Some(field) if arg.value.truth() == Some(true) => field,
                            None if arg.value.is_none() => name.as_str(),
                            _ => return None,
                        };
                        let own = !field.contains("__") && found.rows == Rows::All;
                        own.then(|| QuerySet { rows: Rows::WhereNull(Arc::from(field)), ..found })
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The queryset whose objects a value is one of, or an attribute of one of.
    fn element_of(&self, value: &python::Value, depth: u32) -> Option<QuerySet> {
        if depth > MAX_CHAIN {
            return None;
        }
        match &value.kind {
            ValueKind::Element(iterable) => self.queryset(iterable, 0),
            ValueKind::Attribute(attribute) => self.element_of(&attribute.value, depth + 1),
            ValueKind::Binary(_, operands) => {
                self.element_of(&operands.0, depth + 1).or_else(|| self.element_of(&operands.1, depth + 1))
            }
            _ => None,
        }
    }

    /// A queryset that is read as a whole: looped over without `iterator()`, or made a list.
    fn loaded(&self, value: &python::Value, call: &Call, is_iterable: bool) -> Option<QuerySet> {
        let read = if is_iterable {
            value
        } else if call.callee.is_symbol("builtins.list") || call.callee.is_symbol("builtins.sorted") {
            &call.positional(0)?.value
        } else {
            return None;
        };
        if self.is_in_batches(read, 0) { None } else { self.queryset(read, 0) }
    }

    /// What a helper function returns to this call.
    fn result_of_helper(&self, function: &FunctionRef, call: &Call) -> python::Value {
        self.evaluator().returns(function, &self.with_defaults(function, &call.args))
    }

    /// Whether `iterator()` is in the chain, so that objects come a few at a time.
    fn is_in_batches(&self, value: &python::Value, depth: u32) -> bool {
        let Some(call) = value.as_call().filter(|_| depth <= MAX_CHAIN) else { return false };
        if let Some((receiver, method)) = call.method() {
            return method.as_str() == "iterator" || self.is_in_batches(receiver, depth + 1);
        }
        if let Some(function) = call.callee.as_function() {
            return self.is_in_batches(&self.result_of_helper(function, call), depth + 1);
        }
        // The others read all elements at once.
        call.callee.is_symbol("builtins.enumerate")
            && call.positional(0).is_some_and(|arg| self.is_in_batches(&arg.value, depth + 1))
    }
}

//! What a value of a function's body has to do with rows: a model class, a queryset, one of its objects.
//!
//! A model comes from `apps.get_model`, a queryset from one of its managers, and each method in the chain says which
//! rows are left. What is not listed here is [`Look::Unknown`], never guessed.

use std::sync::Arc;

use zdm_python as python;
use zdm_python::{Call, FunctionRef, ValueKind};

use super::super::Extractor;
use super::MANAGERS;
use crate::operation::{CodeModel, Condition, Rows};

/// Calls in one chain.
pub(super) const MAX_CHAIN: u32 = 50;

/// Methods that leave the rows of a queryset as they are.
const SAME_ROWS: &[&str] = &[
    "aiterator",
    "alias",
    "all",
    "annotate",
    "db_manager",
    "defer",
    "get_queryset",
    "iterator",
    "only",
    "order_by",
    "page",
    "prefetch_related",
    "reverse",
    "select_for_update",
    "select_related",
    "using",
];

/// Methods that return rows by themselves, not objects.
const VALUES: [&str; 4] = ["dates", "datetimes", "values", "values_list"];

/// Methods that return one object.
const ONE: [&str; 8] = ["create", "earliest", "first", "get", "get_or_create", "last", "latest", "update_or_create"];

/// Functions that hand on the elements of what they are given.
const SAME_ELEMENTS: [&str; 12] = [
    "asgiref.sync.sync_to_async",
    "builtins.enumerate",
    "builtins.iter",
    "builtins.list",
    "builtins.reversed",
    "builtins.set",
    "builtins.sorted",
    "builtins.tuple",
    "django.core.paginator.Paginator",
    "itertools.islice",
    "tqdm.auto.tqdm",
    "tqdm.tqdm",
];

/// Functions that hand on the elements of what they are given, so many at a time.
const BATCHES: [&str; 4] =
    ["itertools.batched", "more_itertools.batched", "more_itertools.chunked", "more_itertools.ichunked"];

/// What a value is, as far as rows go.
#[derive(Clone)]
pub(super) enum Look {
    Model(CodeModel),
    /// A manager, a queryset, or a collection of its objects.
    Many(QuerySet),
    /// Collections of objects of a queryset, one after the other.
    Batches(QuerySet),
    /// What `values()` of a queryset returns.
    Values(QuerySet),
    /// Any object of a queryset: the target of a loop.
    Each(QuerySet),
    /// One object that is there or was just made.
    One(CodeModel),
    /// An object that is not saved yet.
    New(CodeModel),
    /// An attribute of an object: a related manager, a related object, or a value. The rows are those of one object, or of
    /// each of `owner`.
    Related {
        found: QuerySet,
        owner: QuerySet,
    },
    /// It comes from a manager or is a model, and more is not known.
    Rows,
    Unknown,
}

/// The rows of a queryset.
#[derive(Clone)]
pub(super) struct QuerySet {
    pub(super) model: CodeModel,
    pub(super) rows: Rows,
    pub(super) part: Part,
}

/// What few rows are a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Of nothing: the code says which they are.
    Whole,
    /// The first ones of a queryset, or those of their keys; in a loop, one batch after the other.
    First,
    /// A range of keys, or a list of them, that a loop decides.
    Range,
    /// One row, whose key a loop decides.
    Key,
}

impl Extractor<'_> {
    pub(super) fn look(&self, value: &python::Value, depth: u32) -> Look {
        if depth > MAX_CHAIN {
            return Look::Unknown;
        }
        if let Some(model) = state_model(value).or_else(|| self.class_of_today(value)) {
            return Look::Model(model);
        }
        match &value.kind {
            ValueKind::Element(iterable) => match self.look(iterable, depth + 1) {
                Look::Many(found) => Look::Each(found),
                Look::Batches(found) => Look::Many(found),
                Look::Rows => Look::Rows,
                _ => Look::Unknown,
            },
            ValueKind::Attribute(attribute) if attribute.name.as_str() == "through" => {
                self.table_between(&attribute.value, depth).map_or(Look::Unknown, Look::Model)
            }
            ValueKind::Attribute(attribute) if MANAGERS.contains(&attribute.name.as_str()) => {
                match self.look(&attribute.value, depth + 1) {
                    Look::Model(model) => Look::Many(QuerySet { model, rows: Rows::All, part: Part::Whole }),
                    _ if is_chosen_model(&attribute.value) => Look::Rows,
                    _ => Look::Unknown,
                }
            }
            ValueKind::Attribute(attribute) if attribute.name.as_str() == "object_list" => {
                self.look(&attribute.value, depth + 1)
            }
            ValueKind::Attribute(attribute) => match self.look(&attribute.value, depth + 1) {
                Look::Each(owner) => related(owner, attribute.name.as_str()),
                Look::One(model) => {
                    related(QuerySet { model, rows: Rows::Few, part: Part::Whole }, attribute.name.as_str())
                }
                // A manager of the project's own, which leaves the rows that it likes.
                Look::Model(model) if is_like_a_manager(attribute.name.as_str()) => {
                    Look::Many(QuerySet { model, rows: Rows::Some(None), part: Part::Whole })
                }
                Look::Related { found, owner } => match related(found, attribute.name.as_str()) {
                    Look::Related { found, .. } => Look::Related { found, owner },
                    other => other,
                },
                _ => Look::Unknown,
            },
            ValueKind::Subscript(pair) => match self.look(&pair.0, depth + 1) {
                // All but the first ones.
                Look::Many(found) if is_rest(&pair.1) => Look::Many(found.under_conditions()),
                // Of `page[0]` or `rows[start:end]`, the number is small or the code's own.
                Look::Many(found) if is_slice(&pair.1) => {
                    let part = if is_decided_by_a_loop(&pair.1) { Part::Range } else { Part::First };
                    Look::Many(QuerySet { rows: Rows::Few, part, ..found })
                }
                // Of a pair that `items()` yields.
                Look::Each(found) if is_item(&pair.0) => {
                    if matches!(&pair.1.kind, ValueKind::Int(index) if index.as_i128() == Some(1)) {
                        Look::Each(found)
                    } else {
                        Look::Unknown
                    }
                }
                Look::Many(QuerySet { model, .. }) | Look::One(model) => Look::One(model),
                Look::Unknown => self.look_at_part_of_yielded(&pair.0, &pair.1, depth),
                Look::Rows => Look::Rows,
                _ => Look::Unknown,
            },
            ValueKind::Alternatives(found) => {
                // Few are looked at, so that alternatives of alternatives have an end.
                let options = found.options.iter().take(4).map(|option| self.look(option, depth + MAX_CHAIN / 5));
                // Of several, what is certain of none.
                options
                    .fold(Look::Unknown, |kept, next| match (kept, next) {
                        (Look::Unknown, next) => next,
                        (kept, _) => kept,
                    })
                    .under_conditions()
            }
            // `set(a) | set(b)`, `list(a) + list(b)`, `a | b`
            ValueKind::Binary(_, operands) => match self.look(&operands.0, depth + MAX_CHAIN / 5) {
                Look::Unknown => self.look(&operands.1, depth + MAX_CHAIN / 5),
                other => other,
            }
            .under_conditions(),
            ValueKind::Call(call) => self.look_at_call(value, call, depth),
            _ => Look::Unknown,
        }
    }

    fn look_at_call(&self, value: &python::Value, call: &Call, depth: u32) -> Look {
        if let Some((element, _)) = value.as_comprehension() {
            return match self.look(element, depth + 1) {
                Look::Each(found) => Look::Many(found),
                _ => Look::Unknown,
            };
        }
        if let Some(function) = call.callee.as_function() {
            if function.is_generator() {
                return self.look_at_yielded(function, call, depth);
            }
            return self.look(&self.result_of_helper(function, call), depth + 1);
        }
        // `self.orders()`, where `self` is an object of a class of the project
        if call
            .method()
            .is_some_and(|(object, _)| object.as_call().is_some_and(|made| made.callee.as_class().is_some()))
            && let Some((function, args)) = self.helper_of(call).filter(|(function, _)| !function.is_generator())
        {
            let result = self.evaluator().returns(&function, &self.with_defaults(&function, &args));
            return self.look(&result, depth + 1);
        }
        if BATCHES.iter().any(|name| call.callee.is_symbol(name)) {
            return match call.positional(0).map(|arg| self.look(&arg.value, depth + 1)) {
                Some(Look::Many(found)) => Look::Batches(found),
                _ => Look::Unknown,
            };
        }
        if call.callee.is_symbol("itertools.islice")
            && let [iterable, bounds @ ..] = call.args.as_slice()
            && let Look::Many(found) = self.look(&iterable.value, depth + 1)
        {
            let few = bounds.iter().all(|bound| !matches!(bound.value.kind, ValueKind::None));
            return Look::Many(if few { QuerySet { rows: Rows::Few, part: Part::First, ..found } } else { found });
        }
        if SAME_ELEMENTS.iter().any(|name| call.callee.is_symbol(name)) {
            return call.positional(0).map_or(Look::Unknown, |arg| self.look(&arg.value, depth + 1));
        }
        // The manager that a class of today has of its own leaves the rows that it likes.
        if let Some(class) = self.class_of_manager(value) {
            let class = python::Value::new(ValueKind::Class(class), value.origin.clone());
            return match self.class_of_today(&class) {
                Some(model) => Look::Many(QuerySet { model, rows: Rows::Some(None), part: Part::Whole }),
                None => Look::Unknown,
            };
        }
        let Some((receiver, method)) = method_of(call) else {
            return match self.look(&call.callee, depth + 1) {
                Look::Model(model) => Look::New(model),
                _ => Look::Unknown,
            };
        };
        if receiver.as_comprehension().is_some() && matches!(method, "values" | "items") {
            return self.look(receiver, depth + 1);
        }
        let look = match self.look(receiver, depth + 1) {
            Look::Related { found, .. } if is_of_a_manager(method) => Look::Many(found),
            look => look,
        };
        match look {
            Look::Many(found) => match method {
                name if SAME_ROWS.contains(&name) => Look::Many(found),
                name if VALUES.contains(&name) => Look::Values(found),
                name if ONE.contains(&name) => Look::One(found.model),
                "none" => Look::Many(QuerySet { rows: Rows::Few, part: Part::Whole, ..found }),
                "raw" => Look::Many(QuerySet { rows: Rows::Some(None), ..found }),
                "distinct" | "difference" | "intersection" | "union" => Look::Many(found.chosen(call)),
                "filter" => Look::Many(match self.keys_of_rows(call, depth) {
                    // By the keys of all its rows, and by nothing else.
                    Some(keys) if keys.model == found.model && keys.rows == Rows::All && call.args.len() == 1 => found,
                    Some(_) => found.chosen(call),
                    None => filtered(found, call, false),
                }),
                "exclude" => Look::Many(filtered(found, call, true)),
                "in_bulk" => Look::Rows,
                "aggregate" | "count" | "exists" | "explain" => Look::Unknown,
                _ => Look::Rows,
            },
            Look::Values(found) => match method {
                name if SAME_ROWS.contains(&name) || VALUES.contains(&name) => Look::Values(found),
                "distinct" => Look::Values(found),
                "filter" | "exclude" => Look::Values(filtered(found, call, method == "exclude")),
                _ => Look::Unknown,
            },
            Look::Rows => Look::Rows,
            _ => Look::Unknown,
        }
    }

    /// What a generator of the project yields.
    fn look_at_yielded(&self, function: &FunctionRef, call: &Call, depth: u32) -> Look {
        let yielded = self.evaluator().yields(function, &self.with_defaults(function, &call.args));
        // Few are looked at, so that generators of generators have an end.
        let looks = yielded.iter().take(4).map(|value| self.look(value, depth + MAX_CHAIN / 5));
        let one = looks.fold(Look::Unknown, |kept, next| match (kept, next) {
            (Look::Unknown, next) => next,
            (kept, _) => kept,
        });
        match one {
            Look::Each(found) => Look::Many(found),
            Look::Many(found) => Look::Batches(found),
            Look::Rows => Look::Rows,
            _ => Look::Unknown,
        }
    }

    /// A part of each tuple that a generator of the project yields.
    fn look_at_part_of_yielded(&self, element: &python::Value, index: &python::Value, depth: u32) -> Look {
        let ValueKind::Element(iterable) = &element.kind else { return Look::Unknown };
        let Some(call) = iterable.as_call() else { return Look::Unknown };
        let Some(function) = call.callee.as_function().filter(|function| function.is_generator()) else {
            return Look::Unknown;
        };
        let ValueKind::Int(index) = &index.kind else { return Look::Unknown };
        let Some(index) = index.as_i128().and_then(|index| usize::try_from(index).ok()) else { return Look::Unknown };
        let yielded = self.evaluator().yields(function, &self.with_defaults(function, &call.args));
        let parts = yielded.iter().take(4).filter_map(|value| match &value.kind {
            ValueKind::Tuple(items) | ValueKind::List(items) => items.get(index),
            _ => None,
        });
        parts.map(|part| self.look(part, depth + MAX_CHAIN / 5)).next().unwrap_or(Look::Unknown)
    }

    /// The model between two others: of `Order.tags`, or of `Order._meta.get_field("tags").remote_field`.
    fn table_between(&self, relation: &python::Value, depth: u32) -> Option<CodeModel> {
        let ValueKind::Attribute(attribute) = &relation.kind else { return None };
        let (model, field) = match self.look(&attribute.value, depth + 1) {
            Look::Model(model) => (model, attribute.name.to_string()),
            Look::Each(found) => (found.model, attribute.name.to_string()),
            Look::One(model) => (model, attribute.name.to_string()),
            _ => {
                let call = attribute.value.as_call().filter(|_| attribute.name.as_str() == "remote_field")?;
                let (receiver, method) = call.method()?;
                let ValueKind::Attribute(meta) = &receiver.kind else { return None };
                let Look::Model(model) = self.look(&meta.value, depth + 1) else { return None };
                let field = call.arg(0, "field_name")?.value.as_str()?.to_string();
                (meta.name.as_str() == "_meta" && method.as_str() == "get_field").then_some((model, field))?
            }
        };
        Some(CodeModel { app: model.app, name: format!("{}.{field}.through", model.name).into() })
    }

    /// The rows of a manager, queryset or collection; None where that is not certain.
    pub(super) fn queryset(&self, value: &python::Value) -> Option<QuerySet> {
        match self.look(value, 0) {
            Look::Many(found) => Some(found),
            _ => None,
        }
    }

    /// The queryset whose objects a value is one of, or an attribute of one of.
    pub(super) fn element_of(&self, value: &python::Value) -> Option<QuerySet> {
        self.element_within(value, &mut 100)
    }

    /// As [`Self::element_of`], of at most so many parts.
    fn element_within(&self, value: &python::Value, parts: &mut u32) -> Option<QuerySet> {
        *parts = parts.checked_sub(1)?;
        match &value.kind {
            ValueKind::Element(iterable) => match self.look(iterable, 0) {
                Look::Many(found) | Look::Values(found) => Some(found),
                _ => None,
            },
            ValueKind::Attribute(attribute) => self.element_within(&attribute.value, parts),
            ValueKind::Subscript(pair) => self.element_within(&pair.0, parts),
            ValueKind::Binary(_, operands) => {
                self.element_within(&operands.0, parts).or_else(|| self.element_within(&operands.1, parts))
            }
            // `order.number.lower()`
            ValueKind::Call(call) => {
                // What is gathered is of all objects that are gone through; those may be one object's.
                if let Some((_, iterable)) = value.as_comprehension() {
                    return self.element_within(iterable?, parts);
                }
                let receiver = call.method().and_then(|(receiver, _)| self.element_within(receiver, parts));
                receiver.or_else(|| call.args.iter().find_map(|arg| self.element_within(&arg.value, parts)))
            }
            // `f"inbound-{namespace.name}"`
            ValueKind::Template(template) => template.iter().find_map(|part| match part {
                python::TemplatePart::Value(value) => self.element_within(value, parts),
                python::TemplatePart::Text(_) => None,
            }),
            // `{"number": order.number}`
            ValueKind::Dict(entries) => entries.iter().find_map(|entry| self.element_within(&entry.value, parts)),
            _ => None,
        }
    }

    /// `filter(pk__in=…)` by the keys of another queryset, however many it has.
    fn keys_of_rows(&self, call: &Call, depth: u32) -> Option<QuerySet> {
        let (_, arg) = call.keywords().find(|(name, _)| matches!(name.as_str(), "pk__in" | "id__in"))?;
        match self.look(&arg.value, depth + 1) {
            Look::Many(found) | Look::Values(found) if found.rows != Rows::Few => Some(found),
            _ => None,
        }
    }

    /// The queryset whose objects decide, one after the other, which rows a chain of calls is about.
    pub(super) fn chosen_by(&self, value: &python::Value) -> Option<QuerySet> {
        let mut value = value;
        for _ in 0..MAX_CHAIN {
            let call = value.as_call()?;
            let (receiver, _) = call.method()?;
            if let Some(found) = call.args.iter().find_map(|arg| self.element_of(&arg.value)) {
                return Some(found);
            }
            value = receiver;
        }
        None
    }

    /// The queryset whose objects decide, one after the other, which object `get()` or `first()` fetches.
    pub(super) fn fetched_by(&self, object: &python::Value) -> Option<QuerySet> {
        object.options().iter().find_map(|object| {
            let (_, method) = method_of(object.as_call()?)?;
            let fetches = matches!(method, "earliest" | "first" | "get" | "last" | "latest");
            self.chosen_by(object).filter(|_| fetches)
        })
    }

    /// What a helper function returns to this call.
    fn result_of_helper(&self, function: &FunctionRef, call: &Call) -> python::Value {
        self.evaluator().returns(function, &self.with_defaults(function, &call.args))
    }

    /// Whether `iterator()` is in the chain, so that objects come a few at a time.
    pub(super) fn is_in_batches(&self, value: &python::Value, depth: u32) -> bool {
        if let ValueKind::Attribute(attribute) = &value.kind
            && attribute.name.as_str() == "object_list"
        {
            return depth <= MAX_CHAIN && self.is_in_batches(&attribute.value, depth + 1);
        }
        let Some(call) = value.as_call().filter(|_| depth <= MAX_CHAIN) else { return false };
        if value.is_generator() || call.callee.is_symbol("django.core.paginator.Paginator") {
            return true;
        }
        if let Some((receiver, method)) = call.method() {
            return matches!(method.as_str(), "iterator" | "aiterator") || self.is_in_batches(receiver, depth + 1);
        }
        if let Some(function) = call.callee.as_function() {
            if function.is_generator() {
                // What it reads is told where it reads it.
                return true;
            }
            return self.is_in_batches(&self.result_of_helper(function, call), depth + 1);
        }
        if ["itertools.chain", "builtins.zip"].iter().any(|name| call.callee.is_symbol(name)) {
            return call.args.iter().all(|arg| self.is_in_batches(&arg.value, depth + 1));
        }
        // The others read all elements at once.
        let one_by_one = ["builtins.enumerate", "builtins.iter", "itertools.islice", "tqdm.auto.tqdm", "tqdm.tqdm"];
        one_by_one.iter().any(|name| call.callee.is_symbol(name))
            && call.positional(0).is_some_and(|arg| self.is_in_batches(&arg.value, depth + 1))
    }
}

impl Look {
    fn under_conditions(self) -> Self {
        match self {
            Self::Many(found) => Self::Many(found.under_conditions()),
            Self::Each(found) => Self::Each(found.under_conditions()),
            Self::Batches(found) => Self::Batches(found.under_conditions()),
            Self::Values(found) => Self::Values(found.under_conditions()),
            other => other,
        }
    }
}

impl QuerySet {
    /// Some of these rows: the code decides which.
    pub(super) fn under_conditions(self) -> Self {
        let rows = match self.rows {
            Rows::All | Rows::WhereNull(_) => Rows::Some(None),
            rows => rows,
        };
        Self { rows, ..self }
    }

    /// Some of these rows, by a method as it is written.
    fn chosen(self, call: &Call) -> Self {
        const MAX_SHOWN: usize = 60;
        if self.rows == Rows::Few {
            return self;
        }
        let span = call.callee.origin.span;
        let file = call.callee.file();
        // The callee ends in front of the parenthesis, the method's name with it.
        let name = call.method().map_or(String::new(), |(_, name)| name.to_string());
        let rest = file.text().get(span.end as usize..).unwrap_or("");
        let shown = written_arguments(rest).filter(|text| text.len() <= MAX_SHOWN && !text.contains('\n'));
        let text = shown.map_or(format!("{name}(…)"), |arguments| format!("{name}{arguments}"));
        let before = match self.rows {
            Rows::Some(before) => before,
            Rows::All | Rows::WhereNull(_) | Rows::Few => None,
        };
        let mut equal = before.as_ref().map(|before| before.equal.clone()).unwrap_or_default();
        let is_equal = |name: &str, value: &python::Value| {
            name.find("__").is_none_or(|at| &name[at..] == "__exact") && !value.is_none()
        };
        let mut each = before.as_ref().is_some_and(|before| before.each);
        if name == "filter" {
            for (name, arg) in call.keywords().filter(|(name, arg)| is_equal(name.as_str(), &arg.value)) {
                equal.push(Arc::from(name.as_str().trim_end_matches("__exact")));
                each |= is_decided_by_a_loop(&arg.value);
            }
        }
        let text = match before {
            Some(before) if before.text.len() + text.len() <= MAX_SHOWN => format!("{}.{text}", before.text),
            _ => text,
        };
        Self { rows: Rows::Some(Some(Arc::new(Condition { text, equal, each }))), ..self }
    }
}

/// `(kind="x")`, from the text that begins with it.
fn written_arguments(text: &str) -> Option<&str> {
    let mut depth = 0_u32;
    for (at, character) in text.char_indices().take(200) {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return text.get(..=at);
                }
            }
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// `order.customer`, `customer.order_set`.
fn related(owner: QuerySet, attribute: &str) -> Look {
    const MAX_PARTS: usize = 5;
    if owner.model.name.split('.').count() >= MAX_PARTS {
        return Look::Unknown;
    }
    let model = CodeModel { app: owner.model.app.clone(), name: format!("{}.{attribute}", owner.model.name).into() };
    let rows = if owner.rows == Rows::Few { Rows::Few } else { Rows::Some(None) };
    Look::Related { found: QuerySet { model, rows, part: Part::Whole }, owner }
}

/// Methods that a value of a field has not.
fn is_of_a_manager(method: &str) -> bool {
    matches!(
        method,
        "all"
            | "exclude"
            | "filter"
            | "first"
            | "iterator"
            | "last"
            | "only"
            | "order_by"
            | "select_related"
            | "using"
            | "values_list"
    )
}

/// The rows that a condition leaves.
fn filtered(found: QuerySet, call: &Call, excluded: bool) -> QuerySet {
    if call.args.is_empty() || found.rows == Rows::Few {
        return found;
    }
    // A range of keys or a list of them is what batches are made of.
    let by_key = |name: &str| {
        let field = name.split("__").next().unwrap_or(name);
        matches!(field, "pk" | "id")
    };
    if let Some((name, arg)) = call.keywords().find(|(name, _)| !excluded && by_key(name.as_str())) {
        let part = match is_decided_by_a_loop(&arg.value) {
            true if name.as_str().contains("__") => Part::Range,
            true => Part::Key,
            false if arg.value.contains(&|kind| matches!(kind, ValueKind::Subscript(pair) if is_slice(&pair.1))) => {
                Part::First
            }
            false => Part::Whole,
        };
        return QuerySet { rows: Rows::Few, part, ..found };
    }
    if let ([arg], false, Rows::All) = (call.args.as_slice(), excluded, &found.rows)
        && let Some((name, _)) = call.keywords().next()
    {
        let field = match name.as_str().strip_suffix("__isnull") {
            Some(field) if arg.value.truth() == Some(true) => Some(field),
            None if arg.value.is_none() => Some(name.as_str()),
            _ => None,
        };
        if let Some(field) = field.filter(|field| !field.contains("__")) {
            return QuerySet { rows: Rows::WhereNull(Arc::from(field)), ..found };
        }
    }
    found.chosen(call)
}

/// The model that `apps.get_model("shop", "Order")` or `apps.get_model("shop.Order")` returns.
fn state_model(value: &python::Value) -> Option<CodeModel> {
    // `apps.all_models["shop"]["order"]`
    if let ValueKind::Subscript(model) = &value.kind
        && let ValueKind::Subscript(app) = &model.0.kind
        && let ValueKind::Attribute(all) = &app.0.kind
        && all.name.as_str() == "all_models"
        && is_registry(&all.value)
    {
        let (app, name) = (app.1.as_str()?, model.1.as_str()?);
        return Some(CodeModel { app: Arc::from(app.as_str()), name: Arc::from(name.as_str()) });
    }
    let call = value.as_call()?;
    let (receiver, method) = call.method()?;
    if !matches!(method.as_str(), "get_model" | "get_registered_model") {
        return None;
    }
    // `apps.get_app_config("shop").get_model("Order")`
    if let Some(config) = receiver.as_call()
        && let Some((registry, method)) = config.method()
        && method.as_str() == "get_app_config"
        && is_registry(registry)
    {
        let app = config.arg(0, "app_label")?.value.as_str()?;
        let name = call.arg(0, "model_name")?.value.as_str()?;
        return Some(CodeModel { app: Arc::from(app.as_str()), name: Arc::from(name.as_str()) });
    }
    if !is_registry(receiver) {
        return None;
    }
    let first = call.arg(0, "app_label")?.value.as_str()?;
    let (app, name) = match call.arg(1, "model_name") {
        Some(model) => (first.as_str(), model.value.as_str()?.as_str()),
        None => first.as_str().split_once('.')?,
    };
    Some(CodeModel { app: Arc::from(app), name: Arc::from(name) })
}

/// The `apps` that the function is given, or those of a state: `to_state.apps`.
fn is_registry(value: &python::Value) -> bool {
    match &value.kind {
        ValueKind::Parameter(_) => true,
        ValueKind::Attribute(attribute) => {
            attribute.name.as_str() == "apps" && matches!(attribute.value.kind, ValueKind::Parameter(_))
        }
        _ => false,
    }
}

/// A model that the code fetches from the registry in a way that does not say which.
fn is_chosen_model(value: &python::Value) -> bool {
    let mut value = value;
    for _ in 0..MAX_CHAIN {
        value = match &value.kind {
            ValueKind::Element(inner) => inner,
            ValueKind::Subscript(pair) => &pair.0,
            ValueKind::Attribute(attribute) => &attribute.value,
            ValueKind::Call(call) => match call.method() {
                Some((receiver, method)) => {
                    if matches!(method.as_str(), "get_models" | "get_model" | "get_app_config") {
                        return true;
                    }
                    receiver
                }
                None => return false,
            },
            ValueKind::Parameter(name) => return name.as_str() == "apps",
            _ => return false,
        };
    }
    false
}

/// Each round of a loop has another one. What stands in the code as a list is not meant.
pub(super) fn is_decided_by_a_loop(value: &python::Value) -> bool {
    value.contains(&|kind| match kind {
        ValueKind::Element(iterable) => {
            !matches!(iterable.kind, ValueKind::List(_) | ValueKind::Tuple(_) | ValueKind::Set(_) | ValueKind::Dict(_))
        }
        ValueKind::Unknown(python::Why::Dynamic("assigned in a loop" | "assigned in a `while` loop")) => true,
        _ => false,
    })
}

/// A pair of a dictionary.
fn is_item(value: &python::Value) -> bool {
    let ValueKind::Element(iterable) = &value.kind else { return false };
    iterable.as_call().and_then(Call::method).is_some_and(|(_, method)| method.as_str() == "items")
}

/// A lowercase attribute of a model class that is nothing which every model has.
fn is_like_a_manager(name: &str) -> bool {
    !name.starts_with('_') && name.chars().all(|character| character.is_lowercase() || character == '_')
}

/// The receiver and the name of a method; `aupdate` is `update`, for what matters here.
pub(super) fn method_of(call: &Call) -> Option<(&python::Value, &str)> {
    const ASYNC: [&str; 16] = [
        "aadd",
        "abulk_create",
        "abulk_update",
        "aclear",
        "acreate",
        "adelete",
        "afirst",
        "aget",
        "aget_or_create",
        "alast",
        "aremove",
        "asave",
        "aset",
        "aupdate",
        "aupdate_or_create",
        "aiterator",
    ];
    let (receiver, method) = call.method()?;
    let name = method.as_str();
    Some((receiver, if ASYNC.contains(&name) { name.strip_prefix('a').unwrap_or(name) } else { name }))
}

fn is_slice(index: &python::Value) -> bool {
    match &index.kind {
        ValueKind::Call(call) => call.callee.is_symbol("builtins.slice"),
        ValueKind::Unknown(_) => true,
        _ => false,
    }
}

/// `1:`, with a number that stands in the code.
fn is_rest(index: &python::Value) -> bool {
    let Some(call) = index.as_call().filter(|call| call.callee.is_symbol("builtins.slice")) else { return false };
    let [lower, upper, ..] = call.args.as_slice() else { return false };
    let counted = matches!(&lower.value.kind, ValueKind::Int(from) if from.as_i128().is_some_and(|from| from >= 0));
    counted && upper.value.is_none()
}

/// The text of a statement with `_meta.db_table` and `_meta.get_field().column` of models put in by the code: a place
/// for each, which the one who knows the state fills, see [`crate::operation::name_places`].
pub(super) fn with_places(text: &python::Value, look: &dyn Fn(&python::Value) -> Option<CodeModel>) -> Option<String> {
    match &text.kind {
        ValueKind::Str(text) => Some(text.as_str().to_owned()),
        ValueKind::Template(parts) => {
            let mut whole = String::new();
            for part in parts.iter() {
                match part {
                    python::TemplatePart::Text(text) => whole.push_str(text.as_str()),
                    python::TemplatePart::Value(value) => whole.push_str(&place_of(value, look)?),
                }
            }
            Some(whole)
        }
        // `SQL.replace("TABLE", Order._meta.db_table)`
        ValueKind::Call(call) if call.method().is_some_and(|(_, name)| name.as_str() == "replace") => {
            let (receiver, _) = call.method()?;
            let [from, to] = call.args.as_slice() else { return None };
            let whole = with_places(receiver, look)?;
            Some(whole.replace(from.value.as_str()?.as_str(), &with_places(&to.value, look)?))
        }
        ValueKind::Call(call) if composition(call).is_some() => composed(call, look, 0),
        _ => place_of(text, look),
    }
}

/// `SQL`, `Identifier`, `Literal`, `Composed` of psycopg's module `sql`.
fn composition(call: &Call) -> Option<&str> {
    let class = |name: &'_ str| name.strip_prefix("psycopg.sql.").or(name.strip_prefix("psycopg2.sql.")).is_some();
    match &call.callee.kind {
        ValueKind::Symbol(name) if class(name) => name.rsplit('.').next(),
        // `SQL("…").format(…)`
        _ => {
            let (receiver, method) = call.method()?;
            let made = receiver.as_call()?;
            let of_sql = matches!(&made.callee.kind, ValueKind::Symbol(name) if class(name) && name.ends_with(".SQL"));
            (of_sql && matches!(method.as_str(), "format" | "join")).then_some("")
        }
    }
}

/// The text of what psycopg composes.
fn composed(call: &Call, look: &dyn Fn(&python::Value) -> Option<CodeModel>, depth: u32) -> Option<String> {
    if depth > MAX_CHAIN {
        return None;
    }
    let part = |value: &python::Value| -> Option<String> {
        match &value.kind {
            ValueKind::Call(call) if composition(call).is_some() => composed(call, look, depth + 1),
            _ => None,
        }
    };
    match (composition(call)?, call.method()) {
        ("SQL", _) => with_places(&call.positional(0)?.value, look),
        ("Identifier", _) => {
            let quoted = |value: &python::Value| match value.as_str() {
                Some(name) => Some(format!("\"{}\"", name.replace('"', "\"\""))),
                None => place_of(value, look),
            };
            Some(call.args.iter().map(|arg| quoted(&arg.value)).collect::<Option<Vec<_>>>()?.join("."))
        }
        ("Literal", _) => match &call.positional(0)?.value.kind {
            ValueKind::Str(text) => Some(format!("'{}'", text.replace('\'', "''"))),
            ValueKind::Int(number) => Some(number.to_string()),
            ValueKind::Bool(value) => Some(value.to_string()),
            ValueKind::None => Some(String::from("NULL")),
            _ => None,
        },
        ("", Some((receiver, method))) => {
            let text = with_places(&receiver.as_call()?.positional(0)?.value, look)?;
            if method.as_str() == "join" {
                let (ValueKind::List(items) | ValueKind::Tuple(items)) = &call.positional(0)?.value.kind else {
                    return None;
                };
                return Some(items.iter().map(part).collect::<Option<Vec<_>>>()?.join(&text));
            }
            let mut positional = call.args.iter().filter(|arg| matches!(arg.kind, python::ArgKind::Positional));
            let mut whole = String::new();
            let mut rest = text.as_str();
            while let Some((before, behind)) = rest.split_once('{') {
                let (name, behind) = behind.split_once('}')?;
                let value = match name.parse::<usize>() {
                    _ if name.is_empty() => &positional.next()?.value,
                    Ok(index) => &call.positional(index)?.value,
                    Err(_) => &call.keywords().find(|(keyword, _)| keyword.as_str() == name)?.1.value,
                };
                whole.push_str(before);
                whole.push_str(&part(value)?);
                rest = behind;
            }
            whole.push_str(rest);
            Some(whole)
        }
        _ => None,
    }
}

/// `_meta.db_table`, `_meta.get_field("total").column`, quoted or not.
fn place_of(value: &python::Value, look: &dyn Fn(&python::Value) -> Option<CodeModel>) -> Option<String> {
    if let Some(call) = value.as_call() {
        let quotes = match &call.callee.kind {
            ValueKind::Symbol(name) => name.ends_with(".quote_name"),
            _ => call.method().is_some_and(|(_, name)| name.as_str() == "quote_name"),
        };
        let inner = quotes.then(|| call.args.first())??;
        return match inner.value.as_str() {
            Some(name) => Some(format!("\"{name}\"")),
            None => place_of(&inner.value, look),
        };
    }
    let ValueKind::Attribute(attribute) = &value.kind else { return None };
    let meta = |value: &python::Value| match &value.kind {
        ValueKind::Attribute(meta) if meta.name.as_str() == "_meta" => look(&meta.value),
        _ => None,
    };
    match attribute.name.as_str() {
        "db_table" => {
            let model = meta(&attribute.value)?;
            Some(format!("\u{1}{}.{}\u{1}", model.app, model.name))
        }
        "column" => {
            let call = attribute.value.as_call()?;
            let (receiver, method) = call.method()?;
            let field = call.arg(0, "field_name")?.value.as_str()?;
            let model = meta(receiver).filter(|_| method.as_str() == "get_field")?;
            Some(format!("\u{1}{}.{}.{field}\u{1}", model.app, model.name))
        }
        _ => None,
    }
}
